"""UCX: arrays as the buffers of UCXX's endpoints (``ucxx``), with a guard for as long as a transfer uses their memory.

>>> await tenure.distributed.ucx.send(endpoint, x)       # doctest: +SKIP
>>> await tenure.distributed.ucx.recv(endpoint, y)       # doctest: +SKIP

Contract: UCX reads and writes the array's own bytes. Nobody writes an array while it is sent, and nobody else uses one while it is received.
A task that is cancelled does not end the guard: UCX may still use the memory. A receive that fails poisons the array. UCXX's own
``endpoint.send(x)`` takes arrays too, but has no guard.
"""

from __future__ import annotations

import asyncio as _asyncio

from .. import _processes, _tenure

__all__ = ["recv", "send"]

# Transfers under way: the event loop itself refers to its tasks weakly. After a loop has ended, the guards of those it cancelled.
_under_way: set = set()
_unfinished: list = []


def _bytes_of(x, received):
    """The bytes of an array of the host, as an array without gaps."""
    if not isinstance(x, _tenure.Array):
        raise TypeError(f"a tenure.Array is needed, not {type(x).__name__}; UCXX's own functions take other buffers")
    if not _processes._is_host(x):
        raise ValueError(f"the array is on {x.device}; pass it to UCXX's own function after x.wait(), and write it only after the transfer")
    if not x.is_c_contiguous() and not x.is_f_contiguous():
        if received:
            raise ValueError(f"shape {x.shape} with strides {x.strides} has gaps, which UCX cannot skip; receive into x.copy()")
        # `_contiguous` counts the copy.
        x = _tenure.asarray(_processes._parts(x, frozen=True)[0])
    return x.ravel("C" if x.is_c_contiguous() else "F").view("uint8")


async def _moved(guard, transfer, options):
    """Runs a transfer under a guard. A cancellation says nothing about UCX, so the guard stays then."""
    view = guard.__enter__()
    try:
        result = await transfer(view, **options)
    except Exception as error:
        guard.__exit__(type(error), error, error.__traceback__)
        raise
    except BaseException:  # a cancellation, an interrupt, or the end of the event loop
        _unfinished.append(guard)
        raise
    guard.__exit__()
    return result


async def _outlived(coroutine):
    """Awaits a coroutine that goes on when the waiting task is cancelled."""
    task = _asyncio.ensure_future(coroutine)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return await _asyncio.shield(task)


async def send(endpoint, x, **options):
    """Sends the elements of an array of the host. Until UCX is done, writing the array raises. A strided one is copied, and the copy book
    has that. options: those of ``ucxx.Endpoint.send``, such as tag."""
    return await _outlived(_moved(_bytes_of(x, False).read(), endpoint.send, options))


async def recv(endpoint, x, **options):
    """Receives into an array of the host, in order C or F without gaps. Until UCX is done, using the array raises. options: those of
    ``ucxx.Endpoint.recv``, such as tag."""
    return await _outlived(_moved(_bytes_of(x, True).write("discard"), endpoint.recv, options))
