"""Whole arrays: creation, properties, printing, comparison."""

import copy
import gc
import weakref

import numpy as np
import pytest

import tenure
from tenure import Status

TYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()


@pytest.mark.parametrize("name", TYPES)
def test_element_types_equal_numpys(name):
    x = tenure.zeros((2, 3), name)
    n = np.zeros((2, 3), name)
    assert x.dtype is n.dtype or x.dtype == n.dtype
    assert (x.shape, x.strides, x.ndim, x.size, x.nbytes, x.itemsize) == (
        n.shape,
        n.strides,
        n.ndim,
        n.size,
        n.nbytes,
        n.itemsize,
    )
    assert np.array_equal(np.asarray(x), n)
    assert repr(x) == "tenure." + repr(n).replace("\n", "\n       ")
    assert np.asarray(x).dtype.num == n.dtype.num


# AR-1, AR-2, AR-3
@pytest.mark.parametrize("shape", [(), 5, (3, 4), (0, 3), (2, 0, 3), (1, 1), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_shapes_and_orders(shape, order):
    x, n = tenure.empty(shape, "float32", order), np.empty(shape, "float32", order)
    assert x.shape == n.shape and x.size == n.size and x.nbytes == n.nbytes
    assert x.flags.c_contiguous == n.flags.c_contiguous
    assert x.flags["F"] == n.flags["F"]
    if n.size:
        assert x.strides == n.strides
    assert x.flags.writeable and x.flags.aligned and not x.flags.foreign
    assert x.device == "cpu"


@pytest.mark.parametrize("dtype", [None, float, int, bool, complex, "f4", np.float32, np.dtype("u2"), "longlong"])
def test_types_are_spelled_as_for_numpy(dtype):
    assert tenure.empty(3, dtype).dtype == np.empty(3, dtype).dtype


@pytest.mark.parametrize("dtype", [object, "U3", "M8[s]", ">f8", np.dtype([("a", int)]), np.longdouble])
def test_other_types_are_a_type_error(dtype):
    with pytest.raises(TypeError):
        tenure.empty(3, dtype)


# AR-9, AR-10, AR-11
def test_bad_shapes():
    for shape, error in [((-1,), ValueError), ((2.5,), TypeError), ("ab", TypeError), ((1,) * 65, ValueError)]:
        with pytest.raises(error):
            tenure.empty(shape)
    with pytest.raises(ValueError):
        tenure.empty((2**40, 2**40))
    with pytest.raises(MemoryError):
        tenure.empty((2**62,), "u1")
    with pytest.raises(ValueError):
        tenure.empty(3, order="K")
    with pytest.raises(ValueError):
        tenure.empty(3, name="a\0b")


def test_ones_full_and_like():
    assert np.array_equal(tenure.ones((2, 2), "int16"), np.ones((2, 2), "int16"))
    assert np.array_equal(tenure.full((2, 2), 1.5), np.full((2, 2), 1.5))
    assert tenure.full(3, 7).dtype == np.full(3, 7).dtype
    assert tenure.full(3, True).dtype == bool
    f = tenure.empty((3, 4), "float32", "F")
    assert tenure.empty_like(f).strides == np.empty_like(np.asarray(f)).strides == (4, 12)
    assert tenure.empty_like(f, order="K").strides == (4, 12)
    assert tenure.empty_like(f, order="C").strides == (16, 4)
    assert tenure.empty_like(np.empty((3, 4), order="F")).strides == (8, 24)
    assert np.array_equal(tenure.zeros_like(np.ones((2, 2), "i2")), np.zeros((2, 2), "i2"))
    assert tenure.ones_like(f, dtype="int8").dtype == np.int8 and tenure.ones_like(f, dtype="int8").strides == (1, 3)
    assert np.array_equal(tenure.full_like(f, 2), np.full((3, 4), 2, "float32"))


# AR-8
def test_names():
    x = tenure.empty(3, name="weights")
    assert x.name == "weights"
    x.name = "größe"
    assert x.name == "größe"
    assert x[1:].name == "" and x.clone().name == "größe"
    x.name = None
    assert x.name == ""


# PA-4
@pytest.mark.parametrize(
    "object",
    [
        [1, 2, 3],
        [[1.0, 2], [3, 4]],
        7,
        2.5,
        True,
        1 + 2j,
        [],
        [[]],
        (1, 2),
        range(5),
        np.arange(12).reshape(3, 4).T,
        np.arange(10)[::-2],
        np.arange(4, dtype=">i4"),
        np.float32(3),
        np.broadcast_to(np.arange(3), (2, 3)),
    ],
)
def test_array_takes_what_numpy_takes(object):
    n = np.array(object)
    x = tenure.array(object)
    assert x.dtype == n.dtype.newbyteorder("=") and x.shape == n.shape
    assert x.flags.c_contiguous
    assert np.array_equal(np.asarray(x), n)
    assert tenure.array(object, dtype="complex64").dtype == np.complex64


# PA-4
def test_array_refuses_objects_without_an_element_type():
    with pytest.raises(ValueError):
        tenure.array([[1, 2], [3]])
    with pytest.raises(TypeError):
        tenure.array([object()])
    with pytest.raises(TypeError):
        tenure.array(["a", "b"])


def test_array_of_an_array_is_a_copy():
    x = tenure.array([1, 2, 3])
    y = tenure.array(x)
    y[0] = 9
    assert x.tolist() == [1, 2, 3] and y.tolist() == [9, 2, 3]
    assert tenure.asarray(x) is x
    assert tenure.asarray(x, "float32").dtype == np.float32


# PA-5
def test_one_element():
    assert len(tenure.zeros((3, 2))) == 3
    with pytest.raises(TypeError):
        len(tenure.zeros(()))
    assert float(tenure.full((1, 1), 2.5)) == 2.5
    assert int(tenure.full((), 7)) == 7
    assert complex(tenure.full(1, 1 + 2j)) == 1 + 2j
    assert not tenure.zeros(1) and tenure.ones(())
    assert [10, 20, 30][tenure.full((), 2)] == 30
    with pytest.raises(TypeError):
        [1][tenure.full(1, 0)]
    for ask in (bool, float, int, lambda x: x.item()):
        with pytest.raises(ValueError):
            ask(tenure.zeros(2))
    with pytest.raises(ValueError):
        bool(tenure.zeros(0))


# PA-5
def test_iteration():
    x = tenure.array([[1, 2], [3, 4]])
    rows = list(x)
    assert [r.tolist() for r in rows] == [[1, 2], [3, 4]]
    rows[0][0] = 9
    assert x[0, 0] == 9
    assert list(tenure.array([1.5, 2.5])) == [1.5, 2.5] and type(next(iter(tenure.array([1.5])))) is float
    assert list(reversed(tenure.array([1, 2, 3]))) == [3, 2, 1]
    assert 3 in x and 7 not in x
    with pytest.raises(TypeError):
        iter(tenure.zeros(()))


# PA-5
def test_comparisons_are_numpys():
    x, n = tenure.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    for result, expected in [
        (x == 2, n == 2),
        (x != n, n != n),
        (x < [2, 2, 2], n < [2, 2, 2]),
        (x >= tenure.array([3.0, 2.0, 1.0]), n >= n[::-1]),
        (n == x, n == n),
        (x == "a", n == "a"),
    ]:
        assert type(result) is tenure.Array and result.dtype == bool and np.array_equal(result, expected)
    with pytest.raises(TypeError):
        hash(x)
    assert tenure.array_equal(x, n) and tenure.allclose(x, n + 1e-12) and not tenure.array_equal(x, n[:2])


# PA-5
@pytest.mark.parametrize(
    "n",
    [
        np.arange(6.0).reshape(2, 3) / 7,
        np.arange(3000),
        np.arange(4000.0).reshape(40, 100),
        np.array([True, False]),
        np.array(2.5),
        np.array([], "float32"),
        np.array([[1 + 2j]]),
        np.arange(24, dtype="int8").reshape(2, 3, 4),
    ],
)
def test_printing_is_numpys(n):
    x = tenure.array(n)
    assert str(x) == str(n)
    theirs, ours = repr(n), repr(x)
    assert ours.startswith("tenure.array(")
    # The tokens are equal; lines may break elsewhere, because Tenure's begin seven columns later.
    assert ours.replace("tenure.", "").split() == theirs.split()
    lines = ours.split("\n")
    assert all(len(line) <= 75 for line in lines)
    assert all(line.startswith(" " * len("tenure.array(")) for line in lines[1:] if line)


# PA-5, PY-6, PY-9: an array that cannot be read prints its type and state, and never raises
def test_printing_of_arrays_that_cannot_be_read():
    x = tenure.zeros((2, 3), name="K")
    with x.write():
        assert 'borrowed array float64 (2, 3) "K"' in repr(x) and "borrowed" in str(x)
    with x.read() as view:
        assert repr(x).startswith("tenure.array(")
        del view
    with pytest.raises(RuntimeError):
        with x.write():
            raise RuntimeError
    assert repr(x).startswith('<poisoned array float64 (2, 3) "K"')
    x.zero()
    n = np.asarray(x.exclusive)
    assert repr(x).startswith('<exported array float64 (2, 3) "K"')
    del n
    promise = tenure.give(x)
    assert repr(x).startswith('<given array float64 (2, 3) "K"')
    taken = tenure.take(promise)
    assert repr(x).startswith("<destructed array (given away") and str(x) == repr(x)
    taken.release()
    assert repr(taken) == "<released array>" == str(taken)
    y = tenure.zeros(3)
    other = tenure.from_handle(y.detach())
    assert repr(y) == "<detached array>" and other.tolist() == [0, 0, 0]


# PY-9
def test_release_is_the_end_of_the_object():
    x = tenure.zeros(3)
    x.release()
    x.release()
    for use in (
        lambda: x.shape,
        lambda: x[0],
        lambda: np.asarray(x),
        x.clone,
        lambda: x.handle,
        lambda: len(x),
        x.detach,
    ):
        with pytest.raises(tenure.OwnershipError) as caught:
            use()
        assert caught.value.status == Status.STALE
    with tenure.zeros(3) as y:
        assert y.tolist() == [0, 0, 0]
    assert repr(y) == "<released array>"


# PY-9
def test_collection_releases():
    pool = tenure.Pool()
    x = tenure.empty(1000, pool=pool)
    dead = weakref.ref(x)
    assert dead() is x and pool.stats().live_blocks == 1
    del x
    assert dead() is None and pool.stats().live_blocks == 0

    class Node:
        pass

    node = Node()
    node.self, node.array = node, tenure.empty(1000, pool=pool)
    del node
    assert pool.stats().live_blocks == 1
    gc.collect()
    assert pool.stats().live_blocks == 0


def test_copies_clones_and_types():
    x = tenure.array(np.arange(6.0).reshape(2, 3))
    clone, copied = x.clone(), x.copy(name="c")
    x[0, 0] = 7
    assert clone[0, 0] == 7 and copied[0, 0] == 0 and copied.name == "c"
    assert copy.deepcopy(x).tolist() == x.tolist()
    assert copy.copy(x).overlap(x) == copy.deepcopy(x).overlap(x) == "none"
    assert copy.copy(x).tolist() == x.tolist() and x.clone().overlap(x) == "exact"
    assert x.T.copy().flags.f_contiguous  # AR-22
    assert x[:, ::2].copy().flags.c_contiguous
    assert x.astype("int32").tolist() == [[7, 1, 2], [3, 4, 5]]
    y = tenure.empty((2, 3))
    y.copy_from(x)
    assert tenure.array_equal(x, y)


# TR-1
def test_copy_from_refuses(refused):
    x = tenure.zeros((2, 3))
    refused(Status.DTYPE, x.copy_from, tenure.zeros((2, 3), "float32"))
    refused(Status.SHAPE, x.copy_from, tenure.zeros((3, 2)))
    refused(Status.READONLY, tenure.zeros(1).broadcast_to(3).copy_from, tenure.zeros(3))
    with pytest.raises(TypeError, match=r"not ndarray; x\[\.\.\.\] = source"):
        x.copy_from(np.zeros((2, 3)))


def test_messages_advise_with_pythons_names():
    """Advice about C functions is given with Python's names."""
    x = tenure.zeros((2, 3))
    y = x.clone()
    with x.read(), pytest.raises(tenure.OwnershipError, match='or use mode="cow"$'):
        y.fill(1)
    with pytest.raises(tenure.ArgumentError, match=r"use x\.copy\(\"C\"\) first$"):
        x.T.reshape(6)


def test_fill_and_zero(refused):
    x = tenure.empty((2, 3), "int16")
    x.fill(-3)
    assert x.tolist() == [[-3] * 3] * 2
    view = x[:, 1:]
    view.zero()
    assert x.tolist() == [[-3, 0, 0]] * 2
    with pytest.raises(OverflowError):
        x.fill(40000)
    refused(Status.SHARED, x.fill, 1, "unique")  # TR-17
    x.fill(5, mode="cow")
    assert view.tolist() == [[0, 0]] * 2 and x.tolist() == [[5] * 3] * 2
    view.fill(1, tenure.UNIQUE)
    with pytest.raises(ValueError):
        x.fill(1, "sometimes")
    refused(Status.INVALID, x.fill, 1, tenure.UNIQUE | tenure.COW)  # BR-17


def test_bfloat16():
    x = tenure.zeros(3, tenure.bfloat16)
    x[0], x[1], x[2] = 1.5, -2, 3.140625
    assert x.dtype is tenure.bfloat16 and x.itemsize == 2 and "bfloat16" in repr(x)
    assert [x[i] for i in range(3)] == [1.5, -2.0, 3.140625]
    assert x.view("uint16").tolist() == [0x3FC0, 0xC000, 0x4049]
    with pytest.raises(BufferError):  # CA-25
        memoryview(x)
    with pytest.raises(OverflowError):
        x[0] = 1e39
    x[0] = float("nan")
    assert x[0] != x[0]
