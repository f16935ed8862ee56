"""The matrix of exchange: every library, in both directions, by element type, layout and access. Results must follow the rules here.

    python matrix.py --write FILE    writes the tables of the libraries that are installed into docs/interop.md
    python matrix.py --check FILE    fails if the file differs from the results

A `Crossing` is one way to pass an array between Tenure and a library. Its rule gives the result for each case: an alias
(addresses are compared), a copy, or an exception. `test_matrix.py` runs all cases. The document is written from observed
results that agree with the rules. A library that is not installed keeps its part of the document.
"""

import argparse
import collections
import gc
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")

import numpy as np

import tenure


def installed(name: str):
    try:
        return __import__(name)
    except ImportError:
        return None


torch, jax, pyarrow = installed("torch"), installed("jax"), installed("pyarrow")
if jax is not None:
    import jax.dlpack

# In this order they stand in the document, and a pair belongs to the later of its two.
LIBRARIES = {"NumPy": np, "pyarrow": pyarrow, "JAX": jax, "PyTorch": torch}

DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128".split()
)
ARROW = [name for name in DTYPES if name.strip("123468") in ("int", "uint", "float")]
NUMPY = [name for name in DTYPES if name != "bfloat16"]


@dataclass(frozen=True)
class Case:
    dtype: str
    layout: str
    readonly: bool

    @property
    def item(self) -> int:
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize


# ---- layouts: each from a dense array of 64 elements, 64-aligned

LAYOUTS: dict[str, Callable] = {
    "dense": lambda x: x.reshape(8, 8),
    "transposed": lambda x: x.reshape(4, 16).T,
    "every second column": lambda x: x.reshape(8, 8)[:, ::2],
    "every second row": lambda x: x.reshape(8, 8)[::2],
    "negative": lambda x: x.reshape(8, 8)[::-1],
    "broadcast": None,
    "offset": lambda x: x[1:],
    "unaligned": None,
    "one element": lambda x: x[5:6].reshape(1, 1, 1),
    "ndim 0": lambda x: x[0:1].reshape(()),
    "size 0": lambda x: x.reshape(8, 8)[:, 8:],
}
MEANING = {
    "dense": "shape (8, 8), C order, aligned to 64 bytes",
    "transposed": "shape (16, 4), F order",
    "every second column": "`x[:, ::2]`",
    "every second row": "`x[::2]`",
    "negative": "`x[::-1]`",
    "broadcast": "stride 0 on the first axis",
    "offset": "`x[1:]`: dense, one element after a 64-byte boundary",
    "unaligned": "an address that is not a multiple of the element size",
    "one element": "shape (1, 1, 1), five elements after a 64-byte boundary",
    "ndim 0": "shape ()",
    "size 0": "shape (8, 0)",
}


def of_ours(case: Case) -> tenure.Array:
    """A Tenure array."""
    x = tenure.zeros(64, case.dtype)
    x = x.broadcast_to(8, 64) if case.layout == "broadcast" else LAYOUTS[case.layout](x)
    return tenure.from_dlpack(x.readonly) if case.readonly else x


def aligned(size: int, past: int = 0) -> np.ndarray:
    """NumPy memory that begins at this distance from a multiple of 64."""
    memory = np.zeros(size + 128, "uint8")
    start = -memory.ctypes.data % 64 + past
    return memory[start : start + size]


def of_numpy(case: Case):
    if case.dtype not in NUMPY or (case.layout == "unaligned" and np.dtype(case.dtype).alignment == 1):
        return None
    n = aligned(64 * case.item, case.layout == "unaligned").view(case.dtype)
    if case.layout == "broadcast":
        n = np.broadcast_to(n, (8, 64))
    elif case.layout == "unaligned":
        n = n.reshape(8, 8)
    else:
        n = LAYOUTS[case.layout](n)
    if case.readonly:
        n.flags.writeable = False
    return n


