"""Checks that no secret leaves a run: by the terminal, by a file, or by the process table."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from fixtures.model import redaction
from fixtures.model.runbook import runbook
from fixtures.model.verdict import CheckResult, Outcome
from fixtures.site.accounts import Session
from fixtures.target.sandbox_handle import Account
from tests.selftest.gate.running_gate import Ran, RunningPlatform, run_platform
from tests.selftest.processes import table

READABLE = {".json", ".txt", ".md", ".log", ".png", ".html"}
# Chunks of a PNG that hold pixels and nothing that was written.
PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"sRGB", b"gAMA", b"pHYs", b"sBIT", b"IDAT", b"IEND"}
# A report that shortens a long value shows its ends.
PIECE = 16
SEVERITY = {"P0": "blocker", "P1": "critical", "P2": "normal", "P3": "minor"}


class Witness:
    """Reads every command line of the machine, and the cookies of the run, while the run lasts."""

    def __init__(self, temporary: Path) -> None:
        self.commands: set[str] = set()
        self.cookies: set[str] = set()
        self._temporary = temporary
        self._over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.commands |= {process.command for process in table().values()}
            for path in self._temporary.glob("7p-run-*/sessions/by_role.json"):
                self.cookies |= set(_cookies(path))


def _cookies(path: Path) -> Iterator[str]:
    try:
        book = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return
    for variants in book.values():
        for kept in variants.values():
            yield from kept["cookies"].values()


@pytest.fixture(scope="module", params=[None, "enrolment-button-dead"], ids=["healthy", "red"])
def witnessed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningPlatform, Ran, Witness]]:
    """Return a platform, the result of one run on it, and the witness."""
    folder = tmp_path_factory.mktemp("secrets")
    temporary = folder / "temporary"
    temporary.mkdir()
    witness = Witness(temporary)
    with run_platform(folder, fault=request.param) as platform:
        platform.environment["TMPDIR"] = str(temporary)
        with witness.watching():
            ran = platform.verify()
        assert ran.code == (0 if request.param is None else 1), ran.out
        yield platform, ran, witness


def secrets_of(platform: RunningPlatform, witness: Witness) -> dict[str, str]:
    """Return every text that reveals a secret -> the name of the secret."""
    handle = platform.handle
    values = dict.fromkeys(filter(None, handle.secrets()), "a secret of the handle")
    values[urlsplit(handle.database_dsn).password or ""] = "the password of the database"
    values[urlsplit(handle.sinks["slack"]).path] = "the path of the webhook"
    values |= {quote(value, safe=""): what for value, what in values.items()}
    for cookie in witness.cookies:
        pieces = range(0, len(cookie) - PIECE + 1, PIECE)
        values |= dict.fromkeys((cookie[at : at + PIECE] for at in pieces), "a session cookie")
    assert "" not in values
    return values


def test_nothing_that_was_written_holds_a_secret(witnessed: tuple[RunningPlatform, Ran, Witness]) -> None:
    """Many people read a report."""
    platform, ran, witness = witnessed
    files = [path for path in (*platform.reports.rglob("*"), *(platform.folder / "state").rglob("*")) if path.is_file()]
    texts = {str(path.relative_to(platform.folder)): path.read_bytes() for path in files}
    texts |= {"the terminal": ran.out.encode(), "its errors": ran.err.encode()}
    texts["what Slack was told"] = json.dumps(platform.state["slack"]).encode()
    assert witness.cookies
    assert {path.suffix for path in files} - READABLE - {".lock"} == set()

    found = {
        (name, what)
        for value, what in secrets_of(platform, witness).items()
        for name, content in texts.items()
        if value.encode() in content
    }

    assert found == set()


def test_no_process_was_started_with_a_secret(witnessed: tuple[RunningPlatform, Ran, Witness]) -> None:
    """Every user of the machine can read command lines."""
    platform, _, witness = witnessed
    assert any("pytest" in command for command in witness.commands)
    assert any("--remote-debugging-pipe" in command for command in witness.commands)

    secrets = secrets_of(platform, witness)
    found = {(command, what) for command in witness.commands for value, what in secrets.items() if value in command}

    assert found == set()


def test_screenshots_hold_pixels_only(witnessed: tuple[RunningPlatform, Ran, Witness]) -> None:
    """A text in an image is compressed, so no search finds it."""
    platform, ran, _ = witnessed
    images = list(platform.reports.rglob("*.png"))
    assert bool(images) == (ran.code == 1)

    assert {path.name: more for path in images if (more := set(_chunks(path.read_bytes())) - PIXELS)} == {}


def _chunks(image: bytes) -> Iterator[bytes]:
    at = len(b"\x89PNG\r\n\x1a\n")
    while at < len(image):
        (length,) = struct.unpack(">I", image[at : at + 4])
        yield image[at + 4 : at + 8]
        at += length + 12


def test_allure_shows_every_check_with_its_severity_section_kind_and_evidence(
    witnessed: tuple[RunningPlatform, Ran, Witness],
) -> None:
    """A reader of the report finds the P0 of a section and its evidence."""
    platform, ran, _ = witnessed
    folder = platform.reports / "allure-results"
    results = [json.loads(path.read_text()) for path in folder.glob("*-result.json")]

    assert {_labels(result).get("story"): _labelled(result) for result in results} == {
        check.title: _expected(check) for check in ran.verdict.checks
    }
    assert len(results) == len(ran.verdict.checks)
    attached = {_labels(result)["story"]: [one["name"] for one in result.get("attachments", [])] for result in results}
    missing = {
        check.title: check.evidence
        for check in ran.verdict.checks
        if not {Path(path).name for path in check.evidence} <= set(attached[check.title])
    }
    assert missing == {}
    sources = [one["source"] for result in results for one in result.get("attachments", [])]
    assert [source for source in sources if not (folder / source).exists()] == []
    red = [check.evidence for check in ran.verdict.checks if check.outcome is Outcome.FAILED]
    assert all(any(path.endswith(".png") for path in evidence) for evidence in red)


def _labels(result: dict[str, Any]) -> dict[str, str]:
    return {label["name"]: label["value"] for label in result.get("labels", [])}


def _labelled(result: dict[str, Any]) -> list[str | None]:
    labels = _labels(result)
    return [labels.get(name) for name in ("story", "severity", "feature", "epic")]


def _expected(check: CheckResult) -> list[str]:
    return [check.title, SEVERITY[check.severity], runbook().sections[check.section].title, check.kind]


def test_what_a_traceback_shows_of_its_arguments_is_harmless() -> None:
    """Pytest prints arguments, and cuts long ones in the middle: a piece of a secret has no registered value."""
    session = Session(role="student", url="http://127.0.0.1", cookies={"next-auth.session-token": "the-beginning"})
    account = Account("a@b.test", "hunter2", "student")
    cut = "cookies = {'__Secure-next-auth.session-token': '.eJwtjkF...WyAZc47'}"

    shown = redaction.redact(f"{session} {account} {cut}")

    assert [part for part in ("the-beginning", "hunter2", "eJwtjkF", "WyAZc47") if part in shown] == []
