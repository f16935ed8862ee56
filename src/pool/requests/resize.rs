//! Raw blocks that change their size: in place, by moving their pages, or by a copy.
//!
//! Contract: a block is in limbo, and not in use, while it is resized. On failure it is live and unchanged.

use super::{LockedState, Request, free_for, lock_block, refuse_retired};
use crate::device::host::GRANULE;
use crate::error::Result;
use crate::pool::Pool;
use crate::pool::backing::huge;
use crate::pool::backing::huge::HUGE_PAGE_BYTES;
use crate::pool::client::Client;
use crate::pool::messages::Misuse;
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::stream_uses::Stream;
use crate::pool::span::{Kind, Span, SpanSource, class};
use crate::pool::state::growth::BackingRequest;
use crate::pool::state::{Count, NewBlock, Piece, PoolState, Prealloc, Want};
use crate::sys::{checker, os};
use crate::types::*;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

/// The new place of a block.
struct Moved {
    address: usize,
    /// The old block is still in limbo and must be freed.
    old_left: bool,
}

impl Pool {
    /// Changes the size of a raw block: in place, by moving its pages, or by a copy. Allocates for address 0. Frees
    /// for 0 bytes, and returns None. On failure the old block is live and unchanged (PO-18 to PO-21).
    pub fn reallocate(&'static self, address: usize, bytes: usize, stamp: u64) -> Result<Option<NonNull<u8>>> {
        self.reallocate_on(None, address, bytes, stamp)
    }

    /// As `reallocate`, in the order of a stream, on which the old block is freed.
    pub fn reallocate_on(
        &'static self,
        stream: Option<&'static Stream>,
        address: usize,
        bytes: usize,
        stamp: u64,
    ) -> Result<Option<NonNull<u8>>> {
        if address == 0 {
            return self.allocate_raw_on(Client::RAW, stream, bytes, 0, false, stamp).map(Some);
        }
        if bytes == 0 {
            return (self.policy().free)(self, Client::RAW, stream, address).map(|()| None);
        }
        self.resize(Client::RAW, stream, address, bytes).map(Some)
    }

    /// Changes the size of a client's block, to at least 1 byte. On failure the old block is live and unchanged.
    pub fn reallocate_for(&'static self, client: Client, address: usize, bytes: usize) -> Result<NonNull<u8>> {
        self.resize(client, None, address, bytes)
    }

