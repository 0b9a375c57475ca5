"""The client of Supabase's Management API: what it reads, refuses to do, and never takes for a backup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from fixtures.sandbox.vendors.supabase_api import SupabaseApi
from fixtures.target.target import SupabaseAccess, Target
from fixtures.vendors.supabase import Backup, Backups, Supabase, SupabaseError, ask
from tests.selftest.conftest import Stub
from tests.selftest.sandbox.running_edge import run_edge

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BACKUPS = "GET /v1/projects/ref/database/backups"


@pytest.fixture
def api() -> SupabaseApi:
    """Return the stand-in."""
    return SupabaseApi()


@pytest.fixture
def access(api: SupabaseApi) -> Iterator[SupabaseAccess]:
    """Serve the stand-in, and return how to ask it."""
    with run_edge() as running:
        listener = running.do(running.edge.listeners.open(api.app))
        yield SupabaseAccess(listener.url, api.ref, api.token)


def stubbed(stub: Stub) -> Supabase:
    """Return a client of a stub, which does not wait between its attempts."""
    return Supabase(SupabaseAccess(stub.url, "ref", "canary-token"), deadline=0.3, sleep=lambda _: None)


def some(*ages: float, recovery: tuple[float, float] | None = None, status: str = "COMPLETED") -> Backups:
    """Return backups that were begun so many hours ago."""
    all_ = tuple(Backup(NOW - timedelta(hours=age), status) for age in ages)  # type: ignore[arg-type]
    window = None
    if recovery:
        window = (NOW - timedelta(hours=recovery[0]), NOW - timedelta(hours=recovery[1]))
    return Backups(NOW, all_, recovery is not None, window)


def test_backups_are_read_newest_first(access: SupabaseAccess, api: SupabaseApi) -> None:
    """The order of the API is not promised."""
    api.backups.reverse()

    with Supabase(access) as supabase:
        backups = supabase.backups()

    assert len(backups.completed) == 7
    assert backups.completed == sorted(backups.completed, reverse=True)
    assert backups.newest == backups.completed[0]
    assert 3.9 < backups.hours_since(backups.completed[0]) < 4.1
    assert backups.recovery is not None
    assert api.calls == [f"GET /v1/projects/{api.ref}/database/backups"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_but_get_leaves(access: SupabaseAccess, api: SupabaseApi, method: str) -> None:
    """The same token restores a backup over production."""
    with Supabase(access) as supabase, pytest.raises(PermissionError, match="only reads"):
        supabase.http.request(method, f"/v1/projects/{api.ref}/database/backups/restore-pitr")

    assert api.calls == []


def test_a_refused_token_names_its_scope_and_stays_hidden(access: SupabaseAccess) -> None:
    """Nobody reads the documentation at four in the morning."""
    wrong = replace(access, token="sbp_canary")  # noqa: S106

    with Supabase(wrong) as supabase, pytest.raises(SupabaseError, match="database:read") as refused:
        supabase.backups()

    assert "sbp_canary" not in f"{refused.value} {supabase!r} {wrong!r}"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_an_answer_that_is_none_is_not_measured(stub: Stub, status: int) -> None:
    """Red would send someone to look for a backup that is there, and green would be a lie."""
    stub.json(BACKUPS, '{"message": "no"}', status)

    with stubbed(stub) as supabase, pytest.raises(SupabaseError, match=str(status)):
        supabase.backups()


@pytest.mark.parametrize("status", [429, 502])
def test_what_may_pass_is_asked_again(stub: Stub, status: int) -> None:
    """A blink of the API must not hold a deployment."""
    stub.json(BACKUPS, "{}", status)
    good = '{"pitr_enabled": false, "backups": [], "physical_backup_data": {}}'
    access = SupabaseAccess(stub.url, "ref", "canary-token")

    with Supabase(access, sleep=lambda _: stub.json(BACKUPS, good)) as supabase:
        assert supabase.backups().all == ()

    assert len(stub.seen) == 2


def test_a_ration_that_is_spent_for_longer_is_not_waited_for(stub: Stub) -> None:
    """A minute of waiting is more than the whole run takes."""
    stub.json(BACKUPS, "{}", 429, x_ratelimit_reset="60")

    with stubbed(stub) as supabase, pytest.raises(SupabaseError, match="429"):
        supabase.backups()

    assert len(stub.seen) == 1


def test_a_torn_answer_is_not_measured(access: SupabaseAccess, api: SupabaseApi) -> None:
    """Half a list looks like few backups."""
    api.torn = True

    with Supabase(access) as supabase, pytest.raises(SupabaseError, match="cannot be read"):
        supabase.backups()


@pytest.mark.parametrize(
    "body",
    ["null", "[]", '{"backups": []}', '{"pitr_enabled": true, "backups": [{"status": "DONE"}]}', "<html>"],
)
def test_an_unexpected_shape_is_not_measured(stub: Stub, body: str) -> None:
    """An API that has changed must not read as an empty list."""
    stub.json(BACKUPS, body)

    with stubbed(stub) as supabase, pytest.raises(SupabaseError, match="cannot be read"):
        supabase.backups()


def test_silence_is_not_measured() -> None:
    """Nobody listens there."""
    access = SupabaseAccess("http://127.0.0.1:1", "ref", "canary-token")

    with (
        Supabase(access, deadline=0.2, sleep=lambda _: None) as supabase,
        pytest.raises(SupabaseError, match="no answer"),
    ):
        supabase.backups()


def test_a_target_without_a_project_is_not_measured() -> None:
    """The capability excludes it at collection; nothing else may slip through."""
    with pytest.raises(SupabaseError, match="no Supabase project"):
        ask(Target(name="x", url="http://x", mode="shadow"))


def test_ages_are_by_supabases_own_clock(access: SupabaseAccess, api: SupabaseApi) -> None:
    """A runner whose clock is two days behind would call every backup young."""
    api.skew = timedelta(days=2)

    with Supabase(access) as supabase:
        backups = supabase.backups()

    assert backups.newest is not None
    assert 51.9 < backups.hours_since(backups.newest) < 52.1


@pytest.mark.parametrize("skew", [timedelta(days=-1), timedelta(hours=-5)])
def test_a_backup_that_is_yet_to_come_is_not_measured(
    access: SupabaseAccess, api: SupabaseApi, skew: timedelta
) -> None:
    """Its age is below zero, and every limit is kept."""
    api.skew = skew

    with Supabase(access) as supabase, pytest.raises(SupabaseError, match="yet to come"):
        supabase.backups()


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_an_answer_without_a_time_is_not_measured(access: SupabaseAccess, headers: dict[str, str]) -> None:
    """The runner's own clock knows no better."""
    body = '{"pitr_enabled": false, "backups": [], "physical_backup_data": {}}'
    silent = httpx.MockTransport(lambda _: httpx.Response(200, content=body, headers=headers))

    supabase = Supabase(access)
    supabase.http.close()
    supabase.http = httpx.Client(base_url=access.api, transport=silent)
    with supabase, pytest.raises(SupabaseError, match="without a time"):
        supabase.backups()


def test_only_completed_backups_count() -> None:
    """One that is running, failed or was removed restores nothing."""
    for status in ("FAILED", "PENDING", "REMOVED", "ARCHIVED", "CANCELLED"):
        assert some(1, status=status).newest is None
    assert some(1).newest == NOW - timedelta(hours=1)


def test_point_in_time_recovery_stands_in_where_there_is_no_list() -> None:
    """With it on the list may be empty, and nothing is wrong; beside a list it hides no missing backup."""
    assert some(recovery=(160, 1)).newest == NOW - timedelta(hours=1)
    assert some(30, recovery=(160, 1)).newest == NOW - timedelta(hours=30)


@pytest.mark.parametrize(
    ("backups", "gap"),
    [
        (some(*range(4, 160, 24)), 24),
        (some(4, 28, 100), 72),
        (some(4, 28), 140),
        (some(200), 168),
        (some(), 168),
        (some(recovery=(168, 0)), 0),
        (some(recovery=(48, 0)), 120),
    ],
)
def test_the_widest_gap_of_a_week(backups: Backups, gap: float) -> None:
    """It is what cannot be gone back to, up to the newest backup: how old that one is, is another check's question."""
    assert backups.widest_gap() == pytest.approx(gap)
