"""Products by the OpenBLAS that NumPy has loaded (EX-50 to EX-53)."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tenure


def run(code):
    """Runs code in a process of its own, which has its own options and libraries."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def found():
    """Whether this NumPy brings an OpenBLAS that the library can use."""
    code = """
        import numpy, tenure
        x = tenure.lazy(tenure.zeros((1024, 1024)))
        print((x @ x).explain().count("by OpenBLAS"))
    """
    if run(code) != ["1"]:
        pytest.skip("this NumPy has no OpenBLAS with threads")


@pytest.fixture
def engine():
    """Sets the option, which is restored."""
    yield lambda value: tenure.option("expr.blas", value)
    tenure.option("expr.blas", "auto")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_ex_50_a_large_product_equals_that_of_numpy(found, engine, dtype):
    assert tenure.option("expr.blas") == "auto"
    random = np.random.default_rng(1)
    a, b = (random.standard_normal((1200, 1200)).astype(dtype) for _ in range(2))
    x, y = tenure.array(a), tenure.array(b)
    product = tenure.lazy(x) @ tenure.lazy(y)
    assert "a new array, by OpenBLAS" in product.explain()
    near = {"rtol": 0, "atol": 1200 * np.finfo(dtype).eps * 10}
    np.testing.assert_allclose(np.asarray(product.compute()), a @ b, **near)
    engine("faer")
    again = tenure.lazy(x) @ tenure.lazy(y)
    assert "OpenBLAS" not in again.explain()
    np.testing.assert_allclose(np.asarray(again.compute()), a @ b, **near)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", ["C", "F", "columns", "strided"])
def test_ex_51_layouts(found, engine, layout, dtype):
    random = np.random.default_rng(2)
    a, b = random.standard_normal((33, 50)).astype(dtype), random.standard_normal((50, 18)).astype(dtype)
    engine("openblas")
    large = tenure.array(np.zeros((66, 100), dtype))
    x = {
        "C": lambda: tenure.array(a),
        "F": lambda: tenure.array(a.T).T,
        "columns": lambda: large[:33, 7:57],
        "strided": lambda: large[::2, ::2],
    }[layout]()
    if layout in ("columns", "strided"):
        x.copy_from(tenure.array(a))
    product = tenure.lazy(x) @ tenure.lazy(tenure.array(b))
    assert ("by OpenBLAS" in product.explain()) == (layout != "strided")
    np.testing.assert_allclose(np.asarray(product.compute()), a @ b, rtol=0, atol=500 * np.finfo(dtype).eps)
