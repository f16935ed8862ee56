//! Slots: the type-stable memory behind every handle, and the lookup of a handle's slot.
//!
//! A handle is an opaque pointer in C, whose 64 bits are an [`Id`]: kind (8 bits, never 0), generation (32 bits), slot
//! number (24 bits). A slot's **word** has its generation and state. The generation advances when the handle is
//! released, so a released id never matches again. A slot is retired before its generation wraps, after at least 2^31
//! uses. The first generation differs between copies of the library in one process, so that a copy does not take an id
//! of another one for its own.
//!
//! Contract: slot memory is never unmapped and never changes its type. So the word of any id can be read without hazard
//! pointers or epochs, even if the id is stale and another thread reuses the slot. The rest of a slot is guarded by its
//! owner's lock (`ledger`), or belongs to the thread that wins the compare-exchange of the word (pools, groups of
//! borrows). Free slots are in a cache of the thread or in a list of the table. Any thread.

use crate::error::{Result, fail};
use crate::names::Name;
use crate::sys::file::Errno;
#[cfg(not(any(loom, preload)))]
use crate::sys::instances;
use crate::sys::lock::RawLock;
use crate::sys::os;
use crate::sys::sync::Watch;
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use crate::thread::{self, Area, CriticalSection, PerThread, Thread, area};
use crate::types::*;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, AtomicU32};

/// The kind of a handle: the top byte of its bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// tn_array
    Array = 1,
    /// tn_borrow
    Borrow = 2,
    /// tn_promise
    Promise = 3,
    /// tn_weak
    Weak = 4,
    /// tn_pool
    Pool = 5,
    /// Internal: the ledger of a store.
    Ledger = 6,
    /// Internal: a release callback and what delays it.
    Lease = 7,
    /// Internal: the root layout of views.
    Root = 8,
    /// Internal: an exported DLPack struct.
    Export = 9,
    /// tn_scope
    Scope = 10,
    /// tn_expr
    Expr = 11,
    /// tn_stream
    Stream = 12,
    /// tn_event
    Event = 13,
    /// tn_scope of tn_stream_enter
    StreamScope = 14,
    /// Internal: the record of a CUstream.
    StreamRecord = 15,
    /// Internal: an event of the driver.
    EventSlot = 16,
    /// tn_shared
    Variable = 17,
    /// tn_function
    Function = 18,
    /// tn_mirror
    Mirror = 19,
    /// tn_module
    Module = 20,
}

/// The number of kinds, including the unused 0. The preload library does not have the last ones.
const KINDS: usize = if cfg!(preload) { 12 } else { 21 };

impl Kind {
    fn of(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Array,
            2 => Kind::Borrow,
            3 => Kind::Promise,
            4 => Kind::Weak,
            5 => Kind::Pool,
            10 => Kind::Scope,
            11 => Kind::Expr,
            12 => Kind::Stream,
            13 => Kind::Event,
            14 => Kind::StreamScope,
            17 => Kind::Variable,
            18 => Kind::Function,
            19 => Kind::Mirror,
            20 => Kind::Module,
            _ => return None,
        })
    }

    /// The name of the C type.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Array => "tn_array",
            Kind::Borrow => "tn_borrow",
            Kind::Promise => "tn_promise",
            Kind::Weak => "tn_weak",
            Kind::Pool => "tn_pool",
            Kind::Scope => "tn_scope",
            Kind::Expr => "tn_expr",
            Kind::Stream => "tn_stream",
            Kind::Event => "tn_event",
            Kind::StreamScope => "tn_scope of tn_stream_enter",
            Kind::Variable => "tn_shared",
            Kind::Function => "tn_function",
            Kind::Mirror => "tn_mirror",
            Kind::Module => "tn_module",
            _ => "internal",
        }
    }
}

/// The bits of a handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Id(u64);

/// The number of bits of an id for the slot's number.
pub const NUMBER_BITS: u32 = 24;
const KIND_SHIFT: u32 = 56;

impl Id {
    /// No handle.
    pub const NONE: Id = Id(0);

