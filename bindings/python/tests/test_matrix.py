"""The matrix of libraries, element types and layouts, and the document that is written from it (DL-60).

Rows that its cases show: DL-3 to DL-11 and DL-22 to DL-25 as the libraries see them, CA-21 to CA-23, CA-25, CA-27, XC-6.
"""

import gc
import os
import pathlib

import numpy as np
import pytest

import matrix
import tenure
from matrix import ALIAS, COPY, EMPTY, READS, Case

CROSSINGS = matrix.crossings()
HERE = [library for library, module in matrix.LIBRARIES.items() if module is not None]


def collect_jax_garbage(crossing_or_library):
    if "JAX" in str(crossing_or_library):
        gc.collect(0)  # JAX releases deferred arrays then


def cases(layout):
    return [Case(dtype, layout, readonly) for readonly in (False, True) for dtype in matrix.DTYPES]


@pytest.mark.parametrize("layout", matrix.LAYOUTS)
@pytest.mark.parametrize("crossing", CROSSINGS, ids=[f"{crossing.library}: {crossing.name}" for crossing in CROSSINGS])
def test_every_crossing_follows_its_rule(crossing, layout):
    for case in cases(layout):
        seen = matrix.observe(crossing, case)
        if seen is not None:
            expected = crossing.rule(case)
            assert matrix.agrees(seen, expected), (case, seen, expected)


# XC-6: a refusal leaves nothing behind, and a crossing array ends with its consumer.
@pytest.mark.parametrize("crossing", [crossing for crossing in CROSSINGS if crossing.outward], ids=str)
def test_no_claim_is_left(crossing):
    for layout in matrix.LAYOUTS:
        for case in cases(layout):
            start = crossing.make(case)
            if start is None:
                continue
            try:
                end = crossing.cross(start)
            except Exception:
                end = None
            del end
            collect_jax_garbage(crossing.library)
            assert start.why_not().holders == (), (case, start.why_not())


def put(x):
    """Writes 3 into the first element, if the object can be written."""
    if not hasattr(x, "__setitem__") or matrix.readonly(x) or type(x).__module__.startswith("pyarrow"):
        return False
    x[(0,) * x.ndim] = 3
    return True


def has(x):
    """Whether the first element is 3."""
    if hasattr(x, "to_pybytes"):
        return any(x.to_pybytes()[:16])
    return complex(x[(0,) * x.ndim]) == 3


# Both sides share the bytes: each sees the other's writes. (JAX arrays never change: see test_peers.py.)
@pytest.mark.parametrize("swapped", [False, True], ids=["", "backwards"])
@pytest.mark.parametrize("crossing", [crossing for crossing in CROSSINGS if crossing.library != "JAX"], ids=str)
def test_writes_are_seen(crossing, swapped, refused):
    for case in matrix.cases():
        start = None if case.dtype in ("bool", "bfloat16") else crossing.make(case)
        if start is None or crossing.rule(case) != ALIAS:
            continue
        end = crossing.cross(start)
        if "reads=True" in crossing.name:
            if start.flags.readonly:
                continue
            refused(tenure.Status.EXPORTED, start.fill, 3)  # an open read view excludes writers
            continue
        writer, reader = (end, start) if swapped else (start, end)
        assert not has(reader) or case.layout == "size 0"
        if put(writer):
            assert has(reader), case


# A reader's contents do not change.
@pytest.mark.parametrize("crossing", [crossing for crossing in CROSSINGS if crossing.outward], ids=str)
def test_writes_are_refused_while_a_reader_exists(crossing, refused):
    """DL-10, CA-21, XC-2: while a read-only export is open, writes are refused."""
    case = Case("float32", "dense", True)
    if crossing.rule(case) != READS:
        return
    base = tenure.zeros((8, 8), "float32")
    end = crossing.cross(base.readonly)
    refused(tenure.Status.EXPORTED, base.fill, 1)
    del end
    base.fill(1)


@pytest.mark.parametrize("consumer", HERE)
@pytest.mark.parametrize("producer", HERE)
def test_through_tenure(producer, consumer):
    """DL-61 across libraries: the result equals that of a Tenure array."""
    for case in matrix.cases():
        seen = matrix.pair(producer, consumer, case)
        if seen is not None:
            expected = matrix.pair_rule(consumer, case)
            assert matrix.agrees(seen, expected), (case, seen, expected)
    collect_jax_garbage(producer + consumer)


def test_the_cases_are_there():
    """A matrix without an alias, or without an array, would agree with anything."""
    for crossing in CROSSINGS:
        outcomes = {matrix.observe(crossing, case)[0] for case in matrix.cases() if crossing.make(case) is not None}
        assert outcomes & {ALIAS, READS, COPY} and EMPTY in outcomes, crossing.name
        collect_jax_garbage(crossing.library)


def repository():
    """The repository of these tests; None where they were copied elsewhere."""
    root = pathlib.Path(__file__).resolve().parents[3]
    return root if (root / "docs" / "spec").exists() else None


def test_the_document_is_fresh():
    root = repository()
    if root is None:
        pytest.skip("docs/interop.md is not here")
    old = (root / "docs" / "interop.md").read_text()
    assert matrix.document(old) == old, "out of date: cargo xtask interop"
    assert "## NumPy " in old and os.linesep == "\n"
    collect_jax_garbage("JAX")


def test_sections_of_missing_libraries_stay(monkeypatch):
    root = repository()
    if root is None:
        pytest.skip("docs/interop.md is not here")
    old = (root / "docs" / "interop.md").read_text()
    for library in matrix.LIBRARIES:
        monkeypatch.setitem(matrix.LIBRARIES, library, None)
    assert matrix.document(old) == old
    broken = old.replace("alias", "copy")
    assert matrix.document(broken) != old  # nothing is invented
