//! Requests: checked, rounded, served by the thread's heap or the slow path, and cleared if zeros were requested.
//!
//! Contract: a small block comes from the calling thread's heap, without the pool's lock. Everything else goes to
//! `allocate_block`. A refused request counts as a failure of its client.

use super::free_for;
use crate::device::host::GRANULE;
use crate::device::type_name;
use crate::error::{Result, Status, fail};
use crate::pool::backing::decayed::give_back_decayed;
use crate::pool::client::Client;
use crate::pool::options::{APART, LARGEST_ALIGNMENT};
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::{class, table};
use crate::pool::state::{Count, NewBlock, Want};
use crate::pool::{Pool, thread_heap};
use crate::probes;
use crate::thread::{self, Thread};
use crate::types::*;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

/// A request for a pool's `initial_size`, for messages.
pub(in crate::pool) fn creation(bytes: usize) -> Want {
    let block = Block { state: BlockState::Raw, alignment: GRANULE, requested: bytes, tag: 0 };
    Want::alone(bytes, bytes, GRANULE, block)
}

impl Pool {
    /// Allocates a block of at least `bytes` at a multiple of `alignment` (0: the pool's). `owner`: 0 for a raw
    /// block, else the tag of the store that it backs; [`Pool::free_store`] frees such a block. A request of 0 bytes
    /// gets a block of its own.
    pub fn allocate(&'static self, bytes: usize, alignment: usize, zeroed: bool, owner: u64) -> Result<NonNull<u8>> {
        let state = if owner == 0 { BlockState::Raw } else { BlockState::Store };
        self.request(bytes, alignment, zeroed, state, owner)
    }

    /// As `allocate`, for a store of the calling thread. Returns the address.
    #[inline(always)]
    pub fn allocate_store(
        &'static self,
        thread: &'static Thread,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        owner: u64,
    ) -> Result<usize> {
        // The fast path does not know whether a block reads 0.
        let block = Block { state: BlockState::Store, alignment, requested: bytes, tag: owner };
        if !zeroed && let Some(address) = thread_heap::allocate_in_fast(thread, self, block) {
            return Ok(address);
        }
        Ok(self.allocate(bytes, alignment, zeroed, owner)?.as_ptr() as usize)
    }

