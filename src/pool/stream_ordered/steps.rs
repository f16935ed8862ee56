//! Steps of the slow path that only stream-ordered pools have; how much these pools get from the device; and queries to
//! the driver about pending uses.
//! The order of the steps stands in `requests::policy`.
//!
//! Contract: the driver is asked and called under no lock; the host waits in `wait_on_host` alone. A step named `_once`
//! is tried once for each request.

use crate::device::host::GRANULE;
use crate::error::quietly;
use crate::pool::requests::{Request, StepOutcome, steps};
use crate::pool::span::range_map::RANGE_BYTES;
use crate::pool::span::stream_uses::Stream;
use crate::pool::state::growth::{BackingRequest, Growth};
use crate::pool::state::stream_lists::pending::PollRound;
use crate::pool::state::stream_lists::{LARGEST_IN_RANGE_BYTES, Points};
use crate::pool::state::{NewBlock, PoolState, Prealloc, Want};
use crate::pool::{Pool, each_pool};
use crate::sys::os;
use crate::types::*;
use core::sync::atomic::Ordering;

/// Pieces of the device: for blocks up to 1 MiB; for blocks up to 10 MiB; multiples of the first one above (PD-10).
const SMALL_PIECE_BYTES: usize = RANGE_BYTES;
const PIECE_BYTES: usize = 20 << 20;
const LARGEST_IN_PIECE_BYTES: usize = 10 << 20;
/// A pool of mapped memory that has this much grows in steps of the second size.
const LARGE_POOL_BYTES: usize = 128 << 20;
const LARGE_STEP_BYTES: usize = 32 << 20;

/// While free spans wait for being cleared: tries again to clear them.
pub(in crate::pool) fn clear_pending_once(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let first = !core::mem::replace(&mut request.progress.cleared_pending, true);
    let pending = first && pool.state.lock().needs_clearing_count() > 0;
    if pending {
        pool.clear_pending(usize::MAX);
    }
    StepOutcome::of(pending)
}

/// While pending spans would fit: asks the driver whether their work has passed.
pub(in crate::pool) fn poll_what_fits_once(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    if core::mem::replace(&mut request.progress.polled_what_fits, true) {
        return StepOutcome::NoEffect;
    }
    // Granules of any free span serve a large request where they can be mapped elsewhere.
    let any = pool.ops().terms().keeps && !request.want.is_in_range();
    let points = pool.state.lock().points((!any).then_some(&request.want));
    poll(&points);
    StepOutcome::of(points[0].is_some())
}

/// While anything is pending: asks the driver about a bounded part of it.
pub(in crate::pool) fn poll_some_once(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    StepOutcome::of(!core::mem::replace(&mut request.progress.polled_some, true) && pool.poll_some())
}

/// For a large request of a pool whose granules can be mapped anywhere: frees the addresses of free granules. The
/// growth of the request maps them again, side by side (PD-11). During a capture nothing is unmapped.
pub(in crate::pool) fn remap_free_granules_once(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let is_large = pool.ops().terms().keeps && !request.want.is_in_range();
    if core::mem::replace(&mut request.progress.remapped, true) || !is_large || !request.may_return(pool) {
        return StepOutcome::NoEffect;
    }
    let needed = pool.state.lock().least(request.want.span_bytes);
    let kept = pool.keep_free_granules(needed) > 0;
    if kept {
        pool.state.lock().is_fragmented = true;
    }
    StepOutcome::of(kept)
}

/// While a pending span would fit, and not in strict mode: the request's stream waits for it on the device (PD-4).
pub(in crate::pool) fn wait_on_device(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let strict = pool.flags.load(Ordering::Relaxed) & TN_POOL_STRICT != 0;
    StepOutcome::of(!strict && pool.wait_for_pending(&request.want, &mut request.prealloc))
}

/// As for host pools, but not during a capture, which a free of the driver may break.
pub(in crate::pool) fn return_cached_below_limit(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    if request.may_return(pool) { steps::return_cached_below_limit(pool, request) } else { StepOutcome::NoEffect }
}

