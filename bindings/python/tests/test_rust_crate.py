"""The crate tenure-rs in Python's process: one library, and each language sees the other's handles and borrows."""

import os
import pathlib
import shutil
import subprocess
import sys
import textwrap

import pytest
import tenure

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The crate's example, linked with the library that this package loads."""
    if shutil.which("cargo") is None or not (ROOT / "Cargo.lock").exists():
        pytest.skip("no cargo, or no sources")
    folder = tmp_path_factory.mktemp("library")
    for name in ["libtenure.so", "libtenure.so.0"]:
        (folder / name).symlink_to(tenure.get_library())
    target = ROOT / "target" / "rust-in-python"
    build = ["cargo", "build", "--quiet", "--locked", "-p", "tenure-rs", "--no-default-features", "--example", "handover"]
    # A flag of the usual tests would build the example's dependencies another time.
    environment = os.environ | {"TENURE_LIB_DIR": str(folder), "CARGO_TARGET_DIR": str(target)}
    subprocess.run(build, cwd=ROOT, env=environment, check=True, timeout=900)
    return target / "debug" / "examples" / "libhandover.so"


@pytest.mark.parametrize("first", ["rust = ctypes.CDLL(sys.argv[1]); import tenure", "import tenure; rust = ctypes.CDLL(sys.argv[1])"])
def test_rust_and_python_share_one_library(example, first):
    program = f"import ctypes, sys, numpy\n{first}\n" + textwrap.dedent(
        """
        from ctypes import byref, c_double, c_void_p
        from tenure import Status

        loaded = {line.split()[-1] for line in open("/proc/self/maps") if "libtenure.so" in line}
        assert len(loaded) == 1, loaded

        # Python gives, Rust takes and writes in place, Python takes the result: the same bytes.
        x = tenure.array([1.0, 2.0, 3.0], name="x")
        address = numpy.asarray(x).ctypes.data
        out = c_void_p()
        tenure.check(rust.handover_scale(c_void_p(tenure.give(x).detach()), c_double(2.0), byref(out)))
        y = tenure.from_handle(out.value)
        assert y.tolist() == [2.0, 4.0, 6.0] and numpy.asarray(y).ctypes.data == address
        try:
            x.tolist()
        except tenure.OwnershipError as error:
            assert error.status == Status.DESTRUCTED, error
        else:
            raise AssertionError("the giver's handle is still good")

        # Rust's guards are refused while Python reads.
        with y.read():
            status = rust.handover_overwrite(c_void_p(y.handle))
        assert status == Status.BORROWED, status
        assert y.tolist() == [2.0, 4.0, 6.0]
        tenure.check(rust.handover_overwrite(c_void_p(y.handle)))
        assert y.tolist() == [0.0, 0.0, 0.0]
        del x, y
        assert not tenure.leaks()
        """
    )
    done = subprocess.run([sys.executable, "-c", program, example], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
