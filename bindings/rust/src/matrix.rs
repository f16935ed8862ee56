//! Matrices, and lazy expressions of them, which are computed once and overwrite operands that nobody else holds.
//!
//! | operand | belongs to | its bytes |
//! |---|---|---|
//! | by value, `m + ..` | the expression | may be overwritten, unless another handle holds them |
//! | by reference, `&m + ..` | its owner | are kept |
//!
//! Operators return a [`Lazy`] and no `Result`, so that a program reads as its formula. An expression has the first
//! error of its operators, with the line of that operator, and [`compute`](Operand::compute) returns it.

use crate::array::Array;
use crate::dynamic::query;
use crate::error::{Error, Refused, Result, check};
use crate::handle::{Handle, site};
use crate::promise::Promise;
use crate::{Element, sys};
use sealed::Node;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Add, Mul, Neg, Sub};
use std::panic::Location;
use std::ptr;

type Caller = &'static Location<'static>;
type Binary = unsafe extern "C" fn(*mut sys::tn_expr, *mut sys::tn_expr, *mut *mut sys::tn_expr) -> sys::tn_status;
type Unary = unsafe extern "C" fn(*mut sys::tn_expr, *mut *mut sys::tn_expr) -> sys::tn_status;

/// The elements of matrices: `f32` and `f64`.
pub trait Real: Element + Into<f64> {}
impl Real for f32 {}
impl Real for f64 {}

/// Which elements of a matrix its array has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Form {
    /// All elements.
    Full,
    /// Those of the diagonal, as a vector; the others are 0.
    Diagonal,
    /// All, but those above the diagonal count as 0 and are not read.
    Lower,
    /// All, but those below the diagonal count as 0 and are not read.
    Upper,
}

impl Form {
    fn from_raw(form: sys::tn_form) -> Form {
        match form {
            sys::TN_FORM_DIAGONAL => Form::Diagonal,
            sys::TN_FORM_LOWER => Form::Lower,
            sys::TN_FORM_UPPER => Form::Upper,
            _ => Form::Full,
        }
    }
}

/// A matrix: an array with a form, whose operators `+`, `-` and `*` are those of linear algebra, and lazy.
///
/// ```
/// use tenure_rs::{Array, Matrix, Operand, Result};
///
/// # fn main() -> Result<()> {
/// let m = Matrix::new(Array::from_vec(vec![4.0, 2.0, 2.0, 5.0], [2, 2])?)?;
/// let d = Matrix::diagonal(Array::zeros([2])?)?;
/// let l = (m + &d).cholesky(); // overwrites m, keeps d
/// assert_eq!((l * &Array::ones([2])?)?.to_vec()?, [2.0, 3.0]);
/// # Ok(())
/// # }
/// ```
pub struct Matrix<T> {
    array: Array<T>,
}

impl<T: Real> Matrix<T> {
    /// The matrix of an array with two axes. An array that has a form already keeps it.
    ///
    /// # Errors
    /// The array is in the error, as it was: [`Status::SHAPE`](crate::Status::SHAPE) for another number of axes.
    pub fn new(array: Array<T>) -> std::result::Result<Matrix<T>, Refused<Array<T>>> {
        match query(array.as_raw()) {
            Ok(info) if info.form == sys::TN_FORM_FULL => Matrix::with_form(array, sys::TN_FORM_MATRIX),
            Ok(_) => Ok(Matrix { array }),
            Err(error) => Err(Refused::new(error, array)),
        }
    }

    /// The matrix with the elements of a vector on its diagonal, and 0 elsewhere.
    ///
    /// # Errors
    /// As for [`new`](Matrix::new), if the array is not a vector.
    pub fn diagonal(vector: Array<T>) -> std::result::Result<Matrix<T>, Refused<Array<T>>> {
        Matrix::with_form(vector, sys::TN_FORM_DIAGONAL)
    }

    /// The lower triangle of a square array.
    ///
    /// # Errors
    /// As for [`new`](Matrix::new), if the array is not square.
    pub fn lower(array: Array<T>) -> std::result::Result<Matrix<T>, Refused<Array<T>>> {
        Matrix::with_form(array, sys::TN_FORM_LOWER)
    }

