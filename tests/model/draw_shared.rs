//! Arguments of random calls on shared variables.
//!
//! Contract: as `draw`.

use super::calls::Call;
use super::draw::Reader;
use super::handle::{FULL_POOL, Ref, State};
use tenure::types::*;

impl Reader<'_> {
    pub fn shared(&mut self) -> Ref {
        let variables = &self.model.variables;
        self.pick(variables.len(), |k| variables[k].handle, |k| variables[k].handle, Ref::Shared)
    }

    /// Mostly a variable with an update in progress.
    fn updated(&mut self) -> Ref {
        let variables = &self.model.variables;
        let begun = |k: usize| variables[k].handle && variables[k].update.is_some();
        self.pick(variables.len(), begun, |k| variables[k].handle, Ref::Shared)
    }

    fn entering_flags(&mut self) -> u32 {
        let (b, r, t, s) = (TN_BORROW, TN_REQUIRE_BORROW, TN_TAKE_OWNERSHIP, TN_STRICT);
        let usual = [0, b, t, r, b, t | r, 0, b | t, s, b | s, t | s];
        if self.chance(4) { self.one(&[TN_RAW, b | TN_MAY_OVERWRITE, t | TN_REUSE, 1 << 30]) } else { self.one(&usual) }
    }

    pub fn shared_create(&mut self) -> Call {
        let value = self.array();
        let pool = if self.chance(36) { Ref::Pool(FULL_POOL) } else { self.pool() };
        Call::SharedCreate { value, flags: self.entering_flags(), pool }
    }

    pub fn shared_get(&mut self) -> Call {
        let (b, r, raw) = (TN_BORROW, TN_REQUIRE_BORROW, TN_RAW);
        let wrong = [TN_TAKE_OWNERSHIP, TN_STRICT, b | TN_MAY_OVERWRITE, 1 << 31];
        let usual = [b, 0, raw | b, raw, r, raw | r];
        let flags = if self.chance(4) { self.one(&wrong) } else { self.one(&usual) };
        Call::SharedGet { shared: self.shared(), flags }
    }

    /// Mostly a value of the variable's element type and number of axes.
    pub fn shared_set(&mut self) -> Call {
        let shared = self.shared();
        let arrays = &self.model.arrays;
        let value = match shared {
            Ref::Shared(k) if self.model.variables[k].value.is_some() => {
                let layout = &self.model.value(k).region.layout;
                let fits = |k: usize| {
                    let own = &arrays[k].region.layout;
                    arrays[k].state == State::Live && own.dtype == layout.dtype && own.shape.len() == layout.shape.len()
                };
                self.pick(arrays.len(), fits, |k| arrays[k].state == State::Live, Ref::Array)
            }
            _ => self.array(),
        };
        Call::SharedSet { shared, value, flags: self.entering_flags() }
    }

    fn update_flags(&mut self) -> u32 {
        if self.chance(4) {
            self.one(&[TN_BORROW, TN_TAKE_OWNERSHIP, 1 << 31])
        } else {
            self.one(&[TN_MAY_OVERWRITE, 0])
        }
    }

    pub fn shared_update(&mut self) -> Call {
        Call::SharedUpdate { shared: self.shared(), flags: self.update_flags() }
    }

    pub fn update_begin(&mut self) -> Call {
        Call::UpdateBegin { shared: self.shared(), flags: self.update_flags() }
    }

    pub fn update_end(&mut self) -> Call {
        let flags = if self.chance(3) { 1 << 5 } else { self.one(&[0, 0, TN_END_FAILED]) };
        Call::UpdateEnd { shared: self.updated(), flags }
    }

    /// The status of a callback: mostly TN_OK, else a known failure or none.
    pub fn callback_status(&mut self) -> Call {
        let status = if self.chance(64) { self.one(&[TN_ERR_IO, TN_ERR_SHAPE, 4711, TN_ERR_POISONED]) } else { TN_OK };
        Call::Return { status }
    }
}
