//! DLPack, version 1.1 and the older struct without a version: <https://dmlc.github.io/dlpack/latest/>.
//!
//! Contract of exports: the struct lives in a slot that is never unmapped. The oldest free slot is reused first, so a
//! second call of a deleter is detected and ignored. `data` points to element (0,..,0), `byte_offset` is 0, and strides
//! are always present.
//!
//! Contract of imports: every field is checked; only the pointers themselves are trusted. A struct that this library
//! exported is recognised, and its import is a clone of the exported array.

mod abi;

mod api;

mod place;

mod quarantine;

use crate::array::{self, HOST};
use crate::dtype::Dtype;
use crate::error::{Result, Status, fail, quietly};
use crate::exchange::device::{self, DeviceExport, DeviceImport, Producer};
use crate::exchange::host::{self, Exported, Import, Imported};
use crate::layout::{Layout, Order};
use crate::ledger::{Class, Guard, LockedSlot, Release};
use crate::slots::Id;
use crate::stream::{self, Point, Stream, StreamArg};
use crate::thread::{self, Thread};
use crate::types::*;
pub use api::{exchange_api, register_python};

use abi::{Consumer, Export, IS_COPIED, Legacy, READ_ONLY, Tensor, Versioned};
use core::ffi::{CStr, c_void};
use core::sync::atomic::Ordering;
use place::Place;

/// The options of `tn_dlpack_options`.
pub struct Options {
    /// Borrow flags.
    pub flags: u32,
    /// Write mode.
    pub mode: u32,
    /// Device label.
    pub label: tn_device_type,
    /// The device on which the consumer wants the bytes.
    pub target: tn_device,
    /// The consumer's stream.
    pub consumer: Result<StreamArg>,
}

/// The struct that the consumer asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// DLManagedTensor
    Legacy,
    /// DLManagedTensorVersioned
    Versioned,
}

/// Exports an array. Returns the address of the struct and TN_ALIASED or TN_COPIED.
#[inline(always)]
pub fn export(function: &'static CStr, id: Id, options: Result<Options>, form: Form) -> Result<(*mut c_void, tn_how)> {
    crate::ledger::find::<crate::ledger::Claim>(id)?;
    let options = options?;
    let consumer = options.consumer?;
    let flags = options.flags;
    host::check_flags(flags, host::EXPORT_FLAGS)?;
    let (class, unique) = host::class(flags, options.mode, form == Form::Versioned)?;
    let (label, target, has_stream) = (options.label, options.target, !consumer.is_null());
    let host_label = |device| place::host_label(device, label, target, has_stream);
    if flags & (TN_BORROW | TN_REQUIRE_BORROW) != 0
        && !unique
        && let Some(tensor) = export_fast(id, flags, class, form, host_label)
    {
        return Ok((tensor, TN_ALIASED));
    }
    let device = array::device(id)?;
    let place = place::place(device, label, target, has_stream)?;
    let request = host::Export { function, flags, class, copy: Class::ExportExclusive, unique };
    export_slow(id, request, device, place, consumer, form)
}

/// The reason why DLPack, or the caller's flags, cannot express a layout. None: they can.
#[inline(always)]
fn why_not_expressible(flags: u32, layout: &Layout) -> Option<&'static str> {
    let item = layout.item();
    // Item sizes are powers of two, so the mask has the remainder.
    if layout.axes().any(|(length, stride)| length > 1 && stride & (item - 1) != 0) {
        return Some("a stride is not a multiple of the element size, which DLPack counts in");
    }
    host::unwanted(flags, layout)
}

/// The fast path of an aliasing export, for an array without a conflict. The consumer reads the slot only, so the
/// export needs no layout of its own.
#[inline(always)]
fn export_fast(
    id: Id,
    flags: u32,
    class: Class,
    form: Form,
    host_label: impl Fn(tn_device) -> Option<tn_device>,
) -> Option<*mut c_void> {
    let thread = thread::current();
    let (guard, (slot, tensor)) = crate::borrow::export_fast(thread, id, class, |layout, device| {
        let label = host_label(device)?;
        if layout.is_empty() || why_not_expressible(flags, layout).is_some() {
            return None;
        }
        let slot = quarantine::take_own(thread)?;
        let at = At { label, address: layout.offset() as u64 };
        Some((slot, fill(slot, layout, at, class == Class::ExportRead, false, form)))
    })?;
    publish(slot, Some(guard), Consumer::Host);
    Some(tensor)
}

