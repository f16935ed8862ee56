//! The state of one pool: which spans it has, which are free, what its blocks are, and the figures.
//!
//! Contract: everything here runs under the pool's lock, takes time that is bounded by the range it relabels, and
//! neither allocates, waits, calls a device nor writes a text. What needs those is prepared by the caller ([`Prealloc`]) or
//! handed out to it ([`Piece`]). The identity reserved = in use + cached + pending + overhead refs after every
//! function.
//!
//! Free spans merge with their neighbours at once, but never across pieces that must go back as they came. They lie on a free_bins (`free_bins`); of
//! a pool on whose blocks devices work there are more of those (`stream_lists`).
//!
//! | file | what |
//! |---|---|
//! | `place` | blocks that are handed out |
//! | `back` | blocks that come back |
//! | `resize`, `split` | blocks that change their size, become two, or one |
//! | `free` | free spans: cut, merged, kept by age, given back |
//! | `free_bins` | where they are found by size |
//! | `stream_lists` | the same where devices work on blocks |
//! | `segment`, `room` | pieces of a caller's upstream; addresses reserved ahead |
//! | `figures` | what is in use, counts and peaks |
//! | `prealloc`, `ring` | bookkeeping memory got before the lock is taken; what strict mode refs back |

mod address_reserve;

mod free_bins;

mod free_spans;

mod prealloc;

mod resize;

mod return_block;

mod ring;

mod split;

mod statistics;

pub(super) mod stream_lists;

mod take_block;

mod upstream_pieces;

pub(super) use prealloc::Prealloc;
pub(super) use ring::Ring;
pub(super) use statistics::{Count, Handed};
pub(super) use upstream_pieces::UpstreamPiece;

use crate::device::host::GRANULE;
use crate::names::Name;
use crate::pool::Pool;
use crate::pool::backing::pressure::Listener;
use crate::pool::client::{Account, CLIENTS, Tally};
use crate::pool::options::Settings;
use crate::pool::span::block_state::Block;
use crate::pool::span::stream_uses::{Point, Queue};
use crate::pool::span::{List, Span, class};
use crate::pool::thread_heap::Heap;
use crate::types::*;
use address_reserve::{AddressReserve, RESERVES};
use core::sync::atomic::AtomicUsize;
use free_bins::FreeBins;
use stream_lists::StreamLists;

/// What a request wants, already rounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Some: a block of that class; None: a span of its own.
    pub class: Option<usize>,
    /// Bytes of a block.
    pub block_bytes: usize,
    /// Bytes of the span that is needed if there is no room in one.
    pub span_bytes: usize,
    /// Alignment of the span, at least a granule.
    pub span_alignment: usize,
    pub block: Block,
    /// The heap that owns the span of a block of a class from then on.
    pub heap: Option<&'static Heap>,
    /// Of a pool on whose blocks devices work: where the block will be used first; None: on the host, now.
    pub queue: Option<&'static Queue>,
    /// Of the same: everything is looked at, because nothing else is left but to refuse it.
    pub exhaustive: bool,
}

impl Want {
    /// A block in a span of its own.
    pub fn alone(block_bytes: usize, span_bytes: usize, span_alignment: usize, block: Block) -> Want {
        Want { class: None, block_bytes, span_bytes, span_alignment, block, heap: None, queue: None, exhaustive: false }
    }
}

/// A range on its way from the device into the state, or back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub start: usize,
    pub bytes: usize,
    /// Of a caller's upstream: its record; on the way back only of the last of it, with which the record is over.
    pub segment: Option<&'static UpstreamPiece>,
}

/// A block that was handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewBlock {
    pub address: usize,
    /// The bytes asked for are known to read 0.
    pub zero: bool,
    /// Bytes at the beginning that are not known to read 0.
    pub dirty: usize,
    /// What other queues have to wait for before they touch it.
    pub ready: Option<Point>,
}

impl NewBlock {
    /// A block of which all is known to read 0, or nothing.
    #[inline]
    pub fn new(address: usize, zero: bool) -> NewBlock {
        NewBlock { address, zero, dirty: if zero { 0 } else { usize::MAX }, ready: None }
    }
}

/// What an address is, seen under the lock of the pool that has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// In a live block.
    Block { index: usize, start: usize, block: Block },
    /// In memory that was handed out before and is in no live block.
    Gone,
    /// In memory that never was.
    Never,
}

/// All that a pool's lock protects. All zero: no pool.
pub(super) struct PoolState {
    pub settings: Settings,
    pub name: Name,
    /// How often the peaks were looked at; read without the lock.
    looks: Option<&'static AtomicUsize>,
    /// Handles, threads and the library itself; 0: released.
    pub refs: u64,
    /// Released: what is free goes back at once, and nothing can be had.
    pub retired: bool,
    /// Lies among the pools that are over.
    pub quarantined: bool,
    /// Calls that are between two sections of this lock.
    pub busy: u64,
    /// Number of the last range that came from the device.
    reservations: usize,
    /// What came from a caller's upstream and did not go back.
    segments: Option<&'static UpstreamPiece>,
    /// Bytes that such calls are about to get from the device.
    pub coming: usize,
    /// Strict mode: blocks that wait, oldest first, from `first` on.
    pub ring: Option<&'static Ring>,
    /// Pending, reserved, peaks, counts. The rest of the fields is filled in by `stats`, from what clients and heaps have.
    pub figures: tn_pool_stats,
    /// What each client refs and did.
    pub clients: [Account; CLIENTS],
    /// The bytes of all of them.
    total: Tally,
    /// Allocations by class, large ones last; without heaps.
    pub classes: [Handed; class::COUNT + 1],
    /// The heaps of threads.
    pub heaps: Option<&'static Heap>,
    partial: [List; class::COUNT],
    /// Small spans without a live block; each class keeps one.
    empty: [u32; class::COUNT],
    /// Free spans that anybody may have.
    free_bins: FreeBins,
    /// What else is free, where devices work on blocks.
    pub stream_lists: Option<&'static StreamLists>,
    /// A free span that does not merge yet: the large block that came back last.
    recent: Option<&'static Span>,
    /// Who wants to be called when memory runs out, in the order of their registration.
    pub listeners: Option<&'static Listener>,
    /// What growth reserved ahead.
    reserves: [AddressReserve; RESERVES],
}

impl PoolState {
    /// PoolState of a new pool with one hold.
    pub fn new(
        settings: Settings,
        name: Name,
        ring: Option<&'static Ring>,
        looks: Option<&'static AtomicUsize>,
    ) -> PoolState {
        let mut figures = tn_pool_stats { size: size_of::<tn_pool_stats>(), ..tn_pool_stats::default() };
        figures.limit_bytes = settings.limit as u64;
        figures.metadata_bytes = (size_of::<Pool>() + ring.map_or(0, |_| size_of::<Ring>())) as u64;
        PoolState {
            settings,
            name,
            looks,
            refs: 1,
            retired: false,
            quarantined: false,
            busy: 0,
            reservations: 0,
            segments: None,
            coming: 0,
            ring,
            figures,
            clients: [Account::default(); CLIENTS],
            total: Tally::default(),
            classes: [Handed::default(); class::COUNT + 1],
            heaps: None,
            partial: [const { List::new() }; class::COUNT],
            empty: [0; class::COUNT],
            free_bins: FreeBins::new(GRANULE),
            stream_lists: None,
            recent: None,
            listeners: None,
            reserves: [AddressReserve::default(); RESERVES],
        }
    }
}
