//! All state of a thread: its number, where it is, its caches of slots, its current pools, and whether it is inside the library.
//!
//! Contract: [`current`] gives the calling thread's record, made at its first call and never unmapped. Fields in `Cell`s belong to
//! that thread; another thread touches them only when the owner is gone (its end, or the child of a fork). Nothing runs at load.
//!
//! A thread can be [`stop_the_world`]: then no other one is inside, and it may touch what belongs to them.
//!
//! In the preload library (`cfg(preload)`, bindings/malloc) every thread comes here, also after all that it had is gone: it asks
//! [`current_if_registered`], and [`visit`] gives it a record for one call. Nothing there may allocate from the C library, which is us.
//!
//! Fork: a child must not inherit a lock that a thread which no longer exists holds, or books that it was changing. So whoever
//! takes a lock of the library is [`CriticalSection`] meanwhile, and the handler before the fork waits until nobody is. The hot side
//! is a store and a load of the thread's own; `membarrier` on the cold side makes the two agree.
//!
//! | file | what |
//! |---|---|
//! | `fork` | the process stands still; what a child finds |
//! | `locks` | data behind locks whose holders are inside |

mod fork;

mod locks;

pub use fork::{are_devices_in_doubt, doubt_devices, forks, stop_the_world, use_devices};
pub use locks::{ColdGuard, ColdLock, QuickGuard, QuickLock};

#[cfg(not(loom))]
use crate::error::NoRecord;
#[cfg(loom)]
use crate::sys::lock::RawLock;
use crate::sys::os;
#[cfg(not(loom))]
use crate::sys::tls;
use crate::sys::tls::TlsSlot;
use core::cell::{Cell, UnsafeCell};
use core::marker::PhantomData;
#[cfg(not(loom))]
use core::mem::MaybeUninit;
// Not those of `sys::sync`: forks are no part of what loom explores.
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use fork::FORKER;
#[cfg(not(loom))]
use fork::register_fork_handlers;

/// Number of slot tables that have a cache here; the preload library has none of the last ones.
pub const TABLES: usize = if cfg!(preload) { 12 } else { 17 };
/// Slots of one table that a thread keeps at most.
#[cfg(not(loom))]
pub const CACHE: usize = 32;
/// So few that the models see slots move between threads.
#[cfg(loom)]
pub const CACHE: usize = 2;
/// GPUs whose streams a thread can know.
pub const GPUS: usize = if cfg!(preload) { 0 } else { 32 };
/// Devices that have a current pool: host, pinned, managed, and the GPUs.
pub const POOLS: usize = 3 + GPUS;
/// Handles of pools of which a thread finds the heap at once: where two share a place, one of them.
pub const POOL_CACHE_ENTRIES: usize = 128;
/// Heaps of pools that a thread finds at once.
pub const HEAPS: usize = 64;

/// A stack of free slots, of which this module knows the addresses only.
pub struct Cache {
    length: usize,
    /// The one freed last on top.
    items: [*const (); CACHE],
}

impl Cache {
    const EMPTY: Cache = Cache { length: 0, items: [core::ptr::null(); CACHE] };

    /// How many are there.
    pub fn len(&self) -> usize {
        self.length
    }
    /// Whether none is there.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
    /// Whether there is no room for another.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.length >= CACHE
    }
    /// Takes the one freed last.
    #[inline]
    pub fn pop(&mut self) -> Option<*const ()> {
        // The index is never out of range; looking it up this way needs no second branch.
        let top = self.length.wrapping_sub(1);
        let slot = *self.items.get(top)?;
        self.length = top;
        Some(slot)
    }
    /// Puts one on top; there must be room.
    #[inline]
    pub fn push(&mut self, slot: *const ()) {
        self.items[self.length] = slot;
        self.length += 1;
    }
    /// The `count` that were not used for longest.
    pub fn oldest(&self, count: usize) -> &[*const ()] {
        &self.items[..count]
    }
    /// Removes those.
    pub fn forget_oldest(&mut self, count: usize) {
        self.items.copy_within(count..self.length, 0);
        self.length -= count;
    }
}

