// zig translate-c: the header without a wrapper.
const tn = @import("tenure.zig");

pub fn main() u8 {
    const shape = [1]i64{3};
    var spec: tn.tn_slice_spec = .{ .start = 1, .stop = tn.TN_NONE, .step = tn.TN_NONE, .reserved = .{ 0, 0, 0, 0 } };
    var array: ?*tn.tn_array = null;
    var part: ?*tn.tn_array = null;
    var guard: ?*tn.tn_borrow = null;
    if (tn.tn_array_zeros(null, tn.TN_F64, 1, &shape, null, &array) != tn.TN_OK) return 1;
    if (tn.tn_array_slice(array, 1, &spec, &part) != tn.TN_OK) return 2;
    const flags: tn.tn_guard_flags = tn.TN_FROZEN | tn.TN_WAIT;
    if (tn.tn_array_borrow_read(part, flags, tn.tn_stream_legacy(), null, null, &guard) != tn.TN_OK) return 3;
    if (tn.tn_array_release(array) != tn.TN_OK or tn.tn_borrow_end(guard, 0, null) != tn.TN_OK) return 4;
    if (tn.tn_array_release(part) != tn.TN_OK or tn.tn_array_release(part) != tn.TN_ERR_STALE) return 5;
    return 0;
}
