//! Reshape and ravel: views with another shape and the same order of elements.
//!
//! Without axes of length 1, both shapes divide into groups of neighbouring axes with equal products: (4,6) and (2,2,6)
//! into 4 = 2 x 2 and 6 = 6. A group needs no copy if its old axes are one progression: each stride is length x stride
//! of the next inner axis. The inner axis is the one before in order F, the one after in order C. The source's
//! contiguity does not matter, so the order of elements is always the requested one (LA-3).
//!
//! Contract: as `view`.
#![forbid(unsafe_code)]

use super::view::overflow;
use super::{Layout, Order, Tuple, lay_dense, too_large, too_many_axes};
use crate::arith;
use crate::error::{Result, Status, fail};
use crate::types::*;

impl Layout {
    /// A one-dimensional view of the elements in `order` (LA-5).
    #[inline]
    pub fn ravel(&self, order: Order) -> Result<Layout> {
        self.reshape(&[-1], order)
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn ravel_to(&self, order: Order, view: &mut Layout) -> Result<()> {
        self.reshape_to(&[-1], order, view)
    }

    /// A view with another shape. The elements are read and placed in `order`. One length may be -1 (LA-3, LA-4).
    ///
    /// TN_ERR_INVALID: order K. TN_ERR_OVERFLOW: more than 64 axes, or a size above i64::MAX. TN_ERR_SHAPE: another
    /// number of elements, or a -1 that cannot be computed. TN_ERR_LAYOUT: only a copy is possible.
    #[inline]
    pub fn reshape(&self, shape: &[i64], order: Order) -> Result<Layout> {
        Layout::made(|view| self.reshape_to(shape, order, view))
    }

    /// As the function without `_to`, made in place.
    #[inline]
    pub fn reshape_to(&self, shape: &[i64], order: Order, view: &mut Layout) -> Result<()> {
        let order = self.resolve(order);
        if order == Order::K {
            return Err(fail(TN_ERR_INVALID, format_args!("a reshape has no order TN_ORDER_K; use C, F or A")));
        }
        if shape.len() > TN_MAX_NDIM {
            return Err(too_many_axes(shape.len()));
        }
        if arith::dense_bytes(self.item(), shape).is_none() {
            return Err(too_large(self.dtype, shape));
        }
        let open = self.open_length(shape)?;
        view.rebuild(self.dtype, shape.len(), self.offset, |lengths, strides| {
            for (length, &asked) in lengths.iter_mut().zip(shape) {
                *length = if asked < 0 { open } else { asked };
            }
            // Loops, because a comparison or copy of unknown length would be a call.
            if lengths.len() == self.ndim() && lengths.iter().zip(self.shape()).all(|(new, old)| new == old) {
                strides.iter_mut().zip(self.strides()).for_each(|(new, &old)| *new = old);
                return Ok(());
            }
            // An empty layout may have any strides, and a layout that is dense in this order stays dense.
            let dense = if order == Order::F { self.is_f() } else { self.is_c() };
            if dense || lengths.contains(&0) {
                lay_dense(lengths.iter().copied().zip(strides), order, self.item());
                return Ok(());
            }
            if !self.regroup(lengths, strides, order) {
                return Err(self.cannot_reshape(shape, order));
            }
            fill_unit_axes(lengths, strides, order, self.item())
        })
    }

    /// Checks the number of elements. Returns the length for a -1 in `shape`.
    #[inline]
    fn open_length(&self, shape: &[i64]) -> Result<i64> {
        let (mut known, mut open) = (1i64, 0);
        for &length in shape {
            if length < 0 {
                open += 1;
                if length < -1 || open > 1 {
                    return Err(self.wrong_length(shape));
                }
            } else {
                known *= length; // at most the dense size; 0 if a length is 0
            }
        }
        let count = self.count();
        if open == 0 {
            return if known == count { Ok(0) } else { Err(self.another_count(shape)) };
        }
        if known == 0 || count % known != 0 {
            return Err(self.another_count(shape));
        }
        Ok(count / known)
    }

    /// Writes the strides of all axes of `shape` longer than 1. False: only a copy is possible. The numbers of elements
    /// are equal and not 0.
    #[inline]
    fn regroup(&self, shape: &[i64], strides: &mut [i64], order: Order) -> bool {
        let (old_shape, old_strides) = (self.shape(), self.strides());
        let (mut from, mut to) = (0, 0); // the next old axis, the next new one
        loop {
            while from < old_shape.len() && old_shape[from] == 1 {
                from += 1;
            }
            while to < shape.len() && shape[to] == 1 {
                to += 1;
            }
            if from == old_shape.len() || to == shape.len() {
                return true; // both end at once, because the products are equal
            }
            let (first_old, first_new) = (from, to);
            let (mut old, mut new) = (old_shape[from], shape[to]);
            from += 1;
            to += 1;
            while old != new {
                if new < old {
                    new *= shape[to];
                    to += 1;
                } else {
                    old *= old_shape[from];
                    from += 1;
                }
            }
            let Some(mut stride) = progression(&old_shape[first_old..from], &old_strides[first_old..from], order)
            else {
                return false;
            };
            // The last product is unused and may wrap; the others are strides within the group's span.
            if order == Order::F {
                for axis in first_new..to {
                    strides[axis] = stride;
                    stride = stride.wrapping_mul(shape[axis]);
                }
            } else {
                for axis in (first_new..to).rev() {
                    strides[axis] = stride;
                    stride = stride.wrapping_mul(shape[axis]);
                }
            }
        }
    }

    #[cold]
    fn wrong_length(&self, shape: &[i64]) -> Status {
        match shape.iter().find(|&&length| length < -1) {
            Some(length) => fail(
                TN_ERR_SHAPE,
                format_args!(
                    "length {length} in shape {} is negative; only one -1 may stand for the rest",
                    Tuple(shape)
                ),
            ),
            None => fail(
                TN_ERR_SHAPE,
                format_args!("shape {} has more than one -1; give all lengths but one", Tuple(shape)),
            ),
        }
    }

    #[cold]
    fn another_count(&self, shape: &[i64]) -> Status {
        fail(
            TN_ERR_SHAPE,
            format_args!(
                "shape {} does not hold the {} elements of shape {}",
                Tuple(shape),
                self.count(),
                Tuple(self.shape())
            ),
        )
    }

    #[cold]
    fn cannot_reshape(&self, shape: &[i64], order: Order) -> Status {
        fail(
            TN_ERR_LAYOUT,
            format_args!(
                "shape {} with strides {} cannot become {} in order {order:?} without a copy; use tn_array_copy first",
                Tuple(self.shape()),
                Tuple(self.strides()),
                Tuple(shape)
            ),
        )
    }
}

/// The stride from element to element, if these axes in `order` are one progression. The first axis is longer than 1.
#[inline]
fn progression(shape: &[i64], strides: &[i64], order: Order) -> Option<i64> {
    let mut last = 0;
    for axis in 1..shape.len() {
        if shape[axis] == 1 {
            continue;
        }
        let (outer, inner) = if order == Order::F { (axis, last) } else { (last, axis) };
        // A product that overflows is no stride.
        if strides[inner].checked_mul(shape[inner]) != Some(strides[outer]) {
            return None;
        }
        last = axis;
    }
    Some(if order == Order::F { strides[0] } else { strides[last] })
}

/// Gives each axis of length 1 the stride of one step over the next inner axis; the innermost one, the size of an
/// element.
#[inline]
fn fill_unit_axes(shape: &[i64], strides: &mut [i64], order: Order, item: i64) -> Result<()> {
    let n = shape.len();
    let mut inner: Option<usize> = None;
    for position in 0..n {
        let axis = if order == Order::F { position } else { n - 1 - position };
        if shape[axis] == 1 {
            strides[axis] = match inner {
                None => item,
                Some(inner) => strides[inner]
                    .checked_mul(shape[inner])
                    .ok_or_else(|| overflow("the stride of an axis of length 1"))?,
            };
        }
        inner = Some(axis);
    }
    Ok(())
}
