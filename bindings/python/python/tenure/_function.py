"""Functions: ``tenure.function``, and its declarations ``In``, ``Out`` and ``Update``.

Contract: declarations are checked here, once; the native half has the calls. What became of the values of the last call is in
``function.crossings``.
"""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Any, NamedTuple

from ._errors import Error
from ._tenure import Array, Function, Promise, SharedVariable, _function, array, asarray, take
from ._variable import _BORROW, _MAY_OVERWRITE, _RAW, _REQUIRE_BORROW, _STRICT, _TAKE, Crossing, _crossing_of, _has_memory

_REUSE = 1 << 7


class Crossings(NamedTuple):
    """What became of the values of a call."""

    #: For each argument by its name.
    inputs: dict[str, Crossing]
    #: For each output.
    outputs: list[Crossing]
    #: For each variable whose value the body read. A variable that only its own update in place has is not there.
    shared: dict[SharedVariable, Crossing]
    #: For each variable that an update changes: "aliased" if it has the bytes that the body left or wrote; None if it stays.
    updates: dict[SharedVariable, Crossing | None]


class _Declaration:
    """A declaration whose repr has the fields that differ from their defaults."""

    __slots__ = ()

    def __repr__(self):
        shown = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not field.default:
                shown.append(repr(value) if not field.kw_only else f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class In(_Declaration):
    """An input of a function: ``tenure.In("x", borrow=True)``. The text "x" alone means ``In("x")``.

    By default the body reads the argument without a copy, and no output shares its bytes. borrow=True: an output may share them.
    mutable=True: the body may overwrite the argument, if nobody else holds its bytes, else it gets a copy; the contents are undefined
    afterwards. take=True: as mutable, and ``f(tenure.give(x))`` hands x over. require_borrow=True raises in place of a copy.

    dtype, ndim, device: what the argument has to be; an argument on another device is moved. raw=True: it stays where it is. strict=True:
    it raises unless it is on that device in C order. Element types are not converted, except of lists and numbers.

    value: the default, copied at once; the function never writes it. A ``tenure.shared`` variable as value, or as shared, makes an implicit
    input: the body gets the variable's value, and the caller passes nothing. update: what makes the new value of that variable, a callable
    or a ``tenure.Update``.
    """

    name: str | None
    _: KW_ONLY
    borrow: bool = False
    mutable: bool = False
    take: bool = False
    require_borrow: bool = False
    raw: bool = False
    strict: bool = False
    dtype: Any = None
    device: str | None = None
    ndim: int | None = None
    value: Any = None
    shared: SharedVariable | None = None
    update: Any = None

    def __post_init__(self):
        if self.shared is not None and not isinstance(self.shared, SharedVariable):
            raise TypeError(f"shared is a variable of tenure.shared, not {type(self.shared).__name__}; value takes an array")
        if self.shared is not None and self.value is not None:
            raise ValueError("an input with shared has the value of that variable; leave out value")
        if isinstance(self.value, SharedVariable):
            object.__setattr__(self, "shared", self.value)
            object.__setattr__(self, "value", None)
        if not isinstance(self.name, str) and not (self.name is None and self.shared is not None):
            raise TypeError(f"the name of an input is a text, not {type(self.name).__name__}: tenure.In('x', ...)")
        if self.shared is None and self.update is not None:
            raise ValueError(f"only a variable can be updated; pass In({self.name!r}, value=tenure.shared(...), update=...)")
        if self.shared is not None and self.take:
            raise ValueError("the value of a variable cannot be taken; leave out take")

    def _flags(self):
        flags = _BORROW * bool(self.borrow) | _REQUIRE_BORROW * bool(self.require_borrow) | _RAW * bool(self.raw)
        return flags | _MAY_OVERWRITE * bool(self.mutable) | _TAKE * bool(self.take) | _STRICT * bool(self.strict)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Out(_Declaration):
    """An output of a function: ``tenure.Out(borrow=True)``.

    By default it shares no byte with any other array. borrow=True: it may share those of an input with borrow=True, of a variable's value,
    of another output, or of a NumPy array that the body keeps. require_borrow=True raises in place of a copy. raw=True: it stays on its
    device. dtype, ndim, device: what the caller gets.

    reuse=True: the function keeps the buffer, and offers it to a later call once the caller has released the output. The body gets the
    keyword ``out``: the buffer or None, as NumPy's functions take it; if it returns several arrays, a tuple of these.
    """

    name: str | None = None
    _: KW_ONLY
    borrow: bool = False
    require_borrow: bool = False
    raw: bool = False
    reuse: bool = False
    dtype: Any = None
    device: str | None = None
    ndim: int | None = None

    def _flags(self):
        flags = _BORROW * bool(self.borrow) | _REQUIRE_BORROW * bool(self.require_borrow) | _RAW * bool(self.raw)
        return flags | _REUSE * bool(self.reuse)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Update(_Declaration):
    """An update of a variable by a function: ``tenure.Update(w, lambda x, w: w + x)``, or simply ``(w, lambda x, w: w + x)``.

    value: a callable with the parameters of the body, which returns the new value, or None to leave the variable as it is. Without it the
    body returns the new value after its outputs.

    mutable=True: the callable changes the value in place and need not return it; without a callable the body does so. The parameter for the
    variable is then the value itself, or a copy if somebody else holds that. All other callables get the old value, of which the call makes
    a copy for them. If anything raises after the change, the variable is undefined until a set. reuse=True: the callable gets the keyword
    ``out``, a spare buffer or None.
    """

    variable: SharedVariable
    value: Any = None
    _: KW_ONLY
    mutable: bool = False
    reuse: bool = False

    def __post_init__(self):
        if not isinstance(self.variable, SharedVariable):
            raise TypeError(f"an update changes a variable of tenure.shared, not {type(self.variable).__name__}")
        if self.value is not None and not callable(self.value):
            kind = type(self.value).__name__
            raise TypeError(f"the value of an update is a callable that returns it, such as lambda x, w: w + x, not {kind}")
        if self.mutable and self.reuse:
            raise ValueError("an update has mutable=True, which changes the value in place, or reuse=True, not both")

    def _flags(self):
        return _MAY_OVERWRITE * bool(self.mutable) | _REUSE * bool(self.reuse)


def function(body, inputs=(), outputs=None, updates=(), givens=None, *, shared=(), name=None, lazy=False):
    """A function: code with declared inputs, outputs and updates of shared variables, which decide what is copied and what is shared.

    body: a callable that gets one :class:`tenure.Array` for each of inputs, then one for each variable in shared. They end with the call.
    It returns the outputs: arrays, or anything that ``tenure.asarray`` takes. Lazy expressions are computed. A NumPy array moves in if
    nothing else refers to it, and is copied otherwise.

    inputs: names or :class:`tenure.In`. outputs: :class:`tenure.Out` or names; by default one, and ``[]`` for none. A call returns one
    output as it is, several as a list, and raises what the body raises.

    updates: pairs (variable, callable), a dict of them, or :class:`tenure.Update`. The callables get the parameters of the body. None in
    place of a callable: the body returns the new value after the outputs. All variables change together, or none if anything raises.

    givens: fixed values. ``{"x": array}`` makes the input x a constant. ``{w: array}`` hides the value of the variable w from the
    callables. With a variable in place of the array, the callables get its value at the time of the call.

    lazy=True: the callables get expressions, as those of ``tenure.lazy``, and return expressions, which the call computes. A result then
    overwrites an input with mutable=True or take=True, or the value of an update with mutable=True, where nothing else needs the bytes.
    With reuse=True, ``out`` is always None then.

    >>> w = tenure.shared(numpy.zeros(2), name="w")
    >>> step = tenure.function(lambda x, w: w + x, inputs=["x"], shared=[w], updates=[(w, lambda x, w: w + 2 * x)])
    >>> step(numpy.ones(2)).tolist(), w.get_value().tolist()
    ([1.0, 1.0], [2.0, 2.0])
    >>> step.crossings.inputs["x"].how
    'aliased'
    """
    parameters = [_input(declared) for declared in _listed(inputs, (str, In), "inputs")]
    parameters += [In(w.name, shared=w, borrow=True) for w in _listed(shared, SharedVariable, "shared", "variables of tenure.shared")]
    if body is not None and not callable(body):
        raise TypeError(f"the body is a callable that gets the inputs, not {type(body).__name__}")
    if outputs is None:
        outputs = [] if body is None else [Out()]
    outputs = [out if isinstance(out, Out) else Out(out) for out in _listed(outputs, (str, Out), "outputs")]
    updates = _updates(updates, parameters)
    if body is None and (outputs or any(update.value is None for update in updates)):
        raise TypeError("without a body there are no outputs, and each update has a callable")
    parameters = [declared if declared.value is None else replace(declared, value=_shown(declared.value, declared.dtype)) for declared in parameters]
    _check_names(parameters)
    own = [_own_parameter(update, parameters) for update in updates]
    returned = [*outputs, *(update for update in updates if update.value is None and not update.mutable)]
    _check(body, "the body", parameters, any(declared.reuse for declared in returned))
    for update in updates:
        _check(update.value, f"the callable of the update of {_named(update.variable)}", parameters, update.reuse)
    # A parameter that only the code of its own update has, as the value itself, is no input of the library, which would copy it.
    hidden = {at for update, at in zip(updates, own) if at is not None and not _is_read(update, body, updates)}
    givens, given = _givens(givens, parameters, hidden)
    places, passed, read = [], [], []
    for at, declared in enumerate(parameters):
        places.append(None if at in hidden else len(passed))
        if at not in hidden:
            passed.append(_passed(declared, given.get(at)))
            if passed[-1][6] is not None:
                read.append(passed[-1][6] if declared.shared is None else declared.shared)
    if name is None:
        name = getattr(body, "__name__", None)
        name = None if name == "<lambda>" else name
    made = _function(
        (name, body, bool(lazy)),
        places,
        passed,
        [(out.name, out._flags(), out.dtype, out.device, _axes(out.ndim)) for out in outputs],
        [(update.variable, update._flags(), update.value, at) for update, at in zip(updates, own)],
    )
    parameters, givens = _kept(made, parameters, givens, given, places)
    changed = tuple(update.variable for update in updates)
    made._declared = (parameters, tuple(outputs), tuple(updates), body, givens, bool(lazy), tuple(read), changed)
    return made


def _listed(items, kinds, what, words=None):
    """The items as a list; one item alone is a list of one."""
    if isinstance(items, kinds):
        return [items]
    if isinstance(items, Iterable):
        items = list(items)
        wrong = next((item for item in items if not isinstance(item, kinds)), None)
        if wrong is None:
            return items
        items = wrong
    words = words or f"names and tenure.{kinds[1].__name__}"
    raise TypeError(f"{what} is a list of {words}, not of {type(items).__name__}")


def _input(declared):
    return declared if isinstance(declared, In) else In(declared)


def _named(variable):
    return f'"{variable.name}"' if variable.name else "a variable without a name"


def _axes(ndim):
    return -1 if ndim is None else ndim


def _updates(updates, parameters):
    """The updates, also those of inputs."""
    if isinstance(updates, Mapping):
        updates = updates.items()
    elif isinstance(updates, Update):
        updates = [updates]
    elif not isinstance(updates, Iterable):
        raise TypeError(f"updates is a list of pairs (variable, callable), not {type(updates).__name__}")
    found = []
    for item in updates:
        if not isinstance(item, Update):
            try:
                variable, value = item
            except (TypeError, ValueError):
                raise TypeError(f"an update is a pair (variable, callable) or a tenure.Update, not {item!r}") from None
            item = Update(variable, value)
        found.append(item)
    for declared in parameters:
        if declared.update is not None:
            update = declared.update if isinstance(declared.update, Update) else Update(declared.shared, declared.update)
            if update.variable is not declared.shared:
                raise ValueError(f"the update of the input {declared.name!r} is one of another variable")
            found.append(update)
    return found


def _check_names(parameters):
    """Raises if two inputs that a caller passes have one name."""
    names = [declared.name for declared in parameters if declared.shared is None]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two inputs have the name {twice!r}")


def _own_parameter(update, parameters):
    """The parameter in whose place the callable of an update in place gets the value itself."""
    if not update.mutable:
        return None
    for at, declared in enumerate(parameters):
        if declared.shared is update.variable:
            return at
    raise ValueError(f"the callable of a mutable update gets the value as a parameter; list {_named(update.variable)} in shared")


def _is_read(update, body, updates):
    """Whether code beside that of an update in place gets the old value."""
    return body is not None and update.value is not None or any(other.value is not None for other in updates if other is not update)


def _check(called, what, parameters, with_out):
    """Raises if a callable does not take the parameters in their order."""
    if called is None:
        return
    try:
        signature = inspect.signature(called)
    except (TypeError, ValueError):
        return  # some builtins have none
    names = [declared.name for declared in parameters]
    shown = ", ".join([*(str(name) for name in names), *(["out=spare"] if with_out else [])])
    try:
        signature.bind(*names, **({"out": None} if with_out else {}))
    except TypeError:
        raise TypeError(f"{what} takes {signature}, and is called with ({shown}): the inputs, then the variables in shared") from None
    for own, name in zip(signature.parameters, names):
        if own != name and own in names:
            raise TypeError(f"{what} takes {signature}, and {own!r} would get the value of {name!r}: the order is ({shown})")


def _is_meant(declared, key):
    """Whether a key of givens means this parameter."""
    return declared.shared is key if isinstance(key, SharedVariable) else declared.name == key


def _givens(givens, parameters, hidden):
    """The fixed values by their keys, and by the positions of their parameters."""
    kept, found = {}, {}
    for key, value in dict(givens or {}).items():
        at = [n for n, declared in enumerate(parameters) if _is_meant(declared, key)]
        if not at:
            raise ValueError(f"givens has {key!r}, which is neither the name of an input nor a variable in shared")
        if hidden & set(at):
            raise ValueError(f"{_named(parameters[at[0]].shared)} is changed in place, and nothing else reads it; leave it out of givens")
        kept[key] = value if isinstance(value, SharedVariable) or value is None else _shown(value, parameters[at[0]].dtype)
        found |= dict.fromkeys(at, kept[key])
    return kept, found


def _passed(declared, given):
    """What the native half gets for an input."""
    flags, value, variable = declared._flags(), declared.value, declared.shared
    if isinstance(given, SharedVariable):
        flags, value, variable = flags & ~_TAKE, None, given
    elif given is not None:
        value, variable = given, None
    return (declared.name, flags, declared.dtype, declared.device, _axes(declared.ndim), value, variable, given is not None)


def _shown(value, dtype):
    """An array of a value, for the library to copy."""
    if isinstance(value, Promise):
        return take(value)
    if isinstance(value, Array):
        return value
    if _has_memory(value):
        try:
            return asarray(value, copy=False)
        except (Error, BufferError, TypeError, ValueError):
            return asarray(value, copy=True)  # NumPy may convert it
    return array(value, dtype)


def _kept(made, parameters, givens, given, places):
    """The declarations and the fixed values, with the library's own arrays in place of those that it has copied."""
    given = {at: value for at, value in given.items() if value is not None}
    own = {at: made._default(places[at]) for at, declared in enumerate(parameters) if isinstance(given.get(at, declared.value), Array)}
    fixed = {id(value): own[at] for at, value in given.items() if at in own}
    declared = [
        declared if declared.value is None else replace(declared, value=None if at in given else own[at])
        for at, declared in enumerate(parameters)
    ]
    return tuple(declared), {key: fixed.get(id(value), value) for key, value in givens.items()}


def _crossings(self):
    """What became of the values of this thread's last call: ``Crossings(inputs, outputs, shared, updates)``; None before the first one."""
    last = self._crossings
    if last is None:
        return None
    inputs, shared, outputs, updates = last
    read, changed = self._declared[6:] if self._declared else ((), ())  # None once the garbage collector cleared them
    return Crossings(
        {name: _crossing_of(*raw) for name, raw in inputs},
        [_crossing_of(*raw) for raw in outputs],
        {variable: _crossing_of(*raw) for variable, raw in zip(read, shared)},
        {variable: _crossing_of(*raw) if raw[0] else None for variable, raw in zip(changed, updates)},
    )


def _copy(self, swap=None, *, delete_updates=False, name=None):
    """Another function with the same code and declarations, on other variables.

    swap: a dict ``{variable: the one in its place}``; the other variables are common to both functions. delete_updates=True: the copy
    changes no variable. name: by default that of this function.

    >>> a, b = tenure.shared(1.0), tenure.shared(5.0)
    >>> count = tenure.function(lambda n: n, shared=[a], updates=[(a, lambda n: n + 1)])
    >>> count.copy(swap={a: b})().item(), a.get_value().item(), b.get_value().item()
    (5.0, 1.0, 6.0)
    """
    if self._is_released:
        raise ValueError(f"{self!r} has no declarations left; copy it before its release")
    parameters, outputs, updates, body, givens, lazy, *_ = self._declared
    swap = dict(swap or {})
    given = [x for pair in dict(givens or {}).items() for x in pair if isinstance(x, SharedVariable)]
    known = {*given, *(declared.shared for declared in parameters), *(update.variable for update in updates)}
    for old, new in swap.items():
        if not isinstance(old, SharedVariable) or not isinstance(new, SharedVariable):
            wrong = new if isinstance(old, SharedVariable) else old
            raise TypeError(f"swap is a dict of variables of tenure.shared, not of {type(wrong).__name__}")
        if old not in known:
            raise ValueError(f"swap has {_named(old)}, which this function does not use")

    returned = next((update for update in updates if update.value is None and not update.mutable), None)
    if delete_updates and returned is not None:
        raise ValueError(f"the body returns the new value of {_named(returned.variable)}, so its update cannot be left out")

    def swapped(x):
        return swap.get(x, x) if isinstance(x, SharedVariable) else x

    return function(
        body,
        [replace(declared, shared=swapped(declared.shared), update=None) for declared in parameters],
        outputs,
        [] if delete_updates else [replace(update, variable=swapped(update.variable)) for update in updates],
        {swapped(key): swapped(value) for key, value in dict(givens or {}).items()},
        name=self.name if name is None else name,
        lazy=lazy,
    )


def _repr(self):
    if self._is_released:
        return "<released function>"
    name = f' "{self.name}"' if self.name else ""
    shown = []
    for declared in self.inputs:
        if declared.shared is not None:
            shown.append(f"shared {_named(declared.shared)}")
        else:
            shown.append(declared.name + ("=..." if declared.value is not None else ""))
    outputs = len(self.outputs)
    text = f"<function{name} ({', '.join(shown)}) -> {outputs} output{'s' * (outputs != 1)}"
    if self.updates:
        text += f", updates {', '.join(_named(update.variable) for update in self.updates)}"
    return text + ">"


def _part(at, description):
    return property(lambda self: self._declared[at], doc=description)


def _install():
    """Adds the attributes to the class of the native half."""
    Function.inputs = _part(0, "The parameters of the body: ``In`` for each; those with ``shared`` are variables.")
    Function.outputs = _part(1, "The outputs: ``Out`` for each.")
    Function.updates = _part(2, "The updates: ``Update`` for each.")
    Function.crossings = property(_crossings)
    Function.copy = _copy
    Function.__repr__ = _repr
    for kind in (function, Crossings, In, Out, Update):
        kind.__module__ = "tenure"


_install()
