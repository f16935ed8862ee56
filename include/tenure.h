/* Written by `cargo xtask header` from src/types.rs and src/ffi: edit those. */
/**
 * @file tenure.h
 * Tenure: who holds each buffer, and for how long. Memory, arrays, borrows, and ownership that is given and taken.
 *
 * What holds for every function:
 *
 * **Handles.** `tn_array *`, `tn_pool *` and the like are pointer types whose bits are a checked 64-bit id (kind,
 * generation, slot). They are never dereferenced, by the library or by anybody else: NULL, a handle that was
 * released, one of another kind and a second release are statuses, also when two threads race. Each handle is
 * released exactly once, by the function that its type's comment names, whatever happened to the array behind it. The
 * top byte has the kind and is never 0, so that a collector that scans for pointers takes no handle for an address.
 *
 * **Status.** Every function returns a `tn_status`, TN_OK or one of TN_ERR_*; only `tn_version`, `tn_status_name` and
 * `tn_last_error`, which cannot fail, return something else. A call that fails has changed nothing and has left its
 * outputs untouched: what the caller owned before, the caller owns still. `tn_last_error` then has a sentence with
 * the offending values, per thread.
 *
 * **Order of parameters.** Inputs first, a count before its array (raw memory: the pointer, then its bytes), a
 * callback before its context; outputs last. An output whose text says "may be NULL" may be; any other NULL is
 * TN_ERR_NULL. `capacity` counts the places in the output arrays that follow it.
 *
 * **Order of checks.** The arguments alone: NULL, STALE, KIND, INVALID; the handle's state: DESTRUCTED, GIVEN; the
 * arguments against the array: COUNT, DUPLICATE, DTYPE, LIMIT, SHAPE, RANGE, LAYOUT, DEVICE, UNSUPPORTED; what others
 * do with it: POISONED, READONLY, BORROWED_WRITE, BORROWED, EXPORTED, SHARED, IN_EXPRESSION, PENDING, FOREIGN,
 * ALIASED, WOULD_COPY; the work: FAILED, NO_HOST_MEMORY, NO_DEVICE_MEMORY, POOL_LIMIT, DRIVER, IO, LIMIT, PANIC. The
 * first in this list wins, then the leftmost parameter. So a wrong argument gives the same answer whoever else holds
 * the array.
 *
 * **how.** Where bytes cross the library's border, an output `how` tells what became of them: TN_ALIASED or
 * TN_COPIED. It may be NULL.
 *
 * **size.** A struct that begins with `size` can grow: the caller sets it to sizeof, and zero in any other field asks
 * for the default. A struct larger than the library knows is accepted while its unknown tail is zero. In an array of
 * such structs all have the size of the first. A struct without `size` never changes. Fields named `reserved` are
 * zero.
 *
 * **flags.** A bit that is unknown, or that the function does not take, is TN_ERR_INVALID.
 *
 * **stream.** NULL means "the host, now" in a borrow and its end, "done on return" in movement, and the thread's
 * current stream in pools and options. On host memory the constants TN_STREAM_* mean the same as NULL; any other
 * stream is refused.
 *
 * **pool.** NULL means the thread's current pool of the device in question: the process-wide default, until
 * `tn_pool_set_current` names another.
 *
 * **Strides** are in bytes and may be negative or 0; shapes and indices are in elements.
 *
 * **Threads.** Any function may be called from any thread at any time; what must not happen at the same time is a
 * status too. No callback runs under a lock of the library, and every callback may call the library. No function
 * waits for another holder.
 *
 * **Fork, exit, unload.** Nothing runs when the library is loaded or unloaded. Host memory stays usable in a child
 * after fork. The library may be unloaded until foreign code holds one of its functions (an export, a callback); then
 * it stays.
 */

#ifndef TENURE_H
#define TENURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX != UINT64_MAX
#error "tenure: 64-bit platforms only"
#endif

/* DLPack's own structs; dlpack/dlpack.h completes them. */
struct DLManagedTensor;
struct DLManagedTensorVersioned;

/** Makes a tn_dtype of a TN_CODE_ and the bits of one element: TN_DTYPE(TN_CODE_FLOAT, 64u) is TN_F64. */
#define TN_DTYPE(code, bits) ((code) | ((bits) << 8) | 0x10000u)

/** An absent bound of a tn_slice_spec. */
#define TN_NONE INT64_MIN

/** Records this line as the place of what the thread makes and copies from now on: "step.c:41" in texts and reports. */
#define TN_HERE tn_here(__FILE__, __LINE__)

/** The legacy default stream of the device that the call is about. Never released. */
#define TN_STREAM_LEGACY ((tn_stream *)1)
/** The per-thread default stream of that device. Never released. */
#define TN_STREAM_PER_THREAD ((tn_stream *)2)
/** The thread's current stream of that device. Never released. */
#define TN_STREAM_CURRENT ((tn_stream *)3)

