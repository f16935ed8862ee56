//! The binding's calls, each with what it returns.

const std = @import("std");
const tenure = @import("tenure");
const c = tenure.c;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualSlices = std.testing.expectEqualSlices;
const Array = tenure.Array;

fn refused(err: tenure.Error, result: anytype, parts: []const []const u8) !void {
    try std.testing.expectError(err, result);
    for (parts) |part| {
        if (std.mem.indexOf(u8, tenure.message(), part) == null) {
            std.debug.print("\"{s}\" is not in: {s}\n", .{ part, tenure.message() });
            return error.TestUnexpectedResult;
        }
    }
}

fn counting(shape: []const i64) !Array {
    var elements: [24]f64 = undefined;
    for (&elements, 0..) |*element, i| element.* = @floatFromInt(i);
    var count: usize = 1;
    for (shape) |length| count *= @intCast(length);
    return Array.fromSlice(f64, elements[0..count], shape);
}

fn expectElements(array: Array, comptime T: type, comptime wanted: []const T) !void {
    var found: [wanted.len]T = undefined;
    try array.copyToSlice(T, &found);
    try expectEqualSlices(T, wanted, &found);
}

fn noLeaks() !void {
    try expectEqual(@as(usize, 0), try tenure.leakCount());
}

test "creation" {
    const a = try Array.zeros(f32, &.{ 2, 3 }, .{ .name = "a" });
    const info = try a.info();
    try expectEqual(@as(c.tn_dtype, c.TN_F32), info.dtype);
    try expectEqualSlices(i64, &.{ 2, 3 }, info.shape[0..@intCast(info.ndim)]);
    try expectEqualSlices(i64, &.{ 12, 4 }, info.strides[0..@intCast(info.ndim)]);
    try expectEqual(@as(u8, 'a'), info.name[0]);
    try a.setName("renamed");
    try expectEqual(@as(u8, 'r'), (try a.info()).name[0]);
    try expectElements(a, f32, &.{ 0, 0, 0, 0, 0, 0 });
    const empty = try Array.empty(i64, &.{4}, .{});
    const scalar = try Array.zeros(f64, &.{}, .{});
    try expectElements(scalar, f64, &.{0});
    const none = try Array.fromSlice(i8, &.{}, &.{ 2, 0 });
    const guard = try none.borrowRead(i8);
    try expectEqual(@as(usize, 0), (try guard.slice()).len);
    guard.end();
    for ([_]Array{ a, empty, scalar, none }) |array| array.release();
    try noLeaks();
}

test "element types" {
    inline for (.{ i8, i16, i32, i64, u8, u16, u32, u64, f16, f32, f64, std.math.Complex(f32), std.math.Complex(f64) }) |T| {
        const a = try Array.zeros(T, &.{2}, .{});
        defer a.release();
        const guard = try a.borrowRead(T);
        defer guard.end();
        try expectEqual(@as(usize, 2), (try guard.slice()).len);
        try expectEqual(std.mem.zeroes(T), (try guard.at(&.{1})).*);
    }
    var booleans: Array = .{ .handle = null };
    try tenure.check(c.tn_array_zeros(null, c.TN_BOOL, 1, &@as(i64, 2), null, &booleans.handle));
    defer booleans.release();
    try expectElements(booleans, u8, &.{ 0, 0 });
    try refused(error.DType, booleans.borrowRead(i8), &.{"i8"});
    try expect(try booleans.isUnique());
}

test "guards" {
    const a = try Array.zeros(f64, &.{ 2, 3 }, .{});
    const w = try a.borrowWrite(f64, c.TN_WRITE_ALIASED);
    (try w.slice())[0] = 1;
    (try w.at(&.{ 1, 2 })).* = 5;
    try expectEqualSlices(i64, &.{ 2, 3 }, w.shape());
    w.end();
    try expectElements(a, f64, &.{ 1, 0, 0, 0, 0, 5 });
    const r = try a.borrowRead(f64);
    try expect(@TypeOf(try r.slice()) == []const f64);
    try refused(error.Count, r.at(&.{0}), &.{"indices"});
    try refused(error.Range, r.at(&.{ 0, 3 }), &.{"index"});
    try refused(error.Range, r.at(&.{ -1, 0 }), &.{});
    r.end();
    try refused(error.DType, a.borrowRead(f32), &.{"f32"});
    try expect(try a.isUnique());
    a.release();
    try noLeaks();
}

