//! Compares everything that can be asked about the two worlds: arrays, variables, stores, bytes and pools.
//!
//! Contract: the queries change nothing on either side.

use super::calls::{Done, Holder};
use super::driver::{Driver, same};
use super::handle::{RELEASED_POOL, Ref, State};
use super::invoke_shared::DescribedVariable;
use super::library::Described;
use super::rules::NOT_UNIQUE;
use super::store::Memory;
use tenure::types::*;

impl Driver {
    /// Makes all queries, which change nothing.
    pub fn compare_world(&self) -> Result<(), String> {
        for array in 0..self.model.arrays.len() {
            match self.model.arrays[array].state {
                State::Live | State::Given => {
                    self.compare_array(array).map_err(|what| format!("array {array}: {what}"))?
                }
                State::Destructed => same(
                    "query of a destructed array",
                    Some(TN_ERR_DESTRUCTED),
                    self.library.describe(Ref::Array(array)).err(),
                )?,
                State::Released => {}
            }
        }
        same("arrays", self.model.arrays.len(), self.library.arrays.len())?;
        for variable in 0..self.model.variables.len() {
            if self.model.variables[variable].handle {
                self.compare_variable(variable).map_err(|what| format!("variable {variable}: {what}"))?;
            }
        }
        for store in 0..self.model.stores.len() {
            if self.model.stores[store].alive {
                self.compare_store(store).map_err(|what| format!("store {store}: {what}"))?;
            }
        }
        for (block, memory) in self.model.memory.blocks.iter().enumerate() {
            if memory.alive && !memory.bytes.is_empty() && !self.unknown.contains(&block) {
                let now = self.library.peek(Memory::base(block), memory.bytes.len());
                if memory.bytes != now {
                    let first = memory.bytes.iter().zip(&now).position(|(a, b)| a != b);
                    return Err(format!("bytes of block {block} differ, first at {first:?}"));
                }
            }
        }
        for pool in 0..RELEASED_POOL {
            same("live and held bytes of a pool", self.model.pool_bytes(pool), self.library.pool_bytes(pool))?;
        }
        Ok(())
    }

    fn compare_array(&self, array: usize) -> Result<(), String> {
        let a = &self.model.arrays[array];
        let layout = &a.region.layout;
        let store = &self.model.stores[a.store];
        let mut flags = 0;
        for (condition, flag) in [
            (layout.is_c(), TN_C_CONTIGUOUS),
            (layout.is_f(), TN_F_CONTIGUOUS),
            (a.readonly, TN_READONLY),
            (layout.is_aligned(), TN_ALIGNED),
            (a.region.shares_bytes(), TN_SELF_OVERLAP),
            (self.model.is_foreign(a.store), TN_FOREIGN),
        ] {
            flags |= if condition { flag } else { 0 };
        }
        let described = Described {
            dtype: layout.dtype,
            shape: layout.shape.clone(),
            strides: layout.strides.clone(),
            flags,
            bytes: layout.bytes() as u64,
            count: layout.count() as u64,
            store_bytes: store.bytes() as u64,
            form: a.form.raw(),
            offset: layout.at - store.start,
        };
        let mut library = self.library.describe(Ref::Array(array));
        if let (0, Ok(library)) = (layout.count(), &mut library) {
            // An empty array has no address.
            library.offset = described.offset;
        }
        same("query", Ok(described), library)?;
        let expected = self.model.why_not(Ref::Array(array), None).expect("the handle can be queried");
        let (unique, bits, holders) = self.library.ask(Ref::Array(array));
        let expected_bits = expected.number.expect("bits") as u32;
        same("why_not", expected_bits, bits)?;
        same("is_unique", expected_bits & NOT_UNIQUE == 0, unique)?;
        same("holders", self.ids(&expected), self.known(holders))
    }

    fn compare_variable(&self, variable: usize) -> Result<(), String> {
        let v = &self.model.variables[variable];
        let value = self.model.value(variable);
        let layout = &value.region.layout;
        let mut flags = 0;
        for (condition, flag) in [
            (layout.is_c(), TN_C_CONTIGUOUS),
            (layout.is_f(), TN_F_CONTIGUOUS),
            (layout.is_aligned(), TN_ALIGNED),
            (self.model.is_foreign(value.store), TN_FOREIGN),
        ] {
            flags |= if condition { flag } else { 0 };
        }
        let expected = DescribedVariable {
            dtype: layout.dtype,
            shape: layout.shape.clone(),
            flags,
            bytes: layout.bytes() as u64,
            is_poisoned: v.is_poisoned,
            version: v.version,
            detach_count: v.detach_count,
        };
        same("query", expected, self.library.describe_variable(Ref::Shared(variable)))
    }

    fn ids(&self, done: &Done) -> Vec<(u32, u64)> {
        self.ids_of(done.holders.as_deref().unwrap_or_default())
    }

    pub fn ids_of(&self, holders: &[Holder]) -> Vec<(u32, u64)> {
        let holders = holders.iter().map(|holder| (holder.kind, self.library.bits(holder.who)));
        let mut holders: Vec<(u32, u64)> = holders.collect();
        holders.sort_unstable();
        holders
    }

    /// Holders where handles that the test cannot know, those of functions and the guards of launches, are 0.
    pub fn known(&self, mut holders: Vec<(u32, u64)>) -> Vec<(u32, u64)> {
        if self.model.functions.is_empty() && self.model.frames.is_empty() {
            return holders;
        }
        let guards: Vec<u64> = self.model.open.iter().map(|&guard| self.library.guards[guard] as u64).collect();
        let live = |k: &usize| self.model.arrays[*k].state != State::Released;
        let arrays: Vec<u64> =
            (0..self.model.arrays.len()).filter(live).map(|k| self.library.bits(Ref::Array(k))).collect();
        for (kind, id) in &mut holders {
            let is_unknown = match *kind {
                TN_HOLDER_HANDLE => !arrays.contains(id),
                TN_HOLDER_GUARD_READ | TN_HOLDER_GUARD_WRITE => !guards.contains(id),
                _ => false,
            };
            if is_unknown {
                *id = 0;
            }
        }
        holders.sort_unstable();
        holders
    }

    /// H, guards, exports and range of a store, found by its address.
    fn compare_store(&self, store: usize) -> Result<(), String> {
        let s = &self.model.stores[store];
        if s.bytes() == 0 || s.private || !self.is_known(s.start) {
            return Ok(());
        }
        let real = self.library.real(s.start);
        let (range, holders) = self
            .library
            .holders_of(real, s.bytes() as usize, false)
            .map_err(|status| format!("tn_holders_of gives {status}"))?;
        let foreign = if self.model.is_foreign(store) { TN_FOREIGN } else { 0 };
        same("address, bytes, flags", (real as u64, s.bytes() as u64, foreign), range)?;
        let expected = self.model.holders_of(s.start, s.bytes()).expect("a store that lives");
        same("holders", self.ids(&expected), self.known(holders))
    }
}
