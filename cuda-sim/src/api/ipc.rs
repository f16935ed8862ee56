//! Memory and events of other processes.

use crate::base::args::put;
use crate::base::status::*;
use crate::base::types::{Address, Handle};
use crate::entry::enter::driver;
use crate::memory::pages::{self, PAGE_BYTES};
use crate::memory::region::{MemoryKind, Region};
use crate::memory::shared::SharedHandle;
use crate::state::event::{DISABLE_TIMING, Event, INTERPROCESS};
use crate::state::machine::HandleKind;
use std::ffi::{c_int, c_uint};

driver! {
    fn cuIpcGetMemHandle(out: *mut SharedHandle, address: Address) in Context => |call| {
        let region = call.space.find(address).filter(|region| region.kind == MemoryKind::Device).ok_or(INVALID_VALUE)?.clone();
        call.space.at(region.base).ok_or(INVALID_VALUE)?.prepare_all();
        let offset = call.space.store_offset(&region).ok_or(INVALID_VALUE)?;
        put(out, call.space.store.shared_handle(offset, region.size, region.device)?)
    }

    fn cuIpcOpenMemHandle_v2(out: *mut Address, handle: SharedHandle, flags: c_uint) in Context => |call| {
        let shared = handle.checked()?;
        if flags > 1 {
            return Err(INVALID_VALUE);
        }
        if shared.is_ours() {
            return Err(INVALID_CONTEXT);
        }
        let device = call.ordinal(shared.device as c_int)?;
        let file = shared.open()?;
        let lead = shared.offset % PAGE_BYTES;
        let span = shared.size + lead;
        let (base, shadow) = call.space.reserve(span, PAGE_BYTES, 0)?;
        let mapped = pages::map_file(file, shared.offset - lead, span, Some(shadow));
        // SAFETY: ours; the mapping keeps the file.
        unsafe { libc::close(file) };
        mapped?;
        let context = call.context;
        let bytes = shadow + lead as usize;
        call.space.insert(Region::new(MemoryKind::Imported, base + lead, shared.size, device, context, bytes));
        put(out, base + lead)
    }

    fn cuIpcCloseMemHandle(address: Address) in Context => |call| {
        let region = call.space.at(address).filter(|region| region.kind == MemoryKind::Imported).ok_or(INVALID_VALUE)?.clone();
        call.wait_before_free(region.device)?;
        call.space.remove(address);
        let lead = address % PAGE_BYTES;
        call.space.unreserve(address - lead, region.bytes - lead as usize, region.size + lead);
        Ok(())
    }

    fn cuIpcGetEventHandle(out: *mut SharedHandle, event: Handle) in Context => |call| {
        let slot = call.events.get(&event).ok_or(INVALID_HANDLE)?.slot.ok_or(INVALID_HANDLE)?;
        let offset = call.space.store.event_slot_offset(slot).ok_or(INVALID_HANDLE)?;
        let device = call.device();
        put(out, call.space.store.shared_handle(offset, PAGE_BYTES, device)?)
    }

    fn cuIpcOpenEventHandle(out: *mut Handle, handle: SharedHandle) in Context => |call| {
        let shared = handle.checked()?;
        let file = shared.open()?;
        let slot = pages::map_file(file, shared.offset, PAGE_BYTES, None);
        // SAFETY: as above.
        unsafe { libc::close(file) };
        let event = Event::new(call.context, DISABLE_TIMING | INTERPROCESS, Some(slot?));
        let handle = call.new_handle(HandleKind::Event);
        call.events.insert(handle, event);
        put(out, handle)
    }
}
