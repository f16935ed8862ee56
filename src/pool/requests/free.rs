//! Frees on the slow path: checks, strict mode's pattern and delay, and the end of the block.
//!
//! Contract: an address that is not a live raw block returns a status code and changes counts only. Between the free
//! and the moment when the block can be allocated again, the block is in limbo. No thread can free, find or resize a
//! block in limbo, and its bytes are touched under no lock.

use super::{LockedState, lock_block, owner};
use crate::error::Result;
use crate::pool::client::Client;
use crate::pool::span::block_state::BlockState;
use crate::pool::span::stream_uses::Stream;
use crate::pool::span::{Kind, PATTERN, Span, table};
use crate::pool::state::{Found, Ring};
use crate::pool::{HOST, Pool, log, messages, remote_free, stream_ordered, thread_heap};
use crate::sys::{checker, os};
use crate::thread::{self, Thread};
use crate::types::*;
use core::convert::Infallible;
use core::sync::atomic::Ordering;

/// Frees a raw block. `through`: the pool that was passed; None: any pool. Address 0: nothing happens (PO-22, PO-24
/// to PO-29).
pub fn deallocate(through: Option<&'static Pool>, address: usize) -> Result<()> {
    deallocate_for(Client::RAW, through, address, None)
}

/// As `deallocate`, for a client. `bytes`: the size that the client believes the block has, if it says one. A
/// difference is counted, and the pool's own size holds (AL-4).
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
    log::free(through, address, BlockState::Raw, || free_for(client, through, address, bytes))
}

/// As [`deallocate_for`], without an event. Returns the bytes that were requested.
#[inline]
pub(in crate::pool) fn free_for(
    client: Client,
    through: Option<&'static Pool>,
    address: usize,
    bytes: Option<usize>,
) -> Result<usize> {
    let fast = through
        .zip(thread::current_if_registered())
        .and_then(|(pool, thread)| thread_heap::deallocate_in_fast(thread, pool, address, BlockState::Raw));
    match fast.or_else(|| thread_heap::deallocate(through, address, BlockState::Raw)) {
        Some(requested) if bytes.is_none_or(|bytes| bytes == requested) => Ok(requested),
        Some(requested) => {
            if let Some(pool) = through {
                pool.state.lock().clients[client.index()].mismatches += 1;
            }
            Ok(requested)
        }
        None => free_slow(client, through, address, bytes),
    }
}

/// As [`deallocate_for`], in the order of the stream that `stream` returns for the block's device. None: on the
/// host now, or on the thread's current stream where the host cannot touch the memory.
pub fn deallocate_on(
    client: Client,
    through: Option<&'static Pool>,
    address: usize,
    bytes: Option<usize>,
    stream: impl FnOnce(tn_device) -> Result<Option<&'static Stream>>,
) -> Result<()> {
    let Some(pool) = stream_ordered::owner_of(through, address) else {
        stream(HOST)?;
        return deallocate_for(client, through, address, bytes);
    };
    match stream(pool.device())? {
        None => log::free(through, address, BlockState::Raw, || pool.free_now(client, through, address, bytes)),
        stream => pool.deallocate_ordered(client, through, address, bytes, stream),
    }
}

/// As [`deallocate_for`], of a block that no stream uses any more. Uses that were recorded still count.
pub fn deallocate_finished(
    client: Client,
    through: Option<&'static Pool>,
    address: usize,
    bytes: Option<usize>,
) -> Result<()> {
    match stream_ordered::owner_of(through, address) {
        Some(pool) => pool.deallocate_ordered(client, through, address, bytes, None),
        None => deallocate_for(client, through, address, bytes),
    }
}

/// Frees blocks of spans that no heap owns, and refuses addresses that are no blocks.
#[cold]
#[inline(never)]
fn free_slow(client: Client, through: Option<&'static Pool>, address: usize, bytes: Option<usize>) -> Result<usize> {
    if let Some(pool) = stream_ordered::owner_of(through, address) {
        return pool.free_now(client, through, address, bytes);
    }
    loop {
        let (pool, mut state, span, index) = lock_block(address, through, client)?;
        let block = span.block(index);
        if bytes.is_some_and(|bytes| bytes != block.requested) {
            state.account(block).mismatches += 1;
        }
        // False: another thread freed it meanwhile. The next attempt refuses.
        if pool.free(state, span, index, BlockState::Raw) {
            return Ok(block.requested);
        }
    }
}

impl Pool {
    /// Frees the block of a store. Called once by its ledger, on any thread. Cannot fail.
    #[inline(always)]
    pub fn free_store(&'static self, thread: &'static Thread, address: usize) {
        if thread_heap::deallocate_in_fast(thread, self, address, BlockState::Store).is_none() {
            self.free_store_slow(address);
        }
    }

    #[inline(never)]
    fn free_store_slow(&'static self, address: usize) {
        let Ok(()) = log::free(Some(self), address, BlockState::Store, || {
            Ok::<_, Infallible>(self.free_store_unlogged(address))
        });
    }

    /// Returns the bytes that were requested.
    fn free_store_unlogged(&'static self, address: usize) -> usize {
        if let Some(requested) = thread_heap::deallocate(Some(self), address, BlockState::Store) {
            return requested;
        }
        let Some((pool, state, span)) = owner(address) else {
            debug_assert!(false, "{address:#x} is in no pool");
            return 0;
        };
        match state.classify(span, address) {
            Found::Block { index, start, block } if start == address && block.state == BlockState::Store => {
                debug_assert!(core::ptr::eq(pool, self));
                let freed = pool.free(state, span, index, BlockState::Store);
                debug_assert!(freed, "a store has one ledger");
                block.requested
            }
            found => {
                debug_assert!(false, "{address:#x} backs no store: {found:?}");
                0
            }
        }
    }

