/* Written by `cargo xtask header` from src/types.rs and src/ffi: edit those. */
/**
 * @file tenure.h
 * Tenure: who holds each buffer, and for how long. Pools, strided arrays, borrows, and ownership that is given and
 * taken.
 *
 * **Start here.** These functions are enough for a first program; the sections of the header are in this order.
 *
 *     tn_array_zeros, tn_array_import_host      an array of new bytes; an array on bytes that the program has
 *     tn_array_borrow_read, _write              a guard: the address, and the right to use the bytes; refused if they conflict
 *     tn_borrow_end                             ends the guard
 *     tn_array_clone, tn_array_slice            another handle on the same bytes; a handle on a part of them
 *     tn_array_give, tn_take                    ownership leaves the caller; the callee gets it
 *     tn_array_release, tn_promise_release      each handle, once
 *     tn_last_error, tn_status_name             why a call failed
 *     tn_array_set_name, tn_leaks               names for reports; what was not released
 *
 *     tn_array *a = NULL;
 *     tn_borrow *guard = NULL;
 *     void *bytes = NULL;
 *     const int64_t shape[2] = {1000, 1000};
 *     tn_status status = tn_array_zeros(NULL, TN_F64, 2, shape, NULL, &a);
 *     if (status == TN_OK)
 *         status = tn_array_borrow_write(a, TN_WRITE_ALIASED, NULL, &bytes, NULL, &guard);
 *     if (status == TN_OK) {
 *         ((double *)bytes)[0] = 1;
 *         status = tn_borrow_end(guard, 0, NULL);
 *     }
 *     if (status != TN_OK)
 *         fprintf(stderr, "%s: %s\n", tn_status_name(status), tn_last_error());
 *     tn_array_release(a);
 *
 * The following rules hold for every function. Where a function differs, its comment says so.
 *
 * **Handles.** `tn_array *`, `tn_pool *` and the other handle types are pointers whose bits are a checked 64-bit id:
 * kind, generation and slot. No code ever dereferences them. NULL, a released handle, a handle of another kind and a
 * second release are detected and return a status code, even if two threads race. Each handle is released exactly
 * once, by the function that the comment of its type names, whatever state the object is in. The top byte is the kind,
 * never 0, so a conservative garbage collector does not take a handle for an address.
 *
 * **Status codes.** A function returns a `tn_status`: TN_OK or one of TN_ERR_*. The exceptions are functions that
 * cannot fail: `tn_version`, `tn_status_name`, `tn_last_error` and the three functions for the TN_STREAM_* constants.
 * A call that fails changes nothing and leaves its outputs untouched: what the caller owned before, it still owns.
 * `tn_last_error` then returns a message with the offending values. Each thread has its own message. Compilers warn
 * where a status is ignored, except that of a release, of the end of a guard, of a name and of a call site; define
 * TN_MUST_CHECK as nothing before the header to turn that off.
 *
 * **Parameters.** Inputs come first, outputs last. A count precedes its array, but raw memory is a pointer followed by
 * its number of bytes. A callback precedes its context. A pointer may be NULL only where its description says so; any
 * other NULL is TN_ERR_NULL. A count is a `size_t` named n_ and what it counts. Axes and numbers of axes (`ndim`) are
 * `int32_t`. A truth value is an `int32_t`, 0 or 1. A file descriptor is an `int32_t`, and stays the caller's.
 *
 * **Units.** Sizes, capacities of memory, limits and thresholds are in bytes; lengths, shapes, indices and counts are in
 * elements or items; a time has its unit in its name. Strides are in bytes, and may be negative or 0.
 *
 * **Outputs of unknown length.** A function that lists items takes `item_size`, the sizeof of the caller's struct, and
 * `capacity`, the number of items that the caller has room for. It writes the first `capacity` items and the total
 * number, and returns TN_OK even if not all fit. It writes `item_size` bytes per item; fields that the library does
 * not know are zeroed. A function that writes text works like snprintf: it cuts the text to `capacity` bytes with the
 * NUL, and outputs the length of the whole text. A function that makes several handles makes all of them, or none and
 * returns TN_ERR_COUNT if there is too little room.
 *
 * **Order of checks.** If several errors apply, a call returns the first one in this list. First, the arguments alone:
 * NULL, STALE, KIND, INVALID. Then the state of the handle: DESTRUCTED, GIVEN. Then the arguments against the array:
 * COUNT, DUPLICATE, DTYPE, OVERFLOW, SHAPE, RANGE, LAYOUT, DEVICE, UNSUPPORTED. Then conflicts with other users:
 * POISONED, READONLY, BORROWED_WRITE, BORROWED, EXPORTED, SHARED, IN_EXPRESSION, PENDING, FOREIGN, ALIASED,
 * WOULD_COPY. Last, the work itself: FAILED, NO_HOST_MEMORY, NO_DEVICE_MEMORY, POOL_LIMIT, DRIVER, IO, LIMIT, PANIC.
 * If one error applies to several parameters, the message names the leftmost. So a wrong argument gives the same
 * status, whoever else holds the array.
 *
 * **how.** Imports and exports have an output `how`: TN_ALIASED if both sides share the bytes, TN_COPIED if they were
 * copied. Shared variables, functions and mirrors have an output `crossing` instead, with the reason of a copy. Both may
 * be NULL.
 *
 * **size.** A struct that begins with `size` can grow in later versions. The caller sets `size` to the sizeof of the
 * struct. In an input, zero in any other field means the default, and a struct larger than the library knows is
 * accepted if its unknown tail is zero. Of an output, the library fills as many bytes as `size` says. In an
 * output list the parameter `item_size` replaces it. In the input lists of tn_in, tn_out and tn_update all items have
 * the size of the first. tn_slice_spec, tn_borrow_spec, tn_block_item, tn_arg, tn_part and tn_view_info have no size,
 * because they never change. A field named `reserved` must be zero in an input, else TN_ERR_INVALID.
 *
 * **Constants.** Each family of constants has a type, an unsigned 32-bit integer. Its constants follow the type in an
 * anonymous enum. The type of a parameter names the family that it takes. Constants of different families may have
 * equal values. A constant that belongs to several families (TN_WAIT) has one value in all of them. A bit that is
 * unknown, or that the function does not take, is TN_ERR_INVALID.
 *
 * **Other languages.** rust-bindgen, cffi, SWIG, zig translate-c and cgo take this file unchanged, with every function
 * and every constant of a family. TN_VERSION, TN_NONE, TN_POOL_NONE and TN_ALL_AXES are variables, and macros in C. Macros with
 * arguments, `__FILE__` and casts do not translate. Instead of TN_DTYPE and TN_SLICE, write the values. Instead of
 * TN_HERE, call `tn_here` with a file and a line. Instead of TN_STREAM_*, call `tn_stream_legacy`,
 * `tn_stream_per_thread` or `tn_stream_of_thread`.
 *
 * **stream.** NULL as a stream means "the host, now" in a borrow and its end. In copies and fills it means that the
 * work is done when the call returns. In pools and options it means the thread's current stream. On host memory the
 * constants TN_STREAM_* mean the same as NULL, and any other stream is refused.
 *
 * **pool.** NULL as a pool means the thread's current pool of the device in question: the process-wide default pool
 * until `tn_pool_set_current` sets another. In a call that takes a block, NULL means the pool that the block belongs
 * to. Other libraries allocate on any thread, so for an allocator that is handed to them NULL means the default pool.
 *
 * **Threads.** Any function may be called from any thread at any time. Conflicting calls get a status code. The
 * library holds no lock while a callback runs, so every callback may call the library. No function waits for another
 * holder of an array. None may be called from a signal handler, because the handler may have interrupted the library.
 * A call is no cancellation point: a request of pthread_cancel waits for one of the program's own. A callback must not
 * end its thread, and asynchronous cancellation must be off.
 *
 * **Fork, exit, unload.** The library runs no code when it is loaded or unloaded. In the child of a fork, host memory
 * stays usable. dlclose unloads the library unless other code still holds one of its functions (an export, a callback)
 * or a thread that called it is alive. In these cases the library stays loaded, and all handles stay valid.
 */

#ifndef TENURE_H
#define TENURE_H

#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX != UINT64_MAX
#error "tenure: 64-bit platforms only"
#endif

/* DLPack's structs, which dlpack/dlpack.h defines. */
struct DLManagedTensor;
struct DLManagedTensorVersioned;
struct DLPackExchangeAPI;

/* Arrow's structs, which arrow/c/abi.h defines. */
struct ArrowSchema;
struct ArrowArray;
struct ArrowDeviceArray;

/* UMF's tables, which umf/memory_pool_ops.h and umf/memory_provider_ops.h define. */
struct umf_memory_pool_ops_t;
struct umf_memory_provider_ops_t;

/* CUDA's stream: cudaStream_t and CUstream are pointers to it. */
struct CUstream_st;

#ifndef TN_MUST_CHECK
#if defined(__GNUC__) && !defined(SWIG)
/** Ends the declaration of a function whose status must not be ignored. */
#define TN_MUST_CHECK __attribute__((warn_unused_result))
#else
/** Ends the declaration of a function whose status must not be ignored. */
#define TN_MUST_CHECK
#endif
#endif

#ifndef TN_CHECKED
#if defined(TN_STATIC_CHECKS) && defined(__clang__) && !defined(SWIG)
/** An attribute of clang's analysis of capabilities: with TN_STATIC_CHECKS, and only there. */
#define TN_CHECKED(attribute) __attribute__((attribute))
#else
/** An attribute of clang's analysis of capabilities: with TN_STATIC_CHECKS, and only there. */
#define TN_CHECKED(attribute)
#endif
#endif

/** Ends the declaration of a function that uses a handle until it returns. */
#define TN_BORROWS(handle) TN_CHECKED(requires_capability(handle))
/** Ends the declaration of a function that releases a handle, whatever it returns. */
#define TN_TAKES(handle) TN_CHECKED(release_capability(handle))
/** Ends the declaration of a function that writes a handle which the caller ends, if it returns TN_OK. */
#define TN_GIVES(out) TN_CHECKED(try_acquire_capability(0, *out))
/** Ends the declaration of a function that ends a guard, whatever it returns. */
#define TN_ENDS(guard) TN_CHECKED(release_capability(guard))

#ifdef __cplusplus
/** Begins a family of constants. In C++ its values are unsigned, as the family's type. */
#define TN_ENUM enum : uint32_t
/** Makes a pointer constant. */
#define TN_POINTER(type, bits) (reinterpret_cast<type *>(bits))
#else
/** Begins a family of constants. */
#define TN_ENUM enum
/** Makes a pointer constant. */
#define TN_POINTER(type, bits) ((type *)(bits))
#endif

/** A tn_dtype from a TN_CODE_ constant and the bits of one element: TN_DTYPE(TN_CODE_FLOAT, 64u) is TN_F64. */
#define TN_DTYPE(code, bits) ((code) | ((bits) << 8) | 0x10000u)

/** Initialises a tn_slice_spec. */
#define TN_SLICE(start, stop, step) {(start), (stop), (step), {0, 0, 0, 0}}

/**
 * Sets this line as the call site of what the thread makes and copies from now on: "step.c:41" in messages and reports.
 * It stays set until the next TN_HERE, also a hundred lines later and in other functions. So put it into the macro that
 * checks a status: `#define OK(call) must((TN_HERE, (call)))`.
 */
#define TN_HERE tn_here(__FILE__, __LINE__)

/** The legacy default stream of the device of the call. Never released. */
#define TN_STREAM_LEGACY TN_POINTER(tn_stream, 1)
/** The per-thread default stream of the device of the call. Never released. */
#define TN_STREAM_PER_THREAD TN_POINTER(tn_stream, 2)
/** The thread's current stream of the device of the call. Never released. */
#define TN_STREAM_CURRENT TN_POINTER(tn_stream, 3)

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* ==================================================== library ==================================================== */
/** @defgroup library version, error messages, options, call sites */

/** Version of this header: major << 16 | minor << 8 | patch. */
static const uint32_t TN_VERSION = 0x100;
#ifndef SWIG
#define TN_VERSION 0x100
#endif

/** The result of every function: TN_OK, the only code for success, or one of TN_ERR_*. */
typedef uint32_t tn_status;
TN_ENUM {
    /** The call succeeded. */
    TN_OK = 0,
    /** An argument that must not be NULL is NULL. */
    TN_ERR_NULL = 1,
    /** The handle was released, or the block was freed. */
    TN_ERR_STALE = 2,
    /** The argument is a handle of another kind, or no handle. */
    TN_ERR_KIND = 3,
    /** The handle's claim was moved away by a take; the handle can only be released. */
    TN_ERR_DESTRUCTED = 4,
    /** The handle was given away, and its promise is outstanding. */
    TN_ERR_GIVEN = 5,
    /** A failed writer left the bytes undefined. */
    TN_ERR_POISONED = 6,
    /** The handle or its memory must not be written. */
    TN_ERR_READONLY = 7,
    /** An open write guard overlaps the bytes. */
    TN_ERR_BORROWED_WRITE = 8,
    /** An open read guard overlaps the bytes. */
    TN_ERR_BORROWED = 9,
    /** An export of the bytes is alive. */
    TN_ERR_EXPORTED = 10,
    /** Other handles have claims on the store. */
    TN_ERR_SHARED = 11,
    /** A lazy expression holds the store; the message names its operation. */
    TN_ERR_IN_EXPRESSION = 12,
    /** Device work on the bytes is not finished. */
    TN_ERR_PENDING = 13,
    /** The bytes are lent to the library, or belong to no pool or another pool. */
    TN_ERR_FOREIGN = 14,
    /** A list has too few or too many items. */
    TN_ERR_COUNT = 15,
    /** An item is in a list twice. */
    TN_ERR_DUPLICATE = 16,
    /** An index, axis, address or id is out of range. */
    TN_ERR_RANGE = 17,
    /** An argument is invalid by itself: flags, modes, struct sizes, counts, a step of 0. */
    TN_ERR_INVALID = 18,
    /** The element type is unknown, or does not fit the operation. */
    TN_ERR_DTYPE = 19,
    /** The shape is invalid, or does not fit the operation. */
    TN_ERR_SHAPE = 20,
    /** The operation is impossible with this layout, or possible only with a copy. */
    TN_ERR_LAYOUT = 21,
    /** The device does not exist, or differs from the one that the operation needs. */
    TN_ERR_DEVICE = 22,
    /** The caller required an alias, and only a copy is possible. */
    TN_ERR_WOULD_COPY = 23,
    /** Two operands overlap that must not. */
    TN_ERR_ALIASED = 24,
    /** The operation or a callback of the caller failed. */
    TN_ERR_FAILED = 25,
    /** The host is out of memory. */
    TN_ERR_NO_HOST_MEMORY = 26,
    /** The device is out of memory. */
    TN_ERR_NO_DEVICE_MEMORY = 27,
    /** The pool would exceed its max_size. */
    TN_ERR_POOL_LIMIT = 28,
    /** Not supported here; the message says what is missing. */
    TN_ERR_UNSUPPORTED = 29,
    /** The device's driver reported an error. */
    TN_ERR_DRIVER = 30,
    /** A file could not be opened, read or written, or is damaged. */
    TN_ERR_IO = 31,
    /** A table of the library is full, or a limit of a file format or of the caller is exceeded. */
    TN_ERR_LIMIT = 32,
    /** A bug in the library was caught; please report the message. */
    TN_ERR_PANIC = 33,
    /** A size does not fit into 64 bits, or there are more than TN_MAX_NDIM axes. */
    TN_ERR_OVERFLOW = 34,
};

/** An allocator of memory on one device. Released by `tn_pool_release`. */
typedef struct tn_pool tn_pool;

/**
 * A queue of work on a GPU, executed in order. Released by `tn_stream_release`; the constants TN_STREAM_* are never
 * released.
 */
typedef struct tn_stream tn_stream;

/** A point in a stream's work. Released by `tn_event_release`. */
typedef struct tn_event tn_event;
/** An array: a claim on a store of bytes, with a layout. Released by `tn_array_release`. */
typedef struct tn_array tn_array;
/** A weak handle: an array's layout, without a claim on its store. Released by `tn_weak_release`. */
typedef struct tn_weak tn_weak;
/** A shared variable: one array value that the library keeps. Released by `tn_shared_release`. */
typedef struct tn_shared tn_shared;
/** Code of the program with declared inputs, outputs and updates. Released by `tn_function_release`. */
typedef struct tn_function tn_function;
/** A mirror: one array on the host and on a GPU, moved only when needed. Released by `tn_mirror_release`. */
typedef struct tn_mirror tn_mirror;
/** A module: device code with kernels, loaded into each GPU that needs it. Released by `tn_module_release`. */
typedef struct tn_module tn_module;
/** An open guard: the right to read or write some bytes. Ended by `tn_borrow_end`. */
typedef struct tn_borrow tn_borrow;
/** An array that was given and not yet taken. Released by `tn_promise_release`. */
typedef struct tn_promise tn_promise;
/** A callee's own handles on its array parameters. Ended by `tn_leave`. */
typedef struct tn_scope tn_scope;
/** A scope in which a stream is the thread's current one. Ended by `tn_stream_leave`. */
typedef struct tn_stream_scope tn_stream_scope;

/** A node of a lazy expression. Released by `tn_expr_release`. */
typedef struct tn_expr tn_expr;

/**
 * Returns the version of the loaded library, encoded as TN_VERSION.
 *
 * @return The version: major << 16 | minor << 8 | patch.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup library
 */
uint32_t tn_version(void);

/**
 * Returns the symbolic name of a status.
 *
 * @param status   Any number.
 * @return The name, such as "TN_ERR_STALE"; "TN_ERR_?" for an unknown status. Static text, never NULL.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup library
 */
const char *tn_status_name(tn_status status);

/**
 * Returns the message of this thread's last failed call: the function, what was wrong, the offending values, what to
 * do.
 *
 * @return NUL-terminated UTF-8; "" if no call failed yet; never NULL. The library owns the text; it is valid until the
 *         thread's next failure.
 * @note Threads: any; each thread has its own message. A task that may change threads between two calls (a goroutine,
 *       a virtual thread) must pin its thread around the failing call and this one. Never fails.
 * @since 0.1
 * @ingroup library
 */
const char *tn_last_error(void);

/**
 * Sets an option of the whole process.
 *
 * | option | values | what it sets |
 * |---|---|---|
 * | strict | 0, 1 | for tests: the release of an array that is given, borrowed or exported is refused |
 * | check | 0, 1 | for tests: later arrays of host pools are accessible only while a guard or an export has them open |
 * | check_managed | 0, 1 | for tests: a set or update of a shared variable checks that nobody wrote by a raw pointer |
 * | abort_on_misuse | 0, 1 | an invalid free aborts the process |
 * | background | 0, 1 | a thread of the library gives decayed memory back, ten times a second |
 * | listen | 0, 1 | the process answers the `tenure` command of its own user, until it ends |
 * | expr.blas | auto, openblas, faer | the library that multiplies two matrices in expressions |
 * | transfer.chunk | bytes | the chunks in which copies between host and device are staged |
 * | transfer.chunks | 1 to 64 | the most such chunks of a device |
 * | transfer.kernels | auto, on, off | kernels of the library copy and fill on a GPU: where they are faster, where they can, never |
 * | stream.default | legacy, per-thread | the stream that is a thread's current one until it sets another |
 * | stream.wait | spin, block | how a thread waits for a stream or an event |
 * | torch.on_failure | null, exit | whether a failed `tn_torch_alloc` returns NULL or aborts the process |
 * | pool.DEVICE.FIELD | as the field | a field of tn_pool_options of the default pool of cpu, cuda, cuda_host or cuda_managed, before its first use |
 *
 * In the environment, TENURE_CHECK=1, TENURE_BACKGROUND=1 and TENURE_LISTEN=1 set those options when the library is
 * loaded. "expr.blas": auto takes an OpenBLAS that the process has loaded already for large products, else faer, which
 * is part of this library; openblas loads it if it is not loaded yet. faer always computes the product of an operand
 * without contiguous rows or columns. OpenBLAS uses the number of threads that the program gave it.
 *
 * @param name     The option, NUL-terminated.
 * @param value    The value, NUL-terminated. Bytes: a number, optionally followed by KiB, MiB or GiB.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an unknown name, an invalid value, a default pool that exists
 *         already, or "listen" set to 0 in a process that listens; TN_ERR_NO_HOST_MEMORY if "background" or "listen"
 *         fails, and TN_ERR_IO if "listen" does; TN_ERR_UNSUPPORTED for "expr.blas" set to openblas without an
 *         OpenBLAS that has threads, or in a build without the Cargo feature `linalg`.
 * @note Threads: any. Blocks: while a library is loaded for "expr.blas", else never.
 * @since 0.1
 * @ingroup library
 */
tn_status tn_option_set(const char *name,
                        const char *value) TN_MUST_CHECK;

/**
 * Writes the value of an option, as text that `tn_option_set` accepts.
 *
 * @param name         The option, as for `tn_option_set`.
 * @param capacity     The number of bytes at text.
 * @param[out] text    UTF-8 with its NUL, cut off where it does not fit. NULL only with capacity 0.
 * @param[out] length  The number of bytes of the whole text without its NUL.
 * @return TN_OK, also if the text did not fit; TN_ERR_NULL; TN_ERR_INVALID for an unknown name.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup library
 */
tn_status tn_option_get(const char *name, size_t capacity, char *text, size_t *length) TN_MUST_CHECK;

/**
 * Sets this thread's call site. Whatever the thread makes and copies is recorded with it, until the next `tn_here`:
 * also a hundred lines later, and in other functions. So set it at every call. The macro TN_HERE does that as part of
 * a program's own macro: `#define OK(call) must((TN_HERE, (call)))`. It also serves as a statement.
 *
 * @param file     The file name. It is copied; of a long one, the end is kept. NULL: no call site.
 * @param line     The line number.
 * @return TN_OK. A file name that is not UTF-8 is kept up to the first invalid byte.
 * @note Threads: any; each thread has its own call site. Blocks: never.
 * @since 0.1
 * @ingroup library
 */
tn_status tn_here(const char *file, int32_t line);

/**
 * Runs the release callbacks that TN_RELEASE_QUEUED delayed, in the order in which they were queued. Callbacks that
 * these queue in turn run in the next call. It also ends imports that have no holder and were kept only for device
 * work that is now done.
 *
 * @param[out] n_run   The number of callbacks that ran; may be NULL.
 * @return TN_OK.
 * @note Threads: any; the callbacks run on the calling thread, each exactly once. Blocks: while the callbacks run.
 * @since 0.1
 * @ingroup library
 */
tn_status tn_run_releases(size_t *n_run) TN_MUST_CHECK;

/* ===================================================== array ===================================================== */
/** @defgroup array creation, queries, names, clones, copies, weak handles, files */

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
    /** The number of the device among those of its type; 0 on the host. */
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
    /** Code of complex numbers, whose bits count both components. */
    TN_CODE_COMPLEX = 5,
    /** Code of booleans, one byte each. */
    TN_CODE_BOOL = 6,
};

/** An element type: code | bits << 8 | lanes << 16, with lanes 1. In memory it is a DLDataType. */
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

TN_ENUM {
    /** The largest number of axes of an array. */
    TN_MAX_NDIM = 64,
};
TN_ENUM {
    /** No descriptor of `tn_array_export_ipc` has more bytes. */
    TN_IPC_DESCRIPTOR_BYTES = 4096,
};

/** Whether an import or export shares the bytes or copied them: TN_ALIASED or TN_COPIED. */
typedef uint32_t tn_how;
TN_ENUM {
    /** `how`: both sides share the bytes. */
    TN_ALIASED = 1,
    /** `how`: the bytes were copied. */
    TN_COPIED = 2,
};

/** Flags of imports and exports: how bytes may enter and leave the library. */
typedef uint32_t tn_borrow_flags;
TN_ENUM {
    /** Borrow flag: alias the bytes where possible. */
    TN_BORROW = 1 << 0,
    /**
     * Borrow flag: alias the bytes or fail with TN_ERR_WOULD_COPY, or TN_ERR_ALIASED if they belong to two stores. Implies
     * TN_BORROW.
     */
    TN_REQUIRE_BORROW = 1 << 1,
    /**
     * Borrow flag of shared variables and functions: on the device where the bytes are, with their layout; no transfer.
     */
    TN_RAW = 1 << 2,
    /** Borrow flag: the importer, or the body of a function, may overwrite the contents. Implies TN_BORROW. */
    TN_MAY_OVERWRITE = 1 << 3,
    /**
     * Borrow flag: the library takes ownership of the memory, with a release callback, and copies only where it cannot
     * alias.
     */
    TN_TAKE_OWNERSHIP = 1 << 4,
    /** Import: the release callback runs only in `tn_run_releases`. */
    TN_RELEASE_QUEUED = 1 << 5,
    /**
     * Borrow flag of shared variables and inputs: neither a transfer nor packing; TN_ERR_DEVICE or TN_ERR_LAYOUT instead.
     */
    TN_STRICT = 1 << 6,
    /** Borrow flag of outputs and updates: the body finds a spare buffer of an earlier call, if there is one. */
    TN_REUSE = 1 << 7,
    /** Import: the new handle is READONLY. */
    TN_IMPORT_READONLY = 1 << 8,
    /** Import of a DLPack struct without a version: the producer permits writing. */
    TN_IMPORT_WRITABLE = 1 << 9,
    /** Export: a shared view, which both the consumer and the library may read and write. */
    TN_EXPORT_WRITABLE = 1 << 10,
    /** Export, with TN_EXPORT_WRITABLE: exclusive. Only the consumer reads or writes these bytes. */
    TN_EXPORT_EXCLUSIVE = 1 << 11,
    /** Export: the caller guarantees that the consumer only reads, so the export is read-only in every format. */
    TN_EXPORT_CONSUMER_READS = 1 << 12,
    /** Export: an array with negative strides is copied. */
    TN_EXPORT_NONNEGATIVE = 1 << 13,
    /** Borrow flag: the library adds no stream ordering; the caller has ordered the work. */
    TN_UNORDERED = 1 << 14,
    /** Export to CUDAMat: a C-contiguous array crosses as its transpose. */
    TN_CUDAMAT_TRANSPOSED = 1 << 15,
    /** Export to another process: the array gets memory that has nothing else. Today that is so in any case. */
    TN_IPC_PRIVATE = 1 << 16,
    /** Export to another process, and import there: the importer may write. Who writes when is up to the programs. */
    TN_IPC_WRITABLE = 1 << 17,
    /**
     * Import from another process that is trusted: memory without a seal is accepted. If that process shrinks it, the next
     * access ends this one.
     */
    TN_IPC_TRUSTED = 1 << 18,
    /**
     * Wait for the array's device work instead of failing with TN_ERR_PENDING. Belongs to tn_borrow_flags, tn_write_mode,
     * tn_guard_flags and tn_access.
     */
    TN_WAIT = 1 << 19,
    /**
     * Export to another process: the array is offered, and nobody uses it until it was taken, or the offer ended. Import:
     * takes an array that is offered so.
     */
    TN_IPC_GIVE = 1 << 20,
    /** Export: an array that is not C-contiguous is copied, and a copy is in C order. */
    TN_EXPORT_C_CONTIGUOUS = 1 << 21,
};

/** The kind of an access: TN_READ with flags of tn_guard_flags, or TN_WRITE or TN_READ_WRITE with a tn_write_mode. */
typedef uint32_t tn_access;
TN_ENUM {
    /** Access: reading. */
    TN_READ = 1 << 5,
    /** Access: writing. Without TN_READ it overwrites every element, and so implies TN_WRITE_DISCARD. */
    TN_WRITE = 1 << 6,
    /** Access: reading and writing. */
    TN_READ_WRITE = TN_READ | TN_WRITE,
    /**
     * Access, only in launches: the argument may overlap another one, if that one is written in mode TN_WRITE_ALIASED, and
     * this one is read or written in that mode.
     */
    TN_ALLOW_ALIAS = 1 << 7,
};

/**
 * A release callback. The library calls it exactly once, on any thread, while it holds no lock. The callback may call
 * the library.
 */
typedef void (*tn_release_callback)(void *context);

/** Order of elements. */
typedef uint32_t tn_order;
TN_ENUM {
    /** Row-major element order. */
    TN_ORDER_C = 0,
    /** Column-major element order. */
    TN_ORDER_F = 1,
    /** F order if the source is F- and not C-contiguous, else C order. */
    TN_ORDER_A = 2,
    /** `tn_array_like` only: the axes keep the order of the prototype's strides. */
    TN_ORDER_K = 3,
};

/** Flags of a new array: none is defined yet. */
typedef uint32_t tn_create_flags;

/** Options of a new array; a NULL pointer means C order and no name. */
typedef struct tn_array_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** TN_ORDER_. */
    tn_order order;
    /** 0: no flag is defined yet. */
    tn_create_flags flags;
    /** The stream that uses the array first; NULL: the thread's current stream. */
    tn_stream *stream;
    /** UTF-8, of which the first 63 bytes are copied; NULL: no name. */
    const char *name;
} tn_array_options;

/** The layout of elements in raw memory. */
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
    /** Array flag: some bytes belong to two elements. */
    TN_SELF_OVERLAP = 1 << 4,
    /** Array flag: the bytes are lent by another owner, who may still use them. */
    TN_FOREIGN = 1 << 5,
    /** Array flag: page-locked. */
    TN_PINNED = 1 << 6,
    /** Array flag: page-locked and mapped into the device's address space. */
    TN_MAPPED = 1 << 7,
    /** Array flag: page-locked and slow to read on the host. */
    TN_WRITECOMBINED = 1 << 8,
    /** Array flag: the bytes are in a file of their pool, and come back at the next use, see `tn_pool_set_spill`. */
    TN_SPILLED = 1 << 9,
};

/** The form of a matrix: what expressions take an array for. It changes no byte and no shape. */
typedef uint32_t tn_form;
TN_ENUM {
    /** Form: all elements. */
    TN_FORM_FULL = 0,
    /** Form: the vector is the diagonal of a matrix that is 0 elsewhere. */
    TN_FORM_DIAGONAL = 1,
    /** Form: lower triangular. Elements above the diagonal of the square matrix are not read and count as 0. */
    TN_FORM_LOWER = 2,
    /** Form: upper triangular. Elements below the diagonal of the square matrix are not read and count as 0. */
    TN_FORM_UPPER = 3,
    /**
     * Form: all elements, of an array with two axes. Expressions take it as TN_FORM_FULL. It tells a language whose
     * operators compute element by element that those of this array are those of matrices.
     */
    TN_FORM_MATRIX = 4,
    /** Form, only for `tn_expr_leaf`: the form that the array's handle has. */
    TN_FORM_OF_HANDLE = 5,
    /**
     * Form, only of expressions: the factors that `tn_expr_lu` makes of a full matrix, or their transpose. They are no
     * array.
     */
    TN_FORM_FACTORS = 6,
};

/** Properties of an array. */
typedef struct tn_array_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Element type. */
    tn_dtype dtype;
    /** Number of axes. */
    int32_t ndim;
    /** Where the bytes live. */
    tn_device device;
    /** Flags, TN_C_CONTIGUOUS .. TN_SPILLED. */
    tn_array_flags flags;
    /** The form of the handle, TN_FORM_FULL .. TN_FORM_MATRIX. */
    tn_form form;
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
    /** `tn_array_open_npy`: map the file read-only; the default. */
    TN_NPY_READ = 0,
    /** `tn_array_open_npy`: map the file copy-on-write: writes never reach the file. */
    TN_NPY_COW = 1,
    /** `tn_array_open_npy`: map the file writable: writes reach the file. */
    TN_NPY_WRITE = 2,
    /** `tn_array_open_npy`: read the file into the pool's memory. */
    TN_NPY_COPY = 3,
};

/** Flags of `tn_array_save_npy`. */
typedef uint32_t tn_io_flags;
TN_ENUM {
    /** `tn_array_save_npy`: sync the file and its directory before returning. */
    TN_IO_SYNC = 1 << 0,
    /** `tn_array_save_npy`: fail with TN_ERR_IO if the file exists. */
    TN_IO_EXCLUSIVE = 1 << 1,
};