/** Version of this header: major << 16 | minor << 8 | patch. */
#define TN_VERSION 256

/** Result of every function: TN_OK or one of TN_ERR_*. There is no second success code. */
typedef int32_t tn_status;
/** The call did what it says. */
#define TN_OK 0
/** An argument that must not be NULL is NULL. */
#define TN_ERR_NULL 1
/** The id was released. */
#define TN_ERR_STALE 2
/** A handle of another kind, or no handle at all. */
#define TN_ERR_KIND 3
/** The handle's claim was taken; only its release works. */
#define TN_ERR_DESTRUCTED 4
/** The handle was given away and its promise is outstanding. */
#define TN_ERR_GIVEN 5
/** A failed writer left the bytes undefined. */
#define TN_ERR_POISONED 6
/** The handle or its memory must not be written. */
#define TN_ERR_READONLY 7
/** An open write guard overlaps. */
#define TN_ERR_BORROWED_WRITE 8
/** An open read guard overlaps. */
#define TN_ERR_BORROWED 9
/** An export is alive. */
#define TN_ERR_EXPORTED 10
/** Other handles claim the store. */
#define TN_ERR_SHARED 11
/** A lazy expression holds the store; the text names its operation. */
#define TN_ERR_IN_EXPRESSION 12
/** Device work is not finished. */
#define TN_ERR_PENDING 13
/** The bytes are lent, or not of this pool. */
#define TN_ERR_FOREIGN 14
/** A number of things that does not fit: too few, too many. */
#define TN_ERR_COUNT 15
/** The same thing twice where it may stand once. */
#define TN_ERR_DUPLICATE 16
/** An index, axis, address or id that is not there. */
#define TN_ERR_RANGE 17
/** What the arguments alone show: flags, modes, struct sizes, counts, step 0. */
#define TN_ERR_INVALID 18
/** An element type that is unknown or does not fit. */
#define TN_ERR_DTYPE 19
/** A shape that is wrong or does not fit. */
#define TN_ERR_SHAPE 20
/** A layout with which only a copy would do, or none. */
#define TN_ERR_LAYOUT 21
/** Another device, or one that does not exist. */
#define TN_ERR_DEVICE 22
/** An alias was demanded and only a copy would do. */
#define TN_ERR_WOULD_COPY 23
/** Bytes of two things overlap that must be apart. */
#define TN_ERR_ALIASED 24
/** The operation, or the caller's callback, failed. */
#define TN_ERR_FAILED 25
/** The host has no memory left. */
#define TN_ERR_NO_HOST_MEMORY 26
/** The device has no memory left. */
#define TN_ERR_NO_DEVICE_MEMORY 27
/** The pool's max_size is reached. */
#define TN_ERR_POOL_LIMIT 28
/** Not possible here; the text says what is missing. */
#define TN_ERR_UNSUPPORTED 29
/** The device's driver reported an error. */
#define TN_ERR_DRIVER 30
/** A file could not be opened, read or written, or is damaged. */
#define TN_ERR_IO 31
/** Sizes that overflow; tables that are full. */
#define TN_ERR_LIMIT 32
/** A bug of the library, stopped at the border. */
#define TN_ERR_PANIC 33

/** Where memory comes from. Given back by `tn_pool_release`. */
typedef struct tn_pool tn_pool;
/** An order of device work. */
typedef struct tn_stream tn_stream;
/** One claim on a store, with a layout. Given back by `tn_array_release`. */
typedef struct tn_array tn_array;
/** A handle without a claim. Given back by `tn_weak_release`. */
typedef struct tn_weak tn_weak;
/** An open guard on bytes. Given back by `tn_borrow_end`. */
typedef struct tn_borrow tn_borrow;
/** A given array on its way. Given back by `tn_promise_release`. */
typedef struct tn_promise tn_promise;

/** A device, as in DLPack's DLDevice; passed by value. */
typedef struct tn_device {
    /** TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED. */
    int32_t type;
    /** Which one; 0 on the host. */
    int32_t id;
} tn_device;

/** Ordinary host memory. */
#define TN_CPU 1
/** Memory of a CUDA device. */
#define TN_CUDA 2
/** Page-locked host memory. */
#define TN_CUDA_HOST 3
/** CUDA managed memory. */
#define TN_CUDA_MANAGED 13

