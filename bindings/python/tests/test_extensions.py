"""The extensions of examples/numpy_borrows, in Cython and nanobind, built as their README says (NB-9)."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

import tenure
from tenure import Status

EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "examples/numpy_borrows"


def build(folder, library):
    for tool in ("gcc", "g++"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}")
    if importlib.util.find_spec({"cython": "Cython"}.get(library, library)) is None:
        pytest.skip(f"no {library}")
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        pytest.skip("no Python.h (on Debian: python3-dev)")
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    commands = (folder / "README.md").read_text().split("```sh\n")[1].split("```")[0].split("\n\n")
    include, of_library = commands[0].splitlines()[1], next(each for each in commands[1:] if library in each)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    script = f"set -eu\n{include}\n{of_library}"
    subprocess.run(["sh", "-c", script], cwd=folder, check=True, timeout=600, env={**os.environ, "PATH": path})
    spec = importlib.util.spec_from_file_location(f"{library}_halve", folder / f"{library}_halve.so")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.halve


# NB-9
@pytest.mark.parametrize("library", ["cython", "nanobind"])
def test_nb_9_an_extension_borrows(library, tmp_path, refused):
    halve = build(tmp_path, library)
    a, x = np.ones((4, 6)), tenure.full((2, 2), 8.0, name="x")
    halve(a)
    assert (a == 0.5).all()
    with tenure.numpy.read(a[1]):
        refused(Status.BORROWED, halve, a)
    seen = []

    def look():
        _, text = refused(Status.BORROWED_WRITE, x.copy)
        seen.append(text)

    halve(np.asarray(x), look)
    assert len(seen) == 1 and '"x" is borrowed for writing' in seen[0]
    assert x.tolist() == [[4.0, 4.0], [4.0, 4.0]]

    def fail():
        1 / 0

    with pytest.raises(ZeroDivisionError):
        halve(a, fail)
    halve(a)
    assert (a == 0.25).all()
