//! The C types and constants, for every layer, the header generator and the layout checker.
//!
//! Contract: plain data, with no `use` of another module and no functions. Enumerations are fixed-width integers.
//! Structs that may grow start with `size`. Opaque types are never dereferenced: the bits of their pointers are a
//! checked id (see `slots`).
#![forbid(unsafe_code)]
#![allow(non_camel_case_types)]
#![allow(clippy::identity_op)] // all flags are written in one form

/// Version of this header: major << 16 | minor << 8 | patch.
pub const TN_VERSION: u32 = 0x0000_0100;

/// The result of every function: TN_OK, the only code for success, or one of TN_ERR_*.
pub type tn_status = u32;
/// The call succeeded.
pub const TN_OK: tn_status = 0;
/// An argument that must not be NULL is NULL.
pub const TN_ERR_NULL: tn_status = 1;
/// The handle was released, or the block was freed.
pub const TN_ERR_STALE: tn_status = 2;
/// The argument is a handle of another kind, or no handle.
pub const TN_ERR_KIND: tn_status = 3;
/// The handle's claim was moved away by a take; the handle can only be released.
pub const TN_ERR_DESTRUCTED: tn_status = 4;
/// The handle was given away, and its promise is outstanding.
pub const TN_ERR_GIVEN: tn_status = 5;
/// A failed writer left the bytes undefined.
pub const TN_ERR_POISONED: tn_status = 6;
/// The handle or its memory must not be written.
pub const TN_ERR_READONLY: tn_status = 7;
/// An open write guard overlaps the bytes.
pub const TN_ERR_BORROWED_WRITE: tn_status = 8;
/// An open read guard overlaps the bytes.
pub const TN_ERR_BORROWED: tn_status = 9;
/// An export of the bytes is alive.
pub const TN_ERR_EXPORTED: tn_status = 10;
/// Other handles have claims on the store.
pub const TN_ERR_SHARED: tn_status = 11;
/// A lazy expression holds the store; the message names its operation.
pub const TN_ERR_IN_EXPRESSION: tn_status = 12;
/// Device work on the bytes is not finished.
pub const TN_ERR_PENDING: tn_status = 13;
/// The bytes are lent to the library, or belong to no pool or another pool.
pub const TN_ERR_FOREIGN: tn_status = 14;
/// A list has too few or too many items.
pub const TN_ERR_COUNT: tn_status = 15;
/// An item is in a list twice.
pub const TN_ERR_DUPLICATE: tn_status = 16;
/// An index, axis, address or id is out of range.
pub const TN_ERR_RANGE: tn_status = 17;
/// An argument is invalid by itself: flags, modes, struct sizes, counts, a step of 0.
pub const TN_ERR_INVALID: tn_status = 18;
/// The element type is unknown, or does not fit the operation.
pub const TN_ERR_DTYPE: tn_status = 19;
/// The shape is invalid, or does not fit the operation.
pub const TN_ERR_SHAPE: tn_status = 20;
/// The operation is impossible with this layout, or possible only with a copy.
pub const TN_ERR_LAYOUT: tn_status = 21;
/// The device does not exist, or differs from the one that the operation needs.
pub const TN_ERR_DEVICE: tn_status = 22;
/// The caller required an alias, and only a copy is possible.
pub const TN_ERR_WOULD_COPY: tn_status = 23;
/// Two operands overlap that must not.
pub const TN_ERR_ALIASED: tn_status = 24;
/// The operation or a callback of the caller failed.
pub const TN_ERR_FAILED: tn_status = 25;
/// The host is out of memory.
pub const TN_ERR_NO_HOST_MEMORY: tn_status = 26;
/// The device is out of memory.
pub const TN_ERR_NO_DEVICE_MEMORY: tn_status = 27;
/// The pool would exceed its max_size.
pub const TN_ERR_POOL_LIMIT: tn_status = 28;
/// Not supported here; the message says what is missing.
pub const TN_ERR_UNSUPPORTED: tn_status = 29;
/// The device's driver reported an error.
pub const TN_ERR_DRIVER: tn_status = 30;
/// A file could not be opened, read or written, or is damaged.
pub const TN_ERR_IO: tn_status = 31;
/// A table of the library is full, or a limit of a file format or of the caller is exceeded.
pub const TN_ERR_LIMIT: tn_status = 32;
/// A bug in the library was caught; please report the message.
pub const TN_ERR_PANIC: tn_status = 33;
/// A size does not fit into 64 bits, or there are more than TN_MAX_NDIM axes.
pub const TN_ERR_OVERFLOW: tn_status = 34;

/// An allocator of memory on one device. Released by `tn_pool_release`.
pub struct tn_pool {
    _opaque: [u8; 0],
}
/// A queue of work on a GPU, executed in order. Released by `tn_stream_release`; the constants TN_STREAM_* are never
/// released.
pub struct tn_stream {
    _opaque: [u8; 0],
}
/// A point in a stream's work. Released by `tn_event_release`.
pub struct tn_event {
    _opaque: [u8; 0],
}
/// An array: a claim on a store of bytes, with a layout. Released by `tn_array_release`.
pub struct tn_array {
    _opaque: [u8; 0],
}
/// A weak handle: an array's layout, without a claim on its store. Released by `tn_weak_release`.
pub struct tn_weak {
    _opaque: [u8; 0],
}
/// A shared variable: one array value that the library keeps. Released by `tn_shared_release`.
pub struct tn_shared {
    _opaque: [u8; 0],
}
/// Code of the program with declared inputs, outputs and updates. Released by `tn_function_release`.
pub struct tn_function {
    _opaque: [u8; 0],
}
/// A mirror: one array on the host and on a GPU, moved only when needed. Released by `tn_mirror_release`.
pub struct tn_mirror {
    _opaque: [u8; 0],
}
/// A module: device code with kernels, loaded into each GPU that needs it. Released by `tn_module_release`.
pub struct tn_module {
    _opaque: [u8; 0],
}
/// An open guard: the right to read or write some bytes. Ended by `tn_borrow_end`.
pub struct tn_borrow {
    _opaque: [u8; 0],
}
/// An array that was given and not yet taken. Released by `tn_promise_release`.
pub struct tn_promise {
    _opaque: [u8; 0],
}
/// A callee's own handles on its array parameters. Ended by `tn_leave`.
pub struct tn_scope {
    _opaque: [u8; 0],
}
/// A scope in which a stream is the thread's current one. Ended by `tn_stream_leave`.
pub struct tn_stream_scope {
    _opaque: [u8; 0],
}

/// A node of a lazy expression. Released by `tn_expr_release`.
pub struct tn_expr {
    _opaque: [u8; 0],
}

/// Type of a device, as in DLPack's DLDeviceType: TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
pub type tn_device_type = u32;
/// Ordinary host memory.
pub const TN_CPU: tn_device_type = 1;
/// Memory of a CUDA device.
pub const TN_CUDA: tn_device_type = 2;
/// Page-locked host memory.
pub const TN_CUDA_HOST: tn_device_type = 3;
/// CUDA managed memory.
pub const TN_CUDA_MANAGED: tn_device_type = 13;

/// A device, as in DLPack's DLDevice; passed by value.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct tn_device {
    /// TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
    pub r#type: tn_device_type,
    /// The number of the device among those of its type; 0 on the host.
    pub id: i32,
}

/// Kind of an element type: one of TN_CODE_*, as in DLPack's DLDataTypeCode.
pub type tn_dtype_code = u32;
/// Code of signed integers.
pub const TN_CODE_INT: tn_dtype_code = 0;
/// Code of unsigned integers.
pub const TN_CODE_UINT: tn_dtype_code = 1;
/// Code of IEEE floating point numbers.
pub const TN_CODE_FLOAT: tn_dtype_code = 2;
/// Code of bfloat16.
pub const TN_CODE_BFLOAT: tn_dtype_code = 4;
/// Code of complex numbers, whose bits count both components.
pub const TN_CODE_COMPLEX: tn_dtype_code = 5;
/// Code of booleans, one byte each.
pub const TN_CODE_BOOL: tn_dtype_code = 6;

/// An element type: code | bits << 8 | lanes << 16, with lanes 1. In memory it is a DLDataType.
pub type tn_dtype = u32;
/// One byte: 0 or 1.
pub const TN_BOOL: tn_dtype = 0x1_0806;
/// Signed, 8 bits.
pub const TN_I8: tn_dtype = 0x1_0800;
/// Signed, 16 bits.
pub const TN_I16: tn_dtype = 0x1_1000;
/// Signed, 32 bits.
pub const TN_I32: tn_dtype = 0x1_2000;
/// Signed, 64 bits.
pub const TN_I64: tn_dtype = 0x1_4000;
/// Unsigned, 8 bits.
pub const TN_U8: tn_dtype = 0x1_0801;
/// Unsigned, 16 bits.
pub const TN_U16: tn_dtype = 0x1_1001;
/// Unsigned, 32 bits.
pub const TN_U32: tn_dtype = 0x1_2001;
/// Unsigned, 64 bits.
pub const TN_U64: tn_dtype = 0x1_4001;
/// IEEE half precision.
pub const TN_F16: tn_dtype = 0x1_1002;
/// IEEE single precision.
pub const TN_F32: tn_dtype = 0x1_2002;
/// IEEE double precision.
pub const TN_F64: tn_dtype = 0x1_4002;
/// bfloat16.
pub const TN_BF16: tn_dtype = 0x1_1004;
/// Complex of two f32.
pub const TN_C64: tn_dtype = 0x1_4005;
/// Complex of two f64.
pub const TN_C128: tn_dtype = 0x1_8005;

/// The largest number of axes of an array.
pub const TN_MAX_NDIM: usize = 64;
/// No descriptor of `tn_array_export_ipc` has more bytes.
pub const TN_IPC_DESCRIPTOR_BYTES: usize = 4096;

/// Whether an import or export shares the bytes or copied them: TN_ALIASED or TN_COPIED.
pub type tn_how = u32;
/// `how`: both sides share the bytes.
pub const TN_ALIASED: tn_how = 1;
/// `how`: the bytes were copied.
pub const TN_COPIED: tn_how = 2;

