//! Views of the model: the region that each view function makes.
//!
//! Contract: written from the rows LA-3..LA-20. Each function returns the new region, or the status for wrong
//! arguments. A reshape is found by trying: strides are derived from the elements and must then reach all of them.

use super::layout::{Layout, item};
use super::region::Region;
use super::rules::{Faults, Status};
use tenure::types::*;

/// TN_NONE, an absent bound or step.
pub const NONE: i64 = tenure::types::TN_NONE;

/// A slice's bounds as in Python.
pub type Spec = tn_slice_spec;

/// The calls that make a single view.
#[derive(Clone, Debug)]
pub enum View {
    Reshape {
        shape: Vec<i64>,
        order: u32,
    },
    Ravel {
        order: u32,
    },
    Transpose,
    Permute {
        axes: Vec<i32>,
    },
    Slice {
        specs: Vec<Spec>,
    },
    Index {
        axis: i32,
        index: i64,
    },
    /// None: all axes of length 1.
    Squeeze {
        axes: Option<Vec<i32>>,
    },
    Expand {
        axis: i32,
    },
    Broadcast {
        shape: Vec<i64>,
    },
    Dtype {
        dtype: u32,
    },
}

impl View {
    /// The errors that the arguments alone show.
    pub fn is_invalid(&self) -> bool {
        match self {
            View::Reshape { order, .. } | View::Ravel { order } => {
                !matches!(*order, TN_ORDER_C | TN_ORDER_F | TN_ORDER_A)
            }
            View::Slice { specs } => specs.iter().any(|spec| spec.step == 0),
            _ => false,
        }
    }
}

