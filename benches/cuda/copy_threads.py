"""Several threads copy plain memory to and from one device at once, each on a stream of its own: bytes per second of all together.

    copy_threads.py [FILE]     a line per number of threads and library; the figures go into FILE
"""

import ctypes
import threading

import numpy as np
from _turns import SIMULATED, Figures, driver, must, peers, use_primary_context

from tenure import cuda

SIZE = (1 if SIMULATED else 64) << 20
use_primary_context()
torch = peers().get("torch")
figures = Figures()


def together(work):
    """Runs all functions at the same time, each on a thread of its own."""

    def run():
        failed = []

        def one(function):
            try:
                use_primary_context()
                function()
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=one, args=(function,)) for function in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise failed[0]

    return run


def by_tenure(plain, there, stream, to_device):
    def run():
        there.copy_to_device(plain, stream) if to_device else there.copy_to_host(plain, stream)
        stream.synchronize()

    return run


def by_driver(plain, at, stream, to_device):
    def run():
        size, native, page = ctypes.c_size_t(SIZE), ctypes.c_void_p(stream.native), ctypes.c_void_p(plain.ctypes.data)
        must(
            driver.cuMemcpyHtoDAsync_v2(at, page, size, native)
            if to_device
            else driver.cuMemcpyDtoHAsync_v2(page, at, size, native)
        )
        must(driver.cuStreamSynchronize(native))

    return run


def by_torch(plain, there, stream, to_device):
    def run():
        with torch.cuda.stream(stream):
            there.copy_(plain, non_blocking=True) if to_device else plain.copy_(there, non_blocking=True)
        stream.synchronize()

    return run


for count in (1, 2) if SIMULATED else (1, 2, 4, 8, 16):
    plain = [np.ones(SIZE, "u1") for _ in range(count)]
    streams = [cuda.stream() for _ in range(count)]
    there = [cuda.device_array(SIZE, "u1") for _ in range(count)]
    at = []
    for array, stream in zip(there, streams):
        with array.on(stream, write=True) as view:
            at.append(ctypes.c_uint64(view.pointer))
    if torch:
        mine = [torch.empty(SIZE, dtype=torch.uint8, device="cuda") for _ in range(count)]
        theirs, of_torch = [torch.from_numpy(array) for array in plain], [torch.cuda.Stream() for _ in range(count)]
    for to_device in (True, False):
        ways = {
            "tenure": together([by_tenure(*of, to_device) for of in zip(plain, there, streams)]),
            "driver": together([by_driver(*of, to_device) for of in zip(plain, at, streams)]),
        }
        if torch:
            ways["torch"] = together([by_torch(*of, to_device) for of in zip(theirs, mine, of_torch)])
        named = f"{count} threads, plain memory {'to' if to_device else 'from'} the device"
        figures.measure(named, ways, size=count * SIZE, rounds=2 if SIMULATED else 5)
figures.write()