/** Element type: code | bits << 8 | lanes << 16, lanes 1; in memory a DLDataType. */
typedef uint32_t tn_dtype;
/** Code of signed integers. */
#define TN_CODE_INT 0
/** Code of unsigned integers. */
#define TN_CODE_UINT 1
/** Code of IEEE floating point numbers. */
#define TN_CODE_FLOAT 2
/** Code of bfloat16. */
#define TN_CODE_BFLOAT 4
/** Code of complex numbers; bits count both components. */
#define TN_CODE_COMPLEX 5
/** Code of booleans, one byte each. */
#define TN_CODE_BOOL 6
/** One byte: 0 or 1. */
#define TN_BOOL ((6u | (8u << 8)) | (1u << 16))
/** Signed, 8 bits. */
#define TN_I8 ((0u | (8u << 8)) | (1u << 16))
/** Signed, 16 bits. */
#define TN_I16 ((0u | (16u << 8)) | (1u << 16))
/** Signed, 32 bits. */
#define TN_I32 ((0u | (32u << 8)) | (1u << 16))
/** Signed, 64 bits. */
#define TN_I64 ((0u | (64u << 8)) | (1u << 16))
/** Unsigned, 8 bits. */
#define TN_U8 ((1u | (8u << 8)) | (1u << 16))
/** Unsigned, 16 bits. */
#define TN_U16 ((1u | (16u << 8)) | (1u << 16))
/** Unsigned, 32 bits. */
#define TN_U32 ((1u | (32u << 8)) | (1u << 16))
/** Unsigned, 64 bits. */
#define TN_U64 ((1u | (64u << 8)) | (1u << 16))
/** IEEE half precision. */
#define TN_F16 ((2u | (16u << 8)) | (1u << 16))
/** IEEE single precision. */
#define TN_F32 ((2u | (32u << 8)) | (1u << 16))
/** IEEE double precision. */
#define TN_F64 ((2u | (64u << 8)) | (1u << 16))
/** bfloat16. */
#define TN_BF16 ((4u | (16u << 8)) | (1u << 16))
/** Complex of two f32. */
#define TN_C64 ((5u | (64u << 8)) | (1u << 16))
/** Complex of two f64. */
#define TN_C128 ((5u | (128u << 8)) | (1u << 16))

/** Largest number of axes. */
#define TN_MAX_NDIM 64

/** `how`: the bytes are the same on both sides. */
#define TN_ALIASED 1
/** `how`: the bytes were copied. */
#define TN_COPIED 2

/** Crossing flag: may alias. */
#define TN_BORROW (1u << 0)

/**
 * Crossing flag: must alias, else TN_ERR_WOULD_COPY (TN_ERR_ALIASED where it would touch two stores); implies TN_BORROW.
 */
#define TN_REQUIRE_BORROW (1u << 1)

/** Crossing flag: keep the internal (device) form. */
#define TN_RAW (1u << 2)
/** Crossing flag: the callee may destroy the contents; implies TN_BORROW. */
#define TN_MAY_OVERWRITE (1u << 3)
/** Crossing flag: ownership moves in, with a release callback; copied only where aliasing is impossible. */
#define TN_TAKE (1u << 4)
/** Import: the release callback runs in `tn_run_releases` only. */
#define TN_RELEASE_QUEUED (1u << 5)
/** Crossing flag: no move between devices and no packing. */
#define TN_STRICT (1u << 6)
/** Outputs and updates: offer a spare buffer of an earlier call. */
#define TN_REUSE (1u << 7)
/** Import: the new handle is READONLY. */
#define TN_IMPORT_READONLY (1u << 8)
/** Import of a legacy DLPack struct: its producer lets us write. */
#define TN_IMPORT_WRITABLE (1u << 9)
/** Export: a shared view (XS), consumer and we may both read and write. */
#define TN_EXPORT_WRITABLE (1u << 10)
/** Export, beside TN_EXPORT_WRITABLE: exclusive (XW), nobody else reads or writes these bytes. */
#define TN_EXPORT_EXCLUSIVE (1u << 11)
/** Export: the caller's word that the consumer only reads, so that any format is XR. */
#define TN_EXPORT_CONSUMER_READS (1u << 12)
/** Export: negative strides are copied. */
#define TN_EXPORT_NONNEGATIVE (1u << 13)
/** Crossing flag: no ordering with streams; the caller has taken care. */
#define TN_UNORDERED (1u << 14)
/** Crossing flags and write modes: wait for the array's device work in place of TN_ERR_PENDING. */
#define TN_WAIT (1u << 19)

/** Write mode, the default: other handles on the store see the change. */
#define TN_WRITE_ALIASED 0
/** Write mode: only if nobody else holds the store, that is if `tn_array_why_not` gives 0. */
#define TN_WRITE_UNIQUE (1u << 0)
/** Write mode: if somebody else holds the store, this handle moves to a copy. */
#define TN_WRITE_COW (1u << 1)
/** With any write mode: the old contents are not needed; heals poison. */
#define TN_WRITE_DISCARD (1u << 2)
/** Reading: the bytes must not change; excludes shared views. */
#define TN_FROZEN (1u << 3)
/** Movement: TN_ERR_WOULD_COPY where bytes would be staged. */
#define TN_REQUIRE_ASYNC (1u << 4)
/** Access: reading. */
#define TN_READ (1u << 5)
/** Access: writing; alone it overwrites every element (implies TN_WRITE_DISCARD). */
#define TN_WRITE (1u << 6)
/** Access: reading and writing. */
#define TN_READ_WRITE (TN_READ | TN_WRITE)

