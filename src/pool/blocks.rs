//! Blocks: handed out, resized, given back, asked about.
//!
//! Contract: looks and decisions happen under the pool's lock; getting memory, moving pages, copying, clearing and
//! texts happen without it, on blocks and spans that nobody else can reach meanwhile. A request that fails changes
//! nothing but counts.

use crate::device::host::GRANULE;
use crate::device::type_name;
use crate::error::{Result, Status, fail};
use crate::options;
use crate::pool::books::{Books, Found, Kit, Piece, Placed, Segment, Want};
use crate::pool::cell::{Block, State};
use crate::pool::client::Client;
use crate::pool::huge::{self, UNIT};
use crate::pool::lock::Guard;
use crate::pool::options::{LARGEST_ALIGNMENT, Settings};
use crate::pool::span::{Kind, Span};
use crate::pool::supply::Asked;
use crate::pool::text::{self, Misuse};
use crate::pool::{Pool, class, foreign, heap, ordered, table};
use crate::sys::checker::{self, Watched};
use crate::sys::os;
use crate::thread::{self, Thread};
use crate::types::*;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

/// The byte that strict mode fills given-back blocks with.
const PATTERN: u8 = 0xdb;

/// The want of a pool's `initial_size`, for texts.
pub(super) fn creation(bytes: usize) -> Want {
    let block = Block { state: State::Raw, alignment: GRANULE, requested: bytes, tag: 0 };
    Want { class: None, unit: bytes, span_bytes: bytes, span_alignment: GRANULE, block, heap: None, queue: None }
}

/// How a request counts.
#[derive(Clone, Copy)]
pub(super) struct Count {
    /// False: it is the second half of a reallocation.
    pub allocation: bool,
    /// Bytes that need not be cleared if they are known to read 0.
    pub zeroed: bool,
}

pub(super) type Open = Guard<'static, Books>;

/// The pool that has the address, locked, and its span. None: no pool has it.
pub(super) fn owner(address: usize) -> Option<(&'static Pool, Open, &'static Span)> {
    loop {
        let span = table::find(address)?;
        let pool = span.pool()?;
        let books = pool.books.lock();
        // Entries and spans of a pool change under its lock only: if both still say so, they go on saying so.
        let same = table::find(address).is_some_and(|now| now.is(span));
        if same && span.pool().is_some_and(|now| core::ptr::eq(now, pool)) {
            return Some((pool, books, span));
        }
    }
}

/// The live raw block that starts at the address, for one that changes or ends it. `through`: the pool that was passed,
/// `client`: who passed it, and whose a mistake is.
pub(super) fn claim(
    address: usize,
    through: Option<&'static Pool>,
    client: Client,
) -> Result<(&'static Pool, Open, &'static Span, usize)> {
    let refuse = |pool: Option<&'static Pool>, misuse: Misuse| {
        if let Some(pool) = through.or(pool) {
            let mut books = pool.books.lock();
            books.figures.misuse_count += 1;
            books.figures.failure_count += 1;
            let account = &mut books.clients[client.index()];
            account.misuses += 1;
            account.failures += 1;
        }
        let status = misuse.status(address);
        if options::abort_on_misuse() {
            stop();
        }
        status
    };
    let Some((pool, books, span)) = owner(address) else { return Err(refuse(None, Misuse::Foreign)) };
    if pool.is_calling(thread::current()) {
        drop(books);
        return Err(pool.refuse_callback());
    }
    let name = books.name;
    let misuse = match books.look(span, address) {
        Found::Never => Misuse::Foreign,
        Found::Gone => Misuse::Stale { pool: name },
        Found::Block { start, block, .. } if start != address => {
            Misuse::Inside { start, bytes: block.requested, pool: name }
        }
        Found::Block { block, .. } if block.state == State::Store => {
            Misuse::Store { bytes: block.requested, pool: name }
        }
        Found::Block { .. } if through.is_some_and(|through| !core::ptr::eq(through, pool)) => {
            drop(books);
            let passed = through.map_or(name, Pool::name);
            return Err(refuse(Some(pool), Misuse::Other { owner: name, passed }));
        }
        Found::Block { index, .. } => return Ok((pool, books, span, index)),
    };
    drop(books);
    Err(refuse(Some(pool), misuse))
}

