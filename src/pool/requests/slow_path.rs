//! Where a request's memory comes from: what the pool has, the device, and then the steps of PO-44, one at a time.
//!
//! Contract: no lock is held while the device is asked, a callback runs or other pools give something up. Whatever was tried, a request
//! that fails leaves nothing behind but what came for it, which is free then.

use super::{Open, refuse_retired};
use crate::error::{Result, Status};
use crate::pool::backing::huge::UNIT;
use crate::pool::backing::{Asked, huge};
use crate::pool::options::Settings;
use crate::pool::span::class;
use crate::pool::state::{Count, Kit, Piece, Placed, Segment, Want};
use crate::pool::{Pool, messages, thread_heap};
use crate::sys::os;
use crate::types::*;

/// How far a request that lacks memory went.
#[derive(Default)]
pub(in crate::pool) struct Ladder {
    /// Refusals of the device.
    pub refusals: u32,
    /// Times that threads were asked for what they keep.
    recalls: u32,
    /// Bytes that went back because more were about to come.
    exchanged: usize,
    /// The callback that was called last.
    pub heard: usize,
}

/// What came of one step.
pub(super) enum Relief {
    /// Ask again.
    Retry,
    /// Ask again for the least that serves.
    Shrink,
    /// There is no further step.
    None,
}

impl Pool {
    /// Memory for a want: from what the pool has, else from the device, else by the steps of PO-44 that a host has.
    pub(super) fn obtain(&'static self, mut want: Want, count: Count) -> Result<Placed> {
        if let Some(class) = want.class
            && self.has_heaps()
        {
            let (placed, heap) = thread_heap::allocate_collected(self, class, want.block, count.zeroed);
            if let Some(placed) = placed {
                if !count.allocation {
                    self.books.lock().uncount_hit(class, want.block);
                }
                return Ok(placed);
            }
            want.heap = heap;
        }
        {
            let mut books = self.books.lock();
            if !books.retired
                && let Some(placed) = books.place(self, &want)
            {
                books.count(&want, count, &placed, true);
                drop(books);
                self.ask_huge(&want, &placed);
                return Ok(placed);
            }
        }
        self.obtain_slow(want, count)
    }

    #[cold]
    #[inline(never)]
    fn obtain_slow(&'static self, mut want: Want, count: Count) -> Result<Placed> {
        let mut ladder = Ladder::default();
        let mut hit = true;
        loop {
            let Some(mut kit) = Kit::gather(want.class) else {
                return Err(self.out_of_memory(TN_ERR_NO_HOST_MEMORY, &want));
            };
            let mut books = self.books.lock();
            if books.retired {
                return Err(refuse_retired(books, want.block));
            }
            if let Some(placed) = books.place_cutting(self, &want, &mut kit) {
                books.count(&want, count, &placed, hit);
                // Time passes also for a pool that only allocates.
                self.settle(books, usize::MAX);
                self.ask_huge(&want, &placed);
                return Ok(placed);
            }
            let bytes = books.least(want.span_bytes);
            if books.over_limit(bytes) {
                // A whole span of small blocks does not fit, perhaps one for a single block does.
                let least = want.class.map_or(want.span_bytes, class::least_span_bytes);
                match self.relieve_limit(books, &want, &mut kit, &mut ladder, least) {
                    Relief::Retry => continue,
                    Relief::Shrink => want.span_bytes = least,
                    Relief::None => return Err(self.out_of_memory(TN_ERR_POOL_LIMIT, &want)),
                }
                continue;
            }
            if want.class.is_none()
                && let Some(piece) = books.evict_for_growth(want.span_bytes.saturating_sub(ladder.exchanged))
            {
                ladder.exchanged += piece.bytes;
                drop((self.give_back(books, piece), kit));
                continue;
            }
            let refusal = books.settings.terms.refusal;
            hit = false;
            let (books, piece) = self.grow(books, &want, bytes)?;
            if let Some(piece) = piece {
                let placed = self.place_fetched(books, piece, &want, &mut kit, count)?;
                self.ask_huge(&want, &placed);
                return Ok(placed);
            }
            drop((books, kit));
            if !self.relieve_device(&want, &mut ladder) {
                return Err(self.out_of_memory(refusal, &want));
            }
        }
    }

