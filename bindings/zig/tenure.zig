//! Tenure for Zig: arrays, guards, promises, scopes and pools over what `zig translate-c` makes of `include/tenure.h`, the module `c`.
//!
//! A failure is an error of the set `Error`, and `message` has the library's text for it. Objects hold one handle and are plain values:
//! whoever has the last copy calls `release`, by defer. Nothing here allocates memory of Zig.

const std = @import("std");
const status = @import("status.zig");
pub const c = @import("c");

/// The statuses of the library but TN_OK.
pub const Error = status.Error;
/// The status of an error, for functions that C calls.
pub const statusOf = status.statusOf;

/// What this file found wrong, as C has no word for Zig's types; empty after a failure of the library.
threadlocal var own_message: [:0]const u8 = "";

/// The message of this thread's last failure: what was wrong, the offending values, what to do.
pub fn message() [:0]const u8 {
    return if (own_message.len > 0) own_message else std.mem.span(c.tn_last_error());
}

/// Makes an error of a status. For functions of `c` that have no method here.
pub fn check(result: c.tn_status) Error!void {
    if (result == c.TN_OK) return;
    own_message = "";
    return status.errorOf(result);
}

fn refuse(err: Error, text: [:0]const u8) Error {
    own_message = text;
    return err;
}

/// Sets the line that messages and reports name for what this thread makes next: `tenure.here(@src())`.
pub fn here(at: std.builtin.SourceLocation) void {
    _ = c.tn_here(at.file.ptr, @intCast(at.line));
}

/// The element type of a type of Zig.
pub fn dtypeOf(comptime T: type) c.tn_dtype {
    return switch (T) {
        i8 => c.TN_I8,
        i16 => c.TN_I16,
        i32 => c.TN_I32,
        i64 => c.TN_I64,
        u8 => c.TN_U8,
        u16 => c.TN_U16,
        u32 => c.TN_U32,
        u64 => c.TN_U64,
        f16 => c.TN_F16,
        f32 => c.TN_F32,
        f64 => c.TN_F64,
        std.math.Complex(f32) => c.TN_C64,
        std.math.Complex(f64) => c.TN_C128,
        else => @compileError(@typeName(T) ++ " is no element type"),
    };
}

/// C can write a 2 where Zig's bool must be 0 or 1, so booleans are u8. Zig has no bfloat16, so those are the bits.
fn mustBe(comptime T: type, found: c.tn_dtype) Error!void {
    const fits = found == dtypeOf(T) or (T == u8 and found == c.TN_BOOL) or (T == u16 and found == c.TN_BF16);
    if (!fits) return refuse(error.DType, "tenure: the elements are not of type " ++ @typeName(T));
}

fn countOf(shape: []const i64) Error!usize {
    var count: usize = 1;
    for (shape) |length| {
        const factor = std.math.cast(usize, length) orelse return refuse(error.Shape, "tenure: a length is negative");
        count = std.math.mul(usize, count, factor) catch return refuse(error.Overflow, "tenure: more elements than 64 bits count");
    }
    return count;
}

fn mustHave(shape: []const i64, n_elements: usize) Error!void {
    if (try countOf(shape) != n_elements) return refuse(error.Shape, "tenure: the shape does not have the slice's number of elements");
}

/// A part of an axis, as in Python: negative numbers count from the end, null is absent.
pub const Range = struct { start: ?i64 = null, stop: ?i64 = null, step: i64 = 1 };

