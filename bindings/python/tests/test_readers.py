"""Other libraries read arrays as a whole: none reads element by element. Each is tested where it is installed."""

import collections
import contextlib
import warnings

import numpy as np
import pytest

import tenure

COUNT = 20_000


@contextlib.contextmanager
def elements_asked():
    """Counts single elements that were read: by `__getitem__`, and by `__iter__`."""
    asked = collections.Counter()
    getitem, iterate = tenure.Array.__getitem__, tenure.Array.__iter__

    def counted_getitem(self, at):
        asked["getitem"] += 1
        return getitem(self, at)

    def counted_iterate(self):
        for one in iterate(self):
            asked["iter"] += 1
            yield one

    tenure.Array.__getitem__, tenure.Array.__iter__ = counted_getitem, counted_iterate
    try:
        yield asked
    finally:
        tenure.Array.__getitem__, tenure.Array.__iter__ = getitem, iterate


@pytest.fixture
def x():
    made = tenure.asarray(np.arange(float(COUNT)), copy=True)
    yield made
    made.release()


def few(asked):
    """Reading the first element is allowed, and so is slicing."""
    assert sum(asked.values()) <= 30, dict(asked)


def address(x):
    return np.asarray(x).ctypes.data


def test_the_count_sees_every_element(x):
    with elements_asked() as asked:
        for _ in x[:100]:
            pass
        assert x[7] == 7
    assert asked == {"getitem": 2, "iter": 100}


NUMPY = {
    "asarray": np.asarray,
    "array": np.array,
    "from_dlpack": np.from_dlpack,
    "add": lambda x: np.add(x, 1),
    "sum": np.sum,
    "mean": np.mean,
    "median": np.median,
    "sort": np.sort,
    "unique": np.unique,
    "dot": lambda x: np.dot(x, x),
    "concatenate": lambda x: np.concatenate([x, x]),
    "stack": lambda x: np.stack([x, x]),
    "r_": lambda x: np.r_[x, x],
    "searchsorted": lambda x: np.searchsorted(x, 5.0),
    "split": lambda x: np.split(x, 2),
    "where": np.where,
    "copyto": lambda x: np.copyto(np.empty(COUNT), x),
    "set": lambda x: np.empty(COUNT).__setitem__(slice(None), x),
    "to int": lambda x: np.asarray(x, dtype=int),
    "assert_array_equal": lambda x: np.testing.assert_array_equal(x, x),
    "to_numpy": lambda x: x.to_numpy(),
    "bytes": bytes,
}


@pytest.mark.parametrize("name", NUMPY)
def test_numpy(x, name):
    with elements_asked() as asked:
        NUMPY[name](x)
    few(asked)


def test_to_numpy_is_the_same_bytes(x):
    n = x.to_numpy()
    assert n.ctypes.data == address(x) and n.flags.writeable and n.dtype == float


@pytest.mark.needs("pandas")
def test_pandas(x):
    pd = pytest.importorskip("pandas")
    with elements_asked() as asked:
        s = pd.Series(x)
        frame = pd.DataFrame({"a": x})
        square = pd.DataFrame(x.reshape((200, 100)))
        index = pd.Index(x)
    few(asked)
    assert s.sum() == frame["a"].sum() == square.to_numpy().sum() == index.to_numpy().sum() == COUNT * (COUNT - 1) / 2
    assert s.dtype == float
    assert pd.Series(x, copy=False).to_numpy().ctypes.data == address(x)


def test_pyarrow(x):
    pa = pytest.importorskip("pyarrow")
    with elements_asked() as asked:
        buffer = pa.py_buffer(x)
        tensor = pa.Tensor.from_numpy(np.asarray(x))
        array = pa.array(x) if hasattr(x, "__arrow_c_array__") else pa.array(x.to_numpy())
    few(asked)
    assert buffer.address == address(x) and tensor.shape == (COUNT,)
    assert len(array) == COUNT and array[COUNT - 1].as_py() == COUNT - 1
    assert array.buffers()[1].address == address(x)
    del buffer, tensor, array


def test_jax(x):
    jax = pytest.importorskip("jax")
    with elements_asked() as asked:
        j = jax.numpy.asarray(x)
        total = float(j.sum())
        d = jax.numpy.from_dlpack(x)
    few(asked)
    assert j.shape == d.shape == (COUNT,) and total == pytest.approx(COUNT * (COUNT - 1) / 2, rel=1e-5)
    del j, d


@pytest.mark.needs("PIL")
def test_pillow():
    Image = pytest.importorskip("PIL.Image")
    x = tenure.asarray(np.arange(3000, dtype=np.uint8).reshape(20, 50, 3) % 251, copy=True)
    with elements_asked() as asked:
        image = Image.frombuffer("RGB", (50, 20), x)
        other = Image.fromarray(x.to_numpy())
    few(asked)
    assert image.size == other.size == (50, 20)
    assert (np.asarray(image) == np.asarray(x)).all() and (np.asarray(other) == np.asarray(x)).all()
    image.close()
    del image, other
    x.release()


@pytest.mark.needs("matplotlib")
def test_matplotlib(x):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    picture = tenure.zeros((20, 50, 3), dtype="uint8")
    calls = {
        "plot": lambda axes: axes.plot(x),
        "plot two": lambda axes: axes.plot(x, x),
        "scatter": lambda axes: axes.scatter(x, x),
        "hist": lambda axes: axes.hist(x),
        "imshow": lambda axes: axes.imshow(picture),
        "fill_between": lambda axes: axes.fill_between(x, x),
        "boxplot": lambda axes: axes.boxplot(x),
        "pcolormesh": lambda axes: axes.pcolormesh(x.reshape((200, 100))),
    }
    for name, call in calls.items():
        figure, axes = plt.subplots()
        with elements_asked() as asked, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(axes)
            figure.canvas.draw()
        plt.close(figure)
        assert sum(asked.values()) <= 30, (name, dict(asked))
    del figure, axes
    picture.release()
