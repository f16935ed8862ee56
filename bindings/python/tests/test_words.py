"""Refusals in Python: the built-in exception that fits, and a message with Python's names and advice."""

import copy
import ctypes
import errno
import inspect
import pathlib
import pickle
import re

import numpy as np
import pytest

import tenure
from tenure import Status, _errors, cuda

SOURCE = pathlib.Path(__file__).parents[3] / "src"


# Exceptions that code without knowledge of Tenure catches around `open`.
@pytest.mark.parametrize(
    "path, kind, number",
    [
        ("none.npy", FileNotFoundError, errno.ENOENT),
        ("none/x.npy", FileNotFoundError, errno.ENOENT),
        ("file/x.npy", NotADirectoryError, errno.ENOTDIR),
        (".", IsADirectoryError, errno.EISDIR),
        ("file", OSError, None),
    ],
)
@pytest.mark.parametrize("call", [tenure.open_npy, tenure.open_safetensors])
def test_files_that_cannot_be_opened(tmp_path, path, kind, number, call):
    (tmp_path / "file").write_text("neither of the two formats")
    with pytest.raises(Exception) as caught:
        call(tmp_path / path)
    if number is None:
        assert not isinstance(caught.value, (FileNotFoundError, PermissionError))
        return
    assert isinstance(caught.value, tenure.FileError) and caught.value.status == Status.IO
    assert isinstance(caught.value, kind) and caught.value.errno == number
    assert str(tmp_path) in str(caught.value) and type(caught.value).__name__ == "FileError"


def test_files_that_cannot_be_written(tmp_path):
    x = tenure.zeros(3)
    x.save_npy(tmp_path / "x.npy")
    with pytest.raises(FileExistsError, match="x.npy") as caught:
        x.save_npy(tmp_path / "x.npy", exclusive=True)
    assert caught.value.errno == errno.EEXIST
    with pytest.raises(FileNotFoundError):
        x.save_npy(tmp_path / "none" / "x.npy")


# An exception of a worker process arrives pickled.
def test_errors_cross_processes(tmp_path):
    for call in (lambda: tenure.open_npy(tmp_path / "none"), lambda: tenure.zeros(2).reshape(3), lambda: tenure.zeros(-1)):
        with pytest.raises(tenure.Error) as caught:
            call()
        for again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
            assert type(again) is type(caught.value) and again.args == caught.value.args
            assert again.status == caught.value.status and getattr(again, "errno", 0) == getattr(caught.value, "errno", 0)


def test_a_released_weak_handle_is_reported():
    weak = tenure.zeros(2).weak()
    weak.release()
    with pytest.raises(tenure.OwnershipError, match="this weak handle was released"):
        weak.upgrade()


# The library's advice names C functions. Exceptions and reprs have Python's names.
def test_advice_has_pythons_names():
    x = tenure.zeros((2, 3), name="w")
    with pytest.raises(ValueError, match=r'mode="unique" and mode="cow" at once'):
        x.write(3).__enter__()
    with pytest.raises(ValueError, match=r"use x\[i\]"):
        x.squeeze(0)
    with pytest.raises(KeyError), x.write():
        raise KeyError
    assert "TN_" not in repr(x) and 'mode="aliased|discard"' in repr(x)
    pool = tenure.Pool(name="small", max_size=1 << 16)
    with pytest.raises(MemoryError, match='pool "small" on cpu: 8 MiB asked'):
        tenure.zeros(1 << 20, pool=pool)
    with pytest.raises(ValueError, match=r"0x40000000; it takes tenure\.PoolFlags\.PREFAULT, tenure\.PoolFlags\.DIRECT"):
        tenure.Pool(flags=1 << 30)


