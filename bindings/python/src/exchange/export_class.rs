//! HEAD

use crate::api::{self, Failure, Id};
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::types::*;
use pyo3::prelude::*;

/// How a consumer may use the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Shared view of a writable array, read-only view of a read-only one.
    Default,
    /// XR.
    ReadOnly,
    /// XR also in the struct that cannot say so: the consumer is known to read only.
    Reads,
    /// XW.
    Exclusive,
}

impl Class {
    /// The flags of an export of this class.
    pub fn flags(self) -> u32 {
        match self {
            Class::Default => TN_EXPORT_WRITABLE,
            Class::ReadOnly => 0,
            Class::Reads => TN_EXPORT_CONSUMER_READS,
            Class::Exclusive => TN_EXPORT_WRITABLE | TN_EXPORT_EXCLUSIVE,
        }
    }
}

/// Refusals of a shared view after which a read-only one may do (XC-2).
pub fn may_read(failure: Failure) -> bool {
    matches!(failure.0, TN_ERR_READONLY | TN_ERR_IN_EXPRESSION | TN_ERR_SHARED)
}

/// Opens an export of this class on the array's own bytes; true: it is read-only. Where a shared view is refused a
/// read-only one does, if reading will do.
pub fn open(py: Python<'_>, id: Id, class: Class, reading_will_do: bool) -> api::Result<(Id, tn_view_info, bool)> {
    const ALIAS: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_WAIT;
    let opened = |flags| {
        wait_without_gil(py, flags, |flags| api::export_host(id, flags, 0).map(SameThread)).map(|shown| shown.0)
    };
    match opened(ALIAS | class.flags()) {
        Ok((guard, info)) => Ok((guard, info, class == Class::ReadOnly)),
        Err(failure) if class == Class::Default && reading_will_do && may_read(failure) => {
            opened(ALIAS).map(|(guard, info)| (guard, info, true))
        }
        Err(failure) => Err(failure),
    }
}
