//! The first half of a call of a function in the model: how the inputs reach the body, and what it finds in its places.
//!
//! Contract: as `claims`. Rows FN-10 to FN-14, FN-20, FN-21, FN-36, FN-41; the table of inputs.

use super::calls::{Crossing, Done, Input};
use super::handle::{CURRENT_POOL, Model, Ref, State};
use super::rules::{Faults, Status};
use super::store::Holding;
use super::update::Frame;
use super::variable::Value;
use tenure::types::*;

const FUNCTION: &str = "tn_function_call";

/// Whose bytes the body has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bytes {
    Copy,
    Argument,
    Default,
    Variable,
}

/// An input of a call.
#[derive(Clone, Debug)]
pub struct Passed {
    /// The body's handle.
    pub array: usize,
    pub how: (u32, u32),
    pub flags: u32,
    pub store: usize,
    pub bytes: Bytes,
    pub is_writable: bool,
    pub argument: Option<usize>,
    /// The argument cannot be used during the call.
    pub rests: bool,
}

impl Passed {
    pub fn is_written(&self) -> bool {
        self.bytes == Bytes::Argument && self.rests
    }
}

/// A variable that a call changes.
#[derive(Clone, Debug)]
pub struct Reserved {
    pub variable: usize,
    pub why: u32,
    /// The value is lent to the body: its store, and the number of writes that had ended there.
    pub lent: Option<(usize, u32)>,
    /// What the body found.
    pub offered: Option<usize>,
}

/// The body of a function that runs.
#[derive(Clone, Debug)]
pub struct Running {
    pub function: usize,
    pub n_out: usize,
    pub inputs: Vec<Passed>,
    pub updates: Vec<Reserved>,
    /// What is in the places of the outputs, and then of the updates.
    pub places: Vec<Ref>,
    /// The spare buffers that the body found, by place.
    pub offered: Vec<Option<usize>>,
    /// The handles that the body has at its start, in the order of the model's arrays.
    pub entry: Vec<Entrance>,
    /// The number of arrays at the start of the body.
    pub first: usize,
    /// What it copied; the book has them once the call has succeeded.
    pub copied: Vec<Crossing>,
}

impl Running {
    /// The value of the variable is lent to the body.
    fn lends(&self, variable: usize) -> bool {
        self.updates.iter().any(|update| update.variable == variable && update.lent.is_some())
    }
}

/// A handle that the body has at its start.
#[derive(Clone, Copy, Debug)]
pub enum Entrance {
    Input(usize),
    Place(usize),
}

impl Model {
    /// Other claims on a store than those of some arrays. Values that are lent, and arguments that the body has, do not
    /// count.
    pub fn others(&self, store: usize, but: Option<&[usize]>) -> usize {
        let arrays = self.claims(store).filter(|array| but.is_none_or(|but| !but.contains(array))).count();
        arrays + self.function_claims(store) + self.counted_variables(store).count()
    }

    pub fn function_call(&mut self, function: Ref, arguments: &[Ref], n_out: usize) -> Result<Done, Status> {
        let function = self.function(function)?;
        let arguments = &arguments.iter().map(|&argument| self.passed(argument)).collect::<Vec<Ref>>()[..];
        let f = &self.functions[function];
        let inputs = f.inputs.clone();
        let own: Vec<Input> = inputs.iter().filter(|input| input.shared == Ref::Null).cloned().collect();
        let miscounted = arguments.len() != own.len() || n_out > f.outputs.len();
        let places = f.spares.len();
        let mut call = Running {
            function,
            n_out,
            inputs: vec![],
            updates: vec![],
            places: vec![Ref::Null; places],
            offered: vec![None; places],
            entry: vec![],
            first: 0,
            copied: vec![],
        };
        let mut faults = Faults::default();
        faults.when(miscounted, TN_ERR_COUNT);
        let counted = arguments.len() == own.len();
        for (k, (&argument, input)) in arguments.iter().zip(&own).enumerate().filter(|_| counted) {
            faults.when(argument == Ref::Null && input.default == Ref::Null, TN_ERR_NULL);
            let twice = |j: usize| arguments[j] == argument && own[j].flags & input.flags & TN_TAKE_OWNERSHIP != 0;
            faults.when(argument != Ref::Null && (0..k).any(twice), TN_ERR_DUPLICATE);
        }
        let before = self.clone();
        if faults.none().is_ok()
            && let Err(status) = self.prepare(&mut call, arguments)
        {
            faults.add(status);
        }
        if faults.none().is_err() {
            // The first error in the order of checks, of that one and of all arguments.
            *self = before;
            for (&argument, input) in arguments.iter().zip(&own).filter(|(argument, _)| **argument != Ref::Null) {
                faults.take(self.argument(argument, input, Some(arguments)));
            }
        }
        faults.none()?;
        call.first = self.arrays.len();
        let own = call.inputs.iter().zip(&inputs).filter(|(_, input)| input.shared == Ref::Null);
        let crossed = own.map(|(passed, _)| passed.how).collect();
        self.frames.push(Frame::Call(call));
        Ok(Done { crossed, ..Done::default() })
    }

