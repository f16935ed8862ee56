//! Memory of a GPU that another process exported, and that this process has open (IP-21, IP-23).
//!
//! Contract: an allocation is opened once, and counted; its last user closes it. While it is open, the exporter keeps
//! it. When the exporter has ended, the driver no longer promises that the memory exists, so every use is refused. The
//! child of a fork has none of it.

use super::export_file::{self, Entry, Lock};
use crate::error::{Result, fail, quietly};
use crate::gpu::ipc::{self, Handle, SharedEvent};
use crate::gpu::{Gpu, Inside};
use crate::grow_unlocked;
use crate::sys::file::File;
use crate::sys::lock::Mutex;
use crate::thread::{self, QuickLock};
use crate::types::*;
use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};

/// By what an allocation of another process is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The exporter's file.
    pub identity: (u64, u64),
    /// The entry there.
    pub entry: Entry,
    /// The driver's handle of the allocation.
    pub memory: Handle,
    /// The driver's handle of the event.
    pub event: Handle,
}

/// An open allocation.
#[derive(Clone, Copy)]
struct Open {
    base: usize,
    bytes: usize,
    gpu: &'static Gpu,
    /// Which of the GPU's contexts has it.
    epoch: u32,
    key: Key,
    event: SharedEvent,
    /// The descriptor that has the lock.
    lock: c_int,
    users: u32,
    /// The memory is gone, which was found out.
    ended: bool,
}

static OPEN: QuickLock<Vec<Open>> = QuickLock::new(Vec::new());

/// The number of open allocations: spares a look into the list where there are none.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// One thread at a time opens or closes.
static OPENING: Mutex<()> = Mutex::new(());

/// Memory that [`open`] returns.
#[derive(Clone, Copy)]
pub struct Memory {
    /// The first address.
    pub base: usize,
    /// The size, as the driver says.
    pub bytes: usize,
    /// The event that the exporter recorded.
    pub event: SharedEvent,
}

/// Opens an allocation for one more user, who calls [`close`]. TN_ERR_STALE: the exporter has freed it, or has ended.
pub fn open(gpu: &'static Gpu, file: &File, key: Key) -> Result<Memory> {
    let inside = gpu.enter()?;
    let _alone = OPENING.lock();
    let same = |open: &Open| open.key == key && core::ptr::eq(open.gpu, gpu) && open.epoch == gpu.epoch();
    let known = OPEN.lock().iter().copied().find(same);
    if let Some(known) = known {
        if known.has_ended() {
            return Err(export_file::exporter_has_ended());
        }
        // Nobody closes it meanwhile.
        OPEN.lock().iter_mut().filter(|open| open.base == known.base).for_each(|open| open.users += 1);
        return Ok(Memory { base: known.base, bytes: known.bytes, event: known.event });
    }
    if grow_unlocked::make(&OPEN, 16).is_err() {
        return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the bookkeeping of one more import")));
    }
    let lock = export_file::lock(file, key.entry)?;
    let base = ipc::open_memory(&inside, &key.memory)?;
    let opened = open_event(&inside, base, &key.event).and_then(|opened| {
        if OPEN.lock().iter().any(|open| open.base == base && open.epoch == gpu.epoch()) {
            // SAFETY: opened above, and nobody knows the event.
            unsafe { opened.1.destroy(&inside) };
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("the descriptor was damaged: its memory is open already, by another descriptor"),
            ));
        }
        Ok(opened)
    });
    let opened = opened.inspect_err(|_| {
        // SAFETY: opened above, and nobody knows the address.
        unsafe { ipc::close_memory(&inside, base) }
    });
    let (bytes, event) = opened?;
    thread::on_fork_child(after_fork);
    let open = Open { base, bytes, gpu, epoch: gpu.epoch(), key, event, lock: lock.into_fd(), users: 1, ended: false };
    // Only this function adds, and has the lock of `OPENING`, so the capacity is there still.
    OPEN.lock().push(open);
    COUNT.fetch_add(1, Ordering::Release);
    // Uses of the memory check from now on whether the exporter lives.
    thread::set_devices_in_doubt();
    Ok(Memory { base, bytes, event })
}

fn open_event(inside: &Inside, base: usize, handle: &Handle) -> Result<(usize, SharedEvent)> {
    let (start, bytes) = ipc::allocation_of(inside, base)?;
    Ok((bytes - (base - start).min(bytes), SharedEvent::open(inside, handle)?))
}

/// Ends one use of the allocation that [`open`] returned. No work uses the memory. In the child of a fork nothing
/// happens.
pub fn close(base: usize) {
    // The child of a fork finds no open allocation, and the lock may be held by a thread that it does not have.
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    let _alone = OPENING.lock();
    let mut all = OPEN.lock();
    let Some(at) = all.iter().position(|open| open.base == base) else { return };
    all[at].users -= 1;
    if all[at].users > 0 {
        return;
    }
    let open = all.swap_remove(at);
    COUNT.fetch_sub(1, Ordering::Release);
    drop(all);
    if let Ok(inside) = quietly(|| open.gpu.enter())
        && open.epoch == open.gpu.epoch()
    {
        // SAFETY: of the present context, opened once, and no work uses them.
        unsafe {
            open.event.destroy(&inside);
            ipc::close_memory(&inside, open.base);
        }
    }
    // The exporter may free the memory from here on.
    drop(Lock::of_fd(open.lock));
}

/// The child of a fork has no imports, and keeps nothing from being freed by the exporter.
fn after_fork() {
    for open in OPEN.lock().drain(..) {
        drop(Lock::of_fd(open.lock));
    }
    COUNT.store(0, Ordering::Relaxed);
}

impl Open {
    /// Whether the exporter has ended. Its user keeps the descriptor open. A system call that never waits; once it is
    /// true, none.
    fn has_ended(&self) -> bool {
        self.ended || export_file::has_exporter_ended(self.lock)
    }
}

/// TN_ERR_DRIVER for an address in imported memory that may be gone: its exporter has ended, or the GPU's context was
/// reset.
#[inline]
pub fn refuse_ended(address: usize) -> Result<()> {
    if COUNT.load(Ordering::Acquire) == 0 { Ok(()) } else { refuse_ended_slow(address) }
}

#[cold]
fn refuse_ended_slow(address: usize) -> Result<()> {
    let has = |open: &Open| open.base <= address && address - open.base < open.bytes;
    let Some(open) = OPEN.lock().iter().copied().find(has) else { return Ok(()) };
    let why = if open.epoch != open.gpu.epoch() {
        "the GPU's primary context was reset"
    } else if open.has_ended() {
        "the process that exported it has ended"
    } else {
        return Ok(());
    };
    OPEN.lock().iter_mut().filter(|other| other.base == open.base).for_each(|other| other.ended = true);
    Err(fail(
        TN_ERR_DRIVER,
        format_args!(
            "this memory was imported from another process, and is gone: {why}; release the array and import it anew"
        ),
    ))
}

/// How many allocations are open; for tests.
pub fn open_count() -> usize {
    COUNT.load(Ordering::Acquire)
}
