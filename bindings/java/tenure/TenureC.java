// Written by `cargo xtask header` from abi/api.json: edit src/ffi.
package tenure;

import com.sun.jna.Callback;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.Structure;
import com.sun.jna.ptr.PointerByReference;
import java.util.Map;

/** Tenure's C interface, as include/tenure.h and include/tenure_bindings.h have it. */
public final class TenureC {
    private TenureC() {}

    static {
        String file = TenureLibrary.file();
        Native.register(TenureC.class, NativeLibrary.getInstance(file, Map.of(Library.OPTION_STRING_ENCODING, "UTF-8")));
    }

    // tn_status: The result of every function: TN_OK, the only code for success, or one of TN_ERR_*.
    /** The call succeeded. */
    public static final int TN_OK = 0;
    /** An argument that must not be NULL is NULL. */
    public static final int TN_ERR_NULL = 1;
    /** The handle was released, or the block was freed. */
    public static final int TN_ERR_STALE = 2;
    /** The argument is a handle of another kind, or no handle. */
    public static final int TN_ERR_KIND = 3;
    /** The handle's claim was moved away by a take; the handle can only be released. */
    public static final int TN_ERR_DESTRUCTED = 4;
    /** The handle was given away, and its promise is outstanding. */
    public static final int TN_ERR_GIVEN = 5;
    /** A failed writer left the bytes undefined. */
    public static final int TN_ERR_POISONED = 6;
    /** The handle or its memory must not be written. */
    public static final int TN_ERR_READONLY = 7;
    /** An open write guard overlaps the bytes. */
    public static final int TN_ERR_BORROWED_WRITE = 8;
    /** An open read guard overlaps the bytes. */
    public static final int TN_ERR_BORROWED = 9;
    /** An export of the bytes is alive. */
    public static final int TN_ERR_EXPORTED = 10;
    /** Other handles have claims on the store. */
    public static final int TN_ERR_SHARED = 11;
    /** A lazy expression holds the store; the message names its operation. */
    public static final int TN_ERR_IN_EXPRESSION = 12;
    /** Device work on the bytes is not finished. */
    public static final int TN_ERR_PENDING = 13;
    /** The bytes are lent to the library, or belong to no pool or another pool. */
    public static final int TN_ERR_FOREIGN = 14;
    /** A list has too few or too many items. */
    public static final int TN_ERR_COUNT = 15;
    /** An item is in a list twice. */
    public static final int TN_ERR_DUPLICATE = 16;
    /** An index, axis, address or id is out of range. */
    public static final int TN_ERR_RANGE = 17;
    /** An argument is invalid by itself: flags, modes, struct sizes, counts, a step of 0. */
    public static final int TN_ERR_INVALID = 18;
    /** The element type is unknown, or does not fit the operation. */
    public static final int TN_ERR_DTYPE = 19;
    /** The shape is invalid, or does not fit the operation. */
    public static final int TN_ERR_SHAPE = 20;
    /** The operation is impossible with this layout, or possible only with a copy. */
    public static final int TN_ERR_LAYOUT = 21;
    /** The device does not exist, or differs from the one that the operation needs. */
    public static final int TN_ERR_DEVICE = 22;
    /** The caller required an alias, and only a copy is possible. */
    public static final int TN_ERR_WOULD_COPY = 23;
    /** Two operands overlap that must not. */
    public static final int TN_ERR_ALIASED = 24;
    /** The operation or a callback of the caller failed. */
    public static final int TN_ERR_FAILED = 25;
    /** The host is out of memory. */
    public static final int TN_ERR_NO_HOST_MEMORY = 26;
    /** The device is out of memory. */
    public static final int TN_ERR_NO_DEVICE_MEMORY = 27;
    /** The pool would exceed its max_size. */
    public static final int TN_ERR_POOL_LIMIT = 28;
    /** Not supported here; the message says what is missing. */
    public static final int TN_ERR_UNSUPPORTED = 29;
    /** The device's driver reported an error. */
    public static final int TN_ERR_DRIVER = 30;
    /** A file could not be opened, read or written, or is damaged. */
    public static final int TN_ERR_IO = 31;
    /** A table of the library is full, or a limit of a file format or of the caller is exceeded. */
    public static final int TN_ERR_LIMIT = 32;
    /** A bug in the library was caught; please report the message. */
    public static final int TN_ERR_PANIC = 33;
    /** A size does not fit into 64 bits, or there are more than TN_MAX_NDIM axes. */
    public static final int TN_ERR_OVERFLOW = 34;

    // tn_device_type: Type of a device, as in DLPack's DLDeviceType: TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
    /** Ordinary host memory. */
    public static final int TN_CPU = 1;
    /** Memory of a CUDA device. */
    public static final int TN_CUDA = 2;
    /** Page-locked host memory. */
    public static final int TN_CUDA_HOST = 3;
    /** CUDA managed memory. */
    public static final int TN_CUDA_MANAGED = 13;

    // tn_dtype_code: Kind of an element type: one of TN_CODE_*, as in DLPack's DLDataTypeCode.
    /** Code of signed integers. */
    public static final int TN_CODE_INT = 0;
    /** Code of unsigned integers. */
    public static final int TN_CODE_UINT = 1;
    /** Code of IEEE floating point numbers. */
    public static final int TN_CODE_FLOAT = 2;
    /** Code of bfloat16. */
    public static final int TN_CODE_BFLOAT = 4;
    /** Code of complex numbers, whose bits count both components. */
    public static final int TN_CODE_COMPLEX = 5;
    /** Code of booleans, one byte each. */
    public static final int TN_CODE_BOOL = 6;

    // tn_dtype: An element type: code | bits << 8 | lanes << 16, with lanes 1.
    /** One byte: 0 or 1. */
    public static final int TN_BOOL = 67590;
    /** Signed, 8 bits. */
    public static final int TN_I8 = 67584;
    /** Signed, 16 bits. */
    public static final int TN_I16 = 69632;
    /** Signed, 32 bits. */
    public static final int TN_I32 = 73728;
    /** Signed, 64 bits. */
    public static final int TN_I64 = 81920;
    /** Unsigned, 8 bits. */
    public static final int TN_U8 = 67585;
    /** Unsigned, 16 bits. */
    public static final int TN_U16 = 69633;
    /** Unsigned, 32 bits. */
    public static final int TN_U32 = 73729;
    /** Unsigned, 64 bits. */
    public static final int TN_U64 = 81921;
    /** IEEE half precision. */
    public static final int TN_F16 = 69634;
    /** IEEE single precision. */
    public static final int TN_F32 = 73730;
    /** IEEE double precision. */
    public static final int TN_F64 = 81922;
    /** bfloat16. */
    public static final int TN_BF16 = 69636;
    /** Complex of two f32. */
    public static final int TN_C64 = 81925;
    /** Complex of two f64. */
    public static final int TN_C128 = 98309;

    // tn_how: Whether an import or export shares the bytes or copied them: TN_ALIASED or TN_COPIED.
    /** `how`: both sides share the bytes. */
    public static final int TN_ALIASED = 1;
    /** `how`: the bytes were copied. */
    public static final int TN_COPIED = 2;

    // tn_borrow_flags: Flags of imports and exports: how bytes may enter and leave the library.
    /** Borrow flag: alias the bytes where possible. */
    public static final int TN_BORROW = 1;
    /** Borrow flag: alias the bytes or fail with TN_ERR_WOULD_COPY, or TN_ERR_ALIASED if they belong to two stores. Implies TN_BORROW. */
    public static final int TN_REQUIRE_BORROW = 2;
    /** Borrow flag of shared variables and functions: on the device where the bytes are, with their layout; no transfer. */
    public static final int TN_RAW = 4;
    /** Borrow flag: the importer, or the body of a function, may overwrite the contents. Implies TN_BORROW. */
    public static final int TN_MAY_OVERWRITE = 8;
    /** Borrow flag: the library takes ownership of the memory, with a release callback, and copies only where it cannot alias. */
    public static final int TN_TAKE_OWNERSHIP = 16;
    /** Import: the release callback runs only in `tn_run_releases`. */
    public static final int TN_RELEASE_QUEUED = 32;
    /** Borrow flag of shared variables and inputs: neither a transfer nor packing; TN_ERR_DEVICE or TN_ERR_LAYOUT instead. */
    public static final int TN_STRICT = 64;
    /** Borrow flag of outputs and updates: the body finds a spare buffer of an earlier call, if there is one. */
    public static final int TN_REUSE = 128;
    /** Import: the new handle is READONLY. */
    public static final int TN_IMPORT_READONLY = 256;
    /** Import of a DLPack struct without a version: the producer permits writing. */
    public static final int TN_IMPORT_WRITABLE = 512;
    /** Export: a shared view, which both the consumer and the library may read and write. */
    public static final int TN_EXPORT_WRITABLE = 1024;
    /** Export, with TN_EXPORT_WRITABLE: exclusive. Only the consumer reads or writes these bytes. */
    public static final int TN_EXPORT_EXCLUSIVE = 2048;
    /** Export: the caller guarantees that the consumer only reads, so the export is read-only in every format. */
    public static final int TN_EXPORT_CONSUMER_READS = 4096;
    /** Export: an array with negative strides is copied. */
    public static final int TN_EXPORT_NONNEGATIVE = 8192;
    /** Borrow flag: the library adds no stream ordering; the caller has ordered the work. */
    public static final int TN_UNORDERED = 16384;
    /** Export to CUDAMat: a C-contiguous array crosses as its transpose. */
    public static final int TN_CUDAMAT_TRANSPOSED = 32768;
    /** Export to another process: the array gets memory that has nothing else. Today that is so in any case. */
    public static final int TN_IPC_PRIVATE = 65536;
    /** Export to another process, and import there: the importer may write. Who writes when is up to the programs. */
    public static final int TN_IPC_WRITABLE = 131072;
    /** Import from another process that is trusted: memory without a seal is accepted. If that process shrinks it, the next access ends this one. */
    public static final int TN_IPC_TRUSTED = 262144;
    /** Wait for the array's device work instead of failing with TN_ERR_PENDING. Belongs to tn_borrow_flags, tn_write_mode, tn_guard_flags and tn_access. */
    public static final int TN_WAIT = 524288;
    /** Export to another process: the array is offered, and nobody uses it until it was taken, or the offer ended. Import: takes an array that is offered so. */
    public static final int TN_IPC_GIVE = 1048576;
    /** Export: an array that is not C-contiguous is copied, and a copy is in C order. */
    public static final int TN_EXPORT_C_CONTIGUOUS = 2097152;

    // tn_write_mode: How a writer treats other handles on the store: one of TN_WRITE_ALIASED, TN_WRITE_UNIQUE and TN_WRITE_COW, with modifier bits.
    /** Write mode, the default: other handles on the store see the change. */
    public static final int TN_WRITE_ALIASED = 0;
    /** Write mode: fail if anything else holds the store, that is unless `tn_array_why_not` reports 0. */
    public static final int TN_WRITE_UNIQUE = 1;
    /** Write mode: copy on write. If anything else holds the store, this handle moves to a copy. */
    public static final int TN_WRITE_COW = 2;
    /** Modifier of a write mode: the old contents are not needed. Clears poison. */
    public static final int TN_WRITE_DISCARD = 4;
    /** Modifier of a write mode in copies: fail with TN_ERR_WOULD_COPY where the bytes would be staged. */
    public static final int TN_REQUIRE_ASYNC = 16;

    // tn_guard_flags: Flags of a read borrow: TN_FROZEN, TN_INTERPROCESS, TN_WAIT.
    /** Guard flag: the bytes must not change while they are read, so shared views are excluded. */
    public static final int TN_FROZEN = 8;
    /** Flag of a read or write borrow of an array in shareable memory: guards of other processes with this flag are excluded too, as those of this process are. */
    public static final int TN_INTERPROCESS = 256;

    // tn_access: The kind of an access: TN_READ with flags of tn_guard_flags, or TN_WRITE or TN_READ_WRITE with a tn_write_mode.
    /** Access: reading. */
    public static final int TN_READ = 32;
    /** Access: writing. Without TN_READ it overwrites every element, and so implies TN_WRITE_DISCARD. */
    public static final int TN_WRITE = 64;
    /** Access: reading and writing. */
    public static final int TN_READ_WRITE = 96;
    /** Access, only in launches: the argument may overlap another one, if that one is written in mode TN_WRITE_ALIASED, and this one is read or written in that mode. */
    public static final int TN_ALLOW_ALIAS = 128;

    // tn_why: Reasons why bytes cannot be overwritten in place, or were copied.
    /** Why not in place: the handle was given away. */
    public static final int TN_WHY_GIVEN = 1;
    /** Why not in place: another handle, or a promise whose handle was released, has a claim on the store. */
    public static final int TN_WHY_SHARED = 2;
    /** Why not in place: a node of a lazy expression has a claim on the store. */
    public static final int TN_WHY_IN_EXPRESSION = 4;
    /** Why not in place: the store has an export. */
    public static final int TN_WHY_EXPORTED = 8;
    /** Why not in place: a guard overlaps the handle's region; its own guards count. */
    public static final int TN_WHY_BORROWED = 16;
    /** Why not in place: the handle or the store is read-only. */
    public static final int TN_WHY_READONLY = 32;
    /** Why not in place: the bytes were imported without TN_MAY_OVERWRITE. */
    public static final int TN_WHY_FOREIGN = 64;
    /** Why not in place: the bytes overlap a poisoned region. */
    public static final int TN_WHY_POISONED = 128;
    /** Why not in place, or why a copy: the layout does not fit. */
    public static final int TN_WHY_LAYOUT = 256;
    /** Why not in place, or why a copy: the bytes are on another device. */
    public static final int TN_WHY_DEVICE = 512;
    /** Why not in place: the store has more than twice the bytes that the target needs. */
    public static final int TN_WHY_WASTE = 1024;
    /** Why not in place, or why a copy: elements share bytes, or the range cannot be claimed as one store. */
    public static final int TN_WHY_NOT_ALIASABLE = 2048;

    // tn_query_flags: Flags of `tn_device_query`.
    /** `tn_device_query`: fill the memory fields too. */
    public static final int TN_QUERY_MEMORY = 1;

