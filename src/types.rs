//! The C types and constants: plain data that stands alone, so that every layer, the header generator, the layout checker and
//! the Python crate can use one and the same file.
//!
//! Contract: no `use` of anything else, no function, no behaviour. Enumerations cross as fixed-width integers; structs that may
//! grow start with `size`; opaque types are never dereferenced (their pointer's bits are a checked id, see `slots`).
#![forbid(unsafe_code)]
#![allow(non_camel_case_types)]
#![allow(clippy::identity_op)] // flags are all written alike

/// Version of this header: major << 16 | minor << 8 | patch.
pub const TN_VERSION: u32 = 0x0000_0100;

/// Result of every function: TN_OK or one of TN_ERR_*. There is no second success code.
pub type tn_status = u32;
/// The call did what it says.
pub const TN_OK: tn_status = 0;
/// An argument that must not be NULL is NULL.
pub const TN_ERR_NULL: tn_status = 1;
/// The id was released.
pub const TN_ERR_STALE: tn_status = 2;
/// A handle of another kind, or no handle at all.
pub const TN_ERR_KIND: tn_status = 3;
/// The handle's claim was taken; only its release works.
pub const TN_ERR_DESTRUCTED: tn_status = 4;
/// The handle was given away and its promise is outstanding.
pub const TN_ERR_GIVEN: tn_status = 5;
/// A failed writer left the bytes undefined.
pub const TN_ERR_POISONED: tn_status = 6;
/// The handle or its memory must not be written.
pub const TN_ERR_READONLY: tn_status = 7;
/// An open write guard overlaps.
pub const TN_ERR_BORROWED_WRITE: tn_status = 8;
/// An open read guard overlaps.
pub const TN_ERR_BORROWED: tn_status = 9;
/// An export is alive.
pub const TN_ERR_EXPORTED: tn_status = 10;
/// Other handles claim the store.
pub const TN_ERR_SHARED: tn_status = 11;
/// A lazy expression holds the store; the text names its operation.
pub const TN_ERR_IN_EXPRESSION: tn_status = 12;
/// Device work is not finished.
pub const TN_ERR_PENDING: tn_status = 13;
/// The bytes are lent, or not of this pool.
pub const TN_ERR_FOREIGN: tn_status = 14;
/// A number of things that does not fit: too few, too many.
pub const TN_ERR_COUNT: tn_status = 15;
/// The same thing twice where it may stand once.
pub const TN_ERR_DUPLICATE: tn_status = 16;
/// An index, axis, address or id that is not there.
pub const TN_ERR_RANGE: tn_status = 17;
/// What the arguments alone show: flags, modes, struct sizes, counts, step 0.
pub const TN_ERR_INVALID: tn_status = 18;
/// An element type that is unknown or does not fit.
pub const TN_ERR_DTYPE: tn_status = 19;
/// A shape that is wrong or does not fit.
pub const TN_ERR_SHAPE: tn_status = 20;
/// A layout with which only a copy would do, or none.
pub const TN_ERR_LAYOUT: tn_status = 21;
/// Another device, or one that does not exist.
pub const TN_ERR_DEVICE: tn_status = 22;
/// An alias was demanded and only a copy would do.
pub const TN_ERR_WOULD_COPY: tn_status = 23;
/// Bytes of two things overlap that must be apart.
pub const TN_ERR_ALIASED: tn_status = 24;
/// The operation, or the caller's callback, failed.
pub const TN_ERR_FAILED: tn_status = 25;
/// The host has no memory left.
pub const TN_ERR_NO_HOST_MEMORY: tn_status = 26;
/// The device has no memory left.
pub const TN_ERR_NO_DEVICE_MEMORY: tn_status = 27;
/// The pool's max_size is reached.
pub const TN_ERR_POOL_LIMIT: tn_status = 28;
/// Not possible here; the text says what is missing.
pub const TN_ERR_UNSUPPORTED: tn_status = 29;
/// The device's driver reported an error.
pub const TN_ERR_DRIVER: tn_status = 30;
/// A file could not be opened, read or written, or is damaged.
pub const TN_ERR_IO: tn_status = 31;
/// A table of the library is full, or a limit is exceeded that the format or the caller sets.
pub const TN_ERR_LIMIT: tn_status = 32;
/// A bug of the library, stopped at the border.
pub const TN_ERR_PANIC: tn_status = 33;
/// A size that does not fit into 64 bits, or more than TN_MAX_NDIM axes.
pub const TN_ERR_OVERFLOW: tn_status = 34;

/// Where memory comes from. Given back by `tn_pool_release`.
pub struct tn_pool {
    _opaque: [u8; 0],
}
/// An order of device work. Given back by `tn_stream_release`; the constants TN_STREAM_* never.
pub struct tn_stream {
    _opaque: [u8; 0],
}
/// A point in a stream. Given back by `tn_event_release`.
pub struct tn_event {
    _opaque: [u8; 0],
}
/// One claim on a store, with a layout. Given back by `tn_array_release`.
pub struct tn_array {
    _opaque: [u8; 0],
}
/// A handle without a claim. Given back by `tn_weak_release`.
pub struct tn_weak {
    _opaque: [u8; 0],
}
/// An open guard on bytes. Given back by `tn_borrow_end`.
pub struct tn_borrow {
    _opaque: [u8; 0],
}
/// A given array on its way. Given back by `tn_promise_release`.
pub struct tn_promise {
    _opaque: [u8; 0],
}
/// A callee's handles on its parameters. Given back by `tn_leave`.
pub struct tn_scope {
    _opaque: [u8; 0],
}
/// A stream that is current until the scope is left. Given back by `tn_stream_leave`.
pub struct tn_stream_scope {
    _opaque: [u8; 0],
}