/// Where a struct says that its elements are.
#[derive(Clone, Copy)]
struct At {
    label: tn_device,
    /// The address of element (0,..,0). Not used without elements.
    address: u64,
}

/// The slow path of an export, for all cases and with every status.
#[inline(never)]
fn export_slow(
    id: Id,
    request: host::Export,
    device: tn_device,
    place: Place,
    consumer: StreamArg,
    form: Form,
) -> Result<(*mut c_void, tn_how)> {
    let thread = thread::current();
    let slot = quarantine::take(thread)?;
    match open(id, &request, device, place, consumer) {
        Ok(open) => Ok(write_and_publish(slot, open, request.class, form)),
        Err(status) => {
            quarantine::put(thread, slot);
            Err(status)
        }
    }
}

/// An open export, and what its struct says.
struct Open {
    exported: Exported,
    at: At,
    consumer: Consumer,
}

/// Opens an export at a place. A consumer on a device that names no stream uses the legacy one.
fn open(id: Id, request: &host::Export, device: tn_device, place: Place, consumer: StreamArg) -> Result<Open> {
    let why_not = |layout: &Layout| why_not_expressible(request.flags, layout);
    let label = place.label;
    if !place.on_device {
        consumer.on(HOST)?;
        let exported = match place.copies {
            false => host::export(id, request, Ok(StreamArg::Now), &why_not)?,
            true => device::copy_out(id, request, label)?,
        };
        let address = exported.guard.layout().offset() as u64;
        return Ok(Open { exported, at: At { label, address }, consumer: Consumer::Host });
    }
    let consumer = if consumer.is_null() { StreamArg::Legacy } else { consumer };
    // Before the export, as nothing after it may fail.
    let accessor = consumer.on(if place.copies { label } else { device })?;
    let DeviceExport { exported, address, .. } = match place.copies {
        false => device::export(id, request, &consumer, &why_not, host::copy_order(request.flags))?,
        true => device::export_copy(id, request, &consumer, host::copy_order(request.flags), label)?,
    };
    let consumer = match accessor.and_then(Stream::try_ref) {
        Some(stream) if request.flags & TN_UNORDERED == 0 => Consumer::Stream(stream),
        _ => Consumer::Unordered,
    };
    Ok(Open { exported, at: At { label, address }, consumer })
}

/// Writes the struct of an open export into the slot, and publishes it.
fn write_and_publish(slot: &'static Export, open: Open, class: Class, form: Form) -> (*mut c_void, tn_how) {
    let Open { exported: Exported { guard, how }, at, consumer } = open;
    let layout = guard.layout();
    let copied = how == TN_COPIED;
    let tensor = fill(slot, layout, at, class == Class::ExportRead && !copied, copied, form);
    // An empty array has no bytes that the consumer could keep.
    let guard = if layout.is_empty() {
        guard.end(false);
        None
    } else {
        Some(guard.into_guard())
    };
    publish(slot, guard, consumer);
    (tensor, how)
}