def of_torch(case: Case):
    if case.readonly or case.layout in ("negative", "unaligned"):
        return None  # it has none of these
    t = torch.zeros(64, dtype=getattr(torch, case.dtype))
    return t.expand(8, 64) if case.layout == "broadcast" else LAYOUTS[case.layout](t)


def of_jax(case: Case):
    shape = {"dense": (8, 8), "size 0": (8, 0), "ndim 0": ()}.get(case.layout)
    return None if shape is None or not case.readonly else jax.numpy.zeros(shape, case.dtype)


def of_arrow(case: Case):
    if case.dtype not in ARROW or not case.readonly or case.layout not in ("dense", "offset", "size 0"):
        return None
    a = pyarrow.array(aligned(64 * case.item).view(case.dtype))  # which it does not copy
    return {"dense": a, "offset": a[1:], "size 0": a[:0]}[case.layout]


def of_arrow_buffer(case: Case):
    if case.dtype != "uint8" or case.layout not in ("dense", "offset", "size 0"):
        return None
    n = np.zeros(64, "uint8")
    n.flags.writeable = not case.readonly
    buffer = pyarrow.py_buffer(n)
    return {"dense": buffer, "offset": buffer[1:], "size 0": buffer[:0]}[case.layout]


def address(x) -> int:
    """The address of the first element."""
    if isinstance(x, tenure.Array):
        if x.dtype is tenure.bfloat16:
            x = x.view("uint16")
        return np.asarray(x.readonly).ctypes.data
    if isinstance(x, np.ndarray):
        return x.ctypes.data
    if isinstance(x, memoryview):
        return np.asarray(x).ctypes.data
    if torch is not None and isinstance(x, torch.Tensor):
        return x.data_ptr()
    if jax is not None and isinstance(x, jax.Array):
        return x.unsafe_buffer_pointer()
    if pyarrow is not None and isinstance(x, pyarrow.Array):
        while pyarrow.types.is_fixed_size_list(x.type):
            x = x.values
        return x.buffers()[1].address + x.offset * x.type.bit_width // 8
    return x.address


def layout_of(x):
    """The shape, and the strides in bytes if the object has them."""
    if torch is not None and isinstance(x, torch.Tensor):
        return tuple(x.shape), tuple(stride * x.element_size() for stride in x.stride())
    if jax is not None and isinstance(x, jax.Array):
        return tuple(x.shape), None
    if pyarrow is not None and isinstance(x, pyarrow.Array):
        shape, kind = [len(x)], x.type
        while pyarrow.types.is_fixed_size_list(kind):
            shape, kind = [*shape, kind.list_size], kind.value_type
        return tuple(shape), None
    if pyarrow is not None and isinstance(x, pyarrow.Buffer):
        return (x.size,), None
    return tuple(x.shape), tuple(x.strides)


def readonly(x) -> bool | None:
    """Whether the object is marked as read-only; None: it has no such flag."""
    if isinstance(x, np.ndarray):
        return not x.flags.writeable
    if isinstance(x, memoryview):
        return x.readonly
    if isinstance(x, tenure.Array):
        return x.flags.readonly
    if pyarrow is not None and isinstance(x, pyarrow.Buffer):
        return not x.is_mutable
    if pyarrow is not None and isinstance(x, pyarrow.Array):
        return True  # all of them are
    return None


# ---- what can come out

ALIAS, READS, COPY, EMPTY = "alias", "alias, read-only", "copy", "nothing to share"


class Refused:
    """These exceptions, with any message."""

    def __init__(self, *classes: type[BaseException]):
        self.classes = classes

    def __repr__(self):
        return " or ".join(c.__name__ for c in self.classes)


@dataclass(frozen=True)
class Crossing:
    """One way to pass an array; `rule` gives the result for a case. None: there is no such case."""

    library: str
    name: str
    make: Callable
    cross: Callable
    rule: Callable
    outward: bool

    def __str__(self):
        return self.name


