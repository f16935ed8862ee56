"""Every test gives back what it made: the library's own list says so."""

import collections
import gc

import pytest

import tenure


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


def pytest_configure(config):
    config.addinivalue_line("markers", "keeps: what the test makes stays on purpose")


@pytest.fixture
def refused():
    """`refused(status, f, *args)`: the call raises that status, as an exception of the package."""

    def check(status, function, *args, **options):
        with pytest.raises(tenure.Error) as caught:
            function(*args, **options)
        seen, kind, text = caught.value.status, type(caught.value), str(caught.value)
        # The exception holds this frame and its arguments: nothing of it may stay.
        del caught
        assert seen == status, text
        assert text
        return kind, text

    return check
