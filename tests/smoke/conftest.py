"""What several smoke checks share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from fixtures.answers import Answer
from fixtures.sides import Side
from fixtures.site import Site
from fixtures.targets import Target

AT_ONCE = 8


class AtOnce:
    """Asks live what does not build on one another, all of it at once; answers come in the order of the requests."""

    def __init__(self, site: Site, threads: ThreadPoolExecutor) -> None:
        self._site = site
        self._threads = threads

    def ask(self, requests: Sequence[str], *, cookies: Mapping[str, str] | None = None) -> list[Answer]:
        """Send each of them, "METHOD /path"."""
        return list(self._threads.map(lambda request: self._site.ask(request, cookies=cookies), requests))

    def send(self, request: str, bodies: Sequence[bytes], *, cookies: Mapping[str, str] | None = None) -> list[Answer]:
        """Send one request with each of these bodies, which say that they are JSON."""
        headers = {"content-type": "application/json"}
        return list(
            self._threads.map(
                lambda body: self._site.ask(request, content=body, headers=headers, cookies=cookies), bodies
            )
        )


@pytest.fixture(scope="session")
def threads() -> Iterator[ThreadPoolExecutor]:
    """Share threads that wait for answers."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield pool


@pytest.fixture
def at_once(site: Site, threads: ThreadPoolExecutor) -> AtOnce:
    """Return what asks several things at once."""
    return AtOnce(site, threads)


@pytest.fixture
def own(target: Target, side: Side) -> set[str]:
    """Return the hosts that are this platform's own."""
    return {target.host, urlsplit(side.url).netloc}
