"""NumPy's functions on Tenure arrays: operators, ufuncs, and reductions such as ``x.sum()``.

Contract: NumPy computes every number, under guards (PY-7): a read guard on each array that is read, and a write guard on each that is
written, all or none. A conflict raises the error of ``x.read()`` and ``x.write()``, and nothing changes. Results are new arrays in the
thread's current pool. Their shape, element type and order of axes are those of NumPy's own result; NumPy writes into their memory, so
nothing is copied. As in NumPy, a result without axes is a scalar, and an array that is passed as ``out`` is the result.

This module decides what is called and makes the results; ``_tenure._run`` opens the guards and calls. The native half makes simple calls
without it, such as ``x + 1``, as fast as that can be.
"""

import functools
import operator

import numpy
from numpy.lib.array_utils import normalize_axis_tuple

from . import _bfloat16
from ._tenure import Array, Promise, _checked, _copied, _new_like, _run, empty
from ._types import bfloat16

_ndarray = numpy.ndarray

# Python's numbers take the element type of the other operand (NEP 50), so resolving needs their types only.
_NUMBERS = frozenset((int, float, complex))
_SCALARS = frozenset(kind for kind in numpy.sctypeDict.values() if issubclass(kind, (numpy.number, numpy.bool_)))
# Operands that neither take over an operation nor need a conversion.
_PLAIN = _NUMBERS | _SCALARS | {Array, _ndarray}

_HELD = frozenset(
    numpy.dtype(name)
    for name in (
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()
    )
)


# ---- element types, shapes and orders of results


def _operand(x):
    """An operand with a shape and an element type; Python's numbers stay as they are."""
    if type(x) in _PLAIN or isinstance(x, (_ndarray, numpy.generic, Array)):
        return x
    return numpy.asarray(_checked(x))


def _dtype_of(x):
    """NumPy's element type of an operand; for Python's numbers their type."""
    kind = type(x)
    if kind in _NUMBERS:
        return kind
    dtype = x.dtype
    return _bfloat16.numpy_dtype() if dtype is bfloat16 else dtype


def _dtype_or_none(dtype):
    return None if dtype is None else numpy.dtype(dtype)


def _shape_of(x):
    return () if type(x) in _NUMBERS else x.shape


def _held(dtype, name):
    """The element type of a result. Raises for one that arrays cannot have."""
    if dtype in _HELD or dtype.name == "bfloat16":
        return dtype
    what = "Python objects" if dtype.hasobject else f"elements of type {dtype}"
    raise TypeError(
        f"{name} of these operands works with {what}, which a tenure.Array cannot have; convert the operands to numbers, or "
        "pass numpy.asarray(x), and NumPy makes an array of its own"
    )


@functools.lru_cache(maxsize=4096)
def _result_types(ufunc, dtypes, dtype, casting):
    """The element types of a ufunc's results."""
    options = {}
    if dtype is not None:
        options["signature"] = (None,) * ufunc.nin + (dtype,) * ufunc.nout
    if casting is not None:
        options["casting"] = casting
    types = ufunc.resolve_dtypes(dtypes + (None,) * ufunc.nout, **options)
    for used in types[: ufunc.nin]:
        if used.hasobject:
            _held(used, f"numpy.{ufunc.__name__}")
    return tuple(_held(made, f"numpy.{ufunc.__name__}") for made in types[ufunc.nin :])


@functools.lru_cache(maxsize=4096)
def _reduced_type(reduction, method, dtype, wanted):
    """The element type of a reduction's result."""
    sample = numpy.ones(1, dtype)
    options = {} if wanted is None else {"dtype": wanted}
    if method == "reduceat":
        made = reduction.reduceat(sample, (0,), **options)
    elif method:
        made = getattr(reduction, method)(sample, **options)
    else:
        made = reduction(sample, **options)
    # A Python object has no element type.
    return _held(getattr(made, "dtype", numpy.dtype(object)), f"numpy.{reduction.__name__}")


@functools.lru_cache(maxsize=64)
def _core_axes(signature):
    """The names of the core axes of each input and output of a signature such as ``(n?,k),(k,m?)->(n?,m?)``."""
    sides = signature.replace(" ", "").split("->")
    return [[part.split(",") if part else [] for part in side[1:-1].split("),(")] for side in sides]


