//! The Python package's native half: `tenure._tenure`, a module over the C API of the `libtenure.so.0` that lies
//! beside it.
//!
//! Contract: nothing of the library is linked in; every call goes through the shared object, so that a handle made
//! here is the same handle in C code of the same process. What is hot is here, what is plain data or a class of
//! exceptions is Python (`python/tenure/`). Layers, down only: `types`, `ffi_generated` < `api` < `errors`, `site`,
//! `convert` < `array` and the rest.

#[path = "../../../src/types.rs"]
#[allow(missing_docs, dead_code)]
mod types;

#[rustfmt::skip]
#[allow(dead_code)]
mod ffi_generated;

mod api;
mod array;
mod arrow;
mod borrow;
mod buffer;
mod convert;
mod create;
mod device;
mod dlpack;
mod door;
mod errors;
mod exchange;
mod expr;
mod extent;
mod import;
mod index;
mod interface;
mod numpy;
mod pool;
mod pressure;
mod promise;
mod report;
mod runner;
mod safetensors;
mod site;
mod stream;
mod takes;
mod text;
mod views;

/// The native half of the package.
#[pyo3::pymodule]
mod _tenure {
    use crate::{api, types};
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::array::Array;
    #[pymodule_export]
    use crate::arrow::from_arrow;
    #[pymodule_export]
    use crate::borrow::{Borrow, DeviceView, access};
    #[pymodule_export]
    use crate::buffer::Proxy;
    #[pymodule_export]
    use crate::create::{array, empty, empty_like, full, ones, ones_like, open_npy, save_npy, zeros, zeros_like};
    #[pymodule_export]
    use crate::device::{_device_count, _device_info, _register, _synchronize, _to_device};
    #[pymodule_export]
    use crate::dlpack::{_reads, from_dlpack};
    #[pymodule_export]
    use crate::expr::{Expr, diagonal, lazy, lower};
    #[pymodule_export]
    use crate::import::{_ending, asarray, from_buffer};
    #[pymodule_export]
    use crate::index::Items;
    #[pymodule_export]
    use crate::interface::set_array_interface;
    #[pymodule_export]
    use crate::numpy::{_numpy_get, _numpy_handler, _numpy_set};
    #[pymodule_export]
    use crate::pool::{Pool, current_pool, default_pool};
    #[pymodule_export]
    use crate::promise::{Promise, Weak, clone_handle, from_handle, give, take};
    #[pymodule_export]
    use crate::report::{
        _report_json, _stays, NoCopies, check, copies, holders_of, leaks, option, owner_of, run_releases,
    };

    #[pymodule_export]
    use crate::runner::Runner;

    #[pymodule_export]
    use crate::safetensors::open_safetensors;

    #[pymodule_export]
    use crate::stream::{_current_stream, _event, _external_stream, _stream, Event, Stream};

    #[pymodule_export]
    use crate::takes::{_calibrate, _enter};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::door::install(module.py())
    }

    /// The versions (major << 16 | minor << 8 | patch) of the library that runs and of the header we were built with.
    #[pyfunction]
    fn _versions() -> (u32, u32) {
        (api::version(), types::TN_VERSION)
    }

    /// The file that the library was loaded from; None where the loader does not say.
    #[pyfunction]
    fn _library() -> Option<std::path::PathBuf> {
        api::library()
    }
}
