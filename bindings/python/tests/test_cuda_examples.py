"""The Python programs in examples/ that need a GPU print the output in their last comment (FO), with stand-ins for older libraries."""

import pathlib

import pytest

import gpu_fixtures  # noqa: F401 - skips this module without a driver

examples = pytest.importorskip("test_examples", reason="the examples are in the repository")

# Starts a program with the stand-ins importable by the libraries' names.
WITH_STANDINS = f"""
import runpy, sys, types
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
import older_libraries
library = older_libraries.cudamat()
sys.modules.update(cudamat=library, gnumpy=older_libraries.gnumpy(library), **older_libraries.pycuda())
sys.modules["pycuda.autoprimaryctx"] = types.ModuleType("pycuda.autoprimaryctx")
runpy.run_path(sys.argv[1], run_name="__main__")
"""


# FO-4 (device_memory.py), FO-5 (conversions.py)
@pytest.mark.parametrize("path", examples.NEED_GPU, ids=lambda path: path.name)
def test_examples_on_a_gpu_print_their_last_comment(path, tmp_path):
    start = ("-c", WITH_STANDINS) if path.name == "conversions.py" else ()
    examples.prints_its_last_comment(path, tmp_path, start)


def test_the_programs_that_need_a_gpu_are_found():
    assert {path.name for path in examples.NEED_GPU} >= {"conversions.py", "device_memory.py"}