/** Options of `tn_array_open_npy`. */
typedef struct tn_npy_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** TN_NPY_. */
    tn_npy_mode mode;
    /** The file descriptor to read, used only if path is NULL. The caller keeps it and closes it. */
    int32_t fd;
    /** TN_NPY_COPY: the pool that the bytes are read into; NULL: the thread's current host pool. */
    tn_pool *pool;
    /** Largest accepted header, bytes; a longer one is TN_ERR_LIMIT. 0: 64 KiB. */
    uint64_t max_header_bytes;
} tn_npy_options;

/**
 * Makes an array of new bytes with undefined contents.
 *
 * @param pool     The pool to allocate from; NULL: the thread's current pool of the host.
 * @param dtype    The element type, TN_BOOL .. TN_C128.
 * @param ndim     The number of axes, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements, none negative. NULL only with ndim 0. An array with a length of 0 has
 *                 no bytes and does not use the pool.
 * @param options  The order and name; NULL: C order, no name.
 * @param[out] out The array: dense, aligned to 256 bytes. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for invalid options, an unknown order or a
 *         name that is not UTF-8; TN_ERR_DTYPE; TN_ERR_OVERFLOW for more than 64 axes or a size that overflows;
 *         TN_ERR_SHAPE for a negative ndim or length; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_LIMIT if no
 *         more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_empty(tn_pool *pool,
                         tn_dtype dtype,
                         int32_t ndim,
                         const int64_t *shape,
                         const tn_array_options *options,
                         tn_array **out) TN_MUST_CHECK;

/**
 * Makes an array of new bytes that are all 0.
 *
 * @param pool     As for `tn_array_empty`.
 * @param dtype    The element type.
 * @param ndim     The number of axes, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements. NULL only with ndim 0.
 * @param options  The order and name; NULL: C order, no name.
 * @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
 * @return The statuses of `tn_array_empty`.
 * @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_zeros(tn_pool *pool,
                         tn_dtype dtype,
                         int32_t ndim,
                         const int64_t *shape,
                         const tn_array_options *options,
                         tn_array **out) TN_MUST_CHECK;

/**
 * Makes an array whose elements all have one value.
 *
 * @param pool     As for `tn_array_empty`.
 * @param dtype    The element type.
 * @param ndim     The number of axes, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements. NULL only with ndim 0.
 * @param value    One element, copied bit by bit before the call returns; any alignment.
 * @param options  The order and name; NULL: C order, no name.
 * @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
 * @return The statuses of `tn_array_empty`; TN_ERR_NULL also for value.
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
                        tn_array **out) TN_MUST_CHECK;

/**
 * Makes an array with the type and shape of another one, of new bytes with undefined contents.
 *
 * @param prototype    An array, which is neither read nor changed.
 * @param pool         The pool to allocate from; NULL: the thread's current pool of the prototype's device.
 * @param options      The order and name; TN_ORDER_K keeps the order of the prototype's strides. NULL: C order, no
 *                     name.
 * @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_OVERFLOW; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: the bytes, from the pool.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_like(tn_array *prototype,
                        tn_pool *pool,
                        const tn_array_options *options,
                        tn_array **out) TN_MUST_CHECK;

/**
 * Makes an array from the caller's host memory: an alias or a copy, as the flags say. If the bytes belong to a live
 * store, the array is another claim on that store.
 *
 * @param ptr          The address that `layout.offset` counts from. NULL only for a layout without elements.
 * @param layout       The element type, shape in elements, strides in bytes (NULL: C order) and offset in bytes.
 * @param flags        No flag: a copy. TN_BORROW: an alias where possible. TN_REQUIRE_BORROW: an alias, else an error.
 *                     TN_MAY_OVERWRITE: an alias whose contents may be overwritten. TN_TAKE_OWNERSHIP: an alias; the
 *                     library takes ownership of the memory. TN_RELEASE_QUEUED: the callback runs only in
 *                     `tn_run_releases`. TN_IMPORT_READONLY: the handle is READONLY.
 * @param release      The callback that ends the import. If the call succeeds, it is called exactly once: at once if
 *                     the bytes were copied, else after the last of this handle and the claims, guards and exports
 *                     derived from it ended (with TN_TAKE_OWNERSHIP: after the store ended). The memory must stay
 *                     valid until then. NULL only without TN_TAKE_OWNERSHIP. If the call fails, the callback is never
 *                     called, and the caller keeps the memory.
 * @param context      The argument of release.
 * @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID; TN_ERR_DTYPE, TN_ERR_OVERFLOW, TN_ERR_SHAPE; TN_ERR_RANGE for addresses
 *         that wrap around; TN_ERR_ALIASED if TN_REQUIRE_BORROW, TN_TAKE_OWNERSHIP or TN_MAY_OVERWRITE is not possible
 *         because live stores own some of the bytes; TN_ERR_WOULD_COPY for memory that is not aligned for the type, or
 *         under `tn_copies_forbid`; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT.
 * @note Threads: any; release runs on the thread that ended the last holder, under no lock, and may call the library.
 *       Blocks: never.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_import_host(void *ptr,
                               const tn_layout *layout,
                               tn_borrow_flags flags,
                               tn_release_callback release,
                               void *context,
                               tn_array **out,
                               tn_how *how) TN_MUST_CHECK;

/**
 * Describes an array: type, shape, strides, device, flags, form, bytes, name.
 *
 * @param array        An array, also a given one. It is neither read nor changed.
 * @param[out] info    The struct to fill, with `size` set by the caller. As much as fits is filled; of shape and
 *                     strides, only the first ndim entries. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size; TN_ERR_DESTRUCTED.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_query(tn_array *array, tn_array_info *info) TN_MUST_CHECK;

/**
 * Sets the name of the array in messages and reports.
 *
 * @param array    An array, also a given one.
 * @param name     The name, UTF-8, of which the first 63 bytes are copied; NULL: the name is removed.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a name that is not UTF-8;
 *         TN_ERR_DESTRUCTED.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_set_name(tn_array *array, const char *name);

/**
 * Sets whether the pool of an array may spill its bytes, see `tn_pool_set_spill`. This concerns all handles on the bytes.
 * An array that may not be spilled stays in memory, and its borrows note no time.
 *
 * @param array    An array, also a given one.
 * @param on       1 or 0. 0 brings spilled bytes back first.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED; TN_ERR_UNSUPPORTED for 1 if the pool does
 *         not spill arrays of this size; TN_ERR_POOL_LIMIT or TN_ERR_IO for 0 as from a borrow.
 * @note Threads: any. Blocks: for 0, while a file is read. Allocates: nothing.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_set_spillable(tn_array *array,
                                 int32_t on) TN_MUST_CHECK;

/**
 * Sets the form of a matrix: what expressions take the array for. No byte and no shape changes.
 *
 * The form belongs to the handle; other handles on the bytes keep theirs. A clone, a taken or entered handle, an
 * upgraded weak handle and a copy to new bytes have the form of their source, and copy-on-write keeps it. A view is
 * full, except that the transpose of a lower triangle is an upper one, and the reverse, and that of a diagonal or a
 * matrix has its form. A new array is full, and so are imports and opened files: exports and files have the elements alone.
 *
 * @param array    An array, which may be borrowed, exported, read-only or poisoned.
 * @param form     TN_FORM_FULL: all elements, as at first. TN_FORM_DIAGONAL: the array, which has one axis, is the
 *                 diagonal of a matrix that is 0 elsewhere. TN_FORM_LOWER, TN_FORM_UPPER: of a square matrix, the
 *                 elements above, or below, the diagonal count as 0 and are not read. TN_FORM_MATRIX: all elements, of
 *                 an array with two axes, for languages whose operators differ for arrays and matrices.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an unknown form; TN_ERR_DESTRUCTED,
 *         TN_ERR_GIVEN; TN_ERR_SHAPE if the array's shape does not fit the form.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_set_form(tn_array *array,
                            tn_form form) TN_MUST_CHECK;

/**
 * Makes a new handle on the pool of an array's bytes.
 *
 * @param array    An array, also a view or clone of one.
 * @param[out] out The pool. Released by `tn_pool_release`. If the pool was released before, queries work and
 *                 allocations fail. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_FOREIGN for imported
 *         bytes and arrays without elements; TN_ERR_LIMIT if no more handles can be made.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_pool(tn_array *array, tn_pool **out) TN_MUST_CHECK;

/**
 * Waits until the device work on an array is done, so that the host may access the bytes, and brings them back if they
 * were spilled. It neither checks nor takes guards, and does not call the driver if no work is unfinished.
 *
 * @param array    An array.
 * @param access   TN_READ: wait for unfinished writers. TN_WRITE: wait for unfinished readers and writers.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for access 0 or another bit;
 *         TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DRIVER, also if the device is lost; TN_ERR_POOL_LIMIT or TN_ERR_IO if
 *         spilled bytes cannot come back, see `tn_pool_set_spill`.
 * @note Threads: any. Blocks: for the device and for files, never for a holder.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_wait(tn_array *array, tn_access access) TN_MUST_CHECK;

/**
 * Makes another handle with its own claim on the same bytes, and with the same layout, form and name.
 *
 * @param array    An array, which may be borrowed, exported or poisoned.
 * @param[out] out The clone. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_LIMIT if no more
 *         handles can be made.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_clone(tn_array *array, tn_array **out) TN_MUST_CHECK;

/**
 * Copies an array to new bytes. The copy has the source's form, and is dense, in F order if the source is F- and not
 * C-contiguous, else in C order.
 *
 * @param array    The source. It is read during the call, or with a stream until the copy is done. It may be READONLY;
 *                 the copy is not.
 * @param pool     The pool to allocate from; NULL: the thread's current pool of the array's device.
 * @param stream   The stream of the copy; NULL: the copy is done on return. On host memory the stream constants mean
 *                 the same as NULL.
 * @param[out] out The copy. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE for a pool of
 *         another device; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: the copy, from the pool.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_copy(tn_array *array, tn_pool *pool, tn_stream *stream, tn_array **out) TN_MUST_CHECK;

/**
 * Releases an array handle and its claim. Open guards, exports and promises keep the bytes alive; the bytes are freed
 * after the last of them ended.
 *
 * @param array    An array, in whatever state. Each handle is released exactly once, even if its claim was taken.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND. With the option "strict": TN_ERR_GIVEN,
 *         TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED if this handle is given or has open guards or
 *         exports.
 * @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_release(tn_array *array);

/**
 * Makes a weak handle, which keeps the layout but has no claim on the bytes.
 *
 * @param array    An array.
 * @param[out] out The weak handle. Released by `tn_weak_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_weaken(tn_array *array, tn_weak **out) TN_MUST_CHECK;

/**
 * Makes an array handle, with a claim, from a weak handle.
 *
 * @param weak     A weak handle. It stays valid.
 * @param[out] out The array, with the layout of the weak handle. Released by `tn_array_release`. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED if the store had no claim at any time
 *         since, or the import that the handle derives from ended; TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_weak_upgrade(tn_weak *weak, tn_array **out) TN_MUST_CHECK;

/**
 * Releases a weak handle.
 *
 * @param weak     A weak handle. It is released exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_weak_release(tn_weak *weak);

/**
 * Opens a `.npy` file as an array: maps it, or reads it into a pool's memory. Pickled objects are not supported, so
 * nothing in a file is executed.
 *
 * A file stays mapped until the last claim, guard and export ended; it may be closed, renamed or deleted before. If
 * another process truncates a mapped file, an access past its end raises SIGBUS; TN_NPY_COPY returns TN_ERR_IO
 * instead. Mapped booleans are the unchanged bytes of the file; TN_NPY_COPY turns every byte other than 0 into 1.
 *
 * @param path     The file, NUL-terminated. NULL: use `options.fd`, which the caller still closes.
 * @param options  The mode, file descriptor, pool and header limit; NULL: TN_NPY_READ.
 * @param[out] out The array, which is READONLY with TN_NPY_READ, and FOREIGN with TN_NPY_READ and TN_NPY_WRITE.
 *                 Released by `tn_array_release`. On failure: untouched; no mapping and no descriptor is left behind.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DTYPE for an element type that Tenure
 *         does not have; TN_ERR_OVERFLOW for more than 64 axes or a size that overflows; TN_ERR_LIMIT for a header
 *         that is too long; TN_ERR_WOULD_COPY in the mapped modes for data that is unaligned or big-endian;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_IO with the reason.
 * @note Threads: any. Blocks: for the file system.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_open_npy(const char *path, const tn_npy_options *options, tn_array **out) TN_MUST_CHECK;

/**
 * Opens an array in `.npy` format that begins at any byte of an open file, as `tn_array_open_npy` does.
 *
 * @param fd       The descriptor of a regular file, which the caller still closes. Its position is neither used nor
 *                 changed.
 * @param offset   The offset in bytes of the array's header in the file.
 * @param options  The mode, pool and header limit; `fd` is ignored. NULL: TN_NPY_READ.
 * @param[out] end The offset in bytes behind the array's data, where another array may begin; may be NULL.
 * @param[out] out The array, as from `tn_array_open_npy`. On failure: both outputs are untouched.
 * @return The statuses of `tn_array_open_npy`. Data that are mapped must be aligned for their type in the file.
 * @note Threads: any. Blocks: for the file system.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_open_npy_fd(int32_t fd,
                               uint64_t offset,
                               const tn_npy_options *options,
                               uint64_t *end,
                               tn_array **out) TN_MUST_CHECK;

/**
 * Saves an array as a `.npy` file for NumPy, in C order, or in F order if the array is only F-contiguous. The call
 * writes a temporary file beside the target and then renames it, so the target is at any time the old file or the
 * complete new one. An array may be saved over the file that it is mapped from.
 *
 * @param array    The array, with any layout, read only during the call.
 * @param path     The file, NUL-terminated.
 * @param flags    TN_IO_SYNC: sync the file and its directory to disk before the call returns. TN_IO_EXCLUSIVE: fail
 *                 with TN_ERR_IO if the file exists.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE
 *         for bfloat16, which the format does not have; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED;
 *         TN_ERR_NO_HOST_MEMORY; TN_ERR_IO with the reason: the old file is unchanged, and no temporary file is left.
 * @note Threads: any. Blocks: for the file system. Allocates: at most one chunk.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_save_npy(tn_array *array, const char *path, tn_io_flags flags) TN_MUST_CHECK;

/**
 * Writes an array in `.npy` format to an open file, pipe or socket, at the descriptor's position, which is behind the
 * data afterwards.
 *
 * Unlike `tn_array_save_npy`, it writes in place: if it fails, a part may have been written, and the position is
 * behind that part. An array that is mapped from the file must not be written over itself.
 *
 * @param array    The array, with any layout, read only during the call.
 * @param fd       A descriptor that is open for writing, which the caller still closes.
 * @param flags    TN_IO_SYNC: sync the file to disk before the call returns.
 * @return The statuses of `tn_array_save_npy`; TN_ERR_INVALID also for TN_IO_EXCLUSIVE.
 * @note Threads: any. Blocks: for the file system, or the reader of the pipe. Allocates: at most one chunk.
 * @since 0.1
 * @ingroup array
 */
tn_status tn_array_save_npy_fd(tn_array *array, int32_t fd, tn_io_flags flags) TN_MUST_CHECK;

/* ===================================================== borrow ===================================================== */
/**
 * @defgroup borrow guards
 * A guard gives access to an array's pointer. A region has many readers or one writer, and a conflict is reported at
 * once.
 */

/**
 * How a writer treats other handles on the store: one of TN_WRITE_ALIASED, TN_WRITE_UNIQUE and TN_WRITE_COW, with
 * modifier bits.
 *
 * The bits of tn_write_mode, tn_guard_flags and tn_access do not overlap, except TN_WAIT, which has one value in all
 * three.
 */
typedef uint32_t tn_write_mode;
TN_ENUM {
    /** Write mode, the default: other handles on the store see the change. */
    TN_WRITE_ALIASED = 0,
    /** Write mode: fail if anything else holds the store, that is unless `tn_array_why_not` reports 0. */
    TN_WRITE_UNIQUE = 1 << 0,
    /** Write mode: copy on write. If anything else holds the store, this handle moves to a copy. */
    TN_WRITE_COW = 1 << 1,
    /** Modifier of a write mode: the old contents are not needed. Clears poison. */
    TN_WRITE_DISCARD = 1 << 2,
    /** Modifier of a write mode in copies: fail with TN_ERR_WOULD_COPY where the bytes would be staged. */
    TN_REQUIRE_ASYNC = 1 << 4,
};

/** Flags of a read borrow: TN_FROZEN, TN_INTERPROCESS, TN_WAIT. */
typedef uint32_t tn_guard_flags;
TN_ENUM {
    /** Guard flag: the bytes must not change while they are read, so shared views are excluded. */
    TN_FROZEN = 1 << 3,
    /**
     * Flag of a read or write borrow of an array in shareable memory: guards of other processes with this flag are
     * excluded too, as those of this process are.
     */
    TN_INTERPROCESS = 1 << 8,
};

/** Flags of `tn_borrow_end`. */
typedef uint32_t tn_end_flags;
TN_ENUM {
    /** `tn_borrow_end`: the writer failed. Its region is poisoned until it is rewritten. */
    TN_END_FAILED = 1 << 0,
};

/** One part of `tn_array_split_write`. */
typedef struct tn_part {
    /** The guard of this part, ended by its own `tn_borrow_end`. */
    tn_borrow *guard;
    /** Address of the first element; NULL if the part is empty. */
    void *data;
    /** First index along the axis. */
    int64_t start;
    /** Number of indices along the axis. */
    int64_t length;
    /** Zero. */
    uint64_t reserved[4];
} tn_part;

/** The memory that a guard gives access to. Begins like DLTensor, but strides are in bytes. */
typedef struct tn_view_info {
    /** Address of element (0,..,0); NULL if there is no element. A reader must not write there. */
    void *data;
    /** Where the bytes live. */
    tn_device device;
    /** Number of axes. */
    int32_t ndim;
    /** Element type. */
    tn_dtype dtype;
    /** ndim lengths in elements, valid until the guard ends. */
    const int64_t *shape;
    /** ndim strides in bytes, valid until the guard ends. */
    const int64_t *strides;
    /** The address that a device uses; 0: no device can reach the memory. */
    uint64_t device_data;
    /** Bytes of the elements. */
    uint64_t bytes;
    /** Zero. */
    uint64_t reserved[4];
} tn_view_info;

/** One array of a `tn_borrow_all`. */
typedef struct tn_borrow_spec {
    /** The array. */
    tn_array *array;
    /** The stream that accesses the bytes; NULL: the host, now. */
    tn_stream *stream;
    /** TN_READ, TN_READ_WRITE or TN_WRITE, with TN_WRITE_ mode bits, TN_FROZEN, TN_WAIT. */
    tn_access access;
    /** Zero. */
    uint32_t reserved[9];
} tn_borrow_spec;

/** The memory that an open guard gives access to. */
typedef struct tn_borrow_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Address of element (0,..,0). */
    void *data;
    /** The address that a device uses; 0: no device can reach the memory. */
    uint64_t device_data;
    /** Bytes of the elements. */
    uint64_t bytes;
} tn_borrow_info;

/**
 * Opens a read guard: until it ends, no other guard of this library may write the bytes.
 *
 * @param array        An array.
 * @param flags        TN_FROZEN: exclude shared views, existing and new ones, so that the bytes do not change.
 *                     TN_WAIT: wait for unfinished device work. TN_INTERPROCESS: exclude write guards of other
 *                     processes that have the flag too, from the array's first byte to its last; for arrays in
 *                     shareable memory (TN_POOL_SHAREABLE, `tn_array_import_ipc`). The kernel ends the exclusion with
 *                     the process.
 * @param stream       The stream that reads; NULL: the host, now. On host memory the stream constants mean the same as
 *                     NULL. A stream is made to wait for unfinished writers of the bytes. The host does not wait for
 *                     them, except with TN_WAIT.
 * @param[out] data    The address of element (0,..,0), valid until the guard ends, for reading only; NULL if there is
 *                     no element. The output may be NULL.
 * @param[out] view    The array's layout at this moment. Its pointers are valid until the guard ends. May be NULL.
 * @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. On failure: all outputs are untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_DEVICE for a stream of another device; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, also for a guard of
 *         another process, TN_ERR_EXPORTED; TN_ERR_PENDING for the host while a device writes the bytes;
 *         TN_ERR_DRIVER; TN_ERR_LIMIT if no more guards can be made; TN_ERR_POOL_LIMIT or TN_ERR_IO if spilled bytes cannot
 *         come back. With TN_INTERPROCESS TN_ERR_UNSUPPORTED for other memory, TN_ERR_IO, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: while spilled bytes are read (`tn_pool_set_spill`); with TN_WAIT, until the device's work is done, after all other checks and under no lock;
 *       never for a holder. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_array_borrow_read(tn_array *array,
                               tn_guard_flags flags,
                               tn_stream *stream,
                               const void **data,
                               tn_view_info *view,
                               tn_borrow **out) TN_MUST_CHECK;

/**
 * Opens a write guard: until it ends, no other guard of this library may read or write the bytes.
 *
 * @param array        An array.
 * @param mode         TN_WRITE_ALIASED (0): other handles on the store see the change. TN_WRITE_UNIQUE: fail if
 *                     anything else holds the store, that is unless `tn_array_why_not` reports 0. TN_WRITE_COW: copy
 *                     on write; if anything else holds the store, this handle moves to a copy. TN_WRITE_DISCARD: the
 *                     old contents are not needed, so they are not copied, and poison is cleared. TN_WAIT: wait for
 *                     unfinished device work. TN_INTERPROCESS, not with TN_WRITE_COW: as for `tn_array_borrow_read`,
 *                     and exclude read guards of other processes too.
 * @param stream       The stream that writes; NULL: the host, now. On host memory the stream constants mean the same
 *                     as NULL. A stream is made to wait for unfinished readers and writers of the bytes. The host does
 *                     not wait for them, except with TN_WAIT. A copy of page-locked bytes (TN_WRITE_COW) is made by
 *                     the host: TN_ERR_PENDING while a stream writes them.
 * @param[out] data    The address of element (0,..,0), valid until the guard ends; NULL if there is no element. The
 *                     output may be NULL.
 * @param[out] view    The array's layout at this moment. Its pointers are valid until the guard ends. May be NULL.
 * @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. On failure: all outputs are untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_DEVICE for a stream of another device; TN_ERR_POISONED, TN_ERR_READONLY, TN_ERR_BORROWED_WRITE,
 *         TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED, TN_ERR_IN_EXPRESSION; TN_ERR_PENDING for the host while a
 *         device uses the bytes; TN_ERR_FOREIGN; TN_ERR_DRIVER; with TN_WRITE_COW, TN_ERR_WOULD_COPY under
 *         `tn_copies_forbid`, and TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT; TN_ERR_LIMIT. With TN_INTERPROCESS
 *         TN_ERR_BORROWED for a guard of another process, TN_ERR_UNSUPPORTED for other memory, TN_ERR_IO.
 * @note Threads: any. Blocks: with TN_WAIT, until the device's work is done, after all other checks and under no lock;
 *       never for a holder. Allocates: bookkeeping; with TN_WRITE_COW also the copy, under no lock.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_array_borrow_write(tn_array *array,
                                tn_write_mode mode,
                                tn_stream *stream,
                                void **data,
                                tn_view_info *view,
                                tn_borrow **out) TN_MUST_CHECK;

/**
 * Opens one guard on several arrays, all or none. Calls that list the arrays in different orders do not deadlock.
 *
 * @param n_specs      The number of entries; 0 makes an empty guard.
 * @param specs        The n_specs entries: an array, a stream and an access. The access is TN_READ, also with
 *                     TN_FROZEN; TN_READ_WRITE; or TN_WRITE, which overwrites every element. A writing access may add
 *                     a TN_WRITE_ mode. NULL only with n_specs 0.
 * @param[out] views   The n_specs views, in the order of specs. Their pointers are valid until the guard ends. May be
 *                     NULL. On failure: untouched.
 * @param[out] out     The guard. Ended by one `tn_borrow_end`. On failure: untouched.
 * @return The statuses of `tn_array_borrow_read` and `tn_array_borrow_write`; of several errors, the first in the
 *         order of checks. TN_ERR_ALIASED if an entry writes bytes that another entry uses, or copies on write while
 *         another entry has the same handle; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: if an entry has TN_WAIT, until the device's work is done. Allocates: bookkeeping, and
 *       the copies of TN_WRITE_COW.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_borrow_all(size_t n_specs,
                        const tn_borrow_spec *specs,
                        tn_view_info *views,
                        tn_borrow **out) TN_MUST_CHECK;

/**
 * Opens write guards on consecutive parts of an axis, so that each part can be written by its own thread. The call
 * checks the whole array as one write, and makes all guards or none.
 *
 * @param array        An array.
 * @param axis         The axis; a negative one counts from the last one.
 * @param n_parts     The number of parts, at least 1. The first (length mod n_parts) parts are one longer than the
 *                     rest. Parts beyond the length of the axis are empty.
 * @param mode         As for `tn_array_borrow_write`, applied once to the whole array.
 * @param stream       As for `tn_array_borrow_write`.
 * @param[out] parts   The n_parts parts: guard, address (NULL if empty), first index and length on the axis. Each
 *                     guard is ended by its own `tn_borrow_end`, on any thread. On failure: untouched.
 * @return The statuses of `tn_array_borrow_write`; TN_ERR_INVALID for n_parts 0; TN_ERR_RANGE for an axis out of
 *         range; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: with TN_WAIT, until the device's work is done. Allocates: bookkeeping; with TN_WRITE_COW
 *       also the copy.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_array_split_write(tn_array *array,
                               int32_t axis,
                               size_t n_parts,
                               tn_write_mode mode,
                               tn_stream *stream,
                               tn_part *parts) TN_MUST_CHECK;

/**
 * Describes the memory that an open guard gives access to.
 *
 * @param borrow       A guard of one array.
 * @param[out] info    The struct to fill, with `size` set by the caller. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size, and for a guard of
 *         `tn_borrow_all`, which writes the views itself.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_borrow_query(tn_borrow *borrow, tn_borrow_info *info) TN_MUST_CHECK;

/**
 * Writes what a kernel gets of the memory of an open guard, for callers that launch their kernels themselves.
 *
 * They open the guard on the kernel's stream, pass the view to the kernel, launch it, and end the guard on that
 * stream.
 *
 * @param borrow       A guard of one array.
 * @param ndim         The N of the kernel's `tn_view<T, N>`, 1 to 8: the array's number of axes. An array without axes
 *                     is passed as one axis of length 1, for which 0 is accepted too.
 * @param bytes        The sizeof of tn_view<T, N>, 8 + 16 * N: the number of bytes at out.
 * @param[out] out     The view: `void *data; int64_t shape[N]; int64_t strides[N]`, strides in bytes. Of page-locked
 *                     memory, `data` is the address that devices use. Without elements it is NULL, and the shape is
 *                     the array's. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another number of bytes, for more than 8
 *         axes, and for a guard of `tn_borrow_all`, which writes the views itself; TN_ERR_SHAPE for an array with
 *         another number of axes; TN_ERR_LAYOUT for elements that are not at multiples of their size; TN_ERR_DEVICE
 *         for page-locked memory that is not mapped for devices.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_borrow_kernel_view(tn_borrow *borrow, int32_t ndim, size_t bytes, void *out) TN_MUST_CHECK;

/**
 * Ends a guard of any kind. The bytes are freed if the guard was their last holder.
 *
 * @param borrow   A guard. It is ended exactly once, and its pointers must not be used afterwards.
 * @param flags    TN_END_FAILED: the writer failed, and the contents of its region are undefined. Reads of the region
 *                 are refused until it is rewritten. Ignored for readers.
 * @param stream   The stream of the last work on the bytes, which may be unfinished; later uses are ordered after it.
 *                 NULL: the work is done. On host memory the stream constants mean the same as NULL. For a guard of
 *                 `tn_borrow_all`, it applies to the entries that were opened with a stream.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, TN_ERR_DEVICE for a stream of another device,
 *         TN_ERR_DRIVER: the guard then stays open.
 * @note Threads: any, also another thread than the one that opened the guard. Blocks: never. Allocates: nothing. May
 *       run the release callback of an import, under no lock.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_borrow_end(tn_borrow *borrow, tn_end_flags flags, tn_stream *stream);

/**
 * Accepts the bytes of an array as they are, after a writer that failed: they count as written. A write guard with
 * TN_WRITE_DISCARD that is opened and ended has this effect too.
 *
 * @param array    An array. Poisoned regions that lie wholly in it are poisoned no longer; those that reach beyond it
 *                 stay.
 * @return TN_OK, also if nothing is poisoned; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_READONLY, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_IN_EXPRESSION: whatever
 *         refuses a writer; TN_ERR_PENDING while a device uses the bytes: see `tn_array_wait`; TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup borrow
 */
tn_status tn_array_heal(tn_array *array) TN_MUST_CHECK;

/* ====================================================== view ====================================================== */
/**
 * @defgroup view other layouts on the same bytes
 * Each call makes a new handle on the array's store, without a name, and copies no element. The handle is released on
 * its own, and the array stays usable. Each call returns TN_ERR_LIMIT if no more handles can be made.
 */

/** An absent bound or step of a tn_slice_spec, like None in a Python slice. INT64_MIN means the same. */
static const int64_t TN_NONE = -9223372036854775807;
#ifndef SWIG
#define TN_NONE (-9223372036854775807)
#endif

/** A slice of one axis, as in Python. TN_NONE is an absent bound. */
typedef struct tn_slice_spec {
    /** First index; a negative one counts from the end. */
    int64_t start;
    /** One past the last index; a negative one counts from the end. */
    int64_t stop;
    /** Step, not 0; TN_NONE: 1. */
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
    /** Not decided; treated as overlap. */
    TN_OVERLAP_UNKNOWN = 3,
};

