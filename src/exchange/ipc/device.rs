//! Arrays on a GPU for other processes of this machine: the driver's handles, and the file by which both sides know of
//! each other.
//!
//! Contract: an array in a pool with TN_POOL_IPC is shared, any other array of a GPU copied into such a pool (IP-20).
//! The importer's stream waits for the work that the exporter had on the array. An allocation is opened once in a
//! process, as one store, and closed after its last claim and the device work on it (IP-21). In the process that
//! exported it an import is another handle on the same array (IP-22). The exporter keeps the allocation while an
//! importer has it, or a descriptor is on its way; without the exporter it is gone, and every use of it is
//! TN_ERR_DRIVER (IP-23).

use super::descriptor::MOST_BYTES;
use super::device_descriptor::DeviceDescriptor;
use super::sent::{Described, cannot_write, sender_name};
use crate::address_index;
use crate::array;
use crate::cuda_driver::driver;
use crate::device::exported::{self, Sent};
use crate::device::imported::{self, Key, Memory};
use crate::device::{check_export_file, is_own_export_file, lend_export_file};
use crate::error::{Result, Status, fail};
use crate::exchange::device::{self, DeviceExport};
use crate::exchange::host::{self, Export, Exported, Import, Imported, Joined};
use crate::gpu::{self, GPUS, Gpu};
use crate::layout::{Layout, Order};
use crate::ledger::{self, Class, Found, Lease, Ledger, Release, SpareClaim, SpareGuard, StoreParams, StoreSource};
use crate::names::Name;
use crate::pool::{self, Pool, PoolOptions};
use crate::slots::Id;
use crate::stream::{self, StreamArg};
use crate::sys::file::File;
use crate::sys::os;
use crate::thread::{self, QuickLock};
use crate::transfer;
use crate::types::*;
use core::ffi::{CStr, c_int, c_void};

/// Why an array cannot be shared as it is.
const ELSEWHERE: &str = "the bytes are not in a pool with TN_POOL_IPC; make the array in such a pool";

/// The process's pool of a GPU for copies of arrays that are elsewhere; made once, and never released.
fn own_pool(device: tn_device) -> Result<&'static Pool> {
    static POOLS: [QuickLock<Option<&'static Pool>>; GPUS] = [const { QuickLock::new(None) }; GPUS];
    let entry = &POOLS[device.id as usize];
    if let Some(pool) = *entry.lock() {
        return Ok(pool);
    }
    let mut options = PoolOptions { flags: TN_POOL_IPC, ..PoolOptions::default() };
    options.set_name(b"shared copies")?;
    let made = pool::create(device, &options)?;
    let mut pool = entry.lock();
    if let Some(first) = *pool {
        drop(pool);
        made.drop_ref();
        return Ok(first);
    }
    *pool = Some(made);
    Ok(made)
}

/// Why memory of a GPU has one owner for good: the driver ends it with the process that allocated it.
#[cold]
fn cannot_give() -> Status {
    fail(
        TN_ERR_UNSUPPORTED,
        format_args!(
            "TN_IPC_GIVE: memory of a GPU ends with the process that allocated it; share the array, or give away a copy on the host"
        ),
    )
}

