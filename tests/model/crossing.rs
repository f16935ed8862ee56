//! Imports and queries in the model, and [`Model::run`], the entry point of every call.
//!
//! Contract: [`Model::run`] executes any [`Call`]. On failure nothing has changed; on success everything without a
//! holder has ended. Rows AR-14..25, XI-10..21, WN-*.

use super::calls::{Beside, Call, Contents, Crossing, Done, Holder, Stream, Target};
use super::handle::{CURRENT_POOL, Model, PromiseState, Ref, State};
use super::layout::{Layout, item};
use super::region::Region;
use super::rules::{Faults, NOT_UNIQUE, Status};
use super::store::{Lease, Origin, pattern};
use tenure::types::*;

const IMPORT_FLAGS: u32 =
    TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP | TN_RELEASE_QUEUED | TN_IMPORT_READONLY;

/// The treatment of an import's bytes.
enum Way {
    Copy {
        why: u32,
        forced: bool,
    },
    NewStore,
    /// Also extends an imported store.
    Join(usize),
}

impl Model {
    /// Executes one call completely.
    pub fn run(&mut self, call: &Call, beside: Beside) -> Result<Done, Status> {
        // ER-3: NULL is checked first, so no other error matters.
        if beside.no_out && call.has_output() {
            return Err(TN_ERR_NULL);
        }
        let stream = if beside.stream == Stream::Junk { Err(TN_ERR_KIND) } else { Ok(()) };
        let done = match call {
            Call::Make { pool, dtype, shape, order, contents } => self.make(*pool, *dtype, shape, *order, *contents),
            Call::Import { ptr, offset, dtype, shape, strides, flags, callback } => {
                let strides = strides.clone().unwrap_or_else(|| Layout::dense(*dtype, shape, TN_ORDER_C, 0).strides);
                let layout = Layout { dtype: *dtype, at: ptr + offset, shape: shape.clone(), strides };
                self.import(*ptr, layout, *flags, *callback)
            }
            Call::View { array, view } => self.view(*array, view),
            Call::Parts { array, axis, parts, capacity } => self.parts(*array, *axis, *parts, *capacity),
            Call::Clone { array } => self.clone_array(*array),
            Call::SetForm { array, form } => self.set_form(*array, *form),
            Call::Copy { array, pool } => self.copy(*array, *pool, stream),
            Call::Release { array } => self.release(*array),
            Call::Weaken { array } => self.weaken(*array),
            Call::Upgrade { weak } => self.upgrade(*weak),
            Call::WeakRelease { weak } => self.weak_release(*weak),
            Call::BorrowRead { array, flags } => self.borrow_read(*array, *flags, stream),
            Call::BorrowWrite { array, mode } => self.borrow_write(*array, *mode, stream),
            Call::BorrowAll { entries } => self.borrow_all(entries, stream),
            Call::SplitWrite { array, axis, n, mode } => self.split_write(*array, *axis, *n, *mode, stream),
            Call::End { guard, flags } => self.end(*guard, *flags, stream),
            Call::Fill { array, value, mode } => self.fill_with_pattern(*array, *value, *mode, stream),
            Call::Zero { array, mode } => {
                let size = self.array(*array).map_or(1, |a| self.arrays[a].region.layout.item());
                self.fill(*array, Some(vec![0; size as usize]), *mode, stream, "tn_array_clear")
            }
            Call::CopyInto { source, destination, mode } => self.copy_into(*source, *destination, *mode, stream),
            Call::CopyToHost { array, host } => self.copy_to_host(*array, host.as_ref(), stream),
            Call::CopyFromHost { array, host, mode } => self.copy_from_host(*array, host.as_ref(), *mode, stream),
            Call::Give { array, required } => self.give(*array, *required),
            Call::Cancel { promise } => self.cancel(*promise),
            Call::PromiseRelease { promise } => self.promise_release(*promise),
            Call::Take { promises } => self.take(promises),
            Call::Enter { params } => self.enter(params),
            Call::Leave { scope, keep } => self.leave(*scope, keep),
            Call::Leaf { array, form } => self.leaf(*array, *form),
            Call::Build { what, x, y } => self.build(*what, *x, *y),
            Call::Compute { expr, flags } => {
                let done = self.compute(*expr, *flags);
                // EX-41: the only failure that changes something.
                if done.is_err() {
                    self.end_unused();
                }
                done
            }
            Call::ExprRelease { expr } => self.expr_release(*expr),
            Call::Export { array, flags, mode } => self.export(*array, *flags, *mode, stream),
            Call::Query { array } => self.array(*array).and_then(|a| self.not_destructed(a)).map(|()| Done::default()),
            Call::IsUnique { array } => self.is_unique(*array),
            Call::WhyNot { array, target } => self.why_not(*array, target.as_ref()),
            Call::Overlap { a, b } => self.overlap(*a, *b),
            Call::HoldersOf { at, bytes } => self.holders_of(*at, *bytes),
            Call::SharedCreate { value, flags, pool } => self.shared_create(*value, *flags, *pool),
            Call::SharedGet { shared, flags } => self.shared_get(*shared, *flags),
            Call::SharedSet { shared, value, flags } => self.shared_set(*shared, *value, *flags),
            Call::SharedUpdate { shared, flags } => self.shared_update(*shared, *flags),
            Call::Return { status } => {
                let done = self.return_from_callback(*status);
                if done.is_err() {
                    self.end_unused();
                }
                done
            }
            Call::UpdateBegin { shared, flags } => self.update_begin(*shared, *flags),
            Call::UpdateEnd { shared, flags } => {
                let done = self.update_end(*shared, *flags);
                if done.is_err() {
                    self.end_unused();
                }
                done
            }
            Call::SharedRelease { shared } => self.shared_release(*shared),
            Call::FunctionCreate { inputs, outputs, updates } => {
                let before = self.clone();
                let done = self.function_create(inputs, outputs, updates);
                if done.is_err() {
                    *self = before;
                }
                done
            }
            Call::RunFunction { function, arguments, n_out } => self.function_call(*function, arguments, *n_out),
            Call::FunctionRelease { function } => self.function_release(*function),
            Call::Launch { arguments, grid, block_bytes } => self.launch(arguments, *grid, *block_bytes, stream),
            Call::Place { place, array } => Ok(self.place(*place, *array)),
            Call::RunReleases => {
                let waiting = std::mem::take(&mut self.queue);
                let number = Some(waiting.len() as i64);
                self.ran.extend(waiting);
                Ok(Done { number, ..Done::default() })
            }
            Call::Forbid { on } => self.forbid(*on),
            Call::WriteThrough { guard } => Ok(self.write_through(*guard)),
            Call::WriteForeign { at, bytes } => {
                let layout = Layout::dense(TN_U8, &[*bytes], TN_ORDER_C, *at);
                let seed = self.next_seed();
                self.memory.write_all(&layout, &pattern(&layout, seed));
                Ok(Done { pokes: vec![layout], ..Done::default() })
            }
        }?;
        self.end_unused();
        Ok(done)
    }

