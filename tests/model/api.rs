//! The C functions that the model test calls, declared by name and signature of the public header.
//!
//! Contract: declarations only. The symbols are those of the linked crate, of which only the plain types are used
//! otherwise.
#![allow(improper_ctypes)]

use core::ffi::{c_char, c_void};
use tenure::types::*;

unsafe extern "C" {
    pub fn tn_last_error() -> *const c_char;
    pub fn tn_option_set(name: *const c_char, value: *const c_char) -> tn_status;
    pub fn tn_run_releases(count: *mut usize) -> tn_status;

    pub fn tn_pool_create(device: tn_device, options: *const tn_pool_options, out: *mut *mut tn_pool) -> tn_status;
    pub fn tn_pool_set_current(pool: *mut tn_pool) -> tn_status;
    pub fn tn_pool_release(pool: *mut tn_pool) -> tn_status;
    pub fn tn_pool_reset_peak(pool: *mut tn_pool) -> tn_status;
    pub fn tn_pool_query(pool: *mut tn_pool, stats: *mut tn_pool_stats) -> tn_status;

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
    pub fn tn_array_import_host(
        ptr: *mut c_void,
        layout: *const tn_layout,
        flags: u32,
        release: tn_release_callback,
        context: *mut c_void,
        out: *mut *mut tn_array,
        how: *mut u32,
    ) -> tn_status;
    pub fn tn_array_query(array: *mut tn_array, info: *mut tn_array_info) -> tn_status;
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

    pub fn tn_array_reshape(
        array: *mut tn_array,
        ndim: i32,
        shape: *const i64,
        order: u32,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_ravel(array: *mut tn_array, order: u32, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_array_transpose(array: *mut tn_array, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_array_permute(array: *mut tn_array, ndim: i32, axes: *const i32, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_array_slice(
        array: *mut tn_array,
        n: usize,
        specs: *const tn_slice_spec,
        out: *mut *mut tn_array,
    ) -> tn_status;
    pub fn tn_array_index(array: *mut tn_array, axis: i32, index: i64, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_array_squeeze(array: *mut tn_array, n: usize, axes: *const i32, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_array_expand(array: *mut tn_array, axis: i32, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_array_broadcast(array: *mut tn_array, ndim: i32, shape: *const i64, out: *mut *mut tn_array)
    -> tn_status;
    pub fn tn_array_split(
        array: *mut tn_array,
        axis: i32,
        parts: usize,
        capacity: usize,
        outs: *mut *mut tn_array,
        count: *mut usize,
    ) -> tn_status;
    pub fn tn_array_chunks(
        array: *mut tn_array,
        axis: i32,
        length: i64,
        capacity: usize,
        outs: *mut *mut tn_array,
        count: *mut usize,
    ) -> tn_status;
    pub fn tn_array_view_dtype(array: *mut tn_array, dtype: tn_dtype, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_array_overlap(a: *mut tn_array, b: *mut tn_array, out: *mut u32) -> tn_status;

    pub fn tn_array_borrow_read(
        array: *mut tn_array,
        flags: u32,
        stream: *mut tn_stream,
        data: *mut *const c_void,
        view: *mut tn_view_info,
        out: *mut *mut tn_borrow,
    ) -> tn_status;
    pub fn tn_array_borrow_write(
        array: *mut tn_array,
        mode: u32,
        stream: *mut tn_stream,
        data: *mut *mut c_void,
        view: *mut tn_view_info,
        out: *mut *mut tn_borrow,
    ) -> tn_status;
    pub fn tn_borrow_all(
        n: usize,
        specs: *const tn_borrow_spec,
        views: *mut tn_view_info,
        out: *mut *mut tn_borrow,
    ) -> tn_status;
    pub fn tn_array_split_write(
        array: *mut tn_array,
        axis: i32,
        n: usize,
        mode: u32,
        stream: *mut tn_stream,
        chunks: *mut tn_chunk,
    ) -> tn_status;
    pub fn tn_borrow_end(borrow: *mut tn_borrow, flags: u32, stream: *mut tn_stream) -> tn_status;

    pub fn tn_array_give(array: *mut tn_array, required: usize, out: *mut *mut tn_promise) -> tn_status;
    pub fn tn_promise_cancel(promise: *mut tn_promise) -> tn_status;
    pub fn tn_promise_release(promise: *mut tn_promise) -> tn_status;
    pub fn tn_take(n: usize, promises: *const *mut tn_promise, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_enter(
        n: usize,
        params: *const *mut c_void,
        out: *mut *mut tn_array,
        scope: *mut *mut tn_scope,
    ) -> tn_status;
    pub fn tn_leave(scope: *mut tn_scope, n_keep: usize, keep: *const *mut tn_array) -> tn_status;
    pub fn tn_array_is_unique(array: *mut tn_array, out: *mut i32) -> tn_status;
    pub fn tn_array_why_not(
        array: *mut tn_array,
        target: *const tn_target,
        item_size: usize,
        capacity: usize,
        bits: *mut u32,
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

    pub fn tn_expr_dense(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_array_set_form(array: *mut tn_array, form: u32) -> tn_status;
    pub fn tn_expr_leaf(array: *mut tn_array, form: u32, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_add(x: *mut tn_expr, y: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_subtract(x: *mut tn_expr, y: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_multiply(m: *mut tn_expr, x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_cholesky(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_solve(m: *mut tn_expr, b: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_scale(x: *mut tn_expr, factor: f64, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_transpose(x: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_sum(x: *mut tn_expr, axis: i32, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_elementwise(op: u32, x: *mut tn_expr, y: *mut tn_expr, out: *mut *mut tn_expr) -> tn_status;
    pub fn tn_expr_compute(expr: *mut tn_expr, flags: u32, out: *mut *mut tn_array) -> tn_status;
    pub fn tn_expr_explain(
        expr: *mut tn_expr,
        format: u32,
        capacity: usize,
        text: *mut c_char,
        length: *mut usize,
    ) -> tn_status;
    pub fn tn_expr_release(expr: *mut tn_expr) -> tn_status;

    pub fn tn_array_copy_into(
        source: *mut tn_array,
        destination: *mut tn_array,
        mode: u32,
        stream: *mut tn_stream,
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
        mode: u32,
        stream: *mut tn_stream,
    ) -> tn_status;
    pub fn tn_array_fill(array: *mut tn_array, value: *const c_void, mode: u32, stream: *mut tn_stream) -> tn_status;
    pub fn tn_array_clear(array: *mut tn_array, mode: u32, stream: *mut tn_stream) -> tn_status;

    pub fn tn_array_export_host(
        array: *mut tn_array,
        flags: u32,
        mode: u32,
        stream: *mut tn_stream,
        view: *mut tn_view_info,
        guard: *mut *mut tn_borrow,
        how: *mut u32,
    ) -> tn_status;

    pub fn tn_shared_create(
        value: *mut tn_array,
        flags: u32,
        options: *const tn_shared_options,
        out: *mut *mut tn_shared,
        how: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_shared_get(
        shared: *mut tn_shared,
        flags: u32,
        out: *mut *mut tn_array,
        how: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_shared_set(shared: *mut tn_shared, value: *mut tn_array, flags: u32, how: *mut tn_crossing) -> tn_status;
    pub fn tn_shared_update(
        shared: *mut tn_shared,
        flags: u32,
        callback: tn_update_callback,
        context: *mut c_void,
        how: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_shared_update_begin(
        shared: *mut tn_shared,
        flags: u32,
        value: *mut *mut tn_array,
        how: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_shared_update_end(shared: *mut tn_shared, flags: u32) -> tn_status;
    pub fn tn_shared_query(shared: *mut tn_shared, info: *mut tn_shared_info) -> tn_status;
    pub fn tn_shared_release(shared: *mut tn_shared) -> tn_status;

    pub fn tn_function_create(options: *const tn_function_options, out: *mut *mut tn_function) -> tn_status;
    pub fn tn_function_call(
        function: *mut tn_function,
        n_in: usize,
        r#in: *const *mut tn_array,
        n_out: usize,
        out: *mut *mut tn_array,
        in_how: *mut tn_crossing,
        out_how: *mut tn_crossing,
    ) -> tn_status;
    pub fn tn_function_release(function: *mut tn_function) -> tn_status;
    pub fn tn_launch(config: *const tn_launch_config, n_args: usize, args: *const tn_arg) -> tn_status;

    pub fn tn_copies_query(item_size: usize, capacity: usize, sites: *mut tn_copy_site, count: *mut usize)
    -> tn_status;
    pub fn tn_copies_forbid(on: i32) -> tn_status;
    pub fn tn_leaks(item_size: usize, capacity: usize, leaks: *mut tn_holder, count: *mut usize) -> tn_status;
}
