//! Operations with diagonals and triangles. They need no other crate.

use super::{Float, Pivot, address, step, with_float};
use crate::blit::{self, HostView};
use crate::layout::{Form, Layout};

/// The part of a matrix that is read. The rest counts as 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Triangle {
    /// The diagonal and the elements below it.
    Lower,
    /// The diagonal and the elements above it.
    Upper,
}

/// Whether a diagonal is added or subtracted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// m + d
    Plus,
    /// m - d
    Minus,
}

/// Rows, columns and their strides in elements. A vector is a matrix of one column. faer's choice of loops depends even
/// on the stride of an axis of one element, which has no meaning. So that stride is set to that of a dense matrix, and
/// equal layouts give equal bits.
pub(super) fn shape<T>(layout: &Layout) -> (usize, usize, isize, isize) {
    let (rows, columns, down, across) = match (layout.shape(), layout.strides()) {
        (&[n], &[stride]) => (n as usize, 1, stride, 0),
        (&[rows, columns], &[down, across]) => (rows as usize, columns as usize, down, across),
        _ => unreachable!("a matrix or a vector"),
    };
    let down = if rows > 1 { step::<T>(down) } else { columns.max(1) as isize };
    let across = if columns > 1 { step::<T>(across) } else { rows.max(1) as isize };
    (rows, columns, down, across)
}

/// Adds a diagonal to a matrix, or subtracts it, in place.
pub fn add_diagonal(side: Side, dst: &HostView, diagonal: &HostView) {
    with_float!(dst.layout().dtype(), T => {
        let (n, _, down, across) = shape::<T>(dst.layout());
        let (_, _, step, _) = shape::<T>(diagonal.layout());
        let (to, from) = (address::<T>(dst), address::<T>(diagonal));
        for i in 0..n as isize {
            // SAFETY: element (i, i) of the matrix and i of the vector, within the views.
            unsafe {
                let (at, value) = (to.offset(i * (down + across)), from.offset(i * step).read());
                at.write(if side == Side::Plus { at.read().plus(value) } else { at.read().minus(value) });
            }
        }
    });
}

/// Combines each row, or each column, of a matrix or vector with its number of the diagonal.
fn by_diagonal<T: Float>(dst: &HostView, diagonal: &HostView, x: &HostView, by_column: bool, f: impl Fn(T, T) -> T) {
    let (rows, columns, down, across) = shape::<T>(dst.layout());
    let (_, _, x_down, x_across) = shape::<T>(x.layout());
    let (_, _, d_step, _) = shape::<T>(diagonal.layout());
    let (to, from, numbers) = (address::<T>(dst), address::<T>(x), address::<T>(diagonal));
    // The inner loop follows the destination's smaller stride.
    let column_inside = across.unsigned_abs() <= down.unsigned_abs();
    let (outer, inner) = if column_inside { (rows, columns) } else { (columns, rows) };
    for a in 0..outer as isize {
        for b in 0..inner as isize {
            let (i, j) = if column_inside { (a, b) } else { (b, a) };
            // SAFETY: elements (i, j) of both, and one of the diagonal, within the views.
            unsafe {
                let number = numbers.offset(if by_column { j } else { i } * d_step).read();
                let value = from.offset(i * x_down + j * x_across).read();
                to.offset(i * down + j * across).write(f(number, value));
            }
        }
    }
}

/// dst = diagonal * x: multiplies every row by its number. `dst` may be `x` itself, with an equal layout.
pub fn scale_rows(dst: &HostView, diagonal: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => by_diagonal::<T>(dst, diagonal, x, false, |d, x| d.times(x)));
}

/// dst = x * diagonal: multiplies every column by its number. `dst` may be `x` itself, with an equal layout.
pub fn scale_columns(dst: &HostView, diagonal: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => by_diagonal::<T>(dst, diagonal, x, true, |d, x| d.times(x)));
}

/// dst = inverse of the diagonal * x: divides every row by its number. `dst` may be `x` itself, with an equal layout.
pub fn divide_rows(dst: &HostView, diagonal: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => by_diagonal::<T>(dst, diagonal, x, false, |d, x| x.over(d)));
}

/// Whether a matrix of this form has the element (i, j).
fn has(form: Form, i: usize, j: usize) -> bool {
    match form {
        Form::Full | Form::Matrix | Form::Factors | Form::TurnedFactors => true,
        Form::Diagonal => i == j,
        Form::Lower => i >= j,
        Form::Upper => i <= j,
    }
}

/// dst = x + y or x - y, of full matrices and triangles. Elements outside of a triangle count as 0 and are not read.
/// `dst` may be an operand itself, with an equal layout.
pub fn combine(side: Side, dst: &HostView, (x, x_form): (&HostView, Form), (y, y_form): (&HostView, Form)) {
    with_float!(dst.layout().dtype(), T => {
        let (rows, columns, down, across) = shape::<T>(dst.layout());
        let (_, _, x_down, x_across) = shape::<T>(x.layout());
        let (_, _, y_down, y_across) = shape::<T>(y.layout());
        let (to, x, y) = (address::<T>(dst), address::<T>(x), address::<T>(y));
        // The inner loop follows the destination's smaller stride.
        let column_inside = across.unsigned_abs() <= down.unsigned_abs();
        let (outer, inner) = if column_inside { (rows, columns) } else { (columns, rows) };
        for a in 0..outer {
            for b in 0..inner {
                let (i, j) = if column_inside { (a, b) } else { (b, a) };
                let at = |down: isize, across: isize| i as isize * down + j as isize * across;
                // SAFETY: element (i, j) of each matrix, within the views.
                unsafe {
                    let left = if has(x_form, i, j) { x.offset(at(x_down, x_across)).read() } else { T::ZERO };
                    let right = if has(y_form, i, j) { y.offset(at(y_down, y_across)).read() } else { T::ZERO };
                    let value = if side == Side::Plus { left.plus(right) } else { left.minus(right) };
                    to.offset(at(down, across)).write(value);
                }
            }
        }
    });
}

