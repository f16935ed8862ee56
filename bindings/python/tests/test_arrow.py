"""Arrow in both directions, against pyarrow (CA-30 to CA-35)."""

import gc
import itertools
import threading

import numpy as np
import pytest

import tenure
from tenure import Status

pa = pytest.importorskip("pyarrow")

NUMBERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()


def address(x):
    return np.asarray(x).__array_interface__["data"][0]


def values_at(a):
    """Address of the elements of a pyarrow array of numbers, or of lists of them."""
    while pa.types.is_fixed_size_list(a.type):
        a = a.values
    return a.buffers()[1].address + a.offset * a.type.bit_width // 8


# CA-30, CA-35
@pytest.mark.parametrize("name", NUMBERS)
def test_a_round_trip_copies_nothing(name):
    x = tenure.array(np.arange(6), dtype=name)
    a = pa.array(x)
    assert a.type == pa.from_numpy_dtype(np.dtype(name)) and len(a) == 6 and a.null_count == 0
    assert values_at(a) == address(x.readonly)
    back = tenure.from_arrow(a, copy=False)
    assert back.dtype == x.dtype and back.flags.readonly and address(back) == values_at(a)
    assert np.array_equal(np.asarray(back), np.arange(6))


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (0, 3), (3, 0), (2, 1, 1, 2)])
def test_axes_are_lists_of_a_fixed_size(shape):
    n = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    x = tenure.array(n)
    a = pa.array(x)
    assert len(a) == shape[0] and a.type.list_size == shape[1]
    assert a.to_pylist() == n.tolist()
    a.validate(full=True)
    back = tenure.from_arrow(a)
    assert back.shape == shape and np.array_equal(np.asarray(back), n)
    if n.size:
        assert address(back) == address(x.readonly)


def test_no_axes_become_one_of_length_1():
    assert pa.array(tenure.array(7)).to_pylist() == [7]


def test_other_layouts_are_copied():
    n = np.arange(12).reshape(3, 4)
    x = tenure.array(n)
    for key in (np.s_[:, ::-1], np.s_[::2], np.s_[:, 1]):
        assert pa.array(x[key]).to_pylist() == n[key].tolist()
    assert pa.array(x.T).to_pylist() == n.T.tolist()
    assert any(site.function.startswith("tn_array_export_arrow") for site in tenure.copies())
    with tenure.no_copies(), pytest.raises(BufferError):
        x.T.__arrow_c_array__()


def test_proxies():
    x = tenure.ones(3)
    a = pa.array(x.readonly)
    assert values_at(a) == address(x.readonly)
    with pytest.raises(BufferError, match="readonly"):
        pa.array(x.exclusive)


# CA-31: Arrow data are immutable
def test_writes_are_refused_while_arrow_has_the_bytes(refused):
    x = tenure.array([1.0, 2.0])
    a = pa.array(x)
    refused(Status.EXPORTED, x.fill, 0)
    assert x.tolist() == [1, 2]
    del a
    gc.collect()
    x.fill(0)
    y = tenure.from_arrow(pa.array([1, 2]))
    refused(Status.READONLY, y.fill, 0)
    z = tenure.from_arrow(pa.array([1, 2]), copy=True)
    z.fill(7)
    assert z.tolist() == [7, 7]


def test_types_that_arrow_lacks():
    for dtype in ("bool", "complex64", "complex128", tenure.bfloat16):
        with pytest.raises(BufferError, match="view_dtype"):
            tenure.zeros(3, dtype).__arrow_c_array__()
    assert pa.array(tenure.zeros(3, "bool").view("uint8")).to_pylist() == [0, 0, 0]


# CA-33
def test_imports(refused):
    a = pa.array(range(10), pa.int32())
    x = tenure.from_arrow(a.slice(3, 4), copy=False)
    assert x.tolist() == [3, 4, 5, 6] and address(x) == values_at(a) + 12
    lists = pa.FixedSizeListArray.from_arrays(pa.array(range(12)), 3).slice(1, 2)
    assert np.asarray(tenure.from_arrow(lists, copy=False)).tolist() == [[3, 4, 5], [6, 7, 8]]
    # A slice without nulls of an array with some: pyarrow counts them on demand.
    assert tenure.from_arrow(pa.array([None, 1, 2]).slice(1)).tolist() == [1, 2]
    kind, text = refused(Status.UNSUPPORTED, tenure.from_arrow, pa.array([1, None]))
    assert issubclass(kind, NotImplementedError) and "1 nulls" in text
    for other in (
        pa.array([True, False]),
        pa.array(["a", "b"]),
        pa.array([[1], [2, 3]]),
        pa.array([{"a": 1}]),
        pa.array([None, None]),
        pa.array(["a", "a"]).dictionary_encode(),
        pa.array([1, 2], pa.timestamp("ns")),
        pa.array([b"1234"], pa.binary(4)),
        pa.record_batch({"a": [1]}),
    ):
        kind, _ = refused(Status.DTYPE, tenure.from_arrow, other)
        assert issubclass(kind, TypeError)
    for wrong, hint in ((pa.chunked_array([[1], [2]]), "combine_chunks"), ([1, 2], "__arrow_c_array__"), ((1, 2), "pair")):
        with pytest.raises(TypeError, match=hint):
            tenure.from_arrow(wrong)


