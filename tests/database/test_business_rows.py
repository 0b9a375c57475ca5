"""
Checks of rows that PostgreSQL accepts and no business has: amounts, accounts, times, titles.

Like test_invariants they call counters of ci/sql/monitor_role.sql, each of which says how many rows it examined.
"""

from __future__ import annotations

from typing import Final

import pytest

from fixtures.checks.declarations import asks_database, depends_on
from fixtures.checks.evidence import Evidence
from fixtures.database.rows import Rows

# A few payments prove nothing: one course was given away, or its price corrected.
_ENOUGH: Final = 5
_LATEST: Final = 10
_MOST_OF_THE_LATEST: Final = 8
_SHARE: Final = 0.1
_FEW: Final = 3

ACCOUNTS = asks_database(
    """
    SELECT examined, same_address, without_address, of_no_form, shared_hash FROM synthetic.accounts()
    """,
    min_rows=1,
    sees=("counters",),
)


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="upkeep", runbook="payment-system-down")
@depends_on("table payment_transactions", "table courses")
@asks_database(
    """
    SELECT examined, wrong, latest, latest_wrong, courses, without_currency FROM synthetic.amounts()
    """,
    min_rows=0,
    sees=("counters",),
)
def test_the_books_show_what_courses_cost(rows: Rows, evidence: Evidence) -> None:
    """
    Most payments are nothing, a hundredth or the hundredfold of the price, or of another currency: money is wrong.

    A discount, a voucher, a corrected price of one course are healthy.
    """
    examined, wrong, latest, latest_wrong, courses, without_currency = rows.one(int, int, int, int, int, int)
    if not examined:
        evidence.reason("no completed payment was there to examine")
    most = examined >= _ENOUGH and wrong > examined / 2
    newest = latest >= _LATEST and latest_wrong >= _MOST_OF_THE_LATEST
    found = [f"{wrong} of {examined} payments are far from the price"] if courses > 1 and (most or newest) else []
    found += [f"{without_currency} of {examined} payments have no currency"] if without_currency else []

    assert found == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="payment-system-down")
@depends_on("table payment_transactions")
@asks_database("SELECT examined, again FROM synthetic.double_charges()", min_rows=0, sees=("counters",))
def test_nobody_paid_twice_for_a_course(rows: Rows) -> None:
    """Two completed payments of one person for one course within a day: one must be given back."""
    examined, again = rows.one(int, int)

    assert [f"{again} of {examined} payments repeat one of the same day"] * bool(again) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="support-procedures")
@depends_on("table payment_transactions", "table enrollments", "table lesson_progress", "table courses", "table users")
@asks_database("SELECT examined, in_future FROM synthetic.future_rows()", min_rows=1, sees=("counters",))
def test_nothing_happened_in_the_future(rows: Rows) -> None:
    """A load read a year wrongly: lists put the row first for years, and reports never count it."""
    examined, in_future = rows.one(int, int)

    assert [f"{in_future} of {examined} rows are from the future"] * bool(in_future) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="authentication-issues")
@depends_on("table users", "table user_profiles")
@ACCOUNTS
def test_every_account_has_an_address_of_its_own(rows: Rows) -> None:
    """Two accounts differ by case or a blank only: sign-in opens one of them, and the courses are in the other."""
    examined, same, without, _, _ = rows.one(int, int, int, int, int)
    found = [f"{same} of {examined} accounts have the address of another"] if same else []
    # Some shops put a word in place of the address when they delete an account.
    found += [f"{without} of {examined} accounts have no address"] if without > _SHARE * examined else []

    assert found == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="incident-security")
@depends_on("table users", "table user_profiles")
@ACCOUNTS
def test_every_password_is_hashed(rows: Rows) -> None:
    """A password that is stored as it is opens its account to everyone who sees a backup."""
    examined, _, _, of_no_form, _ = rows.one(int, int, int, int, int)

    assert [f"{of_no_form} of {examined} accounts have no bcrypt, scrypt, argon2 or PBKDF2"] * bool(of_no_form) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@depends_on("table users", "table user_profiles")
@ACCOUNTS
def test_no_two_accounts_share_a_password_hash(rows: Rows) -> None:
    """A hash has a salt, so two are never equal: a script gave one person's password to others."""
    examined, _, _, _, shared = rows.one(int, int, int, int, int)

    assert [f"{shared} of {examined} accounts have the hash of another"] * bool(shared) == []


@pytest.mark.postdeploy
@pytest.mark.check(severity="P2", judges="upkeep", runbook="support-procedures")
@depends_on("table courses", "table course_modules", "table course_lessons")
@asks_database(
    "SELECT relation, examined, empty, garbled, doubtful FROM synthetic.titles()", min_rows=0, sees=("counters",)
)
def test_titles_are_readable(rows: Rows) -> None:
    """A load in the wrong encoding: readers see Ã¼ or `undefined` in place of a title. Or no route finds a course."""
    found = []
    for relation, examined, empty, garbled, doubtful in rows:
        many = doubtful if doubtful >= _FEW and doubtful > _SHARE * examined else 0
        if empty or garbled or many:
            found.append(f"{empty + garbled + many} of {examined} titles of {relation}")

    assert found == []
