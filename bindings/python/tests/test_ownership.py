"""give and take, weak handles, why_not, handles across languages."""

import ctypes
import gc
import threading
import warnings

import numpy as np
import pytest

import tenure
from tenure import HolderKind, Status, Why


# OO-1, OO-2, OO-8
def test_give_and_take(refused):
    x = tenure.zeros((2, 3), name="K")
    address = tenure.owner_of(x).address
    promise = tenure.give(x)
    refused(Status.GIVEN, x.copy)
    refused(Status.GIVEN, lambda: x[0])
    refused(Status.GIVEN, lambda: tenure.give(x))
    assert x.shape == (2, 3) and x.why_not() == Why.GIVEN and not x.is_unique  # OO-28
    y = tenure.take(promise)
    assert (y.name, y.shape, y.why_not()) == ("K", (2, 3), 0) and tenure.owner_of(y).address == address
    for use in (lambda: x.shape, x.copy, lambda: x[0, 0], lambda: np.asarray(x), x.why_not, lambda: tenure.give(x)):
        with pytest.raises(tenure.OwnershipError) as caught:
            use()
        assert caught.value.status == Status.DESTRUCTED
    refused(Status.DESTRUCTED, tenure.take, promise)  # OO-22
    refused(Status.DESTRUCTED, promise.cancel)


# OO-18, OO-21
def test_cancel_and_release(refused):
    x = tenure.ones(3)
    promise = tenure.give(x)
    promise.cancel()
    refused(Status.DESTRUCTED, promise.cancel)
    assert x.tolist() == [1, 1, 1]
    promise = tenure.give(x)
    x.release()
    assert tenure.take(promise).tolist() == [1, 1, 1]