/// One handle on an array: a claim on bytes, with a layout.
pub const Array = extern struct {
    handle: ?*c.tn_array,

    pub const Options = struct { pool: ?Pool = null, name: ?[*:0]const u8 = null };

    /// Zeros, in C order.
    pub fn zeros(comptime T: type, shape: []const i64, options: Options) Error!Array {
        return create(c.tn_array_zeros, dtypeOf(T), shape, options);
    }

    /// Elements without defined values, in C order.
    pub fn empty(comptime T: type, shape: []const i64, options: Options) Error!Array {
        return create(c.tn_array_empty, dtypeOf(T), shape, options);
    }

    /// A copy of the elements, in C order.
    pub fn fromSlice(comptime T: type, elements: []const T, shape: []const i64) Error!Array {
        // Without a flag, the library only reads the memory.
        return import(T, @constCast(elements), shape, 0, null, null);
    }

    /// The memory itself, in C order. After the last holder of the bytes has ended, the library calls `release`; until then, the memory
    /// stays where it is. If the call fails, `release` is not called.
    pub fn wrap(
        comptime T: type,
        memory: []T,
        shape: []const i64,
        release_callback: c.tn_release_callback,
        context: ?*anyopaque,
    ) Error!Array {
        return import(T, memory, shape, c.TN_TAKE_OWNERSHIP, release_callback, context);
    }

    /// Opens a `.npy` file, in one of the modes TN_NPY_.
    pub fn open(path: [*:0]const u8, mode: c.tn_npy_mode) Error!Array {
        var options = std.mem.zeroes(c.tn_npy_options);
        options.size = @sizeOf(c.tn_npy_options);
        options.mode = mode;
        var made: Array = .{ .handle = null };
        try check(c.tn_array_open_npy(path, &options, &made.handle));
        return made;
    }

    /// Writes a `.npy` file, which replaces an old one in one step.
    pub fn save(self: Array, path: [*:0]const u8) Error!void {
        try check(c.tn_array_save_npy(self.handle, path, 0));
    }

    /// Releases the handle, whatever state the array is in. What cannot be released stays in `leaks`.
    pub fn release(self: Array) void {
        _ = c.tn_array_release(self.handle);
    }

    /// Type, shape, strides in bytes, device and name.
    pub fn info(self: Array) Error!c.tn_array_info {
        var made = std.mem.zeroes(c.tn_array_info);
        made.size = @sizeOf(c.tn_array_info);
        try check(c.tn_array_query(self.handle, &made));
        return made;
    }

    pub fn setName(self: Array, name: [*:0]const u8) Error!void {
        try check(c.tn_array_set_name(self.handle, name));
    }

    /// Whether nobody else holds the bytes: no handle, promise, guard, export or expression.
    pub fn isUnique(self: Array) Error!bool {
        var unique: i32 = 0;
        try check(c.tn_array_is_unique(self.handle, &unique));
        return unique != 0;
    }

    /// Who holds the bytes, as many as there is room for.
    pub fn holders(self: Array, room: []c.tn_holder) Error![]c.tn_holder {
        var n: usize = 0;
        try check(c.tn_array_holders(self.handle, @sizeOf(c.tn_holder), room.len, null, room.ptr, &n));
        return room[0..@min(n, room.len)];
    }

    /// Another handle on the bytes.
    pub fn clone(self: Array) Error!Array {
        return self.derived(c.tn_array_clone, .{});
    }

    /// A copy of the elements, in C order.
    pub fn copy(self: Array) Error!Array {
        return self.derived(c.tn_array_copy, .{ null, null });
    }

    /// Copies the elements into another array, which they are broadcast to.
    pub fn copyInto(self: Array, destination: Array) Error!void {
        try check(c.tn_array_copy_into(self.handle, destination.handle, c.TN_WRITE_ALIASED, null));
    }

    /// Copies the elements, in C order, from any layout and device.
    pub fn copyToSlice(self: Array, comptime T: type, elements: []T) Error!void {
        const known = try self.info();
        try mustBe(T, known.dtype);
        try mustHave(known.shape[0..@intCast(known.ndim)], elements.len);
        try check(c.tn_array_copy_to_host(self.handle, elements.ptr, null, null));
    }

    /// Sets every element to a value.
    pub fn fill(self: Array, comptime T: type, value: T) Error!void {
        try mustBe(T, (try self.info()).dtype);
        try check(c.tn_array_fill(self.handle, &value, c.TN_WRITE_ALIASED, null));
    }

    /// Accepts the elements as they are, after a writer that failed.
    pub fn heal(self: Array) Error!void {
        try check(c.tn_array_heal(self.handle));
    }

    /// A view of the elements at one index of an axis.
    pub fn index(self: Array, axis: i32, at: i64) Error!Array {
        return self.derived(c.tn_array_index, .{ axis, at });
    }

    /// A view of a part of each axis; axes without a range are kept whole.
    pub fn slice(self: Array, ranges: []const Range) Error!Array {
        var specs = std.mem.zeroes([c.TN_MAX_NDIM]c.tn_slice_spec);
        if (ranges.len > specs.len) return refuse(error.Count, "tenure: more ranges than an array has axes");
        for (ranges, specs[0..ranges.len]) |range, *spec| {
            spec.start = range.start orelse c.TN_NONE;
            spec.stop = range.stop orelse c.TN_NONE;
            spec.step = range.step;
        }
        return self.derived(c.tn_array_slice, .{ ranges.len, &specs });
    }

    /// A view with the axes in reverse order.
    pub fn transpose(self: Array) Error!Array {
        return self.derived(c.tn_array_transpose, .{});
    }

    /// A view with another shape. One length may be -1. A layout that would need a copy is error.Layout.
    pub fn reshape(self: Array, shape: []const i64) Error!Array {
        return self.derived(c.tn_array_reshape, .{ @as(i32, @intCast(shape.len)), shape.ptr, c.TN_ORDER_C });
    }

    /// Opens a guard for reading: until its end, nobody writes the elements. A conflict is an error at once.
    pub fn borrowRead(self: Array, comptime T: type) Error!Guard(T, .reading) {
        var view: c.tn_view_info = undefined;
        var guard: ?*c.tn_borrow = null;
        try check(c.tn_array_borrow_read(self.handle, 0, null, null, &view, &guard));
        return Guard(T, .reading).opened(guard, view);
    }

    /// Opens a guard for writing: until its end, nobody else reads or writes the elements. The mode, TN_WRITE_ALIASED, UNIQUE or COW, says
    /// what becomes of other handles on the bytes.
    pub fn borrowWrite(self: Array, comptime T: type, mode: c.tn_write_mode) Error!Guard(T, .writing) {
        var view: c.tn_view_info = undefined;
        var guard: ?*c.tn_borrow = null;
        try check(c.tn_array_borrow_write(self.handle, mode, null, null, &view, &guard));
        return Guard(T, .writing).opened(guard, view);
    }

    /// Gives the array away: whoever takes the promise gets its claim, without a copy. This handle is then error.Destructed.
    pub fn give(self: Array) Error!Promise {
        var promise: Promise = .{ .handle = null };
        try check(c.tn_array_give(self.handle, 1, &promise.handle));
        return promise;
    }

    fn create(comptime function: anytype, dtype: c.tn_dtype, shape: []const i64, options: Options) Error!Array {
        var given = std.mem.zeroes(c.tn_array_options);
        given.size = @sizeOf(c.tn_array_options);
        if (options.name) |name| given.name = name;
        const pool = if (options.pool) |pool| pool.handle else null;
        var made: Array = .{ .handle = null };
        try check(function(pool, dtype, @intCast(shape.len), shape.ptr, &given, &made.handle));
        return made;
    }

    fn import(
        comptime T: type,
        memory: []T,
        shape: []const i64,
        flags: c.tn_borrow_flags,
        callback: c.tn_release_callback,
        context: ?*anyopaque,
    ) Error!Array {
        try mustHave(shape, memory.len);
        var layout = std.mem.zeroes(c.tn_layout);
        layout.size = @sizeOf(c.tn_layout);
        layout.dtype = dtypeOf(T);
        layout.ndim = @intCast(shape.len);
        layout.shape = shape.ptr;
        var made: Array = .{ .handle = null };
        try check(c.tn_array_import_host(memory.ptr, &layout, flags, callback, context, &made.handle, null));
        return made;
    }

    /// The array that a function makes of this one.
    fn derived(self: Array, comptime function: anytype, arguments: anytype) Error!Array {
        var made: Array = .{ .handle = null };
        try check(@call(.auto, function, .{self.handle} ++ arguments ++ .{&made.handle}));
        return made;
    }
};

