"""DLPack's C exchange table, as consumers and producers in C use it (DL-50 to DL-52), here through ctypes."""

import ctypes
import gc
import threading

import numpy as np
import pytest

import tenure
from tenure import Status, Why


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Managed(ctypes.Structure):
    pass


Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(Managed))
Managed._fields_ = [
    ("major", ctypes.c_uint32),
    ("minor", ctypes.c_uint32),
    ("manager_ctx", ctypes.c_void_p),
    ("deleter", Deleter),
    ("flags", ctypes.c_uint64),
    ("tensor", Tensor),
]
SetError = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
Allocate = ctypes.PYFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(Tensor), ctypes.POINTER(ctypes.POINTER(Managed)), ctypes.c_void_p, SetError
)
FromObject = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(ctypes.POINTER(Managed)))
ToObject = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.POINTER(Managed), ctypes.POINTER(ctypes.py_object))
TensorOf = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(Tensor))
Stream = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p))


class Table(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("previous", ctypes.c_void_p),
        ("allocate", Allocate),
        ("from_object", FromObject),
        ("to_object", ToObject),
        ("tensor_of", TensorOf),
        ("stream", Stream),
    ]


NAME = b"dlpack_exchange_api"
pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
capsule_of = ctypes.pythonapi.PyCapsule_New
capsule_of.restype, capsule_of.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


@pytest.fixture
def table():
    return Table.from_address(pointer_of(tenure.Array.__dlpack_c_exchange_api__, NAME))


def export(table, x):
    out = ctypes.POINTER(Managed)()
    assert table.from_object(x, ctypes.byref(out)) == 0
    return out


def taken(out):
    """The object of a reference that C returned; ctypes would leak it."""
    value = out.value
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(value))
    return value


def delete(struct):
    struct.contents.deleter(struct)


# DL-50
def test_one_static_table(table):
    assert ctypes.sizeof(Table) == 56
    assert (table.major, table.minor, table.previous) == (1, 3, None)
    assert all((table.allocate, table.from_object, table.to_object, table.tensor_of, table.stream))
    library, again = ctypes.CDLL(tenure.get_library()), ctypes.c_void_p()
    assert library.tn_dlpack_exchange_api(ctypes.byref(again)) == 0
    assert again.value == ctypes.addressof(table)
    # on the type, one object for every reader
    x = tenure.zeros(3)
    assert pointer_of(type(x).__dlpack_c_exchange_api__, NAME) == again.value


# DL-51
def test_objects_become_structs(table, refused):
    x = tenure.array(np.arange(6.0).reshape(2, 3))
    struct = export(table, x[:, ::-1])
    head, tensor = struct.contents, struct.contents.tensor
    assert (head.major, head.minor, head.flags) == (1, 1, 0)  # a shared view
    assert (tensor.device_type, tensor.device_id, tensor.ndim, tensor.code, tensor.bits) == (1, 0, 2, 2, 64)
    assert tensor.shape[:2] == [2, 3] and tensor.strides[:2] == [3, -1] and tensor.byte_offset == 0
    assert ctypes.c_double.from_address(tensor.data).value == 2 and x.why_not() == Why.EXPORTED
    x[0, 2] = 9
    assert ctypes.c_double.from_address(tensor.data).value == 9
    delete(struct)
    assert x.why_not() == 0
    # a read-only view of a read-only array
    struct = export(table, x.broadcast_to(2, 2, 3))
    assert struct.contents.flags == 1 and struct.contents.tensor.strides[0] == 0
    delete(struct)
    struct = export(table, tenure.from_dlpack(x.readonly))
    assert struct.contents.flags == 1
    refused(Status.EXPORTED, x.fill, 0)
    delete(struct)
    # never a copy
    out = ctypes.POINTER(Managed)()
    odd = tenure.zeros((4, 3), "float32")[:, :2].view("complex64")  # 12 bytes from row to row, of elements of 8
    kind, _ = refused(Status.LAYOUT, table.from_object, odd, ctypes.byref(out))
    assert issubclass(kind, BufferError)
    kind, _ = refused(Status.LAYOUT, table.tensor_of, odd, ctypes.byref(Tensor()))
    assert issubclass(kind, BufferError)
    with x.write():
        kind, _ = refused(Status.BORROWED_WRITE, table.from_object, x, ctypes.byref(out))
        assert issubclass(kind, BufferError)
    with pytest.raises(TypeError):
        table.from_object(np.zeros(3), ctypes.byref(out))
    assert not out and x.why_not() == 0


