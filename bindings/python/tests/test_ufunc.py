"""NumPy's functions on Tenure arrays: the results are NumPy's to the last bit, the memory is ours, and conflicts are refused (PY-7)."""

import itertools
import operator
import random
import threading
import warnings

import numpy as np
import pytest

import tenure

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()
UFUNCS = [u for u in vars(np).values() if isinstance(u, np.ufunc) and u.signature is None]
# Long enough for the loops of vector instructions, short enough to be many.
SHAPES = [(), (0,), (1,), (7,), (40,), (3, 4), (1, 5), (5, 1), (2, 0, 3), (2, 3, 4), (3, 1, 2)]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def pool():
    pool = tenure.Pool(name="ufunc")
    with pool:
        yield pool
    pool.release()


def guards():
    """The open guards of the process."""
    kinds = (tenure.HolderKind.GUARD_READ, tenure.HolderKind.GUARD_WRITE)
    return [holder for holder in tenure.leaks() if holder.kind in kinds]


def numbers(rng, shape, dtype):
    """Random values of a type, with special ones among those of floats."""
    values = rng.integers(-9, 10, shape)
    if dtype in ("uint8", "uint16", "uint32", "uint64", "bool"):
        values = abs(values)
    made = np.asarray(values).astype(dtype)
    if made.dtype.kind in "fc":
        made = np.asarray(made + np.asarray(rng.random(shape)).astype(dtype)).astype(dtype)
        if made.size > 3:
            made.reshape(-1)[rng.integers(made.size)] = rng.choice([np.nan, np.inf, -0.0, 0.0])
    return made


def laid_out(rng, shape, dtype):
    """A Tenure array in one of many layouts, and a NumPy array with its values and strides."""
    how = rng.integers(5)
    ndim = len(shape)
    axes = list(rng.permutation(ndim)) if how in (1, 2) else list(range(ndim))
    inside = tuple(shape[axis] for axis in axes)
    steps = [int(rng.integers(1, 3)) if how >= 2 else 1 for _ in inside]
    if how == 4:
        steps = [-step for step in steps]
    base = numbers(rng, tuple(length * abs(step) for length, step in zip(inside, steps)), dtype)
    if not ndim:
        return tenure.array(base), base
    index = tuple(slice(None, None, step) for step in steps)
    order = [axes.index(axis) for axis in range(ndim)]
    return tenure.asarray(base)[index].permute(*order), base[index].transpose(order)


def same(ours, numpys, pool=None, ordered=True):
    """Whether a result is NumPy's: type, shape, bits, order in memory; and ours, if it has axes."""
    if isinstance(numpys, tuple):
        assert isinstance(ours, tuple) and len(ours) == len(numpys)
        for mine, theirs in zip(ours, numpys):
            same(mine, theirs, pool, ordered)
        return
    if not isinstance(numpys, np.ndarray):
        assert type(ours) is type(numpys), (type(ours), type(numpys))
        assert np.asarray(ours).tobytes() == np.asarray(numpys).tobytes() or ours is numpys
        return
    assert type(ours) is tenure.Array
    assert ours.dtype == numpys.dtype and ours.shape == numpys.shape
    assert ours.tobytes() == numpys.tobytes()
    if numpys.size:
        axes = [axis for axis, length in enumerate(numpys.shape) if length > 1]
        assert not ordered or [ours.strides[axis] for axis in axes] == [numpys.strides[axis] for axis in axes]
        assert ours.is_unique and (pool is None or tenure.owner_of(ours).pool_name == pool.name)


def both(call, ours, numpys, pool=None):
    """Calls with Tenure's operands and with NumPy's: equal results, or the same error."""
    try:
        expected = call(*numpys)
    except Exception as error:
        refused = error
    else:
        if any(np.asarray(x).dtype.name not in DTYPES for x in (expected if isinstance(expected, tuple) else (expected,))):
            with pytest.raises(TypeError, match="cannot have; convert"):
                call(*ours)
        else:
            # Arrays without elements have strides of their own.
            same(call(*ours), expected, pool, all(np.size(x) for x in numpys))
        return
    with pytest.raises(Exception) as caught:
        call(*ours)
    # With two faults, either may be found first.
    assert isinstance(caught.value, (TypeError, ValueError, IndexError, OverflowError)), (caught.value, refused)
    assert not guards()


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_every_ufunc_gives_numpys_bits(ufunc, pool):
    rng = np.random.default_rng([7, *ufunc.__name__.encode()])
    for _ in range(40):
        shape = SHAPES[rng.integers(len(SHAPES))]
        ours, numpys = [], []
        for at in range(ufunc.nin):
            kind = rng.integers(5)
            # Some axes of length 1, or fewer axes, are broadcast.
            own = tuple(1 if rng.integers(4) == 0 else length for length in shape)[rng.integers(2) * rng.integers(len(shape) + 1) :]
            x, n = laid_out(rng, own, DTYPES[rng.integers(len(DTYPES))])
            if at > 0 and kind == 0:
                x = n = [2, 2.5, True, 1j, np.float32(3), np.int64(2)][rng.integers(6)]
            elif at > 0 and kind == 1:
                x = n
            ours.append(x)
            numpys.append(n)
        both(ufunc, ours, numpys, pool)
    assert not guards()