/// Writes the struct into the slot. Returns the struct's address.
#[inline(always)]
fn fill(slot: &'static Export, layout: &Layout, at: At, readonly: bool, copied: bool, form: Form) -> *mut c_void {
    let ndim = layout.ndim();
    // SAFETY: this call took the slot, and no consumer has it yet.
    let out = unsafe { &mut *slot.tensor.get() };
    let numbers = &mut out.numbers[..2 * ndim];
    let (shape, strides) = numbers.split_at_mut(ndim);
    // Item sizes are powers of two, and `why_not_expressible` refused all strides that are not multiples of them.
    let shift = layout.item().trailing_zeros();
    // Starts at the last axis. An axis of length 1 gets the stride of a contiguous layout.
    let mut dense = 1_i64;
    for (axis, (length, stride)) in layout.axes().enumerate().rev() {
        shape[axis] = length;
        strides[axis] = if length == 1 { dense } else { stride >> shift };
        dense = strides[axis].saturating_mul(length.max(1));
    }
    let numbers = numbers.as_mut_ptr();
    let raw = layout.dtype().raw();
    let tensor = Tensor {
        data: if layout.is_empty() { core::ptr::null_mut() } else { at.address as *mut c_void },
        device_type: at.label.r#type,
        device_id: at.label.id,
        ndim: ndim as i32,
        code: raw as u8,
        bits: (raw >> 8) as u8,
        lanes: (raw >> 16) as u16,
        shape: numbers,
        strides: numbers.wrapping_add(ndim),
        byte_offset: 0,
    };
    let context = core::ptr::from_ref(slot).cast_mut().cast::<c_void>();
    match form {
        Form::Legacy => {
            out.legacy = Legacy { tensor, manager_ctx: context, deleter: Some(delete_legacy) };
            (&raw mut out.legacy).cast()
        }
        Form::Versioned => {
            let flags = if readonly { READ_ONLY } else { 0 } | if copied { IS_COPIED } else { 0 };
            out.versioned =
                Versioned { major: 1, minor: 1, manager_ctx: context, deleter: Some(delete_versioned), flags, tensor };
            (&raw mut out.versioned).cast()
        }
    }
}

/// Marks the slot's struct as exported. `guard` holds its bytes, if it has any.
#[inline(always)]
fn publish(slot: &'static Export, guard: Option<&'static Guard>, consumer: Consumer) {
    // SAFETY: this call took the slot, and no consumer has it yet.
    let out = unsafe { &mut *slot.tensor.get() };
    out.forks = thread::forks();
    out.guard = guard;
    out.consumer = consumer;
    // From now on the consumer has a pointer to the deleter.
    crate::sys::os::pin_library();
    // Release pairs with the AcqRel in `delete`.
    slot.live.store(1, Ordering::Release);
}

unsafe extern "C" fn delete_legacy(tensor: *mut Legacy) {
    // SAFETY: the consumer passes the struct that it got, whose memory is never unmapped.
    if let Some(tensor) = unsafe { tensor.as_ref() } {
        delete(tensor.manager_ctx);
    }
}

unsafe extern "C" fn delete_versioned(tensor: *mut Versioned) {
    // SAFETY: the consumer passes the struct that it got, whose memory is never unmapped.
    if let Some(tensor) = unsafe { tensor.as_ref() } {
        delete(tensor.manager_ctx);
    }
}

/// Ends the export whose slot is `context`. Any thread may call this: without an interpreter, after a fork, or while
/// the process exits.
fn delete(context: *mut c_void) {
    let outcome = std::panic::catch_unwind(|| {
        // SAFETY: the context of this library's structs is their slot, which is never unmapped.
        let slot: &'static Export = unsafe { &*context.cast::<Export>() };
        if slot.live.swap(0, Ordering::AcqRel) == 0 {
            // The consumer's second call. The export has ended, and a deleter cannot return an error.
            return;
        }
        let thread = thread::current();
        match take(slot) {
            (None, _) => {}
            (Some(guard), Consumer::Host) => end_guard(thread, guard),
            (Some(guard), consumer) => end_on_device(guard, consumer),
        }
        quarantine::put(thread, slot);
    });
    // A deleter cannot report an error. A panic is a bug, and must not unwind into the consumer.
    debug_assert!(outcome.is_ok());
}

#[inline(always)]
fn end_guard(thread: &'static Thread, guard: &'static Guard) {
    if !LockedSlot::held(thread, guard).end_guard(false) {
        guard.lock().end_guard(guard, false);
    }
}

/// Ends an export whose consumer used the bytes on a device.
#[cold]
fn end_on_device(guard: &'static Guard, consumer: Consumer) {
    if let Consumer::Stream(stream) = consumer {
        // Nobody vouches for another library's stream here, so no event is recorded on it now. A later event of it ends
        // the use, or a wait for the whole device.
        return guard.lock().end_guard_at(guard, false, Some(stream.stream().now()));
    }
    device::end_unordered(guard);
}

