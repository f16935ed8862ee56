"""Arrays on devices, by the mapping table of names (PA-1): one test body runs with NumPy and with tenure.cuda.

A driver is needed, the simulated one or a real one: TENURE_TEST_DEVICE=sim|gpu makes its absence a failure.
"""

import copy
import os

import numpy as np
import pytest

import tenure
from tenure import Status, cuda

if not cuda.is_available():
    if os.environ.get("TENURE_TEST_DEVICE"):
        raise RuntimeError("TENURE_TEST_DEVICE is set, and there is no CUDA device")
    pytest.skip("there is no CUDA driver", allow_module_level=True)


def test_copies_in_an_order_stay_on_their_device():
    n = np.arange(6.0).reshape(2, 3)
    for device in ("cuda:0", "cuda_managed:0", "cuda_host"):
        x = tenure.empty((2, 3), device=device)
        x[...] = n
        for order in "CF":
            y = x.copy(order)
            assert y.device == device and y.strides == n.copy(order).strides and y.tolist() == n.tolist()
            assert x.flatten(order).device == device and x.flatten(order).tolist() == n.flatten(order).tolist()
    with cuda.stream() as s:
        assert x.copy("F", stream=s).tolist() == n.tolist()


def test_bfloat16_on_devices():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    m = np.arange(4, dtype=ml_dtypes.bfloat16)
    d = cuda.to_device(m)
    assert d.dtype is tenure.bfloat16 and d.tolist() == [0, 1, 2, 3] and (d == d).all() and d.astype("float32")[3] == 3
    host = np.zeros(4, ml_dtypes.bfloat16)
    assert d.copy_to_host(host) is host and host[3] == 3
    p = cuda.pinned_array(4, "bfloat16")
    with p.write() as view:
        view[...] = m
    assert tenure.array_equal(p, d)


@pytest.fixture(scope="module", autouse=True)
def pools():
    """Makes objects that stay after their first use, before a test checks for leaks."""
    cuda.to_device(np.zeros(300000)).copy_to_host()
    for made in (
        cuda.pinned_array(3),
        cuda.managed_array(3),
        cuda.managed_array(3, attach_global=False),
        cuda.mapped_array(3),
        cuda.mapped_array(3, portable=True, wc=True),
    ):
        made.release()
    cuda.stream().synchronize()


KINDS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
KINDS += ["complex64", "complex128"]


def placed(text, device="cuda:0"):
    """The repr of a host array turned into that of a device array: the device follows, on the next line where there is no room."""
    last = text[text.rfind("\n") + 1 : -1]
    gap = " " if len(f"{last}, device='{device}')") <= 75 else "\n" + " " * len("tenure.array(")
    return f"{text[:-1]},{gap}device='{device}')"


def numbers(*shape, dtype="float64"):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


# AR-60: the positions of Numba's functions, called as its users do
def test_positions_of_numba():
    s = cuda.stream()
    d = cuda.device_array((2, 3), np.int32, None, "F", s)
    assert d.strides == (4, 8) and d.is_f_contiguous() and not d.is_c_contiguous()
    assert cuda.device_array((2, 3), np.int32, (12, 4), "C", 0).is_c_contiguous()
    assert cuda.device_array((2, 3), np.int32, (4, 8)).strides == (4, 8)
    assert cuda.device_array(5, "u2", 2).strides == (2,) and cuda.device_array((), "f4", ()).shape == ()
    assert cuda.device_array((1, 3), "f4", (99, 4)).strides == (12, 4) and cuda.device_array((0, 3), "f4", (1, 1)).size == 0
    assert cuda.device_array(4, tenure.bfloat16, (2,)).nbytes == 8
    assert cuda.device_array_like(d, s).is_f_contiguous()
    assert cuda.pinned_array((2, 3), np.float32, None, "F").strides == (4, 8)
    assert cuda.pinned_array((2, 3), np.float32, (12, 4), "C").is_c_contiguous()
    assert cuda.pinned_array_like(np.zeros((2, 3), order="F")).is_f_contiguous()
    assert cuda.mapped_array((2, 3), np.float32, None, "F", s, True, True).flags.write_combined
    assert cuda.mapped_array_like(np.zeros(3), s, True, True).flags.mapped
    assert cuda.managed_array((2, 3), np.float32, None, "F", s, False).strides == (4, 8)
    assert cuda.to_device(np.arange(3.0), s, True, None).shape == (3,)
    s.synchronize()
    with pytest.raises(TypeError, match="pass order='F'"):
        cuda.device_array((2, 3), "f4", "F")
    with pytest.raises(ValueError, match="neither C nor F order"):
        cuda.pinned_array((2, 3), "f4", (24, 4))
    with pytest.raises(ValueError, match="1 entries, and the shape 2 axes"):
        cuda.managed_array((2, 3), "f4", (24,))
    for wrong in (5, "fast"):
        with pytest.raises(TypeError, match="stream must be a tenure.cuda.Stream or None, not .*external_stream"):
            cuda.device_array(3, stream=wrong)


