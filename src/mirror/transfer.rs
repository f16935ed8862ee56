//! Transfers between the sides of a mirror.
//!
//! Contract: a transfer opens guards on both sides first, so a holder refuses it before anything changed. It writes
//! into the side's present store, whose holders then see the new bytes. Only a side that must not be written gets
//! another store. If the host is to read the bytes, they are there on return.

use super::side::{Side, facts};
use super::slot::{self, MirrorRef, SideArray, Sides};
use crate::array::{self, Contents, Owned};
use crate::borrow::{self, BorrowContext, Entry, Mode, Use};
use crate::error::Result;
use crate::ledger::UseTime;
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::transfer::{self, Route};
use crate::types::*;
use crate::variable;
use core::ffi::CStr;

/// The use of a side that a transfer overwrites.
pub const OVERWRITE: Use = Use::Write { mode: Mode::Refresh, discard: true };

/// The array that is to be a side: the present one, or a new one.
pub struct Target {
    id: Id,
    fresh: Option<Owned>,
}

impl Target {
    /// The array to write as a side: a new one if the side is not allocated, or must not be written. `keeps`: a new one
    /// has the contents of the old one.
    pub fn of(function: &'static CStr, mirror: &MirrorRef, side: Side, keeps: bool) -> Result<Target> {
        let sides = mirror.sides();
        let fresh = match sides.array(side) {
            None => allocate(mirror, side, sides.array(side.other()).expect("one side is allocated"))?,
            Some(array) if !facts(array, false)?.is_constant => return Ok(Target { id: array, fresh: None }),
            Some(array) if !keeps => allocate(mirror, side, array)?,
            Some(array) => {
                variable::check_forbidden(TN_WHY_READONLY)?;
                variable::copy(function, array, pool_of(mirror, side)?, mirror.fixed().order, TN_WHY_READONLY)?
            }
        };
        Ok(Target { id: fresh, fresh: Some(Owned::new(fresh)) })
    }

    /// Its handle.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Makes the array that of the side, with the version of its store that the mirror knows.
    pub fn commit(self, mirror: &MirrorRef, side: Side, version: u64) {
        let is_new = self.fresh.is_some();
        if let Some(fresh) = self.fresh {
            slot::begin_side(fresh.into_id(), mirror);
        }
        let side_array = SideArray { array: self.id, version };
        let before = mirror.change(|sides| core::mem::replace(&mut sides.arrays[side.index()], side_array));
        if is_new && before.array != Id::NONE {
            slot::end_side(before.array);
        }
    }
}

/// The pool of a side. TN_ERR_UNSUPPORTED or TN_ERR_DEVICE without its GPU.
pub fn pool_of(mirror: &MirrorRef, side: Side) -> Result<&'static Pool> {
    let fixed = mirror.fixed();
    let device = if side == Side::Host { array::HOST } else { fixed.device };
    fixed.pools[side.index()].map_or_else(|| pool::current(device), Ok)
}

/// A new array for a side, with the element type and shape of `prototype`.
fn allocate(mirror: &MirrorRef, side: Side, prototype: Id) -> Result<Id> {
    let mut layout = array::snapshot(prototype)?.like(mirror.fixed().order)?;
    let pool = pool_of(mirror, side)?;
    transfer::create(Some(pool), &mut layout, Contents::Undefined, &mirror.fixed().name, || Ok(StreamArg::Current))
}

/// The stream of a transfer to a side for which the caller named none: the host waits, a GPU's work is ordered on the
/// current stream.
pub fn stream_to(side: Side) -> StreamArg {
    if side == Side::Host { StreamArg::Now } else { StreamArg::Current }
}

/// When a borrow uses a side: that of the host now, after it waited for device work; that of the device in the order of
/// the stream.
pub fn when(array: Id, side: Side, stream: &StreamArg) -> Result<UseTime> {
    if side == Side::Host { Ok(UseTime::HOST.waiting(true)) } else { borrow::when(array, stream, true) }
}

/// Copies the other side to this one, which is valid afterwards. `heals`: the bytes of the other side are accepted as
/// they are, although a writer failed; that counts as a write of them.
pub fn refresh(function: &'static CStr, mirror: &MirrorRef, to: Side, heals: bool, stream: &StreamArg) -> Result<()> {
    let target = Target::of(function, mirror, to, false)?;
    if mirror.fixed().is_empty {
        target.commit(mirror, to, 0);
        return Ok(());
    }
    let source = mirror.sides().array(to.other()).expect("one side is allocated");
    let route = Route::of(stream, &[array::device(target.id())?, array::device(source)?], false)?;
    let when = route.when(true);
    let entries = [
        Entry::new(source, if heals { OVERWRITE } else { Use::Read { frozen: false } }, when),
        Entry::new(target.id(), OVERWRITE, when),
    ];
    let mut guards = borrow::acquire(BorrowContext::new(function), &entries)?.into_iter();
    let (from, onto) = (guards.next().expect("two entries"), guards.next().expect("two entries"));
    let (version, bytes) = (onto.version(), onto.layout().bytes());
    let outcome = route.copy(onto.memory_view(), from.memory_view());
    route.end(Some(onto), Some(from), outcome)?;
    if to == Side::Host {
        array::wait(target.id(), TN_READ)?;
    }
    target.commit(mirror, to, version + 1);
    mirror.change(|sides| note_transfer(sides, to, bytes));
    Ok(())
}

/// The array of a side, which is made valid.
pub fn valid_array(function: &'static CStr, mirror: &MirrorRef, side: Side, stream: &StreamArg) -> Result<Id> {
    let sides = mirror.sides();
    if let Some(array) = sides.array(side).filter(|_| sides.is_valid(side)) {
        return Ok(array);
    }
    refresh(function, mirror, side, false, stream)?;
    Ok(mirror.sides().array(side).expect("refreshed"))
}

/// Counts a transfer to a side, which is valid from now on.
pub fn note_transfer(sides: &mut Sides, to: Side, bytes: i64) {
    sides.valid |= to.bit();
    let transfers = &mut sides.transfers[to.index()];
    transfers.count += 1;
    transfers.bytes += bytes as u64;
}
