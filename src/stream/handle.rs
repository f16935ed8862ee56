//! Handles on streams: what `tn_stream` is.
//!
//! Contract: a handle holds its queue, so the stream lives as long as any handle, thread or scope has it; releasing one never waits. A handle
//! on the per-thread stream means that of whoever uses it, as the driver's value does.

use super::argument::Stream;
use super::current::own;
use super::held::Held;
use super::queue::Origin;
use crate::device::cuda::Gpu;
use crate::error::{Result, fail};
use crate::slots::{Head, Id, Kind, Slot, State, Table};
use crate::sys::lock::RawLock;
use crate::thread::{self, Critical};
use crate::types::*;
use core::cell::UnsafeCell;

/// A handle, in a slot.
pub struct Handle {
    head: Head,
    lock: RawLock,
    meaning: UnsafeCell<Option<Meaning>>,
}

/// What a handle is on.
#[derive(Clone)]
pub(super) enum Meaning {
    /// The per-thread stream of that GPU.
    PerThread(&'static Gpu),
    /// A queue.
    Held(Held),
}

// SAFETY: the meaning is reached under the lock, or by the only one who knows the slot.
unsafe impl Sync for Handle {}

impl Slot for Handle {
    const KIND: Kind = Kind::Stream;
    fn new(head: Head) -> Handle {
        Handle { head, lock: RawLock::new(), meaning: UnsafeCell::new(None) }
    }
    fn head(&self) -> &Head {
        &self.head
    }
}

impl Meaning {
    /// What a handle on a stream that the calling thread uses is on.
    pub fn of(held: Held) -> Meaning {
        match held.queue().origin() {
            Origin::PerThread => Meaning::PerThread(held.queue().gpu()),
            _ => Meaning::Held(held),
        }
    }
}

/// A new handle.
pub(super) fn make(meaning: Meaning) -> Result<Id> {
    let slot = Table::<Handle>::take(thread::current())?;
    // SAFETY: not published: the slot is ours alone.
    unsafe { *slot.meaning.get() = Some(meaning) };
    Ok(Table::publish(slot))
}

/// What a handle is on. TN_ERR_STALE, TN_ERR_KIND.
pub(super) fn meaning(id: Id) -> Result<Meaning> {
    let slot = Table::<Handle>::find(id)?;
    let inside = Critical::enter(thread::current());
    slot.lock.lock();
    // SAFETY: under the lock; a clone is an atomic step.
    let meaning = if slot.head.is(id) { unsafe { (*slot.meaning.get()).clone() } } else { None };
    slot.lock.unlock();
    drop(inside);
    meaning.ok_or_else(|| stale(id))
}

/// The same as an argument.
#[inline(never)]
pub(super) fn find(id: Id) -> Result<Stream> {
    Ok(match meaning(id)? {
        Meaning::PerThread(gpu) => Stream::Held(own(gpu)?.held()),
        Meaning::Held(held) => Stream::Held(held),
    })
}

/// Releases a handle; the stream itself lives on as long as somebody holds it.
pub fn release(id: Id) -> Result<()> {
    let slot = Table::<Handle>::find(id)?;
    let inside = Critical::enter(thread::current());
    slot.lock.lock();
    let live = slot.head.is(id);
    let mut meaning = None;
    if live {
        slot.head.make_stale(State::Kept);
        // SAFETY: under the lock.
        meaning = unsafe { (*slot.meaning.get()).take() };
    }
    slot.lock.unlock();
    drop(inside);
    if !live {
        return Err(stale(id));
    }
    Table::free(thread::current(), slot);
    drop(meaning);
    Ok(())
}

#[cold]
fn stale(id: Id) -> crate::error::Status {
    fail(TN_ERR_STALE, format_args!("the tn_stream {id} was released already"))
}
