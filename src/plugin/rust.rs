//! A Rust program's global allocator over the host's default pool.
//!
//! Contract: usable on every thread from the first allocation of a process, before `main`, to its last, also while a
//! thread ends. It never unwinds. It uses no other allocation of the program, so it does not recurse. A failed call
//! returns NULL.

use crate::boundary;
use crate::pool::{self, Client};
use crate::thread;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

/// The host's default pool as the global allocator of a Rust program:
///
/// ```
/// #[global_allocator]
/// static HEAP: tenure::PoolAllocator = tenure::PoolAllocator;
///
/// fn main() {
///     let text = "kept by the pool".to_owned();
///     assert!(tenure::pool::locate(text.as_ptr() as usize).is_some());
/// }
/// ```
///
/// The pool's statistics and reports then count the program's memory under the client "rust". Alignments up to 4 MiB
/// are supported.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolAllocator;

/// The name that error texts begin with.
const FUNCTION: &str = "tenure::PoolAllocator";

fn allocate(layout: Layout, zeroed: bool) -> *mut u8 {
    // There may be no memory for the thread's record. The call then returns NULL, because a panic needs memory.
    let Some(thread) = thread::try_current() else { return null_mut() };
    boundary::answer(FUNCTION, null_mut(), || {
        let block = super::host()?.allocate_for(
            Client::RUST,
            layout.size(),
            layout.align(),
            zeroed,
            thread::stamp(thread.number(), 0),
        )?;
        Ok(block.as_ptr())
    })
}

// SAFETY: the pool's blocks have the requested size and alignment, are disjoint, and stay valid until they are freed.
// No call unwinds, because `boundary::answer` catches every panic.
unsafe impl GlobalAlloc for PoolAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocate(layout, false)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocate(layout, true)
    }

    unsafe fn realloc(&self, at: *mut u8, _layout: Layout, bytes: usize) -> *mut u8 {
        if thread::try_current().is_none() {
            return null_mut();
        }
        // The pool keeps the alignment of the first request.
        boundary::answer(FUNCTION, null_mut(), || {
            Ok(super::host()?.reallocate_for(Client::RUST, at as usize, bytes)?.as_ptr())
        })
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if thread::try_current().is_none() {
            return;
        }
        boundary::answer(FUNCTION, (), || {
            pool::deallocate_for(Client::RUST, Some(super::host()?), at as usize, Some(layout.size()))
        });
    }
}
