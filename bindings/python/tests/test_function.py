"""Functions: code with declared inputs, outputs and updates of shared variables."""

import ctypes
import functools
import gc
import inspect
import subprocess
import sys
import textwrap
import threading
import traceback
import weakref

import numpy as np
import pytest

import tenure
from tenure import Crossing, In, Out, Status, Update, Why

ALIAS = Crossing("aliased", Why(0))


def copied(why):
    return Crossing("copied", why)


def address(x):
    return tenure.owner_of(x).address


def shared(*values, name="w"):
    return tenure.shared(np.array(values, dtype=float), name=name)


# FN-11, FN-22, FN-30
# FN-47
def test_crossings_of_variables():
    a, b, c = (tenure.shared(np.full(3, float(k)), name=name) for k, name in enumerate("abc"))

    def grow(x, a, b):
        a += x

    f = tenure.function(lambda x, a, b: np.asarray(a) + b, ["x"], shared=[a, b], updates=[tenure.Update(a, grow, mutable=True), (b, lambda x, a, b: None), (c, lambda x, a, b: b)])
    assert f(np.ones(3)).tolist() == [1, 1, 1]
    assert f.crossings == ({"x": ALIAS}, [ALIAS], {a: copied(Why.SHARED), b: ALIAS}, {a: ALIAS, b: None, c: copied(Why.SHARED)})
    held = a.get_value(borrow=True)
    f(np.ones(3))
    assert f.crossings.updates == {a: copied(Why.SHARED), b: None, c: copied(Why.SHARED)}, "a is copied for the callable"
    assert held.tolist() == [1] * 3 and a.get_value().tolist() == [2] * 3 and c.get_value().tolist() == [1] * 3
    # The variable that another one stands in for, and one that only its own update has.
    g = tenure.function(lambda b: b, shared=[b], givens={b: c})
    g()
    assert g.crossings.shared == {b: ALIAS} and g.crossings.updates == {}
    h = tenure.function(None, ["x"], shared=[a], updates=[tenure.Update(a, lambda x, a: a.fill(5), mutable=True)])
    h(np.ones(3))
    assert h.crossings == ({"x": ALIAS}, [], {}, {a: ALIAS}) and a.get_value().tolist() == [5] * 3
    h.release()
    assert h.crossings == ({"x": ALIAS}, [], {}, {a: ALIAS})


def test_a_step():
    w = tenure.shared(np.zeros((3, 4)), name="w")
    step = tenure.function(
        lambda x, w: (w + x).compute(),
        inputs=[In("x", borrow=True)],
        shared=[w],
        updates=[(w, lambda x, w: w + x)],
        outputs=[Out(borrow=True)],
    )
    assert step.crossings is None
    x = np.ones((3, 4))
    for k in (1, 2, 3):
        y = step(x)
        assert y.tolist() == w.get_value().tolist() == [[k] * 4] * 3 and w.version == k + 1
    assert step.crossings == ({"x": ALIAS}, [ALIAS], {w: ALIAS}, {w: ALIAS})
    y += 1
    assert w.get_value().tolist() == [[3] * 4] * 3 and x.tolist() == [[1] * 4] * 3


# One output is an array, several are a list, none is None
def test_results():
    x = tenure.ones(2)
    assert tenure.function(lambda x: x * 2, "x")(x).tolist() == [2, 2]
    assert tenure.function(lambda x: x * 2, ["x"], "y")(x=x).tolist() == [2, 2]
    several = tenure.function(lambda x, y: (x + y, x - y), ["x", "y"], ["sum", Out("difference")])
    assert [a.tolist() for a in several(x, y=[1.0, 2.0])] == [[2, 3], [0, -1]]
    assert tenure.function(lambda x, y: [x, y], ["x", "y"], [Out(), Out()])(y=x, x=2.0)[0].tolist() == 2
    assert tenure.function(lambda x: None, ["x"], [])(x) is None
    assert tenure.function(lambda: [1, 2])().tolist() == [1, 2], "one output may be a list of numbers"
    made = tenure.function(lambda x: x.sum(), ["x"])(x)
    assert made.tolist() == 2 and made.shape == () and not made.why_not()


# FN-16: what a body may return
def test_values_of_the_body():
    x = tenure.array([1.0, 2.0, 3.0])
    for body in (
        lambda x: tenure.lazy(x) + x,
        lambda x: (tenure.lazy(x) + x).compute(),
        lambda x: np.asarray(x) + np.asarray(x),
        lambda x: tenure.give(x + x),
        lambda x: [2.0, 4.0, 6.0],
        lambda x: np.stack([x, x]).sum(axis=0)[::1],
    ):
        made = tenure.function(body, ["x"])(x)
        assert made.tolist() == [2, 4, 6] and not made.why_not(), body
    kept = np.zeros(3)
    function = tenure.function(lambda: kept)
    made = function()
    made += 1
    assert kept.tolist() == [0, 0, 0], "a NumPy array that others have is copied"
    lent = tenure.function(lambda: kept, [], Out(borrow=True))()
    kept[0] = 5
    assert lent[0] == 5
    ours = tenure.zeros(3)
    function = tenure.function(lambda: ours)
    made = function()
    assert address(made) != address(ours) and function.crossings.outputs == [copied(Why.SHARED)]
    w = shared(1, 2, 3)
    tenure.function(None, updates=[(w, lambda: kept)])()
    kept[1] = 9
    assert w.get_value().tolist() == [5, 0, 0]


