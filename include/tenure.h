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
 * **Status.** Every function returns a `tn_status`, TN_OK or one of TN_ERR_*. The exceptions cannot fail: `tn_version`,
 * `tn_status_name`, `tn_last_error` and the three functions for the TN_STREAM_* constants. A call that fails has changed
 * nothing and has left its outputs untouched: what the caller owned before, the caller owns still. `tn_last_error` then
 * has a sentence with the offending values, per thread.
 *
 * **Order of parameters.** Inputs first, a count before its array (raw memory: the pointer, then its bytes), a
 * callback before its context; outputs last. An output whose text says "may be NULL" may be; any other NULL is
 * TN_ERR_NULL. A count is a `size_t` named n_ and what it counts; numbers of axes (`ndim`) and axes are `int32_t`.
 *
 * **Outputs of unknown length.** A query of a list takes `item_size`, the sizeof of the caller's struct, and `capacity`,
 * the number of items that the caller has room for. It writes the first `capacity` items and the number of all, and
 * returns TN_OK. Of each item it writes `item_size` bytes: fields that the library does not know are zeroed. A text is
 * written as by snprintf: cut off at `capacity` bytes with its NUL, and the length of the whole text is an output. A
 * call that makes handles makes all of them or, with too little room, none: TN_ERR_COUNT.
 *
 * **Order of checks.** The arguments alone: NULL, STALE, KIND, INVALID; the handle's state: DESTRUCTED, GIVEN; the
 * arguments against the array: COUNT, DUPLICATE, DTYPE, OVERFLOW, SHAPE, RANGE, LAYOUT, DEVICE, UNSUPPORTED; what
 * others do with it: POISONED, READONLY, BORROWED_WRITE, BORROWED, EXPORTED, SHARED, IN_EXPRESSION, PENDING, FOREIGN,
 * ALIASED, WOULD_COPY; the work: FAILED, NO_HOST_MEMORY, NO_DEVICE_MEMORY, POOL_LIMIT, DRIVER, IO, LIMIT, PANIC. The
 * first in this list wins, then the leftmost parameter. So a wrong argument gives the same answer whoever else holds
 * the array.
 *
 * **how.** Where bytes cross the library's border, an output `how` tells what became of them: TN_ALIASED or
 * TN_COPIED. It may be NULL.
 *
 * **size.** A struct that begins with `size` can grow: the caller sets it to sizeof, and zero in any other field asks
 * for the default. A struct larger than the library knows is accepted while its unknown tail is zero. A struct in a
 * list has no `size`: `item_size` says it. The structs tn_slice_spec, tn_borrow_spec, tn_chunk and tn_view_info keep
 * their size and have reserved words instead. Fields named `reserved` are zero; in an input anything else is
 * TN_ERR_INVALID.
 *
 * **Constants.** Each family of constants has a type, an unsigned integer of 32 bits, and its constants stand below the
 * type in one anonymous enum. A signature names the family whose constants it takes. Two families may give one value to
 * two constants; a constant that belongs to several families (TN_WAIT) has one value in all of them. A bit that is
 * unknown, or that the function does not take, is TN_ERR_INVALID.
 *
 * **Other languages.** rust-bindgen, cffi, SWIG, zig translate-c and cgo take this file as it is: every function, and
 * every constant of a family. TN_VERSION, TN_NONE and TN_POOL_NONE are variables, and macros for C. What cannot cross
 * is a macro with arguments, the caller's `__FILE__` or a cast: for TN_DTYPE and TN_SLICE write the values; for TN_HERE
 * call `tn_here` with a file and a line; for TN_STREAM_* call `tn_stream_legacy`, `tn_stream_per_thread` or
 * `tn_stream_of_thread`.
 *
 * **stream.** NULL means "the host, now" in a borrow and its end, "done on return" in movement, and the thread's
 * current stream in pools and options. On host memory the constants TN_STREAM_* mean the same as NULL; any other
 * stream is refused.
 *
 * **pool.** NULL means the thread's current pool of the device in question: the process-wide default, until
 * `tn_pool_set_current` names another. In a call that is given a block, NULL means the pool that has the block.
 *
 * **Strides** are in bytes and may be negative or 0; shapes and indices are in elements.
 *
 * **Threads.** Any function may be called from any thread at any time; what must not happen at the same time is a
 * status too. No callback runs under a lock of the library, and every callback may call the library. No function
 * waits for another holder. None may be called from a signal handler, which may have interrupted the library.
 *
 * **Fork, exit, unload.** Nothing runs when the library is loaded or unloaded. Host memory stays usable in a child
 * after fork. The library may be unloaded until foreign code holds one of its functions (an export, a callback); then
 * it stays. As long as a thread lives that called it, dlclose leaves it where it is, with all its handles.
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
struct DLPackExchangeAPI;

/* Arrow's own structs; arrow/c/abi.h completes them. */
struct ArrowSchema;
struct ArrowArray;
struct ArrowDeviceArray;

/* UMF's own tables; umf/memory_pool_ops.h and umf/memory_provider_ops.h complete them. */
struct umf_memory_pool_ops_t;
struct umf_memory_provider_ops_t;

#ifdef __cplusplus
/** Begins a family of constants: in C++ of unsigned type, so that flags joined by | are still flags. */
#define TN_ENUM enum : uint32_t
/** Makes a pointer constant. */
#define TN_POINTER(type, bits) (reinterpret_cast<type *>(bits))
#else
/** Begins a family of constants. */
#define TN_ENUM enum
/** Makes a pointer constant. */
#define TN_POINTER(type, bits) ((type *)(bits))
#endif

/** Makes a tn_dtype of a TN_CODE_ and the bits of one element: TN_DTYPE(TN_CODE_FLOAT, 64u) is TN_F64. */
#define TN_DTYPE(code, bits) ((code) | ((bits) << 8) | 0x10000u)

/** Initialises a tn_slice_spec. */
#define TN_SLICE(start, stop, step) {(start), (stop), (step), {0, 0, 0, 0}}

/** Records this line as the place of what the thread makes and copies from now on: "step.c:41" in texts and reports. */
#define TN_HERE tn_here(__FILE__, __LINE__)

/** The legacy default stream of the device that the call is about. Never released. */
#define TN_STREAM_LEGACY TN_POINTER(tn_stream, 1)
/** The per-thread default stream of that device. Never released. */
#define TN_STREAM_PER_THREAD TN_POINTER(tn_stream, 2)
/** The thread's current stream of that device. Never released. */
#define TN_STREAM_CURRENT TN_POINTER(tn_stream, 3)

/** Version of this header: major << 16 | minor << 8 | patch. */
static const uint32_t TN_VERSION = 0x100;
#ifndef SWIG
#define TN_VERSION 0x100
#endif

/** Result of every function: TN_OK or one of TN_ERR_*. There is no second success code. */
typedef uint32_t tn_status;
TN_ENUM {
    /** The call did what it says. */
    TN_OK = 0,
    /** An argument that must not be NULL is NULL. */
    TN_ERR_NULL = 1,
    /** The id was released. */
    TN_ERR_STALE = 2,
    /** A handle of another kind, or no handle at all. */
    TN_ERR_KIND = 3,
    /** The handle's claim was taken; only its release works. */
    TN_ERR_DESTRUCTED = 4,
    /** The handle was given away and its promise is outstanding. */
    TN_ERR_GIVEN = 5,
    /** A failed writer left the bytes undefined. */
    TN_ERR_POISONED = 6,
    /** The handle or its memory must not be written. */
    TN_ERR_READONLY = 7,
    /** An open write guard overlaps. */
    TN_ERR_BORROWED_WRITE = 8,
    /** An open read guard overlaps. */
    TN_ERR_BORROWED = 9,
    /** An export is alive. */
    TN_ERR_EXPORTED = 10,
    /** Other handles claim the store. */
    TN_ERR_SHARED = 11,
    /** A lazy expression holds the store; the text names its operation. */
    TN_ERR_IN_EXPRESSION = 12,
    /** Device work is not finished. */
    TN_ERR_PENDING = 13,
    /** The bytes are lent, or not of this pool. */
    TN_ERR_FOREIGN = 14,
    /** A number of things that does not fit: too few, too many. */
    TN_ERR_COUNT = 15,
    /** The same thing twice where it may stand once. */
    TN_ERR_DUPLICATE = 16,
    /** An index, axis, address or id that is not there. */
    TN_ERR_RANGE = 17,
    /** What the arguments alone show: flags, modes, struct sizes, counts, step 0. */
    TN_ERR_INVALID = 18,
    /** An element type that is unknown or does not fit. */
    TN_ERR_DTYPE = 19,
    /** A shape that is wrong or does not fit. */
    TN_ERR_SHAPE = 20,
    /** A layout with which only a copy would do, or none. */
    TN_ERR_LAYOUT = 21,
    /** Another device, or one that does not exist. */
    TN_ERR_DEVICE = 22,
    /** An alias was demanded and only a copy would do. */
    TN_ERR_WOULD_COPY = 23,
    /** Bytes of two things overlap that must be apart. */
    TN_ERR_ALIASED = 24,
    /** The operation, or the caller's callback, failed. */
    TN_ERR_FAILED = 25,
    /** The host has no memory left. */
    TN_ERR_NO_HOST_MEMORY = 26,
    /** The device has no memory left. */
    TN_ERR_NO_DEVICE_MEMORY = 27,
    /** The pool's max_size is reached. */
    TN_ERR_POOL_LIMIT = 28,
    /** Not possible here; the text says what is missing. */
    TN_ERR_UNSUPPORTED = 29,
    /** The device's driver reported an error. */
    TN_ERR_DRIVER = 30,
    /** A file could not be opened, read or written, or is damaged. */
    TN_ERR_IO = 31,
    /** A table of the library is full, or a limit is exceeded that the format or the caller sets. */
    TN_ERR_LIMIT = 32,
    /** A bug of the library, stopped at the border. */
    TN_ERR_PANIC = 33,
    /** A size that does not fit into 64 bits, or more than TN_MAX_NDIM axes. */
    TN_ERR_OVERFLOW = 34,
};

/** Where memory comes from. Given back by `tn_pool_release`. */
typedef struct tn_pool tn_pool;
/** An order of device work. Given back by `tn_stream_release`; the constants TN_STREAM_* never. */
typedef struct tn_stream tn_stream;
/** A point in a stream. Given back by `tn_event_release`. */
typedef struct tn_event tn_event;
/** One claim on a store, with a layout. Given back by `tn_array_release`. */
typedef struct tn_array tn_array;
/** A handle without a claim. Given back by `tn_weak_release`. */
typedef struct tn_weak tn_weak;
/** An open guard on bytes. Given back by `tn_borrow_end`. */
typedef struct tn_borrow tn_borrow;
/** A given array on its way. Given back by `tn_promise_release`. */
typedef struct tn_promise tn_promise;
/** A callee's handles on its parameters. Given back by `tn_leave`. */
typedef struct tn_scope tn_scope;
/** A stream that is current until the scope is left. Given back by `tn_stream_leave`. */
typedef struct tn_stream_scope tn_stream_scope;

/** A node of a lazy expression. Given back by `tn_expr_release`. */
typedef struct tn_expr tn_expr;

/** Type of a device, as in DLPack's DLDeviceType: TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED. */
typedef uint32_t tn_device_type;
TN_ENUM {
    /** Ordinary host memory. */
    TN_CPU = 1,
    /** Memory of a CUDA device. */
    TN_CUDA = 2,
    /** Page-locked host memory. */
    TN_CUDA_HOST = 3,
    /** CUDA managed memory. */
    TN_CUDA_MANAGED = 13,
};

/** A device, as in DLPack's DLDevice; passed by value. */
typedef struct tn_device {
    /** TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED. */
    tn_device_type type;
    /** Which one; 0 on the host. */
    int32_t id;
} tn_device;

/** Kind of an element type: one of TN_CODE_*, as in DLPack's DLDataTypeCode. */
typedef uint32_t tn_dtype_code;
TN_ENUM {
    /** Code of signed integers. */
    TN_CODE_INT = 0,
    /** Code of unsigned integers. */
    TN_CODE_UINT = 1,
    /** Code of IEEE floating point numbers. */
    TN_CODE_FLOAT = 2,
    /** Code of bfloat16. */
    TN_CODE_BFLOAT = 4,
    /** Code of complex numbers; bits count both components. */
    TN_CODE_COMPLEX = 5,
    /** Code of booleans, one byte each. */
    TN_CODE_BOOL = 6,
};

/** Element type: code | bits << 8 | lanes << 16, lanes 1; in memory a DLDataType. */
typedef uint32_t tn_dtype;
TN_ENUM {
    /** One byte: 0 or 1. */
    TN_BOOL = 0x10806,
    /** Signed, 8 bits. */
    TN_I8 = 0x10800,
    /** Signed, 16 bits. */
    TN_I16 = 0x11000,
    /** Signed, 32 bits. */
    TN_I32 = 0x12000,
    /** Signed, 64 bits. */
    TN_I64 = 0x14000,
    /** Unsigned, 8 bits. */
    TN_U8 = 0x10801,
    /** Unsigned, 16 bits. */
    TN_U16 = 0x11001,
    /** Unsigned, 32 bits. */
    TN_U32 = 0x12001,
    /** Unsigned, 64 bits. */
    TN_U64 = 0x14001,
    /** IEEE half precision. */
    TN_F16 = 0x11002,
    /** IEEE single precision. */
    TN_F32 = 0x12002,
    /** IEEE double precision. */
    TN_F64 = 0x14002,
    /** bfloat16. */
    TN_BF16 = 0x11004,
    /** Complex of two f32. */
    TN_C64 = 0x14005,
    /** Complex of two f64. */
    TN_C128 = 0x18005,
};

/**
 * An absent bound or step of a tn_slice_spec. It is smaller than every index, and so is INT64_MIN, which means the same.
 */
static const int64_t TN_NONE = -9223372036854775807;
#ifndef SWIG
#define TN_NONE (-9223372036854775807)
#endif

TN_ENUM {
    /** Largest number of axes. */
    TN_MAX_NDIM = 64,
};

/** What happened to bytes at the border: TN_ALIASED or TN_COPIED. */
typedef uint32_t tn_how;
TN_ENUM {
    /** `how`: the bytes are the same on both sides. */
    TN_ALIASED = 1,
    /** `how`: the bytes were copied. */
    TN_COPIED = 2,
};

/** Flags of imports and exports: how bytes may cross the border of the library. */
typedef uint32_t tn_crossing_flags;
TN_ENUM {
    /** Crossing flag: may alias. */
    TN_BORROW = 1 << 0,
    /**
     * Crossing flag: must alias, else TN_ERR_WOULD_COPY (TN_ERR_ALIASED where it would touch two stores); implies TN_BORROW.
     */
    TN_REQUIRE_BORROW = 1 << 1,
    /** Crossing flag: the callee may destroy the contents; implies TN_BORROW. */
    TN_MAY_OVERWRITE = 1 << 3,
    /** Crossing flag: ownership moves in, with a release callback; copied only where aliasing is impossible. */
    TN_TAKE = 1 << 4,
    /** Import: the release callback runs in `tn_run_releases` only. */
    TN_RELEASE_QUEUED = 1 << 5,
    /** Import: the new handle is READONLY. */
    TN_IMPORT_READONLY = 1 << 8,
    /** Import of a legacy DLPack struct: its producer lets us write. */
    TN_IMPORT_WRITABLE = 1 << 9,
    /** Export: a shared view (XS), consumer and we may both read and write. */
    TN_EXPORT_WRITABLE = 1 << 10,
    /** Export, beside TN_EXPORT_WRITABLE: exclusive (XW), nobody else reads or writes these bytes. */
    TN_EXPORT_EXCLUSIVE = 1 << 11,
    /** Export: the caller's word that the consumer only reads, so that any format is XR. */
    TN_EXPORT_CONSUMER_READS = 1 << 12,
    /** Export: negative strides are copied. */
    TN_EXPORT_NONNEGATIVE = 1 << 13,
    /** Crossing flag: no ordering with streams; the caller has taken care. */
    TN_UNORDERED = 1 << 14,
    /**
     * Waits for the array's device work in place of TN_ERR_PENDING. It is one bit in tn_crossing_flags, tn_write_mode,
     * tn_borrow_flags and tn_access.
     */
    TN_WAIT = 1 << 19,
};

/**
 * How a writer treats other handles on the store: one of TN_WRITE_ALIASED, TN_WRITE_UNIQUE and TN_WRITE_COW, with
 * modifier bits.
 *
 * The bits of tn_write_mode, tn_borrow_flags and tn_access do not overlap, and TN_WAIT is one bit in all of them.
 */
