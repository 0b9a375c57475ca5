"""What a deployment is configured with: read from three places, judged by name, form and host, never shown."""

# ruff: noqa: S106  (nobody's secrets)

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures import environment as variables
from fixtures import environment_sources as sources
from fixtures.environment_sources import Environment, EnvironmentUnreadableError
from fixtures.targets import VercelAccess

from .conftest import ROOT, Stub
from .running_edge import RunningEdge, run_edge

URL = "https://7peducation.vercel.app"
HEALTHY: dict[str, str | None] = {
    "NODE_ENV": "production",
    "NEXTAUTH_URL": URL,
    "NEXTAUTH_SECRET": "0123456789abcdef0123456789abcdef",
    "NEXT_PUBLIC_SUPABASE_URL": "https://abcdefgh.supabase.co",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY": "anonymous-key-of-the-selftest",
    "SUPABASE_SERVICE_ROLE_KEY": "service-key-of-the-selftest",
    "SUPABASE_SERVICE_KEY": "service-key-of-the-selftest",
    "PAYMENTS_MODE": "stripe",
    "STRIPE_SECRET_KEY": "sk_live_0123456789abcdef",
    "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY": "pk_live_0123456789abcdef",
    "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef",
    "FEATURE_ENROLL_FREE": "true",
    "FREE_ENROLLMENT_CODE": "7P-2025",
}


def having(**changed: str | None) -> Environment:
    """Return the healthy environment with some of it changed."""
    return Environment("selftest", HEALTHY | changed)


def without(*names: str) -> Environment:
    """Return the healthy environment with some of it missing."""
    return Environment("selftest", {name: value for name, value in HEALTHY.items() if name not in names})


def problems(environment: Environment, *, live: bool = True) -> list[str]:
    """Return everything that is wrong with it."""
    return [
        *variables.missing(environment),
        *variables.malformed(environment),
        *variables.elsewhere(environment, URL),
        *variables.mistaken_keys(environment, live=live),
        *variables.wrong_flags(environment),
    ]