/// A node of a lazy expression. Given back by `tn_expr_release`.
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct tn_device {
    /// TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
    pub r#type: tn_device_type,
    /// Which one; 0 on the host.
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
/// Code of complex numbers; bits count both components.
pub const TN_CODE_COMPLEX: tn_dtype_code = 5;
/// Code of booleans, one byte each.
pub const TN_CODE_BOOL: tn_dtype_code = 6;

/// Element type: code | bits << 8 | lanes << 16, lanes 1; in memory a DLDataType.
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

/// An absent bound or step of a tn_slice_spec. It is smaller than every index, and so is INT64_MIN, which means the same.
pub const TN_NONE: i64 = -0x7fff_ffff_ffff_ffff;

/// Largest number of axes.
pub const TN_MAX_NDIM: usize = 64;

/// What happened to bytes at the border: TN_ALIASED or TN_COPIED.
pub type tn_how = u32;
/// `how`: the bytes are the same on both sides.
pub const TN_ALIASED: tn_how = 1;
/// `how`: the bytes were copied.
pub const TN_COPIED: tn_how = 2;

/// Flags of imports and exports: how bytes may cross the border of the library.
pub type tn_crossing_flags = u32;
/// Crossing flag: may alias.
pub const TN_BORROW: tn_crossing_flags = 1 << 0;
/// Crossing flag: must alias, else TN_ERR_WOULD_COPY (TN_ERR_ALIASED where it would touch two stores); implies TN_BORROW.
pub const TN_REQUIRE_BORROW: tn_crossing_flags = 1 << 1;
/// Crossing flag: the callee may destroy the contents; implies TN_BORROW.
pub const TN_MAY_OVERWRITE: tn_crossing_flags = 1 << 3;
/// Crossing flag: ownership moves in, with a release callback; copied only where aliasing is impossible.
pub const TN_TAKE: tn_crossing_flags = 1 << 4;
/// Import: the release callback runs in `tn_run_releases` only.
pub const TN_RELEASE_QUEUED: tn_crossing_flags = 1 << 5;
/// Import: the new handle is READONLY.
pub const TN_IMPORT_READONLY: tn_crossing_flags = 1 << 8;
/// Import of a legacy DLPack struct: its producer lets us write.
pub const TN_IMPORT_WRITABLE: tn_crossing_flags = 1 << 9;
/// Export: a shared view (XS), consumer and we may both read and write.
pub const TN_EXPORT_WRITABLE: tn_crossing_flags = 1 << 10;
/// Export, beside TN_EXPORT_WRITABLE: exclusive (XW), nobody else reads or writes these bytes.
pub const TN_EXPORT_EXCLUSIVE: tn_crossing_flags = 1 << 11;
/// Export: the caller's word that the consumer only reads, so that any format is XR.
pub const TN_EXPORT_CONSUMER_READS: tn_crossing_flags = 1 << 12;
/// Export: negative strides are copied.
pub const TN_EXPORT_NONNEGATIVE: tn_crossing_flags = 1 << 13;
/// Crossing flag: no ordering with streams; the caller has taken care.
pub const TN_UNORDERED: tn_crossing_flags = 1 << 14;
/// Waits for the array's device work in place of TN_ERR_PENDING. It is one bit in tn_crossing_flags, tn_write_mode,
/// tn_borrow_flags and tn_access.
pub const TN_WAIT: tn_crossing_flags = 1 << 19;

/// How a writer treats other handles on the store: one of TN_WRITE_ALIASED, TN_WRITE_UNIQUE and TN_WRITE_COW, with
/// modifier bits.
///
/// The bits of tn_write_mode, tn_borrow_flags and tn_access do not overlap, and TN_WAIT is one bit in all of them.
pub type tn_write_mode = u32;
/// Write mode, the default: other handles on the store see the change.
pub const TN_WRITE_ALIASED: tn_write_mode = 0;
/// Write mode: only if nobody else holds the store, that is if `tn_array_why_not` gives 0.
pub const TN_WRITE_UNIQUE: tn_write_mode = 1 << 0;
/// Write mode: if somebody else holds the store, this handle moves to a copy.
pub const TN_WRITE_COW: tn_write_mode = 1 << 1;
/// Modifier of a write mode: the old contents are not needed; heals poison.
pub const TN_WRITE_DISCARD: tn_write_mode = 1 << 2;
/// Modifier of a write mode in copies: TN_ERR_WOULD_COPY where bytes would be staged.
pub const TN_REQUIRE_ASYNC: tn_write_mode = 1 << 4;

/// Flags of a read borrow: TN_FROZEN, TN_WAIT.
pub type tn_borrow_flags = u32;
/// Reading: the bytes must not change; excludes shared views.
pub const TN_FROZEN: tn_borrow_flags = 1 << 3;

/// What an access does: TN_READ, TN_WRITE or TN_READ_WRITE, with bits of tn_borrow_flags for reading and of
/// tn_write_mode for writing.
pub type tn_access = u32;
/// Access: reading.
pub const TN_READ: tn_access = 1 << 5;
/// Access: writing; alone it overwrites every element (implies TN_WRITE_DISCARD).
pub const TN_WRITE: tn_access = 1 << 6;
/// Access: reading and writing.
pub const TN_READ_WRITE: tn_access = TN_READ | TN_WRITE;

/// Reasons why bytes cannot be overwritten in place, or why they were copied.
pub type tn_why = u32;
/// Why not in place: the handle is given.
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
/// Why not in place: the bytes are lent by an import without TN_MAY_OVERWRITE.
pub const TN_WHY_FOREIGN: tn_why = 1 << 6;
/// Why not in place: a poisoned region overlaps.
pub const TN_WHY_POISONED: tn_why = 1 << 7;
/// Why not in place, or why a copy: the layout does not fit.
pub const TN_WHY_LAYOUT: tn_why = 1 << 8;
/// Why not in place, or why a copy: another device.
pub const TN_WHY_DEVICE: tn_why = 1 << 9;
/// Why not in place: the store has more than twice the bytes that the target needs.
pub const TN_WHY_WASTE: tn_why = 1 << 10;
/// Why not in place, or why a copy: elements share bytes, or the range cannot be claimed as one store.
pub const TN_WHY_NOT_ALIASABLE: tn_why = 1 << 11;

/// Runs exactly once, on any thread, under no lock; may call the library.
pub type tn_release_callback = Option<unsafe extern "C" fn(context: *mut core::ffi::c_void)>;

/// Flags of `tn_device_query`.
pub type tn_query_flags = u32;
/// `tn_device_query`: also fill the memory fields.
pub const TN_QUERY_MEMORY: tn_query_flags = 1 << 0;

/// What a device can do.
pub type tn_device_features = u32;
/// Device feature: the driver's memory pools.
pub const TN_FEATURE_MEMORY_POOLS: tn_device_features = 1 << 0;
/// Device feature: managed memory.
pub const TN_FEATURE_MANAGED: tn_device_features = 1 << 1;
/// Device feature: managed memory that host and device may touch at the same time.
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
/// `tn_stream_create`: the stream is ordered with the legacy one.
pub const TN_STREAM_BLOCKING: tn_stream_flags = 1 << 0;

/// Flags of `tn_stream_enter`.
pub type tn_stream_scope_flags = u32;
/// `tn_stream_enter`: leaving waits for the stream.
pub const TN_AUTO_SYNCHRONIZE: tn_stream_scope_flags = 1 << 0;

/// Flags of `tn_event_create`.
pub type tn_event_flags = u32;
/// `tn_event_create`: the event has a time.
pub const TN_EVENT_TIMING: tn_event_flags = 1 << 0;

/// What a device is; the counters are since the start of the process.
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
    /// As the driver says: 1000 major + 10 minor.
    pub driver_version: i32,
    /// Number of multiprocessors; on the host of processors online.
    pub multiprocessors: i32,
    /// Threads of a warp; 1 on the host.
    pub warp_size: i32,
    /// TN_FEATURE_ bits.
    pub features: tn_device_features,
    /// Default limit of a thread block's shared memory, bytes.
    pub block_memory_bytes: u64,
    /// The same after raising it.
    pub block_memory_optin_bytes: u64,
    /// Physical memory, bytes; on the host cut to the control group's limit.
    pub total_bytes: u64,
    /// TN_QUERY_MEMORY: free now, as the system says.
    pub free_bytes: u64,
    /// TN_QUERY_MEMORY: total - free.
    pub used_bytes: u64,
    /// TN_QUERY_MEMORY: held by our pools.
    pub pool_bytes: u64,
    /// TN_QUERY_MEMORY: of these reusable by us.
    pub pool_free_bytes: u64,
    /// Copies to the device.
    pub to_device_count: u64,
    /// Their bytes.
    pub to_device_bytes: u64,
    /// Copies to the host.
    pub to_host_count: u64,
    /// Their bytes.
    pub to_host_bytes: u64,
    /// Bytes that went through staging memory.
    pub staged_bytes: u64,
    /// Page-locked at the caller's wish now.
    pub registered_bytes: u64,
    /// Imports whose release callback waits: for `tn_run_releases`, or for device work that alone needs their bytes.
    pub queued_releases: u64,
    /// Their bytes.
    pub queued_bytes: u64,
}

