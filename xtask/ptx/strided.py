"""Runs the committed PTX of strided.cu without a GPU: random copies and fills. Run by `cargo xtask ptx`.

    strided.py PTX [ROUNDS [SEED]]
"""

import math
import random
import struct
import sys

from machine import Memory, kernels, launch

THREADS, BLOCK_UNITS, TILE, MAX_AXES = 256, 1024, 32, 32


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
    launch(found[kernel], (blocks, 1), (THREADS, 1), memory, parameter)
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
