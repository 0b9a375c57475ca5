"""What the candidate is configured with, before anyone meets it; names and fingerprints only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from fixtures import environment as variables
from fixtures import masks
from fixtures.answers import Answer
from fixtures.declarations import asks, touches
from fixtures.environment import Environment, EnvironmentUnreadableError
from fixtures.evidence import Evidence, NotMeasured
from fixtures.targets import Target


@pytest.fixture(scope="module")
def read(target: Target) -> Environment:
    """
    Return the variables that production's next build gets.

    SYNTHETIC_ENVIRONMENT: "process" or a dotenv file, where Vercel's API is not to be asked.
    """
    source = os.environ.get("SYNTHETIC_ENVIRONMENT", "")
    try:
        if source:
            found = variables.of_process() if source == "process" else variables.of_file(Path(source))
        elif target.vercel:
            found = variables.of_vercel(target.vercel)
        else:
            msg = "neither Vercel's API nor SYNTHETIC_ENVIRONMENT tells the variables"
            raise NotMeasured(msg)
    except EnvironmentUnreadableError as error:
        raise NotMeasured(str(error)) from None
    masks.register(value for name, value in found.values.items() if _is_secret(name))
    return found


@pytest.fixture
def environment(read: Environment, evidence: Evidence) -> Environment:
    """Return the variables, and leave their fingerprints as evidence."""
    evidence.attach("environment", "\n".join([read.source, *read.lines()]).encode(), ".txt")
    return read


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("SECRET", "KEY", "CODE")) and not name.startswith("NEXT_PUBLIC_")


def _example() -> str | None:
    source = os.environ.get("SYNTHETIC_SOURCE")
    path = Path(source, ".env.example") if source else None
    return path.read_text(encoding="utf-8") if path and path.exists() else None


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="deployment-checklist", needs=("vercel",), rollback_eligible=False)
@touches("variable *")
def test_every_variable_that_the_payments_mode_needs_is_set(environment: Environment) -> None:
    """One missing auth variable turned sign-in and the data APIs into HTML 500, with health at 200."""
    assert variables.missing(environment, _example()) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="deployment-checklist", needs=("vercel",), rollback_eligible=False)
@touches("variable *")
def test_variables_have_the_form_of_what_they_are(environment: Environment) -> None:
    """A short secret can be guessed; a key with a line end at its end is refused by everyone it is shown to."""
    assert variables.malformed(environment) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="authentication-issues", needs=("vercel",), rollback_eligible=False)
@touches("variable NEXTAUTH_URL")
def test_sign_in_is_bound_to_the_host_that_users_are_on(environment: Environment, target: Target) -> None:
    """Bound to another host, it sets its cookies there: nobody comes back signed in."""
    assert variables.elsewhere(environment, target.url) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="payment-system-down", needs=("vercel",), rollback_eligible=False)
@touches("variable *KEY")
def test_keys_belong_together_and_to_this_environment(environment: Environment, target: Target) -> None:
    """Test keys in production take no money and give every course away; live keys in a test charge real cards."""
    in_test_mode = target.is_sandbox or "payments" in target.capabilities

    assert variables.mistaken_keys(environment, live=not in_test_mode) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="feature-flags", needs=("vercel",), rollback_eligible=False)
@touches("variable *")
def test_no_flag_is_on_that_production_must_not_have(environment: Environment) -> None:
    """Maintenance and debug mode are switched on for an hour and forgotten."""
    assert variables.wrong_flags(environment) == []


class Flags(msgspec.Struct):
    """What the health endpoint says of the flags."""

    paymentsMode: Literal["stripe", "disabled"]  # noqa: N815  (the platform's word)
    freeEnrollmentEnabled: bool  # noqa: N815


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", runbook="feature-flags", needs=("vercel",), rollback_eligible=False)
@asks("GET /api/health")
@touches("variable PAYMENTS_MODE", "variable FEATURE_ENROLL_FREE")
def test_the_build_runs_with_the_flags_that_are_set(answer: Answer, environment: Environment) -> None:
    """A flag that was changed after the build is not in it, and everyone believes that it is."""
    flags = answer.read(Flags)
    free = environment.values.get("FEATURE_ENROLL_FREE", "")

    assert flags.paymentsMode == environment.payments_mode
    # None: Vercel keeps it to itself.
    assert free is None or flags.freeEnrollmentEnabled == (free == "true")
