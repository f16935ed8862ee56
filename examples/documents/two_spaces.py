"""Two memory spaces: values that the library manages, and values of the program. `borrow` says which of them may be the same bytes."""

import numpy as np

import tenure
from tenure import In, Out

data = np.ones(2)
default, aliased = tenure.shared(data), tenure.shared(data, borrow=True)
data += 1  # the program's own bytes
print("default", default.get_value().tolist(), "aliased", aliased.get_value().tolist())

copied, lent = default.get_value(), default.get_value(borrow=True)
default.set_value(np.zeros(2))
print("copied", copied.tolist(), "lent", lent.tolist(), "now", default.get_value().tolist())

w = tenure.shared(np.zeros(3), name="w")
step = tenure.function(
    lambda x, w: (x + w, x), [In("x", borrow=True)], [Out(), Out(borrow=True)], updates=[(w, lambda x, w: w + x)], shared=[w]
)
x = tenure.ones(3)
total, same = step(x)
print("total", total.tolist(), "w", w.get_value().tolist(), "version", w.version)
print("the borrowed output is the input:", tenure.owner_of(same).address == tenure.owner_of(x).address)
made = tenure.copies()
print(sum(c.count for c in made), "copies,", sum(c.count for c in made if c.forced), "of them forced")
# It prints:
# default [1.0, 1.0] aliased [2.0, 2.0]
# copied [1.0, 1.0] lent [1.0, 1.0] now [0.0, 0.0]
# total [1.0, 1.0, 1.0] w [1.0, 1.0, 1.0] version 2
# the borrowed output is the input: True
# 8 copies, 0 of them forced
