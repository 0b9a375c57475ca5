"""The surroundings are asked all at once, and each kind of silence has its own meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from ci.causes import Circumstances, look_around
from fixtures.target.target import Target

CLOSED = "http://127.0.0.1:9"


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer a status page; the root answers 500, which is an answer."""
        indicator = self.path.strip("/")
        body = json.dumps({"status": {"indicator": indicator, "description": "Outage"}}).encode()
        self.send_response(200 if indicator else 500)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def world() -> Iterator[str]:
    """Return the address of a server that answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_look_around(world: str) -> None:
    """A 500 is an answer; a vendor's page that is well or cannot be read says nothing."""
    pages = {"stripe": f"{world}/major", "sentry": f"{world}/none", "supabase": f"{CLOSED}/status.json"}
    target = Target(name="t", url=world, mode="act", control_addresses=(CLOSED, world), third_parties=pages)

    around = look_around(target, ["stripe", "sentry", "supabase", "unheard-of"])

    assert around == Circumstances(target=True, controls=True, vendors={"stripe": "major (Outage)"})


def test_look_around_in_the_dark() -> None:
    """Nothing answers; a target without control addresses proves nothing."""
    dark = look_around(Target(name="t", url=CLOSED, mode="act", control_addresses=(CLOSED,)), [])

    assert dark == Circumstances(target=False, controls=False)
    assert look_around(Target(name="t", url=CLOSED, mode="act"), []).controls is None
