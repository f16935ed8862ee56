//! Guards in the model: borrows of one array and of several, chunks, their end with poison and healing, movement, and
//! exports.
//!
//! Contract: as `claims`: finds every error first, then changes the model, or changes nothing. Rows BR-*, BA-*,
//! TR-1..4, XI-1..9.

use super::calls::{Crossing, Done};
use super::handle::{CURRENT_POOL, Model, Ref};
use super::layout::Layout;
use super::region::Region;
use super::rules::{Class, Faults, Status};
use super::store::{Group, Guard, HoldKind, Holding, Origin, pattern};
use tenure::types::*;

/// Every flag that tn_array_export_host takes.
const EXPORT_FLAGS: u32 = TN_BORROW
    | TN_REQUIRE_BORROW
    | TN_EXPORT_WRITABLE
    | TN_EXPORT_EXCLUSIVE
    | TN_EXPORT_CONSUMER_READS
    | TN_EXPORT_NONNEGATIVE
    | TN_EXPORT_C_CONTIGUOUS
    | TN_UNORDERED
    | TN_WAIT;

impl Model {
    fn hold(&self, array: usize, kind: HoldKind) -> Holding {
        let a = &self.arrays[array];
        Holding { kind, store: a.store, region: a.region.clone(), by: array, lease: a.lease, may_alias: false }
    }

    pub fn add_guard(&mut self, holds: Vec<Holding>) -> usize {
        self.open.push(self.guards.len());
        self.guards.push(Guard { open: true, of_launch: false, holds });
        self.guards.len() - 1
    }