impl View {
    /// FM-2: whether the view permutes the axes, and so keeps the form or turns it; None for all other views. No form
    /// has more than two axes.
    pub fn turns(&self) -> Option<bool> {
        match self {
            View::Transpose => Some(true),
            View::Permute { axes } => match axes[..] {
                [] | [0 | -1] | [0 | -2, 1 | -1] => Some(false),
                [1 | -1, 0 | -2] => Some(true),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Region {
    /// The view, or the error of its arguments for this array.
    pub fn view(&self, view: &View) -> Result<Region, Status> {
        match view {
            View::Reshape { shape, order } => self.reshape(shape, *order),
            View::Ravel { order } => self.reshape(&[-1], *order),
            View::Transpose => Ok(self.permuted(&(0..self.ndim()).rev().collect::<Vec<_>>())),
            View::Permute { axes } => self.permute(axes),
            View::Slice { specs } => self.slice(specs),
            View::Index { axis, index } => {
                let axis = self.axis(*axis).ok_or(TN_ERR_RANGE)?;
                let n = self.layout.shape[axis];
                if *index < -n || *index >= n {
                    return Err(TN_ERR_RANGE);
                }
                Ok(self.part(axis, if *index < 0 { index + n } else { *index }, 1, 1).without(axis))
            }
            View::Squeeze { axes } => self.squeeze(axes.as_deref()),
            View::Expand { axis } => self.expand(*axis),
            View::Broadcast { shape } => self.broadcast(shape),
            View::Dtype { dtype } => self.view_dtype(*dtype),
        }
    }

    fn permute(&self, axes: &[i32]) -> Result<Region, Status> {
        if axes.len() != self.ndim() {
            return Err(TN_ERR_COUNT);
        }
        Ok(self.permuted(&self.distinct(axes)?))
    }

    /// LA-6, LA-10: each axis exists and occurs once.
    fn distinct(&self, axes: &[i32]) -> Result<Vec<usize>, Status> {
        let mut faults = Faults::default();
        let mut found = Vec::new();
        for &axis in axes {
            match self.axis(axis) {
                None => faults.add(TN_ERR_RANGE),
                Some(axis) if found.contains(&axis) => faults.add(TN_ERR_DUPLICATE),
                Some(axis) => found.push(axis),
            }
        }
        faults.none()?;
        Ok(found)
    }

    fn slice(&self, specs: &[Spec]) -> Result<Region, Status> {
        if specs.len() > self.ndim() {
            return Err(TN_ERR_COUNT);
        }
        let mut view = self.clone();
        for (axis, spec) in specs.iter().enumerate() {
            let (start, count, step) = python_slice(self.layout.shape[axis], spec);
            view = view.part(axis, start, count, step);
        }
        Ok(view)
    }

    fn squeeze(&self, axes: Option<&[i32]>) -> Result<Region, Status> {
        let mut gone = match axes {
            None => (0..self.ndim()).filter(|&k| self.layout.shape[k] == 1).collect(),
            Some(axes) => {
                let mut faults = Faults::default();
                if axes.iter().any(|&axis| self.axis(axis).is_some_and(|k| self.layout.shape[k] != 1)) {
                    faults.add(TN_ERR_SHAPE);
                }
                let found = self.distinct(axes);
                if let Err(status) = found {
                    faults.add(status);
                }
                faults.none()?;
                found?
            }
        };
        gone.sort_unstable();
        Ok(gone.into_iter().rev().fold(self.clone(), Region::without))
    }

    fn expand(&self, axis: i32) -> Result<Region, Status> {
        let n = self.ndim() as i64;
        let axis = if axis < 0 { i64::from(axis) + n + 1 } else { i64::from(axis) };
        if n as usize == TN_MAX_NDIM {
            return Err(TN_ERR_OVERFLOW);
        }
        if !(0..=n).contains(&axis) {
            return Err(TN_ERR_RANGE);
        }
        let axis = axis as usize;
        let stride = self.new_axis_stride(axis);
        let mut view = self.clone();
        view.layout.shape.insert(axis, 1);
        view.layout.strides.insert(axis, stride);
        view.along.insert(axis, None);
        Ok(view)
    }

    /// LA-11: the stride of a new axis of length 1 before `axis`.
    fn new_axis_stride(&self, axis: usize) -> i64 {
        if axis < self.ndim() { self.layout.strides[axis] * self.layout.shape[axis].max(1) } else { self.layout.item() }
    }

    fn broadcast(&self, shape: &[i64]) -> Result<Region, Status> {
        if shape.len() > TN_MAX_NDIM {
            return Err(TN_ERR_OVERFLOW);
        }
        if shape.len() < self.ndim() || shape.iter().any(|&n| n < 0) {
            return Err(TN_ERR_SHAPE);
        }
        let mut view = self.clone();
        while view.ndim() < shape.len() {
            view = view.expand(0)?;
        }
        for (axis, &length) in shape.iter().enumerate() {
            let old = view.layout.shape[axis];
            if old == length {
                continue;
            }
            if old != 1 {
                return Err(TN_ERR_SHAPE);
            }
            view.layout.shape[axis] = length;
            view.layout.strides[axis] = 0;
            view.along[axis] = None;
        }
        Ok(view.refreshed())
    }

    /// LA-3..5, by trying: the new strides are those of the elements next to the first one, if they reach all elements.
    fn reshape(&self, shape: &[i64], order: u32) -> Result<Region, Status> {
        if shape.len() > TN_MAX_NDIM {
            return Err(TN_ERR_OVERFLOW);
        }
        let count = self.layout.count();
        let shape = complete(shape, count)?;
        if shape == self.layout.shape {
            return Ok(self.clone());
        }
        let order = if order == TN_ORDER_A { self.layout.natural_order() } else { order };
        let item = self.layout.item();
        if count == 0 {
            return Ok(Region::new(Layout::dense(self.layout.dtype, &shape, order, self.layout.at)));
        }
        // Order F is the mirror image of order C.
        let mirror = |v: &[i64]| -> Vec<i64> {
            if order == TN_ORDER_F { v.iter().rev().copied().collect() } else { v.to_vec() }
        };
        let source =
            Layout { shape: mirror(&self.layout.shape), strides: mirror(&self.layout.strides), ..self.layout.clone() };
        let all = source.addresses();
        let lengths = mirror(&shape);
        let mut strides = vec![0; lengths.len()];
        for axis in (0..lengths.len()).rev() {
            let inner: i64 = lengths[axis + 1..].iter().product();
            strides[axis] = if lengths[axis] > 1 {
                all[inner as usize] - all[0]
            } else if axis + 1 < lengths.len() {
                strides[axis + 1] * lengths[axis + 1]
            } else {
                // Reading: if it is the last axis, an axis of length 1 gets the item size, as in LA-11.
                item
            };
        }
        let result = Layout { shape: lengths, strides, ..self.layout.clone() };
        if result.addresses() != all {
            return Err(TN_ERR_LAYOUT);
        }
        Ok(Region::new(Layout { shape, strides: mirror(&result.strides), ..result }))
    }

    fn view_dtype(&self, dtype: u32) -> Result<Region, Status> {
        let (old, new) = (self.layout.item(), item(dtype));
        if new == 0 || (dtype == TN_BOOL && self.layout.dtype != TN_BOOL) {
            return Err(TN_ERR_DTYPE);
        }
        let mut result = Layout { dtype, ..self.layout.clone() };
        if old != new {
            let Some(last) = self.ndim().checked_sub(1) else { return Err(TN_ERR_LAYOUT) };
            let bytes = self.layout.shape[last] * old;
            let mut faults = Faults::default();
            if bytes % new != 0 {
                faults.add(TN_ERR_SHAPE);
            }
            if self.layout.shape[last] > 1 && self.layout.strides[last] != old {
                faults.add(TN_ERR_LAYOUT);
            }
            faults.none()?;
            result.shape[last] = bytes / new;
            result.strides[last] = new;
        }
        if !result.is_aligned() {
            return Err(TN_ERR_LAYOUT);
        }
        Ok(Region::new(result))
    }
}

/// Fills in a -1 and checks the total (LA-4).
fn complete(shape: &[i64], count: i64) -> Result<Vec<i64>, Status> {
    let open = shape.iter().filter(|&&n| n == -1).count();
    let known: i64 = shape.iter().filter(|&&n| n != -1).product();
    if open > 1 || shape.iter().any(|&n| n < -1) {
        return Err(TN_ERR_SHAPE);
    }
    if open == 0 {
        return if known == count { Ok(shape.to_vec()) } else { Err(TN_ERR_SHAPE) };
    }
    if known == 0 || count % known != 0 {
        return Err(TN_ERR_SHAPE);
    }
    Ok(shape.iter().map(|&n| if n == -1 { count / known } else { n }).collect())
}

/// Python's slice.indices, by stepping through every candidate.
fn python_slice(n: i64, spec: &Spec) -> (i64, i64, i64) {
    let step = if spec.step == NONE { 1 } else { spec.step };
    let clamp = |bound: i64, low: i64, high: i64| {
        let wrapped = if bound < 0 { bound.saturating_add(n) } else { bound };
        wrapped.clamp(low, high)
    };
    let (start, stop) = if step > 0 {
        let start = if spec.start == NONE { 0 } else { clamp(spec.start, 0, n) };
        (start, if spec.stop == NONE { n } else { clamp(spec.stop, 0, n) })
    } else {
        let start = if spec.start == NONE { n - 1 } else { clamp(spec.start, -1, n - 1) };
        (start, if spec.stop == NONE { -1 } else { clamp(spec.stop, -1, n - 1) })
    };
    let mut count = 0;
    let mut at = start;
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        count += 1;
        at = at.saturating_add(step);
    }
    (start, count, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f64s(shape: &[i64], order: u32) -> Region {
        Region::new(Layout::dense(TN_F64, shape, order, 0))
    }
    fn cut(a: &Region, specs: &[(i64, i64, i64)]) -> Region {
        let specs = specs.iter().map(|&(start, stop, step)| Spec { start, stop, step, reserved: [0; 4] }).collect();
        a.view(&View::Slice { specs }).unwrap()
    }
    fn shaped(a: &Region, shape: &[i64], order: u32) -> Result<Region, Status> {
        a.view(&View::Reshape { shape: shape.to_vec(), order })
    }
    fn is(a: &Region, shape: &[i64], strides: &[i64], at: i64) {
        assert_eq!((&a.layout.shape[..], &a.layout.strides[..], a.layout.at), (shape, strides, at));
    }

    #[test]
    fn x1_to_x19_worked_examples() {
        let (c, f, d) = (f64s(&[3, 4], TN_ORDER_C), f64s(&[3, 4], TN_ORDER_F), f64s(&[4, 6], TN_ORDER_C));
        is(&shaped(&c, &[3, 2, 2], TN_ORDER_C).unwrap(), &[3, 2, 2], &[32, 16, 8], 0);
        is(&shaped(&c, &[3, 2, 2], TN_ORDER_F).unwrap(), &[3, 2, 2], &[32, 8, 16], 0);
        is(&shaped(&f, &[2, 6], TN_ORDER_F).unwrap(), &[2, 6], &[8, 16], 0);
        is(&shaped(&f, &[3, 2, 2], TN_ORDER_C).unwrap(), &[3, 2, 2], &[8, 48, 24], 0);
        is(&shaped(&f, &[3, 2, 2], TN_ORDER_F).unwrap(), &[3, 2, 2], &[8, 24, 48], 0);
        let e = cut(&d, &[(NONE, NONE, 1), (NONE, NONE, 2)]);
        is(&e, &[4, 3], &[48, 16], 0);
        is(&shaped(&e, &[12], TN_ORDER_C).unwrap(), &[12], &[16], 0);
        is(&shaped(&e, &[2, 2, 3], TN_ORDER_C).unwrap(), &[2, 2, 3], &[96, 48, 16], 0);
        is(&shaped(&e, &[4, 1, 3], TN_ORDER_C).unwrap(), &[4, 1, 3], &[48, 48, 16], 0);
        is(&shaped(&cut(&d, &[(NONE, NONE, 2)]), &[2, 2, 3], TN_ORDER_C).unwrap(), &[2, 2, 3], &[96, 24, 8], 0);
        let r = cut(&d, &[(NONE, NONE, -1), (NONE, NONE, -1)]);
        is(&r, &[4, 6], &[-48, -8], 184);
        is(&shaped(&r, &[24], TN_ORDER_C).unwrap(), &[24], &[-8], 184);
        is(&cut(&d, &[(3, 0, -2), (1, 5, 3)]), &[2, 2], &[-96, 24], 152);
        is(&cut(&d, &[(5, 10, NONE)]), &[0, 6], &[48, 8], 0);
        is(&cut(&d, &[(1, NONE, 100)]), &[1, 6], &[48, 8], 48);
        for (a, shape, order) in [(&c, &[12][..], TN_ORDER_F), (&c, &[4, 3], TN_ORDER_F), (&f, &[2, 6], TN_ORDER_C)] {
            assert_eq!(shaped(a, shape, order).unwrap_err(), TN_ERR_LAYOUT, "X41");
        }
        assert_eq!(shaped(&c, &[5, -1], TN_ORDER_C).unwrap_err(), TN_ERR_SHAPE, "X42");
    }

    #[test]
    fn x27_to_x37_worked_examples() {
        let d = f64s(&[4, 6], TN_ORDER_C);
        for (axis, shape, strides) in
            [(0, [1, 4, 6], [192, 48, 8]), (1, [4, 1, 6], [48, 48, 8]), (-1, [4, 6, 1], [48, 8, 8])]
        {
            is(&d.view(&View::Expand { axis }).unwrap(), &shape, &strides, 0);
        }
        let b = f64s(&[3, 1], TN_ORDER_C).view(&View::Broadcast { shape: vec![3, 4] }).unwrap();
        is(&b, &[3, 4], &[8, 0], 0);
        assert!(b.shares_bytes() && !b.layout.is_c() && !b.layout.is_f());
        let b = f64s(&[3, 1], TN_ORDER_C).view(&View::Broadcast { shape: vec![1, 3, 1] }).unwrap();
        is(&b, &[1, 3, 1], &[24, 8, 8], 0);
        assert!(!b.shares_bytes() && b.layout.is_c() && b.layout.is_f());
        let s = Region::new(Layout::dense(TN_I16, &[4, 8], TN_ORDER_C, 0));
        let typed = |a: &Region, dtype| a.view(&View::Dtype { dtype });
        is(&typed(&s, TN_I64).unwrap(), &[4, 2], &[16, 8], 0);
        is(&typed(&s, TN_U8).unwrap(), &[4, 16], &[16, 1], 0);
        is(&typed(&cut(&s, &[(NONE, NONE, 1), (NONE, NONE, 2)]), TN_U16).unwrap(), &[4, 4], &[16, 4], 0);
        is(&typed(&cut(&s, &[(NONE, NONE, 1), (2, 6, 1)]), TN_I32).unwrap(), &[4, 2], &[16, 4], 4);
        assert_eq!(typed(&cut(&s, &[(NONE, NONE, 1), (1, 3, 1)]), TN_I32).unwrap_err(), TN_ERR_LAYOUT);
        assert_eq!(typed(&cut(&s, &[(NONE, NONE, 1), (0, 3, 1)]), TN_I32).unwrap_err(), TN_ERR_SHAPE);
    }

    #[test]
    fn br_20_to_br_25_tiers() {
        let a = f64s(&[12], TN_ORDER_C);
        let every = |start, step| cut(&a, &[(start, NONE, step)]);
        for (x, y) in [((0, 2), (1, 2)), ((0, 3), (1, 3)), ((0, 2), (3, 4))] {
            assert!(!every(x.0, x.1).overlaps(&every(y.0, y.1)), "BR-22 {x:?} {y:?}");
        }
        for (x, y) in [((0, 2), (0, 3)), ((1, 2), (0, 3))] {
            assert!(every(x.0, x.1).overlaps(&every(y.0, y.1)), "BR-22 {x:?} {y:?}");
        }
        let down = cut(&a, &[(8, NONE, -2)]);
        let up = cut(&a, &[(0, 9, 2)]);
        assert!(down.overlaps(&up) && up.contains(&down) && down.contains(&up), "BR-23");
        let r = shaped(&a, &[6, 2], TN_ORDER_C).unwrap();
        let r0 = r.view(&View::Index { axis: 1, index: 0 }).unwrap();
        assert!(!r0.overlaps(&every(1, 2)) && r0.overlaps(&every(0, 2)), "BR-24");
        let m = Region::new(Layout::dense(TN_U8, &[3, 4], TN_ORDER_C, 0));
        let r = shaped(&m, &[12], TN_ORDER_C).unwrap();
        let m0 = m.view(&View::Index { axis: 1, index: 0 }).unwrap();
        assert!(!m0.overlaps(&cut(&r, &[(1, 12, 6)])), "BR-25");
        assert!(cut(&m, &[(NONE, NONE, 1), (0, 2, 1)]).overlaps(&cut(&r, &[(2, 12, 8)])), "BR-25");
    }

    #[test]
    fn br_21_quadrants_and_columns() {
        let d = f64s(&[4, 6], TN_ORDER_C);
        let left = cut(&d, &[(NONE, NONE, 1), (0, 3, 1)]);
        let right = cut(&d, &[(NONE, NONE, 1), (3, 6, 1)]);
        assert!(!left.overlaps(&right));
        let t = d.view(&View::Transpose).unwrap();
        assert!(!cut(&t, &[(0, 3, 1)]).overlaps(&right) && cut(&t, &[(0, 3, 1)]).overlaps(&left));
    }
}