@pytest.mark.parametrize(
    "environment",
    [
        having(),
        having(STRIPE_WEBHOOK_SECRET=None, NEXTAUTH_SECRET=None, PAYMENTS_MODE=None),
        having(NEXTAUTH_URL=f"{URL}/"),
        having(NEXT_PUBLIC_SENTRY_DSN="https://key@o1.ingest.sentry.io/2", SOMETHING_ELSE="x"),
        having(MAINTENANCE_MODE="false", DEBUG_MODE="0"),
        without("NODE_ENV"),
        Environment(
            "payments off",
            {name: value for name, value in HEALTHY.items() if "STRIPE" not in name and name != "PAYMENTS_MODE"},
        ),
        Environment("free enrolment off", {k: v for k, v in HEALTHY.items() if "ENROLL" not in k}),
    ],
    ids=["live", "sensitive", "slash", "more", "flags off", "no NODE_ENV", "payments off", "free enrolment off"],
)
def test_a_healthy_environment_has_no_problem(environment: Environment) -> None:
    """Off is not broken, and what Vercel keeps to itself is not wrong."""
    assert problems(environment) == []


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        (without("NEXTAUTH_SECRET"), "NEXTAUTH_SECRET"),
        (without("SUPABASE_SERVICE_KEY"), "SUPABASE_SERVICE_KEY"),
        (without("SUPABASE_SERVICE_ROLE_KEY"), "SUPABASE_SERVICE_ROLE_KEY"),
        (without("STRIPE_WEBHOOK_SECRET"), "STRIPE_WEBHOOK_SECRET"),
        (having(STRIPE_SECRET_KEY=""), "STRIPE_SECRET_KEY"),
        (without("FREE_ENROLLMENT_CODE"), "FREE_ENROLLMENT_CODE"),
        (having(NEXTAUTH_SECRET="0123456789abcdef"), "NEXTAUTH_SECRET has 16 characters, 32 are needed"),
        (having(NEXTAUTH_SECRET="[secure-random-string-of-32-letters]"), "NEXTAUTH_SECRET is a placeholder"),
        (having(NEXTAUTH_SECRET="a" * 40), "NEXTAUTH_SECRET is a placeholder"),
        (having(SUPABASE_SERVICE_KEY="key\n"), "SUPABASE_SERVICE_KEY has spaces, a line end or quotes around it"),
        (having(SUPABASE_SERVICE_KEY='"key"'), "SUPABASE_SERVICE_KEY has spaces, a line end or quotes around it"),
        (having(STRIPE_SECRET_KEY="pk_live_0123456789"), "STRIPE_SECRET_KEY is not sk_live_… or sk_test_…"),
        (having(STRIPE_WEBHOOK_SECRET="0123456789"), "STRIPE_WEBHOOK_SECRET is not whsec_…"),
        (having(NEXT_PUBLIC_SUPABASE_URL="http://x.supabase.co"), "NEXT_PUBLIC_SUPABASE_URL is not https://"),
        (having(PAYMENTS_MODE="Stripe"), "PAYMENTS_MODE is not stripe or disabled"),
        (
            having(NEXTAUTH_URL="https://staging.7p.test"),
            "NEXTAUTH_URL is on staging.7p.test, users are on 7peducation",
        ),
        (having(NEXTAUTH_URL="http://7peducation.vercel.app"), "NEXTAUTH_URL is http, not https"),
        (having(NEXTAUTH_URL="7peducation.vercel.app"), "NEXTAUTH_URL is on no host"),
        (having(NEXTAUTH_URL=f"{URL}/login"), "NEXTAUTH_URL has a path"),
        (having(STRIPE_SECRET_KEY="sk_test_0123456789"), "the two Stripe keys are of different modes"),
        (having(STRIPE_SECRET_KEY="sk_test_0123456789"), "STRIPE_SECRET_KEY is a test key, live is meant"),
        (having(SUPABASE_SERVICE_KEY="anonymous-key-of-the-selftest"), "SUPABASE_SERVICE_KEY is the anonymous key"),
        (having(NEXT_PUBLIC_KEY="service-key-of-the-selftest"), "NEXT_PUBLIC_KEY publishes a secret"),
        (having(MAINTENANCE_MODE="true"), "MAINTENANCE_MODE is on"),
        (having(DEBUG_MODE="1"), "DEBUG_MODE is on"),
        (having(NODE_ENV="development"), "NODE_ENV is not production"),
        (having(FEATURE_ENROLL_FREE="evet"), "FEATURE_ENROLL_FREE is neither true nor false"),
    ],
)
def test_each_mistake_is_named(environment: Environment, problem: str) -> None:
    """In words that say which variable and what to set, and nothing of its value."""
    found = problems(environment)

    assert [line for line in found if line.startswith(problem)] != []
    secrets = [value for name, value in environment.values.items() if value and ("SECRET" in name or "KEY" in name)]
    assert [line for line in found for value in secrets if value in line] == []


def test_live_keys_where_a_test_is_meant_are_a_mistake_too() -> None:
    """They would charge real cards."""
    found = variables.mistaken_keys(having(), live=False)

    assert found == [
        "STRIPE_SECRET_KEY is a live key, test is meant",
        "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY is a live key, test is meant",
    ]


def test_the_candidates_own_example_adds_what_it_needs() -> None:
    """A variable that the new build reads, and nobody has set yet, is found before it is missed."""
    example = (
        "# comment\nNEXTAUTH_URL=\nexport NEW_SERVICE_URL='https://x' # why\nNODE_ENV=production\nSTRIPE_NEW_KEY=\n"
    )

    assert variables.missing(having(), example) == ["NEW_SERVICE_URL", "STRIPE_NEW_KEY"]
    assert variables.missing(having(PAYMENTS_MODE="disabled"), example) == ["NEW_SERVICE_URL"]


def test_a_dotenv_file_is_read_as_the_platform_reads_it(tmp_path: Path) -> None:
    """Quotes, comments and `export` are no part of a value."""
    file = tmp_path / ".env"
    file.write_text("A=1\nexport B='two words' # why\nC=\"x#y\"\nD=plain # comment\n# E=no\nnot a line\nF=\n")

    found = sources.of_file(file)

    assert found.values == {"A": "1", "B": "two words", "C": "x#y", "D": "plain", "F": ""}


def test_only_the_platforms_variables_are_taken_from_the_process() -> None:
    """The runner's own tokens are nobody's business."""
    found = sources.of_process({"NEXTAUTH_URL": URL, "PATH": "/bin", "VERCEL_TOKEN": "x", "STRIPE_SECRET_KEY": "y"})

    assert found.values == {"NEXTAUTH_URL": URL, "STRIPE_SECRET_KEY": "y"}


