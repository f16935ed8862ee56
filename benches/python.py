"""The cost of small arrays from Python, beside numpy (T20); the exchange between libraries, beside their own (T32); a training step of
a function, beside a loop in numpy; operators of matrices (T34); and numpy with Tenure's allocator, beside numpy with its own (T31).

    python.py forwards|backwards     one round: a line "case <tab> minimum <tab> median" per case, in ns a turn

`cargo xtask bench python` runs the rounds, one process each, and compares. The cost of the loop is subtracted.
"""

import contextlib
import os
import statistics
import sys
import threading
import timeit
import types

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
# An operator of matrices, which computes nothing (T34), beside NumPy's sum of two arrays without axes.
CASES |= {"tenure_node": "e + e", "tenure_sum": "m + d", "numpy_sum": "z + z"}
# A step of gradient descent on multinomial regression: with an array for the new weights, and in place.
STEP = {
    "tenure_step": "step(batch, targets)",
    "numpy_step": "model.weights = next_weights(batch, targets, model.weights)",
    "tenure_step_in_place": "step_in_place(batch, targets)",
    "numpy_step_in_place": "descend(batch, targets, model.weights)",
}
CASES |= STEP
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
    "m": tenure.matrix(np.eye(2)),
    "d": tenure.matrix.diagonal(np.ones(2)),
    "z": np.array(1.0),
    "empty": tenure.empty,
    "np_empty": np.empty,
    "asarray": np.asarray,
    "from_dlpack": np.from_dlpack,
    "tenure_from_dlpack": tenure.from_dlpack,
    "tenure_asarray": tenure.asarray,
    "to_torch": tenure.to_torch,
    "torch_from_dlpack": torch and torch.from_dlpack,
}
# T31: sizes in bytes, as powers of two, of the array that numpy makes and drops, with Tenure's handler and with its own.
SIZES = {"1k": 10, "16k": 14, "64k": 16, "256k": 18, "1m": 20, "2m": 21, "4m": 22, "16m": 24, "64m": 26}
HANDLED = {
    f"{whose}_np_{function}_{size}": f"np_{function}({1 << power}, u1)"
    for size, power in SIZES.items()
    for function in ("empty", "zeros")
    for whose in ("tenure", "default")
}
CASES |= HANDLED
NAMES |= {"np_zeros": np.zeros, "u1": np.uint8}


def gradient(pixels, targets, weights):
    """Of the loss of these rows."""
    p = np.exp(pixels @ weights)
    p /= p.sum(axis=1, keepdims=True)
    p -= targets
    return pixels.T @ p / len(pixels)


def next_weights(pixels, targets, weights):
    return weights - 0.1 * gradient(pixels, targets, weights)


def descend(pixels, targets, weights):
    weights -= 0.1 * gradient(pixels, targets, weights)


def define_steps() -> dict:
    """A batch of 256 rows of 64 pixels in 10 classes, and the two functions of Tenure."""
    random = np.random.default_rng(1)
    batch, targets = random.random((256, 64)), np.eye(10)[random.integers(10, size=256)]
    weights = tenure.shared(np.zeros((64, 10)), name="weights")

    def body(pixels, targets, weights):
        return next_weights(np.asarray(pixels), np.asarray(targets), np.asarray(weights))

    def body_in_place(pixels, targets, weights):
        with weights.write() as view:
            descend(np.asarray(pixels), np.asarray(targets), view)

    declared = {"inputs": ["pixels", "targets"], "shared": [weights], "outputs": []}
    return {
        "batch": batch,
        "targets": targets,
        "model": types.SimpleNamespace(weights=np.zeros((64, 10))),
        "next_weights": next_weights,
        "descend": descend,
        "step": tenure.function(body, updates=[tenure.Update(weights)], **declared),
        "step_in_place": tenure.function(body_in_place, updates=[tenure.Update(weights, mutable=True)], **declared),
    }


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
    NAMES.update(define_steps(), e=NAMES["m"] + NAMES["d"])
    loop = min(samples("pass"))
    for name in reversed(cases) if sys.argv[1] == "backwards" else cases:
        with tenure.numpy_allocator() if name in HANDLED and name.startswith("tenure") else contextlib.nullcontext():
            taken = samples(cases[name])
        print(f"{name}\t{(min(taken) - loop) * 1e9:.3f}\t{(statistics.median(taken) - loop) * 1e9:.3f}")


main()
