//! Borrows: guards that say who may touch which bytes, how, and until when.
//!
//! Contract: a pointer to bytes comes only from a guard or an export. Many readers or one writer per region; a conflict is a status at
//! once, and nothing ever waits for another holder. A failing call changes nothing. `rules` has the table of who may be beside whom,
//! `acquire` opens guards on several arrays at once, `moves` has writers that copy, `why` answers questions about claims. Any thread.
#![forbid(unsafe_code)]

mod acquire;

mod moves;

mod rules;

mod why;

pub use acquire::{BorrowContext, Copier, Entry, List, ShapeCheck, abandon, acquire, terms, would_copy};
pub use rules::{Mode, Use, check, settle};
pub use why::{
    HolderInfo, Store, Target, all_holders, holder_of_block, holder_of_claim, holder_of_guard, holder_of_promise,
    holders_of, is_unique, store_of, why_not,
};

use crate::array;
use crate::error::{Result, fail};
use crate::flags;
use crate::layout::{Layout, even_parts};
use crate::ledger::{
    self, Claim, Class, Entries, Guard, InternalGuard, Locked, One, Order, Spare, SpareGuard, SpareRoot,
};
use crate::slots::Id;
use crate::stream::{Point, Stream};
use crate::thread::{self, Thread};
use crate::types::*;

/// Write modes as C passes them, with TN_WAIT: INVALID names the bits.
pub fn mode(bits: u32, also: u32) -> Result<Use> {
    let known = TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD | TN_WAIT | also;
    flags::check("mode", bits, known, &flags::USE)?;
    let mode = match bits & (TN_WRITE_UNIQUE | TN_WRITE_COW) {
        0 => Mode::Aliased,
        TN_WRITE_UNIQUE => Mode::Unique,
        TN_WRITE_COW => Mode::Cow,
        _ => {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("mode {bits:#x} is TN_WRITE_UNIQUE and TN_WRITE_COW at once; choose one"),
            ));
        }
    };
    Ok(Use::Write { mode, discard: bits & TN_WRITE_DISCARD != 0 })
}

/// Flags of a reading borrow: INVALID names the bits.
pub fn reading(flags: u32) -> Result<Use> {
    let known = TN_FROZEN | TN_WAIT;
    flags::check("flags", flags, known, &flags::USE)?;
    Ok(Use::Read { frozen: flags & TN_FROZEN != 0 })
}

/// The access of a borrow_all's entry: INVALID names the bits.
pub fn access(bits: u32) -> Result<Use> {
    let invalid = |why: &str| Err(fail(TN_ERR_INVALID, format_args!("access {bits:#x}: {why}")));
    let modes = bits & (TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD);
    match bits & TN_READ_WRITE {
        0 => invalid("neither TN_READ nor TN_WRITE"),
        TN_READ if modes != 0 => invalid("a write mode goes with TN_WRITE only"),
        TN_READ => reading(bits & !TN_READ),
        _ if bits & TN_FROZEN != 0 => invalid("TN_FROZEN goes with TN_READ alone"),
        TN_WRITE => mode((bits & !TN_WRITE) | TN_WRITE_DISCARD, 0),
        _ => mode(bits & !TN_READ_WRITE, 0),
    }
}

/// Who is shown the layout of a guard that has just been opened.
pub trait LayoutSink {
    /// Called once, perhaps under the ledger's lock: it writes the caller's outputs and does nothing else. `device`: where the bytes are.
    fn see(&self, layout: &Layout, device: &tn_device);
}

/// Opens a guard on one array, if it is live and nothing is in the way: the short way, which nearly every borrow goes.
#[inline(always)]
pub fn open_free(id: Id, wanted: Use, outputs: &impl LayoutSink) -> Option<Id> {
    let mut one = One::<Claim>::live(thread::current(), id)?;
    if one.body().given > 0 || !rules::is_free(one.body(), one.books(), wanted) {
        return None;
    }
    let guard = one.add_guard(acquire::terms(wanted))?;
    outputs.see(&one.body().layout, &one.books().device);
    Some(one.publish(guard))
}

/// The same for the library's own use. Inlined, since its callers know what they want.
#[inline(always)]
pub fn hold_free(thread: &'static Thread, id: Id, wanted: Use) -> Option<InternalGuard> {
    let one = One::<Claim>::live(thread, id)?;
    if one.body().given > 0 || !rules::is_free(one.body(), one.books(), wanted) {
        return None;
    }
    one.hold(acquire::terms(wanted))
}

