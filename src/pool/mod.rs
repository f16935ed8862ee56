//! Pools: they allocate blocks of a device's memory and keep freed blocks for reuse.
//!
//! # The path of one allocation
//!
//! | step | where | what happens |
//! |---|---|---|
//! | 1. hit | `thread_heap::fast_path` | the calling thread's heap pops a block of the size class: plain loads and stores, no lock |
//! | 2. less common hit | `thread_heap::blocks` | another span of the class has a free block, or the thread kept a large block |
//! | 3. request | `requests::allocate` | the request is checked and rounded; what a heap cannot serve goes on under the pool's lock |
//! | 4. shared state | `state::take_block` | a free block or a free span is taken; `state::stream_lists` for stream-ordered pools |
//! | 5. slow path | `requests::slow_path` | nothing fits: the driver tries one step after another, and tries again after each |
//! | 6. backing | `backing` | memory is reserved and committed, or requested from a caller's upstream or a device |
//!
//! A free takes the same way back: `thread_heap` for the thread's own blocks, `remote_free` for blocks of another
//! thread's span, `requests::free` for everything else. `backing::trim` and `backing::purge` return memory to the
//! system.
//!
//! # Modules
//!
//! | module | what it has |
//! |---|---|
//! | `thread_heap` | front: what one thread keeps of one pool |
//! | `remote_free` | blocks freed by a thread that does not own their span; `loom_model` runs `span::free_protocol` under the model checker |
//! | `requests` | middle: requests that no heap serves, and refusals |
//! | `stream_ordered` | requests, uses and frees in the order of device streams |
//! | `state` | what the pool's lock protects: spans by size, statistics |
//! | `span` | descriptors of memory: spans, their blocks, size classes, the table from address to span |
//! | `backing` | back: memory from the device and back to it, huge pages, purge, trim, pressure callbacks |
//! | `create`, `registry`, `lifecycle` | creation; the records of all pools; references and the end |
//! | `raw`, `calls` | raw blocks as C requests them; upstream callbacks that run on a thread |
//! | `handle`, `current` | handles of C; the pool that a call without a pool means |
//! | `options`, `client` | options; who allocated a block |
//! | `query`, `memory_map` | statistics; the map of segments, spans and blocks |
//! | `lookup`, `messages` | from any address to its block; error messages |
//! | `log` | what the event log is told |
//! | `recycler`, `relaxed`, `lock` | free lists of descriptors; their plain fields; the pool's lock |
//!
//! # Terms
//!
//! | term | meaning |
//! |---|---|
//! | block | what a caller holds: raw bytes, or the bytes of an array's store |
//! | granule | 64 KiB, the unit of the address table |
//! | span | whole granules that are free, one large block, or blocks of one size class |
//! | reference | keeps a pool usable: a handle, a thread whose current pool it is, the library |
//!
//! # Contract
//!
//! - A [`Pool`] record is type-stable: a reference to it stays valid until the process ends, also after the record
//!   became another pool.
//! - Descriptors lie outside the pool's memory and outside Rust's heap.
//! - Each pool has one short lock. Nothing that waits, maps, unmaps, clears, copies or formats runs under it.
//! - A wrong address returns a status code and is never read (PO-24 to PO-29).
//! - With its last reference a pool is retired: free memory goes back at once, and live blocks stay valid. The record
//!   is reused after the last block was freed (PO-6).
//!
//! # Where the ideas come from
//!
//! | idea | source | here |
//! |---|---|---|
//! | threads own spans of one block size; upkeep when a span runs dry | mimalloc ("Free List Sharding in Action") | `thread_heap` |
//! | descriptors outside the memory; eight classes to a doubling | jemalloc ("A Scalable Concurrent malloc Implementation") | `span` |
//! | one table from every address to its span | tcmalloc | `span::table` |
//! | blocks freed by other threads gather at their owner | snmalloc ("A Message Passing Allocator"), rpmalloc | `remote_free` |
//! | free ranges in bins found by bit scans, merged at once | TLSF ("A New Dynamic Memory Allocator") | `state::free_bins` |
//! | pools over memory that the host cannot read | UMF's disjoint pool | `backing` |
//!
//! New here: one word of state for each block beside the memory, so that every free is checked in all builds. A span
//! knows which of its bytes were never written. A limit counts cached memory, and never fails while cached memory is
//! idle.

mod backing;

mod calls;

mod client;

mod create;

mod current;

mod handle;

mod lifecycle;

mod lock;

mod log;

mod lookup;

mod memory_map;

#[cfg(loom)]
pub mod loom_model;

mod messages;

mod options;

mod query;

#[cfg(not(preload))]
pub mod raw;

mod recycler;

mod relaxed;

mod redirections;

mod registry;

mod remote_free;

mod requests;

mod span;

#[cfg(not(preload))]
mod spill;

mod state;

mod stream_ordered;

mod thread_heap;

pub use backing::decayed::{give_back_decayed, is_decaying};
pub use backing::listener::{Callback, Release};
pub use backing::pressure::on_missing_memory;
#[cfg(not(any(loom, preload)))]
pub use backing::trim::trim_at_unload;
pub use client::{CLIENTS, Client};
pub use create::{create, import};
pub use current::{current, current_of_host, default, default_exists, initial, like, set_current, set_default};
pub use handle::{Opened, close, each_open, new_handle, of_handle, open, remember};
#[cfg(not(preload))]
pub use lookup::open_to;
pub use lookup::{Located, SpanInfo, each_block, first_in, is_in_pool, locate};
pub use memory_map::{MapPart, Run};
pub use messages::{DamageCallback, HolderName, name_holders, on_damage};
pub use options::{LARGEST_ALIGNMENT, PoolOptions};
pub use query::{Segment, describe};
pub use registry::each_pool;
pub use requests::{deallocate, deallocate_finished, deallocate_for, deallocate_on, of, usable_size};
#[cfg(not(preload))]
pub use spill::{Hooks as SpillHooks, SpillFile, Turn, spill_by};
pub use stream_ordered::{collect, record_use_on};
pub use thread_heap::{
    Deallocate, allocate_cached, allocate_fast, allocate_kept, deallocate_anywhere, deallocate_fast, reallocate_fast,
};