    /// An argument, unless something prevents any use of it by the body. `arguments`: all of a call that has no handles
    /// for its body.
    fn argument(&self, argument: Ref, input: &Input, arguments: Option<&[Ref]>) -> Result<usize, Status> {
        let array = self.array(argument)?;
        self.live(array)?;
        let mut faults = Faults::default();
        let layout = &self.arrays[array].region.layout;
        faults.take(input.check(layout));
        faults.when(input.flags & TN_STRICT != 0 && !layout.is_c(), TN_ERR_LAYOUT);
        self.argument_faults(array, input.flags, &mut faults);
        let writes = self.holds_through(array).any(|hold| hold.kind.is_writer());
        faults.when(input.flags & TN_TAKE_OWNERSHIP != 0 && writes, TN_ERR_BORROWED_WRITE);
        if let Some(arguments) = arguments.filter(|_| input.flags & TN_REQUIRE_BORROW != 0) {
            let own: Vec<usize> = arguments.iter().filter_map(|&argument| self.array(argument).ok()).collect();
            let shared = may_write(input.flags) && self.others(self.arrays[array].store, Some(&own)) > 0;
            let reasons = self.reasons_against_lending(array, input.flags, shared);
            reasons.iter().for_each(|&(is_so, _, status)| faults.when(is_so, status));
        }
        faults.none().map(|()| array)
    }

    /// What prevents any use of an argument by the body.
    fn argument_faults(&self, array: usize, flags: u32, faults: &mut Faults) {
        self.read_faults(array, false, faults);
        if flags & TN_TAKE_OWNERSHIP != 0 {
            // The rule of give, also for a guard on no bytes.
            faults.when(self.holds_through(array).any(|hold| hold.kind.is_reader()), TN_ERR_BORROWED);
        }
    }

    /// Why the body cannot have the argument's own bytes: TN_WHY_ bits, and the statuses with TN_REQUIRE_BORROW.
    /// `shared`: other handles need them.
    fn reasons_against_lending(&self, array: usize, flags: u32, shared: bool) -> [(bool, u32, Status); 7] {
        let a = &self.arrays[array];
        let writes = may_write(flags);
        let managed = self.is_managed(a.store) && !a.granted;
        let stretched = a.region.shares_bytes();
        let holds = |kind: &dyn Fn(&Holding) -> bool| self.holdings(a.store).any(|(_, hold)| kind(hold));
        let read = |hold: &Holding| hold.kind.is_reader() && hold.region.overlaps(&a.region);
        [
            (writes && stretched, TN_WHY_LAYOUT, TN_ERR_WOULD_COPY),
            (writes && a.readonly && !stretched, TN_WHY_READONLY, TN_ERR_READONLY),
            (shared || writes && managed, TN_WHY_SHARED, TN_ERR_SHARED),
            (writes && self.node_claims(a.store).next().is_some(), TN_WHY_IN_EXPRESSION, TN_ERR_IN_EXPRESSION),
            (writes && self.is_foreign(a.store), TN_WHY_FOREIGN, TN_ERR_FOREIGN),
            (writes && holds(&read), TN_WHY_BORROWED, TN_ERR_BORROWED),
            (writes && holds(&|hold| hold.kind.class().is_some()), TN_WHY_EXPORTED, TN_ERR_EXPORTED),
        ]
    }