    fn fill_with_pattern(
        &mut self,
        array: Ref,
        value: bool,
        mode: u32,
        stream: Result<(), Status>,
    ) -> Result<Done, Status> {
        let dtype = self.array(array).map_or(TN_U8, |a| self.arrays[a].region.layout.dtype);
        let element = self.element(dtype);
        self.fill(array, value.then_some(element), mode, stream, "tn_array_fill")
    }

    fn import(&mut self, ptr: i64, layout: Layout, flags: u32, callback: bool) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let has = |flag| flags & flag != 0;
        faults.when(has(TN_TAKE_OWNERSHIP) && !callback, TN_ERR_NULL);
        faults.when(flags & !IMPORT_FLAGS != 0, TN_ERR_INVALID);
        faults.when(item(layout.dtype) == 0, TN_ERR_DTYPE);
        faults.when(layout.shape.iter().any(|&n| n < 0), TN_ERR_SHAPE);
        faults.when(ptr == 0 && layout.shape.iter().all(|&n| n > 0), TN_ERR_NULL);
        faults.none()?;
        let way = self.way_in(&layout, flags)?;
        let callback = callback.then_some(self.callbacks);
        self.callbacks += usize::from(callback.is_some());
        let readonly = has(TN_IMPORT_READONLY);
        let (start, end) = layout.extent().unwrap_or((layout.at, layout.at));
        let mut done = Done { how: Some(TN_ALIASED), ..Done::default() };
        let store = match way {
            Way::Copy { why, forced } => {
                let (store, region) = self.dense_copy(&layout, CURRENT_POOL, None);
                self.call_back(callback, has(TN_RELEASE_QUEUED));
                done.how = Some(TN_COPIED);
                // Reading: the copy has the layout that `copy` chooses (AR-22), and TN_IMPORT_READONLY also makes the
                // handle of a copy READONLY.
                done.copies.push(Crossing { function: "tn_array_import_host", why, forced, bytes: layout.bytes() });
                done.arrays.push(self.add_array(store, region, readonly, None));
                return Ok(done);
            }
            Way::Join(store) => store,
            Way::NewStore if has(TN_TAKE_OWNERSHIP) => {
                let callback = callback.expect("checked");
                if has(TN_RELEASE_QUEUED) {
                    self.take_queued.push(callback);
                }
                self.add_store(Origin::Taken(callback), start, end)
            }
            Way::NewStore => self.add_store(Origin::Lent, start, end),
        };
        let lease = (!has(TN_TAKE_OWNERSHIP)).then_some(self.leases.len());
        if lease.is_some() {
            let (may_overwrite, queued) = (has(TN_MAY_OVERWRITE), has(TN_RELEASE_QUEUED));
            self.leases.push(Lease { store, start, end, may_overwrite, callback, queued, open: true });
        }
        let region = Region::new(layout);
        let readonly = readonly || region.shares_bytes();
        done.arrays.push(self.add_array(store, region, readonly, lease));
        Ok(done)
    }

    fn way_in(&self, layout: &Layout, flags: u32) -> Result<Way, Status> {
        let has = |flag| flags & flag != 0;
        if !has(TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP) {
            return Ok(Way::Copy { why: 0, forced: false });
        }
        let mut faults = Faults::default();
        let (start, end) = layout.extent().unwrap_or((0, 0));
        let touched = self.touched(start, end);
        faults.when(has(TN_TAKE_OWNERSHIP | TN_MAY_OVERWRITE) && !touched.is_empty(), TN_ERR_ALIASED);
        let way = match touched[..] {
            [] => Some(Way::NewStore),
            [only] => {
                let store = &self.stores[only];
                let inside = store.start <= start && end <= store.end;
                (inside || store.origin == Origin::Lent).then_some(Way::Join(only))
            }
            _ => None,
        };
        faults.when(way.is_none() && has(TN_REQUIRE_BORROW), TN_ERR_ALIASED);
        // Reading: a range that cannot be one store is NOT_ALIASABLE, an unaligned one LAYOUT; an empty range touches
        // nothing.
        let why = match way {
            None => TN_WHY_NOT_ALIASABLE,
            Some(_) if !layout.is_aligned() => TN_WHY_LAYOUT,
            Some(_) => 0,
        };
        faults.when(why != 0 && (has(TN_REQUIRE_BORROW) || self.forbidden > 0), TN_ERR_WOULD_COPY);
        faults.none()?;
        Ok(if why == 0 { way.expect("aliasable") } else { Way::Copy { why, forced: true } })
    }

    /// The stores that have a byte in [start, end).
    pub fn touched(&self, start: i64, end: i64) -> Vec<usize> {
        let meets =
            |k: &usize| self.stores[*k].alive && self.stores[*k].start.max(start) < self.stores[*k].end.min(end);
        (0..self.stores.len()).filter(meets).collect()
    }

    fn forbid(&mut self, on: i32) -> Result<Done, Status> {
        match on {
            1 => self.forbidden += 1,
            0 if self.forbidden > 0 => self.forbidden -= 1,
            _ => return Err(TN_ERR_INVALID),
        }
        Ok(Done::default())
    }

    fn is_unique(&self, array: Ref) -> Result<Done, Status> {
        let array = self.array(array)?;
        self.not_destructed(array)?;
        Ok(Done { number: Some(i64::from(self.bits(array) & NOT_UNIQUE == 0)), ..Done::default() })
    }

    pub fn why_not(&self, array: Ref, target: Option<&Target>) -> Result<Done, Status> {
        let array = self.array(array)?;
        self.not_destructed(array)?;
        let mut bits = self.bits(array);
        if let Some(target) = target {
            let mut faults = Faults::default();
            faults.when(item(target.dtype) == 0, TN_ERR_DTYPE);
            faults.when(target.shape.iter().any(|&n| n < 0), TN_ERR_SHAPE);
            faults.none()?;
            bits |= self.target_bits(array, target);
        }
        let a = &self.arrays[array];
        let holders = self.holders(a.store, Some(array), |_| true, &a.region);
        Ok(Done { number: Some(i64::from(bits)), holders: Some(holders), ..Done::default() })
    }

    fn target_bits(&self, array: usize, target: &Target) -> u32 {
        let a = &self.arrays[array];
        let layout = &a.region.layout;
        let needed = target.shape.iter().product::<i64>() * item(target.dtype);
        // Reading: "room enough" means the array's own bytes; WASTE is about the whole store.
        let room = (layout.is_c() || layout.is_f()) && layout.bytes() >= needed;
        let mut bits = 0;
        if item(target.dtype) != layout.item() || target.shape != layout.shape && !room {
            bits |= TN_WHY_LAYOUT;
        }
        if target.device != (TN_CPU, 0) {
            bits |= TN_WHY_DEVICE;
        }
        if self.stores[a.store].bytes() > 2 * needed {
            bits |= TN_WHY_WASTE;
        }
        bits
    }

    /// All holders of the store except `asking`: guards if they overlap the region, exports if `export` accepts them.
    /// Reading: each outstanding promise is one PROMISE, beside the HANDLE if that is not released. A guard of several
    /// entries is listed once for each entry that counts.
    fn holders(
        &self,
        store: usize,
        asking: Option<usize>,
        export: impl Fn(&Region) -> bool,
        region: &Region,
    ) -> Vec<Holder> {
        let mut all = Vec::new();
        for array in self.claims(store) {
            if Some(array) != asking && self.arrays[array].state != State::Released {
                let who = if self.arrays[array].hidden { Ref::Hidden } else { Ref::Array(array) };
                all.push(Holder { kind: TN_HOLDER_HANDLE, who });
            }
            for (k, promise) in self.promises.iter().enumerate() {
                if promise.state == PromiseState::Outstanding && promise.array == array {
                    all.push(Holder { kind: TN_HOLDER_PROMISE, who: Ref::Promise(k) });
                }
            }
        }
        for (node, _) in self.node_claims(store) {
            all.push(Holder { kind: TN_HOLDER_EXPRESSION, who: Ref::Expr(node) });
        }
        for _ in 0..self.function_claims(store) {
            all.push(Holder { kind: TN_HOLDER_HANDLE, who: Ref::Hidden });
        }
        for variable in self.counted_variables(store) {
            all.push(Holder { kind: TN_HOLDER_SHARED_VARIABLE, who: Ref::Shared(variable) });
        }
        for (guard, hold) in self.holdings(store) {
            use super::rules::Class;
            use super::store::HoldKind;
            let kind = match hold.kind {
                HoldKind::Read { .. } if hold.region.overlaps(region) => TN_HOLDER_GUARD_READ,
                HoldKind::Write { .. } if hold.region.overlaps(region) => TN_HOLDER_GUARD_WRITE,
                HoldKind::Export(Class::Read) if export(&hold.region) => TN_HOLDER_EXPORT_READ,
                HoldKind::Export(Class::Shared) if export(&hold.region) => TN_HOLDER_EXPORT_SHARED,
                HoldKind::Export(Class::Exclusive) if export(&hold.region) => TN_HOLDER_EXPORT_EXCLUSIVE,
                _ => continue,
            };
            all.push(Holder { kind, who: Ref::Guard(guard) });
        }
        all.sort_unstable();
        all
    }

    /// Identifies a store by its first byte.
    pub fn holders_of(&self, at: i64, bytes: i64) -> Result<Done, Status> {
        if at == 0 {
            return Err(TN_ERR_NULL);
        }
        if bytes == 0 {
            return Err(TN_ERR_INVALID);
        }
        let touched = self.touched(at, at + bytes);
        let store = match touched[..] {
            [] => return Err(TN_ERR_FOREIGN),
            [only] => only,
            _ => return Err(TN_ERR_ALIASED),
        };
        let range = Region::new(Layout::dense(TN_U8, &[bytes], TN_ORDER_C, at));
        let holders = self.holders(store, None, |export| export.overlaps(&range), &range);
        Ok(Done { number: Some(self.stores[store].start), holders: Some(holders), ..Done::default() })
    }

    /// LA-22, as far as the tiers decide: 0 for bytes in different stores or proven disjoint, 1 for identical elements
    /// in the same order, 2 for everything else.
    fn overlap(&self, a: Ref, b: Ref) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let a = faults.take(self.array(a));
        let b = faults.take(self.array(b));
        faults.none()?;
        let (a, b) = (a.expect("no fault"), b.expect("no fault"));
        // Reading: OO-28 lists all calls that accept a GIVEN handle, and this is none of them.
        faults.take(self.live(a));
        faults.take(self.live(b));
        faults.none()?;
        let (a, b) = (&self.arrays[a], &self.arrays[b]);
        let number = if a.store != b.store || !a.region.overlaps(&b.region) {
            TN_OVERLAP_NONE
        } else if a.region.layout.is_exactly(&b.region.layout) {
            TN_OVERLAP_EXACT
        } else {
            TN_OVERLAP_SOME
        };
        Ok(Done { number: Some(i64::from(number)), ..Done::default() })
    }
}

