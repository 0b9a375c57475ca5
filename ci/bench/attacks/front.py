"""A proxy in front of the sandbox's addresses: it forwards bytes, and answers some paths as no server should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import cycle

from fixtures.sandbox.edge.listeners import Listener, bound
from fixtures.sandbox.edge.traffic import Door
from fixtures.sandbox.sandbox import Sandbox

# Yields an answer in pieces. It gets the deployment's id, which an answer has in a header.
Wire = Callable[[str], AsyncIterator[bytes]]
_HEAD_BYTES = 65536


class Front:
    """
    A proxy at one address of the edge, in place of the address's own listener.

    wires: request path -> the answer; "*" stands for every path.  headers: lines that it adds to all other answers.
    It does both only while production serves the candidate: after a rollback production is healthy.
    turns: whether each visitor in turn meets it.  control_too: so does the control.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        inner: Listener,
        wires: Mapping[str, Wire],
        headers: bytes,
        *,
        turns: Iterator[bool],
        control_too: bool,
    ) -> None:
        self.sandbox, self.inner, self.wires, self.headers = sandbox, inner, wires, headers
        self.turns, self.control_too = turns, control_too
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, listener: Listener) -> None:
        """Listen at the address of a listener, which stops."""
        await listener.cut()
        server = await asyncio.start_server(self._serve, sock=bound(listener.host, listener.port))
        self.sandbox.ends.push_async_callback(self._close, server)

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            # A cancelled connection ends quietly: asyncio would print a traceback for it.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
                await self._answer(client, to_client)
        finally:
            to_client.close()

    async def _answer(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection, so that no second request has to be parsed."""
        head = await client.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].partition(b"?")[0].decode("latin-1")
        wire = self.wires.get(path) or self.wires.get("*")
        candidate = self.sandbox.candidate.id
        # A request that is pinned to the deployment before it names that one.
        pinned = self.sandbox.control.id.encode() in head
        hostile = self.sandbox.edge.alias_seen_by_edge == candidate and (self.control_too or not pinned)
        hostile = hostile and next(self.turns)
        if wire is not None and hostile:
            async for piece in wire(candidate):
                to_client.write(piece)
                await to_client.drain()
            return
        server, to_server = await asyncio.open_connection(self.inner.host, self.inner.port)
        try:
            to_server.write(head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            up = asyncio.create_task(_pass(client, to_server))
            if hostile:
                status = await server.readuntil(b"\r\n")
                to_client.write(status + self.headers)
            await _pass(server, to_client)
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
        finally:
            to_server.close()


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while content := await source.read(_HEAD_BYTES):
            sink.write(content)
            await sink.drain()


async def put_in_front(
    sandbox: Sandbox,
    wires: Mapping[str, Wire],
    headers: bytes = b"",
    *,
    turns: Sequence[bool] = (True,),
    control_too: bool = False,
) -> None:
    """Put proxies in front of production's address, of the candidate's own, and perhaps of the control's."""
    edge = sandbox.edge
    listeners = [(edge.production_listener, None), (edge.listener(sandbox.candidate.id), sandbox.candidate.id)]
    if control_too:
        listeners.append((edge.listener(sandbox.control.id), sandbox.control.id))
    for listener, own in listeners:
        inner = await sandbox.listeners.open(Door(edge, own))
        front = Front(sandbox, inner, wires, headers, turns=cycle(turns), control_too=control_too)
        await front.open(listener)
