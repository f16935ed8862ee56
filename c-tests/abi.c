/* Sizes and offsets of every struct, on which programs compiled against an older header rely. A number here changes only with the SONAME. A
 * struct that begins with `size` grows at its end, and then only its SIZE line changes. */
#include "check.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define AT(type, field, bytes) _Static_assert(offsetof(type, field) == (bytes), "offset of " #type "." #field)

SIZE(tn_device, 8);
AT(tn_device, type, 0);
AT(tn_device, id, 4);

SIZE(tn_device_info, 328);
AT(tn_device_info, size, 0);
AT(tn_device_info, name, 8);
AT(tn_device_info, uuid, 136);
AT(tn_device_info, pci_bus_id, 152);
AT(tn_device_info, compute_major, 168);
AT(tn_device_info, compute_minor, 172);
AT(tn_device_info, driver_version, 176);
AT(tn_device_info, multiprocessors, 180);
AT(tn_device_info, warp_size, 184);
AT(tn_device_info, features, 188);
AT(tn_device_info, block_memory_bytes, 192);
AT(tn_device_info, block_memory_optin_bytes, 200);
AT(tn_device_info, total_bytes, 208);
AT(tn_device_info, free_bytes, 216);
AT(tn_device_info, used_bytes, 224);
AT(tn_device_info, pool_bytes, 232);
AT(tn_device_info, pool_free_bytes, 240);
AT(tn_device_info, to_device_count, 248);
AT(tn_device_info, to_device_bytes, 256);
AT(tn_device_info, to_host_count, 264);
AT(tn_device_info, to_host_bytes, 272);
AT(tn_device_info, staged_bytes, 280);
AT(tn_device_info, registered_bytes, 288);
AT(tn_device_info, queued_releases, 296);
AT(tn_device_info, queued_bytes, 304);
AT(tn_device_info, kernel_count, 312);
AT(tn_device_info, kernel_error, 320);

SIZE(tn_upstream, 72);
AT(tn_upstream, size, 0);
AT(tn_upstream, context, 8);
AT(tn_upstream, granularity, 16);
AT(tn_upstream, alignment, 24);
AT(tn_upstream, flags, 32);
AT(tn_upstream, reserved, 36);
AT(tn_upstream, allocate, 40);
AT(tn_upstream, deallocate, 48);
AT(tn_upstream, purge, 56);
AT(tn_upstream, release, 64);
SIZE(tn_pool_options, 112);
AT(tn_pool_options, size, 0);
AT(tn_pool_options, name, 8);
AT(tn_pool_options, initial_size, 16);
AT(tn_pool_options, max_growth, 24);
AT(tn_pool_options, max_size, 32);
AT(tn_pool_options, growth_factor, 40);
AT(tn_pool_options, alignment, 48);
AT(tn_pool_options, thread_cache_size, 56);
AT(tn_pool_options, release_threshold, 64);
AT(tn_pool_options, release_delay_ms, 72);
AT(tn_pool_options, peers, 80);
AT(tn_pool_options, huge_pages, 88);
AT(tn_pool_options, backend, 92);
AT(tn_pool_options, numa_node, 96);
AT(tn_pool_options, host_flags, 100);
AT(tn_pool_options, flags, 104);
AT(tn_pool_options, reserved, 108);

