"""Holders, copies and options."""

import array
import ctypes
import io
import json
import mmap
import pathlib
import time
import tracemalloc

import jsonschema
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


# PY-18: any object with bytes can be queried, and a query changes nothing
def test_owner_of_anything():
    x = tenure.zeros((4, 6), "float32", name="K")
    n = np.asarray(x)
    first = n.ctypes.data

    class Tensor:  # as PyTorch's, whose __dlpack__ refuses while gradients are taken
        shape = (2, 3)

        def data_ptr(self):
            return first + 4

        def element_size(self):
            return 4

        def stride(self):
            return (6, 1)

    class OnlyDLPack:
        def __init__(self, source):
            self.source = source

        def __dlpack__(self, **options):
            return self.source.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.source.__dlpack_device__()

    class Old(OnlyDLPack):  # knows no max_version: the legacy struct
        def __dlpack__(self):
            return self.source.__dlpack__()

    class Interface:
        __array_interface__ = n[::-1, ::2].__array_interface__

    class Table:  # a column of one: an array that NumPy can see
        def __array__(self, dtype=None, copy=None):
            return n

    before = tenure.leaks()
    objects = [Tensor(), OnlyDLPack(x), OnlyDLPack(n[:, ::-2]), Old(x), Interface(), Table(), n.view("M8[s]"), x.readonly]
    for object in objects:
        store = tenure.owner_of(object)
        assert store.address == first and store.pool_name, object
        assert "K" in [h.name for h in store.holders]
    assert tenure.leaks() == before
    assert "held by <HANDLE 'K'" in str(tenure.owner_of(n)) and hex(first) in str(tenure.owner_of(n))
    # Foreign memory: None
    with mmap.mmap(-1, 4096) as mapped:
        unknown = [b"bytes", bytearray(3), array.array("d", [1.0]), np.zeros(3), mapped, OnlyDLPack(np.ones(2)), 0, 8, 2**63]
        for object in unknown:
            assert tenure.owner_of(object) is None, object
    for object in ([1, 2], None, "text", tenure.lazy(x)):
        with pytest.raises(TypeError, match="owner_of takes"):
            tenure.owner_of(object)


# AL-23: another library's memory from a pool, and an array on it
def test_owner_of_raw_memory():
    library = ctypes.CDLL(tenure.get_library())
    library.tn_pool_allocate.argtypes = [ctypes.c_uint64, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
    library.tn_pool_deallocate.argtypes = [ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p]
    block = ctypes.c_void_p()
    assert library.tn_pool_allocate(0, 4096, 0, None, ctypes.byref(block)) == 0
    theirs = np.frombuffer((ctypes.c_char * 4096).from_address(block.value), "float64")
    store = tenure.owner_of(theirs[3:7])
    assert store.nbytes == 4096 and store.pool_name == "default" and store.device == "cpu"
    assert [h.kind for h in store.holders] == [HolderKind.BLOCK]
    mine = tenure.asarray(theirs, copy=False)
    mine.name = "on theirs"
    store = tenure.owner_of(theirs)
    assert [(h.kind, h.name) for h in store.holders] == [(HolderKind.HANDLE, "on theirs"), (HolderKind.BLOCK, "default")]
    mine.release()
    assert library.tn_pool_deallocate(0, block, None) == 0
    assert tenure.owner_of(theirs) is None


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
        # The full key of an entry: lines of other tests have copies for several reasons.
        return {(c.function, c.site, c.why, c.forced): (c.count, c.bytes) for c in tenure.copies()}

    before = book()
    tenure.from_buffer(n)  # a copy that was not requested
    new = {k: v for k, v in book().items() if before.get(k) != v}
    ((function, site, _, forced), (count, size)) = new.popitem()
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


# PY-19, CP-4: objects that asarray would have to convert
def test_conversions_that_were_not_requested(refused):
    swapped, numbers = np.arange(3, dtype=">f8"), np.arange(3)
    with tenure.no_copies():
        kind, text = refused(Status.WOULD_COPY, tenure.asarray, swapped)
        assert issubclass(kind, tenure.OwnershipError) and "ndarray" in text and "copy=True" in text
        assert tenure.asarray(swapped, copy=True).tolist() == [0, 1, 2]
        assert tenure.asarray(numbers, dtype="float32").tolist() == [0, 1, 2]  # the conversion was requested
        assert tenure.asarray([1, 2]).tolist() == [1, 2]  # a list has no memory to share
        refused(Status.WOULD_COPY, tenure.asarray, swapped)  # asking changed nothing
    assert tenure.asarray(swapped).tolist() == [0, 1, 2]


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
    assert tenure.Status(2).name == "STALE" and len(tenure.Status) == 35
    assert str(tenure.Status.STALE) == "Status.STALE" and tenure.Status.STALE == 2
    with pytest.raises(tenure.Error) as caught:
        tenure.check(9999)
    assert caught.value.status == 9999


SCHEMA = pathlib.Path(__file__).parents[3] / "docs" / "report.schema.json"


@pytest.fixture(scope="module")
def valid():
    """Checks a snapshot against the committed schema."""
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def check(snapshot):
        problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(snapshot)]
        assert not problems, "\n".join(problems)
        return snapshot

    return check


