"""The examples in the documentation run unchanged."""

import doctest
import importlib.util
import pathlib
import re

import numpy
import pytest

import tenure


def documented():
    yield "tenure", tenure.__doc__
    for name in tenure.__all__:
        yield name, getattr(getattr(tenure, name), "__doc__", None)
    for name, member in vars(tenure.Array).items():
        yield f"Array.{name}", member.__doc__


# Examples that need a library run where it is installed.
NEEDS = {"to_torch": "torch", "to_jax": "jax"}
ABSENT = {name for name, library in NEEDS.items() if importlib.util.find_spec(library) is None}

EXAMPLES = {name: text for name, text in documented() if isinstance(text, str) and ">>>" in text and name not in ABSENT}
OOMATRIX = pathlib.Path(__file__).with_name("oomatrix.txt").read_text()
EXAMPLES |= {f"oomatrix: {part.splitlines()[0]}": part for part in OOMATRIX.split("\n## ")[1:]}


def test_there_are_examples():
    assert len(EXAMPLES) >= 10 and sum(name.startswith("oomatrix") for name in EXAMPLES) >= 12


def counted(pool, work):
    """The number of arrays made, and the result."""
    before = pool.stats().allocation_count
    result = work()
    return pool.stats().allocation_count - before, result


def marked(name):
    """The library that an example needs, such as torch for `to_torch`."""
    library = name.removeprefix("to_")
    return pytest.param(name, marks=pytest.mark.needs(library)) if library != name else name


@pytest.mark.parametrize("name", [marked(name) for name in EXAMPLES])
def test_example(name):
    parser = doctest.DocTestParser()
    # Only one variable refers to x, because examples give it away.
    names = {"numpy": numpy, "tenure": tenure, "x": tenure.zeros((2, 3), name="x")}
    if name.startswith("oomatrix"):
        pool = tenure.Pool(thread_cache_size=tenure.NONE)  # its peaks are exact
        names |= {"pool": pool, "counted": lambda work: counted(pool, work)}
    example = parser.get_doctest(EXAMPLES[name], names, name, None, 0)
    names.clear()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = []
    runner.run(example, out=report.append)
    assert not runner.failures, "".join(report)
    example.globs.clear()


# Names behind "tenure." that are files, and modules that need the library of their name.
NO_NAMES = {"h", "hpp", "f90", "so", "svg", "html"}
NEED_LIBRARIES = {"torch", "cupy", "cuda_core", "numba", "rmm", "distributed"}


def unknown_names(text):
    """The names of the package in a text that it does not have."""
    for name in re.findall(r"(?<![\w./-])tenure((?:\.[A-Za-z_]\w*)+)", text):
        first, *rest = name[1:].split(".")
        if first in NO_NAMES | NEED_LIBRARIES:
            continue
        found = getattr(tenure, first, None)
        if found is None or rest and not hasattr(found, rest[0]):
            yield "tenure" + name


def test_the_names_in_the_pages_exist():
    root = pathlib.Path(__file__).resolve().parents[3]
    if not (root / "docs").exists():
        pytest.skip("docs is not here")
    assert [*unknown_names("tenure.zeros, tenure.zeroes and tenure.cuda.nothing")] == ["tenure.zeroes", "tenure.cuda.nothing"]
    # In the pages of other languages the same word is the name of their module.
    others = [root / "bindings" / language / "README.md" for language in ("go", "java", "node", "r", "zig")]
    pages = {root / "README.md", *(root / "docs").rglob("*.md"), *(root / "bindings").rglob("README.md")} - set(others)
    unknown = {f"{page.relative_to(root)}: {name}" for page in pages for name in unknown_names(page.read_text())}
    assert not unknown