/// "none" or "never" in the fields of `tn_pool_options` marked (n); every larger number means the same.
pub const TN_POOL_NONE: u64 = 0x7fff_ffff_ffff_ffff;

/// Flags of a pool.
pub type tn_pool_flags = u32;
/// Pool flag: touch initial_size at creation.
pub const TN_POOL_PREFAULT: tn_pool_flags = 1 << 0;
/// Pool flag: cache nothing.
pub const TN_POOL_DIRECT: tn_pool_flags = 1 << 1;
/// Pool flag, for tests: quarantine, patterns, exact peaks.
pub const TN_POOL_STRICT: tn_pool_flags = 1 << 2;
/// Pool flag: a block is cleared before anybody else can get it.
pub const TN_POOL_ZERO_ON_FREE: tn_pool_flags = 1 << 3;
/// Pool flag, host: segments from memfds. Reserved: not there yet, and TN_ERR_UNSUPPORTED.
pub const TN_POOL_SHAREABLE: tn_pool_flags = 1 << 4;
/// Pool flag, CUDA: whole driver allocations that can be exported. Reserved: not there yet, and TN_ERR_UNSUPPORTED.
pub const TN_POOL_IPC: tn_pool_flags = 1 << 5;

/// Flags of page-locked memory (TN_HOST_*) and of managed memory (TN_MANAGED_*).
pub type tn_host_flags = u32;
/// Page-locked memory usable from every CUDA context.
pub const TN_HOST_PORTABLE: tn_host_flags = 1 << 0;
/// Page-locked memory mapped into the device's address space.
pub const TN_HOST_MAPPED: tn_host_flags = 1 << 1;
/// Page-locked memory that is slow to read on the host.
pub const TN_HOST_WRITE_COMBINED: tn_host_flags = 1 << 2;
/// Page-locking of memory that the host must not write.
pub const TN_HOST_READ_ONLY: tn_host_flags = 1 << 3;
/// Without a driver: plain memory labelled TN_CPU in place of TN_ERR_UNSUPPORTED.
pub const TN_HOST_BEST_EFFORT: tn_host_flags = 1 << 4;

