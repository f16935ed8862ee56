"""Runs kernels that include tenure_kernel.cuh without a GPU. Run by `cargo xtask ptx`.

    views.py tests KERNELS.PTX          those of tests/kernels: KN-3, KN-4, KN-5, KN-6
    views.py traps KERNELS.PTX          the same, compiled with TN_KERNEL_CHECK
    views.py matmul TILED_MATMUL.PTX    those of examples/tiled_matmul: KN-15 with small sizes
"""

import random
import struct
import sys

from machine import Memory, Trap, kernels, launch

FORMATS = {"i": 4, "I": 4, "f": 4, "d": 8, "h": 2, "q": 8}


class Buffer:
    """An array in global memory."""

    made = 0

    def __init__(self, memory, kind, values):
        self.kind, self.content = kind, bytearray(struct.pack(f"<{len(values)}{kind}", *values))
        Buffer.made += 1
        self.address = 0x7F0000000000 + (Buffer.made << 24)
        memory.add(self.address, self.content)

    def values(self):
        return list(struct.unpack(f"<{len(self.content) // FORMATS[self.kind]}{self.kind}", self.content))

    def view(self, shape=None, steps=None, first=0):
        """The bytes of a tn_view; steps and first count elements."""
        size = FORMATS[self.kind]
        shape = shape or [len(self.content) // size]
        strides = [step * size for step in steps or [1]]
        return struct.pack(f"<Q{2 * len(shape)}q", self.address + first * size, *shape, *strides)


def check(condition, what):
    if not condition:
        sys.exit(f"{what}: not as on the host")


def test(found):
    def run(name, kind, values, more=b"", grid=1, block=(1, 1), dynamic=0, **view):
        memory = Memory()
        to = Buffer(memory, kind, values)
        launch(found[name], (grid, 1), block, memory, bytearray(to.view(**view) + more), dynamic)
        return to.values()

    for doubles in (256, 512):
        seen = run("two_types", "d", [0] * 32, struct.pack("<qq", 0, doubles), block=(32, 1), dynamic=doubles + 256)
        check(seen == [1000 + 1.5 * ((i + 1) % 32) for i in range(32)], "two_types")
    for offset in (0, 64):
        check(run("alias", "I", [7, 7], struct.pack("<q", offset), dynamic=128) == [0x3F800000, 0], "alias")
    for first, step, length, expected in [
        (4, -2, 3, [3, 99, 2, 99, 1, 99]),
        (1, 2, 3, [99, 1, 99, 2, 99, 3]),
        (5, -1, 6, [6, 5, 4, 3, 2, 1]),
    ]:
        for threads in (1, 2, 32):
            more = struct.pack("<qqq", first, step, length)
            check(run("write_range", "i", [-1] * 6, more, block=(threads, 1), dynamic=24) == expected, "write_range")
    for by in (1, 3, 15):
        seen = run("shift", "i", range(16), struct.pack("<q", by), block=(16, 1), dynamic=64)
        check(seen == [i if i < by else i - by for i in range(16)], "shift")
    seen = run("sums", "i", [0] * 192, grid=3, block=(64, 1), shape=[3, 64], steps=[64, 1])
    check(seen == [(4032 + 64 * block) * 100 + 63 - i for block in range(3) for i in range(64)], "sums")
    check(run("one_sum", "i", [0] * 64, block=(64, 1)) == [65] * 64, "one_sum")
    check(run("all_types", "i", [-1] * 32, block=(32, 1), dynamic=128 + 32 * 16) == [0] * 32, "all_types")
    seen = run("rotate", "i", range(3 * 60), struct.pack("<i", 4), grid=3, block=(12, 5))
    check(seen == [i // 60 * 60 + (i + 4) % 60 for i in range(180)], "rotate")
    check(run("leave_early", "i", [-1] * 20, block=(20, 1)) == [-1] + [20 - i for i in range(1, 20)], "leave_early")
    memory = Memory()
    to, source = Buffer(memory, "f", [-1] * 24), Buffer(memory, "f", [100 * i for i in range(24)])
    views = to.view([2, 3, 4], [12, 4, 1]) + source.view([2, 3, 4], [-1, 2, 6], 1)
    launch(found["add_index_3"], (1, 1), (5, 1), memory, bytearray(views))
    wanted = [100 * (1 - i // 12 + i // 4 % 3 * 2 + i % 4 * 6) + i for i in range(24)]
    check(to.values() == wanted, "add_index_3")
    print("kernels of the tests: as on the host")


def traps(found):
    test(found)

    def is_trapped(name, *arguments):
        memory = Memory()
        parameters = struct.pack(f"<{len(arguments)}q", *arguments)
        if name == "write_at":
            parameters = Buffer(memory, "i", [0] * 100).view([3, 4], [4, 1], 50) + parameters
        try:
            launch(found[name], (1, 1), (1, 1), memory, bytearray(parameters), 128)
        except Trap:
            return True
        return False

    for i, j in [(-1, 0), (3, 0), (0, -1), (0, 4)]:
        check(is_trapped("write_at", i, j), f"write_at {i, j}")
    for offset in (-8, 136, 12):
        check(is_trapped("block_at", offset), f"block_at {offset}")
    check(not is_trapped("write_at", 2, 3) and not is_trapped("block_at", 120), "the last valid places")
    print("kernels of the tests with checks: wrong indices and offsets trap")


def matmul(found):
    for name, kind, tile, threads, offsets, sizes in [
        ("matmul_static", "f", 16, 16, (), [(1, 1, 1), (20, 35, 18)]),
        ("matmul_dynamic", "f", 16, 16, (0, 1024), [(16, 16, 16), (20, 35, 18)]),
        ("matmul_f64", "d", 64, 32, (0, 32768), [(40, 3, 50)]),
    ]:
        for m, k, n in sizes:
            memory = Memory()

            def buffer(count):
                return Buffer(memory, kind, [random.uniform(-1, 1) for _ in range(count)])

            # A in order F, B a strided slice, C a slice with gaps.
            a, b, c = buffer(m * k), buffer(k * (3 * n + 2) + 4), buffer(m * (2 * n + 3) + 7)
            before = c.values()
            views = c.view([m, n], [2 * n + 3, 2], 7) + a.view([m, k], [1, m]) + b.view([k, n], [3 * n + 2, 3], 4)
            more = b"".join(struct.pack("<q", offset) for offset in offsets)
            grid = (-(-n // tile), -(-m // tile))
            dynamic = 2 * offsets[1] if offsets else 0
            launch(found[name], grid, (threads, threads), memory, bytearray(views + more), dynamic)
            left, right, after = a.values(), b.values(), c.values()
            for i in range(m):
                for j in range(n):
                    products = [left[i + l * m] * right[4 + l * (3 * n + 2) + 3 * j] for l in range(k)]
                    at = 7 + i * (2 * n + 3) + 2 * j
                    bound = k * (2.0**-23 if kind == "f" else 2.0**-51) * sum(map(abs, products))
                    check(abs(after[at] - sum(products)) <= bound, f"{name} {(m, k, n)} at {(i, j)}")
                    before[at] = after[at]
            check(before == after, f"{name}: a gap of C")
    print("tiled_matmul: as on the host")


if __name__ == "__main__":
    {"tests": test, "traps": traps, "matmul": matmul}[sys.argv[1]](kernels(open(sys.argv[2]).read()))