/// Takes the guard of an export that the caller ends, and its consumer. None: there is none, or the export was made
/// before a fork.
#[inline(always)]
fn take(slot: &'static Export) -> (Option<&'static Guard>, Consumer) {
    // SAFETY: the caller has set `live` to 0, so no other call ends the export.
    let out = unsafe { &mut *slot.tensor.get() };
    let (guard, consumer) = (out.guard.take(), core::mem::replace(&mut out.consumer, Consumer::Host));
    if out.forks == thread::forks() {
        return (guard, consumer);
    }
    // The child of a fork makes no call for a stream of its parent.
    core::mem::forget(consumer);
    (None, Consumer::Host)
}

/// The flags that an import accepts.
pub const IMPORT_FLAGS: u32 = TN_BORROW
    | TN_REQUIRE_BORROW
    | TN_MAY_OVERWRITE
    | TN_TAKE_OWNERSHIP
    | TN_RELEASE_QUEUED
    | TN_IMPORT_READONLY
    | TN_IMPORT_WRITABLE
    | TN_UNORDERED
    | TN_WAIT;

/// Imports a struct without a version.
///
/// # Safety
/// - `tensor` is a DLManagedTensor whose pointers point to what its fields say. The caller owns it.
pub unsafe fn import_legacy(function: &'static CStr, tensor: *mut c_void, flags: u32) -> Result<Imported> {
    host::check_flags(flags, IMPORT_FLAGS)?;
    let tensor = tensor.cast::<Legacy>();
    // SAFETY: the caller's obligation; read as values, no reference is kept.
    let (head, deleter, context) = unsafe { (&raw const (*tensor).tensor, (*tensor).deleter, (*tensor).manager_ctx) };
    if deleter.is_some_and(|deleter| core::ptr::fn_addr_eq(deleter, delete_legacy as unsafe extern "C" fn(*mut Legacy)))
        && let Some(outcome) = reclaim(context, flags)
    {
        return outcome;
    }
    let readonly = flags & (TN_IMPORT_WRITABLE | TN_IMPORT_READONLY) != TN_IMPORT_WRITABLE;
    let release = deleter.map_or(Release::None, |deleter| {
        // SAFETY: a function of one pointer that returns nothing may be called through another type of pointer to it on
        // every platform of this library.
        let call = unsafe {
            core::mem::transmute::<unsafe extern "C" fn(*mut Legacy), unsafe extern "C" fn(*mut c_void)>(deleter)
        };
        Release::Call(call, tensor as usize)
    });
    // SAFETY: the caller's obligation.
    unsafe { import(function, head, flags, readonly, false, release) }
}

/// Imports a struct with a version.
///
/// # Safety
/// - `tensor` is a DLManagedTensorVersioned whose pointers point to what its fields say. The caller owns it.
pub unsafe fn import_versioned(function: &'static CStr, tensor: *mut c_void, flags: u32) -> Result<Imported> {
    host::check_flags(flags, IMPORT_FLAGS)?;
    let tensor = tensor.cast::<Versioned>();
    // SAFETY: the caller's obligation; the first fields are the same in every major version.
    let (major, deleter, context) = unsafe { ((*tensor).major, (*tensor).deleter, (*tensor).manager_ctx) };
    if major != 1 {
        if let Some(deleter) = deleter {
            // SAFETY: DLPack demands that a consumer which does not support the version calls the deleter.
            unsafe { deleter(tensor) };
        }
        return Err(fail(TN_ERR_UNSUPPORTED, format_args!("DLPack version {major}: this library reads version 1")));
    }
    if deleter
        .is_some_and(|deleter| core::ptr::fn_addr_eq(deleter, delete_versioned as unsafe extern "C" fn(*mut Versioned)))
        && let Some(outcome) = reclaim(context, flags)
    {
        return outcome;
    }
    // SAFETY: the caller's obligation; read as values.
    let (head, bits) = unsafe { (&raw const (*tensor).tensor, (*tensor).flags) };
    let readonly = bits & READ_ONLY != 0 || flags & TN_IMPORT_READONLY != 0;
    let release = deleter.map_or(Release::None, |deleter| {
        // SAFETY: as in `import_legacy`.
        let call = unsafe {
            core::mem::transmute::<unsafe extern "C" fn(*mut Versioned), unsafe extern "C" fn(*mut c_void)>(deleter)
        };
        Release::Call(call, tensor as usize)
    });
    // SAFETY: the caller's obligation.
    unsafe { import(function, head, flags, readonly, bits & IS_COPIED != 0, release) }
}

