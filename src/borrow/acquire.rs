//! Opening guards on several arrays at once, all or none: what `borrow_all` does, and every call that reads one array and writes
//! another.
//!
//! In order: reserve slots, lock all ledgers ascending, check every entry, decide for each COW entry whether it copies, open the
//! guards. Where device work is in the way: unlock, wait for it as far as the entries do, and begin again. Entries that copy go on in
//! `moves`. If anything fails there, everything is as before.

use super::moves::{self, Move, copy_there};
use super::rules::{self, Mode, Use};
use crate::array::{self, Checked, Holder, Refusal, Why};
use crate::error::{Result, Status, fail};
use crate::layout::Layout;
use crate::ledger::{
    self, Claim, Class, GuardParams, InternalGuard, Locked, NewStore, Order as When, Points, SpareGuard,
};
use crate::region;
use crate::slots::Id;
use crate::stream::Queue;
use crate::thread;
use crate::types::*;
use core::ffi::CStr;
use smallvec::SmallVec;

/// One array and what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The handle.
    pub id: Id,
    /// What for.
    pub wanted: Use,
    /// When its bytes will be touched.
    pub when: When,
}

impl Entry {
    /// For the host, now.
    pub fn now(id: Id, wanted: Use) -> Entry {
        Entry { id, wanted, when: When::HOST }
    }
}

/// How a COW entry's bytes get into its new store: done on return without a queue, else in the queue's order.
pub type Copier = fn(to: &mut NewStore, from: &InternalGuard, queue: Option<&'static Queue>) -> Result<()>;

/// What a list of entries is opened for.
#[derive(Clone, Copy)]
pub struct BorrowContext<'a> {
    /// The tn_ function, for the copy book.
    pub function: &'static CStr,
    /// Entries may overlap one another: a copy within one store orders itself.
    pub may_overlap: bool,
    /// Checks the arguments against the arrays: after their states, before what others do with them.
    pub fits: Option<&'a ShapeCheck<'a>>,
    /// Who copies for COW.
    pub copier: Copier,
    /// The host touches the bytes: arrays on a device that it cannot reach are refused.
    pub by_host: bool,
}

impl<'a> BorrowContext<'a> {
    /// Entries that may not overlap, with nothing to check but what others do with them.
    pub fn new(function: &'static CStr) -> BorrowContext<'a> {
        BorrowContext { function, may_overlap: false, fits: None, copier: copy_there, by_host: false }
    }

    /// The same for work of the host on the bytes.
    pub fn by_host(function: &'static CStr) -> BorrowContext<'a> {
        BorrowContext { by_host: true, ..BorrowContext::new(function) }
    }
}

/// See [`BorrowContext::fits`].
pub type ShapeCheck<'a> = dyn Fn(&Locked, &[&'static Claim]) -> Checked<()> + 'a;

/// Lists of up to so many entries need no memory of their own.
pub type List<T> = SmallVec<[T; 4]>;

/// The terms of a guard for a use.
pub fn terms(wanted: Use) -> GuardParams {
    match wanted {
        Use::Read { frozen } => GuardParams { class: Class::Read, frozen, discard: false, time_ns: 0 },
        Use::Write { discard, .. } => GuardParams { class: Class::Write, frozen: false, discard, time_ns: 0 },
        Use::Export { class, .. } => {
            GuardParams { class, frozen: false, discard: false, time_ns: crate::sys::os::coarse_time_ns() }
        }
    }
}

/// How an entry is served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    InPlace,
    Copy { why: u32, discard: bool },
}

/// An empty list with room for `n`.
pub(super) fn list<T>(n: usize) -> Result<List<T>> {
    let mut list = List::new();
    ledger::reserve(&mut list, n)?;
    Ok(list)
}

/// Opens a guard for every entry, all or none, in the order of the entries.
pub fn acquire(call: BorrowContext<'_>, entries: &[Entry]) -> Result<List<InternalGuard>> {
    let thread = thread::current();
    let n = entries.len();
    let mut rooms: List<Layout> = list(n)?;
    for _ in entries {
        rooms.push(Layout::EMPTY);
    }
    let mut points = Points::default();
    loop {
        let mut spares: List<SpareGuard> = list(2 * n)?;
        for _ in 0..2 * n {
            spares.push(SpareGuard::take(thread)?);
        }
        let mut plans: List<Plan> = list(n)?;
        let mut claims: List<&'static Claim> = list(n)?;
        let mut holds: List<Option<InternalGuard>> = list(n)?;
        let mut moves: List<Move> = list(n)?;
        let mut out: List<InternalGuard> = list(n)?;

        let mut locked = ledger::lock_all(n, &|i| ledger::ledger_of::<Claim>(entries[i].id))?;
        for entry in entries {
            // Locked and found a moment ago; only a released handle can be missing, and then the list is tried again.
            match ledger::find::<Claim>(entry.id) {
                Ok(claim) => claims.push(claim),
                Err(_) => break,
            }
        }
        if claims.len() < n {
            continue;
        }
        for claim in &claims {
            let ledger = locked.ledger_of(*claim);
            locked.sweep(ledger);
        }
        let outcome = check(call, &locked, entries, &claims, &mut plans, &mut points);
        if outcome.is_err() || !points.is_empty() {
            drop(locked);
            rules::settle(outcome, &mut points)?;
            continue;
        }
        // Layouts that lie outside their slots need room before they can be copied under the lock.
        let small = (0..n).find(|i| plans[*i] != Plan::InPlace && !rooms[*i].set(&locked.get(claims[*i]).layout));
        if let Some(position) = small {
            let ndim = locked.get(claims[position]).layout.ndim();
            drop(locked);
            rooms[position] = Layout::room(ndim)?;
            continue;
        }
        for position in 0..n {
            let claim = claims[position];
            let mut spare = || spares.pop().expect("two spares per entry");
            match plans[position] {
                Plan::InPlace => {
                    holds.push(Some(locked.hold(spare(), terms(entries[position].wanted), claim)));
                }
                Plan::Copy { why, discard } => {
                    let source = (!discard).then(&mut spare);
                    let layout = core::mem::replace(&mut rooms[position], Layout::EMPTY);
                    moves.push(Move::begin(&mut locked, claim, position, why, source, layout));
                    holds.push(None);
                }
            }
        }
        drop(locked);
        if !moves.is_empty()
            && let Err(status) = moves::finish(call, thread, entries, &claims, &mut moves, &mut holds)
        {
            for hold in holds.into_iter().flatten() {
                abandon(hold);
            }
            return Err(status);
        }
        out.extend(holds.into_iter().flatten());
        return Ok(out);
    }
}

