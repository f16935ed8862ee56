//! The C types and constants: plain data that stands alone, so that every layer, the header generator, the layout checker and
//! the Python crate can use one and the same file.
//!
//! Contract: no `use` of anything else, no function, no behaviour. Enumerations cross as fixed-width integers; structs that may
//! grow start with `size`; opaque types are never dereferenced (their pointer's bits are a checked id, see `slots`).
#![forbid(unsafe_code)]
#![allow(non_camel_case_types)]
#![allow(clippy::identity_op)] // element types are all written alike

/// Version of this header: major << 16 | minor << 8 | patch.
pub const TN_VERSION: u32 = 0x0000_0100;

/// Result of every function: TN_OK or one of TN_ERR_*. There is no second success code.
pub type tn_status = i32;
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
/// Sizes that overflow; tables that are full.
pub const TN_ERR_LIMIT: tn_status = 32;
/// A bug of the library, stopped at the border.
pub const TN_ERR_PANIC: tn_status = 33;

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
/// A callee's handles on its parameters, or a stream that is current for a while. Given back by `tn_leave` or
/// `tn_stream_leave`, by which of the two made it.
pub struct tn_scope {
    _opaque: [u8; 0],
}

/// A node of a lazy expression. Given back by `tn_expr_release`.
pub struct tn_expr {
    _opaque: [u8; 0],
}

/// A device, as in DLPack's DLDevice; passed by value.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct tn_device {
    /// TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
    pub r#type: i32,
    /// Which one; 0 on the host.
    pub id: i32,
}
/// Ordinary host memory.
pub const TN_CPU: i32 = 1;
/// Memory of a CUDA device.
pub const TN_CUDA: i32 = 2;
/// Page-locked host memory.
pub const TN_CUDA_HOST: i32 = 3;
/// CUDA managed memory.
pub const TN_CUDA_MANAGED: i32 = 13;

/// Element type: code | bits << 8 | lanes << 16, lanes 1; in memory a DLDataType.
pub type tn_dtype = u32;
/// Code of signed integers.
pub const TN_CODE_INT: u32 = 0;
/// Code of unsigned integers.
pub const TN_CODE_UINT: u32 = 1;
/// Code of IEEE floating point numbers.
pub const TN_CODE_FLOAT: u32 = 2;
/// Code of bfloat16.
pub const TN_CODE_BFLOAT: u32 = 4;
/// Code of complex numbers; bits count both components.
pub const TN_CODE_COMPLEX: u32 = 5;
/// Code of booleans, one byte each.
pub const TN_CODE_BOOL: u32 = 6;
/// One byte: 0 or 1.
pub const TN_BOOL: tn_dtype = 6u32 | (8u32 << 8) | (1u32 << 16);
/// Signed, 8 bits.
pub const TN_I8: tn_dtype = 0u32 | (8u32 << 8) | (1u32 << 16);
/// Signed, 16 bits.
pub const TN_I16: tn_dtype = 0u32 | (16u32 << 8) | (1u32 << 16);
/// Signed, 32 bits.
pub const TN_I32: tn_dtype = 0u32 | (32u32 << 8) | (1u32 << 16);
/// Signed, 64 bits.
pub const TN_I64: tn_dtype = 0u32 | (64u32 << 8) | (1u32 << 16);
/// Unsigned, 8 bits.
pub const TN_U8: tn_dtype = 1u32 | (8u32 << 8) | (1u32 << 16);
/// Unsigned, 16 bits.
pub const TN_U16: tn_dtype = 1u32 | (16u32 << 8) | (1u32 << 16);
/// Unsigned, 32 bits.
pub const TN_U32: tn_dtype = 1u32 | (32u32 << 8) | (1u32 << 16);
/// Unsigned, 64 bits.
pub const TN_U64: tn_dtype = 1u32 | (64u32 << 8) | (1u32 << 16);
/// IEEE half precision.
pub const TN_F16: tn_dtype = 2u32 | (16u32 << 8) | (1u32 << 16);
/// IEEE single precision.
pub const TN_F32: tn_dtype = 2u32 | (32u32 << 8) | (1u32 << 16);
/// IEEE double precision.
pub const TN_F64: tn_dtype = 2u32 | (64u32 << 8) | (1u32 << 16);
/// bfloat16.
pub const TN_BF16: tn_dtype = 4u32 | (16u32 << 8) | (1u32 << 16);
/// Complex of two f32.
pub const TN_C64: tn_dtype = 5u32 | (64u32 << 8) | (1u32 << 16);
/// Complex of two f64.
pub const TN_C128: tn_dtype = 5u32 | (128u32 << 8) | (1u32 << 16);

