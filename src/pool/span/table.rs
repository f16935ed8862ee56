//! The table from an address to the span that contains it: two levels, with an entry for each granule of 64 KiB.
//!
//! Contract: `get` takes two loads (three in a group) and no lock, accepts any number, and never reads what the number
//! points to. Entries of a range change under the lock of the pool that owns it. Leaves are made on demand and never
//! removed. Spans are type-stable: an old entry still leads to a span, which may have changed.
//!
//! A span that contains a whole group of granules has one entry for the group instead of one for each granule, so that
//! cutting and merging tens of GiB changes some thousand entries. A lookup reads the granule's entry first. When
//! another span gets a part of the group, the group's span is written to the other entries, and then the group's entry
//! is emptied.
//!
//! The entry of a range leads to the range's own span ([`Kind::Range`]), whose map has the smaller ones. The fast
//! path looks at the entry only ([`get`]); all others continue in the map ([`find`]).

use super::{Kind, Span};
use crate::device::host::GRANULE;
use crate::pool::lock::Lock;
use crate::sys::os;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Addresses with more bits belong to no pool: user addresses of the supported systems have at most 48.
const ADDRESS_BITS: u32 = 48;
/// Addresses of one leaf: 4 GiB.
const LEAF_BITS: u32 = 32;
const LEAF_ENTRIES: usize = (1 << LEAF_BITS) / GRANULE;
/// Granules that one span can have with one entry: 32 MiB of addresses.
const GROUP_ENTRIES: usize = 512;
const GROUPS: usize = LEAF_ENTRIES / GROUP_ENTRIES;

struct Leaf {
    /// NULL: no span, or the group's.
    spans: [AtomicPtr<Span>; LEAF_ENTRIES],
    /// The span of all granules of a group; NULL: their entries count.
    groups: [AtomicPtr<Span>; GROUPS],
    /// At least how many entries of each group are not NULL.
    used: [AtomicU32; GROUPS],
}

static TOP: [AtomicPtr<Leaf>; 1 << (ADDRESS_BITS - LEAF_BITS)] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; 1 << (ADDRESS_BITS - LEAF_BITS)];

/// Held while the entry of a group is replaced.
static OPENING: Lock<()> = Lock::new(());

#[inline]
fn leaf(address: usize) -> Option<&'static Leaf> {
    // Acquire pairs with the Release in `prepare`: a leaf is seen zeroed.
    let leaf = TOP.get(address >> LEAF_BITS)?.load(Ordering::Acquire);
    // SAFETY: NULL, or a leaf that stays mapped for ever.
    unsafe { leaf.as_ref() }
}

#[inline]
fn entry(address: usize) -> usize {
    address / GRANULE % LEAF_ENTRIES
}

/// The span of an address, if that is small. None: it is not, or there is none.
#[inline(always)]
pub(in crate::pool) fn get_small(address: usize) -> Option<&'static Span> {
    // Acquire as in `get`. No small span has a group.
    // SAFETY: NULL, or a span, and those are never unmapped.
    unsafe { leaf(address)?.spans[entry(address)].load(Ordering::Acquire).as_ref() }
}

/// The entry of an address: the span that contains it, or its range.
#[inline]
pub(in crate::pool) fn get(address: usize) -> Option<&'static Span> {
    // Acquire pairs with the Release in `put`: the span's fields are seen as they were when the entry was set.
    let leaf = leaf(address)?;
    let span = leaf.spans[entry(address)].load(Ordering::Acquire);
    // SAFETY: NULL, or a span, and those are never unmapped.
    unsafe { span.as_ref() }.or_else(|| leaf.of_group(address))
}

impl Leaf {
    /// The span of the group of an address.
    #[inline(never)]
    fn of_group(&self, address: usize) -> Option<&'static Span> {
        let span = self.groups[entry(address) / GROUP_ENTRIES].load(Ordering::Acquire);
        // SAFETY: NULL, or a span, and those are never unmapped.
        let span = unsafe { span.as_ref::<'static>() };
        if span.is_some() {
            return span;
        }
        // The group may have become entries since the entry was read.
        // SAFETY: as above.
        unsafe { self.spans[entry(address)].load(Ordering::Acquire).as_ref() }
    }

    /// Sets an entry, and returns the change of their number.
    fn set(&self, at: usize, span: *mut Span) -> i32 {
        let before = self.spans[at].load(Ordering::Relaxed);
        // Release pairs with the Acquire in `get`.
        self.spans[at].store(span, Ordering::Release);
        i32::from(!span.is_null()) - i32::from(!before.is_null())
    }

