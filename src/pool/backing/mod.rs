//! What a pool gets from its device and gives back, and how it calls one.
//!
//! Contract: called under no lock. Nearly every pool's device is the host, which needs no care; what other devices give goes back as it
//! came; a caller's upstream is
//! foreign code: it runs outside the library, and calls of the same pool that it makes on that thread are refused. For
//! that the thread's heap of the pool is hidden meanwhile, so that the path through heaps need not ask.

pub(super) mod huge;

pub(super) mod pressure;

mod purge;

pub(super) mod trim;

use crate::device::host::{GRANULE, HOST};
use crate::device::{Device, Source};
use crate::error::{Result, Status, fail};
use crate::pool::lock::Guard;
use crate::pool::options::Settings;
use crate::pool::span::{Kind, Span, table};
use crate::pool::state::{Piece, PoolState, Prealloc, UpstreamPiece};
use crate::pool::{Pool, lookup, thread_heap};
use crate::sys::{checker, os};
use crate::thread::{self, Thread};
use crate::types::*;
use core::sync::atomic::Ordering;
use huge::HUGE_PAGE_BYTES;

/// What is asked of the device.
#[derive(Clone, Copy)]
pub(super) struct BackingRequest {
    pub bytes: usize,
    pub alignment: usize,
    /// Bytes by which the pool would grow, or less than are needed.
    pub step: usize,
    /// 0, or 1 + the NUMA node to prefer.
    pub node: u32,
    /// TN_HUGE_.
    pub huge: i32,
}

/// A callback under way. Lies on the stack of the thread that makes it.
struct Frame {
    pool: &'static Pool,
    /// The one in which it was made.
    below: usize,
}

impl Pool {
    /// Whether its memory comes from a caller's upstream.
    #[inline]
    pub fn is_imported(&self) -> bool {
        self.upstream.is_there()
    }

    /// TN_HOST_ flags that its page-locked memory has; 0 of any other.
    pub fn host_flags(&'static self) -> u32 {
        self.ops().host_flags()
    }

