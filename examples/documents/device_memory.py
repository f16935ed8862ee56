"""Memory of a GPU, in the form of Numba's manual: transfers, pinned, mapped and managed arrays, streams, a SmartArray. Needs a GPU."""

import numpy as np

from tenure import cuda

ary = np.arange(10.0)
d_ary = cuda.to_device(ary)
like = cuda.device_array_like(d_ary)
like.copy_to_device(d_ary)  # within the GPU
hary = np.empty(10)
like[2:4].copy_to_host(hary[:2])
print("transfers", d_ary.device, like.shape, hary[:2].tolist())

stream = cuda.stream()
pinned = cuda.pinned_array(10)
pinned.fill(1)
d_ary.copy_to_device(pinned, stream=stream)
with pinned.write("discard") as view:  # waits for the transfer that reads it
    view[:] = 2
with cuda.pinned(ary), stream.auto_synchronize():
    d_ary.copy_to_host(ary, stream=stream)
result = d_ary.copy_to_host(stream=stream)  # its first use waits
print("streams", ary.sum(), result[9], np.asarray(pinned).sum())

mapped, managed = cuda.mapped_array(10), cuda.managed_array(10)
for array in (mapped, managed):
    array.copy_to_device(d_ary, stream=stream)
    with array.read() as view:  # waits for the GPU
        print(array.device, view.sum())

smart = cuda.SmartArray(np.ones(10), where="host")
with smart.write("gpu", stream) as view:  # a kernel on this stream takes view.pointer
    seen = view.device, view.nbytes
print("SmartArray", *seen, smart.valid, np.asarray(smart).sum(), smart.transfers)
assert smart.transfers == (1, 1, 80, 80)
