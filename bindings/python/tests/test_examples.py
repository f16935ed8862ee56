"""The Python programs in examples/ print the output in their last comment."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_print_their_last_comment(path, tmp_path):
    text = path.read_text()
    said = [line[2:] for line in text.partition("# It prints:\n")[2].splitlines()]
    assert said
    # From another folder, so that the package is the installed one.
    done = subprocess.run([sys.executable, path], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == said
