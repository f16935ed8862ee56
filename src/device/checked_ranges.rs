//! The ranges of checked memory, and the order in which they were freed.
//!
//! Contract: plain data for one lock. Entering, finding by the start, freeing and removing take constant time. A search
//! by any other address looks at every range: it is for messages. Nothing allocates but [`make_room`].
#![forbid(unsafe_code)]

use super::interface::GRANULE;
use crate::grow_unlocked;
use crate::names::Name;
use crate::sys::page_access::PageAccess;
use crate::thread::QuickLock;

/// Freed ranges are kept until their addresses add up to this.
const KEPT_BYTES: usize = 16 << 30;
/// Freed ranges that are kept at most.
const KEPT_RANGES: usize = 8192;
/// Ranges are divided into lists by their addresses. The table is part of the library's data, 16 KiB.
const LISTS: usize = 1 << 12;

/// Who had an array, and where.
#[derive(Clone, Copy)]
pub struct Use {
    /// What it was.
    pub what: &'static str,
    /// The number of the site where it began.
    pub began: u32,
    /// The number of the site where it ended.
    pub ended: u32,
    /// The system's number of the thread that ended it.
    pub thread: u32,
}

/// Memory of one block.
#[derive(Clone, Copy)]
pub struct Range {
    /// The address; 0: this entry is unused.
    pub start: usize,
    /// The bytes that the pool has. A granule that is never accessible follows.
    pub bytes: usize,
    /// The bytes of the array; 0: of none, so that all are accessible.
    pub array: usize,
    /// What the processor allows.
    pub access: PageAccess,
    /// Of the array.
    pub name: Name,
    /// The last use of the array.
    pub last: Option<Use>,
    /// The numbers of the site and of the thread that freed it; None: it is in use.
    pub release: Option<(u32, u32)>,
    /// There were too many mappings: all bytes stay accessible.
    pub open: bool,
    /// In its list, or the next unused entry.
    next: Link,
    /// The range that was freed next.
    newer: Link,
}

impl Range {
    /// A range that a pool is to have.
    pub fn new(start: usize, bytes: usize) -> Range {
        Range {
            start,
            bytes,
            array: 0,
            access: PageAccess::Write,
            name: Name::NONE,
            last: None,
            release: None,
            open: false,
            next: Link::NONE,
            newer: Link::NONE,
        }
    }

    /// How many bytes lie between the address and the array or block; 0: it is inside.
    fn distance(&self, address: usize) -> usize {
        let end = self.start + if self.array > 0 { self.array } else { self.bytes };
        if address < self.start { self.start - address } else { (address + 1).saturating_sub(end) }
    }

    fn extent(&self) -> usize {
        self.bytes + GRANULE
    }
}

/// The number of an entry and one; 0: none.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(u32);

impl Link {
    const NONE: Link = Link(0);

    fn to(index: usize) -> Link {
        Link(index as u32 + 1)
    }
    fn index(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }
}

/// All ranges.
pub struct Ranges {
    entries: Vec<Range>,
    lists: [Link; LISTS],
    unused: Link,
    oldest: Link,
    newest: Link,
    /// Ranges in use.
    in_use: usize,
    /// Freed ranges, and their addresses in bytes.
    kept: usize,
    kept_bytes: usize,
}

impl Ranges {
    /// None.
    pub const EMPTY: Ranges = Ranges {
        entries: Vec::new(),
        lists: [Link::NONE; LISTS],
        unused: Link::NONE,
        oldest: Link::NONE,
        newest: Link::NONE,
        in_use: 0,
        kept: 0,
        kept_bytes: 0,
    };