SIZE(tn_pool_stats, 280);
AT(tn_pool_stats, size, 0);
AT(tn_pool_stats, requested_bytes, 8);
AT(tn_pool_stats, in_use_bytes, 16);
AT(tn_pool_stats, cached_bytes, 24);
AT(tn_pool_stats, pending_bytes, 32);
AT(tn_pool_stats, overhead_bytes, 40);
AT(tn_pool_stats, reserved_bytes, 48);
AT(tn_pool_stats, address_bytes, 56);
AT(tn_pool_stats, huge_bytes, 64);
AT(tn_pool_stats, metadata_bytes, 72);
AT(tn_pool_stats, peak_in_use_bytes, 80);
AT(tn_pool_stats, peak_reserved_bytes, 88);
AT(tn_pool_stats, peak_requested_bytes, 96);
AT(tn_pool_stats, allocation_count, 104);
AT(tn_pool_stats, deallocation_count, 112);
AT(tn_pool_stats, reallocation_count, 120);
AT(tn_pool_stats, failure_count, 128);
AT(tn_pool_stats, live_blocks, 136);
AT(tn_pool_stats, hit_count, 144);
AT(tn_pool_stats, thread_hit_count, 152);
AT(tn_pool_stats, device_allocate_count, 160);
AT(tn_pool_stats, device_free_count, 168);
AT(tn_pool_stats, device_bytes_total, 176);
AT(tn_pool_stats, trim_count, 184);
AT(tn_pool_stats, pressure_count, 192);
AT(tn_pool_stats, oom_count, 200);
AT(tn_pool_stats, misuse_count, 208);
AT(tn_pool_stats, zero_bytes_skipped, 216);
AT(tn_pool_stats, largest_free_bytes, 224);
AT(tn_pool_stats, limit_bytes, 232);
AT(tn_pool_stats, thread_count, 240);
AT(tn_pool_stats, held_bytes, 248);
AT(tn_pool_stats, shared_out_bytes, 256);
AT(tn_pool_stats, serial, 264);
AT(tn_pool_stats, device, 272);

SIZE(tn_pool_class_stats, 64);
AT(tn_pool_class_stats, block_bytes, 0);
AT(tn_pool_class_stats, span_bytes, 8);
AT(tn_pool_class_stats, live_blocks, 16);
AT(tn_pool_class_stats, cached_blocks, 24);
AT(tn_pool_class_stats, span_count, 32);
AT(tn_pool_class_stats, allocation_count, 40);
AT(tn_pool_class_stats, hit_count, 48);
AT(tn_pool_class_stats, reserved, 56);

SIZE(tn_pool_client, 88);
AT(tn_pool_client, client, 0);
AT(tn_pool_client, reserved, 4);
AT(tn_pool_client, name, 8);
AT(tn_pool_client, live_blocks, 24);
AT(tn_pool_client, live_bytes, 32);
AT(tn_pool_client, requested_bytes, 40);
AT(tn_pool_client, peak_bytes, 48);
AT(tn_pool_client, allocation_count, 56);
AT(tn_pool_client, failure_count, 64);
AT(tn_pool_client, misuse_count, 72);
AT(tn_pool_client, mismatch_count, 80);

SIZE(tn_array_options, 32);
AT(tn_array_options, size, 0);
AT(tn_array_options, order, 8);
AT(tn_array_options, flags, 12);
AT(tn_array_options, stream, 16);
AT(tn_array_options, name, 24);

SIZE(tn_layout, 40);
AT(tn_layout, size, 0);
AT(tn_layout, dtype, 8);
AT(tn_layout, ndim, 12);
AT(tn_layout, shape, 16);
AT(tn_layout, strides, 24);
AT(tn_layout, offset, 32);

SIZE(tn_expr_info, 536);
AT(tn_expr_info, size, 0);
AT(tn_expr_info, dtype, 8);
AT(tn_expr_info, ndim, 12);
AT(tn_expr_info, form, 16);
AT(tn_expr_info, reserved, 20);
AT(tn_expr_info, shape, 24);

SIZE(tn_array_info, 1152);
AT(tn_array_info, size, 0);
AT(tn_array_info, dtype, 8);
AT(tn_array_info, ndim, 12);
AT(tn_array_info, device, 16);
AT(tn_array_info, flags, 24);
AT(tn_array_info, form, 28);
AT(tn_array_info, bytes, 32);
AT(tn_array_info, count, 40);
AT(tn_array_info, store_bytes, 48);
AT(tn_array_info, offset, 56);
AT(tn_array_info, name, 64);
AT(tn_array_info, shape, 128);
AT(tn_array_info, strides, 640);

SIZE(tn_crossing, 8);
AT(tn_crossing, how, 0);
AT(tn_crossing, why, 4);

SIZE(tn_in, 56);
AT(tn_in, size, 0);
AT(tn_in, name, 8);
AT(tn_in, flags, 16);
AT(tn_in, dtype, 20);
AT(tn_in, device, 24);
AT(tn_in, ndim, 32);
AT(tn_in, reserved, 36);
AT(tn_in, default_value, 40);
AT(tn_in, shared, 48);