# PO-38: the statistics of every pool, and the holders of each live block
def test_the_report_fits_its_schema(valid, tmp_path):
    valid(tenure.snapshot())
    pool = tenure.Pool(name='sch\u00e4"ma\\', max_size=1 << 20)
    x = tenure.zeros((8, 8), name="\t\"quoted\" \u00fc", pool=pool)
    n, weak, view = np.asarray(x), x.weak(), x[2:]
    raw = bytearray(64)
    lent = tenure.from_buffer(raw)
    readonly = tenure.from_buffer(b"only to be read")
    odd = tenure.from_buffer(np.frombuffer(raw, "float64", 4, 1))
    np.save(tmp_path / "a.npy", np.ones(9))
    mapped = tenure.open_npy(tmp_path / "a.npy")
    promise = tenure.give(view, 1)
    taken = tenure.take(promise)
    expression = tenure.lazy(x) + tenure.lazy(x)
    empty = tenure.zeros((0, 3))
    with pytest.raises(tenure.OutOfMemoryError, match='largest holders: "'):
        tenure.zeros(1 << 18, pool=pool)
    with x.read():
        snapshot = valid(tenure.snapshot())
    (mine,) = [p for p in snapshot["pools"] if p["name"] == pool.name]
    assert list(mine["stats"]) == list(tenure.PoolStats._fields)
    assert mine["id"] == mine["stats"]["serial"] == pool.stats().serial
    for p in snapshot["pools"]:
        assert sum(c["live_bytes"] for c in p["clients"]) == p["stats"]["in_use_bytes"]
        assert sum(c["live_blocks"] for c in p["clients"]) == p["stats"]["live_blocks"]
    assert mine["stats"]["oom_count"] == 1 and mine["stats"]["limit_bytes"] == 1 << 20

    (store,) = [s for s in snapshot["stores"] if s["pool"] == mine["id"]]
    assert store["address"] == hex(n.ctypes.data) and store["bytes"] == 512
    kinds = [h["kind"] for h in store["holders"]]
    assert {"handle", "export_shared", "guard_read", "expression"} <= set(kinds)
    assert x.name in [h["name"] for h in store["holders"]]
    assert any("test_report.py:" in h["site"] for h in store["holders"])
    flags = {tuple(s["flags"]) for s in snapshot["stores"]}
    assert {("foreign",), ("readonly", "foreign", "file")} <= flags, flags
    assert {"weak", "pool", "promise"} <= {h["kind"] for h in snapshot["open"]}
    book = [(c["function"], c["site"], c["bytes"], c["forced"]) for c in snapshot["copies"]]
    assert book == [(c.function, c.site, c.bytes, c.forced) for c in tenure.copies()]
    del n, weak, lent, readonly, odd, mapped, taken, expression, empty