/**
 * Makes a view with another shape and the same elements in the same order.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param ndim     The number of axes of the view, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements. One may be -1 and is then computed. NULL only with ndim 0.
 * @param order    TN_ORDER_C, TN_ORDER_F or TN_ORDER_A: the order in which elements are read from the array and placed
 *                 in the view.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an unknown order; TN_ERR_DESTRUCTED,
 *         TN_ERR_GIVEN; TN_ERR_OVERFLOW; TN_ERR_SHAPE for another number of elements, two -1, or a -1 that cannot be
 *         computed; TN_ERR_LAYOUT if the view is possible only as a copy.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_reshape(tn_array *array,
                           int32_t ndim,
                           const int64_t *shape,
                           tn_order order,
                           tn_array **out) TN_MUST_CHECK;

/**
 * Makes a one-dimensional view of all elements.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param order    TN_ORDER_C, TN_ORDER_F or TN_ORDER_A: the order of the elements.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return The statuses of `tn_array_reshape`.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_ravel(tn_array *array, tn_order order, tn_array **out) TN_MUST_CHECK;

/**
 * Makes a view with all axes reversed. The view of an upper triangle is a lower one, and the reverse; that of a
 * diagonal is a diagonal.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_transpose(tn_array *array, tn_array **out) TN_MUST_CHECK;

/**
 * Makes a view with the axes in another order. A permutation of two axes has the form that `tn_array_transpose` gives
 * it.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param ndim     The number of axes of the array.
 * @param axes     The ndim axes of the array in their new order, each once; negative ones count from the end. NULL
 *                 only with ndim 0.
 * @param[out] out The view: its axis i is axis axes[i] of the array. Released by `tn_array_release`. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a negative ndim; TN_ERR_DESTRUCTED,
 *         TN_ERR_GIVEN; TN_ERR_COUNT for a wrong number of axes; TN_ERR_DUPLICATE; TN_ERR_OVERFLOW; TN_ERR_RANGE for
 *         an axis out of range.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_permute(tn_array *array, int32_t ndim, const int32_t *axes, tn_array **out) TN_MUST_CHECK;

/**
 * Makes a view of a part of an array.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param n_specs  The number of specs, at most the number of axes. Axes from n_specs on are kept whole.
 * @param specs    The n_specs slices {start, stop, step}, with the rules of Python: a negative bound counts from the
 *                 end, a bound outside the axis is clamped, TN_NONE is an absent bound. The reserved words are 0. NULL
 *                 only with n_specs 0.
 * @param[out] out The view, with the same number of axes. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a step of 0 or a reserved word that is not
 *         0; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT for more specs than axes; TN_ERR_OVERFLOW.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_slice(tn_array *array,
                         size_t n_specs,
                         const tn_slice_spec *specs,
                         tn_array **out) TN_MUST_CHECK;

/**
 * Makes a view of the elements at one index of an axis. The view does not have that axis.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param axis     The axis; a negative one counts from the last one.
 * @param index    The index; a negative one counts from the end.
 * @param[out] out The view, with one axis less. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW;
 *         TN_ERR_RANGE for an axis or index out of range.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_index(tn_array *array, int32_t axis, int64_t index, tn_array **out) TN_MUST_CHECK;

/**
 * Makes a view without axes of length 1.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param n_axes   The number of axes to remove.
 * @param axes     The n_axes axes of length 1, each once; negative ones count from the end. NULL with n_axes 0: all
 *                 axes of length 1.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT for more axes
 *         than an array can have; TN_ERR_DUPLICATE; TN_ERR_OVERFLOW; TN_ERR_SHAPE for an axis of another length;
 *         TN_ERR_RANGE for an axis out of range.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_squeeze(tn_array *array, size_t n_axes, const int32_t *axes, tn_array **out) TN_MUST_CHECK;

/**
 * Makes a view with a new axis of length 1.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param axis     The position of the new axis, 0 to the number of axes; -1 is the position after the last axis.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW past 64
 *         axes; TN_ERR_RANGE.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_expand(tn_array *array, int32_t axis, tn_array **out) TN_MUST_CHECK;

/**
 * Broadcasts an array to a larger shape, with NumPy's rules: shapes are aligned at the last axis, and lengths of 1 are
 * stretched.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param ndim     The number of axes of the view, 0 to TN_MAX_NDIM.
 * @param shape    The ndim lengths in elements. NULL only with ndim 0.
 * @param[out] out The view, which is READONLY if an axis is stretched to a length above 1. Released by
 *                 `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_OVERFLOW;
 *         TN_ERR_SHAPE if there are fewer axes than the array has, or lengths do not match.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_broadcast(tn_array *array, int32_t ndim, const int64_t *shape, tn_array **out) TN_MUST_CHECK;

/**
 * Splits an axis into a given number of consecutive views, whose lengths differ by at most 1, the longer ones first.
 * Makes all of them or none.
 *
 * @param array        An array. It stays usable, and is still released on its own.
 * @param axis         The axis; a negative one counts from the last one.
 * @param n_parts      The number of views, at least 1.
 * @param capacity     The number of handles that fit at outs.
 * @param[out] outs    The views, in the order of their indices, each released by `tn_array_release`. NULL: only n_outs
 *                     is written. On failure: untouched.
 * @param[out] n_outs  The number of views: n_parts. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for n_parts 0; TN_ERR_DESTRUCTED,
 *         TN_ERR_GIVEN; TN_ERR_COUNT if capacity is less than the number of views; TN_ERR_RANGE for an axis out of
 *         range; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_split(tn_array *array,
                         int32_t axis,
                         size_t n_parts,
                         size_t capacity,
                         tn_array **outs,
                         size_t *n_outs) TN_MUST_CHECK;

/**
 * Splits an axis into consecutive views of a given length, of which the last may be shorter. Makes all of them or
 * none.
 *
 * @param array        An array. It stays usable, and is still released on its own.
 * @param axis         The axis; a negative one counts from the last one.
 * @param length       The length of a view on the axis, in elements, at least 1.
 * @param capacity     The number of handles that fit at outs.
 * @param[out] outs    The views, in the order of their indices, each released by `tn_array_release`. NULL: only n_outs
 *                     is written. On failure: untouched.
 * @param[out] n_outs  The number of views; 0 for an axis of length 0. On failure: untouched.
 * @return The statuses of `tn_array_split`; TN_ERR_INVALID for a length below 1.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_chunks(tn_array *array,
                          int32_t axis,
                          int64_t length,
                          size_t capacity,
                          tn_array **outs,
                          size_t *n_outs) TN_MUST_CHECK;

/**
 * Makes a view of the same bytes as another element type.
 *
 * @param array    An array. It stays usable, and is still released on its own.
 * @param dtype    The new element type. It may have another size if the last axis is dense; that axis then changes its
 *                 length.
 * @param[out] out The view. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE for an unknown
 *         type, and for bool if the array is not bool; TN_ERR_OVERFLOW; TN_ERR_SHAPE if the bytes of the last axis are
 *         no multiple of the new size; TN_ERR_LAYOUT if the last axis is not dense, or addresses would not be aligned.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_view_dtype(tn_array *array, tn_dtype dtype, tn_array **out) TN_MUST_CHECK;

/**
 * Tests whether two arrays overlap in memory.
 *
 * @param a        An array.
 * @param b        An array.
 * @param[out] out TN_OVERLAP_NONE, TN_OVERLAP_EXACT, TN_OVERLAP_SOME or TN_OVERLAP_UNKNOWN. Every rule treats an
 *                 unknown overlap as an overlap. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup view
 */
tn_status tn_array_overlap(tn_array *a, tn_array *b, tn_overlap *out) TN_MUST_CHECK;

/* ==================================================== promise ==================================================== */
/** @defgroup promise giving arrays away and taking them, holders of a store, and reasons against overwriting its bytes */

/** Reasons why bytes cannot be overwritten in place, or were copied. */
typedef uint32_t tn_why;
TN_ENUM {
    /** Why not in place: the handle was given away. */
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
    /** Why not in place: the bytes were imported without TN_MAY_OVERWRITE. */
    TN_WHY_FOREIGN = 1 << 6,
    /** Why not in place: the bytes overlap a poisoned region. */
    TN_WHY_POISONED = 1 << 7,
    /** Why not in place, or why a copy: the layout does not fit. */
    TN_WHY_LAYOUT = 1 << 8,
    /** Why not in place, or why a copy: the bytes are on another device. */
    TN_WHY_DEVICE = 1 << 9,
    /** Why not in place: the store has more than twice the bytes that the target needs. */
    TN_WHY_WASTE = 1 << 10,
    /** Why not in place, or why a copy: elements share bytes, or the range cannot be claimed as one store. */
    TN_WHY_NOT_ALIASABLE = 1 << 11,
};

/** What holds a store, or was not released. */
typedef uint32_t tn_holder_kind;
TN_ENUM {
    /** Holder: an array handle. */
    TN_HOLDER_HANDLE = 1,
    /** Holder: a promise. */
    TN_HOLDER_PROMISE = 2,
    /** Holder: a node of a lazy expression. */
    TN_HOLDER_EXPRESSION = 3,
    /** Holder: a shared variable. */
    TN_HOLDER_SHARED_VARIABLE = 4,
    /** Holder: a read-only export. */
    TN_HOLDER_EXPORT_READ = 5,
    /** Holder: a shared view, see TN_EXPORT_WRITABLE. */
    TN_HOLDER_EXPORT_SHARED = 6,
    /** Holder: an exclusive export, see TN_EXPORT_EXCLUSIVE. */
    TN_HOLDER_EXPORT_EXCLUSIVE = 7,
    /** Holder: a read guard. */
    TN_HOLDER_GUARD_READ = 8,
    /** Holder: a write guard. */
    TN_HOLDER_GUARD_WRITE = 9,
    /** Not released: raw memory of a pool. */
    TN_HOLDER_BLOCK = 10,
    /** Not released: a pool. */
    TN_HOLDER_POOL = 11,
    /** Not released: a stream. */
    TN_HOLDER_STREAM = 12,
    /** Not released: an event. */
    TN_HOLDER_EVENT = 13,
    /** Not released: a scope. */
    TN_HOLDER_SCOPE = 14,
    /** Not released: a weak handle. */
    TN_HOLDER_WEAK = 15,
    /** Not released: a function. */
    TN_HOLDER_FUNCTION = 16,
    /** The library's own claim on a side of a mirror. */
    TN_HOLDER_MIRROR = 17,
    /** Not called yet: a queued release callback, see `tn_run_releases`. */
    TN_HOLDER_QUEUED_RELEASE = 18,
    /** A module; its bytes are those of its image. */
    TN_HOLDER_MODULE = 19,
};

/** A holder of a store, or an object that was not released. */
typedef struct tn_holder {
    /** TN_HOLDER_. */
    tn_holder_kind kind;
    /** Where the bytes live. */
    tn_device device;
    /** Zero. */
    uint32_t reserved;
    /** The handle's bits; with TN_HOLDER_BLOCK the address. */
    uint64_t id;
    /** Bytes of its store or block. */
    uint64_t bytes;
    /** The system's id of the thread that made it. */
    uint64_t thread;
    /** When it was made, ns since the epoch; 0 if the time is unknown. */
    uint64_t time_ns;
    /** Name of its array or pool; for a block of another library, the library's name ("numpy"). NUL-terminated. */
    char name[64];
    /** Call site where it was made (TN_HERE): "step.c:41". A long one is cut at the front; "" if none. */
    char site[64];
} tn_holder;

/** A store, or a raw block of a pool. */
typedef struct tn_store_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Address of the first byte. */
    uint64_t address;
    /** Bytes of the store or block. */
    uint64_t bytes;
    /** Where the bytes live. */
    tn_device device;
    /** TN_READONLY, TN_FOREIGN, TN_PINNED, TN_MAPPED, TN_WRITECOMBINED. */
    tn_array_flags flags;
    /** Zero. */
    uint32_t reserved;
    /** A number that grows with each finished write. */
    uint64_t version;
    /** Name of its pool; "" if the bytes are of no pool. NUL-terminated. */
    char pool_name[64];
} tn_store_info;

/** A planned array, for which `tn_array_why_not` tests an array's bytes. */
typedef struct tn_target {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** The device where it shall live. */
    tn_device device;
    /** Element type. */
    tn_dtype dtype;
    /** Number of axes. */
    int32_t ndim;
    /** ndim lengths in elements; NULL only with ndim 0. */
    const int64_t *shape;
} tn_target;

/**
 * Gives an array away: makes a promise not to use the handle again, which `tn_take` or `tn_enter` opens. If one such
 * call opens n_required promises of a handle, the claim moves to the taker and the giver's handle is destructed. With
 * fewer, the taker gets a clone.
 *
 * @param array    An array without open guards of its own. While a promise is outstanding, only queries and release of
 *                 this handle succeed.
 * @param n_required The number of the giver's variables that refer to the handle, usually 1. Of several calls, the
 *                   largest number counts.
 * @param[out] out The promise. Released by `tn_promise_release`, also after it was taken. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for n_required 0; TN_ERR_DESTRUCTED;
 *         TN_ERR_GIVEN if the array was given n_required times already, or TN_ERR_COUNT if n_required is above 1;
 *         TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED for open guards of this handle; TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_array_give(tn_array *array, size_t n_required, tn_promise **out) TN_MUST_CHECK;

/**
 * Cancels a promise, so that the giver can use its array again. The promise must still be released.
 *
 * @param promise  An outstanding promise.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED if it was taken or cancelled already.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_promise_cancel(tn_promise *promise) TN_MUST_CHECK;

/**
 * Releases a promise. A promise that was not taken is cancelled first.
 *
 * @param promise  A promise, in whatever state. It is released exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_promise_release(tn_promise *promise);

/**
 * Takes arrays: opens promises, all or none, and makes a new handle for each. The promises cannot be taken again, and
 * their owner still releases them.
 *
 * @param n_promises   The number of promises.
 * @param promises     The n_promises outstanding promises, none listed twice. NULL only with n_promises 0.
 * @param[out] out     The n_promises arrays. out[i] has the layout, name and READONLY flag of the handle that
 *                     promises[i] gave. NULL only with n_promises 0. Each is released by `tn_array_release`. On
 *                     failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled
 *         already; TN_ERR_DUPLICATE; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_take(size_t n_promises, tn_promise *const *promises, tn_array **out) TN_MUST_CHECK;

/**
 * Enters a scope: the callee gets its own handle for every parameter, all or none. It need not know which parameters
 * were given and which were lent.
 *
 * A promise is opened as by `tn_take`: if this call has as many promises of a handle as its giver required, the claim
 * moves and the giver's handle is destructed; else the callee gets a clone. For a plain array the callee gets a clone,
 * even if a promise of that handle is in the call too. The callee may release, give or write its handles at any time.
 * `tn_leave` releases those that are left.
 *
 * @param n_params     The number of parameters; 0 makes an empty scope.
 * @param params       The n_params handles, each a tn_array * or a tn_promise *. An array may be listed several times,
 *                     a promise once. NULL only with n_params 0. The promises cannot be taken again, and their owner
 *                     still releases them.
 * @param[out] out     The n_params arrays, owned by the scope. out[i] has the layout, name and READONLY flag of
 *                     params[i]. NULL only with n_params 0. On failure: untouched.
 * @param[out] scope   The scope. Ended by `tn_leave`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled
 *         already, and for an array that was taken; TN_ERR_GIVEN for an array that was given, unless one of its
 *         promises is in this call; TN_ERR_DUPLICATE for a promise that is listed twice; TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_LIMIT.
 * @note Threads: any; the scope belongs to no thread. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_enter(size_t n_params, void *const *params, tn_array **out, tn_scope **scope) TN_MUST_CHECK;

/**
 * Leaves a scope: releases its remaining handles, in the order of its parameters. Scopes may be left in any order, by
 * any thread.
 *
 * @param scope    A scope. It is left exactly once.
 * @param n_keep   The number of handles to keep.
 * @param keep     Handles of this scope to keep, such as those that the callee returns. They may be in any state, and
 *                 belong to the caller from now on. NULL only with n_keep 0.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND, for the scope and for each of keep; TN_ERR_INVALID for an
 *         array that is not of this scope; TN_ERR_DUPLICATE for an array that is listed twice. With the option
 *         "strict", for the handles to release: TN_ERR_GIVEN, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED.
 *         On failure the scope stays entered, and no handle is released.
 * @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_leave(tn_scope *scope, size_t n_keep, tn_array *const *keep) TN_MUST_CHECK;

/**
 * Tests whether this handle is the only holder of its store: no other claims, guards or exports.
 *
 * @param array    An array, also a given one, for which the result is 0.
 * @param[out] out 1 if it is, else 0. Other threads that hold handles can change it at any time. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_array_is_unique(tn_array *array, int32_t *out) TN_MUST_CHECK;

/**
 * Lists the reasons why the array's bytes cannot be overwritten in place, and the holders of the store.
 *
 * @param array            An array, also a given one.
 * @param target           The planned array; NULL: test only the holders of the store.
 * @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
 * @param capacity         The number of items at holders.
 * @param[out] bits        0 if the bytes can be overwritten, else TN_WHY_ bits.
 * @param[out] holders     The first `capacity` holders of the store other than this handle: handles, promises,
 *                         exports, and overlapping guards. NULL only with capacity 0.
 * @param[out] n_holders   The total number of holders.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong target.size or item_size;
 *         TN_ERR_DESTRUCTED; TN_ERR_DTYPE, TN_ERR_OVERFLOW, TN_ERR_SHAPE for the target. On failure all outputs are
 *         untouched.
 * @note Threads: any. Blocks: never. Allocates: nothing. Other threads that hold handles can change the result at any
 *       time; a borrow checks again.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_array_why_not(tn_array *array,
                           const tn_target *target,
                           size_t item_size,
                           size_t capacity,
                           tn_why *bits,
                           tn_holder *holders,
                           size_t *n_holders) TN_MUST_CHECK;

/**
 * Finds the store or raw block of some bytes, and its holders. The bytes are not read.
 *
 * @param ptr              Any address other than NULL, even an unmapped one.
 * @param bytes            The number of bytes from there, at least 1.
 * @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
 * @param capacity         The number of items at holders.
 * @param[out] store       The store, or the raw block of a pool; `size` is set by the caller. May be NULL. An imported
 *                         raw block is reported as a store, with the block as one of its holders.
 * @param[out] holders     The first `capacity` holders: handles, promises, and guards and exports that overlap the
 *                         bytes. NULL only with capacity 0.
 * @param[out] n_holders   The total number of holders.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for bytes 0, a wrong store.size or item_size; TN_ERR_FOREIGN for memory
 *         that is not Tenure's; TN_ERR_ALIASED for bytes of two stores. On failure all outputs are untouched.
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
                        size_t *n_holders) TN_MUST_CHECK;

/**
 * Finds the store of an array, and its holders. Unlike a borrow, it is never refused for other holders.
 *
 * @param array            An array, also one that is given, written, or in use by a device.
 * @param item_size        The size of an item in the caller's program: sizeof(tn_holder).
 * @param capacity         The number of items at holders.
 * @param[out] store       The store; `size` is set by the caller. May be NULL.
 * @param[out] holders     The first `capacity` holders: handles, promises, and guards and exports that overlap the
 *                         array. NULL only with capacity 0.
 * @param[out] n_holders   The total number of holders.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong store.size or item_size;
 *         TN_ERR_DESTRUCTED; TN_ERR_FOREIGN for an array without elements. On failure all outputs are untouched.
 * @note Threads: any. Blocks: never. Other threads that hold handles can change the result at any time.
 * @since 0.1
 * @ingroup promise
 */
tn_status tn_array_holders(tn_array *array,
                           size_t item_size,
                           size_t capacity,
                           tn_store_info *store,
                           tn_holder *holders,
                           size_t *n_holders) TN_MUST_CHECK;

/* ====================================================== pool ====================================================== */
/** @defgroup pool creating and choosing pools, raw memory, statistics */

/** "None" or "never" in the fields of `tn_pool_options` marked (n). Every larger number means the same. */
static const uint64_t TN_POOL_NONE = 9223372036854775807;
#ifndef SWIG
#define TN_POOL_NONE 9223372036854775807
#endif

/** Flags of a pool. */
typedef uint32_t tn_pool_flags;
TN_ENUM {
    /** Pool flag: touch the pages of initial_size at creation. */
    TN_POOL_PREFAULT = 1 << 0,
    /** Pool flag: cache no freed memory. */
    TN_POOL_DIRECT = 1 << 1,
    /** Pool flag, for tests: freed blocks are filled with a pattern and kept in quarantine, and peaks are exact. */
    TN_POOL_STRICT = 1 << 2,
    /** Pool flag: a freed block is cleared before it is reused. */
    TN_POOL_ZERO_ON_FREE = 1 << 3,
    /**
     * Pool flag, host: other processes can map the memory, see `tn_array_export_ipc`. Each block has pages and a file
     * descriptor of its own, so it is for large arrays. A freed block serves a later one of the same size once no other
     * process has it, if the process has not forked since. One that was exported read-only serves none, see
     * TN_POOL_READONLY_EXPORTS. Not with initial_size. A child of fork shares the memory with its parent.
     */
    TN_POOL_SHAREABLE = 1 << 4,
    /**
     * Pool flag, CUDA: other processes can open the memory, see `tn_array_export_ipc`. Each block is an allocation of the
     * driver, of multiples of 2 MiB, so it is for large arrays that live long. Implies TN_POOL_DIRECT. TN_ERR_UNSUPPORTED
     * for other devices, on a GPU without IPC, and with initial_size, peers, TN_BACKEND_DRIVER_POOL, TN_POOL_STRICT or
     * TN_POOL_ZERO_ON_FREE.
     */
    TN_POOL_IPC = 1 << 5,
    /**
     * Pool flag, with TN_POOL_SHAREABLE: arrays are exported read-only, and a block that was exported serves a later one
     * once no other process has it. Exports with TN_IPC_WRITABLE are copies, those with TN_IPC_GIVE TN_ERR_WOULD_COPY.
     */
    TN_POOL_READONLY_EXPORTS = 1 << 6,
};

/** Flags of page-locked memory (TN_HOST_*) and of managed memory (TN_MANAGED_*). */
typedef uint32_t tn_host_flags;
TN_ENUM {
    /** Page-locked memory that every CUDA context can use. */
    TN_HOST_PORTABLE = 1 << 0,
    /** Page-locked memory mapped into the device's address space. */
    TN_HOST_MAPPED = 1 << 1,
    /** Page-locked memory that is slow to read on the host. */
    TN_HOST_WRITE_COMBINED = 1 << 2,
    /** Page-locking of memory that the host must not write. */
    TN_HOST_READ_ONLY = 1 << 3,
    /** Without a driver: ordinary memory labelled TN_CPU instead of TN_ERR_UNSUPPORTED. */
    TN_HOST_BEST_EFFORT = 1 << 4,
    /** Managed memory attached to all streams, the default. */
    TN_MANAGED_GLOBAL = 0,
    /** Managed memory attached to the host. */
    TN_MANAGED_HOST = 1 << 5,
};

/** When a pool asks for huge pages. */
typedef uint32_t tn_huge_pages;
TN_ENUM {
    /** Transparent huge pages inside large blocks, and wherever a pool grows that has at least 32 MiB. */
    TN_HUGE_AUTO = 0,
    /** No huge pages. */
    TN_HUGE_NEVER = 1,
    /** Huge pages that the system has reserved; TN_HUGE_AUTO when there are none left. */
    TN_HUGE_EXPLICIT = 2,
};

/** How a pool obtains CUDA memory. */
typedef uint32_t tn_backend;
TN_ENUM {
    /** CUDA: virtual memory management (mapped granules) where the driver has it, else plain allocations. */
    TN_BACKEND_AUTO = 0,
    /** CUDA: plain driver allocations. */
    TN_BACKEND_PLAIN = 1,
    /**
     * CUDA: a memory pool of the driver, which reuses large blocks in the order of streams by itself. TN_ERR_UNSUPPORTED
     * without support.
     */
    TN_BACKEND_DRIVER_POOL = 2,
};

/** Flags of a tn_upstream. */
typedef uint32_t tn_upstream_flags;
TN_ENUM {
    /** Upstream flag: `allocate` returns zeroed memory. */
    TN_UPSTREAM_ZEROED = 1 << 0,
    /** Upstream flag: several threads may run the callbacks at once. */
    TN_UPSTREAM_THREAD_SAFE = 1 << 1,
    /** Upstream flag: parts of one allocation may be deallocated separately. */
    TN_UPSTREAM_PARTIAL_FREE = 1 << 2,
};

/**
 * The source of memory of a pool made by `tn_pool_import`. Its callbacks run on any thread that uses the pool, also on
 * a thread that ends. A callback that calls the same pool gets TN_ERR_INVALID.
 */
typedef struct tn_upstream {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** First argument of each callback. */
    void *context;
    /** Sizes passed to `allocate` are multiples of this; 0: 4096. */
    size_t granularity;
    /** Alignments passed to `allocate` are powers of two, at least this; 0: 4096. */
    size_t alignment;
    /** TN_UPSTREAM_. */
    tn_upstream_flags flags;
    /** Zero. */
    uint32_t reserved;
    /**
     * Allocates `bytes` bytes and writes their address to `out`. Any status but TN_OK means that there is no memory.
     * native_stream is 0.
     */
    tn_status (*allocate)(void *context, size_t bytes, size_t alignment, uint64_t native_stream, void **out);
    /**
     * Deallocates what `allocate` returned, with the same address and bytes; with TN_UPSTREAM_PARTIAL_FREE also parts
     * of it, each byte once.
     */
    tn_status (*deallocate)(void *context, void *ptr, size_t bytes, uint64_t native_stream);
    /** Optional: called when the contents of a part are no longer needed. */
    tn_status (*purge)(void *context, void *ptr, size_t bytes);
    /** Optional: the last callback, called when all memory was deallocated and the pool no longer exists. */
    void (*release)(void *context);
} tn_upstream;

/** Options of a pool. In every field 0 means the default. */
typedef struct tn_pool_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** At most 63 bytes of UTF-8, copied; NULL: "pool-N". */
    const char *name;
    /** Bytes committed at creation, which trim keeps. */
    uint64_t initial_size;
    /** Upper bound of one growth step, bytes. */
    uint64_t max_growth;
    /**
     * Upper bound of committed bytes; 0: none. Under the memory limit of a control group Linux kills the process where
     * memory is short. A status needs a max_size below that limit, which `tn_device_query` has as `total_bytes`.
     */
    uint64_t max_size;
    /**
     * At least 1. A growth step asks the device for the needed bytes or committed * (factor - 1), whichever is more.
     */
    double growth_factor;
    /** Alignment in bytes where a call passes 0: a power of two, 8 to 4 MiB. Default on the host: 64. */
    uint64_t alignment;
    /**
     * (n) Bytes of free small blocks that one thread may keep, and of the large ones that it freed last. One large
     * block alone may have 4 times as many.
     */
    uint64_t thread_cache_size;
    /** (n) Cached bytes above this are returned to the device. */
    uint64_t release_threshold;
    /** (n) Free memory that was unused for this long, ms, is returned to the device by a later call. */
    uint64_t release_delay_ms;
    /** CUDA: bit mask of device ids that may also access the memory. */
    uint64_t peers;
    /** TN_HUGE_. */
    tn_huge_pages huge_pages;
    /** TN_BACKEND_. */
    tn_backend backend;
    /** n: prefer NUMA node n - 1; 0: no preference. */
    int32_t numa_node;
    /** TN_HOST_ or TN_MANAGED_. */
    tn_host_flags host_flags;
    /** TN_POOL_. */
    tn_pool_flags flags;
    /** Zero. */
    uint32_t reserved;
} tn_pool_options;

/** Statistics of a pool. Fields are bytes unless the name says count. */
typedef struct tn_pool_stats {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Sum of the requested sizes of all live blocks. */
    uint64_t requested_bytes;
    /** Sum of the usable sizes of all live blocks. */
    uint64_t in_use_bytes;
    /** Committed bytes that can be allocated. */
    uint64_t cached_bytes;
    /** Freed bytes that work on a stream may still access. */
    uint64_t pending_bytes;
    /** Committed bytes that no block can use: the rest of a span after its last block. */
    uint64_t overhead_bytes;
    /** Committed bytes: exactly in_use + cached + pending + overhead in every query. */
    uint64_t reserved_bytes;
    /** Reserved address space; at least reserved_bytes. */
    uint64_t address_bytes;
    /** Committed bytes for which huge pages were requested. */
    uint64_t huge_bytes;
    /** The library's own memory for this pool; not part of reserved_bytes. */
    uint64_t metadata_bytes;
    /** Largest in_use_bytes since creation or `tn_pool_reset_peak`. */
    uint64_t peak_in_use_bytes;
    /** Largest reserved_bytes since creation or `tn_pool_reset_peak`. */
    uint64_t peak_reserved_bytes;
    /** Largest requested_bytes since creation or `tn_pool_reset_peak`. */
    uint64_t peak_requested_bytes;
    /** Allocations that returned TN_OK. */
    uint64_t allocation_count;
    /** Blocks that were freed. */
    uint64_t deallocation_count;
    /** Reallocations that returned TN_OK. */
    uint64_t reallocation_count;
    /** Calls that failed. */
    uint64_t failure_count;
    /** allocation_count - deallocation_count: blocks that are allocated now. */
    uint64_t live_blocks;
    /** Allocations that needed no call to the device. */
    uint64_t hit_count;
    /** Allocations that took the thread cache's fast path. */
    uint64_t thread_hit_count;
    /** Calls that allocated memory of the device. */
    uint64_t device_allocate_count;
    /** Calls that freed memory of the device. */
    uint64_t device_free_count;
    /** Bytes ever allocated from the device. */
    uint64_t device_bytes_total;
    /** Trims that freed memory. */
    uint64_t trim_count;
    /** Calls of pressure callbacks. */
    uint64_t pressure_count;
    /** Requests that failed for lack of memory. */
    uint64_t oom_count;
    /** Invalid frees that were refused. */
    uint64_t misuse_count;
    /** Bytes that `tn_pool_allocate_zeroed` did not have to clear. */
    uint64_t zero_bytes_skipped;
    /** Largest block that can be allocated without a call to the device. */
    uint64_t largest_free_bytes;
    /** max_size; 0: none. */
    uint64_t limit_bytes;
    /** Threads that have a cache now. */
    uint64_t thread_count;
    /** Of requested_bytes: in stores that have no claim and are kept by guards or exports. */
    uint64_t held_bytes;
    /** Of pending_bytes: shared with another process that still uses them. */
    uint64_t shared_out_bytes;
    /** Number of the pool, never reused in this process. Two handles with equal serials refer to one pool. */
    uint64_t serial;
    /** The pool's device. */
    tn_device device;
    /** Of in_use_bytes: in files, see `tn_pool_set_spill`. max_size does not count them. */
    uint64_t spilled_bytes;
    /** How often an array was written to a file. */
    uint64_t spill_count;
    /** How often an array came back from a file. */
    uint64_t unspill_count;
} tn_pool_stats;

/** Where a pool spills arrays that nobody uses, see `tn_pool_set_spill`. */
typedef struct tn_spill_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** A folder that the process may write. Its files have no names, and end with the process at the latest. */
    const char *folder;
    /** The most bytes in files; 0: no bound but the file system's. After a fork, of each process. */
    uint64_t max_bytes;
    /** The smallest array that is spilled, bytes; 0, or less than 65537: 65537. */
    uint64_t min_array_bytes;
} tn_spill_options;

/** Statistics of one size class of a pool. */
typedef struct tn_pool_class_stats {
    /** Usable bytes of each block; 0: blocks above the largest class, each in a span of its own. */
    uint64_t block_bytes;
    /** Bytes of a span of such blocks; 0: spans of different sizes. */
    uint64_t span_bytes;
    /** Live blocks. */
    uint64_t live_blocks;
    /** Blocks that can be allocated without a new span; with block_bytes 0: free spans. */
    uint64_t cached_blocks;
    /** Spans of such blocks, including free ones. */
    uint64_t span_count;
    /** Allocations that returned TN_OK. */
    uint64_t allocation_count;
    /** Of those: allocations that needed no call to the device. */
    uint64_t hit_count;
    /** Zero. */
    uint64_t reserved;
} tn_pool_class_stats;

/** Why a pool is out of memory. */
typedef uint32_t tn_pressure;
TN_ENUM {
    /** The pool reached its max_size. */
    TN_PRESSURE_LIMIT = 1,
    /** The pool's device is out of memory. */
    TN_PRESSURE_DEVICE = 2,
};

/**
 * A pressure callback, called when a pool is out of memory, on the allocating thread and under no lock. Returns its
 * estimate of the bytes that it freed; 0: none.
 *
 * It may call any function, also on this pool. An allocation within it that finds no memory fails without calling
 * pressure callbacks. `reason` is one of TN_PRESSURE_.
 */
typedef size_t (*tn_pressure_callback)(void *context, size_t needed_bytes, tn_pressure reason);

/** The client that a block of a pool was allocated for. */
typedef uint32_t tn_client;
TN_ENUM {
    /** Client: arrays. */
    TN_CLIENT_ARRAYS = 0,
    /** Client: raw blocks, as from `tn_pool_allocate`. */
    TN_CLIENT_RAW = 1,
    /** Client: NumPy, through `tn_numpy_handler`. */
    TN_CLIENT_NUMPY = 2,
    /** Client: PyTorch, through `tn_torch_alloc`. */
    TN_CLIENT_TORCH = 3,
    /** Client: CuPy, through `tn_cupy_malloc` or the Python package. */
    TN_CLIENT_CUPY = 4,
    /** Client: Numba, through the Python package. */
    TN_CLIENT_NUMBA = 5,
    /** Client: RMM, through `tn_rmm_allocate` or the Python package. */
    TN_CLIENT_RMM = 6,
    /** Client: UMF, through `tn_umf_pool_ops` and `tn_umf_provider_ops`. */
    TN_CLIENT_UMF = 7,
    /** Client: C++ containers, through `tn_cpp_allocate`. */
    TN_CLIENT_CPP = 8,
    /** Client: a Rust program's global allocator. */
    TN_CLIENT_RUST = 9,
    /** Client: a program that was started with the library's malloc. */
    TN_CLIENT_MALLOC = 10,
    /** Client: any other. Reserved. */
    TN_CLIENT_OTHER = 11,
};

