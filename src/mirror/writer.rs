//! Writing borrows of a mirror: how one begins, and what its end does to the other side.
//!
//! Contract: a writing borrow has a guard on its side for the caller, and one of the mirror itself on the other side,
//! if that is allocated. So nobody uses either side meanwhile, and the transfer at the end, to a side that somebody
//! holds, cannot be refused. That transfer runs before the guards end. A mirror without elements has no writers.

use super::notice::notice;
use super::side::{Side, facts};
use super::slot::{self, MirrorRef, Writer};
use super::transfer::{self, OVERWRITE, Target, note_transfer, when};
use crate::borrow::{self, BorrowContext, Ending, Entry, Mode, Use};
use crate::device_copy::{Failed, Outstanding};
use crate::error::{Result, quietly};
use crate::ledger::{self, Completion, Guard, InternalGuard, UseTime};
use crate::lists;
use crate::slots::{self, Id, Kind};
use crate::stream::{Point, Stream, StreamArg};
use crate::transfer::Route;
use core::ffi::CStr;

/// When a mirror's own guard on the other side is used: by nobody, until a transfer orders itself.
const UNORDERED: UseTime = UseTime { stream: None, wait: false, unordered: true };

/// Opens a writing borrow. `overwrites`: the caller writes every element, so the side need not be valid.
pub fn begin(
    function: &'static CStr,
    mirror: &MirrorRef,
    (side, overwrites): (Side, bool),
    stream: &StreamArg,
) -> Result<InternalGuard> {
    let sides = mirror.sides();
    let is_stale = !sides.is_valid(side);
    let target = Target::of(function, mirror, side, !overwrites && !is_stale)?;
    let wanted = Use::Write { mode: Mode::Refresh, discard: overwrites || is_stale };
    let mut entries: borrow::List<Entry> = lists::list(2)?;
    entries.push(Entry::new(target.id(), wanted, when(target.id(), side, stream)?));
    if let Some(other) = sides.array(side.other()) {
        // A side that must not be written is not refreshed either. Its guard keeps the bytes for a transfer.
        let wanted = if facts(other, false)?.is_constant { Use::Read { frozen: false } } else { OVERWRITE };
        entries.push(Entry::new(other, wanted, UNORDERED));
    }
    let mut guards = borrow::acquire(BorrowContext::new(function), &entries)?.into_iter();
    let guard = guards.next().expect("one entry at least");
    let companion = guards.next();
    let moves = is_stale && !overwrites;
    let moved = match companion.as_ref().filter(|_| moves) {
        Some(source) => copy(side, &guard, (source, entries[1].id), stream),
        None => Ok(None),
    };
    let transfer = match moved {
        Ok(going) => going.map(|going| going.until),
        Err((failed, until)) => {
            quietly(|| end_failed(guard, companion, failed.wrote, until));
            return Err(failed.status);
        }
    };
    let (version, bytes) = (guard.version(), guard.layout().bytes());
    target.commit(mirror, side, version);
    if moves {
        mirror.change(|sides| note_transfer(sides, side, bytes));
    }
    guard.set_completion(Completion::Mirror);
    let companion = companion.map(InternalGuard::into_guard);
    mirror.begin_writer(Writer { guard: guard.guard(), side, companion, moved: moves, transfer });
    Ok(guard)
}

/// A copy that goes on after the call that enqueued it.
#[derive(Clone, Copy)]
struct Going {
    until: Point,
    /// It still reads the source.
    reads: bool,
}

/// A transfer that failed, and the point until which its stream may use both sides.
type FailedTransfer = (Failed, Option<Point>);

/// The outcome of a copy; none if it is done.
type Moved = core::result::Result<Option<Going>, FailedTransfer>;

/// Copies a side to the one that `onto` has, for the borrow that is about to begin.
fn copy(to: Side, onto: &InternalGuard, (from, source): (&InternalGuard, Id), stream: &StreamArg) -> Moved {
    let nothing = |status| (Failed { status, wrote: false }, None);
    let route = Route::of(stream, &[onto.device(), from.device()], false).map_err(nothing)?;
    borrow::order_after_work(source, false, route.when(true)).map_err(nothing)?;
    move_bytes(to, &route, onto, from)
}

