//! Nesting of strides, and whether two elements of one layout share a byte.
//!
//! Order the axes longer than 1 by |stride|, and call the span of the smaller axes plus one element their *reach*. If
//! each |stride| is at least the reach of the smaller ones, the strides *nest*: the position of an element determines
//! its indices, and no two elements share a byte. Nearly every layout nests; for the others there is a bounded search.
//! If each |stride| is at most the reach of the smaller ones, the elements leave no gap.
//!
//! Contract: pure, allocates nothing, and is exact where a comment says so.
#![forbid(unsafe_code)]

use super::Layout;
use crate::arith::gcd;
use crate::types::TN_MAX_NDIM;

/// Steps after which the search in [`Layout::self_overlaps`] gives up: about 50 microseconds.
const SEARCH_STEPS: u32 = 4096;

/// The axes longer than 1, by |stride|, largest first. Axes with equal |stride| keep their order.
pub struct Nest {
    order: [u8; TN_MAX_NDIM],
    len: usize,
}

impl Nest {
    /// Orders the axes of `layout`.
    #[inline]
    pub fn new(layout: &Layout) -> Nest {
        let mut nest = Nest { order: [0; TN_MAX_NDIM], len: 0 };
        for (axis, (length, stride)) in layout.axes().enumerate() {
            if length > 1 {
                // Insertion sort, because most layouts are nearly sorted.
                let mut position = nest.len;
                while position > 0
                    && layout.strides()[nest.order[position - 1] as usize].unsigned_abs() < stride.unsigned_abs()
                {
                    nest.order[position] = nest.order[position - 1];
                    position -= 1;
                }
                nest.order[position] = axis as u8;
                nest.len += 1;
            }
        }
        nest
    }

    /// The axes, outermost first.
    #[inline]
    pub fn axes(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + '_ {
        self.order[..self.len].iter().map(|&axis| axis as usize)
    }

    /// Whether `fits(|stride|, reach of the smaller ones)` holds on every axis.
    #[inline]
    fn every(&self, layout: &Layout, fits: impl Fn(u64, u64) -> bool) -> bool {
        let mut reach = layout.item() as u64;
        for axis in self.axes().rev() {
            let step = layout.strides()[axis].unsigned_abs();
            if !fits(step, reach) {
                return false;
            }
            // Below 2^63 in a layout with elements; meaningless in an empty one.
            reach = reach.wrapping_add((layout.shape()[axis] as u64 - 1).wrapping_mul(step));
        }
        true
    }

    /// Whether the strides nest. `layout` is the one that [`Nest::new`] got, and has an element.
    #[inline]
    pub fn is_nested(&self, layout: &Layout) -> bool {
        self.every(layout, |step, reach| step >= reach)
    }

    /// Whether every byte of the extent belongs to an element. May be false for a layout without gaps whose strides do
    /// not nest.
    #[inline]
    pub fn is_gapless(&self, layout: &Layout) -> bool {
        self.every(layout, |step, reach| step <= reach)
    }
}

impl Layout {
    /// Whether two elements share a byte (TN_SELF_OVERLAP). Exact, unless the search gives up: undecided counts as
    /// overlap.
    #[inline]
    pub fn self_overlaps(&self) -> bool {
        if nested_in_order(self.axes().rev(), self.item()) || nested_in_order(self.axes(), self.item()) {
            return false;
        }
        self.overlaps_out_of_order()
    }

    /// Whether every byte between the first and the last belongs to an element. False without an element.
    #[inline]
    pub fn is_gapless(&self) -> bool {
        !self.is_empty() && (self.is_c() || self.is_f() || Nest::new(self).is_gapless(self))
    }

    #[cold]
    fn overlaps_out_of_order(&self) -> bool {
        if self.stretched() {
            return true;
        }
        let nest = Nest::new(self);
        if nest.is_nested(self) {
            return false;
        }
        Search::new(self, &nest).finds(0, 0, true)
    }
}

/// Whether axes nest in the given order, innermost first. Needs no sorting.
#[inline]
fn nested_in_order(axes: impl Iterator<Item = (i64, i64)>, item: i64) -> bool {
    let mut reach = item as u64;
    let mut nested = true;
    for (length, stride) in axes {
        if length == 0 {
            return true;
        }
        if length > 1 {
            let step = stride.unsigned_abs();
            nested &= step >= reach;
            reach = reach.wrapping_add((length as u64 - 1).wrapping_mul(step));
        }
    }
    nested
}

/// Searches for a difference of two index tuples, not all zero, whose distance in bytes is less than one element.
///
/// It goes through the axes by stride, largest first. The smaller axes must be able to undo the distance so far, so
/// only few differences are possible on each axis. The gcd of the smaller strides rules out most of these. The last
/// axis is solved directly.
struct Search {
    /// |stride| per axis, largest first.
    step: [i128; TN_MAX_NDIM],
    /// Largest difference of indices per axis.
    most: [i128; TN_MAX_NDIM],
    /// The distance that the axes from here on can undo, in bytes.
    reach: [i128; TN_MAX_NDIM + 1],
    /// Greatest common divisor of the steps from here on.
    common: [i128; TN_MAX_NDIM + 1],
    len: usize,
    item: i128,
    left: u32,
}

impl Search {
    fn new(layout: &Layout, nest: &Nest) -> Search {
        let mut search = Search {
            step: [0; TN_MAX_NDIM],
            most: [0; TN_MAX_NDIM],
            reach: [0; TN_MAX_NDIM + 1],
            common: [0; TN_MAX_NDIM + 1],
            len: nest.axes().len(),
            item: layout.item() as i128,
            left: SEARCH_STEPS,
        };
        for (position, axis) in nest.axes().enumerate().rev() {
            let step = layout.strides()[axis].unsigned_abs();
            search.step[position] = step as i128;
            search.most[position] = layout.shape()[axis] as i128 - 1;
            search.reach[position] = search.reach[position + 1] + search.step[position] * search.most[position];
            search.common[position] = gcd(search.common[position + 1] as u64, step) as i128;
        }
        search
    }

    /// Searches from axis `position` on. `distance`: the bytes so far. `all_zero`: whether all differences so far are
    /// 0. Solutions come in pairs of opposite sign, so the first difference other than 0 is taken as positive.
    fn finds(&mut self, position: usize, distance: i128, all_zero: bool) -> bool {
        let (step, most) = (self.step[position], self.most[position]);
        // The smaller axes must bring the distance after this axis back into (-item, item).
        let slack = self.reach[position + 1] + self.item - 1;
        let first = (-distance - slack).div_euclid(step) + ((-distance - slack).rem_euclid(step) != 0) as i128;
        let last = (slack - distance).div_euclid(step);
        let (first, last) = (first.max(if all_zero { 0 } else { -most }), last.min(most));
        if position + 1 == self.len {
            // The slack is one element less a byte. Any index in the range is a solution, except 0 if all others are 0.
            return first.max(if all_zero { 1 } else { first }) <= last;
        }
        let mut index = first;
        while index <= last {
            if self.left == 0 {
                return true;
            }
            self.left -= 1;
            let distance = distance + index * step;
            if self.reachable(position + 1, distance) && self.finds(position + 1, distance, all_zero && index == 0) {
                return true;
            }
            index += 1;
        }
        false
    }

    /// Whether a multiple of the gcd of the strides from `position` on is less than one element away from `distance`.
    fn reachable(&self, position: usize, distance: i128) -> bool {
        let rest = distance.rem_euclid(self.common[position]);
        rest < self.item || self.common[position] - rest < self.item
    }
}