# FN-10, FN-41: arguments by position and by name, and what is wrong with them
def test_arguments(refused):
    function = tenure.function(lambda x, y: x + y, ["x", In("y", value=[1.0])], name="add")
    x = tenure.ones(1)
    assert function(x).tolist() == [2] and function(x, [3.0]).tolist() == function(y=[3.0], x=x).tolist() == [4]
    for arguments, named, text in [
        ((), {}, 'needs a value for the input "x"'),
        ((x, x, x), {}, r"takes 2 inputs \(x, y\), and the call passes 3"),
        ((x,), {"x": x}, 'two values for the input "x"'),
        ((x,), {"z": x}, 'no input "z"'),
        ((tenure.give(tenure.ones(1)),), {}, "take=True"),
        ((shared(1),), {}, r"takes no variable; pass its get_value\(borrow=True\), or list the variable in shared"),
    ]:
        with pytest.raises(TypeError, match=text):
            function(*arguments, **named)
    with pytest.raises(TypeError) as caught:
        function(object())
    assert caught.value.__notes__ == ['for the input "x" of "add"']
    del caught, arguments
    typed = tenure.function(lambda x: x, [In("x", dtype="float32", ndim=2)])
    assert typed([[1, 2]]).dtype == np.float32, "lists are converted once"
    kind, text = refused(Status.DTYPE, typed, np.zeros((2, 2)))
    assert kind is tenure.DtypeError and '"x"' in text
    refused(Status.SHAPE, typed, np.zeros(2, "float32"))
    refused(Status.LAYOUT, tenure.function(lambda x: x, [In("x", strict=True)]), np.zeros((2, 3)).T)


# FN-11: an input cannot be written, and the text names it
def test_inputs_are_read_only(refused):
    def changes(x):
        x += 1

    kind, text = refused(Status.READONLY, tenure.function(changes, ["weights"], []), tenure.zeros(3))
    assert kind is tenure.ReadOnlyError and '"weights"' in text
    kind, text = refused(Status.READONLY, tenure.function(changes, ["x"], []), tenure.zeros(3, name="mine"))
    assert '"mine"' in text
    with pytest.raises(ValueError, match="read-only"):
        tenure.function(lambda x: np.asarray(x).fill(1), ["x"])(np.zeros(3))
    w = shared(0, 0)
    refused(Status.READONLY, tenure.function(changes, shared=[w], outputs=[]))

    def moves_away(x):
        with x.write("cow") as view:
            view += 1
        return x

    x = tenure.zeros(3)
    assert tenure.function(moves_away, ["x"])(x).tolist() == [1, 1, 1] and x.tolist() == [0, 0, 0]


# FN-12
def test_mutable_inputs(refused):
    def changes(x):
        x += 1
        return x

    function = tenure.function(changes, [In("x", mutable=True)], Out(borrow=True))
    x = tenure.zeros(4)
    y = function(x)
    assert function.crossings[:2] == ({"x": ALIAS}, [ALIAS]) and address(y) == address(x)
    function(x)
    assert function.crossings.inputs == {"x": copied(Why.SHARED)} and y.tolist() == [1] * 4
    del y
    n = np.zeros(4)
    function(n)
    assert function.crossings.inputs == {"x": ALIAS} and n.tolist() == [1] * 4
    readonly = np.zeros(4)
    readonly.flags.writeable = False
    assert function(readonly).tolist() == [1] * 4 and readonly.tolist() == [0] * 4
    wide = tenure.zeros(1).broadcast_to((4,))
    assert function(wide).tolist() == [1] * 4 and wide.tolist() == [0] * 4
    assert function([0.0, 1.0]).tolist() == [1, 2]
    strict = tenure.function(changes, [In("x", mutable=True, require_borrow=True)])
    kind, text = refused(Status.READONLY, strict, readonly)
    assert '"x"' in text
    # FN-20, FN-21
    both = tenure.function(lambda x, y: (changes(x), None)[1], [In("x", mutable=True), "y"], [])
    both(x, x)
    assert both.crossings.inputs == {"x": ALIAS, "y": copied(Why.SHARED)}
    view = x[2:]
    both(x[:2], view)
    assert both.crossings.inputs["y"] == ALIAS, "no byte is in both"
    del view


# FN-12, FN-21: give(x) hands x over; a call that fails leaves x as it was
def test_taken_inputs(refused):
    function = tenure.function(lambda x: x.fill(3) or x, [In("x", take=True)])
    x = tenure.zeros(4, name="x")
    place = address(x)
    y = function(tenure.give(x))
    assert function.crossings == ({"x": ALIAS}, [ALIAS], {}, {}) and address(y) == place and not y.why_not()
    refused(Status.DESTRUCTED, x.fill, 1)
    function(y)
    assert function.crossings.inputs == {"x": copied(Why.SHARED)} and y.tolist() == [3] * 4, "y was not given"

    def fails(x):
        x.fill(9)
        raise KeyError("no")

    fails = tenure.function(fails, [In("x", take=True)])
    with pytest.raises(KeyError):
        fails(tenure.give(y))
    assert address(y) == place and y.tolist() == [9] * 4, "live again; the body was allowed to write it"
    assert function(tenure.give(tenure.ones(2))).tolist() == [3, 3]
    two = tenure.function(lambda x, y: (x, y), [In("x", take=True), In("y", take=True)], [Out(), Out()])
    promise = tenure.give(y, required=1)
    refused(Status.DESTRUCTED, two, promise, promise)
    assert y.tolist() == [9] * 4
    kept = y
    function(tenure.give(y))
    assert kept.tolist() == [9] * 4, "two variables, one promise: shared"
    with pytest.raises(TypeError):
        function(x, tenure.give(y))
    y.fill(0)


