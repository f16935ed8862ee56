//! Arguments of random calls on functions, and what their bodies leave.
//!
//! Contract: as `draw`.

use super::calls::{Call, Input, Output};
use super::draw::Reader;
use super::handle::{Ref, State};
use super::pass::Running;
use super::update::Frame;
use tenure::types::*;

impl Reader<'_> {
    pub fn function(&mut self) -> Ref {
        let functions = &self.model.functions;
        self.pick(functions.len(), |k| functions[k].handle, |k| functions[k].handle, Ref::Function)
    }

    fn input(&mut self) -> Input {
        let (b, r, m, t, s) = (TN_BORROW, TN_REQUIRE_BORROW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_STRICT);
        let usual = [0, m, b, t, m, 0, b, m | r, t | r, r, s, TN_RAW, m | b, m];
        let flags = if self.chance(3) { self.one(&[TN_REUSE, 1 << 30]) } else { self.one(&usual) };
        let is_implicit = self.chance(80) && self.model.variables.iter().any(|variable| variable.handle);
        let shared = if is_implicit { self.shared() } else { Ref::Null };
        let flags = if is_implicit && !self.chance(6) { flags & !t } else { flags };
        let default = if self.chance(if is_implicit { 3 } else { 50 }) { self.array() } else { Ref::Null };
        let dtype = if self.chance(20) { self.dtype() } else { 0 };
        let ndim = if self.chance(16) { self.one(&[2, 1, 0, 3]) } else { -1 };
        Input { flags, dtype, ndim, default, shared }
    }

    fn output(&mut self) -> Output {
        let (b, r, u) = (TN_BORROW, TN_REQUIRE_BORROW, TN_REUSE);
        let usual = [0, b, u, b | u, 0, r, b, TN_RAW, u | r];
        let flags =
            if self.chance(3) { self.one(&[TN_TAKE_OWNERSHIP, TN_MAY_OVERWRITE, TN_STRICT]) } else { self.one(&usual) };
        let dtype = if self.chance(12) { self.dtype() } else { 0 };
        let ndim = if self.chance(10) { self.one(&[2, 1, 0, 3]) } else { -1 };
        Output { flags, dtype, ndim }
    }

    pub fn function_create(&mut self) -> Call {
        let n = self.one(&[2, 1, 3, 0, 4, 2, 1]);
        let inputs = (0..n).map(|_| self.input()).collect();
        let n = self.one(&[1, 2, 0, 3, 1]);
        let outputs = (0..n).map(|_| self.output()).collect();
        let n = self.one(&[1, 2, 0, 2, 3]);
        let mut updates: Vec<(Ref, u32)> = vec![];
        for _ in 0..n {
            let usual = [0, TN_MAY_OVERWRITE, TN_REUSE, TN_MAY_OVERWRITE, 0];
            let flags = if self.chance(3) { TN_REUSE | TN_MAY_OVERWRITE } else { self.one(&usual) };
            let target = self.shared();
            if self.chance(8) || !updates.iter().any(|(other, _)| *other == target) {
                updates.push((target, flags));
            }
        }
        if self.model.variables.iter().all(|variable| !variable.handle) {
            updates.clear();
        }
        Call::FunctionCreate { inputs, outputs, updates }
    }

    pub fn function_call(&mut self) -> Call {
        let function = self.function();
        let Ref::Function(k) = function else { return Call::RunFunction { function, arguments: vec![], n_out: 0 } };
        let f = &self.model.functions[k];
        let mut arguments: Vec<Ref> = vec![];
        let own: Vec<Input> = f.inputs.iter().filter(|input| input.shared == Ref::Null).cloned().collect();
        for input in own {
            let arrays = &self.model.arrays;
            let fits = |k: usize| arrays[k].state == State::Live && input.check(&arrays[k].region.layout).is_ok();
            let argument = match self.byte() {
                0..=99 if input.default != Ref::Null => Ref::Null,
                230.. if !arguments.is_empty() => arguments[0],
                _ => self.pick(arrays.len(), fits, |k| arrays[k].state == State::Live, Ref::Array),
            };
            arguments.push(argument);
        }
        if self.chance(3) {
            arguments.push(Ref::Null);
        }
        let n_out = if self.chance(40) { self.below(f.outputs.len() + 2) } else { f.outputs.len() };
        Call::RunFunction { function, arguments, n_out }
    }

    /// What the body leaves in a place: an input, a view or clone of one, what it found, a new array, another one.
    pub fn place(&mut self, call: &Running) -> Call {
        let empty: Vec<usize> = (0..call.places.len()).filter(|&place| call.places[place] == Ref::Null).collect();
        let place = if empty.is_empty() || self.chance(40) { self.below(call.places.len()) } else { self.one(&empty) };
        Call::Place { place, array: self.left(call, place) }
    }

    fn left(&mut self, call: &Running, place: usize) -> Ref {
        let f = &self.model.functions[call.function];
        let arrays = &self.model.arrays;
        let fits = |k: usize| {
            let layout = &arrays[k].region.layout;
            arrays[k].state == State::Live
                && match place.checked_sub(f.outputs.len()) {
                    None => f.outputs[place].check(layout).is_ok(),
                    Some(at) => {
                        let value = &self.model.value(call.updates[at].variable).region.layout;
                        value.dtype == layout.dtype && value.shape.len() == layout.shape.len()
                    }
                }
        };
        let inputs: Vec<usize> = call.inputs.iter().map(|input| input.array).filter(|&k| fits(k)).collect();
        let made: Vec<usize> = (call.first..arrays.len()).filter(|&k| fits(k)).collect();
        let placed: Vec<Ref> = call.places.iter().copied().filter(|&there| there != Ref::Null).collect();
        match self.byte() {
            0..=79 if !inputs.is_empty() => Ref::Array(self.one(&inputs)),
            80..=189 if !made.is_empty() => Ref::Array(self.one(&made)),
            190..=205 if !placed.is_empty() => self.one(&placed),
            206..=212 => Ref::Null,
            _ => self.pick(arrays.len(), fits, |k| arrays[k].state == State::Live, Ref::Array),
        }
    }

    /// The body returns, mostly when it has left something in each place of an output.
    pub fn end_of_body(&mut self) -> Call {
        let call = self.callback_status();
        let Some(Frame::Call(running)) = self.model.frames.last() else { return call };
        let n_out = running.places.len() - running.updates.len();
        let empty = running.places[..n_out].iter().position(|&there| there == Ref::Null);
        match empty {
            Some(place) if !self.chance(16) => Call::Place { place, array: self.left(running, place) },
            _ => call,
        }
    }
}