# NumPy 2.4 keeps a reference to the operand of a ufunc's method that raises, whatever the operand's type.
@pytest.mark.keeps
@pytest.mark.parametrize("dtype", DTYPES)
def test_methods_of_ufuncs(dtype, pool):
    rng = np.random.default_rng([8, *dtype.encode()])
    for ufunc, _ in itertools.product((np.add, np.multiply, np.minimum, np.logical_or, np.bitwise_xor, np.hypot, np.subtract), range(6)):
        shape = SHAPES[rng.integers(len(SHAPES))]
        x, n = laid_out(rng, shape, dtype)
        axis = int(rng.integers(-len(shape), len(shape))) if shape else 0
        keepdims = bool(rng.integers(2))
        both(lambda a: ufunc.reduce(a), [x], [n], pool)
        both(lambda a: ufunc.reduce(a, axis=axis, keepdims=keepdims), [x], [n], pool)
        both(lambda a: ufunc.reduce(a, axis=None, keepdims=keepdims), [x], [n], pool)
        both(lambda a: ufunc.reduce(a, axis=tuple(range(len(shape)))[::2], dtype="float64"), [x], [n], pool)
        both(lambda a: ufunc.accumulate(a, axis=axis), [x], [n], pool)
        both(lambda a: ufunc.reduceat(a, [0, 1], axis=axis), [x], [n], pool)
        y, m = laid_out(rng, SHAPES[rng.integers(len(SHAPES))], dtype)
        both(ufunc.outer, [x, y], [n, m], pool)
    assert not guards()


@pytest.mark.parametrize("name", "sum prod min max mean std var any all argmin argmax".split())
def test_methods_of_arrays(name, pool):
    rng = np.random.default_rng([9, *name.encode()])
    for _ in range(60):
        shape = SHAPES[rng.integers(len(SHAPES))]
        x, n = laid_out(rng, shape, DTYPES[rng.integers(len(DTYPES))])
        call = operator.methodcaller
        both(call(name), [x], [n], pool)
        both(getattr(np, name), [x], [n], pool)
        for axis in range(-len(shape), len(shape)):
            both(call(name, axis=axis), [x], [n], pool)
            both(call(name, axis, keepdims=True), [x], [n], pool)
        if name in ("sum", "prod", "mean", "std", "var"):
            both(call(name, 0, dtype="float32"), [x], [n], pool)
            both(call(name, 0, where=n.astype(bool)), [x], [n], pool)
        if not name.startswith("arg") and len(shape) > 1:
            both(call(name, (0, -1)), [x], [n], pool)
        both(call(name, axis=5), [x], [n], pool)
        if shape:
            expected = getattr(n, name)(0) if n.shape[0] else None
            if expected is not None and np.ndim(expected) and np.asarray(expected).dtype.name != "float16":
                out = tenure.empty(expected.shape, expected.dtype)
                assert getattr(x, name)(0, out=out) is out and out.tobytes() == expected.tobytes()
                other = np.empty_like(expected)
                assert getattr(x, name)(0, out=other) is other and other.tobytes() == expected.tobytes()
    assert not guards()


OPERATORS = "add sub mul truediv floordiv mod pow matmul lshift rshift and_ or_ xor".split()


@pytest.mark.parametrize("name", OPERATORS + ["divmod", "eq", "ne", "lt", "le", "gt", "ge"])
def test_operators(name, pool):
    operation = divmod if name == "divmod" else getattr(operator, name)
    in_place = getattr(operator, "i" + name.rstrip("_"), None) or getattr(operator, "i" + name, None)
    rng = np.random.default_rng([10, *name.encode()])
    for _ in range(60):
        dtype = DTYPES[rng.integers(len(DTYPES))]
        shape = [(4, 4), (4,), (2, 4, 4), (), (0,)][rng.integers(5)]
        x, n = laid_out(rng, shape, dtype)
        y, m = laid_out(rng, shape, DTYPES[rng.integers(len(DTYPES))])
        for other, others in ((y, m), (m, m), (2, 2), (-1, -1), (0.5, 0.5), (True, True), (1j, 1j), (np.float32(2), np.float32(2))):
            both(operation, [x, other], [n, others], pool)
            both(operation, [other, x], [others, n], pool) if other is not m else None
        both(operation, [x, n.tolist()], [n, n.tolist()], pool) if shape else None
        both(operation, [n, x], [n, n], pool)
        if in_place:
            for other, others in ((y, m), (m, m), (2, 2), (0.5, 0.5), (x, n)):
                mine, theirs = tenure.array(n), n.copy()
                address = np.asarray(mine).ctypes.data
                try:
                    theirs = in_place(theirs, theirs if others is n else others)
                except Exception as error:
                    with pytest.raises(type(error) if type(error).__module__ == "builtins" else TypeError):
                        in_place(mine, mine if other is x else other)
                    # NumPy finds a negative exponent of an integer after it has written others.
                    assert name == "pow" or mine.tobytes() == n.tobytes()
                else:
                    result = in_place(mine, mine if other is x else other)
                    assert result is mine and np.asarray(mine).ctypes.data == address
                    assert mine.tobytes() == np.asarray(theirs).tobytes()
    assert not guards()


