"""Shared variables: values that are copied, borrowed and moved in, read, set and updated."""

import copy
import threading

import numpy as np
import pytest

import tenure
from tenure import Crossing, HolderKind, Status, Why

ALIAS, COPY = Crossing("aliased", Why(0)), Crossing("copied", Why(0))


def address(x):
    return tenure.owner_of(x).address


# SV-1, SV-10, SV-20
def test_copies_by_default():
    n = np.arange(6.0).reshape(2, 3)
    w = tenure.shared(n, name="w")
    assert w.crossing == COPY
    n[:] = 7
    first, second = w.get_value(), w.get_value()
    assert first.tolist() == second.tolist() == [[0, 1, 2], [3, 4, 5]] and address(first) != address(second)
    first += 1
    assert w.get_value().tolist() == second.tolist()
    assert (w.name, w.version, w.shape, w.ndim, w.dtype, w.nbytes) == ("w", 1, (2, 3), 2, np.float64, 48)
    assert (w.device, w.home, w.is_poisoned, w.detach_count) == ("cpu", "cpu", False, 0)
    assert repr(w) == '<shared variable "w" float64 (2, 3), version 1>'


# SV-3, SV-11, SV-21, SV-25
def test_borrowed_values_are_constant(refused):
    x = tenure.zeros(4, name="weights")
    w = tenure.shared(x, borrow=True)
    assert w.crossing == ALIAS and w.name == "weights"
    value = w.get_value(borrow=True)
    assert w.crossing == ALIAS and address(value) == address(x)
    for write in (lambda: x.fill(1), lambda: np.add(x, 1, out=x), lambda: value.write().__enter__()):
        with pytest.raises(tenure.OwnershipError, match="shared variable") as caught:
            write()
        assert caught.value.status == Status.SHARED
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(value)[0] = 1
    assert x.why_not() & Why.SHARED
    assert HolderKind.SHARED_VARIABLE in {holder.kind for holder in x.why_not().holders}
    with x.write("cow") as v:
        v[:] = 5
    assert w.get_value().tolist() == [0] * 4 and address(x) != address(value)
    w.release()
    value += 1
    assert value.tolist() == [1] * 4
    with pytest.raises(tenure.Error, match="released"):
        w.get_value()
    assert repr(w) == "<released shared variable>"


# SV-2, SV-7, SV-13, SV-15
def test_what_becomes_of_values():
    x = tenure.zeros((2, 3))
    owner = tenure.shared(x, borrow=True)
    for value, why in [(x, Why.SHARED), (tenure.zeros(3).broadcast_to((2, 3)), Why.LAYOUT)]:
        assert tenure.shared(value, borrow=True).crossing == Crossing("copied", why)
        with pytest.raises(tenure.Error):
            tenure.shared(value, require_borrow=True)
    readonly = np.zeros(3)
    readonly.flags.writeable = False
    assert tenure.shared(readonly, borrow=True).crossing == Crossing("copied", Why.READONLY)
    moved = tenure.ones(3)
    place = address(moved)
    w = tenure.shared(tenure.give(moved))
    assert w.crossing == ALIAS and address(w.get_value(borrow=True)) == place
    assert tenure.shared([1.0, 2.0]).crossing == ALIAS, "converted once, and moved in"
    assert tenure.shared(5).get_value().tolist() == 5
    n = np.zeros(3)
    lent = tenure.shared(n, borrow=True)
    assert lent.crossing == ALIAS
    with lent.update(in_place=True) as value:
        value += 1
    assert lent.crossing == Crossing("copied", Why.FOREIGN) and n.tolist() == [0, 0, 0], "lent memory is never written"
    assert owner.get_value(borrow=True, return_internal_type=True).tolist() == [[0] * 3] * 2