/// Advice on where managed memory is used.
pub type tn_advice = u32;
/// Advice on managed memory: it is mostly read, so that each side may keep a copy.
pub const TN_ADVISE_READ_MOSTLY: tn_advice = 1;
/// It is not.
pub const TN_ADVISE_UNSET_READ_MOSTLY: tn_advice = 2;
/// It is best kept on the device.
pub const TN_ADVISE_PREFERRED: tn_advice = 3;
/// It is best kept nowhere.
pub const TN_ADVISE_UNSET_PREFERRED: tn_advice = 4;
/// The device will access it, and should have it mapped.
pub const TN_ADVISE_ACCESSED_BY: tn_advice = 5;
/// It will not.
pub const TN_ADVISE_UNSET_ACCESSED_BY: tn_advice = 6;
/// Managed memory attached to all streams, the default.
pub const TN_MANAGED_GLOBAL: tn_host_flags = 0;
/// Managed memory attached to the host.
pub const TN_MANAGED_HOST: tn_host_flags = 1 << 5;

/// When a pool asks for huge pages.
pub type tn_huge_pages = u32;
/// Huge pages where they cost no resident memory.
pub const TN_HUGE_AUTO: tn_huge_pages = 0;
/// No huge pages.
pub const TN_HUGE_NEVER: tn_huge_pages = 1;
/// Huge pages from the reserved ones; falls back to TN_HUGE_AUTO.
pub const TN_HUGE_EXPLICIT: tn_huge_pages = 2;

/// How a pool of CUDA memory obtains its memory.
pub type tn_backend = u32;
/// CUDA: mapped granules, else plain.
pub const TN_BACKEND_AUTO: tn_backend = 0;
/// CUDA: plain driver allocations.
pub const TN_BACKEND_PLAIN: tn_backend = 1;
/// CUDA: the driver's own pool.
pub const TN_BACKEND_DRIVER_POOL: tn_backend = 2;

/// Flags of a tn_upstream.
pub type tn_upstream_flags = u32;
/// Upstream flag: fresh memory reads 0.
pub const TN_UPSTREAM_ZEROED: tn_upstream_flags = 1 << 0;
/// Upstream flag: its callbacks may run on several threads at once.
pub const TN_UPSTREAM_THREAD_SAFE: tn_upstream_flags = 1 << 1;
/// Upstream flag: a part of what `allocate` gave may go back before the rest.
pub const TN_UPSTREAM_PARTIAL_FREE: tn_upstream_flags = 1 << 2;

/// Where the memory of a pool comes from that was made by `tn_pool_import`. Callbacks run on any thread that uses the pool, also
/// while it ends; they may not call the same pool: such a call is TN_ERR_INVALID.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_upstream {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Passed to each callback.
    pub context: *mut core::ffi::c_void,
    /// Bytes asked for are multiples of it; 0: 4096.
    pub granularity: usize,
    /// Alignments asked for are powers of two, and at least this; 0: 4096.
    pub alignment: usize,
    /// TN_UPSTREAM_.
    pub flags: tn_upstream_flags,
    /// Zero.
    pub reserved: u32,
    /// Gives memory. What it answers but TN_OK means that there is none. native_stream: 0.
    pub allocate: Option<
        unsafe extern "C" fn(
            context: *mut core::ffi::c_void,
            bytes: usize,
            alignment: usize,
            native_stream: u64,
            out: *mut *mut core::ffi::c_void,
        ) -> tn_status,
    >,
    /// Takes back what `allocate` gave, with the same address and bytes; with TN_UPSTREAM_PARTIAL_FREE parts of it, each once.
    pub deallocate: Option<
        unsafe extern "C" fn(
            context: *mut core::ffi::c_void,
            ptr: *mut core::ffi::c_void,
            bytes: usize,
            native_stream: u64,
        ) -> tn_status,
    >,
    /// Optional: the contents of a part are not needed any more.
    pub purge: Option<
        unsafe extern "C" fn(context: *mut core::ffi::c_void, ptr: *mut core::ffi::c_void, bytes: usize) -> tn_status,
    >,
    /// Optional: the last call ever, when everything went back and the pool is gone.
    pub release: Option<unsafe extern "C" fn(context: *mut core::ffi::c_void)>,
}

/// How a pool works; 0 means the default in every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_pool_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Copied; at most 63 bytes of UTF-8. NULL: "pool-N".
    pub name: *const core::ffi::c_char,
    /// Bytes committed at creation; trim never goes below it.
    pub initial_size: u64,
    /// Upper bound of one growth step, bytes.
    pub max_growth: u64,
    /// Upper bound of committed bytes; 0: none.
    pub max_size: u64,
    /// A step asks the device for max(what is needed, committed * (factor - 1)); at least 1.
    pub growth_factor: f64,
    /// Power of two, 8 to 4 MiB; used where a call passes 0. Default 64 on the host.
    pub alignment: u64,
    /// (n) Bytes of free blocks that one thread may keep.
    pub thread_cache_size: u64,
    /// (n) Cached bytes above this go back to the device.
    pub release_threshold: u64,
    /// (n) Free memory unused for so long goes back in a later call, ms.
    pub release_delay_ms: u64,
    /// CUDA: bit mask of device ids that may also access the memory.
    pub peers: u64,
    /// TN_HUGE_.
    pub huge_pages: tn_huge_pages,
    /// TN_BACKEND_.
    pub backend: tn_backend,
    /// n prefers NUMA node n - 1; 0: no preference.
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