/// Copies between open guards.
fn move_bytes(to: Side, route: &Route, onto: &InternalGuard, from: &InternalGuard) -> Moved {
    let failed = |failed| (failed, route.stream().map(Stream::end_of_use));
    let outstanding = route.copy(onto.memory_view(), from.memory_view()).map_err(failed)?;
    let until = match (outstanding, route.stream()) {
        (Outstanding::Nothing, _) | (_, None) => return Ok(None),
        (_, Some(stream)) => stream.record_point().unwrap_or_else(|_| stream.now()),
    };
    if to == Side::Device {
        return Ok(Some(Going { until, reads: outstanding == Outstanding::Both }));
    }
    until.wait().map_err(|status| failed(Failed { status, wrote: true }))?;
    Ok(None)
}

/// Ends the guards of a borrow that could not begin.
fn end_failed(guard: InternalGuard, companion: Option<InternalGuard>, wrote: bool, until: Option<Point>) {
    let guard = guard.into_guard();
    let mut locked = guard.lock();
    if wrote {
        locked.end_guard_at(guard, true, until);
    } else {
        locked.abandon_guard_at(guard, None);
    }
    drop(locked);
    companion.map(InternalGuard::into_guard).inspect(|companion| companion.lock().abandon_guard_at(companion, until));
}

/// Ends a writer: its side becomes the valid one, and the other side is refreshed if somebody holds it.
pub fn end(function: &'static CStr, ending: Ending) -> Result<()> {
    let Ending { id, guard, locked, failed, stream } = ending;
    let mirror = locked.mirror_of(guard);
    drop(locked);
    let ended = || slots::stale(id, Kind::Borrow);
    let mirror = slot::of_writer(mirror, guard).ok_or_else(ended)?;
    let turn = mirror.turn()?;
    // Another thread may have ended the guard before this one had the turn.
    let is_same = |writer: &Writer| core::ptr::eq(writer.guard, guard) && guard.id() == id;
    let writer = mirror.writer().filter(is_same).ok_or_else(ended)?;
    let ended = end_and_notice(function, &mirror, &writer, failed, &stream);
    drop(turn);
    ended
}

/// Ends a writer whose guard has no handle.
pub fn end_open(
    function: &'static CStr,
    mirror: &MirrorRef,
    guard: &'static Guard,
    failed: bool,
    stream: &StreamArg,
) -> Result<()> {
    let _turn = mirror.turn()?;
    let writer = mirror.writer().filter(|writer| core::ptr::eq(writer.guard, guard)).expect("nobody else ends it");
    end_and_notice(function, mirror, &writer, failed, stream)
}

/// Ends a writer whose guard has no handle, and that wrote nothing.
pub fn abandon(mirror: &MirrorRef, guard: &'static Guard) {
    let writer = mirror.writer().filter(|writer| core::ptr::eq(writer.guard, guard)).expect("nobody else ends it");
    let mut locked = guard.lock();
    if writer.moved {
        // The transfer wrote the side.
        locked.end_guard_at(guard, false, writer.transfer);
        drop(locked);
        mirror.change(|sides| sides.arrays[writer.side.index()].version += 1);
    } else {
        locked.abandon_guard_at(guard, None);
        drop(locked);
    }
    writer.companion.into_iter().for_each(|companion| companion.lock().abandon_guard_at(companion, writer.transfer));
    mirror.end_writer();
}

/// Ends a writer. The caller has the turn.
fn end_and_notice(
    function: &'static CStr,
    mirror: &MirrorRef,
    writer: &Writer,
    failed: bool,
    stream: &StreamArg,
) -> Result<()> {
    let refreshed = end_writer(mirror, writer, failed, stream)?;
    mirror.end_writer();
    if failed && !mirror.is_released() {
        // Whoever holds the side sees the contents of before again, if the other side has them.
        quietly(|| notice(function, mirror)).ok();
    }
    refreshed
}

