"""Strided copies of large arrays beside numpy's copyto, torch's copy_ and the C library's memcpy (bars T13, T14).

    strided.py small|huge forwards|backwards     one round: a line "case_who <tab> minimum <tab> median" per case, in ns a copy

`cargo xtask bench strided` runs the rounds, one process each, and compares. All libraries work on the same bytes: one mapping to read from
and one to write to, on 4 KiB pages or, with `huge`, on huge pages, because the placement of pages changes such figures by several times.
They take turns sample by sample. memcpy copies as many contiguous bytes as the case has.
"""

import ctypes
import math
import mmap
import os
import statistics
import sys
import threading
import time

import numpy as np
import tenure

try:
    import torch
except ImportError:  # the peers' environment has it: cargo xtask test --peers
    torch = None

MIB = 1 << 20
SAMPLES = 5
ROOM = 258 * MIB

memcpy = ctypes.CDLL(None).memcpy
memcpy.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


def room(huge: bool) -> np.ndarray:
    """Mapped bytes, all of them written once."""
    mapping = mmap.mmap(-1, ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping.madvise(14 if huge else 15)  # MADV_HUGEPAGE, MADV_NOHUGEPAGE
    buffer = np.frombuffer(mapping, np.uint8)
    buffer[:] = 1
    return buffer[-buffer.ctypes.data % (2 * MIB) :][: ROOM - 2 * MIB]


def array(buffer: np.ndarray, dtype: str, *shape: int) -> np.ndarray:
    return buffer[: math.prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)


def cases(to: np.ndarray, source: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Destination and source of each case."""
    side, rows, cube = 4096, 4 * MIB, (256, 256, 256)
    found = {
        f"transpose_{dtype}": (array(to, dtype, side, side), array(source, dtype, side, side).T)
        for dtype in ("f8", "f4", "u1")
    }
    for axes in ((2, 0, 1), (1, 0, 2)):
        name = "permute_" + "".join(map(str, axes))
        found[name] = (array(to, "f8", *cube), array(source, "f8", *cube).transpose(axes))
    found["gather"] = (array(to, "f8", 8 * MIB), array(source, "f8", 16 * MIB)[::2])
    found["scatter"] = (array(to, "f8", 16 * MIB)[::2], array(source, "f8", 8 * MIB))
    found["rows_2048"] = (array(to, "f8", 4096, 2048), array(source, "f8", 4096, 4096)[:, :2048])
    found["rows_4"] = (array(to, "f8", rows // 2, 4), array(source, "f8", rows // 2, 8)[:, :4])
    found["reversed"] = (array(to, "f8", 8 * MIB), array(source, "f8", 8 * MIB)[::-1])
    return found


def copiers(name: str, to: np.ndarray, source: np.ndarray) -> dict[str, object]:
    """The libraries that can copy it."""
    x, y = tenure.asarray(to), tenure.asarray(source)
    found = {
        "tenure": lambda: x.copy_from(y),
        "numpy": lambda: np.copyto(to, source),
        "memcpy": lambda: memcpy(to.ctypes.data, min(source.ctypes.data, source.base.ctypes.data), to.nbytes),
    }
    if torch and name != "reversed":  # it has no negative strides
        t, s = torch.from_numpy(to), torch.from_numpy(source)
        found["torch"] = lambda: t.copy_(s)
    return found


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in ("small", "huge") or sys.argv[2] not in ("forwards", "backwards"):
        sys.exit("usage: strided.py small|huge forwards|backwards")
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    threading.Thread(target=threading.Event().wait, daemon=True).start()  # idle, alive: as in objects.c
    print(f"# numpy\t{np.__version__}")
    if torch:
        torch.set_num_threads(1)
        print(f"# torch\t{torch.__version__}")
    to, source = room(sys.argv[1] == "huge"), room(sys.argv[1] == "huge")
    source.view("u4")[:] = np.arange(source.nbytes // 4, dtype="u4")
    chosen = cases(to, source)
    for name in reversed(chosen) if sys.argv[2] == "backwards" else chosen:
        target, origin = chosen[name]
        who = copiers(name, target, origin)
        taken = {copier: [] for copier in who}
        for _ in range(SAMPLES):
            for copier, copy in who.items():
                start = time.perf_counter()
                copy()
                taken[copier].append((time.perf_counter() - start) * 1e9)
        who["tenure"]()
        if not np.array_equal(target, origin):
            sys.exit(f"strided.py: {name}: wrong")
        for copier, times in taken.items():
            print(f"{name}_{copier}\t{min(times):.3f}\t{statistics.median(times):.3f}")


main()
