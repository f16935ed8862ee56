"""The part of docs/interop.md on streams: who waits for whom when an array of a GPU crosses, by the calls that the simulated driver counts.

`gpu_matrix.py` writes the page. While an array crosses, the stream with the unfinished work on it is stalled, so a wait of the host would not
return.
"""

import contextlib
import ctypes

import older_libraries

import tenure
from tenure import compat, cuda

TITLE = "Streams at the border"
HOST_WAITS = "cuStreamSynchronize", "cuEventSynchronize", "cuCtxSynchronize"
simulated = cuda.devices()[0].name == "Tenure simulated device"


def calls(*names) -> int:
    """How often the driver's functions were called so far."""
    count = older_libraries.driver.tenure_sim_calls
    count.restype = ctypes.c_uint64
    return sum(count(name.encode()) for name in names)


@contextlib.contextmanager
def stalled(stream):
    native = ctypes.c_void_p(stream.native)
    older_libraries.call("tenure_sim_hold", native)
    try:
        yield
    finally:
        older_libraries.call("tenure_sim_release", native)
        stream.synchronize()


class Producer:
    """An array of another library with unfinished work on a stream."""

    def __init__(self, x, stream):
        self.x, self.native = x, stream.native
        description = x.__cuda_array_interface__
        self.pointer, self.shape, self.typestr = description["data"][0], description["shape"], description["typestr"]

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.shape, "typestr": self.typestr, "data": (self.pointer, False), "version": 3, "stream": self.native}


class Tensor:
    """The same with DLPack: it makes the consumer's stream wait, as Tenure's own arrays do."""

    def __init__(self, x):
        self.x = x

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()

    def __dlpack__(self, **options):
        return self.x.__dlpack__(**options)


class ArrowArray:
    """The same with Arrow's device interface, whose event comes after its work."""

    def __init__(self, x, stream):
        x.fill(1, stream=stream)
        self.made = x.__arrow_c_device_array__()

    def __arrow_c_device_array__(self):
        return self.made


def leaves(cross):
    """An array with unfinished work of Tenure on a stalled stream goes to another library."""

    def run(x, s, t):
        x.fill(1, stream=s)
        return lambda: cross(x, t)

    return run


def comes(make, cross):
    """An array of another library comes in. Its work on a stalled stream is unfinished."""

    def run(x, s, t):
        made = make(x, s)
        if isinstance(made, Tensor):
            x.fill(1, stream=s)
        return lambda: cross(made)

    return run


# What crosses, and who waits for whom.
CROSSINGS = {
    "`x.__cuda_array_interface__`": (
        leaves(lambda x, t: x.__cuda_array_interface__),
        "the consumer, for the stream that the interface names",
    ),
    "`x.__dlpack__(stream=None)`": (leaves(lambda x, t: x.__dlpack__()), "the legacy stream, for Tenure's work"),
    "`x.__dlpack__(stream=t)`": (
        leaves(lambda x, t: x.__dlpack__(stream=t.native)),
        "the consumer's stream t, for Tenure's work",
    ),
    "`x.__dlpack__(stream=-1)`": (leaves(lambda x, t: x.__dlpack__(stream=-1)), "nobody: the consumer asked for that"),
    "`to_gpuarray(x)`": (leaves(lambda x, t: compat.to_gpuarray(x)), "PyCUDA's default stream, the legacy one, for Tenure's work"),
    "`to_cudamat(x, transposed=True)`": (
        leaves(lambda x, t: compat.to_cudamat(x, transposed=True)),
        "CUDAMat's stream, the legacy one, for Tenure's work",
    ),
    "`to_garray(x)`": (leaves(lambda x, t: compat.to_garray(x)), "the legacy stream, for Tenure's work"),
    "`x.__arrow_c_device_array__()`": (
        leaves(lambda x, t: x.__arrow_c_device_array__()),
        "the consumer, for the event; later writes of x, for all work of the device",
    ),
    "`tenure.asarray(a)`, by `a.__cuda_array_interface__`": (
        comes(Producer, tenure.asarray),
        "Tenure's current stream, for the stream that a names; the release, for Tenure's work",
    ),
    "`tenure.from_dlpack(a)`": (
        comes(lambda x, s: Tensor(x), tenure.from_dlpack),
        "Tenure's current stream, which a makes wait; the deleter, for Tenure's work",
    ),
    "`tenure.from_arrow(a)`": (
        comes(ArrowArray, tenure.from_arrow),
        "Tenure's current stream, for the event; the release, for Tenure's work",
    ),
}


def row(cross) -> list[int]:
    """Calls during a crossing: waits of the host, waits of streams, events recorded."""
    x, s, t = cuda.to_device(older_libraries.np.ones((3, 4), "float32")), cuda.stream(), cuda.stream()
    cuda.synchronize()
    with stalled(s):
        run = cross(x, s, t)
        before = [calls(*HOST_WAITS), calls("cuStreamWaitEvent"), calls("cuEventRecord")]
        made = run()
        after = [calls(*HOST_WAITS), calls("cuStreamWaitEvent"), calls("cuEventRecord")]
    del made, run
    cuda.synchronize()
    if hasattr(x, "end_exports"):
        x.end_exports()
    return [now - then for now, then in zip(after, before)]


def section() -> str:
    heads = "| what crosses | who waits | host waits | waits of streams | events |\n|---|---|---|---|---|"
    rows = [f"| {name} | {who} | " + " | ".join(map(str, row(cross))) + " |" for name, (cross, who) in CROSSINGS.items()]
    return f"""## {TITLE}

An array of a GPU crosses while work on it is unfinished, on a stream of Tenure or of the other library. The last columns are the
driver's calls during the crossing, counted on the simulated driver: waits of the host, `cuStreamWaitEvent`, `cuEventRecord`. No
format forces a wait of the host. A consumer that ignores the streams, or asks for `stream=-1`, may read bytes of before the work,
or some of both; no library can notice that.

{heads}
{chr(10).join(rows)}
"""
