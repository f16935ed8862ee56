//! What the processor allows: the bytes of a store are accessible as far as its guards and exports need, if accesses
//! are checked (CK-1).
//!
//! Contract: the ledger is locked while the access changes, so that it is that of the guards that are open. Unfinished
//! device work keeps the bytes as they are until the next guard ends. Only this use of the lock makes system calls
//! under it, and only where accesses are checked.

use super::class::Class;
use super::locked::{self, Locked};
use super::origin::Origin;
use super::state::{Backing, Claim, Guard, Ledger, LedgerState};
use crate::device::checked;
use crate::device::checked_ranges::Use;
use crate::slots::Id;
use crate::sys::page_access::PageAccess;
use crate::thread;

impl LedgerState {
    /// What its guards and exports need.
    fn access(&self) -> PageAccess {
        if self.writers + self.exports_shared + self.exports_exclusive > 0 {
            PageAccess::Write
        } else if self.readers + self.exports_read > 0 {
            PageAccess::Read
        } else {
            PageAccess::None
        }
    }
}

/// What a guard was, for messages.
fn what(class: Class) -> &'static str {
    match class {
        Class::Read => "a read guard",
        Class::Write => "a write guard",
        _ => "an export",
    }
}

impl Locked {
    /// Closes the bytes of a new store.
    #[cold]
    pub(super) fn begin_access(&mut self, id: Id) {
        let Ok(claim) = locked::find::<Claim>(id) else { return };
        let state = self.state(self.ledger_of(claim));
        if checked::exists() && matches!(state.backing, Backing::Pool(..)) {
            let (start, bytes, name) = (state.start as usize, state.bytes as usize, self.get(claim).name);
            checked::begin_array(start, bytes, name);
            checked::set_access(start, PageAccess::None, name, None);
        }
    }

    /// Sets the access to what is open now. `ended`: the guard that was just taken off the list.
    #[cold]
    pub(super) fn update_access(
        &mut self,
        ledger: &'static Ledger,
        owner: &'static Claim,
        ended: Option<&'static Guard>,
    ) {
        let state = self.state(ledger);
        if !matches!(state.backing, Backing::Pool(..)) || ended.is_some() && state.works > 0 {
            return;
        }
        let (start, bytes, access, name) =
            (state.start as usize, state.bytes as usize, state.access(), self.get(owner).name);
        let now = Origin::by(thread::current());
        let used = ended.map(|guard| {
            let body = self.get(guard);
            Use { what: what(body.class), began: body.origin.site, ended: now.site, thread: now.thread }
        });
        let intact = checked::set_access(start, access, name, used);
        if let Some(used) = used.filter(|_| !intact) {
            checked::report_overrun(start, bytes, name, &used);
        }
    }
}