    /// The id with these bits. No slot is looked up.
    pub fn from_bits(bits: u64) -> Id {
        Id(bits)
    }
    /// The bits of C's pointer.
    pub fn bits(self) -> u64 {
        self.0
    }
    /// The number of its slot.
    pub fn number(self) -> u32 {
        self.slot()
    }
    fn new(kind: Kind, generation: u32, slot: u32) -> Id {
        Id(((kind as u64) << KIND_SHIFT) | (u64::from(generation) << NUMBER_BITS) | u64::from(slot))
    }
    /// Whether the id is of this kind. The handle may be stale.
    #[inline]
    pub fn is_of(self, kind: Kind) -> bool {
        self.kind() == kind as u8
    }
    #[inline]
    fn kind(self) -> u8 {
        (self.0 >> KIND_SHIFT) as u8
    }
    #[inline]
    fn generation(self) -> u32 {
        (self.0 >> NUMBER_BITS) as u32
    }
    #[inline]
    fn slot(self) -> u32 {
        self.0 as u32 & ((1 << NUMBER_BITS) - 1)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

/// The state of a slot: the low half of its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum State {
    /// The slot is in a cache or list.
    Free = 0,
    /// The slot has a handle.
    Live = 1,
    /// The slot has a handle that can only be released: of a destructed array, or of a used promise.
    Spent = 2,
    /// The slot is in use without a handle: a claim that promises refer to, a layout that guards refer to, or an
    /// internal object.
    Kept = 3,
}

/// The head of every slot.
pub struct Head {
    word: AtomicU64,
    number: u32,
    /// The next slot of the table's free list, plus one; guarded by the table's lock.
    next_free: UnsafeCell<u32>,
}

// SAFETY: `next_free` is guarded by the table's lock.
unsafe impl Sync for Head {}

/// The generation in which slots begin, from the page at which this copy of the library is loaded: a number below 2^31.
/// The pages of two copies differ in low bits. The swap makes them high bits, so that slots of the two reach one
/// generation only after tens of thousands of uses, and only by chance.
fn first_generation() -> u32 {
    static ANCHOR: u8 = 0;
    let page = core::ptr::from_ref(&ANCHOR).addr() / os::page_bytes();
    (page as u32).swap_bytes() >> 1
}

fn pack(generation: u32, state: State) -> u64 {
    (u64::from(generation) << 32) | state as u64
}

impl Head {
    fn new(number: u32) -> Head {
        let word = AtomicU64::new(pack(first_generation(), State::Free));
        Head { word, number, next_free: UnsafeCell::new(0) }
    }
    /// The state.
    #[inline]
    pub fn state(&self) -> State {
        match self.word.load(Ordering::Acquire) as u32 {
            0 => State::Free,
            1 => State::Live,
            2 => State::Spent,
            _ => State::Kept,
        }
    }
    #[inline]
    fn generation(&self) -> u32 {
        (self.word.load(Ordering::Relaxed) >> 32) as u32
    }
    /// Changes the state. A handle stays valid. Under the owner's lock.
    #[inline]
    pub fn set_state(&self, state: State) {
        self.word.store(pack(self.generation(), state), Ordering::Release);
    }
    /// Changes the state, and makes a handle stale. Under the owner's lock.
    #[inline]
    pub fn make_stale(&self, state: State) {
        self.word.store(pack(self.generation().wrapping_add(1), state), Ordering::Release);
    }
    /// Makes a live handle stale, for slots without a ledger, and keeps the slot. True for exactly one caller.
    pub fn end(&self, id: Id) -> bool {
        let kept = pack(id.generation().wrapping_add(1), State::Kept);
        let live = pack(id.generation(), State::Live);
        self.word.compare_exchange(live, kept, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
    /// Undoes [`Head::end`]. Called by the thread for which it returned true.
    pub fn resume(&self, id: Id) {
        self.word.store(pack(id.generation(), State::Live), Ordering::Release);
    }
    /// Whether the slot has a handle with these bits.
    #[inline]
    pub fn is(&self, id: Id) -> bool {
        // One comparison checks the generation and both states, which are 1 and 2.
        const { assert!(State::Live as u64 == 1 && State::Spent as u64 == 2) };
        let word = self.word.load(Ordering::Acquire);
        (word ^ (u64::from(id.generation()) << 32)).wrapping_sub(1) < 2
    }
    /// Whether the slot has a handle with these bits that is not spent.
    #[inline]
    pub fn is_live(&self, id: Id) -> bool {
        self.word.load(Ordering::Acquire) == pack(id.generation(), State::Live)
    }
    /// The word of the slot while it has a handle with these bits that is not spent.
    pub fn live_bits(id: Id) -> u64 {
        pack(id.generation(), State::Live)
    }
    /// The word, for a comparison with [`Head::live_bits`].
    #[inline(always)]
    pub fn bits(&self) -> u64 {
        self.word.load(Ordering::Acquire)
    }
    /// The slot's number in its table. Together with [`Head::epoch`] it identifies one use of the slot.
    pub fn number(&self) -> u32 {
        self.number
    }
    /// The generation, which advances with each use of the slot.
    pub fn epoch(&self) -> u32 {
        self.generation()
    }
    /// The generation after [`Table::free`].
    #[inline(always)]
    pub fn epoch_when_free(&self) -> u32 {
        let word = self.word.load(Ordering::Relaxed);
        ((word >> 32) as u32).wrapping_add(u32::from(word as u32 != State::Kept as u32))
    }
}

/// A type of slots.
pub trait Slot: Sized + 'static {
    /// The kind; each type has its own.
    const KIND: Kind;
    /// A slot before its first use.
    fn new(head: Head) -> Self;
    /// The head.
    fn head(&self) -> &Head;
    /// The id of the slot's handle.
    #[inline]
    fn id(&self) -> Id {
        Id::new(Self::KIND, self.head().generation(), self.head().number)
    }
    /// Frees a slot that was taken and is not in use.
    #[inline]
    fn discard(&'static self, thread: &'static Thread) {
        Table::free(thread, self);
    }
    /// What is known of the last handle of a free slot.
    ///
    /// # Safety
    /// - The slot is free, and in the cache of the calling thread.
    unsafe fn past(&'static self) -> Past {
        Past::UNKNOWN
    }
}

/// What a message tells of a released handle.
pub struct Past {
    /// The name that the program gave it.
    pub name: Name,
    /// The call site where it was made.
    pub site: Name,
}

impl Past {
    const UNKNOWN: Past = Past { name: Name::NONE, site: Name::NONE };
}

/// A slot that is taken and not in use yet. Its drop frees the slot.
pub struct Spare<T: Slot> {
    slot: &'static T,
    thread: &'static Thread,
}

impl<T: Slot> Spare<T> {
    /// Takes a slot; outside of locks.
    #[inline]
    pub fn take(thread: &'static Thread) -> Result<Spare<T>> {
        Ok(Spare { slot: Table::take(thread)?, thread })
    }

