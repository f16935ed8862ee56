//! The slow path of an allocation: one driver for all pools. The pool's [`Policy`] lists the steps that it tries, in
//! order.
//!
//! Contract: no lock is held while the device allocates, a callback runs or other pools return memory. A failed request
//! leaves nothing behind, except memory that arrived for it. That memory is free.
//!
//! [`Policy`]: super::policy::Policy

use super::policy::Step;
use super::request::{Request, StepOutcome};
use super::{LockedState, refuse_retired};
use crate::error::{Result, Status, fail};
use crate::pool::backing::huge;
use crate::pool::backing::huge::HUGE_PAGE_BYTES;
use crate::pool::span::UpstreamPiece;
use crate::pool::state::growth::{BackingRequest, Growth};
use crate::pool::state::{Count, NewBlock, Piece, Want};
use crate::pool::{Pool, messages, thread_heap};
use crate::sys::os;
use crate::types::*;
use core::sync::atomic::Ordering;

/// The least time between two searches for idle heaps.
const IDLE_CHECK_MS: u64 = 50;

/// The result of an attempt to grow.
enum Grown {
    Block(NewBlock),
    AtLimit,
    /// The device has no memory.
    Refused,
}

impl Pool {
    /// A block for a request of a host pool: from the thread's heap once remote frees were collected, else from what
    /// the pool has, else by the slow path.
    pub(super) fn allocate_block(&'static self, mut want: Want, count: Count) -> Result<NewBlock> {
        self.end_idle_heaps();
        if let Some(class) = want.class
            && self.has_heaps()
        {
            let (block, heap) = thread_heap::allocate_collected(self, class, want.block, count.zeroed);
            if let Some(block) = block {
                if !count.allocation {
                    self.state.lock().uncount_hit(class, want.block);
                }
                return Ok(block);
            }
            want.heap = heap;
        }
        {
            let mut state = self.state.lock();
            if !state.retired
                && let Some(block) = state.take_block(self, &want)
            {
                state.count(&want, count, &block, true);
                drop(state);
                self.request_huge_pages(&want, &block);
                return Ok(block);
            }
        }
        self.allocate_slow(want, count)
    }