def _core_shapes(ufunc, operands):
    """The shapes of the results of a ufunc that works on whole axes, such as matmul, and the strides of its operands over the other
    axes. No shapes: NumPy will refuse the operands."""
    inputs, outputs = _core_axes(ufunc.signature)
    lengths, loops = {}, []
    for shape, names in zip(map(_shape_of, operands), inputs):
        if len(shape) < len(names):
            names = [name for name in names if not name.endswith("?")]
        at = len(shape) - len(names)
        if at < 0:
            return (), ()
        for name, length in zip(names, shape[at:]):
            if lengths.setdefault(name.rstrip("?"), length) != length:
                return (), ()
        loops.append(shape[:at])
    try:
        loop = numpy.broadcast_shapes(*loops)
    except ValueError:
        return (), ()
    # Some signatures have lengths for names. An axis that an input lacks is missing in the results too.
    known = {name: int(name) for names in outputs for name in names if name.isdigit()} | lengths
    cores = [tuple(known[name.rstrip("?")] for name in names if name.rstrip("?") in known) for names in outputs]
    strides = [_strides_over(x, len(loop), len(loop), len(own)) for x, own in zip(operands, loops) if own]
    return [loop + core for core in cores], strides


def _strides_over(x, ndim, end, count=None):
    """The strides of an operand over the axes of a result, of which its own axes, or the first `count`, are the last before `end`; 0 over
    others."""
    own = tuple(0 if length == 1 else stride for length, stride in zip(x.shape[:count], x.strides))
    return (0,) * (end - len(own)) + own + (0,) * (ndim - end)


def _fresh(shape, dtype, strides, order="K"):
    """A new array. With the order K its axes lie in memory as those of the operands with these strides, and further axes inside."""
    if order == "F":
        return empty(shape, dtype, "F")
    if order == "C" or len(shape) < 2 or not strides:
        return empty(shape, dtype)
    return _new_like(shape, dtype, strides)


# ---- calls


def _call(ufunc, inputs, kwargs, outs=(), function=None):
    """A call of a ufunc, or of its method ``outer``, which is `function` then."""
    operands = tuple(x if type(x) in _PLAIN else _operand(x) for x in inputs)
    written = tuple(out for out in outs if type(out) is Array)
    if outs:
        kwargs = {**kwargs, "out": outs}
    for x in operands:
        # The result is an object of the subclass, such as numpy.matrix, which NumPy makes.
        if isinstance(x, _ndarray) and type(x) is not _ndarray and x.__array_priority__ > 0:
            return _run(function or ufunc, operands, kwargs, written)
    if kwargs and not _OWN_SHAPES.isdisjoint(kwargs):
        return _converted(_run(function or ufunc, operands, kwargs, written), ufunc, outs)
    dtypes = tuple(kind if kind in _NUMBERS else _dtype_of(x) for kind, x in zip(map(type, operands), operands))
    types = _result_types(ufunc, dtypes, _dtype_or_none(kwargs.get("dtype")), kwargs.get("casting"))
    made = outs or (None,) * ufunc.nout
    if any(out is None for out in made):
        shapes, strides = _result_shapes(ufunc, operands, kwargs, outs, function is not None)
        order = kwargs.get("order", "K")
        if order == "A":
            order = "F" if all(x.flags["F"] for x in operands if type(x) not in _NUMBERS) else "C"
        made = tuple(
            _fresh(shape, dtype, strides, order) if out is None and shape else out
            for out, shape, dtype in zip(made, shapes, types)
        )
        # Where NumPy will refuse the shapes, there are none.
        if len(made) == ufunc.nout and any(out is not None for out in made):
            kwargs = {**kwargs, "out": made}
            written = tuple(out for out in made if type(out) is Array)
    return _run(function or ufunc, operands, kwargs, written)


# Arguments from which NumPy alone derives the shape or the types of the results.
_OWN_SHAPES = frozenset(("signature", "sig", "axes", "axis", "keepdims"))


def _result_shapes(ufunc, operands, kwargs, outs, outer):
    """The shapes of a ufunc's results, and the strides of its operands over their axes. No shapes: NumPy will refuse the operands."""
    shapes = [_shape_of(x) for x in operands]
    if ufunc.signature is not None:
        return _core_shapes(ufunc, operands)
    if outer:
        first, second = shapes
        ndim = len(first) + len(second)
        strides = [_strides_over(x, ndim, len(first) + at * len(second)) for at, x in enumerate(operands) if shapes[at]]
        return [first + second] * ufunc.nout, strides
    shapes += [x.shape for x in (*outs, kwargs.get("where")) if hasattr(x, "shape")]
    different = {shape for shape in shapes if shape}
    shape = next(iter(different), ())
    if len(different) > 1:
        try:
            shape = numpy.broadcast_shapes(*different)
        except ValueError:
            return (), ()
    ndim = len(shape)
    return [shape] * ufunc.nout, [_strides_over(x, ndim, ndim) for x in operands if _shape_of(x)] if ndim > 1 else ()


