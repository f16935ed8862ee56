"""The Python programs in examples/ print the output in their last comment (FO). test_cuda_examples.py has those that need a GPU."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tenure import cuda

FOLDER = Path(__file__).parents[3] / "examples"
PRODUCT = FOLDER / "tiled_matmul/tiled_matmul.py"
EXAMPLES = [*sorted(FOLDER.glob("*.py")), *sorted(FOLDER.glob("documents/*.py")), FOLDER / "out_of_core/kmeans.py", PRODUCT]
NEED_GPU = [path for path in EXAMPLES if path.read_text().partition("\n")[0].endswith('Needs a GPU."""')]


def prints_its_last_comment(path, folder, start=()):
    """Runs a program from another folder, so that the package is the installed one. `start`: Python's arguments before the path."""
    said = [line[2:] for line in path.read_text().partition("# It prints:\n")[2].splitlines()]
    assert said
    done = subprocess.run([sys.executable, *start, path], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == said


# FO-1 (two_spaces.py), FO-2 (in_place.py)
@pytest.mark.parametrize("path", [path for path in EXAMPLES if path not in NEED_GPU], ids=lambda path: path.name)
def test_examples_print_their_last_comment(path, tmp_path):
    if path == PRODUCT and (cuda.is_available() or shutil.which("g++") is None):
        pytest.skip("it prints something else with a GPU (test_cuda_launch.py), and needs a C++ compiler")
    prints_its_last_comment(path, tmp_path)
