"""The choice of PostgreSQL's programs on a machine, and who may run them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixtures.postgres import binaries
from fixtures.postgres.binaries import PostgresMissing, User, locate


@pytest.fixture
def open_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the machine's PostgreSQL, and let the server's user into the test's own directory."""
    monkeypatch.setattr(User, "reaches", lambda *_: True)
    monkeypatch.setattr(binaries, "SYSTEM", (f"{tmp_path}/*/bin",))
    monkeypatch.setattr(binaries, "WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", "/no/such/directory")
    monkeypatch.delenv("SYNTHETIC_POSTGRES", raising=False)
    return tmp_path


def install(root: Path, version: str, *, extension: bool = True) -> Path:
    """Write programs that state a version and a share directory."""
    bindir, share = root / version / "bin", root / version / "share"
    bindir.mkdir(parents=True)
    (share / "extension").mkdir(parents=True)
    if extension:
        (share / "extension" / "pg_stat_statements.control").touch()
    for name, answer in (("postgres", f"postgres (PostgreSQL) {version}"), ("pg_config", str(share)), ("initdb", "")):
        (bindir / name).write_text(f"#!/bin/sh\necho '{answer}'\n")
        (bindir / name).chmod(0o755)
    return bindir


def test_the_newest_usable_system_postgres_is_taken(open_directory: Path) -> None:
    """The machine has one that is too old, one without the extension, and two usable ones."""
    install(open_directory, "9.6.24")
    install(open_directory, "18.1", extension=False)
    install(open_directory, "16.4 (Debian 16.4-1)")
    newest = install(open_directory, "17.10")

    found = locate()
    assert (found.bindir, found.version, found.major, found.source) == (newest, 170010, 17, "system")


def test_no_postgres_is_one_line_that_says_what_to_do(open_directory: Path) -> None:
    """A person reads this line on a machine without PostgreSQL."""
    bindir = install(open_directory, "15.2", extension=False)
    with pytest.raises(PostgresMissing) as raised:
        locate()

    message = str(raised.value)
    assert f"{bindir} has no pg_stat_statements" in message
    assert "fix: apt-get install -y postgresql" in message
    assert "\n" not in message


def test_the_variable_is_believed_alone(open_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who names a server does not want another one silently."""
    install(open_directory, "17.10")
    chosen = install(open_directory, "14.0")
    monkeypatch.setenv("SYNTHETIC_POSTGRES", str(chosen))
    assert (locate().bindir, locate().source) == (chosen, "variable")

    monkeypatch.setenv("SYNTHETIC_POSTGRES", str(open_directory / "nowhere"))
    with pytest.raises(PostgresMissing, match=r"^SYNTHETIC_POSTGRES=.*nowhere: no postgres in .*; fix: "):
        locate()


def test_another_user_is_stopped_by_a_closed_directory(tmp_path: Path) -> None:
    """Root's own directories are closed to the server's user, and stay closed."""
    (tmp_path / "closed").mkdir(mode=0o700)
    other_student = User(os.geteuid() + 12345, os.getegid() + 12345)

    assert not other_student.reaches(tmp_path / "closed")
    assert other_student.reaches(Path("/bin/sh"))
    assert User(os.geteuid(), os.getegid()).reaches(tmp_path / "closed")
