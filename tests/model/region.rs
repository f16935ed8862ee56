//! Regions of the model: a layout with its root, and whether two regions overlap.
//!
//! Contract: the three tiers of "disjoint or not" and "contains" (BR-20..26, BR-42), written from their text. A region
//! has the progression along each axis of its root explicitly, as the rules describe it; nothing is decoded from
//! strides.

use super::layout::Layout;
use std::rc::Rc;

/// start, start + step, .. (count of them): the indices along one axis of a root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Walk {
    start: i64,
    count: i64,
    step: i64,
}

impl Walk {
    fn indices(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |k| self.start + k * self.step)
    }
    fn has(self, index: i64) -> bool {
        self.indices().any(|i| i == index)
    }
}

/// A layout with its root: the subject of guards, exports and poison.
#[derive(Clone, Debug)]
pub struct Region {
    pub layout: Layout,
    pub root: Rc<Root>,
    /// Per axis of the root.
    pub walks: Vec<Walk>,
    /// Per axis of the layout: its axis of the root; None for a new or stretched one.
    pub along: Vec<Option<usize>>,
    pub shares: bool,
}

#[derive(Clone, Debug)]
pub struct Root {
    layout: Layout,
    nested: bool,
}

impl Region {
    /// A new array is its own root.
    pub fn new(layout: Layout) -> Region {
        let walks = layout.shape.iter().map(|&n| Walk { start: 0, count: n, step: 1 }).collect();
        let along = (0..layout.shape.len()).map(Some).collect();
        let nested = layout.is_nested();
        let shares = layout.shares_bytes();
        Region { root: Rc::new(Root { layout: layout.clone(), nested }), walks, along, shares, layout }
    }

    /// Whether elements of the layout share bytes.
    pub fn shares_bytes(&self) -> bool {
        self.shares
    }

    pub fn ndim(&self) -> usize {
        self.layout.shape.len()
    }

    pub fn refreshed(mut self) -> Region {
        self.shares = self.layout.shares_bytes();
        self
    }

    /// An axis, which counts from the end if negative; None if it is outside.
    pub fn axis(&self, axis: i32) -> Option<usize> {
        let n = self.ndim() as i64;
        let wrapped = if axis < 0 { i64::from(axis) + n } else { i64::from(axis) };
        (0..n).contains(&wrapped).then_some(wrapped as usize)
    }

    /// `count` indices of an axis from `start` in steps. An empty range keeps the offset, one of at most 1 index the
    /// stride (LA-8).
    pub fn part(&self, axis: usize, start: i64, count: i64, step: i64) -> Region {
        let mut part = self.clone();
        if count > 0 {
            part.layout.at += start * self.layout.strides[axis];
        }
        part.layout.shape[axis] = count;
        if count > 1 {
            part.layout.strides[axis] *= step;
        }
        if let Some(root) = self.along[axis] {
            let walk = &mut part.walks[root];
            walk.start += start * walk.step;
            walk.step *= step;
            walk.count = count;
        }
        part.refreshed()
    }

    pub fn without(mut self, axis: usize) -> Region {
        self.layout.shape.remove(axis);
        self.layout.strides.remove(axis);
        self.along.remove(axis);
        self
    }

    pub fn permuted(&self, axes: &[usize]) -> Region {
        let mut to = self.clone();
        to.layout.shape = axes.iter().map(|&k| self.layout.shape[k]).collect();
        to.layout.strides = axes.iter().map(|&k| self.layout.strides[k]).collect();
        to.along = axes.iter().map(|&k| self.along[k]).collect();
        to
    }

    fn same_root(&self, other: &Region) -> bool {
        let (a, b) = (&self.root.layout, &other.root.layout);
        Rc::ptr_eq(&self.root, &other.root)
            || (a.at == b.at && a.shape == b.shape && a.strides == b.strides && a.item() == b.item())
    }

    /// The three tiers, in this order. Regions that none of them proves disjoint overlap.
    pub fn overlaps(&self, other: &Region) -> bool {
        let (Some(a), Some(b)) = (self.layout.extent(), other.layout.extent()) else { return false };
        if a.1 <= b.0 || b.1 <= a.0 {
            return false;
        }
        if self.same_root(other) && self.root.nested {
            return self.walks.iter().zip(&other.walks).all(|(a, b)| a.indices().any(|i| b.has(i)));
        }
        let mut g = 0;
        for l in [&self.layout, &other.layout] {
            for (&n, &stride) in l.shape.iter().zip(&l.strides) {
                if n > 1 {
                    g = gcd(g, stride.abs());
                }
            }
        }
        if g == 0 {
            return true;
        }
        let d = (other.layout.at - self.layout.at).rem_euclid(g);
        !(d >= self.layout.item() && g - d >= other.layout.item())
    }

    /// BR-42: gapless and spanning the other, or of one root with each axis' progression containing the other's.
    pub fn contains(&self, other: &Region) -> bool {
        let (Some(a), Some(b)) = (self.layout.extent(), other.layout.extent()) else { return false };
        let dense = !self.shares && self.layout.bytes() == a.1 - a.0;
        if dense && a.0 <= b.0 && b.1 <= a.1 {
            return true;
        }
        self.same_root(other)
            && self.root.nested
            && self.walks.iter().zip(&other.walks).all(|(a, b)| b.indices().all(|i| a.has(i)))
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
