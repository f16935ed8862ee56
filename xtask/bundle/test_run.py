"""Tests that run.py survives programs that hang, crash or print nothing, and that it writes a card's page. Runs before each bundle is made
and takes about a minute."""

import gzip
import pathlib
import sys
import tempfile

import run

# Behaves as tests/harness does with one thread; `crash` crashes, `hang` never ends.
LIBTEST = """#!/usr/bin/env python3
import os, sys, time
names = ["alpha", "crash", "beta", "hang", "gamma", "fails", "skips"]
if "--list" in sys.argv:
    print("\\n".join(f"{name}: test" for name in names))
    sys.exit()
if "--exact" in sys.argv:
    names = [name for name in names if name in sys.argv[sys.argv.index("--exact") + 1:]]
print(f"running {len(names)} tests")
texts, bad = [], 0
for name in names:
    print(f"test {name} ... ", end="", flush=True)
    if name == "crash":
        os.abort()
    if name == "hang":
        time.sleep(1000)
    print({"fails": "FAILED", "skips": "ignored, no reason"}.get(name, "ok"), flush=True)
    if name == "fails":
        bad = 101
        texts.append("\\nfailures:\\n\\n---- fails stdout ----\\nit had to\\n\\n")
print("".join(texts))
sys.exit(bad)
"""
PYTEST = """
import os, time, pytest

def test_alpha(): pass

def test_hang(): time.sleep(1000)

@pytest.mark.parametrize("with_a", ["space in it", "b"])
def test_crash(with_a):
    if with_a == "b":
        os.abort()

class TestGroup:
    def test_fails(self): assert 0, "it had to"

def test_skips(): pytest.skip("no reason")
"""


def told(suite, seconds, folder):
    _, found = suite.run(seconds, folder)
    return {name.split("::", 1)[1] if "::" in name else name: how for name, how in found.items()}


def test_programs_for_a_newer_cpp_library_are_skipped(place):
    (place / "newer").write_bytes(b"\x7fELF GLIBCXX_3.4.9 GLIBCXX_3.4.99 ")
    _, found = run.Program("cpp", place / "newer").run(10, place)
    how, why = found["cpp/newer"]
    assert how == "skipped" and "GLIBCXX_3.4.99" in why, found
    (place / "any").write_bytes(b"\x7fELF GLIBCXX_3.4.9")
    assert run.Program("cpp", place / "any").lacks() is None


def test_the_page_of_a_card():
    answers = {
        "other_things": [{"question": "the name of the device", "answer": "NVIDIA X-1 | 80GB", "simulator": None}],
        "reset": [{"question": "then", "answer": "201", "simulator": "709"}],
        "a_new_group": [{"question": "new", "answer": "yes", "simulator": None}],
    }
    bar = {"bar": "T24", "against": "driver", "least": 1, "ratio": 2}
    cases = {
        "copy": {"bytes": 100, "ways": {"tenure": {"ns": 10, "median": 20}}, "bars": [bar]},
        "memory": {"reserved": 7},
    }
    report = {
        "bundle": {"version": "1", "commit": "c"}, "machine": {"gpu": "X", "torch": None}, "answers": answers,
        "counts": {"passed": 1, "failed": 0, "skipped": 2}, "figures": {"some": {"cases": cases}, "none": None},
    }
    page = run.page_of(report)
    assert run.slug(run.card_of(answers)) == "nvidia-x-1-80gb"
    for line in (
        "# NVIDIA X-1 | 80GB", "| then | 201 | 709 |", "| new | yes |  |", "| copy | tenure | 10.0 | 20.0 | 10.00 GB/s |",
        "| T24 | copy | driver | 1 | 2.00 | yes |", "| memory | reserved 7 |", "| tests | 1 passed, 0 failed, 2 skipped |",
    ):
        assert line in page.splitlines(), (line, page)


def main():
    run.QUIET = 15
    test_the_page_of_a_card()
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        test_programs_for_a_newer_cpp_library_are_skipped(place)
        (place / "rust.gz").write_bytes(gzip.compress(LIBTEST.encode()))
        found = told(run.Rust(place / "rust.gz"), 900, place)
        hows = {name: how for name, (how, _) in found.items()}
        wanted = {"alpha": "passed", "beta": "passed", "gamma": "passed", "skips": "skipped"}
        assert hows == wanted | {"crash": "failed", "hang": "failed", "fails": "failed"}, found
        assert "SIGABRT" in found["crash"][1] and "hung" in found["hang"][1] and "it had to" in found["fails"][1], found
        assert found["skips"][1] == "skipped: no reason", found
        found = told(run.Rust(place / "rust.gz"), 0, place)
        assert [how for how, _ in found.values()] == ["failed"] and "no time" in str(found), found
        (place / "tests").mkdir()
        (place / "tests/test_some.py").write_text(PYTEST)
        found = told(run.Python(place / "tests"), 900, place)
        hows = {name.removeprefix("test_some.py::"): how for name, (how, _) in found.items()}
        wanted = {"test_alpha": "passed", "test_crash[space in it]": "passed", "test_skips": "skipped"}
        wanted |= {name: "failed" for name in ("test_hang", "test_crash[b]", "TestGroup::test_fails")}
        assert hows == wanted, found
        assert "no reason" in found["test_some.py::test_skips"][1], found
    print("run.py survives what it has to")


if __name__ == "__main__":
    sys.exit(main())
