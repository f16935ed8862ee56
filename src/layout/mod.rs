//! Layouts: element type, shape, strides in bytes, and the position of element (0,..,0).
//!
//! Element (i0,..) lies at `offset + sum(i * stride)`, relative to a base that the owner chooses; the ledger uses
//! absolute addresses. A layout is made by [`Layout::contiguous`], [`Layout::strided`] or as a view of another layout.
//! Afterwards only its base can change.
//!
//! Contract: pure. Every layout is valid ([`Layout::is_valid`]). It has at most 64 axes and no negative length. Its
//! dense size, with lengths of 0 counted as 1, fits in i64. If it has an element, so do the positions of its first and
//! last byte and their distance. So code that only reads a layout needs no overflow checks. Up to 4 axes are stored
//! inline; more need memory, without which the status is TN_ERR_NO_HOST_MEMORY. Tests: tests/library/layout.rs.
//!
//! | file | what |
//! |---|---|
//! | `args` | checks of arguments that need no layout |
//! | `form` | the form of a matrix |
//! | `view`, `reshape` | views |
//! | `nest` | how strides nest, and whether elements overlap |
//! | `chunks` | splitting an axis |
//! | `loops` | the loops of copies, fills and elementwise operations |
#![forbid(unsafe_code)]

mod args;
mod nest;
mod chunks;
mod form;
pub mod loops;
mod reshape;
mod view;

pub use args::{NONE, Order, check_count, check_length, check_ndim, check_parts, check_slices};
pub use chunks::{Parts, even_parts, pieces};
pub use form::Form;
pub use nest::Nest;

use crate::arith;
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail};
use crate::types::*;
use core::fmt;

/// The number of axes that are stored inline.
const INLINE: usize = 4;

/// Shape and strides. Not a SmallVec: copying that reads its length first, while copying this always moves 64 bytes.
#[derive(Debug)]
enum Dims {
    /// The shape from 0 on, the strides from `INLINE` on, the rest 0.
    Inline([i64; 2 * INLINE]),
    /// The shape, then the strides. It may also have 4 axes or fewer, in a layout with room for more.
    Outside(Vec<i64>),
}

/// Element type, shape, strides and offset. It has no `Clone`, because copying may need memory: see
/// [`Layout::try_clone`].
#[derive(Debug)]
pub struct Layout {
    offset: i64,
    dtype: Dtype,
    ndim: u32,
    dims: Dims,
}

impl Layout {
    /// One byte at 0: the contents of a variable that waits for a layout.
    pub const EMPTY: Layout = Layout { offset: 0, dtype: Dtype::U8, ndim: 0, dims: Dims::Inline([0; 2 * INLINE]) };

    /// The most axes that need no memory of their own.
    pub const INLINE_NDIM: usize = INLINE;

    /// A layout with room for `ndim` axes, for a later [`Layout::set`] where allocating is not allowed.
    #[inline]
    pub fn room(ndim: usize) -> Result<Layout> {
        let mut layout = Layout::EMPTY;
        if ndim > INLINE {
            let mut numbers = outside(ndim)?;
            numbers.clear();
            layout.dims = Dims::Outside(numbers);
        }
        Ok(layout)
    }

    /// Becomes equal to `from`, without allocating or freeing memory. False, and unchanged, if there is no room.
    #[inline(always)] // measured: a handle that is passed on is 1 ns faster than with a call
    pub fn set(&mut self, from: &Layout) -> bool {
        let (Dims::Inline(numbers), Dims::Inline(same)) = (&mut self.dims, &from.dims) else {
            return self.set_outside(from);
        };
        *numbers = *same;
        self.offset = from.offset;
        self.dtype = from.dtype;
        self.ndim = from.ndim;
        true
    }

    /// Becomes equal to `from`, and allocates if necessary.
    #[inline(always)]
    fn copy(&mut self, from: &Layout) -> Result<()> {
        if !self.set(from) {
            *self = from.try_clone()?;
        }
        Ok(())
    }

    /// [`Layout::set`] if one of the two layouts is not inline.
    #[cold]
    fn set_outside(&mut self, from: &Layout) -> bool {
        match &mut self.dims {
            Dims::Inline(numbers) => {
                if from.ndim() > INLINE {
                    return false;
                }
                *numbers = [0; 2 * INLINE];
                numbers[..from.ndim()].copy_from_slice(from.shape());
                numbers[INLINE..INLINE + from.ndim()].copy_from_slice(from.strides());
            }
            Dims::Outside(numbers) => {
                if 2 * from.ndim() > numbers.capacity() {
                    return false;
                }
                numbers.clear();
                numbers.extend_from_slice(from.shape());
                numbers.extend_from_slice(from.strides());
            }
        }
        self.offset = from.offset;
        self.dtype = from.dtype;
        self.ndim = from.ndim;
        true
    }