    /// As `allocate`, for a raw block whose tag is the stamp of the allocating thread.
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
        let fast = || match thread::current_if_registered() {
            Some(thread) if bytes <= class::LARGEST_BYTES => {
                let block = Block { state: BlockState::Raw, alignment, requested: bytes, tag };
                thread_heap::allocate_in_fast(thread, self, block)
            }
            _ => thread_heap::allocate_kept_fast(self, bytes, alignment, tag),
        };
        // What the thread keeps was not cleared.
        if !zeroed && let Some(address) = fast() {
            // SAFETY: addresses of blocks are never 0.
            return Ok(unsafe { NonNull::new_unchecked(address as *mut u8) });
        }
        self.request(bytes, alignment, zeroed, BlockState::Raw, tag)
    }

    fn request(
        &'static self,
        bytes: usize,
        alignment: usize,
        zeroed: bool,
        state: BlockState,
        tag: u64,
    ) -> Result<NonNull<u8>> {
        if self.is_stream_ordered() {
            return self.request_ordered(None, bytes, alignment, zeroed, state, tag).map(|made| made.0);
        }
        give_back_decayed();
        let alignment = self.alignment_of(alignment, Block { state, alignment: 8, requested: bytes, tag })?;
        let block = Block { state, alignment, requested: bytes, tag };
        let placed = match self.heap_block(bytes, block, zeroed) {
            Some(placed) => placed,
            None => self.request_more(bytes, block, zeroed)?,
        };
        if zeroed && !placed.zero && bytes > 0 {
            self.clear(&placed, bytes)?;
        }
        self.log_allocation(placed.address, block, 0);
        // SAFETY: addresses of blocks are never 0.
        Ok(unsafe { NonNull::new_unchecked(placed.address as *mut u8) })
    }

    /// The alignment of a request; 0 means the pool's.
    #[inline]
    pub(in crate::pool) fn alignment_of(&self, alignment: usize, block: Block) -> Result<usize> {
        match alignment {
            0 => Ok(self.alignment()),
            a if a.is_power_of_two() && a <= LARGEST_ALIGNMENT => Ok(a),
            a => Err(self.refuse_alignment(a, block)),
        }
    }

    #[cold]
    fn refuse_alignment(&self, alignment: usize, block: Block) -> Status {
        let mut state = self.state.lock();
        state.count_failure(block);
        drop(state);
        let most = LARGEST_ALIGNMENT;
        fail(
            TN_ERR_INVALID,
            format_args!("alignment {alignment} is not a power of two up to {most}; use 0 for the pool's"),
        )
    }

    /// Clears the beginning of a new block, except for bytes that are known to read 0 (PH-14). No other thread knows
    /// the block.
    fn clear(&'static self, placed: &NewBlock, bytes: usize) -> Result<()> {
        if !self.touch.load(Ordering::Relaxed) {
            return Err(self.refuse_to_clear(placed.address));
        }
        // SAFETY: the block was just made for this call, and has that many bytes.
        let skipped = unsafe { self.ops().clear(placed.address, bytes.min(placed.dirty)) };
        if skipped > 0 {
            self.state.lock().figures.zero_bytes_skipped += skipped as u64;
        }
        Ok(())
    }

    /// Zeros were requested, and only the program can clear the device's memory.
    #[cold]
    fn refuse_to_clear(&'static self, address: usize) -> Status {
        let given_back = free_for(Client::RAW, Some(self), address, None);
        debug_assert!(given_back.is_ok(), "no other thread knows the new block");
        self.untouchable("is not known to be 0, and the host cannot clear it; clear it")
    }

    /// A request that is not a small block of the thread's heap.
    #[inline(never)]
    fn request_more(&'static self, bytes: usize, block: Block, zeroed: bool) -> Result<NewBlock> {
        self.check_callable()?;
        if block.state == BlockState::Store && !self.touch.load(Ordering::Relaxed) {
            let kind = type_name(self.device().r#type);
            return Err(fail(TN_ERR_UNSUPPORTED, format_args!("this build has no code for arrays on device {kind}")));
        }
        let want = self.want(bytes, block)?;
        if want.class.is_none()
            && self.has_heaps()
            && let Some(placed) = thread_heap::allocate_large(self, want.block)
        {
            return Ok(placed);
        }
        let placed = self.allocate_block(want, Count { allocation: true, zeroed })?;
        if want.class.is_none() {
            probes::allocate_large(self.serial(), placed.address, bytes);
        }
        self.tell_checker(&placed, bytes, zeroed);
        Ok(placed)
    }

    /// Tells a memory checker of a new block.
    pub(super) fn tell_checker(&self, placed: &NewBlock, bytes: usize, defined: bool) {
        if self.is_watched()
            && let Some(span) = table::find(placed.address)
            && let Some(watched) = self.watched(placed.address, bytes, span.extent())
        {
            watched.hand_out(defined);
        }
    }

    /// A small block from the thread's heap.
    #[inline]
    fn heap_block(&'static self, bytes: usize, block: Block, zeroed: bool) -> Option<NewBlock> {
        let class = class::fitting(bytes, block.alignment).filter(|_| self.has_heaps())?;
        thread_heap::allocate(self, class, block, zeroed)
    }

    /// Rounds a request. Fails with the device's status if no address space could hold it (PO-15).
    pub(in crate::pool) fn want(&'static self, bytes: usize, block: Block) -> Result<Want> {
        let none = || self.out_of_memory(self.ops().terms().refusal, &Want { block, ..creation(bytes) });
        (self.policy().round)(self, bytes, block).ok_or_else(none)
    }

    /// Rounds a request of a host pool: to a size class, or above the largest one to pages.
    pub(super) fn round_for_host(&'static self, bytes: usize, block: Block) -> Option<Want> {
        let apart = self.flags.load(Ordering::Relaxed) & APART != 0;
        let red_zone = self.red_zone_bytes(block.alignment);
        if !apart && let Some(class) = class::fitting(bytes.checked_add(red_zone)?, block.alignment) {
            let span_bytes = class::span_bytes(class);
            return Some(Want { class: Some(class), ..Want::alone(class::bytes(class), span_bytes, GRANULE, block) });
        }
        let block_bytes = bytes.max(1).checked_next_multiple_of(self.page.load(Ordering::Relaxed))?;
        let unused = block_bytes - bytes;
        let span_bytes = block_bytes.checked_add(red_zone.saturating_sub(unused))?.checked_next_multiple_of(GRANULE)?;
        (bytes <= isize::MAX as usize && span_bytes <= isize::MAX as usize)
            .then(|| Want::alone(block_bytes, span_bytes, block.alignment.max(GRANULE), block))
    }
}
