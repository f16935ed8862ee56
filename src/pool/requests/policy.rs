//! What differs between host pools and stream-ordered pools, as one table for each.
//!
//! Contract: a pool has one policy from its creation on. The driver of the slow path (`slow_path`) runs the steps of
//! the three lists from left to right (PO-44). After a step that changed something it tries to take a block again, and
//! begins with the first step if that fails.

use super::request::{Request, StepOutcome};
use super::steps;
use crate::error::Result;
use crate::pool::Pool;
use crate::pool::client::Client;
use crate::pool::span::block_state::Block;
use crate::pool::span::stream_uses::Stream;
use crate::pool::span::{Span, StreamMark};
#[cfg(not(preload))]
use crate::pool::spill;
use crate::pool::state::growth::Growth;
use crate::pool::state::{NewBlock, PoolState, Prealloc, Want};
use crate::pool::stream_ordered::steps as stream_steps;
use core::ptr::NonNull;

/// One attempt to free memory. Runs under no lock.
pub(in crate::pool) type Step = fn(&'static Pool, &mut Request) -> StepOutcome;

/// Changes the size of the block at an address to a number of bytes.
type Resize = fn(&'static Pool, Client, Option<&'static Stream>, usize, usize) -> Result<NonNull<u8>>;

/// How a pool serves requests that thread heaps do not.
pub(in crate::pool) struct Policy {
    /// Tried before the pool asks its device for more memory.
    pub before_growth: &'static [Step],
    /// Tried while the pool's limit forbids growth.
    pub at_limit: &'static [Step],
    /// Tried after the device refused.
    pub at_refusal: &'static [Step],
    /// Descriptors for one attempt to take a block and one growth. None: no memory.
    pub preallocate: fn(&Want) -> Option<Prealloc>,
    /// Takes a block from the pool's free memory.
    pub take: fn(&'static Pool, &mut PoolState, &Want, &mut Prealloc) -> Option<NewBlock>,
    /// How much to get from the device for a request.
    pub plan_growth: fn(&mut PoolState, &Want) -> Growth,
    /// Rounds a request to what the pool hands out. None: no address space could hold it.
    pub round: fn(&'static Pool, usize, Block) -> Option<Want>,
    /// Changes the size of a client's raw block, in the order of a stream if there is one.
    pub resize: Resize,
    /// Frees a client's raw block, in the order of a stream if there is one.
    pub free: fn(&'static Pool, Client, Option<&'static Stream>, usize) -> Result<()>,
    /// Fills a freed block with the pattern of strict mode, or clears it, before it can be allocated again. TN_POOL_
    /// flags say which.
    pub erase: fn(&'static Pool, &'static Span, usize, u32),
    /// Whether `erase` left the pattern in the block.
    pub has_pattern: fn(&Span) -> bool,
}

pub(in crate::pool) static HOST: Policy = Policy {
    before_growth: &[steps::give_up_kept_blocks, steps::extend_free_span_once, steps::return_cached_before_growth],
    at_limit: &[
        steps::return_cached_below_limit,
        steps::free_held_back,
        steps::reclaim_from_threads,
        steps::shrink_request,
        #[cfg(not(preload))]
        spill::spill_idle,
        steps::call_listeners,
    ],
    at_refusal: &[steps::trim_once, steps::reclaim_elsewhere_once, steps::call_listeners],
    preallocate: |want| Prealloc::for_request(want.class),
    take: |pool, state, want, prealloc| state.take_block_cutting(pool, want, prealloc),
    plan_growth: PoolState::plan_growth,
    round: Pool::round_for_host,
    resize: Pool::resize_on_host,
    free: |pool, client, _, address| super::deallocate_for(client, Some(pool), address, None),
    erase: Pool::erase_on_host,
    has_pattern: |_| true,
};

pub(in crate::pool) static STREAM_ORDERED: Policy = Policy {
    before_growth: &[
        stream_steps::clear_pending_once,
        stream_steps::poll_what_fits_once,
        stream_steps::remap_free_granules_once,
    ],
    at_limit: &[
        stream_steps::poll_some_once,
        steps::free_held_back,
        stream_steps::wait_on_device,
        stream_steps::return_cached_below_limit,
        stream_steps::search_exhaustively_once,
        stream_steps::wait_on_host,
        steps::call_listeners,
    ],
    at_refusal: &[
        stream_steps::poll_some_once,
        steps::free_held_back,
        stream_steps::wait_on_device,
        stream_steps::trim_and_reclaim_elsewhere_once,
        stream_steps::search_exhaustively_once,
        stream_steps::wait_on_host,
        steps::call_listeners,
    ],
    preallocate: |_| Prealloc::for_stream_ordered(),
    take: |_, state, want, prealloc| state.take_passed_block(want, prealloc),
    plan_growth: PoolState::plan_piece,
    round: Pool::round_for_streams,
    resize: Pool::resize_in_order,
    free: Pool::free_in_order,
    erase: Pool::erase_in_order,
    has_pattern: |span| span.mark() == StreamMark::Pattern,
};

impl Pool {
    #[inline]
    pub(in crate::pool) fn policy(&self) -> &'static Policy {
        if self.is_stream_ordered() { &STREAM_ORDERED } else { &HOST }
    }
}
