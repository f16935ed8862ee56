"""Tests with engines that move arrays between processes. Those of an engine that is not installed are not collected, and the run says so;
TENURE_DISTRIBUTED makes its absence an error."""

import gc
import os
import sys

import pytest

from engines import installed

# The engine of each file.
ENGINES = {
    "test_dask.py": "distributed",
    "test_dask_cuda.py": "distributed",
    "test_joblib.py": "joblib",
    "test_mpi.py": "mpi",
    "test_ray.py": "ray",
    "test_ucx.py": "ucxx",
}
absent = {file: engine for file, engine in ENGINES.items() if not installed(engine)}
collect_ignore = list(absent)
if os.environ.get("TENURE_DISTRIBUTED") and absent:
    raise ImportError(f"TENURE_DISTRIBUTED is set, and these are not installed: {sorted(set(absent.values()))}")


def pytest_report_header(config):
    return f"engines that are not installed: {', '.join(sorted(set(absent.values()))) or 'none'}"


def pytest_configure(config):
    config.addinivalue_line("markers", "engines(names): the test needs these packages")


def pytest_collection_modifyitems(config, items):
    out = [item for item in items if not all(installed(name) for mark in item.iter_markers("engines") for name in mark.args)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_collection_finish(session):
    # As in the other conftest.py: the engines have many objects, and each test collects twice.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def by_value(request):
    """Functions of the test's module reach workers that cannot import it."""
    try:
        import cloudpickle
    except ImportError:
        yield
        return
    module = sys.modules[request.module.__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)