/// Exports an array of a GPU. `request` has the class, and the flags TN_BORROW and TN_REQUIRE_BORROW.
/// TN_ERR_UNSUPPORTED: the array is to be given away.
pub fn export(id: Id, on: tn_device, request: &Export, name: Name) -> Result<(Exported, Described)> {
    if request.class == Class::ExportExclusive {
        return Err(cannot_give());
    }
    let writable = request.class == Class::ExportShared;
    let gpu = gpu::gpu(on.id)?;
    gpu.check_shares_memory()?;
    let alias = Export { flags: request.flags & !(TN_REQUIRE_BORROW | TN_WAIT) | TN_BORROW, ..*request };
    let is_elsewhere = |layout: &Layout| {
        let start = layout.extent().map(|(start, _)| start as usize);
        start.filter(|start| !exported::has(*start)).map(|_| ELSEWHERE)
    };
    if let Some(opened) = device::open_alias(id, &alias, &StreamArg::Now, &is_elsewhere)? {
        return describe(gpu, opened, writable, name);
    }
    if request.flags & TN_REQUIRE_BORROW != 0 {
        return Err(fail(TN_ERR_WOULD_COPY, format_args!("{ELSEWHERE}")));
    }
    let forced = request.wants_alias();
    if forced && thread::current().forbids() > 0 {
        return Err(device::cannot_copy(id, TN_WHY_NOT_ALIASABLE));
    }
    let copy = transfer::copy_to(request.function, id, Order::A, own_pool(on)?, &StreamArg::Current)?;
    let bytes = array::snapshot(copy)?.bytes() as u64;
    let of_copy = Export { class: request.copy, ..alias };
    let opened = device::open_alias(copy, &of_copy, &StreamArg::Now, &|_| None);
    array::release_if_open(copy);
    let opened = opened?.expect("every layout can be expressed");
    let (shared, described) = describe(gpu, opened, writable, name)?;
    host::record_copy(request.function, TN_WHY_NOT_ALIASABLE, forced, bytes);
    Ok((Exported { how: TN_COPIED, ..shared }, described))
}

/// Describes an open export. A failure ends it.
fn describe(gpu: &'static Gpu, opened: DeviceExport, writable: bool, name: Name) -> Result<(Exported, Described)> {
    match write(gpu, &opened, writable, name) {
        Ok(described) => Ok((opened.exported, described)),
        Err(status) => {
            opened.exported.guard.end(false);
            Err(status)
        }
    }
}

fn write(gpu: &'static Gpu, opened: &DeviceExport, writable: bool, name: Name) -> Result<Described> {
    let layout = opened.exported.guard.layout().try_clone()?;
    let (base, sent) = match layout.extent() {
        // Nothing to share, but the caller gets a descriptor.
        None => (layout.offset(), Sent::NOTHING),
        Some((start, _)) => {
            let pool = pool::locate(start as usize).map_or(0, |block| block.pool.serial());
            let sent = exported::export(start as usize, opened.ready, (pool, name))?;
            let sent = sent.ok_or_else(|| fail(TN_ERR_DEVICE, format_args!("{ELSEWHERE}")))?;
            (sent.base as i64, sent)
        }
    };
    let described = DeviceDescriptor {
        layout,
        bytes: sent.bytes as u64,
        writable,
        process: os::process_number(),
        entry: sent.entry,
        uuid: gpu.uuid(driver()?)?,
        memory: sent.memory,
        event: sent.event,
        name,
    };
    let file = lend_export_file(Some(sent.entry).filter(|entry| entry.serial != 0))?;
    let mut descriptor = [0; MOST_BYTES];
    let bytes = described.write(base, &mut descriptor);
    Ok(Described { descriptor, bytes, file })
}

/// Imports an array that another process exported, or this one.
pub fn import(function: &'static CStr, bytes: &[u8], fd: c_int, flags: u32) -> Result<Imported> {
    let described = DeviceDescriptor::read(bytes)?;
    if flags & TN_IPC_GIVE != 0 {
        return Err(cannot_give());
    }
    let file = File::lent(fd);
    let identity = check_export_file(&file)?;
    let readonly = flags & TN_IPC_WRITABLE == 0;
    let gpu = gpu::ipc::by_uuid(&described.uuid)?;
    if !readonly && !described.writable {
        return Err(cannot_write("the export is read-only"));
    }
    if described.layout.is_empty() {
        let import = Import {
            function,
            device: gpu.device(),
            layout: &described.layout,
            flags: TN_REQUIRE_BORROW | if readonly { TN_IMPORT_READONLY } else { 0 },
            release: Release::None,
            after: None,
        };
        // SAFETY: an array without elements has no bytes.
        return unsafe { host::import(import) };
    }
    let name = sender_name(described.name, described.process);
    if is_own_export_file(identity) {
        return own_array(&described, readonly);
    }
    let (entry, memory, event) = (described.entry, described.memory, described.event);
    let opened = imported::open(gpu, &file, Key { identity, entry, memory, event })?;
    let made = array_of(gpu, &opened, described.layout, readonly, name);
    made.inspect_err(|_| imported::close(opened.base)).map(|id| Imported { id, how: TN_ALIASED })
}

