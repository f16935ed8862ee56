//! Regions: the bytes of a view, and whether two regions overlap.
//!
//! Three tests decide, in this order. There are no others, so that the answer is the same in every build.
//!
//! 0. The extents do not meet: disjoint.
//! 1. Both regions are boxes of one root (see below): disjoint if and only if they have no index in common on some
//!    axis. This answer is final.
//! 2. The regions lie in different residue classes modulo the gcd of all strides: disjoint.
//!
//! Otherwise they count as overlapping, even where a search would prove them disjoint.
//!
//! A new array is its own root. Slice, index, transpose, permute, squeeze, expand, broadcast and split keep the root. A
//! reshape to another shape and view_dtype make the view its own root. A view that keeps its root is a *box*: on each
//! root axis it has one progression of indices (start, count, step). Boxes are not stored but computed from the two
//! layouts. This is possible where the root's strides nest (`layout::Nest`): an element's position then determines its
//! indices, and a view's stride determines its axis and step. A root whose strides do not nest skips test 1.
//!
//! Contract: pure, and allocates nothing. "Disjoint" and "contains" are always true of the bytes. An empty region has
//! no bytes. Both regions lie in one store and have offsets from one base. The ledger's rules call it under their lock.
//! Properties: tests/library/region.rs.
#![forbid(unsafe_code)]

use crate::arith::gcd;
use crate::layout::{Layout, Nest};
use crate::types::*;

/// A view's layout and that of its root, with the same base.
#[derive(Clone, Copy, Debug)]
pub struct Region<'a> {
    /// The elements of the region.
    pub layout: &'a Layout,
    /// The layout that the view derives from; the layout itself for an array that is no view.
    pub root: &'a Layout,
}

/// How two regions overlap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overlap {
    /// No byte in common.
    None,
    /// The same elements in the same order (row-major over either shape).
    Exact,
    /// Bytes in common.
    Some,
    /// Not decided; counts as overlap.
    Unknown,
}

impl Overlap {
    /// The constant TN_OVERLAP_*.
    pub fn code(self) -> tn_overlap {
        match self {
            Overlap::None => TN_OVERLAP_NONE,
            Overlap::Exact => TN_OVERLAP_EXACT,
            Overlap::Some => TN_OVERLAP_SOME,
            Overlap::Unknown => TN_OVERLAP_UNKNOWN,
        }
    }
}

/// Whether the three tests prove that no byte is shared.
#[inline]
pub fn disjoint(a: Region<'_>, b: Region<'_>) -> bool {
    let (Some(bytes_a), Some(bytes_b)) = (a.layout.extent(), b.layout.extent()) else {
        return true;
    };
    if bytes_a.1 <= bytes_b.0 || bytes_b.1 <= bytes_a.0 {
        return true;
    }
    match boxes(a, b, Progression::meets) {
        Some(meet) => !meet,
        None => classes_apart(a.layout, b.layout),
    }
}

/// How two regions overlap (LA-22). The result is [`Overlap::None`] if and only if [`disjoint`] is true.
pub fn overlap(a: Region<'_>, b: Region<'_>) -> Overlap {
    let (Some(bytes_a), Some(bytes_b)) = (a.layout.extent(), b.layout.extent()) else {
        return Overlap::None;
    };
    if bytes_a.1 <= bytes_b.0 || bytes_b.1 <= bytes_a.0 {
        return Overlap::None;
    }
    if same_elements(a.layout, b.layout) {
        return Overlap::Exact;
    }
    match boxes(a, b, Progression::meets) {
        Some(true) => return Overlap::Some,
        Some(false) => return Overlap::None,
        None => {}
    }
    if classes_apart(a.layout, b.layout) {
        return Overlap::None;
    }
    // Proofs of a common byte: equal first elements; or an end of one region, which is always an element, within the
    // other one, if that has no gaps.
    let ends_within = |inner: (i64, i64), outer: (i64, i64)| {
        (inner.0 >= outer.0 && inner.0 < outer.1) || (inner.1 > outer.0 && inner.1 <= outer.1)
    };
    let (dense_a, dense_b) = (a.layout.is_gapless(), b.layout.is_gapless());
    if a.layout.offset() == b.layout.offset()
        || (dense_a && dense_b)
        || (dense_a && ends_within(bytes_b, bytes_a))
        || (dense_b && ends_within(bytes_a, bytes_b))
    {
        return Overlap::Some;
    }
    Overlap::Unknown
}

