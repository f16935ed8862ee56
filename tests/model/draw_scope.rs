//! Arguments of random calls of enter and leave.
//!
//! Contract: as `draw`.

use super::draw::Reader;
use super::handle::{PromiseState, Ref, State};

impl Reader<'_> {
    pub fn scope(&mut self) -> Ref {
        let scopes = &self.model.scopes;
        self.pick(scopes.len(), |k| scopes[k].entered, |k| scopes[k].entered, Ref::Scope)
    }

    /// A parameter of `enter`: an array or a promise. If one of the parameters `before` it is a promise: often the
    /// array of that promise, or another promise of that array.
    pub fn param(&mut self, before: &[Ref]) -> Ref {
        let m = self.model;
        let wrapped = before.iter().find_map(|param| match *param {
            Ref::Promise(k) => Some(m.promises[k].array),
            _ => None,
        });
        let promised = |array: usize| {
            let fits = |&k: &usize| {
                m.promises[k].array == array
                    && m.promises[k].state == PromiseState::Outstanding
                    && !before.contains(&Ref::Promise(k))
            };
            (0..m.promises.len()).find(fits).map(Ref::Promise)
        };
        match (self.byte(), wrapped) {
            (0..=59, Some(array)) => promised(array).unwrap_or(Ref::Array(array)),
            (60..=99, Some(array)) => Ref::Array(array),
            (100.., _) if m.promises.iter().any(|p| p.state == PromiseState::Outstanding) => self.promise(),
            _ => self.array(),
        }
    }

    /// Handles to keep beyond a scope: mostly handles that it made.
    pub fn keep(&mut self, scope: Ref) -> Vec<Ref> {
        let mut keep = Vec::new();
        if let Ref::Scope(k) = scope {
            let released = |array: usize| self.model.arrays[array].state == State::Released;
            for &array in &self.model.scopes[k].arrays {
                if self.chance(90) && (!released(array) || self.chance(10)) {
                    keep.push(Ref::Array(array));
                }
            }
        }
        match self.byte() {
            0..=243 => {}
            244..=249 => keep.extend(keep.first().copied()),
            _ => keep.push(self.array()),
        }
        keep
    }
}
