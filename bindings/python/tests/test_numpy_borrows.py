"""Borrow flags for any NumPy array, in one book with rust-numpy's extensions and with C code (NB)."""

import ctypes
import gc
import inspect
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import threading
import weakref
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader

import numpy as np
import pytest

import tenure
import tenure.numpy
from tenure import Status


def enter(block):
    with block:
        pass


def line():
    return inspect.currentframe().f_back.f_lineno


# NB-1
def test_nb_1_writers_are_alone_and_readers_are_not(refused):
    a = np.arange(6.0)
    with tenure.numpy.read(a) as view:
        assert view.base is a and not view.flags.writeable and view[5] == 5.0
        enter(tenure.numpy.read(a))
        refused(Status.BORROWED, enter, tenure.numpy.write(a))
    with tenure.numpy.write(a, name="weights") as same:
        at = line() - 1
        assert same is a
        for block in (tenure.numpy.read(a), tenure.numpy.write(a)):
            _, text = refused(Status.BORROWED_WRITE, enter, block)
            assert f'test_numpy_borrows.py:{at}, through "weights"' in text
            assert "cow" not in text
        same += 1
    enter(tenure.numpy.write(a))
    assert a[0] == 1.0 and tenure.owner_of(a) is None


# NB-1: threads see each other's borrows
def test_nb_1_another_thread_is_named():
    a, text = np.zeros(1000), []

    def read():
        try:
            enter(tenure.numpy.read(a))
        except tenure.OwnershipError as error:
            text.append(str(error))

    with tenure.numpy.write(a):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert len(text) == 1 and "test_numpy_borrows.py" in text[0]


# NB-2
def test_nb_2_elements_decide_not_objects(refused):
    a = np.zeros((4, 6))
    with tenure.numpy.write(a[:, ::2]):
        enter(tenure.numpy.write(a[:, 1::2]))
        refused(Status.BORROWED_WRITE, enter, tenure.numpy.read(a[:, 2]))
        refused(Status.BORROWED_WRITE, enter, tenure.numpy.read(a.T))
    with tenure.numpy.write(a[0]), tenure.numpy.write(a[2]):
        refused(Status.BORROWED_WRITE, enter, tenure.numpy.read(a))
        refused(Status.BORROWED_WRITE, enter, tenure.numpy.read(a[::-1]))
        enter(tenure.numpy.write(a[1]))
    enter(tenure.numpy.write(a))


# NB-2: two NumPy arrays on one buffer of another object
def test_nb_2_arrays_over_one_buffer(refused):
    b = bytearray(64)
    with tenure.numpy.write(np.frombuffer(b, "u1", 8)), tenure.numpy.write(np.frombuffer(memoryview(b)[32:40], "u1")):
        refused(Status.BORROWED_WRITE, enter, tenure.numpy.read(np.frombuffer(b, "u1")))
        enter(tenure.numpy.write(np.frombuffer(b, "u1", 8, 16)))
    b.append(0)  # nothing keeps the buffer open


# NB-3
@pytest.mark.parametrize(
    "a",
    [
        np.array([1, "a", None], dtype=object),
        np.zeros(3, dtype=[("a", "i4"), ("b", "S3")]),
        np.array(["x", "yz"]),
        np.zeros(3, "M8[s]"),
        np.zeros(3, ">f8"),
        np.zeros(9, "u1")[1:].view("f4"),
        np.array(3.0),
        np.zeros((0, 3)),
        np.zeros((1,) * 63 + (5,)),
        np.ma.masked_array([1.0, 2.0], [True, False]),
        np.zeros(5)[::-1],
    ],
    ids=lambda a: f"{a.dtype}{a.shape[-2:]}",
)
def test_nb_3_every_class_type_and_layout(a, refused):
    with tenure.numpy.write(a) as same:
        assert same is a
        if a.size:
            refused(Status.BORROWED_WRITE, enter, tenure.numpy.read(a))
    with tenure.numpy.read(a) as view:
        assert type(view) is type(a) and view.shape == a.shape


