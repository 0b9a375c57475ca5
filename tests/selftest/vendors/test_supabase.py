"""Supabase's Management API: backups are read, nothing is written, and an odd answer is not a backup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
from msgspec.structs import replace

from fixtures.checks.evidence import NotMeasured
from fixtures.sandbox.vendors.supabase_api import SupabaseApi
from fixtures.target.targets_file import SupabaseAccess
from fixtures.vendors import api as vendor_api
from fixtures.vendors.api import Api
from fixtures.vendors.supabase import Backup, Backups, backups_of
from tests.selftest.conftest import Stub
from tests.selftest.sandbox.running_edge import run_edge

CANARY = "canary-token"

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BACKUPS = "GET /v1/projects/ref/database/backups"


@pytest.fixture
def api() -> SupabaseApi:
    """Return the stand-in."""
    return SupabaseApi()


@pytest.fixture
def access(api: SupabaseApi) -> Iterator[SupabaseAccess]:
    """Serve the stand-in; yields the access to it."""
    with run_edge() as running:
        listener = running.do(running.edge.listeners.open(api.app))
        yield SupabaseAccess(api=listener.url, project=api.ref, token=api.token)


def stubbed(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Backups:
    """Ask a stub, without waiting between the attempts."""
    monkeypatch.setattr(vendor_api, "_DEADLINE", 0.3)
    return backups_of(SupabaseAccess(api=stub.url, project="ref", token=CANARY), sleep=lambda _: None)


ACCESS = SupabaseAccess(api="https://api.test", project="ref", token=CANARY)


def answer(monkeypatch: pytest.MonkeyPatch, body: str, date: str) -> None:
    """Give every request this body and this date."""
    response = partial(httpx.Response, 200, content=body, headers={"date": date})
    monkeypatch.setattr(vendor_api, "_OnlyGet", lambda: httpx.MockTransport(lambda _: response()))


def window(last: str) -> str:
    """Return an answer with the end of point-in-time recovery."""
    data = f'{{"earliest_physical_backup_date_unix": 1772000000, "latest_physical_backup_date_unix": {last}}}'
    return f'{{"pitr_enabled": true, "backups": [], "physical_backup_data": {data}}}'


def some(*ages: float, recovery: tuple[float, float] | None = None, status: str = "COMPLETED") -> Backups:
    """Return backups of these ages in hours."""
    all_ = tuple(Backup(NOW - timedelta(hours=age), status) for age in ages)
    window = None
    if recovery:
        window = (NOW - timedelta(hours=recovery[0]), NOW - timedelta(hours=recovery[1]))
    return Backups(NOW, all_, recovery is not None, window)


def test_backups_are_read_newest_first(access: SupabaseAccess, api: SupabaseApi) -> None:
    """The API does not promise an order."""
    api.backups.reverse()

    backups = backups_of(access)

    assert len(backups.completed) == 7
    assert backups.completed == sorted(backups.completed, reverse=True)
    assert backups.newest == backups.completed[0]
    assert 3.9 < backups.hours_since(backups.completed[0]) < 4.1
    assert backups.recovery is not None
    assert api.calls == [f"GET /v1/projects/{api.ref}/database/backups"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_but_get_leaves(access: SupabaseAccess, api: SupabaseApi, method: str) -> None:
    """The same token could restore a backup over production."""
    with Api("", access.api, access.token, advice={}) as asked, pytest.raises(PermissionError, match="only reads"):
        asked.http.request(method, f"/v1/projects/{api.ref}/database/backups/restore-pitr")

    assert api.calls == []


def test_a_refused_token_names_its_scope_and_stays_hidden(access: SupabaseAccess) -> None:
    """The message says how to make a new token."""
    wrong = replace(access, token="sbp_canary")  # noqa: S106

    with pytest.raises(NotMeasured, match="database:read") as refused:
        backups_of(wrong)

    assert "sbp_canary" not in f"{refused.value} {wrong!r}"


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_an_answer_that_is_none_is_not_measured(stub: Stub, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A red check would be wrong here, and a green one too."""
    stub.json(BACKUPS, '{"message": "no"}', status)

    with pytest.raises(NotMeasured, match=str(status)):
        stubbed(stub, monkeypatch)


@pytest.mark.parametrize("status", [429, 502])
def test_what_may_pass_is_asked_again(stub: Stub, status: int) -> None:
    """A short failure of the API must not hold a deployment."""
    stub.json(BACKUPS, "{}", status)
    good = '{"pitr_enabled": false, "backups": [], "physical_backup_data": {}}'
    access = SupabaseAccess(api=stub.url, project="ref", token=CANARY)

    assert backups_of(access, sleep=lambda _: stub.json(BACKUPS, good)).all == ()
    assert len(stub.seen) == 2


