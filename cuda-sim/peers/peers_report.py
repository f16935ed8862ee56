"""A pytest plugin that writes a line of JSON for each test that begins or ends, so that the last line names the test of a crash.

Loaded with `-p peers_report`; the environment variable PEERS_REPORT names the file. The plugin also has the fixture that
numba-cuda's tests use, because the wheel lacks the conftest.py that defines it.
"""

import ctypes
import json
import os

import pytest


def write(**line):
    with open(os.environ["PEERS_REPORT"], "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


class Launch(ctypes.Structure):
    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("shared", ctypes.c_uint), ("device", ctypes.c_int)]


@ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.POINTER(Launch), ctypes.POINTER(ctypes.c_void_p))
def hello_world(launch, parameters):
    """Implements the kernel of numba-cuda's test_cuda_driver.py, where it is PTX: thread i writes i."""
    count, device = launch.contents.block[0], launch.contents.device
    address = ctypes.cast(parameters[0], ctypes.POINTER(ctypes.c_uint64))[0]
    driver.tenure_sim_bytes.restype = ctypes.c_void_p
    driver.tenure_sim_bytes.argtypes = (ctypes.c_uint64, ctypes.c_size_t, ctypes.c_int)
    place = driver.tenure_sim_bytes(address, 4 * count, device)
    if not place:
        return 700
    for at in range(count):
        (ctypes.c_int * count).from_address(place)[at] = at
    return 0


driver = ctypes.CDLL("libcuda.so.1")
# It runs on a thread of its own, because it needs the interpreter lock, which a thread inside the driver may hold.
driver.tenure_sim_register_kernel(b"_Z10helloworldPi", hello_world, (ctypes.c_size_t * 1)(8), ctypes.c_size_t(1), 1)


@pytest.fixture(scope="class")
def initialize_from_pytest_config(request):
    request.cls._dump_failed_filechecks = False


def pytest_runtest_logstart(nodeid, location):
    write(test=nodeid, event="begins")


def pytest_runtest_logreport(report):
    if report.outcome == "skipped":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
        write(test=report.nodeid, event="skipped", text=str(reason).removeprefix("Skipped: "))
    elif report.outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        text = crash.message if crash else str(report.longrepr)
        write(test=report.nodeid, event="failed", text=text, whole=report.longreprtext[-6000:])


def pytest_runtest_logfinish(nodeid, location):
    write(test=nodeid, event="ends")


def pytest_collectreport(report):
    if report.failed:
        text = report.longreprtext
        write(test=report.nodeid or "collection", event="failed", text=text.strip().splitlines()[-1], whole=text[-6000:])
    elif report.outcome == "skipped":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        write(test=report.nodeid, event="skipped", text=str(reason).removeprefix("Skipped: "))
