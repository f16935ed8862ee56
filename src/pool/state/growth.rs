//! How much a pool gets from its device, and the addresses that its growth steps reserve ahead.
//!
//! Contract: that of `state`, under the same lock. Reserved addresses count in `address_bytes` only.

use super::address_reserve::AddressReserve;
use super::{Piece, PoolState, Want};
use crate::device::host::GRANULE;
use crate::pool::backing::huge::HUGE_PAGE_BYTES;
use crate::pool::options::{APART, Settings};
use crate::pool::span::stream_uses::Stream;
use crate::pool::span::table;
use crate::types::*;

/// A request to the device.
#[derive(Clone, Copy)]
pub(in crate::pool) struct BackingRequest {
    pub bytes: usize,
    pub alignment: usize,
    /// Bytes that the pool's growth would take; less than `bytes`: no growth.
    pub step: usize,
    /// 0: no preference; n: NUMA node n - 1.
    pub node: u32,
    /// TN_HUGE_.
    pub huge: tn_huge_pages,
    /// Where the request has its order, of devices whose memory comes in the order of streams.
    pub stream: Option<&'static Stream>,
}

impl BackingRequest {
    /// Whether the memory is to consist of whole transparent huge pages.
    pub fn fills_huge_pages(&self) -> bool {
        self.huge == TN_HUGE_AUTO && self.alignment >= HUGE_PAGE_BYTES && self.bytes.is_multiple_of(HUGE_PAGE_BYTES)
    }
}

/// What the pool gets from its device for a request.
pub(in crate::pool) struct Growth {
    pub backing: BackingRequest,
    /// Bytes that count against the limit until the memory has arrived.
    pub coming_bytes: usize,
    /// Addresses that an earlier growth reserved, to be committed.
    pub reserved: Option<usize>,
}

/// Addresses behind a free span.
pub(in crate::pool) struct RoomBehind {
    pub start: usize,
    pub bytes: usize,
    /// The pool has reserved them, and has them no more.
    pub reserved: bool,
    /// The huge pages inside it are to be requested.
    pub in_huge_pages: bool,
}

/// A pool that has as many bytes grows in whole huge pages: what a page's unused end wastes is a small part of them.
const LEAST_WITH_HUGE_PAGES: u64 = 32 << 20;
/// A free span is extended for a request of which it has at least this part; as a divisor.
const LEAST_PART_OF_EXTENDED: usize = 8;
/// The part of a request that may be faulted in by small pages where the pool has huge ones; as a divisor.
const MOST_PART_IN_SMALL_PAGES: usize = 4;

impl PoolState {
    /// Takes addresses from the smallest reserve that has them.
    pub fn take_reserved(&mut self, bytes: usize, alignment: usize) -> Option<usize> {
        let start = self.reserves.take(bytes, alignment)?;
        self.figures.address_bytes -= bytes as u64;
        Some(start)
    }

    /// What is missing behind a large free span to serve a large request, at addresses that no pool has or that this
    /// one has reserved. None: there is no such span.
    pub fn room_behind(&mut self, want: &Want, now: u64) -> Option<RoomBehind> {
        self.merge_recent();
        let least = want.span_bytes / LEAST_PART_OF_EXTENDED;
        let in_huge_pages = self.grows_in_huge_pages(want);
        let unit = if in_huge_pages { HUGE_PAGE_BYTES } else { GRANULE };
        let (start, bytes) = self.free_bins.find_from_largest(|span| {
            let (start, end) = (span.start.get().checked_next_multiple_of(want.span_alignment)?, span.end());
            let missing = start.checked_add(want.span_bytes)?.checked_sub(end)?;
            let last = end.checked_add(missing)?.checked_next_multiple_of(unit)?;
            // In front of the first whole huge page there are small ones, which cost more to fault in than all that is
            // saved. All of them are taken, and soon in use.
            let in_small_pages = end.checked_next_multiple_of(unit)? - end;
            let pays =
                missing + least <= want.span_bytes && in_small_pages <= want.span_bytes / MOST_PART_IN_SMALL_PAGES;
            let is_free = missing > 0 && table::get(end).is_none() && table::get(last - 1).is_none();
            let can_be = is_free && pays && !self.over_limit(last - end) && !self.foreign_ends.has(end, now);
            can_be.then_some((end, last - end))
        })?;
        let reserved = self.reserves.take_at(start, bytes);
        if reserved {
            self.figures.address_bytes -= bytes as u64;
        }
        Some(RoomBehind { start, bytes, reserved, in_huge_pages })
    }

