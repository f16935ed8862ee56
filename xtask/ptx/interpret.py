"""Runs the committed PTX without a GPU: an interpreter for the instructions that it has, and random copies and fills. Run by `cargo xtask ptx`.

    interpret.py PTX [ROUNDS [SEED]]

The threads of a block run in a random order up to each barrier. An access outside of the memory of a case, or at an address that is no
multiple of its size, is an error.
"""

import math
import random
import re
import struct
import sys

MASK = {8: 0xFF, 16: 0xFFFF, 32: 0xFFFFFFFF, 64: 0xFFFFFFFFFFFFFFFF}
THREADS, BLOCK_UNITS, TILE, MAX_AXES = 256, 1024, 32, 32


def bits_of(kind):
    return int(re.sub(r"\D", "", kind))


class Kernel:
    """A kernel: its instructions, the positions of its labels, and the size of its shared memory."""

    def __init__(self, name, body):
        self.name, self.code, self.labels = name, [], {}
        self.shared = {found[1]: int(found[2]) for found in re.finditer(r"\.shared .*?(\w+)\[(\d+)\];", body)}
        for line in body.splitlines():
            line = line.split("//")[0].strip()
            if line.endswith(":"):
                self.labels[line[:-1]] = len(self.code)
            elif line and line[0] not in ".({})":
                guard, rest = re.fullmatch(r"(?:@(!?%p\d+)\s+)?(.*);", line).groups()
                operation, _, arguments = rest.partition(" ")
                operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", arguments)
                self.code.append((guard, operation.split("."), operands))


def kernels(text):
    found = re.findall(r"\.visible \.entry (\w+)\(.*?\)\n(.*?\n)\}", text, re.S)
    return {name: Kernel(name, body) for name, body in found}


class Memory:
    """Global memory: parts with addresses."""

    def __init__(self):
        self.parts = []

    def add(self, address, content):
        self.parts.append((address, content))

    def find(self, address, size):
        if address % size:
            raise SystemExit(f"{address:#x} is no multiple of {size}")
        for start, content in self.parts:
            if start <= address and address + size <= start + len(content):
                return content, address - start
        raise SystemExit(f"{size} bytes at {address:#x} are in no memory")


class Thread:
    def __init__(self, kernel, special, memory, parameter, shared):
        self.kernel, self.memory, self.parameter, self.shared = kernel, memory, parameter, shared
        self.registers = dict(special)

    def value(self, operand):
        if operand[0] == "%":
            return self.registers[operand]
        if operand == f"{self.kernel.name}_param_0" or operand in self.kernel.shared:
            return 0
        return int(operand, 0)

    def place(self, operand, space, size):
        base, _, offset = operand[1:-1].partition("+")
        address = (self.value(base) + int(offset or 0)) & MASK[64]
        if space == "global":
            return self.memory.find(address, size)
        content = self.parameter if space == "param" else self.shared
        if address % size or address + size > len(content):
            raise SystemExit(f"{self.kernel.name}: {size} bytes at {address} of {space}")
        return content, address

    def run(self):
        """Runs the thread; yields at each barrier."""
        at = 0
        while True:
            guard, operation, operands = self.kernel.code[at]
            at += 1
            if guard and bool(self.registers[guard.lstrip("!")]) == guard.startswith("!"):
                continue
            if operation[0] == "bra":
                at = self.kernel.labels[operands[0]]
            elif operation[0] == "ret":
                return
            elif operation[0] == "bar":
                yield
            elif operation[0] in ("ld", "st"):
                self.move(operation, operands)
            else:
                self.registers[operands[0]] = self.compute(operation, [self.value(o) for o in operands[1:]])

    def move(self, operation, operands):
        loads, space, size = operation[0] == "ld", operation[1], bits_of(operation[-1]) // 8
        names, place = operands if loads else reversed(operands)
        names = [name.strip() for name in names.strip("{}").split(",")]
        # Vectors are aligned as a whole, but in parameters, whose start the driver chooses.
        whole = size * len(names) if space != "param" else size
        content, at = self.place(place, space, whole)
        for name in names:
            if loads:
                self.registers[name] = int.from_bytes(content[at : at + size], "little")
            else:
                content[at : at + size] = (self.registers[name] & MASK[8 * size]).to_bytes(size, "little")
            at += size

    def compute(self, operation, values):
        name, kind = operation[0], operation[-1]
        if kind == "pred":
            return {"or": lambda a, b: a or b, "and": lambda a, b: a and b}[name](*values)
        bits = bits_of(kind)
        if name in ("mov", "cvta", "cvt"):
            # A conversion to a wider number; its operand is unsigned.
            return values[0] & MASK[bits]
        if name == "setp":
            a, b = (self.number(value, kind) for value in values)
            return {"eq": a == b, "lt": a < b, "gt": a > b, "ge": a >= b}[operation[1]]
        if name == "mul" and operation[1] in ("hi", "wide"):
            if kind[0] != "u":
                raise SystemExit(f"no {'.'.join(operation)}")
            product = (values[0] & MASK[bits]) * (values[1] & MASK[bits])
            return product >> bits if operation[1] == "hi" else product
        if name == "shr":
            return (values[0] & MASK[bits]) >> min(values[1], bits)
        compute = {
            "add": lambda a, b: a + b,
            "sub": lambda a, b: a - b,
            "mul": lambda a, b: a * b,
            "shl": lambda a, b: a << b,
            "and": lambda a, b: a & b,
        }
        return compute[name](*values) & MASK[bits]

    @staticmethod
    def number(value, kind):
        bits = bits_of(kind)
        value &= MASK[bits]
        return value - (1 << bits) if kind[0] == "s" and value >> (bits - 1) else value


