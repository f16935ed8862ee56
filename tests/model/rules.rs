//! The rules that decide in the model: which of several errors wins, what conflicts with a new reader, writer or
//! export, and the bits of `tn_array_why_not`.
//!
//! Contract: reads the model, changes nothing. Every rule only collects what applies; one table has the order in which
//! statuses win (rows ER-1, ER-2). Written from sections 4, 5.1 and 9 of the ownership rules.

use super::handle::{Model, State};
use super::region::Region;
use super::store::{HoldKind, Holding};
use tenure::types::*;

/// A `tn_status` other than TN_OK, as an Err.
pub type Status = tn_status;

/// The order in which statuses win.
const ORDER: [Status; 27] = [
    TN_ERR_NULL,
    TN_ERR_STALE,
    TN_ERR_KIND,
    TN_ERR_INVALID,
    TN_ERR_DESTRUCTED,
    TN_ERR_GIVEN,
    TN_ERR_COUNT,
    TN_ERR_DUPLICATE,
    TN_ERR_DTYPE,
    TN_ERR_OVERFLOW,
    TN_ERR_SHAPE,
    TN_ERR_RANGE,
    TN_ERR_LAYOUT,
    TN_ERR_DEVICE,
    TN_ERR_UNSUPPORTED,
    TN_ERR_POISONED,
    TN_ERR_READONLY,
    TN_ERR_BORROWED_WRITE,
    TN_ERR_BORROWED,
    TN_ERR_EXPORTED,
    TN_ERR_SHARED,
    TN_ERR_IN_EXPRESSION,
    TN_ERR_PENDING,
    TN_ERR_FOREIGN,
    TN_ERR_ALIASED,
    TN_ERR_WOULD_COPY,
    TN_ERR_POOL_LIMIT,
];

/// Collects statuses and keeps the one that wins.
#[derive(Default, Clone, Debug)]
pub struct Faults {
    first: Option<usize>,
}

impl Faults {
    pub fn add(&mut self, status: Status) {
        let rank = ORDER.iter().position(|&s| s == status).expect("a status that has a place in the order");
        self.first = Some(self.first.map_or(rank, |first| first.min(rank)));
    }

    pub fn when(&mut self, condition: bool, status: Status) {
        if condition {
            self.add(status);
        }
    }

    /// Adds an error; returns the value if there is none.
    pub fn take<T>(&mut self, result: Result<T, Status>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(status) => {
                self.add(status);
                None
            }
        }
    }

    pub fn none(&self) -> Result<(), Status> {
        match self.first {
            None => Ok(()),
            Some(rank) => Err(ORDER[rank]),
        }
    }
}

/// The bits of why_not that make is_unique 0 (WN-2).
pub const NOT_UNIQUE: u32 = TN_WHY_GIVEN | TN_WHY_SHARED | TN_WHY_IN_EXPRESSION | TN_WHY_EXPORTED | TN_WHY_BORROWED;

/// Export classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Read,
    Shared,
    Exclusive,
}

impl Model {
    /// UNIQUE | COW, or a bit that a write mode does not have.
    pub fn is_bad_mode(mode: u32, more: u32) -> bool {
        let known = TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD | TN_WAIT | more;
        mode & !known != 0 || mode & TN_WRITE_UNIQUE != 0 && mode & TN_WRITE_COW != 0
    }

    fn meets(&self, store: usize, region: &Region, kind: impl Fn(&Holding) -> bool) -> bool {
        self.holdings(store).any(|(_, hold)| kind(hold) && hold.region.overlaps(region))
    }

    /// An expression waits for these bytes.
    fn is_awaited(&self, store: usize, region: &Region) -> bool {
        self.node_claims(store).any(|(_, claim)| claim.region.overlaps(region))
    }

    pub fn is_poisoned(&self, store: usize, region: &Region) -> bool {
        self.stores[store].poison.iter().any(|bad| bad.overlaps(region))
    }

    /// Another handle, or a claim that promises keep, on the array's store.
    pub fn is_shared(&self, array: usize) -> bool {
        let a = &self.arrays[array];
        self.others(a.store, Some(&[array])) > 0 || self.is_managed(a.store) && !a.granted
    }

    pub fn is_foreign(&self, store: usize) -> bool {
        self.leases.iter().any(|lease| lease.open && lease.store == store && !lease.may_overwrite)
    }

    /// tn_array_why_not without a target.
    pub fn bits(&self, array: usize) -> u32 {
        let a = &self.arrays[array];
        let mut bits = 0;
        let mut when = |condition, bit| bits |= if condition { bit } else { 0 };
        when(a.state == State::Given, TN_WHY_GIVEN);
        when(self.is_shared(array), TN_WHY_SHARED);
        when(self.node_claims(a.store).next().is_some(), TN_WHY_IN_EXPRESSION);
        when(self.holdings(a.store).any(|(_, hold)| hold.kind.class().is_some()), TN_WHY_EXPORTED);
        when(self.meets(a.store, &a.region, |hold| hold.kind.is_guard()), TN_WHY_BORROWED);
        when(a.readonly, TN_WHY_READONLY);
        when(self.is_foreign(a.store), TN_WHY_FOREIGN);
        when(self.is_poisoned(a.store, &a.region), TN_WHY_POISONED);
        when(a.region.shares_bytes(), TN_WHY_NOT_ALIASABLE);
        bits
    }

