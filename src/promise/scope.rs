//! Scopes of a callee: `enter` makes a new handle for every parameter, array or promise, and `leave` releases those
//! that are left.
//!
//! Scopes are independent of threads and of each other, and can be left in any order. `leave` allocates nothing.

use super::take::{self, By};
use crate::array::{self, Checked, Refusal};
use crate::error::{Result, Status, fail, rank};
use crate::ledger::{self, Claim, LockedScope, Scope};
use crate::slots::{self, Id, Kind};
use crate::thread;
use crate::types::*;

/// Enters with arrays and promises, all or none: `out(i, id)` receives the new handle for the i-th. The scope owns
/// them.
pub fn enter(params: &[Id], out: &mut dyn FnMut(usize, Id)) -> Result<Id> {
    let thread = thread::current();
    let mut scope = Scope::spare(thread, params.len())?;
    // `take` reports handles in the order in which claims pass. The scope lists them in the order of the parameters.
    for id in params {
        scope.push(*id);
    }
    let handles = scope.handles();
    let mut out = |position, id| {
        handles[position] = id;
        out(position, id);
    };
    if !ledger::enter_fast(thread, params, &mut out) {
        take::open(thread, params, By::Enter, &mut out)?;
    }
    Ok(scope.publish())
}

/// Leaves a scope: releases its remaining handles in the order of the parameters, except those in `keep`.
pub fn leave(id: Id, keep: &[Id]) -> Result<()> {
    let scope = find(id, keep)?;
    if let Err(refusal) = check(&scope, keep) {
        drop(scope);
        return Err(refusal.into_status());
    }
    for handle in scope.end() {
        if !keep.contains(&handle) {
            // A stale handle was released by the callee or by another thread.
            let _ = array::release_now(handle);
        }
    }
    Ok(())
}

/// TN_ERR_STALE and TN_ERR_KIND of the scope and the kept handles: the first in the order of checks, then by position.
fn find(id: Id, keep: &[Id]) -> Result<LockedScope> {
    let scope = ledger::lock_scope(id);
    let mut worst = scope.as_ref().err().map(|status| (rank(status.code()), None));
    for (position, handle) in keep.iter().enumerate() {
        if let Err(status) = ledger::find::<Claim>(*handle) {
            let rank = rank(status.code());
            if worst.is_none_or(|(least, _)| rank < least) {
                worst = Some((rank, Some(position)));
            }
        }
    }
    match worst {
        None => scope,
        // The second call writes the error message.
        Some((_, Some(position))) => Err(gone(keep[position])),
        Some((_, None)) => ledger::lock_scope(id),
    }
}

#[cold]
fn gone(handle: Id) -> Status {
    match ledger::find::<Claim>(handle) {
        Err(status) => status,
        Ok(_) => slots::stale(handle, Kind::Array),
    }
}

fn check(scope: &LockedScope, keep: &[Id]) -> Checked<()> {
    if let Some(handle) = keep.iter().find(|handle| !scope.handles().contains(handle)) {
        return Err(fail(
            TN_ERR_INVALID,
            format_args!("the array {handle} in keep is not one of this scope's {} handles", scope.handles().len()),
        )
        .into());
    }
    let twice = (1..keep.len()).find(|at| keep[..*at].contains(&keep[*at]));
    let duplicate = |at: usize| -> Refusal {
        fail(TN_ERR_DUPLICATE, format_args!("the array {} stands twice in keep (the second time at {at})", keep[at]))
            .into()
    };
    if crate::options::strict()
        && let Err(refusal) = check_unused(scope, keep)
    {
        return Err(match twice {
            Some(at) if rank(TN_ERR_DUPLICATE) < rank(refusal.code()) => duplicate(at),
            _ => refusal,
        });
    }
    twice.map_or(Ok(()), |at| Err(duplicate(at)))
}

/// Strict mode: refuses if a handle that would be released is given, borrowed or exported. If another thread changes
/// that between this check and the release, the handle is released as without strict mode.
#[cold]
fn check_unused(scope: &LockedScope, keep: &[Id]) -> Checked<()> {
    let mut worst: Checked<()> = Ok(());
    for handle in scope.handles().iter().filter(|handle| !keep.contains(handle)) {
        let Ok((locked, claim)) = ledger::lock::<Claim>(*handle) else {
            continue;
        };
        if let Err(refusal) = array::check_unused(&locked, claim) {
            let first = match &worst {
                Ok(()) => true,
                Err(least) => rank(refusal.code()) < rank(least.code()),
            };
            if first {
                worst = Err(refusal);
            }
        }
    }
    worst
}
