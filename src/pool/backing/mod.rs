//! The back of a pool: memory from the device and back to it.
//!
//! Contract: called under no lock. Memory of devices other than the host goes back in the pieces in which it came. A
//! caller's upstream is foreign code. Its callbacks run outside the library, and calls on the same pool from within
//! them are refused. The thread's heap of the pool is hidden meanwhile, so that the fast path needs no check.

pub(super) mod decayed;

mod free_page_moves;

pub(super) mod huge;

pub(super) mod listener;

pub(super) mod pressure;

mod purge;

pub(super) mod trim;

use crate::device::host::{GRANULE, HOST};
use crate::device::{Device, Source};
use crate::error::{Result, Status, fail};
use crate::pool::lock::Locked;
use crate::pool::options::Settings;
use crate::pool::span::stream_uses::Stream;
use crate::pool::span::{Kind, Span, UpstreamPiece, table};
use crate::pool::state::growth::{BackingRequest, RoomBehind};
use crate::pool::state::{Piece, PoolState, Prealloc};
use crate::pool::{Pool, calls, lookup, thread_heap};
use crate::stream;
use crate::sys::{checker, os};
use crate::thread::{self, Thread};
use crate::types::*;
use core::sync::atomic::Ordering;
use huge::HUGE_PAGE_BYTES;

impl Pool {
    /// Whether its memory comes from a caller's upstream.
    #[inline]
    pub fn is_imported(&self) -> bool {
        self.upstream.is_there()
    }

    /// TN_HOST_ flags of its page-locked memory; 0 for other memory.
    pub fn host_flags(&'static self) -> u32 {
        self.ops().host_flags()
    }

    /// Whether other processes can map its memory.
    #[cfg(not(preload))]
    pub fn is_shareable(&self) -> bool {
        !self.is_imported() && [false, true].map(Source::shareable).contains(&Some(self.source()))
    }

