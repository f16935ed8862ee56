//! The arrays of a copy or a fill: where they are, their guards, and whether they match.
#![forbid(unsafe_code)]

use crate::array::{self, HOST};
use crate::borrow::{self, BorrowContext, Entry, Mode, Use};
use crate::error::{Result, fail};
use crate::layout::{Layout, Tuple};
use crate::ledger::{InternalGuard, UseTime};
use crate::slots::Id;
use crate::stream::Stream;
use crate::types::*;

/// Device and emptiness of an array; one that is not live lies nowhere, which whoever opens a guard on it will say.
pub(super) fn lies(id: Id) -> Result<(tn_device, bool)> {
    array::with(id, |locked, claim| {
        Ok(match array::check_live(locked, claim) {
            Ok(()) => (locked.state(locked.ledger_of(claim)).device, locked.get(claim).layout.is_empty()),
            Err(_) => (HOST, true),
        })
    })
}

/// One guard for the library's own use.
pub fn one(call: BorrowContext<'_>, id: Id, wanted: Use, when: UseTime) -> Result<InternalGuard> {
    Ok(borrow::acquire(call, &[Entry { id, wanted, when }])?.pop().expect("one entry, one guard"))
}

/// Write modes of movement: every element is overwritten.
pub(super) fn writing(mode: u32) -> Result<Use> {
    match borrow::mode(mode, TN_REQUIRE_ASYNC)? {
        Use::Write { mode, .. } => Ok(Use::Write { mode, discard: true }),
        _ => unreachable!("modes are of writers"),
    }
}

/// Same element type and same shape, or DTYPE, SHAPE.
pub(super) fn check_match(from: &Layout, to: &Layout) -> Result<()> {
    if from.dtype() != to.dtype() {
        return Err(fail(
            TN_ERR_DTYPE,
            format_args!(
                "{} elements do not go into an array of {}; copies do not convert",
                from.dtype().name(),
                to.dtype().name()
            ),
        ));
    }
    if from.shape() != to.shape() {
        return Err(fail(
            TN_ERR_SHAPE,
            format_args!(
                "shape {} does not go into shape {}; broadcast or reshape first",
                Tuple(from.shape()),
                Tuple(to.shape())
            ),
        ));
    }
    Ok(())
}

/// Whether a stream argument leaves host memory to the host: all but handles do.
pub(super) fn is_hosts(stream: &Result<Stream>) -> bool {
    matches!(stream, Ok(Stream::Now | Stream::Legacy | Stream::PerThread | Stream::Current))
}

/// Whether a mode needs no look at others; a wrong one is said by the long way.
pub(super) fn is_free_mode(mode: u32) -> bool {
    mode & !TN_WAIT == 0
}

/// What the modes of that kind want: every element is overwritten, and others see it.
pub(super) const WHOLE: Use = Use::Write { mode: Mode::Aliased, discard: true };
