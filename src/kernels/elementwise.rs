//! Element by element, over any strides; sums over an axis.
//!
//! Results are dense. A result may lie on an operand of the same layout, element on element: blocks of elements are read whole before
//! they are written, so the loops vectorise without asking whether the two are one.

use super::{Float, address, step, with_float};
use crate::blit::{self, HostView};
use crate::error::Result;
use crate::layout::Layout;
use crate::types::TN_MAX_NDIM;

/// Of two elements one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    /// x + y
    Add,
    /// x - y
    Subtract,
    /// x * y
    Multiply,
    /// x / y
    Divide,
}

/// Of one element one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unary {
    /// -x
    Negate,
    /// Square root.
    Sqrt,
    /// e to the x.
    Exp,
    /// Natural logarithm.
    Log,
}

/// Elements read before the first of them is written.
const BLOCK: usize = 8;

/// One axis of a walk: length and strides in elements.
#[derive(Clone, Copy)]
struct Axis {
    length: usize,
    dst: isize,
    x: isize,
    y: isize,
}

const NO_AXIS: Axis = Axis { length: 1, dst: 0, x: 0, y: 0 };

/// The axes of three layouts of one shape, merged where all three allow it, the destination's largest stride first.
struct Walk {
    axes: [Axis; TN_MAX_NDIM],
    ndim: usize,
}

impl Walk {
    /// None if there is no element.
    fn new<T>(dst: &Layout, x: &Layout, y: &Layout) -> Option<Walk> {
        assert!(dst.shape() == x.shape() && dst.shape() == y.shape(), "elements of different shapes");
        if dst.is_empty() {
            return None;
        }
        let mut walk = Walk { axes: [NO_AXIS; TN_MAX_NDIM], ndim: 0 };
        for (axis, &length) in dst.shape().iter().enumerate() {
            if length > 1 {
                let [dst, x, y] = [dst, x, y].map(|layout| step::<T>(layout.strides()[axis]));
                let axis = Axis { length: length as usize, dst, x, y };
                let mut place = walk.ndim;
                while place > 0 && walk.axes[place - 1].dst.unsigned_abs() < axis.dst.unsigned_abs() {
                    walk.axes[place] = walk.axes[place - 1];
                    place -= 1;
                }
                walk.axes[place] = axis;
                walk.ndim += 1;
            }
        }
        walk.merge();
        Some(walk)
    }

    fn merge(&mut self) {
        let mut kept = 0;
        for at in 1..self.ndim {
            let (outer, inner) = (self.axes[kept], self.axes[at]);
            let n = inner.length as isize;
            if outer.dst == n * inner.dst && outer.x == n * inner.x && outer.y == n * inner.y {
                self.axes[kept] = Axis { length: outer.length * inner.length, ..inner };
            } else {
                kept += 1;
                self.axes[kept] = inner;
            }
        }
        self.ndim = self.ndim.min(kept + 1);
    }

    /// Calls `run` for each innermost run: offsets in elements of its first element, and the axis.
    fn runs(&self, mut run: impl FnMut([isize; 3], Axis)) {
        let inner = if self.ndim == 0 { NO_AXIS } else { self.axes[self.ndim - 1] };
        let outer = &self.axes[..self.ndim.saturating_sub(1)];
        let mut index = [0usize; TN_MAX_NDIM];
        let mut at = [0isize; 3];
        loop {
            run(at, inner);
            let mut axis = outer.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                let Axis { length, dst, x, y } = outer[axis];
                index[axis] += 1;
                at = [at[0] + dst, at[1] + x, at[2] + y];
                if index[axis] < length {
                    break;
                }
                index[axis] = 0;
                let n = length as isize;
                at = [at[0] - n * dst, at[1] - n * x, at[2] - n * y];
            }
        }
    }
}

/// dst = f(x, y). `dst` is dense, and shares no byte with an operand of another layout.
fn map<T: Float>(dst: &HostView, x: &HostView, y: &HostView, f: impl Fn(T, T) -> T + Copy) {
    let Some(walk) = Walk::new::<T>(dst.layout(), x.layout(), y.layout()) else {
        return;
    };
    let (to, from, other) = (address::<T>(dst), address::<T>(x), address::<T>(y));
    walk.runs(|at, axis| {
        // SAFETY: the walk visits the elements of the three layouts, for which the places vouch.
        unsafe { run(axis, to.offset(at[0]), from.offset(at[1]), other.offset(at[2]), f) }
    });
}

