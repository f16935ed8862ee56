//! Functions of the model: declaration, the end of a function, and the buffers that it keeps.
//!
//! Contract: as `claims`: finds every error first, then changes the model, or changes nothing. Rows FN-1 to FN-4,
//! FN-13, FN-23, FN-35, FN-40. Calls are in `pass` and `left`.

use super::calls::{Crossing, Done, Input, Output};
use super::handle::{CURRENT_POOL, Model, Ref};
use super::layout::item;
use super::rules::{Faults, Status};
use super::store::Origin;
use super::update::Frame;
use super::variable::Value;
use tenure::types::*;

/// The most buffers that are kept for one place.
const KEPT: usize = 4;

/// A buffer that a function keeps for a later call.
#[derive(Clone, Debug)]
pub struct Spare {
    pub value: Value,
    /// A caller got it as an output, so the function has no claim until that caller has released it.
    pub rests: bool,
}

#[derive(Clone, Debug)]
pub struct Function {
    /// Its handle is not released.
    pub handle: bool,
    /// Neither a handle nor a call refers to it.
    pub ended: bool,
    pub inputs: Vec<Input>,
    /// For each input.
    pub defaults: Vec<Option<Value>>,
    pub outputs: Vec<Output>,
    /// The variable and the flags.
    pub updates: Vec<(usize, u32)>,
    /// By place: the outputs, and then the updates.
    pub spares: Vec<Vec<Spare>>,
    callback: usize,
}

impl Function {
    /// The values that it keeps with a claim.
    pub fn claims(&self) -> impl Iterator<Item = &Value> {
        let spares = self.spares.iter().flatten().filter(|spare| !spare.rests).map(|spare| &spare.value);
        self.defaults.iter().flatten().chain(spares)
    }

    /// All values that it keeps.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.defaults.iter().flatten().chain(self.spares.iter().flatten().map(|spare| &spare.value))
    }

    fn names(&self, variable: usize) -> bool {
        !self.ended
            && (self.updates.iter().any(|&(target, _)| target == variable)
                || self.inputs.iter().any(|input| input.shared == Ref::Shared(variable)))
    }
}

const IN: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_RAW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP | TN_STRICT;
const OUT: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_RAW | TN_REUSE;

impl Model {
    pub fn function(&self, function: Ref) -> Result<usize, Status> {
        self.known(function)?;
        if let Ref::Function(index) = function { Ok(index) } else { Err(TN_ERR_KIND) }
    }

    /// Claims of functions on the store.
    pub fn function_claims(&self, store: usize) -> usize {
        self.functions.iter().flat_map(Function::claims).filter(|value| value.store == store).count()
    }

    /// A function names the variable, which keeps it alive (SV-37).
    pub fn is_named(&self, variable: usize) -> bool {
        self.functions.iter().any(|function| function.names(variable))
    }

