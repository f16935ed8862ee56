"""`.npy` files (IO rows), against NumPy."""

import bz2
import gzip
import io
import os
import tempfile
import threading

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


# NP-3: files cross between NumPy and Tenure in both directions
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_version_type_and_number_of_axes(tmp_path, version, order):
    types = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()
    shapes = [(), (0,), (3,), (2, 3), (2, 0, 3), (2, 3, 4), (1,) * 31 + (5,), (2,) + (1,) * 30 + (2,)]
    for name in types:
        for shape in shapes:
            n = np.asarray((np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape).astype(name), order=order)
            with open(tmp_path / "theirs.npy", "wb") as file:
                np.lib.format.write_array(file, n, version)
            for mode in ("r", None):
                x = tenure.open_npy(tmp_path / "theirs.npy", mode)
                assert x.dtype == n.dtype and x.shape == n.shape and np.array_equal(np.asarray(x), n)
                assert n.size < 2 or (x.strides == n.strides)
            x.save_npy(tmp_path / "ours.npy")
            loaded = np.load(tmp_path / "ours.npy")
            assert loaded.dtype == n.dtype and loaded.shape == n.shape and np.array_equal(loaded, n)
            assert loaded.flags.f_contiguous == n.flags.f_contiguous


def test_a_unicode_field_name_is_structured(tmp_path, refused):
    n = np.zeros(2, [("ä", "f4"), ("b", "i4")])
    with open(tmp_path / "f.npy", "wb") as file:
        np.lib.format.write_array(file, n, (3, 0))
    refused(Status.DTYPE, tenure.open_npy, tmp_path / "f.npy")
    refused(Status.DTYPE, tenure.save_npy, tmp_path / "b.npy", tenure.zeros(2, tenure.bfloat16))
    assert not (tmp_path / "b.npy").exists()


# NP-2: the file stays mapped until the last consumer ends
def test_consumers_of_a_mapped_file(tmp_path):
    path = tmp_path / "mapped.npy"
    np.save(path, np.arange(4.0))

    def mapped():
        with open("/proc/self/maps") as maps:
            return "mapped.npy" in maps.read()

    x = tenure.open_npy(path)
    views = [np.asarray(x), np.from_dlpack(x), memoryview(x)]
    with pytest.raises(BufferError):
        x.__dlpack__()  # the struct without a version cannot say read-only
    os.unlink(path)
    x.release()
    del x
    while views:
        assert mapped() and not np.asarray(views[-1]).flags.writeable
        assert np.asarray(views[-1]).tolist() == [0, 1, 2, 3]
        views.pop()
    assert not mapped()


# IO-8
def test_booleans_that_are_none(tmp_path):
    path = tmp_path / "b.npy"
    np.save(path, np.array([0, 1, 2, 255], "u1").view(bool))
    assert tenure.open_npy(path).view("uint8").tolist() == [0, 1, 2, 255]
    assert tenure.open_npy(path, None).view("uint8").tolist() == [0, 1, 1, 1]


# AR-62: open files, at their position; afterwards they stand where numpy.load and numpy.save leave them
@pytest.mark.parametrize("buffering", [-1, 0])
def test_open_files(tmp_path, buffering):
    path = tmp_path / "several.npy"
    arrays = [np.arange(8.0).reshape(2, 4), np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(3, dtype="u1"),
              np.float32(7)]
    with open(path, "wb", buffering) as file, open(tmp_path / "theirs.npy", "wb") as theirs:
        for n in arrays:
            file.write(b"text before it\n")
            theirs.write(b"text before it\n")
            tenure.save_npy(file, tenure.array(n) if n.ndim < 2 else tenure.array(n.T).T)
            np.save(theirs, n if n.ndim < 2 else n.T.copy().T)
            assert file.tell() == theirs.tell()
    assert path.read_bytes() == (tmp_path / "theirs.npy").read_bytes()
    for mode in (None, "r", "c", "r+"):
        with open(path, "r+b", buffering) as file:
            for i, n in enumerate(arrays):
                assert file.readline() == b"text before it\n"
                at = file.tell()
                try:
                    x = tenure.open_npy(file, mode)
                except tenure.ArgumentError as error:
                    # Not aligned for its elements in this file.
                    assert error.status == Status.WOULD_COPY and mode is not None and file.tell() == at
                    x = tenure.open_npy(file, None)
                assert x.tolist() == n.tolist() and x.dtype == n.dtype
                end = file.tell()
                file.seek(at)
                np.load(file)
                assert file.tell() == end
            assert file.read() == b""
    # Writes that Python's buffer still holds, and a position before the end.
    with open(path, "w+b") as file:
        np.save(file, np.arange(4))
        file.seek(0)
        assert tenure.open_npy(file).tolist() == [0, 1, 2, 3]
        file.seek(0)
        assert file.read(3) == b"\x93NU"
        file.seek(0)
        tenure.zeros(4, "i8").save_npy(file, sync=True)
        assert file.tell() == 160
        file.write(b"tail")
    assert np.load(path).tolist() == [0] * 4 and path.read_bytes().endswith(b"tail")
    with open(path, "ab") as file:
        tenure.ones(2).save_npy(file)
    with open(path, "rb") as file:
        file.seek(164)
        assert tenure.open_npy(file, None).tolist() == [1, 1] and file.read() == b""


