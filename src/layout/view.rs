//! Views: other layouts over some of a layout's elements.
//!
//! Contract: pure, O(ndim), exact. The order of checks is COUNT, DUPLICATE, DTYPE, OVERFLOW, SHAPE, RANGE, LAYOUT;
//! `args` checks what needs no layout. A number that leaves i64 is TN_ERR_OVERFLOW. That happens only with strides that
//! reach no element, of an empty layout or an axis of length 1. The bytes of a view lie within those of its source; an
//! empty view never starts past the end.
//!
//! The functions that end in `_to` make a view in place, in its slot; after a failure the layout there is unspecified.
//! Measured: making it elsewhere and copying it costs 16 ns of a slice's 39, because wide loads wait for the narrow
//! stores before them.
#![forbid(unsafe_code)]

use super::{Layout, NONE, Order, Tuple, checked_size, too_many_axes};
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::types::*;

impl Layout {
    /// The layout with all axes reversed (LA-6).
    #[inline]
    pub fn transpose(&self) -> Result<Layout> {
        Layout::made(|view| self.transpose_to(view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn transpose_to(&self, view: &mut Layout) -> Result<()> {
        view.rebuild(self.dtype, self.ndim(), self.offset, |shape, strides| {
            for ((length, stride), old) in shape.iter_mut().zip(strides).zip(self.axes().rev()) {
                (*length, *stride) = old;
            }
            Ok(())
        })
    }

    /// The layout whose axis i is axis `axes[i]` of this one. Negative axes count from the end (LA-6).
    #[inline]
    pub fn permute(&self, axes: &[i32]) -> Result<Layout> {
        Layout::made(|view| self.permute_to(axes, view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn permute_to(&self, axes: &[i32], view: &mut Layout) -> Result<()> {
        let n = self.ndim();
        if axes.len() != n {
            return Err(fail(
                TN_ERR_COUNT,
                format_args!("{} axes given, the array has {n}; name each axis once", axes.len()),
            ));
        }
        view.rebuild(self.dtype, n, self.offset, |shape, strides| {
            let mut seen = 0u64;
            for (position, &axis) in axes.iter().enumerate() {
                let from = wrap(axis, n);
                if from >= n || seen >> from & 1 != 0 {
                    return Err(self.wrong_axes(axes));
                }
                seen |= 1 << from;
                shape[position] = self.shape()[from];
                strides[position] = self.strides()[from];
            }
            Ok(())
        })
    }

    /// Slices the first axes as Python does, and keeps the others (LA-7, LA-8).
    #[inline]
    pub fn slice(&self, specs: &[tn_slice_spec]) -> Result<Layout> {
        Layout::made(|view| self.slice_to(specs, view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn slice_to(&self, specs: &[tn_slice_spec], view: &mut Layout) -> Result<()> {
        if specs.len() > self.ndim() {
            return Err(fail(
                TN_ERR_COUNT,
                format_args!("{} slices for {} axes; give at most one per axis", specs.len(), self.ndim()),
            ));
        }
        super::check_slices(specs)?;
        view.copy(self)?;
        let mut offset = self.offset;
        let (shape, strides) = view.dims_mut();
        for ((length, stride), spec) in shape.iter_mut().zip(strides).zip(specs) {
            let (start, left, step) = cut(spec, *length);
            *length = left;
            *stride = step_over(*stride, start, left, step, &mut offset)?;
        }
        view.offset = offset;
        Ok(())
    }

    /// The elements at `index` of `axis`, without that axis. Negative numbers count from the end (LA-9).
    #[inline]
    pub fn index(&self, axis: i32, index: i64) -> Result<Layout> {
        Layout::made(|view| self.index_to(axis, index, view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn index_to(&self, axis: i32, index: i64, view: &mut Layout) -> Result<()> {
        let axis = self.axis(axis)?;
        let (length, stride) = (self.shape()[axis], self.strides()[axis]);
        let at = if index < 0 { index + length } else { index };
        if at < 0 || at >= length {
            return Err(outside(axis, index, length));
        }
        let Some(offset) = at.checked_mul(stride).and_then(|moved| self.offset.checked_add(moved)) else {
            return Err(overflow("the offset"));
        };
        self.without_to(view, 1 << axis, self.ndim() - 1, offset)
    }

    /// The layout without the given axes, which must have length 1. None: without all axes of length 1 (LA-10).
    #[inline]
    pub fn squeeze(&self, axes: Option<&[i32]>) -> Result<Layout> {
        Layout::made(|view| self.squeeze_to(axes, view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn squeeze_to(&self, axes: Option<&[i32]>, view: &mut Layout) -> Result<()> {
        let n = self.ndim();
        let mut removed = 0u64;
        match axes {
            None => {
                for (axis, &length) in self.shape().iter().enumerate() {
                    removed |= ((length == 1) as u64) << axis;
                }
            }
            Some(axes) => {
                for &axis in axes {
                    let at = wrap(axis, n);
                    if at >= n || removed >> at & 1 != 0 || self.shape()[at] != 1 {
                        return Err(self.cannot_squeeze(axes));
                    }
                    removed |= 1 << at;
                }
            }
        }
        self.without_to(view, removed, n - removed.count_ones() as usize, self.offset)
    }

    /// The layout with a new axis of length 1 before `axis`; -1: after the last (LA-11).
    #[inline]
    pub fn expand(&self, axis: i32) -> Result<Layout> {
        Layout::made(|view| self.expand_to(axis, view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn expand_to(&self, axis: i32, view: &mut Layout) -> Result<()> {
        let n = self.ndim();
        if n == TN_MAX_NDIM {
            return Err(too_many_axes(n + 1));
        }
        let at = wrap(axis, n + 1);
        if at > n {
            return Err(no_axis(axis, n + 1));
        }
        let stride = self.stride_before(at)?;
        view.rebuild(self.dtype, n + 1, self.offset, |shape, strides| {
            for (axis, (old_length, old_stride)) in self.axes().enumerate() {
                let to = axis + (axis >= at) as usize;
                shape[to] = old_length;
                strides[to] = old_stride;
            }
            shape[at] = 1;
            strides[at] = stride;
            Ok(())
        })
    }

    /// Broadcasts to `shape`, aligned at the last axis: a length of 1 becomes n with stride 0 (LA-12). New axes have
    /// stride 0. If their length is 1, they have the stride of [`Layout::expand`], which consumers do not take for a
    /// broadcast.
    #[inline]
    pub fn broadcast(&self, shape: &[i64]) -> Result<Layout> {
        Layout::made(|view| self.broadcast_to(shape, view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn broadcast_to(&self, shape: &[i64], view: &mut Layout) -> Result<()> {
        checked_size(self.dtype, shape)?;
        let (n, m) = (self.ndim(), shape.len());
        if m < n {
            return Err(self.cannot_broadcast(shape));
        }
        let in_front = m - n;
        view.rebuild(self.dtype, m, self.offset, |lengths, strides| {
            lengths.iter_mut().zip(shape).for_each(|(length, &asked)| *length = asked);
            for (stride, &asked) in strides.iter_mut().zip(&shape[..in_front]) {
                *stride = if asked == 1 { self.stride_before(0)? } else { 0 };
            }
            let behind = strides[in_front..].iter_mut().zip(&shape[in_front..]);
            for ((stride, &asked), (length, old)) in behind.zip(self.axes()) {
                *stride = match length {
                    _ if length == asked => old,
                    1 => 0,
                    _ => return Err(self.cannot_broadcast(shape)),
                };
            }
            Ok(())
        })
    }

    /// The `length` indices of `axis` from `start`, for chunks and splits.
    #[inline]
    pub fn part(&self, axis: usize, start: i64, length: i64) -> Result<Layout> {
        Layout::made(|view| self.part_to(axis, start, length, view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn part_to(&self, axis: usize, start: i64, length: i64, view: &mut Layout) -> Result<()> {
        view.copy(self)?;
        view.narrow(axis, start, length)
    }

    /// Becomes a part of itself, as [`Layout::part`], without allocating.
    #[inline]
    pub fn narrow(&mut self, axis: usize, start: i64, length: i64) -> Result<()> {
        let within = axis < self.ndim() && start >= 0 && length >= 0;
        if !within || start > self.shape()[axis] || length > self.shape()[axis] - start {
            return Err(fail(
                TN_ERR_RANGE,
                format_args!(
                    "part {start} to {start} + {length} of axis {axis} lies outside shape {}",
                    Tuple(self.shape())
                ),
            ));
        }
        let stride = self.strides()[axis];
        let (shape, _) = self.dims_mut();
        shape[axis] = length;
        step_over(stride, start, length, 1, &mut self.offset)?;
        Ok(())
    }

    /// The bytes as elements of another type (LA-18, LA-19). The offset must be an address, or relative to a base that
    /// is aligned for every type.
    #[inline]
    pub fn view_dtype(&self, dtype: Dtype) -> Result<Layout> {
        Layout::made(|view| self.view_dtype_to(dtype, view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn view_dtype_to(&self, dtype: Dtype, view: &mut Layout) -> Result<()> {
        if dtype == Dtype::BOOL && self.dtype != Dtype::BOOL {
            return Err(fail(
                TN_ERR_DTYPE,
                format_args!(
                    "{} cannot be viewed as bool: a byte may be neither 0 nor 1; compare into a new array",
                    self.dtype.name()
                ),
            ));
        }
        view.copy(self)?;
        view.dtype = dtype;
        let (old, new) = (self.item(), dtype.item());
        if old != new {
            let Some(last) = self.ndim().checked_sub(1) else {
                return Err(no_last_axis(self.dtype, dtype));
            };
            let (length, stride) = (self.shape()[last], self.strides()[last]);
            let bytes = length * old; // at most the layout's dense size
            if bytes % new != 0 {
                return Err(indivisible(bytes, dtype));
            }
            view.dims_mut().0[last] = bytes / new;
            if length == 0 {
                checked_size(dtype, view.shape())?; // the length 0 counted as 1 old element, and now counts as 1 new one
            }
            if length > 1 && stride != old {
                return Err(fail(
                    TN_ERR_LAYOUT,
                    format_args!(
                        "the last axis has stride {stride}, so its {} elements of {old} bytes do not lie side by side; \
                         make a copy first",
                        self.dtype.name()
                    ),
                ));
            }
            view.dims_mut().1[last] = new;
        }
        if view.is_aligned() { Ok(()) } else { Err(misaligned(view)) }
    }

    /// A dense layout of this shape and type, at offset 0. K: the axes keep the order of the |strides|; of a broadcast,
    /// C (AR-7).
    pub fn like(&self, order: Order) -> Result<Layout> {
        let order = self.resolve(order);
        if order != Order::K || self.stretched() {
            return Layout::contiguous(self.dtype, self.shape(), if order == Order::K { Order::C } else { order }, 0);
        }
        let n = self.ndim();
        let mut order = [0u8; TN_MAX_NDIM];
        for (axis, &stride) in self.strides().iter().enumerate() {
            let mut position = axis;
            while position > 0 && self.strides()[order[position - 1] as usize].unsigned_abs() < stride.unsigned_abs() {
                order[position] = order[position - 1];
                position -= 1;
            }
            order[position] = axis as u8;
        }
        Layout::build(self.dtype, n, 0, |shape, strides| {
            shape.copy_from_slice(self.shape());
            let mut stride = self.item();
            for &axis in order[..n].iter().rev() {
                strides[axis as usize] = stride;
                stride *= shape[axis as usize].max(1); // within the dense size
            }
            Ok(())
        })
    }

    /// The number of an axis, where a negative one counts from the end. TN_ERR_RANGE: there is no such axis.
    #[inline]
    pub fn axis(&self, axis: i32) -> Result<usize> {
        let at = wrap(axis, self.ndim());
        if at < self.ndim() { Ok(at) } else { Err(no_axis(axis, self.ndim())) }
    }

    /// The order that A means for this layout; other orders unchanged.
    #[inline]
    pub(super) fn resolve(&self, order: Order) -> Order {
        match order {
            Order::A if self.is_f() && !self.is_c() => Order::F,
            Order::A => Order::C,
            order => order,
        }
    }

    /// The stride of a new axis of length 1 before axis `at`: that of one step over axis `at`.
    #[inline]
    fn stride_before(&self, at: usize) -> Result<i64> {
        if at == self.ndim() {
            return Ok(self.item());
        }
        self.strides()[at].checked_mul(self.shape()[at].max(1)).ok_or_else(|| overflow("the stride of the new axis"))
    }

    /// The layout with the `left` axes that are not in the bit set `removed`, at `offset`.
    #[inline]
    fn without_to(&self, view: &mut Layout, removed: u64, left: usize, offset: i64) -> Result<()> {
        view.rebuild(self.dtype, left, offset, |shape, strides| {
            let mut to = 0;
            for (axis, (length, stride)) in self.axes().enumerate() {
                if removed >> axis & 1 == 0 {
                    shape[to] = length;
                    strides[to] = stride;
                    to += 1;
                }
            }
            Ok(())
        })
    }

    /// The status for `axes` that are no permutation: DUPLICATE before RANGE.
    #[cold]
    fn wrong_axes(&self, axes: &[i32]) -> Status {
        let n = self.ndim();
        if let Some(axis) = doubled(axes, n) {
            return fail(
                TN_ERR_DUPLICATE,
                format_args!("axis {axis} is listed twice in {}; name each axis once", Tuple(axes)),
            );
        }
        let axis = axes.iter().copied().find(|&axis| wrap(axis, n) >= n).unwrap_or(0);
        no_axis(axis, n)
    }

    /// The status for `axes` that cannot be removed: DUPLICATE before SHAPE before RANGE.
    #[cold]
    fn cannot_squeeze(&self, axes: &[i32]) -> Status {
        let n = self.ndim();
        if let Some(axis) = doubled(axes, n) {
            return fail(
                TN_ERR_DUPLICATE,
                format_args!("axis {axis} is listed twice in {}; name each axis once", Tuple(axes)),
            );
        }
        for &axis in axes {
            let at = wrap(axis, n);
            if at < n && self.shape()[at] != 1 {
                let length = self.shape()[at];
                return fail(
                    TN_ERR_SHAPE,
                    format_args!(
                        "axis {axis} has length {length}, only axes of length 1 can be removed; use tn_array_index"
                    ),
                );
            }
        }
        let axis = axes.iter().copied().find(|&axis| wrap(axis, n) >= n).unwrap_or(0);
        no_axis(axis, n)
    }

    #[cold]
    fn cannot_broadcast(&self, shape: &[i64]) -> Status {
        fail(
            TN_ERR_SHAPE,
            format_args!(
                "shape {} does not broadcast to {}: aligned at the last axis, each length must be the same or 1",
                Tuple(self.shape()),
                Tuple(shape)
            ),
        )
    }
}

/// `axis`, where a negative one counts from the end; `n` or more if there is no such axis.
#[inline]
fn wrap(axis: i32, n: usize) -> usize {
    // A number below -n stays negative, and becomes huge as usize.
    (if axis < 0 { axis as i64 + n as i64 } else { axis as i64 }) as usize
}

/// An axis that is listed twice, also once from the front and once from the end, also out of range.
fn doubled(axes: &[i32], n: usize) -> Option<i32> {
    let twice = |i: usize| axes[..i].iter().any(|&before| wrap(before, n) == wrap(axes[i], n));
    (0..axes.len()).find(|&i| twice(i)).map(|i| axes[i])
}

/// The stride of an axis of which the `length` indices `start`, `start + step`, ... are kept. Moves `offset` to the
/// first. The caller has checked that they exist.
#[inline]
fn step_over(stride: i64, start: i64, length: i64, step: i64, offset: &mut i64) -> Result<i64> {
    if length == 0 {
        return Ok(stride); // stays where it is: never a pointer past the end (LA-8)
    }
    let Some(stepped) = stride.checked_mul(if length > 1 { step } else { 1 }) else {
        return Err(overflow("a stride"));
    };
    let Some(moved) = start.checked_mul(stride).and_then(|moved| offset.checked_add(moved)) else {
        return Err(overflow("the offset"));
    };
    *offset = moved;
    Ok(stepped)
}

/// The first index, number of indices and step of a slice of an axis of length `n`, as Python's `slice.indices`. The
/// step is not 0.
#[inline]
fn cut(spec: &tn_slice_spec, n: i64) -> (i64, i64, i64) {
    let step = if spec.step <= NONE { 1 } else { spec.step };
    // The range of a bound: at most one past the last index in the direction of the step.
    let (low, high) = if step < 0 { (-1, n - 1) } else { (0, n) };
    let bound = |bound: i64, absent: i64| match bound {
        _ if bound <= NONE => absent,
        _ if bound < 0 => (bound + n).max(low),
        _ => bound.min(high),
    };
    if step < 0 {
        let (start, stop) = (bound(spec.start, high), bound(spec.stop, low));
        let length = if stop < start { (start - stop - 1) / -step + 1 } else { 0 };
        (start, length, step)
    } else {
        let (start, stop) = (bound(spec.start, low), bound(spec.stop, high));
        let length = if start >= stop {
            0
        } else if step == 1 {
            stop - start
        } else {
            (stop - start - 1) / step + 1
        };
        (start, length, step)
    }
}

#[cold]
fn no_axis(axis: i32, n: usize) -> Status {
    if n == 0 {
        return fail(TN_ERR_RANGE, format_args!("axis {axis} does not exist: the array has no axes"));
    }
    fail(TN_ERR_RANGE, format_args!("axis {axis} does not exist; axes go from -{n} to {}", n - 1))
}

#[cold]
fn outside(axis: usize, index: i64, length: i64) -> Status {
    if length == 0 {
        return fail(TN_ERR_RANGE, format_args!("index {index} is outside axis {axis}, which has length 0"));
    }
    fail(
        TN_ERR_RANGE,
        format_args!(
            "index {index} is outside axis {axis} (length {length}); indices go from -{length} to {}",
            length - 1
        ),
    )
}

#[cold]
pub(super) fn overflow(what: &str) -> Status {
    fail(
        TN_ERR_OVERFLOW,
        format_args!("{what} of the view would not fit in 64 bits; the array's strides are too large"),
    )
}

#[cold]
fn no_last_axis(from: Dtype, to: Dtype) -> Status {
    fail(
        TN_ERR_LAYOUT,
        format_args!(
            "{} of 0 axes cannot be viewed as {} of another size; use tn_array_expand first",
            from.name(),
            to.name()
        ),
    )
}

#[cold]
fn indivisible(bytes: i64, to: Dtype) -> Status {
    fail(
        TN_ERR_SHAPE,
        format_args!("the last axis has {bytes} bytes, which is no multiple of the {} of {}", to.item(), to.name()),
    )
}

#[cold]
fn misaligned(view: &Layout) -> Status {
    fail(
        TN_ERR_LAYOUT,
        format_args!(
            "position {} or strides {} are no multiples of the alignment {} of {}; make a copy first",
            view.offset,
            Tuple(view.strides()),
            view.dtype.align(),
            view.dtype.name()
        ),
    )
}
