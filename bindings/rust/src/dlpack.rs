//! DLPack: arrays to and from libraries of tensors, as DLManagedTensorVersioned.

use crate::array::Array;
use crate::element::Element;
use crate::error::{Error, Refused, Result, Status, check};
use crate::handle::{Handle, site};
use crate::sys::{self, DLManagedTensorVersioned};
use std::ffi::c_void;
use std::fmt;
use std::panic::Location;
use std::ptr::{self, NonNull};

/// The version of the format that the library knows.
const MAJOR_VERSION: u32 = 1;

/// The fields of DLManagedTensorVersioned that every version of the format has at these places.
#[repr(C)]
struct Head {
    version: [u32; 2],
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut DLManagedTensorVersioned)>,
}

/// A tensor of DLPack, whose deleter this value calls.
pub struct DlpackTensor(NonNull<DLManagedTensorVersioned>);

impl DlpackTensor {
    /// A tensor of another library. A NULL tensor is [`Status::NULL`].
    ///
    /// # Safety
    /// - It is a DLManagedTensorVersioned that the caller may use up, and uses no more.
    /// - Its deleter may be called on any thread.
    /// - The memory that it describes may be read until then.
    pub unsafe fn from_raw(tensor: *mut DLManagedTensorVersioned) -> Result<DlpackTensor> {
        let tensor = NonNull::new(tensor);
        tensor.map(DlpackTensor).ok_or_else(|| Error::new(Status::NULL, "tenure_rs: the tensor is NULL"))
    }

    /// The tensor, whose deleter the caller calls.
    pub fn into_raw(self) -> *mut DLManagedTensorVersioned {
        let tensor = self.as_raw();
        std::mem::forget(self);
        tensor
    }

    /// The tensor, which stays this value's.
    pub fn as_raw(&self) -> *mut DLManagedTensorVersioned {
        self.0.as_ptr()
    }
}

impl Drop for DlpackTensor {
    fn drop(&mut self) {
        // SAFETY: a tensor, by `from_raw` or of the library; it begins with these fields, and is not used afterwards.
        unsafe {
            if let Some(deleter) = (*self.as_raw().cast::<Head>()).deleter {
                deleter(self.as_raw());
            }
        }
    }
}

impl fmt::Debug for DlpackTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DlpackTensor").field(&self.0).finish()
    }
}

impl<T: Element> Array<T> {
    /// The array as a tensor of DLPack, for consumers that read. Nothing is copied. Until the tensor ends, its bytes
    /// cannot be written.
    ///
    /// # Errors
    /// [`Status::BORROWED_WRITE`] beside a writer, and the other statuses of a read guard.
    #[track_caller]
    pub fn to_dlpack(&self) -> Result<DlpackTensor> {
        site(Location::caller());
        // SAFETY: plain numbers and pointers, for which zero is a value.
        let mut options: sys::tn_dlpack_options = unsafe { std::mem::zeroed() };
        options.size = size_of::<sys::tn_dlpack_options>();
        options.flags = sys::TN_REQUIRE_BORROW;
        let mut out = ptr::null_mut();
        // SAFETY: a struct of its size, and a place for the tensor.
        check(unsafe { sys::tn_array_export_dlpack_versioned(self.as_raw(), &options, &mut out, ptr::null_mut()) })?;
        Ok(DlpackTensor(NonNull::new(out).expect("a call that succeeds writes a tensor, never NULL")))
    }

    /// An array of a tensor's bytes. They are lent: the tensor's producer may use them too. So [`read`](Array::read) is
    /// refused with [`Status::FOREIGN`], and [`copy`](Array::copy) makes an array of its own. A tensor of this library
    /// becomes a clone, which is read-only.
    ///
    /// # Errors
    /// The tensor is in the error. [`Status::DTYPE`] for elements of another type; the tensor was used up then, and the
    /// error has none.
    #[track_caller]
    pub fn from_dlpack(tensor: DlpackTensor) -> std::result::Result<Array<T>, Refused<Option<DlpackTensor>>> {
        site(Location::caller());
        // SAFETY: a tensor, which begins with these fields in every version.
        let version = unsafe { (*tensor.as_raw().cast::<Head>()).version };
        if version[0] != MAJOR_VERSION {
            // The library would call its deleter.
            let text = format!("tenure_rs: a tensor of version {}.{}, not {MAJOR_VERSION}.x", version[0], version[1]);
            return Err(Refused::new(Error::new(Status::UNSUPPORTED, text), Some(tensor)));
        }
        let made = Handle::make(|out| {
            // SAFETY: a tensor by the promise of `DlpackTensor`, and a place for the array.
            unsafe {
                sys::tn_array_import_dlpack_versioned(tensor.as_raw(), sys::TN_REQUIRE_BORROW, out, ptr::null_mut())
            }
        });
        match made {
            Ok(handle) => {
                // The library owns the tensor now.
                let _ = tensor.into_raw();
                Array::checked(handle).map_err(|refused| Refused::new(refused.error, None))
            }
            Err(error) => Err(Refused::new(error, Some(tensor))),
        }
    }
}
