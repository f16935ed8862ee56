//! Shared variables of the model: how a value enters and leaves one, and who may write it.
//!
//! Contract: as `claims`: finds every error first, then changes the model, or changes nothing. Rows SV-1 to SV-4, SV-6
//! to SV-17, SV-20 to SV-25, SV-30 to SV-33, SV-35, SV-37, SV-39, for a host without devices.

use super::calls::{Crossing, Done};
use super::function::Function;
use super::graph::Form;
use super::handle::{CURRENT_POOL, FULL_POOL, Model, Ref, State};
use super::layout::Layout;
use super::region::Region;
use super::rules::{Class, Faults, Status};
use super::store::Holding;
use super::update::Update;
use super::views::View;
use tenure::types::*;

/// A claim on a value that the library keeps.
#[derive(Clone, Debug)]
pub struct Value {
    pub store: usize,
    pub region: Region,
    pub form: Form,
    pub lease: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct Variable {
    /// Its handle is not released.
    pub handle: bool,
    /// None once nothing refers to the variable.
    pub value: Option<Value>,
    pub is_poisoned: bool,
    pub version: u64,
    pub detach_count: u64,
    pub pool: usize,
    /// The update in progress.
    pub update: Option<Update>,
    /// A call of a function changes it; whether the value is lent to the body.
    pub reserved: Option<bool>,
}

impl Variable {
    /// The claims of the variable.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.value.iter().chain(self.update.iter().filter_map(|update| update.copy.as_ref()))
    }

    /// The value is lent to a callback that may write it.
    pub fn is_lent(&self) -> bool {
        self.update.as_ref().is_some_and(|update| update.copy.is_none()) || self.reserved == Some(true)
    }
}

/// How a value enters a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    Alias,
    /// TN_WHY_ bits.
    Copy(u32),
}

/// Flags of create and set.
const ENTERING: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_TAKE_OWNERSHIP | TN_STRICT;
/// Flags of get.
const LEAVING: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_RAW;
/// The reasons for another buffer that come from a holder of the present one.
pub const BY_HOLDER: u32 = TN_WHY_SHARED | TN_WHY_IN_EXPRESSION | TN_WHY_EXPORTED | TN_WHY_BORROWED;

impl Model {
    pub fn variable(&self, shared: Ref) -> Result<usize, Status> {
        self.known(shared)?;
        if let Ref::Shared(index) = shared { Ok(index) } else { Err(TN_ERR_KIND) }
    }

    pub fn value(&self, variable: usize) -> &Value {
        self.variables[variable].value.as_ref().expect("a variable that is there has a value")
    }

    /// The variable whose value is in the store. A buffer belongs to one variable at most (SV-2).
    pub fn variable_of(&self, store: usize) -> Option<usize> {
        let has = |variable: &Variable| variable.value.as_ref().is_some_and(|value| value.store == store);
        self.variables.iter().position(has)
    }

    /// The store is constant (SV-3).
    pub fn is_managed(&self, store: usize) -> bool {
        self.variable_of(store).is_some()
    }

    /// The variables that count as a holder: not one that lends its value.
    pub fn counted_variables(&self, store: usize) -> impl Iterator<Item = usize> {
        self.variable_of(store).filter(|&variable| !self.variables[variable].is_lent()).into_iter()
    }

    /// The library keeps the store for a variable, a function, or an argument of one.
    pub fn is_kept(&self, store: usize) -> bool {
        let values = self.functions.iter().flat_map(Function::values).map(|value| value.store);
        self.is_lent(store) || values.into_iter().any(|kept| kept == store)
    }

    /// The store is that of a variable, or of an argument that a function has.
    pub fn is_lent(&self, store: usize) -> bool {
        let arguments = self.claiming.iter().filter(|&&k| self.arrays[k].rests).map(|&k| self.arrays[k].store);
        let values = self.variables.iter().flat_map(Variable::values).map(|value| value.store);
        arguments.chain(values).any(|kept| kept == store)
    }