/// After the first refusal: this pool, and then other pools and layers, return what they have cached. Not during a
/// capture.
pub(in crate::pool) fn trim_and_reclaim_elsewhere_once(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let first = request.may_return(pool) && !core::mem::replace(&mut request.progress.trimmed, true);
    if first {
        pool.trim(0);
        pool.ops().free_left_over();
        crate::reclaim::run(pool.device());
    }
    StepOutcome::of(first)
}

/// Before the request is refused: asks the driver about all pending uses, and searches all spans.
pub(in crate::pool) fn search_exhaustively_once(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    if core::mem::replace(&mut request.want.exhaustive, true) {
        return StepOutcome::NoEffect;
    }
    if pool.poll_all() || pool.state.lock().has_for(&request.want) {
        return StepOutcome::Retry;
    }
    wait_on_device(pool, request)
}

/// At last, before the program's pressure callbacks, while memory is only pending: the host waits for a pending span
/// that fits, then once for the known streams of the device. What no event ends stays pending: a wait for the whole
/// device would break the captures of other libraries, so only the program asks for one. Not in strict mode, and not
/// while the request's stream captures a graph.
pub(in crate::pool) fn wait_on_host(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let strict = pool.flags.load(Ordering::Relaxed) & TN_POOL_STRICT != 0;
    if strict || request.captures() {
        return StepOutcome::NoEffect;
    }
    let points = pool.state.lock().points(Some(&request.want));
    if points.into_iter().flatten().any(|point| !point.is_passed() && quietly(|| point.wait_for_event()).is_ok()) {
        return StepOutcome::Retry;
    }
    let device = pool.device();
    let mut pending = false;
    each_pool(|other| pending = pending || other.device() == device && other.has_pending());
    if !pending || core::mem::replace(&mut request.progress.outlasted_streams, true) {
        return StepOutcome::NoEffect;
    }
    outlast_streams(device);
    // What was pending can be taken, or goes back to the device.
    request.progress.trimmed = false;
    request.progress.polled_some = false;
    request.want.exhaustive = false;
    StepOutcome::Retry
}

#[cfg(not(preload))]
use crate::device::{captures, outlast_streams};

/// The library without devices has no stream-ordered pools.
#[cfg(preload)]
fn outlast_streams(_: tn_device) {}

#[cfg(preload)]
fn captures(_: tn_device) -> bool {
    false
}

impl Pool {
    /// Whether its memory must not go back to the driver now: a stream captures a graph, as far as the library may ask.
    /// What a driver does with captures when memory is unmapped or freed is documented nowhere. Asks the driver, under
    /// no lock.
    pub(in crate::pool) fn waits_for_captures(&'static self) -> bool {
        self.is_stream_ordered() && !self.ops().is_gone() && captures(self.device())
    }

    /// Whether freed memory waits for work of its device.
    fn has_pending(&self) -> bool {
        self.is_stream_ordered() && self.state.lock().figures.pending_bytes > 0
    }

    /// Takes a pending span that fits, and lets the request's stream wait on the device for its uses, so that the span
    /// is the stream's (PD-4). False: there is none, or the stream cannot wait.
    fn wait_for_pending(&'static self, want: &Want, prealloc: &mut Prealloc) -> bool {
        let Some(stream) = want.stream else { return false };
        let mut state = self.state.lock();
        state.merge_recents();
        let mut taken = state.take_pending(want, prealloc);
        if taken.is_none() && (state.dissolve_ranges() || state.open_pending_range(want, prealloc)) {
            taken = state.take_pending(want, prealloc);
        }
        let Some(span) = taken else { return false };
        state.busy += 1;
        drop(state);
        // Work in unknown streams has no end that a stream could wait for, although the legacy stream comes after some
        // of it.
        let mut waits = !span.uses.has_unknown_work();
        span.uses.each(|point| waits = waits && stream.wait_for(point).is_ok());
        let end = stream.end_of_use();
        let mut state = self.state.lock();
        state.busy -= 1;
        if waits {
            span.uses.set(end);
        }
        state.set_free_ordered(span, os::coarse_ms());
        waits
    }

    /// Asks the driver about a bounded part of what is pending, and lists what has passed. False: nothing has.
    fn poll_some(&'static self) -> bool {
        let mut any = self.clear_pending(usize::MAX);
        let mut state = self.state.lock();
        any |= state.collect_passed(os::coarse_ms());
        let points = state.points(None);
        state.busy += 1;
        drop(state);
        poll(&points);
        let mut state = self.state.lock();
        any |= state.collect_passed(os::coarse_ms());
        state.busy -= 1;
        any
    }