def observe(crossing: Crossing, case: Case):
    """The result as text, and the exception if there was one; None where the library has no such array."""
    start = crossing.make(case)
    if start is None:
        return None
    try:
        end = crossing.cross(start)
    except Exception as error:
        return f"{type(error).__name__}: {said(error)}", type(error)
    shape, strides = layout_of(start)
    if pyarrow is None or not isinstance(end, pyarrow.Buffer):  # which has bytes, and no shape
        ends = layout_of(end)[0]
        assert ends == shape or (crossing.name == "pyarrow.array(x)" and (ends, shape) == ((1,), ())), (crossing, case)
    if 0 in shape:
        return EMPTY, None
    if address(end) != address(start):
        return COPY, None
    ends = layout_of(end)[1]
    if strides is not None and ends is not None and len(ends) == len(strides):
        assert [s for s, n in zip(ends, shape) if n > 1] == [s for s, n in zip(strides, shape) if n > 1], (crossing, case)
    return (READS if readonly(end) else ALIAS), None


def said(error: BaseException) -> str:
    """The first line of its message, without parts that differ from run to run."""
    text = str(error).strip().split("\n")[0]
    return re.sub(r"\[[-\d, ]+\]", "[...]", re.sub(r"0x[0-9a-f]+", "0x...", text))


# ---- rules

BUFFER = Refused(BufferError)
DENSE = ("dense", "transposed", "offset", "one element", "ndim 0")


def reads(case: Case) -> bool:
    return case.readonly or case.layout == "broadcast"


def to_numpy(refusal):
    def rule(case):
        if case.dtype == "bfloat16" and refusal:
            return refusal
        return EMPTY if case.layout == "size 0" else READS if reads(case) else ALIAS

    return rule


def to_arrow(case):
    if case.dtype == "bfloat16" or case.layout not in (*DENSE, "size 0"):
        return BUFFER
    return EMPTY if case.layout == "size 0" else READS if case.readonly else ALIAS


def to_arrow_array(case):
    if case.dtype not in ARROW:
        return BUFFER
    if case.layout == "size 0":
        return EMPTY
    return READS if case.layout in ("dense", "offset", "one element", "ndim 0") else COPY


def to_jax(strict):
    def rule(case):
        if reads(case) and not strict:
            return BUFFER  # the struct that JAX asks for cannot say "read-only"
        if case.layout == "size 0":
            return EMPTY
        if case.layout not in DENSE:
            return Refused(RuntimeError)
        return COPY if case.layout in ("offset", "one element") and past(case) % 64 else ALIAS

    return rule


def past(case):
    """The distance of the first element from a multiple of 64, in bytes."""
    return case.item * {"offset": 1, "one element": 5}[case.layout]


def jax_numpy(case):
    if case.dtype == "bfloat16":
        return Refused(ValueError)  # it reads `x.dtype`, which is no NumPy dtype; `tenure.to_jax(x)` works
    return EMPTY if case.layout == "size 0" else COPY


def to_torch(says):
    def rule(case):
        if says == "writes" and reads(case):
            return BUFFER
        if case.layout == "negative":
            return Refused(RuntimeError)
        return EMPTY if case.layout == "size 0" else ALIAS

    return rule


def from_numpy(case):
    if case.layout == "size 0":
        return EMPTY
    if case.layout == "unaligned":
        return COPY
    return READS if reads(case) else ALIAS


def from_others(case):
    return EMPTY if case.layout == "size 0" else READS if reads(case) else ALIAS


def from_jax_buffer(case):
    return BUFFER if case.dtype == "bfloat16" else from_others(case)


def arrow_to_ours(case):
    return EMPTY if case.layout == "size 0" else READS


def from_arrow_buffer(case):
    return READS if case.layout == "offset" else from_others(case)  # a slice of a buffer is read-only there


