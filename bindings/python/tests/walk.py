"""Random programs against NumPy: ``python walk.py --minutes 5`` runs until a result differs.

Contract: each `do_` method is one step of a program, which does the same to an array and to its model (walk_model.py). ``--device`` also puts
arrays on a GPU and work on streams; ``--threads 4`` walks that often at once. A failure prints its seed, which ``--seed`` repeats.
"""

import gc
import os

import numpy as np
import tenure
from tenure import Status, cuda
from walk_model import BUSY, Held, Model, common, laid_out, same_elements, walk_on

KINDS = "? b h i q B H I Q e f d F D".split()


class Walk(Model):
    """A random program, by its seed."""

    # ---- steps: arrays

    def do_create(self):
        shape, dtype, order = self.shape(), self.random.choice(KINDS), self.random.choice("CF")
        how = self.random.randrange(6)
        values = self.numbers(shape, dtype)
        if how == 0:
            self.add(tenure.zeros(shape, dtype, order), np.zeros(shape, dtype, order))
        elif how == 1:
            value = self.random.randrange(2)
            self.add(tenure.full(shape, value, dtype, order), np.full(shape, value, dtype, order))
        elif how == 2:
            self.add(tenure.array(values), values)
        elif how == 3:
            # The other library's memory: each side sees the other's writes.
            theirs = values.copy(order)
            self.add(tenure.asarray(theirs), values.copy(order), source=theirs)
        elif how == 4:
            with self.pool:
                self.add(tenure.array(values, name="pooled"), values)
        elif self.device:
            self.add(cuda.to_device(values, self.stream()), values)
        else:
            # Separate bytes: up to length 1, Python shares one object.
            theirs = bytes([*values.tobytes(), 97, 98])
            self.add(tenure.from_buffer(theirs), np.frombuffer(bytearray(theirs), "u1"), source=theirs)

    def do_limit(self):
        try:
            tenure.empty(1 << 21, "b", pool=self.pool)
        except tenure.OutOfMemoryError as error:
            self.say(error.status == Status.POOL_LIMIT, error)
        else:
            self.say(False, "over the limit")

    def view(self, of_array, of_model):
        held = self.one()
        if held is None:
            return
        try:
            model = of_model(held.model)
        except (ValueError, IndexError, TypeError) as error:
            model = ValueError(str(error))  # The other one holds this frame, and so the array.
        if isinstance(model, np.ndarray) and model.size and not np.shares_memory(model, held.model):
            model = ValueError("NumPy copies")
        try:
            array = of_array(held.array)
        except (ValueError, IndexError, TypeError) as error:
            self.say(isinstance(model, Exception), model, error)
            return
        self.say(not isinstance(model, Exception), model, repr(array))
        if isinstance(array, tenure.Array):
            self.add(array, model, held.root, held.source)
        else:
            self.say(np.array_equal(array, model, equal_nan=True), array, model)

    def do_index(self):
        held = self.one(lambda held: held.model.ndim > 0 and not self.reads(held.model, np.may_share_memory))
        if held is None:
            return
        key = self.key(held.model.shape)
        if not any(part is Ellipsis for part in key):
            key += (Ellipsis,)
        self.add(held.array[key], held.model[key], held.root, held.source)

    def do_transpose(self):
        self.view(lambda a: a.T, lambda n: n.T)

    def do_permute(self):
        order = list(range(3))
        self.random.shuffle(order)
        self.view(lambda a: a.transpose(*order[: a.ndim]), lambda n: n.transpose(order[: n.ndim]))

    def do_reshape(self):
        held = self.one()
        size = held.model.size
        a = self.random.choice([d for d in range(1, size + 1) if size % d == 0] or [0])
        shape = self.random.choice([(-1,), (a, -1) if a else (0,), (a, size // a if a else 0), (size + 1,), (1, size)])
        self.view(lambda x: x.reshape(shape), lambda n: n.reshape(shape))

    def do_expand(self):
        axis = self.random.randrange(-3, 3)
        self.view(lambda a: a.expand(axis), lambda n: np.expand_dims(n, axis))

    def do_squeeze(self):
        self.view(lambda a: a.squeeze(), lambda n: n.squeeze())

    def do_broadcast(self):
        front = self.random.randrange(3)
        held = self.one(lambda held: held.model.ndim < 3)
        if held is not None:
            shape = (front, *held.model.shape)
            model = np.broadcast_to(held.model, shape)
            model = np.lib.stride_tricks.as_strided(held.model, shape, model.strides)
            self.add(held.array.broadcast_to(shape), model, held.root, held.source)

    def do_view_dtype(self):
        held = self.one(lambda held: held.model.ndim and held.model.flags.c_contiguous and held.model.size)
        if held is not None:
            dtype = self.random.choice("b h i q B f d D".split())
            try:
                model = held.model.view(dtype)
            except ValueError:
                return
            try:
                self.add(held.array.view(dtype), model, held.root, held.source)
            except tenure.ArgumentError as error:
                self.say("alignment" in str(error) and np.dtype(dtype).alignment > held.model.dtype.alignment, error)

    def do_split(self):
        held = self.one(lambda held: held.model.ndim)
        if held is not None:
            parts, axis = self.random.randrange(1, 4), self.random.randrange(held.model.ndim)
            models = np.array_split(held.model, parts, axis)
            arrays = held.array.array_split(parts, axis)
            at = self.random.randrange(parts)
            self.say(len(arrays) == parts)
            self.add(arrays[at], models[at], held.root, held.source)

    def do_clone(self):
        held = self.one()
        self.add(held.array.clone(), held.model, held.root, held.source)

    def do_forget(self):
        self.forget(self.one())
        if self.random.random() < 0.05:
            gc.collect()

    def do_copy(self):
        held = self.one(lambda held: not self.reads(held.model, np.may_share_memory))
        if held is not None:
            array = held.array.copy(stream=self.stream()) if held.remote else held.array.copy()
            model = laid_out(array.shape, array.strides, array.dtype)
            model[...] = held.model
            self.add(array, model)

    def do_weak(self):
        held = self.one()
        weak = held.array.weak()
        self.add(weak.upgrade(), held.model, held.root, held.source)
        weak.release()

    def do_give(self):
        held = self.one()
        before = held.array
        try:
            promise = tenure.give(before, 1)
        except tenure.OwnershipError as error:
            self.say(error.status in BUSY and self.guards, error)
            return
        try:
            before.tolist()
            self.say(False, "used although it was given")
        except tenure.OwnershipError as error:
            self.say(error.status == Status.GIVEN or self.reads(held.model), error)
        if self.random.random() < 0.5:
            promise.cancel()
        else:
            held.array = tenure.take(promise)
            self.say(repr(before).startswith("<destructed"), repr(before))

    def do_overlap(self):
        a, b = self.one(), self.one()
        answer = a.array.overlap(b.array)
        apart = not np.may_share_memory(a.model, b.model)
        self.say(answer != "none" or not common(a.model, b.model), answer, a.model, b.model)
        self.say(answer == "none" or not apart or a.model.size * b.model.size == 0, answer, a.model, b.model)
        bounds = np.lib.array_utils.byte_bounds
        self.say(answer != "exact" or bounds(a.model) == bounds(b.model), answer, a.model, b.model)

    # ---- steps: writing

    def do_fill(self):
        held, value = self.one(), self.random.randrange(2)
        options = {"stream": self.stream()} if held.remote else {}
        self.change(held, lambda: held.array.fill(value, **options), lambda: held.model.fill(value))

    def do_zero(self):
        held = self.one()
        self.change(held, held.array.zero, lambda: held.model.fill(0))

    def do_set(self):
        held = self.one()
        key = self.key(held.model.shape)
        part = held.model[key]
        values = self.numbers(np.shape(part)[self.random.randrange(2) :], self.random.choice("? b B h".split()))
        if not isinstance(part, np.ndarray):
            key, part = (*key, ...), held.model[(*key, ...)]
        inner = Held(held.array[key], part, None)
        self.change(inner, lambda: held.array.__setitem__(key, values), lambda: part.__setitem__(..., values))

    def do_copy_from(self):
        to = self.one()
        source = self.one(lambda held: held.model.shape == to.model.shape and held.model.dtype == to.model.dtype)
        if source is None or self.reads(source.model, np.may_share_memory) or source is to:
            return
        if same_elements(to.model, source.model):
            return  # Nothing to do.
        options = {"stream": self.stream()} if to.remote or source.remote else {}
        values = source.model.copy()
        self.change(to, lambda: to.array.copy_from(source.array, **options), lambda: to.model.__setitem__(..., values))

    def do_write(self):
        held = self.one(lambda held: not held.remote)
        if held is not None:

            def act():
                with held.array.write() as view:
                    view[...] = 1

            self.change(held, act, lambda: held.model.fill(1))

    def do_unique(self):
        held = self.one(lambda held: not held.remote)
        if held is None:
            return
        shared = [other for other in self.held if other.root is held.root and other is not held]
        try:
            held.array.fill(1, "unique")
        except tenure.OwnershipError:
            busy = self.writes(held.model) or held.array.flags.foreign or held.array.flags.readonly
            # Exports apply to the whole memory. They and guards keep the arrays through which they were made.
            self.say(shared or self.exports or self.guards or busy, held.array.why_not())
        else:
            self.say(not shared and not self.writes(held.model), held.array.why_not())
            held.model.fill(1)

    def do_cow(self):
        held = self.one(lambda held: held.model.size and not self.guards and not self.exports)
        if held is None:
            return
        alone = held.array.why_not() == 0
        held.array.fill(1, "cow")
        if not alone:
            held.model = laid_out(held.array.shape, held.array.strides, held.array.dtype)
            held.root, held.source = object(), None
        held.model.fill(1)

    # ---- steps: borrows and exports that stay open

    def do_open(self):
        held, kind = self.one(), self.random.choice(["read", "write"])
        if len(self.guards) > 3:
            return
        context = getattr(held.array, kind)()
        who = self.reads if kind == "read" else self.writes
        refused = who(held.model)
        try:
            context.__enter__()
        except tenure.ReadOnlyError:
            self.say(kind == "write" and held.array.flags.readonly)
            return
        except tenure.OwnershipError as error:
            self.was_refused(who, held.model, error)
            return
        self.say(not refused, kind, held.model)
        self.guards.append((kind, context, held.model))

    def do_close(self):
        if self.guards:
            _, context, _ = self.guards.pop(self.random.randrange(len(self.guards)))
            context.__exit__(None, None, None)

    def do_export(self):
        held = self.one(lambda held: not held.remote and held.model.size)
        if held is None or len(self.exports) > 3 or self.writes(held.model, np.may_share_memory):
            return
        make = [np.asarray, memoryview, lambda a: np.asarray(a.readonly), np.from_dlpack]
        how = self.random.randrange(4)
        if how == 3 and (held.array.flags.readonly or held.model.dtype == bool):
            return
        kind = "read" if how == 2 or held.array.flags.readonly else "shared"
        self.exports.append((kind, make[how](held.array), held.model))

    def do_drop(self):
        if self.exports:
            self.exports.pop(self.random.randrange(len(self.exports)))

    # ---- steps: files and expressions

    def do_file(self):
        held = self.one(lambda held: not held.remote and not self.reads(held.model, np.may_share_memory))
        if held is None:
            return
        path = os.path.join(self.folder.name, f"{self.count}.npy")
        held.array.save_npy(path)
        loaded = np.load(path)
        self.say(loaded.tobytes() == held.model.tobytes() and loaded.shape == held.model.shape)
        array = tenure.open_npy(path, self.random.choice(["r", "c", "r+", None]))
        model = laid_out(array.shape, array.strides, array.dtype)
        model[...] = held.model
        self.add(array, model)
        os.unlink(path)

    def do_expression(self):
        size = self.random.randrange(1, 6)
        leaves = [self.numbers((size, size), self.random.choice("d")) / 64 for _ in range(3)]
        arrays = [tenure.array(leaf) for leaf in leaves]
        pairs = [(tenure.lazy(a), n) for a, n in zip(arrays, leaves)]
        if self.random.random() < 0.5:
            arrays.clear()
        for _ in range(self.random.randrange(1, 6)):
            (x, a), (y, b) = self.random.choice(pairs), self.random.choice(pairs)
            how = self.random.randrange(7)
            # A factor is defined below the diagonal only, and not every operation accepts it.
            try:
                self.combine(how, pairs, x, a, y, b)
            except tenure.UnsupportedError:
                pass
        expression, model = pairs[-1]
        if self.random.random() < 0.5:
            pairs.clear()
        result = expression.compute()
        del expression, x, y
        self.say(np.allclose(result, model, rtol=1e-9, atol=1e-9), result, model)

    @staticmethod
    def combine(how, pairs, x, a, y, b):
        if how == 0:
            pairs.append((x + y, a + b))
        elif how == 1:
            pairs.append((x - y, a - b))
        elif how == 2:
            pairs.append((x @ y, a @ b))
        elif how == 3:
            pairs.append((x.T, a.T))
        elif how == 4:
            pairs.append((-x * 0.5, -a * 0.5))
        elif how == 5:
            pairs.append((x.times(y) + x, a * b + a))
        else:
            spd, model = x @ x.T + tenure.diagonal(tenure.full((len(a),), 4.0 * len(a))), a @ a.T + 4.0 * len(a) * np.eye(len(a))
            pairs.append((spd.cholesky(), np.linalg.cholesky(model)))

    # ---- steps: devices

    def do_device_move(self):
        held = self.one(lambda held: not self.reads(held.model, np.may_share_memory))
        if held is None:
            return
        if held.remote:
            array = held.array.copy_to_host(stream=self.stream())
        else:
            array = cuda.to_device(held.array, self.stream())
        model = laid_out(array.shape, array.strides, array.dtype)
        model[...] = held.model
        self.add(array, model)

    def do_device_array(self):
        shape, dtype = self.shape(), self.random.choice(KINDS)
        values = self.numbers(shape, dtype)
        make = self.random.choice([cuda.pinned_array, cuda.mapped_array, cuda.managed_array, cuda.device_array])
        array = make(shape, dtype)
        array[...] = values
        self.add(array, values)

    def do_device_stream(self):
        at = self.random.randrange(3)
        how = self.random.randrange(3)
        if how == 0:
            self.streams[at] = cuda.stream()
        elif how == 1:
            self.streams[at].synchronize()
        else:
            event = cuda.event()
            event.record(self.streams[at])
            event.wait(self.streams[at - 1])


if __name__ == "__main__":
    walk_on(Walk, __doc__)
