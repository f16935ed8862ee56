//! The Python package's native half: `tenure._tenure`, a module over the C API of the `libtenure.so.0` beside it.
//!
//! Contract: nothing of the library is linked in. Every call goes through the shared object, so a handle made here is
//! the same handle in C code of the same process. Hot code is here; plain result types and exception classes are Python
//! (`python/tenure/`).
//!
//! Layers, each uses only the ones below it, and no files depend on each other in a cycle
//! (`tests/repository/python_layers.rs`):
//!
//! | layer | what |
//! |---|---|
//! | `lib.rs` | the table of what Python sees |
//! | `operations` | indexing, views, NumPy's functions, files, devices, printing, lazy operators, functions, reports |
//! | `exchange` | buffers, DLPack, Arrow, `__array_interface__`: exports and imports |
//! | `elements` | borrows, single elements, new arrays |
//! | `handles` | classes that own one handle of the library: arrays, pools, streams, promises, expressions |
//! | `values` | Python's values to C's and back; buffers, NumPy arrays and files of other code |
//! | `base` | guards, exceptions, call sites, the interpreter's lock |
//! | `api` | each C function as a safe Rust function |
//! | `sys` | the declarations of the C header, the same file as in the Rust crate |

#[path = "../../rust/src/sys.rs"]
#[rustfmt::skip]
#[allow(dead_code)]
mod sys;

mod api;

mod base {
    pub mod errors;
    pub mod guard;
    pub mod interpreter;
    pub mod site;
}

mod values {
    pub mod buffer_fields;
    pub mod checked;
    pub mod convert;
    pub mod file;
    pub mod foreign_buffer;
    pub mod foreign_ndarray;
    pub mod json;
    pub mod numpy_api;
    pub mod owner;
}

mod handles {
    pub mod array;
    pub mod array_extra;
    pub mod expr;
    pub mod mirror;
    pub mod module;
    pub mod pool;
    pub mod pressure;
    pub mod promise;
    pub mod references;
    pub mod runner;
    pub mod stream;
    pub mod variable;
    pub mod weak;
}

mod elements {
    pub mod block_variables;
    pub mod borrow;
    pub mod create;
    pub mod device_view;
    pub mod element;
    pub mod ended_view;
    pub mod lent;
    pub mod mirror_borrow;
    pub mod on_stream;
    pub mod raw_borrow;
    pub mod scalars;
}

mod exchange {
    pub mod array_interface;
    pub mod arrow;
    pub mod asarray;
    pub mod borrow_api;
    pub mod buffer;
    pub mod cuda_array_interface;
    pub mod cudamat;
    pub mod dlpack;
    pub mod dlpack_fastcall;
    pub mod dlpack_table;
    pub mod dlpack_tensor;
    pub mod export_class;
    pub mod ipc;
    pub mod mirror;
    pub mod ndarray;
    pub mod ndarray_guard;
    pub mod rust_numpy;
}

mod operations {
    pub mod address_range;
    pub mod device;
    pub mod elementwise;
    pub mod events;
    pub mod forms;
    pub mod function;
    pub mod function_body;
    pub mod gpu_allocator;
    pub mod index;
    pub mod kernel;
    pub mod launch;
    pub mod lazy;
    pub mod npy;
    pub mod numpy_allocator;
    pub mod operators;
    pub mod parameter;
    pub mod report;
    pub mod safetensors;
    pub mod takes;
    pub mod text;
    pub mod ufunc;
    pub mod views;
}

/// The native half of the package.
#[pyo3::pymodule]
mod _tenure {
    use crate::{api, sys};
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::base::interpreter::_ending;

    #[pymodule_export]
    use crate::handles::array::Array;
    #[pymodule_export]
    use crate::handles::expr::Expr;
    #[pymodule_export]
    use crate::handles::mirror::Mirror;
    #[pymodule_export]
    use crate::handles::module::Module;
    #[pymodule_export]
    use crate::handles::pool::{Pool, current_pool, default_pool};
    #[pymodule_export]
    use crate::handles::promise::{Promise, clone_handle, from_handle, give, take};
    #[pymodule_export]
    use crate::handles::references::_calibrate;
    #[pymodule_export]
    use crate::handles::runner::Runner;
    #[pymodule_export]
    use crate::handles::stream::{_current_stream, _event, _external_stream, _stream, Event, Stream};
    #[pymodule_export]
    use crate::handles::variable::{_shared, SharedVariable};
    #[pymodule_export]
    use crate::handles::weak::Weak;

