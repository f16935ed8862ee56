/* Written by `cargo xtask header` from src/ffi: edit that. */
/**
 * @file tenure_static_checks.h
 * The functions of tenure.h with attributes for clang's -Wthread-safety. tenure.h includes it if TN_STATIC_CHECKS is
 * defined; it changes nothing but warnings. See docs/static-checks.md.
 */

#ifndef TENURE_STATIC_CHECKS_H
#define TENURE_STATIC_CHECKS_H

#if defined(__clang__) && !defined(SWIG)

/* The analysis knows a call that succeeded by a comparison with a literal. */
#define TN_OK 0

struct TN_CHECKED(capability("pool")) tn_pool;
struct TN_CHECKED(capability("stream")) tn_stream;
struct TN_CHECKED(capability("event")) tn_event;
struct TN_CHECKED(capability("array")) tn_array;
struct TN_CHECKED(capability("weak")) tn_weak;
struct TN_CHECKED(capability("shared")) tn_shared;
struct TN_CHECKED(capability("function")) tn_function;
struct TN_CHECKED(capability("mirror")) tn_mirror;
struct TN_CHECKED(capability("module")) tn_module;
struct TN_CHECKED(capability("guard")) tn_borrow;
struct TN_CHECKED(capability("promise")) tn_promise;
struct TN_CHECKED(capability("scope")) tn_scope;
struct TN_CHECKED(capability("stream_scope")) tn_stream_scope;
struct TN_CHECKED(capability("expr")) tn_expr;