/// Imports a struct that this library exported: the export ends, and a clone of the exported array takes its place.
/// None: the caller wants a copy, or the array is empty.
fn reclaim(context: *mut c_void, flags: u32) -> Option<Result<Imported>> {
    if flags & (TN_BORROW | TN_REQUIRE_BORROW | TN_MAY_OVERWRITE | TN_TAKE_OWNERSHIP) == 0 {
        return None;
    }
    // SAFETY: the context of this library's structs is their slot, which is never unmapped.
    let slot: &'static Export = unsafe { &*context.cast::<Export>() };
    // SAFETY: the caller owns the exported struct, so no other call ends it.
    let (guard, consumer) = unsafe { ((*slot.tensor.get()).guard?, &(*slot.tensor.get()).consumer) };
    let outcome = work_before(guard, consumer, flags & TN_UNORDERED != 0)
        .and_then(|point| host::reclaim(guard, flags & TN_IMPORT_READONLY != 0, point))
        .map(|id| Imported { id, how: TN_ALIASED });
    if outcome.is_ok() {
        slot.live.store(0, Ordering::Release);
        take(slot);
        quarantine::put(thread::current(), slot);
    }
    Some(outcome)
}

/// The point behind the work on the bytes of an export that comes back: the consumer's, and what comes before the
/// present work of the thread's current stream. None: the host used them, or the caller orders the work.
fn work_before(guard: &'static Guard, consumer: &Consumer, unordered: bool) -> Result<Option<Point>> {
    let Consumer::Stream(consumer) = consumer else {
        if matches!(consumer, Consumer::Unordered) {
            device::keep_from_reuse(guard);
        }
        return Ok(None);
    };
    let consumer = consumer.stream();
    if unordered {
        return Ok(Some(consumer.now()));
    }
    let current = stream::current(consumer.device())?;
    // Another library's stream may have no event to wait for. Then its own point stands for both.
    let is_after = quietly(|| current.wait_for(consumer.now())).is_ok();
    Ok(Some(if is_after { current.end_of_use() } else { consumer.now() }))
}

#[cold]
fn null(what: &str) -> Status {
    fail(TN_ERR_NULL, format_args!("the tensor's {what} is NULL"))
}

/// Nearly all tensors have at most this many axes.
const FEW_AXES: usize = 8;

/// Reads shape and strides of a tensor of at most N axes. Each number is read once, because the foreign struct may
/// change after a check.
///
/// # Safety
/// - The tensor's shape and strides point to `ndim` numbers each; strides may be NULL.
#[inline(always)]
unsafe fn read_layout<const N: usize>(tensor: &Tensor, dtype: Dtype, ndim: usize, layout: &mut Layout) -> Result<()> {
    let (mut shape, mut strides) = ([0i64; N], [0i64; N]);
    for (axis, length) in shape[..ndim].iter_mut().enumerate() {
        // SAFETY: the shape has `ndim` lengths, by the caller's obligation.
        *length = unsafe { tensor.shape.add(axis).read_unaligned() };
    }
    if tensor.strides.is_null() {
        *layout = Layout::contiguous(dtype, &shape[..ndim], Order::C, 0)?;
        return Ok(());
    }
    for (axis, stride) in strides[..ndim].iter_mut().enumerate() {
        // SAFETY: there are `ndim` strides, by the caller's obligation.
        let elements = unsafe { tensor.strides.add(axis).read_unaligned() };
        *stride = elements.checked_mul(dtype.item()).ok_or_else(|| {
            fail(TN_ERR_OVERFLOW, format_args!("stride {elements} of axis {axis} overflows in bytes"))
        })?;
    }
    layout.set_strided(dtype, &shape[..ndim], &strides[..ndim], 0)
}

