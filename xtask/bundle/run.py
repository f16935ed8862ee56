"""Runs every CUDA test and benchmark of this folder, and writes report.txt, report.json and log.txt.

A program that hangs is ended by its own limit, one that crashes is seen to have crashed; the tests of such a program that told nothing are
run once more, each in a process of its own. The benchmarks have time of their own at the end, whatever the tests took.
"""

import argparse
import gzip
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
# Seconds: for one program, for one test alone, and what is kept for the benchmarks.
LIMITS = {"c": 40, "cpp": 40, "rust": 90, "python": 150, "bench": 100}
ALONE, BENCHES = 20, 170
# Characters of a program's output that are kept, at its end.
KEPT = 200_000


def environment():
    have = dict(os.environ)
    paths = [str(HERE / "python"), str(HERE / "tools")]
    have["PYTHONPATH"] = os.pathsep.join(paths + [p for p in [have.get("PYTHONPATH")] if p])
    have.setdefault("TENURE_TEST_DEVICE", "gpu")
    have.update(PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1", RUST_BACKTRACE="0")
    return have


class Done:
    """How a program ended: its output, its exit status, or None where its limit ended it."""

    def __init__(self, command, seconds, folder):
        start = time.monotonic()
        log = folder / "output"
        with open(log, "wb") as out:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment(),
                start_new_session=True,
            )
            try:
                self.status = process.wait(max(seconds, 1))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self.status = None
        self.seconds = time.monotonic() - start
        self.output = log.read_bytes()[-KEPT:].decode(errors="replace")

    def how(self):
        if self.status is None:
            return f"ended by its limit after {self.seconds:.0f} s"
        if self.status < 0:
            return f"killed by {signal.Signals(-self.status).name}"
        return f"exit status {self.status}"


class Program:
    """A program that is one test: it passes with status 0; a first line of `skipped: why` says that it did nothing."""

    def __init__(self, kind, file):
        self.kind, self.file, self.name = kind, file, f"{kind}/{file.stem}"

    def run(self, seconds, folder):
        done = Done(self.command(folder), seconds, folder)
        skipped = re.search(r"^skipped: .*", done.output, re.M)
        outcome = "passed" if done.status == 0 else "failed"
        if outcome == "passed" and skipped:
            return done.output, {self.name: ("skipped", skipped[0])}
        text = "" if outcome == "passed" else f"{done.how()}\n{done.output[-3000:]}"
        return done.output, {self.name: (outcome, text)}

    def command(self, _folder):
        return [self.file]


class Bench(Program):
    """A benchmark: its figures are what it writes into the file that it is given."""

    figures = None

    def command(self, folder):
        return [sys.executable, self.file, folder / "figures.json"]

    def run(self, seconds, folder):
        told = super().run(seconds, folder)
        try:
            self.figures = json.loads((folder / "figures.json").read_text())
        except (OSError, ValueError):
            self.figures = None
        return told


class Suite:
    """A program with many tests, which it can list, and run one of."""

    def run(self, seconds, folder):
        end = time.monotonic() + seconds
        done = Done(self.command(), seconds, folder)
        told = self.told(done.output)
        output = done.output
        # What ended by itself has told of every test.
        cut_short = done.status is None or done.status < 0 or not told
        for name in [name for name in (self.listed(folder) if cut_short else []) if name not in told]:
            left = end + ALONE - time.monotonic()
            if left < 2:
                told[name] = ("failed", f"not run: the program was {done.how()}, and no time was left")
                continue
            alone = Done(self.command(name), min(ALONE, left), folder)
            output += f"\n==== {name} alone: {alone.how()}\n{alone.output}"
            found = self.told(alone.output).get(name, ("failed", f"alone: {alone.how()}\n{alone.output[-3000:]}"))
            again = f"the program with all tests was {done.how()}; alone this test {found[0]}\n{found[1]}"
            told[name] = ("failed", again)
        if not told:
            told[self.name] = ("failed", f"has told of no test: {done.how()}\n{done.output[-3000:]}")
        elif done.status not in (0, None) and not any(how == "failed" for how, _ in told.values()):
            told[self.name] = ("failed", f"all tests passed, and then: {done.how()}\n{done.output[-3000:]}")
        return output, {f"{self.name}::{name}" if name != self.name else name: how for name, how in told.items()}


