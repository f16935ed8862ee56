"""PA-1: one test body, run with NumPy and with tenure, for each line of the comparison table that needs no device.

Where the names differ, `xp` below has NumPy's answer under tenure's name.
"""

import os
import types

import numpy as np
import pytest

import tenure


def _open_npy(path, mode="r"):
    return np.load(path, mmap_mode=mode)


def _save_npy(path, array):
    np.save(path, array)


def _asarray(x):
    return x


numpy = types.SimpleNamespace(
    **{name: getattr(np, name) for name in "empty zeros ones full empty_like zeros_like ones_like full_like".split()},
    array=np.array,
    array_equal=np.array_equal,
    allclose=np.allclose,
    open_npy=_open_npy,
    save_npy=_save_npy,
    array_split=np.array_split,
    broadcast_to=np.broadcast_to,
    expand=np.expand_dims,
    chunks=lambda x, n, axis=0: np.split(x, range(n, x.shape[axis], n), axis),
    copy_from=np.copyto,
    clone=lambda x: x.view(),
    zero=lambda x: x.fill(0),
)

ours = types.SimpleNamespace(
    **{name: getattr(tenure, name) for name in vars(numpy) if hasattr(tenure, name)},
    array_split=lambda x, n, axis=0: x.array_split(n, axis),
    broadcast_to=lambda x, shape: x.broadcast_to(shape),
    expand=lambda x, axis: x.expand(axis),
    chunks=lambda x, n, axis=0: x.chunks(n, axis),
    copy_from=lambda x, source: x.copy_from(source),
    clone=lambda x: x.clone(),
    zero=lambda x: x.zero(),
)

BODIES = []


def line(body):
    BODIES.append(body)
    return body


def cube(xp, dtype=None):
    return xp.array([[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], [[0, -1, -2, -3], [4, 4, 4, 4], [7, 8, 9, 1]]], dtype)


@line
def makers(xp, tmp_path):
    for shape in ((), 3, (2, 3), (0, 4)):
        for dtype in (float, "int16", np.complex64, bool):
            for x in (xp.zeros(shape, dtype), xp.ones(shape, dtype), xp.full(shape, 1, dtype)):
                yield x
                yield xp.zeros_like(x)
                yield xp.ones_like(x)
                yield xp.full_like(x, 1)
            yield xp.empty(shape, dtype).shape
            yield xp.empty_like(xp.empty(shape, dtype)).dtype
    yield xp.zeros((2, 3), order="F").strides
    yield xp.empty_like(xp.zeros((2, 3), order="F")).strides


@line
def array_of_anything(xp, tmp_path):
    for thing in (3, 2.5, True, 1j, [1, 2], [[1.0], [2.0]], [], np.arange(3)[::-1]):
        yield xp.array(thing)
    yield xp.array([1, 2], "float32")
    yield xp.array([[1, 2], [3]])


@line
def conversions(xp, tmp_path):
    x = cube(xp)
    for dtype in ("float32", "int8", bool, complex):
        yield x.astype(dtype)
    yield xp.array_equal(x, cube(xp)), xp.array_equal(x, x.astype(float)), xp.array_equal(x, [1])
    yield xp.allclose(x, x.astype(float) + 1e-12 if xp is numpy else xp.array(np.asarray(x) + 1e-12))
    yield float(xp.array(2.5)), int(xp.array(7)), bool(xp.array(0)), complex(xp.array(1j))


@line
def shapes(xp, tmp_path):
    x = cube(xp)
    yield x.reshape(6, 4)
    yield x.reshape((4, -1))
    yield x.reshape(2, 3, 2, 2)
    yield x.ravel()
    yield x.T
    yield x.transpose(1, 2, 0)
    yield x.reshape(2, 1, 12).squeeze()
    yield x.reshape(2, 1, 12).squeeze(1)
    yield xp.expand(x, 1)
    yield xp.broadcast_to(x, (5, 2, 3, 4))
    yield x.T.strides, x.strides, x.ndim, x.size, x.itemsize, x.nbytes
    yield x.reshape(5, 5)


