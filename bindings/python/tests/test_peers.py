"""The behaviour of each library that exchanges arrays with Tenure (DL-60, DL-61); a missing library is skipped."""

import gc
import itertools
import os
import queue
import subprocess
import sys
import textwrap
import threading
import weakref

import numpy as np
import pytest

import tenure
from tenure import HolderKind, Status, Why


@pytest.fixture
def torch():
    return __import__("torch")  # where it is missing these tests are left out: see conftest.py


@pytest.fixture
def jax():
    return pytest.importorskip("jax")


@pytest.fixture
def pyarrow():
    return pytest.importorskip("pyarrow")


class Spy:
    """Forwards a consumer's calls, and records them."""

    def __init__(self, array):
        self.array = array
        self.calls = []

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, *args, **options):
        assert args == ()
        self.calls.append(options)
        return self.array.__dlpack__(**options)


# DL-60: how the libraries call `__dlpack__`
def test_how_numpy_calls():
    spy = Spy(tenure.zeros(3))
    np.from_dlpack(spy)
    assert spy.calls == [{"dl_device": None, "copy": None, "max_version": (1, 0)}]
    spy.calls.clear()
    np.from_dlpack(spy, device="cpu", copy=False)
    assert spy.calls == [{"dl_device": (1, 0), "copy": False, "max_version": (1, 0)}]


def test_how_torch_calls(torch):
    spy = Spy(tenure.zeros(3))
    torch.from_dlpack(spy)
    assert spy.calls == [{"max_version": (1, 0)}]
    spy.calls.clear()
    n = torch.from_dlpack(spy, copy=True)
    assert spy.calls[0]["copy"] is True and spy.array.why_not() == 0
    n[0] = 1
    assert spy.array[0] == 0


def test_how_jax_calls(jax):
    spy = Spy(tenure.zeros(3))
    jax.dlpack.from_dlpack(spy)
    assert spy.calls == [{"stream": None}]


# DL-60: arrays from the libraries
def test_imports_from_numpy():
    n = np.arange(3.0)
    n.flags.writeable = False
    assert tenure.from_dlpack(n).flags.readonly
    with pytest.raises(BufferError):  # only the struct with a version can say read-only
        n.__dlpack__()
    with pytest.raises(RuntimeError):
        n.__dlpack__(stream=1)
    for wrong in (np.zeros(3, ">f8"), np.zeros(3, "M8[s]"), np.zeros(3, [("a", "f4")])):
        with pytest.raises(BufferError):
            tenure.from_dlpack(wrong)


def test_imports_from_torch(torch):
    assert hasattr(torch.Tensor, "__dlpack_c_exchange_api__")
    t = torch.zeros((2, 3))
    x = tenure.from_dlpack(t)
    x[1, 2] = 5
    assert t[1, 2] == 5 and not x.flags.readonly
    t[0, 0] = 7
    assert x[0, 0] == 7
    assert tenure.from_dlpack(t.T).strides == (4, 12) and tenure.from_dlpack(t.expand(4, 2, 3)).flags.readonly
    # tensors whose memory does not hold their values are refused, also where the exchange table would not refuse
    for state in (
        torch.zeros(3, requires_grad=True),
        torch.zeros(3, dtype=torch.complex64).conj(),
        torch.zeros(3, dtype=torch.complex64).conj().imag,
    ):
        with pytest.raises(BufferError):
            tenure.from_dlpack(state)
    with pytest.raises((RuntimeError, BufferError)):
        tenure.from_dlpack(torch.zeros(3).to_sparse())
    with pytest.raises(ValueError):
        tenure.from_dlpack(torch.zeros(3, device="meta"))
    with pytest.raises(BufferError):
        tenure.from_dlpack(torch.zeros(3, dtype=torch.float8_e4m3fn))
    reader = getattr(torch.utils.dlpack, "ReadOnlyTensorWrapper", None)
    if reader is not None:  # since 2.15
        y = tenure.from_dlpack(reader(t))
        assert y.flags.readonly and y[1, 2] == 5


def test_imports_from_jax(jax):
    j = jax.numpy.arange(6.0).reshape(2, 3)
    x = tenure.from_dlpack(j)
    assert x.flags.readonly and x.flags.foreign and x.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tenure.asarray(jax.numpy.ones(3, "bfloat16")).dtype is tenure.bfloat16
    with pytest.raises(BufferError):
        tenure.from_dlpack(jax.numpy.ones(3, "float8_e4m3fn"))


