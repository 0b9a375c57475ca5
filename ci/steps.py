"""
Steps of the set-up: each runs a command quietly, reports progress after two seconds, and fails in one line.

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
    """A program or package cannot be had; the message is one line that ends in the command which fixes it."""


def say(line: str) -> None:
    """Print a line for the person who waits, on stderr: stdout is for machines."""
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
    Raises SetupError, with the command's own error line, when it fails or takes longer than the limit.
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
    # Most installers name the error first and end with advice; the others name the error last.
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
    """End the child and its children, also after a signal."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def may_use_apt() -> bool:
    """Return whether apt-get is there and this process is root."""
    return os.geteuid() == 0 and Path("/usr/bin/apt-get").exists()


def need_apt(lacks: str, packages: str) -> None:
    """Raise SetupError that says what is lacking, where this process cannot install Debian's packages."""
    if not may_use_apt():
        msg = f"{lacks}; fix, as root: apt-get install -y {packages}"
        raise SetupError(msg)


def apt_install(package: str, *, fix: str = "") -> None:
    """Install one Debian package as root; raises SetupError. fix: the command that a person would run."""
    fix = fix or f"apt-get install -y {package}"
    install = ["apt-get", "install", "-y", "--no-install-recommends", package]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    what = f"installing Debian's {package}"
    try:
        run_step(what, install, fix=fix, limit=300, environment=quiet)
    except SetupError:
        # A fresh machine has no package lists, an old one has stale ones.
        run_step("fetching Debian's package lists", ["apt-get", "update"], fix=fix, limit=120, environment=quiet)
        run_step(what, install, fix=fix, limit=300, environment=quiet)
