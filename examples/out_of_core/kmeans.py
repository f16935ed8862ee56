"""Finds clusters in data that are four times as large as the memory that they may take.

The points lie in chunks of one pool with a limit. A pass over the chunks brings each back from a file when its turn comes, and spills
others. NumPy computes on the chunk's own bytes, so a chunk is never copied. The result is that of the same program without a limit.
"""

import tempfile

import numpy as np

import tenure

CHUNKS, POINTS, FEATURES, CLUSTERS, PASSES = 32, 1 << 15, 8, 5, 6
CHUNK_BYTES = POINTS * FEATURES * 8


def points_of(pool):
    """Chunks of points around a few centers, the same for each pool."""
    random = np.random.default_rng(7)
    around = random.normal(scale=20, size=(CLUSTERS, FEATURES))
    chunks = []
    for number in range(CHUNKS):
        chunk = tenure.empty((POINTS, FEATURES), pool=pool, name=f"chunk {number}")
        with chunk.write() as points:
            points[:] = random.normal(size=points.shape)
            points += around[random.integers(CLUSTERS, size=POINTS)]
        chunks.append(chunk)
    return chunks


def k_means(chunks):
    """Lloyd's algorithm. Returns the centers."""
    with chunks[0].read() as points:
        centers = points[:: POINTS // CLUSTERS][:CLUSTERS].copy()
    for _ in range(PASSES):
        sums, counts = np.zeros_like(centers), np.zeros(CLUSTERS)
        for chunk in chunks:
            with chunk.read() as points:
                nearest = ((points[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
                for cluster in range(CLUSTERS):
                    own = points[nearest == cluster]
                    sums[cluster] += own.sum(axis=0)
                    counts[cluster] += len(own)
        centers = sums / np.maximum(counts, 1)[:, None]
    return centers


limit = CHUNKS * CHUNK_BYTES // 4
with tempfile.TemporaryDirectory() as folder:
    small = tenure.Pool(name="points", max_size=limit, spill=folder)
    chunks = points_of(small)
    centers = k_means(chunks)
    stats = small.stats()
    in_memory = stats.reserved_bytes - stats.spilled_bytes
    assert in_memory <= limit and stats.in_use_bytes >= 4 * limit
    assert np.array_equal(centers, k_means(points_of(tenure.Pool(name="all"))))
    print(f"{stats.in_use_bytes >> 20} MiB of points in {limit >> 20} MiB of memory: the same {CLUSTERS} centers")
    print(f"written {stats.spill_count > CHUNKS // 2}, read back {stats.unspill_count >= PASSES * CHUNKS // 2}")
    del chunks
    assert small.stats().spilled_bytes == 0

# It prints:
# 64 MiB of points in 16 MiB of memory: the same 5 centers
# written True, read back True