/// One run.
///
/// # Safety
/// - The elements of the run may be written at `to` and read at `x` and `y`; these are aligned.
unsafe fn run<T: Float>(axis: Axis, to: *mut T, x: *const T, y: *const T, f: impl Fn(T, T) -> T) {
    let mut at = 0;
    if axis.dst == 1 && axis.x == 1 && axis.y == 1 {
        while at + BLOCK <= axis.length {
            // SAFETY: a block within the run; arrays of T are aligned as T is.
            unsafe {
                let a = x.add(at).cast::<[T; BLOCK]>().read();
                let b = y.add(at).cast::<[T; BLOCK]>().read();
                let values: [T; BLOCK] = core::array::from_fn(|i| f(a[i], b[i]));
                to.add(at).cast::<[T; BLOCK]>().write(values);
            }
            at += BLOCK;
        }
    }
    for i in at as isize..axis.length as isize {
        // SAFETY: within the run.
        unsafe { to.offset(i * axis.dst).write(f(x.offset(i * axis.x).read(), y.offset(i * axis.y).read())) };
    }
}

/// dst = x op y. The result may lie on `x` or `y`, or both, where the layout is the same.
pub fn binary(op: Binary, dst: &HostView, x: &HostView, y: &HostView) {
    with_float!(dst.layout().dtype(), T => match op {
        Binary::Add => map::<T>(dst, x, y, Float::plus),
        Binary::Subtract => map::<T>(dst, x, y, Float::minus),
        Binary::Multiply => map::<T>(dst, x, y, Float::times),
        Binary::Divide => map::<T>(dst, x, y, Float::over),
    });
}

/// dst = op x. The result may lie on `x` where the layout is the same.
pub fn unary(op: Unary, dst: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => match op {
        Unary::Negate => map::<T>(dst, x, x, |x, _| x.negative()),
        Unary::Sqrt => map::<T>(dst, x, x, |x, _| x.root()),
        Unary::Exp => map::<T>(dst, x, x, |x, _| x.power_of_e()),
        Unary::Log => map::<T>(dst, x, x, |x, _| x.logarithm()),
    });
}

/// dst = factor * x, the factor rounded to the element type. The result may lie on `x` where the layout is the same.
pub fn scale(factor: f64, dst: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => {
        let factor = T::of(factor);
        map::<T>(dst, x, x, |x, _| factor.times(x));
    });
}

/// dst = sum of x over an axis; the sum of nothing is 0. Along an axis whose elements lie side by side it is added in eight lanes, else
/// one slice after the other. The two share no byte.
pub fn sum(dst: &HostView, x: &HostView, axis: usize) -> Result<()> {
    let length = x.layout().shape()[axis];
    if length == 0 || dst.layout().is_empty() {
        blit::zero(dst);
        return Ok(());
    }
    let first = x.layout().index(axis as i32, 0)?;
    let stride = x.layout().strides()[axis];
    with_float!(dst.layout().dtype(), T => {
        let lies_side_by_side = stride == size_of::<T>() as i64;
        // SAFETY: elements of `x`, for which its place vouches; so below.
        let slice = unsafe { HostView::new(&first) };
        if lies_side_by_side {
            let Some(walk) = Walk::new::<T>(dst.layout(), &first, &first) else { return Ok(()) };
            let (to, from) = (address::<T>(dst), address::<T>(&slice));
            walk.runs(|at, run| {
                for i in 0..run.length as isize {
                    // SAFETY: the walk visits the elements of `dst`, and of `x` the first of each sum.
                    unsafe {
                        let total = add_up::<T>(from.offset(at[1] + i * run.x), length as usize);
                        to.offset(at[0] + i * run.dst).write(total);
                    }
                }
            });
            return Ok(());
        }
        blit::copy(dst, &slice)?;
        for index in 1..length {
            let layout = x.layout().index(axis as i32, index)?;
            // SAFETY: as above.
            let slice = unsafe { HostView::new(&layout) };
            map::<T>(dst, dst, &slice, Float::plus);
        }
    });
    Ok(())
}

/// The sum of `n` elements side by side.
///
/// # Safety
/// - `from` may be read for `n` elements.
unsafe fn add_up<T: Float>(from: *const T, n: usize) -> T {
    let mut lanes = [T::ZERO; BLOCK];
    let mut at = 0;
    while at + BLOCK <= n {
        // SAFETY: a block within the elements.
        let block = unsafe { from.add(at).cast::<[T; BLOCK]>().read() };
        lanes = core::array::from_fn(|i| lanes[i].plus(block[i]));
        at += BLOCK;
    }
    let mut total = lanes.into_iter().fold(T::ZERO, T::plus);
    for i in at..n {
        // SAFETY: within the elements.
        total = total.plus(unsafe { from.add(i).read() });
    }
    total
}
