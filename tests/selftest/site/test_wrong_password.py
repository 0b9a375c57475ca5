"""The one wrong password of a run, against a loopback platform."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.run.current_run import Run
from fixtures.run.rate_limits import BudgetSpentError
from fixtures.site.wrong_password import attempt, nearly, one_try
from tests.selftest.site.conftest import STUDENT, Platform, VariantOf


@given(st.text(min_size=1))
def test_the_wrong_password_is_never_the_right_one(password: str) -> None:
    """Otherwise a healthy platform would be red, and rolled back."""
    assert nearly(password) != password


@pytest.mark.parametrize(
    ("right", "wrong"), [("Gizli-Parola-42", "Gizli-ParolA-42"), ("12345678", "12345678x"), ("ŞİFREı", "ŞİFREI")]
)
def test_only_the_case_of_the_last_letter_differs(right: str, wrong: str) -> None:
    """So one try shows also that case counts, and the characters up to that letter."""
    assert nearly(right) == wrong


def test_a_refusal_without_a_session_accepts_nobody(on_variant: VariantOf, platform: Platform, own_run: Run) -> None:
    """The try counts as a sign-in of that account."""
    site, _ = on_variant()
    tried = attempt(site, STUDENT)

    assert (tried.accepted, tried.unmeasured, platform.sign_ins) == (None, "", 1)
    assert own_run.spent()["sign-ins"] == 1


@pytest.mark.parametrize("status", [200, 302, 401, 403])
def test_a_session_is_acceptance_whatever_the_status(on_variant: VariantOf, platform: Platform, status: int) -> None:
    """An application that says 401 and sets a valid cookie lets everybody in."""
    platform.refusal = status
    platform.password = nearly(STUDENT.password)
    site, _ = on_variant()

    assert attempt(site, STUDENT).accepted == STUDENT.email


@pytest.mark.parametrize("status", [302, 400, 401, 403])
def test_a_refusal_may_have_any_status(on_variant: VariantOf, platform: Platform, status: int) -> None:
    """The effect counts: nobody is signed in."""
    platform.refusal, platform.refused_to = status, "/login?error=CredentialsSignin"
    site, _ = on_variant()

    tried = attempt(site, STUDENT)
    assert (tried.accepted, tried.unmeasured) == (None, "")


@pytest.mark.parametrize(
    ("status", "to"),
    [
        (401, "/api/auth/error?error=Too%20many%20login%20attempts.%20Try%20later"),
        (401, "/api/auth/error?error=Account+temporarily+locked"),
        (401, "/api/auth/error?error=Email%20not%20verified"),
        (200, "/api/auth/signin?csrf=true"),
        (429, ""),
        (500, ""),
    ],
)
def test_a_password_that_was_not_compared_is_not_measured(
    on_variant: VariantOf, platform: Platform, status: int, to: str
) -> None:
    """A refusal for another reason would be green on an application that accepts every password."""
    platform.refusal, platform.refused_to = status, to
    site, _ = on_variant()
    tried = attempt(site, STUDENT)

    assert tried.accepted is None
    assert "POST" in tried.unmeasured


def test_two_tries_of_two_accounts_are_counted_apart(on_variant: VariantOf, own_run: Run) -> None:
    """The platform's limit is of an account."""
    site, _ = on_variant()
    other = msgspec.structs.replace(STUDENT, email="ogrenci2@7peducation.test")
    for account in (STUDENT, other, other):
        attempt(site, account)

    assert own_run.rate_limits.left()["sign-ins"] == 3


def test_a_run_tries_once_on_a_deployment(on_variant: VariantOf, platform: Platform, own_run: Run) -> None:
    """Check and journey share the try; five wrong passwords in a row lock the account for half an hour."""
    tries = [one_try(on_variant(name, "dpl_1")[0], STUDENT) for name in ("target", "candidate", "target")]

    assert tries == [tries[0]] * 3
    assert platform.sign_ins == 1
    assert own_run.spent()["wrong-passwords"] == 1


def test_a_re_run_tries_on_the_control_only_after_a_red_try(on_variant: VariantOf, platform: Platform) -> None:
    """A proof run for another red check must not use up the tries."""
    candidate, control = (on_variant(name, name)[0] for name in ("candidate", "control"))
    again = [replace(site, run=replace(site.run, is_rerun=True)) for site in (candidate, control, control)]
    one_try(candidate, STUDENT)
    with pytest.raises(BudgetSpentError, match="re-runs try no wrong password"):
        one_try(again[1], STUDENT)

    (candidate.run.directory / "sessions" / "wrong_password.json").unlink()
    platform.password = nearly(STUDENT.password)
    one_try(candidate, STUDENT)
    platform.password = STUDENT.password

    assert [one_try(site, STUDENT).accepted for site in again] == [STUDENT.email, None, None]
    assert platform.sign_ins == 3


def test_four_tries_in_half_an_hour_are_the_most(on_variant: VariantOf, platform: Platform) -> None:
    """The fifth in a row would lock the account."""
    for number in range(4):
        one_try(on_variant("target", f"dpl_{number}")[0], STUDENT)
    with pytest.raises(BudgetSpentError, match="no wrong-passwords are left"):
        one_try(on_variant("target", "dpl_9")[0], STUDENT)

    assert platform.sign_ins == 4
