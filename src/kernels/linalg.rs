//! Matrices: diagonals, triangles, factors, products. Factors, triangular solves and products are faer's, in place on our buffers; of
//! our own is what it lacks: the product with a triangle in place, and what diagonals do.
//!
//! faer's factorisations are fast on columns that lie side by side. A row-major matrix is its transpose with such columns: Cholesky
//! brings the lower triangle to the other side first and back afterwards, LU factors the transpose and solves with that. Neither needs a
//! second matrix.

use super::{Float, Pivot, Workspace, address, step, with_float};
use crate::blit::HostView;
use crate::layout::Layout;
use faer::dyn_stack::MemStack;
use faer::linalg::{cholesky::llt, lu::partial_pivoting, matmul as product, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};

/// Which part of a matrix counts; the rest is taken as 0 and not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Triangle {
    /// The diagonal and what is below it.
    Lower,
    /// The diagonal and what is above it.
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

/// Rows of a triangle that are worked on at once: so many that a product does most of the work, so few that they stay in the cache.
const ROWS: usize = 32;

/// Side of the squares in which a matrix is mirrored, in elements: one fits into the first cache beside the rows that it comes from.
const TILE: usize = 32;

/// Rows, columns, strides in elements; a vector is a matrix of one column. The stride of an axis of one element means nothing, and faer
/// looks at it when it chooses its loops: it is what it would be in a dense matrix, so that equal layouts get equal bits.
fn shape<T>(layout: &Layout) -> (usize, usize, isize, isize) {
    let (rows, columns, down, across) = match (layout.shape(), layout.strides()) {
        (&[n], &[stride]) => (n as usize, 1, stride, 0),
        (&[rows, columns], &[down, across]) => (rows as usize, columns as usize, down, across),
        _ => unreachable!("a matrix or a vector"),
    };
    let down = if rows > 1 { step::<T>(down) } else { columns.max(1) as isize };
    let across = if columns > 1 { step::<T>(across) } else { rows.max(1) as isize };
    (rows, columns, down, across)
}

/// What is read.
///
/// # Safety
/// - The place vouches for its elements as long as the view is used.
unsafe fn reading<'a, T: Float>(place: &HostView<'a>) -> MatRef<'a, T> {
    let (rows, columns, down, across) = shape::<T>(place.layout());
    // SAFETY: the place vouches for the elements of its layout.
    unsafe { MatRef::from_raw_parts(address::<T>(place).cast_const(), rows, columns, down, across) }
}

/// What is written.
///
/// # Safety
/// - As for `reading`, also for writing; no other view of the elements is used meanwhile.
unsafe fn writing<'a, T: Float>(place: &HostView<'a>) -> MatMut<'a, T> {
    let (rows, columns, down, across) = shape::<T>(place.layout());
    // SAFETY: the place vouches for the elements of its layout.
    unsafe { MatMut::from_raw_parts_mut(address::<T>(place), rows, columns, down, across) }
}

/// Whether the rows of a square matrix lie side by side, and its columns do not.
fn is_row_major(layout: &Layout) -> bool {
    layout.is_c() && !layout.is_f()
}

/// Adds a diagonal to a matrix, or subtracts it, in place.
pub fn add_diagonal(side: Side, dst: &HostView, diagonal: &HostView) {
    with_float!(dst.layout().dtype(), T => {
        let (n, _, down, across) = shape::<T>(dst.layout());
        let (_, _, step, _) = shape::<T>(diagonal.layout());
        let (to, from) = (address::<T>(dst), address::<T>(diagonal));
        for i in 0..n as isize {
            // SAFETY: element (i, i) of the matrix and i of the vector, for which the places vouch.
            unsafe {
                let (at, value) = (to.offset(i * (down + across)), from.offset(i * step).read());
                at.write(if side == Side::Plus { at.read().plus(value) } else { at.read().minus(value) });
            }
        }
    });
}