/// [`read_layout`] for the few tensors that have more axes.
///
/// # Safety
/// - As for [`read_layout`].
#[cold]
#[inline(never)]
unsafe fn read_large_layout(tensor: &Tensor, dtype: Dtype, ndim: usize, layout: &mut Layout) -> Result<()> {
    // SAFETY: the caller's obligation.
    unsafe { read_layout::<TN_MAX_NDIM>(tensor, dtype, ndim, layout) }
}

/// # Safety
/// - `tensor` is a DLTensor whose pointers point to what its fields say.
unsafe fn import(
    function: &'static CStr,
    tensor: *const Tensor,
    flags: u32,
    readonly: bool,
    copied: bool,
    release: Release,
) -> Result<Imported> {
    // SAFETY: the caller's obligation; a copy of the struct's own fields.
    let tensor = unsafe { core::ptr::read(tensor) };
    let ndim = tensor.ndim;
    if ndim > 0 && tensor.shape.is_null() {
        return Err(null("shape"));
    }
    let dtype = Dtype::of(u32::from(tensor.code) | u32::from(tensor.bits) << 8 | u32::from(tensor.lanes) << 16)?;
    let ndim = crate::layout::check_ndim(ndim)?;
    let mut layout = Layout::EMPTY;
    // Clearing arrays of 64 axes would cost more than the rest of this function.
    // SAFETY: the caller's obligation.
    unsafe {
        if ndim <= FEW_AXES {
            read_layout::<FEW_AXES>(&tensor, dtype, ndim, &mut layout)?;
        } else {
            read_large_layout(&tensor, dtype, ndim, &mut layout)?;
        }
    }
    let mut data = 0;
    if !layout.is_empty() {
        if tensor.data.is_null() {
            return Err(null("data"));
        }
        data = (tensor.data as u64).checked_add(tensor.byte_offset).ok_or_else(|| {
            fail(
                TN_ERR_RANGE,
                format_args!("byte_offset {} from {:p} on wraps around", tensor.byte_offset, tensor.data),
            )
        })?;
    }
    let on_device = match tensor.device_type {
        TN_CPU | TN_CUDA_HOST => false,
        TN_CUDA | TN_CUDA_MANAGED => true,
        kind => {
            return Err(fail(TN_ERR_DEVICE, format_args!("the tensor is on a device of the unknown type {kind}")));
        }
    };
    let unordered = flags & TN_UNORDERED != 0;
    let mut flags = flags & host::IMPORT_FLAGS;
    if readonly {
        flags |= TN_IMPORT_READONLY;
    }
    let aliases = flags & (TN_BORROW | TN_REQUIRE_BORROW) != 0;
    // The producer made this copy for the consumer. No one else uses it, so it may be overwritten unless it overlaps
    // another store.
    if copied && aliases {
        flags |= TN_MAY_OVERWRITE;
    }
    if on_device {
        let stated = device::stated(tensor.device_type, i64::from(tensor.device_id))?;
        // SAFETY: the caller's obligation; the bytes stay until the deleter is called.
        return unsafe { import_from_device(function, stated, &mut layout, data, flags, unordered, release) };
    }
    layout.rebase(data)?;
    // SAFETY: as above.
    unsafe { host::import(Import { function, device: HOST, layout: &layout, flags, release, after: None }) }
}

/// Imports elements that are stated to be on a device. The producer made this thread's current stream wait for its
/// work, so all uses come after that stream's present work.
///
/// # Safety
/// - As for [`device::import`].
#[cold]
unsafe fn import_from_device(
    function: &'static CStr,
    stated: tn_device,
    layout: &mut Layout,
    data: u64,
    flags: u32,
    unordered: bool,
    release: Release,
) -> Result<Imported> {
    let producer = if unordered { Producer::None } else { Producer::Current };
    // SAFETY: the caller's obligation.
    unsafe { device::import(DeviceImport { function, layout, data, stated: Some(stated), flags, producer, release }) }
}
