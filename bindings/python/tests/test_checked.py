"""Accesses that no guard allows, with TENURE_CHECK=1, in programs of their own: CK-1 to CK-5."""

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("numpy")

START = """
import ctypes, resource, numpy, tenure
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
x = tenure.zeros(100, dtype="f8")
x.name = "weights"
"""

# What is wrong, the program, and what is said.
DEFECTS = {
    "a pointer that outlives its guard": (
        "with x.write() as w:\n    at = numpy.asarray(w).ctypes.data\nctypes.c_double.from_address(at).value = 1",
        ["a write of byte 0", '"weights" of 800 bytes', "which no guard or export has open", "a write guard"],
    ),
    "a pointer that outlives a reader": (
        "with x.read() as r:\n    at = numpy.asarray(r).ctypes.data\nprint(ctypes.c_double.from_address(at).value)",
        ["a read of byte 0", "which no guard or export has open", "a read guard"],
    ),
    "a write through a reader": (
        "with x.read() as r:\n    ctypes.c_double.from_address(numpy.asarray(r).ctypes.data + 8).value = 1",
        ["a write of byte 8", "which is open for reads only"],
    ),
    "a pointer that outlives the array": (
        "with x.write() as w:\n    at = numpy.asarray(w).ctypes.data\nx.release()\nprint(ctypes.c_double.from_address(at).value)",
        ["a read of byte 0", "which was released"],
    ),
    "a pointer that outlives a NumPy view": (
        "view = numpy.asarray(x)\nat = view.ctypes.data\ndel view\nprint(ctypes.c_double.from_address(at + 16).value)",
        ["a read of byte 16", "which no guard or export has open", "an export"],
    ),
    "a pointer of an array that was given away": (
        "with x.write() as w:\n    at = numpy.asarray(w).ctypes.data\ny = tenure.take(tenure.give(x))\nctypes.c_double.from_address(at).value = 1",
        ["a write of byte 0", "which no guard or export has open"],
    ),
}


def run(program: str, check: str = "1") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TENURE_CHECK": check}
    return subprocess.run([sys.executable, "-c", START + program], env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("defect", DEFECTS)
def test_ck_2_each_defect_is_told(defect: str) -> None:
    program, said = DEFECTS[defect]
    done = run(program)
    assert done.returncode == -signal.SIGSEGV, done.stderr
    assert all(text in done.stderr for text in said), done.stderr


def test_ck_4_an_overrun_is_told_at_the_end_of_the_guard() -> None:
    done = run("with x.write() as w:\n    ctypes.c_double.from_address(numpy.asarray(w).ctypes.data + 800).value = 1\nprint('done')")
    assert done.returncode == 0 and done.stdout == "done\n"
    assert 'bytes behind the array "weights" of 800 bytes' in done.stderr


def test_ck_5_faulthandler_still_runs() -> None:
    program = "import faulthandler\n" + DEFECTS["a write through a reader"][0]
    environment = {**os.environ, "TENURE_CHECK": "1"}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", START + program], env=environment, capture_output=True, text=True, timeout=120
    )
    assert "Fatal Python error: Segmentation fault" in done.stderr and "a write of byte 8" in done.stderr


def test_correct_programs_run_as_without_the_option() -> None:
    program = """
x[:] = 3.0
y = numpy.asarray(x)
assert y.sum() == 300
del y
z = x.copy()
with z.write() as w:
    numpy.asarray(w)[...] = 1
print(float(numpy.asarray(z).sum()))
"""
    checked, plain = run(program), run(program, "0")
    assert (checked.returncode, checked.stderr) == (0, "") and checked.stdout == plain.stdout
