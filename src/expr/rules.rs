//! The rules of expressions: the result of each operation, and when an operand may be overwritten by it.

use super::node::{Shape, shape_of};
use crate::dtype::Dtype;
use crate::error::{Result, fail};
use crate::kernels;
use crate::layout::{Form, Tuple};
use crate::ledger::{Claim, Locked, Operation, ledger_of_claim};
use crate::types::*;

/// The properties of a node that the rules use.
#[derive(Clone, Copy)]
pub struct Kind<'a> {
    pub(crate) form: Form,
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [i64],
}

impl Kind<'_> {
    /// Rows and columns of a matrix; None for other shapes.
    fn matrix(&self) -> Option<(i64, i64)> {
        match (self.form, self.shape) {
            (Form::Diagonal, &[n]) => Some((n, n)),
            (_, &[rows, columns]) => Some((rows, columns)),
            _ => None,
        }
    }

    /// The shape of all its elements.
    pub(crate) fn dense_shape(&self) -> Result<Shape> {
        match self.matrix() {
            Some((rows, columns)) => shape_of(&[rows, columns]),
            None => shape_of(self.shape),
        }
    }

    fn vector(&self) -> Option<i64> {
        match (self.form, self.shape) {
            (Form::Full, &[n]) => Some(n),
            _ => None,
        }
    }
}

fn mismatch(operation: Operation, x: Kind<'_>, y: Kind<'_>) -> crate::error::Status {
    fail(
        TN_ERR_SHAPE,
        format_args!(
            "{}: a {} {} and a {} {} do not fit together",
            operation.name(),
            x.form.name(),
            Tuple(x.shape),
            y.form.name(),
            Tuple(y.shape)
        ),
    )
}

/// Form and shape of a part of LU factors. A diagonal or a triangle is one of its own factors, and the others are
/// identities.
fn part(x: Kind<'_>, part: usize) -> Result<(Form, Shape)> {
    let own = match part as u32 {
        TN_LU_P => Form::Full,
        TN_LU_L => Form::Lower,
        _ => Form::Upper,
    };
    match (x.form, x.matrix()) {
        (Form::TurnedFactors, _) => Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!("the factors were transposed, and have no parts; transpose the parts of the factors instead"),
        )),
        (Form::Full, matrix) if matrix.is_none_or(|(rows, columns)| rows != columns) => Err(fail(
            TN_ERR_SHAPE,
            format_args!("lu_part needs a square matrix, and this is a full {}", Tuple(x.shape)),
        )),
        (Form::Full | Form::Factors, _) => Ok((own, shape_of(x.shape)?)),
        (form, _) if is_own_part(form, part) => Ok((form, shape_of(x.shape)?)),
        _ => Ok((Form::Diagonal, shape_of(&x.shape[..1])?)),
    }
}

/// Whether this part of a matrix of this form is the matrix itself.
pub fn is_own_part(form: Form, part: usize) -> bool {
    match form {
        Form::Lower => part as u32 == TN_LU_L,
        Form::Diagonal | Form::Upper => part as u32 == TN_LU_U,
        _ => false,
    }
}

/// Form and shape of the result of an operation with one operand. `axis`: of sum, or ALL_AXES; of lu_part, the part.
pub fn unary(operation: Operation, x: Kind<'_>, axis: usize) -> Result<(Form, Shape)> {
    let need = |what: &str| {
        fail(
            TN_ERR_SHAPE,
            format_args!("{} needs {what}, and this is a {} {}", operation.name(), x.form.name(), Tuple(x.shape)),
        )
    };
    match operation {
        Operation::Cholesky => match (x.form, x.matrix()) {
            (Form::Diagonal, _) => Ok((Form::Diagonal, shape_of(x.shape)?)),
            (Form::Full, Some((rows, columns))) if rows == columns => Ok((Form::Lower, shape_of(x.shape)?)),
            (Form::Full, _) => Err(need("a square matrix")),
            _ => Err(fail(
                TN_ERR_UNSUPPORTED,
                format_args!(
                    "cholesky of the form {} is not supported: a symmetric matrix is full or diagonal",
                    x.form.name()
                ),
            )),
        },
        Operation::Lu => match (x.form, x.matrix()) {
            (Form::Full, Some((rows, columns))) if rows == columns => Ok((Form::Factors, shape_of(x.shape)?)),
            (Form::Full, _) => Err(need("a square matrix")),
            // A diagonal or a triangle solves as it is.
            (form, _) => Ok((form, shape_of(x.shape)?)),
        },
        Operation::LuPart => part(x, axis),
        Operation::Transpose => match (x.form, x.matrix()) {
            (Form::Diagonal, _) => Ok((Form::Diagonal, shape_of(x.shape)?)),
            (form, Some((rows, columns))) => Ok((form.transposed(), shape_of(&[columns, rows])?)),
            _ => Err(need("a matrix")),
        },
        // The zeros outside of the form stay zeros.
        Operation::Scale | Operation::Negate | Operation::Sqrt => Ok((x.form, shape_of(x.shape)?)),
        Operation::Dense | Operation::Exp | Operation::Log => Ok((Form::Full, x.dense_shape()?)),
        Operation::Sum => {
            let mut shape = x.dense_shape()?;
            match axis {
                kernels::ALL_AXES => shape.clear(),
                axis => drop(shape.remove(axis)),
            }
            Ok((Form::Full, shape))
        }
        _ => unreachable!("{} has two operands", operation.name()),
    }
}

