"""The table of names in docs/migration/numba.md: numba-cuda's names for host code, and what Tenure has for each.

    python numba_names.py --write FILE    writes the table between its marks in docs/migration/numba.md
    python numba_names.py --check FILE    fails if the table differs from what is there
    python numba_names.py --record        writes numba_names.txt, the names and parameters of the installed numba-cuda

What Tenure has is looked up, and its parameters are compared. Only the words for what it has not are written by hand, in `INSTEAD`; a
name with neither fails. `cargo xtask interop` writes the table, `cargo xtask sim-peers` compares the record with numba-cuda.
"""

import argparse
import inspect
import pathlib
import re
import sys

RECORD = pathlib.Path(__file__).with_name("numba_names.txt")
MARKS = ("<!-- names: cargo xtask interop -->\n", "<!-- end -->\n")
# Modules of numba-cuda whose functions and classes are for host code.
HOST = ("numba.cuda.api", "numba.cuda.args", "numba.cuda.cudadrv", "numba.cuda.device_init")
KERNELS = "kernels are CUDA C++: [kernels.md](../kernels.md)"
PLUGIN = "`tenure.numba.install(pool)` is Numba's memory manager"
CONTEXT = "no contexts: each GPU's primary one is used"
INSTEAD = {
    "cuda.Archive, CUSource, Cubin, Fatbin, LTOIR, LinkableCode, Object, PTXSource": "`tenure.cuda.Module(image)`",
    "cuda.BaseCUDAMemoryManager, GetIpcHandleMixin, HostOnlyCUDAMemoryManager, set_memory_manager": PLUGIN,
    "cuda.IpcHandle, open_ipc_array": "`tenure.shared_empty(shape, device=\"cuda:0\")`: [processes.md](../processes.md)",
    "cuda.MappedMemory, MemoryPointer, PinnedMemory": "`tenure.Array`, `tenure.Pool`",
    "cuda.In, InOut, Out": "`tenure.launch` borrows its arguments",
    "cuda.CudaSupportError, cuda_error": "`tenure.UnsupportedError`, raised by the call that needs a GPU",
    "cuda.close, current_context, require_context": CONTEXT,
    "cuda.is_bfloat16_supported, is_float16_supported, is_fp8_supported": KERNELS,
    "cuda.is_supported_version, runtime": "needs no CUDA runtime",
    "cuda.prepare_shape_strides_dtype": "an internal function",
    "cuda.profile_start, profile_stop, profiling": "`nsys` without them; `tenure.record_events` logs memory",
    "DeviceNDArray.as_cuda_arg, device_ctypes_pointer": "`with d.on(s) as view: view.pointer`",
    "DeviceNDArray.bind": "the library orders the streams",
    "DeviceNDArray.get_ipc_handle": "`tenure.shared_empty(shape, device=\"cuda:0\")`: [processes.md](../processes.md)",
    "DeviceNDArray.getitem, setitem": "`with s: d[...]`",
    "Stream.add_callback, async_done": "`await s.done()`",
}


def of_numba() -> str:
    """The record of the installed numba-cuda: a line for each name, with its parameters."""
    import numba_cuda
    from numba import cuda
    from numba.cuda.cudadrv.devicearray import DeviceNDArray
    from numba.cuda.cudadrv.driver import Event, Stream

    def is_of_host(value):
        return not inspect.ismodule(value) and str(getattr(value, "__module__", "")).startswith(HOST)

    lines = [f"numba-cuda {numba_cuda.__version__}"]
    for kind, owner in (("cuda", cuda), ("DeviceNDArray", DeviceNDArray), ("Stream", Stream), ("Event", Event)):
        for name in sorted(dir(owner)):
            value = inspect.getattr_static(owner, name)
            value = inspect.unwrap(value) if inspect.isfunction(value) else value
            if name.startswith("_") or (kind == "cuda" and not is_of_host(value)):
                continue
            lines.append(f"{kind}.{name}" + _parameters(value if inspect.isfunction(value) else None))
    return "\n".join(lines) + "\n"


