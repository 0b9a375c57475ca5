"""
`ci/verify doctor TARGET --contract` shows as one table where a target departs from fixtures/contract.toml.

It changes nothing: GET, HEAD and OPTIONS, two sign-ins of the synthetic student where the target has one, and the pages
in a browser. A departure is information for people, so it never changes the exit code.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ci.contract_pages import visit, visiting
from ci.steps import SetupError, say
from fixtures.checks.answers import Answer
from fixtures.checks.evidence import NotMeasured
from fixtures.model import escaping, redaction
from fixtures.model.contract import Answered, Asked, Departure, Headers, contract, problems_of
from fixtures.model.routes import NOBODY, is_page, probe
from fixtures.run.current_run import Run
from fixtures.run.rate_limits import BudgetSpentError
from fixtures.site.accounts import sign_in
from fixtures.site.client import Site, new_client
from fixtures.target.target import Target
from fixtures.target.variants import Variant

# Places that one line of the table names, when several have the same departure.
_NAMED = 3
_LONGEST, _EXCERPT = 400, 120


@dataclass
class Survey:
    """
    The knowledge about one target, and the departures found so far.

    names: what the paths of contract.toml need.  health: the body of GET /api/health.  sessions: visitor -> cookies.
    departures: each with its places.  left_out: reason -> number of entries that were not asked.
    """

    site: Site
    target: Target
    names: dict[str, str] = field(default_factory=lambda: {"unknown": NOBODY})
    health: Mapping[str, object] = field(default_factory=dict)
    sessions: dict[str, Mapping[str, str]] = field(default_factory=lambda: {"anonymous": {}})
    departures: dict[Departure, list[str]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    asked: int = 0

    def keep(self, place: str, visitor: str, found: Iterable[Departure]) -> None:
        """Keep the departures of one answer or page."""
        self.asked += 1
        for departure in found:
            self.departures.setdefault(departure, []).append(place + f" ({visitor})" * (visitor != "anonymous"))

    def request(self, one: Asked, route: str) -> str:
        """Return "METHOD /path" of an entry; "" where the target lacks something for it, and count the reason."""
        name, _, value = one.when.partition("=")
        asked = one.ask or probe(route)
        try:
            request = asked.format_map(self.names)
        except KeyError as error:
            reason = f"the target shows no {error.args[0]}"
        else:
            if one.visitor not in self.sessions:
                reason = "there is no session of a student"
            elif one.when and (str(self.health.get(name.removesuffix("!"))) == value) is name.endswith("!"):
                reason = f"for {one.when} only"
            else:
                return request if " " in request else f"GET {request}"
        self.left_out[reason] += 1
        return ""


def survey(target: Target) -> None:
    """Ask and open everything, and print the table. Raises SetupError when the target does not answer."""
    with tempfile.TemporaryDirectory(prefix="7p-contract-") as directory, new_client() as client:
        run = Run(id="doctor", stage="postdeploy", directory=Path(directory), reports=Path(directory))
        found = Survey(Site(client, target, Variant(name="target", url=target.url), run, lambda _: None), target)
        _begin(found)
        _ask(found)
        _open(found)
    _print(found)


def _begin(found: Survey) -> None:
    """Learn what the paths need, and sign the student in."""
    health, listed = (found.site.ask(f"GET {path}") for path in ("/api/health", "/api/courses?limit=1"))
    if health.code is None:
        msg = f"{found.target.name} does not answer: {health.exchange()}; see ci/verify doctor {found.target.name}"
        raise SetupError(msg)
    body = _json(health)
    found.health = body if isinstance(body, dict) else {}
    try:
        found.names["course"] = str(_json(listed)["data"]["courses"][0]["id"])  # type: ignore[index]  # foreign JSON
    except (KeyError, IndexError, TypeError):
        found.keep("GET /api/courses", "anonymous", [("a course with an id", listed.exchange())])
    if "student" in found.target.accounts:
        try:
            found.sessions["student"] = sign_in(found.site, found.target.accounts["student"])
        except (NotMeasured, AssertionError, BudgetSpentError) as error:
            found.keep("sign-in", "student", [("a session", str(error).splitlines()[0])])


def _ask(found: Survey) -> None:
    for route, one in contract().answers:
        if request := found.request(one, route):
            answer = found.site.ask(request, cookies=found.sessions[one.visitor])
            place = one.ask or route
            found.keep(place if " " in place else f"GET {place}", one.visitor, _departures(answer, one))


def _departures(answer: Answer, one: Answered) -> Iterator[Departure]:
    """Yield everything in which an answer departs; nothing more where its status does."""
    path = urlsplit(answer.url).path
    page = is_page(f"GET {path}")
    statuses = (one.status,) if isinstance(one.status, int) else one.status
    if answer.code not in statuses:
        got = f"{answer.code or answer.trouble} {answer.headers.get('location', '')} {_excerpt(answer)}"
        yield f"status {' or '.join(map(str, statuses))}", got.strip()
        return
    kind = answer.headers.get("content-type", "none")
    wanted = ("text/html" if page else "application/json") if one.type is None else one.type
    if wanted not in kind and (one.type is not None or answer.content):
        yield f"type {wanted}", kind
    elif (one.keys or one.never) and (problems := problems_of(_json(answer), one.keys, one.never)):
        yield "the keys of the contract", "; ".join(problems)
    if one.body is not None and answer.content.decode(errors="replace") != one.body:
        yield f"body {one.body!r}", _excerpt(answer) or "another"
    for name, part in (_common(answer, path, page=page) | one.headers).items():
        there = ", ".join(answer.headers.get_list(name))
        if part not in there or (not part and there):
            yield f"header {name}: {part or 'none'}", there or "none"


def _common(answer: Answer, path: str, *, page: bool) -> Headers:
    """Return the headers of every answer of its kind; redirects of the framework have none."""
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return {}
    return contract().headers.get("pages" if page else "api" if path.startswith("/api/") else "", {})


def _open(found: Survey) -> None:
    """Visit every page as nobody, and then as the student, who signs in through the form."""
    for visitor, cookies in found.sessions.items():
        with visiting(found.target, visitor, cookies) as (context, departed):
            found.keep("sign-in form", visitor, departed)
            for route, one in contract().shows:
                request = found.request(one, route) if one.visitor == visitor else ""
                if request:
                    ends = msgspec.structs.replace(one, ends=one.ends.format_map(found.names))
                    lacks, leads = visit(context, request.removeprefix("GET "), ends)
                    found.keep(f"page {one.ask or route.removeprefix('GET ')}", visitor, lacks)
                    found.names |= leads


def _json(answer: Answer) -> object:
    try:
        return msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return None


def _excerpt(answer: Answer) -> str:
    return "" if answer.headers.get("content-type", "").startswith("text/html") else answer.excerpt()[:_EXCERPT]


def _print(found: Survey) -> None:
    rows = [("route or page", "contract", found.target.name)]
    for (wanted, got), places in found.departures.items():
        more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        rows.append((f"{', '.join(places[:_NAMED])}{more}", wanted, got[:_LONGEST]))
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{place:<{first}}  {wanted:<{second}}  {got}" for place, wanted, got in rows]
    sys.stdout.write(escaping.terminal(redaction.redact("\n".join(lines))) + "\n")
    for reason, count in found.left_out.items():
        say(f"{count} not asked: {reason}")
    say(f"{found.asked} answers and pages were compared with fixtures/contract.toml; {len(rows) - 1} departures")