# DV, PA: Numba's names for devices and for memory of other objects
def test_other_names_of_numba(capsys):
    assert len(cuda.gpus) == len(cuda.devices()) and [gpu.id for gpu in cuda.gpus] == list(range(len(cuda.gpus)))
    assert cuda.list_devices()[0].name == cuda.get_current_device().name and cuda.gpus.current.id == 0
    with pytest.raises(IndexError, match=f"there is no device {len(cuda.gpus)}"):
        cuda.gpus[len(cuda.gpus)]
    last = len(cuda.gpus) - 1
    with cuda.gpus[-1]:
        assert cuda.get_current_device().id == last and cuda.device_array(2).device == f"cuda:{last}"
    selected = cuda.select_device(last)
    assert cuda.gpus.current.id == last and cuda.device_array(2).device == f"cuda:{last}"
    selected.__exit__()
    assert cuda.get_current_device().id == 0
    assert cuda.detect() and capsys.readouterr().out.count("compute capability") == len(cuda.gpus)
    x = cuda.to_device(np.arange(6.0).reshape(2, 3))
    assert cuda.is_cuda_array(x) and not cuda.is_cuda_array(np.zeros(2))
    for y in (cuda.as_cuda_array(x), cuda.as_cuda_array(x, sync=False), cuda.from_cuda_array_interface(x.__cuda_array_interface__, owner=x)):
        assert y.overlap(x) == "exact"
        y.release()


# TR-30
def test_a_promise_moves_to_a_device(refused):
    there, here = tenure.Pool("cuda:0", name="there"), tenure.Pool(name="here")
    n = numbers(3, 4)
    s = cuda.stream()
    for stream in (None, s):
        x = tenure.array(n, pool=here, name="x")
        y = tenure.give(x, required=1).to_device("cuda:0", stream, pool=there)
        s.synchronize()
        refused(Status.DESTRUCTED, x.tolist)
        assert y.device == "cuda:0" and y.name == "x" and y.pool.name == "there" and y.tolist() == n.tolist()
        assert here.stats().live_blocks == 0 and there.stats().live_blocks == 1
        back = tenure.give(y, required=1).to_device("cpu", stream, name="back")
        assert back.device == ("cuda_host" if stream else "cpu") and back.name == "back" and back.tolist() == n.tolist()
        s.synchronize()
        assert there.stats().live_blocks == 0
    # It is there already: no copy.
    x = cuda.to_device(n)
    with x.read() as view:
        address = view.pointer
    y = tenure.give(x, required=1).to_device("cuda:0")
    with y.read() as view:
        assert view.pointer == address
    # A failure leaves the promise.
    x = tenure.array(n)
    p = tenure.give(x, required=1)
    refused(Status.DEVICE, p.to_device, "cuda:40")
    refused(Status.GIVEN, x.tolist)
    with pytest.raises(ValueError):
        p.to_device("nowhere")
    p.cancel()
    assert x.tolist() == n.tolist()
    kind, text = refused(Status.DESTRUCTED, p.to_device, "cuda:0")
    assert "array float64 (3, 4)" in text
    # One promise of two variables gets a copy, and the giver keeps its array.
    z = x
    y = tenure.give(x).to_device("cuda:0")
    assert z.tolist() == y.tolist() == n.tolist()