    /// Notes that the addresses behind a free span are something else's.
    pub fn note_foreign(&mut self, end: usize, now: u64) {
        self.foreign_ends.add(end, now);
    }

    /// Keeps reserved addresses for later growth. Returns what the caller must give back to the system.
    pub fn add_reserved(&mut self, start: usize, bytes: usize) -> Option<Piece> {
        self.figures.address_bytes += bytes as u64;
        let surplus = self.reserves.put(start, bytes);
        self.give_up_reserved(surplus)
    }

    /// Removes a reserve, which the caller must give back to the system.
    pub fn drop_reserved(&mut self) -> Option<Piece> {
        let reserve = self.reserves.remove_any()?;
        self.give_up_reserved(reserve)
    }

    fn give_up_reserved(&mut self, reserve: AddressReserve) -> Option<Piece> {
        self.figures.address_bytes -= reserve.bytes() as u64;
        self.figures.device_free_count += u64::from(reserve.bytes() > 0);
        (reserve.bytes() > 0).then(|| Piece::new(reserve.start, reserve.bytes()))
    }

    /// Bytes to request from the device if `needed` are needed.
    pub fn least(&self, needed: usize) -> usize {
        needed.next_multiple_of(self.settings.terms.granule)
    }

    /// What to get from the system, or an upstream, for a request that finds nothing.
    pub fn plan_growth(&mut self, want: &Want) -> Growth {
        let Settings { node, huge, terms, .. } = self.settings;
        let in_huge_pages = self.grows_in_huge_pages(want);
        let bytes = self.least(want.span_bytes);
        let bytes = if in_huge_pages { bytes.next_multiple_of(HUGE_PAGE_BYTES) } else { bytes };
        let step = self.growth_step(bytes);
        // Large blocks begin where a huge page does, if that wastes little.
        let aligned = if in_huge_pages || want.span_bytes >= 2 * HUGE_PAGE_BYTES && huge != TN_HUGE_NEVER {
            want.span_alignment.max(HUGE_PAGE_BYTES)
        } else {
            want.span_alignment
        };
        let mut reserved = self.take_reserved(bytes, aligned);
        if !in_huge_pages {
            reserved = reserved.or_else(|| self.take_reserved(bytes, want.span_alignment));
        }
        Growth {
            backing: BackingRequest { bytes, alignment: aligned, step, node, huge, stream: None },
            coming_bytes: if terms.joins { bytes } else { step },
            reserved,
        }
    }

    /// Whether the growth for a request consists of whole huge pages: in a pool of the host that is large, and may have
    /// as much.
    fn grows_in_huge_pages(&self, want: &Want) -> bool {
        let Settings { flags, huge, terms, .. } = self.settings;
        huge == TN_HUGE_AUTO
            && flags & APART == 0
            && terms.joins
            && terms.granule == GRANULE
            && self.figures.reserved_bytes >= LEAST_WITH_HUGE_PAGES
            && want.span_bytes.checked_next_multiple_of(HUGE_PAGE_BYTES).is_some_and(|bytes| !self.over_limit(bytes))
    }

    /// A growth step: how many addresses to reserve if `needed` bytes are needed. An upstream gives memory instead of
    /// addresses, so its steps stay below the limit.
    fn growth_step(&self, needed: usize) -> usize {
        if self.settings.flags & APART != 0 {
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