# SV-4, SV-30 to SV-32
def test_set_value(refused):
    w = tenure.shared(np.zeros((2, 3)))
    kept = w.get_value(borrow=True)
    place = address(kept)
    w.set_value(np.ones((2, 3)))
    assert kept.tolist() == [[0] * 3] * 2 and w.get_value().tolist() == [[1] * 3] * 2 and w.detach_count == 1
    del kept
    place = address(w.get_value(borrow=True))
    w.set_value(np.full((3, 2), 2.0))
    assert address(w.get_value(borrow=True)) == place and w.shape == (3, 2) and w.version == 3
    with pytest.raises(TypeError):
        w.set_value(np.zeros((2, 2), "float32"))
    with pytest.raises(ValueError):
        w.set_value(np.zeros(2))
    assert w.version == 3 and w.get_value().tolist() == [[2.0, 2.0]] * 3


# SV-34, SV-36
def test_update():
    w = tenure.shared(np.zeros(3), name="w")
    place = address(w.get_value(borrow=True))
    with w.update() as value:
        value += 1
        assert w.get_value().tolist() == [0, 0, 0], "the old value, until the block ends"
        for change in (lambda: w.set_value(np.ones(3)), lambda: w.update().__enter__()):
            with pytest.raises(tenure.OwnershipError) as caught:
                change()
            assert caught.value.status == Status.BORROWED_WRITE
    assert w.get_value().tolist() == [1, 1, 1] and w.version == 2
    with pytest.raises(tenure.Error, match="released"):
        value.fill(9)
    place = address(w.get_value(borrow=True))
    with w.update(in_place=True) as value:
        np.multiply(value, 2, out=value)
        with pytest.raises(tenure.OwnershipError):
            w.get_value(borrow=True)
    assert w.crossing == ALIAS and address(w.get_value(borrow=True)) == place and w.get_value().tolist() == [2, 2, 2]
    with pytest.raises(ZeroDivisionError), w.update() as value:
        value += 1
        1 / 0
    assert w.get_value().tolist() == [2, 2, 2] and w.version == 3
    with pytest.raises(ZeroDivisionError), w.update(in_place=True) as value:
        value += 1
        1 / 0
    assert w.is_poisoned and "undefined" in repr(w)
    with pytest.raises(tenure.OwnershipError) as caught:
        w.get_value()
    assert caught.value.status == Status.POISONED
    w.set_value(np.zeros(3))
    assert w.get_value().tolist() == [0, 0, 0]
    with pytest.raises(tenure.Error, match="open for writing"), w.update() as value:
        view = np.asarray(value)
    assert w.version == 4 and w.get_value().tolist() == [0, 0, 0]
    del view


# SV-9
def test_copies_are_counted_and_forbidden():
    wide = tenure.zeros(3).broadcast_to((2, 3))
    count = lambda why: sum(c.count for c in tenure.copies() if c.function == "tn_shared_create" and c.why == why)
    before = count(Why.LAYOUT), count(Why(0))
    tenure.shared(wide, borrow=True)
    tenure.shared(wide)
    assert (count(Why.LAYOUT), count(Why(0))) == (before[0] + 1, before[1] + 1)
    with tenure.no_copies():
        with pytest.raises(tenure.Error) as caught:
            tenure.shared(wide, borrow=True)
        assert caught.value.status == Status.WOULD_COPY
        tenure.shared(wide)


def test_options():
    pool = tenure.Pool(name="mine")
    w = tenure.shared(np.zeros(4), pool=pool, strict=True)
    assert pool.stats().requested_bytes == 32
    with pytest.raises(tenure.Error):
        tenure.shared(np.zeros(4), device="cuda:77")
    with pytest.raises(ValueError):
        tenure.shared(np.zeros((4, 4)).T, strict=True)
    with pytest.raises(TypeError):
        copy.copy(w)


def test_threads_see_whole_values():
    w = tenure.shared(np.zeros(64))
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                value = w.get_value(borrow=True)
            except tenure.OwnershipError:
                continue
            if len(set(value.tolist())) != 1:
                wrong.append(value.tolist())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for k in range(200):
        with w.update(in_place=k % 2) as value:
            value += 1
        w.set_value(np.full(64, float(k)))
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong and w.version == 401