    // tn_device_features: Features of a device.
    /** Device feature: the driver has memory pools. */
    public static final int TN_FEATURE_MEMORY_POOLS = 1;
    /** Device feature: managed memory. */
    public static final int TN_FEATURE_MANAGED = 2;
    /** Device feature: host and device may access managed memory at the same time. */
    public static final int TN_FEATURE_CONCURRENT_MANAGED = 4;
    /** Device feature: page-locked memory can be mapped. */
    public static final int TN_FEATURE_MAP_HOST = 8;
    /** Device feature: the caller's memory can be page-locked. */
    public static final int TN_FEATURE_HOST_REGISTER = 16;
    /** Device feature: read-only memory can be page-locked. */
    public static final int TN_FEATURE_REGISTER_READ_ONLY = 32;
    /** Device feature: one address space for host and device. */
    public static final int TN_FEATURE_UNIFIED_ADDRESSING = 64;
    /** Device feature: the device uses the host's memory. */
    public static final int TN_FEATURE_INTEGRATED = 128;
    /** Device feature: allocations can be shared with other processes. */
    public static final int TN_FEATURE_IPC = 256;

    // tn_stream_flags: Flags of `tn_stream_create`.
    /** `tn_stream_create`: the stream is ordered with the legacy stream. */
    public static final int TN_STREAM_BLOCKING = 1;

    // tn_stream_scope_flags: Flags of `tn_stream_enter`.
    /** `tn_stream_enter`: leaving the scope waits for the stream. */
    public static final int TN_AUTO_SYNCHRONIZE = 1;

    // tn_event_flags: Flags of `tn_event_create`.
    /** `tn_event_create`: the event records a time. */
    public static final int TN_EVENT_TIMING = 1;

    // tn_pool_flags: Flags of a pool.
    /** Pool flag: touch the pages of initial_size at creation. */
    public static final int TN_POOL_PREFAULT = 1;
    /** Pool flag: cache no freed memory. */
    public static final int TN_POOL_DIRECT = 2;
    /** Pool flag, for tests: freed blocks are filled with a pattern and kept in quarantine, and peaks are exact. */
    public static final int TN_POOL_STRICT = 4;
    /** Pool flag: a freed block is cleared before it is reused. */
    public static final int TN_POOL_ZERO_ON_FREE = 8;
    /** Pool flag, host: other processes can map the memory, see `tn_array_export_ipc`. Each block has pages and a file descriptor of its own, so it is for large arrays. A freed block serves a later one of the same size once no other process has it, if the process has not forked since. One that was exported read-only serves none, see TN_POOL_READONLY_EXPORTS. Not with initial_size. A child of fork shares the memory with its parent. */
    public static final int TN_POOL_SHAREABLE = 16;
    /** Pool flag, CUDA: other processes can open the memory, see `tn_array_export_ipc`. Each block is an allocation of the driver, of multiples of 2 MiB, so it is for large arrays that live long. Implies TN_POOL_DIRECT. TN_ERR_UNSUPPORTED for other devices, on a GPU without IPC, and with initial_size, peers, TN_BACKEND_DRIVER_POOL, TN_POOL_STRICT or TN_POOL_ZERO_ON_FREE. */
    public static final int TN_POOL_IPC = 32;
    /** Pool flag, with TN_POOL_SHAREABLE: arrays are exported read-only, and a block that was exported serves a later one once no other process has it. Exports with TN_IPC_WRITABLE are copies, those with TN_IPC_GIVE TN_ERR_WOULD_COPY. */
    public static final int TN_POOL_READONLY_EXPORTS = 64;

    // tn_host_flags: Flags of page-locked memory (TN_HOST_*) and of managed memory (TN_MANAGED_*).
    /** Page-locked memory that every CUDA context can use. */
    public static final int TN_HOST_PORTABLE = 1;
    /** Page-locked memory mapped into the device's address space. */
    public static final int TN_HOST_MAPPED = 2;
    /** Page-locked memory that is slow to read on the host. */
    public static final int TN_HOST_WRITE_COMBINED = 4;
    /** Page-locking of memory that the host must not write. */
    public static final int TN_HOST_READ_ONLY = 8;
    /** Without a driver: ordinary memory labelled TN_CPU instead of TN_ERR_UNSUPPORTED. */
    public static final int TN_HOST_BEST_EFFORT = 16;
    /** Managed memory attached to all streams, the default. */
    public static final int TN_MANAGED_GLOBAL = 0;
    /** Managed memory attached to the host. */
    public static final int TN_MANAGED_HOST = 32;

    // tn_advice: Advice on managed memory: what the driver should expect.
    /** Advice: the memory is mostly read, so host and devices may each keep a copy. */
    public static final int TN_ADVISE_READ_MOSTLY = 1;
    /** Withdraws TN_ADVISE_READ_MOSTLY. */
    public static final int TN_ADVISE_UNSET_READ_MOSTLY = 2;
    /** Advice: the device is the preferred location of the memory. */
    public static final int TN_ADVISE_PREFERRED = 3;
    /** Withdraws TN_ADVISE_PREFERRED. */
    public static final int TN_ADVISE_UNSET_PREFERRED = 4;
    /** Advice: the device will access the memory and should have it mapped. */
    public static final int TN_ADVISE_ACCESSED_BY = 5;
    /** Withdraws TN_ADVISE_ACCESSED_BY. */
    public static final int TN_ADVISE_UNSET_ACCESSED_BY = 6;

    // tn_huge_pages: When a pool asks for huge pages.
    /** Transparent huge pages inside large blocks, and wherever a pool grows that has at least 32 MiB. */
    public static final int TN_HUGE_AUTO = 0;
    /** No huge pages. */
    public static final int TN_HUGE_NEVER = 1;
    /** Huge pages that the system has reserved; TN_HUGE_AUTO when there are none left. */
    public static final int TN_HUGE_EXPLICIT = 2;

    // tn_backend: How a pool obtains CUDA memory.
    /** CUDA: virtual memory management (mapped granules) where the driver has it, else plain allocations. */
    public static final int TN_BACKEND_AUTO = 0;
    /** CUDA: plain driver allocations. */
    public static final int TN_BACKEND_PLAIN = 1;
    /** CUDA: a memory pool of the driver, which reuses large blocks in the order of streams by itself. TN_ERR_UNSUPPORTED without support. */
    public static final int TN_BACKEND_DRIVER_POOL = 2;

    // tn_upstream_flags: Flags of a tn_upstream.
    /** Upstream flag: `allocate` returns zeroed memory. */
    public static final int TN_UPSTREAM_ZEROED = 1;
    /** Upstream flag: several threads may run the callbacks at once. */
    public static final int TN_UPSTREAM_THREAD_SAFE = 2;
    /** Upstream flag: parts of one allocation may be deallocated separately. */
    public static final int TN_UPSTREAM_PARTIAL_FREE = 4;

    // tn_pressure: Why a pool is out of memory.
    /** The pool reached its max_size. */
    public static final int TN_PRESSURE_LIMIT = 1;
    /** The pool's device is out of memory. */
    public static final int TN_PRESSURE_DEVICE = 2;

    // tn_client: The client that a block of a pool was allocated for.
    /** Client: arrays. */
    public static final int TN_CLIENT_ARRAYS = 0;
    /** Client: raw blocks, as from `tn_pool_allocate`. */
    public static final int TN_CLIENT_RAW = 1;
    /** Client: NumPy, through `tn_numpy_handler`. */
    public static final int TN_CLIENT_NUMPY = 2;
    /** Client: PyTorch, through `tn_torch_alloc`. */
    public static final int TN_CLIENT_TORCH = 3;
    /** Client: CuPy, through `tn_cupy_malloc` or the Python package. */
    public static final int TN_CLIENT_CUPY = 4;
    /** Client: Numba, through the Python package. */
    public static final int TN_CLIENT_NUMBA = 5;
    /** Client: RMM, through `tn_rmm_allocate` or the Python package. */
    public static final int TN_CLIENT_RMM = 6;
    /** Client: UMF, through `tn_umf_pool_ops` and `tn_umf_provider_ops`. */
    public static final int TN_CLIENT_UMF = 7;
    /** Client: C++ containers, through `tn_cpp_allocate`. */
    public static final int TN_CLIENT_CPP = 8;
    /** Client: a Rust program's global allocator. */
    public static final int TN_CLIENT_RUST = 9;
    /** Client: a program that was started with the library's malloc. */
    public static final int TN_CLIENT_MALLOC = 10;
    /** Client: any other. Reserved. */
    public static final int TN_CLIENT_OTHER = 11;

    // tn_order: Order of elements.
    /** Row-major element order. */
    public static final int TN_ORDER_C = 0;
    /** Column-major element order. */
    public static final int TN_ORDER_F = 1;
    /** F order if the source is F- and not C-contiguous, else C order. */
    public static final int TN_ORDER_A = 2;
    /** `tn_array_like` only: the axes keep the order of the prototype's strides. */
    public static final int TN_ORDER_K = 3;

    // tn_create_flags: Flags of a new array: none is defined yet.

    // tn_array_flags: Properties of an array and of its store.
    /** Array flag: C-contiguous. */
    public static final int TN_C_CONTIGUOUS = 1;
    /** Array flag: F-contiguous. */
    public static final int TN_F_CONTIGUOUS = 2;
    /** Array flag: the handle or its store must not be written. */
    public static final int TN_READONLY = 4;
    /** Array flag: address and strides are multiples of the element's alignment. */
    public static final int TN_ALIGNED = 8;
    /** Array flag: some bytes belong to two elements. */
    public static final int TN_SELF_OVERLAP = 16;
    /** Array flag: the bytes are lent by another owner, who may still use them. */
    public static final int TN_FOREIGN = 32;
    /** Array flag: page-locked. */
    public static final int TN_PINNED = 64;
    /** Array flag: page-locked and mapped into the device's address space. */
    public static final int TN_MAPPED = 128;
    /** Array flag: page-locked and slow to read on the host. */
    public static final int TN_WRITECOMBINED = 256;
    /** Array flag: the bytes are in a file of their pool, and come back at the next use, see `tn_pool_set_spill`. */
    public static final int TN_SPILLED = 512;

    // tn_form: The form of a matrix: what expressions take an array for.
    /** Form: all elements. */
    public static final int TN_FORM_FULL = 0;
    /** Form: the vector is the diagonal of a matrix that is 0 elsewhere. */
    public static final int TN_FORM_DIAGONAL = 1;
    /** Form: lower triangular. Elements above the diagonal of the square matrix are not read and count as 0. */
    public static final int TN_FORM_LOWER = 2;
    /** Form: upper triangular. Elements below the diagonal of the square matrix are not read and count as 0. */
    public static final int TN_FORM_UPPER = 3;
    /** Form: all elements, of an array with two axes. Expressions take it as TN_FORM_FULL. It tells a language whose operators compute element by element that those of this array are those of matrices. */
    public static final int TN_FORM_MATRIX = 4;
    /** Form, only for `tn_expr_leaf`: the form that the array's handle has. */
    public static final int TN_FORM_OF_HANDLE = 5;
    /** Form, only of expressions: the factors that `tn_expr_lu` makes of a full matrix, or their transpose. They are no array. */
    public static final int TN_FORM_FACTORS = 6;

    // tn_side: A side of a mirror; in the masks of `tn_mirror_info` a bit.
    /** The side in memory that the host can access. */
    public static final int TN_SIDE_HOST = 1;
    /** The side in memory of a GPU. */
    public static final int TN_SIDE_DEVICE = 2;

    // tn_npy_mode: How `tn_array_open_npy` opens a file.
    /** `tn_array_open_npy`: map the file read-only; the default. */
    public static final int TN_NPY_READ = 0;
    /** `tn_array_open_npy`: map the file copy-on-write: writes never reach the file. */
    public static final int TN_NPY_COW = 1;
    /** `tn_array_open_npy`: map the file writable: writes reach the file. */
    public static final int TN_NPY_WRITE = 2;
    /** `tn_array_open_npy`: read the file into the pool's memory. */
    public static final int TN_NPY_COPY = 3;

    // tn_io_flags: Flags of `tn_array_save_npy`.
    /** `tn_array_save_npy`: sync the file and its directory before returning. */
    public static final int TN_IO_SYNC = 1;
    /** `tn_array_save_npy`: fail with TN_ERR_IO if the file exists. */
    public static final int TN_IO_EXCLUSIVE = 2;

    // tn_overlap: How the bytes of two arrays relate.
    /** No byte in common. */
    public static final int TN_OVERLAP_NONE = 0;
    /** The same elements in the same order. */
    public static final int TN_OVERLAP_EXACT = 1;
    /** Bytes in common. */
    public static final int TN_OVERLAP_SOME = 2;
    /** Not decided; treated as overlap. */
    public static final int TN_OVERLAP_UNKNOWN = 3;

    // tn_end_flags: Flags of `tn_borrow_end`.
    /** `tn_borrow_end`: the writer failed. Its region is poisoned until it is rewritten. */
    public static final int TN_END_FAILED = 1;

    // tn_compute_flags: Flags of `tn_expr_compute`.
    /** `tn_expr_compute`: if it fails, all arrays and expressions are as before, so no existing array is overwritten. */
    public static final int TN_KEEP_ON_FAIL = 1;

    // tn_expr_op: An operation of `tn_expr_elementwise`.
    /** Element by element: x + y, as `tn_expr_add`. */
    public static final int TN_EXPR_ADD = 1;
    /** Element by element: x - y. */
    public static final int TN_EXPR_SUBTRACT = 2;
    /** Element by element: x * y. */
    public static final int TN_EXPR_MULTIPLY = 3;
    /** Element by element: x / y. */
    public static final int TN_EXPR_DIVIDE = 4;
    /** Element by element: -x. */
    public static final int TN_EXPR_NEGATE = 5;
    /** Element by element: the square root. */
    public static final int TN_EXPR_SQRT = 6;
    /** Element by element: e to the x. */
    public static final int TN_EXPR_EXP = 7;
    /** Element by element: the natural logarithm. */
    public static final int TN_EXPR_LOG = 8;

    // tn_lu_part: A part of LU factors.
    /** Part: the permutation, a full matrix that has one 1 in each row and column. */
    public static final int TN_LU_P = 0;
    /** Part: the lower triangle, with a diagonal of ones. */
    public static final int TN_LU_L = 1;
    /** Part: the upper triangle. */
    public static final int TN_LU_U = 2;

    // tn_explain_format: Format of `tn_expr_explain`.
    /** Format: lines of text. */
    public static final int TN_EXPLAIN_TEXT = 0;
    /** Format: a graph for Graphviz. */
    public static final int TN_EXPLAIN_DOT = 1;