# PN-20
def test_the_address_for_kernels(refused):
    s = cuda.stream()
    mapped, plain = cuda.mapped_array(10), cuda.pinned_array(10)
    managed, there = cuda.managed_array(10), cuda.device_array(10)
    combined = cuda.mapped_array(10, wc=True)
    for x in (mapped, managed, there, combined):
        for write in (False, True):
            with x.on(s, write=write) as view:
                assert view.pointer and view.nbytes == 80
                if x is there:
                    refused(Status.UNSUPPORTED, lambda: view.host_pointer)
                else:
                    assert view.host_pointer
                    assert (view.host_pointer == view.pointer) or x is combined or x is mapped
    for write in (False, True):
        with plain.on(s, write=write) as view:
            kind, text = refused(Status.UNSUPPORTED, lambda: view.pointer)
            assert "mapped_array" in text and view.host_pointer and hex(view.host_pointer) in repr(view)
    with tenure.empty(0, device="cuda:0").on(s) as view:
        assert view.pointer == 0 and view.host_pointer == 0
    s.synchronize()
    d = cuda.to_device(numbers(6))
    with d.split_write(2) as (a, b):
        assert a.pointer and b.pointer - a.pointer == 24


def test_owner_of_an_array_in_use(refused):
    pool = tenure.Pool("cuda_managed:0", name="busy")
    x = tenure.zeros(4, pool=pool)
    s = cuda.stream()
    with x.on(s, write=True):
        assert 'in pool "busy"' in str(tenure.owner_of(x))
    assert tenure.owner_of(x).pool_name == "busy"
    s.synchronize()


def test_device_array():
    for shape, order in (((2, 3), "C"), ((2, 3), "F"), ((), "C"), ((0, 4), "C"), (5, "C")):
        d, n = cuda.device_array(shape, "int32", None, order), np.empty(shape, "int32", order)
        assert d.shape == n.shape and d.dtype == n.dtype and d.device == "cuda:0"
        if n.size:
            assert d.strides == n.strides
    assert cuda.device_array(3).dtype == np.float64
    with pytest.raises(TypeError):
        cuda.device_array(2.5)
    with pytest.raises(ValueError):
        cuda.device_array(-1)


# A pool or target in the wrong memory is refused, and nothing is made elsewhere.
def test_pools_and_targets_of_other_memory():
    with pytest.raises(ValueError, match="memory is on cpu"):
        cuda.device_array(3, pool=tenure.Pool(name="host"))
    assert cuda.device_array(3, pool=tenure.Pool("cuda:0", name="there")).device == "cuda:0"
    with pytest.raises(TypeError, match="to must be a tenure.Array, not ndarray"):
        cuda.to_device(np.zeros(3), to=np.zeros(3))


def test_device_array_like():
    for n in (np.zeros((2, 3, 4), "f4", "F"), numbers(4, 6)[::2].T, np.zeros(3, "c16"), np.zeros((0, 2))):
        like, mine = np.empty_like(n), cuda.device_array_like(n)
        assert mine.shape == like.shape and mine.dtype == like.dtype and mine.device == "cuda:0"
    again = cuda.device_array_like(cuda.device_array((3, 2), "u2", None, "F"))
    assert again.shape == (3, 2) and again.dtype == np.uint16 and again.flags.f_contiguous and again.device == "cuda:0"


# to_device(a, stream, copy, to) and d.copy_to_host(ary, stream): strided and negative strides, on both sides
@pytest.mark.parametrize("dtype", KINDS)
def test_round_trip_to_the_device(dtype):
    n = numbers(6, 8, dtype=dtype)
    for view in (n, n.T, n[::2], n[:, ::-3], n[::-1, 1:5], n[2], n[3, 4], n[:0]):
        d = cuda.to_device(view)
        assert d.device == "cuda:0" and d.shape == view.shape and d.dtype == view.dtype
        back = d.copy_to_host()
        assert isinstance(back, tenure.Array) and back.device == "cpu"
        assert np.array_equal(back, view)
        into = np.zeros(tuple(2 * length for length in view.shape), dtype)[tuple(slice(None, None, -2) for _ in view.shape)]
        if view.ndim:
            assert d.copy_to_host(into) is into and np.array_equal(into, view)


def test_to_device_into():
    n, d = numbers(4, 5), cuda.device_array((4, 5))
    assert cuda.to_device(n, to=d) is d and np.array_equal(d.copy_to_host(), n)
    cuda.to_device(n[::-1], to=d[::-1])
    assert np.array_equal(d.copy_to_host(), n)
    with pytest.raises(ValueError):
        cuda.to_device(n, copy=False)
    with pytest.raises(ValueError):
        cuda.to_device(n[1:], to=d)
    with pytest.raises(TypeError):
        cuda.to_device(n.astype("f4"), to=d)
    for object in ([1.5, 2.5], 7, [[1, 2], [3, 4]], tenure.array([1.0, 2.0])):
        assert np.array_equal(cuda.to_device(object).copy_to_host(), np.asarray(object))