/// The option `abort_on_misuse`: the process ends here, with the text of the refusal.
#[cold]
fn stop() -> ! {
    os::print_error(&["tenure: ", crate::error::drafted().as_str(), "\n"]);
    std::process::abort();
}

/// A request to a pool whose last hold went (PO-6).
#[cold]
pub(super) fn refuse_retired(mut books: Open, block: Block) -> Status {
    books.figures.failure_count += 1;
    books.account(block).failures += 1;
    let name = books.name;
    drop(books);
    fail(TN_ERR_STALE, format_args!("pool \"{}\" was released and hands out nothing any more", name.as_str()))
}

/// Gives a raw block back; `through` None: to whichever pool has it. Address 0: nothing happens (PO-22, PO-24 to
/// PO-29).
pub fn deallocate(through: Option<&'static Pool>, address: usize) -> Result<()> {
    deallocate_for(Client::RAW, through, address, None)
}

/// As `deallocate`, for a client. `bytes`: the size that it believes the block to have, if it says one; ours counts
/// (AL-4).
#[inline]
pub fn deallocate_for(
    client: Client,
    through: Option<&'static Pool>,
    address: usize,
    bytes: Option<usize>,
) -> Result<()> {
    if address == 0 {
        return Ok(());
    }
    match heap::deallocate(through, address, State::Raw) {
        Some(requested) if bytes.is_none_or(|bytes| bytes == requested) => Ok(()),
        Some(_) => {
            if let Some(pool) = through {
                pool.books.lock().clients[client.index()].mismatches += 1;
            }
            Ok(())
        }
        None => deallocate_slowly(client, through, address, bytes),
    }
}

/// The same for blocks of spans that no heap owns, and for what is no block.
#[cold]
#[inline(never)]
fn deallocate_slowly(
    client: Client,
    through: Option<&'static Pool>,
    address: usize,
    bytes: Option<usize>,
) -> Result<()> {
    if let Some(pool) = ordered::owner_of(through, address) {
        return pool.deallocate_now(client, through, address, bytes);
    }
    loop {
        let (pool, mut books, span, index) = claim(address, through, client)?;
        let block = span.block(index);
        if bytes.is_some_and(|bytes| bytes != block.requested) {
            books.account(block).mismatches += 1;
        }
        // Else another thread gave it back between the two looks, and the next one says so.
        if pool.free(books, span, index, State::Raw) {
            return Ok(());
        }
    }
}

/// Usable bytes of the live block, raw or an array's, that starts at the address.
pub fn usable_size(address: usize) -> Result<usize> {
    let misuse = match owner(address) {
        None => Misuse::Foreign,
        Some((pool, books, _)) if pool.is_calling(thread::current()) => {
            drop(books);
            return Err(pool.refuse_callback());
        }
        Some((_, books, span)) => match books.look(span, address) {
            Found::Never => Misuse::Foreign,
            Found::Gone => Misuse::Stale { pool: books.name },
            Found::Block { start, .. } if start == address => return Ok(span.unit.get()),
            Found::Block { start, block, .. } => Misuse::Inside { start, bytes: block.requested, pool: books.name },
        },
    };
    Err(misuse.status(address))
}

/// The pool of the live block that contains the address, with one more hold, the caller's (PO-9).
pub fn of(address: usize) -> Result<&'static Pool> {
    if let Some((pool, mut books, span)) = owner(address) {
        if pool.is_calling(thread::current()) {
            drop(books);
            return Err(pool.refuse_callback());
        }
        if let Found::Block { .. } = books.look(span, address) {
            books.holds += 1;
            return Ok(pool);
        }
    }
    Err(Misuse::Foreign.status(address))
}

impl Pool {
    /// A block of at least `bytes` at a multiple of `alignment` (0: the pool's). `owner`: 0 for a raw block, else the
    /// tag of the store that it backs; such a block goes back by [`Pool::free_store`] only. Of 0 bytes too it is a
    /// block of its own.
    pub fn allocate(&'static self, bytes: usize, alignment: usize, zeroed: bool, owner: u64) -> Result<NonNull<u8>> {
        let state = if owner == 0 { State::Raw } else { State::Store };
        self.request(bytes, alignment, zeroed, state, owner)
    }