    pub fn function_create(
        &mut self,
        inputs: &[Input],
        outputs: &[Output],
        updates: &[(Ref, u32)],
    ) -> Result<Done, Status> {
        let mut inputs = inputs.to_vec();
        inputs.iter_mut().for_each(|input| input.default = self.passed(input.default));
        let mut faults = Faults::default();
        for input in &inputs {
            if input.default != Ref::Null {
                faults.take(self.array(input.default));
            }
            if input.shared != Ref::Null {
                faults.take(self.variable(input.shared));
                faults.when(input.flags & TN_TAKE_OWNERSHIP != 0 || input.default != Ref::Null, TN_ERR_INVALID);
            }
            faults.when(input.flags & !IN != 0, TN_ERR_INVALID);
            faults.when(input.dtype != 0 && item(input.dtype) == 0, TN_ERR_DTYPE);
        }
        for output in outputs {
            faults.when(output.flags & !OUT != 0, TN_ERR_INVALID);
            faults.when(output.dtype != 0 && item(output.dtype) == 0, TN_ERR_DTYPE);
        }
        let mut targets = Vec::new();
        for &(target, flags) in updates {
            targets.extend(faults.take(self.variable(target)));
            faults.when(!matches!(flags, 0 | TN_MAY_OVERWRITE | TN_REUSE), TN_ERR_INVALID);
        }
        faults.none()?;
        for input in &inputs {
            if let Ref::Shared(variable) = input.shared {
                faults.when(input.check(&self.value(variable).region.layout).is_err(), TN_ERR_INVALID);
            }
        }
        faults.none()?;
        // Reading: then the position decides.
        for input in &inputs {
            if let Ref::Array(array) = input.default {
                self.live(array)?;
                input.check(&self.arrays[array].region.layout)?;
            }
        }
        faults.when((1..targets.len()).any(|k| targets[..k].contains(&targets[k])), TN_ERR_DUPLICATE);
        faults.none()?;
        let mut defaults = Vec::new();
        for input in &inputs {
            let Ref::Array(array) = input.default else {
                defaults.push(None);
                continue;
            };
            // Reading: a conflict with another user is found when the value is copied.
            self.read_faults(array, false, &mut faults);
            faults.none()?;
            let (layout, form) = (self.arrays[array].region.layout.clone(), self.arrays[array].form);
            let bytes = layout.bytes();
            self.copied.push(Crossing { function: "tn_function_create", why: 0, forced: false, bytes });
            // TN_STRICT promises the body order C.
            let order = if input.flags & TN_STRICT != 0 { TN_ORDER_C } else { layout.natural_order() };
            defaults.push(Some(self.fresh_value(&layout, order, CURRENT_POOL, form)));
        }
        self.functions.push(Function {
            handle: true,
            ended: false,
            inputs,
            defaults,
            outputs: outputs.to_vec(),
            updates: targets.into_iter().zip(updates.iter().map(|&(_, flags)| flags)).collect(),
            spares: vec![vec![]; outputs.len() + updates.len()],
            callback: self.callbacks,
        });
        self.callbacks += 1;
        Ok(Done { function: Some(self.functions.len() - 1), ..Done::default() })
    }

    pub fn function_release(&mut self, function: Ref) -> Result<Done, Status> {
        let function = self.function(function)?;
        self.functions[function].handle = false;
        self.end_unused_function(function);
        Ok(Done::default())
    }

    /// A function lives as long as its handle, or a call of it (FN-40).
    pub fn end_unused_function(&mut self, function: usize) {
        let runs = self.frames.iter().any(|frame| matches!(frame, Frame::Call(call) if call.function == function));
        let f = &mut self.functions[function];
        if f.handle || runs || f.ended {
            return;
        }
        f.ended = true;
        (f.defaults, f.spares) = (vec![], vec![]);
        let callback = f.callback;
        self.call_back(Some(callback), false);
        for variable in 0..self.variables.len() {
            self.end_unused_variable(variable);
        }
    }

    /// Nobody but the function has anything on the buffer, and its bytes are defined.
    fn is_free(&self, spare: &Spare) -> bool {
        let store = spare.value.store;
        self.others(store, None) == usize::from(!spare.rests)
            && self.node_claims(store).next().is_none()
            && self.holdings(store).next().is_none()
            && self.stores[store].poison.is_empty()
    }

    /// The first spare buffer of a place that nobody else has.
    pub fn take_spare(&mut self, function: usize, place: usize) -> Option<Value> {
        let spares = &self.functions[function].spares[place];
        let free = spares.iter().position(|spare| self.is_free(spare) && !self.is_lent(spare.value.store))?;
        Some(self.functions[function].spares[place].remove(free).value)
    }

    /// Keeps a buffer, and drops those of other layouts, and the oldest of too many.
    pub fn keep_spare(&mut self, function: usize, place: usize, spare: Spare) {
        let spares = &mut self.functions[function].spares[place];
        let new = &spare.value.region.layout;
        spares.retain(|other| {
            let old = &other.value.region.layout;
            (old.dtype, &old.shape, &old.strides) == (new.dtype, &new.shape, &new.strides)
        });
        spares.push(spare);
        if spares.len() > KEPT {
            spares.remove(0);
        }
    }

    /// An update's former buffer may become a spare: it is the library's alone, and no argument of a call that still
    /// runs.
    pub fn is_let_go(&self, value: &Value) -> bool {
        let spare = Spare { value: value.clone(), rests: true };
        self.is_free(&spare) && !self.is_imported(value.store) && !self.is_lent(value.store)
    }

    /// The bytes were imported, so they are no spare buffer.
    pub fn is_imported(&self, store: usize) -> bool {
        !matches!(self.stores[store].origin, Origin::Pool(_))
            || self.leases.iter().any(|lease| lease.open && lease.store == store)
    }
}
