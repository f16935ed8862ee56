"""Matrices in the form of the guide "Automatic in-place operations": operators are lazy, and a vector asks for the value (FM-7)."""

import numpy as np
import pytest

import tenure
from tenure import give, matrix

N = 40
BLOCK = 8 * N * N


@tenure.takes
def compute_v(M1, M2, u):
    L = (M1 + M2).cholesky()
    del M1, M2
    return L * u


@tenure.takes()
def compute_both_v(X, Y1, Y2, u1, u2):
    v1 = compute_v(X, give(Y1), u1)
    v2 = compute_v(give(X), give(Y2), u2)
    return v1, v2


class Problem:
    """A dense and D diagonal, in a pool whose counts are exact, and vectors of NumPy."""

    def __init__(self):
        random = np.random.default_rng(5)
        a = random.standard_normal((N, N))
        self.a, self.d, self.u = a @ a.T + N * np.eye(N), random.random((2, N)) + 1, random.standard_normal((2, N))
        self.pool = tenure.Pool(thread_cache_size=tenure.NONE)
        with self.pool:
            self.A = matrix(tenure.array(self.a), name="A")
            self.D = [matrix.diagonal(tenure.array(d)) for d in self.d]

    def expected(self, k):
        return np.linalg.cholesky(self.a + np.diag(self.d[k])) @ self.u[k]

    def blocks(self, work):
        """How many blocks `work` allocates, and how many n x n ones at the most at once; and the result."""
        with self.pool:
            before = self.pool.stats()
            self.pool.reset_peak()
            result = work()
            after = self.pool.stats()
        peak = (after.peak_requested_bytes - before.requested_bytes) // BLOCK
        return (after.allocation_count - before.allocation_count, peak), result

    def matrices(self, work):
        """How many n x n blocks `work` makes at the most at once, and the result."""
        (_, peak), result = self.blocks(work)
        return peak, result


@pytest.fixture
def p():
    problem = Problem()
    with tenure.no_copies():
        yield problem
    vars(problem).clear()


# FM-7, EX-20: the two calls of the guide, and its figures: one new matrix and two vectors, since the first call needs X again.
def test_the_guides_program(p):
    D, u = p.D, p.u
    figures, (v1, v2) = p.blocks(lambda: compute_both_v(give(p.A), give(D[0]), give(D[1]), u[0], u[1]))
    assert figures == (3, 1)
    np.testing.assert_allclose(v1, p.expected(0))
    np.testing.assert_allclose(v2, p.expected(1))
    assert "destructed" in repr(p.A)
    with pytest.raises(tenure.OwnershipError):
        p.A + p.D[0]


# The roles exchanged: the diagonal is needed twice, and the dense matrix is overwritten by its only sum.
def test_the_guides_program_with_a_diagonal_first(p):
    D, u = p.D, p.u
    figures, (v1, v2) = p.blocks(lambda: compute_both_v(D[0], give(p.A), give(D[1]), u[0], u[1]))
    assert figures == (2, 0)
    np.testing.assert_allclose(v1, p.expected(0))
    np.testing.assert_allclose(v2, np.sqrt(p.d.sum(0)) * u[1])
    np.testing.assert_array_equal(D[0], p.d[0])


# Without promises nothing is overwritten.
def test_arguments_that_were_not_given_are_kept(p):
    count, v = p.matrices(lambda: compute_v(p.A, p.D[0], p.u[0]))
    assert count == 1 and isinstance(v, tenure.Array) and v.form == "full"
    np.testing.assert_array_equal(p.A, p.a)


# A promise prints help, a matrix its form.
def test_what_is_printed(p):
    assert "@tenure.takes" in repr(give(p.A))
    assert p.A.form == "matrix" and p.A.name == "A" and "form='matrix'" in repr(p.A)
    assert str(p.A + p.D[0]) == str(p.a + np.diag(p.d[0]))
    assert "matrix" in repr((p.A + p.D[0]).i) and "expression" in repr(p.A + p.D[0])


