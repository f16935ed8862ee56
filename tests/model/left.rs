//! The second half of a call of a function in the model: what the body left, the new values of variables, and the
//! outputs.
//!
//! Contract: every check and copy comes first; the commit cannot fail. A failure undoes what the first half did. Rows
//! FN-14 to FN-18, FN-22, FN-23, FN-30 to FN-35; the table of outputs.

use super::calls::{Crossing, Done};
use super::function::Spare;
use super::handle::{CURRENT_POOL, Model, Ref, State};
use super::pass::{Bytes, Passed, Reserved, Running};
use super::rules::{Class, Faults, Status};
use super::update::known_failure;
use super::variable::{BY_HOLDER, Entry, Value};
use tenure::types::*;

const FUNCTION: &str = "tn_function_call";
/// The inputs with these flags may be aliased by an output.
const MAY_ALIAS: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP;

/// An array that the body left in a place.
#[derive(Clone, Copy, Debug)]
struct Left {
    array: usize,
    store: usize,
    /// Claims on its store, those of expressions included, except those in places.
    holders: usize,
}

/// The new value of a variable.
enum New {
    None,
    /// The array that the body left; whether it is on the bytes that were lent.
    Array(usize, bool),
    Copy(Value),
}

/// What becomes of an output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    HandedOut,
    Aliased,
    Copied,
}

/// What is decided before the commit.
struct Decided {
    lefts: Vec<Option<Left>>,
    new: Vec<New>,
    /// The stores that are new values.
    taken: Vec<usize>,
    /// For each output: the array, and whether the function keeps its buffer.
    outputs: Vec<(usize, bool)>,
    done: Done,
}

impl Model {
    /// The body returned.
    pub fn finish_call(&mut self, mut call: Running, status: u32) -> Result<Done, Status> {
        for k in 0..call.inputs.len() {
            let array = call.inputs[k].array;
            if !call.places.contains(&Ref::Array(array)) {
                self.end_if_there(array);
            }
        }
        for update in &call.updates {
            if let Some(array) = update.offered.filter(|&array| !call.places.contains(&Ref::Array(array))) {
                self.end_if_there(array);
            }
        }
        // A spare buffer in a place is not kept as unused.
        for offered in &mut call.offered {
            offered.take_if(|array| call.places.contains(&Ref::Array(*array)));
        }
        self.sweep();
        let first = self.arrays.len();
        let decided = if status == TN_OK { self.decide(&mut call) } else { Err(known_failure(status)) };
        let done = match decided {
            Ok(decided) => Ok(self.commit(&mut call, decided)),
            Err(status) => {
                for array in first..self.arrays.len() {
                    self.arrays[array].state = State::Released;
                }
                self.abandon(&call);
                Err(status)
            }
        };
        for update in &call.updates {
            if let Some((store, _)) = update.lent {
                self.end_grants(store);
            }
            self.variables[update.variable].reserved = None;
        }
        done
    }

    fn end_if_there(&mut self, array: usize) {
        if self.arrays[array].state != State::Released {
            self.end_handle(array);
        }
    }

    /// The value that was lent may have changed: a write of it ended, failed, or is still possible.
    fn is_changed(&self, update: &Reserved) -> bool {
        let Some((store, writes)) = update.lent else { return false };
        self.left_open(self.value(update.variable)) || self.stores[store].writes != writes
    }

    fn is_left_writable(&self, store: usize) -> bool {
        let writes = |class| matches!(class, Some(Class::Shared | Class::Exclusive));
        self.holdings(store).any(|(_, hold)| hold.kind.is_writer() || writes(hold.kind.class()))
    }

    /// The call failed: all that the body left ends, and a value that was written in place is undefined.
    fn abandon(&mut self, call: &Running) {
        for place in &call.places {
            if let Ref::Array(array) = *place {
                self.end_if_there(array);
            }
        }
        self.sweep();
        self.keep_unused(call);
        for input in &call.inputs {
            self.wake(input);
        }
        for update in &call.updates {
            if self.is_changed(update) {
                self.variables[update.variable].is_poisoned = true;
            }
        }
    }

    /// Spare buffers that the body found, and did not leave in a place.
    fn keep_unused(&mut self, call: &Running) {
        for (place, offered) in call.offered.iter().enumerate() {
            let Some(array) = *offered else { continue };
            // One that the body gave away is not the function's any more.
            if self.arrays[array].has_claim() && self.arrays[array].state == State::Live {
                let value = self.value_of(array);
                self.keep_spare(call.function, place, Spare { value, rests: false });
                self.arrays[array].state = State::Released;
            } else {
                self.end_if_there(array);
            }
        }
    }