# FN-4, FN-13
def test_defaults():
    value = np.ones(3)

    def changes(x):
        with x.write("cow") as view:
            view += 1
        return x

    for options in ({}, {"mutable": True}, {"take": True}, {"borrow": True}):
        function = tenure.function(changes, [In("x", value=value, **options)])
        for _ in range(3):
            value[:] = 1
            assert function().tolist() == [2] * 3
            value[:] = 7
        assert function(x=[5.0]).tolist() == [6]
        value[:] = 1
    function = tenure.function(lambda x: x, [In("x", value=value, borrow=True)], Out(borrow=True))
    first = function()
    assert function.crossings.outputs == [copied(Why.SHARED)]
    first.fill(0)
    assert function().tolist() == [1] * 3


# FN-48
def test_a_default_is_copied_once(refused):
    def requests(make):
        with tenure.Pool(name="defaults") as pool:
            made = make()
            return made, pool.stats().allocation_count

    value = np.ones(1000)
    for own in (value, tenure.asarray(value), value[::2]):
        function, count = requests(lambda: tenure.function(lambda x: x, [In("x", value=own)]))
        assert count == 1
        kept = function.inputs[0].value
        assert kept.flags.readonly and kept.name == "x" and address(kept) not in (address(value), address(function()))
        refused(Status.READONLY, kept.fill, 3)
        copy, count = requests(function.copy)
        assert count == 1 and address(copy.inputs[0].value) != address(kept)
    value[:] = 7
    assert function().sum() == copy().sum() == 500
    del function
    assert kept.sum() == 500

    # One value of givens may serve several callables; a given value hides a default.
    w = shared(0)
    function, count = requests(lambda: tenure.function(lambda x, w: x + w, [In("x", value=np.ones(1))], shared=[w], givens={w: value, "x": tenure.ones(1000)}))
    assert count == 3, "with tenure.ones"
    value[:] = 0
    assert function().tolist() == function.copy()().tolist() == [8.0] * 1000 and function.inputs[0].value is None


# FN-2: implicit inputs, as Theano's users write them
def test_variables_as_inputs(refused):
    w, v = shared(1, 2), shared(10, 20, name="v")
    function = tenure.function(
        lambda w, x, v: w + x + v,
        [In("w", value=w, update=lambda w, x, v: w + x), "x", In("v", shared=v)],
    )
    assert function([1.0, 1.0]).tolist() == [12, 23] and w.get_value().tolist() == [2, 3]
    assert function.crossings.inputs.keys() == {"x"}
    kept = tenure.function(lambda w: w, shared=[w], outputs=[Out(borrow=True)])()
    assert address(kept) == address(w.get_value(borrow=True))
    refused(Status.SHARED, kept.fill, 1)
    assert address(tenure.function(lambda w: w, shared=w)()) != address(kept)
    with pytest.raises(ValueError, match="cannot be taken"):
        In("w", value=w, take=True)
    refused(Status.INVALID, tenure.function, lambda w: w, [In("w", value=w, ndim=3)])
    with pytest.raises(ValueError, match="value=tenure.shared"):
        In("x", value=3, update=lambda x: x)
    with pytest.raises(ValueError, match="another variable"):
        tenure.function(lambda w: w, [In("w", value=w, update=Update(v))])


def test_givens():
    w, v = shared(1, 2), shared(10, 20, name="v")
    body = lambda x, w: x + w
    fixed = tenure.function(body, ["x"], shared=[w], givens={"x": [1.0, 1.0]})
    assert fixed().tolist() == [2, 3]
    with pytest.raises(TypeError, match="givens has its value"):
        fixed(x=w)
    assert fixed.crossings.inputs == {}
    assert tenure.function(body, ["x"], shared=[w], givens={w: np.zeros(2)})(x=v.get_value()).tolist() == [10, 20]
    dataset = tenure.function(body, ["x"], shared=[w], givens=[("x", v), (w, v)])
    assert dataset().tolist() == [20, 40]
    v.set_value([0.0, 1.0])
    assert dataset().tolist() == [0, 2]
    assert tenure.function(lambda x: x, [In("x", take=True)], givens={"x": v})().tolist() == [0, 1], "a variable is never taken"
    updating = tenure.function(body, ["x"], shared=[w], givens={w: [5.0, 5.0]}, updates=[(w, body)])
    assert updating([1.0, 2.0]).tolist() == w.get_value().tolist() == [6, 7]
    with pytest.raises(ValueError, match="neither the name of an input nor a variable"):
        tenure.function(body, ["x"], shared=[w], givens={v: w})


