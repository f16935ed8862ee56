//! What stands in place of Rust's heap.
//!
//! Contract: nobody asks for it. Rust's heap would be malloc, and so the engine under itself; what is written without one in mind (a
//! `format!`, a `Vec`, a lock that parks) is found by the line that the first request prints, which the tests look for. Requests are
//! served all the same, from a few KiB that are never given back, so that a panic can say what it is.

use crate::report;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Enough for the texts of a panic.
const BYTES: usize = 64 << 10;

#[repr(align(4096))]
struct Rest {
    bytes: UnsafeCell<[u8; BYTES]>,
    used: AtomicUsize,
}

// SAFETY: each part of the bytes has one owner, who raised `used` over it.
unsafe impl Sync for Rest {}

static REST: Rest = Rest { bytes: UnsafeCell::new([0; BYTES]), used: AtomicUsize::new(0) };

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: parts are disjoint, as large and aligned as asked, and stay.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let take = |used: usize| {
            let end = used.checked_next_multiple_of(layout.align())?.checked_add(layout.size())?;
            (end <= BYTES && layout.align() <= align_of::<Rest>()).then_some(end)
        };
        let before = REST.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if before.unwrap_or(1) == 0 {
            report::say(format_args!("Rust's heap was asked for {} bytes, which is a bug of Tenure", layout.size()));
        }
        match before.ok().and_then(take) {
            // SAFETY: `take` found the end inside.
            Some(end) => unsafe { REST.bytes.get().cast::<u8>().add(end - layout.size()) },
            None => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _at: *mut u8, _layout: Layout) {}
}