    pub fn value_of(&self, array: usize) -> Value {
        let a = &self.arrays[array];
        Value { store: a.store, region: a.region.clone(), form: a.form, lease: a.lease }
    }

    /// FN-15: each place has a live, readable array of the declared type, or the call fails.
    fn settle(&mut self, call: &mut Running) -> Result<Vec<Option<Left>>, Status> {
        let outputs = self.functions[call.function].outputs.clone();
        let mut lefts: Vec<Option<Left>> = vec![];
        for place in 0..call.places.len() {
            let there = call.places[place];
            if there == Ref::Null && place >= outputs.len() {
                lefts.push(None);
                continue;
            }
            let mut array = self.array(there).map_err(|_| TN_ERR_FAILED)?;
            if call.places[..place].contains(&there) {
                self.live(array).map_err(|_| TN_ERR_FAILED)?;
                array = self.add_clone(&self.arrays[array].clone());
                self.arrays[array].hidden = true;
                call.places[place] = Ref::Array(array);
            }
            let layout = &self.arrays[array].region.layout;
            let fits = match place.checked_sub(outputs.len()) {
                None => outputs[place].check(layout).is_ok(),
                Some(k) => {
                    let value = &self.value(call.updates[k].variable).region.layout;
                    value.dtype == layout.dtype && value.shape.len() == layout.shape.len()
                }
            };
            let mut faults = Faults::default();
            self.read_faults(array, false, &mut faults);
            if self.live(array).is_err() || !fits || faults.none().is_err() {
                return Err(TN_ERR_FAILED);
            }
            lefts.push(Some(Left { array, store: self.arrays[array].store, holders: 0 }));
        }
        let there: Vec<usize> = lefts.iter().flatten().map(|left| left.array).collect();
        for left in lefts.iter_mut().flatten() {
            left.holders = self.others(left.store, Some(&there)) + self.node_claims(left.store).count();
        }
        Ok(lefts)
    }

    fn decide(&mut self, call: &mut Running) -> Result<Decided, Status> {
        let lefts = self.settle(call)?;
        let mut decided = Decided { lefts, new: vec![], taken: vec![], outputs: vec![], done: Done::default() };
        for k in 0..call.updates.len() {
            let new = self.decide_update(call, k, &mut decided)?;
            decided.new.push(new);
        }
        for place in 0..call.n_out {
            self.decide_output(call, place, &mut decided)?;
        }
        Ok(decided)
    }

    fn lets_go(&self, call: &Running, k: usize, lefts: &[Option<Left>]) -> bool {
        let n_out = call.places.len() - call.updates.len();
        let store = self.value(call.updates[k].variable).store;
        lefts[n_out + k].is_some_and(|left| left.store != store)
    }

    /// The update whose variable has its value in the store.
    fn updated(&self, call: &Running, store: usize) -> Option<usize> {
        call.updates.iter().position(|update| self.value(update.variable).store == store)
    }

    /// Lets the bytes be written through an array that the body made from a handle for reading.
    fn make_writable(&mut self, array: usize) {
        let shares = self.arrays[array].region.shares_bytes();
        let a = &mut self.arrays[array];
        a.readonly &= shares;
    }

    fn decide_update(&mut self, call: &mut Running, k: usize, decided: &mut Decided) -> Result<New, Status> {
        let update = &call.updates[k];
        let n_out = call.places.len() - call.updates.len();
        let Some(Left { array, store, .. }) = decided.lefts[n_out + k] else {
            // Reading: a value that was written in place cannot be left out.
            return if self.is_changed(update) { Err(TN_ERR_FAILED) } else { Ok(New::None) };
        };
        let own = self.updated(call, store);
        let of_caller = |bytes| bytes != Bytes::Copy;
        let is_taken = |input: &Passed| input.bytes == Bytes::Argument && input.flags & TN_TAKE_OWNERSHIP != 0;
        let why = if own == Some(k) && update.lent.is_some() {
            let (is_open, stretched) = (self.is_left_writable(store), self.arrays[array].region.shares_bytes());
            if !is_open && !stretched {
                decided.taken.push(store);
                return Ok(New::Array(array, true));
            }
            if is_open { TN_WHY_EXPORTED } else { TN_WHY_LAYOUT }
        } else {
            let keeps =
                call.inputs.iter().any(|input| input.store == store && of_caller(input.bytes) && !is_taken(input));
            let may = !decided.taken.contains(&store)
                && match own {
                    Some(own) if own == k => true,
                    Some(own) => self.lets_go(call, own, &decided.lefts),
                    None => !keeps,
                };
            // Reading: a read guard of the array itself may not stay open.
            let region = &self.arrays[array].region;
            if may && self.holds_through(array).any(|hold| hold.kind.is_reader() && hold.region.overlaps(region)) {
                return Err(TN_ERR_FAILED);
            }
            let entry = if may { self.entry_of_left(call, array, own) } else { Ok(Entry::Copy(TN_WHY_SHARED)) };
            match entry {
                Err(_) => return Err(TN_ERR_FAILED),
                Ok(Entry::Copy(why)) => why,
                Ok(Entry::Alias) => {
                    decided.taken.push(store);
                    return Ok(New::Array(array, false));
                }
            }
        };
        if self.forbidden > 0 {
            return Err(TN_ERR_WOULD_COPY);
        }
        let (variable, left) = (update.variable, self.value_of(array));
        let layout = &left.region.layout;
        let copy = self.new_value(variable, layout, TN_ORDER_C, left.form)?;
        call.copied.push(Crossing { function: FUNCTION, why, forced: true, bytes: layout.bytes() });
        Ok(New::Copy(copy))
    }

