"""Arrays in Ray: in its object store, in tasks and in actors. Nothing registers them: Ray's pickles have the bytes out of band."""

import gc
import os
import sys

import numpy as np
import pytest

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray

import tenure

LIMIT = 60
MIB = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory):
    """One node with two workers and a store of 200 MiB. Its start takes several seconds.

    An object that does not fit yet, because the store frees objects in batches, may go to a disk that is nearly full.
    """
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(
        num_cpus=2,
        object_store_memory=200 * MIB,
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        address="local",
        _system_config={"local_fs_capacity_threshold": 1.0},
    )
    yield
    ray.shutdown()


def copied():
    return sum(site.count for site in tenure.copies())


def address(x):
    return np.asarray(x.readonly).__array_interface__["data"][0]


def mapping(at):
    """The line of /proc/self/maps with an address."""
    for line in open("/proc/self/maps"):
        first, last = (int(part, 16) for part in line.split()[0].split("-"))
        if first <= at < last:
            return line
    return ""


def get(reference):
    return ray.get(reference, timeout=LIMIT)


@ray.remote(num_cpus=1)
def seen(x):
    return {
        "sum": float(np.asarray(x).sum()),
        "readonly": x.flags.readonly,
        "foreign": x.flags.foreign,
        "name": x.name,
        "store": "plasma" in mapping(address(x)) or "/dev/shm" in mapping(address(x)),
        "copies": sum(site.count for site in tenure.copies()),
        "pid": os.getpid(),
    }


@ray.remote(num_cpus=1)
def make(n):
    x = tenure.empty(n, name="made")
    x.fill(3)
    return x, sum(site.count for site in tenure.copies())


def test_an_array_of_the_store_is_the_stores_memory():
    x = tenure.ones((500, 1000), name="x")
    with tenure.no_copies():
        reference = ray.put(x)
        y, z = get(reference), get(reference)
    assert type(y) is tenure.Array and y.name == "x" and y.shape == (500, 1000)
    assert y.flags.readonly and y.flags.foreign and address(y) == address(z) != address(x)
    assert "plasma" in mapping(address(y))
    with pytest.raises(tenure.ReadOnlyError):
        y.fill(2)
    # The store has its own bytes.
    x.fill(2)
    assert y[0, 0] == 1
    del reference


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[10:20], lambda x: x.view("i8")], ids=["F", "part", "i8"])
def test_layouts(view):
    x = tenure.array(np.arange(100_000.0).reshape(100, 1000))
    part = view(x)
    with tenure.no_copies():
        back = get(ray.put(part))
    assert back.tolist() == part.tolist() and back.dtype == part.dtype and back.strides == part.strides


def test_strided_arrays_are_copied_once_by_us():
    x = tenure.ones((100, 1000))
    before = copied()
    assert get(ray.put(x[:, ::2])).shape == (100, 500) and copied() == before + 1


def test_tasks_read_the_store():
    x = tenure.ones(500_000, name="x")
    reference = ray.put(x)
    for argument in (reference, x):
        told = get(seen.remote(argument))
        assert told["sum"] == 500_000 and told["readonly"] and told["foreign"] and told["store"] and told["name"] == "x"
        assert told["copies"] == 0 and told["pid"] != os.getpid()
    before = copied()
    made, copies = get(make.remote(500_000))
    assert copies == 0 and made.name == "made" and made.flags.readonly and made[0] == 3 and "plasma" in mapping(address(made))
    assert copied() == before


def test_the_array_keeps_the_stores_memory():
    """An object that is in use stays: with 200 MiB, ten objects of 40 MiB would take its place."""
    n = 5 * MIB
    reference = ray.put(tenure.full(n, 4.0))
    y = get(reference)
    at, view = address(y), y[10:20]
    del y, reference
    gc.collect()
    for value in range(10):
        other = ray.put(tenure.full(n, float(value)))
        assert address(get(other)) != at
        del other
    assert view.tolist() == [4.0] * 10


def test_the_store_makes_one_copy():
    """That into the store: beside the pages of the store, no memory is needed."""
    n = 5 * MIB
    x = tenure.ones(n)
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    before = status("RssAnon")
    reference = ray.put(x)
    y = get(reference)
    assert address(y) != address(x) and y[n - 1] == 1
    # The peak is of all memory. What is not anonymous, the store's pages among it, has only grown up to here.
    peak = status("VmHWM") - (status("VmRSS") - status("RssAnon"))
    assert peak - before < 0.5 * 8 * n


def status(key):
    """A number of /proc/self/status, in bytes."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


@ray.remote(num_cpus=1)
class Sum:
    def __init__(self):
        self.total = tenure.zeros(100_000)

    def add(self, x):
        self.total += x
        return self.total[0]

    def result(self):
        return self.total


def test_an_actor_keeps_an_array():
    actor = Sum.remote()
    x = ray.put(tenure.ones(100_000))
    assert [get(actor.add.remote(x)) for _ in range(3)] == [1, 2, 3]
    result = get(actor.result.remote())
    assert result.flags.readonly and result[99_999] == 3
    ray.kill(actor)
    gc.collect()
    # The result is in the store, not in the actor.
    assert result[0] == 3
