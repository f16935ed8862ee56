//! The guard of a borrow_all: one handle over a list of guards.

use super::class::Class;
use super::guard::SpareGuard;
use super::locked::Locked;
use super::origin::Origin;
use super::state::{Guard, GuardBody};
use crate::error::Result;
use crate::slots::{Id, Table};
use crate::stream::Point;
use crate::sys::sync::atomic::Ordering;
use crate::thread::Thread;
use crate::types::tn_device;

/// The head of a borrow_all: a handle over several guards, which belongs to no ledger.
pub struct GuardList {
    head: SpareGuard,
    first: Option<&'static Guard>,
}

impl GuardList {
    /// Takes the head's slot; outside of locks.
    pub(crate) fn take(thread: &'static Thread) -> Result<GuardList> {
        Ok(GuardList { head: SpareGuard::take(thread)?, first: None })
    }

    /// Adds an entry. `streamed`: it was opened with a stream.
    pub(crate) fn push(&mut self, locked: &mut Locked, guard: &'static Guard, streamed: bool) {
        let body = locked.get_mut(guard);
        body.streamed = streamed;
        body.entry = self.first;
        body.head = Some(self.head.slot());
        self.first = Some(guard);
    }

    /// Publishes the handle.
    pub(crate) fn publish(self, origin: Origin) -> Id {
        let head = self.head.into_slot();
        head.guarded.ledger.store(core::ptr::null_mut(), Ordering::Release);
        // SAFETY: not published yet: ours alone.
        *unsafe { head.guarded.own() } = GuardBody { class: Class::Group, entry: self.first, origin, ..GuardBody::NEW };
        Table::publish(head)
    }
}

/// Ends the borrow_all with this handle; false if another thread has ended it. For entries that were opened with a
/// stream, `point_of` gives the point until which work on a device continues. It is called for all entries first, and
/// if it fails, all stay open.
pub fn end_guard_list(
    id: Id,
    head: &'static Guard,
    failed: bool,
    point_of: &mut dyn FnMut(tn_device) -> Result<Option<Point>>,
) -> Result<bool> {
    if !head.head.end(id) {
        return Ok(false);
    }
    // SAFETY: the compare-exchange made it ours alone until it is ended or resumed.
    let first = unsafe { head.guarded.own() }.entry;
    let mut at = first;
    while let Some(guard) = at {
        let (next, taken_on) = {
            let locked = guard.lock();
            let body = locked.get(guard);
            (body.entry, body.streamed.then(|| locked.state(locked.ledger_of(guard)).device))
        };
        at = next;
        // Called again below, with the same result.
        if let Some(device) = taken_on
            && let Err(status) = point_of(device)
        {
            head.head.resume(id);
            return Err(status);
        }
    }
    // SAFETY: as above.
    *unsafe { head.guarded.own() } = GuardBody::NEW;
    let mut at = first;
    while let Some(guard) = at {
        let mut locked = guard.lock();
        let body = locked.get(guard);
        at = body.entry;
        let taken_on = body.streamed.then(|| locked.state(locked.ledger_of(guard)).device);
        let point = taken_on.and_then(|device| point_of(device).ok().flatten());
        locked.end_guard_at(guard, failed, point);
    }
    Table::free(crate::thread::current(), head);
    Ok(true)
}

/// Where a borrow_all was opened.
pub fn origin_of_head(head: &'static Guard) -> Origin {
    // SAFETY: written before the handle was published, and not changed until it is freed; for reports only.
    unsafe { &*head.guarded.body.get() }.origin
}
