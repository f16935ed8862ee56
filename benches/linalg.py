"""Linear algebra that overwrites, beside NumPy and SciPy: L of A + D with a diagonal D, and the solution of (A + D) x = b.
Products of two matrices, of float64 and float32, beside NumPy.

    linalg.py forwards|backwards     one round: a line "case <tab> minimum <tab> median" per case, in ns a turn,
                                     and a line "case.bytes" with the peak of bytes beside those of A, D and b

`cargo xtask bench linalg` runs the rounds, one process each with one thread for every library, and compares. Each turn
has a new A, made outside the measured time, because each library may overwrite it.
"""

import gc
import os
import statistics
import sys
import time
import tracemalloc

import numpy as np
import scipy
import tenure
from scipy.linalg import cho_factor, cho_solve, cholesky

SIDES = (64, 200, 1000, 2000)
PRODUCT_SIDES = (512, 1024, 2048)
PRODUCT_TYPES = (np.float64, np.float32)
SECONDS = 0.5  # seconds per case
LEAST, MOST = 3, 400  # turns


class Problem:
    """The matrices with which each library starts."""

    def __init__(self, n):
        random = np.random.default_rng(n)
        a = random.standard_normal((n, n))
        self.a = a @ a.T / n
        self.d = random.random(n) + 1
        self.b = random.standard_normal(n)
        self.tenure_d, self.tenure_b = tenure.array(self.d), tenure.array(self.b)


class Factors:
    """Two matrices to multiply."""

    def __init__(self, n, dtype):
        random = np.random.default_rng(n)
        self.a, self.b = (random.standard_normal((n, n)).astype(dtype) for _ in range(2))
        self.tenure_a, self.tenure_b = tenure.array(self.a), tenure.array(self.b)


def tenure_factor(p, a):
    return (tenure.lazy(a.pop()) + tenure.diagonal(p.tenure_d)).cholesky().compute()


def tenure_solve(p, a):
    factor = (tenure.lazy(a.pop()) + tenure.diagonal(p.tenure_d)).cholesky()
    x = factor.T.solve(factor.solve(p.tenure_b))
    del factor
    return x.compute()


def numpy_factor(p, a):
    return np.linalg.cholesky(a.pop() + np.diag(p.d))


def numpy_solve(p, a):
    # NumPy cannot solve with a triangular matrix; this is the usual substitute.
    return np.linalg.solve(a.pop() + np.diag(p.d), p.b)


def scipy_sum(p, a):
    a = a.pop()
    a.flat[:: len(a) + 1] += p.d
    # LAPACK wants column order; the transposed view of a symmetric matrix has it, in the same bytes.
    return a.T


def scipy_factor(p, a):
    return cholesky(scipy_sum(p, a), lower=True, overwrite_a=True, check_finite=False)


def scipy_solve(p, a):
    factor = cho_factor(scipy_sum(p, a), lower=True, overwrite_a=True, check_finite=False)
    return cho_solve(factor, p.b, check_finite=False)


def tenure_product(p, _):
    return (tenure.lazy(p.tenure_a) @ tenure.lazy(p.tenure_b)).compute()


def numpy_product(p, _):
    return p.a @ p.b


PRODUCTS = {"tenure_product": tenure_product, "numpy_product": numpy_product}
WAYS = {
    f"{library}_{what}": globals()[f"{library}_{what}"]
    for what in ("factor", "solve")
    for library in ("tenure", "numpy", "scipy")
}


def fresh(p, name):
    """A new A in a list; popping it takes the only reference. A product overwrites nothing."""
    if name in PRODUCTS:
        return []
    return [tenure.array(p.a) if name.startswith("tenure") else p.a.copy()]


def samples(p, name):
    way, taken = (WAYS | PRODUCTS)[name], []
    way(p, fresh(p, name))
    while len(taken) < LEAST or (sum(taken) < SECONDS and len(taken) < MOST):
        a = fresh(p, name)
        begun = time.perf_counter()
        result = way(p, a)
        taken.append(time.perf_counter() - begun)
        del result
    return taken


def peak(p, name):
    """Peak bytes beyond those at the start, which include A. Work space outside both allocators is not counted."""
    a, pool = fresh(p, name), tenure.default_pool()
    gc.collect()
    pool.reset_peak()
    before = pool.stats().requested_bytes
    tracemalloc.start()
    result = WAYS[name](p, a)
    seen = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del result
    return seen + pool.stats().peak_requested_bytes - before


def check_products(p):
    """Fails if the products differ by more than rounding."""
    ours, theirs = (np.asarray(way(p, [])) for way in PRODUCTS.values())
    assert np.allclose(ours, theirs, rtol=0, atol=len(theirs) * 10 * np.finfo(theirs.dtype).eps)


def measure_products(backwards):
    cases = [(n, dtype, name) for n in PRODUCT_SIDES for dtype in PRODUCT_TYPES for name in PRODUCTS]
    for n, dtype, name in reversed(cases) if backwards else cases:
        p = Factors(n, dtype)
        check_products(p)
        taken = samples(p, name)
        case = f"{name}_{np.dtype(dtype).name}_{n}"
        print(f"{case}\t{min(taken) * 1e9:.0f}\t{statistics.median(taken) * 1e9:.0f}")


def check(p, name):
    """Fails if a result is wrong."""
    full, result = p.a + np.diag(p.d), np.asarray(WAYS[name](p, fresh(p, name)))
    left, right = (result @ result.T, full) if name.endswith("factor") else (full @ result, p.b)
    assert np.allclose(left, right), name


def main():
    if sys.argv[1:] not in (["forwards"], ["backwards"]):
        sys.exit("usage: linalg.py forwards|backwards")
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    print(f"# numpy\t{np.__version__}")
    print(f"# scipy\t{scipy.__version__}")
    cases = [(n, name) for n in SIDES for name in WAYS]
    problems = {n: Problem(n) for n in SIDES}
    for n, name in reversed(cases) if sys.argv[1] == "backwards" else cases:
        p = problems[n]
        if n == SIDES[0]:
            check(p, name)
        taken, most = samples(p, name), peak(p, name)
        print(f"{name}_{n}\t{min(taken) * 1e9:.0f}\t{statistics.median(taken) * 1e9:.0f}")
        print(f"{name}_{n}.bytes\t{most}\t{most}")
    measure_products(sys.argv[1] == "backwards")


main()
