//! Pools on whose blocks devices work: requests, uses, and blocks that come back before the work on them is done.
//!
//! Contract: `books::lanes` says what may be handed out to whom; what asks the driver happens here, under no lock. The host waits for nothing.
//!
//! A request that finds nothing climbs: it asks about what may have passed; gets a piece from the device; and where there is none, or a limit
//! is reached, asks about everything, lets its queue wait for what is pending (not in strict mode), gives back what is cached and asks
//! others to, and calls who wants to be called (PO-44). Each step is followed by another look.

use crate::device::host::GRANULE;
use crate::error::{Result, Status, fail};
use crate::pool::blocks::{self, Count, Ladder, Open};
use crate::pool::books::lanes::{LARGEST_FINE, Lane, Points};
use crate::pool::books::{Books, Kit, Placed, Segment, Want};
use crate::pool::cell::{Block, State};
use crate::pool::client::Client;
use crate::pool::fine::{RANGE, UNIT};
use crate::pool::span::Span;
use crate::pool::supply::Asked;
use crate::pool::text::Misuse;
use crate::pool::uses::{Home, Point, Queue, Use};
use crate::pool::{HOST, Pool, each_pool, table};
use crate::stream;
use crate::sys::os;
use crate::thread;
use crate::types::*;
use core::sync::atomic::Ordering;

/// Pieces of the device: for blocks up to 1 MiB; for those up to 10 MiB; multiples of the first above (PD-10).
const SMALL_PIECE: usize = RANGE;
const PIECE: usize = 20 << 20;
const LARGEST_IN_PIECE: usize = 10 << 20;

/// How far a request went.
#[derive(Default)]
struct Climb {
    /// It asked about what fits.
    asked: bool,
    /// It asked about everything.
    asked_all: bool,
    ladder: Ladder,
}

impl Pool {
    /// Whether devices work on its blocks.
    #[inline]
    pub fn is_ordered(&self) -> bool {
        self.ordered.load(Ordering::Relaxed)
    }

    /// The device whose streams its calls take; the host's where none works on its blocks.
    pub fn place(&self) -> tn_device {
        if self.is_ordered() { self.device() } else { HOST }
    }

