//! Borrows of sides that the library itself ends: those of launches.

use super::access::Access;
use super::notice::notice;
use super::side::Side;
use super::slot::MirrorRef;
use super::transfer::{OVERWRITE, valid_array, when};
use super::writer;
use crate::borrow::{self, BorrowContext, Entry, Use};
use crate::error::Result;
use crate::ledger::InternalGuard;
use crate::slots::Id;
use crate::stream::{Point, StreamArg};
use core::ffi::CStr;

/// An open borrow of a side. It must be ended or abandoned; until then its guard has no handle.
pub struct Borrowed {
    guard: InternalGuard,
    /// Of a writer.
    mirror: Option<MirrorRef>,
}

/// Makes a side valid and borrows it. The caller has the turn.
pub(super) fn open(
    function: &'static CStr,
    mirror: &MirrorRef,
    side: Side,
    access: Access,
    stream: &StreamArg,
) -> Result<Borrowed> {
    let is_poisoned = notice(function, mirror)?;
    if is_poisoned && access != Access::Overwrite {
        return Err(mirror.poisoned());
    }
    // Borrows of no bytes exclude nobody, and nothing follows from their end.
    if access != Access::Read && !mirror.fixed().is_empty {
        let guard = writer::begin(function, mirror, (side, access == Access::Overwrite), stream)?;
        return Ok(Borrowed { guard, mirror: Some(mirror.clone()) });
    }
    let array = valid_array(function, mirror, side, stream)?;
    let wanted = if access == Access::Read { Use::Read { frozen: false } } else { OVERWRITE };
    let entry = Entry::new(array, wanted, when(array, side, stream)?);
    let guard = borrow::acquire(BorrowContext::new(function), &[entry])?.pop().expect("one entry, one guard");
    Ok(Borrowed { guard, mirror: None })
}

/// Makes a side valid and borrows it for a call of the library itself.
pub fn borrow(function: &'static CStr, id: Id, side: Side, access: Access, stream: &StreamArg) -> Result<Borrowed> {
    let mirror = MirrorRef::find(id)?;
    let _turn = mirror.turn()?;
    open(function, &mirror, side, access, stream)
}

impl Borrowed {
    /// The guard on the side.
    pub fn guard(&self) -> &InternalGuard {
        &self.guard
    }

    /// The guard, for a caller that publishes it.
    pub(super) fn into_guard(self) -> InternalGuard {
        self.guard
    }

    /// Ends it. Work on `stream` continues until `until`. An error of a writer is that of the transfer to the other
    /// side, which somebody holds.
    pub fn end(self, function: &'static CStr, failed: bool, stream: &StreamArg, until: Option<Point>) -> Result<()> {
        match (self.mirror, until) {
            (Some(mirror), _) => writer::end_open(function, &mirror, self.guard.into_guard(), failed, stream),
            (None, Some(point)) => {
                self.guard.end_at(false, point);
                Ok(())
            }
            (None, None) => {
                self.guard.end(false);
                Ok(())
            }
        }
    }

    /// Ends it without a use of the bytes.
    pub fn abandon(self) {
        match self.mirror {
            Some(mirror) => writer::abandon(&mirror, self.guard.into_guard()),
            None => borrow::abandon(self.guard),
        }
    }
}