def test_copy_to_host_refuses_a_target_that_does_not_fit(refused):
    d = cuda.to_device(numbers(3, 4))
    refused(Status.SHAPE, d.copy_to_host, np.empty((4, 3)))
    refused(Status.DTYPE, d.copy_to_host, np.empty((3, 4), "f4"))
    readonly = np.empty((3, 4))
    readonly.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        d.copy_to_host(readonly)


# d.copy_to_device(x, stream)
def test_copy_to_device():
    n = numbers(4, 6)
    d, e = cuda.to_device(np.zeros((4, 6))), cuda.device_array((4, 6), order="F")
    d.copy_to_device(n[::-1])
    e.copy_to_device(d)
    assert np.array_equal(e.copy_to_host(), n[::-1]) and np.array_equal(d.copy_to_host(), n[::-1])
    d[:, ::2].copy_to_device(n[:, ::2])
    expected = n[::-1].copy()
    expected[:, ::2] = n[:, ::2]
    assert np.array_equal(d.copy_to_host(), expected)


# d[...], d[...] = x; a full index gives a Python scalar (PA-5)
def test_indexing():
    n = numbers(4, 6, 3)
    d = cuda.to_device(n)
    for key in (1, -1, slice(1, 3), (slice(None), 2), (..., 0), (None, 1), (slice(None, None, -2), slice(4, 0, -1)), (1, 2)):
        assert np.array_equal(d[key].copy_to_host(), n[key])
    assert d[1, 2, 0] == n[1, 2, 0] and type(d[1, 2, 0]) is float
    assert d[-1, -1, -1] == n[-1, -1, -1]
    with pytest.raises(IndexError):
        d[4]
    with pytest.raises(IndexError):
        d[0, 0, 3]


@pytest.mark.parametrize("dtype", KINDS)
def test_one_element(dtype):
    n = numbers(5, dtype=dtype)
    d = cuda.to_device(n)
    assert d[3] == n[3] and type(d[3]) is type(n[3].item())
    d[2] = 1
    n[2] = 1
    assert np.array_equal(d.copy_to_host(), n)
    assert d[1:2].item() == n[1].item() and float(abs(d[1])) == float(abs(n[1]))


def test_one_element_that_does_not_fit():
    d = cuda.to_device(np.zeros(3, "u1"))
    with pytest.raises(OverflowError):
        d[0] = 256
    assert d[0] == 0


def test_assignment():
    n = numbers(4, 6)
    d = cuda.to_device(n)

    def both(key, value):
        n[key] = value if not isinstance(value, tenure.Array) else np.asarray(value.copy_to_host())
        d[key] = value
        assert np.array_equal(d.copy_to_host(), n)

    both(slice(None), 7)
    both((slice(None), slice(None, None, 2)), 3.5)
    both(1, numbers(6))
    both((slice(1, 3), slice(None, None, -1)), numbers(2, 6))
    both(..., numbers(4, 1))
    both(2, [1, 2, 3, 4, 5, 6])
    both((slice(0, 2), 3), cuda.to_device(numbers(2)))
    both((slice(None), 0), cuda.to_device(np.array([5.0])))
    both(3, cuda.to_device(numbers(6, dtype="i4")))
    with pytest.raises(ValueError):
        d[0] = numbers(5)


# reshape, ravel, T, transpose, squeeze, view: views, whatever Numba does
def test_views():
    n = numbers(4, 6)
    d = cuda.to_device(n)
    same = {
        "reshape": lambda a: a.reshape(3, 8),
        "reshape -1": lambda a: a.reshape(2, -1, 2),
        "ravel": lambda a: a.ravel(),
        "T": lambda a: a.T,
        "transpose": lambda a: a.transpose(1, 0),
        "squeeze": lambda a: a[:1].squeeze(),
        "view": lambda a: a.view("i8"),
        "reversed": lambda a: a[::-1, ::-2].T,
    }
    for name, view in same.items():
        assert np.array_equal(view(d).copy_to_host(), view(n)), name
    with pytest.raises(ValueError):
        d.T.reshape(24)
    three = cuda.to_device(numbers(2, 3, 4))
    assert np.array_equal(three.transpose(2, 0, 1).copy_to_host(), numbers(2, 3, 4).transpose(2, 0, 1))
    d.T[0, 0] = -1
    assert d[0, 0] == -1