/// What a pool holds and did; bytes unless the name says count.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct tn_pool_stats {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Sum over live blocks of the size asked for.
    pub requested_bytes: u64,
    /// Sum over live blocks of their usable size.
    pub in_use_bytes: u64,
    /// Committed, in no live block, free to hand out.
    pub cached_bytes: u64,
    /// Given back, but work on some stream may still touch it.
    pub pending_bytes: u64,
    /// Committed but never usable: what is left of a span after its last block.
    pub overhead_bytes: u64,
    /// Committed: in_use + cached + pending + overhead, exactly, in every query.
    pub reserved_bytes: u64,
    /// Address space held, at least reserved_bytes.
    pub address_bytes: u64,
    /// Committed bytes asked to be huge pages.
    pub huge_bytes: u64,
    /// The library's own memory for this pool, not in reserved_bytes.
    pub metadata_bytes: u64,
    /// Largest in_use_bytes since creation or reset_peak.
    pub peak_in_use_bytes: u64,
    /// Largest reserved_bytes since creation or reset_peak.
    pub peak_reserved_bytes: u64,
    /// Largest requested_bytes since creation or reset_peak.
    pub peak_requested_bytes: u64,
    /// Allocations that returned TN_OK.
    pub allocation_count: u64,
    /// Blocks given back.
    pub deallocation_count: u64,
    /// Reallocations that returned TN_OK.
    pub reallocation_count: u64,
    /// Calls that failed.
    pub failure_count: u64,
    /// allocation_count - deallocation_count.
    pub live_blocks: u64,
    /// Allocations served with no device call.
    pub hit_count: u64,
    /// Allocations served with no slow path.
    pub thread_hit_count: u64,
    /// Calls to the device for memory.
    pub device_allocate_count: u64,
    /// Calls to the device that gave memory back.
    pub device_free_count: u64,
    /// Bytes ever got from the device.
    pub device_bytes_total: u64,
    /// Trims that gave something back.
    pub trim_count: u64,
    /// Pressure callbacks called.
    pub pressure_count: u64,
    /// Requests that ended in a status of no memory.
    pub oom_count: u64,
    /// Wrong frees that were refused.
    pub misuse_count: u64,
    /// Bytes that allocate_zeroed did not have to clear.
    pub zero_bytes_skipped: u64,
    /// Largest block that can be handed out with no device call.
    pub largest_free_bytes: u64,
    /// max_size; 0: none.
    pub limit_bytes: u64,
    /// Threads that hold a cache now.
    pub thread_count: u64,
    /// Of requested_bytes: in stores without a claim, kept by guards or exports.
    pub held_bytes: u64,
    /// Of pending_bytes: an importer in another process is alive.
    pub shared_out_bytes: u64,
    /// Number of the pool, which no other of this process has, had or will have: two handles with one serial are on one pool.
    pub serial: u64,
}

/// Blocks of one size of a pool.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct tn_pool_class_stats {
    /// Usable bytes of each; 0: those above the largest class, which have spans of their own.
    pub block_bytes: u64,
    /// Bytes of a span of such blocks; 0: of many sizes.
    pub span_bytes: u64,
    /// Live blocks.
    pub live_blocks: u64,
    /// Blocks that can be had without a new span; with block_bytes 0: free spans.
    pub cached_blocks: u64,
    /// Spans of such blocks, free ones too.
    pub span_count: u64,
    /// Allocations that returned TN_OK.
    pub allocation_count: u64,
    /// Of those: served with no device call.
    pub hit_count: u64,
    /// Zero.
    pub reserved: u64,
}

/// Why a pool runs out of memory.
pub type tn_pressure = u32;
/// A pool's memory runs out because of its max_size.
pub const TN_PRESSURE_LIMIT: tn_pressure = 1;
/// A pool's memory runs out because its device has no more.
pub const TN_PRESSURE_DEVICE: tn_pressure = 2;

/// Called when a pool runs out of memory, on the thread that needs it and under no lock. Gives the bytes that it thinks it freed; 0: none.
///
/// It may call anything, the pool too; what it allocates fails without calling anybody in turn. `reason` is TN_PRESSURE_.
pub type tn_pressure_callback =
    Option<unsafe extern "C" fn(context: *mut core::ffi::c_void, needed_bytes: usize, reason: tn_pressure) -> usize>;

/// Who a block of a pool was allocated for.
pub type tn_client = u32;
/// Blocks of a pool that back arrays.
pub const TN_CLIENT_ARRAYS: tn_client = 0;
/// Blocks that `tn_pool_allocate` and its kin handed out.
pub const TN_CLIENT_RAW: tn_client = 1;
/// NumPy, through `tn_numpy_handler`.
pub const TN_CLIENT_NUMPY: tn_client = 2;
/// PyTorch. Reserved: not there yet.
pub const TN_CLIENT_TORCH: tn_client = 3;
/// CuPy. Reserved: not there yet.
pub const TN_CLIENT_CUPY: tn_client = 4;
/// Numba. Reserved: not there yet.
pub const TN_CLIENT_NUMBA: tn_client = 5;
/// RMM. Reserved: not there yet.
pub const TN_CLIENT_RMM: tn_client = 6;
/// UMF.
pub const TN_CLIENT_UMF: tn_client = 7;
/// C++ containers, through `tn_cpp_allocate`.
pub const TN_CLIENT_CPP: tn_client = 8;
/// A Rust program's global allocator.
pub const TN_CLIENT_RUST: tn_client = 9;
/// A program that was started with the malloc of the library.
pub const TN_CLIENT_MALLOC: tn_client = 10;
/// Another one. Reserved: not there yet.
pub const TN_CLIENT_OTHER: tn_client = 11;

