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

mod arena;

/// Those of `cell` and `returns`; `rehearsal` has others.
use core::sync::atomic;

mod blocks;

mod books;

mod cell;

mod class;

mod client;

mod current;

mod find;

mod fine;

mod foreign;

mod handle;

mod heap;

mod huge;

mod lock;

mod options;

mod ordered;

mod pressure;

#[cfg(loom)]
pub mod rehearsal;

mod returns;

mod span;

mod split;

mod supply;

mod sweep;

mod table;

mod text;

mod uses;

pub use blocks::{deallocate, deallocate_for, of, usable_size};
pub use client::{CLIENTS, Client};
pub use current::{current, current_of_host, default, default_exists, set_current};
pub use find::{Located, Section, each_block, first_in, locate};
pub use handle::{Opened, close, each_open, new_handle, of_handle, open, remember};
pub use heap::{
    Deallocate, allocate_otherwise, allocate_quickly, deallocate_anywhere, deallocate_quickly, reallocate_quickly,
};
pub use options::{LARGEST_ALIGNMENT, PoolOptions};
pub use ordered::{collect, deallocate_on, record_use_on};
pub use pressure::{Callback, Release};
pub use text::{HolderName, name_holders};

use crate::device::upstream::{self, Upstream};
use crate::device::{self, Source};
use crate::error::{Result, fail};
use crate::names::Name;
use crate::sys::{checker, os};
use crate::thread;
use crate::types::*;
use books::lanes::Ordered;
use books::{Books, Kit, Ring};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use lock::{Guard, Lock};
use options::Settings;

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
    returned: foreign::Returned,
    /// What the layer of plug-ins keeps for this pool; NULL from its creation on.
    plugin: AtomicPtr<()>,
    /// The list of all pools ever made.
    next: AtomicPtr<Pool>,
    /// The list of those that are over.
    parked: AtomicPtr<Pool>,
}

/// Every pool ever made; pools are pushed and never leave.
static ALL: AtomicPtr<Pool> = AtomicPtr::new(core::ptr::null_mut());
/// Number of pools made so far, for their names.
static SERIAL: AtomicU64 = AtomicU64::new(0);
/// Number of pools whose shells were made.
static SHELLS: AtomicUsize = AtomicUsize::new(0);
/// Pools that are over, to become others. First in, first out, and not before [`PARKED`] lie there, so that a thread
/// which is between finding a pool by its handle and locking it does not meet another one although the handle was
/// released meanwhile.
struct Parked {
    first: Option<&'static Pool>,
    last: Option<&'static Pool>,
    count: usize,
}
static PARK: Lock<Parked> = Lock::new(Parked { first: None, last: None, count: 0 });
const PARKED: usize = 64;

fn park(pool: &'static Pool) {
    let mut park = PARK.lock();
    pool.parked.store(core::ptr::null_mut(), Ordering::Relaxed);
    match park.last {
        Some(last) => last.parked.store(core::ptr::from_ref(pool).cast_mut(), Ordering::Relaxed),
        None => park.first = Some(pool),
    }
    park.last = Some(pool);
    park.count += 1;
}

/// A pool whose books mean nothing yet. None: no memory.
fn shell() -> Option<&'static Pool> {
    let mut park = PARK.lock();
    if park.count > PARKED
        && let Some(pool) = park.first
    {
        // SAFETY: NULL, or a pool that `park` linked; they are never unmapped.
        park.first = unsafe { pool.parked.load(Ordering::Relaxed).as_ref() };
        if park.first.is_none() {
            park.last = None;
        }
        park.count -= 1;
        return Some(pool);
    }
    drop(park);
    let at = arena::take(size_of::<Pool>(), align_of::<Pool>())?.cast::<Pool>();
    let pool = blank();
    pool.number.store(SHELLS.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    // SAFETY: fresh memory of the right size and alignment, known to nobody.
    unsafe { at.write(pool) };
    // SAFETY: written above, mapped for ever, and only shared from here on.
    let pool: &'static Pool = unsafe { at.as_ref() };
    let this = core::ptr::from_ref(pool).cast_mut();
    let mut head = ALL.load(Ordering::Relaxed);
    loop {
        pool.next.store(head, Ordering::Relaxed);
        // Release pairs with the Acquire in `each_pool`.
        match ALL.compare_exchange_weak(head, this, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Some(pool),
            Err(now) => head = now,
        }
    }
}

