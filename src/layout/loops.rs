//! The loops of a copy, a fill or an elementwise operation over layouts of one shape: as few axes as possible, in the
//! order of the destination's memory.
//!
//! Contract: pure arithmetic on addresses. It accesses no memory and allocates nothing. The loops are normalised in
//! four steps:
//!
//! 1. An axis of length 1 is dropped.
//! 2. An axis with a negative destination stride is reversed for all operands.
//! 3. The axes are sorted by destination stride, the smallest first: the first axis is the innermost loop.
//! 4. Neighbouring axes that continue each other for all operands are merged into one.
//!
//! A copy has one source. A fill is a copy whose source strides are all 0. An elementwise operation has several sources
//! ([`Sources`]). `blit` runs the loops of copies on the host, and `device_copy::plan` divides them into the boxes that
//! a driver copies. `kernels` runs those of elementwise operations. Properties: tests/blit.rs and
//! tests/library/plan.rs.

use super::Layout;
use crate::arith::gcd;
use crate::types::TN_MAX_NDIM;
use arrayvec::ArrayVec;

/// A number of bytes for the source of a copy (`isize`), or for each of several sources (an array).
pub trait Sources: Copy + PartialEq + Default {
    /// The numbers times `factor`; wraps.
    fn times(self, factor: isize) -> Self;
    /// The sums of the numbers and those of `other`; wraps.
    fn plus(self, other: Self) -> Self;
}

impl Sources for isize {
    #[inline]
    fn times(self, factor: isize) -> isize {
        self.wrapping_mul(factor)
    }
    #[inline]
    fn plus(self, other: isize) -> isize {
        self.wrapping_add(other)
    }
}

impl<const N: usize> Sources for [isize; N]
where
    [isize; N]: Default,
{
    #[inline]
    fn times(self, factor: isize) -> [isize; N] {
        self.map(|number| number.wrapping_mul(factor))
    }
    #[inline]
    fn plus(self, other: [isize; N]) -> [isize; N] {
        core::array::from_fn(|at| self[at].wrapping_add(other[at]))
    }
}

/// One loop: its number of steps, and the bytes that each operand moves per step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Axis<S = isize> {
    /// Number of steps.
    pub length: usize,
    /// Stride of the destination in bytes.
    pub dst: isize,
    /// Stride of the source, or of each source, in bytes.
    pub src: S,
}

impl<S: Sources> Axis<S> {
    /// Bytes from index 0 to `index` for all operands.
    #[inline]
    pub fn offsets(&self, index: usize) -> (isize, S) {
        let index = index as isize;
        (index.wrapping_mul(self.dst), self.src.times(index))
    }

    /// Reverses the axis for all operands. Returns the offsets of its new first element.
    #[inline]
    fn reverse(&mut self) -> (isize, S) {
        let first = self.offsets(self.length - 1);
        (self.dst, self.src) = (-self.dst, self.src.times(-1));
        first
    }
}

impl Axis {
    /// Bytes from the first to the last element.
    fn dst_reach(&self) -> isize {
        (self.length as isize - 1) * self.dst
    }
    fn src_reach(&self) -> isize {
        (self.length as isize - 1) * self.src
    }
}

/// The order in which the elements of a copy may be visited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OverlapDirection {
    /// Source and destination are the same elements, so there is nothing to copy.
    Done,
    /// The two sides share no byte: any order.
    Any,
    /// By ascending destination address.
    Forward,
    /// By descending destination address.
    Backward,
    /// No safe order is known: the copy needs a temporary.
    Through,
}

/// The loops over a destination and its source or sources, innermost first.
#[derive(Clone, Debug)]
pub struct Loops<S = isize> {
    /// Address of the first destination element: the lowest address, unless [`Loops::reverse`] was called.
    pub dst: isize,
    /// Address of the corresponding element of the source, or of each source. 0 in a fill, which has no source.
    pub src: S,
    /// Bytes of one element.
    pub item: usize,
    // Uninitialised beyond its length: writing and moving 64 axes costs more than a small copy.
    axes: ArrayVec<Axis<S>, TN_MAX_NDIM>,
}

