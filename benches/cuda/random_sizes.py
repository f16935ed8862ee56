"""Random sizes at 80 % of a limit (bar T23): how many requests fail, and how much memory is reserved for what is live.

    random_sizes.py [FILE]             a line per allocator; the figures go into FILE
    random_sizes.py --one NAME LIMIT   one allocator, in a process of its own

Sizes are drawn from a seed, with evenly distributed logarithms from 1 KiB to a 64th of the limit. While more than 80 % of the limit is live,
random blocks are freed first. torch runs twice, with and without expandable segments. Each allocator has a process of its own, so that none
has the memory of another.
"""

import json
import math
import os
import random
import subprocess
import sys

from _allocators import Failed, allocators
from _turns import SIMULATED, Figures, cuda, peers, use_primary_context

STEPS = 300 if SIMULATED else 20_000
MODES = {
    "torch": {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:False", "PYTORCH_ALLOC_CONF": "expandable_segments:False"},
    "torch, expandable segments": {
        "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True", "PYTORCH_ALLOC_CONF": "expandable_segments:True",
    },
}


def one(name, limit):
    use_primary_context()
    found = {} if name in ("tenure", "driver") else peers()
    if name not in allocators(limit, found):
        return {"skipped": "it is not there"}
    allocator = allocators(limit, found)[name]()
    draw, blocks, live, most_live, most_reserved, failed = random.Random(1), [], 0, 0, 0, 0
    for _ in range(STEPS):
        size = int(math.exp(draw.uniform(math.log(1024), math.log(limit / 64))))
        while live + size > 0.8 * limit:
            at = draw.randrange(len(blocks))
            blocks[at], blocks[-1] = blocks[-1], blocks[at]
            block, bytes_ = blocks.pop()
            allocator.free(block)
            live -= bytes_
        try:
            blocks.append((allocator.allocate(size), size))
            live += size
        except Failed:
            failed += 1
        most_live = max(most_live, live)
        most_reserved = max(most_reserved, allocator.reserved())
    return {"failures": failed, "requests": STEPS, "reserved": most_reserved, "live": most_live}


def main():
    figures = Figures()
    total = cuda.memory_info(0)[0]
    limit = min(int(total * 0.5), (256 << 20) if SIMULATED else (8 << 30)) // (2 << 20) * (2 << 20)
    names = {"tenure": {}, "driver": {}} if SIMULATED else {"tenure": {}, **MODES, "cupy": {}, "rmm": {}, "driver": {}}
    for name, variables in names.items():
        command = [sys.executable, "-B", __file__, "--one", name.split(",")[0], str(limit)]
        ran = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)
        lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
        if ran.returncode or not lines:
            figures.failed += name == "tenure"
            print(f"{'FAILED' if name == 'tenure' else 'skipped'}: {name}: {(ran.stderr.strip().splitlines() or ['?'])[-1]:.300}")
            continue
        found = json.loads(lines[-1])
        if "skipped" in found:
            print(f"skipped: {name}: {found['skipped']}")
            continue
        ratio = found["reserved"] / found["live"]
        figures.note(f"random sizes, {name}", **found, ratio=round(ratio, 3))
        if name == "tenure":
            met = "" if SIMULATED else "met" if found["failures"] == 0 and ratio <= 1.10 else "NOT met"
            print(f"T23: {found['failures']} failures, wanted 0; reserved / live {ratio:.3f}, wanted at most 1.10 {met}")
    figures.write()


if sys.argv[1:2] == ["--one"]:
    print(json.dumps(one(sys.argv[2], int(sys.argv[3]))), flush=True)
    # Some libraries destroy their contexts late.
    os._exit(0)
main()