def crossings() -> list[Crossing]:
    """The crossings of the installed libraries."""
    found = []

    def out(library, name, cross, rule):
        made = lambda case: None if case.layout == "unaligned" else of_ours(case)  # noqa: E731
        found.append(Crossing(library, name, made, cross, rule, True))

    def back(library, name, make, cross, rule):
        found.append(Crossing(library, name, make, cross, rule, False))

    # The package of NumPy's bfloat16 comes with JAX.
    out("NumPy", "numpy.asarray(x)", np.asarray, to_numpy(None if installed("ml_dtypes") else BUFFER))
    out("NumPy", "numpy.from_dlpack(x)", np.from_dlpack, to_numpy(Refused(RuntimeError, BufferError)))
    back("NumPy", "tenure.from_dlpack(n)", of_numpy, tenure.from_dlpack, from_numpy)
    back("NumPy", "tenure.from_buffer(n)", of_numpy, tenure.from_buffer, from_numpy)
    back("NumPy", "tenure.asarray(n)", of_numpy, tenure.asarray, from_numpy)
    if pyarrow is not None:
        out("pyarrow", "pyarrow.py_buffer(x)", pyarrow.py_buffer, to_arrow)
        out("pyarrow", "pyarrow.array(x)", pyarrow.array, to_arrow_array)
        back("pyarrow", "tenure.from_arrow(a)", of_arrow, tenure.from_arrow, arrow_to_ours)
        back("pyarrow", "tenure.from_dlpack(a)", of_arrow, tenure.from_dlpack, arrow_to_ours)
        back("pyarrow", "tenure.from_buffer(b)", of_arrow_buffer, tenure.from_buffer, from_arrow_buffer)
    if jax is not None:
        out("JAX", "jax.dlpack.from_dlpack(x)", jax.dlpack.from_dlpack, to_jax(False))
        out("JAX", "tenure.to_jax(x)", tenure.to_jax, to_jax(True))
        out("JAX", "jax.numpy.asarray(x)", lambda x: jax.numpy.asarray(x).block_until_ready(), jax_numpy)
        back("JAX", "tenure.from_dlpack(j)", of_jax, tenure.from_dlpack, from_others)
        back("JAX", "tenure.from_buffer(j)", of_jax, tenure.from_buffer, from_jax_buffer)
        back("JAX", "tenure.asarray(j)", of_jax, tenure.asarray, from_others)
    if torch is not None:
        out("PyTorch", "torch.from_dlpack(x)", torch.from_dlpack, to_torch("nothing"))
        out("PyTorch", "tenure.to_torch(x)", tenure.to_torch, to_torch("writes"))
        out("PyTorch", "tenure.to_torch(x, reads=True)", lambda x: tenure.to_torch(x, reads=True), to_torch("reads"))
        out("PyTorch", "torch.as_tensor(x)", torch.as_tensor, to_torch("nothing"))
        back("PyTorch", "tenure.from_dlpack(t)", of_torch, tenure.from_dlpack, from_others)
        back("PyTorch", "tenure.asarray(t)", of_torch, tenure.asarray, from_others)
    return found


def cases():
    return [Case(dtype, layout, readonly) for layout in LAYOUTS for readonly in (False, True) for dtype in DTYPES]


# ---- from one library through Tenure to another

PRODUCERS = {"NumPy": of_numpy, "pyarrow": of_arrow, "JAX": of_jax, "PyTorch": of_torch}


def through(consumer: str, x: tenure.Array):
    """The consumer's object on a Tenure array that is an alias of another library's."""
    if consumer == "NumPy":
        return np.from_dlpack(x)
    if consumer == "pyarrow":
        return pyarrow.py_buffer(x)
    if consumer == "JAX":
        return tenure.to_jax(x)
    return tenure.to_torch(x, reads=x.flags.readonly)


def pair_rule(consumer: str, case: Case):
    """The result as for a Tenure array: the next library does not see where the bytes come from."""
    ours = Case(case.dtype, case.layout, case.readonly)
    rules = {
        "NumPy": to_numpy(Refused(RuntimeError, BufferError)),
        "pyarrow": to_arrow,
        "JAX": to_jax(True),
        "PyTorch": to_torch("reads" if reads(case) else "writes"),
    }
    return rules[consumer](ours)


