"""A visitor with a browser, for the rules of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser

if TYPE_CHECKING:
    from tests.selftest.sandbox.mutants.visitor import Visitor
    from tests.selftest.sandbox.running_app import RunningApp


@pytest.fixture(scope="module")
def visitor(running: RunningApp, browser: Browser) -> Visitor:
    """Return a visitor of the module's application."""
    from tests.selftest.sandbox.mutants.visitor import Visitor  # noqa: PLC0415  (few modules here need a browser)

    return Visitor(running, browser)
