//! Guards that exclude those of other processes (IP-9).
//!
//! Contract: such a guard is one of the ledger, and has a lock of the kernel on the array's bytes in their file. Two
//! guards of different processes that both have a lock overlap only if both read. A process that ends or is killed has
//! no locks any more. A guard without the flag has none, and is excluded by nobody in another process.

use crate::array::Quoted;
use crate::borrow::{self, BorrowContext, Ending, LayoutSink, Mode, Use};
use crate::device::shareable;
use crate::error::{Result, fail};
use crate::grow_unlocked;
use crate::ledger::{Completion, Guard, InternalGuard};
use crate::slots::{self, Id, Kind};
use crate::stream::StreamArg;
use crate::sys::file::{Access, File};
use crate::sys::file_lock::{
    self,
    Kind::{Exclusive, Shared},
    Part,
};
use crate::thread::{self, QuickLock};
use crate::types::*;
use core::ffi::c_int;

/// An open guard, and the descriptor that has its lock.
#[derive(Clone, Copy)]
struct Lock {
    guard: &'static Guard,
    fd: c_int,
    /// A child of fork has no lock: it is its parent's.
    forks: u32,
}

static LOCKS: QuickLock<Vec<Lock>> = QuickLock::new(Vec::new());

/// Opens a guard on one array. TN_ERR_INVALID: a write that copies; TN_ERR_UNSUPPORTED: bytes that no process can
/// share; TN_ERR_BORROWED, TN_ERR_BORROWED_WRITE: another process has a guard; TN_ERR_IO, TN_ERR_NO_HOST_MEMORY.
pub fn open(
    call: BorrowContext<'_>,
    id: Id,
    stream: Result<StreamArg>,
    wanted: Result<Use>,
    wait: bool,
    outputs: &dyn LayoutSink,
) -> Result<Id> {
    let wanted = wanted.and_then(|wanted| match wanted {
        Use::Write { mode: Mode::Cow, .. } => Err(fail(
            TN_ERR_INVALID,
            format_args!("TN_INTERPROCESS does not go with TN_WRITE_COW, whose copy no other process has"),
        )),
        wanted => Ok(wanted),
    });
    let writes = matches!(wanted, Ok(Use::Write { .. }));
    let guard = borrow::open_unpublished(call, id, stream, wanted, wait)?;
    if let Err(status) = lock(&guard, writes) {
        borrow::abandon_all([guard].into_iter());
        return Err(status);
    }
    outputs.see(guard.layout(), &guard.device());
    Ok(guard.publish())
}

/// Locks the bytes of a guard, from the first to the last.
fn lock(guard: &InternalGuard, writes: bool) -> Result<()> {
    let Some((first, end)) = guard.layout().extent() else { return Ok(()) };
    let Some(memory) = shareable::find(first as usize) else {
        let text =
            "TN_INTERPROCESS: other processes cannot have these bytes; make the array in a pool with TN_POOL_SHAREABLE";
        return Err(fail(TN_ERR_UNSUPPORTED, format_args!("{text}")));
    };
    let part = Part { start: first - memory.start as i64, bytes: end - first };
    let (access, kind) = if writes { (Access::Write, Exclusive) } else { (Access::Read, Shared) };
    let locked = file_lock::reopen(&File::lent(memory.fd), access)
        .and_then(|file| Ok((file_lock::try_lock(&file, kind, part)?, file)));
    let (locked, file) =
        locked.map_err(|errno| fail(TN_ERR_IO, format_args!("the array's memory could not be locked: {errno}")))?;
    if !locked {
        let name = guard.name();
        let (status, uses) =
            if writes { (TN_ERR_BORROWED, "reads or writes") } else { (TN_ERR_BORROWED_WRITE, "writes") };
        let text = format_args!("another process {uses} the bytes of {}; try again when it is done", Quoted(&name));
        return Err(fail(status, text));
    }
    let entry = Lock { guard: guard.guard(), fd: file.fd(), forks: thread::forks() };
    grow_unlocked::lock(&LOCKS, 16)
        .map_err(|entries| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a list of {entries} locks")))?
        .push(entry);
    let _ = file.into_fd();
    guard.set_completion(Completion::InterprocessLock);
    Ok(())
}

/// Ends the lock of a guard, and then the guard.
pub fn end(ending: Ending) -> Result<()> {
    let (id, guard) = (ending.id, ending.guard);
    ending.finish_after(|locked| {
        let mut locks = LOCKS.lock();
        // Another thread may end the same handle.
        let at = locks.iter().position(|lock| core::ptr::eq(lock.guard, guard));
        let lock = at.map(|at| locks.swap_remove(at)).ok_or_else(|| slots::stale(id, Kind::Borrow));
        drop(locks);
        drop(locked);
        let lock = lock?;
        let file = File::owned(lock.fd);
        if lock.forks == thread::forks() {
            // Also where a child of fork has the description.
            let _ = file_lock::unlock(&file, Part { start: 0, bytes: 0 });
        }
        Ok(guard.lock())
    })
}