    fn resize(
        &'static self,
        client: Client,
        stream: Option<&'static Stream>,
        address: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>> {
        self.log_resize(client, address, bytes, || (self.policy().resize)(self, client, stream, address, bytes))
    }

    /// Changes the size of a block of a host pool, for which streams mean nothing.
    pub(super) fn resize_on_host(
        &'static self,
        client: Client,
        _: Option<&'static Stream>,
        address: usize,
        bytes: usize,
    ) -> Result<NonNull<u8>> {
        let mut prealloc = Prealloc::for_request(None);
        let (_, mut state, span, index) = lock_block(address, Some(self), client)?;
        let block = span.block(index);
        if state.retired {
            return Err(refuse_retired(state, block));
        }
        // From here on no thread can free, find or resize it, with or without the lock.
        if !span.exchange(index, BlockState::Raw, BlockState::Limbo) {
            let pool = state.name;
            drop(state);
            return Err(Misuse::Stale { pool }.status(address));
        }
        let before = self.watched(address, block.requested, span.extent());
        state = self.clear_end(state, span, bytes);
        if self.resize_in_place(&mut state, span, index, block, bytes, prealloc.as_mut()) {
            if let Some(watched) = before {
                watched.resize(bytes, span.extent(), false);
            }
            span.exchange(index, BlockState::Limbo, BlockState::Raw);
            state.account(block).tally.reallocated += 1;
            self.enforce_threshold(state, usize::MAX);
            // SAFETY: addresses of blocks are never 0.
            return Ok(unsafe { NonNull::new_unchecked(address as *mut u8) });
        }
        // The block must move. It does not count as in use meanwhile, or the peak would count both blocks.
        state.count_out(span.block_bytes.get(), block);
        if span.kind() == Kind::Small {
            drop((state, prealloc));
            return self.move_small(client, address, span, index, block, bytes);
        }
        state.busy += 1;
        drop((state, prealloc));
        let moved = self.move_block(address, span, block, bytes);
        let mut state = self.state.lock();
        match &moved {
            Ok(to) => {
                state.account(block).tally.reallocated += 1;
                if to.old_left {
                    self.free_begun(state, span, index);
                    state = self.state.lock();
                }
            }
            Err(_) => state.undo_free(span, index, BlockState::Raw),
        }
        state.busy -= 1;
        self.enforce_threshold(state, usize::MAX);
        // SAFETY: addresses of blocks are never 0.
        moved.map(|to| unsafe { NonNull::new_unchecked(to.address as *mut u8) })
    }

    /// Clears the end that a large block in limbo gives up in place, if the pool clears freed memory.
    fn clear_end(&'static self, mut state: LockedState, span: &'static Span, bytes: usize) -> LockedState {
        let clears =
            self.flags.load(Ordering::Relaxed) & TN_POOL_ZERO_ON_FREE != 0 && self.touch.load(Ordering::Relaxed);
        let (old, page) = (span.block_bytes.get(), self.page.load(Ordering::Relaxed));
        let usable = bytes.checked_next_multiple_of(page).filter(|&usable| usable < old / 2);
        let Some(usable) = usable.filter(|_| clears && span.kind() == Kind::Large) else { return state };
        state.busy += 1;
        drop(state);
        if self.is_watched() {
            checker::open(span.start.get() + usable, old - usable);
        }
        // SAFETY: a block in limbo is this call's alone, and its holder keeps only the first `bytes`.
        unsafe { self.ops().fill(span.start.get() + usable, old - usable, 0) };
        let mut state = self.state.lock();
        state.busy -= 1;
        state
    }

    /// Moves a small block in limbo. A heap may own its span, so the old block is freed as any caller frees it.
    fn move_small(
        &'static self,
        client: Client,
        address: usize,
        span: &'static Span,
        index: usize,
        block: Block,
        bytes: usize,
    ) -> Result<NonNull<u8>> {
        let usable = span.block_bytes.get();
        let moved = self.move_block(address, span, block, bytes);
        self.state.lock().change(block, usable as u64, block.requested as u64);
        span.exchange(index, BlockState::Limbo, BlockState::Raw);
        let to = moved?.address;
        let given_back = free_for(client, Some(self), address, None);
        debug_assert!(given_back.is_ok(), "it was live, and this call alone had it");
        self.state.lock().count_moved(block);
        // SAFETY: addresses of blocks are never 0.
        Ok(unsafe { NonNull::new_unchecked(to as *mut u8) })
    }

    fn resize_in_place(
        &'static self,
        state: &mut PoolState,
        span: &'static Span,
        index: usize,
        block: Block,
        bytes: usize,
        mut prealloc: Option<&mut Prealloc>,
    ) -> bool {
        if span.kind() == Kind::Small {
            let with_red_zone = bytes.saturating_add(self.red_zone_bytes(block.alignment));
            if class::fitting(with_red_zone, block.alignment) != Some(span.class.get()) {
                return false;
            }
            state.resize(span, index, block, bytes);
            return true;
        }
        let Some(usable) = bytes.checked_next_multiple_of(self.page.load(Ordering::Relaxed)) else { return false };
        let old = span.block_bytes.get();
        let Some(whole) = bytes.checked_add(self.red_zone_bytes(block.alignment)) else { return false };
        let whole = whole.max(usable);
        if whole > span.bytes.get() {
            let Some(span_bytes) = whole.checked_next_multiple_of(GRANULE) else { return false };
            state.merge_recent();
            if !prealloc.as_deref_mut().is_some_and(|prealloc| state.grow_in_place(self, span, span_bytes, prealloc)) {
                return false;
            }
            state.set_usable(span, usable);
        } else if usable > old {
            state.set_usable(span, usable);
        }
        state.resize(span, index, block, bytes);
        // Last, so that no reader sees a block with more requested than usable bytes.
        if usable < old / 2
            && let Some(prealloc) = prealloc
        {
            state.shrink(span, usable, prealloc, os::coarse_ms());
        }
        true
    }

    /// Moves a block in limbo, with its contents, to a larger place.
    fn move_block(&'static self, address: usize, span: &'static Span, block: Block, bytes: usize) -> Result<Moved> {
        let want = self.want(bytes, Block { requested: bytes, ..block })?;
        // One call cannot move the pages of several reservations.
        let by_pages = span.kind() == Kind::Large
            && want.class.is_none()
            && matches!(span.source(), SpanSource::Reservation(_))
            && !self.is_imported()
            && !checker::watches();
        if by_pages
            && want.span_bytes > span.bytes.get()
            && let Some(address) = self.remap(span, &want)?
        {
            return Ok(Moved { address, old_left: false });
        }
        if !self.touch.load(Ordering::Relaxed) {
            return Err(self.untouchable("cannot grow in place, and the host cannot copy it; copy it"));
        }
        let placed = self.allocate_block(want, Count { allocation: false, zeroed: false })?;
        self.tell_checker(&placed, bytes, false);
        // All usable bytes of the old block may have been written, so all are copied. A memory checker allows only the
        // requested ones.
        let old_bytes = if self.is_watched() { block.requested } else { span.block_bytes.get() };
        // SAFETY: the old block is in limbo, so no thread frees it; no other thread knows the new one. Both have
        // that many bytes, and live blocks do not overlap.
        unsafe { self.ops().copy(placed.address, address, bytes.min(old_bytes)) };
        Ok(Moved { address: placed.address, old_left: true })
    }

    /// Moves the pages of a large block in limbo to a longer range, and makes the block live there. None, and nothing
    /// is changed: the system cannot, or has no addresses.
    fn remap(&'static self, span: &'static Span, want: &Want) -> Result<Option<usize>> {
        let ops = self.ops();
        let (old, old_bytes) = (span.start.get(), span.bytes.get());
        let more = want.span_bytes - old_bytes;
        let mut parts = [(0, 0); huge::PARTS];
        let Some(count) = huge::parts(old, old_bytes, &mut parts) else { return Ok(None) };
        let lacking = Want { span_bytes: more, ..*want };
        let Some(prealloc) = Prealloc::for_request(None) else { return Ok(None) };
        let mut request = Request::new(lacking, Count { allocation: false, zeroed: false }, prealloc);
        let (node, how) = loop {
            let mut state = self.state.lock();
            if !state.over_limit(more) {
                state.coming_bytes += more;
                state.figures.device_allocate_count += 1;
                break (state.settings.node, state.settings.huge);
            }
            drop(state);
            if !self.try_steps(self.policy().at_limit, &mut request) {
                return Err(self.out_of_memory(TN_ERR_POOL_LIMIT, want));
            }
            let Some(prealloc) = Prealloc::for_request(None) else { return Ok(None) };
            request.prealloc = prealloc;
        };
        // The system moves whole page tables if both ranges have the same offset in a huge page.
        let alignment = if old.is_multiple_of(HUGE_PAGE_BYTES) {
            want.span_alignment.max(HUGE_PAGE_BYTES)
        } else {
            want.span_alignment
        };
        let backing = BackingRequest { bytes: want.span_bytes, alignment, step: 0, node, huge: how, stream: None };
        let Ok(Some(Piece { start: to, .. })) = self.fetch(backing) else {
            self.state.lock().coming_bytes -= more;
            return Ok(None);
        };
        // The system may give the old addresses to another pool the moment the pages have moved. So they leave the
        // table, and lose their marks, before.
        let marked = parts.map(|(at, bytes)| bytes > 0 && huge::is_marked(at));
        let mut state = self.state.lock();
        state.lift(span);
        state.figures.huge_bytes -= (huge::unmark(old, old_bytes) * HUGE_PAGE_BYTES) as u64;
        drop(state);
        // SAFETY: the old range is this span's, in limbo; the new one was reserved for this call and is unused. If
        // the move fails, the new range is not used again, as both calls require.
        let moved = unsafe {
            match count {
                1 => ops.move_pages(old, old_bytes, to, want.span_bytes),
                _ => ops.move_parts(&parts[..count], to),
            }
        };
        let mut state = self.state.lock();
        state.coming_bytes -= more;
        if moved {
            state.put_down(span, to, want);
            drop(state);
            self.request_huge_pages(want, &NewBlock::new(to, true));
            return Ok(Some(to));
        }
        state.put_back(span);
        for ((at, bytes), _) in parts.into_iter().zip(marked).filter(|(_, marked)| *marked) {
            let start = at / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
            state.figures.huge_bytes += (huge::mark(start, at + bytes - start, false) * HUGE_PAGE_BYTES) as u64;
        }
        drop(state);
        self.lost_bytes.fetch_add(want.span_bytes as u64, Ordering::Relaxed);
        Ok(None)
    }
}
