"""Runs other projects' tests for NVIDIA's driver on the simulated one, and writes or compares the table of results.

    python run.py --write FILE --pycuda FOLDER [NAME ...]    writes FILE
    python run.py --check FILE --pycuda FOLDER [NAME ...]    fails if FILE differs

FOLDER is PyCUDA's source distribution, which has its tests. A NAME is part of a test file's name: only such files run,
and no table is written or compared. `cargo xtask sim-peers` calls this with the environment, the loader's path and the folder.

The packages come unchanged from the package index and use their own allocators, except where a suite says otherwise. A test
that needs a compiler or a GPU is recognised by its exception (`NEEDS`), and the table has it with that reason. Every other
failure counts as one, also if `KNOWN` explains it.
"""

import argparse
import collections
import difflib
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
# Tests of device code need a compiler and a GPU, which the simulator has not: (pattern of the exception's text, why)
NEEDS = [
    (r"get_curand_version", "draws random numbers with cuRAND's kernels"),
    (r"PTX JIT compiler library not found", "links device code in the driver"),
    (r"nvcc", "compiles a kernel with nvcc"),
    (r"(?i)nvvm|libdevice", "compiles a kernel with NVVM"),
    (r"(?i)nvrtc", "compiles a kernel with NVRTC"),
    (r"(?i)nvjitlink|nvdisasm|cudadevrt", "links or reads device code with NVIDIA's tools"),
]
# Tests that fail for a known reason: (part of the test's name, why)
KNOWN: list[tuple[str, str]] = []
# Test files that race with the device, on a GPU too, which is fast enough to win. They run with eager work: (file, why)
EAGER = {
    "test_ipc": "the test reads the result of small copies from pageable memory in a second process without waiting for them. "
    "Such a copy may return before its bytes are on the device, and on the simulator it does.",
}
TIME_LIMIT_SECONDS = 300  # for one test file; far more than any needs


@dataclass
class Suite:
    """The test files of one package, and the text above their table."""

    title: str
    package: str
    files: list[str]
    words: str
    devices: int = 1
    environment: dict[str, str] = field(default_factory=dict)


def suites(pycuda: str) -> list[Suite]:
    numba = "numba.cuda.tests."
    drv = (
        "cuda_memory deallocations streams host_alloc pinned events managed_alloc emm_plugins cuda_ndarray array_attr "
        "cuda_array_slicing cuda_devicerecord cuda_driver cuda_auto_context context_stack select_device reset_device "
        "detect init profiler is_fp16"
    )
    memory = (
        "cuda_memory deallocations host_alloc pinned managed_alloc emm_plugins cuda_ndarray array_attr cuda_array_slicing "
        "cuda_devicerecord cuda_driver cuda_auto_context context_stack select_device reset_device"
    )
    return [
        Suite(
            "cuda.bindings and cuda.core",
            "cuda-bindings",
            [str(HERE / "test_bindings.py"), str(HERE / "test_core.py")],
            "NVIDIA's Python bindings come without tests. These tests are ours, in `cuda-sim/peers`.",
        ),
        Suite(
            "numba-cuda",
            "numba-cuda",
            [f"{numba}cudadrv.test_{name}" for name in drv.split()]
            + [str(HERE / "test_numba.py")]
            + [f"{numba}cudapy.test_{name}" for name in "cuda_array_interface ipc multigpu".split()],
            "Its own tests, from its wheel: all of the driver layer except linking and compilers, and the others that are "
            "about memory. They use its own memory manager, on two devices. "
            "Its authors have disabled `test_streams`; enabled, it fails in numba-cuda itself (`add_callback`: a `CUstream` has no "
            "`value`). Our `test_numba` tests streams instead. The kernel of `test_cuda_driver` is "
            "registered with the simulator and implemented by a host function.",
            devices=2,
        ),
        Suite(
            "numba-cuda with Tenure's memory manager",
            "numba-cuda",
            [f"{numba}cudadrv.test_{name}" for name in memory.split()]
            + [str(HERE / "test_numba.py"), str(HERE / "test_numba_tenure.py")]
            + [f"{numba}cudapy.test_{name}" for name in "cuda_array_interface multigpu".split()],
            "The tests of memory again, with `NUMBA_CUDA_MEMORY_MANAGER=tenure.numba`. Numba's tests skip what is about its own "
            "manager. `test_ipc` is left out: only a manager of `install(ipc=True)` shares its pools, which our tests do. "
            "`test_numba_tenure` is ours.",
            devices=2,
            environment={"NUMBA_CUDA_MEMORY_MANAGER": "tenure.numba"},
        ),
        Suite(
            "RMM with Tenure's resource",
            "rmm-cu13",
            [str(HERE / "test_rmm.py")],
            "Our tests, in `cuda-sim/peers`. RMM's own need kernels, and NVIDIA's runtime library, which refuses this driver.",
        ),
        Suite(
            "PyCUDA",
            "pycuda",
            [f"{pycuda}/test/test_driver.py", f"{pycuda}/test/test_gpuarray.py"],
            "Its own tests, from its source distribution. Most of them compile a kernel, because `gpuarray.zeros` "
            "uses one. The next table has tests of these functions without kernels.",
        ),
        Suite(
            "PyCUDA's memory without kernels",
            "pycuda",
            [str(HERE / "test_pycuda.py")],
            "Our tests, in `cuda-sim/peers`: each way in which PyCUDA allocates and copies memory, through its own allocators.",
        ),
        Suite(
            "Tenure's arrays in numba-cuda and PyCUDA",
            "tenure",
            [str(HERE / "test_tenure.py")],
            "Our tests, in `cuda-sim/peers`: arrays that Tenure shares with both libraries by the CUDA array interface and by "
            "`tenure.compat`, in each direction.",
        ),
    ]


