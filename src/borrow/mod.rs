//! Borrows: guards that control who may use which bytes, how, and for how long.
//!
//! Contract: only a guard or an export gives access to bytes. A region has many readers or one writer. A conflict
//! returns a status code at once; no call waits for another holder. A failing call changes nothing. Any thread may
//! call.
//!
//! | file | contents |
//! |---|---|
//! | `mod` | opening and ending of guards |
//! | `rules` | the table of uses that may coexist |
//! | `context` | what a call passes to open guards |
//! | `acquire` | guards on several arrays, all or none |
//! | `moves` | writes that copy (COW) |
//! | `why` | the holders of a store, and why its bytes may not be overwritten |
//! | `adopt` | whether a shared variable may have the bytes of an array, or needs a copy |
//! | `pass` | how the bytes of an argument reach the body of a function |
//! | `kernel_view` | what a kernel gets of an array |
#![forbid(unsafe_code)]

mod acquire;

mod adopt;

mod context;

mod entries;

pub mod kernel_view;

mod moves;

mod pass;

mod rules;

mod why;

pub use acquire::{abandon, abandon_all, acquire, would_copy};
pub use adopt::{Adopted, Wanted, adopt, check_strict, may_adopt, would_copy as alias_required};
pub use context::{BorrowContext, Entry, List, ShapeCheck, fill, filled, guard_params};
pub use entries::all;
pub use kernel_view::KernelView;
pub use pass::{Argument, Passed, check_left, pass};
pub use rules::{
    Mode, Use, check, check_unwritten, may_begin, order_after_work, wait_or_refuse, why as reasons_against_writing,
    writes_over,
};
pub use why::{
    HolderInfo, Part, Store, Target, all_holders, holder_of_block, holder_of_claim, holder_of_guard, holder_of_promise,
    holders_of, holders_of_array, is_unique, oldest_claim, store_of, why_not,
};

use crate::array;
use crate::error::{Result, fail};
use crate::flags;
use crate::layout::{Layout, even_parts};
use crate::ledger::{
    self, Claim, Class, Completion, Guard, InternalGuard, Locked, LockedSlot, Root, SpareClaim, SpareGuard, SpareRoot,
    UseTime,
};
use crate::slots::Id;
use crate::stream::{Point, Stream, StreamArg};
use crate::thread::{self, Thread};
use crate::types::*;

/// The write that mode bits of C, with TN_WAIT, stand for; TN_ERR_INVALID for bits other than these and `also`.
pub fn mode(bits: u32, also: u32) -> Result<Use> {
    let known = TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD | TN_WAIT | also;
    flags::check("mode", bits, known, &flags::USE)?;
    plain_mode(bits & !also).ok_or_else(|| {
        fail(TN_ERR_INVALID, format_args!("mode {bits:#x} is TN_WRITE_UNIQUE and TN_WRITE_COW at once; choose one"))
    })
}

/// As [`mode`], for the fast path. None: other bits, for the slow path to judge.
#[inline(always)]
pub fn plain_mode(bits: u32) -> Option<Use> {
    let mode = match bits & !(TN_WRITE_DISCARD | TN_WAIT) {
        0 => Mode::Aliased,
        TN_WRITE_UNIQUE => Mode::Unique,
        TN_WRITE_COW => Mode::Cow,
        _ => return None,
    };
    Some(Use::Write { mode, discard: bits & TN_WRITE_DISCARD != 0 })
}

/// As [`mode`] for the flags of a reading borrow.
pub fn reading(flags: u32, also: u32) -> Result<Use> {
    let known = TN_FROZEN | TN_WAIT | also;
    flags::check("flags", flags, known, &flags::USE)?;
    Ok(Use::Read { frozen: flags & TN_FROZEN != 0 })
}