    /// As `allocate`, the block of a store, for the calling thread: where it is.
    #[inline(always)]
    pub fn allocate_store(
        &'static self,
        thread: &'static Thread,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        owner: u64,
    ) -> Result<usize> {
        // Whether its bytes read 0 is not known on the short way.
        if !zeroed && let Some(address) = heap::allocate_store_quickly(thread, self, bytes, alignment, owner) {
            return Ok(address);
        }
        Ok(self.allocate(bytes, alignment, zeroed, owner)?.as_ptr() as usize)
    }

    /// As `allocate`, a raw block that remembers who made it: the stamp of its thread.
    pub fn allocate_raw(
        &'static self,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        stamp: u64,
    ) -> Result<NonNull<u8>> {
        self.allocate_for(Client::RAW, bytes, alignment, zeroed, stamp)
    }

    /// As `allocate_raw`, for a client.
    pub fn allocate_for(
        &'static self,
        client: Client,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        stamp: u64,
    ) -> Result<NonNull<u8>> {
        let tag = client.tag(stamp);
        // The large block that the thread keeps: it was cleared by nobody.
        if bytes > class::LARGEST
            && !zeroed
            && let Some(address) = heap::allocate_kept_quickly(self, bytes, alignment, tag)
        {
            // SAFETY: addresses of blocks are never 0.
            return Ok(unsafe { NonNull::new_unchecked(address as *mut u8) });
        }
        self.request(bytes, alignment, zeroed, State::Raw, tag)
    }

    fn request(
        &'static self,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        state: State,
        tag: u64,
    ) -> Result<NonNull<u8>> {
        if self.is_ordered() {
            return self.request_ordered(None, bytes, alignment, zeroed, state, tag).map(|made| made.0);
        }
        let alignment = self.alignment_of(alignment, Block { state, alignment: 8, requested: bytes, tag })?;
        let block = Block { state, alignment, requested: bytes, tag };
        let placed = match self.heap_block(bytes, block, zeroed) {
            Some(placed) => placed,
            None => self.request_more(bytes, block, zeroed)?,
        };
        if zeroed && !placed.zero && bytes > 0 {
            self.clear(&placed, bytes)?;
        }
        // SAFETY: addresses of blocks are never 0.
        Ok(unsafe { NonNull::new_unchecked(placed.address as *mut u8) })
    }

    /// The alignment of a request, for which 0 means the pool's.
    #[inline]
    pub(super) fn alignment_of(&self, alignment: usize, block: Block) -> Result<usize> {
        match alignment {
            0 => Ok(self.alignment()),
            a if a.is_power_of_two() && a <= LARGEST_ALIGNMENT => Ok(a),
            a => Err(self.refuse_alignment(a, block)),
        }
    }

    #[cold]
    fn refuse_alignment(&self, alignment: usize, block: Block) -> Status {
        let mut books = self.books.lock();
        books.figures.failure_count += 1;
        books.account(block).failures += 1;
        drop(books);
        let most = LARGEST_ALIGNMENT;
        fail(
            TN_ERR_INVALID,
            format_args!("alignment {alignment} is not a power of two up to {most}; use 0 for the pool's"),
        )
    }

    /// Clears the beginning of a new block that nobody knows of, but for what reads 0 already (PH-14).
    fn clear(&'static self, placed: &Placed, bytes: usize) -> Result<()> {
        if !self.touch.load(Ordering::Relaxed) {
            return Err(self.refuse_to_clear(placed.address));
        }
        // SAFETY: the block was just made for this call, and holds so many bytes.
        let skipped = unsafe { self.ops().clear(placed.address, bytes.min(placed.dirty)) };
        if skipped > 0 {
            self.books.lock().figures.zero_bytes_skipped += skipped as u64;
        }
        Ok(())
    }

