//! The loops of a copy or fill: axes in the order of the destination's memory, as few of them as possible, and the
//! order in which they may run when source and destination overlap.
//!
//! Contract: arithmetic on addresses; touches no byte. An axis of length 1 is dropped, a negative destination
//! stride is turned round (on both sides), axes are sorted with the smallest destination stride innermost, and
//! neighbours that form one axis on both sides are merged. A fill is a copy whose source strides are all 0.

use crate::arith::gcd;
use crate::layout::Layout;
use crate::types::TN_MAX_NDIM;
use core::mem::MaybeUninit;

/// One loop: how often, and how far each side moves (bytes).
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub length: usize,
    pub dst: isize,
    pub src: isize,
}

impl Axis {
    /// Both sides' addresses at an index, from those at index 0.
    #[inline]
    pub fn at(&self, index: usize, dst: *mut u8, src: *const u8) -> (*mut u8, *const u8) {
        let index = index as isize;
        (dst.wrapping_offset(index.wrapping_mul(self.dst)), src.wrapping_offset(index.wrapping_mul(self.src)))
    }

    /// From the first to the last element.
    fn dst_reach(&self) -> isize {
        (self.length as isize - 1) * self.dst
    }
    fn src_reach(&self) -> isize {
        (self.length as isize - 1) * self.src
    }
}

/// In which order the elements may be copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OverlapDirection {
    /// Source and destination are the same elements: nothing to do.
    Done,
    /// They share no byte.
    Any,
    /// By ascending destination address.
    Forward,
    /// By descending destination address.
    Backward,
    /// No order is known to be safe: through a temporary.
    Through,
}

/// The loops, innermost first.
#[derive(Clone)]
pub(super) struct Loops {
    /// First element of the destination: the one with the lowest address, unless `turn_round` was called.
    pub dst: *mut u8,
    /// The source element that goes there; of a fill: dangling.
    pub src: *const u8,
    /// Bytes of one element.
    pub item: usize,
    ndim: usize,
    /// The first `ndim` are there. The rest is left alone: to write and move 64 of them costs more than a small copy.
    axes: [MaybeUninit<Axis>; TN_MAX_NDIM],
}

impl Loops {
    /// No loops yet.
    #[inline]
    pub fn new() -> Loops {
        let axes = [const { MaybeUninit::uninit() }; TN_MAX_NDIM];
        Loops { dst: core::ptr::dangling_mut(), src: core::ptr::dangling(), item: 0, ndim: 0, axes }
    }

    /// Becomes the loops of a copy between equal shapes; false if there is nothing to copy.
    pub fn set_copy(&mut self, dst: &Layout, src: &Layout) -> bool {
        self.src = core::ptr::with_exposed_provenance(src.offset() as usize);
        self.set(dst, |axis| src.strides()[axis] as isize)
    }

    /// Becomes the loops of a fill; false if there is nothing to fill.
    pub fn set_fill(&mut self, dst: &Layout) -> bool {
        self.src = core::ptr::dangling();
        self.set(dst, |_| 0)
    }

    fn set(&mut self, dst: &Layout, src_stride: impl Fn(usize) -> isize) -> bool {
        self.dst = core::ptr::with_exposed_provenance_mut(dst.offset() as usize);
        self.item = dst.item() as usize;
        self.ndim = 0;
        for (at, (&length, &stride)) in dst.shape().iter().zip(dst.strides()).enumerate() {
            match length {
                0 => return false,
                1 => continue,
                _ => self.push(Axis { length: length as usize, dst: stride as isize, src: src_stride(at) }),
            }
        }
        self.merge();
        true
    }

    /// The loops, innermost first.
    pub fn axes(&self) -> &[Axis] {
        // SAFETY: the first `ndim` were written by `add`.
        unsafe { core::slice::from_raw_parts(self.axes.as_ptr().cast(), self.ndim) }
    }

    fn axes_mut(&mut self) -> &mut [Axis] {
        // SAFETY: as in `axes`.
        unsafe { core::slice::from_raw_parts_mut(self.axes.as_mut_ptr().cast(), self.ndim) }
    }

    /// Adds an axis outside of all others.
    fn add(&mut self, axis: Axis) {
        self.axes[self.ndim].write(axis);
        self.ndim += 1;
    }

    /// Bytes of all elements together.
    pub fn bytes(&self) -> usize {
        self.axes().iter().fold(self.item, |bytes, axis| bytes.saturating_mul(axis.length))
    }

    /// Adds an axis where its destination stride belongs; equal strides (of a fill, or of broken input) stay in order.
    fn push(&mut self, mut axis: Axis) {
        if axis.dst < 0 {
            self.dst = self.dst.wrapping_offset(axis.dst_reach());
            self.src = self.src.wrapping_offset(axis.src_reach());
            (axis.dst, axis.src) = (-axis.dst, -axis.src);
        }
        self.add(axis);
        let axes = self.axes_mut();
        let mut at = axes.len() - 1;
        while at > 0 && axes[at - 1].dst > axis.dst {
            axes.swap(at - 1, at);
            at -= 1;
        }
    }

    /// Makes one axis of neighbours that continue each other on both sides.
    fn merge(&mut self) {
        let axes = self.axes_mut();
        let mut kept = 0;
        for at in 1..axes.len() {
            let (inner, outer) = (axes[kept], axes[at]);
            let length = inner.length as isize;
            if outer.dst == inner.dst.wrapping_mul(length) && outer.src == inner.src.wrapping_mul(length) {
                axes[kept].length *= outer.length;
            } else {
                kept += 1;
                axes[kept] = outer;
            }
        }
        self.ndim = self.ndim.min(kept + 1);
    }