def one_line(text: str) -> str:
    """The first line of an exception's text, without addresses and paths, for the table."""
    line = next((line for line in text.strip().splitlines() if line.strip()), "")
    line = re.sub(r"0x[0-9a-f]{4,}", "0x...", line)
    line = re.sub(r"(?<![\w:/])(/[\w.+-]+){2,}", "...", line)
    return line.replace("|", "\\|")[:160]


def outcome_of(test: str, events: list[dict]) -> tuple[str, str]:
    for event in events:
        if event["event"] == "failed":
            for pattern, why in NEEDS:
                if re.search(pattern, event["text"]):
                    return "needs", why
            for part, why in KNOWN:
                if part in test:
                    return "failed", why
            return "failed", one_line(event["text"])
    if events[-1]["event"] != "ends":
        return "failed", "the process ended during the test"
    skipped = [event["text"] for event in events if event["event"] == "skipped"]
    return ("skipped", one_line(skipped[0])) if skipped else ("passed", "")


def name_of(file: str) -> str:
    return pathlib.Path(file).stem if file.endswith(".py") else file.rsplit(".", 1)[-1]


def run_file(file: str, suite: Suite, log: pathlib.Path) -> dict[str, list[dict]]:
    """Runs the tests of a file. If a test ends the process, another process runs the rest."""
    found: dict[str, list[dict]] = {}
    for _ in range(20):
        log.unlink(missing_ok=True)
        command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "-q", "-p", "peers_report"]
        command += ["-p", "no:cacheprovider", "-W", "ignore", "--tb=short", "--rootdir", str(HERE)]
        # Modules keep their own names (numba.cuda.tests...), by which they import one another.
        command += ["--import-mode=importlib", "-o", "consider_namespace_packages=true"]
        command += [word for test in found for word in ("--deselect", test)]
        command += [file] if file.endswith(".py") else ["--pyargs", file]
        environment = os.environ | {
            "PEERS_REPORT": str(log),
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TENURE_SIM_DEVICES": str(suite.devices),
        } | suite.environment
        if name_of(file) in EAGER:
            environment["TENURE_SIM_PACE"] = "eager"
        try:
            done = subprocess.run(command, env=environment, timeout=TIME_LIMIT_SECONDS, capture_output=True, text=True)
            status, output = done.returncode, done.stdout + done.stderr
        except subprocess.TimeoutExpired as slow:
            status, output = None, str(slow.stdout or b"")[-3000:]
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        for line in lines:
            event = json.loads(line)
            found.setdefault(event["test"], []).append(event)
        if status in (0, 1, 5):
            return found
        last = next(reversed(found), None)
        ended = last is None or found[last][-1]["event"] == "ends"
        print(f"{name_of(file)}: pytest ended with {status} in {None if ended else last}\n{output[-3000:]}")
        if ended:
            # The process ended outside a test: before the first, or at its exit.
            whole = {"test": "the process", "event": "failed", "text": f"ended with {status}", "whole": output[-3000:]}
            found["the process"] = [whole]
            return found
    return found


