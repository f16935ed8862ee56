//! A request that finds nothing climbs: it asks about what may have passed; gets a piece from the device; and where there is none, or a limit
//! is reached, asks about every queue, lets its queue wait for what is pending (not in strict mode), gives back what is cached and asks
//! others to, looks at everything that there is, and calls who wants to be called (PO-44). Each step is followed by another look.
//!
//! Contract: the driver is asked and called under no lock; the host waits for nothing.

use crate::device::host::GRANULE;
use crate::error::{Result, Status, fail};
use crate::pool::backing::BackingRequest;
use crate::pool::requests::ReclaimProgress;
use crate::pool::span::range_map::RANGE_BYTES;
use crate::pool::state::stream_lists::pending::PollRound;
use crate::pool::state::stream_lists::{LARGEST_IN_RANGE_BYTES, Points};
use crate::pool::state::{Count, NewBlock, PoolState, Prealloc, Want};
use crate::pool::{Pool, each_pool, requests};
use crate::sys::os;
use crate::types::*;
use core::sync::atomic::Ordering;

/// Pieces of the device: for blocks up to 1 MiB; for those up to 10 MiB; multiples of the first above (PD-10).
const SMALL_PIECE: usize = RANGE_BYTES;
const PIECE: usize = 20 << 20;
const LARGEST_IN_PIECE: usize = 10 << 20;

/// How far a request went.
#[derive(Default)]
struct StreamProgress {
    /// It tried to clear what was left needs_clearing.
    cleared: bool,
    /// It asked about what fits.
    asked: bool,
    /// It asked about all queues, as far as one step goes.
    asked_many: bool,
    progress: ReclaimProgress,
}

impl Pool {
    pub(super) fn take_ordered_slow(&'static self, mut want: Want, count: Count) -> Result<NewBlock> {
        let mut stream_progress = StreamProgress::default();
        let mut hit = true;
        loop {
            let Some(mut prealloc) = Prealloc::for_stream_ordered() else {
                return Err(self.out_of_memory(TN_ERR_NO_HOST_MEMORY, &want));
            };
            let mut state = self.state.lock();
            if state.retired {
                return Err(requests::refuse_retired(state, want.block));
            }
            if let Some(placed) = self.take_block_now(&mut state, &want, &mut prealloc) {
                state.count(&want, count, &placed, hit);
                self.enforce_threshold(state, usize::MAX);
                return Ok(placed);
            }
            if !core::mem::replace(&mut stream_progress.cleared, true) && state.needs_clearing_count() > 0 {
                drop((state, prealloc));
                self.clear_left(usize::MAX);
                continue;
            }
            if !core::mem::replace(&mut stream_progress.asked, true) {
                let points = state.points(Some(&want));
                drop((state, prealloc));
                ask(&points);
                continue;
            }
            let least = want.span_bytes.next_multiple_of(GRANULE);
            let step = state.piece_for(&want);
            let step = if state.over_limit(step) { least } else { step };
            if state.over_limit(least) {
                drop(state);
                match self.relieve_ordered(&mut want, &mut stream_progress, &mut prealloc, TN_PRESSURE_LIMIT) {
                    true => continue,
                    false => return Err(self.refuse_ordered(TN_ERR_POOL_LIMIT, &want)),
                }
            }
            let Settled { node, refusal } = Settled::of(&state);
            state.coming += step;
            state.busy += 1;
            state.figures.device_allocate_count += 1;
            drop(state);
            hit = false;
            let asked = BackingRequest {
                bytes: least,
                alignment: want.span_alignment.max(GRANULE),
                step,
                node,
                huge: TN_HUGE_NEVER,
            };
            let fetched = self.fetch(asked);
            let mut state = self.state.lock();
            state.coming -= step;
            state.busy -= 1;
            match fetched {
                Ok(Some(piece)) => return self.take_block_fetched(state, piece, &want, &mut prealloc, count),
                Ok(None) => {}
                Err(status) => return Err(self.failed(state, &want, status)),
            }
            drop(state);
            if !self.relieve_ordered(&mut want, &mut stream_progress, &mut prealloc, TN_PRESSURE_DEVICE) {
                return Err(self.refuse_ordered(refusal, &want));
            }
        }
    }

    /// A block from what is there, once what has passed is where anybody may have it.
    fn take_block_now(&self, state: &mut PoolState, want: &Want, prealloc: &mut Prealloc) -> Option<NewBlock> {
        if let Some(placed) = state.take_block_for_stream(want, Some(prealloc)) {
            return Some(placed);
        }
        if state.collect_passed(os::coarse_ms()) { state.take_block_for_stream(want, Some(prealloc)) } else { None }
    }

    /// One step of those that make room (PO-44). False: nothing is left to be done.
    fn relieve_ordered(
        &'static self,
        want: &mut Want,
        stream_progress: &mut StreamProgress,
        prealloc: &mut Prealloc,
        reason: i32,
    ) -> bool {
        if !core::mem::replace(&mut stream_progress.asked_many, true) && self.poll_some() {
            return true;
        }
        self.free_ring();
        if self.flags.load(Ordering::Relaxed) & TN_POOL_STRICT == 0 && self.wait_on_device(want, prealloc) {
            return true;
        }
        if reason == TN_PRESSURE_LIMIT {
            let mut state = self.state.lock();
            let needed = want.span_bytes.next_multiple_of(GRANULE);
            if let Some(piece) = state.evict(needed, usize::MAX / 2, None) {
                drop(self.give_back(state, piece));
                return true;
            }
        } else {
            stream_progress.progress.refusals += 1;
            if stream_progress.progress.refusals == 1 {
                self.trim(0);
                crate::reclaim::run(self.device());
                return true;
            }
        }
        if !want.exhaustive && self.look_exhaustively(want, prealloc) {
            return true;
        }
        let heard = self.call_listeners(want.span_bytes, reason, &mut stream_progress.progress.heard);
        stream_progress.asked_many &= !heard;
        want.exhaustive &= !heard;
        heard
    }