    /// The upper triangle of a square array.
    ///
    /// # Errors
    /// As for [`new`](Matrix::new), if the array is not square.
    pub fn upper(array: Array<T>) -> std::result::Result<Matrix<T>, Refused<Array<T>>> {
        Matrix::with_form(array, sys::TN_FORM_UPPER)
    }

    /// The identity matrix of `n` rows: a diagonal of `n` ones.
    #[track_caller]
    pub fn identity(n: usize) -> Result<Matrix<T>> {
        Ok(Matrix::diagonal(Array::ones([n])?)?)
    }

    fn with_form(array: Array<T>, form: sys::tn_form) -> std::result::Result<Matrix<T>, Refused<Array<T>>> {
        // SAFETY: a call on a handle.
        match check(unsafe { sys::tn_array_set_form(array.as_raw(), form) }) {
            Ok(()) => Ok(Matrix { array }),
            Err(error) => Err(Refused::new(error, array)),
        }
    }

    /// Number of rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        let shape = self.array.shape();
        [shape[0], shape[shape.len() - 1]]
    }

    /// Which elements the array has.
    pub fn form(&self) -> Result<Form> {
        Ok(Form::from_raw(query(self.array.as_raw())?.form))
    }

    /// The array: names, holders, guards. Of a diagonal matrix, the vector of its diagonal.
    pub fn as_array(&self) -> &Array<T> {
        &self.array
    }

    /// The array, whose handle keeps its form for [`new`](Matrix::new) and for other languages.
    pub fn into_array(self) -> Array<T> {
        self.array
    }

    /// Another handle on the same bytes, with the form of this one. While both exist, neither is overwritten.
    #[track_caller]
    pub fn try_clone(&self) -> Result<Matrix<T>> {
        Ok(Matrix { array: self.array.try_clone()? })
    }

    /// Gives the matrix away, as [`Array::give`]. Its form goes with it.
    ///
    /// # Errors
    /// The matrix is in the error, as it was.
    #[track_caller]
    pub fn give(self) -> std::result::Result<Promise<T>, Refused<Matrix<T>>> {
        self.array.give().map_err(|refused| Refused::new(refused.error, Matrix { array: refused.value }))
    }

    /// Takes the matrix of a promise.
    ///
    /// # Errors
    /// Those of [`Promise::take`], and [`Status::SHAPE`](crate::Status::SHAPE) for an array that is no matrix, which is
    /// released.
    #[track_caller]
    pub fn take(promise: Promise<T>) -> Result<Matrix<T>> {
        Ok(Matrix::new(promise.take()?)?)
    }
}

impl<T: Real> TryFrom<Array<T>> for Matrix<T> {
    type Error = Refused<Array<T>>;

    fn try_from(array: Array<T>) -> std::result::Result<Matrix<T>, Refused<Array<T>>> {
        Matrix::new(array)
    }
}

impl<T> From<Matrix<T>> for Array<T> {
    fn from(matrix: Matrix<T>) -> Array<T> {
        matrix.array
    }
}

impl<T: Real> fmt::Debug for Matrix<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = query(self.array.as_raw()).map(|info| Form::from_raw(info.form));
        f.debug_struct("Matrix").field("array", &self.array).field("form", &form).finish()
    }
}

/// An expression of matrices, which nothing has computed yet. One that is dropped costs nothing and frees its operands.
///
/// It holds its operands: meanwhile, a write to them is refused with
/// [`Status::IN_EXPRESSION`](crate::Status::IN_EXPRESSION).
///
/// An operand that does not fit makes an expression with an error, which [`compute`](Operand::compute) returns.
#[must_use = "an expression computes nothing until compute, or a product with an array"]
pub struct Lazy<T> {
    node: Result<Handle<sys::tn_expr>>,
    elements: PhantomData<T>,
}

impl<T: Real> Lazy<T> {
    /// What [`compute`](Operand::compute) would do now: for each operation which operand its result overwrites, or why
    /// none. Of an expression with an error, the error.
    pub fn explain(&self) -> String {
        self.try_explain().unwrap_or_else(|error| error.to_string())
    }

