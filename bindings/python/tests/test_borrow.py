"""Guards as context managers (PY-7, PY-16), and the uses that they refuse."""

import contextlib
import copy
import hashlib
import io
import pickle
import socket
import struct
import sys
import tempfile
import threading
import types
import zlib

import numpy as np
import pytest

import tenure
from tenure import Status, Why, _types


# PY-7, BR-2, BR-3
def test_a_block_borrows_until_its_end(refused):
    x = tenure.zeros((2, 3), name="x")
    with x.write() as view:
        assert type(view) is np.ndarray and view.flags.writeable and view.shape == (2, 3)
        view += 1.0
        refused(Status.BORROWED_WRITE, x.copy)
        refused(Status.BORROWED_WRITE, x.fill, 0)
        assert x.why_not() == Why.BORROWED
    assert x.why_not() == 0 and x.tolist() == [[1.0] * 3] * 2
    with x.read() as view:
        assert not view.flags.writeable and view[1, 2] == 1.0
        with pytest.raises(ValueError):
            view[0, 0] = 2
        with x.read() as other:  # BR-1
            assert other[0, 0] == 1.0
        refused(Status.BORROWED, x.fill, 0)
    x.fill(0)


def ended_view(x, of=None):
    with x.write() if of is None else of as view:
        if of is None:
            view[...] = 5
    return view


def to_socket(view):
    a, b = socket.socketpair()
    with a, b:
        a.sendall(view)


def to_file(write):
    with tempfile.TemporaryFile() as file:
        write(file)


# Each reads the elements of a NumPy array `v`.
READS = (
    lambda v: v + 1,
    lambda v: 1 + v,
    lambda v: np.ones(3) + v,
    lambda v: v == 1,
    lambda v: 1 in v,
    lambda v: v @ np.ones(3),
    lambda v: v[0],
    lambda v: v[:2],
    lambda v: v[...],
    lambda v: v[()],
    lambda v: v[v > 0],
    lambda v: next(iter(v)),
    lambda v: list(v),
    lambda v: len(v),
    lambda v: bool(v),
    lambda v: float(v),
    lambda v: v.sum(),
    lambda v: v.max(),
    lambda v: v.argmax(),
    lambda v: v.mean(),
    lambda v: v.cumsum(),
    lambda v: v.tolist(),
    lambda v: v.tobytes(),
    lambda v: to_file(v.tofile),
    lambda v: v.item(0),
    lambda v: v.copy(),
    lambda v: v.astype("f4"),
    lambda v: v.view("u1"),
    lambda v: v.reshape(-1),
    lambda v: v.T,
    lambda v: v.flat,
    lambda v: v.shape,
    lambda v: v.size,
    lambda v: v.dtype,
    lambda v: v.data,
    lambda v: v.ctypes,
    lambda v: v.__array_interface__,
    lambda v: v.__array_struct__,
    lambda v: v.__dlpack__(),
    lambda v: np.from_dlpack(v),
    lambda v: np.add(v, 1),
    lambda v: np.sqrt(v),
    lambda v: np.sum(v),
    lambda v: np.sort(v),
    lambda v: np.where(v, 1, 0),
    lambda v: np.concatenate([v, v]),
    lambda v: np.array_equal(v, v),
    lambda v: np.allclose(v, 5),
    lambda v: np.count_nonzero(v),
    lambda v: np.unique(v),
    lambda v: np.linalg.norm(v),
    lambda v: copy.copy(v),
    lambda v: copy.deepcopy(v),
    lambda v: pickle.dumps(v, 5),
    lambda v: to_file(lambda file: np.save(file, v)),
    # By the buffer protocol, which no method takes part in.
    bytes,
    bytearray,
    memoryview,
    lambda v: np.frombuffer(v, "u1"),
    lambda v: hashlib.sha256(v),
    lambda v: zlib.crc32(v),
    lambda v: struct.unpack_from("d", v),
    lambda v: io.BytesIO(v),
    lambda v: io.BytesIO().write(v),
    lambda v: to_file(lambda file: file.write(v)),
    to_socket,
)