def test_the_schema_refuses_what_is_wrong(valid):
    good = tenure.snapshot()
    for change in (
        {"schema": 2},
        {"process": -1},
        {"more": 1},
        {"stores": [{"address": "10"}]},
        {"open": [{"kind": "something", "id": "0x1", "name": "", "site": "", "thread": 1, "time_ns": 0, "bytes": 0}]},
    ):
        with pytest.raises(AssertionError):
            valid(good | change)


def printed(**options):
    out = io.StringIO()
    tenure.report(out, **options)
    return out.getvalue()


def test_the_readable_report(capsys):
    before = printed(limit=1000)
    pool = tenure.Pool(name="scratch", max_size=8 << 20)
    x = tenure.zeros((1024, 640), name="weights", pool=pool)  # here
    n = np.asarray(x)
    views = [x[i] for i in range(3)]
    text = printed(limit=1000)
    assert text.startswith(f"tenure {tenure.version}, process ")
    assert 'pool "scratch" on cpu: 5 MiB in use, peak 5 MiB, 5 MiB from the system, limit 8 MiB\n  arrays' in text
    (line,) = [line for line in text.splitlines() if '"weights"' in line]
    assert line.split()[:2] == ["5", "MiB"] and 'array "weights" at ' in line and "test_report.py:" in line
    assert "3 arrays" in line and "shared with another library at" in line and line.endswith('in pool "scratch"')
    del n, views, line
    x.release()
    pool.release()
    assert "scratch" not in printed(limit=1000) and "scratch" not in before

    tenure.report()
    assert capsys.readouterr().out.startswith("tenure ")
    some = [tenure.zeros(i + 1) for i in range(5)]
    assert "more\n" in printed(limit=2)
    del some


def test_the_report_lists_numpy_by_line():
    tracemalloc.start(8)
    try:
        n = np.ones(1 << 16)  # here
        line = test_the_report_lists_numpy_by_line.__code__.co_firstlineno + 3
        (found,) = [t for t in printed(limit=1000).splitlines() if f"test_report.py:{line}" in t]
        assert found.split()[:2] == ["512", "KiB"] and n.size == 1 << 16
    finally:
        tracemalloc.stop()


# AL-6, AL-23: a NumPy program with two additional lines
def test_the_report_shows_what_numpy_holds(valid, refused):
    pool = tenure.Pool(name="numpy's", max_size=64 << 20)
    with tenure.numpy_allocator(pool):
        n = np.ones((512, 512))
        m = n[::2] * 2
    (mine,) = [p for p in valid(tenure.snapshot())["pools"] if p["name"] == pool.name]
    (client,) = mine["clients"]
    assert client["name"] == "numpy" and client["live_bytes"] >= n.nbytes + m.nbytes and client["live_blocks"] >= 2
    lines = printed(limit=1000).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f'pool "{pool.name}"'))
    assert lines[at + 1].split()[:3] == ["numpy", "3", "MiB"] and "peak" in lines[at + 1]
    assert any("of numpy in pool" in line and line.split()[0] == "3" for line in lines)
    store = tenure.owner_of(m[3])
    assert store.pool_name == pool.name and [(h.kind, h.name) for h in store.holders] == [(HolderKind.BLOCK, "numpy")]
    # An array on it: both the block and the array hold the bytes.
    x = tenure.asarray(m, copy=False)
    x.name = "of m"
    assert [h.name for h in tenure.owner_of(m).holders] == ["of m", "numpy"]
    with pytest.raises(tenure.OutOfMemoryError, match="largest holders: 2 MiB of numpy, 1 MiB of numpy"):
        tenure.zeros(64 << 20, pool=pool)
    address = m.ctypes.data
    del m
    assert tenure.owner_of(address).nbytes == x.nbytes  # x keeps it
    x.release()
    assert tenure.owner_of(address) is None
    del n
    pool.release()


