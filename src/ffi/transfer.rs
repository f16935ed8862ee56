//! Section "transfer": copies between arrays and raw memory. A copy overwrites every element of its destination. It
//! neither converts types nor broadcasts shapes.

use crate::boundary::enter;
use crate::device_copy::{MemoryView, registered};
use crate::ffi::array::raw_layout;
use crate::ffi::convert::{self, Out};
use crate::layout::{Layout, Order};
use crate::slots::Id;
use crate::transfer::{self, Side};
use crate::types::*;
use core::ffi::c_void;

/// Copies the elements of one array into another. The two may overlap: the result is as if the source had been read
/// completely first.
///
/// @param source       The source, with any layout. It is read during the call, or with a stream until the copy is
///                     done.
/// @param destination  The array to write, with any layout. Bytes between its elements are unchanged.
/// @param mode         The write mode on the destination, also with TN_WAIT and TN_REQUIRE_ASYNC.
/// @param stream       The stream of the copy; NULL: the copy is done on return. Between host arrays the stream
///                     constants mean the same as NULL.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_DTYPE, TN_ERR_SHAPE if they differ; the statuses of a read borrow of the source and a write borrow of
///         the destination; TN_ERR_NO_HOST_MEMORY. On failure the destination is unchanged.
/// @note Threads: any. Blocks: never. Allocates: if the two overlap and no order of copying is safe, a temporary of the
///       source's size.
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
            && let Some(outcome) = transfer::copy_fast(from, to, mode)
        {
            return outcome;
        }
        copy_into_slow(from, to, mode, stream)
    })
}

/// The slow path.
#[cold]
#[inline(never)]
fn copy_into_slow(from: Id, to: Id, mode: tn_write_mode, stream: *mut tn_stream) -> crate::error::Result<()> {
    transfer::copy_into(c"tn_array_copy_into", from, to, mode, convert::stream(stream))
}

/// Copies an array to a new array on a device, even if the array is on that device already.
///
/// @param array    The source, with any layout. It is read during the call, or with a stream until the copy is done.
/// @param device   The device to copy to; the host is {TN_CPU, 0}.
/// @param pool     A pool of that device; NULL: the thread's current pool of it.
/// @param stream   The stream of the copy; NULL: the copy is done on return.
/// @param[out] out The new array, of the source's form, dense, in F order if the source is F- and not C-contiguous,
///                 else in C order. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE for a device
///         that does not exist or a pool of another device; TN_ERR_UNSUPPORTED without a driver for it;
///         TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT,
///         TN_ERR_LIMIT.
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

/// Moves a given array to a device: takes the promise, copies the elements to a new array there, and releases the old
/// bytes. They return to their pool when the copy is done, in the order of the stream.
///
/// An array that lies there already is taken as by `tn_take`, without a copy: with pool NULL an array on that device,
/// else an array in that pool. If its giver required more promises than this one, the giver keeps the array and its
/// bytes.
///
/// @param promise  An outstanding promise. It cannot be taken again, and its owner still releases it. On failure: as
///                 before.
/// @param device   The device to move to; the host is {TN_CPU, 0}.
/// @param pool     A pool of that device; NULL: the thread's current pool of it.
/// @param stream   The stream of the copy; NULL: the copy is done on return.
/// @param[out] out The array, with the name of the handle that was given. A copy is dense, in F order if the array was
///                 F- and not C-contiguous, else in C order, and writable. Released by `tn_array_release`. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled
///         already; the other statuses of `tn_array_to_device`.
/// @note Threads: any. Blocks: if the host copies, until unfinished device work on the bytes is done. Allocates: the
///       new array, from the pool.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_promise_to_device(
    promise: *mut tn_promise,
    device: tn_device,
    pool: *mut tn_pool,
    stream: *mut tn_stream,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_promise_to_device", || {
        let id = convert::id(promise, "promise")?;
        let out = Out::new(out, "out")?;
        let pool = convert::promise_and_pool(id, pool)?;
        let new = transfer::move_to_device(c"tn_promise_to_device", id, device, pool, convert::stream(stream))?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(convert::handle(new)) };
        Ok(())
    })
}

/// The raw memory of a copy: the given layout over `ptr`, or C order with the array's type and shape.
///
/// # Safety
/// - `layout` is NULL or points to a struct of the size it says, whose arrays have ndim numbers.
unsafe fn raw_side(ptr: *const c_void, layout: *const tn_layout, array: &Layout) -> crate::error::Result<Layout> {
    if !layout.is_null() {
        // SAFETY: the caller's obligation.
        return unsafe { raw_layout(ptr, layout) };
    }
    let mut made = Layout::contiguous(array.dtype(), array.shape(), Order::C, 0)?;
    if !made.is_empty() {
        made.rebase(ptr as u64)?;
    }
    Ok(made)
}

/// Raw memory for which the caller guarantees what the two functions document. It stays readable or writable until the
/// call returns, or, if it is page-locked and a stream was given, until that stream's work is done. The elements of a
/// target share no byte.
fn side<'a>(layout: &'a dyn Fn(&Layout) -> crate::error::Result<Layout>) -> Side<'a> {
    // SAFETY: the caller's obligation, see above.
    Side { layout, vouch: &|layout, memory| unsafe { MemoryView::new(layout, memory) } }
}

