//! Which aligned pages of 2 MiB were requested as huge pages, and which of them the system can move.
//!
//! Contract: the marks lie outside the memory, in leaves that are made on demand and never removed. The marks of a
//! range change under the lock of the pool that has it, or by the only thread that knows the range. A page is marked
//! only while all of it belongs to one pool.

use crate::arena;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

pub(in crate::pool) const HUGE_PAGE_BYTES: usize = 2 << 20;

const ADDRESS_BITS: u32 = 48;
/// Addresses of one leaf: 64 GiB.
const LEAF_BITS: u32 = 36;
const WORDS: usize = (1 << LEAF_BITS) / HUGE_PAGE_BYTES / 64;

/// A bit for each page of a leaf.
type Bitmap = [AtomicU64; WORDS];

struct Leaf {
    /// Marked pages.
    huge: Bitmap,
    /// Marked pages of the system's reserve, which go back whole only.
    whole: Bitmap,
    /// Marked pages of which each lies in one mapping, so that one call of the system can move it.
    movable: Bitmap,
    /// Movable pages that were moved: their neighbours may lie in other mappings.
    moved: Bitmap,
}

/// The number of pages that were moved and are still there. Each may be a mapping of its own.
static MOVED: AtomicUsize = AtomicUsize::new(0);

static TOP: [AtomicPtr<Leaf>; 1 << (ADDRESS_BITS - LEAF_BITS)] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; 1 << (ADDRESS_BITS - LEAF_BITS)];

fn leaf(address: usize) -> Option<&'static Leaf> {
    // Acquire pairs with the Release in `prepare`: a leaf is seen zeroed.
    // SAFETY: NULL, or a leaf that stays mapped for ever.
    unsafe { TOP.get(address >> LEAF_BITS)?.load(Ordering::Acquire).as_ref() }
}

/// Index of the word and mask of the bit for the page that contains the address.
fn bit_of(address: usize) -> (usize, u64) {
    let number = address / HUGE_PAGE_BYTES;
    (number / 64 % WORDS, 1 << (number % 64))
}

/// Makes the leaves of a range. False: no memory. Called under no lock.
pub(in crate::pool) fn prepare(start: usize, bytes: usize) -> bool {
    let Some(tops) = TOP.get(start >> LEAF_BITS..=(start + bytes - 1) >> LEAF_BITS) else { return false };
    for top in tops {
        if !top.load(Ordering::Acquire).is_null() {
            continue;
        }
        let Some(fresh) = arena::take(size_of::<Leaf>(), align_of::<Leaf>()) else { return false };
        let null = core::ptr::null_mut();
        // Release pairs with the Acquire in `leaf`. If another thread was first, its leaf serves, and ours is lost.
        let _ = top.compare_exchange(null, fresh.as_ptr().cast(), Ordering::Release, Ordering::Relaxed);
    }
    true
}

/// The huge pages that lie wholly in a range: start and bytes. None: there are none.
pub(in crate::pool) fn inside(start: usize, end: usize) -> Option<(usize, usize)> {
    let first = start.checked_next_multiple_of(HUGE_PAGE_BYTES)?;
    let last = end / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    (first < last).then(|| (first, last - first))
}

/// Marks whole huge pages of a prepared range. Returns how many were not marked before.
pub(in crate::pool) fn mark(start: usize, bytes: usize, whole: bool) -> usize {
    let mut fresh = 0;
    for page in (start..start + bytes).step_by(HUGE_PAGE_BYTES) {
        let Some(leaf) = leaf(page) else { continue };
        let (word, bit) = bit_of(page);
        fresh += usize::from(leaf.huge[word].fetch_or(bit, Ordering::Relaxed) & bit == 0);
        if whole {
            leaf.whole[word].fetch_or(bit, Ordering::Relaxed);
        }
    }
    fresh
}

/// Removes the marks of all huge pages that a range touches. Returns how many there were.
pub(in crate::pool) fn unmark(start: usize, bytes: usize) -> usize {
    let mut marked = 0;
    for page in (start / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES..start + bytes).step_by(HUGE_PAGE_BYTES) {
        let Some(leaf) = leaf(page) else { continue };
        let (word, bit) = bit_of(page);
        if leaf.huge[word].load(Ordering::Relaxed) & bit != 0 {
            leaf.huge[word].fetch_and(!bit, Ordering::Relaxed);
            leaf.whole[word].fetch_and(!bit, Ordering::Relaxed);
            leaf.movable[word].fetch_and(!bit, Ordering::Relaxed);
            let was_moved = leaf.moved[word].fetch_and(!bit, Ordering::Relaxed) & bit != 0;
            MOVED.fetch_sub(usize::from(was_moved), Ordering::Relaxed);
            marked += 1;
        }
    }
    marked
}

/// Whether the huge page that contains the address is marked.
pub(in crate::pool) fn is_marked(address: usize) -> bool {
    has(address, |leaf| &leaf.huge)
}

/// Whether the page that contains the address has the bit of one bitmap.
fn has(address: usize, bitmap: fn(&Leaf) -> &Bitmap) -> bool {
    let (word, bit) = bit_of(address);
    leaf(address).is_some_and(|leaf| bitmap(leaf)[word].load(Ordering::Relaxed) & bit != 0)
}

/// Whether all huge pages of a range are marked.
pub(in crate::pool) fn all_marked(start: usize, bytes: usize) -> bool {
    (start..start + bytes).step_by(HUGE_PAGE_BYTES).all(is_marked)
}

/// Notes that each marked page of a range, whose mapping was made at once, can be moved. Pages of the system's reserve
/// cannot.
pub(in crate::pool) fn mark_movable(start: usize, end: usize) {
    for page in pages(start, end) {
        let (word, bit) = bit_of(page);
        if let Some(leaf) = leaf(page).filter(|_| is_marked(page) && !is_whole(page)) {
            leaf.movable[word].fetch_or(bit, Ordering::Relaxed);
        }
    }
}

