//! The arrays of a copy or a fill: their devices, their guards, and the check that they match.
#![forbid(unsafe_code)]

use crate::array::{self, HOST};
use crate::borrow::{self, BorrowContext, Entry, Mode, Use};
use crate::error::{Result, fail};
use crate::layout::{Form, Layout, Tuple};
use crate::ledger::{InternalGuard, UseTime};
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::types::*;

/// The device of an array, and whether it is empty. An array that is not live counts as an empty one of the host;
/// opening a guard on it fails later.
pub(super) fn location_of(id: Id) -> Result<(tn_device, bool)> {
    source_of(id).map(|source| (source.device, source.is_empty))
}

/// The source of a copy to a new array.
pub(super) struct Source {
    pub(super) device: tn_device,
    pub(super) is_empty: bool,
    pub(super) form: Form,
}

/// As [`location_of`], with the form of the handle.
pub(super) fn source_of(id: Id) -> Result<Source> {
    array::with(id, |locked, claim| {
        Ok(match array::check_live(locked, claim) {
            Ok(()) => {
                let (state, body) = (locked.state(locked.ledger_of(claim)), locked.get(claim));
                Source { device: state.device, is_empty: body.layout.is_empty(), form: body.form }
            }
            Err(_) => Source { device: HOST, is_empty: true, form: Form::Full },
        })
    })
}

/// Opens a guard for the library's own use.
pub fn acquire_one(call: BorrowContext<'_>, id: Id, wanted: Use, when: UseTime) -> Result<InternalGuard> {
    Ok(borrow::acquire(call, &[Entry::new(id, wanted, when)])?.pop().expect("one entry, one guard"))
}

/// The use of a destination, from its write mode. Every element is overwritten.
pub(super) fn write_use(mode: u32) -> Result<Use> {
    match borrow::mode(mode, TN_REQUIRE_ASYNC)? {
        Use::Write { mode, .. } => Ok(Use::Write { mode, discard: true }),
        _ => unreachable!("every write mode is a use for writing"),
    }
}

/// Fails with TN_ERR_DTYPE or TN_ERR_SHAPE unless element types and shapes are equal.
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

/// Whether the host may do the work on host memory without a look at the stream. All stream arguments but handles allow
/// it.
pub(super) fn is_left_to_host(stream: &Result<StreamArg>) -> bool {
    matches!(stream, Ok(StreamArg::Now | StreamArg::Legacy | StreamArg::PerThread | StreamArg::Current))
}

/// Whether a mode is the default one, for which the fast path is enough. The slow path reports invalid modes.
pub(super) fn is_default_mode(mode: u32) -> bool {
    mode & !TN_WAIT == 0
}

/// The use of a destination in the default mode: every element is overwritten, and all other handles see the new ones.
pub(super) const OVERWRITE: Use = Use::Write { mode: Mode::Aliased, discard: true };
