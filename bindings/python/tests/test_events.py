"""The event log: ``record_events`` and ``EventLog``. c-tests/events.c tests what is recorded."""

import multiprocessing
import os
import pathlib
import struct
import subprocess
import sys
import threading
from typing import NamedTuple

import numpy as np
import pytest

import tenure
from tenure import EventKinds, EventStats, Status

HEADER_BYTES, CHUNK_BYTES, SLOT_BYTES = 4096, 65536, 64
TEXT, SITE, POOL = 64, 65, 66
NUMBERS = {kind.name: kind.bit_length() - 1 for kind in EventKinds}


class Event(NamedTuple):
    kind: int
    detail: int
    site: str
    address: int
    bytes: int


class Recorded(NamedTuple):
    """A file of events, read by its specification: docs/event-log.md."""

    kinds: int
    process: int
    events: list[Event]
    pools: set[str]
    names: list[str]

    def of(self, kind):
        return [event for event in self.events if event.kind == NUMBERS[kind]]


def read(path):
    data = pathlib.Path(path).read_bytes()
    magic, version, chunk_bytes, kinds, process = struct.unpack_from("<8sIIQ16xQ", data)
    assert (magic, version, chunk_bytes) == (b"TNEVENTS", 1, CHUNK_BYTES)
    slots, sites, pools, names = [], {}, set(), []
    for start in range(HEADER_BYTES, len(data), CHUNK_BYTES):
        mark, _thread, used, sequence = struct.unpack_from("<4sIQQ", data, start)
        if sequence == 0:
            continue
        assert mark == b"TNCK"
        chunk = [struct.unpack_from("<8Q", data, start + SLOT_BYTES * (1 + i)) for i in range(used)]
        for i, words in enumerate(chunk):
            kind = words[1] & 0xFF
            if kind in (SITE, POOL, NUMBERS["NAME"]):
                text = struct.pack("<3Q", *words[5:])
                if words[4] > len(text):
                    text += struct.pack("<6Q", *chunk[i + 1][2:])
                text = text[: words[4]].decode()
                sites |= {words[2]: text} if kind == SITE else {}
                pools |= {text} if kind == POOL else set()
                names += [text] if kind == NUMBERS["NAME"] else []
        slots += chunk
    events = [
        Event(w[1] & 0xFF, w[1] >> 8 & 0xFF, sites.get(w[1] >> 32, ""), w[3], w[4]) for w in slots if w[1] & 0xFF < TEXT
    ]
    return Recorded(kinds, process, events, pools, names)


@pytest.fixture(autouse=True)
def no_log_stays():
    yield
    if tenure._events._newest is not None:
        tenure._events._newest.stop()
    assert tenure._tenure._events_query().kinds == 0


def line_of(function, offset):
    return f"test_events.py:{function.__code__.co_firstlineno + offset}"


# EV-10, EV-12, EV-16, EV-19, PY-21, PY-23: in a file, with Python's lines
def test_a_block_of_the_program(tmp_path):
    path = tmp_path / "run.events"
    pool = tenure.Pool(name="of the program")
    with tenure.record_events(path) as log:
        x = tenure.zeros((5, 20), name="weights", pool=pool)
        with x.write():
            pass
        n = np.asarray(x)
        del n
        x.release()
        assert log.is_running and log.path == str(path) and str(path) in repr(log) and "running" in repr(log)
        stats = log.stats()
        assert stats.is_file and stats.kinds == EventKinds.ALL and stats.capacity == 1 << 30 and stats.dropped == 0
    assert not log.is_running and "stopped" in repr(log)
    assert log.stats() == EventStats(EventKinds(0), True, *log.stats()[2:]) and log.stats().events >= stats.events
    recorded = read(path)
    assert recorded.kinds == EventKinds.ALL and recorded.process == os.getpid()
    assert "of the program" in recorded.pools and recorded.names == ["weights"]
    here = test_a_block_of_the_program
    (made,) = [event for event in recorded.of("ALLOCATE") if event.bytes == 800]
    assert made.site.endswith(line_of(here, 4))
    (freed,) = [event for event in recorded.of("FREE") if event.address == made.address]
    assert freed.bytes == 800
    begun, ended = [event for event in recorded.of("BORROW") if event.address == made.address]
    assert (begun.detail, ended.detail) == (1, 2) and begun.site.endswith(line_of(here, 5))
    begun, ended = recorded.of("EXPORT")
    assert (begun.detail, ended.detail) == (1, 2) and begun.site.endswith(line_of(here, 7))


