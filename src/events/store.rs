//! The memory of the log: a header, and chunks that threads take in turn.
//!
//! Contract: one [`Store`] is in use at a time. It changes only while the world is stopped, and its addresses are used
//! only inside of critical sections or by the thread that stopped the world. A chunk has one writer, the thread that
//! took it. In memory the oldest chunk that nobody writes is taken again; in a file each chunk is taken once, after the
//! file system has reserved its bytes. So a full disk drops events, and never stops the program.

use crate::sys::file::{Errno, File, Outcome};
use crate::sys::{os, ticks};
use crate::thread::{ColdLock, Thread};
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Bytes of the file's header, and of a chunk.
pub const HEADER_BYTES: usize = 4096;
pub const CHUNK_BYTES: usize = 1 << 16;
/// Bytes of a slot.
pub const SLOT_BYTES: usize = 64;
/// One slot.
pub type Slot = [u64; SLOT_BYTES / 8];
/// Slots of a chunk behind its header.
pub const SLOTS: u32 = (CHUNK_BYTES / SLOT_BYTES - 1) as u32;

/// The most by which a file grows at a time.
const GROWTH_BYTES: usize = 1 << 20;

const CHUNK_MAGIC: u32 = u32::from_le_bytes(*b"TNCK");

/// Words of the header.
mod header {
    pub const MAGIC: usize = 0;
    /// The version, and above it the bytes of a chunk.
    pub const VERSION: usize = 1;
    pub const KINDS: usize = 2;
    pub const START_TICKS: usize = 3;
    pub const START_UNIX_NS: usize = 4;
    pub const PROCESS: usize = 5;
    pub const DROPPED: usize = 6;
    pub const FLAGS: usize = 7;
    pub const LATER_TICKS: usize = 8;
    pub const LATER_NS: usize = 9;
    pub const LIBRARY: usize = 10;
}

/// Words of a chunk's header.
mod chunk {
    /// [`super::CHUNK_MAGIC`], and above it the thread.
    pub const MAGIC: usize = 0;
    pub const USED: usize = 1;
    pub const SEQUENCE: usize = 2;
    pub const TICKS: usize = 3;
    pub const NS: usize = 4;
}

const VERSION: u64 = 1;
/// Old chunks were overwritten.
const FLAG_OVERWRITTEN: u64 = 1;

/// No thread has had the chunk: its memory may not even be there.
const UNUSED: u32 = 0;
/// No thread has it now.
const LEFT: u32 = 1;
/// A thread writes it.
const TAKEN: u32 = 2;

/// The number of the log that runs; 0: none. Changes while the world is stopped.
pub static LOG: AtomicU64 = AtomicU64::new(0);
/// What it records: TN_LOG_ bits; 0: no log runs.
pub static KINDS: AtomicU32 = AtomicU32::new(0);

/// The log's memory. All zero: there is none.
pub struct Store {
    /// The header, and behind it the chunks; 0: no log.
    start: AtomicUsize,
    chunks: AtomicUsize,
    /// For each chunk [`UNUSED`], [`LEFT`] or [`TAKEN`].
    states: AtomicUsize,
    /// How often a chunk was tried to be taken, in memory modulo the number of chunks.
    turns: AtomicUsize,
    sequence: AtomicU64,
    /// The descriptor, plus 1; 0: in memory.
    file: AtomicUsize,
    /// The file cannot grow.
    full: AtomicBool,
    /// Bytes that the file has.
    grown: ColdLock<usize>,
    start_ns: AtomicU64,
    clock_busy: AtomicBool,
    pub dropped: AtomicU64,
    overwritten: AtomicU64,
}

pub static STORE: Store = Store {
    start: AtomicUsize::new(0),
    chunks: AtomicUsize::new(0),
    states: AtomicUsize::new(0),
    turns: AtomicUsize::new(0),
    sequence: AtomicU64::new(0),
    file: AtomicUsize::new(0),
    full: AtomicBool::new(false),
    grown: ColdLock::new(0),
    start_ns: AtomicU64::new(0),
    clock_busy: AtomicBool::new(false),
    dropped: AtomicU64::new(0),
    overwritten: AtomicU64::new(0),
};