    /// Whether shape and strides are stored inline.
    #[inline]
    pub fn is_inline(&self) -> bool {
        matches!(self.dims, Dims::Inline(_))
    }

    /// A dense layout in `order`. A and K mean C, because there is no source. A length of 0 counts as 1 in the strides.
    ///
    /// TN_ERR_OVERFLOW: more than 64 axes, or a size above i64::MAX, zeros counted as 1. TN_ERR_SHAPE: a negative
    /// length. TN_ERR_RANGE: the last byte lies above i64::MAX.
    #[inline]
    pub fn contiguous(dtype: Dtype, shape: &[i64], order: Order, offset: i64) -> Result<Layout> {
        Layout::made(|layout| layout.set_contiguous(dtype, shape, order, offset))
    }

    /// As the constructor without `set_`, but makes the layout in place. After a failure the layout is unspecified.
    #[inline]
    pub fn set_contiguous(&mut self, dtype: Dtype, shape: &[i64], order: Order, offset: i64) -> Result<()> {
        let bytes = checked_size(dtype, shape)?;
        if offset.checked_add(bytes).is_none() && !shape.contains(&0) {
            return Err(fail(
                TN_ERR_RANGE,
                format_args!("{bytes} bytes from {offset} on end past the largest address"),
            ));
        }
        self.rebuild(dtype, shape.len(), offset, |lengths, strides| {
            let axes = shape.iter().zip(lengths).zip(strides).map(|((&asked, length), stride)| {
                // `max` changes nothing, because the lengths were checked. It keeps the compiler from recognising a
                // copy and calling memcpy.
                *length = asked.max(0);
                (asked, stride)
            });
            lay_dense(axes, order, dtype.item());
            Ok(())
        })
    }

    /// Any layout, for imports. It may be unaligned, and its elements may share bytes.
    ///
    /// TN_ERR_OVERFLOW: more than 64 axes, a size above i64::MAX, or strides whose reach (length x stride, or the sum)
    /// is outside i64. TN_ERR_SHAPE: a negative length, or not one stride per axis. TN_ERR_RANGE: with the offset, the
    /// first or last byte lies outside i64. An empty layout has no bytes, so it may have any strides and offset.
    pub fn strided(dtype: Dtype, shape: &[i64], strides: &[i64], offset: i64) -> Result<Layout> {
        Layout::made(|layout| layout.set_strided(dtype, shape, strides, offset))
    }

    /// As the constructor without `set_`, but makes the layout in place. After a failure the layout is unspecified.
    #[inline]
    pub fn set_strided(&mut self, dtype: Dtype, shape: &[i64], strides: &[i64], offset: i64) -> Result<()> {
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
        self.rebuild(dtype, shape.len(), offset, |new_shape, new_strides| {
            // Loops, because a copy of unknown length would be a call of memcpy.
            new_shape.iter_mut().zip(shape).for_each(|(length, &asked)| *length = asked);
            new_strides.iter_mut().zip(strides).for_each(|(stride, &asked)| *stride = asked);
            Ok(())
        })
    }

    /// A copy of the layout. With more than 4 axes it can fail with TN_ERR_NO_HOST_MEMORY.
    #[inline]
    pub fn try_clone(&self) -> Result<Layout> {
        if let Dims::Inline(numbers) = self.dims {
            return Ok(Layout { dims: Dims::Inline(numbers), ..*self });
        }
        Layout::build(self.dtype, self.ndim(), self.offset, |shape, strides| {
            shape.copy_from_slice(self.shape());
            strides.copy_from_slice(self.strides());
            Ok(())
        })
    }

    /// Adds `base` to the offset. TN_ERR_RANGE: the first byte would lie below 0 or the last one above i64::MAX, which
    /// no user address reaches (AR-20).
    #[inline]
    pub fn rebase(&mut self, base: u64) -> Result<()> {
        let (lowest, end) = self.extent().unwrap_or((self.offset, self.offset));
        let add = |position: i64| position.checked_add_unsigned(base);
        match (add(lowest), add(end), add(self.offset)) {
            (Some(lowest), Some(_), Some(offset)) if lowest >= 0 => {
                self.offset = offset;
                Ok(())
            }
            _ => Err(fail(
                TN_ERR_RANGE,
                format_args!("bytes {lowest} to {end} from address {base:#x} on leave the address space"),
            )),
        }
    }

    /// Moves a dense layout at offset 0 to the address of a block that is large enough for it.
    #[inline]
    pub fn begin_at(&mut self, address: i64) {
        debug_assert!(self.offset == 0 && self.bytes() <= i64::MAX - address);
        self.offset = address;
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
        self.ndim as usize
    }

