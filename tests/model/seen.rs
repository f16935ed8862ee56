//! Facts that the driver reads from the library: the addresses of new stores, and the bits of computed values.
//!
//! Contract: after a call, everything that can be read has been. A value that the model and the library may round
//! differently is compared within the error bound. Then the model takes over its bits, so that from then on every byte
//! is compared exactly.

use super::calls::{Call, Done};
use super::compute::float;
use super::driver::{Driver, same};
use super::graph::Form;
use super::handle::{Array, RELEASED_POOL, Ref, State};
use super::invoke::Got;
use super::layout::Layout;
use super::library::EXACT_POOL;
use super::rules::Status;
use super::store::Memory;
use tenure::types::TN_OK;

/// Noted before a computation, for the comparison after it.
pub struct Before {
    counts: [u64; RELEASED_POOL],
    /// Bits of the value, computed from copies that nothing may overwrite.
    apart: Option<Result<Vec<f64>, Status>>,
    /// The prediction of tn_expr_explain, which does not take TN_KEEP_ON_FAIL into account.
    foreseen: Option<usize>,
}

impl Driver {
    /// Finds the real addresses of new stores: from a view in the outputs, or by borrowing one. Stores that cannot be
    /// borrowed stay unknown until later.
    pub fn find_new_blocks(&mut self, done: &Done, got: &Got) -> Result<(), String> {
        for block in self.library.blocks.len()..self.model.memory.blocks.len() {
            self.library.blocks.push(0);
            self.unknown.push(block);
        }
        for block in std::mem::take(&mut self.unknown) {
            let memory = &self.model.memory.blocks[block];
            if !memory.alive || memory.bytes.is_empty() {
                continue;
            }
            let Some(address) = self.find_block(block, done, got) else {
                self.unknown.push(block);
                continue;
            };
            if address % 256 != 0 {
                return Err(format!("a new store lies at {address:#x}, not a multiple of 256"));
            }
            self.library.blocks[block] = address as usize;
        }
        Ok(())
    }

    fn find_block(&self, block: usize, done: &Done, got: &Got) -> Option<i64> {
        let offset = |layout: &Layout| layout.at - Memory::base(block);
        let within = |layout: &Layout| layout.count() > 0 && Memory::block_of(layout.at) == block;
        if let Some((layout, seen)) = done.views.iter().zip(&got.views).find(|(layout, _)| within(layout)) {
            return Some(seen.data as i64 - offset(layout));
        }
        let live = |a: &Array| a.state == State::Live && within(&a.region.layout);
        if let Some(array) = self.model.arrays.iter().position(live) {
            return Some(
                self.library.probe(Ref::Array(array)) as i64 - offset(&self.model.arrays[array].region.layout),
            );
        }
        let readable = |k: usize| {
            let v = &self.model.variables[k];
            let inside = v.value.as_ref().is_some_and(|value| within(&value.region.layout));
            v.handle && !v.is_poisoned && !v.is_lent() && inside
        };
        if let Some(variable) = (0..self.model.variables.len()).find(|&k| readable(k)) {
            let real = self.library.probe_variable(Ref::Shared(variable)) as i64;
            return Some(real - offset(&self.model.value(variable).region.layout));
        }
        let (node, claim) = self.model.nodes.iter().enumerate().find_map(|(k, node)| {
            let may_see = node.handle && node.form != Form::Factors;
            let claim = node.value.as_ref().filter(|claim| may_see && within(&claim.region.layout));
            claim.map(|claim| (k, claim))
        })?;
        Some(self.library.probe_expr(Ref::Expr(node)) as i64 - offset(&claim.region.layout))
    }

    fn is_found(&self, layout: &Layout) -> bool {
        layout.count() == 0 || !self.unknown.contains(&Memory::block_of(layout.at))
    }

    /// Whether the real address is known.
    pub fn is_known(&self, address: i64) -> bool {
        !self.unknown.contains(&Memory::block_of(address))
    }

    /// Compares values that become visible for the first time.
    pub fn look_at_values(&mut self) -> Result<(), String> {
        for (start, end) in std::mem::take(&mut self.model.scrapped) {
            if !self.is_known(start) {
                continue;
            }
            let now = self.library.peek(start, (end - start) as usize);
            self.model.memory.write(start, &now);
        }
        for k in 0..self.model.nodes.len() {
            let node = &self.model.nodes[k];
            let (Some(values), Some(claim)) = (&node.unseen, &node.value) else { continue };
            let layout = &claim.region.layout;
            if !self.is_found(layout) {
                continue;
            }
            if node.form == Form::Factors {
                // The model has the matrix, and the library its factors.
                for at in layout.addresses() {
                    let bytes = self.library.peek(at, layout.item() as usize);
                    self.model.memory.write(at, &bytes);
                }
                continue;
            }
            for (i, (at, number)) in layout.addresses().into_iter().zip(&values.elements).enumerate() {
                let bytes = self.library.peek(at, layout.item() as usize);
                let there = float(layout.dtype, &bytes);
                if !number.fits(there) {
                    return Err(format!("element {i} of expression {k}: model {number:?}, library {there:?}"));
                }
                self.model.memory.write(at, &bytes);
            }
            self.model.nodes[k].unseen = None;
        }
        Ok(())
    }

    /// Before a computation.
    pub fn before(&self, call: &Call) -> Option<Before> {
        let Call::Compute { expr, flags } = *call else { return None };
        let text = if flags == 0 { self.library.explain(self.library.expr(expr)) } else { None };
        let count = |text: &String, what: &str| text.matches(what).count();
        let foreseen = text.map(|text| count(&text, "a new array"));
        let apart = self.apart(expr);
        let counts = std::array::from_fn(|pool| {
            self.library.reset_peak(pool);
            self.library.pool_stats(pool).allocation_count
        });
        Some(Before { counts, apart, foreseen })
    }

    /// After a computation: the blocks, the peak of bytes, and the result without overwriting, bit for bit.
    pub fn after(&self, before: Before, got: Result<&Got, Status>) -> Result<(), String> {
        let Some(meter) = &self.model.meter else { return Ok(()) };
        for pool in 0..RELEASED_POOL {
            let stats = self.library.pool_stats(pool);
            let taken = stats.allocation_count - before.counts[pool];
            same("blocks that a computation takes", meter.allocations[pool], taken)?;
            let (ours, theirs) = (meter.peak[pool], stats.peak_requested_bytes as i64);
            let close = pool != EXACT_POOL && theirs < ours && ours - theirs <= 1 << 20;
            same("most live bytes of a computation", ours, if close { ours } else { theirs })?;
        }
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<u64>>();
        if let (Some(foreseen), Ok(_)) = (before.foreseen, got) {
            same("new results, as foreseen", meter.new_results, foreseen)?;
        }
        match (before.apart, got) {
            (Some(Err(apart)), got) => same("status of the same over copies", got.err().unwrap_or(TN_OK), apart),
            (Some(Ok(_)), Err(status)) => Err(format!("fails with {status}, but over copies it succeeds")),
            (Some(Ok(apart)), Ok(got)) if !meter.moved => {
                let here = self.library.elements(got.arrays[0]);
                let equal = bits(&here) == bits(&apart);
                if equal { Ok(()) } else { Err(format!("in place {here:?}, over copies {apart:?}")) }
            }
            _ => Ok(()),
        }
    }
}
