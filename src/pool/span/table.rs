//! The table from an address to the span that contains it: two levels, with an entry for each granule of 64 KiB.
//!
//! Contract: `get` takes two loads and no lock, accepts any number, and never reads what the number points to.
//! Entries of a range change under the lock of the pool that owns it. Leaves are made on demand and never removed.
//! Spans are type-stable: an old entry still leads to a span, which may have changed.
//!
//! The entry of a range leads to the range's own span ([`Kind::Range`]), whose map has the smaller ones. The fast
//! path looks at the entry only ([`get`]); all others continue in the map ([`find`]).

use super::{Kind, Span};
use crate::device::host::GRANULE;
use crate::sys::os;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Addresses with more bits belong to no pool: user addresses of the supported systems have at most 48.
const ADDRESS_BITS: u32 = 48;
/// Addresses of one leaf: 4 GiB.
const LEAF_BITS: u32 = 32;
const LEAF_ENTRIES: usize = (1 << LEAF_BITS) / GRANULE;
/// Entries that share a count of used ones: 32 MiB of addresses, so that a search can skip empty parts.
const GROUP_ENTRIES: usize = 512;

struct Leaf {
    spans: [AtomicPtr<Span>; LEAF_ENTRIES],
    used: [AtomicU32; LEAF_ENTRIES / GROUP_ENTRIES],
}

static TOP: [AtomicPtr<Leaf>; 1 << (ADDRESS_BITS - LEAF_BITS)] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; 1 << (ADDRESS_BITS - LEAF_BITS)];

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

/// The entry of an address: the span that contains it, or its range.
#[inline]
pub(in crate::pool) fn get(address: usize) -> Option<&'static Span> {
    // Acquire pairs with the Release in `put`: the span's fields are seen as they were when the entry was set.
    let span = leaf(address)?.spans[entry(address)].load(Ordering::Acquire);
    // SAFETY: NULL, or a span, and those are never unmapped.
    unsafe { span.as_ref() }
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
        let mut change = 0i32;
        for entry in &leaf.spans[first..first + n] {
            change += (!pointer.is_null()) as i32 - (!entry.load(Ordering::Relaxed).is_null()) as i32;
            // Release pairs with the Acquire in `get`.
            entry.store(pointer, Ordering::Release);
        }
        // Other pools have entries in the same group, hence an atomic addition.
        leaf.used[first / GROUP_ENTRIES].fetch_add(change as u32, Ordering::Relaxed);
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

/// The span that all entries of a range of addresses lead to; None: all are empty. Err: they differ.
pub(in crate::pool) fn uniform(start: usize, bytes: usize) -> Result<Option<&'static Span>, ()> {
    let first = get(start);
    let same = |other: Option<&Span>| match (first, other) {
        (Some(first), Some(other)) => first.is(other),
        (first, other) => first.is_none() && other.is_none(),
    };
    (start..start + bytes).step_by(GRANULE).all(|address| same(get(address))).then_some(first).ok_or(())
}

/// Where the entries that lead to the span end, from `address` on; at most `end`.
pub(in crate::pool) fn end_of(span: &Span, address: usize, end: usize) -> usize {
    if !get(address).is_some_and(|now| now.is(span)) {
        // In a range, or changed meanwhile.
        return end.max(address + 1);
    }
    let first = address / GRANULE * GRANULE;
    (first..end).step_by(GRANULE).find(|&at| !get(at).is_some_and(|now| now.is(span))).unwrap_or(end)
}

/// Whether an entry of [start, end) leads to the span.
pub(in crate::pool) fn has(span: &Span, start: usize, end: usize) -> bool {
    (start..end / GRANULE * GRANULE).step_by(GRANULE).any(|at| get(at).is_some_and(|now| now.is(span)))
}

/// The lowest address in [from, end) with an entry, and the span that contains it.
pub(in crate::pool) fn next(from: usize, end: usize) -> Option<(usize, &'static Span)> {
    let mut address = from / GRANULE * GRANULE;
    let end = end.min(1 << ADDRESS_BITS);
    while address < end {
        let Some(leaf) = leaf(address) else {
            address = ((address >> LEAF_BITS) + 1) << LEAF_BITS;
            continue;
        };
        let first = entry(address);
        if leaf.used[first / GROUP_ENTRIES].load(Ordering::Relaxed) == 0 {
            address += (GROUP_ENTRIES - first % GROUP_ENTRIES) * GRANULE;
            continue;
        }
        if let Some(span) = find(address.max(from)) {
            return Some((address.max(from), span));
        }
        address += GRANULE;
    }
    None
}
