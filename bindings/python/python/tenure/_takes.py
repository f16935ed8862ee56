"""``@takes``: functions that accept arrays given away, without knowing which of their arguments were."""

import functools as _functools
import inspect as _inspect
import keyword as _keyword

from ._tenure import _calibrate, _enter


def takes(function=None):
    """A function that takes: each argument that is an array or a promise becomes an array of its own.

    ``f(tenure.give(A))`` hands A over: inside, the parameter has A's claim, and may be overwritten in place once
    nobody else needs the bytes. ``f(A)`` lends it: the parameter shares A's bytes. The function need not know which.

    >>> @tenure.takes
    ... def doubled(a):
    ...     with a.write(mode="cow") as view:     # in place if a is the only one, else in a copy
    ...         view *= 2
    ...     return a
    >>> a = tenure.ones(3)
    >>> b = doubled(a)                            # a copy: we still have a
    >>> c = doubled(tenure.give(a))               # in place: a is gone
    >>> a.tolist()
    Traceback (most recent call last):
    tenure.OwnershipError: ...

    A parameter's claim ends with its last reference: at ``del``, at the end of the function, or later if it is
    returned or kept. ``del`` as soon as it is not needed any more is what lets the next operation work in place.
    Only direct arguments, positional and by keyword, are looked at: what lies in lists, tuples and dicts stays as it
    is. For functions, methods, generators (arguments are taken by the call) and coroutines (taken when they begin to
    run); with or without parentheses. If an argument is refused, nothing was taken and the function is not called.
    """
    if function is None:
        return takes
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(takes(function.__func__))
    if not callable(function):
        raise TypeError(f"@tenure.takes goes above a function, not above {function!r}")
    place, line = _place(function)

    if _inspect.iscoroutinefunction(function):

        async def wrapper(*args, **kwargs):
            values = _enter(args, kwargs, place, line)
            call = _call(len(args), *kwargs)
            del args, kwargs
            return await call(function, values.pop)

    else:

        def wrapper(*args, **kwargs):
            values = _enter(args, kwargs, place, line)
            call = _call(len(args), *kwargs)
            del args, kwargs
            return call(function, values.pop)

    return _functools.wraps(function)(wrapper)


def _place(function):
    """What destructed arrays say about who took them: file and name of the function, and its line."""
    code = getattr(_inspect.unwrap(function), "__code__", None)
    if code is None:
        return "", 0
    return f"{code.co_filename}:{function.__qualname__.rpartition('<locals>.')[2]}", code.co_firstlineno


@_functools.lru_cache(maxsize=1024)
def _call(positional, *names):
    """What calls with so many arguments and these keywords, each popped from a list that then has it no more.

    The interpreter moves such values from the caller's stack into the callee's variables: nobody else refers to them,
    and what the callee deletes is gone. A call with ``*`` or of anything but a function written in Python keeps
    references until it returns: then ``del`` has no effect before, which costs copies and nothing else.
    """
    if not all(name.isidentifier() and not _keyword.iskeyword(name) for name in names):

        def call(function, pop):
            arguments = [pop() for _ in range(positional)]
            return function(*arguments, **{name: pop() for name in names})

        return call
    arguments = ["pop()"] * positional + [f"{name}=pop()" for name in names]
    return eval(compile(f"lambda function, pop: function({', '.join(arguments)})", "<tenure.takes>", "eval"))


def _measure():
    """How many references a call of `give` makes to its argument, of a local variable and of a global one."""
    global _probe
    probe = object()
    _calibrate(probe)
    _probe = object()
    _calibrate(_probe)
    del _probe


_measure()