/// Form and shape of the result of an operation with two operands.
pub fn binary(operation: Operation, x: Kind<'_>, y: Kind<'_>) -> Result<(Form, Shape)> {
    if x.dtype != y.dtype {
        return Err(fail(
            TN_ERR_DTYPE,
            format_args!(
                "{} of {} and {}; expressions do not convert",
                operation.name(),
                x.dtype.name(),
                y.dtype.name()
            ),
        ));
    }
    let wrong = || mismatch(operation, x, y);
    // Elementwise operations need two full operands of one shape, or two matrices of one size.
    let same_shape = match (x.form == Form::Full, y.form == Form::Full) {
        (true, true) => x.shape == y.shape,
        _ => x.matrix().is_some() && x.matrix() == y.matrix(),
    };
    let shape = match operation {
        Operation::Add | Operation::Subtract | Operation::Times | Operation::Divide if !same_shape => {
            return Err(wrong());
        }
        Operation::Multiply => {
            let (Some((rows, inner)), columns) = (x.matrix(), y.matrix()) else { return Err(wrong()) };
            match (y.vector(), columns) {
                (Some(n), _) if n == inner => shape_of(&[rows])?,
                (None, Some((n, columns))) if n == inner => shape_of(&[rows, columns])?,
                _ => return Err(wrong()),
            }
        }
        Operation::Solve => {
            let Some((rows, columns)) = x.matrix() else { return Err(wrong()) };
            let fits = y.vector() == Some(rows) || y.matrix().is_some_and(|(n, _)| n == rows);
            if rows != columns || !fits {
                return Err(wrong());
            }
            y.dense_shape()?
        }
        _ => x.dense_shape()?,
    };
    let form = match operation {
        Operation::Times => x.form.intersection(y.form),
        Operation::Divide => Form::Full,
        _ => x.form.union(y.form),
    };
    Ok(match form {
        Form::Diagonal => (form, shape_of(&shape[..1])?),
        _ => (form, shape),
    })
}

/// The operation that comes before another one on its operand of this form: the zeros that the form implies are written
/// out where they are read, and equations of a full matrix are solved with its factors.
pub fn implied(operation: Operation, side: usize, form: Form) -> Option<Operation> {
    match operation {
        Operation::Divide | Operation::Exp | Operation::Log if form != Form::Full => Some(Operation::Dense),
        Operation::Sum if form.is_triangle() => Some(Operation::Dense),
        Operation::Solve | Operation::LuPart if side == 0 && form == Form::Full => Some(Operation::Lu),
        _ => None,
    }
}

/// LU factors solve, multiply, have a transpose and parts. Factors, triangular solves and products of whole matrices are there only with the Cargo
/// feature `linalg`.
pub fn check_supported(operation: Operation, forms: [Form; 2]) -> Result<()> {
    let takes_factors =
        matches!(operation, Operation::Solve | Operation::Multiply | Operation::Transpose | Operation::LuPart);
    if forms[1].is_factors() || (forms[0].is_factors() && !takes_factors) {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "{} of the factors that lu makes is not supported: they solve equations, multiply from the left, and have \
                 parts; use the matrix itself",
                operation.name()
            ),
        ));
    }
    let needed = match operation {
        Operation::Multiply => !forms.contains(&Form::Diagonal),
        Operation::Cholesky | Operation::Solve => forms[0] != Form::Diagonal,
        Operation::Lu | Operation::LuPart => forms[0] == Form::Full,
        _ => false,
    };
    if cfg!(feature = "linalg") || !needed {
        return Ok(());
    }
    Err(fail(
        TN_ERR_UNSUPPORTED,
        format_args!(
            "{} of a {} is not in this build of the library; build it with the Cargo feature \"linalg\"",
            operation.name(),
            forms[0].name()
        ),
    ))
}

