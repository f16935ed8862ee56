//! Pools: they hand out blocks of a device's memory and keep what comes back for reuse.
//!
//! | word | meaning |
//! |---|---|
//! | block | what a caller holds: raw, or the bytes of an array's store |
//! | span | whole granules that are free, one large block, or blocks of one size class |
//! | hold | what keeps a pool handing out: a handle, a thread whose current pool it is, the library |
//!
//! Contract: a [`Pool`] is type-stable: a reference to it stays valid for ever, also when it was released and became
//! another pool. Bookkeeping lies outside the pool's memory and outside Rust's heap. One short lock for each pool;
//! nothing that waits, maps, unmaps, clears, copies or formats runs under it. A wrong address is a status, and is never
//! read (PO-24 to PO-29). When the last hold goes the pool is retired: what is free goes back at once, live blocks stay
//! valid, and the shell is kept until the last of them came back (PO-6).
//!
//! Small blocks come from and go to the calling thread's heap, which takes no lock; the pool's books come in when that runs out, for large
//! blocks, and for pools that keep nothing with threads. A thread that ends, a pool that is released and whoever is short of memory take
//! what heaps have that is idle.
//!
//! What the design has from whom, and what for:
//!
//! | idea | from | here |
//! |---|---|---|
//! | threads own spans of one block size; upkeep when a span runs dry | mimalloc (Leijen, Zorn, de Moura: "Free List Sharding in Action") | `heap` |
//! | bookkeeping outside the memory; eight classes to a doubling | jemalloc (Evans: "A Scalable Concurrent malloc Implementation") | `span`, `class` |
//! | one table from every address to its span | tcmalloc | `table` |
//! | blocks that come back from other threads gather at their owner | snmalloc (Liétar et al.: "snmalloc: A Message Passing Allocator"), rpmalloc | `foreign` |
//! | free ranges in bins found by bit scans, merged at once | TLSF (Masmano et al.: "TLSF: a New Dynamic Memory Allocator") | `books` |
//! | pools over memory that nobody may read | UMF's disjoint pool | `supply` |
//!
//! Ours: a word for each block, beside the memory, so that every free is checked in all builds, and says what was wrong; a free span that was
//! never written is known to be; a limit counts what is cached, and never fails while that lies idle.
//!
//! | file | what |
//! |---|---|
//! | `create`, `life`, `shells` | pools that begin; holds on them and their end; the places where they live |
//! | `query`, `trim` | what a pool says of itself; memory that goes back when somebody asks |
//! | `heap` | what a thread has of a pool: the path that nearly every call takes |
//! | `foreign`, `returns` | blocks that come back from another thread than their span's; its steps, which `rehearsal` has for the model checker |
//! | `blocks` | requests and their refusals: what is not served by a heap |
//! | `books` | spans, found by size, cut, merged and given back; the figures |
//! | `span`, `cell` | what is known of spans, of a block |
//! | `class`, `table` | sizes; from an address to its span |
//! | `find`, `text` | whose is this address; texts of refusals |
//! | `sweep` | pages between live blocks that a trim gives back |
//! | `pressure` | who wants to be called when memory runs out |
//! | `huge` | which memory was asked to be huge pages |
//! | `split` | raw blocks that become two, or one, or lose contents |
//! | `supply` | memory from the device and back to it; calls of a caller's upstream |
//! | `ordered`, `uses` | pools on whose blocks devices work: requests in the order of queues; after what bytes are free |
//! | `fine` | maps of memory that is cut into small pieces with no class |
//! | `current` | which pool is meant where none is named |
//! | `options`, `handle`, `arena`, `lock` | options; handles of C; memory for bookkeeping; data behind a lock |

/// Those of `cell` and `returns`; `rehearsal` has others.
mod arena;

mod backing;

mod client;

mod create;

mod current;

mod handle;

mod lifecycle;

mod lock;

mod lookup;

#[cfg(loom)]
pub mod loom_model;

mod messages;

mod options;

mod query;

mod registry;

mod remote_free;

mod requests;

mod span;

mod state;

mod stream_ordered;

mod thread_heap;


