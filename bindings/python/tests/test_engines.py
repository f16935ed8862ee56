"""Registration with engines that move arrays between processes, without any: packages with their names stand in. tests/distributed has the
engines."""

import os
import subprocess
import sys
import textwrap

import pytest

LOKY = """
taken = {}
def register(kind, reduce):
    taken[kind] = reduce
"""


@pytest.fixture
def run(tmp_path):
    """Runs code beside a package loky that only registers."""
    (tmp_path / "loky/backend").mkdir(parents=True)
    for name, text in {"__init__": "", "backend/__init__": "", "backend/reduction": LOKY}.items():
        (tmp_path / f"loky/{name}.py").write_text(text)

    def check(code):
        command = [sys.executable, "-c", textwrap.dedent(code)]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    return check


@pytest.mark.parametrize("imports", ["import tenure, loky.backend.reduction", "import loky.backend.reduction, tenure"])
def test_arrays_register_when_an_engine_is_imported(run, imports):
    out = run(
        f"""
        {imports}
        import importlib.util
        module = loky.backend.reduction
        reduce = module.taken[tenure.Array]
        rebuild, parts = reduce(tenure.ones(3))
        assert rebuild(*parts).tolist() == [1, 1, 1]
        # The module is as without Tenure.
        assert type(module.__loader__) is type(module.__spec__.loader) is type(loky.__loader__)
        assert "taken" in module.__loader__.get_source(module.__name__)
        print("registered")
        """
    )
    assert out == "registered\n"


def test_finding_an_engine_does_not_register(run):
    out = run(
        """
        import tenure, importlib.util
        spec = importlib.util.find_spec("loky.backend.reduction")
        assert "taken" in spec.loader.get_source("loky.backend.reduction")
        assert importlib.util.find_spec("loky.backend.missing") is None
        import loky.backend.reduction
        print(tenure.Array in loky.backend.reduction.taken)
        """
    )
    assert out == "True\n"


def test_an_engine_without_what_is_needed_warns(run):
    out = run(
        """
        import pathlib, warnings, tenure
        pathlib.Path("loky/backend/reduction.py").write_text("value = 1")
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            import loky.backend.reduction
        print(loky.backend.reduction.value, [str(w.message).split("(")[0] for w in seen])
        """
    )
    assert out == "1 ['tenure cannot register its arrays with loky.backend.reduction: AttributeError']\n"


def test_an_engine_that_fails_fails_as_before(run):
    out = run(
        """
        import pathlib, tenure
        pathlib.Path("loky/backend/reduction.py").write_text("raise ValueError('broken')")
        for _ in range(2):
            try:
                import loky.backend.reduction
            except ValueError as error:
                print(error)
        pathlib.Path("loky/backend/reduction.py").write_text("taken = {}\\nregister = taken.__setitem__")
        import loky.backend.reduction
        print(tenure.Array in loky.backend.reduction.taken)
        """
    )
    assert out == "broken\nbroken\nTrue\n"


def test_the_modules_for_engines_import_no_engine(run):
    out = run(
        """
        import sys, tenure, tenure.distributed.dask, tenure.distributed.ucx
        assert not {"dask", "distributed", "ucxx", "loky"} & set(sys.modules)
        tenure.distributed.dask.register()
        print([module.__all__ for module in (tenure.distributed.dask, tenure.distributed.ucx)])
        """
    )
    assert out == "[['dask_setup', 'register'], ['recv', 'send']]\n"
