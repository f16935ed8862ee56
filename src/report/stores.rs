//! Stores in a report, with their holders.
//!
//! Contract: works without memory. Each store is consistent. A store whose last holder is about to go is left out. With
//! a bound, the largest stores are listed and the others are grouped by call site.
#![forbid(unsafe_code)]

use super::extent::{Extent, FIRST_HOLDERS, Largest};
use super::groups::Groups;
use super::holders::{in_parts, write_holder};
use super::json::Json;
use super::pools::write_device;
use crate::borrow::{self, HolderInfo, Store};
use crate::ledger;
use crate::pool::{Client, Pool};
use crate::types::*;
use core::cell::Cell;

/// Writes the lists of stores: all, or the largest ones and groups of the others.
pub(super) fn write_stores(json: &mut Json<'_>, extent: Extent) {
    let mut largest = Largest::new();
    if extent.stores < usize::MAX {
        ledger::each_store(|tag| {
            if let Some((store, _)) = glance(tag) {
                largest.count(store.bytes);
            }
        });
        largest.choose(extent.stores);
    }
    // Made only if there is a store that is not listed: the groups take memory.
    let mut others: Option<Groups> = None;
    let mut holders = extent.holders;
    json.open_field("stores", '[');
    ledger::each_store(|tag| {
        if extent.stores == usize::MAX {
            write_store(json, tag, usize::MAX);
            return;
        }
        let Some((store, oldest)) = glance(tag) else { return };
        if largest.takes(store.bytes) {
            let most = holders.min(extent.holders_of_one).max(FIRST_HOLDERS);
            holders = holders.saturating_sub(write_store(json, tag, most));
        } else {
            let key = (store.pool.map_or(0, Pool::serial), Client::ARRAYS, oldest.origin.site);
            others.get_or_insert_with(Groups::new).add(key, store.address, store.bytes);
        }
    });
    json.close(']');
    if let Some(others) = others {
        json.open_field("more_stores", '[');
        others.write(json, extent.others);
        json.close(']');
    }
}

/// A store and its oldest claim; None: it has ended.
fn glance(tag: u64) -> Option<(Store, HolderInfo)> {
    let (locked, ledger) = ledger::lock_tag(tag)?;
    Some((borrow::store_of(&locked, ledger), borrow::oldest_claim(&locked, ledger)?))
}

/// Writes a store with its holders, at most `most` of them. Returns how many it wrote.
fn write_store(json: &mut Json<'_>, tag: u64, most: usize) -> usize {
    let store: Cell<Option<Store>> = Cell::new(None);
    let (mut begun, mut seen) = (false, 0);
    in_parts(
        &mut |visit| {
            if let Some((locked, ledger)) = ledger::lock_tag(tag) {
                store.set(store.get().or_else(|| Some(borrow::store_of(&locked, ledger))));
                borrow::all_holders(&locked, ledger, visit);
            }
        },
        &mut |holder| {
            // A store without a holder is about to end, and is left out.
            if let Some(store) = store.get().filter(|_| !core::mem::replace(&mut begun, true)) {
                begin_store(json, &store);
            }
            if seen < most {
                write_holder(json, holder);
            }
            seen += 1;
        },
    );
    if begun {
        json.close(']');
        if seen > most {
            json.number("more_holders", (seen - most) as u64);
        }
        json.close('}');
    }
    seen.min(most)
}

/// Writes a store up to its list of holders.
fn begin_store(json: &mut Json<'_>, store: &Store) {
    json.open('{');
    json.bits("address", store.address);
    json.number("bytes", store.bytes);
    write_device(json, store.device);
    match store.pool {
        Some(pool) => json.number("pool", pool.serial()),
        None => json.null("pool"),
    }
    json.number("version", store.version);
    json.number("time_ns", store.time_ns);
    json.number("imports", store.imports);
    json.open_field("flags", '[');
    let flags = [
        ("readonly", store.flags & TN_READONLY != 0),
        ("foreign", store.flags & TN_FOREIGN != 0),
        ("file", store.file),
        ("poisoned", store.poisoned),
        ("spilled", store.spilled),
    ];
    flags.iter().filter(|(_, on)| *on).for_each(|(name, _)| json.item(name));
    json.close(']');
    json.open_field("holders", '[');
}
