"""Messages of arrays by MPI, beside mpi4py with NumPy arrays: half of a ping-pong between two processes of this machine.

    mpiexec -n 2 python mpi.py     a line "size layout method <tab> minimum <tab> median" per case, in us for a message

Contiguous messages are whole arrays. Strided ones are columns: every second one of a matrix with rows of 1 KiB, as much of it as the size says.
NumPy's strided arrays are copied into a contiguous array first, and out of one behind, because mpi4py takes no others; "datatype" is NumPy with a
derived datatype made by hand, once. The methods take turns. `cargo xtask bench mpi` runs it.
"""

import statistics
import time

import numpy
import tenure
from mpi4py import MPI
from tenure.distributed import mpi

SIZES = {"1 KiB": 1 << 10, "1 MiB": 1 << 20, "64 MiB": 64 << 20}
COLUMNS = 128  # of f64: 1 KiB


def plain(comm, other, view):
    """Functions that send and receive an array of NumPy's."""
    return lambda: comm.Send(view, other), lambda: comm.Recv(view, other)


def staged(comm, other, view):
    staging = numpy.empty(view.shape)

    def send():
        staging[...] = view
        comm.Send(staging, other)

    def receive():
        comm.Recv(staging, other)
        view[...] = staging

    return send, receive


def by_datatype(comm, other, view):
    rows, columns = view.shape
    # mpi4py takes a contiguous buffer: the matrix below the view.
    kind = MPI.DOUBLE.Create_hvector(columns, 1, view.strides[1]).Create_hvector(rows, 1, view.strides[0]).Commit()
    message = [view.base, 1, kind]
    return lambda: comm.Send(message, other), lambda: comm.Recv(message, other)


def methods(size, layout, comm, other):
    if layout == "contiguous":
        made = {"numpy": (numpy.zeros(size // 8), plain)}
        x = tenure.zeros(size // 8)
        mine = x
    else:
        rows = max(size // 8 // (COLUMNS // 2), 1)
        made = {
            "numpy": (numpy.zeros((rows, COLUMNS))[:, ::2], staged),
            "datatype": (numpy.zeros((rows, COLUMNS))[:, ::2], by_datatype),
        }
        x = tenure.zeros((rows, COLUMNS))
        mine = x[:, ::2]
    functions = {name: how(comm.comm, other, view) for name, (view, how) in made.items()}
    functions["tenure"] = (lambda: comm.Send(mine, other), lambda: comm.Recv(mine, other))
    return functions


def main():
    comm = mpi.wrap(MPI.COMM_WORLD)
    other = 1 - comm.rank
    clock = time.perf_counter
    for size, bytes_ in SIZES.items():
        turns = {"1 KiB": 300, "1 MiB": 20, "64 MiB": 1}[size]
        for layout in ("contiguous", "strided"):
            functions = methods(bytes_, layout, comm, other)
            times = {name: [] for name in functions}
            for _ in range(15):
                for name, (send, receive) in functions.items():
                    first, second = (send, receive) if comm.rank == 0 else (receive, send)
                    comm.Barrier()
                    begin = clock()
                    for _ in range(turns):
                        first()
                        second()
                    times[name].append((clock() - begin) / turns / 2 * 1e6)
            if comm.rank == 0:
                for name, all_times in times.items():
                    print(f"{size} {layout} {name}\t{min(all_times[1:]):.2f}\t{statistics.median(all_times[1:]):.2f}", flush=True)
    assert not tenure.copies()


main()