/// Flags of imports and exports: how bytes may enter and leave the library.
pub type tn_borrow_flags = u32;
/// Borrow flag: alias the bytes where possible.
pub const TN_BORROW: tn_borrow_flags = 1 << 0;
/// Borrow flag: alias the bytes or fail with TN_ERR_WOULD_COPY, or TN_ERR_ALIASED if they belong to two stores. Implies
/// TN_BORROW.
pub const TN_REQUIRE_BORROW: tn_borrow_flags = 1 << 1;
/// Borrow flag of shared variables and functions: on the device where the bytes are, with their layout; no transfer.
pub const TN_RAW: tn_borrow_flags = 1 << 2;
/// Borrow flag: the importer, or the body of a function, may overwrite the contents. Implies TN_BORROW.
pub const TN_MAY_OVERWRITE: tn_borrow_flags = 1 << 3;
/// Borrow flag: the library takes ownership of the memory, with a release callback, and copies only where it cannot
/// alias.
pub const TN_TAKE_OWNERSHIP: tn_borrow_flags = 1 << 4;
/// Import: the release callback runs only in `tn_run_releases`.
pub const TN_RELEASE_QUEUED: tn_borrow_flags = 1 << 5;
/// Borrow flag of shared variables and inputs: neither a transfer nor packing; TN_ERR_DEVICE or TN_ERR_LAYOUT instead.
pub const TN_STRICT: tn_borrow_flags = 1 << 6;
/// Borrow flag of outputs and updates: the body finds a spare buffer of an earlier call, if there is one.
pub const TN_REUSE: tn_borrow_flags = 1 << 7;
/// Import: the new handle is READONLY.
pub const TN_IMPORT_READONLY: tn_borrow_flags = 1 << 8;
/// Import of a DLPack struct without a version: the producer permits writing.
pub const TN_IMPORT_WRITABLE: tn_borrow_flags = 1 << 9;
/// Export: a shared view, which both the consumer and the library may read and write.
pub const TN_EXPORT_WRITABLE: tn_borrow_flags = 1 << 10;
/// Export, with TN_EXPORT_WRITABLE: exclusive. Only the consumer reads or writes these bytes.
pub const TN_EXPORT_EXCLUSIVE: tn_borrow_flags = 1 << 11;
/// Export: the caller guarantees that the consumer only reads, so the export is read-only in every format.
pub const TN_EXPORT_CONSUMER_READS: tn_borrow_flags = 1 << 12;
/// Export: an array with negative strides is copied.
pub const TN_EXPORT_NONNEGATIVE: tn_borrow_flags = 1 << 13;
/// Borrow flag: the library adds no stream ordering; the caller has ordered the work.
pub const TN_UNORDERED: tn_borrow_flags = 1 << 14;
/// Export to CUDAMat: a C-contiguous array crosses as its transpose.
pub const TN_CUDAMAT_TRANSPOSED: tn_borrow_flags = 1 << 15;
/// Export to another process: the array gets memory that has nothing else. Today that is so in any case.
pub const TN_IPC_PRIVATE: tn_borrow_flags = 1 << 16;
/// Export to another process, and import there: the importer may write. Who writes when is up to the programs.
pub const TN_IPC_WRITABLE: tn_borrow_flags = 1 << 17;
/// Import from another process that is trusted: memory without a seal is accepted. If that process shrinks it, the next
/// access ends this one.
pub const TN_IPC_TRUSTED: tn_borrow_flags = 1 << 18;
/// Wait for the array's device work instead of failing with TN_ERR_PENDING. Belongs to tn_borrow_flags, tn_write_mode,
/// tn_guard_flags and tn_access.
pub const TN_WAIT: tn_borrow_flags = 1 << 19;
/// Export to another process: the array is offered, and nobody uses it until it was taken, or the offer ended. Import:
/// takes an array that is offered so.
pub const TN_IPC_GIVE: tn_borrow_flags = 1 << 20;
/// Export: an array that is not C-contiguous is copied, and a copy is in C order.
pub const TN_EXPORT_C_CONTIGUOUS: tn_borrow_flags = 1 << 21;

/// How a writer treats other handles on the store: one of TN_WRITE_ALIASED, TN_WRITE_UNIQUE and TN_WRITE_COW, with
/// modifier bits.
///
/// The bits of tn_write_mode, tn_guard_flags and tn_access do not overlap, except TN_WAIT, which has one value in all
/// three.
pub type tn_write_mode = u32;
/// Write mode, the default: other handles on the store see the change.
pub const TN_WRITE_ALIASED: tn_write_mode = 0;
/// Write mode: fail if anything else holds the store, that is unless `tn_array_why_not` reports 0.
pub const TN_WRITE_UNIQUE: tn_write_mode = 1 << 0;
/// Write mode: copy on write. If anything else holds the store, this handle moves to a copy.
pub const TN_WRITE_COW: tn_write_mode = 1 << 1;
/// Modifier of a write mode: the old contents are not needed. Clears poison.
pub const TN_WRITE_DISCARD: tn_write_mode = 1 << 2;
/// Modifier of a write mode in copies: fail with TN_ERR_WOULD_COPY where the bytes would be staged.
pub const TN_REQUIRE_ASYNC: tn_write_mode = 1 << 4;

/// Flags of a read borrow: TN_FROZEN, TN_INTERPROCESS, TN_WAIT.
pub type tn_guard_flags = u32;
/// Guard flag: the bytes must not change while they are read, so shared views are excluded.
pub const TN_FROZEN: tn_guard_flags = 1 << 3;
/// Flag of a read or write borrow of an array in shareable memory: guards of other processes with this flag are
/// excluded too, as those of this process are.
pub const TN_INTERPROCESS: tn_guard_flags = 1 << 8;

/// The kind of an access: TN_READ with flags of tn_guard_flags, or TN_WRITE or TN_READ_WRITE with a tn_write_mode.
pub type tn_access = u32;
/// Access: reading.
pub const TN_READ: tn_access = 1 << 5;
/// Access: writing. Without TN_READ it overwrites every element, and so implies TN_WRITE_DISCARD.
pub const TN_WRITE: tn_access = 1 << 6;
/// Access: reading and writing.
pub const TN_READ_WRITE: tn_access = TN_READ | TN_WRITE;
/// Access, only in launches: the argument may overlap another one, if that one is written in mode TN_WRITE_ALIASED, and
/// this one is read or written in that mode.
pub const TN_ALLOW_ALIAS: tn_access = 1 << 7;

/// Reasons why bytes cannot be overwritten in place, or were copied.
pub type tn_why = u32;
/// Why not in place: the handle was given away.
pub const TN_WHY_GIVEN: tn_why = 1 << 0;
/// Why not in place: another handle, or a promise whose handle was released, has a claim on the store.
pub const TN_WHY_SHARED: tn_why = 1 << 1;
/// Why not in place: a node of a lazy expression has a claim on the store.
pub const TN_WHY_IN_EXPRESSION: tn_why = 1 << 2;
/// Why not in place: the store has an export.
pub const TN_WHY_EXPORTED: tn_why = 1 << 3;
/// Why not in place: a guard overlaps the handle's region; its own guards count.
pub const TN_WHY_BORROWED: tn_why = 1 << 4;
/// Why not in place: the handle or the store is read-only.
pub const TN_WHY_READONLY: tn_why = 1 << 5;
/// Why not in place: the bytes were imported without TN_MAY_OVERWRITE.
pub const TN_WHY_FOREIGN: tn_why = 1 << 6;
/// Why not in place: the bytes overlap a poisoned region.
pub const TN_WHY_POISONED: tn_why = 1 << 7;
/// Why not in place, or why a copy: the layout does not fit.
pub const TN_WHY_LAYOUT: tn_why = 1 << 8;
/// Why not in place, or why a copy: the bytes are on another device.
pub const TN_WHY_DEVICE: tn_why = 1 << 9;
/// Why not in place: the store has more than twice the bytes that the target needs.
pub const TN_WHY_WASTE: tn_why = 1 << 10;
/// Why not in place, or why a copy: elements share bytes, or the range cannot be claimed as one store.
pub const TN_WHY_NOT_ALIASABLE: tn_why = 1 << 11;

/// A release callback. The library calls it exactly once, on any thread, while it holds no lock. The callback may call
/// the library.
pub type tn_release_callback = Option<unsafe extern "C" fn(context: *mut core::ffi::c_void)>;

/// Flags of `tn_device_query`.
pub type tn_query_flags = u32;
/// `tn_device_query`: fill the memory fields too.
pub const TN_QUERY_MEMORY: tn_query_flags = 1 << 0;

/// Features of a device.
pub type tn_device_features = u32;
/// Device feature: the driver has memory pools.
pub const TN_FEATURE_MEMORY_POOLS: tn_device_features = 1 << 0;
/// Device feature: managed memory.
pub const TN_FEATURE_MANAGED: tn_device_features = 1 << 1;
/// Device feature: host and device may access managed memory at the same time.
pub const TN_FEATURE_CONCURRENT_MANAGED: tn_device_features = 1 << 2;
/// Device feature: page-locked memory can be mapped.
pub const TN_FEATURE_MAP_HOST: tn_device_features = 1 << 3;
/// Device feature: the caller's memory can be page-locked.
pub const TN_FEATURE_HOST_REGISTER: tn_device_features = 1 << 4;
/// Device feature: read-only memory can be page-locked.
pub const TN_FEATURE_REGISTER_READ_ONLY: tn_device_features = 1 << 5;
/// Device feature: one address space for host and device.
pub const TN_FEATURE_UNIFIED_ADDRESSING: tn_device_features = 1 << 6;
/// Device feature: the device uses the host's memory.
pub const TN_FEATURE_INTEGRATED: tn_device_features = 1 << 7;
/// Device feature: allocations can be shared with other processes.
pub const TN_FEATURE_IPC: tn_device_features = 1 << 8;

/// Flags of `tn_stream_create`.
pub type tn_stream_flags = u32;
/// `tn_stream_create`: the stream is ordered with the legacy stream.
pub const TN_STREAM_BLOCKING: tn_stream_flags = 1 << 0;

/// Flags of `tn_stream_enter`.
pub type tn_stream_scope_flags = u32;
/// `tn_stream_enter`: leaving the scope waits for the stream.
pub const TN_AUTO_SYNCHRONIZE: tn_stream_scope_flags = 1 << 0;

/// Flags of `tn_event_create`.
pub type tn_event_flags = u32;
/// `tn_event_create`: the event records a time.
pub const TN_EVENT_TIMING: tn_event_flags = 1 << 0;