def test_readable_sizes():
    sizes = {0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1024: "1 KiB", 1536: "1.5 KiB", 1 << 20: "1 MiB", 3 << 40: "3 TiB"}
    assert {number: tenure._report.size(number) for number in sizes} == sizes


# PO-71
def test_a_snapshot_is_what_the_json_says():
    names = ['plain', 'ä" \\ / ü', "\u202e\x7f\x9b", '\\"', "\\u0041", "𝄞"]
    arrays = [tenure.zeros((3, at), name=name) for at, name in enumerate(names)]
    views = [arrays[0].T, arrays[1][1:], arrays[2].clone()]
    text, snapshot = tenure._tenure._report_json(), tenure.snapshot()
    expected = json.loads(text)

    def timeless(found):
        """Without times and counters, which differ between two reports."""
        if isinstance(found, dict):
            return {key: timeless(value) for key, value in found.items() if not key.endswith("_ns")}
        return [timeless(item) for item in found] if isinstance(found, list) else found

    assert timeless(snapshot["stores"]) == timeless(expected["stores"])
    assert timeless(snapshot["open"]) == timeless(expected["open"])
    assert list(snapshot) == list(expected) and type(snapshot) is dict
    for key in snapshot:
        assert type(snapshot[key]) is type(expected[key])
    assert [list(store) for store in snapshot["stores"]] == [list(store) for store in expected["stores"]]
    found = {holder["name"] for store in snapshot["stores"] for holder in store["holders"]}
    assert set(names) <= found
    # Nothing that looks alike is one object.
    snapshot["stores"][0]["holders"].append(1)
    snapshot["stores"][0]["more"] = snapshot["stores"][1].pop("bytes")
    assert timeless(tenure.snapshot()["stores"]) == timeless(expected["stores"])
    del views


# PO-71
def test_the_time_of_a_snapshot_is_the_sum_of_its_parts():
    def seconds():
        times = []
        for _ in range(3):
            start = time.perf_counter()
            tenure._tenure._report_json()
            times.append(time.perf_counter() - start)
        return min(times)

    arrays = [tenure.empty(1 << 13) for _ in range(4000)]
    alone = seconds()
    pools = [tenure.Pool() for _ in range(400)]
    # Each pool would look at the spans of all pools, and at the whole table of addresses.
    assert seconds() < 5 * alone + 0.1
    assert len(arrays) + len(pools) == 4400


def test_readable_holders():
    def holder(kind, name="", site=""):
        return {"kind": kind, "name": name, "site": site}

    torch = "/venv/lib/python3.11/site-packages/torch/utils/dlpack.py:130"
    holders = [holder("handle")] * 2 + [holder("export_shared", "K", torch), holder("handle", "K", "step.py:4")]
    text = tenure._report._holders([*holders, holder("guard_read", "K", "step.py:9"), holder("promise")])
    assert text.startswith('array "K" at step.py:4, 2 arrays, ')
    assert f"shared with torch at {torch}" in text and "being read at step.py:9" in text and text.count('"K"') == 1
    many = [holder("handle", f"a{i}") for i in range(9)]
    assert tenure._report._holders(many).endswith('"a5", and 3 more')


def test_owner_of_an_array_that_others_hold():
    pool = tenure.Pool(name="owner")
    x = tenure.zeros(6, pool=pool, name="x")
    at = tenure.owner_of(x).address
    with x.write():
        store = tenure.owner_of(x)
        assert 'in pool "owner"' in str(store) and store.address == at
        assert HolderKind.GUARD_WRITE in [h.kind for h in store.holders]
    p = tenure.give(x, required=1)
    store = tenure.owner_of(x)
    assert store.pool_name == "owner" and HolderKind.PROMISE in [h.kind for h in store.holders]
    p.cancel()
    with pytest.raises(RuntimeError), x.write():
        raise RuntimeError
    assert tenure.owner_of(x[1:3]).address == at and tenure.owner_of(x[:0]) is None