    /// Asks the driver about everything that is pending, and lists what has passed. False: nothing has.
    pub(in crate::pool) fn poll_all(&'static self) -> bool {
        let mut any = self.clear_pending(usize::MAX);
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
            poll(&points);
            state = self.state.lock();
        }
        state.busy -= 1;
        any
    }
}

/// Asks the driver about points.
fn poll(points: &Points) {
    let mut points = *points;
    // The earliest first: if that has not passed, nothing behind it on its stream has.
    points
        .sort_unstable_by_key(|point| point.map(|point| (core::ptr::from_ref(point.stream()) as usize, point.tick())));
    let mut pending: Option<&'static Stream> = None;
    for point in points.iter().flatten() {
        if pending != Some(point.stream()) && !point.poll() {
            pending = Some(point.stream());
        }
    }
}

impl PoolState {
    /// A block from what is free, after spans whose uses have passed were listed for all streams.
    pub fn take_passed_block(&mut self, want: &Want, prealloc: &mut Prealloc) -> Option<NewBlock> {
        if let Some(block) = self.take_block_for_stream(want, Some(prealloc)) {
            return Some(block);
        }
        if self.collect_passed(os::coarse_ms()) { self.take_block_for_stream(want, Some(prealloc)) } else { None }
    }

    /// What to get from the device for a request that finds nothing: a piece that serves more requests of its kind,
    /// or a growth step. Just what is needed if the limit has no room for that.
    pub fn plan_piece(&mut self, want: &Want) -> Growth {
        let bytes = self.least(want.span_bytes);
        let step = self.piece_bytes(want);
        let step = if self.over_limit(step) { bytes } else { step };
        let alignment = want.span_alignment.max(GRANULE);
        let node = self.settings.node;
        Growth {
            backing: BackingRequest { bytes, alignment, step, node, huge: TN_HUGE_NEVER, stream: want.stream },
            coming_bytes: step,
            reserved: None,
        }
    }

    fn piece_bytes(&mut self, want: &Want) -> usize {
        let least = want.span_bytes.next_multiple_of(GRANULE);
        if self.settings.flags & TN_POOL_DIRECT != 0 {
            return self.least(least);
        }
        let usual = match least {
            // Mapped memory grows in place, and a larger pool in large granules.
            bytes if self.settings.terms.keeps => {
                let is_large = self.figures.reserved_bytes >= LARGE_POOL_BYTES as u64;
                self.is_fragmented = self.is_fragmented && self.figures.reserved_bytes > 0;
                let by_granules = is_large && !self.is_fragmented && want.block_bytes > LARGEST_IN_RANGE_BYTES;
                self.least(if by_granules { bytes.next_multiple_of(LARGE_STEP_BYTES) } else { bytes })
            }
            // The driver keeps what is freed, for all sizes.
            bytes if self.settings.terms.in_order && want.block_bytes > LARGEST_IN_RANGE_BYTES => bytes,
            _ if want.block_bytes <= LARGEST_IN_RANGE_BYTES => SMALL_PIECE_BYTES,
            bytes if bytes <= LARGEST_IN_PIECE_BYTES => PIECE_BYTES,
            bytes => bytes.checked_next_multiple_of(SMALL_PIECE_BYTES).unwrap_or(bytes),
        };
        let growth = (self.figures.reserved_bytes as f64 * (self.settings.growth - 1.0)) as usize;
        let growth = growth.checked_next_multiple_of(SMALL_PIECE_BYTES).unwrap_or(usual);
        usual.max(growth).min(self.settings.max_growth.next_multiple_of(GRANULE)).max(self.least(least))
    }
}

/// Returns memory of released pools whose work has finished meanwhile, and clears what could not be cleared yet.
pub fn collect() {
    each_pool(|pool| {
        if pool.is_retired() {
            pool.poll_all();
            pool.enforce_threshold(pool.state.lock(), 0);
        } else {
            pool.clear_pending(usize::MAX);
        }
    });
}