/// Properties of a device. The counters start with the process.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_device_info {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// UTF-8, NUL-terminated.
    pub name: [core::ffi::c_char; 128],
    /// All zero on the host.
    pub uuid: [u8; 16],
    /// "0000:3b:00.0"; empty on the host.
    pub pci_bus_id: [core::ffi::c_char; 16],
    /// Compute capability, major.
    pub compute_major: i32,
    /// Compute capability, minor.
    pub compute_minor: i32,
    /// CUDA version that the driver supports: 1000 * major + 10 * minor.
    pub driver_version: i32,
    /// Number of multiprocessors; on the host, of online processors.
    pub multiprocessors: i32,
    /// Threads of a warp; 1 on the host.
    pub warp_size: i32,
    /// TN_FEATURE_ bits.
    pub features: tn_device_features,
    /// Shared memory of a thread block, bytes: the default limit.
    pub block_memory_bytes: u64,
    /// Shared memory of a thread block, bytes: the limit that a kernel can opt in to.
    pub block_memory_optin_bytes: u64,
    /// Physical memory, bytes; on the host, at most the control group's limit.
    pub total_bytes: u64,
    /// TN_QUERY_MEMORY: free memory now, as the system reports it.
    pub free_bytes: u64,
    /// TN_QUERY_MEMORY: total_bytes - free_bytes.
    pub used_bytes: u64,
    /// TN_QUERY_MEMORY: held by the library's pools.
    pub pool_bytes: u64,
    /// TN_QUERY_MEMORY: of pool_bytes, what the pools can reuse.
    pub pool_free_bytes: u64,
    /// Number of copies to the device.
    pub to_device_count: u64,
    /// Bytes of those.
    pub to_device_bytes: u64,
    /// Number of copies to the host.
    pub to_host_count: u64,
    /// Bytes of those.
    pub to_host_bytes: u64,
    /// Bytes copied through staging memory.
    pub staged_bytes: u64,
    /// Bytes page-locked now by `tn_host_register`.
    pub registered_bytes: u64,
    /// Imports whose release callback is delayed: until `tn_run_releases`, or until device work that uses their bytes
    /// is done.
    pub queued_releases: u64,
    /// Bytes of those.
    pub queued_bytes: u64,
    /// Number of copies and fills that kernels of the library did; the option `transfer.kernels` decides about them.
    pub kernel_count: u64,
    /// The driver's result code if it refused to load these kernels, so that copies and fills go by other ways; 0: it
    /// did not.
    pub kernel_error: u64,
}

/// "None" or "never" in the fields of `tn_pool_options` marked (n). Every larger number means the same.
pub const TN_POOL_NONE: u64 = 0x7fff_ffff_ffff_ffff;

/// Flags of a pool.
pub type tn_pool_flags = u32;
/// Pool flag: touch the pages of initial_size at creation.
pub const TN_POOL_PREFAULT: tn_pool_flags = 1 << 0;
/// Pool flag: cache no freed memory.
pub const TN_POOL_DIRECT: tn_pool_flags = 1 << 1;
/// Pool flag, for tests: freed blocks are filled with a pattern and kept in quarantine, and peaks are exact.
pub const TN_POOL_STRICT: tn_pool_flags = 1 << 2;
/// Pool flag: a freed block is cleared before it is reused.
pub const TN_POOL_ZERO_ON_FREE: tn_pool_flags = 1 << 3;
/// Pool flag, host: other processes can map the memory, see `tn_array_export_ipc`. Each block has pages and a file
/// descriptor of its own, so it is for large arrays. A freed block serves a later one of the same size once no other
/// process has it, if the process has not forked since. One that was exported read-only serves none, see
/// TN_POOL_READONLY_EXPORTS. Not with initial_size. A child of fork shares the memory with its parent.
pub const TN_POOL_SHAREABLE: tn_pool_flags = 1 << 4;
/// Pool flag, CUDA: other processes can open the memory, see `tn_array_export_ipc`. Each block is an allocation of the
/// driver, of multiples of 2 MiB, so it is for large arrays that live long. Implies TN_POOL_DIRECT. TN_ERR_UNSUPPORTED
/// for other devices, on a GPU without IPC, and with initial_size, peers, TN_BACKEND_DRIVER_POOL, TN_POOL_STRICT or
/// TN_POOL_ZERO_ON_FREE.
pub const TN_POOL_IPC: tn_pool_flags = 1 << 5;
/// Pool flag, with TN_POOL_SHAREABLE: arrays are exported read-only, and a block that was exported serves a later one
/// once no other process has it. Exports with TN_IPC_WRITABLE are copies, those with TN_IPC_GIVE TN_ERR_WOULD_COPY.
pub const TN_POOL_READONLY_EXPORTS: tn_pool_flags = 1 << 6;

/// Flags of page-locked memory (TN_HOST_*) and of managed memory (TN_MANAGED_*).
pub type tn_host_flags = u32;
/// Page-locked memory that every CUDA context can use.
pub const TN_HOST_PORTABLE: tn_host_flags = 1 << 0;
/// Page-locked memory mapped into the device's address space.
pub const TN_HOST_MAPPED: tn_host_flags = 1 << 1;
/// Page-locked memory that is slow to read on the host.
pub const TN_HOST_WRITE_COMBINED: tn_host_flags = 1 << 2;
/// Page-locking of memory that the host must not write.
pub const TN_HOST_READ_ONLY: tn_host_flags = 1 << 3;
/// Without a driver: ordinary memory labelled TN_CPU instead of TN_ERR_UNSUPPORTED.
pub const TN_HOST_BEST_EFFORT: tn_host_flags = 1 << 4;

/// Advice on managed memory: what the driver should expect.
pub type tn_advice = u32;
/// Advice: the memory is mostly read, so host and devices may each keep a copy.
pub const TN_ADVISE_READ_MOSTLY: tn_advice = 1;
/// Withdraws TN_ADVISE_READ_MOSTLY.
pub const TN_ADVISE_UNSET_READ_MOSTLY: tn_advice = 2;
/// Advice: the device is the preferred location of the memory.
pub const TN_ADVISE_PREFERRED: tn_advice = 3;
/// Withdraws TN_ADVISE_PREFERRED.
pub const TN_ADVISE_UNSET_PREFERRED: tn_advice = 4;
/// Advice: the device will access the memory and should have it mapped.
pub const TN_ADVISE_ACCESSED_BY: tn_advice = 5;
/// Withdraws TN_ADVISE_ACCESSED_BY.
pub const TN_ADVISE_UNSET_ACCESSED_BY: tn_advice = 6;
/// Managed memory attached to all streams, the default.
pub const TN_MANAGED_GLOBAL: tn_host_flags = 0;
/// Managed memory attached to the host.
pub const TN_MANAGED_HOST: tn_host_flags = 1 << 5;

/// When a pool asks for huge pages.
pub type tn_huge_pages = u32;
/// Transparent huge pages inside large blocks, and wherever a pool grows that has at least 32 MiB.
pub const TN_HUGE_AUTO: tn_huge_pages = 0;
/// No huge pages.
pub const TN_HUGE_NEVER: tn_huge_pages = 1;
/// Huge pages that the system has reserved; TN_HUGE_AUTO when there are none left.
pub const TN_HUGE_EXPLICIT: tn_huge_pages = 2;

/// How a pool obtains CUDA memory.
pub type tn_backend = u32;
/// CUDA: virtual memory management (mapped granules) where the driver has it, else plain allocations.
pub const TN_BACKEND_AUTO: tn_backend = 0;
/// CUDA: plain driver allocations.
pub const TN_BACKEND_PLAIN: tn_backend = 1;
/// CUDA: a memory pool of the driver, which reuses large blocks in the order of streams by itself. TN_ERR_UNSUPPORTED
/// without support.
pub const TN_BACKEND_DRIVER_POOL: tn_backend = 2;

/// Flags of a tn_upstream.
pub type tn_upstream_flags = u32;
/// Upstream flag: `allocate` returns zeroed memory.
pub const TN_UPSTREAM_ZEROED: tn_upstream_flags = 1 << 0;
/// Upstream flag: several threads may run the callbacks at once.
pub const TN_UPSTREAM_THREAD_SAFE: tn_upstream_flags = 1 << 1;
/// Upstream flag: parts of one allocation may be deallocated separately.
pub const TN_UPSTREAM_PARTIAL_FREE: tn_upstream_flags = 1 << 2;

/// The source of memory of a pool made by `tn_pool_import`. Its callbacks run on any thread that uses the pool, also on
/// a thread that ends. A callback that calls the same pool gets TN_ERR_INVALID.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_upstream {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// First argument of each callback.
    pub context: *mut core::ffi::c_void,
    /// Sizes passed to `allocate` are multiples of this; 0: 4096.
    pub granularity: usize,
    /// Alignments passed to `allocate` are powers of two, at least this; 0: 4096.
    pub alignment: usize,
    /// TN_UPSTREAM_.
    pub flags: tn_upstream_flags,
    /// Zero.
    pub reserved: u32,
    /// Allocates `bytes` bytes and writes their address to `out`. Any status but TN_OK means that there is no memory.
    /// native_stream is 0.
    pub allocate: Option<
        unsafe extern "C" fn(
            context: *mut core::ffi::c_void,
            bytes: usize,
            alignment: usize,
            native_stream: u64,
            out: *mut *mut core::ffi::c_void,
        ) -> tn_status,
    >,
    /// Deallocates what `allocate` returned, with the same address and bytes; with TN_UPSTREAM_PARTIAL_FREE also parts
    /// of it, each byte once.
    pub deallocate: Option<
        unsafe extern "C" fn(
            context: *mut core::ffi::c_void,
            ptr: *mut core::ffi::c_void,
            bytes: usize,
            native_stream: u64,
        ) -> tn_status,
    >,
    /// Optional: called when the contents of a part are no longer needed.
    pub purge: Option<
        unsafe extern "C" fn(context: *mut core::ffi::c_void, ptr: *mut core::ffi::c_void, bytes: usize) -> tn_status,
    >,
    /// Optional: the last callback, called when all memory was deallocated and the pool no longer exists.
    pub release: Option<unsafe extern "C" fn(context: *mut core::ffi::c_void)>,
}

