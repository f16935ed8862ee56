"""The cost of small arrays from Python, beside numpy (bar T20); the exchange between libraries, beside their own; and numpy with Tenure's
allocator, beside numpy with its own.

    python.py forwards|backwards     one round: a line "case <tab> minimum <tab> median" per case, in ns a turn

`cargo xtask bench python` runs the rounds, one process each, and compares. The cost of the loop is subtracted.
"""

import contextlib
import os
import statistics
import sys
import threading
import timeit

import numpy as np
import tenure

try:
    import torch
except ImportError:  # the peers' environment has it: cargo xtask test --peers
    torch = None

SAMPLES = 51
SAMPLE_SECONDS = 1e-3

x, a = tenure.empty((64,)), np.empty(64)
t = torch and torch.empty(64)

CASES = {
    "tenure_empty": "empty((8,))",
    "tenure_slice": "x[2:6]",
    "tenure_dlpack": "from_dlpack(x)",
    "tenure_buffer": "asarray(x)",
    "tenure_from_numpy": "tenure_from_dlpack(a)",
    "tenure_asarray": "tenure_asarray(a)",
    "numpy_empty": "np_empty((8,))",
    "numpy_slice": "a[2:6]",
    "numpy_dlpack": "from_dlpack(a)",
    "numpy_buffer": "asarray(memoryview(a))",
}
TORCH = {
    "tenure_from_torch": "tenure_from_dlpack(t)",
    "tenure_to_torch": "to_torch(x)",
    "torch_from_tenure": "torch_from_dlpack(x)",
    "torch_dlpack": "torch_from_dlpack(t)",
}
NAMES = {
    "x": x,
    "a": a,
    "t": t,
    "empty": tenure.empty,
    "np_empty": np.empty,
    "asarray": np.asarray,
    "from_dlpack": np.from_dlpack,
    "tenure_from_dlpack": tenure.from_dlpack,
    "tenure_asarray": tenure.asarray,
    "to_torch": tenure.to_torch,
    "torch_from_dlpack": torch and torch.from_dlpack,
}
# Sizes in bytes of the array that numpy makes and drops, with Tenure's handler and with its own.
SIZES = {"1k": 1 << 10, "64k": 1 << 16, "1m": 1 << 20, "16m": 1 << 24, "64m": 1 << 26}
HANDLED = {
    f"{whose}_np_{function}_{size}": f"np_{function}({count}, u1)"
    for size, count in SIZES.items()
    for function in ("empty", "zeros")
    for whose in ("tenure", "default")
}
CASES |= HANDLED
NAMES |= {"np_zeros": np.zeros, "u1": np.uint8}


def samples(statement: str) -> list[float]:
    """Seconds per turn; samples are short, so the minimum is undisturbed by other processes."""
    timer = timeit.Timer(statement, globals=NAMES)
    turns = 1
    while (took := timer.timeit(turns)) < SAMPLE_SECONDS / 4:
        turns *= 2
    turns = int(turns * SAMPLE_SECONDS / took) + 1
    return [timer.timeit(turns) / turns for _ in range(SAMPLES)]


def main() -> None:
    if sys.argv[1:] not in (["forwards"], ["backwards"]):
        sys.exit("usage: python.py forwards|backwards")
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    threading.Thread(target=threading.Event().wait, daemon=True).start()  # idle, alive: as in objects.c
    cases = CASES | (TORCH if torch else {})
    print(f"# numpy\t{np.__version__}")
    if torch:
        print(f"# torch\t{torch.__version__}")
    loop = min(samples("pass"))
    for name in reversed(cases) if sys.argv[1] == "backwards" else cases:
        with tenure.numpy_allocator() if name in HANDLED and name.startswith("tenure") else contextlib.nullcontext():
            taken = samples(cases[name])
        print(f"{name}\t{(min(taken) - loop) * 1e9:.3f}\t{(statistics.median(taken) - loop) * 1e9:.3f}")


main()