    /// Divides the loops into at most so many, by the outermost axis that is long enough: which one, and how many of its indices each
    /// gets. Multiples of [`Self::GRAIN`] where that goes, so that two of them seldom write the same line. None: they cannot be divided.
    pub fn divided(&self, parts: usize) -> Option<(usize, usize)> {
        let axes = self.axes();
        let long = |axis: &Axis| axis.length >= parts * Self::GRAIN;
        let axis = axes.iter().rposition(long).or_else(|| axes.iter().rposition(|axis| axis.length >= parts))?;
        let each = axes[axis].length.div_ceil(parts);
        Some((axis, if long(&axes[axis]) { each.next_multiple_of(Self::GRAIN) } else { each }))
    }

    /// Indices of an axis that stay together.
    const GRAIN: usize = 64;

    /// The loops over the given indices of one axis, as far as there are so many; None: there are none.
    pub fn part(&self, axis: usize, from: usize, count: usize) -> Option<Loops> {
        let mut part = self.clone();
        let whole = &mut part.axes_mut()[axis];
        let left = whole.length.checked_sub(from).filter(|left| *left > 0)?;
        whole.length = left.min(count);
        (part.dst, part.src) = whole.at(from, self.dst, self.src);
        Some(part)
    }

    /// Takes the innermost axis out if it is one run of bytes on both sides, and gives the run's length in bytes; else
    /// one item.
    pub fn take_run(&mut self) -> usize {
        let item = self.item as isize;
        let Some(inner) = self.axes().first().copied().filter(|inner| inner.dst == item && inner.src == item) else {
            return self.item;
        };
        self.axes_mut().copy_within(1.., 0);
        self.ndim -= 1;
        inner.length * self.item
    }

    /// Lets every loop run the other way.
    pub fn turn_round(&mut self) {
        let (mut dst, mut src) = (self.dst, self.src);
        for axis in self.axes_mut() {
            dst = dst.wrapping_offset(axis.dst_reach());
            src = src.wrapping_offset(axis.src_reach());
            (axis.dst, axis.src) = (-axis.dst, -axis.src);
        }
        (self.dst, self.src) = (dst, src);
    }

    /// Where the source is walked with a much smaller step than by the innermost axis (a transposition), moves that
    /// axis beside the innermost one and says so. For copies in any order only.
    pub fn pair_transposed(&mut self) -> bool {
        let step = |axis: &Axis| axis.src.unsigned_abs();
        let axes = self.axes_mut();
        let Some(best) = (1..axes.len()).filter(|&at| axes[at].src != 0).min_by_key(|&at| step(&axes[at])) else {
            return false;
        };
        if step(&axes[best]) >= step(&axes[0]) {
            return false;
        }
        axes[1..=best].rotate_right(1);
        true
    }

    /// In which order the elements may be copied so that none is overwritten before it is read.
    ///
    /// With destination addresses in ascending order (the loops' own order if each outer stride clears what lies inside
    /// it), an element may be overwritten by an earlier step only if its source lies below its own destination: all
    /// steps before end at or below it. So if no source lies below its destination, forward is safe; if none lies
    /// above, backward is. Both are linear in the index, so their extremes are at corners. Equal strides with a
    /// constant shift are one of the two.
    pub fn order(&self) -> OverlapDirection {
        let (dst, src, item) = (self.dst as isize, self.src as isize, self.item as isize);
        let (mut dst_end, mut low, mut high) = (dst + item, src, src + item);
        // Extremes of source address minus destination address.
        let (mut least, mut most) = (src - dst, src - dst);
        let mut step = 0;
        let mut ascending = true;
        for axis in self.axes() {
            ascending &= axis.dst >= dst_end - dst;
            dst_end += axis.dst_reach();
            let reach = axis.src_reach();
            (low, high) = (low + reach.min(0), high + reach.max(0));
            let drift = reach - axis.dst_reach();
            (least, most) = (least + drift.min(0), most + drift.max(0));
            step = gcd(step, gcd(axis.dst.unsigned_abs() as u64, axis.src.unsigned_abs() as u64));
        }
        if dst_end <= low || high <= dst || interleaved(src - dst, step as usize, self.item) {
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

    /// Bytes of the source without repetition.
    pub fn packed_bytes(&self) -> usize {
        // No overflow: the elements have distinct addresses, except along axes of step 0, which do not count.
        self.axes().iter().filter(|axis| axis.src != 0).fold(self.item, |bytes, axis| bytes.saturating_mul(axis.length))
    }

    /// The loops that pack the source at `to`.
    pub fn gather(&self, to: *mut u8) -> Loops {
        let mut loops = Loops { dst: to, src: self.src, item: self.item, ..Loops::new() };
        let mut stride = self.item as isize;
        for axis in self.axes().iter().filter(|axis| axis.src != 0) {
            loops.add(Axis { dst: stride, ..*axis });
            stride *= axis.length as isize;
        }
        loops.merge();
        loops
    }

    /// The loops that bring what lies packed at `from` to the destination.
    pub fn scatter(&self, from: *const u8) -> Loops {
        let mut loops = Loops { src: from, ..self.clone() };
        let mut stride = self.item as isize;
        for axis in loops.axes_mut().iter_mut().filter(|axis| axis.src != 0) {
            axis.src = stride;
            stride *= axis.length as isize;
        }
        loops.merge();
        loops
    }
}

/// Whether elements whose addresses are all multiples of `step` apart, but for `shift`, fit between each other (every
/// other column).
fn interleaved(shift: isize, step: usize, item: usize) -> bool {
    if step == 0 {
        return false;
    }
    let gap = shift.rem_euclid(step as isize) as usize;
    gap >= item && step - gap >= item
}