/// Opens an export of one array, if it is live and nothing is in the way, whose layout `see` keeps: the short way of exports. It is called
/// once all the rest is sure, under the ledger's lock.
#[inline(always)]
pub fn export_free<T>(
    thread: &'static Thread,
    id: Id,
    class: Class,
    see: impl FnOnce(&Layout) -> Option<T>,
) -> Option<(&'static Guard, T)> {
    let wanted = Use::Export { class, unique: false };
    let terms = acquire::terms(wanted);
    let mut one = One::<Claim>::live(thread, id)?;
    let reached = ledger::is_reachable(one.books().device);
    if one.body().given > 0 || !reached || !rules::is_free(one.body(), one.books(), wanted) {
        return None;
    }
    one.add_export(terms, see)
}

/// Opens a guard on one array, or says what is wrong or in the way; a COW write may move.
#[cold]
#[inline(never)]
pub fn open(
    call: BorrowContext<'_>,
    id: Id,
    stream: Result<Stream>,
    wanted: Result<Use>,
    wait: bool,
    outputs: &dyn LayoutSink,
) -> Result<Id> {
    ledger::find::<Claim>(id)?;
    // The stream is a handle and the mode an argument: both come before what the array's state says.
    let (stream, wanted) = (stream?, wanted?);
    let when = when(id, &stream, wait)?;
    let hold = acquire(call, &[Entry { id, wanted, when }])?.pop().expect("one entry, one guard");
    outputs.see(hold.layout(), &hold.device());
    Ok(hold.publish())
}

/// When bytes of an array are touched that are taken with a stream: that depends on the device they are on. `wait`: TN_WAIT.
pub fn when(id: Id, stream: &Stream, wait: bool) -> Result<Order> {
    if stream.is_null() {
        return Ok(Order::HOST.waiting(wait));
    }
    // A handle keeps its device, also when it moves to a copy.
    let device = array::with(id, |locked, claim| {
        array::check_live(locked, claim)?;
        Ok(locked.books(locked.ledger_of(claim)).device)
    })?;
    Ok(Order { queue: stream.on(device)?, wait })
}

/// DESTRUCTED or GIVEN, if one of several handles is: the first in the order of checks.
pub fn check_states(n: usize, id: &dyn Fn(usize) -> Id) -> Result<()> {
    let locked = ledger::lock_all(n, &|i| ledger::ledger_of::<Claim>(id(i)))?;
    let states =
        (0..n).map(|i| ledger::find::<Claim>(id(i)).ok().and_then(|claim| array::check_live(&locked, claim).err()));
    let refusal = array::first_refusal(states);
    drop(locked);
    refusal.map_or(Ok(()), |refusal| Err(refusal.say()))
}

/// Opens guards on several arrays, all or none, with one handle for all; `visit(i, guard)` sees each.
pub fn all(call: BorrowContext<'_>, entries: &[Entry], mut visit: impl FnMut(usize, &InternalGuard)) -> Result<Id> {
    let thread = thread::current();
    let mut head = Entries::take(thread)?;
    let holds = if entries.is_empty() { List::new() } else { acquire(call, entries)? };
    for (position, hold) in holds.into_iter().enumerate() {
        visit(position, &hold);
        let guard = hold.into_guard();
        head.push(&mut guard.lock(), guard, entries[position].when.queue.is_some());
    }
    Ok(head.publish(ledger::Origin::by(thread)))
}

