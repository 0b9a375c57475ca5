"""Checks 7p-verify.toml: the changes that it may declare, and those that no build may excuse."""

from __future__ import annotations

from datetime import date

import pytest

from fixtures.model.declared import FILE, parse, refusal
from fixtures.model.verdict import Judges, Severity

SHA = "a" * 40
CONTRACT = """
[texts]
sign_in = ["Oturum aç", "Giriş"]

[routes."GET /api/wishlist"]
guard = "student"
reason = "the wish list"

[[contracts]]
check = "test_the_sitemap_is_complete"
owner = "shop team"
reason = "it moves"
since = 2026-11-27
expires = 2026-12-31

[[known_faults]]
check = "test_links_lead_somewhere"
offenders = ["GET /old 404"]
owner = "shop team"
reason = "removed on Monday"
since = 2026-11-27
expires = 2026-12-03
"""


def test_the_report_says_what_the_commit_declares() -> None:
    """Each declared change is one line with the commit, its owner and its end."""
    found = parse(CONTRACT.encode(), SHA)

    at = f"{FILE} at {SHA[:12]} declares: "
    assert found.lines() == [
        f"{at}text sign_in: Oturum aç / Giriş",
        f"{at}new route GET /api/wishlist: student: the wish list",
        f"{at}changed contract test_the_sitemap_is_complete: shop team, until 2026-12-31: it moves",
        f"{at}known fault test_links_lead_somewhere: shop team, until 2026-12-03: removed on Monday",
    ]
    assert [(fault.check, fault.offenders, fault.expires) for fault in found.declared.faults("production")] == [
        ("test_the_sitemap_is_complete", [], date(2026, 12, 31)),
        ("test_links_lead_somewhere", ["GET /old 404"], date(2026, 12, 3)),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff", "can't decode byte 0xff"),
        (b"texts = 3", "`$.texts`"),
        (b"[texts]\nsign_in = []", "texts.sign_in: give it at least one word"),
        (b"[waive]\nall = true", "unknown field `waive`"),
        (b'[routes."/x"]\nreason = "x"', 'expected "METHOD /path"'),
        (b'[routes."GET /x"]\nreason = "x"\nguard = "nobody"', "Invalid enum value 'nobody'"),
        (CONTRACT.replace("2026-12-31", "2027-12-31").encode(), "at most 90 days after 2026-11-27"),
        (CONTRACT.replace("2026-12-31", "2026-01-01").encode(), "at most 90 days after 2026-11-27"),
        (CONTRACT.replace('owner = "shop team"', "").encode(), "missing required field `owner`"),
        (b"x" * 200_000, "larger than"),
        (b"x = " + b"[" * 5000, "at a"),
    ],
)
def test_a_file_with_a_mistake_is_ignored_in_one_line(content: bytes, says: str) -> None:
    """It comes from another repository, and must never stop a run."""
    found = parse(content, SHA)

    (line,) = found.lines()
    assert says in line
    assert line.endswith("; it is ignored")
    assert "\n" not in line
    assert found.declared.lines() == []


@pytest.mark.parametrize(
    ("severity", "judges", "refused"),
    [
        ("P0", "function", "never waived by the build itself"),
        ("P1", "function", "never waived by the build itself"),
        ("P1", "exposure", "never waived by the build itself"),
        ("P2", "exposure", "never a known fault"),
        ("P2", "function", ""),
        ("P2", "contract", ""),
        ("P1", "hardening", ""),
        ("P0", "upkeep", "7 days at most"),
    ],
)
def test_no_build_excuses_itself_from_what_users_need(severity: str, judges: str, refused: str) -> None:
    """Otherwise the commit that breaks the sign-in could say that this is intended."""
    fault = parse(CONTRACT.encode(), SHA).declared.faults("production")[0]

    said = refusal(fault, Severity(severity), Judges(judges))

    assert (refused in said) if refused else said == ""
