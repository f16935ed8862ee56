//! Large page-locked memory: mapped by the library, made resident by the threads that the caller lends, and then
//! page-locked in place.
//!
//! Contract: the driver's own allocation makes pages resident with one thread, which takes 0.4 to 0.5 s per GiB
//! (rapidsai/rmm issue 2496). This way serves ranges of at least [`LEAST_BYTES`] on a thread with a runner; where
//! anything refuses, the driver's allocation serves them.
//!
//! Comparison: PyTorch's pinned allocator also divides the work among threads, and page-locks each part on its own
//! (pytorch/pytorch pull request 108488). Here the range is page-locked as one, because the driver refuses copies
//! across two page-locked ranges.

use crate::error::quietly;
use crate::gpu::{Gpu, page_lock};
use crate::runner;
use crate::sys::os;

/// Smaller ranges come from the driver.
pub(super) const LEAST_BYTES: usize = 256 << 20;

/// Maps memory and page-locks it, at a multiple of `alignment`. `flags`: TN_HOST_PORTABLE, TN_HOST_MAPPED. Its pages
/// come from NUMA node `node` if possible; None: from the GPU's own. None: not divided, or refused.
pub(super) fn allocate(
    gpu: &'static Gpu,
    bytes: usize,
    alignment: usize,
    flags: u32,
    node: Option<u32>,
) -> Option<usize> {
    let parts = if bytes < LEAST_BYTES { 1 } else { runner::parts(bytes) };
    if parts < 2 {
        return None;
    }
    let start = os::map(bytes, alignment)?;
    if let Some(node) = node.or_else(|| gpu.numa_node()) {
        os::prefer_node(start, bytes, node);
    }
    let page = os::page_bytes();
    let bound = |part: usize| start + bytes / page * part / parts * page;
    // SAFETY: the parts lie in the range, which was just mapped and which no other thread knows.
    runner::each(parts, &|part| unsafe { os::populate(bound(part), bound(part + 1) - bound(part)) });
    // SAFETY: as above; it stays mapped until `free` has unlocked it.
    if quietly(|| unsafe { page_lock::lock(gpu, start, bytes, flags) }).is_ok() {
        return Some(start);
    }
    // SAFETY: mapped above, and not shared.
    unsafe { os::unmap(start, bytes) };
    None
}

/// Unlocks and unmaps a range. `is_locked`: false where the driver has forgotten it already. False: the driver refuses,
/// and the range stays.
///
/// # Safety
/// - [`allocate`] returned the range, all work on it is done, and it is not used again.
pub(super) unsafe fn free(gpu: &'static Gpu, start: usize, bytes: usize, is_locked: bool) -> bool {
    // SAFETY: the caller's obligation.
    if is_locked && quietly(|| unsafe { page_lock::unlock(gpu, start) }).is_err() && !gpu.is_lost() {
        return false;
    }
    // SAFETY: as above.
    unsafe { os::unmap(start, bytes) };
    true
}