def test_unary_operators(pool):
    for dtype, operation in itertools.product(DTYPES, (operator.neg, operator.pos, abs, operator.invert)):
        n = numbers(np.random.default_rng(3), (3, 4), dtype)
        both(operation, [tenure.array(n).T], [n.T], pool)


def test_the_readme_of_operators():
    x = tenure.arange(3.0, name="x")
    y = 1 + x * 2
    assert type(y) is tenure.Array and y.tolist() == [1, 3, 5]
    x += y
    assert x.name == "x" and x.tolist() == [1, 4, 7]
    assert np.add(x, y, out=x) is x and x.tolist() == [2, 7, 12]
    assert (x == y).tolist() == [False] * 3 and (x > 2).any() and not (x > 2).all()
    assert isinstance(x.sum(), np.float64) and (x @ y).item() == 2 + 21 + 60
    assert np.sqrt(x * x).tolist() == x.tolist()
    fraction, whole = np.modf(x / 4)
    assert fraction.tolist() == [0.5, 0.75, 0] and whole.tolist() == [0, 1, 3]
    n = np.ones(3)
    n += x
    assert type(n) is np.ndarray and n.tolist() == [3, 8, 13]
    assert np.multiply(x, 2, out=n) is n and n.tolist() == [4, 14, 24]
    assert type(n + x) is tenure.Array and type(np.float64(2) * x) is tenure.Array


def test_results_without_axes_are_scalars():
    x = tenure.array(2.0)
    assert type(x + 1) is np.float64 and type(-x) is np.float64 and type(x == 2) is np.bool
    assert type(tenure.ones(3) @ tenure.ones(3)) is np.float64
    out = tenure.empty(())
    assert np.add(x, 1, out=out) is out and out.item() == 3
    x += 1
    assert type(x) is tenure.Array and x.item() == 3


def test_several_results():
    n = np.arange(6.0).reshape(2, 3) / 4
    x, out = tenure.array(n), tenure.empty((2, 3))
    both(np.modf, [x.T], [n.T])
    both(np.frexp, [x], [n])
    both(divmod, [x, 0.3], [n, 0.3])
    for outs in ((None, out), (out, None)):
        mine = np.modf(x, out=outs)
        assert out in [*filter(lambda y: y is out, mine)] and all(type(y) is tenure.Array for y in mine)
        assert [y.tolist() for y in mine] == [y.tolist() for y in np.modf(n)]
    whole = np.empty((2, 3))
    assert np.modf(x, out=(out, whole))[1] is whole and whole.tolist() == np.modf(n)[1].tolist()
    # One array for both.
    np.modf(x, out=(out, out))
    zero = tenure.array(1.5)
    assert np.modf(zero) == (0.5, 1.0) and type(np.modf(zero)[0]) is np.float64


def test_where_dtype_casting_and_order(pool):
    n = np.arange(12, dtype="int32").reshape(3, 4)
    x, mask = tenure.array(n), tenure.array(n % 2 == 0)
    out = tenure.zeros((3, 4), "int32")
    assert np.add(x, 1, out=out, where=mask) is out and out.tolist() == np.where(n % 2 == 0, n + 1, 0).tolist()
    assert np.add(x, 1, where=mask).shape == (3, 4)
    assert np.add(x[0], 1, where=mask).shape == (3, 4)
    both(lambda a: np.add(a, 1, dtype="float32"), [x], [n], pool)
    both(lambda a: np.add(a, 1.5, dtype="int32", casting="unsafe"), [x], [n], pool)
    both(lambda a: np.add(a, 1.5, dtype="int32"), [x], [n], pool)
    both(lambda a: np.add(a, 1, out=np.empty((3, 4), "int8"), casting="safe"), [x], [n])
    for order in "CFAK":
        both(lambda a: np.add(a, 1, order=order), [x], [n], pool)
        both(lambda a: np.add(a, 1, order=order), [x.T], [n.T], pool)
    both(lambda a: np.add.reduce(a, axis=0, where=n > 3, initial=5), [x], [n], pool)
    assert np.add.reduce(x, axis=0, where=mask).tolist() == np.add.reduce(n, axis=0, where=n % 2 == 0).tolist()
    both(lambda a: np.add(a, 1, signature="dd->d"), [x], [n])
    given = np.empty((3, 4))
    assert np.add(x, 1, out=given, signature="dd->d") is given and given.tolist() == (n + 1).tolist()
    both(lambda a: np.vecdot(a, a, axis=0), [x], [n])
    both(lambda a: np.matmul(a, a, axes=[(1, 0), (0, 1), (0, 1)]), [x], [n])
    assert not guards()


