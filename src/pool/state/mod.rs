//! The state of one pool, under the pool's lock: its spans, which of them are free, and its statistics.
//!
//! Contract: everything here runs under the pool's lock. It takes time bounded by the range that it relabels, and
//! neither allocates, waits, calls a device nor formats a message. The caller prepares descriptors before
//! ([`Prealloc`]), and handles memory that leaves after ([`Piece`]). After every function holds: reserved = in use +
//! cached + pending + overhead.
//!
//! Free spans merge with their neighbours at once, except across pieces that must go back whole. They are found in
//! `free_bins`; a stream-ordered pool has more of those in `stream_lists`.
//!
//! | file | what |
//! |---|---|
//! | `take_block` | blocks that are allocated |
//! | `return_block` | blocks that are freed |
//! | `resize`, `split` | blocks that change their size, become two, or one |
//! | `free_spans` | free spans: cut, merged, kept by age, returned to the device |
//! | `free_bins` | free spans by size |
//! | `stream_lists` | free spans of stream-ordered pools |
//! | `decay` | how much free memory stays for what comes next |
//! | `growth`, `address_reserve` | how much to get from the device; addresses reserved ahead |
//! | `upstream_pieces` | pieces of an upstream or a device |
//! | `statistics`, `summed` | bytes in use, counts and peaks; when the bytes of all heaps were last summed |
//! | `prealloc`, `ring` | descriptors allocated before the lock is taken; blocks that strict mode holds back |

mod address_reserve;

mod decay;

mod foreign_ends;

mod free_bins;

mod free_spans;

pub(super) mod growth;

mod prealloc;

mod resize;

mod return_block;

mod ring;

mod split;

mod statistics;

mod summed;

pub(super) mod stream_lists;

mod take_block;

mod upstream_pieces;

pub(super) use prealloc::Prealloc;
pub(super) use ring::Ring;
pub(super) use statistics::{AllocationCounts, Count};
use summed::Summed;

use crate::device::Device;
use crate::device::host::GRANULE;
use crate::names::Name;
use crate::pool::backing::listener::Listener;
use crate::pool::client::{Account, CLIENTS, Tally};
use crate::pool::options::Settings;
use crate::pool::span::block_state::Block;
use crate::pool::span::stream_uses::{Point, Stream};
use crate::pool::span::{List, Span, UpstreamPiece, class};
use crate::pool::thread_heap::Heap;
use crate::types::*;
use address_reserve::AddressReserves;
use core::sync::atomic::AtomicUsize;
use decay::RecentPeak;
use foreign_ends::ForeignEnds;
use free_bins::FreeBins;
use stream_lists::StreamLists;

/// A rounded request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    /// Some: a block of that class. None: a span of its own.
    pub class: Option<usize>,
    /// Usable bytes of the block.
    pub block_bytes: usize,
    /// Bytes of a new span, if one is needed.
    pub span_bytes: usize,
    /// Alignment of a new span, at least a granule.
    pub span_alignment: usize,
    pub block: Block,
    /// The heap that owns a new span of small blocks.
    pub heap: Option<&'static Heap>,
    /// Stream-ordered pools: the stream that uses the block first. None: the host, now.
    pub stream: Option<&'static Stream>,
    /// Stream-ordered pools: searches look at every span, because the request fails otherwise.
    pub exhaustive: bool,
}

impl Want {
    /// A request for a block with a span of its own.
    pub fn alone(block_bytes: usize, span_bytes: usize, span_alignment: usize, block: Block) -> Want {
        Want {
            class: None,
            block_bytes,
            span_bytes,
            span_alignment,
            block,
            heap: None,
            stream: None,
            exhaustive: false,
        }
    }
}

/// Memory on its way from the device into the state, or back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub start: usize,
    pub bytes: usize,
    /// On the way into the state: bytes at the beginning that pages of the pool's own were moved into.
    pub dirty: usize,
    /// The record of a piece that goes back whole. On the way back only with the last part of the piece.
    pub record: Option<&'static UpstreamPiece>,
    /// On the way into the state: the point of a stream behind which the memory can be used; None: at once.
    pub ready: Option<Point>,
}

impl Piece {
    /// Fresh memory that is no record's.
    pub fn new(start: usize, bytes: usize) -> Piece {
        Piece { start, bytes, dirty: 0, record: None, ready: None }
    }
}