impl<S: Sources> Loops<S> {
    /// No loops. A caller makes them in place with [`Loops::set_copy`], [`Loops::set_fill`] or [`Loops::set_sources`].
    #[inline]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Loops<S> {
        Loops { dst: 0, src: S::default(), item: 0, axes: ArrayVec::new() }
    }

    /// Makes the loops from the destination's layout and the sources' strides per axis. False: there is no element.
    fn set(&mut self, dst: &Layout, src_stride: impl Fn(usize) -> S) -> bool {
        self.dst = dst.offset() as isize;
        self.item = dst.item() as usize;
        self.axes.clear();
        for (at, (&length, &stride)) in dst.shape().iter().zip(dst.strides()).enumerate() {
            match length {
                0 => return false,
                1 => continue,
                _ => self.insert(Axis { length: length as usize, dst: stride as isize, src: src_stride(at) }),
            }
        }
        self.merge();
        true
    }

    /// The loops, innermost first.
    #[inline]
    pub fn axes(&self) -> &[Axis<S>] {
        &self.axes
    }

    /// Moves the addresses of the first element.
    #[inline]
    fn advance(&mut self, (dst, src): (isize, S)) {
        self.dst = self.dst.wrapping_add(dst);
        self.src = self.src.plus(src);
    }

    /// Inserts an axis by its destination stride. Axes of equal strides (in a broadcast destination of a fill) keep
    /// their order.
    fn insert(&mut self, mut axis: Axis<S>) {
        if axis.dst < 0 {
            let first = axis.reverse();
            self.advance(first);
        }
        self.axes.push(axis);
        let mut at = self.axes.len() - 1;
        while at > 0 && self.axes[at - 1].dst > axis.dst {
            self.axes.swap(at - 1, at);
            at -= 1;
        }
    }

    /// Merges neighbouring axes that continue each other for all operands.
    fn merge(&mut self) {
        let axes = &mut self.axes[..];
        let mut kept = 0;
        for at in 1..axes.len() {
            let (inner, outer) = (axes[kept], axes[at]);
            let length = inner.length as isize;
            if outer.dst == inner.dst.wrapping_mul(length) && outer.src == inner.src.times(length) {
                axes[kept].length *= outer.length;
            } else {
                kept += 1;
                axes[kept] = outer;
            }
        }
        self.axes.truncate(kept + 1);
    }
}

impl<const N: usize> Loops<[isize; N]>
where
    [isize; N]: Default,
{
    /// Makes the loops of an operation on several sources with the destination's shape. False: there is no element.
    /// Offsets are absolute addresses.
    pub fn set_sources(&mut self, dst: &Layout, sources: [&Layout; N]) -> bool {
        self.src = sources.map(|source| source.offset() as isize);
        self.set(dst, |axis| sources.map(|source| source.strides()[axis] as isize))
    }
}

impl Loops {
    /// Makes the loops of a copy between equal shapes. False: there is no element. Offsets are absolute addresses.
    pub fn set_copy(&mut self, dst: &Layout, src: &Layout) -> bool {
        self.src = src.offset() as isize;
        self.set(dst, |axis| src.strides()[axis] as isize)
    }

    /// Makes the loops of a fill. False: there is no element.
    pub fn set_fill(&mut self, dst: &Layout) -> bool {
        self.src = 0;
        self.set(dst, |_| 0)
    }

    /// Takes an axis out of the loops.
    pub fn remove(&mut self, at: usize) -> Axis {
        self.axes.remove(at)
    }

    /// Bytes of all elements together.
    pub fn bytes(&self) -> usize {
        self.axes.iter().fold(self.item, |bytes, axis| bytes.saturating_mul(axis.length))
    }

    /// Divides the loops into at most `parts` along the outermost axis that is long enough. Returns that axis and the
    /// number of its indices in each part, a multiple of `GRAIN` where possible, so that two parts seldom write one
    /// cache line. None: no axis is long enough.
    pub fn divided(&self, parts: usize) -> Option<(usize, usize)> {
        let axes = &self.axes[..];
        let long = |axis: &Axis| axis.length >= parts * Self::GRAIN;
        let axis = axes.iter().rposition(long).or_else(|| axes.iter().rposition(|axis| axis.length >= parts))?;
        let each = axes[axis].length.div_ceil(parts);
        Some((axis, if long(&axes[axis]) { each.next_multiple_of(Self::GRAIN) } else { each }))
    }

    /// The number of neighbouring indices that one part gets together.
    const GRAIN: usize = 64;

    /// The loops over at most `count` indices of one axis, starting at `from`. None: the axis ends before `from`.
    pub fn part(&self, axis: usize, from: usize, count: usize) -> Option<Loops> {
        let mut part = self.clone();
        let whole = &mut part.axes[axis];
        let left = whole.length.checked_sub(from).filter(|left| *left > 0)?;
        whole.length = left.min(count);
        let first = whole.offsets(from);
        part.advance(first);
        Some(part)
    }

    /// Takes out the innermost axis if both sides are one run of bytes along it. Returns the bytes of the run, else
    /// those of one element.
    pub fn take_run(&mut self) -> usize {
        let item = self.item as isize;
        let Some(inner) = self.axes.first().copied().filter(|inner| inner.dst == item && inner.src == item) else {
            return self.item;
        };
        self.axes.remove(0);
        inner.length * self.item
    }

    /// Reverses every loop: the copy then runs by descending destination address.
    pub fn reverse(&mut self) {
        for at in 0..self.axes.len() {
            let first = self.axes[at].reverse();
            self.advance(first);
        }
    }

    /// Finds a transposition: an outer axis whose source stride is smaller than that of the innermost one. Moves that
    /// axis next to the innermost one and returns true. Only for copies in any order.
    pub fn pair_transposed(&mut self) -> bool {
        let step = |axis: &Axis| axis.src.unsigned_abs();
        let axes = &mut self.axes[..];
        let Some(best) = (1..axes.len()).filter(|&at| axes[at].src != 0).min_by_key(|&at| step(&axes[at])) else {
            return false;
        };
        if step(&axes[best]) >= step(&axes[0]) {
            return false;
        }
        axes[1..=best].rotate_right(1);
        true
    }