    /// The device, for operations that call no foreign code: looks, fills, copies, moves.
    pub(super) fn ops(&'static self) -> &'static dyn Device {
        if self.is_imported() { &self.upstream } else { self.source().device() }
    }

    /// The device of a pool without an upstream.
    fn source(&self) -> Source {
        // SAFETY: set from a source's bits by `make`.
        unsafe { Source::from_bits(self.source.load(Ordering::Relaxed)) }
    }

    /// Calls the device, or the callbacks of the upstream.
    pub(super) fn call<R>(&'static self, work: impl FnOnce(&dyn Device) -> R) -> R {
        if !self.is_imported() {
            return work(self.source().device());
        }
        thread::outside(|| {
            let thread = thread::current();
            calls::run(thread, self, || {
                thread_heap::hide(thread, self);
                let result = work(&self.upstream);
                thread_heap::show(thread, self);
                result
            })
        })
    }

    /// Whether a callback of this pool's upstream is under way on this thread.
    #[inline]
    pub(super) fn is_calling(&self, thread: &'static Thread) -> bool {
        calls::is_of(thread, self)
    }

    /// TN_ERR_INVALID in a callback of the pool's own upstream.
    #[inline]
    pub fn check_callable(&self) -> Result<()> {
        if self.is_calling(thread::current()) { Err(self.refuse_callback()) } else { Ok(()) }
    }

    #[cold]
    pub(super) fn refuse_callback(&self) -> Status {
        let name = self.name();
        fail(
            TN_ERR_INVALID,
            format_args!(
                "pool \"{}\" was called by a callback of its own upstream; use another pool there",
                name.as_str()
            ),
        )
    }

    /// Memory from the device. None: the device refused.
    pub(super) fn fetch(&'static self, request: BackingRequest) -> Result<Option<Piece>> {
        if !self.is_imported() && self.source() == Source::HOST {
            return Ok(self.reserve(request).and_then(|start| self.commit(start, request.bytes)));
        }
        if self.ops().terms().keeps {
            return self.map_piece(request);
        }
        let Some(record) = UpstreamPiece::create() else { return Ok(None) };
        let fetched = self.import_piece(request, record);
        if !matches!(fetched, Ok(Some(_))) {
            record.release();
        }
        fetched
    }

    /// Mapped memory: a growth step, or else just what is needed.
    fn map_piece(&'static self, request: BackingRequest) -> Result<Option<Piece>> {
        let range = self.get_range(request, |bytes| self.ops().reserve(bytes, request.alignment, request.node))?;
        Ok(range.map(|(start, bytes)| Piece::new(start, bytes)))
    }

    /// A range of a growth step, or else of just what is needed, with room in the address table. `get` takes a number
    /// of bytes.
    fn get_range(
        &'static self,
        request: BackingRequest,
        get: impl Fn(usize) -> Result<Option<usize>>,
    ) -> Result<Option<(usize, usize)>> {
        let mut bytes = request.step.max(request.bytes);
        let mut start = get(bytes)?;
        if start.is_none() && bytes > request.bytes {
            bytes = request.bytes;
            start = get(bytes)?;
        }
        let Some(start) = start else { return Ok(None) };
        if !self.prepare_table(start, bytes) {
            self.free_range(start, bytes);
            return Ok(None);
        }
        Ok(Some((start, bytes)))
    }

    /// Makes room in the address table for a range that the pool gets, which its bounds then include. False: no memory.
    fn prepare_table(&self, start: usize, bytes: usize) -> bool {
        let is_prepared = table::prepare(start, bytes);
        if is_prepared {
            self.lowest_address.fetch_min(start, Ordering::Relaxed);
            self.end_address.fetch_max(start + bytes, Ordering::Relaxed);
        }
        is_prepared
    }

    /// Bytes of addresses that the device has reserved for the pool and not handed out, and of the records of them.
    pub(super) fn ahead(&self) -> (usize, usize) {
        if self.is_imported() { (0, 0) } else { self.source().device().ahead() }
    }

    /// The bytes that the device itself keeps to serve later requests of the pool, and the peak of all that it has for
    /// the pool.
    pub(super) fn kept_free(&self) -> Option<(u64, u64)> {
        if self.is_imported() { None } else { self.source().device().kept_free() }
    }

    /// Ends what the pool's device keeps for it. The pool has ended.
    pub(super) fn end_source(&self) {
        if !self.is_imported() {
            self.source().end();
        }
    }

    /// Takes up to `bytes` of finished free memory out of the pool, in whole granules wherever they lie, and keeps the
    /// granules for the next growth (PD-11). Returns how many bytes.
    pub(super) fn keep_free_granules(&'static self, bytes: usize) -> usize {
        let mut kept = 0;
        while kept < bytes {
            let mut prealloc = Prealloc::for_request(None);
            let mut state = self.state.lock();
            let Some(piece) = state.evict(bytes - kept, usize::MAX / 2, prealloc.as_mut()) else { break };
            state.figures.device_free_count -= 1;
            state.busy += 1;
            drop(state);
            self.clear_leaving(piece.start, piece.bytes);
            // SAFETY: it came from this device, and is not in the state or the table: no thread can reach it.
            let moved = unsafe { self.ops().keep(piece.start, piece.bytes) };
            if moved {
                kept += piece.bytes;
            } else {
                self.free_range(piece.start, piece.bytes);
            }
            let mut state = self.state.lock();
            state.busy -= 1;
            if moved {
                state.figures.device_bytes_total -= piece.bytes as u64;
            } else {
                state.figures.device_free_count += 1;
            }
        }
        kept
    }

    /// Memory of the host behind a free span. None: something else is there, or the system refuses.
    pub(super) fn map_behind(&'static self, room: RoomBehind, node: u32, huge: tn_huge_pages) -> Option<Piece> {
        let RoomBehind { start, bytes, reserved, .. } = room;
        if !reserved {
            if !HOST.reserve_at(start, bytes, node) {
                return None;
            }
            if huge == TN_HUGE_NEVER {
                // SAFETY: mapped a moment ago; no other thread knows it.
                unsafe { HOST.set_huge(start, bytes, TN_HUGE_NEVER) };
            }
        }
        self.commit(start, bytes)
    }

    /// Whether its memory is plain memory of the host, which can be mapped anywhere.
    pub(super) fn is_plain_host(&self) -> bool {
        !self.is_imported() && self.source() == Source::HOST
    }

    /// Reserves addresses of the host: a growth step, whose rest the pool keeps, or else just what is needed.
    fn reserve(&'static self, request: BackingRequest) -> Option<usize> {
        let BackingRequest { bytes, alignment, step, node, huge, .. } = request;
        // The host reserves what is requested, or nothing.
        let get = |bytes, alignment| HOST.reserve(bytes, alignment, node).ok().flatten();
        let never = |start: usize, bytes: usize| {
            if huge == TN_HUGE_NEVER {
                // SAFETY: reserved a moment ago; no other thread knows it.
                unsafe { HOST.set_huge(start, bytes, TN_HUGE_NEVER) };
            }
            start
        };
        if step > bytes
            && HOST.reserves_ahead()
            && let Some(start) =
                get(step, if step >= HUGE_PAGE_BYTES { alignment.max(HUGE_PAGE_BYTES) } else { alignment })
        {
            never(start, step);
            let rest = self.state.lock().add_reserved(start + bytes, step - bytes);
            if let Some(rest) = rest {
                // SAFETY: reserved and never used; it left the pool's state.
                unsafe { HOST.free(rest.start, rest.bytes) };
            }
            return Some(start);
        }
        get(bytes, alignment).map(|start| never(start, bytes))
    }

    /// Commits reserved addresses of the host. None: refused; the addresses went back to the system.
    pub(super) fn commit(&'static self, start: usize, bytes: usize) -> Option<Piece> {
        if HOST.commit(start, bytes) && self.prepare_table(start, bytes) {
            return Some(Piece::new(start, bytes));
        }
        self.free_range(start, bytes);
        None
    }

    /// Memory from an upstream or a device: a growth step, or else just what is needed.
    fn import_piece(&'static self, request: BackingRequest, record: &'static UpstreamPiece) -> Result<Option<Piece>> {
        let stream = self.backing_stream(&request)?;
        let get = |bytes| {
            self.call(|device| match stream {
                Some(stream) => device.reserve_on(stream, bytes, request.alignment),
                None => device.reserve(bytes, request.alignment, request.node),
            })
        };
        let Some((start, bytes)) = self.get_range(request, get)? else { return Ok(None) };
        let Ok(under) = self.span_under(start, bytes) else { return Err(self.send_back(start, bytes)) };
        record.set(start, bytes, under);
        Ok(Some(Piece { record: Some(record), ready: stream.map(Stream::end_of_use), ..Piece::new(start, bytes) }))
    }

    /// The stream in whose order memory comes; None: at once.
    fn backing_stream(&'static self, request: &BackingRequest) -> Result<Option<&'static Stream>> {
        match request.stream {
            _ if !self.ops().terms().in_order => Ok(None),
            None => stream::undelayed_stream(self.device()).map(Some),
            stream => Ok(stream),
        }
    }

    /// What the address table has where the upstream gave memory: nothing, or the span of another pool's large block
    /// that contains it. Err: the memory is in use elsewhere.
    fn span_under(&'static self, start: usize, bytes: usize) -> core::result::Result<Option<&'static Span>, ()> {
        let Some(span) = table::uniform(start, bytes)? else { return Ok(None) };
        // The owner of a span of small blocks treats all of it as its own, without a look into the table.
        if span.kind() == Kind::Small {
            return Err(());
        }
        let block = lookup::locate(start).ok_or(())?;
        let inside = block.start <= start && start + bytes <= block.start + block.usable;
        let others = !core::ptr::eq(block.pool, self);
        if inside && others { Ok(Some(span)) } else { Err(()) }
    }

    /// Returns memory to an upstream that gave it although it is in use.
    #[cold]
    pub(super) fn send_back(&'static self, start: usize, bytes: usize) -> Status {
        self.free_range(start, bytes);
        let name = self.name();
        fail(
            TN_ERR_FAILED,
            format_args!(
                "the upstream of pool \"{}\" returned {bytes} bytes at {start:#x}, which overlap memory of a pool; \
                 it must not return memory that is in use",
                name.as_str()
            ),
        )
    }

    /// Returns a range to the device. Nothing refers to it.
    fn free_range(&'static self, start: usize, bytes: usize) {
        if self.is_watched() {
            checker::open(start, bytes);
        }
        // SAFETY: it came from this device, and is not in the state or the table: no thread can reach it.
        if unsafe { self.call(|device| device.free(start, bytes)) } {
            return;
        }
        self.lost_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.is_imported() {
            self.state.lock().figures.misuse_count += 1;
        }
    }

    /// Tells an upstream that takes such hints which free memory has contents that no longer matter.
    pub(super) fn purge_upstream(&'static self, mut state: Locked<'static, PoolState>) -> Locked<'static, PoolState> {
        if !self.upstream.purges() {
            return state;
        }
        let first = state.take_used();
        state.busy += 1;
        drop(state);
        let page = self.page.load(Ordering::Relaxed);
        let mut next = first;
        while let Some(span) = next {
            next = span.next.get();
            let used = (span.bytes.get() - span.clean.get()) / page * page;
            if self.is_watched() {
                checker::open(span.start.get(), used);
            }
            // SAFETY: the span left the lists of free spans, and has no live block.
            unsafe { self.call(|device| device.discard(span.start.get(), used, false)) };
        }
        let mut state = self.state.lock();
        let mut next = first;
        while let Some(span) = next {
            next = span.next.get();
            state.set_free(span, span.freed_ms());
        }
        state.busy -= 1;
        state
    }

    pub(super) fn commit_at_creation(&'static self, settings: &Settings) -> Result<bool> {
        let Some(mut prealloc) = Prealloc::for_request(None) else { return Ok(false) };
        self.state.lock().figures.device_allocate_count += 1;
        let bytes = settings.floor.next_multiple_of(settings.terms.granule);
        let Settings { node, huge, .. } = *settings;
        let request = BackingRequest { bytes, alignment: GRANULE, step: 0, node, huge, stream: None };
        let piece = match self.fetch(request)? {
            None if self.ops().free_left_over() => self.fetch(request)?,
            piece => piece,
        };
        let Some(piece) = piece else { return Ok(false) };
        piece.record.into_iter().for_each(UpstreamPiece::keep);
        if settings.flags & TN_POOL_PREFAULT != 0 {
            // SAFETY: committed above; no other thread knows it.
            unsafe { self.ops().prefault(piece.start, bytes) };
        }
        Ok(self.state.lock().add_free(self, piece, &mut prealloc, os::coarse_ms()))
    }

    /// Ends a pool over an upstream together with its live blocks. All memory goes back to the upstream now, and the
    /// caller's reference is dropped. No other thread may use the pool meanwhile.
    pub fn abandon(&'static self) {
        let mut state = self.state.lock();
        state.retired = true;
        state.busy += 1;
        drop(state);
        thread_heap::end_all(self);
        self.free_ring();
        let mut state = self.state.lock();
        state.sort_returned(self);
        while let Some(piece) = state.abandon(self) {
            state = self.give_back(state, piece);
        }
        state.busy -= 1;
        drop(state);
        self.drop_ref();
    }

    /// Returns a piece that left the state to the device. The lock is released meanwhile.
    pub(super) fn give_back(
        &'static self,
        mut state: Locked<'static, PoolState>,
        piece: Piece,
    ) -> Locked<'static, PoolState> {
        state.busy += 1;
        drop(state);
        self.clear_leaving(piece.start, piece.bytes);
        self.free_range(piece.start, piece.bytes);
        if let Some(record) = piece.record {
            record.release();
        }
        let mut state = self.state.lock();
        state.busy -= 1;
        state
    }
}
