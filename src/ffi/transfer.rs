//! Section "transfer": copies between arrays and raw memory. `mode` is the write mode on the destination, of which every element is overwritten;
//! types are not converted, shapes not broadcast.

use crate::boundary::enter;
use crate::device_copy::{MemoryView, registered};
use crate::ffi::array::raw_layout;
use crate::ffi::convert::{self, Out};
use crate::layout::{Layout, Order};
use crate::slots::Id;
use crate::transfer::{self, Side};
use crate::types::*;
use core::ffi::c_void;

/// Copies the elements of one array into another one: as if the source had been read in full first, also where they overlap.
///
/// @param source       The array that is read, during the call only; any layout.
/// @param destination  The array that is written; any layout. Bytes that belong to none of its elements stay as they are.
/// @param mode         The write mode on the destination, TN_WAIT, TN_REQUIRE_ASYNC.
/// @param stream       NULL: done on return; between host arrays the constants mean the same.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE, TN_ERR_SHAPE where
///         they differ; then what a read borrow of the source and a write borrow of the destination would get; TN_ERR_NO_HOST_MEMORY.
///         On failure the destination is unchanged.
/// @note Threads: any. Blocks: never. Allocates: a temporary of the source's size where the two overlap and no order is safe.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_copy_into(
    source: *mut tn_array,
    destination: *mut tn_array,
    mode: tn_write_mode,
    stream: *mut tn_stream,
) -> tn_status {
    enter("tn_array_copy_into", || {
        let (from, to) = (convert::id(source, "source")?, convert::id(destination, "destination")?);
        if convert::is_now(stream)
            && let Some(outcome) = transfer::copy_free(from, to, mode)
        {
            return outcome;
        }
        copy_into_slow(from, to, mode, stream)
    })
}

/// What the short way does not do.
#[cold]
#[inline(never)]
fn copy_into_slow(from: Id, to: Id, mode: tn_write_mode, stream: *mut tn_stream) -> crate::error::Result<()> {
    transfer::copy_into(c"tn_array_copy_into", from, to, mode, convert::stream(stream))
}

/// Makes a new array on a device with the elements of an array, also if that is there already.
///
/// @param array    The array that is read, during the call only; any layout.
/// @param device   The device to copy to; the host is {TN_CPU, 0}.
/// @param pool     A pool of that device; NULL: the thread's current one.
/// @param stream   NULL: done on return.
/// @param[out] out The new array: in F order if the source is F- and not C-contiguous, else in C order. Released by `tn_array_release`. On
///                 failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE for a device that does not exist
///         or a pool of another one; TN_ERR_UNSUPPORTED without a driver for it; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED;
///         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: the new array, from the pool.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_to_device(
    array: *mut tn_array,
    device: tn_device,
    pool: *mut tn_pool,
    stream: *mut tn_stream,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_to_device", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let pool = convert::array_and_pool(id, pool)?;
        let new = transfer::to_device(c"tn_array_to_device", id, device, pool, convert::stream(stream))?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(new)) };
        Ok(())
    })
}

/// The raw side of a copy: the given layout over `ptr`, or C order with the array's type and shape.
///
/// # Safety
/// - `layout` is NULL or points to a struct of the size it says, whose arrays have ndim numbers.
unsafe fn raw_side(ptr: *const c_void, layout: *const tn_layout, array: &Layout) -> crate::error::Result<Layout> {
    if !layout.is_null() {
        // SAFETY: the caller's promise.
        return unsafe { raw_layout(ptr, layout) };
    }
    let mut made = Layout::contiguous(array.dtype(), array.shape(), Order::C, 0)?;
    if !made.is_empty() {
        made.rebase(ptr as u64)?;
    }
    Ok(made)
}

/// Raw memory that the caller vouches for, by the documentation of the two functions that take it: readable or writable until the call
/// returns, or, where it is page-locked and a stream was given, until that has passed; elements of a target share no byte.
fn side<'a>(layout: &'a dyn Fn(&Layout) -> crate::error::Result<Layout>) -> Side<'a> {
    // SAFETY: the caller's promise, see above.
    Side { layout, vouch: &|layout, memory| unsafe { MemoryView::new(layout, memory) } }
}

/// Copies an array's elements into raw host memory.
///
/// @param array    The array that is read, during the call only; any layout.
/// @param ptr      Memory for the elements; the call is done with it on return. NULL only for an array of no elements.
/// @param layout   The layout of the elements there, of the array's type and shape; NULL: C order.
/// @param stream   NULL: done on return; for a host array the constants mean the same.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE, TN_ERR_SHAPE,
///         TN_ERR_RANGE, TN_ERR_OVERFLOW for the layout, TN_ERR_LAYOUT if its elements share bytes; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE,
///         TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_copy_to_host(
    array: *mut tn_array,
    ptr: *mut c_void,
    layout: *const tn_layout,
    stream: *mut tn_stream,
) -> tn_status {
    enter("tn_array_copy_to_host", || {
        let id = convert::id(array, "array")?;
        convert::not_null_unless_empty(ptr, id)?;
        // SAFETY: a struct of that size, by this function's documentation.
        let target = |array: &Layout| unsafe { raw_side(ptr, layout, array) };
        transfer::copy_to_host(c"tn_array_copy_to_host", id, convert::stream(stream), side(&target))
    })
}

