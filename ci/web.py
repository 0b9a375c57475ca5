"""HTTP clients of the gate: cheap to make, without cookies and without the machine's proxies."""

from __future__ import annotations

import httpx

from fixtures.run.certificates import certificates


def new_client(timeout: float) -> httpx.Client:
    """Return a client without cookies, and without the machine's proxies. timeout: seconds for each step."""
    return httpx.Client(timeout=timeout, trust_env=False, verify=certificates())