/// Options of a pool. In every field 0 means the default.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_pool_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// At most 63 bytes of UTF-8, copied; NULL: "pool-N".
    pub name: *const core::ffi::c_char,
    /// Bytes committed at creation, which trim keeps.
    pub initial_size: u64,
    /// Upper bound of one growth step, bytes.
    pub max_growth: u64,
    /// Upper bound of committed bytes; 0: none. Under the memory limit of a control group Linux kills the process where
    /// memory is short. A status needs a max_size below that limit, which `tn_device_query` has as `total_bytes`.
    pub max_size: u64,
    /// At least 1. A growth step asks the device for the needed bytes or committed * (factor - 1), whichever is more.
    pub growth_factor: f64,
    /// Alignment in bytes where a call passes 0: a power of two, 8 to 4 MiB. Default on the host: 64.
    pub alignment: u64,
    /// (n) Bytes of free small blocks that one thread may keep, and of the large ones that it freed last. One large
    /// block alone may have 4 times as many.
    pub thread_cache_size: u64,
    /// (n) Cached bytes above this are returned to the device.
    pub release_threshold: u64,
    /// (n) Free memory that was unused for this long, ms, is returned to the device by a later call.
    pub release_delay_ms: u64,
    /// CUDA: bit mask of device ids that may also access the memory.
    pub peers: u64,
    /// TN_HUGE_.
    pub huge_pages: tn_huge_pages,
    /// TN_BACKEND_.
    pub backend: tn_backend,
    /// n: prefer NUMA node n - 1; 0: no preference.
    pub numa_node: i32,
    /// TN_HOST_ or TN_MANAGED_.
    pub host_flags: tn_host_flags,
    /// TN_POOL_.
    pub flags: tn_pool_flags,
    /// Zero.
    pub reserved: u32,
}

impl Default for tn_pool_options {
    /// All defaults, with no size.
    fn default() -> tn_pool_options {
        tn_pool_options {
            size: 0,
            name: core::ptr::null(),
            initial_size: 0,
            max_growth: 0,
            max_size: 0,
            growth_factor: 0.0,
            alignment: 0,
            thread_cache_size: 0,
            release_threshold: 0,
            release_delay_ms: 0,
            peers: 0,
            huge_pages: 0,
            backend: 0,
            numa_node: 0,
            host_flags: 0,
            flags: 0,
            reserved: 0,
        }
    }
}

/// Statistics of a pool. Fields are bytes unless the name says count.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct tn_pool_stats {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Sum of the requested sizes of all live blocks.
    pub requested_bytes: u64,
    /// Sum of the usable sizes of all live blocks.
    pub in_use_bytes: u64,
    /// Committed bytes that can be allocated.
    pub cached_bytes: u64,
    /// Freed bytes that work on a stream may still access.
    pub pending_bytes: u64,
    /// Committed bytes that no block can use: the rest of a span after its last block.
    pub overhead_bytes: u64,
    /// Committed bytes: exactly in_use + cached + pending + overhead in every query.
    pub reserved_bytes: u64,
    /// Reserved address space; at least reserved_bytes.
    pub address_bytes: u64,
    /// Committed bytes for which huge pages were requested.
    pub huge_bytes: u64,
    /// The library's own memory for this pool; not part of reserved_bytes.
    pub metadata_bytes: u64,
    /// Largest in_use_bytes since creation or `tn_pool_reset_peak`.
    pub peak_in_use_bytes: u64,
    /// Largest reserved_bytes since creation or `tn_pool_reset_peak`.
    pub peak_reserved_bytes: u64,
    /// Largest requested_bytes since creation or `tn_pool_reset_peak`.
    pub peak_requested_bytes: u64,
    /// Allocations that returned TN_OK.
    pub allocation_count: u64,
    /// Blocks that were freed.
    pub deallocation_count: u64,
    /// Reallocations that returned TN_OK.
    pub reallocation_count: u64,
    /// Calls that failed.
    pub failure_count: u64,
    /// allocation_count - deallocation_count: blocks that are allocated now.
    pub live_blocks: u64,
    /// Allocations that needed no call to the device.
    pub hit_count: u64,
    /// Allocations that took the thread cache's fast path.
    pub thread_hit_count: u64,
    /// Calls that allocated memory of the device.
    pub device_allocate_count: u64,
    /// Calls that freed memory of the device.
    pub device_free_count: u64,
    /// Bytes ever allocated from the device.
    pub device_bytes_total: u64,
    /// Trims that freed memory.
    pub trim_count: u64,
    /// Calls of pressure callbacks.
    pub pressure_count: u64,
    /// Requests that failed for lack of memory.
    pub oom_count: u64,
    /// Invalid frees that were refused.
    pub misuse_count: u64,
    /// Bytes that `tn_pool_allocate_zeroed` did not have to clear.
    pub zero_bytes_skipped: u64,
    /// Largest block that can be allocated without a call to the device.
    pub largest_free_bytes: u64,
    /// max_size; 0: none.
    pub limit_bytes: u64,
    /// Threads that have a cache now.
    pub thread_count: u64,
    /// Of requested_bytes: in stores that have no claim and are kept by guards or exports.
    pub held_bytes: u64,
    /// Of pending_bytes: shared with another process that still uses them.
    pub shared_out_bytes: u64,
    /// Number of the pool, never reused in this process. Two handles with equal serials refer to one pool.
    pub serial: u64,
    /// The pool's device.
    pub device: tn_device,
    /// Of in_use_bytes: in files, see `tn_pool_set_spill`. max_size does not count them.
    pub spilled_bytes: u64,
    /// How often an array was written to a file.
    pub spill_count: u64,
    /// How often an array came back from a file.
    pub unspill_count: u64,
}

/// Where a pool spills arrays that nobody uses, see `tn_pool_set_spill`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_spill_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// A folder that the process may write. Its files have no names, and end with the process at the latest.
    pub folder: *const core::ffi::c_char,
    /// The most bytes in files; 0: no bound but the file system's. After a fork, of each process.
    pub max_bytes: u64,
    /// The smallest array that is spilled, bytes; 0, or less than 65537: 65537.
    pub min_array_bytes: u64,
}

/// Statistics of one size class of a pool.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct tn_pool_class_stats {
    /// Usable bytes of each block; 0: blocks above the largest class, each in a span of its own.
    pub block_bytes: u64,
    /// Bytes of a span of such blocks; 0: spans of different sizes.
    pub span_bytes: u64,
    /// Live blocks.
    pub live_blocks: u64,
    /// Blocks that can be allocated without a new span; with block_bytes 0: free spans.
    pub cached_blocks: u64,
    /// Spans of such blocks, including free ones.
    pub span_count: u64,
    /// Allocations that returned TN_OK.
    pub allocation_count: u64,
    /// Of those: allocations that needed no call to the device.
    pub hit_count: u64,
    /// Zero.
    pub reserved: u64,
}

/// Why a pool is out of memory.
pub type tn_pressure = u32;
/// The pool reached its max_size.
pub const TN_PRESSURE_LIMIT: tn_pressure = 1;
/// The pool's device is out of memory.
pub const TN_PRESSURE_DEVICE: tn_pressure = 2;

/// A pressure callback, called when a pool is out of memory, on the allocating thread and under no lock. Returns its
/// estimate of the bytes that it freed; 0: none.
///
/// It may call any function, also on this pool. An allocation within it that finds no memory fails without calling
/// pressure callbacks. `reason` is one of TN_PRESSURE_.
pub type tn_pressure_callback =
    Option<unsafe extern "C" fn(context: *mut core::ffi::c_void, needed_bytes: usize, reason: tn_pressure) -> usize>;

/// The client that a block of a pool was allocated for.
pub type tn_client = u32;
/// Client: arrays.
pub const TN_CLIENT_ARRAYS: tn_client = 0;
/// Client: raw blocks, as from `tn_pool_allocate`.
pub const TN_CLIENT_RAW: tn_client = 1;
/// Client: NumPy, through `tn_numpy_handler`.
pub const TN_CLIENT_NUMPY: tn_client = 2;
/// Client: PyTorch, through `tn_torch_alloc`.
pub const TN_CLIENT_TORCH: tn_client = 3;
/// Client: CuPy, through `tn_cupy_malloc` or the Python package.
pub const TN_CLIENT_CUPY: tn_client = 4;
/// Client: Numba, through the Python package.
pub const TN_CLIENT_NUMBA: tn_client = 5;
/// Client: RMM, through `tn_rmm_allocate` or the Python package.
pub const TN_CLIENT_RMM: tn_client = 6;
/// Client: UMF, through `tn_umf_pool_ops` and `tn_umf_provider_ops`.
pub const TN_CLIENT_UMF: tn_client = 7;
/// Client: C++ containers, through `tn_cpp_allocate`.
pub const TN_CLIENT_CPP: tn_client = 8;
/// Client: a Rust program's global allocator.
pub const TN_CLIENT_RUST: tn_client = 9;
/// Client: a program that was started with the library's malloc.
pub const TN_CLIENT_MALLOC: tn_client = 10;
/// Client: any other. Reserved.
pub const TN_CLIENT_OTHER: tn_client = 11;

/// Statistics of one client of a pool. The sum of `live_bytes` over all clients is the pool's in_use_bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_pool_client {
    /// TN_CLIENT_.
    pub client: tn_client,
    /// Zero.
    pub reserved: u32,
    /// "arrays", "raw", "numpy", ..; NUL-terminated.
    pub name: [core::ffi::c_char; 16],
    /// Blocks that the client has allocated now.
    pub live_blocks: u64,
    /// Usable bytes of those blocks.
    pub live_bytes: u64,
    /// Requested bytes of those blocks.
    pub requested_bytes: u64,
    /// Largest live_bytes since the pool's creation or `tn_pool_reset_peak`.
    pub peak_bytes: u64,
    /// Allocations and reallocations that succeeded.
    pub allocation_count: u64,
    /// Allocations and reallocations that failed.
    pub failure_count: u64,
    /// Invalid frees that were refused.
    pub misuse_count: u64,
    /// Frees with a size other than the requested one; the library uses its own record.
    pub mismatch_count: u64,
}

