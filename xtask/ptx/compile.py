"""Compiles CUDA C++ to PTX with NVRTC, or PTX for a list of GPUs with ptxas. Run by `cargo xtask ptx`.

    compile.py ptx SOURCE OPTION ...    prints the PTX
    compile.py ptxas PTX GPU ...        compiles the PTX for each GPU; prints the registers and the memory of each kernel
"""

import ctypes
import pathlib
import subprocess
import sys
import tempfile

import nvidia

FOLDER = pathlib.Path(nvidia.__file__ or list(nvidia.__path__)[0] + "/x").parent


def library(pattern):
    found = sorted((FOLDER / "cuda_nvrtc/lib").glob(pattern))
    if not found:
        sys.exit(f"no {pattern} below {FOLDER}")
    # NVRTC looks for its builtins among the libraries that are loaded already.
    return ctypes.CDLL(str(found[0]), mode=ctypes.RTLD_GLOBAL)


def text_of(nvrtc, program, what):
    """The log or the PTX of a program."""
    size = ctypes.c_size_t()
    if getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) != 0:
        return ""
    buffer = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, buffer)
    return buffer.value.decode()


def ptx(source, options):
    library("libnvrtc-builtins.so.*")
    nvrtc = library("libnvrtc.so.*")
    program = ctypes.c_void_p()
    path = pathlib.Path(source)
    # The name is part of the PTX, so it has no folder.
    created = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), path.read_bytes(), path.name.encode(), 0, None, None
    )
    if created != 0:
        sys.exit(f"nvrtcCreateProgram: {created}")
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    code = nvrtc.nvrtcCompileProgram(program, len(options), given)
    log = text_of(nvrtc, program, "ProgramLog")
    if log:
        print(log, file=sys.stderr)
    if code != 0:
        sys.exit(f"nvrtcCompileProgram: {code}")
    sys.stdout.write(text_of(nvrtc, program, "PTX"))


def ptxas(source, gpus):
    with tempfile.TemporaryDirectory() as folder:
        for gpu in gpus:
            command = [FOLDER / "cuda_nvcc/bin/ptxas", "-v", f"-arch={gpu}", source, "-o", f"{folder}/{gpu}"]
            ended = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            used = [line.split(":", 1)[1].strip() for line in ended.stderr.splitlines() if "Used" in line]
            largest = max(used, default="", key=lambda line: int(line.split()[1]))
            print(f"{gpu}: {len(used)} kernels, the largest: {largest}")
            spills = ended.stderr.count("spill stores") != ended.stderr.count(" 0 bytes spill stores")
            if ended.returncode != 0 or not used or spills:
                sys.exit(f"{gpu}: {ended.stderr}")


if __name__ == "__main__":
    {"ptx": ptx, "ptxas": ptxas}[sys.argv[1]](sys.argv[2], sys.argv[3:])