# EV-4, EV-21, PY-23: in memory, saved while it runs and after
def test_a_log_in_memory(tmp_path, refused):
    log = tenure.record_events(capacity=1 << 20)
    assert log.path is None and "in memory" in repr(log)
    x = tenure.zeros(100)
    log.save(tmp_path / "early")
    log.save(os.fsencode(tmp_path / "bytes"))
    early = read(tmp_path / "early")
    (made,) = [event for event in early.of("ALLOCATE") if event.bytes == 800]
    assert made.site.endswith(line_of(test_a_log_in_memory, 3)) and read(tmp_path / "bytes").events[: len(early.events)] == early.events
    for _ in range(10000):
        with x.read():
            pass
    stats = log.stats()
    assert not stats.is_file and stats.capacity == 1 << 20 and stats.overwritten > 0 and stats.dropped == 0
    assert stats.events <= (1 << 20) // 64 and stats.events + stats.overwritten > 20000
    log.stop()
    assert log.stats()[1:] == stats[1:] and log.stats().kinds == 0 and not log.is_running
    log.save(str(tmp_path / "late"))
    assert made not in read(tmp_path / "late").events and len(read(tmp_path / "late").of("BORROW")) > 10000
    kind, _ = refused(Status.IO, log.save, tmp_path / "none" / "late")
    assert issubclass(kind, FileNotFoundError)


# EV-17
def test_kinds(tmp_path):
    with tenure.record_events(kinds=EventKinds.BORROW | EventKinds.GIVE) as log:
        x = tenure.zeros(3)
        with x.read():
            pass
        assert log.stats().kinds == EventKinds.BORROW | EventKinds.GIVE
        log.save(tmp_path / "some")
    recorded = read(tmp_path / "some")
    assert {event.kind for event in recorded.events} == {NUMBERS["BORROW"]} and len(recorded.events) == 2
    with tenure.record_events(kinds=EventKinds.ALL & ~EventKinds.BORROW) as log:
        with x.read():
            pass
        assert log.stats().events == 0


# EV-2, PY-23: an object whose log is over ends and saves no log of another
def test_one_log_at_a_time(tmp_path, refused):
    first = tenure.record_events()
    kind, text = refused(Status.DUPLICATE, tenure.record_events, tmp_path / "second")
    assert issubclass(kind, ValueError) and "stop()" in text and not (tmp_path / "second").exists()
    assert first.is_running
    first.stop()
    had = first.stats()
    with tenure.record_events() as second:
        tenure.zeros(3)
        first.stop()
        assert second.is_running and not first.is_running and first.stats() == had
        refused(Status.INVALID, first.save, tmp_path / "first")
        assert not (tmp_path / "first").exists()
        second.stop()
    second.save(tmp_path / "second")