/// Order of elements.
pub type tn_order = u32;
/// Row-major element order.
pub const TN_ORDER_C: tn_order = 0;
/// Column-major element order.
pub const TN_ORDER_F: tn_order = 1;
/// F order if the source is F- and not C-contiguous, else C order.
pub const TN_ORDER_A: tn_order = 2;
/// `tn_array_like` only: the axes keep the order of the prototype's strides.
pub const TN_ORDER_K: tn_order = 3;

/// Flags of a new array: none is defined yet.
pub type tn_create_flags = u32;

/// Options of a new array; a NULL pointer means C order and no name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_array_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// TN_ORDER_.
    pub order: tn_order,
    /// 0: no flag is defined yet.
    pub flags: tn_create_flags,
    /// The stream that uses the array first; NULL: the thread's current stream.
    pub stream: *mut tn_stream,
    /// UTF-8, of which the first 63 bytes are copied; NULL: no name.
    pub name: *const core::ffi::c_char,
}

/// The layout of elements in raw memory.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_layout {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Element type.
    pub dtype: tn_dtype,
    /// Number of axes, 0 to TN_MAX_NDIM.
    pub ndim: i32,
    /// ndim lengths in elements; NULL only with ndim 0.
    pub shape: *const i64,
    /// ndim strides in bytes, signed; NULL: C order.
    pub strides: *const i64,
    /// Bytes from the pointer to element (0,..,0).
    pub offset: i64,
}

/// Properties of an array and of its store.
pub type tn_array_flags = u32;
/// Array flag: C-contiguous.
pub const TN_C_CONTIGUOUS: tn_array_flags = 1 << 0;
/// Array flag: F-contiguous.
pub const TN_F_CONTIGUOUS: tn_array_flags = 1 << 1;
/// Array flag: the handle or its store must not be written.
pub const TN_READONLY: tn_array_flags = 1 << 2;
/// Array flag: address and strides are multiples of the element's alignment.
pub const TN_ALIGNED: tn_array_flags = 1 << 3;
/// Array flag: some bytes belong to two elements.
pub const TN_SELF_OVERLAP: tn_array_flags = 1 << 4;
/// Array flag: the bytes are lent by another owner, who may still use them.
pub const TN_FOREIGN: tn_array_flags = 1 << 5;
/// Array flag: page-locked.
pub const TN_PINNED: tn_array_flags = 1 << 6;
/// Array flag: page-locked and mapped into the device's address space.
pub const TN_MAPPED: tn_array_flags = 1 << 7;
/// Array flag: page-locked and slow to read on the host.
pub const TN_WRITECOMBINED: tn_array_flags = 1 << 8;
/// Array flag: the bytes are in a file of their pool, and come back at the next use, see `tn_pool_set_spill`.
pub const TN_SPILLED: tn_array_flags = 1 << 9;

/// The form of a matrix: what expressions take an array for. It changes no byte and no shape.
pub type tn_form = u32;
/// Form: all elements.
pub const TN_FORM_FULL: tn_form = 0;
/// Form: the vector is the diagonal of a matrix that is 0 elsewhere.
pub const TN_FORM_DIAGONAL: tn_form = 1;
/// Form: lower triangular. Elements above the diagonal of the square matrix are not read and count as 0.
pub const TN_FORM_LOWER: tn_form = 2;
/// Form: upper triangular. Elements below the diagonal of the square matrix are not read and count as 0.
pub const TN_FORM_UPPER: tn_form = 3;
/// Form: all elements, of an array with two axes. Expressions take it as TN_FORM_FULL. It tells a language whose
/// operators compute element by element that those of this array are those of matrices.
pub const TN_FORM_MATRIX: tn_form = 4;
/// Form, only for `tn_expr_leaf`: the form that the array's handle has.
pub const TN_FORM_OF_HANDLE: tn_form = 5;
/// Form, only of expressions: the factors that `tn_expr_lu` makes of a full matrix, or their transpose. They are no
/// array.
pub const TN_FORM_FACTORS: tn_form = 6;

/// Properties of an array.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_array_info {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Element type.
    pub dtype: tn_dtype,
    /// Number of axes.
    pub ndim: i32,
    /// Where the bytes live.
    pub device: tn_device,
    /// Flags, TN_C_CONTIGUOUS .. TN_SPILLED.
    pub flags: tn_array_flags,
    /// The form of the handle, TN_FORM_FULL .. TN_FORM_MATRIX.
    pub form: tn_form,
    /// Bytes of the elements.
    pub bytes: u64,
    /// Number of elements.
    pub count: u64,
    /// Bytes of the whole store.
    pub store_bytes: u64,
    /// Bytes from the store's start to element (0,..,0).
    pub offset: i64,
    /// NUL-terminated; empty without a name.
    pub name: [core::ffi::c_char; 64],
    /// Lengths in elements; only the first ndim entries are written.
    pub shape: [i64; TN_MAX_NDIM],
    /// Strides in bytes; only the first ndim entries are written.
    pub strides: [i64; TN_MAX_NDIM],
}

/// What became of a value that entered or left a shared variable or a function.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct tn_crossing {
    /// TN_ALIASED or TN_COPIED.
    pub how: tn_how,
    /// TN_WHY_ bits that made it a copy; 0 for an alias, and for a copy that the caller wanted.
    pub why: tn_why,
}

/// Changes the value of a shared variable, see `tn_shared_update`. Returns TN_OK or a failure.
pub type tn_update_callback =
    Option<unsafe extern "C" fn(context: *mut core::ffi::c_void, value: *mut tn_array) -> tn_status>;

/// The body of a function: code with declared inputs, outputs and updates. `in[i]` belongs to the library and is valid
/// until the body returns. On success, `out[i]` and `update[k]` have arrays that become the library's. See
/// `tn_function_create`.
pub type tn_function_body = Option<
    unsafe extern "C" fn(
        context: *mut core::ffi::c_void,
        r#in: *const *mut tn_array,
        out: *mut *mut tn_array,
        update: *mut *mut tn_array,
    ) -> tn_status,
>;

/// The body of a function as expressions: it builds them from the inputs, and the library computes them. See
/// `tn_function_create`.
pub type tn_function_expr_body = Option<
    unsafe extern "C" fn(
        context: *mut core::ffi::c_void,
        r#in: *const *mut tn_expr,
        out: *mut *mut tn_expr,
        update: *mut *mut tn_expr,
    ) -> tn_status,
>;

/// An input of a function.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_in {
    /// sizeof this struct, set by the caller; one size for all inputs.
    pub size: usize,
    /// At most 63 bytes of UTF-8, copied; NULL: no name.
    pub name: *const core::ffi::c_char,
    /// TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_STRICT.
    pub flags: tn_borrow_flags,
    /// Element type; 0: any.
    pub dtype: tn_dtype,
    /// The device on which the body gets the input; all zero: where the argument is.
    pub device: tn_device,
    /// Number of axes; -1: any.
    pub ndim: i32,
    /// 0.
    pub reserved: i32,
    /// The value of an argument that is NULL, copied; NULL: the argument is required.
    pub default_value: *mut tn_array,
    /// An implicit input: the value of this variable at the time of the call. It has no place among the arguments.
    /// NULL: an argument.
    pub shared: *mut tn_shared,
}

/// An output of a function.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_out {
    /// sizeof this struct, set by the caller; one size for all outputs.
    pub size: usize,
    /// At most 63 bytes of UTF-8, copied; NULL: no name.
    pub name: *const core::ffi::c_char,
    /// TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_REUSE.
    pub flags: tn_borrow_flags,
    /// Element type; 0: any.
    pub dtype: tn_dtype,
    /// The device on which the caller gets the output; all zero: where the body left it.
    pub device: tn_device,
    /// Number of axes; -1: any.
    pub ndim: i32,
    /// 0.
    pub reserved: i32,
}

/// An update of a function: a shared variable that gets a new value in each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_update {
    /// sizeof this struct, set by the caller; one size for all updates.
    pub size: usize,
    /// The variable. The function keeps it alive.
    pub target: *mut tn_shared,
    /// 0, TN_MAY_OVERWRITE or TN_REUSE.
    pub flags: tn_borrow_flags,
    /// 0.
    pub reserved: u32,
}

/// The description of a function. All of it is copied.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_function_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// At most 63 bytes of UTF-8, copied; NULL: no name.
    pub name: *const core::ffi::c_char,
    /// The body; NULL: `expr_body`.
    pub body: tn_function_body,
    /// The body as expressions, in place of `body`; else NULL.
    pub expr_body: tn_function_expr_body,
    /// Passed to the body.
    pub context: *mut core::ffi::c_void,
    /// Called once with `context`, after the function was released and its last call has returned; may be NULL.
    pub release: tn_release_callback,
    /// Number of inputs.
    pub n_in: usize,
    /// Number of outputs.
    pub n_out: usize,
    /// Number of updates.
    pub n_update: usize,
    /// The inputs, including the implicit ones.
    pub inputs: *const tn_in,
    /// The outputs.
    pub outputs: *const tn_out,
    /// The updates. A variable has one at most.
    pub updates: *const tn_update,
}

/// Where `tn_function_call_crossings` writes what became of the values of a call. A NULL pointer: it is not told.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_call_crossings {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// An item for each input of the function, in the order of its description, including the implicit ones.
    pub inputs: *mut tn_crossing,
    /// An item for each output that the caller takes.
    pub outputs: *mut tn_crossing,
    /// An item for each update: TN_ALIASED if the bytes that the body left or wrote are the new value, TN_COPIED and why
    /// if the value was copied for the body to write or from what it left. 0 if the variable stays as it was.
    pub updates: *mut tn_crossing,
}

/// Options of a shared variable; a NULL pointer means the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_shared_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// The device that keeps the value; all zero: that of the value at creation.
    pub device: tn_device,
    /// The pool for copies of new values, of that device; NULL: the creating thread's current pool of it.
    pub pool: *mut tn_pool,
    /// At most 63 bytes of UTF-8, copied; NULL: the name of the value at creation.
    pub name: *const core::ffi::c_char,
}

