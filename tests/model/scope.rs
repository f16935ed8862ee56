//! take, enter and leave in the model: promises and arrays become new handles, and the handles of a scope end together.
//!
//! Contract: as `claims`: finds every error first, then changes the model, or changes nothing. Rows OO-1..38, ER-2,
//! ER-6, ER-10.

use super::calls::Done;
use super::handle::{Array, Model, PromiseState, Ref, Scope, State};
use super::rules::{Faults, Status};
use tenure::types::*;

/// A parameter of `enter`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Param {
    Plain(usize),
    Promise(usize),
}

impl Model {
    pub fn take(&mut self, promises: &[Ref]) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let known: Vec<Param> =
            promises.iter().filter_map(|&promise| faults.take(self.promise(promise))).map(Param::Promise).collect();
        faults.none()?;
        self.param_faults(&known)?;
        Ok(Done { arrays: self.open(&known), ..Done::default() })
    }

    pub fn enter(&mut self, params: &[Ref]) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let known: Vec<Param> = params.iter().filter_map(|&param| faults.take(self.param(param))).collect();
        faults.none()?;
        self.param_faults(&known)?;
        let arrays = self.open(&known);
        self.scopes.push(Scope { entered: true, arrays: arrays.clone() });
        Ok(Done { arrays, scope: Some(self.scopes.len() - 1), ..Done::default() })
    }

    fn param(&self, param: Ref) -> Result<Param, Status> {
        match param {
            Ref::Promise(_) => self.promise(param).map(Param::Promise),
            _ => self.array(param).map(Param::Plain),
        }
    }

    fn param_faults(&self, params: &[Param]) -> Result<(), Status> {
        let mut faults = Faults::default();
        for (k, &param) in params.iter().enumerate() {
            match param {
                Param::Promise(promise) => {
                    faults.when(self.promises[promise].state == PromiseState::UsedUp, TN_ERR_DESTRUCTED);
                    faults.when(params[..k].contains(&param), TN_ERR_DUPLICATE);
                }
                // A GIVEN handle may be passed together with one of its own promises.
                Param::Plain(array) => {
                    let outstanding = |promise: usize| self.promises[promise].state == PromiseState::Outstanding;
                    let own = |other: &Param| match *other {
                        Param::Promise(promise) => self.promises[promise].array == array && outstanding(promise),
                        Param::Plain(_) => false,
                    };
                    match self.live(array) {
                        Err(TN_ERR_GIVEN) if params.iter().any(own) => {}
                        other => drop(faults.take(other)),
                    }
                }
            }
        }
        faults.none()
    }

    /// A new handle for each parameter, in their order: plain arrays are cloned, promises are Case I or II.
    fn open(&mut self, params: &[Param]) -> Vec<usize> {
        let wraps = |model: &Model, param: &Param| match *param {
            Param::Plain(array) => array,
            Param::Promise(promise) => model.promises[promise].array,
        };
        let arrays: Vec<usize> = params.iter().map(|param| wraps(self, param)).collect();
        let before: Vec<Array> = arrays.iter().map(|&array| self.arrays[array].clone()).collect();
        let made: Vec<usize> = before.iter().map(|like| self.add_clone(like)).collect();
        for (k, &param) in params.iter().enumerate() {
            let Param::Promise(promise) = param else { continue };
            let beside = |j: &usize| matches!(params[*j], Param::Promise(_)) && arrays[*j] == arrays[k];
            let together = (0..params.len()).filter(beside).count() as u32;
            self.undo(promise);
            if together == before[k].required {
                // Case I: the leftmost new handle is the old claim, so the giver's handle has none.
                if !(0..k).any(|j| beside(&j)) {
                    self.arrays[made[k]].lent = before[k].lent;
                }
                let a = &mut self.arrays[arrays[k]];
                a.kept = false;
                if a.state != State::Released {
                    a.state = State::Destructed;
                }
            }
        }
        made
    }

    pub fn leave(&mut self, scope: Ref, keep: &[Ref]) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let scope = faults.take(self.scope(scope));
        let known: Vec<usize> = keep.iter().filter_map(|&array| faults.take(self.array(array))).collect();
        let arrays = scope.map_or(&[][..], |scope| &self.scopes[scope].arrays);
        faults.when(scope.is_some() && known.iter().any(|array| !arrays.contains(array)), TN_ERR_INVALID);
        faults.none()?;
        faults.when((0..known.len()).any(|k| known[..k].contains(&known[k])), TN_ERR_DUPLICATE);
        let left = |&array: &usize| !known.contains(&array) && self.arrays[array].state != State::Released;
        let released: Vec<usize> = arrays.iter().copied().filter(left).collect();
        for &array in &released {
            self.release_faults(array, &mut faults);
        }
        faults.none()?;
        for array in released {
            self.end_handle(array);
        }
        self.scopes[scope.expect("no fault")].entered = false;
        Ok(Done::default())
    }
}
