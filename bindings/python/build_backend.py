"""The build backend of pip: cargo builds the library that the wheel ships, and maturin the wheel.

Needs Rust and a linker. With a C++ compiler the wheel also has the functions that PyTorch loads. It works in the sources of a release and in
the repository, where ``cargo xtask wheel`` makes the wheels that are shipped.
"""

import os
import shutil
import subprocess
from pathlib import Path

from maturin import *  # noqa: F403
from maturin import build_editable as _build_editable
from maturin import build_wheel as _build_wheel

_PACKAGE = Path(__file__).resolve().parent / "python" / "tenure"
_ROOT = _PACKAGE.parents[3]
# Each in the folder that has it in the repository.
_HEADERS = ["include/*", "bindings/cpp/tenure*.hpp", "bindings/python/include/*.h"]


def _stage() -> None:
    """Puts the library, the headers and PyTorch's functions into the package."""
    folder = _ROOT / "target" / "libraries"
    cargo = [os.environ.get("CARGO", "cargo"), "rustc", "--release", "--locked", "--lib", "--crate-type", "cdylib"]
    subprocess.run([*cargo, "--package", "tenure", "--target-dir", folder], cwd=_ROOT, check=True)
    library = _PACKAGE / "libtenure.so.0"
    shutil.copy2(folder / "release" / "libtenure.so", library)
    include = _PACKAGE / "include"
    include.mkdir(exist_ok=True)
    for header in (path for pattern in _HEADERS for path in _ROOT.glob(pattern)):
        shutil.copy2(header, include)
    shim = _PACKAGE / "libtenure_torch.so"
    shim.unlink(missing_ok=True)
    if compiler := shutil.which("c++"):
        options = ["-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-rpath,$ORIGIN"]
        source = _ROOT / "bindings" / "python" / "cpp" / "torch.cpp"
        subprocess.run([compiler, *options, "-I", include, source, library, "-o", shim], check=True)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    _stage()
    return _build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    _stage()
    return _build_editable(wheel_directory, config_settings, metadata_directory)