/// Notes that a movable page came to this address by a move.
pub(in crate::pool) fn mark_moved(page: usize) {
    let (word, bit) = bit_of(page);
    if let Some(leaf) = leaf(page)
        && leaf.moved[word].fetch_or(bit, Ordering::Relaxed) & bit == 0
    {
        MOVED.fetch_add(1, Ordering::Relaxed);
    }
}

/// The number of pages in the process that were moved.
pub(in crate::pool) fn moved_pages() -> usize {
    MOVED.load(Ordering::Relaxed)
}

/// The first movable pages of a range that follow each other: start and bytes, at most `most`.
pub(in crate::pool) fn first_movable(start: usize, end: usize, most: usize) -> Option<(usize, usize)> {
    let first = pages(start, end).find(|page| is_movable(*page))?;
    let count = pages(first, end).take(most / HUGE_PAGE_BYTES).take_while(|page| is_movable(*page)).count();
    (count > 0).then_some((first, count * HUGE_PAGE_BYTES))
}

/// The huge pages that lie wholly in a range.
pub(in crate::pool) fn pages(start: usize, end: usize) -> impl Iterator<Item = usize> {
    let (first, bytes) = inside(start, end).unwrap_or((start, 0));
    (first..first + bytes).step_by(HUGE_PAGE_BYTES)
}

fn is_movable(address: usize) -> bool {
    has(address, |leaf| &leaf.movable)
}

fn was_moved(address: usize) -> bool {
    has(address, |leaf| &leaf.moved)
}

/// Whether it comes from the system's reserve.
fn is_whole(address: usize) -> bool {
    has(address, |leaf| &leaf.whole)
}

/// The part of a range that can go back: without parts of pages that go back whole only.
pub(in crate::pool) fn without_parts(start: usize, end: usize) -> (usize, usize) {
    let first = if !start.is_multiple_of(HUGE_PAGE_BYTES) && is_whole(start) {
        start.next_multiple_of(HUGE_PAGE_BYTES)
    } else {
        start
    };
    let last = if !end.is_multiple_of(HUGE_PAGE_BYTES) && is_whole(end) {
        end / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES
    } else {
        end
    };
    if first < last { (first, last) } else { (start, start) }
}

/// Most parts of [`parts`]: before, in, and behind the huge pages of a block.
pub(in crate::pool) const PARTS: usize = 3;

/// Cuts a range where marked pages begin and end, because the system treats both kinds apart. Returns the number of
/// parts. None: there are more than [`PARTS`], a page must go whole, or one was moved here and is a mapping of its own.
pub(in crate::pool) fn parts(start: usize, bytes: usize, out: &mut [(usize, usize); PARTS]) -> Option<usize> {
    let (end, mut at, mut count) = (start + bytes, start, 0);
    while at < end {
        let marked = is_marked(at);
        let mut to = at;
        while to < end && is_marked(to) == marked {
            if was_moved(to) {
                return None;
            }
            to = (to / HUGE_PAGE_BYTES + 1) * HUGE_PAGE_BYTES;
        }
        let to = to.min(end);
        if is_whole(at) {
            return None;
        }
        *out.get_mut(count)? = (at, to - at);
        count += 1;
        at = to;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_counted_once_and_cut_ranges() {
        // Addresses that no pool of this test has.
        let base = 1usize << 46;
        assert!(prepare(base, 64 * HUGE_PAGE_BYTES));
        assert_eq!(inside(base + 1, base + 2 * HUGE_PAGE_BYTES), Some((base + HUGE_PAGE_BYTES, HUGE_PAGE_BYTES)));
        assert_eq!(inside(base + 1, base + 2 * HUGE_PAGE_BYTES - 1), None);
        assert_eq!(mark(base + HUGE_PAGE_BYTES, 3 * HUGE_PAGE_BYTES, false), 3);
        assert_eq!(mark(base + HUGE_PAGE_BYTES, 4 * HUGE_PAGE_BYTES, false), 1);
        let mut out = [(0, 0); PARTS];
        assert_eq!(parts(base + 5, 6 * HUGE_PAGE_BYTES, &mut out), Some(3));
        assert_eq!(
            out,
            [
                (base + 5, HUGE_PAGE_BYTES - 5),
                (base + HUGE_PAGE_BYTES, 4 * HUGE_PAGE_BYTES),
                (base + 5 * HUGE_PAGE_BYTES, HUGE_PAGE_BYTES + 5)
            ]
        );
        assert_eq!(parts(base + HUGE_PAGE_BYTES, HUGE_PAGE_BYTES, &mut out), Some(1));
        assert_eq!(unmark(base + HUGE_PAGE_BYTES + 7, 1), 1, "a part of a page removes its mark");
        assert_eq!(unmark(base, 64 * HUGE_PAGE_BYTES), 3);
        assert_eq!(without_parts(base + 1, base + HUGE_PAGE_BYTES + 1), (base + 1, base + HUGE_PAGE_BYTES + 1));
        mark(base, 2 * HUGE_PAGE_BYTES, true);
        assert_eq!(without_parts(base + 1, base + HUGE_PAGE_BYTES + 1), (base + 1, base + 1));
        assert_eq!(
            without_parts(base + 1, base + 3 * HUGE_PAGE_BYTES),
            (base + HUGE_PAGE_BYTES, base + 3 * HUGE_PAGE_BYTES)
        );
        assert_eq!(parts(base, HUGE_PAGE_BYTES, &mut out), None);
        assert_eq!(unmark(base, 3 * HUGE_PAGE_BYTES), 2);
    }
}