@pytest.mark.parametrize("ufunc", [np.matmul, np.vecdot, np.matvec, np.vecmat], ids=lambda ufunc: ufunc.__name__)
def test_ufuncs_over_whole_axes(ufunc, pool):
    rng = np.random.default_rng([11, *ufunc.__name__.encode()])
    shapes = [(3,), (4,), (3, 4), (4, 3), (3, 3), (2, 3, 4), (2, 4, 3), (1, 4, 3), (0, 3), (3, 0), (5, 1, 3, 3)]
    for _ in range(150):
        x, n = laid_out(rng, shapes[rng.integers(len(shapes))], ["float64", "float32", "int32", "complex128"][rng.integers(4)])
        y, m = laid_out(rng, shapes[rng.integers(len(shapes))], ["float64", "float32", "int32", "complex128"][rng.integers(4)])
        both(ufunc, [x, y], [n, m], pool)
    assert not guards()


def test_at():
    x, n = tenure.zeros(4), np.zeros(4)
    for target in (x, n):
        assert np.add.at(target, [0, 0, 3], 2) is None
        np.negative.at(target, tenure.array([3]))
        np.add.at(target, (tenure.array([1]),), tenure.array([5.0]))
        assert target.tolist() == [4, 5, 0, -2]
    with x.read(), pytest.raises(tenure.OwnershipError, match="is borrowed for reading"):
        np.add.at(x, [0], 1)
    with pytest.raises(IndexError):
        np.add.at(x, [9], 1)
    assert x.tolist() == n.tolist() and not guards()


# ---- aliasing


def test_operands_that_are_written():
    n = np.arange(8.0)
    x, clone = tenure.array(n), None
    x += x
    assert np.add(x, x, out=x) is x and x.tolist() == (n * 4).tolist()
    clone = x.clone()
    # Another handle for the same elements.
    np.add(x, clone, out=x)
    assert x.tolist() == (n * 8).tolist() == clone.tolist()
    np.multiply(clone, 0.125, out=x)
    assert clone.tolist() == n.tolist()
    x.sum(out=x[3:4].reshape(()))
    assert x[3] == 28


@pytest.mark.parametrize("seed", range(30))
def test_parts_that_overlap(seed):
    rng = random.Random(seed)
    base = np.arange(60.0).reshape(6, 10)
    x, n = tenure.array(base), base.copy()

    def part(ndim):
        rows = rng.randrange(4)
        columns = rng.randrange(5)
        flip = rng.choice((1, -1))
        return (slice(rows, rows + 3), slice(columns, columns + 5)), (slice(None), slice(None, None, flip))

    for _ in range(10):
        parts = [part(2) for _ in range(3)]
        mine = [x[where][flip] for where, flip in parts]
        theirs = [n[where][flip] for where, flip in parts]
        ufunc = rng.choice((np.add, np.subtract, np.multiply, np.maximum))
        assert ufunc(mine[0], mine[1], out=mine[2]) is mine[2]
        ufunc(theirs[0], theirs[1], out=theirs[2])
        np.divide(x, 7, out=x)
        np.divide(n, 7, out=n)
        x[1:] += x[:-1]
        n[1:] += n[:-1]
        assert x.tobytes() == n.tobytes()
    assert not guards()


def test_a_copy_for_overlapping_operands_is_counted():
    x = tenure.arange(100.0)
    before = sum(site.count for site in tenure.copies())
    np.add(x, 1, out=x)
    x + x[::-1]
    np.add(x[:50], x[50:], out=x[50:])
    assert sum(site.count for site in tenure.copies()) == before
    np.add(x[:-1], 1, out=x[1:])
    assert sum(site.count for site in tenure.copies()) == before + 1
    with tenure.no_copies():
        x += 1
        x.sum(axis=0, keepdims=True)
        with pytest.raises(tenure.OwnershipError, match="would copy") as caught:
            np.add(x[:-1], 1, out=x[1:])
        assert caught.value.status == tenure.Status.WOULD_COPY
        with pytest.raises(tenure.OwnershipError, match="would copy"):
            tenure.ones((2, 2), "float16").mean(axis=0)
    assert not guards()


# ---- conflicts


