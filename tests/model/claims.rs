//! Claims in the model: creation, views, clones, release, weak handles, give and cancel.
//!
//! Contract: each function is one call of section 1. It finds every error first, then changes the model, or fails and
//! changes nothing. Rows OO-*, RL-*, AR-1..9, LA-*.

use super::calls::{Contents, Done, Parts};
use super::graph::Form;
use super::handle::{Model, PromiseState, Ref, State};
use super::layout::{Layout, item};
use super::region::Region;
use super::rules::{Faults, Status};
use super::store::{Holding, Memory, pattern};
use super::views::View;
use tenure::types::*;

impl Model {
    pub fn next_seed(&mut self) -> u32 {
        self.seed += 1;
        self.seed
    }

    pub fn make(
        &mut self,
        pool: Ref,
        dtype: u32,
        shape: &[i64],
        order: u32,
        contents: Contents,
    ) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let pool = faults.take(self.pool(pool));
        faults.when(!matches!(order, TN_ORDER_C | TN_ORDER_F | TN_ORDER_A), TN_ERR_INVALID);
        faults.when(item(dtype) == 0, TN_ERR_DTYPE);
        faults.when(shape.iter().any(|&n| n < 0), TN_ERR_SHAPE);
        faults.when(shape.len() > TN_MAX_NDIM, TN_ERR_OVERFLOW);
        faults.none()?;
        let mut done = Done::default();
        // There is no prototype here for TN_ORDER_A: order C.
        let mut layout = Layout::dense(dtype, shape, order, 0);
        let bytes = match contents {
            Contents::Empty => pattern(&layout, self.next_seed()),
            Contents::Zeros => vec![0; layout.bytes() as usize],
            Contents::Full => {
                let one = self.element(dtype);
                one.repeat(layout.count() as usize)
            }
        };
        let store = self.allocate(pool.expect("no fault"), bytes);
        layout.at = self.stores[store].start;
        if contents == Contents::Empty {
            done.pokes.push(layout.clone());
        }
        done.arrays.push(self.add_array(store, Region::new(layout), false, None));
        Ok(done)
    }

    /// The value of the next `full` or `fill`.
    pub fn element(&mut self, dtype: u32) -> Vec<u8> {
        let seed = self.next_seed();
        pattern(&Layout::dense(dtype, &[], TN_ORDER_C, 0), seed)
    }

    pub fn view(&mut self, array: Ref, view: &View) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(array));
        faults.when(view.is_invalid(), TN_ERR_INVALID);
        faults.none()?;
        let array = array.expect("no fault");
        self.live(array)?;
        let region = self.arrays[array].region.view(view)?;
        let form = self.arrays[array].form;
        let view = match view.turns() {
            None => Form::Full,
            Some(false) => form,
            Some(true) => form.turned(),
        };
        let made = self.add_view(array, region);
        self.arrays[made].form = view;
        Ok(Done { arrays: vec![made], ..Done::default() })
    }

    /// A view is READONLY if its array is, or if its own elements share bytes. Reading of LA-13: a stride of 0 on an
    /// axis longer than 1 makes it so also if there are no elements.
    fn add_view(&mut self, array: usize, region: Region) -> usize {
        let a = self.arrays[array].clone();
        let readonly = a.readonly || region.shares_bytes() || region.layout.is_stretched();
        let view = self.add_array(a.store, region, readonly, a.lease);
        self.arrays[view].granted = a.granted;
        view
    }

    pub fn parts(&mut self, array: Ref, axis: i32, parts: Parts, capacity: Option<usize>) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(array));
        let (Parts::Split(n) | Parts::Chunks(n)) = parts;
        faults.when(n <= 0, TN_ERR_INVALID);
        faults.none()?;
        let array = array.expect("no fault");
        self.live(array)?;
        let region = self.arrays[array].region.clone();
        let axis = region.axis(axis).ok_or(TN_ERR_RANGE)?;
        let length = region.layout.shape[axis];
        let sizes: Vec<i64> = match parts {
            Parts::Split(n) => (0..n).map(|k| length / n + i64::from(k < length % n)).collect(),
            Parts::Chunks(most) => (0..(length + most - 1) / most).map(|k| most.min(length - k * most)).collect(),
        };
        let mut done = Done { number: Some(sizes.len() as i64), ..Done::default() };
        let Some(capacity) = capacity else { return Ok(done) };
        if capacity < sizes.len() {
            return Err(TN_ERR_COUNT);
        }
        let mut start = 0;
        for size in sizes {
            let part = region.part(axis, start, size, 1);
            done.arrays.push(self.add_view(array, part));
            start += size;
        }
        Ok(done)
    }

    /// FM-1
    pub fn set_form(&mut self, array: Ref, raw: u32) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(array));
        faults.when(Form::of(raw).is_none(), TN_ERR_INVALID);
        faults.none()?;
        let (array, form) = (array.expect("no fault"), Form::of(raw).expect("no fault"));
        self.live(array)?;
        if !form.fits(&self.arrays[array].region.layout.shape) {
            return Err(TN_ERR_SHAPE);
        }
        self.arrays[array].form = form;
        Ok(Done::default())
    }

    pub fn clone_array(&mut self, array: Ref) -> Result<Done, Status> {
        let array = self.array(array)?;
        self.live(array)?;
        let like = self.arrays[array].clone();
        Ok(Done { arrays: vec![self.add_clone(&like)], ..Done::default() })
    }

    pub fn copy(&mut self, array: Ref, pool: Ref, stream: Result<(), Status>) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(array));
        let pool = faults.take(self.pool(pool));
        faults.take(stream);
        faults.none()?;
        let array = array.expect("no fault");
        self.live(array)?;
        self.read_faults(array, false, &mut faults);
        faults.none()?;
        let made = self.dense_copy(&self.arrays[array].region.layout.clone(), pool.expect("no fault"), None);
        let copy = self.add_array(made.0, made.1, false, None);
        self.arrays[copy].form = self.arrays[array].form;
        Ok(Done { arrays: vec![copy], ..Done::default() })
    }

    /// A new store with the layout that `copy` chooses: order C unless the source is F-contiguous only (AR-22).
    /// `fresh`: its bytes are not those of the source.
    pub fn dense_copy(&mut self, source: &Layout, pool: usize, fresh: Option<Vec<u8>>) -> (usize, Region) {
        self.ordered_copy(source, source.natural_order(), pool, fresh)
    }

    /// [`Model::dense_copy`] in an order of the caller's.
    pub fn ordered_copy(
        &mut self,
        source: &Layout,
        order: u32,
        pool: usize,
        fresh: Option<Vec<u8>>,
    ) -> (usize, Region) {
        let mut layout = Layout::dense(source.dtype, &source.shape, order, 0);
        let elements = fresh.unwrap_or_else(|| self.memory.read(source));
        let store = self.allocate(pool, vec![0; layout.bytes() as usize]);
        layout.at = self.stores[store].start;
        self.memory.write_all(&layout, &elements);
        (store, Region::new(layout))
    }

    pub fn release(&mut self, array: Ref) -> Result<Done, Status> {
        let array = self.array(array)?;
        let mut faults = Faults::default();
        self.release_faults(array, &mut faults);
        faults.none()?;
        self.end_handle(array);
        Ok(Done::default())
    }

    /// The reason why strict mode refuses the release of a handle (RL-4). Reading: only its current bytes count.
    /// Exports from before a COW move stay with the old bytes. Those of a DESTRUCTED handle went on with its claim
    /// (OO-27), so its release only ends the id (2.3, OO-3).
    pub fn release_faults(&self, array: usize, faults: &mut Faults) {
        if !self.strict || self.arrays[array].state == State::Destructed {
            return;
        }
        faults.when(self.arrays[array].state == State::Given, TN_ERR_GIVEN);
        faults.when(self.holds_through(array).any(|hold| hold.kind.is_writer()), TN_ERR_BORROWED_WRITE);
        faults.when(self.holds_through(array).any(|hold| hold.kind.is_reader()), TN_ERR_BORROWED);
        let store = self.arrays[array].store;
        let export = |hold: &Holding| hold.kind.class().is_some() && hold.store == store;
        faults.when(self.holds_through(array).any(export), TN_ERR_EXPORTED);
    }

    /// The handle is RELEASED; promises keep the claim of a GIVEN one.
    pub fn end_handle(&mut self, array: usize) {
        let a = &mut self.arrays[array];
        a.kept = a.state == State::Given;
        a.state = State::Released;
    }

    pub fn weaken(&mut self, array: Ref) -> Result<Done, Status> {
        let array = self.array(array)?;
        self.live(array)?;
        // A weak handle passes on no grant to write a value that is lent.
        let like = super::handle::Array { granted: false, ..self.arrays[array].clone() };
        let epoch = self.stores[like.store].epoch;
        self.weaks.push(super::handle::Weak { released: false, like, epoch });
        Ok(Done { weak: Some(self.weaks.len() - 1), ..Done::default() })
    }

    pub fn upgrade(&mut self, weak: Ref) -> Result<Done, Status> {
        let weak = self.weak(weak)?;
        let like = self.weaks[weak].like.clone();
        let store = &self.stores[like.store];
        let ended = like.lease.is_some_and(|lease| !self.leases[lease].open);
        // Reading: what is lent, and has no other holder, has no claim to share.
        let held = self.others(like.store, None) > 0 || self.node_claims(like.store).next().is_some();
        if !store.alive || !store.claimed || !held || store.epoch != self.weaks[weak].epoch || ended {
            return Err(TN_ERR_DESTRUCTED);
        }
        Ok(Done { arrays: vec![self.add_clone(&like)], ..Done::default() })
    }

    pub fn weak_release(&mut self, weak: Ref) -> Result<Done, Status> {
        let weak = self.weak(weak)?;
        self.weaks[weak].released = true;
        Ok(Done::default())
    }

    pub fn give(&mut self, array: Ref, required: u32) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(array));
        faults.when(required == 0, TN_ERR_INVALID);
        faults.none()?;
        let array = array.expect("no fault");
        self.not_destructed(array)?;
        if self.arrays[array].rests {
            return Err(TN_ERR_GIVEN);
        }
        let given = self.arrays[array].state == State::Given;
        let r = if given { self.arrays[array].required.max(required) } else { required };
        let g = if given { self.arrays[array].given } else { 0 };
        if g + 1 > r {
            return Err(if r == 1 { TN_ERR_GIVEN } else { TN_ERR_COUNT });
        }
        // Reading: OO-26 is about guards of the handle, so a guard on no bytes counts as well.
        faults.when(self.holds_through(array).any(|hold| hold.kind.is_writer()), TN_ERR_BORROWED_WRITE);
        faults.when(self.holds_through(array).any(|hold| hold.kind.is_reader()), TN_ERR_BORROWED);
        faults.none()?;
        let a = &mut self.arrays[array];
        (a.state, a.required, a.given) = (State::Given, r, g + 1);
        self.promises.push(super::handle::Promise { state: PromiseState::Outstanding, array });
        Ok(Done { promise: Some(self.promises.len() - 1), ..Done::default() })
    }

    pub fn cancel(&mut self, promise: Ref) -> Result<Done, Status> {
        let promise = self.promise(promise)?;
        if self.promises[promise].state == PromiseState::UsedUp {
            return Err(TN_ERR_DESTRUCTED);
        }
        self.undo(promise);
        Ok(Done::default())
    }

    pub fn promise_release(&mut self, promise: Ref) -> Result<Done, Status> {
        let promise = self.promise(promise)?;
        if self.promises[promise].state == PromiseState::Outstanding {
            self.undo(promise);
        }
        self.promises[promise].state = PromiseState::Released;
        Ok(Done::default())
    }

    /// The promise is USED UP and its part of the give is undone. After the last one the giver has its handle back, or
    /// the claim of a released giver ends.
    pub fn undo(&mut self, promise: usize) {
        self.promises[promise].state = PromiseState::UsedUp;
        let a = &mut self.arrays[self.promises[promise].array];
        a.given -= 1;
        if a.given == 0 {
            if a.state == State::Given {
                a.state = State::Live;
            }
            a.kept = false;
        }
    }

    /// The start address of the host memory of a copy without a layout.
    pub fn scratch() -> i64 {
        Memory::base(super::handle::SCRATCH)
    }
}