# PY-7: a view to which only the block's variable refers is invalid after the block
def test_every_use_of_the_view_of_an_ended_block_raises():
    x = tenure.zeros(3)
    view = ended_view(x)
    assert repr(view) == str(view) == f"{view:>4}" == "<view of a borrow that ended>"
    assert isinstance(view, np.ndarray) and not isinstance(view, tenure.Array) and not hasattr(view, "__cuda_array_interface__")
    for number, read in enumerate(READS):
        with pytest.raises(tenure.OwnershipError, match="belonged to a borrow that ended with its `with` block") as refused:
            read(view)
            pytest.fail(f"number {number} of READS")
        assert refused.value.status == Status.STALE
    assert x.tolist() == [5] * 3 and x.is_unique
    parts = ended_view(x, x.split_write(2))
    both = ended_view(x, tenure.access(read=x))
    for one in (*parts, *both, ended_view(x, x.read())):
        with pytest.raises(tenure.OwnershipError):
            one.tobytes()


# PY-7: numpy.asarray does not ask an array. What it gives refers to nothing of the borrow, and nobody takes it for numbers.
def test_an_array_of_the_view_of_an_ended_block_has_no_numbers():
    x = tenure.zeros(3)
    for made in (np.asarray(ended_view(x)), np.array(ended_view(x)), np.ascontiguousarray(ended_view(x))):
        assert "ended" in repr(made) and "ended" in str(made.dtype) and type(made) is np.ndarray
        for use in (
            lambda: made + 1,
            lambda: made.sum(),
            lambda: made.max(),
            lambda: made.argmax(),
            lambda: made == 1,
            lambda: np.sqrt(made),
            lambda: made.astype(float),
            lambda: np.asarray(made, float),
            lambda: float(made[0, 0]),
            lambda: float(made[0, 0][0]),
            lambda: bytes(made),
            lambda: memoryview(made),
            lambda: to_file(lambda file: np.save(file, made)),
            lambda: to_file(made.tofile),
            lambda: tenure.asarray(made),
        ):
            with pytest.raises((TypeError, ValueError, OSError, tenure.Error)):
                use()
    made = np.asarray(ended_view(x))
    with pytest.raises(ValueError, match="read-only"):
        made[...] = made
    for use in (
        lambda: np.frombuffer(made, "u1"),
        lambda: hashlib.sha256(made),
        lambda: io.BytesIO().write(made),
        lambda: to_file(lambda file: file.write(made)),
        lambda: to_socket(made),
    ):
        with pytest.raises((ValueError, BufferError)):
            use()
    assert x.why_not() == 0


# PY-7: writing to an invalid view raises as well; nothing is lost without a sign
def test_a_write_after_the_block_raises():
    x = tenure.zeros((2, 3))
    view = ended_view(x)

    def add():
        nonlocal view
        view += 1

    for write in (
        lambda: view.fill(5),
        lambda: view.put(0, 5),
        lambda: view.sort(),
        lambda: view.setflags(True),
        lambda: view.__setstate__(()),
        lambda: view.__setitem__(..., 5),
        lambda: view.__setitem__(0, 5),
        lambda: setattr(view, "shape", (3, 2)),
        lambda: setattr(view, "__class__", np.ndarray),
        lambda: np.copyto(view, 5),
        lambda: np.add(1, 2, out=view),
        add,
    ):
        with pytest.raises(tenure.OwnershipError, match="ended"):
            write()
    # These replace the message by their own.
    for use in (lambda: io.BytesIO(bytes(48)).readinto(view), lambda: b"".join([view])):
        with pytest.raises(TypeError, match="not tenure.EndedView|tenure.EndedView found"):
            use()
    assert x.tolist() == [[5] * 3] * 2


