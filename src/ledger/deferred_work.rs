//! The deferred work of a locked section: slots and bytes are freed, then releases run. Last, the thread waits for
//! device work, if the end of an import has to.

use super::deferred_release;
use super::locked::{DeferredWork, Locked};
use super::state::{Backing, GuardedSlot, Lease};
use crate::address_index;
use crate::slots::Table;

impl DeferredWork {
    /// Runs all of it, and returns how many imports were released. Callbacks run after the frees, so that they see a
    /// consistent state.
    #[inline(never)]
    pub(super) fn run(self) -> usize {
        let this = core::mem::ManuallyDrop::new(self);
        let thread = this.thread;
        let mut at = this.claims;
        while let Some(claim) = at {
            // SAFETY: collected: no handle, in no list of a ledger.
            at = unsafe { claim.guarded().own() }.next.take();
            claim.reset(thread);
        }
        let mut at = this.roots;
        while let Some(root) = at {
            // SAFETY: no claim uses it any more.
            at = unsafe { root.guarded().own() }.next.take();
            root.reset(thread);
        }
        let mut at = this.weaks;
        while let Some(weak) = at {
            at = weak.reset(thread);
        }
        let mut taken: Option<&'static Lease> = None;
        let mut at = this.dead;
        while let Some(ledger) = at {
            // Locked, because a stale weak handle may be reading the state.
            let mut locked = Locked::one(thread, ledger);
            let state = locked.state_mut(ledger);
            at = state.next_dead.take();
            let backing = core::mem::replace(&mut state.backing, Backing::None);
            let (start, mut due, spilled) = (state.start, state.due.take(), state.end_residence());
            drop(locked);
            let mut noted = true;
            while let Some(record) = due {
                // SAFETY: in the chain of a store that is gone.
                let body = unsafe { record.guarded().own() };
                due = body.next;
                if let (Backing::Pool(pool, _), Some(point)) = (&backing, body.point) {
                    // The pool does not reuse a block that a device still uses.
                    noted &= pool.record_use(start as usize, point);
                }
                record.reset(thread);
            }
            match backing {
                Backing::None => {}
                Backing::Pool(pool, requested) if noted => match spilled {
                    Some(file) => pool.free_spilled(thread, file, start as usize, requested as usize),
                    None => pool.free_store(thread, start as usize),
                },
                // The end of the device's use is unknown, so the block is never reused.
                Backing::Pool(..) => {}
                Backing::Taken(lease) => {
                    address_index::remove(thread, start, ledger.tag());
                    // SAFETY: the store's alone, which is gone.
                    unsafe { lease.guarded.own() }.next = taken.replace(lease);
                }
                Backing::Lent => address_index::remove(thread, start, ledger.tag()),
            }
            Table::free(thread, ledger);
        }
        let mut ran = 0;
        let mut at = this.first_lease;
        while let Some(lease) = at {
            // SAFETY: in our own chain.
            at = unsafe { lease.guarded.own() }.next.take();
            ran += usize::from(lease.end(thread));
        }
        while let Some(lease) = taken {
            // SAFETY: in our own chain.
            taken = unsafe { lease.guarded.own() }.next.take();
            ran += usize::from(lease.end(thread));
        }
        let mut at = this.urgent;
        while let Some(lease) = at {
            let (next, ended) = deferred_release::wait_and_end_import(thread, lease);
            at = next;
            ran += ended;
        }
        ran
    }
}