    /// Lets the want's queue wait on the device for a pending span that fits, which is its own then (PD-4). False: there is none, or it
    /// cannot wait.
    fn wait_on_device(&'static self, want: &Want, prealloc: &mut Prealloc) -> bool {
        let Some(queue) = want.queue else { return false };
        let mut state = self.state.lock();
        state.merge_recents();
        let mut taken = state.take_pending(want, prealloc);
        if taken.is_none() && (state.dissolve_ranges() || state.open_pending_range(want, prealloc)) {
            taken = state.take_pending(want, prealloc);
        }
        let Some(span) = taken else { return false };
        state.busy += 1;
        drop(state);
        let mut waits = true;
        span.uses.each(|point| waits = waits && queue.wait_for(point).is_ok());
        let mut state = self.state.lock();
        state.busy -= 1;
        if waits {
            span.uses.set(queue.now());
        }
        state.set_free_ordered(span, os::coarse_ms());
        waits
    }

    /// The status of a request that found nothing: while its stream captures a graph, that this is why (PD-15).
    #[cold]
    fn refuse_ordered(&'static self, status: tn_status, want: &Want) -> Status {
        let capturing = want.queue.is_some_and(|queue| queue.is_capturing().unwrap_or(false));
        let said = self.out_of_memory(status, want);
        if !capturing {
            return said;
        }
        let name = self.name();
        fail(
            TN_ERR_UNSUPPORTED,
            format_args!(
                "pool \"{}\" has no {} bytes that are finished, and a graph is being captured on this stream, which cannot wait; \
                 allocate before the capture, or trim other pools",
                name.as_str(),
                want.block.requested
            ),
        )
    }

    /// Asks about what is pending, as far as one step goes, and sorts out what has passed. False: nothing has.
    fn poll_some(&'static self) -> bool {
        let mut any = self.clear_left(usize::MAX);
        let mut state = self.state.lock();
        any |= state.collect_passed(os::coarse_ms());
        let points = state.points(None);
        state.busy += 1;
        drop(state);
        ask(&points);
        let mut state = self.state.lock();
        any |= state.collect_passed(os::coarse_ms());
        state.busy -= 1;
        any
    }

    /// The same about everything, however much it is.
    pub(in crate::pool) fn poll_all(&'static self) -> bool {
        if !self.is_ordered() {
            return false;
        }
        let mut any = self.clear_left(usize::MAX);
        let mut round = PollRound::default();
        let mut state = self.state.lock();
        state.busy += 1;
        loop {
            any |= state.collect_passed(os::coarse_ms());
            let points = state.more_points(&mut round);
            if points[0].is_none() {
                break;
            }
            drop(state);
            ask(&points);
            state = self.state.lock();
        }
        state.busy -= 1;
        any
    }

    /// Asks about everything and looks at everything, before a want is refused. False: there is no more than before.
    fn look_exhaustively(&'static self, want: &mut Want, prealloc: &mut Prealloc) -> bool {
        want.exhaustive = true;
        if self.poll_all() || self.state.lock().has_for(want) {
            return true;
        }
        self.flags.load(Ordering::Relaxed) & TN_POOL_STRICT == 0 && self.wait_on_device(want, prealloc)
    }
}

/// Asks the driver about points.
fn ask(points: &Points) {
    for point in points.iter().flatten() {
        point.poll();
    }
}

/// What a fetch needs of the settings.
struct Settled {
    node: u32,
    refusal: tn_status,
}

impl Settled {
    fn of(state: &PoolState) -> Settled {
        Settled { node: state.settings.node, refusal: state.settings.terms.refusal }
    }
}

impl PoolState {
    /// Bytes to ask the device for where a want finds nothing: a piece that serves more of its kind, or a step of the pool's growth.
    fn piece_for(&self, want: &Want) -> usize {
        let least = want.span_bytes.next_multiple_of(GRANULE);
        if self.settings.flags & TN_POOL_DIRECT != 0 {
            return least;
        }
        let usual = match least {
            _ if want.block_bytes <= LARGEST_IN_RANGE_BYTES => SMALL_PIECE,
            bytes if bytes <= LARGEST_IN_PIECE => PIECE,
            bytes => bytes.checked_next_multiple_of(SMALL_PIECE).unwrap_or(bytes),
        };
        let growth = (self.figures.reserved_bytes as f64 * (self.settings.growth - 1.0)) as usize;
        let growth = growth.checked_next_multiple_of(SMALL_PIECE).unwrap_or(usual);
        usual.max(growth).min(self.settings.max_growth.next_multiple_of(GRANULE)).max(least)
    }
}

/// What was given back to pools that were released, and is finished by now, goes back to the device; what others could not clear yet is
/// cleared.
pub fn collect() {
    each_pool(|pool| {
        if pool.is_ordered() && pool.is_retired() {
            pool.poll_all();
            pool.enforce_threshold(pool.state.lock(), 0);
        } else {
            pool.clear_left(usize::MAX);
        }
    });
}
