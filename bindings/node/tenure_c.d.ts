// Written by `cargo xtask header` from abi/api.json: edit src/ffi.

/** The id of an object of the library. Any thread may use it, but one object owns it. */
export type Handle = bigint;
/** A view of a buffer, or an address. */
export type Memory = ArrayBufferView | bigint;
/** Integers of 64 bits are BigInts where a number is not exact. */
export type Integer = number | bigint;
/** The call succeeded. */
export const TN_OK: 0;
/** An argument that must not be NULL is NULL. */
export const TN_ERR_NULL: 1;
/** The handle was released, or the block was freed. */
export const TN_ERR_STALE: 2;
/** The argument is a handle of another kind, or no handle. */
export const TN_ERR_KIND: 3;
/** The handle's claim was moved away by a take; the handle can only be released. */
export const TN_ERR_DESTRUCTED: 4;
/** The handle was given away, and its promise is outstanding. */
export const TN_ERR_GIVEN: 5;
/** A failed writer left the bytes undefined. */
export const TN_ERR_POISONED: 6;
/** The handle or its memory must not be written. */
export const TN_ERR_READONLY: 7;
/** An open write guard overlaps the bytes. */
export const TN_ERR_BORROWED_WRITE: 8;
/** An open read guard overlaps the bytes. */
export const TN_ERR_BORROWED: 9;
/** An export of the bytes is alive. */
export const TN_ERR_EXPORTED: 10;
/** Other handles have claims on the store. */
export const TN_ERR_SHARED: 11;
/** A lazy expression holds the store; the message names its operation. */
export const TN_ERR_IN_EXPRESSION: 12;
/** Device work on the bytes is not finished. */
export const TN_ERR_PENDING: 13;
/** The bytes are lent to the library, or belong to no pool or another pool. */
export const TN_ERR_FOREIGN: 14;
/** A list has too few or too many items. */
export const TN_ERR_COUNT: 15;
/** An item is in a list twice. */
export const TN_ERR_DUPLICATE: 16;
/** An index, axis, address or id is out of range. */
export const TN_ERR_RANGE: 17;
/** An argument is invalid by itself: flags, modes, struct sizes, counts, a step of 0. */
export const TN_ERR_INVALID: 18;
/** The element type is unknown, or does not fit the operation. */
export const TN_ERR_DTYPE: 19;
/** The shape is invalid, or does not fit the operation. */
export const TN_ERR_SHAPE: 20;
/** The operation is impossible with this layout, or possible only with a copy. */
export const TN_ERR_LAYOUT: 21;
/** The device does not exist, or differs from the one that the operation needs. */
export const TN_ERR_DEVICE: 22;
/** The caller required an alias, and only a copy is possible. */
export const TN_ERR_WOULD_COPY: 23;
/** Two operands overlap that must not. */
export const TN_ERR_ALIASED: 24;
/** The operation or a callback of the caller failed. */
export const TN_ERR_FAILED: 25;
/** The host is out of memory. */
export const TN_ERR_NO_HOST_MEMORY: 26;
/** The device is out of memory. */
export const TN_ERR_NO_DEVICE_MEMORY: 27;
/** The pool would exceed its max_size. */
export const TN_ERR_POOL_LIMIT: 28;
/** Not supported here; the message says what is missing. */
export const TN_ERR_UNSUPPORTED: 29;
/** The device's driver reported an error. */
export const TN_ERR_DRIVER: 30;
/** A file could not be opened, read or written, or is damaged. */
export const TN_ERR_IO: 31;
/** A table of the library is full, or a limit of a file format or of the caller is exceeded. */
export const TN_ERR_LIMIT: 32;
/** A bug in the library was caught; please report the message. */
export const TN_ERR_PANIC: 33;
/** A size does not fit into 64 bits, or there are more than TN_MAX_NDIM axes. */
export const TN_ERR_OVERFLOW: 34;
/** Ordinary host memory. */
export const TN_CPU: 1;
/** Memory of a CUDA device. */
export const TN_CUDA: 2;
/** Page-locked host memory. */
export const TN_CUDA_HOST: 3;
/** CUDA managed memory. */
export const TN_CUDA_MANAGED: 13;
/** Code of signed integers. */
export const TN_CODE_INT: 0;
/** Code of unsigned integers. */
export const TN_CODE_UINT: 1;
/** Code of IEEE floating point numbers. */
export const TN_CODE_FLOAT: 2;
/** Code of bfloat16. */
export const TN_CODE_BFLOAT: 4;
/** Code of complex numbers, whose bits count both components. */
export const TN_CODE_COMPLEX: 5;
/** Code of booleans, one byte each. */
export const TN_CODE_BOOL: 6;
/** One byte: 0 or 1. */
export const TN_BOOL: 67590;
/** Signed, 8 bits. */
export const TN_I8: 67584;
/** Signed, 16 bits. */
export const TN_I16: 69632;
/** Signed, 32 bits. */
export const TN_I32: 73728;
/** Signed, 64 bits. */
export const TN_I64: 81920;
/** Unsigned, 8 bits. */
export const TN_U8: 67585;
/** Unsigned, 16 bits. */
export const TN_U16: 69633;
/** Unsigned, 32 bits. */
export const TN_U32: 73729;
/** Unsigned, 64 bits. */
export const TN_U64: 81921;
/** IEEE half precision. */
export const TN_F16: 69634;
/** IEEE single precision. */
export const TN_F32: 73730;
/** IEEE double precision. */
export const TN_F64: 81922;
/** bfloat16. */
export const TN_BF16: 69636;
/** Complex of two f32. */
export const TN_C64: 81925;
/** Complex of two f64. */
export const TN_C128: 98309;
/** `how`: both sides share the bytes. */
export const TN_ALIASED: 1;
/** `how`: the bytes were copied. */
export const TN_COPIED: 2;
/** Borrow flag: alias the bytes where possible. */
export const TN_BORROW: 1;
/** Borrow flag: alias the bytes or fail with TN_ERR_WOULD_COPY, or TN_ERR_ALIASED if they belong to two stores. Implies TN_BORROW. */
export const TN_REQUIRE_BORROW: 2;
/** Borrow flag of shared variables and functions: on the device where the bytes are, with their layout; no transfer. */
export const TN_RAW: 4;
/** Borrow flag: the importer, or the body of a function, may overwrite the contents. Implies TN_BORROW. */
export const TN_MAY_OVERWRITE: 8;
/** Borrow flag: the library takes ownership of the memory, with a release callback, and copies only where it cannot alias. */
export const TN_TAKE_OWNERSHIP: 16;
/** Import: the release callback runs only in `tn_run_releases`. */
export const TN_RELEASE_QUEUED: 32;
/** Borrow flag of shared variables and inputs: neither a transfer nor packing; TN_ERR_DEVICE or TN_ERR_LAYOUT instead. */
export const TN_STRICT: 64;
/** Borrow flag of outputs and updates: the body finds a spare buffer of an earlier call, if there is one. */
export const TN_REUSE: 128;
/** Import: the new handle is READONLY. */
export const TN_IMPORT_READONLY: 256;
/** Import of a DLPack struct without a version: the producer permits writing. */
export const TN_IMPORT_WRITABLE: 512;
/** Export: a shared view, which both the consumer and the library may read and write. */
export const TN_EXPORT_WRITABLE: 1024;
/** Export, with TN_EXPORT_WRITABLE: exclusive. Only the consumer reads or writes these bytes. */
export const TN_EXPORT_EXCLUSIVE: 2048;
/** Export: the caller guarantees that the consumer only reads, so the export is read-only in every format. */
export const TN_EXPORT_CONSUMER_READS: 4096;
/** Export: an array with negative strides is copied. */
export const TN_EXPORT_NONNEGATIVE: 8192;
/** Borrow flag: the library adds no stream ordering; the caller has ordered the work. */
export const TN_UNORDERED: 16384;
/** Export to CUDAMat: a C-contiguous array crosses as its transpose. */
export const TN_CUDAMAT_TRANSPOSED: 32768;
/** Export to another process: the array gets memory that has nothing else. Today that is so in any case. */
export const TN_IPC_PRIVATE: 65536;
/** Export to another process, and import there: the importer may write. Who writes when is up to the programs. */
export const TN_IPC_WRITABLE: 131072;
/** Import from another process that is trusted: memory without a seal is accepted. If that process shrinks it, the next access ends this one. */
export const TN_IPC_TRUSTED: 262144;
/** Wait for the array's device work instead of failing with TN_ERR_PENDING. Belongs to tn_borrow_flags, tn_write_mode, tn_guard_flags and tn_access. */
export const TN_WAIT: 524288;
/** Export to another process: the array is offered, and nobody uses it until it was taken, or the offer ended. Import: takes an array that is offered so. */
export const TN_IPC_GIVE: 1048576;
/** Export: an array that is not C-contiguous is copied, and a copy is in C order. */
export const TN_EXPORT_C_CONTIGUOUS: 2097152;
/** Write mode, the default: other handles on the store see the change. */
export const TN_WRITE_ALIASED: 0;
/** Write mode: fail if anything else holds the store, that is unless `tn_array_why_not` reports 0. */
export const TN_WRITE_UNIQUE: 1;
/** Write mode: copy on write. If anything else holds the store, this handle moves to a copy. */
export const TN_WRITE_COW: 2;
/** Modifier of a write mode: the old contents are not needed. Clears poison. */
export const TN_WRITE_DISCARD: 4;
/** Modifier of a write mode in copies: fail with TN_ERR_WOULD_COPY where the bytes would be staged. */
export const TN_REQUIRE_ASYNC: 16;
/** Guard flag: the bytes must not change while they are read, so shared views are excluded. */
export const TN_FROZEN: 8;
/** Flag of a read or write borrow of an array in shareable memory: guards of other processes with this flag are excluded too, as those of this process are. */
export const TN_INTERPROCESS: 256;
/** Access: reading. */
export const TN_READ: 32;
/** Access: writing. Without TN_READ it overwrites every element, and so implies TN_WRITE_DISCARD. */
export const TN_WRITE: 64;
/** Access: reading and writing. */
export const TN_READ_WRITE: 96;
/** Access, only in launches: the argument may overlap another one, if that one is written in mode TN_WRITE_ALIASED, and this one is read or written in that mode. */
export const TN_ALLOW_ALIAS: 128;
/** Why not in place: the handle was given away. */
export const TN_WHY_GIVEN: 1;
/** Why not in place: another handle, or a promise whose handle was released, has a claim on the store. */
export const TN_WHY_SHARED: 2;
/** Why not in place: a node of a lazy expression has a claim on the store. */
export const TN_WHY_IN_EXPRESSION: 4;
/** Why not in place: the store has an export. */
export const TN_WHY_EXPORTED: 8;
/** Why not in place: a guard overlaps the handle's region; its own guards count. */
export const TN_WHY_BORROWED: 16;
/** Why not in place: the handle or the store is read-only. */
export const TN_WHY_READONLY: 32;
/** Why not in place: the bytes were imported without TN_MAY_OVERWRITE. */
export const TN_WHY_FOREIGN: 64;
/** Why not in place: the bytes overlap a poisoned region. */
export const TN_WHY_POISONED: 128;
/** Why not in place, or why a copy: the layout does not fit. */
export const TN_WHY_LAYOUT: 256;
/** Why not in place, or why a copy: the bytes are on another device. */
export const TN_WHY_DEVICE: 512;
/** Why not in place: the store has more than twice the bytes that the target needs. */
export const TN_WHY_WASTE: 1024;
/** Why not in place, or why a copy: elements share bytes, or the range cannot be claimed as one store. */
export const TN_WHY_NOT_ALIASABLE: 2048;
/** `tn_device_query`: fill the memory fields too. */
export const TN_QUERY_MEMORY: 1;
/** Device feature: the driver has memory pools. */
export const TN_FEATURE_MEMORY_POOLS: 1;
/** Device feature: managed memory. */
export const TN_FEATURE_MANAGED: 2;
/** Device feature: host and device may access managed memory at the same time. */
export const TN_FEATURE_CONCURRENT_MANAGED: 4;
/** Device feature: page-locked memory can be mapped. */
export const TN_FEATURE_MAP_HOST: 8;
/** Device feature: the caller's memory can be page-locked. */
export const TN_FEATURE_HOST_REGISTER: 16;
/** Device feature: read-only memory can be page-locked. */
export const TN_FEATURE_REGISTER_READ_ONLY: 32;
/** Device feature: one address space for host and device. */
export const TN_FEATURE_UNIFIED_ADDRESSING: 64;
/** Device feature: the device uses the host's memory. */
export const TN_FEATURE_INTEGRATED: 128;
/** Device feature: allocations can be shared with other processes. */
export const TN_FEATURE_IPC: 256;
/** `tn_stream_create`: the stream is ordered with the legacy stream. */
export const TN_STREAM_BLOCKING: 1;
/** `tn_stream_enter`: leaving the scope waits for the stream. */
export const TN_AUTO_SYNCHRONIZE: 1;
/** `tn_event_create`: the event records a time. */
export const TN_EVENT_TIMING: 1;
/** Pool flag: touch the pages of initial_size at creation. */
export const TN_POOL_PREFAULT: 1;
/** Pool flag: cache no freed memory. */
export const TN_POOL_DIRECT: 2;
/** Pool flag, for tests: freed blocks are filled with a pattern and kept in quarantine, and peaks are exact. */
export const TN_POOL_STRICT: 4;
/** Pool flag: a freed block is cleared before it is reused. */
export const TN_POOL_ZERO_ON_FREE: 8;
/** Pool flag, host: other processes can map the memory, see `tn_array_export_ipc`. Each block has pages and a file descriptor of its own, so it is for large arrays. A freed block serves a later one of the same size once no other process has it, if the process has not forked since. One that was exported read-only serves none, see TN_POOL_READONLY_EXPORTS. Not with initial_size. A child of fork shares the memory with its parent. */
export const TN_POOL_SHAREABLE: 16;
/** Pool flag, CUDA: other processes can open the memory, see `tn_array_export_ipc`. Each block is an allocation of the driver, of multiples of 2 MiB, so it is for large arrays that live long. Implies TN_POOL_DIRECT. TN_ERR_UNSUPPORTED for other devices, on a GPU without IPC, and with initial_size, peers, TN_BACKEND_DRIVER_POOL, TN_POOL_STRICT or TN_POOL_ZERO_ON_FREE. */
export const TN_POOL_IPC: 32;
/** Pool flag, with TN_POOL_SHAREABLE: arrays are exported read-only, and a block that was exported serves a later one once no other process has it. Exports with TN_IPC_WRITABLE are copies, those with TN_IPC_GIVE TN_ERR_WOULD_COPY. */
export const TN_POOL_READONLY_EXPORTS: 64;
/** Page-locked memory that every CUDA context can use. */
export const TN_HOST_PORTABLE: 1;
/** Page-locked memory mapped into the device's address space. */
export const TN_HOST_MAPPED: 2;
/** Page-locked memory that is slow to read on the host. */
export const TN_HOST_WRITE_COMBINED: 4;
/** Page-locking of memory that the host must not write. */
export const TN_HOST_READ_ONLY: 8;
/** Without a driver: ordinary memory labelled TN_CPU instead of TN_ERR_UNSUPPORTED. */
export const TN_HOST_BEST_EFFORT: 16;
/** Managed memory attached to all streams, the default. */
export const TN_MANAGED_GLOBAL: 0;
/** Managed memory attached to the host. */
export const TN_MANAGED_HOST: 32;
/** Advice: the memory is mostly read, so host and devices may each keep a copy. */
export const TN_ADVISE_READ_MOSTLY: 1;
/** Withdraws TN_ADVISE_READ_MOSTLY. */
export const TN_ADVISE_UNSET_READ_MOSTLY: 2;
/** Advice: the device is the preferred location of the memory. */
export const TN_ADVISE_PREFERRED: 3;
/** Withdraws TN_ADVISE_PREFERRED. */
export const TN_ADVISE_UNSET_PREFERRED: 4;
/** Advice: the device will access the memory and should have it mapped. */
export const TN_ADVISE_ACCESSED_BY: 5;
/** Withdraws TN_ADVISE_ACCESSED_BY. */
export const TN_ADVISE_UNSET_ACCESSED_BY: 6;
/** Transparent huge pages inside large blocks, and wherever a pool grows that has at least 32 MiB. */
export const TN_HUGE_AUTO: 0;
/** No huge pages. */
export const TN_HUGE_NEVER: 1;
/** Huge pages that the system has reserved; TN_HUGE_AUTO when there are none left. */
export const TN_HUGE_EXPLICIT: 2;
/** CUDA: virtual memory management (mapped granules) where the driver has it, else plain allocations. */
export const TN_BACKEND_AUTO: 0;
/** CUDA: plain driver allocations. */
export const TN_BACKEND_PLAIN: 1;
/** CUDA: a memory pool of the driver, which reuses large blocks in the order of streams by itself. TN_ERR_UNSUPPORTED without support. */
export const TN_BACKEND_DRIVER_POOL: 2;
/** Upstream flag: `allocate` returns zeroed memory. */
export const TN_UPSTREAM_ZEROED: 1;
/** Upstream flag: several threads may run the callbacks at once. */
export const TN_UPSTREAM_THREAD_SAFE: 2;
/** Upstream flag: parts of one allocation may be deallocated separately. */
export const TN_UPSTREAM_PARTIAL_FREE: 4;
/** The pool reached its max_size. */
export const TN_PRESSURE_LIMIT: 1;
/** The pool's device is out of memory. */
export const TN_PRESSURE_DEVICE: 2;
/** Client: arrays. */
export const TN_CLIENT_ARRAYS: 0;
/** Client: raw blocks, as from `tn_pool_allocate`. */
export const TN_CLIENT_RAW: 1;
/** Client: NumPy, through `tn_numpy_handler`. */
export const TN_CLIENT_NUMPY: 2;
/** Client: PyTorch, through `tn_torch_alloc`. */
export const TN_CLIENT_TORCH: 3;
/** Client: CuPy, through `tn_cupy_malloc` or the Python package. */
export const TN_CLIENT_CUPY: 4;
/** Client: Numba, through the Python package. */
export const TN_CLIENT_NUMBA: 5;
/** Client: RMM, through `tn_rmm_allocate` or the Python package. */
export const TN_CLIENT_RMM: 6;
/** Client: UMF, through `tn_umf_pool_ops` and `tn_umf_provider_ops`. */
export const TN_CLIENT_UMF: 7;
/** Client: C++ containers, through `tn_cpp_allocate`. */
export const TN_CLIENT_CPP: 8;
/** Client: a Rust program's global allocator. */
export const TN_CLIENT_RUST: 9;
/** Client: a program that was started with the library's malloc. */
export const TN_CLIENT_MALLOC: 10;
/** Client: any other. Reserved. */
export const TN_CLIENT_OTHER: 11;
/** Row-major element order. */
export const TN_ORDER_C: 0;
/** Column-major element order. */
export const TN_ORDER_F: 1;
/** F order if the source is F- and not C-contiguous, else C order. */
export const TN_ORDER_A: 2;
/** `tn_array_like` only: the axes keep the order of the prototype's strides. */
export const TN_ORDER_K: 3;
/** Array flag: C-contiguous. */
export const TN_C_CONTIGUOUS: 1;
/** Array flag: F-contiguous. */
export const TN_F_CONTIGUOUS: 2;
/** Array flag: the handle or its store must not be written. */
export const TN_READONLY: 4;
/** Array flag: address and strides are multiples of the element's alignment. */
export const TN_ALIGNED: 8;
/** Array flag: some bytes belong to two elements. */
export const TN_SELF_OVERLAP: 16;
/** Array flag: the bytes are lent by another owner, who may still use them. */
export const TN_FOREIGN: 32;
/** Array flag: page-locked. */
export const TN_PINNED: 64;
/** Array flag: page-locked and mapped into the device's address space. */
export const TN_MAPPED: 128;
/** Array flag: page-locked and slow to read on the host. */
export const TN_WRITECOMBINED: 256;
/** Array flag: the bytes are in a file of their pool, and come back at the next use, see `tn_pool_set_spill`. */
export const TN_SPILLED: 512;
/** Form: all elements. */
export const TN_FORM_FULL: 0;
/** Form: the vector is the diagonal of a matrix that is 0 elsewhere. */
export const TN_FORM_DIAGONAL: 1;
/** Form: lower triangular. Elements above the diagonal of the square matrix are not read and count as 0. */
export const TN_FORM_LOWER: 2;
/** Form: upper triangular. Elements below the diagonal of the square matrix are not read and count as 0. */
export const TN_FORM_UPPER: 3;
/** Form: all elements, of an array with two axes. Expressions take it as TN_FORM_FULL. It tells a language whose operators compute element by element that those of this array are those of matrices. */
export const TN_FORM_MATRIX: 4;
/** Form, only for `tn_expr_leaf`: the form that the array's handle has. */
export const TN_FORM_OF_HANDLE: 5;
/** Form, only of expressions: the factors that `tn_expr_lu` makes of a full matrix, or their transpose. They are no array. */
export const TN_FORM_FACTORS: 6;
/** The side in memory that the host can access. */
export const TN_SIDE_HOST: 1;
/** The side in memory of a GPU. */
export const TN_SIDE_DEVICE: 2;
/** `tn_array_open_npy`: map the file read-only; the default. */
export const TN_NPY_READ: 0;
/** `tn_array_open_npy`: map the file copy-on-write: writes never reach the file. */
export const TN_NPY_COW: 1;
/** `tn_array_open_npy`: map the file writable: writes reach the file. */
export const TN_NPY_WRITE: 2;
/** `tn_array_open_npy`: read the file into the pool's memory. */
export const TN_NPY_COPY: 3;
/** `tn_array_save_npy`: sync the file and its directory before returning. */
export const TN_IO_SYNC: 1;
/** `tn_array_save_npy`: fail with TN_ERR_IO if the file exists. */
export const TN_IO_EXCLUSIVE: 2;
/** No byte in common. */
export const TN_OVERLAP_NONE: 0;
/** The same elements in the same order. */
export const TN_OVERLAP_EXACT: 1;
/** Bytes in common. */
export const TN_OVERLAP_SOME: 2;
/** Not decided; treated as overlap. */
export const TN_OVERLAP_UNKNOWN: 3;
/** `tn_borrow_end`: the writer failed. Its region is poisoned until it is rewritten. */
export const TN_END_FAILED: 1;
/** `tn_expr_compute`: if it fails, all arrays and expressions are as before, so no existing array is overwritten. */
export const TN_KEEP_ON_FAIL: 1;
/** Element by element: x + y, as `tn_expr_add`. */
export const TN_EXPR_ADD: 1;
/** Element by element: x - y. */
export const TN_EXPR_SUBTRACT: 2;
/** Element by element: x * y. */
export const TN_EXPR_MULTIPLY: 3;
/** Element by element: x / y. */
export const TN_EXPR_DIVIDE: 4;
/** Element by element: -x. */
export const TN_EXPR_NEGATE: 5;
/** Element by element: the square root. */
export const TN_EXPR_SQRT: 6;
/** Element by element: e to the x. */
export const TN_EXPR_EXP: 7;
/** Element by element: the natural logarithm. */
export const TN_EXPR_LOG: 8;
/** Part: the permutation, a full matrix that has one 1 in each row and column. */
export const TN_LU_P: 0;
/** Part: the lower triangle, with a diagonal of ones. */
export const TN_LU_L: 1;
/** Part: the upper triangle. */
export const TN_LU_U: 2;
/** Format: lines of text. */
export const TN_EXPLAIN_TEXT: 0;
/** Format: a graph for Graphviz. */
export const TN_EXPLAIN_DOT: 1;
/** Holder: an array handle. */
export const TN_HOLDER_HANDLE: 1;
/** Holder: a promise. */
export const TN_HOLDER_PROMISE: 2;
/** Holder: a node of a lazy expression. */
export const TN_HOLDER_EXPRESSION: 3;
/** Holder: a shared variable. */
export const TN_HOLDER_SHARED_VARIABLE: 4;
/** Holder: a read-only export. */
export const TN_HOLDER_EXPORT_READ: 5;
/** Holder: a shared view, see TN_EXPORT_WRITABLE. */
export const TN_HOLDER_EXPORT_SHARED: 6;
/** Holder: an exclusive export, see TN_EXPORT_EXCLUSIVE. */
export const TN_HOLDER_EXPORT_EXCLUSIVE: 7;
/** Holder: a read guard. */
export const TN_HOLDER_GUARD_READ: 8;
/** Holder: a write guard. */
export const TN_HOLDER_GUARD_WRITE: 9;
/** Not released: raw memory of a pool. */
export const TN_HOLDER_BLOCK: 10;
/** Not released: a pool. */
export const TN_HOLDER_POOL: 11;
/** Not released: a stream. */
export const TN_HOLDER_STREAM: 12;
/** Not released: an event. */
export const TN_HOLDER_EVENT: 13;
/** Not released: a scope. */
export const TN_HOLDER_SCOPE: 14;
/** Not released: a weak handle. */
export const TN_HOLDER_WEAK: 15;
/** Not released: a function. */
export const TN_HOLDER_FUNCTION: 16;
/** The library's own claim on a side of a mirror. */
export const TN_HOLDER_MIRROR: 17;
/** Not called yet: a queued release callback, see `tn_run_releases`. */
export const TN_HOLDER_QUEUED_RELEASE: 18;
/** A module; its bytes are those of its image. */
export const TN_HOLDER_MODULE: 19;
/** A pool allocated a block: raw memory, or the bytes of an array. */
export const TN_LOG_ALLOCATE: 1;
/** A block was freed. */
export const TN_LOG_FREE: 2;
/** An import, an export or a write copied; the copy book has the same copies. */
export const TN_LOG_COPY: 4;
/** Bytes were copied between arrays, or between memory and an array. */
export const TN_LOG_TRANSFER: 8;
/** An export began or ended. */
export const TN_LOG_EXPORT: 32;
/** An array was given. */
export const TN_LOG_GIVE: 256;
/** A given array was taken. */
export const TN_LOG_TAKE: 512;
/** A guard began or ended. */
export const TN_LOG_BORROW: 1024;
/** A raw block changed its size. */
export const TN_LOG_REALLOCATE: 2048;
/** An import of bytes began or ended. */
export const TN_LOG_IMPORT: 4096;
/** An array got a name. */
export const TN_LOG_NAME: 8192;
/** All of them. */
export const TN_LOG_ALL: 16175;
/** Argument: an array, which the kernel gets as `tn_view<T, N>`: `void *data; int64_t shape[N]; int64_t strides[N]`, strides in bytes. */
export const TN_ARG_ARRAY: 1;
/** Argument: a C-contiguous array, of which the kernel gets the address. */
export const TN_ARG_POINTER: 2;
/** Argument: a mirror, of which the kernel gets the side that it uses, as an array. */
export const TN_ARG_MIRROR: 3;
/** Argument: a value, of which the kernel gets a copy. */
export const TN_ARG_VALUE: 4;
/** All blocks run at the same time, so that they can wait for each other (`grid.sync()` of cooperative groups). */
export const TN_LAUNCH_COOPERATIVE: 1;
/** The kernel may begin before the kernel in front of it on the stream has ended (programmatic dependent launch). It waits for it itself, before it uses what that one writes (`cudaGridDependencySynchronize`). */
export const TN_LAUNCH_OVERLAP: 2;
/** Version of this header: major << 16 | minor << 8 | patch. */
export const TN_VERSION: 256;
/** The largest number of axes of an array. */
export const TN_MAX_NDIM: 64;
/** No descriptor of `tn_array_export_ipc` has more bytes. */
export const TN_IPC_DESCRIPTOR_BYTES: 4096;
/** "None" or "never" in the fields of `tn_pool_options` marked (n). Every larger number means the same. */
export const TN_POOL_NONE: 9223372036854775807n;
/** An absent bound or step of a tn_slice_spec, like None in a Python slice. INT64_MIN means the same. */
export const TN_NONE: -9223372036854775807n;
/** `tn_expr_sum`: over all axes. */
export const TN_ALL_AXES: -2147483647;
/** A device, as in DLPack's DLDevice; passed by value. */
export interface tn_device {
  /** TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED. */
  type: number;
  /** The number of the device among those of its type; 0 on the host. */
  id: number;
}
/** Properties of a device. */
export interface tn_device_info {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** UTF-8, NUL-terminated. */
  name: string;
  /** All zero on the host. */
  uuid: Uint8Array;
  /** "0000:3b:00.0"; empty on the host. */
  pci_bus_id: string;
  /** Compute capability, major. */
  compute_major: number;
  /** Compute capability, minor. */
  compute_minor: number;
  /** CUDA version that the driver supports: 1000 * major + 10 * minor. */
  driver_version: number;
  /** Number of multiprocessors; on the host, of online processors. */
  multiprocessors: number;
  /** Threads of a warp; 1 on the host. */
  warp_size: number;
  /** TN_FEATURE_ bits. */
  features: number;
  /** Shared memory of a thread block, bytes: the default limit. */
  block_memory_bytes: Integer;
  /** Shared memory of a thread block, bytes: the limit that a kernel can opt in to. */
  block_memory_optin_bytes: Integer;
  /** Physical memory, bytes; on the host, at most the control group's limit. */
  total_bytes: Integer;
  /** TN_QUERY_MEMORY: free memory now, as the system reports it. */
  free_bytes: Integer;
  /** TN_QUERY_MEMORY: total_bytes - free_bytes. */
  used_bytes: Integer;
  /** TN_QUERY_MEMORY: held by the library's pools. */
  pool_bytes: Integer;
  /** TN_QUERY_MEMORY: of pool_bytes, what the pools can reuse. */
  pool_free_bytes: Integer;
  /** Number of copies to the device. */
  to_device_count: Integer;
  /** Bytes of those. */
  to_device_bytes: Integer;
  /** Number of copies to the host. */
  to_host_count: Integer;
  /** Bytes of those. */
  to_host_bytes: Integer;
  /** Bytes copied through staging memory. */
  staged_bytes: Integer;
  /** Bytes page-locked now by `tn_host_register`. */
  registered_bytes: Integer;
  /** Imports whose release callback is delayed: until `tn_run_releases`, or until device work that uses their bytes is done. */
  queued_releases: Integer;
  /** Bytes of those. */
  queued_bytes: Integer;
  /** Number of copies and fills that kernels of the library did; the option `transfer.kernels` decides about them. */
  kernel_count: Integer;
  /** The driver's result code if it refused to load these kernels, so that copies and fills go by other ways; 0: it did not. */
  kernel_error: Integer;
}
/** The source of memory of a pool made by `tn_pool_import`. */
export interface tn_upstream {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** First argument of each callback. */
  context: Memory | null;
  /** Sizes passed to `allocate` are multiples of this; 0: 4096. */
  granularity: Integer;
  /** Alignments passed to `allocate` are powers of two, at least this; 0: 4096. */
  alignment: Integer;
  /** TN_UPSTREAM_. */
  flags: number;
  /** Zero. */
  reserved: number;
  /** Allocates `bytes` bytes and writes their address to `out`. Any status but TN_OK means that there is no memory. native_stream is 0. */
  allocate: Memory | null;
  /** Deallocates what `allocate` returned, with the same address and bytes; with TN_UPSTREAM_PARTIAL_FREE also parts of it, each byte once. */
  deallocate: Memory | null;
  /** Optional: called when the contents of a part are no longer needed. */
  purge: Memory | null;
  /** Optional: the last callback, called when all memory was deallocated and the pool no longer exists. */
  release: Memory | null;
}
/** Options of a pool. */
export interface tn_pool_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** At most 63 bytes of UTF-8, copied; NULL: "pool-N". */
  name: string | null;
  /** Bytes committed at creation, which trim keeps. */
  initial_size: Integer;
  /** Upper bound of one growth step, bytes. */
  max_growth: Integer;
  /** Upper bound of committed bytes; 0: none. Under the memory limit of a control group Linux kills the process where memory is short. A status needs a max_size below that limit, which `tn_device_query` has as `total_bytes`. */
  max_size: Integer;
  /** At least 1. A growth step asks the device for the needed bytes or committed * (factor - 1), whichever is more. */
  growth_factor: number;
  /** Alignment in bytes where a call passes 0: a power of two, 8 to 4 MiB. Default on the host: 64. */
  alignment: Integer;
  /** (n) Bytes of free small blocks that one thread may keep, and of the large ones that it freed last. One large block alone may have 4 times as many. */
  thread_cache_size: Integer;
  /** (n) Cached bytes above this are returned to the device. */
  release_threshold: Integer;
  /** (n) Free memory that was unused for this long, ms, is returned to the device by a later call. */
  release_delay_ms: Integer;
  /** CUDA: bit mask of device ids that may also access the memory. */
  peers: Integer;
  /** TN_HUGE_. */
  huge_pages: number;
  /** TN_BACKEND_. */
  backend: number;
  /** n: prefer NUMA node n - 1; 0: no preference. */
  numa_node: number;
  /** TN_HOST_ or TN_MANAGED_. */
  host_flags: number;
  /** TN_POOL_. */
  flags: number;
  /** Zero. */
  reserved: number;
}
/** Statistics of a pool. */
export interface tn_pool_stats {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** Sum of the requested sizes of all live blocks. */
  requested_bytes: Integer;
  /** Sum of the usable sizes of all live blocks. */
  in_use_bytes: Integer;
  /** Committed bytes that can be allocated. */
  cached_bytes: Integer;
  /** Freed bytes that work on a stream may still access. */
  pending_bytes: Integer;
  /** Committed bytes that no block can use: the rest of a span after its last block. */
  overhead_bytes: Integer;
  /** Committed bytes: exactly in_use + cached + pending + overhead in every query. */
  reserved_bytes: Integer;
  /** Reserved address space; at least reserved_bytes. */
  address_bytes: Integer;
  /** Committed bytes for which huge pages were requested. */
  huge_bytes: Integer;
  /** The library's own memory for this pool; not part of reserved_bytes. */
  metadata_bytes: Integer;
  /** Largest in_use_bytes since creation or `tn_pool_reset_peak`. */
  peak_in_use_bytes: Integer;
  /** Largest reserved_bytes since creation or `tn_pool_reset_peak`. */
  peak_reserved_bytes: Integer;
  /** Largest requested_bytes since creation or `tn_pool_reset_peak`. */
  peak_requested_bytes: Integer;
  /** Allocations that returned TN_OK. */
  allocation_count: Integer;
  /** Blocks that were freed. */
  deallocation_count: Integer;
  /** Reallocations that returned TN_OK. */
  reallocation_count: Integer;
  /** Calls that failed. */
  failure_count: Integer;
  /** allocation_count - deallocation_count: blocks that are allocated now. */
  live_blocks: Integer;
  /** Allocations that needed no call to the device. */
  hit_count: Integer;
  /** Allocations that took the thread cache's fast path. */
  thread_hit_count: Integer;
  /** Calls that allocated memory of the device. */
  device_allocate_count: Integer;
  /** Calls that freed memory of the device. */
  device_free_count: Integer;
  /** Bytes ever allocated from the device. */
  device_bytes_total: Integer;
  /** Trims that freed memory. */
  trim_count: Integer;
  /** Calls of pressure callbacks. */
  pressure_count: Integer;
  /** Requests that failed for lack of memory. */
  oom_count: Integer;
  /** Invalid frees that were refused. */
  misuse_count: Integer;
  /** Bytes that `tn_pool_allocate_zeroed` did not have to clear. */
  zero_bytes_skipped: Integer;
  /** Largest block that can be allocated without a call to the device. */
  largest_free_bytes: Integer;
  /** max_size; 0: none. */
  limit_bytes: Integer;
  /** Threads that have a cache now. */
  thread_count: Integer;
  /** Of requested_bytes: in stores that have no claim and are kept by guards or exports. */
  held_bytes: Integer;
  /** Of pending_bytes: shared with another process that still uses them. */
  shared_out_bytes: Integer;
  /** Number of the pool, never reused in this process. Two handles with equal serials refer to one pool. */
  serial: Integer;
  /** The pool's device. */
  device: tn_device;
  /** Of in_use_bytes: in files, see `tn_pool_set_spill`. max_size does not count them. */
  spilled_bytes: Integer;
  /** How often an array was written to a file. */
  spill_count: Integer;
  /** How often an array came back from a file. */
  unspill_count: Integer;
}
/** Where a pool spills arrays that nobody uses, see `tn_pool_set_spill`. */
export interface tn_spill_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** A folder that the process may write. Its files have no names, and end with the process at the latest. */
  folder: string | null;
  /** The most bytes in files; 0: no bound but the file system's. After a fork, of each process. */
  max_bytes: Integer;
  /** The smallest array that is spilled, bytes; 0, or less than 65537: 65537. */
  min_array_bytes: Integer;
}
/** Statistics of one size class of a pool. */
export interface tn_pool_class_stats {
  /** Usable bytes of each block; 0: blocks above the largest class, each in a span of its own. */
  block_bytes: Integer;
  /** Bytes of a span of such blocks; 0: spans of different sizes. */
  span_bytes: Integer;
  /** Live blocks. */
  live_blocks: Integer;
  /** Blocks that can be allocated without a new span; with block_bytes 0: free spans. */
  cached_blocks: Integer;
  /** Spans of such blocks, including free ones. */
  span_count: Integer;
  /** Allocations that returned TN_OK. */
  allocation_count: Integer;
  /** Of those: allocations that needed no call to the device. */
  hit_count: Integer;
  /** Zero. */
  reserved: Integer;
}
/** Statistics of one client of a pool. */
export interface tn_pool_client {
  /** TN_CLIENT_. */
  client: number;
  /** Zero. */
  reserved: number;
  /** "arrays", "raw", "numpy", ..; NUL-terminated. */
  name: string;
  /** Blocks that the client has allocated now. */
  live_blocks: Integer;
  /** Usable bytes of those blocks. */
  live_bytes: Integer;
  /** Requested bytes of those blocks. */
  requested_bytes: Integer;
  /** Largest live_bytes since the pool's creation or `tn_pool_reset_peak`. */
  peak_bytes: Integer;
  /** Allocations and reallocations that succeeded. */
  allocation_count: Integer;
  /** Allocations and reallocations that failed. */
  failure_count: Integer;
  /** Invalid frees that were refused. */
  misuse_count: Integer;
  /** Frees with a size other than the requested one; the library uses its own record. */
  mismatch_count: Integer;
}
/** Options of a new array; a NULL pointer means C order and no name. */
export interface tn_array_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** TN_ORDER_. */
  order: number;
  /** 0: no flag is defined yet. */
  flags: number;
  /** The stream that uses the array first; NULL: the thread's current stream. */
  stream: Handle | null;
  /** UTF-8, of which the first 63 bytes are copied; NULL: no name. */
  name: string | null;
}
/** The layout of elements in raw memory. */
export interface tn_layout {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** Element type. */
  dtype: number;
  /** Number of axes, 0 to TN_MAX_NDIM. */
  ndim: number;
  /** ndim lengths in elements; NULL only with ndim 0. */
  shape: Memory | null;
  /** ndim strides in bytes, signed; NULL: C order. */
  strides: Memory | null;
  /** Bytes from the pointer to element (0,..,0). */
  offset: Integer;
}
/** Properties of an array. */
export interface tn_array_info {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** Element type. */
  dtype: number;
  /** Number of axes. */
  ndim: number;
  /** Where the bytes live. */
  device: tn_device;
  /** Flags, TN_C_CONTIGUOUS .. TN_SPILLED. */
  flags: number;
  /** The form of the handle, TN_FORM_FULL .. TN_FORM_MATRIX. */
  form: number;
  /** Bytes of the elements. */
  bytes: Integer;
  /** Number of elements. */
  count: Integer;
  /** Bytes of the whole store. */
  store_bytes: Integer;
  /** Bytes from the store's start to element (0,..,0). */
  offset: Integer;
  /** NUL-terminated; empty without a name. */
  name: string;
  /** Lengths in elements; only the first ndim entries are written. */
  shape: BigInt64Array;
  /** Strides in bytes; only the first ndim entries are written. */
  strides: BigInt64Array;
}
/** What became of a value that entered or left a shared variable or a function. */
export interface tn_crossing {
  /** TN_ALIASED or TN_COPIED. */
  how: number;
  /** TN_WHY_ bits that made it a copy; 0 for an alias, and for a copy that the caller wanted. */
  why: number;
}
/** An input of a function. */
export interface tn_in {
  /** sizeof this struct, set by the caller; one size for all inputs. */
  size: Integer;
  /** At most 63 bytes of UTF-8, copied; NULL: no name. */
  name: string | null;
  /** TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_STRICT. */
  flags: number;
  /** Element type; 0: any. */
  dtype: number;
  /** The device on which the body gets the input; all zero: where the argument is. */
  device: tn_device;
  /** Number of axes; -1: any. */
  ndim: number;
  /** 0. */
  reserved: number;
  /** The value of an argument that is NULL, copied; NULL: the argument is required. */
  default_value: Handle | null;
  /** An implicit input: the value of this variable at the time of the call. It has no place among the arguments. NULL: an argument. */
  shared: Handle | null;
}
/** An output of a function. */
export interface tn_out {
  /** sizeof this struct, set by the caller; one size for all outputs. */
  size: Integer;
  /** At most 63 bytes of UTF-8, copied; NULL: no name. */
  name: string | null;
  /** TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_REUSE. */
  flags: number;
  /** Element type; 0: any. */
  dtype: number;
  /** The device on which the caller gets the output; all zero: where the body left it. */
  device: tn_device;
  /** Number of axes; -1: any. */
  ndim: number;
  /** 0. */
  reserved: number;
}
/** An update of a function: a shared variable that gets a new value in each call. */
export interface tn_update {
  /** sizeof this struct, set by the caller; one size for all updates. */
  size: Integer;
  /** The variable. The function keeps it alive. */
  target: Handle | null;
  /** 0, TN_MAY_OVERWRITE or TN_REUSE. */
  flags: number;
  /** 0. */
  reserved: number;
}
/** The description of a function. */
export interface tn_function_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** At most 63 bytes of UTF-8, copied; NULL: no name. */
  name: string | null;
  /** The body; NULL: `expr_body`. */
  body: Memory | null;
  /** The body as expressions, in place of `body`; else NULL. */
  expr_body: Memory | null;
  /** Passed to the body. */
  context: Memory | null;
  /** Called once with `context`, after the function was released and its last call has returned; may be NULL. */
  release: Memory | null;
  /** Number of inputs. */
  n_in: Integer;
  /** Number of outputs. */
  n_out: Integer;
  /** Number of updates. */
  n_update: Integer;
  /** The inputs, including the implicit ones. */
  inputs: Memory | null;
  /** The outputs. */
  outputs: Memory | null;
  /** The updates. A variable has one at most. */
  updates: Memory | null;
}
/** Where `tn_function_call_crossings` writes what became of the values of a call. */
export interface tn_call_crossings {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** An item for each input of the function, in the order of its description, including the implicit ones. */
  inputs: Memory | null;
  /** An item for each output that the caller takes. */
  outputs: Memory | null;
  /** An item for each update: TN_ALIASED if the bytes that the body left or wrote are the new value, TN_COPIED and why if the value was copied for the body to write or from what it left. 0 if the variable stays as it was. */
  updates: Memory | null;
}
/** Options of a shared variable; a NULL pointer means the defaults. */
export interface tn_shared_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** The device that keeps the value; all zero: that of the value at creation. */
  device: tn_device;
  /** The pool for copies of new values, of that device; NULL: the creating thread's current pool of it. */
  pool: Handle | null;
  /** At most 63 bytes of UTF-8, copied; NULL: the name of the value at creation. */
  name: string | null;
}
/** Properties of a shared variable and of its value. */
export interface tn_shared_info {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** The device that keeps the value. */
  device: tn_device;
  /** The device of the value at creation, to which `tn_shared_get` copies without TN_RAW. */
  home: tn_device;
  /** Element type. */
  dtype: number;
  /** Number of axes. */
  ndim: number;
  /** Flags of the value, TN_C_CONTIGUOUS .. TN_SPILLED. */
  flags: number;
  /** 1: an update in place failed, and the value is undefined until a set succeeds. Else 0. */
  is_poisoned: number;
  /** 1 at creation; incremented by each successful set and update. */
  version: Integer;
  /** Bytes of the elements. */
  bytes: Integer;
  /** Number of sets and updates that took another buffer because a holder keeps the old value. */
  detach_count: Integer;
  /** NUL-terminated; empty without a name. */
  name: string;
  /** Lengths in elements; only the first ndim entries are written. */
  shape: BigInt64Array;
}
/** How `tn_mirror_create` makes a mirror: from an object, or from `dtype`, `ndim` and `shape`. */
export interface tn_mirror_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** The array with the contents; NULL: they are undefined, and `shape` is required. */
  object: Handle | null;
  /** 0: the object is copied. TN_BORROW: it becomes a side if it can, else it is copied. TN_REQUIRE_BORROW: it becomes a side, else an error. */
  borrow_flags: number;
  /** Element type. With an object: 0, or its element type. */
  dtype: number;
  /** Number of axes of `shape`. */
  ndim: number;
  /** The order of all memory that the mirror allocates: TN_ORDER_C, TN_ORDER_F, or TN_ORDER_A, with which it is F for an object that is F- and not C-contiguous. */
  order: number;
  /** Lengths in elements, copied. With an object: NULL, or its shape. */
  shape: Memory | null;
  /** The GPU of the device side; all zero: that of an object on a GPU, else TN_CUDA 0. */
  device: tn_device;
  /** The side with the contents at first, TN_SIDE_; 0: that of the object, without an object the host's. */
  where: number;
  /** 0. */
  reserved: number;
  /** The pool of the host side, of ordinary or page-locked memory; NULL: the current pool of the host when the side is allocated. */
  host_pool: Handle | null;
  /** The pool of the device side; NULL: the current pool of the GPU when the side is allocated. */
  device_pool: Handle | null;
  /** At most 63 bytes of UTF-8, copied; NULL: that of the object. */
  name: string | null;
}
/** State and transfers of a mirror. */
export interface tn_mirror_info {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** The sides with the present contents, TN_SIDE_ bits; never 0. Without elements both. */
  valid: number;
  /** The sides that have memory, TN_SIDE_ bits. */
  allocated: number;
  /** The sides that somebody else holds by a handle, view, guard or export, TN_SIDE_ bits. */
  held: number;
  /** 1: a write failed, and the contents are undefined until the mirror is overwritten. Else 0. */
  is_poisoned: number;
  /** Number of transfers from the host side to the device side. */
  transfers_to_device: Integer;
  /** Number of transfers from the device side to the host side. */
  transfers_to_host: Integer;
  /** Bytes of the transfers to the device side. */
  bytes_to_device: Integer;
  /** Bytes of the transfers to the host side. */
  bytes_to_host: Integer;
  /** The GPU of the device side. */
  device: tn_device;
  /** Element type. */
  dtype: number;
  /** Number of axes. */
  ndim: number;
  /** Bytes of the elements. */
  bytes: Integer;
  /** NUL-terminated; empty without a name. */
  name: string;
  /** Lengths in elements; only the first ndim entries are written. */
  shape: BigInt64Array;
}
/** Options of `tn_array_open_npy`. */
export interface tn_npy_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** TN_NPY_. */
  mode: number;
  /** The file descriptor to read, used only if path is NULL. The caller keeps it and closes it. */
  fd: number;
  /** TN_NPY_COPY: the pool that the bytes are read into; NULL: the thread's current host pool. */
  pool: Handle | null;
  /** Largest accepted header, bytes; a longer one is TN_ERR_LIMIT. 0: 64 KiB. */
  max_header_bytes: Integer;
}
/** Options of `tn_array_open_safetensors`; a NULL pointer means that tensors are read into the thread's current host pool. */
export interface tn_safetensors_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** The pool that tensors are read into; NULL: the thread's current host pool. */
  pool: Handle | null;
  /** 0, TN_BORROW or TN_REQUIRE_BORROW. */
  flags: number;
  /** Zero. */
  reserved: number;
}
/** A tensor of a safetensors file. */
export interface tn_safetensors_info {
  /** Element type; 0: one that no array can have, as floats of 8 bits. */
  dtype: number;
  /** Number of axes. */
  ndim: number;
  /** Bytes of the tensor. */
  bytes: Integer;
  /** Length of the tensor's name in bytes. `name` is cut if it does not fit. */
  name_bytes: Integer;
  /** UTF-8, NUL-terminated. */
  name: string;
  /** Lengths in elements; entries from ndim on are 0. */
  shape: BigInt64Array;
  /** Zero. */
  reserved: BigUint64Array;
}
/** A slice of one axis, as in Python. */
export interface tn_slice_spec {
  /** First index; a negative one counts from the end. */
  start: Integer;
  /** One past the last index; a negative one counts from the end. */
  stop: Integer;
  /** Step, not 0; TN_NONE: 1. */
  step: Integer;
  /** Zero. */
  reserved: BigUint64Array;
}
/** One part of `tn_array_split_write`. */
export interface tn_part {
  /** The guard of this part, ended by its own `tn_borrow_end`. */
  guard: Handle | null;
  /** Address of the first element; NULL if the part is empty. */
  data: Memory | null;
  /** First index along the axis. */
  start: Integer;
  /** Number of indices along the axis. */
  length: Integer;
  /** Zero. */
  reserved: BigUint64Array;
}
/** The memory that a guard gives access to. */
export interface tn_view_info {
  /** Address of element (0,..,0); NULL if there is no element. A reader must not write there. */
  data: Memory | null;
  /** Where the bytes live. */
  device: tn_device;
  /** Number of axes. */
  ndim: number;
  /** Element type. */
  dtype: number;
  /** ndim lengths in elements, valid until the guard ends. */
  shape: Memory | null;
  /** ndim strides in bytes, valid until the guard ends. */
  strides: Memory | null;
  /** The address that a device uses; 0: no device can reach the memory. */
  device_data: Integer;
  /** Bytes of the elements. */
  bytes: Integer;
  /** Zero. */
  reserved: BigUint64Array;
}
/** One array of a `tn_borrow_all`. */
export interface tn_borrow_spec {
  /** The array. */
  array: Handle | null;
  /** The stream that accesses the bytes; NULL: the host, now. */
  stream: Handle | null;
  /** TN_READ, TN_READ_WRITE or TN_WRITE, with TN_WRITE_ mode bits, TN_FROZEN, TN_WAIT. */
  access: number;
  /** Zero. */
  reserved: Uint32Array;
}
/** The memory that an open guard gives access to. */
export interface tn_borrow_info {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** Address of element (0,..,0). */
  data: Memory | null;
  /** The address that a device uses; 0: no device can reach the memory. */
  device_data: Integer;
  /** Bytes of the elements. */
  bytes: Integer;
}
/** Properties of the array that an expression makes. */
export interface tn_expr_info {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** Element type. */
  dtype: number;
  /** Number of axes. */
  ndim: number;
  /** Form of the matrix. A diagonal matrix of n rows has the shape of its n values. */
  form: number;
  /** Zero. */
  reserved: number;
  /** Lengths in elements; only the first ndim entries are written. */
  shape: BigInt64Array;
}
/** A holder of a store, or an object that was not released. */
export interface tn_holder {
  /** TN_HOLDER_. */
  kind: number;
  /** Where the bytes live. */
  device: tn_device;
  /** Zero. */
  reserved: number;
  /** The handle's bits; with TN_HOLDER_BLOCK the address. */
  id: Integer;
  /** Bytes of its store or block. */
  bytes: Integer;
  /** The system's id of the thread that made it. */
  thread: Integer;
  /** When it was made, ns since the epoch; 0 if the time is unknown. */
  time_ns: Integer;
  /** Name of its array or pool; for a block of another library, the library's name ("numpy"). NUL-terminated. */
  name: string;
  /** Call site where it was made (TN_HERE): "step.c:41". A long one is cut at the front; "" if none. */
  site: string;
}
/** A store, or a raw block of a pool. */
export interface tn_store_info {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** Address of the first byte. */
  address: Integer;
  /** Bytes of the store or block. */
  bytes: Integer;
  /** Where the bytes live. */
  device: tn_device;
  /** TN_READONLY, TN_FOREIGN, TN_PINNED, TN_MAPPED, TN_WRITECOMBINED. */
  flags: number;
  /** Zero. */
  reserved: number;
  /** A number that grows with each finished write. */
  version: Integer;
  /** Name of its pool; "" if the bytes are of no pool. NUL-terminated. */
  pool_name: string;
}
/** A planned array, for which `tn_array_why_not` tests an array's bytes. */
export interface tn_target {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** The device where it shall live. */
  device: tn_device;
  /** Element type. */
  dtype: number;
  /** Number of axes. */
  ndim: number;
  /** ndim lengths in elements; NULL only with ndim 0. */
  shape: Memory | null;
}
/** Options of a DLPack export; a NULL pointer means a copy with the device label unchanged. */
export interface tn_dlpack_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** Any of TN_BORROW, TN_REQUIRE_BORROW, TN_EXPORT_*, TN_UNORDERED, TN_WAIT. */
  flags: number;
  /** With TN_EXPORT_WRITABLE: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0. */
  mode: number;
  /** Device type to write into the struct for page-locked and managed memory: TN_CPU, TN_CUDA, or their own; 0: the array's own. TN_CUDA requires that the memory is mapped for devices. TN_CPU is an access of the host. */
  label: number;
  /** Zero. */
  reserved: number;
  /** The device on which the consumer wants the bytes; {0, 0}: where they are. They are copied there, unless their memory can have that label. */
  target: tn_device;
  /** The stream of a consumer on a device: it is made to wait for pending work, and uses the bytes until the deleter is called. NULL: the legacy stream under the label TN_CUDA, else the host. With TN_UNORDERED the consumer orders its work itself. */
  consumer: Handle | null;
}
/** An array as the CUDA array interface describes it, version 3. */
export interface tn_cuda_array_interface {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** Device address of element (0,..,0); 0 without elements. */
  data: Integer;
  /** ndim lengths in elements. Of an export, they live as long as its guard. */
  shape: Memory | null;
  /** ndim strides in bytes, which live as long as the lengths. NULL in an import: C-contiguous. */
  strides: Memory | null;
  /** Number of axes. */
  ndim: number;
  /** 1: the consumer may only read; else 0. */
  readonly: number;
  /** 1: the elements are C-contiguous; else 0. Not read by an import. */
  c_contiguous: number;
  /** Version of the interface: 3 in an export. */
  version: number;
  /** Byte order, kind and bytes of an element, as in "<f4"; NUL-terminated. */
  typestr: string;
  /** With has_stream, the stream on which the elements are ready: 1 is the legacy default stream, 2 the per-thread one, else a CUstream. */
  stream: Integer;
  /** 0: no work on the elements is unfinished. */
  has_stream: number;
  /** Zero. */
  reserved: number;
}
/** CUDAMat's matrix: float32 on a GPU, column by column. */
export interface tn_cudamat {
  /** Not used: NULL in an export, not read by an import. */
  data_host: Memory | null;
  /** Device address of the elements: (i, j) is element i + j * size[0]. */
  data_device: Memory | null;
  /** 1: the elements are on the GPU. */
  on_device: number;
  /** 1: the elements are on the host too; 0 in an export. */
  on_host: number;
  /** Rows and columns. */
  size: Int32Array;
  /** 1: the matrix is the transpose of what the other fields describe; 0 in an export. */
  is_trans: number;
  /** 1: CUDAMat frees the elements; 0 in an export. */
  owns_data: number;
}
/** How `tn_log_start` records. */
export interface tn_log_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** TN_LOG_ bits: what is recorded; 0: everything. */
  kinds: number;
  /** 0. */
  reserved: number;
  /** The file that the events go to; a regular file of that name is replaced. NULL: memory, which keeps the newest events. */
  path: string | null;
  /** The most bytes that the log may have: at least 1 MiB, rounded down to a multiple of 64 KiB. An event has 64 bytes. 0: 16 MiB in memory, 1 GiB in a file. */
  capacity: Integer;
}
/** What `tn_log_query` reports. */
export interface tn_log_stats {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** TN_LOG_ bits that are recorded; 0: no log runs. */
  kinds: number;
  /** 1: the events go to a file. */
  is_file: number;
  /** Events in the log; a name counts as two. */
  events: Integer;
  /** Events that newer ones have overwritten. */
  overwritten: Integer;
  /** Events that found no room. */
  dropped: Integer;
  /** The most bytes that the log may have. */
  capacity: Integer;
}
/** All copies of imports, exports and writes with one function, call site and reason. */
export interface tn_copy_site {
  /** The name of the tn_ function; static text. */
  function: string | null;
  /** The call site (TN_HERE); "" if none. */
  site: string;
  /** TN_WHY_ bits. */
  why: number;
  /** 1: the caller would have accepted an alias; 0: the caller asked for a copy. */
  forced: number;
  /** Number of copies. */
  count: Integer;
  /** Bytes of those. */
  bytes: Integer;
  /** Zero. */
  reserved: Integer;
}
/** Threads of the caller on which large copies and kernels of the host may run. */
export interface tn_runner {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** The function that runs tasks; NULL: no runner. */
  run: Memory | null;
  /** First argument of `run`. It must stay valid while the runner is current on any thread. */
  context: Memory | null;
  /** Largest number of tasks per copy or launch; 0 and 1: the work is not divided. */
  threads: Integer;
  /** Copies of fewer bytes stay on the calling thread; 0: 1 MiB. */
  least_bytes: Integer;
}
/** One array in the memory of a thread block. */
export interface tn_block_item {
  /** The element type. */
  dtype: number;
  /** Zero. */
  reserved: number;
  /** The number of elements, 0 or more. */
  count: Integer;
  /** Alignment of the first element in bytes: a power of two from 1 to 128; 0: the size of an element. */
  align: Integer;
}
/** An argument of a launch. */
export interface tn_arg {
  /** TN_ARG_. */
  kind: number;
  /** Arrays and mirrors: TN_READ, TN_READ_WRITE, or TN_WRITE, which overwrites every element; each may add TN_WAIT. Arrays: TN_READ may add TN_FROZEN, a writing access a TN_WRITE_ mode, and each but a frozen one TN_ALLOW_ALIAS. Not used for values. */
  access: number;
  /** TN_ARG_ARRAY, TN_ARG_MIRROR: the N of the kernel's tn_view<T, N>, 1 to 8. An array without axes is passed as one axis of length 1, for which 0 is accepted too. Not used otherwise. */
  ndim: number;
  /** Zero. */
  reserved: number;
  /** The `tn_array *`, the `tn_mirror *`, or the address of the value. */
  what: Memory | null;
  /** TN_ARG_VALUE: the bytes of the value, at least 1. Not used otherwise. */
  bytes: Integer;
}
/** A block of a kernel of the host. */
export interface tn_host_block {
  /** sizeof this struct, set by the library. */
  size: Integer;
  /** The blocks of the launch. */
  grid: Uint32Array;
  /** The threads of a block, which the function runs itself. */
  block: Uint32Array;
  /** The position of this block in the grid. */
  index: Uint32Array;
  /** Zero. */
  reserved: number;
  /** The block memory, aligned to 128 bytes; NULL if the launch asks for none. Its contents are undefined. No other block uses it at the same time. */
  memory: Memory | null;
  /** Bytes of it. */
  memory_bytes: Integer;
}
/** What a launch runs, and how often. */
export interface tn_launch_config {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** A kernel of a GPU: a CUfunction, or a CUkernel of a library (CUDA 12.0); or NULL. */
  function: Memory | null;
  /** The blocks in each of three directions, at least 1. */
  grid: Uint32Array;
  /** The threads of a block in each of three directions, at least 1. */
  block: Uint32Array;
  /** Bytes of dynamic block memory (CUDA's dynamic shared memory) of each block. The limit of the function is raised where necessary. */
  block_bytes: Integer;
  /** The stream that runs the kernel. A constant means that stream of the GPU of the first argument that is memory of a GPU, or else of the GPU of the thread's current context. NULL: the current stream there, for which the call waits. */
  stream: Handle | null;
  /** A kernel of the host, in place of `function`; else NULL. */
  host_function: Memory | null;
  /** TN_LAUNCH_ flags, for a kernel of a GPU. */
  flags: number;
  /** The blocks of a cluster in each of three directions, for a kernel of a GPU with compute capability 9.0 or newer; the grid is a multiple of it. All 0: no cluster, or the one that the kernel was compiled for. */
  cluster: Uint32Array;
}
/** How `tn_module_load` and `tn_module_compile` make a module. */
export interface tn_module_options {
  /** sizeof this struct, set by the caller. */
  size: Integer;
  /** The name of the module in messages, reports, and the compiler's log: at most 63 bytes of UTF-8, copied. */
  name: string | null;
  /** `tn_module_compile`: "compute_80" makes PTX, which newer GPUs run too. "sm_80" makes a cubin for these GPUs, which older drivers run too. NULL: a cubin where all GPUs of the process are of one kind that the compiler knows, else PTX for the oldest of them; without a GPU, for the compiler's default. */
  arch: string | null;
  /** `tn_module_compile`: options of NVRTC, such as "-DTILE=16" and "--use_fast_math". */
  options: Memory | null;
  /** Number of `options`. */
  n_options: Integer;
  /** `tn_module_compile`: where the compiler's log goes, also after a failure, with a NUL and cut to `log_capacity`. NULL only with capacity 0. */
  log: Memory | null;
  /** Bytes of `log`. */
  log_capacity: Integer;
  /** `tn_module_compile`: where the length of the whole log goes, without its NUL; or NULL. */
  log_length: Memory | null;
}