/// Combines each row, or each column, of a matrix or vector with its number of a diagonal.
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
            // SAFETY: elements (i, j) of both, and one of the diagonal, for which the places vouch.
            unsafe {
                let number = numbers.offset(if by_column { j } else { i } * d_step).read();
                let value = from.offset(i * x_down + j * x_across).read();
                to.offset(i * down + j * across).write(f(number, value));
            }
        }
    }
}

/// dst = diagonal * x: every row times its number. The result may lie on `x` where the layout is the same.
pub fn scale_rows(dst: &HostView, diagonal: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => by_diagonal::<T>(dst, diagonal, x, false, |d, x| d.times(x)));
}

/// dst = x * diagonal: every column times its number. The result may lie on `x` where the layout is the same.
pub fn scale_columns(dst: &HostView, diagonal: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => by_diagonal::<T>(dst, diagonal, x, true, |d, x| d.times(x)));
}

/// dst = inverse of the diagonal * x: every row divided by its number. The result may lie on `x` where the layout is the same.
pub fn divide_rows(dst: &HostView, diagonal: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => by_diagonal::<T>(dst, diagonal, x, false, |d, x| x.over(d)));
}

/// Sets what is strictly above the diagonal (of an upper triangle: below it) to 0.
pub fn zero_above(dst: &HostView, triangle: Triangle) {
    with_float!(dst.layout().dtype(), T => {
        // SAFETY: the place vouches for its elements.
        let matrix = unsafe { writing::<T>(dst) };
        let mut matrix = if triangle == Triangle::Upper { matrix.transpose_mut() } else { matrix };
        let n = matrix.nrows();
        // By columns or by rows, whichever lie side by side.
        if matrix.row_stride().unsigned_abs() <= matrix.col_stride().unsigned_abs() {
            for j in 1..n {
                for i in 0..j {
                    matrix[(i, j)] = T::NOUGHT;
                }
            }
        } else {
            for i in 0..n {
                for j in i + 1..n {
                    matrix[(i, j)] = T::NOUGHT;
                }
            }
        }
    });
}

/// Whether all numbers of a vector are positive: the pivots of a diagonal matrix.
pub fn all_positive(diagonal: &HostView) -> Result<(), Pivot> {
    with_float!(diagonal.layout().dtype(), T => {
        let (n, _, step, _) = shape::<T>(diagonal.layout());
        let from = address::<T>(diagonal);
        // SAFETY: elements of the vector, for which the place vouches.
        let positive = |i: usize| unsafe { from.offset(i as isize * step).read() > T::NOUGHT };
        (0..n).find(|i| !positive(*i)).map_or(Ok(()), |pivot| Err(Pivot(pivot)))
    })
}

/// The lower Cholesky factor of the matrix whose lower triangle is in `matrix`, in place; what is above the diagonal is 0 afterwards.
/// What is above it before is not looked at. With a pivot that is not positive the contents are undefined.
pub fn cholesky(matrix: &HostView, workspace: &mut Workspace) -> Result<(), Pivot> {
    with_float!(matrix.layout().dtype(), T => cholesky_of::<T>(matrix, workspace))
}

fn cholesky_of<T: Float>(place: &HostView, workspace: &mut Workspace) -> Result<(), Pivot> {
    let row_major = is_row_major(place.layout());
    // SAFETY: the place vouches for its elements; one view at a time is used.
    let view = || unsafe { writing::<T>(place) };
    if row_major {
        mirror(view(), false);
    }
    let columns = if row_major { view().transpose_mut() } else { view() };
    let done = llt::factor::cholesky_in_place(
        columns,
        Default::default(),
        Par::Seq,
        MemStack::new(workspace.bytes()),
        Default::default(),
    );
    if let Err(llt::factor::LltError::NonPositivePivot { index }) = done {
        return Err(Pivot(index));
    }
    if row_major {
        mirror(view(), true);
    } else {
        zero_above(place, Triangle::Lower);
    }
    Ok(())
}