typedef uint32_t tn_write_mode;
TN_ENUM {
    /** Write mode, the default: other handles on the store see the change. */
    TN_WRITE_ALIASED = 0,
    /** Write mode: only if nobody else holds the store, that is if `tn_array_why_not` gives 0. */
    TN_WRITE_UNIQUE = 1 << 0,
    /** Write mode: if somebody else holds the store, this handle moves to a copy. */
    TN_WRITE_COW = 1 << 1,
    /** Modifier of a write mode: the old contents are not needed; heals poison. */
    TN_WRITE_DISCARD = 1 << 2,
    /** Modifier of a write mode in copies: TN_ERR_WOULD_COPY where bytes would be staged. */
    TN_REQUIRE_ASYNC = 1 << 4,
};

/** Flags of a read borrow: TN_FROZEN, TN_WAIT. */
typedef uint32_t tn_borrow_flags;
TN_ENUM {
    /** Reading: the bytes must not change; excludes shared views. */
    TN_FROZEN = 1 << 3,
};

/**
 * What an access does: TN_READ, TN_WRITE or TN_READ_WRITE, with bits of tn_borrow_flags for reading and of
 * tn_write_mode for writing.
 */
typedef uint32_t tn_access;
TN_ENUM {
    /** Access: reading. */
    TN_READ = 1 << 5,
    /** Access: writing; alone it overwrites every element (implies TN_WRITE_DISCARD). */
    TN_WRITE = 1 << 6,
    /** Access: reading and writing. */
    TN_READ_WRITE = TN_READ | TN_WRITE,
};

/** Reasons why bytes cannot be overwritten in place, or why they were copied. */
typedef uint32_t tn_why;
TN_ENUM {
    /** Why not in place: the handle is given. */
    TN_WHY_GIVEN = 1 << 0,
    /** Why not in place: another handle, or a promise whose handle was released, has a claim on the store. */
    TN_WHY_SHARED = 1 << 1,
    /** Why not in place: a node of a lazy expression has a claim on the store. */
    TN_WHY_IN_EXPRESSION = 1 << 2,
    /** Why not in place: the store has an export. */
    TN_WHY_EXPORTED = 1 << 3,
    /** Why not in place: a guard overlaps the handle's region; its own guards count. */
    TN_WHY_BORROWED = 1 << 4,
    /** Why not in place: the handle or the store is read-only. */
    TN_WHY_READONLY = 1 << 5,
    /** Why not in place: the bytes are lent by an import without TN_MAY_OVERWRITE. */
    TN_WHY_FOREIGN = 1 << 6,
    /** Why not in place: a poisoned region overlaps. */
    TN_WHY_POISONED = 1 << 7,
    /** Why not in place, or why a copy: the layout does not fit. */
    TN_WHY_LAYOUT = 1 << 8,
    /** Why not in place, or why a copy: another device. */
    TN_WHY_DEVICE = 1 << 9,
    /** Why not in place: the store has more than twice the bytes that the target needs. */
    TN_WHY_WASTE = 1 << 10,
    /** Why not in place, or why a copy: elements share bytes, or the range cannot be claimed as one store. */
    TN_WHY_NOT_ALIASABLE = 1 << 11,
};

/** Runs exactly once, on any thread, under no lock; may call the library. */
typedef void (*tn_release_callback)(void *context);

/** Flags of `tn_device_query`. */
typedef uint32_t tn_query_flags;
TN_ENUM {
    /** `tn_device_query`: also fill the memory fields. */
    TN_QUERY_MEMORY = 1 << 0,
};

/** What a device can do. */
typedef uint32_t tn_device_features;
TN_ENUM {
    /** Device feature: the driver's memory pools. */
    TN_FEATURE_MEMORY_POOLS = 1 << 0,
    /** Device feature: managed memory. */
    TN_FEATURE_MANAGED = 1 << 1,
    /** Device feature: managed memory that host and device may touch at the same time. */
    TN_FEATURE_CONCURRENT_MANAGED = 1 << 2,
    /** Device feature: page-locked memory can be mapped. */
    TN_FEATURE_MAP_HOST = 1 << 3,
    /** Device feature: the caller's memory can be page-locked. */
    TN_FEATURE_HOST_REGISTER = 1 << 4,
    /** Device feature: read-only memory can be page-locked. */
    TN_FEATURE_REGISTER_READ_ONLY = 1 << 5,
    /** Device feature: one address space for host and device. */
    TN_FEATURE_UNIFIED_ADDRESSING = 1 << 6,
    /** Device feature: the device uses the host's memory. */
    TN_FEATURE_INTEGRATED = 1 << 7,
    /** Device feature: allocations can be shared with other processes. */
    TN_FEATURE_IPC = 1 << 8,
};

/** Flags of `tn_stream_create`. */
typedef uint32_t tn_stream_flags;
TN_ENUM {
    /** `tn_stream_create`: the stream is ordered with the legacy one. */
    TN_STREAM_BLOCKING = 1 << 0,
};

/** Flags of `tn_stream_enter`. */
typedef uint32_t tn_stream_scope_flags;
TN_ENUM {
    /** `tn_stream_enter`: leaving waits for the stream. */
    TN_AUTO_SYNCHRONIZE = 1 << 0,
};

/** Flags of `tn_event_create`. */
typedef uint32_t tn_event_flags;
TN_ENUM {
    /** `tn_event_create`: the event has a time. */
    TN_EVENT_TIMING = 1 << 0,
};

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
    tn_device_features features;
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
    /**
     * Imports whose release callback waits: for `tn_run_releases`, or for device work that alone needs their bytes.
     */
    uint64_t queued_releases;
    /** Their bytes. */
    uint64_t queued_bytes;
} tn_device_info;

/** "none" or "never" in the fields of `tn_pool_options` marked (n); every larger number means the same. */
static const uint64_t TN_POOL_NONE = 9223372036854775807;
#ifndef SWIG
#define TN_POOL_NONE 9223372036854775807
#endif

/** Flags of a pool. */
typedef uint32_t tn_pool_flags;
TN_ENUM {
    /** Pool flag: touch initial_size at creation. */
    TN_POOL_PREFAULT = 1 << 0,
    /** Pool flag: cache nothing. */
    TN_POOL_DIRECT = 1 << 1,
    /** Pool flag, for tests: quarantine, patterns, exact peaks. */
    TN_POOL_STRICT = 1 << 2,
    /** Pool flag: a block is cleared before anybody else can get it. */
    TN_POOL_ZERO_ON_FREE = 1 << 3,
    /** Pool flag, host: segments from memfds. Reserved: not there yet, and TN_ERR_UNSUPPORTED. */
    TN_POOL_SHAREABLE = 1 << 4,
    /**
     * Pool flag, CUDA: whole driver allocations that can be exported. Reserved: not there yet, and TN_ERR_UNSUPPORTED.
     */
    TN_POOL_IPC = 1 << 5,
};

/** Flags of page-locked memory (TN_HOST_*) and of managed memory (TN_MANAGED_*). */
typedef uint32_t tn_host_flags;
TN_ENUM {
    /** Page-locked memory usable from every CUDA context. */
    TN_HOST_PORTABLE = 1 << 0,
    /** Page-locked memory mapped into the device's address space. */
    TN_HOST_MAPPED = 1 << 1,
    /** Page-locked memory that is slow to read on the host. */
    TN_HOST_WRITE_COMBINED = 1 << 2,
    /** Page-locking of memory that the host must not write. */
    TN_HOST_READ_ONLY = 1 << 3,
    /** Without a driver: plain memory labelled TN_CPU in place of TN_ERR_UNSUPPORTED. */
    TN_HOST_BEST_EFFORT = 1 << 4,
    /** Managed memory attached to all streams, the default. */
    TN_MANAGED_GLOBAL = 0,
    /** Managed memory attached to the host. */
    TN_MANAGED_HOST = 1 << 5,
};

/** Advice on where managed memory is used. */
typedef uint32_t tn_advice;
TN_ENUM {
    /** Advice on managed memory: it is mostly read, so that each side may keep a copy. */
    TN_ADVISE_READ_MOSTLY = 1,
    /** It is not. */
    TN_ADVISE_UNSET_READ_MOSTLY = 2,
    /** It is best kept on the device. */
    TN_ADVISE_PREFERRED = 3,
    /** It is best kept nowhere. */
    TN_ADVISE_UNSET_PREFERRED = 4,
    /** The device will access it, and should have it mapped. */
    TN_ADVISE_ACCESSED_BY = 5,
    /** It will not. */
    TN_ADVISE_UNSET_ACCESSED_BY = 6,
};

/** When a pool asks for huge pages. */
typedef uint32_t tn_huge_pages;
TN_ENUM {
    /** Huge pages where they cost no resident memory. */
    TN_HUGE_AUTO = 0,
    /** No huge pages. */
    TN_HUGE_NEVER = 1,
    /** Huge pages from the reserved ones; falls back to TN_HUGE_AUTO. */
    TN_HUGE_EXPLICIT = 2,
};

/** How a pool of CUDA memory obtains its memory. */
typedef uint32_t tn_backend;
TN_ENUM {
    /** CUDA: mapped granules, else plain. */
    TN_BACKEND_AUTO = 0,
    /** CUDA: plain driver allocations. */
    TN_BACKEND_PLAIN = 1,
    /** CUDA: the driver's own pool. */
    TN_BACKEND_DRIVER_POOL = 2,
};

/** Flags of a tn_upstream. */
typedef uint32_t tn_upstream_flags;
TN_ENUM {
    /** Upstream flag: fresh memory reads 0. */
    TN_UPSTREAM_ZEROED = 1 << 0,
    /** Upstream flag: its callbacks may run on several threads at once. */
    TN_UPSTREAM_THREAD_SAFE = 1 << 1,
    /** Upstream flag: a part of what `allocate` gave may go back before the rest. */
    TN_UPSTREAM_PARTIAL_FREE = 1 << 2,
};

/**
 * Where the memory of a pool comes from that was made by `tn_pool_import`. Callbacks run on any thread that uses the pool, also
 * while it ends; they may not call the same pool: such a call is TN_ERR_INVALID.
 */
typedef struct tn_upstream {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Passed to each callback. */
    void *context;
    /** Bytes asked for are multiples of it; 0: 4096. */
    size_t granularity;
    /** Alignments asked for are powers of two, and at least this; 0: 4096. */
    size_t alignment;
    /** TN_UPSTREAM_. */
    tn_upstream_flags flags;
    /** Zero. */
    uint32_t reserved;
    /** Gives memory. What it answers but TN_OK means that there is none. native_stream: 0. */
    tn_status (*allocate)(void *context, size_t bytes, size_t alignment, uint64_t native_stream, void **out);
    /**
     * Takes back what `allocate` gave, with the same address and bytes; with TN_UPSTREAM_PARTIAL_FREE parts of it, each once.
     */
    tn_status (*deallocate)(void *context, void *ptr, size_t bytes, uint64_t native_stream);
    /** Optional: the contents of a part are not needed any more. */
    tn_status (*purge)(void *context, void *ptr, size_t bytes);
    /** Optional: the last call ever, when everything went back and the pool is gone. */
    void (*release)(void *context);
} tn_upstream;

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
    tn_huge_pages huge_pages;
    /** TN_BACKEND_. */
    tn_backend backend;
    /** n prefers NUMA node n - 1; 0: no preference. */
    int32_t numa_node;
    /** TN_HOST_ or TN_MANAGED_. */
    tn_host_flags host_flags;
    /** TN_POOL_. */
    tn_pool_flags flags;
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
    /**
     * Number of the pool, which no other of this process has, had or will have: two handles with one serial are on one pool.
     */
    uint64_t serial;
} tn_pool_stats;

/** Blocks of one size of a pool. */
typedef struct tn_pool_class_stats {
    /** Usable bytes of each; 0: those above the largest class, which have spans of their own. */
    uint64_t block_bytes;
    /** Bytes of a span of such blocks; 0: of many sizes. */
    uint64_t span_bytes;
    /** Live blocks. */
    uint64_t live_blocks;
    /** Blocks that can be had without a new span; with block_bytes 0: free spans. */
    uint64_t cached_blocks;
    /** Spans of such blocks, free ones too. */
    uint64_t span_count;
    /** Allocations that returned TN_OK. */
    uint64_t allocation_count;
    /** Of those: served with no device call. */
    uint64_t hit_count;
    /** Zero. */
    uint64_t reserved;
} tn_pool_class_stats;

/** Why a pool runs out of memory. */
typedef uint32_t tn_pressure;
TN_ENUM {
    /** A pool's memory runs out because of its max_size. */
    TN_PRESSURE_LIMIT = 1,
    /** A pool's memory runs out because its device has no more. */
    TN_PRESSURE_DEVICE = 2,
};

/**
 * Called when a pool runs out of memory, on the thread that needs it and under no lock. Gives the bytes that it thinks it freed; 0: none.
 *
 * It may call anything, the pool too; what it allocates fails without calling anybody in turn. `reason` is TN_PRESSURE_.
 */
typedef size_t (*tn_pressure_callback)(void *context, size_t needed_bytes, tn_pressure reason);

/** Who a block of a pool was allocated for. */
typedef uint32_t tn_client;
TN_ENUM {
    /** Blocks of a pool that back arrays. */
    TN_CLIENT_ARRAYS = 0,
    /** Blocks that `tn_pool_allocate` and its kin handed out. */
    TN_CLIENT_RAW = 1,
    /** NumPy, through `tn_numpy_handler`. */
    TN_CLIENT_NUMPY = 2,
    /** PyTorch. Reserved: not there yet. */
    TN_CLIENT_TORCH = 3,
    /** CuPy. Reserved: not there yet. */
    TN_CLIENT_CUPY = 4,
    /** Numba. Reserved: not there yet. */
    TN_CLIENT_NUMBA = 5,
    /** RMM. Reserved: not there yet. */
    TN_CLIENT_RMM = 6,
    /** UMF. */
    TN_CLIENT_UMF = 7,
    /** C++ containers, through `tn_cpp_allocate`. */
    TN_CLIENT_CPP = 8,
    /** A Rust program's global allocator. */
    TN_CLIENT_RUST = 9,
    /** A program that was started with the malloc of the library. */
    TN_CLIENT_MALLOC = 10,
    /** Another one. Reserved: not there yet. */
    TN_CLIENT_OTHER = 11,
};

/** What one client of a pool holds and did. The sum of `live_bytes` over all clients is the pool's in_use_bytes. */
typedef struct tn_pool_client {
    /** TN_CLIENT_. */
    tn_client client;
    /** Zero. */
    uint32_t reserved;
    /** "arrays", "raw", "numpy", ..; NUL-terminated. */
    char name[16];
    /** Blocks that it holds. */
    uint64_t live_blocks;
    /** Their usable bytes. */
    uint64_t live_bytes;
    /** The bytes that it asked for in them. */
    uint64_t requested_bytes;
    /** Largest live_bytes since the pool's creation or reset_peak. */
    uint64_t peak_bytes;
    /** Allocations and reallocations that were granted. */
    uint64_t allocation_count;
    /** Those that were not. */
    uint64_t failure_count;
    /** Wrong frees that were refused. */
    uint64_t misuse_count;
    /** Frees that named another size than was asked for; the library goes by its own. */
    uint64_t mismatch_count;
} tn_pool_client;

/** Order of elements. */
typedef uint32_t tn_order;
TN_ENUM {
    /** Row-major element order. */
    TN_ORDER_C = 0,
    /** Column-major element order. */
    TN_ORDER_F = 1,
    /** F if F- and not C-contiguous, else C. */
    TN_ORDER_A = 2,
    /** `tn_array_like` only: the axes keep the order of the prototype's strides. */
    TN_ORDER_K = 3,
};

/** Flags of a new array: none is defined yet. */
typedef uint32_t tn_create_flags;

/** How a new array is made; NULL in its place means C order, no name. */
typedef struct tn_array_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** TN_ORDER_. */
    tn_order order;
    /** No flag is defined yet: 0. */
    tn_create_flags flags;
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

/** Properties of an array and of its store. */
typedef uint32_t tn_array_flags;
TN_ENUM {
    /** Array flag: C-contiguous. */
    TN_C_CONTIGUOUS = 1 << 0,
    /** Array flag: F-contiguous. */
    TN_F_CONTIGUOUS = 1 << 1,
    /** Array flag: the handle or its store must not be written. */
    TN_READONLY = 1 << 2,
    /** Array flag: address and strides are multiples of the element's alignment. */
    TN_ALIGNED = 1 << 3,
    /** Array flag: two index tuples reach the same byte. */
    TN_SELF_OVERLAP = 1 << 4,
    /** Array flag: the bytes are lent by somebody who may still use them. */
    TN_FOREIGN = 1 << 5,
    /** Array flag: page-locked. */
    TN_PINNED = 1 << 6,
    /** Array flag: page-locked and mapped into the device's address space. */
    TN_MAPPED = 1 << 7,
    /** Array flag: page-locked and slow to read on the host. */
    TN_WRITE_COMBINED = 1 << 8,
};

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
    tn_array_flags flags;
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

