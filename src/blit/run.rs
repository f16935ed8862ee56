//! Runs of bytes that lie side by side on both sides, many of them.
//!
//! Contract: a run is copied as memmove does: all of it is read before a byte of it is written, or in an order that comes to the
//! same. Runs go in the loops' order.

use super::walk::{addresses, walk};
use crate::layout::loops::Loops;
use crate::sys::bytes::{self, Method};

/// Runs so long are worth a call of their own; shorter ones are loaded at both ends and stored.
const SHORT: usize = 64;

/// Runs so long are streamed where the whole copy is too large for the caches: enough lines for what is lost at both ends.
const STREAMED: usize = 1024;

/// Copies runs of `run` bytes along the axes of `loops`. `far`: the copy is too large for the caches, and shares no byte.
///
/// # Safety
/// - every run may be read and written, and their order is one that the overlap allows.
pub(super) unsafe fn copy(loops: &Loops, run: usize, far: bool) {
    let (dst, src) = addresses(loops);
    let axes = loops.axes();
    // SAFETY: the caller's promise, in all arms.
    unsafe {
        match run {
            0..=1 => walk(axes, dst, src, |dst, src| core::ptr::copy(src, dst, run)),
            2..=4 => walk(axes, dst, src, |dst, src| ends::<u16, 1>(dst, src, run)),
            5..=8 => walk(axes, dst, src, |dst, src| ends::<u32, 1>(dst, src, run)),
            9..=16 => walk(axes, dst, src, |dst, src| ends::<u64, 1>(dst, src, run)),
            17..=32 => walk(axes, dst, src, |dst, src| ends::<u128, 1>(dst, src, run)),
            33..=SHORT => walk(axes, dst, src, |dst, src| ends::<u128, 2>(dst, src, run)),
            _ if far && run >= STREAMED => {
                walk(axes, dst, src, |dst, src| bytes::copy_by(Method::Streamed, dst, src, run));
            }
            _ => walk(axes, dst, src, |dst, src| bytes::copy(dst, src, run)),
        }
    }
}

/// Copies a run of N to 2 N words of T by its first and its last N words, all read before any is written.
///
/// # Safety
/// - `run` bytes may be read from `src` and written to `dst`; they are N to 2 N words.
#[inline(always)]
unsafe fn ends<T: Copy, const N: usize>(dst: *mut u8, src: *const u8, run: usize) {
    let last = run - N * size_of::<T>();
    // SAFETY: the caller's promise.
    unsafe {
        let head = src.cast::<[T; N]>().read_unaligned();
        let tail = src.add(last).cast::<[T; N]>().read_unaligned();
        dst.cast::<[T; N]>().write_unaligned(head);
        dst.add(last).cast::<[T; N]>().write_unaligned(tail);
    }
}
