"""An interpreter of PTX: the instructions that Tenure's kernels compile to.

The threads of a block run in a random order up to each barrier. An access outside of the memory that a kernel may use, or at an address
that is no multiple of its size, is an error. Registers hold bits: numbers without a sign, also where they stand for floats.
"""

import operator
import random
import re
import struct

MASK = {8: 0xFF, 16: 0xFFFF, 32: 0xFFFFFFFF, 64: 0xFFFFFFFFFFFFFFFF}
FLOATS = {"f32": ("<I", "<f"), "f64": ("<Q", "<d")}


def bits_of(kind):
    return int(re.sub(r"\D", "", kind))


def number(bits, kind):
    """What a register's bits mean."""
    if kind in FLOATS:
        whole, real = FLOATS[kind]
        return struct.unpack(real, struct.pack(whole, bits & MASK[bits_of(kind)]))[0]
    if kind == "pred":
        return bits
    size = bits_of(kind)
    bits &= MASK[size]
    return bits - (1 << size) if kind[0] == "s" and bits >> (size - 1) else bits


def register(value, kind):
    """The bits of a number, rounded to its type."""
    if kind in FLOATS:
        whole, real = FLOATS[kind]
        return struct.unpack(whole, struct.pack(real, value))[0]
    if kind == "pred":
        return bool(value)
    return int(value) & MASK[bits_of(kind)]


def quotient(a, b):
    return abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1)


BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "min": min,
    "max": max,
}
COMPARE = {
    "eq": operator.eq,
    "ne": operator.ne,
    "neu": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def compute(operation, values):
    """The bits that an instruction gives."""
    name, kind = operation[0], operation[-1]
    if name in ("mov", "cvta"):
        return values[0] if kind == "pred" else values[0] & MASK[bits_of(kind)]
    if name == "cvt":
        return register(number(values[0], kind), operation[-2])
    if name == "selp":
        return values[0 if values[2] else 1] & MASK[bits_of(kind)]
    if name in ("shl", "shr"):
        shifted = min(values[1], bits_of(kind))
        return register(number(values[0], kind) << shifted if name == "shl" else number(values[0], kind) >> shifted, kind)
    values = [number(value, kind) for value in values]
    if name == "setp":
        return COMPARE[operation[1]](*values)
    if name in BINARY:
        return register(BINARY[name](*values), kind)
    if name in ("mul", "mad", "fma"):
        # The product of two floats with 24 bits is exact; that of two doubles is rounded once more than by a GPU.
        product = values[0] * values[1] + (values[2] if name != "mul" else 0)
        if kind[0] == "f":
            return register(product, kind)
        if operation[1] == "wide":
            return product & MASK[2 * bits_of(kind)]
        return register(product >> bits_of(kind) if operation[1] == "hi" else product, kind)
    if name == "div" and kind[0] != "f":
        return register(quotient(*values), kind)
    if name == "rem":
        return register(values[0] - quotient(*values) * values[1], kind)
    if name == "neg":
        return register(-values[0], kind)
    if name == "not":
        return not values[0] if kind == "pred" else register(~values[0], kind)
    raise SystemExit(f"no {'.'.join(operation)}")


class Trap(Exception):
    """A kernel ended itself."""


class Kernel:
    """A kernel: its instructions, the positions of its labels, and the places of its parameters and variables."""

    def __init__(self, name, parameters, body, variables):
        self.name, self.code, self.labels = name, [], {}
        #: Addresses of the symbols, each in its own memory.
        self.places = {}
        self.parameter_bytes = self.shared_bytes = self.local_bytes = 0
        for found in re.finditer(r"\.param (?:\.align (\d+) )?\.(\w\d+) (\w+)(?:\[(\d+)\])?", parameters):
            size = bits_of(found[2]) // 8
            align = int(found[1] or size)
            self.parameter_bytes = self.place(found[3], self.parameter_bytes, align, size * int(found[4] or 1))
        for found in variables:
            # A variable of a function that several kernels call is declared outside of them.
            if not re.search(rf"\b{found[3]}\b(?!\[)", body):
                continue
            end = self.shared_bytes if found[1] == "shared" else self.local_bytes
            end = self.place(found[3], end, int(found[2]), int(found[4]))
            if found[1] == "shared":
                self.shared_bytes = end
            else:
                self.local_bytes = end
        # The dynamic block memory lies behind the static one.
        self.place("tn_block_memory", self.shared_bytes, 128, 0)
        for line in body.splitlines():
            line = line.split("//")[0].strip()
            if line.endswith(":"):
                self.labels[line[:-1]] = len(self.code)
            elif line and line[0] not in ".({})":
                guard, rest = re.fullmatch(r"(?:@(!?%p\d+)\s+)?(.*);", line).groups()
                operation, _, arguments = rest.partition(" ")
                operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", arguments)
                self.code.append((guard, operation.split("."), operands))

    def place(self, name, end, align, size):
        """Places a symbol behind others; the new end."""
        self.places[name] = -(-end // align) * align
        return self.places[name] + size


def kernels(text):
    found = re.findall(r"\.visible \.entry (\w+)\((.*?)\)\n(.*?\n)\}", text, re.S)
    variables = list(re.finditer(r"\.(shared|local) \.align (\d+) \.b8\s+(\w+)\[(\d+)\];", text))
    return {name: Kernel(name, parameters, body, variables) for name, parameters, body in found}


class Memory:
    """Global memory: parts with addresses."""

    def __init__(self):
        self.parts = []

    def add(self, address, content):
        self.parts.append((address, content))

    def find(self, address, size):
        for start, content in self.parts:
            if start <= address and address + size <= start + len(content):
                return content, address - start
        raise SystemExit(f"{size} bytes at {address:#x} are in no memory")


class Thread:
    def __init__(self, kernel, special, memory, parameters, shared):
        self.kernel, self.memory = kernel, memory
        self.spaces = {"param": parameters, "shared": shared, "local": bytearray(kernel.local_bytes)}
        self.registers = dict(special)

    def value(self, operand):
        if operand[0] == "%":
            return self.registers[operand]
        if operand in self.kernel.places:
            return self.kernel.places[operand]
        if operand[:2] in ("0f", "0d"):
            return int(operand[2:], 16)
        return int(operand, 0)

    def place(self, operand, space, size):
        base, _, offset = operand[1:-1].partition("+")
        address = (self.value(base) + int(offset or 0)) & MASK[64]
        if address % size:
            raise SystemExit(f"{self.kernel.name}: {address:#x} of {space} is no multiple of {size}")
        if space == "global":
            return self.memory.find(address, size)
        content = self.spaces[space]
        if address + size > len(content):
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
            elif operation[0] == "trap":
                raise Trap(self.kernel.name)
            elif operation[0] in ("ld", "st"):
                self.move(operation, operands)
            else:
                self.registers[operands[0]] = compute(operation, [self.value(o) for o in operands[1:]])

    def move(self, operation, operands):
        loads, space, kind = operation[0] == "ld", operation[1], operation[-1]
        if space == "volatile":
            space = operation[2]
        size = bits_of(kind) // 8
        names, place = operands if loads else reversed(operands)
        names = [name.strip() for name in names.strip("{}").split(",")]
        # Vectors are aligned as a whole, but in parameters, whose start the driver chooses.
        whole = size * len(names) if space != "param" else size
        content, at = self.place(place, space, whole)
        for name in names:
            if loads:
                # A register may be wider than what is loaded.
                bits = int.from_bytes(content[at : at + size], "little")
                self.registers[name] = number(bits, kind) & MASK[64] if kind[0] == "s" else bits
            else:
                content[at : at + size] = (self.value(name) & MASK[8 * size]).to_bytes(size, "little")
            at += size


def launch(kernel, grid, block, memory, parameters, dynamic_bytes=0):
    """Runs all threads of a grid (x, y) of blocks (x, y), in a random order."""
    parameters += bytes(kernel.parameter_bytes - len(parameters))
    start = kernel.places["tn_block_memory"]
    for at in random.sample(range(grid[0] * grid[1]), grid[0] * grid[1]):
        # Block memory is not initialised.
        shared = bytearray(random.randbytes(start + dynamic_bytes))
        special = {"%ntid.x": block[0], "%ntid.y": block[1], "%nctaid.x": grid[0], "%nctaid.y": grid[1]}
        special |= {"%ctaid.x": at % grid[0], "%ctaid.y": at // grid[0], "%dynamic_smem_size": dynamic_bytes}
        special |= {"%tid.z": 0, "%ntid.z": 1, "%ctaid.z": 0, "%nctaid.z": 1}
        running = []
        for thread in random.sample(range(block[0] * block[1]), block[0] * block[1]):
            place = {"%tid.x": thread % block[0], "%tid.y": thread // block[0]}
            running.append(Thread(kernel, special | place, memory, parameters, shared).run())
        while running:
            running = [thread for thread in running if next(thread, "done") != "done"]
