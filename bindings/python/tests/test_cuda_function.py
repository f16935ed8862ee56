"""Functions on device arrays: bodies that launch kernels on streams, as PyCUDA does (FN-37).

A driver is needed, the simulated one or a real one: TENURE_TEST_DEVICE=sim|gpu makes its absence a failure. The kernel is a Python function
that the simulated driver runs.
"""

import contextlib
import ctypes

import numpy as np
import pytest
from test_cuda_streams import by_hand, driver, numbers, only_simulated, pools, released_later, standing  # noqa: F401

import tenure
from tenure import Crossing, In, Out, Status, Update, Why, cuda

ALIAS = Crossing("aliased", Why(0))
KERNEL = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))


@KERNEL
def add(_launch, arguments):
    """z = x + y for float64, on the simulated device."""
    n = ctypes.c_uint64.from_address(arguments[3]).value
    views = []
    for k in range(3):
        address = ctypes.c_uint64.from_address(arguments[k]).value
        place = driver.tenure_sim_bytes(ctypes.c_uint64(address), ctypes.c_size_t(8 * n), 0)
        views.append(np.ctypeslib.as_array((ctypes.c_double * n).from_address(place)))
    np.add(views[0], views[1], out=views[2])
    return 0


@pytest.fixture(scope="module")
def launch():
    """Launches `add` on a stream, as PyCUDA's `function(x, y, z, n, stream=s)`."""
    driver.tenure_sim_bytes.restype = ctypes.c_void_p
    sizes = (ctypes.c_size_t * 4)(8, 8, 8, 8)
    assert driver.tenure_sim_register_kernel(b"add", add, sizes, 4, 0) == 0
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    by_hand("cuModuleLoadData", ctypes.byref(module), b"image")
    by_hand("cuModuleGetFunction", ctypes.byref(function), module, b"add")

    def launch(x, y, z, stream):
        with x.on(stream) as a, contextlib.ExitStack() as reads, z.on(stream, write=True) as c:
            b = c if y is z else reads.enter_context(y.on(stream))
            values = [ctypes.c_uint64(v) for v in (a.pointer, b.pointer, c.pointer, a.shape[0])]
            pointers = (ctypes.c_void_p * 4)(*(ctypes.addressof(value) for value in values))
            by_hand("cuLaunchKernel", function, *[1] * 6, 0, ctypes.c_void_p(stream.native), pointers, None)

    yield launch
    by_hand("cuModuleUnload", module)


@only_simulated
def test_a_kernel_in_a_body(launch):
    s = cuda.stream()
    w = tenure.shared(np.zeros(100), device="cuda:0", name="w")

    def body(x, w):
        y = cuda.device_array(100)
        launch(x, w, y, s)
        return y, y

    step = tenure.function(body, [In("x", device="cuda:0")], Out(device="cpu"), {w: None}, shared=[w])
    x = numbers(100)
    for k in (1, 2, 3):
        y = step(x)
        assert y.device == "cpu" and y.tolist() == w.get_value().tolist() == (k * x).tolist()
    assert step.crossings[:2] == ({"x": Crossing("copied", Why.DEVICE)}, [Crossing("copied", Why.DEVICE)])
    d = cuda.to_device(x)
    step(d)
    assert step.crossings.inputs == {"x": ALIAS} and w.version == 5 and w.device == "cuda:0" and w.home == "cpu"


# FN-37: the values are ordered after the stream on which the body ended its guards
@only_simulated
def test_values_are_ordered_by_streams(launch, refused):
    s, t = cuda.stream(), cuda.stream()
    d, zero = cuda.to_device(numbers(100)), cuda.to_device(np.zeros(100))
    w = tenure.shared(zero, name="w")

    def body(x, w):
        y = cuda.device_array(100)
        launch(x, w, y, s)
        return y

    step = tenure.function(body, ["x"], Out(borrow=True), {w: lambda x, w: body(x, w)}, shared=[w])
    with standing(s):
        y = step(d)
        assert w.version == 2 and step.crossings[:2] == ({"x": ALIAS}, [ALIAS])
        value = w.get_value(raw=True, borrow=True)
        for made in (y, value):
            refused(Status.PENDING, made.read(wait=False).__enter__)
        with t:
            later = y.copy(stream=t)  # waits on the device
    assert y.tolist() == value.tolist() == later.tolist() == w.get_value().tolist() == numbers(100).tolist()


# FN-14 on a device: the kernel changes the value in place
@only_simulated
def test_a_kernel_updates_in_place(launch):
    s = cuda.stream()
    d = cuda.to_device(numbers(100))
    w = tenure.shared(np.ones(100), device="cuda:0", name="w")
    place = tenure.owner_of(w.get_value(raw=True, borrow=True)).address
    step = tenure.function(None, ["x"], (), [Update(w, lambda x, w: launch(x, w, w, s), mutable=True)], shared=[w])
    step(d)
    assert tenure.owner_of(w.get_value(raw=True, borrow=True)).address == place
    assert w.get_value().tolist() == (numbers(100) + 1).tolist() and w.version == 2


# In(raw=True): the body gets the argument where it is; without it, on the declared device
def test_devices(refused):
    where = []
    body = lambda x: where.append(x.device)
    d, n = cuda.to_device(np.ones(3)), np.ones(3)
    for value in (d, n):
        tenure.function(body, [In("x", device="cpu")], [])(value)
        tenure.function(body, ["x"], [])(value)
        tenure.function(body, [In("x", device="cpu", raw=True)], [])(value)
    assert where == ["cpu", "cuda:0", "cuda:0", "cpu", "cpu", "cpu"]
    refused(Status.WOULD_COPY, tenure.function(body, [In("x", device="cuda:0", require_borrow=True)], []), n)
    refused(Status.DEVICE, tenure.function(body, [In("x", device="cuda:0", strict=True)], []), n)
    assert tenure.function(lambda x: x + 1, ["x"], Out(device="cuda:0"))(n).device == "cuda:0"
    assert tenure.function(lambda x: x, [In("x", borrow=True)], Out(device="cpu", raw=True))(d).device == "cuda:0"
    given = tenure.function(lambda x: x, [In("x", take=True)])
    assert given(tenure.give(d)).device == "cuda:0"


# A host argument that is copied and has unfinished device work: the call waits for it, and the body runs once
@only_simulated
def test_pending_arguments():
    s = cuda.stream()
    d = cuda.to_device(numbers(100))
    runs = []
    step = tenure.function(lambda x: (runs.append(1), x + 1)[1], [In("x", mutable=True)])
    with released_later(s) as turns:
        x = d.copy_to_host(stream=s)
        other = x.clone()
        assert step(x).tolist() == (numbers(100) + 1).tolist() and runs == [1] and len(turns) == 20
    assert step.crossings.inputs == {"x": Crossing("copied", Why.SHARED)} and other[99] == 99
