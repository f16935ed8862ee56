//! Import and export of memory that devices access: GPU, managed, and page-locked memory.
//!
//! Contract of exports: the consumer's stream waits for unfinished work on the bytes; the host does not. A consumer
//! that states no stream is told one on which waiting is enough. That stream never ends.
//!
//! Contract of imports: the driver says whose memory the bytes are. Unfinished work of the producer's stream becomes
//! work on the new array, so that every later use comes after it. The import ends after this library's work on the
//! bytes; the producer's stream, which may not exist any more by then, is not touched.

use crate::array::{self, Checked};
use crate::borrow::{self, would_copy};
use crate::cuda_driver::CUevent;
use crate::device_copy::device_address;
use crate::error::{Result, Status, fail, quietly};
use crate::exchange::host::{self, Export, Exported, Import, Imported, WhyNot};
use crate::gpu::{self, pointer};
use crate::layout::{Layout, Order};
use crate::ledger::{self, Claim, Class, Guard, Points, Release, UseTime};
use crate::names::DeviceName;
use crate::pool;
use crate::slots::Id;
use crate::stream::{self, Stream, StreamArg};
use crate::thread;
use crate::transfer;
use crate::types::*;
use core::ffi::CStr;

/// An open export to a consumer on a device.
pub struct DeviceExport {
    /// The export.
    pub exported: Exported,
    /// The address of element (0,..,0) for devices; 0 without elements.
    pub address: u64,
    /// The stream for which the consumer has to wait. None: no work is unfinished, or the consumer's stream waits.
    pub ready: Option<&'static Stream>,
}

/// Opens an export of an array to a consumer on a device. `stream` is the consumer's; NULL: it is not known, and the
/// export says which stream to wait for. A copy has the given order.
pub fn export(id: Id, request: &Export, stream: &StreamArg, why_not: &WhyNot, order: Order) -> Result<DeviceExport> {
    ledger::find::<Claim>(id)?;
    let device = array::device(id)?;
    let aliased = if request.wants_alias() {
        check_device(device)?;
        open_alias(id, request, stream, why_not)?
    } else {
        None
    };
    match aliased {
        Some(export) => Ok(export),
        None => export_copy(id, request, stream, order, device),
    }
}

/// TN_ERR_DEVICE for memory that no device can access.
fn check_device(device: tn_device) -> Result<()> {
    if matches!(device.r#type, TN_CUDA | TN_CUDA_HOST | TN_CUDA_MANAGED) {
        return Ok(());
    }
    Err(fail(
        TN_ERR_DEVICE,
        format_args!(
            "the array is on device {}, which no GPU can access; copy it with tn_array_to_device first",
            DeviceName(device)
        ),
    ))
}

/// Opens an export on the array's own bytes. None: the format cannot express their layout, and the flags allow a copy.
pub fn open_alias(id: Id, request: &Export, stream: &StreamArg, why_not: &WhyNot) -> Result<Option<DeviceExport>> {
    let device = array::device(id)?;
    let (when, ready) = if request.flags & TN_UNORDERED != 0 {
        (UseTime { unordered: true, ..UseTime::HOST }, None)
    } else if let Some(consumer) = stream.on(device)? {
        (UseTime::on(consumer), None)
    } else {
        match stream_after_work(id, device, request.class)? {
            Some(ready) => (UseTime::on(ready), Some(ready)),
            // Work that begins from now on is none of the export's.
            None => (UseTime { unordered: true, ..UseTime::HOST }, None),
        }
    };
    let Some(guard) = host::open_alias(id, request, when, &|_, _| Ok(()), why_not)? else { return Ok(None) };
    match address_of(device, guard.layout()) {
        Ok(address) => Ok(Some(DeviceExport { exported: Exported { guard, how: TN_ALIASED }, address, ready })),
        Err(status) => {
            guard.end(false);
            Err(status)
        }
    }
}

/// The address of element (0,..,0) for devices; 0 without elements. TN_ERR_DEVICE: page-locked memory that is not
/// mapped.
fn address_of(device: tn_device, layout: &Layout) -> Result<u64> {
    if layout.is_empty() {
        return Ok(0);
    }
    match device_address(device, layout.offset() as usize) {
        0 => Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "the array is in page-locked memory that is not mapped for devices; allocate it in a pool with TN_HOST_MAPPED"
            ),
        )),
        address => Ok(address),
    }
}

