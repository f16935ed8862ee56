"""MPI on arrays, under MPICH and under Open MPI: the checks of mpi_checks.py, a run of four ranks for each library; and docs/scaling.md."""

import ast
import functools
import pathlib
import textwrap

import pytest

import mpiexec
import page

HERE = pathlib.Path(__file__).parent
CHECKS = [
    node.name
    for node in ast.parse((HERE / "mpi_checks.py").read_text()).body
    if isinstance(node, ast.FunctionDef) and any(getattr(d, "id", "") == "check" for d in node.decorator_list)
]


@functools.cache
def checked(mpi):
    return mpiexec.run(mpi, 4, HERE / "mpi_checks.py")


def test_there_are_checks():
    assert len(CHECKS) >= 25


@pytest.mark.parametrize("mpi", mpiexec.MPIS)
def test_the_library_is_the_one_that_is_meant(mpi):
    _, printed, _ = checked(mpi)
    assert {"mpich": "library MPICH Version", "openmpi": "library Open MPI v5"}[mpi] in printed, printed


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("mpi", mpiexec.MPIS)
def test_check(mpi, name):
    status, printed, errors = checked(mpi)
    if f"ok {name}" not in printed.splitlines():
        ended = "ran past its time limit" if status is None else f"ended with {status}"
        pytest.fail(f"{ended}:\n{printed}{errors}", pytrace=False)


@pytest.mark.parametrize("mpi", mpiexec.MPIS)
def test_the_program_ends_well(mpi):
    status, printed, errors = checked(mpi)
    assert status == 0 and printed.splitlines()[-1] == "end", printed + errors


@pytest.mark.parametrize("mpi", mpiexec.MPIS)
def test_the_import_may_come_before_mpi_init(mpi):
    code = """
        import mpi4py
        mpi4py.rc.initialize = False
        from mpi4py import MPI
        import tenure, tenure.distributed.mpi as mpi
        MPI.Init()
        x = tenure.ones(3, "bfloat16")
        y = tenure.zeros(3, "bfloat16")
        mpi.wrap(MPI.COMM_SELF).Sendrecv(x, 0, recvbuf=y, source=0)
        print(x.tobytes() == y.tobytes())
        MPI.Finalize()
    """
    status, printed, errors = mpiexec.run(mpi, 1, "-c", textwrap.dedent(code))
    assert (status, printed) == (0, "True\n"), errors


# What hangs is killed with its children. Where the machine is slow, the ranks get more time to begin.
@pytest.mark.parametrize("mpi", mpiexec.MPIS)
def test_a_program_that_hangs_is_killed(mpi, tmp_path):
    code = f"import os, time; open(os.path.join({str(tmp_path)!r}, str(os.getpid())), 'w'); time.sleep(600)"
    for limit in (3, 12, 48):
        status, _, _ = mpiexec.run(mpi, 2, "-c", code, limit=limit)
        assert status is None
        ranks = [int(file.name) for file in tmp_path.iterdir()]
        assert not any(is_running(pid) for pid in ranks)
        if len(ranks) >= 2:
            return
    pytest.fail("the ranks do not begin")


def is_running(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize("mpi", mpiexec.MPIS)
def test_the_page_shows_what_runs(mpi, tmp_path):
    blocks = page.of("mpi")
    assert len(blocks) >= 3
    # One program, because the start of four ranks takes seconds. Ranks print in any order.
    code, shown = ("".join(parts) for parts in zip(*blocks))
    (tmp_path / "yours.py").write_text(code)
    status, printed, errors = mpiexec.run(mpi, 4, "yours.py", cwd=tmp_path)
    assert (status, sorted(printed.split("\n"))) == (0, sorted(shown.split("\n"))), printed + errors
