//! Writes that copy (COW): the handle moves to bytes of its own, and the other holders keep the old bytes.
//!
//! Contract: the claim is marked as moving. Its old bytes are copied under an internal read guard and no lock. In a
//! second locked section the claim moves to the new store. After a failure the handles are still on their stores, and
//! the copies are freed.

use super::context::{BorrowContext, Entry, List, copy_bytes, guard_params, is_copied_by_host};
use super::rules::Use;
use crate::array;
use crate::copy_stats;
use crate::error::Result;
use crate::layout::{Layout, Order};
use crate::ledger::{self, Claim, InternalGuard, Locked, NewStore, SpareGuard};
use crate::lists;
use crate::pool::{self, Pool};
use crate::sites::Site;
use crate::slots::Id;
use crate::stream::Point;
use crate::thread::Thread;
use crate::types::*;

/// A COW entry in progress.
pub(super) struct Move {
    position: usize,
    why: u32,
    /// The read guard on the old bytes; none with DISCARD.
    source: Option<InternalGuard>,
    /// The point at which a stream has read them.
    read_until: Option<Point>,
    layout: Layout,
    device: tn_device,
    pool: Option<&'static Pool>,
    fresh: Option<NewStore>,
}

impl Move {
    /// Marks a claim as moving, and opens a guard on its old bytes if a spare slot is given.
    pub(super) fn begin(
        locked: &mut Locked,
        claim: &'static Claim,
        position: usize,
        why: u32,
        spare: Option<SpareGuard>,
        layout: Layout,
    ) -> Move {
        locked.begin_move(claim);
        let source = spare.map(|spare| locked.open_internal(spare, guard_params(Use::Read { frozen: false }), claim));
        let ledger = locked.ledger_of(claim);
        let (pool, device) = (locked.pool(ledger), locked.state(ledger).device);
        Move { position, why, source, read_until: None, layout, device, pool, fresh: None }
    }

    /// Counts the copy in the statistics of copies.
    fn count_copy(&self, call: BorrowContext<'_>, thread: &'static Thread, wanted: Use) {
        let bytes = match wanted {
            Use::Write { discard: true, .. } => 0,
            _ => self.layout.bytes() as u64,
        };
        let site = Site::from_number(thread.site());
        let key = copy_stats::Key { function: Some(call.function), site, why: self.why, forced: true };
        copy_stats::note_copy(key, bytes);
    }
}

/// Copies the bytes of all moves, and puts each claim on its new store with the requested guard. A failure restores
/// everything.
pub(super) fn copy_and_move(
    call: BorrowContext<'_>,
    thread: &'static Thread,
    entries: &[Entry],
    claims: &[&'static Claim],
    moves: &mut List<Move>,
    guards: &mut List<Option<InternalGuard>>,
) -> Result<()> {
    // The new stores get handles that only this function knows. Each claim then moves to its store.
    let mut targets: List<Id> = List::new();
    let outcome = copy_all(thread, entries, moves).and_then(|()| {
        lists::reserve(&mut targets, moves.len())?;
        let mut spares: List<SpareGuard> = lists::list(moves.len())?;
        for _ in 0..moves.len() {
            spares.push(SpareGuard::take(thread)?);
        }
        Ok(spares)
    });
    let mut spares = match outcome {
        Ok(spares) => spares,
        Err(status) => {
            cancel_all(claims, moves);
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
            // A handle was released meanwhile: the borrow is stale, and the copies are freed.
            cancel_all(claims, moves);
            for target in targets {
                let _ = array::release_now(target);
            }
            return Err(status);
        }
    };
    for (moving, target) in moves.iter_mut().zip(&targets) {
        let claim = claims[moving.position];
        let to = ledger::find::<Claim>(*target).expect("only this function knows it");
        if let Some(source) = moving.source.take() {
            locked.end_internal_at(source, false, moving.read_until);
        }
        locked.finish_move(claim, to);
        let (spare, params) = (spares.pop().expect("one per move"), guard_params(entries[moving.position].wanted));
        guards[moving.position] = Some(locked.open_internal(spare, params, claim));
    }
    drop(locked);
    moves.iter().for_each(|moving| moving.count_copy(call, thread, entries[moving.position].wanted));
    Ok(())
}

fn copy_all(thread: &'static Thread, entries: &[Entry], moves: &mut List<Move>) -> Result<()> {
    for moving in moves.iter_mut() {
        let pool = pool::like(moving.pool, moving.device)?;
        let when = entries[moving.position].when;
        let by_host = moving.source.is_some() && is_copied_by_host(moving.device, when);
        let stream = when.stream.filter(|_| !by_host);
        let mut fresh = NewStore::allocate_on(thread, stream, pool, &mut moving.layout.like(Order::A)?, false)?;
        if let Some(source) = &moving.source {
            copy_bytes(&mut fresh, source, stream)?;
            moving.read_until = stream.map(|stream| ledger::point_behind(stream).unwrap_or_else(|_| stream.now()));
            moving.read_until.into_iter().for_each(|point| fresh.set_ready(point));
        }
        moving.fresh = Some(fresh);
    }
    Ok(())
}

/// Cancels all moves: the handles stay on their stores, and the copies are freed when their streams are done.
fn cancel_all(claims: &[&'static Claim], moves: &mut List<Move>) {
    for moving in moves.iter_mut() {
        let claim = claims[moving.position];
        let mut locked = claim.lock_moving();
        if let Some(source) = moving.source.take() {
            locked.end_internal_at(source, false, moving.read_until);
        }
        locked.cancel_move(claim);
    }
}
