"""A real extension, built with rust-numpy, and Tenure's borrows: each sees the other's (NB-6 to NB-8)."""

import pathlib
import shutil
import subprocess
import sys
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the extension."""
    if shutil.which("cargo") is None or not (ROOT / "Cargo.lock").exists():
        pytest.skip("no cargo, or no sources")
    subprocess.run(["cargo", "build", "--quiet", "--locked", "-p", "rust-numpy-extension"], cwd=ROOT, check=True, timeout=900)
    folder = tmp_path_factory.mktemp("extension")
    shutil.copy(ROOT / "target/debug/librust_numpy_extension.so", folder / "rust_numpy_extension.abi3.so")
    return folder


def run(folder, program):
    """A fresh interpreter: the flags of a process are put there once."""
    first = "import sys; sys.path.insert(0, sys.argv[1])\nimport numpy, rust_numpy_extension as rust\n"
    done = subprocess.run(
        [sys.executable, "-c", first + textwrap.dedent(program), folder], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


# NB-6, NB-7
def test_nb_6_tenure_came_first(folder):
    run(
        folder,
        """
        import tenure, tenure.numpy
        assert tenure.numpy.publish() == "tenure"
        a, x = numpy.zeros((4, 6)), tenure.zeros(6, name="x")
        n = numpy.asarray(x)
        refused = []
        def inside(action):
            def f():
                try:
                    action()
                except tenure.OwnershipError as error:
                    refused.append(str(error))
            return f
        def enter(block):
            with block:
                pass

        # Tenure sees the extension's borrows, with the line that called it.
        rust.write_while(n, inside(lambda: x.copy()))
        assert refused and '"x" is borrowed for writing (at <string>' in refused.pop(), refused
        rust.read_while(n, inside(lambda: x.fill(1)))
        assert "borrowed for reading" in refused.pop()
        rust.write_while(a[:, ::2], inside(lambda: enter(tenure.numpy.read(a))))
        assert refused.pop()
        rust.write_while(a[:, ::2], inside(lambda: enter(tenure.numpy.write(a[:, 1::2]))))
        assert not refused and x.tolist() == [1.0] * 6 and not tenure.leaks()[2:]

        # The extension sees Tenure's.
        def fails(call, array):
            try:
                call(array, lambda: None)
            except TypeError as error:
                return True
        with x.read():
            rust.read_while(n, lambda: None)
            assert fails(rust.write_while, n)
            assert '"x"' in tenure.numpy.last_refusal() or "borrowed for reading" in tenure.numpy.last_refusal()
        with tenure.numpy.write(a[0]):
            assert fails(rust.read_while, a) and fails(rust.write_while, a.T)
            rust.write_while(a[1:], lambda: None)
        a.flags.writeable = False
        assert fails(rust.write_while, a)

        # And its own, in two borrows at once.
        b = numpy.zeros(4)
        rust.read_while(b, lambda: rust.read_while(b[1:], lambda: None))
        rust.write_while(b[:2], lambda: rust.write_while(b[2:], lambda: None))
        outcome = []
        rust.write_while(b, lambda: outcome.append(fails(rust.read_while, b[:1])))
        assert outcome == [True] and b.tolist() == [2.0] * 4
        """,
    )


# NB-8
def test_nb_8_the_extension_came_first(folder):
    run(
        folder,
        """
        a = numpy.zeros(6)
        rust.read_while(a, lambda: None)
        import tenure, tenure.numpy
        assert tenure.numpy.publish() == "rust-numpy"
        outcome = []
        def writes():
            try:
                with tenure.numpy.write(a):
                    outcome.append("written")
            except tenure.OwnershipError as error:
                outcome.append(str(error))
        rust.read_while(a, writes)
        assert "rust-numpy" in outcome.pop()
        writes()
        assert outcome == ["written"]
        with tenure.numpy.read(a):
            rust.read_while(a, lambda: None)
            try:
                rust.write_while(a, lambda: None)
                raise AssertionError
            except TypeError:
                pass
        rust.write_while(a, lambda: None)
        assert a.tolist() == [1.0] * 6 and not tenure.leaks()
        """,
    )