    fn try_explain(&self) -> Result<String> {
        let node = self.node.as_ref().map_err(Error::clone)?.get();
        let mut text = Vec::<u8>::new();
        loop {
            let mut length = 0;
            // SAFETY: room for as many bytes as the call is told, and a place for the length.
            check(unsafe {
                sys::tn_expr_explain(node, sys::TN_EXPLAIN_TEXT, text.len(), text.as_mut_ptr().cast(), &mut length)
            })?;
            if length < text.len() {
                text.truncate(length);
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            // Other threads may release operands, which changes the text.
            text.resize(length + 1, 0);
        }
    }

    fn new(node: Result<Handle<sys::tn_expr>>) -> Lazy<T> {
        Lazy { node, elements: PhantomData }
    }
}

impl<T: Real> From<Matrix<T>> for Lazy<T> {
    #[track_caller]
    fn from(matrix: Matrix<T>) -> Lazy<T> {
        Lazy::from(&matrix)
    }
}

impl<T: Real> From<&Matrix<T>> for Lazy<T> {
    #[track_caller]
    fn from(matrix: &Matrix<T>) -> Lazy<T> {
        Lazy::new(leaf(&matrix.array, sys::TN_FORM_OF_HANDLE, Location::caller()))
    }
}

impl<T> fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("error", &self.node.as_ref().err()).finish_non_exhaustive()
    }
}

mod sealed {
    use super::{Caller, Result, sys};

    /// What becomes a node of an expression: a matrix, an expression or an array, by value or by reference.
    pub trait Node<T> {
        /// Calls `work` with the node. Afterwards, only what `work` made has a claim on an operand that was passed by
        /// value.
        fn with<V>(self, caller: Caller, work: impl FnOnce(*mut sys::tn_expr) -> Result<V>) -> Result<V>;
    }
}

/// The expression that a C call makes. Its error names the line of the operator, because it is returned elsewhere.
fn make(caller: Caller, call: impl FnOnce(*mut *mut sys::tn_expr) -> sys::tn_status) -> Result<Handle<sys::tn_expr>> {
    let name_the_line = |error: Error| Error::new(error.status(), format!("{} (at {caller})", error.message()));
    Handle::make(call).map_err(name_the_line)
}

/// The leaf of an array, which reads its elements in this form.
fn leaf<T: Real>(array: &Array<T>, form: sys::tn_form, caller: Caller) -> Result<Handle<sys::tn_expr>> {
    site(caller);
    // SAFETY: a call on a handle, and a place for the expression.
    make(caller, |out| unsafe { sys::tn_expr_leaf(array.as_raw(), form, out) })
}

/// The expression of an operation with one operand.
fn unary<T: Real>(caller: Caller, x: impl Node<T>, operation: Unary) -> Lazy<T> {
    // SAFETY: a call on a handle, and a place for the expression.
    Lazy::new(x.with(caller, |x| make(caller, |out| unsafe { operation(x, out) })))
}

/// The expression of an operation with two operands.
fn binary<T: Real>(caller: Caller, x: impl Node<T>, y: impl Node<T>, operation: Binary) -> Lazy<T> {
    let node = x.with(caller, |x| {
        // SAFETY: a call on two handles, and a place for the expression.
        y.with(caller, |y| make(caller, |out| unsafe { operation(x, y, out) }))
    });
    Lazy::new(node)
}

/// The array of an expression's value.
fn computed<T: Real>(caller: Caller, x: impl Node<T>) -> Result<Array<T>> {
    x.with(caller, |x| {
        site(caller);
        // SAFETY: a call on a handle, and a place for the array.
        Array::made(|out| unsafe { sys::tn_expr_compute(x, 0, out) })
    })
}

unsafe extern "C" fn negate(x: *mut sys::tn_expr, out: *mut *mut sys::tn_expr) -> sys::tn_status {
    // SAFETY: a call on a handle with one operand, and the caller's place for the expression.
    unsafe { sys::tn_expr_elementwise(sys::TN_EXPR_NEGATE, x, ptr::null_mut(), out) }
}