/// A chunk that the calling thread writes.
#[derive(Clone, Copy)]
pub struct Chunk {
    /// Its number; plus 1, so that 0 is none.
    pub number: usize,
    /// The address of its header.
    pub start: usize,
}

/// Memory for a log that nobody uses yet. Its drop returns it.
pub struct Reserved {
    start: usize,
    chunks: usize,
    states: usize,
    file: Option<File>,
}

impl Reserved {
    /// Reserves a header and `chunks` chunks, in a file if there is one. None: no memory.
    pub fn new(chunks: usize, file: Option<File>) -> Outcome<Reserved> {
        let bytes = HEADER_BYTES + chunks * CHUNK_BYTES;
        let states_bytes = states_bytes(chunks);
        let states = os::map(states_bytes, os::page_bytes()).ok_or(Errno::NO_MEMORY)?;
        let start = match &file {
            None => os::map(bytes.next_multiple_of(os::page_bytes()), os::page_bytes()).ok_or(Errno::NO_MEMORY),
            Some(file) => file.write_zeros(0, HEADER_BYTES).and_then(|()| file.map_ahead(bytes)),
        };
        start.map(|start| Reserved { start, chunks, states, file }).inspect_err(|_| {
            // SAFETY: mapped above, and nobody has the address.
            unsafe { os::unmap(states, states_bytes) };
        })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; a store that uses them has forgotten this value.
        unsafe {
            os::unmap(self.start, HEADER_BYTES + self.chunks * CHUNK_BYTES);
            os::unmap(self.states, states_bytes(self.chunks));
        }
    }
}

fn states_bytes(chunks: usize) -> usize {
    (chunks * size_of::<AtomicU32>()).next_multiple_of(os::page_bytes())
}

/// The word at an address of the store.
///
/// # Safety
/// - The address is a multiple of 8 in the store that is in use, and the caller keeps it in use.
unsafe fn word<'a>(start: usize, index: usize) -> &'a AtomicU64 {
    // SAFETY: the caller's obligation: mapped, aligned, and accessed atomically or by one thread alone.
    unsafe { &*(start as *const AtomicU64).add(index) }
}

/// Makes zeroed memory a chunk of no thread, in a copy of the log.
pub fn begin_copied_chunk(start: usize) {
    // SAFETY: the caller's own memory.
    unsafe { word(start, chunk::MAGIC) }.store(u64::from(CHUNK_MAGIC), Ordering::Relaxed);
    // SAFETY: as above. Behind all chunks of the log.
    unsafe { word(start, chunk::SEQUENCE) }.store(u64::MAX, Ordering::Relaxed);
}

impl Store {
    /// Uses this memory from now on. While the world is stopped, and no log runs.
    pub fn begin(&self, reserved: Reserved, kinds: u32) {
        self.end();
        let mut reserved = ManuallyDrop::new(reserved);
        let (ticks, ns) = ticks::pair();
        self.start.store(reserved.start, Ordering::Relaxed);
        self.chunks.store(reserved.chunks, Ordering::Relaxed);
        self.states.store(reserved.states, Ordering::Relaxed);
        self.file.store(reserved.file.take().map_or(0, |file| file.into_fd() as usize + 1), Ordering::Relaxed);
        self.start_ns.store(ns, Ordering::Relaxed);
        for counter in [&self.sequence, &self.dropped, &self.overwritten] {
            counter.store(0, Ordering::Relaxed);
        }
        self.turns.store(0, Ordering::Relaxed);
        self.full.store(false, Ordering::Relaxed);
        *self.grown.lock() = HEADER_BYTES;
        self.clock_busy.store(false, Ordering::Relaxed);
        let set = |index, value: u64| {
            // SAFETY: the world is stopped, so the store stays.
            unsafe { word(reserved.start, index) }.store(value, Ordering::Relaxed);
        };
        set(header::VERSION, VERSION | (CHUNK_BYTES as u64) << 32);
        set(header::KINDS, u64::from(kinds));
        set(header::START_TICKS, ticks);
        set(header::START_UNIX_NS, os::unix_ns());
        set(header::PROCESS, u64::from(os::process_number()));
        let mut version = [0; 16];
        let text = env!("CARGO_PKG_VERSION").as_bytes();
        version[..text.len().min(16)].copy_from_slice(&text[..text.len().min(16)]);
        for (at, part) in version.as_chunks::<8>().0.iter().enumerate() {
            set(header::LIBRARY + at, u64::from_le_bytes(*part));
        }
        set(header::MAGIC, u64::from_le_bytes(*b"TNEVENTS"));
    }

