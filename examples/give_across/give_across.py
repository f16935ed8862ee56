"""Arrays given away across languages: the taker overwrites them in place, and the giver's handle says who took it.

    python give_across.py give_across.so      (`cargo xtask examples` builds everything and runs this)
"""

import ctypes
import re
import sys

import tenure

library = ctypes.CDLL(sys.argv[1])
library.squared.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
PROMISE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def say(text):
    print("Python ", re.sub(r"\S*/", "", str(text)), flush=True)


def squared(param):
    """The result of the C function, as a tenure array. `param` is an array or a promise."""
    out = ctypes.c_void_p()
    tenure.check(library.squared(param, out))
    return tenure.from_handle(out.value)


def address(array):
    return tenure.owner_of(array).address


# Python lends the array, then gives it; the C code is the same for both.
x = tenure.array([1.0, 2.0, 3.0], name="x")
y = squared(x)
say(f"lent:  {y.tolist()} in {'our' if address(y) == address(x) else 'other'} bytes; x is {x.tolist()}")
before = address(x)
y = squared(tenure.give(x))
say(f"given: {y.tolist()} in {'our' if address(y) == before else 'other'} bytes; x is")
say(repr(x))
assert address(y) == before and y.tolist() == [1.0, 4.0, 9.0] and "give_across.c" in repr(x)


# C gives an array; a Python function overwrites it in place. Python code could call this function too.
@tenure.takes
def halved(a):
    with a.write(mode="unique") as view:  # fails if there is another holder
        view /= 2
    return a


results = []


@PROMISE
def callee(handle):
    results.append(halved(tenure.from_handle(handle)))


tenure.check(library.give_to(callee))
say(f"{results[0].tolist()} in C's bytes")
assert results[0].tolist() == [0.5] * 4 and results[0].name == "C's own"

results.clear()
del x, y
assert tenure.leaks() == [], "everything was given back"
