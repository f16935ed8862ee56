//! What a borrow of a mirror does with its side.

use crate::error::{Result, fail};
use crate::types::*;

/// What a borrow of a side does with its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads.
    Read,
    /// Reads and writes.
    ReadWrite,
    /// Writes every element.
    Overwrite,
}

impl Access {
    /// The access with these bits. TN_ERR_INVALID.
    pub fn of(bits: tn_access) -> Result<Access> {
        match bits {
            TN_READ => Ok(Access::Read),
            TN_READ_WRITE => Ok(Access::ReadWrite),
            TN_WRITE => Ok(Access::Overwrite),
            _ => Err(fail(
                TN_ERR_INVALID,
                format_args!("access {bits:#x} is none of TN_READ, TN_WRITE and TN_READ_WRITE"),
            )),
        }
    }
}