def pair(producer: str, consumer: str, case: Case):
    """The result, as of `observe`."""
    if case.layout == "unaligned":
        return None
    start = PRODUCERS[producer](case)
    if start is None:
        return None
    x = tenure.from_dlpack(start)
    try:
        end = through(consumer, x)
    except Exception as error:
        return f"{type(error).__name__}: {said(error)}", type(error)
    if x.size == 0:
        return EMPTY, None
    if address(end) != address(start):
        return COPY, None
    return (READS if readonly(end) else ALIAS), None


def agrees(seen, expected) -> bool:
    """Whether the result follows the rule."""
    outcome, error = seen
    if isinstance(expected, Refused):
        return error is not None and issubclass(error, expected.classes)
    return outcome == expected


# ---- the document

ORDER = {name: at for at, name in enumerate(DTYPES)}


def names(dtypes, there) -> str:
    """A short name for a set of the library's element types."""
    left = [name for name in there if name not in dtypes]
    if not left:
        return "all" if len(there) == len(DTYPES) else "all that it has"
    if len(left) <= 3:
        return "all but " + ", ".join(left)
    return ", ".join(sorted(dtypes, key=ORDER.get))


def table(crossing: Crossing, notes: dict[str, int]) -> list[str]:
    """A row for each layout, a column for each set of element types with equal results."""
    columns = collections.defaultdict(list)
    for dtype in DTYPES:
        outcomes = []
        for layout in LAYOUTS:
            for access in (False, True):
                seen = observe(crossing, Case(dtype, layout, access))
                expected = crossing.rule(Case(dtype, layout, access))
                assert seen is None or agrees(seen, expected), (crossing.name, dtype, layout, access, seen, expected)
                outcomes.append(None if seen is None else seen[0])
        columns[tuple(outcomes)].append(dtype)
    columns = {column: dtypes for column, dtypes in columns.items() if any(column)}
    there = [name for name in DTYPES if any(name in dtypes for dtypes in columns.values())]
    heads, cells = [], []
    for column, dtypes in columns.items():
        writable, read_only = column[::2], column[1::2]
        both = [(w, r) for w, r in zip(writable, read_only)]
        if all(w == r for w, r in both):
            heads.append(names(dtypes, there))
            cells.append(writable)
            continue
        for access, part in (("", writable), (", read-only", read_only)):
            if any(part):
                heads.append(names(dtypes, there) + access)
                cells.append(part)
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for row, layout in enumerate(LAYOUTS):
        if any(column[row] for column in cells):
            lines.append(f"| {layout} | " + " | ".join(cell(column[row], notes) for column in cells) + " |")
    return lines


def cell(outcome, notes) -> str:
    if outcome is None:
        return ""
    if ": " not in outcome:
        return outcome
    return f"refused ({notes.setdefault(outcome, len(notes) + 1)})"


