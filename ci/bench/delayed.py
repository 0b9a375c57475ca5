"""A stand-in of a slow network to a server on this machine: it delays every byte and counts round trips."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK = 65536
_END: bytes = b""


class Way:
    """port: where clients come in.  turns: how often the client spoke and then had to wait: round trips."""

    def __init__(self, server: int, latency_ms: float) -> None:
        self.port, self.turns = 0, 0
        self._server = server
        self._one_way = latency_ms / 2000
        self._client_spoke_last = False
        self._carried: set[asyncio.Task[None]] = set()

    async def serve(self, ready: threading.Event, done: asyncio.Event) -> None:
        """Carry connections, one at a time, until `done` and the last of them has ended."""
        listener = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        ready.set()
        async with listener:
            await done.wait()
            await asyncio.gather(*self._carried)

    async def _carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._carried.add(task)
        server, to_server = await asyncio.open_connection("127.0.0.1", self._server)
        self._client_spoke_last = False
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pass(client, to_server, asks=True))
            both.create_task(self._pass(server, to_client, asks=False))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, asks: bool) -> None:
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(under_way, sink))
            content = None
            while content != _END:
                content = await source.read(_CHUNK)
                if content and asks != self._client_spoke_last:
                    self.turns += asks
                    self._client_spoke_last = asks
                under_way.put_nowait((loop.time() + self._one_way, content))

    async def _deliver(self, under_way: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, content = await under_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if content == _END:
                sink.close()
                return
            sink.write(content)
            await sink.drain()


@contextmanager
def delayed(server: int, latency_ms: float) -> Iterator[Way]:
    """Lend a way to a port of this machine; latency_ms: there and back again."""
    way, ready, done = Way(server, latency_ms), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(way.serve(ready, done),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield way
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()
