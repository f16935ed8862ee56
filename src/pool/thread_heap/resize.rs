//! Resizing of small raw blocks in the calling thread's own heap: nearly every `realloc` of a program.
//!
//! Contract: that of `blocks`: no lock, no system call. A block that keeps its class stays in place; otherwise its
//! contents move. Counts as a reallocation only.

use super::handle_cache;
use crate::pool::client::PLAIN;
use crate::pool::span::block_state::{Block, BlockBits, BlockState};
use crate::pool::span::class;
use crate::thread;

/// Resizes a small raw block of the thread's heap of a handle's pool (0: the host's current pool). Returns the new
/// address. None, and nothing is changed: the block needs the slow path.
#[inline]
pub fn reallocate_fast(pool: u64, address: usize, bytes: usize) -> Option<usize> {
    let thread = thread::current_fast()?;
    let (inside, heap) = handle_cache::enter(thread, pool)?;
    let (span, offset) = heap.find_own(address)?;
    let (index, block_bytes) = (span.own_index_at(offset)?, span.own_block_bytes());
    let old = span.block(index);
    if old.state != BlockState::Raw || old.client() != PLAIN {
        return None;
    }
    let class = class::of_request(bytes, old.alignment)?;
    let block = Block { requested: bytes, ..old };
    if class == span.class.get() {
        span.begin_block(index, block_bytes, block);
        heap.count_resized(bytes.wrapping_sub(old.requested));
        heap.reallocated.add(1);
        return Some(address);
    }
    let to = heap.span_with_free(class)?;
    // First, so that the peak does not count both blocks. The new one is certain.
    let given = heap.end_block(span, offset, BlockBits::is_plain, |_| ())?;
    let taken = heap.hand_out(to, to.pop()?, block, PLAIN);
    // SAFETY: both blocks have that many bytes and lie in different spans. No other thread knows the new one. The
    // old one was the caller's until now, and this thread does not allocate it again before the copy. All its usable
    // bytes may be in use.
    unsafe { core::ptr::copy_nonoverlapping(address as *const u8, taken.address as *mut u8, bytes.min(block_bytes)) };
    heap.reallocated.add(1);
    if taken.rare {
        heap.after_allocation((), ());
    }
    if given.rare {
        heap.after_free(span, inside, ());
    }
    Some(taken.address)
}
