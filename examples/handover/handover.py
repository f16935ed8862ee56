"""One matrix, two languages, no copy: C builds it, Python normalises, takes and factorises it, all in the same bytes.

    python handover.py handover.so      (`cargo xtask demo` builds everything and runs this)

It recognises handwritten digits by kernel ridge regression: (K + ridge I) W = Y, with the kernel matrix K of 1500 known
digits. Whatever the output claims is checked; the exit status is 1 if a claim does not hold.
"""

import ctypes
import linecache
import os
import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
from scipy.linalg import cho_factor, cho_solve

import tenure

DIGITS = Path(__file__).parent / "data" / "digits.npy"
ROWS, PIXELS, CLASSES = 1500, 64, 10
BLOCK = ROWS * ROWS * 8  # bytes of K
RIDGE = 1e-3


class Handover(ctypes.Structure):
    """What the C side holds: its own handles."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("digits", "pool", "kernel", "targets")]


def load(path):
    """The C library. Its functions raise tenure's exceptions, with the text that C sees."""
    library = ctypes.CDLL(path)
    handover, array, out = ctypes.POINTER(Handover), ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
    for name, *types in (
        ("handover_open", handover, ctypes.c_char_p),
        ("handover_build", handover, ctypes.c_int64),
        ("handover_look", array, ctypes.c_char_p, out),
        ("handover_give", array, out),
        ("handover_close", handover),
    ):
        function = getattr(library, name)
        function.argtypes = types
        function.errcheck = lambda status, *_: tenure.check(status)
    return library


def compare_addresses(library, h):
    """Both sides say where the arrays begin. Python makes clones of C's handles: more claims on the same bytes."""
    for name, handle in (("digits", h.digits), ("K", h.kernel), ("Y", h.targets)):
        theirs = ctypes.c_void_p()
        library.handover_look(handle, name.encode(), theirs)
        with tenure.clone_handle(handle) as x:
            ours, pool = np.asarray(x), tenure.owner_of(x).pool_name
            where = f'pool "{pool}"' if pool else "the mapped file"
            say(f"{name:6} is at {ours.ctypes.data:#x}: {ours.dtype} {ours.shape} in {where}")
            claim(f"{name} is the same bytes on both sides", ours.ctypes.data == theirs.value)


def normalise(library, h):
    """Scales K to a unit diagonal. While the inner block lasts, nobody else reads or writes it."""
    with tenure.clone_handle(h.kernel) as k:
        with k.write() as view:
            length = np.sqrt(view.diagonal())
            view /= length
            view /= length[:, np.newaxis]
            status, text, line = refusal(library.handover_look, h.kernel, b"K", ctypes.c_void_p())
    claim("C is refused, and told which array", status is tenure.Status.BORROWED_WRITE and '"K"' in text)
    claim(f"and which line holds it: {line}", "k.write()" in line)


def given(library, handle):
    """What C promises not to use again: a promise of Python's."""
    promise = ctypes.c_void_p()
    library.handover_give(handle, promise)
    return tenure.from_handle(promise.value)


def solve(kernel, targets, digits):
    """Takes K and Y, solves (K + ridge I) W = Y in their bytes by LAPACK, and predicts the digits that were held out."""
    k, y = tenure.take(kernel, targets)
    claim("K and Y are Python's alone", k.is_unique and y.is_unique)

    # LAPACK overwrites its operands if asked to. Here that is safe: a unique write is refused while anybody else holds the bytes.
    with k.write("unique") as matrix, y.write("unique") as weights:
        matrix.flat[:: ROWS + 1] += RIDGE
        factor = cho_factor(matrix.T, overwrite_a=True)  # symmetric: the transpose is K column by column, as LAPACK wants it
        solution = cho_solve(factor, weights, overwrite_b=True)
        claim("LAPACK's factor is where K was", np.shares_memory(factor[0], matrix))
        claim("the solution is where Y was", solution.ctypes.data == weights.ctypes.data)
    weights = np.asarray(y)
    known, new = split(np.asarray(digits))
    return np.argmax(similarity(new, known) @ weights, axis=1)


def with_copies():
    """The same in plain NumPy and SciPy, where each step makes a new array."""
    digits = np.load(DIGITS)
    known, new = split(digits)
    k = similarity(known, known)
    y = np.eye(CLASSES)[digits[:ROWS, PIXELS]]
    weights = cho_solve(cho_factor(k + RIDGE * np.eye(ROWS)), y)
    return (similarity(new, known) @ weights).argmax(axis=1)