/** Why not in place: the handle is given. */
#define TN_WHY_GIVEN (1u << 0)
/** Why not in place: another handle, or a promise whose handle was released, has a claim on the store. */
#define TN_WHY_SHARED (1u << 1)
/** Why not in place: a node of a lazy expression has a claim on the store. */
#define TN_WHY_IN_EXPRESSION (1u << 2)
/** Why not in place: the store has an export. */
#define TN_WHY_EXPORTED (1u << 3)
/** Why not in place: a guard overlaps the handle's region; its own guards count. */
#define TN_WHY_BORROWED (1u << 4)
/** Why not in place: the handle or the store is read-only. */
#define TN_WHY_READONLY (1u << 5)
/** Why not in place: the bytes are lent by an import without TN_MAY_OVERWRITE. */
#define TN_WHY_FOREIGN (1u << 6)
/** Why not in place: a poisoned region overlaps. */
#define TN_WHY_POISONED (1u << 7)
/** Why not in place, or why a copy: the layout does not fit. */
#define TN_WHY_LAYOUT (1u << 8)
/** Why not in place, or why a copy: another device. */
#define TN_WHY_DEVICE (1u << 9)
/** Why not in place: the store has more than twice the bytes that the target needs. */
#define TN_WHY_WASTE (1u << 10)
/** Why not in place, or why a copy: elements share bytes, or the range cannot be claimed as one store. */
#define TN_WHY_NOT_ALIASABLE (1u << 11)

/** Runs exactly once, on any thread, under no lock; may call the library. */
typedef void (*tn_release_callback)(void *context);

/** `tn_device_query`: also fill the memory fields. */
#define TN_QUERY_MEMORY (1u << 0)
/** Device feature: the driver's memory pools. */
#define TN_FEATURE_MEMORY_POOLS (1u << 0)
/** Device feature: managed memory. */
#define TN_FEATURE_MANAGED (1u << 1)
/** Device feature: managed memory that host and device may touch at the same time. */
#define TN_FEATURE_CONCURRENT_MANAGED (1u << 2)
/** Device feature: page-locked memory can be mapped. */
#define TN_FEATURE_MAP_HOST (1u << 3)
/** Device feature: the caller's memory can be page-locked. */
#define TN_FEATURE_HOST_REGISTER (1u << 4)
/** Device feature: read-only memory can be page-locked. */
#define TN_FEATURE_REGISTER_READ_ONLY (1u << 5)
/** Device feature: one address space for host and device. */
#define TN_FEATURE_UNIFIED_ADDRESSING (1u << 6)
/** Device feature: the device uses the host's memory. */
#define TN_FEATURE_INTEGRATED (1u << 7)
/** Device feature: allocations can be shared with other processes. */
#define TN_FEATURE_IPC (1u << 8)

/** What a device is; the counters are since the start of the process. */
typedef struct tn_device_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** UTF-8, NUL-terminated. */
    char name[128];
    /** All zero on the host. */
    uint8_t uuid[16];
    /** "0000:3b:00.0"; empty on the host. */
    char pci_bus_id[16];
    /** Compute capability, major. */
    int32_t compute_major;
    /** Compute capability, minor. */
    int32_t compute_minor;
    /** As the driver says: 1000 major + 10 minor. */
    int32_t driver_version;
    /** Number of multiprocessors; on the host of processors online. */
    int32_t multiprocessors;
    /** Threads of a warp; 1 on the host. */
    int32_t warp_size;
    /** TN_FEATURE_ bits. */
    uint32_t features;
    /** Default limit of a thread block's shared memory, bytes. */
    uint64_t block_memory_bytes;
    /** The same after raising it. */
    uint64_t block_memory_optin_bytes;
    /** Physical memory, bytes; on the host cut to the control group's limit. */
    uint64_t total_bytes;
    /** TN_QUERY_MEMORY: free now, as the system says. */
    uint64_t free_bytes;
    /** TN_QUERY_MEMORY: total - free. */
    uint64_t used_bytes;
    /** TN_QUERY_MEMORY: held by our pools. */
    uint64_t pool_bytes;
    /** TN_QUERY_MEMORY: of these reusable by us. */
    uint64_t pool_free_bytes;
    /** Copies to the device. */
    uint64_t to_device_count;
    /** Their bytes. */
    uint64_t to_device_bytes;
    /** Copies to the host. */
    uint64_t to_host_count;
    /** Their bytes. */
    uint64_t to_host_bytes;
    /** Bytes that went through staging memory. */
    uint64_t staged_bytes;
    /** Page-locked at the caller's wish now. */
    uint64_t registered_bytes;
    /** Imports whose release callback waits for `tn_run_releases`. */
    uint64_t queued_releases;
    /** Their bytes. */
    uint64_t queued_bytes;
} tn_device_info;

