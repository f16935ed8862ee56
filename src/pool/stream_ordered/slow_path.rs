//! A request that finds nothing climbs: it asks about what may have passed; gets a piece from the device; and where there is none, or a limit
//! is reached, asks about every queue, lets its queue wait for what is pending (not in strict mode), gives back what is cached and asks
//! others to, looks at everything that there is, and calls who wants to be called (PO-44). Each step is followed by another look.
//!
//! Contract: the driver is asked and called under no lock; the host waits for nothing.

use crate::device::host::GRANULE;
use crate::error::{Result, Status, fail};
use crate::pool::backing::Asked;
use crate::pool::requests::Ladder;
use crate::pool::span::range_map::RANGE;
use crate::pool::state::stream_lists::pending::Sweep;
use crate::pool::state::stream_lists::{LARGEST_FINE, Points};
use crate::pool::state::{Books, Count, Kit, Placed, Want};
use crate::pool::{Pool, each_pool, requests};
use crate::sys::os;
use crate::types::*;
use core::sync::atomic::Ordering;

/// Pieces of the device: for blocks up to 1 MiB; for those up to 10 MiB; multiples of the first above (PD-10).
const SMALL_PIECE: usize = RANGE;
const PIECE: usize = 20 << 20;
const LARGEST_IN_PIECE: usize = 10 << 20;

/// How far a request went.
#[derive(Default)]
struct Climb {
    /// It tried to clear what was left uncleared.
    cleared: bool,
    /// It asked about what fits.
    asked: bool,
    /// It asked about all queues, as far as one step goes.
    asked_many: bool,
    ladder: Ladder,
}

impl Pool {
    pub(super) fn obtain_climbing(&'static self, mut want: Want, count: Count) -> Result<Placed> {
        let mut climb = Climb::default();
        let mut hit = true;
        loop {
            let Some(mut kit) = Kit::gather_ordered() else {
                return Err(self.out_of_memory(TN_ERR_NO_HOST_MEMORY, &want));
            };
            let mut books = self.books.lock();
            if books.retired {
                return Err(requests::refuse_retired(books, want.block));
            }
            if let Some(placed) = self.place_now(&mut books, &want, &mut kit) {
                books.count(&want, count, &placed, hit);
                self.settle(books, usize::MAX);
                return Ok(placed);
            }
            if !core::mem::replace(&mut climb.cleared, true) && books.uncleared() > 0 {
                drop((books, kit));
                self.clear_left(usize::MAX);
                continue;
            }
            if !core::mem::replace(&mut climb.asked, true) {
                let points = books.points(Some(&want));
                drop((books, kit));
                ask(&points);
                continue;
            }
            let least = want.span_bytes.next_multiple_of(GRANULE);
            let step = books.piece_for(&want);
            let step = if books.over_limit(step) { least } else { step };
            if books.over_limit(least) {
                drop(books);
                match self.relieve_ordered(&mut want, &mut climb, &mut kit, TN_PRESSURE_LIMIT) {
                    true => continue,
                    false => return Err(self.refuse_ordered(TN_ERR_POOL_LIMIT, &want)),
                }
            }
            let Settled { node, refusal } = Settled::of(&books);
            books.coming += step;
            books.busy += 1;
            books.figures.device_allocate_count += 1;
            drop(books);
            hit = false;
            let asked =
                Asked { bytes: least, alignment: want.span_alignment.max(GRANULE), step, node, huge: TN_HUGE_NEVER };
            let fetched = self.fetch(asked);
            let mut books = self.books.lock();
            books.coming -= step;
            books.busy -= 1;
            match fetched {
                Ok(Some(piece)) => return self.place_fetched(books, piece, &want, &mut kit, count),
                Ok(None) => {}
                Err(status) => return Err(self.failed(books, &want, status)),
            }
            drop(books);
            if !self.relieve_ordered(&mut want, &mut climb, &mut kit, TN_PRESSURE_DEVICE) {
                return Err(self.refuse_ordered(refusal, &want));
            }
        }
    }

    /// A block from what is there, once what has passed is where anybody may have it.
    fn place_now(&self, books: &mut Books, want: &Want, kit: &mut Kit) -> Option<Placed> {
        if let Some(placed) = books.place_ordered(want, Some(kit)) {
            return Some(placed);
        }
        if books.harvest(os::coarse_ms()) { books.place_ordered(want, Some(kit)) } else { None }
    }

