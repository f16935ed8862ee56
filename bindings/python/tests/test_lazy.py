"""Lazy expressions from Python: operators, the holders of temporaries, and counts of copies and bytes."""

import threading

import numpy as np
import pytest

import tenure
from tenure import Status, Why

N = 48
ROW = 8 * N
BLOCK = ROW * N


def matrix(x):
    """A vector stands for a diagonal matrix."""
    return tenure.lazy(x, "diagonal" if x.ndim == 1 else None)


@tenure.takes
def build_v(M1, M2, u):
    return (matrix(M1) + matrix(M2)).cholesky() * u


@tenure.takes
def compute_v(M1, M2, u):
    e = (matrix(M1) + matrix(M2)).cholesky() * u
    del M1, M2, u  # done with them: this enables in place
    return e.compute()


@tenure.takes
def compute_both_v(X, Y1, Y2, u1, u2):
    v1 = compute_v(X, tenure.give(Y1), u1)
    v2 = compute_v(tenure.give(X), tenure.give(Y2), u2)
    return v1, v2


class Problem:
    """A dense, D diagonal, vectors u, in a pool of their own; the expected values."""

    def __init__(self):
        self.pool = tenure.Pool(thread_cache_size=tenure.NONE)  # its peaks are exact
        random = np.random.default_rng(7)
        a = random.standard_normal((N, N))
        self.a = a @ a.T + N * np.eye(N)
        self.d = random.random((2, N)) + 1
        self.u = random.standard_normal((2, N))
        self.A = self.array(self.a)
        self.D1, self.D2 = map(self.array, self.d)
        self.u1, self.u2 = map(self.array, self.u)

    def array(self, values):
        return tenure.array(values, pool=self.pool)

    def v(self, k=0):
        return np.linalg.cholesky(self.a + np.diag(self.d[k])) @ self.u[k]

    def measure(self, work):
        """Allocations, growth of the peak, change of live bytes; and the result."""
        before = self.pool.stats()
        self.pool.reset_peak()
        result = work()
        after = self.pool.stats()
        count = after.allocation_count - before.allocation_count
        peak = after.peak_requested_bytes - before.requested_bytes
        return (count, peak, after.requested_bytes - before.requested_bytes), result


@pytest.fixture
def p():
    problem = Problem()
    with tenure.no_copies():
        yield problem
    vars(problem).clear()  # pytest keeps the object for longer than this


def bits(x):
    return np.asarray(x).tobytes()


# PY-10, EX-10
def test_everything_held(p):
    v = (tenure.lazy(p.A) + tenure.diagonal(p.D1)).cholesky() * p.u1
    figures, v = p.measure(v.compute)
    assert figures == (2, BLOCK + ROW, ROW)
    np.testing.assert_allclose(v, p.v())
    np.testing.assert_array_equal(p.A, p.a)


# PY-10, EX-11, EX-30
def test_temporaries_hold_nothing(p):
    address = tenure.owner_of(p.A).address
    reference = compute_v(p.A, p.D1, p.u1)
    u = p.u1.clone()
    v = (tenure.lazy(p.A) + tenure.diagonal(p.D1)).cholesky() * u
    assert p.A.why_not() == Why.IN_EXPRESSION, "one leaf, whose handle is gone"
    del p.A, p.D1
    figures, result = p.measure(lambda: v.compute())
    # A and the diagonal are released; the sum, and then the factor, overwrote A.
    assert figures == (1, 0, -BLOCK)
    assert bits(result) == bits(reference) and tenure.owner_of(address) is None
    assert result.why_not() == Why.IN_EXPRESSION
    again, clone = p.measure(v.compute)
    assert again == (0, 0, 0) and tenure.owner_of(clone).address == tenure.owner_of(result).address
    del v, clone
    assert result.is_unique


# PY-10: a leaf that is a variable is kept
def test_a_named_operand_is_kept(p):
    D = tenure.diagonal(p.D1)
    v = (tenure.lazy(p.A) + D).cholesky() * p.u1
    del p.A, p.D1
    figures, result = p.measure(v.compute)
    assert figures == (1, ROW, -BLOCK + ROW), "D has its values still"
    np.testing.assert_allclose(result, p.v())
    np.testing.assert_array_equal((D * p.u2).compute(), p.d[0] * p.u[1])


# EX-20, OO-40
def test_both_v_with_all_given(p):
    same = bits(compute_v(p.A, p.D1, p.u1)), bits(compute_v(p.A, p.D2, p.u2))
    give = tenure.give
    figures, (v1, v2) = p.measure(lambda: compute_both_v(give(p.A), give(p.D1), give(p.D2), p.u1, p.u2))
    assert figures == (3, BLOCK, -BLOCK)
    assert (bits(v1), bits(v2)) == same
    with pytest.raises(tenure.OwnershipError, match="given away"):
        p.A.tolist()


