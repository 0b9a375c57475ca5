"""An edge in a thread of its own, in front of a stub application, so that a test asks it as any client would."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from fixtures.sandbox.app.call import Build
from fixtures.sandbox.edge.deployments import Deployment, Environment
from fixtures.sandbox.edge.edge import Edge
from fixtures.sandbox.edge.listeners import Listener
from fixtures.sandbox.edge.vercel_api import VercelApi

Result = TypeVar("Result")


async def stub(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the deployment and the build that were asked; /crash raises, /cached may be cached by the edge."""
    request = Request(scope, receive)
    if request.url.path == "/crash":
        msg = "the application broke"
        raise RuntimeError(msg)
    headers = {"cache-control": "s-maxage=60"} if request.url.path == "/cached" else {}
    seen = {"deployment": scope["deployment_id"], "commit": scope["build"].commit, "headers": dict(request.headers)}
    response: Response = JSONResponse(seen, headers=headers)
    await response(scope, receive, send)


@dataclass
class RunningEdge:
    """An edge with its API, and the loop that serves them."""

    edge: Edge
    loop: asyncio.AbstractEventLoop
    api: Listener
    client: httpx.Client

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the edge's loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def publish(self, target: Environment = "production", *, promote: bool = False) -> Deployment:
        """Deploy a new build."""
        return self.do(self.edge.publish(Build(), target, promote=promote))

    def call(self, method: str, path: str, query: dict[str, str] | None = None, body: object = None) -> httpx.Response:
        """Ask the API with the right token."""
        headers = {"authorization": f"Bearer {self.edge.token}"}
        return self.client.request(method, f"{self.api.url}{path}", headers=headers, params=query, json=body)

    def served(self) -> str | None:
        """Return which deployment answers on the production address."""
        deployment: str | None = self.client.get(self.edge.production_url).headers.get("x-deployment-id")
        return deployment


@contextmanager
def run_edge() -> Iterator[RunningEdge]:
    """Start an edge and its API; everything is closed afterwards."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    edge = Edge(stub)
    try:
        with httpx.Client(trust_env=False, timeout=10) as client:
            asyncio.run_coroutine_threadsafe(edge.open(), loop).result(20)
            opening = edge.listeners.open(VercelApi(edge).app)
            api = asyncio.run_coroutine_threadsafe(opening, loop).result(20)
            yield RunningEdge(edge, loop, api, client)
    finally:
        asyncio.run_coroutine_threadsafe(edge.close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