/// What a guard is for.
pub const Access = enum { reading, writing };

/// An open guard. Its slices and pointers are valid until `end` or `fail`.
pub fn Guard(comptime T: type, comptime access: Access) type {
    return struct {
        const Self = @This();
        const Pointer = if (access == .reading) *const T else *T;
        const Slice = if (access == .reading) []const T else []T;

        handle: ?*c.tn_borrow,
        view: c.tn_view_info,

        fn opened(handle: ?*c.tn_borrow, view: c.tn_view_info) Error!Self {
            const self: Self = .{ .handle = handle, .view = view };
            errdefer self.end();
            try mustBe(T, view.dtype);
            if (view.device.type != c.TN_CPU and view.device.type != c.TN_CUDA_HOST) {
                return refuse(error.Device, "tenure: the elements are in memory of a device: use copyToSlice");
            }
            var bits = @intFromPtr(view.data);
            for (self.shape(), self.strides()) |length, stride| {
                if (length > 1) bits |= @bitCast(stride);
            }
            if (bits % @alignOf(T) != 0) return refuse(error.Layout, "tenure: the elements are not aligned for their type: use copy");
            return self;
        }

        /// Ends the guard.
        pub fn end(self: Self) void {
            _ = c.tn_borrow_end(self.handle, 0, null);
        }

        /// Ends the guard of a writer and marks the elements as undefined, as in `errdefer guard.fail()`: readers get error.Poisoned until
        /// they are written anew, or `heal` accepts them. A later `end` does nothing.
        pub fn fail(self: Self) void {
            comptime std.debug.assert(access == .writing);
            _ = c.tn_borrow_end(self.handle, c.TN_END_FAILED, null);
        }

        /// Lengths of the axes.
        pub fn shape(self: Self) []const i64 {
            return if (self.view.ndim == 0) &.{} else self.view.shape[0..@intCast(self.view.ndim)];
        }

        /// In bytes.
        pub fn strides(self: Self) []const i64 {
            return if (self.view.ndim == 0) &.{} else self.view.strides[0..@intCast(self.view.ndim)];
        }

        /// The elements in C order. An array with gaps or in another order is error.Layout, because nothing is copied: use `at`, views by
        /// `index`, or `copy`.
        pub fn slice(self: Self) Error!Slice {
            const count = try countOf(self.shape());
            if (count == 0) return &.{};
            var wanted: i64 = @sizeOf(T);
            var axis = self.shape().len;
            while (axis > 0) {
                axis -= 1;
                const length = self.shape()[axis];
                if (length > 1 and self.strides()[axis] != wanted) {
                    return refuse(error.Layout, "tenure: the elements are not in C order without gaps: use at, index or copy");
                }
                wanted *= length;
            }
            const first: [*]T = @ptrCast(@alignCast(self.view.data));
            return first[0..count];
        }

        /// One element, of any layout.
        pub fn at(self: Self, where: []const i64) Error!Pointer {
            if (where.len != self.shape().len) return refuse(error.Count, "tenure: not as many indices as axes");
            var offset: i64 = 0;
            for (where, self.shape(), self.strides()) |i, length, stride| {
                if (i < 0 or i >= length) return refuse(error.Range, "tenure: an index is outside of its axis");
                offset += i * stride;
            }
            const address = @intFromPtr(self.view.data) +% @as(usize, @bitCast(offset));
            return @ptrFromInt(address);
        }
    };
}

