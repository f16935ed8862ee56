//! The copy book: counts the copies of imports, exports and copy-on-write, by call site.
//!
//! Contract: counting allocates nothing and never fails. The table has a fixed size. Copies whose key does not fit are
//! counted in one entry without function and site. Any thread. The lock is held only for a table access.
#![forbid(unsafe_code)]

use crate::events::{self, Kind};
use crate::sites::Site;
use crate::thread::ColdLock;
use core::ffi::CStr;

/// What copies are grouped by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The tn_ function; None: the entry for copies that did not fit.
    pub function: Option<&'static CStr>,
    /// The caller's site (TN_HERE).
    pub site: Site,
    /// The reasons: TN_WHY_ bits.
    pub why: u32,
    /// Whether the caller would have accepted an alias.
    pub forced: bool,
}

/// All copies of one key.
#[derive(Clone, Copy)]
pub struct Copies {
    /// The group.
    pub key: Key,
    /// The number of copies.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

const NO_KEY: Key = Key { function: None, site: Site::NONE, why: 0, forced: false };
const NO_COPIES: Copies = Copies { key: NO_KEY, count: 0, bytes: 0 };
/// Entries of the table; a power of two.
const MAX_KEYS: usize = 4096;
/// Entries that are probed for a key before it counts as not fitting.
const MAX_PROBES: usize = 64;

struct Book {
    entries: [Copies; MAX_KEYS],
    other: Copies,
    /// A buffer for sorting, so that a query allocates nothing.
    order: [u16; MAX_KEYS + 1],
}

static BOOK: ColdLock<Book> =
    ColdLock::new(Book { entries: [NO_COPIES; MAX_KEYS], other: NO_COPIES, order: [0; MAX_KEYS + 1] });

fn slot(key: &Key) -> usize {
    let function = key.function.map_or(0, |f| f.as_ptr() as u64);
    let mixed = function ^ (u64::from(key.site.number()) << 32) ^ (u64::from(key.why) << 1) ^ u64::from(key.forced);
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize % MAX_KEYS
}

/// Counts a copy.
pub fn note_copy(key: Key, bytes: u64) {
    let mut book = BOOK.lock();
    let start = slot(&key);
    let mut at = None;
    for probe in 0..MAX_PROBES {
        let index = (start + probe) % MAX_KEYS;
        let entry = &book.entries[index];
        if entry.count == 0 || entry.key == key {
            at = Some(index);
            break;
        }
    }
    let entry = match at {
        Some(index) => {
            book.entries[index].key = key;
            &mut book.entries[index]
        }
        None => &mut book.other,
    };
    entry.count += 1;
    entry.bytes += bytes;
    drop(book);
    events::record(Kind::Copy, |event| {
        event.bytes = bytes;
        event.other = u64::from(key.why);
        event.detail = u8::from(key.forced);
    });
}

/// Calls `out` with the position and value of the first `capacity` entries, ordered by bytes, most first. Returns the
/// number of all entries. `out` runs under the lock.
pub fn copies(out: &mut dyn FnMut(usize, Copies), capacity: usize) -> usize {
    let mut book = BOOK.lock();
    let Book { entries, other, order } = &mut *book;
    let entry = |index: u16| if usize::from(index) < MAX_KEYS { &entries[usize::from(index)] } else { &*other };
    let mut count = 0;
    for index in 0..=MAX_KEYS as u16 {
        if entry(index).count > 0 {
            order[count] = index;
            count += 1;
        }
    }
    order[..count].sort_unstable_by_key(|index| core::cmp::Reverse(entry(*index).bytes));
    for (position, index) in order[..count.min(capacity)].iter().enumerate() {
        out(position, *entry(*index));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_add_up_by_key_and_come_largest_first() {
        let key = |why| Key { function: Some(c"tn_test"), site: Site::NONE, why, forced: true };
        for (why, bytes) in [(1 << 20, 10), (1 << 21, 30), (1 << 20, 5), (1 << 22, 14)] {
            note_copy(key(why), bytes);
        }
        let mut seen = Vec::new();
        let count = copies(&mut |_, entry| seen.push(entry), usize::MAX);
        assert_eq!(count, seen.len());
        let ours: Vec<_> =
            seen.iter().filter(|e| e.key.function == Some(c"tn_test")).map(|e| (e.key.why, e.count, e.bytes)).collect();
        assert_eq!(ours, [(1 << 21, 1, 30), (1 << 20, 2, 15), (1 << 22, 1, 14)].to_vec());
    }
}