    /// The table of creating and setting.
    pub fn entry(&self, array: usize, flags: u32, variable: Option<usize>) -> Result<Entry, Status> {
        let a = &self.arrays[array];
        let has = |flag| flags & flag != 0;
        let mut faults = Faults::default();
        faults.when(has(TN_STRICT) && !a.region.layout.is_c(), TN_ERR_LAYOUT);
        self.read_faults(array, false, &mut faults);
        let own_reader = |hold: &Holding| hold.kind.is_reader() && hold.region.overlaps(&a.region);
        faults.when(has(TN_TAKE_OWNERSHIP) && self.holds_through(array).any(own_reader), TN_ERR_BORROWED);
        if !has(TN_BORROW | TN_REQUIRE_BORROW | TN_TAKE_OWNERSHIP) {
            return faults.none().map(|()| Entry::Copy(0));
        }
        let owner = self.variable_of(a.store);
        let own = owner.is_some() && owner == variable;
        // Reading: a stretched view without elements is only read-only.
        let stretched = a.region.shares_bytes();
        let exported = |class| {
            self.holdings(a.store).any(|(_, hold)| hold.kind.class() == Some(class) && hold.region.overlaps(&a.region))
        };
        let wasteful = self.stores[a.store].bytes() > 2 * a.region.layout.bytes();
        let lines = [
            (a.readonly && !stretched, TN_WHY_READONLY, TN_ERR_READONLY),
            (owner.is_some() && !own, TN_WHY_SHARED, TN_ERR_ALIASED),
            (stretched, TN_WHY_LAYOUT, TN_ERR_WOULD_COPY),
            (exported(Class::Shared), TN_WHY_EXPORTED, TN_ERR_EXPORTED),
            (self.is_read(array), TN_WHY_BORROWED, TN_ERR_BORROWED),
            (wasteful && !has(TN_REQUIRE_BORROW), TN_WHY_WASTE, TN_ERR_WOULD_COPY),
        ];
        let first = lines.iter().find(|(matches, ..)| *matches);
        if has(TN_REQUIRE_BORROW) {
            lines.iter().for_each(|&(matches, _, status)| faults.when(matches, status));
        }
        faults.none()?;
        if has(TN_TAKE_OWNERSHIP) {
            // The rule of give. Reading: a guard on no bytes counts too.
            faults.when(self.holds_through(array).any(|hold| hold.kind.is_writer()), TN_ERR_BORROWED_WRITE);
            faults.when(self.holds_through(array).any(|hold| hold.kind.is_reader()), TN_ERR_BORROWED);
        }
        if !has(TN_REQUIRE_BORROW) {
            faults.when(first.is_some() && self.forbidden > 0, TN_ERR_WOULD_COPY);
        }
        faults.none()?;
        Ok(first.map_or(Entry::Alias, |&(_, why, _)| Entry::Copy(why)))
    }

    fn is_read(&self, array: usize) -> bool {
        let a = &self.arrays[array];
        self.holdings(a.store).any(|(_, hold)| hold.kind.is_reader() && hold.region.overlaps(&a.region))
    }

