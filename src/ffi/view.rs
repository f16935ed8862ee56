//! Section "view": other layouts on the same bytes. Each call makes a new handle on the array's store, without a name,
//! and copies no element. The handle is released on its own, and the array stays usable. Each call returns TN_ERR_LIMIT
//! if no more handles can be made.

use crate::array::{self, Axes, Cut};
use crate::boundary::enter;
use crate::dtype::Dtype;
use crate::error::Result;
use crate::ffi::convert::{self, Out};
use crate::layout::{self, Layout, Order, even_parts, pieces};
use crate::ledger::{self, Claim};
use crate::slots::Id;
use crate::types::*;

/// Reports an invalid argument after an invalid array handle. If the argument is valid, nothing is looked up here.
#[inline]
fn second<T>(id: Id, argument: Result<T>) -> Result<T> {
    if argument.is_err() {
        ledger::find::<Claim>(id)?;
    }
    argument
}

/// Makes the view and writes its handle.
#[inline]
fn view(
    id: Id,
    axes: Axes,
    cut: Cut,
    out: Out<*mut tn_array>,
    derive: impl Fn(&Layout, &mut Layout) -> Result<()>,
) -> Result<()> {
    let view = array::view(id, axes, cut, derive)?;
    // SAFETY: writable by the documentation of the functions that call this.
    unsafe { out.write(convert::handle(view)) };
    Ok(())
}

/// Makes a view with another shape and the same elements in the same order.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param ndim     The number of axes of the view, 0 to TN_MAX_NDIM.
/// @param shape    The ndim lengths in elements. One may be -1 and is then computed. NULL only with ndim 0.
/// @param order    TN_ORDER_C, TN_ORDER_F or TN_ORDER_A: the order in which elements are read from the array and placed
///                 in the view.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an unknown order; TN_ERR_DESTRUCTED,
///         TN_ERR_GIVEN; TN_ERR_OVERFLOW; TN_ERR_SHAPE for another number of elements, two -1, or a -1 that cannot be
///         computed; TN_ERR_LAYOUT if the view is possible only as a copy.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_reshape(
    array: *mut tn_array,
    ndim: i32,
    shape: *const i64,
    order: tn_order,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_reshape", || {
        let id = convert::id(array, "array")?;
        // SAFETY: an array of that length, by this function's documentation.
        let shape = unsafe { convert::shape(ndim, shape, "shape")? };
        let out = Out::new(out, "out")?;
        let order = second(id, Order::of(order))?;
        let axes = shape.as_ref().map_or(0, |shape| shape.len());
        view(id, Axes::Known(axes), Cut::Reshaped, out, |from, to| from.reshape_to(shape?, order, to))
    })
}

/// Makes a one-dimensional view of all elements.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param order    TN_ORDER_C, TN_ORDER_F or TN_ORDER_A: the order of the elements.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return The statuses of `tn_array_reshape`.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_ravel(array: *mut tn_array, order: tn_order, out: *mut *mut tn_array) -> tn_status {
    enter("tn_array_ravel", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        let order = second(id, Order::of(order))?;
        view(id, Axes::Known(1), Cut::Reshaped, out, |from, to| from.ravel_to(order, to))
    })
}

/// Makes a view with all axes reversed. The view of an upper triangle is a lower one, and the reverse; that of a
/// diagonal is a diagonal.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_transpose(array: *mut tn_array, out: *mut *mut tn_array) -> tn_status {
    enter("tn_array_transpose", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        view(id, Axes::NoMore, Cut::Turned, out, |from, to| from.transpose_to(to))
    })
}

/// Makes a view with the axes in another order. A permutation of two axes has the form that `tn_array_transpose` gives
/// it.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param ndim     The number of axes of the array.
/// @param axes     The ndim axes of the array in their new order, each once; negative ones count from the end. NULL
///                 only with ndim 0.
/// @param[out] out The view: its axis i is axis axes[i] of the array. Released by `tn_array_release`. On failure:
///                 untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a negative ndim; TN_ERR_DESTRUCTED,
///         TN_ERR_GIVEN; TN_ERR_COUNT for a wrong number of axes; TN_ERR_DUPLICATE; TN_ERR_OVERFLOW; TN_ERR_RANGE for
///         an axis out of range.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_permute(
    array: *mut tn_array,
    ndim: i32,
    axes: *const i32,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_permute", || {
        let id = convert::id(array, "array")?;
        // SAFETY: an array of that length, by this function's documentation.
        let axes = unsafe { convert::slice(ndim.max(0) as usize, axes, "axes")? };
        let out = Out::new(out, "out")?;
        second(id, layout::check_count(ndim))?;
        view(id, Axes::NoMore, Cut::permuted(axes), out, |from, to| from.permute_to(axes, to))
    })
}

