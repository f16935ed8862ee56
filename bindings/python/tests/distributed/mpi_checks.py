"""What test_mpi.py runs under mpiexec, with four ranks. Rank 0 prints a line for each check: "ok NAME". A rank on which one fails prints "error
NAME" and why, and aborts the run.

A check gets a communicator of its own. Afterwards no array, borrow or request of it is left, on any rank.
"""

import collections
import gc
import sys
import threading
import time
import traceback

import numpy
from mpi4py import MPI

import tenure
from tenure import Status
from tenure.distributed import _mpi_message, _mpi_request, _mpi_window, mpi

TYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128 bfloat16".split()
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def refused(status, function, *args, **kwargs):
    """The call raises this status; returns its text."""
    try:
        function(*args, **kwargs)
    except tenure.Error as error:
        assert error.status == status, f"{error.status!r} in place of {status!r}: {error}"
        return str(error)
    raise AssertionError(f"not refused: {status!r}")


def host(x):
    """A copy of the elements."""
    return numpy.array(numpy.asarray((x.view("uint16") if x.dtype == "bfloat16" else x).readonly))


def numbered(shape, dtype="float64", start=0):
    return tenure.array(numpy.arange(start, start + numpy.prod(shape, dtype=int)).reshape(shape).astype(dtype))


