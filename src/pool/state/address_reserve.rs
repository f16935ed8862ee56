//! Addresses that a pool has reserved and not committed: the rest of its growth steps. And how much to grow.
//!
//! Contract: that of `state`, under the same lock. A reserve holds no memory and counts in `address_bytes` only. A
//! pool keeps a few; others go back to the system.

use super::{Piece, PoolState, Want};
use crate::device::host::GRANULE;
use crate::pool::backing::BackingRequest;
use crate::pool::backing::huge::HUGE_PAGE_BYTES;
use crate::pool::options::Settings;
use crate::pool::requests::Growth;
use crate::types::{TN_HUGE_NEVER, TN_POOL_DIRECT};

/// Most reserves of a pool.
pub(super) const RESERVES: usize = 8;

/// A range of addresses; empty: none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AddressReserve {
    start: usize,
    end: usize,
}

impl AddressReserve {
    fn bytes(&self) -> usize {
        self.end - self.start
    }
    /// Where a range of that size and alignment would begin, if it fits.
    fn fit(&self, bytes: usize, alignment: usize) -> Option<usize> {
        let start = self.start.checked_next_multiple_of(alignment)?;
        (self.start < self.end && start.checked_add(bytes)? <= self.end).then_some(start)
    }
}

impl PoolState {
    /// Takes addresses from the smallest reserve that has them.
    pub fn take_reserved(&mut self, bytes: usize, alignment: usize) -> Option<usize> {
        let free = self.reserves.iter().position(|reserve| reserve.bytes() == 0);
        // Addresses in front of an aligned start become a reserve of their own.
        let fits = |reserve: &AddressReserve| {
            let start = reserve.fit(bytes, alignment)?;
            (start == reserve.start || start + bytes == reserve.end || free.is_some()).then_some(start)
        };
        let (at, start) = self
            .reserves
            .iter()
            .enumerate()
            .filter_map(|(at, reserve)| Some((at, fits(reserve)?)))
            .min_by_key(|&(at, _)| self.reserves[at].bytes())?;
        let reserve = self.reserves[at];
        let (front, back) = (
            AddressReserve { start: reserve.start, end: start },
            AddressReserve { start: start + bytes, end: reserve.end },
        );
        match (front.bytes(), back.bytes()) {
            (0, _) => self.reserves[at] = back,
            (_, 0) => self.reserves[at] = front,
            _ => {
                self.reserves[at] = back;
                if let Some(free) = free {
                    self.reserves[free] = front;
                }
            }
        }
        self.figures.address_bytes -= bytes as u64;
        Some(start)
    }

    /// Keeps reserved addresses for later growth. Returns what the caller must give back to the system.
    pub fn add_reserved(&mut self, start: usize, bytes: usize) -> Option<Piece> {
        let mut reserve = AddressReserve { start, end: start + bytes };
        self.figures.address_bytes += bytes as u64;
        let smallest = self.reserves.iter_mut().min_by_key(|reserve| reserve.bytes())?;
        if smallest.bytes() < reserve.bytes() {
            core::mem::swap(smallest, &mut reserve);
        }
        self.give_up_reserved(reserve)
    }

    /// Removes a reserve, which the caller must give back to the system.
    pub fn drop_reserved(&mut self) -> Option<Piece> {
        let at = self.reserves.iter().position(|reserve| reserve.bytes() > 0)?;
        let reserve = core::mem::take(&mut self.reserves[at]);
        self.give_up_reserved(reserve)
    }

    fn give_up_reserved(&mut self, reserve: AddressReserve) -> Option<Piece> {
        self.figures.address_bytes -= reserve.bytes() as u64;
        self.figures.device_free_count += u64::from(reserve.bytes() > 0);
        (reserve.bytes() > 0).then(|| Piece { start: reserve.start, bytes: reserve.bytes(), segment: None })
    }

    /// Bytes to request from the device if `needed` are needed.
    pub fn least(&self, needed: usize) -> usize {
        needed.next_multiple_of(self.settings.terms.granule)
    }

    /// What to get from the system, or an upstream, for a request that finds nothing.
    pub fn plan_growth(&mut self, want: &Want) -> Growth {
        let bytes = self.least(want.span_bytes);
        let Settings { node, huge, terms, .. } = self.settings;
        let step = self.growth_step(bytes);
        // Large blocks begin where a huge page does, if that wastes little.
        let aligned = if want.span_bytes >= 2 * HUGE_PAGE_BYTES && huge != TN_HUGE_NEVER {
            want.span_alignment.max(HUGE_PAGE_BYTES)
        } else {
            want.span_alignment
        };
        let reserved = self.take_reserved(want.span_bytes, aligned);
        Growth {
            asked: BackingRequest { bytes, alignment: aligned, step, node, huge },
            coming_bytes: if terms.joins { bytes } else { step },
            reserved: reserved.or_else(|| self.take_reserved(want.span_bytes, want.span_alignment)),
        }
    }

    /// A growth step: how many addresses to reserve if `needed` bytes are needed. An upstream gives memory instead of
    /// addresses, so its steps stay below the limit.
    fn growth_step(&self, needed: usize) -> usize {
        if self.settings.flags & TN_POOL_DIRECT != 0 {
            return needed;
        }
        let committed = self.figures.reserved_bytes as f64;
        // A number beyond usize becomes the largest one.
        let step = ((committed * (self.settings.growth - 1.0)) as usize).min(self.settings.max_growth);
        let unit = if step >= HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { GRANULE };
        let step = step.checked_next_multiple_of(unit).map_or(needed, |step| self.least(step.max(needed)));
        if self.settings.terms.joins || !self.over_limit(step) { step } else { needed }
    }
}
