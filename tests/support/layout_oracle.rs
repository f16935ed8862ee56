//! The reference model of `layout`: an array is the list of its elements' positions, and a view selects from that list.
//!
//! Operations are drawn as plain numbers, so that a failing chain shrinks to few and small ones.
#![allow(dead_code)] // each test file uses its part

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;
use tenure::dtype::Dtype;
use tenure::error::Result;
use tenure::layout::{Layout, NONE, Order, even_parts};
use tenure::types::*;

/// Shape, and the position of each element in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Naive {
    pub item: i64,
    pub shape: Vec<i64>,
    pub at: Vec<i64>,
}

/// Calls `with` for all index tuples of a shape, in row-major order.
fn each(shape: &[i64], mut with: impl FnMut(&[i64])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        with(&index);
        let Some(axis) = (0..shape.len()).rev().find(|&axis| index[axis] + 1 < shape[axis]) else { return };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

/// The number of an index tuple in row-major order, from 0.
fn row_major(shape: &[i64], index: &[i64]) -> usize {
    shape.iter().zip(index).fold(0, |number, (&length, &i)| number * length + i) as usize
}

impl Naive {
    /// The list of a layout, by the address formula alone.
    pub fn of(layout: &Layout) -> Naive {
        let (shape, strides) = (layout.shape().to_vec(), layout.strides());
        let mut at = Vec::new();
        each(&shape, |index| {
            at.push(layout.offset() + index.iter().zip(strides).map(|(i, stride)| i * stride).sum::<i64>())
        });
        Naive { item: layout.item(), shape, at }
    }

    /// The array of this shape whose element `index` is `from(index)` of this one.
    fn pick(&self, shape: Vec<i64>, from: impl Fn(&[i64]) -> Vec<i64>) -> Naive {
        let mut at = Vec::new();
        each(&shape, |index| at.push(self.at[row_major(&self.shape, &from(index))]));
        Naive { item: self.item, shape, at }
    }

    /// The bytes of all elements, without duplicates, sorted.
    pub fn bytes(&self) -> Vec<i64> {
        let mut bytes: Vec<i64> = self.at.iter().flat_map(|&at| at..at + self.item).collect();
        bytes.sort_unstable();
        bytes.dedup();
        bytes
    }

    /// The positions with the first index running fastest.
    fn column_major(&self) -> Vec<i64> {
        let turned: Vec<i64> = self.shape.iter().rev().copied().collect();
        self.pick(turned, |index| index.iter().rev().copied().collect()).at
    }

    /// Whether one stride per axis gives these positions.
    pub fn has_strides(&self) -> bool {
        let Some(&first) = self.at.first() else { return true };
        let stride = |axis: usize| {
            let mut index = vec![0; self.shape.len()];
            index[axis] = 1;
            if self.shape[axis] > 1 { self.at[row_major(&self.shape, &index)] - first } else { 0 }
        };
        let strides: Vec<i64> = (0..self.shape.len()).map(stride).collect();
        let mut formula = Vec::new();
        each(&self.shape, |index| formula.push(first + index.iter().zip(&strides).map(|(i, s)| i * s).sum::<i64>()));
        formula == self.at
    }

    /// Compares all properties of a layout with the list.
    pub fn check(&self, layout: &Layout) {
        assert!(layout.is_valid());
        assert_eq!(&Naive::of(layout), self);
        let first = layout.offset();
        let dense = |at: &[i64]| at.iter().enumerate().all(|(i, &at)| at == first + i as i64 * self.item);
        assert_eq!(layout.is_c(), dense(&self.at), "C");
        assert_eq!(layout.is_f(), dense(&self.column_major()), "F");
        assert_eq!(layout.count(), self.at.len() as i64);
        assert_eq!(layout.bytes(), self.at.len() as i64 * self.item);
        assert_eq!(layout.is_empty(), self.at.is_empty());
        let extent = self.at.iter().min().map(|&low| (low, self.at.iter().max().unwrap() + self.item));
        assert_eq!(layout.extent(), extent);
        assert_eq!(layout.is_aligned(), self.at.iter().all(|at| at % layout.dtype().align() == 0));
        let bytes = self.bytes();
        assert_eq!(layout.self_overlaps(), bytes.len() as i64 != layout.bytes(), "self overlap of {layout:?}");
        let gapless = extent.is_some_and(|(low, end)| bytes.len() as i64 == end - low);
        // A layout that says that it is gapless has no gaps. One without gaps and self-overlap must say so.
        assert!(gapless || !layout.is_gapless());
        assert!(!gapless || layout.is_gapless() || layout.self_overlaps());
        assert!(layout.try_clone().unwrap() == *layout);
    }
}

/// This many random cases, or PROPTEST_CASES. The seed is fixed, or PROPTEST_RNG_SEED.
pub fn cases(usual: u32) -> ProptestConfig {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    ProptestConfig {
        cases: number("PROPTEST_CASES").map_or(usual, |cases| cases as u32),
        rng_seed: RngSeed::Fixed(number("PROPTEST_RNG_SEED").unwrap_or(1)),
        ..ProptestConfig::default()
    }
}

/// Small numbers, drawn as the digits of one large number.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, n: u64) -> u64 {
        let drawn = self.0 % n;
        self.0 /= n;
        drawn
    }
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }
    pub fn axis(&mut self, n: usize) -> i32 {
        self.range(-(n as i64), n as i64 - 1) as i32
    }
}