# FM-7: what is lazy and what is computed, for every mix of dense and diagonal.
@pytest.mark.parametrize("x", ["A", "D"])
@pytest.mark.parametrize("y", ["A", "D"])
def test_operators(p, x, y):
    value = {"A": (p.A, p.a), "D": (p.D[0], np.diag(p.d[0]))}
    (M, m), (K, k) = value[x], value[y]

    def dense(e):
        assert isinstance(e, tenure.Expr)
        return np.asarray(e.dense())

    np.testing.assert_allclose(dense(M + K), m + k)
    np.testing.assert_allclose(dense(M - K), m - k)
    np.testing.assert_allclose(dense(M * K), m @ k)
    np.testing.assert_allclose(dense(M @ K), m @ k)
    np.testing.assert_allclose(dense(2 * M + K * 3), 2 * m + 3 * k)
    np.testing.assert_allclose(dense((M + K).T), (m + k).T)
    np.testing.assert_allclose(dense((M * K).h), (m @ k).T)
    np.testing.assert_allclose(dense((M + K).cholesky()), np.linalg.cholesky(m + k))
    np.testing.assert_allclose(dense(M.i * K), np.linalg.solve(m, k), atol=1e-12)
    u, block = p.u[0], p.u.T.copy()
    for vectors in (u, tenure.asarray(u), block, tenure.array(block)):
        plain = np.asarray(vectors)
        for made, expected in (
            (M * vectors, m @ plain),
            ((M + K) @ vectors, (m + k) @ plain),
            ((M + K).solve(vectors), np.linalg.solve(m + k, plain)),
            ((M + K).i * vectors, np.linalg.solve(m + k, plain)),
            (M.i * vectors, np.linalg.solve(m, plain)),
        ):
            assert isinstance(made, tenure.Array) and made.form == "full"
            np.testing.assert_allclose(made, expected)
    if x == "A":
        np.testing.assert_allclose(u @ M, u @ m)  # NumPy's product, of all elements


# A value is computed once, and is a matrix again; an expression that is dropped costs nothing.
def test_values(p):
    S = p.A + p.D[0]
    count, value = p.matrices(lambda: S.compute())
    assert count == 1 and value.form == "matrix"
    assert p.matrices(lambda: np.asarray(S))[0] == 0
    np.testing.assert_allclose(value * p.u[0], (p.a + np.diag(p.d[0])) @ p.u[0])
    allocations = p.pool.stats().allocation_count
    with p.pool:
        del S
        dropped = (p.A + p.D[0]).cholesky()
        del dropped
    assert p.pool.stats().allocation_count == allocations
    assert float((p.A + p.D[0]).sum()) == pytest.approx((p.a + np.diag(p.d[0])).sum())


# Given right-hand sides and sums of three are overwritten.
def test_chains_in_place(p):
    with p.pool:
        block = tenure.array(p.a)
        B = matrix(p.a + 1)
    address = tenure.owner_of(block).address
    count, x = p.matrices(lambda: (p.D[0] * 2).solve(give(block)))
    assert count == 0 and tenure.owner_of(x).address == address
    count, s = p.matrices(lambda: np.asarray(tenure.take(give(p.A)) + p.D[0] + B))
    assert count == 0
    np.testing.assert_allclose(s, p.a + np.diag(p.d[0]) + p.a + 1)
    L = (B + p.D[0]).cholesky()
    np.testing.assert_allclose(L.T.solve(p.u[0]), np.linalg.solve(np.linalg.cholesky(p.a + 1 + np.diag(p.d[0])).T, p.u[0]))


