//! DLPack's C exchange table, in both directions (DL-50 to DL-52). Consumers that know it get arrays without a call
//! into the interpreter. Where a producer's type has a table it is used in place of `__dlpack__`.
//!
//! Contract: the library owns the table; here are its functions that take Python objects. They are called with the
//! interpreter attached, set a Python exception exactly when they return non-zero, and never copy. A type's table is
//! looked up once; the results for the last types are cached.

use crate::api;
use crate::base::errors;
use crate::base::interpreter::guarded;
use crate::exchange::dlpack_tensor::{self, OwnedTensor};
use crate::exchange::export_class::Class;
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::kind;
use core::ffi::{CStr, c_int, c_void};
use core::ptr::null_mut;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyType, PyWeakrefMethods, PyWeakrefReference};
use std::sync::{Mutex, PoisonError};

const NAME: &CStr = c"dlpack_exchange_api";

type FromObject = unsafe extern "C" fn(*mut ffi::PyObject, *mut *mut c_void) -> c_int;

/// DLPackExchangeAPI, by DLPack's layout.
#[repr(C)]
struct Table {
    major: u32,
    minor: u32,
    previous: *mut Table,
    allocator: *mut c_void,
    from_object: Option<FromObject>,
    to_object: Option<unsafe extern "C" fn(*mut c_void, *mut *mut ffi::PyObject) -> c_int>,
    tensor_of_object: Option<unsafe extern "C" fn(*mut ffi::PyObject, *mut Tensor) -> c_int>,
    stream: *mut c_void,
}

/// DLTensor, by DLPack's layout.
#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: tn_device,
    ndim: i32,
    dtype: tn_dtype,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}

const _: () = assert!(size_of::<Table>() == 56 && size_of::<Tensor>() == 48);

/// The array that C passed.
///
/// # Safety
/// - `object` is NULL or a live object.
unsafe fn array_of<'py>(py: Python<'py>, object: *mut ffi::PyObject) -> PyResult<Bound<'py, Array>> {
    // SAFETY: by this function's list.
    let object = unsafe { Bound::from_borrowed_ptr_or_opt(py, object) };
    match object.map(Bound::cast_into::<Array>) {
        Some(Ok(array)) => Ok(array),
        Some(Err(error)) => Err(PyTypeError::new_err(format!(
            "tenure's exchange table takes a tenure.Array, not {}",
            error.into_inner().get_type().name()?
        ))),
        None => Err(PyTypeError::new_err("tenure's exchange table takes a tenure.Array, not NULL")),
    }
}

unsafe extern "C" fn from_object(object: *mut ffi::PyObject, out: *mut *mut c_void) -> c_int {
    guarded(|py| {
        // SAFETY: what the caller passes by DLPack's documentation.
        let array = unsafe { array_of(py, object)? };
        let made = dlpack_tensor::tensor(py, array.get(), Class::Default, &dlpack_tensor::alias(array.get())?, true)?;
        // SAFETY: writable by DLPack's documentation.
        unsafe { out.write(made) };
        Ok(())
    })
}

/// Takes ownership of the struct, also if the call fails.
unsafe extern "C" fn to_object(tensor: *mut c_void, out: *mut *mut ffi::PyObject) -> c_int {
    guarded(|py| {
        if tensor.is_null() {
            return Err(PyTypeError::new_err("tenure's exchange table takes a DLManagedTensorVersioned, not NULL"));
        }
        // SAFETY: the caller gave the struct away.
        let array = unsafe { OwnedTensor::own(tensor, true) }.import(py, None)?;
        // SAFETY: writable by DLPack's documentation.
        unsafe { out.write(array.into_ptr()) };
        Ok(())
    })
}