def test_a_rate_limit_that_lasts_longer_is_not_waited_for(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait of a minute is longer than the whole run."""
    stub.json(BACKUPS, "{}", 429, x_ratelimit_reset="60")

    with pytest.raises(NotMeasured, match="429"):
        stubbed(stub, monkeypatch)

    assert len(stub.seen) == 1


def test_a_torn_answer_is_not_measured(access: SupabaseAccess, api: SupabaseApi) -> None:
    """Half a list looks like few backups."""
    api.torn = True

    with pytest.raises(NotMeasured, match="cannot be read"):
        backups_of(access)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        *((body, "cannot be read") for body in ("", "null", "[]", '{"backups": []}', "<html>", "[" * 100_000)),
        ('{"pitr_enabled": null, "backups": []}', "pitr_enabled"),
        ('{"pitr_enabled": true, "backups": null}', "backups"),
        (window("1e300"), "latest_physical_backup_date_unix"),
        (window("99999999999999999999"), "latest_physical_backup_date_unix"),
        (window('"today"'), "latest_physical_backup_date_unix"),
    ],
)
def test_an_unexpected_shape_is_not_measured(stub: Stub, body: str, said: str) -> None:
    """A changed API must not look like an empty list."""
    stub.json(BACKUPS, body)

    with pytest.raises(NotMeasured, match=said):
        backups_of(SupabaseAccess(api=stub.url, project="ref", token=CANARY))


GOOD = '{"inserted_at": "2026-03-01T08:00:00Z", "status": "COMPLETED"}'


@pytest.mark.parametrize(
    "row",
    [
        '{"inserted_at": "2026-03-01T11:00:00Z", "status": "RUNNING_NEW"}',
        '{"inserted_at": null, "status": "COMPLETED"}',
        '{"inserted_at": "2026-03-01T11:00:00Z"}',
        '{"inserted_at": "0001-01-01T00:00:00+14:00", "status": "COMPLETED"}',
        '{"inserted_at": 17, "status": 4, "id": "x"}',
        "null",
    ],
)
def test_a_row_that_cannot_be_judged_matters_only_where_a_backup_is_missed(
    row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown status must not stop a gate that has a recent backup, nor turn an old one red."""
    body = f'{{"pitr_enabled": false, "new": 1, "backups": [{row}, {GOOD}]}}'
    answer(monkeypatch, body, "Sun, 01 Mar 2026 12:00:00 GMT")

    backups = backups_of(ACCESS)

    assert backups.newest_within(5) == datetime(2026, 3, 1, 8, tzinfo=UTC)
    for missed in (lambda: backups.newest_within(3), lambda: backups.widest_gap(24)):
        with pytest.raises(NotMeasured, match="1 backups that cannot be judged"):
            missed()


def test_silence_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server listens on that port."""
    monkeypatch.setattr(vendor_api, "_DEADLINE", 0.3)
    with pytest.raises(NotMeasured, match="no answer"):
        backups_of(SupabaseAccess(api="http://127.0.0.1:1", project="ref", token=CANARY), sleep=lambda _: None)


def test_ages_are_by_supabases_own_clock(access: SupabaseAccess, api: SupabaseApi) -> None:
    """Against a wrong clock of the runner every backup would look young."""
    api.skew = timedelta(days=2)

    backups = backups_of(access)

    assert backups.newest is not None
    assert 51.9 < backups.hours_since(backups.newest) < 52.1


def test_a_target_without_a_project_is_not_measured() -> None:
    """Normally the capability excludes such a target."""
    with pytest.raises(NotMeasured, match="no Supabase project"):
        backups_of(None)


@pytest.mark.parametrize("skew", [timedelta(days=-1), timedelta(hours=-5)])
def test_a_backup_that_is_yet_to_come_is_not_measured(
    access: SupabaseAccess, api: SupabaseApi, skew: timedelta
) -> None:
    """A negative age would be within every limit."""
    api.skew = skew

    with pytest.raises(NotMeasured, match="yet to come"):
        backups_of(access)


@pytest.mark.parametrize("said", ["", "yesterday", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 99999 00:00:00 GMT"])
def test_an_answer_without_a_time_is_not_measured(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner's clock may be wrong."""
    answer(monkeypatch, '{"pitr_enabled": false, "backups": [], "physical_backup_data": {}}', said)

    with pytest.raises(NotMeasured, match="no age is known"):
        backups_of(ACCESS)


def test_only_completed_backups_count() -> None:
    """A backup that runs, failed or was removed cannot be restored."""
    for status in ("FAILED", "PENDING", "REMOVED", "ARCHIVED", "CANCELLED"):
        assert some(1, status=status).newest is None
    assert some(1).newest == NOW - timedelta(hours=1)


def test_point_in_time_recovery_stands_in_where_there_is_no_list() -> None:
    """With point-in-time recovery the list may be empty; a missing backup of a list is still found."""
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
    """The gap ends at the newest backup; another check judges how old that one is."""
    assert backups.widest_gap() == pytest.approx(gap)