    /// Length per axis, in elements.
    #[inline]
    pub fn shape(&self) -> &[i64] {
        match &self.dims {
            Dims::Inline(numbers) => &numbers[..self.ndim()],
            Dims::Outside(numbers) => &numbers[..self.ndim()],
        }
    }

    /// Whether both have the same lengths.
    #[inline]
    pub fn has_shape_of(&self, other: &Layout) -> bool {
        if let (Dims::Inline(own), Dims::Inline(others)) = (&self.dims, &other.dims) {
            // Compares all inline entries at once: unused ones are 0 in both.
            let same = (0..INLINE).fold(self.ndim == other.ndim, |same, axis| same & (own[axis] == others[axis]));
            if same {
                return true;
            }
        }
        self.shape() == other.shape()
    }

    /// Stride per axis, in bytes.
    #[inline]
    pub fn strides(&self) -> &[i64] {
        match &self.dims {
            Dims::Inline(numbers) => &numbers[INLINE..INLINE + self.ndim()],
            Dims::Outside(numbers) => &numbers[self.ndim()..],
        }
    }

    /// Length and stride per axis.
    #[inline]
    pub fn axes(&self) -> impl DoubleEndedIterator<Item = (i64, i64)> + ExactSizeIterator + '_ {
        self.shape().iter().copied().zip(self.strides().iter().copied())
    }

    /// Number of elements.
    #[inline]
    pub fn count(&self) -> i64 {
        // A zero anywhere makes 0 of a product that may wrap before it.
        self.shape().iter().fold(1, |count: i64, &length| count.wrapping_mul(length))
    }

    /// Bytes of the elements, without gaps.
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
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        match &self.dims {
            // A constant number of steps, which the compiler unrolls: every borrow calls this.
            Dims::Inline(numbers) => (0..INLINE).any(|axis| axis < self.ndim() && numbers[axis] == 0),
            Dims::Outside(_) => self.shape().contains(&0),
        }
    }

    /// Whether the elements are dense in row-major order (LA-2). Axes of length 1 do not matter. True for an empty
    /// layout.
    #[inline]
    pub fn is_c(&self) -> bool {
        if let Dims::Inline(numbers) = &self.dims
            && self.ndim == 1
        {
            return numbers[0] <= 1 || numbers[INLINE] == self.item();
        }
        self.is_c_by_axes()
    }

    #[inline(never)]
    fn is_c_by_axes(&self) -> bool {
        dense(self.axes().rev(), self.item())
    }

    /// The bytes of the elements, if they are dense in row-major order.
    #[inline]
    pub fn c_bytes(&self) -> Option<i64> {
        if let Dims::Inline(numbers) = &self.dims
            && self.ndim == 1
        {
            return self.is_c().then(|| numbers[0].wrapping_mul(self.item()));
        }
        self.is_c().then(|| self.bytes())
    }

    /// Whether the elements are dense in column-major order (LA-2). Axes of length 1 do not matter. True for an empty
    /// layout.
    #[inline]
    pub fn is_f(&self) -> bool {
        dense(self.axes(), self.item())
    }

    /// Whether every element's position is a multiple of its alignment. True for an empty layout.
    #[inline]
    pub fn is_aligned(&self) -> bool {
        self.is_aligned_to(self.dtype.align())
    }

    /// Whether every element's position is a multiple of `bytes`, a power of two. True for an empty layout.
    #[inline]
    pub fn is_aligned_to(&self, bytes: i64) -> bool {
        let mut low_bits = self.offset;
        for (length, stride) in self.axes() {
            if length == 0 {
                return true;
            }
            low_bits |= if length > 1 { stride } else { 0 };
        }
        low_bits & (bytes - 1) == 0
    }

    /// Whether an axis longer than 1 has stride 0, as in a broadcast, which makes a view read-only (LA-13).
    #[inline]
    pub fn stretched(&self) -> bool {
        self.axes().any(|(length, stride)| length > 1 && stride == 0)
    }

    /// The range from the first byte of the lowest element to the end of the highest. None: there is no element.
    #[inline]
    pub fn extent(&self) -> Option<(i64, i64)> {
        let (mut lowest, mut end) = (self.offset, self.offset);
        for (length, stride) in self.axes() {
            if length == 0 {
                return None;
            }
            // This overflows only in a layout without elements, whose sums are not used. The stride of an axis of
            // length 1 is multiplied by 0.
            let reach = (length - 1).wrapping_mul(stride);
            if reach < 0 {
                lowest = lowest.wrapping_add(reach);
            } else {
                end = end.wrapping_add(reach);
            }
        }
        Some((lowest, end + self.item()))
    }

    /// The invariant of every layout.
    pub fn is_valid(&self) -> bool {
        let (shape, strides) = (self.shape(), self.strides());
        self.ndim() <= TN_MAX_NDIM
            && shape.iter().all(|&length| length >= 0)
            && arith::dense_bytes(self.item(), shape).is_some()
            && (self.is_empty() || reach(shape, strides, self.item(), self.offset).is_some())
    }

    /// A layout whose shape and strides `fill` writes over zeros. `fill` must make the layout valid.
    #[inline]
    fn build(
        dtype: Dtype,
        ndim: usize,
        offset: i64,
        fill: impl FnOnce(&mut [i64], &mut [i64]) -> Result<()>,
    ) -> Result<Layout> {
        Layout::made(|layout| layout.rebuild(dtype, ndim, offset, fill))
    }

    /// The layout that `make` writes.
    #[inline]
    fn made(make: impl FnOnce(&mut Layout) -> Result<()>) -> Result<Layout> {
        let mut layout = Layout::EMPTY;
        make(&mut layout)?;
        Ok(layout)
    }

    /// As [`Layout::build`], made in place. After a failure the layout is unspecified.
    #[inline]
    fn rebuild(
        &mut self,
        dtype: Dtype,
        ndim: usize,
        offset: i64,
        fill: impl FnOnce(&mut [i64], &mut [i64]) -> Result<()>,
    ) -> Result<()> {
        match &mut self.dims {
            Dims::Inline(numbers) if ndim <= INLINE => *numbers = [0; 2 * INLINE],
            _ if ndim <= INLINE => self.dims = Dims::Inline([0; 2 * INLINE]),
            _ => self.dims = Dims::Outside(outside(ndim)?),
        }
        self.offset = offset;
        self.dtype = dtype;
        self.ndim = ndim as u32;
        let (shape, strides) = self.dims_mut();
        fill(shape, strides)
    }

    /// Shape and strides, for a view that is being made.
    #[inline]
    fn dims_mut(&mut self) -> (&mut [i64], &mut [i64]) {
        let ndim = self.ndim();
        match &mut self.dims {
            Dims::Inline(numbers) => {
                let (shape, strides) = numbers.split_at_mut(INLINE);
                (&mut shape[..ndim], &mut strides[..ndim])
            }
            Dims::Outside(numbers) => numbers.split_at_mut(ndim),
        }
    }
}