/// Brings the lower triangle of a square matrix in order C to the upper one; or back, and leaves zeros above the diagonal. Square by square
/// through a small one, so that the matrix is read and written along its rows: columns of a large matrix lie on a page each, and of a side
/// that is a power of two in a few sets of the cache.
#[allow(clippy::needless_range_loop)] // i and j also name an element of the matrix
fn mirror<T: Float>(matrix: MatMut<'_, T>, back: bool) {
    let n = matrix.nrows();
    debug_assert!(n < 2 || matrix.col_stride() == 1, "in order C");
    let (start, down) = (matrix.as_ptr_mut(), matrix.row_stride());
    // SAFETY: elements of a matrix that is ours.
    let at = |i: usize, j: usize| unsafe { start.offset(i as isize * down + j as isize) };
    let mut square = [[T::NOUGHT; TILE]; TILE];
    for rows in (0..n).step_by(TILE) {
        let height = TILE.min(n - rows);
        for columns in (0..=rows).step_by(TILE) {
            // The square on the diagonal is its own mirror image: of a row of it what lies below the diagonal is taken.
            let width = |i: usize| if columns == rows { i } else { TILE };
            let first = |j: usize| if columns == rows { j + 1 } else { 0 };
            let across = if columns == rows { height } else { TILE };
            if back {
                for j in 0..across {
                    for i in first(j)..height {
                        let place = at(columns + j, rows + i);
                        // SAFETY: as above; nobody else uses it meanwhile.
                        unsafe {
                            square[i][j] = place.read();
                            place.write(T::NOUGHT);
                        }
                    }
                }
                for (i, row) in square.iter().enumerate().take(height) {
                    // SAFETY: as above; a row of the square has that many numbers.
                    unsafe { at(rows + i, columns).copy_from_nonoverlapping(row.as_ptr(), width(i)) };
                }
            } else {
                for i in 0..height {
                    for j in 0..width(i) {
                        // SAFETY: as above.
                        square[j][i] = unsafe { at(rows + i, columns + j).read() };
                    }
                }
                for (j, row) in square.iter().enumerate().take(across) {
                    let first = first(j);
                    if first < height {
                        let from = row[first..].as_ptr();
                        // SAFETY: as above; so many numbers are left of the row of the square.
                        unsafe { at(columns + j, rows + first).copy_from_nonoverlapping(from, height - first) };
                    }
                }
            }
        }
    }
}

/// dst = m * x. `dst` shares no byte with either.
pub fn matmul(dst: &HostView, m: &HostView, x: &HostView) {
    with_float!(dst.layout().dtype(), T => {
        // SAFETY: the places vouch for their elements, and the destination is apart.
        let (to, m, x) = unsafe { (writing::<T>(dst), reading::<T>(m), reading::<T>(x)) };
        product::matmul(to, Accum::Replace, m, x, T::of(1.0), Par::Seq);
    });
}

/// x = m * x with the triangle of `m`, in place. The two share no byte.
pub fn times_triangle(triangle: Triangle, m: &HostView, x: &HostView) {
    with_float!(x.layout().dtype(), T => {
        // SAFETY: the places vouch for their elements, and are apart.
        let (m, x) = unsafe { (reading::<T>(m), writing::<T>(x)) };
        match triangle {
            Triangle::Lower => times_lower(m, x),
            // Both turned around, an upper triangle is a lower one.
            Triangle::Upper => times_lower(m.reverse_rows_and_cols(), x.reverse_rows_mut()),
        }
    });
}

/// From the last rows to the first: what a row needs is above it, and not overwritten yet.
fn times_lower<T: Float>(m: MatRef<'_, T>, mut x: MatMut<'_, T>) {
    let n = m.nrows();
    let mut end = n;
    while end > 0 {
        let start = (end - 1) / ROWS * ROWS;
        let (above, rest) = x.rb_mut().split_at_row_mut(start);
        let mut rows = rest.subrows_mut(0, end - start);
        let square = m.submatrix(start, start, end - start, end - start);
        for j in 0..rows.ncols() {
            for i in (0..end - start).rev() {
                let mut total = square[(i, i)].times(rows[(i, j)]);
                for k in 0..i {
                    total = total.plus(square[(i, k)].times(rows[(k, j)]));
                }
                rows[(i, j)] = total;
            }
        }
        let left = m.submatrix(start, 0, end - start, start);
        product::matmul(rows, Accum::Add, left, above.rb(), T::of(1.0), Par::Seq);
        end = start;
    }
}

