"""k-means on worker processes of one machine: all arrays are in shareable memory, and the workers write their sums where the parent
reads them. Only descriptors are sent."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import kmeans
import numpy

import tenure


def work(block, at, out):
    """In a worker: its sums, and the number of copies of the worker."""
    kmeans.partial_into(block, at, out)
    return kmeans.copies()


if __name__ == "__main__":
    data, first = kmeans.digits()
    rows = tenure.shared_empty(data.shape, name="digits")
    centres = tenure.shared_empty(first.shape, name="centres")
    sums = tenure.shared_empty((kmeans.WORKERS, kmeans.CLUSTERS, data.shape[1] + 1), name="sums")
    rows[...], centres[...] = data, first
    told = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(kmeans.WORKERS, mp_context=context) as workers:
        for _ in range(kmeans.ROUNDS):
            parts = [
                workers.submit(work, rows[at], centres, sums[worker]) for worker, at in enumerate(kmeans.blocks(len(data)))
            ]
            told += [part.result(60) for part in parts]
            with tenure.access(read=sums, write=centres) as (each, at):
                at[...] = kmeans.moved(at, each.sum(axis=0))
    kmeans.report("processes", numpy.asarray(centres), [*told, kmeans.copies()])

# It prints:
# processes: 1797 digits, 4 blocks, 12 rounds
# the centres are NumPy's: True and so are the clusters: True
# copies at the border of Tenure, in all processes: 0
