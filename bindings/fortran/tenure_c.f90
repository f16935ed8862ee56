! Written by `cargo xtask header` from abi/api.json: edit src/ffi.
!> Tenure's C interface, as include/tenure.h and include/tenure_bindings.h have it.
module tenure_c
  use, intrinsic :: iso_c_binding
  implicit none

  ! tn_status: The result of every function: TN_OK, the only code for success, or one of TN_ERR_*.
  !> The call succeeded.
  integer(c_int32_t), parameter :: TN_OK = 0_c_int32_t
  !> An argument that must not be NULL is NULL.
  integer(c_int32_t), parameter :: TN_ERR_NULL = 1_c_int32_t
  !> The handle was released, or the block was freed.
  integer(c_int32_t), parameter :: TN_ERR_STALE = 2_c_int32_t
  !> The argument is a handle of another kind, or no handle.
  integer(c_int32_t), parameter :: TN_ERR_KIND = 3_c_int32_t
  !> The handle's claim was moved away by a take; the handle can only be released.
  integer(c_int32_t), parameter :: TN_ERR_DESTRUCTED = 4_c_int32_t
  !> The handle was given away, and its promise is outstanding.
  integer(c_int32_t), parameter :: TN_ERR_GIVEN = 5_c_int32_t
  !> A failed writer left the bytes undefined.
  integer(c_int32_t), parameter :: TN_ERR_POISONED = 6_c_int32_t
  !> The handle or its memory must not be written.
  integer(c_int32_t), parameter :: TN_ERR_READONLY = 7_c_int32_t
  !> An open write guard overlaps the bytes.
  integer(c_int32_t), parameter :: TN_ERR_BORROWED_WRITE = 8_c_int32_t
  !> An open read guard overlaps the bytes.
  integer(c_int32_t), parameter :: TN_ERR_BORROWED = 9_c_int32_t
  !> An export of the bytes is alive.
  integer(c_int32_t), parameter :: TN_ERR_EXPORTED = 10_c_int32_t
  !> Other handles have claims on the store.
  integer(c_int32_t), parameter :: TN_ERR_SHARED = 11_c_int32_t
  !> A lazy expression holds the store; the message names its operation.
  integer(c_int32_t), parameter :: TN_ERR_IN_EXPRESSION = 12_c_int32_t
  !> Device work on the bytes is not finished.
  integer(c_int32_t), parameter :: TN_ERR_PENDING = 13_c_int32_t
  !> The bytes are lent to the library, or belong to no pool or another pool.
  integer(c_int32_t), parameter :: TN_ERR_FOREIGN = 14_c_int32_t
  !> A list has too few or too many items.
  integer(c_int32_t), parameter :: TN_ERR_COUNT = 15_c_int32_t
  !> An item is in a list twice.
  integer(c_int32_t), parameter :: TN_ERR_DUPLICATE = 16_c_int32_t
  !> An index, axis, address or id is out of range.
  integer(c_int32_t), parameter :: TN_ERR_RANGE = 17_c_int32_t
  !> An argument is invalid by itself: flags, modes, struct sizes, counts, a step of 0.
  integer(c_int32_t), parameter :: TN_ERR_INVALID = 18_c_int32_t
  !> The element type is unknown, or does not fit the operation.
  integer(c_int32_t), parameter :: TN_ERR_DTYPE = 19_c_int32_t
  !> The shape is invalid, or does not fit the operation.
  integer(c_int32_t), parameter :: TN_ERR_SHAPE = 20_c_int32_t
  !> The operation is impossible with this layout, or possible only with a copy.
  integer(c_int32_t), parameter :: TN_ERR_LAYOUT = 21_c_int32_t
  !> The device does not exist, or differs from the one that the operation needs.
  integer(c_int32_t), parameter :: TN_ERR_DEVICE = 22_c_int32_t
  !> The caller required an alias, and only a copy is possible.
  integer(c_int32_t), parameter :: TN_ERR_WOULD_COPY = 23_c_int32_t
  !> Two operands overlap that must not.
  integer(c_int32_t), parameter :: TN_ERR_ALIASED = 24_c_int32_t
  !> The operation or a callback of the caller failed.
  integer(c_int32_t), parameter :: TN_ERR_FAILED = 25_c_int32_t
  !> The host is out of memory.
  integer(c_int32_t), parameter :: TN_ERR_NO_HOST_MEMORY = 26_c_int32_t
  !> The device is out of memory.
  integer(c_int32_t), parameter :: TN_ERR_NO_DEVICE_MEMORY = 27_c_int32_t
  !> The pool would exceed its max_size.
  integer(c_int32_t), parameter :: TN_ERR_POOL_LIMIT = 28_c_int32_t
  !> Not supported here; the message says what is missing.
  integer(c_int32_t), parameter :: TN_ERR_UNSUPPORTED = 29_c_int32_t
  !> The device's driver reported an error.
  integer(c_int32_t), parameter :: TN_ERR_DRIVER = 30_c_int32_t
  !> A file could not be opened, read or written, or is damaged.
  integer(c_int32_t), parameter :: TN_ERR_IO = 31_c_int32_t
  !> A table of the library is full, or a limit of a file format or of the caller is exceeded.
  integer(c_int32_t), parameter :: TN_ERR_LIMIT = 32_c_int32_t
  !> A bug in the library was caught; please report the message.
  integer(c_int32_t), parameter :: TN_ERR_PANIC = 33_c_int32_t
  !> A size does not fit into 64 bits, or there are more than TN_MAX_NDIM axes.
  integer(c_int32_t), parameter :: TN_ERR_OVERFLOW = 34_c_int32_t

  ! tn_device_type: Type of a device, as in DLPack's DLDeviceType: TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
  !> Ordinary host memory.
  integer(c_int32_t), parameter :: TN_CPU = 1_c_int32_t
  !> Memory of a CUDA device.
  integer(c_int32_t), parameter :: TN_CUDA = 2_c_int32_t
  !> Page-locked host memory.
  integer(c_int32_t), parameter :: TN_CUDA_HOST = 3_c_int32_t
  !> CUDA managed memory.
  integer(c_int32_t), parameter :: TN_CUDA_MANAGED = 13_c_int32_t

  ! tn_dtype_code: Kind of an element type: one of TN_CODE_*, as in DLPack's DLDataTypeCode.
  !> Code of signed integers.
  integer(c_int32_t), parameter :: TN_CODE_INT = 0_c_int32_t
  !> Code of unsigned integers.
  integer(c_int32_t), parameter :: TN_CODE_UINT = 1_c_int32_t
  !> Code of IEEE floating point numbers.
  integer(c_int32_t), parameter :: TN_CODE_FLOAT = 2_c_int32_t
  !> Code of bfloat16.
  integer(c_int32_t), parameter :: TN_CODE_BFLOAT = 4_c_int32_t
  !> Code of complex numbers, whose bits count both components.
  integer(c_int32_t), parameter :: TN_CODE_COMPLEX = 5_c_int32_t
  !> Code of booleans, one byte each.
  integer(c_int32_t), parameter :: TN_CODE_BOOL = 6_c_int32_t

  ! tn_dtype: An element type: code | bits << 8 | lanes << 16, with lanes 1.
  !> One byte: 0 or 1.
  integer(c_int32_t), parameter :: TN_BOOL = 67590_c_int32_t
  !> Signed, 8 bits.
  integer(c_int32_t), parameter :: TN_I8 = 67584_c_int32_t
  !> Signed, 16 bits.
  integer(c_int32_t), parameter :: TN_I16 = 69632_c_int32_t
  !> Signed, 32 bits.
  integer(c_int32_t), parameter :: TN_I32 = 73728_c_int32_t
  !> Signed, 64 bits.
  integer(c_int32_t), parameter :: TN_I64 = 81920_c_int32_t
  !> Unsigned, 8 bits.
  integer(c_int32_t), parameter :: TN_U8 = 67585_c_int32_t
  !> Unsigned, 16 bits.
  integer(c_int32_t), parameter :: TN_U16 = 69633_c_int32_t
  !> Unsigned, 32 bits.
  integer(c_int32_t), parameter :: TN_U32 = 73729_c_int32_t
  !> Unsigned, 64 bits.
  integer(c_int32_t), parameter :: TN_U64 = 81921_c_int32_t
  !> IEEE half precision.
  integer(c_int32_t), parameter :: TN_F16 = 69634_c_int32_t
  !> IEEE single precision.
  integer(c_int32_t), parameter :: TN_F32 = 73730_c_int32_t
  !> IEEE double precision.
  integer(c_int32_t), parameter :: TN_F64 = 81922_c_int32_t
  !> bfloat16.
  integer(c_int32_t), parameter :: TN_BF16 = 69636_c_int32_t
  !> Complex of two f32.
  integer(c_int32_t), parameter :: TN_C64 = 81925_c_int32_t
  !> Complex of two f64.
  integer(c_int32_t), parameter :: TN_C128 = 98309_c_int32_t

  ! tn_how: Whether an import or export shares the bytes or copied them: TN_ALIASED or TN_COPIED.
  !> `how`: both sides share the bytes.
  integer(c_int32_t), parameter :: TN_ALIASED = 1_c_int32_t
  !> `how`: the bytes were copied.
  integer(c_int32_t), parameter :: TN_COPIED = 2_c_int32_t

  ! tn_borrow_flags: Flags of imports and exports: how bytes may enter and leave the library.
  !> Borrow flag: alias the bytes where possible.
  integer(c_int32_t), parameter :: TN_BORROW = 1_c_int32_t
  !> Borrow flag: alias the bytes or fail with TN_ERR_WOULD_COPY, or TN_ERR_ALIASED if they belong to two stores.
  !> Implies TN_BORROW.
  integer(c_int32_t), parameter :: TN_REQUIRE_BORROW = 2_c_int32_t
  !> Borrow flag of shared variables and functions: on the device where the bytes are, with their layout; no transfer.
  integer(c_int32_t), parameter :: TN_RAW = 4_c_int32_t
  !> Borrow flag: the importer, or the body of a function, may overwrite the contents. Implies TN_BORROW.
  integer(c_int32_t), parameter :: TN_MAY_OVERWRITE = 8_c_int32_t
  !> Borrow flag: the library takes ownership of the memory, with a release callback, and copies only where it cannot
  !> alias.
  integer(c_int32_t), parameter :: TN_TAKE_OWNERSHIP = 16_c_int32_t
  !> Import: the release callback runs only in `tn_run_releases`.
  integer(c_int32_t), parameter :: TN_RELEASE_QUEUED = 32_c_int32_t
  !> Borrow flag of shared variables and inputs: neither a transfer nor packing; TN_ERR_DEVICE or TN_ERR_LAYOUT instead.
  integer(c_int32_t), parameter :: TN_STRICT = 64_c_int32_t
  !> Borrow flag of outputs and updates: the body finds a spare buffer of an earlier call, if there is one.
  integer(c_int32_t), parameter :: TN_REUSE = 128_c_int32_t
  !> Import: the new handle is READONLY.
  integer(c_int32_t), parameter :: TN_IMPORT_READONLY = 256_c_int32_t
  !> Import of a DLPack struct without a version: the producer permits writing.
  integer(c_int32_t), parameter :: TN_IMPORT_WRITABLE = 512_c_int32_t
  !> Export: a shared view, which both the consumer and the library may read and write.
  integer(c_int32_t), parameter :: TN_EXPORT_WRITABLE = 1024_c_int32_t
  !> Export, with TN_EXPORT_WRITABLE: exclusive. Only the consumer reads or writes these bytes.
  integer(c_int32_t), parameter :: TN_EXPORT_EXCLUSIVE = 2048_c_int32_t
  !> Export: the caller guarantees that the consumer only reads, so the export is read-only in every format.
  integer(c_int32_t), parameter :: TN_EXPORT_CONSUMER_READS = 4096_c_int32_t
  !> Export: an array with negative strides is copied.
  integer(c_int32_t), parameter :: TN_EXPORT_NONNEGATIVE = 8192_c_int32_t
  !> Borrow flag: the library adds no stream ordering; the caller has ordered the work.
  integer(c_int32_t), parameter :: TN_UNORDERED = 16384_c_int32_t
  !> Export to CUDAMat: a C-contiguous array crosses as its transpose.
  integer(c_int32_t), parameter :: TN_CUDAMAT_TRANSPOSED = 32768_c_int32_t
  !> Export to another process: the array gets memory that has nothing else. Today that is so in any case.
  integer(c_int32_t), parameter :: TN_IPC_PRIVATE = 65536_c_int32_t
  !> Export to another process, and import there: the importer may write. Who writes when is up to the programs.
  integer(c_int32_t), parameter :: TN_IPC_WRITABLE = 131072_c_int32_t
  !> Import from another process that is trusted: memory without a seal is accepted. If that process shrinks it, the
  !> next access ends this one.
  integer(c_int32_t), parameter :: TN_IPC_TRUSTED = 262144_c_int32_t
  !> Wait for the array's device work instead of failing with TN_ERR_PENDING. Belongs to tn_borrow_flags, tn_write_mode,
  !> tn_guard_flags and tn_access.
  integer(c_int32_t), parameter :: TN_WAIT = 524288_c_int32_t
  !> Export to another process: the array is offered, and nobody uses it until it was taken, or the offer ended. Import:
  !> takes an array that is offered so.
  integer(c_int32_t), parameter :: TN_IPC_GIVE = 1048576_c_int32_t
  !> Export: an array that is not C-contiguous is copied, and a copy is in C order.
  integer(c_int32_t), parameter :: TN_EXPORT_C_CONTIGUOUS = 2097152_c_int32_t

  ! tn_write_mode: How a writer treats other handles on the store: one of TN_WRITE_ALIASED, TN_WRITE_UNIQUE and
  ! TN_WRITE_COW, with modifier bits.
  !> Write mode, the default: other handles on the store see the change.
  integer(c_int32_t), parameter :: TN_WRITE_ALIASED = 0_c_int32_t
  !> Write mode: fail if anything else holds the store, that is unless `tn_array_why_not` reports 0.
  integer(c_int32_t), parameter :: TN_WRITE_UNIQUE = 1_c_int32_t
  !> Write mode: copy on write. If anything else holds the store, this handle moves to a copy.
  integer(c_int32_t), parameter :: TN_WRITE_COW = 2_c_int32_t
  !> Modifier of a write mode: the old contents are not needed. Clears poison.
  integer(c_int32_t), parameter :: TN_WRITE_DISCARD = 4_c_int32_t
  !> Modifier of a write mode in copies: fail with TN_ERR_WOULD_COPY where the bytes would be staged.
  integer(c_int32_t), parameter :: TN_REQUIRE_ASYNC = 16_c_int32_t

  ! tn_guard_flags: Flags of a read borrow: TN_FROZEN, TN_INTERPROCESS, TN_WAIT.
  !> Guard flag: the bytes must not change while they are read, so shared views are excluded.
  integer(c_int32_t), parameter :: TN_FROZEN = 8_c_int32_t
  !> Flag of a read or write borrow of an array in shareable memory: guards of other processes with this flag are
  !> excluded too, as those of this process are.
  integer(c_int32_t), parameter :: TN_INTERPROCESS = 256_c_int32_t

  ! tn_access: The kind of an access: TN_READ with flags of tn_guard_flags, or TN_WRITE or TN_READ_WRITE with a
  ! tn_write_mode.
  !> Access: reading.
  integer(c_int32_t), parameter :: TN_READ = 32_c_int32_t
  !> Access: writing. Without TN_READ it overwrites every element, and so implies TN_WRITE_DISCARD.
  integer(c_int32_t), parameter :: TN_WRITE = 64_c_int32_t
  !> Access: reading and writing.
  integer(c_int32_t), parameter :: TN_READ_WRITE = 96_c_int32_t
  !> Access, only in launches: the argument may overlap another one, if that one is written in mode TN_WRITE_ALIASED,
  !> and this one is read or written in that mode.
  integer(c_int32_t), parameter :: TN_ALLOW_ALIAS = 128_c_int32_t

  ! tn_why: Reasons why bytes cannot be overwritten in place, or were copied.
  !> Why not in place: the handle was given away.
  integer(c_int32_t), parameter :: TN_WHY_GIVEN = 1_c_int32_t
  !> Why not in place: another handle, or a promise whose handle was released, has a claim on the store.
  integer(c_int32_t), parameter :: TN_WHY_SHARED = 2_c_int32_t
  !> Why not in place: a node of a lazy expression has a claim on the store.
  integer(c_int32_t), parameter :: TN_WHY_IN_EXPRESSION = 4_c_int32_t
  !> Why not in place: the store has an export.
  integer(c_int32_t), parameter :: TN_WHY_EXPORTED = 8_c_int32_t
  !> Why not in place: a guard overlaps the handle's region; its own guards count.
  integer(c_int32_t), parameter :: TN_WHY_BORROWED = 16_c_int32_t
  !> Why not in place: the handle or the store is read-only.
  integer(c_int32_t), parameter :: TN_WHY_READONLY = 32_c_int32_t
  !> Why not in place: the bytes were imported without TN_MAY_OVERWRITE.
  integer(c_int32_t), parameter :: TN_WHY_FOREIGN = 64_c_int32_t
  !> Why not in place: the bytes overlap a poisoned region.
  integer(c_int32_t), parameter :: TN_WHY_POISONED = 128_c_int32_t
  !> Why not in place, or why a copy: the layout does not fit.
  integer(c_int32_t), parameter :: TN_WHY_LAYOUT = 256_c_int32_t
  !> Why not in place, or why a copy: the bytes are on another device.
  integer(c_int32_t), parameter :: TN_WHY_DEVICE = 512_c_int32_t
  !> Why not in place: the store has more than twice the bytes that the target needs.
  integer(c_int32_t), parameter :: TN_WHY_WASTE = 1024_c_int32_t
  !> Why not in place, or why a copy: elements share bytes, or the range cannot be claimed as one store.
  integer(c_int32_t), parameter :: TN_WHY_NOT_ALIASABLE = 2048_c_int32_t

  ! tn_query_flags: Flags of `tn_device_query`.
  !> `tn_device_query`: fill the memory fields too.
  integer(c_int32_t), parameter :: TN_QUERY_MEMORY = 1_c_int32_t

  ! tn_device_features: Features of a device.
  !> Device feature: the driver has memory pools.
  integer(c_int32_t), parameter :: TN_FEATURE_MEMORY_POOLS = 1_c_int32_t
  !> Device feature: managed memory.
  integer(c_int32_t), parameter :: TN_FEATURE_MANAGED = 2_c_int32_t
  !> Device feature: host and device may access managed memory at the same time.
  integer(c_int32_t), parameter :: TN_FEATURE_CONCURRENT_MANAGED = 4_c_int32_t
  !> Device feature: page-locked memory can be mapped.
  integer(c_int32_t), parameter :: TN_FEATURE_MAP_HOST = 8_c_int32_t
  !> Device feature: the caller's memory can be page-locked.
  integer(c_int32_t), parameter :: TN_FEATURE_HOST_REGISTER = 16_c_int32_t
  !> Device feature: read-only memory can be page-locked.
  integer(c_int32_t), parameter :: TN_FEATURE_REGISTER_READ_ONLY = 32_c_int32_t
  !> Device feature: one address space for host and device.
  integer(c_int32_t), parameter :: TN_FEATURE_UNIFIED_ADDRESSING = 64_c_int32_t
  !> Device feature: the device uses the host's memory.
  integer(c_int32_t), parameter :: TN_FEATURE_INTEGRATED = 128_c_int32_t
  !> Device feature: allocations can be shared with other processes.
  integer(c_int32_t), parameter :: TN_FEATURE_IPC = 256_c_int32_t

  ! tn_stream_flags: Flags of `tn_stream_create`.
  !> `tn_stream_create`: the stream is ordered with the legacy stream.
  integer(c_int32_t), parameter :: TN_STREAM_BLOCKING = 1_c_int32_t

  ! tn_stream_scope_flags: Flags of `tn_stream_enter`.
  !> `tn_stream_enter`: leaving the scope waits for the stream.
  integer(c_int32_t), parameter :: TN_AUTO_SYNCHRONIZE = 1_c_int32_t

  ! tn_event_flags: Flags of `tn_event_create`.
  !> `tn_event_create`: the event records a time.
  integer(c_int32_t), parameter :: TN_EVENT_TIMING = 1_c_int32_t

  ! tn_pool_flags: Flags of a pool.
  !> Pool flag: touch the pages of initial_size at creation.
  integer(c_int32_t), parameter :: TN_POOL_PREFAULT = 1_c_int32_t
  !> Pool flag: cache no freed memory.
  integer(c_int32_t), parameter :: TN_POOL_DIRECT = 2_c_int32_t
  !> Pool flag, for tests: freed blocks are filled with a pattern and kept in quarantine, and peaks are exact.
  integer(c_int32_t), parameter :: TN_POOL_STRICT = 4_c_int32_t
  !> Pool flag: a freed block is cleared before it is reused.
  integer(c_int32_t), parameter :: TN_POOL_ZERO_ON_FREE = 8_c_int32_t
  !> Pool flag, host: other processes can map the memory, see `tn_array_export_ipc`. Each block has pages and a file
  !> descriptor of its own, so it is for large arrays. A freed block serves a later one of the same size once no other
  !> process has it, if the process has not forked since. One that was exported read-only serves none, see
  !> TN_POOL_READONLY_EXPORTS. Not with initial_size. A child of fork shares the memory with its parent.
  integer(c_int32_t), parameter :: TN_POOL_SHAREABLE = 16_c_int32_t
  !> Pool flag, CUDA: other processes can open the memory, see `tn_array_export_ipc`. Each block is an allocation of the
  !> driver, of multiples of 2 MiB, so it is for large arrays that live long. Implies TN_POOL_DIRECT. TN_ERR_UNSUPPORTED
  !> for other devices, on a GPU without IPC, and with initial_size, peers, TN_BACKEND_DRIVER_POOL, TN_POOL_STRICT or
  !> TN_POOL_ZERO_ON_FREE.
  integer(c_int32_t), parameter :: TN_POOL_IPC = 32_c_int32_t
  !> Pool flag, with TN_POOL_SHAREABLE: arrays are exported read-only, and a block that was exported serves a later one
  !> once no other process has it. Exports with TN_IPC_WRITABLE are copies, those with TN_IPC_GIVE TN_ERR_WOULD_COPY.
  integer(c_int32_t), parameter :: TN_POOL_READONLY_EXPORTS = 64_c_int32_t

  ! tn_host_flags: Flags of page-locked memory (TN_HOST_*) and of managed memory (TN_MANAGED_*).
  !> Page-locked memory that every CUDA context can use.
  integer(c_int32_t), parameter :: TN_HOST_PORTABLE = 1_c_int32_t
  !> Page-locked memory mapped into the device's address space.
  integer(c_int32_t), parameter :: TN_HOST_MAPPED = 2_c_int32_t
  !> Page-locked memory that is slow to read on the host.
  integer(c_int32_t), parameter :: TN_HOST_WRITE_COMBINED = 4_c_int32_t
  !> Page-locking of memory that the host must not write.
  integer(c_int32_t), parameter :: TN_HOST_READ_ONLY = 8_c_int32_t
  !> Without a driver: ordinary memory labelled TN_CPU instead of TN_ERR_UNSUPPORTED.
  integer(c_int32_t), parameter :: TN_HOST_BEST_EFFORT = 16_c_int32_t
  !> Managed memory attached to all streams, the default.
  integer(c_int32_t), parameter :: TN_MANAGED_GLOBAL = 0_c_int32_t
  !> Managed memory attached to the host.
  integer(c_int32_t), parameter :: TN_MANAGED_HOST = 32_c_int32_t

  ! tn_advice: Advice on managed memory: what the driver should expect.
  !> Advice: the memory is mostly read, so host and devices may each keep a copy.
  integer(c_int32_t), parameter :: TN_ADVISE_READ_MOSTLY = 1_c_int32_t
  !> Withdraws TN_ADVISE_READ_MOSTLY.
  integer(c_int32_t), parameter :: TN_ADVISE_UNSET_READ_MOSTLY = 2_c_int32_t
  !> Advice: the device is the preferred location of the memory.
  integer(c_int32_t), parameter :: TN_ADVISE_PREFERRED = 3_c_int32_t
  !> Withdraws TN_ADVISE_PREFERRED.
  integer(c_int32_t), parameter :: TN_ADVISE_UNSET_PREFERRED = 4_c_int32_t
  !> Advice: the device will access the memory and should have it mapped.
  integer(c_int32_t), parameter :: TN_ADVISE_ACCESSED_BY = 5_c_int32_t
  !> Withdraws TN_ADVISE_ACCESSED_BY.
  integer(c_int32_t), parameter :: TN_ADVISE_UNSET_ACCESSED_BY = 6_c_int32_t

  ! tn_huge_pages: When a pool asks for huge pages.
  !> Transparent huge pages inside large blocks, and wherever a pool grows that has at least 32 MiB.
  integer(c_int32_t), parameter :: TN_HUGE_AUTO = 0_c_int32_t
  !> No huge pages.
  integer(c_int32_t), parameter :: TN_HUGE_NEVER = 1_c_int32_t
  !> Huge pages that the system has reserved; TN_HUGE_AUTO when there are none left.
  integer(c_int32_t), parameter :: TN_HUGE_EXPLICIT = 2_c_int32_t

  ! tn_backend: How a pool obtains CUDA memory.
  !> CUDA: virtual memory management (mapped granules) where the driver has it, else plain allocations.
  integer(c_int32_t), parameter :: TN_BACKEND_AUTO = 0_c_int32_t
  !> CUDA: plain driver allocations.
  integer(c_int32_t), parameter :: TN_BACKEND_PLAIN = 1_c_int32_t
  !> CUDA: a memory pool of the driver, which reuses large blocks in the order of streams by itself. TN_ERR_UNSUPPORTED
  !> without support.
  integer(c_int32_t), parameter :: TN_BACKEND_DRIVER_POOL = 2_c_int32_t

  ! tn_upstream_flags: Flags of a tn_upstream.
  !> Upstream flag: `allocate` returns zeroed memory.
  integer(c_int32_t), parameter :: TN_UPSTREAM_ZEROED = 1_c_int32_t
  !> Upstream flag: several threads may run the callbacks at once.
  integer(c_int32_t), parameter :: TN_UPSTREAM_THREAD_SAFE = 2_c_int32_t
  !> Upstream flag: parts of one allocation may be deallocated separately.
  integer(c_int32_t), parameter :: TN_UPSTREAM_PARTIAL_FREE = 4_c_int32_t

  ! tn_pressure: Why a pool is out of memory.
  !> The pool reached its max_size.
  integer(c_int32_t), parameter :: TN_PRESSURE_LIMIT = 1_c_int32_t
  !> The pool's device is out of memory.
  integer(c_int32_t), parameter :: TN_PRESSURE_DEVICE = 2_c_int32_t

  ! tn_client: The client that a block of a pool was allocated for.
  !> Client: arrays.
  integer(c_int32_t), parameter :: TN_CLIENT_ARRAYS = 0_c_int32_t
  !> Client: raw blocks, as from `tn_pool_allocate`.
  integer(c_int32_t), parameter :: TN_CLIENT_RAW = 1_c_int32_t
  !> Client: NumPy, through `tn_numpy_handler`.
  integer(c_int32_t), parameter :: TN_CLIENT_NUMPY = 2_c_int32_t
  !> Client: PyTorch, through `tn_torch_alloc`.
  integer(c_int32_t), parameter :: TN_CLIENT_TORCH = 3_c_int32_t
  !> Client: CuPy, through `tn_cupy_malloc` or the Python package.
  integer(c_int32_t), parameter :: TN_CLIENT_CUPY = 4_c_int32_t
  !> Client: Numba, through the Python package.
  integer(c_int32_t), parameter :: TN_CLIENT_NUMBA = 5_c_int32_t
  !> Client: RMM, through `tn_rmm_allocate` or the Python package.
  integer(c_int32_t), parameter :: TN_CLIENT_RMM = 6_c_int32_t
  !> Client: UMF, through `tn_umf_pool_ops` and `tn_umf_provider_ops`.
  integer(c_int32_t), parameter :: TN_CLIENT_UMF = 7_c_int32_t
  !> Client: C++ containers, through `tn_cpp_allocate`.
  integer(c_int32_t), parameter :: TN_CLIENT_CPP = 8_c_int32_t
  !> Client: a Rust program's global allocator.
  integer(c_int32_t), parameter :: TN_CLIENT_RUST = 9_c_int32_t
  !> Client: a program that was started with the library's malloc.
  integer(c_int32_t), parameter :: TN_CLIENT_MALLOC = 10_c_int32_t
  !> Client: any other. Reserved.
  integer(c_int32_t), parameter :: TN_CLIENT_OTHER = 11_c_int32_t

  ! tn_order: Order of elements.
  !> Row-major element order.
  integer(c_int32_t), parameter :: TN_ORDER_C = 0_c_int32_t
  !> Column-major element order.
  integer(c_int32_t), parameter :: TN_ORDER_F = 1_c_int32_t
  !> F order if the source is F- and not C-contiguous, else C order.
  integer(c_int32_t), parameter :: TN_ORDER_A = 2_c_int32_t
  !> `tn_array_like` only: the axes keep the order of the prototype's strides.
  integer(c_int32_t), parameter :: TN_ORDER_K = 3_c_int32_t

  ! tn_create_flags: Flags of a new array: none is defined yet.

  ! tn_array_flags: Properties of an array and of its store.
  !> Array flag: C-contiguous.
  integer(c_int32_t), parameter :: TN_C_CONTIGUOUS = 1_c_int32_t
  !> Array flag: F-contiguous.
  integer(c_int32_t), parameter :: TN_F_CONTIGUOUS = 2_c_int32_t
  !> Array flag: the handle or its store must not be written.
  integer(c_int32_t), parameter :: TN_READONLY = 4_c_int32_t
  !> Array flag: address and strides are multiples of the element's alignment.
  integer(c_int32_t), parameter :: TN_ALIGNED = 8_c_int32_t
  !> Array flag: some bytes belong to two elements.
  integer(c_int32_t), parameter :: TN_SELF_OVERLAP = 16_c_int32_t
  !> Array flag: the bytes are lent by another owner, who may still use them.
  integer(c_int32_t), parameter :: TN_FOREIGN = 32_c_int32_t
  !> Array flag: page-locked.
  integer(c_int32_t), parameter :: TN_PINNED = 64_c_int32_t
  !> Array flag: page-locked and mapped into the device's address space.
  integer(c_int32_t), parameter :: TN_MAPPED = 128_c_int32_t
  !> Array flag: page-locked and slow to read on the host.
  integer(c_int32_t), parameter :: TN_WRITECOMBINED = 256_c_int32_t
  !> Array flag: the bytes are in a file of their pool, and come back at the next use, see `tn_pool_set_spill`.
  integer(c_int32_t), parameter :: TN_SPILLED = 512_c_int32_t

  ! tn_form: The form of a matrix: what expressions take an array for.
  !> Form: all elements.
  integer(c_int32_t), parameter :: TN_FORM_FULL = 0_c_int32_t
  !> Form: the vector is the diagonal of a matrix that is 0 elsewhere.
  integer(c_int32_t), parameter :: TN_FORM_DIAGONAL = 1_c_int32_t
  !> Form: lower triangular. Elements above the diagonal of the square matrix are not read and count as 0.
  integer(c_int32_t), parameter :: TN_FORM_LOWER = 2_c_int32_t
  !> Form: upper triangular. Elements below the diagonal of the square matrix are not read and count as 0.
  integer(c_int32_t), parameter :: TN_FORM_UPPER = 3_c_int32_t
  !> Form: all elements, of an array with two axes. Expressions take it as TN_FORM_FULL. It tells a language whose
  !> operators compute element by element that those of this array are those of matrices.
  integer(c_int32_t), parameter :: TN_FORM_MATRIX = 4_c_int32_t
  !> Form, only for `tn_expr_leaf`: the form that the array's handle has.
  integer(c_int32_t), parameter :: TN_FORM_OF_HANDLE = 5_c_int32_t
  !> Form, only of expressions: the factors that `tn_expr_lu` makes of a full matrix, or their transpose. They are no
  !> array.
  integer(c_int32_t), parameter :: TN_FORM_FACTORS = 6_c_int32_t

  ! tn_side: A side of a mirror; in the masks of `tn_mirror_info` a bit.
  !> The side in memory that the host can access.
  integer(c_int32_t), parameter :: TN_SIDE_HOST = 1_c_int32_t
  !> The side in memory of a GPU.
  integer(c_int32_t), parameter :: TN_SIDE_DEVICE = 2_c_int32_t

  ! tn_npy_mode: How `tn_array_open_npy` opens a file.
  !> `tn_array_open_npy`: map the file read-only; the default.
  integer(c_int32_t), parameter :: TN_NPY_READ = 0_c_int32_t
  !> `tn_array_open_npy`: map the file copy-on-write: writes never reach the file.
  integer(c_int32_t), parameter :: TN_NPY_COW = 1_c_int32_t
  !> `tn_array_open_npy`: map the file writable: writes reach the file.
  integer(c_int32_t), parameter :: TN_NPY_WRITE = 2_c_int32_t
  !> `tn_array_open_npy`: read the file into the pool's memory.
  integer(c_int32_t), parameter :: TN_NPY_COPY = 3_c_int32_t

  ! tn_io_flags: Flags of `tn_array_save_npy`.
  !> `tn_array_save_npy`: sync the file and its directory before returning.
  integer(c_int32_t), parameter :: TN_IO_SYNC = 1_c_int32_t
  !> `tn_array_save_npy`: fail with TN_ERR_IO if the file exists.
  integer(c_int32_t), parameter :: TN_IO_EXCLUSIVE = 2_c_int32_t

  ! tn_overlap: How the bytes of two arrays relate.
  !> No byte in common.
  integer(c_int32_t), parameter :: TN_OVERLAP_NONE = 0_c_int32_t
  !> The same elements in the same order.
  integer(c_int32_t), parameter :: TN_OVERLAP_EXACT = 1_c_int32_t
  !> Bytes in common.
  integer(c_int32_t), parameter :: TN_OVERLAP_SOME = 2_c_int32_t
  !> Not decided; treated as overlap.
  integer(c_int32_t), parameter :: TN_OVERLAP_UNKNOWN = 3_c_int32_t

  ! tn_end_flags: Flags of `tn_borrow_end`.
  !> `tn_borrow_end`: the writer failed. Its region is poisoned until it is rewritten.
  integer(c_int32_t), parameter :: TN_END_FAILED = 1_c_int32_t

  ! tn_compute_flags: Flags of `tn_expr_compute`.
  !> `tn_expr_compute`: if it fails, all arrays and expressions are as before, so no existing array is overwritten.
  integer(c_int32_t), parameter :: TN_KEEP_ON_FAIL = 1_c_int32_t

  ! tn_expr_op: An operation of `tn_expr_elementwise`.
  !> Element by element: x + y, as `tn_expr_add`.
  integer(c_int32_t), parameter :: TN_EXPR_ADD_ = 1_c_int32_t
  !> Element by element: x - y.
  integer(c_int32_t), parameter :: TN_EXPR_SUBTRACT_ = 2_c_int32_t
  !> Element by element: x * y.
  integer(c_int32_t), parameter :: TN_EXPR_MULTIPLY_ = 3_c_int32_t
  !> Element by element: x / y.
  integer(c_int32_t), parameter :: TN_EXPR_DIVIDE = 4_c_int32_t
  !> Element by element: -x.
  integer(c_int32_t), parameter :: TN_EXPR_NEGATE = 5_c_int32_t
  !> Element by element: the square root.
  integer(c_int32_t), parameter :: TN_EXPR_SQRT = 6_c_int32_t
  !> Element by element: e to the x.
  integer(c_int32_t), parameter :: TN_EXPR_EXP = 7_c_int32_t
  !> Element by element: the natural logarithm.
  integer(c_int32_t), parameter :: TN_EXPR_LOG = 8_c_int32_t

  ! tn_lu_part: A part of LU factors.
  !> Part: the permutation, a full matrix that has one 1 in each row and column.
  integer(c_int32_t), parameter :: TN_LU_P = 0_c_int32_t
  !> Part: the lower triangle, with a diagonal of ones.
  integer(c_int32_t), parameter :: TN_LU_L = 1_c_int32_t
  !> Part: the upper triangle.
  integer(c_int32_t), parameter :: TN_LU_U = 2_c_int32_t

  ! tn_explain_format: Format of `tn_expr_explain`.
  !> Format: lines of text.
  integer(c_int32_t), parameter :: TN_EXPLAIN_TEXT = 0_c_int32_t
  !> Format: a graph for Graphviz.
  integer(c_int32_t), parameter :: TN_EXPLAIN_DOT = 1_c_int32_t

  ! tn_holder_kind: What holds a store, or was not released.
  !> Holder: an array handle.
  integer(c_int32_t), parameter :: TN_HOLDER_HANDLE = 1_c_int32_t
  !> Holder: a promise.
  integer(c_int32_t), parameter :: TN_HOLDER_PROMISE = 2_c_int32_t
  !> Holder: a node of a lazy expression.
  integer(c_int32_t), parameter :: TN_HOLDER_EXPRESSION = 3_c_int32_t
  !> Holder: a shared variable.
  integer(c_int32_t), parameter :: TN_HOLDER_SHARED_VARIABLE = 4_c_int32_t
  !> Holder: a read-only export.
  integer(c_int32_t), parameter :: TN_HOLDER_EXPORT_READ = 5_c_int32_t
  !> Holder: a shared view, see TN_EXPORT_WRITABLE.
  integer(c_int32_t), parameter :: TN_HOLDER_EXPORT_SHARED = 6_c_int32_t
  !> Holder: an exclusive export, see TN_EXPORT_EXCLUSIVE.
  integer(c_int32_t), parameter :: TN_HOLDER_EXPORT_EXCLUSIVE = 7_c_int32_t
  !> Holder: a read guard.
  integer(c_int32_t), parameter :: TN_HOLDER_GUARD_READ = 8_c_int32_t
  !> Holder: a write guard.
  integer(c_int32_t), parameter :: TN_HOLDER_GUARD_WRITE = 9_c_int32_t
  !> Not released: raw memory of a pool.
  integer(c_int32_t), parameter :: TN_HOLDER_BLOCK = 10_c_int32_t
  !> Not released: a pool.
  integer(c_int32_t), parameter :: TN_HOLDER_POOL = 11_c_int32_t
  !> Not released: a stream.
  integer(c_int32_t), parameter :: TN_HOLDER_STREAM = 12_c_int32_t
  !> Not released: an event.
  integer(c_int32_t), parameter :: TN_HOLDER_EVENT = 13_c_int32_t
  !> Not released: a scope.
  integer(c_int32_t), parameter :: TN_HOLDER_SCOPE = 14_c_int32_t
  !> Not released: a weak handle.
  integer(c_int32_t), parameter :: TN_HOLDER_WEAK = 15_c_int32_t
  !> Not released: a function.
  integer(c_int32_t), parameter :: TN_HOLDER_FUNCTION = 16_c_int32_t
  !> The library's own claim on a side of a mirror.
  integer(c_int32_t), parameter :: TN_HOLDER_MIRROR = 17_c_int32_t
  !> Not called yet: a queued release callback, see `tn_run_releases`.
  integer(c_int32_t), parameter :: TN_HOLDER_QUEUED_RELEASE = 18_c_int32_t
  !> A module; its bytes are those of its image.
  integer(c_int32_t), parameter :: TN_HOLDER_MODULE = 19_c_int32_t

  ! tn_report_flags: Flags of `tn_report_json` and `tn_report_html`: none is defined yet.

  ! tn_log_kinds: Kinds of events: bits of `tn_log_options.kinds`.
  !> A pool allocated a block: raw memory, or the bytes of an array.
  integer(c_int32_t), parameter :: TN_LOG_ALLOCATE = 1_c_int32_t
  !> A block was freed.
  integer(c_int32_t), parameter :: TN_LOG_FREE = 2_c_int32_t
  !> An import, an export or a write copied; the copy book has the same copies.
  integer(c_int32_t), parameter :: TN_LOG_COPY = 4_c_int32_t
  !> Bytes were copied between arrays, or between memory and an array.
  integer(c_int32_t), parameter :: TN_LOG_TRANSFER = 8_c_int32_t
  !> An export began or ended.
  integer(c_int32_t), parameter :: TN_LOG_EXPORT = 32_c_int32_t
  !> An array was given.
  integer(c_int32_t), parameter :: TN_LOG_GIVE = 256_c_int32_t
  !> A given array was taken.
  integer(c_int32_t), parameter :: TN_LOG_TAKE = 512_c_int32_t
  !> A guard began or ended.
  integer(c_int32_t), parameter :: TN_LOG_BORROW = 1024_c_int32_t
  !> A raw block changed its size.
  integer(c_int32_t), parameter :: TN_LOG_REALLOCATE = 2048_c_int32_t
  !> An import of bytes began or ended.
  integer(c_int32_t), parameter :: TN_LOG_IMPORT = 4096_c_int32_t
  !> An array got a name.
  integer(c_int32_t), parameter :: TN_LOG_NAME = 8192_c_int32_t
  !> All of them.
  integer(c_int32_t), parameter :: TN_LOG_ALL = 16175_c_int32_t

  ! tn_arg_kind: What an argument of a launch is.
  !> Argument: an array, which the kernel gets as `tn_view<T, N>`: `void *data; int64_t shape[N]; int64_t strides[N]`,
  !> strides in bytes.
  integer(c_int32_t), parameter :: TN_ARG_ARRAY = 1_c_int32_t
  !> Argument: a C-contiguous array, of which the kernel gets the address.
  integer(c_int32_t), parameter :: TN_ARG_POINTER = 2_c_int32_t
  !> Argument: a mirror, of which the kernel gets the side that it uses, as an array.
  integer(c_int32_t), parameter :: TN_ARG_MIRROR = 3_c_int32_t
  !> Argument: a value, of which the kernel gets a copy.
  integer(c_int32_t), parameter :: TN_ARG_VALUE = 4_c_int32_t

  ! tn_launch_flags: Flags of a launch.
  !> All blocks run at the same time, so that they can wait for each other (`grid.sync()` of cooperative groups).
  integer(c_int32_t), parameter :: TN_LAUNCH_COOPERATIVE = 1_c_int32_t
  !> The kernel may begin before the kernel in front of it on the stream has ended (programmatic dependent launch). It
  !> waits for it itself, before it uses what that one writes (`cudaGridDependencySynchronize`).
  integer(c_int32_t), parameter :: TN_LAUNCH_OVERLAP = 2_c_int32_t

  ! Constants outside of families.
  !> Version of this header: major << 16 | minor << 8 | patch.
  integer(c_int32_t), parameter :: TN_VERSION_ = 256_c_int32_t
  !> The largest number of axes of an array.
  integer(c_size_t), parameter :: TN_MAX_NDIM = 64_c_size_t
  !> No descriptor of `tn_array_export_ipc` has more bytes.
  integer(c_size_t), parameter :: TN_IPC_DESCRIPTOR_BYTES = 4096_c_size_t
  !> "None" or "never" in the fields of `tn_pool_options` marked (n). Every larger number means the same.
  integer(c_int64_t), parameter :: TN_POOL_NONE = 9223372036854775807_c_int64_t
  !> An absent bound or step of a tn_slice_spec, like None in a Python slice. INT64_MIN means the same.
  integer(c_int64_t), parameter :: TN_NONE = -9223372036854775807_c_int64_t
  !> `tn_expr_sum`: over all axes.
  integer(c_int32_t), parameter :: TN_ALL_AXES = -2147483647_c_int32_t

  !> A device, as in DLPack's DLDevice; passed by value.
  type, bind(C) :: tn_device
    !> TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
    integer(c_int32_t) :: type = 0
    !> The number of the device among those of its type; 0 on the host.
    integer(c_int32_t) :: id = 0
  end type

  !> Properties of a device.
  type, bind(C) :: tn_device_info
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 328
    !> UTF-8, NUL-terminated.
    character(kind=c_char) :: name(128) = c_null_char
    !> All zero on the host.
    integer(c_int8_t) :: uuid(16) = 0
    !> "0000:3b:00.0"; empty on the host.
    character(kind=c_char) :: pci_bus_id(16) = c_null_char
    !> Compute capability, major.
    integer(c_int32_t) :: compute_major = 0
    !> Compute capability, minor.
    integer(c_int32_t) :: compute_minor = 0
    !> CUDA version that the driver supports: 1000 * major + 10 * minor.
    integer(c_int32_t) :: driver_version = 0
    !> Number of multiprocessors; on the host, of online processors.
    integer(c_int32_t) :: multiprocessors = 0
    !> Threads of a warp; 1 on the host.
    integer(c_int32_t) :: warp_size = 0
    !> TN_FEATURE_ bits.
    integer(c_int32_t) :: features = 0
    !> Shared memory of a thread block, bytes: the default limit.
    integer(c_int64_t) :: block_memory_bytes = 0
    !> Shared memory of a thread block, bytes: the limit that a kernel can opt in to.
    integer(c_int64_t) :: block_memory_optin_bytes = 0
    !> Physical memory, bytes; on the host, at most the control group's limit.
    integer(c_int64_t) :: total_bytes = 0
    !> TN_QUERY_MEMORY: free memory now, as the system reports it.
    integer(c_int64_t) :: free_bytes = 0
    !> TN_QUERY_MEMORY: total_bytes - free_bytes.
    integer(c_int64_t) :: used_bytes = 0
    !> TN_QUERY_MEMORY: held by the library's pools.
    integer(c_int64_t) :: pool_bytes = 0
    !> TN_QUERY_MEMORY: of pool_bytes, what the pools can reuse.
    integer(c_int64_t) :: pool_free_bytes = 0
    !> Number of copies to the device.
    integer(c_int64_t) :: to_device_count = 0
    !> Bytes of those.
    integer(c_int64_t) :: to_device_bytes = 0
    !> Number of copies to the host.
    integer(c_int64_t) :: to_host_count = 0
    !> Bytes of those.
    integer(c_int64_t) :: to_host_bytes = 0
    !> Bytes copied through staging memory.
    integer(c_int64_t) :: staged_bytes = 0
    !> Bytes page-locked now by `tn_host_register`.
    integer(c_int64_t) :: registered_bytes = 0
    !> Imports whose release callback is delayed: until `tn_run_releases`, or until device work that uses their bytes is
    !> done.
    integer(c_int64_t) :: queued_releases = 0
    !> Bytes of those.
    integer(c_int64_t) :: queued_bytes = 0
    !> Number of copies and fills that kernels of the library did; the option `transfer.kernels` decides about them.
    integer(c_int64_t) :: kernel_count = 0
    !> The driver's result code if it refused to load these kernels, so that copies and fills go by other ways; 0: it
    !> did not.
    integer(c_int64_t) :: kernel_error = 0
  end type

  !> The source of memory of a pool made by `tn_pool_import`.
  type, bind(C) :: tn_upstream
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 72
    !> First argument of each callback.
    type(c_ptr) :: context = c_null_ptr
    !> Sizes passed to `allocate` are multiples of this; 0: 4096.
    integer(c_size_t) :: granularity = 0
    !> Alignments passed to `allocate` are powers of two, at least this; 0: 4096.
    integer(c_size_t) :: alignment = 0
    !> TN_UPSTREAM_.
    integer(c_int32_t) :: flags = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
    !> Allocates `bytes` bytes and writes their address to `out`. Any status but TN_OK means that there is no memory.
    !> native_stream is 0.
    type(c_funptr) :: allocate = c_null_funptr
    !> Deallocates what `allocate` returned, with the same address and bytes; with TN_UPSTREAM_PARTIAL_FREE also parts
    !> of it, each byte once.
    type(c_funptr) :: deallocate = c_null_funptr
    !> Optional: called when the contents of a part are no longer needed.
    type(c_funptr) :: purge = c_null_funptr
    !> Optional: the last callback, called when all memory was deallocated and the pool no longer exists.
    type(c_funptr) :: release = c_null_funptr
  end type

  !> Options of a pool.
  type, bind(C) :: tn_pool_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 112
    !> At most 63 bytes of UTF-8, copied; NULL: "pool-N".
    type(c_ptr) :: name = c_null_ptr
    !> Bytes committed at creation, which trim keeps.
    integer(c_int64_t) :: initial_size = 0
    !> Upper bound of one growth step, bytes.
    integer(c_int64_t) :: max_growth = 0
    !> Upper bound of committed bytes; 0: none. Under the memory limit of a control group Linux kills the process where
    !> memory is short. A status needs a max_size below that limit, which `tn_device_query` has as `total_bytes`.
    integer(c_int64_t) :: max_size = 0
    !> At least 1. A growth step asks the device for the needed bytes or committed * (factor - 1), whichever is more.
    real(c_double) :: growth_factor = 0
    !> Alignment in bytes where a call passes 0: a power of two, 8 to 4 MiB. Default on the host: 64.
    integer(c_int64_t) :: alignment = 0
    !> (n) Bytes of free small blocks that one thread may keep, and of the large ones that it freed last. One large
    !> block alone may have 4 times as many.
    integer(c_int64_t) :: thread_cache_size = 0
    !> (n) Cached bytes above this are returned to the device.
    integer(c_int64_t) :: release_threshold = 0
    !> (n) Free memory that was unused for this long, ms, is returned to the device by a later call.
    integer(c_int64_t) :: release_delay_ms = 0
    !> CUDA: bit mask of device ids that may also access the memory.
    integer(c_int64_t) :: peers = 0
    !> TN_HUGE_.
    integer(c_int32_t) :: huge_pages = 0
    !> TN_BACKEND_.
    integer(c_int32_t) :: backend = 0
    !> n: prefer NUMA node n - 1; 0: no preference.
    integer(c_int32_t) :: numa_node = 0
    !> TN_HOST_ or TN_MANAGED_.
    integer(c_int32_t) :: host_flags = 0
    !> TN_POOL_.
    integer(c_int32_t) :: flags = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
  end type

  !> Statistics of a pool.
  type, bind(C) :: tn_pool_stats
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 304
    !> Sum of the requested sizes of all live blocks.
    integer(c_int64_t) :: requested_bytes = 0
    !> Sum of the usable sizes of all live blocks.
    integer(c_int64_t) :: in_use_bytes = 0
    !> Committed bytes that can be allocated.
    integer(c_int64_t) :: cached_bytes = 0
    !> Freed bytes that work on a stream may still access.
    integer(c_int64_t) :: pending_bytes = 0
    !> Committed bytes that no block can use: the rest of a span after its last block.
    integer(c_int64_t) :: overhead_bytes = 0
    !> Committed bytes: exactly in_use + cached + pending + overhead in every query.
    integer(c_int64_t) :: reserved_bytes = 0
    !> Reserved address space; at least reserved_bytes.
    integer(c_int64_t) :: address_bytes = 0
    !> Committed bytes for which huge pages were requested.
    integer(c_int64_t) :: huge_bytes = 0
    !> The library's own memory for this pool; not part of reserved_bytes.
    integer(c_int64_t) :: metadata_bytes = 0
    !> Largest in_use_bytes since creation or `tn_pool_reset_peak`.
    integer(c_int64_t) :: peak_in_use_bytes = 0
    !> Largest reserved_bytes since creation or `tn_pool_reset_peak`.
    integer(c_int64_t) :: peak_reserved_bytes = 0
    !> Largest requested_bytes since creation or `tn_pool_reset_peak`.
    integer(c_int64_t) :: peak_requested_bytes = 0
    !> Allocations that returned TN_OK.
    integer(c_int64_t) :: allocation_count = 0
    !> Blocks that were freed.
    integer(c_int64_t) :: deallocation_count = 0
    !> Reallocations that returned TN_OK.
    integer(c_int64_t) :: reallocation_count = 0
    !> Calls that failed.
    integer(c_int64_t) :: failure_count = 0
    !> allocation_count - deallocation_count: blocks that are allocated now.
    integer(c_int64_t) :: live_blocks = 0
    !> Allocations that needed no call to the device.
    integer(c_int64_t) :: hit_count = 0
    !> Allocations that took the thread cache's fast path.
    integer(c_int64_t) :: thread_hit_count = 0
    !> Calls that allocated memory of the device.
    integer(c_int64_t) :: device_allocate_count = 0
    !> Calls that freed memory of the device.
    integer(c_int64_t) :: device_free_count = 0
    !> Bytes ever allocated from the device.
    integer(c_int64_t) :: device_bytes_total = 0
    !> Trims that freed memory.
    integer(c_int64_t) :: trim_count = 0
    !> Calls of pressure callbacks.
    integer(c_int64_t) :: pressure_count = 0
    !> Requests that failed for lack of memory.
    integer(c_int64_t) :: oom_count = 0
    !> Invalid frees that were refused.
    integer(c_int64_t) :: misuse_count = 0
    !> Bytes that `tn_pool_allocate_zeroed` did not have to clear.
    integer(c_int64_t) :: zero_bytes_skipped = 0
    !> Largest block that can be allocated without a call to the device.
    integer(c_int64_t) :: largest_free_bytes = 0
    !> max_size; 0: none.
    integer(c_int64_t) :: limit_bytes = 0
    !> Threads that have a cache now.
    integer(c_int64_t) :: thread_count = 0
    !> Of requested_bytes: in stores that have no claim and are kept by guards or exports.
    integer(c_int64_t) :: held_bytes = 0
    !> Of pending_bytes: shared with another process that still uses them.
    integer(c_int64_t) :: shared_out_bytes = 0
    !> Number of the pool, never reused in this process. Two handles with equal serials refer to one pool.
    integer(c_int64_t) :: serial = 0
    !> The pool's device.
    type(tn_device) :: device
    !> Of in_use_bytes: in files, see `tn_pool_set_spill`. max_size does not count them.
    integer(c_int64_t) :: spilled_bytes = 0
    !> How often an array was written to a file.
    integer(c_int64_t) :: spill_count = 0
    !> How often an array came back from a file.
    integer(c_int64_t) :: unspill_count = 0
  end type

  !> Where a pool spills arrays that nobody uses, see `tn_pool_set_spill`.
  type, bind(C) :: tn_spill_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 32
    !> A folder that the process may write. Its files have no names, and end with the process at the latest.
    type(c_ptr) :: folder = c_null_ptr
    !> The most bytes in files; 0: no bound but the file system's. After a fork, of each process.
    integer(c_int64_t) :: max_bytes = 0
    !> The smallest array that is spilled, bytes; 0, or less than 65537: 65537.
    integer(c_int64_t) :: min_array_bytes = 0
  end type

  !> Statistics of one size class of a pool.
  type, bind(C) :: tn_pool_class_stats
    !> Usable bytes of each block; 0: blocks above the largest class, each in a span of its own.
    integer(c_int64_t) :: block_bytes = 0
    !> Bytes of a span of such blocks; 0: spans of different sizes.
    integer(c_int64_t) :: span_bytes = 0
    !> Live blocks.
    integer(c_int64_t) :: live_blocks = 0
    !> Blocks that can be allocated without a new span; with block_bytes 0: free spans.
    integer(c_int64_t) :: cached_blocks = 0
    !> Spans of such blocks, including free ones.
    integer(c_int64_t) :: span_count = 0
    !> Allocations that returned TN_OK.
    integer(c_int64_t) :: allocation_count = 0
    !> Of those: allocations that needed no call to the device.
    integer(c_int64_t) :: hit_count = 0
    !> Zero.
    integer(c_int64_t) :: reserved = 0
  end type

  !> Statistics of one client of a pool.
  type, bind(C) :: tn_pool_client
    !> TN_CLIENT_.
    integer(c_int32_t) :: client = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
    !> "arrays", "raw", "numpy", ..; NUL-terminated.
    character(kind=c_char) :: name(16) = c_null_char
    !> Blocks that the client has allocated now.
    integer(c_int64_t) :: live_blocks = 0
    !> Usable bytes of those blocks.
    integer(c_int64_t) :: live_bytes = 0
    !> Requested bytes of those blocks.
    integer(c_int64_t) :: requested_bytes = 0
    !> Largest live_bytes since the pool's creation or `tn_pool_reset_peak`.
    integer(c_int64_t) :: peak_bytes = 0
    !> Allocations and reallocations that succeeded.
    integer(c_int64_t) :: allocation_count = 0
    !> Allocations and reallocations that failed.
    integer(c_int64_t) :: failure_count = 0
    !> Invalid frees that were refused.
    integer(c_int64_t) :: misuse_count = 0
    !> Frees with a size other than the requested one; the library uses its own record.
    integer(c_int64_t) :: mismatch_count = 0
  end type

  !> Options of a new array; a NULL pointer means C order and no name.
  type, bind(C) :: tn_array_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 32
    !> TN_ORDER_.
    integer(c_int32_t) :: order = 0
    !> 0: no flag is defined yet.
    integer(c_int32_t) :: flags = 0
    !> The stream that uses the array first; NULL: the thread's current stream.
    type(c_ptr) :: stream = c_null_ptr
    !> UTF-8, of which the first 63 bytes are copied; NULL: no name.
    type(c_ptr) :: name = c_null_ptr
  end type

  !> The layout of elements in raw memory.
  type, bind(C) :: tn_layout
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 40
    !> Element type.
    integer(c_int32_t) :: dtype = 0
    !> Number of axes, 0 to TN_MAX_NDIM.
    integer(c_int32_t) :: ndim = 0
    !> ndim lengths in elements; NULL only with ndim 0.
    type(c_ptr) :: shape = c_null_ptr
    !> ndim strides in bytes, signed; NULL: C order.
    type(c_ptr) :: strides = c_null_ptr
    !> Bytes from the pointer to element (0,..,0).
    integer(c_int64_t) :: offset = 0
  end type

  !> Properties of an array.
  type, bind(C) :: tn_array_info
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 1152
    !> Element type.
    integer(c_int32_t) :: dtype = 0
    !> Number of axes.
    integer(c_int32_t) :: ndim = 0
    !> Where the bytes live.
    type(tn_device) :: device
    !> Flags, TN_C_CONTIGUOUS .. TN_SPILLED.
    integer(c_int32_t) :: flags = 0
    !> The form of the handle, TN_FORM_FULL .. TN_FORM_MATRIX.
    integer(c_int32_t) :: form = 0
    !> Bytes of the elements.
    integer(c_int64_t) :: bytes = 0
    !> Number of elements.
    integer(c_int64_t) :: count = 0
    !> Bytes of the whole store.
    integer(c_int64_t) :: store_bytes = 0
    !> Bytes from the store's start to element (0,..,0).
    integer(c_int64_t) :: offset = 0
    !> NUL-terminated; empty without a name.
    character(kind=c_char) :: name(64) = c_null_char
    !> Lengths in elements; only the first ndim entries are written.
    integer(c_int64_t) :: shape(64) = 0
    !> Strides in bytes; only the first ndim entries are written.
    integer(c_int64_t) :: strides(64) = 0
  end type

  !> What became of a value that entered or left a shared variable or a function.
  type, bind(C) :: tn_crossing
    !> TN_ALIASED or TN_COPIED.
    integer(c_int32_t) :: how = 0
    !> TN_WHY_ bits that made it a copy; 0 for an alias, and for a copy that the caller wanted.
    integer(c_int32_t) :: why = 0
  end type

  !> An input of a function.
  type, bind(C) :: tn_in
    !> sizeof this struct, set by the caller; one size for all inputs.
    integer(c_size_t) :: size = 56
    !> At most 63 bytes of UTF-8, copied; NULL: no name.
    type(c_ptr) :: name = c_null_ptr
    !> TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_MAY_OVERWRITE, TN_TAKE_OWNERSHIP, TN_STRICT.
    integer(c_int32_t) :: flags = 0
    !> Element type; 0: any.
    integer(c_int32_t) :: dtype = 0
    !> The device on which the body gets the input; all zero: where the argument is.
    type(tn_device) :: device
    !> Number of axes; -1: any.
    integer(c_int32_t) :: ndim = 0
    !> 0.
    integer(c_int32_t) :: reserved = 0
    !> The value of an argument that is NULL, copied; NULL: the argument is required.
    type(c_ptr) :: default_value = c_null_ptr
    !> An implicit input: the value of this variable at the time of the call. It has no place among the arguments. NULL:
    !> an argument.
    type(c_ptr) :: shared = c_null_ptr
  end type

  !> An output of a function.
  type, bind(C) :: tn_out
    !> sizeof this struct, set by the caller; one size for all outputs.
    integer(c_size_t) :: size = 40
    !> At most 63 bytes of UTF-8, copied; NULL: no name.
    type(c_ptr) :: name = c_null_ptr
    !> TN_BORROW, TN_REQUIRE_BORROW, TN_RAW, TN_REUSE.
    integer(c_int32_t) :: flags = 0
    !> Element type; 0: any.
    integer(c_int32_t) :: dtype = 0
    !> The device on which the caller gets the output; all zero: where the body left it.
    type(tn_device) :: device
    !> Number of axes; -1: any.
    integer(c_int32_t) :: ndim = 0
    !> 0.
    integer(c_int32_t) :: reserved = 0
  end type

  !> An update of a function: a shared variable that gets a new value in each call.
  type, bind(C) :: tn_update
    !> sizeof this struct, set by the caller; one size for all updates.
    integer(c_size_t) :: size = 24
    !> The variable. The function keeps it alive.
    type(c_ptr) :: target = c_null_ptr
    !> 0, TN_MAY_OVERWRITE or TN_REUSE.
    integer(c_int32_t) :: flags = 0
    !> 0.
    integer(c_int32_t) :: reserved = 0
  end type

  !> The description of a function.
  type, bind(C) :: tn_function_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 96
    !> At most 63 bytes of UTF-8, copied; NULL: no name.
    type(c_ptr) :: name = c_null_ptr
    !> The body; NULL: `expr_body`.
    type(c_funptr) :: body = c_null_funptr
    !> The body as expressions, in place of `body`; else NULL.
    type(c_funptr) :: expr_body = c_null_funptr
    !> Passed to the body.
    type(c_ptr) :: context = c_null_ptr
    !> Called once with `context`, after the function was released and its last call has returned; may be NULL.
    type(c_funptr) :: release = c_null_funptr
    !> Number of inputs.
    integer(c_size_t) :: n_in = 0
    !> Number of outputs.
    integer(c_size_t) :: n_out = 0
    !> Number of updates.
    integer(c_size_t) :: n_update = 0
    !> The inputs, including the implicit ones.
    type(c_ptr) :: inputs = c_null_ptr
    !> The outputs.
    type(c_ptr) :: outputs = c_null_ptr
    !> The updates. A variable has one at most.
    type(c_ptr) :: updates = c_null_ptr
  end type

  !> Where `tn_function_call_crossings` writes what became of the values of a call.
  type, bind(C) :: tn_call_crossings
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 32
    !> An item for each input of the function, in the order of its description, including the implicit ones.
    type(c_ptr) :: inputs = c_null_ptr
    !> An item for each output that the caller takes.
    type(c_ptr) :: outputs = c_null_ptr
    !> An item for each update: TN_ALIASED if the bytes that the body left or wrote are the new value, TN_COPIED and why
    !> if the value was copied for the body to write or from what it left. 0 if the variable stays as it was.
    type(c_ptr) :: updates = c_null_ptr
  end type

  !> Options of a shared variable; a NULL pointer means the defaults.
  type, bind(C) :: tn_shared_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 32
    !> The device that keeps the value; all zero: that of the value at creation.
    type(tn_device) :: device
    !> The pool for copies of new values, of that device; NULL: the creating thread's current pool of it.
    type(c_ptr) :: pool = c_null_ptr
    !> At most 63 bytes of UTF-8, copied; NULL: the name of the value at creation.
    type(c_ptr) :: name = c_null_ptr
  end type

  !> Properties of a shared variable and of its value.
  type, bind(C) :: tn_shared_info
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 640
    !> The device that keeps the value.
    type(tn_device) :: device
    !> The device of the value at creation, to which `tn_shared_get` copies without TN_RAW.
    type(tn_device) :: home
    !> Element type.
    integer(c_int32_t) :: dtype = 0
    !> Number of axes.
    integer(c_int32_t) :: ndim = 0
    !> Flags of the value, TN_C_CONTIGUOUS .. TN_SPILLED.
    integer(c_int32_t) :: flags = 0
    !> 1: an update in place failed, and the value is undefined until a set succeeds. Else 0.
    integer(c_int32_t) :: is_poisoned = 0
    !> 1 at creation; incremented by each successful set and update.
    integer(c_int64_t) :: version = 0
    !> Bytes of the elements.
    integer(c_int64_t) :: bytes = 0
    !> Number of sets and updates that took another buffer because a holder keeps the old value.
    integer(c_int64_t) :: detach_count = 0
    !> NUL-terminated; empty without a name.
    character(kind=c_char) :: name(64) = c_null_char
    !> Lengths in elements; only the first ndim entries are written.
    integer(c_int64_t) :: shape(64) = 0
  end type

  !> How `tn_mirror_create` makes a mirror: from an object, or from `dtype`, `ndim` and `shape`.
  type, bind(C) :: tn_mirror_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 80
    !> The array with the contents; NULL: they are undefined, and `shape` is required.
    type(c_ptr) :: object = c_null_ptr
    !> 0: the object is copied. TN_BORROW: it becomes a side if it can, else it is copied. TN_REQUIRE_BORROW: it becomes
    !> a side, else an error.
    integer(c_int32_t) :: borrow_flags = 0
    !> Element type. With an object: 0, or its element type.
    integer(c_int32_t) :: dtype = 0
    !> Number of axes of `shape`.
    integer(c_int32_t) :: ndim = 0
    !> The order of all memory that the mirror allocates: TN_ORDER_C, TN_ORDER_F, or TN_ORDER_A, with which it is F for
    !> an object that is F- and not C-contiguous.
    integer(c_int32_t) :: order = 0
    !> Lengths in elements, copied. With an object: NULL, or its shape.
    type(c_ptr) :: shape = c_null_ptr
    !> The GPU of the device side; all zero: that of an object on a GPU, else TN_CUDA 0.
    type(tn_device) :: device
    !> The side with the contents at first, TN_SIDE_; 0: that of the object, without an object the host's.
    integer(c_int32_t) :: where = 0
    !> 0.
    integer(c_int32_t) :: reserved = 0
    !> The pool of the host side, of ordinary or page-locked memory; NULL: the current pool of the host when the side is
    !> allocated.
    type(c_ptr) :: host_pool = c_null_ptr
    !> The pool of the device side; NULL: the current pool of the GPU when the side is allocated.
    type(c_ptr) :: device_pool = c_null_ptr
    !> At most 63 bytes of UTF-8, copied; NULL: that of the object.
    type(c_ptr) :: name = c_null_ptr
  end type

  !> State and transfers of a mirror.
  type, bind(C) :: tn_mirror_info
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 656
    !> The sides with the present contents, TN_SIDE_ bits; never 0. Without elements both.
    integer(c_int32_t) :: valid = 0
    !> The sides that have memory, TN_SIDE_ bits.
    integer(c_int32_t) :: allocated = 0
    !> The sides that somebody else holds by a handle, view, guard or export, TN_SIDE_ bits.
    integer(c_int32_t) :: held = 0
    !> 1: a write failed, and the contents are undefined until the mirror is overwritten. Else 0.
    integer(c_int32_t) :: is_poisoned = 0
    !> Number of transfers from the host side to the device side.
    integer(c_int64_t) :: transfers_to_device = 0
    !> Number of transfers from the device side to the host side.
    integer(c_int64_t) :: transfers_to_host = 0
    !> Bytes of the transfers to the device side.
    integer(c_int64_t) :: bytes_to_device = 0
    !> Bytes of the transfers to the host side.
    integer(c_int64_t) :: bytes_to_host = 0
    !> The GPU of the device side.
    type(tn_device) :: device
    !> Element type.
    integer(c_int32_t) :: dtype = 0
    !> Number of axes.
    integer(c_int32_t) :: ndim = 0
    !> Bytes of the elements.
    integer(c_int64_t) :: bytes = 0
    !> NUL-terminated; empty without a name.
    character(kind=c_char) :: name(64) = c_null_char
    !> Lengths in elements; only the first ndim entries are written.
    integer(c_int64_t) :: shape(64) = 0
  end type

  !> Options of `tn_array_open_npy`.
  type, bind(C) :: tn_npy_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 32
    !> TN_NPY_.
    integer(c_int32_t) :: mode = 0
    !> The file descriptor to read, used only if path is NULL. The caller keeps it and closes it.
    integer(c_int32_t) :: fd = 0
    !> TN_NPY_COPY: the pool that the bytes are read into; NULL: the thread's current host pool.
    type(c_ptr) :: pool = c_null_ptr
    !> Largest accepted header, bytes; a longer one is TN_ERR_LIMIT. 0: 64 KiB.
    integer(c_int64_t) :: max_header_bytes = 0
  end type

  !> Options of `tn_array_open_safetensors`; a NULL pointer means that tensors are read into the thread's current host
  !> pool.
  type, bind(C) :: tn_safetensors_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 24
    !> The pool that tensors are read into; NULL: the thread's current host pool.
    type(c_ptr) :: pool = c_null_ptr
    !> 0, TN_BORROW or TN_REQUIRE_BORROW.
    integer(c_int32_t) :: flags = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
  end type

  !> A tensor of a safetensors file.
  type, bind(C) :: tn_safetensors_info
    !> Element type; 0: one that no array can have, as floats of 8 bits.
    integer(c_int32_t) :: dtype = 0
    !> Number of axes.
    integer(c_int32_t) :: ndim = 0
    !> Bytes of the tensor.
    integer(c_int64_t) :: bytes = 0
    !> Length of the tensor's name in bytes. `name` is cut if it does not fit.
    integer(c_int64_t) :: name_bytes = 0
    !> UTF-8, NUL-terminated.
    character(kind=c_char) :: name(256) = c_null_char
    !> Lengths in elements; entries from ndim on are 0.
    integer(c_int64_t) :: shape(64) = 0
    !> Zero.
    integer(c_int64_t) :: reserved(2) = 0
  end type

  !> A slice of one axis, as in Python.
  type, bind(C) :: tn_slice_spec
    !> First index; a negative one counts from the end.
    integer(c_int64_t) :: start = 0
    !> One past the last index; a negative one counts from the end.
    integer(c_int64_t) :: stop = 0
    !> Step, not 0; TN_NONE: 1.
    integer(c_int64_t) :: step = 0
    !> Zero.
    integer(c_int64_t) :: reserved(4) = 0
  end type

  !> One part of `tn_array_split_write`.
  type, bind(C) :: tn_part
    !> The guard of this part, ended by its own `tn_borrow_end`.
    type(c_ptr) :: guard = c_null_ptr
    !> Address of the first element; NULL if the part is empty.
    type(c_ptr) :: data = c_null_ptr
    !> First index along the axis.
    integer(c_int64_t) :: start = 0
    !> Number of indices along the axis.
    integer(c_int64_t) :: length = 0
    !> Zero.
    integer(c_int64_t) :: reserved(4) = 0
  end type

  !> The memory that a guard gives access to.
  type, bind(C) :: tn_view_info
    !> Address of element (0,..,0); NULL if there is no element. A reader must not write there.
    type(c_ptr) :: data = c_null_ptr
    !> Where the bytes live.
    type(tn_device) :: device
    !> Number of axes.
    integer(c_int32_t) :: ndim = 0
    !> Element type.
    integer(c_int32_t) :: dtype = 0
    !> ndim lengths in elements, valid until the guard ends.
    type(c_ptr) :: shape = c_null_ptr
    !> ndim strides in bytes, valid until the guard ends.
    type(c_ptr) :: strides = c_null_ptr
    !> The address that a device uses; 0: no device can reach the memory.
    integer(c_int64_t) :: device_data = 0
    !> Bytes of the elements.
    integer(c_int64_t) :: bytes = 0
    !> Zero.
    integer(c_int64_t) :: reserved(4) = 0
  end type

  !> One array of a `tn_borrow_all`.
  type, bind(C) :: tn_borrow_spec
    !> The array.
    type(c_ptr) :: array = c_null_ptr
    !> The stream that accesses the bytes; NULL: the host, now.
    type(c_ptr) :: stream = c_null_ptr
    !> TN_READ, TN_READ_WRITE or TN_WRITE, with TN_WRITE_ mode bits, TN_FROZEN, TN_WAIT.
    integer(c_int32_t) :: access = 0
    !> Zero.
    integer(c_int32_t) :: reserved(9) = 0
  end type

  !> The memory that an open guard gives access to.
  type, bind(C) :: tn_borrow_info
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 32
    !> Address of element (0,..,0).
    type(c_ptr) :: data = c_null_ptr
    !> The address that a device uses; 0: no device can reach the memory.
    integer(c_int64_t) :: device_data = 0
    !> Bytes of the elements.
    integer(c_int64_t) :: bytes = 0
  end type

  !> Properties of the array that an expression makes.
  type, bind(C) :: tn_expr_info
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 536
    !> Element type.
    integer(c_int32_t) :: dtype = 0
    !> Number of axes.
    integer(c_int32_t) :: ndim = 0
    !> Form of the matrix. A diagonal matrix of n rows has the shape of its n values.
    integer(c_int32_t) :: form = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
    !> Lengths in elements; only the first ndim entries are written.
    integer(c_int64_t) :: shape(64) = 0
  end type

  !> A holder of a store, or an object that was not released.
  type, bind(C) :: tn_holder
    !> TN_HOLDER_.
    integer(c_int32_t) :: kind = 0
    !> Where the bytes live.
    type(tn_device) :: device
    !> Zero.
    integer(c_int32_t) :: reserved = 0
    !> The handle's bits; with TN_HOLDER_BLOCK the address.
    integer(c_int64_t) :: id = 0
    !> Bytes of its store or block.
    integer(c_int64_t) :: bytes = 0
    !> The system's id of the thread that made it.
    integer(c_int64_t) :: thread = 0
    !> When it was made, ns since the epoch; 0 if the time is unknown.
    integer(c_int64_t) :: time_ns = 0
    !> Name of its array or pool; for a block of another library, the library's name ("numpy"). NUL-terminated.
    character(kind=c_char) :: name(64) = c_null_char
    !> Call site where it was made (TN_HERE): "step.c:41". A long one is cut at the front; "" if none.
    character(kind=c_char) :: site(64) = c_null_char
  end type

  !> A store, or a raw block of a pool.
  type, bind(C) :: tn_store_info
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 112
    !> Address of the first byte.
    integer(c_int64_t) :: address = 0
    !> Bytes of the store or block.
    integer(c_int64_t) :: bytes = 0
    !> Where the bytes live.
    type(tn_device) :: device
    !> TN_READONLY, TN_FOREIGN, TN_PINNED, TN_MAPPED, TN_WRITECOMBINED.
    integer(c_int32_t) :: flags = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
    !> A number that grows with each finished write.
    integer(c_int64_t) :: version = 0
    !> Name of its pool; "" if the bytes are of no pool. NUL-terminated.
    character(kind=c_char) :: pool_name(64) = c_null_char
  end type

  !> A planned array, for which `tn_array_why_not` tests an array's bytes.
  type, bind(C) :: tn_target
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 32
    !> The device where it shall live.
    type(tn_device) :: device
    !> Element type.
    integer(c_int32_t) :: dtype = 0
    !> Number of axes.
    integer(c_int32_t) :: ndim = 0
    !> ndim lengths in elements; NULL only with ndim 0.
    type(c_ptr) :: shape = c_null_ptr
  end type

  !> Options of a DLPack export; a NULL pointer means a copy with the device label unchanged.
  type, bind(C) :: tn_dlpack_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 40
    !> Any of TN_BORROW, TN_REQUIRE_BORROW, TN_EXPORT_*, TN_UNORDERED, TN_WAIT.
    integer(c_int32_t) :: flags = 0
    !> With TN_EXPORT_WRITABLE: TN_WRITE_ALIASED or TN_WRITE_UNIQUE; else 0.
    integer(c_int32_t) :: mode = 0
    !> Device type to write into the struct for page-locked and managed memory: TN_CPU, TN_CUDA, or their own; 0: the
    !> array's own. TN_CUDA requires that the memory is mapped for devices. TN_CPU is an access of the host.
    integer(c_int32_t) :: label = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
    !> The device on which the consumer wants the bytes; {0, 0}: where they are. They are copied there, unless their
    !> memory can have that label.
    type(tn_device) :: target
    !> The stream of a consumer on a device: it is made to wait for pending work, and uses the bytes until the deleter
    !> is called. NULL: the legacy stream under the label TN_CUDA, else the host. With TN_UNORDERED the consumer orders
    !> its work itself.
    type(c_ptr) :: consumer = c_null_ptr
  end type

  !> An array as the CUDA array interface describes it, version 3.
  type, bind(C) :: tn_cuda_array_interface
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 72
    !> Device address of element (0,..,0); 0 without elements.
    integer(c_int64_t) :: data = 0
    !> ndim lengths in elements. Of an export, they live as long as its guard.
    type(c_ptr) :: shape = c_null_ptr
    !> ndim strides in bytes, which live as long as the lengths. NULL in an import: C-contiguous.
    type(c_ptr) :: strides = c_null_ptr
    !> Number of axes.
    integer(c_int32_t) :: ndim = 0
    !> 1: the consumer may only read; else 0.
    integer(c_int32_t) :: readonly = 0
    !> 1: the elements are C-contiguous; else 0. Not read by an import.
    integer(c_int32_t) :: c_contiguous = 0
    !> Version of the interface: 3 in an export.
    integer(c_int32_t) :: version = 0
    !> Byte order, kind and bytes of an element, as in "<f4"; NUL-terminated.
    character(kind=c_char) :: typestr(8) = c_null_char
    !> With has_stream, the stream on which the elements are ready: 1 is the legacy default stream, 2 the per-thread
    !> one, else a CUstream.
    integer(c_int64_t) :: stream = 0
    !> 0: no work on the elements is unfinished.
    integer(c_int32_t) :: has_stream = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
  end type

  !> CUDAMat's matrix: float32 on a GPU, column by column.
  type, bind(C) :: tn_cudamat
    !> Not used: NULL in an export, not read by an import.
    type(c_ptr) :: data_host = c_null_ptr
    !> Device address of the elements: (i, j) is element i + j * size[0].
    type(c_ptr) :: data_device = c_null_ptr
    !> 1: the elements are on the GPU.
    integer(c_int32_t) :: on_device = 0
    !> 1: the elements are on the host too; 0 in an export.
    integer(c_int32_t) :: on_host = 0
    !> Rows and columns.
    integer(c_int32_t) :: size(2) = 0
    !> 1: the matrix is the transpose of what the other fields describe; 0 in an export.
    integer(c_int32_t) :: is_trans = 0
    !> 1: CUDAMat frees the elements; 0 in an export.
    integer(c_int32_t) :: owns_data = 0
  end type

  !> How `tn_log_start` records.
  type, bind(C) :: tn_log_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 32
    !> TN_LOG_ bits: what is recorded; 0: everything.
    integer(c_int32_t) :: kinds = 0
    !> 0.
    integer(c_int32_t) :: reserved = 0
    !> The file that the events go to; a regular file of that name is replaced. NULL: memory, which keeps the newest
    !> events.
    type(c_ptr) :: path = c_null_ptr
    !> The most bytes that the log may have: at least 1 MiB, rounded down to a multiple of 64 KiB. An event has 64
    !> bytes. 0: 16 MiB in memory, 1 GiB in a file.
    integer(c_int64_t) :: capacity = 0
  end type

  !> What `tn_log_query` reports.
  type, bind(C) :: tn_log_stats
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 48
    !> TN_LOG_ bits that are recorded; 0: no log runs.
    integer(c_int32_t) :: kinds = 0
    !> 1: the events go to a file.
    integer(c_int32_t) :: is_file = 0
    !> Events in the log; a name counts as two.
    integer(c_int64_t) :: events = 0
    !> Events that newer ones have overwritten.
    integer(c_int64_t) :: overwritten = 0
    !> Events that found no room.
    integer(c_int64_t) :: dropped = 0
    !> The most bytes that the log may have.
    integer(c_int64_t) :: capacity = 0
  end type

  !> All copies of imports, exports and writes with one function, call site and reason.
  type, bind(C) :: tn_copy_site
    !> The name of the tn_ function; static text.
    type(c_ptr) :: function = c_null_ptr
    !> The call site (TN_HERE); "" if none.
    character(kind=c_char) :: site(64) = c_null_char
    !> TN_WHY_ bits.
    integer(c_int32_t) :: why = 0
    !> 1: the caller would have accepted an alias; 0: the caller asked for a copy.
    integer(c_int32_t) :: forced = 0
    !> Number of copies.
    integer(c_int64_t) :: count = 0
    !> Bytes of those.
    integer(c_int64_t) :: bytes = 0
    !> Zero.
    integer(c_int64_t) :: reserved = 0
  end type

  !> Threads of the caller on which large copies and kernels of the host may run.
  type, bind(C) :: tn_runner
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 40
    !> The function that runs tasks; NULL: no runner.
    type(c_funptr) :: run = c_null_funptr
    !> First argument of `run`. It must stay valid while the runner is current on any thread.
    type(c_ptr) :: context = c_null_ptr
    !> Largest number of tasks per copy or launch; 0 and 1: the work is not divided.
    integer(c_size_t) :: threads = 0
    !> Copies of fewer bytes stay on the calling thread; 0: 1 MiB.
    integer(c_size_t) :: least_bytes = 0
  end type

  !> One array in the memory of a thread block.
  type, bind(C) :: tn_block_item
    !> The element type.
    integer(c_int32_t) :: dtype = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
    !> The number of elements, 0 or more.
    integer(c_int64_t) :: count = 0
    !> Alignment of the first element in bytes: a power of two from 1 to 128; 0: the size of an element.
    integer(c_int64_t) :: align = 0
  end type

  !> An argument of a launch.
  type, bind(C) :: tn_arg
    !> TN_ARG_.
    integer(c_int32_t) :: kind = 0
    !> Arrays and mirrors: TN_READ, TN_READ_WRITE, or TN_WRITE, which overwrites every element; each may add TN_WAIT.
    !> Arrays: TN_READ may add TN_FROZEN, a writing access a TN_WRITE_ mode, and each but a frozen one TN_ALLOW_ALIAS.
    !> Not used for values.
    integer(c_int32_t) :: access = 0
    !> TN_ARG_ARRAY, TN_ARG_MIRROR: the N of the kernel's tn_view<T, N>, 1 to 8. An array without axes is passed as one
    !> axis of length 1, for which 0 is accepted too. Not used otherwise.
    integer(c_int32_t) :: ndim = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
    !> The `tn_array *`, the `tn_mirror *`, or the address of the value.
    type(c_ptr) :: what = c_null_ptr
    !> TN_ARG_VALUE: the bytes of the value, at least 1. Not used otherwise.
    integer(c_size_t) :: bytes = 0
  end type

  !> A block of a kernel of the host.
  type, bind(C) :: tn_host_block
    !> sizeof this struct, set by the library.
    integer(c_size_t) :: size = 64
    !> The blocks of the launch.
    integer(c_int32_t) :: grid(3) = 0
    !> The threads of a block, which the function runs itself.
    integer(c_int32_t) :: block(3) = 0
    !> The position of this block in the grid.
    integer(c_int32_t) :: index(3) = 0
    !> Zero.
    integer(c_int32_t) :: reserved = 0
    !> The block memory, aligned to 128 bytes; NULL if the launch asks for none. Its contents are undefined. No other
    !> block uses it at the same time.
    type(c_ptr) :: memory = c_null_ptr
    !> Bytes of it.
    integer(c_size_t) :: memory_bytes = 0
  end type

  !> What a launch runs, and how often.
  type, bind(C) :: tn_launch_config
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 80
    !> A kernel of a GPU: a CUfunction, or a CUkernel of a library (CUDA 12.0); or NULL.
    type(c_ptr) :: function = c_null_ptr
    !> The blocks in each of three directions, at least 1.
    integer(c_int32_t) :: grid(3) = 0
    !> The threads of a block in each of three directions, at least 1.
    integer(c_int32_t) :: block(3) = 0
    !> Bytes of dynamic block memory (CUDA's dynamic shared memory) of each block. The limit of the function is raised
    !> where necessary.
    integer(c_int64_t) :: block_bytes = 0
    !> The stream that runs the kernel. A constant means that stream of the GPU of the first argument that is memory of
    !> a GPU, or else of the GPU of the thread's current context. NULL: the current stream there, for which the call
    !> waits.
    type(c_ptr) :: stream = c_null_ptr
    !> A kernel of the host, in place of `function`; else NULL.
    type(c_funptr) :: host_function = c_null_funptr
    !> TN_LAUNCH_ flags, for a kernel of a GPU.
    integer(c_int32_t) :: flags = 0
    !> The blocks of a cluster in each of three directions, for a kernel of a GPU with compute capability 9.0 or newer;
    !> the grid is a multiple of it. All 0: no cluster, or the one that the kernel was compiled for.
    integer(c_int32_t) :: cluster(3) = 0
  end type

  !> How `tn_module_load` and `tn_module_compile` make a module.
  type, bind(C) :: tn_module_options
    !> sizeof this struct, set by the caller.
    integer(c_size_t) :: size = 64
    !> The name of the module in messages, reports, and the compiler's log: at most 63 bytes of UTF-8, copied.
    type(c_ptr) :: name = c_null_ptr
    !> `tn_module_compile`: "compute_80" makes PTX, which newer GPUs run too. "sm_80" makes a cubin for these GPUs,
    !> which older drivers run too. NULL: a cubin where all GPUs of the process are of one kind that the compiler knows,
    !> else PTX for the oldest of them; without a GPU, for the compiler's default.
    type(c_ptr) :: arch = c_null_ptr
    !> `tn_module_compile`: options of NVRTC, such as "-DTILE=16" and "--use_fast_math".
    type(c_ptr) :: options = c_null_ptr
    !> Number of `options`.
    integer(c_size_t) :: n_options = 0
    !> `tn_module_compile`: where the compiler's log goes, also after a failure, with a NUL and cut to `log_capacity`.
    !> NULL only with capacity 0.
    type(c_ptr) :: log = c_null_ptr
    !> Bytes of `log`.
    integer(c_size_t) :: log_capacity = 0
    !> `tn_module_compile`: where the length of the whole log goes, without its NUL; or NULL.
    type(c_ptr) :: log_length = c_null_ptr
  end type

  interface
    !> Returns the version of the loaded library, encoded as TN_VERSION.
    function tn_version() bind(C,name="tn_version") result(returned)
      import
      integer(c_int32_t) :: returned
    end function

    !> Returns the symbolic name of a status.
    function tn_status_name(status) bind(C,name="tn_status_name") result(returned)
      import
      integer(c_int32_t), value :: status
      type(c_ptr) :: returned
    end function

    !> Returns the message of this thread's last failed call: the function, what was wrong, the offending values, what
    !> to do.
    function tn_last_error() bind(C,name="tn_last_error") result(returned)
      import
      type(c_ptr) :: returned
    end function

    !> Sets an option of the whole process.
    function tn_option_set(name, value) bind(C,name="tn_option_set") result(returned)
      import
      character(kind=c_char), intent(in) :: name(*)
      character(kind=c_char), intent(in) :: value(*)
      integer(c_int32_t) :: returned
    end function

    !> Writes the value of an option, as text that `tn_option_set` accepts.
    function tn_option_get(name, capacity, text, length) bind(C,name="tn_option_get") result(returned)
      import
      character(kind=c_char), intent(in) :: name(*)
      integer(c_size_t), value :: capacity
      character(kind=c_char), intent(inout), optional :: text(*)
      integer(c_size_t), intent(inout) :: length
      integer(c_int32_t) :: returned
    end function

    !> Sets this thread's call site.
    function tn_here(file, line) bind(C,name="tn_here") result(returned)
      import
      character(kind=c_char), intent(in), optional :: file(*)
      integer(c_int32_t), value :: line
      integer(c_int32_t) :: returned
    end function

    !> Runs the release callbacks that TN_RELEASE_QUEUED delayed, in the order in which they were queued.
    function tn_run_releases(n_run) bind(C,name="tn_run_releases") result(returned)
      import
      integer(c_size_t), intent(inout), optional :: n_run
      integer(c_int32_t) :: returned
    end function

    !> Makes an array of new bytes with undefined contents.
    function tn_array_empty(pool, dtype, ndim, shape, options, out) bind(C,name="tn_array_empty") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_int32_t), value :: dtype
      integer(c_int32_t), value :: ndim
      integer(c_int64_t), intent(in), optional :: shape(*)
      type(tn_array_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes an array of new bytes that are all 0.
    function tn_array_zeros(pool, dtype, ndim, shape, options, out) bind(C,name="tn_array_zeros") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_int32_t), value :: dtype
      integer(c_int32_t), value :: ndim
      integer(c_int64_t), intent(in), optional :: shape(*)
      type(tn_array_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes an array whose elements all have one value.
    function tn_array_full(pool, dtype, ndim, shape, value, options, &
        out) bind(C,name="tn_array_full") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_int32_t), value :: dtype
      integer(c_int32_t), value :: ndim
      integer(c_int64_t), intent(in), optional :: shape(*)
      type(c_ptr), value :: value
      type(tn_array_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes an array with the type and shape of another one, of new bytes with undefined contents.
    function tn_array_like(prototype, pool, options, out) bind(C,name="tn_array_like") result(returned)
      import
      type(c_ptr), value :: prototype
      type(c_ptr), value :: pool
      type(tn_array_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes an array from the caller's host memory: an alias or a copy, as the flags say.
    function tn_array_import_host(ptr, layout, flags, release, context, out, &
        how) bind(C,name="tn_array_import_host") result(returned)
      import
      type(c_ptr), value :: ptr
      type(tn_layout), intent(in) :: layout
      integer(c_int32_t), value :: flags
      type(c_funptr), value :: release
      type(c_ptr), value :: context
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Describes an array: type, shape, strides, device, flags, form, bytes, name.
    function tn_array_query(array, info) bind(C,name="tn_array_query") result(returned)
      import
      type(c_ptr), value :: array
      type(tn_array_info), intent(inout) :: info
      integer(c_int32_t) :: returned
    end function

    !> Sets the name of the array in messages and reports.
    function tn_array_set_name(array, name) bind(C,name="tn_array_set_name") result(returned)
      import
      type(c_ptr), value :: array
      character(kind=c_char), intent(in), optional :: name(*)
      integer(c_int32_t) :: returned
    end function

    !> Sets whether the pool of an array may spill its bytes, see `tn_pool_set_spill`.
    function tn_array_set_spillable(array, on) bind(C,name="tn_array_set_spillable") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: on
      integer(c_int32_t) :: returned
    end function

    !> Sets the form of a matrix: what expressions take the array for.
    function tn_array_set_form(array, form) bind(C,name="tn_array_set_form") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: form
      integer(c_int32_t) :: returned
    end function

    !> Makes a new handle on the pool of an array's bytes.
    function tn_array_pool(array, out) bind(C,name="tn_array_pool") result(returned)
      import
      type(c_ptr), value :: array
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Waits until the device work on an array is done, so that the host may access the bytes, and brings them back if
    !> they were spilled.
    function tn_array_wait(array, access) bind(C,name="tn_array_wait") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: access
      integer(c_int32_t) :: returned
    end function

    !> Makes another handle with its own claim on the same bytes, and with the same layout, form and name.
    function tn_array_clone(array, out) bind(C,name="tn_array_clone") result(returned)
      import
      type(c_ptr), value :: array
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Copies an array to new bytes.
    function tn_array_copy(array, pool, stream, out) bind(C,name="tn_array_copy") result(returned)
      import
      type(c_ptr), value :: array
      type(c_ptr), value :: pool
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Releases an array handle and its claim.
    function tn_array_release(array) bind(C,name="tn_array_release") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t) :: returned
    end function

    !> Makes a weak handle, which keeps the layout but has no claim on the bytes.
    function tn_array_weaken(array, out) bind(C,name="tn_array_weaken") result(returned)
      import
      type(c_ptr), value :: array
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes an array handle, with a claim, from a weak handle.
    function tn_weak_upgrade(weak, out) bind(C,name="tn_weak_upgrade") result(returned)
      import
      type(c_ptr), value :: weak
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Releases a weak handle.
    function tn_weak_release(weak) bind(C,name="tn_weak_release") result(returned)
      import
      type(c_ptr), value :: weak
      integer(c_int32_t) :: returned
    end function

    !> Opens a `.npy` file as an array: maps it, or reads it into a pool's memory.
    function tn_array_open_npy(path, options, out) bind(C,name="tn_array_open_npy") result(returned)
      import
      character(kind=c_char), intent(in), optional :: path(*)
      type(tn_npy_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Opens an array in `.npy` format that begins at any byte of an open file, as `tn_array_open_npy` does.
    function tn_array_open_npy_fd(fd, offset, options, end, out) bind(C,name="tn_array_open_npy_fd") result(returned)
      import
      integer(c_int32_t), value :: fd
      integer(c_int64_t), value :: offset
      type(tn_npy_options), intent(in), optional :: options
      integer(c_int64_t), intent(inout), optional :: end(*)
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Saves an array as a `.npy` file for NumPy, in C order, or in F order if the array is only F-contiguous.
    function tn_array_save_npy(array, path, flags) bind(C,name="tn_array_save_npy") result(returned)
      import
      type(c_ptr), value :: array
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int32_t), value :: flags
      integer(c_int32_t) :: returned
    end function

    !> Writes an array in `.npy` format to an open file, pipe or socket, at the descriptor's position, which is behind
    !> the data afterwards.
    function tn_array_save_npy_fd(array, fd, flags) bind(C,name="tn_array_save_npy_fd") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: fd
      integer(c_int32_t), value :: flags
      integer(c_int32_t) :: returned
    end function

    !> Opens a read guard: until it ends, no other guard of this library may write the bytes.
    function tn_array_borrow_read(array, flags, stream, data, view, &
        out) bind(C,name="tn_array_borrow_read") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: flags
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout), optional :: data
      type(tn_view_info), intent(inout), optional :: view
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Opens a write guard: until it ends, no other guard of this library may read or write the bytes.
    function tn_array_borrow_write(array, mode, stream, data, view, &
        out) bind(C,name="tn_array_borrow_write") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: mode
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout), optional :: data
      type(tn_view_info), intent(inout), optional :: view
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Opens one guard on several arrays, all or none.
    function tn_borrow_all(n_specs, specs, views, out) bind(C,name="tn_borrow_all") result(returned)
      import
      integer(c_size_t), value :: n_specs
      type(tn_borrow_spec), intent(in), optional :: specs(*)
      type(tn_view_info), intent(inout), optional :: views(*)
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Opens write guards on consecutive parts of an axis, so that each part can be written by its own thread.
    function tn_array_split_write(array, axis, n_parts, mode, stream, &
        parts) bind(C,name="tn_array_split_write") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: axis
      integer(c_size_t), value :: n_parts
      integer(c_int32_t), value :: mode
      type(c_ptr), value :: stream
      type(tn_part), intent(inout) :: parts(*)
      integer(c_int32_t) :: returned
    end function

    !> Describes the memory that an open guard gives access to.
    function tn_borrow_query(borrow, info) bind(C,name="tn_borrow_query") result(returned)
      import
      type(c_ptr), value :: borrow
      type(tn_borrow_info), intent(inout) :: info
      integer(c_int32_t) :: returned
    end function

    !> Writes what a kernel gets of the memory of an open guard, for callers that launch their kernels themselves.
    function tn_borrow_kernel_view(borrow, ndim, bytes, out) bind(C,name="tn_borrow_kernel_view") result(returned)
      import
      type(c_ptr), value :: borrow
      integer(c_int32_t), value :: ndim
      integer(c_size_t), value :: bytes
      type(c_ptr), value :: out
      integer(c_int32_t) :: returned
    end function

    !> Ends a guard of any kind.
    function tn_borrow_end(borrow, flags, stream) bind(C,name="tn_borrow_end") result(returned)
      import
      type(c_ptr), value :: borrow
      integer(c_int32_t), value :: flags
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Accepts the bytes of an array as they are, after a writer that failed: they count as written.
    function tn_array_heal(array) bind(C,name="tn_array_heal") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t) :: returned
    end function

    !> Makes a view with another shape and the same elements in the same order.
    function tn_array_reshape(array, ndim, shape, order, out) bind(C,name="tn_array_reshape") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: ndim
      integer(c_int64_t), intent(in), optional :: shape(*)
      integer(c_int32_t), value :: order
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a one-dimensional view of all elements.
    function tn_array_ravel(array, order, out) bind(C,name="tn_array_ravel") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: order
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a view with all axes reversed.
    function tn_array_transpose(array, out) bind(C,name="tn_array_transpose") result(returned)
      import
      type(c_ptr), value :: array
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a view with the axes in another order.
    function tn_array_permute(array, ndim, axes, out) bind(C,name="tn_array_permute") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: ndim
      integer(c_int32_t), intent(in), optional :: axes(*)
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a view of a part of an array.
    function tn_array_slice(array, n_specs, specs, out) bind(C,name="tn_array_slice") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_size_t), value :: n_specs
      type(tn_slice_spec), intent(in), optional :: specs(*)
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a view of the elements at one index of an axis.
    function tn_array_index(array, axis, index, out) bind(C,name="tn_array_index") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: axis
      integer(c_int64_t), value :: index
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a view without axes of length 1.
    function tn_array_squeeze(array, n_axes, axes, out) bind(C,name="tn_array_squeeze") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_size_t), value :: n_axes
      integer(c_int32_t), intent(in), optional :: axes(*)
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a view with a new axis of length 1.
    function tn_array_expand(array, axis, out) bind(C,name="tn_array_expand") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: axis
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Broadcasts an array to a larger shape, with NumPy's rules: shapes are aligned at the last axis, and lengths of 1
    !> are stretched.
    function tn_array_broadcast(array, ndim, shape, out) bind(C,name="tn_array_broadcast") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: ndim
      integer(c_int64_t), intent(in), optional :: shape(*)
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Splits an axis into a given number of consecutive views, whose lengths differ by at most 1, the longer ones
    !> first.
    function tn_array_split(array, axis, n_parts, capacity, outs, &
        n_outs) bind(C,name="tn_array_split") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: axis
      integer(c_size_t), value :: n_parts
      integer(c_size_t), value :: capacity
      type(c_ptr), intent(inout), optional :: outs(*)
      integer(c_size_t), intent(inout) :: n_outs
      integer(c_int32_t) :: returned
    end function

    !> Splits an axis into consecutive views of a given length, of which the last may be shorter.
    function tn_array_chunks(array, axis, length, capacity, outs, &
        n_outs) bind(C,name="tn_array_chunks") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: axis
      integer(c_int64_t), value :: length
      integer(c_size_t), value :: capacity
      type(c_ptr), intent(inout), optional :: outs(*)
      integer(c_size_t), intent(inout) :: n_outs
      integer(c_int32_t) :: returned
    end function

    !> Makes a view of the same bytes as another element type.
    function tn_array_view_dtype(array, dtype, out) bind(C,name="tn_array_view_dtype") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: dtype
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Tests whether two arrays overlap in memory.
    function tn_array_overlap(a, b, out) bind(C,name="tn_array_overlap") result(returned)
      import
      type(c_ptr), value :: a
      type(c_ptr), value :: b
      integer(c_int32_t), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Gives an array away: makes a promise not to use the handle again, which `tn_take` or `tn_enter` opens.
    function tn_array_give(array, n_required, out) bind(C,name="tn_array_give") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_size_t), value :: n_required
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Cancels a promise, so that the giver can use its array again.
    function tn_promise_cancel(promise) bind(C,name="tn_promise_cancel") result(returned)
      import
      type(c_ptr), value :: promise
      integer(c_int32_t) :: returned
    end function

    !> Releases a promise.
    function tn_promise_release(promise) bind(C,name="tn_promise_release") result(returned)
      import
      type(c_ptr), value :: promise
      integer(c_int32_t) :: returned
    end function

    !> Takes arrays: opens promises, all or none, and makes a new handle for each.
    function tn_take(n_promises, promises, out) bind(C,name="tn_take") result(returned)
      import
      integer(c_size_t), value :: n_promises
      type(c_ptr), intent(in), optional :: promises(*)
      type(c_ptr), intent(inout), optional :: out(*)
      integer(c_int32_t) :: returned
    end function

    !> Enters a scope: the callee gets its own handle for every parameter, all or none.
    function tn_enter(n_params, params, out, scope) bind(C,name="tn_enter") result(returned)
      import
      integer(c_size_t), value :: n_params
      type(c_ptr), intent(in), optional :: params(*)
      type(c_ptr), intent(inout), optional :: out(*)
      type(c_ptr), intent(inout) :: scope
      integer(c_int32_t) :: returned
    end function

    !> Leaves a scope: releases its remaining handles, in the order of its parameters.
    function tn_leave(scope, n_keep, keep) bind(C,name="tn_leave") result(returned)
      import
      type(c_ptr), value :: scope
      integer(c_size_t), value :: n_keep
      type(c_ptr), intent(in), optional :: keep(*)
      integer(c_int32_t) :: returned
    end function

    !> Tests whether this handle is the only holder of its store: no other claims, guards or exports.
    function tn_array_is_unique(array, out) bind(C,name="tn_array_is_unique") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Lists the reasons why the array's bytes cannot be overwritten in place, and the holders of the store.
    function tn_array_why_not(array, target, item_size, capacity, bits, holders, &
        n_holders) bind(C,name="tn_array_why_not") result(returned)
      import
      type(c_ptr), value :: array
      type(tn_target), intent(in), optional :: target
      integer(c_size_t), value :: item_size
      integer(c_size_t), value :: capacity
      integer(c_int32_t), intent(inout) :: bits
      type(tn_holder), intent(inout), optional :: holders(*)
      integer(c_size_t), intent(inout) :: n_holders
      integer(c_int32_t) :: returned
    end function

    !> Finds the store or raw block of some bytes, and its holders.
    function tn_holders_of(ptr, bytes, item_size, capacity, store, holders, &
        n_holders) bind(C,name="tn_holders_of") result(returned)
      import
      type(c_ptr), value :: ptr
      integer(c_size_t), value :: bytes
      integer(c_size_t), value :: item_size
      integer(c_size_t), value :: capacity
      type(tn_store_info), intent(inout), optional :: store
      type(tn_holder), intent(inout), optional :: holders(*)
      integer(c_size_t), intent(inout) :: n_holders
      integer(c_int32_t) :: returned
    end function

    !> Finds the store of an array, and its holders.
    function tn_array_holders(array, item_size, capacity, store, holders, &
        n_holders) bind(C,name="tn_array_holders") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_size_t), value :: item_size
      integer(c_size_t), value :: capacity
      type(tn_store_info), intent(inout), optional :: store
      type(tn_holder), intent(inout), optional :: holders(*)
      integer(c_size_t), intent(inout) :: n_holders
      integer(c_int32_t) :: returned
    end function

    !> Creates a pool on a device.
    function tn_pool_create(device, options, out) bind(C,name="tn_pool_create") result(returned)
      import
      type(tn_device), value :: device
      type(tn_pool_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Creates a pool that allocates and deallocates its memory through the caller's callbacks.
    function tn_pool_import(device, upstream, options, out) bind(C,name="tn_pool_import") result(returned)
      import
      type(tn_device), value :: device
      type(tn_upstream), intent(in) :: upstream
      type(tn_pool_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a new handle on the process-wide default pool of a device: the pool that `tn_pool_set_default` set, else
    !> the initial default pool, which is created at its first use and lives until the process ends.
    function tn_pool_default(device, out) bind(C,name="tn_pool_default") result(returned)
      import
      type(tn_device), value :: device
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Sets the process-wide default pool of the pool's device: the meaning of NULL as a pool on all threads that set no
    !> current pool.
    function tn_pool_set_default(pool) bind(C,name="tn_pool_set_default") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_int32_t) :: returned
    end function

    !> Sets the thread's current pool of the pool's device: the meaning of NULL as a pool on this thread.
    function tn_pool_set_current(pool) bind(C,name="tn_pool_set_current") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_int32_t) :: returned
    end function

    !> Makes a new handle on the thread's current pool of a device, which at first is the default pool.
    function tn_pool_current(device, out) bind(C,name="tn_pool_current") result(returned)
      import
      type(tn_device), value :: device
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Releases a handle on a pool.
    function tn_pool_release(pool) bind(C,name="tn_pool_release") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_int32_t) :: returned
    end function

    !> Allocates a raw block with undefined contents.
    function tn_pool_allocate(pool, bytes, alignment, stream, out) bind(C,name="tn_pool_allocate") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_size_t), value :: bytes
      integer(c_size_t), value :: alignment
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Allocates a raw block whose first `bytes` bytes are 0.
    function tn_pool_allocate_zeroed(pool, bytes, alignment, stream, &
        out) bind(C,name="tn_pool_allocate_zeroed") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_size_t), value :: bytes
      integer(c_size_t), value :: alignment
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Resizes a raw block: in place if there is room, else by moving its pages or copying its bytes.
    function tn_pool_reallocate(pool, ptr, bytes, stream, out) bind(C,name="tn_pool_reallocate") result(returned)
      import
      type(c_ptr), value :: pool
      type(c_ptr), value :: ptr
      integer(c_size_t), value :: bytes
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Frees a raw block.
    function tn_pool_deallocate(pool, ptr, stream) bind(C,name="tn_pool_deallocate") result(returned)
      import
      type(c_ptr), value :: pool
      type(c_ptr), value :: ptr
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Records that a raw block is also used on another stream than the one on which it will be freed.
    function tn_pool_record_use(pool, ptr, stream) bind(C,name="tn_pool_record_use") result(returned)
      import
      type(c_ptr), value :: pool
      type(c_ptr), value :: ptr
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Lets another pool serve the requests for a pool's memory on a stream, until `tn_pool_private_end`:
    !> `tn_pool_allocate`, `tn_pool_allocate_zeroed` and new arrays.
    function tn_pool_private_begin(pool, private_pool, stream) bind(C,name="tn_pool_private_begin") result(returned)
      import
      type(c_ptr), value :: pool
      type(c_ptr), value :: private_pool
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Ends what `tn_pool_private_begin` began: the pool serves its requests on the stream itself.
    function tn_pool_private_end(pool, stream) bind(C,name="tn_pool_private_end") result(returned)
      import
      type(c_ptr), value :: pool
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Makes a new handle on the pool whose live block, raw or of an array, contains an address.
    function tn_pool_of(ptr, out) bind(C,name="tn_pool_of") result(returned)
      import
      type(c_ptr), value :: ptr
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Writes the usable size of a live block: at least the requested size.
    function tn_pool_usable_size(ptr, out) bind(C,name="tn_pool_usable_size") result(returned)
      import
      type(c_ptr), value :: ptr
      integer(c_size_t), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Writes the statistics of a pool, a snapshot of one moment.
    function tn_pool_query(pool, stats) bind(C,name="tn_pool_query") result(returned)
      import
      type(c_ptr), value :: pool
      type(tn_pool_stats), intent(inout) :: stats
      integer(c_int32_t) :: returned
    end function

    !> Resets the peaks of a pool to the current values.
    function tn_pool_reset_peak(pool) bind(C,name="tn_pool_reset_peak") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_int32_t) :: returned
    end function

    !> Returns cached memory to the device, longest unused first, until at most `keep_bytes` are cached or no whole
    !> segment is free.
    function tn_pool_trim(pool, keep_bytes, released_bytes) bind(C,name="tn_pool_trim") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_size_t), value :: keep_bytes
      integer(c_size_t), intent(inout), optional :: released_bytes
      integer(c_int32_t) :: returned
    end function

    !> Lets a pool of ordinary host memory spill: at its limit, it writes arrays that nobody uses to files, and frees
    !> their memory, before a request fails with TN_ERR_POOL_LIMIT.
    function tn_pool_set_spill(pool, options) bind(C,name="tn_pool_set_spill") result(returned)
      import
      type(c_ptr), value :: pool
      type(tn_spill_options), intent(in), optional :: options
      integer(c_int32_t) :: returned
    end function

    !> Spills arrays that nobody uses now, the one that was used longest ago first, until at least `bytes` bytes of
    !> memory are free or none is left.
    function tn_pool_spill(pool, bytes, spilled_bytes) bind(C,name="tn_pool_spill") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_size_t), value :: bytes
      integer(c_size_t), intent(inout), optional :: spilled_bytes(*)
      integer(c_int32_t) :: returned
    end function

    !> Lists the size classes of a pool that were ever used.
    function tn_pool_query_classes(pool, item_size, capacity, classes, &
        n_classes) bind(C,name="tn_pool_query_classes") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_size_t), value :: item_size
      integer(c_size_t), value :: capacity
      type(tn_pool_class_stats), intent(inout), optional :: classes(*)
      integer(c_size_t), intent(inout) :: n_classes
      integer(c_int32_t) :: returned
    end function

    !> Lists the clients of a pool with their statistics: arrays, raw blocks, and each library that allocates from it.
    function tn_pool_query_clients(pool, item_size, capacity, clients, &
        n_clients) bind(C,name="tn_pool_query_clients") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_size_t), value :: item_size
      integer(c_size_t), value :: capacity
      type(tn_pool_client), intent(inout), optional :: clients(*)
      integer(c_size_t), intent(inout) :: n_clients
      integer(c_int32_t) :: returned
    end function

    !> Registers a callback for when the pool is out of memory: after the cached memory of all pools of the device was
    !> released, and before the request fails.
    function tn_pool_on_pressure(pool, callback, context, release) bind(C,name="tn_pool_on_pressure") result(returned)
      import
      type(c_ptr), value :: pool
      type(c_funptr), value :: callback
      type(c_ptr), value :: context
      type(c_funptr), value :: release
      integer(c_int32_t) :: returned
    end function

    !> Ends a registration.
    function tn_pool_off_pressure(pool, callback, context) bind(C,name="tn_pool_off_pressure") result(returned)
      import
      type(c_ptr), value :: pool
      type(c_funptr), value :: callback
      type(c_ptr), value :: context
      integer(c_int32_t) :: returned
    end function

    !> Copies the elements of one array into another.
    function tn_array_copy_into(source, destination, mode, stream) bind(C,name="tn_array_copy_into") result(returned)
      import
      type(c_ptr), value :: source
      type(c_ptr), value :: destination
      integer(c_int32_t), value :: mode
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Copies an array to a new array on a device, even if the array is on that device already.
    function tn_array_to_device(array, device, pool, stream, out) bind(C,name="tn_array_to_device") result(returned)
      import
      type(c_ptr), value :: array
      type(tn_device), value :: device
      type(c_ptr), value :: pool
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Moves a given array to a device: takes the promise, copies the elements to a new array there, and releases the
    !> old bytes.
    function tn_promise_to_device(promise, device, pool, stream, &
        out) bind(C,name="tn_promise_to_device") result(returned)
      import
      type(c_ptr), value :: promise
      type(tn_device), value :: device
      type(c_ptr), value :: pool
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Copies an array's elements into raw host memory.
    function tn_array_copy_to_host(array, ptr, layout, stream) bind(C,name="tn_array_copy_to_host") result(returned)
      import
      type(c_ptr), value :: array
      type(c_ptr), value :: ptr
      type(tn_layout), intent(in), optional :: layout
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Copies elements from raw host memory into an array.
    function tn_array_copy_from_host(array, ptr, layout, mode, &
        stream) bind(C,name="tn_array_copy_from_host") result(returned)
      import
      type(c_ptr), value :: array
      type(c_ptr), value :: ptr
      type(tn_layout), intent(in), optional :: layout
      integer(c_int32_t), value :: mode
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Overwrites every element of an array with one value.
    function tn_array_fill(array, value, mode, stream) bind(C,name="tn_array_fill") result(returned)
      import
      type(c_ptr), value :: array
      type(c_ptr), value :: value
      integer(c_int32_t), value :: mode
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Overwrites every byte of an array's elements with 0.
    function tn_array_clear(array, mode, stream) bind(C,name="tn_array_clear") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: mode
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Page-locks the caller's memory, so that devices can copy it directly, and makes a one-dimensional array of u8 on
    !> TN_CUDA_HOST from it.
    function tn_host_register(ptr, bytes, flags, out) bind(C,name="tn_host_register") result(returned)
      import
      type(c_ptr), value :: ptr
      integer(c_size_t), value :: bytes
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Advises the driver how managed memory will be used.
    function tn_array_advise(array, advice, device) bind(C,name="tn_array_advise") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: advice
      type(tn_device), value :: device
      integer(c_int32_t) :: returned
    end function

    !> Moves managed memory to the device where it will be used next.
    function tn_array_prefetch(array, device, stream) bind(C,name="tn_array_prefetch") result(returned)
      import
      type(c_ptr), value :: array
      type(tn_device), value :: device
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Counts the devices of a type.
    function tn_device_count(type, out) bind(C,name="tn_device_count") result(returned)
      import
      integer(c_int32_t), value :: type
      integer(c_size_t), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Describes a device.
    function tn_device_query(device, flags, info) bind(C,name="tn_device_query") result(returned)
      import
      type(tn_device), value :: device
      integer(c_int32_t), value :: flags
      type(tn_device_info), intent(inout) :: info
      integer(c_int32_t) :: returned
    end function

    !> Waits for all work on a device, whoever issued it.
    function tn_device_synchronize(device) bind(C,name="tn_device_synchronize") result(returned)
      import
      type(tn_device), value :: device
      integer(c_int32_t) :: returned
    end function

    !> Creates a stream: a queue of work on a GPU that is executed in order, concurrently with other streams.
    function tn_stream_create(device, flags, priority, out) bind(C,name="tn_stream_create") result(returned)
      import
      type(tn_device), value :: device
      integer(c_int32_t), value :: flags
      integer(c_int32_t), value :: priority
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a handle on another library's stream.
    function tn_stream_import(device, native, out) bind(C,name="tn_stream_import") result(returned)
      import
      type(tn_device), value :: device
      integer(c_int64_t), value :: native
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Writes the CUstream of a stream, for other libraries.
    function tn_stream_native(stream, out) bind(C,name="tn_stream_native") result(returned)
      import
      type(c_ptr), value :: stream
      integer(c_int64_t), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Waits until all work issued on a stream so far is done.
    function tn_stream_synchronize(stream) bind(C,name="tn_stream_synchronize") result(returned)
      import
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Sets the calling thread's current stream of a device: the meaning of TN_STREAM_CURRENT there, and of NULL as the
    !> stream of a pool call.
    function tn_stream_set_current(device, stream) bind(C,name="tn_stream_set_current") result(returned)
      import
      type(tn_device), value :: device
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Makes a handle on the calling thread's current stream of a device.
    function tn_stream_current(device, out) bind(C,name="tn_stream_current") result(returned)
      import
      type(tn_device), value :: device
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a stream the thread's current one until `tn_stream_leave`.
    function tn_stream_enter(device, stream, flags, out) bind(C,name="tn_stream_enter") result(returned)
      import
      type(tn_device), value :: device
      type(c_ptr), value :: stream
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Leaves a scope: restores the current stream from before the scope, whatever was set inside it.
    function tn_stream_leave(scope) bind(C,name="tn_stream_leave") result(returned)
      import
      type(c_ptr), value :: scope
      integer(c_int32_t) :: returned
    end function

    !> Makes the work that is issued on a stream from now on wait for an event.
    function tn_stream_wait_event(stream, event) bind(C,name="tn_stream_wait_event") result(returned)
      import
      type(c_ptr), value :: stream
      type(c_ptr), value :: event
      integer(c_int32_t) :: returned
    end function

    !> Returns TN_STREAM_LEGACY, for languages that cannot use pointer constants of a C header.
    function tn_stream_legacy() bind(C,name="tn_stream_legacy") result(returned)
      import
      type(c_ptr) :: returned
    end function

    !> Returns TN_STREAM_PER_THREAD, for languages that cannot use pointer constants of a C header.
    function tn_stream_per_thread() bind(C,name="tn_stream_per_thread") result(returned)
      import
      type(c_ptr) :: returned
    end function

    !> Returns TN_STREAM_CURRENT, for languages that cannot use pointer constants of a C header.
    function tn_stream_of_thread() bind(C,name="tn_stream_of_thread") result(returned)
      import
      type(c_ptr) :: returned
    end function

    !> Releases a handle on a stream.
    function tn_stream_release(stream) bind(C,name="tn_stream_release") result(returned)
      import
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Creates an event.
    function tn_event_create(device, flags, out) bind(C,name="tn_event_create") result(returned)
      import
      type(tn_device), value :: device
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Records an event after all work issued on a stream so far.
    function tn_event_record(event, stream) bind(C,name="tn_event_record") result(returned)
      import
      type(c_ptr), value :: event
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function

    !> Waits until the work before an event is done.
    function tn_event_synchronize(event) bind(C,name="tn_event_synchronize") result(returned)
      import
      type(c_ptr), value :: event
      integer(c_int32_t) :: returned
    end function

    !> Tests whether the work before an event is done.
    function tn_event_query(event, out) bind(C,name="tn_event_query") result(returned)
      import
      type(c_ptr), value :: event
      integer(c_int32_t), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Computes the time between two events, by the device's clock.
    function tn_event_elapsed(start, end, elapsed_ns) bind(C,name="tn_event_elapsed") result(returned)
      import
      type(c_ptr), value :: start
      type(c_ptr), value :: end
      integer(c_int64_t), intent(inout) :: elapsed_ns
      integer(c_int32_t) :: returned
    end function

    !> Releases an event.
    function tn_event_release(event) bind(C,name="tn_event_release") result(returned)
      import
      type(c_ptr), value :: event
      integer(c_int32_t) :: returned
    end function

    !> Sets the runner of this thread: a function that spreads its large copies, and the blocks of kernels of the host
    !> that it launches, over threads of the caller.
    function tn_runner_set_current(runner) bind(C,name="tn_runner_set_current") result(returned)
      import
      type(tn_runner), intent(in), optional :: runner
      integer(c_int32_t) :: returned
    end function

    !> Writes the runner of this thread, for a later `tn_runner_set_current`.
    function tn_runner_current(out) bind(C,name="tn_runner_current") result(returned)
      import
      type(tn_runner), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Exports an array as raw host bytes with a layout, for consumers without an exchange format.
    function tn_array_export_host(array, flags, mode, stream, view, guard, &
        how) bind(C,name="tn_array_export_host") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: flags
      integer(c_int32_t), value :: mode
      type(c_ptr), value :: stream
      type(tn_view_info), intent(inout) :: view
      type(c_ptr), intent(inout) :: guard
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Exports an array as a DLManagedTensor: the DLPack struct without a version, which cannot express "read-only".
    function tn_array_export_dlpack(array, options, out, how) bind(C,name="tn_array_export_dlpack") result(returned)
      import
      type(c_ptr), value :: array
      type(tn_dlpack_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Exports an array as a DLManagedTensorVersioned of version 1.1, with its flags for read-only and copied.
    function tn_array_export_dlpack_versioned(array, options, out, &
        how) bind(C,name="tn_array_export_dlpack_versioned") result(returned)
      import
      type(c_ptr), value :: array
      type(tn_dlpack_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Makes an array from a DLManagedTensor.
    function tn_array_import_dlpack(tensor, flags, out, how) bind(C,name="tn_array_import_dlpack") result(returned)
      import
      type(c_ptr), value :: tensor
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Makes an array from a DLManagedTensorVersioned.
    function tn_array_import_dlpack_versioned(tensor, flags, out, &
        how) bind(C,name="tn_array_import_dlpack_versioned") result(returned)
      import
      type(c_ptr), value :: tensor
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Gets DLPack's table of C functions, with which other libraries exchange arrays with the Python package without a
    !> call into the interpreter.
    function tn_dlpack_exchange_api(out) bind(C,name="tn_dlpack_exchange_api") result(returned)
      import
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Exports an array that devices can access, as the CUDA array interface describes it.
    function tn_array_export_cuda_array_interface(array, flags, mode, stream, out, guard, &
        how) bind(C,name="tn_array_export_cuda_array_interface") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: flags
      integer(c_int32_t), value :: mode
      type(c_ptr), value :: stream
      type(tn_cuda_array_interface), intent(inout) :: out
      type(c_ptr), intent(inout) :: guard
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Makes an array of memory that the CUDA array interface of another library describes.
    function tn_array_import_cuda_array_interface(source, flags, release, context, out, &
        how) bind(C,name="tn_array_import_cuda_array_interface") result(returned)
      import
      type(tn_cuda_array_interface), intent(in) :: source
      integer(c_int32_t), value :: flags
      type(c_funptr), value :: release
      type(c_ptr), value :: context
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Exports an array as CUDAMat's matrix of float32.
    function tn_array_export_cudamat(array, flags, mode, out, guard, &
        how) bind(C,name="tn_array_export_cudamat") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: flags
      integer(c_int32_t), value :: mode
      type(tn_cudamat), intent(inout) :: out
      type(c_ptr), intent(inout) :: guard
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Makes an array of the elements of CUDAMat's matrix.
    function tn_array_import_cudamat(source, flags, release, context, out, &
        how) bind(C,name="tn_array_import_cudamat") result(returned)
      import
      type(tn_cudamat), intent(in) :: source
      integer(c_int32_t), value :: flags
      type(c_funptr), value :: release
      type(c_ptr), value :: context
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Exports an array through Arrow's C data interface.
    function tn_array_export_arrow(array, flags, schema, out, &
        how) bind(C,name="tn_array_export_arrow") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: flags
      type(c_ptr), value :: schema
      type(c_ptr), value :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Exports an array through Arrow's C device interface: as `tn_array_export_arrow`, from any memory.
    function tn_array_export_arrow_device(array, flags, schema, out, &
        how) bind(C,name="tn_array_export_arrow_device") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: flags
      type(c_ptr), value :: schema
      type(c_ptr), value :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Makes an array from an Arrow array of numbers, or of fixed-size lists of numbers.
    function tn_array_import_arrow(schema, source, flags, out, &
        how) bind(C,name="tn_array_import_arrow") result(returned)
      import
      type(c_ptr), value :: schema
      type(c_ptr), value :: source
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Makes an array from an Arrow device array in memory of the host or of a GPU.
    function tn_array_import_arrow_device(schema, source, flags, out, &
        how) bind(C,name="tn_array_import_arrow_device") result(returned)
      import
      type(c_ptr), value :: schema
      type(c_ptr), value :: source
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Exports an array to other processes.
    function tn_array_export_ipc(array, flags, capacity, descriptor, descriptor_bytes, fd, guard, &
        how) bind(C,name="tn_array_export_ipc") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: flags
      integer(c_size_t), value :: capacity
      type(c_ptr), value :: descriptor
      integer(c_size_t), intent(inout) :: descriptor_bytes
      integer(c_int32_t), intent(inout) :: fd
      type(c_ptr), intent(inout) :: guard
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Makes an array of the bytes that another process exported, or this one.
    function tn_array_import_ipc(descriptor, descriptor_bytes, fd, flags, out, &
        how) bind(C,name="tn_array_import_ipc") result(returned)
      import
      type(c_ptr), value :: descriptor
      integer(c_size_t), value :: descriptor_bytes
      integer(c_int32_t), value :: fd
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t), intent(inout), optional :: how
      integer(c_int32_t) :: returned
    end function

    !> Lists the tensors of a safetensors file, in the order of their bytes.
    function tn_safetensors_query(path, item_size, capacity, infos, &
        n_infos) bind(C,name="tn_safetensors_query") result(returned)
      import
      character(kind=c_char), intent(in) :: path(*)
      integer(c_size_t), value :: item_size
      integer(c_size_t), value :: capacity
      type(tn_safetensors_info), intent(inout), optional :: infos(*)
      integer(c_size_t), intent(inout) :: n_infos
      integer(c_int32_t) :: returned
    end function

    !> Lists the tensors of an open safetensors file, as `tn_safetensors_query` does.
    function tn_safetensors_query_fd(fd, offset, item_size, capacity, infos, &
        n_infos) bind(C,name="tn_safetensors_query_fd") result(returned)
      import
      integer(c_int32_t), value :: fd
      integer(c_int64_t), value :: offset
      integer(c_size_t), value :: item_size
      integer(c_size_t), value :: capacity
      type(tn_safetensors_info), intent(inout), optional :: infos(*)
      integer(c_size_t), intent(inout) :: n_infos
      integer(c_int32_t) :: returned
    end function

    !> Opens tensors of a safetensors file by their names, all or none.
    function tn_array_open_safetensors(path, n_names, names, options, out, &
        how) bind(C,name="tn_array_open_safetensors") result(returned)
      import
      character(kind=c_char), intent(in) :: path(*)
      integer(c_size_t), value :: n_names
      type(c_ptr), intent(in), optional :: names(*)
      type(tn_safetensors_options), intent(in), optional :: options
      type(c_ptr), intent(inout), optional :: out(*)
      integer(c_int32_t), intent(inout), optional :: how(*)
      integer(c_int32_t) :: returned
    end function

    !> Opens tensors of an open safetensors file by their names, all or none, as `tn_array_open_safetensors` does.
    function tn_array_open_safetensors_fd(fd, offset, n_names, names, options, out, &
        how) bind(C,name="tn_array_open_safetensors_fd") result(returned)
      import
      integer(c_int32_t), value :: fd
      integer(c_int64_t), value :: offset
      integer(c_size_t), value :: n_names
      type(c_ptr), intent(in), optional :: names(*)
      type(tn_safetensors_options), intent(in), optional :: options
      type(c_ptr), intent(inout), optional :: out(*)
      integer(c_int32_t), intent(inout), optional :: how(*)
      integer(c_int32_t) :: returned
    end function

    !> Computes where several arrays lie in the memory of a thread block (CUDA's shared memory), and how many bytes they
    !> need.
    function tn_block_layout(n_items, items, offsets, total) bind(C,name="tn_block_layout") result(returned)
      import
      integer(c_size_t), value :: n_items
      type(tn_block_item), intent(in), optional :: items(*)
      integer(c_int64_t), intent(inout), optional :: offsets(*)
      integer(c_int64_t), intent(inout) :: total
      integer(c_int32_t) :: returned
    end function

    !> Writes a report as JSON: every pool with its statistics and clients, every store with its holders, their call
    !> sites and ages, raw blocks by call site, other open objects, the copy book, and the copies of this library in the
    !> process.
    function tn_report_json(flags, capacity, text, length) bind(C,name="tn_report_json") result(returned)
      import
      integer(c_int32_t), value :: flags
      integer(c_size_t), value :: capacity
      character(kind=c_char), intent(inout), optional :: text(*)
      integer(c_size_t), intent(inout) :: length
      integer(c_int32_t) :: returned
    end function

    !> Saves a page for a browser: a map of the memory, the arrays with their holders, the copy book, pools and limits.
    function tn_report_html(flags, path) bind(C,name="tn_report_html") result(returned)
      import
      integer(c_int32_t), value :: flags
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int32_t) :: returned
    end function

    !> Writes the page of `tn_report_html` into memory.
    function tn_report_html_text(flags, capacity, text, length) bind(C,name="tn_report_html_text") result(returned)
      import
      integer(c_int32_t), value :: flags
      integer(c_size_t), value :: capacity
      character(kind=c_char), intent(inout), optional :: text(*)
      integer(c_size_t), intent(inout) :: length
      integer(c_int32_t) :: returned
    end function

    !> Lists the copy book: the copies of imports, exports and copy-on-write, added up by function, call site and
    !> reason, most bytes first.
    function tn_copies_query(item_size, capacity, sites, n_sites) bind(C,name="tn_copies_query") result(returned)
      import
      integer(c_size_t), value :: item_size
      integer(c_size_t), value :: capacity
      type(tn_copy_site), intent(inout), optional :: sites(*)
      integer(c_size_t), intent(inout) :: n_sites
      integer(c_int32_t) :: returned
    end function

    !> Forbids copies on this thread where the caller would have accepted an alias.
    function tn_copies_forbid(on) bind(C,name="tn_copies_forbid") result(returned)
      import
      integer(c_int32_t), value :: on
      integer(c_int32_t) :: returned
    end function

    !> Lists every object that was not released so far: handles, guards, exports, promises, weak handles, scopes,
    !> expressions, shared variables, functions, pools, raw blocks of pools, queued release callbacks.
    function tn_leaks(item_size, capacity, leaks, n_leaks) bind(C,name="tn_leaks") result(returned)
      import
      integer(c_size_t), value :: item_size
      integer(c_size_t), value :: capacity
      type(tn_holder), intent(inout), optional :: leaks(*)
      integer(c_size_t), intent(inout) :: n_leaks
      integer(c_int32_t) :: returned
    end function

    !> Begins to record events: what happens to the memory of all pools and arrays of the process, with times, threads
    !> and call sites.
    function tn_log_start(options) bind(C,name="tn_log_start") result(returned)
      import
      type(tn_log_options), intent(in), optional :: options
      integer(c_int32_t) :: returned
    end function

    !> Ends the log.
    function tn_log_stop() bind(C,name="tn_log_stop") result(returned)
      import
      integer(c_int32_t) :: returned
    end function

    !> Saves the log that is in memory, as a file of the format that a log in a file has.
    function tn_log_save(path) bind(C,name="tn_log_save") result(returned)
      import
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int32_t) :: returned
    end function

    !> Reports how many events the log has: the one that runs, or the last one, if it was in memory.
    function tn_log_query(stats) bind(C,name="tn_log_query") result(returned)
      import
      type(tn_log_stats), intent(inout) :: stats
      integer(c_int32_t) :: returned
    end function

    !> Gets the table of operations with which UMF makes Tenure pools over its providers (umfPoolCreate).
    function tn_umf_pool_ops(version, out) bind(C,name="tn_umf_pool_ops") result(returned)
      import
      integer(c_int32_t), value :: version
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Gets the table of operations with which UMF makes providers over Tenure pools (umfMemoryProviderCreate).
    function tn_umf_provider_ops(version, out) bind(C,name="tn_umf_provider_ops") result(returned)
      import
      integer(c_int32_t), value :: version
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Allocates a block for a C++ container; tenure_memory.hpp uses it.
    function tn_cpp_allocate(pool, bytes, alignment, out) bind(C,name="tn_cpp_allocate") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_size_t), value :: bytes
      integer(c_size_t), value :: alignment
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Frees a block from `tn_cpp_allocate`.
    function tn_cpp_deallocate(pool, ptr) bind(C,name="tn_cpp_deallocate") result(returned)
      import
      type(c_ptr), value :: pool
      type(c_ptr), value :: ptr
      integer(c_int32_t) :: returned
    end function

    !> Makes a leaf of an expression from an array.
    function tn_expr_leaf(array, form, out) bind(C,name="tn_expr_leaf") result(returned)
      import
      type(c_ptr), value :: array
      integer(c_int32_t), value :: form
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the sum x + y.
    function tn_expr_add(x, y, out) bind(C,name="tn_expr_add") result(returned)
      import
      type(c_ptr), value :: x
      type(c_ptr), value :: y
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the difference x - y, with the forms of `tn_expr_add`.
    function tn_expr_subtract(x, y, out) bind(C,name="tn_expr_subtract") result(returned)
      import
      type(c_ptr), value :: x
      type(c_ptr), value :: y
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the product of a matrix and a matrix or vector.
    function tn_expr_multiply(m, x, out) bind(C,name="tn_expr_multiply") result(returned)
      import
      type(c_ptr), value :: m
      type(c_ptr), value :: x
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the lower Cholesky factor of a symmetric positive definite matrix.
    function tn_expr_cholesky(x, out) bind(C,name="tn_expr_cholesky") result(returned)
      import
      type(c_ptr), value :: x
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the LU factors of a square matrix, with partial pivoting, for several uses: `tn_expr_solve` with them as m
    !> solves the equations of x, `tn_expr_multiply` with them as m multiplies by x, `tn_expr_transpose` makes them
    !> those of the transpose, and `tn_expr_lu_part` shows them.
    function tn_expr_lu(x, out) bind(C,name="tn_expr_lu") result(returned)
      import
      type(c_ptr), value :: x
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a part of LU factors: with P, L and U, the matrix is P * L * U.
    function tn_expr_lu_part(factors, part, out) bind(C,name="tn_expr_lu_part") result(returned)
      import
      type(c_ptr), value :: factors
      integer(c_int32_t), value :: part
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the solution x of m * x = b.
    function tn_expr_solve(m, b, out) bind(C,name="tn_expr_solve") result(returned)
      import
      type(c_ptr), value :: m
      type(c_ptr), value :: b
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the product of x and a number, in the form of x.
    function tn_expr_scale(x, factor, out) bind(C,name="tn_expr_scale") result(returned)
      import
      type(c_ptr), value :: x
      real(c_double), value :: factor
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the transpose of x: another view of its bytes, which moves no element.
    function tn_expr_transpose(x, out) bind(C,name="tn_expr_transpose") result(returned)
      import
      type(c_ptr), value :: x
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the sum over one axis or over all axes, of a diagonal matrix too.
    function tn_expr_sum(x, axis, out) bind(C,name="tn_expr_sum") result(returned)
      import
      type(c_ptr), value :: x
      integer(c_int32_t), value :: axis
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes an operation that is applied element by element to operands of any shape; two operands have equal shapes.
    function tn_expr_elementwise(op, x, y, out) bind(C,name="tn_expr_elementwise") result(returned)
      import
      integer(c_int32_t), value :: op
      type(c_ptr), value :: x
      type(c_ptr), value :: y
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes the matrix of x with all its elements, also the zeros of a diagonal or a triangle, in full form.
    function tn_expr_dense(x, out) bind(C,name="tn_expr_dense") result(returned)
      import
      type(c_ptr), value :: x
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Describes the array that an expression makes: its type, its form and its shape.
    function tn_expr_query(expr, info) bind(C,name="tn_expr_query") result(returned)
      import
      type(c_ptr), value :: expr
      type(tn_expr_info), intent(inout) :: info
      integer(c_int32_t) :: returned
    end function

    !> Computes an expression, and makes an array of its value, which has the form that `tn_expr_explain` tells.
    function tn_expr_compute(expr, flags, out) bind(C,name="tn_expr_compute") result(returned)
      import
      type(c_ptr), value :: expr
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Releases an expression.
    function tn_expr_release(expr) bind(C,name="tn_expr_release") result(returned)
      import
      type(c_ptr), value :: expr
      integer(c_int32_t) :: returned
    end function

    !> Explains what computing an expression would do now: for each operation, which operand its result overwrites, or
    !> why none.
    function tn_expr_explain(expr, format, capacity, text, length) bind(C,name="tn_expr_explain") result(returned)
      import
      type(c_ptr), value :: expr
      integer(c_int32_t), value :: format
      integer(c_size_t), value :: capacity
      character(kind=c_char), intent(inout), optional :: text(*)
      integer(c_size_t), intent(inout) :: length
      integer(c_int32_t) :: returned
    end function

    !> Creates a shared variable from an array.
    function tn_shared_create(value, flags, options, out, crossing) bind(C,name="tn_shared_create") result(returned)
      import
      type(c_ptr), value :: value
      integer(c_int32_t), value :: flags
      type(tn_shared_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      type(tn_crossing), intent(inout), optional :: crossing
      integer(c_int32_t) :: returned
    end function

    !> Reads a shared variable.
    function tn_shared_get(shared, flags, out, crossing) bind(C,name="tn_shared_get") result(returned)
      import
      type(c_ptr), value :: shared
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: out
      type(tn_crossing), intent(inout), optional :: crossing
      integer(c_int32_t) :: returned
    end function

    !> Replaces the value of a shared variable.
    function tn_shared_set(shared, value, flags, crossing) bind(C,name="tn_shared_set") result(returned)
      import
      type(c_ptr), value :: shared
      type(c_ptr), value :: value
      integer(c_int32_t), value :: flags
      type(tn_crossing), intent(inout), optional :: crossing
      integer(c_int32_t) :: returned
    end function

    !> Changes the value of a shared variable by a callback.
    function tn_shared_update(shared, flags, callback, context, &
        crossing) bind(C,name="tn_shared_update") result(returned)
      import
      type(c_ptr), value :: shared
      integer(c_int32_t), value :: flags
      type(c_funptr), value :: callback
      type(c_ptr), value :: context
      type(tn_crossing), intent(inout), optional :: crossing
      integer(c_int32_t) :: returned
    end function

    !> Begins to change the value of a shared variable.
    function tn_shared_update_begin(shared, flags, value, &
        crossing) bind(C,name="tn_shared_update_begin") result(returned)
      import
      type(c_ptr), value :: shared
      integer(c_int32_t), value :: flags
      type(c_ptr), intent(inout) :: value
      type(tn_crossing), intent(inout), optional :: crossing
      integer(c_int32_t) :: returned
    end function

    !> Ends an update of a shared variable.
    function tn_shared_update_end(shared, flags) bind(C,name="tn_shared_update_end") result(returned)
      import
      type(c_ptr), value :: shared
      integer(c_int32_t), value :: flags
      integer(c_int32_t) :: returned
    end function

    !> Queries a shared variable.
    function tn_shared_query(shared, info) bind(C,name="tn_shared_query") result(returned)
      import
      type(c_ptr), value :: shared
      type(tn_shared_info), intent(inout) :: info
      integer(c_int32_t) :: returned
    end function

    !> Releases a shared variable.
    function tn_shared_release(shared) bind(C,name="tn_shared_release") result(returned)
      import
      type(c_ptr), value :: shared
      integer(c_int32_t) :: returned
    end function

    !> Creates a function: code of the program, which the library calls with declared inputs, outputs and updates.
    function tn_function_create(options, out) bind(C,name="tn_function_create") result(returned)
      import
      type(tn_function_options), intent(in) :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Calls a function.
    function tn_function_call(function, n_in, in, n_out, out, in_crossings, &
        out_crossings) bind(C,name="tn_function_call") result(returned)
      import
      type(c_ptr), value :: function
      integer(c_size_t), value :: n_in
      type(c_ptr), intent(in), optional :: in(*)
      integer(c_size_t), value :: n_out
      type(c_ptr), intent(inout), optional :: out(*)
      type(tn_crossing), intent(inout), optional :: in_crossings(*)
      type(tn_crossing), intent(inout), optional :: out_crossings(*)
      integer(c_int32_t) :: returned
    end function

    !> Calls a function as `tn_function_call`, and tells of every value what became of it: also of the implicit inputs,
    !> and of the variables that the call changes.
    function tn_function_call_crossings(function, n_in, in, n_out, out, &
        crossings) bind(C,name="tn_function_call_crossings") result(returned)
      import
      type(c_ptr), value :: function
      integer(c_size_t), value :: n_in
      type(c_ptr), intent(in), optional :: in(*)
      integer(c_size_t), value :: n_out
      type(c_ptr), intent(inout), optional :: out(*)
      type(tn_call_crossings), intent(in) :: crossings
      integer(c_int32_t) :: returned
    end function

    !> Makes a READONLY handle on the default value of an input: on the function's own copy, which no call changes.
    function tn_function_default(function, index, out) bind(C,name="tn_function_default") result(returned)
      import
      type(c_ptr), value :: function
      integer(c_size_t), value :: index
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Releases a function.
    function tn_function_release(function) bind(C,name="tn_function_release") result(returned)
      import
      type(c_ptr), value :: function
      integer(c_int32_t) :: returned
    end function

    !> Creates a mirror: one array with a side on the host and a side on a GPU, of which one or both are valid.
    function tn_mirror_create(options, out, crossing) bind(C,name="tn_mirror_create") result(returned)
      import
      type(tn_mirror_options), intent(in) :: options
      type(c_ptr), intent(inout) :: out
      type(tn_crossing), intent(inout), optional :: crossing
      integer(c_int32_t) :: returned
    end function

    !> Makes a side valid and borrows it.
    function tn_mirror_acquire(mirror, side, access, stream, data, view, &
        out) bind(C,name="tn_mirror_acquire") result(returned)
      import
      type(c_ptr), value :: mirror
      integer(c_int32_t), value :: side
      integer(c_int32_t), value :: access
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout), optional :: data
      type(tn_view_info), intent(inout), optional :: view
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a side valid, and returns an array handle on it.
    function tn_mirror_get(mirror, side, out) bind(C,name="tn_mirror_get") result(returned)
      import
      type(c_ptr), value :: mirror
      integer(c_int32_t), value :: side
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Makes a side the only valid one, after bytes of it were changed in a way that the library does not see: through a
    !> shared view, or through a raw pointer.
    function tn_mirror_mark_changed(mirror, side) bind(C,name="tn_mirror_mark_changed") result(returned)
      import
      type(c_ptr), value :: mirror
      integer(c_int32_t), value :: side
      integer(c_int32_t) :: returned
    end function

    !> Queries state and transfers of a mirror.
    function tn_mirror_query(mirror, info) bind(C,name="tn_mirror_query") result(returned)
      import
      type(c_ptr), value :: mirror
      type(tn_mirror_info), intent(inout) :: info
      integer(c_int32_t) :: returned
    end function

    !> Releases a mirror.
    function tn_mirror_release(mirror) bind(C,name="tn_mirror_release") result(returned)
      import
      type(c_ptr), value :: mirror
      integer(c_int32_t) :: returned
    end function

    !> Makes a module of an image: PTX, a cubin or a fatbin.
    function tn_module_load(image, bytes, options, out) bind(C,name="tn_module_load") result(returned)
      import
      type(c_ptr), value :: image
      integer(c_size_t), value :: bytes
      type(tn_module_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Compiles CUDA C++ with NVRTC, CUDA's compiler library, and makes a module of the result.
    function tn_module_compile(source, options, out) bind(C,name="tn_module_compile") result(returned)
      import
      character(kind=c_char), intent(in) :: source(*)
      type(tn_module_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Finds a kernel of a module on a GPU, for `tn_launch`.
    function tn_module_function(module, name, device, function) bind(C,name="tn_module_function") result(returned)
      import
      type(c_ptr), value :: module
      character(kind=c_char), intent(in) :: name(*)
      type(tn_device), value :: device
      type(c_ptr), intent(inout) :: function
      integer(c_int32_t) :: returned
    end function

    !> Releases a module, also while its kernels run.
    function tn_module_release(module) bind(C,name="tn_module_release") result(returned)
      import
      type(c_ptr), value :: module
      integer(c_int32_t) :: returned
    end function

    !> Launches a kernel, which borrows the arrays among its arguments as their access says.
    function tn_launch(config, n_args, args) bind(C,name="tn_launch") result(returned)
      import
      type(tn_launch_config), intent(in) :: config
      integer(c_size_t), value :: n_args
      type(tn_arg), intent(in), optional :: args(*)
      integer(c_int32_t) :: returned
    end function

    !> Makes the struct with which NumPy allocates from a pool: a PyDataMem_Handler of version 1 (NEP 49), to be put
    !> into a capsule named "mem_handler" for PyDataMem_SetHandler.
    function tn_numpy_handler(pool, out) bind(C,name="tn_numpy_handler") result(returned)
      import
      type(c_ptr), value :: pool
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Allocates a block of a GPU for PyTorch, with the signature that its CUDAPluggableAllocator loads.
    function tn_torch_alloc(bytes, device, stream) bind(C,name="tn_torch_alloc") result(returned)
      import
      integer(c_ptrdiff_t), value :: bytes
      integer(c_int), value :: device
      type(c_ptr), value :: stream
      type(c_ptr) :: returned
    end function

    !> Frees a block from `tn_torch_alloc`, in the order of a stream.
    subroutine tn_torch_free(ptr, bytes, device, stream) bind(C,name="tn_torch_free")
      import
      type(c_ptr), value :: ptr
      integer(c_ptrdiff_t), value :: bytes
      integer(c_int), value :: device
      type(c_ptr), value :: stream
    end subroutine

    !> Records that a stream uses a block until it is freed.
    subroutine tn_torch_record_stream(ptr, stream) bind(C,name="tn_torch_record_stream")
      import
      type(c_ptr), value :: ptr
      type(c_ptr), value :: stream
    end subroutine

    !> Allocates a block of a GPU for CuPy's CFunctionAllocator, whose parameter is the pool's handle.
    function tn_cupy_malloc(pool, bytes, device) bind(C,name="tn_cupy_malloc") result(returned)
      import
      type(c_ptr), value :: pool
      integer(c_size_t), value :: bytes
      integer(c_int), value :: device
      type(c_ptr) :: returned
    end function

    !> Frees a block from `tn_cupy_malloc`.
    subroutine tn_cupy_free(pool, ptr, device) bind(C,name="tn_cupy_free")
      import
      type(c_ptr), value :: pool
      type(c_ptr), value :: ptr
      integer(c_int), value :: device
    end subroutine

    !> Allocates a block of a GPU for a memory resource of RMM.
    function tn_rmm_allocate(bytes, stream, pool) bind(C,name="tn_rmm_allocate") result(returned)
      import
      integer(c_size_t), value :: bytes
      type(c_ptr), value :: stream
      type(c_ptr), value :: pool
      type(c_ptr) :: returned
    end function

    !> Frees a block from `tn_rmm_allocate`, in the order of a stream.
    subroutine tn_rmm_deallocate(ptr, bytes, stream, pool) bind(C,name="tn_rmm_deallocate")
      import
      type(c_ptr), value :: ptr
      integer(c_size_t), value :: bytes
      type(c_ptr), value :: stream
      type(c_ptr), value :: pool
    end subroutine

    !> Completes the table of `tn_dlpack_exchange_api` with the Python package's functions that take Python objects.
    function tn_dlpack_register_python(slots) bind(C,name="tn_dlpack_register_python") result(returned)
      import
      type(c_ptr), value :: slots
      integer(c_int32_t) :: returned
    end function

    !> Allocates a block of a GPU for another library whose plug-in is written in the binding's language.
    function tn_plugin_allocate(client, pool, bytes, device, stream, &
        out) bind(C,name="tn_plugin_allocate") result(returned)
      import
      integer(c_int32_t), value :: client
      type(c_ptr), value :: pool
      integer(c_size_t), value :: bytes
      integer(c_int), value :: device
      type(c_ptr), value :: stream
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: returned
    end function

    !> Frees a block from `tn_plugin_allocate`, in the order of a stream.
    function tn_plugin_deallocate(client, pool, ptr, device, &
        stream) bind(C,name="tn_plugin_deallocate") result(returned)
      import
      integer(c_int32_t), value :: client
      type(c_ptr), value :: pool
      type(c_ptr), value :: ptr
      integer(c_int), value :: device
      type(c_ptr), value :: stream
      integer(c_int32_t) :: returned
    end function
  end interface
end module
