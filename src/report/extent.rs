//! How much of everything a report lists: all of it, or bounded lists for a page that a person reads.
//!
//! Contract: no memory. The largest items of any number are found in two passes, with a histogram of their sizes in
//! between.
#![forbid(unsafe_code)]

/// The longest lists of a report.
#[derive(Clone, Copy)]
pub struct Extent {
    /// Stores; those beyond are grouped by call site.
    pub(super) stores: usize,
    /// Holders of one store, and of all stores together. The first ones of each store are always listed.
    pub(super) holders_of_one: usize,
    pub(super) holders: usize,
    /// Groups of raw blocks, other open handles, entries of the copy book.
    pub(super) others: usize,
}

impl Extent {
    /// Everything, for programs.
    pub const WHOLE: Extent =
        Extent { stores: usize::MAX, holders_of_one: usize::MAX, holders: usize::MAX, others: usize::MAX };
    /// Lists for a page of at most 1.5 MB: an entry has about 200 bytes.
    pub const PAGE: Extent = Extent { stores: 1000, holders_of_one: 64, holders: 2000, others: 400 };
}

/// Holders of a store that are listed even if the other stores have used up the list.
pub(super) const FIRST_HOLDERS: usize = 2;

/// Size classes of the histogram for each doubling.
const STEPS: usize = 8;

/// Decides which items are among the largest ones: sizes are counted first, then asked for.
pub(super) struct Largest {
    counts: [u32; 64 * STEPS],
    /// Items of this class are listed as long as there is room, larger ones always.
    class: usize,
    room: usize,
}

fn class(bytes: u64) -> usize {
    let bytes = bytes.max(1);
    let log = bytes.ilog2() as usize;
    let step = if log >= 3 { bytes >> (log - 3) } else { bytes << (3 - log) };
    log * STEPS + (step as usize & (STEPS - 1))
}

impl Largest {
    pub(super) const fn new() -> Largest {
        Largest { counts: [0; 64 * STEPS], class: 0, room: usize::MAX }
    }

    /// Counts an item of the first pass.
    pub(super) fn count(&mut self, bytes: u64) {
        let count = &mut self.counts[class(bytes)];
        *count = count.saturating_add(1);
    }

    /// Ends the first pass: `most` items will be listed.
    pub(super) fn choose(&mut self, most: usize) {
        let mut room = most;
        for (class, count) in self.counts.iter().enumerate().rev() {
            let count = *count as usize;
            if count > room {
                (self.class, self.room) = (class, room);
                return;
            }
            room -= count;
        }
        // All fit.
        (self.class, self.room) = (0, room + self.counts[0] as usize);
    }

    /// Whether the second pass lists an item of that size.
    pub(super) fn takes(&mut self, bytes: u64) -> bool {
        let class = class(bytes);
        if class != self.class {
            return class > self.class;
        }
        let takes = self.room > 0;
        self.room = self.room.saturating_sub(1);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_listed_and_no_more_than_there_is_room_for() {
        let sizes: Vec<u64> = (0..5000u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 60)).collect();
        for most in [0, 1, 10, 1000, 4999, 5000, 6000] {
            let mut largest = Largest::new();
            sizes.iter().for_each(|bytes| largest.count(*bytes));
            largest.choose(most);
            let (taken, left): (Vec<u64>, Vec<u64>) = sizes.iter().partition(|bytes| largest.takes(**bytes));
            assert_eq!(taken.len(), most.min(5000));
            let (least, most_left) = (taken.iter().min().copied(), left.iter().max().copied());
            assert!(least.is_none() || most_left.is_none() || class(least.unwrap()) >= class(most_left.unwrap()));
        }
        let mut equal = Largest::new();
        (0..100).for_each(|_| equal.count(64));
        equal.choose(7);
        assert_eq!((0..100).filter(|_| equal.takes(64)).count(), 7);
    }
}