/// A pool that is over.
fn blank() -> Pool {
    let mut books = Books::new(options::NOTHING, Name::NONE, None, None);
    (books.holds, books.retired, books.parked) = (0, true, true);
    Pool {
        books: Lock::new(books),
        device_type: AtomicI32::new(0),
        device_id: AtomicI32::new(0),
        alignment: AtomicUsize::new(0),
        page: AtomicUsize::new(0),
        flags: AtomicU32::new(0),
        serial: AtomicU64::new(0),
        held: AtomicI64::new(0),
        lost: AtomicU64::new(0),
        looks: AtomicUsize::new(0),
        heaps: AtomicBool::new(false),
        touch: AtomicBool::new(false),
        ordered: AtomicBool::new(false),
        forks: AtomicU32::new(0),
        host_flags: AtomicU32::new(0),
        source: AtomicUsize::new(Source::HOST.bits()),
        upstream: Upstream::none(),
        number: AtomicUsize::new(0),
        returned: foreign::Returned::new(),
        plugin: AtomicPtr::new(core::ptr::null_mut()),
        next: AtomicPtr::new(core::ptr::null_mut()),
        parked: AtomicPtr::new(core::ptr::null_mut()),
    }
}

/// A pool of its own on a device, with one hold, the caller's. TN_ERR_DEVICE, TN_ERR_INVALID, TN_ERR_RANGE,
/// TN_ERR_UNSUPPORTED, TN_ERR_NO_HOST_MEMORY, and then nothing is left behind (PO-1 to PO-4).
pub fn create(device: tn_device, options: &PoolOptions) -> Result<&'static Pool> {
    let place = options::place(device, options);
    let settings = options::check(device, options, os::has_node)?;
    let source = Source::of(place, options.host_flags)?;
    let terms = source.device().terms();
    options::check_possible(place, options)?;
    let settings = if terms.ordered { options::on_device(settings, options)? } else { settings };
    crate::reclaim::register(trim_all);
    if terms.ordered {
        // What was released with work under way may be finished by now.
        ordered::collect();
    }
    make(place, Settings { terms, ..settings }, options.name, source, None)
}

/// A pool over a caller's upstream, with one hold, the caller's; its memory is called `device`'s. As `create`, and
/// besides what the upstream did wrong when it was asked for `initial_size`: TN_ERR_FAILED. Until [`Pool::accept`] it is
/// the caller who has the upstream.
pub fn import(device: tn_device, upstream: &tn_upstream, options: &PoolOptions) -> Result<&'static Pool> {
    let settings = options::check(device, options, os::has_node)?;
    let terms = upstream::check(device, upstream)?;
    options::check_possible(HOST, options)?;
    let settings = options::over_upstream(settings, options, terms)?;
    make(device, settings, options.name, Source::HOST, Some(upstream))
}

