"""Sessions: one sign-in a run and role, whichever process needs it, against a loopback platform."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from playwright.sync_api import BrowserContext

from fixtures.checks.evidence import NotMeasured
from fixtures.model import redaction
from fixtures.run.current_run import Run
from fixtures.run.directory import RunDirectory
from fixtures.run.rate_limits import BudgetSpentError
from fixtures.site.accounts import sign_in
from tests.selftest.conftest import environment_of_a_run
from tests.selftest.site.conftest import STUDENT, Platform, VariantOf


def test_sign_in_returns_the_session_and_takes_one_from_the_budget(on_variant: VariantOf, own_run: Run) -> None:
    """The CSRF pair first, then the credentials; the session cookie is kept and never printed."""
    site, _ = on_variant()
    cookies = sign_in(site, STUDENT)

    assert cookies == {"next-auth.session-token": "session-1"}
    assert own_run.spent()["sign-ins"] == 1
    assert redaction.redact("cookie session-1") == f"cookie {redaction.SHOWN}"


def test_refused_sign_in_that_answers_200_is_not_measured(on_variant: VariantOf, platform: Platform) -> None:
    """Only the session route shows it; the message names the exchange and no password."""
    platform.password = "another"  # noqa: S105  (a loopback platform's)
    site, _ = on_variant()
    with pytest.raises(NotMeasured, match=r"could not be signed in: POST .* -> 200") as caught:
        sign_in(site, STUDENT)

    assert STUDENT.password not in str(caught.value)


def test_processes_of_a_run_share_one_sign_in(on_variant: VariantOf, platform: Platform, own_run: Run) -> None:
    """The platform allows five in a quarter of an hour, for the whole run."""
    with ThreadPoolExecutor(4) as pool:
        sessions = list(pool.map(lambda _: on_variant()[1].of("student"), range(8)))

    assert platform.sign_ins == 1
    assert [session.cookies for session in sessions] == [{"next-auth.session-token": "session-1"}] * 8
    directory = own_run.directory / "sessions"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, *directory.iterdir())] == [0o700, 0o600]


def test_side_that_honours_the_session_costs_no_sign_in(on_variant: VariantOf, platform: Platform) -> None:
    """Candidate and control share the secret, as a rule."""
    first = on_variant("candidate", "dpl_1")[1].of("student")
    second = on_variant("control", "dpl_0")[1].of("student")

    assert first.cookies == second.cookies
    assert platform.sign_ins == 1


def test_side_that_names_its_session_otherwise_costs_no_sign_in(on_variant: VariantOf, platform: Platform) -> None:
    """NextAuth names its cookies by the scheme of NEXTAUTH_URL: one deployment may have it wrong."""
    on_variant("candidate")[1].of("student")
    platform.cookie = "__Secure-next-auth.session-token"

    control = on_variant("control", "dpl_0")[1].of("student")

    assert (control.cookies, platform.sign_ins) == ({"__Secure-next-auth.session-token": "session-1"}, 1)


def test_side_that_does_not_know_the_session_gets_its_own(on_variant: VariantOf, platform: Platform) -> None:
    """A variant with another secret would reject the shared session and be red without a fault."""
    on_variant("candidate", "dpl_1")[1].of("student")
    platform.sessions.clear()
    second = on_variant("control", "dpl_0")[1].of("student")

    assert second.cookies == {"next-auth.session-token": "session-2"}


@pytest.mark.parametrize("doubtful", [False, True])
def test_what_a_broken_form_left_in_the_browser_judges_no_other_deployment(
    on_variant: VariantOf, platform: Platform, *, doubtful: bool
) -> None:
    """The control would fail for the candidate's fault, and a rollback that helps would be refused."""
    site, sessions = on_variant("candidate", "dpl_1")
    sessions.of("student")
    kept = {"name": "auth_user", "value": "{}"}
    state = {
        "cookies": [{"name": "next-auth.session-token", "value": "session-1"}],
        "origins": [{"origin": site.url, "localStorage": [kept]}],
    }
    sessions.keep("student", cast("BrowserContext", SimpleNamespace(storage_state=lambda: state)), doubtful=doubtful)

    control = on_variant("control", "dpl_0")[1]
    given = control.in_browser("student")
    assert (given is None) is doubtful
    assert control.of("student").cookies == {"next-auth.session-token": "session-1"}
    assert (control.in_browser("student") is None) is doubtful
    assert platform.sign_ins == 1


def test_failed_sign_in_is_not_tried_again_on_its_side(on_variant: VariantOf, platform: Platform) -> None:
    """Ten checks that need a session must not spend ten sign-ins to learn the same."""
    platform.password = "another"  # noqa: S105  (a loopback platform's)
    for _ in range(3):
        with pytest.raises(NotMeasured, match="could not be signed in"):
            on_variant()[1].of("student")
    assert platform.sign_ins == 1

    platform.password = STUDENT.password
    assert on_variant("target", "dpl_0")[1].of("student").cookies == {"next-auth.session-token": "session-2"}


def test_sign_ins_end_before_the_platform_refuses_them(on_variant: VariantOf, platform: Platform) -> None:
    """A 429 would be our own fault, and would say nothing of the deployment."""
    for number in range(5):
        platform.sessions.clear()
        on_variant("target", f"dpl_{number}")[1].of("student")
    platform.sessions.clear()
    with pytest.raises(BudgetSpentError):
        on_variant("target", "dpl_6")[1].of("student")

    assert platform.sign_ins == 5


def test_missing_role_is_not_measured(on_variant: VariantOf) -> None:
    """A target without that account cannot be asked as it."""
    with pytest.raises(NotMeasured, match="the target loopback has no account admin"):
        on_variant()[1].of("admin")


KILLED = """
import os, signal
from fixtures.run.directory import RunDirectory
directory = RunDirectory().path / "sessions"
directory.mkdir(mode=0o700)
(directory / "by_role.json").write_text("session-1")
print(directory, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_session_outlives_the_start_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill -9 leaves the file behind; it opens an account until the next run removes it."""
    environment = environment_of_a_run() | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", KILLED]
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    left = Path(killed.stdout.strip())
    was_there = left.exists()

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    RunDirectory().remove()

    assert (killed.returncode, was_there, left.exists()) == (-signal.SIGKILL, True, False)