/// Largest number of axes.
pub const TN_MAX_NDIM: usize = 64;

/// `how`: the bytes are the same on both sides.
pub const TN_ALIASED: i32 = 1;
/// `how`: the bytes were copied.
pub const TN_COPIED: i32 = 2;

/// Crossing flag: may alias.
pub const TN_BORROW: u32 = 1u32 << 0;
/// Crossing flag: must alias, else TN_ERR_WOULD_COPY (TN_ERR_ALIASED where it would touch two stores); implies TN_BORROW.
pub const TN_REQUIRE_BORROW: u32 = 1u32 << 1;
/// Crossing flag: keep the internal (device) form.
pub const TN_RAW: u32 = 1u32 << 2;
/// Crossing flag: the callee may destroy the contents; implies TN_BORROW.
pub const TN_MAY_OVERWRITE: u32 = 1u32 << 3;
/// Crossing flag: ownership moves in, with a release callback; copied only where aliasing is impossible.
pub const TN_TAKE: u32 = 1u32 << 4;
/// Import: the release callback runs in `tn_run_releases` only.
pub const TN_RELEASE_QUEUED: u32 = 1u32 << 5;
/// Crossing flag: no move between devices and no packing.
pub const TN_STRICT: u32 = 1u32 << 6;
/// Outputs and updates: offer a spare buffer of an earlier call.
pub const TN_REUSE: u32 = 1u32 << 7;
/// Import: the new handle is READONLY.
pub const TN_IMPORT_READONLY: u32 = 1u32 << 8;
/// Import of a legacy DLPack struct: its producer lets us write.
pub const TN_IMPORT_WRITABLE: u32 = 1u32 << 9;
/// Export: a shared view (XS), consumer and we may both read and write.
pub const TN_EXPORT_WRITABLE: u32 = 1u32 << 10;
/// Export, beside TN_EXPORT_WRITABLE: exclusive (XW), nobody else reads or writes these bytes.
pub const TN_EXPORT_EXCLUSIVE: u32 = 1u32 << 11;
/// Export: the caller's word that the consumer only reads, so that any format is XR.
pub const TN_EXPORT_CONSUMER_READS: u32 = 1u32 << 12;
/// Export: negative strides are copied.
pub const TN_EXPORT_NONNEGATIVE: u32 = 1u32 << 13;
/// Crossing flag: no ordering with streams; the caller has taken care.
pub const TN_UNORDERED: u32 = 1u32 << 14;
/// Crossing flags and write modes: wait for the array's device work in place of TN_ERR_PENDING.
pub const TN_WAIT: u32 = 1u32 << 19;

/// Write mode, the default: other handles on the store see the change.
pub const TN_WRITE_ALIASED: u32 = 0;
/// Write mode: only if nobody else holds the store, that is if `tn_array_why_not` gives 0.
pub const TN_WRITE_UNIQUE: u32 = 1u32 << 0;
/// Write mode: if somebody else holds the store, this handle moves to a copy.
pub const TN_WRITE_COW: u32 = 1u32 << 1;
/// With any write mode: the old contents are not needed; heals poison.
pub const TN_WRITE_DISCARD: u32 = 1u32 << 2;
/// Reading: the bytes must not change; excludes shared views.
pub const TN_FROZEN: u32 = 1u32 << 3;
/// Movement: TN_ERR_WOULD_COPY where bytes would be staged.
pub const TN_REQUIRE_ASYNC: u32 = 1u32 << 4;
/// Launching a kernel: this argument may overlap one that is written TN_WRITE_ALIASED.
pub const TN_ALLOW_ALIAS: u32 = 1u32 << 7;
/// Access: reading.
pub const TN_READ: u32 = 1u32 << 5;
/// Access: writing; alone it overwrites every element (implies TN_WRITE_DISCARD).
pub const TN_WRITE: u32 = 1u32 << 6;
/// Access: reading and writing.
pub const TN_READ_WRITE: u32 = TN_READ | TN_WRITE;