    /// The order in which no element is overwritten before it was read.
    ///
    /// With ascending destination addresses (each outer stride clears what lies inside it), an earlier step overwrites
    /// an element only if the element's source lies below its own destination: all earlier steps end at or below it. So
    /// forward is safe if no source lies below its destination, and backward is safe if none lies above. Both distances
    /// are linear in the index, so their extremes are at corners.
    pub fn direction(&self) -> OverlapDirection {
        let (dst, src, item) = (self.dst, self.src, self.item as isize);
        let (mut dst_end, mut low, mut high) = (dst + item, src, src + item);
        // The extremes of source address minus destination address.
        let (mut least, mut most) = (src - dst, src - dst);
        let mut step = 0;
        let mut ascending = true;
        for axis in &self.axes {
            ascending &= axis.dst >= dst_end - dst;
            dst_end += axis.dst_reach();
            let reach = axis.src_reach();
            (low, high) = (low + reach.min(0), high + reach.max(0));
            let drift = reach - axis.dst_reach();
            (least, most) = (least + drift.min(0), most + drift.max(0));
            step = gcd(step, gcd(axis.dst.unsigned_abs() as u64, axis.src.unsigned_abs() as u64));
        }
        if dst_end <= low || high <= dst || are_interleaved(src - dst, step as isize, item) {
            OverlapDirection::Any
        } else if least == 0 && most == 0 {
            OverlapDirection::Done
        } else if ascending && least >= 0 {
            OverlapDirection::Forward
        } else if ascending && most <= 0 {
            OverlapDirection::Backward
        } else {
            OverlapDirection::Through
        }
    }

    /// Bytes of the source, each repeated element counted once.
    pub fn packed_bytes(&self) -> usize {
        // No overflow: elements have distinct addresses except along axes of stride 0, which do not count.
        self.axes.iter().filter(|axis| axis.src != 0).fold(self.item, |bytes, axis| bytes.saturating_mul(axis.length))
    }

    /// The loops that pack the source at address `to`, each repeated element once.
    pub fn gather(&self, to: isize) -> Loops {
        let mut loops = Loops { dst: to, src: self.src, item: self.item, axes: ArrayVec::new() };
        let mut stride = self.item as isize;
        for axis in self.axes.iter().filter(|axis| axis.src != 0) {
            loops.axes.push(Axis { dst: stride, ..*axis });
            stride *= axis.length as isize;
        }
        loops.merge();
        loops
    }

    /// The loops that copy the packed source at address `from` to the destination.
    pub fn scatter(&self, from: isize) -> Loops {
        let mut loops = Loops { src: from, ..self.clone() };
        let mut stride = self.item as isize;
        for axis in loops.axes.iter_mut().filter(|axis| axis.src != 0) {
            axis.src = stride;
            stride *= axis.length as isize;
        }
        loops.merge();
        loops
    }
}

/// Whether the elements of two sides interleave without overlap, like the even and the odd columns of a matrix. Within
/// each side, addresses differ by multiples of `step`; the sides are `shift` apart. All in bytes.
pub fn are_interleaved(shift: isize, step: isize, item: isize) -> bool {
    if step == 0 {
        return false;
    }
    let gap = shift.rem_euclid(step);
    gap >= item && step - gap >= item
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;

    #[test]
    fn axes_merge_only_where_all_sources_continue() {
        let layout = |strides: &[i64], offset| Layout::strided(Dtype::F64, &[2, 3], strides, offset).unwrap();
        let (dense, reversed, padded) = (layout(&[24, 8], 0), layout(&[-24, -8], 40), layout(&[32, 8], 0));
        let loops_of = |dst: &Layout, sources: [&Layout; 2]| {
            let mut loops = Loops::new();
            assert!(loops.set_sources(dst, sources));
            (loops.dst, loops.src, loops.axes().to_vec())
        };
        let whole = vec![Axis { length: 6, dst: 8, src: [8, -8] }];
        assert_eq!(loops_of(&dense, [&dense, &reversed]), (0, [0, 40], whole));
        // A destination with negative strides is visited by ascending address.
        let whole = vec![Axis { length: 6, dst: 8, src: [-8, 8] }];
        assert_eq!(loops_of(&reversed, [&dense, &reversed]), (0, [40, 0], whole));
        let apart = vec![Axis { length: 3, dst: 8, src: [8, 8] }, Axis { length: 2, dst: 24, src: [24, 32] }];
        assert_eq!(loops_of(&dense, [&dense, &padded]), (0, [0, 0], apart));
    }

    #[test]
    fn no_element_has_no_loops_and_one_element_no_axes() {
        let mut loops = Loops::new();
        let empty = Layout::strided(Dtype::U8, &[3, 0], &[1, 1], 7).unwrap();
        assert!(!loops.set_sources(&empty, [&empty, &empty]));
        let one = Layout::strided(Dtype::U8, &[1, 1], &[-5, 9], 7).unwrap();
        assert!(loops.set_sources(&one, [&one, &one]));
        assert_eq!((loops.dst, loops.src, loops.axes().len()), (7, [7, 7], 0));
    }
}
