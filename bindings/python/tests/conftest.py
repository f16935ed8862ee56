"""Every test releases what it made, which the library's list of open handles proves."""

import collections
import gc
import importlib.util
import os

import pytest

# Before anything imports JAX: no search for devices, and elements of 64 bits stay what they are.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")

import tenure  # noqa: E402

# The libraries of a separate tier, 3 GB to download. `cargo xtask test --peers` installs them and sets TENURE_PEERS.
# Without them, tests that need them are deselected, not skipped.
PEERS = {"torch", "pandas", "PIL", "matplotlib"}
missing = {library for library in PEERS - {"torch"} if importlib.util.find_spec(library) is None}
# TENURE_NO_PEERS: the selected tests need none of them. Importing them takes half a minute where they come with CUDA.
for _library in ("torch", "jax", "pyarrow"):
    try:
        if os.environ.get("TENURE_NO_PEERS"):
            raise ImportError
        __import__(_library)
    except ImportError:
        missing.add(_library)
if os.environ.get("TENURE_PEERS") and missing & PEERS:
    raise ImportError(f"TENURE_PEERS is set, and these are not installed: {missing & PEERS}")
# Frozen, because collecting everything imported after each test would take longer than the tests.
gc.collect()
gc.freeze()


def held():
    gc.collect()
    tenure.run_releases()
    return collections.Counter((h.kind, h.name) for h in tenure.leaks())


@pytest.fixture(autouse=True)
def nothing_leaks(request):
    before = held()
    yield
    if request.node.get_closest_marker("keeps"):
        return
    left = held() - before
    assert not left, f"not given back: {dict(left)}"


def pytest_collection_modifyitems(config, items):
    def needs(item):
        return set(getattr(item, "fixturenames", ())) | {m.args[0] for m in item.iter_markers("needs")}

    out = [item for item in items if needs(item) & missing & PEERS]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(library): the test is about that library")
    config.addinivalue_line("markers", "keeps: what the test makes stays on purpose")


@pytest.fixture
def refused():
    """`refused(status, f, *args)`: the call raises that status, as an exception of the package."""

    def check(status, function, *args, **options):
        with pytest.raises(tenure.Error) as caught:
            function(*args, **options)
        seen, kind, text = caught.value.status, type(caught.value), str(caught.value)
        # The exception holds this frame and its arguments, so it is cleared.
        del caught
        assert seen == status, text
        assert text
        return kind, text

    return check