    /// Sets all granules of a group. A reader finds the span of before or this one.
    fn set_group(&self, group: usize, span: *mut Span) {
        self.groups[group].store(span, Ordering::Release);
        if self.used[group].load(Ordering::Relaxed) == 0 {
            return;
        }
        let first = group * GROUP_ENTRIES;
        let change: i32 = (first..first + GROUP_ENTRIES).map(|at| self.set(at, core::ptr::null_mut())).sum();
        self.used[group].fetch_add(change as u32, Ordering::Relaxed);
    }

    /// Sets some granules of a group.
    fn set_part(&self, group: usize, first: usize, count: usize, span: *mut Span) {
        // Acquire: entries that another thread wrote in `open_group` are not written by it any more.
        if !self.groups[group].load(Ordering::Acquire).is_null() {
            self.open_group(group);
        }
        let change: i32 = (first..first + count).map(|at| self.set(at, span)).sum();
        // Other pools have entries in the same group, hence an atomic addition.
        self.used[group].fetch_add(change as u32, Ordering::Relaxed);
    }

    /// Replaces the one entry of a group by an entry for each granule.
    #[inline(never)]
    fn open_group(&self, group: usize) {
        // Pools over parts of one block may do this at the same time.
        let _one_at_a_time = OPENING.lock();
        let span = self.groups[group].load(Ordering::Relaxed);
        if span.is_null() {
            return;
        }
        let first = group * GROUP_ENTRIES;
        let change: i32 = (first..first + GROUP_ENTRIES).map(|at| self.set(at, span)).sum();
        self.used[group].fetch_add(change as u32, Ordering::Relaxed);
        self.groups[group].store(core::ptr::null_mut(), Ordering::Release);
    }
}

/// The span that contains the address, also within a range.
#[inline]
pub(in crate::pool) fn find(address: usize) -> Option<&'static Span> {
    let span = get(address)?;
    if span.kind() == Kind::Range { span.within(address) } else { Some(span) }
}

/// Makes the leaves of a range before its entries are set. False: no memory. Called under no lock.
pub(in crate::pool) fn prepare(start: usize, bytes: usize) -> bool {
    if (start + bytes - 1) >> ADDRESS_BITS != 0 {
        return false;
    }
    for top in &TOP[start >> LEAF_BITS..=(start + bytes - 1) >> LEAF_BITS] {
        if !top.load(Ordering::Acquire).is_null() {
            continue;
        }
        let bytes = size_of::<Leaf>().next_multiple_of(os::page_bytes());
        let Some(fresh) = os::map(bytes, os::page_bytes()) else { return false };
        let null = core::ptr::null_mut();
        // Release pairs with the Acquire in `leaf`.
        if top.compare_exchange(null, fresh as *mut Leaf, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: another thread was first; no other thread knows ours.
            unsafe { os::unmap(fresh, bytes) };
        } else {
            os::keep_until_unload(fresh, bytes);
        }
    }
    true
}

/// Sets the entries of a prepared range of addresses, or of the map that they lie in; None empties them. Called under
/// the lock of the pool that owns the range.
pub(in crate::pool) fn put(start: usize, bytes: usize, span: Option<&'static Span>) {
    if let Some(span) = span
        && let Some(outer) = map_of(span, start)
    {
        outer.map_span(start, bytes, span);
        return;
    }
    let pointer = span.map_or(core::ptr::null_mut(), |span| core::ptr::from_ref(span).cast_mut());
    let mut address = start;
    while address < start + bytes {
        let Some(leaf) = leaf(address) else {
            debug_assert!(false, "the leaf of {address:#x} was not prepared");
            return;
        };
        // Up to the end of the group, the range, or the leaf, whose size is a multiple of the group's.
        let first = entry(address);
        let n = (GROUP_ENTRIES - first % GROUP_ENTRIES).min((start + bytes - address) / GRANULE);
        match n {
            GROUP_ENTRIES => leaf.set_group(first / GROUP_ENTRIES, pointer),
            _ => leaf.set_part(first / GROUP_ENTRIES, first, n, pointer),
        }
        address += n * GRANULE;
    }
}

/// The range that contains an address of a span of the same pool, if one does.
fn map_of(span: &Span, address: usize) -> Option<&'static Span> {
    let pool = span.pool()?;
    // A pool over another pool's block has entries of its own.
    let ours = |outer: &Span| outer.pool().is_some_and(|owner| core::ptr::eq(owner, pool));
    get(address).filter(|outer| outer.kind() == Kind::Range && !outer.is(span) && ours(outer))
}

/// Enters a span of a range again, after its start changed. Called under the lock of its pool.
pub(in crate::pool) fn begin(span: &'static Span) {
    if let Some(outer) = map_of(span, span.start.get()) {
        outer.map_span(span.start.get(), span.bytes.get(), span);
    }
}