def test_conflicts_name_who_is_in_the_way_and_change_nothing():
    x, y = tenure.ones(3, name="weights"), tenure.ones(3, name="y")
    with x.read():
        for call in (
            lambda: operator.iadd(x, 1),
            lambda: np.add(y, 1, out=x),
            lambda: np.add(y, x, out=x),
            lambda: y.sum(0, keepdims=True, out=x[:1]),
            lambda: np.copyto(x, 5),
            lambda: np.concatenate([y[:1], y[1:]], out=x),
        ):
            with pytest.raises(tenure.OwnershipError, match='is borrowed for reading .*test_ufunc.py') as caught:
                call()
            assert '"weights"' in str(caught.value)
            assert caught.value.status == tenure.Status.BORROWED
        assert (x + 1).tolist() == [2, 2, 2]
    with x.write() as view:
        for call in (lambda: x + 1, lambda: 1 + x, lambda: x.sum(), lambda: -x, lambda: x == y, lambda: y.__iadd__(x)):
            with pytest.raises(tenure.OwnershipError, match='"weights".* is borrowed for writing .*test_ufunc.py') as caught:
                call()
            assert caught.value.status == tenure.Status.BORROWED_WRITE and "use the view" in str(caught.value)
        view[:] = 7
    assert x.tolist() == [7, 7, 7] and y.tolist() == [1, 1, 1] and not guards()


def test_shared_views_do_not_conflict():
    x = tenure.ones(3)
    n = np.asarray(x)
    x += n
    assert n.tolist() == [2, 2, 2]
    np.add(x, n, out=n)
    assert x.tolist() == [4, 4, 4]


def test_arrays_that_are_not_there():
    x = tenure.ones(3, name="x")
    gone = x.clone()
    promise = tenure.give(gone, required=1)
    for call in (lambda: gone + 1, lambda: gone.sum(), lambda: operator.iadd(gone, 1), lambda: np.exp(x, out=gone)):
        with pytest.raises(tenure.OwnershipError) as caught:
            call()
        assert caught.value.status == tenure.Status.GIVEN
    taken = tenure.take(promise)
    with pytest.raises(tenure.OwnershipError) as caught:
        gone + 1
    assert caught.value.status == tenure.Status.DESTRUCTED
    taken.release()
    with pytest.raises(tenure.OwnershipError) as caught:
        taken * 2
    assert caught.value.status == tenure.Status.STALE
    with pytest.raises(KeyError), x.write():
        raise KeyError
    for call in (lambda: x + 1, lambda: x.mean()):
        with pytest.raises(tenure.OwnershipError, match=r"x.heal\(\)"):
            call()
    x.fill(3)
    assert (x + 1).tolist() == [4, 4, 4] and not guards()


def test_read_only_arrays_are_not_written():
    x = tenure.ones(3).broadcast_to(2, 3)
    with pytest.raises(tenure.ReadOnlyError):
        x += 1
    assert (x + 1).tolist() == [[2] * 3] * 2
    x = tenure.from_buffer(bytes(8))
    with pytest.raises(tenure.ReadOnlyError):
        np.add(x, 1, out=x)


def test_errors_leave_no_borrow_and_no_change():
    x, y = tenure.arange(3), tenure.ones(3)
    for call, error in (
        (lambda: operator.iadd(x, 1.5), TypeError),
        (lambda: np.add(x, [1, 2]), ValueError),
        (lambda: np.add(x, np.ones(4), out=y), ValueError),
        (lambda: operator.iadd(x, [[1], [2]]), ValueError),
        (lambda: np.bitwise_and(y, 1), TypeError),
        (lambda: x + "text", TypeError),
        (lambda: np.add(x, 1, out=y, casting="no"), TypeError),
        (lambda: np.add(x, 1, wrong=2), TypeError),
        (lambda: tenure.zeros(2, "uint8") + 300, OverflowError),
        (lambda: x @ tenure.ones(4), ValueError),
        (lambda: x.sum(axis=3), np.exceptions.AxisError),
        (lambda: tenure.empty(0).max(), ValueError),
        (lambda: operator.imatmul(x, x), ValueError),
    ):
        kept = None
        try:
            call()
        except error as caught:
            kept = caught  # with its traceback
        assert kept is not None and not guards()
        assert x.tolist() == [0, 1, 2] and y.tolist() == [1, 1, 1]
        with x.write("unique"), y.write("unique"):
            pass
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        1 / (x * 1.0)
    assert not guards()
    with pytest.raises(MemoryError), tenure.Pool(name="small", max_size=1 << 16):
        tenure.ones(1) + np.ones(1 << 17)
    assert not guards()


# ---- other operands


