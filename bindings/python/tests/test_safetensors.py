"""Safetensors files (NP-10, NP-11, NP-12), against the package of that name."""

import json
import struct

import numpy as np
import pytest

import tenure
from tenure import Status

theirs = pytest.importorskip("safetensors.numpy")

NAMES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64".split()


def write(path, header, data=b"", pad=0):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * pad
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


# NP-10
def test_files_of_the_package(tmp_path):
    path = tmp_path / "f.safetensors"
    n = {f"{name}/{i}": np.asarray(np.arange(np.prod(shape)).reshape(shape) % 2).astype(name)
         for name in NAMES for i, shape in enumerate([(), (3,), (2, 3, 4), (0, 5)])}
    n["ä \n\"quoted\" 😀"] = np.arange(3)
    theirs.save_file(n, path, metadata={"format": "np", "ä": "\n"})
    for copy in (None, True):
        opened = tenure.open_safetensors(path, copy=copy)
        assert set(opened) == set(n)
        for name, x in opened.items():
            assert x.dtype == n[name].dtype and x.shape == n[name].shape and np.array_equal(np.asarray(x), n[name])
            assert x.flags.readonly == (copy is None)


# Messages and reports name a tensor.
def test_tensors_have_their_names(tmp_path):
    path = tmp_path / "n.safetensors"
    theirs.save_file({"layer.0": np.ones(3), "é" * 40: np.ones(2)}, path)
    opened = tenure.open_safetensors(path)
    assert opened["layer.0"].name == tenure.open_safetensors(path, "layer.0").name == "layer.0"
    assert opened["é" * 40].name == "é" * 30 + "..."
    with pytest.raises(tenure.ReadOnlyError, match='"layer.0" is read-only'):
        opened["layer.0"].fill(0)