# The factors of one matrix serve several right-hand sides, in the bytes of a matrix that was given (EX-9, FM-7).
def test_lu(p):
    a = p.a + np.triu(p.a) + np.diag(p.d[0])
    with p.pool:
        M, b, c = matrix(tenure.array(a)), tenure.array(p.u[0]), tenure.array(p.u[1])

    def solve_both():
        f = M.lu()
        return f.solve(b), f.i * c

    (blocks, peak), kept = p.blocks(solve_both)
    assert (blocks, peak) == (3, 1), "the factors, once, and two solutions; M, b and c stay"
    M.release()
    with p.pool:
        given = tenure.array(a)
    f = tenure.lazy(give(given)).lu()
    (blocks, peak), x = p.blocks(lambda: f.solve(give(b)).compute())
    assert (blocks, peak) == (0, 0)
    (blocks, peak), y = p.blocks(lambda: f.solve(give(c)).compute())
    assert (blocks, peak) == (0, 0)
    assert f"lu: factors float64 ({N}, {N}), computed" in f.solve(x).explain()
    for solution, first, u in zip((x, y), kept, p.u):
        np.testing.assert_allclose(a @ np.asarray(solution), u)
        np.testing.assert_array_equal(solution, first)
    np.testing.assert_allclose(p.D[0].lu().solve(p.u[0]), p.u[0] / p.d[0])
    for refused in (f.compute, lambda: f + f, lambda: matrix(a) * f, f.sum):
        with pytest.raises(NotImplementedError, match="factors that lu makes"):
            refused()
    with pytest.raises(tenure.Error, match="lu: pivot 1 is 0 or NaN: the matrix is singular"):
        matrix([[1.0, 2.0], [2.0, 4.0]]).lu().solve(np.ones(2))


# Factors multiply, have a transpose and parts (EX-35 to EX-37, FM-7).
def test_what_factors_do(p):
    a = p.a + np.triu(p.a) + np.diag(p.d[0])
    u, block = p.u[0], np.stack(p.u, axis=1)
    f = matrix(a).lu()
    for right in (u, block):
        np.testing.assert_allclose(f * right, a @ right)
        np.testing.assert_allclose(f.T * right, a.T @ right)
        np.testing.assert_allclose(a.T @ np.asarray(f.T.solve(right)), right)
        np.testing.assert_allclose(f.h.i * (f.h * right), right)
    with p.pool:
        given = tenure.array(u)
    (blocks, peak), x = p.blocks(lambda: f * give(given))
    assert (blocks, peak) == (0, 0), "in the bytes of a vector that was given"
    np.testing.assert_allclose(x, a @ u)
    P, L, U = f.P.compute(), f.L.compute(), f.U.compute()
    assert (P.form, L.form, U.form) == ("matrix", "lower", "upper")
    np.testing.assert_allclose(P * L * U, a)
    np.testing.assert_array_equal(L.dense(), np.tril(L.dense()))
    assert (np.diag(L.dense()) == 1).all() and (np.abs(L.dense()) <= 1).all() and (np.tril(U.dense(), -1) == 0).all()
    assert sorted(np.argmax(P, axis=1)) == list(range(N)) and np.sum(P) == N
    np.testing.assert_array_equal(p.D[0].lu().U.dense(), np.diag(p.d[0]))
    for refused in (lambda: f.T.L, lambda: (P * f)):
        with pytest.raises(NotImplementedError, match="factors"):
            refused()


# The form belongs to the handle: arrays keep NumPy's operators, and views, clones and transposes work as on an array.
def test_arrays_are_unchanged(p):
    x = tenure.asarray(p.a)
    M = matrix(x)
    assert isinstance(x + x, tenure.Array) and x.form == "full"
    np.testing.assert_array_equal(x * x, p.a * p.a)
    assert M.T.form == "matrix" and M.clone().form == "matrix" and M[:2].form == "full"
    weak = M.weak()
    assert weak.upgrade().form == "matrix"
    np.testing.assert_array_equal(np.multiply(M, M), p.a * p.a)
    with pytest.raises(ValueError):
        matrix(p.u[0])
    with pytest.raises(ValueError):
        p.A + matrix(np.ones((2, 2)))
