"""What several smoke checks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from fixtures.answers import Answer
from fixtures.site import Site


def its_assets(answers: list[Answer]) -> list[str]:
    """Lead from a page to its stylesheets and scripts."""
    return [f"GET {address}" for address in answers[0].page.assets()]


class AtOnce:
    """Asks live what does not build on one another, all of it at once; answers come in the order of the requests."""

    def __init__(self, site: Site, threads: ThreadPoolExecutor) -> None:
        self._site = site
        self._threads = threads

    def do(self, *askings: Callable[[], Answer]) -> list[Answer]:
        """Let each of them ask."""
        return list(self._threads.map(lambda asking: asking(), askings))

    def ask(self, requests: Iterable[str], *, cookies: Mapping[str, str] | None = None) -> list[Answer]:
        """Send each of them, "METHOD /path"."""
        return self.do(*(partial(self._site.ask, request, cookies=cookies) for request in requests))

    def follow(self, requests: Iterable[str]) -> list[Answer]:
        """Send each of them, and go where their redirects lead."""
        return self.do(*(partial(self._site.follow, request) for request in requests))


@pytest.fixture
def at_once(site: Site, threads: ThreadPoolExecutor) -> AtOnce:
    """Return what asks several things at once."""
    return AtOnce(site, threads)
