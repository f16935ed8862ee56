//! A Rust program's global allocator over the host's default pool.
//!
//! Contract: usable from the first allocation of a process, before `main`, to its last, on every thread, also while a
//! thread ends; never unwinds, and makes no allocation itself, so that it cannot meet itself. Failure is NULL.

use crate::boundary;
use crate::pool::{self, Client};
use crate::thread;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

/// The host's default pool as a program's allocator:
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
/// What the program holds then stands in the pool's statistics and reports under the client "rust". Alignments are
/// honoured up to 4 MiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolAllocator;

/// What the texts of these functions begin with.
const DOOR: &str = "tenure::PoolAllocator";

fn allocate(layout: Layout, zeroed: bool) -> *mut u8 {
    // A thread without a record cannot say so by unwinding, which needs memory.
    let Some(thread) = thread::try_current() else { return null_mut() };
    boundary::answer(DOOR, null_mut(), || {
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

// SAFETY: blocks are the pool's: as large and aligned as asked, disjoint, valid until they are given back; nothing
// unwinds, because `answer` ends every panic.
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
        // The pool keeps the alignment that was asked for at first.
        boundary::answer(DOOR, null_mut(), || {
            Ok(super::host()?.reallocate_for(Client::RUST, at as usize, bytes)?.as_ptr())
        })
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if thread::try_current().is_none() {
            return;
        }
        boundary::answer(DOOR, (), || {
            pool::deallocate_for(Client::RUST, Some(super::host()?), at as usize, Some(layout.size()))
        });
    }
}
