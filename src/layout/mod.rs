//! Layouts: element type, shape, byte strides and where element (0,..,0) lies.
//!
//! Element (i0,..) lies at `offset + sum(i * stride)`, counted from whatever base the owner uses; the ledger uses absolute
//! addresses. A layout is made by [`Layout::contiguous`], [`Layout::strided`] or as a view of another one, and cannot be changed
//! but for its base.
//!
//! Contract: pure. A layout that exists is valid ([`Layout::is_valid`]): at most 64 axes, no negative length, its dense size
//! (zeros counted as 1) and, if it has an element, the positions of its first and last byte and their distance fit in i64. So
//! what only looks at a layout needs no overflow check. Up to 4 axes lie inline; with more, lack of memory is TN_ERR_NO_HOST_MEMORY. Knows no bytes, no store.
//! `view` and `reshape` make views, `nest` looks at how strides nest, `call` checks what a call's arguments show alone, `parts`
//! cuts an axis. Tests: tests/layout.rs.
#![forbid(unsafe_code)]

mod call;
mod nest;
mod parts;
mod reshape;
mod view;

pub use call::{NONE, Order, check_count, check_length, check_ndim, check_parts, check_slices};
pub use nest::Nest;
pub use parts::{Parts, even_parts, pieces};

use crate::arith;
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::types::*;
use core::fmt;
use smallvec::SmallVec;

/// Numbers inline: shape and strides of 4 axes.
const INLINE: usize = 8;

/// Shape in the first half, byte strides in the second.
type Dims = SmallVec<[i64; INLINE]>;

/// Element type, shape, strides and offset. No `Clone`: copying may need memory, see [`Layout::try_clone`].
#[derive(PartialEq, Eq, Debug)]
pub struct Layout {
    offset: i64,
    dtype: Dtype,
    dims: Dims,
}

impl Layout {
    /// One byte at 0: what a place holds that waits for a layout.
    pub const EMPTY: Layout = Layout { offset: 0, dtype: Dtype::U8, dims: SmallVec::new_const() };

    /// Most axes that need no memory of their own.
    pub const INLINE_NDIM: usize = INLINE / 2;

    /// A place with room for `ndim` axes, to be [`Layout::set`] where no memory may be asked for.
    #[inline]
    pub fn room(ndim: usize) -> Result<Layout> {
        let mut place = Layout::EMPTY;
        if ndim > Layout::INLINE_NDIM {
            place.dims.try_reserve(2 * ndim).map_err(|_| no_memory(ndim))?;
        }
        Ok(place)
    }

    /// Becomes the same as `from`, without asking for memory; false, and unchanged, if there is no room.
    #[inline]
    pub fn set(&mut self, from: &Layout) -> bool {
        if from.dims.len() > self.dims.capacity() {
            return false;
        }
        self.dims.clear();
        self.dims.extend_from_slice(&from.dims);
        self.offset = from.offset;
        self.dtype = from.dtype;
        true
    }

    /// Whether it lies wholly in place.
    #[inline]
    pub fn is_inline(&self) -> bool {
        !self.dims.spilled()
    }

    /// A dense layout in `order`; A and K mean C, because there is nothing to follow. A length 0 counts as 1 in the strides.
    ///
    /// TN_ERR_LIMIT: more than 64 axes, or a size above i64::MAX, zeros counted as 1. TN_ERR_SHAPE: a negative length.
    /// TN_ERR_RANGE: the last byte lies above i64::MAX.
    #[inline]
    pub fn contiguous(dtype: Dtype, shape: &[i64], order: Order, offset: i64) -> Result<Layout> {
        let bytes = checked_size(dtype, shape)?;
        let mut dims = blank(shape.len())?;
        let (lengths, strides) = dims.split_at_mut(shape.len());
        let mut stride = dtype.item();
        // The last product is `bytes`, so none overflows.
        if order == Order::F {
            for axis in 0..shape.len() {
                lengths[axis] = shape[axis];
                strides[axis] = stride;
                stride *= shape[axis].max(1);
            }
        } else {
            for axis in (0..shape.len()).rev() {
                lengths[axis] = shape[axis];
                strides[axis] = stride;
                stride *= shape[axis].max(1);
            }
        }
        if offset.checked_add(bytes).is_none() && !shape.contains(&0) {
            return Err(fail(TN_ERR_RANGE, format_args!("{bytes} bytes from {offset} on end past the largest address")));
        }
        Ok(Layout { offset, dtype, dims })
    }