/// An array that was given and not yet taken.
pub const Promise = extern struct {
    handle: ?*c.tn_promise,

    /// Takes the array. The promise cannot be taken again, and its owner still releases it.
    pub fn take(self: Promise) Error!Array {
        var made: Array = .{ .handle = null };
        try check(c.tn_take(1, &self.handle, &made.handle));
        return made;
    }

    /// Withdraws the promise: its giver has the array back.
    pub fn cancel(self: Promise) Error!void {
        try check(c.tn_promise_cancel(self.handle));
    }

    pub fn release(self: Promise) void {
        _ = c.tn_promise_release(self.handle);
    }
};

/// A function's own arrays for its parameters.
pub const Scope = struct {
    handle: ?*c.tn_scope,

    /// Makes own arrays of parameters, each the handle of an array or of a promise: a given one is taken, of a lent one the scope has a clone.
    /// So a write with TN_WRITE_COW is in place for a given parameter, and in a copy for a lent one.
    pub fn enter(parameters: []const ?*anyopaque, own: []Array) Error!Scope {
        if (own.len != parameters.len) return refuse(error.Count, "tenure: not as many arrays as parameters");
        var scope: Scope = .{ .handle = null };
        try check(c.tn_enter(parameters.len, parameters.ptr, @ptrCast(own.ptr), &scope.handle));
        return scope;
    }

    /// Releases the scope's arrays, except those that it keeps, which belong to the caller.
    pub fn leave(self: Scope, keep: []const Array) Error!void {
        try check(c.tn_leave(self.handle, keep.len, @ptrCast(keep.ptr)));
    }

    /// Leaves the scope, by defer. After `leave` it does nothing.
    pub fn release(self: Scope) void {
        _ = c.tn_leave(self.handle, 0, null);
    }
};