test "conflicts name the line" {
    const a = try Array.zeros(f64, &.{3}, .{ .name = "weights" });
    defer a.release();
    tenure.here(.{ .module = "", .file = "step.zig", .fn_name = "", .line = 41, .column = 1 });
    const r = try a.borrowRead(f64);
    try refused(error.Borrowed, a.borrowWrite(f64, 0), &.{ "tn_array_borrow_write", "\"weights\"", "step.zig:41" });
    var room: [8]c.tn_holder = undefined;
    var found = false;
    for (try a.holders(&room)) |holder| found = found or holder.kind == c.TN_HOLDER_GUARD_READ;
    try expect(found);
    r.end();
    tenure.here(@src());
    const w = try a.borrowWrite(f64, 0);
    try refused(error.BorrowedWrite, a.borrowRead(f64), &.{"calls.zig"});
    w.end();
}

test "views" {
    const a = try counting(&.{ 2, 3 });
    const row = try a.index(0, -1);
    try expectElements(row, f64, &.{ 3, 4, 5 });
    const columns = try a.slice(&.{ .{}, .{ .start = 1 } });
    try expectElements(columns, f64, &.{ 1, 2, 4, 5 });
    const backwards = try row.slice(&.{.{ .step = -1 }});
    try expectElements(backwards, f64, &.{ 5, 4, 3 });
    const turned = try a.transpose();
    const r = try turned.borrowRead(f64);
    try expectEqual(@as(f64, 5), (try r.at(&.{ 2, 1 })).*);
    try refused(error.Layout, r.slice(), &.{"order"});
    r.end();
    try refused(error.Layout, turned.reshape(&.{6}), &.{"tn_array_reshape"});
    const flat = try a.reshape(&.{-1});
    const w = try flat.borrowWrite(f64, 0);
    (try w.slice())[5] = 50;
    w.end();
    try expectElements(row, f64, &.{ 3, 4, 50 });
    try refused(error.Range, a.index(0, 2), &.{ "tn_array_index", "2" });
    for ([_]Array{ a, row, columns, backwards, turned, flat }) |array| array.release();
    try noLeaks();
}

test "clones and copies" {
    const a = try counting(&.{3});
    const clone = try a.clone();
    const copied = try a.copy();
    try expect(!try a.isUnique());
    try expect(try copied.isUnique());
    try clone.fill(f64, 7);
    try expectElements(a, f64, &.{ 7, 7, 7 });
    try expectElements(copied, f64, &.{ 0, 1, 2 });
    try copied.copyInto(a);
    try expectElements(clone, f64, &.{ 0, 1, 2 });
    const w = try clone.borrowWrite(f64, c.TN_WRITE_COW);
    (try w.at(&.{0})).* = 9;
    w.end();
    try expectElements(a, f64, &.{ 0, 1, 2 });
    for ([_]Array{ a, clone, copied }) |array| array.release();
    try noLeaks();
}

test "released handles are refused" {
    const a = try counting(&.{3});
    a.release();
    a.release();
    try refused(error.Stale, a.info(), &.{ "tn_array_query", "released" });
    try refused(error.Stale, a.borrowRead(f64), &.{ "tn_array_borrow_read", "released" });
    const none: Array = .{ .handle = null };
    try refused(error.Null, none.clone(), &.{"NULL"});
}

test "give and take" {
    const a = try counting(&.{3});
    try a.setName("given");
    const promise = try a.give();
    try refused(error.Given, a.borrowRead(f64), &.{"\"given\""});
    const taken = try promise.take();
    try refused(error.Destructed, a.borrowRead(f64), &.{ "tn_array_borrow_read", "given" });
    try refused(error.Destructed, promise.take(), &.{});
    promise.release();
    a.release();
    try expect(try taken.isUnique());
    const again = try taken.give();
    try again.cancel();
    again.release();
    try expectElements(taken, f64, &.{ 0, 1, 2 });
    taken.release();
    try noLeaks();
}

test "poison" {
    const a = try counting(&.{3});
    const w = try a.borrowWrite(f64, 0);
    (try w.at(&.{0})).* = 9;
    w.fail();
    w.end();
    try refused(error.Poisoned, a.borrowRead(f64), &.{});
    try a.heal();
    try expectElements(a, f64, &.{ 9, 1, 2 });
    a.release();
    try noLeaks();
}

