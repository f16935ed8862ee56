"""The package's types: the stubs are what is there, and checkers infer shapes, element types and views (PY-28)."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

import tenure

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parents[2] / "examples"


@pytest.fixture
def check(tmp_path):
    """Runs a module of mypy's on the package that this process imported."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("no mypy")

    def run(module, *arguments):
        package = os.path.dirname(os.path.dirname(tenure.__file__))
        settings = {**os.environ, "MYPY_CACHE_DIR": str(tmp_path)}
        if package != os.path.dirname(os.path.dirname(pytest.__file__)):  # not installed, where mypy looks
            settings |= {"MYPYPATH": package, "PYTHONPATH": package}
        command = [sys.executable, "-m", module, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=settings)
        return done.returncode, done.stdout + done.stderr

    return run


# PY-28
def test_py_28_stubs_are_what_is_there(check):
    settings = ["--mypy-config-file", HERE / "mypy.ini", "--allowlist", HERE / "stubtest-allowlist.txt"]
    status, text = check("mypy.stubtest", "tenure", "--ignore-missing-stub", "--ignore-unused-allowlist", *settings)
    assert status == 0, text


# PY-28
def test_py_28_types_are_inferred(check, tmp_path):
    status, text = check("mypy", "--config-file", HERE / "mypy.ini", HERE / "typed.py")
    assert status == 0, text
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import tenure\nx: int = tenure.zeros(3)\ntenure.zeros(3).no_such_name\n")
    status, text = check("mypy", "--config-file", HERE / "mypy.ini", wrong)
    assert status == 1 and "wrong.py:2" in text and "wrong.py:3" in text


# PY-28: a class can be subscripted in an annotation that runs
def test_py_28_an_array_can_be_subscripted():
    import numpy as np

    kind = tenure.Array[tuple[int, int], np.dtype[np.float64]]
    assert kind.__origin__ is tenure.Array and len(kind.__args__) == 2


# PY-28
def test_py_28_the_examples_are_typed(check):
    if not EXAMPLES.exists():
        pytest.skip("no examples here")
    files = [EXAMPLES / "numpy_views.py", EXAMPLES / "two_processes.py", *sorted((EXAMPLES / "documents").glob("*.py"))]
    # The examples have no annotations, and know that what they look for is there.
    lenient = ["--allow-untyped-defs", "--allow-untyped-calls", "--disable-error-code=union-attr", "--disable-error-code=func-returns-value"]
    status, text = check("mypy", "--config-file", HERE / "mypy.ini", "--scripts-are-modules", *lenient, *files)
    assert status == 0, text