# PY-7: an ended view is freed with its variable
def test_ended_views_are_freed():
    x = tenure.zeros(3)
    view = ended_view(x)
    before = sys.getrefcount(type(view)), sys.getrefcount(_types.ended)
    views = [ended_view(x) for _ in range(100)]
    more = sys.getrefcount(type(view))
    del views
    after = sys.getrefcount(type(view)), sys.getrefcount(_types.ended)
    assert more == before[0] + 100 and after == before


# PY-7: the bytes are free again when the last part of a view is gone, whatever the block's variable is
def test_a_loop_variable_holds_its_row_alone(refused):
    x = tenure.full((2, 3), 2.0, name="rows")
    total = 0
    with x.read() as view:
        for row in view:
            total += row.sum()
    assert total == 12 and row.tolist() == [2, 2, 2]
    with pytest.raises(tenure.OwnershipError):
        view[0]
    _, text = refused(Status.EXPORTED, x.fill, 1)
    assert "test_borrow.py:" in text and "an ended `with` block or a part of one, such as a loop variable: del it" in text
    del row
    x.fill(1)
    other = tenure.zeros(3)
    kept = np.asarray(other.readonly)
    _, text = refused(Status.EXPORTED, other.fill, 1)
    assert "loop variable" not in text
    del kept
    with x.write() as view:
        first, rest = view[0], view.T[1:]
    first[0] = 7
    assert x[0, 0] == 7 and rest.shape == (2, 2) and x.why_not() == Why.EXPORTED
    del first
    assert x.why_not() == Why.EXPORTED
    del rest
    assert x.why_not() == 0


# PY-7: a view with other references becomes a shared view of the array
def test_a_kept_view_becomes_a_shared_view(refused):
    x = tenure.zeros(3, name="kept")
    with x.write() as view:
        kept = view  # line of the block: 2 above
    assert kept is view and kept.shape == (3,) and kept.flags.writeable
    kept[0] = 4
    with x.read() as reading:
        assert reading[0] == 4
    with x.write() as writing:
        writing[1] = 5
    assert kept.tolist() == [4, 5, 0]
    (export,) = x.why_not().holders
    assert x.why_not() == Why.EXPORTED and export.kind == tenure.HolderKind.EXPORT_SHARED
    assert export.name == "kept" and "test_borrow.py:" in export.site
    assert repr(x.why_not()) == f"<Why.EXPORTED: 8, EXPORT_SHARED 'kept' at {export.site}>" and repr(Why(0)) == "<Why: 0>"
    refused(Status.EXPORTED, x.write("unique").__enter__)
    other = memoryview(kept)  # opened after the block, on the same export
    del view, kept, reading, writing
    assert x.why_not() == Why.EXPORTED and other[0] == 4
    other.release()
    del other
    assert x.why_not() == 0

    with x.read() as view:
        part = view[1:]
    refused(Status.EXPORTED, x.fill, 1)
    assert part.tolist() == [5, 0] and not part.flags.writeable and x.tolist() == [4, 5, 0]
    (export,) = x.why_not().holders
    assert export.kind == tenure.HolderKind.EXPORT_READ
    del part, view
    x.fill(1)

    def returned():
        with x.read() as view:
            return view

    view = returned()
    assert view.tolist() == [1, 1, 1]
    refused(Status.EXPORTED, x.zero)
    del view
    x.zero()


# PY-7: the variable of a plain loop is such a view
def test_a_loop_does_not_keep_the_borrow():
    x = tenure.zeros((2, 3), name="x")
    with x.write() as view:
        for row in view:
            row += 1
    assert x.tolist() == [[1] * 3] * 2
    x.fill(2)
    assert row.tolist() == [2] * 3
    with pytest.raises(ZeroDivisionError):
        with x.write() as view:
            for row in view:
                1 / 0
    assert x.why_not() & Why.POISONED and not x.why_not() & Why.BORROWED
    x.fill(3)
    assert x.tolist() == [[3] * 3] * 2 and row.tolist() == [3] * 3
    del row, view
    assert x.is_unique