def _converted(result, function, outs=()):
    """The result of NumPy, with new arrays of Tenure in place of those that NumPy made. They are copies, and the copy book has them."""
    if isinstance(result, tuple):
        return tuple(_converted(item, function, outs) for item in result)
    if not isinstance(result, _ndarray) or any(result is out for out in outs):
        return result
    _held(result.dtype, f"numpy.{function.__name__}")
    return _copied(result)


def _along(reduction, method, x, axis, out, keepdims, kwargs, more=()):
    """A reduction along axes: of a ufunc by its method, or by a function of numpy.ndarray, where the method is ""."""
    x = _operand(x)
    function = getattr(reduction, method) if method else reduction
    kwargs = {name: value for name, value in kwargs.items() if value is not _NO_VALUE}
    kwargs["axis"] = axis
    if keepdims:
        kwargs["keepdims"] = keepdims
    arguments = (x, *more)
    if out is not None:
        return _run(function, arguments, {**kwargs, "out": out}, (out,) if type(out) is Array else ())
    if axis is None and not keepdims and method in ("", "reduce"):
        return _run(function, arguments, kwargs, ())
    dtype, wanted = _dtype_of(x), _dtype_or_none(kwargs.get("dtype"))
    if wanted is None and dtype == numpy.float16 and reduction in _ROUNDED_LAST:
        return _converted(_run(function, arguments, kwargs, ()), reduction)
    shape, strides = list(x.shape), list(_strides_over(x, x.ndim, x.ndim))
    if method == "reduceat" and shape:
        (at,) = normalize_axis_tuple(axis, len(shape))
        shape[at], strides[at] = len(more[0]), 0
    elif method != "accumulate":
        ndim = len(shape)
        if axis is None or not shape:
            axes = range(ndim)
        else:
            axes = (axis % ndim,) if type(axis) is int and -ndim <= axis < ndim else normalize_axis_tuple(axis, ndim)
        for at in sorted(axes, reverse=True):
            if keepdims:
                shape[at], strides[at] = 1, 0
            else:
                del shape[at], strides[at]
        if not shape:
            return _run(function, arguments, kwargs, ())
    order = "C" if reduction in _IN_ORDER_C else "K"
    out = _fresh(tuple(shape), _reduced_type(reduction, method, dtype, wanted), (strides,), order)
    return _run(function, arguments, {**kwargs, "out": out}, (out,))


def _overriding(kind):
    """What a type has of its own for ufuncs; None if it refuses them. ``_DEFAULT``: nothing of its own."""
    found = getattr(kind, "__array_ufunc__", _DEFAULT)
    return _DEFAULT if kind is Array else found


_DEFAULT = _ndarray.__array_ufunc__


def _array_ufunc(self, ufunc, method, *inputs, out=(), **kwargs):
    """``Array.__array_ufunc__``, beside the simple calls that the native half makes."""
    for x in (*inputs, *out, kwargs.get("where")):
        if type(x) not in _PLAIN and _overriding(type(x)) is not _DEFAULT:
            return NotImplemented
    if method == "__call__":
        return _call(ufunc, inputs, kwargs, out)
    if method == "outer":
        return _call(ufunc, inputs, kwargs, out, ufunc.outer)
    if method == "at":
        return _run(ufunc.at, inputs, kwargs, inputs[:1] if type(inputs[0]) is Array else ())
    axis, keepdims = kwargs.pop("axis", 0), kwargs.pop("keepdims", False)
    return _along(ufunc, method, inputs[0], axis, out[0] if out else None, keepdims, kwargs, inputs[1:])


# Functions that write their first argument.
_WRITERS = frozenset(
    (numpy.copyto, numpy.put, numpy.place, numpy.putmask, numpy.put_along_axis, numpy.fill_diagonal)
)


