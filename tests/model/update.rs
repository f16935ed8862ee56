//! Updates of shared variables in the model, and the callbacks that run in a trace.
//!
//! Contract: an update is a begin and an end; between them a trace makes any other calls, whether or not they are in a
//! callback. Rows SV-34 to SV-36.

use super::calls::{Crossing, Done};
use super::handle::{Model, Ref, State};
use super::pass::Running;
use super::rules::{Class, Faults, Status};
use super::variable::{BY_HOLDER, Entry, Value};
use tenure::types::*;

/// An update in progress.
#[derive(Clone, Debug)]
pub struct Update {
    /// The array that the caller or its callback has.
    pub array: usize,
    /// The copy that it is; None: the value itself.
    pub copy: Option<Value>,
    pub why: u32,
    pub by_callback: bool,
}

/// A callback that runs.
#[derive(Clone, Debug)]
pub enum Frame {
    Update(usize),
    Call(Running),
    /// A kernel of the host, with its guard.
    Launch(usize),
}

impl Model {
    /// A callback of an update of the variable is running.
    pub fn is_worked_on(&self, variable: usize) -> bool {
        self.variables[variable].update.as_ref().is_some_and(|update| update.by_callback)
    }

    /// The arrays that running callbacks have: lent by updates, passed to functions, borrowed by launches.
    pub fn lent_arrays(&self) -> Vec<usize> {
        let lent = self.variables.iter().filter_map(|variable| variable.update.as_ref()).map(|update| update.array);
        let calls = self.frames.iter().filter_map(|frame| match frame {
            Frame::Call(call) => Some(call),
            _ => None,
        });
        let guards = self.frames.iter().filter_map(|frame| match frame {
            Frame::Launch(guard) => Some(*guard),
            _ => None,
        });
        let borrowed = guards.flat_map(|guard| self.guards[guard].holds.iter().map(|hold| hold.by));
        let found = calls.flat_map(|call| {
            let places = call.updates.iter().filter_map(|update| update.offered);
            let spares = call.offered.iter().copied().flatten();
            call.inputs.iter().map(|input| input.array).chain(places).chain(spares)
        });
        lent.chain(found).chain(borrowed).filter(|&array| self.arrays[array].state == State::Live).collect()
    }

    /// A call changes the variable.
    pub fn is_busy(&self, variable: usize) -> bool {
        self.variables[variable].update.is_some() || self.variables[variable].reserved.is_some()
    }

    pub fn shared_update(&mut self, shared: Ref, flags: u32) -> Result<Done, Status> {
        let mut done = self.begin(shared, flags, "tn_shared_update", true)?;
        let Ref::Shared(variable) = shared else { unreachable!("begin has checked it") };
        self.frames.push(Frame::Update(variable));
        done.arrays.clear();
        Ok(done)
    }

    pub fn update_begin(&mut self, shared: Ref, flags: u32) -> Result<Done, Status> {
        self.begin(shared, flags, "tn_shared_update_begin", false)
    }

    fn begin(&mut self, shared: Ref, flags: u32, function: &'static str, by_callback: bool) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let variable = faults.take(self.variable(shared));
        faults.when(flags & !TN_MAY_OVERWRITE != 0, TN_ERR_INVALID);
        faults.none()?;
        let variable = variable.expect("no fault");
        faults.when(self.variables[variable].is_poisoned, TN_ERR_POISONED);
        faults.when(self.is_busy(variable), TN_ERR_BORROWED_WRITE);
        faults.none()?;
        let in_place = flags & TN_MAY_OVERWRITE != 0;
        let why = if in_place { self.reasons_against_writing(variable) } else { 0 };
        if why != 0 && self.forbidden > 0 {
            return Err(TN_ERR_WOULD_COPY);
        }
        let mut done = Done::default();
        let value = self.value(variable).clone();
        let mut copy = None;
        if !in_place || why != 0 {
            let layout = &value.region.layout;
            copy = Some(self.new_value(variable, layout, layout.natural_order(), value.form)?);
            done.copies.push(Crossing { function, why, forced: why != 0, bytes: layout.bytes() });
        }
        done.crossed.push(if copy.is_some() { (TN_COPIED, why) } else { (TN_ALIASED, 0) });
        let lent = copy.clone().unwrap_or(value);
        let array = self.add_array(lent.store, lent.region, false, lent.lease);
        let a = &mut self.arrays[array];
        (a.form, a.lent, a.granted) = (lent.form, true, copy.is_none());
        self.variables[variable].update = Some(Update { array, copy, why, by_callback });
        done.arrays.push(array);
        Ok(done)
    }

