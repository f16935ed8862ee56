"""Which engines are installed, and programs that end with all their processes.

Contract: a program is bounded by a time limit. What it started is killed with it, also what left its process group or lost its parent.
"""

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import uuid

import tenure

# In the environment of a program, and of all that it starts.
_MARK = "TENURE_TEST_PROGRAM"
# Ray prints no advice, and sends nothing.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def installed(engine):
    """Whether a package is there; "mpi": mpi4py and MPI libraries; "cuda": a driver."""
    if engine == "cuda":
        return tenure.cuda.is_available()
    if engine == "mpi":
        return installed("mpi4py") and (pathlib.Path(sys.prefix) / "mpi").is_dir()
    spec = importlib.util.find_spec(engine)
    # This folder has the name of a package, but no file that makes it one.
    return spec is not None and spec.origin is not None


def _marked(mark):
    """The processes with a mark in their environment."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended, or is another user's
    return found


def _kill_all(mark):
    """Ends the processes with a mark. One may start another meanwhile."""
    deadline = time.monotonic() + 20
    while (left := _marked(mark)) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def run_command(command, folder, limit, environment):
    """The exit status of a command, None for one that ran past its limit, its output and its errors."""
    mark = uuid.uuid4().hex
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        program = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**_QUIET, **environment, _MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=errors,
        )
        try:
            status = program.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _kill_all(mark)
            program.wait()
        printed.seek(0)
        errors.seek(0)
        return status, printed.read().decode(errors="replace"), errors.read().decode(errors="replace")


def run(path, folder, limit, **environment):
    """As `run_command`, for a Python program."""
    return run_command([sys.executable, path], folder, limit, {**os.environ, **environment})
