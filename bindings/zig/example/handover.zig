const tenure = @import("tenure");
const c = tenure.c;

/// Takes an array that C gives, fills it with squares in place, and hands it back.
export fn squares(given: ?*c.tn_promise, result: *?*c.tn_array) c.tn_status {
    const array = fillSquares(.{ .handle = given }) catch |err| return tenure.statusOf(err);
    result.* = array.handle;
    return c.TN_OK;
}

fn fillSquares(given: tenure.Promise) tenure.Error!tenure.Array {
    const array = try given.take();
    errdefer array.release();
    const guard = try array.borrowWrite(f64, c.TN_WRITE_ALIASED);
    defer guard.end();
    for (try guard.slice(), 1..) |*x, i| x.* = @floatFromInt(i * i);
    return array;
}