/// The host.
const HOST: tn_device = tn_device { r#type: TN_CPU, id: 0 };

fn make(
    place: tn_device,
    settings: Settings,
    name: Name,
    source: Source,
    upstream: Option<&tn_upstream>,
) -> Result<&'static Pool> {
    let Settings { terms, .. } = settings;
    let no_memory = || fail(TN_ERR_NO_HOST_MEMORY, format_args!("no memory for the books of a pool; free some"));
    let pool = shell().ok_or_else(no_memory)?;
    let ring = match settings.flags & TN_POOL_STRICT {
        0 => None,
        _ => match arena::take(size_of::<Ring>(), align_of::<Ring>()) {
            // SAFETY: zeroed memory of the right size and alignment, mapped for ever; zero is valid, and means empty.
            Some(at) => Some(unsafe { at.cast::<Ring>().as_ref() }),
            None => {
                park(pool);
                return Err(no_memory());
            }
        },
    };
    let ordered = if terms.ordered { Ordered::create() } else { None };
    if terms.ordered && ordered.is_none() {
        park(pool);
        return Err(no_memory());
    }
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed) + 1;
    let name = if name.is_none() { numbered(serial) } else { name };
    pool.device_type.store(place.r#type, Ordering::Relaxed);
    pool.device_id.store(place.id, Ordering::Relaxed);
    pool.alignment.store(settings.alignment, Ordering::Relaxed);
    pool.page.store(terms.page, Ordering::Relaxed);
    pool.touch.store(terms.touch, Ordering::Relaxed);
    pool.ordered.store(terms.ordered, Ordering::Relaxed);
    pool.forks.store(thread::forks(), Ordering::Relaxed);
    pool.host_flags.store(settings.host_flags, Ordering::Relaxed);
    pool.source.store(source.bits(), Ordering::Relaxed);
    pool.flags.store(settings.flags, Ordering::Relaxed);
    pool.serial.store(serial, Ordering::Relaxed);
    pool.held.store(0, Ordering::Relaxed);
    pool.lost.store(0, Ordering::Relaxed);
    let plain = settings.flags & (TN_POOL_DIRECT | TN_POOL_STRICT | TN_POOL_ZERO_ON_FREE) != 0;
    // Threads of loom's models live shorter than pools.
    // A checker sees each block come and go on the long way only.
    let heaps =
        !plain && terms.touch && !terms.ordered && settings.thread_cache > 0 && !cfg!(loom) && !checker::watches();
    pool.heaps.store(heaps, Ordering::Relaxed);
    pool.plugin.store(core::ptr::null_mut(), Ordering::Relaxed);
    if let Some(upstream) = upstream {
        // SAFETY: the shell is this call's alone.
        unsafe { pool.upstream.set(upstream, terms) };
    }
    let mut books = Books::new(settings, name, ring, Some(&pool.looks));
    books.ordered = ordered;
    books.figures.metadata_bytes += ordered.map_or(0, |_| size_of::<Ordered>() as u64);
    *pool.books.lock() = books;
    if settings.floor == 0 {
        return Ok(pool);
    }
    let status = match pool.commit_at_creation(&settings) {
        Ok(true) => return Ok(pool),
        Ok(false) => text::out_of_memory(pool, terms.refusal, &blocks::creation(settings.floor)),
        Err(status) => status,
    };
    pool.drop_hold();
    Err(status)
}

/// What all pools of a device have cached goes back to it; what came from an upstream is none of the device's.
fn trim_all(device: tn_device) {
    each_pool(|pool| {
        if pool.device() == device && !pool.is_imported() {
            pool.trim(0);
        }
    });
}

/// "pool-7".
fn numbered(serial: u64) -> Name {
    let mut text = crate::error::Text::new();
    let _ = core::fmt::write(&mut text, format_args!("pool-{serial}"));
    Name::head(text.as_str())
}

/// Calls `f` with every pool that is not over: it has a hold or a live block. Under no lock.
pub fn each_pool(mut f: impl FnMut(&'static Pool)) {
    // SAFETY: NULL or a pool; the same for the links. Acquire pairs with the Release in `shell`.
    let mut next = unsafe { ALL.load(Ordering::Acquire).as_ref() };
    while let Some(pool) = next {
        let over = pool.books.lock().is_over();
        if !over {
            f(pool);
        }
        // SAFETY: as above; a link is set before the pool can be reached, and never changes.
        next = unsafe { pool.next.load(Ordering::Relaxed).as_ref() };
    }
}

/// Describes a device, with what pools hold of it: `device::query` and the fields that it leaves to this layer.
pub fn describe(device: tn_device, flags: u32) -> Result<tn_device_info> {
    let mut info = device::query(device, flags)?;
    if flags & TN_QUERY_MEMORY != 0 {
        each_pool(|pool| {
            if pool.device() == device {
                let stats = pool.query();
                info.pool_bytes += stats.reserved_bytes;
                info.pool_free_bytes += stats.cached_bytes;
            }
        });
    }
    Ok(info)
}

/// Memory of a pool without a gap.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Its first byte.
    pub start: usize,
    /// Its bytes.
    pub bytes: usize,
    /// Spans in it, free ones too.
    pub spans: usize,
    /// Live blocks in it.
    pub live_blocks: usize,
    /// Their usable bytes.
    pub live_bytes: usize,
}

