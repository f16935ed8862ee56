//! Finds the store that has given addresses.
//!
//! Contract: the caller has locked the address index, whose lock comes before those of ledgers. Each candidate is
//! locked alone, because several ledgers may only be locked in ascending order.

use super::{Ledger, Locked, lock_tag};
use crate::address_index::{AddressIndex, Overlap};

/// The stores that share bytes with a range.
pub enum Found {
    /// None.
    Nothing,
    /// Exactly one, locked.
    One(Locked, &'static Ledger),
    /// More than one.
    Several,
}

/// Finds the stores with bytes in [start, end); none for an empty range.
pub fn find_by_address(index: &mut AddressIndex, start: i64, end: i64) -> Found {
    let current = |tag| {
        let (locked, ledger) = lock_tag(tag)?;
        let state = locked.state(ledger);
        Some((state.start, state.start + state.bytes))
    };
    match index.find(start, end, &current) {
        Overlap::None => Found::Nothing,
        // A store that ended since then counts as absent.
        Overlap::One(tag) => lock_tag(tag).map_or(Found::Nothing, |(locked, ledger)| Found::One(locked, ledger)),
        Overlap::Several => Found::Several,
    }
}
