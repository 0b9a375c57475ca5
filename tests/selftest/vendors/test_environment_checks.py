"""The variables of a deployment are judged by name, form and host, and never shown."""

# ruff: noqa: S106  (nobody's secrets)

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.sandbox.vendors.supabase_data import key
from fixtures.target.target import Target
from fixtures.vendors import environment as variables
from fixtures.vendors.environment_sources import Environment
from tests.selftest.conftest import ROOT
from tests.selftest.vendors.environments import HEALTHY, URL, having, problems, without
from tests.smoke.test_environment import example_of

SERVICE = key("service_role", "abcdefgh")


@pytest.mark.parametrize(
    "environment",
    [
        having(),
        having(STRIPE_WEBHOOK_SECRET=None, NEXTAUTH_SECRET=None, PAYMENTS_MODE=None),
        having(NEXTAUTH_URL=f"{URL}/"),
        having(NEXT_PUBLIC_SENTRY_DSN="https://key@o1.ingest.sentry.io/2", SOMETHING_ELSE="x"),
        having(MAINTENANCE_MODE="false", DEBUG_MODE="0"),
        having(NEXT_PUBLIC_SUPABASE_ANON_KEY=key("anon", "abcdefgh"), SUPABASE_SERVICE_KEY=SERVICE),
        having(SUPABASE_SERVICE_ROLE_KEY="sb_secret_0123456789", NEXT_PUBLIC_SUPABASE_ANON_KEY="a.b.c"),
        without("NODE_ENV"),
        Environment(
            "payments off",
            {name: value for name, value in HEALTHY.items() if "STRIPE" not in name and name != "PAYMENTS_MODE"},
        ),
        Environment("free enrolment off", {k: v for k, v in HEALTHY.items() if "ENROLL" not in k}),
    ],
    ids=[
        "live",
        "sensitive",
        "slash",
        "more",
        "flags off",
        "JWTs",
        "newer keys",
        "no NODE_ENV",
        "payments off",
        "free enrolment off",
    ],
)
def test_a_healthy_environment_has_no_problem(environment: Environment) -> None:
    """A feature that is off is no problem, and neither is a value that Vercel does not show."""
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
        (having(NEXTAUTH_URL="https://who:hunter2@else.test"), "NEXTAUTH_URL is on else.test, users are on"),
        (having(NEXTAUTH_URL="https://["), "NEXTAUTH_URL is on no host"),
        (having(NEXTAUTH_URL="http://7peducation.vercel.app"), "NEXTAUTH_URL is http, not https"),
        (having(NEXTAUTH_URL="7peducation.vercel.app"), "NEXTAUTH_URL is on no host"),
        (having(NEXTAUTH_URL=f"{URL}/login"), "NEXTAUTH_URL has a path"),
        (having(STRIPE_SECRET_KEY="sk_test_0123456789"), "the two Stripe keys are of different modes"),
        (having(STRIPE_SECRET_KEY="sk_test_0123456789"), "STRIPE_SECRET_KEY is a test key, live is expected"),
        (having(SUPABASE_SERVICE_KEY="anonymous-key-of-the-selftest"), "SUPABASE_SERVICE_KEY is the anonymous key"),
        (having(NEXT_PUBLIC_KEY="service-key-of-the-selftest"), "NEXT_PUBLIC_KEY publishes a secret"),
        (having(NEXT_PUBLIC_FREE_ENROLLMENT_CODE="x"), "NEXT_PUBLIC_FREE_ENROLLMENT_CODE publishes a secret"),
        (having(NEXT_PUBLIC_DATABASE_URL=None), "NEXT_PUBLIC_DATABASE_URL publishes a secret"),
        (
            having(NEXT_PUBLIC_SIGNER="whsec_abc", STRIPE_WEBHOOK_SECRET="whsec_abc"),
            "NEXT_PUBLIC_SIGNER publishes a secret",
        ),
        (having(MAINTENANCE_MODE="true"), "MAINTENANCE_MODE is on"),
        (having(DEBUG_MODE="1"), "DEBUG_MODE is on"),
        (having(NODE_ENV="development"), "NODE_ENV is not production"),
        (having(FEATURE_ENROLL_FREE="evet"), "FEATURE_ENROLL_FREE is neither true nor false"),
        (having(FEATURE_ENROLL_FREE="false"), "FREE_ENROLLMENT_CODE is set, and FEATURE_ENROLL_FREE is not on"),
        (without("FEATURE_ENROLL_FREE"), "FREE_ENROLLMENT_CODE is set, and FEATURE_ENROLL_FREE is not on"),
        (having(MAINTENANCE_MODE="1"), "MAINTENANCE_MODE is on"),
        (having(SUPABASE_SERVICE_KEY=key("anon", "abcdefgh")), "SUPABASE_SERVICE_KEY is a key of the role anon"),
        (having(NEXT_PUBLIC_SUPABASE_ANON_KEY=SERVICE), "NEXT_PUBLIC_SUPABASE_ANON_KEY is a key of the role service"),
        (
            having(SUPABASE_SERVICE_KEY=key("service_role", "other")),
            "SUPABASE_SERVICE_KEY is a key of the project other",
        ),
        (having(NEXT_PUBLIC_SENTRY_DSN="https://sentry.io/2"), "NEXT_PUBLIC_SENTRY_DSN is not https://<key>@"),
    ],
)
def test_each_mistake_is_named(environment: Environment, problem: str) -> None:
    """The message says which variable is wrong and shows nothing of its value."""
    found = problems(environment)

    assert [line for line in found if line.startswith(problem)] != []
    secrets = [value for name, value in environment.values.items() if value and ("SECRET" in name or "KEY" in name)]
    assert [line for line in found for value in secrets if value in line] == []


