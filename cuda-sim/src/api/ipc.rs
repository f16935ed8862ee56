//! Memory and events of other processes.
//!
//! A handle is good while the process that made it runs and has the allocation. The address that another process got
//! for it faults from then on: what a real driver does there is undefined.

use crate::base::args::put;
use crate::base::status::*;
use crate::base::types::{Address, Handle};
use crate::entry::call::Call;
use crate::entry::enter::driver;
use crate::memory::pages::{self, PAGE_BYTES};
use crate::memory::region::{MemoryKind, Region};
use crate::memory::shared::{LIFE_BYTES, Life, SharedHandle};
use crate::state::event::{DISABLE_TIMING, Event, INTERPROCESS};
use crate::state::machine::HandleKind;
use std::ffi::{c_int, c_uint};

/// IPC_EVENT_SUPPORTED. Here it stands for memory too.
const IPC_SUPPORTED: c_int = 125;
/// CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS, the only flag.
const LAZY_PEER_ACCESS: c_uint = 1;

/// NOT_SUPPORTED on a device without IPC.
fn check_supported(call: &Call) -> Answer {
    let supported = call.devices[call.device()].attribute(IPC_SUPPORTED)?;
    if supported == 0 { Err(NOT_SUPPORTED) } else { Ok(()) }
}

/// Opens another process's allocation. In the context that has it open it has one address, and is counted.
fn open_memory(call: &mut Call, handle: SharedHandle, flags: c_uint) -> Answer<Address> {
    let shared = handle.checked()?;
    if flags & !LAZY_PEER_ACCESS != 0 || shared.life == 0 {
        return Err(INVALID_VALUE);
    }
    check_supported(call)?;
    call.refuse_in_capture()?;
    if shared.is_ours() {
        return Err(INVALID_CONTEXT);
    }
    let device = call.device();
    // Processes may number the devices otherwise.
    if call.devices[device].ordinal as u64 != shared.device {
        return Err(INVALID_VALUE);
    }
    let (context, process) = (call.context, shared.process());
    let same = |region: &&Region| region.imported == Some((process, shared.life)) && !region.is_gone();
    let open = call.space.regions().find(same).map(|open| (open.base, open.context));
    if let Some((base, owner)) = open {
        if owner != context {
            return Err(INVALID_CONTEXT);
        }
        call.space.at_mut(base).ok_or(INVALID_VALUE)?.opened += 1;
        return Ok(base);
    }
    let file = shared.open()?;
    let mapped = map_memory(call, &shared, file, device);
    // SAFETY: ours; the mappings keep the file.
    unsafe { libc::close(file) };
    mapped
}

fn map_memory(call: &mut Call, shared: &SharedHandle, file: c_int, device: usize) -> Answer<Address> {
    let life = Life::at(pages::map_file(file, shared.life, LIFE_BYTES, None)?, shared.process());
    if life.has_ended() {
        pages::unmap(life.place() as u64, LIFE_BYTES);
        return Err(INVALID_VALUE);
    }
    let lead = shared.offset % PAGE_BYTES;
    let span = shared.size + lead;
    let (base, shadow) = call.space.reserve(span, PAGE_BYTES, 0)?;
    pages::map_file(file, shared.offset - lead, span, Some(shadow))?;
    let bytes = shadow + lead as usize;
    let mut region = Region::new(MemoryKind::Imported, base + lead, shared.size, device, call.context, bytes);
    region.shared = Some((shared.life, life));
    region.imported = Some((shared.process(), shared.life));
    region.opened = 1;
    call.space.insert(region);
    Ok(base + lead)
}

driver! {
    fn cuIpcGetMemHandle(out: *mut SharedHandle, address: Address) in Context => |call| {
        check_supported(call)?;
        let region = call.space.find(address).filter(|region| region.kind == MemoryKind::Device).ok_or(INVALID_VALUE)?.clone();
        call.space.at(region.base).ok_or(INVALID_VALUE)?.prepare_all();
        let offset = call.space.store_offset(&region).ok_or(INVALID_VALUE)?;
        let (life, _) = match region.shared {
            Some(shared) => shared,
            None => {
                let shared = call.space.store.add_life()?;
                call.space.at_mut(region.base).ok_or(INVALID_VALUE)?.shared = Some(shared);
                shared
            }
        };
        let device = call.devices[region.device].ordinal;
        put(out, call.space.store.shared_handle(offset, region.size, device, life)?)
    }

    fn cuIpcOpenMemHandle(out: *mut Address, handle: SharedHandle, flags: c_uint) in Context => |call| {
        let address = open_memory(call, handle, flags)?;
        put(out, address)
    }

    fn cuIpcOpenMemHandle_v2(out: *mut Address, handle: SharedHandle, flags: c_uint) in Context => |call| {
        let address = open_memory(call, handle, flags)?;
        put(out, address)
    }

    fn cuIpcCloseMemHandle(address: Address) in Context => |call| {
        let region = call.space.at(address).filter(|region| region.kind == MemoryKind::Imported).ok_or(INVALID_VALUE)?.clone();
        if region.opened > 1 {
            call.space.at_mut(address).ok_or(INVALID_VALUE)?.opened -= 1;
            return Ok(());
        }
        call.wait_before_free(region.device)?;
        call.space.remove(address);
        let lead = address % PAGE_BYTES;
        call.space.unreserve(address - lead, region.bytes - lead as usize, region.size + lead);
        Ok(())
    }

    fn cuIpcGetEventHandle(out: *mut SharedHandle, event: Handle) in Context => |call| {
        check_supported(call)?;
        let slot = call.events.get(&event).ok_or(INVALID_HANDLE)?.slot.ok_or(INVALID_HANDLE)?;
        let offset = call.space.store.event_slot_offset(slot).ok_or(INVALID_HANDLE)?;
        let device = call.device();
        put(out, call.space.store.shared_handle(offset, PAGE_BYTES, device, 0)?)
    }

    fn cuIpcOpenEventHandle(out: *mut Handle, handle: SharedHandle) in Context => |call| {
        let shared = handle.checked()?;
        if shared.life != 0 || shared.size != PAGE_BYTES || shared.offset % PAGE_BYTES != 0 {
            return Err(INVALID_VALUE);
        }
        check_supported(call)?;
        if shared.is_ours() {
            return Err(INVALID_CONTEXT);
        }
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
