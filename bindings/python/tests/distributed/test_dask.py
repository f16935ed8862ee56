"""Arrays in Dask: messages, spilled data, tokens, sizes and chunks."""

import gc
import os
import subprocess
import sys
import textwrap

import dask
import dask.array as da
import numpy as np
import pytest
from dask.sizeof import sizeof
from dask.tokenize import tokenize
from distributed import Client, LocalCluster, wait
from distributed.protocol import deserialize, dumps, loads, serialize, to_serialize
from distributed.spill import SpillBuffer

import tenure
import tenure.distributed.dask

LIMIT = 60
MIB = 1 << 20


def address(x):
    return np.asarray(x.readonly).__array_interface__["data"][0]


def copied():
    """The number of copies that the library counted."""
    return sum(site.count for site in tenure.copies())


def wire(message):
    """A message as it arrives from a socket: header and first buffer in one piece of memory, each later frame in one of its own."""
    frames = dumps(message)
    small = [bytes(frame) for frame in frames[:2]]
    rest = [memoryview(np.frombuffer(bytes(frame), "uint8").copy()) for frame in frames[2:]]
    return [*small, *rest]


# ---- messages


LAYOUTS = {
    "C": lambda x: x,
    "F": lambda x: x.T,
    "part": lambda x: x[2:5],
    "0-d": lambda x: x[0, 0:1].reshape(()),
    "empty": lambda x: x[:0],
}


