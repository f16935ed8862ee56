"""k-means over blocks of rows: what every worker computes, and the plain NumPy program that the results are compared with."""

import os

import numpy

import tenure

WORKERS, CLUSTERS, ROUNDS = 4, 10, 12


def digits():
    """1,797 images of digits with 64 pixels each, and the first centres."""
    from sklearn.datasets import load_digits  # which the workers do not need

    data = load_digits().data
    return data, data[:: len(data) // CLUSTERS][:CLUSTERS].copy()


def blocks(rows):
    """The rows of each worker."""
    edges = [rows * worker // WORKERS for worker in range(WORKERS + 1)]
    return [slice(*pair) for pair in zip(edges, edges[1:])]


def assign(rows, centres):
    """The nearest centre of each row."""
    return ((centres**2).sum(axis=1) - 2 * rows @ centres.T).argmin(axis=1)


def add_up(rows, centres, out):
    """For each centre the sum of its rows, and in the last column their number."""
    mine = assign(rows, centres)[:, None] == numpy.arange(CLUSTERS)
    numpy.matmul(mine.T.astype(float), rows, out=out[:, :-1])
    out[:, -1] = mine.sum(axis=0)


def moved(centres, sums):
    """The new centres; one without rows stays."""
    counts = sums[:, -1:]
    return numpy.where(counts > 0, sums[:, :-1] / numpy.maximum(counts, 1), centres)


def partial(block, centres):
    """In a worker: the sums of a block, as an array of Tenure."""
    sums = tenure.empty((CLUSTERS, block.shape[1] + 1), name="sums")
    with tenure.access(read=[block, centres], write=sums) as (rows, at, out):
        add_up(rows, at, out)
    return sums


def partial_into(block, centres, sums):
    """In a worker that shares all three: writes the sums of a block where the caller reads them."""
    with tenure.access(read=[block, centres], write=sums) as (rows, at, out):
        add_up(rows, at, out)


def copies():
    """This process, and the number of copies that the library's report has for it."""
    return os.getpid(), sum(site.count for site in tenure.copies())


def report(engine, centres, told):
    """Compares the result with NumPy's own, and prints it. told: the `copies` of all processes; of each the last one counts."""
    data, expected = digits()
    for _ in range(ROUNDS):
        sums = numpy.empty((CLUSTERS, data.shape[1] + 1))
        add_up(data, expected, sums)
        expected = moved(expected, sums)
    same = (assign(data, centres) == assign(data, expected)).all()
    close = numpy.allclose(centres, expected, rtol=0, atol=1e-9)
    print(f"{engine}: {len(data)} digits, {WORKERS} blocks, {ROUNDS} rounds")
    print("the centres are NumPy's:", close, "and so are the clusters:", bool(same))
    print("copies at the border of Tenure, in all processes:", sum(dict(told).values()))
