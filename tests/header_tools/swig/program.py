"""SWIG: the header without a wrapper. Prints the names that it has."""

import tenure as tn

array, part, guard, shape = tn.new_array_out(), tn.new_array_out(), tn.new_borrow_out(), tn.new_shape(1)
tn.shape_setitem(shape, 0, 3)
spec = tn.tn_slice_spec()
spec.start, spec.stop, spec.step = 1, tn.TN_NONE, tn.TN_NONE
assert tn.tn_array_zeros(None, tn.TN_F64, 1, shape, None, array) == tn.TN_OK
array = tn.array_out_value(array)
assert tn.tn_array_slice(array, 1, spec, part) == tn.TN_OK
part = tn.array_out_value(part)
flags = tn.TN_FROZEN | tn.TN_WAIT
assert tn.tn_array_borrow_read(part, flags, tn.tn_stream_legacy(), None, None, guard) == tn.TN_OK
assert tn.tn_array_release(array) == tn.TN_OK and tn.tn_borrow_end(tn.borrow_out_value(guard), 0, None) == tn.TN_OK
assert tn.tn_array_release(part) == tn.TN_OK and tn.tn_array_release(part) == tn.TN_ERR_STALE
print("\n".join(dir(tn)))
