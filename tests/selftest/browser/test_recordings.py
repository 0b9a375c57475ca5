"""Traces, screenshots and videos: in the evidence of their check, and without what must not be seen."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from fixtures.browser.executable import find_browser
from fixtures.browser.recordings import redacted
from fixtures.model import redaction
from tests.selftest.conftest import Outcome, Stub, Suite
from tests.selftest.programs import of_playwright, write_program

CODE = 'canary"code-0123456789'
SESSION = "canary-session-0123456789"
POLICY = "default-src 'self'; script-src 'none'; style-src 'none'"
# It takes what Playwright hands it, and writes that where the video is to be.
RECORDER = 'for last; do :; done; cat > "$last"'
CHECKS = f"""
from fixtures.model import redaction

redaction.register([{CODE!r}])

@post
@P2
@pytest.mark.parametrize("code", ["first", {CODE!r}], ids=["plain", "secret"])
def test_form(page, code) -> None:
    page.goto("/form")
    page.get_by_role("textbox", name="Kod").fill(code)
    page.get_by_role("button").focus()
"""


@pytest.fixture
def recorded(suite: Suite, stub: Stub, tmp_path: Path) -> Outcome:
    """Run checks that fill in a form, with everything recorded."""
    page = b"<h1>7P</h1><form><label>Kod<input name=kod></label><button>Tamam</button></form>"
    headers = {"content-type": "text/html", "content-security-policy": POLICY}
    headers["set-cookie"] = f"next-auth.session-token={SESSION}; Path=/; HttpOnly"
    stub.answers["GET /form"] = (200, headers, page)
    write_program(of_playwright(tmp_path / "browsers", "ffmpeg", "ffmpeg-linux"), RECORDER)
    environment = {"PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "browsers"), "SYNTHETIC_BROWSER": str(find_browser())}
    suite.write(CHECKS, "tests/journeys/test_small.py")
    options = ["--tracing=on", "--screenshot=on", "--video=on", "-m", "postdeploy", f"--target={stub.url}"]
    return suite.run(*options, environment=environment)


def test_recordings_lie_with_the_evidence_and_show_nothing_that_was_typed(recorded: Outcome, tmp_path: Path) -> None:
    """A trace holds every request with its cookies, a picture every code that was typed."""
    assert recorded.code == 0, recorded.out
    folders = sorted((recorded.reports / "evidence").iterdir())
    names = ["test-finished-1.png", "trace.zip", "video.webm"]
    assert [sorted(file.name for file in folder.iterdir()) for folder in folders] == [names, names]
    assert f"6 recordings below {recorded.reports / 'evidence'}; open a trace with" in recorded.out
    assert not (tmp_path / "test-results").exists()

    plain, secret = ((folder / "test-finished-1.png").read_bytes() for folder in folders)
    assert plain == secret
    for folder in folders:
        with zipfile.ZipFile(folder / "trace.zip") as trace:
            entries = {name: trace.read(name).decode(errors="replace") for name in trace.namelist()}
        assert '"method":"goto"' in entries["trace.trace"]
        told = [name for name, text in entries.items() if SESSION in text or "code-0123456789" in text]
        # The module with the checks has the code in it; a real one has it from the target.
        assert [name for name in told if not name.startswith("src/")] == []


def test_a_run_without_recordings_says_nothing_of_them(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """Most runs; and what somebody keeps in `test-results` is not ours to delete."""
    kept = tmp_path / "test-results" / "mine"
    kept.mkdir(parents=True)
    suite.write("@post\n@P2\ndef test_nothing() -> None:\n    pass\n")
    outcome = suite.run("-m", "postdeploy", f"--target={stub.url}")

    assert outcome.code == 0
    assert "show-trace" not in outcome.out
    assert kept.exists()


def _trace(**entries: bytes) -> dict[str, str]:
    """Mask a trace of these entries; `__` in a name is a dot."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "."), content)
    with zipfile.ZipFile(io.BytesIO(redacted(made.getvalue()))) as shown:
        return {name: shown.read(name).decode() for name in shown.namelist()}


def test_cookies_and_secret_headers_are_masked_whatever_their_value() -> None:
    """A session cookie is redacted also when the run did not create it."""
    headers = [{"name": "Cookie", "value": "a=1"}, {"name": "Accept", "value": "text/html"}]
    sent = {"headers": headers, "cookies": [{"name": "a", "value": "1", "path": "/"}], "url": "http://127.0.0.1:8080"}
    shown = json.loads(_trace(trace__network=json.dumps(sent).encode())["trace.network"])

    assert shown["headers"] == [{"name": "Cookie", "value": redaction.SHOWN}, headers[1]]
    assert shown["cookies"] == [{"name": "a", "value": redaction.SHOWN, "path": "/"}]
    assert shown["url"] == sent["url"]


def test_known_secrets_are_masked_in_lines_and_in_bodies_however_they_are_written() -> None:
    """A body is written as it was sent: in JSON, or in the code of a form."""
    redaction.register([CODE])
    lines = b"\n".join(json.dumps({"text": f"<{CODE}>", "n": number}).encode() for number in range(2))
    bodies = {"form__dat": b"kod=canary%22code-0123456789&x=1", "body__json": json.dumps({"kod": CODE}).encode()}
    shown = _trace(trace__trace=lines, **bodies)

    assert [json.loads(line) for line in shown["trace.trace"].splitlines()] == [
        {"text": f"<{redaction.SHOWN}>", "n": 0},
        {"text": f"<{redaction.SHOWN}>", "n": 1},
    ]
    assert shown["form.dat"] == f"kod={redaction.SHOWN}&x=1"
    assert shown["body.json"] == f'{{"kod": "{redaction.SHOWN}"}}'


def test_what_cannot_be_read_is_left_out() -> None:
    """Nobody knows what is in it; pictures are covered while they are taken."""
    assert sorted(_trace(body__dat=b"\xff\xfe\x00", trace__trace=b"{torn", page__jpeg=b"jpeg")) == ["page.jpeg"]


def test_nothing_is_recorded_beside_the_directory_of_the_run(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """A run that is killed removes nothing; the next one removes the directories of dead runs, and no others."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    stub.answers["GET /"] = (200, {"content-type": "text/html"}, b"<h1>7P</h1>")
    killed = "\n@post\n@P1\ndef test_killed(page):\n    os.kill(os.getpid(), 9)\n"
    suite.write(f"import os\n{killed}", "tests/journeys/test_small.py")

    outcome = suite.run("-m", "postdeploy", f"--target={stub.url}", environment={"TMPDIR": str(temporary)})

    assert outcome.code == -9
    assert [path.name for path in temporary.iterdir() if not path.name.startswith(("7p-run-", "7p-verify-"))] == []


@pytest.mark.parametrize("rerun", ["", "1"], ids=["first", "rerun"])
def test_a_rerun_takes_no_picture(suite: Suite, stub: Stub, rerun: str) -> None:
    """Nobody looks at it, and a picture of a page that hangs takes seconds, five times over."""
    stub.answers["GET /"] = (200, {"content-type": "text/html"}, b"<h1>7P</h1>")
    suite.write(
        "@post\n@P1\ndef test_red(page):\n    page.goto('/')\n    assert False\n", "tests/journeys/test_small.py"
    )

    outcome = suite.run("-m", "postdeploy", f"--target={stub.url}", environment={"SYNTHETIC_RERUN": rerun})

    assert any(name.endswith(".png") for name in outcome.check("test_red").evidence) is not bool(rerun)