@line
def views(xp, tmp_path):
    x = cube(xp, "int32")
    yield x.view("int16")
    yield x.view("uint8")
    yield x.view()
    for y in (x.view(), xp.clone(x), x.reshape(24), x[:, ::-1], x.T):
        y[0] = 5
        yield x
    z = x.copy()
    z.fill(0)
    yield x
    xp.zero(x)
    yield x


@line
def indexing(xp, tmp_path):
    x = cube(xp)
    for key in (np.s_[0], np.s_[-1], np.s_[1, 2], np.s_[:, 1], np.s_[..., 0], np.s_[::-1, 1:, ::2], np.s_[1, 2, 3], np.s_[5:], np.s_[2]):
        yield x[key]
    x[1, 2, 3] = 100
    yield x
    x[0] = 7
    x[:, 1] = [1, 2, 3, 4]
    x[..., ::2] = x[..., 1::2].copy()
    yield x
    x[1, 2, 4] = 0


@line
def splitting(xp, tmp_path):
    x = cube(xp)
    for parts in (1, 2, 3, 5):
        yield from xp.array_split(x, parts, 1)
        yield from xp.chunks(x, parts, 2)


@line
def copies(xp, tmp_path):
    x, y = cube(xp), xp.zeros((2, 3, 4), int)
    xp.copy_from(y, x)
    yield y
    xp.copy_from(y[:, ::-1], x)
    yield y
    yield x[:, :, ::2].copy().strides
    yield xp.array(x).strides


@line
def texts_and_loops(xp, tmp_path):
    x = cube(xp)
    yield str(x), len(x), [row.tolist() for row in x], x.tolist(), xp.array(4).item()
    yield str(xp.zeros(2000)), str(xp.array(2.5)), str(x[0, 0])
    yield [4 in x, 1000 in x]
    yield len(xp.array(1))


@line
def comparisons(xp, tmp_path):
    x = cube(xp)
    for answer in (x == 4, x != 4, x < 4, x <= x, x > 4, x >= 9, x == cube(xp)):
        yield np.asarray(answer)
    yield bool(x)


@line
def files(xp, tmp_path):
    path = tmp_path / "x.npy"
    x = cube(xp, "float32")
    xp.save_npy(path, x)
    for mode in ("r", "c", "r+", None):
        y = xp.open_npy(path, mode)
        yield y
        if mode != "r":
            y[0, 0, 0] = 50
        del y
    yield xp.open_npy(path)
    yield os.path.getsize(path)
    yield xp.open_npy(tmp_path / "missing.npy")


def outcome(body, xp, tmp_path):
    """The values that a body yields, as NumPy's, and the exception that ends it."""
    tmp_path.mkdir()
    seen = []
    try:
        for value in body(xp, tmp_path):
            values = value if isinstance(value, tuple) and not any(isinstance(v, int) for v in value) else (value,)
            for v in values:
                # A full index gives a scalar: NumPy's there, Python's here (PA-5).
                if isinstance(v, np.generic):
                    v = v.item()
                # Copied at once: it may change later.
                if isinstance(v, (np.ndarray, tenure.Array)):
                    n = np.array(v)
                    v = (n.dtype, n.shape, n.tolist())
                seen.append(v)
    except Exception as error:
        seen.append(next(kind for kind in (IndexError, TypeError, ValueError, OSError) if isinstance(error, kind)))
    return seen


# PA-1
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
def test_bodies_agree_with_numpy(body, tmp_path):
    theirs, mine = outcome(body, numpy, tmp_path / "numpy"), outcome(body, ours, tmp_path / "tenure")
    assert len(theirs) == len(mine)
    for at, (wanted, got) in enumerate(zip(theirs, mine)):
        assert wanted == got, f"{body.__name__}, value {at}"
