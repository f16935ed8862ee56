//! The atlas: from an address to the store that has it.
//!
//! Pool memory knows its owner (the pool keeps the store's tag with the block); foreign ranges stand here, sorted, no two with a byte
//! in common. An entry may be larger than its store, which shrinks under its own lock when a lease ends, and it may outlast it for a
//! moment: whoever finds one asks the ledger, and mends the entry.
//!
//! Contract: its lock comes before those of ledgers, and is never taken under one. No allocation under it: [`lock`] makes room for
//! one more entry first. Nothing is read at any address.
#![forbid(unsafe_code)]

use crate::error::{Result, fail};
use crate::grow_unlocked;
use crate::ledger::{self, Ledger, Locked};
use crate::pool;
use crate::thread::{self, QuickGuard, QuickLock, Thread};
use crate::types::*;

#[derive(Clone, Copy)]
struct Range {
    start: i64,
    end: i64,
    tag: u64,
}

static RANGES: QuickLock<Vec<Range>> = QuickLock::new(Vec::new());

/// The locked atlas, with room for one more range.
pub struct Atlas(QuickGuard<'static, Vec<Range>>);

/// Which stores have bytes of a range.
pub enum Found {
    /// None.
    Nothing,
    /// One, locked.
    One(Locked, &'static Ledger),
    /// More than one.
    Several,
}

/// Locks the atlas, if it has room.
#[inline]
pub fn lock_with_room(thread: &'static Thread) -> Option<Atlas> {
    let ranges = RANGES.lock_as(thread);
    (ranges.len() < ranges.capacity()).then_some(Atlas(ranges))
}

/// Locks the atlas.
pub fn lock() -> Result<Atlas> {
    loop {
        if let Some(atlas) = lock_with_room(thread::current()) {
            return Ok(atlas);
        }
        grow_unlocked::make(&RANGES, 64).map_err(|wanted| {
            fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the addresses of {wanted} imports"))
        })?;
    }
}

impl Atlas {
    /// Whether nobody is known to have a byte of [start, end), at the first look: where this says no, [`Atlas::find`] knows more.
    #[inline]
    pub fn is_free(&self, start: i64, end: i64) -> bool {
        let index = self.0.partition_point(|range| range.end <= start);
        self.0.get(index).is_none_or(|range| range.start >= end)
            && pool::first_in(start as usize, end as usize).is_none()
    }

    /// The stores with bytes in [start, end). Those of an empty range: none.
    pub fn find(&mut self, start: i64, end: i64) -> Found {
        // Each candidate is locked alone: two ledgers are only ever locked in ascending order.
        let mut found: Option<u64> = None;
        let mut at = start;
        while let Some(block) = pool::first_in(at as usize, end as usize) {
            at = (block.start + block.usable) as i64;
            if block.owner != 0 && ledger::lock_tag(block.owner).is_some() {
                if found.is_some() {
                    return Found::Several;
                }
                found = Some(block.owner);
            }
        }
        let mut index = self.0.partition_point(|range| range.end <= start);
        while let Some(range) = self.0.get(index).copied().filter(|range| range.start < end) {
            let Some((locked, ledger)) = ledger::lock_tag(range.tag) else {
                self.0.remove(index);
                continue;
            };
            let state = locked.state(ledger);
            let (first, last) = (state.start, state.start + state.bytes);
            self.0[index] = Range { start: first, end: last, tag: range.tag };
            if first < end && start < last {
                if found.is_some() {
                    return Found::Several;
                }
                found = Some(range.tag);
            }
            index += 1;
        }
        // A store that died since then counts as absent.
        match found.and_then(ledger::lock_tag) {
            Some((locked, ledger)) => Found::One(locked, ledger),
            None => Found::Nothing,
        }
    }

    /// Enters a store of foreign bytes, after [`Atlas::find`] found nothing there. The room was made by [`lock`].
    pub fn insert(&mut self, start: i64, end: i64, ledger: &'static Ledger) {
        let index = self.0.partition_point(|range| range.start < start);
        debug_assert!(self.0.len() < self.0.capacity());
        let range = Range { start, end, tag: ledger.tag() };
        // At the end there is nothing to move, which would be a call.
        if index == self.0.len() { self.0.push(range) } else { self.0.insert(index, range) }
    }

    /// The store's range has changed, to one that touches no other.
    pub fn resize(&mut self, start: i64, end: i64, ledger: &'static Ledger) {
        let tag = ledger.tag();
        if let Some(range) = self.0.iter_mut().find(|range| range.tag == tag) {
            range.start = start;
            range.end = end;
        }
    }
}

/// The store of foreign bytes that began at `start` is gone.
pub fn forget(thread: &'static Thread, start: i64, ledger: &'static Ledger) {
    let tag = ledger.tag();
    let mut ranges = RANGES.lock_as(thread);
    let index = ranges.partition_point(|range| range.end <= start);
    match ranges.get(index) {
        Some(range) if range.tag == tag && index + 1 == ranges.len() => drop(ranges.pop()),
        Some(range) if range.tag == tag => drop(ranges.remove(index)),
        _ => ranges.retain(|range| range.tag != tag),
    }
}