/// The use that the access of a borrow_all's entry stands for; TN_ERR_INVALID for bits that do not go together.
pub fn access(bits: u32) -> Result<Use> {
    let invalid = |why: &str| Err(fail(TN_ERR_INVALID, format_args!("access {bits:#x}: {why}")));
    let modes = bits & (TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD);
    match bits & TN_READ_WRITE {
        0 => invalid("neither TN_READ nor TN_WRITE"),
        TN_READ if modes != 0 => invalid("a write mode goes with TN_WRITE only"),
        TN_READ => reading(bits & !TN_READ, 0),
        _ if bits & TN_FROZEN != 0 => invalid("TN_FROZEN goes with TN_READ alone"),
        TN_WRITE => mode((bits & !TN_WRITE) | TN_WRITE_DISCARD, 0),
        _ => mode(bits & !TN_READ_WRITE, 0),
    }
}

/// Receives the layout of a guard that was just opened.
pub trait LayoutSink {
    /// Called once, perhaps under the ledger's lock. It only writes the caller's outputs.
    fn see(&self, layout: &Layout, device: &tn_device);
}

/// The fast path of a borrow: opens a guard on one array, if the array is live and nothing conflicts.
#[inline(always)]
pub fn open_fast(id: Id, wanted: Use, outputs: &impl LayoutSink) -> Option<Id> {
    let mut one = LockedSlot::<Claim>::live(thread::current(), id)?;
    if one.body().given > 0 || !rules::may_begin(one.body(), one.state(), wanted) {
        return None;
    }
    let guard = one.add_guard(guard_params(wanted))?;
    outputs.see(&one.body().layout, &one.state().device);
    Some(one.publish(guard))
}

/// As [`open_fast`], with a guard of the library itself. Inlined, because its callers pass constant uses.
#[inline(always)]
pub fn open_internal_fast(thread: &'static Thread, id: Id, wanted: Use) -> Option<InternalGuard> {
    let one = LockedSlot::<Claim>::live(thread, id)?;
    if one.body().given > 0 || !rules::may_begin(one.body(), one.state(), wanted) {
        return None;
    }
    one.open_internal(guard_params(wanted))
}

/// As [`open_internal_fast`], for a use in the order of a stream: unfinished work that the stream comes after does not
/// matter. `see` is called last, under the ledger's lock; it says whether the array is the wanted one.
#[inline(always)]
pub fn open_on_stream_fast(
    thread: &'static Thread,
    id: Id,
    wanted: Use,
    stream: &'static Stream,
    see: impl FnOnce(&Layout, tn_device) -> bool,
) -> Option<InternalGuard> {
    let one = LockedSlot::<Claim>::live(thread, id)?;
    let (body, state) = (one.body(), one.state());
    let may_begin = body.given == 0
        && rules::may_begin_beside_records(body, state, wanted)
        && one.comes_after_work(stream, matches!(wanted, Use::Write { .. }))
        && see(&body.layout, state.device);
    if may_begin { one.open_internal(guard_params(wanted)) } else { None }
}

/// The fast path of a borrow with the stream whose handle has these bits: opens a guard beside unfinished work that the
/// stream comes after.
#[inline]
pub fn open_with_stream_fast(id: Id, wanted: Use, stream: u64, outputs: &impl LayoutSink) -> Option<Id> {
    let held = StreamArg::of_handle_alone(stream)?;
    let stream = held.stream();
    if !stream.is_usable() {
        return None;
    }
    let sees_device = |_: &Layout, device| stream.has_gpu_of(device);
    let guard = open_on_stream_fast(thread::current(), id, wanted, stream, sees_device)?;
    outputs.see(guard.layout(), &guard.device());
    Some(guard.publish())
}

/// The fast path of an export: opens it on one array, if the array is live and nothing conflicts. `copy_layout` is
/// called after all other checks, under the ledger's lock.
#[inline(always)]
pub fn export_fast<T>(
    thread: &'static Thread,
    id: Id,
    class: Class,
    copy_layout: impl FnOnce(&Layout, tn_device) -> Option<T>,
) -> Option<(&'static Guard, T)> {
    let wanted = Use::Export { class, unique: false };
    let params = guard_params(wanted);
    let mut one = LockedSlot::<Claim>::live(thread, id)?;
    let reached = ledger::is_reachable(one.state().device);
    if one.body().given > 0 || !reached || !rules::may_begin(one.body(), one.state(), wanted) {
        return None;
    }
    one.add_export(params, copy_layout)
}

