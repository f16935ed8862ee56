//! What a list of arrays is borrowed for.
#![forbid(unsafe_code)]

use super::rules::Use;
use crate::array::Checked;
use crate::blit;
use crate::device_copy::{self, Outstanding};
use crate::error::{Result, drafted, fail};
use crate::ledger::{self, Claim, Class, GuardParams, InternalGuard, Locked, NewStore, Order as When};
use crate::slots::Id;
use crate::stream::{self, Queue};
use core::ffi::CStr;
use smallvec::SmallVec;

/// One array and what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The handle.
    pub id: Id,
    /// What for.
    pub wanted: Use,
    /// When its bytes will be touched.
    pub when: When,
}

impl Entry {
    /// For the host, now.
    pub fn now(id: Id, wanted: Use) -> Entry {
        Entry { id, wanted, when: When::HOST }
    }
}

/// How a COW entry's bytes get into its new store: done on return without a queue, else in the queue's order.
pub type Copier = fn(to: &mut NewStore, from: &InternalGuard, queue: Option<&'static Queue>) -> Result<()>;

/// What a list of entries is opened for.
#[derive(Clone, Copy)]
pub struct BorrowContext<'a> {
    /// The tn_ function, for the copy book.
    pub function: &'static CStr,
    /// Entries may overlap one another: a copy within one store orders itself.
    pub may_overlap: bool,
    /// Checks the arguments against the arrays: after their states, before what others do with them.
    pub fits: Option<&'a ShapeCheck<'a>>,
    /// Who copies for COW.
    pub copier: Copier,
    /// The host touches the bytes: arrays on a device that it cannot reach are refused.
    pub by_host: bool,
}

impl<'a> BorrowContext<'a> {
    /// Entries that may not overlap, with nothing to check but what others do with them.
    pub fn new(function: &'static CStr) -> BorrowContext<'a> {
        BorrowContext { function, may_overlap: false, fits: None, copier: copy_there, by_host: false }
    }

    /// The same for work of the host on the bytes.
    pub fn by_host(function: &'static CStr) -> BorrowContext<'a> {
        BorrowContext { by_host: true, ..BorrowContext::new(function) }
    }
}

/// See [`BorrowContext::fits`].
pub type ShapeCheck<'a> = dyn Fn(&Locked, &[&'static Claim]) -> Checked<()> + 'a;

/// Lists of up to so many entries need no memory of their own.
pub type List<T> = SmallVec<[T; 4]>;

/// The terms of a guard for a use.
pub fn terms(wanted: Use) -> GuardParams {
    match wanted {
        Use::Read { frozen } => GuardParams { class: Class::Read, frozen, discard: false, time_ns: 0 },
        Use::Write { discard, .. } => GuardParams { class: Class::Write, frozen: false, discard, time_ns: 0 },
        Use::Export { class, .. } => {
            GuardParams { class, frozen: false, discard: false, time_ns: crate::sys::os::coarse_time_ns() }
        }
    }
}

/// An empty list with room for `n`.
pub(super) fn list<T>(n: usize) -> Result<List<T>> {
    let mut list = List::new();
    ledger::reserve(&mut list, n)?;
    Ok(list)
}

/// Copies by the host what it can reach; what it cannot, on the queue, or on the thread's current one, which is then waited for.
fn copy_there(to: &mut NewStore, from: &InternalGuard, queue: Option<&'static Queue>) -> Result<()> {
    let on = match (ledger::is_reachable(to.device()), queue) {
        (true, _) => return blit::copy(&to.place()?, &from.place()?),
        (false, Some(queue)) => queue,
        (false, None) => stream::current(to.device())?,
    };
    match device_copy::copy(on, &to.memory_view()?, &from.memory_view()?, false) {
        Ok(Outstanding::Nothing) => Ok(()),
        Ok(_) if queue.is_some() => Ok(()),
        Ok(_) => on.synchronize(),
        Err(failed) => {
            // The new bytes go back, and no work may be left on them.
            let text = drafted();
            let _ = on.synchronize();
            Err(fail(failed.status.code(), format_args!("{}", text.as_str())))
        }
    }
}
