// Written by `cargo xtask header` from abi/api.json: edit src/ffi.

// tn_status: The result of every function: TN_OK, the only code for success, or one of TN_ERR_*.
export const TN_OK = 0;
export const TN_ERR_NULL = 1;
export const TN_ERR_STALE = 2;
export const TN_ERR_KIND = 3;
export const TN_ERR_DESTRUCTED = 4;
export const TN_ERR_GIVEN = 5;
export const TN_ERR_POISONED = 6;
export const TN_ERR_READONLY = 7;
export const TN_ERR_BORROWED_WRITE = 8;
export const TN_ERR_BORROWED = 9;
export const TN_ERR_EXPORTED = 10;
export const TN_ERR_SHARED = 11;
export const TN_ERR_IN_EXPRESSION = 12;
export const TN_ERR_PENDING = 13;
export const TN_ERR_FOREIGN = 14;
export const TN_ERR_COUNT = 15;
export const TN_ERR_DUPLICATE = 16;
export const TN_ERR_RANGE = 17;
export const TN_ERR_INVALID = 18;
export const TN_ERR_DTYPE = 19;
export const TN_ERR_SHAPE = 20;
export const TN_ERR_LAYOUT = 21;
export const TN_ERR_DEVICE = 22;
export const TN_ERR_WOULD_COPY = 23;
export const TN_ERR_ALIASED = 24;
export const TN_ERR_FAILED = 25;
export const TN_ERR_NO_HOST_MEMORY = 26;
export const TN_ERR_NO_DEVICE_MEMORY = 27;
export const TN_ERR_POOL_LIMIT = 28;
export const TN_ERR_UNSUPPORTED = 29;
export const TN_ERR_DRIVER = 30;
export const TN_ERR_IO = 31;
export const TN_ERR_LIMIT = 32;
export const TN_ERR_PANIC = 33;
export const TN_ERR_OVERFLOW = 34;

// tn_device_type: Type of a device, as in DLPack's DLDeviceType: TN_CPU, TN_CUDA, TN_CUDA_HOST or TN_CUDA_MANAGED.
export const TN_CPU = 1;
export const TN_CUDA = 2;
export const TN_CUDA_HOST = 3;
export const TN_CUDA_MANAGED = 13;

// tn_dtype_code: Kind of an element type: one of TN_CODE_*, as in DLPack's DLDataTypeCode.
export const TN_CODE_INT = 0;
export const TN_CODE_UINT = 1;
export const TN_CODE_FLOAT = 2;
export const TN_CODE_BFLOAT = 4;
export const TN_CODE_COMPLEX = 5;
export const TN_CODE_BOOL = 6;

// tn_dtype: An element type: code | bits << 8 | lanes << 16, with lanes 1.
export const TN_BOOL = 67590;
export const TN_I8 = 67584;
export const TN_I16 = 69632;
export const TN_I32 = 73728;
export const TN_I64 = 81920;
export const TN_U8 = 67585;
export const TN_U16 = 69633;
export const TN_U32 = 73729;
export const TN_U64 = 81921;
export const TN_F16 = 69634;
export const TN_F32 = 73730;
export const TN_F64 = 81922;
export const TN_BF16 = 69636;
export const TN_C64 = 81925;
export const TN_C128 = 98309;

// tn_how: Whether an import or export shares the bytes or copied them: TN_ALIASED or TN_COPIED.
export const TN_ALIASED = 1;
export const TN_COPIED = 2;

// tn_borrow_flags: Flags of imports and exports: how bytes may enter and leave the library.
export const TN_BORROW = 1;
export const TN_REQUIRE_BORROW = 2;
export const TN_RAW = 4;
export const TN_MAY_OVERWRITE = 8;
export const TN_TAKE_OWNERSHIP = 16;
export const TN_RELEASE_QUEUED = 32;
export const TN_STRICT = 64;
export const TN_REUSE = 128;
export const TN_IMPORT_READONLY = 256;
export const TN_IMPORT_WRITABLE = 512;
export const TN_EXPORT_WRITABLE = 1024;
export const TN_EXPORT_EXCLUSIVE = 2048;
export const TN_EXPORT_CONSUMER_READS = 4096;
export const TN_EXPORT_NONNEGATIVE = 8192;
export const TN_UNORDERED = 16384;
export const TN_CUDAMAT_TRANSPOSED = 32768;
export const TN_IPC_PRIVATE = 65536;
export const TN_IPC_WRITABLE = 131072;
export const TN_IPC_TRUSTED = 262144;
export const TN_WAIT = 524288;
export const TN_IPC_GIVE = 1048576;
export const TN_EXPORT_C_CONTIGUOUS = 2097152;

// tn_write_mode: How a writer treats other handles on the store: one of TN_WRITE_ALIASED, TN_WRITE_UNIQUE and TN_WRITE_COW, with modifier bits.
export const TN_WRITE_ALIASED = 0;
export const TN_WRITE_UNIQUE = 1;
export const TN_WRITE_COW = 2;
export const TN_WRITE_DISCARD = 4;
export const TN_REQUIRE_ASYNC = 16;

// tn_guard_flags: Flags of a read borrow: TN_FROZEN, TN_INTERPROCESS, TN_WAIT.
export const TN_FROZEN = 8;
export const TN_INTERPROCESS = 256;

// tn_access: The kind of an access: TN_READ with flags of tn_guard_flags, or TN_WRITE or TN_READ_WRITE with a tn_write_mode.
export const TN_READ = 32;
export const TN_WRITE = 64;
export const TN_READ_WRITE = 96;
export const TN_ALLOW_ALIAS = 128;

// tn_why: Reasons why bytes cannot be overwritten in place, or were copied.
export const TN_WHY_GIVEN = 1;
export const TN_WHY_SHARED = 2;
export const TN_WHY_IN_EXPRESSION = 4;
export const TN_WHY_EXPORTED = 8;
export const TN_WHY_BORROWED = 16;
export const TN_WHY_READONLY = 32;
export const TN_WHY_FOREIGN = 64;
export const TN_WHY_POISONED = 128;
export const TN_WHY_LAYOUT = 256;
export const TN_WHY_DEVICE = 512;
export const TN_WHY_WASTE = 1024;
export const TN_WHY_NOT_ALIASABLE = 2048;

// tn_query_flags: Flags of `tn_device_query`.
export const TN_QUERY_MEMORY = 1;

// tn_device_features: Features of a device.
export const TN_FEATURE_MEMORY_POOLS = 1;
export const TN_FEATURE_MANAGED = 2;
export const TN_FEATURE_CONCURRENT_MANAGED = 4;
export const TN_FEATURE_MAP_HOST = 8;
export const TN_FEATURE_HOST_REGISTER = 16;
export const TN_FEATURE_REGISTER_READ_ONLY = 32;
export const TN_FEATURE_UNIFIED_ADDRESSING = 64;
export const TN_FEATURE_INTEGRATED = 128;
export const TN_FEATURE_IPC = 256;

// tn_stream_flags: Flags of `tn_stream_create`.
export const TN_STREAM_BLOCKING = 1;

// tn_stream_scope_flags: Flags of `tn_stream_enter`.
export const TN_AUTO_SYNCHRONIZE = 1;

// tn_event_flags: Flags of `tn_event_create`.
export const TN_EVENT_TIMING = 1;

// tn_pool_flags: Flags of a pool.
export const TN_POOL_PREFAULT = 1;
export const TN_POOL_DIRECT = 2;
export const TN_POOL_STRICT = 4;
export const TN_POOL_ZERO_ON_FREE = 8;
export const TN_POOL_SHAREABLE = 16;
export const TN_POOL_IPC = 32;
export const TN_POOL_READONLY_EXPORTS = 64;

