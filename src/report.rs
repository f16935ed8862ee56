//! Reports: what was not given back, and what was copied at borders. Reads the tables; changes nothing.
#![forbid(unsafe_code)]

use crate::array::HOST;
use crate::borrow::{Held, holder_of_block, holder_of_claim, holder_of_guard, holder_of_promise};
use crate::error::{Result, fail};
#[cfg(not(loom))]
use crate::expr;
use crate::ledger::{self, Claim, Guard, Promise, Weak};
use crate::pool;
use crate::slots::{Slot, State, Table};
use crate::thread;
use crate::types::*;

/// Everything that is out: handles, guards, exports, promises, weak handles, scopes, expressions, pools, raw blocks, queued releases.
pub fn leaks(visit: &mut dyn FnMut(Held)) {
    let out = |state: State| matches!(state, State::Live | State::Spent);
    Table::<Claim>::each(|claim| {
        if out(claim.head().state())
            && let Ok((locked, claim)) = ledger::lock::<Claim>(claim.id())
        {
            visit(holder_of_claim(&locked, claim));
        }
    });
    Table::<Guard>::each(|guard| {
        if let Some(held) = ledger::look(guard, |locked| holder_of_guard(locked, guard)) {
            visit(held);
        } else if out(guard.head().state()) && guard.is_head() {
            let made = ledger::made_of_head(guard);
            visit(Held {
                kind: TN_HOLDER_GUARD_WRITE,
                device: HOST,
                id: guard.id().bits(),
                bytes: 0,
                made,
                time_ns: 0,
                name: crate::names::Name::NONE,
            });
        }
    });
    Table::<Promise>::each(|promise| {
        if out(promise.head().state())
            && let Ok((locked, promise)) = ledger::lock::<Promise>(promise.id())
        {
            visit(holder_of_promise(&locked, promise));
        }
    });
    Table::<Weak>::each(|weak| {
        if out(weak.head().state())
            && let Ok((locked, weak)) = ledger::lock::<Weak>(Slot::id(weak))
        {
            let body = locked.get(weak);
            visit(Held {
                kind: TN_HOLDER_WEAK,
                device: HOST,
                id: Slot::id(weak).bits(),
                bytes: 0,
                made: body.made,
                time_ns: 0,
                name: body.name,
            });
        }
    });
    ledger::each_scope(|id, made| {
        visit(Held {
            kind: TN_HOLDER_SCOPE,
            device: HOST,
            id: id.bits(),
            bytes: 0,
            made,
            time_ns: 0,
            name: crate::names::Name::NONE,
        });
    });
    #[cfg(not(loom))]
    expr::each_open(visit);
    pool::each_open(|opened| {
        visit(Held {
            kind: TN_HOLDER_POOL,
            device: opened.pool.device(),
            id: opened.id.bits(),
            bytes: 0,
            made: ledger::Made { site: opened.site.number(), thread: opened.thread },
            time_ns: opened.time_ns,
            name: opened.pool.name(),
        });
    });
    pool::each_block(|block| {
        if block.owner == 0 {
            visit(holder_of_block(block));
        }
    });
    ledger::each_queued(|bytes, made| {
        visit(Held {
            kind: TN_HOLDER_QUEUED_RELEASE,
            device: HOST,
            id: 0,
            bytes,
            made,
            time_ns: 0,
            name: crate::names::Name::NONE,
        });
    });
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
