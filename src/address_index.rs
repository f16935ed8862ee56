//! The address index: finds the stores that have bytes in an address range.
//!
//! A pool block records the tag of its store, so pool memory needs no index. The ranges of foreign stores are entered
//! here, sorted and disjoint. An entry may be larger than its store, which shrinks under its own lock when a lease
//! ends. It may also outlast its store for a moment. So a search asks for each store's current range, and corrects the
//! entry.
//!
//! Contract: stores are known only by their tags. The lock of the index is taken before those of ledgers, never under
//! one. Nothing is allocated under it: [`lock`] ensures capacity for one more entry first. No address is dereferenced.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::grow_unlocked;
use crate::pool;
use crate::sys::file::Errno;
use crate::thread::{QuickGuard, QuickLock, Thread};
use crate::types::*;

#[derive(Clone, Copy)]
struct Range {
    start: i64,
    end: i64,
    tag: u64,
}

static RANGES: QuickLock<Vec<Range>> = QuickLock::new(Vec::new());

/// The locked index, with capacity for one more entry.
pub struct AddressIndex(QuickGuard<'static, Vec<Range>>);

/// The stores that share bytes with a range, by tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overlap {
    /// None.
    None,
    /// Exactly one.
    One(u64),
    /// More than one.
    Several,
}

impl Overlap {
    fn and(self, tag: u64) -> Overlap {
        if self == Overlap::None { Overlap::One(tag) } else { Overlap::Several }
    }
}

/// Locks the index if it has capacity for one more entry.
#[inline]
pub fn lock_with_room(thread: &'static Thread) -> Option<AddressIndex> {
    let ranges = RANGES.lock_as(thread);
    (ranges.len() < ranges.capacity()).then_some(AddressIndex(ranges))
}

/// Ensures capacity for one more entry, and locks the index.
pub fn lock() -> Result<AddressIndex> {
    grow_unlocked::lock(&RANGES, 64).map(AddressIndex).map_err(|wanted| {
        fail(
            TN_ERR_NO_HOST_MEMORY,
            format_args!("no memory for the addresses of {wanted} imports: {}", Errno::NO_MEMORY),
        )
    })
}

impl AddressIndex {
    /// Whether no store is entered with a byte of [start, end). False may be out of date, because it does not ask the
    /// stores, unlike [`AddressIndex::find`].
    #[inline]
    pub fn is_free(&self, start: i64, end: i64) -> bool {
        let index = self.0.partition_point(|range| range.end <= start);
        self.0.get(index).is_none_or(|range| range.start >= end)
            && pool::first_in(start as usize, end as usize).is_none()
    }

    /// The stores with bytes in [start, end); none for an empty range. `current` returns the current range of a store;
    /// None: the store has ended.
    pub fn find(&mut self, start: i64, end: i64, current: &dyn Fn(u64) -> Option<(i64, i64)>) -> Overlap {
        let mut found = Overlap::None;
        let mut at = start;
        while let Some(block) = pool::first_in(at as usize, end as usize) {
            at = (block.start + block.usable) as i64;
            if block.owner != 0 && current(block.owner).is_some() {
                found = found.and(block.owner);
                if found == Overlap::Several {
                    return found;
                }
            }
        }
        let mut index = self.0.partition_point(|range| range.end <= start);
        while let Some(range) = self.0.get(index).copied().filter(|range| range.start < end) {
            let Some((first, last)) = current(range.tag) else {
                self.0.remove(index);
                continue;
            };
            self.0[index] = Range { start: first, end: last, tag: range.tag };
            if first < end && start < last {
                found = found.and(range.tag);
                if found == Overlap::Several {
                    return found;
                }
            }
            index += 1;
        }
        found
    }

    /// Enters a store of foreign bytes, after [`AddressIndex::find`] found none there. [`lock`] has ensured the
    /// capacity.
    pub fn insert(&mut self, start: i64, end: i64, tag: u64) {
        let index = self.0.partition_point(|range| range.start < start);
        debug_assert!(self.0.len() < self.0.capacity());
        let range = Range { start, end, tag };
        // `push` if no entry has to move: `insert` would call memmove.
        if index == self.0.len() { self.0.push(range) } else { self.0.insert(index, range) }
    }

    /// Changes the range of a store. The new range overlaps no other entry.
    pub fn resize(&mut self, start: i64, end: i64, tag: u64) {
        if let Some(range) = self.0.iter_mut().find(|range| range.tag == tag) {
            range.start = start;
            range.end = end;
        }
    }
}

/// Removes the store of foreign bytes that began at `start`.
pub fn remove(thread: &'static Thread, start: i64, tag: u64) {
    let mut ranges = RANGES.lock_as(thread);
    let index = ranges.partition_point(|range| range.end <= start);
    match ranges.get(index) {
        Some(range) if range.tag == tag && index + 1 == ranges.len() => drop(ranges.pop()),
        Some(range) if range.tag == tag => drop(ranges.remove(index)),
        _ => ranges.retain(|range| range.tag != tag),
    }
}