# FN-14, FN-15, FN-36
def test_updates(refused):
    w, v = shared(1, 2), shared(3, 4, name="v")
    body = lambda x, w, v: (x, w + x)
    step = tenure.function(body, ["x"], "x", {w: None, v: lambda x, w, v: v + w}, shared=[w, v])
    step([1.0, 1.0])
    assert w.get_value().tolist() == [2, 3] and v.get_value().tolist() == [4, 6], "from the old values"
    sometimes = tenure.function(None, updates=[(w, lambda: None)])
    sometimes()
    assert w.version == 2, "None leaves the variable as it is"
    refused(Status.DUPLICATE, tenure.function, None, updates=[(w, lambda: 1), (w, lambda: 2)])
    kind, text = refused(Status.FAILED, tenure.function(None, updates=[(w, lambda: np.zeros(2, "f4"))]))
    assert '"w"' in text
    inner = tenure.function(None, updates=[(w, lambda: [0.0, 0.0])])
    refused(Status.BORROWED_WRITE, tenure.function(None, updates=[(w, lambda: inner())]))
    with w.update():
        refused(Status.BORROWED_WRITE, step, [1.0, 1.0])
    assert w.version == 3 and v.version == 2, "the block alone has changed w"


# FN-31: a swap exchanges the buffers
def test_swap():
    a, b, c = shared(1, 2, name="a"), shared(3, 4, 5, name="b"), shared(6, 7, name="c")
    places = [address(x.get_value(borrow=True)) for x in (a, b, c)]
    turn = tenure.function(
        None,
        shared=[a, b, c],
        updates={a: lambda a, b, c: b, b: lambda a, b, c: c, c: lambda a, b, c: a},
    )
    turn()
    assert [x.get_value().tolist() for x in (a, b, c)] == [[3, 4, 5], [6, 7], [1, 2]]
    assert [address(x.get_value(borrow=True)) for x in (a, b, c)] == places[1:] + places[:1]
    # FN-32: A := B alone copies
    tenure.function(None, shared=[b], updates=[(a, lambda b: b)])()
    assert address(a.get_value(borrow=True)) != address(b.get_value(borrow=True)) and a.get_value().tolist() == [6, 7]


# FN-14, SV-34: updates in place
def test_updates_in_place(refused):
    w, v = shared(1, 2), shared(5, 6, name="v")
    place = address(w.get_value(borrow=True))

    def add(x, w):
        w += x

    step = tenure.function(lambda x, w: w, ["x"], updates=[Update(w, add, mutable=True)], shared=[w])
    assert step([1.0, 1.0]).tolist() == [1, 2], "the body reads the old value"
    assert w.get_value().tolist() == [2, 3] and address(w.get_value(borrow=True)) == place and w.version == 2
    body = tenure.function(add, ["x"], [], [Update(w, mutable=True)], shared=[w])
    alone = tenure.function(None, ["x"], (), Update(w, add, mutable=True), shared=[w])
    lazily = tenure.function(None, ["x"], (), Update(w, lambda x, w: tenure.lazy(tenure.give(w)) + x, mutable=True), shared=[w])
    before = {copy.function: copy.count for copy in tenure.copies()}
    pool, x = tenure.Pool(name="empty"), tenure.ones(2)
    with pool:
        assert alone(-1 * x) is None and lazily(x) is None and body(x) is None
    assert {copy.function: copy.count for copy in tenure.copies()} == before, "nothing is copied"
    assert pool.stats().allocation_count == 1, "the argument -1 * x"
    assert w.get_value().tolist() == [3, 4] and address(w.get_value(borrow=True)) == place
    seen = w.get_value(borrow=True)
    body([1.0, 1.0])
    assert seen.tolist() == [3, 4] and w.get_value().tolist() == [4, 5]
    del seen
    others = tenure.function(
        None,
        shared=[w, v],
        updates=[Update(w, lambda w, v: np.add(w, v, out=w), mutable=True), Update(v, lambda w, v: np.add(w, v, out=v), mutable=True)],
    )
    others()
    assert w.get_value().tolist() == v.get_value().tolist() == [9, 11], "each reads the old value of the other"

    def fails(w):
        w += 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tenure.function(None, shared=[w], updates=[Update(w, fails, mutable=True)])()
    assert w.is_poisoned
    refused(Status.POISONED, step, [1.0, 1.0])
    w.set_value([0.0, 0.0])
    with pytest.raises(ZeroDivisionError):
        tenure.function(None, shared=[w, v], updates=[Update(w, lambda w, v: w.fill(7), mutable=True), (v, lambda w, v: 1 / 0)])()
    assert not w.is_poisoned and w.get_value().tolist() == [0, 0], "changes in place come last"
    replaced = tenure.function(None, shared=[w], updates=[Update(w, lambda w: w + 1, mutable=True)])
    kept = w.get_value(borrow=True)
    replaced()
    assert w.get_value().tolist() == [1, 1] and kept.tolist() == [0, 0]


# FN-35, FN-23: after two calls, no call allocates
def test_spare_buffers():
    pool = tenure.Pool(name="step", thread_cache_size=tenure.NONE)
    with pool:
        w = tenure.shared(np.zeros(1000), name="w", pool=pool)
    offered = []

    def body(x, w, out):
        offered.append(out is not None)
        return np.add(x, w, out=out)

    step = tenure.function(
        body,
        ["x"],
        Out(reuse=True),
        [Update(w, lambda x, w, out: np.add(x, w, out=out), reuse=True)],
        shared=[w],
    )
    x = tenure.ones(1000)
    with pool:
        step(x), step(x)
        before = pool.stats().allocation_count
        for _ in range(10):
            last = step(x)
            del last
        assert pool.stats().allocation_count == before
        kept = step(x)
        place = address(kept)
        assert address(step(x)) != place
    assert w.get_value().tolist() == [14] * 1000 and kept.tolist() == [13] * 1000 and offered.count(True) >= 11
    several = tenure.function(lambda x, out: [np.add(x, k, out=place) for k, place in enumerate(out)], ["x"], [Out(reuse=True), Out()])
    for _ in range(3):
        assert [made.tolist() for made in several([1.0])] == [[1], [2]]


