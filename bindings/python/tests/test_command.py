"""The program ``tenure`` that the wheel installs: it prints what ``tenure.report()`` prints."""

import contextlib
import io
import json
import os
import pathlib
import pickle
import subprocess
import sys
import sysconfig

import numpy as np
import pytest
import tenure

PROGRAM = pathlib.Path(sysconfig.get_path("scripts")) / "tenure"


def run(*arguments, **more):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120, **more)


def test_the_wheel_installs_the_program():
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == f"tenure {tenure.__version__}"


def test_the_report_is_that_of_python(tmp_path):
    """CO-20: line for line, also where names, holders, pools and copies are unusual."""
    from tenure import _report

    pool = tenure.Pool(name="staging \"two\"", max_size=1 << 30)
    held = [tenure.zeros((1000, 3), name="weights", pool=pool), tenure.zeros(0), tenure.zeros(7, name="ü 漢字")]
    held += [tenure.zeros(10 + i) for i in range(15)]
    views = [np.asarray(held[0]), np.asarray(held[0].readonly)]
    clones = [held[0].clone() for _ in range(3)]
    weak = held[0].weak()
    promise = tenure.give(held[2])
    foreign = tenure.from_buffer(bytearray(5000))
    for odd in range(12):
        tenure.from_buffer(np.frombuffer(bytearray(33), "float64", 4, 1))
    seen = tenure.snapshot()
    # What this process cannot easily have at once.
    base = json.loads(json.dumps(seen))
    base["shared_out"] = [
        {"device": "cuda:0", "address": "0x1", "bytes": 5 << 20, "pool": 1, "name": "sent", "importers": [12, 0, 3]},
        {"device": "cuda:1", "address": "0x2", "bytes": 6 << 20, "pool": 1, "name": "", "importers": []},
    ]
    base["shared_in"] = [
        {"address": "0x3", "bytes": bytes_, "writable": writable, "process": 9, "running": running}
        for bytes_, writable, running in [(4096, True, True), (8192, False, False), (1023, True, None)]
    ]
    base["libraries"] = [dict(base["libraries"][0]), dict(base["libraries"][0], this=False, path="", first_generation=None)]
    base["pools"][0]["stats"].update(oom_count=1, limit_bytes=10**12)
    base["pools"][0]["released"] = True
    base["pools"][0]["clients"][0]["misuse_count"] = 2
    site = "/usr/lib/python3/site-packages/torch/utils.py:3"
    for kind in ("export_shared", "export_read", "guard_write", "queued_release", "shared_variable", "promise", "weak", "mirror"):
        for _ in range(2):
            base["stores"][0]["holders"].append(dict(base["stores"][0]["holders"][0], kind=kind, site=site))
    base["stores"][1]["flags"] += ["readonly", "poisoned"]
    base["copies"] += [dict(base["copies"][0], forced=False), dict(base["copies"][0], why=[])]
    empty = dict(seen, pools=[], stores=[], blocks=[], open=[], copies=[])
    sizes = [0, 1, 1023, 1024, 1025, 10**5, 1023999, 1024000, 10**7, 999 * 2**20, 1000 * 2**20, 2**40, 2**50, 2**63]
    sized = dict(empty, stores=[dict(seen["stores"][0], bytes=bytes_) for bytes_ in sizes])
    for name, data in {"seen": seen, "base": base, "empty": empty, "sized": sized}.items():
        for limit in (0, 1, 10, 1000):
            saved = tmp_path / f"{name}.json"
            saved.write_text(json.dumps(data), encoding="utf-8")
            done = run("report", str(saved), "--limit", str(limit))
            assert (done.returncode, done.stderr) == (0, "")
            assert done.stdout.splitlines() == list(_report._lines(data, limit)), name
    assert len(seen["stores"]) >= len(held) - 1
    del views, clones, weak, foreign, promise


@contextlib.contextmanager
def process(program, listens="1"):
    """A process with a program that prints "ready" and waits."""
    child = subprocess.Popen(
        [sys.executable, "-c", f"import sys, tenure; {program}; print('ready', flush=True); sys.stdin.read()"],
        env=os.environ | {"TENURE_LISTEN": listens},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def test_a_process_that_listens_is_reported():
    """CO-2: the environment makes an unchanged program answer."""
    for value, code in (("1", 0), ("0", 1)):
        with process("x = tenure.zeros(1000, name='held')", value) as child:
            done = run("report", str(child.pid))
            assert done.returncode == code, done.stderr
            assert (f"process {child.pid}\n" in done.stdout and 'array "held" at <string>:1' in done.stdout) == (code == 0)
            listed = run("ps").stdout
            assert any(line.split()[:2] == [str(child.pid), "yes" if code == 0 else "no"] for line in listed.splitlines()), listed


def test_prometheus_reads_the_metrics():
    """CO-51: its own parser finds the figures, also of a pool with an odd name."""
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    with process("p = tenure.Pool(name='a\"b\\\\c\\nd'); x = tenure.zeros(1000, pool=p)") as child:
        done = run("metrics", str(child.pid))
    assert (done.returncode, done.stderr) == (0, "")
    families = {family.name: family for family in parser.text_string_to_metric_families(done.stdout)}
    requested = [sample for sample in families["tenure_pool_requested_bytes"].samples if sample.value == 8000]
    assert len(requested) == 1 and requested[0].labels["pool"].startswith('a"b\\c')
    assert families["tenure_pool_allocations"].type == "counter" and families["tenure_up"].samples[0].value == 1


def test_a_log_of_rmm_is_converted(tmp_path):
    """CO-30, CO-32: traces are JSON, and snapshots are pickles."""
    log = tmp_path / "rmm.csv"
    log.write_text("Thread,Time,Action,Pointer,Size,Stream\n7,12:00:00.5,allocate,0x1000,4096,0\n8,12:00:00.6,free,0x1000,4096,0\n")
    for name in ["trace.json", "snapshot.pickle"]:
        done = run("convert", log, "-o", tmp_path / name)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    trace = json.loads((tmp_path / "trace.json").read_text())
    counts = [entry["args"]["bytes"] for entry in trace["traceEvents"] if entry["ph"] == "C"]
    assert counts == [4096, 0]
    snapshot = pickle.loads((tmp_path / "snapshot.pickle").read_bytes())
    assert [entry["action"] for entry in snapshot["device_traces"][0]] == ["segment_alloc", "alloc", "free_requested", "free_completed"]
