"""k-means on MPI, with four processes: the first one scatters the rows, and every round adds up the sums of all. MPI reads and writes the
arrays' own bytes.

mpiexec -n 4 python kmeans_mpi.py
"""

import kmeans
import numpy
from mpi4py import MPI

import tenure
from tenure.distributed import mpi

comm = mpi.wrap(MPI.COMM_WORLD)
is_first = comm.rank == 0
data, first = kmeans.digits() if is_first else (None, None)
shape = comm.bcast(data.shape if is_first else None)
parts = kmeans.blocks(shape[0])
mine = parts[comm.rank]
rows = tenure.empty((mine.stop - mine.start, shape[1]), name="rows")
comm.Scatterv([tenure.asarray(data), [(part.stop - part.start) * shape[1] for part in parts]] if is_first else None, rows)
centres = tenure.array(first) if is_first else tenure.empty((kmeans.CLUSTERS, shape[1]))
comm.Bcast(centres)
sums = tenure.empty((kmeans.CLUSTERS, shape[1] + 1), name="sums")
for _ in range(kmeans.ROUNDS):
    kmeans.partial_into(rows, centres, sums)
    with comm.Iallreduce(MPI.IN_PLACE, sums):
        pass  # other work, that does not touch the sums
    with tenure.access(read=sums, write=centres) as (each, at):
        at[...] = kmeans.moved(at, each)
told = comm.gather(kmeans.copies())
if is_first:
    kmeans.report("MPI", numpy.asarray(centres), told)

# It prints:
# MPI: 1797 digits, 4 blocks, 12 rounds
# the centres are NumPy's: True and so are the clusters: True
# copies at the border of Tenure, in all processes: 0