# Every tensor can be listed and opened, whatever its name.
def test_names_of_any_length(tmp_path):
    path = tmp_path / "long.safetensors"
    names = ["x" * 300, "é" * 200, "x" * 300 + "y", "a", "n\0b", "", "__metadata_"]
    write(
        path,
        {"__metadata__": {"k": "v"}} | {name: {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i, name in enumerate(names)},
        bytes(range(len(names))),
    )
    for copy in (None, True):
        opened = tenure.open_safetensors(path, copy=copy)
        assert list(opened) == names
        assert [x[0] for x in opened.values()] == list(range(len(names)))
    assert opened["x" * 300].name == "x" * 60 + "..."
    assert tenure.open_safetensors(path, "é" * 200)[0] == 1
    assert tenure.open_safetensors(path, ["n\0b"])["n\0b"][0] == 4
    with pytest.raises(KeyError, match="no such tensor"):
        tenure.open_safetensors(path, "a\0")
    write(path, {name: {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for name in ("a", "a\0b")})
    with pytest.raises(KeyError, match="NUL character"):
        tenure.open_safetensors(path)
    assert tenure.open_safetensors(path, "a").shape == (0,)


def test_bfloat16(tmp_path):
    path = tmp_path / "b.safetensors"
    write(path, {"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, struct.pack("<HH", 0x3F80, 0xC000))
    w = tenure.open_safetensors(path, "w")
    assert w.dtype == tenure.bfloat16 and w.view("uint16").tolist() == [0x3F80, 0xC000]


# NP-11
def test_one_mapping_that_ends_with_the_last(tmp_path, refused):
    path = tmp_path / "f.safetensors"
    theirs.save_file({"a": np.arange(6.0).reshape(2, 3), "b": np.arange(4), "c": np.zeros(3)}, path)

    def mapped():
        with open("/proc/self/maps") as maps:
            return str(path) in maps.read()

    opened = tenure.open_safetensors(path, ["b", "a"], copy=False)
    assert list(opened) == ["b", "a"]
    path.unlink()
    a, b = opened.pop("a"), opened.pop("b")
    refused(Status.READONLY, a.fill, 0)
    n = np.asarray(b)
    assert not n.flags.writeable and tenure.owner_of(n) is not None
    a.release()
    b.release()
    with open("/proc/self/maps") as maps:
        assert "f.safetensors" in maps.read()  # NumPy still has it
    assert n.tolist() == [0, 1, 2, 3]
    del n
    assert not mapped()


def test_read_into_a_pool(tmp_path):
    path = tmp_path / "f.safetensors"
    theirs.save_file({"a": np.arange(6.0), "b": np.arange(4)}, path)
    pool = tenure.Pool(name="tensors")
    with tenure.no_copies():  # a copy by contract
        opened = tenure.open_safetensors(str(path), copy=True, pool=pool)
    assert pool.stats().requested_bytes == 6 * 8 + 4 * 8
    path.unlink()
    opened["a"].fill(1)
    assert opened["a"].tolist() == [1] * 6


def test_not_aligned(tmp_path, refused):
    path = tmp_path / "f.safetensors"
    header = {"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}, "b": {"dtype": "U8", "shape": [1], "data_offsets": [8, 9]}}
    write(path, header, struct.pack("<d", 2.5) + b"\7", pad=(9 - len(json.dumps(header)) % 8) % 8)
    opened = tenure.open_safetensors(path)
    assert opened["a"].tolist() == [2.5] and not opened["a"].flags.readonly
    assert opened["b"].tolist() == [7] and opened["b"].flags.readonly
    refused(Status.WOULD_COPY, tenure.open_safetensors, path, copy=False)
    with tenure.no_copies():
        refused(Status.WOULD_COPY, tenure.open_safetensors, path)


# NP-12
def test_refused(tmp_path, refused):
    path = tmp_path / "f.safetensors"
    kind, text = refused(Status.IO, tenure.open_safetensors, path)
    assert issubclass(kind, OSError) and "f.safetensors" in text
    one = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}
    write(path, {"a": one}, b"1")
    assert tenure.open_safetensors(path, "a").tolist() == [49]
    refused(Status.INVALID, tenure.open_safetensors, path, ["a", "missing"])
    for header, data, status in (
        (b'{"a":', b"", Status.IO),
        ({"a": one}, b"12", Status.IO),
        ({"a": one}, b"", Status.IO),
        (b'{"a":%s,"a":%s}' % ((json.dumps(one).encode(),) * 2), b"1", Status.IO),
        ({"a": one | {"dtype": "F8_E4M3"}}, b"1", Status.DTYPE),
        ({"a": one | {"shape": [1 << 63]}}, b"1", Status.OVERFLOW),
        ({"__metadata__": {"a": 1}}, b"", Status.IO),
    ):
        write(path, header, data)
        refused(status, tenure.open_safetensors, path)
    write(path, {"x" * 300: one}, b"1")
    with pytest.raises(KeyError):
        tenure.open_safetensors(path, "a\0b")


# AR-62
def test_open_files(tmp_path):
    path = tmp_path / "f.safetensors"
    n = {"a": np.arange(6.0).reshape(2, 3), "b": np.arange(3, dtype="u1")}
    theirs.save_file(n, path)
    for prefix in (b"", b"12345678", b"odd"):
        (tmp_path / "at").write_bytes(prefix + path.read_bytes())
        for copy in (None, True):
            with open(tmp_path / "at", "rb") as file:
                file.seek(len(prefix))
                opened = tenure.open_safetensors(file, copy=copy)
                assert list(opened) == list(n) or set(opened) == set(n)
                assert all(opened[name].tolist() == n[name].tolist() for name in n)
                assert file.read() == b""
                file.seek(len(prefix))
                assert tenure.open_safetensors(file, "b", copy=copy).tolist() == [0, 1, 2]
    with open(path, "rb") as file, pytest.raises(KeyError, match="NUL character"):
        tenure.open_safetensors(file, "a\0")