def section(library: str) -> str:
    """The section of one library, from the observed results."""
    module = LIBRARIES[library]
    notes: dict[str, int] = {}
    lines = [f"## {library} {module.__version__}", ""]
    for outward, title in ((True, "From Tenure to"), (False, "To Tenure from")):
        lines += [f"### {title} {library}", ""]
        alike = collections.defaultdict(list)
        for crossing in crossings():
            if crossing.library == library and crossing.outward == outward:
                alike["\n".join(table(crossing, notes))].append(f"`{crossing.name}`")
        for rows, same in alike.items():
            lines += [", ".join(same) + ":", "", rows, ""]
    earlier = list(LIBRARIES)[: list(LIBRARIES).index(library) + 1]
    lines += [f"### Between {library} and the libraries above, through Tenure", ""]
    lines += ["| from | to | alias | alias, read-only | copy | refused | nothing to share |", "|---|---|---|---|---|---|---|"]
    pairs = [(producer, library) for producer in earlier] + [(library, consumer) for consumer in earlier[:-1]]
    for producer, consumer in pairs:
        count = collections.Counter()
        for case in cases():
            seen = pair(producer, consumer, case)
            if seen is not None:
                assert agrees(seen, pair_rule(consumer, case)), (producer, consumer, case, seen)
                count["refused" if seen[1] else seen[0]] += 1
        numbers = " | ".join(str(count[what] or "-") for what in (ALIAS, READS, COPY, "refused", EMPTY))
        lines.append(f"| {producer} | {consumer} | {numbers} |")
    lines.append("")
    if notes:
        lines += ["Refusals:", ""]
        for text, number in notes.items():
            kind, text = text.split(": ", 1)
            lines.append(f"{number}. `{kind}`: {text.replace('|', '/').replace('<', '&lt;')}")
        lines.append("")
    return "\n".join(lines)


HEAD = """# Exchange with other libraries

This page lists which arrays Tenure and other libraries share, by element type and layout. `cargo xtask interop` writes it
from test results with the versions named below. The results must agree with the rules in `bindings/python/tests/matrix.py`.
`cargo xtask test` fails if the page is out of date for an installed library.

- *alias*: both sides have one address and the same strides, and each sees the writes of the other.
- *alias, read-only*: an alias that the receiving side marks as not writable.
- *copy*: new bytes. The other library makes the copy; for Arrow, Tenure does.
- *refused*: an exception, numbered below the tables. Nothing was held or copied.
- An empty cell: the library has no such array.

`x` is a `tenure.Array`; every other letter is an array of the library. The columns that end in *read-only* are for arrays
that must not be written: read-only handles of Tenure, or arrays that a library marks as read-only.

**PyTorch** has no read-only flag and ignores ours, so `torch.from_dlpack` returns a tensor that could write.
`tenure.to_torch` refuses such arrays, unless the caller promises only to read (`reads=True`).

**JAX** arrays never change, and JAX requests a DLPack struct that has no read-only flag. `tenure.to_jax` therefore exports
the array for reading: Tenure refuses writes while the JAX array lives. These results are with `jax_enable_x64`. Without it,
JAX narrows 64-bit elements in a copy, which `tenure.to_jax` refuses.

| layout | meaning |
|---|---|
"""


def document(old: str) -> str:
    """The document; sections of libraries that are not installed stay unchanged."""
    parts = dict(split(old))
    text = HEAD + "".join(f"| {layout} | {MEANING[layout]} |\n" for layout in LAYOUTS) + "\n"
    for library, module in LIBRARIES.items():
        text += section(library) + "\n" if module is not None else parts.get(library, "")
    # `gpu_matrix.py` writes the last two sections, which need a driver.
    text += parts.get("Libraries", "") + parts.get("Streams", "")
    return text.rstrip("\n") + "\n"


def split(old: str) -> list[tuple[str, str]]:
    """The sections of the document by library."""
    found = []
    for part in re.split(r"(?m)^(?=## )", old)[1:]:
        found.append((part.split()[1], part.rstrip("\n") + "\n\n"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="docs/interop.md from what happens")
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--check", metavar="FILE")
    options = parser.parse_args()
    file = options.write or options.check or parser.error("one of --write and --check")
    old = open(file).read() if os.path.exists(file) else ""
    new = document(old)
    gc.collect()
    missing = [library for library, module in LIBRARIES.items() if module is None]
    if missing:
        print(f"not installed, taken as it stands: {', '.join(missing)}")
    if options.check and new != old:
        sys.exit(f"{file} is out of date: cargo xtask interop")
    if options.write:
        with open(file, "w") as out:
            out.write(new)
        print(f"{file}: written")
    left = tenure.leaks()
    if left:
        sys.exit(f"not given back: {left}")


if __name__ == "__main__":
    main()