# DL-51
def test_structs_become_objects(table, refused):
    x = tenure.zeros((2, 3))
    out = ctypes.py_object()
    assert table.to_object(export(table, x), ctypes.byref(out)) == 0
    y = taken(out)
    y[1, 2] = 4
    assert type(y) is tenure.Array and x[1, 2] == 4 and x.why_not() == Why.SHARED  # our own: a clone
    # of another library
    freed = []

    @Deleter
    def deleter(struct):
        freed.append(struct.contents.major)

    memory, shape = (ctypes.c_double * 4)(1, 2, 3, 4), (ctypes.c_int64 * 1)(4)

    def foreign(**fields):
        struct = Managed(major=1, minor=3, deleter=deleter)
        struct.tensor = Tensor(
            data=ctypes.addressof(memory), device_type=1, ndim=1, code=2, bits=64, lanes=1, shape=shape
        )
        for name, value in fields.items():
            setattr(struct, name, value)
        return struct

    struct, out = foreign(), ctypes.py_object()
    assert table.to_object(ctypes.byref(struct), ctypes.byref(out)) == 0
    z = taken(out)
    assert z.tolist() == [1, 2, 3, 4] and z.flags.foreign and not z.flags.readonly and freed == []
    z[0] = 7
    assert memory[0] == 7
    z.release()
    assert freed == [1]
    struct = foreign(flags=1)
    assert table.to_object(ctypes.byref(struct), ctypes.byref(out)) == 0
    assert taken(out).flags.readonly
    gc.collect()
    # a struct that cannot be imported is consumed as well: its deleter is called
    freed.clear()
    out = ctypes.py_object()
    struct = foreign()
    struct.tensor.ndim = -1
    refused(Status.SHAPE, table.to_object, ctypes.byref(struct), ctypes.byref(out))
    assert freed == [1]
    struct = foreign(major=2)
    kind, _ = refused(Status.UNSUPPORTED, table.to_object, ctypes.byref(struct), ctypes.byref(out))
    assert freed == [1, 2] and issubclass(kind, BufferError)
    with pytest.raises(TypeError):
        table.to_object(None, ctypes.byref(out))


# DL-51
def test_views_that_own_nothing(table, refused):
    x = tenure.array(np.arange(12, dtype="int32").reshape(3, 4))
    a, b = Tensor(), Tensor()
    view = x[::2, 1:2]
    assert table.tensor_of(view, ctypes.byref(a)) == 0 and table.tensor_of(x, ctypes.byref(b)) == 0
    assert a.shape[:2] == [2, 1] and a.strides[:2] == [8, 1]  # DL-9: an extent of 1 has the stride of contiguity
    assert b.shape[:2] == [3, 4] and b.strides[:2] == [4, 1]
    assert a.data == b.data + 4 and (a.code, a.bits, a.lanes, a.device_type) == (0, 32, 1, 1)
    assert x.why_not() == Why.SHARED  # the view's handle; no export
    again = Tensor()
    table.tensor_of(view, ctypes.byref(again))
    assert ctypes.addressof(again.shape.contents) == ctypes.addressof(a.shape.contents)
    # after a move the old numbers stay valid
    twin = x.clone()
    with x.T.write("cow") as w:
        w[0, 0] = 1
    del twin
    empty, scalar = tenure.zeros((0, 3)), tenure.zeros(())
    assert table.tensor_of(empty, ctypes.byref(a)) == 0 and a.data is None and a.shape[:2] == [0, 3]
    assert table.tensor_of(scalar, ctypes.byref(a)) == 0 and a.ndim == 0 and a.data and a.shape
    # the struct has no read-only flag
    kind, _ = refused(Status.READONLY, table.tensor_of, x.broadcast_to(2, 3, 4), ctypes.byref(a))
    assert issubclass(kind, BufferError)
    with x.write():
        refused(Status.BORROWED_WRITE, table.tensor_of, x, ctypes.byref(a))
    with pytest.raises(TypeError):
        table.tensor_of(3, ctypes.byref(a))