def _array_function(self, function, types, args, kwargs):
    """NumPy calls it for its functions that are no ufuncs. They read arrays as ``numpy.asarray(x)``, and make NumPy's arrays; what they
    write has a write guard."""
    for kind in types:
        if kind is not Array and kind.__array_function__ is not _ndarray.__array_function__:
            return NotImplemented
    out = kwargs.get("out")
    written = out if type(out) is tuple else (out,)
    if function in _WRITERS:
        written = (*args[:1], *written)
    written = tuple(x for x in written if type(x) is Array)
    if written:
        args = tuple(_shared(x, written) for x in args)
        kwargs = {name: _shared(x, written) for name, x in kwargs.items()}
        return _run(function, args, kwargs, written)
    implementation = getattr(function, "_implementation", None)
    if implementation is None:
        # It has `like=x`.
        raise TypeError(
            f"numpy.{function.__name__} makes no tenure.Array; call tenure.{function.__name__} if that exists, or "
            "tenure.asarray of NumPy's result"
        )
    return implementation(*args, **kwargs)


def _shared(x, written):
    """An argument with NumPy's views in place of arrays that are read."""
    if type(x) is Array:
        return x if any(x is other for other in written) else numpy.asarray(x)
    if type(x) in (list, tuple):
        # The sequence of a function such as numpy.concatenate.
        return tuple(_shared(item, written) for item in x)
    return x


# ---- operators whose operands the native half leaves


def _simple_type(ufunc, dtypes):
    """The element type of the only result of a ufunc; None for a ufunc or operands that `_call` must look at."""
    if ufunc.nin != len(dtypes) or ufunc.nout != 1 or ufunc.signature is not None and ufunc is not numpy.matmul:
        return None
    try:
        (made,) = _result_types(ufunc, dtypes, None, None)
    except TypeError:
        return None
    return made


def _defers(other):
    """Whether an operator leaves the operation to the other operand, as those of numpy.ndarray do."""
    kind = type(other)
    if kind in _PLAIN:
        return False
    found = _overriding(kind)
    return getattr(other, "__array_priority__", 0) > 0 if found is _DEFAULT else found is None


def _operator(ufunc, x, y, turned):
    """An operator of an array, which is the right operand if turned."""
    other = x if turned else y
    if _defers(other):
        return NotImplemented
    # An object without numbers is no operand, unless its type takes over.
    if type(other) not in _PLAIN and not hasattr(type(other), "__array_ufunc__") and numpy.asarray(_checked(other)).dtype.hasobject:
        return NotImplemented
    return ufunc(x, y)


def _in_place(ufunc, x, other):
    if ufunc is numpy.matmul:
        # The axes of NumPy's own `@=`, which refuse a vector on the right: its result would have another shape.
        return ufunc(x, other, out=x, axes=[(-1,), (-2, -1), (-1,)] if x.ndim == 1 else [(-2, -1)] * 3)
    return ufunc(x, other, out=x)


def _compared(ufunc, name, x, other):
    """A comparison such as ``==``."""
    if _defers(other):
        return NotImplemented
    x, other = (_comparable(y) if type(y) is Array else y for y in (x, other))
    if name in ("eq", "ne") and not _has_numbers(other):
        # Texts and other objects are no error.
        return _converted(_run(getattr(operator, name), (x, other), {}, ()), ufunc)
    return ufunc(x, other)


def _comparable(x):
    """A copy of memory that the host cannot access, and of bfloat16, so that comparing needs no other package."""
    x = x.copy_to_host() if x.device.startswith("cuda:") else x
    return x.astype("float32") if x.dtype is bfloat16 else x


def _has_numbers(other):
    """Whether NumPy compares numbers with this object, or its type takes over."""
    kind = type(other)
    if kind in _PLAIN and kind is not _ndarray or _overriding(kind) is not _DEFAULT:
        return True
    return _operand(other).dtype.kind in "biufcV"


def _promise_ufunc(self, *_, **__):
    raise TypeError(f"a promise is no operand: {self!r}")


def _promise_operator(self, other):
    if type(other) is not Array and _overriding(type(other)) is None:
        return NotImplemented  # an expression, which takes it
    return _promise_ufunc(self)


_LEFT = "add sub mul truediv floordiv mod divmod pow matmul lshift rshift and or xor lt le gt ge".split()


# ---- methods of arrays

# With a result of float16, NumPy computes these in float32, and rounds last.
_ROUNDED_LAST = frozenset((_ndarray.mean, _ndarray.std, _ndarray.var))
# NumPy makes the results of these in order C, whatever the order of the array.
_IN_ORDER_C = frozenset((_ndarray.argmin, _ndarray.argmax))
_NO_VALUE = numpy._NoValue