def test_asarray(refused):
    a = pa.array([1.5, 2.5])
    assert address(tenure.asarray(a)) == values_at(a)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(range(6)), 2)
    assert address(tenure.asarray(lists)) == values_at(lists) and tenure.asarray(lists).shape == (3, 2)
    assert tenure.asarray(pa.array([True, False])).tolist() == [True, False]
    assert np.isnan(np.asarray(tenure.asarray(pa.array([1, None])))).tolist() == [False, True]


# CA-35
def test_capsules():
    x = tenure.zeros(3)
    schema, array = pair = x.__arrow_c_array__()
    assert '"arrow_schema"' in repr(schema) and '"arrow_array"' in repr(array)
    y = tenure.from_arrow(pair)
    with pytest.raises(ValueError, match="used"):
        tenure.from_arrow(pair)
    del y, pair, schema, array
    x.fill(1)  # unused and used capsules have let go
    x.__arrow_c_array__()
    x.fill(2)

    schema, device = x.__arrow_c_device_array__(None, later=None)
    assert '"arrow_device_array"' in repr(device)
    assert tenure.from_arrow((schema, device), copy=False).tolist() == [2, 2, 2]
    with pytest.raises(NotImplementedError, match="later"):
        x.__arrow_c_device_array__(later=1)
    del schema, device
    x.fill(3)

    class OnlyDevice:
        def __arrow_c_device_array__(self, requested_schema=None, **kwargs):
            return x.__arrow_c_device_array__(requested_schema)

    assert tenure.from_arrow(OnlyDevice()).tolist() == [3, 3, 3]
    assert tenure.asarray(OnlyDevice(), copy=True).tolist() == [3, 3, 3]
    assert pa.array(x).to_pylist() == [3, 3, 3]


# CA-34: copies and conversions of an object that NumPy does not know
def test_asarray_of_an_object_that_has_arrow_alone(refused):
    class OnlyArrow:
        def __init__(self, a):
            self.a = a

        def __arrow_c_array__(self, requested_schema=None):
            return self.a.__arrow_c_array__(requested_schema)

    a = pa.array([1, 2])
    for copy in (None, False):
        assert address(tenure.asarray(OnlyArrow(a), copy=copy)) == values_at(a)
    x = tenure.asarray(OnlyArrow(a), copy=True)
    assert x.tolist() == [1, 2] and x.dtype == np.int64 and address(x) != values_at(a)
    x[0] = 7
    y = tenure.asarray(OnlyArrow(a), "float32")
    assert y.tolist() == [1, 2] and y.dtype == np.float32
    with pytest.raises(ValueError, match="copy=False"):
        tenure.asarray(OnlyArrow(a), "float32", copy=False)
    # What has no array says so.
    for copy in (None, True):
        assert "1 null" in refused(Status.UNSUPPORTED, tenure.asarray, OnlyArrow(pa.array([1, None])), copy=copy)[1]
        refused(Status.DTYPE, tenure.asarray, OnlyArrow(pa.array(["text"])), copy=copy)


# CA-32, CA-35, XC-4: the bytes live until the last holder ends, in every order, on any thread
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_of_release(order):
    pool = tenure.Pool(name="arrow")
    x = tenure.array(np.arange(5.0), pool=pool)
    a = pa.array(x)
    y = tenure.from_arrow(a)
    b = pa.array(y)
    assert values_at(b) == values_at(a) == address(x.readonly)
    held = [x, a, y, b]
    del x, a, y, b
    for i, who in enumerate(order):
        thing, held[who] = held[who], None
        if i % 2:
            dropped = [thing]
            del thing
            thread = threading.Thread(target=dropped.clear)
            thread.start()
            thread.join()
        else:
            del thing
        gc.collect()
        for other in held:
            if isinstance(other, tenure.Array):
                assert other.tolist() == [0, 1, 2, 3, 4]
            elif other is not None:
                assert other.to_pylist() == [0, 1, 2, 3, 4]
    assert pool.stats().requested_bytes == 0