    /// Notes the end of the log. A file is closed; memory stays, to be copied. While the world is stopped.
    pub fn finish(&self) {
        self.set_clock();
        if let Some(fd) = self.file.load(Ordering::Relaxed).checked_sub(1) {
            let used = HEADER_BYTES + self.turns.load(Ordering::Relaxed) * CHUNK_BYTES;
            // A turn may have found no room. A file that keeps its unused end is good too.
            let _ = File::lent(fd as i32).set_len(used.min(*self.grown.lock()) as i64);
            self.end();
        }
    }

    /// Returns the memory, if there is any. While the world is stopped.
    pub fn end(&self) {
        let start = self.start.swap(0, Ordering::Relaxed);
        if start == 0 {
            return;
        }
        let chunks = self.chunks.swap(0, Ordering::Relaxed);
        // SAFETY: mapped by `Reserved::new`. The world is stopped, so no thread uses them, and none finds them from now
        // on.
        unsafe {
            os::unmap(start, HEADER_BYTES + chunks * CHUNK_BYTES);
            os::unmap(self.states.swap(0, Ordering::Relaxed), states_bytes(chunks));
        }
        if let Some(fd) = self.file.swap(0, Ordering::Relaxed).checked_sub(1) {
            drop(File::owned(fd as i32));
        }
    }

    pub fn exists(&self) -> bool {
        self.start.load(Ordering::Relaxed) != 0
    }

    pub fn is_file(&self) -> bool {
        self.file.load(Ordering::Relaxed) != 0
    }

    /// Bytes of all chunks.
    pub fn capacity(&self) -> usize {
        self.chunks.load(Ordering::Relaxed) * CHUNK_BYTES
    }

    pub fn overwritten(&self) -> u64 {
        self.overwritten.load(Ordering::Relaxed)
    }

    /// The header, with the chunks behind it, and the number of chunks.
    pub fn memory(&self) -> (usize, usize) {
        (self.start.load(Ordering::Relaxed), self.chunks.load(Ordering::Relaxed))
    }

    fn state(&self, number: usize) -> &AtomicU32 {
        // SAFETY: mapped with the store, one for each chunk, and accessed atomically; the store stays during the
        // caller's critical section.
        unsafe { &*(self.states.load(Ordering::Relaxed) as *const AtomicU32).add(number) }
    }

    /// Takes a chunk for the calling thread. None: there is no room. In a critical section, while a log runs.
    pub fn take(&self, thread: &Thread) -> Option<Chunk> {
        let chunks = self.chunks.load(Ordering::Relaxed);
        let number = if self.is_file() { self.take_of_file(chunks) } else { self.take_of_memory(chunks) }?;
        let start = self.start.load(Ordering::Relaxed) + HEADER_BYTES + number * CHUNK_BYTES;
        let (ticks, ns) = (ticks::now(), os::time_ns());
        let set = |index, value: u64| {
            // SAFETY: a chunk of the store, which stays during the caller's critical section, and is this thread's
            // alone.
            unsafe { word(start, index) }.store(value, Ordering::Relaxed);
        };
        // SAFETY: as above.
        let before = unsafe { word(start, chunk::USED) }.swap(0, Ordering::Relaxed);
        self.overwritten.fetch_add(before, Ordering::Relaxed);
        if before > 0 {
            // SAFETY: in the header of the store.
            unsafe { word(self.start.load(Ordering::Relaxed), header::FLAGS) }
                .store(FLAG_OVERWRITTEN, Ordering::Relaxed);
        }
        set(chunk::MAGIC, u64::from(CHUNK_MAGIC) | u64::from(thread.number()) << 32);
        set(chunk::TICKS, ticks);
        set(chunk::NS, ns - self.start_ns.load(Ordering::Relaxed));
        set(chunk::SEQUENCE, self.sequence.fetch_add(1, Ordering::Relaxed) + 1);
        Some(Chunk { number: number + 1, start })
    }

