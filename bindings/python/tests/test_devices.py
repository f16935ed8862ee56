"""Devices as objects, and names of other libraries that are accepted."""

import pathlib

import pytest

import tenure
import tenure.cuda

import numba_names


# A device as an object stands wherever its text does.
def test_devices_as_objects():
    d = tenure.Device("cuda", 1)
    assert d == "cuda:1" and (d.type, d.index) == ("cuda", 1) and hash(d) == hash("cuda:1")
    assert tenure.Device("cpu") == tenure.zeros(2, device=tenure.Device("cpu", 0)).device == "cpu"
    assert tenure.Device("cuda") == "cuda:0" and tenure.Device("cuda_managed:2").index == 2
    assert repr(d) == "tenure.Device('cuda', 1)" and eval(repr(d)) == d
    for wrong in (("gpu",), ("cuda:0", 1)):
        with pytest.raises(ValueError):
            tenure.Device(*wrong)
    assert tenure.zeros((2, 2)).ravel(order="C", stream=0).shape == (4,)
    assert tenure.zeros((1, 2)).squeeze(0, stream=0).shape == (2,) and len(tenure.zeros(4).split(2, stream=0)) == 2
    assert tenure.cuda.get_memory_info is tenure.cuda.memory_info


# The names of numba-cuda that Tenure has, and the words for the others: docs/migration/numba.md has what is there.
def test_the_table_of_numbas_names():
    page = pathlib.Path(__file__).resolve().parents[3] / "docs" / "migration" / "numba.md"
    if not page.exists():
        pytest.skip("docs/migration/numba.md is not here")
    text = page.read_text()
    assert numba_names.document(text) == text, "out of date: cargo xtask interop"
    record = numba_names.RECORD.read_text()
    with pytest.raises(SystemExit, match="cuda.unheard_of of .* is neither in Tenure nor in INSTEAD"):
        numba_names.table(record + "cuda.unheard_of()\n")
    with pytest.raises(SystemExit, match=r"to_device\(.*\) does not take numba's \(obj, to, copy\)"):
        numba_names.table(record.replace("to_device(obj, stream, copy, to)", "to_device(obj, to, copy)"))
    with pytest.raises(SystemExit, match="INSTEAD has names .* lacks: cuda.close"):
        numba_names.table(record.replace("cuda.close()\n", ""))
