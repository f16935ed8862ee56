//! Classes of exports: how a consumer may use the bytes of an array.
//!
//! Contract: an export of the default class is a shared view. Where that is refused and reading suffices, it becomes a
//! read-only view.

use crate::api::{self, Failure, Id};
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::sys::*;
use pyo3::prelude::*;

/// How a consumer may use the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A shared view of a writable array, a read-only view of a read-only one.
    Default,
    /// A read-only view (XR).
    ReadOnly,
    /// A read-only view, also in a struct that has no read-only flag: the consumer is known to read only.
    ConsumerReads,
    /// An exclusive view (XW).
    Exclusive,
}

impl Class {
    /// The flags of an export of this class.
    pub fn flags(self) -> u32 {
        match self {
            Class::Default => TN_EXPORT_WRITABLE,
            Class::ReadOnly => 0,
            Class::ConsumerReads => TN_EXPORT_CONSUMER_READS,
            Class::Exclusive => TN_EXPORT_WRITABLE | TN_EXPORT_EXCLUSIVE,
        }
    }
}

/// Whether a read-only view may still succeed after a shared one was refused (XC-2).
pub fn may_read(failure: Failure) -> bool {
    matches!(failure.0, TN_ERR_READONLY | TN_ERR_IN_EXPRESSION | TN_ERR_SHARED)
}

/// Opens an export on the array's own bytes for the host. True: it is read-only. If a shared view is refused and
/// reading suffices, opens a read-only one.
pub fn open(py: Python<'_>, id: Id, class: Class, reading_suffices: bool) -> api::Result<(Id, tn_view_info, bool)> {
    let opened = |flags| {
        wait_without_gil(py, flags | TN_WAIT, |flags| api::export_host(id, flags, 0).map(SameThread))
            .map(|shown| shown.0)
    };
    open_by(class, reading_suffices, opened).map(|((guard, info), readonly)| (guard, info, readonly))
}

/// As [`open`], for any kind of export: `opened` makes one with the given flags.
pub fn open_by<T>(
    class: Class,
    reading_suffices: bool,
    opened: impl Fn(u32) -> api::Result<T>,
) -> api::Result<(T, bool)> {
    const ALIAS: u32 = TN_BORROW | TN_REQUIRE_BORROW;
    match opened(ALIAS | class.flags()) {
        Ok(export) => Ok((export, matches!(class, Class::ReadOnly | Class::ConsumerReads))),
        Err(failure) if class == Class::Default && reading_suffices && may_read(failure) => {
            opened(ALIAS).map(|export| (export, true))
        }
        Err(failure) => Err(failure),
    }
}