/// Opens write guards on consecutive parts of an axis, all or none; `visit(i, guard, layout, start, length)` sees each.
pub fn chunks(
    call: BorrowContext<'_>,
    id: Id,
    (axis, n): (i32, usize),
    stream: Result<Stream>,
    wanted: Result<Use>,
    wait: bool,
    mut visit: impl FnMut(usize, Id, &Layout, i64, i64),
) -> Result<()> {
    let thread = thread::current();
    ledger::find::<ledger::Claim>(id)?;
    let stream = stream?;
    let wanted = wanted?;
    if n == 0 {
        return Err(fail(TN_ERR_INVALID, format_args!("n is 0; ask for at least one chunk")));
    }
    let whole = array::snapshot(id)?;
    let axis = whole.axis(axis)?;
    // Before a COW write moves the handle: nothing can fail for want of memory after that.
    let parts = Parts::reserve(thread, whole.ndim(), n)?;
    // The checks of one write over everything, and with COW its move to a copy; the parts then replace that guard.
    let when = when(id, &stream, wait)?;
    let writer = acquire(call, &[Entry { id, wanted, when }])?.pop().expect("one entry, one guard");
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

/// What the guards on the parts of an array need.
struct Parts {
    spares: Vec<(Spare, SpareGuard)>,
    guards: Vec<&'static Guard>,
    group: SpareGuard,
    root: SpareRoot,
}

impl Parts {
    fn reserve(thread: &'static thread::Thread, ndim: usize, n: usize) -> Result<Parts> {
        let no_memory = |_| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for {n} chunks"));
        let mut spares: Vec<(Spare, SpareGuard)> = Vec::new();
        spares.try_reserve_exact(n).map_err(no_memory)?;
        let mut guards: Vec<&'static Guard> = Vec::new();
        guards.try_reserve_exact(n).map_err(no_memory)?;
        for _ in 0..n {
            let mut spare = Spare::take(thread)?;
            *spare.layout() = Layout::room(ndim)?;
            spares.push((spare, SpareGuard::take(thread)?));
        }
        Ok(Parts { spares, guards, group: SpareGuard::take(thread)?, root: SpareRoot::take(thread, ndim)? })
    }

    /// Opens them beside the guard on the whole; they have no handles yet.
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
            let guard = locked.add_part(spare, guard, acquire::terms(wanted), owner, group);
            self.guards.push(guard);
        }
        Ok(self.guards)
    }
}

/// What an open guard gives access to.
pub fn query(id: Id, visit: impl FnOnce(&Layout, tn_device)) -> Result<()> {
    if ledger::find::<Guard>(id)?.is_head() {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("{id} is the guard of a borrow_all, which has several arrays; its views have them all"),
        ));
    }
    let (locked, guard) = ledger::lock::<Guard>(id)?;
    visit(locked.layout_of(guard), locked.books(locked.ledger_of(guard)).device);
    Ok(())
}

/// Ends a guard of any kind, once, whose work is done.
#[inline(always)]
pub fn end(id: Id, flags: u32) -> Result<()> {
    if flags & !TN_END_FAILED == 0
        && let Some(one) = One::<Guard>::of(thread::current(), id)
        && one.end_guard(flags != 0)
    {
        return Ok(());
    }
    end_slow(id, flags, Ok(Stream::Now))
}

/// The same with a stream, whose work on the bytes may go on, and where something is wrong, or more ends than the guard.
#[cold]
#[inline(never)]
pub fn end_slow(id: Id, flags: u32, stream: Result<Stream>) -> Result<()> {
    let guard = ledger::find::<Guard>(id)?;
    let stream = stream?;
    flags::check("flags", flags, TN_END_FAILED, &flags::END)?;
    let failed = flags & TN_END_FAILED != 0;
    let mut marks = Marks { stream: &stream, known: [None; Marks::ROOM] };
    if guard.is_head() {
        if ledger::end_entries(id, guard, failed, &mut |device| marks.point(device))? {
            return Ok(());
        }
        return ledger::find::<Guard>(id).map(drop);
    }
    let mut point = None;
    if !stream.is_null() {
        let (locked, guard) = ledger::lock::<Guard>(id)?;
        let device = locked.books(locked.ledger_of(guard)).device;
        drop(locked);
        point = marks.point(device)?;
    }
    let (mut locked, guard) = ledger::lock::<Guard>(id)?;
    locked.end_guard_at(guard, failed, point);
    drop(locked);
    if point.is_some() {
        // What waits for earlier work is looked at when more is recorded.
        ledger::look_again(ledger::FEW);
    }
    Ok(())
}

/// The queues that a stream stands for on several devices, each marked once.
struct Marks<'a> {
    stream: &'a Stream,
    known: [Option<(tn_device, Option<Point>)>; Marks::ROOM],
}

impl Marks<'_> {
    const ROOM: usize = 32;

    /// Until when work on bytes of that device goes on; None: it is done.
    fn point(&mut self, device: tn_device) -> Result<Option<Point>> {
        if let Some((_, point)) = self.known.iter().flatten().find(|(known, _)| *known == device) {
            return Ok(*point);
        }
        let point = match self.stream.on(device)? {
            Some(queue) => Some(ledger::point_behind(queue)?),
            None => None,
        };
        if let Some(place) = self.known.iter_mut().find(|place| place.is_none()) {
            *place = Some((device, point));
        }
        Ok(point)
    }
}

/// The class and place of an open guard, for reports.
pub fn class(locked: &Locked, guard: &'static Guard) -> Class {
    locked.get(guard).class
}