/// What one client of a pool holds and did. The sum of `live_bytes` over all clients is the pool's in_use_bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_pool_client {
    /// TN_CLIENT_.
    pub client: tn_client,
    /// Zero.
    pub reserved: u32,
    /// "arrays", "raw", "numpy", ..; NUL-terminated.
    pub name: [core::ffi::c_char; 16],
    /// Blocks that it holds.
    pub live_blocks: u64,
    /// Their usable bytes.
    pub live_bytes: u64,
    /// The bytes that it asked for in them.
    pub requested_bytes: u64,
    /// Largest live_bytes since the pool's creation or reset_peak.
    pub peak_bytes: u64,
    /// Allocations and reallocations that were granted.
    pub allocation_count: u64,
    /// Those that were not.
    pub failure_count: u64,
    /// Wrong frees that were refused.
    pub misuse_count: u64,
    /// Frees that named another size than was asked for; the library goes by its own.
    pub mismatch_count: u64,
}

/// Order of elements.
pub type tn_order = u32;
/// Row-major element order.
pub const TN_ORDER_C: tn_order = 0;
/// Column-major element order.
pub const TN_ORDER_F: tn_order = 1;
/// F if F- and not C-contiguous, else C.
pub const TN_ORDER_A: tn_order = 2;
/// `tn_array_like` only: the axes keep the order of the prototype's strides.
pub const TN_ORDER_K: tn_order = 3;

/// Flags of a new array: none is defined yet.
pub type tn_create_flags = u32;

/// How a new array is made; NULL in its place means C order, no name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_array_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// TN_ORDER_.
    pub order: tn_order,
    /// No flag is defined yet: 0.
    pub flags: tn_create_flags,
    /// NULL: the current one.
    pub stream: *mut tn_stream,
    /// Copied, 63 bytes of UTF-8 are kept; NULL: no name.
    pub name: *const core::ffi::c_char,
}

/// How elements lie in raw memory.
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
/// Array flag: two index tuples reach the same byte.
pub const TN_SELF_OVERLAP: tn_array_flags = 1 << 4;
/// Array flag: the bytes are lent by somebody who may still use them.
pub const TN_FOREIGN: tn_array_flags = 1 << 5;
/// Array flag: page-locked.
pub const TN_PINNED: tn_array_flags = 1 << 6;
/// Array flag: page-locked and mapped into the device's address space.
pub const TN_MAPPED: tn_array_flags = 1 << 7;
/// Array flag: page-locked and slow to read on the host.
pub const TN_WRITE_COMBINED: tn_array_flags = 1 << 8;

/// What an array is.
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
    /// TN_C_CONTIGUOUS .. TN_WRITE_COMBINED.
    pub flags: tn_array_flags,
    /// Zero.
    pub reserved: u32,
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

/// How `tn_array_open_npy` opens a file.
pub type tn_npy_mode = u32;
/// `tn_array_open_npy`: mapped, read-only; the default.
pub const TN_NPY_READ: tn_npy_mode = 0;
/// `tn_array_open_npy`: mapped, writable, the file never changes.
pub const TN_NPY_COW: tn_npy_mode = 1;
/// `tn_array_open_npy`: mapped, writes reach the file.
pub const TN_NPY_WRITE: tn_npy_mode = 2;
/// `tn_array_open_npy`: read into the pool's memory.
pub const TN_NPY_COPY: tn_npy_mode = 3;

/// Flags of `tn_array_save_npy`.
pub type tn_io_flags = u32;
/// `tn_array_save_npy`: sync file and directory before returning.
pub const TN_IO_SYNC: tn_io_flags = 1 << 0;
/// `tn_array_save_npy`: an existing target is TN_ERR_IO.
pub const TN_IO_EXCLUSIVE: tn_io_flags = 1 << 1;

/// How a `.npy` file is opened.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_npy_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// TN_NPY_.
    pub mode: tn_npy_mode,
    /// Used only where path is NULL; stays the caller's.
    pub fd: i32,
    /// TN_NPY_COPY: where the bytes go; NULL: the thread's current host pool.
    pub pool: *mut tn_pool,
    /// A longer header is TN_ERR_LIMIT; 0: 64 KiB.
    pub max_header_bytes: u64,
}

/// How tensors of a safetensors file are opened; NULL in its place: they are read into the thread's current host pool.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_safetensors_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Where the bytes that are read go; NULL: the thread's current host pool.
    pub pool: *mut tn_pool,
    /// 0, TN_BORROW or TN_REQUIRE_BORROW.
    pub flags: tn_crossing_flags,
    /// Zero.
    pub reserved: u32,
}

/// A tensor of a safetensors file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_safetensors_info {
    /// Element type.
    pub dtype: tn_dtype,
    /// Number of axes.
    pub ndim: i32,
    /// Bytes of its elements.
    pub bytes: u64,
    /// Length of its name in bytes; a longer one than fits is cut in `name`.
    pub name_bytes: u64,
    /// UTF-8, NUL-terminated.
    pub name: [core::ffi::c_char; 256],
    /// Lengths in elements; 0 from entry ndim on.
    pub shape: [i64; TN_MAX_NDIM],
    /// Zero.
    pub reserved: [u64; 2],
}

