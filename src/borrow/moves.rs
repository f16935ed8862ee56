//! Writers that copy (COW): the handle moves to bytes of its own, and the others keep the old ones.
//!
//! Contract: the claim is marked as moving, its old bytes are read under a guard of the library's own, copied under no lock, and the claim
//! takes its new store's place in a second locked section. If anything fails, the handles stay on their stores and the copies are nobody's.

use super::acquire::{BorrowContext, Entry, List, list, terms};
use super::rules::Use;
use crate::array;
use crate::blit;
use crate::copy_stats;
use crate::device_copy::{self, Outstanding};
use crate::error::{Result, drafted, fail};
use crate::layout::{Layout, Order};
use crate::ledger::{self, Claim, InternalGuard, Locked, NewStore, SpareGuard};
use crate::names::Site;
use crate::pool::{self, Pool};
use crate::slots::Id;
use crate::stream::{self, Point, Queue};
use crate::thread::Thread;
use crate::types::*;

/// A COW entry under way.
pub(super) struct Move {
    position: usize,
    why: u32,
    /// The old bytes, read until they are copied; none with DISCARD.
    source: Option<InternalGuard>,
    /// When a queue has read them.
    read_until: Option<Point>,
    layout: Layout,
    device: tn_device,
    pool: Option<&'static Pool>,
    fresh: Option<NewStore>,
}

impl Move {
    /// Marks a claim as moving, and opens a guard on its old bytes where a spare slot is given for one.
    pub(super) fn begin(
        locked: &mut Locked,
        claim: &'static Claim,
        position: usize,
        why: u32,
        spare: Option<SpareGuard>,
        layout: Layout,
    ) -> Move {
        locked.begin_move(claim);
        let source = spare.map(|spare| locked.hold(spare, terms(Use::Read { frozen: false }), claim));
        let ledger = locked.ledger_of(claim);
        let (pool, device) = (locked.pool(ledger), locked.books(ledger).device);
        Move { position, why, source, read_until: None, layout, device, pool, fresh: None }
    }

    /// Writes the copy into the copy book.
    fn note(&self, call: BorrowContext<'_>, thread: &'static Thread, wanted: Use) {
        let bytes = match wanted {
            Use::Write { discard: true, .. } => 0,
            _ => self.layout.bytes() as u64,
        };
        let site = Site::from_number(thread.site());
        let key = copy_stats::Key { function: Some(call.function), site, why: self.why, forced: true };
        copy_stats::note_copy(key, bytes);
    }
}

/// Copies the bytes of all moves, and puts each claim on its new store with the guard that was asked for. On failure everything is as before.
pub(super) fn finish(
    call: BorrowContext<'_>,
    thread: &'static Thread,
    entries: &[Entry],
    claims: &[&'static Claim],
    moves: &mut List<Move>,
    holds: &mut List<Option<InternalGuard>>,
) -> Result<()> {
    // The new stores get handles that nobody knows; each claim then takes its store's place.
    let mut targets: List<Id> = List::new();
    let outcome = copy_all(call, thread, entries, moves).and_then(|()| {
        ledger::reserve(&mut targets, moves.len())?;
        let mut spares: List<SpareGuard> = list(2 * moves.len())?;
        for _ in 0..2 * moves.len() {
            spares.push(SpareGuard::take(thread)?);
        }
        Ok(spares)
    });
    let mut spares = match outcome {
        Ok(spares) => spares,
        Err(status) => {
            cancel(entries, claims, moves);
            return Err(status);
        }
    };
    for moving in moves.iter_mut() {
        let fresh = moving.fresh.take().expect("copied above");
        targets.push(fresh.finish());
    }
    let ledger_of = |i: usize| {
        let target = targets.get(i).copied();
        ledger::ledger_of::<Claim>(target.unwrap_or_else(|| entries[moves[i - targets.len()].position].id))
    };
    let both = ledger::lock_all(2 * targets.len(), &ledger_of);
    let mut locked = match both {
        Ok(locked) => locked,
        Err(status) => {
            // One of the handles was released meanwhile: the borrow is stale, and the copies are nobody's.
            cancel(entries, claims, moves);
            for target in targets {
                let _ = array::release_now(target);
            }
            return Err(status);
        }
    };
    for (moving, target) in moves.iter_mut().zip(&targets) {
        let claim = claims[moving.position];
        let to = ledger::find::<Claim>(*target).expect("nobody else knows it");
        if let Some(source) = moving.source.take() {
            locked.end_hold_at(source, false, moving.read_until);
        }
        locked.finish_move(claim, to);
        let mut spare = || spares.pop().expect("two per move");
        if let Some(point) = moving.read_until {
            // The copy is work on the new bytes, whatever its caller says of its own.
            let copying = locked.hold(spare(), terms(entries[moving.position].wanted), claim);
            locked.end_hold_at(copying, false, Some(point));
        }
        holds[moving.position] = Some(locked.hold(spare(), terms(entries[moving.position].wanted), claim));
    }
    drop(locked);
    moves.iter().for_each(|moving| moving.note(call, thread, entries[moving.position].wanted));
    Ok(())
}

fn copy_all(call: BorrowContext<'_>, thread: &'static Thread, entries: &[Entry], moves: &mut List<Move>) -> Result<()> {
    for moving in moves.iter_mut() {
        let pool = match moving.pool {
            Some(pool) => pool,
            None => pool::current(moving.device)?,
        };
        // The host needs bytes that nobody works on any more.
        let by_host = moving.source.is_some() && ledger::is_reachable(moving.device);
        let queue = entries[moving.position].when.queue.filter(|_| !by_host);
        let mut fresh = NewStore::allocate_on(thread, queue, pool, &mut moving.layout.like(Order::A)?, false)?;
        if let Some(source) = &moving.source {
            (call.copier)(&mut fresh, source, queue)?;
            moving.read_until = queue.map(|queue| ledger::point_behind(queue).unwrap_or_else(|_| queue.now()));
        }
        moving.fresh = Some(fresh);
    }
    Ok(())
}

/// Everything as before: the handles stay on their stores.
fn cancel(entries: &[Entry], claims: &[&'static Claim], moves: &mut List<Move>) {
    for moving in moves.iter_mut() {
        debug_assert!(moving.position < entries.len());
        // Its copy goes on, and the new bytes are nobody's from here on.
        let _ = moving.read_until.map(Point::wait);
        let claim = claims[moving.position];
        let mut locked = claim.lock_moving();
        if let Some(source) = moving.source.take() {
            locked.end_hold(source, false);
        }
        locked.cancel_move(claim);
    }
}

/// Copies by the host what it can reach; what it cannot, on the queue, or on the thread's current one, which is then waited for.
pub(super) fn copy_there(to: &mut NewStore, from: &InternalGuard, queue: Option<&'static Queue>) -> Result<()> {
    let on = match (ledger::is_reachable(to.device()), queue) {
        (true, _) => return blit::copy(&to.place()?, &from.place()?),
        (false, Some(queue)) => queue,
        (false, None) => stream::current(to.device())?,
    };
    match device_copy::copy(on, &to.memory_view()?, &from.memory_view()?, false) {
        Ok(Outstanding::Nothing) => Ok(()),
        Ok(_) if queue.is_some() => Ok(()),
        Ok(_) => on.synchronize(),
        Err(failed) => {
            // The new bytes go back, and no work may be left on them.
            let text = drafted();
            let _ = on.synchronize();
            Err(fail(failed.status.code(), format_args!("{}", text.as_str())))
        }
    }
}
