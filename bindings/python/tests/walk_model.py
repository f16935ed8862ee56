"""The model behind random programs (walk.py): NumPy arrays on separate memory, laid out and shared as Tenure's are.

Contract: a `Held` pairs an array with its model. After every step one of them, and in the end all, must hold the same bytes in the same layout;
what is refused must be what the model expects to be: reading what is borrowed for writing, writing what is borrowed or exported read-only. A
check that fails raises AssertionError with the seed and the step.
"""

import argparse
import gc
import random
import tempfile
import threading
import time
import traceback
import warnings

import numpy as np
import tenure
from tenure import Status, cuda

BUSY = {Status.BORROWED, Status.BORROWED_WRITE, Status.EXPORTED}


class Held:
    """An array, its model, and the objects that represent their memory."""

    def __init__(self, array, model, root, source=None):
        self.array, self.model, self.root, self.source = array, model, root, source

    @property
    def remote(self):
        return self.array.device == "cuda:0"


def laid_out(shape, strides, dtype):
    """An empty NumPy array with these strides."""
    itemsize = np.dtype(dtype).itemsize
    low = high = 0
    for length, stride in zip(shape, strides):
        reach = (length - 1) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
    size = 0 if 0 in shape else high - low + itemsize
    return np.ndarray(shape, dtype, bytearray(max(size, 1)), -low if size else 0, strides)


def common(a, b):
    return a.size > 0 and b.size > 0 and np.shares_memory(a, b)


def same_elements(a, b):
    strides = [[stride for stride, length in zip(n.strides, n.shape) if length > 1] for n in (a, b)]
    return a.ctypes.data == b.ctypes.data and strides[0] == strides[1]


