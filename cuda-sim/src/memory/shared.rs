//! What crosses processes: handles that say where bytes lie in a process's memory file, and the counters of shared
//! events.

use super::process::Process;
use crate::base::status::*;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

/// CUipcMemHandle and CUipcEventHandle: plain bytes, which may travel anywhere. The memory file is opened through
/// /proc.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SharedHandle {
    magic: u64,
    process: Process,
    file: u64,
    pub offset: u64,
    pub size: u64,
    pub device: u64,
    /// The offset of the allocation's `Life`; 0 for an event, which has none.
    pub life: u64,
}

const _: () = assert!(size_of::<SharedHandle>() == 64);

const MAGIC: u64 = u64::from_le_bytes(*b"cuda-sim");

impl SharedHandle {
    /// A handle into this process's memory file.
    pub fn new(file: c_int, offset: u64, size: u64, device: u64, life: u64) -> SharedHandle {
        SharedHandle { magic: MAGIC, process: Process::own(), file: file as u64, offset, size, device, life }
    }

    pub fn is_ours(&self) -> bool {
        self.process == Process::own()
    }

    /// The process that made the handle.
    pub fn process(&self) -> Process {
        self.process
    }

    /// Opens the memory file that the handle points into. INVALID_VALUE: its process has ended, or the handle is a
    /// forgery.
    pub fn open(&self) -> Answer<c_int> {
        if !self.process.is_alive() {
            return Err(INVALID_VALUE);
        }
        let path =
            std::ffi::CString::new(format!("/proc/{}/fd/{}", self.process.id, self.file)).map_err(|_| INVALID_VALUE)?;
        // SAFETY: a C text; the result is checked.
        let file = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if file < 0 {
            return Err(INVALID_VALUE);
        }
        // SAFETY: zero is a valid stat, which the call fills.
        let length = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(file, &mut stat) == 0 { stat.st_size as u64 } else { 0 }
        };
        let fits = |start: u64, size: u64| start.checked_add(size).is_some_and(|end| end <= length);
        if fits(self.offset, self.size) && fits(self.life, LIFE_BYTES) {
            return Ok(file);
        }
        // SAFETY: opened above.
        unsafe { libc::close(file) };
        Err(INVALID_VALUE)
    }

    /// The handle, if these bytes are one.
    pub fn checked(self) -> Answer<SharedHandle> {
        if self.magic == MAGIC { Ok(self) } else { Err(INVALID_VALUE) }
    }

    /// A new file that carries the handle: the descriptor that cuMemExportToShareableHandle returns.
    pub fn into_file(self) -> Answer<c_int> {
        // SAFETY: a C text, then a plain struct of its own size.
        unsafe {
            let file = libc::memfd_create(c"cuda-sim-handle".as_ptr(), libc::MFD_CLOEXEC);
            let written = libc::pwrite(file, std::ptr::from_ref(&self).cast(), size_of::<SharedHandle>(), 0);
            if written == size_of::<SharedHandle>() as isize { Ok(file) } else { Err(OPERATING_SYSTEM) }
        }
    }

    pub fn from_file(file: c_int) -> Answer<SharedHandle> {
        // SAFETY: any bytes make a SharedHandle.
        let mut handle: SharedHandle = unsafe { std::mem::zeroed() };
        // SAFETY: any bytes make a SharedHandle, and no more than its size is read.
        unsafe { libc::pread(file, (&raw mut handle).cast(), size_of::<SharedHandle>(), 0) };
        handle.checked()
    }
}

/// The bytes of the file that a `Life` takes.
pub const LIFE_BYTES: u64 = super::pages::PAGE_BYTES;

/// Whether an exported allocation still exists, in memory that all its users map.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    place: usize,
    /// The process that exported it.
    process: Process,
}

impl Life {
    /// The one at an address that is never unmapped before the allocation's region is gone.
    pub fn at(place: usize, process: Process) -> Life {
        Life { place, process }
    }

    pub fn place(&self) -> usize {
        self.place
    }

    fn ended(&self) -> &AtomicU64 {
        // SAFETY: mapped by whoever made this value, who keeps it.
        unsafe { &*(self.place as *const AtomicU64) }
    }

    /// The allocation is freed.
    pub fn end(&self) {
        self.ended().store(1, Ordering::Release);
    }

    /// Whether the allocation was freed, or its process has ended.
    pub fn has_ended(&self) -> bool {
        self.ended().load(Ordering::Acquire) != 0 || !self.process.is_alive()
    }
}

/// The counters of an event that several processes use, in memory that all of them map.
pub struct EventSlot {
    recorded: AtomicU64,
    passed: AtomicU64,
    /// The process that made the event, in two words.
    owner: [AtomicU64; 2],
    destroyed: AtomicU64,
}

impl EventSlot {
    /// The slot at an address that an event keeps.
    pub fn at(place: usize) -> &'static EventSlot {
        // SAFETY: only addresses of slots that were mapped for an event come here, and they are never unmapped.
        unsafe { &*(place as *const EventSlot) }
    }

    /// Makes this process the owner.
    pub fn own(&self) {
        // SAFETY: two words.
        let words = unsafe { std::mem::transmute::<Process, [u64; 2]>(Process::own()) };
        self.owner.iter().zip(words).for_each(|(to, word)| to.store(word, Ordering::Release));
    }

    fn owner(&self) -> Process {
        let words = [0, 1].map(|at: usize| self.owner[at].load(Ordering::Acquire));
        // SAFETY: two words, in which any value is valid.
        unsafe { std::mem::transmute::<[u64; 2], Process>(words) }
    }

    /// The owner destroyed the event.
    pub fn destroy(&self) {
        if self.owner() == Process::own() {
            self.destroyed.store(1, Ordering::Release);
        }
    }

    pub fn is_destroyed(&self) -> bool {
        self.destroyed.load(Ordering::Acquire) != 0
    }

    /// Counts a new record; returns its number.
    pub fn record(&self) -> u64 {
        self.recorded.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The stream has reached record number `record`.
    pub fn pass(&self, record: u64) {
        self.passed.fetch_max(record, Ordering::AcqRel);
    }

    /// The number of the last record.
    pub fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Acquire)
    }

    /// Whether a record has passed, or never will because the owner has ended.
    pub fn has_passed(&self, record: u64) -> bool {
        self.passed.load(Ordering::Acquire) >= record || !self.owner().is_alive()
    }
}