/// A thread's record.
#[repr(C, align(64))]
#[cfg_attr(loom, allow(dead_code))] // no thread is over before its model is
pub struct Thread {
    /// First: by this the thread finds it.
    home: TlsSlot,
    // What the short ways look at.
    inside: AtomicU32,
    forbids: Cell<u32>,
    stamp: Cell<u64>,
    current_heap: Cell<usize>,
    site: Cell<u32>,
    number: Cell<u32>,
    first_heap: Cell<usize>,
    used: AtomicU32,
    pool_cache: [PoolCacheEntry; POOL_CACHE_ENTRIES],
    heaps: [Cell<usize>; HEAPS],
    pools: [Cell<usize>; POOLS],
    caches: [UnsafeCell<Cache>; TABLES],
    calling: Cell<usize>,
    rest: ExportQuarantine,
    streams: [Streams; GPUS],
    stream_scope: Cell<usize>,
    next: AtomicPtr<Thread>,
}

/// What `stream` keeps here for one GPU; 0: nothing.
pub struct Streams {
    /// The stream that the thread has made its current one.
    pub current: Cell<usize>,
    /// Its own: the one that the driver calls per-thread.
    pub own: Cell<usize>,
}

/// What `pool` knows of a handle, numbers as far as this module knows.
pub struct PoolCacheEntry {
    /// Its bits; 0: none. Whoever closes the handle takes it away, in all threads ([`close_doors`]).
    pub handle: AtomicU64,
    /// The thread's heap of its pool.
    pub heap: Cell<usize>,
}

impl PoolCacheEntry {
    const fn unused() -> PoolCacheEntry {
        PoolCacheEntry { handle: AtomicU64::new(0), heap: Cell::new(0) }
    }
}

/// Bits of a thread's number (Linux has at most 2^22) and of a site's.
const NUMBER_BITS: u32 = 22;
const SITE_BITS: u32 = 16;

/// A thread's number and a site's in one word.
#[inline]
pub fn stamp(number: u32, site: u32) -> u64 {
    u64::from(number & ((1 << NUMBER_BITS) - 1)) | u64::from(site & ((1 << SITE_BITS) - 1)) << NUMBER_BITS
}

/// The two numbers of a stamp.
pub fn of_stamp(stamp: u64) -> (u32, u32) {
    (stamp as u32 & ((1 << NUMBER_BITS) - 1), (stamp >> NUMBER_BITS) as u32 & ((1 << SITE_BITS) - 1))
}

/// A queue that `exchange` keeps here, of which this module knows numbers only.
pub struct ExportQuarantine {
    /// Its first; 0: it is empty.
    pub first: Cell<usize>,
    /// Its last.
    pub last: Cell<usize>,
    /// How many there are.
    pub count: Cell<usize>,
}

impl ExportQuarantine {
    fn new() -> ExportQuarantine {
        ExportQuarantine { first: Cell::new(0), last: Cell::new(0), count: Cell::new(0) }
    }
}

const _: () = assert!(core::mem::offset_of!(Thread, home) == 0);