/// A contiguous array of at most 4 axes with lengths 0 to 5.
pub fn root(seed: u64) -> Layout {
    let mut draw = Draw(seed);
    let dtype = Dtype::ALL[draw.below(Dtype::ALL.len() as u64) as usize];
    let order = [Order::C, Order::F][draw.below(2) as usize];
    let offset = 16 * draw.below(3) as i64;
    // 0 is rare, because empty arrays test little.
    let shape: Vec<i64> =
        (0..draw.below(5)).map(|_| [2, 3, 4, 5, 1, 2, 3, 4, 5, 3, 0][draw.below(11) as usize]).collect();
    Layout::contiguous(dtype, &shape, order, offset).unwrap()
}

/// The effect of one step of a chain on the layout and on the list, and whether the result is a new root. On failure
/// the statuses must be equal.
pub struct Step {
    pub ours: Result<Layout>,
    pub naive: core::result::Result<Naive, tn_status>,
    pub new_root: bool,
}

/// Steps that keep the root.
pub const KEEPING: u64 = 9;
/// All steps.
pub const ALL_STEPS: u64 = 12;

/// One view, drawn from the first `kinds` kinds.
pub fn step(layout: &Layout, naive: &Naive, seed: u64, kinds: u64) -> Step {
    let mut draw = Draw(seed);
    let n = layout.ndim();
    let old = &naive.shape;
    let kept = |ours, naive| Step { ours, naive: Ok(naive), new_root: false };
    match draw.below(kinds) {
        0 | 1 => {
            let mut specs = Vec::new();
            let mut walks: Vec<Vec<i64>> = Vec::new();
            for &length in old {
                let step = draw.range(-3, 4);
                let step = if step == 0 || step == 4 { NONE } else { step };
                let bound = |drawn: i64| if drawn == 8 { NONE } else { drawn };
                let (start, stop) = (bound(draw.range(-7, 8)), bound(draw.range(-7, 8)));
                specs.push(tn_slice_spec { start, stop, step, reserved: [0; 4] });
                walks.push(walk(start, stop, step, length));
            }
            let shape = walks.iter().map(|walk| walk.len() as i64).collect();
            let pick = |index: &[i64]| index.iter().zip(&walks).map(|(&i, walk)| walk[i as usize]).collect();
            kept(layout.slice(&specs), naive.pick(shape, pick))
        }
        2 if n > 0 => {
            let axis = draw.axis(n);
            let at = axis.rem_euclid(n as i32) as usize;
            let index = draw.range(-6, 5);
            let i = if index < 0 { index + old[at] } else { index };
            let ours = layout.index(axis, index);
            if i < 0 || i >= old[at] {
                return Step { ours, naive: Err(TN_ERR_RANGE), new_root: false };
            }
            let shape = [&old[..at], &old[at + 1..]].concat();
            kept(ours, naive.pick(shape, |index| [&index[..at], &[i], &index[at..]].concat()))
        }
        3 => {
            let shape = old.iter().rev().copied().collect();
            kept(layout.transpose(), naive.pick(shape, |index| index.iter().rev().copied().collect()))
        }
        4 => {
            let mut left: Vec<usize> = (0..n).collect();
            let axes: Vec<usize> = (0..n).map(|_| left.remove(draw.below(left.len() as u64) as usize)).collect();
            let signed: Vec<i32> =
                axes.iter().map(|&axis| axis as i32 - if draw.below(2) == 0 { n as i32 } else { 0 }).collect();
            let shape = axes.iter().map(|&axis| old[axis]).collect();
            let pick =
                |index: &[i64]| (0..n).map(|axis| index[axes.iter().position(|&a| a == axis).unwrap()]).collect();
            kept(layout.permute(&signed), naive.pick(shape, pick))
        }
        5 => {
            let named = (n > 0 && draw.below(2) == 0).then(|| draw.axis(n));
            let removed = |axis: usize| match named {
                Some(named) => named.rem_euclid(n as i32) as usize == axis,
                None => old[axis] == 1,
            };
            let ours = layout.squeeze(named.as_ref().map(core::slice::from_ref));
            if (0..n).any(|axis| removed(axis) && old[axis] != 1) {
                return Step { ours, naive: Err(TN_ERR_SHAPE), new_root: false };
            }
            let shape = (0..n).filter(|&axis| !removed(axis)).map(|axis| old[axis]).collect();
            let pick = |index: &[i64]| {
                let mut rest = index.iter();
                (0..n).map(|axis| if removed(axis) { 0 } else { *rest.next().unwrap() }).collect()
            };
            kept(ours, naive.pick(shape, pick))
        }
        6 if n < 5 => {
            let axis = draw.axis(n + 1);
            let at = axis.rem_euclid(n as i32 + 1) as usize;
            let shape = [&old[..at], &[1], &old[at..]].concat();
            kept(layout.expand(axis), naive.pick(shape, |index| [&index[..at], &index[at + 1..]].concat()))
        }
        7 if naive.at.len() < 200 => {
            let in_front = if n < 4 { draw.below(3) as usize } else { 0 };
            let mut shape: Vec<i64> = (0..in_front).map(|_| draw.range(0, 3)).collect();
            for &length in old {
                shape.push(if length == 1 && draw.below(2) == 0 { draw.range(0, 3) } else { length });
            }
            let pick = |index: &[i64]| {
                index[in_front..].iter().zip(old).map(|(&i, &length)| if length == 1 { 0 } else { i }).collect()
            };
            kept(layout.broadcast(&shape), naive.pick(shape.clone(), pick))
        }
        8 if n > 0 => {
            let axis = draw.below(n as u64) as usize;
            let mut parts = even_parts(old[axis], draw.range(1, 4));
            let (start, length) = parts.nth(draw.below(parts.len() as u64) as usize).unwrap();
            let mut shape = old.clone();
            shape[axis] = length;
            let pick = |index: &[i64]| {
                let mut index = index.to_vec();
                index[axis] += start;
                index
            };
            kept(layout.part(axis, start, length), naive.pick(shape, pick))
        }
        9 | 10 => reshaped(layout, naive, &mut draw),
        11 => seen_as(layout, naive, Dtype::ALL[draw.below(Dtype::ALL.len() as u64) as usize]),
        _ => kept(layout.try_clone(), naive.clone()),
    }
}

