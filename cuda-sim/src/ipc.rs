//! Memory and events of other processes: their store is opened through /proc, so a handle is plain bytes that may travel anywhere.

use crate::entry::put;
use crate::event::Event;
use crate::space::{PAGE, What};
use crate::status::*;
use crate::types::{Address, Handle};
use crate::world::Kind;
use std::ffi::{c_int, c_uint};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where bytes lie in the store of some process: what a handle says.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    pub magic: u64,
    pub process: u64,
    pub file: u64,
    pub offset: u64,
    pub size: u64,
    pub device: u64,
    pub reserved: [u64; 2],
}

pub const MAGIC: u64 = u64::from_le_bytes(*b"cuda-sim");

impl Shared {
    pub fn is_ours(&self) -> bool {
        self.process == u64::from(std::process::id())
    }

    /// The store that it lies in, as a descriptor of ours.
    pub fn open(&self) -> Answer<c_int> {
        let path =
            std::ffi::CString::new(format!("/proc/{}/fd/{}", self.process, self.file)).map_err(|_| INVALID_VALUE)?;
        // SAFETY: a C text; the result is checked.
        let file = unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if file < 0 { Err(INVALID_VALUE) } else { Ok(file) }
    }

    fn checked(self) -> Answer<Shared> {
        if self.magic == MAGIC { Ok(self) } else { Err(INVALID_VALUE) }
    }
}

/// A file that carries a handle: what a descriptor of exported memory is.
pub fn into_file(shared: &Shared) -> Answer<c_int> {
    // SAFETY: a C text, then a plain struct of its own size.
    unsafe {
        let file = libc::memfd_create(c"cuda-sim-handle".as_ptr(), libc::MFD_CLOEXEC);
        let written = libc::pwrite(file, std::ptr::from_ref(shared).cast(), size_of::<Shared>(), 0);
        if written == size_of::<Shared>() as isize { Ok(file) } else { Err(OPERATING_SYSTEM) }
    }
}

pub fn from_file(file: c_int) -> Answer<Shared> {
    let mut shared = Shared { magic: 0, process: 0, file: 0, offset: 0, size: 0, device: 0, reserved: [0; 2] };
    // SAFETY: any bytes make a Shared, and no more than its size is read.
    unsafe { libc::pread(file, (&raw mut shared).cast(), size_of::<Shared>(), 0) };
    shared.checked()
}

/// What an event of several processes is: how often it was recorded, and which record was passed.
pub struct Slot {
    recorded: AtomicU64,
    passed: AtomicU64,
}

impl Slot {
    /// The slot behind an address that an event keeps; slots stay mapped.
    pub fn at(place: usize) -> &'static Slot {
        // SAFETY: only addresses of slots that were mapped for an event come here, and they are never unmapped.
        unsafe { &*(place as *const Slot) }
    }

    /// A new record: its number.
    pub fn record(&self) -> u64 {
        self.recorded.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub fn pass(&self, record: u64) {
        self.passed.fetch_max(record, Ordering::AcqRel);
    }

    pub fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Acquire)
    }

    pub fn has_passed(&self, record: u64) -> bool {
        self.passed.load(Ordering::Acquire) >= record
    }
}

driver! {
    fn cuIpcGetMemHandle(out: *mut Shared, address: Address) in Context => |call| {
        let region = call.space.find(address).filter(|region| region.what == What::Device).ok_or(INVALID_VALUE)?.clone();
        call.space.at(region.base).ok_or(INVALID_VALUE)?.touch_all();
        let offset = call.space.stored_at(&region).ok_or(INVALID_VALUE)?;
        put(out, Shared { offset, size: region.size, device: region.device as u64, ..call.space.shared()? })
    }

    fn cuIpcOpenMemHandle_v2(out: *mut Address, handle: Shared, flags: c_uint) in Context => |call| {
        let shared = handle.checked()?;
        if flags > 1 {
            return Err(INVALID_VALUE);
        }
        if shared.is_ours() {
            return Err(INVALID_CONTEXT);
        }
        let device = call.ordinal(shared.device as c_int)?;
        let file = shared.open()?;
        let lead = shared.offset % PAGE;
        let span = shared.size + lead;
        let (base, shadow) = call.space.reserve(span, PAGE, 0)?;
        let mapped = call.space.map_stored(Some(file), shared.offset - lead, span, Some(shadow));
        // SAFETY: ours; the mapping keeps the file.
        unsafe { libc::close(file) };
        mapped?;
        let context = call.context;
        call.space.insert(base + lead, shared.size, What::Imported, device, context, shadow + lead as usize);
        put(out, base + lead)
    }

    fn cuIpcCloseMemHandle(address: Address) in Context => |call| {
        let region = call.space.at(address).filter(|region| region.what == What::Imported).ok_or(INVALID_VALUE)?.clone();
        call.settle(region.device)?;
        call.space.remove(address);
        let lead = address % PAGE;
        call.space.unreserve(address - lead, region.bytes - lead as usize, region.size + lead);
        Ok(())
    }

    fn cuIpcGetEventHandle(out: *mut Shared, event: Handle) in Context => |call| {
        let slot = call.events.get(&event).ok_or(INVALID_HANDLE)?.slot.ok_or(INVALID_HANDLE)?;
        let offset = call.space.slot_offset(slot).ok_or(INVALID_HANDLE)?;
        let device = call.device() as u64;
        put(out, Shared { offset, size: PAGE, device, ..call.space.shared()? })
    }

    fn cuIpcOpenEventHandle(out: *mut Handle, handle: Shared) in Context => |call| {
        let shared = handle.checked()?;
        let file = shared.open()?;
        let slot = call.space.map_stored(Some(file), shared.offset, PAGE, None);
        // SAFETY: as above.
        unsafe { libc::close(file) };
        let event = Event::shared(call.context, slot?);
        let handle = call.world.handle(Kind::Event);
        call.events.insert(handle, event);
        put(out, handle)
    }
}

const _: () = assert!(size_of::<Shared>() == 64);
