"""
The project's own `.venv` beside pyproject.toml, which holds exactly the packages of the locks.

A lock's stamp is written after its installation, so that an interrupted set-up is noticed and done again. This runs
ahead of every command: standard library only, and nothing slow. `steps.py` installs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = "requirements.lock"
DEV_LOCK = "requirements-dev.lock"
POSTGRES_LOCK = "requirements-postgres.lock"


def python_of(root: Path = ROOT) -> Path:
    """Path of the environment's interpreter, whether or not it is there."""
    return root / ".venv" / "bin" / "python"


def installed(lock: str, root: Path = ROOT) -> bool:
    """Return whether the environment holds this lock in its present form, for its present interpreter."""
    try:
        return stamp(lock, root).read_text(encoding="utf-8") == key(lock, root)
    except OSError:
        return False


def stamp(lock: str, root: Path) -> Path:
    """Path of the file that says which form of a lock is installed."""
    return root / ".venv" / f"{lock}.stamp"


def key(lock: str, root: Path) -> str:
    """Content of the lock and the real interpreter: an upgrade of the system's Python empties a venv without a word."""
    digest = hashlib.sha256((root / "ci" / lock).read_bytes()).hexdigest()
    return f"{digest} {python_of(root).resolve(strict=True)}\n"