impl Call {
    /// Whether the call has an output that must not be NULL.
    pub fn has_output(&self) -> bool {
        match self {
            Call::Release { .. }
            | Call::WeakRelease { .. }
            | Call::End { .. }
            | Call::Fill { .. }
            | Call::Zero { .. }
            | Call::CopyInto { .. }
            | Call::CopyToHost { .. }
            | Call::CopyFromHost { .. }
            | Call::Cancel { .. }
            | Call::PromiseRelease { .. }
            | Call::Leave { .. }
            | Call::ExprRelease { .. }
            | Call::SetForm { .. }
            | Call::SharedSet { .. }
            | Call::Return { .. }
            | Call::UpdateEnd { .. }
            | Call::SharedRelease { .. }
            | Call::FunctionRelease { .. }
            | Call::Place { .. }
            | Call::Launch { .. }
            | Call::RunReleases
            | Call::Forbid { .. }
            | Call::WriteThrough { .. }
            | Call::WriteForeign { .. } => false,
            Call::Take { promises } => !promises.is_empty(),
            Call::RunFunction { n_out, .. } => *n_out > 0,
            _ => true,
        }
    }

    /// A source that needs no bytes of its own, for tables of tests.
    pub fn zeros(dtype: u32, shape: &[i64]) -> Call {
        Call::Make { pool: Ref::Null, dtype, shape: shape.to_vec(), order: TN_ORDER_C, contents: Contents::Zeros }
    }
}
