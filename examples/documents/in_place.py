"""Automatic in-place operations: a function says what it takes, its caller what it gives, and `del` what nobody needs any more."""

import numpy as np

import tenure
from tenure import give, matrix


@tenure.takes()
def compute_v(M1, M2, u):
    L = (M1 + M2).cholesky()
    del M1, M2
    return L * u


@tenure.takes()
def compute_both_v(X, Y1, Y2, u1, u2):
    v1 = compute_v(X, give(Y1), u1)
    v2 = compute_v(give(X), give(Y2), u2)
    return v1, v2


n = 500
pool = tenure.Pool(thread_cache_size=tenure.NONE)  # its counts are exact
with pool:
    A = matrix(tenure.array(3 * np.eye(n)), name="A")
    D1, D2 = (matrix.diagonal(tenure.ones(n)) for _ in range(2))
    before, _ = pool.stats(), pool.reset_peak()
    v1, v2 = compute_both_v(give(A), give(D1), give(D2), np.ones(n), np.ones(n))
after = pool.stats()
made = after.allocation_count - before.allocation_count
peak = (after.peak_requested_bytes - before.requested_bytes) // (8 * n * n)
print(v1[:2].tolist(), v2[:2].tolist())
print(f"{made} arrays were made, and at most {peak} matrix at once")
assert repr(A).startswith("<destructed")
# It prints:
# [2.0, 2.0] [2.0, 2.0]
# 3 arrays were made, and at most 1 matrix at once
