//! In the preload library: a thread's heap of the only pool, behind the gate of its record.
//!
//! Contract: that of `handle_cache`, whose place this takes. The only handle is 0.

use super::{Heap, NO_BLOCKS};
use crate::pool::span::{Link, class};
use crate::thread::{self, BehindGate, FastEntry, Thread};

// SAFETY: the only one in this library.
unsafe impl BehindGate for Heap {}

/// What lies behind a closed gate: a heap without blocks.
pub(super) static CLOSED: Heap = {
    // SAFETY: all zero is a heap of no thread.
    let mut heap: Heap = unsafe { core::mem::MaybeUninit::zeroed().assume_init() };
    heap.ready = [const { Link::to(&NO_BLOCKS) }; class::COUNT];
    heap
};

#[inline(always)]
pub(super) fn enter(thread: &'static Thread, _: u64) -> Option<(FastEntry, &'static Heap)> {
    FastEntry::through_gate::<Heap>(thread)
}

pub(super) fn heap(thread: &'static Thread, _: u64) -> Option<&'static Heap> {
    thread::leads_to::<Heap>(thread)
}

pub(in crate::pool) fn forget_handle(_: u64) {}

pub(super) fn forget_heap(thread: &'static Thread, heap: &'static Heap) {
    if self::heap(thread, 0).is_some_and(|current| core::ptr::eq(current, heap)) {
        forget_current(thread);
    }
}

pub(in crate::pool) fn remember(_: &'static Thread, _: u64, _: &'static Heap, _: impl FnOnce() -> bool) {}

pub(in crate::pool) fn remember_current(thread: &'static Thread, heap: &'static Heap) {
    thread::lead(thread, Some(heap));
}

pub(in crate::pool) fn forget_current(thread: &'static Thread) {
    thread::lead::<Heap>(thread, None);
}
