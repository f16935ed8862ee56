//! Texts in the log: names of arrays, call sites and pools.
//!
//! Contract: an event has the number of its call site, and the log defines each number that occurs. A log in a file
//! does so before the number's first event. In memory the definition could be overwritten, so there [`define`] adds
//! them to a copy.

use super::cursor::Cursor;
use super::event::Kind;
use super::store::Slot;
use crate::names::NAME_BYTES;
use crate::sites::Site;
use crate::sys::ticks;
use crate::thread::Thread;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bit n: the log has events of call site n. Sites have 16 bits.
static SITES: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

/// Whether definitions are written as they are needed.
static ARE_WRITTEN: AtomicBool = AtomicBool::new(false);

/// Prepares a new log. While the world is stopped.
pub fn begin(is_file: bool) {
    SITES.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    ARE_WRITTEN.store(is_file, Ordering::Relaxed);
}

/// Whether definitions are written as they are needed.
pub fn are_written() -> bool {
    ARE_WRITTEN.load(Ordering::Relaxed)
}

/// Notes that an event of this site follows. In a critical section of the thread.
#[inline]
pub fn use_site(thread: &'static Thread, site: u32) {
    let (word, bit) = (&SITES[site as usize / 64 % SITES.len()], 1 << (site % 64));
    if site == 0 || word.load(Ordering::Relaxed) & bit != 0 {
        return;
    }
    let first = word.fetch_or(bit, Ordering::Relaxed) & bit == 0;
    if first && are_written() {
        Cursor::write(thread, &site_slots(site));
    }
}

fn site_slots(site: u32) -> [Slot; 2] {
    slots(Kind::Site, u64::from(site), 0, Site::from_number(site).name().as_str())
}

/// Calls `add` with the definitions of all sites of the log.
pub fn define_sites(mut add: impl FnMut([Slot; 2])) {
    for (at, word) in SITES.iter().enumerate() {
        let word = word.load(Ordering::Relaxed);
        for bit in (0..64).filter(|bit| word >> bit & 1 != 0) {
            add(site_slots(at as u32 * 64 + bit));
        }
    }
}

/// The number of sites of the log.
pub fn count() -> usize {
    SITES.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum()
}

/// Bytes of a text in its first slot, and in the second.
const FIRST_BYTES: usize = 24;
const REST_BYTES: usize = 48;
const _: () = assert!(FIRST_BYTES + REST_BYTES >= NAME_BYTES);

/// A text of at most [`NAME_BYTES`] as two slots, for `w2` and `w3`.
pub fn slots(kind: Kind, subject: u64, address: u64, text: &str) -> [Slot; 2] {
    let mut bytes = [0; FIRST_BYTES + REST_BYTES];
    let length = text.len().min(NAME_BYTES);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    let words: [u64; 9] =
        core::array::from_fn(|at| u64::from_le_bytes(*bytes[8 * at..].first_chunk().unwrap_or(&[0; 8])));
    let now = ticks::now();
    let [a, b, c, d, e, f, g, h, i] = words;
    [
        [now, kind as u64 | 255 << 16, subject, address, length as u64, a, b, c],
        [now, Kind::Text as u64 | 255 << 16, d, e, f, g, h, i],
    ]
}