# EX-21, OO-41
def test_both_v_the_other_way_round(p):
    give = tenure.give
    figures, (v1, v2) = p.measure(lambda: compute_both_v(p.D1, give(p.A), give(p.D2), p.u1, p.u2))
    assert figures == (2, ROW, -BLOCK + ROW)
    np.testing.assert_allclose(v1, p.v())
    np.testing.assert_array_equal(v2, np.sqrt(p.d[0] + p.d[1]) * p.u[1])


# EX-22, OO-42
def test_both_v_without_any_give(p):
    same = bits(compute_v(p.A, p.D1, p.u1)), bits(compute_v(p.A, p.D2, p.u2))

    def both(X, Y1, Y2, u1, u2):
        return compute_v(X, Y1, u1), compute_v(X, Y2, u2)

    figures, (v1, v2) = p.measure(lambda: both(p.A, p.D1, p.D2, p.u1, p.u2))
    assert figures == (4, BLOCK + 2 * ROW, 2 * ROW)
    assert (bits(v1), bits(v2)) == same


# EX-23
def test_expressions_returned_instead_of_values(p):
    same = bits(compute_v(p.A, p.D1, p.u1)), bits(compute_v(p.A, p.D2, p.u2))

    @tenure.takes
    def build_both(X, Y1, Y2, u1, u2):
        return build_v(X, tenure.give(Y1), u1), build_v(tenure.give(X), tenure.give(Y2), u2)

    def work():
        give = tenure.give
        e1, e2 = build_both(give(p.A), give(p.D1), give(p.D2), p.u1, p.u2)
        v1 = e1.compute()
        del e1
        return v1, e2.compute()

    figures, (v1, v2) = p.measure(work)
    assert figures == (3, BLOCK, -BLOCK)
    assert (bits(v1), bits(v2)) == same


# EX-25, EX-27
def test_promises_are_operands(p):
    same = bits(compute_v(p.A, p.D1, p.u1))
    work = lambda: (tenure.lazy(tenure.give(p.A)) + tenure.diagonal(p.D1)).cholesky() * tenure.give(p.u1)
    figures, v = p.measure(lambda: work().compute())
    assert figures == (0, 0, -BLOCK)
    assert bits(v) == same and v.is_unique
    with pytest.raises(tenure.OwnershipError, match="test_lazy.py"):
        p.A.tolist()


def test_operators():
    a, b = np.array([[4.0, 1.0], [2.0, 3.0]]), np.array([[1.0, 2.0], [5.0, 7.0]])
    d, u = np.array([2.0, 4.0]), np.array([1.0, 3.0])
    A, B, U = tenure.array(a), tenure.array(b), tenure.array(u)
    L, D = tenure.lazy, tenure.diagonal(d)
    low = np.tril(a)
    cases = [
        (L(A) + B, a + b), (A + L(B), a + b), (L(A) + b, a + b), (a + L(B), a + b), (L(A) + D, a + np.diag(d)),
        (D + A, a + np.diag(d)), (L(A) - B, a - b), (a - L(B), a - b), (A - L(B), a - b), (-L(A), -a),
        (L(A) * B, a @ b), (L(A) @ B, a @ b), (a @ L(B), a @ b), (a * L(B), a @ b), (A * L(B), a @ b),
        (A @ L(B), a @ b), (L(A) * u, a @ u), (D * U, d * u), (D @ B, np.diag(d) @ b), (B @ D, b * d),
        (L(A) * 2, 2 * a), (0.5 * L(A), a / 2), (np.float64(3) * L(A), 3 * a), (L(A) * np.float32(3), 3 * a),
        (L(A) * np.int64(3), 3 * a), (L(A) / 4, a / 4), (L(A) / B, a / b), (a / L(B), a / b), (L(A).times(b), a * b),
        (L(A).T, a.T), (L(A).sum(0), a.sum(0)), (L(A).sum(-1), a.sum(1)), (L(U).sum(0), u.sum()),
        (L(A).sqrt(), np.sqrt(a)), (L(A).exp(), np.exp(a)), (L(A).log(), np.log(a)), (L(A, "lower") * u, low @ u),
        (tenure.lower(a).T * U, low.T @ u), (L(A).solve(u), np.linalg.solve(a, u)), (D.solve(b), b / d[:, None]),
        (tenure.lower(A).solve(B), np.linalg.solve(low, b)), (tenure.lower(A).T.solve(b), np.linalg.solve(low.T, b)),
        (L(u, form="diagonal").cholesky() * u, np.sqrt(u) * u),
    ]  # fmt: skip
    for k, (e, expected) in enumerate(cases):
        assert isinstance(e, (tenure.Expr, tenure.Array)), "products of a form with vectors are computed"
        np.testing.assert_allclose(np.asarray(e), expected, atol=1e-15, err_msg=str(k))
    np.testing.assert_array_equal(A, a)
    single = tenure.lazy(a.astype("float32")) + b.astype("float32")
    assert single.compute().dtype == np.float32


