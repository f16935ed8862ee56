//! The form of a matrix: which of its elements are stored, and which count as 0.
//!
//! Contract: pure. A form changes no byte and no shape. Array handles carry one, expressions compute with it.

use super::Tuple;
use crate::error::{Result, fail};
use crate::types::*;

/// How an array stores its matrix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Form {
    /// All elements, with any number of axes.
    #[default]
    Full = TN_FORM_FULL as u8,
    /// The n diagonal elements of an n x n matrix.
    Diagonal = TN_FORM_DIAGONAL as u8,
    /// An n x n matrix with zeros above the diagonal, whatever bytes are stored there.
    Lower = TN_FORM_LOWER as u8,
    /// An n x n matrix with zeros below the diagonal: the transpose of a Lower.
    Upper = TN_FORM_UPPER as u8,
    /// All elements, with two axes; operators are those of matrices.
    Matrix = TN_FORM_MATRIX as u8,
    /// The LU factors of a full matrix, only as the value of an expression.
    Factors = TN_FORM_FACTORS as u8,
    /// The LU factors of the transpose of the matrix, as which C sees [`Form::Factors`].
    TurnedFactors,
}

impl Form {
    /// As C passes it for an array.
    pub(crate) fn of(raw: u32) -> Result<Form> {
        match raw {
            TN_FORM_FULL => Ok(Form::Full),
            TN_FORM_DIAGONAL => Ok(Form::Diagonal),
            TN_FORM_LOWER => Ok(Form::Lower),
            TN_FORM_UPPER => Ok(Form::Upper),
            TN_FORM_MATRIX => Ok(Form::Matrix),
            _ => Err(fail(
                TN_ERR_INVALID,
                format_args!(
                    "form {raw} is none of TN_FORM_FULL (0), TN_FORM_DIAGONAL (1), TN_FORM_LOWER (2), TN_FORM_UPPER (3) \
                     and TN_FORM_MATRIX (4)"
                ),
            )),
        }
    }

    /// As C gets it.
    pub(crate) fn raw(self) -> tn_form {
        if self == Form::TurnedFactors { TN_FORM_FACTORS } else { self as tn_form }
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Form::Full => "full",
            Form::Diagonal => "diagonal",
            Form::Lower => "lower",
            Form::Upper => "upper",
            Form::Matrix => "matrix",
            Form::Factors | Form::TurnedFactors => "factors",
        }
    }

    /// The form that expressions compute with.
    pub(crate) fn of_elements(self) -> Form {
        if self == Form::Matrix { Form::Full } else { self }
    }

    pub(crate) fn is_triangle(self) -> bool {
        matches!(self, Form::Lower | Form::Upper)
    }

    pub(crate) fn is_factors(self) -> bool {
        matches!(self, Form::Factors | Form::TurnedFactors)
    }

    /// The form of the transpose.
    pub(crate) fn transposed(self) -> Form {
        match self {
            Form::Lower => Form::Upper,
            Form::Upper => Form::Lower,
            Form::Factors => Form::TurnedFactors,
            Form::TurnedFactors => Form::Factors,
            same => same,
        }
    }

    /// The form of the elements that are in either of two forms: of a sum, a product or a solution.
    pub(crate) fn union(self, other: Form) -> Form {
        match (self, other) {
            (factors, _) if factors.is_factors() => Form::Full,
            (a, b) if a == b => a,
            (Form::Diagonal, form) | (form, Form::Diagonal) => form,
            _ => Form::Full,
        }
    }

    /// The form of the elements that are in both of two forms: of a product element by element.
    pub(crate) fn intersection(self, other: Form) -> Form {
        match (self, other) {
            (a, b) if a == b => a,
            (Form::Full, form) | (form, Form::Full) => form,
            _ => Form::Diagonal,
        }
    }

    /// SHAPE: an array of this shape cannot have this form.
    pub(crate) fn check(self, shape: &[i64]) -> Result<()> {
        let needed = match (self, shape) {
            (Form::Full, _) | (Form::Diagonal, [_]) => return Ok(()),
            (Form::Lower | Form::Upper, [rows, columns]) if rows == columns => return Ok(()),
            (Form::Matrix, [_, _]) => return Ok(()),
            (Form::Matrix, _) => "two axes",
            (Form::Diagonal, _) => "a vector, the n numbers of the diagonal",
            _ => "a square matrix",
        };
        Err(fail(
            TN_ERR_SHAPE,
            format_args!("the form {} needs {needed}, and the shape is {}", self.name(), Tuple(shape)),
        ))
    }
}