    /// Any layout, for imports. Nothing is said about alignment or about elements that share bytes: ask for them.
    ///
    /// TN_ERR_LIMIT: more than 64 axes, a size above i64::MAX, or strides that reach so far (length x stride, or their sum,
    /// outside i64). TN_ERR_SHAPE: a negative length, or not one stride per axis. TN_ERR_RANGE: with the offset, the first or
    /// last byte lies outside i64. An empty layout has no byte: any strides and any offset will do.
    pub fn strided(dtype: Dtype, shape: &[i64], strides: &[i64], offset: i64) -> Result<Layout> {
        checked_size(dtype, shape)?;
        if strides.len() != shape.len() {
            return Err(fail(
                TN_ERR_SHAPE,
                format_args!("{} strides for {} axes; give one per axis", strides.len(), shape.len()),
            ));
        }
        if !shape.contains(&0) {
            checked_reach(dtype, shape, strides, offset)?;
        }
        let mut dims = blank(shape.len())?;
        dims[..shape.len()].copy_from_slice(shape);
        dims[shape.len()..].copy_from_slice(strides);
        Ok(Layout { offset, dtype, dims })
    }

    /// The same layout again; TN_ERR_NO_HOST_MEMORY is possible above 4 axes.
    #[inline]
    pub fn try_clone(&self) -> Result<Layout> {
        let mut dims = blank(self.ndim())?;
        dims.copy_from_slice(&self.dims);
        Ok(Layout { offset: self.offset, dtype: self.dtype, dims })
    }

    /// Counts the offset from another base: `base` is added to it. TN_ERR_RANGE where the first byte would lie below 0 or the
    /// last one above i64::MAX, which no user address reaches (AR-20).
    #[inline]
    pub fn rebase(&mut self, base: u64) -> Result<()> {
        let (lowest, end) = self.extent().unwrap_or((self.offset, self.offset));
        let fits = |position: i64| (0..=i64::MAX as i128).contains(&(position as i128 + base as i128));
        if !fits(lowest) || !fits(end) {
            return Err(fail(
                TN_ERR_RANGE,
                format_args!("bytes {lowest} to {end} from address {base:#x} on leave the address space"),
            ));
        }
        self.offset = (self.offset as i128 + base as i128) as i64;
        Ok(())
    }

    /// Position of element (0,..,0) in bytes from the owner's base.
    #[inline]
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// Element type.
    #[inline]
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Number of axes.
    #[inline]
    pub fn ndim(&self) -> usize {
        self.dims.len() / 2
    }

    /// Length per axis, in elements.
    #[inline]
    pub fn shape(&self) -> &[i64] {
        let dims = self.dims.as_slice();
        &dims[..dims.len() / 2]
    }

    /// Stride per axis, in bytes.
    #[inline]
    pub fn strides(&self) -> &[i64] {
        let dims = self.dims.as_slice();
        &dims[dims.len() / 2..]
    }

    /// Length and stride per axis.
    #[inline]
    pub fn axes(&self) -> impl DoubleEndedIterator<Item = (i64, i64)> + ExactSizeIterator + '_ {
        let (shape, strides) = self.dims.split_at(self.ndim());
        shape.iter().copied().zip(strides.iter().copied())
    }

    /// Number of elements.
    #[inline]
    pub fn count(&self) -> i64 {
        // A zero anywhere makes 0 of a product that may wrap before it.
        self.shape().iter().fold(1, |count: i64, &length| count.wrapping_mul(length))
    }

    /// Bytes of the elements, gaps not counted.
    #[inline]
    pub fn bytes(&self) -> i64 {
        self.count().wrapping_mul(self.item())
    }

    /// Bytes of one element.
    #[inline]
    pub fn item(&self) -> i64 {
        self.dtype.item()
    }

    /// True if there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.shape().contains(&0)
    }

    /// True if the elements lie dense in row-major order: axes of length 1 do not matter, an empty layout is (LA-2).
    #[inline]
    pub fn is_c(&self) -> bool {
        dense(self.axes().rev(), self.item())
    }

    /// True if the elements lie dense in column-major order: axes of length 1 do not matter, an empty layout is (LA-2).
    #[inline]
    pub fn is_f(&self) -> bool {
        dense(self.axes(), self.item())
    }

    /// True if every element's position is a multiple of its alignment; of an empty layout too, which has no element.
    #[inline]
    pub fn is_aligned(&self) -> bool {
        let mut low_bits = self.offset;
        for (length, stride) in self.axes() {
            if length == 0 {
                return true;
            }
            low_bits |= if length > 1 { stride } else { 0 };
        }
        low_bits & (self.dtype.align() - 1) == 0
    }

    /// True if an axis longer than 1 has stride 0: the read-only mark of a broadcast (LA-13).
    #[inline]
    pub fn stretched(&self) -> bool {
        self.axes().any(|(length, stride)| length > 1 && stride == 0)
    }

    /// The bytes from the lowest to the end of the highest element; `None` if there is none.
    #[inline]
    pub fn extent(&self) -> Option<(i64, i64)> {
        let (mut lowest, mut end) = (self.offset, self.offset);
        for (length, stride) in self.axes() {
            if length == 0 {
                return None;
            }
            // An axis of length 1 may have any stride: times 0.
            let reach = (length - 1) * stride;
            if reach < 0 {
                lowest += reach;
            } else {
                end += reach;
            }
        }
        Some((lowest, end + self.item()))
    }

    /// What every layout satisfies.
    pub fn is_valid(&self) -> bool {
        let (shape, strides) = self.dims.split_at(self.ndim());
        self.dims.len() == 2 * self.ndim()
            && self.ndim() <= TN_MAX_NDIM
            && shape.iter().all(|&length| length >= 0)
            && arith::dense_bytes(self.item(), shape).is_some()
            && (self.is_empty() || reach(shape, strides, self.item(), self.offset).is_some())
    }
}

