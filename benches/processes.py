"""Arrays handed over to another process, beside multiprocessing's shared memory, Arrow's IPC file in memory, and a pipe (IP-27);
and a loop that makes, fills and releases frames in a shareable pool, also with an export of each, beside a plain pool (IP-7).

    processes.py     a line "case <tab> minimum <tab> median" per case, in us for a hand-over

A hand-over begins with an array that is there and filled, and ends when the other process has told the sum of its first and last element. The
memory to share is made beforehand where the method allows that; a pipe copies the elements. The methods take turns. "library" is the export and
the import alone, without the transport. "frame" is one round of the loop. `cargo xtask bench processes` runs it.
"""

import multiprocessing
import multiprocessing.reduction
import multiprocessing.shared_memory
import os
import statistics
import time

import numpy
import tenure

try:
    import pyarrow
except ImportError:  # the peers' environment has it: cargo xtask test --peers
    pyarrow = None

SIZES = {"4 KiB": 4 << 10, "1 MiB": 1 << 20, "1 GiB": 1 << 30}
ROUNDS = 15


def look(array):
    return float(array[0]) + float(array[-1])


def receive(pipe):
    """The other process."""
    while True:
        kind, what = pipe.recv()
        if kind == "end":
            return
        if kind == "library":
            fd = multiprocessing.reduction.recv_handle(pipe)
            begin = time.perf_counter()
            array = tenure._tenure._import_ipc(what, fd, "read")
            took = time.perf_counter() - begin
            assert look(numpy.asarray(array)) == 4
            del array
            os.close(fd)
            pipe.send(took)
            continue
        if kind == "tenure":
            answer = look(numpy.asarray(what))
        elif kind == "shared_memory":
            memory = multiprocessing.shared_memory.SharedMemory(name=what[0])
            view = numpy.frombuffer(memory.buf, numpy.float64, what[1])
            answer = look(view)
            del view
            memory.close()
        elif kind == "arrow":
            with pyarrow.memory_map(what) as source:
                answer = look(pyarrow.ipc.open_file(source).get_batch(0).column(0).to_numpy())
        else:
            answer = look(what)
        del what
        pipe.send(answer)


def methods(bytes_):
    """Functions that return what is sent, by name; and what ends the memory."""
    n = bytes_ // 8
    x = tenure.shared_empty(n)
    x.fill(2.0)
    memory = multiprocessing.shared_memory.SharedMemory(create=True, size=bytes_)
    numpy.frombuffer(memory.buf, numpy.float64, n)[:] = 2
    made = {"tenure": lambda: x, "shared_memory": lambda: (memory.name, n)}
    ends = [memory.close, memory.unlink]
    if pyarrow is not None:
        path = f"/dev/shm/tenure-bench-{os.getpid()}"
        table = pyarrow.record_batch([pyarrow.array(numpy.full(n, 2.0))], names=["x"])
        with pyarrow.ipc.new_file(path, table.schema) as writer:
            writer.write(table)
        del table
        made["arrow"] = lambda: path
        ends.append(lambda: os.unlink(path))
    numbers = numpy.full(n, 2.0)
    made["pipe"] = lambda: numbers
    return made, ends


FRAME = 10 << 20
FRAMES = 20


def frames(pool, exports):
    """Seconds for each of some frames, which are made, filled and released; and exported, if so, and let go."""
    begin = time.perf_counter()
    for _ in range(FRAMES):
        x = tenure.empty(FRAME // 8, pool=pool)
        x.fill(1.0)
        if exports:
            os.close(tenure._tenure._export_ipc(x, False, False)[1])
        x.release()
    return (time.perf_counter() - begin) / FRAMES


def measure_frames():
    shareable = tenure.PoolFlags.SHAREABLE
    pools = {
        "plain": (tenure.Pool(), False),
        "shareable": (tenure.Pool(flags=shareable), False),
        "exported": (tenure.Pool(flags=shareable | tenure.PoolFlags.READONLY_EXPORTS), True),
    }
    times = {name: [] for name in pools}
    for _ in range(ROUNDS + 1):  # the first one faults the pages in
        for name, (pool, exports) in pools.items():
            times[name].append(frames(pool, exports) * 1e6)
    for name, all_times in times.items():
        print(f"frame {name}\t{min(all_times[1:]):.1f}\t{statistics.median(all_times[1:]):.1f}")


def main():
    measure_frames()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=receive, args=(there,))
    other.start()
    for size, bytes_ in SIZES.items():
        made, ends = methods(bytes_)
        times = {name: [] for name in made}
        for _ in range(ROUNDS if bytes_ < 1 << 30 else 3):
            for name, what in made.items():
                begin = time.perf_counter()
                here.send((name, what()))
                assert here.recv() == 4
                times[name].append((time.perf_counter() - begin) * 1e6)
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            descriptor, fd = tenure._tenure._export_ipc(made["tenure"](), False, False)
            took = time.perf_counter() - begin
            here.send(("library", descriptor))
            multiprocessing.reduction.send_handle(here, fd, other.pid)
            os.close(fd)
            times.setdefault("library", []).append((took + here.recv()) * 1e6)
        for name, all_times in times.items():
            print(f"{size} {name}\t{min(all_times):.1f}\t{statistics.median(all_times):.1f}")
        del made
        for end in ends:
            end()
    here.send(("end", None))
    other.join()


if __name__ == "__main__":
    main()
