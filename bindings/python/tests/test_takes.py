"""@takes and give: arguments, references, exceptions, coroutines, generators, threads, garbage."""

import asyncio
import functools
import gc
import inspect
import sys
import threading
import warnings
import weakref

import numpy as np
import pytest

import tenure
from tenure import Status, Why

GLOBAL = None


@tenure.takes
def unique(m):
    return m.is_unique


@tenure.takes
def same(m):
    return m


def is_destructed(x):
    try:
        x.shape
    except tenure.OwnershipError as error:
        return error.status == Status.DESTRUCTED
    return False


# PY-3, OO-1, OO-36
def test_given_and_shared():
    x = tenure.zeros(3, name="K")
    assert not unique(x) and x.is_unique
    taken = unique(tenure.give(x))
    assert taken and is_destructed(x)
    y = tenure.array([1, 2])
    z = same(y)
    assert z.why_not() == Why.SHARED and z is not y
    y = same(tenure.give(y))
    del z
    assert y.is_unique and y.tolist() == [1, 2]
    # Outside of an assert: pytest's rewriting would keep the temporary arrays.
    by_position, by_name = unique(tenure.zeros(3)), unique(m=tenure.zeros(3))
    assert by_position and by_name, "a temporary array has one reference"


# PY-3
def test_every_way_to_pass_an_argument():
    seen = {}

    @tenure.takes()
    def f(a, /, b, *rest, c, d=None, **more):
        seen.update(a=a, b=b, rest=rest, c=c, d=d, more=more)
        return len(rest)

    x = [tenure.full((2,), i) for i in range(7)]
    handles = [one.handle for one in x]
    rest = f(x[0], 17, x[1], "text", x[2], c=tenure.give(x[3]), d=x[4], e=tenure.give(x[5], required=1), f=x[6])
    assert rest == 3
    assert (seen["a"].tolist(), seen["b"], seen["rest"][1], seen["c"].tolist()) == ([0, 0], 17, "text", [3, 3])
    assert [one.tolist() for one in seen["rest"][::2]] == [[1, 1], [2, 2]] and seen["d"].tolist() == [4, 4]
    assert {k: v.tolist() for k, v in seen["more"].items()} == {"e": [5, 5], "f": [6, 6]}
    assert [is_destructed(one) for one in x] == [False, False, False, True, False, True, False]
    assert seen["a"].handle not in handles
    assert f(1, 2, c=3, **{"no name": x[0], "class": 5}) == 0 and seen["more"]["no name"].tolist() == [0, 0]
    assert f.__name__ == "f" and str(inspect.signature(f)).startswith("(a, /, b, *rest, c")
    with pytest.raises(TypeError, match="missing"):
        f()
    with pytest.raises(TypeError, match="takes goes above a function"):
        tenure.takes(17)
    seen.clear()


# PY-3
def test_methods_and_callables():
    class Model:
        def __init__(self, weights):
            self.weights = weights

        @tenure.takes
        def fit(self, data):
            return self.weights.is_unique, data.is_unique

        @tenure.takes
        @staticmethod
        def static(data):
            return data.is_unique

        @classmethod
        @tenure.takes
        def make(cls, weights):
            return cls(weights)

        @tenure.takes
        @classmethod
        def make2(cls, weights):
            return cls(weights)

    x = tenure.zeros(3)
    model = Model.make(tenure.give(x))
    results = [model.fit(tenure.zeros(2)), Model.static(tenure.zeros(2)), model.static(tenure.zeros(2))]
    assert is_destructed(x) and results == [(True, True), True, True]
    other = Model.make2(tenure.give(model.weights))
    assert other.weights.is_unique and is_destructed(model.weights)
    partial = tenure.takes(functools.partial(lambda a, b: b.is_unique, 1))
    results = [partial(tenure.zeros(2)), tenure.takes(len)(tenure.zeros((4, 2)))]
    assert results == [True, 4]