# FN-17, FN-30: an exception of the body is that of the call, and nothing changed
@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt("stop"), tenure.OwnershipError("mine"), SystemExit(3)])
def test_exceptions(error):
    w, v = shared(1, 2), shared(3, 4, name="v")
    x = tenure.zeros(2)

    def fails(x, w, v):
        raise error

    for function in (
        tenure.function(fails, ["x"], shared=[w, v], updates=[(w, lambda x, w, v: w + 1)]),
        tenure.function(lambda x, w, v: x, ["x"], shared=[w, v], updates=[(w, lambda x, w, v: w + 1), (v, fails)]),
    ):
        with pytest.raises(type(error)) as caught:
            function(x)
        assert caught.value is error
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert frames == ["test_exceptions", "fails"]
        error.__traceback__ = None
        del caught
    assert (w.version, v.version) == (1, 1) and x.tolist() == [0, 0] and not x.why_not()
    assert function.crossings is None


def test_wrong_results():
    w = shared(1, 2)
    x = tenure.zeros(2)
    for function, text in [
        (tenure.function(lambda x: None, ["x"]), "returned None for output 0; return an array, or pass outputs"),
        (tenure.function(lambda x: x, ["x"], []), "returned Array; it has no output"),
        (tenure.function(lambda x: x, ["x"], ["a", "b"]), 'returned Array; return a tuple of 2: output 0 "a", output 1 "b"'),
        (tenure.function(lambda x: (x, x), ["x"], ["a"], {w: None}), None),
        (tenure.function(lambda x: (x, x, x), ["x"], ["a"], {w: None}), 'return a tuple of 2: output 0 "a", the update 0 "w"'),
        (tenure.function(lambda x: "text", ["x"]), "not supported"),
    ]:
        if text is None:
            function(x)
            continue
        with pytest.raises(TypeError) as caught:
            function(x)
        assert text in str(caught.value)
        del caught
    with pytest.raises(TypeError) as caught:
        tenure.function(lambda x: "text", ["x"], "y", name="f")(x)
    assert caught.value.__notes__ == ['for output 0 "y" of "f"']
    del caught
    for body, text in [(lambda x: tenure.zeros(2, "float32"), "float64"), (lambda x: tenure.zeros((2, 2)), "axes")]:
        with pytest.raises(tenure.FailedError, match=text) as caught:
            tenure.function(body, ["x"], Out("y", dtype="float64", ndim=1))(x)
        assert '"y"' in str(caught.value) and caught.value.status == Status.FAILED
        del caught


def test_wrong_declarations():
    w = shared(1, 2)
    body = lambda x, w: x
    for make, text in [
        (lambda: tenure.function(3), "the body is a callable"),
        (lambda: tenure.function(body, [3]), "inputs is a list of names and tenure.In, not of int"),
        (lambda: tenure.function(body, 3), "inputs is a list of names"),
        (lambda: tenure.function(body, ["x"], shared=[3]), "shared is a list of variables of tenure.shared"),
        (lambda: tenure.function(body, ["x"]), r"takes \(x, w\), and is called with \(x\)"),
        (lambda: tenure.function(body, ["w", "x"]), r"'x' would get the value of 'w': the order is \(w, x\)"),
        (lambda: tenure.function(body, ["x"], [Out(reuse=True)], shared=w), "out=spare"),
        (lambda: tenure.function(body, ["x"], updates=[(w, lambda: w)], shared=w), 'callable of the update of "w" takes'),
        (lambda: tenure.function(body, ["x"], updates=[w], shared=w), "a pair"),
        (lambda: tenure.function(body, ["x"], updates=w, shared=w), r"updates is a list of pairs \(variable, callable\)"),
        (lambda: tenure.function(body, ["x"], updates=[(w, 3)], shared=w), "a callable that returns it"),
        (lambda: tenure.function(body, ["x"], updates=[(3, None)], shared=w), "an update changes a variable"),
        (lambda: tenure.function(None, ["x"], "y"), "without a body"),
        (lambda: tenure.function(None, updates=[(w, None)]), "without a body"),
        (lambda: In(3), "the name of an input"),
        (lambda: In("x", shared=np.zeros(3)), "value takes an array"),
    ]:
        with pytest.raises(TypeError, match=text):
            make()
    for make, text in [
        (lambda: tenure.function(body, ["x", "x"]), "two inputs have the name 'x'"),
        (lambda: tenure.function(lambda x: x, ["x"], updates=[Update(w, mutable=True)]), 'list "w" in shared'),
        (lambda: Update(w, mutable=True, reuse=True), "not both"),
        (lambda: In("x", value=3, shared=w), "leave out value"),
        (lambda: tenure.function(lambda w: None, shared=w, updates=[Update(w, mutable=True)], givens={w: 3}), "in place"),
    ]:
        with pytest.raises(ValueError, match=text):
            make()
    with pytest.raises(ValueError, match="NUL"):
        tenure.function(lambda: 1, name="a\0b")


