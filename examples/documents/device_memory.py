"""Memory of a GPU, in the form of Numba's manual: transfers, pinned, mapped and managed arrays, streams, a SmartArray. Needs a GPU."""

import numpy as np

from tenure import cuda

ary = np.arange(10.0)
d_ary = cuda.to_device(ary)
like = cuda.device_array_like(d_ary)
like.copy_to_device(d_ary)  # within the GPU
print("transfers", d_ary.device, like[2:4].copy_to_host().tolist())

stream = cuda.stream()
pinned = cuda.pinned_array(10)
pinned.fill(1)
d_ary.copy_to_device(pinned, stream=stream)
with pinned.write("discard") as view:  # waits for the transfer that reads it
    view[:] = 2
with cuda.pinned(ary), stream.auto_synchronize():
    d_ary.copy_to_host(ary, stream=stream)
print("streams", ary.sum(), d_ary.copy_to_host(stream=stream)[9], pinned[9])  # the use of a result waits
assert ary.sum() == 10

mapped, managed = cuda.mapped_array(10), cuda.managed_array(10)
for array in (mapped, managed):
    array.copy_to_device(d_ary, stream=stream)
    with array.read() as view:  # waits for the GPU
        print(array.device, view.sum())

smart = cuda.SmartArray(np.ones(10), where="host")
smart.get("gpu").fill(3)  # the SmartArray sees this write by itself
print("SmartArray", smart.valid, np.asarray(smart).sum(), *smart.transfers)
assert smart.transfers == (1, 1, 80, 80)
# It prints:
# transfers cuda:0 [2.0, 3.0]
# streams 10.0 1.0 2.0
# cuda_host 10.0
# cuda_managed:0 10.0
# SmartArray ('device',) 30.0 1 1 80 80
