//! Copies many runs of bytes. A run is contiguous on both sides.
//!
//! Contract: a run is copied as memmove does: as if all of it was read before a byte was written. Runs are copied in
//! the loops' order.

use super::walk::{addresses, walk};
use crate::layout::loops::Loops;
use crate::sys::bytes::{self, Method};

/// Longer runs are worth a call each. Shorter ones are copied by loads of their two ends.
const SHORT_BYTES: usize = 64;

/// Runs of at least this length use streaming stores if the whole copy is too large for the caches. They have enough
/// whole lines to make up for the partial ones at both ends.
const LEAST_STREAMED_BYTES: usize = 1024;

/// Copies runs of `run` bytes along the axes of `loops`. `far`: the copy is too large for the caches, and the two sides
/// share no byte.
///
/// # Safety
/// - Every run may be read and written, and the overlap allows their order.
pub(super) unsafe fn copy(loops: &Loops, run: usize, far: bool) {
    let (dst, src) = addresses(loops);
    let axes = loops.axes();
    // SAFETY: the caller's obligation, in all arms.
    unsafe {
        match run {
            0..=1 => walk(axes, dst, src, |dst, src| core::ptr::copy(src, dst, run)),
            2..=4 => walk(axes, dst, src, |dst, src| ends::<u16, 1>(dst, src, run)),
            5..=8 => walk(axes, dst, src, |dst, src| ends::<u32, 1>(dst, src, run)),
            9..=16 => walk(axes, dst, src, |dst, src| ends::<u64, 1>(dst, src, run)),
            17..=32 => walk(axes, dst, src, |dst, src| ends::<u128, 1>(dst, src, run)),
            33..=SHORT_BYTES => walk(axes, dst, src, |dst, src| ends::<u128, 2>(dst, src, run)),
            _ if far && run >= LEAST_STREAMED_BYTES => {
                walk(axes, dst, src, |dst, src| bytes::copy_by(Method::Streamed, dst, src, run));
            }
            _ => walk(axes, dst, src, |dst, src| bytes::copy(dst, src, run)),
        }
    }
}

/// Copies a run of N to 2 N words of T by its first and its last N words, all read before any is written.
///
/// # Safety
/// - `run` bytes may be read from `src` and written to `dst`.
/// - `run` is the size of N to 2 N words.
#[inline(always)]
unsafe fn ends<T: Copy, const N: usize>(dst: *mut u8, src: *const u8, run: usize) {
    let last = run - N * size_of::<T>();
    // SAFETY: the caller's obligation.
    unsafe {
        let head = src.cast::<[T; N]>().read_unaligned();
        let tail = src.add(last).cast::<[T; N]>().read_unaligned();
        dst.cast::<[T; N]>().write_unaligned(head);
        dst.add(last).cast::<[T; N]>().write_unaligned(tail);
    }
}