    /// What is not a small block of the thread's heap.
    #[inline(never)]
    fn request_more(&'static self, bytes: usize, block: Block, zeroed: bool) -> Result<Placed> {
        self.check_callable()?;
        if block.state == State::Store && !self.touch.load(Ordering::Relaxed) {
            let kind = type_name(self.device().r#type);
            return Err(fail(TN_ERR_UNSUPPORTED, format_args!("this build has no code for arrays on device {kind}")));
        }
        let want = self.want(bytes, block)?;
        if want.class.is_none()
            && self.has_heaps()
            && let Some(placed) = heap::allocate_large(self, want.block)
        {
            return Ok(placed);
        }
        let placed = self.obtain(want, Count { allocation: true, zeroed })?;
        if let Some(watched) = self.watched(placed.address, want.unit) {
            watched.hand_out(zeroed);
        }
        Ok(placed)
    }

    /// What a memory checker is told of a block; None: there is no checker, or the memory is not the host's.
    pub(super) fn watched(&self, address: usize, bytes: usize) -> Option<Watched> {
        let told = checker::watches() && self.touch.load(Ordering::Relaxed) && !self.is_ordered();
        told.then(|| Watched { address, bytes, outermost: !self.is_imported() })
    }

    /// A small block from the thread's heap.
    #[inline]
    fn heap_block(&'static self, bytes: usize, block: Block, zeroed: bool) -> Option<Placed> {
        let class = class::fitting(bytes, block.alignment).filter(|_| self.has_heaps())?;
        heap::allocate(self, class, block, zeroed)
    }

    /// Rounds a request. TN_ERR_NO_HOST_MEMORY where no address space could hold it (PO-15).
    pub(super) fn want(&'static self, bytes: usize, block: Block) -> Result<Want> {
        if self.is_ordered() {
            let none = || self.out_of_memory(self.ops().terms().refusal, &Want { block, ..creation(bytes) });
            return Pool::want_ordered(bytes, block).ok_or_else(none);
        }
        let direct = self.flags.load(Ordering::Relaxed) & TN_POOL_DIRECT != 0;
        if !direct && let Some(class) = class::fitting(bytes, block.alignment) {
            let span_bytes = class::span_bytes(class);
            return Ok(Want {
                class: Some(class),
                unit: class::bytes(class),
                span_bytes,
                span_alignment: GRANULE,
                block,
                heap: None,
                queue: None,
            });
        }
        let unit = bytes.max(1).checked_next_multiple_of(self.page.load(Ordering::Relaxed));
        let span_bytes = unit.and_then(|unit| unit.checked_next_multiple_of(GRANULE));
        match (unit, span_bytes) {
            (Some(unit), Some(span_bytes)) if bytes <= isize::MAX as usize && span_bytes <= isize::MAX as usize => {
                let span_alignment = block.alignment.max(GRANULE);
                Ok(Want { class: None, unit, span_bytes, span_alignment, block, heap: None, queue: None })
            }
            _ => Err(self.out_of_memory(self.ops().terms().refusal, &Want { block, ..creation(bytes) })),
        }
    }

    /// Memory for a want: from what the pool has, else from the device, else by the steps of PO-44 that a host has.
    fn obtain(&'static self, mut want: Want, count: Count) -> Result<Placed> {
        if let Some(class) = want.class
            && self.has_heaps()
        {
            let (placed, heap) = heap::allocate_collected(self, class, want.block, count.zeroed);
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
        self.obtain_slowly(want, count)
    }

    #[cold]
    #[inline(never)]
    fn obtain_slowly(&'static self, mut want: Want, count: Count) -> Result<Placed> {
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
            let room = books
                .take_room(want.span_bytes, aligned)
                .or_else(|| books.take_room(want.span_bytes, want.span_alignment));
            drop(books);
            hit = false;
            let fetched = match room {
                Some(start) => Ok(self.commit(start, bytes)),
                None => self.fetch(Asked { bytes, alignment: aligned, step, node, huge }),
            };
            let mut books = self.books.lock();
            books.coming -= coming;
            books.busy -= 1;
            let piece = match fetched {
                Ok(piece) => piece,
                Err(status) => return Err(self.failed(books, &want, status)),
            };
            if let Some(piece) = piece {
                let placed = self.place_fetched(books, piece, &want, &mut kit, count)?;
                self.ask_huge(&want, &placed);
                return Ok(placed);
            }
            drop((books, kit));
            if !self.relieve_device(&want, &mut ladder) {
                return Err(self.out_of_memory(terms.refusal, &want));
            }
        }
    }

    /// A block in memory that has just come. A pool that was retired meanwhile takes it all the same: the caller's hold may have been the
    /// handle that another thread released, and the block is given back like any other. What cannot be taken in goes back.
    pub(super) fn place_fetched(
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
        books.busy += 1;
        drop(books);
        let status = self.send_back(piece.start, piece.bytes);
        piece.segment.into_iter().for_each(Segment::release);
        let mut books = self.books.lock();
        books.busy -= 1;
        Err(self.failed(books, want, status))
    }

    /// Asks for huge pages where a fresh large block fills them (PH-11). The block is the caller's still.
    fn ask_huge(&'static self, want: &Want, placed: &Placed) {
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
    fn relieve_limit(
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
        if self.free_ring() || ladder.recalls <= 3 && heap::recall(self, true) {
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
    pub(super) fn failed(&'static self, mut books: Open, want: &Want, status: Status) -> Status {
        books.figures.failure_count += 1;
        books.account(want.block).failures += 1;
        self.settle(books, usize::MAX);
        status
    }

    /// A block was to be cleared, and only who has the device can do that.
    #[cold]
    fn refuse_to_clear(&'static self, address: usize) -> Status {
        let given_back = deallocate(Some(self), address);
        debug_assert!(given_back.is_ok(), "it was made a moment ago, and nobody knows of it");
        self.untouchable("not known to be 0, and the host cannot clear it")
    }

    #[cold]
    fn untouchable(&'static self, why: &str) -> Status {
        let name = self.name();
        fail(TN_ERR_UNSUPPORTED, format_args!("memory of pool \"{}\" is {why}; do so on its device", name.as_str()))
    }

    #[cold]
    pub(super) fn out_of_memory(&'static self, status: tn_status, want: &Want) -> Status {
        {
            let mut books = self.books.lock();
            books.figures.oom_count += 1;
            books.figures.failure_count += 1;
            books.account(want.block).failures += 1;
        }
        text::out_of_memory(self, status, want)
    }

    /// Gives back the block of a store, for the calling thread; called by its ledger, once. Cannot fail.
    #[inline(always)]
    pub fn free_store(&'static self, thread: &'static Thread, address: usize) {
        if !heap::deallocate_store_quickly(thread, self, address) {
            self.free_store_slowly(address);
        }
    }

    #[inline(never)]
    fn free_store_slowly(&'static self, address: usize) {
        if heap::deallocate(Some(self), address, State::Store).is_some() {
            return;
        }
        let Some((pool, books, span)) = owner(address) else {
            debug_assert!(false, "{address:#x} is in no pool");
            return;
        };
        match books.look(span, address) {
            Found::Block { index, start, block } if start == address && block.state == State::Store => {
                debug_assert!(core::ptr::eq(pool, self));
                let freed = pool.free(books, span, index, State::Store);
                debug_assert!(freed, "a store has one ledger");
            }
            found => debug_assert!(false, "{address:#x} backs no store: {found:?}"),
        }
    }

    /// Frees a live block, under the lock that is passed in and left. False: it is not live any more.
    pub(super) fn free(&'static self, mut books: Open, span: &'static Span, index: usize, state: State) -> bool {
        let block = span.block(index);
        if block.state != state || !span.exchange(index, state, State::Limbo) {
            return false;
        }
        let tally = &mut books.account(block).tally;
        tally.freed = tally.freed.wrapping_add(1);
        books.count_out(span.unit.get(), block);
        if span.heap().is_some() {
            // The owner does not wait for this lock.
            foreign::announce(self, span, index);
            return true;
        }
        self.free_begun(books, span, index);
        true
    }

    /// Frees a block in limbo.
    fn free_begun(&'static self, mut books: Open, span: &'static Span, index: usize) {
        let flags = books.settings.flags & (TN_POOL_STRICT | TN_POOL_ZERO_ON_FREE);
        let (address, usable) = (span.start.get() + index * span.unit.get(), span.unit.get());
        let watched = self.watched(address, usable);
        if flags == 0 {
            if let Some(watched) = watched {
                watched.give_back();
            }
            let just = books.end_free(span, index, if span.kind() == Kind::Large { os::coarse_ms() } else { 0 });
            if just > 0 || books.retired {
                self.settle(books, just);
            }
            return;
        }
        books.busy += 1;
        if self.is_ordered() {
            span.uses.close();
        }
        drop(books);
        if self.is_ordered() {
            span.set_spoilt(self.spoil_ordered(span, flags, PATTERN));
        } else if self.touch.load(Ordering::Relaxed) {
            let value = if flags & TN_POOL_STRICT != 0 { PATTERN } else { 0 };
            // SAFETY: the block is in limbo: its holder gave it back, and it cannot be had before this call makes it free.
            unsafe { self.ops().fill(address, usable, value) };
        }
        if let Some(watched) = watched {
            watched.give_back();
        }
        let books = self.books.lock();
        let mut out = Some(address);
        if let Some(ring) = books.ring {
            out = if ring.is_full() { ring.pop() } else { None };
            ring.push(address);
        }
        drop(books);
        let mut just = 0;
        if let Some(out) = out {
            just = self.end_limbo(out);
        }
        let mut books = self.books.lock();
        books.busy -= 1;
        self.settle(books, just);
    }

    /// Makes a block in limbo free, after looking whether somebody wrote into it. The bytes of the span that became
    /// free.
    fn end_limbo(&'static self, address: usize) -> usize {
        let Some(span) = table::find(address) else { return 0 };
        let (start, unit) = (span.start.get(), span.unit.get());
        let flags = self.flags.load(Ordering::Relaxed);
        let mut damaged = false;
        let watched = self.watched(address, unit).is_some();
        if watched {
            checker::open(address, unit);
        }
        let spoilt = !self.is_ordered() || span.is_spoilt();
        if flags & TN_POOL_STRICT != 0 && spoilt {
            // SAFETY: in limbo, and taken off the ring by this call: nobody else uses it.
            damaged = unsafe { self.ops().is_filled(address, unit, PATTERN) } == Some(false);
            if flags & TN_POOL_ZERO_ON_FREE != 0 {
                // SAFETY: as above.
                unsafe { self.ops().fill(address, unit, 0) };
            }
        }
        if watched {
            checker::shut(address, unit);
        }
        let mut books = self.books.lock();
        books.figures.misuse_count += damaged as u64;
        books.end_free(span, (address - start) / unit, os::coarse_ms())
    }

    /// Strict mode: makes all blocks that are held back free. False: there were none.
    pub(super) fn free_ring(&'static self) -> bool {
        let mut any = false;
        loop {
            let mut books = self.books.lock();
            let Some(address) = books.ring.and_then(|ring| ring.pop()) else { return any };
            books.busy += 1;
            drop(books);
            self.end_limbo(address);
            self.books.lock().busy -= 1;
            any = true;
        }
    }

    /// Changes the size of a raw block, in place where it can, else by moving its pages or copying. Address 0:
    /// allocates; 0 bytes: gives back, None. On failure the old block is live and unchanged (PO-18 to PO-21).
    pub fn reallocate(&'static self, address: usize, bytes: usize, stamp: u64) -> Result<Option<NonNull<u8>>> {
        if address == 0 {
            return self.allocate_raw(bytes, 0, false, stamp).map(Some);
        }
        if bytes == 0 {
            return deallocate(Some(self), address).map(|()| None);
        }
        self.reallocate_for(Client::RAW, address, bytes).map(Some)
    }

    /// Changes the size of a client's block, to at least 1 byte. On failure the old block is live and unchanged.
    pub fn reallocate_for(&'static self, client: Client, address: usize, bytes: usize) -> Result<NonNull<u8>> {
        if self.is_ordered() {
            return self.resize_on(client, None, address, bytes);
        }
        let mut kit = Kit::gather(None);
        let (_, mut books, span, index) = claim(address, Some(self), client)?;
        let block = span.block(index);
        if books.retired {
            return Err(refuse_retired(books, block));
        }
        // From here on nobody can free, find or resize it, with or without the lock.
        if !span.exchange(index, State::Raw, State::Limbo) {
            let pool = books.name;
            drop(books);
            return Err(Misuse::Stale { pool }.status(address));
        }
        let usable = span.unit.get();
        if self.resize_in_place(&mut books, span, index, block, bytes, kit.as_mut()) {
            if let Some(watched) = self.watched(address, usable) {
                watched.resize(span.unit.get(), false);
            }
            span.exchange(index, State::Limbo, State::Raw);
            books.account(block).tally.reallocated += 1;
            self.settle(books, usize::MAX);
            // SAFETY: addresses of blocks are never 0.
            return Ok(unsafe { NonNull::new_unchecked(address as *mut u8) });
        }
        // It must move. It is not in use meanwhile, as everywhere: else the peak would count both.
        books.count_out(span.unit.get(), block);
        if span.kind() == Kind::Small {
            drop((books, kit));
            return self.move_small(client, address, span, index, block, bytes);
        }
        books.busy += 1;
        drop((books, kit));
        let moved = self.move_block(address, span, block, bytes);
        let mut books = self.books.lock();
        match &moved {
            Ok(to) => {
                books.account(block).tally.reallocated += 1;
                if to.old_left {
                    self.free_begun(books, span, index);
                    books = self.books.lock();
                }
            }
            Err(_) => books.undo_free(span, index, State::Raw),
        }
        books.busy -= 1;
        self.settle(books, usize::MAX);
        // SAFETY: addresses of blocks are never 0.
        moved.map(|to| unsafe { NonNull::new_unchecked(to.address as *mut u8) })
    }

    /// Moves a small block in limbo. Its span may be a heap's, so it is given back as by anybody else.
    fn move_small(
        &'static self,
        client: Client,
        address: usize,
        span: &'static Span,
        index: usize,
        block: Block,
        bytes: usize,
    ) -> Result<NonNull<u8>> {
        let usable = span.unit.get();
        let moved = self.move_block(address, span, block, bytes);
        self.books.lock().change(block, usable as u64, block.requested as u64);
        span.exchange(index, State::Limbo, State::Raw);
        let to = moved?.address;
        let given_back = deallocate_for(client, Some(self), address, None);
        debug_assert!(given_back.is_ok(), "it was live, and nobody else's");
        self.books.lock().count_moved(block);
        // SAFETY: addresses of blocks are never 0.
        Ok(unsafe { NonNull::new_unchecked(to as *mut u8) })
    }

    fn resize_in_place(
        &'static self,
        books: &mut Books,
        span: &'static Span,
        index: usize,
        block: Block,
        bytes: usize,
        mut kit: Option<&mut Kit>,
    ) -> bool {
        if span.kind() == Kind::Small {
            if class::fitting(bytes, block.alignment) != Some(span.class.get()) {
                return false;
            }
            books.resize(span, index, block, bytes);
            return true;
        }
        let Some(usable) = bytes.checked_next_multiple_of(self.page.load(Ordering::Relaxed)) else { return false };
        let old = span.unit.get();
        if usable > span.bytes.get() {
            let Some(span_bytes) = usable.checked_next_multiple_of(GRANULE) else { return false };
            books.merge_recent();
            if !kit.as_deref_mut().is_some_and(|kit| books.grow_in_place(self, span, span_bytes, kit)) {
                return false;
            }
            books.set_usable(span, usable);
        } else if usable > old {
            books.set_usable(span, usable);
        }
        books.resize(span, index, block, bytes);
        // Last, so that nobody sees a block with more bytes asked for than usable.
        if usable < old / 2
            && let Some(kit) = kit
        {
            books.shrink(span, usable, kit, os::coarse_ms());
        }
        true
    }

    /// Moves a block in limbo to where it has room, with its contents.
    fn move_block(&'static self, address: usize, span: &'static Span, block: Block, bytes: usize) -> Result<Moved> {
        let want = self.want(bytes, Block { requested: bytes, ..block })?;
        // Pages of several reservations cannot be moved in one call.
        let by_pages = span.kind() == Kind::Large
            && want.class.is_none()
            && span.origin.get() != 0
            && !self.is_imported()
            && !checker::watches();
        if by_pages
            && want.span_bytes > span.bytes.get()
            && let Some(address) = self.remap(span, &want)?
        {
            return Ok(Moved { address, old_left: false });
        }
        if !self.touch.load(Ordering::Relaxed) {
            return Err(self.untouchable("not where it has room to grow, and the host cannot copy it"));
        }
        let placed = self.obtain(want, Count { allocation: false, zeroed: false })?;
        if let Some(watched) = self.watched(placed.address, want.unit) {
            watched.hand_out(false);
        }
        // All usable bytes of the old block could be written, so all are kept.
        // SAFETY: the old block is in limbo, so nobody frees it; the new one is known to nobody. Both hold that many
        // bytes, and live blocks do not overlap.
        unsafe { self.ops().copy(placed.address, address, bytes.min(span.unit.get())) };
        Ok(Moved { address: placed.address, old_left: true })
    }

    /// Moves the pages of a large block in limbo to a longer range and makes it live there. None: the system cannot, or
    /// there is no room below the limit for the range; the block is as it was.
    fn remap(&'static self, span: &'static Span, want: &Want) -> Result<Option<usize>> {
        let ops = self.ops();
        let (old, old_bytes) = (span.start.get(), span.bytes.get());
        let more = want.span_bytes - old_bytes;
        let mut parts = [(0, 0); huge::PARTS];
        let Some(count) = huge::parts(old, old_bytes, &mut parts) else { return Ok(None) };
        let mut ladder = Ladder::default();
        let (node, how) = loop {
            let Some(mut kit) = Kit::gather(None) else { return Ok(None) };
            let mut books = self.books.lock();
            if !books.over_limit(more) {
                books.coming += more;
                books.figures.device_allocate_count += 1;
                break (books.settings.node, books.settings.huge);
            }
            let lacking = Want { span_bytes: more, ..*want };
            if let Relief::None = self.relieve_limit(books, &lacking, &mut kit, &mut ladder, more) {
                return Err(self.out_of_memory(TN_ERR_POOL_LIMIT, want));
            }
        };
        // Whole tables of pages can move where both ranges begin alike.
        let alignment = if old.is_multiple_of(UNIT) { want.span_alignment.max(UNIT) } else { want.span_alignment };
        let asked = Asked { bytes: want.span_bytes, alignment, step: 0, node, huge: how };
        let Ok(Some(Piece { start: to, .. })) = self.fetch(asked) else {
            self.books.lock().coming -= more;
            return Ok(None);
        };
        // The old addresses are the system's again the moment the pages have moved: they leave the table before.
        self.books.lock().lift(span);
        // SAFETY: the old range is this span's, in limbo; the new one was reserved for this and is unused. If the move
        // fails the new range is forgotten, as both ask for.
        let moved = unsafe {
            match count {
                1 => ops.move_pages(old, old_bytes, to, want.span_bytes),
                _ => ops.move_parts(&parts[..count], to),
            }
        };
        let mut books = self.books.lock();
        books.coming -= more;
        if moved {
            books.figures.huge_bytes -= (huge::unmark(old, old_bytes) * UNIT) as u64;
            books.put_down(span, to, want);
            drop(books);
            self.ask_huge(want, &Placed::new(to, true));
            return Ok(Some(to));
        }
        books.put_back(span);
        self.lost.fetch_add(want.span_bytes as u64, Ordering::Relaxed);
        Ok(None)
    }
}

/// How far a request that lacks memory went.
#[derive(Default)]
pub(super) struct Ladder {
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
enum Relief {
    /// Ask again.
    Retry,
    /// Ask again for the least that serves.
    Shrink,
    /// There is no further step.
    None,
}

/// Where a block went.
struct Moved {
    address: usize,
    /// The old block is still in limbo and must be freed.
    old_left: bool,
}

impl Books {
    pub(super) fn count(&mut self, want: &Want, count: Count, placed: &Placed, hit: bool) {
        if count.allocation {
            let tally = &mut self.account(want.block).tally;
            tally.allocated = tally.allocated.wrapping_add(1);
            self.figures.hit_count = self.figures.hit_count.wrapping_add(hit as u64);
            self.classes[want.class.unwrap_or(class::COUNT)].add(1, u64::from(hit));
        }
        if count.zeroed {
            self.figures.zero_bytes_skipped += want.block.requested.saturating_sub(placed.dirty) as u64;
        }
    }

    /// A heap handed out a block for a reallocation, and counted it as an allocation.
    fn uncount_hit(&mut self, class: usize, block: Block) {
        self.classes[class].add(u64::MAX, u64::MAX);
        let tally = &mut self.account(block).tally;
        tally.allocated = tally.allocated.wrapping_sub(1);
        let f = &mut self.figures;
        for count in [&mut f.hit_count, &mut f.thread_hit_count] {
            *count = count.wrapping_sub(1);
        }
    }

    /// A small block was moved, and the old one given back as if for good.
    pub(super) fn count_moved(&mut self, block: Block) {
        let account = self.account(block);
        account.tally.freed = account.tally.freed.wrapping_sub(1);
        account.tally.reallocated += 1;
    }
}