/// Whether element i of the result needs element i of each operand and no other.
pub fn is_elementwise(operation: Operation, forms: [Form; 2]) -> bool {
    let same_storage = (forms[0] == Form::Diagonal) == (forms[1] == Form::Diagonal);
    match operation {
        Operation::Add | Operation::Subtract => same_storage,
        Operation::Multiply | Operation::Solve => forms == [Form::Diagonal, Form::Diagonal],
        Operation::Times | Operation::Divide => true,
        _ => false,
    }
}

/// The operands that may take the result, in the order in which they are tried.
pub fn candidates(operation: Operation, forms: [Form; 2]) -> &'static [usize] {
    const NEITHER: &[usize] = &[];
    const LEFT: &[usize] = &[0];
    const RIGHT: &[usize] = &[1];
    const BOTH: &[usize] = &[0, 1];
    use Form::{Diagonal, Full};
    match (operation, forms) {
        (Operation::Multiply, [Diagonal, Diagonal]) => BOTH,
        (Operation::Multiply, [Full, Full]) => NEITHER,
        (Operation::Multiply, [factors, Diagonal]) if factors.is_factors() => NEITHER,
        (Operation::Multiply, [Full, _] | [_, Diagonal]) => LEFT,
        (Operation::Multiply | Operation::Solve, [Diagonal, _]) => RIGHT,
        (Operation::Solve, [_, Diagonal]) => NEITHER,
        (Operation::Multiply | Operation::Solve, _) => RIGHT,
        (Operation::Times, [Form::Lower, Form::Upper] | [Form::Upper, Form::Lower]) => NEITHER,
        // The result of a product is a diagonal if one factor is; a sum is one only if both operands are.
        (Operation::Times, [Diagonal, other]) if other != Diagonal => LEFT,
        (Operation::Times, [other, Diagonal]) if other != Diagonal => RIGHT,
        (Operation::Add | Operation::Subtract, [Diagonal, other]) if other != Diagonal => RIGHT,
        (Operation::Add | Operation::Subtract, [other, Diagonal]) if other != Diagonal => LEFT,
        (Operation::Add | Operation::Subtract | Operation::Times | Operation::Divide, _) => BOTH,
        (Operation::Sum | Operation::Leaf, _) | (Operation::Dense, [Diagonal, _]) => NEITHER,
        _ => LEFT,
    }
}

/// The properties of an operand that the rule of overwriting uses.
#[derive(Clone, Copy)]
pub struct Operand {
    pub(crate) number: u32,
    pub(crate) claim: &'static Claim,
    /// The operation has the only references to the node, and this evaluation may overwrite it.
    pub(crate) sole: bool,
}

/// Why operand `k` may not take a result of this shape, as TN_WHY_ bits; 0 if it may. The ledgers of all operands are
/// locked.
pub fn why_not(locked: &Locked, operands: &[Operand], k: usize, shape: &[i64], elementwise: bool) -> u32 {
    let Operand { number, claim, sole } = operands[k];
    let ledger = ledger_of_claim(claim);
    let state = locked.state(ledger);
    let body = locked.get(claim);
    let layout = &body.layout;
    let on_store = |other: &Operand| core::ptr::eq(ledger_of_claim(other.claim), ledger);
    // Operands on this store whose claims end with the operation. One node can be both operands.
    let mut ours = 0;
    let mut clash = false;
    for (at, other) in operands.iter().enumerate() {
        let again = operands[..at].iter().any(|earlier| earlier.number == other.number);
        ours += u32::from(on_store(other) && other.sole && !again);
        if at != k && on_store(other) {
            let same = locked.get(other.claim).layout == *layout;
            clash |= !(elementwise && same);
        }
    }
    debug_assert!(number == operands[k].number);
    let result = layout.item().saturating_mul(shape.iter().product());
    [
        (TN_WHY_SHARED, state.claims > state.nodes || state.managed > 0 && !body.grants),
        (TN_WHY_IN_EXPRESSION, !sole || state.nodes > ours),
        (TN_WHY_EXPORTED, state.exports() > 0),
        (TN_WHY_BORROWED, state.readers + state.writers > 0),
        (TN_WHY_READONLY, body.readonly || state.readonly),
        (TN_WHY_FOREIGN, state.foreign()),
        (TN_WHY_POISONED, state.poisoned > 0 && locked.poison_over(claim).is_some()),
        (TN_WHY_LAYOUT, layout.shape() != shape || !(layout.is_c() || layout.is_f())),
        (TN_WHY_WASTE, state.bytes > result.saturating_mul(2)),
        (TN_WHY_NOT_ALIASABLE, clash),
    ]
    .into_iter()
    .fold(0, |bits, (bit, on)| if on { bits | bit } else { bits })
}
