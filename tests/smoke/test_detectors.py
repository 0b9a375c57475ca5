"""Content that no public answer may show, whichever route it comes from: one check for each detector."""

from __future__ import annotations

import pytest

from fixtures.checks.answers import Answer
from fixtures.inspection import detectors, failures
from fixtures.inspection.detectors import EVERY_ANSWER, offenders
from fixtures.target.target import Target


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P0", judges="exposure", runbook="incident-security")
@EVERY_ANSWER
def test_no_answer_shows_a_secret(answers: list[Answer], target: Target) -> None:
    """A reader of the secret owns the database or the payments until the key is changed."""
    assert offenders(answers, lambda answer: detectors.secrets_in(answer, target.secrets())) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@EVERY_ANSWER
def test_no_answer_carries_fields_of_a_private_record(answers: list[Answer]) -> None:
    """A hash or a reset token in a public answer gives its reader somebody's account."""
    assert offenders(answers, detectors.private_fields) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@EVERY_ANSWER
def test_no_answer_shows_other_peoples_email_addresses(answers: list[Answer]) -> None:
    """These are personal data of students and instructors; by law it is a data breach."""
    assert offenders(answers, detectors.addresses_in) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="authentication-issues")
@EVERY_ANSWER
def test_no_page_prints_an_account_with_its_password(answers: list[Answer]) -> None:
    """A demo account on a fallback page lets anyone in, and shows that the real page is gone."""
    assert offenders(answers, detectors.printed_credentials) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="incident-security")
@EVERY_ANSWER
def test_no_answer_shows_internals_of_the_platform(answers: list[Answer]) -> None:
    """Stack traces, paths and SQL help attackers and no user; they belong in the log."""
    assert offenders(answers, detectors.internals_in) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading")
@EVERY_ANSWER
def test_no_answer_is_an_error_page_with_a_healthy_status(answers: list[Answer]) -> None:
    """An error boundary answers 200: every status is green, and users read "Bir Hata Oluştu"."""
    assert offenders(answers, failures.crashes_in) == []


@pytest.mark.postdeploy
@pytest.mark.predeploy
@pytest.mark.check(severity="P1", judges="exposure", runbook="feature-flags")
@EVERY_ANSWER
def test_no_answer_shows_debug_mode(answers: list[Answer]) -> None:
    """A development build is slow, shows its internals, and was never meant for users."""
    assert offenders(answers, failures.debugging_in) == []
