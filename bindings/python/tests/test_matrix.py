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

DOORS = matrix.doors()
HERE = [library for library, module in matrix.LIBRARIES.items() if module is not None]


def settle(door_or_library):
    if "JAX" in str(door_or_library):
        gc.collect(0)  # with which JAX gives back what it put off


def cases(layout):
    return [Case(dtype, layout, readonly) for readonly in (False, True) for dtype in matrix.DTYPES]


@pytest.mark.parametrize("layout", matrix.LAYOUTS)
@pytest.mark.parametrize("door", DOORS, ids=[f"{door.library}: {door.name}" for door in DOORS])
def test_a_door_does_what_its_rule_says(door, layout):
    for case in cases(layout):
        seen = matrix.observe(door, case)
        if seen is not None:
            expected = door.rule(case)
            assert matrix.agrees(seen, expected), (case, seen, expected)


# XC-6: a refusal leaves nothing behind, and what did cross ends with its consumer
@pytest.mark.parametrize("door", [door for door in DOORS if door.outward], ids=str)
def test_no_claim_is_left(door):
    for layout in matrix.LAYOUTS:
        for case in cases(layout):
            start = door.make(case)
            if start is None:
                continue
            try:
                end = door.cross(start)
            except Exception:
                end = None
            del end
            settle(door.library)
            assert start.why_not().holders == (), (case, start.why_not())


def put(x):
    """Writes 3 into the first element, if the object has a way to."""
    if not hasattr(x, "__setitem__") or matrix.readonly(x) or type(x).__module__.startswith("pyarrow"):
        return False
    x[(0,) * x.ndim] = 3
    return True


def has(x):
    """Whether the first element is 3."""
    if hasattr(x, "to_pybytes"):
        return any(x.to_pybytes()[:16])
    return complex(x[(0,) * x.ndim]) == 3


# The bytes are the same ones: what one side writes the other reads. (JAX arrays never change: see test_peers.py.)
@pytest.mark.parametrize("swapped", [False, True], ids=["", "backwards"])
@pytest.mark.parametrize("door", [door for door in DOORS if door.library != "JAX"], ids=str)
def test_writes_are_seen(door, swapped, refused):
    for case in matrix.cases():
        start = None if case.dtype in ("bool", "bfloat16") else door.make(case)
        if start is None or door.rule(case) != ALIAS:
            continue
        end = door.cross(start)
        if "reads=True" in door.name:
            if start.flags.readonly:
                continue
            refused(tenure.Status.EXPORTED, start.fill, 3)  # it said that it reads: nobody writes
            continue
        writer, reader = (end, start) if swapped else (start, end)
        assert not has(reader) or case.layout == "size 0"
        if put(writer):
            assert has(reader), case


# The reading side stays what it is.
@pytest.mark.parametrize("door", [door for door in DOORS if door.outward], ids=str)
def test_our_writes_beside_a_reader(door, refused):
    """DL-10, CA-21, XC-2: a consumer that was told "read-only" has our word that nobody writes."""
    case = Case("float32", "dense", True)
    if door.rule(case) != READS:
        return
    base = tenure.zeros((8, 8), "float32")
    end = door.cross(base.readonly)
    refused(tenure.Status.EXPORTED, base.fill, 1)
    del end
    base.fill(1)


@pytest.mark.parametrize("consumer", HERE)
@pytest.mark.parametrize("producer", HERE)
def test_through_us(producer, consumer):
    """DL-61 across libraries: what comes out is what would come out of an array of our own."""
    for case in matrix.cases():
        seen = matrix.pair(producer, consumer, case)
        if seen is not None:
            expected = matrix.pair_rule(consumer, case)
            assert matrix.agrees(seen, expected), (case, seen, expected)
    settle(producer + consumer)


def test_the_cases_are_there():
    """A matrix that says "alias" nowhere, or makes no array, would agree with anything."""
    for door in DOORS:
        outcomes = {matrix.observe(door, case)[0] for case in matrix.cases() if door.make(case) is not None}
        assert outcomes & {ALIAS, READS, COPY} and EMPTY in outcomes, door.name
        settle(door.library)


def repository():
    """The repository that these tests lie in; None where somebody took them elsewhere."""
    root = pathlib.Path(__file__).resolve().parents[3]
    return root if (root / "docs" / "spec").exists() else None


def test_the_document_is_fresh():
    root = repository()
    if root is None:
        pytest.skip("docs/interop.md is not here")
    old = (root / "docs" / "interop.md").read_text()
    assert matrix.document(old) == old, "out of date: cargo xtask interop"
    assert "## NumPy " in old and os.linesep == "\n"
    settle("JAX")


def test_what_is_not_installed_stays_as_it_stands(monkeypatch):
    root = repository()
    if root is None:
        pytest.skip("docs/interop.md is not here")
    old = (root / "docs" / "interop.md").read_text()
    for library in matrix.LIBRARIES:
        monkeypatch.setitem(matrix.LIBRARIES, library, None)
    assert matrix.document(old) == old
    broken = old.replace("alias", "copy")
    assert matrix.document(broken) != old  # nothing is made up
