"""Devices as objects, and names of other libraries that are accepted."""

import pytest

import tenure
import tenure.cuda


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
    assert tenure.cuda.get_memory_info is tenure.cuda.memory_info
