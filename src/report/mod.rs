//! Reports: who holds what, what was not given back, and what was copied at borders. Reads the tables; changes nothing.
//!
//! | file | what |
//! |---|---|
//! | `mod` | what was not given back |
//! | `snapshot` | everything at this moment, as JSON |
//! | `json` | commas, quotes and escapes |
#![forbid(unsafe_code)]

mod json;

mod snapshot;

pub use snapshot::write;

use crate::array::HOST;
use crate::borrow::{HolderInfo, holder_of_block, holder_of_claim, holder_of_guard, holder_of_promise};
use crate::error::{Result, fail};
#[cfg(not(loom))]
use crate::expr;
use crate::ledger::{self, Claim, Guard, Promise, Weak};
use crate::pool;
use crate::slots::{Slot, State, Table};
use crate::thread;
use crate::types::*;

/// Everything that is out: handles, guards, exports, promises, weak handles, scopes, expressions, pools, raw blocks, queued releases.
pub fn leaks(visit: &mut dyn FnMut(HolderInfo)) {
    Table::<Claim>::each(|claim| each_claim(claim, false, visit));
    Table::<Guard>::each(|guard| {
        if let Some(held) = ledger::look(guard, |locked| holder_of_guard(locked, guard)) {
            visit(held);
        } else {
            each_group(guard, visit);
        }
    });
    Table::<Promise>::each(|promise| each_promise(promise, false, visit));
    beside_stores(visit);
    pool::each_block(|block| {
        if block.owner == 0 {
            visit(holder_of_block(block));
        }
    });
    queued(visit);
}

/// What is out and holds no bytes: spent handles and promises, the heads of guards over several arrays, and what else is no holder
/// of a store.
fn loose(visit: &mut dyn FnMut(HolderInfo)) {
    Table::<Claim>::each(|claim| each_claim(claim, true, visit));
    Table::<Guard>::each(|guard| {
        if ledger::look(guard, |_| ()).is_none() {
            each_group(guard, visit);
        }
    });
    Table::<Promise>::each(|promise| each_promise(promise, true, visit));
    beside_stores(visit);
    queued(visit);
}

fn out(state: State) -> bool {
    matches!(state, State::Live | State::Spent)
}

/// Something without bytes and without a name.
fn bare(kind: i32, id: u64, made: ledger::Origin) -> HolderInfo {
    HolderInfo { kind, device: HOST, id, bytes: 0, made, time_ns: 0, name: crate::names::Name::NONE, registered: 0 }
}

fn each_claim(claim: &'static Claim, only_spent: bool, visit: &mut dyn FnMut(HolderInfo)) {
    if out(claim.head().state())
        && let Ok((locked, claim)) = ledger::lock::<Claim>(claim.id())
        && (!only_spent || ledger::is_spent(claim))
    {
        visit(holder_of_claim(&locked, claim));
    }
}

fn each_promise(promise: &'static Promise, only_spent: bool, visit: &mut dyn FnMut(HolderInfo)) {
    if out(promise.head().state())
        && let Ok((locked, promise)) = ledger::lock::<Promise>(promise.id())
        && (!only_spent || ledger::is_spent(promise))
    {
        visit(holder_of_promise(&locked, promise));
    }
}

fn each_group(guard: &'static Guard, visit: &mut dyn FnMut(HolderInfo)) {
    if out(guard.head().state()) && guard.is_head() {
        visit(bare(TN_HOLDER_GUARD_WRITE, guard.id().bits(), ledger::made_of_head(guard)));
    }
}

/// Weak handles, scopes, expressions, pools.
fn beside_stores(visit: &mut dyn FnMut(HolderInfo)) {
    Table::<Weak>::each(|weak| {
        if out(weak.head().state())
            && let Ok((locked, weak)) = ledger::lock::<Weak>(Slot::id(weak))
        {
            let body = locked.get(weak);
            visit(HolderInfo { name: body.name, ..bare(TN_HOLDER_WEAK, Slot::id(weak).bits(), body.made) });
        }
    });
    ledger::each_scope(|id, made| visit(bare(TN_HOLDER_SCOPE, id.bits(), made)));
    #[cfg(not(loom))]
    expr::each_open(visit);
    pool::each_open(|opened| {
        let made = ledger::Origin { site: opened.site.number(), thread: opened.thread };
        visit(HolderInfo {
            device: opened.pool.device(),
            time_ns: opened.time_ns,
            name: opened.pool.name(),
            ..bare(TN_HOLDER_POOL, opened.id.bits(), made)
        });
    });
}

fn queued(visit: &mut dyn FnMut(HolderInfo)) {
    let mut waiting = |bytes, made| visit(HolderInfo { bytes, ..bare(TN_HOLDER_QUEUED_RELEASE, 0, made) });
    ledger::each_queued(&mut waiting);
    // For the device, and then for a later call.
    ledger::each_lingering(&mut waiting);
}

/// Forced copies are refused on this thread until as many calls with `false` have come.
pub fn forbid_copies(on: bool) -> Result<()> {
    let thread = thread::current();
    let count = thread.forbids();
    let next = if on { count.checked_add(1) } else { count.checked_sub(1) };
    match next {
        Some(next) => {
            thread.set_forbids(next);
            Ok(())
        }
        None => Err(fail(TN_ERR_INVALID, format_args!("copies are not forbidden on this thread; call with 1 first"))),
    }
}