SIZE(tn_out, 40);
AT(tn_out, size, 0);
AT(tn_out, name, 8);
AT(tn_out, flags, 16);
AT(tn_out, dtype, 20);
AT(tn_out, device, 24);
AT(tn_out, ndim, 32);
AT(tn_out, reserved, 36);

SIZE(tn_update, 24);
AT(tn_update, size, 0);
AT(tn_update, target, 8);
AT(tn_update, flags, 16);
AT(tn_update, reserved, 20);

SIZE(tn_function_options, 96);
AT(tn_function_options, size, 0);
AT(tn_function_options, name, 8);
AT(tn_function_options, body, 16);
AT(tn_function_options, expr_body, 24);
AT(tn_function_options, context, 32);
AT(tn_function_options, release, 40);
AT(tn_function_options, n_in, 48);
AT(tn_function_options, n_out, 56);
AT(tn_function_options, n_update, 64);
AT(tn_function_options, inputs, 72);
AT(tn_function_options, outputs, 80);
AT(tn_function_options, updates, 88);

SIZE(tn_shared_options, 32);
AT(tn_shared_options, size, 0);
AT(tn_shared_options, device, 8);
AT(tn_shared_options, pool, 16);
AT(tn_shared_options, name, 24);

SIZE(tn_shared_info, 640);
AT(tn_shared_info, size, 0);
AT(tn_shared_info, device, 8);
AT(tn_shared_info, home, 16);
AT(tn_shared_info, dtype, 24);
AT(tn_shared_info, ndim, 28);
AT(tn_shared_info, flags, 32);
AT(tn_shared_info, is_poisoned, 36);
AT(tn_shared_info, version, 40);
AT(tn_shared_info, bytes, 48);
AT(tn_shared_info, detach_count, 56);
AT(tn_shared_info, name, 64);
AT(tn_shared_info, shape, 128);

SIZE(tn_mirror_options, 80);
AT(tn_mirror_options, size, 0);
AT(tn_mirror_options, object, 8);
AT(tn_mirror_options, borrow_flags, 16);
AT(tn_mirror_options, dtype, 20);
AT(tn_mirror_options, ndim, 24);
AT(tn_mirror_options, order, 28);
AT(tn_mirror_options, shape, 32);
AT(tn_mirror_options, device, 40);
AT(tn_mirror_options, where, 48);
AT(tn_mirror_options, reserved, 52);
AT(tn_mirror_options, host_pool, 56);
AT(tn_mirror_options, device_pool, 64);
AT(tn_mirror_options, name, 72);

SIZE(tn_mirror_info, 656);
AT(tn_mirror_info, size, 0);
AT(tn_mirror_info, valid, 8);
AT(tn_mirror_info, allocated, 12);
AT(tn_mirror_info, held, 16);
AT(tn_mirror_info, is_poisoned, 20);
AT(tn_mirror_info, transfers_to_device, 24);
AT(tn_mirror_info, transfers_to_host, 32);
AT(tn_mirror_info, bytes_to_device, 40);
AT(tn_mirror_info, bytes_to_host, 48);
AT(tn_mirror_info, device, 56);
AT(tn_mirror_info, dtype, 64);
AT(tn_mirror_info, ndim, 68);
AT(tn_mirror_info, bytes, 72);
AT(tn_mirror_info, name, 80);
AT(tn_mirror_info, shape, 144);

SIZE(tn_module_options, 64);
AT(tn_module_options, size, 0);
AT(tn_module_options, name, 8);
AT(tn_module_options, arch, 16);
AT(tn_module_options, options, 24);
AT(tn_module_options, n_options, 32);
AT(tn_module_options, log, 40);
AT(tn_module_options, log_capacity, 48);
AT(tn_module_options, log_length, 56);

SIZE(tn_npy_options, 32);
AT(tn_npy_options, size, 0);
AT(tn_npy_options, mode, 8);
AT(tn_npy_options, fd, 12);
AT(tn_npy_options, pool, 16);
AT(tn_npy_options, max_header_bytes, 24);

SIZE(tn_safetensors_info, 808);
AT(tn_safetensors_info, dtype, 0);
AT(tn_safetensors_info, ndim, 4);
AT(tn_safetensors_info, bytes, 8);
AT(tn_safetensors_info, name_bytes, 16);
AT(tn_safetensors_info, name, 24);
AT(tn_safetensors_info, shape, 280);
AT(tn_safetensors_info, reserved, 792);