    /// Reserves the variables, and passes the inputs.
    fn prepare(&mut self, call: &mut Running, arguments: &[Ref]) -> Result<(), Status> {
        let f = &self.functions[call.function];
        let (inputs, updates, n_out) = (f.inputs.clone(), f.updates.clone(), f.outputs.len());
        for &(variable, _) in &updates {
            if self.is_busy(variable) {
                return Err(TN_ERR_BORROWED_WRITE);
            }
            if self.variables[variable].is_poisoned {
                return Err(TN_ERR_POISONED);
            }
            self.variables[variable].reserved = Some(false);
        }
        for (k, &(variable, flags)) in updates.iter().enumerate() {
            let reserved = self.offer(variable, flags, call)?;
            if let Some(array) = reserved.offered {
                call.entry.push(Entrance::Place(n_out + k));
                call.places[n_out + k] = Ref::Array(array);
            }
            call.updates.push(reserved);
        }
        for input in &inputs {
            let Ref::Shared(variable) = input.shared else { continue };
            if self.variables[variable].is_poisoned {
                return Err(TN_ERR_POISONED);
            }
            if self.variables[variable].is_lent() && !call.lends(variable) {
                return Err(TN_ERR_BORROWED_WRITE);
            }
        }
        let mut left = arguments.iter();
        for (k, input) in inputs.iter().enumerate() {
            let passed = if let Ref::Shared(variable) = input.shared {
                self.pass_value(variable, input, call)?
            } else {
                match *left.next().expect("counted") {
                    Ref::Null => {
                        let value = self.functions[call.function].defaults[k].clone().expect("checked");
                        self.pass_to_read(&value, Bytes::Default, input.flags, None)
                    }
                    argument => self.pass_argument(argument, input, call, arguments)?,
                }
            };
            call.entry.push(Entrance::Input(k));
            call.inputs.push(passed);
        }
        let f = &self.functions[call.function];
        let flags: Vec<u32> = f.outputs.iter().map(|out| out.flags).chain(updates.iter().map(|u| u.1)).collect();
        for (place, flags) in flags.into_iter().enumerate() {
            if flags & TN_REUSE != 0
                && let Some(value) = self.take_spare(call.function, place)
            {
                let array = self.add_value(&value);
                call.offered[place] = Some(array);
                call.places[place] = Ref::Array(array);
                call.entry.push(Entrance::Place(place));
            }
        }
        Ok(())
    }

    /// An array on a value.
    pub fn add_value(&mut self, value: &Value) -> usize {
        let array = self.add_array(value.store, value.region.clone(), false, value.lease);
        self.arrays[array].form = value.form;
        array
    }

    /// What the body finds in the place of an update.
    fn offer(&mut self, variable: usize, flags: u32, call: &mut Running) -> Result<Reserved, Status> {
        let mut reserved = Reserved { variable, why: 0, lent: None, offered: None };
        if flags & TN_MAY_OVERWRITE == 0 {
            return Ok(reserved);
        }
        let value = self.value(variable).clone();
        reserved.why = self.reasons_against_writing(variable);
        let lends = reserved.why == 0;
        if !lends && self.forbidden > 0 {
            return Err(TN_ERR_WOULD_COPY);
        }
        self.variables[variable].reserved = Some(lends);
        let array = if lends {
            reserved.lent = Some((value.store, self.stores[value.store].writes));
            self.add_value(&value)
        } else {
            let layout = &value.region.layout;
            let copy = self.new_value(variable, layout, layout.natural_order(), value.form)?;
            call.copied.push(Crossing { function: FUNCTION, why: reserved.why, forced: true, bytes: layout.bytes() });
            self.add_value(&copy)
        };
        (self.arrays[array].granted, self.arrays[array].lent) = (lends, lends);
        reserved.offered = Some(array);
        Ok(reserved)
    }

    /// A handle that cannot write the bytes.
    fn pass_to_read(&mut self, value: &Value, bytes: Bytes, flags: u32, argument: Option<usize>) -> Passed {
        let array = self.add_value(value);
        let is_writable = argument.is_some_and(|argument| !self.arrays[argument].readonly);
        self.arrays[array].readonly = true;
        let store = value.store;
        Passed { array, how: (TN_ALIASED, 0), flags, store, bytes, is_writable, argument, rests: false }
    }

    fn pass_copy(
        &mut self,
        value: &Value,
        why: u32,
        flags: u32,
        writes: bool,
        call: &mut Running,
    ) -> Result<Passed, Status> {
        if self.forbidden > 0 {
            return Err(TN_ERR_WOULD_COPY);
        }
        let layout = &value.region.layout;
        call.copied.push(Crossing { function: FUNCTION, why, forced: true, bytes: layout.bytes() });
        let copy = self.fresh_value(layout, layout.natural_order(), CURRENT_POOL, value.form);
        let array = self.add_value(&copy);
        self.arrays[array].readonly = !writes;
        let (store, how) = (copy.store, (TN_COPIED, why));
        Ok(Passed { array, how, flags, store, bytes: Bytes::Copy, is_writable: false, argument: None, rests: false })
    }