/// A stream that comes after all unfinished work on an array, for a consumer that reads or writes. None: no work is
/// unfinished.
fn stream_after_work(id: Id, device: tn_device, class: Class) -> Result<Option<&'static Stream>> {
    let points: Points = array::with(id, |locked, claim| -> Checked<Points> {
        array::check_live(locked, claim)?;
        Ok(locked.work_over(claim, class != Class::ExportRead))
    })?;
    if points.is_empty() || points.have_passed() {
        return Ok(None);
    }
    match StreamArg::Legacy.on(device)? {
        Some(legacy) if points.are_before(legacy) => Ok(Some(legacy)),
        _ => stream::export_stream(device).map(Some),
    }
}

/// Copies an array to a device, in the order of the consumer's stream, and opens an export of the copy.
pub fn export_copy(
    id: Id,
    request: &Export,
    stream: &StreamArg,
    order: Order,
    device: tn_device,
) -> Result<DeviceExport> {
    check_device(device)?;
    let current = StreamArg::Current;
    let on = if stream.is_null() { &current } else { stream };
    let of_copy = of_copy(request);
    let opened = copied(id, request, order, device, on, |copy| open_alias(copy, &of_copy, stream, &|_| None))?;
    let DeviceExport { exported, address, ready } = opened.expect("every layout can be expressed");
    Ok(DeviceExport { exported: Exported { how: TN_COPIED, ..exported }, address, ready })
}

/// Ends an export whose consumer used the bytes on a device and orders later uses of the array itself. The memory is
/// not reused before all work is done that the device has now.
pub fn end_unordered(guard: &'static Guard) {
    keep_from_reuse(guard);
    guard.lock().end_guard(guard, false);
}

/// Keeps the memory of an export from being reused before all work is done that the device has now.
pub fn keep_from_reuse(guard: &'static Guard) {
    let address = guard.lock().layout_of(guard).offset() as usize;
    if let Some(block) = pool::locate(address)
        && let Ok(unknown) = quietly(|| stream::unknown(block.pool.device()))
    {
        block.pool.record_use(block.start, unknown.now());
    }
}

/// Copies an array of a device to the host, or to another device that the host reaches, and opens an export of the
/// copy, which is done.
pub fn copy_out(id: Id, request: &Export, target: tn_device) -> Result<Exported> {
    let of_copy = of_copy(request);
    let export = |copy| host::export(copy, &of_copy, Ok(StreamArg::Now), &|_| None);
    let exported = copied(id, request, host::copy_order(request.flags), target, &StreamArg::Now, export)?;
    Ok(Exported { how: TN_COPIED, ..exported })
}

/// The export of a copy that was made for it.
fn of_copy(request: &Export) -> Export {
    Export { flags: TN_BORROW, class: request.copy, unique: false, ..*request }
}

/// TN_ERR_WOULD_COPY for a copy that may not be made, or why it could not be.
pub fn cannot_copy(id: Id, why: u32) -> Status {
    let readable = array::with(id, |locked, claim| {
        array::check_live(locked, claim)?;
        borrow::check_unwritten(locked, claim)
    });
    readable.err().unwrap_or_else(|| would_copy(why))
}

/// Copies an array to a device in the order of a stream, and passes the copy to `export`.
fn copied<R>(
    id: Id,
    request: &Export,
    order: Order,
    target: tn_device,
    stream: &StreamArg,
    export: impl FnOnce(Id) -> Result<R>,
) -> Result<R> {
    let moves = array::device(id)? != target;
    let why = if moves { TN_WHY_DEVICE } else { TN_WHY_LAYOUT };
    let (forced, why) = if request.wants_alias() { (true, why) } else { (false, 0) };
    if forced && (thread::current().forbids() > 0 || moves && request.flags & TN_REQUIRE_BORROW != 0) {
        return Err(cannot_copy(id, why));
    }
    let copy = transfer::copy_to(request.function, id, order, pool::current(target)?, stream)?;
    let bytes = array::snapshot(copy)?.bytes() as u64;
    let exported = export(copy);
    array::release_if_open(copy);
    let exported = exported?;
    host::record_copy(request.function, why, forced, bytes);
    Ok(exported)
}