impl Pool {
    /// One more hold. The caller has one already, or knows of a live block.
    pub fn hold(&'static self) {
        self.books.lock().holds += 1;
    }

    /// One more hold, unless the last one went before.
    pub fn try_hold(&'static self) -> bool {
        let mut books = self.books.lock();
        books.holds += !books.retired as u64;
        !books.retired
    }

    /// Ends a hold. With the last one the pool is retired (PO-6).
    pub fn drop_hold(&'static self) {
        let mut books = self.books.lock();
        debug_assert!(books.holds > 0);
        books.holds -= 1;
        if books.holds == 0 {
            books.retired = true;
            if books.heaps.is_some() {
                books.busy += 1;
                drop(books);
                heap::end_all(self);
                books = self.books.lock();
                books.busy -= 1;
            }
            books.sort_returned(self);
            if books.ordered.is_some() {
                books.busy += 1;
                drop(books);
                self.ask_all();
                books = self.books.lock();
                books.busy -= 1;
            }
            let listened = books.listeners.is_some();
            books.busy += u64::from(listened);
            if listened {
                drop(books);
                self.end_pressure();
                books = self.books.lock();
                books.busy -= 1;
            }
            self.settle(books, 0);
        }
    }

    /// Handles, threads and the library itself that hold it.
    pub fn holds(&self) -> u64 {
        self.books.lock().holds
    }

    /// Whether its last hold went: it has live blocks, or is over.
    pub fn is_retired(&self) -> bool {
        self.books.lock().retired
    }

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

    /// The statistics, of one moment.
    pub fn query(&self) -> tn_pool_stats {
        let mut books = self.books.lock();
        if books.ordered.is_some() {
            books.harvest(os::coarse_ms());
        }
        let mut stats = books.stats();
        drop(books);
        stats.serial = self.serial();
        stats.held_bytes = self.held.load(Ordering::Relaxed).max(0) as u64;
        stats.address_bytes += self.lost.load(Ordering::Relaxed);
        stats
    }

    /// What its clients hold and did, those that ever asked for something, all of one moment (PO-61).
    pub fn each_client(&self, mut f: impl FnMut(tn_pool_client)) {
        let (accounts, counts) = {
            let books = self.books.lock();
            (books.clients, books.counts())
        };
        for client in Client::all() {
            let (account, all) = (&accounts[client.index()], &counts.clients[client.index()]);
            if account.is_used(all) {
                f(account.told(client, all));
            }
        }
    }

    /// Its size classes that were ever used, the smallest first, and large blocks as the one of 0 bytes in front (PO-35). What they hold is of
    /// some moment of the call, of each span by itself.
    pub fn each_class(&'static self, f: impl FnMut(&tn_pool_class_stats)) {
        let mut all = [tn_pool_class_stats::default(); class::COUNT + 1];
        find::each_section(self, |section| {
            let of = &mut all[section.class.unwrap_or(class::COUNT)];
            of.span_count += 1;
            of.live_blocks += section.live as u64;
            of.cached_blocks += match section.unit {
                0 => 1,
                _ => (section.blocks - section.live) as u64,
            };
        });
        {
            let books = self.books.lock();
            for (class, of) in all.iter_mut().enumerate() {
                let handed = books.handed(class);
                (of.allocation_count, of.hit_count) = (handed.all, handed.hits);
            }
        }
        for (class, of) in all[..class::COUNT].iter_mut().enumerate() {
            (of.block_bytes, of.span_bytes) = (class::bytes(class) as u64, class::span_bytes(class) as u64);
        }
        all.rotate_right(1);
        all.iter().filter(|of| of.allocation_count > 0 || of.span_count > 0).for_each(f);
    }

