//! Logs in memory are read: as a copy in the format of the file, or in place.
//!
//! Contract: the log is of one moment, because the world is stopped while its memory is read. A log in a file is not
//! read here: others can read the file.

use super::event::Kind;
use super::store::{CHUNK_BYTES, HEADER_BYTES, LOG, SLOT_BYTES, SLOTS, STORE, Slot, begin_copied_chunk};
use super::texts;
use crate::error::{Result, Status, fail};
use crate::sys::os;
use crate::thread;
use crate::types::*;
use core::sync::atomic::Ordering;

/// A copy of a log, in the format of its file. Its drop returns the memory.
pub struct Copied {
    start: usize,
    bytes: usize,
    used: usize,
}

impl Drop for Copied {
    fn drop(&mut self) {
        // SAFETY: mapped by `copy`, and this value alone has it.
        unsafe { os::unmap(self.start, self.bytes) };
    }
}

impl Copied {
    /// Adds bytes of the store, and room.
    fn add(&mut self, from: usize, bytes: usize, room: usize) {
        // SAFETY: bytes of the store, which stays while the world is stopped; the copy has the room, and this value
        // alone has it.
        unsafe { core::ptr::copy_nonoverlapping(from as *const u8, (self.start + self.used) as *mut u8, bytes) };
        self.used += room;
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped by `copy`, and nobody writes it any more.
        unsafe { core::slice::from_raw_parts(self.start as *const u8, self.used) }
    }
}

/// The most pools whose names a copy has.
const POOLS: usize = 4 * SLOTS as usize;

/// A copy that gets definitions, in chunks of no thread.
struct Definitions {
    copied: Copied,
    /// Slots of the last chunk that are in use.
    used: u32,
}

impl Definitions {
    /// Adds a definition, if there is room.
    fn add(&mut self, slots: [Slot; 2]) {
        if self.used + 2 > SLOTS {
            if self.copied.used + CHUNK_BYTES > self.copied.bytes {
                return;
            }
            begin_copied_chunk(self.copied.start + self.copied.used);
            self.copied.used += CHUNK_BYTES;
            self.used = 0;
        }
        let chunk = self.copied.start + self.copied.used - CHUNK_BYTES;
        // SAFETY: room for the two slots in the last chunk of the copy, which this value alone has.
        unsafe { *((chunk + (1 + self.used as usize) * SLOT_BYTES) as *mut [Slot; 2]) = slots };
        self.used += 2;
        STORE.set_used(chunk, self.used);
    }
}

/// Copies the log in memory, and adds the definitions of all call sites in it. `pools` defines the pools.
/// TN_ERR_INVALID: there is none.
pub fn copy(pools: impl FnOnce(&mut dyn FnMut(u64, &str))) -> Result<Copied> {
    let copied = thread::stop_the_world(copy_memory)?;
    let mut definitions = Definitions { copied, used: SLOTS };
    pools(&mut |serial, name| definitions.add(texts::slots(Kind::Pool, serial, 0, name)));
    texts::define_sites(|slots| definitions.add(slots));
    Ok(definitions.copied)
}

/// While the world is stopped.
fn copy_memory() -> Result<Copied> {
    let log = View::of_memory().ok_or_else(no_memory_log)?;
    let definitions = 2 * (texts::count() + POOLS);
    let count = log.chunks().count() + definitions.div_ceil(SLOTS as usize);
    let bytes = (HEADER_BYTES + count * CHUNK_BYTES).next_multiple_of(os::page_bytes());
    let none = || fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a copy of {bytes} bytes of events"));
    let mut copied = Copied { start: os::map(bytes, os::page_bytes()).ok_or_else(none)?, bytes, used: 0 };
    copied.add(STORE.memory().0, HEADER_BYTES, HEADER_BYTES);
    for (chunk, used) in log.chunks() {
        copied.add(chunk, (1 + used) * SLOT_BYTES, CHUNK_BYTES);
    }
    Ok(copied)
}

#[cold]
fn no_memory_log() -> Status {
    let text = match STORE.is_file() {
        true => "the events are in their file already; it can be read at any time",
        false => "there is no log of events; begin one with tn_log_start",
    };
    fail(TN_ERR_INVALID, format_args!("{text}"))
}

/// A log in memory, in place, while the world is stopped.
pub struct View(());

impl View {
    /// The log, with its clock brought up to date. None: there is none in memory.
    fn of_memory() -> Option<View> {
        if !STORE.exists() || STORE.is_file() {
            return None;
        }
        if LOG.load(Ordering::Relaxed) != 0 {
            STORE.set_clock();
        }
        Some(View(()))
    }

    /// The chunks in use: the address of each, and its number of slots in use.
    fn chunks(&self) -> impl Iterator<Item = (usize, usize)> {
        let (start, chunks) = STORE.memory();
        let used = |number| STORE.used(number) as usize;
        (0..chunks)
            .map(move |number| (start + HEADER_BYTES + number * CHUNK_BYTES, used(number)))
            .filter(|chunk| chunk.1 > 0)
    }

    /// Calls `visit` with the kind and the words of each slot in the log. Each thread's events are in their order.
    pub fn each(&self, mut visit: impl FnMut(u8, &Slot)) {
        for (chunk, used) in self.chunks() {
            // SAFETY: the chunk's slots in use, behind its header; the world is stopped, so that nobody writes them.
            let slots = unsafe { core::slice::from_raw_parts((chunk + SLOT_BYTES) as *const Slot, used) };
            slots.iter().for_each(|slot| visit(slot[1] as u8, slot));
        }
    }

    /// Events that are not in the log: dropped or overwritten.
    pub fn missing(&self) -> u64 {
        STORE.dropped.load(Ordering::Relaxed) + STORE.overwritten()
    }

    /// Ticks when the log began, ticks of a later moment, and the nanoseconds in between.
    pub fn clock(&self) -> (u64, u64, u64) {
        STORE.clock()
    }
}

/// Looks at the log in memory, while the world is stopped. None: there is none.
pub fn view<R>(look: impl FnOnce(&View) -> R) -> Option<R> {
    // Spares the stop where nothing is recorded.
    if !STORE.exists() || STORE.is_file() {
        return None;
    }
    thread::stop_the_world(|| View::of_memory().map(|log| look(&log)))
}
