//! Where a request's memory comes from: what the pool has, the device, and then the steps of PO-44, one at a time.
//!
//! Contract: no lock is held while the device is asked, a callback runs or other pools give something up. Whatever was tried, a request
//! that fails leaves nothing behind but what came for it, which is free then.

use super::{Open, refuse_retired};
use crate::error::{Result, Status};
use crate::pool::backing::huge::HUGE_PAGE_BYTES;
use crate::pool::backing::{BackingRequest, huge};
use crate::pool::options::Settings;
use crate::pool::span::class;
use crate::pool::state::{Count, NewBlock, Piece, Prealloc, UpstreamPiece, Want};
use crate::pool::{Pool, messages, thread_heap};
use crate::sys::os;
use crate::types::*;

/// How far a request that lacks memory went.
#[derive(Default)]
pub(in crate::pool) struct ReclaimProgress {
    /// Refusals of the device.
    pub refusals: u32,
    /// Times that threads were asked for what they keep.
    thread_reclaims: u32,
    /// Bytes that went back because more were about to come.
    exchanged: usize,
    /// The callback that was called last.
    pub heard: usize,
}

/// What came of one step.
pub(super) enum StepOutcome {
    /// Ask again.
    Retry,
    /// Ask again for the least that serves.
    Shrink,
    /// There is no further step.
    None,
}

impl Pool {
    /// Memory for a want: from what the pool has, else from the device, else by the steps of PO-44 that a host has.
    pub(super) fn obtain(&'static self, mut want: Want, count: Count) -> Result<NewBlock> {
        if let Some(class) = want.class
            && self.has_heaps()
        {
            let (placed, heap) = thread_heap::allocate_collected(self, class, want.block, count.zeroed);
            if let Some(placed) = placed {
                if !count.allocation {
                    self.state.lock().uncount_hit(class, want.block);
                }
                return Ok(placed);
            }
            want.heap = heap;
        }
        {
            let mut state = self.state.lock();
            if !state.retired
                && let Some(placed) = state.take_block(self, &want)
            {
                state.count(&want, count, &placed, true);
                drop(state);
                self.ask_huge(&want, &placed);
                return Ok(placed);
            }
        }
        self.obtain_slow(want, count)
    }

    #[cold]
    #[inline(never)]
    fn obtain_slow(&'static self, mut want: Want, count: Count) -> Result<NewBlock> {
        let mut progress = ReclaimProgress::default();
        let mut hit = true;
        loop {
            let Some(mut prealloc) = Prealloc::for_request(want.class) else {
                return Err(self.out_of_memory(TN_ERR_NO_HOST_MEMORY, &want));
            };
            let mut state = self.state.lock();
            if state.retired {
                return Err(refuse_retired(state, want.block));
            }
            if let Some(placed) = state.take_block_cutting(self, &want, &mut prealloc) {
                state.count(&want, count, &placed, hit);
                // Time passes also for a pool that only allocates.
                self.enforce_threshold(state, usize::MAX);
                self.ask_huge(&want, &placed);
                return Ok(placed);
            }
            let bytes = state.least(want.span_bytes);
            if state.over_limit(bytes) {
                // A whole span of small blocks does not fit, perhaps one for a single block does.
                let least = want.class.map_or(want.span_bytes, class::least_span_bytes);
                match self.relieve_limit(state, &want, &mut prealloc, &mut progress, least) {
                    StepOutcome::Retry => continue,
                    StepOutcome::Shrink => want.span_bytes = least,
                    StepOutcome::None => return Err(self.out_of_memory(TN_ERR_POOL_LIMIT, &want)),
                }
                continue;
            }
            if want.class.is_none()
                && let Some(piece) = state.evict_for_growth(want.span_bytes.saturating_sub(progress.exchanged))
            {
                progress.exchanged += piece.bytes;
                drop((self.give_back(state, piece), prealloc));
                continue;
            }
            let refusal = state.settings.terms.refusal;
            hit = false;
            let (state, piece) = self.grow(state, &want, bytes)?;
            if let Some(piece) = piece {
                let placed = self.take_block_fetched(state, piece, &want, &mut prealloc, count)?;
                self.ask_huge(&want, &placed);
                return Ok(placed);
            }
            drop((state, prealloc));
            if !self.relieve_device(&want, &mut progress) {
                return Err(self.out_of_memory(refusal, &want));
            }
        }
    }

    /// Gets at least so many bytes for a want from the device, with addresses to grow into where the pool's step is longer; under no lock, and
    /// the state are as they are afterwards. None: the device has no memory.
    fn grow(&'static self, mut state: Open, want: &Want, bytes: usize) -> Result<(Open, Option<Piece>)> {
        let Settings { node, huge, terms, .. } = state.settings;
        let step = state.step(bytes);
        let coming = if terms.joins { bytes } else { step };
        state.coming += coming;
        state.busy += 1;
        state.figures.device_allocate_count += 1;
        // Large blocks begin where a huge page does, as long as that leaves few rests.
        let aligned = if want.span_bytes >= 2 * HUGE_PAGE_BYTES && huge != TN_HUGE_NEVER {
            want.span_alignment.max(HUGE_PAGE_BYTES)
        } else {
            want.span_alignment
        };
        let room = state
            .take_reserved(want.span_bytes, aligned)
            .or_else(|| state.take_reserved(want.span_bytes, want.span_alignment));
        drop(state);
        let fetched = match room {
            Some(start) => Ok(self.commit(start, bytes)),
            None => self.fetch(BackingRequest { bytes, alignment: aligned, step, node, huge }),
        };
        let mut state = self.state.lock();
        state.coming -= coming;
        state.busy -= 1;
        match fetched {
            Ok(piece) => Ok((state, piece)),
            Err(status) => Err(self.failed(state, want, status)),
        }
    }

