"""The allocations of a training step, replayed in each allocator (bar T25): wall time, and memory reserved at the peak.

    training_step.py [FILE]     a line per allocator; the figures go into FILE

With torch on a GPU the trace is recorded from three steps of a small transformer, with its sizes, streams and order. Without, it is
generated from a seed in the shape of such a step, and the table says so. All allocators are called from Python, once for each entry.
"""

import random
import time

from _allocators import STREAMS, allocators
from _turns import SIMULATED, Figures, cuda, peers, use_primary_context

ROUNDS = 1 if SIMULATED else 5
LIMIT = (1 << 30) if SIMULATED else (16 << 30)


def recorded(torch):
    """The entries (block number, bytes or None for a free, stream number) of real steps."""
    layer = torch.nn.TransformerEncoderLayer(1024, 16, 4096, batch_first=True, device="cuda")
    model = torch.nn.TransformerEncoder(layer, 6).cuda()
    optimizer = torch.optim.AdamW(model.parameters())

    def step():
        x = torch.randn(8, 512, 1024, device="cuda")
        with torch.autocast("cuda", dtype=torch.float16):
            loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()
    torch.cuda.synchronize()
    torch.cuda.memory._record_memory_history(max_entries=1_000_000)
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    events = torch.cuda.memory._snapshot()["device_traces"][0]
    torch.cuda.memory._record_memory_history(enabled=None)
    trace, live, streams = [], {}, {}
    for event in events:
        if event["action"] == "alloc":
            stream = streams.setdefault(event["stream"], len(streams) % STREAMS)
            live[event["addr"]] = len(trace)
            trace.append((len(trace), event["size"], stream))
        elif event["action"] == "free_requested" and event["addr"] in live:
            trace.append((live.pop(event["addr"]), None, 0))
    return trace + [(block, None, 0) for block in live.values()]


def generated():
    """Three steps of twelve layers. Activations are kept for the backward pass, temporaries are not. A second stream has the gradients."""
    draw, trace, steps = random.Random(1), [], 3
    unit = 1 << (14 if SIMULATED else 20)

    def take(size, stream=0):
        trace.append((len(trace), int(size), stream))
        return trace[-1][0]

    def give(block):
        trace.append((block, None, 0))

    for _ in range(steps):
        kept = []
        for _ in range(12):
            kept.append([take(unit * draw.choice((2, 4, 8)) + 512 * draw.randrange(8)) for _ in range(6)])
            for _ in range(8):
                give(take(unit * draw.uniform(0.01, 16)))
        gradients = []
        for layer in reversed(kept):
            for block in reversed(layer):
                temporary = take(unit * draw.uniform(0.5, 8))
                give(block)
                give(temporary)
            gradients.append(take(unit * 12, 1))
        for block in gradients:
            give(take(unit * 4))
            give(block)
    return trace


def replay(allocator, trace):
    """The time of the replay, in ns."""
    blocks = {}
    start = time.perf_counter_ns()
    for number, size, stream in trace:
        if size is None:
            allocator.free(blocks.pop(number))
        else:
            blocks[number] = allocator.allocate(size, stream)
    elapsed = time.perf_counter_ns() - start
    allocator.synchronize()
    return float(elapsed)


def main():
    use_primary_context()
    found = peers()
    figures = Figures()
    source = "generated from a seed"
    trace = generated()
    if "torch" in found:
        try:
            trace, source = recorded(found["torch"]), "recorded from torch"
            found["torch"].cuda.empty_cache()
        except Exception as error:
            print(f"skipped: recording with torch: {error!r:.300}")
    sizes = {number: size for number, size, _ in trace if size is not None}
    now = most = 0
    for number, size, _ in trace:
        now += -sizes[number] if size is None else size
        most = max(most, now)
    figures.note("the trace", source=source, entries=len(trace), live_at_the_peak=most)
    limit = min(LIMIT, cuda.memory_info(0)[0] * 3 // 4)
    made = {}
    for name, make in allocators(limit, found).items():
        try:
            made[name] = make()
        except Exception as error:
            print(f"{'FAILED' if name == 'tenure' else 'skipped'}: {name}: {error!r:.300}")
            figures.failed += name == "tenure"
    case = f"a training step, {source}"
    figures.measure(case, {name: lambda allocator=allocator: replay(allocator, trace) for name, allocator in made.items()}, rounds=ROUNDS)
    reserved = {name: allocator.reserved() for name, allocator in made.items()}
    figures.note("reserved after the replays", **reserved)
    figures.bar("T25, time", case, "torch", 1.0)
    if "torch" in reserved:
        met = "met" if reserved["tenure"] <= reserved["torch"] else "NOT met"
        print(f"T25, memory: {reserved['tenure']} reserved, torch {reserved['torch']} {met}")
    figures.write()


main()
