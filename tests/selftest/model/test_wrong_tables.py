"""Shows a mistake in a table of the project as one line with file, table and key, and exit 2."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.model.toml_tables import UsageError
from fixtures.target.target import load
from tests.selftest.conftest import ROOT, environment_of_a_run

LEFT_OUT = shutil.ignore_patterns(".venv", ".git", "reports", "__pycache__", ".*_cache", ".verify", "selftest")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project that a test may break."""
    return Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("checkout") / "project", ignore=LEFT_OUT))


@pytest.mark.parametrize("entry", ["pytest", "ci.process"])
@pytest.mark.parametrize(
    ("table", "old", "new", "says"),
    [
        ("targets.toml", 'mode = "act"', 'mode = "on"', "at `$.mode`, use one of act, off, shadow; correct it"),
        ("targets.toml", 'mode = "act"', 'mode = "on"', "the words are explained in fixtures/targets.toml"),
        ("targets.toml", 'url = "sandbox"', 'adress = "sandbox"', "[sandbox]: Object contains unknown field `adress`"),
        ("targets.toml", '"accounts", ', '"acounts", ', "sandbox.capabilities has unknown acounts; known: accounts,"),
        ("targets.toml", "[sandbox]", "[sandbox", "targets.toml: "),
        ("runbook.toml", "limit = 2000", 'limit = "2000"', "Expected `float`, got `str` - at `$.limit`"),
        ("runbook.toml", "limit = 2000", "limit = 0", "Expected `float` > 0.0 - at `$.limit`"),
        ("runbook.toml", "limit = 2000", "limit = nan", "at `$.limit`"),
        ("runbook.toml", "limit = 2000", "limit = 2000\nlimit = 3000", "Cannot overwrite a value"),
        ("runbook.toml", "[budgets.memory]", "[budget.memory]", "unknown budget; known: sections, budgets"),
        ("runbook.toml", 'section = "high-memory-usage"', 'section = "memory"', "budgets.memory.section: no section"),
        (
            "routes.toml",
            'severity = "P0"',
            'severity = "P9"',
            "'P9' - at `$.severity`, use one of P0, P1,",
        ),
        ("routes.toml", '["GET /api/ping"]', '["/api/ping"]', 'expected "METHOD /path"'),
        ("routes.toml", 'checks = ["test_ping_and_diagnostic_routes_answer"]', "", "either `checks` or a `waiver`"),
        ("routes.toml", '"q=a", ', '"q", ', "a legal value"),
    ],
)
def test_a_mistake_in_a_table_is_one_line_and_exit_2(
    checkout: Path, entry: str, table: str, old: str, new: str, says: str
) -> None:
    """A person who edits a table reads about a mistake before anything starts or is asked."""
    file = checkout / "fixtures" / table
    healthy = file.read_text(encoding="utf-8")
    assert old in healthy
    file.write_text(healthy.replace(old, new, 1), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", entry, *(["--list-checks"] if entry == "pytest" else ["postdeploy"])],
            cwd=checkout,
            env=environment_of_a_run() | {"PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        file.write_text(healthy, encoding="utf-8")
    lines = done.stderr.strip().splitlines()

    assert (done.returncode, len(lines)) == (2, 1), done.stderr + done.stdout
    assert table in lines[0]
    assert says in lines[0]


def test_a_copy_of_the_targets_is_sent_to_where_its_words_are_explained(tmp_path: Path) -> None:
    """A copy of the table has no comments, so the message names the original."""
    file = tmp_path / "t.toml"
    file.write_text('[mine]\nurl = "https://x.test"\nmode = "shadw"\n', encoding="utf-8")

    with pytest.raises(UsageError, match=r"shadw.*one of act, off, shadow;.*explained in fixtures/targets\.toml$"):
        load("mine", environ={}, file=file)


def test_a_file_of_targets_that_is_not_there_is_named_with_its_variable(tmp_path: Path) -> None:
    """A path alone does not say which option needs it."""
    with pytest.raises(UsageError, match=rf"^SYNTHETIC_TARGETS={tmp_path}/none\.toml: no such file; name a"):
        load("mine", environ={}, file=tmp_path / "none.toml")


def test_what_is_not_set_is_named_with_what_needs_it(tmp_path: Path) -> None:
    """Everything at once, and only the parts that the caller uses."""
    file = tmp_path / "t.toml"
    file.write_text(
        """
        [mine]
        url = "https://x.test"
        mode = "shadow"
        capabilities = ["accounts", "database"]
        variables = { student_email = "A", student_password = "B", database_dsn = "C" }
        """,
        encoding="utf-8",
    )
    said = []
    for uses in ({"accounts", "database"}, {"database"}):
        with pytest.raises(UsageError) as caught:
            load("mine", environ={}, file=file, uses=uses)
        said.append(str(caught.value))
    both = "not set: A, B (for accounts), C (for database); set them, or drop the capability"

    assert said == [
        f"--target mine: {what} in {file}; `ci/verify doctor mine` examines it"
        for what in (both, "not set: C (for database); set it, or drop the capability")
    ]
    assert load("mine", environ={"C": "postgresql://db.test/x"}, file=file, uses={"database"}).accounts == {}