def row(file: str, results: collections.Counter) -> str:
    """The line of a test file in the table: how many tests passed, and why the others did not."""
    passed = sum(count for (outcome, _), count in results.items() if outcome == "passed")
    failed = [f"**{count} failed**: {why}" for (outcome, why), count in results.items() if outcome == "failed"]
    others = [f"{count} {why}" for (outcome, why), count in sorted(results.items()) if outcome in ("needs", "skipped")]
    return f"| `{name_of(file)}` | {passed} | {'; '.join(failed + others)} |"


def paragraph(text: str) -> list[str]:
    """The lines of a paragraph of the page, and the empty one behind it."""
    return [*textwrap.wrap(text, 140, break_on_hyphens=False), ""]


def device() -> str:
    """The device's name and the driver's version. Exits if the driver is not the simulator."""
    from cuda.bindings import driver

    def call(result):
        if int(result[0]) != 0:
            sys.exit(f"the driver returns {result[0]}: is the simulator's folder in LD_LIBRARY_PATH?")
        return result[1] if len(result) > 1 else None

    call(driver.cuInit(0))
    name = call(driver.cuDeviceGetName(128, call(driver.cuDeviceGet(0)))).split(b"\0")[0].decode()
    if "simulated" not in name:
        sys.exit(f"device 0 is {name!r}, not the simulator's; these tests are for the simulator")
    version = call(driver.cuDriverGetVersion())
    return f"{name!r}, driver {version // 1000}.{version % 1000 // 10}"


def main() -> int:
    parser = argparse.ArgumentParser()
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--write", metavar="FILE")
    how.add_argument("--check", metavar="FILE")
    parser.add_argument("--pycuda", required=True, metavar="FOLDER")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()

    document = [
        "# What runs on the simulated driver",
        "",
        *paragraph(
            "`cargo xtask sim-peers` runs these tests and writes this page; `cargo xtask sim-peers --check` fails if it is out "
            "of date. The packages come unchanged from the package index. They use their own allocators, except in the table "
            "that says so. PyCUDA is built with CUDA's headers and linked with the simulator, which must therefore have every "
            "function that PyCUDA uses."
        ),
        *paragraph(
            "The last column counts the tests that did not run by reason. A test that *compiles* or *links* something needs a "
            "compiler and a GPU, and stops with its package's exception for that. The other reasons are those of the tests "
            "themselves."
        ),
    ]
    document += [f"The device: {device()}.", ""]
    every = collections.Counter()
    unexplained = []
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "report"
        for suite in suites(options.pycuda):
            version = importlib.metadata.version(suite.package)
            document += [f"## {suite.title} ({suite.package} {version})", "", *paragraph(suite.words)]
            for name in filter(EAGER.get, map(name_of, suite.files)):
                document += paragraph(f"`{name}` runs with `TENURE_SIM_PACE=eager`: {EAGER[name]}")
            document += ["| tests | passed | did not run, and why |", "|---|---|---|"]
            for file in suite.files:
                if options.names and not any(name in name_of(file) for name in options.names):
                    continue
                start = time.monotonic()
                results: collections.Counter = collections.Counter()
                for test, events in run_file(file, suite, log).items():
                    outcome, why = outcome_of(test, events)
                    results[outcome, why] += 1
                    every[outcome] += 1
                    if outcome == "failed" and why not in dict(KNOWN).values():
                        unexplained.append(f"{name_of(file)} {test.split('::', 1)[-1]}: {why}")
                        print(next((event["whole"] for event in events if "whole" in event), why))
                line = row(file, results)
                print(f"{line} {time.monotonic() - start:.1f} s", flush=True)
                document.append(line)
            document.append("")
    text = "\n".join(document).rstrip() + "\n"
    bad = bool(unexplained)
    for line in unexplained:
        print(f"failed: {line}")
    if options.names:
        pass
    elif options.write:
        pathlib.Path(options.write).write_text(text, encoding="utf-8")
        print(f"{options.write}: written")
    else:
        there = pathlib.Path(options.check)
        old = there.read_text(encoding="utf-8") if there.exists() else ""
        if old != text:
            bad = True
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True), options.check, "now"))
            print(f"{options.check} is out of date: cargo xtask sim-peers")
    print(f"{every['passed']} passed, {every['failed']} failed, {every['needs'] + every['skipped']} skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