impl<T: Real> Node<T> for &Matrix<T> {
    fn with<V>(self, caller: Caller, work: impl FnOnce(*mut sys::tn_expr) -> Result<V>) -> Result<V> {
        work(leaf(&self.array, sys::TN_FORM_OF_HANDLE, caller)?.get())
    }
}

impl<T: Real> Node<T> for Matrix<T> {
    fn with<V>(self, caller: Caller, work: impl FnOnce(*mut sys::tn_expr) -> Result<V>) -> Result<V> {
        (&self).with(caller, work)
    }
}

impl<T: Real> Node<T> for &Lazy<T> {
    fn with<V>(self, _: Caller, work: impl FnOnce(*mut sys::tn_expr) -> Result<V>) -> Result<V> {
        work(self.node.as_ref().map_err(Error::clone)?.get())
    }
}

impl<T: Real> Node<T> for Lazy<T> {
    fn with<V>(self, caller: Caller, work: impl FnOnce(*mut sys::tn_expr) -> Result<V>) -> Result<V> {
        (&self).with(caller, work)
    }
}

impl<T: Real> Node<T> for &Array<T> {
    fn with<V>(self, caller: Caller, work: impl FnOnce(*mut sys::tn_expr) -> Result<V>) -> Result<V> {
        work(leaf(self, sys::TN_FORM_OF_HANDLE, caller)?.get())
    }
}

impl<T: Real> Node<T> for Array<T> {
    fn with<V>(self, caller: Caller, work: impl FnOnce(*mut sys::tn_expr) -> Result<V>) -> Result<V> {
        (&self).with(caller, work)
    }
}

/// A part of LU factors ([`Operand::lu_part`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum LuPart {
    /// The permutation: a full matrix with one 1 in each row and column.
    P = sys::TN_LU_P,
    /// The lower triangle, with a diagonal of ones.
    L = sys::TN_LU_L,
    /// The upper triangle.
    U = sys::TN_LU_U,
}

/// An operand of an expression: [`Matrix`] or [`Lazy`]. By value it belongs to the result, which may overwrite it; by
/// reference it is kept: `m.cholesky()` and `(&m).cholesky()`.
pub trait Operand<T: Real>: Node<T> + Sized {
    /// The transpose: a view of the operand's bytes.
    #[track_caller]
    fn transpose(self) -> Lazy<T> {
        unary(Location::caller(), self, sys::tn_expr_transpose)
    }

    /// The lower Cholesky factor, of which only the lower triangle of the operand is read.
    #[track_caller]
    fn cholesky(self) -> Lazy<T> {
        unary(Location::caller(), self, sys::tn_expr_cholesky)
    }

    /// The LU factors, for several solutions: `let f = m.lu();`, then `(&f).solve(b)` for each b, which factors once.
    /// `&f * x` is the product with the matrix, `(&f).transpose()` has the factors of the transpose, and
    /// [`lu_part`](Operand::lu_part) shows them. Other operations and [`compute`](Operand::compute) are
    /// [`Status::UNSUPPORTED`](crate::Status::UNSUPPORTED). A diagonal or a triangle is its own factor.
    #[track_caller]
    fn lu(self) -> Lazy<T> {
        unary(Location::caller(), self, sys::tn_expr_lu)
    }

    /// A part of LU factors: the matrix is P * L * U. Of a matrix, the part of its factors.
    #[track_caller]
    fn lu_part(self, part: LuPart) -> Lazy<T> {
        let caller = Location::caller();
        // SAFETY: a call on a handle, and a place for the expression.
        let call = |x| make(caller, |out| unsafe { sys::tn_expr_lu_part(x, part as sys::tn_lu_part, out) });
        Lazy::new(self.with(caller, call))
    }

    /// The matrix with all its elements, also the zeros of its form.
    #[track_caller]
    fn dense(self) -> Lazy<T> {
        unary(Location::caller(), self, sys::tn_expr_dense)
    }