SIZE(tn_safetensors_options, 24);
AT(tn_safetensors_options, size, 0);
AT(tn_safetensors_options, pool, 8);
AT(tn_safetensors_options, flags, 16);
AT(tn_safetensors_options, reserved, 20);

SIZE(tn_slice_spec, 56);
AT(tn_slice_spec, start, 0);
AT(tn_slice_spec, stop, 8);
AT(tn_slice_spec, step, 16);
AT(tn_slice_spec, reserved, 24);

SIZE(tn_chunk, 64);
AT(tn_chunk, guard, 0);
AT(tn_chunk, data, 8);
AT(tn_chunk, start, 16);
AT(tn_chunk, length, 24);
AT(tn_chunk, reserved, 32);

SIZE(tn_view_info, 88);
AT(tn_view_info, data, 0);
AT(tn_view_info, device, 8);
AT(tn_view_info, ndim, 16);
AT(tn_view_info, dtype, 20);
AT(tn_view_info, shape, 24);
AT(tn_view_info, strides, 32);
AT(tn_view_info, device_data, 40);
AT(tn_view_info, bytes, 48);
AT(tn_view_info, reserved, 56);

SIZE(tn_borrow_spec, 56);
AT(tn_borrow_spec, array, 0);
AT(tn_borrow_spec, stream, 8);
AT(tn_borrow_spec, access, 16);
AT(tn_borrow_spec, reserved, 20);

SIZE(tn_borrow_info, 32);
AT(tn_borrow_info, size, 0);
AT(tn_borrow_info, data, 8);
AT(tn_borrow_info, device_data, 16);
AT(tn_borrow_info, bytes, 24);

SIZE(tn_holder, 176);
AT(tn_holder, kind, 0);
AT(tn_holder, device, 4);
AT(tn_holder, reserved, 12);
AT(tn_holder, id, 16);
AT(tn_holder, bytes, 24);
AT(tn_holder, thread, 32);
AT(tn_holder, time_ns, 40);
AT(tn_holder, name, 48);
AT(tn_holder, site, 112);

SIZE(tn_store_info, 112);
AT(tn_store_info, size, 0);
AT(tn_store_info, address, 8);
AT(tn_store_info, bytes, 16);
AT(tn_store_info, device, 24);
AT(tn_store_info, flags, 32);
AT(tn_store_info, reserved, 36);
AT(tn_store_info, version, 40);
AT(tn_store_info, pool_name, 48);

SIZE(tn_target, 32);
AT(tn_target, size, 0);
AT(tn_target, device, 8);
AT(tn_target, dtype, 16);
AT(tn_target, ndim, 20);
AT(tn_target, shape, 24);

SIZE(tn_dlpack_options, 40);
AT(tn_dlpack_options, size, 0);
AT(tn_dlpack_options, flags, 8);
AT(tn_dlpack_options, mode, 12);
AT(tn_dlpack_options, label, 16);
AT(tn_dlpack_options, reserved, 20);
AT(tn_dlpack_options, target, 24);
AT(tn_dlpack_options, consumer, 32);

SIZE(tn_cuda_array_interface, 72);
AT(tn_cuda_array_interface, size, 0);
AT(tn_cuda_array_interface, data, 8);
AT(tn_cuda_array_interface, shape, 16);
AT(tn_cuda_array_interface, strides, 24);
AT(tn_cuda_array_interface, ndim, 32);
AT(tn_cuda_array_interface, readonly, 36);
AT(tn_cuda_array_interface, c_contiguous, 40);
AT(tn_cuda_array_interface, version, 44);
AT(tn_cuda_array_interface, typestr, 48);
AT(tn_cuda_array_interface, stream, 56);
AT(tn_cuda_array_interface, has_stream, 64);
AT(tn_cuda_array_interface, reserved, 68);

SIZE(tn_cudamat, 40);
AT(tn_cudamat, data_host, 0);
AT(tn_cudamat, data_device, 8);
AT(tn_cudamat, on_device, 16);
AT(tn_cudamat, on_host, 20);
AT(tn_cudamat, size, 24);
AT(tn_cudamat, is_trans, 32);
AT(tn_cudamat, owns_data, 36);