    /// The opposite of [`Spare::into_slot`].
    ///
    /// # Safety
    /// - The slot is taken. The caller owns it, and gives it up.
    #[inline]
    pub unsafe fn of(slot: &'static T, thread: &'static Thread) -> Spare<T> {
        Spare { slot, thread }
    }

    /// The slot.
    #[inline]
    pub fn slot(&self) -> &'static T {
        self.slot
    }

    /// The calling thread.
    #[inline]
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }

    /// The slot, which is in use from now on.
    #[inline]
    pub fn into_slot(self) -> &'static T {
        let slot = self.slot;
        core::mem::forget(self);
        slot
    }
}

impl<T: Slot> Drop for Spare<T> {
    #[inline]
    fn drop(&mut self) {
        self.slot.discard(self.thread);
    }
}

/// Slots of a chunk. A chunk is mapped as a whole. Each slot is initialised at its first use.
#[cfg(not(loom))]
const CHUNK_SLOTS: u32 = 1 << 12;
#[cfg(loom)]
const CHUNK_SLOTS: u32 = 16;
#[cfg(not(loom))]
const MAX_CHUNKS: usize = 1 << 12;
#[cfg(loom)]
const MAX_CHUNKS: usize = 4;
/// The number of slots that move between a thread's cache and the table at once.
const BATCH_SLOTS: usize = CACHE_SLOTS / 2;

