//! What crosses processes: handles that say where bytes lie in a process's memory file, and the counters of shared events.

use crate::base::status::*;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

/// CUipcMemHandle and CUipcEventHandle: plain bytes, which may travel anywhere. The memory file is opened through /proc.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SharedHandle {
    magic: u64,
    process: u64,
    file: u64,
    pub offset: u64,
    pub size: u64,
    pub device: u64,
    reserved: [u64; 2],
}

const _: () = assert!(size_of::<SharedHandle>() == 64);

const MAGIC: u64 = u64::from_le_bytes(*b"cuda-sim");

impl SharedHandle {
    /// A handle into this process's memory file.
    pub fn new(file: c_int, offset: u64, size: u64, device: u64) -> SharedHandle {
        let process = u64::from(std::process::id());
        SharedHandle { magic: MAGIC, process, file: file as u64, offset, size, device, reserved: [0; 2] }
    }

    pub fn is_ours(&self) -> bool {
        self.process == u64::from(std::process::id())
    }

    /// Opens the memory file that the handle points into.
    pub fn open(&self) -> Answer<c_int> {
        let path =
            std::ffi::CString::new(format!("/proc/{}/fd/{}", self.process, self.file)).map_err(|_| INVALID_VALUE)?;
        // SAFETY: a C text; the result is checked.
        let file = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if file < 0 { Err(INVALID_VALUE) } else { Ok(file) }
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
        let mut handle =
            SharedHandle { magic: 0, process: 0, file: 0, offset: 0, size: 0, device: 0, reserved: [0; 2] };
        // SAFETY: any bytes make a SharedHandle, and no more than its size is read.
        unsafe { libc::pread(file, (&raw mut handle).cast(), size_of::<SharedHandle>(), 0) };
        handle.checked()
    }
}

/// The counters of an event that several processes use, in memory that all of them map.
pub struct EventSlot {
    recorded: AtomicU64,
    passed: AtomicU64,
}

impl EventSlot {
    /// The slot at an address that an event keeps.
    pub fn at(place: usize) -> &'static EventSlot {
        // SAFETY: only addresses of slots that were mapped for an event come here, and they are never unmapped.
        unsafe { &*(place as *const EventSlot) }
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

    pub fn has_passed(&self, record: u64) -> bool {
        self.passed.load(Ordering::Acquire) >= record
    }
}
