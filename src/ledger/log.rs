//! What ledgers tell the event log: guards and exports, promises, imports, names.
//!
//! Contract: called with the ledger locked, when the change is made. The fast paths tell nothing: they are off while events are recorded.

use super::class::{Class, Completion};
use super::locked::Locked;
use super::state::{Claim, Guard, LeaseBody};
use crate::events::{self, ENDED, Event, Kind, READ, WRITE};
use crate::slots::{Id, Slot};

fn kind_of(class: Class) -> Kind {
    if class.is_export() { Kind::Export } else { Kind::Borrow }
}

impl Locked {
    fn describe(&self, event: &mut Event, claim: &'static Claim) {
        let layout = &self.get(claim).layout;
        event.subject = Slot::id(claim).bits();
        event.address = layout.offset() as u64;
        event.bytes = layout.bytes() as u64;
    }

    /// Tells of a new guard or export.
    #[inline]
    pub(super) fn log_guard(&mut self, guard: &'static Guard) {
        let class = self.get(guard).class;
        if !events::records(kind_of(class)) {
            return;
        }
        let body = self.get_mut(guard);
        if body.completion == Completion::Ledger {
            // The fast path leaves the end to the slow path.
            body.completion = Completion::Logged;
        }
        let writes = class == Class::Write || class.is_writable_export();
        self.log_guard_as(guard, if writes { WRITE } else { READ });
    }

    /// Tells of the end of a guard or export.
    #[inline]
    pub(super) fn log_guard_end(&self, guard: &'static Guard) {
        self.log_guard_as(guard, ENDED);
    }

    #[inline]
    fn log_guard_as(&self, guard: &'static Guard, detail: u8) {
        let body = self.get(guard);
        events::record(kind_of(body.class), |event| {
            self.describe(event, body.region());
            event.subject = Slot::id(body.owner()).bits();
            event.other = Slot::id(guard).bits();
            event.detail = detail;
        });
    }

    /// Tells that a claim was given, or has passed on.
    #[inline]
    pub(super) fn log_claim(&self, kind: Kind, claim: &'static Claim, other: Id) {
        events::record(kind, |event| {
            self.describe(event, claim);
            event.other = other.bits();
        });
    }
}

/// Tells that an import began or ended.
#[inline]
pub(super) fn log_import(body: &LeaseBody, detail: u8) {
    events::record(Kind::Import, |event| {
        event.address = body.start as u64;
        event.bytes = (body.end - body.start) as u64;
        event.detail = detail;
    });
}