    /// Looks for idle heaps now and then.
    fn end_idle_heaps(&'static self) {
        if !self.has_heaps() {
            return;
        }
        let (now, last) = (os::coarse_ms(), self.idle_check_ms.load(Ordering::Relaxed));
        if now.saturating_sub(last) >= IDLE_CHECK_MS
            && self.idle_check_ms.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            thread_heap::end_idle(self, now);
        }
    }

    /// As `serve`. Granules that were kept for the request's growth and not used go back to the device.
    pub(in crate::pool) fn allocate_slow(&'static self, want: Want, count: Count) -> Result<NewBlock> {
        let served = self.serve(want, count);
        self.ops().release_kept();
        served
    }

    /// The driver: tries to take a block, then to grow the pool, then the next step that frees memory, until the
    /// request is served.
    #[cold]
    #[inline(never)]
    fn serve(&'static self, want: Want, count: Count) -> Result<NewBlock> {
        let policy = self.policy();
        let no_descriptors = |want: &Want| self.out_of_memory(TN_ERR_NO_HOST_MEMORY, want);
        let prealloc = (policy.preallocate)(&want).ok_or_else(|| no_descriptors(&want))?;
        let mut request = Request::new(want, count, prealloc);
        let mut hit = true;
        loop {
            if let Some(block) = self.try_take(&mut request, hit)? {
                return Ok(block);
            }
            if !self.try_steps(policy.before_growth, &mut request) {
                let steps = match self.grow(&mut request, &mut hit)? {
                    Grown::Block(block) => return Ok(block),
                    Grown::AtLimit => {
                        request.reason = TN_PRESSURE_LIMIT;
                        policy.at_limit
                    }
                    Grown::Refused => {
                        request.reason = TN_PRESSURE_DEVICE;
                        policy.at_refusal
                    }
                };
                if !self.try_steps(steps, &mut request) {
                    return Err(self.refuse(&request));
                }
            }
            let want = &request.want;
            request.prealloc = (policy.preallocate)(want).ok_or_else(|| no_descriptors(want))?;
        }
    }

    /// Runs steps until one changed something. False: none did.
    pub(super) fn try_steps(&'static self, steps: &[Step], request: &mut Request) -> bool {
        steps.iter().any(|step| step(self, request) == StepOutcome::Retry)
    }

    /// A block from the pool's free memory. `hit`: no memory was requested from the device for this request.
    fn try_take(&'static self, request: &mut Request, hit: bool) -> Result<Option<NewBlock>> {
        let mut state = self.state.lock();
        if state.retired {
            return Err(refuse_retired(state, request.want.block));
        }
        let Some(block) = (self.policy().take)(self, &mut state, &request.want, &mut request.prealloc) else {
            return Ok(None);
        };
        state.count(&request.want, request.count, &block, hit && !request.progress.has_extended);
        let state = self.return_in_exchange(state, request);
        // Time passes also for a pool that only allocates.
        self.enforce_threshold(state, usize::MAX);
        self.request_huge_pages(&request.want, &block);
        Ok(Some(block))
    }

    /// Gets memory from the device and takes the block from it. Clears `hit` if memory was requested from the device.
    fn grow(&'static self, request: &mut Request, hit: &mut bool) -> Result<Grown> {
        let want = &request.want;
        let mut state = self.state.lock();
        if state.retired {
            return Err(refuse_retired(state, want.block));
        }
        if state.over_limit(state.least(want.span_bytes)) {
            return Ok(Grown::AtLimit);
        }
        let Growth { backing, coming_bytes, reserved } = (self.policy().plan_growth)(&mut state, want);
        state.coming_bytes += coming_bytes;
        state.busy += 1;
        state.figures.device_allocate_count += 1;
        drop(state);
        *hit = false;
        let fetched = match reserved {
            Some(start) => Ok(self.commit(start, backing.bytes)),
            None => self.fetch(backing),
        };
        let fetched = fetched.map(|piece| self.prepare_arrived(piece?, &backing, request));
        let want = &request.want;
        let mut state = self.state.lock();
        state.coming_bytes -= coming_bytes;
        state.busy -= 1;
        match fetched {
            Ok(Some(piece)) => self.take_block_fetched(state, piece, request).map(Grown::Block),
            Ok(None) => Ok(Grown::Refused),
            Err(status) => Err(self.failed(state, want, status)),
        }
    }

    /// Makes memory huge that has just arrived, and moves free pages into it. None: the system refused that; the memory
    /// is gone.
    fn prepare_arrived(&'static self, piece: Piece, backing: &BackingRequest, request: &mut Request) -> Option<Piece> {
        if !self.is_plain_host() {
            return Some(piece);
        }
        if backing.fills_huge_pages() {
            let huge_bytes = self.make_huge(piece.start, piece.bytes, TN_HUGE_AUTO);
            self.state.lock().figures.huge_bytes += huge_bytes;
        }
        let piece = self.move_free_pages(piece, &request.want, request.count)?;
        if request.want.class.is_none() {
            request.progress.to_return += request.want.span_bytes.saturating_sub(piece.dirty);
        }
        Some(piece)
    }

    /// Returns other free memory for what came from the device, now that the block is taken (PH-21, PH-22).
    fn return_in_exchange(&'static self, mut state: LockedState, request: &mut Request) -> LockedState {
        let mut left = core::mem::take(&mut request.progress.to_return);
        while let Some(piece) = state.evict_for_growth(left, 0, os::coarse_ms()) {
            left = left.saturating_sub(piece.bytes);
            state = self.give_back(state, piece);
        }
        state
    }

    /// A block in memory that has just arrived. Another thread may have retired the pool meanwhile. The block is then
    /// allocated all the same, and freed like any other. Memory that the pool cannot take goes back.
    fn take_block_fetched(
        &'static self,
        mut state: LockedState,
        piece: Piece,
        request: &mut Request,
    ) -> Result<NewBlock> {
        let want = &request.want;
        if let Some(block) = state.take_block_in(self, piece, want, &mut request.prealloc) {
            state.count(want, request.count, &block, false);
            let state = self.return_in_exchange(state, request);
            let want = &request.want;
            self.enforce_threshold(state, usize::MAX);
            self.request_huge_pages(want, &block);
            return Ok(block);
        }
        let (state, status) = self.unlocked(state, || {
            let status = self.send_back(piece.start, piece.bytes);
            piece.record.into_iter().for_each(UpstreamPiece::release);
            status
        });
        Err(self.failed(state, want, status))
    }

    /// Asks for huge pages where a fresh large block fills them (PH-11). The caller does not have the block yet.
    pub(super) fn request_huge_pages(&'static self, want: &Want, block: &NewBlock) {
        if want.class.is_some() || want.block_bytes < HUGE_PAGE_BYTES || block.dirty >= want.block_bytes {
            return;
        }
        let Some((start, bytes)) = huge::inside(block.address + block.dirty, block.address + want.block_bytes) else {
            return;
        };
        if huge::all_marked(start, bytes) {
            return;
        }
        let how = self.state.lock().settings.huge;
        if how != TN_HUGE_NEVER {
            let huge_bytes = self.make_huge(start, bytes, how);
            self.state.lock().figures.huge_bytes += huge_bytes;
        }
    }

    /// Asks for huge pages in whole pages of fresh memory that only the caller knows. Returns how many more bytes are
    /// marked.
    pub(super) fn make_huge(&'static self, start: usize, bytes: usize, how: tn_huge_pages) -> u64 {
        if !huge::prepare(start, bytes) {
            return 0;
        }
        let ops = self.ops();
        // SAFETY: only the caller knows the memory, and it was never written.
        let whole = how == TN_HUGE_EXPLICIT && unsafe { ops.set_huge(start, bytes, TN_HUGE_EXPLICIT) };
        // SAFETY: as above.
        let is_huge = whole || unsafe { ops.set_huge(start, bytes, TN_HUGE_AUTO) };
        if is_huge { (huge::mark(start, bytes, whole) * HUGE_PAGE_BYTES) as u64 } else { 0 }
    }

    /// The status of a request for which no step is left. While its stream captures a graph, the message says that this
    /// is why (PD-15).
    #[cold]
    fn refuse(&'static self, request: &Request) -> Status {
        let want = &request.want;
        let capturing = want.stream.is_some_and(|stream| stream.is_capturing().unwrap_or(false));
        let status = match request.reason {
            TN_PRESSURE_LIMIT => TN_ERR_POOL_LIMIT,
            _ => self.ops().terms().refusal,
        };
        let said = self.out_of_memory(status, want);
        if !capturing {
            return said;
        }
        let name = self.name();
        fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "pool \"{}\" has no {} free bytes without pending work, and this stream cannot wait while a graph is captured on it; \
                 allocate before the capture, or trim other pools",
                name.as_str(),
                want.block.requested
            ),
        )
    }

    /// A request failed by what the upstream did.
    #[cold]
    fn failed(&'static self, mut state: LockedState, want: &Want, status: Status) -> Status {
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