# EV-1, EV-3, EV-5, EV-22
def test_arguments(tmp_path, refused):
    for wrong in ({"kinds": 16}, {"capacity": 1 << 19}, {"capacity": 1 << 41}):
        refused(Status.INVALID, lambda: tenure.record_events(tmp_path / "run", **wrong))
    _, text = refused(Status.INVALID, lambda: tenure.record_events(kinds=16))
    assert "tenure.EventKinds" in text and "TN_" not in text
    for wrong in ({"path": 3}, {"path": open}, {"kinds": "borrow"}, {"capacity": "1"}):
        with pytest.raises(TypeError):
            tenure.record_events(**wrong)
    with pytest.raises(ValueError, match="null byte"):
        tenure.record_events("a\0b")
    with pytest.raises(OverflowError):
        tenure.record_events(capacity=-1)
    kind, _ = refused(Status.IO, tenure.record_events, tmp_path / "none" / "run")
    assert issubclass(kind, FileNotFoundError)
    refused(Status.IO, tenure.record_events, tmp_path)
    assert list(tmp_path.iterdir()) == []
    with tenure.record_events(str(tmp_path / "run"), capacity=1 << 20) as log:
        kind, text = refused(Status.INVALID, log.save, tmp_path / "copy")
        x = tenure.zeros(3)
        for _ in range(10000):
            with x.read():
                pass
        assert log.stats().dropped > 0
        dropped = log.stats().dropped
    assert log.stats().dropped == dropped and [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_exception_stops_it():
    with pytest.raises(KeyError):
        with tenure.record_events() as log:
            raise KeyError
    assert not log.is_running
    log.stop()
    log.stop()


# A log has no variable, as in the first line of a program.
def test_it_goes_on_without_a_variable():
    tenure.record_events()
    tenure.zeros(3)
    assert tenure._events._newest.is_running and tenure._events._newest.stats().events > 0


def of_child(log, path):
    # Also that of another object in the child.
    assert not log.is_running and log.stats().events == 0
    with tenure.record_events(path):
        log.stop()
        tenure.zeros(77)
    log.stop()


# EV-7, PY-23
def test_a_forked_process_has_no_log(tmp_path):
    with tenure.record_events(tmp_path / "ours") as log:
        child = multiprocessing.get_context("fork").Process(target=of_child, args=(log, tmp_path / "theirs"))
        child.start()
        child.join(60)
        assert child.exitcode == 0 and log.is_running
        tenure.zeros(99)
    assert {616, 792} & {event.bytes for event in read(tmp_path / "ours").of("ALLOCATE")} == {792}
    assert {616, 792} & {event.bytes for event in read(tmp_path / "theirs").of("ALLOCATE")} == {616}
    assert read(tmp_path / "theirs").process == child.pid


# Threads that hold the interpreter's lock while they wait for the library, and threads inside of the library that wait for the lock.
def test_start_and_stop_beside_threads(tmp_path):
    pool = tenure.Pool(name="tight", max_size=1 << 20)
    pressed, end = [], threading.Event()

    def press(needed, reason):
        pressed.append(needed)

    def work():
        while not end.is_set():
            with tenure.zeros(10).read():
                pass
            with pytest.raises(MemoryError):
                tenure.empty(1 << 20, pool=pool)

    pool.on_pressure(press)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for round in range(20):
            with tenure.record_events(tmp_path / "run" if round % 2 else None, capacity=1 << 20) as log:
                before = len(pressed)
                while len(pressed) == before:
                    end.wait(0.001)
                if log.path is None:
                    log.save(tmp_path / "saved")
    finally:
        end.set()
        for thread in threads:
            thread.join()
    pool.off_pressure(press)
    assert read(tmp_path / "saved").of("ALLOCATE") and read(tmp_path / "run").of("ALLOCATE")


# EV-6, EV-8
@pytest.mark.parametrize("begin", ["", "tenure.record_events(sys.argv[1])"])
def test_a_program_without_an_end(tmp_path, begin):
    code = f"import os, sys, tenure; {begin}\nx = tenure.zeros(50)\ny = tenure.empty(60)\nz = x + 1\nos.kill(os.getpid(), 9)"
    environment = os.environ if begin else {**os.environ, "TENURE_EVENTS": str(tmp_path / "run")}
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], env=environment, timeout=120)
    assert done.returncode == -9
    sites = [(event.bytes, event.site) for event in read(tmp_path / "run").of("ALLOCATE")]
    assert sites == [(400, "<string>:2"), (480, "<string>:3"), (400, "<string>:4")]
