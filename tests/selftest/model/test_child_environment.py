"""Which variables reach a child is decided in one place."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.model.child_environment import child_environment, dropped_names
from tests.selftest.conftest import ROOT

STARTS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}
# The sandbox is a child itself, and what it starts gets what it got.
LEFT_OUT = {Path("fixtures/sandbox"), Path("ci/bench")}


MATTERS = (
    *("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONOPTIMIZE", "PYTHONIOENCODING", "PGHOST", "PGOPTIONS", "https_proxy"),
    *("ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "DEBUG", "PWDEBUG", "PW_TEST_X", "DBUS_SESSION_BUS_ADDRESS"),
    *("MALLOC_ARENA_MAX", "LD_PRELOAD", "NODE_OPTIONS", "PLAYWRIGHT_CHROMIUM_EXECUTABLE_PATH"),
)
KEPT = ("LC_ALL", "TZ", "NO_COLOR", "SYNTHETIC_COMMIT", "XDG_CACHE_HOME", "PLAYWRIGHT_BROWSERS_PATH", "VERCEL_TOKEN")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this process the variables of these tests and no other."""
    for name in os.environ:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", MATTERS)
def test_a_variable_that_would_change_a_run_is_dropped_and_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`PYTEST_ADDOPTS="-k robots"` let an outage stand."""
    monkeypatch.setenv(name, "x")

    assert name not in child_environment()
    assert dropped_names() == [name]


@pytest.mark.parametrize("name", KEPT)
def test_a_run_keeps_its_own_variables(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secrets that targets.toml names are among them."""
    monkeypatch.setenv(name, "x")

    assert child_environment()[name] == "x"
    assert dropped_names() == []


def test_other_variables_are_dropped_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run must not get the secrets of other programs."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

    assert "AWS_SECRET_ACCESS_KEY" not in child_environment()
    assert dropped_names() == []


def test_an_installer_reaches_the_registries_as_the_machine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy nothing could be set up otherwise."""
    for name in ("PIP_INDEX_URL", "https_proxy", "SSL_CERT_FILE", "npm_config_registry"):
        monkeypatch.setenv(name, "x")
        assert (name in child_environment(installs=True), name in child_environment()) == (True, False)


def test_the_variables_of_this_process_are_judged_where_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SYNTHETIC_ENVIRONMENT=process` judges the platform's own variables; none of them may bend the run."""
    monkeypatch.setenv("NEXTAUTH_URL", "https://x.test")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k x")
    assert "NEXTAUTH_URL" not in child_environment()
    monkeypatch.setenv("SYNTHETIC_ENVIRONMENT", "process")

    assert child_environment()["NEXTAUTH_URL"] == "https://x.test"
    assert "PYTEST_ADDOPTS" not in child_environment()


def test_a_targets_file_of_the_user_names_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot name a variable that would change the run."""
    (tmp_path / "t.toml").write_text('[x.variables]\nvercel_token = "MY_TOKEN"\ndsn = "PGPASSWORD"\n')
    for name, value in {"SYNTHETIC_TARGETS": str(tmp_path / "t.toml"), "MY_TOKEN": "x", "PGPASSWORD": "y"}.items():
        monkeypatch.setenv(name, value)

    assert {"MY_TOKEN", "PGPASSWORD"} & set(child_environment()) == {"MY_TOKEN"}


def test_what_is_set_for_the_child_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is left out may be set for the child all the same."""
    monkeypatch.setenv("SYNTHETIC_ONE", "1")
    monkeypatch.setenv("SYNTHETIC_TWO", "2")
    child = child_environment({"SYNTHETIC_TWO": "3"}, without={"SYNTHETIC_ONE"})

    assert child == {"PYTHONPATH": str(ROOT), "SYNTHETIC_TWO": "3"}


def _starts() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call that starts a process, with the place where it stands."""
    for file in [*ROOT.glob("ci/**/*.py"), *ROOT.glob("fixtures/**/*.py")]:
        name = file.relative_to(ROOT)
        if LEFT_OUT & set(name.parents):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in STARTS:
                yield f"{name}:{node.lineno}", node


def test_no_process_is_started_with_what_happens_to_be_there() -> None:
    """A child that is started without `env` inherits every secret of this process, and nobody decided that."""
    found = list(_starts())

    assert len(found) > 5
    assert [place for place, call in found if "env" not in {given.arg for given in call.keywords}] == []
