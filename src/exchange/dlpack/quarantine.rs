//! The slots of structs that are not out: each thread rests its own, oldest first.
//!
//! Contract: a slot is used again only after [`RESTING`] others that came back on the same thread, or, where it was handed on, in the
//! queue of all: for so long a second call of its deleter is noticed. A thread hands on what it has too many of, and all when it ends. Its
//! own queue changes only while it is inside, so that a fork finds it whole. Allocates but in [`take`]; any thread.

use super::abi::Export;
use crate::error::Result;
use crate::slots::Table;
use crate::thread::{self, ColdLock, CriticalSection, Thread};

/// So many slots rest before the oldest is used again.
const RESTING: usize = 64;
/// From here on a thread hands [`RESTING`] of them on, to those that export what it deletes.
const MOST: usize = 2 * RESTING;

/// Slots, oldest first.
struct Queue {
    first: Option<&'static Export>,
    last: Option<&'static Export>,
    count: usize,
}

/// What no thread has.
static SHARED: ColdLock<Queue> = ColdLock::new(Queue { first: None, last: None, count: 0 });

/// The link of a slot, which is its queue's while it rests.
fn next(slot: &'static Export) -> *mut Option<&'static Export> {
    // SAFETY: slots are never unmapped; only the place is named.
    unsafe { &raw mut (*slot.out.get()).next }
}

fn of_address(address: usize) -> Option<&'static Export> {
    // SAFETY: 0, or a slot that `put` stored, which is never unmapped.
    unsafe { (address as *const Export).as_ref() }
}

fn address(slot: Option<&'static Export>) -> usize {
    slot.map_or(0, |slot| core::ptr::from_ref(slot).expose_provenance())
}

/// The slot that rested longest on this thread, if enough others do.
#[inline(always)]
pub fn take_rested(thread: &'static Thread) -> Option<&'static Export> {
    let rest = thread.rest();
    if rest.count.get() <= RESTING {
        return None;
    }
    let _inside = CriticalSection::enter(thread);
    let slot = of_address(rest.first.get())?;
    // SAFETY: in our own thread's queue.
    rest.first.set(address(unsafe { (*next(slot)).take() }));
    rest.count.set(rest.count.get() - 1);
    Some(slot)
}

/// A slot for the caller alone.
pub fn take(thread: &'static Thread) -> Result<&'static Export> {
    if let Some(slot) = take_rested(thread) {
        return Ok(slot);
    }
    {
        let mut shared = SHARED.lock();
        if shared.count > RESTING
            && let Some(first) = shared.first
        {
            // SAFETY: in the queue, which we have locked.
            shared.first = unsafe { (*next(first)).take() };
            shared.count -= 1;
            return Ok(first);
        }
    }
    Table::<Export>::take(thread)
}

/// Gives a slot back that is not out any more.
#[inline(always)]
pub fn put(thread: &'static Thread, slot: &'static Export) {
    let rest = thread.rest();
    let inside = CriticalSection::enter(thread);
    // SAFETY: ours alone.
    unsafe { *next(slot) = None };
    match of_address(rest.last.replace(address(Some(slot)))) {
        // SAFETY: in our own thread's queue; the last one taken off it may still be named as its end, hence the count.
        Some(last) if rest.count.get() > 0 => unsafe { *next(last) = Some(slot) },
        _ => {
            rest.first.set(address(Some(slot)));
            thread::on_exit(hand_on_all);
        }
    }
    rest.count.set(rest.count.get() + 1);
    drop(inside);
    if rest.count.get() >= MOST {
        hand_on(thread, RESTING);
    }
}

fn hand_on_all(thread: &'static Thread) {
    hand_on(thread, thread.rest().count.get());
}

/// The oldest of a thread become everybody's.
#[cold]
#[inline(never)]
fn hand_on(thread: &'static Thread, count: usize) {
    let mut shared = SHARED.lock();
    let rest = thread.rest();
    for _ in 0..count {
        let Some(slot) = of_address(rest.first.get()) else { break };
        // SAFETY: in the queue of our own thread, or of one that is gone.
        rest.first.set(address(unsafe { (*next(slot)).take() }));
        rest.count.set(rest.count.get() - 1);
        match shared.last.replace(slot) {
            // SAFETY: in the queue, which we have locked; the last one taken off it may still be named as its end.
            Some(last) if shared.first.is_some() => unsafe { *next(last) = Some(slot) },
            _ => shared.first = Some(slot),
        }
        shared.count += 1;
    }
}
