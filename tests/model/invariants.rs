//! The invariants of section 11 about the model's own state. A rule that broke one of them would be wrong on both sides
//! and go unnoticed.
//!
//! Contract: reads the model. I1 and I2 hold by construction (claims are counted, not kept); I4, I7, I11, I12 and I14
//! are what the driver compares; I8 is how `is_unique` is made.

use super::graph::Progress;
use super::handle::{Model, PromiseState, State};
use super::rules::{Class, Faults};
use super::store::HoldKind;
use tenure::types::TN_WRITE_UNIQUE;

impl Model {
    /// The first violated invariant.
    pub fn broken(&self) -> Result<(), String> {
        for array in 0..self.arrays.len() {
            self.broken_array(array).map_err(|what| format!("array {array}: {what}"))?;
        }
        for store in (0..self.stores.len()).filter(|&k| self.stores[k].alive) {
            self.broken_holdings(store).map_err(|what| format!("store {store}: {what}"))?;
            for other in (0..store).filter(|&k| self.stores[k].alive) {
                let (a, b) = (&self.stores[store], &self.stores[other]);
                if a.start.max(b.start) < a.end.min(b.end) {
                    return Err(format!("I16: stores {other} and {store} have bytes in common"));
                }
            }
        }
        for node in 0..self.nodes.len() {
            self.broken_node(node).map_err(|what| format!("expression {node}: {what}"))?;
        }
        for (k, lease) in self.leases.iter().enumerate() {
            if lease.open != self.descends(k) {
                return Err(format!("I15: lease {k}"));
            }
        }
        Ok(())
    }

    fn broken_array(&self, array: usize) -> Result<(), String> {
        let a = &self.arrays[array];
        let is =
            |promise: &&super::handle::Promise| promise.array == array && promise.state == PromiseState::Outstanding;
        let out = self.promises.iter().filter(is).count() as u32;
        let given = a.state == State::Given || a.kept;
        if a.rests {
            return if out == 0 { Ok(()) } else { Err(format!("I5: {out} promises, {a:?}")) };
        }
        if out != if given { a.given } else { 0 } || given && !(1..=a.required).contains(&out) {
            return Err(format!("I5: {out} promises, {a:?}"));
        }
        if a.has_claim() && !self.stores[a.store].alive {
            return Err("I2: a claim on a store that is freed".into());
        }
        if a.state == State::Live {
            let mut faults = Faults::default();
            self.write_faults(array, TN_WRITE_UNIQUE, &mut faults);
            if faults.none().is_ok() != (self.bits(array) == 0) {
                return Err(format!("I9: bits {:#x}, UNIQUE gives {:?}", self.bits(array), faults.none()));
            }
        }
        Ok(())
    }

    /// The parts of I1 to I3 that expressions add: a needed node can be computed, and nothing writes its inputs.
    fn broken_node(&self, node: usize) -> Result<(), String> {
        let n = &self.nodes[node];
        let needed = n.handle || self.nodes.iter().any(|other| other.operands.contains(&node));
        let there = match n.progress {
            Progress::Waiting => !n.operands.is_empty() && n.value.is_none(),
            Progress::Done => n.value.is_some(),
            Progress::Failed => n.operands.is_empty() && n.value.is_none(),
        };
        if needed && !there {
            return Err(format!("{:?} with {:?} over {:?}", n.progress, n.value, n.operands));
        }
        let Some(claim) = &n.value else { return Ok(()) };
        if !self.stores[claim.store].alive {
            return Err("I2: a claim on a store that is freed".into());
        }
        let writes = |kind: HoldKind| kind.is_writer() || kind.class() == Some(Class::Exclusive);
        if self.holdings(claim.store).any(|(_, hold)| writes(hold.kind) && hold.region.overlaps(&claim.region)) {
            return Err("I3: its input is open for writing".into());
        }
        Ok(())
    }

    fn broken_holdings(&self, store: usize) -> Result<(), String> {
        let all: Vec<_> = self.holdings(store).collect();
        for (k, (guard, a)) in all.iter().enumerate() {
            for (other, b) in &all[..k] {
                let excluded = |x: HoldKind, y: HoldKind| match x {
                    HoldKind::Write { .. } => y.is_guard() || y.class() == Some(Class::Read),
                    HoldKind::Export(Class::Exclusive) => y.is_guard() || y.class().is_some(),
                    HoldKind::Export(Class::Shared) => y == HoldKind::Read { frozen: true },
                    _ => false,
                };
                // Chunks of one call are disjoint by construction, even if no tier proves it.
                let together = |x: HoldKind, y: HoldKind| matches!(x, HoldKind::Write { group: Some(_), .. }) && x == y;
                let exclude = (excluded(a.kind, b.kind) || excluded(b.kind, a.kind)) && !together(a.kind, b.kind);
                let is_intended = guard == other && (a.may_alias || b.may_alias);
                if exclude && !is_intended && a.region.overlaps(&b.region) {
                    return Err(format!("I3: guards {other} and {guard} exclude one another"));
                }
            }
        }
        Ok(())
    }
}