test "scopes" {
    const lent = try counting(&.{3});
    const given = try counting(&.{5});
    const promise = try given.give();
    var own: [2]Array = undefined;
    {
        const scope = try tenure.Scope.enter(&.{ lent.handle, promise.handle }, &own);
        defer scope.release();
        const w = try own[0].borrowWrite(f64, c.TN_WRITE_COW);
        (try w.at(&.{0})).* = 8;
        w.end();
        try scope.leave(own[1..]);
    }
    try refused(error.Stale, own[0].info(), &.{});
    try expectElements(lent, f64, &.{ 0, 1, 2 });
    try expectElements(own[1], f64, &.{ 0, 1, 2, 3, 4 });
    try refused(error.Destructed, given.clone(), &.{});
    try refused(error.Null, tenure.Scope.enter(&.{null}, own[0..1]), &.{});
    try refused(error.Count, tenure.Scope.enter(&.{lent.handle}, &own), &.{});
    promise.release();
    for ([_]Array{ lent, given, own[1] }) |array| array.release();
    try noLeaks();
}

test "pools" {
    const pool = try tenure.Pool.create(.{ .name = "step", .max_size = 1 << 20 });
    const a = try Array.zeros(u8, &.{1000}, .{ .pool = pool });
    const stats = try pool.stats();
    try expectEqual(@as(u64, 1), stats.live_blocks);
    try expectEqual(@as(u64, 1 << 20), stats.limit_bytes);
    try refused(error.PoolLimit, Array.zeros(u8, &.{1 << 21}, .{ .pool = pool }), &.{"\"step\""});
    try pool.setDefault();
    const b = try Array.zeros(u8, &.{1}, .{});
    try tenure.Pool.resetDefault();
    try expectEqual(@as(u64, 2), (try pool.stats()).live_blocks);
    b.release();
    _ = try pool.trim(0);
    pool.release();
    try refused(error.Stale, pool.stats(), &.{});
    try expectEqual(@as(u64, 1000), (try a.info()).bytes);
    a.release();
    const memory = try tenure.memoryInfo(tenure.host);
    try expect(memory.total_bytes > 0 and memory.free_bytes <= memory.total_bytes);
    try noLeaks();
}

fn released(context: ?*anyopaque) callconv(.c) void {
    const count: *u32 = @ptrCast(@alignCast(context));
    count.* += 1;
}

test "memory of the program" {
    var memory = [_]i32{ 1, 2, 3, 4 };
    var count: u32 = 0;
    const a = try Array.wrap(i32, &memory, &.{ 2, 2 }, released, &count);
    const w = try a.borrowWrite(i32, 0);
    (try w.at(&.{ 0, 1 })).* = 7;
    w.end();
    try expectEqual(@as(i32, 7), memory[1]);
    const view = try a.index(0, 0);
    a.release();
    try expectEqual(@as(u32, 0), count);
    view.release();
    try expectEqual(@as(u32, 1), count);
    try refused(error.Shape, Array.wrap(i32, &memory, &.{3}, released, &count), &.{"shape"});
    try refused(error.Shape, Array.wrap(i32, &memory, &.{ -2, -2 }, released, &count), &.{"negative"});
    try expectEqual(@as(u32, 1), count);
    try noLeaks();
}

test "files" {
    const path = "calls.npy";
    const a = try counting(&.{ 2, 2 });
    try a.save(path);
    for ([_]c.tn_npy_mode{ c.TN_NPY_READ, c.TN_NPY_COPY }) |mode| {
        const b = try Array.open(path, mode);
        defer b.release();
        try expectElements(b, f64, &.{ 0, 1, 2, 3 });
    }
    try refused(error.IO, Array.open("missing/calls.npy", c.TN_NPY_READ), &.{"missing/calls.npy"});
    a.release();
    try noLeaks();
}

test "errors" {
    try refused(error.Overflow, Array.zeros(f64, &.{ 1 << 40, 1 << 40 }, .{}), &.{"tn_array_zeros"});
    try refused(error.Shape, Array.fromSlice(i8, &.{ 1, 2 }, &.{3}), &.{"shape"});
    try refused(error.Null, tenure.check(c.tn_array_release(null)), &.{"tn_array_release"});
    // Each status has its error, and each error its status.
    inline for (.{ .{ error.Null, c.TN_ERR_NULL }, .{ error.BorrowedWrite, c.TN_ERR_BORROWED_WRITE }, .{ error.Overflow, c.TN_ERR_OVERFLOW } }) |pair| {
        try std.testing.expectError(pair[0], tenure.check(pair[1]));
        try expectEqual(@as(u32, pair[1]), tenure.statusOf(pair[0]));
    }
    try std.testing.expectError(error.Unknown, tenure.check(1_000_000));
}