    /// The solution x of `self` * x = b. Of an array b it is computed at once and is a `Result<Array<T>>`, in the bytes
    /// of b if that was passed by value; of an operand it is lazy.
    #[track_caller]
    fn solve<B: RightSide<T>>(self, b: B) -> B::Value {
        let caller = Location::caller();
        B::value(binary(caller, self, b, sys::tn_expr_solve), caller)
    }

    /// The value, computed once: later expressions with a [`Lazy`] that was passed by reference use it again.
    ///
    /// # Errors
    /// The first error of an operator; [`Status::FAILED`](crate::Status::FAILED) if a pivot of `cholesky` is not
    /// positive or one of `lu` is 0; the statuses of missing memory. Operands that were passed by value are lost
    /// then.
    #[track_caller]
    fn compute(self) -> Result<Matrix<T>> {
        Ok(Matrix::new(computed(Location::caller(), self)?)?)
    }
}

/// The right side of a product or of [`solve`](Operand::solve). With another operand, the result is lazy. With an
/// array, which is a vector or several side by side, it is computed at once.
pub trait RightSide<T: Real>: Node<T> {
    /// `Lazy<T>` or `Result<Array<T>>`.
    type Value;
    #[doc(hidden)]
    fn value(expression: Lazy<T>, caller: Caller) -> Self::Value;
}

impl<T: Real> RightSide<T> for Array<T> {
    type Value = Result<Array<T>>;
    fn value(expression: Lazy<T>, caller: Caller) -> Result<Array<T>> {
        computed(caller, expression)
    }
}

impl<T: Real> RightSide<T> for &Array<T> {
    type Value = Result<Array<T>>;
    fn value(expression: Lazy<T>, caller: Caller) -> Result<Array<T>> {
        computed(caller, expression)
    }
}

macro_rules! operators {
    ($($x:ty)*) => {
        $(impl<T: Real> Operand<T> for $x {}

        impl<T: Real> RightSide<T> for $x {
            type Value = Lazy<T>;
            fn value(expression: Lazy<T>, _: Caller) -> Lazy<T> {
                expression
            }
        }

        impl<T: Real, Y: Operand<T>> Add<Y> for $x {
            type Output = Lazy<T>;
            #[track_caller]
            fn add(self, y: Y) -> Lazy<T> {
                binary(Location::caller(), self, y, sys::tn_expr_add)
            }
        }

        impl<T: Real, Y: Operand<T>> Sub<Y> for $x {
            type Output = Lazy<T>;
            #[track_caller]
            fn sub(self, y: Y) -> Lazy<T> {
                binary(Location::caller(), self, y, sys::tn_expr_subtract)
            }
        }

        impl<T: Real, Y: RightSide<T>> Mul<Y> for $x {
            type Output = Y::Value;
            #[track_caller]
            fn mul(self, y: Y) -> Y::Value {
                let caller = Location::caller();
                Y::value(binary(caller, self, y, sys::tn_expr_multiply), caller)
            }
        }

        impl<T: Real> Neg for $x {
            type Output = Lazy<T>;
            #[track_caller]
            fn neg(self) -> Lazy<T> {
                unary(Location::caller(), self, negate)
            }
        })*
    };
}

operators! { Matrix<T> &Matrix<T> Lazy<T> &Lazy<T> }

macro_rules! scalars {
    ($($t:ty: $($x:ty)*;)*) => {
        $($(impl Mul<$x> for $t {
            type Output = Lazy<$t>;
            #[track_caller]
            fn mul(self, x: $x) -> Lazy<$t> {
                let caller = Location::caller();
                Lazy::new(x.with(caller, |x| {
                    // SAFETY: a call on a handle, and a place for the expression.
                    make(caller, |out| unsafe { sys::tn_expr_scale(x, self.into(), out) })
                }))
            }
        }

        impl Mul<$t> for $x {
            type Output = Lazy<$t>;
            #[track_caller]
            fn mul(self, factor: $t) -> Lazy<$t> {
                factor * self
            }
        })*)*
    };
}

scalars! {
    f32: Matrix<f32> &Matrix<f32> Lazy<f32> &Lazy<f32>;
    f64: Matrix<f64> &Matrix<f64> Lazy<f64> &Lazy<f64>;
}