    pub fn shared_create(&mut self, value: Ref, flags: u32, pool: Ref) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(value));
        let pool = faults.take(self.pool(pool));
        faults.when(flags & !ENTERING != 0, TN_ERR_INVALID);
        faults.none()?;
        let (array, pool) = (array.expect("no fault"), pool.expect("no fault"));
        self.live(array)?;
        let entry = self.entry(array, flags, None)?;
        let number = self.variables.len();
        self.variables.push(Variable {
            handle: true,
            value: None,
            is_poisoned: false,
            version: 1,
            detach_count: 0,
            pool,
            update: None,
            reserved: None,
        });
        let stored = self.store_value(number, array, flags, entry, "tn_shared_create");
        if stored.is_err() {
            self.variables.pop();
        }
        let mut done = stored?;
        done.shared = Some(number);
        Ok(done)
    }

    pub fn shared_set(&mut self, shared: Ref, value: Ref, flags: u32) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let variable = faults.take(self.variable(shared));
        let array = faults.take(self.array(value));
        faults.when(flags & !ENTERING != 0, TN_ERR_INVALID);
        faults.none()?;
        let (variable, array) = (variable.expect("no fault"), array.expect("no fault"));
        self.live(array)?;
        let (old, new) = (&self.value(variable).region.layout, &self.arrays[array].region.layout);
        faults.when(old.dtype != new.dtype, TN_ERR_DTYPE);
        faults.when(old.shape.len() != new.shape.len(), TN_ERR_SHAPE);
        faults.when(flags & TN_STRICT != 0 && !new.is_c(), TN_ERR_LAYOUT);
        // "At once" (SV-36): before anything that other holders do with the value.
        faults.when(self.is_busy(variable), TN_ERR_BORROWED_WRITE);
        faults.none()?;
        let entry = self.entry(array, flags, Some(variable))?;
        let done = self.store_value(variable, array, flags, entry, "tn_shared_set")?;
        self.changed(variable);
        Ok(done)
    }

    /// A set, update or commit of a call succeeded (SV-35).
    pub fn changed(&mut self, variable: usize) {
        self.variables[variable].version += 1;
        self.variables[variable].is_poisoned = false;
    }

    /// The array becomes the value in the way that the table says.
    pub fn store_value(
        &mut self,
        variable: usize,
        array: usize,
        flags: u32,
        entry: Entry,
        function: &'static str,
    ) -> Result<Done, Status> {
        let a = self.arrays[array].clone();
        let mut done = Done::default();
        match entry {
            Entry::Alias => {
                done.crossed.push((TN_ALIASED, 0));
                let value = Value { store: a.store, region: a.region, form: a.form, lease: a.lease };
                self.variables[variable].value = Some(value);
            }
            Entry::Copy(why) => {
                done.crossed.push((TN_COPIED, why));
                let bytes = a.region.layout.bytes();
                done.copies.push(Crossing { function, why, forced: why != 0, bytes });
                let detached = self.store_copy(variable, &a.region.layout, a.form)? & BY_HOLDER != 0;
                self.variables[variable].detach_count += u64::from(detached);
            }
        }
        if flags & TN_TAKE_OWNERSHIP != 0 {
            self.arrays[array].state = State::Destructed;
        }
        Ok(done)
    }

    /// A copy goes into the present buffer where that is possible (SV-32). Returns what prevents that for a buffer that
    /// fits: TN_WHY_ bits.
    pub fn store_copy(&mut self, variable: usize, from: &Layout, form: Form) -> Result<u32, Status> {
        let elements = self.memory.read(from);
        let present = self.variables[variable].value.clone().filter(|present| {
            // Reading: also over a value that a failed update left undefined.
            present.region.layout.is_c() && present.region.layout.bytes() == from.bytes()
        });
        let mut reasons = 0;
        if let Some(mut present) = present {
            reasons = self.reasons_against_writing(variable);
            if reasons == 0 {
                let view = View::Reshape { shape: from.shape.clone(), order: TN_ORDER_C };
                present.region = present.region.view(&view).expect("an equal number of elements");
                present.form = form;
                self.memory.write_all(&present.region.layout, &elements);
                self.variables[variable].value = Some(present);
                return Ok(0);
            }
        }
        let value = self.new_value(variable, from, TN_ORDER_C, form)?;
        self.variables[variable].value = Some(value);
        Ok(reasons)
    }

    /// As below, from the pool of a variable, which may refuse.
    pub fn new_value(&mut self, variable: usize, from: &Layout, order: u32, form: Form) -> Result<Value, Status> {
        let pool = self.variables[variable].pool;
        if pool == FULL_POOL && from.bytes() > 0 {
            return Err(TN_ERR_POOL_LIMIT);
        }
        Ok(self.fresh_value(from, order, pool, form))
    }

    /// A copy of these elements in a new buffer.
    pub fn fresh_value(&mut self, from: &Layout, order: u32, pool: usize, form: Form) -> Value {
        let elements = self.memory.read(from);
        let mut layout = Layout::dense(from.dtype, &from.shape, order, 0);
        let store = self.allocate(pool, vec![0; layout.bytes() as usize]);
        layout.at = self.stores[store].start;
        self.memory.write_all(&layout, &elements);
        Value { store, region: Region::new(layout), form, lease: None }
    }

    /// Why the library may not write the present buffer of a variable: TN_WHY_ bits (SV-4, SV-39).
    pub fn reasons_against_writing(&self, variable: usize) -> u32 {
        let Value { store, region, .. } = self.value(variable);
        // As for tn_array_is_unique: exports of the store count, and guards on the value's own bytes.
        let exported = self.holdings(*store).any(|(_, hold)| hold.kind.class().is_some());
        let guarded = |hold: &Holding| hold.kind.is_guard() && hold.region.overlaps(region);
        let mut bits = 0;
        for (condition, bit) in [
            (self.claims(*store).next().is_some() || self.function_claims(*store) > 0, TN_WHY_SHARED),
            (self.node_claims(*store).next().is_some(), TN_WHY_IN_EXPRESSION),
            (exported, TN_WHY_EXPORTED),
            (self.holdings(*store).any(|(_, hold)| guarded(hold)), TN_WHY_BORROWED),
            (self.is_foreign(*store), TN_WHY_FOREIGN),
            (self.is_poisoned(*store, region), TN_WHY_POISONED),
        ] {
            bits |= if condition { bit } else { 0 };
        }
        bits
    }

    pub fn shared_get(&mut self, shared: Ref, flags: u32) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let variable = faults.take(self.variable(shared));
        faults.when(flags & !LEAVING != 0, TN_ERR_INVALID);
        faults.none()?;
        let variable = variable.expect("no fault");
        faults.when(self.variables[variable].is_poisoned, TN_ERR_POISONED);
        faults.when(self.variables[variable].is_lent(), TN_ERR_BORROWED_WRITE);
        faults.none()?;
        let value = self.value(variable).clone();
        let mut done = Done::default();
        let value = if flags & (TN_BORROW | TN_REQUIRE_BORROW) != 0 {
            done.crossed.push((TN_ALIASED, 0));
            value
        } else {
            let layout = &value.region.layout;
            let order = if flags & TN_RAW != 0 { layout.natural_order() } else { TN_ORDER_C };
            done.crossed.push((TN_COPIED, 0));
            let bytes = layout.bytes();
            done.copies.push(Crossing { function: "tn_shared_get", why: 0, forced: false, bytes });
            self.fresh_value(layout, order, CURRENT_POOL, value.form)
        };
        let array = self.add_array(value.store, value.region, false, value.lease);
        self.arrays[array].form = value.form;
        done.arrays.push(array);
        Ok(done)
    }

    pub fn shared_release(&mut self, shared: Ref) -> Result<Done, Status> {
        let variable = self.variable(shared)?;
        self.variables[variable].handle = false;
        self.end_unused_variable(variable);
        Ok(Done::default())
    }

    /// A variable lives as long as its handle, a call that works on it, or a function that names it (SV-37).
    pub fn end_unused_variable(&mut self, variable: usize) {
        if self.variables[variable].handle || self.is_worked_on(variable) || self.is_named(variable) {
            return;
        }
        if self.variables[variable].update.is_some() {
            // SV-34: the release ends the update as failed.
            let _ = self.finish_update(variable, true, "tn_shared_release");
        }
        self.variables[variable].value = None;
    }
}