// tn_host_flags: Flags of page-locked memory (TN_HOST_*) and of managed memory (TN_MANAGED_*).
export const TN_HOST_PORTABLE = 1;
export const TN_HOST_MAPPED = 2;
export const TN_HOST_WRITE_COMBINED = 4;
export const TN_HOST_READ_ONLY = 8;
export const TN_HOST_BEST_EFFORT = 16;
export const TN_MANAGED_GLOBAL = 0;
export const TN_MANAGED_HOST = 32;

// tn_advice: Advice on managed memory: what the driver should expect.
export const TN_ADVISE_READ_MOSTLY = 1;
export const TN_ADVISE_UNSET_READ_MOSTLY = 2;
export const TN_ADVISE_PREFERRED = 3;
export const TN_ADVISE_UNSET_PREFERRED = 4;
export const TN_ADVISE_ACCESSED_BY = 5;
export const TN_ADVISE_UNSET_ACCESSED_BY = 6;

// tn_huge_pages: When a pool asks for huge pages.
export const TN_HUGE_AUTO = 0;
export const TN_HUGE_NEVER = 1;
export const TN_HUGE_EXPLICIT = 2;

// tn_backend: How a pool obtains CUDA memory.
export const TN_BACKEND_AUTO = 0;
export const TN_BACKEND_PLAIN = 1;
export const TN_BACKEND_DRIVER_POOL = 2;

// tn_upstream_flags: Flags of a tn_upstream.
export const TN_UPSTREAM_ZEROED = 1;
export const TN_UPSTREAM_THREAD_SAFE = 2;
export const TN_UPSTREAM_PARTIAL_FREE = 4;

// tn_pressure: Why a pool is out of memory.
export const TN_PRESSURE_LIMIT = 1;
export const TN_PRESSURE_DEVICE = 2;

// tn_client: The client that a block of a pool was allocated for.
export const TN_CLIENT_ARRAYS = 0;
export const TN_CLIENT_RAW = 1;
export const TN_CLIENT_NUMPY = 2;
export const TN_CLIENT_TORCH = 3;
export const TN_CLIENT_CUPY = 4;
export const TN_CLIENT_NUMBA = 5;
export const TN_CLIENT_RMM = 6;
export const TN_CLIENT_UMF = 7;
export const TN_CLIENT_CPP = 8;
export const TN_CLIENT_RUST = 9;
export const TN_CLIENT_MALLOC = 10;
export const TN_CLIENT_OTHER = 11;

// tn_order: Order of elements.
export const TN_ORDER_C = 0;
export const TN_ORDER_F = 1;
export const TN_ORDER_A = 2;
export const TN_ORDER_K = 3;

// tn_create_flags: Flags of a new array: none is defined yet.

// tn_array_flags: Properties of an array and of its store.
export const TN_C_CONTIGUOUS = 1;
export const TN_F_CONTIGUOUS = 2;
export const TN_READONLY = 4;
export const TN_ALIGNED = 8;
export const TN_SELF_OVERLAP = 16;
export const TN_FOREIGN = 32;
export const TN_PINNED = 64;
export const TN_MAPPED = 128;
export const TN_WRITECOMBINED = 256;
export const TN_SPILLED = 512;

// tn_form: The form of a matrix: what expressions take an array for.
export const TN_FORM_FULL = 0;
export const TN_FORM_DIAGONAL = 1;
export const TN_FORM_LOWER = 2;
export const TN_FORM_UPPER = 3;
export const TN_FORM_MATRIX = 4;
export const TN_FORM_OF_HANDLE = 5;
export const TN_FORM_FACTORS = 6;

// tn_side: A side of a mirror; in the masks of `tn_mirror_info` a bit.
export const TN_SIDE_HOST = 1;
export const TN_SIDE_DEVICE = 2;

// tn_npy_mode: How `tn_array_open_npy` opens a file.
export const TN_NPY_READ = 0;
export const TN_NPY_COW = 1;
export const TN_NPY_WRITE = 2;
export const TN_NPY_COPY = 3;

// tn_io_flags: Flags of `tn_array_save_npy`.
export const TN_IO_SYNC = 1;
export const TN_IO_EXCLUSIVE = 2;

// tn_overlap: How the bytes of two arrays relate.
export const TN_OVERLAP_NONE = 0;
export const TN_OVERLAP_EXACT = 1;
export const TN_OVERLAP_SOME = 2;
export const TN_OVERLAP_UNKNOWN = 3;

// tn_end_flags: Flags of `tn_borrow_end`.
export const TN_END_FAILED = 1;

// tn_compute_flags: Flags of `tn_expr_compute`.
export const TN_KEEP_ON_FAIL = 1;

// tn_expr_op: An operation of `tn_expr_elementwise`.
export const TN_EXPR_ADD = 1;
export const TN_EXPR_SUBTRACT = 2;
export const TN_EXPR_MULTIPLY = 3;
export const TN_EXPR_DIVIDE = 4;
export const TN_EXPR_NEGATE = 5;
export const TN_EXPR_SQRT = 6;
export const TN_EXPR_EXP = 7;
export const TN_EXPR_LOG = 8;

// tn_lu_part: A part of LU factors.
export const TN_LU_P = 0;
export const TN_LU_L = 1;
export const TN_LU_U = 2;

// tn_explain_format: Format of `tn_expr_explain`.
export const TN_EXPLAIN_TEXT = 0;
export const TN_EXPLAIN_DOT = 1;

// tn_holder_kind: What holds a store, or was not released.
export const TN_HOLDER_HANDLE = 1;
export const TN_HOLDER_PROMISE = 2;
export const TN_HOLDER_EXPRESSION = 3;
export const TN_HOLDER_SHARED_VARIABLE = 4;
export const TN_HOLDER_EXPORT_READ = 5;
export const TN_HOLDER_EXPORT_SHARED = 6;
export const TN_HOLDER_EXPORT_EXCLUSIVE = 7;
export const TN_HOLDER_GUARD_READ = 8;
export const TN_HOLDER_GUARD_WRITE = 9;
export const TN_HOLDER_BLOCK = 10;
export const TN_HOLDER_POOL = 11;
export const TN_HOLDER_STREAM = 12;
export const TN_HOLDER_EVENT = 13;
export const TN_HOLDER_SCOPE = 14;
export const TN_HOLDER_WEAK = 15;
export const TN_HOLDER_FUNCTION = 16;
export const TN_HOLDER_MIRROR = 17;
export const TN_HOLDER_QUEUED_RELEASE = 18;
export const TN_HOLDER_MODULE = 19;

// tn_report_flags: Flags of `tn_report_json` and `tn_report_html`: none is defined yet.

// tn_log_kinds: Kinds of events: bits of `tn_log_options.kinds`.
export const TN_LOG_ALLOCATE = 1;
export const TN_LOG_FREE = 2;
export const TN_LOG_COPY = 4;
export const TN_LOG_TRANSFER = 8;
export const TN_LOG_EXPORT = 32;
export const TN_LOG_GIVE = 256;
export const TN_LOG_TAKE = 512;
export const TN_LOG_BORROW = 1024;
export const TN_LOG_REALLOCATE = 2048;
export const TN_LOG_IMPORT = 4096;
export const TN_LOG_NAME = 8192;
export const TN_LOG_ALL = 16175;

// tn_arg_kind: What an argument of a launch is.
export const TN_ARG_ARRAY = 1;
export const TN_ARG_POINTER = 2;
export const TN_ARG_MIRROR = 3;
export const TN_ARG_VALUE = 4;

// tn_launch_flags: Flags of a launch.
export const TN_LAUNCH_COOPERATIVE = 1;
export const TN_LAUNCH_OVERLAP = 2;

// Constants outside of families.
export const TN_VERSION = 256;
export const TN_MAX_NDIM = 64;
export const TN_IPC_DESCRIPTOR_BYTES = 4096;
export const TN_POOL_NONE = 9223372036854775807n;
export const TN_NONE = -9223372036854775807n;
export const TN_ALL_AXES = -2147483647;