/// One axis of a slice, as in Python; TN_NONE is an absent bound.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_slice_spec {
    /// First index; negative counts from the end.
    pub start: i64,
    /// One past the last index.
    pub stop: i64,
    /// Not 0; TN_NONE: 1.
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
/// Not decided; counts as overlap.
pub const TN_OVERLAP_UNKNOWN: tn_overlap = 3;

/// Flags of `tn_borrow_end`.
pub type tn_end_flags = u32;
/// `tn_borrow_end`: the writer failed, its region is poisoned until it is rewritten.
pub const TN_END_FAILED: tn_end_flags = 1 << 0;

/// One part of `tn_array_chunks_write`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_chunk {
    /// Ended by `tn_borrow_end`, each on its own.
    pub guard: *mut tn_borrow,
    /// First element; NULL if the part is empty.
    pub data: *mut core::ffi::c_void,
    /// First index along the axis.
    pub start: i64,
    /// Number of indices along the axis.
    pub length: i64,
    /// Zero.
    pub reserved: [u64; 4],
}

/// What a guard lets the caller touch; begins like DLTensor, but strides are bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_view_info {
    /// Element (0,..,0); NULL if there is none. A reader must not write there.
    pub data: *mut core::ffi::c_void,
    /// Where the bytes live.
    pub device: tn_device,
    /// Number of axes.
    pub ndim: i32,
    /// Element type.
    pub dtype: tn_dtype,
    /// ndim lengths in elements; the guard's, valid until it ends.
    pub shape: *const i64,
    /// ndim strides in bytes; the guard's, valid until it ends.
    pub strides: *const i64,
    /// Address on the device; 0: the device cannot reach it.
    pub device_data: u64,
    /// Bytes of the elements.
    pub bytes: u64,
    /// Zero.
    pub reserved: [u64; 4],
}

/// One entry of `tn_borrow_all`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_borrow_spec {
    /// The array.
    pub array: *mut tn_array,
    /// Who touches the bytes; NULL: the host, now.
    pub stream: *mut tn_stream,
    /// TN_READ, TN_READ_WRITE or TN_WRITE, with TN_WRITE_ mode bits, TN_FROZEN, TN_WAIT.
    pub access: tn_access,
    /// Zero.
    pub reserved: [u32; 9],
}

/// What an open guard gives access to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_borrow_info {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Element (0,..,0).
    pub data: *mut core::ffi::c_void,
    /// Address on the device; 0: the device cannot reach it.
    pub device_data: u64,
    /// Bytes of the elements.
    pub bytes: u64,
}

/// Form of a leaf of an expression.
pub type tn_form = u32;
/// Form of an expression's leaf: all elements.
pub const TN_FORM_FULL: tn_form = 0;
/// Form: a vector is the diagonal of a matrix that is 0 elsewhere.
pub const TN_FORM_DIAGONAL: tn_form = 1;
/// Form: what is above the diagonal of a square matrix is taken as 0 and not read.
pub const TN_FORM_LOWER: tn_form = 2;

/// Flags of `tn_expr_compute`.
pub type tn_compute_flags = u32;
/// Of `tn_expr_compute`: a failure leaves everything as it was; what was there before is not overwritten.
pub const TN_KEEP_ON_FAIL: tn_compute_flags = 1 << 0;

/// Operation of `tn_expr_elementwise`.
pub type tn_expr_op = u32;
/// Element by element: x + y, the same as `tn_expr_add`.
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

/// Format of `tn_expr_explain`.
pub type tn_explain_format = u32;
/// Format of `tn_expr_explain`: lines of text.
pub const TN_EXPLAIN_TEXT: tn_explain_format = 0;
/// Format: a graph for Graphviz.
pub const TN_EXPLAIN_DOT: tn_explain_format = 1;

/// What holds a store, or was not given back.
pub type tn_holder_kind = u32;
/// Holder: an array handle.
pub const TN_HOLDER_HANDLE: tn_holder_kind = 1;
/// Holder: a promise.
pub const TN_HOLDER_PROMISE: tn_holder_kind = 2;
/// Holder: a node of a lazy expression.
pub const TN_HOLDER_EXPRESSION: tn_holder_kind = 3;
/// Holder: a read-only export (XR).
pub const TN_HOLDER_EXPORT_READ: tn_holder_kind = 5;
/// Holder: a shared view (XS).
pub const TN_HOLDER_EXPORT_SHARED: tn_holder_kind = 6;
/// Holder: an exclusive export (XW).
pub const TN_HOLDER_EXPORT_EXCLUSIVE: tn_holder_kind = 7;
/// Holder: a read guard.
pub const TN_HOLDER_GUARD_READ: tn_holder_kind = 8;
/// Holder: a write guard.
pub const TN_HOLDER_GUARD_WRITE: tn_holder_kind = 9;
/// Not given back: raw memory of a pool.
pub const TN_HOLDER_BLOCK: tn_holder_kind = 10;
/// Not given back: a pool.
pub const TN_HOLDER_POOL: tn_holder_kind = 11;
/// Not given back: a stream.
pub const TN_HOLDER_STREAM: tn_holder_kind = 12;
/// Not given back: an event.
pub const TN_HOLDER_EVENT: tn_holder_kind = 13;
/// Not given back: a scope.
pub const TN_HOLDER_SCOPE: tn_holder_kind = 14;
/// Not given back: a weak handle.
pub const TN_HOLDER_WEAK: tn_holder_kind = 15;
/// Not called yet: a release callback that waits for `tn_run_releases`.
pub const TN_HOLDER_QUEUED_RELEASE: tn_holder_kind = 18;