# NB-3: fields of a structure
def test_nb_3_fields_are_apart(refused):
    s = np.zeros(3, dtype=[("a", "i4"), ("b", "f4")])
    with tenure.numpy.write(s["a"]):
        enter(tenure.numpy.write(s["b"]))
        refused(Status.BORROWED_WRITE, enter, tenure.numpy.read(s))


# NB-3: what cannot be borrowed
def test_nb_3_refusals(refused):
    a = np.zeros(3)
    a.flags.writeable = False
    refused(Status.READONLY, enter, tenure.numpy.write(a))
    enter(tenure.numpy.read(a))
    refused(Status.READONLY, enter, tenure.numpy.write(np.lib.stride_tricks.sliding_window_view(np.zeros(5), 2, writeable=True)))
    with pytest.raises(TypeError, match="numpy.ndarray is needed, not list"):
        enter(tenure.numpy.read([1.0]))
    with pytest.raises(TypeError):
        enter(tenure.numpy.read(tenure.zeros(3)))


# NB-4
def test_nb_4_memory_of_an_array_of_tenure_gets_its_guard(refused):
    x = tenure.zeros((2, 3), name="weights")
    n = np.asarray(x)
    with tenure.no_copies(), tenure.numpy.write(n[0]):
        at = line() - 1
        _, text = refused(Status.BORROWED_WRITE, x.fill, 0)
        assert '"weights" is borrowed for writing' in text and f"test_numpy_borrows.py:{at}" in text
        x[1].fill(1)
    with x.read():
        enter(tenure.numpy.read(n))
        refused(Status.BORROWED, enter, tenure.numpy.write(n[1:]))
    assert x.name == "weights"
    with pytest.raises(ZeroDivisionError), tenure.numpy.write(n):
        1 / 0
    refused(Status.POISONED, x.copy)
    x.heal()


# NB-4: an array of Tenure on NumPy's memory
def test_nb_4_an_import_sees_the_borrow(refused):
    a = np.zeros(8)
    x = tenure.asarray(a[2:])
    with tenure.numpy.write(a):
        refused(Status.BORROWED_WRITE, x.copy)
    with x.write():
        refused(Status.BORROWED_WRITE, enter, tenure.numpy.read(a))
        enter(tenure.numpy.write(a[:2]))


# NB-5
def test_nb_5_a_borrow_keeps_the_memory_and_then_lets_go():
    a = np.zeros(1000)
    seen = weakref.ref(a)
    block = tenure.numpy.write(a[1:])
    block.__enter__()
    del a
    gc.collect()
    assert seen() is not None and "open" in repr(block)
    block.__exit__(None, None, None)
    del block
    gc.collect()
    assert seen() is None


class Shared(ctypes.Structure):
    """The struct of rust-numpy's capsule, version 1."""

    ACQUIRE = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.py_object)
    RELEASE = ctypes.PYFUNCTYPE(None, ctypes.c_void_p, ctypes.py_object)
    _fields_ = [
        ("version", ctypes.c_uint64),
        ("flags", ctypes.c_void_p),
        ("acquire", ACQUIRE),
        ("acquire_mut", ACQUIRE),
        ("release", RELEASE),
        ("release_mut", RELEASE),
    ]


