"""`.npy` files (IO rows), against NumPy."""

import os

import numpy as np
import pytest

import tenure
from tenure import Status


@pytest.mark.parametrize("name", "bool int8 uint16 int32 int64 float16 float32 float64 complex64 complex128".split())
@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (3, 4, 2)])
def test_files_of_both_sides(tmp_path, name, shape):
    n = (np.random.default_rng(1).random(shape) * 100).astype(name)
    np.save(tmp_path / "theirs.npy", n)
    for mode in ("r", "c", "r+", None):
        x = tenure.open_npy(tmp_path / "theirs.npy", mode)
        assert x.dtype == n.dtype and x.shape == n.shape and np.array_equal(np.asarray(x), n)
        assert x.flags.readonly == (mode == "r")
    tenure.save_npy(tmp_path / "ours.npy", tenure.array(n))
    loaded = np.load(tmp_path / "ours.npy")
    assert loaded.dtype == n.dtype and loaded.shape == n.shape and np.array_equal(loaded, n)


# IO-1, IO-2
def test_modes(tmp_path, refused):
    path = tmp_path / "f.npy"
    np.save(path, np.arange(4.0))
    x = tenure.open_npy(path, name="file")
    assert x.name == "file" and x.flags.foreign and not np.asarray(x).flags.writeable  # NP-2
    refused(Status.READONLY, x.fill, 0)
    c = tenure.open_npy(path, "c")
    c[0] = 9
    assert np.load(path)[0] == 0
    w = tenure.open_npy(path, "r+")
    w[1] = 8
    w.release()
    assert np.load(path)[1] == 8
    copied = tenure.open_npy(str(path), None)
    copied[0] = 5
    os.unlink(path)
    assert x.tolist() == [0, 8, 2, 3] and c[0] == 9 and copied[0] == 5
    with pytest.raises(ValueError):
        tenure.open_npy(path, "w")


# IO-6, IO-11
def test_errors(tmp_path, refused):
    kind, text = refused(Status.IO, tenure.open_npy, tmp_path / "missing.npy")
    assert issubclass(kind, OSError) and "missing.npy" in text
    (tmp_path / "bad.npy").write_bytes(b"no file of numpy")
    refused(Status.IO, tenure.open_npy, tmp_path / "bad.npy")
    np.save(tmp_path / "object.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    kind, _ = refused(Status.DTYPE, tenure.open_npy, tmp_path / "object.npy")
    assert issubclass(kind, TypeError)
    tenure.zeros(3).save_npy(tmp_path / "new.npy", exclusive=True, sync=True)
    refused(Status.IO, tenure.zeros(4).save_npy, tmp_path / "new.npy", exclusive=True)
    assert np.load(tmp_path / "new.npy").shape == (3,)
    refused(Status.IO, tenure.zeros(4).save_npy, tmp_path / "no folder" / "f.npy")
    refused(Status.LIMIT, tenure.open_npy, tmp_path / "new.npy", max_header_bytes=16)
    with pytest.raises(TypeError):
        tenure.open_npy(7.5)
    assert sorted(os.listdir(tmp_path)) == ["bad.npy", "new.npy", "object.npy"]


# IO-10
def test_any_layout_is_saved(tmp_path):
    n = np.arange(24.0).reshape(2, 3, 4)
    x = tenure.array(n)
    for i, key in enumerate([np.s_[:, ::-1], np.s_[..., 1], np.s_[1:, ::2, ::-2]]):
        tenure.save_npy(tmp_path / f"{i}.npy", x[key])
        assert np.array_equal(np.load(tmp_path / f"{i}.npy"), n[key])
    tenure.save_npy(tmp_path / "t.npy", x.T)
    assert np.load(tmp_path / "t.npy").flags.f_contiguous
