//! DLPack's C exchange table, both ways (DL-50 to DL-52): consumers that know it get our arrays with no call into the
//! interpreter, and where a producer's type has one it is used in place of `__dlpack__`.
//!
//! Contract: the table itself is the library's; here are its functions that take Python objects. They are called with
//! the interpreter attached, set a Python exception exactly when they return non-zero, and never copy. What a type
//! offers is looked up on the type, once; the answers for the types seen last are kept.

use crate::api;
use crate::base::errors;
use crate::base::interpreter::guarded;
use crate::exchange::dlpack_tensor::{self, OwnedTensor};
use crate::exchange::export_class::Class;
use crate::handles::array::Array;
use crate::types::*;
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
        let made = dlpack_tensor::tensor(py, array.get(), Class::Default, &dlpack_tensor::alias(), true)?;
        // SAFETY: writable by DLPack's documentation.
        unsafe { out.write(made) };
        Ok(())
    })
}

/// The struct is ours from the call on, whether that works or not.
unsafe extern "C" fn to_object(tensor: *mut c_void, out: *mut *mut ffi::PyObject) -> c_int {
    guarded(|py| {
        if tensor.is_null() {
            return Err(PyTypeError::new_err("tenure's exchange table takes a DLManagedTensorVersioned, not NULL"));
        }
        // SAFETY: a struct that the caller gave away.
        let array = unsafe { OwnedTensor::own(tensor, true) }.import(py, None)?;
        // SAFETY: writable by DLPack's documentation.
        unsafe { out.write(array.into_ptr()) };
        Ok(())
    })
}

/// Describes an array that the caller keeps alive; nothing is held. The format cannot say "read-only".
unsafe extern "C" fn tensor_of_object(object: *mut ffi::PyObject, out: *mut Tensor) -> c_int {
    guarded(|py| {
        // SAFETY: what the caller passes by DLPack's documentation.
        let array = unsafe { array_of(py, object)? };
        let array = array.get();
        const LOOK: u32 = TN_BORROW | TN_REQUIRE_BORROW | TN_EXPORT_WRITABLE | TN_UNORDERED;
        // Opened and ended at once: whether a consumer may write there now is the library's to say.
        let (guard, view) = api::export_host(array.id()?, LOOK, 0).map_err(errors::exporting)?;
        let outcome = described(py, array, &view);
        let _ = api::borrow_end(guard, 0);
        // SAFETY: writable by DLPack's documentation.
        unsafe { out.write(outcome?) };
        Ok(())
    })
}

/// The struct of a view; shape and strides live as long as the array object.
fn described(py: Python<'_>, array: &Array, view: &tn_view_info) -> PyResult<Tensor> {
    let ndim = view.ndim as usize;
    let item = kind(view.dtype).3 as i64;
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
        // As an export has it: a length of 1 gets the stride that contiguity would give it (DL-9).
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

/// The capsule around the library's table, which our functions complete.
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
    // SAFETY: a whole table whose functions are this module's, which Python never unloads.
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

/// What is known of a type.
struct Known {
    /// The type's address, and whether it is still that type.
    address: usize,
    class: Py<PyWeakrefReference>,
    /// By which its objects become structs; None: `__dlpack__` is all it has.
    from_object: Option<FromObject>,
    /// Its objects have states that only `__dlpack__` refuses.
    asks_first: bool,
}

/// So many types are remembered; more are looked up again.
const REMEMBERED: usize = 16;

/// What is known, and whom to forget next.
struct Memo {
    known: Vec<Known>,
    oldest: usize,
}

static MEMO: Mutex<Memo> = Mutex::new(Memo { known: Vec::new(), oldest: 0 });

/// What the table of the type's own says, of the newest major version that we know.
fn look_up(class: &Bound<'_, PyType>) -> Option<FromObject> {
    let capsule = class.getattr(pyo3::intern!(class.py(), "__dlpack_c_exchange_api__")).ok()?;
    let capsule = capsule.cast_into::<PyCapsule>().ok()?.as_ptr();
    // SAFETY: attached, a capsule; by its name it holds a table, whose first fields are the same in every version and
    // which lives until the process ends.
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

/// By which an object of this type becomes a struct, and whether its state must be asked first.
fn of_type(class: &Bound<'_, PyType>) -> (Option<FromObject>, bool) {
    let find = |memo: &Memo| {
        let address = class.as_ptr() as usize;
        let known = memo.known.iter().find(|known| known.address == address)?;
        // Another type may have come to the address of one that ended.
        known.class.bind(class.py()).upgrade()?;
        Some((known.from_object, known.asks_first))
    };
    // Poison would be a panic of a comparison: what is in there stays true.
    if let Some(found) = find(&MEMO.lock().unwrap_or_else(PoisonError::into_inner)) {
        return found;
    }
    // Outside the lock: looking up may run Python code.
    let from_object = look_up(class);
    let asks_first = from_object.is_some()
        && ["requires_grad", "is_conj", "is_neg"].iter().all(|name| class.hasattr(*name).unwrap_or(false));
    if let Ok(weak) = PyWeakrefReference::new(class) {
        let fresh = Known { address: class.as_ptr() as usize, class: weak.unbind(), from_object, asks_first };
        let mut memo = MEMO.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = memo.known.iter().position(|known| known.address == fresh.address);
        if ended.is_none() && memo.known.len() < REMEMBERED {
            memo.known.push(fresh);
        } else {
            let at = ended.unwrap_or(memo.oldest);
            memo.oldest = (memo.oldest + 1) % REMEMBERED;
            memo.known[at] = fresh;
        }
    }
    (from_object, asks_first)
}

/// PyTorch's table hands tensors out as their memory is, also where that is not what they mean (a conjugate or negative
/// that was not computed yet) and where gradients would not notice our writes. Its `__dlpack__` refuses these, but for
/// the negative, which only we can.
fn is_plain(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    if object.call_method0(pyo3::intern!(py, "is_neg"))?.is_truthy()? {
        return Err(PyBufferError::new_err(
            "the tensor's memory holds the negative of its values (is_neg()); import tensor.resolve_neg()",
        ));
    }
    Ok(!object.getattr(pyo3::intern!(py, "requires_grad"))?.is_truthy()?
        && !object.call_method0(pyo3::intern!(py, "is_conj"))?.is_truthy()?)
}

/// The object's struct by its type's table; None where `__dlpack__` has to be asked, which then also says why not.
pub fn struct_of(object: &Bound<'_, PyAny>) -> PyResult<Option<OwnedTensor>> {
    let (Some(from_object), asks_first) = of_type(&object.get_type()) else { return Ok(None) };
    if asks_first {
        match is_plain(object) {
            Ok(true) => {}
            Err(error) if error.is_instance_of::<PyBufferError>(object.py()) => return Err(error),
            // Or it does not even say (PyTorch's read-only wrapper).
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
    Ok(Some(unsafe { OwnedTensor::own(tensor, true) }))
}