    /// The device, for what calls nobody: looks, fills, copies, moves.
    pub(super) fn ops(&'static self) -> &'static dyn Device {
        if self.is_imported() { &self.upstream } else { self.source().device() }
    }

    /// Where its memory comes from, if not from a caller's upstream.
    fn source(&self) -> Source {
        // SAFETY: set from a source's bits by `make`.
        unsafe { Source::from_bits(self.source.load(Ordering::Relaxed)) }
    }

    /// Calls the device for what an upstream is asked for.
    pub(super) fn call<R>(&'static self, work: impl FnOnce(&dyn Device) -> R) -> R {
        if !self.is_imported() {
            return work(self.source().device());
        }
        thread::outside(|| {
            let thread = thread::current();
            let frame = Frame { pool: self, below: thread.calling() };
            thread.set_calling(&raw const frame as usize);
            thread_heap::hide(thread, self);
            let result = work(&self.upstream);
            thread_heap::show(thread, self);
            thread.set_calling(frame.below);
            result
        })
    }

    /// Whether a callback of its upstream is under way on this thread.
    #[inline]
    pub(super) fn is_calling(&self, thread: &'static Thread) -> bool {
        thread.calling() != 0 && self.calls(thread)
    }

    #[cold]
    fn calls(&self, thread: &'static Thread) -> bool {
        let mut at = thread.calling() as *const Frame;
        // SAFETY: 0, or a frame of this thread's stack, which is there until `call` has taken it off.
        while let Some(frame) = unsafe { at.as_ref() } {
            if core::ptr::eq(frame.pool, self) {
                return true;
            }
            at = frame.below as *const Frame;
        }
        false
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

    /// Memory from the device. None: refused.
    pub(super) fn fetch(&'static self, asked: BackingRequest) -> Result<Option<Piece>> {
        if !self.is_imported() && !self.is_stream_ordered() {
            return Ok(self.reserve(asked).and_then(|start| self.commit(start, asked.bytes)));
        }
        let Some(segment) = UpstreamPiece::create() else { return Ok(None) };
        let fetched = self.import_piece(asked, segment);
        if !matches!(fetched, Ok(Some(_))) {
            segment.release();
        }
        fetched
    }

    /// Addresses of the host: a step of the pool's growth, of which the rest is kept, or without that just what is needed.
    fn reserve(&'static self, asked: BackingRequest) -> Option<usize> {
        let BackingRequest { bytes, alignment, step, node, huge } = asked;
        // The host gives what is asked for, or nothing.
        let get = |bytes, alignment| HOST.reserve(bytes, alignment, node).ok().flatten();
        let never = |start: usize, bytes: usize| {
            if huge == TN_HUGE_NEVER {
                // SAFETY: reserved a moment ago, known to nobody.
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
                // SAFETY: reserved and never used; it left the state.
                unsafe { HOST.free(rest.start, rest.bytes) };
            }
            return Some(start);
        }
        get(bytes, alignment).map(|start| never(start, bytes))
    }

    /// Makes addresses of the host memory of the pool that is in no state yet. None: refused, and they went back.
    pub(super) fn commit(&'static self, start: usize, bytes: usize) -> Option<Piece> {
        if HOST.commit(start, bytes) && table::prepare(start, bytes) {
            return Some(Piece { start, bytes, segment: None });
        }
        self.free_range(start, bytes);
        None
    }

    /// Memory from the upstream: a step of the pool's growth, or without that just what is needed.
    fn import_piece(&'static self, asked: BackingRequest, segment: &'static UpstreamPiece) -> Result<Option<Piece>> {
        let get = |bytes| self.call(|device| device.reserve(bytes, asked.alignment, asked.node));
        let mut bytes = asked.step.max(asked.bytes);
        let mut start = get(bytes)?;
        if start.is_none() && bytes > asked.bytes {
            bytes = asked.bytes;
            start = get(bytes)?;
        }
        let Some(start) = start else { return Ok(None) };
        if !table::prepare(start, bytes) {
            self.free_range(start, bytes);
            return Ok(None);
        }
        let Ok(under) = self.what_is_under(start, bytes) else { return Err(self.send_back(start, bytes)) };
        segment.set(start, bytes, under);
        Ok(Some(Piece { start, bytes, segment: Some(segment) }))
    }

    /// What the table shows in a range that the upstream gave: nothing, or the span of another pool's large block, which
    /// contains it. Err: memory that somebody else has.
    fn what_is_under(&'static self, start: usize, bytes: usize) -> core::result::Result<Option<&'static Span>, ()> {
        let Some(span) = table::uniform(start, bytes)? else { return Ok(None) };
        // The owner of a span of small blocks takes for its own what lies there, and does not look into the table each time.
        if span.kind() == Kind::Small {
            return Err(());
        }
        let block = lookup::locate(start).ok_or(())?;
        let inside = block.start <= start && start + bytes <= block.start + block.usable;
        let others = !core::ptr::eq(block.pool, self);
        if inside && others { Ok(Some(span)) } else { Err(()) }
    }

    /// Gives memory back that is not new.
    #[cold]
    pub(super) fn send_back(&'static self, start: usize, bytes: usize) -> Status {
        self.free_range(start, bytes);
        let name = self.name();
        fail(
            TN_ERR_FAILED,
            format_args!(
                "the upstream of pool \"{}\" gave {bytes} bytes at {start:#x}, of which a pool has some already; \
                 it must give what it gave to nobody else",
                name.as_str()
            ),
        )
    }

    /// Gives a range to the device that nothing leads to.
    fn free_range(&'static self, start: usize, bytes: usize) {
        if self.watched(start, bytes).is_some() {
            checker::open(start, bytes);
        }
        // SAFETY: it came from this device, and left the state and the table or never was in them: nobody can reach it.
        if unsafe { self.call(|device| device.free(start, bytes)) } {
            return;
        }
        self.lost.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.is_imported() {
            self.state.lock().figures.misuse_count += 1;
        }
    }

    /// Lets the upstream know which free memory nobody needs the contents of, where it wants to hear that.
    pub(super) fn purge_upstream(&'static self, mut state: Guard<'static, PoolState>) -> Guard<'static, PoolState> {
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
            if self.watched(span.start.get(), used).is_some() {
                checker::open(span.start.get(), used);
            }
            // SAFETY: the span left the lists of free ones, and has no live block.
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
        let asked = BackingRequest { bytes, alignment: GRANULE, step: 0, node: settings.node, huge: settings.huge };
        let Some(piece) = self.fetch(asked)? else { return Ok(false) };
        piece.segment.into_iter().for_each(UpstreamPiece::keep);
        if settings.flags & TN_POOL_PREFAULT != 0 {
            // SAFETY: committed above, known to nobody.
            unsafe { self.ops().prefault(piece.start, bytes) };
        }
        Ok(self.state.lock().add_free(self, piece, &mut prealloc, os::coarse_ms()))
    }

    /// Ends a pool over an upstream with all its blocks, whoever has them: everything goes back to the upstream now, and
    /// the caller's hold ends. Nobody uses the pool meanwhile.
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

    /// Gives a piece that left the state to the device, without the lock.
    pub(super) fn give_back(
        &'static self,
        mut state: Guard<'static, PoolState>,
        piece: Piece,
    ) -> Guard<'static, PoolState> {
        state.busy += 1;
        drop(state);
        self.clear_leaving(piece.start, piece.bytes);
        self.free_range(piece.start, piece.bytes);
        if let Some(segment) = piece.segment {
            segment.release();
        }
        let mut state = self.state.lock();
        state.busy -= 1;
        state
    }
}