/// The slow path of a borrow. A COW write may move the handle to a copy.
#[cold]
#[inline(never)]
pub fn open(
    call: BorrowContext<'_>,
    id: Id,
    stream: Result<StreamArg>,
    wanted: Result<Use>,
    wait: bool,
    outputs: &dyn LayoutSink,
) -> Result<Id> {
    let guard = open_unpublished(call, id, stream, wanted, wait)?;
    outputs.see(guard.layout(), &guard.device());
    Ok(guard.publish())
}

/// As [`open`], with a guard that has no handle yet.
pub fn open_unpublished(
    call: BorrowContext<'_>,
    id: Id,
    stream: Result<StreamArg>,
    wanted: Result<Use>,
    wait: bool,
) -> Result<InternalGuard> {
    ledger::find::<Claim>(id)?;
    // The stream is a handle and the mode an argument, so both are checked before the array's state.
    let (stream, wanted) = (stream?, wanted?);
    let when = when(id, &stream, wait)?;
    Ok(acquire(call, &[Entry::new(id, wanted, when)])?.pop().expect("one entry, one guard"))
}

/// Accepts the bytes of an array as they are: they count as written, so that no part of them is poisoned.
pub fn heal(call: BorrowContext<'_>, id: Id) -> Result<()> {
    let wanted = Use::Write { mode: Mode::Aliased, discard: true };
    let entry = Entry::new(id, wanted, UseTime::HOST);
    acquire(call, &[entry])?.pop().expect("one entry, one guard").end(false);
    Ok(())
}

/// When a use with a stream uses the bytes of an array, which depends on the device of the bytes. `wait`: TN_WAIT.
pub fn when(id: Id, stream: &StreamArg, wait: bool) -> Result<UseTime> {
    if stream.is_null() {
        return Ok(UseTime::HOST.waiting(wait));
    }
    // A handle keeps its device when it moves to a copy.
    Ok(UseTime { stream: stream.on(array::device(id)?)?, ..UseTime::HOST.waiting(wait) })
}

/// TN_ERR_DESTRUCTED or TN_ERR_GIVEN if one of several handles is: the first in the order of checks.
pub fn check_states(n: usize, id: &dyn Fn(usize) -> Id) -> Result<()> {
    let locked = ledger::lock_all(n, &|i| ledger::ledger_of::<Claim>(id(i)))?;
    let states =
        (0..n).map(|i| ledger::find::<Claim>(id(i)).ok().and_then(|claim| array::check_live(&locked, claim).err()));
    let refusal = array::first_refusal(states);
    drop(locked);
    refusal.map_or(Ok(()), |refusal| Err(refusal.into_status()))
}

/// Opens write guards on consecutive parts of an axis, all or none. `visit(i, guard, layout, start, length)` is called
/// for each.
pub fn split(
    call: BorrowContext<'_>,
    id: Id,
    (axis, n): (i32, usize),
    stream: Result<StreamArg>,
    wanted: Result<Use>,
    wait: bool,
    mut visit: impl FnMut(usize, Id, &Layout, i64, i64),
) -> Result<()> {
    let thread = thread::current();
    ledger::find::<ledger::Claim>(id)?;
    let stream = stream?;
    let wanted = wanted?;
    if n == 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("n_parts is 0; ask for at least one part")));
    }
    let whole = array::snapshot(id)?;
    let axis = whole.axis(axis)?;
    // Before a COW write moves the handle, because no allocation may fail after that.
    let parts = Parts::reserve(thread, whole.ndim(), n)?;
    // A guard over the whole array makes all checks and, with COW, the move to a copy. The guards on the parts then
    // replace it.
    let when = when(id, &stream, wait)?;
    let writer = acquire(call, &[Entry::new(id, wanted, when)])?.pop().expect("one entry, one guard");
    let guards = match parts.open(&writer, axis, wanted) {
        Ok(guards) => guards,
        Err(status) => {
            acquire::abandon(writer);
            return Err(status);
        }
    };
    let length = writer.layout().shape()[axis];
    let writer = writer.into_guard();
    let mut locked = writer.lock();
    for (position, (guard, (start, length))) in guards.iter().copied().zip(even_parts(length, n as i64)).enumerate() {
        let id = locked.publish_guard(guard);
        visit(position, id, locked.layout_of(guard), start, length);
    }
    locked.abandon_guard(writer);
    Ok(())
}