# PY-1, PY-4: one variable of every sort is one, two are two
@pytest.mark.parametrize("names", [1, 2])
def test_variables_are_counted(names):
    global GLOBAL

    def local():
        x = tenure.zeros(3)
        also = x if names == 2 else None
        return unique(tenure.give(x)), is_destructed(x), also

    def of_global():
        global GLOBAL
        GLOBAL = tenure.zeros(3)
        also = GLOBAL if names == 2 else None
        return unique(tenure.give(GLOBAL)), is_destructed(GLOBAL), also

    def attribute():
        class Holder:
            pass

        holder = Holder()
        holder.x = tenure.zeros(3)
        also = holder.x if names == 2 else None
        return unique(tenure.give(holder.x)), is_destructed(holder.x), also

    def item():
        held = [tenure.zeros(3)]
        if names == 2:
            held.append(held[0])
        return unique(tenure.give(held[0])), is_destructed(held[0]), None

    def closure():
        x = tenure.zeros(3)
        also = x if names == 2 else None

        def inside():
            return unique(tenure.give(x)), is_destructed(x), also

        return inside()

    for case in (local, of_global, attribute, item, closure):
        taken, gone, also = case()
        if case is local and names == 2 and sys.version_info >= (3, 14):
            continue  # PY-22: an interpreter that lends locals hides one
        assert (taken, gone) == (names == 1, names == 1), case.__name__
    GLOBAL = None
    assert unique(tenure.give(tenure.zeros(3))), "a temporary has no name"


# PY-1, OO-27: a view of another library is no variable
def test_views_are_not_counted():
    x = tenure.zeros(3)
    n, m, proxy = np.asarray(x), memoryview(x), x.readonly
    y = same(tenure.give(x))
    assert is_destructed(x) and y.why_not() == Why.EXPORTED
    n[0] = 5
    assert y[0] == 5
    m.release()
    del n, proxy
    assert y.is_unique
    z = y
    n = np.asarray(y)
    taken = unique(tenure.give(y))
    assert not taken and z[0] == 5, "two names are two, with a view or without"
    del n


# PY-1, PY-22: the number passed instead of counted
def test_required_is_not_counted():
    x = tenure.zeros(3)
    y = x
    assert unique(tenure.give(x, required=1)) and is_destructed(y)
    x = tenure.zeros(3)
    y = x
    assert not unique(tenure.give(x, required=2)) and not is_destructed(y)
    for wrong in (0, -3):
        with pytest.raises(ValueError):
            tenure.give(x, required=wrong)


# PY-4, OO-13, OO-4, OO-5, OO-14
def test_shared_and_given_in_one_call():
    @tenure.takes
    def f(*arrays):
        return [one.tolist() for one in arrays]

    # Each call is outside of the assert: pytest's rewriting would evaluate the arguments one by one.
    A = tenure.array([1])
    values = f(A, tenure.give(A))
    assert values == [[1], [1]] and is_destructed(A)
    A = tenure.array([1])
    f(tenure.give(A), A)
    assert is_destructed(A)
    A = tenure.array([1])
    f(A, A, tenure.give(A))
    assert is_destructed(A)
    A = tenure.array([1])
    f(A, tenure.give(A), A, tenure.give(A))
    assert not is_destructed(A) and A.is_unique, "two promises of one variable beside two arguments: not each is enough"
    A = B = tenure.array([1])
    f(A, tenure.give(B))
    assert not is_destructed(A)
    f(A, tenure.give(A), tenure.give(B))
    assert is_destructed(A) and is_destructed(B)
    A = B = tenure.array([1])
    f(tenure.give(A), tenure.give(B))
    assert is_destructed(A) and is_destructed(B)
    A = tenure.array([1])
    f(A, tenure.give(A, required=2))
    assert not is_destructed(A), "told, so not changed"