/// Solves m * x = b with the triangle of `m`; `x` is b before and x afterwards. The two share no byte. Division by zero gives inf.
pub fn solve_triangle(triangle: Triangle, m: &HostView, x: &HostView) {
    with_float!(x.layout().dtype(), T => {
        // SAFETY: the places vouch for their elements, and are apart.
        let (m, x) = unsafe { (reading::<T>(m), writing::<T>(x)) };
        match triangle {
            Triangle::Lower => triangular_solve::solve_lower_triangular_in_place(m, x, Par::Seq),
            Triangle::Upper => triangular_solve::solve_upper_triangular_in_place(m, x, Par::Seq),
        }
    });
}

/// Solves m * x = b by LU with partial pivoting; `m` is destroyed, `x` is b before and x afterwards. The two share no byte. With a pivot
/// that is 0 or NaN `x` is as it was. The pivots of a row-major matrix are those of its transpose.
pub fn lu_solve(m: &HostView, x: &HostView, workspace: &mut Workspace) -> Result<(), Pivot> {
    with_float!(x.layout().dtype(), T => lu_solve_of::<T>(m, x, workspace))
}

fn lu_solve_of<T: Float>(m: &HostView, x: &HostView, workspace: &mut Workspace) -> Result<(), Pivot> {
    let transposed = is_row_major(m.layout());
    // SAFETY: the places vouch for their elements, and are apart.
    let (matrix, mut x) = unsafe { (writing::<T>(m), writing::<T>(x)) };
    let mut matrix = if transposed { matrix.transpose_mut() } else { matrix };
    let n = matrix.nrows();
    let stack = MemStack::new(workspace.bytes());
    let (mut forward, stack) = stack.make_with(n, |_| 0usize);
    let (mut backward, stack) = stack.make_with(n, |_| 0usize);
    let forward: &mut [usize] = &mut forward;
    partial_pivoting::factor::lu_in_place(matrix.rb_mut(), forward, &mut backward, Par::Seq, stack, Default::default());
    let lu = matrix.rb();
    if let Some(pivot) = (0..n).find(|i| is_no_pivot(lu[(*i, *i)])) {
        return Err(Pivot(pivot));
    }
    let (mut column, _) = stack.make_with(n, |_| T::NOUGHT);
    // Rows of `x` in the order of the pivots, or back.
    let mut reorder = |x: &mut MatMut<'_, T>, gather: bool| {
        for j in 0..x.ncols() {
            for (i, &p) in forward.iter().enumerate() {
                if gather { column[i] = x[(p, j)] } else { column[p] = x[(i, j)] }
            }
            for i in 0..n {
                x[(i, j)] = column[i];
            }
        }
    };
    if transposed {
        // The transpose is P' L U, so the matrix is U' L' P.
        triangular_solve::solve_lower_triangular_in_place(lu.transpose(), x.rb_mut(), Par::Seq);
        triangular_solve::solve_unit_upper_triangular_in_place(lu.transpose(), x.rb_mut(), Par::Seq);
        reorder(&mut x, false);
    } else {
        reorder(&mut x, true);
        triangular_solve::solve_unit_lower_triangular_in_place(lu, x.rb_mut(), Par::Seq);
        triangular_solve::solve_upper_triangular_in_place(lu, x.rb_mut(), Par::Seq);
    }
    Ok(())
}

fn is_no_pivot<T: Float>(value: T) -> bool {
    value == T::NOUGHT || value.partial_cmp(&value).is_none()
}

impl Workspace {
    /// The bytes, as faer takes them.
    fn bytes(&mut self) -> &mut [core::mem::MaybeUninit<u8>] {
        // SAFETY: as many bytes as the scratch has, which nobody else uses; they may be undefined.
        unsafe { core::slice::from_raw_parts_mut(self.scratch.address().cast(), self.bytes) }
    }
}