SIZE(tn_log_options, 32);
AT(tn_log_options, size, 0);
AT(tn_log_options, kinds, 8);
AT(tn_log_options, reserved, 12);
AT(tn_log_options, path, 16);
AT(tn_log_options, capacity, 24);

SIZE(tn_log_stats, 48);
AT(tn_log_stats, size, 0);
AT(tn_log_stats, kinds, 8);
AT(tn_log_stats, is_file, 12);
AT(tn_log_stats, events, 16);
AT(tn_log_stats, overwritten, 24);
AT(tn_log_stats, dropped, 32);
AT(tn_log_stats, capacity, 40);

SIZE(tn_copy_site, 104);
AT(tn_copy_site, function, 0);
AT(tn_copy_site, site, 8);
AT(tn_copy_site, why, 72);
AT(tn_copy_site, forced, 76);
AT(tn_copy_site, count, 80);
AT(tn_copy_site, bytes, 88);
AT(tn_copy_site, reserved, 96);

SIZE(tn_runner, 40);
AT(tn_runner, size, 0);
AT(tn_runner, run, 8);
AT(tn_runner, context, 16);
AT(tn_runner, threads, 24);
AT(tn_runner, least_bytes, 32);

SIZE(tn_block_item, 24);
AT(tn_block_item, dtype, 0);
AT(tn_block_item, reserved, 4);
AT(tn_block_item, count, 8);
AT(tn_block_item, align, 16);

SIZE(tn_arg, 32);
AT(tn_arg, kind, 0);
AT(tn_arg, access, 4);
AT(tn_arg, ndim, 8);
AT(tn_arg, reserved, 12);
AT(tn_arg, what, 16);
AT(tn_arg, bytes, 24);

SIZE(tn_host_block, 64);
AT(tn_host_block, size, 0);
AT(tn_host_block, grid, 8);
AT(tn_host_block, block, 20);
AT(tn_host_block, index, 32);
AT(tn_host_block, reserved, 44);
AT(tn_host_block, memory, 48);
AT(tn_host_block, memory_bytes, 56);

SIZE(tn_launch_config, 64);
AT(tn_launch_config, size, 0);
AT(tn_launch_config, function, 8);
AT(tn_launch_config, grid, 16);
AT(tn_launch_config, block, 28);
AT(tn_launch_config, block_bytes, 40);
AT(tn_launch_config, stream, 48);
AT(tn_launch_config, host_function, 56);

int main(void) {
    CHECK(tn_version() >= TN_VERSION);
    CHECK(strcmp(tn_status_name(TN_ERR_STALE), "TN_ERR_STALE") == 0);
    CHECK(strcmp(tn_status_name(UINT32_MAX), "TN_ERR_?") == 0);
    CHECK(strcmp(tn_last_error(), "") == 0);
    CHECK(sizeof(tn_array *) == 8 && sizeof(size_t) == 8);
    CHECK(TN_DTYPE(TN_CODE_COMPLEX, 128u) == TN_C128 && TN_DTYPE(TN_CODE_BOOL, 8u) == TN_BOOL);
    /* Flags that several families share have equal values; other flags do not overlap. */
    _Static_assert((TN_WAIT & (TN_READ_WRITE | TN_FROZEN | TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD | TN_REQUIRE_ASYNC)) == 0,
                   "TN_WAIT is a bit of its own");
    _Static_assert((TN_READ_WRITE & (TN_FROZEN | TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD | TN_REQUIRE_ASYNC)) == 0,
                   "an access has bits of its own");
    _Static_assert((TN_ALLOW_ALIAS & (TN_READ_WRITE | TN_WAIT | TN_FROZEN | TN_WRITE_UNIQUE | TN_WRITE_COW | TN_WRITE_DISCARD)) == 0,
                   "TN_ALLOW_ALIAS is a bit of its own");
    CHECK(TN_STREAM_LEGACY == tn_stream_legacy() && TN_STREAM_PER_THREAD == tn_stream_per_thread());
    CHECK(TN_STREAM_CURRENT == tn_stream_of_thread());
    return finish();
}
