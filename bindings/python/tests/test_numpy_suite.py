"""AL-24: NumPy's own tests pass while NumPy allocates from a Tenure pool, without misuse; remaining blocks are listed.

NumPy ships its tests in the wheel. Here runs a part of them that allocates in many ways; the whole is `TENURE_NUMPY_TESTS=all`.
A test that fails is run again without us, and only what passes there counts against us.
"""

import importlib.util
import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hypothesis") is None, reason="numpy's tests need hypothesis"
)

# Tests that need no compiler: reallocation, views of foreign memory, files, object arrays, sorting, records, matrices,
# random numbers.
PART = [
    "_core/tests/test_multiarray.py",
    "_core/tests/test_mem_overlap.py",
    "_core/tests/test_nditer.py",
    "_core/tests/test_records.py",
    "_core/tests/test_indexing.py",
    "_core/tests/test_shape_base.py",
    "_core/tests/test_stringdtype.py",
    "lib/tests/test_io.py",
    "lib/tests/test_stride_tricks.py",
    "linalg/tests/test_linalg.py",
    "ma/tests/test_core.py",
    "random/tests/test_generator_mt19937.py",
]

ROOT = os.path.dirname(np.__file__)

RUN = """
    import gc, json, os, sys
    import numpy, pytest

    here = None
    if sys.argv[1] == "ours":
        import tenure
        here = tenure.install(tenure.default_pool())

    class Record:
        failed, counts = [], {}
        def pytest_runtest_logreport(self, report):
            if report.when == "call" or report.outcome != "passed":
                self.counts[report.outcome] = self.counts.get(report.outcome, 0) + 1
                if report.outcome == "failed":
                    self.failed.append(report.nodeid)

    record = Record()
    options = ["-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    pytest.main([*options, "-W", "ignore", "-m", "not slow", *sys.argv[3:]], plugins=[record])
    answer = {"failed": record.failed, "counts": record.counts}
    if here is not None:
        gc.collect()
        stats = here.pool.stats()
        numpy_holds = next(client for client in here.pool.clients() if client.name == "numpy")
        left = [holder for holder in tenure.leaks() if holder.kind == tenure.HolderKind.BLOCK]
        answer |= {
            "numpy": numpy_holds._asdict(),
            "misuse": stats.misuse_count,
            "names": sorted({holder.name for holder in left}),
            "left": [len(left), sum(holder.bytes for holder in left)],
            "sum": [sum(client.live_bytes for client in here.pool.clients()), stats.in_use_bytes],
        }
    with open(sys.argv[2], "w") as out:
        json.dump(answer, out)
"""


def suite(allocator, folder, tests):
    out = folder / f"{allocator}.json"
    command = [sys.executable, "-c", textwrap.dedent(RUN), allocator, str(out), f"--rootdir={ROOT}", *tests]
    # In a folder of its own, where tests may leave files.
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ, timeout=3000)
    assert out.exists(), done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(out.read_text()), done.stdout


def test_al_24_numpys_tests_pass_on_a_tenure_pool(tmp_path):
    if os.environ.get("TENURE_NUMPY_TESTS") == "all":
        # f2py's tests compile Fortran, and allocate nothing.
        tests = [ROOT, f"--ignore={ROOT}/f2py"]
    else:
        tests = [os.path.join(ROOT, part) for part in PART]
    ours, text = suite("ours", tmp_path, tests)
    print(ours)
    assert ours["counts"].get("passed", 0) > 3000, text[-4000:]
    if ours["failed"]:
        print("failed on our pool:", *ours["failed"], sep="\n")
        theirs, _ = suite("theirs", tmp_path, [os.path.join(ROOT, name) for name in ours["failed"][:200]])
        assert set(ours["failed"]) <= set(theirs["failed"]), text[-8000:]
    # No wrong free, and the report lists all remaining blocks under numpy's name.
    assert ours["misuse"] == ours["numpy"]["misuse_count"] == 0
    assert ours["names"] in ([], ["numpy"])
    assert ours["left"] == [ours["numpy"]["live_blocks"], ours["numpy"]["live_bytes"]]
    assert ours["sum"][0] == ours["sum"][1]
    assert ours["numpy"]["allocation_count"] > 100_000
