//! Where a thread writes its events.
//!
//! Contract: a cursor belongs to its thread, and to its exit hook. It leads into a chunk of the log whose number it
//! has; a cursor of an earlier log leads nowhere. Used in critical sections only.

use super::store::{Chunk, LOG, SLOT_BYTES, SLOTS, STORE, Slot};
use crate::thread::{self, Area, PerThread, Thread, area};
use core::cell::Cell;
use core::sync::atomic::Ordering;

/// Slots after which the pair of clocks in the header is updated.
const CLOCK_INTERVAL: u32 = 64;

/// All zero: no chunk.
pub struct Cursor {
    /// The number of the log; 0: none.
    log: Cell<u64>,
    /// The chunk's number, from 1, and the address of its header; 0: none.
    number: Cell<usize>,
    start: Cell<usize>,
    used: Cell<u32>,
    /// The thread that took the chunk. The record of a thread goes to a later one.
    thread: Cell<u32>,
}

// SAFETY: zeros are valid and mean no chunk. Only the thread and its exit hook touch the cells. The area is for this
// type.
unsafe impl PerThread for Cursor {
    const AREA: Area = area::EVENTS;
}

impl Cursor {
    /// Writes slots, next to each other. In a critical section of the thread.
    #[inline]
    pub fn write(thread: &'static Thread, slots: &[Slot]) {
        let cursor = Cursor::of(thread);
        if !cursor.has_room(thread, slots.len()) && !cursor.advance(thread) {
            return;
        }
        let used = cursor.used.get();
        let at = cursor.start.get() + (used as usize + 1) * SLOT_BYTES;
        // SAFETY: the chunk is this thread's, in the log that runs, and has room for the slots. The log does not end
        // during a critical section.
        unsafe { core::ptr::copy_nonoverlapping(slots.as_ptr(), at as *mut Slot, slots.len()) };
        let now = used + slots.len() as u32;
        cursor.used.set(now);
        STORE.set_used(cursor.start.get(), now);
        if now / CLOCK_INTERVAL != used / CLOCK_INTERVAL {
            STORE.set_clock();
        }
    }

    /// Whether it leads into a chunk of the log, taken by this thread, with room.
    #[inline(always)]
    fn has_room(&self, thread: &Thread, slots: usize) -> bool {
        self.number.get() != 0
            && self.log.get() == LOG.load(Ordering::Relaxed)
            && self.thread.get() == thread.number()
            && self.used.get() as usize + slots <= SLOTS as usize
    }

    /// Takes the next chunk. False: there is none, so the event is dropped, or there is no log.
    #[cold]
    #[inline(never)]
    fn advance(&self, thread: &'static Thread) -> bool {
        self.leave();
        let log = LOG.load(Ordering::Relaxed);
        if log == 0 {
            return false;
        }
        thread::on_exit(end);
        let Some(Chunk { number, start }) = STORE.take(thread) else {
            STORE.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        self.log.set(log);
        self.number.set(number);
        self.start.set(start);
        self.used.set(0);
        self.thread.set(thread.number());
        true
    }

    /// Leaves the chunk to others.
    fn leave(&self) {
        let number = self.number.replace(0);
        if number != 0 && self.log.get() == LOG.load(Ordering::Relaxed) {
            STORE.leave(number);
        }
    }
}

/// The exit hook. The thread's record may go to another thread.
fn end(thread: &'static Thread) {
    let inside = thread::current_if_registered().map(thread::CriticalSection::enter);
    Cursor::of(thread).leave();
    drop(inside);
}
