//! `__array_interface__`, for consumers that know neither buffers nor DLPack (PY-15, CA-29).
//!
//! Contract: the protocol has no release, so that a look is enough to take the bytes: it is off until
//! `tenure.set_array_interface(True)`. A look then opens one shared view (of a read-only array a read-only one) that
//! the object holds until `end_exports`, `release` or its end, also past a take of the array; another look at the same
//! bytes opens none. An array that copy on write moved elsewhere in between keeps the old view too: somebody may use it.

use crate::api::{self, Id};
use crate::array::Array;
use crate::buffer::{self, Class};
use crate::convert;
use crate::errors;
use crate::site;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

static OFFERED: AtomicBool = AtomicBool::new(false);

/// A view that was opened by a look.
struct View {
    guard: Id,
    data: u64,
}

/// The views that looks at one array opened. All bits zero is a value of it: none.
pub struct Views(AtomicPtr<Vec<View>>);

impl Views {
    /// The list, which is the caller's until it puts it back: nobody else sees it, whatever runs meanwhile.
    fn take(&self) -> Vec<View> {
        let list = self.0.swap(null_mut(), Ordering::AcqRel);
        // SAFETY: only `put` stores pointers, each from a box, and the swap took this one out.
        if list.is_null() { Vec::new() } else { *unsafe { Box::from_raw(list) } }
    }

    fn put(&self, list: Vec<View>) {
        let more = self.0.swap(Box::into_raw(Box::new(list)), Ordering::AcqRel);
        if !more.is_null() {
            // Another look came in between: both lists stay.
            let mut all = self.take();
            // SAFETY: as in `take`.
            all.append(&mut *unsafe { Box::from_raw(more) });
            self.put(all);
        }
    }

    /// Ends them.
    pub fn end(&self) {
        for view in self.take() {
            // An open view ends; a status here would mean that C code ended it, and then it is ended.
            let _ = api::borrow_end(view.guard, 0);
        }
    }
}

impl Drop for Views {
    fn drop(&mut self) {
        self.end();
    }
}

/// Turns `__array_interface__` of all arrays on or off; it is off in the beginning, because the protocol has no release:
/// any look at the attribute (a debugger, tab completion) opens a view that stays until `x.end_exports()`.
#[pyfunction]
pub fn set_array_interface(on: bool) {
    OFFERED.store(on, Ordering::Relaxed);
}

#[pymethods]
impl Array {
    /// Address, shape and type for consumers that know no buffers, where `tenure.set_array_interface(True)` turned it
    /// on. The first look opens a shared view that stays until `end_exports()`, `release()` or the object's end.
    #[getter(__array_interface__)]
    fn array_interface<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let this = slf.get();
        if !OFFERED.load(Ordering::Relaxed) {
            return Err(PyAttributeError::new_err(
                "arrays have __array_interface__ only after tenure.set_array_interface(True): it has no release; use \
                 numpy.asarray(x), the buffer protocol or DLPack",
            ));
        }
        let Ok(typestr) = convert::dtype_object(py, this.dtype())?.getattr("str") else {
            return Err(PyAttributeError::new_err(
                "__array_interface__ has no code for bfloat16; use x.view(\"uint16\")",
            ));
        };
        let _site = site::here(py);
        let (guard, info, readonly) = buffer::open(this.id()?, Class::Default, true).map_err(errors::exporting)?;
        let (data, axes) = (info.data as u64, 0..info.ndim as usize);
        // SAFETY: both have ndim entries, valid until the guard ends.
        let shape = PyTuple::new(py, axes.clone().map(|i| unsafe { *info.shape.add(i) }));
        // SAFETY: the same.
        let strides = PyTuple::new(py, axes.map(|i| unsafe { *info.strides.add(i) }));
        let mut views = this.views_of_looks().take();
        if data == 0 || views.iter().any(|view| view.data == data) {
            let _ = api::borrow_end(guard, 0);
        } else {
            views.push(View { guard, data });
        }
        if !views.is_empty() {
            this.views_of_looks().put(views);
        }
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("typestr", typestr)?;
        interface.set_item("shape", shape?)?;
        interface.set_item("strides", strides?)?;
        interface.set_item("data", (if data == 0 { buffer::nowhere() as u64 } else { data }, readonly))?;
        Ok(interface)
    }

    /// Ends the views that looks at `__array_interface__` opened: what they gave the addresses to must not use them any
    /// more. Twice is fine.
    fn end_exports(&self) {
        self.views_of_looks().end();
    }
}