/** Size of each struct, and type, offset and length of its fields. */
export const structs = {
  tn_device: {
    size: 8,
    isSized: false,
    fields: {
      type: ["uint32_t", 0, 0],
      id: ["int32_t", 4, 0],
    },
  },
  tn_device_info: {
    size: 328,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      name: ["char", 8, 128],
      uuid: ["uint8_t", 136, 16],
      pci_bus_id: ["char", 152, 16],
      compute_major: ["int32_t", 168, 0],
      compute_minor: ["int32_t", 172, 0],
      driver_version: ["int32_t", 176, 0],
      multiprocessors: ["int32_t", 180, 0],
      warp_size: ["int32_t", 184, 0],
      features: ["uint32_t", 188, 0],
      block_memory_bytes: ["uint64_t", 192, 0],
      block_memory_optin_bytes: ["uint64_t", 200, 0],
      total_bytes: ["uint64_t", 208, 0],
      free_bytes: ["uint64_t", 216, 0],
      used_bytes: ["uint64_t", 224, 0],
      pool_bytes: ["uint64_t", 232, 0],
      pool_free_bytes: ["uint64_t", 240, 0],
      to_device_count: ["uint64_t", 248, 0],
      to_device_bytes: ["uint64_t", 256, 0],
      to_host_count: ["uint64_t", 264, 0],
      to_host_bytes: ["uint64_t", 272, 0],
      staged_bytes: ["uint64_t", 280, 0],
      registered_bytes: ["uint64_t", 288, 0],
      queued_releases: ["uint64_t", 296, 0],
      queued_bytes: ["uint64_t", 304, 0],
      kernel_count: ["uint64_t", 312, 0],
      kernel_error: ["uint64_t", 320, 0],
    },
  },
  tn_upstream: {
    size: 72,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      context: ["pointer", 8, 0],
      granularity: ["size_t", 16, 0],
      alignment: ["size_t", 24, 0],
      flags: ["uint32_t", 32, 0],
      reserved: ["uint32_t", 36, 0],
      allocate: ["pointer", 40, 0],
      deallocate: ["pointer", 48, 0],
      purge: ["pointer", 56, 0],
      release: ["pointer", 64, 0],
    },
  },
  tn_pool_options: {
    size: 112,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      name: ["text", 8, 0],
      initial_size: ["uint64_t", 16, 0],
      max_growth: ["uint64_t", 24, 0],
      max_size: ["uint64_t", 32, 0],
      growth_factor: ["double", 40, 0],
      alignment: ["uint64_t", 48, 0],
      thread_cache_size: ["uint64_t", 56, 0],
      release_threshold: ["uint64_t", 64, 0],
      release_delay_ms: ["uint64_t", 72, 0],
      peers: ["uint64_t", 80, 0],
      huge_pages: ["uint32_t", 88, 0],
      backend: ["uint32_t", 92, 0],
      numa_node: ["int32_t", 96, 0],
      host_flags: ["uint32_t", 100, 0],
      flags: ["uint32_t", 104, 0],
      reserved: ["uint32_t", 108, 0],
    },
  },
  tn_pool_stats: {
    size: 304,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      requested_bytes: ["uint64_t", 8, 0],
      in_use_bytes: ["uint64_t", 16, 0],
      cached_bytes: ["uint64_t", 24, 0],
      pending_bytes: ["uint64_t", 32, 0],
      overhead_bytes: ["uint64_t", 40, 0],
      reserved_bytes: ["uint64_t", 48, 0],
      address_bytes: ["uint64_t", 56, 0],
      huge_bytes: ["uint64_t", 64, 0],
      metadata_bytes: ["uint64_t", 72, 0],
      peak_in_use_bytes: ["uint64_t", 80, 0],
      peak_reserved_bytes: ["uint64_t", 88, 0],
      peak_requested_bytes: ["uint64_t", 96, 0],
      allocation_count: ["uint64_t", 104, 0],
      deallocation_count: ["uint64_t", 112, 0],
      reallocation_count: ["uint64_t", 120, 0],
      failure_count: ["uint64_t", 128, 0],
      live_blocks: ["uint64_t", 136, 0],
      hit_count: ["uint64_t", 144, 0],
      thread_hit_count: ["uint64_t", 152, 0],
      device_allocate_count: ["uint64_t", 160, 0],
      device_free_count: ["uint64_t", 168, 0],
      device_bytes_total: ["uint64_t", 176, 0],
      trim_count: ["uint64_t", 184, 0],
      pressure_count: ["uint64_t", 192, 0],
      oom_count: ["uint64_t", 200, 0],
      misuse_count: ["uint64_t", 208, 0],
      zero_bytes_skipped: ["uint64_t", 216, 0],
      largest_free_bytes: ["uint64_t", 224, 0],
      limit_bytes: ["uint64_t", 232, 0],
      thread_count: ["uint64_t", 240, 0],
      held_bytes: ["uint64_t", 248, 0],
      shared_out_bytes: ["uint64_t", 256, 0],
      serial: ["uint64_t", 264, 0],
      device: ["tn_device", 272, 0],
      spilled_bytes: ["uint64_t", 280, 0],
      spill_count: ["uint64_t", 288, 0],
      unspill_count: ["uint64_t", 296, 0],
    },
  },
  tn_spill_options: {
    size: 32,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      folder: ["text", 8, 0],
      max_bytes: ["uint64_t", 16, 0],
      min_array_bytes: ["uint64_t", 24, 0],
    },
  },
  tn_pool_class_stats: {
    size: 64,
    isSized: false,
    fields: {
      block_bytes: ["uint64_t", 0, 0],
      span_bytes: ["uint64_t", 8, 0],
      live_blocks: ["uint64_t", 16, 0],
      cached_blocks: ["uint64_t", 24, 0],
      span_count: ["uint64_t", 32, 0],
      allocation_count: ["uint64_t", 40, 0],
      hit_count: ["uint64_t", 48, 0],
      reserved: ["uint64_t", 56, 0],
    },
  },
  tn_pool_client: {
    size: 88,
    isSized: false,
    fields: {
      client: ["uint32_t", 0, 0],
      reserved: ["uint32_t", 4, 0],
      name: ["char", 8, 16],
      live_blocks: ["uint64_t", 24, 0],
      live_bytes: ["uint64_t", 32, 0],
      requested_bytes: ["uint64_t", 40, 0],
      peak_bytes: ["uint64_t", 48, 0],
      allocation_count: ["uint64_t", 56, 0],
      failure_count: ["uint64_t", 64, 0],
      misuse_count: ["uint64_t", 72, 0],
      mismatch_count: ["uint64_t", 80, 0],
    },
  },
  tn_array_options: {
    size: 32,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      order: ["uint32_t", 8, 0],
      flags: ["uint32_t", 12, 0],
      stream: ["handle", 16, 0],
      name: ["text", 24, 0],
    },
  },
  tn_layout: {
    size: 40,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      dtype: ["uint32_t", 8, 0],
      ndim: ["int32_t", 12, 0],
      shape: ["pointer", 16, 0],
      strides: ["pointer", 24, 0],
      offset: ["int64_t", 32, 0],
    },
  },
  tn_array_info: {
    size: 1152,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      dtype: ["uint32_t", 8, 0],
      ndim: ["int32_t", 12, 0],
      device: ["tn_device", 16, 0],
      flags: ["uint32_t", 24, 0],
      form: ["uint32_t", 28, 0],
      bytes: ["uint64_t", 32, 0],
      count: ["uint64_t", 40, 0],
      store_bytes: ["uint64_t", 48, 0],
      offset: ["int64_t", 56, 0],
      name: ["char", 64, 64],
      shape: ["int64_t", 128, 64],
      strides: ["int64_t", 640, 64],
    },
  },
  tn_crossing: {
    size: 8,
    isSized: false,
    fields: {
      how: ["uint32_t", 0, 0],
      why: ["uint32_t", 4, 0],
    },
  },
  tn_in: {
    size: 56,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      name: ["text", 8, 0],
      flags: ["uint32_t", 16, 0],
      dtype: ["uint32_t", 20, 0],
      device: ["tn_device", 24, 0],
      ndim: ["int32_t", 32, 0],
      reserved: ["int32_t", 36, 0],
      default_value: ["handle", 40, 0],
      shared: ["handle", 48, 0],
    },
  },
  tn_out: {
    size: 40,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      name: ["text", 8, 0],
      flags: ["uint32_t", 16, 0],
      dtype: ["uint32_t", 20, 0],
      device: ["tn_device", 24, 0],
      ndim: ["int32_t", 32, 0],
      reserved: ["int32_t", 36, 0],
    },
  },
  tn_update: {
    size: 24,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      target: ["handle", 8, 0],
      flags: ["uint32_t", 16, 0],
      reserved: ["uint32_t", 20, 0],
    },
  },
  tn_function_options: {
    size: 96,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      name: ["text", 8, 0],
      body: ["pointer", 16, 0],
      expr_body: ["pointer", 24, 0],
      context: ["pointer", 32, 0],
      release: ["pointer", 40, 0],
      n_in: ["size_t", 48, 0],
      n_out: ["size_t", 56, 0],
      n_update: ["size_t", 64, 0],
      inputs: ["pointer", 72, 0],
      outputs: ["pointer", 80, 0],
      updates: ["pointer", 88, 0],
    },
  },
  tn_call_crossings: {
    size: 32,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      inputs: ["pointer", 8, 0],
      outputs: ["pointer", 16, 0],
      updates: ["pointer", 24, 0],
    },
  },
  tn_shared_options: {
    size: 32,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      device: ["tn_device", 8, 0],
      pool: ["handle", 16, 0],
      name: ["text", 24, 0],
    },
  },
  tn_shared_info: {
    size: 640,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      device: ["tn_device", 8, 0],
      home: ["tn_device", 16, 0],
      dtype: ["uint32_t", 24, 0],
      ndim: ["int32_t", 28, 0],
      flags: ["uint32_t", 32, 0],
      is_poisoned: ["int32_t", 36, 0],
      version: ["uint64_t", 40, 0],
      bytes: ["uint64_t", 48, 0],
      detach_count: ["uint64_t", 56, 0],
      name: ["char", 64, 64],
      shape: ["int64_t", 128, 64],
    },
  },
  tn_mirror_options: {
    size: 80,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      object: ["handle", 8, 0],
      borrow_flags: ["uint32_t", 16, 0],
      dtype: ["uint32_t", 20, 0],
      ndim: ["int32_t", 24, 0],
      order: ["uint32_t", 28, 0],
      shape: ["pointer", 32, 0],
      device: ["tn_device", 40, 0],
      where: ["uint32_t", 48, 0],
      reserved: ["int32_t", 52, 0],
      host_pool: ["handle", 56, 0],
      device_pool: ["handle", 64, 0],
      name: ["text", 72, 0],
    },
  },
  tn_mirror_info: {
    size: 656,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      valid: ["uint32_t", 8, 0],
      allocated: ["uint32_t", 12, 0],
      held: ["uint32_t", 16, 0],
      is_poisoned: ["uint32_t", 20, 0],
      transfers_to_device: ["uint64_t", 24, 0],
      transfers_to_host: ["uint64_t", 32, 0],
      bytes_to_device: ["uint64_t", 40, 0],
      bytes_to_host: ["uint64_t", 48, 0],
      device: ["tn_device", 56, 0],
      dtype: ["uint32_t", 64, 0],
      ndim: ["int32_t", 68, 0],
      bytes: ["uint64_t", 72, 0],
      name: ["char", 80, 64],
      shape: ["int64_t", 144, 64],
    },
  },
  tn_npy_options: {
    size: 32,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      mode: ["uint32_t", 8, 0],
      fd: ["int32_t", 12, 0],
      pool: ["handle", 16, 0],
      max_header_bytes: ["uint64_t", 24, 0],
    },
  },
  tn_safetensors_options: {
    size: 24,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      pool: ["handle", 8, 0],
      flags: ["uint32_t", 16, 0],
      reserved: ["uint32_t", 20, 0],
    },
  },
  tn_safetensors_info: {
    size: 808,
    isSized: false,
    fields: {
      dtype: ["uint32_t", 0, 0],
      ndim: ["int32_t", 4, 0],
      bytes: ["uint64_t", 8, 0],
      name_bytes: ["uint64_t", 16, 0],
      name: ["char", 24, 256],
      shape: ["int64_t", 280, 64],
      reserved: ["uint64_t", 792, 2],
    },
  },
  tn_slice_spec: {
    size: 56,
    isSized: false,
    fields: {
      start: ["int64_t", 0, 0],
      stop: ["int64_t", 8, 0],
      step: ["int64_t", 16, 0],
      reserved: ["uint64_t", 24, 4],
    },
  },
  tn_part: {
    size: 64,
    isSized: false,
    fields: {
      guard: ["handle", 0, 0],
      data: ["pointer", 8, 0],
      start: ["int64_t", 16, 0],
      length: ["int64_t", 24, 0],
      reserved: ["uint64_t", 32, 4],
    },
  },
  tn_view_info: {
    size: 88,
    isSized: false,
    fields: {
      data: ["pointer", 0, 0],
      device: ["tn_device", 8, 0],
      ndim: ["int32_t", 16, 0],
      dtype: ["uint32_t", 20, 0],
      shape: ["pointer", 24, 0],
      strides: ["pointer", 32, 0],
      device_data: ["uint64_t", 40, 0],
      bytes: ["uint64_t", 48, 0],
      reserved: ["uint64_t", 56, 4],
    },
  },
  tn_borrow_spec: {
    size: 56,
    isSized: false,
    fields: {
      array: ["handle", 0, 0],
      stream: ["handle", 8, 0],
      access: ["uint32_t", 16, 0],
      reserved: ["uint32_t", 20, 9],
    },
  },
  tn_borrow_info: {
    size: 32,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      data: ["pointer", 8, 0],
      device_data: ["uint64_t", 16, 0],
      bytes: ["uint64_t", 24, 0],
    },
  },
  tn_expr_info: {
    size: 536,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      dtype: ["uint32_t", 8, 0],
      ndim: ["int32_t", 12, 0],
      form: ["uint32_t", 16, 0],
      reserved: ["uint32_t", 20, 0],
      shape: ["int64_t", 24, 64],
    },
  },
  tn_holder: {
    size: 176,
    isSized: false,
    fields: {
      kind: ["uint32_t", 0, 0],
      device: ["tn_device", 4, 0],
      reserved: ["uint32_t", 12, 0],
      id: ["uint64_t", 16, 0],
      bytes: ["uint64_t", 24, 0],
      thread: ["uint64_t", 32, 0],
      time_ns: ["uint64_t", 40, 0],
      name: ["char", 48, 64],
      site: ["char", 112, 64],
    },
  },
  tn_store_info: {
    size: 112,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      address: ["uint64_t", 8, 0],
      bytes: ["uint64_t", 16, 0],
      device: ["tn_device", 24, 0],
      flags: ["uint32_t", 32, 0],
      reserved: ["uint32_t", 36, 0],
      version: ["uint64_t", 40, 0],
      pool_name: ["char", 48, 64],
    },
  },
  tn_target: {
    size: 32,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      device: ["tn_device", 8, 0],
      dtype: ["uint32_t", 16, 0],
      ndim: ["int32_t", 20, 0],
      shape: ["pointer", 24, 0],
    },
  },
  tn_dlpack_options: {
    size: 40,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      flags: ["uint32_t", 8, 0],
      mode: ["uint32_t", 12, 0],
      label: ["uint32_t", 16, 0],
      reserved: ["uint32_t", 20, 0],
      target: ["tn_device", 24, 0],
      consumer: ["handle", 32, 0],
    },
  },
  tn_cuda_array_interface: {
    size: 72,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      data: ["uint64_t", 8, 0],
      shape: ["pointer", 16, 0],
      strides: ["pointer", 24, 0],
      ndim: ["int32_t", 32, 0],
      readonly: ["int32_t", 36, 0],
      c_contiguous: ["int32_t", 40, 0],
      version: ["int32_t", 44, 0],
      typestr: ["char", 48, 8],
      stream: ["uint64_t", 56, 0],
      has_stream: ["int32_t", 64, 0],
      reserved: ["int32_t", 68, 0],
    },
  },
  tn_cudamat: {
    size: 40,
    isSized: false,
    fields: {
      data_host: ["pointer", 0, 0],
      data_device: ["pointer", 8, 0],
      on_device: ["int32_t", 16, 0],
      on_host: ["int32_t", 20, 0],
      size: ["int32_t", 24, 2],
      is_trans: ["int32_t", 32, 0],
      owns_data: ["int32_t", 36, 0],
    },
  },
  tn_log_options: {
    size: 32,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      kinds: ["uint32_t", 8, 0],
      reserved: ["uint32_t", 12, 0],
      path: ["text", 16, 0],
      capacity: ["uint64_t", 24, 0],
    },
  },
  tn_log_stats: {
    size: 48,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      kinds: ["uint32_t", 8, 0],
      is_file: ["int32_t", 12, 0],
      events: ["uint64_t", 16, 0],
      overwritten: ["uint64_t", 24, 0],
      dropped: ["uint64_t", 32, 0],
      capacity: ["uint64_t", 40, 0],
    },
  },
  tn_copy_site: {
    size: 104,
    isSized: false,
    fields: {
      function: ["text", 0, 0],
      site: ["char", 8, 64],
      why: ["uint32_t", 72, 0],
      forced: ["int32_t", 76, 0],
      count: ["uint64_t", 80, 0],
      bytes: ["uint64_t", 88, 0],
      reserved: ["uint64_t", 96, 0],
    },
  },
  tn_runner: {
    size: 40,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      run: ["pointer", 8, 0],
      context: ["pointer", 16, 0],
      threads: ["size_t", 24, 0],
      least_bytes: ["size_t", 32, 0],
    },
  },
  tn_block_item: {
    size: 24,
    isSized: false,
    fields: {
      dtype: ["uint32_t", 0, 0],
      reserved: ["uint32_t", 4, 0],
      count: ["int64_t", 8, 0],
      align: ["int64_t", 16, 0],
    },
  },
  tn_arg: {
    size: 32,
    isSized: false,
    fields: {
      kind: ["uint32_t", 0, 0],
      access: ["uint32_t", 4, 0],
      ndim: ["int32_t", 8, 0],
      reserved: ["int32_t", 12, 0],
      what: ["pointer", 16, 0],
      bytes: ["size_t", 24, 0],
    },
  },
  tn_host_block: {
    size: 64,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      grid: ["uint32_t", 8, 3],
      block: ["uint32_t", 20, 3],
      index: ["uint32_t", 32, 3],
      reserved: ["uint32_t", 44, 0],
      memory: ["pointer", 48, 0],
      memory_bytes: ["size_t", 56, 0],
    },
  },
  tn_launch_config: {
    size: 80,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      function: ["pointer", 8, 0],
      grid: ["uint32_t", 16, 3],
      block: ["uint32_t", 28, 3],
      block_bytes: ["int64_t", 40, 0],
      stream: ["handle", 48, 0],
      host_function: ["pointer", 56, 0],
      flags: ["uint32_t", 64, 0],
      cluster: ["uint32_t", 68, 3],
    },
  },
  tn_module_options: {
    size: 64,
    isSized: true,
    fields: {
      size: ["size_t", 0, 0],
      name: ["text", 8, 0],
      arch: ["text", 16, 0],
      options: ["pointer", 24, 0],
      n_options: ["size_t", 32, 0],
      log: ["pointer", 40, 0],
      log_capacity: ["size_t", 48, 0],
      log_length: ["pointer", 56, 0],
    },
  },
};