/// Why not in place: the handle is given.
pub const TN_WHY_GIVEN: u32 = 1u32 << 0;
/// Why not in place: another handle, or a promise whose handle was released, has a claim on the store.
pub const TN_WHY_SHARED: u32 = 1u32 << 1;
/// Why not in place: a node of a lazy expression has a claim on the store.
pub const TN_WHY_IN_EXPRESSION: u32 = 1u32 << 2;
/// Why not in place: the store has an export.
pub const TN_WHY_EXPORTED: u32 = 1u32 << 3;
/// Why not in place: a guard overlaps the handle's region; its own guards count.
pub const TN_WHY_BORROWED: u32 = 1u32 << 4;
/// Why not in place: the handle or the store is read-only.
pub const TN_WHY_READONLY: u32 = 1u32 << 5;
/// Why not in place: the bytes are lent by an import without TN_MAY_OVERWRITE.
pub const TN_WHY_FOREIGN: u32 = 1u32 << 6;
/// Why not in place: a poisoned region overlaps.
pub const TN_WHY_POISONED: u32 = 1u32 << 7;
/// Why not in place, or why a copy: the layout does not fit.
pub const TN_WHY_LAYOUT: u32 = 1u32 << 8;
/// Why not in place, or why a copy: another device.
pub const TN_WHY_DEVICE: u32 = 1u32 << 9;
/// Why not in place: the store has more than twice the bytes that the target needs.
pub const TN_WHY_WASTE: u32 = 1u32 << 10;
/// Why not in place, or why a copy: elements share bytes, or the range cannot be claimed as one store.
pub const TN_WHY_NOT_ALIASABLE: u32 = 1u32 << 11;

/// Runs exactly once, on any thread, under no lock; may call the library.
pub type tn_release_callback = Option<unsafe extern "C" fn(context: *mut core::ffi::c_void)>;

/// `tn_device_query`: also fill the memory fields.
pub const TN_QUERY_MEMORY: u32 = 1u32 << 0;
/// Device feature: the driver's memory pools.
pub const TN_FEATURE_MEMORY_POOLS: u32 = 1u32 << 0;
/// Device feature: managed memory.
pub const TN_FEATURE_MANAGED: u32 = 1u32 << 1;
/// Device feature: managed memory that host and device may touch at the same time.
pub const TN_FEATURE_CONCURRENT_MANAGED: u32 = 1u32 << 2;
/// Device feature: page-locked memory can be mapped.
pub const TN_FEATURE_MAP_HOST: u32 = 1u32 << 3;
/// Device feature: the caller's memory can be page-locked.
pub const TN_FEATURE_HOST_REGISTER: u32 = 1u32 << 4;
/// Device feature: read-only memory can be page-locked.
pub const TN_FEATURE_REGISTER_READ_ONLY: u32 = 1u32 << 5;
/// Device feature: one address space for host and device.
pub const TN_FEATURE_UNIFIED_ADDRESSING: u32 = 1u32 << 6;
/// Device feature: the device uses the host's memory.
pub const TN_FEATURE_INTEGRATED: u32 = 1u32 << 7;
/// Device feature: allocations can be shared with other processes.
pub const TN_FEATURE_IPC: u32 = 1u32 << 8;

/// `tn_stream_create`: the stream is ordered with the legacy one.
pub const TN_STREAM_BLOCKING: u32 = 1u32 << 0;
/// `tn_stream_enter`: leaving waits for the stream.
pub const TN_AUTO_SYNCHRONIZE: u32 = 1u32 << 0;
/// `tn_event_create`: the event has a time.
pub const TN_EVENT_TIMING: u32 = 1u32 << 0;

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
    pub features: u32,
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

/// "none" or "never" in the fields of `tn_pool_options` marked (n).
pub const TN_POOL_NONE: u64 = u64::MAX;
/// Pool flag: touch initial_size at creation.
pub const TN_POOL_PREFAULT: u32 = 1u32 << 0;
/// Pool flag: cache nothing.
pub const TN_POOL_DIRECT: u32 = 1u32 << 1;
/// Pool flag, for tests: quarantine, patterns, exact peaks.
pub const TN_POOL_STRICT: u32 = 1u32 << 2;
/// Pool flag: a block is cleared before anybody else can get it.
pub const TN_POOL_ZERO_ON_FREE: u32 = 1u32 << 3;
/// Pool flag, host: segments from memfds.
pub const TN_POOL_SHAREABLE: u32 = 1u32 << 4;
/// Pool flag, CUDA: whole driver allocations that can be exported.
pub const TN_POOL_IPC: u32 = 1u32 << 5;
/// Page-locked memory usable from every CUDA context.
pub const TN_HOST_PORTABLE: u32 = 1u32 << 0;
/// Page-locked memory mapped into the device's address space.
pub const TN_HOST_MAPPED: u32 = 1u32 << 1;
/// Page-locked memory that is slow to read on the host.
pub const TN_HOST_WRITE_COMBINED: u32 = 1u32 << 2;
/// Page-locking of memory that the host must not write.
pub const TN_HOST_READ_ONLY: u32 = 1u32 << 3;
/// Without a driver: plain memory labelled TN_CPU in place of TN_ERR_UNSUPPORTED.
pub const TN_HOST_BEST_EFFORT: u32 = 1u32 << 4;