/// The indices of a Python slice.
fn walk(start: i64, stop: i64, step: i64, length: i64) -> Vec<i64> {
    let step = if step == NONE { 1 } else { step };
    let (low, high) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let bound = |bound: i64, absent| match bound {
        NONE => absent,
        bound => (if bound < 0 { bound + length } else { bound }).clamp(low, high),
    };
    let (from, to) =
        if step < 0 { (bound(start, high), bound(stop, low)) } else { (bound(start, low), bound(stop, high)) };
    let mut walked = Vec::new();
    let mut at = from;
    while if step < 0 { at > to } else { at < to } {
        walked.push(at);
        at += step;
    }
    walked
}

fn reshaped(layout: &Layout, naive: &Naive, draw: &mut Draw) -> Step {
    let order = [Order::C, Order::F, Order::A][draw.below(3) as usize];
    let count = naive.at.len() as i64;
    let mut shape = Vec::new();
    let mut rest = count;
    for _ in 0..draw.below(4) {
        let divisors: Vec<i64> = (1..=rest.max(1)).filter(|d| rest % d == 0).collect();
        let length = divisors[draw.below(divisors.len() as u64) as usize];
        shape.push(length);
        rest /= length;
    }
    if rest != 1 || draw.below(2) == 0 {
        let at = draw.below(shape.len() as u64 + 1) as usize;
        shape.insert(at, rest);
    }
    let mut asked = shape.clone();
    if count > 0 && !shape.is_empty() && draw.below(2) == 0 {
        asked[draw.below(shape.len() as u64) as usize] = -1;
    }
    let ours = layout.reshape(&asked, order);
    let same = shape == naive.shape;
    let column_major = match order {
        Order::A => layout.is_f() && !layout.is_c(),
        order => order == Order::F,
    };
    let list = if column_major { naive.column_major() } else { naive.at.clone() };
    // The list in that order fills the new shape in the same order.
    let mut new = Naive { item: naive.item, shape: shape.clone(), at: list };
    if column_major {
        new.shape.reverse();
        new = new.pick(shape, |index| index.iter().rev().copied().collect());
    }
    let naive = if new.has_strides() { Ok(new) } else { Err(TN_ERR_LAYOUT) };
    Step { ours, naive, new_root: !same }
}

fn seen_as(layout: &Layout, naive: &Naive, dtype: Dtype) -> Step {
    let ours = layout.view_dtype(dtype);
    let failed = |ours, status| Step { ours, naive: Err(status), new_root: true };
    let (old, new) = (naive.item, dtype.item());
    if dtype == Dtype::BOOL && layout.dtype() != Dtype::BOOL {
        return failed(ours, TN_ERR_DTYPE);
    }
    let mut seen = naive.clone();
    if new != old {
        seen.item = new;
        let Some(last) = seen.shape.last_mut() else { return failed(ours, TN_ERR_LAYOUT) };
        if *last * old % new != 0 {
            return failed(ours, TN_ERR_SHAPE);
        }
        // The rule defines the stride also where there is no element.
        if *last > 1 && *layout.strides().last().unwrap() != old {
            return failed(ours, TN_ERR_LAYOUT);
        }
        let row = *last as usize;
        *last = *last * old / new;
        let new_row = *last;
        seen.at = naive.at.chunks(row.max(1)).flat_map(|row| (0..new_row).map(|i| row[0] + i * new)).collect();
    }
    if seen.at.iter().any(|at| at % dtype.align() != 0) {
        return failed(ours, TN_ERR_LAYOUT);
    }
    Step { ours, naive: Ok(seen), new_root: true }
}
