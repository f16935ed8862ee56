"""Arrow's device interface with memory of GPUs, managed and page-locked memory: CA-34, CA-35.

No library with Arrow arrays on GPUs runs without a GPU, so producers and consumers are objects that pass Tenure's capsules on.
"""

import ctypes

import numpy as np
import pytest
from gpu_fixtures import pools, settled, struct_at  # noqa: F401

import tenure
from tenure import Status, cuda

N = np.arange(12, dtype=np.float32).reshape(3, 4)


class Producer:
    """An array of a library of GPUs: it cannot count nulls there, and copies to the host for consumers without devices."""

    def __init__(self, array):
        self.array = array

    def __arrow_c_device_array__(self, requested_schema=None):
        return self.array.__arrow_c_device_array__(requested_schema)

    def __arrow_c_array__(self, requested_schema=None):
        raise AssertionError("this would copy to the host")

    @property
    def null_count(self):
        raise NotImplementedError("only for the host")


def fields(capsules):
    """device_type, device_id and sync_event of a struct."""
    at = struct_at(capsules[1], b"arrow_device_array")
    return (
        ctypes.c_int32.from_address(at + 88).value,
        ctypes.c_int64.from_address(at + 80).value,
        ctypes.c_uint64.from_address(at + 96).value,
    )


@pytest.mark.parametrize(
    ("make", "device"), [(cuda.to_device, (2, 0, 0)), (cuda.managed_array, (13, 0, 0)), (cuda.pinned_array, (1, -1, 0))]
)
def test_ca_34_the_device_of_an_export(make, device):
    x = make(N) if make is cuda.to_device else make((3, 4), np.float32)
    cuda.synchronize()
    assert fields(x.__arrow_c_device_array__()) == device


@pytest.mark.parametrize("take", [tenure.from_arrow, tenure.asarray])
def test_ca_35_an_array_of_a_gpu_comes_in(take):
    x = cuda.to_device(N)
    y = take(Producer(x))
    assert y.device == x.device and y.shape == (3, 4)
    with x.on(cuda.stream()) as a, y.on(cuda.stream()) as b:
        assert a.pointer == b.pointer
    with pytest.raises(tenure.Error) as refused:
        x.fill(1)
    assert refused.value.status == Status.EXPORTED
    assert np.array_equal(y.copy_to_host(), N)
    y.release()
    cuda.synchronize()  # the uses of y by its stream
    tenure.run_releases()
    x.fill(1)  # all work on it is known, so nothing has to be waited for
    assert x.copy_to_host().sum() == 12


def test_ca_34_a_consumer_names_no_stream():
    x = cuda.to_device(N)
    capsules = x.__arrow_c_device_array__()
    del capsules
    with pytest.raises(tenure.Error, match="tenure.cuda.synchronize"):
        x.fill(1)
    cuda.synchronize()
    x.fill(1)
    assert x.copy_to_host().sum() == 12


def test_ca_35_copies_on_the_device():
    x = cuda.to_device(N)
    y = tenure.from_arrow(Producer(x.T))
    assert y.device == x.device and y.shape == (4, 3) and np.array_equal(y.copy_to_host(), N.T)
    z = tenure.from_arrow(Producer(x), copy=True)
    z.fill(0)
    assert np.array_equal(x.copy_to_host(), N)
