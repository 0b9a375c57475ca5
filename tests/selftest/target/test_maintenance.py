"""Maintenance windows: when one is open, and which are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixtures.model.toml_tables import UsageError
from fixtures.target.maintenance import Window, open_window
from fixtures.target.target import load

ENTRY = '[site]\nurl = "https://7p.test"\nmode = "shadow"\nmaintenance = [{}]\n'
ONCE = '{ from = 2026-03-01T02:00:00+03:00, until = 2026-03-01T04:00:00+03:00, reason = "PostgreSQL 17" }'
WEEKLY = '{ weekly = "Sunday 23:00-01:30", zone = "Europe/Istanbul", reason = "backups" }'


def windows_of(declared: str, folder: Path) -> tuple[Window, ...]:
    """Return the windows of a target whose entry declares these."""
    file = folder / "targets.toml"
    file.write_text(ENTRY.format(declared), encoding="utf-8")
    return load("site", environ={}, file=file).maintenance


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        # Two hours on one day, by an offset that the file names.
        ("2026-02-28T22:59", None),
        ("2026-02-28T23:00", "PostgreSQL 17"),
        ("2026-03-01T01:00", None),
        # Every Sunday over midnight, three hours ahead of UTC: 20:00 to 22:30.
        ("2026-03-08T19:59", None),
        ("2026-03-08T20:00", "backups"),
        ("2026-03-08T22:29", "backups"),
        ("2026-03-08T22:30", None),
        ("2026-03-09T20:30", None),
    ],
)
def test_a_window_is_open_in_its_time_only(now: str, reason: str | None, tmp_path: Path) -> None:
    """An outage an hour later is an outage."""
    windows = windows_of(f"{ONCE}, {WEEKLY}", tmp_path)

    found = open_window(windows, datetime.fromisoformat(now).replace(tzinfo=UTC))

    assert (found.reason if found else None) == reason


def test_a_window_is_named_with_its_time_and_reason(tmp_path: Path) -> None:
    """The first line of the report shows it."""
    once, weekly = windows_of(f"{ONCE}, {WEEKLY}", tmp_path)

    assert str(once) == "the declared maintenance window 2026-03-01 02:00 to 04:00 UTC+03:00 (PostgreSQL 17)"
    assert str(weekly) == "the declared maintenance window Sunday 23:00-01:30 Europe/Istanbul (backups)"


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ('{ reason = "x" }', "site.maintenance[0] needs either `from` and `until`, or `weekly`"),
        (ONCE.replace("until", 'weekly = "sunday 02:00-04:00", until'), "needs either `from` and `until`, or `weekly`"),
        (ONCE.replace("04:00:00", "01:00:00"), "must end after it begins"),
        # It would excuse every outage.
        (ONCE.replace("until = 2026", "until = 2027"), "within 24 hours"),
        (ONCE.replace("+03:00", ""), "Expected `datetime` with a timezone component"),
        (ONCE.replace("PostgreSQL 17", ""), "length >= 1"),
        (WEEKLY.replace("Istanbul", "Istambul"), 'in the zone "Europe/Istambul"; write'),
        (WEEKLY.replace("23:00", "25:00"), "write"),
        (WEEKLY.replace("Sunday", "Sundays"), "regex"),
        (f"{WEEKLY}, {ONCE.replace('reason', 'cause')}", "unknown field `cause`"),
    ],
)
def test_a_window_that_cannot_be_meant_is_one_line(declared: str, says: str, tmp_path: Path) -> None:
    """A window that never opens would make an outage out of a planned evening."""
    with pytest.raises(UsageError) as refused:
        windows_of(declared, tmp_path)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