def test_live_keys_where_a_test_is_meant_are_a_mistake_too() -> None:
    """Live keys would charge real cards."""
    found = variables.mistaken_keys(having(), live=False)

    assert found == [
        "STRIPE_SECRET_KEY is a live key, test is expected",
        "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY is a live key, test is expected",
    ]


def test_the_candidates_own_example_adds_what_it_needs() -> None:
    """A variable that only the new build reads is found before the build serves users."""
    example = (
        "# comment\nNEXTAUTH_URL=\nexport NEW_SERVICE_URL='https://x' # why\nNODE_ENV=production\nSTRIPE_NEW_KEY=\n"
    )

    assert variables.missing(having(), example) == ["NEW_SERVICE_URL", "STRIPE_NEW_KEY"]
    assert variables.missing(having(PAYMENTS_MODE="disabled"), example) == ["NEW_SERVICE_URL"]


def test_an_example_in_another_encoding_is_read(tmp_path: Path) -> None:
    """Its comments are Turkish; the names of variables are ASCII in every encoding."""
    (tmp_path / ".env.example").write_bytes("# anahtar, çok gizli\nNEW_KEY=ş\n".encode("iso-8859-9"))
    example = example_of(Target(name="loopback", url=URL, mode="shadow", platform_repo=tmp_path))

    assert variables.missing(having(), example) == ["NEW_KEY"]


def test_what_the_example_calls_optional_is_not_missed() -> None:
    """A switch is off where it is not set, and a line may call itself optional."""
    example = "MAINTENANCE_MODE=\nDEBUG_MODE=\nNEXT_PUBLIC_SENTRY_DSN= # optional\n#NEXT_PUBLIC_MEDIA_URL=\n"

    assert variables.missing(having(), example) == []


def test_a_preview_may_have_what_production_must_not() -> None:
    """Only the team uses a preview, and its host changes with every push."""
    preview = Environment("preview", {**without("NEXTAUTH_URL").values, "DEBUG_MODE": "true", "MAINTENANCE_MODE": "1"})

    assert variables.missing(preview, preview=True) == []
    assert variables.wrong_flags(preview, preview=True) == []
    assert variables.missing(preview) == ["NEXTAUTH_URL"]


def test_http_is_right_on_this_machine_only() -> None:
    """A site on loopback has its database there; any other site would send its keys unencrypted."""
    local = "http://127.0.0.1:54321"

    assert variables.malformed(having(NEXTAUTH_URL="http://127.0.0.2:3000", NEXT_PUBLIC_SUPABASE_URL=local)) == []
    assert variables.malformed(having(NEXT_PUBLIC_SUPABASE_URL=local)) != []


def test_the_command_line_verifies_a_file(tmp_path: Path) -> None:
    """It replaces the runbook's `npm run env:verify`: exit 1 names the problems and shows no value."""
    file = tmp_path / ".env.production"
    file.write_text("".join(f"{name}={value}\n" for name, value in HEALTHY.items()))
    command = [sys.executable, "-m", "fixtures.vendors.environment", str(file)]

    good = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    file.write_text(file.read_text().replace("SUPABASE_SERVICE_KEY=", "OTHER="))
    bad = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    none = subprocess.run([*command[:-1], "nowhere"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert (good.returncode, bad.returncode, none.returncode) == (0, 1, 2), good.stdout + good.stderr
    assert "WRONG: SUPABASE_SERVICE_KEY is missing" in bad.stdout
    assert "service-key-of-the-selftest" not in good.stdout + bad.stdout
    assert none.stderr == "nowhere: No such file or directory\n"


def _command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fixtures.vendors.environment", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_line_names_file_and_line_of_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    """It also says why payments are on or off."""
    file = tmp_path / "my.env"
    lines = [f"{name}={value}\n" for name, value in HEALTHY.items() if name != "PAYMENTS_MODE"]
    file.write_text("".join([*lines, lines[0]]))
    twice = _command_line(str(file))
    file.write_text("".join([*lines, "NEXTAUTH_SECRET\n"]))
    broken = _command_line(str(file))

    assert (twice.returncode, broken.returncode, broken.stdout) == (1, 2, "")
    assert f"WRONG: {file}, lines 1, 13: NODE_ENV is set more than once; the last value counts\n" in twice.stdout
    assert "payments disabled: PAYMENTS_MODE is not set\n" in twice.stdout
    assert broken.stderr.startswith(f"{file}, line 13: not NAME=value; ")


def test_the_command_line_shows_no_active_character(tmp_path: Path) -> None:
    """A value, a name or the file itself could rewrite the terminal or give a command to GitHub's runner."""
    file = tmp_path / "a\x1b[31m\n::error::.env"
    file.write_text("NEXTAUTH_URL=https://x\x1b[2J\u202e.test\nA=1\n")
    judged, missing = _command_line(str(file)), _command_line(f"{file}x")

    for printed in (judged.stdout, missing.stderr):
        assert printed.replace("\n", "").isprintable()
        assert "\n::error" not in printed


def test_the_command_line_takes_one_file_and_no_options() -> None:
    """An argument that is ignored would pass without a check."""
    helps, two, odd = _command_line("--help"), _command_line("a.env", "b.env"), _command_line("--prod")

    assert (helps.returncode, two.returncode, odd.returncode) == (0, 2, 2)
    assert "FILE" in helps.stdout
    assert "b.env" in two.stderr
    assert "--prod" in odd.stderr