# d.split(n) as Numba, d.chunks(n, axis), np.array_split
def test_parts():
    n = numbers(10, 3)
    d = cuda.to_device(n)
    for mine, theirs in (
        (d.split(4), [n[0:4], n[4:8], n[8:]]),
        (d.chunks(2, axis=1), [n[:, :2], n[:, 2:]]),
        (d.array_split(3), np.array_split(n, 3)),
        (d.array_split(2, axis=1), np.array_split(n, 2, axis=1)),
    ):
        assert len(mine) == len(theirs)
        assert all(np.array_equal(a.copy_to_host(), b) for a, b in zip(mine, theirs))


# a.view(), clone, copy, zero, fill: views and clones see changes
def test_fill_and_zero():
    for dtype in KINDS:
        n = numbers(6, 8, dtype=dtype)
        d = cuda.to_device(n)
        twin = d.clone()
        d[1::2, ::-3].fill(1)
        n[1::2, ::-3] = 1
        assert np.array_equal(twin.copy_to_host(), n)
        d.T[2].zero()
        n.T[2] = 0
        assert np.array_equal(twin.copy_to_host(), n)
    copied = d.copy()
    d.zero()
    assert np.array_equal(copied.copy_to_host(), n) and copied.device == "cuda:0"
    with pytest.raises(tenure.OwnershipError):
        d.fill(1, mode="unique")
    d.fill(1, mode="cow")
    assert not twin.copy_to_host().to_numpy().any() and d[0, 0] == 1
    assert np.array_equal(copy.deepcopy(d).copy_to_host(), d.copy_to_host())


def test_gaps_stay_untouched():
    n = np.full((8, 8), -1.0)
    d = cuda.to_device(n)
    d[1:7:2, 1:7:3] = numbers(3, 2)
    n[1:7:2, 1:7:3] = numbers(3, 2)
    assert np.array_equal(d.copy_to_host(), n)


# zeros ones full empty (_like) with device= or pool=
def test_creation():
    for function in ("zeros", "ones"):
        mine = getattr(tenure, function)((2, 3), "i4", device="cuda:0")
        assert mine.device == "cuda:0" and np.array_equal(mine.copy_to_host(), getattr(np, function)((2, 3), "i4"))
        like = getattr(tenure, function + "_like")(mine)
        assert like.device == "cuda:0" and np.array_equal(like.copy_to_host(), mine.copy_to_host())
    assert tenure.full(5, 2.5, device="cuda").tolist() == [2.5] * 5
    assert tenure.full_like(mine, 7).copy_to_host()[0, 0] == 7
    assert tenure.zeros_like(mine, "f4").device == "cuda:0"
    assert tenure.empty_like(np.zeros(3), device="cuda:0").device == "cuda:0"
    assert tenure.array([1, 2], device="cuda:0").tolist() == [1, 2]
    assert tenure.array(mine, "f8").device == "cpu"
    with pytest.raises(ValueError):
        tenure.zeros(3, device="gpu")
    with pytest.raises(tenure.ArgumentError):
        tenure.zeros(3, device="cuda:99")


# NumPy computes on the host only. The message names the call that makes a copy there.
def test_operators_on_memory_of_a_gpu_are_refused():
    n = numbers(3, 4)
    d, x = cuda.to_device(n), tenure.ones((3, 4))
    for call in (
        lambda: d + 1,
        lambda: n - d,
        lambda: x * d,
        lambda: d.sum(),
        lambda: np.sqrt(d),
        lambda: np.add(x, 1, out=d),
        lambda: np.add.at(d, [0], 1),
        lambda: np.copyto(d, x),
        lambda: d.__iadd__(1),
    ):
        with pytest.raises(TypeError, match=r"on cuda:0, and NumPy computes on the host only; x.copy_to_host\(\)"):
            call()
    with pytest.raises(BufferError, match=r'copy it with x.to_device\("cpu"\) first'):
        np.concatenate([d, d])
    assert (d.copy_to_host() + 1).tolist() == (n + 1).tolist() and (d == n).all() and x.sum() == 12
    assert d.item(1, 2) == n.item(1, 2) == d.item(6) and d.tobytes() == n.tobytes()
    assert d.swapaxes(0, 1).copy_to_host().tolist() == n.T.tolist()
    with d.on(cuda.stream(), write=True):
        pass


