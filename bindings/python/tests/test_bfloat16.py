"""bfloat16: the element type that NumPy itself lacks, with the package `ml_dtypes` and without it."""

import sys

import numpy as np
import pytest

import tenure
from tenure import Status, Why

ml_dtypes = pytest.importorskip("ml_dtypes")


@pytest.fixture(params=["with ml_dtypes", "without"])
def either(request, monkeypatch):
    if request.param == "without":
        monkeypatch.setitem(sys.modules, "ml_dtypes", None)


# PA-5: values are read as float32, which has them all
def test_values_are_read_without_a_numpy_type(either):
    x = tenure.array([1.0, -2.5, 3.0], tenure.bfloat16, name="b")
    assert (x == x).tolist() == [True] * 3 and (x < 0).tolist() == [False, True, False] and (x != 1).any()
    assert x.tolist() == [1.0, -2.5, 3.0] and type(x.tolist()[0]) is float
    assert -2.5 in x and 7 not in x and list(x) == x.tolist() and x[1] == -2.5
    assert x.astype("float32").tolist() == x.tolist() and x.astype("int64").tolist() == [1, -2, 3]
    assert tenure.array_equal(x, x.copy()) and tenure.allclose(x, [1, -2.5, 3])
    assert tenure.array(x).dtype is tenure.bfloat16 and tenure.array(x).tolist() == x.tolist()
    assert tenure.array(x.reshape(3, 1).T).tolist() == [x.tolist()]
    assert x.is_unique
    one = tenure.full((), 1.5, tenure.bfloat16)
    assert repr(one) == "tenure.array(1.5, dtype=bfloat16)" and str(one) == "1.5" and (one == 1.5).all()
    assert one.astype("float32").astype(tenure.bfloat16).shape == () and one.tolist() == 1.5


def test_values_are_written_without_a_numpy_type(either):
    x = tenure.zeros((2, 2), tenure.bfloat16)
    x[...] = [[1, 2], [3, 4]]
    assert x.tolist() == [[1, 2], [3, 4]]
    x[0] = np.array([5.0, 6.0])
    x[1] = tenure.array([7, 8])
    assert x.tolist() == [[5, 6], [7, 8]]
    y = tenure.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, np.inf, -np.inf, 3.4e38, 2.0**-133])
    rounded = y.astype(tenure.bfloat16)
    assert rounded.tolist() == [1.0, 1.0, 1 + 2**-6, np.inf, -np.inf, np.inf, 2.0**-133]
    nan = np.array([0x7F800001, 0xFFFFFFFF, 0x7FC00000], np.uint32).view(np.float32)
    assert np.isnan(tenure.array(nan).astype(tenure.bfloat16).tolist()).all()


# PY-7: a write reaches the array, or the block does not begin
def test_a_block_without_a_numpy_type_is_refused(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    x = tenure.zeros(3, tenure.bfloat16)
    for borrow in (x.write(), x.read(), x.split_write(2), tenure.access(write=x)):
        kind, text = refused(Status.DTYPE, borrow.__enter__)
        assert issubclass(kind, TypeError) and "ml_dtypes" in text and 'x.view("uint16")' in text
    with pytest.raises(tenure.DtypeError, match="ml_dtypes"):
        np.asarray(x)
    assert x.why_not() == 0 and x.tolist() == [0, 0, 0]
    with x.view("uint16").write() as bits:
        bits[:] = 0x3F80
    assert x.tolist() == [1, 1, 1]
    assert not hasattr(tenure.bfloat16, "dtype")


def test_blocks_have_views_of_ml_dtypes():
    x = tenure.zeros((2, 3), tenure.bfloat16, name="b")
    with x.write() as view:
        assert type(view) is np.ndarray and view.dtype == ml_dtypes.bfloat16 and view.shape == (2, 3)
        view[...] = 5
        view[0, 0] = 0.5
    assert x.tolist() == [[0.5, 5, 5], [5, 5, 5]] and "ended" in repr(view) and x.why_not() == 0
    with pytest.raises(tenure.OwnershipError):
        view[...] = 1
    with x.T.read() as view:
        assert view.shape == (3, 2) and view[0, 0] == 0.5 and not view.flags.writeable
    with x.split_write(2) as parts:
        parts[0][...] = 1
    with x.write() as view:
        for row in view:
            row += 1
    assert x.tolist() == [[2] * 3, [6] * 3] and x.why_not() == Why.EXPORTED
    del row, view
    assert x.why_not() == 0


# CA-21: as of the other types, a shared view that is counted once
def test_numpy_shares_the_bytes():
    x = tenure.zeros(3, tenure.bfloat16, name="b")
    n = np.asarray(x)
    n[1] = 2.5
    assert n.dtype == ml_dtypes.bfloat16 and x.tolist() == [0, 2.5, 0]
    (holder,) = x.why_not().holders
    assert x.why_not() == Why.EXPORTED and holder.name == "b"
    del n
    r = np.asarray(x.readonly)
    assert not r.flags.writeable and r[1] == 2.5
    del r
    assert x.is_unique and x.to_numpy().dtype == ml_dtypes.bfloat16
    assert np.array(x, copy=True)[1] == 2.5 and np.asarray(x, dtype="float32").tolist() == [0, 2.5, 0]


def test_arrays_of_ml_dtypes():
    m = np.arange(6, dtype=ml_dtypes.bfloat16).reshape(2, 3)
    x = tenure.asarray(m, copy=False)
    assert x.dtype is tenure.bfloat16 and x.tolist() == m.tolist()
    x[0, 0] = 9
    assert m[0, 0] == 9
    assert tenure.asarray(m.T, copy=False).strides == m.T.strides
    assert tenure.from_buffer(m)[0, 0] == 9 and tenure.from_buffer(m, writable=False).flags.readonly
    host = np.zeros((2, 3), ml_dtypes.bfloat16)
    assert x.copy_to_host(host) is host and host[0, 0] == 9
    y = tenure.array(m)
    y.fill(0)
    assert m[0, 0] == 9 and y.dtype is tenure.bfloat16
    x[...] = m[::-1].copy()
    assert x[0].tolist() == [3, 4, 5]
    for dtype in (ml_dtypes.bfloat16, np.dtype(ml_dtypes.bfloat16), "bfloat16"):
        assert tenure.empty(2, dtype).dtype is tenure.bfloat16 and tenure.bfloat16 == dtype
    assert tenure.bfloat16 != "float16" and tenure.bfloat16 != np.dtype("float16") and tenure.bfloat16 != 3
    assert (tenure.bfloat16 == tenure.zeros(1, name="bfloat16")) is not True
    assert (tenure.bfloat16 == np.zeros(3)) is not True
    assert np.dtype(tenure.bfloat16) == ml_dtypes.bfloat16
    with pytest.raises(TypeError, match="not supported"):
        tenure.empty(2, ml_dtypes.float8_e5m2)
