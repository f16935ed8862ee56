//! `__array_interface__` of host arrays, offered only after `tenure.set_array_interface(True)` (CA-29).
//!
//! Contract: the interface has no release, so a reader may keep the address without limit. The first read opens a
//! shared view, which ends when the handle is released or at `end_exports`. While it is off the attribute does not
//! exist: a debugger that reads all attributes would prevent reuse in place.

use crate::api::{self, Id};
use crate::base::{errors, site};
use crate::exchange::buffer::Proxy;
use crate::exchange::export_class::{self, Class};
use crate::handles::array::Array;
use crate::sys::*;
use crate::values::convert::kind;
use core::sync::atomic::{AtomicBool, Ordering};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::PoisonError;

static OFFERED: AtomicBool = AtomicBool::new(false);

/// Turns `__array_interface__` of arrays on or off; it is off at first.
///
/// It is for consumers that know neither buffers nor DLPack. It has no release: once it was read, the array stays
/// exported until it is released or `x.end_exports()` is called. Until then it is not overwritten in place.
///
/// >>> tenure.set_array_interface(True)
/// >>> x.__array_interface__["typestr"]
/// '<f8'
/// >>> x.end_exports()
/// >>> tenure.set_array_interface(False)
#[pyfunction]
pub fn set_array_interface(on: bool) {
    OFFERED.store(on, Ordering::Relaxed);
}

/// The typestr of an element type. None: NumPy has none.
pub fn typestr(dtype: tn_dtype) -> Option<String> {
    let entry = kind(dtype);
    entry.format?;
    let letter = match dtype & 0xff {
        TN_CODE_BOOL => 'b',
        TN_CODE_INT => 'i',
        TN_CODE_UINT => 'u',
        TN_CODE_COMPLEX => 'c',
        _ => 'f',
    };
    let order = if entry.item_bytes == 1 { '|' } else { '<' };
    Some(format!("{order}{letter}{}", entry.item_bytes))
}

fn absent(why: &str) -> PyErr {
    PyAttributeError::new_err(format!("'__array_interface__' is not offered: {why}"))
}

/// The typestr of an array, if the interface is on.
fn check(array: &Array) -> PyResult<String> {
    if !OFFERED.load(Ordering::Relaxed) {
        return Err(absent("tenure.set_array_interface(True) turns it on; buffers and DLPack work without it"));
    }
    typestr(array.dtype()).ok_or_else(|| absent("NumPy does not have this element type; use x.view(\"uint16\")"))
}

/// Opens an export of a class; a read-only one where a shared view is refused.
fn open(array: &Array, class: Class) -> PyResult<(Id, tn_view_info, bool)> {
    let id = array.id()?;
    Python::attach(|py| export_class::open(py, id, class, true)).map_err(errors::exporting)
}

fn dict<'py>(py: Python<'py>, typestr: &str, view: &tn_view_info, readonly: bool) -> PyResult<Bound<'py, PyDict>> {
    // SAFETY: both have ndim entries while the guard of the view is open.
    let axes = unsafe { axes_of(view.ndim, view.shape, view.strides) };
    let item_bytes = kind(view.dtype).item_bytes as i64;
    interface(py, Described { typestr, data: view.data as u64, readonly, axes, item_bytes })
}

/// What the interfaces of NumPy and of CUDA say alike.
pub struct Described<'a> {
    pub typestr: &'a str,
    pub data: u64,
    pub readonly: bool,
    /// Lengths, and strides in bytes.
    pub axes: Vec<(i64, i64)>,
    pub item_bytes: i64,
}

/// Lengths and strides of a view.
///
/// # Safety
/// - Both lists have `ndim` numbers.
pub unsafe fn axes_of(ndim: i32, shape: *const i64, strides: *const i64) -> Vec<(i64, i64)> {
    // SAFETY: by this function's list.
    (0..ndim as usize).map(|i| unsafe { (*shape.add(i), *strides.add(i)) }).collect()
}

/// The dictionary of an interface.
pub fn interface<'py>(py: Python<'py>, is: Described<'_>) -> PyResult<Bound<'py, PyDict>> {
    let Described { typestr, data, readonly, axes, item_bytes } = is;
    let empty = axes.iter().any(|(length, _)| *length == 0);
    let mut dense = item_bytes;
    let c_order = axes.iter().rev().all(|&(length, stride)| {
        let fits = length == 1 || stride == dense;
        dense = dense.saturating_mul(length);
        fits
    });
    let interface = PyDict::new(py);
    interface.set_item("shape", PyTuple::new(py, axes.iter().map(|a| a.0))?)?;
    interface.set_item("typestr", typestr)?;
    interface.set_item("data", (if empty { 0 } else { data }, readonly))?;
    if empty || c_order {
        interface.set_item("strides", py.None())?;
    } else {
        interface.set_item("strides", PyTuple::new(py, axes.iter().map(|a| a.1))?)?;
    }
    interface.set_item("version", 3)?;
    Ok(interface)
}

/// Keeps the export behind an interface that was read until the handle is released or `end_exports` is called. Exported
/// bytes do not move, so one export for each address suffices, also after the array moved to others.
pub fn keep(array: &Array, address: u64, guard: Id, keeps: bool) {
    let mut exports = array.extra().interface_exports.lock().unwrap_or_else(PoisonError::into_inner);
    // An array without elements has nothing to keep.
    if !keeps || address == 0 || exports.iter().any(|(known, _)| *known == address) {
        drop(exports);
        let _ = api::borrow_end(guard, 0);
    } else {
        exports.push((address, guard));
    }
}

/// The interface of an array, which stays exported.
fn exported<'py>(py: Python<'py>, array: &Array, reads: bool) -> PyResult<Bound<'py, PyDict>> {
    let typestr = check(array)?;
    let _site = site::here(py);
    let (guard, view, readonly) = open(array, Class::Default)?;
    let interface = dict(py, &typestr, &view, reads || readonly);
    keep(array, view.data as u64, guard, interface.is_ok());
    interface
}

#[pymethods]
impl Array {
    #[getter(__array_interface__)]
    fn array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        exported(py, self, false)
    }

    /// Ends the shared views that reading `__array_interface__` and `__cuda_array_interface__` opened. Call it when no
    /// code uses the addresses any more. Exports by buffers and DLPack end by themselves.
    fn end_exports(&self) {
        self.end_interface_exports();
    }
}

#[pymethods]
impl Proxy {
    #[getter(__array_interface__)]
    fn array_interface<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let array = self.array();
        if self.class() == Class::ReadOnly {
            return exported(py, array, true);
        }
        let typestr = check(array)?;
        let _site = site::here(py);
        // The export is exclusive as long as this object exists, so a second read would conflict with the first one's
        // export.
        self.end_interface_export();
        let (guard, view, _) = open(array, Class::Exclusive)?;
        self.set_interface_export(guard);
        dict(py, &typestr, &view, false)
    }

    /// Ends the export that reading an array interface of this object opened.
    fn end_exports(&self) {
        self.end_interface_export();
        if self.class() == Class::ReadOnly {
            self.array().end_interface_exports();
        }
    }
}
