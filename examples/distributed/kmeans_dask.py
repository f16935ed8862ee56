"""k-means on Dask: each worker keeps a block of rows, gets the centres of a round, and returns its sums.

Dask's messages refer to the arrays' own bytes, and the arrays that arrive are on the memory that they were received into.
"""

import kmeans
import numpy
from distributed import Client, LocalCluster

import tenure

if __name__ == "__main__":
    data, centres = kmeans.digits()
    rows = tenure.array(data, name="digits")
    with (
        LocalCluster(n_workers=kmeans.WORKERS, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster, timeout=60) as client,
    ):
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
        parts = [
            client.scatter(rows[at], workers=[worker], hash=False) for worker, at in zip(workers, kmeans.blocks(len(data)))
        ]
        for _ in range(kmeans.ROUNDS):
            at = client.scatter(tenure.array(centres, name="centres"), broadcast=True, hash=False)
            work = [
                client.submit(kmeans.partial, part, at, workers=[worker], pure=False) for worker, part in zip(workers, parts)
            ]
            sums = sum(numpy.asarray(made) for made in client.gather(work))
            centres = kmeans.moved(centres, sums)
        told = [kmeans.copies(), *client.run(kmeans.copies).values()]
    kmeans.report("Dask", centres, told)

# It prints:
# Dask: 1797 digits, 4 blocks, 12 rounds
# the centres are NumPy's: True and so are the clusters: True
# copies at the border of Tenure, in all processes: 0