/// Properties of a shared variable and of its value.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_shared_info {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// The device that keeps the value.
    pub device: tn_device,
    /// The device of the value at creation, to which `tn_shared_get` copies without TN_RAW.
    pub home: tn_device,
    /// Element type.
    pub dtype: tn_dtype,
    /// Number of axes.
    pub ndim: i32,
    /// Flags of the value, TN_C_CONTIGUOUS .. TN_SPILLED.
    pub flags: tn_array_flags,
    /// 1: an update in place failed, and the value is undefined until a set succeeds. Else 0.
    pub is_poisoned: i32,
    /// 1 at creation; incremented by each successful set and update.
    pub version: u64,
    /// Bytes of the elements.
    pub bytes: u64,
    /// Number of sets and updates that took another buffer because a holder keeps the old value.
    pub detach_count: u64,
    /// NUL-terminated; empty without a name.
    pub name: [core::ffi::c_char; 64],
    /// Lengths in elements; only the first ndim entries are written.
    pub shape: [i64; TN_MAX_NDIM],
}

/// A side of a mirror; in the masks of `tn_mirror_info` a bit.
pub type tn_side = u32;
/// The side in memory that the host can access.
pub const TN_SIDE_HOST: tn_side = 1;
/// The side in memory of a GPU.
pub const TN_SIDE_DEVICE: tn_side = 2;

/// How `tn_mirror_create` makes a mirror: from an object, or from `dtype`, `ndim` and `shape`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_mirror_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// The array with the contents; NULL: they are undefined, and `shape` is required.
    pub object: *mut tn_array,
    /// 0: the object is copied. TN_BORROW: it becomes a side if it can, else it is copied. TN_REQUIRE_BORROW: it
    /// becomes a side, else an error.
    pub borrow_flags: tn_borrow_flags,
    /// Element type. With an object: 0, or its element type.
    pub dtype: tn_dtype,
    /// Number of axes of `shape`.
    pub ndim: i32,
    /// The order of all memory that the mirror allocates: TN_ORDER_C, TN_ORDER_F, or TN_ORDER_A, with which it is F for
    /// an object that is F- and not C-contiguous.
    pub order: tn_order,
    /// Lengths in elements, copied. With an object: NULL, or its shape.
    pub shape: *const i64,
    /// The GPU of the device side; all zero: that of an object on a GPU, else TN_CUDA 0.
    pub device: tn_device,
    /// The side with the contents at first, TN_SIDE_; 0: that of the object, without an object the host's.
    pub r#where: tn_side,
    /// 0.
    pub reserved: i32,
    /// The pool of the host side, of ordinary or page-locked memory; NULL: the current pool of the host when the side
    /// is allocated.
    pub host_pool: *mut tn_pool,
    /// The pool of the device side; NULL: the current pool of the GPU when the side is allocated.
    pub device_pool: *mut tn_pool,
    /// At most 63 bytes of UTF-8, copied; NULL: that of the object.
    pub name: *const core::ffi::c_char,
}

/// State and transfers of a mirror.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_mirror_info {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// The sides with the present contents, TN_SIDE_ bits; never 0. Without elements both.
    pub valid: u32,
    /// The sides that have memory, TN_SIDE_ bits.
    pub allocated: u32,
    /// The sides that somebody else holds by a handle, view, guard or export, TN_SIDE_ bits.
    pub held: u32,
    /// 1: a write failed, and the contents are undefined until the mirror is overwritten. Else 0.
    pub is_poisoned: u32,
    /// Number of transfers from the host side to the device side.
    pub transfers_to_device: u64,
    /// Number of transfers from the device side to the host side.
    pub transfers_to_host: u64,
    /// Bytes of the transfers to the device side.
    pub bytes_to_device: u64,
    /// Bytes of the transfers to the host side.
    pub bytes_to_host: u64,
    /// The GPU of the device side.
    pub device: tn_device,
    /// Element type.
    pub dtype: tn_dtype,
    /// Number of axes.
    pub ndim: i32,
    /// Bytes of the elements.
    pub bytes: u64,
    /// NUL-terminated; empty without a name.
    pub name: [core::ffi::c_char; 64],
    /// Lengths in elements; only the first ndim entries are written.
    pub shape: [i64; TN_MAX_NDIM],
}

/// How `tn_array_open_npy` opens a file.
pub type tn_npy_mode = u32;
/// `tn_array_open_npy`: map the file read-only; the default.
pub const TN_NPY_READ: tn_npy_mode = 0;
/// `tn_array_open_npy`: map the file copy-on-write: writes never reach the file.
pub const TN_NPY_COW: tn_npy_mode = 1;
/// `tn_array_open_npy`: map the file writable: writes reach the file.
pub const TN_NPY_WRITE: tn_npy_mode = 2;
/// `tn_array_open_npy`: read the file into the pool's memory.
pub const TN_NPY_COPY: tn_npy_mode = 3;

/// Flags of `tn_array_save_npy`.
pub type tn_io_flags = u32;
/// `tn_array_save_npy`: sync the file and its directory before returning.
pub const TN_IO_SYNC: tn_io_flags = 1 << 0;
/// `tn_array_save_npy`: fail with TN_ERR_IO if the file exists.
pub const TN_IO_EXCLUSIVE: tn_io_flags = 1 << 1;

/// Options of `tn_array_open_npy`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_npy_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// TN_NPY_.
    pub mode: tn_npy_mode,
    /// The file descriptor to read, used only if path is NULL. The caller keeps it and closes it.
    pub fd: i32,
    /// TN_NPY_COPY: the pool that the bytes are read into; NULL: the thread's current host pool.
    pub pool: *mut tn_pool,
    /// Largest accepted header, bytes; a longer one is TN_ERR_LIMIT. 0: 64 KiB.
    pub max_header_bytes: u64,
}

/// Options of `tn_array_open_safetensors`; a NULL pointer means that tensors are read into the thread's current host
/// pool.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_safetensors_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// The pool that tensors are read into; NULL: the thread's current host pool.
    pub pool: *mut tn_pool,
    /// 0, TN_BORROW or TN_REQUIRE_BORROW.
    pub flags: tn_borrow_flags,
    /// Zero.
    pub reserved: u32,
}

/// A tensor of a safetensors file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_safetensors_info {
    /// Element type; 0: one that no array can have, as floats of 8 bits.
    pub dtype: tn_dtype,
    /// Number of axes.
    pub ndim: i32,
    /// Bytes of the tensor.
    pub bytes: u64,
    /// Length of the tensor's name in bytes. `name` is cut if it does not fit.
    pub name_bytes: u64,
    /// UTF-8, NUL-terminated.
    pub name: [core::ffi::c_char; 256],
    /// Lengths in elements; entries from ndim on are 0.
    pub shape: [i64; TN_MAX_NDIM],
    /// Zero.
    pub reserved: [u64; 2],
}

/// An absent bound or step of a tn_slice_spec, like None in a Python slice. INT64_MIN means the same.
pub const TN_NONE: i64 = -0x7fff_ffff_ffff_ffff;

/// A slice of one axis, as in Python. TN_NONE is an absent bound.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_slice_spec {
    /// First index; a negative one counts from the end.
    pub start: i64,
    /// One past the last index; a negative one counts from the end.
    pub stop: i64,
    /// Step, not 0; TN_NONE: 1.
    pub step: i64,
    /// Zero.
    pub reserved: [u64; 4],
}

/// How the bytes of two arrays relate.
pub type tn_overlap = u32;
/// No byte in common.
pub const TN_OVERLAP_NONE: tn_overlap = 0;
/// The same elements in the same order.
pub const TN_OVERLAP_EXACT: tn_overlap = 1;
/// Bytes in common.
pub const TN_OVERLAP_SOME: tn_overlap = 2;
/// Not decided; treated as overlap.
pub const TN_OVERLAP_UNKNOWN: tn_overlap = 3;

/// Flags of `tn_borrow_end`.
pub type tn_end_flags = u32;
/// `tn_borrow_end`: the writer failed. Its region is poisoned until it is rewritten.
pub const TN_END_FAILED: tn_end_flags = 1 << 0;

/// One part of `tn_array_split_write`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_part {
    /// The guard of this part, ended by its own `tn_borrow_end`.
    pub guard: *mut tn_borrow,
    /// Address of the first element; NULL if the part is empty.
    pub data: *mut core::ffi::c_void,
    /// First index along the axis.
    pub start: i64,
    /// Number of indices along the axis.
    pub length: i64,
    /// Zero.
    pub reserved: [u64; 4],
}

/// The memory that a guard gives access to. Begins like DLTensor, but strides are in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_view_info {
    /// Address of element (0,..,0); NULL if there is no element. A reader must not write there.
    pub data: *mut core::ffi::c_void,
    /// Where the bytes live.
    pub device: tn_device,
    /// Number of axes.
    pub ndim: i32,
    /// Element type.
    pub dtype: tn_dtype,
    /// ndim lengths in elements, valid until the guard ends.
    pub shape: *const i64,
    /// ndim strides in bytes, valid until the guard ends.
    pub strides: *const i64,
    /// The address that a device uses; 0: no device can reach the memory.
    pub device_data: u64,
    /// Bytes of the elements.
    pub bytes: u64,
    /// Zero.
    pub reserved: [u64; 4],
}

/// One array of a `tn_borrow_all`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_borrow_spec {
    /// The array.
    pub array: *mut tn_array,
    /// The stream that accesses the bytes; NULL: the host, now.
    pub stream: *mut tn_stream,
    /// TN_READ, TN_READ_WRITE or TN_WRITE, with TN_WRITE_ mode bits, TN_FROZEN, TN_WAIT.
    pub access: tn_access,
    /// Zero.
    pub reserved: [u32; 9],
}

/// The memory that an open guard gives access to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_borrow_info {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Address of element (0,..,0).
    pub data: *mut core::ffi::c_void,
    /// The address that a device uses; 0: no device can reach the memory.
    pub device_data: u64,
    /// Bytes of the elements.
    pub bytes: u64,
}

/// `tn_expr_sum`: over all axes.
pub const TN_ALL_AXES: i32 = -0x7fff_ffff;

/// Properties of the array that an expression makes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_expr_info {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Element type.
    pub dtype: tn_dtype,
    /// Number of axes.
    pub ndim: i32,
    /// Form of the matrix. A diagonal matrix of n rows has the shape of its n values.
    pub form: tn_form,
    /// Zero.
    pub reserved: u32,
    /// Lengths in elements; only the first ndim entries are written.
    pub shape: [i64; TN_MAX_NDIM],
}

/// Flags of `tn_expr_compute`.
pub type tn_compute_flags = u32;
/// `tn_expr_compute`: if it fails, all arrays and expressions are as before, so no existing array is overwritten.
pub const TN_KEEP_ON_FAIL: tn_compute_flags = 1 << 0;