# Arrays of a call end with it
def test_arrays_end_with_the_call(refused):
    kept = []

    def body(x):
        kept.append(x)
        return x

    function = tenure.function(body, [In("x", borrow=True)], Out(borrow=True))
    x = tenure.zeros(3)
    y = function(x)
    assert address(y) == address(x)
    kind, text = refused(Status.STALE, kept[0].fill, 1)
    assert text == '"x" was released when the call of "body" ended; copy or return it; only its repr works'
    assert "released" in repr(kept.pop())


# In a body, give counts the parameter alone
def test_lazy_expressions_overwrite_taken_inputs():
    function = tenure.function(lambda x, y: tenure.lazy(tenure.give(x)) + y, [In("x", take=True), "y"])
    x = tenure.ones(1000)
    place = address(x)
    made = function(tenure.give(x), tenure.ones(1000))
    assert address(made) == place and made.tolist() == [2] * 1000


# FN-40: many threads, and a report for each
def test_threads():
    w = shared(*[0] * 64)
    barrier = threading.Barrier(2, timeout=60)

    def body(x, w):
        barrier.wait()  # both threads are in the body: it runs without a lock
        return w + x

    read = tenure.function(body, ["x"], shared=[w])
    wrong = []

    def work(k):
        x = np.full(64, float(k))
        y = x if k else x[::-1]
        for _ in range(20):
            if read(y).tolist() != [k] * 64 or read.crossings.inputs != {"x": ALIAS}:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and read.crossings is None
    # FN-36: two calls that update one variable exclude each other
    add = tenure.function(None, shared=[w], updates=[(w, lambda w: w + 1)])
    done = []

    def update():
        mine = 0
        while mine < 50:
            try:
                add()
                mine += 1
            except tenure.OwnershipError as error:
                assert error.status == Status.BORROWED_WRITE
        done.append(mine)

    threads = [threading.Thread(target=update) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [50] * 4 and w.get_value().tolist() == [200] * 64 and w.version == 201


# FN-30: a reader that takes two variables through one call sees both old or both new
def test_readers_see_all_or_nothing():
    a, b = shared(0, name="a"), shared(0, name="b")
    both = tenure.function(lambda a, b: (a, b), shared=[a, b], outputs=[Out(), Out()])
    step = tenure.function(None, shared=[a, b], updates={a: lambda a, b: a + 1, b: lambda a, b: b + 1})
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            x, y = both()
            if x.tolist() != y.tolist():
                wrong.append((x, y))

    thread = threading.Thread(target=read)
    thread.start()
    for _ in range(300):
        step()
    stop.set()
    thread.join()
    assert not wrong and a.get_value()[0] == 300


# FN-15, FN-33: what bodies do to their arrays beside reading them
def test_bodies_that_do_more(refused):
    x, w, v = tenure.ones(3), shared(0, 0), shared(0, 0, name="v")
    assert tenure.function(lambda x: (x.release(), tenure.zeros(2))[1], ["x"])(x).tolist() == [0, 0]
    refused(Status.STALE, tenure.function(lambda x: (x.release(), x)[1], ["x"]), x)
    twice = tenure.function(lambda: (lambda y: (y, y))(tenure.ones(2)), [], [Out(), Out()])
    twice()
    assert twice.crossings.outputs == [ALIAS, copied(Why.SHARED)]

    def by_numpy(w):
        np.asarray(w)[:] += 1

    tenure.function(None, shared=[w], updates=Update(w, by_numpy, mutable=True))()
    assert w.get_value().tolist() == [1, 1]

    def in_place(w, v):
        w += 5

    step = tenure.function(in_place, outputs=[], shared=[w, v], updates=[Update(w, mutable=True), (v, lambda w, v: v + w)])
    step()
    assert w.get_value().tolist() == [6, 6] and v.get_value().tolist() == [1, 1], "from the value before the body"
    kept = []
    tenure.function(None, shared=[w], updates=[Update(w, lambda w: kept.append(np.asarray(w)), mutable=True)])()
    kept[0][:] = 9
    assert w.get_value().tolist() == [6, 6], "a view that is kept gets the bytes, the variable another buffer"
    place = address(w.get_value(borrow=True))
    asks = lambda w: (kept.append((w, w.__array_interface__)), None)[1]
    tenure.set_array_interface(True)
    try:
        tenure.function(None, shared=[w], updates=[Update(w, asks, mutable=True)])()
    finally:
        tenure.set_array_interface(False)
    assert address(w.get_value(borrow=True)) == place, "the export ends with the array"
    kept.clear()
    copies = tenure.function(lambda x: x, ["x"], [], {w: None})
    copies(v.get_value(borrow=True))
    assert address(w.get_value(borrow=True)) != address(v.get_value(borrow=True)) and w.get_value().tolist() == [1, 1]
    pool = tenure.Pool(name="numpy")
    with tenure.numpy_allocator(pool):
        made = tenure.function(lambda x: np.asarray(x) * 2, ["x"])(x)
    assert not made.why_not() and tenure.owner_of(made).pool_name == "numpy"


def test_recursion():
    def body(n):
        return n if n.item() == 0 else fall(n - 1) + n

    fall = tenure.function(body, ["n"])
    assert fall(10.0).item() == 55
    with pytest.raises(KeyError):
        outer = tenure.function(lambda: (pytest.raises(ValueError, inner), {}["no"])[0])
        inner = tenure.function(lambda: int("no"))
        outer()


# FN-1, FN-40: the end of a function, also within its own call, and by the garbage collector
def test_release(refused):
    w = shared(1, 2)
    number = w.handle
    function = tenure.function(lambda w: (function.release(), w)[1], shared=[w], name="last")
    assert repr(function) == '<function "last" (shared "w") -> 1 output>'
    assert function().tolist() == [1, 2]
    assert repr(function) == "<released function>" and function.handle == 0
    kind, text = refused(Status.STALE, function)
    assert "released" in text
    function.release()
    del function

    class Token:
        pass

    token = Token()
    gone = weakref.ref(token)
    function = tenure.function(lambda x, token=token: function(x), ["x"], updates=[])
    ending = weakref.ref(function)
    del function, token
    gc.collect()
    assert gone() is None and ending() is None, "a function whose body refers to it"
    token = Token()
    gone = weakref.ref(token)
    box = []
    box.append(tenure.function(None, updates=[(w, lambda token=token, box=box: box)]))
    del box, token
    gc.collect()
    assert gone() is None
    function = tenure.function(functools.partial(lambda w, k: w * k, k=2), shared=[w])
    w.release()
    del w
    assert function().tolist() == [2, 4], "the function keeps the variable"
    assert number


def test_attributes():
    w = shared(1, 2)
    update = Update(w, lambda x, y, w: w + x, reuse=False)
    step = tenure.function(lambda x, y, w: x, ["x", In("y", value=1.0)], Out("z"), [update], shared=[w], name="step")
    assert repr(step) == '<function "step" (x, y=..., shared "w") -> 1 output, updates "w">' and step.name == "step"
    assert [declared.name for declared in step.inputs] == ["x", "y", "w"] and step.inputs[2].shared is w
    assert step.outputs[0].name == "z" and step.updates == (update,)
    assert repr(In("x", borrow=True, ndim=2)) == "In('x', borrow=True, ndim=2)" and repr(Out()) == "Out()"
    assert repr(update).startswith('Update(<shared variable "w"')

    def named(x):
        return x

    assert tenure.function(named, "x").name == "named" and tenure.function(lambda x: x, "x").name is None
    assert tenure.function(np.add, ["x", "y"])(1.0, 2.0).item() == 3
    with pytest.raises(AttributeError):
        update.variable = w
    assert inspect.signature(tenure.function).parameters["body"]


# SV-9, FN-12: copies are counted, and those that a flag would have avoided can be forbidden
def test_copies_are_counted_and_forbidden(refused):
    def count():
        return sum(copy.count for copy in tenure.copies() if copy.function == "tn_function_call" and __file__ in copy.site)

    w = shared(1, 2)
    function = tenure.function(lambda x: x, [In("x", mutable=True)], Out(borrow=True))
    x = tenure.zeros(2)
    y = x.clone()
    before = count()
    function(x)
    assert count() == before + 1
    with tenure.no_copies():
        refused(Status.WOULD_COPY, function, x)
        del y
        function(x)
    returns = tenure.function(lambda x: (x + x, x)[1], ["x"])
    before = count()
    returns(x)
    assert count() == before + 1, "also after calls of the body"
    assert w.version == 1


# FN-42
def test_out_of_memory(refused):
    w = shared(*[1] * 1000)
    pool = tenure.Pool(name="small", max_size=1 << 20)
    step = tenure.function(lambda x, w: (np.concatenate([x] * 40), w + 1), ["x"], Out(), {w: None}, shared=[w])
    borrowed = tenure.function(lambda x: x, [In("x", borrow=True)])
    x = tenure.ones(1 << 20)
    with pool:
        refused(Status.POOL_LIMIT, borrowed, x)
    assert step(np.ones(10)).shape == (400,) and w.version == 2
    assert x[0] == 1 and not x.why_not()


# PY-9: functions that are alive, and one that a thread is calling, when the interpreter ends
def test_the_end_of_the_interpreter():
    code = """
        import threading, numpy, tenure
        w = tenure.shared(numpy.zeros(3), name="w")
        step = tenure.function(lambda x, w: (step, w + x)[1], ["x"], shared=[w], updates=[(w, lambda x, w: w + x)])
        started = threading.Event()
        def daemon():
            own = tenure.function(lambda x: x + 1, ["x"])
            while True:
                own(numpy.ones(3)); started.set()
        threading.Thread(target=daemon, daemon=True).start()
        started.wait()
        print(step(numpy.ones(3)).tolist())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1.0, 1.0, 1.0]\n", "")


def test_a_call_by_c_code(monkeypatch):
    """C code that has the handle calls the function: an exception goes to sys.unraisablehook, and the call fails."""
    library = ctypes.CDLL(tenure.get_library())
    call = library.tn_function_call
    call.argtypes = [ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    w = shared(1, 2)
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda hook: seen.append(type(hook.exc_value)))
    fails = [True]
    step = tenure.function(None, shared=[w], updates=[(w, lambda w: 1 / 0 if fails[0] else w + 1)])
    assert call(step.handle, 0, None, 0, None, None, None) == Status.FAILED and seen == [ZeroDivisionError]
    assert w.version == 1
    outer = tenure.function(lambda: call(step.handle, 0, None, 0, None, None, None))
    assert outer().item() == Status.FAILED and seen == [ZeroDivisionError] * 2
    fails.clear()
    fails.append(False)
    assert call(step.handle, 0, None, 0, None, None, None) == Status.OK and w.version == 2


def spd(n=30):
    return n * np.eye(n) + 1 / (1 + np.abs(np.subtract.outer(np.arange(n), np.arange(n))))


# FN-45: code on expressions overwrites what the call may overwrite.
def test_lazy_code_overwrites_an_input():
    pool = tenure.Pool(thread_cache_size=tenure.NONE)
    f = tenure.function(lambda K, d: (K + d).cholesky(), [tenure.In("K", take=True), "d"], lazy=True, name="factor")
    with pool:
        K, d = tenure.array(spd()), tenure.diagonal(tenure.ones(30))
        expected = np.linalg.cholesky(np.asarray(K) + np.eye(30))
        place, before = address(K), pool.stats().allocation_count
        held = f(K.clone(), d)
        assert address(held) != place and pool.stats().allocation_count == before + 1
        np.testing.assert_allclose(np.asarray(held), expected)
        del held
        before = pool.stats().allocation_count
        out = f(tenure.give(K), d)
        np.testing.assert_allclose(np.asarray(out), expected)
        assert address(out) == place and pool.stats().allocation_count == before
    # The caller keeps its handle on the bytes that the result has.
    double = tenure.function(lambda x: x + x, [tenure.In("x", mutable=True, borrow=True)], [tenure.Out(borrow=True)], lazy=True)
    x = tenure.ones(3)
    assert double(x).tolist() == [2.0] * 3 and x.tolist() == [2.0] * 3
    with pytest.raises(tenure.Error, match="int64 elements; expressions compute with float32 and float64"):
        f(np.ones((2, 2), int), d)


def test_lazy_code_updates_variables():
    w = tenure.shared(np.ones(4), name="w")
    step = tenure.function(
        lambda x, w: (x + w, w),
        ["x"],
        [tenure.Out(), tenure.Out(borrow=True)],
        shared=[w],
        updates=[tenure.Update(w, lambda x, w: w - 2 * x, mutable=True)],
        lazy=True,
    )
    total, old = step(np.ones(4))
    assert (total.tolist(), old.tolist(), w.get_value().tolist()) == ([2.0] * 4, [1.0] * 4, [-1.0] * 4)
    del old
    place = address(w.get_value(borrow=True))
    change = tenure.function(None, ["x"], updates=[tenure.Update(w, lambda x, w: w + x, mutable=True)], shared=[w], lazy=True)
    change(np.ones(4))
    assert w.get_value().tolist() == [0.0] * 4 and address(w.get_value(borrow=True)) == place


# FN-45: whatever lazy code returns: what it got, an expression that others keep, an array, one value twice.
def test_lazy_code_returns_values_of_all_kinds():
    kept = tenure.lazy(np.ones(2)) + np.ones(2)
    seen = []

    def body(x):
        seen.append(x)
        y = x + x
        return x, kept, np.full(2, 7.0), tenure.give(tenure.full(2, 5.0)), y, y

    f = tenure.function(body, ["x"], [tenure.Out()] * 6, lazy=True)
    for _ in range(2):
        values = [out.tolist() for out in f(np.full(2, 3.0))]
        assert values == [[3.0] * 2, [2.0] * 2, [7.0] * 2, [5.0] * 2, [6.0] * 2, [6.0] * 2]
    assert kept.tolist() == [2.0, 2.0] and repr(seen[0]) == "<released expression>"
    with pytest.raises(tenure.Error, match="this expression was released"):
        seen[0].compute()
    with pytest.raises((TypeError, tenure.Error)) as caught:
        tenure.function(lambda x: "text", ["x"], lazy=True, name="f")(np.ones(2))
    assert 'for output 0 of "f"' in caught.value.__notes__
    with pytest.raises(ZeroDivisionError):
        tenure.function(lambda x: 1 / 0, ["x"], lazy=True)(np.ones(2))


# FN-46
def test_a_copy_has_other_variables():
    a, b, c = (tenure.shared(value, name=name) for value, name in ((1.0, "a"), (10.0, "b"), (100.0, "c")))
    f = tenure.function(
        lambda x, n, m: x + n + m,
        ["x"],
        shared=[a, c],
        updates=[(a, lambda x, n, m: n + x)],
        givens={"x": c},
        name="f",
    )
    g = f.copy(swap={a: b}, name="g")
    assert (f().item(), g().item(), f.name, g.name) == (201.0, 210.0, "f", "g")
    assert (a.get_value().item(), b.get_value().item()) == (101.0, 110.0)
    frozen = f.copy(delete_updates=True)
    assert frozen().item() == 301.0 and a.get_value().item() == 101.0 and frozen.updates == ()
    count = tenure.function(lambda n: n, [tenure.In("n", value=a, update=lambda n: n + 1)])
    other = count.copy(swap={a: b})
    f.release(), count.release()
    assert other().item() == 110.0 and b.get_value().item() == 111.0
    value = np.ones(2)
    doubled = tenure.function(lambda x, y: x + y, [tenure.In("x", value=value), "y"], givens={"y": tenure.give(tenure.ones(2))})
    value[:] = 5
    assert doubled().tolist() == doubled.copy()().tolist() == [2.0, 2.0], "defaults are copied at once"
    with pytest.raises(ValueError, match="swap has \"c\", which this function does not use"):
        other.copy(swap={c: a})
    with pytest.raises(TypeError, match="not of float"):
        other.copy(swap={a: 1.0})
    with pytest.raises(ValueError, match="copy it before its release"):
        f.copy()
    made = tenure.function(lambda n: n + 1, [], [], updates=[(a, None)], shared=[a])
    with pytest.raises(ValueError, match='the body returns the new value of "a"'):
        made.copy(delete_updates=True)