/// Makes a view of a part of an array.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param n_specs  The number of specs, at most the number of axes. Axes from n_specs on are kept whole.
/// @param specs    The n_specs slices {start, stop, step}, with the rules of Python: a negative bound counts from the
///                 end, a bound outside the axis is clamped, TN_NONE is an absent bound. The reserved words are 0. NULL
///                 only with n_specs 0.
/// @param[out] out The view, with the same number of axes. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a step of 0 or a reserved word that is not
///         0; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT for more specs than axes; TN_ERR_OVERFLOW.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_slice(
    array: *mut tn_array,
    n_specs: usize,
    specs: *const tn_slice_spec,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_slice", || {
        let id = convert::id(array, "array")?;
        // SAFETY: an array of that length, by this function's documentation.
        let specs = unsafe { convert::per_axis(n_specs, specs, "specs")? };
        let out = Out::new(out, "out")?;
        second(id, specs.map_or(Ok(()), layout::check_slices))?;
        view(id, Axes::NoMore, Cut::Within, out, |from, to| from.slice_to(specs?, to))
    })
}

/// Makes a view of the elements at one index of an axis. The view does not have that axis.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param axis     The axis; a negative one counts from the last one.
/// @param index    The index; a negative one counts from the end.
/// @param[out] out The view, with one axis less. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW;
///         TN_ERR_RANGE for an axis or index out of range.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_index(
    array: *mut tn_array,
    axis: i32,
    index: i64,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_index", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        view(id, Axes::NoMore, Cut::Within, out, |from, to| from.index_to(axis, index, to))
    })
}

/// Makes a view without axes of length 1.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param n_axes   The number of axes to remove.
/// @param axes     The n_axes axes of length 1, each once; negative ones count from the end. NULL with n_axes 0: all
///                 axes of length 1.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT for more axes
///         than an array can have; TN_ERR_DUPLICATE; TN_ERR_OVERFLOW; TN_ERR_SHAPE for an axis of another length;
///         TN_ERR_RANGE for an axis out of range.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_squeeze(
    array: *mut tn_array,
    n_axes: usize,
    axes: *const i32,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_squeeze", || {
        let id = convert::id(array, "array")?;
        // SAFETY: an array of that length, by this function's documentation.
        let given = unsafe { convert::per_axis(n_axes, axes, "axes")? };
        let out = Out::new(out, "out")?;
        let all = n_axes == 0 && axes.is_null();
        view(id, Axes::NoMore, Cut::Within, out, |from, to| from.squeeze_to(if all { None } else { Some(given?) }, to))
    })
}

/// Makes a view with a new axis of length 1.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param axis     The position of the new axis, 0 to the number of axes; -1 is the position after the last axis.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW past 64
///         axes; TN_ERR_RANGE.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_expand(array: *mut tn_array, axis: i32, out: *mut *mut tn_array) -> tn_status {
    enter("tn_array_expand", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        view(id, Axes::OneMore, Cut::Within, out, |from, to| from.expand_to(axis, to))
    })
}

/// Broadcasts an array to a larger shape, with NumPy's rules: shapes are aligned at the last axis, and lengths of 1 are
/// stretched.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param ndim     The number of axes of the view, 0 to TN_MAX_NDIM.
/// @param shape    The ndim lengths in elements. NULL only with ndim 0.
/// @param[out] out The view, which is READONLY if an axis is stretched to a length above 1. Released by
///                 `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW;
///         TN_ERR_SHAPE if there are fewer axes than the array has, or lengths do not match.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_broadcast(
    array: *mut tn_array,
    ndim: i32,
    shape: *const i64,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_broadcast", || {
        let id = convert::id(array, "array")?;
        // SAFETY: an array of that length, by this function's documentation.
        let shape = unsafe { convert::shape(ndim, shape, "shape")? };
        let out = Out::new(out, "out")?;
        let axes = shape.as_ref().map_or(0, |shape| shape.len());
        view(id, Axes::Known(axes), Cut::Within, out, |from, to| from.broadcast_to(shape?, to))
    })
}

/// The output array for the handles of several views.
struct Outs {
    outs: *mut *mut tn_array,
    capacity: usize,
    count: Out<usize>,
}

impl Outs {
    fn new(capacity: usize, outs: *mut *mut tn_array, count: *mut usize) -> Result<Outs> {
        Ok(Outs { outs, capacity, count: Out::new(count, "count")? })
    }