/// An allocator of memory on one device. Its arrays stay valid without it.
pub const Pool = struct {
    handle: ?*c.tn_pool,

    /// What is not set has the library's default.
    pub const Options = struct {
        device: c.tn_device = host,
        name: ?[*:0]const u8 = null,
        /// Bytes that the pool has from the start, and keeps.
        initial_size: u64 = 0,
        /// Upper bound of its bytes; more are error.PoolLimit.
        max_size: u64 = 0,
        /// Upper bound of one step of growth, in bytes.
        max_growth: u64 = 0,
        /// At least 1; 0 is the default.
        growth_factor: f64 = 0,
    };

    pub fn create(options: Options) Error!Pool {
        var given = std.mem.zeroes(c.tn_pool_options);
        given.size = @sizeOf(c.tn_pool_options);
        if (options.name) |name| given.name = name;
        given.initial_size = options.initial_size;
        given.max_size = options.max_size;
        given.max_growth = options.max_growth;
        given.growth_factor = options.growth_factor;
        var made: Pool = .{ .handle = null };
        try check(c.tn_pool_create(options.device, &given, &made.handle));
        return made;
    }

    pub fn release(self: Pool) void {
        _ = c.tn_pool_release(self.handle);
    }

    pub fn stats(self: Pool) Error!c.tn_pool_stats {
        var made = std.mem.zeroes(c.tn_pool_stats);
        made.size = @sizeOf(c.tn_pool_stats);
        try check(c.tn_pool_query(self.handle, &made));
        return made;
    }

    /// Returns free memory to the system, except the first `keep` bytes, and says how many bytes were returned.
    pub fn trim(self: Pool, keep: usize) Error!usize {
        var released: usize = 0;
        try check(c.tn_pool_trim(self.handle, keep, &released));
        return released;
    }

    /// Makes it the default pool of its device, for all threads, in every language, that set no current pool.
    pub fn setDefault(self: Pool) Error!void {
        try check(c.tn_pool_set_default(self.handle));
    }

    /// Restores the initial default pools of all devices.
    pub fn resetDefault() Error!void {
        try check(c.tn_pool_set_default(null));
    }
};

/// Ordinary host memory.
pub const host: c.tn_device = .{ .type = c.TN_CPU, .id = 0 };

/// What a device is, and its memory now.
pub fn memoryInfo(device: c.tn_device) Error!c.tn_device_info {
    var made = std.mem.zeroes(c.tn_device_info);
    made.size = @sizeOf(c.tn_device_info);
    try check(c.tn_device_query(device, c.TN_QUERY_MEMORY, &made));
    return made;
}

/// How many handles, guards and blocks of this process were not released, by any language.
pub fn leakCount() Error!usize {
    var n: usize = 0;
    try check(c.tn_leaks(@sizeOf(c.tn_holder), 0, null, &n));
    return n;
}