/// Advice on managed memory: it is mostly read, so that each side may keep a copy.
pub const TN_ADVISE_READ_MOSTLY: i32 = 1;
/// It is not.
pub const TN_ADVISE_UNSET_READ_MOSTLY: i32 = 2;
/// It is best kept on the device.
pub const TN_ADVISE_PREFERRED: i32 = 3;
/// It is best kept nowhere.
pub const TN_ADVISE_UNSET_PREFERRED: i32 = 4;
/// The device will access it, and should have it mapped.
pub const TN_ADVISE_ACCESSED_BY: i32 = 5;
/// It will not.
pub const TN_ADVISE_UNSET_ACCESSED_BY: i32 = 6;
/// Managed memory attached to all streams, the default.
pub const TN_MANAGED_GLOBAL: u32 = 0;
/// Managed memory attached to the host.
pub const TN_MANAGED_HOST: u32 = 1u32 << 5;
/// Huge pages where they cost no resident memory.
pub const TN_HUGE_AUTO: i32 = 0;
/// No huge pages.
pub const TN_HUGE_NEVER: i32 = 1;
/// Huge pages from the reserved ones; falls back to TN_HUGE_AUTO.
pub const TN_HUGE_EXPLICIT: i32 = 2;
/// CUDA: mapped granules, else plain.
pub const TN_BACKEND_AUTO: i32 = 0;
/// CUDA: plain driver allocations.
pub const TN_BACKEND_PLAIN: i32 = 1;
/// CUDA: the driver's own pool.
pub const TN_BACKEND_DRIVER_POOL: i32 = 2;

/// Upstream flag: fresh memory reads 0.
pub const TN_UPSTREAM_ZEROED: u32 = 1u32 << 0;
/// Upstream flag: its callbacks may run on several threads at once.
pub const TN_UPSTREAM_THREAD_SAFE: u32 = 1u32 << 1;
/// Upstream flag: a part of what `allocate` gave may go back before the rest.
pub const TN_UPSTREAM_PARTIAL_FREE: u32 = 1u32 << 2;

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
    pub flags: u32,
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
    pub huge_pages: i32,
    /// TN_BACKEND_.
    pub backend: i32,
    /// n prefers NUMA node n - 1; 0: no preference.
    pub numa_node: i32,
    /// TN_HOST_ or TN_MANAGED_.
    pub host_flags: u32,
    /// TN_POOL_.
    pub flags: u32,
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

/// A pool's memory runs out because of its max_size.
pub const TN_PRESSURE_LIMIT: i32 = 1;
/// A pool's memory runs out because its device has no more.
pub const TN_PRESSURE_DEVICE: i32 = 2;

/// Called when a pool runs out of memory, on the thread that needs it and under no lock. Gives the bytes that it thinks it freed; 0: none.
///
/// It may call anything, the pool too; what it allocates fails without calling anybody in turn. `reason` is TN_PRESSURE_.
pub type tn_pressure_callback =
    Option<unsafe extern "C" fn(context: *mut core::ffi::c_void, needed_bytes: usize, reason: i32) -> usize>;

/// Blocks of a pool that back arrays.
pub const TN_CLIENT_ARRAYS: i32 = 0;
/// Blocks that `tn_pool_allocate` and its kin handed out.
pub const TN_CLIENT_RAW: i32 = 1;
/// NumPy, through `tn_numpy_handler`.
pub const TN_CLIENT_NUMPY: i32 = 2;
/// PyTorch.
pub const TN_CLIENT_TORCH: i32 = 3;
/// CuPy.
pub const TN_CLIENT_CUPY: i32 = 4;
/// Numba.
pub const TN_CLIENT_NUMBA: i32 = 5;
/// RMM.
pub const TN_CLIENT_RMM: i32 = 6;
/// UMF.
pub const TN_CLIENT_UMF: i32 = 7;
/// C++ containers, through `tn_cpp_allocate`.
pub const TN_CLIENT_CPP: i32 = 8;
/// A Rust program's global allocator.
pub const TN_CLIENT_RUST: i32 = 9;
/// A program that was started with the malloc of the library.
pub const TN_CLIENT_MALLOC: i32 = 10;
/// Another one.
pub const TN_CLIENT_OTHER: i32 = 11;