impl Thread {
    fn new() -> Thread {
        Thread {
            home: TlsSlot::new(),
            inside: AtomicU32::new(0),
            used: AtomicU32::new(1),
            number: Cell::new(0),
            stamp: Cell::new(0),
            site: Cell::new(0),
            forbids: Cell::new(0),
            caches: [const { UnsafeCell::new(Cache::EMPTY) }; TABLES],
            pools: [const { Cell::new(0) }; POOLS],
            first_heap: Cell::new(0),
            heaps: [const { Cell::new(0) }; HEAPS],
            current_heap: Cell::new(0),
            pool_cache: [const { PoolCacheEntry::unused() }; POOL_CACHE_ENTRIES],
            calling: Cell::new(0),
            rest: ExportQuarantine::new(),
            streams: [const { Streams { current: Cell::new(0), own: Cell::new(0) } }; GPUS],
            stream_scope: Cell::new(0),
            next: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Whether it is inside the library: then it may have a lock of it.
    pub fn is_inside(&self) -> bool {
        self.inside.load(Ordering::Relaxed) > 0
    }
    /// The system's number of the thread.
    pub fn number(&self) -> u32 {
        self.number.get()
    }
    /// Number of the site set by TN_HERE, 0 for none.
    pub fn site(&self) -> u32 {
        self.site.get()
    }
    /// Sets the site.
    pub fn set_site(&self, site: u32) {
        self.site.set(site);
        self.set_stamp();
    }
    #[cfg(not(loom))]
    fn set_number(&self, number: u32) {
        self.number.set(number);
        self.set_stamp();
    }
    fn set_stamp(&self) {
        self.stamp.set(stamp(self.number(), self.site()));
    }
    /// Who and where it is: `stamp` of its number and site.
    #[inline]
    pub fn stamp(&self) -> u64 {
        self.stamp.get()
    }
    /// How often forced copies are forbidden now.
    pub fn forbids(&self) -> u32 {
        self.forbids.get()
    }
    /// Sets how often forced copies are forbidden.
    pub fn set_forbids(&self, count: u32) {
        self.forbids.set(count);
    }
    /// What `pool` stored for the device with that index; 0: nothing.
    pub fn pool(&self, index: usize) -> usize {
        self.pools[index].get()
    }
    /// Stores something for `pool`.
    pub fn set_pool(&self, index: usize, value: usize) {
        self.pools[index].set(value);
    }
    /// What `pool` stored last for a number with the same remainder; 0: nothing. It may have ended since.
    #[inline]
    pub fn heap(&self, number: usize) -> usize {
        self.heaps[number % HEAPS].get()
    }
    /// Stores something for `pool`.
    pub fn set_heap(&self, number: usize, value: usize) {
        self.heaps[number % HEAPS].set(value);
    }
    /// What `pool` stored for the host's current pool; 0: nothing, or another pool has become the current one since.
    #[inline]
    pub fn current_heap(&self) -> usize {
        self.current_heap.get()
    }
    /// Stores something for `pool`.
    pub fn set_current_heap(&self, value: usize) {
        self.current_heap.set(value);
    }
    /// A heap is not this thread's any more.
    pub fn forget_heap(&self, heap: usize) {
        if self.current_heap.get() == heap {
            self.current_heap.set(0);
        }
        for pool_cache_entry in self.pool_cache.iter().filter(|pool_cache_entry| pool_cache_entry.heap.get() == heap) {
            pool_cache_entry.handle.store(0, Ordering::Relaxed);
        }
    }
    /// The door of a pool's handle.
    #[inline(always)]
    pub fn pool_cache_entry(&self, handle: u64) -> &PoolCacheEntry {
        &self.pool_cache[handle as usize % POOL_CACHE_ENTRIES]
    }
    /// What `pool` stored of the callbacks that are under way on this thread; 0: none is.
    pub fn calling(&self) -> usize {
        self.calling.get()
    }
    /// Sets it.
    pub fn set_calling(&self, value: usize) {
        self.calling.set(value);
    }
    /// The queue of `exchange`.
    #[inline]
    pub fn rest(&self) -> &ExportQuarantine {
        &self.rest
    }
    /// What `stream` keeps for a GPU.
    #[inline]
    pub fn streams(&self, gpu: usize) -> &Streams {
        &self.streams[gpu]
    }
    /// The innermost of the scopes that `stream` has entered here; 0: none.
    pub fn stream_scope(&self) -> usize {
        self.stream_scope.get()
    }
    /// Sets it.
    pub fn set_stream_scope(&self, value: usize) {
        self.stream_scope.set(value);
    }
    /// The first of `pool`'s list; 0: it is empty.
    pub fn first_heap(&self) -> usize {
        self.first_heap.get()
    }
    /// Sets it.
    pub fn set_first_heap(&self, value: usize) {
        self.first_heap.set(value);
    }
    /// The cache of a slot table.
    ///
    /// # Safety
    /// - Called by the record's own thread, or by an exit hook.
    /// - The reference ends before the next call for the same table.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn cache(&self, table: usize) -> &mut Cache {
        // SAFETY: only the owner reaches it, one reference at a time: the caller's promises.
        unsafe { &mut *self.caches[table].get() }
    }
}

/// What stands in place of a record where a thread of the preload library has left its own for good; no record lies there.
#[cfg(not(loom))]
const OVER: usize = 1;

#[cfg(not(loom))]
thread_local! {
    // Only its Drop matters: it runs when the thread ends.
    static EXIT: Exit = const { Exit };
}

#[cfg(loom)]
loom::thread_local! {
    static RECORD: Cell<*const Thread> = Cell::new(core::ptr::null());
}

/// The calling thread's record, if it has one.
#[cfg(not(loom))]
#[inline(always)]
pub fn current_if_registered() -> Option<&'static Thread> {
    let record = tls::get().cast::<Thread>();
    if cfg!(preload) && record as usize == OVER {
        return None;
    }
    // SAFETY: NULL, or what `try_register` stored: a record, and those are never freed.
    unsafe { record.as_ref() }
}

/// The same, where it is found at once; None also where it is not.
#[cfg(not(loom))]
#[inline(always)]
pub fn current_fast() -> Option<&'static Thread> {
    if cfg!(preload) {
        return current_if_registered();
    }
    // SAFETY: as in `current_if_registered`.
    unsafe { tls::current_fast().cast::<Thread>().as_ref() }
}