/// Describes an array that the caller keeps alive; nothing is held. The struct has no read-only flag.
unsafe extern "C" fn tensor_of_object(object: *mut ffi::PyObject, out: *mut Tensor) -> c_int {
    guarded(|py| {
        // SAFETY: what the caller passes by DLPack's documentation.
        let array = unsafe { array_of(py, object)? };
        let array = array.get();
        const LOOK: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_EXPORT_WRITABLE | TN_UNORDERED;
        // Opened and ended at once: the library decides whether a consumer may write there now.
        let (guard, view) = api::export_host(array.id()?, LOOK, 0).map_err(errors::exporting)?;
        let outcome = described(py, array, &view);
        let _ = api::borrow_end(guard, 0);
        // SAFETY: writable by DLPack's documentation.
        unsafe { out.write(outcome?) };
        Ok(())
    })
}

/// Describes a view; shape and strides live as long as the array object.
fn described(py: Python<'_>, array: &Array, view: &tn_view_info) -> PyResult<Tensor> {
    let ndim = view.ndim as usize;
    let item = kind(view.dtype).item_bytes as i64;
    let mut numbers = [0i64; 2 * TN_MAX_NDIM];
    let (mut dense, mut count) = (1i64, 1i64);
    for axis in (0..ndim).rev() {
        // SAFETY: both have ndim entries while the guard of the view is open.
        let (length, stride) = unsafe { (*view.shape.add(axis), *view.strides.add(axis)) };
        if length > 1 && stride % item != 0 {
            let text =
                format!("stride {stride} is not a multiple of the {item} bytes of an element, which DLPack counts in");
            return Err(errors::buffer_error(py, TN_ERR_LAYOUT, &text));
        }
        numbers[axis] = length;
        // As in an export, a length of 1 gets the stride of a contiguous array (DL-9).
        numbers[ndim + axis] = if length == 1 { dense } else { stride / item };
        dense = numbers[ndim + axis].saturating_mul(length.max(1));
        count = count.saturating_mul(length);
    }
    let numbers = array.extra().numbers(&numbers[..2 * ndim]);
    Ok(Tensor {
        data: if count == 0 { null_mut() } else { view.data },
        device: tn_device { r#type: TN_CPU, id: 0 },
        ndim: view.ndim,
        dtype: view.dtype,
        shape: numbers,
        strides: numbers.wrapping_add(ndim),
        byte_offset: 0,
    })
}

/// The capsule around the library's table, completed by the functions above.
fn capsule(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let slots = Table {
        major: 0,
        minor: 0,
        previous: null_mut(),
        allocator: null_mut(),
        from_object: Some(from_object),
        to_object: Some(to_object),
        tensor_of_object: Some(tensor_of_object),
        stream: null_mut(),
    };
    // SAFETY: a whole table with functions of this module, which Python never unloads.
    let table = unsafe { api::exchange_table((&raw const slots).cast())? };
    // SAFETY: attached, a static name, memory that lives until the process ends; a new reference or NULL.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyCapsule_New(table.cast_mut().cast(), NAME.as_ptr(), None)) }
}

#[pymethods]
impl Array {
    #[classattr]
    fn __dlpack_c_exchange_api__(py: Python<'_>) -> PyResult<Py<PyAny>> {
        capsule(py).map(Bound::unbind)
    }
}

/// The cached result for a type.
struct TypeEntry {
    /// The type's address, and a weak reference that shows whether it is still that type.
    address: usize,
    class: Py<PyWeakrefReference>,
    /// Makes structs of its objects. None: the type only has `__dlpack__`.
    from_object: Option<FromObject>,
    /// Some objects of the type are in states that only `__dlpack__` refuses.
    asks_first: bool,
}

/// Number of cached types.
const CACHED_TYPES: usize = 16;

/// The cache, and the entry to replace next.
struct TypeCache {
    known: Vec<TypeEntry>,
    oldest: usize,
}

static CACHE: Mutex<TypeCache> = Mutex::new(TypeCache { known: Vec::new(), oldest: 0 });

/// The function of the type's table with the newest known major version.
fn look_up(class: &Bound<'_, PyType>) -> Option<FromObject> {
    let capsule = class.getattr(pyo3::intern!(class.py(), "__dlpack_c_exchange_api__")).ok()?;
    let capsule = capsule.cast_into::<PyCapsule>().ok()?.as_ptr();
    // SAFETY: attached, a capsule. By its name it holds a table that lives until the process ends, and whose first
    // fields are equal in every version.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, NAME.as_ptr()) == 0 {
            return None;
        }
        let mut table = ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr()).cast::<Table>();
        while let Some(this) = table.as_ref() {
            if this.major == 1 {
                return this.from_object;
            }
            table = this.previous;
        }
    }
    None
}

