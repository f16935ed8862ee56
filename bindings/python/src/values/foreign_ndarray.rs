//! NumPy's own arrays, read by their C struct: their layout, and arrays on their bytes. Neither a buffer nor a capsule
//! is made for them.
//!
//! Contract: a [`ForeignNdarray`] is exactly a `numpy.ndarray` with one of the usual element types, and with the
//! strides that NumPy's buffers have: those of a contiguous array say nothing where an axis has one element or none.
//! [`NdarrayBytes`] are the bytes of any NumPy array, of subclasses and of all element types.
//! The fields of the struct are part of NumPy's stable interface. They are compared once with what Python code sees;
//! where they differ, no array is taken. Callers go the way of any other object for what is not taken. An import owns a
//! reference to the array until the library reports that nothing uses the bytes any more, on any thread.

use crate::api;
use crate::sys::*;
use crate::values::convert::{Dims, cached_objects, kind, known_dtype_of};
use crate::values::foreign_buffer::Layout;
use crate::values::numpy_api::WRITEABLE;
use crate::values::owner::keep_owner;
use core::ffi::{c_int, c_void};
use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use smallvec::SmallVec;

/// The beginning of `PyArrayObject_fields`.
#[repr(C)]
struct Fields {
    head: ffi::PyObject,
    data: *mut c_void,
    ndim: c_int,
    shape: *const i64,
    strides: *const i64,
    base: *mut ffi::PyObject,
    dtype: *mut ffi::PyObject,
    flags: c_int,
}

/// `NPY_ARRAY_C_CONTIGUOUS` and `NPY_ARRAY_F_CONTIGUOUS`
const C_CONTIGUOUS: c_int = 1;
const F_CONTIGUOUS: c_int = 2;
/// `NPY_ARRAY_WARN_ON_WRITE`: NumPy's buffers of such arrays are read-only.
const WARN_ON_WRITE: c_int = 1 << 31;

/// A NumPy array of other code.
pub struct ForeignNdarray<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    dtype: tn_dtype,
}

/// The bytes of a NumPy array of any class and element type.
pub struct NdarrayBytes<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    item_bytes: i64,
}

/// Whether arrays have the fields that this file expects.
fn is_known_struct(py: Python<'_>) -> bool {
    static KNOWN: PyOnceLock<bool> = PyOnceLock::new();
    *KNOWN.get_or_init(py, || compare(py).unwrap_or(false))
}

/// Compares the fields of a small array with its attributes.
fn compare(py: Python<'_>) -> PyResult<bool> {
    let numpy = cached_objects(py)?.numpy.bind(py);
    let whole = numpy.call_method1("zeros", ((3, 5), "float32"))?;
    let object = whole.call_method1("swapaxes", (0, 1))?;
    // SAFETY: attached. An array has its fields behind its head in every version of NumPy's interface, and more than
    // these.
    let fields = unsafe { &*object.as_ptr().cast::<Fields>() };
    let address: u64 = object.getattr("ctypes")?.getattr("data")?.extract()?;
    let is_writable = fields.flags & (WRITEABLE | WARN_ON_WRITE) == WRITEABLE;
    if fields.data as u64 != address || fields.ndim != 2 || !is_writable {
        return Ok(false);
    }
    let dtype = object.getattr("dtype")?;
    // SAFETY: with these data and axes the next fields are the two lists.
    let lists = unsafe { [*fields.shape, *fields.shape.add(1), *fields.strides, *fields.strides.add(1)] };
    if fields.dtype != dtype.as_ptr() || lists != [5, 3, 4, 20] {
        return Ok(false);
    }
    object.getattr("flags")?.setattr("writeable", false)?;
    // SAFETY: as above; read again, because NumPy changed it.
    Ok(unsafe { (*object.as_ptr().cast::<Fields>()).flags } & WRITEABLE == 0)
}

impl<'a, 'py> ForeignNdarray<'a, 'py> {
    /// The object, if it is an array of NumPy's own class with one of the usual element types.
    #[inline]
    pub fn of(object: &'a Bound<'py, PyAny>) -> Option<Self> {
        let py = object.py();
        let class = cached_objects(py).ok()?.ndarray.as_ptr();
        if object.get_type_ptr().cast() != class || !is_known_struct(py) {
            return None;
        }
        // SAFETY: attached; an array's element type is a live object.
        let dtype = unsafe { Bound::from_borrowed_ptr(py, (*object.as_ptr().cast::<Fields>()).dtype) };
        let dtype = known_dtype_of(&dtype).ok()??;
        let array = ForeignNdarray { object, dtype };
        array.has_usual_strides().then_some(array)
    }

    fn fields(&self) -> *const Fields {
        self.object.as_ptr().cast()
    }

    pub fn dtype(&self) -> tn_dtype {
        self.dtype
    }

    pub fn ndim(&self) -> i32 {
        // SAFETY: attached, an array of a known struct. Its fields are copied, because NumPy may change them.
        unsafe { (*self.fields()).ndim }
    }