def test_conversions():
    x = tenure.array([1.0, 3.0])
    e = tenure.lazy(x) + x
    assert e.tolist() == [2.0, 6.0] and np.asarray(e, dtype="float32").dtype == np.float32
    y = tenure.asarray(e)
    assert y.tolist() == [2.0, 6.0] and tenure.asarray(e).overlap(y) == "exact", "the value itself"
    assert not np.asarray(e).flags.writeable, "an expression that is kept may be needed again"
    assert float(e.sum(0)) == 8.0 == e.sum(0).item()
    del e
    assert y.is_unique


def test_refusals(refused):
    x = tenure.ones((2, 3))
    e = tenure.lazy(x)
    # EX-1: refused when the operation is built
    refused(Status.SHAPE, e.cholesky)
    refused(Status.SHAPE, lambda: e + tenure.ones((3, 2)))
    refused(Status.SHAPE, tenure.diagonal, x)
    refused(Status.SHAPE, tenure.lower, x)
    refused(Status.DTYPE, lambda: e + np.ones((2, 3), "float32"))
    refused(Status.DTYPE, tenure.lazy, np.ones(3, int))
    refused(Status.RANGE, e.sum, 2)
    refused(Status.DTYPE, lambda: e * np.complex128(2))
    for wrong in (lambda: e + 1, lambda: "text" - e, lambda: e * "text", lambda: e * 1j, lambda: e.solve(3)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError, match="not str"):
        e.times("text")
    with pytest.raises(TypeError, match="already"):
        tenure.lazy(e)
    with pytest.raises(ValueError, match="form"):
        tenure.lazy(x, "middle")
    with pytest.raises(ValueError, match="format"):
        e.explain("svg")
    with pytest.raises(TypeError):
        np.add(x, e)
    # EX-2
    refused(Status.IN_EXPRESSION, x.fill, 2.0)
    e.release()
    e.release()
    x.fill(2.0)
    assert repr(e) == "<released expression>"
    refused(Status.STALE, e.compute)
    refused(Status.STALE, lambda: tenure.lazy(x) + e)


# EX-40, EX-41, EX-42
def test_failure(refused):
    x, u = tenure.array([[1.0, 2.0], [2.0, 1.0]]), tenure.ones(2)
    e = tenure.lazy(x).cholesky() * u
    kind, text = refused(Status.FAILED, e.compute, keep_on_fail=True)
    assert kind is tenure.FailedError and "cholesky" in text and "1" in text
    assert x.why_not() == Why.IN_EXPRESSION
    refused(Status.FAILED, e.compute)
    refused(Status.POISONED, e.compute)
    refused(Status.POISONED, lambda: e + u)
    assert x.is_unique and repr(e).startswith("<tenure expression")


def test_explanation(p):
    v = (tenure.lazy(p.A) + tenure.diagonal(p.D1)).cholesky() * p.u1
    held = v.explain()
    del p.A
    released = v.explain("text")
    assert "a new array; not [0]: shared" in held and "a new array; not [0]" not in released
    assert v.explain("dot").startswith("digraph") and v.explain("dot").endswith("}\n")
    shown = repr(v)
    assert shown.startswith("<tenure expression\n") and released.splitlines()[-1] in shown
    v.compute()
    assert "cholesky" not in repr(v), "what is computed is a value"


# EX-32
def test_never_computed():
    x = tenure.ones(3)
    e = tenure.lazy(x) + x
    assert x.why_not() == Why.IN_EXPRESSION
    del e
    assert x.is_unique


def test_foreign_memory_comes_back():
    n = np.ones(3)
    e = tenure.lazy(n) + n
    address = n.ctypes.data
    assert tenure.owner_of(address) is not None
    assert e.tolist() == [2.0] * 3 and n.tolist() == [1.0] * 3
    assert tenure.owner_of(address) is None, "the value needs the operands no more"


# EX-33
def test_threads():
    x = tenure.array(np.eye(200) * 4)
    e = tenure.lazy(x).cholesky()
    seen = []

    def work():
        try:
            seen.append(e.compute())
        except tenure.OwnershipError as error:
            assert error.status == Status.IN_EXPRESSION

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen and len({tenure.owner_of(one).address for one in seen}) == 1
    assert seen[0][3, 3] == 2.0 and seen[0][3, 2] == 0.0