    fn write(&self, id: Id, axis: i32, cut: impl Fn(i64) -> layout::Parts) -> Result<()> {
        let mut place = |index: usize, part: Id| {
            // SAFETY: `capacity` places, and there are no more parts than that.
            unsafe { self.outs.add(index).write(convert::handle(part)) };
        };
        let outs: Option<&mut dyn FnMut(usize, Id)> = if self.outs.is_null() { None } else { Some(&mut place) };
        let count = array::parts(id, axis, cut, self.capacity, outs)?;
        // SAFETY: writable by the documentation of the functions that call this.
        unsafe { self.count.write(count) };
        Ok(())
    }
}

/// Splits an axis into a given number of consecutive views, whose lengths differ by at most 1, the longer ones first.
/// Makes all of them or none.
///
/// @param array        An array. It stays usable, and is still released on its own.
/// @param axis         The axis; a negative one counts from the last one.
/// @param n_parts      The number of views, at least 1.
/// @param capacity     The number of handles that fit at outs.
/// @param[out] outs    The views, in the order of their indices, each released by `tn_array_release`. NULL: only n_outs
///                     is written. On failure: untouched.
/// @param[out] n_outs  The number of views: n_parts. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for n_parts 0; TN_ERR_DESTRUCTED,
///         TN_ERR_GIVEN; TN_ERR_COUNT if capacity is less than the number of views; TN_ERR_RANGE for an axis out of
///         range; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_split(
    array: *mut tn_array,
    axis: i32,
    n_parts: usize,
    capacity: usize,
    outs: *mut *mut tn_array,
    n_outs: *mut usize,
) -> tn_status {
    enter("tn_array_split", || {
        let id = convert::id(array, "array")?;
        let outs = Outs::new(capacity, outs, n_outs)?;
        let parts = second(id, layout::check_parts(n_parts))?;
        outs.write(id, axis, |n| even_parts(n, parts))
    })
}

/// Splits an axis into consecutive views of a given length, of which the last may be shorter. Makes all of them or
/// none.
///
/// @param array        An array. It stays usable, and is still released on its own.
/// @param axis         The axis; a negative one counts from the last one.
/// @param length       The length of a view on the axis, in elements, at least 1.
/// @param capacity     The number of handles that fit at outs.
/// @param[out] outs    The views, in the order of their indices, each released by `tn_array_release`. NULL: only n_outs
///                     is written. On failure: untouched.
/// @param[out] n_outs  The number of views; 0 for an axis of length 0. On failure: untouched.
/// @return The statuses of `tn_array_split`; TN_ERR_INVALID for a length below 1.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_chunks(
    array: *mut tn_array,
    axis: i32,
    length: i64,
    capacity: usize,
    outs: *mut *mut tn_array,
    n_outs: *mut usize,
) -> tn_status {
    enter("tn_array_chunks", || {
        let id = convert::id(array, "array")?;
        let outs = Outs::new(capacity, outs, n_outs)?;
        second(id, layout::check_length(length))?;
        outs.write(id, axis, |n| pieces(n, length))
    })
}

/// Makes a view of the same bytes as another element type.
///
/// @param array    An array. It stays usable, and is still released on its own.
/// @param dtype    The new element type. It may have another size if the last axis is dense; that axis then changes its
///                 length.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE for an unknown
///         type, and for bool if the array is not bool; TN_ERR_OVERFLOW; TN_ERR_SHAPE if the bytes of the last axis are
///         no multiple of the new size; TN_ERR_LAYOUT if the last axis is not dense, or addresses would not be aligned.
/// @note Threads: any. Blocks: never. Allocates: bookkeeping only.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_view_dtype(
    array: *mut tn_array,
    dtype: tn_dtype,
    out: *mut *mut tn_array,
) -> tn_status {
    enter("tn_array_view_dtype", || {
        let id = convert::id(array, "array")?;
        let out = Out::new(out, "out")?;
        view(id, Axes::NoMore, Cut::OwnRoot, out, |from, to| from.view_dtype_to(Dtype::of(dtype)?, to))
    })
}

/// Tests whether two arrays overlap in memory.
///
/// @param a        An array.
/// @param b        An array.
/// @param[out] out TN_OVERLAP_NONE, TN_OVERLAP_EXACT, TN_OVERLAP_SOME or TN_OVERLAP_UNKNOWN. Every rule treats an
///                 unknown overlap as an overlap. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN.
/// @note Threads: any. Blocks: never. Allocates: nothing.
/// @since 0.1
/// @ingroup view
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tn_array_overlap(a: *mut tn_array, b: *mut tn_array, out: *mut tn_overlap) -> tn_status {
    enter("tn_array_overlap", || {
        let (a, b) = (convert::id(a, "a")?, convert::id(b, "b")?);
        let out = Out::new(out, "out")?;
        let overlap = array::overlap(a, b)?;
        // SAFETY: writable by this function's documentation.
        unsafe { out.write(overlap.code()) };
        Ok(())
    })
}
