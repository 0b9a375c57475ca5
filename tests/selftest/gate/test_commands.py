"""ci/verify refuses wrong usage in one line and never ends with a misleading exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci import commands, machine
from ci.environment import ROOT
from ci.gate import EXIT_USAGE
from ci.options import Options, parse
from fixtures.model import redaction
from fixtures.model.toml_tables import UsageError
from fixtures.target.targets_file import TARGETS_FILE
from tests.selftest.gate.world import a_world

CANNOT_TELL = 3


def test_stage_takes_its_options_in_any_order_and_makes_paths_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command changes to the checkout; a relative path still starts at the user's directory."""
    monkeypatch.chdir(tmp_path)
    argv = ["--target", "production", "postdeploy", "-n", "2", "--state", "s", "--mode", "shadow", "--dry-run"]
    argv += ["--platform-repo", "platform"]

    assert parse([*argv, "--", "-k", "health"], root=ROOT) == Options(
        command="postdeploy",
        target="production",
        state=tmp_path / "s",
        mode="shadow",
        reports=ROOT / "reports",
        platform_repo=tmp_path / "platform",
        workers=2,
        dry_run=True,
        pytest_args=("-k", "health"),
    )


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "no command; give one of predeploy"),
        (
            ["postdeply"],
            "'postdeply' (choose from 'predeploy', 'postdeploy', 'daily', 'snapshot', 'selftest', 'doctor', 'accept')",
        ),
        (["postdeploy", "--tarrget", "x"], "unrecognized arguments: --tarrget x"),
        (["postdeploy", "production"], "production: not expected after postdeploy; a target is named by --target"),
        (["postdeploy", "-n", "two"], "'two' is not a number of workers"),
        (["postdeploy", "-n", "1000"], "'1000' is not a number of workers; give 0 to 32"),
        (["postdeploy", "--mode", "dry"], "'dry' (choose from 'off', 'shadow', 'act')"),
        (["selftest", "--fault", "health-down"], "--fault: only for a stage"),
        (["doctor", "--dry-run"], "--dry-run: only for a stage"),
        (["snapshot", "--fault", "health-down"], "--fault: only for a stage"),
        (["postdeploy", "--compare"], "--compare: only for snapshot, not for postdeploy"),
        (
            ["snapshot"],
            "no sandbox is running; `.venv/bin/python -m fixtures.sandbox` starts one and prints its SYNTHETIC_SANDBOX",
        ),
        (["snapshot", "--target", "https://x.test"], "snapshot --target https://x.test: it has no database"),
        (["daily", "--list-checks"], "--list-checks and --list-faults stand alone; drop daily"),
        (["postdeploy", "https://7p.test?token=hunter2"], "https://7p.test: not expected after postdeploy"),
        (["postdeploy", "--target", "nowhere"], f"--target nowhere: not in {TARGETS_FILE}; use a URL or one of"),
        (["postdeploy", "--target", "https://x.test", "--fault", "health-down"], "only the sandbox can be broken"),
        (
            ["predeploy", "--platform-repo", "/nowhere"],
            "--platform-repo /nowhere: no supabase/migrations below it; give a checkout of the platform",
        ),
        (["postdeploy", "--state", ""], "argument --state: an empty value; give one, or leave the option out"),
        (["postdeploy", "--reports="], "argument --reports: an empty value"),
        (["postdeploy", "--target", " "], "argument --target: an empty value"),
        (["selftest", "--platform-repo", "/nowhere"], "--platform-repo: only for a stage"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    argv: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line comes before anything is set up or run, and without a page of usage around it."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("SYNTHETIC_TARGET", raising=False)
    monkeypatch.delenv("SYNTHETIC_SANDBOX", raising=False)

    code = commands.main(argv)
    lines = capsys.readouterr().err.splitlines()

    assert code == EXIT_USAGE
    assert len(lines) == 1
    assert says in lines[0]


@pytest.mark.parametrize("flag", ["--state", "--reports"])
@pytest.mark.parametrize("command", [["postdeploy"], ["snapshot", "--compare", "--target", "production"]])
def test_a_directory_that_cannot_be_written_is_named_with_its_flag(
    command: list[str], flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command fails before the run: at its end, the measurements would be lost."""
    (tmp_path / "file").touch()
    monkeypatch.chdir(ROOT)
    # A job that migrates asks the database and nothing else.
    for variable in ("SYNTHETIC_STUDENT_EMAIL", "SYNTHETIC_STUDENT_PASSWORD", "VERCEL_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MONITOR_DATABASE_URL", "postgresql://monitor@127.0.0.1:9/platform")
    monkeypatch.setattr(machine, "provide_browser", _unexpected)
    code = commands.main([*command, flag, str(tmp_path / "file" / "below")])
    (line,) = capsys.readouterr().err.splitlines()

    assert code == EXIT_USAGE
    assert line.startswith(f"ci/verify: {flag} {tmp_path}/file/below: cannot be written to (Not a directory); name a")


def test_missing_secret_is_named_before_anything_is_set_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the installation of the browser one of the two available minutes would be gone."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("VERCEL_TOKEN", raising=False)
    monkeypatch.setattr(machine, "provide_browser", _unexpected)

    assert commands.main(["postdeploy", "--target", "preview"]) == EXIT_USAGE
    assert "ci/verify: --target preview: not set: VERCEL_TOKEN (for vercel); set it, or" in capsys.readouterr().err


def test_predeploy_of_nothing_is_refused_before_anything_is_set_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vercel has no deployment of no name."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("VERCEL_TOKEN", "made-up")
    monkeypatch.delenv("SYNTHETIC_DEPLOYMENT", raising=False)
    monkeypatch.setattr(machine, "provide_browser", _unexpected)

    assert commands.main(["predeploy", "--target", "preview"]) == EXIT_USAGE
    assert capsys.readouterr().err.startswith("ci/verify: SYNTHETIC_DEPLOYMENT is not set: predeploy judges one")


def test_a_sandbox_that_runs_is_not_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault can be built in only when a sandbox starts."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(machine, "provide_browser", _unexpected)
    with a_world(tmp_path, monkeypatch):
        code = commands.main(["postdeploy", "--fault", "stripe-down"])

    assert code == EXIT_USAGE
    assert capsys.readouterr().err.startswith("ci/verify: --fault stripe-down: SYNTHETIC_SANDBOX names a sandbox that")


def _unexpected() -> Path:
    msg = "DSN postgresql://monitor:hunter2secret@db.test/platform is odd"
    raise RuntimeError(msg)


def test_an_unexpected_error_is_cannot_tell_and_shows_no_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own exit code 1 would read as "this deployment was rejected"."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(machine, "provide_browser", _unexpected)

    code = commands.main(["postdeploy", "--target", "https://x.test"])
    error = capsys.readouterr().err

    assert code == CANNOT_TELL
    assert f"RuntimeError: DSN postgresql://{redaction.SHOWN}@db.test/platform is odd" in error
    assert "hunter2secret" not in error


def test_separator_keeps_options_for_pytest() -> None:
    """`-n` after it is pytest-xdist's."""
    options = parse(["selftest", "--", "-n", "0", "--", "x"], root=ROOT)

    assert (options.command, options.workers, options.pytest_args) == ("selftest", 0, ("-n", "0", "--", "x"))


def test_reports_of_a_stage_stay_where_the_user_said() -> None:
    """An absolute path is left alone."""
    options = parse(["daily", "--reports", "/somewhere/else"], root=ROOT)

    assert options.reports == Path("/somewhere/else")


def test_unknown_option_is_not_taken_for_a_longer_one() -> None:
    """`--fau` must not break the sandbox by guess."""
    with pytest.raises(UsageError, match="unrecognized arguments: --fau"):
        parse(["postdeploy", "--fau", "x"], root=ROOT)