# PY-7: the bytes of a view stay, also where the block's variable was bound to it
def test_a_part_keeps_its_bytes_without_the_whole_view():
    x = tenure.full(3, 5.0)
    with x.write() as view:
        view = view[1:]
    assert x.why_not() == Why.EXPORTED
    x.release()
    tenure.full(3, 9.0)
    assert view.tolist() == [5, 5]


# PY-7: as above, where the last reference is not a variable but uses the bytes without one
def test_a_buffer_keeps_its_bytes_without_the_view():
    x = tenure.full(3, 5.0)

    def alone(borrow):
        with borrow as view:
            view = memoryview(view)
        return view

    rest = alone(x.write())
    assert x.why_not() == Why.EXPORTED and rest[0] == 5
    del rest
    assert x.why_not() == 0
    rest = alone(x.read())
    x.release()
    tenure.full(3, 9.0)
    assert rest.tolist() == [5] * 3 and rest.readonly

    x = tenure.zeros(3)
    with contextlib.ExitStack() as stack:
        view = stack.enter_context(x.write())
    assert "ended" in repr(view) and x.why_not() == 0
    with x.split_write(2) as parts:
        pass
    assert "ended" in repr(parts[0]) and x.why_not() == 0

    def references_are_unchanged(y):
        before = sys.getrefcount(y)
        with y.write() as view:
            view[0] = 1
        mine = locals()
        with y.write() as view:
            view[0] = 1
        assert mine["y"] is y and "ended" in repr(view)
        del mine
        with y.write() as view:
            view[0] = 1
        return sys.getrefcount(y) - before

    # Up to CPython 3.12 the frame keeps what `locals()` returned, which has one more reference to `y`.
    assert references_are_unchanged(x) <= 1 and x.is_unique

    def deep(n):
        if n:
            return deep(n - 1)
        holder.view = None
        with x.write() as holder.view:  # an attribute is no variable
            holder.view[0] = 2
        assert x.why_not() == Why.EXPORTED
        holder.view[0] = 3
        del holder.view
        return x[0]

    holder = types.SimpleNamespace()
    assert deep(30) == 3 and x.is_unique


def test_kept_views_of_several_arrays_and_of_parts(refused):
    a, b, c = (tenure.zeros(4, name=n) for n in "abc")
    with tenure.access(read=a, write=(b, c)) as (va, vb, vc):
        head, tail = va[:2], vc[2:]
        del va, vc
    assert a.why_not() == c.why_not() == Why.EXPORTED and b.why_not() == 0
    refused(Status.EXPORTED, a.fill, 1)
    c.fill(1)
    assert tail.tolist() == [1, 1] and head.tolist() == [0, 0]
    del head, tail
    with c.split_write(2) as parts:
        first = parts[0][:1]
        del parts
    first[0] = 7
    assert c.tolist() == [7, 1, 1, 1] and c.why_not() == Why.EXPORTED
    del first
    clone = c.clone()
    with c.write("cow") as view:
        moved = view[:1]
        moved[0] = 9
    assert c.tolist() == [9, 1, 1, 1] and clone.tolist() == [7, 1, 1, 1] and clone.why_not() == 0
    c.release()
    assert moved.tolist() == [9]
    del moved, view, vb
    with b.write() as view:
        kept = view
        b.release()
    assert kept.tolist() == [0] * 4
    del kept, view


# PY-7: strict mode makes that an error
def test_strict_mode_reports_a_kept_view():
    x = tenure.zeros(3)

    def keep(borrow):
        with pytest.raises(BufferError, match="strict"):
            with borrow as view:
                kept = view if type(view) is np.ndarray else view[0]
        assert x.why_not() == Why.EXPORTED
        del kept, view
        assert x.why_not() == 0

    tenure.option("strict", "1")
    try:
        keep(x.read())
        with x.read() as view:
            assert view.shape == (3,)
        with x.write(strict=False) as view:
            kept = view
        del kept, view
    finally:
        tenure.option("strict", "0")
    for borrow in (x.read(strict=True), x.write(strict=True), x.split_write(2, strict=True), tenure.access(x, strict=True)):
        keep(borrow)