/** Statistics of one client of a pool. The sum of `live_bytes` over all clients is the pool's in_use_bytes. */
typedef struct tn_pool_client {
    /** TN_CLIENT_. */
    tn_client client;
    /** Zero. */
    uint32_t reserved;
    /** "arrays", "raw", "numpy", ..; NUL-terminated. */
    char name[16];
    /** Blocks that the client has allocated now. */
    uint64_t live_blocks;
    /** Usable bytes of those blocks. */
    uint64_t live_bytes;
    /** Requested bytes of those blocks. */
    uint64_t requested_bytes;
    /** Largest live_bytes since the pool's creation or `tn_pool_reset_peak`. */
    uint64_t peak_bytes;
    /** Allocations and reallocations that succeeded. */
    uint64_t allocation_count;
    /** Allocations and reallocations that failed. */
    uint64_t failure_count;
    /** Invalid frees that were refused. */
    uint64_t misuse_count;
    /** Frees with a size other than the requested one; the library uses its own record. */
    uint64_t mismatch_count;
} tn_pool_client;

/**
 * Creates a pool on a device. The pool takes no memory from the device before its first use, except `initial_size`.
 *
 * @param device   The device of the memory. Without a driver, TN_CUDA_HOST with the host flag TN_HOST_BEST_EFFORT
 *                 gives ordinary host memory, labelled TN_CPU.
 * @param options  The options, copied; NULL: all defaults.
 * @param[out] out The pool. Released by `tn_pool_release`; live blocks stay valid after that. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an option out of range, an unknown flag or a size of 0, with the
 *         field's name in the message; TN_ERR_RANGE for a NUMA node that does not exist; TN_ERR_DEVICE for a device
 *         that does not exist; TN_ERR_UNSUPPORTED for a device or option that this build has no code for;
 *         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY if there is no memory for `initial_size`; TN_ERR_LIMIT if
 *         no more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, and `initial_size`.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_create(tn_device device, const tn_pool_options *options, tn_pool **out) TN_MUST_CHECK;

/**
 * Creates a pool that allocates and deallocates its memory through the caller's callbacks. Its bookkeeping is kept
 * elsewhere, so the host need not be able to access the memory.
 *
 * Blocks are cut from the pieces that `allocate` returns. The pool requests what it needs, or more if `growth_factor`
 * is above 1; the default here is 1. A piece is deallocated, with the same address and bytes, when all of it is free
 * and the pool is trimmed or released. `release_threshold` and `release_delay_ms` can make that earlier; here they are
 * off by default. After the last block of a released pool was freed, all pieces are deallocated, and `release` is
 * called.
 *
 * Callbacks run on any thread that uses the pool, under no lock of the library. Two callbacks never run at once unless
 * TN_UPSTREAM_THREAD_SAFE is set. A callback that calls the same pool gets TN_ERR_INVALID.
 *
 * The host does not clear or copy memory on TN_CUDA. There, `tn_pool_allocate_zeroed` works only on memory that is
 * known to be 0, `tn_pool_reallocate` works only in place, and arrays are TN_ERR_UNSUPPORTED.
 *
 * @param device   The device of the memory, as a label: {TN_CPU, 0}, or any device of another type, with or without a
 *                 driver.
 * @param upstream The upstream, copied. Its callbacks and context are used until `release` is called.
 * @param options  The options, copied; NULL: all defaults. `initial_size` is allocated from the upstream at once.
 * @param[out] out The pool. Released by `tn_pool_release`; live blocks stay valid after that. On failure: untouched;
 *                 `release` is not called, and memory for `initial_size` is deallocated.
 * @return TN_OK; TN_ERR_NULL, also for `allocate` and `deallocate`; TN_ERR_INVALID for a field out of range, an
 *         unknown flag or a size of 0, with the field's name in the message; TN_ERR_DEVICE for a device that does not
 *         exist; TN_ERR_UNSUPPORTED for options that need the system's own memory; TN_ERR_FAILED if the upstream
 *         returned invalid memory for `initial_size`; TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY if it returned
 *         none; TN_ERR_LIMIT if no more handles can be made.
 * @note Threads: any. Blocks: if the callbacks do. Allocates: bookkeeping, and `initial_size`.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_import(tn_device device,
                         const tn_upstream *upstream,
                         const tn_pool_options *options,
                         tn_pool **out) TN_MUST_CHECK;

/**
 * Makes a new handle on the process-wide default pool of a device: the pool that `tn_pool_set_default` set, else the
 * initial default pool, which is created at its first use and lives until the process ends.
 *
 * `tn_option_set` can set the options of the initial pool before its first use.
 *
 * @param device   The device of the pool.
 * @param[out] out The handle. Released by `tn_pool_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if an option is out of range; TN_ERR_DEVICE for a device that does not
 *         exist; TN_ERR_UNSUPPORTED for a type that this build has no code for; TN_ERR_NO_HOST_MEMORY; TN_ERR_LIMIT if
 *         no more handles can be made.
 * @note Threads: any; threads that race get the same pool. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_default(tn_device device, tn_pool **out) TN_MUST_CHECK;

/**
 * Sets the process-wide default pool of the pool's device: the meaning of NULL as a pool on all threads that set no
 * current pool.
 *
 * Existing arrays and blocks stay in their pools. A request of another thread that runs meanwhile comes from either
 * pool; each later one from the new pool. The default keeps the pool alive as a handle does, also if every handle on
 * it is released. After another pool is set, a thread that used the previous default may keep it alive until its next
 * such request or its end. Plug-ins for other libraries that are called without a pool use the initial default pool.
 *
 * @param pool     The pool; NULL: the initial default pools again, for all devices. To restore the previous default of
 *                 one device, pass the handle that `tn_pool_default` returned before.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID in a callback of a pool's upstream.
 * @note Threads: any. Blocks: a few microseconds, until no other thread is inside the library. Allocates: nothing. May
 *       end the previous default pool, as `tn_pool_release` does.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_set_default(tn_pool *pool) TN_MUST_CHECK;

/**
 * Sets the thread's current pool of the pool's device: the meaning of NULL as a pool on this thread.
 *
 * The thread keeps the pool alive until it sets another or ends, even if every handle on it is released. A thread that
 * sets the default pool follows later changes of the default.
 *
 * @param pool     The pool; NULL: the default pools again, for all devices.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any; other threads keep their current pools. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_set_current(tn_pool *pool) TN_MUST_CHECK;

/**
 * Makes a new handle on the thread's current pool of a device, which at first is the default pool.
 *
 * @param device   The device of the pool.
 * @param[out] out The handle. Released by `tn_pool_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if an option of the default pool is out of range; TN_ERR_DEVICE for a
 *         device that does not exist; TN_ERR_UNSUPPORTED for a type that this build has no code for;
 *         TN_ERR_NO_HOST_MEMORY; TN_ERR_LIMIT if no more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_current(tn_device device, tn_pool **out) TN_MUST_CHECK;

/**
 * Releases a handle on a pool. When the last handle is released and the pool is no thread's current one, cached memory
 * is returned to the device. Live blocks and arrays stay valid; the rest of the memory is returned with the last of
 * them.
 *
 * @param pool     The handle. It is released exactly once.
 * @return TN_OK, also if blocks are live; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any; of two threads that release one handle, one gets TN_ERR_STALE. Blocks: never. Allocates:
 *       nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_release(tn_pool *pool);

/**
 * Allocates a raw block with undefined contents.
 *
 * @param pool      The pool; NULL: the thread's current pool of the host.
 * @param bytes     The number of bytes; with 0 the call returns a block too. The block may be larger: see
 *                  `tn_pool_usable_size`.
 * @param alignment The alignment of the address in bytes, a power of two up to 4 MiB; 0: the pool's alignment.
 * @param stream    The stream that uses the block first. On TN_CUDA the block may be memory that earlier work on this
 *                  stream still uses, and NULL means the thread's current stream. On memory that the host can access,
 *                  NULL means the host, now. On TN_CPU the stream constants mean that too.
 * @param[out] out  The block. Freed by `tn_pool_deallocate` or `tn_pool_reallocate`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an invalid alignment; TN_ERR_DEVICE for a
 *         stream of another device, or in the child of a process that made a device pool before the fork;
 *         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY if the device is out of memory, TN_ERR_POOL_LIMIT if the
 *         pool would exceed `max_size`, both after cached memory was released: the message has the pool's statistics
 *         and its largest named holders; TN_ERR_UNSUPPORTED if the stream captures a graph and no cached block fits;
 *         TN_ERR_DRIVER.
 * @note Threads: any. Blocks: on memory of devices, where the request would fail otherwise, until work on freed
 *       blocks is done. Allocates: the block.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_allocate(tn_pool *pool, size_t bytes, size_t alignment, tn_stream *stream, void **out) TN_MUST_CHECK;

/**
 * Allocates a raw block whose first `bytes` bytes are 0. Memory that is new from the system is not cleared again. Nor
 * are pages of blocks of 32 MiB and more that were allocated before and never written.
 *
 * @param pool      The pool; NULL: the thread's current pool of the host.
 * @param bytes     The number of bytes; with 0 the call returns a block too.
 * @param alignment The alignment of the address in bytes, a power of two up to 4 MiB; 0: the pool's alignment.
 * @param stream    The stream that uses the block first. On TN_CUDA the block may be memory that earlier work on this
 *                  stream still uses, and NULL means the thread's current stream. On memory that the host can access,
 *                  NULL means the host, now. On TN_CPU the stream constants mean that too.
 * @param[out] out  The block. Freed by `tn_pool_deallocate` or `tn_pool_reallocate`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an invalid alignment; TN_ERR_DEVICE for a
 *         stream of another device, or in the child of a process that made a device pool before the fork;
 *         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY if the device is out of memory, TN_ERR_POOL_LIMIT if the
 *         pool would exceed `max_size`, both after cached memory was released: the message has the pool's statistics
 *         and its largest named holders; TN_ERR_UNSUPPORTED if the stream captures a graph and no cached block fits;
 *         TN_ERR_DRIVER.
 * @note Threads: any. Blocks: on memory of devices, where the request would fail otherwise, until work on freed
 *       blocks is done. Allocates: the block.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_allocate_zeroed(tn_pool *pool,
                                  size_t bytes,
                                  size_t alignment,
                                  tn_stream *stream,
                                  void **out) TN_MUST_CHECK;

/**
 * Resizes a raw block: in place if there is room, else by moving its pages or copying its bytes.
 *
 * The first min(old, new) bytes and the originally requested alignment are kept. The call counts as a reallocation;
 * with `ptr` NULL as an allocation, with 0 bytes as a deallocation.
 *
 * @param pool     The block's pool. NULL: the pool that the block belongs to, or without a block the thread's current
 *                 pool of the host.
 * @param ptr      A live raw block. If `*out` differs, this address is no longer valid. NULL: allocate a new block
 *                 with the pool's alignment.
 * @param bytes    The new size in bytes; 0: free the block and write NULL to `*out`.
 * @param stream   The stream on which a device copies, and on which the old block is freed. NULL and the constants: as
 *                 for `tn_pool_allocate`.
 * @param[out] out The block. Freed by `tn_pool_deallocate`. On failure: untouched, and the old block is live and
 *                 unchanged.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE for a released handle or a freed block, TN_ERR_KIND; TN_ERR_INVALID for an
 *         address inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of another
 *         pool or of none; TN_ERR_DEVICE for a stream of another device; TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_DRIVER.
 * @note Threads: any; no other thread may use the block during the call. Blocks: as `tn_pool_allocate`. Allocates: the
 *       new block.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_reallocate(tn_pool *pool, void *ptr, size_t bytes, tn_stream *stream, void **out) TN_MUST_CHECK;

/**
 * Frees a raw block. An invalid address is never dereferenced: it returns a status and changes nothing.
 *
 * @param pool     The block's pool; NULL: the pool that the block belongs to.
 * @param ptr      The block; NULL: the call does nothing.
 * @param stream   The stream whose work so far may still use the block. Its bytes can be reused on that stream at
 *                 once, and elsewhere when that work is done. NULL and the constants: as for `tn_pool_allocate`. The
 *                 call does not call the driver.
 * @return TN_OK; TN_ERR_STALE for a released handle or a freed block, TN_ERR_KIND; TN_ERR_INVALID for an address
 *         inside a block, whose start is in the message; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN
 *         for a block of another pool, or an address in no block; TN_ERR_NO_HOST_MEMORY if the stream's work can
 *         neither be recorded nor waited for: the block then stays live.
 * @note Threads: any; of two threads that free one block, one gets TN_ERR_STALE. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_deallocate(tn_pool *pool, void *ptr, tn_stream *stream);

/**
 * Records that a raw block is also used on another stream than the one on which it will be freed. Its bytes are reused
 * only after the work that was issued on all recorded streams before the free. A block can have any number of such
 * streams.
 *
 * @param pool     The block's pool; NULL: the pool that the block belongs to.
 * @param ptr      The block.
 * @param stream   The stream. NULL and the constants: as for `tn_pool_allocate`, so NULL on memory that the host can
 *                 access records nothing. An imported stream must exist until the block is freed, or the last handle
 *                 on the stream is released.
 * @return TN_OK; TN_ERR_STALE for a released handle or a freed block, TN_ERR_KIND; TN_ERR_INVALID for an address
 *         inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN for a block of another pool,
 *         or an address in no block; TN_ERR_DEVICE for a stream of another device; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only. Does not call the driver.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_record_use(tn_pool *pool, void *ptr, tn_stream *stream) TN_MUST_CHECK;

/**
 * Lets another pool serve the requests for a pool's memory on a stream, until `tn_pool_private_end`:
 * `tn_pool_allocate`, `tn_pool_allocate_zeroed` and new arrays. For a stream that captures a graph: a launch of the
 * graph uses its blocks again, so blocks that were freed within the capture must not go to others while the graph
 * lives. They stay in the private pool, which serves further captures of that graph's group. Blocks of it can be freed
 * and resized with either pool. Release the private pool after the last launch, to return its memory.
 *
 * @param pool         A pool of TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
 * @param private_pool Another pool of that device, by `tn_pool_create`. It serves one pool, on any number of streams,
 *                     and lives on at least until `tn_pool_private_end`. Its limits and statistics are its own.
 * @param stream       The stream. NULL and the constants: as for `tn_pool_allocate`, but NULL is refused for memory
 *                     that the host can access.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for pools of different devices, of the host, or
 *         in the child of a fork; TN_ERR_INVALID for one pool twice, and for a private pool that has served another
 *         one; TN_ERR_DUPLICATE for a stream that a private pool serves already; TN_ERR_LIMIT for more than 16 streams
 *         of a pool.
 * @note Threads: any. Blocks: never. Allocates: nothing. Does not call the driver.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_private_begin(tn_pool *pool, tn_pool *private_pool, tn_stream *stream) TN_MUST_CHECK;

/**
 * Ends what `tn_pool_private_begin` began: the pool serves its requests on the stream itself. Blocks of the private
 * pool stay that pool's.
 *
 * @param pool     The pool.
 * @param stream   The stream that was passed there.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID if no private pool serves the stream.
 * @note Threads: any. Blocks: never. Allocates: nothing. Does not call the driver.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_private_end(tn_pool *pool, tn_stream *stream) TN_MUST_CHECK;

/**
 * Makes a new handle on the pool whose live block, raw or of an array, contains an address. The address is not
 * dereferenced.
 *
 * @param ptr      Any address.
 * @param[out] out The handle. Released by `tn_pool_release`. If the pool was released before, queries work and
 *                 allocations fail. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL for `out`; TN_ERR_FOREIGN for an address in no live block; TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_LIMIT if no more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_of(const void *ptr, tn_pool **out) TN_MUST_CHECK;

/**
 * Writes the usable size of a live block: at least the requested size. Under AddressSanitizer or valgrind it is
 * exactly that.
 *
 * @param ptr      The start of a live block, raw or of an array.
 * @param[out] out The number of bytes. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL for `out`; TN_ERR_STALE for a freed block; TN_ERR_INVALID for an address inside a block;
 *         TN_ERR_FOREIGN for an address in no block, and for NULL.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_usable_size(const void *ptr, size_t *out) TN_MUST_CHECK;

/**
 * Writes the statistics of a pool, a snapshot of one moment.
 *
 * In every snapshot, reserved_bytes = in_use_bytes + cached_bytes + pending_bytes + overhead_bytes.
 *
 * @param pool     The pool; NULL: the thread's current pool of the host.
 * @param[out] stats The struct to fill, with `size` set by the caller; as much as fits is filled. On failure:
 *                   untouched.
 * @return TN_OK; TN_ERR_NULL for `stats`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a size of 0.
 * @note Threads: any. Blocks: never. Allocates: nothing; no device call, but for the counts of a pool of the driver.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_query(tn_pool *pool, tn_pool_stats *stats) TN_MUST_CHECK;

/**
 * Resets the peaks of a pool to the current values. Counts are kept.
 *
 * @param pool     The pool; NULL: the thread's current pool of the host.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_reset_peak(tn_pool *pool) TN_MUST_CHECK;

/**
 * Returns cached memory to the device, longest unused first, until at most `keep_bytes` are cached or no whole segment
 * is free. Live blocks and the memory of `initial_size` stay. If more is still cached between live small blocks, its
 * pages are returned too; they keep counting as committed and cached.
 *
 * @param pool     The pool; NULL: the thread's current pool of the host.
 * @param keep_bytes The number of cached bytes to keep.
 * @param[out] released_bytes The number of bytes by which reserved_bytes fell; may be NULL. On failure: untouched.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any; other threads can use the pool meanwhile. Blocks: while the system takes the memory. Allocates:
 *       nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_trim(tn_pool *pool, size_t keep_bytes, size_t *released_bytes) TN_MUST_CHECK;

/**
 * Lets a pool of ordinary host memory spill: at its limit, it writes arrays that nobody uses to files, and frees their
 * memory, before a request fails with TN_ERR_POOL_LIMIT. max_size then bounds the bytes in memory.
 *
 * The array that was used longest ago goes first. An array is in use while it has a guard, export, expression, import,
 * poisoned region or pending device work, or while a call moves or lends it. Otherwise its handles, views, promises and
 * weak handles stay valid, and its address stays the same. The next use brings the bytes back: a borrow, export, copy or
 * computation waits for the file to be read, and for other arrays of the pool that are written or read at the moment.
 * It fails with TN_ERR_POOL_LIMIT if what is in use leaves no room, and with TN_ERR_IO if the file cannot be read;
 * nothing has changed then. A write that fails, as on a full disk, leaves the array in memory. A spilled array then comes
 * back in exchange for another one, and the pool is above max_size by one array meanwhile.
 *
 * This concerns arrays that are made from now on, of more than 65536 bytes, see also `tn_array_set_spillable`. Raw blocks
 * and foreign memory are never spilled. Each borrow of such an array takes some 100 ns longer, because its time is noted.
 * Forks, and calls that stop all threads for a moment, wait until the array that is being written or read is done.
 *
 * Files have no names and mode 0600. They end with the last process that has them open: this one, and children of forks.
 * Use a folder on a local disk: one on tmpfs is memory itself, and a network file system may report a failed write too
 * late. Spilled bytes are part of in_use_bytes, and `tn_pool_query` counts them in spilled_bytes.
 *
 * @param pool     The pool; NULL: the thread's current pool of the host.
 * @param options  The folder and bounds, copied; NULL: nothing more is spilled. What is in files comes back when it is
 *                 used.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_NULL if `folder` is NULL; TN_ERR_INVALID for a size of 0;
 *         TN_ERR_UNSUPPORTED for a pool whose memory is shareable, page-locked, a device's or an upstream's, and with
 *         the option `check`; TN_ERR_IO if no file can be made in the folder, or none of 4 TiB (sparse);
 *         TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: until other threads have finished reading or writing an array of the pool. Allocates:
 *       bookkeeping.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_set_spill(tn_pool *pool,
                            const tn_spill_options *options) TN_MUST_CHECK;

/**
 * Spills arrays that nobody uses now, the one that was used longest ago first, until at least `bytes` bytes of memory
 * are free or none is left.
 *
 * @param pool     The pool; NULL: the thread's current pool of the host.
 * @param bytes    The number of bytes; SIZE_MAX: all that can be spilled.
 * @param[out] spilled_bytes The bytes of memory that became free; may be NULL. On failure: untouched.
 * @return TN_OK, also if nothing was spilled or the pool does not spill; TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: while files are written. Allocates: bookkeeping of files.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_spill(tn_pool *pool, size_t bytes, size_t *spilled_bytes) TN_MUST_CHECK;

/**
 * Lists the size classes of a pool that were ever used. The sums of live_blocks, allocation_count and hit_count equal
 * those of `tn_pool_query`.
 *
 * @param pool         The pool; NULL: the thread's current pool of the host.
 * @param item_size    The size of an item in the caller's program: sizeof(tn_pool_class_stats).
 * @param capacity     The number of items at classes.
 * @param[out] classes The first `capacity` classes: large blocks first, with block_bytes 0, then the others by size.
 *                     NULL only with capacity 0.
 * @param[out] n_classes The total number of classes.
 * @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an item_size that is
 *         too small.
 * @note Threads: any; while other threads use the pool, each span is read at another moment. Blocks: never. Allocates:
 *       nothing. Takes time in proportion to the pool's blocks.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_query_classes(tn_pool *pool,
                                size_t item_size,
                                size_t capacity,
                                tn_pool_class_stats *classes,
                                size_t *n_classes) TN_MUST_CHECK;

/**
 * Lists the clients of a pool with their statistics: arrays, raw blocks, and each library that allocates from it. The
 * sum of live_bytes is the pool's in_use_bytes.
 *
 * @param pool         The pool; NULL: the thread's current pool of the host.
 * @param item_size    The size of an item in the caller's program: sizeof(tn_pool_client).
 * @param capacity     The number of items at clients.
 * @param[out] clients The first `capacity` clients that ever allocated, ordered by TN_CLIENT_. NULL only with capacity
 *                     0.
 * @param[out] n_clients The total number of clients.
 * @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an item_size that is
 *         too small.
 * @note Threads: any; a snapshot of one moment. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_query_clients(tn_pool *pool,
                                size_t item_size,
                                size_t capacity,
                                tn_pool_client *clients,
                                size_t *n_clients) TN_MUST_CHECK;

/**
 * Registers a callback for when the pool is out of memory: after the cached memory of all pools of the device was
 * released, and before the request fails. The registered callbacks are called in order until the request succeeds,
 * each at most once per request.
 *
 * @param pool     The pool; NULL: the thread's current pool of the host.
 * @param callback The callback. It returns its estimate of the bytes that it freed; 0: the request is not tried again
 *                 before the next callback.
 * @param context  The first argument of callback, and the argument of release.
 * @param release  Called once after the registration ended, by `tn_pool_off_pressure` or with the pool, and the last
 *                 call of the callback returned. May be NULL. On failure: not called.
 * @return TN_OK; TN_ERR_NULL for `callback`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DUPLICATE if this callback is
 *         registered with this context; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any; the callback runs on the allocating thread, under no lock. Blocks: never. Allocates: bookkeeping
 *       only.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_on_pressure(tn_pool *pool,
                              tn_pressure_callback callback,
                              void *context,
                              tn_release_callback release) TN_MUST_CHECK;

/**
 * Ends a registration. A running call of the callback continues; the callback is not called again.
 *
 * @param pool     The pool; NULL: the thread's current pool of the host.
 * @param callback The callback of the registration.
 * @param context  The context of the registration.
 * @return TN_OK; TN_ERR_NULL for `callback`; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE if there is no such registration.
 * @note Threads: any, also within the callback. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup pool
 */
tn_status tn_pool_off_pressure(tn_pool *pool, tn_pressure_callback callback, void *context) TN_MUST_CHECK;

/* ==================================================== transfer ==================================================== */
/**
 * @defgroup transfer copies between arrays and raw memory
 * A copy overwrites every element of its destination. It neither converts types nor broadcasts shapes.
 */

/** Advice on managed memory: what the driver should expect. */
typedef uint32_t tn_advice;
TN_ENUM {
    /** Advice: the memory is mostly read, so host and devices may each keep a copy. */
    TN_ADVISE_READ_MOSTLY = 1,
    /** Withdraws TN_ADVISE_READ_MOSTLY. */
    TN_ADVISE_UNSET_READ_MOSTLY = 2,
    /** Advice: the device is the preferred location of the memory. */
    TN_ADVISE_PREFERRED = 3,
    /** Withdraws TN_ADVISE_PREFERRED. */
    TN_ADVISE_UNSET_PREFERRED = 4,
    /** Advice: the device will access the memory and should have it mapped. */
    TN_ADVISE_ACCESSED_BY = 5,
    /** Withdraws TN_ADVISE_ACCESSED_BY. */
    TN_ADVISE_UNSET_ACCESSED_BY = 6,
};

/**
 * Copies the elements of one array into another. The two may overlap: the result is as if the source had been read
 * completely first.
 *
 * @param source       The source, with any layout. It is read during the call, or with a stream until the copy is
 *                     done.
 * @param destination  The array to write, with any layout. Bytes between its elements are unchanged.
 * @param mode         The write mode on the destination, also with TN_WAIT and TN_REQUIRE_ASYNC.
 * @param stream       The stream of the copy; NULL: the copy is done on return. Between host arrays the stream
 *                     constants mean the same as NULL.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_DTYPE, TN_ERR_SHAPE if they differ; the statuses of a read borrow of the source and a write borrow of
 *         the destination; TN_ERR_NO_HOST_MEMORY. On failure the destination is unchanged.
 * @note Threads: any. Blocks: never. Allocates: if the two overlap and no order of copying is safe, a temporary of the
 *       source's size.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_copy_into(tn_array *source,
                             tn_array *destination,
                             tn_write_mode mode,
                             tn_stream *stream) TN_MUST_CHECK;

/**
 * Copies an array to a new array on a device, even if the array is on that device already.
 *
 * @param array    The source, with any layout. It is read during the call, or with a stream until the copy is done.
 * @param device   The device to copy to; the host is {TN_CPU, 0}.
 * @param pool     A pool of that device; NULL: the thread's current pool of it.
 * @param stream   The stream of the copy; NULL: the copy is done on return.
 * @param[out] out The new array, of the source's form, dense, in F order if the source is F- and not C-contiguous,
 *                 else in C order. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DEVICE for a device
 *         that does not exist or a pool of another device; TN_ERR_UNSUPPORTED without a driver for it;
 *         TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT,
 *         TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: the new array, from the pool.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_to_device(tn_array *array,
                             tn_device device,
                             tn_pool *pool,
                             tn_stream *stream,
                             tn_array **out) TN_MUST_CHECK;

/**
 * Moves a given array to a device: takes the promise, copies the elements to a new array there, and releases the old
 * bytes. They return to their pool when the copy is done, in the order of the stream.
 *
 * An array that lies there already is taken as by `tn_take`, without a copy: with pool NULL an array on that device,
 * else an array in that pool. If its giver required more promises than this one, the giver keeps the array and its
 * bytes.
 *
 * @param promise  An outstanding promise. It cannot be taken again, and its owner still releases it. On failure: as
 *                 before.
 * @param device   The device to move to; the host is {TN_CPU, 0}.
 * @param pool     A pool of that device; NULL: the thread's current pool of it.
 * @param stream   The stream of the copy; NULL: the copy is done on return.
 * @param[out] out The array, with the name of the handle that was given. A copy is dense, in F order if the array was
 *                 F- and not C-contiguous, else in C order, and writable. Released by `tn_array_release`. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DESTRUCTED for a promise that was taken or cancelled
 *         already; the other statuses of `tn_array_to_device`.
 * @note Threads: any. Blocks: if the host copies, until unfinished device work on the bytes is done. Allocates: the
 *       new array, from the pool.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_promise_to_device(tn_promise *promise,
                               tn_device device,
                               tn_pool *pool,
                               tn_stream *stream,
                               tn_array **out) TN_MUST_CHECK;

/**
 * Copies an array's elements into raw host memory.
 *
 * @param array    The source, with any layout. It is read during the call, or with a stream until the copy is done.
 * @param ptr      Memory for the elements. NULL only for an array without elements. It must stay valid until the call
 *                 returns; page-locked memory with a stream, until the stream's copy is done.
 * @param layout   The layout of the elements at ptr, with the array's type and shape; NULL: C order.
 * @param stream   The stream of the work; NULL: the work is done on return. For a host array the stream constants mean
 *                 the same as NULL.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_DTYPE, TN_ERR_SHAPE, TN_ERR_RANGE, TN_ERR_OVERFLOW for the layout; TN_ERR_LAYOUT if its elements
 *         share bytes; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_copy_to_host(tn_array *array,
                                void *ptr,
                                const tn_layout *layout,
                                tn_stream *stream) TN_MUST_CHECK;

/**
 * Copies elements from raw host memory into an array.
 *
 * @param array    The array to write, with any layout.
 * @param ptr      The elements. NULL only for an array without elements. They must stay valid and unchanged until the
 *                 call returns; page-locked memory with a stream, until the stream's copy is done.
 * @param layout   The layout of the elements at ptr, with the array's type and shape; NULL: C order.
 * @param mode     The write mode on the array, also with TN_WAIT and TN_REQUIRE_ASYNC.
 * @param stream   The stream of the work; NULL: the work is done on return. For a host array the stream constants mean
 *                 the same as NULL.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_DTYPE, TN_ERR_SHAPE, TN_ERR_RANGE, TN_ERR_OVERFLOW for the layout; the statuses of a write borrow;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_copy_from_host(tn_array *array,
                                  const void *ptr,
                                  const tn_layout *layout,
                                  tn_write_mode mode,
                                  tn_stream *stream) TN_MUST_CHECK;

/**
 * Overwrites every element of an array with one value.
 *
 * @param array    The array to write, with any layout. Bytes between its elements are unchanged.
 * @param value    One element, copied bit by bit before the call returns; any alignment.
 * @param mode     The write mode on the array, also with TN_WAIT.
 * @param stream   The stream of the work; NULL: the work is done on return. For a host array the stream constants mean
 *                 the same as NULL.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; the statuses
 *         of a write borrow with TN_WRITE_DISCARD; TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT for TN_WRITE_COW.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_fill(tn_array *array, const void *value, tn_write_mode mode, tn_stream *stream) TN_MUST_CHECK;

/**
 * Overwrites every byte of an array's elements with 0.
 *
 * @param array    The array to write, with any layout. Bytes between its elements are unchanged.
 * @param mode     The write mode on the array, also with TN_WAIT.
 * @param stream   The stream of the work; NULL: the work is done on return. For a host array the stream constants mean
 *                 the same as NULL.
 * @return The statuses of `tn_array_fill`.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_clear(tn_array *array, tn_write_mode mode, tn_stream *stream) TN_MUST_CHECK;

/**
 * Page-locks the caller's memory, so that devices can copy it directly, and makes a one-dimensional array of u8 on
 * TN_CUDA_HOST from it. Views can give it another type and shape. Copies of other arrays and raw pointers in the range
 * become fast too.
 *
 * The memory is unlocked when the last array derived from the result is released. That release waits for copies of the
 * range, because the caller may free the memory afterwards.
 *
 * @param ptr      Host memory of any alignment, which must stay valid until the release. Memory of a live array's
 *                 store makes another array on that store, with its device. If it reaches past the end of an imported
 *                 store, it extends that store.
 * @param bytes    The number of bytes, at least 1.
 * @param flags    TN_HOST_PORTABLE, TN_HOST_MAPPED. TN_HOST_READ_ONLY: devices only read the memory, and the array is
 *                 READONLY. TN_HOST_BEST_EFFORT: without a GPU, the array is made on TN_CPU, and no memory is locked.
 * @param[out] out The array. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for other flags, also TN_HOST_WRITE_COMBINED, and for 0 bytes;
 *         TN_ERR_DUPLICATE if some of the memory is registered already, by this library or another; TN_ERR_RANGE;
 *         TN_ERR_UNSUPPORTED without a GPU; TN_ERR_ALIASED for bytes of two stores, or bytes past the end of a pool's
 *         store; TN_ERR_NO_HOST_MEMORY; TN_ERR_DRIVER for memory that the driver refuses.
 * @note Threads: any. Blocks: while the driver locks the pages.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_host_register(void *ptr, size_t bytes, tn_host_flags flags, tn_array **out) TN_MUST_CHECK;

/**
 * Advises the driver how managed memory will be used. Changes no element.
 *
 * @param array    An array of managed memory. It is neither read nor written, so open guards do not matter.
 * @param advice   One of TN_ADVISE_, which applies to the whole pages in the array's range.
 * @param device   A GPU or the host. TN_ADVISE_READ_MOSTLY and the TN_ADVISE_UNSET_ constants ignore it.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_DEVICE; TN_ERR_UNSUPPORTED for other memory, without a driver, or where the device does not share
 *         managed memory; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_advise(tn_array *array, tn_advice advice, tn_device device) TN_MUST_CHECK;

/**
 * Moves managed memory to the device where it will be used next. Changes no element.
 *
 * @param array    An array of managed memory.
 * @param device   A GPU or the host.
 * @param stream   The stream of the move; NULL: the thread's current stream, and the call waits for the move.
 * @return The statuses of `tn_array_advise`; TN_ERR_DEVICE also for a stream of another device.
 * @note Threads: any. Blocks: with stream NULL, until the move is done.
 * @since 0.1
 * @ingroup transfer
 */