    pub fn update_end(&mut self, shared: Ref, flags: u32) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let variable = faults.take(self.variable(shared));
        faults.when(flags & !TN_END_FAILED != 0, TN_ERR_INVALID);
        faults.none()?;
        let variable = variable.expect("no fault");
        if self.variables[variable].update.as_ref().is_none_or(|update| update.by_callback) {
            return Err(TN_ERR_INVALID);
        }
        self.finish_update(variable, flags != 0, "tn_shared_update_end")
    }

    /// The body of a function leaves an array in a place.
    pub fn place(&mut self, place: usize, array: Ref) -> Done {
        let array = self.passed(array);
        if let Some(Frame::Call(call)) = self.frames.last_mut()
            && let Some(there) = call.places.get_mut(place)
        {
            *there = array;
        }
        Done::default()
    }

    /// The innermost callback returns.
    pub fn return_from_callback(&mut self, status: u32) -> Result<Done, Status> {
        let Some(frame) = self.frames.pop() else { return Ok(Done::default()) };
        match frame {
            Frame::Update(variable) => {
                let finished = self.finish_update(variable, status != TN_OK, "tn_shared_update");
                self.end_unused_variable(variable);
                let done = finished?;
                match status {
                    TN_OK => Ok(done),
                    _ => Err(known_failure(status)),
                }
            }
            Frame::Call(call) => {
                let function = call.function;
                let done = self.finish_call(call, status);
                self.end_unused_function(function);
                done
            }
            Frame::Launch(guard) => Ok(self.finish_launch(guard)),
        }
    }

    /// The update is over. Whether it succeeds depends on what is left on the bytes.
    pub fn finish_update(&mut self, variable: usize, failed: bool, function: &'static str) -> Result<Done, Status> {
        let update = self.variables[variable].update.clone().expect("an update in progress");
        let value = update.copy.clone().unwrap_or_else(|| self.value(variable).clone());
        self.take_back(update.array, value.store);
        self.variables[variable].update = None;
        let left = self.left_open(&value);
        let mut done = Done::default();
        match (update.copy, failed || left) {
            (None, true) => self.variables[variable].is_poisoned = true,
            (None, false) => self.changed(variable),
            (Some(_), true) => {}
            (Some(copy), false) => {
                let entry = self.entry_of_own(&copy, variable)?;
                let buffer = self.value(variable).store;
                match entry {
                    Entry::Alias => self.variables[variable].value = Some(copy),
                    Entry::Copy(why) => {
                        let bytes = copy.region.layout.bytes();
                        self.store_copy(variable, &copy.region.layout, copy.form)?;
                        done.copies.push(Crossing { function, why, forced: why != 0, bytes });
                    }
                }
                let detached = update.why & BY_HOLDER != 0 && self.value(variable).store != buffer;
                self.variables[variable].detach_count += u64::from(detached);
                self.changed(variable);
            }
        }
        if left && !failed { Err(TN_ERR_FAILED) } else { Ok(done) }
    }

    /// The library stores an array of its own.
    fn entry_of_own(&mut self, own: &Value, variable: usize) -> Result<Entry, Status> {
        let array = self.add_array(own.store, own.region.clone(), false, own.lease);
        let entry = self.entry(array, TN_BORROW, Some(variable));
        self.arrays.pop();
        self.claiming.pop();
        entry
    }

    /// The callback's handle ends, and all grants to write the store.
    pub fn take_back(&mut self, array: usize, store: usize) {
        if self.arrays[array].state != State::Released {
            self.end_handle(array);
        }
        self.end_grants(store);
    }

    pub fn end_grants(&mut self, store: usize) {
        for array in &mut self.arrays {
            if array.store == store {
                (array.granted, array.lent) = (false, false);
            }
        }
        for claim in self.nodes.iter_mut().filter_map(|node| node.value.as_mut()) {
            claim.granted &= claim.store != store;
        }
    }

    /// Something through which the value can still change, or a write of it that failed.
    pub fn left_open(&self, value: &Value) -> bool {
        // Reading: a guard on other bytes of the store is from before. An export there would have prevented that the
        // value is lent.
        let writes = self.holdings(value.store).any(|(_, hold)| {
            hold.kind.is_writer() && hold.region.overlaps(&value.region)
                || matches!(hold.kind.class(), Some(Class::Shared | Class::Exclusive))
        });
        writes || self.is_poisoned(value.store, &value.region)
    }
}

/// What a call returns for the status of its callback.
pub fn known_failure(status: u32) -> Status {
    if status > TN_ERR_OVERFLOW { TN_ERR_FAILED } else { status }
}