# PY-7: the advice inside the block itself
def test_the_array_inside_its_own_write_block(refused):
    x = tenure.zeros(3, name="x")
    with x.write():
        for use in (lambda: x[0], x.tolist, lambda: np.asarray(x), lambda: x.fill(0), x.copy):
            _, text = refused(Status.BORROWED_WRITE, use)
            assert "test_borrow.py:" in text and "use the view: v in `with x.write() as v:`" in text
        assert "use the view" in repr(x)
    borrow = x.write()
    borrow.__enter__()
    refusals = []
    thread = threading.Thread(target=lambda: refusals.append(refused(Status.BORROWED_WRITE, x.tolist)[1]))
    thread.start()
    thread.join()
    assert "use the view" not in refusals[0]
    borrow.__exit__(None, None, None)


# PY-7, BR-40..43: an exception poisons the array, a rewrite heals it
def test_an_exception_poisons(refused):
    x = tenure.zeros(4)
    with pytest.raises(ZeroDivisionError):
        with x[:2].write() as view:
            view[0] = 1
            1 / 0
    refused(Status.POISONED, x.copy)
    kind, _ = refused(Status.POISONED, memoryview, x)
    assert issubclass(kind, BufferError) and issubclass(kind, tenure.OwnershipError)
    assert x.why_not() & Why.POISONED
    assert x[2:].tolist() == [0, 0]
    with pytest.raises(tenure.OwnershipError, match=r"or accept it with x\.heal\(\)"):
        x.tolist()
    # AR-63: the bytes count as they are.
    with x[2:].read():
        refused(Status.BORROWED, x.heal)
    x.heal()
    assert x.tolist() == [1, 0, 0, 0] and not x.why_not() & Why.POISONED
    with pytest.raises(ZeroDivisionError):
        with x[:2].write() as view:
            view[0] = 1
            1 / 0
    with x[:2].write(mode="aliased|discard") as view:
        view[:] = 7
    assert x.tolist() == [7, 7, 0, 0]
    with pytest.raises(ZeroDivisionError):
        with x.read():
            1 / 0
    assert x.tolist() == [7, 7, 0, 0]  # BR-17: reading poisons nothing


# BR-4, BR-7, BR-8
def test_modes(refused):
    x = tenure.zeros(3)
    clone = x.clone()
    refused(Status.SHARED, x.write(mode=tenure.UNIQUE).__enter__)
    with x.write(mode="cow") as view:
        view[:] = 1
    assert clone.tolist() == [0, 0, 0] and x.tolist() == [1, 1, 1]
    with x.write("unique") as view:
        view[0] = 9
    address = tenure.owner_of(x).address
    with x.write("cow") as view:
        assert view.__array_interface__["data"][0] == address


# BR-50
def test_frozen_readers_exclude_shared_views(refused):
    x = tenure.zeros(3)
    n = np.asarray(x)
    refused(Status.EXPORTED, x.read(frozen=True).__enter__)
    with x.read() as view:
        n[0] = 3
        assert view[0] == 3
    del n
    with x.read(frozen=True):
        refused(Status.BORROWED, memoryview, x)
        assert np.asarray(x.readonly).tolist() == [3, 0, 0]


# BR-18, AR-3
def test_arrays_without_elements_or_axes():
    for shape in (0, (2, 0, 3)):
        with tenure.empty(shape).write() as view:
            assert view.shape == tenure.empty(shape).shape
    with tenure.full((), 2.5).write() as view:
        view[()] = 3.5
        assert view.shape == ()