/// A block that was just allocated.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewBlock {
    pub address: usize,
    /// The requested bytes are known to read 0.
    pub zero: bool,
    /// Bytes at the beginning that are not known to read 0.
    pub dirty: usize,
    /// The point that other streams must wait for before they touch it.
    pub ready: Option<Point>,
}

impl NewBlock {
    /// A block of which everything is known to read 0, or nothing.
    #[inline]
    pub fn new(address: usize, zero: bool) -> NewBlock {
        NewBlock { address, zero, dirty: if zero { 0 } else { usize::MAX }, ready: None }
    }
}

/// What an address is, under the lock of its pool.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// In a live block.
    Block { index: usize, start: usize, block: Block },
    /// In memory that was allocated before, and in no live block.
    Gone,
    /// In memory that was never allocated.
    Never,
}

/// All that a pool's lock protects.
pub(super) struct PoolState {
    pub settings: Settings,
    pub name: Name,
    /// The pool's count of peak updates, which heaps read without the lock.
    peak_updates: Option<&'static AtomicUsize>,
    /// References of handles, threads and the library itself.
    pub refs: u64,
    /// The last reference was dropped. Nothing can be allocated any more.
    pub retired: bool,
    /// The record is in the registry's quarantine.
    pub quarantined: bool,
    /// Calls that released the lock and will take it again.
    pub busy: u64,
    /// Number of the last reservation.
    reservations: usize,
    /// Pieces that came from an upstream and did not go back.
    pieces: Option<&'static UpstreamPiece>,
    /// Bytes that calls are getting from the device now.
    pub coming_bytes: usize,
    /// Strict mode: freed blocks that are held back.
    pub ring: Option<&'static Ring>,
    /// Pending, reserved, peaks, counts. `stats` adds the rest from clients and heaps.
    pub figures: tn_pool_stats,
    /// What each client did.
    pub clients: [Account; CLIENTS],
    /// The sum of all clients' bytes.
    total: Tally,
    /// For the peaks.
    summed: Summed,
    /// Allocations by class, large ones last. Without those of heaps.
    pub classes: [AllocationCounts; class::COUNT + 1],
    pub heaps: Option<&'static Heap>,
    partial: [List; class::COUNT],
    /// Small spans without a live block; each class keeps one.
    empty: [u32; class::COUNT],
    /// Free spans that every request may have.
    free_bins: FreeBins,
    /// The other free spans of a stream-ordered pool.
    pub stream_lists: Option<&'static StreamLists>,
    /// The device, where it knows which parts of a range can go back alone.
    pub parts: Option<&'static dyn Device>,
    /// Granules were mapped elsewhere: the free memory is fragmented, and growth takes no more than it needs.
    pub is_fragmented: bool,
    /// The free span that is not merged yet: the large block that was freed last.
    recent: Option<&'static Span>,
    /// Pressure callbacks, in the order of registration.
    pub listeners: Option<&'static Listener>,
    /// Addresses that growth reserved ahead.
    reserves: AddressReserves,
    foreign_ends: ForeignEnds,
    /// Of the bytes in use.
    recent_peak: RecentPeak,
}

impl PoolState {
    /// The state of a new pool with one reference. `record_bytes`: size of the pool's record.
    pub fn new(
        settings: Settings,
        name: Name,
        ring: Option<&'static Ring>,
        peak_updates: Option<&'static AtomicUsize>,
        record_bytes: usize,
    ) -> PoolState {
        let mut figures = tn_pool_stats { size: size_of::<tn_pool_stats>(), ..tn_pool_stats::default() };
        figures.limit_bytes = settings.limit as u64;
        figures.metadata_bytes = (record_bytes + ring.map_or(0, |_| size_of::<Ring>())) as u64;
        PoolState {
            settings,
            name,
            peak_updates,
            refs: 1,
            retired: false,
            quarantined: false,
            busy: 0,
            reservations: 0,
            pieces: None,
            coming_bytes: 0,
            ring,
            figures,
            clients: [Account::default(); CLIENTS],
            total: Tally::default(),
            summed: Summed::default(),
            classes: [AllocationCounts::default(); class::COUNT + 1],
            heaps: None,
            partial: [const { List::new() }; class::COUNT],
            empty: [0; class::COUNT],
            free_bins: FreeBins::new(GRANULE),
            stream_lists: None,
            parts: None,
            is_fragmented: false,
            recent: None,
            listeners: None,
            reserves: AddressReserves::default(),
            foreign_ends: ForeignEnds::default(),
            recent_peak: RecentPeak::default(),
        }
    }
}
