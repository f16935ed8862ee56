"""What the tests and the screenshots of the report's page show: arrays as programs have them. Each scene returns what keeps it."""

import pathlib
import random

import numpy as np

import tenure

DIGITS = pathlib.Path(__file__).parents[3] / "examples" / "handover" / "data" / "digits.npy"


def handover():
    """The arrays of examples/handover when C has given the kernel matrix to Python: real data, a mapped file, views, an export, a promise,
    a borrow, NumPy's temporaries, and copies."""
    pool = tenure.Pool(name="handover", max_size=256 << 20)
    digits = tenure.open_npy(DIGITS)
    digits.name = "digits"
    pixels = np.asarray(digits)[:1500, :64].astype("float64")
    kernel = tenure.empty((1500, 1500), "float64", pool=pool, name="K")
    with kernel.write() as k:
        k[:] = pixels @ pixels.T
    targets = tenure.zeros((1500, 10), "float64", pool=pool, name="Y")
    rows_of = kernel[100:400]
    rows_of.name = "rows of K"
    shared = np.asarray(kernel)
    with tenure.numpy_allocator(pool):
        factor = np.tril(shared[:700, :700])
        rows = [np.ones(n) for n in range(100, 3000, 7)]
    promise = tenure.give(targets, 1)
    lazy = tenure.lazy(kernel) + tenure.lazy(kernel)
    tenure.from_buffer(np.frombuffer(bytearray(801), "float64", 100, 1))
    reader = kernel.read()
    reader.__enter__()
    return Scene(reader, pool, digits, kernel, targets, rows_of, shared, factor, rows, promise, lazy)


def million_blocks(n=1_000_000):
    """A heap of very many small blocks of NumPy, every fourth one freed, beside a few arrays."""
    chance = random.Random(1)
    pool = tenure.Pool(name="heap")
    with tenure.numpy_allocator(pool):
        blocks = [np.empty(chance.choice((8, 12, 30, 100)), "u8") for _ in range(n * 4 // 3 + 1000)]
    del blocks[::4]
    return Scene(None, pool, blocks, tenure.zeros(1 << 20, pool=pool, name="large"))


def shared_weights():
    """An array for other processes: it runs in one of its own."""
    weights = tenure.shared_empty((1024, 1024), "float64", name="their weights")
    weights.zero()
    return weights


class Scene:
    """Keeps objects until `close`, which ends the borrow first."""

    def __init__(self, reader, *kept):
        self.reader, self.kept = reader, kept

    def close(self):
        if self.reader is not None:
            self.reader.__exit__(None, None, None)
        self.reader = self.kept = None