    /// borrow_read, `copy`, an XR; column 1 and 2 of the table.
    pub fn read_faults(&self, array: usize, frozen: bool, faults: &mut Faults) {
        let a = &self.arrays[array];
        faults.when(self.is_poisoned(a.store, &a.region), TN_ERR_POISONED);
        faults.when(self.meets(a.store, &a.region, |hold| hold.kind.is_writer()), TN_ERR_BORROWED_WRITE);
        faults.when(
            self.meets(a.store, &a.region, |hold| match hold.kind.class() {
                Some(Class::Exclusive) => true,
                Some(Class::Shared) => frozen,
                _ => false,
            }),
            TN_ERR_EXPORTED,
        );
    }

    /// A writer in any mode; `mode` says DISCARD where the call implies it.
    pub fn write_faults(&self, array: usize, mode: u32, faults: &mut Faults) {
        if mode & TN_WRITE_COW != 0 && self.cow_moves(array, mode) {
            return self.cow_faults(array, mode, faults);
        }
        let a = &self.arrays[array];
        let discard = mode & TN_WRITE_DISCARD != 0;
        let overlap = |kind: &dyn Fn(&Holding) -> bool| self.meets(a.store, &a.region, kind);
        faults.when(!discard && self.is_poisoned(a.store, &a.region), TN_ERR_POISONED);
        faults.when(a.readonly, TN_ERR_READONLY);
        faults.when(overlap(&|hold| hold.kind.is_writer()), TN_ERR_BORROWED_WRITE);
        faults.when(overlap(&|hold| hold.kind.is_reader()), TN_ERR_BORROWED);
        faults
            .when(overlap(&|hold| matches!(hold.kind.class(), Some(Class::Read | Class::Exclusive))), TN_ERR_EXPORTED);
        faults.when(self.is_managed(a.store) && !a.granted, TN_ERR_SHARED);
        faults.when(self.is_awaited(a.store, &a.region), TN_ERR_IN_EXPRESSION);
        if mode & TN_WRITE_UNIQUE != 0 {
            self.alone_faults(array, faults);
        }
    }

    /// The last column of the table: the store has no other holder.
    fn alone_faults(&self, array: usize, faults: &mut Faults) {
        let bits = self.bits(array);
        for (bit, status) in [
            (TN_WHY_EXPORTED, TN_ERR_EXPORTED),
            (TN_WHY_SHARED, TN_ERR_SHARED),
            (TN_WHY_IN_EXPRESSION, TN_ERR_IN_EXPRESSION),
            (TN_WHY_FOREIGN, TN_ERR_FOREIGN),
        ] {
            faults.when(bits & bit != 0, status);
        }
        faults.when(bits & TN_WHY_BORROWED != 0, TN_ERR_BORROWED);
    }

    /// Whether a COW writer gets a new store: something prevents writing in place. Poison does not if the old contents
    /// are not needed (WN-6), so DISCARD on bytes that are only poisoned stays in place.
    pub fn cow_moves(&self, array: usize, mode: u32) -> bool {
        let healed = if mode & TN_WRITE_DISCARD != 0 { TN_WHY_POISONED } else { 0 };
        self.bits(array) & !healed != 0
    }

    fn cow_faults(&self, array: usize, mode: u32, faults: &mut Faults) {
        // The handle's own guard on no bytes counts too: the rule is about guards of the handle, not about regions.
        let own = |kind: &dyn Fn(&HoldKind) -> bool| self.holds_through(array).any(|hold| kind(&hold.kind));
        faults.when(own(&|kind| kind.is_writer()), TN_ERR_BORROWED_WRITE);
        faults.when(own(&|kind| kind.is_reader()), TN_ERR_BORROWED);
        if mode & TN_WRITE_DISCARD == 0 {
            self.read_faults(array, false, faults);
        }
        // SV-34: the handle of a callback stays on its bytes.
        faults.when(self.arrays[array].lent, TN_ERR_SHARED);
        faults.when(self.forbidden > 0, TN_ERR_WOULD_COPY);
    }

    /// An aliasing export.
    pub fn export_faults(&self, array: usize, class: Class, mode: u32, faults: &mut Faults) {
        self.read_faults(array, false, faults);
        if class == Class::Read {
            return;
        }
        let a = &self.arrays[array];
        faults.when(a.readonly, TN_ERR_READONLY);
        faults.when(
            self.meets(a.store, &a.region, |hold| match hold.kind {
                HoldKind::Read { frozen } => frozen || class == Class::Exclusive,
                _ => false,
            }),
            TN_ERR_BORROWED,
        );
        faults.when(self.is_managed(a.store) && !a.granted, TN_ERR_SHARED);
        faults.when(self.is_awaited(a.store, &a.region), TN_ERR_IN_EXPRESSION);
        faults.when(
            class == Class::Exclusive && self.meets(a.store, &a.region, |hold| hold.kind.class().is_some()),
            TN_ERR_EXPORTED,
        );
        if mode & TN_WRITE_UNIQUE != 0 {
            self.alone_faults(array, faults);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn er_1_the_first_of_the_list_wins() {
        let mut faults = Faults::default();
        assert_eq!(faults.none(), Ok(()));
        for status in [TN_ERR_SHARED, TN_ERR_READONLY, TN_ERR_WOULD_COPY, TN_ERR_POISONED, TN_ERR_BORROWED] {
            faults.add(status);
        }
        assert_eq!(faults.none(), Err(TN_ERR_POISONED));
        faults.add(TN_ERR_STALE);
        faults.add(TN_ERR_DESTRUCTED);
        assert_eq!(faults.none(), Err(TN_ERR_STALE));
    }
}
