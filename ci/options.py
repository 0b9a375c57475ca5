"""The command line of ci/verify: its parser, and its frozen options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from fixtures.model.child_environment import child_environment
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import STAGES
from fixtures.target.addresses import shown
from fixtures.target.target import PLATFORM_REPO_VARIABLE
from fixtures.target.targets_file import Mode

# More share no work: a run has some two hundred checks.
_MOST_WORKERS = 32
COMMANDS = (*STAGES, "snapshot", "selftest", "doctor", "accept")
_OF_A_TARGET = ("target", "state", "reports", "platform_repo")
_OF_A_STAGE = ("fault", "mode", "workers", "dry_run", "all")
_OF_ACCEPT = ("owner", "reason", "until")
# The options that a command takes; every other option is refused.
_TAKES: dict[str, set[str]] = {
    **{stage: {*_OF_A_TARGET, *_OF_A_STAGE} for stage in STAGES},
    "snapshot": {*_OF_A_TARGET},
    "accept": {"reports", *_OF_ACCEPT},
}
MODES: tuple[Mode, ...] = ("off", "shadow", "act")


@dataclass(frozen=True, kw_only=True)
class Options:
    """
    One command line; paths are absolute.

    command: one of COMMANDS, "list-checks" or "list-faults".  subject: the target of the doctor, None: the machine;
    the check of accept.  owner, reason, until: of a known fault.
    contract: the doctor compares the target with the contract, and examines nothing else.  compare: of a snapshot:
    judge the one that was taken.  target: a name or a URL, None: SYNTHETIC_TARGET or the sandbox.  state: directory
    that outlives a run, None: the stage's own choice.  platform_repo: a checkout of the platform, None:
    SYNTHETIC_PLATFORM_REPO.  fault: how the sandbox is broken.  mode: None: the target's own.  workers:
    pytest-xdist's, 0: none.  dry_run: measure and decide, but change nothing and notify nobody.
    all: run every check to the end, also after a red P0.
    pytest_args: the arguments after `--`.
    """

    command: str
    subject: str | None = None
    contract: bool = False
    compare: bool = False
    target: str | None = None
    state: Path | None = None
    reports: Path = Path("reports")
    platform_repo: Path | None = None
    fault: str | None = None
    mode: Mode | None = None
    workers: int = 0
    dry_run: bool = False
    all: bool = False
    owner: str | None = None
    reason: str | None = None
    until: str | None = None
    pytest_args: tuple[str, ...] = ()

    @property
    def environ(self) -> dict[str, str]:
        """The variables that the target is resolved against, here and in every run of pytest."""
        return child_environment({PLATFORM_REPO_VARIABLE: str(self.platform_repo)} if self.platform_repo else {})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        msg = f"{message}; see ci/verify --help"
        raise UsageError(msg)


def parser() -> argparse.ArgumentParser:
    """Return the parser; a wrong command line is a UsageError of one line."""
    parser = _Parser(
        prog="ci/verify",
        usage="ci/verify STAGE [options] [-- PYTEST ARGS]\n       ci/verify snapshot [--compare] [options]\n"
        "       ci/verify accept CHECK --owner NAME --reason TEXT --until DAY [--reports DIR]\n"
        "       ci/verify selftest [-- PYTEST ARGS]\n       ci/verify doctor [TARGET [--contract]]\n"
        "       ci/verify --list-checks | --list-faults",
        description="Verify a deployment: set up what is missing, run a stage, decide, act, prove.",
        epilog="Exit codes: 0 the deployment stays, 1 promotion blocked, or rolled back and verified, 2 wrong "
        "usage or configuration, 3 cannot tell, 4 something is wrong that a rollback would not repair, 5 rejected, and "
        "production still needs a person.",
        allow_abbrev=False,
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, metavar="COMMAND", help=", ".join(COMMANDS))
    subject = "target that doctor examines, in addition to this machine; red check that accept takes"
    parser.add_argument("subject", nargs="?", metavar="TARGET", help=subject)
    listing = parser.add_mutually_exclusive_group()
    for flag, what in (
        ("list-checks", "list every check with its severity, kind and section"),
        ("list-faults", "list every way to break the sandbox"),
    ):
        listing.add_argument(f"--{flag}", action="store_const", const=flag, dest="listing", help=what)
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
    stage.add_argument(
        "-n", "--workers", metavar="N", type=_count, default=0, help="pytest-xdist workers (default: none)"
    )
    stage.add_argument("--dry-run", action="store_true", help="measure and decide, change nothing, notify nobody")
    stage.add_argument("--all", action="store_true", help="run every check to the end, also after a red P0")
    snapshot = parser.add_argument_group(
        "options of snapshot, besides --target, --state, --reports and --platform-repo"
    )
    snapshot.add_argument("--compare", action="store_true", help="judge the changes since the earlier snapshot")
    accept = parser.add_argument_group("options of accept, besides --reports")
    accept.add_argument("--owner", metavar="NAME", type=_named, help="who repairs the known fault")
    accept.add_argument("--reason", metavar="TEXT", type=_named, help="why it may stay so long")
    accept.add_argument("--until", metavar="DAY", type=_named, help="its last day, as 2026-11-27")
    doctor = parser.add_argument_group("options of doctor")
    doctor.add_argument(
        "--contract", action="store_true", help="show where the answers and pages of TARGET depart from the contract"
    )
    return parser


def parse(argv: Sequence[str], *, root: Path) -> Options:
    """Read a command line; root: the checkout, where the default reports/ is. Raises UsageError."""
    split = list(argv).index("--") if "--" in argv else len(argv)
    given = vars(parser().parse_intermixed_args(list(argv[:split])))
    listing = given.pop("listing")
    problem, command = None, given["command"] or listing
    allowed = _TAKES.get(command, set())
    stray = [name for name in (*_OF_A_TARGET, *_OF_A_STAGE, *_OF_ACCEPT) if given[name] and name not in allowed]
    unsaid = [name for name in _OF_ACCEPT if not given[name]] if command == "accept" else []
    if command is None:
        problem = f"no command; give one of {', '.join(COMMANDS)}; see ci/verify --help"
    elif listing and command != listing:
        problem = f"--list-checks and --list-faults stand alone; drop {command}"
    elif given["subject"] and command not in {"doctor", "accept"}:
        problem = f"{shown(given['subject'])}: not expected after {command}; a target is named by --target"
    elif given["compare"] and command != "snapshot":
        problem = f"--compare: only for snapshot, not for {command}"
    elif given["contract"] and not (command == "doctor" and given["subject"]):
        problem = "--contract: only for doctor with a target, as in ci/verify doctor sandbox --contract"
    elif stray:
        of = "accept" if stray[0] in _OF_ACCEPT else f"a stage ({', '.join(STAGES)})"
        problem = f"--{stray[0].replace('_', '-')}: only for {of}, not for {command}"
    elif command == "accept" and not given["subject"]:
        problem = "accept: name the red check, by test function or title, as summary.md and verdict.json show it"
    elif unsaid:
        problem = f"accept: --{unsaid[0]} is missing; a known fault has an owner, a reason and a last day"
    if problem:
        raise UsageError(problem)
    given |= {"command": command, "reports": given["reports"] or root / "reports"}
    return Options(**given, pytest_args=tuple(argv[split + 1 :]))


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
