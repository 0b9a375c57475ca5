"""Looking at the checks asks nobody: an editor collects after every change, for production too."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.target.targets_file import TARGETS_FILE_VARIABLE
from tests.selftest.conftest import ROOT, environment_of_a_run

# Every address of the target is a listener of its own, named by the word in braces.
TARGET = """
[everything]
url = "http://{site}"
mode = "act"
capabilities = [
  "accounts", "second-student", "writes", "payments", "checkout", "stripe-test-mode", "payments-test", "database",
  "pooler", "amcheck", "supabase",
  "restore-drill", "rehearsal", "platform-repo", "before-snapshot", "environment", "vercel", "rollback",
  "skew-protection", "commit-status", "stripe-config", "sentry", "rate-limits",
]
control_addresses = ["http://{control}"]
third_parties = {{ stripe = "http://{status}" }}
vercel = {{ api = "http://{vercel}", project = "p" }}
supabase = {{ api = "http://{supabase}", project = "p" }}
github = {{ repository = "o/r", api = "http://{github}" }}
stripe = {{ api = "http://{stripe}" }}
sentry = {{ organization = "o", api = "http://{sentry}" }}

[everything.variables]
"""
SECRETS = {
    "database_dsn": "postgresql://m:secret-of-m@{database}/x",
    "pooler_dsn": "postgresql://m:secret-of-m@{pooler}/x",
    "dump_dsn": "postgresql://m:secret-of-m@{dump}/x",
    "slack_webhook": "http://{slack}/hook",
    "stripe_restricted_key": "rk_test_of_nobody",
    **dict.fromkeys(
        (
            "student_email",
            "student_password",
            "other_student_email",
            "other_student_password",
            "vercel_token",
            "supabase_token",
            "github_token",
            "sentry_token",
            "bypass_secret",
        ),
        "of-nobody@x.test",
    ),
}
# Notes every process that pytest starts: a sandbox, or a worker that would look at the same checks.
WITNESS = """
import sys
from pathlib import Path

def _note(event, details):
    if event == "subprocess.Popen":
        with Path(__file__).with_name("started").open("a") as file:
            file.write(f"{details[1]}\\n")

sys.addaudithook(_note)
"""


@dataclass
class Everything:
    """A target with every capability. listeners: name of an address -> a socket that takes connections."""

    folder: Path
    listeners: dict[str, socket.socket]

    def look(self, *arguments: str, target: str = "everything") -> subprocess.CompletedProcess[str]:
        """Run pytest on the project's own checks."""
        ports = {name: f"127.0.0.1:{listener.getsockname()[1]}" for name, listener in self.listeners.items()}
        variables = {secret: f"OF_{secret.upper()}" for secret in SECRETS}
        lines = [f'{secret} = "{variable}"' for secret, variable in variables.items()]
        (self.folder / "targets.toml").write_text(TARGET.format(**ports) + "\n".join(lines), encoding="utf-8")
        (self.folder / "witness.py").write_text(WITNESS, encoding="utf-8")
        environ = environment_of_a_run() | {variables[name]: text.format(**ports) for name, text in SECRETS.items()}
        if target == "everything":
            environ[TARGETS_FILE_VARIABLE] = str(self.folder / "targets.toml")
        environ["PYTHONPATH"] = f"{self.folder}:{ROOT}"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "witness", f"--target={target}"]
        command += [f"--reports={self.folder / 'reports'}", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False)

    def asked(self) -> list[str]:
        """Return the names of the listeners that somebody connected to."""
        return [name for name, listener in self.listeners.items() if _took(listener)]

    def started(self) -> list[str]:
        """Return the processes that were started."""
        file = self.folder / "started"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _took(listener: socket.socket) -> bool:
    """Whether somebody connected; the kernel keeps the connection until it is accepted."""
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.fixture
def everything(tmp_path: Path) -> Iterator[Everything]:
    """Listen at every address of a target."""
    names = sorted(set(re.findall(r"(?<!\{)\{(\w+)\}(?!\})", TARGET + " ".join(SECRETS.values()))))
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    for listener in listeners.values():
        listener.settimeout(0)
    yield Everything(tmp_path, listeners)
    for listener in listeners.values():
        listener.close()


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("everything", ["--collect-only", "-q"]),
        ("everything", ["--collect-only", "-q", "-n2", "tests/database"]),
        ("everything", ["--collect-only", "-q", "-m", "predeploy", "tests/smoke/test_health.py"]),
        ("everything", ["--list-checks"]),
        ("everything", ["--list-checks", "-n2", "-m", "predeploy"]),
        ("everything", ["--setup-plan", "tests/database"]),
        ("sandbox", ["--collect-only", "-q", "-n2"]),
        ("sandbox", ["--list-checks", "-n2"]),
        ("sandbox", ["--fixtures"]),
    ],
    ids=lambda given: given if isinstance(given, str) else " ".join(given),
)
def test_looking_asks_nobody_and_starts_nothing(everything: Everything, target: str, arguments: list[str]) -> None:
    """Opening a file in an editor must not send a login to production's database."""
    looked = everything.look(*arguments, target=target)

    assert (everything.asked(), everything.started()) == ([], [])
    assert looked.returncode == pytest.ExitCode.OK, looked.stdout + looked.stderr
    assert "test_" in looked.stdout or "checks" in looked.stdout
    assert not (everything.folder / "reports" / "verdict.json").exists()


def test_a_run_that_measures_does_ask(everything: Everything) -> None:
    """Otherwise the listeners would prove nothing."""
    everything.look("tests/database/test_pooler.py", "-m", "daily")

    assert "database" in everything.asked()