/// Ends the guards of a writer. An error: they stay open. The inner result is that of the transfer to the other side.
fn end_writer(mirror: &MirrorRef, writer: &Writer, failed: bool, stream: &StreamArg) -> Result<Result<()>> {
    let (side, other) = (writer.side, writer.side.other());
    let guard = InternalGuard::again(writer.guard);
    let (device, version) = (guard.device(), guard.version());
    guard.into_guard();
    let work = stream.on(device)?;
    let refreshed = match writer.companion.filter(|_| !failed) {
        Some(companion) => refresh_if_held(mirror, writer, companion, stream),
        None => Ok(None),
    };
    // Taken after the copy, which runs on that stream too.
    let worked_until = work.map(|stream| ledger::point_behind(stream).unwrap_or_else(|_| stream.now()));
    let (copied_until, read_until) = match &refreshed {
        Ok(copied) => {
            let going = copied.as_ref().and_then(|copied| copied.going);
            (going.map(|going| going.until), going.filter(|going| going.reads).map(|going| going.until))
        }
        Err((_, until)) => (*until, *until),
    };
    let mut locked = writer.guard.lock();
    let until = worked_until.or(writer.transfer);
    if until.is_none() && !failed && read_until.is_some() {
        // The host has written the bytes, and the copy reads them.
        locked.downgrade_guard(writer.guard, true);
    }
    locked.end_guard_at(writer.guard, failed, until.or(read_until));
    drop(locked);
    if let Some(companion) = writer.companion {
        let mut locked = companion.lock();
        match &refreshed {
            Ok(Some(_)) => locked.end_guard_at(companion, false, copied_until),
            Err((failed, _)) if failed.wrote => locked.end_guard_at(companion, true, copied_until),
            _ => locked.abandon_guard_at(companion, copied_until.or(writer.transfer)),
        }
    }
    if !failed {
        mirror.change(|sides| {
            sides.valid = side.bit();
            sides.arrays[side.index()].version = version + 1;
            if let Ok(Some(copied)) = &refreshed {
                sides.arrays[other.index()].version = copied.version + 1;
                note_transfer(sides, other, copied.bytes);
            }
        });
    }
    Ok(refreshed.map(drop).map_err(|(failed, _)| failed.status))
}

/// A transfer that the end of a writer made.
struct Copied {
    /// None if it is done.
    going: Option<Going>,
    /// Version of the store before.
    version: u64,
    bytes: i64,
}

/// Copies the written side to the other one, if somebody holds that.
fn refresh_if_held(
    mirror: &MirrorRef,
    writer: &Writer,
    companion: &'static Guard,
    stream: &StreamArg,
) -> core::result::Result<Option<Copied>, FailedTransfer> {
    let nothing = |status| (Failed { status, wrote: false }, None);
    let other = writer.side.other();
    let array = mirror.sides().array(other).expect("the other side has a guard");
    let found = facts(array, false).map_err(nothing)?;
    if !found.is_held || found.is_constant || mirror.is_released() {
        return Ok(None);
    }
    let (from, onto) = (InternalGuard::again(writer.guard), InternalGuard::again(companion));
    let copied = copy_back(other, (&from, writer.transfer), (&onto, array), stream);
    let (version, bytes) = (found.version, onto.layout().bytes());
    // The guards stay open, whatever the copy did.
    from.into_guard();
    onto.into_guard();
    Ok(Some(Copied { going: copied?, version, bytes }))
}

/// The copy of [`refresh_if_held`]. `transfer`: the point of the one at the beginning of the borrow.
fn copy_back(
    to: Side,
    (from, transfer): (&InternalGuard, Option<Point>),
    (onto, target): (&InternalGuard, Id),
    stream: &StreamArg,
) -> Moved {
    let nothing = |status| (Failed { status, wrote: false }, None);
    let current = transfer::stream_to(to);
    let stream = if stream.is_null() { &current } else { stream };
    let route = Route::of(stream, &[onto.device(), from.device()], false).map_err(nothing)?;
    borrow::order_after_work(target, true, route.when(true)).map_err(nothing)?;
    if let (Some(transfer), Some(stream)) = (transfer, route.stream()) {
        stream.wait_for(transfer).map_err(nothing)?;
    }
    move_bytes(to, &route, onto, from)
}