def launch(kernel, blocks, memory, parameter):
    for block in random.sample(range(blocks), blocks):
        shared = bytearray(sum(kernel.shared.values()))
        running = []
        for thread in random.sample(range(THREADS), THREADS):
            special = {"%tid.x": thread, "%ctaid.x": block, "%ntid.x": THREADS}
            running.append(Thread(kernel, special, memory, parameter, shared).run())
        while running:
            running = [thread for thread in running if next(thread, "done") != "done"]


def divider(divisor):
    shift = (divisor - 1).bit_length()
    multiplier = (1 << 32) * ((1 << shift) - divisor) // divisor + 1
    return struct.pack("<3I", divisor, multiplier, shift)


def parameter_of(dst, src, axes, value=bytes(16), value_mask=0):
    """The bytes of `Launch` in strided.cu. axes: (destination stride, source stride, length), innermost first."""
    units = math.prod(length for _, _, length in axes)
    sides = [length for _, _, length in axes[:2]] + [1]
    packed = struct.pack("<QQ16s4I", dst, src, value, units, len(axes), value_mask, 0)
    packed += b"".join(divider(-(-side // TILE)) for side in sides[:2])
    for to, source, length in axes:
        packed += struct.pack("<qq", to, source) + divider(length) + bytes(4)
    return units, packed + bytes(32 * (MAX_AXES - len(axes)))


def one_case(found, kernel):
    operation, unit = kernel.split("_")[1:]
    unit = int(unit)
    lengths = [random.randint(1, 5) for _ in range(random.randint(1, 4))]
    if operation == "transpose":
        lengths = [random.randint(1, 70), random.randint(1, 50)] + lengths[2:3]
    elif random.random() < 0.3:
        lengths = [random.randint(1, 1500)]

    def side(order, gaps):
        strides, reach, first = [0] * len(lengths), unit, 0
        for axis in order:
            strides[axis] = reach + unit * random.choice(gaps)
            span = strides[axis] * (lengths[axis] - 1)
            if random.random() < 0.3:
                strides[axis], first = -strides[axis], first + span
            reach += span
        return strides, first, reach

    axes = list(range(len(lengths)))
    to, first_to, bytes_to = side(axes, [0, 0, 1, 3])
    source, first_from, bytes_from = side(random.sample(axes, len(axes)), [0, 0, 2])
    if operation == "copy" and random.random() < 0.2:
        source[random.choice(axes)] = 0
        # The elements at the first index of that axis, wherever the other axes begin.
        first_from = -sum(min(0, s * (n - 1)) for s, n in zip(source, lengths))
    dst, src = bytearray(random.randbytes(bytes_to)), bytearray(random.randbytes(bytes_from))
    memory, at_dst, at_src = Memory(), 0x7F0000000000, 0x7E0000000010
    memory.add(at_dst, dst)
    memory.add(at_src, src)
    period = random.choice([p for p in (1, 2, 4, 8, 16) if p * unit <= 16])
    value = (random.randbytes(period * unit) * 16)[:16]
    wanted, index = bytearray(dst), [0] * len(lengths)
    for number in range(math.prod(lengths)):
        t = first_to + sum(i * s for i, s in zip(index, to))
        f = first_from + sum(i * s for i, s in zip(index, source))
        part = number % period * unit
        wanted[t : t + unit] = value[part : part + unit] if operation == "fill" else src[f : f + unit]
        for axis in axes:
            index[axis] += 1
            if index[axis] < lengths[axis]:
                break
            index[axis] = 0
    given = list(zip(to, [0] * len(to) if operation == "fill" else source, lengths))
    units, parameter = parameter_of(at_dst + first_to, at_src + first_from, given, value, period - 1)
    blocks = -(-units // BLOCK_UNITS)
    if operation == "transpose":
        blocks = units // (lengths[0] * lengths[1]) * -(-lengths[0] // TILE) * -(-lengths[1] // TILE)
    launch(found[kernel], blocks, memory, parameter)
    if dst != wanted:
        sys.exit(f"{kernel}: lengths {lengths}, strides {to} <- {source}")


def main():
    found = kernels(open(sys.argv[1]).read())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    print(f"seed {seed}")
    random.seed(seed)
    for kernel in found:
        for _ in range(rounds):
            one_case(found, kernel)
    print(f"{len(found)} kernels, {rounds} random cases of each: as computed on the host")


if __name__ == "__main__":
    main()
