"""Matrices that know their form (FM-1 to FM-6): arrays that are diagonals and triangles, their way through functions, and results."""

import copy

import numpy as np
import pytest

import tenure
from tenure import Status, Why

FORMS = ("full", "diagonal", "lower", "upper")
N = 5


def dense(values, form):
    """The matrix that stored elements stand for."""
    shapes = {"full": lambda n: n, "diagonal": np.diag, "lower": np.tril, "upper": np.triu}
    return shapes[form](np.asarray(values))


def stored(random, form):
    values = random.standard_normal(N if form == "diagonal" else (N, N))
    # The diagonal dominates, so that all of them can be solved with.
    return values + N * (1 if form == "diagonal" else np.eye(N))


def made(values, form, **options):
    x = tenure.array(values, **options)
    x.form = form
    return x


# FM-1, FM-5
def test_makers(refused):
    v, m = tenure.array([1.0, 2.0, 3.0]), tenure.array(np.arange(9.0).reshape(3, 3))
    d, low, up = tenure.diagonal(v), tenure.lower(m), tenure.upper(m)
    assert [x.form for x in (v, m, d, low, up)] == ["full", "full", "diagonal", "lower", "upper"]
    assert all(isinstance(x, tenure.Array) for x in (d, low, up))
    assert d.overlap(v) == low.overlap(m) == up.overlap(m) == "exact", "one more claim on the bytes"
    assert v.why_not() == Why.SHARED and d.shape == (3,)
    assert np.asarray(d).tolist() == [1.0, 2.0, 3.0] and np.asarray(low).tolist() == m.tolist()
    # What shares its memory, lists, and promises.
    n = np.array([4.0, 5.0])
    assert np.shares_memory(np.asarray(tenure.diagonal(n)), n) and tenure.diagonal([1, 2]).form == "diagonal"
    taken = tenure.lower(tenure.give(m))
    assert taken.form == "lower" and taken.overlap(low) == "exact"
    with pytest.raises(tenure.OwnershipError, match="given away"):
        m.tolist()
    one = tenure.identity(3)
    assert one.form == "diagonal" and one.tolist() == [1.0] * 3 and one.dtype == np.float64
    assert tenure.identity(2, "float32", name="one").dtype == np.float32
    refused(Status.SHAPE, tenure.diagonal, low)
    refused(Status.SHAPE, tenure.lower, v)
    refused(Status.SHAPE, setattr, v, "form", "upper")
    with pytest.raises(ValueError, match="form"):
        v.form = "banded"
    with pytest.raises(TypeError, match="already an expression"):
        tenure.diagonal(tenure.lazy(v))
    assert v.form == "full"


# FM-2
def test_what_keeps_the_form():
    low, d = made(np.arange(9.0).reshape(3, 3), "lower"), tenure.diagonal([1.0, 2.0, 3.0])
    kept = [low.clone(), low.copy(), low.copy(order="F"), low.astype("float32"), low.weak().upgrade(), copy.copy(low), tenure.array(low)]
    assert [x.form for x in kept] == ["lower"] * 7
    assert tenure.asarray(low) is low and tenure.asarray(low, "float32").form == "lower"
    assert low.T.form == "upper" and low.T.T.form == "lower" and d.T.form == "diagonal"
    assert low.transpose(0, 1).form == "lower" and low[:].form == "full" and low.reshape(3, 3).form == "full"
    assert tenure.zeros_like(low).form == "full"
    taken = tenure.take(tenure.give(low))
    assert taken.form == "lower"
    other = taken.clone()
    other.form = "upper"
    assert taken.form == "lower", "it belongs to the handle"
    with other.write(mode="cow") as v:
        v[0, 0] = 7.0
    assert other.form == "upper" and taken[0, 0] == 0.0


@tenure.takes
def factor(x, y):
    """Knows nothing of forms."""
    e = (tenure.lazy(x) + tenure.lazy(y)).cholesky()
    del x, y
    return e.compute()


# FM-4, FM-5
@pytest.mark.parametrize("mix", [("full", "full"), ("full", "diagonal"), ("diagonal", "full"), ("diagonal", "diagonal")])
def test_functions_run_unchanged_on_dense_and_diagonal(mix):
    pool = tenure.Pool(thread_cache_size=tenure.NONE)
    random = np.random.default_rng(3)
    operands = []
    for form in mix:
        a = random.standard_normal((N, N))
        values = random.random(N) + 1 if form == "diagonal" else a @ a.T + np.eye(N)
        operands.append((values, form))
    expected = np.linalg.cholesky(sum(dense(*operand) for operand in operands))
    x, y = (made(values, form, pool=pool) for values, form in operands)
    held = factor(x, y)
    addresses = [tenure.owner_of(x).address, tenure.owner_of(y).address]
    before = pool.stats().allocation_count
    with tenure.no_copies():
        given = factor(tenure.give(x), tenure.give(y))
    assert pool.stats().allocation_count == before, "in place"
    assert tenure.owner_of(given).address == addresses[mix == ("diagonal", "full")]
    for result in (held, given):
        assert result.form == ("diagonal" if mix == ("diagonal", "diagonal") else "lower")
        np.testing.assert_allclose(result.dense(), expected)