/** How `tn_array_open_npy` opens a file. */
typedef uint32_t tn_npy_mode;
TN_ENUM {
    /** `tn_array_open_npy`: mapped, read-only; the default. */
    TN_NPY_READ = 0,
    /** `tn_array_open_npy`: mapped, writable, the file never changes. */
    TN_NPY_COW = 1,
    /** `tn_array_open_npy`: mapped, writes reach the file. */
    TN_NPY_WRITE = 2,
    /** `tn_array_open_npy`: read into the pool's memory. */
    TN_NPY_COPY = 3,
};

/** Flags of `tn_array_save_npy`. */
typedef uint32_t tn_io_flags;
TN_ENUM {
    /** `tn_array_save_npy`: sync file and directory before returning. */
    TN_IO_SYNC = 1 << 0,
    /** `tn_array_save_npy`: an existing target is TN_ERR_IO. */
    TN_IO_EXCLUSIVE = 1 << 1,
};

/** How a `.npy` file is opened. */
typedef struct tn_npy_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** TN_NPY_. */
    tn_npy_mode mode;
    /** Used only where path is NULL; stays the caller's. */
    int32_t fd;
    /** TN_NPY_COPY: where the bytes go; NULL: the thread's current host pool. */
    tn_pool *pool;
    /** A longer header is TN_ERR_LIMIT; 0: 64 KiB. */
    uint64_t max_header_bytes;
} tn_npy_options;

/**
 * How tensors of a safetensors file are opened; NULL in its place: they are read into the thread's current host pool.
 */
typedef struct tn_safetensors_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Where the bytes that are read go; NULL: the thread's current host pool. */
    tn_pool *pool;
    /** 0, TN_BORROW or TN_REQUIRE_BORROW. */
    tn_crossing_flags flags;
    /** Zero. */
    uint32_t reserved;
} tn_safetensors_options;

/** A tensor of a safetensors file. */
typedef struct tn_safetensors_info {
    /** Element type. */
    tn_dtype dtype;
    /** Number of axes. */
    int32_t ndim;
    /** Bytes of its elements. */
    uint64_t bytes;
    /** Length of its name in bytes; a longer one than fits is cut in `name`. */
    uint64_t name_bytes;
    /** UTF-8, NUL-terminated. */
    char name[256];
    /** Lengths in elements; 0 from entry ndim on. */
    int64_t shape[TN_MAX_NDIM];
    /** Zero. */
    uint64_t reserved[2];
} tn_safetensors_info;

/** One axis of a slice, as in Python; TN_NONE is an absent bound. */
typedef struct tn_slice_spec {
    /** First index; negative counts from the end. */
    int64_t start;
    /** One past the last index. */
    int64_t stop;
    /** Not 0; TN_NONE: 1. */
    int64_t step;
    /** Zero. */
    uint64_t reserved[4];
} tn_slice_spec;

/** How the bytes of two arrays relate. */
typedef uint32_t tn_overlap;
TN_ENUM {
    /** No byte in common. */
    TN_OVERLAP_NONE = 0,
    /** The same elements in the same order. */
    TN_OVERLAP_EXACT = 1,
    /** Bytes in common. */
    TN_OVERLAP_SOME = 2,
    /** Not decided; counts as overlap. */
    TN_OVERLAP_UNKNOWN = 3,
};

/** Flags of `tn_borrow_end`. */
typedef uint32_t tn_end_flags;
TN_ENUM {
    /** `tn_borrow_end`: the writer failed, its region is poisoned until it is rewritten. */
    TN_END_FAILED = 1 << 0,
};

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
    /** Zero. */
    uint64_t reserved[4];
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
    /** Zero. */
    uint64_t reserved[4];
} tn_view_info;

