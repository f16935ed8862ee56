"""What type checkers find out about the package: `assert_type` states it. test_types.py runs mypy and pyright on this file."""

from typing import Any, assert_type

import numpy as np

import tenure
import tenure.numpy

F64 = np.dtype[np.float64]
F32 = np.dtype[np.float32]

# Creation
assert_type(tenure.zeros(3), tenure.Array[tuple[int], F64])
assert_type(tenure.ones((2, 3)), tenure.Array[tuple[int, int], F64])
assert_type(tenure.empty((2, 3), np.float32, name="x"), tenure.Array[tuple[int, int], F32])
assert_type(tenure.zeros(3, np.float32), tenure.Array[tuple[int], F32])
assert_type(tenure.zeros([2, 3], "int8"), tenure.Array)
n = np.ones((2, 3))
assert_type(tenure.asarray(n), tenure.Array[tuple[int, int], F64])
assert_type(tenure.array([1.0, 2.0], np.float32), tenure.Array[tuple[Any, ...], F32])

x = tenure.zeros((2, 3), np.float32)
assert_type(tenure.zeros_like(x), tenure.Array[tuple[int, int], F32])
assert_type(x.shape, tuple[int, int])
assert_type(x.dtype, F32)
assert_type(x.clone(), tenure.Array[tuple[int, int], F32])
assert_type(x.astype(np.float64), tenure.Array[tuple[int, int], F64])
assert_type(x.T, tenure.Array[tuple[Any, ...], F32])
assert_type(x.ravel(), tenure.Array[tuple[int], F32])
assert_type(np.asarray(x), np.ndarray[tuple[Any, ...], F32])
assert_type(x.to_numpy(), np.ndarray[tuple[int, int], F32])

# Borrows
with x.read() as view:
    assert_type(view, np.ndarray[tuple[int, int], F32])
with x.write() as view:
    view += 1
with tenure.access(read=[x]) as views:
    pass
with tenure.numpy.write(n) as same:
    assert_type(same, np.ndarray[tuple[int, int], F64])


# Ownership
@tenure.takes
def total(a: tenure.Array, scale: float = 1.0) -> float:
    return float(np.asarray(a).sum()) * scale


assert_type(total(tenure.give(x)), float)


def of_any_shape(a: tenure.Array) -> str:
    return a.name


def of_a_matrix(a: tenure.Array[tuple[int, int], F64]) -> tuple[int, int]:
    return a.shape


of_any_shape(tenure.zeros(3))
of_a_matrix(tenure.zeros((2, 3)))
of_a_matrix(tenure.zeros(3))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