/// What one client of a pool holds and did. The sum of `live_bytes` over all clients is the pool's in_use_bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_pool_client {
    /// TN_CLIENT_.
    pub client: i32,
    /// Zero.
    pub reserved: i32,
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

/// Row-major element order.
pub const TN_ORDER_C: i32 = 0;
/// Column-major element order.
pub const TN_ORDER_F: i32 = 1;
/// F if F- and not C-contiguous, else C.
pub const TN_ORDER_A: i32 = 2;
/// `tn_array_like` only: the axes keep the order of the prototype's strides.
pub const TN_ORDER_K: i32 = 3;

/// How a new array is made; NULL in its place means C order, no name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_array_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// TN_ORDER_.
    pub order: i32,
    /// No flag is defined yet: 0.
    pub flags: u32,
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

/// Array flag: C-contiguous.
pub const TN_C_CONTIGUOUS: u32 = 1u32 << 0;
/// Array flag: F-contiguous.
pub const TN_F_CONTIGUOUS: u32 = 1u32 << 1;
/// Array flag: the handle or its store must not be written.
pub const TN_READONLY: u32 = 1u32 << 2;
/// Array flag: address and strides are multiples of the element's alignment.
pub const TN_ALIGNED: u32 = 1u32 << 3;
/// Array flag: two index tuples reach the same byte.
pub const TN_SELF_OVERLAP: u32 = 1u32 << 4;
/// Array flag: the bytes are lent by somebody who may still use them.
pub const TN_FOREIGN: u32 = 1u32 << 5;
/// Array flag: page-locked.
pub const TN_PINNED: u32 = 1u32 << 6;
/// Array flag: page-locked and mapped into the device's address space.
pub const TN_MAPPED: u32 = 1u32 << 7;
/// Array flag: page-locked and slow to read on the host.
pub const TN_WRITE_COMBINED: u32 = 1u32 << 8;

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
    pub flags: u32,
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

/// `tn_array_open_npy`: mapped, read-only; the default.
pub const TN_NPY_READ: u32 = 0;
/// `tn_array_open_npy`: mapped, writable, the file never changes.
pub const TN_NPY_COW: u32 = 1;
/// `tn_array_open_npy`: mapped, writes reach the file.
pub const TN_NPY_WRITE: u32 = 2;
/// `tn_array_open_npy`: read into the pool's memory.
pub const TN_NPY_COPY: u32 = 3;
/// `tn_array_save_npy`: sync file and directory before returning.
pub const TN_IO_SYNC: u32 = 1u32 << 0;
/// `tn_array_save_npy`: an existing target is TN_ERR_IO.
pub const TN_IO_EXCLUSIVE: u32 = 1u32 << 1;

/// How a `.npy` file is opened.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_npy_options {
    /// sizeof this struct, set by the caller.
    pub size: usize,
    /// TN_NPY_.
    pub mode: u32,
    /// Used only where path is NULL; stays the caller's.
    pub fd: i32,
    /// TN_NPY_COPY: where the bytes go; NULL: the thread's current host pool.
    pub pool: *mut tn_pool,
    /// A longer header is TN_ERR_LIMIT; 0: 64 KiB.
    pub max_header_bytes: u64,
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
}

/// No byte in common.
pub const TN_OVERLAP_NONE: i32 = 0;
/// The same elements in the same order.
pub const TN_OVERLAP_EXACT: i32 = 1;
/// Bytes in common.
pub const TN_OVERLAP_SOME: i32 = 2;
/// Not decided; counts as overlap.
pub const TN_OVERLAP_UNKNOWN: i32 = 3;

/// `tn_borrow_end`: the writer failed, its region is poisoned until it is rewritten.
pub const TN_END_FAILED: u32 = 1u32 << 0;

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
    pub access: u32,
    /// Zero.
    pub reserved: u32,
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

/// Form of an expression's leaf: all elements.
pub const TN_FORM_FULL: u32 = 0;
/// Form: a vector is the diagonal of a matrix that is 0 elsewhere.
pub const TN_FORM_DIAGONAL: u32 = 1;
/// Form: what is above the diagonal of a square matrix is taken as 0 and not read.
pub const TN_FORM_LOWER: u32 = 2;