def _parameters(function) -> str:
    """`(shape, dtype, *rest)`, without self; nothing for what is no function."""
    if function is None:
        return ""
    shown = [{"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(p.kind.name, "") + p.name for p in inspect.signature(function).parameters.values()]
    return f"({', '.join(name for name in shown if name not in ('self', '$self'))})"


def _takes(parameters: str, ours) -> bool:
    """Whether ours takes as many parameters in the same positions; names of the first ones may differ."""
    try:
        own = [parameter for name, parameter in inspect.signature(ours).parameters.items() if name != "self"]
    except (TypeError, ValueError):
        return True  # some builtins have none
    names = [name for name in parameters.strip("()").split(", ") if name and not name.startswith("*")]
    try:
        inspect.Signature(own).bind(*names)
    except TypeError:
        return False
    # One that both have stands in the same position.
    positions = {parameter.name: at for at, parameter in enumerate(own)}
    return all(positions.get(name, at) == at for at, name in enumerate(names))


def table(record: str) -> str:
    """The table of a record, by what Tenure has now."""
    import tenure

    owners = {"cuda": tenure.cuda, "DeviceNDArray": tenure.Array, "Stream": tenure.cuda.Stream, "Event": tenure.cuda.Event}
    words = {}
    for names, instead in INSTEAD.items():
        kind, first = names.split(".")
        words |= {f"{kind}.{name}": instead for name in first.split(", ")}
    version, *lines = record.splitlines()
    same: dict[str, list[str]] = {kind: [] for kind in owners}
    differs: dict[str, list[str]] = {}
    for line in lines:
        kind, name, parameters = re.fullmatch(r"(\w+)\.(\w+)(\(.*\))?", line).groups()
        ours = getattr(owners[kind], name, None)
        if ours is not None:
            if parameters and callable(ours) and not _takes(parameters, ours):
                raise SystemExit(f"tenure's {kind}.{name}{inspect.signature(ours)} does not take numba's {parameters}")
            same[kind].append(f"`{name}`")
        elif f"{kind}.{name}" in words:
            differs.setdefault(f"`{kind}` | {words.pop(f'{kind}.{name}')}", []).append(f"`{name}`")
        else:
            raise SystemExit(f"{kind}.{name} of {version} is neither in Tenure nor in INSTEAD")
    if words:
        raise SystemExit(f"INSTEAD has names that Tenure has now, or that {version} lacks: {', '.join(words)}")
    titles = {"cuda": "`numba.cuda` and `tenure.cuda`", "DeviceNDArray": "`DeviceNDArray` and `tenure.Array`"}
    text = f"Of {version}, the names for host code that both have, with the same parameters in the same positions:\n\n| in | names |\n|---|---|\n"
    for kind, names in same.items():
        text += f"| {titles.get(kind, f'`{kind}` of both')} | {', '.join(names)} |\n"
    text += "\nIts other names for host code:\n\n| names | of | instead |\n|---|---|---|\n"
    for key, names in differs.items():
        text += f"| {', '.join(names)} | {key} |\n"
    return text


def document(old: str) -> str:
    """The page with the table of today."""
    before, rest = old.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    return before + MARKS[0] + "\n" + table(RECORD.read_text()) + "\n" + MARKS[1] + after


def main() -> None:
    parser = argparse.ArgumentParser(description="the table of names in docs/migration/numba.md")
    parser.add_argument("--write", metavar="FILE")
    parser.add_argument("--check", metavar="FILE")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if options.record:
        RECORD.write_text(of_numba())
        return
    page = pathlib.Path(options.write or options.check or parser.error("one of --write, --check and --record"))
    old = page.read_text()
    new = document(old)
    if options.check and new != old:
        sys.exit(f"{page} is out of date: cargo xtask interop")
    if options.write:
        page.write_text(new)
        print(f"{page}: written")


if __name__ == "__main__":
    main()