# A text of the library that changed would leave its entry here without effect.
@pytest.mark.skipif(not SOURCE.is_dir(), reason="needs the source of the library")
def test_each_advice_is_one_of_the_library():
    source = "".join(path.read_text() for path in SOURCE.rglob("*.rs"))
    source = re.sub(r"\\\n\s*", "", source).replace("{{", "{").replace("}}", "}")
    assert [told for told, _ in _errors._WORDS if told not in source] == []


def test_devices_have_their_names():
    for told, said in (
        ("is on device (2, 1), which", "is on cuda:1, which"),
        ("is on device (3, 0), and", "is on cuda_host, and"),
        ("on {cpu, 0}: 8 MiB", "on cpu: 8 MiB"),
        ("on {cuda_managed, 2}: x", "on cuda_managed:2: x"),
        ("on device (99, 0), which", "on device (99, 0), which"),
        ("device {1, 0} has no streams", "cpu has no streams"),
        ("shape (2, 0) does not go into shape (13, 1)", "shape (2, 0) does not go into shape (13, 1)"),
    ):
        assert _errors.reworded(told) == said


# Messages for an argument of the wrong kind are NumPy's, or better.
def test_arguments_of_the_wrong_kind():
    x = tenure.zeros((2, 3))
    for call, text in (
        (lambda: tenure.zeros(3.0), "an integer or a sequence of integers is needed, not float"),
        (lambda: x.reshape(None), "not NoneType"),
        (lambda: tenure.full((2, 2), [1, 2]), r"x\[\.\.\.\] = values"),
        (lambda: x.fill(np.arange(3)), "one value fills all elements"),
        (lambda: tenure.give(np.zeros(2)), "give takes a tenure.Array, not ndarray; tenure.asarray"),
        (lambda: tenure.take(x), "take takes promises, which tenure.give.x. makes, not Array"),
        (lambda: tenure.access(read=np.zeros(2)), "a tenure.Array or several are needed, not ndarray"),
        (lambda: tenure.why_not(3), "why_not takes a tenure.Array, not int"),
        (lambda: cuda.device("cuda:0"), "is a number, not 'cuda:0'"),
    ):
        with pytest.raises(TypeError, match=text):
            call()
    with pytest.raises(ValueError, match=r"elements of shape \(2,\) do not go into a part of shape \(3,\)"):
        x[0] = [1, 2]
    # An array without axes is one value.
    x.fill(np.array(2.0))
    x[0] = [[[1, 2, 3]]]
    assert x.tolist() == [[1, 2, 3], [2, 2, 2]]


# Arrays of ctypes have a shape but no strides.
def test_buffers_without_strides():
    numbers = (ctypes.c_double * 4)(1, 2, 3, 4)
    x = tenure.from_buffer(numbers)
    assert x.tolist() == [1, 2, 3, 4]
    x[1:3] = 7
    assert list(numbers) == [1, 7, 7, 4]
    table = ((ctypes.c_int * 3) * 2)((1, 2, 3), (4, 5, 6))
    y = tenure.from_buffer(table)
    assert y.dtype == "int32" and y.strides == (12, 4) and y.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert tenure.from_buffer((ctypes.c_double * 0)()).shape == (0,)


def test_pools_have_their_device():
    pool = tenure.Pool("cuda_host", name="p", host_flags=cuda.HostFlags.BEST_EFFORT)
    where = "cuda_host" if cuda.is_available() else "cpu"
    assert pool.device == where and tenure.zeros(2, pool=pool).device == where
    assert repr(pool) == ('<tenure.Pool "p">' if where == "cpu" else '<tenure.Pool "p" on cuda_host>')
    with pool:
        assert tenure.zeros(2, device=where).pool.name == "p"


def test_signatures_show_the_defaults():
    assert str(inspect.signature(tenure.open_npy)).startswith("(path, mode='r', *")
    for name in ("pointer", "nbytes", "readonly", "shape", "strides", "dtype", "device"):
        assert getattr(tenure.DeviceView, name).__doc__


