"""HTTP clients of the gate: cheap to make, without cookies and without the machine's proxies."""

from __future__ import annotations

import httpx

from fixtures.run.bounded_http import BoundedTransport


def new_client(timeout: float) -> httpx.Client:
    """Return a client that keeps no proxy of this machine. timeout: seconds for each step, three times it for all."""
    return httpx.Client(timeout=timeout, trust_env=False, transport=BoundedTransport(seconds=3 * timeout))
