//! Elementwise operations over any strides, and sums over an axis.
//!
//! Results are dense. A result may be an operand itself, with an equal layout: a block of elements is read completely
//! before it is written. So the loops vectorise without a test for that case.

use super::{Float, step, with_float};
use crate::blit::{self, HostView};
use crate::error::Result;
use crate::layout::Layout;
use crate::layout::loops::{Loops, Sources};
use crate::types::TN_MAX_NDIM;

/// An operation on two elements.
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

/// An operation on one element.
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

/// The number of elements that are read before the first of them is written.
const BLOCK: usize = 8;

/// A run along the innermost axis: the addresses of its first elements, their number, and the strides in elements.
#[derive(Clone, Copy)]
struct Run<T> {
    dst: *mut T,
    x: *const T,
    y: *const T,
    length: usize,
    steps: [isize; 3],
}

/// Calls `visit` with each run along the innermost axis of three layouts of one shape, in the order of the
/// destination's memory.
fn each_run<T>(dst: &Layout, x: &Layout, y: &Layout, mut visit: impl FnMut(Run<T>)) {
    assert!(dst.shape() == x.shape() && dst.shape() == y.shape(), "elements of different shapes");
    let mut loops = Loops::new();
    if !loops.set_sources(dst, [x, y]) {
        return;
    }
    let (length, steps, outer) = match loops.axes() {
        [inner, outer @ ..] => {
            (inner.length, [inner.dst, inner.src[0], inner.src[1]].map(|bytes| step::<T>(bytes as i64)), outer)
        }
        [] => (1, [0; 3], &[][..]),
    };
    let mut index = [0usize; TN_MAX_NDIM];
    let (mut dst, mut src) = (loops.dst, loops.src);
    loop {
        visit(Run {
            dst: core::ptr::with_exposed_provenance_mut(dst as usize),
            x: core::ptr::with_exposed_provenance(src[0] as usize),
            y: core::ptr::with_exposed_provenance(src[1] as usize),
            length,
            steps,
        });
        let mut carry = 0;
        loop {
            let Some(axis) = outer.get(carry) else { return };
            (dst, src) = (dst.wrapping_add(axis.dst), src.plus(axis.src));
            index[carry] += 1;
            if index[carry] < axis.length {
                break;
            }
            index[carry] = 0;
            let (back, sources_back) = axis.offsets(axis.length);
            (dst, src) = (dst.wrapping_sub(back), src.plus(sources_back.times(-1)));
            carry += 1;
        }
    }
}

/// dst = f(x, y). `dst` is dense, and shares no byte with an operand of another layout.
fn map<T: Float>(dst: &HostView, x: &HostView, y: &HostView, f: impl Fn(T, T) -> T + Copy) {
    // SAFETY: the runs are those of the three views, whose elements may be accessed.
    each_run(dst.layout(), x.layout(), y.layout(), |run| unsafe { map_run(run, f) });
}

/// dst = f(x, y) on one run.
///
/// # Safety
/// - The elements of the run may be written at `dst` and read at `x` and `y`; these are aligned.
unsafe fn map_run<T: Float>(run: Run<T>, f: impl Fn(T, T) -> T) {
    let Run { dst, x, y, length, steps } = run;
    let mut at = 0;
    if steps == [1; 3] {
        while at + BLOCK <= length {
            // SAFETY: a block within the run; arrays of T are aligned as T is.
            unsafe {
                let a = x.add(at).cast::<[T; BLOCK]>().read();
                let b = y.add(at).cast::<[T; BLOCK]>().read();
                let values: [T; BLOCK] = core::array::from_fn(|i| f(a[i], b[i]));
                dst.add(at).cast::<[T; BLOCK]>().write(values);
            }
            at += BLOCK;
        }
    }
    for i in at as isize..length as isize {
        // SAFETY: within the run.
        unsafe { dst.offset(i * steps[0]).write(f(x.offset(i * steps[1]).read(), y.offset(i * steps[2]).read())) };
    }
}