use crate::arena::Link;
use crate::device::upstream::Upstream;
use crate::names::Name;
use crate::types::*;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use lock::Lock;
use redirections::Redirections;
use span::Span;
use span::free_protocol::AtomicStack;
use span::owner::{PoolRole, Role};
use state::PoolState;

const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// A pool, or the record of one that is over. Its state says which.
pub struct Pool {
    state: Lock<PoolState>,
    /// Constants of the pool's life, to be read without the lock.
    device_type: AtomicU32,
    device_id: AtomicI32,
    alignment: AtomicUsize,
    page: AtomicUsize,
    flags: AtomicU32,
    serial: AtomicU64,
    /// Requested bytes of stores without a claim.
    held_bytes: AtomicI64,
    /// Address ranges that the system did not take back. They hold no memory.
    lost_bytes: AtomicU64,
    /// Bounds of all addresses that the pool ever got: its spans are searched in these only, however much other pools
    /// have.
    lowest_address: AtomicUsize,
    end_address: AtomicUsize,
    /// How often the peaks were updated.
    peak_updates: AtomicUsize,
    /// Whether threads have heaps of this pool.
    heaps: AtomicBool,
    /// The time of the last search for idle heaps.
    idle_check_ms: AtomicU64,
    /// Whether it keeps memory that decays. Changes under the lock.
    decaying: AtomicBool,
    /// Whether the host may read and write its memory.
    touch: AtomicBool,
    /// Whether devices work on its blocks.
    stream_ordered: AtomicBool,
    /// Stores of the pool need more than its bytes.
    special: AtomicBool,
    /// How often the process had forked when the pool was made.
    forks: AtomicU32,
    /// TN_HOST_, TN_MANAGED_.
    host_flags: AtomicU32,
    /// The device, if the pool has no upstream.
    source: AtomicUsize,
    /// The caller's upstream, if there is one.
    upstream: Upstream,
    /// Number of the record.
    number: AtomicUsize,
    /// Spans with remote frees.
    returned: AtomicStack<Span>,
    /// Data of the plug-in layer; NULL at creation.
    plugin: AtomicPtr<()>,
    /// What it has for spilling; NULL: it never spilled.
    #[cfg(not(preload))]
    spill: AtomicPtr<spill::area::Area>,
    /// The streams that private pools serve in place of this one, and their number, which is read without the lock.
    redirections: Lock<Redirections<Pool>>,
    redirection_count: AtomicU32,
    /// The serial of the pool that it serves or has served as a private pool; 0: none.
    serves: AtomicU64,
    /// It may have blocks in memory that went with a context that was reset.
    has_dead: AtomicBool,
    /// The next record in the list of all.
    next: AtomicPtr<Pool>,
    /// The next record in the registry's quarantine.
    quarantine_link: Link<Pool>,
}

impl Role for PoolRole {
    type Record = Pool;
}

impl Pool {
    /// Its name.
    pub fn name(&self) -> Name {
        self.state.lock().name
    }

    /// Completes an import. From now on the end of the pool calls the upstream's `release`.
    pub fn accept(&self) {
        self.upstream.accept();
    }

    /// The device that its memory belongs to.
    pub fn device(&self) -> tn_device {
        tn_device { r#type: self.device_type.load(Ordering::Relaxed), id: self.device_id.load(Ordering::Relaxed) }
    }

    /// Properties of its memory: TN_PINNED, TN_MAPPED, TN_WRITECOMBINED (PN-1, PN-8).
    pub fn memory_flags(&self) -> u32 {
        if self.is_imported() || self.device().r#type != TN_CUDA_HOST {
            return 0;
        }
        let asked = self.host_flags.load(Ordering::Relaxed);
        [(TN_HOST_MAPPED, TN_MAPPED), (TN_HOST_WRITE_COMBINED, TN_WRITECOMBINED)]
            .into_iter()
            .filter(|(flag, _)| asked & flag != 0)
            .fold(TN_PINNED, |all, (_, told)| all | told)
    }

    /// A number that no other pool of this process ever has.
    pub fn serial(&self) -> u64 {
        self.serial.load(Ordering::Relaxed)
    }

    /// A small number that no other pool has now.
    fn number(&self) -> usize {
        self.number.load(Ordering::Relaxed)
    }

    #[inline]
    fn has_heaps(&self) -> bool {
        self.heaps.load(Ordering::Relaxed)
    }

    /// Records that the host cannot access the pool's memory, which its device did not know. Called before any memory
    /// is in the pool.
    pub fn set_untouchable(&self) {
        self.touch.store(false, Ordering::Relaxed);
    }

    /// Alignment of a block if the request names none, bytes.
    pub fn alignment(&self) -> usize {
        self.alignment.load(Ordering::Relaxed)
    }

    /// Adds to the statistic `held_bytes` when a store loses its last claim, or subtracts when such a store ends.
    pub fn add_held(&self, requested_bytes: i64) {
        self.held_bytes.fetch_add(requested_bytes, Ordering::Relaxed);
    }

    /// Data of the plug-in layer; NULL when the pool is made.
    pub fn plugin(&self) -> &AtomicPtr<()> {
        &self.plugin
    }
}
