//! Mirrors: one array on the host and on a GPU, moved only when needed.
//!
//! Contract: one side is always valid, and a side becomes valid by one transfer, when somebody asks for it. A writing
//! borrow makes its side the only valid one. A stale side that somebody holds is refreshed before the call returns, in
//! its present store. A transfer that fails leaves the valid side as it is. Calls on one mirror exclude each other;
//! none waits for a holder. Any thread may call.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | acquire, get, mark_changed, query, release |
//! | `access` | what a borrow does with its side |
//! | `create` | new mirrors |
//! | `borrowed` | borrows that the library itself ends |
//! | `notice` | what happened to the sides since the last call |
//! | `writer` | writing borrows |
//! | `transfer` | transfers between the sides |
//! | `side` | the two sides, and what ledgers say about them |
//! | `slot` | the mirror behind a handle |
//! | `turn` | one call at a time |
#![forbid(unsafe_code)]

mod access;

mod borrowed;

mod create;

mod notice;

mod side;

mod slot;

mod transfer;

mod turn;

mod writer;

pub use access::Access;
pub use borrowed::{Borrowed, borrow};
pub use create::{Options, create};
pub use side::Side;
pub use slot::{Fixed, Transfers, release};
pub use writer::end;

use crate::array;
use crate::borrow::{self as guards, BorrowContext, Entry, LayoutSink};
use crate::error::{Result, fail};
use crate::gpu;
use crate::layout::Layout;
use crate::ledger::UseTime;
use crate::slots::Id;
use crate::stream::StreamArg;
use crate::types::*;
use core::ffi::CStr;
use notice::{Found, notice};
use slot::{MirrorRef, Named};
use transfer::{OVERWRITE, refresh, stream_to, valid_array};

/// Borrows a side, which is made valid first. The host waits for its transfer; that to the device is ordered on the
/// stream.
pub fn acquire(
    function: &'static CStr,
    id: Id,
    side: Result<Side>,
    access: Result<Access>,
    stream: Result<StreamArg>,
    outputs: &dyn LayoutSink,
) -> Result<Id> {
    let mirror = MirrorRef::find(id)?;
    let (stream, side, access) = (stream?, side?, access?);
    let _turn = mirror.turn()?;
    let borrowed = borrowed::open(function, &mirror, side, access, &stream)?;
    outputs.see(borrowed.guard().layout(), &borrowed.guard().device());
    Ok(borrowed.into_guard().publish())
}

/// An array handle on a side, which is made valid. The side is refreshed from now on whenever the other one changes,
/// until the handle and all that descends from it have ended.
pub fn get(function: &'static CStr, id: Id, side: Result<Side>) -> Result<Id> {
    let mirror = MirrorRef::find(id)?;
    let side = side?;
    let _turn = mirror.turn()?;
    if notice(function, &mirror)? {
        return Err(mirror.poisoned());
    }
    array::clone(valid_array(function, &mirror, side, &stream_to(side))?)
}

/// Makes a side the valid one, because its bytes were changed in a way that the library does not see.
pub fn mark_changed(function: &'static CStr, id: Id, side: Result<Side>) -> Result<()> {
    let mirror = MirrorRef::find(id)?;
    let side = side?;
    let _turn = mirror.turn()?;
    let Some(array) = mirror.sides().array(side) else { return Err(not_allocated(&mirror, side)) };
    let found = Found::of(&mirror.sides(), true)?;
    if mirror.fixed().is_empty {
        return Ok(());
    }
    let heals = found.facts[side.index()].is_some_and(|facts| facts.is_poisoned);
    let other = side.other();
    let is_held = found.is_held(other);
    if is_held {
        refresh(function, &mirror, other, heals, &stream_to(other))?;
    } else if heals {
        let entry = Entry::new(array, OVERWRITE, UseTime::HOST.waiting(true));
        guards::acquire(BorrowContext::new(function), &[entry])?.pop().expect("one entry, one guard").end(false);
    }
    mirror.change(|sides| {
        sides.valid = if is_held { side.bit() | other.bit() } else { side.bit() };
        for known in Side::BOTH.into_iter().filter(|known| *known == side || !is_held) {
            if let Some(facts) = found.facts[known.index()] {
                sides.arrays[known.index()].version = facts.version + u64::from(heals && known == side);
            }
        }
    });
    Ok(())
}

/// TN_ERR_INVALID: the side has no bytes that could have changed. TN_ERR_UNSUPPORTED for the device side without its
/// GPU.
#[cold]
fn not_allocated(mirror: &MirrorRef, side: Side) -> crate::error::Status {
    if side == Side::Device
        && let Err(status) = gpu::gpu(mirror.fixed().device.id)
    {
        return status;
    }
    let name = if side == Side::Host { "host" } else { "device" };
    fail(
        TN_ERR_INVALID,
        format_args!(
            "the {name} side of {} was never allocated, so nothing can have changed it",
            Named(mirror.fixed())
        ),
    )
}

/// The GPU of a mirror's device side. TN_ERR_STALE, TN_ERR_KIND.
pub fn device(id: Id) -> Result<tn_device> {
    Ok(MirrorRef::find(id)?.fixed().device)
}

/// The properties of a mirror.
pub struct Info<'a> {
    /// What stays the same.
    pub fixed: &'a Fixed,
    /// Element type and shape.
    pub layout: &'a Layout,
    /// The bits of the valid sides.
    pub valid: u32,
    /// The bits of the allocated sides.
    pub allocated: u32,
    /// The bits of the sides that somebody else holds.
    pub held: u32,
    /// A write failed, and no side has the contents of before.
    pub is_poisoned: bool,
    /// By [`Side::index`] of the side that was written.
    pub transfers: [Transfers; 2],
}

/// Calls `visit` with the properties. It moves nothing, and does not wait for other calls.
pub fn query(id: Id, visit: impl FnOnce(&Info<'_>)) -> Result<()> {
    let mirror = MirrorRef::find(id)?;
    loop {
        let sides = mirror.sides();
        let seen = Side::BOTH.into_iter().find_map(|side| sides.array(side)).expect("one side is allocated");
        let found = Found::of(&sides, false).and_then(|found| Ok((found, array::snapshot(seen)?)));
        let (found, layout) = match found {
            Ok(found) => found,
            // Another call replaced an array meanwhile.
            Err(_) if mirror.sides().arrays.map(|side| side.array) != sides.arrays.map(|side| side.array) => continue,
            Err(status) => return Err(status),
        };
        let bits = |is: &dyn Fn(Side) -> bool| Side::BOTH.into_iter().filter(|side| is(*side)).map(Side::bit).sum();
        visit(&Info {
            fixed: mirror.fixed(),
            layout: &layout,
            valid: found.valid,
            allocated: bits(&|side| sides.array(side).is_some()),
            held: bits(&|side| found.facts[side.index()].is_some_and(|facts| facts.is_held)),
            is_poisoned: found.is_poisoned,
            transfers: sides.transfers,
        });
        return Ok(());
    }
}

/// TN_ERR_STALE or TN_ERR_KIND, unless the handle is that of a mirror.
pub fn check_handle(id: Id) -> Result<()> {
    MirrorRef::find(id).map(drop)
}