/** "none" or "never" in the fields of `tn_pool_options` marked (n). */
#define TN_POOL_NONE UINT64_MAX
/** Pool flag: touch initial_size at creation. */
#define TN_POOL_PREFAULT (1u << 0)
/** Pool flag: cache nothing. */
#define TN_POOL_DIRECT (1u << 1)
/** Pool flag, for tests: quarantine, patterns, exact peaks. */
#define TN_POOL_STRICT (1u << 2)
/** Pool flag: a block is cleared before anybody else can get it. */
#define TN_POOL_ZERO_ON_FREE (1u << 3)
/** Pool flag, host: segments from memfds. */
#define TN_POOL_SHAREABLE (1u << 4)
/** Pool flag, CUDA: whole driver allocations that can be exported. */
#define TN_POOL_IPC (1u << 5)
/** Page-locked memory usable from every CUDA context. */
#define TN_HOST_PORTABLE (1u << 0)
/** Page-locked memory mapped into the device's address space. */
#define TN_HOST_MAPPED (1u << 1)
/** Page-locked memory that is slow to read on the host. */
#define TN_HOST_WRITE_COMBINED (1u << 2)
/** Page-locking of memory that the host must not write. */
#define TN_HOST_READ_ONLY (1u << 3)
/** Without a driver: plain memory labelled TN_CPU in place of TN_ERR_UNSUPPORTED. */
#define TN_HOST_BEST_EFFORT (1u << 4)
/** Managed memory attached to all streams, the default. */
#define TN_MANAGED_GLOBAL 0
/** Managed memory attached to the host. */
#define TN_MANAGED_HOST (1u << 5)
/** Huge pages where they cost no resident memory. */
#define TN_HUGE_AUTO 0
/** No huge pages. */
#define TN_HUGE_NEVER 1
/** Huge pages from the reserved ones; falls back to TN_HUGE_AUTO. */
#define TN_HUGE_EXPLICIT 2
/** CUDA: mapped granules, else plain. */
#define TN_BACKEND_AUTO 0
/** CUDA: plain driver allocations. */
#define TN_BACKEND_PLAIN 1
/** CUDA: the driver's own pool. */
#define TN_BACKEND_DRIVER_POOL 2

/** How a pool works; 0 means the default in every field. */
typedef struct tn_pool_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Copied; at most 63 bytes of UTF-8. NULL: "pool-N". */
    const char *name;
    /** Bytes committed at creation; trim never goes below it. */
    uint64_t initial_size;
    /** Upper bound of one growth step, bytes. */
    uint64_t max_growth;
    /** Upper bound of committed bytes; 0: none. */
    uint64_t max_size;
    /** A step asks the device for max(what is needed, committed * (factor - 1)); at least 1. */
    double growth_factor;
    /** Power of two, 8 to 4 MiB; used where a call passes 0. Default 64 on the host. */
    uint64_t alignment;
    /** (n) Bytes of free blocks that one thread may keep. */
    uint64_t thread_cache_size;
    /** (n) Cached bytes above this go back to the device. */
    uint64_t release_threshold;
    /** (n) Free memory unused for so long goes back in a later call, ms. */
    uint64_t release_delay_ms;
    /** CUDA: bit mask of device ids that may also access the memory. */
    uint64_t peers;
    /** TN_HUGE_. */
    int32_t huge_pages;
    /** TN_BACKEND_. */
    int32_t backend;
    /** n prefers NUMA node n - 1; 0: no preference. */
    int32_t numa_node;
    /** TN_HOST_ or TN_MANAGED_. */
    uint32_t host_flags;
    /** TN_POOL_. */
    uint32_t flags;
    /** Zero. */
    uint32_t reserved;
} tn_pool_options;

