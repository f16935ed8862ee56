//! Steps of the slow path that free memory: those of host pools, and those that all pools share. `policy` lists which
//! pools try which steps, in order.
//!
//! Contract: a step runs under no lock, and says whether it changed something. A step named `_once` is tried once for
//! each request.

use super::request::{Request, StepOutcome};
use crate::pool::backing::huge;
use crate::pool::state::Prealloc;
use crate::pool::state::growth::RoomBehind;
use crate::pool::{Pool, thread_heap};
use crate::sys::os;

/// How often one request reclaims memory from threads, or frees what strict mode holds back. Threads may allocate it
/// again at once, so the number is bounded.
const MOST_TRIES: u32 = 3;
/// Requests from this size on extend free spans: a call of the system for smaller ones costs more than their page
/// faults.
const LEAST_EXTENDED_BYTES: usize = 1 << 20;
/// As many free spans are tried, behind which something else may lie.
const MOST_EXTENSIONS: usize = 4;

/// While the thread keeps large blocks, none of which suits: makes them free, so that the pool does not grow beside
/// them.
pub(super) fn give_up_kept_blocks(pool: &'static Pool, _: &mut Request) -> StepOutcome {
    StepOutcome::of(pool.has_heaps() && thread_heap::give_up_large(pool))
}

/// For a large request: gets what is missing behind a large free span, in exchange for other free memory.
pub(super) fn extend_free_span_once(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let want = &request.want;
    let is_first = !core::mem::replace(&mut request.progress.tried_to_extend, true);
    if !is_first || want.class.is_some() || want.span_bytes < LEAST_EXTENDED_BYTES || !pool.is_plain_host() {
        return StepOutcome::NoEffect;
    }
    let Some(mut prealloc) = Prealloc::for_request(None) else { return StepOutcome::NoEffect };
    let mut state = pool.state.lock();
    if state.retired || state.over_limit(want.span_bytes) {
        return StepOutcome::NoEffect;
    }
    let (mut tries, mut found) = (0, None);
    while found.is_none() && tries < MOST_EXTENSIONS && !state.retired {
        let Some(room) = state.room_behind(want, os::coarse_ms()) else { break };
        tries += 1;
        let RoomBehind { start, bytes, reserved, in_huge_pages } = room;
        let (node, how) = (state.settings.node, state.settings.huge);
        state.coming_bytes += bytes;
        let (after, piece) = pool.unlocked(state, || {
            let piece = pool.map_behind(room, node, how)?;
            if in_huge_pages && let Some((start, bytes)) = huge::inside(piece.start, piece.start + piece.bytes) {
                let huge_bytes = pool.make_huge(start, bytes, how);
                pool.state.lock().figures.huge_bytes += huge_bytes;
            }
            pool.move_free_pages(piece, want, request.count)
        });
        state = after;
        state.coming_bytes -= bytes;
        found = piece.map(|piece| (piece, bytes));
        if found.is_none() && !reserved {
            state.note_foreign(start, os::coarse_ms());
        }
    }
    let Some((piece, bytes)) = found else {
        if tries > 0 {
            pool.enforce_threshold(state, usize::MAX);
        }
        return StepOutcome::NoEffect;
    };
    state.figures.device_allocate_count += 1;
    request.progress.has_extended = true;
    request.progress.to_return += bytes.saturating_sub(piece.dirty);
    if !state.add_free(pool, piece, &mut prealloc, os::coarse_ms()) {
        drop(pool.give_back(state, piece));
    }
    StepOutcome::Retry
}

/// For a large request while more free memory is cached than growth should add to (T5), in pools whose pages cannot be
/// moved: returns some of it to the device.
pub(super) fn return_cached_before_growth(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let want = &request.want;
    if want.class.is_some() || pool.is_plain_host() {
        return StepOutcome::NoEffect;
    }
    let mut state = pool.state.lock();
    if state.over_limit(state.least(want.span_bytes)) {
        return StepOutcome::NoEffect;
    }
    let most = want.span_bytes.saturating_sub(request.progress.exchanged_bytes);
    let piece = state.evict_for_growth(most, want.span_bytes, os::coarse_ms());
    let Some(piece) = piece else { return StepOutcome::NoEffect };
    request.progress.exchanged_bytes += piece.bytes;
    drop(pool.give_back(state, piece));
    StepOutcome::Retry
}

/// While free memory is cached that does not fit: returns as much of it as the request needs below the limit.
pub(in crate::pool) fn return_cached_below_limit(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let mut state = pool.state.lock();
    state.dissolve_empty(os::coarse_ms());
    let needed = state.least(request.want.span_bytes);
    let Some(piece) = state.evict(needed, usize::MAX / 2, Some(&mut request.prealloc)) else {
        return StepOutcome::NoEffect;
    };
    drop(pool.give_back(state, piece));
    StepOutcome::Retry
}

/// While strict mode holds freed blocks back: makes them free.
pub(super) fn free_held_back(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    request.progress.held_back_frees += 1;
    StepOutcome::of(request.progress.held_back_frees <= MOST_TRIES && pool.free_ring())
}

/// While threads keep free memory: takes it back.
pub(super) fn reclaim_from_threads(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    request.progress.thread_reclaims += 1;
    StepOutcome::of(request.progress.thread_reclaims <= MOST_TRIES && thread_heap::reclaim_from_threads(pool, true))
}

/// For a small block while a whole span of its class would exceed the limit: requests a span of one block.
pub(super) fn shrink_request(_: &'static Pool, request: &mut Request) -> StepOutcome {
    let least = request.least_span_bytes();
    let shrinks = least < request.want.span_bytes;
    request.want.span_bytes = least.min(request.want.span_bytes);
    StepOutcome::of(shrinks)
}

/// After the first refusal: returns everything that this pool has cached.
pub(super) fn trim_once(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let first = !core::mem::replace(&mut request.progress.trimmed, true);
    if first {
        pool.trim(0);
    }
    StepOutcome::of(first)
}

/// After trimming did not suffice: other pools and layers return what they have cached. The memory of an upstream is
/// not theirs.
pub(super) fn reclaim_elsewhere_once(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let first = !core::mem::replace(&mut request.progress.reclaimed_elsewhere, true) && !pool.is_imported();
    if first {
        crate::reclaim::run(pool.device());
    }
    StepOutcome::of(first)
}

/// At last: drops buffers that are kept for later use, and calls the program's pressure callbacks, until one says that
/// it freed something. What it freed may lie anywhere, so the other steps may help again.
pub(in crate::pool) fn call_listeners(pool: &'static Pool, request: &mut Request) -> StepOutcome {
    let freed = pool.drop_spares()
        || pool.call_listeners(request.want.span_bytes, request.reason, &mut request.progress.last_listener);
    if freed {
        request.progress.thread_reclaims = 0;
        request.progress.held_back_frees = 0;
        request.progress.polled_some = false;
        request.want.exhaustive = false;
    }
    StepOutcome::of(freed)
}