    pub fn readonly(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.fields()).flags & (WRITEABLE | WARN_ON_WRITE) != WRITEABLE }
    }

    /// Length and stride of an axis.
    fn axis(&self, axis: usize) -> (i64, i64) {
        // SAFETY: as above; there is one of each for each axis.
        unsafe { (*(*self.fields()).shape.add(axis), *(*self.fields()).strides.add(axis)) }
    }

    /// Whether a contiguous array has the strides that follow from its shape.
    fn has_usual_strides(&self) -> bool {
        // SAFETY: as above.
        let flags = unsafe { (*self.fields()).flags };
        let n_axes = self.ndim() as usize;
        let mut expected = kind(self.dtype).item_bytes as i64;
        let mut is_usual = |axis: usize| {
            let (length, stride) = self.axis(axis);
            let is_usual = stride == expected;
            expected = expected.wrapping_mul(length);
            is_usual
        };
        if flags & C_CONTIGUOUS != 0 {
            (0..n_axes).rev().all(&mut is_usual)
        } else {
            flags & F_CONTIGUOUS == 0 || (0..n_axes).all(&mut is_usual)
        }
    }

    /// Whether address and strides are multiples of the element's size, as DLPack requires.
    pub fn counts_in_elements(&self) -> bool {
        let item = kind(self.dtype).item_bytes as i64;
        // SAFETY: as above.
        let address = unsafe { (*self.fields()).data } as i64;
        address % item == 0 && (0..self.ndim() as usize).all(|axis| self.axis(axis).1 % item == 0)
    }

    /// Makes an array on the bytes. It keeps the NumPy array alive until nothing uses them any more.
    pub fn import(&self, flags: u32) -> api::Result<api::Id> {
        let fields = self.fields();
        // SAFETY: as above. The lists live as long as the array, and NumPy replaces them only where Python code runs.
        let (data, layout) = unsafe {
            let layout = tn_layout {
                size: size_of::<tn_layout>(),
                dtype: self.dtype,
                ndim: (*fields).ndim,
                shape: (*fields).shape,
                strides: (*fields).strides,
                offset: 0,
            };
            ((*fields).data, layout)
        };
        keep_owner(self.object, |release, context| {
            // SAFETY: the reference keeps memory and lists until the release runs.
            unsafe { api::import_host(data, &layout, flags, release, context) }.map(|(id, _how)| id)
        })
    }
}

impl<'a, 'py> NdarrayBytes<'a, 'py> {
    /// The bytes of an object. None: it is no NumPy array.
    pub fn of(object: &'a Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let py = object.py();
        if !object.is_instance(cached_objects(py)?.ndarray.bind(py))? {
            return Ok(None);
        }
        if !is_known_struct(py) {
            return Err(PyImportError::new_err("this NumPy lays its arrays out in another way; use a newer Tenure"));
        }
        let item_bytes = object.getattr(pyo3::intern!(py, "itemsize"))?.extract()?;
        Ok(Some(NdarrayBytes { object, item_bytes }))
    }

    fn fields(&self) -> *const Fields {
        self.object.as_ptr().cast()
    }

    /// Whether NumPy refuses writes.
    pub fn readonly(&self) -> bool {
        // SAFETY: attached, an array of a known struct. Its fields are copied, because NumPy may change them.
        unsafe { (*self.fields()).flags & WRITEABLE == 0 }
    }

    /// What keeps the memory, for an array that does not own it.
    pub fn base(&self) -> Option<Bound<'py, PyAny>> {
        // SAFETY: attached; NULL or a live object.
        unsafe { Bound::from_borrowed_ptr_or_opt(self.object.py(), (*self.fields()).base) }
    }

    /// The address of element (0, .., 0), and the bytes of all elements as an array with one more axis. Where there is
    /// no room for one more, all bytes from the first to the last.
    pub fn layout(&self) -> (*mut c_void, Layout) {
        // SAFETY: attached, an array of a known struct, with one length and stride for each axis.
        let (data, axes) = unsafe {
            let fields = self.fields();
            let axes =
                (0..(*fields).ndim as usize).map(|axis| (*(*fields).shape.add(axis), *(*fields).strides.add(axis)));
            ((*fields).data, axes.collect::<SmallVec<[_; 8]>>())
        };
        if axes.len() == TN_MAX_NDIM {
            let (low, length) = self.range();
            return (low, Layout { dtype: TN_U8, shape: Dims::from_slice(&[length]), strides: Dims::from_slice(&[1]) });
        }
        let (mut shape, mut strides): (Dims, Dims) = axes.into_iter().unzip();
        shape.push(self.item_bytes);
        strides.push(1);
        (data, Layout { dtype: TN_U8, shape, strides })
    }

    /// The lowest address of an element, and the number of bytes from it to the end of the last one.
    pub fn range(&self) -> (*mut c_void, i64) {
        // SAFETY: as in `layout`.
        let (data, ndim) = unsafe { ((*self.fields()).data, (*self.fields()).ndim as usize) };
        let (mut low, mut high) = (0, self.item_bytes);
        for axis in 0..ndim {
            // SAFETY: as above.
            let (length, stride) = unsafe { (*(*self.fields()).shape.add(axis), *(*self.fields()).strides.add(axis)) };
            if length == 0 {
                return (data, 0);
            }
            // NumPy's arrays lie in the address space, so that nothing overflows.
            let last = (length - 1).wrapping_mul(stride);
            if last < 0 { low += last } else { high += last }
        }
        (data.wrapping_byte_offset(low as isize), high - low)
    }
}