def test_imports_from_pyarrow(pyarrow):
    x = tenure.from_dlpack(pyarrow.array([1.5, 2.5, 3.5]))
    assert x.flags.readonly and x.tolist() == [1.5, 2.5, 3.5]
    for wrong in (pyarrow.array([1, None]), pyarrow.array([True]), pyarrow.array(["a"]), pyarrow.array([[1]])):
        with pytest.raises(TypeError):
            tenure.from_dlpack(wrong)


# DL-11: JAX arrays never change, so writes are refused
def test_to_jax(jax, refused):
    x = tenure.zeros((4, 6), name="held")
    j = tenure.to_jax(x)
    assert j.unsafe_buffer_pointer() == tenure.owner_of(x).address
    assert [h.kind for h in x.why_not().holders] == [HolderKind.EXPORT_READ]
    refused(Status.EXPORTED, x.fill, 1)
    assert x[0, 0] == 0
    del j
    x.fill(1)
    assert float(jax.numpy.sum(tenure.to_jax(x.T))) == 24
    for strange in (x[::-1], x[:, ::2], x.broadcast_to(2, 4, 6)):
        with pytest.raises(RuntimeError):
            tenure.to_jax(strange)
    del strange
    assert x.why_not() == 0
    j = tenure.to_jax(x, copy=True)
    assert j.unsafe_buffer_pointer() != tenure.owner_of(x).address and x.why_not() == 0 and j.shape == (4, 6)
    # by itself it gets a shared view: it cannot request another class
    j = jax.dlpack.from_dlpack(x)
    assert [h.kind for h in x.why_not().holders] == [HolderKind.EXPORT_SHARED]
    x.fill(2)
    del j
    # DL-60: not a multiple of 64
    odd = tenure.zeros(100)[2:]
    j = tenure.to_jax(odd)
    assert j.shape == (98,) and j.unsafe_buffer_pointer() != tenure.owner_of(odd).address + 16
    with pytest.raises(ValueError, match="aligned"):
        tenure.to_jax(odd, copy=False)
    assert odd.why_not() == 0
    with pytest.raises(TypeError):
        tenure.to_jax(np.zeros(3))


def test_jax_never_narrows_silently(jax):
    jax.config.update("jax_enable_x64", False)
    try:
        for name in ("int64", "uint64", "float64", "complex128"):
            with pytest.raises(BufferError, match="jax_enable_x64"):
                tenure.to_jax(tenure.zeros(3, name))
        assert tenure.to_jax(tenure.zeros(3, "float32")).dtype == np.float32
    finally:
        jax.config.update("jax_enable_x64", True)


# DL-11, XC-3: torch ignores the flag
def test_to_torch(torch, refused):
    x = tenure.zeros((2, 3))
    t = tenure.to_torch(x)
    t[0, 1] = 4
    x[1, 1] = 5
    assert x[0, 1] == 4 and t[1, 1] == 5 and x.why_not() == Why.EXPORTED
    del t
    readonly = tenure.from_dlpack(x.readonly)
    for strict in (readonly, x.broadcast_to(4, 2, 3)):
        kind, text = refused(Status.READONLY, tenure.to_torch, strict)
        assert issubclass(kind, BufferError)
        t = tenure.to_torch(strict, reads=True)
        refused(Status.EXPORTED, x.fill, 1)
        del t
    refused(Status.READONLY, tenure.to_torch, x.readonly)
    t = tenure.to_torch(x, True)
    refused(Status.EXPORTED, x.fill, 1)
    del t
    x.fill(1)
    # DL-7
    with pytest.raises(RuntimeError):
        tenure.to_torch(x[::-1])
    assert torch.from_dlpack(np.from_dlpack(x[::-1], copy=True).copy()).shape == (2, 3)
    assert torch.from_dlpack(x[::-1], copy=True).tolist() == [[1, 1, 1]] * 2
    assert tenure.to_torch(tenure.zeros(3, "bfloat16")).dtype is torch.bfloat16
    del readonly, strict
    assert x.why_not() == 0


# ---- lifetimes


class Elsewhere:
    """A thread that drops the objects it gets."""

    def __init__(self):
        self.work, self.done = queue.SimpleQueue(), queue.SimpleQueue()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while (box := self.work.get()) is not None:
            box.clear()
            self.done.put(True)

    def drop(self, box):
        self.work.put(box)
        self.done.get()


def through_torch():
    import torch

    return torch.from_dlpack, tenure.from_dlpack


def through_jax():
    pytest.importorskip("jax")
    return tenure.to_jax, tenure.from_dlpack


def through_numpy():
    return np.from_dlpack, tenure.from_dlpack


def through_buffers():
    return memoryview, tenure.from_buffer


def through_arrow():
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.py_buffer, tenure.from_buffer


CHAINS = [pytest.param(through_torch, marks=pytest.mark.needs("torch")), through_jax, through_numpy, through_buffers, through_arrow]