class Rust(Suite):
    kind = "rust"

    def __init__(self, file):
        self.packed, self.name = file, f"rust/{file.stem}"

    def run(self, seconds, folder):
        self.file = folder / self.packed.stem
        self.file.write_bytes(gzip.decompress(self.packed.read_bytes()))
        self.file.chmod(0o755)
        return super().run(seconds, folder)

    def command(self, only=None):
        chosen = ["--exact", only] if only else []
        return [self.file, "--test-threads", "4", "--show-output", *chosen]

    def listed(self, folder):
        return re.findall(r"^(\S+): test$", Done([self.file, "--list"], 20, folder).output, re.M)

    def told(self, output):
        texts = dict(re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^---- |^successes:|^failures:|\Z)", output, re.M | re.S))
        found = {}
        for name, how in re.findall(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", output, re.M):
            text = texts.get(name, "").strip()
            skipped = re.search(r"^skipped: .*", text, re.M)
            if how == "ok":
                found[name] = ("skipped", skipped[0]) if skipped else ("passed", "")
            else:
                found[name] = ("skipped", "ignored") if how == "ignored" else ("failed", text[-3000:])
        return found


class Python(Suite):
    kind = "python"
    name = "python"
    words = {"PASSED": "passed", "XFAIL": "passed", "FAILED": "failed", "ERROR": "failed", "SKIPPED": "skipped"}

    def __init__(self, folder):
        self.folder = folder

    def command(self, only=None, *more):
        options = ["-p", "no:cacheprovider", "-rs", "--tb=short", "--color=no", "-o", "console_output_style=classic"]
        target = self.folder / only if only else self.folder
        return [sys.executable, "-m", "pytest", "-v", *options, "--rootdir", self.folder, *more, target]

    def listed(self, folder):
        # One -q takes back the -v, two leave a line per test.
        output = Done(self.command(None, "--collect-only", "-q", "-q"), 60, folder).output
        return [pathlib.PurePath(line).name for line in re.findall(r"^(\S+\.py::.+)$", output, re.M)]

    def told(self, output):
        words = "|".join(self.words)
        found = {}
        for test, how, why in re.findall(rf"^(\S+\.py::.+?) ({words})\b *(.*)$", output, re.M):
            name = pathlib.PurePath(test.split("::")[0]).name + test[test.index("::") :]
            if found.get(name, ("",))[0] != "failed":
                found[name] = (self.words[how], why.strip("() ") if how == "SKIPPED" else "")
        for title, text in re.findall(r"^_{3,} (?:ERROR at \w+ of )?(\S+) _{3,}\n(.*?)(?=^_{3,} \S|^={3,})", output, re.M | re.S):
            for name, (how, _) in found.items():
                if how == "failed" and name.split("::", 1)[1].replace("::", ".") == title:
                    found[name] = (how, text[-3000:])
        return found


def suites():
    def files(folder):
        return sorted(p for p in (HERE / folder).glob("*") if p.is_file()) if (HERE / folder).is_dir() else []

    found = [Program("c", file) for file in files("tests/c")] + [Program("cpp", file) for file in files("tests/cpp")]
    found += [Rust(file) for file in files("tests/rust")]
    if (HERE / "tests/python").is_dir():
        found.append(Python(HERE / "tests/python"))
    return found, [Bench("bench", file) for file in files("benches") if file.suffix == ".py" and file.name[0] != "_"]


def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine():
    """What the figures were taken on."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,pcie.link.gen.max,pcie.link.width.max"]
    try:
        gpu = subprocess.run([*query, "--format=csv,noheader"], capture_output=True, text=True, timeout=30).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        gpu = None
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    cupy = next((v for p in ("cupy-cuda13x", "cupy-cuda12x", "cupy") if (v := version(p))), None)
    return {
        "gpu": gpu or None,
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "torch": version("torch"),
        "cupy": cupy,
        "device": environment()["TENURE_TEST_DEVICE"],
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def text_of(report):
    """The report for people: what failed first."""
    lines = [f"tenure {report['bundle'].get('version')} ({report['bundle'].get('commit')}), {report['seconds']:.0f} s"]
    lines += [f"{name}: {value}" for name, value in report["machine"].items()]
    lines += ["", f"{'':40} {'passed':>7} {'failed':>7} {'skipped':>7} {'seconds':>8}"]
    for job in report["jobs"]:
        counts = [sum(t["how"] == how for t in job["tests"]) for how in ("passed", "failed", "skipped")]
        lines.append(f"{job['name']:40} " + " ".join(f"{n or '-':>7}" for n in counts) + f" {job['seconds']:8.1f}")
    counts = report["counts"]
    lines += ["", f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"]
    for job in report["jobs"]:
        for test in job["tests"]:
            if test["how"] == "failed":
                lines += ["", f"==== {test['name']}", test["text"].rstrip()]
    skipped = [(t["name"], t["text"]) for job in report["jobs"] for t in job["tests"] if t["how"] == "skipped"]
    lines += ["", "skipped:", *(f"  {name}: {why}" for name, why in skipped)] if skipped else []
    for job in report["jobs"]:
        if job.get("table"):
            lines += ["", f"==== {job['name']}", job["table"].rstrip()]
    return "\n".join(lines) + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", nargs="?", default="report", type=pathlib.Path)
    arguments.add_argument("--only", default="", help="what has this in its name")
    arguments.add_argument("--seconds", type=float, default=570, help="for everything together")
    chosen = arguments.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    bundle = json.loads((HERE / "bundle.json").read_text())
    report = {"schema": 1, "bundle": bundle, "machine": machine(), "jobs": [], "figures": {}}
    logs = []
    tests, benches = (list(filter(lambda job: chosen.only in job.name, jobs)) for jobs in suites())
    kept = min(BENCHES, chosen.seconds / 3) if benches else 0
    for job in tests + benches:
        end = start + chosen.seconds - (0 if job in benches else kept)
        left = end - time.monotonic()
        before = time.monotonic()
        if left < 2:
            output, told = "", {job.name: ("failed", "not run: no time was left")}
        else:
            with tempfile.TemporaryDirectory(prefix="tenure-") as folder:
                output, told = job.run(min(LIMITS[job.kind], left), pathlib.Path(folder))
        entry = {"name": job.name, "seconds": round(time.monotonic() - before, 2)}
        entry["tests"] = [{"name": name, "how": how, "text": text} for name, (how, text) in sorted(told.items())]
        if job in benches:
            entry["table"] = output
            report["figures"][job.file.stem] = job.figures
        report["jobs"].append(entry)
        logs.append(f"######## {job.name}\n{output}\n")
        bad = sum(t["how"] == "failed" for t in entry["tests"])
        print(f"{job.name}: {len(entry['tests']) - bad} of {len(entry['tests'])} ({entry['seconds']:.1f} s)", flush=True)
        # Written after each job: what is killed from outside leaves what it knew.
        hows = [t["how"] for job in report["jobs"] for t in job["tests"]]
        report["counts"] = {how: hows.count(how) for how in ("passed", "failed", "skipped")}
        report["seconds"] = round(time.monotonic() - start, 1)
        (chosen.folder / "report.json").write_text(json.dumps(report, indent=1))
        (chosen.folder / "report.txt").write_text(text_of(report))
        (chosen.folder / "log.txt").write_text("".join(logs))
    if not report["jobs"]:
        print(f"nothing has {chosen.only!r} in its name", file=sys.stderr)
        return 2
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**report["counts"]), flush=True)
    return 1 if report["counts"]["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