# FM-3, FM-5, FM-6
def test_operators():
    random = np.random.default_rng(5)
    for x_form in FORMS:
        for y_form in FORMS:
            if x_form == y_form == "full":
                continue
            x, y = (made(stored(random, form), form) for form in (x_form, y_form))
            a, b, u = dense(x, x_form), dense(y, y_form), random.standard_normal(N)
            cases = [
                (x + y, a + b), (x - y, a - b), (x * y, a @ b), (x @ y, a @ b), (x * u, a @ u), (x.solve(y), np.linalg.solve(a, b)),
                (tenure.lazy(x) + y, a + b), (x + tenure.lazy(y), a + b), (tenure.lazy(x).times(y), a * b), ((x + y).T, (a + b).T),
            ] if x_form != "full" else [(x + y, a + b), (x - y, a - b), (x @ y, a @ b), (tenure.lazy(x).solve(y), np.linalg.solve(a, b))]  # fmt: skip
            for k, (e, expected) in enumerate(cases):
                assert isinstance(e, (tenure.Expr, tenure.Array)), (x_form, y_form, k)
                result = e.compute()
                found = result.dense() if result.form != "full" else result
                np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=f"{x_form} {y_form} {k}")
        x = made(stored(random, x_form), x_form)
        a = dense(x, x_form)
        if x_form != "full":
            for e, expected in [(2 * x, 2 * a), (x * 0.5, a / 2), (x / 4, a / 4), (-x, -a)]:
                np.testing.assert_allclose(e.compute().dense(), expected)
        np.testing.assert_allclose(tenure.lazy(x).exp(), np.exp(a))
        np.testing.assert_allclose(tenure.lazy(x).sum(0), a.sum(0))
        np.testing.assert_allclose(tenure.lazy(x).sum(-1), a.sum(1))
        np.testing.assert_allclose(x.dense(), a)
    d = tenure.diagonal([4.0, 9.0])
    assert d.cholesky().compute().tolist() == [2.0, 3.0]
    assert tenure.lazy(d, "full").compute().form == "full", "an explicit form wins"


def test_what_would_broadcast_is_refused():
    x, d = tenure.ones((3, 3)), tenure.identity(3)
    with pytest.raises(TypeError, match="dense"):
        x += d
    with pytest.raises(TypeError):
        d += 1
    if hasattr(tenure.Array, "__array_ufunc__"):
        with pytest.raises(TypeError, match="dense"):
            np.add(x, d)
        with pytest.raises(TypeError, match="dense"):
            np.ones((3, 3)) + d
        assert np.sqrt(d).tolist() == [1.0] * 3, "one operand: the stored elements"
    assert x.tolist() == [[1.0] * 3] * 3 and d.form == "diagonal"
    # What expressions refuse.
    with pytest.raises(TypeError):
        d + 1
    with pytest.raises(TypeError):
        d + "text"


# FM-4, CP-3
def test_dense_is_a_counted_copy(refused):
    # Below the site that the copy book names.
    d = tenure.diagonal(np.arange(1.0, 4.0))
    count = lambda: sum(site.count for site in tenure.copies() if site.function == "tn_expr_compute")
    before = count()
    full = d.dense()
    assert full.form == "full" and full.tolist() == np.diag([1.0, 2.0, 3.0]).tolist() and count() == before + 1
    again = full.dense()
    assert again.overlap(full) == "none" and count() == before + 2
    with tenure.no_copies():
        assert d.dense().shape == (3, 3), "the caller asked for it"
        refused(Status.WOULD_COPY, tenure.lazy(d).exp().compute)


def test_it_shows():
    d = tenure.identity(2, name="one")
    assert repr(d) == "tenure.array([1., 1.], form='diagonal')"
    p = tenure.give(d)
    assert "diagonal" in repr(d)
    p.cancel()
    holders = [h for store in tenure.snapshot()["stores"] for h in store["holders"] if h["name"] == "one"]
    assert [h.get("form") for h in holders] == ["diagonal"]
