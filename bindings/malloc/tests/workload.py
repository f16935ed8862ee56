"""A Python workload whose results do not depend on the allocator. Prints a line per part, which must equal those of a run without the
preload. The argument is the amount: 1 takes a few seconds."""

import collections
import gc
import hashlib
import json
import multiprocessing
import pickle
import random
import re
import sqlite3
import subprocess
import sys
import threading
import zlib

SCALE = int(sys.argv[1]) if len(sys.argv) > 1 else 1


def digest(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def documents(count, seed):
    choose = random.Random(seed)
    return [
        {
            "id": i,
            "name": "".join(choose.choices("abcdefgh ", k=choose.randrange(60))),
            "values": [choose.random() for _ in range(choose.randrange(20))],
            "more": {str(k): [k] * choose.randrange(5) for k in range(choose.randrange(8))},
        }
        for i in range(count)
    ]


def texts():
    made = documents(4000 * SCALE, 1)
    again = json.loads(json.dumps(made))
    assert again == made and pickle.loads(pickle.dumps(made, 5)) == made
    packed = zlib.compress(json.dumps(made).encode(), 6)
    assert json.loads(zlib.decompress(packed)) == made
    words = collections.Counter(re.findall(r"[a-h]{2,}", json.dumps(made)))
    return len(packed), words.most_common(5)


def cycles():
    class Node:
        pass

    kept = []
    for i in range(60000 * SCALE):
        a, b = Node(), Node()
        a.other, b.other, a.data = b, a, [i] * (i % 40)
        if i % 100 == 0:
            kept.append(a)
    gc.collect()
    return sum(len(a.data) for a in kept)


def growth():
    # Containers that grow by realloc: lists, bytearrays, dicts that are emptied again.
    text, numbers, table = bytearray(), [], {}
    for i in range(300000 * SCALE):
        text += b"%d," % i
        numbers.append(i)
        table[i % 5003] = text[-3:]
        if i % 50000 == 0:
            del text[: len(text) // 2]
            table.clear()
    return digest(bytes(text[-100:])), len(numbers), len(table)


def threads():
    # Objects made by one thread and dropped by another.
    import queue

    ways = [queue.Queue(50) for _ in range(4)]
    sums = [0] * 4

    def work(k):
        for i in range(3000 * SCALE):
            ways[(k + 1) % 4].put([k, "x" * (i % 700), bytes(i % 5000)])
            sums[k] += len(ways[k].get()[1])

    started = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    for _ in range(300 * SCALE):
        thread = threading.Thread(target=lambda: sums.append(len(bytes(10000))))
        thread.start()
        thread.join()
        sums.pop()
    return sums


def part(seed):
    return digest(documents(500, seed))


def processes():
    # Forks of a process with threads, and child programs.
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            [bytes(n) for n in range(0, 3000, 7)]

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            parts = pool.map(part, range(8 * SCALE))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.map(part, [0]) == parts[:1]
    finally:
        stop.set()
        thread.join()
    assert subprocess.run([sys.executable, "-c", "print('x' * 100000)"], capture_output=True).stdout.count(b"x") == 100000
    return digest(parts)


def database():
    base = sqlite3.connect(":memory:")
    base.execute("create table t (id integer primary key, name text, value real)")
    base.executemany("insert into t values (?, ?, ?)", ((i, f"name {i * 7919 % 5000}", i / 7) for i in range(30000 * SCALE)))
    base.execute("create index by_name on t (name, value)")
    rows = base.execute("select name, count(*), sum(value) from t group by name order by 3 desc limit 20").fetchall()
    base.execute("delete from t where id % 3 = 0")
    base.commit()
    base.execute("vacuum")
    return digest(rows), base.execute("select count(*) from t").fetchone()


if __name__ == "__main__":
    for work in (texts, cycles, growth, threads, processes, database):
        print(work.__name__, work())