tn_status tn_array_prefetch(tn_array *array, tn_device device, tn_stream *stream) TN_MUST_CHECK;

/* ===================================================== device ===================================================== */
/** @defgroup device counting, describing and synchronizing devices */

/** Flags of `tn_device_query`. */
typedef uint32_t tn_query_flags;
TN_ENUM {
    /** `tn_device_query`: fill the memory fields too. */
    TN_QUERY_MEMORY = 1 << 0,
};

/** Features of a device. */
typedef uint32_t tn_device_features;
TN_ENUM {
    /** Device feature: the driver has memory pools. */
    TN_FEATURE_MEMORY_POOLS = 1 << 0,
    /** Device feature: managed memory. */
    TN_FEATURE_MANAGED = 1 << 1,
    /** Device feature: host and device may access managed memory at the same time. */
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

/** Properties of a device. The counters start with the process. */
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
    /** CUDA version that the driver supports: 1000 * major + 10 * minor. */
    int32_t driver_version;
    /** Number of multiprocessors; on the host, of online processors. */
    int32_t multiprocessors;
    /** Threads of a warp; 1 on the host. */
    int32_t warp_size;
    /** TN_FEATURE_ bits. */
    tn_device_features features;
    /** Shared memory of a thread block, bytes: the default limit. */
    uint64_t block_memory_bytes;
    /** Shared memory of a thread block, bytes: the limit that a kernel can opt in to. */
    uint64_t block_memory_optin_bytes;
    /** Physical memory, bytes; on the host, at most the control group's limit. */
    uint64_t total_bytes;
    /** TN_QUERY_MEMORY: free memory now, as the system reports it. */
    uint64_t free_bytes;
    /** TN_QUERY_MEMORY: total_bytes - free_bytes. */
    uint64_t used_bytes;
    /** TN_QUERY_MEMORY: held by the library's pools. */
    uint64_t pool_bytes;
    /** TN_QUERY_MEMORY: of pool_bytes, what the pools can reuse. */
    uint64_t pool_free_bytes;
    /** Number of copies to the device. */
    uint64_t to_device_count;
    /** Bytes of those. */
    uint64_t to_device_bytes;
    /** Number of copies to the host. */
    uint64_t to_host_count;
    /** Bytes of those. */
    uint64_t to_host_bytes;
    /** Bytes copied through staging memory. */
    uint64_t staged_bytes;
    /** Bytes page-locked now by `tn_host_register`. */
    uint64_t registered_bytes;
    /**
     * Imports whose release callback is delayed: until `tn_run_releases`, or until device work that uses their bytes
     * is done.
     */
    uint64_t queued_releases;
    /** Bytes of those. */
    uint64_t queued_bytes;
    /**
     * Number of copies and fills that kernels of the library did; the option `transfer.kernels` decides about them.
     */
    uint64_t kernel_count;
    /**
     * The driver's result code if it refused to load these kernels, so that copies and fills go by other ways; 0: it
     * did not.
     */
    uint64_t kernel_error;
} tn_device_info;

/**
 * Counts the devices of a type.
 *
 * @param type     TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
 * @param[out] out The number. TN_CPU: 1. TN_CUDA: the GPUs that the driver shows to this process. TN_CUDA_HOST and
 *                 TN_CUDA_MANAGED: 1 if such memory is available. 0 without a driver or GPU. On failure: untouched.
 * @return TN_OK, also if the number is 0; TN_ERR_NULL; TN_ERR_DEVICE for an unknown type, and in the child of a
 *         process that used CUDA before the fork; TN_ERR_DRIVER if a driver is installed but fails.
 * @note Threads: any. Blocks: while the first call loads the driver. Allocates: nothing.
 * @since 0.1
 * @ingroup device
 */
tn_status tn_device_count(tn_device_type type, size_t *out) TN_MUST_CHECK;

/**
 * Describes a device. With TN_QUERY_MEMORY, also its free memory and how much of it the library's pools hold.
 *
 * @param device   The device.
 * @param flags    0, or TN_QUERY_MEMORY to also fill free_bytes, used_bytes, pool_bytes and pool_free_bytes. On the
 *                 host, total and free are those of the machine, limited by the process's control groups. On a GPU
 *                 this flag makes the call retain the primary context.
 * @param[out] info The struct to fill, with `size` set by the caller; as much as fits is filled. Page-locked and
 *                  managed memory are one device each, {type, 0}; their info has the host's memory and the features of
 *                  GPU 0. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag or a size of 0; TN_ERR_DEVICE for a device that does not
 *         exist; TN_ERR_UNSUPPORTED without a driver; TN_ERR_DRIVER if the driver fails or the device is lost.
 * @note Threads: any. Blocks: while it reads small system files, or calls the driver. Allocates: nothing.
 * @since 0.1
 * @ingroup device
 */
tn_status tn_device_query(tn_device device, tn_query_flags flags, tn_device_info *info) TN_MUST_CHECK;

/**
 * Waits for all work on a device, whoever issued it. For TN_CPU it returns at once.
 *
 * @param device   The device. TN_CUDA_HOST and TN_CUDA_MANAGED mean all GPUs that this process uses.
 * A wait for a whole GPU breaks every graph capture there, whatever its mode and whoever captures. The call is refused
 * while a stream captures that the library may ask: one that it created, or one that is ordered with the legacy
 * stream. It cannot know of captures on other streams of other libraries.
 *
 * @return TN_OK; TN_ERR_DEVICE for a device that does not exist; TN_ERR_UNSUPPORTED without a driver, and during a
 *         capture; TN_ERR_DRIVER if work on it failed earlier; the device is then lost to this process.
 * @note Threads: any. Blocks: until the device's work is done; TN_CPU: never. Allocates: nothing.
 * @since 0.1
 * @ingroup device
 */
tn_status tn_device_synchronize(tn_device device) TN_MUST_CHECK;

/* ===================================================== stream ===================================================== */
/** @defgroup stream streams, current streams of threads, events */

/** Flags of `tn_stream_create`. */
typedef uint32_t tn_stream_flags;
TN_ENUM {
    /** `tn_stream_create`: the stream is ordered with the legacy stream. */
    TN_STREAM_BLOCKING = 1 << 0,
};

/** Flags of `tn_stream_enter`. */
typedef uint32_t tn_stream_scope_flags;
TN_ENUM {
    /** `tn_stream_enter`: leaving the scope waits for the stream. */
    TN_AUTO_SYNCHRONIZE = 1 << 0,
};

/** Flags of `tn_event_create`. */
typedef uint32_t tn_event_flags;
TN_ENUM {
    /** `tn_event_create`: the event records a time. */
    TN_EVENT_TIMING = 1 << 0,
};

/**
 * Creates a stream: a queue of work on a GPU that is executed in order, concurrently with other streams.
 *
 * @param device   {TN_CUDA, id}. The call retains its primary context, which other libraries share.
 * @param flags    0: not ordered with the legacy stream. TN_STREAM_BLOCKING: ordered with it, as a stream of
 *                 cudaStreamCreate.
 * @param priority CUDA's stream priority: lower numbers run first, 0 is the default. It is clamped to the range of the
 *                 device.
 * @param[out] out The stream. Released by `tn_stream_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist or has
 *         no streams; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
 *         TN_ERR_DRIVER, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: while the first use of a GPU makes its context. Allocates: bookkeeping, and what the
 *       driver needs.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_create(tn_device device, tn_stream_flags flags, int32_t priority, tn_stream **out) TN_MUST_CHECK;

/**
 * Makes a handle on another library's stream. Tenure never destroys that stream. Its owner may destroy it at any time
 * when no call has a handle on it, it is no thread's current stream, and no live block has it by `tn_pool_record_use`.
 * Handles on it can be released afterwards. The stream must exist whenever it is passed: drivers do not detect a
 * destroyed stream, and may crash.
 *
 * @param device   {TN_CUDA, id}: the GPU of the stream.
 * @param native   A live CUstream, or cudaStream_t, of the GPU's primary context. 0 and 1 mean the legacy stream; 2
 *                 means the per-thread stream of the thread that uses the handle.
 * @param[out] out The stream. Released by `tn_stream_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_DEVICE for a device that does not exist or has no streams, or a stream of another
 *         context; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: while the first use of a GPU makes its context. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_import(tn_device device, uint64_t native, tn_stream **out) TN_MUST_CHECK;

/**
 * Writes the CUstream of a stream, for other libraries.
 *
 * @param stream   A stream, TN_STREAM_LEGACY or TN_STREAM_PER_THREAD.
 * @param[out] out The CUstream value, never 0: 1 for the legacy stream, 2 for the per-thread stream. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for TN_STREAM_CURRENT, which is a different stream on
 *         each device; TN_ERR_DEVICE in the child of a fork.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_native(tn_stream *stream, uint64_t *out) TN_MUST_CHECK;

/**
 * Waits until all work issued on a stream so far is done.
 *
 * @param stream   A stream. A constant means that stream of every GPU that this process uses.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_UNSUPPORTED
 *         without a driver, and while the stream captures a graph (the capture continues); TN_ERR_DRIVER with the
 *         driver's number, also for work that failed earlier.
 * @note Threads: any. Blocks: until the stream's work is done, under no lock. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_synchronize(tn_stream *stream) TN_MUST_CHECK;

/**
 * Sets the calling thread's current stream of a device: the meaning of TN_STREAM_CURRENT there, and of NULL as the
 * stream of a pool call.
 *
 * @param device   {TN_CUDA, id}.
 * @param stream   A stream of that device, or a constant. The thread keeps it alive until it sets another or ends.
 *                 NULL: the default again, which is TN_STREAM_LEGACY unless the option "stream.default" sets another.
 * @return TN_OK; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a device that does not exist or has no streams, or a
 *         stream of another device; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_set_current(tn_device device, tn_stream *stream) TN_MUST_CHECK;

/**
 * Makes a handle on the calling thread's current stream of a device.
 *
 * @param device   {TN_CUDA, id}.
 * @param[out] out A new handle. Released by `tn_stream_release`, even if it refers to a default stream. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_DEVICE for a device that does not exist or has no streams; TN_ERR_UNSUPPORTED
 *         without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_current(tn_device device, tn_stream **out) TN_MUST_CHECK;

/**
 * Makes a stream the thread's current one until `tn_stream_leave`. Scopes belong to the thread that entered them, and
 * nest.
 *
 * @param device   {TN_CUDA, id}.
 * @param stream   A stream of that device, or a constant. The scope keeps it alive.
 * @param flags    0, or TN_AUTO_SYNCHRONIZE to wait for the stream when the scope is left.
 * @param[out] out The scope. Ended by `tn_stream_leave` on this thread; a thread that ends leaves its scopes. On
 *                 failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device
 *         that does not exist or has no streams, or a stream of another device; TN_ERR_UNSUPPORTED without a driver;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
 * @note Threads: any; the scope belongs to the calling thread. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_enter(tn_device device,
                          tn_stream *stream,
                          tn_stream_scope_flags flags,
                          tn_stream_scope **out) TN_MUST_CHECK;

/**
 * Leaves a scope: restores the current stream from before the scope, whatever was set inside it.
 *
 * @param scope    The innermost scope of this thread. It is left exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also for a scope of `tn_enter`; TN_ERR_INVALID, and nothing
 *         changes, for a scope that was entered on another thread or is not the innermost. With TN_AUTO_SYNCHRONIZE
 *         also the errors of `tn_stream_synchronize`; the scope is left nevertheless.
 * @note Threads: the thread that entered the scope. Blocks: with TN_AUTO_SYNCHRONIZE, until the stream's work is done.
 *       Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_leave(tn_stream_scope *scope) TN_MUST_CHECK;

/**
 * Makes the work that is issued on a stream from now on wait for an event. The host does not wait.
 *
 * @param stream   A stream of any device. A constant means that stream of the event's device.
 * @param event    The event. An event that was never recorded counts as done.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_UNSUPPORTED
 *         while the stream captures a graph and the event is not done (the capture continues); TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_wait_event(tn_stream *stream, tn_event *event) TN_MUST_CHECK;

/**
 * Returns TN_STREAM_LEGACY, for languages that cannot use pointer constants of a C header.
 *
 * @return The constant. It is never released.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup stream
 */
tn_stream *tn_stream_legacy(void);

/**
 * Returns TN_STREAM_PER_THREAD, for languages that cannot use pointer constants of a C header.
 *
 * @return The constant. It is never released.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup stream
 */
tn_stream *tn_stream_per_thread(void);

/**
 * Returns TN_STREAM_CURRENT, for languages that cannot use pointer constants of a C header. It means the stream that
 * is current when it is used. `tn_stream_current` makes a handle on the stream that is current now.
 *
 * @return The constant. It is never released.
 * @note Threads: any. Never fails.
 * @since 0.1
 * @ingroup stream
 */
tn_stream *tn_stream_of_thread(void);

/**
 * Releases a handle on a stream. Issued work continues, and the memory that it uses is kept until it is done. A stream
 * that is current or in a scope stays alive until it is replaced there.
 *
 * @param stream   A handle, not a constant. It is released exactly once.
 * @return TN_OK, also if the device is lost and in the child of a fork; TN_ERR_NULL, TN_ERR_STALE; TN_ERR_KIND, also
 *         for a constant.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_stream_release(tn_stream *stream);

/**
 * Creates an event. Once recorded, it marks a point in a stream's work.
 *
 * @param device   {TN_CUDA, id}.
 * @param flags    0, or TN_EVENT_TIMING to record a time for `tn_event_elapsed`.
 * @param[out] out The event. Until it is recorded it counts as done. Released by `tn_event_release`. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for another flag; TN_ERR_DEVICE for a device that does not exist or has
 *         no streams; TN_ERR_UNSUPPORTED without a driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_DRIVER, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_create(tn_device device, tn_event_flags flags, tn_event **out) TN_MUST_CHECK;

/**
 * Records an event after all work issued on a stream so far. Waits for an earlier recording of the event are not
 * affected.
 *
 * @param event    The event.
 * @param stream   A stream of the event's device. A constant means that stream of that device.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE for a stream of another device;
 *         TN_ERR_UNSUPPORTED while the stream captures a graph (the capture continues); TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_NO_DEVICE_MEMORY, TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: driver memory, if more events are in use than ever before.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_record(tn_event *event, tn_stream *stream) TN_MUST_CHECK;

/**
 * Waits until the work before an event is done.
 *
 * @param event    The event. An event that was never recorded counts as done.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: until that work is done, under no lock. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_synchronize(tn_event *event) TN_MUST_CHECK;

/**
 * Tests whether the work before an event is done.
 *
 * @param event    The event. An event that was never recorded counts as done.
 * @param[out] out 1 if it is done, else 0. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DEVICE in the child of a fork; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_query(tn_event *event, int32_t *out) TN_MUST_CHECK;

/**
 * Computes the time between two events, by the device's clock.
 *
 * @param start            A recorded event with TN_EVENT_TIMING.
 * @param end              Another recorded event with TN_EVENT_TIMING, of the same device.
 * @param[out] elapsed_ns  The time in nanoseconds, with a resolution of about 500 ns. Negative if `end` was before
 *                         `start`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an event that has no timing or was never
 *         recorded; TN_ERR_DEVICE for events of two devices, and in the child of a fork; TN_ERR_PENDING if one of them
 *         is not done; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_elapsed(tn_event *start, tn_event *end, int64_t *elapsed_ns) TN_MUST_CHECK;

/**
 * Releases an event. Streams that wait for it keep waiting.
 *
 * @param event    The event. It is released exactly once.
 * @return TN_OK, also if the device is lost and in the child of a fork; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup stream
 */
tn_status tn_event_release(tn_event *event);

/* ===================================================== runner ===================================================== */
/** @defgroup runner the caller's threads for large copies */

/**
 * One task of the library. It may run on any thread, and returns soon. It calls no function of the caller but a kernel
 * of the host.
 */
typedef void (*tn_task)(void *argument, size_t index);

/**
 * The caller's function that runs tasks. It calls `task(argument, index)` once for each index below `n_tasks`, in any
 * order, on any threads, also several at once. It returns after the last task returned, and calls none later. The
 * library runs the tasks that it did not call on the calling thread.
 */
typedef void (*tn_run_callback)(void *context, tn_task task, void *argument, size_t n_tasks);

/** Threads of the caller on which large copies and kernels of the host may run. The library starts no threads. */
typedef struct tn_runner {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** The function that runs tasks; NULL: no runner. */
    tn_run_callback run;
    /** First argument of `run`. It must stay valid while the runner is current on any thread. */
    void *context;
    /** Largest number of tasks per copy or launch; 0 and 1: the work is not divided. */
    size_t threads;
    /** Copies of fewer bytes stay on the calling thread; 0: 1 MiB. */
    size_t least_bytes;
} tn_runner;

/**
 * Sets the runner of this thread: a function that spreads its large copies, and the blocks of kernels of the host that
 * it launches, over threads of the caller. The library starts no threads.
 *
 * Copies and fills of host arrays and raw memory are divided into at most `threads` tasks, which `run` calls. The
 * calling thread runs the tasks that `run` did not call. Small copies, and those whose source and destination overlap,
 * are not divided. The result does not depend on the runner.
 *
 * @param runner   The runner, copied during this call. Its `context` must stay valid until this thread sets another
 *                 runner. NULL: no runner, as at first. A runner whose `run` is NULL means that too.
 * @return TN_OK; TN_ERR_INVALID for a wrong size.
 * @note Threads: any; other threads keep their runners. This thread calls `run` while it holds no lock. `run` may call
 *       the library, and must return normally. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup runner
 */
tn_status tn_runner_set_current(const tn_runner *runner) TN_MUST_CHECK;

/**
 * Writes the runner of this thread, for a later `tn_runner_set_current`.
 *
 * @param[out] out The struct to fill, with `size` set by the caller. `run` is NULL if there is no runner. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for a wrong size.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup runner
 */
tn_status tn_runner_current(tn_runner *out) TN_MUST_CHECK;

/* ==================================================== exchange ==================================================== */
/** @defgroup exchange exports to other libraries and imports from them, with DLPack and the CUDA array interface */

/** Options of a DLPack export; a NULL pointer means a copy with the device label unchanged. */
typedef struct tn_dlpack_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Any of TN_BORROW, TN_REQUIRE_BORROW, TN_EXPORT_*, TN_UNORDERED, TN_WAIT. */
    tn_borrow_flags flags;
    /** With TN_EXPORT_WRITABLE: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0. */
    tn_write_mode mode;
    /**
     * Device type to write into the struct for page-locked and managed memory: TN_CPU, TN_CUDA, or their own; 0: the
     * array's own. TN_CUDA requires that the memory is mapped for devices. TN_CPU is an access of the host.
     */
    tn_device_type label;
    /** Zero. */
    uint32_t reserved;
    /**
     * The device on which the consumer wants the bytes; {0, 0}: where they are. They are copied there, unless their
     * memory can have that label.
     */
    tn_device target;
    /**
     * The stream of a consumer on a device: it is made to wait for pending work, and uses the bytes until the deleter
     * is called. NULL: the legacy stream under the label TN_CUDA, else the host. With TN_UNORDERED the consumer orders
     * its work itself.
     */
    tn_stream *consumer;
} tn_dlpack_options;

/** An array as the CUDA array interface describes it, version 3. */
typedef struct tn_cuda_array_interface {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Device address of element (0,..,0); 0 without elements. */
    uint64_t data;
    /** ndim lengths in elements. Of an export, they live as long as its guard. */
    const int64_t *shape;
    /** ndim strides in bytes, which live as long as the lengths. NULL in an import: C-contiguous. */
    const int64_t *strides;
    /** Number of axes. */
    int32_t ndim;
    /** 1: the consumer may only read; else 0. */
    int32_t readonly;
    /** 1: the elements are C-contiguous; else 0. Not read by an import. */
    int32_t c_contiguous;
    /** Version of the interface: 3 in an export. */
    int32_t version;
    /** Byte order, kind and bytes of an element, as in "<f4"; NUL-terminated. */
    char typestr[8];
    /**
     * With has_stream, the stream on which the elements are ready: 1 is the legacy default stream, 2 the per-thread
     * one, else a CUstream.
     */
    uint64_t stream;
    /** 0: no work on the elements is unfinished. */
    int32_t has_stream;
    /** Zero. */
    int32_t reserved;
} tn_cuda_array_interface;

/** CUDAMat's matrix: float32 on a GPU, column by column. */
typedef struct tn_cudamat {
    /** Not used: NULL in an export, not read by an import. */
    float *data_host;
    /** Device address of the elements: (i, j) is element i + j * size[0]. */
    float *data_device;
    /** 1: the elements are on the GPU. */
    int32_t on_device;
    /** 1: the elements are on the host too; 0 in an export. */
    int32_t on_host;
    /** Rows and columns. */
    int32_t size[2];
    /** 1: the matrix is the transpose of what the other fields describe; 0 in an export. */
    int32_t is_trans;
    /** 1: CUDAMat frees the elements; 0 in an export. */
    int32_t owns_data;
} tn_cudamat;

/**
 * Exports an array as raw host bytes with a layout, for consumers without an exchange format. It is the counterpart of
 * `tn_array_import_host`.
 *
 * @param array        An array. It may be released while the export lives.
 * @param flags        No flag: a copy, which only the guard holds. TN_BORROW: an alias where possible.
 *                     TN_REQUIRE_BORROW: an alias, else an error. An alias is read-only; with TN_EXPORT_WRITABLE it is
 *                     a shared view, with TN_EXPORT_EXCLUSIVE too it is exclusive. Also TN_EXPORT_NONNEGATIVE,
 *                     TN_EXPORT_C_CONTIGUOUS, TN_UNORDERED, TN_WAIT.
 * @param mode         The write mode of a writable export: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
 * @param stream       The stream that accesses the bytes; NULL: the host, now. On host memory the stream constants
 *                     mean the same as NULL.
 * @param[out] view    The address and the layout, valid until the guard ends.
 * @param[out] guard   The guard. Ended by `tn_borrow_end`, which ends the export.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_LAYOUT if only a copy is possible; TN_ERR_DEVICE for bytes that the host cannot access;
 *         TN_ERR_POISONED, TN_ERR_READONLY, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED,
 *         TN_ERR_IN_EXPRESSION; TN_ERR_PENDING while a device uses the bytes; TN_ERR_FOREIGN; TN_ERR_WOULD_COPY;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: with TN_WAIT, until the device's work is done. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_export_host(tn_array *array,
                               tn_borrow_flags flags,
                               tn_write_mode mode,
                               tn_stream *stream,
                               tn_view_info *view,
                               tn_borrow **guard,
                               tn_how *how) TN_MUST_CHECK;

/**
 * Exports an array as a DLManagedTensor: the DLPack struct without a version, which cannot express "read-only".
 *
 * @param array        An array. It may be released while the export lives.
 * @param options      The flags, write mode, device label and target; NULL: a copy with the device label unchanged.
 * @param[out] out     The struct, with byte_offset 0 and strides in elements, never NULL. The consumer ends the export
 *                     by calling the struct's deleter, exactly once, on any thread. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return The statuses of `tn_array_export_host`; TN_ERR_READONLY for a READONLY array without
 *         TN_EXPORT_CONSUMER_READS, because then this format exports a shared view; TN_ERR_DEVICE, TN_ERR_UNSUPPORTED
 *         for a label or target that is impossible for the memory.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_export_dlpack(tn_array *array,
                                 const tn_dlpack_options *options,
                                 struct DLManagedTensor **out,
                                 tn_how *how) TN_MUST_CHECK;

/**
 * Exports an array as a DLManagedTensorVersioned of version 1.1, with its flags for read-only and copied.
 *
 * @param array        An array. It may be released while the export lives.
 * @param options      The flags, write mode, device label and target; NULL: a copy with the device label unchanged.
 * @param[out] out     The struct, with byte_offset 0 and strides in elements, never NULL. The consumer ends the export
 *                     by calling the struct's deleter, exactly once, on any thread. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return The statuses of `tn_array_export_host`; TN_ERR_DEVICE, TN_ERR_UNSUPPORTED for a label or target that is
 *         impossible for the memory.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_export_dlpack_versioned(tn_array *array,
                                           const tn_dlpack_options *options,
                                           struct DLManagedTensorVersioned **out,
                                           tn_how *how) TN_MUST_CHECK;

/**
 * Makes an array from a DLManagedTensor. If the bytes belong to a live store, the array is another claim on it; a
 * struct exported by this library becomes a clone.
 *
 * @param tensor       The struct. On success the library owns it and calls its deleter exactly once: at once if the
 *                     bytes were copied, else after the last holder derived from the import ended. On failure the
 *                     caller still owns it.
 * @param flags        As for `tn_array_import_host`. TN_IMPORT_WRITABLE: the producer permits writing; without it the
 *                     handle is READONLY. For a tensor on a device the thread's current stream must come after the
 *                     producer's work, and all uses of the array come after that stream's present work. With
 *                     TN_UNORDERED the caller orders them.
 * @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return The statuses of `tn_array_import_host`; TN_ERR_DEVICE for memory of another device than the tensor states,
 *         by the driver's knowledge, and for a GPU that does not exist.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_import_dlpack(struct DLManagedTensor *tensor,
                                 tn_borrow_flags flags,
                                 tn_array **out,
                                 tn_how *how) TN_MUST_CHECK;

/**
 * Makes an array from a DLManagedTensorVersioned. If the bytes belong to a live store, the array is another claim on
 * it; a struct exported by this library becomes a clone.
 *
 * @param tensor       The struct, as for `tn_array_import_dlpack`. For a struct of another major version the call
 *                     fails and calls its deleter, as the format requires.
 * @param flags        As for `tn_array_import_host`. The struct's read-only flag makes the handle READONLY.
 * @param[out] out     The array. Released by `tn_array_release`. On failure: untouched.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL.
 * @return The statuses of `tn_array_import_dlpack`; TN_ERR_UNSUPPORTED for another major version.
 * @note Threads: any. Blocks: never.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_import_dlpack_versioned(struct DLManagedTensorVersioned *tensor,
                                           tn_borrow_flags flags,
                                           tn_array **out,
                                           tn_how *how) TN_MUST_CHECK;

/**
 * Gets DLPack's table of C functions, with which other libraries exchange arrays with the Python package without a
 * call into the interpreter.
 *
 * @param[out] out     The table, of version 1.3, valid until the process ends. No function in it is NULL, and it links
 *                     to no older table. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_UNSUPPORTED until the Python package is imported, which provides three of the
 *         functions.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_dlpack_exchange_api(const struct DLPackExchangeAPI **out) TN_MUST_CHECK;

/**
 * Exports an array that devices can access, as the CUDA array interface describes it. The interface has no release:
 * the guard is the release.
 *
 * @param array        An array in memory of a GPU, in managed memory, or in page-locked memory that is mapped. It may
 *                     be released while the export lives.
 * @param flags        As for `tn_array_export_host`. A copy stays on the array's device.
 * @param mode         The write mode of a writable export: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
 * @param stream       The consumer's stream, which is made to wait for unfinished work on the bytes. NULL: it is not
 *                     known, and `out` names a stream to wait for.
 * @param[out] out     The struct to fill, with `size` set by the caller. Its lists are valid until the guard ends. Its
 *                     stream never ends.
 * @param[out] guard   The guard. Ended by `tn_borrow_end` with the stream of the consumer's last work; that ends the
 *                     export.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched.
 * @return The statuses of `tn_array_export_host`; TN_ERR_DTYPE for bfloat16, which the interface does not have;
 *         TN_ERR_DEVICE for bytes that no device can access, and for a stream of another device; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_export_cuda_array_interface(tn_array *array,
                                               tn_borrow_flags flags,
                                               tn_write_mode mode,
                                               tn_stream *stream,
                                               tn_cuda_array_interface *out,
                                               tn_borrow **guard,
                                               tn_how *how) TN_MUST_CHECK;

/**
 * Makes an array of memory that the CUDA array interface of another library describes. The driver says whose memory it
 * is.
 *
 * @param source       The description; the lists are read during the call only. Versions up to 3, and later ones with
 *                     these fields. The pointers in it must point to what its fields say.
 * @param flags        As for `tn_array_import_host`. TN_UNORDERED: the caller orders the work of both sides.
 * @param release      As for `tn_array_import_host`. It also runs only after this library's work on the bytes is done.
 * @param context      Passed to release.
 * @param[out] out     The array, READONLY if the description says so. Work of the description's stream counts as
 *                     unfinished work on it, and the thread's current stream waits for it.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched, and the bytes stay
 *                     the caller's.
 * @return The statuses of `tn_array_import_host`; TN_ERR_INVALID for stream 0; TN_ERR_DTYPE for a typestr without an
 *         element type; TN_ERR_DEVICE for an address that the driver does not know, or of a context other than the
 *         primary one; TN_ERR_UNSUPPORTED without a driver; TN_ERR_DRIVER.
 * @note Threads: any. Blocks: only for a copy, until it is done. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_import_cuda_array_interface(const tn_cuda_array_interface *source,
                                               tn_borrow_flags flags,
                                               tn_release_callback release,
                                               void *context,
                                               tn_array **out,
                                               tn_how *how) TN_MUST_CHECK;

/**
 * Exports an array as CUDAMat's matrix of float32. CUDAMat works on the legacy stream, which is made to wait for
 * unfinished work.
 *
 * @param array        An array of float32 with 2 axes in memory of a GPU or in managed memory, and at most 2^31 - 1
 *                     elements. It may be released while the export lives.
 * @param flags        As for `tn_array_export_host`. An F-contiguous array is shared, and CUDAMat sees it as it is.
 *                     With TN_CUDAMAT_TRANSPOSED a C-contiguous array is shared, and CUDAMat sees its transpose. Any
 *                     other order needs a copy. The struct cannot express "read-only": an export is a shared view,
 *                     unless TN_EXPORT_CONSUMER_READS is given.
 * @param mode         The write mode of a writable export: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
 * @param[out] out     The struct to fill, for one matrix of CUDAMat, which may change it. owns_data is 0.
 * @param[out] guard   The guard. Ended by `tn_borrow_end`, with TN_STREAM_LEGACY if CUDAMat's work may be unfinished.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched.
 * @return The statuses of `tn_array_export_host`; TN_ERR_DTYPE, TN_ERR_SHAPE for another number of axes,
 *         TN_ERR_OVERFLOW; TN_ERR_LAYOUT if only a copy is possible; TN_ERR_DEVICE for memory of the host;
 *         TN_ERR_DRIVER.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_export_cudamat(tn_array *array,
                                  tn_borrow_flags flags,
                                  tn_write_mode mode,
                                  tn_cudamat *out,
                                  tn_borrow **guard,
                                  tn_how *how) TN_MUST_CHECK;

/**
 * Makes an array of the elements of CUDAMat's matrix.
 *
 * @param source       The matrix, with its elements on a GPU. It is read during the call only.
 * @param flags        As for `tn_array_import_host`. TN_UNORDERED: the caller orders the work of both sides.
 * @param release      As for `tn_array_import_host`. NULL is refused if the matrix owns its elements.
 * @param context      Passed to release.
 * @param[out] out     The array: size[0] x size[1], by columns; with is_trans its transpose. CUDAMat's unfinished
 *                     work, which is on the legacy stream, counts as unfinished work on it.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched, and the elements
 *                     stay CUDAMat's.
 * @return The statuses of `tn_array_import_host`; TN_ERR_NULL, also for data_device with elements; TN_ERR_INVALID for
 *         is_trans; TN_ERR_OVERFLOW for more than 2^31 - 1 elements; TN_ERR_SHAPE for a negative size; TN_ERR_DEVICE
 *         if the elements are not on a GPU, or not in its primary context; TN_ERR_UNSUPPORTED without a driver;
 *         TN_ERR_DRIVER.
 * @note Threads: any. Blocks: only for a copy, until it is done. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup exchange
 */
