"""Three programs on NumPy as people write them, with any allocator (T33).

    arrays.py image|kmeans|transformer numpy|tenure

"numpy" leaves NumPy's memory as it is; the process may have another malloc. "tenure" calls `tenure.install()`. Prints lines
"figure <tab> value <tab> value": the best time of a step in ms, page faults, the peak of resident memory in MiB, both without those of the
imports, and a fact "result", which is the same with every allocator. `cargo xtask bench programs` runs it.

image        pictures of 1536 x 2048 x 3 float32: blur, edges by Sobel, tones, a histogram
kmeans       Lloyd's algorithm on 200,000 points of 24 float32 each, 32 centres
transformer  a block of 8 x 256 tokens, 384 wide, 6 heads, float32: attention, layer norms, GELU
"""

import resource
import sys
import time

import numpy as np

STEPS = 8


def image():
    y, x = np.mgrid[0:1536, 0:2048].astype(np.float32) / 256
    picture = np.stack([np.sin(x * y), np.cos(x + y), np.sin(x - 2 * y)], axis=-1) * np.float32(0.5) + np.float32(0.5)
    kernel = np.array([1, 4, 6, 4, 1], np.float32) / 16

    def along(a, axis, weights):
        padded = np.pad(a, [(2, 2) if i == axis else (0, 0) for i in range(a.ndim)], mode="edge")
        part = [slice(None)] * a.ndim
        total = np.zeros_like(a)
        for i, weight in enumerate(weights):
            part[axis] = slice(i, i + a.shape[axis])
            total += weight * padded[tuple(part)]
        return total

    def step():
        smooth = along(along(picture, 0, kernel), 1, kernel)
        grey = smooth @ np.array([0.299, 0.587, 0.114], np.float32)
        slope = np.array([-1, -2, 0, 2, 1], np.float32) / 8
        edges = np.hypot(along(grey, 0, slope), along(grey, 1, slope))
        toned = np.clip(smooth ** np.float32(0.8) + edges[..., None], 0, 1)
        counts = np.histogram((toned * 255).astype(np.uint8), bins=256, range=(0, 256))[0]
        return float(counts @ np.arange(256)) / toned.size

    return step


def kmeans():
    random = np.random.default_rng(1)
    means = random.normal(0, 4, (32, 24)).astype(np.float32)
    points = (means[random.integers(0, 32, 200_000)] + random.normal(0, 1, (200_000, 24))).astype(np.float32)

    def step():
        centres = points[:32].copy()
        for _ in range(3):
            distance = (points**2).sum(1)[:, None] - 2 * (points @ centres.T) + (centres**2).sum(1)
            nearest = distance.argmin(1)
            count = np.maximum(np.bincount(nearest, minlength=32), 1)
            centres = np.stack([np.bincount(nearest, points[:, i], 32) for i in range(24)], 1) / count[:, None]
            centres = centres.astype(np.float32)
        return float(np.abs(centres).sum())

    return step


def transformer():
    random = np.random.default_rng(2)
    batch, tokens, width, heads = 8, 256, 384, 6
    x = random.normal(0, 1, (batch, tokens, width)).astype(np.float32)

    def weights(rows, columns):
        return (random.normal(0, 1, (rows, columns)) / np.sqrt(rows)).astype(np.float32)

    to_qkv, out, up, down = weights(width, 3 * width), weights(width, width), weights(width, 4 * width), weights(4 * width, width)

    def norm(a):
        centred = a - a.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(1e-5))

    def softmax(a):
        powers = np.exp(a - a.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    def gelu(a):
        return np.float32(0.5) * a * (1 + np.tanh(np.float32(0.7978845608) * (a + np.float32(0.044715) * a**3)))

    def step():
        qkv = (norm(x) @ to_qkv).reshape(batch, tokens, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
        query, key, value = qkv
        attention = softmax(query @ key.swapaxes(-1, -2) / np.float32(np.sqrt(width // heads)))
        mixed = (attention @ value).transpose(0, 2, 1, 3).reshape(batch, tokens, width)
        hidden = x + mixed @ out
        return float(np.abs(hidden + gelu(norm(hidden) @ up) @ down).mean())

    return step


def peak_kib():
    """The peak of resident memory. That of getrusage counts the program that started this one, too."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def main():
    program, allocator = sys.argv[1:]
    if allocator == "tenure":
        import tenure

        tenure.install()
    before, peak_before = resource.getrusage(resource.RUSAGE_SELF), peak_kib()
    step = {"image": image, "kmeans": kmeans, "transformer": transformer}[program]()
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        result = step()
        times.append((time.perf_counter() - start) * 1e3)
    after = resource.getrusage(resource.RUSAGE_SELF)
    times.sort()
    print(f"ms\t{times[0]}\t{times[len(times) // 2]}")
    for name, value in [
        ("faults", after.ru_minflt - before.ru_minflt),
        ("MiB", (peak_kib() - peak_before) / 1024),
    ]:
        print(f"{name}\t{value}\t{value}")
    print(f"# result\t{result:.5g}")


main()