/// True only if `outer` has every byte of `inner` (BR-42). Either `outer` spans `inner` without gaps, or both are boxes
/// of one root, and on every axis the indices of `outer` include those of `inner`.
pub fn contains(outer: Region<'_>, inner: Region<'_>) -> bool {
    let Some(bytes_inner) = inner.layout.extent() else {
        return true;
    };
    let Some(bytes_outer) = outer.layout.extent() else {
        return false;
    };
    if bytes_inner.0 < bytes_outer.0 || bytes_inner.1 > bytes_outer.1 {
        return false;
    }
    outer.layout.is_gapless() || boxes(outer, inner, Progression::includes) == Some(true)
}

/// Indices start, start + step, ..., last of one root axis, counted in the direction of rising addresses; step above 0.
#[derive(Clone, Copy)]
struct Progression {
    start: i64,
    last: i64,
    step: i64,
}

impl Progression {
    /// Whether there is a common index.
    #[inline]
    fn meets(self, other: Progression) -> bool {
        let (low, high) = (self.start.max(other.start), self.last.min(other.last));
        if low > high {
            return false;
        }
        if self.step == other.step {
            // With equal remainders, both progressions contain the later start.
            return self.step == 1 || (other.start - self.start) % self.step == 0;
        }
        if self.step == 1 || other.step == 1 {
            // The coarser progression must have an index between the ends of the finer one.
            let coarse = if self.step == 1 { other } else { self };
            let short = (low - coarse.start) % coarse.step;
            return short == 0 || high - low >= coarse.step - short;
        }
        let common = gcd(self.step as u64, other.step as u64) as i64;
        if (other.start - self.start) % common != 0 {
            return false;
        }
        // Chinese remainder theorem: the first common index is self.start + k * self.step, with the smallest k >= 0
        // that lies in the other's class. They repeat every self.step / common * other.step.
        let (step, modulus) = (self.step / common, other.step / common);
        let k = ((other.start - self.start) / common).rem_euclid(modulus) as i128 * inverse(step, modulus) as i128
            % modulus as i128;
        let first = self.start as i128 + k * self.step as i128;
        let every = step as i128 * other.step as i128;
        let below = (low as i128 - first).max(0);
        first + (below + every - 1) / every * every <= high as i128
    }

    /// Whether every index of `other` is in this progression.
    #[inline]
    fn includes(self, other: Progression) -> bool {
        let within = |index: i64| index >= self.start && index <= self.last && (index - self.start) % self.step == 0;
        within(other.start) && within(other.last) && (other.start == other.last || other.step % self.step == 0)
    }
}

/// The inverse of `n` modulo `modulus`; they have no common divisor.
fn inverse(n: i64, modulus: i64) -> i64 {
    let (mut old, mut rest) = (n as i128 % modulus as i128, modulus as i128);
    let (mut of_old, mut of_rest) = (1i128, 0i128);
    while rest != 0 {
        let quotient = old / rest;
        (old, rest) = (rest, old - quotient * rest);
        (of_old, of_rest) = (of_rest, of_old - quotient * of_rest);
    }
    of_old.rem_euclid(modulus as i128) as i64
}

/// Test 1: whether `test` is true on every axis of the common root. None: there is no common root, or it has no boxes.
/// Neither region is empty.
#[inline]
fn boxes(a: Region<'_>, b: Region<'_>, test: impl Fn(Progression, Progression) -> bool) -> Option<bool> {
    let root = a.root;
    if !same_root(root, b.root) || a.layout.item() != root.item() || b.layout.item() != root.item() {
        return None;
    }
    let nest = Nest::new(root);
    if !nest.is_nested(root) {
        return None;
    }
    let (lowest, _) = root.extent()?;
    let (mut a, mut b) = (Decoder::new(a.layout, lowest)?, Decoder::new(b.layout, lowest)?);
    let mut all = true;
    // A stride that belongs to an axis is smaller than the stride of the next outer axis.
    let mut outer = u64::MAX;
    for axis in nest.axes() {
        let (length, stride) = (root.shape()[axis], root.strides()[axis].unsigned_abs());
        let (in_a, in_b) = (a.axis(length, stride, outer)?, b.axis(length, stride, outer)?);
        all &= test(in_a, in_b);
        outer = stride;
    }
    (a.is_done() && b.is_done()).then_some(all)
}