def test_objects_are_refused():
    x = tenure.ones(2)
    things = np.array([1, None], object)
    for call in (
        lambda: x + things,
        lambda: things + x,
        lambda: np.add(x, 1, dtype=object),
        lambda: np.frompyfunc(lambda a: a, 1, 1)(x),
        lambda: np.frompyfunc(lambda a, b: a, 2, 1)(x, x),
        lambda: x.reshape(1, 2).sum(axis=0, dtype=object),
        lambda: x * np.timedelta64(1),
        lambda: x * np.longdouble(1),
    ):
        with pytest.raises(TypeError, match=r"cannot have; convert the operands to numbers, or pass numpy.asarray\(x\)"):
            call()
    for call in (lambda: x + None, lambda: None + x, lambda: x - object(), lambda: operator.iadd(x, None)):
        with pytest.raises(TypeError):
            call()
    assert x.tolist() == [1, 1] and not guards()


def test_equality_takes_anything():
    x = tenure.array([1.0, 2.0])
    assert (x == None).tolist() == [False] * 2 and (x != None).tolist() == [True] * 2  # noqa: E711
    assert (x == "a").tolist() == [False] * 2 and (x != "a").tolist() == [True] * 2
    assert (x == [1, 5]).tolist() == [True, False] and ([1, 5] == x).tolist() == [True, False]
    assert (x == np.array([1, None], object)).tolist() == [True, False]
    with pytest.raises(TypeError):
        x < "a"
    with pytest.raises(ValueError):
        x == [1, 2, 3]
    with pytest.raises(TypeError):
        hash(x)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x == x)
    assert 2.0 in x and 3.0 not in x


def test_promises_are_no_operands():
    x = tenure.ones(3)
    promise = tenure.give(tenure.ones(3))
    for call in (
        lambda: x + promise,
        lambda: promise + x,
        lambda: promise * 2,
        lambda: np.ones(3) + promise,
        lambda: promise < 3,
        lambda: operator.iadd(x, promise),
        lambda: np.exp(promise),
        lambda: np.add(x, 1, out=promise),
    ):
        with pytest.raises(TypeError, match=r"(?s)a promise is no operand.*tenure.take\(promise\)|no operand|return arrays must be"):
            call()
    taken = tenure.take(promise)
    taken += 1
    assert taken.tolist() == [2, 2, 2] and not guards()


def test_expressions_stay_expressions():
    x, e = tenure.ones(3), tenure.lazy(tenure.ones(3))
    for build in (lambda: x + e, lambda: e + x, lambda: x - e, lambda: np.ones(3) + e):
        assert type(build()) is tenure.Expr
    y = x
    y += e
    assert type(y) is tenure.Expr and y.tolist() == [2, 2, 2]
    assert type(tenure.give(tenure.ones(3)) + e) is tenure.Expr
    with pytest.raises(TypeError):
        np.add(x, e)


class Other:
    """A type with ufuncs of its own."""

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return "other", ufunc.__name__, method, [type(x).__name__ for x in inputs]

    def __array_function__(self, function, types, args, kwargs):
        return "other", function.__name__


class Later:
    """A type of before ufuncs could be taken over."""

    __array_priority__ = 1000

    def __radd__(self, other):
        return "later"


class Plain:
    def __radd__(self, other):
        return "plain"


def test_other_types_take_over():
    x, other = tenure.ones(3), Other()
    assert x + other == ("other", "add", "__call__", ["Array", "Other"])
    assert other.__array_ufunc__(np.add, "__call__", x)[0] == "other"
    assert np.multiply(other, x)[3] == ["Other", "Array"]
    assert np.add(x, 1, out=(other,)) [0] == "other"
    assert np.add(x, 1, where=other)[0] == "other"
    assert np.add.reduce(x, out=other)[0] == "other"
    assert (x == other)[1] == "equal"
    assert np.concatenate([x, other]) == ("other", "concatenate")
    assert x + Later() == "later" and x + Plain() == "plain"
    x += 1
    assert tenure.Array.__array_ufunc__(x, np.add, "__call__", x, other) is NotImplemented


def test_subclasses_of_numpys_arrays():
    x = tenure.array([[1.0, 2.0], [3.0, 4.0]])
    masked = np.ma.masked_array(np.ones((2, 2)), [[True, False], [False, False]])
    for sum in (x + masked, masked + x):
        assert type(sum) is np.ma.MaskedArray and sum.mask.tolist() == masked.mask.tolist() and sum[1, 1] == 5
    matrix = np.matrix([[1.0, 0.0], [0.0, 1.0]])
    assert type(x * matrix) is np.matrix and type(np.add(matrix, x)) is np.matrix
    assert np.add(matrix, 1, out=x) is x and x.tolist() == [[2, 1], [1, 2]]
    record = np.ones(2).view(np.recarray)
    assert type(x + record) is tenure.Array
    assert not guards()


# ---- functions that are no ufuncs