/// The same, in a model.
#[cfg(loom)]
pub fn current_fast() -> Option<&'static Thread> {
    current_if_registered()
}

/// The same, in a model.
#[cfg(loom)]
pub fn current_if_registered() -> Option<&'static Thread> {
    // SAFETY: NULL, or a record that lasts as long as the threads of this iteration.
    unsafe { RECORD.with(Cell::get).as_ref() }
}

/// The calling thread's record.
#[inline]
pub fn current() -> &'static Thread {
    current_if_registered().unwrap_or_else(register)
}

/// The same; None where a thread's first call finds no memory for its record.
#[cfg(not(loom))]
#[inline]
pub fn try_current() -> Option<&'static Thread> {
    current_if_registered().or_else(try_register)
}

/// The same, in a model, where there is always memory.
#[cfg(loom)]
pub fn try_current() -> Option<&'static Thread> {
    Some(current())
}

#[cfg(loom)]
loom::lazy_static! {
    // What has to go at the end of each iteration of a model.
    static ref MODEL: std::sync::Mutex<Model> = std::sync::Mutex::new(Model::default());
}

#[cfg(loom)]
#[derive(Default)]
struct Model {
    records: Vec<Box<Thread>>,
    /// Locks of [`ColdLock`]s by the address of these: they stand in statics, where no lock of loom's can.
    locks: std::collections::HashMap<usize, Box<RawLock>>,
}

// SAFETY: the threads of a model take turns.
#[cfg(loom)]
unsafe impl Send for Model {}

#[cfg(loom)]
fn register() -> &'static Thread {
    let record = Box::new(Thread::new());
    let at = core::ptr::from_ref(&*record);
    MODEL.lock().unwrap().records.push(record);
    RECORD.with(|cell| cell.set(at));
    // SAFETY: lasts as long as the threads of this iteration.
    unsafe { &*at }
}

/// All records, newest first; a record is never unlinked, but reused by a later thread.
#[cfg(not(loom))]
static RECORDS: AtomicPtr<Thread> = AtomicPtr::new(core::ptr::null_mut());

#[cfg(not(loom))]
#[cold]
#[inline(never)]
fn register() -> &'static Thread {
    // Thrown, not returned, because nothing else that asks for its thread can fail. Without a text, and so without memory for one.
    try_register().unwrap_or_else(|| std::panic::resume_unwind(Box::new(NoRecord)))
}

#[cfg(not(loom))]
#[cold]
#[inline(never)]
fn try_register() -> Option<&'static Thread> {
    register_fork_handlers();
    let make = || {
        let memory = os::arena(size_of::<Thread>()).map(|memory| memory.cast::<Thread>().as_ptr());
        let record = memory.or_else(spare)?;
        // SAFETY: memory for one record that nobody else has: fresh pages, or a spare place.
        unsafe { record.write(Thread::new()) };
        let mut head = RECORDS.load(Ordering::Relaxed);
        loop {
            // SAFETY: just written, never freed.
            unsafe { (*record).next.store(head, Ordering::Relaxed) };
            // Release pairs with the Acquire in `records`.
            match RECORDS.compare_exchange_weak(head, record, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        // SAFETY: as above.
        Some(unsafe { &*record })
    };
    let record = reuse().or_else(make)?;
    record.set_number(os::thread_number());
    let over = tls::get() as usize == OVER;
    tls::set(core::ptr::from_ref(record).cast());
    if !cfg!(preload) {
        // Fails only while the thread ends: then the record stays taken, once per such thread.
        if EXIT.try_with(|_| ()).is_ok() {
            // SAFETY: the record begins with its home, is never freed and this thread's.
            unsafe { tls::keep() };
        }
    } else if !over {
        os::at_thread_end(core::ptr::from_ref(record) as usize);
    }
    Some(record)
}

/// For the preload library: runs `work` in a thread that is not [`current_if_registered`], which has a record meanwhile. A thread keeps it after its first
/// call; one that is over gives it back. None: there is no memory for a record.
#[cfg(not(loom))]
#[cold]
#[inline(never)]
pub fn visit<R>(work: impl FnOnce() -> R) -> Option<R> {
    let over = tls::get() as usize == OVER;
    let record = try_register()?;
    let result = work();
    if over {
        leave(record, || tls::set(OVER as *const ()));
    }
    Some(result)
}

/// The end of a thread of the preload library, by the C library, which calls this in each of its rounds: it is over in the last one, after
/// what others do then. They may still free, and come by [`visit`].
#[cfg(not(loom))]
extern "C" fn end(value: *mut core::ffi::c_void) {
    // Records lie at multiples of 64 bytes, so that the round fits below.
    const LAST_ROUND: usize = 3;
    let round = value as usize & LAST_ROUND;
    if round < LAST_ROUND {
        os::at_thread_end(value as usize + 1);
    } else if let Some(record) = current_if_registered() {
        leave(record, || tls::set(OVER as *const ()));
    }
}

/// Places for the records of threads that come when the system has no memory: they may still have handles to give back.
#[cfg(not(loom))]
struct Spares {
    places: [UnsafeCell<MaybeUninit<Thread>>; 32],
    used: AtomicUsize,
}

// SAFETY: each place has one owner, the thread that raised `used` to its number.
#[cfg(not(loom))]
unsafe impl Sync for Spares {}

#[cfg(not(loom))]
static SPARES: Spares =
    Spares { places: [const { UnsafeCell::new(MaybeUninit::uninit()) }; 32], used: AtomicUsize::new(0) };

#[cfg(not(loom))]
#[cold]
fn spare() -> Option<*mut Thread> {
    let all = SPARES.places.len();
    let next = SPARES.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| (used < all).then_some(used + 1));
    next.ok().map(|place| SPARES.places[place].get().cast::<Thread>())
}

