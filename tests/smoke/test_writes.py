"""A student changes something, and finds it changed. Each change is undone at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import depends_on
from fixtures.site.accounts import Session
from fixtures.site.catalogue import empty
from fixtures.site.client import Site
from fixtures.target.target import Target

_MARK = " ·"
# The last percent completes a course, and from a quarter on nobody may leave it: neither step is taken here.
_FREE_STEPS = (*range(23), *range(25, 98))


class Profile(msgspec.Struct):
    """GET /api/auth/profile."""

    profile: dict[str, Any]


class Row(msgspec.Struct):
    """One enrolment."""

    id: str
    progress_percentage: float
    cancelled_at: datetime | None = None


class Rows(msgspec.Struct):
    """All enrolments."""

    enrollments: list[Row]


class Enrolments(msgspec.Struct):
    """GET /api/enrollments."""

    data: Rows


def _refused(*answers: Answer) -> list[Answer]:
    return [answer for answer in answers if answer.status not in range(200, 300)]


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P2", judges="function", runbook="application-not-loading", needs=("accounts", "writes"), last=True
)
@depends_on("GET /api/auth/profile", "PUT /api/auth/profile", "PATCH /api/auth/profile")
def test_a_changed_name_is_kept(site: Site, signed_in: Session) -> None:
    """The settings say "saved", and the student finds the old name again."""

    def read() -> dict[str, Any]:
        return site.ask("GET /api/auth/profile", cookies=signed_in.cookies).read(Profile).profile

    before = read()
    # A run that was killed may have left the mark behind.
    name = str(before.get("full_name") or "").removesuffix(_MARK)
    # The whole profile: a PUT of a part may empty the rest.
    marked = before | {"full_name": f"{name}{_MARK}"}
    put = site.ask("PUT /api/auth/profile", json=marked, cookies=signed_in.cookies)
    changed = read().get("full_name")
    patch = site.ask("PATCH /api/auth/profile", json={"full_name": name}, cookies=signed_in.cookies)

    assert _refused(put, patch) == []
    assert [changed, read().get("full_name")] == [f"{name}{_MARK}", name]


@pytest.mark.postdeploy
@pytest.mark.check(
    severity="P2", judges="function", runbook="application-not-loading", needs=("accounts", "writes"), last=True
)
@depends_on("GET /api/enrollments", "PATCH /api/enrollments/*")
def test_a_changed_progress_is_kept(site: Site, signed_in: Session, target: Target) -> None:
    """A student learns on, and the next visit begins at the old place."""

    def read() -> list[Row]:
        rows = site.ask("GET /api/enrollments", cookies=signed_in.cookies).read(Enrolments).data.enrollments
        return [row for row in rows if row.cancelled_at is None]

    def write(row: Row, percent: float) -> Answer:
        request = f"PATCH /api/enrollments/{row.id}"
        return site.ask(request, json={"progress_percentage": percent}, cookies=signed_in.cookies)

    row = next((row for row in read() if row.progress_percentage in _FREE_STEPS), None)
    if row is None:
        raise empty(target, "the student has no course whose progress may change by one percent")
    onward = write(row, row.progress_percentage + 1)
    changed = [other.progress_percentage for other in read() if other.id == row.id]
    back = write(row, row.progress_percentage)

    assert _refused(onward, back) == []
    assert changed == [row.progress_percentage + 1]