/// An operation of `tn_expr_elementwise`.
pub type tn_expr_op = u32;
/// Element by element: x + y, as `tn_expr_add`.
pub const TN_EXPR_ADD: tn_expr_op = 1;
/// Element by element: x - y.
pub const TN_EXPR_SUBTRACT: tn_expr_op = 2;
/// Element by element: x * y.
pub const TN_EXPR_MULTIPLY: tn_expr_op = 3;
/// Element by element: x / y.
pub const TN_EXPR_DIVIDE: tn_expr_op = 4;
/// Element by element: -x.
pub const TN_EXPR_NEGATE: tn_expr_op = 5;
/// Element by element: the square root.
pub const TN_EXPR_SQRT: tn_expr_op = 6;
/// Element by element: e to the x.
pub const TN_EXPR_EXP: tn_expr_op = 7;
/// Element by element: the natural logarithm.
pub const TN_EXPR_LOG: tn_expr_op = 8;

/// A part of LU factors. The product of the three, in this order, is the matrix.
pub type tn_lu_part = u32;
/// Part: the permutation, a full matrix that has one 1 in each row and column.
pub const TN_LU_P: tn_lu_part = 0;
/// Part: the lower triangle, with a diagonal of ones.
pub const TN_LU_L: tn_lu_part = 1;
/// Part: the upper triangle.
pub const TN_LU_U: tn_lu_part = 2;

/// Format of `tn_expr_explain`.
pub type tn_explain_format = u32;
/// Format: lines of text.
pub const TN_EXPLAIN_TEXT: tn_explain_format = 0;
/// Format: a graph for Graphviz.
pub const TN_EXPLAIN_DOT: tn_explain_format = 1;

/// What holds a store, or was not released.
pub type tn_holder_kind = u32;
/// Holder: an array handle.
pub const TN_HOLDER_HANDLE: tn_holder_kind = 1;
/// Holder: a promise.
pub const TN_HOLDER_PROMISE: tn_holder_kind = 2;
/// Holder: a node of a lazy expression.
pub const TN_HOLDER_EXPRESSION: tn_holder_kind = 3;
/// Holder: a shared variable.
pub const TN_HOLDER_SHARED_VARIABLE: tn_holder_kind = 4;
/// Holder: a read-only export.
pub const TN_HOLDER_EXPORT_READ: tn_holder_kind = 5;
/// Holder: a shared view, see TN_EXPORT_WRITABLE.
pub const TN_HOLDER_EXPORT_SHARED: tn_holder_kind = 6;
/// Holder: an exclusive export, see TN_EXPORT_EXCLUSIVE.
pub const TN_HOLDER_EXPORT_EXCLUSIVE: tn_holder_kind = 7;
/// Holder: a read guard.
pub const TN_HOLDER_GUARD_READ: tn_holder_kind = 8;
/// Holder: a write guard.
pub const TN_HOLDER_GUARD_WRITE: tn_holder_kind = 9;
/// Not released: raw memory of a pool.
pub const TN_HOLDER_BLOCK: tn_holder_kind = 10;
/// Not released: a pool.
pub const TN_HOLDER_POOL: tn_holder_kind = 11;
/// Not released: a stream.
pub const TN_HOLDER_STREAM: tn_holder_kind = 12;
/// Not released: an event.
pub const TN_HOLDER_EVENT: tn_holder_kind = 13;
/// Not released: a scope.
pub const TN_HOLDER_SCOPE: tn_holder_kind = 14;
/// Not released: a weak handle.
pub const TN_HOLDER_WEAK: tn_holder_kind = 15;
/// Not released: a function.
pub const TN_HOLDER_FUNCTION: tn_holder_kind = 16;
/// The library's own claim on a side of a mirror.
pub const TN_HOLDER_MIRROR: tn_holder_kind = 17;
/// Not called yet: a queued release callback, see `tn_run_releases`.
pub const TN_HOLDER_QUEUED_RELEASE: tn_holder_kind = 18;
/// A module; its bytes are those of its image.
pub const TN_HOLDER_MODULE: tn_holder_kind = 19;

/// A holder of a store, or an object that was not released.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_holder {
    /// TN_HOLDER_.
    pub kind: tn_holder_kind,
    /// Where the bytes live.
    pub device: tn_device,
    /// Zero.
    pub reserved: u32,
    /// The handle's bits; with TN_HOLDER_BLOCK the address.
    pub id: u64,
    /// Bytes of its store or block.
    pub bytes: u64,
    /// The system's id of the thread that made it.
    pub thread: u64,
    /// When it was made, ns since the epoch; 0 if the time is unknown.
    pub time_ns: u64,
    /// Name of its array or pool; for a block of another library, the library's name ("numpy"). NUL-terminated.
    pub name: [core::ffi::c_char; 64],
    /// Call site where it was made (TN_HERE): "step.c:41". A long one is cut at the front; "" if none.
    pub site: [core::ffi::c_char; 64],
}

/// A store, or a raw block of a pool.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_store_info {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Address of the first byte.
    pub address: u64,
    /// Bytes of the store or block.
    pub bytes: u64,
    /// Where the bytes live.
    pub device: tn_device,
    /// TN_READONLY, TN_FOREIGN, TN_PINNED, TN_MAPPED, TN_WRITECOMBINED.
    pub flags: tn_array_flags,
    /// Zero.
    pub reserved: u32,
    /// A number that grows with each finished write.
    pub version: u64,
    /// Name of its pool; "" if the bytes are of no pool. NUL-terminated.
    pub pool_name: [core::ffi::c_char; 64],
}

/// A planned array, for which `tn_array_why_not` tests an array's bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_target {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// The device where it shall live.
    pub device: tn_device,
    /// Element type.
    pub dtype: tn_dtype,
    /// Number of axes.
    pub ndim: i32,
    /// ndim lengths in elements; NULL only with ndim 0.
    pub shape: *const i64,
}

/// CUDA's stream, which is a cudaStream_t's and a CUstream's target.
pub struct CUstream_st {
    _opaque: [u8; 0],
}
/// UMF's table of a pool's operations, declared in umf/memory_pool_ops.h.
pub struct umf_memory_pool_ops_t {
    _opaque: [u8; 0],
}
/// UMF's table of a provider's operations, declared in umf/memory_provider_ops.h.
pub struct umf_memory_provider_ops_t {
    _opaque: [u8; 0],
}
/// DLPack's struct without a version, declared in dlpack.h.
pub struct DLManagedTensor {
    _opaque: [u8; 0],
}
/// DLPack's struct with version and flags, declared in dlpack.h.
pub struct DLManagedTensorVersioned {
    _opaque: [u8; 0],
}

/// DLPack's table of functions, since its version 1.2, declared in dlpack.h.
pub struct DLPackExchangeAPI {
    _opaque: [u8; 0],
}

/// Arrow's struct for a type, declared in arrow/c/abi.h.
pub struct ArrowSchema {
    _opaque: [u8; 0],
}
/// Arrow's struct for the elements, declared in arrow/c/abi.h.
pub struct ArrowArray {
    _opaque: [u8; 0],
}
/// Arrow's struct for the elements and their device, declared in arrow/c/abi.h.
pub struct ArrowDeviceArray {
    _opaque: [u8; 0],
}

/// Options of a DLPack export; a NULL pointer means a copy with the device label unchanged.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_dlpack_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Any of TN_BORROW, TN_REQUIRE_BORROW, TN_EXPORT_*, TN_UNORDERED, TN_WAIT.
    pub flags: tn_borrow_flags,
    /// With TN_EXPORT_WRITABLE: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
    pub mode: tn_write_mode,
    /// Device type to write into the struct for page-locked and managed memory: TN_CPU, TN_CUDA, or their own; 0: the
    /// array's own. TN_CUDA requires that the memory is mapped for devices. TN_CPU is an access of the host.
    pub label: tn_device_type,
    /// Zero.
    pub reserved: u32,
    /// The device on which the consumer wants the bytes; {0, 0}: where they are. They are copied there, unless their
    /// memory can have that label.
    pub target: tn_device,
    /// The stream of a consumer on a device: it is made to wait for pending work, and uses the bytes until the deleter
    /// is called. NULL: the legacy stream under the label TN_CUDA, else the host. With TN_UNORDERED the consumer orders
    /// its work itself.
    pub consumer: *mut tn_stream,
}

/// An array as the CUDA array interface describes it, version 3.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_cuda_array_interface {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Device address of element (0,..,0); 0 without elements.
    pub data: u64,
    /// ndim lengths in elements. Of an export, they live as long as its guard.
    pub shape: *const i64,
    /// ndim strides in bytes, which live as long as the lengths. NULL in an import: C-contiguous.
    pub strides: *const i64,
    /// Number of axes.
    pub ndim: i32,
    /// 1: the consumer may only read; else 0.
    pub readonly: i32,
    /// 1: the elements are C-contiguous; else 0. Not read by an import.
    pub c_contiguous: i32,
    /// Version of the interface: 3 in an export.
    pub version: i32,
    /// Byte order, kind and bytes of an element, as in "<f4"; NUL-terminated.
    pub typestr: [core::ffi::c_char; 8],
    /// With has_stream, the stream on which the elements are ready: 1 is the legacy default stream, 2 the per-thread
    /// one, else a CUstream.
    pub stream: u64,
    /// 0: no work on the elements is unfinished.
    pub has_stream: i32,
    /// Zero.
    pub reserved: i32,
}

/// CUDAMat's matrix: float32 on a GPU, column by column.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_cudamat {
    /// Not used: NULL in an export, not read by an import.
    pub data_host: *mut f32,
    /// Device address of the elements: (i, j) is element i + j * size[0].
    pub data_device: *mut f32,
    /// 1: the elements are on the GPU.
    pub on_device: i32,
    /// 1: the elements are on the host too; 0 in an export.
    pub on_host: i32,
    /// Rows and columns.
    pub size: [i32; 2],
    /// 1: the matrix is the transpose of what the other fields describe; 0 in an export.
    pub is_trans: i32,
    /// 1: CUDAMat frees the elements; 0 in an export.
    pub owns_data: i32,
}

/// Flags of `tn_report_json` and `tn_report_html`: none is defined yet.
pub type tn_report_flags = u32;

