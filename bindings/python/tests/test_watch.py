"""`tenure.watch`: arrays that cannot be written while others read their bytes (NB-10, NB-11)."""

import gc
import threading

import numpy as np
import pytest

import tenure
from tenure import Status


def refuses(*arrays):
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1


def packages(aliases):
    return [alias.package for alias in aliases]


# NB-10
def test_nb_10_a_watched_array_is_read_only(refused):
    base = np.zeros((3, 4))
    view = base[1:]
    part = view[:, ::2]
    with tenure.watch(part, name="frames") as w:
        assert w.is_active and packages(w.owners) == ["numpy"] and w.owners[0].object is base
        refuses(part, base)
        view[0, 1] = 9  # NumPy knows no way from `part` to this view
        assert base[1, 1] == 9
        with tenure.numpy.read(base):
            pass
        refused(Status.READONLY, tenure.numpy.write(part).__enter__)
        _, text = refused(Status.BORROWED, tenure.numpy.write(view).__enter__)
        assert '"frames"' in text and "test_watch.py" in text
    assert not w.is_active and base.flags.writeable and part.flags.writeable
    part[:] = 0
    with tenure.numpy.write(part):
        pass
    w.end()


# NB-10
def test_nb_10_the_last_watch_gives_the_permission_back():
    base = np.zeros(8)
    low, high = base[:4], base[4:]
    first, second, third = tenure.watch(low), tenure.watch(high), tenure.watch(base)
    refuses(base, low, high)
    first.end()
    refuses(base, high)
    third.end()
    refuses(base, high)
    second.end()
    for array in (base, low, high):
        array[:] = 1
    held = tenure.watch(base)
    refuses(base)
    del held
    gc.collect()
    base[:] = 2
    # An array that was read-only stays so.
    base.flags.writeable = False
    with tenure.watch(base):
        pass
    refuses(base)


# NB-10
def test_nb_10_what_cannot_be_watched(refused):
    with pytest.raises(TypeError, match="numpy.ndarray"):
        tenure.watch([1.0])
    a = np.zeros(4)
    with pytest.raises(TypeError, match="object does not tell"):
        tenure.watch(a, object())
    with tenure.numpy.write(a, name="camera"):
        _, text = refused(Status.BORROWED_WRITE, tenure.watch, a)
        assert '"camera"' in text

    class Described:
        def __init__(self, array):
            self.array, self.__array_interface__ = array, array.__array_interface__

    foreign = np.asarray(Described(a))
    with pytest.raises(ValueError, match="permit writes"):
        tenure.watch(foreign)
    foreign[:] = 3
    assert a.tolist() == [3] * 4 and a.flags.writeable


# NB-11
def test_nb_11_a_watch_ends_with_its_readers():
    a = np.arange(100.0)
    shared, copied, buffer = a[10:20], a[:10].copy(), memoryview(a)[50:]
    w = tenure.watch(a, shared, copied, buffer)
    assert packages(w.readers) == ["numpy", "builtins"] and w.copies == (("numpy", copied),)
    del shared
    refuses(a)
    del buffer
    a[0] = 1
    assert not w.is_active and w.readers == ()
    # One that has a copy is no reader, so nothing is watched.
    w = tenure.watch(a, copied)
    assert not w.is_active and packages(w.copies) == ["numpy"]
    a[0] = 2
    # The end on another thread, and before the readers'.
    shared = [a[10:20]]
    w = tenure.watch(a, shared[0])
    thread = threading.Thread(target=shared.clear)
    thread.start(), thread.join()
    a[0] = 3
    shared = a[10:20]
    w = tenure.watch(a, shared)
    w.end()
    a[0] = 4
    assert packages(w.readers) == ["numpy"]


# NB-11
def test_nb_11_arrays_of_tenure():
    a = np.arange(4.0)
    x = tenure.asarray(a)
    w = tenure.watch(a, x)
    assert packages(w.readers) == ["tenure"]
    refuses(a)
    x.release()
    del x
    a[0] = 5
    own = np.asarray(tenure.zeros(3))
    with tenure.watch(own) as w:
        assert "tenure" in packages(w.owners)
        refuses(own)
    own[:] = 1


# NB-11: arrow#51162
def test_nb_11_arrays_of_arrow():
    pa = pytest.importorskip("pyarrow")
    a = np.arange(6.0)
    table = pa.table({"x": pa.array(a), "y": pa.array(a, pa.float32())})
    w = tenure.watch(a, table)
    assert packages(w.readers) == ["pyarrow"]
    refuses(a)
    assert table["x"].to_pylist() == [0, 1, 2, 3, 4, 5]
    copied = tenure.watch(a, table["y"])
    assert packages(copied.copies) == ["pyarrow"] and not copied.is_active
    del table, copied
    a[:] = 1
    assert not w.is_active
    # The other way: NumPy's array is a view of Arrow's, which is never written.
    array = pa.array([1.0, 2.0])
    seen = array.to_numpy()
    with tenure.watch(seen, pa.py_buffer(seen)) as w:
        assert packages(w.owners)[-1] == "pyarrow" and w.owners[-1].object is array and packages(w.readers) == []
    assert not seen.flags.writeable


# NB-11
def test_nb_11_series_of_pandas():
    pd = pytest.importorskip("pandas")
    a = np.arange(6.0)
    series, frame = pd.Series(a, copy=False), pd.DataFrame({"x": np.arange(3)})
    w = tenure.watch(a, series, frame)
    assert packages(w.readers) == ["pandas"] and packages(w.copies) == ["pandas"]
    refuses(a)
    del series
    gc.collect()
    a[:] = 1
    pa = pytest.importorskip("pyarrow")
    stored = pd.Series(pd.arrays.ArrowExtensionArray(pa.array(a)))
    w = tenure.watch(a, stored)
    assert packages(w.readers) == ["pandas"]
    refuses(a)