/// Copies elements from raw host memory into an array.
///
/// @param array    The array that is written; any layout.
/// @param ptr      The elements; read before the call returns. NULL only for an array of no elements.
/// @param layout   Their layout there, of the array's type and shape; NULL: C order.
/// @param mode     The write mode on the array, TN_WAIT, TN_REQUIRE_ASYNC.
/// @param stream   NULL: done on return; for a host array the constants mean the same.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE, TN_ERR_SHAPE,
///         TN_ERR_RANGE, TN_ERR_OVERFLOW for the layout; then what a write borrow would get; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_copy_from_host(
    array: *mut tn_array,
    ptr: *const c_void,
    layout: *const tn_layout,
    mode: tn_write_mode,
    stream: *mut tn_stream,
) -> tn_status {
    enter("tn_array_copy_from_host", || {
        let id = convert::id(array, "array")?;
        convert::not_null_unless_empty(ptr, id)?;
        // SAFETY: a struct of that size, by this function's documentation.
        let source = |array: &Layout| unsafe { raw_side(ptr, layout, array) };
        transfer::copy_from_host(c"tn_array_copy_from_host", id, mode, convert::stream(stream), side(&source))
    })
}

/// Overwrites every element of an array with one value.
///
/// @param array    The array that is written; any layout. Bytes that belong to none of its elements stay as they are.
/// @param value    One element, copied bit by bit before the call returns; any alignment.
/// @param mode     The write mode, TN_WAIT.
/// @param stream   NULL: done on return; for a host array the constants mean the same.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; then what a write borrow with
///         TN_WRITE_DISCARD would get; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT for TN_WRITE_COW.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_fill(
    array: *mut tn_array,
    value: *const c_void,
    mode: tn_write_mode,
    stream: *mut tn_stream,
) -> tn_status {
    enter("tn_array_fill", || {
        let id = convert::id(array, "array")?;
        convert::id(value, "value")?;
        let element = |item: usize| {
            let mut bytes = [0u8; 16];
            // SAFETY: one element of the array's type, by this function's documentation; none is larger than 16 bytes.
            unsafe { core::ptr::copy_nonoverlapping(value.cast::<u8>(), bytes.as_mut_ptr(), item) };
            bytes
        };
        transfer::fill(c"tn_array_fill", id, Some(&element), mode, convert::stream(stream))
    })
}

/// Overwrites every byte of an array's elements with 0.
///
/// @param array    The array that is written; any layout. Bytes that belong to none of its elements stay as they are.
/// @param mode     The write mode, TN_WAIT.
/// @param stream   NULL: done on return; for a host array the constants mean the same.
/// @return as `tn_array_fill`.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_zero(array: *mut tn_array, mode: tn_write_mode, stream: *mut tn_stream) -> tn_status {
    enter("tn_array_zero", || {
        transfer::fill(c"tn_array_zero", convert::id(array, "array")?, None, mode, convert::stream(stream))
    })
}

/// Page-locks the caller's memory, so that devices copy it by themselves, and gives it as a 1-D array of u8 on TN_CUDA_HOST; views give it
/// type and shape. Copies of other arrays and raw pointers in the range are as fast from then on.
///
/// There is no verb for the way back: when the last array that descends from the result was released, the memory is unlocked. That release
/// waits for the copies on the range, because the caller may free the memory afterwards.
///
/// @param ptr      Host memory, any alignment; it stays until the release. Memory of a live array gives one more array on its store, with
///                 that store's device; past the end of an imported one it widens that.
/// @param bytes    The number of bytes, at least 1.
/// @param flags    TN_HOST_PORTABLE, TN_HOST_MAPPED, TN_HOST_READ_ONLY: devices only read it, and the array is READONLY;
///                 TN_HOST_BEST_EFFORT: without a GPU the array is there, labelled TN_CPU, and nothing is locked.
/// @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for other flags, TN_HOST_WRITE_COMBINED or no bytes; TN_ERR_DUPLICATE where some of it is
///         registered already, by this library or another; TN_ERR_RANGE; TN_ERR_UNSUPPORTED without a GPU; TN_ERR_ALIASED for bytes of
///         two arrays' stores, or beyond a pool's; TN_ERR_NO_HOST_MEMORY; TN_ERR_DRIVER for memory that the driver refuses.
/// @note Threads: any. Blocks: while the driver locks the pages.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_host_register(
    ptr: *mut c_void,
    bytes: usize,
    flags: tn_host_flags,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_host_register", || {
        convert::id(ptr, "ptr")?;
        let out = Out::new(out, "out")?;
        // SAFETY: the caller's memory until the array's release, by this function's documentation.
        let lock = |gpu, range: (i64, i64), flags| unsafe { registered::lock(gpu, range.0, range.1, flags) };
        let new = transfer::register(ptr as u64, bytes, flags, &lock)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(new)) };
        Ok(())
    })
}

/// Tells the driver where managed memory is best kept. Changes no element.
///
/// @param array    An array of managed memory. Neither read nor written, so nobody is in the way.
/// @param advice   TN_ADVISE_, on the whole pages of the array's range.
/// @param device   A GPU or the host; TN_ADVISE_READ_MOSTLY and what takes advice back do not look which.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE;
///         TN_ERR_UNSUPPORTED for other memory, without a driver, or where the device does not share managed memory; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_advise(array: *mut tn_array, advice: tn_advice, device: tn_device) -> tn_status {
    enter("tn_array_advise", || transfer::advise(convert::id(array, "array")?, advice, device))
}

/// Brings managed memory to where it will be used next. Changes no element, and needs no claim.
///
/// @param array    An array of managed memory.
/// @param device   A GPU or the host.
/// @param stream   The stream that orders the move; NULL: the thread's current one, which is waited for.
/// @return as `tn_array_advise`; TN_ERR_DEVICE also for a stream of another device.
/// @note Threads: any. Blocks: with stream NULL.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_prefetch(array: *mut tn_array, device: tn_device, stream: *mut tn_stream) -> tn_status {
    enter("tn_array_prefetch", || transfer::prefetch(convert::id(array, "array")?, device, convert::stream(stream)))
}
