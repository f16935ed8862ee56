const std = @import("std");
const tenure = @import("tenure");
const c = tenure.c;

extern fn handover_give(out: *?*c.tn_promise) void;
extern fn handover_take(given: *const ?*c.tn_promise) void;

/// Takes an array that C gives, squares its elements in place, and gives it back.
pub fn main() !void {
    var promise: tenure.Promise = .{ .handle = null };
    handover_give(&promise.handle);
    const array = try promise.take();
    try square(array);

    const given = try array.give();
    handover_take(&given.handle);
    given.release();
    array.release();
    std.debug.print("{d} leaks\n", .{try tenure.leakCount()});
}

fn square(array: tenure.Array) !void {
    const guard = try array.borrowWrite(f64, c.TN_WRITE_ALIASED);
    defer guard.end();
    for (try guard.slice()) |*x| x.* *= x.*;
}
