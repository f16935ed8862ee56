"""The examples in the documentation run unchanged."""

import doctest
import importlib.util
import pathlib

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
