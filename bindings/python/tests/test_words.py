"""Refusals in Python: the built-in exception that fits, and a message with Python's names and advice."""

import copy
import ctypes
import errno
import inspect
import pickle

import numpy as np
import pytest

import tenure
from tenure import Status, _errors, cuda


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
    with pytest.raises(ValueError, match="use tenure.PoolFlags"):
        tenure.Pool(flags=1 << 30)


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


def test_arrays_are_not_pickled():
    x = tenure.zeros(3, name="x")
    with pytest.raises(TypeError, match=r"pickle numpy.asarray\(x\)"):
        pickle.dumps(x)
    assert pickle.loads(pickle.dumps(np.asarray(x))).tolist() == [0, 0, 0]
    assert copy.deepcopy([x])[0].tolist() == copy.copy(x).tolist() == [0, 0, 0]


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
