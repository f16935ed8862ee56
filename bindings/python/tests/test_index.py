"""Indexing, assignment and views, against NumPy on the same data."""

import random

import numpy as np
import pytest

import tenure
from tenure import Status

KEYS = [
    0,
    -1,
    2,
    np.int64(1),
    slice(None),
    slice(1, 3),
    slice(None, None, -1),
    slice(-2, None),
    slice(5, 1, -2),
    slice(10, 20),
    slice(2**70, None, -1),
    slice(-(2**70), 2**70, 2**70),
    slice(-(2**70), None, -1),
    Ellipsis,
    None,
    (),
    (0, 1),
    (0, 1, 2),
    (slice(None), 1),
    (Ellipsis, 0),
    (0, Ellipsis),
    (Ellipsis, slice(None, None, 2)),
    (None, 1, Ellipsis, None),
    (slice(1, None), None, 2, slice(None, None, -1)),
    (1, slice(None), 2),
    (Ellipsis, None),
    (0, 1, 2, Ellipsis),
    (None, 0, 1, 2),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_keys(key):
    n = np.arange(60).reshape(3, 4, 5)
    x = tenure.array(n)
    expected, got = n[key], x[key]
    if isinstance(expected, np.ndarray):
        assert got.shape == expected.shape and np.array_equal(np.asarray(got), expected)
        assert tenure.owner_of(x).address == tenure.owner_of(got).address if expected.size else True
    else:
        assert got == expected and type(got) is int


def test_bad_keys(refused):
    x = tenure.zeros((3, 4))
    for key in (3, -4, (0, 4), (Ellipsis, -5)):
        with pytest.raises(IndexError) as caught:
            x[key]
        assert caught.value.status == Status.RANGE  # LA-9
    for key in ((0, 0, 0), (Ellipsis, Ellipsis)):
        with pytest.raises(IndexError):
            x[key]
    for key in ([0, 1], np.array([True, False, True]), "a", 1.0, True, (0, [1])):
        with pytest.raises(TypeError):
            x[key]
    with pytest.raises(ValueError):  # LA-7
        x[::0]
    with pytest.raises(IndexError):
        tenure.zeros(())[0]


# PA-5: a value that does not fit is an OverflowError
def test_one_element_is_a_python_scalar():
    for dtype, value in [("float32", 0.5), ("int8", -7), ("uint64", 2**64 - 1), ("bool", True), ("complex64", 1 - 2j)]:
        x = tenure.zeros((2, 2), dtype)
        x[1, 0] = value
        assert x[1, 0] == value and type(x[1, 0]) is type(value)
        assert np.asarray(x)[1, 0] == value and np.asarray(x)[0, 1] == 0
    x = tenure.zeros(4, "float16")
    for i, value in enumerate([0.1, 65504.0, 6e-8, float("-inf")]):
        x[i] = value
        assert x[i] == float(np.float16(value))
    for dtype, value in [
        ("int8", 128),
        ("int8", -129),
        ("uint8", -1),
        ("int64", 2**63),
        ("uint64", 2**64),
        ("float32", 1e39),
        ("float16", 65520.0),
        ("int32", float("inf")),
    ]:
        with pytest.raises(OverflowError):
            tenure.zeros(1, dtype)[0] = value
    for dtype, value in [
        ("int32", 2.75),
        ("bool", 3),
        ("float64", "1.5"),
        ("int16", np.int64(5)),
        ("float64", np.float32(2)),
    ]:
        x, n = tenure.zeros(1, dtype), np.zeros(1, dtype)
        x[0], n[0] = value, value
        assert x[0] == n[0]
    for value in ("abc", None, [1, 2], object()):
        with pytest.raises((TypeError, ValueError)):
            tenure.zeros(1, "int32")[0] = value


@pytest.mark.parametrize(
    "key,value",
    [
        (slice(None), 5),
        (1, [1, 2, 3, 4]),
        ((slice(None), 1), np.arange(3.0)),
        (Ellipsis, np.arange(12).reshape(3, 4)),
        (slice(None, None, 2), np.float32(2.5)),
        ((slice(None), slice(1, 3)), [[1], [2], [3]]),
        (0, np.arange(8)[::-2]),
        (0, np.ones((1, 1, 4))),
        (slice(0, 0), 3),
        ((2, 3), 1.5),
    ],
    ids=str,
)
def test_assignment_broadcasts_and_converts(key, value):
    for dtype in ("float64", "int16", "complex64"):
        x, n = tenure.zeros((3, 4), dtype), np.zeros((3, 4), dtype)
        x[key], n[key] = value, value
        assert np.array_equal(np.asarray(x), n)
        y = tenure.zeros((3, 4), dtype)
        if not isinstance(value, (int, float)):
            y[key] = tenure.array(np.asarray(value))
            assert np.array_equal(np.asarray(y), n)


def test_assignment_refuses(refused):
    x = tenure.zeros((3, 4))
    with pytest.raises(ValueError):
        x[:, 0] = [1, 2]
    with pytest.raises(ValueError):
        x[0] = tenure.zeros((2, 4))
    with pytest.raises(ValueError):
        x[:] = np.zeros((2, 3, 4))
    refused(Status.READONLY, x[:1].broadcast_to(3, 4).__setitem__, 0, 1.0)
    with pytest.raises(ValueError):
        del x[0]
    assert x.tolist() == np.zeros((3, 4)).tolist()


# TR-4
def test_assignment_of_overlapping_parts():
    for source, target in [
        (slice(None, -1), slice(1, None)),
        (slice(1, None), slice(None, -1)),
        (slice(None, None, -1), Ellipsis),
    ]:
        x, n = tenure.array(np.arange(10)), np.arange(10)
        x[target] = x[source]
        n[target] = n[source].copy()
        assert np.array_equal(np.asarray(x), n)


def test_views_are_numpys():
    n = np.arange(24.0).reshape(2, 3, 4)
    x = tenure.array(n)
    for view, expected in [
        (x.T, n.T),
        (x.transpose(), n.transpose()),
        (x.transpose(1, 0, 2), n.transpose(1, 0, 2)),
        (x.transpose((2, 0, 1)), n.transpose(2, 0, 1)),
        (x.permute(0, -1, 1), n.transpose(0, -1, 1)),
        (x.reshape(6, 4), n.reshape(6, 4)),
        (x.reshape((4, -1)), n.reshape(4, -1)),
        (x.reshape(-1), n.reshape(-1)),
        (x.T.reshape(24, order="F"), n.T.reshape(24, order="F")),
        (x.ravel(), n.ravel()),
        (x[:1].squeeze(), n[:1].squeeze()),
        (x[:1].squeeze(0), n[:1].squeeze(0)),
        (x[:1, :, :1].squeeze((0, 2)), n[:1, :, :1].squeeze((0, 2))),
        (x.expand(0), np.expand_dims(n, 0)),
        (x.expand(-1), np.expand_dims(n, -1)),
        (x[0].broadcast_to(5, 3, 4), np.broadcast_to(n[0], (5, 3, 4))),
        (x.view("uint8"), n.view("uint8")),
        (x.view("complex128"), n.view("complex128")),
        (x.view(), n.view()),
    ]:
        assert view.shape == expected.shape and np.array_equal(np.asarray(view), expected)
        assert view.flags.readonly == (not expected.flags.writeable)
        wide = [i for i, length in enumerate(expected.shape) if length > 1]
        assert [view.strides[i] for i in wide] == [expected.strides[i] for i in wide]


def test_views_refuse(refused):
    x = tenure.zeros((3, 4))
    refused(Status.LAYOUT, x.T.reshape, 12)  # X41
    refused(Status.SHAPE, x.reshape, 5, -1)  # X42
    refused(Status.SHAPE, x.squeeze, 0)  # LA-10
    refused(Status.RANGE, x.permute, 0, 2)  # LA-6
    refused(Status.DUPLICATE, x.permute, 0, 0)
    refused(Status.COUNT, x.permute, 0)
    refused(Status.SHAPE, x.broadcast_to, (3, 5))  # LA-12
    refused(Status.DTYPE, x.view, "bool")  # LA-19
    for error, call in [(ValueError, lambda: x.T.reshape(12)), (ValueError, lambda: x.permute(0, 2))]:
        with pytest.raises(error):
            call()


# LA-15, LA-16
def test_parts():
    n = np.arange(20).reshape(10, 2)
    x = tenure.array(n)
    assert [c.shape for c in x.chunks(4)] == [(4, 2), (4, 2), (2, 2)]
    assert [c.shape for c in x.chunks(1, axis=1)] == [(10, 1), (10, 1)]
    for part, expected in zip(x.array_split(4), np.array_split(n, 4), strict=True):
        assert np.array_equal(np.asarray(part), expected)
    x.chunks(5)[1].fill(0)
    assert x.tolist()[5:] == [[0, 0]] * 5 and x[4, 1] == 9
    assert x.chunks(3)[0].overlap(x.chunks(3)[1]) == "none"
    assert x.overlap(x[1:]) == "some" and x.overlap(tenure.zeros(3)) == "none"  # LA-22
    with pytest.raises(ValueError):
        x.chunks(0)


# LA-23, BR-5
def test_views_see_writes_through_other_arrays():
    x = tenure.zeros((3, 4))
    row = x[1]
    row.fill(2)
    x.T[3, 1] = 5
    assert row.tolist() == [2, 2, 2, 5]
    x.release()
    assert row.tolist() == [2, 2, 2, 5]  # LA-1


def random_key(rng, ndim):
    parts, left = [], ndim
    for _ in range(rng.randrange(ndim + 1)):
        parts.append(
            slice(*(rng.choice([None, *range(-6, 7)]) for _ in range(2)), rng.choice([None, -3, -2, -1, 1, 2, 3]))
        )
        left -= 1
    for _ in range(rng.randrange(2)):
        parts.insert(rng.randrange(len(parts) + 1), None)
    if rng.random() < 0.3:
        parts.insert(rng.randrange(len(parts) + 1), Ellipsis)
    return tuple(parts)


def random_step(rng, x, n):
    kind = rng.randrange(8)
    if kind == 0 and n.ndim > 0:
        length = n.shape[0]
        if length and n.ndim > 1:
            i = rng.randrange(-length, length)
            return x[i], n[i]
    if kind == 1:
        axes = rng.sample(range(n.ndim), n.ndim)
        return x.permute(axes), n.transpose(axes)
    if kind == 2:
        return x.squeeze(), n.squeeze()
    if kind == 3 and n.ndim < 6:
        axis = rng.randrange(-n.ndim - 1, n.ndim + 1)
        return x.expand(axis), np.expand_dims(n, axis)
    if kind == 4 and n.ndim < 6 and n.size < 2000:
        shape = tuple(rng.randrange(4) if length == 1 else length for length in n.shape)
        shape = (rng.randrange(3),) * rng.randrange(2) + shape
        return x.broadcast_to(shape), np.broadcast_to(n, shape)
    if kind == 5 and n.size:
        shape = random.Random(rng.random()).choice([(-1,), (n.size, 1), n.shape[::-1], (1, *n.shape)])
        order = rng.choice("CF")
        try:
            expected = n.view()
            expected = np.reshape(n, shape, order=order, copy=False)
        except ValueError:
            with pytest.raises(ValueError):
                x.reshape(shape, order=order)
            return x, n
        return x.reshape(shape, order=order), expected
    if kind == 6:
        return x.T, n.T
    key = random_key(rng, n.ndim)
    return x[key], n[key]


# LA-21: chains of views equal NumPy's
def test_random_chains_of_views():
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    for trial in range(1500):
        shape = tuple(rng.randrange(6) for _ in range(rng.randrange(5)))
        n = np.arange(int(np.prod(shape, dtype=int)), dtype=rng.choice(["int64", "int16", "float32"])).reshape(shape)
        x = tenure.array(n)
        base = np.asarray(x)
        start = base.__array_interface__["data"][0]
        trail = []
        for _ in range(rng.randrange(1, 7)):
            x, n = random_step(rng, x, n)
            if not isinstance(n, np.ndarray):
                assert x == n, f"seed {seed}, trial {trial}: {trail}"
                break
            trail.append((x.shape, n.shape))
            where = f"seed {seed}, trial {trial}: {trail}"
            assert x.shape == n.shape, where
            view = np.asarray(x)
            assert np.array_equal(view, n), where
            for i, length in enumerate(n.shape):
                if length > 1 and n.size:
                    assert x.strides[i] == n.strides[i], where
            if n.size:
                at = view.__array_interface__["data"][0] - start
                assert 0 <= at < base.nbytes, where
