"""Starts Python under the MPI libraries that the environment has: ``mpi/NAME`` in ``target/venv-distributed``, which `cargo xtask distributed`
makes."""

import os
import pathlib
import sys

from engines import run_command

MPIS = ("mpich", "openmpi")
LIBRARIES = {"mpich": "libmpi.so.12", "openmpi": "libmpi.so.40"}
LIMIT_SECONDS = 100


def _folder(mpi):
    return pathlib.Path(sys.prefix) / "mpi" / mpi


def _environment(mpi):
    """For programs of one MPI library: also as root, and without a network."""
    # Unbuffered, a rank prints the parts of a line one by one, and ranks print at the same time.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {
        **inherited,
        "MPI4PY_LIBMPI": str(_folder(mpi) / "lib" / LIBRARIES[mpi]),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_osc": "^ucx",  # it prints errors where there is no such network
    }


def run(mpi, ranks, *arguments, limit=LIMIT_SECONDS, cwd=None):
    """Runs Python in several processes: the exit status, None for a run past its limit, the output and the errors."""
    more = ["--oversubscribe"] if mpi == "openmpi" else []
    command = [_folder(mpi) / "bin" / "mpiexec", *more, "-n", ranks, sys.executable, *arguments]
    return run_command(command, cwd, limit, _environment(mpi))