    /// Frees a live block, under the lock, which is released. False: the block is not live any more.
    pub(in crate::pool) fn free(
        &'static self,
        mut state: LockedState,
        span: &'static Span,
        index: usize,
        from: BlockState,
    ) -> bool {
        let block = span.block(index);
        if block.state != from || !span.exchange(index, from, BlockState::Limbo) {
            return false;
        }
        let tally = &mut state.account(block).tally;
        tally.freed = tally.freed.wrapping_add(1);
        state.count_out(span.block_bytes.get(), block);
        if span.heap().is_some() {
            // The owner does not wait for this lock.
            remote_free::publish(self, span, index);
            return true;
        }
        self.free_begun(state, span, index);
        true
    }

    /// Frees a block in limbo, under the lock, which is released.
    pub(super) fn free_begun(&'static self, mut state: LockedState, span: &'static Span, index: usize) {
        let mut flags = state.settings.flags & (TN_POOL_STRICT | TN_POOL_ZERO_ON_FREE);
        let (address, block) = (span.start.get() + index * span.block_bytes.get(), span.block(index));
        if self.is_dead(address) {
            self.mark_dead(span);
            flags = 0;
        }
        let watched = self.watched(address, block.requested, span.extent());
        if flags == 0 {
            if let Some(watched) = watched {
                watched.give_back();
            }
            let just_freed = state.end_free(span, index, if span.kind() == Kind::Large { os::coarse_ms() } else { 0 });
            if state.settings.terms.in_order {
                state = self.give_back_in_order(state, address);
            } else if state.settings.terms.whole
                && !self.ops().can_keep(address)
                && let Some(piece) = state.evict_at(address)
            {
                state = self.give_back(state, piece);
            }
            if just_freed > 0 || state.retired {
                self.enforce_threshold(state, just_freed);
            }
            return;
        }
        state.busy += 1;
        span.uses.close_open_uses();
        drop(state);
        if let Some(watched) = watched {
            checker::open(address, watched.extent);
        }
        (self.policy().erase)(self, span, address, flags);
        if let Some(watched) = watched {
            watched.give_back();
        }
        let state = self.state.lock();
        let mut out = Some(address);
        if let Some(ring) = state.ring {
            out = if ring.is_full() { ring.pop() } else { None };
            ring.push(address);
        }
        drop(state);
        let mut just_freed = 0;
        if let Some(out) = out {
            just_freed = self.end_limbo(out);
        }
        let mut state = self.state.lock();
        state.busy -= 1;
        self.enforce_threshold(state, just_freed);
    }

    /// Fills or clears a freed block of a host pool.
    pub(super) fn erase_on_host(&'static self, span: &'static Span, address: usize, flags: u32) {
        if !self.touch.load(Ordering::Relaxed) {
            return;
        }
        let value = if flags & TN_POOL_STRICT != 0 { PATTERN } else { 0 };
        // SAFETY: the block is in limbo: its holder freed it, and it cannot be allocated before the caller makes it
        // free.
        unsafe { self.ops().fill(address, span.block_bytes.get(), value) };
    }

    /// Makes a block in limbo free, and in strict mode checks whether it was written to. Returns the bytes of the
    /// span that became free.
    fn end_limbo(&'static self, address: usize) -> usize {
        let Some(span) = table::find(address) else { return 0 };
        let (start, block_bytes) = (span.start.get(), span.block_bytes.get());
        let flags = self.flags.load(Ordering::Relaxed);
        let mut damaged = false;
        let watched = self.is_watched();
        if watched {
            checker::open(address, block_bytes);
        }
        let is_erased = (self.touch.load(Ordering::Relaxed) || self.is_stream_ordered()) && !self.is_dead(address);
        let has_pattern = is_erased && (self.policy().has_pattern)(span);
        if flags & TN_POOL_STRICT != 0 && has_pattern {
            // SAFETY: in limbo, and this call took it off the ring: no other thread uses it.
            damaged = unsafe { self.ops().is_filled(address, block_bytes, PATTERN) } == Some(false);
            if flags & TN_POOL_ZERO_ON_FREE != 0 {
                // SAFETY: as above.
                unsafe { self.ops().fill(address, block_bytes, 0) };
            }
        }
        if watched {
            checker::shut(address, block_bytes);
        }
        if damaged {
            messages::damaged(self, address, block_bytes);
        }
        let mut state = self.state.lock();
        state.figures.misuse_count += damaged as u64;
        let just_freed = state.end_free(span, (address - start) / block_bytes, os::coarse_ms());
        if state.settings.terms.in_order {
            drop(self.give_back_in_order(state, address));
        }
        just_freed
    }

    /// Makes the blocks free that strict mode holds back now; other threads may add more meanwhile. False: there were
    /// none.
    pub(in crate::pool) fn free_ring(&'static self) -> bool {
        let held = self.state.lock().ring.map_or(0, Ring::count);
        for _ in 0..held {
            let mut state = self.state.lock();
            let Some(address) = state.ring.and_then(Ring::pop) else { break };
            state.busy += 1;
            drop(state);
            self.end_limbo(address);
            self.state.lock().busy -= 1;
        }
        held > 0
    }
}
