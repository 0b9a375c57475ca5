"""
Steps that may take a while: run a command quietly, say what is happening after two seconds, fail in one line.

Standard library only: this also runs before anything is installed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fixtures.model.child_environment import child_environment

QUIET_SECONDS = 2.0
_REPEAT_SECONDS = 10.0
_STOP_SECONDS = 5.0


class SetupError(Exception):
    """Something that is needed cannot be had; one line, ending in the command that would fix it."""


def say(line: str) -> None:
    """Tell the person who waits; stderr, so that what is printed for machines stays clean."""
    sys.stderr.write(f"ci/verify: {line}\n")
    sys.stderr.flush()


def run_step(
    what: str,
    command: Sequence[str],
    *,
    fix: str,
    limit: float,
    environment: Mapping[str, str] | None = None,
) -> None:
    """
    Run a command without its output.

    what: the step in words ("installing …").  fix: the command that a person would run.  limit: seconds.
    environment: variables set besides the inherited ones.
    Raises SetupError, with what the command said of its error, when it fails or takes longer than the limit.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: S603  (fixed commands of this project)
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=child_environment(environment, installs=True),
                start_new_session=True,
            )
        except OSError as error:
            msg = f"{what} failed ({error.strerror}: {command[0]}); fix: {fix}"
            raise SetupError(msg) from error
        problem = _wait(process, what, limit)
        if problem is None:
            return
        output.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
    # An installer names the error first and ends in advice; one that names none ends in what went wrong.
    said = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "no output").strip()
    msg = f"{what} failed ({problem}: {said}); fix: {fix}"
    raise SetupError(msg)


def _wait(process: subprocess.Popen[bytes], what: str, limit: float) -> str | None:
    started = time.monotonic()
    report = QUIET_SECONDS
    try:
        while True:
            passed = time.monotonic() - started
            try:
                code = process.wait(max(min(report, limit) - passed, 0.0))
            except subprocess.TimeoutExpired:
                if time.monotonic() - started >= limit:
                    return f"no end after {limit:.0f} s"
                say(f"{what} … ({report:.0f} s)")
                report += _REPEAT_SECONDS
            else:
                return f"exit {code}" if code else None
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave neither the child nor its children behind, whatever ended the wait."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def apt_install(package: str, *, fix: str) -> None:
    """Install one Debian package as root; raises SetupError."""
    install = ["apt-get", "install", "-y", "--no-install-recommends", package]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    what = f"installing Debian's {package}"
    try:
        run_step(what, install, fix=fix, limit=300, environment=quiet)
    except SetupError:
        # A fresh machine has no package lists, an old one has stale ones.
        run_step("fetching Debian's package lists", ["apt-get", "update"], fix=fix, limit=120, environment=quiet)
        run_step(what, install, fix=fix, limit=300, environment=quiet)


def may_use_apt() -> bool:
    """Whether this is Debian or its kin, and we are root."""
    return os.geteuid() == 0 and Path("/usr/bin/apt-get").exists()