/** The functions. A status other than TN_OK is thrown as a TenureError; outputs are returned. */
export interface Functions {
  /** Returns the version of the loaded library, encoded as TN_VERSION. */
  tn_version(): number;
  /** Returns the symbolic name of a status. */
  tn_status_name(status: number): string | null;
  /** Returns the message of this thread's last failed call: the function, what was wrong, the offending values, what to do. */
  tn_last_error(): string | null;
  /** Sets an option of the whole process. */
  tn_option_set(name: string, value: string): void;
  /** Writes the value of an option, as text that `tn_option_set` accepts. */
  tn_option_get(name: string, capacity: Integer, text: Memory | null): Integer;
  /** Sets this thread's call site. */
  tn_here(file: string | null, line: number): void;
  /** Runs the release callbacks that TN_RELEASE_QUEUED delayed, in the order in which they were queued. */
  tn_run_releases(n_run: Memory | null): void;
  /** Makes an array of new bytes with undefined contents. */
  tn_array_empty(pool: Handle | null, dtype: number, ndim: number, shape: Memory | null, options: Partial<tn_array_options> | null): Handle;
  /** Makes an array of new bytes that are all 0. */
  tn_array_zeros(pool: Handle | null, dtype: number, ndim: number, shape: Memory | null, options: Partial<tn_array_options> | null): Handle;
  /** Makes an array whose elements all have one value. */
  tn_array_full(pool: Handle | null, dtype: number, ndim: number, shape: Memory | null, value: Memory, options: Partial<tn_array_options> | null): Handle;
  /** Makes an array with the type and shape of another one, of new bytes with undefined contents. */
  tn_array_like(prototype: Handle, pool: Handle | null, options: Partial<tn_array_options> | null): Handle;
  /** Makes an array from the caller's host memory: an alias or a copy, as the flags say. */
  tn_array_import_host(ptr: Memory | null, layout: Partial<tn_layout>, flags: number, release: bigint | null, context: Memory | null, how: Memory | null): Handle;
  /** Describes an array: type, shape, strides, device, flags, form, bytes, name. */
  tn_array_query(array: Handle): tn_array_info;
  /** Sets the name of the array in messages and reports. */
  tn_array_set_name(array: Handle, name: string | null): void;
  /** Sets whether the pool of an array may spill its bytes, see `tn_pool_set_spill`. */
  tn_array_set_spillable(array: Handle, on: number): void;
  /** Sets the form of a matrix: what expressions take the array for. */
  tn_array_set_form(array: Handle, form: number): void;
  /** Makes a new handle on the pool of an array's bytes. */
  tn_array_pool(array: Handle): Handle;
  /** Waits until the device work on an array is done, so that the host may access the bytes, and brings them back if they were spilled. */
  tn_array_wait(array: Handle, access: number): void;
  /** Makes another handle with its own claim on the same bytes, and with the same layout, form and name. */
  tn_array_clone(array: Handle): Handle;
  /** Copies an array to new bytes. */
  tn_array_copy(array: Handle, pool: Handle | null, stream: Handle | null): Handle;
  /** Releases an array handle and its claim. */
  tn_array_release(array: Handle): void;
  /** Makes a weak handle, which keeps the layout but has no claim on the bytes. */
  tn_array_weaken(array: Handle): Handle;
  /** Makes an array handle, with a claim, from a weak handle. */
  tn_weak_upgrade(weak: Handle): Handle;
  /** Releases a weak handle. */
  tn_weak_release(weak: Handle): void;
  /** Opens a `.npy` file as an array: maps it, or reads it into a pool's memory. */
  tn_array_open_npy(path: string | null, options: Partial<tn_npy_options> | null): Handle;
  /** Opens an array in `.npy` format that begins at any byte of an open file, as `tn_array_open_npy` does. */
  tn_array_open_npy_fd(fd: number, offset: Integer, options: Partial<tn_npy_options> | null, end: Memory | null): Handle;
  /** Saves an array as a `.npy` file for NumPy, in C order, or in F order if the array is only F-contiguous. */
  tn_array_save_npy(array: Handle, path: string, flags: number): void;
  /** Writes an array in `.npy` format to an open file, pipe or socket, at the descriptor's position, which is behind the data afterwards. */
  tn_array_save_npy_fd(array: Handle, fd: number, flags: number): void;
  /** Opens a read guard: until it ends, no other guard of this library may write the bytes. */
  tn_array_borrow_read(array: Handle, flags: number, stream: Handle | null, data: Memory | null, view: Memory | null): Handle;
  /** Opens a write guard: until it ends, no other guard of this library may read or write the bytes. */
  tn_array_borrow_write(array: Handle, mode: number, stream: Handle | null, data: Memory | null, view: Memory | null): Handle;
  /** Opens one guard on several arrays, all or none. */
  tn_borrow_all(n_specs: Integer, specs: Partial<tn_borrow_spec>[] | null, views: Memory | null): Handle;
  /** Opens write guards on consecutive parts of an axis, so that each part can be written by its own thread. */
  tn_array_split_write(array: Handle, axis: number, n_parts: Integer, mode: number, stream: Handle | null, parts: Memory): void;
  /** Describes the memory that an open guard gives access to. */
  tn_borrow_query(borrow: Handle): tn_borrow_info;
  /** Writes what a kernel gets of the memory of an open guard, for callers that launch their kernels themselves. */
  tn_borrow_kernel_view(borrow: Handle, ndim: number, bytes: Integer, out: Memory): void;
  /** Ends a guard of any kind. */
  tn_borrow_end(borrow: Handle, flags: number, stream: Handle | null): void;
  /** Accepts the bytes of an array as they are, after a writer that failed: they count as written. */
  tn_array_heal(array: Handle): void;
  /** Makes a view with another shape and the same elements in the same order. */
  tn_array_reshape(array: Handle, ndim: number, shape: Memory | null, order: number): Handle;
  /** Makes a one-dimensional view of all elements. */
  tn_array_ravel(array: Handle, order: number): Handle;
  /** Makes a view with all axes reversed. */
  tn_array_transpose(array: Handle): Handle;
  /** Makes a view with the axes in another order. */
  tn_array_permute(array: Handle, ndim: number, axes: Memory | null): Handle;
  /** Makes a view of a part of an array. */
  tn_array_slice(array: Handle, n_specs: Integer, specs: Partial<tn_slice_spec>[] | null): Handle;
  /** Makes a view of the elements at one index of an axis. */
  tn_array_index(array: Handle, axis: number, index: Integer): Handle;
  /** Makes a view without axes of length 1. */
  tn_array_squeeze(array: Handle, n_axes: Integer, axes: Memory | null): Handle;
  /** Makes a view with a new axis of length 1. */
  tn_array_expand(array: Handle, axis: number): Handle;
  /** Broadcasts an array to a larger shape, with NumPy's rules: shapes are aligned at the last axis, and lengths of 1 are stretched. */
  tn_array_broadcast(array: Handle, ndim: number, shape: Memory | null): Handle;
  /** Splits an axis into a given number of consecutive views, whose lengths differ by at most 1, the longer ones first. */
  tn_array_split(array: Handle, axis: number, n_parts: Integer, capacity: Integer, outs: Memory | null): Integer;
  /** Splits an axis into consecutive views of a given length, of which the last may be shorter. */
  tn_array_chunks(array: Handle, axis: number, length: Integer, capacity: Integer, outs: Memory | null): Integer;
  /** Makes a view of the same bytes as another element type. */
  tn_array_view_dtype(array: Handle, dtype: number): Handle;
  /** Tests whether two arrays overlap in memory. */
  tn_array_overlap(a: Handle, b: Handle): number;
  /** Gives an array away: makes a promise not to use the handle again, which `tn_take` or `tn_enter` opens. */
  tn_array_give(array: Handle, n_required: Integer): Handle;
  /** Cancels a promise, so that the giver can use its array again. */
  tn_promise_cancel(promise: Handle): void;
  /** Releases a promise. */
  tn_promise_release(promise: Handle): void;
  /** Takes arrays: opens promises, all or none, and makes a new handle for each. */
  tn_take(n_promises: Integer, promises: Memory | null, out: Memory | null): void;
  /** Enters a scope: the callee gets its own handle for every parameter, all or none. */
  tn_enter(n_params: Integer, params: Memory | null, out: Memory | null): Handle;
  /** Leaves a scope: releases its remaining handles, in the order of its parameters. */
  tn_leave(scope: Handle, n_keep: Integer, keep: Memory | null): void;
  /** Tests whether this handle is the only holder of its store: no other claims, guards or exports. */
  tn_array_is_unique(array: Handle): number;
  /** Lists the reasons why the array's bytes cannot be overwritten in place, and the holders of the store. */
  tn_array_why_not(array: Handle, target: Partial<tn_target> | null, item_size: Integer, capacity: Integer, holders: Memory | null): { bits: number; n_holders: Integer };
  /** Finds the store or raw block of some bytes, and its holders. */
  tn_holders_of(ptr: Memory, bytes: Integer, item_size: Integer, capacity: Integer, store: Memory | null, holders: Memory | null): Integer;
  /** Finds the store of an array, and its holders. */
  tn_array_holders(array: Handle, item_size: Integer, capacity: Integer, store: Memory | null, holders: Memory | null): Integer;
  /** Creates a pool on a device. */
  tn_pool_create(device: tn_device, options: Partial<tn_pool_options> | null): Handle;
  /** Creates a pool that allocates and deallocates its memory through the caller's callbacks. */
  tn_pool_import(device: tn_device, upstream: Partial<tn_upstream>, options: Partial<tn_pool_options> | null): Handle;
  /** Makes a new handle on the process-wide default pool of a device: the pool that `tn_pool_set_default` set, else the initial default pool, which is created at its first use and lives until the process ends. */
  tn_pool_default(device: tn_device): Handle;
  /** Sets the process-wide default pool of the pool's device: the meaning of NULL as a pool on all threads that set no current pool. */
  tn_pool_set_default(pool: Handle | null): void;
  /** Sets the thread's current pool of the pool's device: the meaning of NULL as a pool on this thread. */
  tn_pool_set_current(pool: Handle | null): void;
  /** Makes a new handle on the thread's current pool of a device, which at first is the default pool. */
  tn_pool_current(device: tn_device): Handle;
  /** Releases a handle on a pool. */
  tn_pool_release(pool: Handle): void;
  /** Allocates a raw block with undefined contents. */
  tn_pool_allocate(pool: Handle | null, bytes: Integer, alignment: Integer, stream: Handle | null): bigint;
  /** Allocates a raw block whose first `bytes` bytes are 0. */
  tn_pool_allocate_zeroed(pool: Handle | null, bytes: Integer, alignment: Integer, stream: Handle | null): bigint;
  /** Resizes a raw block: in place if there is room, else by moving its pages or copying its bytes. */
  tn_pool_reallocate(pool: Handle | null, ptr: Memory | null, bytes: Integer, stream: Handle | null): bigint;
  /** Frees a raw block. */
  tn_pool_deallocate(pool: Handle | null, ptr: Memory | null, stream: Handle | null): void;
  /** Records that a raw block is also used on another stream than the one on which it will be freed. */
  tn_pool_record_use(pool: Handle | null, ptr: Memory, stream: Handle | null): void;
  /** Lets another pool serve the requests for a pool's memory on a stream, until `tn_pool_private_end`: `tn_pool_allocate`, `tn_pool_allocate_zeroed` and new arrays. */
  tn_pool_private_begin(pool: Handle, private_pool: Handle, stream: Handle | null): void;
  /** Ends what `tn_pool_private_begin` began: the pool serves its requests on the stream itself. */
  tn_pool_private_end(pool: Handle, stream: Handle): void;
  /** Makes a new handle on the pool whose live block, raw or of an array, contains an address. */
  tn_pool_of(ptr: Memory): Handle;
  /** Writes the usable size of a live block: at least the requested size. */
  tn_pool_usable_size(ptr: Memory): Integer;
  /** Writes the statistics of a pool, a snapshot of one moment. */
  tn_pool_query(pool: Handle | null): tn_pool_stats;
  /** Resets the peaks of a pool to the current values. */
  tn_pool_reset_peak(pool: Handle | null): void;
  /** Returns cached memory to the device, longest unused first, until at most `keep_bytes` are cached or no whole segment is free. */
  tn_pool_trim(pool: Handle | null, keep_bytes: Integer, released_bytes: Memory | null): void;
  /** Lets a pool of ordinary host memory spill: at its limit, it writes arrays that nobody uses to files, and frees their memory, before a request fails with TN_ERR_POOL_LIMIT. */
  tn_pool_set_spill(pool: Handle | null, options: Partial<tn_spill_options> | null): void;
  /** Spills arrays that nobody uses now, the one that was used longest ago first, until at least `bytes` bytes of memory are free or none is left. */
  tn_pool_spill(pool: Handle | null, bytes: Integer, spilled_bytes: Memory | null): void;
  /** Lists the size classes of a pool that were ever used. */
  tn_pool_query_classes(pool: Handle | null, item_size: Integer, capacity: Integer, classes: Memory | null): Integer;
  /** Lists the clients of a pool with their statistics: arrays, raw blocks, and each library that allocates from it. */
  tn_pool_query_clients(pool: Handle | null, item_size: Integer, capacity: Integer, clients: Memory | null): Integer;
  /** Registers a callback for when the pool is out of memory: after the cached memory of all pools of the device was released, and before the request fails. */
  tn_pool_on_pressure(pool: Handle | null, callback: bigint, context: Memory | null, release: bigint | null): void;
  /** Ends a registration. */
  tn_pool_off_pressure(pool: Handle | null, callback: bigint, context: Memory | null): void;
  /** Copies the elements of one array into another. */
  tn_array_copy_into(source: Handle, destination: Handle, mode: number, stream: Handle | null): void;
  /** Copies an array to a new array on a device, even if the array is on that device already. */
  tn_array_to_device(array: Handle, device: tn_device, pool: Handle | null, stream: Handle | null): Handle;
  /** Moves a given array to a device: takes the promise, copies the elements to a new array there, and releases the old bytes. */
  tn_promise_to_device(promise: Handle, device: tn_device, pool: Handle | null, stream: Handle | null): Handle;
  /** Copies an array's elements into raw host memory. */
  tn_array_copy_to_host(array: Handle, ptr: Memory | null, layout: Partial<tn_layout> | null, stream: Handle | null): void;
  /** Copies elements from raw host memory into an array. */
  tn_array_copy_from_host(array: Handle, ptr: Memory | null, layout: Partial<tn_layout> | null, mode: number, stream: Handle | null): void;
  /** Overwrites every element of an array with one value. */
  tn_array_fill(array: Handle, value: Memory, mode: number, stream: Handle | null): void;
  /** Overwrites every byte of an array's elements with 0. */
  tn_array_clear(array: Handle, mode: number, stream: Handle | null): void;
  /** Page-locks the caller's memory, so that devices can copy it directly, and makes a one-dimensional array of u8 on TN_CUDA_HOST from it. */
  tn_host_register(ptr: Memory, bytes: Integer, flags: number): Handle;
  /** Advises the driver how managed memory will be used. */
  tn_array_advise(array: Handle, advice: number, device: tn_device): void;
  /** Moves managed memory to the device where it will be used next. */
  tn_array_prefetch(array: Handle, device: tn_device, stream: Handle | null): void;
  /** Counts the devices of a type. */
  tn_device_count(type: number): Integer;
  /** Describes a device. */
  tn_device_query(device: tn_device, flags: number): tn_device_info;
  /** Waits for all work on a device, whoever issued it. */
  tn_device_synchronize(device: tn_device): void;
  /** Creates a stream: a queue of work on a GPU that is executed in order, concurrently with other streams. */
  tn_stream_create(device: tn_device, flags: number, priority: number): Handle;
  /** Makes a handle on another library's stream. */
  tn_stream_import(device: tn_device, native: Integer): Handle;
  /** Writes the CUstream of a stream, for other libraries. */
  tn_stream_native(stream: Handle): Integer;
  /** Waits until all work issued on a stream so far is done. */
  tn_stream_synchronize(stream: Handle): void;
  /** Sets the calling thread's current stream of a device: the meaning of TN_STREAM_CURRENT there, and of NULL as the stream of a pool call. */
  tn_stream_set_current(device: tn_device, stream: Handle | null): void;
  /** Makes a handle on the calling thread's current stream of a device. */
  tn_stream_current(device: tn_device): Handle;
  /** Makes a stream the thread's current one until `tn_stream_leave`. */
  tn_stream_enter(device: tn_device, stream: Handle, flags: number): Handle;
  /** Leaves a scope: restores the current stream from before the scope, whatever was set inside it. */
  tn_stream_leave(scope: Handle): void;
  /** Makes the work that is issued on a stream from now on wait for an event. */
  tn_stream_wait_event(stream: Handle, event: Handle): void;
  /** Returns TN_STREAM_LEGACY, for languages that cannot use pointer constants of a C header. */
  tn_stream_legacy(): Handle | null;
  /** Returns TN_STREAM_PER_THREAD, for languages that cannot use pointer constants of a C header. */
  tn_stream_per_thread(): Handle | null;
  /** Returns TN_STREAM_CURRENT, for languages that cannot use pointer constants of a C header. */
  tn_stream_of_thread(): Handle | null;
  /** Releases a handle on a stream. */
  tn_stream_release(stream: Handle): void;
  /** Creates an event. */
  tn_event_create(device: tn_device, flags: number): Handle;
  /** Records an event after all work issued on a stream so far. */
  tn_event_record(event: Handle, stream: Handle): void;
  /** Waits until the work before an event is done. */
  tn_event_synchronize(event: Handle): void;
  /** Tests whether the work before an event is done. */
  tn_event_query(event: Handle): number;
  /** Computes the time between two events, by the device's clock. */
  tn_event_elapsed(start: Handle, end: Handle): Integer;
  /** Releases an event. */
  tn_event_release(event: Handle): void;
  /** Sets the runner of this thread: a function that spreads its large copies, and the blocks of kernels of the host that it launches, over threads of the caller. */
  tn_runner_set_current(runner: Partial<tn_runner> | null): void;
  /** Writes the runner of this thread, for a later `tn_runner_set_current`. */
  tn_runner_current(): tn_runner;
  /** Exports an array as raw host bytes with a layout, for consumers without an exchange format. */
  tn_array_export_host(array: Handle, flags: number, mode: number, stream: Handle | null, how: Memory | null): { view: tn_view_info; guard: Handle };
  /** Exports an array as a DLManagedTensor: the DLPack struct without a version, which cannot express "read-only". */
  tn_array_export_dlpack(array: Handle, options: Partial<tn_dlpack_options> | null, how: Memory | null): bigint;
  /** Exports an array as a DLManagedTensorVersioned of version 1.1, with its flags for read-only and copied. */
  tn_array_export_dlpack_versioned(array: Handle, options: Partial<tn_dlpack_options> | null, how: Memory | null): bigint;
  /** Makes an array from a DLManagedTensor. */
  tn_array_import_dlpack(tensor: Memory, flags: number, how: Memory | null): Handle;
  /** Makes an array from a DLManagedTensorVersioned. */
  tn_array_import_dlpack_versioned(tensor: Memory, flags: number, how: Memory | null): Handle;
  /** Gets DLPack's table of C functions, with which other libraries exchange arrays with the Python package without a call into the interpreter. */
  tn_dlpack_exchange_api(): bigint;
  /** Exports an array that devices can access, as the CUDA array interface describes it. */
  tn_array_export_cuda_array_interface(array: Handle, flags: number, mode: number, stream: Handle | null, how: Memory | null): { out: tn_cuda_array_interface; guard: Handle };
  /** Makes an array of memory that the CUDA array interface of another library describes. */
  tn_array_import_cuda_array_interface(source: Partial<tn_cuda_array_interface>, flags: number, release: bigint | null, context: Memory | null, how: Memory | null): Handle;
  /** Exports an array as CUDAMat's matrix of float32. */
  tn_array_export_cudamat(array: Handle, flags: number, mode: number, how: Memory | null): { out: tn_cudamat; guard: Handle };
  /** Makes an array of the elements of CUDAMat's matrix. */
  tn_array_import_cudamat(source: Partial<tn_cudamat>, flags: number, release: bigint | null, context: Memory | null, how: Memory | null): Handle;
  /** Exports an array through Arrow's C data interface. */
  tn_array_export_arrow(array: Handle, flags: number, schema: Memory, out: Memory, how: Memory | null): void;
  /** Exports an array through Arrow's C device interface: as `tn_array_export_arrow`, from any memory. */
  tn_array_export_arrow_device(array: Handle, flags: number, schema: Memory, out: Memory, how: Memory | null): void;
  /** Makes an array from an Arrow array of numbers, or of fixed-size lists of numbers. */
  tn_array_import_arrow(schema: Memory, source: Memory, flags: number, how: Memory | null): Handle;
  /** Makes an array from an Arrow device array in memory of the host or of a GPU. */
  tn_array_import_arrow_device(schema: Memory, source: Memory, flags: number, how: Memory | null): Handle;
  /** Exports an array to other processes. */
  tn_array_export_ipc(array: Handle, flags: number, capacity: Integer, descriptor: Memory, how: Memory | null): { descriptor_bytes: Integer; fd: number; guard: Handle };
  /** Makes an array of the bytes that another process exported, or this one. */
  tn_array_import_ipc(descriptor: Memory, descriptor_bytes: Integer, fd: number, flags: number, how: Memory | null): Handle;
  /** Lists the tensors of a safetensors file, in the order of their bytes. */
  tn_safetensors_query(path: string, item_size: Integer, capacity: Integer, infos: Memory | null): Integer;
  /** Lists the tensors of an open safetensors file, as `tn_safetensors_query` does. */
  tn_safetensors_query_fd(fd: number, offset: Integer, item_size: Integer, capacity: Integer, infos: Memory | null): Integer;
  /** Opens tensors of a safetensors file by their names, all or none. */
  tn_array_open_safetensors(path: string, n_names: Integer, names: Memory | null, options: Partial<tn_safetensors_options> | null, out: Memory | null, how: Memory | null): void;
  /** Opens tensors of an open safetensors file by their names, all or none, as `tn_array_open_safetensors` does. */
  tn_array_open_safetensors_fd(fd: number, offset: Integer, n_names: Integer, names: Memory | null, options: Partial<tn_safetensors_options> | null, out: Memory | null, how: Memory | null): void;
  /** Computes where several arrays lie in the memory of a thread block (CUDA's shared memory), and how many bytes they need. */
  tn_block_layout(n_items: Integer, items: Partial<tn_block_item>[] | null, offsets: Memory | null): Integer;
  /** Writes a report as JSON: every pool with its statistics and clients, every store with its holders, their call sites and ages, raw blocks by call site, other open objects, the copy book, and the copies of this library in the process. */
  tn_report_json(flags: number, capacity: Integer, text: Memory | null): Integer;
  /** Saves a page for a browser: a map of the memory, the arrays with their holders, the copy book, pools and limits. */
  tn_report_html(flags: number, path: string): void;
  /** Writes the page of `tn_report_html` into memory. */
  tn_report_html_text(flags: number, capacity: Integer, text: Memory | null): Integer;
  /** Lists the copy book: the copies of imports, exports and copy-on-write, added up by function, call site and reason, most bytes first. */
  tn_copies_query(item_size: Integer, capacity: Integer, sites: Memory | null): Integer;
  /** Forbids copies on this thread where the caller would have accepted an alias. */
  tn_copies_forbid(on: number): void;
  /** Lists every object that was not released so far: handles, guards, exports, promises, weak handles, scopes, expressions, shared variables, functions, pools, raw blocks of pools, queued release callbacks. */
  tn_leaks(item_size: Integer, capacity: Integer, leaks: Memory | null): Integer;
  /** Begins to record events: what happens to the memory of all pools and arrays of the process, with times, threads and call sites. */
  tn_log_start(options: Partial<tn_log_options> | null): void;
  /** Ends the log. */
  tn_log_stop(): void;
  /** Saves the log that is in memory, as a file of the format that a log in a file has. */
  tn_log_save(path: string): void;
  /** Reports how many events the log has: the one that runs, or the last one, if it was in memory. */
  tn_log_query(): tn_log_stats;
  /** Gets the table of operations with which UMF makes Tenure pools over its providers (umfPoolCreate). */
  tn_umf_pool_ops(version: number): bigint;
  /** Gets the table of operations with which UMF makes providers over Tenure pools (umfMemoryProviderCreate). */
  tn_umf_provider_ops(version: number): bigint;
  /** Allocates a block for a C++ container; tenure_memory.hpp uses it. */
  tn_cpp_allocate(pool: Handle | null, bytes: Integer, alignment: Integer): bigint;
  /** Frees a block from `tn_cpp_allocate`. */
  tn_cpp_deallocate(pool: Handle | null, ptr: Memory | null): void;
  /** Makes a leaf of an expression from an array. */
  tn_expr_leaf(array: Handle, form: number): Handle;
  /** Makes the sum x + y. */
  tn_expr_add(x: Handle, y: Handle): Handle;
  /** Makes the difference x - y, with the forms of `tn_expr_add`. */
  tn_expr_subtract(x: Handle, y: Handle): Handle;
  /** Makes the product of a matrix and a matrix or vector. */
  tn_expr_multiply(m: Handle, x: Handle): Handle;
  /** Makes the lower Cholesky factor of a symmetric positive definite matrix. */
  tn_expr_cholesky(x: Handle): Handle;
  /** Makes the LU factors of a square matrix, with partial pivoting, for several uses: `tn_expr_solve` with them as m solves the equations of x, `tn_expr_multiply` with them as m multiplies by x, `tn_expr_transpose` makes them those of the transpose, and `tn_expr_lu_part` shows them. */
  tn_expr_lu(x: Handle): Handle;
  /** Makes a part of LU factors: with P, L and U, the matrix is P * L * U. */
  tn_expr_lu_part(factors: Handle, part: number): Handle;
  /** Makes the solution x of m * x = b. */
  tn_expr_solve(m: Handle, b: Handle): Handle;
  /** Makes the product of x and a number, in the form of x. */
  tn_expr_scale(x: Handle, factor: number): Handle;
  /** Makes the transpose of x: another view of its bytes, which moves no element. */
  tn_expr_transpose(x: Handle): Handle;
  /** Makes the sum over one axis or over all axes, of a diagonal matrix too. */
  tn_expr_sum(x: Handle, axis: number): Handle;
  /** Makes an operation that is applied element by element to operands of any shape; two operands have equal shapes. */
  tn_expr_elementwise(op: number, x: Handle, y: Handle | null): Handle;
  /** Makes the matrix of x with all its elements, also the zeros of a diagonal or a triangle, in full form. */
  tn_expr_dense(x: Handle): Handle;
  /** Describes the array that an expression makes: its type, its form and its shape. */
  tn_expr_query(expr: Handle): tn_expr_info;
  /** Computes an expression, and makes an array of its value, which has the form that `tn_expr_explain` tells. */
  tn_expr_compute(expr: Handle, flags: number): Handle;
  /** Releases an expression. */
  tn_expr_release(expr: Handle): void;
  /** Explains what computing an expression would do now: for each operation, which operand its result overwrites, or why none. */
  tn_expr_explain(expr: Handle, format: number, capacity: Integer, text: Memory | null): Integer;
  /** Creates a shared variable from an array. */
  tn_shared_create(value: Handle, flags: number, options: Partial<tn_shared_options> | null, crossing: Memory | null): Handle;
  /** Reads a shared variable. */
  tn_shared_get(shared: Handle, flags: number, crossing: Memory | null): Handle;
  /** Replaces the value of a shared variable. */
  tn_shared_set(shared: Handle, value: Handle, flags: number, crossing: Memory | null): void;
  /** Changes the value of a shared variable by a callback. */
  tn_shared_update(shared: Handle, flags: number, callback: bigint, context: Memory | null, crossing: Memory | null): void;
  /** Begins to change the value of a shared variable. */
  tn_shared_update_begin(shared: Handle, flags: number, crossing: Memory | null): Handle;
  /** Ends an update of a shared variable. */
  tn_shared_update_end(shared: Handle, flags: number): void;
  /** Queries a shared variable. */
  tn_shared_query(shared: Handle): tn_shared_info;
  /** Releases a shared variable. */
  tn_shared_release(shared: Handle): void;
  /** Creates a function: code of the program, which the library calls with declared inputs, outputs and updates. */
  tn_function_create(options: Partial<tn_function_options>): Handle;
  /** Calls a function. */
  tn_function_call(function_: Handle, n_in: Integer, in_: Memory | null, n_out: Integer, out: Memory | null, in_crossings: Memory | null, out_crossings: Memory | null): void;
  /** Calls a function as `tn_function_call`, and tells of every value what became of it: also of the implicit inputs, and of the variables that the call changes. */
  tn_function_call_crossings(function_: Handle, n_in: Integer, in_: Memory | null, n_out: Integer, out: Memory | null, crossings: Partial<tn_call_crossings>): void;
  /** Makes a READONLY handle on the default value of an input: on the function's own copy, which no call changes. */
  tn_function_default(function_: Handle, index: Integer): Handle;
  /** Releases a function. */
  tn_function_release(function_: Handle): void;
  /** Creates a mirror: one array with a side on the host and a side on a GPU, of which one or both are valid. */
  tn_mirror_create(options: Partial<tn_mirror_options>, crossing: Memory | null): Handle;
  /** Makes a side valid and borrows it. */
  tn_mirror_acquire(mirror: Handle, side: number, access: number, stream: Handle | null, data: Memory | null, view: Memory | null): Handle;
  /** Makes a side valid, and returns an array handle on it. */
  tn_mirror_get(mirror: Handle, side: number): Handle;
  /** Makes a side the only valid one, after bytes of it were changed in a way that the library does not see: through a shared view, or through a raw pointer. */
  tn_mirror_mark_changed(mirror: Handle, side: number): void;
  /** Queries state and transfers of a mirror. */
  tn_mirror_query(mirror: Handle): tn_mirror_info;
  /** Releases a mirror. */
  tn_mirror_release(mirror: Handle): void;
  /** Makes a module of an image: PTX, a cubin or a fatbin. */
  tn_module_load(image: Memory, bytes: Integer, options: Partial<tn_module_options> | null): Handle;
  /** Compiles CUDA C++ with NVRTC, CUDA's compiler library, and makes a module of the result. */
  tn_module_compile(source: string, options: Partial<tn_module_options> | null): Handle;
  /** Finds a kernel of a module on a GPU, for `tn_launch`. */
  tn_module_function(module: Handle, name: string, device: tn_device): bigint;
  /** Releases a module, also while its kernels run. */
  tn_module_release(module: Handle): void;
  /** Launches a kernel, which borrows the arrays among its arguments as their access says. */
  tn_launch(config: Partial<tn_launch_config>, n_args: Integer, args: Partial<tn_arg>[] | null): void;
  /** Makes the struct with which NumPy allocates from a pool: a PyDataMem_Handler of version 1 (NEP 49), to be put into a capsule named "mem_handler" for PyDataMem_SetHandler. */
  tn_numpy_handler(pool: Handle | null): bigint;
  /** Allocates a block of a GPU for PyTorch, with the signature that its CUDAPluggableAllocator loads. */
  tn_torch_alloc(bytes: Integer, device: number, stream: Memory | null): bigint | null;
  /** Frees a block from `tn_torch_alloc`, in the order of a stream. */
  tn_torch_free(ptr: Memory | null, bytes: Integer, device: number, stream: Memory | null): void;
  /** Records that a stream uses a block until it is freed. */
  tn_torch_record_stream(ptr: Memory | null, stream: Memory | null): void;
  /** Allocates a block of a GPU for CuPy's CFunctionAllocator, whose parameter is the pool's handle. */
  tn_cupy_malloc(pool: Memory | null, bytes: Integer, device: number): bigint | null;
  /** Frees a block from `tn_cupy_malloc`. */
  tn_cupy_free(pool: Memory | null, ptr: Memory | null, device: number): void;
  /** Allocates a block of a GPU for a memory resource of RMM. */
  tn_rmm_allocate(bytes: Integer, stream: Memory | null, pool: Memory | null): bigint | null;
  /** Frees a block from `tn_rmm_allocate`, in the order of a stream. */
  tn_rmm_deallocate(ptr: Memory | null, bytes: Integer, stream: Memory | null, pool: Memory | null): void;
  /** Completes the table of `tn_dlpack_exchange_api` with the Python package's functions that take Python objects. */
  tn_dlpack_register_python(slots: Memory): void;
  /** Allocates a block of a GPU for another library whose plug-in is written in the binding's language. */
  tn_plugin_allocate(client: number, pool: Handle | null, bytes: Integer, device: number, stream: Memory | null): bigint;
  /** Frees a block from `tn_plugin_allocate`, in the order of a stream. */
  tn_plugin_deallocate(client: number, pool: Handle | null, ptr: Memory | null, device: number, stream: Memory | null): void;
}

export const structs: Record<string, unknown>;
export const functions: Record<string, unknown>;