/// Ends a guard whose bytes were not touched.
pub fn abandon(hold: InternalGuard) {
    let guard = hold.into_guard();
    let mut locked = guard.lock();
    // As a reader would: nothing was written, so no version moves and no poison heals.
    locked.abandon_guard(guard);
}

/// Checks every entry, in the order of the header, and decides for each COW entry whether it copies.
fn check(
    call: BorrowContext<'_>,
    locked: &Locked,
    entries: &[Entry],
    claims: &[&'static Claim],
    plans: &mut List<Plan>,
    points: &mut Points,
) -> Checked<()> {
    let state = claims.iter().map(|claim| array::check_live(locked, claim).err());
    if let Some(refusal) = array::first_refusal(state) {
        return Err(refusal);
    }
    if let Some(fits) = call.fits {
        fits(locked, claims)?;
    }
    if call.by_host {
        for claim in claims {
            array::check_reach(locked, claim)?;
        }
    }
    let mut refusals: Option<Refusal> = None;
    let mut add = |refusal: Refusal| {
        let worst = refusals.take();
        refusals = array::first_refusal([worst, Some(refusal)].into_iter());
    };
    for (entry, claim) in entries.iter().zip(claims) {
        let mut plan = Plan::InPlace;
        if let Use::Write { mode: Mode::Cow, discard } = entry.wanted
            && rules::check(locked, claim, entry.wanted, entry.when.waiting(true), &mut Points::default()).is_err()
        {
            // More than unfinished work is in the way of writing in place.
            plan = Plan::Copy { why: rules::why(locked, claim), discard };
            // What the host reaches it copies itself, now.
            let reached = ledger::is_reachable(locked.books(locked.ledger_of(*claim)).device);
            let when = if reached { When::HOST.waiting(entry.when.wait) } else { entry.when };
            if let Err(refusal) = rules::check_copy(locked, claim, discard, when, points) {
                add(refusal);
            }
        } else if let Err(refusal) = rules::check(locked, claim, entry.wanted, entry.when, points) {
            add(refusal);
        }
        plans.push(plan);
    }
    if !call.may_overlap {
        for j in 1..entries.len() {
            for i in 0..j {
                if clash(locked, (entries[i], claims[i], plans[i]), (entries[j], claims[j], plans[j])) {
                    add(Refusal::By(Holder {
                        status: TN_ERR_ALIASED,
                        subject: locked.get(claims[j]).name,
                        name: locked.get(claims[i]).name,
                        made: locked.get(claims[i]).made,
                        count: 1,
                        why: 0,
                        cow: false,
                    }));
                }
            }
        }
    }
    let copies = plans.iter().position(|plan| *plan != Plan::InPlace);
    if let Some(position) = copies
        && thread::current().forbids() > 0
    {
        add(rules::would_copy(locked, claims[position]));
    }
    if let Some(refusal) = refusals {
        return Err(refusal);
    }
    for queue in entries.iter().filter_map(|entry| entry.when.queue) {
        queue.gpu().alive()?;
    }
    Ok(())
}

/// The status of a copy that the thread has forbidden.
#[cold]
pub fn would_copy(why: u32) -> Status {
    fail(
        TN_ERR_WOULD_COPY,
        format_args!("this would copy ({}), and the thread forbids copies (tn_copies_forbid)", Why(why)),
    )
}

/// Whether two entries of one list stand in each other's way.
fn clash(
    locked: &Locked,
    (a, claim_a, plan_a): (Entry, &'static Claim, Plan),
    (b, claim_b, plan_b): (Entry, &'static Claim, Plan),
) -> bool {
    let copies = |plan| plan != Plan::InPlace;
    if core::ptr::eq(claim_a, claim_b) && (copies(plan_a) || copies(plan_b)) {
        return true;
    }
    // A copying entry reads its old bytes, with DISCARD not even that.
    let touches = |plan| !matches!(plan, Plan::Copy { discard: true, .. });
    let writes = |entry: Entry, plan| matches!(entry.wanted, Use::Write { .. }) && plan == Plan::InPlace;
    (writes(a, plan_a) || writes(b, plan_b))
        && touches(plan_a)
        && touches(plan_b)
        && core::ptr::eq(locked.ledger_of(claim_a), locked.ledger_of(claim_b))
        && !region::disjoint(locked.region(claim_a), locked.region(claim_b))
}
