"""The command line of ci/verify: its parser, and the frozen options of each command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from fixtures.model.child_environment import child_environment
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import STAGES, Stage
from fixtures.target.addresses import shown
from fixtures.target.target import PLATFORM_REPO_VARIABLE
from fixtures.target.targets_file import Mode

# More share no work: a run has some two hundred checks.
_MOST_WORKERS = 32
COMMANDS = (*STAGES, "snapshot", "selftest", "doctor")
MODES: tuple[Mode, ...] = ("off", "shadow", "act")


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """
    The target, and the places where a run reads and writes; paths are absolute.

    target: a name or a URL, None: SYNTHETIC_TARGET or the sandbox.  state: directory that outlives a run, None: the
    stage's own choice.  platform_repo: a checkout of the platform, None: SYNTHETIC_PLATFORM_REPO.
    """

    target: str | None = None
    state: Path | None = None
    reports: Path = Path("reports")
    platform_repo: Path | None = None

    @property
    def environ(self) -> dict[str, str]:
        """The variables that the target is resolved against, here and in every run of pytest."""
        return child_environment({PLATFORM_REPO_VARIABLE: str(self.platform_repo)} if self.platform_repo else {})


@dataclass(frozen=True, kw_only=True)
class Options(TargetOptions):
    """
    One stage to run.

    fault: how the sandbox is broken.  mode: None: the target's own.  workers: pytest-xdist's, 0: none.
    dry_run: measure and decide, but change nothing and notify nobody.
    """

    stage: Stage
    fault: str | None = None
    mode: Mode | None = None
    workers: int = 0
    dry_run: bool = False
    pytest_args: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SnapshotOptions(TargetOptions):
    """A snapshot to take, or with `compare` to judge the one that was taken."""

    compare: bool = False


@dataclass(frozen=True)
class Request:
    """
    One command line.

    command: one of COMMANDS, "list-checks" or "list-faults".  subject: the target of the doctor, None: the machine.
    options: only for a stage.  snapshot: only for that command.  pytest_args: the arguments after `--`.
    """

    command: str
    subject: str | None = None
    options: Options | None = None
    snapshot: SnapshotOptions | None = None
    pytest_args: tuple[str, ...] = ()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        msg = f"{message}; see ci/verify --help"
        raise UsageError(msg)


def parser() -> argparse.ArgumentParser:
    """Return the parser; a wrong command line is a UsageError of one line."""
    parser = _Parser(
        prog="ci/verify",
        usage="ci/verify STAGE [options] [-- PYTEST ARGS]\n       ci/verify snapshot [--compare] [options]\n"
        "       ci/verify selftest [-- PYTEST ARGS]\n       ci/verify doctor [TARGET]\n"
        "       ci/verify --list-checks | --list-faults",
        description="Verify a deployment: set up what is missing, run a stage, decide, act, prove.",
        epilog="Exit codes: 0 the deployment stays, 1 promotion blocked, or rolled back and verified, 2 wrong "
        "usage or configuration, 3 cannot tell, 4 something is wrong that a rollback would not repair, 5 rejected, and "
        "production still needs a person.",
        allow_abbrev=False,
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument(
        "subject", nargs="?", metavar="TARGET", help="target that doctor examines, in addition to this machine"
    )
    listing = parser.add_mutually_exclusive_group()
    listing.add_argument(
        "--list-checks", action="store_true", help="list every check with its severity, kind and section"
    )
    listing.add_argument("--list-faults", action="store_true", help="list every way to break the sandbox")
    stage = parser.add_argument_group("options of a stage")
    stage.add_argument("--target", metavar="NAME|URL", type=_named, help="default: SYNTHETIC_TARGET, else the sandbox")
    stage.add_argument("--fault", metavar="NAME", type=_named, help="break the sandbox in this way (see --list-faults)")
    stage.add_argument(
        "--state", metavar="DIR", type=_absolute, help="directory kept between runs (last good, rollbacks, …)"
    )
    repo = "checkout of the platform, for its migrations (default: SYNTHETIC_PLATFORM_REPO)"
    stage.add_argument("--platform-repo", metavar="PATH", type=_absolute, help=repo)
    stage.add_argument("--mode", choices=MODES, help="replaces the mode of the target")
    stage.add_argument("--reports", metavar="DIR", type=_absolute, help="directory for the results (default: reports)")
    stage.add_argument("-n", "--workers", metavar="N", type=_count, help="pytest-xdist workers (default: none)")
    stage.add_argument("--dry-run", action="store_true", help="measure and decide, change nothing, notify nobody")
    snapshot = parser.add_argument_group(
        "options of snapshot, besides --target, --state, --reports and --platform-repo"
    )
    snapshot.add_argument("--compare", action="store_true", help="judge the changes since the earlier snapshot")
    return parser


def parse(argv: Sequence[str], *, root: Path) -> Request:
    """Read a command line; root: the checkout, where the default reports/ is. Raises UsageError."""
    split = list(argv).index("--") if "--" in argv else len(argv)
    given = parser().parse_intermixed_args(list(argv[:split]))
    pytest_args = tuple(argv[split + 1 :])
    command = given.command
    if given.list_checks or given.list_faults:
        if command:
            msg = f"--list-checks and --list-faults stand alone; drop {command}"
            raise UsageError(msg)
        command = "list-checks" if given.list_checks else "list-faults"
    if command is None:
        msg = f"no command; give one of {', '.join(COMMANDS)}; see ci/verify --help"
        raise UsageError(msg)
    if given.subject and command != "doctor":
        msg = f"{shown(given.subject)}: not expected after {command}; a target is named by --target"
        raise UsageError(msg)
    if given.compare and command != "snapshot":
        msg = f"--compare: only for snapshot, not for {command}"
        raise UsageError(msg)
    around = {"target": given.target, "state": given.state, "reports": given.reports or root / "reports"}
    around["platform_repo"] = given.platform_repo
    if command in STAGES:
        options = Options(
            **around,
            stage=command,
            fault=given.fault,
            mode=given.mode,
            workers=given.workers or 0,
            dry_run=given.dry_run,
            pytest_args=pytest_args,
        )
        return Request(command, options=options, pytest_args=pytest_args)
    of_a_stage = (*around, "fault", "mode", "workers", "dry_run")
    shared = tuple(around) if command == "snapshot" else ()
    stray = [name for name in of_a_stage if name not in shared and getattr(given, name) not in {None, False}]
    if stray:
        msg = f"--{stray[0].replace('_', '-')}: only for a stage ({', '.join(STAGES)}), not for {command}"
        raise UsageError(msg)
    if command == "snapshot":
        return Request(command, snapshot=SnapshotOptions(**around, compare=given.compare))
    return Request(command, subject=given.subject, pytest_args=pytest_args)


def _named(text: str) -> str:
    if not text.strip():
        msg = "an empty value; give one, or leave the option out"
        raise argparse.ArgumentTypeError(msg)
    return text


def _absolute(text: str) -> Path:
    return Path(_named(text)).absolute()


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > _MOST_WORKERS:
        msg = f"{text!r} is not a number of workers; give 0 to {_MOST_WORKERS}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