    /// One step of those that make room (PO-44). False: nothing is left to be done.
    fn relieve_ordered(&'static self, want: &mut Want, climb: &mut Climb, kit: &mut Kit, reason: i32) -> bool {
        if !core::mem::replace(&mut climb.asked_many, true) && self.ask_many() {
            return true;
        }
        self.free_ring();
        if self.flags.load(Ordering::Relaxed) & TN_POOL_STRICT == 0 && self.wait_on_device(want, kit) {
            return true;
        }
        if reason == TN_PRESSURE_LIMIT {
            let mut books = self.books.lock();
            let needed = want.span_bytes.next_multiple_of(GRANULE);
            if let Some(piece) = books.evict(needed, usize::MAX / 2, None) {
                drop(self.give_back(books, piece));
                return true;
            }
        } else {
            climb.ladder.refusals += 1;
            if climb.ladder.refusals == 1 {
                self.trim(0);
                crate::reclaim::run(self.device());
                return true;
            }
        }
        if !want.thorough && self.look_thoroughly(want, kit) {
            return true;
        }
        let heard = self.relieve(want.span_bytes, reason, &mut climb.ladder.heard);
        climb.asked_many &= !heard;
        want.thorough &= !heard;
        heard
    }

    /// Lets the want's queue wait on the device for a pending span that fits, which is its own then (PD-4). False: there is none, or it
    /// cannot wait.
    fn wait_on_device(&'static self, want: &Want, kit: &mut Kit) -> bool {
        let Some(queue) = want.queue else { return false };
        let mut books = self.books.lock();
        books.merge_recents();
        let mut taken = books.take_pending(want, kit);
        if taken.is_none() && (books.dissolve_ranges() || books.open_pending_range(want, kit)) {
            taken = books.take_pending(want, kit);
        }
        let Some(span) = taken else { return false };
        books.busy += 1;
        drop(books);
        let mut waits = true;
        span.uses.each(|point| waits = waits && queue.wait_for(point).is_ok());
        let mut books = self.books.lock();
        books.busy -= 1;
        if waits {
            span.uses.set(queue.now());
        }
        books.set_free_ordered(span, os::coarse_ms());
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
    fn ask_many(&'static self) -> bool {
        let mut any = self.clear_left(usize::MAX);
        let mut books = self.books.lock();
        any |= books.harvest(os::coarse_ms());
        let points = books.points(None);
        books.busy += 1;
        drop(books);
        ask(&points);
        let mut books = self.books.lock();
        any |= books.harvest(os::coarse_ms());
        books.busy -= 1;
        any
    }

    /// The same about everything, however much it is.
    pub(in crate::pool) fn ask_all(&'static self) -> bool {
        if !self.is_ordered() {
            return false;
        }
        let mut any = self.clear_left(usize::MAX);
        let mut sweep = Sweep::default();
        let mut books = self.books.lock();
        books.busy += 1;
        loop {
            any |= books.harvest(os::coarse_ms());
            let points = books.more_points(&mut sweep);
            if points[0].is_none() {
                break;
            }
            drop(books);
            ask(&points);
            books = self.books.lock();
        }
        books.busy -= 1;
        any
    }

    /// Asks about everything and looks at everything, before a want is refused. False: there is no more than before.
    fn look_thoroughly(&'static self, want: &mut Want, kit: &mut Kit) -> bool {
        want.thorough = true;
        if self.ask_all() || self.books.lock().has_for(want) {
            return true;
        }
        self.flags.load(Ordering::Relaxed) & TN_POOL_STRICT == 0 && self.wait_on_device(want, kit)
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
    fn of(books: &Books) -> Settled {
        Settled { node: books.settings.node, refusal: books.settings.terms.refusal }
    }
}

impl Books {
    /// Bytes to ask the device for where a want finds nothing: a piece that serves more of its kind, or a step of the pool's growth.
    fn piece_for(&self, want: &Want) -> usize {
        let least = want.span_bytes.next_multiple_of(GRANULE);
        if self.settings.flags & TN_POOL_DIRECT != 0 {
            return least;
        }
        let usual = match least {
            _ if want.unit <= LARGEST_FINE => SMALL_PIECE,
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
            pool.ask_all();
            pool.settle(pool.books.lock(), 0);
        } else {
            pool.clear_left(usize::MAX);
        }
    });
}
