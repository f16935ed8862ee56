//! Weak handles: they store a layout and keep no bytes.

use super::check::check_process;
use super::handle::lock_with_layout;
use super::refusal::Quoted;
use crate::error::{Result, fail};
use crate::layout::Layout;
use crate::ledger::{self, SpareClaim, SpareWeak, Weak};
use crate::slots::Id;
use crate::thread;
use crate::types::*;

/// Makes a weak handle of an array.
pub fn weaken(id: Id) -> Result<Id> {
    let mut spare = SpareWeak::take(thread::current())?;
    let (mut locked, claim) = lock_with_layout(id, spare.layout())?;
    Ok(locked.add_weak(claim, spare))
}

/// Makes a claim with the weak handle's layout. TN_ERR_DESTRUCTED if the store has been without a claim since the weak
/// handle was made.
pub fn upgrade(id: Id) -> Result<Id> {
    let thread = thread::current();
    let mut spare = SpareClaim::take(thread)?;
    loop {
        let (mut locked, weak) = ledger::lock::<Weak>(id)?;
        if let Err(refusal) = check_process(&locked, weak) {
            drop(locked);
            return Err(refusal.into_status());
        }
        let ndim = locked.weak_layout(weak).ndim();
        if spare.layout().set(locked.weak_layout(weak)) {
            let name = locked.get(weak).name;
            let upgraded = locked.upgrade(weak, spare);
            drop(locked);
            return upgraded.ok_or_else(|| {
                fail(
                    TN_ERR_DESTRUCTED,
                    format_args!(
                        "the last claim on the bytes of {} has ended; a weak handle does not keep them",
                        Quoted(&name)
                    ),
                )
            });
        }
        drop(locked);
        *spare.layout() = Layout::room(ndim)?;
    }
}

/// Releases a weak handle.
pub fn release_weak(id: Id) -> Result<()> {
    let (mut locked, weak) = ledger::lock::<Weak>(id)?;
    locked.release_weak(weak);
    Ok(())
}
