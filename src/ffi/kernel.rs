//! Section "kernel": the memory of kernels. The memory that the threads of a block share is divided among several
//! arrays. include/tenure_kernel.cuh has the other half, which kernels include.

use crate::block_layout::BlockLayout;
use crate::boundary::enter;
use crate::ffi::convert::{self, Out};
use crate::types::*;

/// Computes where several arrays lie in the memory of a thread block (CUDA's shared memory), and how many bytes they
/// need. Nothing is allocated: the launch reserves the bytes, and a kernel finds the arrays with `tn_block_at` of
/// tenure_kernel.cuh.
///
/// The arrays lie in the given order, the first at 0, each of the others at the next multiple of its alignment. No two
/// share a byte. An array without elements gets an offset and no bytes.
///
/// @param n_items      The number of arrays; 0: `total` is 0.
/// @param items        The arrays. NULL only with n_items 0.
/// @param[out] offsets The n_items offsets from the start of the block's dynamic memory, in bytes. NULL only with
///                     n_items 0. On failure: untouched.
/// @param[out] total   The end of the last array in bytes, not rounded up: the launch's number of dynamic bytes per
///                     block. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for a negative count, an alignment that is no power of two from 1 to 128,
///         and a reserved word that is not 0; TN_ERR_DTYPE; TN_ERR_OVERFLOW. The limit of a device is not checked here.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup kernel
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_block_layout(
    n_items: usize,
    items: *const tn_block_item,
    offsets: *mut i64,
    total: *mut i64,
) -> tn_status {
    enter("tn_block_layout", || {
        // SAFETY: n_items items, or NULL with none, by this function's documentation.
        let items = unsafe { convert::slice(n_items, items, "items")? };
        let offsets = if items.is_empty() { None } else { Some(Out::new(offsets, "offsets")?) };
        let total = Out::new(total, "total")?;
        let layout = BlockLayout::of(items)?;
        for (index, offset) in layout.offsets().enumerate() {
            // SAFETY: n_items places, by this function's documentation.
            offsets.iter().for_each(|offsets| unsafe { offsets.write_at(index, offset) });
        }
        // SAFETY: checked for NULL; writable by this function's documentation.
        unsafe { total.write(layout.total()) };
        Ok(())
    })
}