def split(digits):
    """The pixels of the known digits, and of those that are held out."""
    pixels = digits[:, :PIXELS].astype(float)
    return pixels[:ROWS], pixels[ROWS:]


def similarity(a, b):
    """Cubic kernel of all rows of a and b, scaled to 1 for equal rows."""
    k = (a @ b.T + 1) ** 3
    k /= np.outer(((a * a).sum(axis=1) + 1) ** 1.5, ((b * b).sum(axis=1) + 1) ** 1.5)
    return k


def main(path):
    sys.stdout.reconfigure(line_buffering=True)  # keeps the order with the output of C
    library, h = load(path), Handover()
    tracemalloc.start()
    with tenure.no_copies():  # a hidden copy would raise an exception
        title("C maps the file of digits, and builds the matrix K and the right-hand sides Y in pool memory")
        library.handover_open(h, os.fsencode(DIGITS))
        library.handover_build(h, ROWS)
        compare_addresses(library, h)

        title("Python normalises K in place under a write borrow; C tries to read it meanwhile")
        normalise(library, h)

        title("C gives K and Y away; a Python function takes them, and solves where they lie")
        with tenure.clone_handle(h.kernel) as k:
            pool = k.pool
        with tenure.clone_handle(h.digits) as digits:
            predicted = solve(given(library, h.kernel), given(library, h.targets), digits)

        title("C uses what it gave away")
        status, _, line = refusal(library.handover_look, h.kernel, b"K", ctypes.c_void_p())
        claim("C is refused", status is tenure.Status.DESTRUCTED)
        claim(f"and told which line took it: {line}", "tenure.take(" in line)
        library.handover_close(h)
    numpy_peak = tracemalloc.get_traced_memory()[1]
    matrix, others = pool.stats(), tenure.default_pool().stats()
    pool.release()
    copied = sum(site.bytes for site in tenure.copies())

    tracemalloc.reset_peak()
    expected = with_copies()
    copies_peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    truth = np.load(DIGITS)[ROWS:, PIXELS]
    accuracy, plain = (predicted == truth).mean(), (expected == truth).mean()
    pools_peak = matrix.peak_in_use_bytes + others.peak_in_use_bytes

    title(f"{'What it took':32}{'one buffer':>16}{'with copies':>16}")
    for name, ours, theirs in (
        ("bytes copied at the borders", f"{copied:,}", "not counted"),
        ("n x n blocks allocated", matrix.allocation_count, f"{copies_peak // BLOCK} at once"),
        ("peak bytes in tenure's pools", f"{pools_peak:,}", "0"),
        ("peak bytes in NumPy", f"{numpy_peak:,}", f"{copies_peak:,}"),
        (f"right of {len(truth)} held-out digits", f"{accuracy:.2%}", f"{plain:.2%}"),
    ):
        print(f"{name:32}{ours:>16}{theirs:>16}")
    print()
    claim("nothing was copied at a border", copied == 0)
    claim("K was the only n x n block", matrix.allocation_count == 1 and BLOCK <= matrix.peak_in_use_bytes < 2 * BLOCK)
    claim("it took less memory than with copies", pools_peak + numpy_peak < copies_peak)
    claim("the predictions are those of plain NumPy", np.array_equal(predicted, expected) and accuracy > 0.95)
    claim("everything was given back", tenure.leaks() == [])
    return 1 if failed else 0


def refusal(call, *arguments):
    """Calls C, which is to be refused: the status, the text, and the line of this file that the text names."""
    try:
        call(*arguments)
    except tenure.Error as error:
        place = re.search(rf"{Path(__file__).name}:(\d+)", str(error))
        return error.status, str(error), linecache.getline(__file__, int(place[1])).strip() if place else ""
    return tenure.Status.OK, "", ""


# Lines to print, and claims that failed.
colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
failed = []


def title(text):
    print("\n" + paint(1, text))


def say(text):
    print(paint(36, "Python  ") + text)


def claim(text, holds):
    print((paint(32, "  ok    ") if holds else paint(31, "  NO    ")) + text)
    if not holds:
        failed.append(text)


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if colours else text


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python handover.py handover.so   (`cargo xtask demo` builds it and runs this)")
    sys.exit(main(sys.argv[1]))
