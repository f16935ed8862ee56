//! Guards on several arrays, opened all or none: for `borrow_all`, and for every call that reads one array and writes
//! another.
//!
//! The steps: reserve slots, lock all ledgers in ascending order, check every entry, decide for each COW entry whether
//! it copies, open the guards. If device work has to come first, the function unlocks, waits if the entries allow it,
//! and starts again. Entries that copy continue in `moves`; a failure there restores everything.

use super::context::{BorrowContext, Entry, List, guard_params, is_copied_by_host};
use super::moves::{self, Move};
use super::rules::{self, Mode, Use};
use crate::array::{self, Checked, Refusal, Why};
use crate::error::{Result, Status, fail, quietly};
use crate::layout::Layout;
use crate::ledger::{self, Claim, InternalGuard, Locked, Points, SpareGuard, UseTime};
use crate::lists;
use crate::region;
use crate::thread;
use crate::types::*;

/// Whether an entry is served in place or by a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    InPlace,
    Copy { why: u32, discard: bool },
}

/// Opens a guard for every entry, all or none, in the order of the entries.
pub fn acquire(call: BorrowContext<'_>, entries: &[Entry]) -> Result<List<InternalGuard>> {
    let thread = thread::current();
    let n = entries.len();
    let mut layouts: List<Layout> = lists::list(n)?;
    for _ in entries {
        layouts.push(Layout::EMPTY);
    }
    let mut points = Points::default();
    loop {
        let mut spares: List<SpareGuard> = lists::list(2 * n)?;
        for _ in 0..2 * n {
            spares.push(SpareGuard::take(thread)?);
        }
        let mut plans: List<Plan> = lists::list(n)?;
        let mut claims: List<&'static Claim> = lists::list(n)?;
        let mut guards: List<Option<InternalGuard>> = lists::list(n)?;
        let mut moves: List<Move> = lists::list(n)?;
        let mut out: List<InternalGuard> = lists::list(n)?;

        let mut locked = ledger::lock_all(n, &|i| ledger::ledger_of::<Claim>(entries[i].id))?;
        for entry in entries {
            // Only a handle that was released meanwhile is missing, and then the loop starts again.
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
            locked.drop_passed_work(ledger);
        }
        let outcome = check(call, &locked, entries, &claims, &mut plans, &mut points);
        if outcome.is_err() || !points.is_empty() {
            rules::wait_or_refuse(locked, outcome, &mut points)?;
            continue;
        }
        // Layouts outside of their slots need memory, which is allocated under no lock.
        let small = (0..n).find(|i| plans[*i] != Plan::InPlace && !layouts[*i].set(&locked.get(claims[*i]).layout));
        if let Some(position) = small {
            let ndim = locked.get(claims[position]).layout.ndim();
            drop(locked);
            layouts[position] = Layout::room(ndim)?;
            continue;
        }
        for position in 0..n {
            let claim = claims[position];
            let mut spare = || spares.pop().expect("two spares per entry");
            match plans[position] {
                Plan::InPlace => {
                    guards.push(Some(locked.open_internal(spare(), guard_params(entries[position].wanted), claim)));
                }
                Plan::Copy { why, discard } => {
                    let source = (!discard).then(&mut spare);
                    let layout = core::mem::replace(&mut layouts[position], Layout::EMPTY);
                    moves.push(Move::begin(&mut locked, claim, position, why, source, layout));
                    guards.push(None);
                }
            }
        }
        drop(locked);
        if !moves.is_empty()
            && let Err(status) = moves::copy_and_move(call, thread, entries, &claims, &mut moves, &mut guards)
        {
            abandon_all(guards.into_iter().flatten());
            return Err(status);
        }
        out.extend(guards.into_iter().flatten());
        return Ok(out);
    }
}

/// Ends a guard whose bytes were not used.
pub fn abandon(guard: InternalGuard) {
    let guard = guard.into_guard();
    let mut locked = guard.lock();
    // Ends like a reader: the version stays, and no poison is cleared.
    locked.abandon_guard(guard);
}

/// Ends guards whose bytes were not used, and keeps the error message.
#[cold]
pub fn abandon_all(guards: impl Iterator<Item = InternalGuard>) {
    quietly(|| guards.for_each(abandon));
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
    if let Some(check_shapes) = call.check_shapes {
        check_shapes(locked, claims)?;
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
            // More than unfinished device work prevents writing in place.
            plan = Plan::Copy { why: rules::why(locked, claim), discard };
            let device = locked.state(locked.ledger_of(*claim)).device;
            let by_host = is_copied_by_host(device, entry.when);
            let when = if by_host { UseTime::HOST.waiting(entry.when.wait) } else { entry.when };
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
                if conflict(locked, (entries[i], claims[i], plans[i]), (entries[j], claims[j], plans[j])) {
                    let names = [locked.get(claims[i]).name, locked.get(claims[j]).name];
                    add(Refusal::Overlap { places: [i, j], names });
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
    for stream in entries.iter().filter_map(|entry| entry.when.stream) {
        stream.gpu().alive()?;
    }
    call.check_last.map_or(Ok(()), |check_last| check_last())?;
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

/// Whether two entries of one list conflict.
fn conflict(
    locked: &Locked,
    (a, claim_a, plan_a): (Entry, &'static Claim, Plan),
    (b, claim_b, plan_b): (Entry, &'static Claim, Plan),
) -> bool {
    let copies = |plan| plan != Plan::InPlace;
    if core::ptr::eq(claim_a, claim_b) && (copies(plan_a) || copies(plan_b)) {
        return true;
    }
    // An entry that copies reads its old bytes, unless it discards them.
    let touches = |plan| !matches!(plan, Plan::Copy { discard: true, .. });
    let writes = |entry: Entry, plan| matches!(entry.wanted, Use::Write { .. }) && plan == Plan::InPlace;
    let is_intended = || a.may_overlap(b) || b.may_overlap(a);
    (writes(a, plan_a) || writes(b, plan_b))
        && touches(plan_a)
        && touches(plan_b)
        && core::ptr::eq(locked.ledger_of(claim_a), locked.ledger_of(claim_b))
        && !region::disjoint(locked.region(claim_a), locked.region(claim_b))
        && !is_intended()
}
