//! Weak handles of claims, and new claims from weak handles.

use super::claim::SpareClaim;
use super::locked::Locked;
use super::state::Claim;
use super::weak::{SpareWeak, Weak};
use crate::layout::Layout;
use crate::slots::{Id, State, Table};

impl Locked {
    /// Makes a weak handle of the claim, whose layout is copied into `spare` already.
    pub(crate) fn add_weak(&mut self, claim: &'static Claim, spare: SpareWeak) -> Id {
        let weak = spare.into_slot();
        let ledger = self.ledger_of(claim);
        let origin = self.origin();
        let epoch = self.state(ledger).epoch;
        let root = self.get(claim).root;
        if let Some(root) = root {
            self.use_root(root);
        }
        let (readonly, form, name, lease) = {
            let body = self.get(claim);
            (body.readonly, body.form, body.name, body.lease.map(|lease| (lease, lease.epoch())))
        };
        weak.guarded.set_ledger(ledger);
        let body = self.get_mut(weak);
        body.root = root;
        body.readonly = readonly;
        body.form = form;
        body.lease = lease;
        body.epoch = epoch;
        body.name = name;
        body.origin = origin;
        Table::publish(weak)
    }

    pub(crate) fn weak_layout(&self, weak: &'static Weak) -> &Layout {
        &self.get(weak).layout
    }

    /// Makes a claim from a weak handle, whose layout is copied into `spare` already. None if the store has been
    /// without a claim since, or if the import from which the handle descends has ended.
    pub(crate) fn upgrade(&mut self, weak: &'static Weak, mut spare: SpareClaim) -> Option<Id> {
        let ledger = self.ledger_of(weak);
        let body = self.get(weak);
        let (root, readonly, lease, epoch, name) = (body.root, body.readonly, body.lease, body.epoch, body.name);
        let form = body.form;
        let state = self.state(ledger);
        let there = state.claims > 0 && state.epoch == epoch && ledger.is_alive();
        if !there || lease.is_some_and(|(lease, epoch)| lease.epoch() != epoch || self.is_over(lease)) {
            return None;
        }
        if let Some(root) = root {
            self.use_root(root);
        }
        let origin = self.origin();
        let to = spare.body();
        to.root = root;
        to.readonly = readonly;
        to.form = form;
        to.name = name;
        to.origin = origin;
        Some(self.add_claim(ledger, spare, lease.map(|(lease, _)| lease)))
    }

    pub(crate) fn release_weak(&mut self, weak: &'static Weak) {
        if let Some(root) = self.get_mut(weak).root.take() {
            self.release_root(root);
        }
        self.get_mut(weak).lease = None;
        weak.head.make_stale(State::Kept);
        let chain = self.after.weaks;
        self.get_mut(weak).next = chain;
        self.after.weaks = Some(weak);
    }
}