    fn take_of_memory(&self, chunks: usize) -> Option<usize> {
        (0..chunks).find_map(|_| {
            let number = self.turns.fetch_add(1, Ordering::Relaxed) % chunks;
            // Acquire pairs with the Release in `leave`.
            (self.state(number).swap(TAKEN, Ordering::Acquire) != TAKEN).then_some(number)
        })
    }

    fn take_of_file(&self, chunks: usize) -> Option<usize> {
        if self.full.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.turns.fetch_add(1, Ordering::Relaxed);
        if number >= chunks || self.grow(HEADER_BYTES + (number + 1) * CHUNK_BYTES, chunks).is_err() {
            self.full.store(true, Ordering::Relaxed);
            return None;
        }
        self.state(number).store(TAKEN, Ordering::Release);
        Some(number)
    }

    /// Gives the file at least `bytes` bytes, and their pages to the mapping. It grows by as much as it has, up to
    /// [`GROWTH_BYTES`].
    fn grow(&self, bytes: usize, chunks: usize) -> Outcome<()> {
        let mut grown = self.grown.lock();
        let file = File::lent(self.file.load(Ordering::Relaxed) as i32 - 1);
        while *grown < bytes {
            let most = HEADER_BYTES + chunks * CHUNK_BYTES - *grown;
            let more = grown.next_multiple_of(CHUNK_BYTES).min(GROWTH_BYTES).min(most);
            // What fits of a part that does not is given back: the disk is full for others too.
            file.write_zeros(*grown, more).inspect_err(|_| {
                let _ = file.set_len(*grown as i64);
            })?;
            // SAFETY: mapped ahead, and the file has these bytes now. No thread has a chunk there yet.
            unsafe { os::populate(self.start.load(Ordering::Relaxed) + *grown, more) };
            *grown += more;
        }
        Ok(())
    }

    /// Lets others take the chunk again. By its thread, or for a thread that has ended.
    pub fn leave(&self, number: usize) {
        self.state(number - 1).store(LEFT, Ordering::Release);
    }

    /// Publishes how many slots of a chunk are used.
    #[inline(always)]
    pub fn set_used(&self, chunk: usize, used: u32) {
        // SAFETY: a chunk that the calling thread has taken, in a critical section.
        unsafe { word(chunk, chunk::USED) }.store(u64::from(used), Ordering::Release);
    }

    /// The slots in use of a chunk of memory; of some moment of the call.
    pub fn used(&self, number: usize) -> u64 {
        if self.state(number).load(Ordering::Acquire) == UNUSED {
            return 0;
        }
        // SAFETY: the caller keeps the store in use.
        unsafe { word(self.memory().0 + HEADER_BYTES + number * CHUNK_BYTES, chunk::USED) }.load(Ordering::Acquire)
    }

    /// Updates the pair of clocks and the number of dropped events in the header. In a critical section, while a log
    /// runs.
    pub fn set_clock(&self) {
        if self.clock_busy.swap(true, Ordering::Acquire) {
            return;
        }
        let start = self.start.load(Ordering::Relaxed);
        let (ticks, ns) = (ticks::now(), os::time_ns());
        let set = |index, value: u64| {
            // SAFETY: in the header of the store, which the caller keeps in use.
            unsafe { word(start, index) }.store(value, Ordering::Relaxed);
        };
        set(header::LATER_TICKS, ticks);
        set(header::LATER_NS, ns.wrapping_sub(self.start_ns.load(Ordering::Relaxed)));
        set(header::DROPPED, self.dropped.load(Ordering::Relaxed));
        self.clock_busy.store(false, Ordering::Release);
    }

    /// Ticks when the log began, and the pair of clocks. In a critical section.
    pub fn clock(&self) -> (u64, u64, u64) {
        // SAFETY: in the header of the store, which the caller keeps in use.
        let get = |index| unsafe { word(self.start.load(Ordering::Relaxed), index) }.load(Ordering::Relaxed);
        (get(header::START_TICKS), get(header::LATER_TICKS), get(header::LATER_NS))
    }
}