/// Kinds of events: bits of `tn_log_options.kinds`.
pub type tn_log_kinds = u32;
/// A pool allocated a block: raw memory, or the bytes of an array.
pub const TN_LOG_ALLOCATE: tn_log_kinds = 1 << 0;
/// A block was freed.
pub const TN_LOG_FREE: tn_log_kinds = 1 << 1;
/// An import, an export or a write copied; the copy book has the same copies.
pub const TN_LOG_COPY: tn_log_kinds = 1 << 2;
/// Bytes were copied between arrays, or between memory and an array.
pub const TN_LOG_TRANSFER: tn_log_kinds = 1 << 3;
/// An export began or ended.
pub const TN_LOG_EXPORT: tn_log_kinds = 1 << 5;
/// An array was given.
pub const TN_LOG_GIVE: tn_log_kinds = 1 << 8;
/// A given array was taken.
pub const TN_LOG_TAKE: tn_log_kinds = 1 << 9;
/// A guard began or ended.
pub const TN_LOG_BORROW: tn_log_kinds = 1 << 10;
/// A raw block changed its size.
pub const TN_LOG_REALLOCATE: tn_log_kinds = 1 << 11;
/// An import of bytes began or ended.
pub const TN_LOG_IMPORT: tn_log_kinds = 1 << 12;
/// An array got a name.
pub const TN_LOG_NAME: tn_log_kinds = 1 << 13;
/// All of them.
pub const TN_LOG_ALL: tn_log_kinds = 0x3f2f;

/// How `tn_log_start` records. All fields but `size` may be 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_log_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// TN_LOG_ bits: what is recorded; 0: everything.
    pub kinds: tn_log_kinds,
    /// 0.
    pub reserved: u32,
    /// The file that the events go to; a regular file of that name is replaced. NULL: memory, which keeps the newest
    /// events.
    pub path: *const core::ffi::c_char,
    /// The most bytes that the log may have: at least 1 MiB, rounded down to a multiple of 64 KiB. An event has 64
    /// bytes. 0: 16 MiB in memory, 1 GiB in a file.
    pub capacity: u64,
}

/// What `tn_log_query` reports.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_log_stats {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// TN_LOG_ bits that are recorded; 0: no log runs.
    pub kinds: tn_log_kinds,
    /// 1: the events go to a file.
    pub is_file: i32,
    /// Events in the log; a name counts as two.
    pub events: u64,
    /// Events that newer ones have overwritten.
    pub overwritten: u64,
    /// Events that found no room.
    pub dropped: u64,
    /// The most bytes that the log may have.
    pub capacity: u64,
}

/// All copies of imports, exports and writes with one function, call site and reason.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_copy_site {
    /// The name of the tn_ function; static text.
    pub function: *const core::ffi::c_char,
    /// The call site (TN_HERE); "" if none.
    pub site: [core::ffi::c_char; 64],
    /// TN_WHY_ bits.
    pub why: tn_why,
    /// 1: the caller would have accepted an alias; 0: the caller asked for a copy.
    pub forced: i32,
    /// Number of copies.
    pub count: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Zero.
    pub reserved: u64,
}

/// One task of the library. It may run on any thread, and returns soon. It calls no function of the caller but a kernel
/// of the host.
pub type tn_task = Option<unsafe extern "C" fn(argument: *mut core::ffi::c_void, index: usize)>;

/// The caller's function that runs tasks. It calls `task(argument, index)` once for each index below `n_tasks`, in any
/// order, on any threads, also several at once. It returns after the last task returned, and calls none later. The
/// library runs the tasks that it did not call on the calling thread.
pub type tn_run_callback = Option<
    unsafe extern "C" fn(
        context: *mut core::ffi::c_void,
        task: tn_task,
        argument: *mut core::ffi::c_void,
        n_tasks: usize,
    ),
>;

/// Threads of the caller on which large copies and kernels of the host may run. The library starts no threads.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_runner {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// The function that runs tasks; NULL: no runner.
    pub run: tn_run_callback,
    /// First argument of `run`. It must stay valid while the runner is current on any thread.
    pub context: *mut core::ffi::c_void,
    /// Largest number of tasks per copy or launch; 0 and 1: the work is not divided.
    pub threads: usize,
    /// Copies of fewer bytes stay on the calling thread; 0: 1 MiB.
    pub least_bytes: usize,
}

/// One array in the memory of a thread block.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_block_item {
    /// The element type.
    pub dtype: tn_dtype,
    /// Zero.
    pub reserved: u32,
    /// The number of elements, 0 or more.
    pub count: i64,
    /// Alignment of the first element in bytes: a power of two from 1 to 128; 0: the size of an element.
    pub align: i64,
}

/// What an argument of a launch is.
pub type tn_arg_kind = u32;
/// Argument: an array, which the kernel gets as `tn_view<T, N>`: `void *data; int64_t shape[N]; int64_t strides[N]`,
/// strides in bytes.
pub const TN_ARG_ARRAY: tn_arg_kind = 1;
/// Argument: a C-contiguous array, of which the kernel gets the address.
pub const TN_ARG_POINTER: tn_arg_kind = 2;
/// Argument: a mirror, of which the kernel gets the side that it uses, as an array.
pub const TN_ARG_MIRROR: tn_arg_kind = 3;
/// Argument: a value, of which the kernel gets a copy.
pub const TN_ARG_VALUE: tn_arg_kind = 4;

/// An argument of a launch.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_arg {
    /// TN_ARG_.
    pub kind: tn_arg_kind,
    /// Arrays and mirrors: TN_READ, TN_READ_WRITE, or TN_WRITE, which overwrites every element; each may add TN_WAIT.
    /// Arrays: TN_READ may add TN_FROZEN, a writing access a TN_WRITE_ mode, and each but a frozen one TN_ALLOW_ALIAS.
    /// Not used for values.
    pub access: tn_access,
    /// TN_ARG_ARRAY, TN_ARG_MIRROR: the N of the kernel's tn_view<T, N>, 1 to 8. An array without axes is passed as one
    /// axis of length 1, for which 0 is accepted too. Not used otherwise.
    pub ndim: i32,
    /// Zero.
    pub reserved: i32,
    /// The `tn_array *`, the `tn_mirror *`, or the address of the value.
    pub what: *const core::ffi::c_void,
    /// TN_ARG_VALUE: the bytes of the value, at least 1. Not used otherwise.
    pub bytes: usize,
}

/// A block of a kernel of the host.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_host_block {
    /// sizeof this struct, set by the library.
    pub size: usize,
    /// The blocks of the launch.
    pub grid: [u32; 3],
    /// The threads of a block, which the function runs itself.
    pub block: [u32; 3],
    /// The position of this block in the grid.
    pub index: [u32; 3],
    /// Zero.
    pub reserved: u32,
    /// The block memory, aligned to 128 bytes; NULL if the launch asks for none. Its contents are undefined. No other
    /// block uses it at the same time.
    pub memory: *mut core::ffi::c_void,
    /// Bytes of it.
    pub memory_bytes: usize,
}

/// A kernel of the host: runs one block. `args[i]` points to what argument i of the launch is for the kernel: a view,
/// an address, a value. It must not change what `args` points to. It cannot report a failure, and must not throw or
/// longjmp.
pub type tn_host_kernel =
    Option<unsafe extern "C" fn(block: *const tn_host_block, args: *const *mut core::ffi::c_void)>;

/// Flags of a launch.
pub type tn_launch_flags = u32;
/// All blocks run at the same time, so that they can wait for each other (`grid.sync()` of cooperative groups).
pub const TN_LAUNCH_COOPERATIVE: tn_launch_flags = 1 << 0;
/// The kernel may begin before the kernel in front of it on the stream has ended (programmatic dependent launch). It
/// waits for it itself, before it uses what that one writes (`cudaGridDependencySynchronize`).
pub const TN_LAUNCH_OVERLAP: tn_launch_flags = 1 << 1;

/// What a launch runs, and how often.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_launch_config {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// A kernel of a GPU: a CUfunction, or a CUkernel of a library (CUDA 12.0); or NULL.
    pub function: *mut core::ffi::c_void,
    /// The blocks in each of three directions, at least 1.
    pub grid: [u32; 3],
    /// The threads of a block in each of three directions, at least 1.
    pub block: [u32; 3],
    /// Bytes of dynamic block memory (CUDA's dynamic shared memory) of each block. The limit of the function is raised
    /// where necessary.
    pub block_bytes: i64,
    /// The stream that runs the kernel. A constant means that stream of the GPU of the first argument that is memory of
    /// a GPU, or else of the GPU of the thread's current context. NULL: the current stream there, for which the call
    /// waits.
    pub stream: *mut tn_stream,
    /// A kernel of the host, in place of `function`; else NULL.
    pub host_function: tn_host_kernel,
    /// TN_LAUNCH_ flags, for a kernel of a GPU.
    pub flags: tn_launch_flags,
    /// The blocks of a cluster in each of three directions, for a kernel of a GPU with compute capability 9.0 or newer;
    /// the grid is a multiple of it. All 0: no cluster, or the one that the kernel was compiled for.
    pub cluster: [u32; 3],
}

/// How `tn_module_load` and `tn_module_compile` make a module. All fields but `size` may be 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_module_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// The name of the module in messages, reports, and the compiler's log: at most 63 bytes of UTF-8, copied.
    pub name: *const core::ffi::c_char,
    /// `tn_module_compile`: "compute_80" makes PTX, which newer GPUs run too. "sm_80" makes a cubin for these GPUs,
    /// which older drivers run too. NULL: a cubin where all GPUs of the process are of one kind that the compiler
    /// knows, else PTX for the oldest of them; without a GPU, for the compiler's
    /// default.
    pub arch: *const core::ffi::c_char,
    /// `tn_module_compile`: options of NVRTC, such as "-DTILE=16" and "--use_fast_math".
    pub options: *const *const core::ffi::c_char,
    /// Number of `options`.
    pub n_options: usize,
    /// `tn_module_compile`: where the compiler's log goes, also after a failure, with a NUL and cut to `log_capacity`.
    /// NULL only with capacity 0.
    pub log: *mut core::ffi::c_char,
    /// Bytes of `log`.
    pub log_capacity: usize,
    /// `tn_module_compile`: where the length of the whole log goes, without its NUL; or NULL.
    pub log_length: *mut usize,
}