# A type checker and a program may rely on `error.status.name`, also for a status of a newer library.
def test_every_status_has_a_name():
    error = _errors.make(99, "of a newer library", False)
    assert type(error) is tenure.Error and error.status == 99 and error.status.name == "STATUS_99"
    again = pickle.loads(pickle.dumps(error))
    assert again.status == 99 and again.status.name == "STATUS_99"
    assert len(Status) == len(set(Status)) and Status.OK.name == "OK"
    for wrong in (-1, "x", 1.5):
        with pytest.raises(ValueError):
            Status(wrong)
    assert tenure.Borrow[int].__origin__ is tenure.Borrow


# Every message of the library with a constant of C, as a Python program gets it.
def test_no_message_names_a_constant_of_c():
    source = pathlib.Path(__file__).parents[3] / "src"
    messages = set()
    for path in source.rglob("*.rs"):
        for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', path.read_text(), re.DOTALL):
            literal = re.sub(r"\\\n\s*", "", literal).replace("{{", "{").replace("}}", "}").replace('\\"', '"')
            if re.search(r"\bTN_[A-Z]", literal) and " " in literal and "\n" not in literal:
                messages.add(literal.replace("{TN_MAX_NDIM}", "64"))
    assert len(messages) > 50
    left = {message: said for message in messages if re.search(r"\bTN_", said := _errors.reworded(message))}
    assert not left
    for told, said in (
        ("use order TN_ORDER_C, TN_ORDER_F or TN_ORDER_A", 'use order "C", "F" or "A"'),
        ("the flag TN_POOL_PREFAULT needs", "the flag tenure.PoolFlags.PREFAULT needs"),
        ("TN_TAKE_OWNERSHIP and TN_MAY_OVERWRITE need bytes", "take and may_overwrite need bytes"),
        ("the tn_array 0x01 was released", "the array 0x01 was released"),
        # Names that the user gave.
        ('"TN_COLD.npy" in "/x/TN_COLD/TN_WARM.npy" is', '"TN_COLD.npy" in "/x/TN_COLD/TN_WARM.npy" is'),
        ("tn_array_reshape: x", "tn_array_reshape: x"),
    ):
        assert _errors.reworded(told) == said


# Following the advice succeeds.
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_advice_for_a_reshape_works(order):
    n = np.arange(6.0).reshape(2, 3)
    x = tenure.array(n)
    x = x.T if order == "C" else x
    n = n.T if order == "C" else n
    with pytest.raises(ValueError, match=rf'use x\.copy\("{order}"\) first'):
        x.reshape(-1, order=order)
    assert x.copy(order).reshape(-1, order=order).tolist() == n.reshape(-1, order=order).tolist()
    with pytest.raises(ValueError, match=rf'use x\.flatten\("{order}"\)'):
        x.ravel(order)
    assert x.flatten(order).tolist() == n.flatten(order).tolist()
    if order == "C":
        with pytest.raises(BufferError, match=r'pass x\.copy\("C"\)'):
            PyObject_GetBuffer(x, 0)
        assert PyObject_GetBuffer(x.copy("C"), 0) == 48


def PyObject_GetBuffer(x, flags):
    """The length of the buffer that a consumer gets with these flags."""
    python = ctypes.PyDLL(None)  # not `pythonapi`, whose types of arguments other tests set
    buffer = (ctypes.c_char * 128)()
    python.PyObject_GetBuffer(ctypes.py_object(x), buffer, flags)
    length = ctypes.c_ssize_t.from_buffer(buffer, 16).value
    python.PyBuffer_Release(buffer)
    return length


