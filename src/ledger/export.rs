//! Exports: guards whose region has a layout of its own, because a consumer outside of the library looks at it.

use super::claim::SpareClaim;
use super::class::{Class, GuardParams};
use super::guard::SpareGuard;
use super::internal_guard::InternalGuard;
use super::locked::Locked;
use super::state::{Claim, Guard};
use crate::slots::Id;

impl Locked {
    /// An export through `owner`. Its region is a layout of its own: the consumer may look at it until the export ends, while the
    /// handle may move to a copy. `spare`'s layout is a copy of the owner's.
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

    /// The export comes back into this library: it ends, and `spare`, whose layout is a copy of its region's, becomes a claim with
    /// what the exporting handle had, or with less where it shall be read-only.
    pub(crate) fn end_export_as_claim(&mut self, guard: &'static Guard, mut spare: SpareClaim, readonly: bool) -> Id {
        let region = self.get(guard).region();
        let reads = self.get(guard).class == Class::ExportRead;
        let ledger = self.ledger_of(guard);
        self.share_root(region, &mut spare);
        let owner = self.get(guard).owner();
        spare.set_name(self.get(owner).name);
        spare.set_readonly(readonly || reads || self.get(region).readonly);
        spare.set_made(self.made());
        let lease = self.lease(region);
        let id = self.add_claim(ledger, spare, lease);
        self.end_guard(guard, false);
        id
    }
}
