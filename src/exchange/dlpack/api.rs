//! DLPack's exchange table (since its version 1.2): C functions that a consumer looks up once per Python type and calls
//! instead of `__dlpack__`.
//!
//! Contract: there is one static table, and callers get it only once it is complete. The Python package registers the
//! three functions that take Python objects. The other two are here: one allocates an array that the consumer then owns
//! alone, one names the stream of a device.

use super::place::place;
use super::{Form, Open, quarantine, write_and_publish};
use crate::array::{self, Contents, Options};
use crate::boundary;
use crate::dtype::Dtype;
use crate::error::{self, Result, fail};
use crate::exchange::dlpack::abi::{Tensor, Versioned};
use crate::exchange::host::Export;
use crate::layout::{Layout, Order, check_ndim};
use crate::ledger::Class;
use crate::pool;
use crate::slots::Id;
use crate::stream::{self, StreamArg};
use crate::thread;
use crate::transfer;
use crate::types::*;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

/// The function through which a failed allocation reports the name of a Python exception and a text.
type SetError = Option<unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char)>;

/// DLPackExchangeAPI. The functions that take Python objects are stored as addresses, because this library does not
/// call them.
#[repr(C)]
pub struct ExchangeApi {
    version: [u32; 2],
    previous: AtomicPtr<c_void>,
    allocator: Option<unsafe extern "C" fn(*const Tensor, *mut *mut Versioned, *mut c_void, SetError) -> c_int>,
    from_object: AtomicPtr<c_void>,
    to_object: AtomicPtr<c_void>,
    tensor_of_object: AtomicPtr<c_void>,
    stream: Option<unsafe extern "C" fn(i32, i32, *mut *mut c_void) -> c_int>,
}

const _: () = {
    assert!(size_of::<ExchangeApi>() == 56 && core::mem::offset_of!(ExchangeApi, previous) == 8);
    assert!(core::mem::offset_of!(ExchangeApi, allocator) == 16 && core::mem::offset_of!(ExchangeApi, stream) == 48);
};

static TABLE: ExchangeApi = ExchangeApi {
    version: [1, 3],
    previous: AtomicPtr::new(core::ptr::null_mut()),
    allocator: Some(allocate),
    from_object: AtomicPtr::new(core::ptr::null_mut()),
    to_object: AtomicPtr::new(core::ptr::null_mut()),
    tensor_of_object: AtomicPtr::new(core::ptr::null_mut()),
    stream: Some(current_stream),
};

/// The table, once the Python package has completed it.
pub fn exchange_api() -> Result<*const ExchangeApi> {
    // Acquire pairs with the Release in `register_python`, whose last store this is.
    if TABLE.tensor_of_object.load(Ordering::Acquire).is_null() {
        return Err(fail(
            TN_ERR_UNSUPPORTED,
            format_args!("the Python package provides the functions for Python objects; import tenure in Python first"),
        ));
    }
    // From now on foreign code may have pointers to this library's functions.
    crate::sys::os::pin_library();
    Ok(&raw const TABLE)
}

/// Completes the table, once.
///
/// # Safety
/// - `slots` is a table whose three functions for Python objects have the types that DLPack defines.
pub unsafe fn register_python(slots: *const ExchangeApi) -> Result<()> {
    // SAFETY: the caller's obligation.
    let slots = unsafe { &*slots };
    // In this order: a reader that sees the last function sees all of them.
    for (own, given, what) in [
        (&TABLE.from_object, &slots.from_object, "managed_tensor_from_py_object_no_sync"),
        (&TABLE.to_object, &slots.to_object, "managed_tensor_to_py_object_no_sync"),
        (&TABLE.tensor_of_object, &slots.tensor_of_object, "dltensor_from_py_object_no_sync"),
    ] {
        let given = given.load(Ordering::Relaxed);
        if given.is_null() {
            return Err(fail(TN_ERR_NULL, format_args!("slots.{what} is NULL")));
        }
        // Release pairs with the Acquire in `exchange_api`.
        let set = own.compare_exchange(core::ptr::null_mut(), given, Ordering::Release, Ordering::Relaxed);
        if set.is_err_and(|set| set != given) {
            return Err(fail(
                TN_ERR_INVALID,
                format_args!("{what} is set already, by another copy of the Python package; load only one"),
            ));
        }
    }
    Ok(())
}

/// The stream of the thread's work on a device, a CUstream. NULL for the host, which has none, and where there is no
/// such device.
unsafe extern "C" fn current_stream(device_type: i32, device_id: i32, out: *mut *mut c_void) -> c_int {
    let device = tn_device { r#type: device_type as tn_device_type, id: device_id };
    let of_device = || stream::current(device).map(|stream| stream.native()).unwrap_or(0);
    let native = match device.r#type {
        TN_CUDA | TN_CUDA_MANAGED => boundary::answer("current_work_stream", 0, || Ok(of_device())),
        _ => 0,
    };
    if !out.is_null() {
        // SAFETY: writable by DLPack's documentation.
        unsafe { out.write(native as *mut c_void) };
    }
    0
}