    pub fn borrow_read(&mut self, array: Ref, flags: u32, stream: Result<(), Status>) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(array));
        faults.take(stream);
        faults.when(flags & !(TN_FROZEN | TN_WAIT) != 0, TN_ERR_INVALID);
        faults.none()?;
        let array = array.expect("no fault");
        self.live(array)?;
        let frozen = flags & TN_FROZEN != 0;
        self.read_faults(array, frozen, &mut faults);
        faults.none()?;
        let hold = self.hold(array, HoldKind::Read { frozen });
        let views = vec![hold.region.layout.clone()];
        Ok(Done { guards: vec![self.add_guard(vec![hold])], views, ..Done::default() })
    }

    /// The checks of all writers of one array.
    fn writable(
        &self,
        array: Ref,
        mode: u32,
        more: u32,
        stream: Result<(), Status>,
        faults: &mut Faults,
    ) -> Result<usize, Status> {
        let array = faults.take(self.array(array));
        faults.take(stream);
        faults.when(Model::is_bad_mode(mode, more), TN_ERR_INVALID);
        faults.none()?;
        let array = array.expect("no fault");
        self.live(array)?;
        Ok(array)
    }

    pub fn borrow_write(&mut self, array: Ref, mode: u32, stream: Result<(), Status>) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = self.writable(array, mode, 0, stream, &mut faults)?;
        self.write_faults(array, mode, &mut faults);
        faults.none()?;
        let mut done = Done::default();
        let discard = self.begin_write(array, mode, "tn_array_borrow_write", &mut done);
        let hold = self.hold(array, HoldKind::Write { discard, group: None });
        done.views.push(hold.region.layout.clone());
        done.guards.push(self.add_guard(vec![hold]));
        Ok(done)
    }

    /// After the checks: moves the handle to a copy if COW requires it. Returns whether the writer discards the
    /// contents; then the test fills the region at once, because its contents are undefined.
    fn begin_write(&mut self, array: usize, mode: u32, function: &'static str, done: &mut Done) -> bool {
        let discard = mode & TN_WRITE_DISCARD != 0;
        if mode & TN_WRITE_COW != 0 && self.cow_moves(array, mode) {
            self.cow(array, self.bits(array), discard, function, done);
        }
        if discard {
            let layout = self.arrays[array].region.layout.clone();
            let seed = self.next_seed();
            self.memory.write_all(&layout, &pattern(&layout, seed));
            done.pokes.push(layout);
        }
        discard
    }

    /// The handle moves to a store of its own. Its layout is that of a copy, its pool that of the store, or the current
    /// one for imported bytes.
    fn cow(&mut self, array: usize, why: u32, discard: bool, function: &'static str, done: &mut Done) {
        let a = self.arrays[array].clone();
        let layout = a.region.layout;
        let pool = match self.stores[a.store].origin {
            Origin::Pool(pool) => pool,
            _ => CURRENT_POOL,
        };
        let fresh = discard.then(|| vec![0; layout.bytes() as usize]);
        // With DISCARD no byte is copied (BR-11), but the handle moved: an entry with 0 bytes.
        done.copies.push(Crossing { function, why, forced: true, bytes: if discard { 0 } else { layout.bytes() } });
        let (store, region) = self.dense_copy(&layout, pool, fresh);
        let a = &mut self.arrays[array];
        (a.store, a.region, a.readonly, a.lease, a.granted) = (store, region, false, None, false);
    }

    pub fn split_write(
        &mut self,
        array: Ref,
        axis: i32,
        n: usize,
        mode: u32,
        stream: Result<(), Status>,
    ) -> Result<Done, Status> {
        let mut faults = Faults::default();
        faults.when(n == 0, TN_ERR_INVALID);
        let array = self.writable(array, mode, 0, stream, &mut faults)?;
        let axis = self.arrays[array].region.axis(axis).ok_or(TN_ERR_RANGE)?;
        self.write_faults(array, mode, &mut faults);
        faults.none()?;
        let mut done = Done::default();
        let discard = self.begin_write(array, mode, "tn_array_split_write", &mut done);
        let whole = self.hold(array, HoldKind::Write { discard, group: Some(self.groups.len()) });
        self.groups.push(Group { region: whole.region.clone(), open: n, failed: false });
        let (length, n) = (whole.region.layout.shape[axis], n as i64);
        let mut start = 0;
        for k in 0..n {
            let size = length / n + i64::from(k < length % n);
            let region = whole.region.part(axis, start, size, 1);
            done.chunks.push((start, size));
            done.views.push(region.layout.clone());
            done.guards.push(self.add_guard(vec![Holding { region, ..whole.clone() }]));
            start += size;
        }
        Ok(done)
    }

    pub fn borrow_all(&mut self, entries: &[(Ref, u32)], stream: Result<(), Status>) -> Result<Done, Status> {
        let mut faults = Faults::default();
        if !entries.is_empty() {
            faults.take(stream);
        }
        let mut known = Vec::new();
        for &(array, access) in entries {
            known.extend(faults.take(self.array(array)));
            faults.when(is_bad_access(access), TN_ERR_INVALID);
        }
        faults.none()?;
        for &array in &known {
            faults.take(self.live(array));
        }
        faults.none()?;
        let entries: Vec<Entry> =
            known.iter().zip(entries).map(|(&array, &(_, access))| Entry::new(array, access)).collect();
        let (mut done, holds) = self.open_all(&entries, faults, "tn_borrow_all")?;
        done.guards.push(self.add_guard(holds));
        Ok(done)
    }

    /// Borrows of several live arrays, all or none. `faults` has those of the arguments.
    pub fn open_all(
        &mut self,
        entries: &[Entry],
        mut faults: Faults,
        function: &'static str,
    ) -> Result<(Done, Vec<Holding>), Status> {
        for entry in entries {
            if entry.writes() {
                self.write_faults(entry.array, entry.mode, &mut faults);
            } else {
                self.read_faults(entry.array, entry.mode & TN_FROZEN != 0, &mut faults);
            }
        }
        let moves: Vec<bool> = entries
            .iter()
            .map(|entry| entry.mode & TN_WRITE_COW != 0 && self.cow_moves(entry.array, entry.mode))
            .collect();
        for j in 0..entries.len() {
            for i in 0..j {
                let clash = self.entries_clash((&entries[i], moves[i]), (&entries[j], moves[j]));
                faults.when(clash, TN_ERR_ALIASED);
            }
        }
        faults.none()?;
        let mut done = Done::default();
        let bits: Vec<u32> = entries.iter().map(|entry| self.bits(entry.array)).collect();
        for (k, entry) in entries.iter().enumerate().filter(|(k, _)| moves[*k]) {
            self.cow(entry.array, bits[k], entry.discards(), function, &mut done);
        }
        let mut holds = Vec::new();
        for entry in entries {
            let kind = if entry.writes() {
                // In place now: handles that had to move have moved.
                self.begin_write(entry.array, entry.mode & !TN_WRITE_COW, function, &mut done);
                HoldKind::Write { discard: entry.discards(), group: None }
            } else {
                HoldKind::Read { frozen: entry.mode & TN_FROZEN != 0 }
            };
            let hold = Holding { may_alias: entry.may_alias, ..self.hold(entry.array, kind) };
            done.views.push(hold.region.layout.clone());
            holds.push(hold);
        }
        Ok((done, holds))
    }

    /// BA-3, BA-4, KN-11: whether two entries conflict within one call. Each with whether it moves to a copy.
    fn entries_clash(&self, (a, a_moves): (&Entry, bool), (b, b_moves): (&Entry, bool)) -> bool {
        if a.array == b.array && (a_moves || b_moves) {
            return true;
        }
        let role = |entry: &Entry, moves: bool| match (entry.writes(), moves, entry.discards()) {
            (true, true, true) => None,
            (true, false, _) => Some(true),
            _ => Some(false),
        };
        let (Some(a_writes), Some(b_writes)) = (role(a, a_moves), role(b, b_moves)) else { return false };
        let (x, y) = (&self.arrays[a.array], &self.arrays[b.array]);
        (a_writes || b_writes)
            && x.store == y.store
            && x.region.overlaps(&y.region)
            && !a.may_overlap(b)
            && !b.may_overlap(a)
    }

    pub fn end(&mut self, guard: Ref, flags: u32, stream: Result<(), Status>) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let guard = faults.take(self.guard(guard));
        faults.take(stream);
        faults.when(flags & !TN_END_FAILED != 0, TN_ERR_INVALID);
        faults.none()?;
        self.end_guard(guard.expect("no fault"), flags & TN_END_FAILED != 0);
        Ok(Done::default())
    }

    pub fn end_guard(&mut self, guard: usize, failed: bool) {
        self.guards[guard].open = false;
        self.open.retain(|&open| open != guard);
        for hold in self.guards[guard].holds.clone() {
            // The consumer of a writable export may have written.
            self.stores[hold.store].writes +=
                u32::from(matches!(hold.kind.class(), Some(Class::Shared | Class::Exclusive)));
            let HoldKind::Write { discard, group } = hold.kind else { continue };
            // A failed write leaves poison, unless it was a write of no bytes.
            self.stores[hold.store].writes += u32::from(!failed);
            if failed && hold.region.layout.count() > 0 {
                self.stores[hold.store].poison.push(hold.region.clone());
            }
            if discard && !failed {
                self.heal(hold.store, &hold.region);
            }
            if let Some(group) = group {
                let all = &mut self.groups[group];
                all.open -= 1;
                all.failed |= failed;
                if discard && all.open == 0 && !all.failed {
                    let region = all.region.clone();
                    self.heal(hold.store, &region);
                }
            }
        }
    }

    /// A DISCARD writer of this region ended successfully.
    fn heal(&mut self, store: usize, region: &Region) {
        self.stores[store].poison.retain(|bad| !region.contains(bad));
    }

    /// A call that overwrites every element: borrow_write with DISCARD, a write and the end in one.
    fn overwrite(&mut self, array: usize, mode: u32, bytes: &[u8], function: &'static str) -> Done {
        let mut done = Done::default();
        self.begin_write(array, mode | TN_WRITE_DISCARD, function, &mut done);
        done.pokes.clear();
        let a = self.arrays[array].clone();
        self.memory.write_all(&a.region.layout, bytes);
        self.heal(a.store, &a.region);
        self.stores[a.store].writes += 1;
        done
    }

    pub fn fill(
        &mut self,
        array: Ref,
        value: Option<Vec<u8>>,
        mode: u32,
        stream: Result<(), Status>,
        function: &'static str,
    ) -> Result<Done, Status> {
        let mut faults = Faults::default();
        faults.when(value.is_none(), TN_ERR_NULL);
        let array = self.writable(array, mode, TN_REQUIRE_ASYNC, stream, &mut faults)?;
        self.write_faults(array, mode | TN_WRITE_DISCARD, &mut faults);
        faults.none()?;
        let bytes = value.expect("no fault").repeat(self.arrays[array].region.layout.count() as usize);
        Ok(self.overwrite(array, mode, &bytes, function))
    }

    pub fn copy_into(
        &mut self,
        source: Ref,
        destination: Ref,
        mode: u32,
        stream: Result<(), Status>,
    ) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let source = faults.take(self.array(source));
        let destination = faults.take(self.array(destination));
        faults.take(stream);
        faults.when(Model::is_bad_mode(mode, TN_REQUIRE_ASYNC), TN_ERR_INVALID);
        faults.none()?;
        let (source, destination) = (source.expect("no fault"), destination.expect("no fault"));
        faults.take(self.live(source));
        faults.take(self.live(destination));
        let (from, to) = (&self.arrays[source].region.layout, &self.arrays[destination].region.layout);
        faults.when(from.dtype != to.dtype, TN_ERR_DTYPE);
        faults.when(from.shape != to.shape, TN_ERR_SHAPE);
        faults.none()?;
        if source == destination || from.is_exactly(to) {
            // TR-4, also for no elements: TN_OK in any mode. Nothing is read, written, healed or moved, so nothing
            // conflicts.
            return Ok(Done::default());
        }
        let bytes = self.memory.read(from);
        self.read_faults(source, false, &mut faults);
        self.write_faults(destination, mode | TN_WRITE_DISCARD, &mut faults);
        faults.none()?;
        Ok(self.overwrite(destination, mode, &bytes, "tn_array_copy_into"))
    }

    /// The host side of a copy, or its error.
    fn host_side(&self, array: usize, host: Option<&Layout>, target: bool, faults: &mut Faults) -> Layout {
        let a = &self.arrays[array].region.layout;
        let host = host.cloned().unwrap_or_else(|| Layout::dense(a.dtype, &a.shape, TN_ORDER_C, Model::scratch()));
        faults.when(host.dtype != a.dtype, TN_ERR_DTYPE);
        faults.when(host.shape != a.shape, TN_ERR_SHAPE);
        faults.when(target && host.shares_bytes(), TN_ERR_LAYOUT);
        host
    }

    pub fn copy_to_host(
        &mut self,
        array: Ref,
        host: Option<&Layout>,
        stream: Result<(), Status>,
    ) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(array));
        faults.take(stream);
        faults.none()?;
        let array = array.expect("no fault");
        self.live(array)?;
        let host = self.host_side(array, host, true, &mut faults);
        self.read_faults(array, false, &mut faults);
        faults.none()?;
        let bytes = self.memory.read(&self.arrays[array].region.layout);
        self.memory.write_all(&host, &bytes);
        Ok(Done::default())
    }

    pub fn copy_from_host(
        &mut self,
        array: Ref,
        host: Option<&Layout>,
        mode: u32,
        stream: Result<(), Status>,
    ) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = self.writable(array, mode, TN_REQUIRE_ASYNC, stream, &mut faults)?;
        let host = self.host_side(array, host, false, &mut faults);
        self.write_faults(array, mode | TN_WRITE_DISCARD, &mut faults);
        faults.none()?;
        let bytes = self.memory.read(&host);
        Ok(self.overwrite(array, mode, &bytes, "tn_array_copy_from_host"))
    }

    pub fn export(&mut self, array: Ref, flags: u32, mode: u32, stream: Result<(), Status>) -> Result<Done, Status> {
        let mut faults = Faults::default();
        let array = faults.take(self.array(array));
        faults.take(stream);
        let has = |flag| flags & flag != 0;
        faults.when(flags & !EXPORT_FLAGS != 0, TN_ERR_INVALID);
        faults.when(has(TN_EXPORT_EXCLUSIVE) && !has(TN_EXPORT_WRITABLE), TN_ERR_INVALID);
        faults.when(has(TN_EXPORT_CONSUMER_READS) && has(TN_EXPORT_WRITABLE), TN_ERR_INVALID);
        faults.when(mode & !TN_WRITE_UNIQUE != 0 || mode != 0 && !has(TN_EXPORT_WRITABLE), TN_ERR_INVALID);
        faults.none()?;
        let array = array.expect("no fault");
        self.live(array)?;
        let class = match (has(TN_EXPORT_WRITABLE), has(TN_EXPORT_EXCLUSIVE)) {
            (false, _) => Class::Read,
            (true, false) => Class::Shared,
            (true, true) => Class::Exclusive,
        };
        let layout = self.arrays[array].region.layout.clone();
        let aliases = has(TN_BORROW) || has(TN_REQUIRE_BORROW);
        let negative = layout.shape.iter().zip(&layout.strides).any(|(&n, &stride)| n > 1 && stride < 0);
        let unwanted = has(TN_EXPORT_NONNEGATIVE) && negative || has(TN_EXPORT_C_CONTIGUOUS) && !layout.is_c();
        if aliases && !unwanted {
            self.export_faults(array, class, mode, &mut faults);
            faults.none()?;
            let hold = self.hold(array, HoldKind::Export(class));
            let guards = vec![self.add_guard(vec![hold])];
            return Ok(Done { guards, views: vec![layout], how: Some(TN_ALIASED), ..Done::default() });
        }
        // A copy is a read, whatever its class: its consumer touches none of the store's bytes.
        self.read_faults(array, false, &mut faults);
        // DL-7.
        faults.when(has(TN_REQUIRE_BORROW), TN_ERR_LAYOUT);
        faults.when(aliases && self.forbidden > 0, TN_ERR_WOULD_COPY);
        faults.none()?;
        let order = if has(TN_EXPORT_C_CONTIGUOUS) { TN_ORDER_C } else { layout.natural_order() };
        let (store, region) = self.ordered_copy(&layout, order, CURRENT_POOL, None);
        self.stores[store].private = true;
        let why = if aliases { TN_WHY_LAYOUT } else { 0 };
        let crossing = Crossing { function: "tn_array_export_host", why, forced: aliases, bytes: layout.bytes() };
        let view = region.layout.clone();
        let hold = Holding { kind: HoldKind::Keep, store, region, by: array, lease: None, may_alias: false };
        let guards = vec![self.add_guard(vec![hold])];
        Ok(Done { guards, views: vec![view], how: Some(TN_COPIED), copies: vec![crossing], ..Done::default() })
    }

    /// The holder of a write guard, an XS or an XW writes its whole region.
    pub fn write_through(&mut self, guard: usize) -> Done {
        let mut done = Done::default();
        for hold in self.guards[guard].holds.clone() {
            if hold.kind.is_writer() || matches!(hold.kind.class(), Some(Class::Shared | Class::Exclusive)) {
                let seed = self.next_seed();
                let bytes = pattern(&hold.region.layout, seed);
                self.memory.write_all(&hold.region.layout, &bytes);
                done.pokes.push(hold.region.layout);
            }
        }
        done
    }
}

