"""
The project's own `.venv` beside pyproject.toml, which holds exactly the packages of the locks.

Standard library only: this runs ahead of every command. A lock's stamp is written after its installation, so that an
interrupted set-up is noticed and done again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ci.steps import SetupError, apt_install, need_apt, run_step, say
from fixtures.model.child_environment import child_environment

ROOT = Path(__file__).resolve().parent.parent
LOCK = "requirements.lock"
DEV_LOCK = "requirements-dev.lock"
POSTGRES_LOCK = "requirements-postgres.lock"
_UNFINISHED = "unfinished-setup"
_INSTALL_SECONDS = 900


def python_of(root: Path = ROOT) -> Path:
    """Path of the environment's interpreter, whether or not it is there."""
    return root / ".venv" / "bin" / "python"


def installed(lock: str, root: Path = ROOT) -> bool:
    """Return whether the environment holds this lock in its present form, for its present interpreter."""
    try:
        return _stamp(lock, root).read_text(encoding="utf-8") == _key(lock, root)
    except OSError:
        return False


def install(*locks: str, root: Path = ROOT) -> None:
    """Install the locks into `.venv`, which is made where needed; raises SetupError."""
    with _alone(root):
        missing = [lock for lock in locks if not installed(lock, root)]
        if missing:
            _make(root)
        for lock in missing:
            _install(lock, root)


def _stamp(lock: str, root: Path) -> Path:
    return root / ".venv" / f"{lock}.stamp"


def _key(lock: str, root: Path) -> str:
    """Content of the lock and the real interpreter: an upgrade of the system's Python empties a venv without a word."""
    digest = hashlib.sha256((root / "ci" / lock).read_bytes()).hexdigest()
    return f"{digest} {python_of(root).resolve(strict=True)}\n"


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
    stamp = _stamp(lock, root)
    scratch = stamp.with_suffix(f".{os.getpid()}")
    scratch.write_text(_key(lock, root), encoding="utf-8")
    scratch.replace(stamp)
    unfinished.unlink()