#ifdef __cplusplus
extern "C" {
#endif

tn_status tn_array_empty(tn_pool *pool, tn_dtype dtype, int32_t ndim, const int64_t *shape,
    const tn_array_options *options, tn_array **out) TN_GIVES(out);
tn_status tn_array_zeros(tn_pool *pool, tn_dtype dtype, int32_t ndim, const int64_t *shape,
    const tn_array_options *options, tn_array **out) TN_GIVES(out);
tn_status tn_array_full(tn_pool *pool, tn_dtype dtype, int32_t ndim, const int64_t *shape, const void *value,
    const tn_array_options *options, tn_array **out) TN_GIVES(out);
tn_status tn_array_like(tn_array *prototype, tn_pool *pool, const tn_array_options *options, tn_array **out)
    TN_BORROWS(prototype) TN_GIVES(out);
tn_status tn_array_import_host(void *ptr, const tn_layout *layout, tn_borrow_flags flags, tn_release_callback release,
    void *context, tn_array **out, tn_how *how) TN_GIVES(out);
tn_status tn_array_query(tn_array *array, tn_array_info *info) TN_BORROWS(array);
tn_status tn_array_set_name(tn_array *array, const char *name) TN_BORROWS(array);
tn_status tn_array_set_spillable(tn_array *array, int32_t on) TN_BORROWS(array);
tn_status tn_array_set_form(tn_array *array, tn_form form) TN_BORROWS(array);
tn_status tn_array_pool(tn_array *array, tn_pool **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_array_wait(tn_array *array, tn_access access) TN_BORROWS(array);
tn_status tn_array_clone(tn_array *array, tn_array **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_array_copy(tn_array *array, tn_pool *pool, tn_stream *stream, tn_array **out) TN_BORROWS(array)
    TN_GIVES(out);
tn_status tn_array_release(tn_array *array) TN_ENDS(array);
tn_status tn_array_weaken(tn_array *array, tn_weak **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_weak_upgrade(tn_weak *weak, tn_array **out) TN_BORROWS(weak) TN_GIVES(out);
tn_status tn_weak_release(tn_weak *weak) TN_ENDS(weak);
tn_status tn_array_open_npy(const char *path, const tn_npy_options *options, tn_array **out) TN_GIVES(out);
tn_status tn_array_open_npy_fd(int32_t fd, uint64_t offset, const tn_npy_options *options, uint64_t *end,
    tn_array **out) TN_GIVES(out);
tn_status tn_array_save_npy(tn_array *array, const char *path, tn_io_flags flags) TN_BORROWS(array);
tn_status tn_array_save_npy_fd(tn_array *array, int32_t fd, tn_io_flags flags) TN_BORROWS(array);
tn_status tn_array_borrow_read(tn_array *array, tn_guard_flags flags, tn_stream *stream, const void **data,
    tn_view_info *view, tn_borrow **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_array_borrow_write(tn_array *array, tn_write_mode mode, tn_stream *stream, void **data,
    tn_view_info *view, tn_borrow **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_borrow_all(size_t n_specs, const tn_borrow_spec *specs, tn_view_info *views, tn_borrow **out)
    TN_GIVES(out);
tn_status tn_array_split_write(tn_array *array, int32_t axis, size_t n_parts, tn_write_mode mode, tn_stream *stream,
    tn_part *parts) TN_BORROWS(array);
tn_status tn_borrow_query(tn_borrow *borrow, tn_borrow_info *info) TN_BORROWS(borrow);
tn_status tn_borrow_kernel_view(tn_borrow *borrow, int32_t ndim, size_t bytes, void *out) TN_BORROWS(borrow);
tn_status tn_borrow_end(tn_borrow *borrow, tn_end_flags flags, tn_stream *stream) TN_ENDS(borrow);
tn_status tn_array_heal(tn_array *array) TN_BORROWS(array);
tn_status tn_array_reshape(tn_array *array, int32_t ndim, const int64_t *shape, tn_order order, tn_array **out)
    TN_BORROWS(array) TN_GIVES(out);
tn_status tn_array_ravel(tn_array *array, tn_order order, tn_array **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_array_transpose(tn_array *array, tn_array **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_array_permute(tn_array *array, int32_t ndim, const int32_t *axes, tn_array **out) TN_BORROWS(array)
    TN_GIVES(out);
tn_status tn_array_slice(tn_array *array, size_t n_specs, const tn_slice_spec *specs, tn_array **out) TN_BORROWS(array)
    TN_GIVES(out);
tn_status tn_array_index(tn_array *array, int32_t axis, int64_t index, tn_array **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_array_squeeze(tn_array *array, size_t n_axes, const int32_t *axes, tn_array **out) TN_BORROWS(array)
    TN_GIVES(out);
tn_status tn_array_expand(tn_array *array, int32_t axis, tn_array **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_array_broadcast(tn_array *array, int32_t ndim, const int64_t *shape, tn_array **out) TN_BORROWS(array)
    TN_GIVES(out);
tn_status tn_array_split(tn_array *array, int32_t axis, size_t n_parts, size_t capacity, tn_array **outs,
    size_t *n_outs) TN_BORROWS(array);
tn_status tn_array_chunks(tn_array *array, int32_t axis, int64_t length, size_t capacity, tn_array **outs,
    size_t *n_outs) TN_BORROWS(array);
tn_status tn_array_view_dtype(tn_array *array, tn_dtype dtype, tn_array **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_array_overlap(tn_array *a, tn_array *b, tn_overlap *out) TN_BORROWS(a) TN_BORROWS(b);
tn_status tn_array_give(tn_array *array, size_t n_required, tn_promise **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_promise_cancel(tn_promise *promise) TN_BORROWS(promise);
tn_status tn_promise_release(tn_promise *promise) TN_ENDS(promise);
tn_status tn_enter(size_t n_params, void *const *params, tn_array **out, tn_scope **scope) TN_GIVES(scope);
tn_status tn_leave(tn_scope *scope, size_t n_keep, tn_array *const *keep) TN_ENDS(scope);
tn_status tn_array_is_unique(tn_array *array, int32_t *out) TN_BORROWS(array);
tn_status tn_array_why_not(tn_array *array, const tn_target *target, size_t item_size, size_t capacity, tn_why *bits,
    tn_holder *holders, size_t *n_holders) TN_BORROWS(array);
tn_status tn_array_holders(tn_array *array, size_t item_size, size_t capacity, tn_store_info *store,
    tn_holder *holders, size_t *n_holders) TN_BORROWS(array);
tn_status tn_pool_create(tn_device device, const tn_pool_options *options, tn_pool **out) TN_GIVES(out);
tn_status tn_pool_import(tn_device device, const tn_upstream *upstream, const tn_pool_options *options, tn_pool **out)
    TN_GIVES(out);
tn_status tn_pool_default(tn_device device, tn_pool **out) TN_GIVES(out);
tn_status tn_pool_current(tn_device device, tn_pool **out) TN_GIVES(out);
tn_status tn_pool_release(tn_pool *pool) TN_ENDS(pool);
tn_status tn_pool_private_begin(tn_pool *pool, tn_pool *private_pool, tn_stream *stream) TN_BORROWS(pool)
    TN_BORROWS(private_pool);
tn_status tn_pool_private_end(tn_pool *pool, tn_stream *stream) TN_BORROWS(pool) TN_BORROWS(stream);
tn_status tn_pool_of(const void *ptr, tn_pool **out) TN_GIVES(out);
tn_status tn_array_copy_into(tn_array *source, tn_array *destination, tn_write_mode mode, tn_stream *stream)
    TN_BORROWS(source) TN_BORROWS(destination);
tn_status tn_array_to_device(tn_array *array, tn_device device, tn_pool *pool, tn_stream *stream, tn_array **out)
    TN_BORROWS(array) TN_GIVES(out);
tn_status tn_promise_to_device(tn_promise *promise, tn_device device, tn_pool *pool, tn_stream *stream, tn_array **out)
    TN_BORROWS(promise) TN_GIVES(out);
tn_status tn_array_copy_to_host(tn_array *array, void *ptr, const tn_layout *layout, tn_stream *stream)
    TN_BORROWS(array);
tn_status tn_array_copy_from_host(tn_array *array, const void *ptr, const tn_layout *layout, tn_write_mode mode,
    tn_stream *stream) TN_BORROWS(array);
tn_status tn_array_fill(tn_array *array, const void *value, tn_write_mode mode, tn_stream *stream) TN_BORROWS(array);
tn_status tn_array_clear(tn_array *array, tn_write_mode mode, tn_stream *stream) TN_BORROWS(array);
tn_status tn_host_register(void *ptr, size_t bytes, tn_host_flags flags, tn_array **out) TN_GIVES(out);
tn_status tn_array_advise(tn_array *array, tn_advice advice, tn_device device) TN_BORROWS(array);
tn_status tn_array_prefetch(tn_array *array, tn_device device, tn_stream *stream) TN_BORROWS(array);
tn_status tn_stream_create(tn_device device, tn_stream_flags flags, int32_t priority, tn_stream **out) TN_GIVES(out);
tn_status tn_stream_import(tn_device device, uint64_t native, tn_stream **out) TN_GIVES(out);
tn_status tn_stream_native(tn_stream *stream, uint64_t *out) TN_BORROWS(stream);
tn_status tn_stream_synchronize(tn_stream *stream) TN_BORROWS(stream);
tn_status tn_stream_current(tn_device device, tn_stream **out) TN_GIVES(out);
tn_status tn_stream_enter(tn_device device, tn_stream *stream, tn_stream_scope_flags flags, tn_stream_scope **out)
    TN_BORROWS(stream) TN_GIVES(out);
tn_status tn_stream_leave(tn_stream_scope *scope) TN_ENDS(scope);
tn_status tn_stream_wait_event(tn_stream *stream, tn_event *event) TN_BORROWS(stream) TN_BORROWS(event);
tn_status tn_stream_release(tn_stream *stream) TN_ENDS(stream);
tn_status tn_event_create(tn_device device, tn_event_flags flags, tn_event **out) TN_GIVES(out);
tn_status tn_event_record(tn_event *event, tn_stream *stream) TN_BORROWS(event) TN_BORROWS(stream);
tn_status tn_event_synchronize(tn_event *event) TN_BORROWS(event);
tn_status tn_event_query(tn_event *event, int32_t *out) TN_BORROWS(event);
tn_status tn_event_elapsed(tn_event *start, tn_event *end, int64_t *elapsed_ns) TN_BORROWS(start) TN_BORROWS(end);
tn_status tn_event_release(tn_event *event) TN_ENDS(event);
tn_status tn_array_export_host(tn_array *array, tn_borrow_flags flags, tn_write_mode mode, tn_stream *stream,
    tn_view_info *view, tn_borrow **guard, tn_how *how) TN_BORROWS(array) TN_GIVES(guard);
tn_status tn_array_export_dlpack(tn_array *array, const tn_dlpack_options *options, struct DLManagedTensor **out,
    tn_how *how) TN_BORROWS(array);
tn_status tn_array_export_dlpack_versioned(tn_array *array, const tn_dlpack_options *options,
    struct DLManagedTensorVersioned **out, tn_how *how) TN_BORROWS(array);
tn_status tn_array_import_dlpack(struct DLManagedTensor *tensor, tn_borrow_flags flags, tn_array **out, tn_how *how)
    TN_GIVES(out);
tn_status tn_array_import_dlpack_versioned(struct DLManagedTensorVersioned *tensor, tn_borrow_flags flags,
    tn_array **out, tn_how *how) TN_GIVES(out);
tn_status tn_array_export_cuda_array_interface(tn_array *array, tn_borrow_flags flags, tn_write_mode mode,
    tn_stream *stream, tn_cuda_array_interface *out, tn_borrow **guard, tn_how *how) TN_BORROWS(array) TN_GIVES(guard);
tn_status tn_array_import_cuda_array_interface(const tn_cuda_array_interface *source, tn_borrow_flags flags,
    tn_release_callback release, void *context, tn_array **out, tn_how *how) TN_GIVES(out);
tn_status tn_array_export_cudamat(tn_array *array, tn_borrow_flags flags, tn_write_mode mode, tn_cudamat *out,
    tn_borrow **guard, tn_how *how) TN_BORROWS(array) TN_GIVES(guard);
tn_status tn_array_import_cudamat(const tn_cudamat *source, tn_borrow_flags flags, tn_release_callback release,
    void *context, tn_array **out, tn_how *how) TN_GIVES(out);
tn_status tn_array_export_arrow(tn_array *array, tn_borrow_flags flags, struct ArrowSchema *schema,
    struct ArrowArray *out, tn_how *how) TN_BORROWS(array);
tn_status tn_array_export_arrow_device(tn_array *array, tn_borrow_flags flags, struct ArrowSchema *schema,
    struct ArrowDeviceArray *out, tn_how *how) TN_BORROWS(array);
tn_status tn_array_import_arrow(const struct ArrowSchema *schema, struct ArrowArray *source, tn_borrow_flags flags,
    tn_array **out, tn_how *how) TN_GIVES(out);
tn_status tn_array_import_arrow_device(const struct ArrowSchema *schema, struct ArrowDeviceArray *source,
    tn_borrow_flags flags, tn_array **out, tn_how *how) TN_GIVES(out);
tn_status tn_array_export_ipc(tn_array *array, tn_borrow_flags flags, size_t capacity, void *descriptor,
    size_t *descriptor_bytes, int32_t *fd, tn_borrow **guard, tn_how *how) TN_BORROWS(array) TN_GIVES(guard);
tn_status tn_array_import_ipc(const void *descriptor, size_t descriptor_bytes, int32_t fd, tn_borrow_flags flags,
    tn_array **out, tn_how *how) TN_GIVES(out);
tn_status tn_expr_leaf(tn_array *array, tn_form form, tn_expr **out) TN_BORROWS(array) TN_GIVES(out);
tn_status tn_expr_add(tn_expr *x, tn_expr *y, tn_expr **out) TN_BORROWS(x) TN_BORROWS(y) TN_GIVES(out);
tn_status tn_expr_subtract(tn_expr *x, tn_expr *y, tn_expr **out) TN_BORROWS(x) TN_BORROWS(y) TN_GIVES(out);
tn_status tn_expr_multiply(tn_expr *m, tn_expr *x, tn_expr **out) TN_BORROWS(m) TN_BORROWS(x) TN_GIVES(out);
tn_status tn_expr_cholesky(tn_expr *x, tn_expr **out) TN_BORROWS(x) TN_GIVES(out);
tn_status tn_expr_lu(tn_expr *x, tn_expr **out) TN_BORROWS(x) TN_GIVES(out);
tn_status tn_expr_lu_part(tn_expr *factors, tn_lu_part part, tn_expr **out) TN_BORROWS(factors) TN_GIVES(out);
tn_status tn_expr_solve(tn_expr *m, tn_expr *b, tn_expr **out) TN_BORROWS(m) TN_BORROWS(b) TN_GIVES(out);
tn_status tn_expr_scale(tn_expr *x, double factor, tn_expr **out) TN_BORROWS(x) TN_GIVES(out);
tn_status tn_expr_transpose(tn_expr *x, tn_expr **out) TN_BORROWS(x) TN_GIVES(out);
tn_status tn_expr_sum(tn_expr *x, int32_t axis, tn_expr **out) TN_BORROWS(x) TN_GIVES(out);
tn_status tn_expr_elementwise(tn_expr_op op, tn_expr *x, tn_expr *y, tn_expr **out) TN_BORROWS(x) TN_GIVES(out);
tn_status tn_expr_dense(tn_expr *x, tn_expr **out) TN_BORROWS(x) TN_GIVES(out);
tn_status tn_expr_query(tn_expr *expr, tn_expr_info *info) TN_BORROWS(expr);
tn_status tn_expr_compute(tn_expr *expr, tn_compute_flags flags, tn_array **out) TN_BORROWS(expr) TN_GIVES(out);
tn_status tn_expr_release(tn_expr *expr) TN_ENDS(expr);
tn_status tn_expr_explain(tn_expr *expr, tn_explain_format format, size_t capacity, char *text, size_t *length)
    TN_BORROWS(expr);
tn_status tn_shared_create(tn_array *value, tn_borrow_flags flags, const tn_shared_options *options, tn_shared **out,
    tn_crossing *crossing) TN_BORROWS(value) TN_GIVES(out);
tn_status tn_shared_get(tn_shared *shared, tn_borrow_flags flags, tn_array **out, tn_crossing *crossing)
    TN_BORROWS(shared) TN_GIVES(out);
tn_status tn_shared_set(tn_shared *shared, tn_array *value, tn_borrow_flags flags, tn_crossing *crossing)
    TN_BORROWS(shared) TN_BORROWS(value);
tn_status tn_shared_update(tn_shared *shared, tn_borrow_flags flags, tn_update_callback callback, void *context,
    tn_crossing *crossing) TN_BORROWS(shared);
tn_status tn_shared_update_begin(tn_shared *shared, tn_borrow_flags flags, tn_array **value, tn_crossing *crossing)
    TN_BORROWS(shared);
tn_status tn_shared_update_end(tn_shared *shared, tn_end_flags flags) TN_BORROWS(shared);
tn_status tn_shared_query(tn_shared *shared, tn_shared_info *info) TN_BORROWS(shared);
tn_status tn_shared_release(tn_shared *shared) TN_ENDS(shared);
tn_status tn_function_create(const tn_function_options *options, tn_function **out) TN_GIVES(out);
tn_status tn_function_call(tn_function *function, size_t n_in, tn_array *const *in, size_t n_out, tn_array **out,
    tn_crossing *in_crossings, tn_crossing *out_crossings) TN_BORROWS(function);
tn_status tn_function_call_crossings(tn_function *function, size_t n_in, tn_array *const *in, size_t n_out,
    tn_array **out, const tn_call_crossings *crossings) TN_BORROWS(function);
tn_status tn_function_default(tn_function *function, size_t index, tn_array **out) TN_BORROWS(function) TN_GIVES(out);
tn_status tn_function_release(tn_function *function) TN_ENDS(function);
tn_status tn_mirror_create(const tn_mirror_options *options, tn_mirror **out, tn_crossing *crossing) TN_GIVES(out);
tn_status tn_mirror_acquire(tn_mirror *mirror, tn_side side, tn_access access, tn_stream *stream, void **data,
    tn_view_info *view, tn_borrow **out) TN_BORROWS(mirror) TN_GIVES(out);
tn_status tn_mirror_get(tn_mirror *mirror, tn_side side, tn_array **out) TN_BORROWS(mirror) TN_GIVES(out);
tn_status tn_mirror_mark_changed(tn_mirror *mirror, tn_side side) TN_BORROWS(mirror);
tn_status tn_mirror_query(tn_mirror *mirror, tn_mirror_info *info) TN_BORROWS(mirror);
tn_status tn_mirror_release(tn_mirror *mirror) TN_ENDS(mirror);
tn_status tn_module_load(const void *image, size_t bytes, const tn_module_options *options, tn_module **out)
    TN_GIVES(out);
tn_status tn_module_compile(const char *source, const tn_module_options *options, tn_module **out) TN_GIVES(out);
tn_status tn_module_function(tn_module *module, const char *name, tn_device device, void **function) TN_BORROWS(module);
tn_status tn_module_release(tn_module *module) TN_ENDS(module);

#ifdef __cplusplus
}
#endif

#endif

#endif
