"""``@takes``: functions that accept arrays and promises alike."""

import functools as _functools
import inspect as _inspect
import keyword as _keyword

from ._tenure import _calibrate, _enter


def takes(function=None):
    """Makes a function take its arrays: each argument that is an array or a promise becomes the callee's own array.

    ``f(tenure.give(A))`` hands A over: the parameter gets A's claim, and may be overwritten in place once nothing else
    needs the bytes. ``f(A)`` shares it: the parameter has its own claim on A's bytes. The function treats both alike.

    >>> @tenure.takes
    ... def doubled(a):
    ...     with a.write(mode="cow") as view:     # in place if a has the only claim, else in a copy
    ...         view *= 2
    ...     return a
    >>> a = tenure.ones(3)
    >>> b = doubled(a)                            # a copy: the caller still has a
    >>> c = doubled(tenure.give(a))               # in place: the caller gave a away
    >>> a.tolist()
    Traceback (most recent call last):
    tenure.OwnershipError: ...

    A parameter's claim ends with its last reference: at ``del``, at the end of the function, or later if it is
    returned or kept. Call ``del`` as soon as it is not needed any more, so that the next operation can work in place.
    Only direct arguments, positional and by keyword, are replaced; arrays in lists, tuples and dicts are not. It works
    for functions, methods, generators (the call takes the arguments) and coroutines (the start takes them), with or
    without parentheses. If an argument is refused, nothing is taken and the function is not called.
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
    """File, name and line of the function, for messages about arrays that it took."""
    code = getattr(_inspect.unwrap(function), "__code__", None)
    if code is None:
        return "", 0
    return f"{code.co_filename}:{function.__qualname__.rpartition('<locals>.')[2]}", code.co_firstlineno


@_functools.lru_cache(maxsize=1024)
def _call(positional, *names):
    """A function that calls with this number of arguments and these keywords, each popped from a list.

    The interpreter moves a popped value from the caller's stack into the callee's variable, so no other reference to it
    exists, and ``del`` in the callee ends it. A call with ``*``, or of a function not written in Python, keeps references
    until it returns. ``del`` has no effect before then, which only costs copies.
    """
    if not all(name.isidentifier() and not _keyword.iskeyword(name) for name in names):

        def call(function, pop):
            arguments = [pop() for _ in range(positional)]
            return function(*arguments, **{name: pop() for name in names})

        return call
    arguments = ["pop()"] * positional + [f"{name}=pop()" for name in names]
    return eval(compile(f"lambda function, pop: function({', '.join(arguments)})", "<tenure.takes>", "eval"))


def _measure():
    """Measures the references that a call of `give` makes to its argument, for a local and for a global variable."""
    global _probe
    probe = object()
    _calibrate(probe)
    _probe = object()
    _calibrate(_probe)
    del _probe


_measure()