# OO-20, PY-11
def test_a_promise_that_is_never_taken_cancels_itself():
    x = tenure.ones(3, name="unused")
    promise = tenure.give(x)
    with pytest.warns(ResourceWarning, match="unused"):
        del promise
        gc.collect()
    assert x.tolist() == [1, 1, 1]
    promise = tenure.give(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tenure.take(promise)
        del promise
        gc.collect()


# OO-4, OO-5, OO-7, OO-9
def test_required(refused):
    x = tenure.zeros(3)
    promise = tenure.give(x, required=2)
    y = tenure.take(promise)
    assert x.why_not() == y.why_not() == Why.SHARED
    y.release()
    p, q = tenure.give(x, 2), tenure.give(x, 2)
    refused(Status.COUNT, tenure.give, x, 2)
    y, z = tenure.take(p, q)
    refused(Status.DESTRUCTED, x.copy)
    z.release()
    assert y.is_unique
    for wrong in (0, -1):
        with pytest.raises(ValueError):
            tenure.give(y, wrong)


# OO-11, OO-12
def test_take_is_all_or_nothing(refused):
    x, y = tenure.zeros(3), tenure.zeros(4)
    p, q = tenure.give(x), tenure.give(y)
    refused(Status.DUPLICATE, tenure.take, p, p)
    q.cancel()
    refused(Status.DESTRUCTED, tenure.take, p, q)
    refused(Status.GIVEN, x.copy)
    with pytest.raises(TypeError):
        tenure.take(p, x)
    with pytest.raises(TypeError):
        tenure.take(x)
    a, b = tenure.take(p, tenure.give(y))
    assert (a.shape, b.shape) == ((3,), (4,))


# OO-26
def test_own_guards_refuse_giving(refused):
    x = tenure.zeros(3)
    with x.read():
        refused(Status.BORROWED, tenure.give, x)
    with x.write():
        refused(Status.BORROWED_WRITE, tenure.give, x)
    n = np.asarray(x)
    y = tenure.take(tenure.give(x))  # OO-27
    assert y.why_not() == Why.EXPORTED
    n[0] = 4
    assert y[0] == 4
    del n


# PY-5, PY-6
def test_a_promise_is_no_array():
    x = tenure.zeros((2, 3), name="K")
    promise = tenure.give(x)
    text = repr(promise)
    assert text.startswith('<tenure promise of array float64 (2, 3) "K">') and len(text.split("\n")) == 4
    assert "tenure.take(promise)" in text and "cancel()" in text
    for use in (
        lambda: promise.shape,
        lambda: promise.T,
        lambda: promise[0],
        lambda: promise + 1,
        lambda: np.asarray(promise).shape and np.asarray(promise) + 1,
        lambda: memoryview(promise),
        lambda: len(promise),
        lambda: tenure.zeros(3).copy_from(promise),
    ):
        with pytest.raises(TypeError):
            use()
    with pytest.raises(TypeError, match="tenure.take"):
        promise.shape
    with pytest.raises(AttributeError):
        promise.nothing_of_the_kind
    promise.cancel()


# PY-6: the taker's line where it is known
def test_a_destructed_array_names_its_taker():
    x = tenure.zeros(3, name="K")
    y = tenure.take(tenure.give(x))  # the taker
    line = next(i for i, t in enumerate(open(__file__), 1) if t.rstrip().endswith("# the taker"))
    assert f"test_ownership.py:{line}" in repr(x)
    with pytest.raises(tenure.OwnershipError, match=f"test_ownership.py:{line}"):
        x.copy()
    del y


# PY-8, WN-3, WN-5
def test_why_not_lists_holders():
    x = tenure.zeros((4, 3), name="K")
    assert not x.why_not() and x.why_not().holders == () and x.is_unique and str(x.why_not()) == "nothing"
    clone, n = x.clone(), np.asarray(x.readonly)
    with x[1:].read():
        why = x.why_not()
        assert why == Why.SHARED | Why.EXPORTED | Why.BORROWED and Why.SHARED in why
        assert isinstance(why, Why) and "SHARED" in repr(why)
        assert (
            str(why).startswith("SHARED|EXPORTED|BORROWED: ")
            and "GUARD_READ" in f"{why}"
            and f"{why:d}" == str(int(why))
        )
        kinds = sorted(h.kind for h in why.holders)
        assert kinds.count(HolderKind.EXPORT_READ) == 1 and kinds.count(HolderKind.GUARD_READ) == 1
        assert all(h.thread for h in why.holders) and all("test_ownership" in h.site for h in why.holders if h.site)
    del clone, n
    assert x.why_not() == 0
    assert x.why_not(((4, 3), "float64")) == 0
    assert x.why_not(((4, 3), "float32")) & Why.LAYOUT
    assert x.why_not(tenure.zeros((2, 2))) & Why.WASTE
    assert x[:0].broadcast_to(0, 3).why_not() == Why.SHARED
    assert x[:1].broadcast_to(2, 3).why_not() & (Why.READONLY | Why.NOT_ALIASABLE)


# PY-8: each reason in words, with its holders
def test_why_not_in_words():
    x = tenure.zeros((4, 3), name="K")
    assert tenure.why_not(x) == 0 and tenure.why_not(x).explain() == "in place"
    clone, n = x.clone(), np.asarray(x)
    clone.name = "twin"
    promise = tenure.give(x, required=1)
    lines = tenure.why_not(x).explain().splitlines()
    assert [line.split(":")[0].strip() for line in lines if line.startswith("  ") and line[2] != " "] == [
        "GIVEN",
        "SHARED",
        "EXPORTED",
    ]
    assert [line.split()[:2] for line in lines if line.startswith("    ")] == [
        ["PROMISE", "'K'"],
        ["HANDLE", "'twin'"],
        ["EXPORT_SHARED", "'K'"],
    ]
    assert all("test_ownership.py:" in line for line in lines if line.startswith("    P"))
    promise.cancel()
    del clone, n
    with x.read():
        text = x.why_not().explain()
    assert "BORROWED" in text and "GUARD_READ 'K' at " in text
    e = tenure.lazy(x)
    assert "EXPRESSION" in tenure.why_not(x).explain() and "del the expression" in tenure.why_not(x).explain()
    with pytest.raises(TypeError, match="explain"):
        tenure.why_not(e)
    del e
    assert "WASTE" in tenure.why_not(x, tenure.zeros((2, 2))).explain()
    assert tenure.Why.SHARED.explain().startswith("not in place"), "without holders, too"
    with pytest.raises(TypeError, match="tenure.take"):
        tenure.why_not(tenure.give(x))


# PY-6: a promise that does not suffice by itself states that
def test_a_promise_states_its_condition():
    x = tenure.zeros(3)
    y = x
    p = tenure.give(x)
    assert "2 variables refer to the array: it moves if 2 promises come in one call" in repr(p)
    p.cancel()
    del y
    p = tenure.give(x, required=3)
    assert "3 variables refer to it, its giver says" in repr(p)
    p.cancel()
    p = tenure.give(x)
    assert "variables" not in repr(p)
    p.cancel()


# RL-5, PY-9
def test_weak_handles(refused):
    x = tenure.ones(3)
    weak = x.weak()
    again = weak.upgrade()
    assert again.tolist() == [1, 1, 1] and x.why_not() == Why.SHARED
    again.release()
    x.release()
    refused(Status.DESTRUCTED, weak.upgrade)
    weak.release()
    weak.release()
    # As for every other released object.
    assert "this weak handle was released" in refused(Status.STALE, weak.upgrade)[1]
    assert "released" in repr(weak)


# PY-20
def test_handles_are_integers(refused):
    x = tenure.array([1, 2, 3])
    other = tenure.clone_handle(x.handle)
    other[0] = 9
    assert x[0] == 9 and other.handle != x.handle
    handle = other.detach()
    refused(Status.STALE, lambda: other.handle)
    adopted = tenure.from_handle(handle)
    assert adopted.handle == handle and adopted.tolist() == [9, 2, 3]
    adopted.release()
    refused(Status.STALE, tenure.from_handle, handle)
    refused(Status.STALE, tenure.clone_handle, handle)
    refused(Status.NULL, tenure.from_handle, 0)
    for wrong in (1, 12345, 2**64 - 1, x.handle ^ 1 << 63):
        kind, _ = refused(tenure.Status.KIND, tenure.clone_handle, wrong)
        assert issubclass(kind, tenure.OwnershipError)
    pool = tenure.default_pool()
    refused(Status.KIND, tenure.from_handle, pool.handle)
    promise = tenure.give(x)
    refused(Status.KIND, tenure.clone_handle, promise.handle)  # OO-24
    promise2 = tenure.from_handle(promise.detach())
    assert type(promise2) is tenure.Promise
    assert tenure.take(promise2).tolist() == [9, 2, 3]
    with pytest.raises(ValueError):
        promise.detach()


# PY-20
def test_ctypes_gets_the_handle():
    library = ctypes.CDLL(tenure.get_library())
    x = tenure.zeros(3, name="before")
    assert library.tn_array_set_name(x, b"after") == 0 and x.name == "after"
    library.tn_array_set_name.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    assert library.tn_array_set_name(x, b"again") == 0 and x.name == "again"
    out = ctypes.c_void_p()
    assert library.tn_array_clone(x, ctypes.byref(out)) == 0
    clone = tenure.from_handle(out.value)
    assert clone.name == "again" and clone.overlap(x) == "exact"
    status = library.tn_array_release(ctypes.c_void_p(7))
    with pytest.raises(tenure.OwnershipError) as caught:
        tenure.check(status)
    assert caught.value.status == Status.KIND == status
    tenure.check(0)


# PY-9: on any thread
def test_the_last_reference_may_end_on_another_thread():
    box = [tenure.zeros(1000) for _ in range(8)]
    views = [np.asarray(x) for x in box]
    thread = threading.Thread(target=lambda: (box.clear(), views.clear()))
    thread.start()
    thread.join()
    assert not box