/// Copies an array's elements into raw host memory.
///
/// @param array    The source, with any layout. It is read during the call, or with a stream until the copy is done.
/// @param ptr      Memory for the elements. NULL only for an array without elements. It must stay valid until the call
///                 returns; page-locked memory with a stream, until the stream's copy is done.
/// @param layout   The layout of the elements at ptr, with the array's type and shape; NULL: C order.
/// @param stream   The stream of the work; NULL: the work is done on return. For a host array the stream constants mean
///                 the same as NULL.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_DTYPE, TN_ERR_SHAPE, TN_ERR_RANGE, TN_ERR_OVERFLOW for the layout; TN_ERR_LAYOUT if its elements
///         share bytes; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY.
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
/// @param array    The array to write, with any layout.
/// @param ptr      The elements. NULL only for an array without elements. They must stay valid and unchanged until the
///                 call returns; page-locked memory with a stream, until the stream's copy is done.
/// @param layout   The layout of the elements at ptr, with the array's type and shape; NULL: C order.
/// @param mode     The write mode on the array, also with TN_WAIT and TN_REQUIRE_ASYNC.
/// @param stream   The stream of the work; NULL: the work is done on return. For a host array the stream constants mean
///                 the same as NULL.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_DTYPE, TN_ERR_SHAPE, TN_ERR_RANGE, TN_ERR_OVERFLOW for the layout; the statuses of a write borrow;
///         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT.
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
/// @param array    The array to write, with any layout. Bytes between its elements are unchanged.
/// @param value    One element, copied bit by bit before the call returns; any alignment.
/// @param mode     The write mode on the array, also with TN_WAIT.
/// @param stream   The stream of the work; NULL: the work is done on return. For a host array the stream constants mean
///                 the same as NULL.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; the statuses
///         of a write borrow with TN_WRITE_DISCARD; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT for TN_WRITE_COW.
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
/// @param array    The array to write, with any layout. Bytes between its elements are unchanged.
/// @param mode     The write mode on the array, also with TN_WAIT.
/// @param stream   The stream of the work; NULL: the work is done on return. For a host array the stream constants mean
///                 the same as NULL.
/// @return The statuses of `tn_array_fill`.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_clear(array: *mut tn_array, mode: tn_write_mode, stream: *mut tn_stream) -> tn_status {
    enter("tn_array_clear", || {
        transfer::fill(c"tn_array_clear", convert::id(array, "array")?, None, mode, convert::stream(stream))
    })
}

/// Page-locks the caller's memory, so that devices can copy it directly, and makes a one-dimensional array of u8 on
/// TN_CUDA_HOST from it. Views can give it another type and shape. Copies of other arrays and raw pointers in the range
/// become fast too.
///
/// The memory is unlocked when the last array derived from the result is released. That release waits for copies of the
/// range, because the caller may free the memory afterwards.
///
/// @param ptr      Host memory of any alignment, which must stay valid until the release. Memory of a live array's
///                 store makes another array on that store, with its device. If it reaches past the end of an imported
///                 store, it extends that store.
/// @param bytes    The number of bytes, at least 1.
/// @param flags    TN_HOST_PORTABLE, TN_HOST_MAPPED. TN_HOST_READ_ONLY: devices only read the memory, and the array is
///                 READONLY. TN_HOST_BEST_EFFORT: without a GPU, the array is made on TN_CPU, and no memory is locked.
/// @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for other flags, also TN_HOST_WRITE_COMBINED, and for 0 bytes;
///         TN_ERR_DUPLICATE if some of the memory is registered already, by this library or another; TN_ERR_RANGE;
///         TN_ERR_UNSUPPORTED without a GPU; TN_ERR_ALIASED for bytes of two stores, or bytes past the end of a pool's
///         store; TN_ERR_NO_HOST_MEMORY; TN_ERR_DRIVER for memory that the driver refuses.
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

/// Advises the driver how managed memory will be used. Changes no element.
///
/// @param array    An array of managed memory. It is neither read nor written, so open guards do not matter.
/// @param advice   One of TN_ADVISE_, which applies to the whole pages in the array's range.
/// @param device   A GPU or the host. TN_ADVISE_READ_MOSTLY and the TN_ADVISE_UNSET_ constants ignore it.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_DEVICE; TN_ERR_UNSUPPORTED for other memory, without a driver, or where the device does not share
///         managed memory; TN_ERR_DRIVER.
/// @note Threads: any. Blocks: never.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_advise(array: *mut tn_array, advice: tn_advice, device: tn_device) -> tn_status {
    enter("tn_array_advise", || transfer::advise(convert::id(array, "array")?, advice, device))
}

/// Moves managed memory to the device where it will be used next. Changes no element.
///
/// @param array    An array of managed memory.
/// @param device   A GPU or the host.
/// @param stream   The stream of the move; NULL: the thread's current stream, and the call waits for the move.
/// @return The statuses of `tn_array_advise`; TN_ERR_DEVICE also for a stream of another device.
/// @note Threads: any. Blocks: with stream NULL, until the move is done.
/// @since 0.1
/// @ingroup transfer
#[unsafe(no_mangle)]
pub extern "C" fn tn_array_prefetch(array: *mut tn_array, device: tn_device, stream: *mut tn_stream) -> tn_status {
    enter("tn_array_prefetch", || transfer::prefetch(convert::id(array, "array")?, device, convert::stream(stream)))
}
