"""
Finds obstacles: states of the target in which no verdict can be about one deployment, so that the gate holds.

A rolling release shares the visitors between two deployments. In a declared maintenance window a maintenance page is
expected; at any other time it is an outage.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from ci.gate import red_of
from ci.web import new_client
from fixtures.checks.parsed_html import Page, too_complex
from fixtures.model.verdict import Verdict
from fixtures.target.maintenance import open_window
from fixtures.target.target import Target
from fixtures.target.variants import Variant, headers_for
from fixtures.target.vercel import Vercel, VercelError

_TIMEOUT = 3.0
# Where both show the maintenance page, every page does.
_PAGES = ("/", "/login")
_NOWHERE = "/7p-verify-boyle-bir-sayfa-yok"
_WORDS = re.compile("bakım|bakim|maintenance", re.IGNORECASE)
_TITLE = re.compile(r"<(?:title|h1)[^>]*>([^<]*)", re.IGNORECASE)
_SHOWN_BODY = 20_000
_SHOWN_TEXT = 60


@dataclass
class Obstacles:
    """
    The obstacles of one run.

    stage: before a promotion only the candidate's own address is asked, so that a rolling release shares nothing.
    notes: for the report.  releases: the rolling releases that were seen, in words.
    """

    target: Target
    vercel: Vercel | None
    stage: str
    notes: list[str]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    releases: list[str] = field(default_factory=list)

    def look_for_release(self) -> str:
        """Return the rolling release that is in progress; "": there is none. It is asked for before and after a run."""
        if self.vercel is None or self.stage == "predeploy":
            return ""
        try:
            release = self.vercel.rolling_release(self.vercel.project().id)
        except VercelError as error:
            self.notes.append(f"it is unknown whether a rolling release is in progress: {error}")
            return ""
        if release:
            self.releases.append(str(release))
        return str(release or "")

    def of(self, verdict: Verdict) -> str:
        """Return the obstacle to this verdict, for the first line of the report; "": there is none."""
        self.look_for_release()
        if self.releases:
            return self.releases[0]
        urgent = [check for check in red_of(verdict) if check.severity.is_urgent]
        # Silence is no page, and asking it takes seconds.
        silent = any("-> no answer" in line for check in urgent for line in (check.reason, *check.asked))
        if not urgent or silent:
            return ""
        judged = verdict.url if verdict.stage == "predeploy" else self.target.url
        seen = maintenance_page(self.target, judged)
        window = open_window(self.target.maintenance, self.began) or open_window(self.target.maintenance)
        if seen and window is None:
            self.notes.append(f"{seen}, and no window in targets.toml declares it now: it is judged as an outage")
        return f"{window}: {seen}" if seen and window else ""

    def moved(self, judged: str | None) -> str:
        """Return where production moved since it was judged: a verdict about two deployments proves nothing."""
        if self.vercel is None or judged is None:
            return ""
        try:
            serving = self.vercel.production_id(self.target.host)
        except VercelError as error:
            self.notes.append(f"it is unknown whether production changed during the run: {error}")
            return ""
        moved = f"production moved from {judged} to {serving} while it was verified: verify again"
        return "" if serving == judged else moved


def maintenance_page(target: Target, url: str) -> str:
    """Return how the pages at an address say that maintenance is under way; "": one of them does not."""
    asker = Variant(name="target", url=url)
    answers = []
    with new_client(_TIMEOUT) as client:
        for page in (*_PAGES, _NOWHERE):
            try:
                answers.append(client.get(f"{url}{page}", headers=headers_for(f"{url}{page}", target, asker)))
            except httpx.HTTPError:
                return ""
    said = [_says(answer) for answer in answers[: len(_PAGES)]]
    if all(said):
        return f"GET {url}/ {said[0]}"
    # In any language: no healthy platform shows the same for a page and for one that does not exist.
    shown = {_shows(answer) for answer in answers}
    alike = shown.pop() if len(shown) == 1 else ""
    return f"GET {url}/ {alike}, as every address does" if alike else ""


def _shows(answer: httpx.Response) -> str:
    """Return what an answer shows in place of its page; "" where it is an error, or leads to a page of ours."""
    if answer.is_redirect:
        where = answer.headers.get("location", "").partition("?")[0]
        return "" if urlsplit(where).path in _PAGES else f"leads to {where}"
    html = answer.content[:_SHOWN_BODY].decode(errors="replace")
    if not answer.is_success or "html" not in answer.headers.get("content-type", "") or too_complex(html):
        return ""
    text = " ".join(Page(html).text.split())
    return f'answers {answer.status_code} with "{text[:_SHOWN_TEXT]}"' if text else ""


def _says(answer: httpx.Response) -> str:
    """Return how an answer speaks of maintenance; a crashed application answers 503 as well, and says nothing."""
    if answer.is_redirect:
        where = answer.headers.get("location", "").partition("?")[0]
        return f"leads to {where}" if _WORDS.search(where) else ""
    body = answer.content[:_SHOWN_BODY].decode(errors="replace")
    unavailable = answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    if "html" in answer.headers.get("content-type", ""):
        body = " ".join(_TITLE.findall(body))
    elif not unavailable:
        return ""
    if unavailable and "retry-after" in answer.headers:
        return f"answers 503, retry after {answer.headers['retry-after']}"
    shown = _WORDS.search(body) and (unavailable or answer.is_success)
    return f"answers {answer.status_code} with a maintenance page" if shown else ""