/// Allocates an array for a consumer, with the type, shape and device of the prototype. No other field of the prototype
/// is read.
///
/// # Safety
/// - As DLPack documents: `prototype` describes a tensor, `out` may be written, and `set_error` may be called with
///   `context`.
unsafe extern "C" fn allocate(
    prototype: *const Tensor,
    out: *mut *mut Versioned,
    context: *mut c_void,
    set_error: SetError,
) -> c_int {
    let status = boundary::enter("managed_tensor_allocator", || {
        if prototype.is_null() || out.is_null() {
            return Err(fail(TN_ERR_NULL, format_args!("the prototype or the output is NULL")));
        }
        // SAFETY: not NULL; the caller's obligation.
        let tensor = unsafe { allocate_like(prototype)? };
        // SAFETY: the caller's obligation.
        unsafe { out.write(tensor.cast()) };
        Ok(())
    });
    if status == TN_OK {
        return 0;
    }
    let kind: &CStr = match status {
        TN_ERR_NO_HOST_MEMORY | TN_ERR_NO_DEVICE_MEMORY | TN_ERR_POOL_LIMIT => c"MemoryError",
        _ => c"BufferError",
    };
    if let Some(set_error) = set_error {
        // SAFETY: the caller's obligation; both texts end with a NUL and outlive the call.
        unsafe { set_error(context, kind.as_ptr(), error::published()) };
    }
    -1
}

/// # Safety
/// - `prototype` is a DLTensor whose shape has as many lengths as it says.
unsafe fn allocate_like(prototype: *const Tensor) -> Result<*mut c_void> {
    // SAFETY: the caller's obligation; a copy of the struct's own fields.
    let tensor = unsafe { core::ptr::read(prototype) };
    let device = tn_device { r#type: tensor.device_type, id: tensor.device_id };
    if !matches!(device.r#type, TN_CPU | TN_CUDA | TN_CUDA_HOST | TN_CUDA_MANAGED) {
        return Err(fail(
            TN_ERR_DEVICE,
            format_args!(
                "device ({}, {}): this library has no memory of that type; use (1, 0), (2, n), (3, 0) or (13, 0)",
                device.r#type, device.id
            ),
        ));
    }
    let dtype = Dtype::of(u32::from(tensor.code) | u32::from(tensor.bits) << 8 | u32::from(tensor.lanes) << 16)?;
    let ndim = check_ndim(tensor.ndim)?;
    if ndim > 0 && tensor.shape.is_null() {
        return Err(super::null("shape"));
    }
    let mut shape = [0i64; TN_MAX_NDIM];
    for (axis, length) in shape[..ndim].iter_mut().enumerate() {
        // SAFETY: the shape has `ndim` lengths, by the caller's obligation.
        *length = unsafe { tensor.shape.add(axis).read_unaligned() };
    }
    let mut layout = Layout::contiguous(dtype, &shape[..ndim], Order::C, 0)?;
    let pool = pool::current(device)?;
    let thread = thread::current();
    let slot = quarantine::take(thread)?;
    let made = transfer::create(Some(pool), &mut layout, Contents::Undefined, &Options::DEFAULT.name, || {
        Ok(StreamArg::Current)
    });
    match made.and_then(|id| export_exclusively(id, device)) {
        // The consumer owns the bytes alone, as those of a copy, but the struct is not marked as copied.
        Ok(open) => Ok(write_and_publish(slot, open, Class::ExportExclusive, Form::Versioned).0),
        Err(status) => {
            quarantine::put(thread, slot);
            Err(status)
        }
    }
}

/// Exports a new array, and releases its handle. Then the export alone holds the bytes. A consumer on a device uses
/// them in the order of the thread's current stream.
fn export_exclusively(id: Id, device: tn_device) -> Result<Open> {
    let request = Export {
        function: c"managed_tensor_allocator",
        flags: TN_BORROW | TN_REQUIRE_BORROW,
        class: Class::ExportExclusive,
        copy: Class::ExportExclusive,
        unique: true,
    };
    let is_host = matches!(device.r#type, TN_CPU | TN_CUDA_HOST);
    let consumer = if is_host { StreamArg::Now } else { StreamArg::Current };
    let opened = place(device, 0, tn_device { r#type: 0, id: 0 }, !is_host)
        .and_then(|place| super::open(id, &request, device, place, consumer));
    array::release_now(id)?;
    opened
}