/// Another handle on an array of this process. The driver would refuse to open the memory.
fn own_array(described: &DeviceDescriptor, readonly: bool) -> Result<Imported> {
    let entry = described.entry;
    let joined = match exported::base_of(entry) {
        None => Joined::Nothing,
        Some(base) => {
            let mut layout = described.layout.try_clone()?;
            layout.rebase(base as u64)?;
            let start = layout.extent().map_or(base, |(start, _)| start as usize);
            // The store is locked when the allocation is looked for again: then its memory stays.
            host::join(layout, readonly, false, || exported::is_of(start, entry))?
        }
    };
    match joined {
        Joined::Handle(id) => Ok(Imported { id, how: TN_ALIASED }),
        Joined::Part | Joined::Nothing => Err(fail(
            TN_ERR_STALE,
            format_args!("this process exported the array, and has released it; keep a handle or `hold` open"),
        )),
    }
}

/// Runs when an import has ended, and the device work on it.
unsafe extern "C" fn close(base: *mut c_void) {
    imported::close(base as usize);
}

/// Makes an array in an open allocation, after the exporter's work: the store of the allocation, or a claim on it.
/// Closes nothing.
fn array_of(gpu: &'static Gpu, opened: &Memory, mut layout: Layout, readonly: bool, name: Name) -> Result<Id> {
    let (start, end) = layout.extent().unwrap_or((0, 0));
    if usize::try_from(end).is_ok_and(|end| end > opened.bytes) {
        let text = format_args!(
            "the array has bytes {start} to {end}, and the driver says that its memory has {}",
            opened.bytes
        );
        return Err(fail(TN_ERR_RANGE, text));
    }
    layout.rebase(opened.base as u64)?;
    let current = stream::current(gpu.device())?;
    // SAFETY: opened, and closed after the last claim.
    unsafe { current.wait_for_foreign(opened.event.raw())? };
    let point = current.end_of_use();
    let thread = thread::current();
    let (start, bytes) = (opened.base as i64, opened.bytes as i64);
    let mut claim = SpareClaim::take(thread)?;
    claim.set_readonly(readonly || layout.self_overlaps());
    *claim.layout() = layout;
    claim.set_name(name);
    claim.set_origin(ledger::Origin::by(thread));
    let store = Ledger::spare(thread)?;
    let work = Some((SpareGuard::take(thread)?, point));
    let mut index = address_index::lock()?;
    let existing = match ledger::find_by_address(&mut index, start, start + bytes) {
        Found::Nothing => None,
        Found::One(locked, ledger) if (locked.state(ledger).start, locked.state(ledger).bytes) == (start, bytes) => {
            Some((locked, ledger))
        }
        _ => {
            return Err(fail(
                TN_ERR_ALIASED,
                format_args!(
                    "part of the memory at {start:#x} is an array already, imported in another way; release it first"
                ),
            ));
        }
    };
    let lease = Lease::spare(thread, Release::Call(close, opened.base), false, false, (start, start + bytes))?;
    if let Some((mut locked, ledger)) = existing {
        let id = locked.join(ledger, lease, claim);
        locked.begin_after(id, work);
        return Ok(id);
    }
    let params = StoreParams {
        device: gpu.device(),
        start,
        bytes,
        readonly: false,
        mapped: false,
        from: StoreSource::Lent(lease),
    };
    let (mut locked, ledger, id) = ledger::create(store, params, claim);
    locked.begin_after(id, work);
    index.insert(start, start + bytes, ledger.tag());
    Ok(id)
}