    /// A block in memory that has just come. A pool that was retired meanwhile takes it all the same: the caller's hold may have been the
    /// handle that another thread released, and the block is given back like any other. What cannot be taken in goes back.
    pub(in crate::pool) fn take_block_fetched(
        &'static self,
        mut state: Open,
        piece: Piece,
        want: &Want,
        prealloc: &mut Prealloc,
        count: Count,
    ) -> Result<NewBlock> {
        if let Some(placed) = state.take_block_in(self, piece, want, prealloc) {
            state.count(want, count, &placed, false);
            self.enforce_threshold(state, usize::MAX);
            return Ok(placed);
        }
        let (state, status) = self.unlocked(state, || {
            let status = self.send_back(piece.start, piece.bytes);
            piece.segment.into_iter().for_each(UpstreamPiece::release);
            status
        });
        Err(self.failed(state, want, status))
    }

    /// Asks for huge pages where a fresh large block fills them (PH-11). The block is the caller's still.
    pub(super) fn ask_huge(&'static self, want: &Want, placed: &NewBlock) {
        if want.class.is_some() || want.block_bytes < HUGE_PAGE_BYTES || placed.dirty >= want.block_bytes {
            return;
        }
        let how = self.state.lock().settings.huge;
        let Some((start, bytes)) = huge::inside(placed.address + placed.dirty, placed.address + want.block_bytes)
        else {
            return;
        };
        if how == TN_HUGE_NEVER || !huge::prepare(start, bytes) {
            return;
        }
        let ops = self.ops();
        // SAFETY: in a block that was just made for this request and that nobody knows of; it was never written.
        let whole = how == TN_HUGE_EXPLICIT && unsafe { ops.set_huge(start, bytes, TN_HUGE_EXPLICIT) };
        // SAFETY: as above.
        if whole || unsafe { ops.set_huge(start, bytes, TN_HUGE_AUTO) } {
            let mut state = self.state.lock();
            state.figures.huge_bytes += (huge::mark(start, bytes, whole) * HUGE_PAGE_BYTES) as u64;
        }
    }

    /// What is done where the limit leaves no room, one step at a time (PO-44).
    pub(super) fn relieve_limit(
        &'static self,
        mut state: Open,
        want: &Want,
        prealloc: &mut Prealloc,
        progress: &mut ReclaimProgress,
        least: usize,
    ) -> StepOutcome {
        state.dissolve_empty(os::coarse_ms());
        let needed = state.least(want.span_bytes);
        if let Some(piece) = state.evict(needed, usize::MAX / 2, Some(prealloc)) {
            drop(self.give_back(state, piece));
            return StepOutcome::Retry;
        }
        drop(state);
        // What threads keep must not starve anybody; they may take it back at once, so not for ever.
        progress.thread_reclaims += 1;
        if self.free_ring() || progress.thread_reclaims <= 3 && thread_heap::reclaim_from_threads(self, true) {
            return StepOutcome::Retry;
        }
        if least < want.span_bytes {
            return StepOutcome::Shrink;
        }
        match self.call_listeners(want.span_bytes, TN_PRESSURE_LIMIT, &mut progress.heard) {
            true => {
                // What was freed may lie with a thread now.
                progress.thread_reclaims = 0;
                StepOutcome::Retry
            }
            false => StepOutcome::None,
        }
    }

    /// What is done where the device has no more, one step at a time (PO-44). False: nothing is left to be done.
    fn relieve_device(&'static self, want: &Want, progress: &mut ReclaimProgress) -> bool {
        progress.refusals += 1;
        match progress.refusals {
            1 => {
                self.trim(0);
            }
            // What others have is not the upstream's.
            2 if !self.is_imported() => crate::reclaim::run(self.device()),
            _ => return self.call_listeners(want.span_bytes, TN_PRESSURE_DEVICE, &mut progress.heard),
        }
        true
    }

    /// A request failed by what the upstream did.
    #[cold]
    pub(in crate::pool) fn failed(&'static self, mut state: Open, want: &Want, status: Status) -> Status {
        state.count_failure(want.block);
        self.enforce_threshold(state, usize::MAX);
        status
    }

    #[cold]
    pub(in crate::pool) fn out_of_memory(&'static self, status: tn_status, want: &Want) -> Status {
        {
            let mut state = self.state.lock();
            state.figures.oom_count += 1;
            state.count_failure(want.block);
        }
        messages::out_of_memory(self, status, want)
    }
}