/** One entry of `tn_borrow_all`. */
typedef struct tn_borrow_spec {
    /** The array. */
    tn_array *array;
    /** Who touches the bytes; NULL: the host, now. */
    tn_stream *stream;
    /** TN_READ, TN_READ_WRITE or TN_WRITE, with TN_WRITE_ mode bits, TN_FROZEN, TN_WAIT. */
    tn_access access;
    /** Zero. */
    uint32_t reserved[9];
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

/** Form of a leaf of an expression. */
typedef uint32_t tn_form;
TN_ENUM {
    /** Form of an expression's leaf: all elements. */
    TN_FORM_FULL = 0,
    /** Form: a vector is the diagonal of a matrix that is 0 elsewhere. */
    TN_FORM_DIAGONAL = 1,
    /** Form: what is above the diagonal of a square matrix is taken as 0 and not read. */
    TN_FORM_LOWER = 2,
};

/** Flags of `tn_expr_compute`. */
typedef uint32_t tn_compute_flags;
TN_ENUM {
    /** Of `tn_expr_compute`: a failure leaves everything as it was; what was there before is not overwritten. */
    TN_KEEP_ON_FAIL = 1 << 0,
};

/** Operation of `tn_expr_elementwise`. */
typedef uint32_t tn_expr_op;
TN_ENUM {
    /** Element by element: x + y, the same as `tn_expr_add`. */
    TN_EXPR_ADD = 1,
    /** Element by element: x - y. */
    TN_EXPR_SUBTRACT = 2,
    /** Element by element: x * y. */
    TN_EXPR_MULTIPLY = 3,
    /** Element by element: x / y. */
    TN_EXPR_DIVIDE = 4,
    /** Element by element: -x. */
    TN_EXPR_NEGATE = 5,
    /** Element by element: the square root. */
    TN_EXPR_SQRT = 6,
    /** Element by element: e to the x. */
    TN_EXPR_EXP = 7,
    /** Element by element: the natural logarithm. */
    TN_EXPR_LOG = 8,
};

/** Format of `tn_expr_explain`. */
typedef uint32_t tn_explain_format;
TN_ENUM {
    /** Format of `tn_expr_explain`: lines of text. */
    TN_EXPLAIN_TEXT = 0,
    /** Format: a graph for Graphviz. */
    TN_EXPLAIN_DOT = 1,
};

/** What holds a store, or was not given back. */
typedef uint32_t tn_holder_kind;
TN_ENUM {
    /** Holder: an array handle. */
    TN_HOLDER_HANDLE = 1,
    /** Holder: a promise. */
    TN_HOLDER_PROMISE = 2,
    /** Holder: a node of a lazy expression. */
    TN_HOLDER_EXPRESSION = 3,
    /** Holder: a read-only export (XR). */
    TN_HOLDER_EXPORT_READ = 5,
    /** Holder: a shared view (XS). */
    TN_HOLDER_EXPORT_SHARED = 6,
    /** Holder: an exclusive export (XW). */
    TN_HOLDER_EXPORT_EXCLUSIVE = 7,
    /** Holder: a read guard. */
    TN_HOLDER_GUARD_READ = 8,
    /** Holder: a write guard. */
    TN_HOLDER_GUARD_WRITE = 9,
    /** Not given back: raw memory of a pool. */
    TN_HOLDER_BLOCK = 10,
    /** Not given back: a pool. */
    TN_HOLDER_POOL = 11,
    /** Not given back: a stream. */
    TN_HOLDER_STREAM = 12,
    /** Not given back: an event. */
    TN_HOLDER_EVENT = 13,
    /** Not given back: a scope. */
    TN_HOLDER_SCOPE = 14,
    /** Not given back: a weak handle. */
    TN_HOLDER_WEAK = 15,
    /** Not called yet: a release callback that waits for `tn_run_releases`. */
    TN_HOLDER_QUEUED_RELEASE = 18,
};

/** Who holds a store, or what was not given back. */
typedef struct tn_holder {
    /** TN_HOLDER_. */
    tn_holder_kind kind;
    /** Where the bytes live. */
    tn_device device;
    /** Zero. */
    uint32_t reserved;
    /** The handle's bits; TN_HOLDER_BLOCK: the address. */
    uint64_t id;
    /** Of its store or block. */
    uint64_t bytes;
    /** The system's number of the thread that made it. */
    uint64_t thread;
    /** When it was made, ns since the epoch; 0 where no time is kept. */
    uint64_t time_ns;
    /** Name of its array, pool, .., of a library's block the library's ("numpy"); NUL-terminated. */
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
    tn_array_flags flags;
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
    tn_crossing_flags flags;
    /** With TN_EXPORT_WRITABLE: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0. */
    tn_write_mode mode;
    /** Pinned and managed memory: 0 = as is, TN_CPU, TN_CUDA. */
    tn_device_type label;
    /** Zero. */
    uint32_t reserved;
    /** Where the consumer wants it; {0, 0}: where it is. */
    tn_device target;
    /** Made to wait for pending work; NULL: the legacy stream. */
    tn_stream *consumer;
} tn_dlpack_options;

/** Flags of `tn_report_json`: none is defined yet. */
typedef uint32_t tn_report_flags;

/** All copies at borders from one place. */
typedef struct tn_copy_site {
    /** The tn_ function; static text. */
    const char *function;
    /** TN_HERE; "" if none. */
    char site[64];
    /** TN_WHY_ bits. */
    tn_why why;
    /** 1: the caller would have taken an alias; 0: the call's contract is a copy. */
    int32_t forced;
    /** How many copies. */
    uint64_t count;
    /** Their bytes. */
    uint64_t bytes;
    /** Zero. */
    uint64_t reserved;
} tn_copy_site;

/**
 * One part of a piece of work of the library, which needs nothing but its arguments: it may run on any thread, returns soon, and calls
 * nothing of the caller's.
 */
typedef void (*tn_task)(void *argument, size_t index);

/**
 * Calls `task(argument, index)` for every index below `n_tasks`, in any order, on any threads, also several at once, and returns when the
 * last has returned; none is called later. Those that it does not call are done by the calling thread afterwards.
 */
typedef void (*tn_run_callback)(void *context, tn_task task, void *argument, size_t n_tasks);

/** Threads of the caller's, on which large copies may run. The library has none of its own. */
typedef struct tn_runner {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Runs tasks; NULL: there is no runner. */
    tn_run_callback run;
    /** For `run`; must be valid as long as the runner is current on some thread. */
    void *context;
    /** How many tasks a copy is divided into at most; 0 and 1: it is not. */
    size_t threads;
    /** Copies of fewer bytes stay on their thread; 0: the library's own limit, 1 MiB. */
    size_t least_bytes;
} tn_runner;

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
 * @param status   Any number.
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

/**
 * Sets an option of the whole process.
 *
 * @param name     "strict" (release of what is given, borrowed or exported is refused; for tests), "abort_on_misuse" (a wrong free
 *                 stops the process), "stream.default" (which stream is a thread's current one until it sets another: legacy or
 *                 per-thread), "pool.<device>.<field>" with device cpu, cuda, cuda_host or cuda_managed and a field of
 *                 tn_pool_options, for the default pool of that device before its first use. NUL-terminated.
 * @param value    The value as text: 0 or 1; legacy or per-thread; a number, with KiB, MiB or GiB behind it; none. NUL-terminated.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an unknown name, a value that is none, or a pool that exists already.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup library
 */
tn_status tn_option_set(const char *name,
                        const char *value);

/**
 * The value of an option, as text that tn_option_set takes.
 *
 * @param name         As for tn_option_set.
 * @param capacity     The number of bytes at text.
 * @param[out] text    UTF-8 with its NUL; what does not fit is cut off. NULL only with capacity 0.
 * @param[out] length  The number of bytes of the whole text without its NUL.
 * @return TN_OK, also if the text did not fit; TN_ERR_NULL; TN_ERR_INVALID for an unknown name.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup library
 */
tn_status tn_option_get(const char *name, size_t capacity, char *text, size_t *length);

/**
 * Tells where this thread is; what it makes and copies from now on bears the place, until its next tn_here. Usually called by the
 * macro TN_HERE: as a statement, or as (TN_HERE, tn_array_borrow_read(..)).
 *
 * @param file     The file name; it is copied, of a long one the end. NULL: nowhere.
 * @param line     The line number.
 * @return TN_OK. A file name that is not UTF-8 is kept as far as it can be read.
 * @note Threads: any; the place is the calling thread's own. Blocks: never.
 * @since 0.1
 * @ingroup library
 */
tn_status tn_here(const char *file,
                  int32_t line);

/**
 * Runs the release callbacks that TN_RELEASE_QUEUED held back, in the order in which they were queued. What they queue in turn waits for
 * the next call. Imports that nobody holds any more, but whose bytes a device still used, end here once it is done with them.
 *
 * @param[out] n_run   The number of callbacks that ran; may be NULL.
 * @return TN_OK.
 * @note Threads: any; the callbacks run on the calling thread, each exactly once. Blocks: as long as they do.
 * @since 0.1
 * @ingroup library
 */
tn_status tn_run_releases(size_t *n_run);

/* ===================================================== device ===================================================== */
/** @defgroup device how many there are, what they are, waiting for them */

/**
 * Counts the devices of a type.
 *
 * @param type     TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
 * @param[out] out The number: 1 for TN_CPU; the GPUs that the driver shows to this process; 1 for page-locked and for managed memory if it
 *                 can be had. 0 where there is no driver or no GPU. On failure: untouched.
 * @return TN_OK, also for 0; TN_ERR_NULL; TN_ERR_DEVICE for an unknown type, and in a process that was forked from one which uses
 *         CUDA; TN_ERR_DRIVER where the driver is broken, which is not the same as none.
 * @note Threads: any. Blocks: the first call loads the driver. Allocates: nothing.
 * @since 0.1
 * @ingroup device
 */
tn_status tn_device_count(tn_device_type type,
                          size_t *out);

/**
 * Tells what a device is, and with TN_QUERY_MEMORY what memory it has left and how much of it our pools hold.
 *
 * @param device   The device.
 * @param flags    0 or TN_QUERY_MEMORY: also free_bytes, used_bytes, pool_bytes and pool_free_bytes, as they are now.
 *                 On the host total and free are those of the machine, cut to the limits of the process's control
 *                 groups.
 *                 Of a GPU they retain its primary context, which nothing else here does.
 * @param[out] info The struct to fill; its `size` is set by the caller; as much as fits is filled in. Of page-locked and of managed
 *                  memory, of which there is one device each, {type, 0}, it tells the host's memory and what GPU 0 can do with it. On
 *                  failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag or a size of 0; TN_ERR_DEVICE for a device that does not
 *         exist; TN_ERR_UNSUPPORTED without a driver; TN_ERR_DRIVER where it fails, or the device is lost.
 * @note Threads: any. Blocks: reads some small files of the system, or asks the driver. Allocates: nothing.
 * @since 0.1
 * @ingroup device
 */
tn_status tn_device_query(tn_device device,
                          tn_query_flags flags,
                          tn_device_info *info);

/**
 * Waits for everything that runs on a device, by whomever it was issued; on the host nothing does, so it returns at once.
 *
 * @param device   The device; of TN_CUDA_HOST and TN_CUDA_MANAGED all GPUs that this process uses.
 * @return TN_OK; TN_ERR_DEVICE for a device that does not exist; TN_ERR_UNSUPPORTED without a driver; TN_ERR_DRIVER where
 *         work on it failed earlier: the device is lost to this process then.
 * @note Threads: any. Blocks: until the device's work is done; TN_CPU: never. Allocates: nothing.
 * @since 0.1
 * @ingroup device
 */
tn_status tn_device_synchronize(tn_device device);

/* ===================================================== stream ===================================================== */
/** @defgroup stream streams, a thread's current ones, events */

/**
 * Creates a stream: an order of work on a GPU, beside which the work of other streams goes on.
 *
 * @param device   {TN_CUDA, id}; its primary context, which other libraries share, is retained.
 * @param flags    0: not ordered with the legacy stream; TN_STREAM_BLOCKING: ordered with it, as a plain cudaStreamCreate.
 * @param priority As CUDA's: lower is sooner, 0 the default; cut to what the device has.
 * @param[out] out The stream. Released by `tn_stream_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist or has no streams;
 *         TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: the first use of a GPU makes its context. Allocates: bookkeeping, and what the driver needs.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_create(tn_device device,
                           tn_stream_flags flags,
                           int32_t priority,
                           tn_stream **out);

/**
 * Makes a handle on another library's stream. The library never destroys it. The release of the last handle on it records an event
 * behind what is still open there, and from then on it is not touched, so that its owner may destroy it; not before: drivers do not check
 * whether a stream is still there, and may crash.
 *
 * @param device   {TN_CUDA, id}: the GPU that it is of.
 * @param native   A CUstream, or cudaStream_t, of the GPU's primary context, which must exist; 0 and 1 mean the legacy stream, 2 the
 *                 per-thread stream of whichever thread uses the handle.
 * @param[out] out The stream. Released by `tn_stream_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_DEVICE for a device that does not exist or has no streams, or a stream of another context;
 *         TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: the first use of a GPU makes its context. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_import(tn_device device,
                           uint64_t native,
                           tn_stream **out);

/**
 * Tells the stream as other libraries name it.
 *
 * @param stream   A stream, TN_STREAM_LEGACY or TN_STREAM_PER_THREAD.
 * @param[out] out The CUstream value: 1 of the legacy, 2 of the per-thread stream, never 0. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for TN_STREAM_CURRENT, which is another one on each device;
 *         TN_ERR_DEVICE in the child of a fork.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_native(tn_stream *stream,
                           uint64_t *out);

/**
 * Waits until all that was issued on a stream so far is done.
 *
 * @param stream   A stream, or a constant: that stream of every GPU that this process uses.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_UNSUPPORTED without a driver, and
 *         while the stream captures a graph, which goes on; TN_ERR_DRIVER with the driver's number, also for work that failed earlier.
 * @note Threads: any. Blocks: until the stream's work is done; holds no lock meanwhile. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_synchronize(tn_stream *stream);

/**
 * Makes a stream the calling thread's current one of a device: what TN_STREAM_CURRENT means there, and NULL in pools.
 *
 * @param device   {TN_CUDA, id}.
 * @param stream   A stream of that device or a constant; the thread holds it until it sets another or ends. NULL: back to the default,
 *                 which is TN_STREAM_LEGACY or what the option "stream.default" says.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a device that does not exist or has no streams, or a stream of another
 *         one; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_set_current(tn_device device,
                                tn_stream *stream);

/**
 * Makes a handle on the calling thread's current stream of a device.
 *
 * @param device   {TN_CUDA, id}.
 * @param[out] out A new handle, to be released by `tn_stream_release` whatever stream it is on. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_DEVICE for a device that does not exist or has no streams; TN_ERR_UNSUPPORTED without a driver;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_current(tn_device device,
                            tn_stream **out);

/**
 * Makes a stream current until `tn_stream_leave`. Scopes belong to the thread that entered them and nest there.
 *
 * @param device   {TN_CUDA, id}.
 * @param stream   A stream of that device, or a constant; the scope holds it.
 * @param flags    0, or TN_AUTO_SYNCHRONIZE: leaving waits for the stream.
 * @param[out] out The scope. Given back by `tn_stream_leave` on this thread; a thread that ends leaves its scopes. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist
 *         or has no streams, or a stream of another one; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER,
 *         TN_ERR_LIMIT.
 * @note Threads: any; the scope is bound to this one. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_enter(tn_device device,
                          tn_stream *stream,
                          tn_stream_scope_flags flags,
                          tn_stream_scope **out);

/**
 * Leaves a scope: what was the thread's current stream before is so again, whatever was set meanwhile.
 *
 * @param scope    The innermost of this thread's scopes; exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for a scope of `tn_enter`; TN_ERR_INVALID, and nothing changes, for one that
 *         was entered on another thread or is not the innermost. With TN_AUTO_SYNCHRONIZE what `tn_stream_synchronize` gives; the scope is
 *         left all the same.
 * @note Threads: the one that entered. Blocks: with TN_AUTO_SYNCHRONIZE until the stream's work is done. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_leave(tn_stream_scope *scope);

/**
 * Makes what is issued on a stream from now on wait for an event; the host does not wait.
 *
 * @param stream   A stream of any device, or a constant: that stream of the event's device.
 * @param event    The event. One that was never recorded counts as done.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_UNSUPPORTED while the stream
 *         captures a graph, which goes on, unless the event is done; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_wait_event(tn_stream *stream,
                               tn_event *event);

/**
 * The legacy default stream: TN_STREAM_LEGACY as a function, for languages that take no pointer constants from a C header.
 *
 * @return the constant; never released.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup stream
 */
tn_stream *tn_stream_legacy(void);

/**
 * The per-thread default stream: TN_STREAM_PER_THREAD as a function, for languages that take no pointer constants from a C header.
 *
 * @return the constant; never released.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup stream
 */
tn_stream *tn_stream_per_thread(void);

/**
 * The calling thread's current stream, whichever that is when it is used: TN_STREAM_CURRENT as a function, for languages that take no
 * pointer constants from a C header. `tn_stream_current` makes a handle instead.
 *
 * @return the constant; never released.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup stream
 */
tn_stream *tn_stream_of_thread(void);

/**
 * Releases a handle on a stream. Work that is under way goes on, and what it uses stays until it is done; a stream that is current or in a
 * scope lives until it is replaced there.
 *
 * @param stream   A handle; exactly once. Not a constant.
 * @return TN_OK, also where the device is lost and in the child of a fork; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for a constant.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_release(tn_stream *stream);

/**
 * Creates an event: a point in a stream, once it is recorded there.
 *
 * @param device   {TN_CUDA, id}.
 * @param flags    0, or TN_EVENT_TIMING: it has a time, for `tn_event_elapsed`.
 * @param[out] out The event; until it is recorded it counts as done. Released by `tn_event_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist or has no streams;
 *         TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_create(tn_device device,
                          tn_event_flags flags,
                          tn_event **out);

/**
 * Moves an event behind all that was issued on a stream so far. Who waits for where it was before goes on waiting for that.
 *
 * @param event    The event.
 * @param stream   A stream of the event's device, or a constant, of that device.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a stream of another device; TN_ERR_UNSUPPORTED while the stream
 *         captures a graph, which goes on; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: what the driver needs for more events than ever before.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_record(tn_event *event,
                          tn_stream *stream);

/**
 * Waits until all that is before an event is done.
 *
 * @param event    The event; one that was never recorded is done.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: until that work is done; holds no lock meanwhile. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_synchronize(tn_event *event);

/**
 * Tells whether all that is before an event is done.
 *
 * @param event    The event; one that was never recorded is done.
 * @param[out] out 1 or 0. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_query(tn_event *event, int32_t *out);

/**
 * Tells the time from one event to another, by the device's clock.
 *
 * @param start            An event with TN_EVENT_TIMING, recorded.
 * @param end              Another event of the same device.
 * @param[out] elapsed_ns  The time in nanoseconds, at a resolution of about half a microsecond; negative if `end` was before `start`. On
 *                         failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an event without timing or that was never recorded;
 *         TN_ERR_DEVICE for events of two devices, and in the child of a fork; TN_ERR_PENDING while one of them is not done;
 *         TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_elapsed(tn_event *start,
                           tn_event *end,
                           int64_t *elapsed_ns);

/**
 * Releases an event. What waits for it goes on waiting.
 *
 * @param event    The event; exactly once.
 * @return TN_OK, also where the device is lost and in the child of a fork; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_release(tn_event *event);

/* ====================================================== pool ====================================================== */
/** @defgroup pool making and choosing them, raw memory, figures */

/**
 * Makes a pool of its own on a device. It takes nothing from the device before its first use, unless `initial_size`
 * says so.
 *
 * @param device   The device that its memory is on. TN_CUDA_HOST with the host flag TN_HOST_BEST_EFFORT is plain host memory, labelled
 *                 TN_CPU, where there is no driver.
 * @param options  NULL: all defaults. Copied.
 * @param[out] out The pool. Released by `tn_pool_release`; its blocks outlive that. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID with the field's name for an option out of range, an unknown flag, a size
 *         of 0; TN_ERR_RANGE for a NUMA node that is not there; TN_ERR_DEVICE for a device that does not exist;
 *         TN_ERR_UNSUPPORTED for a device or option that this build has no code for; TN_ERR_NO_HOST_MEMORY or
 *         TN_ERR_NO_DEVICE_MEMORY if `initial_size` is not to be had; TN_ERR_LIMIT when no more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, and `initial_size`.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_create(tn_device device,
                         const tn_pool_options *options,
                         tn_pool **out);

/**
 * Makes a pool whose memory comes from the caller's callbacks, and goes back to them. Its bookkeeping lies elsewhere, so the memory may
 * be such that the host cannot touch.
 *
 * Blocks are cut from what `allocate` gives; a pool asks for what it needs, or for more if `growth_factor` says so (its default here is 1).
 * Each piece goes back with the same address and bytes when all of it is free and the pool is trimmed or released, or earlier if
 * `release_threshold` or `release_delay_ms` say so (their defaults here are: never); at the latest with the last block of a released pool.
 * Then `release` is called.
 *
 * Callbacks run under no lock of the library, on any thread that uses the pool, and never two at once unless TN_UPSTREAM_THREAD_SAFE says
 * that they may. In one of them a call of the same pool is TN_ERR_INVALID.
 *
 * On memory of TN_CUDA the host clears and copies nothing: there tn_pool_allocate_zeroed works where memory is known to be 0, and
 * tn_pool_reallocate in place, and arrays are TN_ERR_UNSUPPORTED.
 *
 * @param device   The device that the memory is said to be on: {TN_CPU, 0}, or any device of another type, with or without a driver.
 * @param upstream The upstream; it is copied, and its callbacks and context are used until `release`.
 * @param options  NULL: all defaults. Copied. `initial_size` is asked from the upstream at once.
 * @param[out] out The pool. Released by `tn_pool_release`; its blocks outlive that. On failure: untouched, `release` is not called, and
 *                 what came for `initial_size` went back.
 * @return TN_OK; TN_ERR_NULL, also for `allocate` and `deallocate`; TN_ERR_INVALID with the field's name for what is out of range, an
 *         unknown flag, a size of 0; TN_ERR_DEVICE for a device that does not exist; TN_ERR_UNSUPPORTED for options that only the
 *         system's own memory can have; TN_ERR_FAILED if the upstream gave wrong memory for `initial_size`; TN_ERR_NO_HOST_MEMORY or
 *         TN_ERR_NO_DEVICE_MEMORY if it gave none; TN_ERR_LIMIT when no more handles can be made.
 * @note Threads: any. Blocks: as the callbacks do. Allocates: bookkeeping, and `initial_size`.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_import(tn_device device,
                         const tn_upstream *upstream,
                         const tn_pool_options *options,
                         tn_pool **out);

/**
 * Gives a new handle on the process-wide pool of a device, which is made at the first use and never goes.
 *
 * Its options come from `tn_option_set` before the first use.
 *
 * @param device   The device whose pool is meant.
 * @param[out] out The handle. Released by `tn_pool_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if an option that was set is out of range; TN_ERR_DEVICE for a device
 *         that does not exist; TN_ERR_UNSUPPORTED for a type that this build has no code for; TN_ERR_NO_HOST_MEMORY;
 *         TN_ERR_LIMIT when no more handles can be made.
 * @note Threads: any; those that race get the same pool. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_default(tn_device device, tn_pool **out);

/**
 * Sets what pool NULL means on this thread, for the pool's device.
 *
 * The thread holds the pool until it sets another or ends, also when the caller releases every handle on it.
 *
 * @param pool     The pool; NULL: the default pools again, of all devices.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND, and then the current pool stays.
 * @note Threads: any; other threads keep theirs. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_set_current(tn_pool *pool);

/**
 * Gives a new handle on what pool NULL means on this thread; at first the default pool.
 *
 * @param device   The device whose current pool is meant.
 * @param[out] out The handle. Released by `tn_pool_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if an option of the default pool is out of range; TN_ERR_DEVICE for a
 *         device that does not exist; TN_ERR_UNSUPPORTED for a type that this build has no code for;
 *         TN_ERR_NO_HOST_MEMORY; TN_ERR_LIMIT when no more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_current(tn_device device, tn_pool **out);

/**
 * Gives a handle back; it is stale at once. With the last one (and no thread whose current pool it is) cached memory
 * goes back to the device now, live blocks and arrays stay valid, and the rest goes back with the last of them.
 *
 * @param pool     The handle.
 * @return TN_OK, also while blocks are live; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any; of two that release one handle, one gets TN_ERR_STALE. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_release(tn_pool *pool);

/**
 * Allocates a raw block. Its contents are unspecified.
 *
 * @param pool      NULL: the thread's current pool of the host.
 * @param bytes     The least number of bytes; 0 gives a block of its own too. `tn_pool_usable_size` tells how many may be used.
 * @param alignment The alignment of the address in bytes: a power of two up to 4 MiB; 0: the pool's.
 * @param stream    The stream that uses the block first: on a device it may be handed out while other work on that stream still uses it.
 *                  NULL on TN_CUDA: the thread's current stream; on memory that the host can touch: the host, now, as a stream constant on
 *                  TN_CPU.
 * @param[out] out  The block. Given back by `tn_pool_deallocate` or `tn_pool_reallocate`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an alignment that cannot be; TN_ERR_DEVICE for a stream of
 *         another device, or in the child of a process that made a pool of a device;
 *         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY when the device has no more, TN_ERR_POOL_LIMIT when
 *         `max_size` would be broken, both after cached memory was given back; the text has the figures and the
 *         largest named holders; TN_ERR_UNSUPPORTED where a graph is being captured on the stream and nothing fits; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: the block.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_allocate(tn_pool *pool,
                           size_t bytes,
                           size_t alignment,
                           tn_stream *stream,
                           void **out);

/**
 * Allocates a raw block whose first `bytes` bytes are 0. Memory that is fresh from the system is not cleared again; from 32 MiB on neither
 * is what was handed out before and never written.
 *
 * @param pool      NULL: the thread's current pool of the host.
 * @param bytes     The least number of bytes; 0 gives a block of its own too.
 * @param alignment The alignment of the address in bytes: a power of two up to 4 MiB; 0: the pool's.
 * @param stream    The stream that uses the block first: on a device it may be handed out while other work on that stream still uses it.
 *                  NULL on TN_CUDA: the thread's current stream; on memory that the host can touch: the host, now, as a stream constant on
 *                  TN_CPU.
 * @param[out] out  The block. Given back by `tn_pool_deallocate` or `tn_pool_reallocate`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an alignment that cannot be; TN_ERR_DEVICE for a stream of
 *         another device, or in the child of a process that made a pool of a device;
 *         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY when the device has no more, TN_ERR_POOL_LIMIT when
 *         `max_size` would be broken, both after cached memory was given back; the text has the figures and the
 *         largest named holders; TN_ERR_UNSUPPORTED where a graph is being captured on the stream and nothing fits; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: the block.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_allocate_zeroed(tn_pool *pool,
                                  size_t bytes,
                                  size_t alignment,
                                  tn_stream *stream,
                                  void **out);

/**
 * Changes the size of a raw block: in place where there is room, else its pages are moved or its bytes copied.
 *
 * The first min(old, new) bytes and the alignment asked for at first are kept. Counts as a reallocation; with `ptr`
 * NULL as an allocation, with 0 bytes as a deallocation.
 *
 * @param pool     The block's pool. NULL: the pool that has the block; without a block the thread's current pool of the host.
 * @param ptr      A live raw block; its address is not valid any more if `*out` differs. NULL: a new block with the pool's alignment.
 * @param bytes    The new size; 0: the block is given back and `*out` becomes NULL.
 * @param stream   The stream on which a device copies and the old block is given back. NULL and the constants: as for `tn_pool_allocate`.
 * @param[out] out The block. Given back by `tn_pool_deallocate`. On failure: untouched, and the old block is live and unchanged.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE for a handle or a block that was given back, TN_ERR_KIND; TN_ERR_INVALID
 *         for an address inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of
 *         another pool or of none; TN_ERR_DEVICE for a stream of another device; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
 *         TN_ERR_POOL_LIMIT, TN_ERR_DRIVER.
 * @note Threads: any, but nobody may use the block during the call. Blocks: never. Allocates: the new block.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_reallocate(tn_pool *pool,
                             void *ptr,
                             size_t bytes,
                             tn_stream *stream,
                             void **out);

/**
 * Gives a raw block back. A wrong address is a status and changes nothing; it is never read.
 *
 * @param pool     The block's pool; NULL: whichever pool has the address.
 * @param ptr      The block. NULL: nothing happens.
 * @param stream   The stream whose work so far may still use the block: it can be handed out there at once, and elsewhere when that work
 *                 is done. NULL and the constants: as for `tn_pool_allocate`. Asks no driver.
 * @return TN_OK; TN_ERR_STALE for a handle or a block that was given back, TN_ERR_KIND; TN_ERR_INVALID for an address
 *         inside a block, the text has its start; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a
 *         block of another pool, or an address in no block at all; TN_ERR_NO_HOST_MEMORY where neither the stream's work can be
 *         noted nor waited for: then the block stays live.
 * @note Threads: any; of two that give one block back, one gets TN_ERR_STALE. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_deallocate(tn_pool *pool,
                             void *ptr,
                             tn_stream *stream);

/**
 * Notes that a raw block is used on a stream too, besides the one that it is given back on: nobody gets its bytes before what was queued
 * there up to the moment when it is given back is done. Uses on any number of streams add up.
 *
 * @param pool     The block's pool; NULL: whichever pool has the address.
 * @param ptr      The block.
 * @param stream   The stream. NULL and the constants: as for `tn_pool_allocate`, so NULL on memory that the host can touch notes nothing.
 * @return TN_OK; TN_ERR_STALE for a handle or a block that was given back, TN_ERR_KIND; TN_ERR_INVALID for an address inside a block;
 *         TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of another pool, or an address in no block at all;
 *         TN_ERR_DEVICE for a stream of another device; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only. Asks no driver.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_record_use(tn_pool *pool,
                             void *ptr,
                             tn_stream *stream);

/**
 * Gives a new handle on the pool whose live block, raw or an array's, contains an address. Reads nothing there.
 *
 * @param ptr      Any address.
 * @param[out] out The handle. Released by `tn_pool_release`. If the pool was released, it still answers and hands out nothing. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL for `out`; TN_ERR_FOREIGN for an address in no live block; TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_LIMIT when no more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_of(const void *ptr,
                     tn_pool **out);

/**
 * Tells how many bytes of a live block may be used: at least as many as were asked for.
 *
 * @param ptr      The start of a live block, raw or an array's.
 * @param[out] out The number. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL for `out`; TN_ERR_STALE for a block that was given back; TN_ERR_INVALID for an address
 *         inside a block; TN_ERR_FOREIGN for an address in no block, NULL too.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_usable_size(const void *ptr, size_t *out);

/**
 * Tells what a pool holds and did, all of one moment.
 *
 * reserved_bytes = in_use_bytes + cached_bytes + pending_bytes + overhead_bytes, in every answer.
 *
 * @param pool     NULL: the thread's current pool of the host.
 * @param[out] stats The struct to fill; its `size` is set by the caller; as much as fits is filled in. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL for `stats`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a size of 0.
 * @note Threads: any. Blocks: never. Allocates: nothing; no device call.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_query(tn_pool *pool,
                        tn_pool_stats *stats);

/**
 * Lets the peaks start again at the current values; counts stay.
 *
 * @param pool     NULL: the thread's current pool of the host.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_reset_peak(tn_pool *pool);

/**
 * Gives cached memory back to the device, longest unused first, until at most `keep_bytes` are cached or nothing whole
 * is left. Live blocks stay where they are, and so does what `initial_size` committed. If more stays cached, between live small blocks, its
 * pages go back all the same; they count as committed and cached still.
 *
 * @param pool     NULL: the thread's current pool of the host.
 * @param keep_bytes The number of cached bytes that may stay.
 * @param[out] released_bytes Optional: the number of bytes by which reserved_bytes fell. On failure: untouched.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any; others go on using the pool meanwhile. Blocks: while the system takes the memory. Allocates:
 *         nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_trim(tn_pool *pool,
                       size_t keep_bytes,
                       size_t *released_bytes);

/**
 * Lists the size classes of a pool's blocks that were ever used. The sums of live_blocks, allocation_count and hit_count are those of
 * `tn_pool_query`.
 *
 * @param pool         NULL: the thread's current pool of the host.
 * @param item_size    The size of an item in the caller's program: sizeof(tn_pool_class_stats).
 * @param capacity     The number of items at classes.
 * @param[out] classes The first `capacity` of them: large blocks first, with block_bytes 0, then the others by size; NULL only with
 *                     capacity 0.
 * @param[out] n_classes The number of classes in all.
 * @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an item_size that is too small.
 * @note Threads: any; while others use the pool, each span is of some moment of the call. Blocks: never. Allocates: nothing. It looks at
 *       each block of the pool.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_query_classes(tn_pool *pool,
                                size_t item_size,
                                size_t capacity,
                                tn_pool_class_stats *classes,
                                size_t *n_classes);

/**
 * Lists who holds and did what in a pool: arrays, raw blocks, and each library that allocates from it. The sum of live_bytes is the pool's
 * in_use_bytes.
 *
 * @param pool         NULL: the thread's current pool of the host.
 * @param item_size    The size of an item in the caller's program: sizeof(tn_pool_client).
 * @param capacity     The number of items at clients.
 * @param[out] clients The first `capacity` of them, those that ever asked for something, by TN_CLIENT_; NULL only with capacity 0.
 * @param[out] n_clients The number of clients in all.
 * @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an item_size that is too small.
 * @note Threads: any; all of one moment. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_query_clients(tn_pool *pool,
                                size_t item_size,
                                size_t capacity,
                                tn_pool_client *clients,
                                size_t *n_clients);

/**
 * Registers a callback for when the pool runs out of memory: after what it and the device's other pools had cached was given back, and
 * before the request fails. All that are registered are called in order until the request succeeds, each at most once for a request.
 *
 * @param pool     NULL: the thread's current pool of the host.
 * @param callback The callback; it gives the number of bytes that it thinks it freed; 0: the next one is called without another try.
 * @param context  The argument of callback and release.
 * @param release  Optional: it is called once when the registration ended: by `tn_pool_off_pressure` or with the pool, and nobody is in
 *                 the callback any more. On failure: not called.
 * @return TN_OK; TN_ERR_NULL for `callback`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DUPLICATE for the same callback and context;
 *         TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any; the callback runs on the thread that is short of memory, under no lock. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_on_pressure(tn_pool *pool,
                              tn_pressure_callback callback,
                              void *context,
                              tn_release_callback release);

/**
 * Ends a registration. A callback that is running goes on; it is not called again.
 *
 * @param pool     NULL: the thread's current pool of the host.
 * @param callback The callback of the registration.
 * @param context  The context of the registration.
 * @return TN_OK; TN_ERR_NULL for `callback`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE if the two are not registered.
 * @note Threads: any, the callback itself too. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_off_pressure(tn_pool *pool, tn_pressure_callback callback, void *context);

/* ===================================================== array ===================================================== */
/** @defgroup array creation, queries, names, clones, copies, weak handles, files */

/**
 * Makes an array on new bytes, whose contents are undefined.
 *
 * @param pool     The pool that the bytes come from; NULL: the thread's current pool of the host.
 * @param dtype    The element type, one of the constants TN_BOOL .. TN_C128.
 * @param ndim     The number of axes, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements, none negative. NULL only with ndim 0. With a length 0 the array has no bytes, and no pool
 *                 is called.
 * @param options  The order and name; NULL: C order, no name.
 * @param[out] out The array: dense, its address a multiple of 256. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for options, order or a name that is not UTF-8; TN_ERR_DTYPE;
 *         TN_ERR_OVERFLOW for more than 64 axes or a size that overflows; TN_ERR_SHAPE for a negative ndim or length;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_LIMIT when no more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_empty(tn_pool *pool,
                         tn_dtype dtype,
                         int32_t ndim,
                         const int64_t *shape,
                         const tn_array_options *options,
                         tn_array **out);

/**
 * Makes an array on new bytes, all of which are 0.
 *
 * @param pool     As for `tn_array_empty`.
 * @param dtype    The element type.
 * @param ndim     The number of axes, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements. NULL only with ndim 0.
 * @param options  The order and name; NULL: C order, no name.
 * @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
 * @return as `tn_array_empty`.
 * @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_zeros(tn_pool *pool,
                         tn_dtype dtype,
                         int32_t ndim,
                         const int64_t *shape,
                         const tn_array_options *options,
                         tn_array **out);

/**
 * Makes an array on new bytes, every element of which is one value.
 *
 * @param pool     As for `tn_array_empty`.
 * @param dtype    The element type.
 * @param ndim     The number of axes, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements. NULL only with ndim 0.
 * @param value    One element, copied bit by bit before the call returns; any alignment.
 * @param options  The order and name; NULL: C order, no name.
 * @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
 * @return as `tn_array_empty`; TN_ERR_NULL also for value.
 * @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_full(tn_pool *pool,
                        tn_dtype dtype,
                        int32_t ndim,
                        const int64_t *shape,
                        const void *value,
                        const tn_array_options *options,
                        tn_array **out);

/**
 * Makes an array with type and shape of another one, on new bytes whose contents are undefined.
 *
 * @param pool         The pool that the bytes come from; NULL: the thread's current pool of the prototype's device.
 * @param prototype    An array; neither read nor changed.
 * @param options      The order and name; TN_ORDER_K keeps the order of the prototype's strides. NULL: C order, no name.
 * @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_like(tn_pool *pool,
                        tn_array *prototype,
                        const tn_array_options *options,
                        tn_array **out);

/**
 * Makes an array of the caller's host memory: an alias or a copy, as the flags say. Bytes of a live store become one more claim on it.
 *
 * @param ptr          The address that `layout.offset` counts from. NULL only for a layout of no elements.
 * @param layout       The type, shape, strides in bytes (NULL: C order), offset in bytes.
 * @param flags        No flag: a copy. TN_BORROW: an alias where possible. TN_REQUIRE_BORROW: an alias or a status. TN_MAY_OVERWRITE: an
 *                     alias whose contents may be destroyed. TN_TAKE: an alias that the library owns from now on. TN_RELEASE_QUEUED: the
 *                     callback runs in `tn_run_releases`. TN_IMPORT_READONLY: the handle is READONLY.
 * @param release      The callback, which is called exactly once if the call succeeds: at once if the bytes were copied, else when the
 *                     last of this handle and the claims, guards and exports that descend from it ended (TN_TAKE: when the store did).
 *                     Until then the memory must stay. May be NULL, but not with TN_TAKE. If the call fails it is never called, and the
 *                     memory is still the caller's.
 * @param context      The argument of release.
 * @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID; TN_ERR_DTYPE, TN_ERR_OVERFLOW, TN_ERR_SHAPE; TN_ERR_RANGE for addresses that wrap around;
 *         TN_ERR_ALIASED where TN_REQUIRE_BORROW, TN_TAKE or TN_MAY_OVERWRITE meet bytes of live stores that they cannot have;
 *         TN_ERR_WOULD_COPY for memory that is not aligned for the type, or under `tn_copies_forbid`; TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_POOL_LIMIT.
 * @note Threads: any; release runs on whichever thread ended the last holder, under no lock, and may call the library. Blocks: never.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_import_host(void *ptr,
                               const tn_layout *layout,
                               tn_crossing_flags flags,
                               tn_release_callback release,
                               void *context,
                               tn_array **out,
                               tn_how *how);

/**
 * Says what an array is: type, shape, strides, device, contiguity, bytes, name.
 *
 * @param array        An array; a given one too. Neither read nor changed.
 * @param[out] info    The struct to fill, with `size` set by the caller; as much of it is filled as that says, and of shape and strides
 *                     the first ndim entries only. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size; TN_ERR_DESTRUCTED.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_query(tn_array *array,
                         tn_array_info *info);

/**
 * Changes the name that texts and reports call the array by.
 *
 * @param array    An array; a given one too.
 * @param name     The name, of which the first 63 bytes of UTF-8 are copied; NULL removes the name.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a name that is not UTF-8; TN_ERR_DESTRUCTED.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_set_name(tn_array *array,
                            const char *name);

/**
 * Gives a new handle on the pool that the array's bytes came from.
 *
 * @param array    An array, also a view or clone of one.
 * @param[out] out The pool. Released by `tn_pool_release`. If the pool was released, it still answers and hands out nothing. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_FOREIGN for imported bytes and arrays of
 *         no elements; TN_ERR_LIMIT when no more handles can be made.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_pool(tn_array *array,
                        tn_pool **out);

/**
 * Waits until the device work on an array is done, so that the host may touch it. Looks at no guard and takes none; without unfinished work
 * it asks no driver.
 *
 * @param array    An array.
 * @param access   TN_READ: waits for unfinished writers; TN_WRITE: for readers too.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for access 0 or another bit; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_DRIVER, also for a device that is lost.
 * @note Threads: any. Blocks: for the device, never for a holder.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_wait(tn_array *array,
                        tn_access access);

/**
 * Makes another claim on the same bytes, with the same layout and name.
 *
 * @param array    An array; it may be borrowed, exported or poisoned.
 * @param[out] out The clone. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_LIMIT when no more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_clone(tn_array *array,
                         tn_array **out);

/**
 * Makes an array with the same elements on new bytes: dense, in F order if the source is F- and not C-contiguous, else in C order.
 *
 * @param array    The array that is read, during the call only; it may be READONLY, the copy never is.
 * @param pool     The pool that the bytes come from; NULL: the thread's current pool of the array's device.
 * @param stream   As in movement: NULL is done on return; on host memory the constants mean the same.
 * @param[out] out The copy. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE for a pool of another device;
 *         TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: the copy, from the pool.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_copy(tn_array *array,
                        tn_pool *pool,
                        tn_stream *stream,
                        tn_array **out);

/**
 * Ends a claim. Guards, exports and promises keep the bytes; they go back when the last of all these ended.
 *
 * @param array    An array, in whatever state it is; exactly once per handle, also when its claim was taken.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND. With option "strict": TN_ERR_GIVEN, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED,
 *         TN_ERR_EXPORTED where this handle is given or has guards or exports of its own, and nothing changes.
 * @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_release(tn_array *array);

/**
 * Makes a weak handle: it remembers the layout, and makes no claim.
 *
 * @param array    An array.
 * @param[out] out The weak handle. Released by `tn_weak_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_weaken(tn_array *array, tn_weak **out);

/**
 * Makes an array handle of a weak one: a claim again.
 *
 * @param weak     A weak handle; it stays.
 * @param[out] out The array, with the layout that was weakened. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED if the store has been without a claim since, or the import that
 *         the handle descended from has ended; TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_weak_upgrade(tn_weak *weak,
                          tn_array **out);

/**
 * Gives a weak handle back.
 *
 * @param weak     A weak handle; exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_weak_release(tn_weak *weak);

/**
 * Opens a `.npy` file as an array: mapped, or read into a pool's memory. Nothing in a file is ever executed.
 *
 * A mapping stays until the last claim, guard and export ended; the file may be closed, renamed or deleted before. If somebody else cuts
 * a mapped file short, whoever reads past its end is killed by SIGBUS; TN_NPY_COPY reports TN_ERR_IO instead. Mapped booleans are the
 * bytes of the file as they are; TN_NPY_COPY makes any byte but 0 a 1.
 *
 * @param path     The file, NUL-terminated. NULL: `options.fd`, which stays the caller's.
 * @param options  The mode, descriptor and pool; NULL: TN_NPY_READ.
 * @param[out] out The array; READONLY with TN_NPY_READ, FOREIGN also with TN_NPY_WRITE. Released by `tn_array_release`. On failure:
 *                 untouched, nothing is mapped and no descriptor is left open.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DTYPE for types that Tenure lacks; TN_ERR_OVERFLOW for
 *         more than 64 axes or a size that overflows; TN_ERR_LIMIT for a header longer than allowed; TN_ERR_WOULD_COPY for data that is
 *         not aligned or big-endian, in the mapped modes; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_IO with the reason.
 * @note Threads: any. Blocks: for the file system.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_open_npy(const char *path,
                            const tn_npy_options *options,
                            tn_array **out);

/**
 * Saves an array as a `.npy` file, which NumPy reads: C order, F order if it is only F-contiguous. Written beside the target and then
 * renamed, so that a file of that name is either the old one or whole; saving over the file that the array is mapped from works.
 *
 * @param array    The array that is read, during the call only; any layout.
 * @param path     The file, NUL-terminated.
 * @param flags    TN_IO_SYNC: file and directory are on the disk before the call returns. TN_IO_EXCLUSIVE: an existing file is TN_ERR_IO.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE for bfloat16, which
 *         the format lacks; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY; TN_ERR_IO with the reason, and
 *         then the old file is as it was and no other is left.
 * @note Threads: any. Blocks: for the file system. Allocates: at most one chunk.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_save_npy(tn_array *array,
                            const char *path,
                            tn_io_flags flags);

/* ====================================================== view ====================================================== */
/**
 * @defgroup view other layouts on the same bytes
 * Each call makes a new handle on the same store, without a name, which is released on its own; no element is copied or
 * touched. Each is TN_ERR_LIMIT when no more handles can be made.
 */

/**
 * Makes a view with another shape and the same elements in the same order.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param ndim     The number of axes of the view, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements; one may be -1 and is computed. NULL only with ndim 0.
 * @param order    TN_ORDER_C, F or A: the order in which elements are read from the array and laid out in the view.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an unknown order; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_OVERFLOW; TN_ERR_SHAPE for another number of elements, two -1, or one that cannot be computed; TN_ERR_LAYOUT where only a
 *         copy would do.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_reshape(tn_array *array,
                           int32_t ndim,
                           const int64_t *shape,
                           tn_order order,
                           tn_array **out);

/**
 * Makes a one-dimensional view of all elements.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param order    TN_ORDER_C, F or A: the order of the elements.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return as `tn_array_reshape`.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_ravel(tn_array *array, tn_order order, tn_array **out);

/**
 * Makes a view with all axes reversed.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_transpose(tn_array *array, tn_array **out);

/**
 * Makes a view with the axes in another order.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param ndim     The number of axes: that of the array.
 * @param axes     The ndim axes of the array, each once; negative ones count from the end. NULL only with ndim 0.
 * @param[out] out The view: its axis i is axis axes[i] of the array. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a negative ndim; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_COUNT for a wrong number of axes; TN_ERR_DUPLICATE; TN_ERR_OVERFLOW; TN_ERR_RANGE for an axis that is not there.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_permute(tn_array *array,
                           int32_t ndim,
                           const int32_t *axes,
                           tn_array **out);

/**
 * Makes a view of a part of an array.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param n_specs  The number of specs, at most that of the axes; axes from n_specs on are kept whole.
 * @param specs    The n_specs specs {start, stop, step}, whose reserved words are 0, as in Python: negative counts from the end, what lies
 *                 outside is clamped, TN_NONE is absent. NULL only with n_specs 0.
 * @param[out] out The view: same number of axes. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a step 0 or a reserved word that is not 0; TN_ERR_DESTRUCTED,
 *         TN_ERR_GIVEN; TN_ERR_COUNT for more specs than axes; TN_ERR_OVERFLOW.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_slice(tn_array *array,
                         size_t n_specs,
                         const tn_slice_spec *specs,
                         tn_array **out);

/**
 * Makes a view of the elements with one index on an axis, which is removed.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param axis     The axis; a negative one counts from the last one.
 * @param index    The index; a negative one counts from the end.
 * @param[out] out The view: one axis less. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW; TN_ERR_RANGE for an axis or
 *         index that is not there.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_index(tn_array *array,
                         int32_t axis,
                         int64_t index,
                         tn_array **out);

/**
 * Makes a view without axes of length 1.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param n_axes   The number of axes to remove.
 * @param axes     The n_axes axes of length 1, each once; negative ones count from the end. NULL with n_axes 0: all axes of length 1.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT for more axes than an array can
 *         have; TN_ERR_DUPLICATE; TN_ERR_OVERFLOW; TN_ERR_SHAPE for an axis of another length; TN_ERR_RANGE for an axis that is not there.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_squeeze(tn_array *array,
                           size_t n_axes,
                           const int32_t *axes,
                           tn_array **out);

/**
 * Makes a view with a new axis of length 1.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param axis     The place of the new axis, 0 to the number of axes; negative counts from behind the last one.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW past 64 axes; TN_ERR_RANGE.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_expand(tn_array *array,
                          int32_t axis,
                          tn_array **out);

/**
 * Makes a view with a larger shape, in which elements repeat: right-aligned, lengths of 1 stretch.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param ndim     The number of axes of the view, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements. NULL only with ndim 0.
 * @param[out] out The view: READONLY where an axis of length above 1 is stretched. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW; TN_ERR_SHAPE for fewer axes or
 *         lengths that do not fit.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_broadcast(tn_array *array,
                             int32_t ndim,
                             const int64_t *shape,
                             tn_array **out);

/**
 * Makes a given number of views that follow one another on an axis, with lengths that differ by 1 at most, the longer ones first. All or
 * none.
 *
 * @param array        An array; stays usable and keeps its own release.
 * @param axis         The axis; a negative one counts from the last one.
 * @param n_parts      The number of views, at least 1.
 * @param capacity     The number of places at outs.
 * @param[out] outs    The views, each released by `tn_array_release`. NULL: only n_outs is written. On failure: untouched.
 * @param[out] n_outs  The number of views: n_parts. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for n_parts 0; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT
 *         where capacity is less than n_outs; TN_ERR_RANGE for an axis that is not there; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_split(tn_array *array,
                         int32_t axis,
                         size_t n_parts,
                         size_t capacity,
                         tn_array **outs,
                         size_t *n_outs);

/**
 * Makes views of a given length that follow one another on an axis; the last one may be shorter. All or none.
 *
 * @param array        An array; stays usable and keeps its own release.
 * @param axis         The axis; a negative one counts from the last one.
 * @param length       The length of a view on the axis, in elements, at least 1.
 * @param capacity     The number of places at outs.
 * @param[out] outs    The views, each released by `tn_array_release`. NULL: only n_outs is written. On failure: untouched.
 * @param[out] n_outs  The number of views; none for an axis of length 0. On failure: untouched.
 * @return as `tn_array_split`, TN_ERR_INVALID for a length below 1.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_chunks(tn_array *array,
                          int32_t axis,
                          int64_t length,
                          size_t capacity,
                          tn_array **outs,
                          size_t *n_outs);

/**
 * Makes a view of the same bytes as another element type.
 *
 * @param array    An array; stays usable and keeps its own release.
 * @param dtype    The other type. Of another size only where the last axis is dense; its length changes then.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE for an unknown type and for a view
 *         of other bytes as bool; TN_ERR_OVERFLOW; TN_ERR_SHAPE where the last axis' bytes do not divide; TN_ERR_LAYOUT where it is not
 *         dense, or addresses would not be aligned.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_view_dtype(tn_array *array,
                              tn_dtype dtype,
                              tn_array **out);

/**
 * Says how the bytes of two arrays lie to one another.
 *
 * @param a        An array.
 * @param b        An array.
 * @param[out] out TN_OVERLAP_NONE, EXACT, SOME or UNKNOWN; unknown counts as overlap wherever a rule depends on it. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_overlap(tn_array *a,
                           tn_array *b,
                           tn_overlap *out);

/* ===================================================== borrow ===================================================== */
/**
 * @defgroup borrow guards
 * The only way to a pointer; many readers or one writer per region, and a conflict is a status at once.
 */

/**
 * Opens a guard for reading: until it ends, nobody writes the bytes through this library.
 *
 * @param array        An array.
 * @param flags        TN_FROZEN: beside no shared view, and none may begin meanwhile. TN_WAIT: waits for unfinished device work.
 * @param stream       The stream that reads: NULL is the host, now; on host memory the stream constants mean the same. A stream is made to
 *                     wait for the unfinished writers of the bytes, the host does not wait for them.
 * @param[out] data    The address of element (0,..,0), NULL if there is none; not to be written. Valid until the guard ends. May be NULL.
 * @param[out] view    The layout at this moment; its pointers are the guard's, valid until it ends. May be NULL.
 * @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. On failure: untouched, as are the others.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE
 *         for a stream of another device; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_PENDING for the host while a
 *         device writes the bytes; TN_ERR_DRIVER; TN_ERR_LIMIT when no more guards can be made.
 * @note Threads: any. Blocks: with TN_WAIT for the device, after all other checks and under no lock; never for a holder. Allocates:
 *       bookkeeping only.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_array_borrow_read(tn_array *array,
                               tn_borrow_flags flags,
                               tn_stream *stream,
                               const void **data,
                               tn_view_info *view,
                               tn_borrow **out);

/**
 * Opens a guard for writing: until it ends, nobody else reads or writes the bytes through this library.
 *
 * @param array        An array.
 * @param mode         TN_WRITE_ALIASED (0): other handles on the store see the change. TN_WRITE_UNIQUE: only if nobody else holds the
 *                     store, that is if `tn_array_why_not` gives 0. TN_WRITE_COW: if somebody else does, this handle moves to a copy. With
 *                     TN_WRITE_DISCARD the old contents are not needed: they are not copied, and poison heals. TN_WAIT.
 * @param stream       The stream that writes: NULL is the host, now; on host memory the stream constants mean the same. A stream is made
 *                     to wait for the unfinished readers and writers of the bytes, the host does not wait for them.
 * @param[out] data    The address of element (0,..,0), NULL if there is none. Valid until the guard ends. May be NULL.
 * @param[out] view    The layout at this moment; its pointers are the guard's, valid until it ends. May be NULL.
 * @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. On failure: untouched, as are the others.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE
 *         for a stream of another device; TN_ERR_POISONED, TN_ERR_READONLY, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED,
 *         TN_ERR_SHARED, TN_ERR_IN_EXPRESSION; TN_ERR_PENDING for the host while a device uses the bytes; TN_ERR_FOREIGN; TN_ERR_DRIVER;
 *         TN_ERR_WOULD_COPY for COW under `tn_copies_forbid`; for COW TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_LIMIT.
 * @note Threads: any. Blocks: with TN_WAIT for the device, after all other checks and under no lock; never for a holder. Allocates:
 *       bookkeeping; COW that copies the copy, under no lock.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_array_borrow_write(tn_array *array,
                                tn_write_mode mode,
                                tn_stream *stream,
                                void **data,
                                tn_view_info *view,
                                tn_borrow **out);

/**
 * Opens guards on several arrays, all or none, with one handle for all; never a deadlock, whatever the order.
 *
 * @param n_specs      The number of entries; 0 makes a guard of nothing.
 * @param specs        The n_specs entries: array, stream, and access TN_READ (with TN_FROZEN), TN_READ_WRITE, or TN_WRITE, which
 *                     overwrites everything; writing ones with a TN_WRITE_ mode. NULL only with n_specs 0.
 * @param[out] views   The n_specs views, in the order of the specs; their pointers are valid until the guard ends. May be NULL. On
 *                     failure: untouched.
 * @param[out] out     The guard. Ended by one `tn_borrow_end`. On failure: untouched.
 * @return what single borrows would get, the first in the order of checks over all entries; TN_ERR_ALIASED where an entry writes what
 *         another one uses, or moves to a copy beside another entry of the same handle; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: for the device, where an entry has TN_WAIT. Allocates: bookkeeping; the copies of COW entries.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_borrow_all(size_t n_specs,
                        const tn_borrow_spec *specs,
                        tn_view_info *views,
                        tn_borrow **out);

/**
 * Opens write guards on consecutive parts of an axis, for as many threads: the checks of one write of everything, then a guard for each part, all or none.
 *
 * @param array        An array.
 * @param axis         The axis; a negative one counts from the last one.
 * @param n_chunks     The number of parts, at least 1; the first (length mod n_chunks) of them are one longer. More parts than indices are
 *                     empty.
 * @param mode         As for `tn_array_borrow_write`, decided once for the whole array.
 * @param stream       As for `tn_array_borrow_write`.
 * @param[out] chunks  The n_chunks parts: guard, pointer (NULL if empty), first index and length on the axis. Each guard is ended by
 *                     `tn_borrow_end`, on any thread. On failure: untouched.
 * @return as `tn_array_borrow_write`; TN_ERR_INVALID for n_chunks 0; TN_ERR_RANGE for an axis that is not there; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: with TN_WAIT for the device. Allocates: bookkeeping; COW that copies the copy.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_array_chunks_write(tn_array *array,
                                int32_t axis,
                                size_t n_chunks,
                                tn_write_mode mode,
                                tn_stream *stream,
                                tn_chunk *chunks);

/**
 * Says what an open guard gives access to.
 *
 * @param borrow       A guard of one array.
 * @param[out] info    The struct to fill, with `size` set by the caller. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size, and for a guard of `tn_borrow_all`, whose views
 *         have it all.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_borrow_query(tn_borrow *borrow,
                          tn_borrow_info *info);

/**
 * Ends a guard of any kind, once. The bytes go back if it was the last that held them.
 *
 * @param borrow   A guard; its pointers are not to be used any more.
 * @param flags    TN_END_FAILED: what a writer wrote is undefined; reading its region is refused until it is rewritten. Ignored for
 *                 readers.
 * @param stream   The stream that the last work on the bytes is on, which may go on: who uses them next comes after it. NULL: it is done.
 *                 On host memory the stream constants mean the same. Of a `tn_borrow_all` it is meant for the entries that were taken with
 *                 a stream.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, TN_ERR_DEVICE for a stream of another device, TN_ERR_DRIVER, and
 *         then the guard stays open.
 * @note Threads: any, also another one than the borrow's. Blocks: never. Allocates: nothing. May run the release callback of an import, under
 *       no lock.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_borrow_end(tn_borrow *borrow,
                        tn_end_flags flags,
                        tn_stream *stream);

/* ==================================================== promise ==================================================== */
/** @defgroup promise giving arrays away and taking them; who holds a store, and why its bytes may not be overwritten */

/**
 * Wraps an array handle in a promise not to use it again. The promise travels; `tn_take` opens it. If as many promises of a handle arrive in
 * one call as were required, its claim moves and the handle is destructed; with fewer the taker gets a clone.
 *
 * @param array    An array without open guards of its own. While promises are outstanding it only answers queries and release.
 * @param n_required The number of the giver's variables that refer to the handle: 1 in C. Of several calls the largest counts.
 * @param[out] out The promise. Released by `tn_promise_release`, also when it was taken. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for n_required 0; TN_ERR_DESTRUCTED; TN_ERR_GIVEN, or TN_ERR_COUNT
 *         where n_required is above 1, if it was given that often already; TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED for guards of its own;
 *         TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_array_give(tn_array *array,
                        size_t n_required,
                        tn_promise **out);

/**
 * Takes a promise back: the giver has its array again. The promise still has to be released.
 *
 * @param promise  An outstanding promise.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED if it was taken or cancelled already.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_promise_cancel(tn_promise *promise);

/**
 * Gives a promise back; one that nobody took is cancelled first.
 *
 * @param promise  A promise, in whatever state it is; exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_promise_release(tn_promise *promise);

/**
 * Opens promises: each gives a new handle, all or none. The promises are used up, and still released by their owner.
 *
 * @param n_promises   The number of promises.
 * @param promises     The n_promises outstanding promises, each once. NULL only with n_promises 0.
 * @param[out] out     The n_promises arrays; out[i] belongs to promises[i], has the layout, name and READONLY flag of the handle that was
 *                     given. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled already;
 *         TN_ERR_DUPLICATE; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_take(size_t n_promises,
                  tn_promise *const *promises,
                  tn_array **out);

/**
 * Enters a scope: the callee gets a handle of its own for every parameter, given or lent, all or none, and need not know which.
 *
 * A promise is opened as by `tn_take`: if as many promises of a handle arrive in this call as its giver required, the claim moves and the
 * giver's handle is destructed, else the callee gets a clone. A plain array gives a clone, also beside a promise of the same handle. The
 * callee may release, give or write each handle as soon as it likes; `tn_leave` releases those that are left.
 *
 * @param n_params     The number of parameters; 0 makes an empty scope.
 * @param params       The n_params handles, tn_array * or tn_promise * mixed; an array may stand there several times, a promise once. NULL
 *                     only with n_params 0. The promises are used up, and still released by their owner.
 * @param[out] out     The n_params arrays; out[i] belongs to params[i], has its layout, name and READONLY flag, and is owned by the scope.
 *                     NULL only with n_params 0. On failure: untouched.
 * @param[out] scope   The scope. Given back by `tn_leave`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled already and for an
 *         array that was taken; TN_ERR_GIVEN for an array that was given, unless one of its promises is in this call; TN_ERR_DUPLICATE for
 *         a promise that stands there twice; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT. The leftmost parameter with the first of these is named.
 * @note Threads: any; the scope is bound to none. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_enter(size_t n_params,
                   void *const *params,
                   tn_array **out,
                   tn_scope **scope);

/**
 * Leaves a scope: releases what is left of its handles, in the order of its parameters. Scopes may be left in any order, by any thread.
 *
 * @param scope    An entered scope; exactly once.
 * @param n_keep   The number of handles to keep.
 * @param keep     Handles of this scope that stay as they are, in whatever state, and belong to the caller from now on: what the callee
 *                 returns. NULL only with n_keep 0.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND, for the scope and for each of keep; TN_ERR_INVALID for an array that is not of
 *         this scope; TN_ERR_DUPLICATE for one that stands there twice. With option "strict", for what would be released: TN_ERR_GIVEN,
 *         TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED. On failure the scope stays entered and nothing is released.
 * @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_leave(tn_scope *scope,
                   size_t n_keep,
                   tn_array *const *keep);

/**
 * Says whether nothing else claims, borrows or exports the store.
 *
 * @param array    An array; a given one too (0).
 * @param[out] out 1 or 0; out of date as soon as other threads hold handles. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_array_is_unique(tn_array *array, int32_t *out);

/**
 * Says what stands in the way of overwriting the array's bytes in place, and who.
 *
 * @param array            An array; a given one too.
 * @param target           What is to be put there; NULL: only who holds the store.
 * @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
 * @param capacity         The number of items at holders.
 * @param[out] bits        0: nothing is in the way; else TN_WHY_ bits.
 * @param[out] holders     Everything that holds the store but this handle: handles and promises, exports, and guards that overlap; what
 *                         fits. NULL only with capacity 0.
 * @param[out] n_holders   The number of holders in all.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong target.size or item_size; TN_ERR_DESTRUCTED;
 *         TN_ERR_DTYPE, TN_ERR_OVERFLOW, TN_ERR_SHAPE for the target. On failure the outputs are untouched.
 * @note Threads: any. Blocks: never. Allocates: nothing. Out of date as soon as other threads hold handles: the borrow decides again.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_array_why_not(tn_array *array,
                           const tn_target *target,
                           size_t item_size,
                           size_t capacity,
                           tn_why *bits,
                           tn_holder *holders,
                           size_t *n_holders);

/**
 * Says whose the bytes at an address are. Nothing is read there.
 *
 * @param ptr              Any address but NULL, also one that is not mapped.
 * @param bytes            The number of bytes from there on, at least 1.
 * @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
 * @param capacity         The number of items at holders.
 * @param[out] store       The store or raw block of a pool, with `size` set by the caller; may be NULL. An import of a raw block is a
 *                         store; the block is one of its holders.
 * @param[out] holders     Everything that holds it: handles and promises, and guards and exports that overlap the bytes; what fits. NULL
 *                         only with capacity 0.
 * @param[out] n_holders   The number of holders in all.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for bytes 0, a wrong store.size or item_size; TN_ERR_FOREIGN for memory that the library does
 *         not know; TN_ERR_ALIASED for bytes of two stores. On failure the outputs are untouched.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_holders_of(const void *ptr,
                        size_t bytes,
                        size_t item_size,
                        size_t capacity,
                        tn_store_info *store,
                        tn_holder *holders,
                        size_t *n_holders);

/* ==================================================== transfer ==================================================== */
/**
 * @defgroup transfer copies between arrays and raw memory
 * `mode` is the write mode on the destination, of which every element is overwritten; types are not converted, shapes
 * not broadcast.
 */

/**
 * Copies the elements of one array into another one: as if the source had been read in full first, also where they overlap.
 *
 * @param source       The array that is read, during the call only; any layout.
 * @param destination  The array that is written; any layout. Bytes that belong to none of its elements stay as they are.
 * @param mode         The write mode on the destination, TN_WAIT, TN_REQUIRE_ASYNC.
 * @param stream       NULL: done on return; between host arrays the constants mean the same.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE, TN_ERR_SHAPE where
 *         they differ; then what a read borrow of the source and a write borrow of the destination would get; TN_ERR_NO_HOST_MEMORY.
 *         On failure the destination is unchanged.
 * @note Threads: any. Blocks: never. Allocates: a temporary of the source's size where the two overlap and no order is safe.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_copy_into(tn_array *source,
                             tn_array *destination,
                             tn_write_mode mode,
                             tn_stream *stream);

/**
 * Makes a new array on a device with the elements of an array, also if that is there already.
 *
 * @param array    The array that is read, during the call only; any layout.
 * @param device   The device to copy to; the host is {TN_CPU, 0}.
 * @param pool     A pool of that device; NULL: the thread's current one.
 * @param stream   NULL: done on return.
 * @param[out] out The new array: in F order if the source is F- and not C-contiguous, else in C order. Released by `tn_array_release`. On
 *                 failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE for a device that does not exist
 *         or a pool of another one; TN_ERR_UNSUPPORTED without a driver for it; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: the new array, from the pool.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_to_device(tn_array *array,
                             tn_device device,
                             tn_pool *pool,
                             tn_stream *stream,
                             tn_array **out);

/**
 * Copies an array's elements into raw host memory.
 *
 * @param array    The array that is read, during the call only; any layout.
 * @param ptr      Memory for the elements; the call is done with it on return. NULL only for an array of no elements.
 * @param layout   The layout of the elements there, of the array's type and shape; NULL: C order.
 * @param stream   NULL: done on return; for a host array the constants mean the same.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE, TN_ERR_SHAPE,
 *         TN_ERR_RANGE, TN_ERR_OVERFLOW for the layout, TN_ERR_LAYOUT if its elements share bytes; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE,
 *         TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_copy_to_host(tn_array *array,
                                void *ptr,
                                const tn_layout *layout,
                                tn_stream *stream);

/**
 * Copies elements from raw host memory into an array.
 *
 * @param array    The array that is written; any layout.
 * @param ptr      The elements; read before the call returns. NULL only for an array of no elements.
 * @param layout   Their layout there, of the array's type and shape; NULL: C order.
 * @param mode     The write mode on the array, TN_WAIT, TN_REQUIRE_ASYNC.
 * @param stream   NULL: done on return; for a host array the constants mean the same.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE, TN_ERR_SHAPE,
 *         TN_ERR_RANGE, TN_ERR_OVERFLOW for the layout; then what a write borrow would get; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_copy_from_host(tn_array *array,
                                  const void *ptr,
                                  const tn_layout *layout,
                                  tn_write_mode mode,
                                  tn_stream *stream);

/**
 * Overwrites every element of an array with one value.
 *
 * @param array    The array that is written; any layout. Bytes that belong to none of its elements stay as they are.
 * @param value    One element, copied bit by bit before the call returns; any alignment.
 * @param mode     The write mode, TN_WAIT.
 * @param stream   NULL: done on return; for a host array the constants mean the same.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; then what a write borrow with
 *         TN_WRITE_DISCARD would get; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT for TN_WRITE_COW.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_fill(tn_array *array,
                        const void *value,
                        tn_write_mode mode,
                        tn_stream *stream);

/**
 * Overwrites every byte of an array's elements with 0.
 *
 * @param array    The array that is written; any layout. Bytes that belong to none of its elements stay as they are.
 * @param mode     The write mode, TN_WAIT.
 * @param stream   NULL: done on return; for a host array the constants mean the same.
 * @return as `tn_array_fill`.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_zero(tn_array *array, tn_write_mode mode, tn_stream *stream);

/**
 * Page-locks the caller's memory, so that devices copy it by themselves, and gives it as a 1-D array of u8 on TN_CUDA_HOST; views give it
 * type and shape. Copies of other arrays and raw pointers in the range are as fast from then on.
 *
 * There is no verb for the way back: when the last array that descends from the result was released, the memory is unlocked. That release
 * waits for the copies on the range, because the caller may free the memory afterwards.
 *
 * @param ptr      Host memory, any alignment; it stays until the release. Memory of a live array gives one more array on its store, with
 *                 that store's device; past the end of an imported one it widens that.
 * @param bytes    The number of bytes, at least 1.
 * @param flags    TN_HOST_PORTABLE, TN_HOST_MAPPED, TN_HOST_READ_ONLY: devices only read it, and the array is READONLY;
 *                 TN_HOST_BEST_EFFORT: without a GPU the array is there, labelled TN_CPU, and nothing is locked.
 * @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for other flags, TN_HOST_WRITE_COMBINED or no bytes; TN_ERR_DUPLICATE where some of it is
 *         registered already, by this library or another; TN_ERR_RANGE; TN_ERR_UNSUPPORTED without a GPU; TN_ERR_ALIASED for bytes of
 *         two arrays' stores, or beyond a pool's; TN_ERR_NO_HOST_MEMORY; TN_ERR_DRIVER for memory that the driver refuses.
 * @note Threads: any. Blocks: while the driver locks the pages.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_host_register(void *ptr,
                           size_t bytes,
                           tn_host_flags flags,
                           tn_array **out);

/**
 * Tells the driver where managed memory is best kept. Changes no element.
 *
 * @param array    An array of managed memory. Neither read nor written, so nobody is in the way.
 * @param advice   TN_ADVISE_, on the whole pages of the array's range.
 * @param device   A GPU or the host; TN_ADVISE_READ_MOSTLY and what takes advice back do not look which.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE;
 *         TN_ERR_UNSUPPORTED for other memory, without a driver, or where the device does not share managed memory; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_advise(tn_array *array,
                          tn_advice advice,
                          tn_device device);

/**
 * Brings managed memory to where it will be used next. Changes no element, and needs no claim.
 *
 * @param array    An array of managed memory.
 * @param device   A GPU or the host.
 * @param stream   The stream that orders the move; NULL: the thread's current one, which is waited for.
 * @return as `tn_array_advise`; TN_ERR_DEVICE also for a stream of another device.
 * @note Threads: any. Blocks: with stream NULL.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_prefetch(tn_array *array, tn_device device, tn_stream *stream);

/* ===================================================== runner ===================================================== */
/** @defgroup runner threads of the caller's for large copies */

/**
 * Sets on which threads of the caller's large copies of this thread run; the library has none of its own.
 *
 * Copies and fills between host arrays and raw memory are divided among at most `threads` tasks, which `run` calls; what none of them
 * takes the calling thread does itself. Copies whose source and destination overlap, and small ones, stay on their thread. The result is
 * the same.
 *
 * @param runner   The runner; it is read during this call. What `context` points to must live until another runner is set. NULL, or one
 *                 whose `run` is NULL: none, as at first.
 * @return TN_OK; TN_ERR_INVALID for a wrong size, and then the current runner stays.
 * @note Threads: any; other threads keep theirs. `run` is called by this thread, under no lock; it may call the library, and must return
 *       normally. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup runner
 */
tn_status tn_runner_set_current(const tn_runner *runner);

/**
 * Gives the runner that this thread set: what `tn_runner_set_current` puts back.
 *
 * @param[out] out The struct to fill; `size` is set by the caller. `run` is NULL where there is none. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for a wrong size.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup runner
 */
tn_status tn_runner_current(tn_runner *out);

/* ==================================================== exchange ==================================================== */
/** @defgroup exchange arrays leave for other libraries and come in from them */

/**
 * Exports raw host bytes with their layout, for consumers without a format of their own: the twin of `tn_array_import_host`.
 *
 * @param array        An array; may be released while the export lives.
 * @param flags        No flag: a copy, which is the guard's alone. TN_BORROW: an alias where possible, TN_REQUIRE_BORROW: an alias or a
 *                     status; with TN_EXPORT_WRITABLE a shared view, with TN_EXPORT_EXCLUSIVE beside it an exclusive one, else read-only.
 *                     TN_EXPORT_NONNEGATIVE, TN_UNORDERED, TN_WAIT.
 * @param mode         The write mode of a writable export: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
 * @param stream       NULL: the host, now; on host memory the constants mean the same.
 * @param[out] view    The address and layout, valid until the guard ends.
 * @param[out] guard   The guard; it is ended by `tn_borrow_end`, which is the release of this export.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all are untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_LAYOUT where only a copy
 *         would do; TN_ERR_DEVICE for bytes that the host cannot reach; TN_ERR_POISONED, TN_ERR_READONLY, TN_ERR_BORROWED_WRITE,
 *         TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED, TN_ERR_IN_EXPRESSION; TN_ERR_PENDING while a device uses them; TN_ERR_FOREIGN;
 *         TN_ERR_WOULD_COPY; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: with TN_WAIT for the device. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_export_host(tn_array *array,
                               tn_crossing_flags flags,
                               tn_write_mode mode,
                               tn_stream *stream,
                               tn_view_info *view,
                               tn_borrow **guard,
                               tn_how *how);

/**
 * Exports an array as a DLManagedTensor, which has no version and cannot say "read-only".
 *
 * @param array        An array; may be released while the export lives.
 * @param options      The flags, mode, device label and target; NULL: a copy, labelled as is.
 * @param[out] out     The struct: strides in elements and always there, byte_offset 0. The consumer calls its deleter, once, on any
 *                     thread; it ends the export. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return as `tn_array_export_host`; a read-only export is a shared view in this format unless TN_EXPORT_CONSUMER_READS is given, so that
 *         a READONLY array is TN_ERR_READONLY; TN_ERR_DEVICE, TN_ERR_UNSUPPORTED for a label or target that the memory cannot honour.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_export_dlpack(tn_array *array,
                                 const tn_dlpack_options *options,
                                 struct DLManagedTensor **out,
                                 tn_how *how);

/**
 * Exports an array as a DLManagedTensorVersioned of version 1.1, with the flags for read-only and copied.
 *
 * @param array        An array; may be released while the export lives.
 * @param options      The flags, mode, device label and target; NULL: a copy, labelled as is.
 * @param[out] out     The struct: strides in elements and always there, byte_offset 0. The consumer calls its deleter, once, on any
 *                     thread; it ends the export. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return as `tn_array_export_host`; TN_ERR_DEVICE, TN_ERR_UNSUPPORTED for a label or target that the memory cannot honour.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_export_dlpack_versioned(tn_array *array,
                                           const tn_dlpack_options *options,
                                           struct DLManagedTensorVersioned **out,
                                           tn_how *how);

/**
 * Makes an array of a DLManagedTensor. Bytes of a live store become one more claim on it; a struct of this library's becomes a clone.
 *
 * @param tensor       The struct; on success it is the library's, which calls the deleter once: at once if the bytes were copied, else
 *                     when the last that descends from the import ended. On failure it is still the caller's.
 * @param flags        As for `tn_array_import_host`; TN_IMPORT_WRITABLE: the producer lets us write, else the handle is READONLY.
 * @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return as `tn_array_import_host`; TN_ERR_DEVICE for memory that the host cannot reach.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_import_dlpack(struct DLManagedTensor *tensor,
                                 tn_crossing_flags flags,
                                 tn_array **out,
                                 tn_how *how);

/**
 * Makes an array of a DLManagedTensorVersioned. Bytes of a live store become one more claim on it; a struct of this library's becomes a
 * clone.
 *
 * @param tensor       As for `tn_array_import_dlpack`; one of another major version is given back through its deleter, as the format
 *                     demands.
 * @param flags        As for `tn_array_import_host`. The struct's read-only flag makes the handle READONLY.
 * @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return as `tn_array_import_dlpack`; TN_ERR_UNSUPPORTED for another major version.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_import_dlpack_versioned(struct DLManagedTensorVersioned *tensor,
                                           tn_crossing_flags flags,
                                           tn_array **out,
                                           tn_how *how);

/**
 * DLPack's table of C functions, by which other libraries exchange arrays with the Python package without a call into the interpreter.
 *
 * @param[out] out     The table: version 1.3, no older one behind it, no function NULL; valid until the process ends. On failure:
 *                     untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_UNSUPPORTED until the Python package is imported, which has three of the functions.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_dlpack_exchange_api(const struct DLPackExchangeAPI **out);

/* ===================================================== arrow ===================================================== */
/** @defgroup arrow Arrow's C data interface, and its C device interface for host memory */

/**
 * Exports an array through Arrow's C data interface: an array of one axis as a primitive array, of more as lists of a fixed size, of none
 * as an array of one element.
 *
 * @param array       An array; may be released while the export lives.
 * @param flags       No flag: a copy. TN_BORROW: an alias if the array is C-contiguous, else a copy; TN_REQUIRE_BORROW: an alias or a
 *                    status. TN_UNORDERED, TN_WAIT.
 * @param[out] schema The type, not nullable, with an empty name. Released by its own release; may be moved.
 * @param[out] out    The elements: no nulls, offset 0. Released by its own release on any thread, which ends the export; may be moved, and
 *                    so may its children, each of which holds the bytes until it is released. On failure all are untouched.
 * @param[out] how    TN_ALIASED or TN_COPIED; may be NULL.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, also for TN_EXPORT_WRITABLE; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_DTYPE for bool, bfloat16 and complex elements, which Arrow lacks; TN_ERR_OVERFLOW for an inner axis of 2^31 elements or
 *         more; TN_ERR_LAYOUT where only a copy would do; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_WOULD_COPY;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup arrow
 */
tn_status tn_array_export_arrow(tn_array *array,
                                tn_crossing_flags flags,
                                struct ArrowSchema *schema,
                                struct ArrowArray *out,
                                tn_how *how);

/**
 * Exports an array through Arrow's C device interface: as `tn_array_export_arrow`, and says that the bytes are on the host.
 *
 * @param array       An array; may be released while the export lives.
 * @param flags       As for `tn_array_export_arrow`.
 * @param[out] schema The type; as for `tn_array_export_arrow`.
 * @param[out] out    The elements, with device_type 1 (the host), device_id -1 and no sync_event. On failure all are untouched.
 * @param[out] how    TN_ALIASED or TN_COPIED; may be NULL.
 * @return as `tn_array_export_arrow`.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup arrow
 */
tn_status tn_array_export_arrow_device(tn_array *array,
                                       tn_crossing_flags flags,
                                       struct ArrowSchema *schema,
                                       struct ArrowDeviceArray *out,
                                       tn_how *how);

/**
 * Makes an array of an Arrow array of numbers, or of lists of a fixed size of them. Bytes of a live store become one more claim on it.
 *
 * @param schema   The type of the array; it stays the caller's.
 * @param source   The array; on success it is moved into the library, which means that its release becomes NULL here; the library calls it
 *                 once, when the last that descends from the import ended, or at once if the bytes were copied. On failure it is still the
 *                 caller's.
 * @param flags    As for `tn_array_import_host`.
 * @param[out] out The array: READONLY, as Arrow's data are; a copy that was asked for (no flag) is writable. Released by
 *                 `tn_array_release`. On failure: untouched.
 * @param[out] how TN_ALIASED or TN_COPIED; may be NULL.
 * @return TN_OK; TN_ERR_NULL, also for pointers in the structs; TN_ERR_STALE for a struct that was released; TN_ERR_INVALID; TN_ERR_DTYPE
 *         for what has no elements of a fixed size (bools, which are packed bits; texts, dictionaries, unions, structs); TN_ERR_OVERFLOW;
 *         TN_ERR_SHAPE for lengths that contradict one another; TN_ERR_RANGE; TN_ERR_UNSUPPORTED for nulls, also where there may be some
 *         (null_count -1 beside a validity bitmap); and as `tn_array_import_host`.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup arrow
 */
tn_status tn_array_import_arrow(const struct ArrowSchema *schema,
                                struct ArrowArray *source,
                                tn_crossing_flags flags,
                                tn_array **out,
                                tn_how *how);

/**
 * The same for Arrow's C device interface: memory that the host can reach.
 *
 * @param schema   The type of the array; it stays the caller's.
 * @param source   As for `tn_array_import_arrow`; any device_id.
 * @param flags    As for `tn_array_import_host`.
 * @param[out] out The array; as for `tn_array_import_arrow`.
 * @param[out] how TN_ALIASED or TN_COPIED; may be NULL.
 * @return as `tn_array_import_arrow`; TN_ERR_DEVICE for another device than the host, or a sync_event.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup arrow
 */
tn_status tn_array_import_arrow_device(const struct ArrowSchema *schema,
                                       struct ArrowDeviceArray *source,
                                       tn_crossing_flags flags,
                                       tn_array **out,
                                       tn_how *how);

/* ================================================== safetensors ================================================== */
/** @defgroup safetensors files of many named tensors */

/**
 * Lists the tensors of a safetensors file in the order of their bytes. Reads the header and nothing else.
 *
 * @param path       The file, NUL-terminated.
 * @param item_size  The size of an item in the caller's program: sizeof(tn_safetensors_info).
 * @param capacity   The number of items at infos.
 * @param[out] infos The first `capacity` tensors; NULL only with capacity 0.
 * @param[out] n_infos The number of tensors in the file. On failure nothing is written.
 * @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small; TN_ERR_DTYPE for an element type
 *         that no array has (8-bit floats and smaller); TN_ERR_OVERFLOW for more than 64 axes or a size that overflows; TN_ERR_LIMIT for a
 *         header of more than 100 000 000 bytes; TN_ERR_NO_HOST_MEMORY; TN_ERR_IO with the reason: the file cannot be read or is damaged,
 *         which its whole header is checked for.
 * @note Threads: any. Blocks: for the file system. Allocates: the header, and a few times its length meanwhile.
 * @since 0.1
 * @ingroup safetensors
 */
tn_status tn_safetensors_query(const char *path,
                               size_t item_size,
                               size_t capacity,
                               tn_safetensors_info *infos,
                               size_t *n_infos);

/**
 * Opens tensors of a safetensors file by their names, all of them or none.
 *
 * @param path     The file, NUL-terminated. A file that is cut short while it is mapped ends the process at the next touch (SIGBUS).
 * @param n_names  The number of names.
 * @param names    The n_names NUL-terminated names; NULL only with n_names 0. The same name twice gives two arrays.
 * @param options  The pool, and flags. No flag: all tensors are read into the pool. TN_BORROW: all are READONLY arrays on one mapping of
 *                 the file, which ends with the last of them; one whose bytes are not aligned for its elements is read. TN_REQUIRE_BORROW:
 *                 that one is a status. NULL: no flag, and the thread's current host pool.
 * @param[out] out The n_names arrays in the order of the names, each released by `tn_array_release`.
 * @param[out] how For each name TN_ALIASED or TN_COPIED; NULL: not wanted. On failure all are untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND of the pool; TN_ERR_INVALID, also for a name that is not there; TN_ERR_WOULD_COPY;
 *         and as `tn_safetensors_query`; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: for the file system. Allocates: as `tn_safetensors_query`, and what is read.
 * @since 0.1
 * @ingroup safetensors
 */
tn_status tn_array_open_safetensors(const char *path,
                                    size_t n_names,
                                    const char *const *names,
                                    const tn_safetensors_options *options,
                                    tn_array **out,
                                    tn_how *how);

/* ====================================================== expr ====================================================== */
/** @defgroup expr lazy expressions, computed once, that overwrite what nobody else needs */

/**
 * A leaf of an expression: the array as an operand. It is one more claim on the store and a read of it until the expression ends or needs it no
 * more; the array may be released at once. Meanwhile overlapping writers that others would see are TN_ERR_IN_EXPRESSION.
 *
 * @param array    An array of float32 or float64, at multiples of the element's size.
 * @param form     TN_FORM_FULL: all elements. TN_FORM_DIAGONAL: a vector is the diagonal of a matrix that is 0 elsewhere. TN_FORM_LOWER:
 *                 of a square matrix the diagonal and what is below it; the rest is taken as 0 and not read.
 * @param[out] out The expression. Released by `tn_expr_release`, at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another form; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE;
 *         TN_ERR_SHAPE; TN_ERR_LAYOUT; TN_ERR_DEVICE for bytes that the host cannot reach; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE,
 *         TN_ERR_EXPORTED (an exclusive one), TN_ERR_PENDING (a device writes them) as any read of the host; TN_ERR_LIMIT,
 *         TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_leaf(tn_array *array,
                       tn_form form,
                       tn_expr **out);

/**
 * The sum. Full and full, diagonal and diagonal, lower and lower keep their form; with one of them diagonal the other is full, and so is the
 * sum. Overwritten may be: of full and diagonal the full one, else the left one, else the right one.
 *
 * @param x        The left operand.
 * @param y        The right operand, of the same matrix shape and element type.
 * @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
 *         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_add(tn_expr *x,
                      tn_expr *y,
                      tn_expr **out);

/**
 * The difference x - y, with the forms of `tn_expr_add`.
 *
 * @param x        The left operand.
 * @param y        The right operand, of the same matrix shape and element type.
 * @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
 *         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_subtract(tn_expr *x,
                           tn_expr *y,
                           tn_expr **out);

/**
 * The product of a matrix and a matrix or vector. Overwritten may be: with a diagonal or lower m the right-hand side, of a full one and a diagonal
 * the full one, of two diagonals the left or the right one; of two full ones nothing.
 *
 * @param m        The matrix: full, diagonal or lower (or its transpose).
 * @param x        A full matrix or vector, or a diagonal to a full or diagonal m.
 * @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
 *         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_multiply(tn_expr *m,
                           tn_expr *x,
                           tn_expr **out);

/**
 * The lower Cholesky factor of a symmetric positive definite matrix, of which the lower triangle is read; what is above the diagonal is 0. Of a
 * diagonal matrix the square roots, a diagonal. The operand may be overwritten.
 *
 * @param x        A full square matrix, or a diagonal one.
 * @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such operation;
 *         TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_cholesky(tn_expr *x,
                           tn_expr **out);

/**
 * The solution of m * x = b: forward substitution for a lower m (backward for its transpose), division for a diagonal one, LU with partial pivoting
 * for a full one. Overwritten may be b, and for LU m too.
 *
 * @param m        A square matrix: full, diagonal or lower (or its transpose).
 * @param b        A full vector or matrix.
 * @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
 *         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_solve(tn_expr *m,
                        tn_expr *b,
                        tn_expr **out);

/**
 * A number times x, in the form of x. The operand may be overwritten.
 *
 * @param x        Any expression.
 * @param factor   The number; rounded to the element type.
 * @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such operation;
 *         TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_scale(tn_expr *x,
                        double factor,
                        tn_expr **out);

/**
 * The transpose: the same bytes seen otherwise, nothing is moved.
 *
 * @param x        A matrix.
 * @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such operation;
 *         TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_transpose(tn_expr *x,
                            tn_expr **out);

/**
 * The sum over one axis.
 *
 * Along elements that lie side by side it is added in eight lanes, else one slice after the other.
 *
 * @param x        A full expression.
 * @param axis     The axis that goes; from the end if negative.
 * @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for forms that have no such
 *         operation; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_sum(tn_expr *x,
                      int32_t axis,
                      tn_expr **out);

/**
 * Element by element, one of a closed list of operations. Operands are full (any shape, both the same) but for TN_EXPR_ADD, TN_EXPR_SUBTRACT and
 * TN_EXPR_NEGATE, which keep other forms as `tn_expr_add` does. Overwritten may be x, then y.
 *
 * @param op       TN_EXPR_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE with two operands; TN_EXPR_NEGATE, _SQRT, _EXP, _LOG with one.
 * @param x        The left or only operand.
 * @param y        The right operand; NULL with an operation that takes one.
 * @param[out] out The expression. Released by `tn_expr_release`; the operands stay the caller's and may be released at any time.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another op, a missing y or one too many; TN_ERR_DTYPE;
 *         TN_ERR_SHAPE; TN_ERR_UNSUPPORTED; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_elementwise(tn_expr_op op,
                              tn_expr *x,
                              tn_expr *y,
                              tn_expr **out);

/**
 * The value of an expression as an array. What has no value yet is evaluated, each part once, operands first and left before right, on the calling
 * thread. An operand takes the result of its operation, and no new array is made, where nobody else claims its bytes: `tn_expr_explain` says
 * which and why. Values are let go right after their last use; the value of an expression whose handle is out is kept.
 *
 * @param expr     The expression.
 * @param flags    TN_KEEP_ON_FAIL: a failure leaves everything as it was; then nothing that was there before is overwritten.
 * @param[out] out The array, another claim on the expression's value.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_POISONED if the expression failed before;
 *         TN_ERR_IN_EXPRESSION if another thread computes a part of it; TN_ERR_PENDING while a device is at work on bytes that are read or
 *         would be overwritten, after which it can be tried again; TN_ERR_FAILED where a pivot is not positive (cholesky), or 0 (solve
 *         with a full matrix): without TN_KEEP_ON_FAIL the expression and what is built on it is TN_ERR_POISONED from then on;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT, after which it can be tried again.
 * @note Threads: any; an expression is evaluated once. Blocks: while it computes. Allocates: from the pool of the left operand, or the thread's
 *       current one; work space of a few numbers a row.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_compute(tn_expr *expr,
                          tn_compute_flags flags,
                          tn_array **out);

/**
 * Gives an expression back. Expressions that are built on it, and arrays computed from it, live on.
 *
 * @param expr     The expression, also one that failed.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_release(tn_expr *expr);

/**
 * Says what computing an expression would do now: for each operation whether its result takes the place of an operand, or why not. A line a
 * node, or a graph for Graphviz. What other threads do, and what is released until then, may change it.
 *
 * @param expr     The expression.
 * @param format   TN_EXPLAIN_TEXT or TN_EXPLAIN_DOT.
 * @param capacity The number of bytes at text.
 * @param[out] text The explanation with its NUL; what does not fit is cut off. NULL only with capacity 0.
 * @param[out] length The number of bytes of the whole explanation without the NUL; all of it fits into a larger capacity.
 * @return TN_OK, also where it does not fit; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another format;
 *         TN_ERR_IN_EXPRESSION while another thread computes a part of it; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: memory of the call. Computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_explain(tn_expr *expr,
                          tn_explain_format format,
                          size_t capacity,
                          char *text,
                          size_t *length);

/* ===================================================== report ===================================================== */
/** @defgroup report who holds what, what was copied at borders, and what was not given back */

/**
 * Writes who holds what, as JSON: every pool with its figures and who it hands out to, every store with who holds it, where and since when,
 * raw blocks by place, what is open beside, and the copy book. docs/report.schema.json describes the text.
 *
 * @param flags        0: no flag is defined yet.
 * @param capacity     The number of bytes at text.
 * @param[out] text    UTF-8 with its NUL; what does not fit is cut off. NULL only with capacity 0.
 * @param[out] length  The number of bytes of the text without its NUL. As long as other threads work it differs from call to call: give
 *                     more room than the last call asked for, and repeat.
 * @return TN_OK, also if the text did not fit; TN_ERR_NULL; TN_ERR_INVALID for unknown flags.
 * @note Threads: any; each store and each pool is of one moment, all of them together are not. Blocks: never for long. Allocates: what it
 *       gets to be quicker; it works without.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_report_json(tn_report_flags flags,
                         size_t capacity,
                         char *text,
                         size_t *length);

/**
 * Lists all copies at borders (import, export, COW writes), added up by function, site and reason, most bytes first. Copies that are the whole
 * point of a call (tn_array_copy, tn_array_copy_into) are not among them.
 *
 * @param item_size    The size of an item in the caller's program: sizeof(tn_copy_site).
 * @param capacity     The number of items at sites.
 * @param[out] sites   The first `capacity` places; NULL only with capacity 0.
 * @param[out] n_sites The number of places in all.
 * @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small.
 * @note Threads: any; adds up all threads. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_copies_query(size_t item_size,
                          size_t capacity,
                          tn_copy_site *sites,
                          size_t *n_sites);

/**
 * Forbids copies that the caller would have taken an alias for: on this thread they are TN_ERR_WOULD_COPY from now on, and change nothing.
 *
 * @param on   1: forbid; 0: take one such call back. Calls nest.
 * @return TN_OK; TN_ERR_INVALID for another value, and for 0 without a 1 before.
 * @note Threads: any; only the calling thread is meant. Blocks: never.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_copies_forbid(int32_t on);

/**
 * Lists everything that was not given back so far: handles, guards, exports, promises, weak handles, scopes, expressions, pools, raw
 * blocks of pools, release callbacks that wait. Empty at the end of a program that cleans up.
 *
 * @param item_size    The size of an item in the caller's program: sizeof(tn_holder).
 * @param capacity     The number of items at leaks.
 * @param[out] leaks   The first `capacity` of them, with names, sites and threads; NULL only with capacity 0.
 * @param[out] n_leaks The number of leaks in all.
 * @return TN_OK, also where not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small.
 * @note Threads: any; what other threads make and release meanwhile may or may not be listed. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_leaks(size_t item_size,
                   size_t capacity,
                   tn_holder *leaks,
                   size_t *n_leaks);

/* ===================================================== plugin ===================================================== */
/** @defgroup plugin what other libraries and languages allocate with */

/**
 * Gives the struct with which NumPy allocates from a pool: a PyDataMem_Handler of version 1 (NEP 49), for a capsule named "mem_handler" and
 * PyDataMem_SetHandler. Its blocks are aligned to 64 bytes at least and count for the client "numpy".
 *
 * After the pool's last handle was released the handler hands out nothing and takes back what it handed out.
 *
 * @param pool     A pool on the host; NULL: the host's default pool.
 * @param[out] out The handler: the same for the same pool, valid until the process ends. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a pool that is not on the host; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any, and so for the handler's functions, with or without the interpreter. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup plugin
 */
tn_status tn_numpy_handler(tn_pool *pool,
                           void **out);

/**
 * Gives UMF's table of operations with which it makes pools of ours over its providers (umfPoolCreate). Such a pool takes memory only from
 * the provider that it was made over, and gives all of it back when it is destroyed, also with live blocks. `params` of umfPoolCreate is
 * NULL or a tn_pool_options of this library's size. Blocks count for the client "umf". libumf must be loaded in the process.
 *
 * @param version  The version of the table: UMF_POOL_OPS_VERSION_CURRENT of the caller's headers, 0x10000 or 0x10001; a higher minor
 *                 version gets the newest that there is.
 * @param[out] out The table: static. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_UNSUPPORTED for another major version.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup plugin
 */
tn_status tn_umf_pool_ops(uint32_t version,
                          const struct umf_memory_pool_ops_t **out);

/**
 * Gives UMF's table of operations with which it makes providers over our pools (umfMemoryProviderCreate). `params` there is the tn_pool
 * itself, or NULL for the host's default pool. Memory counts for the client "umf", and comes in units of 64 KiB, at which it can be split
 * and merged. After the pool's last handle was released such a provider hands out nothing and takes everything back.
 *
 * @param version  The version of the table: UMF_PROVIDER_OPS_VERSION_CURRENT of the caller's headers, 0x10000 to 0x10002; a higher minor
 *                 version gets the newest that there is.
 * @param[out] out The table: static. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_UNSUPPORTED for another major version.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup plugin
 */
tn_status tn_umf_provider_ops(uint32_t version,
                              const struct umf_memory_provider_ops_t **out);

/**
 * Allocates for a C++ container; what tenure_memory.hpp is made of. The block counts for the client "cpp".
 *
 * @param pool      NULL: the host's default pool, whichever is the thread's current one.
 * @param bytes     The least number of bytes; 0 gives a block of its own too.
 * @param alignment The alignment of the address in bytes: a power of two up to 4 MiB; below 16: 16.
 * @param[out] out  The block. Given back by `tn_cpp_deallocate`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID
 *         for an alignment that cannot be; TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: the block.
 * @since 0.1
 * @ingroup plugin
 */
tn_status tn_cpp_allocate(tn_pool *pool, size_t bytes, size_t alignment, void **out);

/**
 * Gives back what `tn_cpp_allocate` handed out. A wrong address is left alone and counted; it is never read.
 *
 * @param pool     The pool that handed it out, also after its handle was released; NULL: whichever pool has the address.
 * @param ptr      The block. NULL: nothing happens.
 * @return TN_OK; TN_ERR_STALE for a block that was given back; TN_ERR_KIND for a handle of another kind; TN_ERR_INVALID for an address
 *         inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of another pool, or an address in no
 *         block at all.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup plugin
 */
tn_status tn_cpp_deallocate(tn_pool *pool,
                            void *ptr);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TENURE_H */
