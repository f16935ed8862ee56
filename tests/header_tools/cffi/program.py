"""cffi with pycparser: the header without a wrapper. Prints the names that it has."""

import os
import re
import subprocess

import cffi

text = open(os.environ["TENURE_INCLUDE"] + "/tenure.h").read()
text = re.sub(r"(?m)^#include.*$", "", text)  # cffi knows the types of these headers by itself
text = subprocess.run(["gcc", "-E", "-P", "-DTN_MUST_CHECK=", "-"], input=text, capture_output=True, text=True, check=True).stdout
ffi = cffi.FFI()
ffi.cdef(text)
tn = ffi.dlopen(os.environ["TENURE_LIB"] + "/libtenure.so.0")

array, part, guard = ffi.new("tn_array **"), ffi.new("tn_array **"), ffi.new("tn_borrow **")
spec = ffi.new("tn_slice_spec *", {"start": 1, "stop": tn.TN_NONE, "step": tn.TN_NONE})
assert tn.tn_array_zeros(ffi.NULL, tn.TN_F64, 1, ffi.new("int64_t[1]", [3]), ffi.NULL, array) == tn.TN_OK
assert tn.tn_array_slice(array[0], 1, spec, part) == tn.TN_OK
flags = tn.TN_FROZEN | tn.TN_WAIT
assert tn.tn_array_borrow_read(part[0], flags, tn.tn_stream_legacy(), ffi.NULL, ffi.NULL, guard) == tn.TN_OK
assert tn.tn_array_release(array[0]) == tn.TN_OK and tn.tn_borrow_end(guard[0], 0, ffi.NULL) == tn.TN_OK
assert tn.tn_array_release(part[0]) == tn.TN_OK and tn.tn_array_release(part[0]) == tn.TN_ERR_STALE
print("\n".join(dir(tn)))