def test_other_functions_share_or_write_under_a_guard():
    x, y = tenure.array([3.0, 1.0, 2.0]), tenure.zeros(6)
    with tenure.no_copies():
        assert np.concatenate([x, x]).tolist() == [3, 1, 2] * 2
        assert np.sort(x).tolist() == [1, 2, 3] and np.where(x > 1, x, 0).tolist() == [3, 0, 2]
        assert np.shares_memory(np.atleast_2d(x), np.asarray(x)) and np.linalg.norm(x[:1]) == 3
        assert np.concatenate([x, x[::-1]], out=y) is y and y.tolist() == [3, 1, 2, 2, 1, 3]
        np.copyto(y[:3], x)
        np.copyto(y, y[::-1])
        assert y.tolist() == [3, 1, 2, 2, 1, 3]
        assert np.clip(y, 0, 2, out=y) is y and y.max() == 2
        np.put(y, [0], 9)
        np.fill_diagonal(y.reshape(2, 3), 8)
        assert y.tolist() == [8, 1, 2, 2, 8, 2]
        assert np.cumsum(y, out=y) is y and y[-1] == 23
        assert np.dot(x, x) == 14 and np.array_equal(x, x) and np.shape(x) == (3,)
        assert np.swapaxes(tenure.ones((2, 3)), 0, 1).shape == (3, 2)
    with pytest.raises(TypeError, match=r"tenure.zeros"):
        np.zeros(3, like=x)
    assert not guards()


def test_a_view_that_is_kept_keeps_its_guard():
    x = tenure.arange(4.0)
    kept = tenure._tenure._run(lambda view: view[1:], (x,), {}, ())
    with pytest.raises(tenure.OwnershipError, match="is borrowed for reading"):
        x += 1
    assert kept.tolist() == [1, 2, 3]
    part = kept[:1]
    del kept
    assert guards()
    del x
    assert part.tolist() == [1]
    del part
    assert not guards()


def test_warnings_name_the_callers_line():
    x = tenure.zeros(3)
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="warn"):
        warnings.simplefilter("always")
        x / 0
        np.log(x)
        x /= 0
    assert [warning.filename for warning in caught] == [__file__] * 3


def test_threads_add_to_their_parts_and_conflict_on_one():
    x = tenure.zeros(40000)
    parts = x.array_split(4)

    def work(part):
        for _ in range(50):
            part += 1

    threads = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert x.min() == x.max() == 50
    refused = []

    def other():
        try:
            work(x)
        except tenure.OwnershipError as error:
            refused.append(error.status)

    with x.read():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused == [tenure.Status.BORROWED] and x.max() == 50


def test_proxies_are_operands():
    x = tenure.ones(3)
    assert (x + x.readonly).tolist() == [2, 2, 2] and type(x + x.readonly) is tenure.Array
    memory = np.ones(3).view(np.memmap)
    assert (x + memory).tolist() == [2, 2, 2]


def test_pools_and_names(pool):
    x = tenure.ones((2, 3), name="x")
    for made in (x + 1, -x, x.sum(0), np.add.outer(x, x), x @ x.T, x == x, np.modf(x)[1]):
        assert made.pool.name == "ufunc" and made.name == "" and made.is_unique


# ---- small methods


def test_items():
    n = np.arange(24.0).reshape(2, 3, 4)
    x = tenure.asarray(n).transpose(2, 0, 1)
    m = n.transpose(2, 0, 1)
    for args in ((1, 1, 2), (-1, 0, -3), (5,), (-24,), ((3, 1, 2),), (np.int64(7),)):
        assert x.item(*args) == m.item(*args) and type(x.item(*args)) is float
    for args in ((24,), (-25,), (0, 0, 3), (4, 0, 0)):
        with pytest.raises(IndexError):
            x.item(*args)
        with pytest.raises(IndexError):
            m.item(*args)
    with pytest.raises(ValueError, match="one for each axis"):
        x.item(1, 2)
    with pytest.raises(TypeError):
        x.item(1.5)
    with pytest.raises(IndexError):
        tenure.empty(0).item(0)
    assert tenure.array(3).item(0) == 3 and tenure.array([4]).item() == 4


def test_swapaxes_and_tobytes():
    n = np.arange(24, dtype="int16").reshape(2, 3, 4)
    x = tenure.array(n)
    for axes in itertools.product(range(-3, 3), repeat=2):
        y, m = x.swapaxes(*axes), n.swapaxes(*axes)
        assert y.shape == m.shape and y.strides == m.strides and y.tobytes() == m.tobytes()
        assert y.overlap(x) != "none" and y.tobytes("F") == m.tobytes("F")
    for wrong in ((3, 0), (0, -4)):
        with pytest.raises(IndexError, match="does not exist; the array has 3"):
            x.swapaxes(*wrong)
    assert tenure.array([1.0, -2.0], tenure.bfloat16).tobytes() == b"\x80\x3f\x00\xc0"