    /// The table of setting, for an array that the body left in the place of an update. `own`: the update whose
    /// variable has the store; if that is another one, its variable lets the store go.
    fn entry_of_left(&mut self, call: &Running, array: usize, own: Option<usize>) -> Result<Entry, Status> {
        let store = self.arrays[array].store;
        if own.is_some() || call.inputs.iter().any(|input| input.store == store) {
            self.make_writable(array);
        }
        let forbidden = std::mem::take(&mut self.forbidden);
        let entry = self.entry(array, TN_BORROW, own.map(|own| call.updates[own].variable));
        self.forbidden = forbidden;
        entry
    }

    fn decide_output(&mut self, call: &mut Running, place: usize, decided: &mut Decided) -> Result<(), Status> {
        let outputs = &self.functions[call.function].outputs;
        let flags = outputs[place].flags;
        let left = decided.lefts[place].expect("settled");
        let borrows = |place: usize| outputs[place].flags & (TN_BORROW | TN_REQUIRE_BORROW) != 0;
        // An earlier output that is a copy has bytes of its own.
        let has_bytes = |&other: &usize| {
            decided.done.crossed[other].0 == TN_ALIASED
                && decided.lefts[other].is_some_and(|other| other.store == left.store)
        };
        let earlier: Vec<usize> = (0..place).filter(has_bytes).collect();
        let may = borrows(place) && earlier.iter().all(|&other| borrows(other));
        let borrowed = borrows(place);
        let mut fate = self.fate(call, &left, earlier.is_empty(), may, decided);
        // A former value is handed out without flags only if nobody else reads it. A writer is the body's own, on other
        // bytes: on these, the call would have failed.
        let was_value = self.updated(call, left.store).is_some();
        let is_read = || self.holdings(left.store).any(|(_, hold)| !hold.kind.is_writer());
        if fate == Fate::HandedOut && was_value && !borrowed && is_read() {
            fate = Fate::Copied;
        }
        if fate != Fate::Copied {
            let own = self.updated(call, left.store).is_some() || self.is_imported(left.store);
            let input = |input: &Passed| input.store == left.store && input.bytes != Bytes::Copy;
            let keeps = fate == Fate::HandedOut && flags & TN_REUSE != 0 && !own && !call.inputs.iter().any(input);
            decided.done.crossed.push((TN_ALIASED, 0));
            decided.outputs.push((left.array, keeps));
            return Ok(());
        }
        if flags & TN_REQUIRE_BORROW != 0 || borrowed && self.forbidden > 0 {
            return Err(TN_ERR_WOULD_COPY);
        }
        let value = self.value_of(left.array);
        let (layout, why) = (&value.region.layout, TN_WHY_SHARED);
        call.copied.push(Crossing { function: FUNCTION, why, forced: true, bytes: layout.bytes() });
        decided.done.crossed.push((TN_COPIED, why));
        let copy = self.fresh_value(layout, TN_ORDER_C, CURRENT_POOL, value.form);
        let array = self.add_value(&copy);
        self.arrays[array].hidden = true;
        decided.outputs.push((array, flags & TN_REUSE != 0));
        Ok(())
    }

