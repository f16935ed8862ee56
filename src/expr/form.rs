//! The form of a matrix, and the shape of a value.

use crate::error::{Result, fail};
use crate::types::*;
use smallvec::SmallVec;

/// The lengths of the axes; of a diagonal matrix its one length.
pub type Shape = SmallVec<[i64; 4]>;

/// How a value stores its matrix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// All elements, with any number of axes.
    Full,
    /// The n diagonal elements of an n x n matrix.
    Diagonal,
    /// An n x n matrix with zeros above the diagonal, whatever bytes are stored there.
    Lower,
    /// An n x n matrix with zeros below the diagonal: the transpose of a Lower.
    Upper,
}

impl Form {
    /// As C passes it.
    pub(crate) fn of(raw: u32) -> Result<Form> {
        match raw {
            TN_FORM_FULL => Ok(Form::Full),
            TN_FORM_DIAGONAL => Ok(Form::Diagonal),
            TN_FORM_LOWER => Ok(Form::Lower),
            _ => Err(fail(
                TN_ERR_INVALID,
                format_args!("form {raw} is none of TN_FORM_FULL (0), TN_FORM_DIAGONAL (1) and TN_FORM_LOWER (2)"),
            )),
        }
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Form::Full => "full",
            Form::Diagonal => "diagonal",
            Form::Lower => "lower",
            Form::Upper => "upper",
        }
    }

    pub(crate) fn is_triangle(self) -> bool {
        matches!(self, Form::Lower | Form::Upper)
    }
}