@pytest.mark.parametrize("dtype", [None, "float32", "int64", "uint8", "complex64", "float16"])
def test_arange_and_linspace_have_numpys_values(dtype, pool):
    for args in ((5,), (2, 9), (2, 9, 2), (9, 2, -1.5), (0.5, 3.25, 0.1), (0,), (3, 3), (5, None, None), (1e6, 1e6 + 3)):
        try:
            expected = np.arange(*args, dtype=dtype)
        except Exception as error:
            with pytest.raises(type(error)):
                tenure.arange(*args, dtype=dtype)
            continue
        same(tenure.arange(*args, dtype=dtype), expected, pool)
    for args in ((0, 1), (0, 1, 7), (3, -2, 11, False), (0, [1, 2], 3), (5, 5, 1), (0, 1, 0)):
        same(tenure.linspace(*args, dtype=dtype), np.linspace(*args, dtype=dtype), pool)
    values, step = tenure.linspace(0, 1, 5, retstep=True)
    assert step == 0.25 and values.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert tenure.arange(3, name="a").name == "a" and tenure.linspace(0, 1, 3, pool=pool, name="l").name == "l"
    assert tenure.arange(start=1, stop=3).tolist() == [1, 2]


def test_eye_has_numpys_values(pool):
    for rows, columns, k, order in itertools.product((0, 1, 3, 4), (None, 0, 1, 3, 5), (-5, -2, -1, 0, 1, 3, 6), "CF"):
        expected = np.eye(rows, columns, k, dtype="int32", order=order)
        same(tenure.eye(rows, columns, k, "int32", order), expected, pool)
    assert tenure.eye(2).dtype == np.eye(2).dtype and tenure.eye(2, name="I").name == "I"
    assert tenure.eye(2, dtype=tenure.bfloat16).tolist() == [[1, 0], [0, 1]]
    assert tenure.arange(3, dtype=tenure.bfloat16).tolist() == [0, 1, 2]
    for wrong in (2.5, "2"):
        with pytest.raises(TypeError):
            tenure.eye(wrong)


def test_expressions_tell_shape_and_type():
    e = tenure.lazy(tenure.ones((2, 3), "float32"))
    assert e.shape == (2, 3) and e.dtype == np.float32 and e.ndim == 2 and e.T.shape == (3, 2)
    assert (e @ e.T).shape == (2, 2) and e.sum(0).shape == (3,) and e.sum().shape == ()
    assert e.sum().item() == 6 and float((e + e).sum()) == 12 and e.sum(axis=-1).tolist() == [3, 3]
    assert e.sum().compute().shape == () and e.compute().shape == (2, 3)
    n = np.random.default_rng(1).random((4, 5, 6))
    for m in (n, n.T, n[:, ::2], n[:0]):
        assert np.isclose(tenure.lazy(tenure.array(m)).sum().item(), m.sum())
    e.release()
    with pytest.raises(tenure.OwnershipError):
        e.shape


def test_the_error_for_an_operand_that_is_given_names_the_borrow(pool):
    x = tenure.ones(3)
    promise = tenure.give(x)
    for call in (lambda: x + 1, lambda: np.add(1, x), lambda: operator.iadd(x, 1), lambda: x.sum(axis=0)):
        with pytest.raises(tenure.OwnershipError, match="tn_array_borrow_.*: the array was given away"):
            call()
    promise.cancel()
    assert (x + 1).tolist() == [2] * 3 and not guards()


# ---- bfloat16


def test_bfloat16_computes_with_ml_dtypes(pool):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    n = np.array([1.5, -2.0, 3.0], ml_dtypes.bfloat16)
    x = tenure.array(n)
    for call in (lambda a: a + a, lambda a: a * 2, lambda a: 1 - a, np.exp, lambda a: a / np.float32(3)):
        mine, theirs = call(x), call(n)
        assert mine.tobytes() == theirs.tobytes() and str(theirs.dtype) in str(mine.dtype)
        assert mine.pool.name == "ufunc"
    x += 1
    assert x.dtype is tenure.bfloat16 and x.tolist() == [2.5, -1, 4] and float(x.sum()) == 5.5
    assert (x == x).tolist() == [True] * 3 and (x > 0).tolist() == [True, False, True]
    assert not guards()


def test_bfloat16_without_ml_dtypes(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    x = tenure.array([1.5, 2.0], tenure.bfloat16)
    for call in (lambda: x + 1, lambda: x.sum(), lambda: operator.iadd(x, 1)):
        with pytest.raises(TypeError, match=r'ml_dtypes.*x.astype\("float32"\)'):
            call()
    assert (x == x).tolist() == [True] * 2 and (x.astype("float32") + 1).tolist() == [2.5, 3]
    assert not guards()