class _Methods:
    """Methods of arrays that NumPy computes."""

    def sum(self, axis=None, dtype=None, out=None, keepdims=False, initial=_NO_VALUE, where=_NO_VALUE):
        """The sum of the elements over axes, as ``numpy.ndarray.sum``, under a read guard.

        >>> x = tenure.ones((2, 3))
        >>> x.sum(), x.sum(axis=0)
        (np.float64(6.0), tenure.array([2., 2., 2.]))
        """
        more = {"dtype": dtype, "initial": initial, "where": where}
        return _along(_ndarray.sum, "", self, axis, out, keepdims, more)

    def prod(self, axis=None, dtype=None, out=None, keepdims=False, initial=_NO_VALUE, where=_NO_VALUE):
        """The product of the elements over axes, as ``numpy.ndarray.prod``, under a read guard."""
        more = {"dtype": dtype, "initial": initial, "where": where}
        return _along(_ndarray.prod, "", self, axis, out, keepdims, more)

    def min(self, axis=None, out=None, keepdims=False, initial=_NO_VALUE, where=_NO_VALUE):
        """The smallest element over axes, as ``numpy.ndarray.min``, under a read guard."""
        return _along(_ndarray.min, "", self, axis, out, keepdims, {"initial": initial, "where": where})

    def max(self, axis=None, out=None, keepdims=False, initial=_NO_VALUE, where=_NO_VALUE):
        """The largest element over axes, as ``numpy.ndarray.max``, under a read guard."""
        return _along(_ndarray.max, "", self, axis, out, keepdims, {"initial": initial, "where": where})

    def mean(self, axis=None, dtype=None, out=None, keepdims=False, *, where=_NO_VALUE):
        """The mean of the elements over axes, as ``numpy.ndarray.mean``, under a read guard."""
        return _along(_ndarray.mean, "", self, axis, out, keepdims, {"dtype": dtype, "where": where})

    def std(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=_NO_VALUE):
        """The standard deviation over axes, as ``numpy.ndarray.std``, under a read guard."""
        return _along(_ndarray.std, "", self, axis, out, keepdims, {"dtype": dtype, "ddof": ddof, "where": where})

    def var(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=_NO_VALUE):
        """The variance over axes, as ``numpy.ndarray.var``, under a read guard."""
        return _along(_ndarray.var, "", self, axis, out, keepdims, {"dtype": dtype, "ddof": ddof, "where": where})

    def any(self, axis=None, out=None, keepdims=False, *, where=_NO_VALUE):
        """Whether any element over axes is true, as ``numpy.ndarray.any``, under a read guard."""
        return _along(_ndarray.any, "", self, axis, out, keepdims, {"where": where})

    def all(self, axis=None, out=None, keepdims=False, *, where=_NO_VALUE):
        """Whether all elements over axes are true, as ``numpy.ndarray.all``, under a read guard."""
        return _along(_ndarray.all, "", self, axis, out, keepdims, {"where": where})

    def argmin(self, axis=None, out=None, *, keepdims=False):
        """The index of the smallest element, as ``numpy.ndarray.argmin``, under a read guard."""
        return _along(_ndarray.argmin, "", self, axis, out, keepdims, {})

    def argmax(self, axis=None, out=None, *, keepdims=False):
        """The index of the largest element, as ``numpy.ndarray.argmax``, under a read guard."""
        return _along(_ndarray.argmax, "", self, axis, out, keepdims, {})

    def tobytes(self, order="C"):
        """The elements as bytes, as ``numpy.ndarray.tobytes``, under a read guard."""
        x = self.view("uint16") if self.dtype is bfloat16 else self
        return _run(_ndarray.tobytes, (x.copy_to_host() if x.device.startswith("cuda:") else x,), {"order": order}, ())


def _install():
    """Adds the methods to the classes of the native half."""
    methods = {name: value for name, value in vars(_Methods).items() if not name.startswith("_")}
    methods["__array_function__"] = _array_function
    for name, method in methods.items():
        method.__name__, method.__qualname__, method.__module__ = name, f"Array.{name}", "tenure"
        setattr(Array, name, method)
    Promise.__array_ufunc__ = _promise_ufunc
    for name in _LEFT:
        setattr(Promise, f"__{name}__", _promise_operator)


_install()
