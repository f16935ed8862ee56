//! Small raw blocks of the calling thread's own heap that change their size: what nearly every `realloc` of a program is.
//!
//! Contract: as `blocks`: no lock, no system call. A block that keeps its class stays where it is, of another one its contents move. Counts
//! as a reallocation, and as nothing else.

use crate::pool::client::PLAIN;
use crate::pool::handle;
use crate::pool::span::block_state::{Block, BlockBits, BlockState};
use crate::pool::span::class;
use crate::thread::{self, FastEntry};

/// Changes the size of a small raw block that the thread's heap of a pool owns, by the handle (0: of the host's current pool): where it is
/// then. None, and nothing is changed: it is not that, or the heap has no room for it at its new size.
#[inline]
pub fn reallocate_fast(pool: u64, address: usize, bytes: usize) -> Option<usize> {
    let thread = thread::current_if_registered()?;
    let inside = FastEntry::begin(thread)?;
    let heap = handle::heap(thread, pool)?;
    let (span, offset) = heap.find_own(address)?;
    let (index, block_bytes) = (span.index_at(offset)?, span.block_bytes.get());
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
    // First, so that the peak does not count both; there is room for the new one.
    let (given, _) = heap.end_block(span, offset, BlockBits::is_plain)?;
    let taken = heap.hand_out(to, to.pop()?, block);
    // SAFETY: blocks of two spans that both have so many bytes. The new one is known to nobody; the old one was the caller's until now, and
    // is nobody else's before this thread hands it out, or does what is rare. All that can be used of it may be in use.
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