@pytest.mark.parametrize("dtype", ["f8", "i1", "bool", "c16", "f2"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_frames_are_the_bytes_of_the_array(dtype, layout):
    x = tenure.zeros((6, 4), dtype, name="x")
    x[1] = 1
    view = LAYOUTS[layout](x)
    with tenure.no_copies():
        header, frames = serialize(view, on_error="raise")
        assert header["serializer"] == "dask" and [len(f) for f in frames] == [1, view.nbytes]
        if view.nbytes:
            assert np.frombuffer(frames[1], "u1").__array_interface__["data"][0] == address(view)
    received = [bytearray(f) for f in frames]
    with tenure.no_copies():
        back = deserialize(header, received)
    assert type(back) is tenure.Array and back.tobytes() == view.tobytes() and back.name == view.name
    assert (back.shape, back.dtype, back.strides) == (view.shape, view.dtype, view.strides)
    back.fill(1)
    if view.nbytes:
        assert bytes(received[1]) == back.tobytes("A" if layout != "F" else "F")


def test_bfloat16_in_a_message():
    x = tenure.zeros((3, 4), tenure.bfloat16, name="x")
    x[1, 2] = 1
    header, frames = serialize(x, on_error="raise")
    back = deserialize(header, [bytearray(f) for f in frames])
    assert back.dtype is tenure.bfloat16 and back.tobytes() == x.tobytes()


def test_nobody_writes_an_array_while_it_is_sent():
    x = tenure.ones(1000)
    header, frames = serialize(x, on_error="raise")
    with pytest.raises(tenure.OwnershipError):
        x.write().__enter__()
    assert x[0] == 1
    del frames
    x.fill(2)
    with x.write():
        with pytest.raises(TypeError, match="Could not serialize"):
            serialize(x, on_error="raise")


def test_strided_arrays_are_copied_once():
    x = tenure.ones((10, 10))
    before = copied()
    header, frames = serialize(x[:, ::2], on_error="raise")
    assert copied() == before + 1
    assert deserialize(header, [bytearray(f) for f in frames]).shape == (10, 5)
    assert copied() == before + 1


def test_the_right_to_write_is_the_senders():
    x = tenure.ones(1000)
    readonly = tenure.asarray(np.asarray(x.readonly))
    header, frames = serialize(readonly, on_error="raise")
    assert deserialize(header, [bytearray(f) for f in frames]).flags.readonly
    # Bytes that cannot be written, as a decompressor makes them: a copy, in a pool.
    header, frames = serialize(x, on_error="raise")
    before = copied()
    back = deserialize(header, [bytes(f) for f in frames])
    assert copied() == before + 1 and not back.flags.readonly
    back.fill(2)
    assert back[0] == 2 and x[0] == 1


def test_collections_have_a_frame_for_each_array():
    made = {"a": [tenure.ones(5), tenure.zeros(3)], "b": (tenure.ones((2, 2)), "text")}
    with tenure.no_copies():
        back = loads(wire({"data": to_serialize(made)}))["data"]
    assert back["a"][0].tolist() == [1] * 5 and back["a"][1].flags.foreign
    assert back["b"][0].tolist() == [[1, 1], [1, 1]] and back["b"][1] == "text"


class Holder:
    def __init__(self, x):
        self.x = x


def test_the_family_pickle_has_frames_too():
    x = tenure.ones(1000)
    with tenure.no_copies():
        header, frames = serialize(x, serializers=("pickle",), on_error="raise")
        assert np.shares_memory(np.frombuffer(frames[1], "f8"), np.asarray(x.readonly))
        back = deserialize(header, [bytearray(f) for f in frames])
    assert back.tolist() == x.tolist() and back.flags.foreign and not back.flags.readonly


# ---- workers


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process; the second one receives into pools."""
    quiet = {"distributed.comm.timeouts.connect": "20s", "distributed.admin.log-format": ""}
    with dask.config.set({"distributed.worker.preload": ["tenure.distributed.dask"], **quiet}):
        with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=0) as made:
            yield made


@pytest.fixture
def workers(cluster):
    with Client(cluster, timeout=LIMIT) as client:
        client.wait_for_workers(2, timeout=LIMIT)
        first, second = sorted(client.scheduler_info(n_workers=-1)["workers"])
        yield client, first, second


def make(n, dtype="f8", name=None):
    x = tenure.empty(n, dtype, name=name)
    x.fill(1)
    return x


def seen(x):
    """What a worker tells of an array that it received."""
    store = tenure.owner_of(x)
    clients = {h.name for h in store.holders if h.kind == tenure.HolderKind.BLOCK}
    return {
        "pid": os.getpid(),
        "sum": float(np.asarray(x).sum()),
        "copies": sum(site.count for site in tenure.copies()),
        "foreign": x.flags.foreign,
        "readonly": x.flags.readonly,
        "pool": store.pool_name,
        "clients": clients,
        "aligned": address(x) % x.itemsize == 0,
    }


@pytest.mark.parametrize("n", [1, 1000, 100_003, 4_000_000])
def test_a_worker_receives_an_array_without_our_copy(workers, n):
    client, first, second = workers
    x = client.submit(make, n, workers=[first], pure=False)
    told = client.submit(seen, x, workers=[second], pure=False).result(LIMIT)
    assert told["pid"] != client.submit(os.getpid, workers=[first], pure=False).result(LIMIT)
    assert told["sum"] == n and told["copies"] == 0 and told["foreign"] and not told["readonly"] and told["aligned"]
    assert client.submit(copied, workers=[first], pure=False).result(LIMIT) == 0
    # The preload makes the message's memory that of a pool.
    assert told["pool"] == "default" and "numpy" in told["clients"]


def test_the_client_sends_and_receives_without_our_copy(workers):
    client, first, _ = workers
    x = tenure.ones(50_000)
    before = copied()
    there = client.scatter(x, workers=[first], hash=False)
    told = client.submit(seen, there, workers=[first], pure=False).result(LIMIT)
    assert told["sum"] == 50_000 and told["copies"] == 0
    back = client.gather(there)
    assert back.tolist() == x.tolist() and back.flags.foreign
    assert copied() == before
    # The message is sent, and the array is its owner's again.
    with x.write() as view:
        view[:] = 3


def begin_peak():
    """Forgets the peak of the resident memory, and returns what is resident without free memory of pools."""
    gc.collect()
    tenure.default_pool().trim()
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    return resident("VmRSS")


def resident(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


@pytest.mark.parametrize(("n", "engine"), [(7 * MIB, 0), (16 * MIB, 1)], ids=["one frame", "cut into shards"])
def test_the_copies_of_the_engine(workers, n, engine):
    """Memory tells how many copies there are: distributed joins the pieces of what is larger than distributed.comm.shard, 64 MiB."""
    client, first, second = workers
    x = client.submit(make, n, workers=[first], pure=False)
    wait(x, LIMIT)
    sender, receiver = (client.submit(begin_peak, workers=[at], pure=False).result(LIMIT) for at in (first, second))
    told = client.submit(seen, x, workers=[second], pure=False).result(LIMIT)
    assert told["sum"] == n and told["copies"] == 0 and told["aligned"]
    peaks = [client.submit(resident, "VmHWM", workers=[at], pure=False).result(LIMIT) for at in (first, second)]
    assert peaks[0] - sender < 0.3 * 8 * n
    assert (0.7 + engine) * 8 * n < peaks[1] - receiver < (1.3 + engine) * 8 * n


def test_a_lost_worker_costs_the_client_nothing():
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=0) as cluster:
        with Client(cluster, timeout=LIMIT) as client:
            x = tenure.ones(50_000)
            there = client.scatter(x, hash=False)
            pid = client.submit(os.getpid).result(LIMIT)
            os.kill(pid, 9)
            del there
            x.fill(2)
            assert client.submit(np.sum, np.ones(3)).result(LIMIT) == 3


# ---- sizes, spilling, tokens


def test_sizes():
    x = tenure.zeros((100, 100))
    assert sizeof(x) == 80000 and sizeof(x[:10]) == 8000 and sizeof(x[:0]) == 0
    assert sizeof(tenure.zeros(100, tenure.bfloat16)) == 200
    assert sizeof(x[0].broadcast_to((1000, 100))) == 800
    assert 160000 <= sizeof([x, x]) < 161000


def test_spilling_knows_the_sizes(tmp_path):
    buffer = SpillBuffer(str(tmp_path), target=300_000)
    for at in range(4):
        buffer[f"x{at}"] = tenure.full(12_500, float(at), name=f"x{at}")
    assert len(buffer.fast) == 3 and len(buffer.slow) == 1
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) >= 100_000
    back = buffer["x0"]
    assert back.tolist() == [0.0] * 12_500 and back.name == "x0" and not back.flags.readonly
    buffer.clear()
    del back


def test_tokens_are_those_of_the_contents():
    x = tenure.array(np.arange(12.0).reshape(3, 4), name="x")
    token = tokenize(x, ensure_deterministic=True)
    assert token == tokenize(tenure.array(np.arange(12.0).reshape(3, 4), name="other"))
    code = "import numpy as np, tenure, dask.tokenize as t; print(t.tokenize(tenure.array(np.arange(12.0).reshape(3, 4))))"
    assert run(code) == token + "\n"
    different = [x.T, x.reshape(4, 3), x[:2], x.astype("f4"), x.view("i8"), np.asarray(x), x.reshape(12), x[:, ::-1]]
    assert len({token, *map(tokenize, different)}) == 1 + len(different)
    # The bytes in memory are those of x, but the elements are not.
    same_bytes = tenure.array(np.arange(12.0).reshape(4, 3)).T
    assert np.asarray(same_bytes).ravel("K").tolist() == np.asarray(x).ravel("K").tolist()
    assert tokenize(same_bytes) != token
    before = copied()
    tokenize(x), tokenize(x.T)
    assert copied() == before
    x[0, 0] = 5
    assert tokenize(x) != token


# ---- chunks


VALUES = np.arange(24.0).reshape(6, 4)


def chunked():
    return da.from_array(tenure.array(VALUES), chunks=(3, 2), asarray=False)


@pytest.fixture
def here():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.mark.parametrize(
    "work",
    [
        lambda d: d + 1,
        lambda d: np.sqrt(d) * 2,
        lambda d: d.sum(axis=0),
        lambda d: d.max(axis=1),
        lambda d: d @ d.T,
        lambda d: d.dot(d.T),
        lambda d: d.T[1:3, ::2],
        lambda d: d.rechunk((6, 4)),
        lambda d: d.map_blocks(lambda b: b * 2),
    ],
)
def test_chunks(here, work):
    d = chunked()
    assert isinstance(d._meta, tenure.Array)
    made = work(d).compute()
    assert type(made) is tenure.Array
    assert np.allclose(np.asarray(made), work(da.from_array(VALUES, chunks=(3, 2))).compute())


def test_chunks_that_become_numpys(here):
    """What docs/scaling.md says of chunks: NumPy's functions make NumPy's arrays, and lists are no index."""
    d = chunked()
    assert type(d.std(axis=1).compute()) is np.ndarray and type(da.where(d > 0, d, 0).compute()) is np.ndarray
    for refused in (lambda: d[[0, 4, 1]].compute(), lambda: d.argmax(axis=0).compute()):
        with pytest.raises(TypeError):
            refused()


def test_chunks_are_joined_in_the_current_pool(here):
    before = copied()
    with tenure.Pool(name="joined") as pool:
        d = chunked()
        made = d.compute()
        assert tenure.owner_of(made).pool_name == "joined"
        assert da.concatenate([d, d], axis=1).compute().shape == (6, 8)
        assert da.tensordot(d, d, axes=([0], [0])).compute().tolist() == (VALUES.T @ VALUES).tolist()
        assert da.einsum("ij,kj->ik", d, d).compute().tolist() == (VALUES @ VALUES.T).tolist()
        mixed = da.concatenate([d, da.from_array(VALUES.astype("f4"), chunks=(3, 2))]).compute()
        assert type(mixed) is tenure.Array and mixed.shape == (12, 4)
        assert made.tolist() == VALUES.tolist() and copied() == before
        del made, mixed, d
        gc.collect()
    pool.release()


# ---- registration


def run(code):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


ORDERS = ["import tenure, distributed", "import distributed, tenure", "import dask, tenure, distributed.protocol, dask.array"]


@pytest.mark.parametrize("imports", ORDERS)
def test_any_order_of_imports_registers(imports):
    code = f"""
        {imports}
        import distributed.protocol as p, dask.sizeof as s, dask.tokenize as t, dask.array.dispatch as d, dask.array
        x = tenure.ones(1000)
        assert s.sizeof(x) == 8000
        assert t.normalize_token.dispatch(tenure.Array).__module__ == "tenure.distributed.dask"
        assert d.concatenate_lookup.dispatch(tenure.Array).__module__ == "tenure.distributed.dask"
        assert p.serialize(x)[0]["serializer"] == "dask"
        assert type(s.__loader__) is type(p.__loader__) and "tenure" not in type(s.__spec__.loader).__module__
        print("registered")
    """
    assert run(code) == "registered\n"


def test_importing_tenure_imports_no_engine():
    out = run("import sys, tenure; print([m for m in ('dask', 'distributed', 'joblib', 'ray', 'tenure.distributed') if m in sys.modules])")
    assert out == "[]\n"


def test_an_engine_that_has_changed_warns():
    code = """
        import warnings, tenure, tenure.distributed.dask as ours
        def broken(): raise AttributeError("gone")
        ours._PARTS["dask.sizeof"] = broken
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            import dask.sizeof
        print([str(w.message) for w in seen if "tenure" in str(w.message)])
    """
    assert "tenure cannot register its arrays with dask.sizeof: AttributeError('gone')" in run(code)


def test_nothing_stays_held():
    x = tenure.ones(1000)
    header, frames = serialize(x)
    del frames, header
    gc.collect()
    assert not x.why_not()