/** Result of each function, and its parameters. */
export const functions = {
  tn_version: ["uint32_t", {
  }],
  tn_status_name: ["text", {
    status: "uint32_t",
  }],
  tn_last_error: ["text", {
  }],
  tn_option_set: ["status", {
    name: "text",
    value: "text",
  }],
  tn_option_get: ["status", {
    name: "text",
    capacity: "size_t",
    text: "memory",
    length: "out size_t",
  }],
  tn_here: ["status", {
    file: "text",
    line: "int32_t",
  }],
  tn_run_releases: ["status", {
    n_run: "memory",
  }],
  tn_array_empty: ["status", {
    pool: "handle",
    dtype: "uint32_t",
    ndim: "int32_t",
    shape: "memory",
    options: "in tn_array_options",
    out: "out handle",
  }],
  tn_array_zeros: ["status", {
    pool: "handle",
    dtype: "uint32_t",
    ndim: "int32_t",
    shape: "memory",
    options: "in tn_array_options",
    out: "out handle",
  }],
  tn_array_full: ["status", {
    pool: "handle",
    dtype: "uint32_t",
    ndim: "int32_t",
    shape: "memory",
    value: "memory",
    options: "in tn_array_options",
    out: "out handle",
  }],
  tn_array_like: ["status", {
    prototype: "handle",
    pool: "handle",
    options: "in tn_array_options",
    out: "out handle",
  }],
  tn_array_import_host: ["status", {
    ptr: "memory",
    layout: "in tn_layout",
    flags: "uint32_t",
    release: "pointer",
    context: "memory",
    out: "out handle",
    how: "memory",
  }],
  tn_array_query: ["status", {
    array: "handle",
    info: "out tn_array_info",
  }],
  tn_array_set_name: ["status", {
    array: "handle",
    name: "text",
  }],
  tn_array_set_spillable: ["status", {
    array: "handle",
    on: "int32_t",
  }],
  tn_array_set_form: ["status", {
    array: "handle",
    form: "uint32_t",
  }],
  tn_array_pool: ["status", {
    array: "handle",
    out: "out handle",
  }],
  tn_array_wait: ["status", {
    array: "handle",
    access: "uint32_t",
  }],
  tn_array_clone: ["status", {
    array: "handle",
    out: "out handle",
  }],
  tn_array_copy: ["status", {
    array: "handle",
    pool: "handle",
    stream: "handle",
    out: "out handle",
  }],
  tn_array_release: ["status", {
    array: "handle",
  }],
  tn_array_weaken: ["status", {
    array: "handle",
    out: "out handle",
  }],
  tn_weak_upgrade: ["status", {
    weak: "handle",
    out: "out handle",
  }],
  tn_weak_release: ["status", {
    weak: "handle",
  }],
  tn_array_open_npy: ["status", {
    path: "text",
    options: "in tn_npy_options",
    out: "out handle",
  }],
  tn_array_open_npy_fd: ["status", {
    fd: "int32_t",
    offset: "uint64_t",
    options: "in tn_npy_options",
    end: "memory",
    out: "out handle",
  }],
  tn_array_save_npy: ["status", {
    array: "handle",
    path: "text",
    flags: "uint32_t",
  }],
  tn_array_save_npy_fd: ["status", {
    array: "handle",
    fd: "int32_t",
    flags: "uint32_t",
  }],
  tn_array_borrow_read: ["status", {
    array: "handle",
    flags: "uint32_t",
    stream: "handle",
    data: "memory",
    view: "memory",
    out: "out handle",
  }],
  tn_array_borrow_write: ["status", {
    array: "handle",
    mode: "uint32_t",
    stream: "handle",
    data: "memory",
    view: "memory",
    out: "out handle",
  }],
  tn_borrow_all: ["status", {
    n_specs: "size_t",
    specs: "in tn_borrow_spec",
    views: "memory",
    out: "out handle",
  }],
  tn_array_split_write: ["status", {
    array: "handle",
    axis: "int32_t",
    n_parts: "size_t",
    mode: "uint32_t",
    stream: "handle",
    parts: "memory",
  }],
  tn_borrow_query: ["status", {
    borrow: "handle",
    info: "out tn_borrow_info",
  }],
  tn_borrow_kernel_view: ["status", {
    borrow: "handle",
    ndim: "int32_t",
    bytes: "size_t",
    out: "memory",
  }],
  tn_borrow_end: ["status", {
    borrow: "handle",
    flags: "uint32_t",
    stream: "handle",
  }],
  tn_array_heal: ["status", {
    array: "handle",
  }],
  tn_array_reshape: ["status", {
    array: "handle",
    ndim: "int32_t",
    shape: "memory",
    order: "uint32_t",
    out: "out handle",
  }],
  tn_array_ravel: ["status", {
    array: "handle",
    order: "uint32_t",
    out: "out handle",
  }],
  tn_array_transpose: ["status", {
    array: "handle",
    out: "out handle",
  }],
  tn_array_permute: ["status", {
    array: "handle",
    ndim: "int32_t",
    axes: "memory",
    out: "out handle",
  }],
  tn_array_slice: ["status", {
    array: "handle",
    n_specs: "size_t",
    specs: "in tn_slice_spec",
    out: "out handle",
  }],
  tn_array_index: ["status", {
    array: "handle",
    axis: "int32_t",
    index: "int64_t",
    out: "out handle",
  }],
  tn_array_squeeze: ["status", {
    array: "handle",
    n_axes: "size_t",
    axes: "memory",
    out: "out handle",
  }],
  tn_array_expand: ["status", {
    array: "handle",
    axis: "int32_t",
    out: "out handle",
  }],
  tn_array_broadcast: ["status", {
    array: "handle",
    ndim: "int32_t",
    shape: "memory",
    out: "out handle",
  }],
  tn_array_split: ["status", {
    array: "handle",
    axis: "int32_t",
    n_parts: "size_t",
    capacity: "size_t",
    outs: "memory",
    n_outs: "out size_t",
  }],
  tn_array_chunks: ["status", {
    array: "handle",
    axis: "int32_t",
    length: "int64_t",
    capacity: "size_t",
    outs: "memory",
    n_outs: "out size_t",
  }],
  tn_array_view_dtype: ["status", {
    array: "handle",
    dtype: "uint32_t",
    out: "out handle",
  }],
  tn_array_overlap: ["status", {
    a: "handle",
    b: "handle",
    out: "out uint32_t",
  }],
  tn_array_give: ["status", {
    array: "handle",
    n_required: "size_t",
    out: "out handle",
  }],
  tn_promise_cancel: ["status", {
    promise: "handle",
  }],
  tn_promise_release: ["status", {
    promise: "handle",
  }],
  tn_take: ["status", {
    n_promises: "size_t",
    promises: "memory",
    out: "memory",
  }],
  tn_enter: ["status", {
    n_params: "size_t",
    params: "memory",
    out: "memory",
    scope: "out handle",
  }],
  tn_leave: ["status", {
    scope: "handle",
    n_keep: "size_t",
    keep: "memory",
  }],
  tn_array_is_unique: ["status", {
    array: "handle",
    out: "out int32_t",
  }],
  tn_array_why_not: ["status", {
    array: "handle",
    target: "in tn_target",
    item_size: "size_t",
    capacity: "size_t",
    bits: "out uint32_t",
    holders: "memory",
    n_holders: "out size_t",
  }],
  tn_holders_of: ["status", {
    ptr: "memory",
    bytes: "size_t",
    item_size: "size_t",
    capacity: "size_t",
    store: "memory",
    holders: "memory",
    n_holders: "out size_t",
  }],
  tn_array_holders: ["status", {
    array: "handle",
    item_size: "size_t",
    capacity: "size_t",
    store: "memory",
    holders: "memory",
    n_holders: "out size_t",
  }],
  tn_pool_create: ["status", {
    device: "tn_device",
    options: "in tn_pool_options",
    out: "out handle",
  }],
  tn_pool_import: ["status", {
    device: "tn_device",
    upstream: "in tn_upstream",
    options: "in tn_pool_options",
    out: "out handle",
  }],
  tn_pool_default: ["status", {
    device: "tn_device",
    out: "out handle",
  }],
  tn_pool_set_default: ["status", {
    pool: "handle",
  }],
  tn_pool_set_current: ["status", {
    pool: "handle",
  }],
  tn_pool_current: ["status", {
    device: "tn_device",
    out: "out handle",
  }],
  tn_pool_release: ["status", {
    pool: "handle",
  }],
  tn_pool_allocate: ["status", {
    pool: "handle",
    bytes: "size_t",
    alignment: "size_t",
    stream: "handle",
    out: "out pointer",
  }],
  tn_pool_allocate_zeroed: ["status", {
    pool: "handle",
    bytes: "size_t",
    alignment: "size_t",
    stream: "handle",
    out: "out pointer",
  }],
  tn_pool_reallocate: ["status", {
    pool: "handle",
    ptr: "memory",
    bytes: "size_t",
    stream: "handle",
    out: "out pointer",
  }],
  tn_pool_deallocate: ["status", {
    pool: "handle",
    ptr: "memory",
    stream: "handle",
  }],
  tn_pool_record_use: ["status", {
    pool: "handle",
    ptr: "memory",
    stream: "handle",
  }],
  tn_pool_private_begin: ["status", {
    pool: "handle",
    private_pool: "handle",
    stream: "handle",
  }],
  tn_pool_private_end: ["status", {
    pool: "handle",
    stream: "handle",
  }],
  tn_pool_of: ["status", {
    ptr: "memory",
    out: "out handle",
  }],
  tn_pool_usable_size: ["status", {
    ptr: "memory",
    out: "out size_t",
  }],
  tn_pool_query: ["status", {
    pool: "handle",
    stats: "out tn_pool_stats",
  }],
  tn_pool_reset_peak: ["status", {
    pool: "handle",
  }],
  tn_pool_trim: ["status", {
    pool: "handle",
    keep_bytes: "size_t",
    released_bytes: "memory",
  }],
  tn_pool_set_spill: ["status", {
    pool: "handle",
    options: "in tn_spill_options",
  }],
  tn_pool_spill: ["status", {
    pool: "handle",
    bytes: "size_t",
    spilled_bytes: "memory",
  }],
  tn_pool_query_classes: ["status", {
    pool: "handle",
    item_size: "size_t",
    capacity: "size_t",
    classes: "memory",
    n_classes: "out size_t",
  }],
  tn_pool_query_clients: ["status", {
    pool: "handle",
    item_size: "size_t",
    capacity: "size_t",
    clients: "memory",
    n_clients: "out size_t",
  }],
  tn_pool_on_pressure: ["status", {
    pool: "handle",
    callback: "pointer",
    context: "memory",
    release: "pointer",
  }],
  tn_pool_off_pressure: ["status", {
    pool: "handle",
    callback: "pointer",
    context: "memory",
  }],
  tn_array_copy_into: ["status", {
    source: "handle",
    destination: "handle",
    mode: "uint32_t",
    stream: "handle",
  }],
  tn_array_to_device: ["status", {
    array: "handle",
    device: "tn_device",
    pool: "handle",
    stream: "handle",
    out: "out handle",
  }],
  tn_promise_to_device: ["status", {
    promise: "handle",
    device: "tn_device",
    pool: "handle",
    stream: "handle",
    out: "out handle",
  }],
  tn_array_copy_to_host: ["status", {
    array: "handle",
    ptr: "memory",
    layout: "in tn_layout",
    stream: "handle",
  }],
  tn_array_copy_from_host: ["status", {
    array: "handle",
    ptr: "memory",
    layout: "in tn_layout",
    mode: "uint32_t",
    stream: "handle",
  }],
  tn_array_fill: ["status", {
    array: "handle",
    value: "memory",
    mode: "uint32_t",
    stream: "handle",
  }],
  tn_array_clear: ["status", {
    array: "handle",
    mode: "uint32_t",
    stream: "handle",
  }],
  tn_host_register: ["status", {
    ptr: "memory",
    bytes: "size_t",
    flags: "uint32_t",
    out: "out handle",
  }],
  tn_array_advise: ["status", {
    array: "handle",
    advice: "uint32_t",
    device: "tn_device",
  }],
  tn_array_prefetch: ["status", {
    array: "handle",
    device: "tn_device",
    stream: "handle",
  }],
  tn_device_count: ["status", {
    type: "uint32_t",
    out: "out size_t",
  }],
  tn_device_query: ["status", {
    device: "tn_device",
    flags: "uint32_t",
    info: "out tn_device_info",
  }],
  tn_device_synchronize: ["status", {
    device: "tn_device",
  }],
  tn_stream_create: ["status", {
    device: "tn_device",
    flags: "uint32_t",
    priority: "int32_t",
    out: "out handle",
  }],
  tn_stream_import: ["status", {
    device: "tn_device",
    native: "uint64_t",
    out: "out handle",
  }],
  tn_stream_native: ["status", {
    stream: "handle",
    out: "out uint64_t",
  }],
  tn_stream_synchronize: ["status", {
    stream: "handle",
  }],
  tn_stream_set_current: ["status", {
    device: "tn_device",
    stream: "handle",
  }],
  tn_stream_current: ["status", {
    device: "tn_device",
    out: "out handle",
  }],
  tn_stream_enter: ["status", {
    device: "tn_device",
    stream: "handle",
    flags: "uint32_t",
    out: "out handle",
  }],
  tn_stream_leave: ["status", {
    scope: "handle",
  }],
  tn_stream_wait_event: ["status", {
    stream: "handle",
    event: "handle",
  }],
  tn_stream_legacy: ["handle", {
  }],
  tn_stream_per_thread: ["handle", {
  }],
  tn_stream_of_thread: ["handle", {
  }],
  tn_stream_release: ["status", {
    stream: "handle",
  }],
  tn_event_create: ["status", {
    device: "tn_device",
    flags: "uint32_t",
    out: "out handle",
  }],
  tn_event_record: ["status", {
    event: "handle",
    stream: "handle",
  }],
  tn_event_synchronize: ["status", {
    event: "handle",
  }],
  tn_event_query: ["status", {
    event: "handle",
    out: "out int32_t",
  }],
  tn_event_elapsed: ["status", {
    start: "handle",
    end: "handle",
    elapsed_ns: "out int64_t",
  }],
  tn_event_release: ["status", {
    event: "handle",
  }],
  tn_runner_set_current: ["status", {
    runner: "in tn_runner",
  }],
  tn_runner_current: ["status", {
    out: "out tn_runner",
  }],
  tn_array_export_host: ["status", {
    array: "handle",
    flags: "uint32_t",
    mode: "uint32_t",
    stream: "handle",
    view: "out tn_view_info",
    guard: "out handle",
    how: "memory",
  }],
  tn_array_export_dlpack: ["status", {
    array: "handle",
    options: "in tn_dlpack_options",
    out: "out pointer",
    how: "memory",
  }],
  tn_array_export_dlpack_versioned: ["status", {
    array: "handle",
    options: "in tn_dlpack_options",
    out: "out pointer",
    how: "memory",
  }],
  tn_array_import_dlpack: ["status", {
    tensor: "memory",
    flags: "uint32_t",
    out: "out handle",
    how: "memory",
  }],
  tn_array_import_dlpack_versioned: ["status", {
    tensor: "memory",
    flags: "uint32_t",
    out: "out handle",
    how: "memory",
  }],
  tn_dlpack_exchange_api: ["status", {
    out: "out pointer",
  }],
  tn_array_export_cuda_array_interface: ["status", {
    array: "handle",
    flags: "uint32_t",
    mode: "uint32_t",
    stream: "handle",
    out: "out tn_cuda_array_interface",
    guard: "out handle",
    how: "memory",
  }],
  tn_array_import_cuda_array_interface: ["status", {
    source: "in tn_cuda_array_interface",
    flags: "uint32_t",
    release: "pointer",
    context: "memory",
    out: "out handle",
    how: "memory",
  }],
  tn_array_export_cudamat: ["status", {
    array: "handle",
    flags: "uint32_t",
    mode: "uint32_t",
    out: "out tn_cudamat",
    guard: "out handle",
    how: "memory",
  }],
  tn_array_import_cudamat: ["status", {
    source: "in tn_cudamat",
    flags: "uint32_t",
    release: "pointer",
    context: "memory",
    out: "out handle",
    how: "memory",
  }],
  tn_array_export_arrow: ["status", {
    array: "handle",
    flags: "uint32_t",
    schema: "memory",
    out: "memory",
    how: "memory",
  }],
  tn_array_export_arrow_device: ["status", {
    array: "handle",
    flags: "uint32_t",
    schema: "memory",
    out: "memory",
    how: "memory",
  }],
  tn_array_import_arrow: ["status", {
    schema: "memory",
    source: "memory",
    flags: "uint32_t",
    out: "out handle",
    how: "memory",
  }],
  tn_array_import_arrow_device: ["status", {
    schema: "memory",
    source: "memory",
    flags: "uint32_t",
    out: "out handle",
    how: "memory",
  }],
  tn_array_export_ipc: ["status", {
    array: "handle",
    flags: "uint32_t",
    capacity: "size_t",
    descriptor: "memory",
    descriptor_bytes: "out size_t",
    fd: "out int32_t",
    guard: "out handle",
    how: "memory",
  }],
  tn_array_import_ipc: ["status", {
    descriptor: "memory",
    descriptor_bytes: "size_t",
    fd: "int32_t",
    flags: "uint32_t",
    out: "out handle",
    how: "memory",
  }],
  tn_safetensors_query: ["status", {
    path: "text",
    item_size: "size_t",
    capacity: "size_t",
    infos: "memory",
    n_infos: "out size_t",
  }],
  tn_safetensors_query_fd: ["status", {
    fd: "int32_t",
    offset: "uint64_t",
    item_size: "size_t",
    capacity: "size_t",
    infos: "memory",
    n_infos: "out size_t",
  }],
  tn_array_open_safetensors: ["status", {
    path: "text",
    n_names: "size_t",
    names: "memory",
    options: "in tn_safetensors_options",
    out: "memory",
    how: "memory",
  }],
  tn_array_open_safetensors_fd: ["status", {
    fd: "int32_t",
    offset: "uint64_t",
    n_names: "size_t",
    names: "memory",
    options: "in tn_safetensors_options",
    out: "memory",
    how: "memory",
  }],
  tn_block_layout: ["status", {
    n_items: "size_t",
    items: "in tn_block_item",
    offsets: "memory",
    total: "out int64_t",
  }],
  tn_report_json: ["status", {
    flags: "uint32_t",
    capacity: "size_t",
    text: "memory",
    length: "out size_t",
  }],
  tn_report_html: ["status", {
    flags: "uint32_t",
    path: "text",
  }],
  tn_report_html_text: ["status", {
    flags: "uint32_t",
    capacity: "size_t",
    text: "memory",
    length: "out size_t",
  }],
  tn_copies_query: ["status", {
    item_size: "size_t",
    capacity: "size_t",
    sites: "memory",
    n_sites: "out size_t",
  }],
  tn_copies_forbid: ["status", {
    on: "int32_t",
  }],
  tn_leaks: ["status", {
    item_size: "size_t",
    capacity: "size_t",
    leaks: "memory",
    n_leaks: "out size_t",
  }],
  tn_log_start: ["status", {
    options: "in tn_log_options",
  }],
  tn_log_stop: ["status", {
  }],
  tn_log_save: ["status", {
    path: "text",
  }],
  tn_log_query: ["status", {
    stats: "out tn_log_stats",
  }],
  tn_umf_pool_ops: ["status", {
    version: "uint32_t",
    out: "out pointer",
  }],
  tn_umf_provider_ops: ["status", {
    version: "uint32_t",
    out: "out pointer",
  }],
  tn_cpp_allocate: ["status", {
    pool: "handle",
    bytes: "size_t",
    alignment: "size_t",
    out: "out pointer",
  }],
  tn_cpp_deallocate: ["status", {
    pool: "handle",
    ptr: "memory",
  }],
  tn_expr_leaf: ["status", {
    array: "handle",
    form: "uint32_t",
    out: "out handle",
  }],
  tn_expr_add: ["status", {
    x: "handle",
    y: "handle",
    out: "out handle",
  }],
  tn_expr_subtract: ["status", {
    x: "handle",
    y: "handle",
    out: "out handle",
  }],
  tn_expr_multiply: ["status", {
    m: "handle",
    x: "handle",
    out: "out handle",
  }],
  tn_expr_cholesky: ["status", {
    x: "handle",
    out: "out handle",
  }],
  tn_expr_lu: ["status", {
    x: "handle",
    out: "out handle",
  }],
  tn_expr_lu_part: ["status", {
    factors: "handle",
    part: "uint32_t",
    out: "out handle",
  }],
  tn_expr_solve: ["status", {
    m: "handle",
    b: "handle",
    out: "out handle",
  }],
  tn_expr_scale: ["status", {
    x: "handle",
    factor: "double",
    out: "out handle",
  }],
  tn_expr_transpose: ["status", {
    x: "handle",
    out: "out handle",
  }],
  tn_expr_sum: ["status", {
    x: "handle",
    axis: "int32_t",
    out: "out handle",
  }],
  tn_expr_elementwise: ["status", {
    op: "uint32_t",
    x: "handle",
    y: "handle",
    out: "out handle",
  }],
  tn_expr_dense: ["status", {
    x: "handle",
    out: "out handle",
  }],
  tn_expr_query: ["status", {
    expr: "handle",
    info: "out tn_expr_info",
  }],
  tn_expr_compute: ["status", {
    expr: "handle",
    flags: "uint32_t",
    out: "out handle",
  }],
  tn_expr_release: ["status", {
    expr: "handle",
  }],
  tn_expr_explain: ["status", {
    expr: "handle",
    format: "uint32_t",
    capacity: "size_t",
    text: "memory",
    length: "out size_t",
  }],
  tn_shared_create: ["status", {
    value: "handle",
    flags: "uint32_t",
    options: "in tn_shared_options",
    out: "out handle",
    crossing: "memory",
  }],
  tn_shared_get: ["status", {
    shared: "handle",
    flags: "uint32_t",
    out: "out handle",
    crossing: "memory",
  }],
  tn_shared_set: ["status", {
    shared: "handle",
    value: "handle",
    flags: "uint32_t",
    crossing: "memory",
  }],
  tn_shared_update: ["status", {
    shared: "handle",
    flags: "uint32_t",
    callback: "pointer",
    context: "memory",
    crossing: "memory",
  }],
  tn_shared_update_begin: ["status", {
    shared: "handle",
    flags: "uint32_t",
    value: "out handle",
    crossing: "memory",
  }],
  tn_shared_update_end: ["status", {
    shared: "handle",
    flags: "uint32_t",
  }],
  tn_shared_query: ["status", {
    shared: "handle",
    info: "out tn_shared_info",
  }],
  tn_shared_release: ["status", {
    shared: "handle",
  }],
  tn_function_create: ["status", {
    options: "in tn_function_options",
    out: "out handle",
  }],
  tn_function_call: ["status", {
    function: "handle",
    n_in: "size_t",
    in: "memory",
    n_out: "size_t",
    out: "memory",
    in_crossings: "memory",
    out_crossings: "memory",
  }],
  tn_function_call_crossings: ["status", {
    function: "handle",
    n_in: "size_t",
    in: "memory",
    n_out: "size_t",
    out: "memory",
    crossings: "in tn_call_crossings",
  }],
  tn_function_default: ["status", {
    function: "handle",
    index: "size_t",
    out: "out handle",
  }],
  tn_function_release: ["status", {
    function: "handle",
  }],
  tn_mirror_create: ["status", {
    options: "in tn_mirror_options",
    out: "out handle",
    crossing: "memory",
  }],
  tn_mirror_acquire: ["status", {
    mirror: "handle",
    side: "uint32_t",
    access: "uint32_t",
    stream: "handle",
    data: "memory",
    view: "memory",
    out: "out handle",
  }],
  tn_mirror_get: ["status", {
    mirror: "handle",
    side: "uint32_t",
    out: "out handle",
  }],
  tn_mirror_mark_changed: ["status", {
    mirror: "handle",
    side: "uint32_t",
  }],
  tn_mirror_query: ["status", {
    mirror: "handle",
    info: "out tn_mirror_info",
  }],
  tn_mirror_release: ["status", {
    mirror: "handle",
  }],
  tn_module_load: ["status", {
    image: "memory",
    bytes: "size_t",
    options: "in tn_module_options",
    out: "out handle",
  }],
  tn_module_compile: ["status", {
    source: "text",
    options: "in tn_module_options",
    out: "out handle",
  }],
  tn_module_function: ["status", {
    module: "handle",
    name: "text",
    device: "tn_device",
    function: "out pointer",
  }],
  tn_module_release: ["status", {
    module: "handle",
  }],
  tn_launch: ["status", {
    config: "in tn_launch_config",
    n_args: "size_t",
    args: "in tn_arg",
  }],
  tn_numpy_handler: ["status", {
    pool: "handle",
    out: "out pointer",
  }],
  tn_torch_alloc: ["pointer", {
    bytes: "ptrdiff_t",
    device: "int",
    stream: "memory",
  }],
  tn_torch_free: ["void", {
    ptr: "memory",
    bytes: "ptrdiff_t",
    device: "int",
    stream: "memory",
  }],
  tn_torch_record_stream: ["void", {
    ptr: "memory",
    stream: "memory",
  }],
  tn_cupy_malloc: ["pointer", {
    pool: "memory",
    bytes: "size_t",
    device: "int",
  }],
  tn_cupy_free: ["void", {
    pool: "memory",
    ptr: "memory",
    device: "int",
  }],
  tn_rmm_allocate: ["pointer", {
    bytes: "size_t",
    stream: "memory",
    pool: "memory",
  }],
  tn_rmm_deallocate: ["void", {
    ptr: "memory",
    bytes: "size_t",
    stream: "memory",
    pool: "memory",
  }],
  tn_dlpack_register_python: ["status", {
    slots: "memory",
  }],
  tn_plugin_allocate: ["status", {
    client: "uint32_t",
    pool: "handle",
    bytes: "size_t",
    device: "int",
    stream: "memory",
    out: "out pointer",
  }],
  tn_plugin_deallocate: ["status", {
    client: "uint32_t",
    pool: "handle",
    ptr: "memory",
    device: "int",
    stream: "memory",
  }],
};
