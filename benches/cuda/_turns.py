"""Helpers of the device benchmarks: several libraries take turns on one task; minima and medians of each, a table and a file of figures."""

import ctypes
import json
import os
import statistics
import sys
import time

from tenure import cuda

SIMULATED = cuda.devices()[0].name == "Tenure simulated device"
# On the simulated driver a benchmark shows that it runs and how often it calls the driver. Its times mean nothing.
ROUNDS = 2 if SIMULATED else 15
driver = ctypes.CDLL("libcuda.so.1")


def must(result):
    if result != 0:
        raise RuntimeError(f"the driver says {result}")


def use_primary_context():
    """For direct calls of the driver: makes the shared primary context current on this thread."""
    device, context = ctypes.c_int(), ctypes.c_void_p()
    must(driver.cuInit(0))
    must(driver.cuDeviceGet(ctypes.byref(device), 0))
    must(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    must(driver.cuCtxSetCurrent(context))


def peers():
    """torch, CuPy and RMM, if they are installed and work on this device. The folder of TENURE_BENCH_WHEELS may have RMM."""
    found = {}
    if SIMULATED:
        return found
    try:
        import torch

        torch.zeros(1, device="cuda")
        found["torch"] = torch
    except Exception as error:
        print(f"skipped: torch: {error!r:.200}")
    try:
        import cupy

        cupy.zeros(1)
        found["cupy"] = cupy
    except Exception as error:
        print(f"skipped: cupy: {error!r:.200}")
    if os.environ.get("TENURE_BENCH_WHEELS"):
        sys.path.append(os.environ["TENURE_BENCH_WHEELS"])
    try:
        import rmm

        rmm.mr.CudaMemoryResource()
        found["rmm"] = rmm
    except Exception as error:
        print(f"skipped: rmm: {error!r:.200}")
    return found


class Figures:
    """The figures of a benchmark, by case and library."""

    def __init__(self):
        self.cases = {}
        self.failed = 0

    def measure(self, case, ways, *, size=None, rounds=ROUNDS):
        """Times each of `ways`, name to function, in turns; one that measures by itself
        returns its nanoseconds, a float. size: bytes of one call."""
        ways = {who: way for who, way in ways.items() if self.works(case, who, way)}
        if "tenure" not in ways:
            return
        times = {who: [] for who in ways}
        for number in range(rounds):
            order = list(ways) if number % 2 == 0 else list(ways)[::-1]
            for who in order:
                start = time.perf_counter_ns()
                told = ways[who]()
                elapsed = time.perf_counter_ns() - start
                times[who].append(told if isinstance(told, float) else elapsed)
        entry = {who: {"ns": min(t), "median": statistics.median(t)} for who, t in times.items()}
        self.cases[case] = {"bytes": size, "ways": entry}
        ours = entry["tenure"]["ns"]
        for who, figures in entry.items():
            rate = f"{size / figures['ns']:8.2f} GB/s" if size else f"{figures['ns']:10.1f} ns"
            beside = "" if who == "tenure" else f"   tenure is {figures['ns'] / ours:5.2f} x as fast"
            print(f"{case:34} {who:16} {rate}{beside}", flush=True)
        # A benchmark that is killed leaves its figures.
        self.save()

    def works(self, case, who, way):
        """Whether a library can do a case. For other libraries a failure is noted; for Tenure it fails the benchmark."""
        try:
            way()
            return True
        except Exception as error:
            print(f"{'FAILED' if who == 'tenure' else 'skipped'}: {case}: {who}: {error!r:.300}")
            self.failed += who == "tenure"
            return False

    def note(self, case, **values):
        """Keeps values that are no times of competing libraries."""
        self.cases[case] = values
        print(f"{case:34} {', '.join(f'{name} {value}' for name, value in values.items())}", flush=True)
        self.save()

    def bar(self, name, case, against, least):
        """A target: Tenure is at least this many times as fast as another library."""
        if case not in self.cases:
            return
        ways = self.cases[case]["ways"]
        if against not in ways:
            print(f"{name}: {case}: skipped, {against} is not there")
            return
        ratio = ways[against]["ns"] / ways["tenure"]["ns"]
        met = "" if SIMULATED else "met" if ratio >= least else "NOT met"
        self.cases[case].setdefault("bars", []).append({"bar": name, "against": against, "least": least, "ratio": ratio})
        print(f"{name}: {case}: {ratio:.2f} x {against}, wanted {least} {met}")

    def save(self):
        """Writes the file that the command line names."""
        versions = {name: getattr(sys.modules.get(name), "__version__", None) for name in ("tenure", "torch", "cupy", "rmm", "numpy")}
        text = {"device": cuda.devices()[0].name, "simulated": SIMULATED, "versions": versions, "cases": self.cases}
        if len(sys.argv) > 1:
            with open(sys.argv[1], "w") as file:
                json.dump(text, file, indent=1)

    def write(self):
        """Saves the figures and ends the program."""
        self.save()
        if not SIMULATED:
            # Some libraries destroy their contexts late; the figures are saved by now.
            sys.stdout.flush()
            os._exit(min(self.failed, 1))
        sys.exit(min(self.failed, 1))
