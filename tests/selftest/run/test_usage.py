"""Odd options, variables and places: one line and exit 2; an error of the suite itself: one line and exit 3."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.model.toml_tables import UsageError
from fixtures.run.directory import RunDirectory, need_writable
from tests.selftest.conftest import Suite

ONE = "@post\n@P0\ndef test_one():\n    pass\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["--only=/bin/sh"], {}, "ERROR: --only /bin/sh: 'utf-8' codec can't decode"),
        (["--variants=/bin/sh"], {}, "ERROR: --variants /bin/sh: "),
        (["--variants={variants}", "--rounds=0"], {}, "ERROR: --rounds 0: expected 1 or more; no check would run"),
        (["--reports="], {}, 'ERROR: --reports "": name a directory, or drop the option'),
        (["--state= "], {}, 'ERROR: --state "": name a directory, or drop the option'),
        (["--reports=/proc/none"], {}, "ERROR: --reports /proc/none: cannot be written to ("),
        (["--reports=/dev/null"], {}, "ERROR: --reports /dev/null: cannot be written to ("),
        ([], {"SYNTHETIC_RUN_DIR": "/dev/null/x"}, "ERROR: SYNTHETIC_RUN_DIR /dev/null/x: cannot be written to ("),
        (
            [],
            {"SYNTHETIC_RUN_ID": "../x\x1b[31m"},
            "ERROR: SYNTHETIC_RUN_ID=../x\\x1b[31m: expected at most 80 letters",
        ),
        ([], {"SYNTHETIC_PARENT_PIPE": "x"}, "ERROR: SYNTHETIC_PARENT_PIPE=x: no open pipe; only the gate sets it"),
        ([], {"SYNTHETIC_PARENT_PIPE": "987654"}, "ERROR: SYNTHETIC_PARENT_PIPE=987654: no open pipe"),
        (
            [],
            {"SYNTHETIC_TARGET": "x", "SYNTHETIC_TARGETS": "/dev/null"},
            "ERROR: SYNTHETIC_TARGETS=/dev/null: no such file",
        ),
        ([], {"SYNTHETIC_TARGET": " "}, "ERROR: --target  : not in "),
        (
            [],
            {"SYNTHETIC_TARGET": "", "SYNTHETIC_SANDBOX": "/proc/self/exe"},
            "ERROR: SYNTHETIC_SANDBOX=/proc/self/exe: not the handle of",
        ),
        ([], {"SYNTHETIC_CA_FILE": "/dev/null"}, "ERROR: SYNTHETIC_CA_FILE=/dev/null: no certificates in PEM there"),
        ([], {"SYNTHETIC_ENVIRONMENT": "/"}, "ERROR: SYNTHETIC_ENVIRONMENT=/: no such file; give a dotenv file"),
        (
            [],
            {"SYNTHETIC_TARGET": "", "SYNTHETIC_PLATFORM_REPO": "/"},
            "ERROR: --platform-repo /: no supabase/migrations below it",
        ),
        (
            [],
            {"SYNTHETIC_DEPLOYMENT": "dpl 1?token=hunter2"},
            "ERROR: SYNTHETIC_DEPLOYMENT=dpl 1: expected a deployment",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_2(
    suite: Suite, arguments: list[str], environment: dict[str, str], says: str
) -> None:
    """A person reads the option or variable, the reason, and the remedy."""
    suite.write(ONE)
    variants = suite.folder / "variants.json"
    variants.write_text('[{"name": "candidate", "url": "http://127.0.0.1:9"}]', encoding="utf-8")
    options = [argument.format(variants=variants) for argument in arguments]

    outcome = suite.run(*options, environment={"SYNTHETIC_TARGET": "http://127.0.0.1:9"} | environment)

    assert (outcome.code, len(outcome.err.splitlines())) == (2, 1), outcome.err + outcome.out
    assert outcome.err.startswith(says)
    assert "hunter2" not in outcome.err + outcome.out


@pytest.mark.parametrize("name", ["SYNTHETIC_TARGET", "SYNTHETIC_RUN_ID", "SYNTHETIC_RUN_DIR", "SYNTHETIC_DEPLOYMENT"])
def test_an_empty_variable_is_an_unset_one(suite: Suite, name: str) -> None:
    """A workflow sets every variable, and leaves those empty that have no value."""
    suite.write(ONE)

    outcome = suite.run("--list-checks", environment={name: ""})

    assert outcome.code == pytest.ExitCode.OK, outcome.err


def test_a_full_disk_at_the_start_is_wrong_usage(tmp_path: Path) -> None:
    """A run that cannot write its verdict would end after ten minutes without a result."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(
            UsageError, match=r"^--reports .*: cannot be written to \(File too large\); name a directory"
        ):
            need_writable("--reports", tmp_path)
        with pytest.raises(UsageError, match=r"^TMPDIR .*: cannot be written to"):
            RunDirectory()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert list(tmp_path.iterdir()) == []


def test_nothing_private_of_a_killed_run_outlives_the_next_start(tmp_path: Path) -> None:
    """A session file in /tmp is a login for every program of the machine."""
    program = """
import os, signal
from fixtures.run.directory import RunDirectory
path = RunDirectory().path
(path / "session").write_text("secret")
(path / "locked-up").mkdir(mode=0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    left = list(tmp_path.iterdir())
    live = "from fixtures.run.directory import RunDirectory; RunDirectory()"
    subprocess.run([sys.executable, "-c", live], env=environment, check=True)

    assert [path.name.startswith("7p-run-") for path in left] == [True]
    assert [path for path in left if path.exists()] == []


def test_an_error_of_the_suite_itself_is_one_line_and_exit_3(suite: Suite) -> None:
    """The traceback helps only the people who look after the suite: it is in a file."""
    conftest = (suite.folder / "conftest.py").read_text(encoding="utf-8")
    broken = "\n\ndef pytest_collection_finish():\n    raise RuntimeError('password=hunter2hunter2 \\x1b[31m\\nmore')\n"
    (suite.folder / "conftest.py").write_text(conftest + broken, encoding="utf-8")
    suite.write(ONE)

    outcome = suite.run("-m", "postdeploy", "--target", "http://127.0.0.1:9")
    said = outcome.out + outcome.err

    assert outcome.code == 3, said
    (kept,) = suite.reports.glob("7p-verify-error-*.txt")
    assert re.search(
        rf"an error of the suite itself, not of the target: RuntimeError: password=.* \(at .*\); its traceback: {kept}",
        outcome.err,
    )
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    assert "hunter2" not in said + kept.read_text(encoding="utf-8")
    assert "RuntimeError" in kept.read_text(encoding="utf-8")
