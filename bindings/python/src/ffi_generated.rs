//! Written by `cargo xtask header` from src/ffi: edit that.
#![allow(unused_imports, clippy::missing_safety_doc)]

use crate::types::*;
use core::ffi::{c_char, c_int, c_void};
#[allow(improper_ctypes)]
unsafe extern "C" {
    pub fn tn_version() -> u32;
    pub fn tn_status_name(status: tn_status) -> *const c_char;
    pub fn tn_last_error() -> *const c_char;
    pub fn tn_option_set(name: *const c_char, value: *const c_char) -> tn_status;
    pub fn tn_option_get(
        name: *const c_char,
        capacity: usize,
        text: *mut c_char,
        length: *mut usize,
    ) -> tn_status;
    pub fn tn_here(file: *const c_char, line: i32) -> tn_status;
    pub fn tn_run_releases(n_run: *mut usize) -> tn_status;
    pub fn tn_array_empty(
        pool: *mut tn_pool,
        dtype: tn_dtype,
        ndim: i32,
        shape: *const i64,
        options: *const tn_array_options,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_zeros(
        pool: *mut tn_pool,
        dtype: tn_dtype,
        ndim: i32,
        shape: *const i64,
        options: *const tn_array_options,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_full(
        pool: *mut tn_pool,
        dtype: tn_dtype,
        ndim: i32,
        shape: *const i64,
        value: *const c_void,
        options: *const tn_array_options,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_like(
        prototype: *mut tn_array,
        pool: *mut tn_pool,
        options: *const tn_array_options,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_import_host(
        ptr: *mut c_void,
        layout: *const tn_layout,
        flags: tn_borrow_flags,
        release: tn_release_callback,
        context: *mut c_void,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_query(array: *mut tn_array, info: *mut tn_array_info) -> tn_status;
    pub fn tn_array_set_name(array: *mut tn_array, name: *const c_char) -> tn_status;
    pub fn tn_array_set_form(array: *mut tn_array, form: tn_form) -> tn_status;
    pub fn tn_array_pool(array: *mut tn_array, out: *mut *mut tn_pool) -> tn_status;
    pub fn tn_array_wait(array: *mut tn_array, access: tn_access) -> tn_status;
    pub fn tn_array_clone(array: *mut tn_array, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_array_copy(
        array: *mut tn_array,
        pool: *mut tn_pool,
        stream: *mut tn_stream,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_release(array: *mut tn_array) -> tn_status;
    pub fn tn_array_weaken(array: *mut tn_array, out: *mut *mut tn_weak) -> tn_status;
    pub fn tn_weak_upgrade(weak: *mut tn_weak, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_weak_release(weak: *mut tn_weak) -> tn_status;
    pub fn tn_array_open_npy(
        path: *const c_char,
        options: *const tn_npy_options,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_open_npy_fd(
        fd: i32,
        offset: u64,
        options: *const tn_npy_options,
        end: *mut u64,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_save_npy(
        array: *mut tn_array,
        path: *const c_char,
        flags: tn_io_flags,
    ) -> tn_status;
    pub fn tn_array_save_npy_fd(
        array: *mut tn_array,
        fd: i32,
        flags: tn_io_flags,
    ) -> tn_status;
    pub fn tn_array_borrow_read(
        array: *mut tn_array,
        flags: tn_guard_flags,
        stream: *mut tn_stream,
        data: *mut *const c_void,
        view: *mut tn_view_info,
        out: *mut *mut tn_borrow,
    ) -> tn_status;
    pub fn tn_array_borrow_write(
        array: *mut tn_array,
        mode: tn_write_mode,
        stream: *mut tn_stream,
        data: *mut *mut c_void,
        view: *mut tn_view_info,
        out: *mut *mut tn_borrow,
    ) -> tn_status;
    pub fn tn_borrow_all(
        n_specs: usize,
        specs: *const tn_borrow_spec,
        views: *mut tn_view_info,
        out: *mut *mut tn_borrow,
    ) -> tn_status;
    pub fn tn_array_split_write(
        array: *mut tn_array,
        axis: i32,
        n_chunks: usize,
        mode: tn_write_mode,
        stream: *mut tn_stream,
        chunks: *mut tn_chunk,
    ) -> tn_status;
    pub fn tn_borrow_query(
        borrow: *mut tn_borrow,
        info: *mut tn_borrow_info,
    ) -> tn_status;
    pub fn tn_borrow_kernel_view(
        borrow: *mut tn_borrow,
        ndim: i32,
        bytes: usize,
        out: *mut c_void,
    ) -> tn_status;
    pub fn tn_borrow_end(
        borrow: *mut tn_borrow,
        flags: tn_end_flags,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_array_heal(array: *mut tn_array) -> tn_status;
    pub fn tn_array_reshape(
        array: *mut tn_array,
        ndim: i32,
        shape: *const i64,
        order: tn_order,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_ravel(
        array: *mut tn_array,
        order: tn_order,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_transpose(
        array: *mut tn_array,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_permute(
        array: *mut tn_array,
        ndim: i32,
        axes: *const i32,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_slice(
        array: *mut tn_array,
        n_specs: usize,
        specs: *const tn_slice_spec,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_index(
        array: *mut tn_array,
        axis: i32,
        index: i64,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_squeeze(
        array: *mut tn_array,
        n_axes: usize,
        axes: *const i32,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_expand(
        array: *mut tn_array,
        axis: i32,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_broadcast(
        array: *mut tn_array,
        ndim: i32,
        shape: *const i64,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_split(
        array: *mut tn_array,
        axis: i32,
        n_parts: usize,
        capacity: usize,
        outs: *mut *mut tn_array,
        n_outs: *mut usize,
    ) -> tn_status;
    pub fn tn_array_chunks(
        array: *mut tn_array,
        axis: i32,
        length: i64,
        capacity: usize,
        outs: *mut *mut tn_array,
        n_outs: *mut usize,
    ) -> tn_status;
    pub fn tn_array_view_dtype(
        array: *mut tn_array,
        dtype: tn_dtype,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_overlap(
        a: *mut tn_array,
        b: *mut tn_array,
        out: *mut tn_overlap,
    ) -> tn_status;
    pub fn tn_array_give(
        array: *mut tn_array,
        n_required: usize,
        out: *mut *mut tn_promise,
    ) -> tn_status;
    pub fn tn_promise_cancel(promise: *mut tn_promise) -> tn_status;
    pub fn tn_promise_release(promise: *mut tn_promise) -> tn_status;
    pub fn tn_take(
        n_promises: usize,
        promises: *const *mut tn_promise,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_enter(
        n_params: usize,
        params: *const *mut c_void,
        out: *mut *mut tn_array,
        scope: *mut *mut tn_scope,
    ) -> tn_status;
    pub fn tn_leave(
        scope: *mut tn_scope,
        n_keep: usize,
        keep: *const *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_is_unique(array: *mut tn_array, out: *mut i32) -> tn_status;
    pub fn tn_array_why_not(
        array: *mut tn_array,
        target: *const tn_target,
        item_size: usize,
        capacity: usize,
        bits: *mut tn_why,
        holders: *mut tn_holder,
        n_holders: *mut usize,
    ) -> tn_status;
    pub fn tn_holders_of(
        ptr: *const c_void,
        bytes: usize,
        item_size: usize,
        capacity: usize,
        store: *mut tn_store_info,
        holders: *mut tn_holder,
        n_holders: *mut usize,
    ) -> tn_status;
    pub fn tn_array_holders(
        array: *mut tn_array,
        item_size: usize,
        capacity: usize,
        store: *mut tn_store_info,
        holders: *mut tn_holder,
        n_holders: *mut usize,
    ) -> tn_status;
    pub fn tn_pool_create(
        device: tn_device,
        options: *const tn_pool_options,
        out: *mut *mut tn_pool,
    ) -> tn_status;
    pub fn tn_pool_import(
        device: tn_device,
        upstream: *const tn_upstream,
        options: *const tn_pool_options,
        out: *mut *mut tn_pool,
    ) -> tn_status;
    pub fn tn_pool_default(device: tn_device, out: *mut *mut tn_pool) -> tn_status;
    pub fn tn_pool_set_default(pool: *mut tn_pool) -> tn_status;
    pub fn tn_pool_set_current(pool: *mut tn_pool) -> tn_status;
    pub fn tn_pool_current(device: tn_device, out: *mut *mut tn_pool) -> tn_status;
    pub fn tn_pool_release(pool: *mut tn_pool) -> tn_status;
    pub fn tn_pool_allocate(
        pool: *mut tn_pool,
        bytes: usize,
        alignment: usize,
        stream: *mut tn_stream,
        out: *mut *mut c_void,
    ) -> tn_status;
    pub fn tn_pool_allocate_zeroed(
        pool: *mut tn_pool,
        bytes: usize,
        alignment: usize,
        stream: *mut tn_stream,
        out: *mut *mut c_void,
    ) -> tn_status;
    pub fn tn_pool_reallocate(
        pool: *mut tn_pool,
        ptr: *mut c_void,
        bytes: usize,
        stream: *mut tn_stream,
        out: *mut *mut c_void,
    ) -> tn_status;
    pub fn tn_pool_deallocate(
        pool: *mut tn_pool,
        ptr: *mut c_void,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_pool_record_use(
        pool: *mut tn_pool,
        ptr: *mut c_void,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_pool_private_begin(
        pool: *mut tn_pool,
        private_pool: *mut tn_pool,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_pool_private_end(pool: *mut tn_pool, stream: *mut tn_stream) -> tn_status;
    pub fn tn_pool_of(ptr: *const c_void, out: *mut *mut tn_pool) -> tn_status;
    pub fn tn_pool_usable_size(ptr: *const c_void, out: *mut usize) -> tn_status;
    pub fn tn_pool_query(pool: *mut tn_pool, stats: *mut tn_pool_stats) -> tn_status;
    pub fn tn_pool_reset_peak(pool: *mut tn_pool) -> tn_status;
    pub fn tn_pool_trim(
        pool: *mut tn_pool,
        keep_bytes: usize,
        released_bytes: *mut usize,
    ) -> tn_status;
    pub fn tn_pool_query_classes(
        pool: *mut tn_pool,
        item_size: usize,
        capacity: usize,
        classes: *mut tn_pool_class_stats,
        n_classes: *mut usize,
    ) -> tn_status;
    pub fn tn_pool_query_clients(
        pool: *mut tn_pool,
        item_size: usize,
        capacity: usize,
        clients: *mut tn_pool_client,
        n_clients: *mut usize,
    ) -> tn_status;
    pub fn tn_pool_on_pressure(
        pool: *mut tn_pool,
        callback: tn_pressure_callback,
        context: *mut c_void,
        release: tn_release_callback,
    ) -> tn_status;
    pub fn tn_pool_off_pressure(
        pool: *mut tn_pool,
        callback: tn_pressure_callback,
        context: *mut c_void,
    ) -> tn_status;
    pub fn tn_array_copy_into(
        source: *mut tn_array,
        destination: *mut tn_array,
        mode: tn_write_mode,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_array_to_device(
        array: *mut tn_array,
        device: tn_device,
        pool: *mut tn_pool,
        stream: *mut tn_stream,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_promise_to_device(
        promise: *mut tn_promise,
        device: tn_device,
        pool: *mut tn_pool,
        stream: *mut tn_stream,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_copy_to_host(
        array: *mut tn_array,
        ptr: *mut c_void,
        layout: *const tn_layout,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_array_copy_from_host(
        array: *mut tn_array,
        ptr: *const c_void,
        layout: *const tn_layout,
        mode: tn_write_mode,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_array_fill(
        array: *mut tn_array,
        value: *const c_void,
        mode: tn_write_mode,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_array_clear(
        array: *mut tn_array,
        mode: tn_write_mode,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_host_register(
        ptr: *mut c_void,
        bytes: usize,
        flags: tn_host_flags,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_advise(
        array: *mut tn_array,
        advice: tn_advice,
        device: tn_device,
    ) -> tn_status;
    pub fn tn_array_prefetch(
        array: *mut tn_array,
        device: tn_device,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_device_count(r#type: tn_device_type, out: *mut usize) -> tn_status;
    pub fn tn_device_query(
        device: tn_device,
        flags: tn_query_flags,
        info: *mut tn_device_info,
    ) -> tn_status;
    pub fn tn_device_synchronize(device: tn_device) -> tn_status;
    pub fn tn_stream_create(
        device: tn_device,
        flags: tn_stream_flags,
        priority: i32,
        out: *mut *mut tn_stream,
    ) -> tn_status;
    pub fn tn_stream_import(
        device: tn_device,
        native: u64,
        out: *mut *mut tn_stream,
    ) -> tn_status;
    pub fn tn_stream_native(stream: *mut tn_stream, out: *mut u64) -> tn_status;
    pub fn tn_stream_synchronize(stream: *mut tn_stream) -> tn_status;
    pub fn tn_stream_set_current(device: tn_device, stream: *mut tn_stream) -> tn_status;
    pub fn tn_stream_current(device: tn_device, out: *mut *mut tn_stream) -> tn_status;
    pub fn tn_stream_enter(
        device: tn_device,
        stream: *mut tn_stream,
        flags: tn_stream_scope_flags,
        out: *mut *mut tn_stream_scope,
    ) -> tn_status;
    pub fn tn_stream_leave(scope: *mut tn_stream_scope) -> tn_status;
    pub fn tn_stream_wait_event(
        stream: *mut tn_stream,
        event: *mut tn_event,
    ) -> tn_status;
    pub fn tn_stream_legacy() -> *mut tn_stream;
    pub fn tn_stream_per_thread() -> *mut tn_stream;
    pub fn tn_stream_of_thread() -> *mut tn_stream;
    pub fn tn_stream_release(stream: *mut tn_stream) -> tn_status;
    pub fn tn_event_create(
        device: tn_device,
        flags: tn_event_flags,
        out: *mut *mut tn_event,
    ) -> tn_status;
    pub fn tn_event_record(event: *mut tn_event, stream: *mut tn_stream) -> tn_status;
    pub fn tn_event_synchronize(event: *mut tn_event) -> tn_status;
    pub fn tn_event_query(event: *mut tn_event, out: *mut i32) -> tn_status;
    pub fn tn_event_elapsed(
        start: *mut tn_event,
        end: *mut tn_event,
        elapsed_ns: *mut i64,
    ) -> tn_status;
    pub fn tn_event_release(event: *mut tn_event) -> tn_status;
    pub fn tn_runner_set_current(runner: *const tn_runner) -> tn_status;
    pub fn tn_runner_current(out: *mut tn_runner) -> tn_status;
    pub fn tn_array_export_host(
        array: *mut tn_array,
        flags: tn_borrow_flags,
        mode: tn_write_mode,
        stream: *mut tn_stream,
        view: *mut tn_view_info,
        guard: *mut *mut tn_borrow,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_export_dlpack(
        array: *mut tn_array,
        options: *const tn_dlpack_options,
        out: *mut *mut DLManagedTensor,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_export_dlpack_versioned(
        array: *mut tn_array,
        options: *const tn_dlpack_options,
        out: *mut *mut DLManagedTensorVersioned,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_import_dlpack(
        tensor: *mut DLManagedTensor,
        flags: tn_borrow_flags,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_import_dlpack_versioned(
        tensor: *mut DLManagedTensorVersioned,
        flags: tn_borrow_flags,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_dlpack_exchange_api(out: *mut *const DLPackExchangeAPI) -> tn_status;
    pub fn tn_array_export_cuda_array_interface(
        array: *mut tn_array,
        flags: tn_borrow_flags,
        mode: tn_write_mode,
        stream: *mut tn_stream,
        out: *mut tn_cuda_array_interface,
        guard: *mut *mut tn_borrow,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_import_cuda_array_interface(
        source: *const tn_cuda_array_interface,
        flags: tn_borrow_flags,
        release: tn_release_callback,
        context: *mut c_void,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_export_cudamat(
        array: *mut tn_array,
        flags: tn_borrow_flags,
        mode: tn_write_mode,
        out: *mut tn_cudamat,
        guard: *mut *mut tn_borrow,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_import_cudamat(
        source: *const tn_cudamat,
        flags: tn_borrow_flags,
        release: tn_release_callback,
        context: *mut c_void,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_export_arrow(
        array: *mut tn_array,
        flags: tn_borrow_flags,
        schema: *mut ArrowSchema,
        out: *mut ArrowArray,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_export_arrow_device(
        array: *mut tn_array,
        flags: tn_borrow_flags,
        schema: *mut ArrowSchema,
        out: *mut ArrowDeviceArray,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_import_arrow(
        schema: *const ArrowSchema,
        source: *mut ArrowArray,
        flags: tn_borrow_flags,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_import_arrow_device(
        schema: *const ArrowSchema,
        source: *mut ArrowDeviceArray,
        flags: tn_borrow_flags,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_export_ipc(
        array: *mut tn_array,
        flags: tn_borrow_flags,
        capacity: usize,
        descriptor: *mut c_void,
        descriptor_bytes: *mut usize,
        fd: *mut i32,
        guard: *mut *mut tn_borrow,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_import_ipc(
        descriptor: *const c_void,
        descriptor_bytes: usize,
        fd: i32,
        flags: tn_borrow_flags,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_safetensors_query(
        path: *const c_char,
        item_size: usize,
        capacity: usize,
        infos: *mut tn_safetensors_info,
        n_infos: *mut usize,
    ) -> tn_status;
    pub fn tn_safetensors_query_fd(
        fd: i32,
        offset: u64,
        item_size: usize,
        capacity: usize,
        infos: *mut tn_safetensors_info,
        n_infos: *mut usize,
    ) -> tn_status;
    pub fn tn_array_open_safetensors(
        path: *const c_char,
        n_names: usize,
        names: *const *const c_char,
        options: *const tn_safetensors_options,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_array_open_safetensors_fd(
        fd: i32,
        offset: u64,
        n_names: usize,
        names: *const *const c_char,
        options: *const tn_safetensors_options,
        out: *mut *mut tn_array,
        how: *mut tn_how,
    ) -> tn_status;
    pub fn tn_block_layout(
        n_items: usize,
        items: *const tn_block_item,
        offsets: *mut i64,
        total: *mut i64,
    ) -> tn_status;
    pub fn tn_report_json(
        flags: tn_report_flags,
        capacity: usize,
        text: *mut c_char,
        length: *mut usize,
    ) -> tn_status;
    pub fn tn_report_html(flags: tn_report_flags, path: *const c_char) -> tn_status;
    pub fn tn_report_html_text(
        flags: tn_report_flags,
        capacity: usize,
        text: *mut c_char,
        length: *mut usize,
    ) -> tn_status;
    pub fn tn_copies_query(
        item_size: usize,
        capacity: usize,
        sites: *mut tn_copy_site,
        n_sites: *mut usize,
    ) -> tn_status;
    pub fn tn_copies_forbid(on: i32) -> tn_status;
    pub fn tn_leaks(
        item_size: usize,
        capacity: usize,
        leaks: *mut tn_holder,
        n_leaks: *mut usize,
    ) -> tn_status;
    pub fn tn_log_start(options: *const tn_log_options) -> tn_status;
    pub fn tn_log_stop() -> tn_status;
    pub fn tn_log_save(path: *const c_char) -> tn_status;
    pub fn tn_log_query(stats: *mut tn_log_stats) -> tn_status;
    pub fn tn_umf_pool_ops(
        version: u32,
        out: *mut *const umf_memory_pool_ops_t,
    ) -> tn_status;
    pub fn tn_umf_provider_ops(
        version: u32,
        out: *mut *const umf_memory_provider_ops_t,
    ) -> tn_status;
    pub fn tn_cpp_allocate(
        pool: *mut tn_pool,
        bytes: usize,
        alignment: usize,
        out: *mut *mut c_void,
    ) -> tn_status;
    pub fn tn_cpp_deallocate(pool: *mut tn_pool, ptr: *mut c_void) -> tn_status;
    pub fn tn_expr_leaf(
        array: *mut tn_array,
        form: tn_form,
        out: *mut *mut tn_expr,
    ) -> tn_status;
    pub fn tn_expr_add(
        x: *mut tn_expr,
        y: *mut tn_expr,
        out: *mut *mut tn_expr,
    ) -> tn_status;
    pub fn tn_expr_subtract(
        x: *mut tn_expr,
        y: *mut tn_expr,
        out: *mut *mut tn_expr,
    ) -> tn_status;
    pub fn tn_expr_multiply(
        m: *mut tn_expr,
        x: *mut tn_expr,
        out: *mut *mut tn_expr,
    ) -> tn_status;
    pub fn tn_expr_cholesky(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_solve(
        m: *mut tn_expr,
        b: *mut tn_expr,
        out: *mut *mut tn_expr,
    ) -> tn_status;
    pub fn tn_expr_scale(
        x: *mut tn_expr,
        factor: f64,
        out: *mut *mut tn_expr,
    ) -> tn_status;
    pub fn tn_expr_transpose(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_sum(x: *mut tn_expr, axis: i32, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_elementwise(
        op: tn_expr_op,
        x: *mut tn_expr,
        y: *mut tn_expr,
        out: *mut *mut tn_expr,
    ) -> tn_status;
    pub fn tn_expr_dense(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_query(expr: *mut tn_expr, info: *mut tn_expr_info) -> tn_status;
    pub fn tn_expr_compute(
        expr: *mut tn_expr,
        flags: tn_compute_flags,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_expr_release(expr: *mut tn_expr) -> tn_status;
    pub fn tn_expr_explain(
        expr: *mut tn_expr,
        format: tn_explain_format,
        capacity: usize,
        text: *mut c_char,
        length: *mut usize,
    ) -> tn_status;
    pub fn tn_shared_create(
        value: *mut tn_array,
        flags: tn_borrow_flags,
        options: *const tn_shared_options,
        out: *mut *mut tn_shared,
        crossing: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_shared_get(
        shared: *mut tn_shared,
        flags: tn_borrow_flags,
        out: *mut *mut tn_array,
        crossing: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_shared_set(
        shared: *mut tn_shared,
        value: *mut tn_array,
        flags: tn_borrow_flags,
        crossing: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_shared_update(
        shared: *mut tn_shared,
        flags: tn_borrow_flags,
        callback: tn_update_callback,
        context: *mut c_void,
        crossing: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_shared_update_begin(
        shared: *mut tn_shared,
        flags: tn_borrow_flags,
        value: *mut *mut tn_array,
        crossing: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_shared_update_end(
        shared: *mut tn_shared,
        flags: tn_end_flags,
    ) -> tn_status;
    pub fn tn_shared_query(
        shared: *mut tn_shared,
        info: *mut tn_shared_info,
    ) -> tn_status;
    pub fn tn_shared_release(shared: *mut tn_shared) -> tn_status;
    pub fn tn_function_create(
        options: *const tn_function_options,
        out: *mut *mut tn_function,
    ) -> tn_status;
    pub fn tn_function_call(
        function: *mut tn_function,
        n_in: usize,
        r#in: *const *mut tn_array,
        n_out: usize,
        out: *mut *mut tn_array,
        in_crossings: *mut tn_crossing,
        out_crossings: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_function_release(function: *mut tn_function) -> tn_status;
    pub fn tn_mirror_create(
        options: *const tn_mirror_options,
        out: *mut *mut tn_mirror,
        crossing: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_mirror_acquire(
        mirror: *mut tn_mirror,
        side: tn_side,
        access: tn_access,
        stream: *mut tn_stream,
        data: *mut *mut c_void,
        view: *mut tn_view_info,
        out: *mut *mut tn_borrow,
    ) -> tn_status;
    pub fn tn_mirror_get(
        mirror: *mut tn_mirror,
        side: tn_side,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_mirror_mark_changed(mirror: *mut tn_mirror, side: tn_side) -> tn_status;
    pub fn tn_mirror_query(
        mirror: *mut tn_mirror,
        info: *mut tn_mirror_info,
    ) -> tn_status;
    pub fn tn_mirror_release(mirror: *mut tn_mirror) -> tn_status;
    pub fn tn_module_load(
        image: *const c_void,
        bytes: usize,
        options: *const tn_module_options,
        out: *mut *mut tn_module,
    ) -> tn_status;
    pub fn tn_module_compile(
        source: *const c_char,
        options: *const tn_module_options,
        out: *mut *mut tn_module,
    ) -> tn_status;
    pub fn tn_module_function(
        module: *mut tn_module,
        name: *const c_char,
        device: tn_device,
        function: *mut *mut c_void,
    ) -> tn_status;
    pub fn tn_module_release(module: *mut tn_module) -> tn_status;
    pub fn tn_launch(
        config: *const tn_launch_config,
        n_args: usize,
        args: *const tn_arg,
    ) -> tn_status;
    pub fn tn_numpy_handler(pool: *mut tn_pool, out: *mut *mut c_void) -> tn_status;
    pub fn tn_torch_alloc(
        bytes: isize,
        device: c_int,
        stream: *mut CUstream_st,
    ) -> *mut c_void;
    pub fn tn_torch_free(
        ptr: *mut c_void,
        bytes: isize,
        device: c_int,
        stream: *mut CUstream_st,
    );
    pub fn tn_torch_record_stream(ptr: *mut c_void, stream: *mut CUstream_st);
    pub fn tn_cupy_malloc(pool: *mut c_void, bytes: usize, device: c_int) -> *mut c_void;
    pub fn tn_cupy_free(pool: *mut c_void, ptr: *mut c_void, device: c_int);
    pub fn tn_rmm_allocate(
        bytes: usize,
        stream: *mut CUstream_st,
        pool: *mut c_void,
    ) -> *mut c_void;
    pub fn tn_rmm_deallocate(
        ptr: *mut c_void,
        bytes: usize,
        stream: *mut CUstream_st,
        pool: *mut c_void,
    );
    pub fn tn_dlpack_register_python(slots: *const DLPackExchangeAPI) -> tn_status;
    pub fn tn_plugin_allocate(
        client: tn_client,
        pool: *mut tn_pool,
        bytes: usize,
        device: c_int,
        stream: *mut CUstream_st,
        out: *mut *mut c_void,
    ) -> tn_status;
    pub fn tn_plugin_deallocate(
        client: tn_client,
        pool: *mut tn_pool,
        ptr: *mut c_void,
        device: c_int,
        stream: *mut CUstream_st,
    ) -> tn_status;
}
