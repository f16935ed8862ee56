"""`__array_interface__`, which exists only where it was turned on (CA-29)."""

import gc

import numpy as np
import pytest

import tenure
from tenure import HolderKind, Status, Why


@pytest.fixture
def offered():
    tenure.set_array_interface(True)
    yield
    tenure.set_array_interface(False)


class Old:
    """An object that has only the interface, for a consumer."""

    def __init__(self, interface):
        self.__array_interface__ = interface


# CA-29: reading all attributes of an array must not export it
def test_it_is_not_offered():
    x = tenure.zeros(3)
    for object in (x, x.readonly, x.exclusive):
        assert not hasattr(object, "__array_interface__")
        with pytest.raises(AttributeError, match="set_array_interface"):
            object.__array_interface__
    assert x.why_not() == 0


# CA-1, CA-2, CA-29
def test_the_values(offered):
    x = tenure.array(np.arange(12, dtype="int16").reshape(3, 4))
    address = np.asarray(x).__array_interface__["data"][0]
    assert x.__array_interface__ == {
        "shape": (3, 4),
        "typestr": "<i2",
        "data": (address, False),
        "strides": None,
        "version": 3,
    }
    view = x[::-1, ::2]
    assert view.__array_interface__["strides"] == (-8, 4)
    assert view.__array_interface__["data"] == (address + 16, False)
    assert x.readonly.__array_interface__["data"] == (address, True)
    wide = x.broadcast_to(2, 3, 4)
    assert wide.__array_interface__["strides"] == (0, 8, 2) and wide.__array_interface__["data"] == (address, True)
    assert tenure.zeros((0, 3)).__array_interface__["data"] == (0, False)
    assert tenure.zeros(()).__array_interface__["shape"] == ()
    for name in "bool int8 uint16 int32 uint64 float16 float32 complex64 complex128".split():
        assert tenure.zeros(1, name).__array_interface__["typestr"] == np.dtype(name).str
    with pytest.raises(AttributeError, match="view"):  # CA-6
        tenure.zeros(1, "bfloat16").__array_interface__
    n = np.asarray(Old(view.__array_interface__))
    assert n.tolist() == [[8, 10], [4, 6], [0, 2]]
    n[0, 0] = 99
    assert x[2, 0] == 99
    n = np.asarray(Old(x.readonly.__array_interface__))
    assert not n.flags.writeable


# CA-5, CA-29: a reader may keep the address
def test_the_first_read_exports_the_array(offered, refused):
    x = tenure.zeros(3)
    assert hasattr(x, "__array_interface__")
    for _ in range(5):
        x.__array_interface__
    assert [h.kind for h in x.why_not().holders] == [HolderKind.EXPORT_SHARED]
    assert x.why_not() == Why.EXPORTED
    refused(Status.EXPORTED, x.fill, 1, "unique")
    x.fill(1)  # beside a shared view
    x.readonly.__array_interface__  # whatever the flag said
    x.fill(2)
    x.end_exports()
    assert x.why_not() == 0
    x.end_exports()
    # the bytes stay as long as the handle; a copy-on-write moves the handle, and both places stay exported
    y = x.clone()
    first = x.__array_interface__["data"][0]
    with x.write("cow") as view:
        view[:] = 5
    second = x.__array_interface__["data"][0]
    assert first != second and y.tolist() == [2, 2, 2] and np.asarray(Old({**x.__array_interface__}))[0] == 5
    assert y.why_not() & Why.EXPORTED and x.why_not() & Why.EXPORTED
    x.release()
    assert y.why_not() == 0


def test_interface_exports_end_with_the_object(offered):
    x = tenure.zeros(3)
    twin = x.clone()
    x.__array_interface__
    assert twin.why_not() & Why.EXPORTED
    del x
    gc.collect()
    assert twin.why_not() == 0
    handle = twin.clone()
    handle.__array_interface__
    bits = handle.detach()  # the handle and the exported bytes live on
    assert twin.why_not() & Why.EXPORTED
    del handle
    gc.collect()
    assert not twin.why_not() & Why.EXPORTED
    tenure.from_handle(bits).release()
    assert twin.why_not() == 0


# CA-5
def test_exclusive(offered, refused):
    x = tenure.zeros(3)
    proxy = x.exclusive
    n = np.asarray(Old(proxy.__array_interface__))
    n[0] = 4
    proxy.__array_interface__
    refused(Status.EXPORTED, lambda: x[0])
    proxy.end_exports()
    assert x[0] == 4 and x.why_not() == 0
    proxy.__array_interface__
    del proxy
    gc.collect()
    assert x.why_not() == 0
    reader = x.readonly
    reader.__array_interface__
    assert x.why_not() == Why.EXPORTED
    reader.end_exports()
    assert x.why_not() == 0


def test_a_refused_read(offered, refused):
    x = tenure.zeros(3)
    with x.write():
        refused(Status.BORROWED_WRITE, lambda: x.__array_interface__)
    assert x.why_not() == 0