/// The most slots of one kind that a thread caches.
#[cfg(not(loom))]
const CACHE_SLOTS: usize = 32;
/// Few, so that slots move between the threads of a model.
#[cfg(loom)]
const CACHE_SLOTS: usize = 2;

/// A thread's stack of free slots of one type.
#[repr(C)]
struct Cache<T: 'static> {
    length: usize,
    /// The slot that was freed last is at the top.
    slots: [*const T; CACHE_SLOTS],
}

impl<T> Cache<T> {
    #[inline]
    fn is_full(&self) -> bool {
        self.length >= CACHE_SLOTS
    }
    #[inline]
    fn pop(&mut self) -> Option<&'static T> {
        // If the cache is empty, this wraps to an index out of range, which saves a branch.
        let top = self.length.wrapping_sub(1);
        let slot = *self.slots.get(top)?;
        self.length = top;
        // SAFETY: pushed as a static reference.
        Some(unsafe { &*slot })
    }
    /// Adds a slot to a cache that is not full.
    #[inline]
    fn push(&mut self, slot: &'static T) {
        self.slots[self.length] = slot;
        self.length += 1;
    }
}

/// A thread's caches, by kind: each is a [`Cache`] of the type that has the kind.
#[repr(C)]
struct Caches([UnsafeCell<Cache<()>>; KINDS]);

// SAFETY: zeros are empty caches; only the thread or its exit hook accesses them; the area is for this type.
unsafe impl PerThread for Caches {
    const AREA: Area = area::SLOTS;
}

/// All slots of one kind. Only `Table<T>` knows their type.
struct Chunks {
    lock: RawLock,
    chunks: [AtomicPtr<u8>; MAX_CHUNKS],
    /// The number of slots that were ever used; raised under the lock.
    grown: AtomicU32,
    /// The first slot of the free list, plus one; guarded by the lock.
    free: UnsafeCell<u32>,
    watch: Watch,
}

// SAFETY: `free` is guarded by the lock; the rest is atomic.
unsafe impl Sync for Chunks {}
// SAFETY: as above; the fields belong to no thread.
unsafe impl Send for Chunks {}

impl Chunks {
    #[cfg(not(loom))]
    const fn new() -> Chunks {
        Chunks {
            lock: RawLock::new(),
            chunks: [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CHUNKS],
            grown: AtomicU32::new(0),
            free: UnsafeCell::new(0),
            watch: Watch::new(),
        }
    }
    #[cfg(loom)]
    fn new() -> Chunks {
        Chunks {
            lock: RawLock::new(),
            chunks: [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CHUNKS],
            grown: AtomicU32::new(0),
            free: UnsafeCell::new(0),
            watch: Watch::new(),
        }
    }
}

#[cfg(not(loom))]
static TABLES: [Chunks; KINDS] = [const { Chunks::new() }; KINDS];

#[cfg(loom)]
loom::lazy_static! {
    static ref TABLES: [Chunks; KINDS] = core::array::from_fn(|_| Chunks::new());
}

/// The table of the slots of type `T`: one of the static tables.
pub struct Table<T>(PhantomData<T>);

