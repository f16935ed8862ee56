//! Factors, triangular solves and products of matrices: faer's, in place on our buffers; of our own is what it lacks, the product with a
//! triangle in place. Compiled with the Cargo feature `linalg`.
//!
//! faer's factorisations are fast on columns that lie side by side. A row-major matrix is its transpose with such columns: Cholesky
//! brings the lower triangle to the other side first and back afterwards, LU factors the transpose and solves with that. Neither needs a
//! second matrix.

use super::diagonal::{Triangle, shape, zero_above};
use super::{Float, Pivot, Workspace, address, with_float};
use crate::blit::HostView;
use crate::layout::Layout;
use faer::dyn_stack::MemStack;
use faer::linalg::{cholesky::llt, lu::partial_pivoting, matmul as product, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};

/// Rows of a triangle that are worked on at once: so many that a product does most of the work, so few that they stay in the cache.
const ROWS: usize = 32;

/// Side of the squares in which a matrix is mirrored, in elements: one fits into the first cache beside the rows that it comes from.
const TILE: usize = 32;

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