/** What a pool holds and did; bytes unless the name says count. */
typedef struct tn_pool_stats {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Sum over live blocks of the size asked for. */
    uint64_t requested_bytes;
    /** Sum over live blocks of their usable size. */
    uint64_t in_use_bytes;
    /** Committed, in no live block, free to hand out. */
    uint64_t cached_bytes;
    /** Given back, but work on some stream may still touch it. */
    uint64_t pending_bytes;
    /** Committed but never usable: what is left of a span after its last block. */
    uint64_t overhead_bytes;
    /** Committed: in_use + cached + pending + overhead, exactly, in every query. */
    uint64_t reserved_bytes;
    /** Address space held, at least reserved_bytes. */
    uint64_t address_bytes;
    /** Committed bytes asked to be huge pages. */
    uint64_t huge_bytes;
    /** The library's own memory for this pool, not in reserved_bytes. */
    uint64_t metadata_bytes;
    /** Largest in_use_bytes since creation or reset_peak. */
    uint64_t peak_in_use_bytes;
    /** Largest reserved_bytes since creation or reset_peak. */
    uint64_t peak_reserved_bytes;
    /** Largest requested_bytes since creation or reset_peak. */
    uint64_t peak_requested_bytes;
    /** Allocations that returned TN_OK. */
    uint64_t allocation_count;
    /** Blocks given back. */
    uint64_t deallocation_count;
    /** Reallocations that returned TN_OK. */
    uint64_t reallocation_count;
    /** Calls that failed. */
    uint64_t failure_count;
    /** allocation_count - deallocation_count. */
    uint64_t live_blocks;
    /** Allocations served with no device call. */
    uint64_t hit_count;
    /** Allocations served with no slow path. */
    uint64_t thread_hit_count;
    /** Calls to the device for memory. */
    uint64_t device_allocate_count;
    /** Calls to the device that gave memory back. */
    uint64_t device_free_count;
    /** Bytes ever got from the device. */
    uint64_t device_bytes_total;
    /** Trims that gave something back. */
    uint64_t trim_count;
    /** Pressure callbacks called. */
    uint64_t pressure_count;
    /** Requests that ended in a status of no memory. */
    uint64_t oom_count;
    /** Wrong frees that were refused. */
    uint64_t misuse_count;
    /** Bytes that allocate_zeroed did not have to clear. */
    uint64_t zero_bytes_skipped;
    /** Largest block that can be handed out with no device call. */
    uint64_t largest_free_bytes;
    /** max_size; 0: none. */
    uint64_t limit_bytes;
    /** Threads that hold a cache now. */
    uint64_t thread_count;
    /** Of requested_bytes: in stores without a claim, kept by guards or exports. */
    uint64_t held_bytes;
    /** Of pending_bytes: an importer in another process is alive. */
    uint64_t shared_out_bytes;
} tn_pool_stats;

/** Row-major element order. */
#define TN_ORDER_C 0
/** Column-major element order. */
#define TN_ORDER_F 1
/** F if F- and not C-contiguous, else C. */
#define TN_ORDER_A 2
/** `tn_array_like` only: the axes keep the order of the prototype's strides. */
#define TN_ORDER_K 3

/** How a new array is made; NULL in its place means C order, no name. */
typedef struct tn_array_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** TN_ORDER_. */
    int32_t order;
    /** No flag is defined yet: 0. */
    uint32_t flags;
    /** NULL: the current one. */
    tn_stream *stream;
    /** Copied, 63 bytes of UTF-8 are kept; NULL: no name. */
    const char *name;
} tn_array_options;

/** How elements lie in raw memory. */
typedef struct tn_layout {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Element type. */
    tn_dtype dtype;
    /** Number of axes, 0 to TN_MAX_NDIM. */
    int32_t ndim;
    /** ndim lengths in elements; NULL only with ndim 0. */
    const int64_t *shape;
    /** ndim strides in bytes, signed; NULL: C order. */
    const int64_t *strides;
    /** Bytes from the pointer to element (0,..,0). */
    int64_t offset;
} tn_layout;

/** Array flag: C-contiguous. */
#define TN_C_CONTIGUOUS (1u << 0)
/** Array flag: F-contiguous. */
#define TN_F_CONTIGUOUS (1u << 1)
/** Array flag: the handle or its store must not be written. */
#define TN_READONLY (1u << 2)
/** Array flag: address and strides are multiples of the element's alignment. */
#define TN_ALIGNED (1u << 3)
/** Array flag: two index tuples reach the same byte. */
#define TN_SELF_OVERLAP (1u << 4)
/** Array flag: the bytes are lent by somebody who may still use them. */
#define TN_FOREIGN (1u << 5)
/** Array flag: page-locked. */
#define TN_PINNED (1u << 6)
/** Array flag: page-locked and mapped into the device's address space. */
#define TN_MAPPED (1u << 7)
/** Array flag: page-locked and slow to read on the host. */
#define TN_WRITE_COMBINED (1u << 8)

/** What an array is. */
typedef struct tn_array_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Element type. */
    tn_dtype dtype;
    /** Number of axes. */
    int32_t ndim;
    /** Where the bytes live. */
    tn_device device;
    /** TN_C_CONTIGUOUS .. TN_WRITE_COMBINED. */
    uint32_t flags;
    /** Zero. */
    uint32_t reserved;
    /** Bytes of the elements. */
    uint64_t bytes;
    /** Number of elements. */
    uint64_t count;
    /** Bytes of the whole store. */
    uint64_t store_bytes;
    /** Bytes from the store's start to element (0,..,0). */
    int64_t offset;
    /** NUL-terminated; empty without a name. */
    char name[64];
    /** Lengths in elements; only the first ndim entries are written. */
    int64_t shape[TN_MAX_NDIM];
    /** Strides in bytes; only the first ndim entries are written. */
    int64_t strides[TN_MAX_NDIM];
} tn_array_info;