# OO-13: a refused call leaves promises unchanged, also those that are made again
def test_a_refused_call_takes_nothing(refused):
    @tenure.takes
    def f(*arrays):
        raise AssertionError("not called")

    A, B = tenure.array([1]), tenure.array([2])
    p, q = tenure.give(A), tenure.give(B)
    q.cancel()
    refused(Status.DESTRUCTED, f, p, q)
    refused(Status.GIVEN, A.copy)
    p.cancel()
    assert A.tolist() == [1]
    # The list makes two references of A: without the argument in front of it one is required.
    arguments = [A]
    del A
    arguments.append(tenure.give(arguments[0], required=None))
    refused(Status.DESTRUCTED, f, *arguments, q)
    refused(Status.GIVEN, arguments[0].copy)
    arguments[1].cancel()
    assert arguments[0].tolist() == [1]
    arguments.clear()


# PY-2: inside, the parameter is one variable; an argument that a caller without @takes passes on has more
def test_give_inside_of_takes():
    @tenure.takes
    def outer(m):
        return unique(tenure.give(m)), is_destructed(m)

    @tenure.takes
    def through_a_plain_function(m):
        def plain(n):
            return unique(tenure.give(n))

        return plain(m), is_destructed(m)

    A = tenure.zeros(3)
    results = [outer(tenure.give(A)), through_a_plain_function(tenure.zeros(3))]
    assert results == [(True, True), (False, False)] and is_destructed(A)
    A = tenure.zeros(3)
    assert outer(A) == (False, True) and A.is_unique, "OO-37: a chain of gives is needed from top to bottom"


# PY-3: del in the callee ends the claim at once
def test_del_is_at_once():
    pool = tenure.Pool()

    @tenure.takes
    def f(a, b, *, c):
        before = pool.stats().requested_bytes
        del a, c
        return before - pool.stats().requested_bytes, b.is_unique

    x, y, z = (tenure.zeros(n, pool=pool) for n in (10, 20, 30))
    assert f(tenure.give(x), y, c=tenure.give(z)) == (320, False)
    assert y.is_unique


# PY-3, PY-9: exceptions
def test_an_exception_passes_through():
    pool = tenure.Pool()

    @tenure.takes
    def f(a, b):
        raise RuntimeError("as it was")

    x, y = tenure.zeros(10, pool=pool), tenure.zeros(10, pool=pool)
    with pytest.raises(RuntimeError, match="as it was") as caught:
        f(tenure.give(x), y)
    assert is_destructed(x) and y.why_not() == Why.SHARED, "the traceback has the frame, the frame its parameters"
    caught.value.__traceback__ = None
    del caught
    gc.collect()
    assert y.is_unique and pool.stats().requested_bytes == 80


# PY-3: coroutines
def test_coroutines():
    pool = tenure.Pool()

    @tenure.takes
    async def f(a, b):
        first = a.is_unique
        await asyncio.sleep(0)
        del a
        await asyncio.sleep(0)
        return first, b

    assert inspect.iscoroutinefunction(f) and asyncio.iscoroutinefunction(f)
    x, y = tenure.zeros(10, pool=pool), tenure.zeros(10, pool=pool)

    async def main():
        first, b = await f(tenure.give(x), tenure.give(y))
        return first, b.is_unique, pool.stats().requested_bytes

    assert asyncio.run(main()) == (True, True, 80)
    assert is_destructed(x) and is_destructed(y)

    z = tenure.zeros(10)
    started = f(tenure.give(z), z)
    with pytest.raises(tenure.OwnershipError):
        z.copy()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        del started
        gc.collect()
        categories = [w.category for w in seen]
        seen.clear()  # the first of them has the coroutine
        gc.collect()
        categories += [w.category for w in seen]
    assert categories == [RuntimeWarning, ResourceWarning]
    assert z.tolist() == [0] * 10, "never run, never taken"


# PY-3: generators
def test_generators():
    @tenure.takes
    def rows(a):
        for i in range(len(a)):
            yield a[i].tolist()

    @tenure.takes
    async def later(a):
        yield a.is_unique

    x = tenure.array([[1, 2], [3, 4]])
    parts = rows(tenure.give(x))
    assert is_destructed(x), "taken by the call"
    assert next(parts) == [1, 2] and list(parts) == [[3, 4]]
    y = tenure.zeros(3)
    parts = rows(y)
    assert y.why_not() == Why.SHARED
    parts.close()
    del parts
    assert y.is_unique

    async def main():
        return [one async for one in later(tenure.give(y))]

    assert asyncio.run(main()) == [True] and is_destructed(y)