tn_status tn_array_import_cudamat(const tn_cudamat *source,
                                  tn_borrow_flags flags,
                                  tn_release_callback release,
                                  void *context,
                                  tn_array **out,
                                  tn_how *how) TN_MUST_CHECK;

/* ===================================================== arrow ===================================================== */
/** @defgroup arrow Arrow's C data interface, and its C device interface */

/**
 * Exports an array through Arrow's C data interface. One axis becomes a primitive array, more axes become lists of a
 * fixed size, and no axis becomes an array of one element.
 *
 * @param array       An array. It may be released while the export lives.
 * @param flags       No flag: a copy. TN_BORROW: an alias if the array is C-contiguous, else a copy.
 *                    TN_REQUIRE_BORROW: an alias, else an error. Also TN_UNORDERED, TN_WAIT.
 * @param[out] schema The type, not nullable, with an empty name. The consumer releases it by its release callback, and
 *                    may move it.
 * @param[out] out    The elements, without nulls and with offset 0. The consumer ends the export by its release
 *                    callback, on any thread. It may move the struct and its children; a moved child keeps the bytes
 *                    alive until it is released. On failure all outputs are untouched.
 * @param[out] how    TN_ALIASED or TN_COPIED; may be NULL.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, also for TN_EXPORT_WRITABLE;
 *         TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_DTYPE for bool, bfloat16 and complex elements, which cannot be
 *         exported; TN_ERR_OVERFLOW for an inner axis of 2^31 elements or more; TN_ERR_LAYOUT if only a copy is
 *         possible; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED; TN_ERR_WOULD_COPY; TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup arrow
 */
tn_status tn_array_export_arrow(tn_array *array,
                                tn_borrow_flags flags,
                                struct ArrowSchema *schema,
                                struct ArrowArray *out,
                                tn_how *how) TN_MUST_CHECK;

/**
 * Exports an array through Arrow's C device interface: as `tn_array_export_arrow`, from any memory.
 *
 * A consumer on a device names no stream, neither here nor when it releases the array. So what its streams have at the
 * release counts as unfinished reads, until a wait for all work of the device (`tn_device_synchronize`): writes of the
 * array by the host wait for it, writes on a stream fail with TN_ERR_DRIVER, and the memory is not reused before. An
 * array that comes back by `tn_array_import_arrow_device` leaves nothing to wait for.
 *
 * @param array       An array. It may be released while the export lives.
 * @param flags       As for `tn_array_export_arrow`. A copy stays on the array's device. TN_UNORDERED: without an
 *                    event, and later writes of the array do not wait for the consumer.
 * @param[out] schema The type, as for `tn_array_export_arrow`.
 * @param[out] out    The elements, as for `tn_array_export_arrow`. In memory of a GPU and managed memory: with
 *                    addresses for devices, that device, and in sync_event a CUevent behind all unfinished work on the
 *                    bytes, which lives until then; NULL if there is none. The host does not wait. In other memory:
 *                    device_type 1 (the host), device_id -1, no sync_event. On failure all outputs are untouched.
 * @param[out] how    TN_ALIASED or TN_COPIED; may be NULL.
 * @return The statuses of `tn_array_export_arrow`; TN_ERR_DRIVER; TN_ERR_UNSUPPORTED if the event would become part of
 *         a graph capture.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup arrow
 */
tn_status tn_array_export_arrow_device(tn_array *array,
                                       tn_borrow_flags flags,
                                       struct ArrowSchema *schema,
                                       struct ArrowDeviceArray *out,
                                       tn_how *how) TN_MUST_CHECK;

/**
 * Makes an array from an Arrow array of numbers, or of fixed-size lists of numbers. If the bytes belong to a live
 * store, the array is another claim on it.
 *
 * @param schema   The type of the array. The caller keeps it.
 * @param source   The array. On success it is moved into the library: its release callback here becomes NULL. The
 *                 library calls that callback exactly once: at once if the bytes were copied, else after the last
 *                 holder derived from the import ended. On failure the caller still owns the array.
 * @param flags    As for `tn_array_import_host`.
 * @param[out] out The array. It is READONLY, as Arrow's data are immutable; a requested copy (no flag) is writable.
 *                 Released by `tn_array_release`. On failure: untouched.
 * @param[out] how TN_ALIASED or TN_COPIED; may be NULL.
 * @return TN_OK; TN_ERR_NULL, also for pointers in the structs; TN_ERR_STALE for a released struct; TN_ERR_INVALID;
 *         TN_ERR_DTYPE for types without elements of a fixed size (bools, which are packed bits; texts, dictionaries,
 *         unions, structs); TN_ERR_OVERFLOW; TN_ERR_SHAPE for contradictory lengths; TN_ERR_RANGE; TN_ERR_UNSUPPORTED
 *         for nulls, also if they are only possible (null_count -1 with a validity bitmap); and the statuses of
 *         `tn_array_import_host`.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup arrow
 */
tn_status tn_array_import_arrow(const struct ArrowSchema *schema,
                                struct ArrowArray *source,
                                tn_borrow_flags flags,
                                tn_array **out,
                                tn_how *how) TN_MUST_CHECK;

/**
 * Makes an array from an Arrow device array in memory of the host or of a GPU. Otherwise as `tn_array_import_arrow`.
 *
 * @param schema   The type of the array. The caller keeps it.
 * @param source   The array, as for `tn_array_import_arrow`. Its device_type is 1 (the host), 2 (a GPU), 3
 *                 (page-locked memory) or 13 (managed memory); device_id counts for 2 and 13. On a device the release
 *                 callback also runs only after this library's work on the bytes is done.
 * @param flags    As for `tn_array_import_host`. TN_UNORDERED: the caller orders the work of both sides, and
 *                 sync_event is not read.
 * @param[out] out The array, as for `tn_array_import_arrow`. The thread's current stream waits for sync_event, and
 *                 every use of the array comes after it. The host does not wait.
 * @param[out] how TN_ALIASED or TN_COPIED; may be NULL.
 * @return The statuses of `tn_array_import_arrow`; TN_ERR_DEVICE for memory that is not of the stated device, for an
 *         unknown device_type, and for a sync_event with memory of the host; TN_ERR_NULL for a sync_event that points
 *         to NULL; TN_ERR_DRIVER; TN_ERR_UNSUPPORTED while the current stream captures a graph, and without a driver.
 * @note Threads: any. Blocks: only for a copy from a device, until it is done. Allocates: bookkeeping, or the copy.
 * @since 0.1
 * @ingroup arrow
 */
tn_status tn_array_import_arrow_device(const struct ArrowSchema *schema,
                                       struct ArrowDeviceArray *source,
                                       tn_borrow_flags flags,
                                       tn_array **out,
                                       tn_how *how) TN_MUST_CHECK;

/* ====================================================== ipc ====================================================== */
/** @defgroup ipc the same bytes in two processes of this machine */

/**
 * Exports an array to other processes. An array in shareable memory (TN_POOL_SHAREABLE, and TN_POOL_IPC on a GPU) is
 * shared, any other is copied there.
 *
 * The importer of an array on a GPU waits on its stream for the work that this process has queued on the array. A GPU
 * cannot keep importers from writing a read-only export. Its memory goes back to the driver when the array has ended,
 * every importer has ended or released it, and `fd` and its copies are closed. When this process ends, the memory
 * ends, and importers get TN_ERR_DRIVER.
 *
 * @param array        An array. It may be released while the export lives.
 * @param flags        No flag, TN_BORROW: an array elsewhere is copied; its importers see no later changes.
 *                     TN_REQUIRE_BORROW: shared, else an error. No TN_IPC_WRITABLE: read-only for both sides, until
 *                     `guard` ends for this one, and for ever for others: the memory is sealed, and later exports with
 *                     TN_IPC_WRITABLE need a copy. TN_IPC_WRITABLE: a shared view, which all may write; who writes
 *                     when is up to the programs. TN_IPC_GIVE: the array is offered; it is never copied, has no other
 *                     handle, and was never exported by this function. Nobody uses it until `guard` ends. Then its
 *                     handle is destructed if a process took it, and usable as before if not. Also TN_IPC_PRIVATE,
 *                     TN_WAIT.
 * @param capacity     Bytes at `descriptor`; TN_IPC_DESCRIPTOR_BYTES are always enough.
 * @param[out] descriptor  Plain data that any process of this machine can import, any number of times; an offered
 *     array: once.
 * @param[out] descriptor_bytes  Its size, about 150 bytes, or 300 for a GPU, and 16 for each axis.
 * @param[out] fd      A descriptor of the memory, or for a GPU of a file by which the two processes know of each
 *                     other; the caller's to close. An exec closes it.
 * @param[out] guard   The guard. Ended by `tn_borrow_end`. Until then the array cannot be written here, or with
 *                     TN_IPC_WRITABLE not exclusively. The bytes of importers stay in any case. An offer ends so:
 *                     TN_ERR_SHARED if the array was taken, and has other handles, promises or expressions here, which
 *                     were made meanwhile; `guard` then stays open.
 * @param[out] how     TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT
 *         for too little capacity; TN_ERR_UNSUPPORTED before Linux 5.1, for a GPU without IPC, and for TN_IPC_GIVE of
 *         an array on a GPU; TN_ERR_DEVICE, TN_ERR_DRIVER for a GPU that cannot be used; TN_ERR_POISONED,
 *         TN_ERR_READONLY, TN_ERR_BORROWED_WRITE, TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED,
 *         TN_ERR_IN_EXPRESSION; TN_ERR_FOREIGN, TN_ERR_ALIASED for an offer of shared memory; TN_ERR_PENDING;
 *         TN_ERR_WOULD_COPY; TN_ERR_IO without a descriptor; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
 *         TN_ERR_LIMIT.
 * @note Threads: any. Blocks: on the host with TN_WAIT, until the device's work is done. Allocates: bookkeeping, or
 *       the copy.
 * @since 0.1
 * @ingroup ipc
 */
tn_status tn_array_export_ipc(tn_array *array,
                              tn_borrow_flags flags,
                              size_t capacity,
                              void *descriptor,
                              size_t *descriptor_bytes,
                              int32_t *fd,
                              tn_borrow **guard,
                              tn_how *how) TN_MUST_CHECK;

/**
 * Makes an array of the bytes that another process exported, or this one. Nothing is copied. The call is safe whoever
 * made the descriptor and the file.
 *
 * A shared array is FOREIGN: it is never overwritten in place by the library. An array that was given is this
 * process's alone, as if it had been made here. Its memory goes back to no pool. Its name is that of the exported
 * array. An import of an array without a name has the exporter's process id in its name: "(process 5214)". In a
 * process that has the memory already, because it exported or imported it, it is another handle on the same array.
 *
 * @param descriptor   The descriptor. It is read during the call only.
 * @param descriptor_bytes  Its size.
 * @param fd           The descriptor of the memory. It stays the caller's, and may be closed after the call.
 * @param flags        No flag: the handle is READONLY, and the memory is mapped so. TN_IPC_WRITABLE: writable, if the
 *                     export is. TN_IPC_GIVE: takes an array that is offered. TN_IPC_TRUSTED.
 * @param[out] out     The array. Released by `tn_array_release`. On failure: untouched, and nothing stays mapped.
 * @param[out] how     TN_ALIASED; may be NULL.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for what is no descriptor, and for an fd that is no memory, or could
 *         shrink; TN_ERR_UNSUPPORTED for a descriptor of a later version; TN_ERR_DTYPE, TN_ERR_SHAPE, TN_ERR_OVERFLOW,
 *         TN_ERR_RANGE, TN_ERR_LAYOUT for an array that does not fit into the memory; TN_ERR_IO for a closed fd;
 *         TN_ERR_READONLY; TN_ERR_GIVEN for an offered array without TN_IPC_GIVE, TN_ERR_INVALID for a shared one with
 *         it, TN_ERR_DESTRUCTED for one that was taken before, or whose offer has ended. Of an array on a GPU:
 *         TN_ERR_DEVICE if this process does not have that GPU, TN_ERR_STALE if the exporter has freed the memory or
 *         has ended, TN_ERR_DRIVER, TN_ERR_ALIASED, TN_ERR_UNSUPPORTED for TN_IPC_GIVE. TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping, and addresses.
 * @since 0.1
 * @ingroup ipc
 */
tn_status tn_array_import_ipc(const void *descriptor,
                              size_t descriptor_bytes,
                              int32_t fd,
                              tn_borrow_flags flags,
                              tn_array **out,
                              tn_how *how) TN_MUST_CHECK;

/* ================================================== safetensors ================================================== */
/** @defgroup safetensors files of many named tensors */

/**
 * Options of `tn_array_open_safetensors`; a NULL pointer means that tensors are read into the thread's current host
 * pool.
 */
typedef struct tn_safetensors_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** The pool that tensors are read into; NULL: the thread's current host pool. */
    tn_pool *pool;
    /** 0, TN_BORROW or TN_REQUIRE_BORROW. */
    tn_borrow_flags flags;
    /** Zero. */
    uint32_t reserved;
} tn_safetensors_options;

/** A tensor of a safetensors file. */
typedef struct tn_safetensors_info {
    /** Element type; 0: one that no array can have, as floats of 8 bits. */
    tn_dtype dtype;
    /** Number of axes. */
    int32_t ndim;
    /** Bytes of the tensor. */
    uint64_t bytes;
    /** Length of the tensor's name in bytes. `name` is cut if it does not fit. */
    uint64_t name_bytes;
    /** UTF-8, NUL-terminated. */
    char name[256];
    /** Lengths in elements; entries from ndim on are 0. */
    int64_t shape[TN_MAX_NDIM];
    /** Zero. */
    uint64_t reserved[2];
} tn_safetensors_info;

/**
 * Lists the tensors of a safetensors file, in the order of their bytes. The call reads only the header.
 *
 * @param path       The file, NUL-terminated.
 * @param item_size  The size of an item in the caller's program: sizeof(tn_safetensors_info).
 * @param capacity   The number of items at infos.
 * @param[out] infos The first `capacity` tensors; NULL only with capacity 0.
 * @param[out] n_infos The number of tensors in the file. On failure all outputs are untouched.
 * @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small; TN_ERR_OVERFLOW
 *         for more than 64 axes or a size that overflows; TN_ERR_LIMIT for a header of more than 100 000 000 bytes;
 *         TN_ERR_NO_HOST_MEMORY; TN_ERR_IO with the reason: the file cannot be read, or its header is invalid. The
 *         whole header is checked.
 * @note Threads: any. Blocks: for the file system. Allocates: during the call, a few times the length of the header.
 * @since 0.1
 * @ingroup safetensors
 */
tn_status tn_safetensors_query(const char *path,
                               size_t item_size,
                               size_t capacity,
                               tn_safetensors_info *infos,
                               size_t *n_infos) TN_MUST_CHECK;

/**
 * Lists the tensors of an open safetensors file, as `tn_safetensors_query` does.
 *
 * @param fd         The descriptor of a regular file, which the caller still closes. Its position is neither used nor
 *                   changed.
 * @param offset     The offset in bytes at which the safetensors data begin; they reach to the end of the file.
 * @param item_size  The size of an item in the caller's program: sizeof(tn_safetensors_info).
 * @param capacity   The number of items at infos.
 * @param[out] infos The first `capacity` tensors; NULL only with capacity 0.
 * @param[out] n_infos The number of tensors in the file. On failure all outputs are untouched.
 * @return The statuses of `tn_safetensors_query`.
 * @note Threads: any. Blocks: for the file system. Allocates: during the call, a few times the length of the header.
 * @since 0.1
 * @ingroup safetensors
 */
tn_status tn_safetensors_query_fd(int32_t fd,
                                  uint64_t offset,
                                  size_t item_size,
                                  size_t capacity,
                                  tn_safetensors_info *infos,
                                  size_t *n_infos) TN_MUST_CHECK;

/**
 * Opens tensors of a safetensors file by their names, all or none.
 *
 * @param path     The file, NUL-terminated. If it is truncated while it is mapped, an access past its end raises
 *                 SIGBUS.
 * @param n_names  The number of names.
 * @param names    The n_names NUL-terminated names, in any length, or cut as `tn_safetensors_query` lists them if only
 *                 one tensor is listed so. NULL only with n_names 0. A name that occurs twice makes two arrays.
 * @param options  The pool and the flags. No flag: read all tensors into the pool. TN_BORROW: make READONLY arrays on
 *                 one mapping of the file, which ends with the last of them; a tensor that is not aligned for its
 *                 elements is read. TN_REQUIRE_BORROW: such a tensor is an error. NULL: no flag, and the thread's
 *                 current host pool.
 * @param[out] out The n_names arrays, in the order of names. NULL only with n_names 0. Each is released by
 *                 `tn_array_release`.
 * @param[out] how The n_names results, each TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND for the pool; TN_ERR_INVALID, also for a name that the file
 *         does not have; TN_ERR_WOULD_COPY; the statuses of `tn_safetensors_query`; TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: for the file system. Allocates: as `tn_safetensors_query`, and memory for the tensors
 *       that are read.
 * @since 0.1
 * @ingroup safetensors
 */
tn_status tn_array_open_safetensors(const char *path,
                                    size_t n_names,
                                    const char *const *names,
                                    const tn_safetensors_options *options,
                                    tn_array **out,
                                    tn_how *how) TN_MUST_CHECK;

/**
 * Opens tensors of an open safetensors file by their names, all or none, as `tn_array_open_safetensors` does.
 *
 * @param fd       The descriptor of a regular file, which the caller still closes. Its position is neither used nor
 *                 changed.
 * @param offset   The offset in bytes at which the safetensors data begin; they reach to the end of the file.
 * @param n_names  The number of names.
 * @param names    The n_names NUL-terminated names. NULL only with n_names 0. A name that is listed twice makes two
 *                 arrays.
 * @param options  The pool and the flags, as for `tn_array_open_safetensors`. The alignment of a tensor is that of its
 *                 offset in the file.
 * @param[out] out The n_names arrays, in the order of names. NULL only with n_names 0. Each is released by
 *                 `tn_array_release`.
 * @param[out] how The n_names results, each TN_ALIASED or TN_COPIED; may be NULL. On failure all outputs are
 *                 untouched.
 * @return The statuses of `tn_array_open_safetensors`.
 * @note Threads: any. Blocks: for the file system. Allocates: as `tn_safetensors_query`, and memory for the tensors
 *       that are read.
 * @since 0.1
 * @ingroup safetensors
 */
tn_status tn_array_open_safetensors_fd(int32_t fd,
                                       uint64_t offset,
                                       size_t n_names,
                                       const char *const *names,
                                       const tn_safetensors_options *options,
                                       tn_array **out,
                                       tn_how *how) TN_MUST_CHECK;

/* ===================================================== kernel ===================================================== */
/**
 * @defgroup kernel the memory of kernels
 * The memory that the threads of a block share is divided among several arrays. include/tenure_kernel.cuh has the other
 * half, which kernels include.
 */

/** One array in the memory of a thread block. */
typedef struct tn_block_item {
    /** The element type. */
    tn_dtype dtype;
    /** Zero. */
    uint32_t reserved;
    /** The number of elements, 0 or more. */
    int64_t count;
    /** Alignment of the first element in bytes: a power of two from 1 to 128; 0: the size of an element. */
    int64_t align;
} tn_block_item;

/**
 * Computes where several arrays lie in the memory of a thread block (CUDA's shared memory), and how many bytes they
 * need. Nothing is allocated: the launch reserves the bytes, and a kernel finds the arrays with `tn_block_at` of
 * tenure_kernel.cuh.
 *
 * The arrays lie in the given order, the first at 0, each of the others at the next multiple of its alignment. No two
 * share a byte. An array without elements gets an offset and no bytes.
 *
 * @param n_items      The number of arrays; 0: `total` is 0.
 * @param items        The arrays. NULL only with n_items 0.
 * @param[out] offsets The n_items offsets from the start of the block's dynamic memory, in bytes. NULL only with
 *                     n_items 0. On failure: untouched.
 * @param[out] total   The end of the last array in bytes, not rounded up: the launch's number of dynamic bytes per
 *                     block. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for a negative count, an alignment that is no power of two from 1 to 128,
 *         and a reserved word that is not 0; TN_ERR_DTYPE; TN_ERR_OVERFLOW. The limit of a device is not checked here.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup kernel
 */
tn_status tn_block_layout(size_t n_items, const tn_block_item *items, int64_t *offsets, int64_t *total) TN_MUST_CHECK;

/* ===================================================== report ===================================================== */
/** @defgroup report holders, copies of imports and exports, and leaks */

/** Flags of `tn_report_json` and `tn_report_html`: none is defined yet. */
typedef uint32_t tn_report_flags;

/** Kinds of events: bits of `tn_log_options.kinds`. */
typedef uint32_t tn_log_kinds;
TN_ENUM {
    /** A pool allocated a block: raw memory, or the bytes of an array. */
    TN_LOG_ALLOCATE = 1 << 0,
    /** A block was freed. */
    TN_LOG_FREE = 1 << 1,
    /** An import, an export or a write copied; the copy book has the same copies. */
    TN_LOG_COPY = 1 << 2,
    /** Bytes were copied between arrays, or between memory and an array. */
    TN_LOG_TRANSFER = 1 << 3,
    /** An export began or ended. */
    TN_LOG_EXPORT = 1 << 5,
    /** An array was given. */
    TN_LOG_GIVE = 1 << 8,
    /** A given array was taken. */
    TN_LOG_TAKE = 1 << 9,
    /** A guard began or ended. */
    TN_LOG_BORROW = 1 << 10,
    /** A raw block changed its size. */
    TN_LOG_REALLOCATE = 1 << 11,
    /** An import of bytes began or ended. */
    TN_LOG_IMPORT = 1 << 12,
    /** An array got a name. */
    TN_LOG_NAME = 1 << 13,
    /** All of them. */
    TN_LOG_ALL = 0x3f2f,
};

/** How `tn_log_start` records. All fields but `size` may be 0. */
typedef struct tn_log_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** TN_LOG_ bits: what is recorded; 0: everything. */
    tn_log_kinds kinds;
    /** 0. */
    uint32_t reserved;
    /**
     * The file that the events go to; a regular file of that name is replaced. NULL: memory, which keeps the newest
     * events.
     */
    const char *path;
    /**
     * The most bytes that the log may have: at least 1 MiB, rounded down to a multiple of 64 KiB. An event has 64
     * bytes. 0: 16 MiB in memory, 1 GiB in a file.
     */
    uint64_t capacity;
} tn_log_options;

/** What `tn_log_query` reports. */
typedef struct tn_log_stats {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** TN_LOG_ bits that are recorded; 0: no log runs. */
    tn_log_kinds kinds;
    /** 1: the events go to a file. */
    int32_t is_file;
    /** Events in the log; a name counts as two. */
    uint64_t events;
    /** Events that newer ones have overwritten. */
    uint64_t overwritten;
    /** Events that found no room. */
    uint64_t dropped;
    /** The most bytes that the log may have. */
    uint64_t capacity;
} tn_log_stats;

/** All copies of imports, exports and writes with one function, call site and reason. */
typedef struct tn_copy_site {
    /** The name of the tn_ function; static text. */
    const char *function;
    /** The call site (TN_HERE); "" if none. */
    char site[64];
    /** TN_WHY_ bits. */
    tn_why why;
    /** 1: the caller would have accepted an alias; 0: the caller asked for a copy. */
    int32_t forced;
    /** Number of copies. */
    uint64_t count;
    /** Bytes of those. */
    uint64_t bytes;
    /** Zero. */
    uint64_t reserved;
} tn_copy_site;

/**
 * Writes a report as JSON: every pool with its statistics and clients, every store with its holders, their call sites
 * and ages, raw blocks by call site, other open objects, the copy book, and the copies of this library in the process.
 * docs/report.schema.json is its schema.
 *
 * @param flags        0: no flag is defined yet.
 * @param capacity     The number of bytes at text.
 * @param[out] text    UTF-8 with its NUL; what does not fit is cut off. NULL only with capacity 0.
 * @param[out] length  The number of bytes of the whole text without its NUL. It can grow between two calls while other
 *                     threads work: repeat with more room than the last call reported.
 * @return TN_OK, also if the text did not fit; TN_ERR_NULL; TN_ERR_INVALID for an unknown flag.
 * @note Threads: any; each store and each pool is a snapshot of one moment, the whole report is not. Blocks: briefly,
 *       for locks. Allocates: temporary memory if there is any; the call works without.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_report_json(tn_report_flags flags, size_t capacity, char *text, size_t *length) TN_MUST_CHECK;

/**
 * Saves a page for a browser: a map of the memory, the arrays with their holders, the copy book, pools and limits. It
 * is one file that loads nothing from a network. It shows the snapshot of `tn_report_json` with bounded lists, the
 * largest entries first, and says what it leaves out.
 *
 * @param flags    0: no flag is defined yet.
 * @param path     The file, which is replaced in one step.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an unknown flag; TN_ERR_IO if the file cannot be written: then an old
 *         file is unchanged.
 * @note Threads: as `tn_report_json`. Blocks: for the file system, and briefly for locks. Allocates: temporary memory
 *       if there is any; the call works without.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_report_html(tn_report_flags flags, const char *path) TN_MUST_CHECK;

/**
 * Writes the page of `tn_report_html` into memory.
 *
 * @param flags        0: no flag is defined yet.
 * @param capacity     The number of bytes at text.
 * @param[out] text    The page in UTF-8 with its NUL; what does not fit is cut off. NULL only with capacity 0.
 * @param[out] length  The number of bytes of the whole page without its NUL. It can grow between two calls while other
 *                     threads work: repeat with more room than the last call reported.
 * @return TN_OK, also if the page did not fit; TN_ERR_NULL; TN_ERR_INVALID for an unknown flag.
 * @note Threads: as `tn_report_json`. Blocks: briefly, for locks. Allocates: temporary memory if there is any; the
 *       call works without.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_report_html_text(tn_report_flags flags, size_t capacity, char *text, size_t *length) TN_MUST_CHECK;

/**
 * Lists the copy book: the copies of imports, exports and copy-on-write, added up by function, call site and reason,
 * most bytes first. Calls whose purpose is a copy (`tn_array_copy`, `tn_array_copy_into`) are not counted.
 *
 * @param item_size    The size of an item in the caller's program: sizeof(tn_copy_site).
 * @param capacity     The number of items at sites.
 * @param[out] sites   The first `capacity` entries; NULL only with capacity 0.
 * @param[out] n_sites The total number of entries.
 * @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small.
 * @note Threads: any; counts the copies of all threads. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_copies_query(size_t item_size, size_t capacity, tn_copy_site *sites, size_t *n_sites) TN_MUST_CHECK;

/**
 * Forbids copies on this thread where the caller would have accepted an alias. Such a call then fails with
 * TN_ERR_WOULD_COPY and changes nothing.
 *
 * @param on   1: forbid; 0: undo one earlier call with 1. Calls nest.
 * @return TN_OK; TN_ERR_INVALID for another value, and for a 0 without a preceding 1.
 * @note Threads: any; affects only the calling thread. Blocks: never.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_copies_forbid(int32_t on) TN_MUST_CHECK;

/**
 * Lists every object that was not released so far: handles, guards, exports, promises, weak handles, scopes,
 * expressions, shared variables, functions, pools, raw blocks of pools, queued release callbacks. The default values
 * and spare buffers of a function are listed as handles beside it. The list is empty at the end of a program without
 * leaks.
 *
 * @param item_size    The size of an item in the caller's program: sizeof(tn_holder).
 * @param capacity     The number of items at leaks.
 * @param[out] leaks   The first `capacity` leaks, with names, call sites and threads; NULL only with capacity 0.
 * @param[out] n_leaks The total number of leaks.
 * @return TN_OK, also if not all fit; TN_ERR_NULL; TN_ERR_INVALID for an item_size that is too small.
 * @note Threads: any; objects that other threads make or release during the call may or may not be listed. Blocks:
 *       never. Allocates: nothing.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_leaks(size_t item_size, size_t capacity, tn_holder *leaks, size_t *n_leaks) TN_MUST_CHECK;

/**
 * Begins to record events: what happens to the memory of all pools and arrays of the process, with times, threads and
 * call sites.
 *
 * In memory the log keeps the newest events, and `tn_log_save` writes them to a file at any time. In a file each event
 * is written in place as it happens, so the file is good however the process ends. A full file, or a full disk, drops
 * events and counts them. Nobody may truncate the file meanwhile. docs/event-log.md has the format; `tenure convert`
 * makes traces of it, and `tenure replay` repeats it.
 *
 * While events are recorded, calls take their slow paths. Guards, promises and blocks from before the start are not in
 * the log. The child of a fork has no log. The environment variable TENURE_EVENTS names a file for a log that begins
 * when the library is loaded; "%p" in it becomes the process id.
 *
 * @param options  What is recorded, and where; copied. NULL: everything, in memory.
 * @return TN_OK; TN_ERR_DUPLICATE if a log runs already; TN_ERR_INVALID for an unknown kind, `reserved` other than 0,
 *         or a capacity below 1 MiB or above 1 TiB; TN_ERR_IO if the file cannot be made; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: a few microseconds, until no other thread is inside the library, and for the file
 *       system. Allocates: the log, whose pages become resident as they are used.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_log_start(const tn_log_options *options) TN_MUST_CHECK;

/**
 * Ends the log. A log in memory can be saved until the next one begins; its memory is kept until then.
 *
 * @return TN_OK; TN_ERR_INVALID if no log runs.
 * @note Threads: any. Blocks: a few microseconds, until no other thread is inside the library. Allocates: nothing.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_log_stop(void) TN_MUST_CHECK;

/**
 * Saves the log that is in memory, as a file of the format that a log in a file has. The log goes on.
 *
 * @param path     The file, which is replaced in one step.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID if there is no log, or if the events go to a file already;
 *         TN_ERR_NO_HOST_MEMORY; TN_ERR_IO if the file cannot be written: then an old file is unchanged.
 * @note Threads: any. Blocks: for a copy of the log in memory all calls of other threads wait, some milliseconds for
 *       16 MiB; then for the file system. Allocates: temporary memory of the size of the log.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_log_save(const char *path) TN_MUST_CHECK;

/**
 * Reports how many events the log has: the one that runs, or the last one, if it was in memory.
 *
 * @param[out] stats   The numbers; `size` is set by the caller. All 0: there is no log.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for a size that is too small.
 * @note Threads: any; events of other threads may or may not be counted. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup report
 */
tn_status tn_log_query(tn_log_stats *stats) TN_MUST_CHECK;

/* ===================================================== plugin ===================================================== */
/** @defgroup plugin allocators for UMF and for C++ */

/**
 * Gets the table of operations with which UMF makes Tenure pools over its providers (umfPoolCreate). Such a pool takes
 * memory only from its provider, and returns all of it when it is destroyed, even if blocks are live. `params` of
 * umfPoolCreate is NULL or a tn_pool_options of this library's size. Blocks count for the client "umf". libumf must be
 * loaded in the process.
 *
 * @param version  The version of the table: UMF_POOL_OPS_VERSION_CURRENT of the caller's headers, 0x10000 or 0x10001;
 *                 a higher minor version gets the newest known one.
 * @param[out] out The table, valid until the process ends. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_UNSUPPORTED for another major version.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup plugin
 */
