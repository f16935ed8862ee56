//! Arrays whose element type is known at run time only, and what needs no element type.

use crate::array::Array;
use crate::device::Device;
use crate::element::Element;
use crate::error::{Error, Refused, Result, Status, check};
use crate::guard::count;
use crate::handle::{Handle, site};
use crate::sys;
use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::panic::Location;
use std::path::Path;
use std::ptr;

/// An element type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dtype(sys::tn_dtype);

impl Dtype {
    /// The number of `T`.
    pub const fn of<T: Element>() -> Dtype {
        Dtype(T::DTYPE)
    }

    /// The number of the C interface: `sys::TN_F64`.
    pub const fn code(self) -> sys::tn_dtype {
        self.0
    }
}

/// The name in the library's messages: "float64".
impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0 >> 8 & 0xff;
        match self.0 & 0xff {
            sys::TN_CODE_BOOL => f.write_str("bool"),
            sys::TN_CODE_INT => write!(f, "int{bits}"),
            sys::TN_CODE_UINT => write!(f, "uint{bits}"),
            sys::TN_CODE_FLOAT => write!(f, "float{bits}"),
            sys::TN_CODE_BFLOAT => write!(f, "bfloat{bits}"),
            sys::TN_CODE_COMPLEX => write!(f, "complex{bits}"),
            _ => write!(f, "{:#x}", self.0),
        }
    }
}

impl fmt::Debug for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An array whose element type is known at run time only. [`Array`] is one whose type is checked: each is made of the
/// other by `From` and `TryFrom`, which copy no element.
///
/// ```
/// # use tenure_rs::{Array, Dtype, DynArray};
/// let array = DynArray::from(Array::<f32>::ones([2])?);
/// assert_eq!(array.dtype(), Dtype::of::<f32>());
/// let refused = Array::<f64>::try_from(array).unwrap_err();
/// assert_eq!(refused.error.message(), "tenure_rs: the elements are float32, not float64");
/// assert_eq!(Array::<f32>::try_from(refused.value)?.to_vec()?, [1.0, 1.0]);
/// # Ok::<(), tenure_rs::Error>(())
/// ```
pub struct DynArray {
    handle: Handle<sys::tn_array>,
    dtype: Dtype,
    shape: Box<[usize]>,
}

/// A file is read into memory of the current pool.
const COPIED: sys::tn_npy_options = sys::tn_npy_options {
    size: size_of::<sys::tn_npy_options>(),
    mode: sys::TN_NPY_COPY,
    fd: -1,
    pool: ptr::null_mut(),
    max_header_bytes: 0,
};

/// C's text of a path or name.
fn c_text(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| {
        let text = String::from_utf8_lossy(bytes);
        Error::new(Status::INVALID, format!("tenure_rs: {text:?} has a zero byte"))
    })
}

/// An error of the system, in reading a file.
pub(crate) fn failed(error: io::Error) -> Error {
    Error::new(Status::IO, format!("tenure_rs: {error}"))
}

