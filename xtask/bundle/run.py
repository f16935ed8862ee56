"""Runs every CUDA test and benchmark of this folder, and writes report.txt, report.json, log.txt and docs/gpu/CARD.md.

First come questions about undocumented behaviour of the driver (probe.py), then the tests, then the benchmarks, for which time is kept at
the end. A test that prints nothing for a while is killed, and so is a program that exceeds its limit. The tests after one that hung or
crashed run in a new process. A test that failed beside others runs again alone, because a lost device fails all later tests of a process.
"""

import argparse
import functools
import gzip
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
# Time limits of a program and of a single test, and the time that is kept for the benchmarks; seconds.
LIMITS = {"probe": 150, "c": 40, "cpp": 40, "rust": 600, "python": 120, "bench": 100}
ALONE, BENCHES = 20, 200
# A program with many tests that prints nothing for this long hangs in one of them. The Rust tests end a test that takes longer by
# themselves, and go on with the next one.
QUIET, ONE_TEST = 60, 50
# Rounds of a random test on a GPU: each makes driver calls that take a millisecond in some virtual machines.
ROUNDS = 300
# Of the tests that failed beside others, this many are run again alone.
TRIED = 4
# Folders with drivers that the loader does not search.
FOLDERS = (
    "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/wsl/lib",
    "/usr/local/cuda/compat",
)
SIMULATED = b"Tenure simulated device"
# Characters of a program's output that are kept, from its end.
KEPT = 200_000


