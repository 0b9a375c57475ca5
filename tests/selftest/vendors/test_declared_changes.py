"""Checks how 7p-verify.toml is found at the judged commit, and what it does to a red check."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fixtures.checks.declared_changes import _KEPT
from fixtures.model.declared import FILE
from fixtures.model.known_faults import today
from fixtures.model.verdict import Outcome
from fixtures.run.directory import DIRECTORY_VARIABLE, ID_VARIABLE
from fixtures.target.plugin import Running
from fixtures.target.target import Target
from fixtures.target.targets_file import GithubAccess
from fixtures.target.variants import Variant
from fixtures.vendors.declared_changes import COMMIT_VARIABLE, read
from tests.selftest.conftest import Stub, Suite

SHA = "b" * 40
TEXT = '[texts]\nsign_in = ["Oturum aç"]\n'
PATH = f"GET /repos/o/r/contents/{FILE}"


def a_target(url: str, repository: Path | None = None) -> Running:
    """Return a running target with a repository on GitHub, and a checkout where one is given."""
    github = GithubAccess(repository="o/r", api=url, token="canary")  # noqa: S106
    target = Target(name="x", url="http://127.0.0.1:9", mode="shadow", github=github, platform_repo=repository)
    return Running(target, Variant(name="target", url=target.url))


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, as a person without any configuration."""
    own = ["-c", "user.name=x", "-c", "user.email=x@7p.test", "-c", "commit.gpgsign=false"]
    command = ["git", *own, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("status", "body", "line"),
    [
        (200, TEXT, f"{FILE} at {SHA[:12]} declares: text sign_in: Oturum aç"),
        (200, "[texts", f"{FILE} at {SHA[:12]}: "),
        (403, "{}", f"{FILE} was not read: GitHub, GET /repos/o/r/contents/{FILE}: 403"),
        (404, "{}", ""),
    ],
)
def test_github_is_asked_at_the_commit(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, status: int, body: str, line: str
) -> None:
    """A commit without the file declares nothing; an answer that is none is named, and stops nothing."""
    monkeypatch.setenv(COMMIT_VARIABLE, SHA)
    stub.answers[PATH] = (status, {"content-type": "text/plain"}, body.encode())

    lines = read(a_target(stub.url)).lines()

    assert stub.seen[0][0] == f"{PATH}?ref={SHA}"
    assert stub.seen[0][1]["authorization"] == "Bearer canary"
    assert (line in lines[0]) if line else lines == []


def test_a_checkout_is_read_at_the_commit_and_not_as_it_lies_there(
    tmp_path: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkout may have moved on; one that lacks the commit leaves the word to GitHub."""
    git(tmp_path, "init", "-q")
    (tmp_path / FILE).write_text(TEXT, encoding="utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    first = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / FILE).write_text("[texts]\nsign_in = ['later']\n", encoding="utf-8")
    git(tmp_path, "commit", "-qam", "y")

    monkeypatch.setenv(COMMIT_VARIABLE, first)
    assert read(a_target(stub.url, tmp_path)).declared.texts == {"sign_in": ["Oturum aç"]}
    monkeypatch.setenv(COMMIT_VARIABLE, SHA)
    stub.answers[PATH] = (200, {"content-type": "text/plain"}, b"[texts]\nsign_in = ['GitHub']\n")
    assert read(a_target(stub.url, tmp_path)).declared.texts == {"sign_in": ["GitHub"]}


def test_without_repository_or_commit_nobody_is_asked(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare URL has no repository, and an odd commit never reaches an address."""
    where = a_target(stub.url)
    monkeypatch.setenv(COMMIT_VARIABLE, "../../x")
    assert read(where).lines() == []
    assert read(replace(where, target=replace(where.target, github=None))).lines() == []


CHECKS = """
@post
@pytest.mark.check(severity="P2", judges="contract", runbook="application-health")
@asks("GET /gone")
def test_contract(answer):
    assert answer.status == HTTPStatus.OK

@post
@P1
@asks("GET /gone")
def test_function(answer):
    assert answer.status == HTTPStatus.OK
"""


def test_a_declared_change_covers_a_contract_and_never_a_function(suite: Suite, stub: Stub) -> None:
    """A covered check is known and not passed; the commit cannot excuse itself from what users need."""
    entry = '{{"check": "{}", "owner": "o", "reason": "intended", "since": "{}", "expires": "{}"}}'
    days = today(), today() + timedelta(9)
    contracts = ", ".join(entry.format(name, *days) for name in ("test_contract", "test_function"))
    directory = suite.folder / "run"
    directory.mkdir()
    (directory / _KEPT).write_text(f'{{"at": "{SHA}", "declared": {{"contracts": [{contracts}]}}}}', encoding="utf-8")
    suite.write(CHECKS)

    environment = {DIRECTORY_VARIABLE: str(directory), ID_VARIABLE: "run"}
    outcome = suite.run("-m", "postdeploy", "--target", stub.url, environment=environment)

    assert outcome.check("test_contract").outcome is Outcome.KNOWN
    assert outcome.check("test_contract").known[0].source == FILE
    assert outcome.check("test_function").outcome is Outcome.FAILED
    assert f"{FILE} at {SHA[:12]} declares: changed contract test_contract: o" in outcome.verdict.declared[0]
