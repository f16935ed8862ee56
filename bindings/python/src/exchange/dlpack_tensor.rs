//! DLPack's structs: exports of an array as a struct, and arrays on a struct (DL-40 to DL-43).
//!
//! Contract: the library makes and reads the structs. A struct that this crate owns is imported or deleted. The deleter
//! needs no interpreter.

use crate::api::{self, Id};
use crate::base::errors;
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::base::site;
use crate::exchange::export_class::{Class, may_read};
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::crossing;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// DLPack's flag: the producer copied the bytes for this export.
const IS_COPIED: u64 = 1 << 1;

/// The beginning of a DLManagedTensorVersioned, by DLPack's layout.
#[repr(C)]
struct VersionedHead {
    major: u32,
    minor: u32,
    manager_ctx: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut c_void)>,
    flags: u64,
}

/// The beginning of a DLManagedTensorVersioned up to its tensor's device.
#[repr(C)]
struct VersionedTensor {
    head: VersionedHead,
    data: *mut c_void,
    device: tn_device,
}

/// A DLManagedTensor, by DLPack's layout; the tensor has 48 bytes.
#[repr(C)]
struct LegacyTensor {
    tensor: [u64; 6],
    manager_ctx: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// The consumer's choices for an export.
pub struct ExportRequest {
    pub flags: u32,
    /// The device type in the struct; 0: that of the bytes.
    pub label: tn_device_type,
    pub target: tn_device,
    /// The consumer's stream, which lives until the export is made.
    pub consumer: Id,
}

/// No target: the bytes' own device.
pub const ANYWHERE: tn_device = tn_device { r#type: 0, id: 0 };

/// The label of page-locked and managed memory in exports.
static LABEL: AtomicU32 = AtomicU32::new(TN_CPU);

/// The device types that `set_dlpack_label` knows by name.
const LABELS: [(&str, tn_device_type); 3] = [("cpu", TN_CPU), ("cuda", TN_CUDA), ("own", 0)];

/// Sets under which device `x.__dlpack__()` exports page-locked and managed memory: "cpu" (the default, which every
/// library takes), "cuda", or "own" for DLPack's numbers of such memory, which few libraries know.
///
/// >>> tenure.set_dlpack_label("cpu")
#[pyfunction]
pub fn set_dlpack_label(label: &str) -> PyResult<()> {
    let known = LABELS.iter().find(|(name, _)| *name == label);
    let (_, kind) = known
        .ok_or_else(|| PyValueError::new_err(format!("label {label:?} is none of \"cpu\", \"cuda\" and \"own\"")))?;
    LABEL.store(*kind, Ordering::Relaxed);
    Ok(())
}

/// The label of an export of memory of a device; 0: its own.
pub fn label_of(device: tn_device) -> tn_device_type {
    match device.r#type {
        TN_CUDA_HOST | TN_CUDA_MANAGED => LABEL.load(Ordering::Relaxed),
        _ => 0,
    }
}

/// A request for an alias on the bytes' own device, without waiting for work on them.
pub fn alias(array: &Array) -> PyResult<ExportRequest> {
    let device = api::query(array.id()?).map_err(errors::exporting)?.device;
    let flags = TN_BORROW | TN_REQUIRE_BORROW | TN_UNORDERED;
    Ok(ExportRequest { flags, label: label_of(device), target: ANYWHERE, consumer: Id::NULL })
}

/// Exports an array as a struct. A refused shared view becomes a read-only one where the struct has a flag for that.
pub fn tensor(
    py: Python<'_>,
    array: &Array,
    class: Class,
    how: &ExportRequest,
    versioned: bool,
) -> PyResult<*mut c_void> {
    let id = array.id()?;
    let copies = how.flags & (TN_BORROW | TN_REQUIRE_BORROW) == 0;
    let _site = site::here(py);
    let (label, target, consumer) = (how.label, how.target, how.consumer);
    let made = |class: Class| {
        wait_without_gil(py, how.flags | if copies { 0 } else { class.flags() }, |flags| {
            let options = tn_dlpack_options {
                size: size_of::<tn_dlpack_options>(),
                flags,
                mode: 0,
                label,
                reserved: 0,
                target,
                consumer: consumer.0 as *mut tn_stream,
            };
            tensor_of(id, &options, versioned).map(SameThread)
        })
        .map(|made| made.0)
    };
    let mut tensor = made(class);
    if let Err(failure) = tensor
        && class == Class::Default
        && versioned
        && may_read(failure)
    {
        tensor = made(Class::ReadOnly);
    }
    tensor.map_err(|failure| refusal(py, failure, versioned))
}

/// Calls the library's export.
pub fn tensor_of(id: Id, options: &tn_dlpack_options, versioned: bool) -> api::Result<*mut c_void> {
    let array = id.0 as *mut tn_array;
    let mut how = 0;
    if versioned {
        let mut out: *mut DLManagedTensorVersioned = null_mut();
        // SAFETY: a checked id, whole options, writable outputs.
        match unsafe { tn_array_export_dlpack_versioned(array, options, &mut out, &mut how) } {
            TN_OK => Ok(out.cast()),
            status => Err(api::Failure(status)),
        }
    } else {
        let mut out: *mut DLManagedTensor = null_mut();
        // SAFETY: a checked id, whole options, writable outputs.
        match unsafe { tn_array_export_dlpack(array, options, &mut out, &mut how) } {
            TN_OK => Ok(out.cast()),
            status => Err(api::Failure(status)),
        }
    }
}

/// Calls a struct's deleter.
///
/// # Safety
/// - `tensor` is a struct of that kind that no other code will delete.
pub unsafe fn delete(tensor: *mut c_void, versioned: bool) {
    // SAFETY: by this function's list.
    unsafe {
        let deleter = match versioned {
            true => (*tensor.cast::<VersionedHead>()).deleter,
            false => (*tensor.cast::<LegacyTensor>()).deleter,
        };
        if let Some(deleter) = deleter {
            deleter(tensor);
        }
    }
}

/// The advice where a struct without flags cannot be read-only.
pub const ASK_FOR_VERSION: &str =
    "; request version 1 (max_version=(1, 0)), which has a read-only flag, or a copy (copy=True)";

/// The exception of a refused export. It names a request that would succeed, if there is one.
fn refusal(py: Python<'_>, failure: api::Failure, versioned: bool) -> PyErr {
    let mut text = api::last_error();
    match failure.0 {
        TN_ERR_READONLY if !versioned => {
            text += ASK_FOR_VERSION;
        }
        TN_ERR_BORROWED | TN_ERR_EXPORTED => text += "; x.readonly requests a view that only reads",
        _ => {}
    }
    errors::with_text(py, failure.0, &text, true)
}

/// A struct that this value owns: it is deleted unless it is imported.
pub struct OwnedTensor {
    tensor: *mut c_void,
    versioned: bool,
}

impl OwnedTensor {
    /// Whether the struct, which is versioned, says that its bytes are on a device.
    pub fn is_on_device(&self) -> bool {
        // SAFETY: a versioned struct of major version 1, whose tensor has its device behind the data.
        let kind = unsafe { (*self.tensor.cast::<VersionedTensor>()).device.r#type };
        !matches!(kind, TN_CPU | TN_CUDA_HOST)
    }

    /// # Safety
    /// - `tensor` is a struct of that kind that no other code will delete.
    pub unsafe fn own(tensor: *mut c_void, versioned: bool) -> OwnedTensor {
        OwnedTensor { tensor, versioned }
    }

    /// Makes an array on the struct's bytes, or on a copy of them (XC-1).
    pub fn import(self, py: Python<'_>, copy: Option<bool>) -> PyResult<Bound<'_, Array>> {
        self.import_or(py, copy, drop)
    }

    /// Imports the struct. `refused` gets it back if the library did not consume it.
    pub fn import_or(
        self,
        py: Python<'_>,
        copy: Option<bool>,
        refused: impl FnOnce(OwnedTensor),
    ) -> PyResult<Bound<'_, Array>> {
        let OwnedTensor { tensor, versioned } = self;
        let head = tensor.cast::<VersionedHead>();
        // SAFETY: a versioned struct of any major version begins so.
        let known = !versioned || unsafe { (*head).major } == 1;
        // A copy that the producer made for this import is not copied again.
        // SAFETY: major version 1 has the flags here.
        let copied = versioned && known && unsafe { (*head).flags } & IS_COPIED != 0;
        let flags = if copied && copy == Some(true) { TN_BORROW } else { crossing(copy) };
        let _site = site::here(py);
        let imported = import(tensor, versioned, flags);
        if known && let Err(failure) = imported {
            let error = errors::exporting(failure);
            refused(self);
            return Err(error);
        }
        // The library owns the struct, or has deleted it: an import refuses and consumes a struct of another major
        // version (DL-23).
        core::mem::forget(self);
        Array::adopt(py, imported.map_err(errors::exporting)?)
    }
}

impl Drop for OwnedTensor {
    fn drop(&mut self) {
        // SAFETY: by the contract of `own`.
        unsafe { delete(self.tensor, self.versioned) }
    }
}

/// Calls the library's import.
fn import(tensor: *mut c_void, versioned: bool, flags: u32) -> api::Result<Id> {
    let (mut out, mut how) = (null_mut::<tn_array>(), 0);
    // SAFETY: a struct of that kind, which the caller owns; writable outputs.
    let status = unsafe {
        match versioned {
            true => tn_array_import_dlpack_versioned(tensor.cast(), flags, &mut out, &mut how),
            false => tn_array_import_dlpack(tensor.cast(), flags, &mut out, &mut how),
        }
    };
    if status == TN_OK { Ok(Id(out as u64)) } else { Err(api::Failure(status)) }
}
