"""Operators of arrays that have a form: they build expressions, which know what a diagonal or a triangle is.

Contract: where an operand of ``+ - * / @`` is an array of a form other than "full", the result is a lazy expression, as if the first
operand were ``tenure.lazy(x)``. For full arrays the operators are what they were before: this module wraps those that `Array` has.
NumPy's functions see the stored elements, those of a diagonal as a vector; with more than one operand that would broadcast where a matrix
is meant, so it is refused.
"""

from ._tenure import Array, lazy, ones


def identity(n, dtype=None, *, name=None, pool=None, device=None):
    """The identity matrix of n rows, as a diagonal of n ones. ``x.dense()`` has all n * n elements.

    >>> tenure.identity(2).dense().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    x = ones(n, dtype, name=name, pool=pool, device=device)
    x.form = "diagonal"
    return x


def _has_form(x):
    return type(x) is Array and x.form != "full"


def _refusal(what):
    return TypeError(
        f"{what} takes an array of a form for its stored elements; build an expression with + - * / @ and tenure.lazy(x), or pass "
        "x.dense() or numpy.asarray(x)"
    )


def _not_there(self, other):
    return NotImplemented


def _no_negative(self):
    raise TypeError("bad operand type for unary -: 'tenure.Array'; write -tenure.lazy(x)")


def _expression(name, previous):
    """An operator of expressions, for arrays with a form."""

    def method(self, *other):
        if _has_form(self) or any(map(_has_form, other)):
            return getattr(lazy(self), name)(*other)
        return previous(self, *other)

    return method


def _refused(name, previous):
    """An operator that expressions do not have, or that writes its operand."""

    def method(self, *other):
        if _has_form(self) or any(map(_has_form, other)):
            raise _refusal(f"Array.{name}")
        return previous(self, *other)

    return method


def _function(previous):
    """``__array_ufunc__``: NumPy calls it for ``numpy.add(x, y)``, and for ``n + x`` with an array of its own."""

    def method(self, ufunc, method, *inputs, **kwargs):
        if ufunc.nin > 1 and any(map(_has_form, (*inputs, *kwargs.get("out", ())))):
            raise _refusal(f"numpy.{ufunc.__name__}")
        return previous(self, ufunc, method, *inputs, **kwargs)

    return method


_BUILD = ("add", "sub", "mul", "truediv", "matmul")
_OTHERS = ("floordiv", "mod", "divmod", "pow")


def _install():
    """Wraps the operators that the class has, and adds those that expressions need."""
    had = vars(Array)
    methods = {"__neg__": _expression("__neg__", had.get("__neg__", _no_negative))}
    for operator in _BUILD:
        for name in (f"__{operator}__", f"__r{operator}__"):
            methods[name] = _expression(name, had.get(name, _not_there))
        name = f"__i{operator}__"
        methods[name] = _refused(name, had.get(name, _not_there))
    for operator in _OTHERS:
        for name in (f"__{operator}__", f"__r{operator}__", f"__i{operator}__"):
            if name in had:
                methods[name] = _refused(name, had[name])
    if "__array_ufunc__" in had:
        methods["__array_ufunc__"] = _function(had["__array_ufunc__"])
    for name, method in methods.items():
        method.__name__, method.__qualname__, method.__module__ = name, f"Array.{name}", "tenure"
        setattr(Array, name, method)


_install()