def test_operators_on_memory_that_host_and_gpu_share():
    for x in (cuda.pinned_array(3), cuda.managed_array(3), cuda.mapped_array(3)):
        x[...] = 2
        x += 1
        y = x * 2
        assert x.tolist() == [3] * 3 and y.tolist() == [6] * 3 and y.device == "cpu" and x.sum() == 9
    for order, device in (("C", "cuda:0"), ("F", "cuda:0"), ("F", "cuda_host")):
        made = tenure.eye(3, 4, 1, "float32", order, device=device)
        assert made.device == device and made.tolist() == np.eye(3, 4, 1).tolist()
    assert tenure.arange(3, device="cuda:0").tolist() == [0, 1, 2]
    assert tenure.linspace(0, 1, 3, device="cuda:0").tolist() == [0, 0.5, 1]


# PA-5: str, repr, len, iteration, bool, comparisons, through the host
def test_day_one_basics():
    n = numbers(3, 4)
    d = cuda.to_device(n)
    assert len(d) == 3 and [row.tolist() for row in d] == n.tolist() and list(cuda.to_device(numbers(3))) == [0, 1, 2]
    assert str(d) == str(n) and repr(d) == placed(repr(tenure.array(n)))
    assert isinstance(d == n, tenure.Array) and (d == n).all() and (d == d.T.T).all() and (d < 5).sum() == 5
    assert bool(cuda.to_device(np.ones(1))) and float(cuda.to_device(np.array(2.5))) == 2.5
    assert 5.0 in d and 50.0 not in d
    assert d.astype("i4").copy_to_host().tolist() == n.astype("i4").tolist()
    assert tenure.array_equal(d, n) and tenure.allclose(d, n + 1e-12)
    assert d.tolist() == n.tolist()


@pytest.mark.parametrize("shape", [(2000,), (40, 50), (3, 30, 20), (5, 6, 50), (2000, 1), (7, 7, 7, 7)])
@pytest.mark.parametrize("dtype", ["float64", "int16", "complex64", "bool"])
def test_abbreviated_arrays_copy_what_is_shown(shape, dtype):
    n = numbers(*shape, dtype=dtype)
    d = cuda.to_device(n)
    before = cuda.devices()[0].to_host_bytes
    assert str(d) == str(n)
    assert repr(d) == placed(repr(tenure.array(n)))
    assert cuda.devices()[0].to_host_bytes - before <= 2 * 6 ** len(shape) * n.itemsize


def test_what_cannot_be_read_prints_its_state():
    d = cuda.to_device(numbers(3))
    with d.write():
        assert repr(d).startswith("<borrowed array float64 (3,)")
    promise = tenure.give(d, required=1)
    assert repr(d).startswith("<given")
    promise.cancel()
    d.release()
    assert repr(d) == "<released array>"


# PA-2: protocols of memory that the host can touch
@pytest.mark.parametrize("make", [cuda.pinned_array, cuda.mapped_array, cuda.managed_array])
def test_host_side_of_pinned_mapped_managed(make):
    x = make((2, 3), "f4")
    x.zero()
    view = np.asarray(x)
    view[0, 1] = 5
    assert x[0, 1] == 5 and np.shares_memory(view, np.asarray(x)) and not x.is_unique
    assert np.from_dlpack(x)[0, 1] == 5 and memoryview(x)[0, 1] == 5
    del view
    d = cuda.to_device(x)
    d[1] = 7
    x.copy_from(d)
    assert x.tolist() == [[0, 5, 0], [7, 7, 7]]


def test_labels_and_flags():
    assert cuda.pinned_array(3).device == "cuda_host" and cuda.pinned_array(3).flags.pinned
    assert cuda.zeros_pinned((2, 2), "i4").tolist() == [[0, 0], [0, 0]]
    like = cuda.pinned_array_like(np.zeros((3, 4), "i2", "F"))
    assert like.shape == (3, 4) and like.dtype == np.int16 and like.flags.f_contiguous and like.device == "cuda_host"
    mapped = cuda.mapped_array(3, portable=True, wc=True)
    assert mapped.flags.mapped and mapped.flags.write_combined
    assert cuda.mapped_array_like(np.zeros(3)).flags.mapped
    assert cuda.managed_array(3).device == "cuda_managed:0"