impl PartialEq for Layout {
    #[inline]
    fn eq(&self, other: &Layout) -> bool {
        self.offset == other.offset
            && self.dtype == other.dtype
            && self.ndim == other.ndim
            // Axis by axis: wider loads from a layout that was just written would wait for its stores (store
            // forwarding).
            && self.axes().zip(other.axes()).all(|(axis, same)| axis == same)
    }
}

impl Eq for Layout {}

/// A list of lengths or axes in error messages: `(3, 4)`.
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

/// Zeroed memory for the shape and strides of more axes than are stored inline.
#[cold]
fn outside(ndim: usize) -> Result<Vec<i64>> {
    let mut numbers = Vec::new();
    if numbers.try_reserve_exact(2 * ndim).is_err() {
        return Err(fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for a layout of {ndim} axes")));
    }
    numbers.resize(2 * ndim, 0); // within the reserved capacity: allocates nothing
    Ok(numbers)
}

/// Writes the strides of a dense layout, given with their lengths. A length of 0 counts as 1. The dense size was
/// checked, so no product overflows.
#[inline]
fn lay_dense<'a>(axes: impl DoubleEndedIterator<Item = (i64, &'a mut i64)>, order: Order, item: i64) {
    let mut expected = item;
    let mut axis = |(length, stride): (i64, &mut i64)| {
        *stride = expected;
        expected *= length.max(1);
    };
    if order == Order::F { axes.for_each(&mut axis) } else { axes.rev().for_each(&mut axis) }
}

/// Whether axes, given from the innermost out, are dense: each stride equals the bytes of the axes before it.
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

/// The dense size of a shape in bytes, or why the shape is invalid.
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
    fail(TN_ERR_OVERFLOW, format_args!("{ndim} axes are more than {TN_MAX_NDIM}; merge some with a reshape"))
}

#[cold]
fn too_large(dtype: Dtype, shape: &[i64]) -> Status {
    fail(
        TN_ERR_OVERFLOW,
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

/// The lowest byte, and the end of the highest element. None: one of them, or their distance, is outside i64. No length
/// may be 0.
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

/// TN_ERR_OVERFLOW: the strides alone reach outside i64. TN_ERR_RANGE: they do only with the offset.
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
        TN_ERR_OVERFLOW,
        format_args!("strides {} on shape {} reach further than 2^63 - 1 bytes", Tuple(strides), Tuple(shape)),
    ))
}