/** `tn_array_open_npy`: mapped, read-only; the default. */
#define TN_NPY_READ 0
/** `tn_array_open_npy`: mapped, writable, the file never changes. */
#define TN_NPY_COW 1
/** `tn_array_open_npy`: mapped, writes reach the file. */
#define TN_NPY_WRITE 2
/** `tn_array_open_npy`: read into the pool's memory. */
#define TN_NPY_COPY 3
/** `tn_array_save_npy`: sync file and directory before returning. */
#define TN_IO_SYNC (1u << 0)
/** `tn_array_save_npy`: an existing target is TN_ERR_IO. */
#define TN_IO_EXCLUSIVE (1u << 1)

/** How a `.npy` file is opened. */
typedef struct tn_npy_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** TN_NPY_. */
    uint32_t mode;
    /** Used only where path is NULL; stays the caller's. */
    int32_t fd;
    /** TN_NPY_COPY: where the bytes go; NULL: the thread's current host pool. */
    tn_pool *pool;
    /** A longer header is TN_ERR_LIMIT; 0: 64 KiB. */
    uint64_t max_header_bytes;
} tn_npy_options;

/** One axis of a slice, as in Python; TN_NONE is an absent bound. */
typedef struct tn_slice_spec {
    /** First index; negative counts from the end. */
    int64_t start;
    /** One past the last index. */
    int64_t stop;
    /** Not 0; TN_NONE: 1. */
    int64_t step;
} tn_slice_spec;

/** No byte in common. */
#define TN_OVERLAP_NONE 0
/** The same elements in the same order. */
#define TN_OVERLAP_EXACT 1
/** Bytes in common. */
#define TN_OVERLAP_SOME 2
/** Not decided; counts as overlap. */
#define TN_OVERLAP_UNKNOWN 3

/** `tn_borrow_end`: the writer failed, its region is poisoned until it is rewritten. */
#define TN_END_FAILED (1u << 0)

/** One part of `tn_array_chunks_write`. */
typedef struct tn_chunk {
    /** Ended by `tn_borrow_end`, each on its own. */
    tn_borrow *guard;
    /** First element; NULL if the part is empty. */
    void *data;
    /** First index along the axis. */
    int64_t start;
    /** Number of indices along the axis. */
    int64_t length;
} tn_chunk;

/** What a guard lets the caller touch; begins like DLTensor, but strides are bytes. */
typedef struct tn_view_info {
    /** Element (0,..,0); NULL if there is none. A reader must not write there. */
    void *data;
    /** Where the bytes live. */
    tn_device device;
    /** Number of axes. */
    int32_t ndim;
    /** Element type. */
    tn_dtype dtype;
    /** ndim lengths in elements; the guard's, valid until it ends. */
    const int64_t *shape;
    /** ndim strides in bytes; the guard's, valid until it ends. */
    const int64_t *strides;
    /** Address on the device; 0: the device cannot reach it. */
    uint64_t device_data;
    /** Bytes of the elements. */
    uint64_t bytes;
} tn_view_info;

/** One entry of `tn_borrow_all`. */
typedef struct tn_borrow_spec {
    /** The array. */
    tn_array *array;
    /** Who touches the bytes; NULL: the host, now. */
    tn_stream *stream;
    /** TN_READ, TN_READ_WRITE or TN_WRITE, with TN_WRITE_ mode bits, TN_FROZEN, TN_WAIT. */
    uint32_t access;
    /** Zero. */
    uint32_t reserved;
} tn_borrow_spec;

/** What an open guard gives access to. */
typedef struct tn_borrow_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Element (0,..,0). */
    void *data;
    /** Address on the device; 0: the device cannot reach it. */
    uint64_t device_data;
    /** Bytes of the elements. */
    uint64_t bytes;
} tn_borrow_info;

