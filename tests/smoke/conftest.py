"""Fixtures that several smoke checks share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.evidence import Evidence, NotMeasured
from fixtures.model import redaction
from fixtures.site.client import Site
from fixtures.target.target import ENVIRONMENT_VARIABLE, Target
from fixtures.target.variants import Variant
from fixtures.vendors import environment_sources as variables
from fixtures.vendors.environment_sources import Environment

if TYPE_CHECKING:
    from fixtures.target.vercel_words import Deployment

Where = Literal["production", "preview"]


def its_assets(answers: list[Answer]) -> list[str]:
    """Return requests for the stylesheets and scripts of a page."""
    return [f"GET {address}" for address in answers[0].page.assets()]


def crashed(answer: Answer) -> bool:
    """Whether the application failed at a request; 501 says that a feature is switched off."""
    return answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and answer.status != HTTPStatus.NOT_IMPLEMENTED


class AtOnce:
    """Sends independent requests at the same time; answers come in the order of the requests."""

    def __init__(self, site: Site, threads: ThreadPoolExecutor) -> None:
        self._site = site
        self._threads = threads

    def do(self, *askings: Callable[[], Answer]) -> list[Answer]:
        """Run each call in a thread of its own."""
        return list(self._threads.map(lambda asking: asking(), askings))

    def ask(
        self,
        requests: Iterable[str],
        *,
        cookies: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[Answer]:
        """Send each of them, "METHOD /path"."""
        return self.do(*(partial(self._site.ask, request, cookies=cookies, headers=headers) for request in requests))

    def follow(self, answers: Iterable[Answer]) -> list[Answer]:
        """Follow the redirects of each answer."""
        return self.do(*(partial(self._site.follow, answer) for answer in answers))


@pytest.fixture
def at_once(site: Site, threads: ThreadPoolExecutor) -> AtOnce:
    """Return the sender of simultaneous requests."""
    return AtOnce(site, threads)


@pytest.fixture(scope="session")
def where(candidate: Deployment | None) -> Where:
    """Return the environment whose variables the build under test was made with."""
    return candidate.environment if candidate else "production"


@pytest.fixture(scope="session")
def configured(target: Target, candidate: Deployment | None, where: Where) -> Environment:
    """
    Return the variables that the next build of this environment gets.

    SYNTHETIC_ENVIRONMENT names their source in place of Vercel's API: "process" or a dotenv file.
    """
    source = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if source:
        found = variables.of_process() if source == "process" else variables.of_file(Path(source))
    elif target.vercel:
        found = variables.of_vercel(target.vercel, where, candidate.branch if candidate else None)
    else:
        msg = "no variables: the target has no capability vercel, and SYNTHETIC_ENVIRONMENT is not set"
        raise NotMeasured(msg)
    redaction.register(value for name, value in found.values.items() if _is_secret(name))
    return found


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("SECRET", "KEY", "CODE")) and not name.startswith("NEXT_PUBLIC_")


@pytest.fixture
def environment(configured: Environment, evidence: Evidence) -> Environment:
    """Return the variables, and leave their fingerprints as evidence."""
    evidence.attach("environment", "\n".join([configured.source, *configured.lines()]).encode(), ".txt")
    return configured


@pytest.fixture(scope="session")
def charges_cards(target: Target, where: Where) -> bool:
    """Return whether this environment takes real money: production does, unless the target declares test mode."""
    return not (target.is_sandbox or where == "preview" or "stripe-test-mode" in target.capabilities)


@pytest.fixture
def own(target: Target, variant: Variant) -> set[str]:
    """Return the hosts that are this platform's own."""
    return {target.host, urlsplit(variant.url).netloc}
