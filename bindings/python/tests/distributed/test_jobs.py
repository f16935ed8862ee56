"""The programs of examples/distributed print the output in their last comment: the result is NumPy's, and no array was copied."""

from pathlib import Path

import pytest

import mpiexec
from engines import run

FOLDER = Path(__file__).parents[4] / "examples/distributed"
ENGINES = {"kmeans_dask.py": "distributed", "kmeans_mpi.py": "mpi", "kmeans_processes.py": "numpy", "kmeans_ray.py": "ray"}
LIMIT = 120
PROGRAMS = [
    pytest.param(name, mpi, marks=pytest.mark.engines("sklearn", package))
    for name, package in ENGINES.items()
    for mpi in (mpiexec.MPIS if package == "mpi" else [None])
]


def test_all_programs_are_here():
    assert {path.name for path in FOLDER.glob("*_*.py")} == set(ENGINES)


@pytest.mark.parametrize(("name", "mpi"), PROGRAMS)
def test_jobs_print_their_last_comment(name, mpi, tmp_path):
    path = FOLDER / name
    said = [line[2:] for line in path.read_text().partition("# It prints:\n")[2].splitlines()]
    assert said
    started = mpiexec.run(mpi, 4, path, cwd=tmp_path) if mpi else run(path, tmp_path, LIMIT)
    status, printed, errors = started
    assert (status, printed.splitlines()) == (0, said), errors
