"""Tests behaviour that the driver's reference leaves open, and compares the answers with those of the simulated driver.

    probe.py [EXPECTED] [ANSWERS]  a line per question; EXPECTED: the simulator's answers, by --record; ANSWERS: a file for all answers
    probe.py --record EXPECTED     writes the answers of this driver

Each group of questions has a process of its own, because some lose the device, crash or hang. How such a process ended is the answer to its
last question. A different answer is no failure. Answers that are times are not compared.
"""

import ctypes
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from ctypes import byref, c_char, c_char_p, c_float, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p

# Time limit of one group, and how long a stream is blocked while a call is tried; seconds.
LIMIT, STALL = 20, 0.3
HOST_FUNCTION = ctypes.CFUNCTYPE(None, c_void_p)
GROUPS = {}


def group(function):
    GROUPS[function.__name__] = function
    return function


class Driver:
    """The driver with a primary context, and short names for the calls that the questions need."""

    def __init__(self):
        self.library = ctypes.CDLL("libcuda.so.1")
        self.keep, self.answers = [], []
        device, self.context = c_int(), c_void_p()
        self.must("cuInit", c_uint(0))
        self.must("cuDeviceGet", byref(device), c_int(0))
        self.must("cuDevicePrimaryCtxRetain", byref(self.context), device)
        self.must("cuCtxSetCurrent", self.context)

    def call(self, name, *arguments):
        function = getattr(self.library, name, None)
        return function(*arguments) if function else "missing"

    def must(self, name, *arguments):
        code = self.call(name, *arguments)
        if code != 0:
            raise RuntimeError(f"{name} gave {code}")

    def tell(self, question, *answer, compared=True):
        self.answers.append((question, ", ".join(map(str, answer)), compared))
        print(json.dumps(self.answers[-1]), flush=True)

    def tell_figure(self, question, *answer):
        """An answer that depends on the machine, such as a time."""
        self.tell(question, *answer, compared=False)

    def risk(self, question, *call):
        """A call that may end the process."""
        print(json.dumps(["may end the process", question]), flush=True)
        self.tell(question, self.call(*call))

    def made(self, name, *arguments):
        handle = c_void_p()
        self.must(name, byref(handle), *arguments)
        return handle

    def stream(self, flags=1):
        return self.made("cuStreamCreate", c_uint(flags))

    def event(self):
        return self.made("cuEventCreate", c_uint(2))

    def memory(self, size):
        address = c_uint64()
        self.must("cuMemAlloc_v2", byref(address), c_size_t(size))
        self.must("cuMemsetD8_v2", address, c_ubyte(0), c_size_t(size))
        self.must("cuCtxSynchronize")
        return address.value

    def read(self, address, size):
        got = (c_ubyte * size)()
        self.must("cuMemcpyDtoH_v2", got, c_uint64(address), c_size_t(size))
        return bytes(got)

    def write(self, address, data):
        self.must("cuMemcpyHtoD_v2", c_uint64(address), c_char_p(data), c_size_t(len(data)))
        self.must("cuCtxSynchronize")

    def stall(self, stream, seconds=STALL):
        """Blocks the stream for a while; the event is set when it continues."""
        gone = threading.Event()
        function = HOST_FUNCTION(lambda _: gone.wait())
        self.keep.append(function)
        self.must("cuLaunchHostFunc", stream, function, None)
        threading.Timer(seconds, gone.set).start()
        return gone


