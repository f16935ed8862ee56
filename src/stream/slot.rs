//! Slots of streams and events: the state behind a handle of C, guarded by a lock.
//!
//! Contract: the lock is held for a few instructions. The state is dropped under no lock, because that may call the
//! driver.

use crate::error::Result;
use crate::slots::{Head, Id, Kind, Slot, State, Table, stale};
use crate::thread::{self, QuickLock};

/// The state in slots of one kind.
pub(super) trait Body: Send + 'static {
    /// The kind of the handles.
    const KIND: Kind;
}

/// A slot; its body is None while it has no handle.
struct Slotted<B> {
    head: Head,
    body: QuickLock<Option<B>>,
}

impl<B: Body> Slot for Slotted<B> {
    const KIND: Kind = B::KIND;
    fn new(head: Head) -> Slotted<B> {
        Slotted { head, body: QuickLock::new(None) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

/// Makes a handle.
pub(super) fn make<B: Body>(body: B) -> Result<Id> {
    let slot = Table::<Slotted<B>>::take(thread::current())?;
    *slot.body.lock() = Some(body);
    Ok(Table::publish(slot))
}

/// Runs `work` on the state of a handle, under the lock. TN_ERR_STALE, TN_ERR_KIND.
pub(super) fn with<B: Body, R>(id: Id, work: impl FnOnce(&mut B) -> R) -> Result<R> {
    let slot = Table::<Slotted<B>>::find(id)?;
    let mut inside = slot.body.lock();
    let Some(body) = inside.as_mut().filter(|_| slot.head.is(id)) else {
        drop(inside);
        return Err(stale(id, B::KIND));
    };
    Ok(work(body))
}

/// Releases a handle, and drops its state. TN_ERR_STALE, TN_ERR_KIND.
pub(super) fn release<B: Body>(id: Id) -> Result<()> {
    let slot = Table::<Slotted<B>>::find(id)?;
    let mut inside = slot.body.lock();
    let body = inside.take_if(|_| slot.head.is(id));
    if body.is_some() {
        slot.head.make_stale(State::Kept);
    }
    drop(inside);
    let body = body.ok_or_else(|| stale(id, B::KIND))?;
    Table::free(thread::current(), slot);
    drop(body);
    Ok(())
}