# DL-51
def test_memory_for_a_consumer(table):
    said = []
    set_error = SetError(lambda context, kind, text: said.append((context, kind, text)))
    shape = (ctypes.c_int64 * 2)(3, 5)
    prototype = Tensor(device_type=1, ndim=2, code=2, bits=32, lanes=1, shape=shape)
    out = ctypes.POINTER(Managed)()
    with tenure.Pool(name="theirs") as pool:
        assert table.allocate(ctypes.byref(prototype), ctypes.byref(out), 7, set_error) == 0 and said == []
        assert pool.stats().live_blocks == 1
        made = ctypes.py_object()
        assert table.to_object(out, ctypes.byref(made)) == 0
        x = taken(made)
        assert x.shape == (3, 5) and x.dtype == np.float32 and x.why_not() == 0
        del made, x
        gc.collect()
    prototype.device_type = 2
    out = ctypes.POINTER(Managed)()
    assert table.allocate(ctypes.byref(prototype), ctypes.byref(out), 7, set_error) != 0 and not out
    assert said[0][0] == 7 and said[0][1] == b"BufferError" and b"libcuda" in said[0][2]
    prototype.device_type, shape[0] = 1, 1 << 45
    assert table.allocate(ctypes.byref(prototype), ctypes.byref(out), 7, set_error) != 0
    assert said[1][1] == b"MemoryError"
    stream = ctypes.c_void_p(5)
    assert table.stream(1, 0, ctypes.byref(stream)) == 0 and stream.value is None


class Producer:
    """A type with a table in place of `__dlpack__`."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        raise AssertionError("the table should have been used")


# DL-52
def test_a_producers_table_is_used(table):
    calls = []

    @FromObject
    def from_object(obj, out):
        calls.append(obj)
        return table.from_object(obj.array, out)

    older = Table(major=1, minor=0, from_object=from_object)
    newer = Table(major=2, minor=0, previous=ctypes.addressof(older))
    Producer.__dlpack_c_exchange_api__ = capsule_of(ctypes.addressof(newer), NAME, None)
    x = tenure.zeros(3)
    p = Producer(x)
    for _ in range(3):
        y = tenure.from_dlpack(p)
        y[0] += 1
        assert x.why_not() == Why.SHARED
        del y
    assert x[0] == 3 and len(calls) == 3
    z = tenure.from_dlpack(p, copy=True)
    z[0] = 0
    assert x[0] == 3 and z.why_not() == 0 and x.why_not() == 0
    calls.clear()

    # looked up on the type, not on the object; a capsule without a table of a known version is not used
    class Plain:
        def __dlpack__(self, **options):
            return x.__dlpack__(**options)

        def __dlpack_device__(self):
            return (1, 0)

    plain = Plain()
    plain.__dlpack_c_exchange_api__ = Producer.__dlpack_c_exchange_api__
    assert tenure.from_dlpack(plain).shape == (3,) and calls == []
    future = Table(major=2, minor=0)
    unknown = [capsule_of(ctypes.addressof(older), b"another", None), capsule_of(ctypes.addressof(future), NAME, None)]
    for strange in (3, None, *unknown):
        kind = type("Strange", (Plain,), {"__dlpack_c_exchange_api__": strange})
        assert tenure.from_dlpack(kind()).shape == (3,) and calls == []

    # where the table refuses, `__dlpack__` is called, for the producer's own message
    @FromObject
    def refuses(obj, out):
        return -1

    refusing = Table(major=1, minor=3, from_object=refuses)
    kind = type("Refusing", (Plain,), {"__dlpack_c_exchange_api__": capsule_of(ctypes.addressof(refusing), NAME, None)})
    assert tenure.from_dlpack(kind()).shape == (3,)
    # a device can only be requested by the protocol
    Producer.__dlpack_device__ = lambda self: (1, 0)
    with pytest.raises(AssertionError):
        tenure.from_dlpack(p, device=(1, 0))


# DL-52: more types than the cache has, from several threads
def test_many_types(table):
    from_object = FromObject(lambda obj, out: table.from_object(obj.array, out))
    theirs = Table(major=1, minor=3, from_object=from_object)
    capsule = capsule_of(ctypes.addressof(theirs), NAME, None)
    x = tenure.zeros(3)
    kinds = [type(f"Kind{i}", (Producer,), {"__dlpack_c_exchange_api__": capsule}) for i in range(50)]
    wrong = []

    def work():
        for kind in kinds * 2:
            if tenure.from_dlpack(kind(x)).shape != (3,):
                wrong.append(kind)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and x.why_not() == 0
    # removes them from the cache: their table ends with this test
    for i in range(20):
        with pytest.raises(AttributeError):
            tenure.from_dlpack(type(f"Other{i}", (), {})())