def in_thread(function):
    """Runs a function on a thread of its own, and returns its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(STALL + 5)
    return results[0] if results else "does not return"


def nanoseconds(function, rounds=1):
    start = time.perf_counter_ns()
    for _ in range(rounds):
        function()
    return (time.perf_counter_ns() - start) // rounds


def host(size):
    """Page-aligned pageable memory: (object that owns it, address)."""
    place = mmap.mmap(-1, size)
    return place, ctypes.addressof(c_char.from_buffer(place))


@group
def page_locking(d):
    address, none = c_void_p(1), c_void_p()
    code = d.call("cuMemHostAlloc", byref(address), c_size_t(0), c_uint(0))
    d.tell("cuMemHostAlloc of no bytes", code)
    d.tell("cuMemFreeHost of that", d.call("cuMemFreeHost", address) if code == 0 else "-")
    d.tell("cuMemFreeHost of NULL", d.call("cuMemFreeHost", none))
    keep, at = host(1 << 16)
    d.keep.append(keep)

    def lock(offset, size, flags=3):
        return d.call("cuMemHostRegister_v2", c_void_p(at + offset), c_size_t(size), c_uint(flags))

    def unlock(offset):
        return d.call("cuMemHostUnregister", c_void_p(at + offset))

    d.tell("two ranges of one page, side by side", lock(64, 100), lock(164, 100))
    d.tell("a byte of the first again", lock(163, 1))
    d.tell("unlocking from its middle", unlock(70))
    d.tell("unlocking both, and once more", unlock(64), unlock(164), unlock(64))
    d.tell("a page within a locked range", lock(8192, 16384), lock(12288, 4096), unlock(8192))
    pinned = c_void_p()
    d.must("cuMemHostAlloc", byref(pinned), c_size_t(8192), c_uint(0))
    d.tell("unlocking what the driver allocated", d.call("cuMemHostUnregister", pinned))
    flags = c_uint()
    d.tell("flags of what was allocated with 0", d.call("cuMemHostGetFlags", byref(flags), pinned), flags.value)
    d.tell("locking what the driver allocated", d.call("cuMemHostRegister_v2", pinned, c_size_t(4096), c_uint(0)))
    seen = c_uint64()

    def look(place):
        code = d.call("cuMemHostGetDevicePointer_v2", byref(seen), c_void_p(place), c_uint(0))
        return code, "the same" if code == 0 and seen.value == place else "another"

    d.tell("device address of allocated memory, from its middle", *look(pinned.value + 100))
    combined = c_void_p()
    d.must("cuMemHostAlloc", byref(combined), c_size_t(8192), c_uint(6))
    d.tell("device address of write-combined memory", *look(combined.value))
    d.must("cuMemHostRegister_v2", c_void_p(at), c_size_t(8192), c_uint(2))
    d.tell("device address of registered memory", *look(at))
    first = seen.value
    d.tell("device address from its middle", look(at + 5000)[0], "offset kept" if seen.value == first + 5000 else "another")
    d.must("cuMemHostUnregister", c_void_p(at))
    d.tell("registered without DEVICEMAP: its device address", lock(0, 4096, 0), look(at)[0], unlock(0))
    d.tell("device address of plain memory", look(at)[0])
    constant = mmap.mmap(-1, 8192, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    place = ctypes.addressof(c_char.from_buffer(constant))
    ctypes.CDLL(None).mprotect(c_void_p(place), c_size_t(8192), c_int(1))
    d.keep.append(constant)
    register = lambda flags: d.call("cuMemHostRegister_v2", c_void_p(place), c_size_t(8192), c_uint(flags))  # noqa: E731
    d.tell("locking read-only memory, and with READ_ONLY", register(0), register(8))
    d.call("cuMemHostUnregister", c_void_p(place))


def captured(d, name, *arguments, mode=0, relaxed=False, then=None):
    """The status of a call during a capture on this thread, and the status of ending the capture."""
    stream, graph, thread = d.stream(), c_void_p(), c_int(2)
    d.must("cuStreamBeginCapture_v2", stream, c_int(mode))
    if relaxed:
        d.must("cuThreadExchangeStreamCaptureMode", byref(thread))
    code = d.call(name, *(stream if argument == "stream" else argument for argument in arguments))
    if relaxed:
        d.must("cuThreadExchangeStreamCaptureMode", byref(thread))
    return code, d.call("cuStreamEndCapture", stream, byref(graph))


@group
def captures(d):
    at, done, place = d.memory(1 << 20), d.event(), host(1 << 16)
    d.keep.append(place)
    d.must("cuEventRecord", done, c_void_p(1))
    d.must("cuCtxSynchronize")
    out, numbers, pinned = c_uint64(), (c_size_t * 2)(), c_void_p()
    memory = c_void_p(place[1])
    calls = {
        "cuEventQuery": (done,),
        "cuEventSynchronize": (done,),
        "cuMemAlloc_v2": (byref(out), c_size_t(512)),
        "cuMemHostAlloc": (byref(pinned), c_size_t(4096), c_uint(0)),
        "cuMemHostRegister_v2": (memory, c_size_t(4096), c_uint(0)),
        "cuMemGetInfo_v2": (byref(numbers), byref(numbers, 8)),
        "cuPointerGetAttribute": (byref(out), c_int(2), c_uint64(at)),
        "cuStreamCreate": (byref(pinned), c_uint(1)),
        "cuEventCreate": (byref(pinned), c_uint(2)),
        "cuMemcpyHtoD_v2": (c_uint64(at), memory, c_size_t(64)),
        "cuCtxSynchronize": (),
        "cuStreamSynchronize": ("stream",),
        "cuStreamQuery": ("stream",),
        "cuStreamWaitEvent": ("stream", done, c_uint(0)),
    }
    for name, arguments in calls.items():
        d.tell(f"captured globally: {name}, end", *captured(d, name, *arguments))
        d.call("cuMemHostUnregister", memory)
        d.tell(f"by a relaxed thread: {name}, end", *captured(d, name, *arguments, relaxed=True))
        d.call("cuMemHostUnregister", memory)


@group
def captured_copies(d):
    at, stream, graph, ready = d.memory(64), d.stream(), c_void_p(), c_void_p()
    source, target = (c_ubyte * 64)(*[1] * 64), (c_ubyte * 64)()
    d.must("cuStreamBeginCapture_v2", stream, c_int(0))
    d.tell("captured: copy from pageable memory", d.call("cuMemcpyHtoDAsync_v2", c_uint64(at), source, c_size_t(64), stream))
    d.tell("captured: copy to pageable memory", d.call("cuMemcpyDtoHAsync_v2", target, c_uint64(at), c_size_t(64), stream))
    code = d.call("cuStreamEndCapture", stream, byref(graph))
    d.tell("end of that capture", code)
    if code == 0:
        d.must("cuGraphInstantiateWithFlags", byref(ready), graph, c_uint64(0))
        ctypes.memset(source, 2, 64)
        d.tell("its launch", d.call("cuGraphLaunch", ready, stream), d.call("cuStreamSynchronize", stream))
        d.tell("what was copied", {1: "what was there at the capture", 2: "what is there at the launch"}.get(target[9], target[9]))


@group
def legacy_and_captures(d):
    at, blocking, other, inside, graph, status = d.memory(64), d.stream(0), d.stream(), d.event(), c_void_p(), c_int(9)
    d.must("cuStreamBeginCapture_v2", blocking, c_int(0))
    d.tell("does the legacy stream capture, while a blocking one does", d.call("cuStreamIsCapturing", c_void_p(1), byref(status)))
    d.tell("and the blocking one after that", d.call("cuStreamIsCapturing", blocking, byref(status)), status.value)
    d.must("cuEventRecord", inside, blocking)
    d.tell("end of that capture", d.call("cuStreamEndCapture", blocking, byref(graph)))
    d.tell("an event of a capture, asked after its end", d.call("cuEventQuery", inside))
    d.tell("waited for by a stream after its end", d.call("cuStreamWaitEvent", other, inside, c_uint(0)))
    d.must("cuStreamBeginCapture_v2", blocking, c_int(0))
    code = d.call("cuMemsetD8Async", c_uint64(at), c_ubyte(1), c_size_t(64), c_void_p(1))
    d.tell("legacy work meanwhile, end", code, d.call("cuStreamEndCapture", blocking, byref(graph)))


class Copy2D(ctypes.Structure):
    _fields_ = [
        (f"{side}_{name}", kind)
        for side in ("src", "dst")
        for name, kind in (
            ("x", c_size_t), ("y", c_size_t), ("type", c_int), ("host", c_void_p), ("device", c_uint64), ("array", c_void_p),
            ("pitch", c_size_t),
        )
    ] + [("width", c_size_t), ("height", c_size_t)]


@group
def pitches(d):
    data = bytes(range(1, 251)) * 4
    source, target, stream = d.memory(4096), d.memory(4096), d.stream()
    d.write(source, data)

    def rows(name, width, height, from_pitch, to_pitch, at=1):
        d.must("cuMemsetD8_v2", c_uint64(target), c_ubyte(0), c_size_t(4096))
        d.must("cuCtxSynchronize")
        it = Copy2D(src_type=2, src_device=source + at, src_pitch=from_pitch, dst_type=2, dst_device=target + 3)
        it.dst_pitch, it.width, it.height = to_pitch, width, height
        code = d.call("cuMemcpy2DAsync_v2", byref(it), stream)
        finished = d.call("cuStreamSynchronize", stream)
        if code or finished:
            return d.tell(name, code, finished)
        expected = bytearray(4096)
        for row in range(height):
            begin = 3 + row * to_pitch
            expected[begin : begin + width] = data[at + row * from_pitch : at + row * from_pitch + width]
        d.tell(name, "right" if d.read(target, 4096) == bytes(expected) else "WRONG BYTES")

    rows("rows within the device: 5 bytes, 7 and 13 apart", 5, 9, 7, 13)
    rows("rows within the device: 4 bytes, 12 and 4 apart", 4, 30, 12, 4, 3)
    rows("rows within the device: 1 byte, 3 and 2 apart", 1, 60, 3, 2)
    rows("rows that are longer than they are apart", 8, 3, 4, 16)
    code = d.call("cuMemsetD2D8Async", c_uint64(target + 1), c_size_t(3), c_ubyte(5), c_size_t(2), c_size_t(20), stream)
    d.must("cuStreamSynchronize", stream)
    got = d.read(target + 1, 60)
    d.tell("bytes set in rows 3 apart", code, "right" if all(got[3 * r : 3 * r + 2] == b"\5\5" for r in range(20)) else "WRONG")
    codes = [
        d.call("cuMemsetD2D32Async", c_uint64(target + at), c_size_t(pitch), c_uint(5), c_size_t(1), c_size_t(4), stream)
        for at, pitch in ((0, 6), (2, 8))
    ]
    d.tell("words set in rows 6 apart, and from an address askew", *codes)
    d.call("cuStreamSynchronize", stream)


@group
def largest_pitch(d):
    out, limit = c_int(), 1 << 31
    d.must("cuDeviceGetAttribute", byref(out), c_int(11), c_int(0))
    at, small = c_uint64(), d.memory(512)
    if d.call("cuMemAlloc_v2", byref(at), c_size_t(limit + 8192)) != 0:
        return d.tell("rows that are very far apart", "no memory to try them")
    for pitch in (out.value, limit + 512):
        it = Copy2D(src_type=2, src_device=at.value, src_pitch=pitch, dst_type=2, dst_device=small)
        it.dst_pitch, it.width, it.height = 16, 16, 2
        d.tell(f"two rows {pitch} apart", d.call("cuMemcpy2DAsync_v2", byref(it), c_void_p(1)), d.call("cuCtxSynchronize"))


@group
def pageable_sources(d):
    for size in (64, 1 << 16, (1 << 16) + 1, 1 << 20, 16 << 20):
        at, stream = d.memory(size), d.stream()
        source = (c_ubyte * size)()
        ctypes.memset(source, 1, size)
        gone = d.stall(stream)
        code = d.call("cuMemcpyHtoDAsync_v2", c_uint64(at), source, c_size_t(size), stream)
        waited = gone.is_set()
        ctypes.memset(source, 2, size)
        d.must("cuStreamSynchronize", stream)
        got = set(d.read(at, size))
        told = "read on return" if got == {1} else f"READ LATER: {sorted(got)}"
        d.tell(f"asynchronous copy of {size} pageable bytes", code, told)
        d.tell(f"and while its stream stands still, {size} bytes", "waits for it" if waited else "returns")


@group
def pageable_targets(d):
    for size in (64, 1 << 16, 1 << 20, 16 << 20):
        at, stream, target = d.memory(size), d.stream(), (c_ubyte * size)()
        d.must("cuMemsetD8_v2", c_uint64(at), c_ubyte(7), c_size_t(size))
        d.must("cuCtxSynchronize")
        d.stall(stream)
        code = d.call("cuMemcpyDtoHAsync_v2", target, c_uint64(at), c_size_t(size), stream)
        d.tell(f"asynchronous copy to {size} pageable bytes", code, "written" if target[size - 1] == 7 else "NOT WRITTEN on return")


@group
def synchronous_copies(d):
    late = 0
    for _ in range(20):
        size, stream = 4 << 20, d.stream()
        at, source, target = d.memory(size), (c_ubyte * size)(), c_void_p()
        ctypes.memset(source, 1, size)
        d.must("cuMemHostAlloc", byref(target), c_size_t(size), c_uint(0))
        d.must("cuMemcpyHtoD_v2", c_uint64(at), source, c_size_t(size))
        d.must("cuMemcpyDtoHAsync_v2", target, c_uint64(at), c_size_t(size), stream)
        d.must("cuStreamSynchronize", stream)
        late += set(ctypes.string_at(target, size)) != {1}
    d.tell("cuMemcpyHtoD of pageable bytes, seen too early by another stream", "sometimes" if late else "never")


@group
def who_waits(d):
    stream, other, keep = d.stream(), d.stream(), host(1 << 16)
    d.keep.append(keep)

    def meanwhile(name, *arguments, of=""):
        gone = d.stall(stream)
        code = d.call(name, *arguments)
        waited = gone.is_set()
        gone.wait()
        d.must("cuCtxSynchronize")
        d.tell(f"while a stream stands still: {name}{of}", code, "waits" if waited else "returns")

    out, pointer, numbers = c_uint64(), c_void_p(), (c_size_t * 2)()
    for size, of in ((1 << 20, " of 1 MiB"), (256 << 20, " of 256 MiB")):
        meanwhile("cuMemAlloc_v2", byref(out), c_size_t(size), of=of)
        meanwhile("cuMemFree_v2", c_uint64(out.value), of=of)
    d.must("cuMemAllocAsync", byref(out), c_size_t(4096), other)
    d.must("cuCtxSynchronize")
    meanwhile("cuMemFree_v2", c_uint64(out.value), of=" of a pool's")
    meanwhile("cuMemHostAlloc", byref(pointer), c_size_t(1 << 20), c_uint(0))
    meanwhile("cuMemFreeHost", c_void_p(pointer.value))
    meanwhile("cuMemHostRegister_v2", c_void_p(keep[1]), c_size_t(1 << 16), c_uint(0))
    meanwhile("cuMemHostUnregister", c_void_p(keep[1]))
    meanwhile("cuMemAllocManaged", byref(out), c_size_t(1 << 20), c_uint(1))
    meanwhile("cuMemFree_v2", c_uint64(out.value), of=" of managed memory")
    meanwhile("cuMemGetInfo_v2", byref(numbers), byref(numbers, 8))
    meanwhile("cuEventCreate", byref(pointer), c_uint(2))
    meanwhile("cuEventDestroy_v2", c_void_p(pointer.value))
    meanwhile("cuStreamCreate", byref(pointer), c_uint(1))
    meanwhile("cuStreamDestroy_v2", c_void_p(pointer.value))
    meanwhile("cuMemcpyHtoD_v2", c_uint64(d.memory(64)), (c_ubyte * 64)(), c_size_t(64))


@group
def host_functions(d):
    first, second, met, codes = d.stream(), d.stream(), threading.Barrier(2), []

    def meet(_):
        try:
            met.wait(2)
            codes.append("at the same time")
        except threading.BrokenBarrierError:
            codes.append("one after the other")

    function = HOST_FUNCTION(meet)
    d.must("cuLaunchHostFunc", first, function, None)
    d.must("cuLaunchHostFunc", second, function, None)
    d.must("cuCtxSynchronize")
    d.tell("functions of the host in two streams run", codes[0])
    asked, out = [], c_uint64()
    calls = HOST_FUNCTION(lambda _: asked.append(d.call("cuMemAlloc_v2", byref(out), c_size_t(512))))
    d.must("cuLaunchHostFunc", first, calls, None)
    d.must("cuStreamSynchronize", first)
    d.tell("a function of the host calls cuMemAlloc", *asked)


@group
def other_things(d):
    name = ctypes.create_string_buffer(100)
    d.must("cuDeviceGetName", name, c_int(100), c_int(0))
    d.tell_figure("the name of the device", name.value.decode(errors="replace"))
    names = {
        11: "largest pitch", 41: "unified addressing", 83: "managed memory", 88: "pageable memory access", 89: "concurrent managed access",
        91: "host pointers of registered memory", 99: "registration", 100: "pageable access by host page tables",
        102: "virtual memory management", 113: "read-only registration", 115: "memory pools", 125: "IPC",
    }
    for number, name in names.items():
        value = c_int()
        d.tell(f"attribute {number}, {name}", d.call("cuDeviceGetAttribute", byref(value), c_int(number), c_int(0)), value.value)
    handle, again, at = (c_ubyte * 64)(), c_uint64(), d.memory(1 << 21)
    open_ = d.library.cuIpcOpenMemHandle_v2

    class Handle(ctypes.Structure):
        _fields_ = [("bytes", c_ubyte * 64)]

    code = d.call("cuIpcGetMemHandle", byref(handle), c_uint64(at))
    d.tell("a memory handle opened where it was made", code, open_(byref(again), Handle.from_buffer(handle), c_uint(1)))
    for size in (1, 4096, 1 << 20, 2 << 20, 3 << 20, 64 << 20):
        out = c_uint64()
        d.must("cuMemAlloc_v2", byref(out), c_size_t(size))
        d.tell(f"an allocation of {size} bytes begins at 512, 2 MiB", out.value % 512 == 0, out.value % (2 << 20) == 0)
    d.tell("cuMemAlloc of no bytes", d.call("cuMemAlloc_v2", byref(again), c_size_t(0)))
    d.tell("cuMemFree of NULL", d.call("cuMemFree_v2", c_uint64(0)))
    nothing = c_void_p(0)
    d.tell("copies from NULL: 16 bytes, none", *(d.call("cuMemcpyHtoD_v2", c_uint64(at), nothing, c_size_t(n)) for n in (16, 0)))
    number = c_uint64()
    d.tell("memory type of plain memory", d.call("cuPointerGetAttribute", byref(number), c_int(2), c_uint64(host(4096)[1])))
    d.must("cuMemAllocManaged", byref(again), c_size_t(1 << 20), c_uint(1))
    d.tell("cuMemPrefetchAsync by its old signature", d.call("cuMemPrefetchAsync", again, c_size_t(1 << 20), c_int(0), c_void_p(1)))
    d.tell("cuMemAdvise by its old signature", d.call("cuMemAdvise", again, c_size_t(1 << 20), c_int(3), c_int(0)))
    passed, recorded, time_ = d.event(), d.event(), c_float()
    d.tell("elapsed time of events without timing", d.call("cuEventElapsedTime", byref(time_), passed, recorded))
    d.tell("an event that was never recorded", d.call("cuEventQuery", passed))


def destroyed(d):
    """A stream that its owner destroyed, while other streams live."""
    stream, keep = d.stream(), d.stream()
    d.keep.append(keep)
    d.must("cuStreamDestroy_v2", stream)
    return stream


@group
def destroyed_stream_capturing(d):
    d.risk("destroyed stream: cuStreamIsCapturing", "cuStreamIsCapturing", destroyed(d), byref(c_int()))


@group
def destroyed_stream_record(d):
    d.risk("destroyed stream: cuEventRecord", "cuEventRecord", d.event(), destroyed(d))


@group
def destroyed_stream_id(d):
    d.risk("destroyed stream: cuStreamGetId", "cuStreamGetId", destroyed(d), byref(c_uint64()))


@group
def stream_handles(d):
    seen, again = set(), 0
    for _ in range(1000):
        stream = d.stream()
        again += stream.value in seen
        seen.add(stream.value)
        d.must("cuStreamDestroy_v2", stream)
    d.tell("of 1000 streams made and destroyed, handles that came back", "none" if again == 0 else "nearly all" if again > 900 else "some")
    d.tell_figure("their number", again)


@group
def small_copies(d):
    """A loop that enqueues work and small copies behind it runs ahead of the device, or does not."""
    attribute, stream, at = c_int(), d.stream(), d.memory(1 << 20)
    d.call("cuDeviceGetAttribute", byref(attribute), c_int(88), c_int(0))
    for size in (64, 1 << 12, 1 << 16):
        source = (c_ubyte * size)()
        gone, first = d.stall(stream), None
        for number in range(10):
            d.must("cuMemsetD8Async", c_uint64(at), c_ubyte(1), c_size_t(1 << 20), stream)
            d.must("cuMemcpyHtoDAsync_v2", c_uint64(at), source, c_size_t(size), stream)
            if first is None and gone.is_set():
                first = number + 1
        d.must("cuStreamSynchronize", stream)
        d.tell(f"driver: ten copies of {size} bytes on a stalled stream", f"copy {first} waits" if first else "all return")
    try:
        import numpy
        from tenure import cuda
    except ImportError as error:
        return d.tell_figure("Tenure: ten small copies on a stalled stream", f"not asked: {error}")
    own = cuda.stream()
    for size in (64, 1 << 12, 1 << 16):
        sources, there = [numpy.ones(size, "u1") for _ in range(10)], [cuda.device_array(size, "u1") for _ in range(10)]
        gone, first = d.stall(c_void_p(own.native)), None
        for number in range(10):
            there[number].copy_to_device(sources[number], own)
            if first is None and gone.is_set():
                first = number + 1
        own.synchronize()
        d.tell(f"Tenure: ten copies of {size} bytes on a stalled stream", f"copy {first} waits" if first else "all return")


@group
def captures_of_another_thread(d):
    """A thread captures in global mode, another one calls the driver. The second number is the status of the end of the capture."""
    at, done, place, other = d.memory(1 << 20), d.event(), host(2 << 20), d.stream()
    d.keep.append(place)
    d.must("cuEventRecord", done, c_void_p(1))
    d.must("cuCtxSynchronize")
    out, numbers, pinned, value = c_uint64(), (c_size_t * 2)(), c_void_p(), c_int()
    memory, pageable = c_void_p(place[1]), (c_ubyte * (1 << 20))()
    module = b".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry nothing() { ret; }\n\0"

    def fresh(name, *arguments):
        handle = c_void_p()
        d.must(name, byref(handle), *arguments)
        return handle

    def memory_of_host():
        return fresh("cuMemHostAlloc", c_size_t(4096), c_uint(0))

    calls = {
        "cuMemAlloc": lambda: ("cuMemAlloc_v2", byref(out), c_size_t(512)),
        "cuMemFree": lambda: ("cuMemFree_v2", c_uint64(d.memory(512))),
        "cuMemHostAlloc": lambda: ("cuMemHostAlloc", byref(pinned), c_size_t(4096), c_uint(0)),
        "cuMemFreeHost": lambda: ("cuMemFreeHost", memory_of_host()),
        "cuMemHostRegister": lambda: ("cuMemHostRegister_v2", memory, c_size_t(4096), c_uint(0)),
        "cuMemHostUnregister": lambda: (
            d.must("cuMemHostRegister_v2", memory, c_size_t(4096), c_uint(0)), ("cuMemHostUnregister", memory),
        )[1],
        "cuMemAllocManaged": lambda: ("cuMemAllocManaged", byref(out), c_size_t(4096), c_uint(1)),
        "cuStreamSynchronize of another stream": lambda: ("cuStreamSynchronize", other),
        "cuStreamQuery of another stream": lambda: ("cuStreamQuery", other),
        "cuStreamCreate": lambda: ("cuStreamCreate", byref(pinned), c_uint(1)),
        "cuStreamDestroy": lambda: ("cuStreamDestroy_v2", d.stream()),
        "cuEventCreate": lambda: ("cuEventCreate", byref(pinned), c_uint(2)),
        "cuEventDestroy": lambda: ("cuEventDestroy_v2", d.event()),
        "cuEventQuery": lambda: ("cuEventQuery", done),
        "cuEventSynchronize": lambda: ("cuEventSynchronize", done),
        "cuEventRecord on another stream": lambda: ("cuEventRecord", done, other),
        "copy of 64 pageable bytes": lambda: ("cuMemcpyHtoDAsync_v2", c_uint64(at), pageable, c_size_t(64), other),
        "copy of 1 MiB of pageable bytes": lambda: ("cuMemcpyHtoDAsync_v2", c_uint64(at), pageable, c_size_t(1 << 20), other),
        "copy to 64 pageable bytes": lambda: ("cuMemcpyDtoHAsync_v2", pageable, c_uint64(at), c_size_t(64), other),
        "cuPointerGetAttribute": lambda: ("cuPointerGetAttribute", byref(out), c_int(2), c_uint64(at)),
        "cuMemGetInfo": lambda: ("cuMemGetInfo_v2", byref(numbers), byref(numbers, 8)),
        "cuModuleLoadData": lambda: ("cuModuleLoadData", byref(pinned), c_char_p(module)),
        "cuCtxEnablePeerAccess with itself": lambda: ("cuCtxEnablePeerAccess", d.context, c_uint(0)),
        "cuDevicePrimaryCtxGetState": lambda: ("cuDevicePrimaryCtxGetState", c_int(0), byref(value), byref(value)),
    }
    for name, prepare in calls.items():
        for how in ("", ", relaxed"):
            call, stream, graph, mode = prepare(), d.stream(), c_void_p(), c_int(2)

            def there():
                d.must("cuCtxSetCurrent", d.context)
                if how:
                    d.must("cuThreadExchangeStreamCaptureMode", byref(mode))
                return d.call(*call)

            d.must("cuStreamBeginCapture_v2", stream, c_int(0))
            code = in_thread(there)
            d.tell(f"while another thread captures: {name}{how}, end", code, d.call("cuStreamEndCapture", stream, byref(graph)))
            d.call("cuMemHostUnregister", memory)
            d.call("cuStreamDestroy_v2", stream)


@group
def per_thread_streams(d):
    """An event on the legacy stream comes after the per-thread streams of other threads, and holds up all of them."""
    legacy, own, done = c_void_p(1), c_void_p(2), d.event()

    def stalled():
        d.must("cuCtxSetCurrent", d.context)
        return d.stall(own)

    gone = in_thread(stalled)
    d.must("cuEventRecord", done, legacy)
    d.tell("an event on the legacy stream, while a per-thread stream stands still", d.call("cuEventQuery", done))

    def second():
        d.must("cuCtxSetCurrent", d.context)
        mine = d.event()
        d.must("cuEventRecord", mine, own)
        return d.call("cuEventQuery", mine)

    d.tell("and then an event on the per-thread stream of a third thread", in_thread(second))
    gone.wait()
    d.must("cuCtxSynchronize")
    blocking, mine = d.stream(0), d.event()
    gone = d.stall(blocking)
    d.must("cuEventRecord", done, legacy)
    d.tell("an event on the legacy stream, while a blocking stream stands still", d.call("cuEventQuery", done))
    free = d.stream()
    d.must("cuEventRecord", mine, free)
    time.sleep(0.05)
    d.tell("an event on a non-blocking stream then", d.call("cuEventQuery", mine))
    gone.wait()
    d.must("cuCtxSynchronize")


@group
def addresses(d):
    out, pointer = c_uint64(), c_void_p()

    def begins(address):
        units = ((2 << 20, "at 2 MiB"), (1 << 16, "at 64 KiB"), (4096, "at 4 KiB"))
        return next((name for unit, name in units if address % unit == 0), "elsewhere")

    for size in (1 << 16, 2 << 20, 4 << 20, 20 << 20):
        for name, call, kept in (
            ("cuMemHostAlloc", lambda: d.must("cuMemHostAlloc", byref(pointer), c_size_t(size), c_uint(1)), pointer),
            ("cuMemAllocManaged", lambda: d.must("cuMemAllocManaged", byref(out), c_size_t(size), c_uint(1)), out),
            ("cuMemAlloc", lambda: d.must("cuMemAlloc_v2", byref(out), c_size_t(size)), out),
        ):
            took = nanoseconds(call)
            d.tell(f"{name} of {size} bytes begins", begins(kept.value))
            d.tell_figure(f"{name} of {size} bytes takes, us", took // 1000)
    for size in (100, 512, 700):
        d.must("cuMemAlloc_v2", byref(out), c_size_t(size))
    d.must("cuMemAlloc_v2", byref(out), c_size_t(1 << 16))
    d.tell("cuMemAlloc of 65536 bytes after small ones begins", begins(out.value))


@group
def two_devices(d):
    count, can, other, active, flags = c_int(), c_int(), c_void_p(), c_int(), c_uint()
    d.must("cuDeviceGetCount", byref(count))
    if count.value < 2:
        return d.tell_figure("two devices", "not asked: there is one")
    d.tell("can the second access the first", d.call("cuDeviceCanAccessPeer", byref(can), c_int(1), c_int(0)), can.value)
    size, stream = 64 << 20, d.stream()
    source = d.memory(size)
    d.must("cuDevicePrimaryCtxRetain", byref(other), c_int(1))
    d.must("cuCtxSetCurrent", other)
    there = d.memory(size)
    d.must("cuCtxSetCurrent", d.context)

    def copy():
        d.must("cuMemcpyPeerAsync", c_uint64(there), other, c_uint64(source), d.context, c_size_t(size), stream)
        d.must("cuStreamSynchronize", stream)

    def rate():
        copy()
        return f"{size / min(nanoseconds(copy) for _ in range(5)):.1f} GB/s"

    before = rate()
    gone = d.stall(stream)
    d.must("cuMemcpyPeerAsync", c_uint64(there), other, c_uint64(source), d.context, c_size_t(size), stream)
    d.tell("a peer copy without access, on a stalled stream", "waits" if gone.is_set() else "returns")
    d.must("cuStreamSynchronize", stream)
    d.tell("cuCtxEnablePeerAccess, and again", *(d.call("cuCtxEnablePeerAccess", other, c_uint(0)) for _ in range(2)))
    d.must("cuCtxSetCurrent", other)
    d.tell("cuCtxEnablePeerAccess the other way", d.call("cuCtxEnablePeerAccess", d.context, c_uint(0)))
    d.must("cuCtxSetCurrent", d.context)
    d.tell_figure("a peer copy of 64 MiB before and after that", before, rate())
    if count.value > 2:
        d.must("cuDevicePrimaryCtxGetState", c_int(2), byref(flags), byref(active))
        d.tell("a device that nobody used has a context", bool(active.value))


@group
def forks(d):
    out, (receive, send) = c_uint64(), os.pipe()
    child = os.fork()
    if child == 0:
        codes = d.call("cuMemAlloc_v2", byref(out), c_size_t(512)), d.call("cuInit", c_uint(0))
        os.write(send, repr(codes).encode())
        os._exit(0)
    os.waitpid(child, 0)
    d.tell("in a child of fork: cuMemAlloc, cuInit", os.read(receive, 100).decode())


@group
def reset(d):
    """The last group: it ends the contexts of its process."""
    stream, done, at, now, number, again = d.stream(), d.event(), d.memory(4096), c_void_p(), c_uint64(), c_void_p()
    d.must("cuEventRecord", done, stream)
    d.tell("cuCtxGetId", d.call("cuCtxGetId", d.context, byref(number)))
    before = number.value
    d.tell("cuDevicePrimaryCtxReset with a retained context", d.call("cuDevicePrimaryCtxReset_v2", c_int(0)))
    d.tell("then cuCtxGetCurrent", d.call("cuCtxGetCurrent", byref(now)), "the old context" if now.value == d.context.value else "another")
    d.risk("cuCtxSetCurrent of the old context", "cuCtxSetCurrent", d.context)
    d.risk("cuMemFree of its memory", "cuMemFree_v2", c_uint64(at))
    d.risk("cuEventQuery of its event", "cuEventQuery", done)
    d.tell("cuDevicePrimaryCtxRetain again", d.call("cuDevicePrimaryCtxRetain", byref(again), c_int(0)))
    d.tell("the handle of the new context", "the old one" if again.value == d.context.value else "another")
    code = d.call("cuCtxGetId", again, byref(number))
    d.tell("its cuCtxGetId", code, "the old one" if number.value == before else "another")
    d.must("cuCtxSetCurrent", again)
    d.risk("cuMemFree of the old memory in the new context", "cuMemFree_v2", c_uint64(at))


def asked(name):
    """The answers of one group, from a separate process: (question, answer, whether it is compared)."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-B", __file__, "--one", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, why = process.communicate(timeout=LIMIT)
        end = None if process.returncode == 0 else f"exit status {process.returncode}: {(why.strip().splitlines() or [''])[-1]}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, _ = process.communicate()
        end = f"hung: ended after {time.monotonic() - start:.0f} s"
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    answers = [tuple(line) for line in lines if len(line) == 3]
    if end and lines and len(lines[-1]) == 2:
        # The process took a risk, and did not survive it.
        code = process.returncode
        answers.append((lines[-1][1], f"ends the process by {signal.Signals(-code).name}" if code < 0 else end, True))
    elif end:
        answers.append((f"{name}: how it ended", end, True))
    return answers


