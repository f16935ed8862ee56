"""Buffers and array interfaces that say what cannot be (CA-37, CA-38): an exception that names the value, and no byte is read."""

import gc
import os
import pathlib
import shutil
import subprocess
import sysconfig
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader

import numpy as np
import pytest

import tenure

SOURCE = pathlib.Path(__file__).with_name("lying_exporter.c")
HUGE = 1 << 40


@pytest.fixture(scope="module")
def liar(tmp_path_factory):
    """The class `Liar` of lying_exporter.c."""
    gcc, include = shutil.which("gcc") or shutil.which("cc"), sysconfig.get_path("include")
    if gcc is None or not os.path.exists(os.path.join(include, "Python.h")):
        pytest.skip("no C compiler, or no Python.h (on Debian: python3-dev)")
    built = str(tmp_path_factory.mktemp("liar") / "lying_exporter.so")
    subprocess.run([gcc, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-I", include, SOURCE, "-o", built], check=True)
    loader = ExtensionFileLoader("lying_exporter", built)
    module = module_from_spec(spec_from_loader("lying_exporter", loader))
    loader.exec_module(module)
    return module.Liar


# What is called with an object that may have a buffer.
READERS = {
    "from_buffer": tenure.from_buffer,
    "from_buffer_writable": lambda o: tenure.from_buffer(o, writable=True),
    "from_buffer_copy": lambda o: tenure.from_buffer(o, copy=True),
    "asarray": tenure.asarray,
    "asarray_converted": lambda o: tenure.asarray(o, "float32"),
    "asarray_copy": lambda o: tenure.asarray(o, copy=True),
    "array": tenure.array,
    "full": lambda o: tenure.full(3, o),
    "setitem": lambda o: tenure.zeros(3).__setitem__(..., o),
    "operand": lambda o: tenure.zeros(3) + o,
    "owner_of": tenure.owner_of,
    "array_of_list": lambda o: tenure.array([o]),
    "array_of_lists": lambda o: tenure.array(((), [[1.0, 2.0, np.float32(3), "4", None], (np.int8(5), 6, o)])),
    "array_of_deepest_list": lambda o: tenure.array(nested(o, 64)),
    "asarray_of_list": lambda o: tenure.asarray([1.0, o]),
    "asarray_of_list_converted": lambda o: tenure.asarray([o], "float32"),
    "full_of_list": lambda o: tenure.full(3, [o]),
    "setitem_of_list": lambda o: tenure.zeros(3).__setitem__(..., [o]),
    "operand_of_list": lambda o: tenure.zeros(3) + [o],
}


def nested(item, lists):
    for _ in range(lists):
        item = [item]
    return item


LIES = {
    "too many axes": (dict(ndim=1 << 20, shape=(1,), strides=(8,)), "1048576"),
    "65 axes": (dict(ndim=65, shape=(1,) * 65), "65"),
    "negative axes": (dict(ndim=-1, shape=(1,)), "-1"),
    "no shape": (dict(ndim=2), "2 axes and no shape"),
    "long shape": (dict(shape=(1 << 30,), len=8), str(1 << 30)),
    "long shape with strides": (dict(shape=(9,), strides=(8,)), "[9]"),
    "shape that overflows": (dict(ndim=2, shape=(1 << 40, 1 << 40)), str(1 << 40)),
    "negative length": (dict(shape=(-1,)), "-1"),
    "negative len": (dict(shape=(8,), len=-1), "-1"),
    "negative itemsize": (dict(shape=(8,), itemsize=-8), "-8"),
    "huge itemsize": (dict(shape=(8,), itemsize=1 << 62), str(1 << 62)),
    "strides that overflow": (dict(shape=(8,), strides=((1 << 63) - 1,)), str((1 << 63) - 1)),
    "in front of address 0": (dict(shape=(8,), strides=(-(1 << 60),)), str(-(1 << 60))),
    "no memory": (dict(shape=(8,), null=1), "NULL"),
}


# CA-37
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("reader", READERS)
def test_a_buffer_that_contradicts_itself(liar, reader, lie):
    description, value = LIES[lie]
    with pytest.raises(BufferError) as caught:
        READERS[reader](liar(**description))
    assert value in str(caught.value) and "Liar" in str(caught.value)


# CA-37
def test_lists_of_true_descriptions_are_taken(liar):
    rows = [liar(shape=(8,)), liar(shape=(8,))]
    assert tenure.array(rows).shape == tenure.asarray(tuple(rows), "float32").shape == (2, 8)
    assert tenure.array([bytearray(b"ab"), memoryview(b"cd")]).tolist() == [[97, 98], [99, 100]]
    assert tenure.array(nested(7, 64)).shape == (1,) * 64
    itself = []
    itself.append(itself)
    for wrong in nested(7, 65), itself:
        with pytest.raises((TypeError, ValueError)):
            tenure.array(wrong)


# CA-38
def test_an_interface_in_a_list():
    memory = bytearray(np.arange(4.0).tobytes())
    described = Described(memory, (2,), offset=16)
    given = [[0, 1], described]
    assert tenure.array(given).tolist() == [[0, 1], [2, 3]] and given[1] is described
    assert tenure.asarray(tuple(given), "float32").tolist() == [[0, 1], [2, 3]]


# CA-37
def test_an_itemsize_that_is_not_the_formats(liar):
    for read in tenure.from_buffer, tenure.asarray:
        with pytest.raises(BufferError, match="itemsize is 8, and an element of its format \"f\" has 4 bytes"):
            read(liar(shape=(8,), format="f"))
        with pytest.raises(BufferError, match="itemsize is 4, and an element of its format \"d\" has 8 bytes"):
            read(liar(shape=(8,), itemsize=4))


# CA-37
def test_a_refusal_without_an_exception(liar):
    with pytest.raises(BufferError, match="without an exception"):
        tenure.from_buffer(liar(refuses=1))
    for read in tenure.asarray, tenure.array, tenure.owner_of:
        with pytest.raises((BufferError, SystemError, TypeError)):
            read(liar(refuses=1))


# CA-37
def test_a_read_only_answer_to_a_writable_request(liar):
    with pytest.raises(BufferError, match="read-only"):
        tenure.from_buffer(liar(shape=(8,), readonly=1), writable=True)


# CA-37
def test_true_descriptions_are_taken(liar):
    x = tenure.from_buffer(liar(shape=(2, 4), ndim=2))
    x.fill(1.0)
    assert x.shape == (2, 4) and tenure.owner_of(np.asarray(x)) is not None
    assert tenure.from_buffer(liar(ndim=0)).shape == ()
    assert tenure.from_buffer(liar(shape=(0,), null=1, len=0)).size == 0
    assert tenure.from_buffer(liar(shape=(1,) * 64, ndim=64)).ndim == 64
    n = np.arange(12.0).reshape(3, 4)
    for view in n[::-1, ::2], n.T, np.broadcast_to(n[0], (1000, 4)), n[:0, ::-1]:
        assert tenure.from_buffer(memoryview(view)).tolist() == view.tolist()


class Described:
    """An object with an array interface."""

    def __init__(self, data, shape=(100,), **others):
        self.__array_interface__ = {"version": 3, "typestr": "<f8", "data": data, "shape": shape} | others


INTERFACES = {
    "short data": (Described(b"abc"), "3 bytes"),
    "much too short": (Described(b"abc", (1 << 24,)), str(1 << 24)),
    "no data": (Described(b""), "0 bytes"),
    "offset behind": (Described(bytes(800), offset=HUGE), str(HUGE)),
    "offset by one": (Described(bytes(800), offset=8), "offset 8"),
    "offset in front": (Described(bytes(800), offset=-8), "offset -8"),
    "negative length": (Described(bytes(800), (-1,)), "-1"),
    "strides behind": (Described(bytes(800), strides=(16,)), "16"),
    "strides in front": (Described(bytes(800), strides=(-8,)), "-8"),
    "overflow": (Described(bytes(800), (HUGE, HUGE)), str(HUGE)),
    "NULL": (Described((0, False)), "NULL"),
}


# CA-38
@pytest.mark.parametrize("lie", INTERFACES)
@pytest.mark.parametrize("reader", [name for name in READERS if not name.startswith("from_buffer")])
def test_an_interface_that_leaves_its_data(reader, lie):
    described, value = INTERFACES[lie]
    if lie == "NULL" and reader == "owner_of":
        return  # it reads nothing: no array is at NULL
    with pytest.raises(BufferError) as caught:
        READERS[reader](described)
    assert value in str(caught.value) and "__array_interface__" in str(caught.value)


# CA-38
def test_an_interface_that_fits_its_data():
    memory = bytearray(np.arange(100.0).tobytes())
    x = tenure.asarray(Described(memory, (2, 3), offset=16, strides=(32, 8)))
    assert x.tolist() == [[2, 3, 4], [6, 7, 8]] and x.flags.foreign
    x[0, 0] = 50
    assert np.frombuffer(memory)[2] == 50
    with pytest.raises(BufferError):  # the array needs it
        memory.append(1)
    x.release()
    assert tenure.array(Described(memory, (2,), offset=24, strides=(-8,))).tolist() == [3, 50]
    assert tenure.asarray(Described(b"", (0,))).size == 0
    assert tenure.asarray(Described(bytes(8), ())).shape == ()
    # An interface with a buffer names no address.
    x = tenure.zeros(4)
    assert tenure.owner_of(Described(memoryview(x).cast("B"), (2,), offset=16)).nbytes == 32
    assert tenure.owner_of(Described(bytes(800))) is None


# CA-38
def test_a_range_beyond_the_address_space():
    for shape, strides in ((1 << 62,), (8,)), ((3,), ((1 << 63) - 1,)), ((3, 3), ((1 << 62), (1 << 62))), ((3,), (-(1 << 62),)):
        with pytest.raises(ValueError, match=str(strides[0])):
            tenure.owner_of(Described((4096, False), shape, strides=strides))


class Turns:
    """A producer that answers otherwise each time; its last answer stays."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def next(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class InterfaceInTurns(Turns):
    __array_interface__ = property(Turns.next)


class TensorInTurns(Turns):
    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **_):
        return self.next()


class ArrowInTurns(Turns):
    def __arrow_c_array__(self, requested_schema=None):
        return self.next()


class Grows:
    """A length that is larger each time that it is read."""

    def __init__(self, first):
        self.length = first

    def __index__(self):
        now, self.length = self.length, self.length * 1024
        return now


TRUE = np.arange(8.0)


def described(**others):
    return Described(bytearray(TRUE.tobytes()), **({"shape": (8,)} | others)).__array_interface__


LATER_LIES = {
    "longer": described(shape=(1 << 20,)),
    "behind": described(offset=HUGE),
    "strides": described(strides=(4096,)),
    "other type": described(typestr="<f4", shape=(1 << 20,)),
    "no dictionary": 7,
    "gone": AttributeError("__array_interface__"),
}


# CA-38: whichever answers are read, what was checked is what is used.
@pytest.mark.parametrize("lie", LATER_LIES)
@pytest.mark.parametrize("reader", [name for name in READERS if not name.startswith("from_buffer")])
def test_an_interface_that_changes(reader, lie):
    for truths in range(6):
        answers = [described() for _ in range(truths)] + [LATER_LIES[lie], described()]
        try:
            result = READERS[reader](InterfaceInTurns(*answers))
        except (BufferError, TypeError, ValueError, AttributeError):
            continue
        if isinstance(result, tenure.Array) and reader != "full":
            flat = np.asarray(result).ravel()
            assert flat.size in (3, 8) and set(flat) <= set(range(8))


# CA-38
def test_a_length_that_grows_is_read_once():
    for read in tenure.asarray, tenure.array:
        try:
            x = read(InterfaceInTurns(described(shape=(Grows(8),))))
        except (BufferError, TypeError):
            continue
        assert x.tolist() == TRUE.tolist()


# DL-20, CA-35: an answer that was used up is refused, whatever came between.
@pytest.mark.parametrize("kind", ["dlpack", "arrow"])
def test_an_answer_that_is_given_twice(kind):
    x = tenure.array(TRUE)
    if kind == "dlpack":
        first, second = x.__dlpack__(max_version=(1, 0)), x.__dlpack__(max_version=(1, 0))
        producer = TensorInTurns(first, first, TypeError("no"), 7, second, first)
    else:
        first, second = x.__arrow_c_array__(), x.__arrow_c_array__()
        swapped, mixed = (second[1], second[0]), (second[0], first[1])
        producer = ArrowInTurns(first, first, TypeError("no"), swapped, mixed, first, 7)
    got = tenure.asarray(producer)
    assert got.tolist() == TRUE.tolist()
    for _ in range(7):
        try:
            other = tenure.asarray(producer)
        except (BufferError, TypeError, ValueError):
            continue
        assert other.tolist() == TRUE.tolist()
        other.release()
    assert got.tolist() == TRUE.tolist()
    got.release()
    del producer, first, second
    if kind == "arrow":
        del swapped, mixed
    gc.collect()
    x.fill(1, "unique")  # no export is left