/// The slots and memory that the guards on the parts of an array need.
struct Parts {
    spares: Vec<(SpareClaim, SpareGuard)>,
    guards: Vec<&'static Guard>,
    group: SpareGuard,
    root: SpareRoot,
}

impl Parts {
    fn reserve(thread: &'static thread::Thread, ndim: usize, n: usize) -> Result<Parts> {
        let no_memory = |_| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for {n} parts"));
        let mut spares: Vec<(SpareClaim, SpareGuard)> = Vec::new();
        spares.try_reserve_exact(n).map_err(no_memory)?;
        let mut guards: Vec<&'static Guard> = Vec::new();
        guards.try_reserve_exact(n).map_err(no_memory)?;
        for _ in 0..n {
            let mut spare = SpareClaim::take(thread)?;
            *spare.layout() = Layout::room(ndim)?;
            spares.push((spare, SpareGuard::take(thread)?));
        }
        Ok(Parts { spares, guards, group: SpareGuard::take(thread)?, root: Root::spare(thread, ndim)? })
    }

    /// Opens the guards beside the one on the whole array. They have no handles yet.
    fn open(mut self, writer: &InternalGuard, axis: usize, wanted: Use) -> Result<Vec<&'static Guard>> {
        let layout = writer.layout();
        let parts = even_parts(layout.shape()[axis], self.spares.len() as i64);
        for ((spare, _), (start, length)) in self.spares.iter_mut().zip(parts) {
            let fits = spare.layout().set(layout);
            debug_assert!(fits, "a handle keeps its number of axes");
            spare.layout().narrow(axis, start, length)?;
        }
        let mut locked = writer.guard().lock();
        let owner = locked.get(writer.guard()).owner();
        locked.make_root(owner, &mut Some(self.root));
        let discard = matches!(wanted, Use::Write { discard: true, .. });
        let group = locked.add_group(self.group, owner, discard);
        for (spare, guard) in self.spares {
            let guard = locked.add_part(spare, guard, guard_params(wanted), owner, group);
            self.guards.push(guard);
        }
        Ok(self.guards)
    }
}

/// Calls `visit` with the layout and device of an open guard.
pub fn query(id: Id, visit: impl FnOnce(&Layout, tn_device)) -> Result<()> {
    if ledger::find::<Guard>(id)?.is_head() {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("{id} is the guard of a borrow_all, which has several arrays; its views have them all"),
        ));
    }
    let (locked, guard) = ledger::lock::<Guard>(id)?;
    visit(locked.layout_of(guard), locked.state(locked.ledger_of(guard)).device);
    Ok(())
}

/// The view that a kernel gets of the memory of an open guard: `bytes` bytes, for `ndim` axes.
pub fn kernel_view_of(id: Id, ndim: i32, bytes: usize) -> Result<KernelView> {
    ledger::find::<Guard>(id)?;
    kernel_view::check_ndim(ndim)?;
    if bytes != KernelView::bytes(ndim) {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!(
                "bytes is {bytes}, and a view of {ndim} axes has {}; pass sizeof(tn_view)",
                KernelView::bytes(ndim)
            ),
        ));
    }
    let mut found = Ok(None);
    query(id, |layout, device| {
        found = kernel_view::check(layout, ndim).map(|()| Some((KernelView::of(layout), device)))
    })?;
    // No lock is held: the address of page-locked memory may be the driver's knowledge. The caller keeps the guard
    // open.
    let (view, device) = found?.expect("set by the query");
    view.for_devices(device)
}

/// The fast path of [`end`]. False: the slow path knows why.
#[inline(always)]
pub fn end_fast(id: Id, flags: u32) -> bool {
    flags & !TN_END_FAILED == 0
        && LockedSlot::<Guard>::of(thread::current(), id).is_some_and(|one| one.end_guard(flags != 0))
}