impl<T: Slot> Table<T> {
    fn chunks() -> &'static Chunks {
        &TABLES[T::KIND as usize]
    }

    #[inline]
    fn at(number: u32) -> &'static T {
        let chunk = Self::chunks().chunks[(number / CHUNK_SLOTS) as usize].load(Ordering::Acquire).cast::<T>();
        // SAFETY: the chunks of every number below `grown` are mapped (see `grow`). Stated so that the compiler drops a
        // second check for an Option of a slot.
        unsafe { core::hint::assert_unchecked(!chunk.is_null()) };
        // SAFETY: every number below `grown` has been written (see `grow`), and slots are never freed or moved.
        unsafe { &*chunk.add((number % CHUNK_SLOTS) as usize) }
    }

    /// The slot with a number, in any state.
    #[inline]
    pub fn slot(number: u32) -> Option<&'static T> {
        (number < Self::chunks().grown.load(Ordering::Acquire)).then(|| Self::at(number))
    }

    /// The slot of a handle. TN_ERR_STALE, TN_ERR_KIND.
    #[inline]
    pub fn find(id: Id) -> Result<&'static T> {
        if id.kind() == T::KIND as u8 {
            let number = id.slot();
            if number < Self::chunks().grown.load(Ordering::Acquire) {
                let slot = Self::at(number);
                if slot.head().is(id) {
                    return Ok(slot);
                }
            }
        }
        Err(refuse(id, T::KIND))
    }

    /// The slot with the number of this handle, if the handle is of this kind and the slot was ever used. The handle
    /// may be stale.
    #[inline(always)]
    pub fn guess(id: Id) -> Option<&'static T> {
        if id.kind() != T::KIND as u8 { None } else { Self::slot(id.slot()) }
    }

    /// Whether the id is an unreleased handle of this kind.
    pub fn has(id: Id) -> bool {
        id.kind() == T::KIND as u8 && Self::slot(id.slot()).is_some_and(|slot| slot.head().is(id))
    }

    /// What is known of a released handle. Only a slot in the calling thread's cache is sure to be used by no other
    /// thread.
    fn past(id: Id) -> Option<Past> {
        let slot = Self::guess(id)?;
        // SAFETY: the calling thread's record; the reference ends with the statement.
        let cache = unsafe { Self::cache(thread::current()) };
        let is_cached = cache.slots[..cache.length].iter().any(|cached| core::ptr::eq(*cached, slot));
        // A slot that was taken again meanwhile has a later generation.
        let is_last = slot.head().bits() == pack(id.generation().wrapping_add(1), State::Free);
        // SAFETY: checked above.
        (is_cached && is_last).then(|| unsafe { slot.past() })
    }

    const CALLS: &'static Calls = &Calls { has: Self::has, past: Self::past };

    /// The thread's cache of these slots.
    ///
    /// # Safety
    /// - The thread is the calling one, or has ended.
    /// - The reference ends before the next call.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    unsafe fn cache(thread: &'static Thread) -> &'static mut Cache<T> {
        // SAFETY: the caller's promises; the cache of this kind holds only slots of this type, and pointers to all
        // sized types have one representation.
        unsafe { &mut *Caches::of(thread).0[T::KIND as usize].get().cast::<Cache<T>>() }
    }

    /// Takes a free slot, in state Free, which the caller alone uses. [`Table::publish`] gives it a handle; with
    /// [`Head::set_state`] to Kept it is used without one. [`Table::free`] frees it.
    #[inline]
    pub fn take(thread: &'static Thread) -> Result<&'static T> {
        match Self::take_cached(thread) {
            Some(slot) => Ok(slot),
            None => Self::take_slow(thread),
        }
    }

    /// Takes a slot from the thread's cache, if there is one.
    #[inline(always)]
    pub fn take_cached(thread: &'static Thread) -> Option<&'static T> {
        // SAFETY: the calling thread's record; the reference ends at once.
        unsafe { Self::cache(thread) }.pop()
    }

    /// The number of slots in the thread's cache.
    #[inline(always)]
    pub fn cached(thread: &'static Thread) -> usize {
        // SAFETY: the calling thread's record; the reference ends at once.
        unsafe { Self::cache(thread) }.length
    }

    #[cold]
    #[inline(never)]
    fn take_slow(thread: &'static Thread) -> Result<&'static T> {
        thread::on_exit(flush::<T>);
        loop {
            let inside = CriticalSection::enter(thread);
            let table = Self::chunks();
            table.lock.lock();
            table.watch.write();
            // SAFETY: under the table's lock.
            let free = unsafe { &mut *table.free.get() };
            let mut taken = None;
            while *free != 0 {
                let slot = Self::at(*free - 1);
                // SAFETY: under the table's lock.
                let next = unsafe { *slot.head().next_free.get() };
                if taken.is_none() {
                    taken = Some(slot);
                } else {
                    // SAFETY: the calling thread's record; the reference ends at once.
                    let cache = unsafe { Self::cache(thread) };
                    if cache.length == BATCH_SLOTS {
                        break;
                    }
                    cache.push(slot);
                }
                *free = next;
            }
            if taken.is_none() {
                let number = table.grown.load(Ordering::Relaxed);
                let chunk = (number / CHUNK_SLOTS) as usize;
                if chunk < MAX_CHUNKS && !table.chunks[chunk].load(Ordering::Relaxed).is_null() {
                    let base = table.chunks[chunk].load(Ordering::Relaxed).cast::<T>();
                    // SAFETY: mapped for CHUNK_SLOTS slots of T; this number was never used, so the slot is not shared.
                    unsafe { base.add((number % CHUNK_SLOTS) as usize).write(T::new(Head::new(number))) };
                    // Release pairs with the Acquire in `find` and `slot`.
                    table.grown.store(number + 1, Ordering::Release);
                    taken = Some(Self::at(number));
                }
            }
            table.lock.unlock();
            drop(inside);
            match taken {
                Some(slot) => return Ok(slot),
                None => Self::grow()?,
            }
        }
    }

    /// Maps the next chunk, under no lock. If another thread was first, this chunk stays unused, which costs only
    /// address space.
    #[cold]
    fn grow() -> Result<()> {
        register_kind::<T>();
        let table = Self::chunks();
        let chunk = (table.grown.load(Ordering::Acquire) / CHUNK_SLOTS) as usize;
        if chunk >= MAX_CHUNKS {
            return Err(fail(
                TN_ERR_LIMIT,
                format_args!(
                    "{} handles of type {} exist, which is the limit",
                    CHUNK_SLOTS as usize * MAX_CHUNKS,
                    T::KIND.name()
                ),
            ));
        }
        let bytes = CHUNK_SLOTS as usize * size_of::<T>();
        let Some(memory) = chunk_memory(bytes) else {
            return Err(fail(
                TN_ERR_NO_HOST_MEMORY,
                format_args!(
                    "no memory for the bookkeeping of more handles of type {} ({bytes} bytes): {}",
                    T::KIND.name(),
                    Errno::NO_MEMORY
                ),
            ));
        };
        // Release pairs with the Acquire in `at`.
        let _ = table.chunks[chunk].compare_exchange(
            core::ptr::null_mut(),
            memory.as_ptr(),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        Ok(())
    }

    /// Gives a slot its handle. The slot must be complete: other threads can find it from now on.
    #[inline]
    pub fn publish(slot: &'static T) -> Id {
        let head = slot.head();
        let generation = head.generation();
        head.word.store(pack(generation, State::Live), Ordering::Release);
        Id::new(T::KIND, generation, head.number)
    }

    /// Frees a slot. Its handle, if it has one, becomes stale.
    #[inline(always)] // measured: a call of its own costs a borrow 2 ns
    pub fn free(thread: &'static Thread, slot: &'static T) {
        let head = slot.head();
        let word = head.word.load(Ordering::Relaxed);
        let kept = word as u32 == State::Kept as u32;
        let generation = ((word >> 32) as u32).wrapping_add(u32::from(!kept)); // as in `epoch_when_free`
        head.word.store(pack(generation, State::Free), Ordering::Release);
        if generation >= u32::MAX - 1 {
            return; // Retired.
        }
        // SAFETY: the calling thread's record; the reference ends at once.
        if unsafe { Self::cache(thread) }.is_full() {
            Self::give_back(thread, BATCH_SLOTS);
        }
        // SAFETY: as above.
        unsafe { Self::cache(thread) }.push(slot);
    }

    /// Moves the `count` slots that were freed first from the thread's cache to the table's list.
    #[cold]
    fn give_back(thread: &'static Thread, count: usize) {
        let _inside = CriticalSection::enter(thread);
        let table = Self::chunks();
        table.lock.lock();
        table.watch.write();
        // SAFETY: the record of the calling thread, or of a thread that has ended; the reference ends with this
        // function.
        let cache = unsafe { Self::cache(thread) };
        for &slot in &cache.slots[..count] {
            // SAFETY: pushed as a static reference.
            let head = unsafe { &*slot }.head();
            // SAFETY: under the table's lock.
            unsafe {
                *head.next_free.get() = *table.free.get();
                *table.free.get() = head.number + 1;
            }
        }
        cache.slots.copy_within(count..cache.length, 0);
        cache.length -= count;
        table.lock.unlock();
    }

    /// Calls `visit` with every slot that was ever used, in any state.
    pub fn each(mut visit: impl FnMut(&'static T)) {
        let grown = Self::chunks().grown.load(Ordering::Acquire);
        for number in 0..grown {
            visit(Self::at(number));
        }
    }
}

fn flush<T: Slot>(thread: &'static Thread) {
    // SAFETY: the thread is ending or has ended; the reference ends at once.
    let length = unsafe { Table::<T>::cache(thread) }.length;
    Table::<T>::give_back(thread, length);
}

#[cfg(not(loom))]
fn chunk_memory(bytes: usize) -> Option<core::ptr::NonNull<u8>> {
    // Aligned to two cache lines, the largest alignment of a slot type.
    crate::arena::take(bytes, 128)
}

#[cfg(loom)]
loom::lazy_static! {
    // Ends with each iteration of a model, as do the slots' atomics.
    static ref MEMORY: std::sync::Mutex<Vec<Vec<Line>>> = std::sync::Mutex::new(Vec::new());
}

/// Memory with the alignment of any slot.
#[cfg(loom)]
#[repr(align(128))]
struct Line {
    _bytes: [u8; 128],
}

#[cfg(loom)]
fn chunk_memory(bytes: usize) -> Option<core::ptr::NonNull<u8>> {
    let mut memory: Vec<Line> = Vec::with_capacity(bytes.div_ceil(size_of::<Line>()));
    let at = core::ptr::NonNull::new(memory.as_mut_ptr().cast());
    MEMORY.lock().unwrap().push(memory);
    at
}

/// The status for an id that is no handle of the kind `wanted`.
#[cold]
#[inline(never)]
fn refuse(id: Id, wanted: Kind) -> crate::error::Status {
    let Some(kind) = Kind::of(id.kind()) else {
        let hint = match id.bits() {
            1..=3 if wanted == Kind::Stream => {
                ", but a constant TN_STREAM_*, which this call does not take or which is never released"
            }
            _ => "",
        };
        return fail(TN_ERR_KIND, format_args!("{id} is no handle{hint}; this call needs a {}", wanted.name()));
    };
    if kind != wanted && word_is_live(kind, id) {
        let hint = match (kind, wanted) {
            (Kind::Promise, _) => "; the receiver of a promise unwraps it with tn_take or tn_enter",
            (Kind::StreamScope, Kind::Scope) => " of tn_enter; leave this one with tn_stream_leave",
            (Kind::Scope, Kind::StreamScope) => "; leave this one with tn_leave",
            _ => "",
        };
        return fail(
            TN_ERR_KIND,
            format_args!("{id} is a {}, and this call needs a {}{hint}", kind.name(), wanted.name()),
        );
    }
    stale(id, kind)
}

/// The status for a handle of that kind that was released.
#[cold]
#[inline(never)]
pub fn stale(id: Id, kind: Kind) -> crate::error::Status {
    of_another_copy(id, kind).unwrap_or_else(|| {
        let past = calls_of(kind).and_then(|calls| (calls.past)(id)).unwrap_or(Past::UNKNOWN);
        let (made, ended) = match kind {
            Kind::Borrow => ("begun", "ended already; end each borrow once"),
            Kind::Scope | Kind::StreamScope => ("entered", "was left already; leave each scope once"),
            _ => ("made", "was released already; release each handle once, and do not use it afterwards"),
        };
        let (kind, name, site) = (kind.name(), past.name.as_str(), past.site.as_str());
        match (name.is_empty(), site.is_empty()) {
            (true, true) => fail(TN_ERR_STALE, format_args!("the {kind} {id} {ended}")),
            (true, false) => fail(TN_ERR_STALE, format_args!("the {kind} {id} ({made} at {site}) {ended}")),
            (false, true) => fail(TN_ERR_STALE, format_args!("the {kind} {id} \"{name}\" {ended}")),
            (false, false) => fail(TN_ERR_STALE, format_args!("the {kind} {id} \"{name}\" ({made} at {site}) {ended}")),
        }
    })
}

/// The status for a live handle of another copy of the library.
#[cfg(not(any(loom, preload)))]
fn of_another_copy(id: Id, kind: Kind) -> Option<crate::error::Status> {
    let mut status = None;
    instances::owner_of(id.bits(), |copy| {
        status = Some(fail(
            TN_ERR_STALE,
            format_args!(
                "the {} {id} belongs to another copy of this library in the process, {}; let the whole process use one",
                kind.name(),
                copy.path()
            ),
        ));
    });
    status
}

/// The preload library has no handles that a program sees.
#[cfg(any(loom, preload))]
fn of_another_copy(_: Id, _: Kind) -> Option<crate::error::Status> {
    None
}

/// Whether this copy of the library has a handle with these bits: for other copies.
#[cfg(not(any(loom, preload)))]
extern "C" fn is_live_here(bits: u64) -> u32 {
    let id = Id::from_bits(bits);
    Kind::of(id.kind()).map_or(0, |kind| u32::from(word_is_live(kind, id)))
}

/// Whether the id is an unreleased handle of a kind whose slot type is not known here.
fn word_is_live(kind: Kind, id: Id) -> bool {
    calls_of(kind).is_some_and(|calls| (calls.has)(id))
}

/// The functions of a table whose slot type is not known to the caller.
struct Calls {
    has: fn(Id) -> bool,
    past: fn(Id) -> Option<Past>,
}

static CALLS: [AtomicPtr<Calls>; KINDS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; KINDS];

/// The functions of the table of a kind that was ever used.
fn calls_of(kind: Kind) -> Option<&'static Calls> {
    let calls = CALLS.get(kind as usize)?.load(Ordering::Acquire);
    // SAFETY: null, or the constant that `register_kind` stored.
    unsafe { calls.as_ref() }
}

/// Registers the table of `T`, so that the error for a handle of another kind can tell whether it is stale.
fn register_kind<T: Slot>() {
    #[cfg(not(any(loom, preload)))]
    instances::start(first_generation(), is_live_here);
    CALLS[T::KIND as usize].store(core::ptr::from_ref(Table::<T>::CALLS).cast_mut(), Ordering::Release);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Probe {
        head: Head,
    }
    impl Slot for Probe {
        const KIND: Kind = Kind::Weak;
        fn new(head: Head) -> Probe {
            Probe { head }
        }
        fn head(&self) -> &Head {
            &self.head
        }
    }

    #[test]
    fn a_handle_is_found_until_it_is_freed_and_never_again() {
        let thread = thread::current();
        let slot = Table::<Probe>::take(thread).unwrap();
        let id = Table::publish(slot);
        assert_eq!(id.bits() >> 56, Kind::Weak as u64);
        assert!(Table::<Probe>::find(id).is_ok());
        slot.head().set_state(State::Spent);
        assert!(Table::<Probe>::find(id).is_ok(), "a spent handle is still out");
        Table::free(thread, slot);
        assert_eq!(Table::<Probe>::find(id).err().unwrap().code(), TN_ERR_STALE);
        for _ in 0..100 {
            let slot = Table::<Probe>::take(thread).unwrap();
            assert_ne!(Table::publish(slot), id);
            Table::free(thread, slot);
        }
        for bits in [1u64, 7, u64::MAX, 0x0300_0000_0000_0001, id.bits() ^ (1 << 40), id.bits() | 0xff_ffff] {
            assert!(Table::<Probe>::find(Id::from_bits(bits)).is_err());
        }
    }

    #[test]
    fn slots_of_ended_threads_are_used_again() {
        let grown = || Table::<Probe>::chunks().grown.load(Ordering::Relaxed);
        let cycle = || {
            std::thread::spawn(|| {
                let thread = thread::current();
                let slots: Vec<_> = (0..100).map(|_| Table::<Probe>::take(thread).unwrap()).collect();
                slots.iter().for_each(|slot| Table::free(thread, *slot));
            })
            .join()
            .unwrap()
        };
        cycle();
        let before = grown();
        (0..50).for_each(|_| cycle());
        assert!(grown() <= before + 200, "{} slots grew to {}", before, grown());
    }

    #[test]
    fn exactly_one_ends_a_slot_without_ledger() {
        let slot = Table::<Probe>::take(thread::current()).unwrap();
        let id = Table::publish(slot);
        let ended: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| slot.head().end(id) as usize)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(ended, 1);
        Table::free(thread::current(), slot);
    }
}