    /// The queue that a request of this pool means: on memory that the host cannot touch there is no "now" (PD-9).
    fn queue_of(&self, queue: Option<&'static Queue>) -> Result<Option<&'static Queue>> {
        if queue.is_some() || !self.is_ordered() || self.touch.load(Ordering::Relaxed) {
            return Ok(queue);
        }
        stream::current(self.device()).map(Some)
    }

    /// TN_ERR_DEVICE in the child of a process that made the pool on a device (PO-59).
    pub fn check_process(&self) -> Result<()> {
        if !self.is_ordered() || self.forks.load(Ordering::Relaxed) == thread::forks() {
            return Ok(());
        }
        Err(self.refuse_child())
    }

    #[cold]
    fn refuse_child(&self) -> Status {
        let name = self.name();
        fail(
            TN_ERR_DEVICE,
            format_args!(
                "pool \"{}\" lives on a device of the process that this one was forked from; \
                 use devices in a process that was started anew",
                name.as_str()
            ),
        )
    }

    /// Gives a queue its lane here. Without memory for it the pool works on, and what the queue used is found more slowly.
    fn ensure_lane(&'static self, queue: &'static Queue) {
        let has = self.books.lock().has_lane(queue);
        if !has && let Some(lane) = Lane::create(queue) {
            let rest = self.books.lock().add_lane(queue, Some(lane));
            rest.into_iter().for_each(Lane::release);
        }
    }

    // ---- requests ----

    /// A raw block that a client will use first on a queue; None: on the host, now, or where the host cannot, on the thread's current one.
    pub fn allocate_raw_on(
        &'static self,
        queue: Option<&'static Queue>,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        stamp: u64,
    ) -> Result<core::ptr::NonNull<u8>> {
        if !self.is_ordered() {
            return self.allocate_raw(bytes, alignment, zeroed, stamp);
        }
        self.request_ordered(queue, bytes, alignment, zeroed, State::Raw, Client::RAW.tag(stamp)).map(|made| made.0)
    }

    /// A block for the store with that tag, and what others than the queue have to wait for before they touch it.
    pub fn allocate_store_on(
        &'static self,
        queue: Option<&'static Queue>,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        owner: u64,
    ) -> Result<(core::ptr::NonNull<u8>, Option<Point>)> {
        if !self.is_ordered() {
            return self.allocate(bytes, alignment, zeroed, owner).map(|block| (block, None));
        }
        self.request_ordered(queue, bytes, alignment, zeroed, State::Store, owner)
    }

    pub(super) fn request_ordered(
        &'static self,
        queue: Option<&'static Queue>,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        state: State,
        tag: u64,
    ) -> Result<(core::ptr::NonNull<u8>, Option<Point>)> {
        let alignment = self.alignment_of(alignment, Block { state, alignment: 8, requested: bytes, tag })?;
        self.check_process()?;
        let mut queue = self.queue_of(queue)?;
        if zeroed && self.touch.load(Ordering::Relaxed) {
            // The host clears it now, so nobody may use it still.
            queue = None;
        }
        let block = Block { state, alignment, requested: bytes, tag };
        let placed = self.take_ordered(queue, bytes, block, Count { allocation: true, zeroed: false })?;
        let mut ready = placed.ready;
        if zeroed && bytes > 0 {
            match self.clear_ordered(queue, placed.address, bytes) {
                Ok(point) => ready = point.or(ready),
                Err(status) => {
                    self.end_new(queue, placed.address, block);
                    return Err(status);
                }
            }
        }
        // SAFETY: addresses of blocks are never 0.
        Ok((unsafe { core::ptr::NonNull::new_unchecked(placed.address as *mut u8) }, ready))
    }

    /// A block for a queue. Where blocks are cleared and the host can do that, it is cleared now if devices still used it when it came back.
    fn take_ordered(
        &'static self,
        queue: Option<&'static Queue>,
        bytes: usize,
        block: Block,
        count: Count,
    ) -> Result<Placed> {
        let clears =
            self.flags.load(Ordering::Relaxed) & TN_POOL_ZERO_ON_FREE != 0 && self.touch.load(Ordering::Relaxed);
        let want = Want { queue: queue.filter(|_| !clears), ..self.want(bytes, block)? };
        let placed = self.obtain_ordered(want, count)?;
        if clears {
            // SAFETY: the block was just made for this call, has so many bytes, and is finished: it was asked for on the host.
            unsafe { self.ops().fill(placed.address, want.unit, 0) };
        }
        Ok(placed)
    }

    /// Clears a new block that nobody knows of: on the host, or in the order of the queue, up to the point that it gives.
    fn clear_ordered(
        &'static self,
        queue: Option<&'static Queue>,
        address: usize,
        bytes: usize,
    ) -> Result<Option<Point>> {
        let Some(queue) = queue else {
            // SAFETY: the block was just made for this call, holds so many bytes, and is finished: no device works on it.
            unsafe { self.ops().fill(address, bytes, 0) };
            return Ok(None);
        };
        // SAFETY: as above, and the queue may have it: nobody uses it but in that order.
        unsafe { self.ops().fill_on(queue, address, bytes, 0)? };
        let point = queue.now();
        self.record_use(address, point);
        Ok(Some(point))
    }

    /// A block that was just made for a queue is not to be.
    #[cold]
    fn end_new(&'static self, queue: Option<&'static Queue>, address: usize, block: Block) {
        match block.state {
            State::Store => self.free_store(thread::current(), address),
            _ => {
                let given_back = self.deallocate_ordered(block.client(), Some(self), address, None, queue);
                debug_assert!(given_back.is_ok(), "it was made a moment ago, and nobody knows of it");
            }
        }
    }

    /// Rounds a request: to 512 bytes, above 1 MiB to 64 KiB (PO-16). None: no address space could hold it.
    pub(super) fn want_ordered(bytes: usize, block: Block) -> Option<Want> {
        let fine = bytes <= LARGEST_FINE && block.alignment < GRANULE;
        let unit = if fine { UNIT } else { GRANULE };
        let span_bytes =
            bytes.max(1).checked_next_multiple_of(unit).filter(|&bytes| bytes <= isize::MAX as usize / 2)?;
        let span_alignment = block.alignment.max(unit);
        Some(Want { class: None, unit: span_bytes, span_bytes, span_alignment, block, heap: None, queue: None })
    }

    /// Memory for a want.
    pub(super) fn obtain_ordered(&'static self, want: Want, count: Count) -> Result<Placed> {
        {
            let mut books = self.books.lock();
            if !books.retired
                && let Some(placed) = books.place_ordered(&want, None)
            {
                books.count(&want, count, &placed, true);
                return Ok(placed);
            }
        }
        // What fits has to be cut, perhaps; that needs less than all that a request may need.
        if let Some(mut kit) = Kit::gather(None) {
            let mut books = self.books.lock();
            if !books.retired
                && let Some(placed) = books.place_ordered(&want, Some(&mut kit))
            {
                books.count(&want, count, &placed, true);
                return Ok(placed);
            }
        }
        if let Some(queue) = want.queue {
            self.ensure_lane(queue);
        }
        self.obtain_climbing(want, count)
    }

    fn obtain_climbing(&'static self, want: Want, count: Count) -> Result<Placed> {
        let mut climb = Climb::default();
        let mut hit = true;
        loop {
            let Some(mut kit) = Kit::gather_ordered() else {
                return Err(self.out_of_memory(TN_ERR_NO_HOST_MEMORY, &want));
            };
            let mut books = self.books.lock();
            if books.retired {
                return Err(blocks::refuse_retired(books, want.block));
            }
            if let Some(placed) = self.place_now(&mut books, &want, &mut kit) {
                books.count(&want, count, &placed, hit);
                self.settle(books, usize::MAX);
                return Ok(placed);
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
                match self.relieve_ordered(&want, &mut climb, &mut kit, TN_PRESSURE_LIMIT) {
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
                Ok(Some(piece)) => {
                    if let Some(placed) = books.place_in(self, piece, &want, &mut kit) {
                        books.count(&want, count, &placed, false);
                        self.settle(books, usize::MAX);
                        return Ok(placed);
                    }
                    books.busy += 1;
                    drop(books);
                    let status = self.send_back(piece.start, piece.bytes);
                    piece.segment.into_iter().for_each(Segment::release);
                    let mut books = self.books.lock();
                    books.busy -= 1;
                    return Err(self.failed(books, &want, status));
                }
                Ok(None) => {}
                Err(status) => return Err(self.failed(books, &want, status)),
            }
            drop(books);
            if !self.relieve_ordered(&want, &mut climb, &mut kit, TN_PRESSURE_DEVICE) {
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
    fn relieve_ordered(&'static self, want: &Want, climb: &mut Climb, kit: &mut Kit, reason: i32) -> bool {
        if !core::mem::replace(&mut climb.asked_all, true) && self.ask_all() {
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
        let heard = self.relieve(want.span_bytes, reason, &mut climb.ladder.heard);
        climb.asked_all &= !heard;
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

    /// Asks about everything that is pending, and sorts out what has passed. False: nothing has.
    pub(super) fn ask_all(&'static self) -> bool {
        if !self.is_ordered() {
            return false;
        }
        let mut books = self.books.lock();
        let mut any = books.harvest(os::coarse_ms());
        let points = books.points(None);
        books.busy += 1;
        drop(books);
        ask(&points);
        let mut books = self.books.lock();
        any |= books.harvest(os::coarse_ms());
        books.busy -= 1;
        any
    }

    // ---- uses ----

    /// Work up to a point uses the block, which is not free before (PD-6). For who has the block; cannot fail. Of a pool that knows nothing
    /// of devices the host waits for it, because its blocks can be had at once.
    pub fn record_use(&'static self, address: usize, point: Point) {
        if point.is_passed() {
            return;
        }
        if !self.is_ordered() {
            // A device that is lost works no more.
            let _ = point.wait();
            return;
        }
        self.ensure_lane(point.queue());
        let mut node = None;
        let (books, span) = loop {
            let Some((_, books, span)) = blocks::owner(address) else {
                debug_assert!(false, "{address:#x} is in no pool");
                return;
            };
            if node.is_some() || span.uses.has_room_for(point.queue()) {
                break (books, span);
            }
            drop(books);
            node = Use::create();
            if node.is_none() {
                let Some((_, books, span)) = blocks::owner(address) else { return };
                break (books, span);
            }
        };
        match span.uses.add(point, node) {
            Ok(rest) => {
                drop(books);
                rest.into_iter().for_each(Use::release);
            }
            Err(()) => self.replace_uses(books, span, point),
        }
    }

    /// There is no memory to note one more use of a block: one of its queues waits for it on the device, or else the host does.
    #[cold]
    fn replace_uses(&'static self, books: Open, span: &'static Span, point: Point) {
        let mut first = None;
        span.uses.each(|other| first = first.or(Some(other)));
        drop(books);
        let waits = first.filter(|other| other.queue().wait_for(point).is_ok());
        match waits {
            Some(other) => {
                let _books = self.books.lock();
                let noted = span.uses.add(other.queue().now(), None);
                debug_assert!(noted.is_ok(), "a queue that is noted needs no more memory");
            }
            None => {
                let _ = point.wait();
            }
        }
    }

    /// Gives a raw block back in the order of a queue; None: on the host, now. As `deallocate_for` otherwise.
    fn deallocate_ordered(
        &'static self,
        client: Client,
        through: Option<&'static Pool>,
        address: usize,
        bytes: Option<usize>,
        queue: Option<&'static Queue>,
    ) -> Result<()> {
        let (mut node, mut tried) = (None, false);
        loop {
            let claimed = blocks::claim(address, through, client);
            let (pool, mut books, span, index) = match claimed {
                Ok(claimed) => claimed,
                Err(status) => {
                    node.into_iter().for_each(Use::release);
                    return Err(status);
                }
            };
            if let Some(queue) = queue {
                if !tried && (!books.has_lane(queue) || !span.uses.has_room_for(queue)) {
                    // What is missing is made under no lock, once.
                    drop(books);
                    self.ensure_lane(queue);
                    (node, tried) = (Use::create(), true);
                    continue;
                }
                match span.uses.add(queue.now(), node) {
                    Ok(rest) => node = rest,
                    Err(()) => {
                        self.replace_uses(books, span, queue.now());
                        return self.deallocate_ordered(client, through, address, bytes, None);
                    }
                }
            }
            let block = span.block(index);
            if bytes.is_some_and(|bytes| bytes != block.requested) {
                books.account(block).mismatches += 1;
            }
            if pool.free(books, span, index, State::Raw) {
                node.into_iter().for_each(Use::release);
                return Ok(());
            }
        }
    }

    /// The same in the order of what the calling thread means by no stream.
    pub(super) fn deallocate_now(
        &'static self,
        client: Client,
        through: Option<&'static Pool>,
        address: usize,
        bytes: Option<usize>,
    ) -> Result<()> {
        // A device that is lost, or a parent's, orders nothing any more.
        let queue = self.queue_of(None).ok().flatten();
        self.deallocate_ordered(client, through, address, bytes, queue)
    }

    /// The block is used on a queue from now on, until it is given back (PD-6): for raw blocks.
    fn record_open_use(
        &'static self,
        through: Option<&'static Pool>,
        address: usize,
        queue: &'static Queue,
    ) -> Result<()> {
        self.ensure_lane(queue);
        let node = Use::create();
        let release = |node: Option<&'static Use>| node.into_iter().for_each(Use::release);
        let (_, books, span, _) = blocks::claim(address, through, Client::RAW).inspect_err(|_| release(node))?;
        let added = span.uses.add_open(queue, node);
        drop(books);
        let full = |()| fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory to note one more stream; free some"));
        added.map(release).map_err(full)
    }

    /// Changes the size of a raw block, in place or by a copy in the order of a queue, on which the old block is given back (PO-21).
    pub fn reallocate_on(
        &'static self,
        queue: Option<&'static Queue>,
        address: usize,
        bytes: usize,
        stamp: u64,
    ) -> Result<Option<core::ptr::NonNull<u8>>> {
        if !self.is_ordered() {
            return self.reallocate(address, bytes, stamp);
        }
        if address == 0 {
            return self.allocate_raw_on(queue, bytes, 0, false, stamp).map(Some);
        }
        if bytes == 0 {
            let queue = self.queue_of(queue)?;
            return self.deallocate_ordered(Client::RAW, Some(self), address, None, queue).map(|()| None);
        }
        self.resize_on(Client::RAW, queue, address, bytes).map(Some)
    }

    /// Changes the size of a client's block, to at least 1 byte. On failure the old block is live and unchanged.
    pub(super) fn resize_on(
        &'static self,
        client: Client,
        queue: Option<&'static Queue>,
        address: usize,
        bytes: usize,
    ) -> Result<core::ptr::NonNull<u8>> {
        self.check_process()?;
        let queue = self.queue_of(queue)?;
        let kit = Kit::gather_ordered();
        let (_, mut books, span, _) = blocks::claim(address, Some(self), client)?;
        if books.retired {
            return Err(blocks::refuse_retired(books, span.block(0)));
        }
        let block = span.block(0);
        let Some(mut kit) = kit.filter(|_| books.fits_in_place(span, bytes)) else {
            drop(books);
            return self.move_ordered(client, queue, address, block, bytes);
        };
        let resized = books.resize_ordered(span, block, bytes, &mut kit);
        self.settle(books, usize::MAX);
        if !resized {
            return Err(Misuse::Stale { pool: self.name() }.status(address));
        }
        // SAFETY: addresses of blocks are never 0.
        Ok(unsafe { core::ptr::NonNull::new_unchecked(address as *mut u8) })
    }

    /// Moves a live raw block, which stays where it is if that fails.
    fn move_ordered(
        &'static self,
        client: Client,
        queue: Option<&'static Queue>,
        address: usize,
        block: Block,
        bytes: usize,
    ) -> Result<core::ptr::NonNull<u8>> {
        let count = Count { allocation: false, zeroed: false };
        let placed = self.take_ordered(queue, bytes, Block { requested: bytes, ..block }, count)?;
        let kept = bytes.min(blocks::usable_size(address)?);
        let copied = match queue {
            None => {
                // SAFETY: the caller has the old block, the new one is known to nobody; both hold that many bytes, and the host may touch
                // them now: no queue was named, and the new one is finished.
                unsafe { self.ops().copy(placed.address, address, kept) };
                Ok(())
            }
            // SAFETY: as above, in the order of the queue.
            Some(queue) => unsafe { self.ops().copy_on(queue, placed.address, address, kept) },
        };
        if let Err(status) = copied {
            self.uncount_new(client, placed.address);
            return Err(status);
        }
        if let Some(queue) = queue {
            self.record_use(placed.address, queue.now());
        }
        self.deallocate_ordered(client, Some(self), address, None, queue)?;
        self.books.lock().count_moved(block);
        // SAFETY: addresses of blocks are never 0.
        Ok(unsafe { core::ptr::NonNull::new_unchecked(placed.address as *mut u8) })
    }

    /// A block that was made for a move, and counted as no allocation, goes back.
    #[cold]
    fn uncount_new(&'static self, client: Client, address: usize) {
        if let Ok((pool, mut books, span, index)) = blocks::claim(address, Some(self), client) {
            let account = books.account(span.block(index));
            account.tally.freed = account.tally.freed.wrapping_sub(1);
            pool.free(books, span, index, State::Raw);
        }
    }

    /// What must happen to a block that comes back before anybody else may have it, in strict mode and where blocks are cleared. Whether it
    /// was filled with strict mode's pattern.
    pub(super) fn spoil_ordered(&'static self, span: &'static Span, flags: u32, pattern: u8) -> bool {
        let (address, usable) = (span.start.get(), span.unit.get());
        let idle = matches!(span.uses.home(), Home::Finished) || span.uses.all(|point| point.is_passed());
        if idle && self.touch.load(Ordering::Relaxed) {
            let strict = flags & TN_POOL_STRICT != 0;
            let value = if strict { pattern } else { 0 };
            // SAFETY: the block is in limbo: its holder gave it back, and no device works on it any more.
            unsafe { self.ops().fill(address, usable, value) };
            return strict;
        }
        // What the host can clear it clears when it hands the block out.
        if flags & TN_POOL_ZERO_ON_FREE != 0
            && !self.touch.load(Ordering::Relaxed)
            && let Ok(queue) = stream::current(self.device())
        {
            let mut waits = true;
            span.uses.each(|point| waits = waits && queue.wait_for(point).is_ok());
            // SAFETY: as above, and the queue comes after all who use it.
            if waits && unsafe { self.ops().fill_on(queue, address, usable, 0) }.is_ok() {
                span.uses.set(queue.now());
            }
        }
        false
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

/// What was given back to pools that were released, and is finished by now, goes back to the device.
pub fn collect() {
    each_pool(|pool| {
        if pool.is_ordered() && pool.is_retired() {
            pool.ask_all();
            pool.settle(pool.books.lock(), 0);
        }
    });
}

/// As [`blocks::deallocate`], in the order of a queue that `stream` finds for the device of the block; None: on the host, now, or where the
/// host cannot, on the thread's current one.
pub fn deallocate_on(
    through: Option<&'static Pool>,
    address: usize,
    stream: impl FnOnce(tn_device) -> Result<Option<&'static Queue>>,
) -> Result<()> {
    let Some(pool) = owner_of(through, address) else {
        stream(HOST)?;
        return blocks::deallocate(through, address);
    };
    match stream(pool.device())? {
        None => pool.deallocate_now(Client::RAW, through, address, None),
        queue => pool.deallocate_ordered(Client::RAW, through, address, None, queue),
    }
}

/// Notes that a raw block is used on the queue that `stream` finds, up to the moment when it is given back.
pub fn record_use_on(
    through: Option<&'static Pool>,
    address: usize,
    stream: impl FnOnce(tn_device) -> Result<Option<&'static Queue>>,
) -> Result<()> {
    let pool = owner_of(through, address);
    let queue = stream(pool.map_or(HOST, Pool::device))?;
    let queue = match pool {
        Some(pool) => pool.queue_of(queue)?,
        None => None,
    };
    match (pool, queue) {
        (Some(pool), Some(queue)) => pool.record_open_use(through, address, queue),
        _ => blocks::claim(address, through, Client::RAW).map(drop),
    }
}

/// The pool that has the address if devices work on its blocks, else the one that was passed if they work on that.
pub(super) fn owner_of(through: Option<&'static Pool>, address: usize) -> Option<&'static Pool> {
    let owner = table::find(address).and_then(Span::pool);
    owner.or(through).filter(|pool| pool.is_ordered() && address != 0)
}
