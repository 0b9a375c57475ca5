"""Programs made for a test: shell scripts that stand for a browser, an installer or a package manager."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Program = Callable[[str, str], Path]
STARTS = 'echo "Chromium 156.0"'
BROKEN = "echo 'error while loading shared libraries: libnss3.so' >&2; exit 127"


def write_program(path: Path, script: str) -> Path:
    """Write a program that runs this script; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def of_playwright(browsers: Path, name: str, program: str) -> Path:
    """Return where the installed Playwright would put a program of this name, read from its own list."""
    import playwright  # noqa: PLC0415  (only its place on disk)

    listed = Path(playwright.__file__).parent / "driver" / "package" / "browsers.json"
    revision = listed.read_text(encoding="utf-8").split(f'"{name}"')[1].split('"')[3]
    return browsers / f"{name.replace('-', '_')}-{revision}" / program


def shell_of_playwright(browsers: Path) -> Path:
    """Return where the installed Playwright would put its headless shell."""
    return of_playwright(browsers, "chromium-headless-shell", "chrome-headless-shell-linux64/chrome-headless-shell")
