//! Factorisations, triangular solves and products of matrices, by faer, in place. Large products are offered to
//! OpenBLAS (`openblas`) first. The product with a triangle in place, which faer does not have, is written here.
//! Compiled with the Cargo feature `linalg`.
//!
//! faer's factorisations are fast on column-major matrices. A row-major matrix is the transpose of a column-major one.
//! So Cholesky mirrors the lower triangle to the upper one first, and back afterwards. LU exchanges rows and columns
//! first, and leaves its factors column-major. Neither needs a second matrix.

use super::diagonal::{Triangle, shape, zero_above};
use super::{Factors, Float, Pivot, Workspace, address, openblas, with_float};
use crate::blit::HostView;
use crate::layout::Layout;
use faer::dyn_stack::MemStack;
use faer::linalg::{cholesky::llt, lu::partial_pivoting, matmul as product, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};

/// Rows of a triangle that are processed at once: enough that the product does most of the work, few enough to stay in
/// the cache.
const ROWS: usize = 32;

/// The side of the tiles in which a matrix is mirrored, in elements: a tile fits into the L1 cache together with its
/// source rows.
const TILE: usize = 32;

/// A view for reading.
///
/// # Safety
/// - The elements may be read while the result is used.
unsafe fn matrix_ref<'a, T: Float>(view: &HostView<'a>) -> MatRef<'a, T> {
    let (rows, columns, down, across) = shape::<T>(view.layout());
    // SAFETY: the caller's obligation; the shape and strides are those of the view.
    unsafe { MatRef::from_raw_parts(address::<T>(view).cast_const(), rows, columns, down, across) }
}

/// A view for writing.
///
/// # Safety
/// - The elements may be read and written while the result is used, and no other view of them is used meanwhile.
unsafe fn matrix_mut<'a, T: Float>(view: &HostView<'a>) -> MatMut<'a, T> {
    let (rows, columns, down, across) = shape::<T>(view.layout());
    // SAFETY: the caller's obligation; the shape and strides are those of the view.
    unsafe { MatMut::from_raw_parts_mut(address::<T>(view), rows, columns, down, across) }
}

/// Whether a square matrix is row-major and not column-major.
fn is_row_major(layout: &Layout) -> bool {
    layout.is_c() && !layout.is_f()
}

/// Replaces a symmetric matrix, given by its lower triangle, by its lower Cholesky factor. The elements above the
/// diagonal are not used, and 0 afterwards. After an error the contents are undefined.
pub fn cholesky(matrix: &HostView, workspace: &mut Workspace) -> Result<(), Pivot> {
    with_float!(matrix.layout().dtype(), T => cholesky_of::<T>(matrix, workspace))
}

fn cholesky_of<T: Float>(view: &HostView, workspace: &mut Workspace) -> Result<(), Pivot> {
    let row_major = is_row_major(view.layout());
    // SAFETY: the elements of the view may be accessed; one view is used at a time.
    let matrix = || unsafe { matrix_mut::<T>(view) };
    if row_major {
        mirror(matrix(), false);
    }
    let columns = if row_major { matrix().transpose_mut() } else { matrix() };
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
        mirror(matrix(), true);
    } else {
        zero_above(view, Triangle::Lower);
    }
    Ok(())
}

