//! Exports: guards whose region has a layout of its own, which a consumer outside of the library reads.

use super::claim::SpareClaim;
use super::class::{Class, GuardParams};
use super::guard::SpareGuard;
use super::internal_guard::InternalGuard;
use super::locked::Locked;
use super::state::{Claim, Guard, TakenBy};
use crate::slots::{Id, State};
use crate::stream::Point;

impl Locked {
    /// Opens an export through `owner`. `spare` has a copy of the owner's layout, which the consumer may read until the
    /// export ends. The owner itself may move to a copy meanwhile.
    pub(crate) fn add_export(
        &mut self,
        mut spare: SpareClaim,
        guard: SpareGuard,
        params: GuardParams,
        owner: &'static Claim,
    ) -> InternalGuard {
        self.share_root(owner, &mut spare);
        let (ledger, lease) = (self.ledger_of(owner), self.lease(owner));
        let region = self.add_layout_slot(ledger, spare, lease);
        InternalGuard::of(self.add_guard(guard, params, owner, region, None))
    }

    /// Ends an export whose bytes another process owns now, and destructs the handle that exported them, if it is
    /// unreleased. Err: the number of other holders of the bytes, which keep the export. `here`: this process took
    /// them, so that other holders may use them.
    pub(crate) fn end_export_as_taken(&mut self, guard: &'static Guard, here: bool) -> core::result::Result<(), u32> {
        let (ledger, owner) = (self.ledger_of(guard), self.get(guard).owner());
        let (state, body) = (self.state(ledger), self.get(owner));
        let holds = body.counted;
        let others = state.claims - u32::from(holds) + state.moves + body.given;
        if (if here { body.given } else { others }) > 0 {
            return Err(others);
        }
        if !holds {
            self.end_guard(guard, false);
            return Ok(());
        }
        let origin = self.get(guard).origin;
        self.end_guard(guard, false);
        let body = self.get_mut(owner);
        body.origin = origin;
        body.taken_by = TakenBy::Process;
        self.unlink(owner);
        self.drop_root(owner);
        owner.head.set_state(State::Spent);
        self.drop_lease_after_work(owner);
        self.mark_dead_if_unused(ledger);
        Ok(())
    }

    /// Ends an export that is imported back into this library. `spare` has a copy of the export's layout, and becomes a
    /// claim with the rights of the exporting handle, or a read-only one. Device work on the bytes continues until
    /// `point`.
    pub(crate) fn end_export_as_claim(
        &mut self,
        guard: &'static Guard,
        mut spare: SpareClaim,
        readonly: bool,
        point: Option<Point>,
    ) -> Id {
        let region = self.get(guard).region();
        let reads = self.get(guard).class == Class::ExportRead;
        let ledger = self.ledger_of(guard);
        self.share_root(region, &mut spare);
        let owner = self.get(guard).owner();
        spare.set_name(self.get(owner).name);
        spare.set_readonly(readonly || reads || self.get(region).readonly);
        spare.set_origin(self.origin());
        let lease = self.lease(region);
        let id = self.add_claim(ledger, spare, lease);
        self.end_guard_at(guard, false, point);
        id
    }
}