def test_values_are_in_no_repr_and_in_no_line() -> None:
    """What is printed may be published: names, and enough to tell two values apart."""
    environment = having(EMPTY="", HIDDEN=None)
    shown = repr(environment) + "\n".join(environment.lines())

    assert [value for value in HEALTHY.values() if value and len(value) > 6 and value in shown] == []
    assert "NEXTAUTH_SECRET  sha256:" in shown
    assert sources.fingerprint("one") != sources.fingerprint("two")
    assert {"EMPTY  (empty)", "HIDDEN  (set, not readable)"} <= set(environment.lines())


def test_the_command_line_verifies_a_file(tmp_path: Path) -> None:
    """The runbook's `npm run env:verify`, for anyone: exit 1 names what is wrong, and shows no value."""
    file = tmp_path / ".env.production"
    file.write_text("".join(f"{name}={value}\n" for name, value in HEALTHY.items()))
    command = [sys.executable, "-m", "fixtures.environment", str(file)]

    good = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    file.write_text(file.read_text().replace("SUPABASE_SERVICE_KEY=", "OTHER="))
    bad = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    none = subprocess.run([*command[:-1], "nowhere"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert (good.returncode, bad.returncode, none.returncode) == (0, 1, 2), good.stdout + good.stderr
    assert "WRONG: SUPABASE_SERVICE_KEY is missing" in bad.stdout
    assert "service-key-of-the-selftest" not in good.stdout + bad.stdout
    assert none.stderr == "nowhere: No such file or directory\n"


@pytest.fixture(scope="module")
def running() -> Iterator[RunningEdge]:
    """Run an edge with its API."""
    with run_edge() as running:
        yield running


def test_vercels_list_is_read_with_everything_but_what_it_keeps_to_itself(running: RunningEdge) -> None:
    """Encrypted values are decrypted one by one; sensitive ones are there and unreadable."""
    deployment = running.publish(promote=True)
    deployment.build.environment.update({name: value or "" for name, value in HEALTHY.items()})
    access = VercelAccess(api=running.api.url, project=running.edge.project.id, token=running.edge.token)

    found = sources.of_vercel(access)

    assert found.values == HEALTHY | {"STRIPE_WEBHOOK_SECRET": None}
    assert problems(found) == []


def test_the_list_itself_shows_no_value(running: RunningEdge) -> None:
    """As on Vercel, only the call for one variable decrypts."""
    deployment = running.publish(promote=True)
    deployment.build.environment.update({name: value or "" for name, value in HEALTHY.items()})

    shown = running.call("GET", f"/v9/projects/{running.edge.project.id}/env").text

    assert [value for value in HEALTHY.values() if value and len(value) > 10 and value in shown] == []
    assert running.call("GET", f"/v1/projects/{running.edge.project.id}/env/unknown").status_code == 404


def test_variables_of_other_environments_are_left_out(stub: Stub) -> None:
    """A preview's NEXTAUTH_URL must not be taken for production's."""
    row = '{"id":"%s","key":"%s","type":"plain","value":"%s","target":%s}'
    rows = [
        row % ("1", "A", "x", '["production"]'),
        row % ("2", "B", "y", '["preview"]'),
        row % ("3", "C", "z", '"production"'),
    ]
    stub.json("GET /v9/projects/prj/env", f'{{"envs":[{",".join(rows)}]}}')

    found = sources.of_vercel(VercelAccess(api=stub.url, project="prj", token="t", team="team_1"))

    assert found.values == {"A": "x", "C": "z"}
    assert stub.seen[0][0] == "GET /v9/projects/prj/env?teamId=team_1"


@pytest.mark.parametrize(("status", "body"), [(403, "{}"), (500, "oops"), (200, "<html>"), (200, '{"envs":1}')])
def test_what_cannot_be_read_is_said_and_not_guessed(stub: Stub, status: int, body: str) -> None:
    """A token without the right to read variables must not look like variables that are missing."""
    stub.json("GET /v9/projects/prj/env", body, status)

    with pytest.raises(EnvironmentUnreadableError, match="GET /v9/projects/prj/env") as caught:
        sources.of_vercel(VercelAccess(api=stub.url, project="prj", token="secret-token"))

    assert "secret-token" not in str(caught.value)