/// Mirrors the lower triangle of a square matrix in order C to the upper one; or back, leaving zeros above the
/// diagonal. It copies tile by tile through a small buffer, so that the matrix is read and written along its rows. The
/// elements of a column of a large matrix are on different pages and, if the side is a power of two, in few cache sets.
#[allow(clippy::needless_range_loop)] // i and j also name an element of the matrix
fn mirror<T: Float>(matrix: MatMut<'_, T>, back: bool) {
    let n = matrix.nrows();
    debug_assert!(n < 2 || matrix.col_stride() == 1, "in order C");
    let (start, down) = (matrix.as_ptr_mut(), matrix.row_stride());
    // SAFETY: elements within the matrix.
    let at = |i: usize, j: usize| unsafe { start.offset(i as isize * down + j as isize) };
    let mut tile = [[T::ZERO; TILE]; TILE];
    for rows in (0..n).step_by(TILE) {
        let height = TILE.min(n - rows);
        for columns in (0..=rows).step_by(TILE) {
            // A tile on the diagonal is its own mirror image: of its rows, only the elements below the diagonal are
            // moved.
            let width = |i: usize| if columns == rows { i } else { TILE };
            let first = |j: usize| if columns == rows { j + 1 } else { 0 };
            let across = if columns == rows { height } else { TILE };
            if back {
                for j in 0..across {
                    for i in first(j)..height {
                        let place = at(columns + j, rows + i);
                        // SAFETY: as above; the matrix is exclusive.
                        unsafe {
                            tile[i][j] = place.read();
                            place.write(T::ZERO);
                        }
                    }
                }
                for (i, row) in tile.iter().enumerate().take(height) {
                    // SAFETY: as above; a row of the tile has that many numbers.
                    unsafe { at(rows + i, columns).copy_from_nonoverlapping(row.as_ptr(), width(i)) };
                }
            } else {
                for i in 0..height {
                    for j in 0..width(i) {
                        // SAFETY: as above.
                        tile[j][i] = unsafe { at(rows + i, columns + j).read() };
                    }
                }
                for (j, row) in tile.iter().enumerate().take(across) {
                    let first = first(j);
                    if first < height {
                        let from = row[first..].as_ptr();
                        // SAFETY: as above; that many numbers are left in the row of the tile.
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
        if openblas::matmul::<T>(dst, m, x) {
            return;
        }
        // SAFETY: the elements of the views may be accessed, and the destination shares none.
        let (to, m, x) = unsafe { (matrix_mut::<T>(dst), matrix_ref::<T>(m), matrix_ref::<T>(x)) };
        product::matmul(to, Accum::Replace, m, x, T::of(1.0), Par::Seq);
    });
}

/// x = m * x with the triangle of `m`, in place. The two share no byte.
pub fn times_triangle(triangle: Triangle, m: &HostView, x: &HostView) {
    with_float!(x.layout().dtype(), T => {
        // SAFETY: the elements of the views may be accessed, and the views share none.
        let (m, x) = unsafe { (matrix_ref::<T>(m), matrix_mut::<T>(x)) };
        match triangle {
            Triangle::Lower => times_lower(m, x, false),
            // With rows and columns reversed, an upper triangle is a lower one.
            Triangle::Upper => times_lower(m.reverse_rows_and_cols(), x.reverse_rows_mut(), false),
        }
    });
}

/// x = x * m with the triangle of `m`, in place. The two share no byte.
pub fn times_triangle_from_right(triangle: Triangle, x: &HostView, m: &HostView) {
    with_float!(x.layout().dtype(), T => {
        // SAFETY: the elements of the views may be accessed, and the views share none.
        let (m, x) = unsafe { (matrix_ref::<T>(m), matrix_mut::<T>(x)) };
        // The transpose of the result is m' * x'.
        let (m, x) = (m.transpose(), x.transpose_mut());
        match triangle {
            Triangle::Upper => times_lower(m, x, false),
            Triangle::Lower => times_lower(m.reverse_rows_and_cols(), x.reverse_rows_mut(), false),
        }
    });
}

/// Goes from the last rows to the first: a row needs only rows above it, which are not yet overwritten. `unit`: the
/// diagonal counts as 1.
fn times_lower<T: Float>(m: MatRef<'_, T>, mut x: MatMut<'_, T>, unit: bool) {
    let n = m.nrows();
    let mut end = n;
    while end > 0 {
        let start = (end - 1) / ROWS * ROWS;
        let (above, rest) = x.rb_mut().split_at_row_mut(start);
        let mut rows = rest.subrows_mut(0, end - start);
        let tile = m.submatrix(start, start, end - start, end - start);
        for j in 0..rows.ncols() {
            for i in (0..end - start).rev() {
                let mut total = if unit { rows[(i, j)] } else { tile[(i, i)].times(rows[(i, j)]) };
                for k in 0..i {
                    total = total.plus(tile[(i, k)].times(rows[(k, j)]));
                }
                rows[(i, j)] = total;
            }
        }
        let left = m.submatrix(start, 0, end - start, start);
        product::matmul(rows, Accum::Add, left, above.rb(), T::of(1.0), Par::Seq);
        end = start;
    }
}

/// Solves m * x = b with the triangle of `m`. `x` contains b before and the solution afterwards. The two share no byte.
/// Division by zero gives inf.
pub fn solve_triangle(triangle: Triangle, m: &HostView, x: &HostView) {
    with_float!(x.layout().dtype(), T => {
        // SAFETY: the elements of the views may be accessed, and the views share none.
        let (m, x) = unsafe { (matrix_ref::<T>(m), matrix_mut::<T>(x)) };
        match triangle {
            Triangle::Lower => triangular_solve::solve_lower_triangular_in_place(m, x, Par::Seq),
            Triangle::Upper => triangular_solve::solve_upper_triangular_in_place(m, x, Par::Seq),
        }
    });
}

/// Replaces a square matrix by its LU factors with partial pivoting, and fills `rows` with the row of the matrix that
/// each row of the factors was. `rows` is empty, with room for them. If a pivot is 0 or NaN, the contents of both are
/// undefined afterwards. The factors are in order F: those of a row-major matrix are the transpose of its view.
pub fn lu(matrix: &HostView, rows: &mut Vec<usize>, workspace: &mut Workspace) -> Result<(), Pivot> {
    with_float!(matrix.layout().dtype(), T => lu_of::<T>(matrix, rows, workspace))
}

fn lu_of<T: Float>(view: &HostView, rows: &mut Vec<usize>, workspace: &mut Workspace) -> Result<(), Pivot> {
    // SAFETY: the elements of the view may be accessed.
    let mut matrix = unsafe { matrix_mut::<T>(view) };
    if is_row_major(view.layout()) {
        turn(matrix.rb_mut());
        matrix = matrix.transpose_mut();
    }
    let n = matrix.nrows();
    let (mut inverse, stack) = MemStack::new(workspace.bytes()).make_with(n, |_| 0usize);
    debug_assert!(rows.is_empty() && rows.capacity() >= n);
    rows.resize(n, 0);
    partial_pivoting::factor::lu_in_place(matrix.rb_mut(), rows, &mut inverse, Par::Seq, stack, Default::default());
    match (0..n).find(|i| is_no_pivot(matrix[(*i, *i)])) {
        Some(pivot) => Err(Pivot(pivot)),
        None => Ok(()),
    }
}

/// Exchanges the rows and columns of a square matrix, tile by tile, so that a tile and its mirror image stay in the
/// cache.
fn turn<T: Float>(mut matrix: MatMut<'_, T>) {
    let n = matrix.nrows();
    for rows in (0..n).step_by(TILE) {
        for columns in (0..=rows).step_by(TILE) {
            for i in rows..n.min(rows + TILE) {
                for j in columns..i.min(columns + TILE) {
                    let (below, above) = (matrix[(i, j)], matrix[(j, i)]);
                    matrix[(i, j)] = above;
                    matrix[(j, i)] = below;
                }
            }
        }
    }
}

impl Factors<'_, '_> {
    /// Both triangles in one matrix.
    ///
    /// # Safety
    /// - The elements may be read while the result is used.
    unsafe fn packed<T: Float>(&self) -> MatRef<'_, T> {
        debug_assert!(!is_row_major(self.packed.layout()));
        // SAFETY: the caller's obligation.
        unsafe { matrix_ref::<T>(self.packed) }
    }

    /// Moves row `rows[i]` of x to row i; or back.
    fn reorder<T: Float>(&self, mut x: MatMut<'_, T>, back: bool, workspace: &mut Workspace) {
        let (mut column, _) = MemStack::new(workspace.bytes()).make_with(self.rows.len(), |_| T::ZERO);
        for j in 0..x.ncols() {
            for (i, &row) in self.rows.iter().enumerate() {
                if back { column[row] = x[(i, j)] } else { column[i] = x[(row, j)] }
            }
            for i in 0..self.rows.len() {
                x[(i, j)] = column[i];
            }
        }
    }
}

/// Solves m * x = b with the factors of m. `x` contains b before and the solution afterwards. The two share no byte.
pub fn solve_factors(m: &Factors, x: &HostView, workspace: &mut Workspace) {
    with_float!(x.layout().dtype(), T => {
        // SAFETY: the elements of the views may be accessed, and the views share none.
        let (lu, mut x) = unsafe { (m.packed::<T>(), matrix_mut::<T>(x)) };
        if m.turned {
            let lu = lu.transpose();
            triangular_solve::solve_lower_triangular_in_place(lu, x.rb_mut(), Par::Seq);
            triangular_solve::solve_unit_upper_triangular_in_place(lu, x.rb_mut(), Par::Seq);
            m.reorder(x, true, workspace);
        } else {
            m.reorder(x.rb_mut(), false, workspace);
            triangular_solve::solve_unit_lower_triangular_in_place(lu, x.rb_mut(), Par::Seq);
            triangular_solve::solve_upper_triangular_in_place(lu, x, Par::Seq);
        }
    });
}

/// x = m * x with the factors of m, in place. The two share no byte.
pub fn times_factors(m: &Factors, x: &HostView, workspace: &mut Workspace) {
    with_float!(x.layout().dtype(), T => {
        // SAFETY: the elements of the views may be accessed, and the views share none.
        let (lu, mut x) = unsafe { (m.packed::<T>(), matrix_mut::<T>(x)) };
        if m.turned {
            let lu = lu.transpose();
            m.reorder(x.rb_mut(), false, workspace);
            times_lower(lu.reverse_rows_and_cols(), x.rb_mut().reverse_rows_mut(), true);
            times_lower(lu, x, false);
        } else {
            times_lower(lu.reverse_rows_and_cols(), x.rb_mut().reverse_rows_mut(), false);
            times_lower(lu, x.rb_mut(), true);
            m.reorder(x, true, workspace);
        }
    });
}

fn is_no_pivot<T: Float>(value: T) -> bool {
    value == T::ZERO || value.partial_cmp(&value).is_none()
}

impl Workspace {
    /// The bytes, in the form that faer takes.
    fn bytes(&mut self) -> &mut [core::mem::MaybeUninit<u8>] {
        // SAFETY: the scratch has that many bytes, which this workspace alone uses; they may be uninitialised.
        unsafe { core::slice::from_raw_parts_mut(self.scratch.address().cast(), self.bytes) }
    }
}