    // tn_holder_kind: What holds a store, or was not released.
    /** Holder: an array handle. */
    public static final int TN_HOLDER_HANDLE = 1;
    /** Holder: a promise. */
    public static final int TN_HOLDER_PROMISE = 2;
    /** Holder: a node of a lazy expression. */
    public static final int TN_HOLDER_EXPRESSION = 3;
    /** Holder: a shared variable. */
    public static final int TN_HOLDER_SHARED_VARIABLE = 4;
    /** Holder: a read-only export. */
    public static final int TN_HOLDER_EXPORT_READ = 5;
    /** Holder: a shared view, see TN_EXPORT_WRITABLE. */
    public static final int TN_HOLDER_EXPORT_SHARED = 6;
    /** Holder: an exclusive export, see TN_EXPORT_EXCLUSIVE. */
    public static final int TN_HOLDER_EXPORT_EXCLUSIVE = 7;
    /** Holder: a read guard. */
    public static final int TN_HOLDER_GUARD_READ = 8;
    /** Holder: a write guard. */
    public static final int TN_HOLDER_GUARD_WRITE = 9;
    /** Not released: raw memory of a pool. */
    public static final int TN_HOLDER_BLOCK = 10;
    /** Not released: a pool. */
    public static final int TN_HOLDER_POOL = 11;
    /** Not released: a stream. */
    public static final int TN_HOLDER_STREAM = 12;
    /** Not released: an event. */
    public static final int TN_HOLDER_EVENT = 13;
    /** Not released: a scope. */
    public static final int TN_HOLDER_SCOPE = 14;
    /** Not released: a weak handle. */
    public static final int TN_HOLDER_WEAK = 15;
    /** Not released: a function. */
    public static final int TN_HOLDER_FUNCTION = 16;
    /** The library's own claim on a side of a mirror. */
    public static final int TN_HOLDER_MIRROR = 17;
    /** Not called yet: a queued release callback, see `tn_run_releases`. */
    public static final int TN_HOLDER_QUEUED_RELEASE = 18;
    /** A module; its bytes are those of its image. */
    public static final int TN_HOLDER_MODULE = 19;

    // tn_report_flags: Flags of `tn_report_json` and `tn_report_html`: none is defined yet.

    // tn_log_kinds: Kinds of events: bits of `tn_log_options.kinds`.
    /** A pool allocated a block: raw memory, or the bytes of an array. */
    public static final int TN_LOG_ALLOCATE = 1;
    /** A block was freed. */
    public static final int TN_LOG_FREE = 2;
    /** An import, an export or a write copied; the copy book has the same copies. */
    public static final int TN_LOG_COPY = 4;
    /** Bytes were copied between arrays, or between memory and an array. */
    public static final int TN_LOG_TRANSFER = 8;
    /** An export began or ended. */
    public static final int TN_LOG_EXPORT = 32;
    /** An array was given. */
    public static final int TN_LOG_GIVE = 256;
    /** A given array was taken. */
    public static final int TN_LOG_TAKE = 512;
    /** A guard began or ended. */
    public static final int TN_LOG_BORROW = 1024;
    /** A raw block changed its size. */
    public static final int TN_LOG_REALLOCATE = 2048;
    /** An import of bytes began or ended. */
    public static final int TN_LOG_IMPORT = 4096;
    /** An array got a name. */
    public static final int TN_LOG_NAME = 8192;
    /** All of them. */
    public static final int TN_LOG_ALL = 16175;

    // tn_arg_kind: What an argument of a launch is.
    /** Argument: an array, which the kernel gets as `tn_view<T, N>`: `void *data; int64_t shape[N]; int64_t strides[N]`, strides in bytes. */
    public static final int TN_ARG_ARRAY = 1;
    /** Argument: a C-contiguous array, of which the kernel gets the address. */
    public static final int TN_ARG_POINTER = 2;
    /** Argument: a mirror, of which the kernel gets the side that it uses, as an array. */
    public static final int TN_ARG_MIRROR = 3;
    /** Argument: a value, of which the kernel gets a copy. */
    public static final int TN_ARG_VALUE = 4;

    // tn_launch_flags: Flags of a launch.
    /** All blocks run at the same time, so that they can wait for each other (`grid.sync()` of cooperative groups). */
    public static final int TN_LAUNCH_COOPERATIVE = 1;
    /** The kernel may begin before the kernel in front of it on the stream has ended (programmatic dependent launch). It waits for it itself, before it uses what that one writes (`cudaGridDependencySynchronize`). */
    public static final int TN_LAUNCH_OVERLAP = 2;

    // Constants outside of families.
    /** Version of this header: major << 16 | minor << 8 | patch. */
    public static final int TN_VERSION = 256;
    /** The largest number of axes of an array. */
    public static final long TN_MAX_NDIM = 64L;
    /** No descriptor of `tn_array_export_ipc` has more bytes. */
    public static final long TN_IPC_DESCRIPTOR_BYTES = 4096L;
    /** "None" or "never" in the fields of `tn_pool_options` marked (n). Every larger number means the same. */
    public static final long TN_POOL_NONE = 9223372036854775807L;
    /** An absent bound or step of a tn_slice_spec, like None in a Python slice. INT64_MIN means the same. */
    public static final long TN_NONE = -9223372036854775807L;
    /** `tn_expr_sum`: over all axes. */
    public static final int TN_ALL_AXES = -2147483647;

    /** A release callback. */
    public interface tn_release_callback extends Callback {
        void invoke(Pointer context);
    }

    /** A pressure callback, called when a pool is out of memory, on the allocating thread and under no lock. */
    public interface tn_pressure_callback extends Callback {
        long invoke(Pointer context, long needed_bytes, int reason);
    }

    /** Changes the value of a shared variable, see `tn_shared_update`. */
    public interface tn_update_callback extends Callback {
        int invoke(Pointer context, long value);
    }

    /** The body of a function: code with declared inputs, outputs and updates. */
    public interface tn_function_body extends Callback {
        int invoke(Pointer context, Pointer in, Pointer out, Pointer update);
    }

    /** The body of a function as expressions: it builds them from the inputs, and the library computes them. */
    public interface tn_function_expr_body extends Callback {
        int invoke(Pointer context, Pointer in, Pointer out, Pointer update);
    }

    /** One task of the library. */
    public interface tn_task extends Callback {
        void invoke(Pointer argument, long index);
    }

    /** The caller's function that runs tasks. */
    public interface tn_run_callback extends Callback {
        void invoke(Pointer context, Pointer task, Pointer argument, long n_tasks);
    }

    /** A kernel of the host: runs one block. */
    public interface tn_host_kernel extends Callback {
        void invoke(Pointer block, Pointer args);
    }

    /** A device, as in DLPack's DLDevice; passed by value. */
    @Structure.FieldOrder({"type", "id"})
    public static class tn_device extends Structure {
        /** TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED. */
        public int type;
        /** The number of the device among those of its type; 0 on the host. */
        public int id;

        /** Its size in C. */
        public static final int BYTES = 8;

        public tn_device() {}

        public tn_device(Pointer address) {
            super(address);
        }

        public static class ByValue extends tn_device implements Structure.ByValue {}
    }

    /** Properties of a device. */
    @Structure.FieldOrder({"size", "name", "uuid", "pci_bus_id", "compute_major", "compute_minor", "driver_version", "multiprocessors", "warp_size", "features", "block_memory_bytes", "block_memory_optin_bytes", "total_bytes", "free_bytes", "used_bytes", "pool_bytes", "pool_free_bytes", "to_device_count", "to_device_bytes", "to_host_count", "to_host_bytes", "staged_bytes", "registered_bytes", "queued_releases", "queued_bytes", "kernel_count", "kernel_error"})
    public static class tn_device_info extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 328;
        /** UTF-8, NUL-terminated. */
        public byte[] name = new byte[128];
        /** All zero on the host. */
        public byte[] uuid = new byte[16];
        /** "0000:3b:00.0"; empty on the host. */
        public byte[] pci_bus_id = new byte[16];
        /** Compute capability, major. */
        public int compute_major;
        /** Compute capability, minor. */
        public int compute_minor;
        /** CUDA version that the driver supports: 1000 * major + 10 * minor. */
        public int driver_version;
        /** Number of multiprocessors; on the host, of online processors. */
        public int multiprocessors;
        /** Threads of a warp; 1 on the host. */
        public int warp_size;
        /** TN_FEATURE_ bits. */
        public int features;
        /** Shared memory of a thread block, bytes: the default limit. */
        public long block_memory_bytes;
        /** Shared memory of a thread block, bytes: the limit that a kernel can opt in to. */
        public long block_memory_optin_bytes;
        /** Physical memory, bytes; on the host, at most the control group's limit. */
        public long total_bytes;
        /** TN_QUERY_MEMORY: free memory now, as the system reports it. */
        public long free_bytes;
        /** TN_QUERY_MEMORY: total_bytes - free_bytes. */
        public long used_bytes;
        /** TN_QUERY_MEMORY: held by the library's pools. */
        public long pool_bytes;
        /** TN_QUERY_MEMORY: of pool_bytes, what the pools can reuse. */
        public long pool_free_bytes;
        /** Number of copies to the device. */
        public long to_device_count;
        /** Bytes of those. */
        public long to_device_bytes;
        /** Number of copies to the host. */
        public long to_host_count;
        /** Bytes of those. */
        public long to_host_bytes;
        /** Bytes copied through staging memory. */
        public long staged_bytes;
        /** Bytes page-locked now by `tn_host_register`. */
        public long registered_bytes;
        /** Imports whose release callback is delayed: until `tn_run_releases`, or until device work that uses their bytes is done. */
        public long queued_releases;
        /** Bytes of those. */
        public long queued_bytes;
        /** Number of copies and fills that kernels of the library did; the option `transfer.kernels` decides about them. */
        public long kernel_count;
        /** The driver's result code if it refused to load these kernels, so that copies and fills go by other ways; 0: it did not. */
        public long kernel_error;

        /** Its size in C. */
        public static final int BYTES = 328;

        public tn_device_info() {}