/// Constructors.
impl DynArray {
    /// Reads a `.npy` file into memory of the current pool, whatever its elements are.
    ///
    /// # Errors
    /// [`Status::IO`], and [`Status::DTYPE`] for elements that the library does not have.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> Result<DynArray> {
        site(Location::caller());
        let path = c_text(path.as_ref().as_os_str().as_bytes())?;
        // SAFETY: a text, options of their size, and a place for the handle.
        DynArray::made(|out| unsafe { sys::tn_array_open_npy(path.as_ptr(), &COPIED, out) })
    }

    /// As [`open`](DynArray::open), of an open file, from its position on. That then stands behind the array, where
    /// another one may begin.
    #[track_caller]
    pub fn from_file(mut file: &File) -> Result<DynArray> {
        site(Location::caller());
        let (array, end) = DynArray::read(file)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(array)
    }

    /// The array at a file's position, which stays, and the offset of the end of its bytes.
    pub(crate) fn read(mut file: &File) -> Result<(DynArray, u64)> {
        let (offset, mut end) = (file.stream_position().map_err(failed)?, 0);
        let fd = file.as_raw_fd();
        // SAFETY: an open file, options of their size, and places for the end and the handle.
        let array = DynArray::made(|out| unsafe { sys::tn_array_open_npy_fd(fd, offset, &COPIED, &mut end, out) })?;
        Ok((array, end))
    }

    /// An array of a C handle, which this value releases. A NULL handle is [`Status::NULL`].
    ///
    /// # Errors
    /// The caller still owns the handle then.
    ///
    /// # Safety
    /// As of [`Array::from_raw`].
    pub unsafe fn from_raw(handle: *mut sys::tn_array) -> Result<DynArray> {
        let handle = Handle::adopt(handle).ok_or_else(|| Error::new(Status::NULL, "tenure_rs: the array is NULL"))?;
        DynArray::of(handle).map_err(|refused| {
            let _ = refused.value.into_raw();
            refused.error
        })
    }

    /// The handle, which the caller releases.
    pub fn into_raw(self) -> *mut sys::tn_array {
        self.handle.into_raw()
    }

    /// The array that a C call makes.
    pub(crate) fn made(call: impl FnOnce(*mut *mut sys::tn_array) -> sys::tn_status) -> Result<DynArray> {
        DynArray::of(Handle::make(call)?).map_err(Error::from)
    }

    /// The array of a handle.
    pub(crate) fn of(handle: Handle<sys::tn_array>) -> std::result::Result<DynArray, Refused<Handle<sys::tn_array>>> {
        let info = match query(handle.get()) {
            Ok(info) => info,
            Err(error) => return Err(Refused::new(error, handle)),
        };
        let shape = info.shape[..info.ndim as usize].iter().map(|length| *length as usize).collect();
        Ok(DynArray { handle, dtype: Dtype(info.dtype), shape })
    }

    pub(crate) fn into_handle(self) -> Handle<sys::tn_array> {
        self.handle
    }
}

/// What it is.
impl DynArray {
    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of axes.
    pub fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        count(&self.shape)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the bytes are.
    pub fn device(&self) -> Result<Device> {
        Ok(Device::from_raw(query(self.as_raw())?.device))
    }

    /// The name in messages and reports; empty without one.
    pub fn name(&self) -> Result<String> {
        let name = query(self.as_raw())?.name;
        let bytes = name.iter().take_while(|byte| **byte != 0).map(|byte| *byte as u8).collect();
        Ok(String::from_utf8(bytes).unwrap_or_default())
    }

    /// Sets the name, of which 63 bytes are kept.
    pub fn set_name(&self, name: &str) -> Result<()> {
        let name = c_text(name.as_bytes())?;
        // SAFETY: a text, which the call copies.
        check(unsafe { sys::tn_array_set_name(self.as_raw(), name.as_ptr()) })
    }

    /// Whether nobody else holds the bytes: no handle, promise, guard, export or expression.
    pub fn is_unique(&self) -> Result<bool> {
        let mut unique = 0;
        // SAFETY: a place for the answer.
        check(unsafe { sys::tn_array_is_unique(self.as_raw(), &mut unique) })?;
        Ok(unique != 0)
    }

    /// The handle, for calls of the C interface. This value still releases it.
    pub fn as_raw(&self) -> *mut sys::tn_array {
        self.handle.get()
    }

    /// Another handle on the same bytes. Both see what either writes.
    #[track_caller]
    pub fn try_clone(&self) -> Result<DynArray> {
        site(Location::caller());
        // SAFETY: a call on a handle, and a place for the clone.
        DynArray::made(|out| unsafe { sys::tn_array_clone(self.as_raw(), out) })
    }

    /// Writes a `.npy` file, which is at any time the old one or the complete new one.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = c_text(path.as_ref().as_os_str().as_bytes())?;
        // SAFETY: a text and no flag.
        check(unsafe { sys::tn_array_save_npy(self.as_raw(), path.as_ptr(), 0) })
    }
}

impl<T> From<Array<T>> for DynArray {
    fn from(array: Array<T>) -> DynArray {
        array.into_dyn()
    }
}

impl fmt::Debug for DynArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynArray").field("dtype", &self.dtype).field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// All properties of an array.
pub(crate) fn query(handle: *mut sys::tn_array) -> Result<sys::tn_array_info> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut info: sys::tn_array_info = unsafe { std::mem::zeroed() };
    info.size = size_of::<sys::tn_array_info>();
    // SAFETY: a struct of that size.
    check(unsafe { sys::tn_array_query(handle, &mut info) })?;
    Ok(info)
}