/// The function that makes structs of a type's objects, and whether their state must be checked first.
fn of_type(class: &Bound<'_, PyType>) -> (Option<FromObject>, bool) {
    let find = |cache: &TypeCache| {
        let address = class.as_ptr() as usize;
        let known = cache.known.iter().find(|known| known.address == address)?;
        // Another type may have the address of one that ended.
        known.class.bind(class.py()).upgrade()?;
        Some((known.from_object, known.asks_first))
    };
    // Only a panic in a comparison could poison the lock; the entries stay valid.
    if let Some(found) = find(&CACHE.lock().unwrap_or_else(PoisonError::into_inner)) {
        return found;
    }
    // Outside the lock: the lookup may run Python code.
    let from_object = look_up(class);
    let asks_first = from_object.is_some()
        && ["requires_grad", "is_conj", "is_neg"].iter().all(|name| class.hasattr(*name).unwrap_or(false));
    if let Ok(weak) = PyWeakrefReference::new(class) {
        let fresh = TypeEntry { address: class.as_ptr() as usize, class: weak.unbind(), from_object, asks_first };
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = cache.known.iter().position(|known| known.address == fresh.address);
        if ended.is_none() && cache.known.len() < CACHED_TYPES {
            cache.known.push(fresh);
        } else {
            let at = ended.unwrap_or(cache.oldest);
            cache.oldest = (cache.oldest + 1) % CACHED_TYPES;
            cache.known[at] = fresh;
        }
    }
    (from_object, asks_first)
}

/// Whether a PyTorch tensor's memory holds its values, and gradients need not notice writes. PyTorch's table exports
/// tensors without these checks (a conjugate or negative may not be computed yet). Its `__dlpack__` refuses them,
/// except negatives, which are refused here.
fn is_plain(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    if object.call_method0(pyo3::intern!(py, "is_neg"))?.is_truthy()? {
        return Err(PyBufferError::new_err(
            "the tensor's memory holds the negatives of its values (is_neg()); import tensor.resolve_neg() instead",
        ));
    }
    Ok(!object.getattr(pyo3::intern!(py, "requires_grad"))?.is_truthy()?
        && !object.call_method0(pyo3::intern!(py, "is_conj"))?.is_truthy()?)
}

/// The object's struct, by its type's table. None: call `__dlpack__`, which also reports why not.
pub fn struct_of(object: &Bound<'_, PyAny>) -> PyResult<Option<OwnedTensor>> {
    let (Some(from_object), asks_first) = of_type(&object.get_type()) else { return Ok(None) };
    if asks_first {
        match is_plain(object) {
            Ok(true) => {}
            Err(error) if error.is_instance_of::<PyBufferError>(object.py()) => return Err(error),
            // Some wrappers have no such methods (PyTorch's read-only one).
            Ok(false) | Err(_) => return Ok(None),
        }
    }
    let mut tensor = null_mut();
    // SAFETY: attached, an object of the type that has the table, a writable output.
    let failed = unsafe { from_object(object.as_ptr(), &mut tensor) } != 0;
    if failed || tensor.is_null() {
        drop(PyErr::take(object.py()));
        return Ok(None);
    }
    // SAFETY: a struct that the table's function gave us.
    let tensor = unsafe { OwnedTensor::own(tensor, true) };
    // The table orders nothing. `__dlpack__` makes our stream wait for the producer's.
    Ok(Some(tensor).filter(|tensor| !tensor.is_on_device()))
}
