"""Random programs with arrays on a GPU and work on streams against NumPy (walk.py), some seeds of them.

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
    """What is made at the first use and stays is there before a test looks for what was left."""
    cuda.to_device(np.zeros(300000)).copy_to_host()
    for made in (cuda.pinned_array(3), cuda.managed_array(3), cuda.mapped_array(3)):
        made.release()
    s = cuda.stream()
    cuda.to_device(np.zeros(3), s).copy_to_host(stream=s).wait()


# Whatever the streams are in the middle of, a program sees what it would see one step after the other.
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_program_with_streams_does_as_numpy(seed):
    Walk(seed, device=True).run(200)
