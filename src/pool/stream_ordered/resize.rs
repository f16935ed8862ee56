//! Resizing in place, or by a copy in the order of a stream.
//!
//! Contract: on failure nothing changes.

use crate::error::Result;
use crate::pool::client::Client;
use crate::pool::messages::Misuse;
use crate::pool::span::block_state::{Block, BlockState};
use crate::pool::span::stream_uses::Stream;
use crate::pool::state::{Count, Prealloc};
use crate::pool::{Pool, requests};

impl Pool {
    /// Changes the size of a client's block, to at least 1 byte. On failure the old block is live and unchanged.
    pub(in crate::pool) fn resize_in_order(
        &'static self,
        client: Client,
        stream: Option<&'static Stream>,
        address: usize,
        bytes: usize,
    ) -> Result<core::ptr::NonNull<u8>> {
        self.check_process()?;
        let stream = self.stream_of(stream)?;
        let prealloc = Prealloc::for_stream_ordered();
        let point = stream.map(Stream::end_of_use);
        let (_, mut state, span, _) = requests::lock_block(address, Some(self), client)?;
        if state.retired {
            return Err(requests::refuse_retired(state, span.block(0)));
        }
        let block = span.block(0);
        let Some(mut prealloc) = prealloc.filter(|_| state.fits_in_place(span, bytes)) else {
            drop(state);
            return self.move_ordered(client, stream, address, block, bytes);
        };
        let resized = state.resize_ordered(span, block, bytes, point, &mut prealloc);
        let left = state.needs_clearing_count() > 0;
        self.enforce_threshold(state, usize::MAX);
        if left {
            self.clear_pending(usize::MAX);
        }
        if !resized {
            return Err(Misuse::Stale { pool: self.name() }.status(address));
        }
        // SAFETY: addresses of blocks are never 0.
        Ok(unsafe { core::ptr::NonNull::new_unchecked(address as *mut u8) })
    }

    /// Moves a live raw block. On failure it stays where it is.
    fn move_ordered(
        &'static self,
        client: Client,
        stream: Option<&'static Stream>,
        address: usize,
        block: Block,
        bytes: usize,
    ) -> Result<core::ptr::NonNull<u8>> {
        let count = Count { allocation: false, zeroed: false };
        let placed = self.take_ordered(stream, bytes, Block { requested: bytes, ..block }, count)?;
        let kept = bytes.min(requests::usable_size(address)?);
        let copied = match stream {
            None => {
                // SAFETY: the caller has the old block, and no other thread knows the new one. Both have that many
                // bytes. No stream was named, so the host may touch them now.
                unsafe { self.ops().copy(placed.address, address, kept) };
                Ok(())
            }
            // SAFETY: as above, in the order of the stream.
            Some(stream) => unsafe { self.ops().copy_on(stream, placed.address, address, kept) },
        };
        if let Err(status) = copied {
            self.uncount_new(client, placed.address);
            return Err(status);
        }
        if let Some(stream) = stream {
            self.record_use(placed.address, stream.end_of_use());
        }
        if let Err(status) = self.free_ordered(client, Some(self), address, None, stream) {
            self.uncount_new(client, placed.address);
            return Err(status);
        }
        self.state.lock().count_moved(block);
        // SAFETY: addresses of blocks are never 0.
        Ok(unsafe { core::ptr::NonNull::new_unchecked(placed.address as *mut u8) })
    }

    /// Frees a block that was made for a move, and did not count as an allocation.
    #[cold]
    fn uncount_new(&'static self, client: Client, address: usize) {
        if let Ok((pool, mut state, span, index)) = requests::lock_block(address, Some(self), client) {
            let account = state.account(span.block(index));
            account.tally.freed = account.tally.freed.wrapping_sub(1);
            pool.free(state, span, index, BlockState::Raw);
        }
    }
}