# with cuda.pinned(*arrays), with cuda.mapped(*arrays): repeatable, also after an exception
def test_pinned_and_mapped_blocks():
    n, m = numbers(100, 3), numbers(50)
    for _ in range(20):
        with cuda.pinned(n, m):
            assert cuda.to_device(n).copy_to_host()[99, 2] == 299
        with pytest.raises(KeyError), cuda.pinned(n):
            raise KeyError
        with pytest.raises(tenure.ArgumentError), cuda.pinned(n, n):
            raise AssertionError("the second one overlaps the first")
    with cuda.mapped(n, m) as (a, b):
        assert a.shape == n.shape and a.dtype == n.dtype and a.flags.mapped and np.array_equal(a, n) and b.shape == (50,)
        a[0, 0] = -5
    assert n[0, 0] == -5
    with cuda.mapped(np.asfortranarray(n)) as a:
        assert np.array_equal(a, n)
    with pytest.raises(ValueError), cuda.mapped(n[:, 1]):
        raise AssertionError("has gaps")
    with cuda.pinned(n[:, 1], tenure.zeros(1000)):
        pass


def test_managed():
    x = cuda.managed_array(1000, "i4")
    x.fill(3)
    for advice in ("read_mostly", "preferred", "accessed_by"):
        cuda.advise(x, advice)
        cuda.advise(x, "unset_" + advice)
    with pytest.raises(ValueError):
        x.advise("often")
    s = cuda.stream()
    cuda.prefetch(x, stream=s)
    cuda.prefetch(x, "cpu")
    s.synchronize()
    assert x[999] == 3


# with pool: per device
def test_pools(refused):
    pool = tenure.Pool("cuda:0", name="step", max_size=64 << 20)
    assert pool.device == "cuda:0"
    with pool:
        a = cuda.device_array(1000, name="K")
        b = tenure.zeros(3)
        assert tenure.current_pool("cuda:0").handle != tenure.default_pool("cuda:0").handle
    assert a.pool.stats().live_blocks == 1 and pool.stats().live_blocks == 1 and b.device == "cpu"
    assert cuda.device_array(3).pool.name != "step"
    kind, text = refused(Status.POOL_LIMIT, cuda.device_array, 16 << 20, pool=pool)
    assert issubclass(kind, MemoryError) and "step" in text
    held = cuda.memory_info().held
    assert 0 < held <= cuda.memory_info().used <= cuda.memory_info().total
    a.release()
    assert pool.trim() > 0 and cuda.memory_info().held < held


def test_borrows_of_device_memory(refused):
    d = cuda.to_device(numbers(3, 4))
    with d.read() as view:
        assert isinstance(view, tenure.DeviceView) and view.pointer and view.readonly and view.nbytes == 96
        assert (view.shape, view.strides, view.dtype, view.device) == ((3, 4), (32, 8), np.float64, "cuda:0")
        refused(Status.BORROWED, d.fill, 0)
    with tenure.access(read=d[0], write=d[1]) as (a, b):
        assert b.pointer - a.pointer == 32 and not b.readonly
    with pytest.raises(BufferError):
        memoryview(d)
    with d.split_write(2) as parts:
        assert [part.shape for part in parts] == [(2, 4), (1, 4)]
    with pytest.raises(RuntimeError), d.write():
        raise RuntimeError
    refused(Status.POISONED, d.copy_to_host)
    d.zero()
    assert d[0, 0] == 0


def test_the_statuses_of_a_device(refused):
    refused(Status.DEVICE, cuda.device_array, 3, device=99)
    refused(Status.DEVICE, cuda.memory_info, 99)
    with pytest.raises(TypeError):
        cuda.device_array(3, device=1.5)
    with pytest.raises(TypeError):
        cuda.to_device(np.zeros(3), stream="fast")
    d = cuda.to_device(np.zeros(3))
    refused(Status.UNSUPPORTED, d.advise, "preferred")
    refused(Status.NO_DEVICE_MEMORY, cuda.device_array, 1 << 50, "u1")