class Model:
    """The program's state; what it does are the methods of a subclass that begin with `do_`."""

    def __init__(self, seed, device=False):
        self.seed, self.random = seed, random.Random(seed)
        self.held, self.guards, self.exports, self.step = [], [], [], "start"
        self.device = device
        self.streams = [cuda.stream() for _ in range(3)] if device else []
        self.pool = tenure.Pool(name=f"walk {seed}", max_size=1 << 20)
        self.folder = tempfile.TemporaryDirectory()
        self.count = 0
        steps = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("do_")]
        self.steps = [s for s in steps if device or not s.__name__.startswith("do_device")]

    # ---- the program

    def run(self, length):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            for _ in range(length):
                step = self.random.choice(self.steps)
                self.step = f"seed {self.seed}, step {self.count} ({step.__name__})"
                self.count += 1
                if len(self.held) < 2:
                    step = self.do_create
                step()
                while len(self.held) > 12:
                    self.forget(self.random.choice(self.held))
                if self.held:
                    self.check(self.random.choice(self.held))
            for held in self.held:
                self.check(held)
        self.end()

    def end(self):
        for _, context, _ in self.guards:
            context.__exit__(None, None, None)
        self.guards.clear(), self.exports.clear(), self.held.clear(), self.streams.clear()
        self.pool.release()
        self.folder.cleanup()

    def say(self, condition, *what):
        assert condition, (self.step, *what)

    def one(self, test=lambda held: True):
        """Any array that passes a test, or None."""
        fit = [held for held in self.held if test(held)]
        return self.random.choice(fit) if fit else None

    def add(self, array, model, root=None, source=None):
        self.held.append(Held(array, model, root or object(), source))
        self.same_layout(self.held[-1])
        return self.held[-1]

    def forget(self, held):
        self.held.remove(held)
        if self.random.random() < 0.5:
            held.array.release()

    # ---- the model

    def same_layout(self, held):
        array, model = held.array, held.model
        self.say(array.shape == model.shape and array.dtype == model.dtype, repr(array), model)
        if model.size:
            wide = [axis for axis in range(model.ndim) if model.shape[axis] > 1]
            mine, theirs = [array.strides[a] for a in wide], [model.strides[a] for a in wide]
            self.say(mine == theirs, array.shape, mine, theirs)

    def reads(self, model, test=common):
        """Whether reading these elements is refused."""
        return any(kind == "write" and test(model, other) for kind, _, other in self.guards)

    def writes(self, model, test=common):
        """Whether writing them is, as every handle's sight."""
        return any(test(model, other) for _, _, other in self.guards) or any(
            kind == "read" and test(model, other) for kind, _, other in self.exports
        )

    def was_refused(self, who, model, error):
        """That there was a reason: bytes in common, or bounds, since what is not proven apart counts as overlapping (BR-25)."""
        self.say(error.status in BUSY and who(model, np.may_share_memory), model, error)

    def bytes_of(self, held):
        if held.remote:
            return np.asarray(held.array.copy_to_host()).tobytes()
        with held.array.read() as view:
            return view.tobytes()

    def check(self, held):
        self.same_layout(held)
        refused = self.reads(held.model)
        try:
            seen = self.bytes_of(held)
        except tenure.OwnershipError as error:
            self.was_refused(self.reads, held.model, error)
            return
        self.say(not refused, "read in spite of a writer", held.model)
        self.say(seen == held.model.tobytes(), repr(held.array), held.model)
        others = sum(other.root is held.root for other in self.held) > 1
        if not self.guards and not self.exports:  # They keep the arrays that they are of.
            self.say(bool(held.array.why_not() & tenure.Why.SHARED) == others, held.array.why_not())

    def change(self, held, act, change):
        """`act` writes the array, `change` the model; refused if and only if somebody is in the way."""
        refused = self.writes(held.model)
        try:
            act()
        except tenure.ReadOnlyError:
            self.say(held.array.flags.readonly, held.model)
            return
        except tenure.OwnershipError as error:
            self.was_refused(self.writes, held.model, error)
            return
        self.say(not held.array.flags.readonly or held.model.size == 0, "written, and read-only")
        self.say(not refused, "written in spite of others", held.model)
        change()

    # ---- choices

    def shape(self):
        return tuple(self.random.choice([0, 1, 2, 3, 4, 5, 7]) for _ in range(self.random.randrange(4)))

    def numbers(self, shape, dtype):
        count = int(np.prod(shape, dtype=int))
        values = [self.random.randrange(100) for _ in range(count)]
        return np.array(values, "int64").reshape(shape).astype(dtype)

    def key(self, shape):
        parts = []
        for length in shape:
            kind = self.random.randrange(5)
            if kind == 0 and length:
                parts.append(self.random.randrange(-length, length))
            elif kind == 1:
                parts.append(slice(None, None, self.random.choice([1, 2, -1, -2])))
            elif kind == 2:
                parts.append(None)
                parts.append(slice(None))
            else:
                low, high = (self.random.randrange(-length - 1, length + 2) for _ in "ab")
                parts.append(slice(low, high, self.random.choice([None, 1, 2, 3, -1, -3])))
        if self.random.random() < 0.3:
            at = self.random.randrange(len(parts) + 1)
            parts[at:] = [...]
        return tuple(parts)

    def stream(self):
        return self.random.choice([None, *self.streams])


def walk_on(kind, what):
    """Walks of random seeds by the options of the command line, until the time is over or one fails."""
    options = argparse.ArgumentParser(description=what)
    options.add_argument("--minutes", type=float, default=1.0)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 40))
    options.add_argument("--length", type=int, default=400)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--device", action="store_true")
    chosen = options.parse_args()
    end, failed, seeds = time.monotonic() + chosen.minutes * 60, [], iter(range(chosen.seed, 1 << 62))
    lock = threading.Lock()

    def walk():
        while time.monotonic() < end and not failed:
            with lock:
                seed = next(seeds)
            walking = kind(seed, chosen.device)
            try:
                walking.run(chosen.length)
            except BaseException:
                failed.append(seed)
                print(walking.step, traceback.format_exc(), sep="\n", flush=True)

    threads = [threading.Thread(target=walk) for _ in range(chosen.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    tenure.run_releases()
    left = [holder.text() for holder in tenure.leaks() if not holder.name.startswith("cuda_")]
    print(f"{next(seeds) - chosen.seed} walks from seed {chosen.seed}, failed: {failed}, left: {left}")
    raise SystemExit(bool(failed or left))
