"""k-means on Ray: the blocks of rows and the centres are in Ray's object store, and the tasks' arrays are on the store's memory."""

import os

import kmeans
import numpy

import tenure

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray


@ray.remote(num_cpus=1)
def partial(block, centres):
    """The sums of a block, and the number of copies of this process."""
    return kmeans.partial(block, centres), kmeans.copies()


if __name__ == "__main__":
    ray.init(
        num_cpus=2,
        object_store_memory=100 << 20,
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        address="local",
    )
    data, centres = kmeans.digits()
    rows = tenure.array(data, name="digits")
    parts = [ray.put(rows[at]) for at in kmeans.blocks(len(data))]
    told = []
    for _ in range(kmeans.ROUNDS):
        at = ray.put(tenure.array(centres, name="centres"))
        made = ray.get([partial.remote(part, at) for part in parts], timeout=60)
        told += [copies for _, copies in made]
        centres = kmeans.moved(centres, sum(numpy.asarray(sums) for sums, _ in made))
    kmeans.report("Ray", centres, [*told, kmeans.copies()])
    ray.shutdown()

# It prints:
# Ray: 1797 digits, 4 blocks, 12 rounds
# the centres are NumPy's: True and so are the clusters: True
# copies at the border of Tenure, in all processes: 0