    /// The table of outputs.
    fn fate(&mut self, call: &Running, left: &Left, is_first: bool, may_alias: bool, decided: &Decided) -> Fate {
        let alias = if may_alias { Fate::Aliased } else { Fate::Copied };
        let is_taken = decided.taken.contains(&left.store);
        let from: Vec<_> = call.inputs.iter().filter(|input| input.store == left.store).collect();
        let of_caller: Vec<_> =
            from.iter().filter(|input| matches!(input.bytes, Bytes::Argument | Bytes::Default)).collect();
        if !of_caller.is_empty() {
            if of_caller.iter().any(|input| input.bytes == Bytes::Default || input.flags & MAY_ALIAS == 0) {
                return Fate::Copied;
            }
            let all_taken = of_caller.iter().all(|input| input.flags & TN_TAKE_OWNERSHIP != 0);
            if all_taken && left.holders == 0 && is_first && !is_taken {
                return Fate::HandedOut;
            }
            if of_caller.iter().all(|input| input.is_writable) {
                self.make_writable(left.array);
            }
            return alias;
        }
        let own = self.updated(call, left.store);
        let is_free = own.is_some_and(|own| self.lets_go(call, own, &decided.lefts)) && !is_taken;
        if own.is_some() || !from.is_empty() {
            self.make_writable(left.array);
        }
        // A variable that lets its value go still has its claim; one that is lent is not counted.
        let claims = usize::from(own.is_some_and(|own| is_free && call.updates[own].lent.is_none()));
        let alone = (own.is_none() || is_free) && left.holders == claims;
        if alone && !is_taken && is_first { Fate::HandedOut } else { alias }
    }

    /// All updates become visible together, and the outputs are handed out.
    fn commit(&mut self, call: &mut Running, decided: Decided) -> Done {
        let Decided { new, mut done, outputs, lefts, .. } = decided;
        self.copied.append(&mut call.copied);
        let n_out = call.places.len() - call.updates.len();
        let unwanted = self.unwanted(call, &lefts, n_out);
        let mut before = vec![];
        for (k, new) in new.into_iter().enumerate() {
            let Reserved { variable, why, .. } = call.updates[k];
            let (value, in_place) = match new {
                New::None => continue,
                New::Copy(value) => (value, false),
                New::Array(array, in_place) => {
                    call.places[n_out + k] = Ref::Null;
                    let value = self.value_of(array);
                    self.arrays[array].state = State::Released;
                    (value, in_place)
                }
            };
            let old = self.variables[variable].value.replace(value).expect("a value");
            if !in_place {
                before.push((k, old));
                self.variables[variable].detach_count += u64::from(why & BY_HOLDER != 0);
            }
            self.changed(variable);
        }
        for update in &call.updates {
            self.variables[update.variable].reserved = None;
        }
        // First, so that newer buffers replace them.
        self.keep_unused(call);
        for (k, old) in before {
            if self.functions[call.function].updates[k].1 & TN_REUSE != 0 && self.is_let_go(&old) {
                self.keep_spare(call.function, n_out + k, Spare { value: old, rests: false });
            }
        }
        for (place, array) in unwanted {
            call.places[place] = Ref::Null;
            let value = self.value_of(array);
            self.arrays[array].state = State::Released;
            self.keep_spare(call.function, place, Spare { value, rests: false });
        }
        for &(array, _) in &outputs {
            for place in &mut call.places[..n_out] {
                if *place == Ref::Array(array) {
                    *place = Ref::Null;
                }
            }
            self.arrays[array].hidden = false;
        }
        for place in 0..call.places.len() {
            if let Ref::Array(array) = call.places[place] {
                self.end_if_there(array);
            }
        }
        for input in &call.inputs {
            self.wake(input);
            if let Some(argument) = input.argument
                && input.flags & TN_TAKE_OWNERSHIP != 0
                && self.arrays[argument].state == State::Live
            {
                self.arrays[argument].state = State::Destructed;
            }
        }
        for (place, &(array, keeps)) in outputs.iter().enumerate() {
            if keeps {
                let value = self.value_of(array);
                self.keep_spare(call.function, place, Spare { value, rests: true });
            }
            done.arrays.push(array);
        }
        done
    }

    /// The outputs that the caller does not take, and whose buffers the function keeps.
    fn unwanted(&self, call: &Running, lefts: &[Option<Left>], n_out: usize) -> Vec<(usize, usize)> {
        let mut all = vec![];
        for place in call.n_out..n_out {
            let left = lefts[place].expect("settled");
            let reuse = self.functions[call.function].outputs[place].flags & TN_REUSE != 0;
            let several = lefts.iter().flatten().filter(|other| other.store == left.store).count() > 1;
            let input = |input: &Passed| input.store == left.store && input.bytes != Bytes::Copy;
            let other = self.updated(call, left.store).is_some()
                || self.is_imported(left.store)
                || call.inputs.iter().any(input);
            if reuse && !several && left.holders == 0 && !other {
                all.push((place, left.array));
            }
        }
        all
    }
}