def test_strides_of_views():
    n = np.arange(24).reshape(4, 6)
    x = tenure.array(n)
    with x[::-2, 1:5:3].read() as view:
        assert np.array_equal(view, n[::-2, 1:5:3])
    with x.T.write() as view:
        view[0] = -1
    assert x[:, 0].tolist() == [-1] * 4
    for dtype in ("complex64", "complex128", "bool", "float16"):
        with tenure.ones(2, dtype).read() as view:
            assert view.dtype == dtype and view[1] == 1


def test_a_block_cannot_begin_twice():
    x = tenure.zeros(3)
    borrow = x.read()
    with borrow:
        with pytest.raises(RuntimeError):
            borrow.__enter__()
    with borrow as view:
        assert view.tolist() == [0, 0, 0]
    assert "read borrow" in repr(borrow)


# PY-16, BA-1, BA-2, BA-3
def test_access_borrows_all_or_nothing(refused):
    a, b, c = (tenure.full(3, float(i), name=n) for i, n in enumerate("abc"))
    with tenure.access(read=(a, b), write=c) as (va, vb, vc):
        vc[:] = va + vb
        assert not va.flags.writeable and vc.flags.writeable
        refused(Status.BORROWED, a.fill, 0)
        refused(Status.BORROWED_WRITE, c.copy)
    assert c.tolist() == [1, 1, 1] and c.why_not() == 0
    with b.read():
        refused(Status.BORROWED, tenure.access(a, b).__enter__)
        assert a.why_not() == 0
    refused(Status.ALIASED, tenure.access(a, a[1:]).__enter__)
    for wrong in (3, [a, np.zeros(3)]):
        with pytest.raises(TypeError, match="Array or several are needed, not (int|ndarray)"):
            tenure.access(wrong)
    with tenure.access(a[:1], a[1:]) as (head, tail):
        tail[:] = 5
    assert a.tolist() == [0, 5, 5]
    with pytest.raises(KeyError):
        with tenure.access(read=a, write=[b, c]) as (va, vb, vc):
            raise KeyError
    refused(Status.POISONED, b.copy)
    refused(Status.POISONED, c.copy)
    assert a.tolist() == [0, 5, 5]
    with tenure.access() as views:  # BA-7
        assert views == ()
    with pytest.raises(TypeError):
        tenure.access(read=np.zeros(3))


# BR-30, BR-33, BR-34
def test_chunks_are_written_by_threads(refused):
    x = tenure.zeros((10, 3))
    with x.split_write(4) as parts:
        assert [p.shape for p in parts] == [(3, 3), (3, 3), (2, 3), (2, 3)]
        refused(Status.BORROWED_WRITE, x.copy)

        def work(i):
            parts[i][...] = i

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        del parts
    assert np.asarray(x)[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3]
    with x.split_write(2, axis=1) as (left, right):
        left[:], right[:] = 8, 9
    assert x[0].tolist() == [8, 8, 9]
    refused(Status.INVALID, x.split_write(0).__enter__)
    refused(Status.RANGE, x.split_write(2, axis=2).__enter__)
    with tenure.zeros(2).split_write(3) as parts:  # BR-31
        assert [len(p) for p in parts] == [1, 1, 0]


# PY-21, WN-9: the holder's call site is the caller's line
def test_sites_name_the_callers_line():
    x = tenure.zeros(3, name="K")
    with x.read():  # the site
        why = x.why_not()
    (guard,) = [h for h in why.holders if h.kind == tenure.HolderKind.GUARD_READ]
    assert why == Why.BORROWED and guard.name == "K"
    file, _, line = guard.site.rpartition(":")
    assert "test_borrow.py".endswith(file[-14:]) and open(__file__).read().split("\n")[int(line) - 1].endswith(
        "# the site"
    )
    n = np.asarray(x)
    (export,) = x.why_not().holders
    assert export.kind == tenure.HolderKind.EXPORT_SHARED and "test_borrow.py:" in export.site
    del n
