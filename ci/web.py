"""New HTTP clients at no cost: loading the certificates takes longer than a request, so it is done once."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


def new_client(timeout: float) -> httpx.Client:
    """Return a client without cookies, and without the machine's proxies. timeout: seconds for each step."""
    return httpx.Client(timeout=timeout, trust_env=False, verify=certificates())


@cache
def certificates() -> ssl.SSLContext:
    """Return what servers are verified by."""
    return httpx.create_ssl_context()