/// A list of lengths or axes in error texts: `(3, 4)`.
pub struct Tuple<'a, T>(pub &'a [T]);

impl<T: fmt::Display> fmt::Display for Tuple<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, value) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            value.fmt(f)?;
        }
        f.write_str(if self.0.len() == 1 { ",)" } else { ")" })
    }
}

/// Room for the dims of `ndim` axes, filled with zeros.
#[inline]
fn blank(ndim: usize) -> Result<Dims> {
    if 2 * ndim <= INLINE { Ok(Dims::from_buf_and_len([0; INLINE], 2 * ndim)) } else { blank_outside(ndim) }
}

#[cold]
fn blank_outside(ndim: usize) -> Result<Dims> {
    let mut dims = Dims::new();
    dims.try_reserve_exact(2 * ndim).map_err(|_| no_memory(ndim))?;
    dims.resize(2 * ndim, 0); // within what was reserved: allocates nothing
    Ok(dims)
}

#[cold]
fn no_memory(ndim: usize) -> Status {
    fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a layout of {ndim} axes"))
}

/// From the innermost axis on: is each stride what the axes before it fill?
#[inline]
fn dense(axes: impl Iterator<Item = (i64, i64)>, item: i64) -> bool {
    let mut expected = item;
    let mut dense = true;
    for (length, stride) in axes {
        if length == 0 {
            return true;
        }
        dense &= length == 1 || stride == expected;
        expected = expected.wrapping_mul(length);
    }
    dense
}

/// The dense size of a shape, or why it cannot be one.
#[inline]
fn checked_size(dtype: Dtype, shape: &[i64]) -> Result<i64> {
    if shape.len() > TN_MAX_NDIM {
        return Err(too_many_axes(shape.len()));
    }
    let Some(bytes) = arith::dense_bytes(dtype.item(), shape) else {
        return Err(too_large(dtype, shape));
    };
    if let Some(axis) = shape.iter().position(|&length| length < 0) {
        return Err(negative(shape, axis));
    }
    Ok(bytes)
}

#[cold]
fn too_many_axes(ndim: usize) -> Status {
    fail(TN_ERR_LIMIT, format_args!("{ndim} axes are more than {TN_MAX_NDIM}; merge some with a reshape"))
}

#[cold]
fn too_large(dtype: Dtype, shape: &[i64]) -> Status {
    fail(
        TN_ERR_LIMIT,
        format_args!(
            "shape {} of {} needs more than 2^63 - 1 bytes (a length 0 counts as 1); use a smaller shape",
            Tuple(shape),
            dtype.name()
        ),
    )
}

#[cold]
fn negative(shape: &[i64], axis: usize) -> Status {
    let length = shape[axis];
    fail(TN_ERR_SHAPE, format_args!("length {length} of axis {axis} is negative; lengths go from 0 up"))
}

/// Lowest byte, and end of the highest element; `None` if one of them, or their distance, is outside i64. No length may be 0.
fn reach(shape: &[i64], strides: &[i64], item: i64, offset: i64) -> Option<(i64, i64)> {
    let (mut below, mut above) = (0i64, item);
    for (&length, &stride) in shape.iter().zip(strides) {
        let reach = (length - 1).checked_mul(stride)?;
        let side = if reach < 0 { &mut below } else { &mut above };
        *side = side.checked_add(reach)?;
    }
    above.checked_sub(below)?; // so that distances within the layout fit too
    Some((offset.checked_add(below)?, offset.checked_add(above)?))
}

/// TN_ERR_LIMIT if the strides alone reach too far, TN_ERR_RANGE if only the offset brings them out of i64.
fn checked_reach(dtype: Dtype, shape: &[i64], strides: &[i64], offset: i64) -> Result<()> {
    if reach(shape, strides, dtype.item(), offset).is_some() {
        return Ok(());
    }
    if reach(shape, strides, dtype.item(), 0).is_some() {
        return Err(fail(
            TN_ERR_RANGE,
            format_args!("offset {offset} with strides {} leaves the address space", Tuple(strides)),
        ));
    }
    Err(fail(
        TN_ERR_LIMIT,
        format_args!("strides {} on shape {} reach further than 2^63 - 1 bytes", Tuple(strides), Tuple(shape)),
    ))
}