#[cfg(not(loom))]
fn records() -> impl Iterator<Item = &'static Thread> {
    let mut at = RECORDS.load(Ordering::Acquire);
    core::iter::from_fn(move || {
        // SAFETY: records are never freed.
        let record = unsafe { at.as_ref() }?;
        at = record.next.load(Ordering::Relaxed);
        Some(record)
    })
}

/// Closes the doors of a handle that is not out any more, in all threads: none goes through one that begins after this. Who opens one looks
/// at the handle afterwards, behind a fence as here: one of the two sees the other.
#[cfg(not(loom))]
pub fn close_doors(handle: u64) {
    core::sync::atomic::fence(Ordering::SeqCst);
    for record in records() {
        let place = &record.pool_cache_entry(handle).handle;
        if place.load(Ordering::Relaxed) == handle {
            // It may be another handle's by now, which stays.
            let _ = place.compare_exchange(handle, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// No thread of a model has a heap, and so none has a door.
#[cfg(loom)]
pub fn close_doors(_handle: u64) {}

#[cfg(not(loom))]
fn reuse() -> Option<&'static Thread> {
    // Acquire pairs with the Release in `leave`: the former owner's writes are seen.
    records().find(|r| {
        r.used.load(Ordering::Relaxed) == 0
            && r.used.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    })
}

/// What the layers above do when a thread ended: `hook(record)`.
pub type ExitHook = fn(&'static Thread);
/// One for each table of slots, and some for others.
static HOOKS: [AtomicUsize; TABLES + 8] = [const { AtomicUsize::new(0) }; TABLES + 8];

/// Registers a hook, once however often it is called. Hooks run on the ending thread, or in the child of a fork for a thread
/// that is not there any more.
pub fn on_exit(hook: ExitHook) {
    let value = hook as usize;
    for place in &HOOKS {
        match place.compare_exchange(0, value, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(there) if there == value => return,
            Err(_) => {}
        }
    }
    unreachable!("more exit hooks than places");
}

/// The end of a thread, or of what is left of one; `forget`: from here on it has the record no more.
#[cfg(not(loom))]
fn leave(record: &'static Thread, forget: impl FnOnce()) {
    for place in &HOOKS {
        let value = place.load(Ordering::Acquire);
        if value != 0 {
            // SAFETY: only `on_exit` stores here, and only hooks.
            let hook: ExitHook = unsafe { core::mem::transmute::<usize, ExitHook>(value) };
            hook(record);
        }
    }
    record.site.set(0);
    record.forbids.set(0);
    record.calling.set(0);
    forget();
    // Last: the next thread has it at once, with the home by which it was found.
    record.used.store(0, Ordering::Release);
}

#[cfg(not(loom))]
struct Exit;

#[cfg(not(loom))]
impl Drop for Exit {
    fn drop(&mut self) {
        if let Some(record) = current_if_registered() {
            // Still ours while the hooks run: a lock that they take would otherwise register this thread anew, and for ever.
            leave(record, || tls::set(core::ptr::null()));
        }
    }
}

/// Held while a lock of the library is: keeps a fork from happening meanwhile. Nests.
pub struct CriticalSection {
    thread: &'static Thread,
    own: PhantomData<*const ()>,
}

/// 0: nobody forks. Bit 0: a fork waits. Bit 1: the system has no membarrier, so that entering needs a fence.
static FORKING: AtomicU32 = AtomicU32::new(0);

impl CriticalSection {
    /// Enters.
    #[inline]
    pub fn enter(thread: &'static Thread) -> CriticalSection {
        let depth = thread.inside.load(Ordering::Relaxed);
        thread.inside.store(depth + 1, Ordering::Relaxed);
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
        // The fork's side sets the bit, then makes every thread of the process pass a barrier, then reads `inside`: either it
        // sees the store above, or we see its bit.
        if FORKING.load(Ordering::Acquire) != 0 {
            wait_for_fork(thread, depth);
        }
        CriticalSection { thread, own: PhantomData }
    }

    /// The thread that is inside.
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }
}

impl Drop for CriticalSection {
    #[inline]
    fn drop(&mut self) {
        let depth = self.thread.inside.load(Ordering::Relaxed);
        // Release pairs with the Acquire in `before_fork`: what was changed inside is whole for the child.
        self.thread.inside.store(depth - 1, Ordering::Release);
    }
}

/// Runs `work`, which calls foreign code, from inside or outside: meanwhile the thread counts as outside, so that nobody waits for it, and
/// it may wait for others. The caller has no lock, and what it protected by being inside is whole.
pub fn outside<R>(work: impl FnOnce() -> R) -> R {
    let thread = current();
    let depth = thread.inside.load(Ordering::Relaxed);
    if depth == 0 {
        return work();
    }
    // As at the end of `CriticalSection`.
    thread.inside.store(0, Ordering::Release);
    let result = work();
    let back = CriticalSection::enter(thread);
    thread.inside.store(depth, Ordering::Relaxed);
    core::mem::forget(back);
    result
}

/// The same for a call that is over at once, of a thread that is outside.
// Constants are stored, so that one call does not wait for what the one before stored: a counter costs more than all the rest of a short call.
#[repr(transparent)]
pub struct FastEntry {
    thread: &'static Thread,
    own: PhantomData<*const ()>,
}

impl FastEntry {
    /// Enters. None: the thread is inside, or would have to wait.
    #[inline(always)]
    pub fn begin(thread: &'static Thread) -> Option<FastEntry> {
        if thread.is_inside() {
            return None;
        }
        thread.inside.store(1, Ordering::Relaxed);
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
        // As in `CriticalSection::enter`.
        let visit = FastEntry { thread, own: PhantomData };
        (FORKING.load(Ordering::Acquire) == 0).then_some(visit)
    }

    /// The thread that is inside.
    #[inline(always)]
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }
}

impl Drop for FastEntry {
    #[inline(always)]
    fn drop(&mut self) {
        // As in `CriticalSection`.
        self.thread.inside.store(0, Ordering::Release);
    }
}

#[cold]
#[inline(never)]
fn wait_for_fork(thread: &'static Thread, depth: u32) {
    // Whoever is inside already may not wait: the fork waits for it.
    if depth > 0 {
        return;
    }
    loop {
        core::sync::atomic::fence(Ordering::SeqCst);
        if FORKING.load(Ordering::Relaxed) & 1 == 0 || FORKER.load(Ordering::Relaxed) == thread.number.get() as usize {
            return;
        }
        thread.inside.store(0, Ordering::Release);
        os::sleep_us(20);
        thread.inside.store(1, Ordering::Relaxed);
    }
}

// SAFETY: the Cells and caches are touched by the owner only (contract of this module); the rest is atomic.
unsafe impl Sync for Thread {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_finds_no_memory_takes_a_spare_record() {
        let number = std::thread::spawn(|| {
            os::fail_calls(0, u64::MAX);
            current().number()
        });
        assert_ne!(number.join().unwrap(), 0);
    }

    #[test]
    fn a_thread_that_ends_leaves_its_record_to_the_next() {
        // What a hook does that takes a lock.
        fn hook(record: &'static Thread) {
            assert!(core::ptr::eq(record, current()));
        }
        on_exit(hook);
        let thread = || std::thread::spawn(|| current().number()).join().unwrap();
        thread();
        let before = records().count();
        (0..100).for_each(|_| assert_ne!(thread(), 0));
        // Threads of other tests come and go meanwhile.
        assert!(records().count() < before + 50, "{before} records became {}", records().count());
    }
}