def written(path):
    """The JSON that a program left in a file, or None."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def is_simulator(folder):
    try:
        return SIMULATED in (pathlib.Path(folder) / "libcuda.so.1").read_bytes()
    except OSError:
        return False


def loads(have):
    """The path of the driver that the loader finds with these variables, or None."""
    script = (
        "import ctypes; ctypes.CDLL('libcuda.so.1'); "
        "print(next(line.split()[-1] for line in open('/proc/self/maps') if 'libcuda.so' in line))"
    )
    found = subprocess.run([sys.executable, "-c", script], env=have, capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


@functools.cache
def environment(tests=True):
    """The environment of the tests, or of the other programs: the package first, the driver, and none of Tenure's settings."""
    kept = ("TENURE_TEST_", "TENURE_SIM_")
    have = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_") or name.startswith(kept)}
    have.setdefault("TENURE_TEST_DEVICE", "gpu")
    paths = [str(HERE / "python"), str(HERE / "tools")]
    have["PYTHONPATH"] = os.pathsep.join(paths + [p for p in [have.get("PYTHONPATH")] if p])
    if tests:
        # Otherwise more than eight streams share the GPU's queues, and a blocked stream stalls others. Figures are those of the default.
        have.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
        have.setdefault("TENURE_TEST_LIMIT_SECONDS", str(ONE_TEST))
        if have["TENURE_TEST_DEVICE"] == "gpu":
            have.setdefault("TENURE_TEST_ROUNDS", str(ROUNDS))
    # Plug-ins of the machine's Python may not fit the pytest of this folder.
    have["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # TENURE_NO_PEERS: the package's tests import none of the large libraries, which these tests do not need.
    have.update(PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1", RUST_BACKTRACE="0", TENURE_NO_PEERS="1")
    folders = [folder for folder in have.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    if have["TENURE_TEST_DEVICE"] == "gpu":
        # Otherwise a simulator in the path would be tested in place of the GPU.
        folders = [folder for folder in folders if not is_simulator(folder)]
    have["LD_LIBRARY_PATH"] = os.pathsep.join(folders)
    if loads(have) is None:
        there = [folder for folder in FOLDERS if (pathlib.Path(folder) / "libcuda.so.1").exists()]
        have["LD_LIBRARY_PATH"] = os.pathsep.join(folders + there[:1])
    if not have["LD_LIBRARY_PATH"]:
        # An empty entry means the current folder.
        del have["LD_LIBRARY_PATH"]
    return have


class Done:
    """Runs a program; returns its output and its exit status, or None if it exceeded its limit or was silent longer than `quiet`."""

    def __init__(self, command, seconds, folder, quiet=None, have=None):
        start = time.monotonic()
        log = folder / "output"
        with open(log, "wb") as out:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=have or environment(),
                start_new_session=True,
            )
            self.status = self.wait(process, start + max(seconds, 1), log, quiet)
            # Kills its child processes too.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        self.seconds = time.monotonic() - start
        self.output = log.read_bytes()[-KEPT:].decode(errors="replace")

    @staticmethod
    def wait(process, end, log, quiet):
        size, since = 0, time.monotonic()
        while True:
            try:
                return process.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic()
            if log.stat().st_size != size:
                size, since = log.stat().st_size, now
            if now > end or quiet and now - since > quiet:
                return None

    def how(self):
        if self.status is None:
            return f"ended from outside after {self.seconds:.0f} s, as it hung or went beyond its limit"
        if self.status < 0:
            return f"killed by {signal.Signals(-self.status).name}"
        return f"exit status {self.status}"


class Program:
    """A program that is one test. It passes with status 0; a first line `skipped: why` means that it did nothing."""

    def __init__(self, kind, file):
        self.kind, self.file, self.name = kind, file, f"{kind}/{file.stem}"

    def run(self, seconds, folder):
        if lacks := self.lacks():
            return lacks, {self.name: ("skipped", f"skipped: {lacks}")}
        done = Done(self.command(folder), seconds, folder, have=self.environment(folder))
        skipped = re.search(r"^skipped: .*", done.output, re.M)
        outcome = "passed" if done.status == 0 else "failed"
        if outcome == "passed" and skipped:
            return done.output, {self.name: ("skipped", skipped[0])}
        text = "" if outcome == "passed" else f"{done.how()}\n{done.output[-3000:]}"
        return done.output, {self.name: (outcome, text)}

    def command(self, _folder):
        return [self.file]

    def environment(self, _folder):
        return environment()

    def lacks(self):
        """Why the program cannot start on this machine: it was linked with a newer C++ library."""
        needs, there = newest_glibcxx(self.file), newest_glibcxx(cpp_library())
        if needs and there and needs > there:
            return f"it needs GLIBCXX_3.4.{needs}, and the C++ library of this machine has GLIBCXX_3.4.{there}"
        return None


def newest_glibcxx(file):
    """N of the newest symbol version GLIBCXX_3.4.N in a file, or 0."""
    if file is None:
        return 0
    return max(map(int, re.findall(rb"GLIBCXX_3\.4\.(\d+)", pathlib.Path(file).read_bytes())), default=0)


@functools.cache
def cpp_library():
    """The path of the C++ library that the loader finds, or None."""
    script = (
        "import ctypes; ctypes.CDLL('libstdc++.so.6'); "
        "print(next(line.split()[-1] for line in open('/proc/self/maps') if 'libstdc++' in line))"
    )
    found = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


@functools.cache
def wheels():
    """A folder with the packages of `wheels`, unpacked, or None: there are none, or they are for another version of Python."""
    tags = ("-py3-none-", "-abi3-", f"-cp{sys.version_info.major}{sys.version_info.minor}-")
    files = sorted((HERE / "wheels").glob("*.whl"))
    if not files or not all(any(tag in file.name for tag in tags) for file in files):
        return None
    folder = tempfile.TemporaryDirectory(prefix="tenure-wheels-")
    for file in files:
        with zipfile.ZipFile(file) as wheel:
            wheel.extractall(folder.name)
    return folder


class Bench(Program):
    """A benchmark, which writes its figures into the file that it is given."""

    figures = None

    def command(self, folder):
        return [sys.executable, self.file, folder / "figures.json"]

    def environment(self, _folder):
        have = dict(environment(tests=False))
        if wheels():
            # Behind the machine's own packages, so that an installed RMM is preferred.
            have["TENURE_BENCH_WHEELS"] = wheels().name
        return have

    def lacks(self):
        return None

    def run(self, seconds, folder):
        told = super().run(seconds, folder)
        self.figures = written(folder / "figures.json")
        return told


class Probe(Program):
    """The table of the driver's answers. An answer that differs from the simulator's is no failure."""

    answers = None

    def command(self, folder):
        return [sys.executable, self.file, HERE / "probe.json", folder / "answers.json"]

    def environment(self, _folder):
        return environment(tests=False)

    def lacks(self):
        return None

    def run(self, seconds, folder):
        told = super().run(seconds, folder)
        self.answers = written(folder / "answers.json")
        return told


class Suite:
    """A program with many tests, which runs them in order, prints each name before it starts, and can leave some out."""

    def run(self, seconds, folder):
        end = time.monotonic() + seconds
        told, output, done, ended = {}, "", None, {self.name}
        while True:
            left = end - time.monotonic()
            if left < 2:
                break
            done = Done(self.command(folder, without=list(told)), left, folder, QUIET)
            output += done.output
            found = self.told(done.output)
            told.update((name, how) for name, how in found.items() if name not in told)
            if done.status is not None and done.status >= 0:
                break
            # The tests after the one that hung or crashed run in a new process.
            culprit = self.begun(done.output)
            if culprit is None or culprit in told:
                break
            ended.add(culprit)
            told[culprit] = ("failed", f"{done.how()} in this test\n{done.output[-3000:]}")
        if not told:
            told[self.name] = ("failed", f"has told of no test: {done.how() if done else 'no time'}\n{done.output[-3000:] if done else ''}")
        elif done.status not in (0, None) and not any(how == "failed" for how, _ in told.values()):
            # pytest lists files that it could not import under this title.
            said = done.output[done.output.find("== ERRORS ==") :] if "== ERRORS ==" in done.output else done.output[-3000:]
            told[self.name] = ("failed", f"all tests passed, and then: {done.how()}\n{said[:3000]}")
        elif done.status is None or done.status < 0:
            told[self.name] = ("failed", f"not all tests ran: {done.how()}")
        failed = [name for name, (how, _) in told.items() if how == "failed" and name not in ended]
        for name in failed[:TRIED] if len(failed) > 1 else []:
            left = end + ALONE - time.monotonic()
            if left < 2:
                break
            alone = Done(self.command(folder, only=name), min(ALONE, left), folder)
            output += f"\n==== {name} alone: {alone.how()}\n{alone.output}"
            outcome = self.told(alone.output).get(name, ("failed", ""))[0]
            told[name] = ("failed", f"{told[name][1]}\n(alone in a process it {outcome}: {alone.how()})")
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

    def command(self, folder, only=None, without=()):
        # One thread: tests would share the GPU, and with several threads the current test would be unknown.
        told = [self.file, "--test-threads", "1", "--show-output"]
        if only:
            return [*told, "--exact", only]
        if not without:
            return told
        listed = re.findall(r"^(\S+): test$", Done([self.file, "--list"], 20, folder).output, re.M)
        return [*told, "--exact", *(name for name in listed if name not in without)]

    def begun(self, output):
        """The last test that started and did not end."""
        last = re.findall(r"^test (\S+) \.\.\. (?!ok$|FAILED$|ignored)", output, re.M)
        return last[-1] if last else None

    def told(self, output):
        texts = dict(re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^---- |^successes:|^failures:|\Z)", output, re.M | re.S))
        found = {}
        for name, how, why in re.findall(r"^test (\S+) \.\.\. (ok|FAILED|ignored)(?:, (.*))?$", output, re.M):
            if how == "ignored":
                found[name] = ("skipped", f"skipped: {why}")
            else:
                found[name] = ("passed", "") if how == "ok" else ("failed", texts.get(name, "").strip()[-3000:])
        return found


class Python(Suite):
    kind = "python"
    name = "python"
    words = {"PASSED": "passed", "XFAIL": "passed", "FAILED": "failed", "ERROR": "failed", "SKIPPED": "skipped"}

    def __init__(self, folder):
        self.folder = folder

    def command(self, folder, only=None, without=()):
        options = ["-p", "no:cacheprovider", "-rs", "--tb=short", "--color=no", "-o", "console_output_style=classic"]
        # A file that cannot be imported does not keep others from running.
        options.append("--continue-on-collection-errors")
        told = [sys.executable, "-m", "pytest", *options, "--rootdir", self.folder]
        if only:
            return [*told, "-v", self.folder / only]
        if not without:
            return [*told, "-v", self.folder]
        output = Done([*told, "--collect-only", "-q", self.folder], 60, folder).output
        names = [self.short(line) for line in re.findall(r"^(\S+\.py::.+)$", output, re.M)]
        return [*told, "-v", *(self.folder / name for name in names if name not in without)]

    @staticmethod
    def short(name):
        """By the file's name, whatever its folder."""
        return pathlib.PurePath(name.split("::")[0]).name + name[name.index("::") :]

    def begun(self, output):
        """The last test that started and did not end."""
        last = re.findall(rf"^(\S+\.py::.+?) (?!(?:{'|'.join(self.words)})\b)", output + " ", re.M)
        return self.short(last[-1]) if last else None

    def told(self, output):
        words = "|".join(self.words)
        found = {}
        for test, how, why in re.findall(rf"^(\S+\.py::.+?) ({words})\b *(.*)$", output, re.M):
            name = self.short(test)
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

    found = [Probe("probe", HERE / "probe.py")] if (HERE / "probe.py").is_file() else []
    found += [Program("c", file) for file in files("tests/c")] + [Program("cpp", file) for file in files("tests/cpp")]
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
    """The machine on which the figures were measured."""
    fields = "--query-gpu=name,driver_version,memory.total,memory.used,pcie.link.gen.max,pcie.link.width.max,compute_mode"
    smi = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
    try:
        gpu = subprocess.run([smi, fields, "--format=csv,noheader"], capture_output=True, text=True, timeout=30).stdout.strip()
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
        "rmm": next((v for p in ("rmm-cu13", "rmm-cu12", "rmm") if (v := version(p))), "of this folder" if wheels() else None),
        "pytest": "of this folder" if (HERE / "tools/pytest").is_dir() else version("pytest"),
        "device": environment()["TENURE_TEST_DEVICE"],
        "driver": loads(environment()),
        "variables": {n: v for n, v in sorted(os.environ.items()) if n.startswith(("CUDA", "NVIDIA", "LD_", "PYTORCH", "CUPY"))},
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def text_of(report):
    """The report as text, with the failures first."""
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


# What was asked of the driver, in the order of the page: a title, and the groups of probe.py that answer it.
SECTIONS = (
    ("The device, and its attributes", ("other_things",)),
    ("Streams that their owner destroyed", (
        "destroyed_stream_capturing", "destroyed_stream_record", "destroyed_stream_id", "stream_handles",
    )),
    ("Pageable memory: when it is read and written, and which copies wait", (
        "small_copies", "pageable_sources", "pageable_targets", "synchronous_copies",
    )),
    ("Captures: what a call does to the capture of its own and of another thread", (
        "captures_of_another_thread", "captures", "captured_copies", "legacy_and_captures",
    )),
    ("Legacy and per-thread streams", ("per_thread_streams",)),
    ("Rows and pitches", ("pitches", "largest_pitch")),
    ("Addresses and times of allocations", ("addresses", "page_locking")),
    ("A context that was reset", ("reset", "forks")),
    ("What waits for the device", ("who_waits", "host_functions")),
    ("Two devices", ("two_devices",)),
)


def slug(card):
    return re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-")


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def card_of(answers):
    """The name of the device that the driver gave."""
    named = [it["answer"] for it in (answers or {}).get("other_things", []) if it["question"] == "the name of the device"]
    return named[0] if named else "unknown device"


def page_of(report):
    """What this run found out about the card and its driver, as a page of documentation."""
    answers, bundle = report["answers"] or {}, report["bundle"]
    lines = [f"# {card_of(answers)}", ""]
    written = f"Written by the GPU bundle of Tenure {bundle.get('version')} ({bundle.get('commit')})."
    lines += [f"{written} All of it was measured or asked in one run.", ""]
    lines += ["| machine | |", "|---|---|"]
    lines += [f"| {name} | {cell(value)} |" for name, value in report["machine"].items() if value]
    lines.append("| tests | {passed} passed, {failed} failed, {skipped} skipped |".format(**report["counts"]))
    shown = set()
    for title, groups in SECTIONS + (("Other questions", tuple(answers)),):
        rows = [it for group in groups if group not in shown for it in answers.get(group, [])]
        shown.update(groups)
        if rows:
            lines += ["", f"## {title}", "", "| question | answer | simulator, where it differs |", "|---|---|---|"]
            lines += [f"| {cell(it['question'])} | {cell(it['answer'])} | {cell(it['simulator'] or '')} |" for it in rows]
    for name, figures in report["figures"].items():
        lines += ["", f"## Benchmark {name}", "", *tables_of(figures)]
    return "\n".join(lines) + "\n"


def tables_of(figures):
    """The figures of one benchmark: a row per case and library, and other values as they are."""
    if not figures:
        return ["It has no figures; the report says why."]
    rows, values = [], []
    for case, entry in figures["cases"].items():
        if "ways" not in entry:
            values.append(f"| {cell(case)} | {cell(', '.join(f'{name} {value}' for name, value in entry.items()))} |")
            continue
        for who, way in entry["ways"].items():
            rate = f"{entry['bytes'] / way['ns']:.2f} GB/s" if entry.get("bytes") else ""
            rows.append(f"| {cell(case)} | {who} | {way['ns']:.1f} | {way['median']:.1f} | {rate} |")
    bars = [
        f"| {bar['bar']} | {cell(case)} | {bar['against']} | {bar['least']} | {bar['ratio']:.2f} "
        f"| {'yes' if bar['ratio'] >= bar['least'] else 'no'} |"
        for case, entry in figures["cases"].items()
        for bar in entry.get("bars", [])
    ]
    lines = ["On the simulated driver times mean nothing.", ""] if figures.get("simulated") else []
    lines += ["| case | by | ns, least | ns, median | |", "|---|---|---|---|---|", *rows, ""] if rows else []
    lines += ["| | |", "|---|---|", *values, ""] if values else []
    lines += ["| bar | case | against | wanted | ratio | met |", "|---|---|---|---|---|---|", *bars, ""] if bars else []
    return lines[:-1]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", nargs="?", default="report", type=pathlib.Path)
    arguments.add_argument("--only", default="", help="what has this in its name")
    arguments.add_argument("--without", default="\0", help="but not what has this in its name")
    arguments.add_argument("--seconds", type=float, default=540, help="for everything together")
    chosen = arguments.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    bundle = json.loads((HERE / "bundle.json").read_text())
    report = {"schema": 1, "bundle": bundle, "machine": machine(), "jobs": [], "figures": {}, "answers": None}
    logs = []
    wanted = lambda job: chosen.only in job.name and chosen.without not in job.name  # noqa: E731
    tests, benches = (list(filter(wanted, jobs)) for jobs in suites())
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
        if job in benches or isinstance(job, Probe):
            entry["table"] = output
        if job in benches:
            report["figures"][job.file.stem] = job.figures
        if isinstance(job, Probe):
            report["answers"] = job.answers
        report["jobs"].append(entry)
        logs.append(f"######## {job.name}\n{output}\n")
        bad = sum(t["how"] == "failed" for t in entry["tests"])
        print(f"{job.name}: {len(entry['tests']) - bad} of {len(entry['tests'])} ({entry['seconds']:.1f} s)", flush=True)
        # Written after each job, so that a run that is killed leaves a report.
        hows = [t["how"] for job in report["jobs"] for t in job["tests"]]
        report["counts"] = {how: hows.count(how) for how in ("passed", "failed", "skipped")}
        report["seconds"] = round(time.monotonic() - start, 1)
        (chosen.folder / "report.json").write_text(json.dumps(report, indent=1))
        (chosen.folder / "report.txt").write_text(text_of(report))
        (chosen.folder / "log.txt").write_text("".join(logs))
        if report["answers"]:
            page = chosen.folder / "docs/gpu" / f"{slug(card_of(report['answers']))}.md"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(page_of(report))
    if not report["jobs"]:
        print(f"nothing has {chosen.only!r} in its name", file=sys.stderr)
        return 2
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**report["counts"]), flush=True)
    return 1 if report["counts"]["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