def extension():
    """The functions as an extension calls them."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule = np._core.multiarray._RUST_NUMPY_BORROW_CHECKING_API
    return Shared.from_address(get(capsule, b"_RUST_NUMPY_BORROW_CHECKING_API"))


# NB-6, NB-7
def test_nb_6_borrows_of_rust_numpy_are_guards(refused):
    assert tenure.numpy.publish() == tenure.numpy.publish() == "tenure"
    rust, a, x = extension(), np.zeros(6), tenure.zeros(6, name="x")
    assert rust.version == 1
    assert rust.acquire(rust.flags, a) == 0
    assert rust.acquire_mut(rust.flags, a) == -1
    assert "is borrowed for reading" in tenure.numpy.last_refusal()
    refused(Status.BORROWED, enter, tenure.numpy.write(a))
    part = a[:3]
    assert rust.acquire(rust.flags, part) == 0 == rust.acquire(rust.flags, part)
    rust.release(rust.flags, part)
    rust.release(rust.flags, part)
    rust.release(rust.flags, a)
    del part
    n = np.asarray(x)
    with x.write():
        at = line() - 1
        assert rust.acquire(rust.flags, n) == -1
        assert f"test_numpy_borrows.py:{at}" in tenure.numpy.last_refusal()
    assert rust.acquire_mut(rust.flags, n) == 0
    at = line() - 1
    _, text = refused(Status.BORROWED_WRITE, x.copy)
    assert f"test_numpy_borrows.py:{at}" in text
    rust.release_mut(rust.flags, n)
    x.fill(1)
    n = n[:]
    n.flags.writeable = False
    assert rust.acquire_mut(rust.flags, n) == -2
    # A release without a borrow changes nothing.
    rust.release(rust.flags, n)
    rust.release_mut(rust.flags, n)


# NB-6
def test_nb_6_a_borrow_is_released_by_array():
    rust, a, b = extension(), np.zeros(3), np.zeros(3)
    assert rust.acquire_mut(rust.flags, a) == 0
    rust.release_mut(rust.flags, b)
    assert rust.acquire(rust.flags, a) == -1
    rust.release_mut(rust.flags, a)
    assert rust.acquire(rust.flags, a) == 0
    rust.release(rust.flags, a)


# NB-8
def test_nb_8_an_extension_that_came_first(tmp_path):
    program = tmp_path / "first.py"
    program.write_text(
        textwrap.dedent("""
        import ctypes, sys
        import numpy as np
        sys.path.insert(0, sys.argv[1])
        from test_numpy_borrows import Shared, enter
        calls, answer = [], [0]
        def acquire(kind):
            return Shared.ACQUIRE(lambda flags, a: calls.append((kind, flags, id(a))) or answer[0])
        def release(kind):
            return Shared.RELEASE(lambda flags, a: calls.append((kind, flags, id(a))))
        theirs = Shared(1, 77, acquire("read"), acquire("write"), release("end read"), release("end write"))
        name = b"_RUST_NUMPY_BORROW_CHECKING_API"
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        np._core.multiarray._RUST_NUMPY_BORROW_CHECKING_API = new(ctypes.addressof(theirs), name, None)
        import tenure, tenure.numpy
        assert tenure.numpy.publish() == "rust-numpy"
        a = np.zeros(3)
        with tenure.numpy.read(a):
            assert calls == [("read", 77, id(a))]
        assert calls[1:] == [("end read", 77, id(a))]
        enter(tenure.numpy.write(a))
        assert [each[0] for each in calls[2:]] == ["write", "end write"]
        for code, block, status in ((-1, tenure.numpy.write, "BORROWED"), (-1, tenure.numpy.read, "BORROWED_WRITE"),
                                    (-2, tenure.numpy.write, "READONLY")):
            answer[0] = code
            del calls[:]
            try:
                enter(block(a))
            except tenure.OwnershipError as error:
                assert error.status == tenure.Status[status] and "rust-numpy" in str(error), error
            else:
                raise AssertionError(status)
            assert len(calls) == 1 and not tenure.leaks()
        """)
    )
    done = subprocess.run([sys.executable, program, os.path.dirname(__file__)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# NB-8: flags of a version that is not known
def test_nb_8_flags_of_an_old_version(tmp_path):
    program = tmp_path / "old.py"
    program.write_text(
        textwrap.dedent("""
        import ctypes
        import numpy as np
        memory = ctypes.c_uint64(0)
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        np._core.multiarray._RUST_NUMPY_BORROW_CHECKING_API = new(
            ctypes.addressof(memory), b"_RUST_NUMPY_BORROW_CHECKING_API", None)
        import tenure.numpy
        for call in (tenure.numpy.publish, tenure.numpy.read(np.zeros(3)).__enter__):
            try:
                call()
            except ImportError as error:
                assert "version 0" in str(error)
            else:
                raise AssertionError
        """)
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def c_module(tmp_path_factory):
    """numpy_borrows.c, built with the header and nothing else."""
    gcc, include = shutil.which("gcc") or shutil.which("cc"), sysconfig.get_path("include")
    if gcc is None or not os.path.exists(os.path.join(include, "Python.h")):
        pytest.skip("no C compiler, or no Python.h (on Debian: python3-dev)")
    source, built = pathlib.Path(__file__).with_name("numpy_borrows.c"), tmp_path_factory.mktemp("c") / "numpy_borrows.so"
    flags = ["-shared", "-fPIC", "-O1", "-std=c99", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([gcc, *flags, "-I", include, "-I", tenure.get_include(), source, "-o", built], check=True)
    loader = ExtensionFileLoader("numpy_borrows", str(built))
    module = module_from_spec(spec_from_loader("numpy_borrows", loader))
    loader.exec_module(module)
    return module


# NB-9
def test_nb_9_c_code_acquires_and_releases(c_module, refused):
    a = np.zeros(4)
    guard = c_module.acquire(a, True)
    _, text = refused(Status.BORROWED_WRITE, enter, tenure.numpy.read(a))
    assert 'numpy_borrows.c:' in text and '"from C"' in text
    refused(Status.BORROWED_WRITE, c_module.acquire, a, False)
    c_module.release(guard)
    with pytest.raises(ValueError, match=f"no guard {guard} is open"):
        c_module.release(guard)
    readers = [c_module.acquire(a, False) for _ in range(3)]
    assert len(set(readers)) == 3
    refused(Status.BORROWED, enter, tenure.numpy.write(a))
    for guard in readers:
        c_module.release(guard)
    with pytest.raises(TypeError):
        c_module.acquire([], False)
    with pytest.raises(ValueError, match="NULL"):
        c_module.acquire_null()
    enter(tenure.numpy.write(a))


# NB-1 to NB-5: random borrows on views of one array, against a model of bytes
def test_nb_1_random_borrows_against_bytes():
    draw = np.random.default_rng(20)
    a = np.zeros((6, 8), "i2")
    owned = np.arange(a.size).reshape(a.shape)
    readers, writers, opened = np.zeros(a.size, int), np.zeros(a.size, bool), []
    refusals = 0
    for _ in range(1500):
        if opened and draw.random() < 0.45:
            block, elements, writes = opened.pop(draw.integers(len(opened)))
            block.__exit__(None, None, None)
            if writes:
                writers[elements] = False
            else:
                readers[elements] -= 1
            continue
        at = tuple(slice(*sorted(draw.integers(0, n + 1, 2)), draw.integers(1, 4)) for n in a.shape)
        at = tuple(slice(s.stop - 1, s.start - 1 if s.start else None, -s.step) if s.stop and draw.random() < 0.2 else s for s in at)
        elements, writes = owned[at].ravel(), bool(draw.random() < 0.5)
        allowed = not writers[elements].any() and not (writes and readers[elements].any())
        block = (tenure.numpy.write if writes else tenure.numpy.read)(a[at])
        try:
            block.__enter__()
        except tenure.OwnershipError:
            assert not allowed
            refusals += 1
            continue
        assert allowed
        opened.append((block, elements, writes))
        if writes:
            writers[elements] = True
        else:
            readers[elements] += 1
    for block, *_ in opened:
        block.__exit__(None, None, None)
    assert refusals > 100