    fn pass_value(&mut self, variable: usize, input: &Input, call: &mut Running) -> Result<Passed, Status> {
        let (value, flags) = (self.value(variable).clone(), input.flags);
        if flags & TN_STRICT != 0 && !value.region.layout.is_c() {
            return Err(TN_ERR_LAYOUT);
        }
        if call.lends(variable) {
            if flags & TN_REQUIRE_BORROW != 0 {
                return Err(TN_ERR_SHARED);
            }
            return self.pass_copy(&value, TN_WHY_SHARED, flags, false, call);
        }
        Ok(self.pass_to_read(&value, Bytes::Variable, flags, None))
    }

    fn pass_argument(
        &mut self,
        argument: Ref,
        input: &Input,
        call: &mut Running,
        arguments: &[Ref],
    ) -> Result<Passed, Status> {
        let flags = input.flags;
        let earlier = |before: &&Passed| before.argument.map(Ref::Array) == Some(argument) && before.rests;
        let rests = call.inputs.iter().find(earlier).cloned();
        // The body's handle of the earlier input has the bytes, unless that is a copy.
        let (array, source) = match &rests {
            Some(before) => {
                let array = before.argument.expect("it rests");
                (array, if before.bytes == Bytes::Copy { array } else { before.array })
            }
            None => {
                let array = self.argument(argument, input, None)?;
                (array, array)
            }
        };
        let a = self.arrays[source].clone();
        input.check(&a.region.layout)?;
        if flags & TN_STRICT != 0 && !a.region.layout.is_c() {
            return Err(TN_ERR_LAYOUT);
        }
        let (takes, writes) = (flags & TN_TAKE_OWNERSHIP != 0, may_write(flags));
        // FN-21: also if the array has no bytes. Reading: an array that is taken is not written beside that, even if it
        // was copied. FN-20.
        let overlaps = source != array
            || rests.is_some() && writes
            || call.inputs.iter().filter(|before| before.bytes != Bytes::Copy && before.store == a.store).any(
                |before| {
                    (writes || before.is_written())
                        && shares_a_byte(&self.arrays[before.array].region.layout, &a.region.layout)
                },
            );
        let mut own: Vec<usize> = arguments.iter().filter_map(|&argument| self.array(argument).ok()).collect();
        own.push(source);
        own.extend(call.inputs.iter().filter(|before| before.bytes != Bytes::Copy).map(|before| before.array));
        let shared = writes && self.others(a.store, Some(&own)) > 0;
        let reasons = self.reasons_against_lending(source, flags, overlaps || shared);
        let why = reasons.iter().filter(|(is_so, ..)| *is_so).fold(0, |bits, (_, bit, _)| bits | bit);
        let value = Value { store: a.store, region: a.region.clone(), form: a.form, lease: a.lease };
        let mut passed = if why == 0 {
            let mut passed = self.pass_to_read(&value, Bytes::Argument, flags, Some(array));
            if writes {
                let b = &mut self.arrays[passed.array];
                (b.readonly, b.granted) = (a.readonly, a.granted);
                passed.rests = true;
            }
            passed
        } else if flags & TN_REQUIRE_BORROW != 0 {
            let mut faults = Faults::default();
            reasons.iter().for_each(|&(is_so, _, status)| faults.when(is_so, status));
            return Err(faults.none().expect_err("a reason"));
        } else {
            let mut passed = self.pass_copy(&value, why, flags, writes, call)?;
            passed.rests = takes && !self.arrays[array].rests;
            passed
        };
        passed.argument = Some(array);
        if passed.rests {
            self.arrays[array].rests = true;
            self.arrays[array].copied = passed.bytes == Bytes::Copy;
            self.arrays[array].state = State::Given;
        }
        Ok(passed)
    }

    /// An argument can be used again.
    pub fn wake(&mut self, input: &Passed) {
        let Some(argument) = input.argument.filter(|_| input.rests) else { return };
        let a = &mut self.arrays[argument];
        (a.rests, a.copied) = (false, false);
        if a.state == State::Given {
            a.state = State::Live;
        }
        a.kept = false;
    }
}

/// The body may write an argument with these flags.
fn may_write(flags: u32) -> bool {
    flags & (TN_TAKE_OWNERSHIP | TN_MAY_OVERWRITE) != 0
}

/// Decided exactly, element by element.
fn shares_a_byte(a: &super::layout::Layout, b: &super::layout::Layout) -> bool {
    let (x, y) = (a.item(), b.item());
    let others = b.addresses();
    a.addresses().iter().any(|&at| others.iter().any(|&other| at < other + y && other < at + x))
}