/// One array of a call that borrows several.
pub struct Entry {
    array: usize,
    /// The access, with TN_WRITE_DISCARD where it is implied.
    mode: u32,
    may_alias: bool,
}

impl Entry {
    pub fn new(array: usize, access: u32) -> Entry {
        // TN_WRITE alone overwrites everything.
        let implied = if access & TN_READ == 0 { TN_WRITE_DISCARD } else { 0 };
        Entry { array, mode: access | implied, may_alias: false }
    }

    pub fn allowing_alias(self, may_alias: bool) -> Entry {
        Entry { may_alias, ..self }
    }

    fn writes(&self) -> bool {
        self.mode & TN_WRITE != 0
    }

    fn discards(&self) -> bool {
        self.mode & TN_WRITE_DISCARD != 0
    }

    /// KN-11: whether it may overlap one that is written.
    fn may_overlap(&self, writer: &Entry) -> bool {
        let is_aliased = |entry: &Entry| entry.writes() && entry.mode & (TN_WRITE_UNIQUE | TN_WRITE_COW) == 0;
        self.may_alias && is_aliased(writer) && (is_aliased(self) || !self.writes())
    }
}

/// BA-9.
pub fn is_bad_access(access: u32) -> bool {
    let (reads, writes) = (access & TN_READ != 0, access & TN_WRITE != 0);
    let mode = access & (TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD);
    let known = TN_READ_WRITE | TN_FROZEN;
    let misfit = match (reads, writes) {
        (false, false) => true,
        (_, false) => mode != 0,
        (_, true) => access & TN_FROZEN != 0,
    };
    misfit || Model::is_bad_mode(access & !known, 0)
}