/// Who holds a store, or what was not given back.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_holder {
    /// TN_HOLDER_.
    pub kind: tn_holder_kind,
    /// Where the bytes live.
    pub device: tn_device,
    /// Zero.
    pub reserved: u32,
    /// The handle's bits; TN_HOLDER_BLOCK: the address.
    pub id: u64,
    /// Of its store or block.
    pub bytes: u64,
    /// The system's number of the thread that made it.
    pub thread: u64,
    /// When it was made, ns since the epoch; 0 where no time is kept.
    pub time_ns: u64,
    /// Name of its array, pool, .., of a library's block the library's ("numpy"); NUL-terminated.
    pub name: [core::ffi::c_char; 64],
    /// TN_HERE when it was made: "step.c:41"; the end of a longer one; "" if none.
    pub site: [core::ffi::c_char; 64],
}

/// A store, or a raw block of a pool.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_store_info {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// First byte.
    pub address: u64,
    /// All of it.
    pub bytes: u64,
    /// Where it lives.
    pub device: tn_device,
    /// TN_READONLY, TN_FOREIGN, TN_PINNED, TN_MAPPED, TN_WRITE_COMBINED.
    pub flags: tn_array_flags,
    /// Zero.
    pub reserved: u32,
    /// Grows with each finished write.
    pub version: u64,
    /// "" if foreign; NUL-terminated.
    pub pool_name: [core::ffi::c_char; 64],
}

/// What one would like to put into an array's bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_target {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Where it shall live.
    pub device: tn_device,
    /// Element type.
    pub dtype: tn_dtype,
    /// Number of axes.
    pub ndim: i32,
    /// ndim lengths in elements; NULL only with ndim 0.
    pub shape: *const i64,
}

/// UMF's own table of a pool's operations; its header is umf/memory_pool_ops.h.
pub struct umf_memory_pool_ops_t {
    _opaque: [u8; 0],
}
/// UMF's own table of a provider's operations; its header is umf/memory_provider_ops.h.
pub struct umf_memory_provider_ops_t {
    _opaque: [u8; 0],
}
/// DLPack's own struct, without a version; its header is dlpack.h.
pub struct DLManagedTensor {
    _opaque: [u8; 0],
}
/// DLPack's own struct, with version and flags; its header is dlpack.h.
pub struct DLManagedTensorVersioned {
    _opaque: [u8; 0],
}

/// DLPack's own table of functions, since its version 1.2; its header is dlpack.h.
pub struct DLPackExchangeAPI {
    _opaque: [u8; 0],
}

/// Arrow's own struct for a type; its header is arrow/c/abi.h.
pub struct ArrowSchema {
    _opaque: [u8; 0],
}
/// Arrow's own struct for the elements; its header is arrow/c/abi.h.
pub struct ArrowArray {
    _opaque: [u8; 0],
}
/// Arrow's own struct for the elements and where they are; its header is arrow/c/abi.h.
pub struct ArrowDeviceArray {
    _opaque: [u8; 0],
}

/// How a DLPack struct is made; NULL in its place: a copy, labelled as is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_dlpack_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// TN_BORROW, TN_REQUIRE_BORROW, TN_EXPORT_*, TN_UNORDERED, TN_WAIT.
    pub flags: tn_crossing_flags,
    /// With TN_EXPORT_WRITABLE: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
    pub mode: tn_write_mode,
    /// Pinned and managed memory: 0 = as is, TN_CPU, TN_CUDA.
    pub label: tn_device_type,
    /// Zero.
    pub reserved: u32,
    /// Where the consumer wants it; {0, 0}: where it is.
    pub target: tn_device,
    /// Made to wait for pending work; NULL: the legacy stream.
    pub consumer: *mut tn_stream,
}

/// Flags of `tn_report_json`: none is defined yet.
pub type tn_report_flags = u32;

/// All copies at borders from one place.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_copy_site {
    /// The tn_ function; static text.
    pub function: *const core::ffi::c_char,
    /// TN_HERE; "" if none.
    pub site: [core::ffi::c_char; 64],
    /// TN_WHY_ bits.
    pub why: tn_why,
    /// 1: the caller would have taken an alias; 0: the call's contract is a copy.
    pub forced: i32,
    /// How many copies.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Zero.
    pub reserved: u64,
}

/// One part of a piece of work of the library, which needs nothing but its arguments: it may run on any thread, returns soon, and calls
/// nothing of the caller's.
pub type tn_task = Option<unsafe extern "C" fn(argument: *mut core::ffi::c_void, index: usize)>;

/// Calls `task(argument, index)` for every index below `n_tasks`, in any order, on any threads, also several at once, and returns when the
/// last has returned; none is called later. Those that it does not call are done by the calling thread afterwards.
pub type tn_run_callback = Option<
    unsafe extern "C" fn(
        context: *mut core::ffi::c_void,
        task: tn_task,
        argument: *mut core::ffi::c_void,
        n_tasks: usize,
    ),
>;

/// Threads of the caller's, on which large copies may run. The library has none of its own.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_runner {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// Runs tasks; NULL: there is no runner.
    pub run: tn_run_callback,
    /// For `run`; must be valid as long as the runner is current on some thread.
    pub context: *mut core::ffi::c_void,
    /// How many tasks a copy is divided into at most; 0 and 1: it is not.
    pub threads: usize,
    /// Copies of fewer bytes stay on their thread; 0: the library's own limit, 1 MiB.
    pub least_bytes: usize,
}