/// Where a producer's unfinished work is.
#[derive(Clone, Copy)]
pub enum Producer {
    /// There is none, or the caller has ordered it.
    None,
    /// On this CUstream.
    Stream(u64),
    /// Before the present work of the thread's current stream, which the producer made wait.
    Current,
    /// Before this CUevent.
    Event(u64),
}

/// An import of bytes that devices access.
pub struct DeviceImport<'a> {
    /// The C function, for the copy book.
    pub function: &'static CStr,
    /// The layout of the elements from element (0,..,0) on. Its offset is 0.
    pub layout: &'a mut Layout,
    /// The address of element (0,..,0) for devices. Not read without elements.
    pub data: u64,
    /// Borrow flags, checked.
    pub flags: u32,
    /// The device that the producer states. None: it states none.
    pub stated: Option<tn_device>,
    /// The producer's unfinished work.
    pub producer: Producer,
    /// As for an import of the host.
    pub release: Release,
}

/// Makes an array of foreign bytes that devices access. On failure no release runs and nothing has changed.
///
/// # Safety
/// - The elements of the layout may be read by devices during the call, as far as the driver has memory there.
/// - A stream or event of the producer exists during the call.
/// - If the import aliases them: they may be read until the release has run.
pub unsafe fn import(import: DeviceImport<'_>) -> Result<Imported> {
    let DeviceImport { function, layout, data, stated, flags, producer, release } = import;
    let Some((start, end)) = layout.extent() else {
        let device = gpu::home()?.device();
        let import = Import { function, device, layout, flags, release, after: None };
        // SAFETY: there is no element.
        return unsafe { host::import(import) };
    };
    let memory = pointer::locate(data.wrapping_add_signed(start))?;
    check_stated(stated, memory.device)?;
    if memory.device.r#type != TN_CUDA_HOST {
        let end = memory.address.saturating_add(end.wrapping_sub(start) as u64);
        pointer::check_range(memory.device.id, memory.address, end)?;
    }
    layout.rebase(memory.address.wrapping_sub(start as u64))?;
    let after = match producer {
        Producer::None => None,
        Producer::Current => Some(stream::current(memory.device)?.end_of_use()),
        Producer::Stream(native) => {
            let point = stream::foreign(memory.device, native)?.stream().end_of_use();
            stream::current(memory.device)?.wait_for(point)?;
            Some(point)
        }
        Producer::Event(event) => {
            let current = stream::current(memory.device)?;
            // SAFETY: the caller's obligation.
            unsafe { current.wait_for_foreign(event as CUevent)? };
            Some(current.end_of_use())
        }
    };
    // SAFETY: the caller's obligation, and the driver's answer about the memory.
    unsafe { host::import(Import { function, device: memory.device, layout, flags, release, after }) }
}

/// The device that a producer states. TN_ERR_DEVICE: this process has no such GPU.
pub fn stated(kind: tn_device_type, id: i64) -> Result<tn_device> {
    match i32::try_from(id) {
        Ok(id) if gpu::gpu(id).is_ok() => Ok(tn_device { r#type: kind, id }),
        _ => Err(fail(
            TN_ERR_DEVICE,
            format_args!("the memory is stated to be on device ({kind}, {id}), which this process does not have"),
        )),
    }
}

/// TN_ERR_DEVICE: the memory is not what the producer states. Managed and page-locked memory may be stated to be a
/// GPU's.
fn check_stated(stated: Option<tn_device>, memory: tn_device) -> Result<()> {
    let Some(stated) = stated else { return Ok(()) };
    let is_right = match stated.r#type {
        TN_CUDA => memory.r#type != TN_CUDA || memory.id == stated.id,
        kind => memory.r#type == kind,
    };
    if is_right {
        return Ok(());
    }
    Err(fail(
        TN_ERR_DEVICE,
        format_args!("the memory is of device {}, and is stated to be of {}", DeviceName(memory), DeviceName(stated)),
    ))
}
