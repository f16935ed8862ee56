//! Section "view": other layouts on the same bytes. Each call makes a new handle on the same store, without a name, which is released on
//! its own; no element is copied or touched. Each is TN_ERR_LIMIT when no more handles can be made.

use crate::array::{self, Axes, Cut};
use crate::boundary::enter;
use crate::dtype::Dtype;
use crate::error::Result;
use crate::ffi::convert::{self, Out};
use crate::layout::{self, Layout, Order, even_parts, pieces};
use crate::ledger::{self, Claim};
use crate::slots::Id;
use crate::types::*;

/// What an argument shows alone comes second: first whether the array is one. If both are right, nothing is looked up here.
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
/// @param array    An array; stays usable and keeps its own release.
/// @param ndim     The number of axes of the view, 0 to TN_MAX_NDIM.
/// @param shape    The ndim lengths in elements; one may be -1 and is computed. NULL only with ndim 0.
/// @param order    TN_ORDER_C, F or A: the order in which elements are read from the array and laid out in the view.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an unknown order; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_OVERFLOW; TN_ERR_SHAPE for another number of elements, two -1, or one that cannot be computed; TN_ERR_LAYOUT where only a
///         copy would do.
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
/// @param array    An array; stays usable and keeps its own release.
/// @param order    TN_ORDER_C, F or A: the order of the elements.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return as `tn_array_reshape`.
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

/// Makes a view with all axes reversed.
///
/// @param array    An array; stays usable and keeps its own release.
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
        view(id, Axes::NoMore, Cut::Within, out, |from, to| from.transpose_to(to))
    })
}

/// Makes a view with the axes in another order.
///
/// @param array    An array; stays usable and keeps its own release.
/// @param ndim     The number of axes: that of the array.
/// @param axes     The ndim axes of the array, each once; negative ones count from the end. NULL only with ndim 0.
/// @param[out] out The view: its axis i is axis axes[i] of the array. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a negative ndim; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
///         TN_ERR_COUNT for a wrong number of axes; TN_ERR_DUPLICATE; TN_ERR_OVERFLOW; TN_ERR_RANGE for an axis that is not there.
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
        view(id, Axes::NoMore, Cut::Within, out, |from, to| from.permute_to(axes, to))
    })
}

/// Makes a view of a part of an array.
///
/// @param array    An array; stays usable and keeps its own release.
/// @param n_specs  The number of specs, at most that of the axes; axes from n_specs on are kept whole.
/// @param specs    The n_specs specs {start, stop, step}, whose reserved words are 0, as in Python: negative counts from the end, what lies
///                 outside is clamped, TN_NONE is absent. NULL only with n_specs 0.
/// @param[out] out The view: same number of axes. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a step 0 or a reserved word that is not 0; TN_ERR_DESTRUCTED,
///         TN_ERR_GIVEN; TN_ERR_COUNT for more specs than axes; TN_ERR_OVERFLOW.
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

/// Makes a view of the elements with one index on an axis, which is removed.
///
/// @param array    An array; stays usable and keeps its own release.
/// @param axis     The axis; a negative one counts from the last one.
/// @param index    The index; a negative one counts from the end.
/// @param[out] out The view: one axis less. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW; TN_ERR_RANGE for an axis or
///         index that is not there.
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
/// @param array    An array; stays usable and keeps its own release.
/// @param n_axes   The number of axes to remove.
/// @param axes     The n_axes axes of length 1, each once; negative ones count from the end. NULL with n_axes 0: all axes of length 1.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT for more axes than an array can
///         have; TN_ERR_DUPLICATE; TN_ERR_OVERFLOW; TN_ERR_SHAPE for an axis of another length; TN_ERR_RANGE for an axis that is not there.
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
/// @param array    An array; stays usable and keeps its own release.
/// @param axis     The place of the new axis, 0 to the number of axes; negative counts from behind the last one.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW past 64 axes; TN_ERR_RANGE.
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

/// Makes a view with a larger shape, in which elements repeat: right-aligned, lengths of 1 stretch.
///
/// @param array    An array; stays usable and keeps its own release.
/// @param ndim     The number of axes of the view, 0 to TN_MAX_NDIM.
/// @param shape    The ndim lengths in elements. NULL only with ndim 0.
/// @param[out] out The view: READONLY where an axis of length above 1 is stretched. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW; TN_ERR_SHAPE for fewer axes or
///         lengths that do not fit.
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

/// Where the handles of several views go.
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

/// Makes a given number of views that follow one another on an axis, with lengths that differ by 1 at most, the longer ones first. All or
/// none.
///
/// @param array        An array; stays usable and keeps its own release.
/// @param axis         The axis; a negative one counts from the last one.
/// @param n_parts      The number of views, at least 1.
/// @param capacity     The number of places at outs.
/// @param[out] outs    The views, each released by `tn_array_release`. NULL: only n_outs is written. On failure: untouched.
/// @param[out] n_outs  The number of views: n_parts. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for n_parts 0; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT
///         where capacity is less than n_outs; TN_ERR_RANGE for an axis that is not there; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
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

/// Makes views of a given length that follow one another on an axis; the last one may be shorter. All or none.
///
/// @param array        An array; stays usable and keeps its own release.
/// @param axis         The axis; a negative one counts from the last one.
/// @param length       The length of a view on the axis, in elements, at least 1.
/// @param capacity     The number of places at outs.
/// @param[out] outs    The views, each released by `tn_array_release`. NULL: only n_outs is written. On failure: untouched.
/// @param[out] n_outs  The number of views; none for an axis of length 0. On failure: untouched.
/// @return as `tn_array_split`, TN_ERR_INVALID for a length below 1.
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
/// @param array    An array; stays usable and keeps its own release.
/// @param dtype    The other type. Of another size only where the last axis is dense; its length changes then.
/// @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
/// @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE for an unknown type and for a view
///         of other bytes as bool; TN_ERR_OVERFLOW; TN_ERR_SHAPE where the last axis' bytes do not divide; TN_ERR_LAYOUT where it is not
///         dense, or addresses would not be aligned.
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

/// Says how the bytes of two arrays lie to one another.
///
/// @param a        An array.
/// @param b        An array.
/// @param[out] out TN_OVERLAP_NONE, EXACT, SOME or UNKNOWN; unknown counts as overlap wherever a rule depends on it. On failure: untouched.
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