    /// How many are in use.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    fn link(&mut self, link: Link) -> Option<&mut Range> {
        link.index().map(|index| &mut self.entries[index])
    }

    fn list_of(start: usize) -> usize {
        start / GRANULE % LISTS
    }

    fn index_of(&self, start: usize) -> Option<usize> {
        let mut link = self.lists[Self::list_of(start)];
        while let Some(index) = link.index() {
            if self.entries[index].start == start {
                return Some(index);
            }
            link = self.entries[index].next;
        }
        None
    }

    /// The range that starts there.
    pub fn at(&mut self, start: usize) -> Option<&mut Range> {
        let index = self.index_of(start)?;
        Some(&mut self.entries[index])
    }

    /// The range whose array or block is nearest to the address, at most a granule away.
    pub fn nearest(&self, address: usize) -> Option<Range> {
        let used = self.entries.iter().filter(|range| range.start > 0);
        let nearest = used.min_by_key(|range| range.distance(address))?;
        let inside = (nearest.start..nearest.start + nearest.extent()).contains(&address);
        (inside || nearest.distance(address) <= GRANULE).then_some(*nearest)
    }

    /// Enters a range. False: [`make_room`] comes first.
    pub fn enter(&mut self, mut range: Range) -> bool {
        let list = Self::list_of(range.start);
        range.next = self.lists[list];
        let index = match self.unused.index() {
            Some(index) => {
                self.unused = self.entries[index].next;
                self.entries[index] = range;
                index
            }
            None if self.entries.len() < self.entries.capacity() => {
                self.entries.push(range);
                self.entries.len() - 1
            }
            None => return false,
        };
        self.lists[list] = Link::to(index);
        self.in_use += 1;
        true
    }

    /// Keeps a range that was freed.
    pub fn free(&mut self, start: usize, release: (u32, u32)) {
        let Some(index) = self.index_of(start) else { return };
        let range = &mut self.entries[index];
        (range.access, range.release, range.newer) = (PageAccess::None, Some(release), Link::NONE);
        self.kept_bytes += range.extent();
        (self.in_use, self.kept) = (self.in_use - 1, self.kept + 1);
        let before = core::mem::replace(&mut self.newest, Link::to(index));
        match self.link(before) {
            Some(before) => before.newer = Link::to(index),
            None => self.oldest = Link::to(index),
        }
    }

    /// Removes the range that was freed first, if too many are kept. Returns its address and its extent.
    pub fn remove_oldest(&mut self) -> Option<(usize, usize)> {
        if self.kept <= KEPT_RANGES && self.kept_bytes <= KEPT_BYTES {
            return None;
        }
        let index = self.oldest.index()?;
        let range = self.entries[index];
        self.oldest = range.newer;
        if self.oldest == Link::NONE {
            self.newest = Link::NONE;
        }
        (self.kept, self.kept_bytes) = (self.kept - 1, self.kept_bytes - range.extent());
        let first = Self::list_of(range.start);
        if self.lists[first] == Link::to(index) {
            self.lists[first] = range.next;
        } else {
            let mut before = self.lists[first];
            while let Some(at) = before.index() {
                before = self.entries[at].next;
                if before == Link::to(index) {
                    self.entries[at].next = range.next;
                }
            }
        }
        let unused = core::mem::replace(&mut self.unused, Link::to(index));
        self.entries[index] = Range { next: unused, ..Range::new(0, 0) };
        Some((range.start, range.extent()))
    }
}

/// Makes room for one more range, under no lock. False: there is no memory.
pub fn make_room(ranges: &QuickLock<Ranges>) -> bool {
    grow_unlocked::make_in(ranges, |ranges| &mut ranges.entries, 1024).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const FREED: (u32, u32) = (0, 1);

    fn of(starts: &[usize]) -> QuickLock<Ranges> {
        let ranges = QuickLock::new(Ranges::EMPTY);
        for start in starts {
            assert!(make_room(&ranges));
            assert!(ranges.lock().enter(Range::new(*start, GRANULE)));
        }
        ranges
    }

    #[test]
    fn those_of_one_list_are_found_and_removed_apart() {
        let step = LISTS * GRANULE;
        let all = of(&[step, 2 * step, 3 * step]);
        let mut ranges = all.lock();
        ranges.kept_bytes = KEPT_BYTES;
        for (start, left) in [(2 * step, [step, 3 * step]), (3 * step, [step, step])] {
            ranges.free(start, FREED);
            assert_eq!(ranges.remove_oldest(), Some((start, 2 * GRANULE)));
            assert!(ranges.at(start).is_none() && left.iter().all(|start| ranges.at(*start).is_some()));
        }
        assert_eq!((ranges.in_use(), ranges.kept, ranges.kept_bytes), (1, 0, KEPT_BYTES));
        assert!(ranges.enter(Range::new(7 * step, GRANULE)) && ranges.entries.len() == 3, "entries are used again");
    }

    /// CK-3
    #[test]
    fn as_many_are_kept_as_the_bounds_say_the_latest_ones() {
        let starts: Vec<usize> = (1..=KEPT_RANGES + 3).map(|at| at * MIB).collect();
        let all = of(&starts);
        let mut ranges = all.lock();
        let mut removed = Vec::new();
        for start in &starts {
            ranges.free(*start, FREED);
            removed.extend(ranges.remove_oldest());
        }
        assert_eq!(removed, [1, 2, 3].map(|at| (at * MIB, 2 * GRANULE)));
        assert_eq!((ranges.kept, ranges.kept_bytes, ranges.in_use()), (KEPT_RANGES, KEPT_RANGES * 2 * GRANULE, 0));
        // One that is larger than the bound does not stay, and neither does what was freed before it.
        assert!(ranges.enter(Range::new(1 << 40, KEPT_BYTES)));
        ranges.free(1 << 40, FREED);
        let mut count = 0;
        while ranges.remove_oldest().is_some() {
            count += 1;
        }
        assert_eq!((count, ranges.kept, ranges.kept_bytes), (KEPT_RANGES + 1, 0, 0));
    }

    #[test]
    fn an_address_between_two_is_of_the_nearer_one() {
        let all = of(&[MIB, MIB + 2 * GRANULE]);
        let ranges = all.lock();
        let start_of = |address| ranges.nearest(address).map(|range| range.start);
        assert_eq!(start_of(MIB + GRANULE - 1), Some(MIB));
        assert_eq!(start_of(MIB + GRANULE + 8), Some(MIB));
        assert_eq!(start_of(MIB + 2 * GRANULE - 8), Some(MIB + 2 * GRANULE));
        assert_eq!(start_of(MIB - 8), Some(MIB));
        assert_eq!((start_of(MIB - 2 * GRANULE), start_of(1 << 40)), (None, None));
    }
}
