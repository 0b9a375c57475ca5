"""
Sets up what a command needs: runs commands quietly, and installs the locks into `.venv`.

A step reports progress after two seconds, and fails in one line. Standard library only: this also runs before anything
is installed.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ci.environment import ROOT, installed, key, python_of, stamp
from fixtures.model.child_environment import child_environment

_UNFINISHED = "unfinished-setup"
_INSTALL_SECONDS = 900
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


def install(*locks: str, root: Path = ROOT) -> None:
    """Install the locks into `.venv`, which is made where needed; raises SetupError."""
    with _alone(root):
        missing = [lock for lock in locks if not installed(lock, root)]
        if missing:
            _make(root)
        for lock in missing:
            _install(lock, root)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    directory = root / ".verify"
    try:
        directory.mkdir(exist_ok=True)
        file = (directory / "setup.lock").open("w")
    except OSError as error:
        msg = f"{root} cannot be written ({error.strerror}); fix: run ci/verify once as its owner, or clone your own"
        raise SetupError(msg) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for the set-up that another ci/verify is doing …")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(root: Path) -> None:
    unfinished = root / ".venv" / _UNFINISHED
    if _works(root) and not unfinished.exists():
        return
    need_ensurepip()
    unfinished.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "venv", "--clear", str(root / ".venv")]
    run_step("making .venv", command, fix=f"{sys.executable} -m venv --clear .venv", limit=120)
    unfinished.touch()


def _works(root: Path) -> bool:
    """Return whether there is an environment whose interpreter starts and finds its packages."""
    if not python_of(root).exists():
        return False
    probe = [str(python_of(root)), "-c", "import pip"]
    return subprocess.run(probe, env=child_environment(), stderr=subprocess.DEVNULL, check=False).returncode == 0  # noqa: S603


def need_ensurepip() -> None:
    """Install the module that puts pip into an environment, which Debian packs separately; raises SetupError."""
    if find_spec("ensurepip") is not None:
        return
    package = f"python3.{sys.version_info.minor}-venv"
    need_apt(f"{sys.executable} cannot make environments (no ensurepip)", package)
    apt_install(package)


def _install(lock: str, root: Path) -> None:
    unfinished = root / ".venv" / _UNFINISHED
    unfinished.touch()
    command = [str(python_of(root)), "-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "-r", str(root / "ci" / lock)]
    fix = f"reach a Python package index, then .venv/bin/pip install --require-hashes -r ci/{lock}"
    run_step(f"installing ci/{lock} into .venv", command, fix=fix, limit=_INSTALL_SECONDS)
    file = stamp(lock, root)
    scratch = file.with_suffix(f".{os.getpid()}")
    scratch.write_text(key(lock, root), encoding="utf-8")
    scratch.replace(file)
    unfinished.unlink()
