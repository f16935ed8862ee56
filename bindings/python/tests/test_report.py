"""Who holds what, what was copied, options."""

import numpy as np
import pytest

import tenure
from tenure import HolderKind, Status


# PY-18, WN-10
def test_owner_of():
    x = tenure.zeros((4, 4), name="K")
    n = np.asarray(x)
    for object in (x, n, n[1:, ::2], memoryview(x), n.__array_interface__["data"][0], x[2]):
        store = tenure.owner_of(object)
        assert store.address == n.__array_interface__["data"][0] and store.nbytes >= 128
        assert ("K", HolderKind.HANDLE) in [(h.name, h.kind) for h in store.holders]
    assert HolderKind.EXPORT_SHARED in [h.kind for h in tenure.owner_of(n).holders]
    assert tenure.owner_of(np.zeros(3)) is None and tenure.owner_of(1) is None
    store = tenure.holders_of(n.__array_interface__["data"][0], 128)
    assert store.pool_name and store.device == "cpu"
    with pytest.raises(TypeError):
        tenure.owner_of(object())
    with x.write():
        assert any(h.kind == HolderKind.GUARD_WRITE for h in tenure.owner_of(x).holders)


def test_holders_of_raises(refused):
    refused(Status.FOREIGN, tenure.holders_of, 4096)
    refused(Status.INVALID, tenure.holders_of, 4096, 0)


def test_leaks_names_what_is_open():
    x = tenure.zeros(3, name="open one")  # here
    mine = [h for h in tenure.leaks() if h.name == "open one"]
    assert [h.kind for h in mine] == [HolderKind.HANDLE] and mine[0].id == x.handle and mine[0].bytes == 24
    assert "'open one'" in repr(mine[0]) and "HANDLE" in repr(mine[0])


# CP-1, CP-2, CP-4, PY-19
def test_copies_are_counted_and_can_be_forbidden(refused):
    raw = bytearray(33)
    n = np.frombuffer(raw, "float64", 4, 1)

    def book():
        return {(c.function, c.site, c.forced): (c.count, c.bytes) for c in tenure.copies()}

    before = book()
    tenure.from_buffer(n)  # a copy that nobody asked for
    new = {k: v for k, v in book().items() if before.get(k) != v}
    ((function, site, forced), (count, size)) = new.popitem()
    assert not new and function == "tn_array_import_host" and forced and count == 1 and size == 32
    assert "test_report.py:" in site
    with tenure.no_copies():
        refused(Status.WOULD_COPY, tenure.from_buffer, n)
        with tenure.no_copies():
            refused(Status.WOULD_COPY, tenure.from_buffer, n)
        refused(Status.WOULD_COPY, tenure.from_buffer, n)
        tenure.from_buffer(n, copy=True)
        with pytest.raises(KeyError):
            with tenure.no_copies():
                raise KeyError
    tenure.from_buffer(n)


def test_sharing_copies_nothing():
    before = tenure.copies()
    with tenure.no_copies():
        x = tenure.zeros((10, 10))
        n = np.asarray(x)
        y = tenure.asarray(n)
        z = np.from_dlpack(y[2:])
        with x.read() as view:
            view.sum()
        tenure.take(tenure.give(y))
    assert tenure.copies() == before
    del n, z


def test_options(refused):
    assert tenure.option("strict") in ("0", "off", "false", "")
    old = tenure.option("strict")
    tenure.option("strict", True)
    assert tenure.option("strict") != old
    tenure.option("strict", old)
    refused(Status.INVALID, tenure.option, "no such option")
    refused(Status.INVALID, tenure.option, "no such option", 1)


def test_run_releases_counts():
    assert tenure.run_releases() == 0


def test_statuses_have_names():
    assert tenure.Status(2).name == "STALE" and len(tenure.Status) == 34
    assert str(tenure.Status.STALE) == "Status.STALE" and tenure.Status.STALE == 2
    with pytest.raises(tenure.Error) as caught:
        tenure.check(9999)
    assert caught.value.status == 9999
