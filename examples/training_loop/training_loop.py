"""Weights that C trains and Python reads: gradient descent on handwritten digits, without a copy, and without an allocation once it runs.

    python training_loop.py training_loop.so      (`cargo xtask examples` builds everything and runs this)

The weights are a shared variable. A function of the C library updates it; the steps allocate nothing, because the function
keeps the buffers that nobody else holds. What Python borrows stays as it is, whatever the next steps do.
"""

import ctypes
import sys
from pathlib import Path

import numpy as np

import tenure

DIGITS = Path(__file__).parent.parent / "handover" / "data" / "digits.npy"
TRAINED, PIXELS, CLASSES = 1500, 64, 10
STEPS, WARM_UP = 300, 3


def load(path):
    """The C library. Its functions raise tenure's exceptions."""
    library = ctypes.CDLL(path)
    handle, out, double = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_double)
    for name, *types in (
        ("training_create", handle, out),
        ("training_step", handle, handle, handle, double),
        ("tn_function_release", handle),
    ):
        function = getattr(library, name)
        function.argtypes = types
        function.errcheck = lambda status, *_: tenure.check(status)
    return library


def train(library, known, new):
    """The weights after each 100 steps recognise so many of the new digits."""
    weights = tenure.shared(np.zeros((PIXELS + 1, CLASSES)), name="weights")
    step, loss = ctypes.c_void_p(), ctypes.c_double()
    library.training_create(weights.handle, step)

    first = weights.get_value(borrow=True)  # a borrowed value never changes
    with tenure.no_copies():  # a hidden copy would raise an exception
        for i in range(1, STEPS + 1):
            library.training_step(step, known, None, loss)
            if i == WARM_UP:
                allocated = tenure.default_pool().stats().allocation_count
            if i % 100 == 0:
                right = recognised(np.asarray(weights.get_value(borrow=True)), new)
                print(f"step {i}: loss {loss.value:.3f}, {right} of {len(new)} new digits recognised")
    allocated = tenure.default_pool().stats().allocation_count - allocated
    print(f"allocations after {WARM_UP} steps: {allocated}")
    print(f"the first weights are as they were: {not np.asarray(first).any()}")

    # A step that fails changes nothing.
    try:
        library.training_step(step, tenure.zeros((10, 3), "uint8"), None, loss)
    except tenure.ArgumentError as error:
        print(f"{error.status.name}, version {weights.version} as before")
    library.tn_function_release(step)
    assert allocated == 0 and not np.asarray(first).any() and weights.version == STEPS + 1
    return weights.get_value()


def with_numpy(digits):
    """The weights that plain NumPy computes, where each step makes new arrays."""
    x = np.hstack([digits[:, :PIXELS] / 16, np.ones((len(digits), 1))])
    y = np.eye(CLASSES)[digits[:, PIXELS]]
    w = np.zeros((PIXELS + 1, CLASSES))
    for _ in range(STEPS):
        p = np.exp(x @ w)
        p /= p.sum(axis=1, keepdims=True)
        w -= x.T @ (p - y) / len(digits)
    return w


def recognised(weights, digits):
    scores = digits[:, :PIXELS] / 16 @ weights[:PIXELS] + weights[PIXELS]
    return (scores.argmax(axis=1) == digits[:, PIXELS]).sum()


def main(path):
    digits = tenure.open_npy(DIGITS)  # mapped, read-only
    known, new = digits[:TRAINED], np.asarray(digits[TRAINED:])
    weights = np.asarray(train(load(path), known, new))
    expected = with_numpy(np.asarray(known))
    print(f"plain NumPy recognises {recognised(expected, new)}")
    copied = sum(site.bytes for site in tenure.copies() if site.forced)
    print(f"bytes copied in place of an alias: {copied}")
    assert copied == 0 and np.allclose(weights, expected, rtol=1e-9, atol=1e-12)
    assert recognised(weights, new) == recognised(expected, new) > 0.88 * len(new)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python training_loop.py training_loop.so   (`cargo xtask examples` builds it and runs this)")
    main(sys.argv[1])
    assert tenure.leaks() == [], "everything was given back"