tn_status tn_umf_pool_ops(uint32_t version, const struct umf_memory_pool_ops_t **out) TN_MUST_CHECK;

/**
 * Gets the table of operations with which UMF makes providers over Tenure pools (umfMemoryProviderCreate). `params`
 * there is the tn_pool itself, or NULL for the host's default pool. Memory counts for the client "umf". It comes in
 * multiples of 64 KiB, at which UMF can split and merge it. After the pool's last handle was released, the provider
 * still frees its memory, but its allocations fail.
 *
 * @param version  The version of the table: UMF_PROVIDER_OPS_VERSION_CURRENT of the caller's headers, 0x10000 to
 *                 0x10002; a higher minor version gets the newest known one.
 * @param[out] out The table, valid until the process ends. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_UNSUPPORTED for another major version.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup plugin
 */
tn_status tn_umf_provider_ops(uint32_t version, const struct umf_memory_provider_ops_t **out) TN_MUST_CHECK;

/**
 * Allocates a block for a C++ container; tenure_memory.hpp uses it. The block counts for the client "cpp".
 *
 * @param pool      The pool; NULL: the host's default pool, not the thread's current one.
 * @param bytes     The number of bytes; with 0 the call returns a block too.
 * @param alignment The alignment of the address in bytes, a power of two up to 4 MiB; values below 16 mean 16.
 * @param[out] out  The block. Freed by `tn_cpp_deallocate`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an invalid alignment;
 *         TN_ERR_NO_HOST_MEMORY or TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: the block.
 * @since 0.1
 * @ingroup plugin
 */
tn_status tn_cpp_allocate(tn_pool *pool, size_t bytes, size_t alignment, void **out) TN_MUST_CHECK;

/**
 * Frees a block from `tn_cpp_allocate`. An invalid address is counted and never dereferenced.
 *
 * @param pool     The pool of the block, also after its handle was released; NULL: the pool that the block belongs to.
 * @param ptr      The block. NULL: nothing happens.
 * @return TN_OK; TN_ERR_STALE for a block that was freed already; TN_ERR_KIND for a handle of another kind;
 *         TN_ERR_INVALID for an address inside a block; TN_ERR_SHARED for a block that backs an array; TN_ERR_FOREIGN
 *         for a block of another pool, or an address in no block at all.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup plugin
 */
tn_status tn_cpp_deallocate(tn_pool *pool, void *ptr);

/* ====================================================== expr ====================================================== */
/**
 * @defgroup expr lazy expressions, which are computed once and reuse the memory of operands that have no other user
 * Not in a library that was built without the Cargo feature `managed`.
 */

/** `tn_expr_sum`: over all axes. */
static const int32_t TN_ALL_AXES = -0x7fffffff;
#ifndef SWIG
#define TN_ALL_AXES (-0x7fffffff)
#endif

/** Properties of the array that an expression makes. */
typedef struct tn_expr_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** Element type. */
    tn_dtype dtype;
    /** Number of axes. */
    int32_t ndim;
    /** Form of the matrix. A diagonal matrix of n rows has the shape of its n values. */
    tn_form form;
    /** Zero. */
    uint32_t reserved;
    /** Lengths in elements; only the first ndim entries are written. */
    int64_t shape[TN_MAX_NDIM];
} tn_expr_info;

/** Flags of `tn_expr_compute`. */
typedef uint32_t tn_compute_flags;
TN_ENUM {
    /**
     * `tn_expr_compute`: if it fails, all arrays and expressions are as before, so no existing array is overwritten.
     */
    TN_KEEP_ON_FAIL = 1 << 0,
};

/** An operation of `tn_expr_elementwise`. */
typedef uint32_t tn_expr_op;
TN_ENUM {
    /** Element by element: x + y, as `tn_expr_add`. */
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

/** A part of LU factors. The product of the three, in this order, is the matrix. */
typedef uint32_t tn_lu_part;
TN_ENUM {
    /** Part: the permutation, a full matrix that has one 1 in each row and column. */
    TN_LU_P = 0,
    /** Part: the lower triangle, with a diagonal of ones. */
    TN_LU_L = 1,
    /** Part: the upper triangle. */
    TN_LU_U = 2,
};

/** Format of `tn_expr_explain`. */
typedef uint32_t tn_explain_format;
TN_ENUM {
    /** Format: lines of text. */
    TN_EXPLAIN_TEXT = 0,
    /** Format: a graph for Graphviz. */
    TN_EXPLAIN_DOT = 1,
};

/**
 * Makes a leaf of an expression from an array. The leaf is another claim on the store and reads it until it is no
 * longer needed; the array may be released at once. Meanwhile, a write that would change the leaf's elements is
 * TN_ERR_IN_EXPRESSION.
 *
 * @param array    An array of float32 or float64 whose address and strides are multiples of the element's size.
 * @param form     TN_FORM_OF_HANDLE: the form that `tn_array_set_form` or a computation gave the array. Any other form
 *                 takes the place of that one for this leaf. TN_FORM_FULL, TN_FORM_MATRIX: all elements.
 *                 TN_FORM_DIAGONAL: the vector is the diagonal of a matrix that is 0 elsewhere. TN_FORM_LOWER,
 *                 TN_FORM_UPPER: of a square matrix, the elements above, or below, the diagonal are not read and
 *                 count as 0.
 * @param[out] out The expression. Released by `tn_expr_release`, at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another form; TN_ERR_DESTRUCTED,
 *         TN_ERR_GIVEN; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_LAYOUT; TN_ERR_DEVICE for bytes that the host cannot
 *         access; as for a read by the host: TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED for an exclusive
 *         export, TN_ERR_PENDING while a device writes the bytes; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_leaf(tn_array *array, tn_form form, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the sum x + y. Two operands of one form give that form. A diagonal and another form give the other form. All
 * else gives full. The result may overwrite the left operand, else the right one; of a diagonal and another form, only
 * the other one.
 *
 * @param x        The left operand.
 * @param y        The right operand, of the same matrix shape and element type.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
 *         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_add(tn_expr *x, tn_expr *y, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the difference x - y, with the forms of `tn_expr_add`.
 *
 * @param x        The left operand.
 * @param y        The right operand, of the same matrix shape and element type.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
 *         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_subtract(tn_expr *x, tn_expr *y, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the product of a matrix and a matrix or vector. Two matrices give the form of their sum. The result may
 * overwrite either of two diagonals; of a diagonal and another operand, the other one; x if m is a triangle or factors,
 * and m if it is full and x is a triangle. The product of two full operands overwrites neither.
 *
 * @param m        A matrix of any form, or factors that `tn_expr_lu` made.
 * @param x        A matrix of any form, or a vector.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED if the library
 *         was built without the Cargo feature `linalg` and no operand is diagonal; TN_ERR_POISONED if an operand
 *         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_multiply(tn_expr *m, tn_expr *x, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the lower Cholesky factor of a symmetric positive definite matrix. Only the lower triangle is read, and
 * elements of the factor above the diagonal are 0. The factor of a diagonal matrix is diagonal: its square roots. The
 * result may overwrite x.
 *
 * @param x        A full square matrix, or a diagonal one.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for a triangle, and if the
 *         library was built without the Cargo feature `linalg` and x is not diagonal; TN_ERR_POISONED if an operand
 *         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_cholesky(tn_expr *x, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the LU factors of a square matrix, with partial pivoting, for several uses: `tn_expr_solve` with them as m
 * solves the equations of x, `tn_expr_multiply` with them as m multiplies by x, `tn_expr_transpose` makes them those of
 * the transpose, and `tn_expr_lu_part` shows them. None of these factors while their expression is kept. Other
 * operations and `tn_expr_compute` refuse them. A diagonal or a triangle solves as it is, so its factors are the matrix
 * itself. The factors of a full matrix may overwrite x.
 *
 * @param x        A square matrix of any form.
 * @param[out] out The expression, of form TN_FORM_FACTORS for a full x. Released by `tn_expr_release`. The operands stay
 *                 the caller's, and may be released at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED for factors, and if the
 *         library was built without the Cargo feature `linalg` and x is full; TN_ERR_POISONED if an operand failed;
 *         TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_lu(tn_expr *x,
                     tn_expr **out) TN_MUST_CHECK;

/**
 * Makes a part of LU factors: with P, L and U, the matrix is P * L * U. L has ones on its diagonal. A lower triangle is
 * its own L, an upper one or a diagonal its own U, and their other parts are identities of diagonal form. L or U may
 * overwrite the factors, if nothing else needs them.
 *
 * @param factors  Factors that `tn_expr_lu` made, or a square matrix, as whose factors those of `tn_expr_lu` count. Not
 *                 the transpose of factors: transpose their parts.
 * @param part     TN_LU_P, TN_LU_L or TN_LU_U.
 * @param[out] out The expression: full, lower and upper. Released by `tn_expr_release`. The operands stay the caller's,
 *                 and may be released at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another part; TN_ERR_SHAPE;
 *         TN_ERR_UNSUPPORTED for transposed factors, and if the library was built without the Cargo feature `linalg`
 *         and the matrix is full; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_lu_part(tn_expr *factors, tn_lu_part part, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the solution x of m * x = b. It is computed by forward substitution for a lower m, backward substitution for
 * an upper one, division for a diagonal m, and with its factors for a full m, as by `tn_expr_lu`. Two matrices give the
 * form of their sum. The computation may overwrite b, unless b alone is diagonal, and the factorisation also m.
 *
 * @param m        A square matrix of any form, or factors that `tn_expr_lu` made.
 * @param b        A vector, or a matrix of any form.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_UNSUPPORTED if b are
 *         factors, and if the library was built without the Cargo feature `linalg` and m is not diagonal;
 *         TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_solve(tn_expr *m, tn_expr *b, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the product of x and a number, in the form of x. The result may overwrite x.
 *
 * @param x        Any expression.
 * @param factor   The number, which is rounded to the element type.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
 *         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_scale(tn_expr *x, double factor, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the transpose of x: another view of its bytes, which moves no element.
 *
 * @param x        A matrix, or factors that `tn_expr_lu` made: the result are those of the transpose.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
 *         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_transpose(tn_expr *x, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the sum over one axis or over all axes, of a diagonal matrix too. The zeros of a triangle are written out
 * first, as by `tn_expr_dense`.
 *
 * The order of the additions, and so the rounding, depends on the layout. Adjacent elements are added in eight
 * interleaved partial sums; otherwise slices are added one after the other.
 *
 * @param x        Any expression; a diagonal has two axes.
 * @param axis     The axis to sum over; a negative one counts from the end. TN_ALL_AXES: the result has one element
 *                 and no axes.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE; TN_ERR_SHAPE; TN_ERR_POISONED if an operand
 *         failed; TN_ERR_LIMIT, TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_sum(tn_expr *x, int32_t axis, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes an operation that is applied element by element to operands of any shape; two operands have equal shapes.
 * Matrices may have any form. A sum or difference has the form of `tn_expr_add`. A product has the elements that both
 * operands have: a diagonal times a full matrix is a diagonal. TN_EXPR_NEGATE and TN_EXPR_SQRT keep the form. For the
 * others the zeros of an operand are written out first, as by `tn_expr_dense`. The result may overwrite x, else y, if
 * it has that operand's number of elements.
 *
 * @param op       With two operands TN_EXPR_ADD, TN_EXPR_SUBTRACT, TN_EXPR_MULTIPLY or TN_EXPR_DIVIDE; with one
 *                 TN_EXPR_NEGATE, TN_EXPR_SQRT, TN_EXPR_EXP or TN_EXPR_LOG.
 * @param x        The left or only operand.
 * @param y        The right operand. NULL only for an operation with one operand.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an unknown op, a missing y or a
 *         superfluous y; TN_ERR_DTYPE; TN_ERR_SHAPE; TN_ERR_POISONED if an operand failed; TN_ERR_LIMIT,
 *         TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_elementwise(tn_expr_op op, tn_expr *x, tn_expr *y, tn_expr **out) TN_MUST_CHECK;

/**
 * Makes the matrix of x with all its elements, also the zeros of a diagonal or a triangle, in full form. The result
 * may overwrite x, unless x is a diagonal. A copy to new bytes is counted in the statistics of copies
 * (`tn_copies_query`).
 *
 * Operations that read the zeros of a form (division, exp, log, and the sum of a triangle) do this to their operand
 * themselves. That is a copy that the caller did not ask for: with `tn_copies_forbid`, computing it is
 * TN_ERR_WOULD_COPY.
 *
 * @param x        Any expression.
 * @param[out] out The expression. Released by `tn_expr_release`. The operands stay the caller's, and may be released
 *                 at any time. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_POISONED if the operand failed; TN_ERR_LIMIT,
 *         TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only; computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_dense(tn_expr *x, tn_expr **out) TN_MUST_CHECK;

/**
 * Describes the array that an expression makes: its type, its form and its shape. Computes nothing.
 *
 * @param expr         An expression, also one that failed.
 * @param[out] info    The struct to fill, with `size` set by the caller. As much as fits is filled; of shape, only the
 *                     first ndim entries. A diagonal matrix of n rows has the shape of its n values. On failure:
 *                     untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_query(tn_expr *expr, tn_expr_info *info) TN_MUST_CHECK;

/**
 * Computes an expression, and makes an array of its value, which has the form that `tn_expr_explain` tells. Nodes
 * without a value are computed once each, on the calling thread, operands first and left before right. An operation
 * overwrites an operand, instead of allocating, if no other claim holds the operand's bytes; `tn_expr_explain` says
 * where and why. An intermediate value is released after its last use, unless the caller still has the handle of its
 * expression.
 *
 * @param expr     The expression.
 * @param flags    TN_KEEP_ON_FAIL: a failure leaves all arrays and expressions as they were, so no existing array is
 *                 overwritten. All nodes of the computation are TN_ERR_IN_EXPRESSION for other threads until the call
 *                 returns; without the flag, each node until it has its value.
 * @param[out] out The array, another claim on the expression's value. Released by `tn_array_release`. On failure:
 *                 untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_UNSUPPORTED for factors that
 *         `tn_expr_lu` made; TN_ERR_POISONED if the expression failed before; TN_ERR_IN_EXPRESSION while another thread computes a part of it; TN_ERR_PENDING while a device uses
 *         bytes that the call reads or would overwrite; TN_ERR_FAILED if a pivot of cholesky is not positive, or one
 *         of lu is 0: without TN_KEEP_ON_FAIL, the expression and those built on it are TN_ERR_POISONED from then on;
 *         TN_ERR_WOULD_COPY under `tn_copies_forbid`, see `tn_expr_dense`;
 *         TN_ERR_NO_HOST_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT. After TN_ERR_PENDING, and for lack of memory or
 *         handles, the call can be repeated.
 * @note Threads: any; an expression is evaluated once. Blocks: while it computes. Allocates: from the pool of the left
 *       operand, or the thread's current pool; and a workspace of a few numbers per row.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_compute(tn_expr *expr,
                          tn_compute_flags flags,
                          tn_array **out) TN_MUST_CHECK;

/**
 * Releases an expression. Expressions built on it and arrays computed from it stay valid.
 *
 * @param expr     The expression, also one that failed. It is released exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_release(tn_expr *expr);

/**
 * Explains what computing an expression would do now: for each operation, which operand its result overwrites, or why
 * none. The text has one line per node, or is a graph for Graphviz. Releases and other threads can change the result
 * before the computation.
 *
 * @param expr     The expression.
 * @param format   TN_EXPLAIN_TEXT or TN_EXPLAIN_DOT.
 * @param capacity The number of bytes at text.
 * @param[out] text The explanation with its NUL, cut off where it does not fit. NULL only with capacity 0.
 * @param[out] length The number of bytes of the whole explanation without its NUL.
 * @return TN_OK, also if the text did not fit; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for another
 *         format; TN_ERR_IN_EXPRESSION while another thread computes a part of it; TN_ERR_NO_HOST_MEMORY.
 * @note Threads: any. Blocks: never. Allocates: temporary memory. Computes nothing.
 * @since 0.1
 * @ingroup expr
 */
tn_status tn_expr_explain(tn_expr *expr, tn_explain_format format, size_t capacity, char *text, size_t *length) TN_MUST_CHECK;

/* ===================================================== shared ===================================================== */
/**
 * @defgroup shared shared variables, which keep one array value inside the library
 * Flags decide what is aliased and what is copied. Not in a library that was built without the Cargo feature `managed`.
 */

/** What became of a value that entered or left a shared variable or a function. */
typedef struct tn_crossing {
    /** TN_ALIASED or TN_COPIED. */
    tn_how how;
    /** TN_WHY_ bits that made it a copy; 0 for an alias, and for a copy that the caller wanted. */
    tn_why why;
} tn_crossing;

/** Changes the value of a shared variable, see `tn_shared_update`. Returns TN_OK or a failure. */
typedef tn_status (*tn_update_callback)(void *context, tn_array *value);

/** Options of a shared variable; a NULL pointer means the defaults. */
typedef struct tn_shared_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** The device that keeps the value; all zero: that of the value at creation. */
    tn_device device;
    /** The pool for copies of new values, of that device; NULL: the creating thread's current pool of it. */
    tn_pool *pool;
    /** At most 63 bytes of UTF-8, copied; NULL: the name of the value at creation. */
    const char *name;
} tn_shared_options;

/** Properties of a shared variable and of its value. */
typedef struct tn_shared_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** The device that keeps the value. */
    tn_device device;
    /** The device of the value at creation, to which `tn_shared_get` copies without TN_RAW. */
    tn_device home;
    /** Element type. */
    tn_dtype dtype;
    /** Number of axes. */
    int32_t ndim;
    /** Flags of the value, TN_C_CONTIGUOUS .. TN_SPILLED. */
    tn_array_flags flags;
    /** 1: an update in place failed, and the value is undefined until a set succeeds. Else 0. */
    int32_t is_poisoned;
    /** 1 at creation; incremented by each successful set and update. */
    uint64_t version;
    /** Bytes of the elements. */
    uint64_t bytes;
    /** Number of sets and updates that took another buffer because a holder keeps the old value. */
    uint64_t detach_count;
    /** NUL-terminated; empty without a name. */
    char name[64];
    /** Lengths in elements; only the first ndim entries are written. */
    int64_t shape[TN_MAX_NDIM];
} tn_shared_info;

/**
 * Creates a shared variable from an array. By default the variable copies the value, and shares no byte with the
 * caller.
 *
 * While the variable has a value, that is constant: through the caller's handles on the same bytes, a write is
 * TN_ERR_SHARED, except with TN_WRITE_COW, and a writable export is TN_ERR_SHARED. Only `tn_shared_set` and
 * `tn_shared_update` change it. A buffer belongs to one variable at most.
 *
 * @param value    The value. With TN_TAKE_OWNERSHIP its handle is destructed on success, and is still released by the
 *                 caller.
 * @param flags    No flag: a copy. TN_BORROW: an alias where possible. TN_REQUIRE_BORROW: an alias, else an error.
 *                 TN_TAKE_OWNERSHIP: the claim of `value` moves to the variable; copied only where an alias is
 *                 impossible. TN_STRICT: `value` is on the variable's device and C-contiguous, else an error.
 * @param options  The options, copied; NULL: the device and name of the value, and the current pool.
 * @param[out] out The variable. Released by `tn_shared_release`. On failure: untouched.
 * @param[out] crossing Whether the value was aliased or copied, and why; may be NULL. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_LAYOUT with TN_STRICT; TN_ERR_DEVICE for a device that does not exist, a pool of another device, or
 *         with TN_STRICT; TN_ERR_POISONED, TN_ERR_BORROWED_WRITE, TN_ERR_EXPORTED for an exclusive export,
 *         TN_ERR_PENDING; TN_ERR_BORROWED with TN_TAKE_OWNERSHIP for an open guard of the handle. With
 *         TN_REQUIRE_BORROW: TN_ERR_READONLY, TN_ERR_BORROWED, TN_ERR_EXPORTED for a shared view, TN_ERR_ALIASED for
 *         the buffer of another variable, else TN_ERR_WOULD_COPY. On a thread that forbids copies: TN_ERR_WOULD_COPY
 *         for a copy in place of an alias. TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT,
 *         TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping; for a copy its bytes, from the variable's pool.
 * @since 0.1
 * @ingroup shared
 */
tn_status tn_shared_create(tn_array *value,
                           tn_borrow_flags flags,
                           const tn_shared_options *options,
                           tn_shared **out,
                           tn_crossing *crossing) TN_MUST_CHECK;

/**
 * Reads a shared variable. By default the array is a copy on the device that the value had when the variable was
 * created.
 *
 * The bytes of the array never change, whatever is set later: a set that finds it takes another buffer.
 *
 * @param shared   A shared variable.
 * @param flags    No flag: a C-contiguous copy. TN_BORROW: an alias if the variable is on that device, or in memory
 *                 that the host can access, else a copy. TN_REQUIRE_BORROW: an alias, else an error. TN_RAW: on the
 *                 variable's own device, without a transfer. With TN_BORROW as well: an alias, in constant time.
 * @param[out] out The array. Released by `tn_array_release`; it outlives the variable. On failure: untouched.
 * @param[out] crossing Whether the value was aliased or copied, and why; may be NULL. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_POISONED after an update in place that
 *         failed; TN_ERR_BORROWED_WRITE while a call changes the value in place; TN_ERR_WOULD_COPY; TN_ERR_DEVICE in
 *         the child of a fork; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: to wait for a copy into ordinary host memory. Allocates: bookkeeping; for a copy its
 *       bytes, from the calling thread's current pool.
 * @since 0.1
 * @ingroup shared
 */
tn_status tn_shared_get(tn_shared *shared,
                        tn_borrow_flags flags,
                        tn_array **out,
                        tn_crossing *crossing) TN_MUST_CHECK;

/**
 * Replaces the value of a shared variable. Element type and number of axes stay; the lengths may change.
 *
 * A copy goes into the present buffer if nobody else holds it and its size is equal, and allocates nothing then.
 *
 * @param shared   A shared variable.
 * @param value    The new value. With TN_TAKE_OWNERSHIP its handle is destructed on success.
 * @param flags    As for `tn_shared_create`.
 * @param[out] crossing Whether the value was aliased or copied, and why; may be NULL. On failure: untouched.
 * @return The statuses of `tn_shared_create`; TN_ERR_DTYPE, TN_ERR_SHAPE if element type or number of axes differ;
 *         TN_ERR_BORROWED_WRITE while another call changes the variable. On failure the value and its version are
 *         unchanged. If the driver fails during a transfer into the present buffer, the value is undefined: reading it
 *         is TN_ERR_POISONED.
 * @note Threads: any. Blocks: never. Allocates: for a copy its bytes, from the variable's pool, unless the present
 *       buffer is used.
 * @since 0.1
 * @ingroup shared
 */
tn_status tn_shared_set(tn_shared *shared,
                        tn_array *value,
                        tn_borrow_flags flags,
                        tn_crossing *crossing) TN_MUST_CHECK;

/**
 * Changes the value of a shared variable by a callback.
 *
 * By default the callback works on a copy, which becomes the value if it returns TN_OK. With TN_MAY_OVERWRITE it works
 * on the value itself, if nobody else holds it and its memory is not lent. If the callback then fails, the value is
 * undefined, and reading it is TN_ERR_POISONED until a set succeeds.
 *
 * @param shared   A shared variable.
 * @param flags    0 or TN_MAY_OVERWRITE.
 * @param callback Gets the context and an array that has the value, and may use it in every way until it returns, also
 *                 through views and clones. The library releases the array; other handles that are left cannot write
 *                 the value. TN_WRITE_COW on the array does not move it to a copy: if there is another holder, it is
 *                 TN_ERR_SHARED. Another variable gets a copy of the value, or with the default flags shares the
 *                 bytes, which the callback then cannot write any more. The callback leaves no write guard and no
 *                 writable export open. It returns TN_OK or a failure, and runs under no lock.
 * @param context  Passed to the callback.
 * @param[out] crossing TN_ALIASED if the callback worked on the value itself; else TN_COPIED and why; may be NULL. On
 *                      failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_BORROWED_WRITE while another call
 *         changes the variable, also from the callback; TN_ERR_POISONED; what the callback returned, TN_ERR_FAILED if
 *         that is no status code; TN_ERR_FAILED if the callback left the value open for writing; TN_ERR_WOULD_COPY on
 *         a thread that forbids copies, with TN_MAY_OVERWRITE; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
 *         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: as long as the callback runs. Allocates: for a copy its bytes, from the variable's pool.
 * @since 0.1
 * @ingroup shared
 */
tn_status tn_shared_update(tn_shared *shared,
                           tn_borrow_flags flags,
                           tn_update_callback callback,
                           void *context,
                           tn_crossing *crossing) TN_MUST_CHECK;

/**
 * Begins to change the value of a shared variable. `tn_shared_update` does the work between begin and end in a
 * callback.
 *
 * @param shared   A shared variable. Until `tn_shared_update_end`, other changes of it are TN_ERR_BORROWED_WRITE. The
 *                 release of its last handle ends the update as failed.
 * @param flags    As for `tn_shared_update`.
 * @param[out] value An array that has the value: a copy, or the value itself. It may be used in every way until the
 *                 end. Released by `tn_array_release` or `tn_shared_update_end`, whichever comes first. On failure:
 *                 untouched.
 * @param[out] crossing TN_ALIASED for the value itself; else TN_COPIED and why; may be NULL. On failure: untouched.
 * @return The statuses of `tn_shared_update`.
 * @note Threads: any. Blocks: never. Allocates: for a copy its bytes, from the variable's pool.
 * @since 0.1
 * @ingroup shared
 */
tn_status tn_shared_update_begin(tn_shared *shared,
                                 tn_borrow_flags flags,
                                 tn_array **value,
                                 tn_crossing *crossing) TN_MUST_CHECK;

/**
 * Ends an update of a shared variable. What the array of `tn_shared_update_begin` has is the value from now on.
 *
 * @param shared   A shared variable with an update in progress.
 * @param flags    0; TN_END_FAILED: the update failed. A copy is dropped; a value that was changed in place is
 *                 undefined, and reading it is TN_ERR_POISONED until a set succeeds.
 * @return TN_OK, also with TN_END_FAILED; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for other flags, and
 *         if no update is in progress. If the end fails otherwise, the update is over and counts as failed:
 *         TN_ERR_FAILED if the value was left open for writing, or a write of it failed; TN_ERR_NO_HOST_MEMORY,
 *         TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup shared
 */
tn_status tn_shared_update_end(tn_shared *shared, tn_end_flags flags) TN_MUST_CHECK;

/**
 * Queries a shared variable.
 *
 * @param shared   A shared variable.
 * @param[out] info The properties; `size` set by the caller. Version and value belong together. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size; TN_ERR_DEVICE in the child
 *         of a fork.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup shared
 */
tn_status tn_shared_query(tn_shared *shared, tn_shared_info *info) TN_MUST_CHECK;

/**
 * Releases a shared variable. Arrays that were read from it keep their bytes, and may be written again if no other
 * variable has them.
 *
 * @param shared   A shared variable. It is released exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
 * @since 0.1
 * @ingroup shared
 */
tn_status tn_shared_release(tn_shared *shared);

/* ==================================================== function ==================================================== */
/**
 * @defgroup function code of the program with declared inputs, outputs and updates of shared variables
 * Flags decide what is aliased and what is copied at each border. Not in a library that was built without the Cargo
 * feature `managed`.
 */

/**
 * The body of a function: code with declared inputs, outputs and updates. `in[i]` belongs to the library and is valid
 * until the body returns. On success, `out[i]` and `update[k]` have arrays that become the library's. See
 * `tn_function_create`.
 */
typedef tn_status (*tn_function_body)(void *context,
                                      tn_array *const *in,
                                      tn_array **out,
                                      tn_array **update);

/**
 * The body of a function as expressions: it builds them from the inputs, and the library computes them. See
 * `tn_function_create`.
 */
typedef tn_status (*tn_function_expr_body)(void *context,
                                           tn_expr *const *in,
                                           tn_expr **out,
                                           tn_expr **update);

/** An input of a function. */
typedef struct tn_in {
    /** sizeof this struct, set by the caller; one size for all inputs. */
    size_t size;
    /** At most 63 bytes of UTF-8, copied; NULL: no name. */
    const char *name;
    /** TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_STRICT. */
    tn_borrow_flags flags;
    /** Element type; 0: any. */
    tn_dtype dtype;
    /** The device on which the body gets the input; all zero: where the argument is. */
    tn_device device;
    /** Number of axes; -1: any. */
    int32_t ndim;
    /** 0. */
    int32_t reserved;
    /** The value of an argument that is NULL, copied; NULL: the argument is required. */
    tn_array *default_value;
    /**
     * An implicit input: the value of this variable at the time of the call. It has no place among the arguments.
     * NULL: an argument.
     */
    tn_shared *shared;
} tn_in;

/** An output of a function. */
typedef struct tn_out {
    /** sizeof this struct, set by the caller; one size for all outputs. */
    size_t size;
    /** At most 63 bytes of UTF-8, copied; NULL: no name. */
    const char *name;
    /** TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_REUSE. */
    tn_borrow_flags flags;
    /** Element type; 0: any. */
    tn_dtype dtype;
    /** The device on which the caller gets the output; all zero: where the body left it. */
    tn_device device;
    /** Number of axes; -1: any. */
    int32_t ndim;
    /** 0. */
    int32_t reserved;
} tn_out;

/** An update of a function: a shared variable that gets a new value in each call. */
typedef struct tn_update {
    /** sizeof this struct, set by the caller; one size for all updates. */
    size_t size;
    /** The variable. The function keeps it alive. */
    tn_shared *target;
    /** 0, TN_MAY_OVERWRITE or TN_REUSE. */
    tn_borrow_flags flags;
    /** 0. */
    uint32_t reserved;
} tn_update;

/** The description of a function. All of it is copied. */
typedef struct tn_function_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** At most 63 bytes of UTF-8, copied; NULL: no name. */
    const char *name;
    /** The body; NULL: `expr_body`. */
    tn_function_body body;
    /** The body as expressions, in place of `body`; else NULL. */
    tn_function_expr_body expr_body;
    /** Passed to the body. */
    void *context;
    /** Called once with `context`, after the function was released and its last call has returned; may be NULL. */
    tn_release_callback release;
    /** Number of inputs. */
    size_t n_in;
    /** Number of outputs. */
    size_t n_out;
    /** Number of updates. */
    size_t n_update;
    /** The inputs, including the implicit ones. */
    const tn_in *inputs;
    /** The outputs. */
    const tn_out *outputs;
    /** The updates. A variable has one at most. */
    const tn_update *updates;
} tn_function_options;

/** Where `tn_function_call_crossings` writes what became of the values of a call. A NULL pointer: it is not told. */
typedef struct tn_call_crossings {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** An item for each input of the function, in the order of its description, including the implicit ones. */
    tn_crossing *inputs;
    /** An item for each output that the caller takes. */
    tn_crossing *outputs;
    /**
     * An item for each update: TN_ALIASED if the bytes that the body left or wrote are the new value, TN_COPIED and why
     * if the value was copied for the body to write or from what it left. 0 if the variable stays as it was.
     */
    tn_crossing *updates;
} tn_call_crossings;

