/* UMF's tables of operations, as its headers have them, and its results. */
#ifndef UMF_STRUCTS_H
#define UMF_STRUCTS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SUCCESS = 0, OUT_OF_HOST_MEMORY = 1, PROVIDER_SPECIFIC = 2, INVALID_ARGUMENT = 3, INVALID_ALIGNMENT = 4, NOT_SUPPORTED = 5,
    OUT_OF_RESOURCES = 8, INVALID_CTL_PATH = 9
};

/* The tables as in UMF's headers; c-tests/umf/umf.c compares these with the headers. */
typedef struct umf_memory_pool_ops_t {
    uint32_t version;
    int (*initialize)(void *provider, const void *params, void **pool);
    int (*finalize)(void *pool);
    void *(*malloc)(void *pool, size_t size);
    void *(*calloc)(void *pool, size_t num, size_t size);
    void *(*realloc)(void *pool, void *ptr, size_t size);
    void *(*aligned_malloc)(void *pool, size_t size, size_t alignment);
    int (*malloc_usable_size)(void *pool, const void *ptr, size_t *size);
    int (*free)(void *pool, void *ptr);
    int (*get_last_allocation_error)(void *pool);
    int (*get_name)(void *pool, const char **name);
    int (*ext_ctl)(void *pool, int source, const char *name, void *arg, size_t size, int query, va_list args);
    int (*ext_trim_memory)(void *pool, size_t keep);
} Pool;

typedef struct umf_memory_provider_ops_t {
    uint32_t version;
    int (*initialize)(const void *params, void **provider);
    int (*finalize)(void *provider);
    int (*alloc)(void *provider, size_t size, size_t alignment, void **ptr);
    int (*free)(void *provider, void *ptr, size_t size);
    int (*get_last_native_error)(void *provider, const char **message, int32_t *error);
    int (*get_recommended_page_size)(void *provider, size_t size, size_t *page);
    int (*get_min_page_size)(void *provider, const void *ptr, size_t *page);
    int (*get_name)(void *provider, const char **name);
    int (*purge_lazy)(void *provider, void *ptr, size_t size);
    int (*purge_force)(void *provider, void *ptr, size_t size);
    int (*merge)(void *provider, void *low, void *high, size_t total);
    int (*split)(void *provider, void *ptr, size_t total, size_t first);
    int (*get_ipc_handle_size)(void *provider, size_t *size);
    int (*get_ipc_handle)(void *provider, const void *ptr, size_t size, void *handle);
    int (*put_ipc_handle)(void *provider, void *handle);
    int (*open_ipc_handle)(void *provider, void *handle, void **ptr);
    int (*close_ipc_handle)(void *provider, void *ptr, size_t size);
    int (*ext_ctl)(void *provider, int source, const char *name, void *arg, size_t size, int query, va_list args);
    void (*properties[2])(void);
    int (*get_cache_line_size)(void *provider, size_t *size);
} Provider;

#endif