        public tn_device_info(Pointer address) {
            super(address);
        }
    }

    /** The source of memory of a pool made by `tn_pool_import`. */
    @Structure.FieldOrder({"size", "context", "granularity", "alignment", "flags", "reserved", "allocate", "deallocate", "purge", "release"})
    public static class tn_upstream extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 72;
        /** First argument of each callback. */
        public Pointer context;
        /** Sizes passed to `allocate` are multiples of this; 0: 4096. */
        public long granularity;
        /** Alignments passed to `allocate` are powers of two, at least this; 0: 4096. */
        public long alignment;
        /** TN_UPSTREAM_. */
        public int flags;
        /** Zero. */
        public int reserved;
        /** Allocates `bytes` bytes and writes their address to `out`. Any status but TN_OK means that there is no memory. native_stream is 0. */
        public Pointer allocate;
        /** Deallocates what `allocate` returned, with the same address and bytes; with TN_UPSTREAM_PARTIAL_FREE also parts of it, each byte once. */
        public Pointer deallocate;
        /** Optional: called when the contents of a part are no longer needed. */
        public Pointer purge;
        /** Optional: the last callback, called when all memory was deallocated and the pool no longer exists. */
        public Pointer release;

        /** Its size in C. */
        public static final int BYTES = 72;

        public tn_upstream() {}

        public tn_upstream(Pointer address) {
            super(address);
        }
    }

    /** Options of a pool. */
    @Structure.FieldOrder({"size", "name", "initial_size", "max_growth", "max_size", "growth_factor", "alignment", "thread_cache_size", "release_threshold", "release_delay_ms", "peers", "huge_pages", "backend", "numa_node", "host_flags", "flags", "reserved"})
    public static class tn_pool_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 112;
        /** At most 63 bytes of UTF-8, copied; NULL: "pool-N". */
        public String name;
        /** Bytes committed at creation, which trim keeps. */
        public long initial_size;
        /** Upper bound of one growth step, bytes. */
        public long max_growth;
        /** Upper bound of committed bytes; 0: none. Under the memory limit of a control group Linux kills the process where memory is short. A status needs a max_size below that limit, which `tn_device_query` has as `total_bytes`. */
        public long max_size;
        /** At least 1. A growth step asks the device for the needed bytes or committed * (factor - 1), whichever is more. */
        public double growth_factor;
        /** Alignment in bytes where a call passes 0: a power of two, 8 to 4 MiB. Default on the host: 64. */
        public long alignment;
        /** (n) Bytes of free small blocks that one thread may keep, and of the large ones that it freed last. One large block alone may have 4 times as many. */
        public long thread_cache_size;
        /** (n) Cached bytes above this are returned to the device. */
        public long release_threshold;
        /** (n) Free memory that was unused for this long, ms, is returned to the device by a later call. */
        public long release_delay_ms;
        /** CUDA: bit mask of device ids that may also access the memory. */
        public long peers;
        /** TN_HUGE_. */
        public int huge_pages;
        /** TN_BACKEND_. */
        public int backend;
        /** n: prefer NUMA node n - 1; 0: no preference. */
        public int numa_node;
        /** TN_HOST_ or TN_MANAGED_. */
        public int host_flags;
        /** TN_POOL_. */
        public int flags;
        /** Zero. */
        public int reserved;

        /** Its size in C. */
        public static final int BYTES = 112;

        public tn_pool_options() {}

        public tn_pool_options(Pointer address) {
            super(address);
        }
    }

    /** Statistics of a pool. */
    @Structure.FieldOrder({"size", "requested_bytes", "in_use_bytes", "cached_bytes", "pending_bytes", "overhead_bytes", "reserved_bytes", "address_bytes", "huge_bytes", "metadata_bytes", "peak_in_use_bytes", "peak_reserved_bytes", "peak_requested_bytes", "allocation_count", "deallocation_count", "reallocation_count", "failure_count", "live_blocks", "hit_count", "thread_hit_count", "device_allocate_count", "device_free_count", "device_bytes_total", "trim_count", "pressure_count", "oom_count", "misuse_count", "zero_bytes_skipped", "largest_free_bytes", "limit_bytes", "thread_count", "held_bytes", "shared_out_bytes", "serial", "device", "spilled_bytes", "spill_count", "unspill_count"})
    public static class tn_pool_stats extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 304;
        /** Sum of the requested sizes of all live blocks. */
        public long requested_bytes;
        /** Sum of the usable sizes of all live blocks. */
        public long in_use_bytes;
        /** Committed bytes that can be allocated. */
        public long cached_bytes;
        /** Freed bytes that work on a stream may still access. */
        public long pending_bytes;
        /** Committed bytes that no block can use: the rest of a span after its last block. */
        public long overhead_bytes;
        /** Committed bytes: exactly in_use + cached + pending + overhead in every query. */
        public long reserved_bytes;
        /** Reserved address space; at least reserved_bytes. */
        public long address_bytes;
        /** Committed bytes for which huge pages were requested. */
        public long huge_bytes;
        /** The library's own memory for this pool; not part of reserved_bytes. */
        public long metadata_bytes;
        /** Largest in_use_bytes since creation or `tn_pool_reset_peak`. */
        public long peak_in_use_bytes;
        /** Largest reserved_bytes since creation or `tn_pool_reset_peak`. */
        public long peak_reserved_bytes;
        /** Largest requested_bytes since creation or `tn_pool_reset_peak`. */
        public long peak_requested_bytes;
        /** Allocations that returned TN_OK. */
        public long allocation_count;
        /** Blocks that were freed. */
        public long deallocation_count;
        /** Reallocations that returned TN_OK. */
        public long reallocation_count;
        /** Calls that failed. */
        public long failure_count;
        /** allocation_count - deallocation_count: blocks that are allocated now. */
        public long live_blocks;
        /** Allocations that needed no call to the device. */
        public long hit_count;
        /** Allocations that took the thread cache's fast path. */
        public long thread_hit_count;
        /** Calls that allocated memory of the device. */
        public long device_allocate_count;
        /** Calls that freed memory of the device. */
        public long device_free_count;
        /** Bytes ever allocated from the device. */
        public long device_bytes_total;
        /** Trims that freed memory. */
        public long trim_count;
        /** Calls of pressure callbacks. */
        public long pressure_count;
        /** Requests that failed for lack of memory. */
        public long oom_count;
        /** Invalid frees that were refused. */
        public long misuse_count;
        /** Bytes that `tn_pool_allocate_zeroed` did not have to clear. */
        public long zero_bytes_skipped;
        /** Largest block that can be allocated without a call to the device. */
        public long largest_free_bytes;
        /** max_size; 0: none. */
        public long limit_bytes;
        /** Threads that have a cache now. */
        public long thread_count;
        /** Of requested_bytes: in stores that have no claim and are kept by guards or exports. */
        public long held_bytes;
        /** Of pending_bytes: shared with another process that still uses them. */
        public long shared_out_bytes;
        /** Number of the pool, never reused in this process. Two handles with equal serials refer to one pool. */
        public long serial;
        /** The pool's device. */
        public tn_device device = new tn_device();
        /** Of in_use_bytes: in files, see `tn_pool_set_spill`. max_size does not count them. */
        public long spilled_bytes;
        /** How often an array was written to a file. */
        public long spill_count;
        /** How often an array came back from a file. */
        public long unspill_count;

        /** Its size in C. */
        public static final int BYTES = 304;

        public tn_pool_stats() {}

        public tn_pool_stats(Pointer address) {
            super(address);
        }
    }

    /** Where a pool spills arrays that nobody uses, see `tn_pool_set_spill`. */
    @Structure.FieldOrder({"size", "folder", "max_bytes", "min_array_bytes"})
    public static class tn_spill_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 32;
        /** A folder that the process may write. Its files have no names, and end with the process at the latest. */
        public String folder;
        /** The most bytes in files; 0: no bound but the file system's. After a fork, of each process. */
        public long max_bytes;
        /** The smallest array that is spilled, bytes; 0, or less than 65537: 65537. */
        public long min_array_bytes;

        /** Its size in C. */
        public static final int BYTES = 32;

        public tn_spill_options() {}

        public tn_spill_options(Pointer address) {
            super(address);
        }
    }

    /** Statistics of one size class of a pool. */
    @Structure.FieldOrder({"block_bytes", "span_bytes", "live_blocks", "cached_blocks", "span_count", "allocation_count", "hit_count", "reserved"})
    public static class tn_pool_class_stats extends Structure {
        /** Usable bytes of each block; 0: blocks above the largest class, each in a span of its own. */
        public long block_bytes;
        /** Bytes of a span of such blocks; 0: spans of different sizes. */
        public long span_bytes;
        /** Live blocks. */
        public long live_blocks;
        /** Blocks that can be allocated without a new span; with block_bytes 0: free spans. */
        public long cached_blocks;
        /** Spans of such blocks, including free ones. */
        public long span_count;
        /** Allocations that returned TN_OK. */
        public long allocation_count;
        /** Of those: allocations that needed no call to the device. */
        public long hit_count;
        /** Zero. */
        public long reserved;

        /** Its size in C. */
        public static final int BYTES = 64;

        public tn_pool_class_stats() {}

        public tn_pool_class_stats(Pointer address) {
            super(address);
        }
    }

    /** Statistics of one client of a pool. */
    @Structure.FieldOrder({"client", "reserved", "name", "live_blocks", "live_bytes", "requested_bytes", "peak_bytes", "allocation_count", "failure_count", "misuse_count", "mismatch_count"})
    public static class tn_pool_client extends Structure {
        /** TN_CLIENT_. */
        public int client;
        /** Zero. */
        public int reserved;
        /** "arrays", "raw", "numpy", ..; NUL-terminated. */
        public byte[] name = new byte[16];
        /** Blocks that the client has allocated now. */
        public long live_blocks;
        /** Usable bytes of those blocks. */
        public long live_bytes;
        /** Requested bytes of those blocks. */
        public long requested_bytes;
        /** Largest live_bytes since the pool's creation or `tn_pool_reset_peak`. */
        public long peak_bytes;
        /** Allocations and reallocations that succeeded. */
        public long allocation_count;
        /** Allocations and reallocations that failed. */
        public long failure_count;
        /** Invalid frees that were refused. */
        public long misuse_count;
        /** Frees with a size other than the requested one; the library uses its own record. */
        public long mismatch_count;

        /** Its size in C. */
        public static final int BYTES = 88;

        public tn_pool_client() {}

        public tn_pool_client(Pointer address) {
            super(address);
        }
    }

    /** Options of a new array; a NULL pointer means C order and no name. */
    @Structure.FieldOrder({"size", "order", "flags", "stream", "name"})
    public static class tn_array_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 32;
        /** TN_ORDER_. */
        public int order;
        /** 0: no flag is defined yet. */
        public int flags;
        /** The stream that uses the array first; NULL: the thread's current stream. */
        public long stream;
        /** UTF-8, of which the first 63 bytes are copied; NULL: no name. */
        public String name;

        /** Its size in C. */
        public static final int BYTES = 32;

        public tn_array_options() {}

        public tn_array_options(Pointer address) {
            super(address);
        }
    }

    /** The layout of elements in raw memory. */
    @Structure.FieldOrder({"size", "dtype", "ndim", "shape", "strides", "offset"})
    public static class tn_layout extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 40;
        /** Element type. */
        public int dtype;
        /** Number of axes, 0 to TN_MAX_NDIM. */
        public int ndim;
        /** ndim lengths in elements; NULL only with ndim 0. */
        public Pointer shape;
        /** ndim strides in bytes, signed; NULL: C order. */
        public Pointer strides;
        /** Bytes from the pointer to element (0,..,0). */
        public long offset;

        /** Its size in C. */
        public static final int BYTES = 40;

        public tn_layout() {}

        public tn_layout(Pointer address) {
            super(address);
        }
    }

    /** Properties of an array. */
    @Structure.FieldOrder({"size", "dtype", "ndim", "device", "flags", "form", "bytes", "count", "store_bytes", "offset", "name", "shape", "strides"})
    public static class tn_array_info extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 1152;
        /** Element type. */
        public int dtype;
        /** Number of axes. */
        public int ndim;
        /** Where the bytes live. */
        public tn_device device = new tn_device();
        /** Flags, TN_C_CONTIGUOUS .. TN_SPILLED. */
        public int flags;
        /** The form of the handle, TN_FORM_FULL .. TN_FORM_MATRIX. */
        public int form;
        /** Bytes of the elements. */
        public long bytes;
        /** Number of elements. */
        public long count;
        /** Bytes of the whole store. */
        public long store_bytes;
        /** Bytes from the store's start to element (0,..,0). */
        public long offset;
        /** NUL-terminated; empty without a name. */
        public byte[] name = new byte[64];
        /** Lengths in elements; only the first ndim entries are written. */
        public long[] shape = new long[64];
        /** Strides in bytes; only the first ndim entries are written. */
        public long[] strides = new long[64];

        /** Its size in C. */
        public static final int BYTES = 1152;

        public tn_array_info() {}

        public tn_array_info(Pointer address) {
            super(address);
        }
    }

    /** What became of a value that entered or left a shared variable or a function. */
    @Structure.FieldOrder({"how", "why"})
    public static class tn_crossing extends Structure {
        /** TN_ALIASED or TN_COPIED. */
        public int how;
        /** TN_WHY_ bits that made it a copy; 0 for an alias, and for a copy that the caller wanted. */
        public int why;

        /** Its size in C. */
        public static final int BYTES = 8;

        public tn_crossing() {}

        public tn_crossing(Pointer address) {
            super(address);
        }
    }

    /** An input of a function. */
    @Structure.FieldOrder({"size", "name", "flags", "dtype", "device", "ndim", "reserved", "default_value", "shared"})
    public static class tn_in extends Structure {
        /** sizeof this struct, set by the caller; one size for all inputs. */
        public long size = 56;
        /** At most 63 bytes of UTF-8, copied; NULL: no name. */
        public String name;
        /** TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_STRICT. */
        public int flags;
        /** Element type; 0: any. */
        public int dtype;
        /** The device on which the body gets the input; all zero: where the argument is. */
        public tn_device device = new tn_device();
        /** Number of axes; -1: any. */
        public int ndim;
        /** 0. */
        public int reserved;
        /** The value of an argument that is NULL, copied; NULL: the argument is required. */
        public long default_value;
        /** An implicit input: the value of this variable at the time of the call. It has no place among the arguments. NULL: an argument. */
        public long shared;

        /** Its size in C. */
        public static final int BYTES = 56;

        public tn_in() {}

        public tn_in(Pointer address) {
            super(address);
        }
    }

    /** An output of a function. */
    @Structure.FieldOrder({"size", "name", "flags", "dtype", "device", "ndim", "reserved"})
    public static class tn_out extends Structure {
        /** sizeof this struct, set by the caller; one size for all outputs. */
        public long size = 40;
        /** At most 63 bytes of UTF-8, copied; NULL: no name. */
        public String name;
        /** TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_REUSE. */
        public int flags;
        /** Element type; 0: any. */
        public int dtype;
        /** The device on which the caller gets the output; all zero: where the body left it. */
        public tn_device device = new tn_device();
        /** Number of axes; -1: any. */
        public int ndim;
        /** 0. */
        public int reserved;

        /** Its size in C. */
        public static final int BYTES = 40;

        public tn_out() {}

        public tn_out(Pointer address) {
            super(address);
        }
    }

    /** An update of a function: a shared variable that gets a new value in each call. */
    @Structure.FieldOrder({"size", "target", "flags", "reserved"})
    public static class tn_update extends Structure {
        /** sizeof this struct, set by the caller; one size for all updates. */
        public long size = 24;
        /** The variable. The function keeps it alive. */
        public long target;
        /** 0, TN_MAY_OVERWRITE or TN_REUSE. */
        public int flags;
        /** 0. */
        public int reserved;

        /** Its size in C. */
        public static final int BYTES = 24;

        public tn_update() {}

        public tn_update(Pointer address) {
            super(address);
        }
    }

    /** The description of a function. */
    @Structure.FieldOrder({"size", "name", "body", "expr_body", "context", "release", "n_in", "n_out", "n_update", "inputs", "outputs", "updates"})
    public static class tn_function_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 96;
        /** At most 63 bytes of UTF-8, copied; NULL: no name. */
        public String name;
        /** The body; NULL: `expr_body`. */
        public Pointer body;
        /** The body as expressions, in place of `body`; else NULL. */
        public Pointer expr_body;
        /** Passed to the body. */
        public Pointer context;
        /** Called once with `context`, after the function was released and its last call has returned; may be NULL. */
        public Pointer release;
        /** Number of inputs. */
        public long n_in;
        /** Number of outputs. */
        public long n_out;
        /** Number of updates. */
        public long n_update;
        /** The inputs, including the implicit ones. */
        public Pointer inputs;
        /** The outputs. */
        public Pointer outputs;
        /** The updates. A variable has one at most. */
        public Pointer updates;

        /** Its size in C. */
        public static final int BYTES = 96;

        public tn_function_options() {}

        public tn_function_options(Pointer address) {
            super(address);
        }
    }

    /** Where `tn_function_call_crossings` writes what became of the values of a call. */
    @Structure.FieldOrder({"size", "inputs", "outputs", "updates"})
    public static class tn_call_crossings extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 32;
        /** An item for each input of the function, in the order of its description, including the implicit ones. */
        public Pointer inputs;
        /** An item for each output that the caller takes. */
        public Pointer outputs;
        /** An item for each update: TN_ALIASED if the bytes that the body left or wrote are the new value, TN_COPIED and why if the value was copied for the body to write or from what it left. 0 if the variable stays as it was. */
        public Pointer updates;

        /** Its size in C. */
        public static final int BYTES = 32;

        public tn_call_crossings() {}

        public tn_call_crossings(Pointer address) {
            super(address);
        }
    }

    /** Options of a shared variable; a NULL pointer means the defaults. */
    @Structure.FieldOrder({"size", "device", "pool", "name"})
    public static class tn_shared_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 32;
        /** The device that keeps the value; all zero: that of the value at creation. */
        public tn_device device = new tn_device();
        /** The pool for copies of new values, of that device; NULL: the creating thread's current pool of it. */
        public long pool;
        /** At most 63 bytes of UTF-8, copied; NULL: the name of the value at creation. */
        public String name;

        /** Its size in C. */
        public static final int BYTES = 32;

        public tn_shared_options() {}

        public tn_shared_options(Pointer address) {
            super(address);
        }
    }

    /** Properties of a shared variable and of its value. */
    @Structure.FieldOrder({"size", "device", "home", "dtype", "ndim", "flags", "is_poisoned", "version", "bytes", "detach_count", "name", "shape"})
    public static class tn_shared_info extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 640;
        /** The device that keeps the value. */
        public tn_device device = new tn_device();
        /** The device of the value at creation, to which `tn_shared_get` copies without TN_RAW. */
        public tn_device home = new tn_device();
        /** Element type. */
        public int dtype;
        /** Number of axes. */
        public int ndim;
        /** Flags of the value, TN_C_CONTIGUOUS .. TN_SPILLED. */
        public int flags;
        /** 1: an update in place failed, and the value is undefined until a set succeeds. Else 0. */
        public int is_poisoned;
        /** 1 at creation; incremented by each successful set and update. */
        public long version;
        /** Bytes of the elements. */
        public long bytes;
        /** Number of sets and updates that took another buffer because a holder keeps the old value. */
        public long detach_count;
        /** NUL-terminated; empty without a name. */
        public byte[] name = new byte[64];
        /** Lengths in elements; only the first ndim entries are written. */
        public long[] shape = new long[64];

        /** Its size in C. */
        public static final int BYTES = 640;

        public tn_shared_info() {}

        public tn_shared_info(Pointer address) {
            super(address);
        }
    }

    /** How `tn_mirror_create` makes a mirror: from an object, or from `dtype`, `ndim` and `shape`. */
    @Structure.FieldOrder({"size", "object", "borrow_flags", "dtype", "ndim", "order", "shape", "device", "where", "reserved", "host_pool", "device_pool", "name"})
    public static class tn_mirror_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 80;
        /** The array with the contents; NULL: they are undefined, and `shape` is required. */
        public long object;
        /** 0: the object is copied. TN_BORROW: it becomes a side if it can, else it is copied. TN_REQUIRE_BORROW: it becomes a side, else an error. */
        public int borrow_flags;
        /** Element type. With an object: 0, or its element type. */
        public int dtype;
        /** Number of axes of `shape`. */
        public int ndim;
        /** The order of all memory that the mirror allocates: TN_ORDER_C, TN_ORDER_F, or TN_ORDER_A, with which it is F for an object that is F- and not C-contiguous. */
        public int order;
        /** Lengths in elements, copied. With an object: NULL, or its shape. */
        public Pointer shape;
        /** The GPU of the device side; all zero: that of an object on a GPU, else TN_CUDA 0. */
        public tn_device device = new tn_device();
        /** The side with the contents at first, TN_SIDE_; 0: that of the object, without an object the host's. */
        public int where;
        /** 0. */
        public int reserved;
        /** The pool of the host side, of ordinary or page-locked memory; NULL: the current pool of the host when the side is allocated. */
        public long host_pool;
        /** The pool of the device side; NULL: the current pool of the GPU when the side is allocated. */
        public long device_pool;
        /** At most 63 bytes of UTF-8, copied; NULL: that of the object. */
        public String name;

        /** Its size in C. */
        public static final int BYTES = 80;

        public tn_mirror_options() {}

        public tn_mirror_options(Pointer address) {
            super(address);
        }
    }

    /** State and transfers of a mirror. */
    @Structure.FieldOrder({"size", "valid", "allocated", "held", "is_poisoned", "transfers_to_device", "transfers_to_host", "bytes_to_device", "bytes_to_host", "device", "dtype", "ndim", "bytes", "name", "shape"})
    public static class tn_mirror_info extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 656;
        /** The sides with the present contents, TN_SIDE_ bits; never 0. Without elements both. */
        public int valid;
        /** The sides that have memory, TN_SIDE_ bits. */
        public int allocated;
        /** The sides that somebody else holds by a handle, view, guard or export, TN_SIDE_ bits. */
        public int held;
        /** 1: a write failed, and the contents are undefined until the mirror is overwritten. Else 0. */
        public int is_poisoned;
        /** Number of transfers from the host side to the device side. */
        public long transfers_to_device;
        /** Number of transfers from the device side to the host side. */
        public long transfers_to_host;
        /** Bytes of the transfers to the device side. */
        public long bytes_to_device;
        /** Bytes of the transfers to the host side. */
        public long bytes_to_host;
        /** The GPU of the device side. */
        public tn_device device = new tn_device();
        /** Element type. */
        public int dtype;
        /** Number of axes. */
        public int ndim;
        /** Bytes of the elements. */
        public long bytes;
        /** NUL-terminated; empty without a name. */
        public byte[] name = new byte[64];
        /** Lengths in elements; only the first ndim entries are written. */
        public long[] shape = new long[64];

        /** Its size in C. */
        public static final int BYTES = 656;

        public tn_mirror_info() {}

        public tn_mirror_info(Pointer address) {
            super(address);
        }
    }

    /** Options of `tn_array_open_npy`. */
    @Structure.FieldOrder({"size", "mode", "fd", "pool", "max_header_bytes"})
    public static class tn_npy_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 32;
        /** TN_NPY_. */
        public int mode;
        /** The file descriptor to read, used only if path is NULL. The caller keeps it and closes it. */
        public int fd;
        /** TN_NPY_COPY: the pool that the bytes are read into; NULL: the thread's current host pool. */
        public long pool;
        /** Largest accepted header, bytes; a longer one is TN_ERR_LIMIT. 0: 64 KiB. */
        public long max_header_bytes;

        /** Its size in C. */
        public static final int BYTES = 32;

        public tn_npy_options() {}

        public tn_npy_options(Pointer address) {
            super(address);
        }
    }

    /** Options of `tn_array_open_safetensors`; a NULL pointer means that tensors are read into the thread's current host pool. */
    @Structure.FieldOrder({"size", "pool", "flags", "reserved"})
    public static class tn_safetensors_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 24;
        /** The pool that tensors are read into; NULL: the thread's current host pool. */
        public long pool;
        /** 0, TN_BORROW or TN_REQUIRE_BORROW. */
        public int flags;
        /** Zero. */
        public int reserved;

        /** Its size in C. */
        public static final int BYTES = 24;

        public tn_safetensors_options() {}

        public tn_safetensors_options(Pointer address) {
            super(address);
        }
    }

    /** A tensor of a safetensors file. */
    @Structure.FieldOrder({"dtype", "ndim", "bytes", "name_bytes", "name", "shape", "reserved"})
    public static class tn_safetensors_info extends Structure {
        /** Element type; 0: one that no array can have, as floats of 8 bits. */
        public int dtype;
        /** Number of axes. */
        public int ndim;
        /** Bytes of the tensor. */
        public long bytes;
        /** Length of the tensor's name in bytes. `name` is cut if it does not fit. */
        public long name_bytes;
        /** UTF-8, NUL-terminated. */
        public byte[] name = new byte[256];
        /** Lengths in elements; entries from ndim on are 0. */
        public long[] shape = new long[64];
        /** Zero. */
        public long[] reserved = new long[2];

        /** Its size in C. */
        public static final int BYTES = 808;

        public tn_safetensors_info() {}

        public tn_safetensors_info(Pointer address) {
            super(address);
        }
    }

    /** A slice of one axis, as in Python. */
    @Structure.FieldOrder({"start", "stop", "step", "reserved"})
    public static class tn_slice_spec extends Structure {
        /** First index; a negative one counts from the end. */
        public long start;
        /** One past the last index; a negative one counts from the end. */
        public long stop;
        /** Step, not 0; TN_NONE: 1. */
        public long step;
        /** Zero. */
        public long[] reserved = new long[4];

        /** Its size in C. */
        public static final int BYTES = 56;

        public tn_slice_spec() {}

        public tn_slice_spec(Pointer address) {
            super(address);
        }
    }

    /** One part of `tn_array_split_write`. */
    @Structure.FieldOrder({"guard", "data", "start", "length", "reserved"})
    public static class tn_part extends Structure {
        /** The guard of this part, ended by its own `tn_borrow_end`. */
        public long guard;
        /** Address of the first element; NULL if the part is empty. */
        public Pointer data;
        /** First index along the axis. */
        public long start;
        /** Number of indices along the axis. */
        public long length;
        /** Zero. */
        public long[] reserved = new long[4];

        /** Its size in C. */
        public static final int BYTES = 64;

        public tn_part() {}

        public tn_part(Pointer address) {
            super(address);
        }
    }

    /** The memory that a guard gives access to. */
    @Structure.FieldOrder({"data", "device", "ndim", "dtype", "shape", "strides", "device_data", "bytes", "reserved"})
    public static class tn_view_info extends Structure {
        /** Address of element (0,..,0); NULL if there is no element. A reader must not write there. */
        public Pointer data;
        /** Where the bytes live. */
        public tn_device device = new tn_device();
        /** Number of axes. */
        public int ndim;
        /** Element type. */
        public int dtype;
        /** ndim lengths in elements, valid until the guard ends. */
        public Pointer shape;
        /** ndim strides in bytes, valid until the guard ends. */
        public Pointer strides;
        /** The address that a device uses; 0: no device can reach the memory. */
        public long device_data;
        /** Bytes of the elements. */
        public long bytes;
        /** Zero. */
        public long[] reserved = new long[4];

        /** Its size in C. */
        public static final int BYTES = 88;

        public tn_view_info() {}

        public tn_view_info(Pointer address) {
            super(address);
        }
    }

    /** One array of a `tn_borrow_all`. */
    @Structure.FieldOrder({"array", "stream", "access", "reserved"})
    public static class tn_borrow_spec extends Structure {
        /** The array. */
        public long array;
        /** The stream that accesses the bytes; NULL: the host, now. */
        public long stream;
        /** TN_READ, TN_READ_WRITE or TN_WRITE, with TN_WRITE_ mode bits, TN_FROZEN, TN_WAIT. */
        public int access;
        /** Zero. */
        public int[] reserved = new int[9];

        /** Its size in C. */
        public static final int BYTES = 56;

        public tn_borrow_spec() {}

        public tn_borrow_spec(Pointer address) {
            super(address);
        }
    }

    /** The memory that an open guard gives access to. */
    @Structure.FieldOrder({"size", "data", "device_data", "bytes"})
    public static class tn_borrow_info extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 32;
        /** Address of element (0,..,0). */
        public Pointer data;
        /** The address that a device uses; 0: no device can reach the memory. */
        public long device_data;
        /** Bytes of the elements. */
        public long bytes;

        /** Its size in C. */
        public static final int BYTES = 32;

        public tn_borrow_info() {}

        public tn_borrow_info(Pointer address) {
            super(address);
        }
    }

    /** Properties of the array that an expression makes. */
    @Structure.FieldOrder({"size", "dtype", "ndim", "form", "reserved", "shape"})
    public static class tn_expr_info extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 536;
        /** Element type. */
        public int dtype;
        /** Number of axes. */
        public int ndim;
        /** Form of the matrix. A diagonal matrix of n rows has the shape of its n values. */
        public int form;
        /** Zero. */
        public int reserved;
        /** Lengths in elements; only the first ndim entries are written. */
        public long[] shape = new long[64];

        /** Its size in C. */
        public static final int BYTES = 536;

        public tn_expr_info() {}

        public tn_expr_info(Pointer address) {
            super(address);
        }
    }

    /** A holder of a store, or an object that was not released. */
    @Structure.FieldOrder({"kind", "device", "reserved", "id", "bytes", "thread", "time_ns", "name", "site"})
    public static class tn_holder extends Structure {
        /** TN_HOLDER_. */
        public int kind;
        /** Where the bytes live. */
        public tn_device device = new tn_device();
        /** Zero. */
        public int reserved;
        /** The handle's bits; with TN_HOLDER_BLOCK the address. */
        public long id;
        /** Bytes of its store or block. */
        public long bytes;
        /** The system's id of the thread that made it. */
        public long thread;
        /** When it was made, ns since the epoch; 0 if the time is unknown. */
        public long time_ns;
        /** Name of its array or pool; for a block of another library, the library's name ("numpy"). NUL-terminated. */
        public byte[] name = new byte[64];
        /** Call site where it was made (TN_HERE): "step.c:41". A long one is cut at the front; "" if none. */
        public byte[] site = new byte[64];

        /** Its size in C. */
        public static final int BYTES = 176;

        public tn_holder() {}

        public tn_holder(Pointer address) {
            super(address);
        }
    }

    /** A store, or a raw block of a pool. */
    @Structure.FieldOrder({"size", "address", "bytes", "device", "flags", "reserved", "version", "pool_name"})
    public static class tn_store_info extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 112;
        /** Address of the first byte. */
        public long address;
        /** Bytes of the store or block. */
        public long bytes;
        /** Where the bytes live. */
        public tn_device device = new tn_device();
        /** TN_READONLY, TN_FOREIGN, TN_PINNED, TN_MAPPED, TN_WRITECOMBINED. */
        public int flags;
        /** Zero. */
        public int reserved;
        /** A number that grows with each finished write. */
        public long version;
        /** Name of its pool; "" if the bytes are of no pool. NUL-terminated. */
        public byte[] pool_name = new byte[64];

        /** Its size in C. */
        public static final int BYTES = 112;

        public tn_store_info() {}

        public tn_store_info(Pointer address) {
            super(address);
        }
    }

    /** A planned array, for which `tn_array_why_not` tests an array's bytes. */
    @Structure.FieldOrder({"size", "device", "dtype", "ndim", "shape"})
    public static class tn_target extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 32;
        /** The device where it shall live. */
        public tn_device device = new tn_device();
        /** Element type. */
        public int dtype;
        /** Number of axes. */
        public int ndim;
        /** ndim lengths in elements; NULL only with ndim 0. */
        public Pointer shape;

        /** Its size in C. */
        public static final int BYTES = 32;

        public tn_target() {}

        public tn_target(Pointer address) {
            super(address);
        }
    }

    /** Options of a DLPack export; a NULL pointer means a copy with the device label unchanged. */
    @Structure.FieldOrder({"size", "flags", "mode", "label", "reserved", "target", "consumer"})
    public static class tn_dlpack_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 40;
        /** Any of TN_BORROW, TN_REQUIRE_BORROW, TN_EXPORT_*, TN_UNORDERED, TN_WAIT. */
        public int flags;
        /** With TN_EXPORT_WRITABLE: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0. */
        public int mode;
        /** Device type to write into the struct for page-locked and managed memory: TN_CPU, TN_CUDA, or their own; 0: the array's own. TN_CUDA requires that the memory is mapped for devices. TN_CPU is an access of the host. */
        public int label;
        /** Zero. */
        public int reserved;
        /** The device on which the consumer wants the bytes; {0, 0}: where they are. They are copied there, unless their memory can have that label. */
        public tn_device target = new tn_device();
        /** The stream of a consumer on a device: it is made to wait for pending work, and uses the bytes until the deleter is called. NULL: the legacy stream under the label TN_CUDA, else the host. With TN_UNORDERED the consumer orders its work itself. */
        public long consumer;

        /** Its size in C. */
        public static final int BYTES = 40;

        public tn_dlpack_options() {}

        public tn_dlpack_options(Pointer address) {
            super(address);
        }
    }

    /** An array as the CUDA array interface describes it, version 3. */
    @Structure.FieldOrder({"size", "data", "shape", "strides", "ndim", "readonly", "c_contiguous", "version", "typestr", "stream", "has_stream", "reserved"})
    public static class tn_cuda_array_interface extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 72;
        /** Device address of element (0,..,0); 0 without elements. */
        public long data;
        /** ndim lengths in elements. Of an export, they live as long as its guard. */
        public Pointer shape;
        /** ndim strides in bytes, which live as long as the lengths. NULL in an import: C-contiguous. */
        public Pointer strides;
        /** Number of axes. */
        public int ndim;
        /** 1: the consumer may only read; else 0. */
        public int readonly;
        /** 1: the elements are C-contiguous; else 0. Not read by an import. */
        public int c_contiguous;
        /** Version of the interface: 3 in an export. */
        public int version;
        /** Byte order, kind and bytes of an element, as in "<f4"; NUL-terminated. */
        public byte[] typestr = new byte[8];
        /** With has_stream, the stream on which the elements are ready: 1 is the legacy default stream, 2 the per-thread one, else a CUstream. */
        public long stream;
        /** 0: no work on the elements is unfinished. */
        public int has_stream;
        /** Zero. */
        public int reserved;

        /** Its size in C. */
        public static final int BYTES = 72;

        public tn_cuda_array_interface() {}

        public tn_cuda_array_interface(Pointer address) {
            super(address);
        }
    }

    /** CUDAMat's matrix: float32 on a GPU, column by column. */
    @Structure.FieldOrder({"data_host", "data_device", "on_device", "on_host", "size", "is_trans", "owns_data"})
    public static class tn_cudamat extends Structure {
        /** Not used: NULL in an export, not read by an import. */
        public Pointer data_host;
        /** Device address of the elements: (i, j) is element i + j * size[0]. */
        public Pointer data_device;
        /** 1: the elements are on the GPU. */
        public int on_device;
        /** 1: the elements are on the host too; 0 in an export. */
        public int on_host;
        /** Rows and columns. */
        public int[] size = new int[2];
        /** 1: the matrix is the transpose of what the other fields describe; 0 in an export. */
        public int is_trans;
        /** 1: CUDAMat frees the elements; 0 in an export. */
        public int owns_data;

        /** Its size in C. */
        public static final int BYTES = 40;

        public tn_cudamat() {}

        public tn_cudamat(Pointer address) {
            super(address);
        }
    }

    /** How `tn_log_start` records. */
    @Structure.FieldOrder({"size", "kinds", "reserved", "path", "capacity"})
    public static class tn_log_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 32;
        /** TN_LOG_ bits: what is recorded; 0: everything. */
        public int kinds;
        /** 0. */
        public int reserved;
        /** The file that the events go to; a regular file of that name is replaced. NULL: memory, which keeps the newest events. */
        public String path;
        /** The most bytes that the log may have: at least 1 MiB, rounded down to a multiple of 64 KiB. An event has 64 bytes. 0: 16 MiB in memory, 1 GiB in a file. */
        public long capacity;

        /** Its size in C. */
        public static final int BYTES = 32;

        public tn_log_options() {}

        public tn_log_options(Pointer address) {
            super(address);
        }
    }

    /** What `tn_log_query` reports. */
    @Structure.FieldOrder({"size", "kinds", "is_file", "events", "overwritten", "dropped", "capacity"})
    public static class tn_log_stats extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 48;
        /** TN_LOG_ bits that are recorded; 0: no log runs. */
        public int kinds;
        /** 1: the events go to a file. */
        public int is_file;
        /** Events in the log; a name counts as two. */
        public long events;
        /** Events that newer ones have overwritten. */
        public long overwritten;
        /** Events that found no room. */
        public long dropped;
        /** The most bytes that the log may have. */
        public long capacity;

        /** Its size in C. */
        public static final int BYTES = 48;

        public tn_log_stats() {}

        public tn_log_stats(Pointer address) {
            super(address);
        }
    }

    /** All copies of imports, exports and writes with one function, call site and reason. */
    @Structure.FieldOrder({"function", "site", "why", "forced", "count", "bytes", "reserved"})
    public static class tn_copy_site extends Structure {
        /** The name of the tn_ function; static text. */
        public String function;
        /** The call site (TN_HERE); "" if none. */
        public byte[] site = new byte[64];
        /** TN_WHY_ bits. */
        public int why;
        /** 1: the caller would have accepted an alias; 0: the caller asked for a copy. */
        public int forced;
        /** Number of copies. */
        public long count;
        /** Bytes of those. */
        public long bytes;
        /** Zero. */
        public long reserved;

        /** Its size in C. */
        public static final int BYTES = 104;

        public tn_copy_site() {}

        public tn_copy_site(Pointer address) {
            super(address);
        }
    }

    /** Threads of the caller on which large copies and kernels of the host may run. */
    @Structure.FieldOrder({"size", "run", "context", "threads", "least_bytes"})
    public static class tn_runner extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 40;
        /** The function that runs tasks; NULL: no runner. */
        public Pointer run;
        /** First argument of `run`. It must stay valid while the runner is current on any thread. */
        public Pointer context;
        /** Largest number of tasks per copy or launch; 0 and 1: the work is not divided. */
        public long threads;
        /** Copies of fewer bytes stay on the calling thread; 0: 1 MiB. */
        public long least_bytes;

        /** Its size in C. */
        public static final int BYTES = 40;

        public tn_runner() {}

        public tn_runner(Pointer address) {
            super(address);
        }
    }

    /** One array in the memory of a thread block. */
    @Structure.FieldOrder({"dtype", "reserved", "count", "align"})
    public static class tn_block_item extends Structure {
        /** The element type. */
        public int dtype;
        /** Zero. */
        public int reserved;
        /** The number of elements, 0 or more. */
        public long count;
        /** Alignment of the first element in bytes: a power of two from 1 to 128; 0: the size of an element. */
        public long align;

        /** Its size in C. */
        public static final int BYTES = 24;

        public tn_block_item() {}

        public tn_block_item(Pointer address) {
            super(address);
        }
    }

    /** An argument of a launch. */
    @Structure.FieldOrder({"kind", "access", "ndim", "reserved", "what", "bytes"})
    public static class tn_arg extends Structure {
        /** TN_ARG_. */
        public int kind;
        /** Arrays and mirrors: TN_READ, TN_READ_WRITE, or TN_WRITE, which overwrites every element; each may add TN_WAIT. Arrays: TN_READ may add TN_FROZEN, a writing access a TN_WRITE_ mode, and each but a frozen one TN_ALLOW_ALIAS. Not used for values. */
        public int access;
        /** TN_ARG_ARRAY, TN_ARG_MIRROR: the N of the kernel's tn_view<T, N>, 1 to 8. An array without axes is passed as one axis of length 1, for which 0 is accepted too. Not used otherwise. */
        public int ndim;
        /** Zero. */
        public int reserved;
        /** The `tn_array *`, the `tn_mirror *`, or the address of the value. */
        public Pointer what;
        /** TN_ARG_VALUE: the bytes of the value, at least 1. Not used otherwise. */
        public long bytes;

        /** Its size in C. */
        public static final int BYTES = 32;

        public tn_arg() {}

        public tn_arg(Pointer address) {
            super(address);
        }
    }

    /** A block of a kernel of the host. */
    @Structure.FieldOrder({"size", "grid", "block", "index", "reserved", "memory", "memory_bytes"})
    public static class tn_host_block extends Structure {
        /** sizeof this struct, set by the library. */
        public long size = 64;
        /** The blocks of the launch. */
        public int[] grid = new int[3];
        /** The threads of a block, which the function runs itself. */
        public int[] block = new int[3];
        /** The position of this block in the grid. */
        public int[] index = new int[3];
        /** Zero. */
        public int reserved;
        /** The block memory, aligned to 128 bytes; NULL if the launch asks for none. Its contents are undefined. No other block uses it at the same time. */
        public Pointer memory;
        /** Bytes of it. */
        public long memory_bytes;

        /** Its size in C. */
        public static final int BYTES = 64;

        public tn_host_block() {}

        public tn_host_block(Pointer address) {
            super(address);
        }
    }

    /** What a launch runs, and how often. */
    @Structure.FieldOrder({"size", "function", "grid", "block", "block_bytes", "stream", "host_function", "flags", "cluster"})
    public static class tn_launch_config extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 80;
        /** A kernel of a GPU: a CUfunction, or a CUkernel of a library (CUDA 12.0); or NULL. */
        public Pointer function;
        /** The blocks in each of three directions, at least 1. */
        public int[] grid = new int[3];
        /** The threads of a block in each of three directions, at least 1. */
        public int[] block = new int[3];
        /** Bytes of dynamic block memory (CUDA's dynamic shared memory) of each block. The limit of the function is raised where necessary. */
        public long block_bytes;
        /** The stream that runs the kernel. A constant means that stream of the GPU of the first argument that is memory of a GPU, or else of the GPU of the thread's current context. NULL: the current stream there, for which the call waits. */
        public long stream;
        /** A kernel of the host, in place of `function`; else NULL. */
        public Pointer host_function;
        /** TN_LAUNCH_ flags, for a kernel of a GPU. */
        public int flags;
        /** The blocks of a cluster in each of three directions, for a kernel of a GPU with compute capability 9.0 or newer; the grid is a multiple of it. All 0: no cluster, or the one that the kernel was compiled for. */
        public int[] cluster = new int[3];

        /** Its size in C. */
        public static final int BYTES = 80;

        public tn_launch_config() {}

        public tn_launch_config(Pointer address) {
            super(address);
        }
    }

    /** How `tn_module_load` and `tn_module_compile` make a module. */
    @Structure.FieldOrder({"size", "name", "arch", "options", "n_options", "log", "log_capacity", "log_length"})
    public static class tn_module_options extends Structure {
        /** sizeof this struct, set by the caller. */
        public long size = 64;
        /** The name of the module in messages, reports, and the compiler's log: at most 63 bytes of UTF-8, copied. */
        public String name;
        /** `tn_module_compile`: "compute_80" makes PTX, which newer GPUs run too. "sm_80" makes a cubin for these GPUs, which older drivers run too. NULL: a cubin where all GPUs of the process are of one kind that the compiler knows, else PTX for the oldest of them; without a GPU, for the compiler's default. */
        public String arch;
        /** `tn_module_compile`: options of NVRTC, such as "-DTILE=16" and "--use_fast_math". */
        public Pointer options;
        /** Number of `options`. */
        public long n_options;
        /** `tn_module_compile`: where the compiler's log goes, also after a failure, with a NUL and cut to `log_capacity`. NULL only with capacity 0. */
        public Pointer log;
        /** Bytes of `log`. */
        public long log_capacity;
        /** `tn_module_compile`: where the length of the whole log goes, without its NUL; or NULL. */
        public Pointer log_length;

        /** Its size in C. */
        public static final int BYTES = 64;

        public tn_module_options() {}

        public tn_module_options(Pointer address) {
            super(address);
        }
    }

    /** Returns the version of the loaded library, encoded as TN_VERSION. */
    public static native int tn_version();

    /** Returns the symbolic name of a status. */
    public static native String tn_status_name(int status);

    /** Returns the message of this thread's last failed call: the function, what was wrong, the offending values, what to do. */
    public static native String tn_last_error();

    /** Sets an option of the whole process. */
    public static native int tn_option_set(String name, String value);

    /** Writes the value of an option, as text that `tn_option_set` accepts. */
    public static native int tn_option_get(String name, long capacity, byte[] text, long[] length);

    /** Sets this thread's call site. */
    public static native int tn_here(String file, int line);

    /** Runs the release callbacks that TN_RELEASE_QUEUED delayed, in the order in which they were queued. */
    public static native int tn_run_releases(long[] n_run);

    /** Makes an array of new bytes with undefined contents. */
    public static native int tn_array_empty(long pool, int dtype, int ndim, long[] shape, tn_array_options options, long[] out);

    /** Makes an array of new bytes that are all 0. */
    public static native int tn_array_zeros(long pool, int dtype, int ndim, long[] shape, tn_array_options options, long[] out);

    /** Makes an array whose elements all have one value. */
    public static native int tn_array_full(long pool, int dtype, int ndim, long[] shape, Pointer value, tn_array_options options, long[] out);

    /** Makes an array with the type and shape of another one, of new bytes with undefined contents. */
    public static native int tn_array_like(long prototype, long pool, tn_array_options options, long[] out);

    /** Makes an array from the caller's host memory: an alias or a copy, as the flags say. */
    public static native int tn_array_import_host(Pointer ptr, tn_layout layout, int flags, tn_release_callback release, Pointer context, long[] out, int[] how);

    /** Describes an array: type, shape, strides, device, flags, form, bytes, name. */
    public static native int tn_array_query(long array, tn_array_info info);

    /** Sets the name of the array in messages and reports. */
    public static native int tn_array_set_name(long array, String name);

    /** Sets whether the pool of an array may spill its bytes, see `tn_pool_set_spill`. */
    public static native int tn_array_set_spillable(long array, int on);

    /** Sets the form of a matrix: what expressions take the array for. */
    public static native int tn_array_set_form(long array, int form);

    /** Makes a new handle on the pool of an array's bytes. */
    public static native int tn_array_pool(long array, long[] out);

    /** Waits until the device work on an array is done, so that the host may access the bytes, and brings them back if they were spilled. */
    public static native int tn_array_wait(long array, int access);

    /** Makes another handle with its own claim on the same bytes, and with the same layout, form and name. */
    public static native int tn_array_clone(long array, long[] out);

    /** Copies an array to new bytes. */
    public static native int tn_array_copy(long array, long pool, long stream, long[] out);

    /** Releases an array handle and its claim. */
    public static native int tn_array_release(long array);

    /** Makes a weak handle, which keeps the layout but has no claim on the bytes. */
    public static native int tn_array_weaken(long array, long[] out);

    /** Makes an array handle, with a claim, from a weak handle. */
    public static native int tn_weak_upgrade(long weak, long[] out);

    /** Releases a weak handle. */
    public static native int tn_weak_release(long weak);

    /** Opens a `.npy` file as an array: maps it, or reads it into a pool's memory. */
    public static native int tn_array_open_npy(String path, tn_npy_options options, long[] out);

    /** Opens an array in `.npy` format that begins at any byte of an open file, as `tn_array_open_npy` does. */
    public static native int tn_array_open_npy_fd(int fd, long offset, tn_npy_options options, long[] end, long[] out);

    /** Saves an array as a `.npy` file for NumPy, in C order, or in F order if the array is only F-contiguous. */
    public static native int tn_array_save_npy(long array, String path, int flags);

    /** Writes an array in `.npy` format to an open file, pipe or socket, at the descriptor's position, which is behind the data afterwards. */
    public static native int tn_array_save_npy_fd(long array, int fd, int flags);

    /** Opens a read guard: until it ends, no other guard of this library may write the bytes. */
    public static native int tn_array_borrow_read(long array, int flags, long stream, PointerByReference data, tn_view_info view, long[] out);

    /** Opens a write guard: until it ends, no other guard of this library may read or write the bytes. */
    public static native int tn_array_borrow_write(long array, int mode, long stream, PointerByReference data, tn_view_info view, long[] out);

    /** Opens one guard on several arrays, all or none. */
    public static native int tn_borrow_all(long n_specs, Pointer specs, Pointer views, long[] out);

    /** Opens write guards on consecutive parts of an axis, so that each part can be written by its own thread. */
    public static native int tn_array_split_write(long array, int axis, long n_parts, int mode, long stream, Pointer parts);

    /** Describes the memory that an open guard gives access to. */
    public static native int tn_borrow_query(long borrow, tn_borrow_info info);

    /** Writes what a kernel gets of the memory of an open guard, for callers that launch their kernels themselves. */
    public static native int tn_borrow_kernel_view(long borrow, int ndim, long bytes, Pointer out);

    /** Ends a guard of any kind. */
    public static native int tn_borrow_end(long borrow, int flags, long stream);

    /** Accepts the bytes of an array as they are, after a writer that failed: they count as written. */
    public static native int tn_array_heal(long array);

    /** Makes a view with another shape and the same elements in the same order. */
    public static native int tn_array_reshape(long array, int ndim, long[] shape, int order, long[] out);

    /** Makes a one-dimensional view of all elements. */
    public static native int tn_array_ravel(long array, int order, long[] out);

    /** Makes a view with all axes reversed. */
    public static native int tn_array_transpose(long array, long[] out);

    /** Makes a view with the axes in another order. */
    public static native int tn_array_permute(long array, int ndim, int[] axes, long[] out);

    /** Makes a view of a part of an array. */
    public static native int tn_array_slice(long array, long n_specs, Pointer specs, long[] out);

    /** Makes a view of the elements at one index of an axis. */
    public static native int tn_array_index(long array, int axis, long index, long[] out);

    /** Makes a view without axes of length 1. */
    public static native int tn_array_squeeze(long array, long n_axes, int[] axes, long[] out);

    /** Makes a view with a new axis of length 1. */
    public static native int tn_array_expand(long array, int axis, long[] out);

    /** Broadcasts an array to a larger shape, with NumPy's rules: shapes are aligned at the last axis, and lengths of 1 are stretched. */
    public static native int tn_array_broadcast(long array, int ndim, long[] shape, long[] out);

    /** Splits an axis into a given number of consecutive views, whose lengths differ by at most 1, the longer ones first. */
    public static native int tn_array_split(long array, int axis, long n_parts, long capacity, long[] outs, long[] n_outs);

    /** Splits an axis into consecutive views of a given length, of which the last may be shorter. */
    public static native int tn_array_chunks(long array, int axis, long length, long capacity, long[] outs, long[] n_outs);

    /** Makes a view of the same bytes as another element type. */
    public static native int tn_array_view_dtype(long array, int dtype, long[] out);

    /** Tests whether two arrays overlap in memory. */
    public static native int tn_array_overlap(long a, long b, int[] out);

    /** Gives an array away: makes a promise not to use the handle again, which `tn_take` or `tn_enter` opens. */
    public static native int tn_array_give(long array, long n_required, long[] out);

    /** Cancels a promise, so that the giver can use its array again. */
    public static native int tn_promise_cancel(long promise);

    /** Releases a promise. */
    public static native int tn_promise_release(long promise);

    /** Takes arrays: opens promises, all or none, and makes a new handle for each. */
    public static native int tn_take(long n_promises, long[] promises, long[] out);

    /** Enters a scope: the callee gets its own handle for every parameter, all or none. */
    public static native int tn_enter(long n_params, long[] params, long[] out, long[] scope);

    /** Leaves a scope: releases its remaining handles, in the order of its parameters. */
    public static native int tn_leave(long scope, long n_keep, long[] keep);

    /** Tests whether this handle is the only holder of its store: no other claims, guards or exports. */
    public static native int tn_array_is_unique(long array, int[] out);

    /** Lists the reasons why the array's bytes cannot be overwritten in place, and the holders of the store. */
    public static native int tn_array_why_not(long array, tn_target target, long item_size, long capacity, int[] bits, Pointer holders, long[] n_holders);

    /** Finds the store or raw block of some bytes, and its holders. */
    public static native int tn_holders_of(Pointer ptr, long bytes, long item_size, long capacity, tn_store_info store, Pointer holders, long[] n_holders);

    /** Finds the store of an array, and its holders. */
    public static native int tn_array_holders(long array, long item_size, long capacity, tn_store_info store, Pointer holders, long[] n_holders);

    /** Creates a pool on a device. */
    public static native int tn_pool_create(tn_device.ByValue device, tn_pool_options options, long[] out);

    /** Creates a pool that allocates and deallocates its memory through the caller's callbacks. */
    public static native int tn_pool_import(tn_device.ByValue device, tn_upstream upstream, tn_pool_options options, long[] out);

    /** Makes a new handle on the process-wide default pool of a device: the pool that `tn_pool_set_default` set, else the initial default pool, which is created at its first use and lives until the process ends. */
    public static native int tn_pool_default(tn_device.ByValue device, long[] out);

    /** Sets the process-wide default pool of the pool's device: the meaning of NULL as a pool on all threads that set no current pool. */
    public static native int tn_pool_set_default(long pool);

    /** Sets the thread's current pool of the pool's device: the meaning of NULL as a pool on this thread. */
    public static native int tn_pool_set_current(long pool);

    /** Makes a new handle on the thread's current pool of a device, which at first is the default pool. */
    public static native int tn_pool_current(tn_device.ByValue device, long[] out);

    /** Releases a handle on a pool. */
    public static native int tn_pool_release(long pool);

    /** Allocates a raw block with undefined contents. */
    public static native int tn_pool_allocate(long pool, long bytes, long alignment, long stream, PointerByReference out);

    /** Allocates a raw block whose first `bytes` bytes are 0. */
    public static native int tn_pool_allocate_zeroed(long pool, long bytes, long alignment, long stream, PointerByReference out);

    /** Resizes a raw block: in place if there is room, else by moving its pages or copying its bytes. */
    public static native int tn_pool_reallocate(long pool, Pointer ptr, long bytes, long stream, PointerByReference out);

    /** Frees a raw block. */
    public static native int tn_pool_deallocate(long pool, Pointer ptr, long stream);

    /** Records that a raw block is also used on another stream than the one on which it will be freed. */
    public static native int tn_pool_record_use(long pool, Pointer ptr, long stream);

    /** Lets another pool serve the requests for a pool's memory on a stream, until `tn_pool_private_end`: `tn_pool_allocate`, `tn_pool_allocate_zeroed` and new arrays. */
    public static native int tn_pool_private_begin(long pool, long private_pool, long stream);

    /** Ends what `tn_pool_private_begin` began: the pool serves its requests on the stream itself. */
    public static native int tn_pool_private_end(long pool, long stream);

    /** Makes a new handle on the pool whose live block, raw or of an array, contains an address. */
    public static native int tn_pool_of(Pointer ptr, long[] out);

    /** Writes the usable size of a live block: at least the requested size. */
    public static native int tn_pool_usable_size(Pointer ptr, long[] out);

    /** Writes the statistics of a pool, a snapshot of one moment. */
    public static native int tn_pool_query(long pool, tn_pool_stats stats);

    /** Resets the peaks of a pool to the current values. */
    public static native int tn_pool_reset_peak(long pool);

    /** Returns cached memory to the device, longest unused first, until at most `keep_bytes` are cached or no whole segment is free. */
    public static native int tn_pool_trim(long pool, long keep_bytes, long[] released_bytes);

    /** Lets a pool of ordinary host memory spill: at its limit, it writes arrays that nobody uses to files, and frees their memory, before a request fails with TN_ERR_POOL_LIMIT. */
    public static native int tn_pool_set_spill(long pool, tn_spill_options options);

    /** Spills arrays that nobody uses now, the one that was used longest ago first, until at least `bytes` bytes of memory are free or none is left. */
    public static native int tn_pool_spill(long pool, long bytes, long[] spilled_bytes);

    /** Lists the size classes of a pool that were ever used. */
    public static native int tn_pool_query_classes(long pool, long item_size, long capacity, Pointer classes, long[] n_classes);

    /** Lists the clients of a pool with their statistics: arrays, raw blocks, and each library that allocates from it. */
    public static native int tn_pool_query_clients(long pool, long item_size, long capacity, Pointer clients, long[] n_clients);

    /** Registers a callback for when the pool is out of memory: after the cached memory of all pools of the device was released, and before the request fails. */
    public static native int tn_pool_on_pressure(long pool, tn_pressure_callback callback, Pointer context, tn_release_callback release);

    /** Ends a registration. */
    public static native int tn_pool_off_pressure(long pool, tn_pressure_callback callback, Pointer context);

    /** Copies the elements of one array into another. */
    public static native int tn_array_copy_into(long source, long destination, int mode, long stream);

    /** Copies an array to a new array on a device, even if the array is on that device already. */
    public static native int tn_array_to_device(long array, tn_device.ByValue device, long pool, long stream, long[] out);

    /** Moves a given array to a device: takes the promise, copies the elements to a new array there, and releases the old bytes. */
    public static native int tn_promise_to_device(long promise, tn_device.ByValue device, long pool, long stream, long[] out);

    /** Copies an array's elements into raw host memory. */
    public static native int tn_array_copy_to_host(long array, Pointer ptr, tn_layout layout, long stream);

    /** Copies elements from raw host memory into an array. */
    public static native int tn_array_copy_from_host(long array, Pointer ptr, tn_layout layout, int mode, long stream);

    /** Overwrites every element of an array with one value. */
    public static native int tn_array_fill(long array, Pointer value, int mode, long stream);

    /** Overwrites every byte of an array's elements with 0. */
    public static native int tn_array_clear(long array, int mode, long stream);

    /** Page-locks the caller's memory, so that devices can copy it directly, and makes a one-dimensional array of u8 on TN_CUDA_HOST from it. */
    public static native int tn_host_register(Pointer ptr, long bytes, int flags, long[] out);

    /** Advises the driver how managed memory will be used. */
    public static native int tn_array_advise(long array, int advice, tn_device.ByValue device);

    /** Moves managed memory to the device where it will be used next. */
    public static native int tn_array_prefetch(long array, tn_device.ByValue device, long stream);

    /** Counts the devices of a type. */
    public static native int tn_device_count(int type, long[] out);

    /** Describes a device. */
    public static native int tn_device_query(tn_device.ByValue device, int flags, tn_device_info info);

    /** Waits for all work on a device, whoever issued it. */
    public static native int tn_device_synchronize(tn_device.ByValue device);

    /** Creates a stream: a queue of work on a GPU that is executed in order, concurrently with other streams. */
    public static native int tn_stream_create(tn_device.ByValue device, int flags, int priority, long[] out);

    /** Makes a handle on another library's stream. */
    public static native int tn_stream_import(tn_device.ByValue device, long native_, long[] out);

    /** Writes the CUstream of a stream, for other libraries. */
    public static native int tn_stream_native(long stream, long[] out);

    /** Waits until all work issued on a stream so far is done. */
    public static native int tn_stream_synchronize(long stream);

    /** Sets the calling thread's current stream of a device: the meaning of TN_STREAM_CURRENT there, and of NULL as the stream of a pool call. */
    public static native int tn_stream_set_current(tn_device.ByValue device, long stream);

    /** Makes a handle on the calling thread's current stream of a device. */
    public static native int tn_stream_current(tn_device.ByValue device, long[] out);

    /** Makes a stream the thread's current one until `tn_stream_leave`. */
    public static native int tn_stream_enter(tn_device.ByValue device, long stream, int flags, long[] out);

    /** Leaves a scope: restores the current stream from before the scope, whatever was set inside it. */
    public static native int tn_stream_leave(long scope);

    /** Makes the work that is issued on a stream from now on wait for an event. */
    public static native int tn_stream_wait_event(long stream, long event);

    /** Returns TN_STREAM_LEGACY, for languages that cannot use pointer constants of a C header. */
    public static native long tn_stream_legacy();

    /** Returns TN_STREAM_PER_THREAD, for languages that cannot use pointer constants of a C header. */
    public static native long tn_stream_per_thread();

    /** Returns TN_STREAM_CURRENT, for languages that cannot use pointer constants of a C header. */
    public static native long tn_stream_of_thread();

    /** Releases a handle on a stream. */
    public static native int tn_stream_release(long stream);

    /** Creates an event. */
    public static native int tn_event_create(tn_device.ByValue device, int flags, long[] out);

    /** Records an event after all work issued on a stream so far. */
    public static native int tn_event_record(long event, long stream);

    /** Waits until the work before an event is done. */
    public static native int tn_event_synchronize(long event);

    /** Tests whether the work before an event is done. */
    public static native int tn_event_query(long event, int[] out);

    /** Computes the time between two events, by the device's clock. */
    public static native int tn_event_elapsed(long start, long end, long[] elapsed_ns);

    /** Releases an event. */
    public static native int tn_event_release(long event);

    /** Sets the runner of this thread: a function that spreads its large copies, and the blocks of kernels of the host that it launches, over threads of the caller. */
    public static native int tn_runner_set_current(tn_runner runner);

    /** Writes the runner of this thread, for a later `tn_runner_set_current`. */
    public static native int tn_runner_current(tn_runner out);

    /** Exports an array as raw host bytes with a layout, for consumers without an exchange format. */
    public static native int tn_array_export_host(long array, int flags, int mode, long stream, tn_view_info view, long[] guard, int[] how);

    /** Exports an array as a DLManagedTensor: the DLPack struct without a version, which cannot express "read-only". */
    public static native int tn_array_export_dlpack(long array, tn_dlpack_options options, PointerByReference out, int[] how);

    /** Exports an array as a DLManagedTensorVersioned of version 1.1, with its flags for read-only and copied. */
    public static native int tn_array_export_dlpack_versioned(long array, tn_dlpack_options options, PointerByReference out, int[] how);

    /** Makes an array from a DLManagedTensor. */
    public static native int tn_array_import_dlpack(Pointer tensor, int flags, long[] out, int[] how);

    /** Makes an array from a DLManagedTensorVersioned. */
    public static native int tn_array_import_dlpack_versioned(Pointer tensor, int flags, long[] out, int[] how);

    /** Gets DLPack's table of C functions, with which other libraries exchange arrays with the Python package without a call into the interpreter. */
    public static native int tn_dlpack_exchange_api(PointerByReference out);

    /** Exports an array that devices can access, as the CUDA array interface describes it. */
    public static native int tn_array_export_cuda_array_interface(long array, int flags, int mode, long stream, tn_cuda_array_interface out, long[] guard, int[] how);

    /** Makes an array of memory that the CUDA array interface of another library describes. */
    public static native int tn_array_import_cuda_array_interface(tn_cuda_array_interface source, int flags, tn_release_callback release, Pointer context, long[] out, int[] how);

    /** Exports an array as CUDAMat's matrix of float32. */
    public static native int tn_array_export_cudamat(long array, int flags, int mode, tn_cudamat out, long[] guard, int[] how);

    /** Makes an array of the elements of CUDAMat's matrix. */
    public static native int tn_array_import_cudamat(tn_cudamat source, int flags, tn_release_callback release, Pointer context, long[] out, int[] how);

    /** Exports an array through Arrow's C data interface. */
    public static native int tn_array_export_arrow(long array, int flags, Pointer schema, Pointer out, int[] how);

    /** Exports an array through Arrow's C device interface: as `tn_array_export_arrow`, from any memory. */
    public static native int tn_array_export_arrow_device(long array, int flags, Pointer schema, Pointer out, int[] how);

    /** Makes an array from an Arrow array of numbers, or of fixed-size lists of numbers. */
    public static native int tn_array_import_arrow(Pointer schema, Pointer source, int flags, long[] out, int[] how);

    /** Makes an array from an Arrow device array in memory of the host or of a GPU. */
    public static native int tn_array_import_arrow_device(Pointer schema, Pointer source, int flags, long[] out, int[] how);

    /** Exports an array to other processes. */
    public static native int tn_array_export_ipc(long array, int flags, long capacity, Pointer descriptor, long[] descriptor_bytes, int[] fd, long[] guard, int[] how);

    /** Makes an array of the bytes that another process exported, or this one. */
    public static native int tn_array_import_ipc(Pointer descriptor, long descriptor_bytes, int fd, int flags, long[] out, int[] how);

    /** Lists the tensors of a safetensors file, in the order of their bytes. */
    public static native int tn_safetensors_query(String path, long item_size, long capacity, Pointer infos, long[] n_infos);

    /** Lists the tensors of an open safetensors file, as `tn_safetensors_query` does. */
    public static native int tn_safetensors_query_fd(int fd, long offset, long item_size, long capacity, Pointer infos, long[] n_infos);

    /** Opens tensors of a safetensors file by their names, all or none. */
    public static native int tn_array_open_safetensors(String path, long n_names, Pointer names, tn_safetensors_options options, long[] out, int[] how);

    /** Opens tensors of an open safetensors file by their names, all or none, as `tn_array_open_safetensors` does. */
    public static native int tn_array_open_safetensors_fd(int fd, long offset, long n_names, Pointer names, tn_safetensors_options options, long[] out, int[] how);

    /** Computes where several arrays lie in the memory of a thread block (CUDA's shared memory), and how many bytes they need. */
    public static native int tn_block_layout(long n_items, Pointer items, long[] offsets, long[] total);

    /** Writes a report as JSON: every pool with its statistics and clients, every store with its holders, their call sites and ages, raw blocks by call site, other open objects, the copy book, and the copies of this library in the process. */
    public static native int tn_report_json(int flags, long capacity, byte[] text, long[] length);

    /** Saves a page for a browser: a map of the memory, the arrays with their holders, the copy book, pools and limits. */
    public static native int tn_report_html(int flags, String path);

    /** Writes the page of `tn_report_html` into memory. */
    public static native int tn_report_html_text(int flags, long capacity, byte[] text, long[] length);

    /** Lists the copy book: the copies of imports, exports and copy-on-write, added up by function, call site and reason, most bytes first. */
    public static native int tn_copies_query(long item_size, long capacity, Pointer sites, long[] n_sites);

    /** Forbids copies on this thread where the caller would have accepted an alias. */
    public static native int tn_copies_forbid(int on);

    /** Lists every object that was not released so far: handles, guards, exports, promises, weak handles, scopes, expressions, shared variables, functions, pools, raw blocks of pools, queued release callbacks. */
    public static native int tn_leaks(long item_size, long capacity, Pointer leaks, long[] n_leaks);

    /** Begins to record events: what happens to the memory of all pools and arrays of the process, with times, threads and call sites. */
    public static native int tn_log_start(tn_log_options options);

    /** Ends the log. */
    public static native int tn_log_stop();

    /** Saves the log that is in memory, as a file of the format that a log in a file has. */
    public static native int tn_log_save(String path);

    /** Reports how many events the log has: the one that runs, or the last one, if it was in memory. */
    public static native int tn_log_query(tn_log_stats stats);

    /** Gets the table of operations with which UMF makes Tenure pools over its providers (umfPoolCreate). */
    public static native int tn_umf_pool_ops(int version, PointerByReference out);

    /** Gets the table of operations with which UMF makes providers over Tenure pools (umfMemoryProviderCreate). */
    public static native int tn_umf_provider_ops(int version, PointerByReference out);

    /** Allocates a block for a C++ container; tenure_memory.hpp uses it. */
    public static native int tn_cpp_allocate(long pool, long bytes, long alignment, PointerByReference out);

    /** Frees a block from `tn_cpp_allocate`. */
    public static native int tn_cpp_deallocate(long pool, Pointer ptr);

    /** Makes a leaf of an expression from an array. */
    public static native int tn_expr_leaf(long array, int form, long[] out);

    /** Makes the sum x + y. */
    public static native int tn_expr_add(long x, long y, long[] out);

    /** Makes the difference x - y, with the forms of `tn_expr_add`. */
    public static native int tn_expr_subtract(long x, long y, long[] out);

    /** Makes the product of a matrix and a matrix or vector. */
    public static native int tn_expr_multiply(long m, long x, long[] out);

    /** Makes the lower Cholesky factor of a symmetric positive definite matrix. */
    public static native int tn_expr_cholesky(long x, long[] out);

    /** Makes the LU factors of a square matrix, with partial pivoting, for several uses: `tn_expr_solve` with them as m solves the equations of x, `tn_expr_multiply` with them as m multiplies by x, `tn_expr_transpose` makes them those of the transpose, and `tn_expr_lu_part` shows them. */
    public static native int tn_expr_lu(long x, long[] out);

    /** Makes a part of LU factors: with P, L and U, the matrix is P * L * U. */
    public static native int tn_expr_lu_part(long factors, int part, long[] out);

    /** Makes the solution x of m * x = b. */
    public static native int tn_expr_solve(long m, long b, long[] out);

    /** Makes the product of x and a number, in the form of x. */
    public static native int tn_expr_scale(long x, double factor, long[] out);

    /** Makes the transpose of x: another view of its bytes, which moves no element. */
    public static native int tn_expr_transpose(long x, long[] out);

    /** Makes the sum over one axis or over all axes, of a diagonal matrix too. */
    public static native int tn_expr_sum(long x, int axis, long[] out);

    /** Makes an operation that is applied element by element to operands of any shape; two operands have equal shapes. */
    public static native int tn_expr_elementwise(int op, long x, long y, long[] out);

    /** Makes the matrix of x with all its elements, also the zeros of a diagonal or a triangle, in full form. */
    public static native int tn_expr_dense(long x, long[] out);

    /** Describes the array that an expression makes: its type, its form and its shape. */
    public static native int tn_expr_query(long expr, tn_expr_info info);

    /** Computes an expression, and makes an array of its value, which has the form that `tn_expr_explain` tells. */
    public static native int tn_expr_compute(long expr, int flags, long[] out);

    /** Releases an expression. */
    public static native int tn_expr_release(long expr);

    /** Explains what computing an expression would do now: for each operation, which operand its result overwrites, or why none. */
    public static native int tn_expr_explain(long expr, int format, long capacity, byte[] text, long[] length);

    /** Creates a shared variable from an array. */
    public static native int tn_shared_create(long value, int flags, tn_shared_options options, long[] out, tn_crossing crossing);

    /** Reads a shared variable. */
    public static native int tn_shared_get(long shared, int flags, long[] out, tn_crossing crossing);

    /** Replaces the value of a shared variable. */
    public static native int tn_shared_set(long shared, long value, int flags, tn_crossing crossing);

    /** Changes the value of a shared variable by a callback. */
    public static native int tn_shared_update(long shared, int flags, tn_update_callback callback, Pointer context, tn_crossing crossing);

    /** Begins to change the value of a shared variable. */
    public static native int tn_shared_update_begin(long shared, int flags, long[] value, tn_crossing crossing);

    /** Ends an update of a shared variable. */
    public static native int tn_shared_update_end(long shared, int flags);

    /** Queries a shared variable. */
    public static native int tn_shared_query(long shared, tn_shared_info info);

    /** Releases a shared variable. */
    public static native int tn_shared_release(long shared);

    /** Creates a function: code of the program, which the library calls with declared inputs, outputs and updates. */
    public static native int tn_function_create(tn_function_options options, long[] out);

    /** Calls a function. */
    public static native int tn_function_call(long function, long n_in, long[] in, long n_out, long[] out, Pointer in_crossings, Pointer out_crossings);

    /** Calls a function as `tn_function_call`, and tells of every value what became of it: also of the implicit inputs, and of the variables that the call changes. */
    public static native int tn_function_call_crossings(long function, long n_in, long[] in, long n_out, long[] out, tn_call_crossings crossings);

    /** Makes a READONLY handle on the default value of an input: on the function's own copy, which no call changes. */
    public static native int tn_function_default(long function, long index, long[] out);

    /** Releases a function. */
    public static native int tn_function_release(long function);

    /** Creates a mirror: one array with a side on the host and a side on a GPU, of which one or both are valid. */
    public static native int tn_mirror_create(tn_mirror_options options, long[] out, tn_crossing crossing);

    /** Makes a side valid and borrows it. */
    public static native int tn_mirror_acquire(long mirror, int side, int access, long stream, PointerByReference data, tn_view_info view, long[] out);

    /** Makes a side valid, and returns an array handle on it. */
    public static native int tn_mirror_get(long mirror, int side, long[] out);

    /** Makes a side the only valid one, after bytes of it were changed in a way that the library does not see: through a shared view, or through a raw pointer. */
    public static native int tn_mirror_mark_changed(long mirror, int side);

    /** Queries state and transfers of a mirror. */
    public static native int tn_mirror_query(long mirror, tn_mirror_info info);

    /** Releases a mirror. */
    public static native int tn_mirror_release(long mirror);

    /** Makes a module of an image: PTX, a cubin or a fatbin. */
    public static native int tn_module_load(Pointer image, long bytes, tn_module_options options, long[] out);

    /** Compiles CUDA C++ with NVRTC, CUDA's compiler library, and makes a module of the result. */
    public static native int tn_module_compile(String source, tn_module_options options, long[] out);

    /** Finds a kernel of a module on a GPU, for `tn_launch`. */
    public static native int tn_module_function(long module, String name, tn_device.ByValue device, PointerByReference function);

    /** Releases a module, also while its kernels run. */
    public static native int tn_module_release(long module);

    /** Launches a kernel, which borrows the arrays among its arguments as their access says. */
    public static native int tn_launch(tn_launch_config config, long n_args, Pointer args);

    /** Makes the struct with which NumPy allocates from a pool: a PyDataMem_Handler of version 1 (NEP 49), to be put into a capsule named "mem_handler" for PyDataMem_SetHandler. */
    public static native int tn_numpy_handler(long pool, PointerByReference out);

    /** Allocates a block of a GPU for PyTorch, with the signature that its CUDAPluggableAllocator loads. */
    public static native Pointer tn_torch_alloc(long bytes, int device, Pointer stream);

    /** Frees a block from `tn_torch_alloc`, in the order of a stream. */
    public static native void tn_torch_free(Pointer ptr, long bytes, int device, Pointer stream);

    /** Records that a stream uses a block until it is freed. */
    public static native void tn_torch_record_stream(Pointer ptr, Pointer stream);

    /** Allocates a block of a GPU for CuPy's CFunctionAllocator, whose parameter is the pool's handle. */
    public static native Pointer tn_cupy_malloc(Pointer pool, long bytes, int device);

    /** Frees a block from `tn_cupy_malloc`. */
    public static native void tn_cupy_free(Pointer pool, Pointer ptr, int device);

    /** Allocates a block of a GPU for a memory resource of RMM. */
    public static native Pointer tn_rmm_allocate(long bytes, Pointer stream, Pointer pool);

    /** Frees a block from `tn_rmm_allocate`, in the order of a stream. */
    public static native void tn_rmm_deallocate(Pointer ptr, long bytes, Pointer stream, Pointer pool);

    /** Completes the table of `tn_dlpack_exchange_api` with the Python package's functions that take Python objects. */
    public static native int tn_dlpack_register_python(Pointer slots);

    /** Allocates a block of a GPU for another library whose plug-in is written in the binding's language. */
    public static native int tn_plugin_allocate(int client, long pool, long bytes, int device, Pointer stream, PointerByReference out);

    /** Frees a block from `tn_plugin_allocate`, in the order of a stream. */
    public static native int tn_plugin_deallocate(int client, long pool, Pointer ptr, int device, Pointer stream);
}