    #[pymodule_export]
    use crate::elements::borrow::{Borrow, access};
    #[pymodule_export]
    use crate::elements::create::{array, empty, empty_like, full, ones, ones_like, zeros, zeros_like};
    #[pymodule_export]
    use crate::elements::device_view::DeviceView;
    #[pymodule_export]
    use crate::elements::mirror_borrow::MirrorBorrow;
    #[pymodule_export]
    use crate::elements::raw_borrow::{_borrow, RawBorrow};

    #[pymodule_export]
    use crate::exchange::array_interface::set_array_interface;
    #[pymodule_export]
    use crate::exchange::arrow::from_arrow;
    #[pymodule_export]
    use crate::exchange::asarray::{asarray, from_buffer};
    #[pymodule_export]
    use crate::exchange::borrow_api::{_guard_ndarray, OpenGuard};
    #[pymodule_export]
    use crate::exchange::buffer::Proxy;
    #[pymodule_export]
    use crate::exchange::cuda_array_interface::{_lend, Lent, from_cuda_array_interface};
    #[pymodule_export]
    use crate::exchange::cudamat::{_from_cudamat, _lend_cudamat};
    #[pymodule_export]
    use crate::exchange::dlpack::{_reads, from_dlpack};
    #[pymodule_export]
    use crate::exchange::dlpack_tensor::set_dlpack_label;
    #[pymodule_export]
    use crate::exchange::ipc::{_end_offer, _export_ipc, _import_ipc, _offer_ipc};
    #[pymodule_export]
    use crate::exchange::rust_numpy::{_last_refusal, _publish_borrows};

    #[pymodule_export]
    use crate::operations::device::{_device_count, _device_info, _register, _synchronize, _to_device};
    #[pymodule_export]
    use crate::operations::elementwise::_new_like;
    #[pymodule_export]
    use crate::operations::events::{_events_query, _events_save, _events_start, _events_stop};
    #[pymodule_export]
    use crate::operations::function::{_function, Function};
    #[pymodule_export]
    use crate::operations::gpu_allocator::{_gpu_allocate, _gpu_deallocate};
    #[pymodule_export]
    use crate::operations::index::Items;
    #[pymodule_export]
    use crate::operations::kernel::Kernel;
    #[pymodule_export]
    use crate::operations::launch::{Configured, block_layout, launch};
    #[pymodule_export]
    use crate::operations::lazy::{_matrix, Inverse, diagonal, lazy, lower, upper};
    #[pymodule_export]
    use crate::operations::npy::{open_npy, save_npy};
    #[pymodule_export]
    use crate::operations::numpy_allocator::{_numpy_get, _numpy_handler, _numpy_set};
    #[pymodule_export]
    use crate::operations::report::{
        _report, _report_html, _report_json, _stays, NoCopies, check, copies, holders_of, leaks, option, owner_of,
        run_releases,
    };
    #[pymodule_export]
    use crate::operations::safetensors::open_safetensors;
    #[pymodule_export]
    use crate::operations::takes::_enter;
    #[pymodule_export]
    use crate::operations::ufunc::{_checked, _copied, _run};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::operations::events::find();
        module.add("_borrow_api", crate::exchange::borrow_api::capsule(module.py())?)?;
        crate::exchange::dlpack_fastcall::install(module.py())
    }

    /// The versions (major << 16 | minor << 8 | patch) of the library that runs and of the header that this module was
    /// built with.
    #[pyfunction]
    fn _versions() -> (u32, u32) {
        (api::version(), sys::TN_VERSION)
    }

    /// The file that the library was loaded from; None where the loader does not say.
    #[pyfunction]
    fn _library() -> Option<std::path::PathBuf> {
        api::library()
    }
}
