//! What ledgers tell the event log: guards and exports, promises, imports.
//!
//! Contract: called with the ledger locked, when the change is made; an end is told before the bytes can be used
//! otherwise, and only if the begin was told. [`Completion::Logged`] leads the fast path of an end here.

use super::class::{Class, Completion};
use super::locked::Locked;
use super::state::{Claim, Guard, LeaseBody};
use crate::events::{self, ENDED, Kind, READ, WRITE};
use crate::layout::Layout;
use crate::slots::{Id, Slot};

/// The kind of the events of a guard.
#[inline(always)]
pub(super) const fn kind_of(class: Class) -> Kind {
    match class {
        Class::ExportRead | Class::ExportShared | Class::ExportExclusive => Kind::Export,
        _ => Kind::Borrow,
    }
}

/// The detail of a guard's begin.
pub(super) fn begin_of(class: Class) -> u8 {
    if class == Class::Write || class.is_writable_export() { WRITE } else { READ }
}

/// Tells of the begin or the end of a guard on `layout`.
#[cold]
pub(super) fn log_guard(class: Class, guard: &'static Guard, owner: &'static Claim, layout: &Layout, detail: u8) {
    events::record(kind_of(class), |event| {
        event.subject = Slot::id(owner).bits();
        event.address = layout.offset() as u64;
        event.bytes = layout.bytes() as u64;
        event.other = Slot::id(guard).bits();
        event.detail = detail;
    });
}

/// Tells that a claim was given, or has passed on.
#[inline(always)]
pub(super) fn log_claim(kind: Kind, claim: &'static Claim, layout: &Layout, other: Id) {
    events::record(kind, |event| {
        event.subject = Slot::id(claim).bits();
        event.address = layout.offset() as u64;
        event.bytes = layout.bytes() as u64;
        event.other = other.bits();
    });
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

impl Locked {
    /// Tells of a new guard or export.
    #[inline]
    pub(super) fn log_guard(&mut self, guard: &'static Guard) {
        let body = self.get(guard);
        if !events::records(kind_of(body.class)) {
            return;
        }
        log_guard(body.class, guard, body.owner(), &self.get(body.region()).layout, begin_of(body.class));
        let body = self.get_mut(guard);
        body.logged = true;
        if body.completion == Completion::Ledger {
            body.completion = Completion::Logged;
        }
    }

    /// Tells of the end of a guard or export.
    #[inline]
    pub(super) fn log_guard_end(&self, guard: &'static Guard) {
        let body = self.get(guard);
        if body.logged {
            log_guard(body.class, guard, body.owner(), &self.get(body.region()).layout, ENDED);
        }
    }
}