/// The stride of the diagonal of a matrix; of a vector, which is a diagonal, its own.
fn diagonal_step<T>(view: &HostView) -> isize {
    let (_, _, down, across) = shape::<T>(view.layout());
    if view.layout().ndim() == 1 { down } else { down + across }
}

/// dst = x * y, element by element along the diagonals of both. A vector is a diagonal. `dst` may be an operand itself.
pub fn times_diagonals(dst: &HostView, x: &HostView, y: &HostView) {
    with_float!(dst.layout().dtype(), T => {
        let (n, ..) = shape::<T>(dst.layout());
        let steps = [dst, x, y].map(diagonal_step::<T>);
        let (to, x, y) = (address::<T>(dst), address::<T>(x), address::<T>(y));
        for i in 0..n as isize {
            // SAFETY: element i of each diagonal, within the views.
            unsafe { to.offset(i * steps[0]).write(x.offset(i * steps[1]).read().times(y.offset(i * steps[2]).read())) };
        }
    });
}

/// Writes a diagonal matrix with all its zeros. `dst` shares no byte with the diagonal.
pub fn write_diagonal(dst: &HostView, diagonal: &HostView) {
    blit::zero(dst);
    with_float!(dst.layout().dtype(), T => {
        let (n, ..) = shape::<T>(diagonal.layout());
        let (step, from_step) = (diagonal_step::<T>(dst), diagonal_step::<T>(diagonal));
        let (to, from) = (address::<T>(dst), address::<T>(diagonal));
        for i in 0..n as isize {
            // SAFETY: element (i, i) of the matrix and i of the vector, within the views.
            unsafe { to.offset(i * step).write(from.offset(i * from_step).read()) };
        }
    });
}

/// Sets the diagonal of a matrix, or all numbers of a vector, to 1.
pub fn set_diagonal(dst: &HostView) {
    with_float!(dst.layout().dtype(), T => {
        let ((n, ..), step) = (shape::<T>(dst.layout()), diagonal_step::<T>(dst));
        let to = address::<T>(dst);
        // SAFETY: element (i, i) of the matrix or i of the vector, within the view.
        (0..n as isize).for_each(|i| unsafe { to.offset(i * step).write(T::of(1.0)) });
    });
}

/// Writes the permutation that moves row i to row `rows[i]`.
pub fn write_permutation(dst: &HostView, rows: &[usize]) {
    blit::zero(dst);
    with_float!(dst.layout().dtype(), T => {
        let (n, _, down, across) = shape::<T>(dst.layout());
        debug_assert!(rows.len() == n && rows.iter().all(|row| *row < n));
        let to = address::<T>(dst);
        for (i, &row) in rows.iter().enumerate() {
            // SAFETY: element (rows[i], i) of the n x n matrix, within the view.
            unsafe { to.offset(row as isize * down + i as isize * across).write(T::of(1.0)) };
        }
    });
}

/// Sets the elements strictly above the diagonal to 0; of an upper triangle, those below it.
pub fn zero_above(dst: &HostView, triangle: Triangle) {
    with_float!(dst.layout().dtype(), T => {
        let (n, _, down, across) = shape::<T>(dst.layout());
        let (down, across) = if triangle == Triangle::Upper { (across, down) } else { (down, across) };
        let to = address::<T>(dst);
        // SAFETY: element (i, j) of the matrix, within the view.
        let clear = |i: usize, j: usize| unsafe { to.offset(i as isize * down + j as isize * across).write(T::ZERO) };
        // By columns or by rows, whichever are adjacent in memory.
        if down.unsigned_abs() <= across.unsigned_abs() {
            (1..n).for_each(|j| (0..j).for_each(|i| clear(i, j)));
        } else {
            (0..n).for_each(|i| (i + 1..n).for_each(|j| clear(i, j)));
        }
    });
}

/// Checks that all numbers of a vector are positive and finite: the pivots of a diagonal matrix, as the factorisation
/// of a full one requires them.
pub fn check_pivots(diagonal: &HostView) -> Result<(), Pivot> {
    with_float!(diagonal.layout().dtype(), T => {
        let (n, _, step, _) = shape::<T>(diagonal.layout());
        let from = address::<T>(diagonal);
        // SAFETY: elements of the vector, within the view.
        let value = |i: usize| unsafe { from.offset(i as isize * step).read() };
        (0..n).find(|i| !(value(*i) > T::ZERO && value(*i) < T::INFINITY)).map_or(Ok(()), |pivot| Err(Pivot(pivot)))
    })
}
