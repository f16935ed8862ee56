//! Raw blocks with a span of their own: split, merged, and parts whose contents may be discarded.
//!
//! Contract: the bytes stay where they are and are not touched. On failure nothing changes.

use crate::device::host::GRANULE;
use crate::error::{Result, Status, fail};
use crate::pool::client::Client;
use crate::pool::span::{Kind, table};
use crate::pool::state::Prealloc;
use crate::pool::{Pool, lookup, requests};
use crate::sys::checker::Watched;
use crate::types::*;

impl Pool {
    /// Splits a block of `total` bytes into two, the first of `first` bytes. Each is freed on its own.
    pub fn split(&'static self, client: Client, address: usize, total: usize, first: usize) -> Result<()> {
        self.check_divisible()?;
        let Some(mut prealloc) = Prealloc::for_request(None) else {
            return Err(fail(
                TN_ERR_NO_HOST_MEMORY,
                format_args!("no memory for the descriptor of a block; free some memory"),
            ));
        };
        let (_, mut state, span, _) = requests::lock_block(address, Some(self), client)?;
        let block = span.block(0);
        let fits = span.kind() == Kind::Large && block.requested == total;
        let cut = first > 0 && first < total && first.is_multiple_of(GRANULE);
        if !fits || !cut {
            drop(state);
            return Err(cannot(format_args!(
                "the block at {address:#x} cannot be split into {first} and the rest of {total} bytes"
            )));
        }
        let (requested, extent) = (block.requested, span.extent());
        if !state.split(span, block, first, &mut prealloc) {
            drop(state);
            return Err(cannot(format_args!("the block at {address:#x} was freed meanwhile")));
        }
        if let Some(watched) = self.watched(address, requested, extent) {
            watched.resize(first, first, true);
            let (bytes, extent) = (requested - first, extent - first);
            Watched { address: address + first, bytes, extent, ..watched }.hand_out(true);
        }
        Ok(())
    }

    /// Merges two adjacent blocks into one of `total` bytes.
    pub fn merge(&'static self, client: Client, low: usize, high: usize, total: usize) -> Result<()> {
        self.check_divisible()?;
        let (_, state, above, _) = requests::lock_block(high, Some(self), client)?;
        drop(state);
        let (_, mut state, below, _) = requests::lock_block(low, Some(self), client)?;
        // The lock was released in between.
        let same = table::get(high).is_some_and(|now| now.is(above)) && above.start.get() == high;
        let large = below.kind() == Kind::Large && above.kind() == Kind::Large;
        let low_block = self.watched(low, below.block(0).requested, below.extent());
        let high_block = self.watched(high, above.block(0).requested, above.extent());
        if !same || !large || !state.put_together(self, below, above, total) {
            drop(state);
            return Err(cannot(format_args!(
                "the blocks at {low:#x} and {high:#x} cannot be merged into one of {total} bytes"
            )));
        }
        if let (Some(low), Some(high)) = (low_block, high_block) {
            high.give_back();
            low.resize(total, below.extent(), true);
        }
        Ok(())
    }

    /// TN_ERR_UNSUPPORTED for stream-ordered pools: the uses of a block cannot be divided between two.
    fn check_divisible(&self) -> Result<()> {
        if !self.is_stream_ordered() {
            return Ok(());
        }
        Err(fail(TN_ERR_UNSUPPORTED, format_args!("blocks of stream-ordered pools cannot be split or merged")))
    }

    /// Discards the contents of whole pages of a live raw block. `zero`: the pages read 0 afterwards.
    /// TN_ERR_UNSUPPORTED where the device cannot.
    pub fn discard(&'static self, start: usize, bytes: usize, zero: bool) -> Result<()> {
        let block = lookup::locate(start).filter(|block| core::ptr::eq(block.pool, self) && block.owner == 0);
        let inside = block
            .is_some_and(|block| start - block.start <= block.usable && bytes <= block.start + block.usable - start);
        if !inside || bytes == 0 {
            return Err(cannot(format_args!("{bytes} bytes at {start:#x} are not in one block of this pool")));
        }
        // SAFETY: in a live block, whose holder requested this.
        if unsafe { self.call(|device| device.discard(start, bytes, zero)) } {
            return Ok(());
        }
        Err(fail(TN_ERR_UNSUPPORTED, format_args!("the device of this pool cannot discard pages of a live block")))
    }
}

#[cold]
fn cannot(what: core::fmt::Arguments<'_>) -> Status {
    fail(TN_ERR_INVALID, what)
}