    /// Its memory, as runs of spans without a gap: the first byte of each, its bytes, how many spans they are, and the usable bytes of live
    /// blocks in it. By address; of each span by itself at some moment of the call.
    pub fn each_segment(&'static self, mut f: impl FnMut(&Segment)) {
        let mut run: Option<Segment> = None;
        find::each_section(self, |section| {
            let live_bytes = section.live * section.unit;
            match &mut run {
                Some(run) if run.start + run.bytes == section.start => {
                    run.bytes += section.bytes;
                    run.spans += 1;
                    run.live_blocks += section.live;
                    run.live_bytes += live_bytes;
                }
                _ => {
                    run.iter().for_each(&mut f);
                    run = Some(Segment {
                        start: section.start,
                        bytes: section.bytes,
                        spans: 1,
                        live_blocks: section.live,
                        live_bytes,
                    });
                }
            }
        });
        run.iter().for_each(f);
    }

    /// A place for what the layer of plug-ins keeps for this pool; NULL when the pool is made.
    pub fn plugin(&self) -> &AtomicPtr<()> {
        &self.plugin
    }

    /// Peaks start again at the current values; counts stay (PO-34).
    pub fn reset_peak(&self) {
        self.books.lock().reset_peak();
    }

    /// Gives cached memory back to the device, longest unused first, until at most `keep` bytes are cached or nothing
    /// whole is left; never below what was committed at creation. The bytes by which reserved fell (PO-40, PO-41). Of what is cached still,
    /// the pages that no live block touches lose their memory.
    pub fn trim(&'static self, keep: usize) -> usize {
        if self.is_calling(thread::current()) {
            return 0;
        }
        self.free_ring();
        self.ask_all();
        if self.has_heaps() {
            heap::recall(self, keep == 0);
        }
        let mut released = 0;
        let mut kit = Kit::gather(None);
        let mut books = self.books.lock();
        books.sort_returned(self);
        books.dissolve_empty(os::coarse_ms());
        books.merge_recent();
        loop {
            let cached = books.stats().cached_bytes as usize;
            let most = books.spare();
            if most == 0 {
                break;
            }
            let Some(piece) = books.evict(cached.saturating_sub(keep), most, kit.as_mut()) else { break };
            released += piece.bytes;
            books = self.give_back(books, piece);
        }
        while let Some(piece) = books.drop_room() {
            books = self.give_back(books, piece);
        }
        books = self.purge(books);
        if books.stats().cached_bytes as usize > keep {
            books.busy += 1;
            drop(books);
            self.sweep();
            books = self.books.lock();
            books.busy -= 1;
        }
        if keep == 0 && released > 0 {
            books.busy += 1;
            drop((books, kit));
            span::vacate();
            books = self.books.lock();
            books.busy -= 1;
        }
        books.figures.trim_count += (released > 0) as u64;
        if books.retired {
            self.settle(books, 0);
        }
        released
    }

    /// What the device says: (total, free) bytes.
    fn device_memory(&'static self) -> Option<(u64, u64)> {
        self.ops().memory()
    }

    /// The end of every call that freed something: gives back what is due, and parks a pool to which nothing leads any
    /// more.
    fn settle(&'static self, mut books: Guard<'static, Books>, just: usize) {
        if books.retired && books.ring.is_some_and(|ring| ring.count() > 0) {
            books.busy += 1;
            drop(books);
            self.free_ring();
            books = self.books.lock();
            books.busy -= 1;
        }
        let now = os::coarse_ms();
        if !self.is_calling(thread::current()) {
            while let Some(piece) = books.evict_due(just, now) {
                books = self.give_back(books, piece);
            }
        }
        if books.is_over() && !core::mem::replace(&mut books.parked, true) {
            let ordered = books.ordered.take();
            drop(books);
            ordered.into_iter().for_each(Ordered::release);
            self.call(|_| self.upstream.end());
            park(self);
        }
    }
}