/**
 * Creates a function: code of the program, which the library calls with declared inputs, outputs and updates.
 *
 * In each call, the body gets arrays for the inputs and leaves arrays for the outputs and the new values of the
 * updated variables. The library decides for every array that crosses whether it is aliased or copied. All updates of
 * a call become visible together, or none.
 *
 * The body's places. `in[i]`: the argument, the default, or the variable's value. It cannot be written, except with
 * TN_WRITE_COW, unless the input has TN_MAY_OVERWRITE or TN_TAKE_OWNERSHIP. `out[i]`, `update[k]`: NULL at first; with
 * TN_REUSE a spare buffer of an earlier call, if there is one, with undefined contents; for an update with
 * TN_MAY_OVERWRITE the value itself, or a copy if another holder needs it. The body puts arrays there: what it found,
 * a new array, an input, a clone or view of one. They become the library's, also on failure. NULL in `update[k]`
 * leaves that variable as it is. The body may release `in[i]` and what it found in a place. It leaves no write guard
 * and no exclusive export open. It returns TN_OK or a failure; it does not throw or longjmp.
 *
 * With `expr_body`, the places have expressions, and the library computes them. An operation overwrites an input with
 * TN_MAY_OVERWRITE or TN_TAKE_OWNERSHIP, and the value of an update with TN_MAY_OVERWRITE, by the rules of
 * `tn_expr_compute`. TN_REUSE offers no spare buffer.
 *
 * Inputs: no flag: the body reads the argument, and no output may alias it. TN_BORROW: an output may alias it.
 * TN_MAY_OVERWRITE: the body may write the argument's own bytes, if nobody else holds them, else it gets a copy;
 * contents are undefined afterwards. TN_TAKE_OWNERSHIP: as before, and the argument's handle is destructed.
 * TN_REQUIRE_BORROW: never a copy. TN_RAW: not moved to the declared device. TN_STRICT: on that device and
 * C-contiguous, else an error. A default value and an implicit input are never written.
 *
 * Outputs: no flag: shares no byte with any other array. TN_BORROW: may alias an input with TN_BORROW, a variable's
 * value, another output. TN_REQUIRE_BORROW: is not copied after the body. TN_RAW: stays on its device. TN_REUSE: the
 * function keeps the buffer after the caller has released the output.
 *
 * @param options  The description, copied. Exactly one of `body` and `expr_body` is not NULL. On success, `release` is
 *                 called once with `context`, after the function was released and its last call has returned; if this
 *                 call fails, it is not called.
 * @param[out] out The function. Released by `tn_function_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, also for missing bodies, inputs, outputs, updates and targets; TN_ERR_STALE, TN_ERR_KIND
 *         for a default or variable; TN_ERR_INVALID for a wrong size, for flags that do not fit, for two bodies, for
 *         an implicit input with TN_TAKE_OWNERSHIP, a default, or an element type or number of axes that its variable
 *         lacks; TN_ERR_DTYPE for an unknown element type; TN_ERR_SHAPE, TN_ERR_OVERFLOW for an impossible number of
 *         axes; TN_ERR_DTYPE, TN_ERR_SHAPE for a default that is not as declared; TN_ERR_DEVICE; TN_ERR_DUPLICATE for
 *         two updates of one variable; TN_ERR_DESTRUCTED, TN_ERR_GIVEN, TN_ERR_POISONED, TN_ERR_BORROWED_WRITE,
 *         TN_ERR_EXPORTED, TN_ERR_PENDING for a default; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
 *         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping; the bytes of defaults, from the current pool of their
 *       device.
 * @since 0.1
 * @ingroup function
 */
tn_status tn_function_create(const tn_function_options *options, tn_function **out) TN_MUST_CHECK;

/**
 * Calls a function.
 *
 * Before the body runs, the call checks the arguments, reserves the updated variables, and moves, copies or passes
 * each input. After it, the call checks the arrays that the body left, and copies where the flags require that. Then
 * it exchanges the values of all updated variables at once and hands out the outputs.
 *
 * On failure, arguments, variables and outputs are as they were. The exceptions: the bytes of an input with
 * TN_MAY_OVERWRITE or TN_TAKE_OWNERSHIP, which the body may have written; a variable that the body wrote in place is
 * undefined, and reading it is TN_ERR_POISONED until a set.
 *
 * Arguments that share bytes: an argument is copied if it shares a byte with an earlier one that was not copied, and
 * one of the two has TN_MAY_OVERWRITE or TN_TAKE_OWNERSHIP. The comparison is exact: interleaved views share no byte.
 *
 * @param function A function. If it is released meanwhile, it lives until the call returns.
 * @param n_in     Number of arguments: that of the inputs without the implicit ones.
 * @param in       The n_in arguments; an entry is NULL where the default of the input is meant. NULL only with n_in 0.
 * @param n_out    Number of outputs that the caller takes; the others are released.
 * @param[out] out The n_out outputs. NULL only with n_out 0. Each is released by `tn_array_release`. On failure:
 *                 untouched.
 * @param[out] in_crossings  For each argument whether it was aliased or copied, and why, n_in items; may be NULL. On
 *     failure: untouched.
 * @param[out] out_crossings The same for each output, n_out items; may be NULL. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_COUNT for a wrong number of arguments or too many
 *         outputs; TN_ERR_DUPLICATE for one handle twice with TN_TAKE_OWNERSHIP; TN_ERR_DESTRUCTED, TN_ERR_GIVEN;
 *         TN_ERR_DTYPE, TN_ERR_SHAPE for an argument of another type or number of axes; TN_ERR_LAYOUT, TN_ERR_DEVICE
 *         with TN_STRICT; TN_ERR_POISONED; TN_ERR_READONLY; TN_ERR_BORROWED_WRITE, also for a variable that another
 *         call changes; TN_ERR_BORROWED, TN_ERR_EXPORTED, TN_ERR_SHARED, TN_ERR_IN_EXPRESSION, TN_ERR_FOREIGN;
 *         TN_ERR_PENDING for a host argument with unfinished device work; TN_ERR_WOULD_COPY; what the body returned,
 *         TN_ERR_FAILED if that is no status code; TN_ERR_FAILED for what the body left in a place; TN_ERR_ALIASED
 *         with the option check_managed; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_POOL_LIMIT,
 *         TN_ERR_LIMIT. A message names the input, output or update by index and name.
 * @note Threads: any, also several at once; two calls that update one variable exclude each other, and the second one
 *       is refused. Blocks: as long as the body runs. Allocates: bookkeeping; for copies their bytes, from the
 *       thread's current pool or the variable's pool.
 * @since 0.1
 * @ingroup function
 */
tn_status tn_function_call(tn_function *function,
                           size_t n_in,
                           tn_array *const *in,
                           size_t n_out,
                           tn_array **out,
                           tn_crossing *in_crossings,
                           tn_crossing *out_crossings) TN_MUST_CHECK;

/**
 * Calls a function as `tn_function_call`, and tells of every value what became of it: also of the implicit inputs, and
 * of the variables that the call changes.
 *
 * @param function A function. If it is released meanwhile, it lives until the call returns.
 * @param n_in     Number of arguments, as for `tn_function_call`.
 * @param in       The n_in arguments. NULL only with n_in 0.
 * @param n_out    Number of outputs that the caller takes; the others are released.
 * @param[out] out The n_out outputs. NULL only with n_out 0. Each is released by `tn_array_release`. On failure:
 *                 untouched.
 * @param crossings Where to write what became of the values, with `size` set by the caller; the lists that it names
 *                 have as many items as the function was created with. On failure, these are untouched.
 * @return As `tn_function_call`; TN_ERR_NULL also for crossings, TN_ERR_INVALID for a wrong size.
 * @note Threads: any, as for `tn_function_call`. Blocks: as long as the body runs. Allocates: as `tn_function_call`.
 * @since 0.1
 * @ingroup function
 */
tn_status tn_function_call_crossings(tn_function *function,
                                     size_t n_in,
                                     tn_array *const *in,
                                     size_t n_out,
                                     tn_array **out,
                                     const tn_call_crossings *crossings) TN_MUST_CHECK;

/**
 * Makes a READONLY handle on the default value of an input: on the function's own copy, which no call changes.
 *
 * @param function A function.
 * @param index    The input, counted from 0 among all inputs of the description.
 * @param[out] out The handle, with the name of the input if the value had none. It stays good after the function was
 *                 released. Released by `tn_array_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_RANGE for an input that does not exist; TN_ERR_INVALID
 *         for one without a default value; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT if no more handles can be made.
 * @note Threads: any. Blocks: never. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup function
 */
tn_status tn_function_default(tn_function *function, size_t index, tn_array **out) TN_MUST_CHECK;

/**
 * Releases a function. Calls that are running end first. Variables that only the function kept end with it.
 *
 * @param function A function. It is released exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing. May run the function's release callback, under no lock.
 * @since 0.1
 * @ingroup function
 */
tn_status tn_function_release(tn_function *function);

/* ===================================================== mirror ===================================================== */
/**
 * @defgroup mirror one array on the host and on a GPU, whose bytes move only when the other side is asked for
 * Not in a library that was built without the Cargo feature `managed`.
 */

/** A side of a mirror; in the masks of `tn_mirror_info` a bit. */
typedef uint32_t tn_side;
TN_ENUM {
    /** The side in memory that the host can access. */
    TN_SIDE_HOST = 1,
    /** The side in memory of a GPU. */
    TN_SIDE_DEVICE = 2,
};

/** How `tn_mirror_create` makes a mirror: from an object, or from `dtype`, `ndim` and `shape`. */
typedef struct tn_mirror_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** The array with the contents; NULL: they are undefined, and `shape` is required. */
    tn_array *object;
    /**
     * 0: the object is copied. TN_BORROW: it becomes a side if it can, else it is copied. TN_REQUIRE_BORROW: it
     * becomes a side, else an error.
     */
    tn_borrow_flags borrow_flags;
    /** Element type. With an object: 0, or its element type. */
    tn_dtype dtype;
    /** Number of axes of `shape`. */
    int32_t ndim;
    /**
     * The order of all memory that the mirror allocates: TN_ORDER_C, TN_ORDER_F, or TN_ORDER_A, with which it is F for
     * an object that is F- and not C-contiguous.
     */
    tn_order order;
    /** Lengths in elements, copied. With an object: NULL, or its shape. */
    const int64_t *shape;
    /** The GPU of the device side; all zero: that of an object on a GPU, else TN_CUDA 0. */
    tn_device device;
    /** The side with the contents at first, TN_SIDE_; 0: that of the object, without an object the host's. */
    tn_side where;
    /** 0. */
    int32_t reserved;
    /**
     * The pool of the host side, of ordinary or page-locked memory; NULL: the current pool of the host when the side
     * is allocated.
     */
    tn_pool *host_pool;
    /** The pool of the device side; NULL: the current pool of the GPU when the side is allocated. */
    tn_pool *device_pool;
    /** At most 63 bytes of UTF-8, copied; NULL: that of the object. */
    const char *name;
} tn_mirror_options;

/** State and transfers of a mirror. */
typedef struct tn_mirror_info {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** The sides with the present contents, TN_SIDE_ bits; never 0. Without elements both. */
    uint32_t valid;
    /** The sides that have memory, TN_SIDE_ bits. */
    uint32_t allocated;
    /** The sides that somebody else holds by a handle, view, guard or export, TN_SIDE_ bits. */
    uint32_t held;
    /** 1: a write failed, and the contents are undefined until the mirror is overwritten. Else 0. */
    uint32_t is_poisoned;
    /** Number of transfers from the host side to the device side. */
    uint64_t transfers_to_device;
    /** Number of transfers from the device side to the host side. */
    uint64_t transfers_to_host;
    /** Bytes of the transfers to the device side. */
    uint64_t bytes_to_device;
    /** Bytes of the transfers to the host side. */
    uint64_t bytes_to_host;
    /** The GPU of the device side. */
    tn_device device;
    /** Element type. */
    tn_dtype dtype;
    /** Number of axes. */
    int32_t ndim;
    /** Bytes of the elements. */
    uint64_t bytes;
    /** NUL-terminated; empty without a name. */
    char name[64];
    /** Lengths in elements; only the first ndim entries are written. */
    int64_t shape[TN_MAX_NDIM];
} tn_mirror_info;

/**
 * Creates a mirror: one array with a side on the host and a side on a GPU, of which one or both are valid.
 *
 * A side gets memory when it is first needed. It is made valid by one transfer, when somebody acquires or gets it. A
 * writing borrow makes its side the only valid one. No other call moves bytes, except for a side that somebody holds:
 * see `tn_mirror_get`.
 *
 * By default the mirror copies `object`. With TN_BORROW the object becomes the side on which its bytes are. Other
 * handles on it then hold that side, and see its bytes change. An object that may not be written is copied when it
 * would be.
 *
 * A machine without a GPU can use the host side of every mirror.
 *
 * @param options  The options, copied. Either `object` or `shape`, or both if they agree.
 * @param[out] out The mirror. Released by `tn_mirror_release`. On failure: untouched.
 * @param[out] crossing Whether the object was aliased or copied, and why; without an object 0. May be NULL. On
 *                      failure: untouched.
 * @return TN_OK; TN_ERR_NULL for options without object and shape; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID;
 *         TN_ERR_DTYPE, TN_ERR_SHAPE, also for an object that disagrees with them; TN_ERR_OVERFLOW; TN_ERR_DESTRUCTED,
 *         TN_ERR_GIVEN; TN_ERR_DEVICE for a device that is no GPU, or a pool of another device; TN_ERR_UNSUPPORTED for
 *         a device side without a driver; the statuses of a read of the object; TN_ERR_WOULD_COPY with
 *         TN_REQUIRE_BORROW for an object on another GPU, with elements that overlap, or with exports, and for the
 *         same objects on a thread that forbids copies; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
 *         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: to wait for a copy into memory that the host can access. Allocates: bookkeeping and the
 *       side `where`.
 * @since 0.1
 * @ingroup mirror
 */
tn_status tn_mirror_create(const tn_mirror_options *options,
                           tn_mirror **out,
                           tn_crossing *crossing) TN_MUST_CHECK;

/**
 * Makes a side valid and borrows it.
 *
 * A borrow for reading goes beside others, on both sides. A borrow for writing excludes all others on both sides. Its
 * end, by `tn_borrow_end`, makes its side the only valid one; if somebody holds the other side, that is refreshed
 * first. With TN_END_FAILED the contents are those of the other side if that was valid before the write, else
 * undefined.
 *
 * @param mirror       A mirror.
 * @param side         TN_SIDE_HOST or TN_SIDE_DEVICE.
 * @param access       TN_READ; TN_READ_WRITE; TN_WRITE: the caller writes every element, so no transfer is needed.
 * @param stream       The stream of the GPU that orders the transfer, and on the device side the use. NULL: the call
 *                     waits for its transfer.
 * @param[out] data    The address of element (0,..,0), valid until the guard ends; NULL if there is no element. The
 *                     output may be NULL.
 * @param[out] view    As for `tn_array_borrow_read`; may be NULL.
 * @param[out] out     The guard. Ended by `tn_borrow_end`, on any thread. It keeps the bytes if the mirror is
 *                     released. On failure: all outputs are untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID; TN_ERR_DEVICE for a stream of another GPU;
 *         TN_ERR_UNSUPPORTED for the device side without a driver; TN_ERR_POISONED, except with TN_WRITE;
 *         TN_ERR_BORROWED_WRITE while somebody writes either side; TN_ERR_BORROWED for a write while a guard is open
 *         on either side; TN_ERR_EXPORTED for an exclusive export of either side; TN_ERR_ALIASED if both sides were
 *         written through other handles; TN_ERR_DRIVER; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY,
 *         TN_ERR_POOL_LIMIT, TN_ERR_LIMIT; TN_ERR_WOULD_COPY on a thread that forbids copies, for the first write of a
 *         read-only object. After a failure no side is lost.
 * @note Threads: any. Blocks: on the host side until its bytes are there, and while another thread's call works on the
 *       mirror; never for a holder. Allocates: bookkeeping; the side, when it is first needed.
 * @since 0.1
 * @ingroup mirror
 */
tn_status tn_mirror_acquire(tn_mirror *mirror,
                            tn_side side,
                            tn_access access,
                            tn_stream *stream,
                            void **data,
                            tn_view_info *view,
                            tn_borrow **out) TN_MUST_CHECK;

/**
 * Makes a side valid, and returns an array handle on it.
 *
 * The side is held from now on, until the handle and all clones, views, guards and exports that descend from it have
 * ended. A side that is held is refreshed whenever the other one changes, in place: pointers to it see the new bytes.
 * A write through the handle makes the side the valid one at the next call on the mirror.
 *
 * @param mirror   A mirror.
 * @param side     TN_SIDE_HOST or TN_SIDE_DEVICE. The transfer to the device runs on the thread's current stream.
 * @param[out] out The array. Released by `tn_array_release`; it outlives the mirror as an ordinary array. On failure:
 *                 untouched.
 * @return The statuses of `tn_mirror_acquire` with TN_READ.
 * @note Threads: any. Blocks: as `tn_mirror_acquire`. Allocates: as `tn_mirror_acquire`.
 * @since 0.1
 * @ingroup mirror
 */
tn_status tn_mirror_get(tn_mirror *mirror, tn_side side, tn_array **out) TN_MUST_CHECK;

/**
 * Makes a side the only valid one, after bytes of it were changed in a way that the library does not see: through a
 * shared view, or through a raw pointer. If somebody holds the other side, it is refreshed.
 *
 * It also decides between two sides that were both written, and accepts the bytes that a failed write left.
 *
 * @param mirror   A mirror.
 * @param side     TN_SIDE_HOST or TN_SIDE_DEVICE, which has memory.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID, also for a side that was never allocated;
 *         TN_ERR_UNSUPPORTED for the device side without a driver; TN_ERR_BORROWED_WRITE; TN_ERR_EXPORTED for an
 *         exclusive export of either side; TN_ERR_BORROWED for a guard on a side that would be refreshed;
 *         TN_ERR_DRIVER.
 * @note Threads: any. Blocks: as `tn_mirror_acquire`. Allocates: bookkeeping only.
 * @since 0.1
 * @ingroup mirror
 */
tn_status tn_mirror_mark_changed(tn_mirror *mirror, tn_side side) TN_MUST_CHECK;

/**
 * Queries state and transfers of a mirror. It moves nothing.
 *
 * @param mirror   A mirror.
 * @param[out] info The properties; `size` set by the caller. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong size; TN_ERR_DEVICE in the child
 *         of a fork.
 * @note Threads: any. Blocks: never. Allocates: nothing.
 * @since 0.1
 * @ingroup mirror
 */
tn_status tn_mirror_query(tn_mirror *mirror, tn_mirror_info *info) TN_MUST_CHECK;

/**
 * Releases a mirror. Handles on its sides live on as ordinary arrays, with the last contents that they saw. Open
 * borrows keep their bytes.
 *
 * @param mirror   A mirror. It is released exactly once.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: never. Allocates: nothing. May run the release callback of an import, under no lock.
 * @since 0.1
 * @ingroup mirror
 */
tn_status tn_mirror_release(tn_mirror *mirror);

/* ===================================================== module ===================================================== */
/**
 * @defgroup module device code with kernels, compiled from CUDA C++ or given, and loaded into each GPU that needs it
 * Not in a library that was built without the Cargo feature `managed`.
 */

/** How `tn_module_load` and `tn_module_compile` make a module. All fields but `size` may be 0. */
typedef struct tn_module_options {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** The name of the module in messages, reports, and the compiler's log: at most 63 bytes of UTF-8, copied. */
    const char *name;
    /**
     * `tn_module_compile`: "compute_80" makes PTX, which newer GPUs run too. "sm_80" makes a cubin for these GPUs,
     * which older drivers run too. NULL: a cubin where all GPUs of the process are of one kind that the compiler
     * knows, else PTX for the oldest of them; without a GPU, for the compiler's
     * default.
     */
    const char *arch;
    /** `tn_module_compile`: options of NVRTC, such as "-DTILE=16" and "--use_fast_math". */
    const char *const *options;
    /** Number of `options`. */
    size_t n_options;
    /**
     * `tn_module_compile`: where the compiler's log goes, also after a failure, with a NUL and cut to `log_capacity`.
     * NULL only with capacity 0.
     */
    char *log;
    /** Bytes of `log`. */
    size_t log_capacity;
    /** `tn_module_compile`: where the length of the whole log goes, without its NUL; or NULL. */
    size_t *log_length;
} tn_module_options;

/**
 * Makes a module of an image: PTX, a cubin or a fatbin.
 *
 * A GPU loads the module when `tn_module_function` first needs it there. The driver then compiles PTX, which may take
 * seconds, and keeps the result in a cache of its own. So errors in the image are found there.
 *
 * @param image    PTX as text, with or without a NUL at its end; or a whole cubin or fatbin. It is copied. The driver
 *                 trusts a cubin.
 * @param bytes    Its size.
 * @param options  `name`; the other fields are of `tn_module_compile`. May be NULL.
 * @param[out] out The module. Released by `tn_module_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for what is no image or only a part of one, and for options of
 *         `tn_module_compile`; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: no. Allocates: the copy. Needs no driver.
 * @since 0.1
 * @ingroup module
 */
tn_status tn_module_load(const void *image,
                         size_t bytes,
                         const tn_module_options *options,
                         tn_module **out) TN_MUST_CHECK;

/**
 * Compiles CUDA C++ with NVRTC, CUDA's compiler library, and makes a module of the result.
 *
 * The library is looked for in each call: one that the process has loaded, else `libnvrtc.so`, `libnvrtc.so.13`,
 * `libnvrtc.so.12`, `libnvrtc.so.11.2` and older. No other call needs it. The program can include `tenure_kernel.cuh`,
 * and else what the options of NVRTC allow (`-I`). It is compiled as C++17 unless the options say otherwise. Kernels
 * that are declared `extern "C"` keep their names.
 *
 * @param source   The program, a text with a NUL.
 * @param options  How to compile, and where the compiler's log goes. May be NULL.
 * @param[out] out The module. Released by `tn_module_release`. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL; TN_ERR_INVALID for an arch that is none, and for options that NVRTC does not know;
 *         TN_ERR_UNSUPPORTED without NVRTC, and for GPUs that it does not know; TN_ERR_FAILED if the program has
 *         errors: the message has as much of the log as fits; TN_ERR_NO_HOST_MEMORY, TN_ERR_LIMIT.
 * @note Threads: any. Blocks: while the compiler works, often for a second. Allocates: the image; what the compiler
 *       needs. Needs no driver.
 * @since 0.1
 * @ingroup module
 */
tn_status tn_module_compile(const char *source, const tn_module_options *options, tn_module **out) TN_MUST_CHECK;

/**
 * Finds a kernel of a module on a GPU, for `tn_launch`. The first call for a GPU loads the module there.
 *
 * The result belongs to the module, and is valid until the module is released. After a reset of the GPU's primary
 * context it is not: call again. A load does not disturb streams that capture a graph.
 *
 * @param module        A module.
 * @param name          The name of the kernel; in C++ the mangled name, unless the kernel is declared `extern "C"`.
 * @param device        A GPU: TN_CUDA and its number.
 * @param[out] function The kernel, a CUfunction of the GPU's primary context. On failure: untouched.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for an empty name, a kernel that the module
 *         does not have, and an image that is damaged or has errors, with the driver's log; TN_ERR_DEVICE for a device
 *         that is no GPU or does not exist; TN_ERR_UNSUPPORTED without a driver, and for an image without code for the
 *         GPU or newer than the driver; TN_ERR_NO_HOST_MEMORY, TN_ERR_NO_DEVICE_MEMORY, TN_ERR_DRIVER.
 * @note Threads: any. Blocks: while the driver loads the module, also for other threads that need this module.
 *       Allocates: bookkeeping; device memory for the module's code and variables.
 * @since 0.1
 * @ingroup module
 */
tn_status tn_module_function(tn_module *module, const char *name, tn_device device, void **function) TN_MUST_CHECK;

/**
 * Releases a module, also while its kernels run.
 *
 * Each GPU unloads the module once the work is done that the library issued there before this call; later work may
 * delay that. This call finds it out, or a later one of this section. What the library does not see must be over
 * before: launches by other means, and graphs that contain its kernels.
 *
 * @param module  A module. No thread may use its kernels in later launches.
 * @return TN_OK; TN_ERR_NULL, TN_ERR_STALE, TN_ERR_KIND.
 * @note Threads: any. Blocks: no; the driver may wait where it unloads. Allocates: no.
 * @since 0.1
 * @ingroup module
 */
tn_status tn_module_release(tn_module *module);

/* ===================================================== launch ===================================================== */
/**
 * @defgroup launch kernels that borrow the arrays that they get
 * Not in a library that was built without the Cargo feature `managed`.
 */

/** What an argument of a launch is. */
typedef uint32_t tn_arg_kind;
TN_ENUM {
    /**
     * Argument: an array, which the kernel gets as `tn_view<T, N>`: `void *data; int64_t shape[N]; int64_t strides[N]`,
     * strides in bytes.
     */
    TN_ARG_ARRAY = 1,
    /** Argument: a C-contiguous array, of which the kernel gets the address. */
    TN_ARG_POINTER = 2,
    /** Argument: a mirror, of which the kernel gets the side that it uses, as an array. */
    TN_ARG_MIRROR = 3,
    /** Argument: a value, of which the kernel gets a copy. */
    TN_ARG_VALUE = 4,
};

/** An argument of a launch. */
typedef struct tn_arg {
    /** TN_ARG_. */
    tn_arg_kind kind;
    /**
     * Arrays and mirrors: TN_READ, TN_READ_WRITE, or TN_WRITE, which overwrites every element; each may add TN_WAIT.
     * Arrays: TN_READ may add TN_FROZEN, a writing access a TN_WRITE_ mode, and each but a frozen one TN_ALLOW_ALIAS.
     * Not used for values.
     */
    tn_access access;
    /**
     * TN_ARG_ARRAY, TN_ARG_MIRROR: the N of the kernel's tn_view<T, N>, 1 to 8. An array without axes is passed as one
     * axis of length 1, for which 0 is accepted too. Not used otherwise.
     */
    int32_t ndim;
    /** Zero. */
    int32_t reserved;
    /** The `tn_array *`, the `tn_mirror *`, or the address of the value. */
    const void *what;
    /** TN_ARG_VALUE: the bytes of the value, at least 1. Not used otherwise. */
    size_t bytes;
} tn_arg;

/** A block of a kernel of the host. */
typedef struct tn_host_block {
    /** sizeof this struct, set by the library. */
    size_t size;
    /** The blocks of the launch. */
    uint32_t grid[3];
    /** The threads of a block, which the function runs itself. */
    uint32_t block[3];
    /** The position of this block in the grid. */
    uint32_t index[3];
    /** Zero. */
    uint32_t reserved;
    /**
     * The block memory, aligned to 128 bytes; NULL if the launch asks for none. Its contents are undefined. No other
     * block uses it at the same time.
     */
    void *memory;
    /** Bytes of it. */
    size_t memory_bytes;
} tn_host_block;

/**
 * A kernel of the host: runs one block. `args[i]` points to what argument i of the launch is for the kernel: a view,
 * an address, a value. It must not change what `args` points to. It cannot report a failure, and must not throw or
 * longjmp.
 */
typedef void (*tn_host_kernel)(const tn_host_block *block, void *const *args);

/** Flags of a launch. */
typedef uint32_t tn_launch_flags;
TN_ENUM {
    /** All blocks run at the same time, so that they can wait for each other (`grid.sync()` of cooperative groups). */
    TN_LAUNCH_COOPERATIVE = 1 << 0,
    /**
     * The kernel may begin before the kernel in front of it on the stream has ended (programmatic dependent launch). It
     * waits for it itself, before it uses what that one writes (`cudaGridDependencySynchronize`).
     */
    TN_LAUNCH_OVERLAP = 1 << 1,
};

/** What a launch runs, and how often. */
typedef struct tn_launch_config {
    /** sizeof this struct, set by the caller. */
    size_t size;
    /** A kernel of a GPU: a CUfunction, or a CUkernel of a library (CUDA 12.0); or NULL. */
    void *function;
    /** The blocks in each of three directions, at least 1. */
    uint32_t grid[3];
    /** The threads of a block in each of three directions, at least 1. */
    uint32_t block[3];
    /**
     * Bytes of dynamic block memory (CUDA's dynamic shared memory) of each block. The limit of the function is raised
     * where necessary.
     */
    int64_t block_bytes;
    /**
     * The stream that runs the kernel. A constant means that stream of the GPU of the first argument that is memory of
     * a GPU, or else of the GPU of the thread's current context. NULL: the current stream there, for which the call
     * waits.
     */
    tn_stream *stream;
    /** A kernel of the host, in place of `function`; else NULL. */
    tn_host_kernel host_function;
    /** TN_LAUNCH_ flags, for a kernel of a GPU. */
    tn_launch_flags flags;
    /**
     * The blocks of a cluster in each of three directions, for a kernel of a GPU with compute capability 9.0 or newer;
     * the grid is a multiple of it. All 0: no cluster, or the one that the kernel was compiled for.
     */
    uint32_t cluster[3];
} tn_launch_config;

/**
 * Launches a kernel, which borrows the arrays among its arguments as their access says.
 *
 * The call checks all arguments first. If one fails, nothing is launched and nothing stays borrowed. The stream is
 * made to wait for unfinished work on the arrays. The borrows end on the stream, behind the kernel: arrays may be
 * released at once, later uses on other streams wait, and the host gets TN_ERR_PENDING until the kernel is done. An
 * array is never copied, except by TN_WRITE_COW. It must be memory that the kernel can reach: of the stream's GPU,
 * managed, or page-locked with TN_HOST_MAPPED. If the driver refuses the launch at last, a handle with TN_WRITE_COW
 * may have moved to its copy.
 *
 * Two arguments may not overlap if one of them is written, nor be one handle then. With TN_ALLOW_ALIAS an argument may
 * overlap one that is written in mode TN_WRITE_ALIASED, if it is read, or written in that mode itself.
 *
 * A kernel of the host (`host_function`) is called once for each block. With a runner (`tn_runner_set_current`) the
 * blocks are spread over its threads, else they run one after the other, with index[0] fastest. The call returns when
 * all blocks are done. The arrays must be memory that the host can reach. Until the call returns they are borrowed,
 * also for the kernel, which may call the library.
 *
 * A launch on a stream that captures a graph becomes part of the graph. The borrows end then as those of other
 * captured work do.
 *
 * @param config   What to launch: exactly one of `function` and `host_function`. `function` is a CUfunction of the
 *                 primary context of the stream's GPU, with its module loaded until the kernel is done.
 * @param n_args   Number of arguments: that of the kernel's parameters.
 * @param args     The arguments, in the order of the parameters. They are read during the call only, values too. NULL
 *                 only with n_args 0.
 * @return TN_OK; TN_ERR_NULL, also if there is neither function; TN_ERR_STALE, TN_ERR_KIND; TN_ERR_INVALID for a wrong
 *         size, for two functions, unknown flags, flags or a cluster with a kernel of the host, a cluster of which the
 *         grid is no multiple, a grid or block with a 0, negative block_bytes, an unknown kind or access, an ndim
 *         outside 0..8, a value of 0 bytes; TN_ERR_DESTRUCTED, TN_ERR_GIVEN; TN_ERR_COUNT, TN_ERR_INVALID if the
 *         kernel has another number of parameters, or one of another size, where the driver can tell (from 12.4 on);
 *         TN_ERR_SHAPE for an array of another ndim; TN_ERR_LAYOUT for elements that are not at multiples of their
 *         size, and for TN_ARG_POINTER with an array that is not C-contiguous; TN_ERR_DEVICE for memory out of reach,
 *         and for a stream of a GPU with a kernel of the host; TN_ERR_UNSUPPORTED without a driver, for stream NULL
 *         while the current stream captures a graph, and for a captured stream that would have to wait for work
 *         outside of the capture, and for flags or a cluster that the GPU or the driver does not have; the statuses of `tn_borrow_all` for what others do with the arrays; TN_ERR_ALIASED;
 *         TN_ERR_NO_HOST_MEMORY; TN_ERR_DRIVER if the driver refuses the launch, or the kernel failed and stream is
 *         NULL; TN_ERR_LIMIT for a launch above the limits of the GPU or of the kernel, and for more blocks than can run at
 *         the same time with TN_LAUNCH_COOPERATIVE.
 * @note Threads: any. Blocks: with stream NULL, until the kernel is done; a kernel of the host, until all blocks are
 *       done, and with TN_WAIT until the device's work on the arrays is done. Holds no lock meanwhile. Allocates:
 *       bookkeeping; for the host, block memory of each thread that runs blocks; the copies of TN_WRITE_COW.
 * @since 0.1
 * @ingroup launch
 */
tn_status tn_launch(const tn_launch_config *config,
                    size_t n_args,
                    const tn_arg *args) TN_MUST_CHECK;

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#ifdef TN_STATIC_CHECKS
#include "tenure_static_checks.h"
#endif

#endif  /* TENURE_H */