/// The first address behind `address` that may have another entry: the next granule, or the end of a group that has one
/// entry or none.
fn step(address: usize) -> usize {
    let Some(leaf) = leaf(address) else { return ((address >> LEAF_BITS) + 1) << LEAF_BITS };
    let first = entry(address);
    let n = match leaf.used[first / GROUP_ENTRIES].load(Ordering::Relaxed) {
        0 => GROUP_ENTRIES - first % GROUP_ENTRIES,
        _ => 1,
    };
    (address / GRANULE + n) * GRANULE
}

/// The granules, or groups of granules with one entry, that begin in [start, end), by their first address.
fn steps(start: usize, end: usize) -> impl Iterator<Item = usize> {
    core::iter::successors(Some(start), |&at| Some(step(at))).take_while(move |&at| at < end)
}

/// The span that all entries of a range of addresses lead to; None: all are empty. Err: they differ.
pub(in crate::pool) fn uniform(start: usize, bytes: usize) -> Result<Option<&'static Span>, ()> {
    let first = get(start);
    let same = |other: Option<&Span>| match (first, other) {
        (Some(first), Some(other)) => first.is(other),
        (first, other) => first.is_none() && other.is_none(),
    };
    steps(start, start + bytes).all(|address| same(get(address))).then_some(first).ok_or(())
}

/// Where the entries that lead to the span end, from `address` on; at most `end`.
pub(in crate::pool) fn end_of(span: &Span, address: usize, end: usize) -> usize {
    if !get(address).is_some_and(|now| now.is(span)) {
        // In a range, or changed meanwhile.
        return end.max(address + 1);
    }
    let first = address / GRANULE * GRANULE;
    steps(first, end).find(|&at| !get(at).is_some_and(|now| now.is(span))).unwrap_or(end)
}

/// Whether an entry of [start, end) leads to the span.
pub(in crate::pool) fn has(span: &Span, start: usize, end: usize) -> bool {
    steps(start, end / GRANULE * GRANULE).any(|at| get(at).is_some_and(|now| now.is(span)))
}

/// The lowest address in [from, end) with an entry, and the span that contains it.
pub(in crate::pool) fn next(from: usize, end: usize) -> Option<(usize, &'static Span)> {
    let end = end.min(1 << ADDRESS_BITS);
    steps(from / GRANULE * GRANULE, end).find_map(|address| Some((address.max(from), find(address.max(from))?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random ranges of three groups, against a list of granules. The addresses belong to no pool.
    #[test]
    fn every_address_leads_to_the_span_that_was_put_last() {
        const GRANULES: usize = 3 * GROUP_ENTRIES + 100;
        let base = (1 << 46) + 7 * (1 << LEAF_BITS) + 50 * GRANULE;
        assert!(prepare(base, GRANULES * GRANULE));
        let spans: Vec<&'static Span> = (0..5).map(|_| Span::create().unwrap()).collect();
        let mut model: Vec<Option<usize>> = vec![None; GRANULES];
        let mut random = 3u64;
        let mut below = |n: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % n
        };
        let at = |granule: usize| base + granule * GRANULE;
        for _ in 0..400 {
            // Long ranges and short ones, so that groups get one entry and lose it.
            let most = [GRANULES, 600, 20, 1][below(4)];
            let first = below(GRANULES);
            let count = (1 + below(most)).min(GRANULES - first);
            let span = [None, Some(below(5)), Some(below(5))][below(3)];
            put(at(first), count * GRANULE, span.map(|span| spans[span]));
            model[first..first + count].fill(span);
            for (granule, span) in model.iter().enumerate() {
                let found = get(at(granule) + below(GRANULE));
                assert!(
                    match (*span, found) {
                        (Some(span), Some(found)) => found.is(spans[span]),
                        (span, found) => span.is_none() && found.is_none(),
                    },
                    "granule {granule}"
                );
            }
            let (first, end) = (below(GRANULES), 1 + below(GRANULES));
            let same = model[first..].iter().take_while(|&&span| span == model[first]).count();
            match model[first] {
                Some(span) => {
                    assert_eq!(end_of(spans[span], at(first), at(GRANULES)), at(first + same));
                    assert_eq!(next(at(first) + 5, at(GRANULES)).map(|found| found.0), Some(at(first) + 5));
                }
                None => {
                    let found = next(at(first), at(GRANULES)).map(|found| found.0);
                    assert_eq!(found, (first + same < GRANULES).then_some(at(first + same)));
                }
            }
            assert!(uniform(at(first), same * GRANULE).is_ok());
            if first + same < GRANULES {
                assert!(uniform(at(first), (same + 1) * GRANULE).is_err());
            }
            let inside = first < end && model[first..end].contains(&Some(2));
            assert_eq!(has(spans[2], at(first), at(end)), inside);
        }
        put(base, GRANULES * GRANULE, None);
        spans.into_iter().for_each(Span::release);
    }
}
