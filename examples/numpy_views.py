"""NumPy works on the bytes of a tenure array, and tenure tracks the NumPy view.

python numpy_views.py
"""

import numpy as np

import tenure

x = tenure.zeros((2, 3), name="x")
n = np.asarray(x)  # shares the bytes: `x` may still be written, but not with mode "unique"
n[0] = 7
print(x.tolist())

# Why x cannot be overwritten in place, and who holds it.
why = x.why_not()
print(why == tenure.Why.EXPORTED, why.holders[0].kind.name)
try:
    x.fill(0, mode="unique")
except tenure.OwnershipError as error:
    print(error.status.name)
del n

# The only access until the block ends.
with x.write("unique") as view:
    view += 1
    try:
        x.copy()
    except tenure.OwnershipError as error:
        print(error.status.name)
print(x.tolist())

# The other direction: tenure shares the bytes of a NumPy array, without a copy.
with tenure.no_copies():
    y = tenure.asarray(np.arange(3.0))
print(y.flags.foreign, y[1:].tolist())

x.release()
y.release()
print(tenure.leaks())

# It prints:
# [[7.0, 7.0, 7.0], [0.0, 0.0, 0.0]]
# True EXPORT_SHARED
# EXPORTED
# BORROWED_WRITE
# [[8.0, 8.0, 8.0], [1.0, 1.0, 1.0]]
# True [1.0, 2.0]
# []