# AR-62
def test_other_open_files(tmp_path, refused):
    x = tenure.array([1.0, 2.0])
    for make in (tempfile.TemporaryFile, tempfile.NamedTemporaryFile, tempfile.SpooledTemporaryFile):
        with make() as file:
            file.write(b"12345678")
            x.save_npy(file)
            file.seek(8)
            assert tenure.open_npy(file, "r").tolist() == [1, 2] and file.tell() == 8 + 128 + 16

    class Only:
        def __init__(self, fd):
            self.fd = fd

        def fileno(self):
            return self.fd

    fd = os.open(tmp_path / "fd.npy", os.O_RDWR | os.O_CREAT)
    x.save_npy(Only(fd))
    assert os.lseek(fd, 0, os.SEEK_CUR) == 144
    os.lseek(fd, 0, os.SEEK_SET)
    assert tenure.open_npy(Only(fd)).tolist() == [1, 2] and os.lseek(fd, 0, os.SEEK_CUR) == 144
    os.close(fd)
    with pytest.raises(OSError):
        tenure.open_npy(Only(fd))
    # A pipe is written, and not opened.
    read, write = os.pipe()
    with open(read, "rb") as source, open(write, "wb") as sink:
        x.save_npy(sink)
        sink.close()
        refused(Status.IO, tenure.open_npy, source)
        assert np.load(io.BytesIO(source.read())).tolist() == [1, 2]


# AR-62: what has no descriptor of its own
def test_files_that_are_refused(tmp_path, refused):
    path, x = tmp_path / "f.npy", tenure.zeros(3)
    x.save_npy(path)
    with open(path, "rb") as file, open(path) as text, gzip.open(tmp_path / "z", "wb") as packed:
        for function, what in ((tenure.open_npy, "numpy.load"), (lambda f: x.save_npy(f), "numpy.save")):
            for wrong, why in ((io.BytesIO(), "BytesIO"), (text, "text mode"), (packed, "GzipFile"), (io.StringIO(), "text"),
                               (bz2.open(path), "BZ2File"), (7, "int"), (None, "NoneType"), (object(), "object")):
                with pytest.raises(TypeError, match=why) as caught:
                    function(wrong)
                assert what in str(caught.value)
                del caught
        with pytest.raises(TypeError, match="BytesIO"):
            tenure.open_safetensors(io.BytesIO())
        with pytest.raises(ValueError, match='mode "xb"'):
            x.save_npy(file, exclusive=True)
        kind, text = refused(Status.IO, x.save_npy, file)
        assert "Bad file descriptor" in text
        refused(Status.IO, tenure.open_npy, file, "r+")
    with pytest.raises(ValueError, match="closed file"):
        tenure.open_npy(file)

    class Without:
        def fileno(self):
            raise io.UnsupportedOperation("fileno")

    with pytest.raises(TypeError, match="no descriptor"):
        tenure.open_npy(Without())
    with pytest.raises(ValueError, match="null byte in the path '.*; remove it"):
        tenure.open_npy(f"{path}\0x")
    with pytest.raises(ValueError, match="NUL character at byte 1"):
        tenure.zeros(3, name="a\0b")


def test_a_file_that_another_thread_closes(tmp_path):
    n = np.arange(1 << 20)
    np.save(tmp_path / "f.npy", n)
    for _ in range(20):
        file = open(tmp_path / "f.npy", "rb")
        closer = threading.Thread(target=file.close)
        closer.start()
        try:
            assert np.array_equal(np.asarray(tenure.open_npy(file, None)), n)
        except ValueError as error:
            assert "closed" in str(error)
        closer.join()
        file.close()
