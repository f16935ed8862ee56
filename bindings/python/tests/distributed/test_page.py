"""The Python blocks of docs/scaling.md, each run where its engine is installed. test_mpi.py runs those of MPI."""

import pytest

import page
from engines import run

LIMIT = 120
# What each engine needs.
ENGINES = {"dask": "distributed", "ray": "ray", "joblib": "joblib", "ucx": "ucxx", "nccl": "cuda"}
# NCCL needs a GPU, and the block shows who calls what: a stand-in, which checks what it gets on the simulated driver.
BEFORE = {
    "nccl": """
class communicator:
    @staticmethod
    def allReduce(source, target, count, dtype, operation, stream):
        assert source == target and (count, dtype, operation) == (1000, 8, 0) and stream > 2, stream
"""
}


def test_every_engine_of_the_page_is_tested():
    assert {name for name, _, _ in page.blocks()} == {*ENGINES, "mpi"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.engines(package)) for name, package in ENGINES.items()])
def test_blocks_print_what_the_page_shows(name, tmp_path):
    for code, shown in page.of(name):
        file = tmp_path / "yours.py"
        file.write_text(BEFORE.get(name, "") + code)
        status, printed, errors = run(file, tmp_path, LIMIT, UCX_TLS="tcp,sm,self")
        printed = "".join(line for line in printed.splitlines(True) if " UCX " not in line)
        assert (status, printed) == (0, shown), errors