# PY-11
def test_containers_are_not_opened():
    @tenure.takes
    def f(arrays):
        return type(arrays[0])

    x = tenure.zeros(3, name="inside")
    assert f([x]) is tenure.Array and x.is_unique
    with pytest.warns(ResourceWarning, match="inside"):
        assert f((tenure.give(x, required=1),)) is tenure.Promise
        gc.collect()
    assert x.tolist() == [0, 0, 0]


# PY-9, OO-38
def test_threads():
    results = []

    @tenure.takes
    def work(a, i):
        with a.write(mode="unique") as view:
            view += i
        results.append((i, a))

    threads = []
    for i in range(8):
        x = tenure.zeros(1000)
        threads.append(threading.Thread(target=work, args=(tenure.give(x), i)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert sorted(i for i, _ in results) == list(range(8))
    assert all(a.tolist() == [i] * 1000 and a.is_unique for i, a in results)
    results.clear()


# PY-9, TH-3: one promise, many takers
def test_one_of_many_takers_wins():
    for _ in range(50):
        x = tenure.zeros(3)
        promise = tenure.give(x)
        barrier, won, lost = threading.Barrier(4), [], []

        def work():
            barrier.wait()
            try:
                won.append(unique(promise))
            except tenure.OwnershipError as error:
                lost.append(error.status)

        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert won == [True] and lost == [Status.DESTRUCTED] * 3


# PY-9
def test_garbage():
    pool = tenure.Pool()

    @tenure.takes
    def cycle(a):
        me = [a]
        me.append(me)

    @tenure.takes
    def released(a):
        me = [a]
        me.append(me)
        a.release()
        return repr(a)

    gc.disable()
    try:
        x = tenure.zeros(10, pool=pool)
        cycle(tenure.give(x))
        assert pool.stats().requested_bytes == 80, "the cycle has it"
        gc.collect()
        assert pool.stats().requested_bytes == 0
        x = tenure.zeros(10, pool=pool)
        assert released(tenure.give(x)) == "<released array>" and pool.stats().requested_bytes == 0
    finally:
        gc.enable()
        gc.collect()
    x = same(tenure.zeros(3))
    reference = weakref.ref(x)
    assert reference() is x
    del x
    assert reference() is None


# PY-6
def test_the_taker_is_named():
    x = tenure.zeros(3, name="K")
    unique(tenure.give(x))
    line = next(i for i, text in enumerate(open(__file__), 1) if text.startswith("def unique")) - 1
    assert f"test_takes.py:unique:{line}" in repr(x) and "given away" in repr(x) and "tn_enter" in repr(x)
    with pytest.raises(tenure.OwnershipError, match="test_takes.py:unique"):
        np.asarray(x)
    y = same(tenure.zeros(3))
    assert "test_takes.py:same" in str(y.clone().why_not().holders)


# PY-6
def test_the_repr_of_a_promise():
    x = tenure.zeros((2, 3), name="K")
    promise = tenure.give(x)
    lines = repr(promise).split("\n")
    assert lines[0] == '<tenure promise of array float64 (2, 3) "K">' and len(lines) == 4
    assert "@tenure.takes" in lines[1] and "def" in lines[1] and "promise.cancel()" in lines[3]
    unique(promise)
    assert repr(promise) == '<tenure promise of array float64 (2, 3) "K", taken or cancelled>', "never raises"


# TH-17: calls leave nothing behind
def test_no_scope_stays():
    def scopes():
        return [h for h in tenure.leaks() if h.kind == tenure.HolderKind.SCOPE]

    @tenure.takes
    def f(a):
        return scopes()

    assert f(tenure.zeros(3)) == [] and scopes() == []


# RL-4: strict mode
def test_strict_mode():
    tenure.option("strict", 1)
    try:
        x = tenure.zeros(3)
        assert unique(tenure.give(x)) and is_destructed(x)
    finally:
        tenure.option("strict", 0)
