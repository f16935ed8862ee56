"""Worker processes on one array: what they get shares its memory, and what they write is there.

``multiprocessing`` sends an array of ``tenure.shared_pool()`` as a descriptor of a few hundred bytes. ``tenure.no_copies()`` proves that no
elements are copied.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy

import tenure


def scale(rows, factor):
    """In a worker: multiplies some rows of the table."""
    with rows.write() as view:
        view *= factor
    return rows.shape


if __name__ == "__main__":
    table = tenure.shared_empty((8, 250_000), name="table")
    table.fill(1.0)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as workers, tenure.no_copies():
        parts = [workers.submit(scale, table[4 * i : 4 * i + 4], i + 2.0) for i in range(2)]
        print("the workers got", *(part.result() for part in parts))
    print("first column:", numpy.asarray(table)[:, 0])

# It prints:
# the workers got (4, 250000) (4, 250000)
# first column: [2. 2. 2. 2. 3. 3. 3. 3.]
