"""Random programs with arrays on a GPU and work on streams against NumPy (walk.py), for some seeds.

A driver is needed, the simulated one or a real one: TENURE_TEST_DEVICE=sim|gpu makes its absence a failure.
"""

import os

import numpy as np
import pytest
from walk import Walk

from tenure import cuda

if not cuda.is_available():
    if os.environ.get("TENURE_TEST_DEVICE"):
        raise RuntimeError("TENURE_TEST_DEVICE is set, and there is no CUDA device")
    pytest.skip("there is no CUDA driver", allow_module_level=True)

SEEDS = int(os.environ.get("TENURE_RANDOM_SEEDS", "8"))


@pytest.fixture(scope="module", autouse=True)
def pools():
    """Makes objects that stay after their first use, before a test checks for leaks."""
    cuda.to_device(np.zeros(300000)).copy_to_host()
    for made in (cuda.pinned_array(3), cuda.managed_array(3), cuda.mapped_array(3)):
        made.release()
    s = cuda.stream()
    cuda.to_device(np.zeros(3), s).copy_to_host(stream=s).wait()


# Whatever work is pending, a program sees the results of running its steps one by one.
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_program_with_streams_does_as_numpy(seed):
    Walk(seed, device=True).run(200)