def test_copies_in_an_order():
    n = np.arange(24).reshape(2, 3, 4)
    for m in (n, n.T, n[:, ::2], n.transpose(1, 0, 2), n[:0], np.array(3)):
        x = tenure.asarray(m)
        for order in "CFAK":
            y = x.copy(order, name="y")
            assert y.name == "y" and np.array_equal(y, m) and y.is_unique and y.overlap(x) == "none"
            expected = m.copy(order)
            if m.size > 1:
                assert y.strides == expected.strides, (m.strides, order)
            if order != "K":
                flat = x.flatten(order)
                assert flat.tolist() == m.flatten(order).tolist() and flat.ndim == 1 and flat.is_unique
    assert tenure.asarray(n.T).copy().flags.f_contiguous
    with pytest.raises(ValueError, match='order must be "C", "F", "A" or "K"'):
        tenure.zeros(3).copy("X")
    with pytest.raises(ValueError, match='order must be "C", "F" or "A"'):
        tenure.zeros(3).flatten("K")


# Programs that look at any object find a promise without attributes of arrays.
def test_a_promise_can_be_looked_at():
    p = tenure.give(tenure.zeros(3))
    assert "cancel" in dir(p) and "cancel" in dict(inspect.getmembers(p))
    for name in ("__dict__", "__len__", "__copy__", "__wrapped__", "_x"):
        assert not hasattr(p, name)
    for name in ("shape", "__array__", "__dlpack__", "__array_interface__"):
        with pytest.raises(TypeError, match="tenure.takes"):
            getattr(p, name)
    p.cancel()
    with pytest.raises(tenure.OwnershipError, match=r"the promise of array float64 \(3,\) was taken or cancelled"):
        p.cancel()


@pytest.mark.parametrize("call", [cuda.device_array, cuda.mapped_array, cuda.managed_array, lambda n, stream: cuda.device_array_like(np.zeros(n), stream)])
def test_a_stream_is_a_stream(call):
    for wrong in (5, "s", np.arange(2)):
        with pytest.raises(TypeError, match=f"stream must be a tenure.cuda.Stream or None, not {type(wrong).__name__}"):
            call(3, stream=wrong)


# Not a question of who holds the array.
def test_what_cannot_be_mapped_is_a_value_error(tmp_path, refused):
    np.save(tmp_path / "big.npy", np.ones(3, ">f8"))
    kind, text = refused(Status.WOULD_COPY, tenure.open_npy, tmp_path / "big.npy")
    assert issubclass(kind, ValueError) and not issubclass(kind, tenure.OwnershipError) and "mode=None" in text
    assert tenure.open_npy(tmp_path / "big.npy", None).tolist() == [1, 1, 1]


# A message about a handle that is gone has its name and the line.
def test_stale_objects_say_where_they_went():
    x = tenure.zeros(3, name="gone")
    x.release()  # the line
    line = inspect.currentframe().f_lineno - 1
    with pytest.raises(tenure.OwnershipError, match=f'"gone" was released at .*test_words.py:{line}; only its repr works'):
        x.shape
    y = tenure.zeros(3000)
    with y:
        pass
    with pytest.raises(tenure.OwnershipError, match=r"this array was released at .*test_words.py:\d+"):
        y.tolist()
    y = tenure.zeros(3)
    y.release()
    with pytest.raises(tenure.OwnershipError, match="this array was released; only its repr works"):
        y.tolist()
    y = tenure.zeros(3)
    y.name = "later"
    y.release()
    with pytest.raises(tenure.OwnershipError, match=r'"later" was released at .*test_words.py:\d+'):
        y.tolist()
    z = tenure.zeros(3, name="out")
    tenure.from_handle(z.detach())
    with pytest.raises(tenure.OwnershipError, match=r'"out" was detached at .*test_words.py:\d+'):
        z[0]
    pool = tenure.Pool(name="pond")
    pool.release()
    with pytest.raises(tenure.OwnershipError, match='pool "pond" was released'):
        pool.stats()
    p = tenure.give(tenure.zeros(3, name="passed"))
    tenure.take(p)
    with pytest.raises(tenure.OwnershipError, match=r'promise of array float64 \(3,\) "passed" was taken or cancelled'):
        tenure.take(p)