    /// Gets at least so many bytes for a want from the device, with addresses to grow into where the pool's step is longer; under no lock, and
    /// the books are as they are afterwards. None: the device has no memory.
    fn grow(&'static self, mut books: Open, want: &Want, bytes: usize) -> Result<(Open, Option<Piece>)> {
        let Settings { node, huge, terms, .. } = books.settings;
        let step = books.step(bytes);
        let coming = if terms.joins { bytes } else { step };
        books.coming += coming;
        books.busy += 1;
        books.figures.device_allocate_count += 1;
        // Large blocks begin where a huge page does, as long as that leaves few rests.
        let aligned = if want.span_bytes >= 2 * UNIT && huge != TN_HUGE_NEVER {
            want.span_alignment.max(UNIT)
        } else {
            want.span_alignment
        };
        let room =
            books.take_room(want.span_bytes, aligned).or_else(|| books.take_room(want.span_bytes, want.span_alignment));
        drop(books);
        let fetched = match room {
            Some(start) => Ok(self.commit(start, bytes)),
            None => self.fetch(Asked { bytes, alignment: aligned, step, node, huge }),
        };
        let mut books = self.books.lock();
        books.coming -= coming;
        books.busy -= 1;
        match fetched {
            Ok(piece) => Ok((books, piece)),
            Err(status) => Err(self.failed(books, want, status)),
        }
    }

    /// A block in memory that has just come. A pool that was retired meanwhile takes it all the same: the caller's hold may have been the
    /// handle that another thread released, and the block is given back like any other. What cannot be taken in goes back.
    pub(in crate::pool) fn place_fetched(
        &'static self,
        mut books: Open,
        piece: Piece,
        want: &Want,
        kit: &mut Kit,
        count: Count,
    ) -> Result<Placed> {
        if let Some(placed) = books.place_in(self, piece, want, kit) {
            books.count(want, count, &placed, false);
            self.settle(books, usize::MAX);
            return Ok(placed);
        }
        let (books, status) = self.unlocked(books, || {
            let status = self.send_back(piece.start, piece.bytes);
            piece.segment.into_iter().for_each(Segment::release);
            status
        });
        Err(self.failed(books, want, status))
    }

    /// Asks for huge pages where a fresh large block fills them (PH-11). The block is the caller's still.
    pub(super) fn ask_huge(&'static self, want: &Want, placed: &Placed) {
        if want.class.is_some() || want.unit < UNIT || placed.dirty >= want.unit {
            return;
        }
        let how = self.books.lock().settings.huge;
        let Some((start, bytes)) = huge::inside(placed.address + placed.dirty, placed.address + want.unit) else {
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
            let mut books = self.books.lock();
            books.figures.huge_bytes += (huge::mark(start, bytes, whole) * UNIT) as u64;
        }
    }

    /// What is done where the limit leaves no room, one step at a time (PO-44).
    pub(super) fn relieve_limit(
        &'static self,
        mut books: Open,
        want: &Want,
        kit: &mut Kit,
        ladder: &mut Ladder,
        least: usize,
    ) -> Relief {
        books.dissolve_empty(os::coarse_ms());
        let needed = books.least(want.span_bytes);
        if let Some(piece) = books.evict(needed, usize::MAX / 2, Some(kit)) {
            drop(self.give_back(books, piece));
            return Relief::Retry;
        }
        drop(books);
        // What threads keep must not starve anybody; they may take it back at once, so not for ever.
        ladder.recalls += 1;
        if self.free_ring() || ladder.recalls <= 3 && thread_heap::recall(self, true) {
            return Relief::Retry;
        }
        if least < want.span_bytes {
            return Relief::Shrink;
        }
        match self.relieve(want.span_bytes, TN_PRESSURE_LIMIT, &mut ladder.heard) {
            true => {
                // What was freed may lie with a thread now.
                ladder.recalls = 0;
                Relief::Retry
            }
            false => Relief::None,
        }
    }

    /// What is done where the device has no more, one step at a time (PO-44). False: nothing is left to be done.
    fn relieve_device(&'static self, want: &Want, ladder: &mut Ladder) -> bool {
        ladder.refusals += 1;
        match ladder.refusals {
            1 => {
                self.trim(0);
            }
            // What others have is not the upstream's.
            2 if !self.is_imported() => crate::reclaim::run(self.device()),
            _ => return self.relieve(want.span_bytes, TN_PRESSURE_DEVICE, &mut ladder.heard),
        }
        true
    }

    /// A request failed by what the upstream did.
    #[cold]
    pub(in crate::pool) fn failed(&'static self, mut books: Open, want: &Want, status: Status) -> Status {
        books.count_failure(want.block);
        self.settle(books, usize::MAX);
        status
    }

    #[cold]
    pub(in crate::pool) fn out_of_memory(&'static self, status: tn_status, want: &Want) -> Status {
        {
            let mut books = self.books.lock();
            books.figures.oom_count += 1;
            books.count_failure(want.block);
        }
        messages::out_of_memory(self, status, want)
    }
}