def main():
    if sys.argv[1:2] == ["--one"]:
        GROUPS[sys.argv[2]](Driver())
        sys.stdout.flush()
        # No destructor runs: only the answers matter.
        os._exit(0)
    if sys.argv[1:2] == ["--record"]:
        answers = {question: answer for name in GROUPS for question, answer, compared in asked(name) if compared}
        with open(sys.argv[2], "w") as file:
            json.dump(answers, file, indent=1)
        bad = [f"{question}: {answer}" for question, answer in answers.items() if question.endswith(": how it ended")]
        print("\n".join(bad), end="")
        return 1 if bad else 0
    expected = {}
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        with open(sys.argv[1]) as file:
            expected = json.load(file)
    differ, groups = 0, {}
    for name in GROUPS:
        print(f"-- {name.replace('_', ' ')}")
        groups[name] = []
        for question, answer, compared in asked(name):
            other = compared and expected.get(question, "nothing") != answer
            differ += other
            said = expected.get(question, "nothing") if other else None
            groups[name].append({"question": question, "answer": answer, "simulator": said})
            beside = f"      DIFFERS: the simulator says {said}" if other else ""
            print(f"{question:66} {answer}{beside}", flush=True)
        if len(sys.argv) > 2:
            # Written after each group, so that a run that is killed leaves its answers.
            with open(sys.argv[2], "w") as file:
                json.dump(groups, file, indent=1)
    print(f"{differ} answers differ from the simulator's")
    return 0


if __name__ == "__main__":
    sys.exit(main())
