//! HEAD

use crate::api::{self, Id};
use crate::base::errors;
use crate::base::interpreter::{SameThread, wait_without_gil};
use crate::base::site;
use crate::exchange::export_class::{Class, may_read};
use crate::ffi_generated as c;
use crate::handles::array::Array;
use crate::types::*;
use crate::values::convert::crossing;
use core::ffi::c_void;
use core::ptr::null_mut;
use pyo3::prelude::*;

/// DLPack's flag: the producer copied the bytes for this export.
const IS_COPIED: u64 = 1 << 1;

/// The start of a DLManagedTensorVersioned, by DLPack's layout.
#[repr(C)]
struct VersionedHead {
    major: u32,
    minor: u32,
    manager_ctx: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut c_void)>,
    flags: u64,
}

/// The end of a DLManagedTensor, behind the tensor of 48 bytes.
#[repr(C)]
struct LegacyTensor {
    tensor: [u64; 6],
    manager_ctx: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// What of an export its consumer chose.
pub struct ExportRequest {
    pub flags: u32,
    pub target: tn_device,
}

pub const ANYWHERE: tn_device = tn_device { r#type: 0, id: 0 };

/// An alias where the bytes are, in no order with anybody's work.
pub fn alias() -> ExportRequest {
    ExportRequest { flags: TN_BORROW | TN_REQUIRE_BORROW | TN_UNORDERED, target: ANYWHERE }
}

/// The struct of an array, by class: a shared view gives way to a read-only one where the format can say so.
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
    let target = how.target;
    let made = |class: Class| {
        wait_without_gil(py, how.flags | if copies { 0 } else { class.flags() }, |flags| {
            let options = tn_dlpack_options {
                size: size_of::<tn_dlpack_options>(),
                flags,
                mode: 0,
                label: 0,
                reserved: 0,
                target,
                consumer: null_mut(),
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

pub fn tensor_of(id: Id, options: &tn_dlpack_options, versioned: bool) -> api::Result<*mut c_void> {
    let array = id.0 as *mut tn_array;
    let mut how = 0;
    if versioned {
        let mut out: *mut DLManagedTensorVersioned = null_mut();
        // SAFETY: a checked id, whole options, writable outputs.
        match unsafe { c::tn_array_export_dlpack_versioned(array, options, &mut out, &mut how) } {
            TN_OK => Ok(out.cast()),
            status => Err(api::Failure(status)),
        }
    } else {
        let mut out: *mut DLManagedTensor = null_mut();
        // SAFETY: a checked id, whole options, writable outputs.
        match unsafe { c::tn_array_export_dlpack(array, options, &mut out, &mut how) } {
            TN_OK => Ok(out.cast()),
            status => Err(api::Failure(status)),
        }
    }
}

/// Calls the deleter.
///
/// # Safety
/// - `tensor` is a struct of that kind that nobody else will delete.
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

pub const ASK_FOR_VERSION: &str =
    "; ask for version 1 (max_version=(1, 0)), which can say read-only, or for a copy (copy=True)";

/// The exception of a refused export; where another request would work, it says which.
fn refusal(py: Python<'_>, failure: api::Failure, versioned: bool) -> PyErr {
    let mut text = api::last_error();
    match failure.0 {
        TN_ERR_READONLY if !versioned => {
            text += ASK_FOR_VERSION;
        }
        TN_ERR_BORROWED | TN_ERR_EXPORTED => text += "; x.readonly asks for a view that only reads",
        _ => {}
    }
    errors::with_text(py, failure.0, &text, true)
}

/// A struct that is ours: its deleter is called unless it is imported.
pub struct OwnedTensor {
    tensor: *mut c_void,
    versioned: bool,
}

impl OwnedTensor {
    /// # Safety
    /// - `tensor` is a struct of that kind that nobody else will delete.
    pub unsafe fn own(tensor: *mut c_void, versioned: bool) -> OwnedTensor {
        OwnedTensor { tensor, versioned }
    }

    /// An array on its bytes, or a copy of them (XC-1).
    pub fn import(self, py: Python<'_>, copy: Option<bool>) -> PyResult<Bound<'_, Array>> {
        self.import_or(py, copy, drop)
    }

    /// The same; `refused` gets the struct back if it was not consumed.
    pub fn import_or(
        self,
        py: Python<'_>,
        copy: Option<bool>,
        refused: impl FnOnce(OwnedTensor),
    ) -> PyResult<Bound<'_, Array>> {
        let OwnedTensor { tensor, versioned } = self;
        let head = tensor.cast::<VersionedHead>();
        // SAFETY: a versioned struct starts so, whatever its major version is.
        let known = !versioned || unsafe { (*head).major } == 1;
        // A copy that the producer made for us is ours: copying it again would be one too many.
        // SAFETY: in major version 1 the flags stand here.
        let copied = versioned && known && unsafe { (*head).flags } & IS_COPIED != 0;
        let flags = if copied && copy == Some(true) { TN_BORROW } else { crossing(copy) };
        let _site = site::here(py);
        let imported = import(tensor, versioned, flags);
        if known && let Err(failure) = imported {
            let error = errors::exporting(failure);
            refused(self);
            return Err(error);
        }
        // The library has it, or gave it back to its producer: a struct of another major version is consumed by the
        // import that fails (DL-23).
        core::mem::forget(self);
        Array::adopt(py, imported.map_err(errors::exporting)?)
    }
}

impl Drop for OwnedTensor {
    fn drop(&mut self) {
        // SAFETY: by the list of `own`.
        unsafe { delete(self.tensor, self.versioned) }
    }
}

fn import(tensor: *mut c_void, versioned: bool, flags: u32) -> api::Result<Id> {
    let (mut out, mut how) = (null_mut::<tn_array>(), 0);
    // SAFETY: a struct of that kind by the capsule's name, which is ours now; writable outputs.
    let status = unsafe {
        match versioned {
            true => c::tn_array_import_dlpack_versioned(tensor.cast(), flags, &mut out, &mut how),
            false => c::tn_array_import_dlpack(tensor.cast(), flags, &mut out, &mut how),
        }
    };
    if status == TN_OK { Ok(Id(out as u64)) } else { Err(api::Failure(status)) }
}
