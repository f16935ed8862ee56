//! A substitute for Rust's heap, which would be malloc and so the pool itself.
//!
//! Contract: the library's code never allocates from it. The first allocation (by a `format!`, a `Vec`, a lock that parks) prints a line,
//! which the tests look for. Allocations are served all the same, from a few KiB that are never freed, so that a panic can print its
//! message.

use crate::report;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Enough for the message of a panic.
const ARENA_BYTES: usize = 64 << 10;

#[repr(align(4096))]
struct Arena {
    bytes: UnsafeCell<[u8; ARENA_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: each part of the bytes has one owner, the thread that raised `used` past it.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena { bytes: UnsafeCell::new([0; ARENA_BYTES]), used: AtomicUsize::new(0) };

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: blocks are disjoint, have the size and alignment of their layout, and are never freed.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let take = |used: usize| {
            let end = used.checked_next_multiple_of(layout.align())?.checked_add(layout.size())?;
            (end <= ARENA_BYTES && layout.align() <= align_of::<Arena>()).then_some(end)
        };
        let before = ARENA.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if before.unwrap_or(1) == 0 {
            report::say(format_args!(
                "{} bytes were requested from Rust's heap, which is a bug of Tenure",
                layout.size()
            ));
        }
        match before.ok().and_then(take) {
            // SAFETY: `take` checked that the end is inside the arena.
            Some(end) => unsafe { ARENA.bytes.get().cast::<u8>().add(end - layout.size()) },
            None => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _at: *mut u8, _layout: Layout) {}
}
