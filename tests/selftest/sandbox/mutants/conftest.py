"""A visitor with a browser, for the rules of the pages; a client with a session, for the harmless ones of the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser

from tests.selftest.sandbox.mutants.harmless_client import Client, asking, new_session

if TYPE_CHECKING:
    from tests.selftest.sandbox.mutants.visitor import Visitor
    from tests.selftest.sandbox.running_app import RunningApp


@pytest.fixture(scope="module")
def visitor(running: RunningApp, browser: Browser) -> Visitor:
    """Return a visitor of the module's application."""
    from tests.selftest.sandbox.mutants.visitor import Visitor  # noqa: PLC0415  (few modules here need a browser)

    return Visitor(running, browser)


@pytest.fixture(scope="module")
def session(running: RunningApp) -> str:
    """Return the student's session."""
    return new_session(running)


@pytest.fixture
def client(app: RunningApp, session: str) -> Iterator[Client]:
    """Lend a client of a new healthy build."""
    with asking(app, session) as client:
        yield client
