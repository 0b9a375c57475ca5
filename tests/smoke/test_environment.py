"""The variables of the candidate, checked before users get it; reports show names and fingerprints only."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.declarations import asks, depends_on
from fixtures.target.target import Target
from fixtures.vendors import environment as variables
from fixtures.vendors.environment_sources import Environment

from .conftest import Where


def example_of(target: Target) -> str | None:
    """Return the list of variables in the platform's repository; None: there is none."""
    path = target.platform_repo / ".env.example" if target.platform_repo else None
    return path.read_text(encoding="utf-8-sig", errors="replace") if path and path.exists() else None


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="deployment-checklist", needs=("environment",))
@depends_on("variable *")
def test_every_variable_that_the_payments_mode_needs_is_set(
    environment: Environment, target: Target, where: Where
) -> None:
    """One missing auth variable turned sign-in and the data APIs into HTML 500, while health was 200."""
    assert variables.missing(environment, example_of(target), preview=where == "preview") == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="deployment-checklist", needs=("environment",))
@depends_on("variable *")
def test_variables_have_the_right_form(environment: Environment) -> None:
    """A short secret can be guessed; a key with a line end in it is refused by every service."""
    assert variables.malformed(environment) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="authentication-issues", needs=("environment",))
@depends_on("variable NEXTAUTH_URL")
def test_sign_in_is_configured_for_the_host_that_users_visit(environment: Environment, target: Target) -> None:
    """Sign-in that is configured for another host sets its cookies there, and no user stays signed in."""
    assert variables.elsewhere(environment, target.url) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="payment-system-down", needs=("environment",))
@depends_on("variable *KEY")
def test_keys_belong_together_and_to_this_environment(environment: Environment, charges_cards: bool) -> None:  # noqa: FBT001
    """Test keys in production take no money and give every course away; live keys in a test charge real cards."""
    assert variables.mistaken_keys(environment, live=charges_cards) == []


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="feature-flags", needs=("environment",))
@depends_on("variable *")
def test_flags_that_production_must_not_have_are_off(environment: Environment, where: Where) -> None:
    """Maintenance and debug mode are switched on for an hour, and then forgotten."""
    assert variables.wrong_flags(environment, preview=where == "preview") == []


class Flags(msgspec.Struct):
    """The flags in the answer of the health endpoint."""

    paymentsMode: Literal["stripe", "disabled"]  # noqa: N815  (the platform's word)
    freeEnrollmentEnabled: bool  # noqa: N815


@pytest.mark.predeploy
@pytest.mark.postdeploy
@pytest.mark.check(severity="P1", judges="upkeep", runbook="feature-flags", needs=("environment",))
@asks("GET /api/health")
@depends_on("variable PAYMENTS_MODE", "variable FEATURE_ENROLL_FREE")
def test_the_build_runs_with_the_flags_that_are_set(answer: Answer, environment: Environment) -> None:
    """A flag that was changed after the build is not in it, although the settings show it."""
    flags = answer.read(Flags)
    free = environment.values.get("FEATURE_ENROLL_FREE", "")

    assert flags.paymentsMode == environment.payments_mode
    # None: Vercel does not show the value.
    assert free is None or flags.freeEnrollmentEnabled == (free == "true")