/// Whether a layout is a box of a root.
pub fn is_box(layout: &Layout, root: &Layout) -> bool {
    let region = Region { layout, root };
    layout.extent().is_some() && root.extent().is_some() && boxes(region, region, |_, _| true).is_some()
}

/// Whether the layouts are equal, so that equal indices mean equal elements.
#[inline]
fn same_root(a: &Layout, b: &Layout) -> bool {
    core::ptr::eq(a, b)
        || (a.offset() == b.offset() && a.item() == b.item() && a.shape() == b.shape() && a.strides() == b.strides())
}

/// Computes a view's box from its layout, from the root's outermost axis to the innermost. None at any step: the layout
/// is no box of this root.
struct Decoder<'a> {
    layout: &'a Layout,
    /// Bytes of the view's first element that the axes so far do not account for.
    rest: u64,
    /// The number of view axes with more than one index that were matched to a root axis.
    found: u32,
}

impl<'a> Decoder<'a> {
    #[inline]
    fn new(layout: &'a Layout, lowest: i64) -> Option<Decoder<'a>> {
        let rest = layout.offset().checked_sub(lowest)?;
        Some(Decoder { layout, rest: u64::try_from(rest).ok()?, found: 0 })
    }

    /// The indices on the root axis with this length and |stride|; `outer` is the next larger |stride| of the root.
    #[inline]
    fn axis(&mut self, length: i64, stride: u64, outer: u64) -> Option<Progression> {
        // The shortcuts avoid divisions: most views start at 0 and have step 1.
        let start = if self.rest < stride { 0 } else { (self.rest / stride) as i64 };
        self.rest -= start as u64 * stride;
        let mut indices = Progression { start, last: start, step: 1 };
        let mut on_this_axis = 0;
        for (count, moves) in self.layout.axes() {
            let size = moves.unsigned_abs();
            if count > 1 && size >= stride && size < outer {
                let step = if size == stride { 1 } else { (size / stride) as i64 };
                if step as u64 * stride != size {
                    return None;
                }
                on_this_axis += 1;
                let reach = step.checked_mul(count - 1)?;
                let end = if moves < 0 { start.checked_sub(reach)? } else { start.checked_add(reach)? };
                indices = Progression { start: start.min(end), last: start.max(end), step };
            }
        }
        self.found += on_this_axis;
        (on_this_axis <= 1 && indices.start >= 0 && indices.last < length).then_some(indices)
    }

    /// Whether the root's axes account for the whole view.
    #[inline]
    fn is_done(&self) -> bool {
        let moving = self.layout.axes().filter(|&(length, stride)| length > 1 && stride != 0).count();
        self.rest == 0 && moving == self.found as usize
    }
}

/// Test 2: whether the elements lie in different residue classes modulo the gcd of all strides.
#[inline]
fn classes_apart(a: &Layout, b: &Layout) -> bool {
    let mut common = 0;
    for (length, stride) in a.axes().chain(b.axes()) {
        if length > 1 {
            common = gcd(common, stride.unsigned_abs());
        }
    }
    if common == 0 {
        return false; // two single elements, whose extents meet
    }
    let apart = (b.offset() as i128 - a.offset() as i128).rem_euclid(common as i128);
    apart >= a.item() as i128 && common as i128 - apart >= b.item() as i128
}

/// Whether both have the same elements in the same order: their positions in row-major order are equal lists.
fn same_elements(a: &Layout, b: &Layout) -> bool {
    // After neighbouring axes that are one progression are merged, equal lists have equal axes.
    a.offset() == b.offset() && a.item() == b.item() && merged(a).eq(merged(b))
}

/// The axes longer than 1 from the innermost out, merged where two are one progression.
fn merged(layout: &Layout) -> impl Iterator<Item = (i64, i64)> + '_ {
    let mut axes = layout.axes().rev().filter(|&(length, _)| length > 1).peekable();
    core::iter::from_fn(move || {
        let (mut length, stride) = axes.next()?;
        while let Some(&(outer_length, outer_stride)) = axes.peek() {
            if stride.checked_mul(length) != Some(outer_stride) {
                break;
            }
            length *= outer_length;
            axes.next();
        }
        Some((length, stride))
    })
}
