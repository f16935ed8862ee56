//! Handles, blocks and releases that are still open, for reports and leak checks.

use crate::array::HOST;
use crate::borrow::{HolderInfo, holder_of_block, holder_of_claim, holder_of_guard, holder_of_promise};
#[cfg(feature = "managed")]
use crate::expr;
#[cfg(feature = "managed")]
use crate::function;
use crate::layout::Form;
use crate::ledger::{self, Claim, Guard, Promise, Weak};
#[cfg(feature = "managed")]
use crate::module;
use crate::pool;
use crate::slots::{Slot, State, Table};
use crate::types::*;

/// Calls `visit` with everything that is open: handles, guards, exports, promises, weak handles, scopes, expressions,
/// functions, modules, pools, raw blocks and queued releases.
pub fn leaks(visit: &mut dyn FnMut(HolderInfo)) {
    Table::<Claim>::each(|claim| each_claim(claim, false, visit));
    Table::<Guard>::each(|guard| {
        if let Some(holder) = ledger::visit_open_guard(guard, |locked| holder_of_guard(locked, guard)) {
            visit(holder);
        } else {
            each_group(guard, visit);
        }
    });
    Table::<Promise>::each(|promise| each_promise(promise, false, visit));
    visit_without_store(visit);
    pool::each_block(|block| {
        if block.owner == 0 {
            visit(holder_of_block(block));
        }
    });
    queued(visit);
}

/// Calls `visit` with everything that is open and holds no store: spent handles and promises, heads of a borrow_all,
/// weak handles, scopes, expressions, functions, modules, pools and queued releases.
pub(super) fn without_bytes(visit: &mut dyn FnMut(HolderInfo)) {
    Table::<Claim>::each(|claim| each_claim(claim, true, visit));
    Table::<Guard>::each(|guard| {
        if ledger::visit_open_guard(guard, |_| ()).is_none() {
            each_group(guard, visit);
        }
    });
    Table::<Promise>::each(|promise| each_promise(promise, true, visit));
    visit_without_store(visit);
    queued(visit);
}

fn is_unreleased(state: State) -> bool {
    matches!(state, State::Live | State::Spent)
}

/// Whether a slot is listed, before and under the lock of its ledger.
fn is_listed(slot: &'static impl Slot, only_spent: bool) -> bool {
    if only_spent { ledger::is_spent(slot) } else { is_unreleased(slot.head().state()) }
}

/// A holder without bytes and name.
fn nameless_holder(kind: tn_holder_kind, id: u64, origin: ledger::Origin) -> HolderInfo {
    HolderInfo {
        kind,
        device: HOST,
        id,
        bytes: 0,
        origin,
        time_ns: 0,
        name: crate::names::Name::NONE,
        form: Form::Full,
        ..HolderInfo::NONE
    }
}

fn each_claim(claim: &'static Claim, only_spent: bool, visit: &mut dyn FnMut(HolderInfo)) {
    if is_listed(claim, only_spent)
        && let Ok((locked, claim)) = ledger::lock::<Claim>(claim.id())
        && is_listed(claim, only_spent)
    {
        visit(holder_of_claim(&locked, claim));
    }
}

fn each_promise(promise: &'static Promise, only_spent: bool, visit: &mut dyn FnMut(HolderInfo)) {
    if is_listed(promise, only_spent)
        && let Ok((locked, promise)) = ledger::lock::<Promise>(promise.id())
        && is_listed(promise, only_spent)
    {
        visit(holder_of_promise(&locked, promise));
    }
}

fn each_group(guard: &'static Guard, visit: &mut dyn FnMut(HolderInfo)) {
    if is_unreleased(guard.head().state()) && guard.is_head() {
        visit(nameless_holder(TN_HOLDER_GUARD_WRITE, guard.id().bits(), ledger::origin_of_head(guard)));
    }
}

/// Weak handles, scopes, expressions, functions, modules, pools.
fn visit_without_store(visit: &mut dyn FnMut(HolderInfo)) {
    Table::<Weak>::each(|weak| {
        if is_unreleased(weak.head().state())
            && let Ok((locked, weak)) = ledger::lock::<Weak>(Slot::id(weak))
        {
            let body = locked.get(weak);
            visit(HolderInfo {
                name: body.name,
                ..nameless_holder(TN_HOLDER_WEAK, Slot::id(weak).bits(), body.origin)
            });
        }
    });
    ledger::each_scope(|id, origin| visit(nameless_holder(TN_HOLDER_SCOPE, id.bits(), origin)));
    #[cfg(feature = "managed")]
    expr::each_open(visit);
    #[cfg(feature = "managed")]
    function::each_open(visit);
    #[cfg(feature = "managed")]
    module::each_open(visit);
    pool::each_open(|opened| {
        let origin = ledger::Origin { site: opened.site.number(), thread: opened.thread };
        visit(HolderInfo {
            device: opened.pool.device(),
            time_ns: opened.time_ns,
            name: opened.pool.name(),
            ..nameless_holder(TN_HOLDER_POOL, opened.id.bits(), origin)
        });
    });
}

fn queued(visit: &mut dyn FnMut(HolderInfo)) {
    let mut waiting =
        |bytes, origin| visit(HolderInfo { bytes, ..nameless_holder(TN_HOLDER_QUEUED_RELEASE, 0, origin) });
    ledger::each_queued(&mut waiting);
    // These wait for device work, and then for a later call.
    ledger::each_lingering(&mut waiting);
}