pub use backing::pressure::{Callback, Release};
pub use client::{CLIENTS, Client};
pub use create::{create, import};
pub use current::{current, current_of_host, default, default_exists, set_current};
pub use handle::{Opened, close, each_open, new_handle, of_handle, open, remember};
pub use lookup::{Located, Section, each_block, first_in, locate};
pub use messages::{HolderName, Witness, name_holders, tell_of_damage};
pub use options::{LARGEST_ALIGNMENT, PoolOptions};
pub use query::{Segment, describe};
pub use registry::each_pool;
pub use requests::{deallocate, deallocate_for, of, usable_size};
pub use stream_ordered::{collect, deallocate_on, record_use_on};
pub use thread_heap::{
    Deallocate, allocate_fast, allocate_otherwise, deallocate_anywhere, deallocate_fast, reallocate_fast,
};

use crate::device::upstream::Upstream;
use crate::names::Name;
use crate::types::*;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use lock::Lock;
use state::Books;

/// The host.
const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

/// A pool. Lives in an arena for ever; what it is at the moment its books say.
pub struct Pool {
    books: Lock<Books>,
    /// What does not change while the pool lives, for reading without the lock.
    device_type: AtomicI32,
    device_id: AtomicI32,
    alignment: AtomicUsize,
    page: AtomicUsize,
    flags: AtomicU32,
    serial: AtomicU64,
    /// Bytes in stores without a claim.
    held: AtomicI64,
    /// Addresses that the system did not take back; they hold no memory.
    lost: AtomicU64,
    /// How often its peaks were looked at.
    looks: AtomicUsize,
    /// Whether threads have heaps of it.
    heaps: AtomicBool,
    /// Whether the host may read and write its memory.
    touch: AtomicBool,
    /// Whether devices work on its blocks.
    ordered: AtomicBool,
    /// How often the process had been forked when it was made.
    forks: AtomicU32,
    /// TN_HOST_, TN_MANAGED_.
    host_flags: AtomicU32,
    /// The device, if its memory does not come from an upstream.
    source: AtomicUsize,
    /// Where its memory comes from, if a caller said so.
    upstream: Upstream,
    /// Which one it is of those ever made.
    number: AtomicUsize,
    /// Spans with blocks that other threads than their owners gave back.
    returned: remote_free::Returned,
    /// What the layer of plug-ins keeps for this pool; NULL from its creation on.
    plugin: AtomicPtr<()>,
    /// The list of all pools ever made.
    next: AtomicPtr<Pool>,
    /// The list of those that are over.
    parked: AtomicPtr<Pool>,
}

impl Pool {
    /// Its name.
    pub fn name(&self) -> Name {
        self.books.lock().name
    }

    /// An import is complete: from now on `release` of its upstream is due at the end.
    pub fn accept(&self) {
        self.upstream.accept();
    }

    /// Where its memory lives.
    pub fn device(&self) -> tn_device {
        tn_device { r#type: self.device_type.load(Ordering::Relaxed), id: self.device_id.load(Ordering::Relaxed) }
    }

    /// What its memory is like beside where it lives: TN_PINNED, TN_MAPPED, TN_WRITE_COMBINED (PN-1, PN-8).
    pub fn memory_flags(&self) -> u32 {
        if !self.is_ordered() || self.device().r#type != TN_CUDA_HOST {
            return 0;
        }
        let asked = self.host_flags.load(Ordering::Relaxed);
        [(TN_HOST_MAPPED, TN_MAPPED), (TN_HOST_WRITE_COMBINED, TN_WRITE_COMBINED)]
            .into_iter()
            .filter(|(flag, _)| asked & flag != 0)
            .fold(TN_PINNED, |all, (_, told)| all | told)
    }

    /// A number that no other pool of this process has, had or will have.
    pub fn serial(&self) -> u64 {
        self.serial.load(Ordering::Relaxed)
    }

    /// A small number that no other pool has now.
    fn number(&self) -> usize {
        self.number.load(Ordering::Relaxed)
    }

    /// Whether threads have heaps of it.
    #[inline]
    fn has_heaps(&self) -> bool {
        self.heaps.load(Ordering::Relaxed)
    }

    /// Alignment of blocks for which none is asked, bytes.
    pub fn alignment(&self) -> usize {
        self.alignment.load(Ordering::Relaxed)
    }

    /// Changes the statistic `held_bytes`: stores of so many bytes lost their last claim (or, negative, ended).
    pub fn add_held(&self, requested_bytes: i64) {
        self.held.fetch_add(requested_bytes, Ordering::Relaxed);
    }

    /// A place for what the layer of plug-ins keeps for this pool; NULL when the pool is made.
    pub fn plugin(&self) -> &AtomicPtr<()> {
        &self.plugin
    }
}