/** Holder: an array handle. */
#define TN_HOLDER_HANDLE 1
/** Holder: a promise. */
#define TN_HOLDER_PROMISE 2
/** Holder: a node of a lazy expression. */
#define TN_HOLDER_EXPRESSION 3
/** Holder: a shared variable. */
#define TN_HOLDER_SHARED_VARIABLE 4
/** Holder: a read-only export (XR). */
#define TN_HOLDER_EXPORT_READ 5
/** Holder: a shared view (XS). */
#define TN_HOLDER_EXPORT_SHARED 6
/** Holder: an exclusive export (XW). */
#define TN_HOLDER_EXPORT_EXCLUSIVE 7
/** Holder: a read guard. */
#define TN_HOLDER_GUARD_READ 8
/** Holder: a write guard. */
#define TN_HOLDER_GUARD_WRITE 9
/** Not given back: raw memory of a pool. */
#define TN_HOLDER_BLOCK 10
/** Not given back: a pool. */
#define TN_HOLDER_POOL 11
/** Not given back: a stream. */
#define TN_HOLDER_STREAM 12
/** Not given back: an event. */
#define TN_HOLDER_EVENT 13
/** Not given back: a scope. */
#define TN_HOLDER_SCOPE 14
/** Not given back: a weak handle. */
#define TN_HOLDER_WEAK 15
/** Not given back: a function. */
#define TN_HOLDER_FUNCTION 16
/** Not given back: a mirror. */
#define TN_HOLDER_MIRROR 17
/** Not called yet: a release callback that waits for `tn_run_releases`. */
#define TN_HOLDER_QUEUED_RELEASE 18

/** Who holds a store, or what was not given back. */
typedef struct tn_holder {
    /** TN_HOLDER_. */
    int32_t kind;
    /** Where the bytes live. */
    tn_device device;
    /** Zero. */
    int32_t reserved;
    /** The handle's bits; TN_HOLDER_BLOCK: the address. */
    uint64_t id;
    /** Of its store or block. */
    uint64_t bytes;
    /** The system's number of the thread that made it. */
    uint64_t thread;
    /** When it was made, ns since the epoch; 0 where no time is kept. */
    uint64_t time_ns;
    /** Name of its array, pool, ..; NUL-terminated. */
    char name[64];
    /** TN_HERE when it was made: "step.c:41"; the end of a longer one; "" if none. */
    char site[64];
} tn_holder;

/** A store, or a raw block of a pool. */
typedef struct tn_store_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** First byte. */
    uint64_t address;
    /** All of it. */
    uint64_t bytes;
    /** Where it lives. */
    tn_device device;
    /** TN_READONLY, TN_FOREIGN, TN_PINNED, TN_MAPPED, TN_WRITE_COMBINED. */
    uint32_t flags;
    /** Zero. */
    uint32_t reserved;
    /** Grows with each finished write. */
    uint64_t version;
    /** "" if foreign; NUL-terminated. */
    char pool_name[64];
} tn_store_info;

/** What one would like to put into an array's bytes. */
typedef struct tn_target {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Where it shall live. */
    tn_device device;
    /** Element type. */
    tn_dtype dtype;
    /** Number of axes. */
    int32_t ndim;
    /** ndim lengths in elements; NULL only with ndim 0. */
    const int64_t *shape;
} tn_target;

/** How a DLPack struct is made; NULL in its place: a copy, labelled as is. */
typedef struct tn_dlpack_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** TN_BORROW, TN_REQUIRE_BORROW, TN_EXPORT_*, TN_UNORDERED, TN_WAIT. */
    uint32_t flags;
    /** With TN_EXPORT_WRITABLE: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0. */
    uint32_t mode;
    /** Pinned and managed memory: 0 = as is, TN_CPU, TN_CUDA. */
    int32_t label;
    /** Zero. */
    int32_t reserved;
    /** Where the consumer wants it; {0, 0}: where it is. */
    tn_device target;
    /** Made to wait for pending work; NULL: the legacy stream. */
    tn_stream *consumer;
} tn_dlpack_options;

/** All copies at borders from one place. */
typedef struct tn_copy_site {
    /** The tn_ function; static text. */
    const char *function;
    /** TN_HERE; "" if none. */
    char site[64];
    /** TN_WHY_ bits. */
    uint32_t why;
    /** 1: the caller would have taken an alias; 0: the call's contract is a copy. */
    int32_t forced;
    /** How many copies. */
    uint64_t count;
    /** Their bytes. */
    uint64_t bytes;
    /** Zero. */
    uint64_t reserved;
} tn_copy_site;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ==================================================== library ==================================================== */
/** @defgroup library version, statuses, texts */

/**
 * The version of the library that runs, made like TN_VERSION.
 *
 * @return major << 16 | minor << 8 | patch.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup library
 */
uint32_t tn_version(void);

/**
 * The symbolic name of a status.
 *
 * @param status   any number.
 * @return "TN_ERR_STALE" and the like, "TN_ERR_?" for an unknown one. Static text, never NULL.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup library
 */
const char *tn_status_name(tn_status status);

/**
 * The text of this thread's last failure: the function, what was wrong, the offending values, what to do.
 *
 * @return NUL-terminated UTF-8, "" if nothing failed yet; never NULL. The library's, valid until the thread's next failure.
 * @note Threads: any; the text is the calling thread's own. Where tasks change threads between two calls (goroutines, virtual
 *       threads), pin the thread for the call and this one. Never fails.
 * @since 0.1
 * @ingroup library
 */
const char *tn_last_error(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TENURE_H */