def chain(start, out, back):
    """Five objects on the same bytes: NumPy, Tenure, another library, Tenure, NumPy; or beginning with Tenure."""
    if start == "numpy":
        first = np.zeros(256 + 8)
        first = first[-first.ctypes.data % 64 // 8 :][:256]  # where JAX does not copy
        ours = (tenure.from_buffer if back is tenure.from_buffer else tenure.from_dlpack)(first)
        others = out(ours)
        again = back(others)
        return [first, ours, others, again, np.asarray(again)]
    first = tenure.zeros(256)
    others = out(first)
    again = back(others)
    return [first, others, again, np.asarray(again), again[1:]]


def address(x):
    return x.ctypes.data if isinstance(x, np.ndarray) else np.asarray(x).ctypes.data


@pytest.mark.parametrize("start", ["numpy", "tenure"])
@pytest.mark.parametrize("through", CHAINS)
def test_round_trips_keep_everything(start, through):
    """DL-27, DL-28, DL-61: one pointer, and one store that counts both."""
    objects = chain(start, *through())
    ours = [x for x in objects if isinstance(x, tenure.Array)]
    assert address(objects[0]) == address(ours[0]) == address(ours[1]) == address(objects[3])
    assert ours[0].why_not() & Why.SHARED and ours[1].why_not() & Why.SHARED
    assert tenure.owner_of(ours[0]).address == tenure.owner_of(ours[1]).address
    if through is not through_jax:  # whose arrays never change
        first, last = ours[0], ours[1]
        if through is not through_arrow:
            first[3] = 5
            assert last[3] == 5 and objects[3][3] == 5
            assert objects[0][3] == 5
    if through in (through_torch, through_numpy):
        others = objects[2 if start == "numpy" else 1]
        others[4] = 6
        objects[3][5] = 7
        for x in objects[:4]:
            assert (float(x[4]), float(x[5])) == (6, 7)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "other thread"])
@pytest.mark.parametrize("start", ["numpy", "tenure"])
@pytest.mark.parametrize("through", CHAINS)
def test_every_order_of_dropping(start, through, elsewhere):
    """DL-61: 120 orders; every export's release ran, and the first owner's memory is free."""
    out, back = through()
    other = Elsewhere()
    pool = tenure.Pool(name="orders")
    before = len(tenure.leaks())
    for order in itertools.permutations(range(5)):
        with pool:
            objects = chain(start, out, back)
        dead = weakref.ref(objects[0]) if start == "numpy" else None
        boxes = [[x] for x in objects]
        del objects
        for turn, i in enumerate(order):
            # The remaining objects still have the bytes.
            if elsewhere and turn % 2 == 0:
                other.drop(boxes[i])
            else:
                boxes[i].clear()
        if through is through_jax:
            gc.collect(0)  # JAX releases deferred arrays then
        assert dead is None or dead() is None, order
        assert len(tenure.leaks()) == before, (order, tenure.leaks())
        assert pool.stats().live_blocks == 0, order
    other.work.put(None)


# XC-4, DL-12, PY-9: objects of every library are alive when the interpreter ends
def test_the_end_of_the_interpreter_with_every_library():
    code = """
        import os
        os.environ["JAX_PLATFORMS"] = "cpu"
        import numpy, threading, tenure
        keep = []
        def both_ways(name, out, back=tenure.from_dlpack):
            x = tenure.zeros(1000, "float32", name=name)
            theirs = out(x)
            keep.append((x, theirs, back(theirs), x.__dlpack__(), x.readonly))
            tenure.zeros(3).release()
        both_ways("numpy", numpy.from_dlpack)
        both_ways("memoryview", memoryview, tenure.from_buffer)
        try:
            import torch
            both_ways("torch", torch.from_dlpack)
            keep.append(tenure.from_dlpack(torch.zeros(1000)))
        except ImportError:
            pass
        try:
            import jax
            both_ways("jax", tenure.to_jax)
            keep.append(tenure.from_dlpack(jax.numpy.zeros(1000)))
        except ImportError:
            pass
        try:
            import pyarrow
            both_ways("pyarrow", pyarrow.py_buffer, tenure.from_buffer)
            keep.append(tenure.from_dlpack(pyarrow.array([1.0])))
        except ImportError:
            pass
        started = threading.Event()
        def forever():
            mine = [tenure.from_dlpack(numpy.zeros(10)) for _ in range(10)]
            while True:
                mine.append(tenure.from_dlpack(numpy.from_dlpack(tenure.zeros(10))))
                del mine[:1]
                started.set()
        threading.Thread(target=forever, daemon=True).start()
        started.wait()
        print("end")
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=1200, env=dict(os.environ)
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