/// As [`end_fast`] with the stream whose handle has these bits. Calls no driver.
#[inline]
pub fn end_with_stream_fast(id: Id, flags: u32, stream: u64) -> bool {
    let Some(held) = StreamArg::of_handle_alone(stream).filter(|_| flags == 0) else { return false };
    let stream = held.stream();
    let Some(point) = stream.unrecorded_end() else { return false };
    let ended = LockedSlot::<Guard>::of(thread::current(), id)
        .is_some_and(|one| stream.has_gpu_of(one.state().device) && one.end_on_stream(point));
    if ended {
        ledger::poll_deferred(ledger::POLLED_PER_CALL);
    }
    ended
}

/// Ends a guard of any kind, once. Work on the stream may go on to use the bytes. `complete` ends a guard of one array
/// according to its completion, by default with [`Ending::finish`].
#[cold]
#[inline(never)]
pub fn end(id: Id, flags: u32, stream: Result<StreamArg>, complete: impl FnOnce(Ending) -> Result<()>) -> Result<()> {
    let guard = ledger::find::<Guard>(id)?;
    let stream = stream?;
    flags::check("flags", flags, TN_END_FAILED, &flags::END)?;
    let failed = flags & TN_END_FAILED != 0;
    if guard.is_head() {
        let mut end_points = EndPoints { stream: &stream, known: [None; EndPoints::CAPACITY] };
        if ledger::end_guard_list(id, guard, failed, &mut |device| end_points.point(device))? {
            return Ok(());
        }
        return ledger::find::<Guard>(id).map(drop);
    }
    let (locked, guard) = ledger::lock::<Guard>(id)?;
    complete(Ending { id, guard, locked, failed, stream })
}

/// An open guard of one array that is to be ended, its locked ledger, and the arguments of the call.
pub struct Ending {
    pub(crate) id: Id,
    pub(crate) guard: &'static Guard,
    pub(crate) locked: Locked,
    pub(crate) failed: bool,
    pub(crate) stream: StreamArg,
}

impl Ending {
    /// Who completes the end.
    pub fn completion(&self) -> Completion {
        self.locked.get(self.guard).completion
    }

    /// Ends the guard in the ledger.
    pub fn finish(self) -> Result<()> {
        self.finish_after(Ok)
    }

    /// As [`Ending::finish`]. `before` is called when nothing else can fail; it may unlock once no other thread can end
    /// the guard.
    pub(crate) fn finish_after(self, before: impl FnOnce(Locked) -> Result<Locked>) -> Result<()> {
        let Ending { id, guard, mut locked, failed, stream } = self;
        let mut point = None;
        if !stream.is_null() {
            let device = locked.state(locked.ledger_of(guard)).device;
            // The driver is called under no lock, so another thread may end the guard meanwhile.
            drop(locked);
            point = end_point(&stream, device)?;
            locked = ledger::lock::<Guard>(id)?.0;
        }
        let mut locked = before(locked)?;
        locked.end_guard_at(guard, failed, point);
        drop(locked);
        if point.is_some() {
            // A call that records new work also polls what waits for earlier work.
            ledger::poll_deferred(ledger::POLLED_PER_CALL);
        }
        Ok(())
    }
}

/// The point until which a stream's work on bytes of that device continues; None: it is done.
fn end_point(stream: &StreamArg, device: tn_device) -> Result<Option<Point>> {
    stream.on(device)?.map(ledger::end_point).transpose()
}

/// The end points of a stream's work on several devices, each taken once.
struct EndPoints<'a> {
    stream: &'a StreamArg,
    known: [Option<(tn_device, Option<Point>)>; EndPoints::CAPACITY],
}

impl EndPoints<'_> {
    const CAPACITY: usize = 32;

    /// As [`end_point`].
    fn point(&mut self, device: tn_device) -> Result<Option<Point>> {
        if let Some((_, point)) = self.known.iter().flatten().find(|(known, _)| *known == device) {
            return Ok(*point);
        }
        let point = end_point(self.stream, device)?;
        if let Some(place) = self.known.iter_mut().find(|place| place.is_none()) {
            *place = Some((device, point));
        }
        Ok(point)
    }
}

/// The class of an open guard.
pub fn class(locked: &Locked, guard: &'static Guard) -> Class {
    locked.get(guard).class
}
