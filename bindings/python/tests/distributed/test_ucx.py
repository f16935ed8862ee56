"""Arrays as buffers of UCX, between two processes and over its transports tcp and shared memory."""

import asyncio
import multiprocessing
import os

os.environ.setdefault("UCX_TLS", "tcp,sm,self")
os.environ.setdefault("UCX_WARN_UNUSED_ENV_VARS", "n")
os.environ.setdefault("UCX_LOG_LEVEL", "error")

import numpy as np
import pytest

import tenure
from tenure.distributed import ucx

ucxx = pytest.importorskip("ucxx")
LIMIT = 30
SHAPE = (512, 1024)


def copied():
    return sum(site.count for site in tenure.copies())


class Endpoint:
    """An endpoint whose transfers end when the test says."""

    def __init__(self):
        self.done = asyncio.Event()
        self.buffer = None

    async def send(self, buffer, tag=None):
        self.buffer, self.tag = buffer, tag
        await self.done.wait()
        if tag == "fail":
            raise ConnectionError("lost")
        return "sent"

    recv = send


def during(transfer, check, tag=None):
    """Runs `check` while a transfer is under way."""

    async def work():
        endpoint = Endpoint()
        task = asyncio.ensure_future(transfer(endpoint, tag))
        while endpoint.buffer is None and not task.done():
            await asyncio.sleep(0)
        try:
            check(endpoint, task)
        finally:
            endpoint.buffer = None
            endpoint.done.set()
        return await task

    return asyncio.run(work())


def refuses(function):
    with pytest.raises(tenure.OwnershipError):
        function()


def test_nobody_writes_while_an_array_is_sent():
    x = tenure.ones(SHAPE)

    def check(endpoint, task):
        assert np.shares_memory(endpoint.buffer, np.asarray(x.readonly)) and endpoint.buffer.nbytes == x.nbytes
        refuses(lambda: x.fill(2))
        assert x[0, 0] == 1

    with tenure.no_copies():
        assert during(lambda endpoint, tag: ucx.send(endpoint, x, tag=tag), check, tag=7) == "sent"
    x.fill(2)


def test_nobody_uses_what_is_received():
    x = tenure.ones(SHAPE)

    def check(endpoint, task):
        endpoint.buffer[:8] = 0
        refuses(lambda: x[0, 0])
        refuses(lambda: x.fill(2))

    with tenure.no_copies():
        during(lambda endpoint, tag: ucx.recv(endpoint, x), check)
    assert x[0, :2].tolist() == [0, 1]


def test_a_failed_receive_poisons_the_array():
    x = tenure.ones(10)
    with pytest.raises(ConnectionError):
        during(lambda endpoint, tag: ucx.recv(endpoint, x, tag=tag), lambda *_: None, tag="fail")
    with pytest.raises(tenure.OwnershipError) as caught:
        x[0]
    assert caught.value.status == tenure.Status.POISONED
    del caught
    with pytest.raises(ConnectionError):
        y = tenure.ones(10)
        during(lambda endpoint, tag: ucx.send(endpoint, y, tag=tag), lambda *_: None, tag="fail")
    assert y[0] == 1


def test_a_cancelled_task_does_not_end_the_guard():
    x = tenure.ones(10)

    async def work():
        endpoint = Endpoint()
        task = asyncio.ensure_future(ucx.recv(endpoint, x))
        while endpoint.buffer is None:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        refuses(lambda: x.fill(2))
        endpoint.buffer[:] = 0
        endpoint.buffer = None
        endpoint.done.set()
        while ucx._under_way:
            await asyncio.sleep(0)
        x.fill(2)

    asyncio.run(work())
    assert x.tolist() == [2] * 10


def test_the_end_of_the_loop_does_not_end_the_guard():
    x = tenure.ones(10)

    async def work():
        asyncio.ensure_future(ucx.recv(Endpoint(), x))
        await asyncio.sleep(0.01)

    asyncio.run(work())
    refuses(lambda: x.fill(2))
    ucx._unfinished.pop().__exit__()
    x.fill(2)


def test_a_coroutine_that_is_closed_does_not_end_the_guard():
    class Never:
        def __await__(self):
            yield

    async def transfer(view):
        await Never()

    x = tenure.ones(10)
    coroutine = ucx._moved(ucx._bytes_of(x, True).write("discard"), transfer, {})
    coroutine.send(None)
    coroutine.close()
    refuses(lambda: x.fill(2))
    ucx._unfinished.pop().__exit__()
    x.fill(2)


def test_arrays_that_ucx_cannot_have():
    x = tenure.ones((10, 10))

    async def sent(transfer, x):
        await asyncio.wait_for(transfer(Endpoint(), x), 1)

    with pytest.raises(ValueError, match="gaps"):
        asyncio.run(sent(ucx.recv, x[:, ::2]))
    with pytest.raises(TypeError, match="ndarray"):
        asyncio.run(sent(ucx.send, np.ones(3)))
    before = copied()
    during(lambda endpoint, tag: ucx.send(endpoint, x[:, ::2]), lambda endpoint, _: None)
    assert copied() == before + 1
    x.fill(2)


# ---- two processes


def echo(port, results):
    """The other process: receives arrays, and sends each one back with 1 added."""

    async def work():
        endpoint = await ucxx.create_endpoint("127.0.0.1", port)
        x = tenure.zeros(SHAPE, pool=tenure.Pool(name="received"))
        for _ in range(3):
            await ucx.recv(endpoint, x)
            x += 1
            await ucx.send(endpoint, x)
        results.put((copied(), tenure.owner_of(x).pool_name))
        # A close discards what the peer has not yet received, though the send is done.
        await ucx.recv(endpoint, tenure.zeros(1))
        await endpoint.close()

    asyncio.run(asyncio.wait_for(work(), LIMIT))


@pytest.mark.parametrize("transports", ["tcp,self", "tcp,sm,self"])
def test_two_processes(transports, monkeypatch):
    monkeypatch.setenv("UCX_TLS", transports)
    context = multiprocessing.get_context("spawn")
    results, listening = context.Queue(), context.Queue()
    server = context.Process(target=serve, args=(listening, results))
    server.start()
    client = None
    try:
        client = context.Process(target=echo, args=(listening.get(timeout=LIMIT), results))
        client.start()
        told = sorted((results.get(timeout=LIMIT) for _ in range(2)), key=str)
        assert told == [(0, "received"), (0, [1.0, 2.0, 3.0])]
    finally:
        for process in (server, client):
            if process is not None:
                process.join(5)
                process.kill()
                process.join()


def serve(listening, results):
    """The process that listens: sends an array three times, and receives it back into pool memory."""

    async def work():
        done = asyncio.Event()
        seen = []

        async def serve_one(endpoint):
            x = tenure.zeros(SHAPE)
            for _ in range(3):
                with tenure.no_copies():
                    await ucx.send(endpoint, x)
                    await ucx.recv(endpoint, x)
                seen.append(float(x[-1, -1]))
            results.put((copied(), seen))
            await ucx.send(endpoint, tenure.ones(1))
            while endpoint.alive:
                await asyncio.sleep(0.01)
            await endpoint.close()
            done.set()

        listener = ucxx.create_listener(serve_one, 0)
        listening.put(listener.port)
        await asyncio.wait_for(done.wait(), LIMIT)
        listener.close()

    asyncio.run(work())