def ring(comm):
    return (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size


@check
def every_element_type(comm):
    right, left = ring(comm)
    for dtype in TYPES:
        here = "uint16" if dtype == "bfloat16" else dtype
        x = numbered(12, here, comm.rank)
        y = tenure.zeros(12, here)
        x, y = (x.view(dtype), y.view(dtype)) if dtype == "bfloat16" else (x, y)
        comm.Sendrecv(x, right, recvbuf=y, source=left)
        assert (host(y) == numpy.arange(left, left + 12).astype(here)).all(), dtype
        comm.Sendrecv(x[::3], right, recvbuf=y[4:0:-1], source=left)
        expected = numpy.arange(left, left + 12).astype(here)[::3]
        assert (host(y)[4:0:-1] == expected).all(), dtype


def random_view(x, random):
    """A view of an array and the same view of NumPy's."""
    n = numpy.asarray(x)
    if random.integers(2):
        axes = tuple(random.permutation(x.ndim))
        x, n = x.transpose(*(int(a) for a in axes)), n.transpose(axes)
    key = []
    for length in n.shape:
        kind = random.integers(4)
        if kind == 0:
            key.append(slice(None))
        elif kind == 1:
            key.append(slice(int(random.integers(length)), None, int(random.integers(1, 4))))
        elif kind == 2:
            key.append(slice(None, None, -int(random.integers(1, 3))))
        else:
            key.append(int(random.integers(length)))
    return x[tuple(key)], n[tuple(key)]


@check
def random_layouts_agree_with_numpy(comm):
    right, left = ring(comm)
    random = numpy.random.default_rng(7)  # the same on all ranks
    sent = 0
    for turn in range(150):
        shape = tuple(int(n) for n in random.integers(1, 6, random.integers(1, 5)))
        dtype = ("float64", "int16", "complex128", "uint8")[turn % 4]
        x, y = numbered(shape, dtype, comm.rank), tenure.zeros(shape, dtype)
        sender, its = random_view(x, random)
        receiver, its_copy = random_view(y, random)
        if not isinstance(sender, tenure.Array) or not isinstance(receiver, tenure.Array) or sender.size != receiver.size:
            del its, its_copy
            continue
        sent += 1
        expected = (its - its.dtype.type(comm.rank) + its.dtype.type(left)).ravel() if dtype != "uint8" else (its.astype(int) - comm.rank + left).ravel()
        before = numpy.array(y)
        comm.Sendrecv(sender, right, recvbuf=receiver, source=left)
        assert (numpy.asarray(its_copy).ravel() == expected).all(), (shape, dtype, turn)
        # No other element has changed.
        its_copy[...] = 0
        assert (numpy.asarray(y) == before).all(), (shape, dtype, turn)
        del its, its_copy
    assert sent > 20, sent


@check
def arrays_without_elements_and_without_axes(comm):
    right, left = ring(comm)
    comm.Sendrecv(tenure.zeros((0, 3)), right, recvbuf=tenure.zeros((3, 0)), source=left)
    comm.Sendrecv(tenure.zeros((4, 3))[2:2, ::2], right, recvbuf=tenure.zeros(0), source=left)
    x, y = tenure.full((), comm.rank + 1.0), tenure.zeros(())
    comm.Sendrecv(x, right, recvbuf=y, source=left)
    assert y.item() == left + 1
    b = tenure.full((1,), 2.0).broadcast_to(5)  # all elements are one
    z = tenure.zeros(5)
    comm.Sendrecv(b, right, recvbuf=z, source=left)
    assert z.tolist() == [2.0] * 5
    refused(Status.READONLY, comm.Recv, b, source=left)


@check
def a_send_in_flight_is_borrowed_for_reading(comm):
    right, left = ring(comm)
    x = tenure.zeros((4, 6), name="x")
    x.fill(comm.rank)
    request = comm.Issend(x[1:3, ::2], dest=right)
    assert not request.Test() and request.is_open  # nothing receives it yet
    text = refused(Status.BORROWED, x.fill, 9)
    assert '"x" is borrowed for reading' in text and "mpi_checks.py" in text, text
    refused(Status.BORROWED, x.__setitem__, (1, 2), 9.0)
    x[0] = 5.0  # other rows
    x[3] = 5.0
    assert x[1, 0] == comm.rank  # reading
    comm.Barrier()
    y = tenure.zeros((2, 3))
    comm.Recv(y, source=left)
    request.Wait()
    assert not request.is_open and y.tolist() == [[left] * 3] * 2
    x.fill(9)


@check
def a_receive_in_flight_is_borrowed_for_writing(comm):
    right, left = ring(comm)
    y = tenure.zeros((4, 6), name="y")
    request = comm.Irecv(y[:, 0], source=left)
    assert not request.Test()
    assert '"y" is borrowed for writing' in refused(Status.BORROWED_WRITE, y.fill, 1)
    refused(Status.BORROWED_WRITE, y.read().__enter__)
    refused(Status.BORROWED_WRITE, comm.Send, y, dest=right)
    assert float(y[2, 1]) == 0.0 and y[:, 1:].sum() == 0  # elements that it does not receive
    comm.Barrier()
    comm.Send(numpy.full(4, comm.rank + 1.0), dest=right)
    request.Wait()
    assert y[:, 0].tolist() == [left + 1.0] * 4
    # Both directions of one call may not overlap.
    refused(Status.BORROWED, comm.Sendrecv, y[:2], right, recvbuf=y[1:3], source=left)
    y.fill(0)


@check
def test_ends_the_borrow_when_it_says_so(comm):
    right, left = ring(comm)
    x, y = tenure.ones(3), tenure.zeros(3)
    request = comm.Irecv(y, source=left)
    assert not request.Test()
    refused(Status.BORROWED_WRITE, y.fill, 1)
    comm.Barrier()
    send = comm.Isend(x, dest=right)
    status = MPI.Status()
    while not request.Test(status):
        assert request.is_open
    assert status.Get_source() == left and not request.is_open and request.Test() and request.Wait()
    y.fill(1)
    send.Wait()


@check
def get_status_ends_no_borrow(comm):
    right, left = ring(comm)
    y = tenure.zeros(3)
    request = comm.Irecv(y, source=left)
    comm.Send(tenure.ones(3), dest=right)
    while not request.Get_status():
        pass
    refused(Status.BORROWED_WRITE, y.fill, 1)
    refused(Status.BORROWED, request.Free)
    request.Wait()
    y.fill(1)


@check
def a_block_waits(comm):
    right, left = ring(comm)
    x, y = tenure.full(4, 1.0 * comm.rank), tenure.zeros((4, 2))
    with comm.Irecv(y[:, 0], source=left) as request, comm.Isend(x, dest=right):
        y[:, 1] = 7.0
    assert not request.is_open and y.tolist() == [[left, 7.0]] * 4


@check
def an_exception_in_a_block_cancels_the_receive(comm):
    y, x = tenure.ones(4), tenure.ones(4)
    try:
        with comm.Irecv(y, source=comm.rank) as request:
            raise KeyError("mine")
    except KeyError:
        pass
    assert not request.is_open and y.tolist() == [1.0] * 4
    y.fill(2)
    # A send cannot be cancelled; its borrow stays.
    try:
        with comm.Issend(x, dest=comm.rank) as send:
            raise KeyError("mine")
    except KeyError:
        pass
    refused(Status.BORROWED, x.fill, 1)
    comm.Recv(y, source=comm.rank)
    send.Wait()


@check
def a_request_that_is_dropped_keeps_its_borrow(comm):
    right, left = ring(comm)
    y = tenure.zeros(4, name="dropped")
    comm.Irecv(y, source=left)
    gc.collect()
    refused(Status.BORROWED_WRITE, y.fill, 1)
    assert any(h.kind.name == "GUARD_WRITE" for h in tenure.leaks())
    comm.Send(tenure.ones(4), dest=right)
    (request,) = _mpi_request._open
    request.Wait()
    assert y.tolist() == [1.0] * 4


@check
def an_array_that_is_dropped_keeps_its_bytes(comm):
    right, left = ring(comm)
    pool = tenure.Pool(name="flight")
    x = tenure.full(1000, 1.0 * comm.rank, pool=pool)
    request = comm.Issend(x, dest=right)
    del x
    gc.collect()
    assert pool.stats().in_use_bytes >= 8000
    other = tenure.full(1000, -1.0, pool=pool)
    comm.Barrier()
    y = tenure.zeros(1000)
    comm.Recv(y, source=left)
    request.Wait()
    assert y.tolist() == [left] * 1000
    assert pool.stats().in_use_bytes < 16000
    del other


@check
def several_requests(comm):
    right, left = ring(comm)
    rows = tenure.zeros((6, 5))
    out = numbered((6, 5), start=100 * comm.rank)
    expected = numpy.arange(30.0).reshape(6, 5) + 100 * left

    def start():
        rows.fill(0)
        receives = [comm.Irecv(rows[i], source=left, tag=i) for i in range(6)]
        refused(Status.BORROWED_WRITE, rows.fill, 1)
        return receives, [comm.Isend(out[i], dest=right, tag=i) for i in range(6)]

    def done(requests):
        assert not any(request.is_open for request in requests)
        assert (host(rows) == expected).all()
        rows.fill(0)

    receives, sends = start()
    assert mpi.Request.Waitall(receives + sends)
    done(receives + sends)

    receives, sends = start()
    plain = MPI.COMM_SELF.Ibarrier()  # one of mpi4py's own among them
    while not mpi.Request.Testall([*receives, plain, *sends]):
        assert any(request.is_open for request in receives + sends)
    done(receives + sends)

    receives, sends = start()
    left_over = list(range(6))
    while left_over:
        index = mpi.Request.Waitany([receives[i] for i in left_over])
        i = left_over.pop(index)
        assert not receives[i].is_open and (host(rows[i]) == expected[i]).all()
    mpi.Request.Waitall(sends)
    done(receives + sends)

    receives, sends = start()
    count = 0
    while count < 6:
        index, flag = mpi.Request.Testany(receives)
        if flag and index >= 0:
            assert not receives[index].is_open
            count += 1
    mpi.Request.Waitall(sends)
    done(receives + sends)

    for some in (mpi.Request.Waitsome, mpi.Request.Testsome):
        receives, sends = start()
        seen = set()
        while len(seen) < 6:
            found = some(receives) or []
            assert not any(receives[i].is_open for i in found)
            seen |= set(found)
        mpi.Request.Waitall(sends)
        done(receives + sends)


@check
def another_thread_waits(comm):
    right, left = ring(comm)
    if MPI.Query_thread() < MPI.THREAD_MULTIPLE:
        return
    y = tenure.zeros(1000)
    request = comm.Irecv(y, source=left)
    thread = threading.Thread(target=request.Wait)
    thread.start()
    refused(Status.BORROWED_WRITE, y.fill, 1)
    comm.Barrier()
    comm.Send(tenure.ones(1000), dest=right)
    thread.join()
    assert y.sum() == 1000


@check
def broadcasts(comm):
    for root in range(comm.size):
        x = numbered((3, 4), start=root) if comm.rank == root else tenure.zeros((3, 4))
        comm.Bcast(x, root=root)
        assert (host(x) == numpy.arange(12).reshape(3, 4) + root).all()
    x = tenure.zeros((4, 6), name="x")
    x[:, 1] = comm.rank
    request = comm.Ibcast(x[:, 1], 2)
    if comm.rank == 2:
        assert x[0, 1] == 2  # the root's elements are read
        refused(Status.BORROWED, x.fill, 0)
    else:
        refused(Status.BORROWED_WRITE, x.fill, 0)
    x[:, 2] = 1.0
    request.Wait()
    assert x[:, 1].tolist() == [2.0] * 4
    x.fill(0)
    r = tenure.full((1,), comm.rank + 5.0).broadcast_to(3)  # a root may be read-only
    comm.Bcast(r if comm.rank == 1 else x[0, :3], 1)
    assert comm.rank == 1 or x[0, :3].tolist() == [6.0] * 3


@check
def gathers_and_scatters(comm):
    n, rank = comm.size, comm.rank
    everything = numpy.arange(n * 6.0).reshape(n * 2, 3)
    mine = everything[2 * rank : 2 * rank + 2]
    x = tenure.array(mine)
    # contiguous
    whole = tenure.zeros((2 * n, 3)) if rank == 1 else None
    comm.Gather(x, whole, root=1)
    assert rank != 1 or (host(whole) == everything).all()
    # strided on both sides, and backwards
    table = tenure.zeros((4 * n, 6))
    comm.Gather(x[:, ::-1], table[::-2, ::2])
    if rank == 0:
        assert (host(table)[::-2, ::2] == everything[:, ::-1]).all()
        assert host(table)[::2].sum() == 0 and host(table)[:, 1::2].sum() == 0
    else:
        assert host(table).sum() == 0  # not looked at
    parts = tenure.zeros((2, 6))
    full = tenure.zeros((2 * n, 6))
    full[:, ::2] = everything
    comm.Scatter(full[:, ::2] if rank == 2 else None, parts[:, 1::2], root=2)
    assert (host(parts)[:, 1::2] == mine).all() and host(parts)[:, ::2].sum() == 0
    # on all
    target = tenure.zeros((2 * n, 6))
    comm.Allgather(x, target[:, ::2])
    assert (host(target)[:, ::2] == everything).all() and host(target)[:, 1::2].sum() == 0
    target.fill(0)
    request = comm.Iallgather(x, target[:, 1::2])
    refused(Status.BORROWED_WRITE, target.fill, 0)
    refused(Status.BORROWED, x.fill, 0)
    target[:, 0] = 1.0
    request.Wait()
    assert (host(target)[:, 1::2] == everything).all()
    # in place
    full.fill(0)
    full[2 * rank : 2 * rank + 2, ::2] = mine
    comm.Allgather(MPI.IN_PLACE, full[:, ::2])
    assert (host(full)[:, ::2] == everything).all()
    # to all
    a = tenure.zeros((n, 4))
    a[:, ::2] = numpy.arange(n)[:, None] + 10 * rank
    b = tenure.zeros((n, 4))
    comm.Alltoall(a[:, ::2], b[:, 1::2])
    assert (host(b)[:, 1::2] == (10 * numpy.arange(n) + rank)[:, None]).all() and host(b)[:, ::2].sum() == 0
    assert "share axis 0 equally" in refused(Status.SHAPE, comm.Allgather, x, tenure.zeros((n + 1, 4))[:, ::2])
    refused(Status.SHAPE, comm.Allgather, x, tenure.zeros(n + 1))


@check
def varying_counts(comm):
    n, rank = comm.size, comm.rank
    counts = [1 + r for r in range(n)]  # rows
    starts = numpy.concatenate([[0], numpy.cumsum(counts)[:-1]])
    rows = sum(counts)
    everything = numpy.arange(rows * 2.0).reshape(rows, 2)
    mine = everything[starts[rank] : starts[rank] + counts[rank]]
    elements = [2 * count for count in counts]
    x = tenure.array(mine)
    for strided in (False, True):
        table = tenure.zeros((rows, 4)) if strided else tenure.zeros((rows, 2))
        to = table[:, ::2] if strided else table
        comm.Allgatherv(x, [to, elements])
        assert (host(to) == everything).all(), strided
        to.fill(0)
        comm.Gatherv(x, [to, (elements, [int(2 * s) for s in starts])] if rank == 3 else None, root=3)
        assert rank != 3 or (host(to) == everything).all()
        part = tenure.zeros((counts[rank], 2))
        to.copy_from(tenure.array(everything))
        comm.Scatterv([to, elements, None, MPI.DOUBLE] if rank == 0 else None, part)
        assert (host(part) == mine).all()
        request = comm.Iscatterv([to, numpy.array(elements)] if rank == 0 else None, part, root=0)
        refused(Status.BORROWED_WRITE, part.fill, 0)
        request.Wait()
    to = tenure.zeros((4 * n, 6))[:, ::3]
    comm.Allgatherv(tenure.full((4, 2), 1.0 * rank), to)  # as equally as possible
    assert (host(to) == numpy.arange(n).repeat(4)[:, None]).all()
    refused(Status.LAYOUT, comm.Allgatherv, x, [to, [1] * n])
    refused(Status.COUNT, comm.Allgatherv, x, [to, [2] * (n + 1)])
    refused(Status.RANGE, comm.Allgatherv, x, [to, [20000] * n])


@check
def all_to_all_with_varying_counts(comm):
    n, rank = comm.size, comm.rank
    # Rank i sends j + 1 rows to rank j.
    a = tenure.zeros((n * (n + 1) // 2, 6))
    a[:, ::3] = 100 * rank + numpy.repeat(numpy.arange(n), numpy.arange(1, n + 1))[:, None]
    b = tenure.zeros((n * (rank + 1), 4))
    comm.Alltoallv([a[:, ::3], [2 * (j + 1) for j in range(n)]], [b[:, 1::2], [2 * (rank + 1)] * n])
    wanted = numpy.repeat(100 * numpy.arange(n) + rank, rank + 1)
    assert (host(b)[:, 1::2] == wanted[:, None]).all() and host(b)[:, ::2].sum() == 0


@check
def reductions(comm):
    n, rank = comm.size, comm.rank
    for dtype in TYPES:
        if dtype in ("bool", "bfloat16"):
            continue
        x, y = tenure.ones((2, 3), dtype), tenure.zeros((2, 3), dtype)
        x.fill(rank + 1)
        comm.Allreduce(x, y)
        assert (host(y) == n * (n + 1) // 2).all(), dtype
    flags, result = tenure.zeros(3, "bool"), tenure.zeros(3, "bool")
    flags[rank % 3] = True
    comm.Allreduce(flags, result, op=MPI.LOR)
    assert result.tolist() == [True] * 3
    x = tenure.full((2, 3), rank + 1.0)
    y = tenure.zeros((2, 3)) if rank == 2 else None
    comm.Reduce(x, y, op=MPI.MAX, root=2)
    assert rank != 2 or (host(y) == n).all()
    comm.Reduce(MPI.IN_PLACE if rank == 0 else x, x if rank == 0 else None)
    assert x[0, 0] == (n * (n + 1) / 2 if rank == 0 else rank + 1)
    x.fill(rank)
    request = comm.Iallreduce(MPI.IN_PLACE, x[0])
    refused(Status.BORROWED_WRITE, x.fill, 0)
    x[1] = 3.0
    request.Wait()
    assert x[0].tolist() == [n * (n - 1) / 2] * 3
    each = tenure.zeros(2)
    comm.Reduce_scatter_block(tenure.ones(2 * n), each)
    assert each.tolist() == [n, n]
    comm.Reduce_scatter(tenure.ones(2 * n), each, [2] * n)
    assert each.tolist() == [n, n]
    comm.Scan(tenure.ones(2), each)
    assert each.tolist() == [rank + 1] * 2
    # MPI's own operations take no derived datatypes.
    f = tenure.zeros((2, 3)).T
    assert "pass x.T" in refused(Status.LAYOUT, comm.Allreduce, f, tenure.zeros((3, 2)))
    assert "x.copy()" in refused(Status.LAYOUT, comm.Allreduce, x[:, ::2], tenure.zeros((2, 2)))
    b = tenure.zeros(4, "bfloat16", name="b")
    text = refused(Status.DTYPE, comm.Allreduce, b, tenure.zeros(4, "bfloat16"))
    assert "bfloat16" in text and '"b"' in text, text


@check
def types_that_differ_are_named(comm):
    x, y = tenure.zeros(4, "float64", name="x"), tenure.zeros(4, "float32", name="y")
    text = refused(Status.DTYPE, comm.Allreduce, x, y)
    assert '"x"' in text and "float64" in text and '"y"' in text and "float32" in text, text
    text = refused(Status.DTYPE, comm.Send, [x, MPI.FLOAT], dest=0)
    assert "float64" in text and "MPI_DOUBLE" in text and "MPI_FLOAT" in text, text
    refused(Status.DTYPE, comm.Allgather, x, tenure.zeros(4 * comm.size, "int64"))
    refused(Status.INVALID, comm.Send, [x, 2], dest=0)
    right, left = ring(comm)
    comm.Sendrecv([x, MPI.DOUBLE], right, recvbuf=[tenure.zeros(4), "d"], source=left)
    comm.Sendrecv([x.view("int64"), MPI.LONG], right, recvbuf=[tenure.zeros(4, "int64"), MPI.INT64_T], source=left)


@check
def a_refused_call_leaves_no_borrow(comm):
    x = tenure.zeros((4, 6), name="x")
    refused(Status.DTYPE, comm.Allreduce, x, tenure.zeros((4, 6), "float32"))
    refused(Status.SHAPE, comm.Allgather, tenure.zeros(2), x[:3, ::2])
    refused(Status.LAYOUT, comm.Allreduce, tenure.zeros((4, 3)), x[:, ::2])
    try:
        comm.Isend(x, dest=comm.size + 5)
        raise AssertionError("sent to a rank that does not exist")
    except MPI.Exception:
        pass
    try:
        comm.Isend(x)
        raise AssertionError("sent to nobody")
    except TypeError:
        pass
    x.fill(1)
    with x.write():
        refused(Status.BORROWED_WRITE, comm.Isend, x, dest=0)
        refused(Status.BORROWED_WRITE, comm.Send_init, x, dest=0)
    x.fill(2)
    gone = tenure.zeros(3)
    gone.release()
    refused(Status.STALE, comm.Send, gone, dest=0)


@check
def a_receive_that_fails_poisons(comm):
    right, left = ring(comm)
    y = tenure.zeros(4, name="y")
    request = comm.Isend(tenure.ones(100), dest=right)
    try:
        comm.Recv(y, source=left)
        raise AssertionError("a message that is too long was received")
    except MPI.Exception as error:
        assert error.Get_error_class() == MPI.ERR_TRUNCATE
    request.Wait()
    refused(Status.POISONED, y.sum)
    y.fill(0)
    later = comm.Irecv(y, source=left)
    request = comm.Isend(tenure.ones(100), dest=right)
    try:
        later.Wait()
        raise AssertionError("a message that is too long was received")
    except MPI.Exception:
        pass
    request.Wait()
    assert not later.is_open
    refused(Status.POISONED, y.sum)
    y.heal()


@check
def a_call_that_mpi_refuses_changes_nothing(comm):
    y = tenure.ones(4)
    for call in (comm.Recv, comm.Irecv, comm.Recv_init):
        try:
            call(y, source=comm.size + 5)
            raise AssertionError("received from a rank that does not exist")
        except MPI.Exception:
            pass
    assert y.tolist() == [1.0] * 4


def two_receives(comm, how, right, left):
    """Two receives, whose first gets a message that is too long; and both arrays."""
    bad, good = tenure.zeros(2, name="bad"), tenure.zeros(2, name="good")
    if "persistent" in how:
        receives = [comm.Recv_init(bad, source=left, tag=1), comm.Recv_init(good, source=left, tag=2)]
        mpi.Prequest.Startall(receives)
    else:
        receives = [comm.Irecv(bad, source=left, tag=1), comm.Irecv(good, source=left, tag=2)]
    comm.Barrier()
    return receives, [comm.Isend(tenure.ones(50), dest=right, tag=1), comm.Isend(tenure.ones(2), dest=right, tag=2)], bad, good


@check
def of_several_the_one_that_failed_is_poisoned(comm):
    right, left = ring(comm)
    statuses = [MPI.Status(), MPI.Status()]
    calls = {
        "Waitall": mpi.Request.Waitall,
        "Waitall with statuses": lambda requests: mpi.Request.Waitall(requests, statuses),
        "Testall": mpi.Request.Testall,
        "persistent": mpi.Request.Waitall,
        "persistent, Wait": lambda requests: requests[0].Wait(),
        "persistent, Test": lambda requests: requests[0].Test(),
        "Test": lambda requests: requests[0].Test(),
        "Waitany": mpi.Request.Waitany,
        "Testany": mpi.Request.Testany,
        "Waitsome": mpi.Request.Waitsome,
        "Testsome": mpi.Request.Testsome,
    }
    for how, call in calls.items():
        receives, sends, bad, good = two_receives(comm, how, right, left)
        failed = False
        deadline = time.monotonic() + 60
        while receives[0].is_open:
            assert time.monotonic() < deadline, how
            try:
                call(receives)
            except MPI.Exception:
                failed = True
        assert failed, how
        refused(Status.POISONED, bad.sum)
        if receives[1].is_open:
            receives[1].Wait()
        if not how.endswith(("any", "some")):
            assert good.tolist() == [1.0, 1.0], how
        mpi.Request.Waitall(sends)
        bad.heal()
        if "persistent" in how:
            for request in receives:
                request.Free()


@check
def any_iterable_of_requests_ends_its_borrows(comm):
    right, left = ring(comm)
    for call in (mpi.Request.Waitall, mpi.Request.Waitany, mpi.Request.Waitsome, mpi.Request.Testall, mpi.Request.Testany, mpi.Request.Testsome):
        y = tenure.zeros(3)
        receive = comm.Irecv(y, source=left)
        comm.Send(tenure.ones(3), dest=right)
        while receive.is_open:
            call(request for request in (receive,))
        assert y.tolist() == [1.0] * 3


@check
def an_interrupt_ends_no_borrow_that_mpi_needs(comm):
    right, left = ring(comm)
    made = []

    class Interrupted:
        """A communicator that an interrupt meets behind MPI."""

        rank, size = comm.rank, comm.size

        def Isend(self, *args, **kwargs):
            made.append(comm.comm.Issend(*args, **kwargs))
            raise KeyboardInterrupt

    x, y = tenure.full(3, 1.0 * comm.rank), tenure.zeros(3)
    try:
        mpi.Comm(Interrupted()).Isend(buf=x, dest=right)
        raise AssertionError("no interrupt")
    except KeyboardInterrupt:
        pass
    gc.collect()
    refused(Status.BORROWED, x.fill, 0)
    comm.Barrier()
    comm.Recv(y, source=left)
    assert y.tolist() == [left] * 3
    made.pop().Wait()
    (lost,) = _mpi_request._lost
    _mpi_request.end(lost)
    _mpi_request._lost.clear()


@check
def an_array_that_is_released_keeps_its_bytes(comm):
    right, left = ring(comm)
    pool = tenure.Pool(name="flight")
    y = tenure.zeros(1000, pool=pool)
    request = comm.Irecv(y, source=left)
    y.release()
    assert pool.stats().in_use_bytes >= 8000
    other = tenure.full(1000, 5.0, pool=pool)
    comm.Barrier()
    comm.Send(tenure.ones(1000), dest=right)
    request.Wait()
    assert pool.stats().in_use_bytes < 16000 and other.sum() == 5000


# More elements than C's int can count, with a smaller limit in its place.
@check
def long_rows_are_made_of_parts(comm):
    right, left = ring(comm)
    kept = _mpi_message._MAX_COUNT, _mpi_message._PART
    _mpi_message._strided.cache_clear()
    _mpi_message._MAX_COUNT, _mpi_message._PART = 5, 4
    try:
        for n in (5, 6, 8, 23):
            x = numbered((n, 3), "int32", comm.rank)
            for key in (slice(None), (slice(None), 1), (slice(None, None, -1), 2), (slice(None), slice(None, None, 2))):
                y = tenure.zeros((n, 3), "int32")
                comm.Sendrecv(x[key], right, recvbuf=y[key], source=left)
                expected = numpy.zeros((n, 3), "int32")
                expected[key] = (numpy.arange(3 * n).reshape(n, 3) + left)[key]
                assert (host(y) == expected).all(), (n, key)
        everything = tenure.zeros((comm.size, 7), "int8")
        comm.Allgather(tenure.full(7, comm.rank, "int8"), everything)
        assert (host(everything) == numpy.arange(comm.size)[:, None]).all()
        if MPI.VERSION < 4:
            assert "counts to" in refused(Status.LIMIT, comm.Allreduce, tenure.zeros(6), tenure.zeros(6))
            refused(Status.LIMIT, comm.Allgatherv, tenure.zeros(6), [tenure.zeros(24), [6] * 4])
    finally:
        _mpi_message._MAX_COUNT, _mpi_message._PART = kept
        _mpi_message._strided.cache_clear()


@check
def persistent_requests_of_mpi4py_start_with_ours(comm):
    right, left = ring(comm)
    n, x = numpy.zeros(2), tenure.full(2, 1.0 * comm.rank)
    send, receive = comm.Send_init(x, dest=right), comm.comm.Recv_init(n, source=left)
    mpi.Prequest.Startall(request for request in (receive, send))
    refused(Status.BORROWED, x.fill, 0)
    mpi.Request.Waitall([receive, send])
    assert n.tolist() == [left] * 2
    send.Free()
    receive.Free()


@check
def a_receive_may_be_cancelled(comm):
    y = tenure.ones(4)
    request = comm.Irecv(y, source=comm.rank, tag=77)
    request.Cancel()
    status = MPI.Status()
    request.Wait(status)
    assert status.Is_cancelled() and y.tolist() == [1.0] * 4
    y.fill(0)


@check
def persistent_requests_borrow_while_active(comm):
    right, left = ring(comm)
    x, y = tenure.zeros((3, 4), name="x"), tenure.zeros((3, 4), name="y")
    send, receive = comm.Send_init(x[:, 1], dest=right), comm.Recv_init(y[:, 2], source=left)
    for turn in range(3):
        x.fill(10 * turn + comm.rank)  # inactive: nothing is borrowed
        y.fill(0)
        mpi.Prequest.Startall([receive, send])
        refused(Status.BORROWED_WRITE, y.fill, 0)
        y[:, 0] = 1.0
        refused(Status.BORROWED, receive.Start)
        mpi.Request.Waitall([receive, send])
        assert y[:, 2].tolist() == [10 * turn + left] * 3 and not send.is_open
    # Where one borrow is refused, none starts.
    with x.write():
        refused(Status.BORROWED_WRITE, mpi.Prequest.Startall, [receive, send])
        assert not receive.is_open
    y.fill(0)
    with y.read():
        refused(Status.BORROWED, receive.Start)
    # One at a time, tested.
    receive.Start()
    assert not receive.Test()
    comm.Barrier()
    send.Start()
    while not receive.Test():
        pass
    send.Wait()
    y.fill(0)
    # An array that has moved to a copy has another address.
    other = x.clone()
    x.fill(1, mode="cow")
    moved = comm.Send_init(other, dest=right)
    moved.Free()
    views = comm.Send_init(y, dest=right)
    keeper = y.clone()
    y.fill(1, mode="cow")
    assert "moved" in refused(Status.STALE, views.Start) and '"y"' in refused(Status.STALE, views.Start)
    y.fill(2)
    del keeper, other
    for request in (send, receive, views):
        request.Free()


@check
def persistent_collectives(comm):
    x = tenure.zeros(4)
    try:
        request = comm.Bcast_init(x, 0)
    except NotImplementedError:
        return
    for turn in range(2):
        x.fill(turn if comm.rank == 0 else -1)
        request.Start()
        refused(Status.BORROWED if comm.rank == 0 else Status.BORROWED_WRITE, x.fill, 0)
        request.Wait()
        assert x.tolist() == [turn] * 4
    request.Free()


@check
def a_window_is_borrowed_between_fences(comm):
    right, left = ring(comm)
    x = tenure.zeros((4, 3), name="x")
    info = MPI.Info.Create({"no_locks": "true"})
    win = mpi.Win.Create(x, disp_unit=8, info=info, comm=comm)
    x.fill(comm.rank)  # no epoch
    mine = numbered((3, 4))
    column = mine[:, 1]
    win.Fence(MPI.MODE_NOPRECEDE)
    text = refused(Status.BORROWED_WRITE, x.fill, 0)
    assert '"x"' in text
    win.Put(column, right, 3)  # strided here, in a row there
    refused(Status.BORROWED, mine.fill, 0)
    mine[:, 0] = 5.0
    win.Fence()  # ends one epoch and begins another
    mine.fill(0)
    refused(Status.BORROWED_WRITE, x.read().__enter__)
    got = tenure.zeros((3, 2))
    win.Get(got[:, 1], left, 3)
    refused(Status.BORROWED_WRITE, got.fill, 0)
    win.Fence(MPI.MODE_NOSUCCEED)
    assert host(x)[1].tolist() == [1.0, 5.0, 9.0] and host(x)[0].tolist() == [comm.rank] * 3
    assert got[:, 1].tolist() == [1.0, 5.0, 9.0]
    x.fill(1)
    # An epoch does not begin on memory that is in use here. All ranks are refused, so none waits.
    with x.read():
        refused(Status.BORROWED, win.Fence, MPI.MODE_NOPRECEDE)
    win.Fence(MPI.MODE_NOPRECEDE)
    win.Accumulate(tenure.ones(12), right)
    win.Fence(MPI.MODE_NOSUCCEED)
    assert (host(x) == 2).all()
    win.Free()
    info.Free()
    x.fill(0)


@check
def a_window_is_borrowed_from_post_to_wait(comm):
    right, left = ring(comm)
    x, y = tenure.zeros(4, name="x"), tenure.full(4, comm.rank + 1.0)
    info = MPI.Info.Create({"no_locks": "true"})
    win = mpi.Win.Create(x, disp_unit=8, info=info, comm=comm)
    group = comm.Get_group()
    for finish in ("Wait", "Test"):
        x.fill(0)
        win.Post(group.Incl([left]))
        refused(Status.BORROWED_WRITE, x.fill, 0)
        win.Start(group.Incl([right]))
        win.Put(y, right)
        refused(Status.BORROWED, y.fill, 0)
        win.Complete()
        y.fill(comm.rank + 1.0)
        if finish == "Wait":
            win.Wait()
        else:
            while not win.Test():
                refused(Status.BORROWED_WRITE, x.fill, 0)
        assert x.tolist() == [left + 1.0] * 4
        comm.Barrier()
    win.Free()
    info.Free()


@check
def a_window_with_locks_is_borrowed_until_it_is_freed(comm):
    right, left = ring(comm)
    x, y = tenure.zeros(4, name="x"), tenure.full(4, comm.rank + 1.0)
    win = mpi.Win.Create(x, disp_unit=8, comm=comm)
    refused(Status.BORROWED_WRITE, x.fill, 0)
    win.Lock(right)
    win.Put(y, right)
    refused(Status.BORROWED, y.fill, 0)
    win.Flush_local(right)
    y.fill(comm.rank + 1.0)
    win.Unlock(right)
    comm.Barrier()
    win.Lock(comm.rank)  # exclusive, of the own memory
    assert x.tolist() == [left + 1.0] * 4
    x.fill(9)
    with x.read():
        refused(Status.BORROWED, win.Unlock, comm.rank)
    win.Unlock(comm.rank)
    refused(Status.BORROWED_WRITE, x.fill, 0)
    comm.Barrier()
    win.Lock(comm.rank, MPI.LOCK_SHARED)  # others may write
    refused(Status.BORROWED_WRITE, x.fill, 0)
    win.Unlock(comm.rank)
    win.Lock_all()
    got = tenure.zeros(4)
    request = win.Rget(got, left)
    refused(Status.BORROWED_WRITE, got.fill, 0)
    request.Wait()
    assert got.tolist() == [9.0] * 4
    comm.Barrier()
    one, old = tenure.ones(1), tenure.zeros(1)
    win.Fetch_and_op(one, old, right, 0)
    win.Flush(right)
    assert old.item() == 9.0
    win.Unlock_all()
    one.fill(0)
    comm.Barrier()
    win.Free()
    assert x[0] == 10.0
    x.fill(0)
    refused(Status.LAYOUT, mpi.Win.Create, tenure.zeros((4, 4))[:, ::2], comm=comm)


@check
def a_window_that_is_dropped_stays(comm):
    right, left = ring(comm)
    x = tenure.zeros(4, name="dropped")
    win = mpi.Win.Create(x, disp_unit=8, comm=comm)
    handle = win.win
    del win
    gc.collect()
    refused(Status.BORROWED_WRITE, x.fill, 1)
    handle.Lock(right)
    handle.Put(numpy.ones(4), right)
    handle.Unlock(right)
    comm.Barrier()
    (win,) = _mpi_window._open
    win.Free()
    assert x.tolist() == [1.0] * 4 and not _mpi_window._open
    # A window without memory, for what this rank puts and gets.
    win = mpi.Win.Create(None, comm=comm)
    win.Lock(right)
    win.Put(x[:0], right)
    del win
    gc.collect()
    (win,) = _mpi_window._open
    win.Unlock(right)
    win.Free()
    assert not _mpi_window._open


@check
def the_bytes_of_a_window_stay(comm):
    right, _ = ring(comm)
    info = MPI.Info.Create({"no_locks": "true"})
    pool = tenure.Pool(name="window")
    for how in ("moved", "released", "deleted"):
        x = tenure.zeros(1000, name="x", pool=pool)
        win = mpi.Win.Create(x, disp_unit=8, info=info, comm=comm)
        if how == "moved":
            other = x.clone()
            x.fill(1, mode="cow")
            del other
            assert '"x" has moved' in refused(Status.STALE, win.Fence)
        elif how == "released":
            x.release()
            refused(Status.STALE, win.Fence)
        del x
        gc.collect()
        assert pool.stats().in_use_bytes >= 8000, how
        # MPI itself can still write them.
        win.win.Fence()
        win.win.Put(numpy.ones(1000), right)
        win.win.Fence()
        win.Free()
        del win
        gc.collect()
        assert pool.stats().in_use_bytes == 0, how
    info.Free()


@check
def the_target_of_a_strided_array_is_a_row(comm):
    right, left = ring(comm)
    x, mine = tenure.zeros((3, 3)), numbered((3, 4))
    info = MPI.Info.Create({"no_locks": "true"})
    win = mpi.Win.Create(x, disp_unit=8, info=info, comm=comm)
    for target in (3, numpy.int64(3), [3], (3, 3), (3, 3, MPI.DOUBLE)):
        win.Fence()
        win.Put(mine[:, 1], right, target)
        win.Fence(MPI.MODE_NOSUCCEED)
        assert x.tolist() == [[0.0] * 3, [1.0, 5.0, 9.0], [0.0] * 3], target
        x.fill(0)
    win.Fence()
    win.Put(origin=mine[:, 1], target_rank=right)
    win.Fence(MPI.MODE_NOSUCCEED)
    assert x[0].tolist() == [1.0, 5.0, 9.0] and x[1:].sum() == 0
    win.Free()
    info.Free()


@check
def communicators_that_are_made_borrow_too(comm):
    half = comm.Split(comm.rank % 2, comm.rank)
    assert isinstance(half, mpi.Comm) and half.size == comm.size // 2
    x = tenure.full(3, 1.0 * comm.rank)
    half.Bcast(x, 0)
    assert x[0] == comm.rank % 2
    half.Free()
    other, request = comm.Idup()
    request.Wait()
    assert isinstance(other, mpi.Comm)
    other.Free()
    cart = comm.Create_cart([comm.size], periods=[True])
    right, left = ring(comm)
    a, b = tenure.zeros((2, 4)), tenure.zeros((2, 6))
    a[0, ::2], a[1, ::2] = 10 + comm.rank, 20 + comm.rank
    request = cart.Ineighbor_alltoall(a[:, ::2], b[:, 1:5:2])
    refused(Status.BORROWED_WRITE, b.fill, 0)
    request.Wait()
    assert b[:, 1].tolist() == [20 + left, 10 + right], b.tolist()
    gathered = tenure.zeros((2, 3))
    cart.Neighbor_allgather(tenure.full(3, 1.0 * comm.rank), gathered)
    assert gathered[:, 0].tolist() == [left, right]
    cart.Free()
    assert "Alltoallw" in refused(Status.UNSUPPORTED, comm.Alltoallw, [x], [x])
    assert mpi.wrap(comm) is comm and comm == comm.comm


@check
def buffers_of_others_and_objects_pass(comm):
    right, left = ring(comm)
    y = tenure.zeros(3)
    comm.Sendrecv(numpy.full(3, comm.rank * 1.0), right, recvbuf=y, source=left)
    assert y.tolist() == [left] * 3
    n = numpy.zeros(3)
    comm.Sendrecv(y, right, recvbuf=n, source=left)
    request = comm.Isend(numpy.ones(2), dest=right)
    comm.Recv(numpy.zeros(2), source=left)
    request.Wait()
    assert comm.bcast({"a": 1} if comm.rank == 0 else None) == {"a": 1}
    assert comm.allgather(comm.rank) == list(range(comm.size))
    # An array as an object: a copy of its bytes.
    z = comm.bcast(tenure.full(3, 4.0) if comm.rank == 0 else None)
    assert z.tolist() == [4.0] * 3


@check
def mpi4py_alone_sees_arrays_as_shared_buffers(comm):
    """What docs/scaling.md says about calls without `wrap`."""
    right, left = ring(comm)
    x, y = tenure.zeros(4, name="x"), tenure.zeros(4)
    request = comm.comm.Issend(x, dest=right)
    x.fill(1)  # a race that nobody notices
    comm.comm.Recv(y, source=left)
    request.Wait()
    request = comm.comm.Issend(x.readonly, dest=right)
    refused(Status.EXPORTED, x.fill, 2)
    comm.comm.Recv(y, source=left)
    request.Wait()
    x.fill(2)
    request = comm.comm.Irecv(y.exclusive, source=left)
    refused(Status.EXPORTED, y.fill, 2)
    comm.comm.Send(x, dest=right)
    request.Wait()
    y.fill(0)
    try:
        comm.comm.Send(x[::2], dest=right)
        raise AssertionError("mpi4py took a strided buffer")
    except BufferError:
        pass


def held():
    gc.collect()
    return collections.Counter((h.kind.name, h.name) for h in tenure.leaks())


def main():
    world = MPI.COMM_WORLD
    wanted = sys.argv[1:]
    before = held()
    if world.rank == 0:
        print(f"library {MPI.Get_library_version().splitlines()[0]}", flush=True)
    for function in CHECKS:
        if wanted and function.__name__ not in wanted:
            continue
        comm = mpi.wrap(world.Dup())
        problem = None
        try:
            function(comm)
            left = held() - before
            assert not left, f"not given back: {dict(left)}"
            copies = [site for site in tenure.copies() if site.function != "tn_array_fill"]  # copies on write that a check makes
            assert not copies, copies
        except BaseException:
            problem = f"rank {world.rank}: {traceback.format_exc()}"
        if problem:
            print(f"error {function.__name__} {problem}", flush=True)
            time.sleep(1)  # the other ranks may print theirs
            world.Abort(1)
        world.Barrier()
        if world.rank == 0:
            print("ok", function.__name__, flush=True)
    if world.rank == 0:
        print("end", flush=True)


main()
