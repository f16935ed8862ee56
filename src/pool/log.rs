//! What pools tell the event log.
//!
//! Contract: one event for each block that a caller got, gave back or resized, at the time that `events` asks for.
//! Nothing is told of blocks that the pool itself moves or keeps. Called under no lock.

use super::client::Client;
use super::span::block_state::{Block, BlockState};
use super::span::{Span, table};
use super::{Pool, lookup};
use crate::error::Result;
use crate::events::{self, Event, Kind};
use core::ptr::NonNull;

/// The detail of an event: whether the block has the bytes of an array.
fn detail(state: BlockState) -> u8 {
    if state == BlockState::Store { events::OF_ARRAY } else { 0 }
}

/// Frees a block by `free`, which returns its requested bytes, and tells of it. `through`: the pool that was passed;
/// None: that of the block.
#[inline(always)]
pub(super) fn free<E>(
    through: Option<&'static Pool>,
    address: usize,
    state: BlockState,
    free: impl FnOnce() -> core::result::Result<usize, E>,
) -> core::result::Result<(), E> {
    if events::records(Kind::Free) {
        let event = FreeEvent::begin(through, address);
        free().map(|requested| event.end(address, requested, state))
    } else {
        free().map(|_| ())
    }
}

/// A free that is recorded if it succeeds.
struct FreeEvent {
    ticks: u64,
    pool: u64,
}

impl FreeEvent {
    #[cold]
    fn begin(through: Option<&'static Pool>, address: usize) -> FreeEvent {
        let pool = through.or_else(|| table::find(address).and_then(Span::pool)).map_or(0, Pool::serial);
        FreeEvent { ticks: events::now(), pool }
    }

    #[cold]
    fn end(self, address: usize, requested: usize, state: BlockState) {
        events::record_since(self.ticks, Kind::Free, |event| {
            event.address = address as u64;
            event.bytes = requested as u64;
            event.detail = detail(state);
            event.pool = self.pool;
        });
    }
}

impl Pool {
    /// Tells of a new block. `stream`: the number of the stream that uses it first.
    #[inline(always)]
    pub(in crate::pool) fn log_allocation(&self, address: usize, block: Block, stream: u32) {
        events::record(Kind::Allocate, |event| self.describe(event, address, block, stream));
    }

    fn describe(&self, event: &mut Event, address: usize, block: Block, stream: u32) {
        event.address = address as u64;
        event.bytes = block.requested as u64;
        event.alignment = block.alignment.trailing_zeros() as u8;
        event.detail = detail(block.state);
        event.client = if block.state == BlockState::Store { Client::ARRAYS } else { block.client() }.index() as u8;
        event.pool = self.serial();
        event.stream = u64::from(stream);
    }

    /// Resizes a block by `resize`, and tells of it. The event's time is that before the resize; its subject is the
    /// time when the new bytes were there, and its stream the old size.
    pub(super) fn log_resize(
        &self,
        client: Client,
        address: usize,
        bytes: usize,
        resize: impl FnOnce() -> Result<NonNull<u8>>,
    ) -> Result<NonNull<u8>> {
        if !events::records(Kind::Reallocate) {
            return resize();
        }
        let old_bytes = lookup::locate(address).map_or(0, |block| block.requested);
        let before = events::now();
        let new = resize()?;
        events::record_since(before, Kind::Reallocate, |event| {
            event.subject = events::now();
            event.address = new.as_ptr() as u64;
            event.bytes = bytes as u64;
            event.other = address as u64;
            event.client = client.index() as u8;
            event.pool = self.serial();
            event.stream = old_bytes as u64;
        });
        Ok(new)
    }
}
