"""The Python programs in examples/ print the output in their last comment."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tenure import cuda

FOLDER = Path(__file__).parents[3] / "examples"
PRODUCT = FOLDER / "tiled_matmul/tiled_matmul.py"
EXAMPLES = [*sorted(FOLDER.glob("*.py")), *sorted(FOLDER.glob("documents/*.py")), PRODUCT]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_print_their_last_comment(path, tmp_path):
    if path == PRODUCT and (cuda.is_available() or shutil.which("g++") is None):
        pytest.skip("it prints something else with a GPU (test_cuda_launch.py), and needs a C++ compiler")
    text = path.read_text()
    said = [line[2:] for line in text.partition("# It prints:\n")[2].splitlines()]
    assert said
    # From another folder, so that the package is the installed one.
    done = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == said
