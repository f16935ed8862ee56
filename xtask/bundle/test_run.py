"""Tests that run.py survives programs that hang, crash or print nothing. Runs before each bundle is made and takes about a minute."""

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


def main():
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
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
