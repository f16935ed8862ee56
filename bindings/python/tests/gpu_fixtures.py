"""For tests of exchange with libraries of GPUs: a driver is there, and imports have ended before a test checks for leaks.

A driver is needed, the simulated one or a real one: TENURE_TEST_DEVICE=sim|gpu makes its absence a failure. Importing this skips a module
without one.
"""

import ctypes
import gc
import os

import numpy as np
import pytest

from tenure import cuda

if not cuda.is_available():
    if os.environ.get("TENURE_TEST_DEVICE"):
        raise RuntimeError("TENURE_TEST_DEVICE is set, and there is no CUDA device")
    pytest.skip("there is no CUDA driver", allow_module_level=True)


@pytest.fixture(autouse=True)
def settled():
    """Imports end once the device's work on them is done."""
    yield
    gc.collect()
    cuda.synchronize()


@pytest.fixture(scope="module", autouse=True)
def pools():
    """Makes objects that stay after their first use, before a test checks for leaks."""
    for made in (cuda.to_device(np.zeros(3)), cuda.managed_array(3), cuda.pinned_array(3), cuda.mapped_array(3)):
        made.release()
    cuda.default_stream().synchronize()


def struct_at(capsule, name):
    """The address of a capsule's struct."""
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = ctypes.py_object, ctypes.c_char_p
    return api.PyCapsule_GetPointer(capsule, name)