/// dst = x op y. `dst` may be `x` or `y` itself, or both, with an equal layout.
pub fn binary(op: Binary, dst: &HostView, x: &HostView, y: &HostView) {
    with_float!(dst.layout().dtype(), T => match op {
        Binary::Add => map::<T>(dst, x, y, Float::plus),
        Binary::Subtract => map::<T>(dst, x, y, Float::minus),
        Binary::Multiply => map::<T>(dst, x, y, Float::times),
        Binary::Divide => map::<T>(dst, x, y, Float::over),
    });
}

/// dst = op x. `dst` may be `x` itself, with an equal layout.
pub fn unary(op: Unary, dst: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => match op {
        Unary::Negate => map::<T>(dst, x, x, |x, _| x.negative()),
        Unary::Sqrt => map::<T>(dst, x, x, |x, _| x.root()),
        Unary::Exp => map::<T>(dst, x, x, |x, _| x.power_of_e()),
        Unary::Log => map::<T>(dst, x, x, |x, _| x.logarithm()),
    });
}

/// dst = factor * x, with the factor rounded to the element type. `dst` may be `x` itself, with an equal layout.
pub fn scale(factor: f64, dst: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => {
        let factor = T::of(factor);
        map::<T>(dst, x, x, |x, _| factor.times(x));
    });
}

/// `sum` over all axes.
pub const ALL_AXES: usize = usize::MAX;

/// dst = sum of x over an axis, or over all of them; an empty sum is 0. Adjacent elements of the axis are added in
/// several partial sums; otherwise slices are added one after the other. The two share no byte.
pub fn sum(dst: &HostView, x: &HostView, axis: usize) -> Result<()> {
    if axis == ALL_AXES {
        total(dst, x);
        return Ok(());
    }
    let length = x.layout().shape()[axis];
    if length == 0 || dst.layout().is_empty() {
        blit::zero(dst);
        return Ok(());
    }
    let first = x.layout().index(axis as i32, 0)?;
    let stride = x.layout().strides()[axis];
    with_float!(dst.layout().dtype(), T => {
        // The stride of one element means nothing, so one is copied in every layout. Added to 0, -0 would become 0.
        if stride == size_of::<T>() as i64 && length > 1 {
            each_run::<T>(dst.layout(), &first, &first, |run| {
                for i in 0..run.length as isize {
                    // SAFETY: the runs visit the elements of `dst`, and of `x` the first element of each sum.
                    unsafe {
                        let total = add_up::<T>(run.x.offset(i * run.steps[1]), length as usize);
                        run.dst.offset(i * run.steps[0]).write(total);
                    }
                }
            });
            return Ok(());
        }
        // SAFETY: elements of `x`, which may be read; so below.
        let slice = unsafe { HostView::new(&first) };
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

/// dst = the sum of all elements of x. `dst` has one element.
fn total(dst: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => {
        let mut total = T::ZERO;
        each_run::<T>(x.layout(), x.layout(), x.layout(), |run| {
            // SAFETY: the runs are those of `x`, whose elements may be read.
            let more = unsafe {
                match run.steps[1] {
                    1 => add_up::<T>(run.x, run.length),
                    step => (0..run.length as isize).fold(T::ZERO, |sum, i| sum.plus(run.x.offset(i * step).read())),
                }
            };
            total = total.plus(more);
        });
        each_run::<T>(dst.layout(), dst.layout(), dst.layout(), |run| {
            // SAFETY: the element of `dst`, which may be written.
            unsafe { run.dst.write(total) };
        });
    });
}

/// The sum of `n` adjacent elements.
///
/// # Safety
/// - `from` may be read for `n` elements.
unsafe fn add_up<T: Float>(from: *const T, n: usize) -> T {
    let mut sums = [T::ZERO; BLOCK];
    let mut at = 0;
    while at + BLOCK <= n {
        // SAFETY: a block within the elements.
        let block = unsafe { from.add(at).cast::<[T; BLOCK]>().read() };
        sums = core::array::from_fn(|i| sums[i].plus(block[i]));
        at += BLOCK;
    }
    let mut total = sums.into_iter().fold(T::ZERO, T::plus);
    for i in at..n {
        // SAFETY: within the elements.
        total = total.plus(unsafe { from.add(i).read() });
    }
    total
}