/// Of `tn_expr_compute`: a failure leaves everything as it was; what was there before is not overwritten.
pub const TN_KEEP_ON_FAIL: u32 = 1u32 << 0;

/// Element by element: x + y, the same as `tn_expr_add`.
pub const TN_EXPR_ADD: u32 = 1;
/// Element by element: x - y.
pub const TN_EXPR_SUBTRACT: u32 = 2;
/// Element by element: x * y.
pub const TN_EXPR_MULTIPLY: u32 = 3;
/// Element by element: x / y.
pub const TN_EXPR_DIVIDE: u32 = 4;
/// Element by element: -x.
pub const TN_EXPR_NEGATE: u32 = 5;
/// Element by element: the square root.
pub const TN_EXPR_SQRT: u32 = 6;
/// Element by element: e to the x.
pub const TN_EXPR_EXP: u32 = 7;
/// Element by element: the natural logarithm.
pub const TN_EXPR_LOG: u32 = 8;

/// Format of `tn_expr_explain`: lines of text.
pub const TN_EXPLAIN_TEXT: u32 = 0;
/// Format: a graph for Graphviz.
pub const TN_EXPLAIN_DOT: u32 = 1;

/// Holder: an array handle.
pub const TN_HOLDER_HANDLE: i32 = 1;
/// Holder: a promise.
pub const TN_HOLDER_PROMISE: i32 = 2;
/// Holder: a node of a lazy expression.
pub const TN_HOLDER_EXPRESSION: i32 = 3;
/// Holder: a shared variable.
pub const TN_HOLDER_SHARED_VARIABLE: i32 = 4;
/// Holder: a read-only export (XR).
pub const TN_HOLDER_EXPORT_READ: i32 = 5;
/// Holder: a shared view (XS).
pub const TN_HOLDER_EXPORT_SHARED: i32 = 6;
/// Holder: an exclusive export (XW).
pub const TN_HOLDER_EXPORT_EXCLUSIVE: i32 = 7;
/// Holder: a read guard.
pub const TN_HOLDER_GUARD_READ: i32 = 8;
/// Holder: a write guard.
pub const TN_HOLDER_GUARD_WRITE: i32 = 9;
/// Not given back: raw memory of a pool.
pub const TN_HOLDER_BLOCK: i32 = 10;
/// Not given back: a pool.
pub const TN_HOLDER_POOL: i32 = 11;
/// Not given back: a stream.
pub const TN_HOLDER_STREAM: i32 = 12;
/// Not given back: an event.
pub const TN_HOLDER_EVENT: i32 = 13;
/// Not given back: a scope.
pub const TN_HOLDER_SCOPE: i32 = 14;
/// Not given back: a weak handle.
pub const TN_HOLDER_WEAK: i32 = 15;
/// Not given back: a function.
pub const TN_HOLDER_FUNCTION: i32 = 16;
/// Not given back: a mirror.
pub const TN_HOLDER_MIRROR: i32 = 17;
/// Not called yet: a release callback that waits for `tn_run_releases`.
pub const TN_HOLDER_QUEUED_RELEASE: i32 = 18;

/// Who holds a store, or what was not given back.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_holder {
    /// TN_HOLDER_.
    pub kind: i32,
    /// Where the bytes live.
    pub device: tn_device,
    /// Zero.
    pub reserved: i32,
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
    pub flags: u32,
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
    pub flags: u32,
    /// With TN_EXPORT_WRITABLE: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
    pub mode: u32,
    /// Pinned and managed memory: 0 = as is, TN_CPU, TN_CUDA.
    pub label: i32,
    /// Zero.
    pub reserved: i32,
    /// Where the consumer wants it; {0, 0}: where it is.
    pub target: tn_device,
    /// Made to wait for pending work; NULL: the legacy stream.
    pub consumer: *mut tn_stream,
}

/// All copies at borders from one place.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tn_copy_site {
    /// The tn_ function; static text.
    pub function: *const core::ffi::c_char,
    /// TN_HERE; "" if none.
    pub site: [core::ffi::c_char; 64],
    /// TN_WHY_ bits.
    pub why: u32,
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

/// Calls `task(argument, index)` for every index below `count`, in any order, on any threads, also several at once, and returns when the
/// last has returned; none is called later. Those that it does not call are done by the calling thread afterwards.
pub type tn_run_callback = Option<
    unsafe extern "C" fn(
        context: *mut core::ffi::c_void,
        task: tn_task,
        argument: *mut core::ffi::c_void,
        count: usize,
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
