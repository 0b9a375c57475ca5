"""The linter of migrations: severities, exceptions, and a linter that does not work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixtures.checks.evidence import NotMeasured
from fixtures.migrations import lint as migration_lint
from fixtures.migrations.lint import UNJUDGED, lint, program, rules
from fixtures.migrations.rehearsal import Script

NAME = "20990101000000_next.sql"


def script(directory: Path, text: str) -> Script:
    """Return a migration of that text."""
    file = directory / NAME
    file.write_text(text, encoding="utf-8")
    return Script("20990101000000", file, None)


@pytest.mark.parametrize(
    ("statement", "severity", "rule"),
    [
        ("CREATE INDEX i ON public.a (x)", "P1", "require-concurrent-index-creation"),
        ("DROP INDEX public.i", "P1", "require-concurrent-index-deletion"),
        ("REINDEX TABLE public.a", "P1", "require-concurrent-reindex"),
        ("ALTER TABLE public.a ADD COLUMN x text NOT NULL", "P1", "adding-required-field"),
        ("ALTER TABLE public.a ALTER x SET NOT NULL", "P1", "adding-not-nullable-field"),
        ("ALTER TABLE public.a ADD COLUMN x timestamptz DEFAULT clock_timestamp()", "P1", "adding-field-with-default"),
        ("ALTER TABLE public.a ADD FOREIGN KEY (x) REFERENCES public.b", "P1", "adding-foreign-key-constraint"),
        ("ALTER TABLE public.a ADD CONSTRAINT c CHECK (x > 0)", "P1", "constraint-missing-not-valid"),
        ("ALTER TABLE public.a ALTER x TYPE bigint", "P1", "changing-column-type"),
        ("ALTER TABLE public.a DROP COLUMN x", "P1", "ban-drop-column"),
        ("ALTER TABLE public.a RENAME x TO y", "P1", "renaming-column"),
        ("ALTER TABLE public.a RENAME TO b", "P1", "renaming-table"),
        ("DROP TABLE public.a", "P1", "ban-drop-table"),
        ("TRUNCATE public.a CASCADE", "P1", "ban-truncate-cascade"),
        ("SELEC 1", "P1", "syntax-error"),
        ("ALTER TABLE public.a ADD COLUMN x int", "P2", "prefer-bigint-over-int"),
        ("ALTER TABLE public.a ALTER x DROP NOT NULL", "P2", "ban-drop-not-null"),
        ("CREATE INDEX i ON public.a (x)", "P2", "require-lock-timeout"),
        ("ALTER TABLE public.a ADD COLUMN x varchar(9)", UNJUDGED, "prefer-text-field"),
    ],
)
def test_what_a_finding_is_worth(statement: str, severity: str, rule: str, tmp_path: Path) -> None:
    """Locks and losses block a release; style does not."""
    found = {(complaint.severity, complaint.rule) for complaint in lint([script(tmp_path, f"{statement};")], 15)}

    assert (severity, rule) in found


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE public.a ADD COLUMN x text NOT NULL DEFAULT 'tr';",
        "CREATE TABLE public.b (id uuid PRIMARY KEY, a uuid REFERENCES public.a); CREATE INDEX i ON public.b (a);",
        "CREATE INDEX CONCURRENTLY i ON public.a (x);",
        "-- squawk-ignore ban-drop-column\nALTER TABLE public.a DROP COLUMN x;",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2 $$;",
        "CREATE POLICY p ON public.a FOR SELECT USING (true);",
        "",
    ],
)
def test_what_is_harmless_or_excepted_where_it_stands(text: str, tmp_path: Path) -> None:
    """Alarms for safe migrations would make people switch the gate off."""
    found = lint([script(tmp_path, f"SET lock_timeout = '1s';\n{text}")], 15)

    assert [str(complaint) for complaint in found if complaint.severity != UNJUDGED] == []


def test_a_finding_names_file_line_and_what_to_do(tmp_path: Path) -> None:
    """The message is all that a person has at night."""
    (found,) = (
        str(complaint) for complaint in lint([script(tmp_path, "\n\nDROP INDEX i;")], 15) if complaint.severity == "P1"
    )

    assert found == f"{NAME}:3: require-concurrent-index-deletion: Drop the index `CONCURRENTLY`."


def test_every_rule_in_the_table_is_one_of_the_linters() -> None:
    """A renamed rule would lose its severity without notice."""
    known = program().read_bytes()

    assert [rule for rule in rules() if rule.encode() not in known] == []
    assert {severity for severity, _ in rules().values()} == {"P1", "P2", UNJUDGED}


def test_the_platforms_own_settings_exclude_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exclusions have one place."""
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["ban-drop-table"]\n')
    monkeypatch.chdir(tmp_path)

    assert "ban-drop-table" in {complaint.rule for complaint in lint([script(tmp_path, "DROP TABLE a;")], 15)}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (None, "No such file or directory; fix: remove .venv"),
        ("#!/bin/sh\necho broken >&2; exit 3", "broken"),
        ("#!/bin/sh\nexit 0", "exit 0 without a message"),
        ("#!/bin/sh\nsleep 60", "no answer within 1 s"),
    ],
)
def test_a_linter_that_does_not_work_is_not_measured(
    body: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A linter that did not run has no findings either."""
    fake = tmp_path / "squawk"
    if body is not None:
        fake.write_text(body)
        fake.chmod(0o700)
    monkeypatch.setattr(migration_lint, "program", lambda: fake)
    monkeypatch.setattr(migration_lint, "_SECONDS", 1)

    with pytest.raises(NotMeasured, match=re.escape(told)):
        lint([script(tmp_path, "SELECT 1;")], 15)


def test_nothing_pending_asks_no_linter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applied migrations are not judged."""
    monkeypatch.setattr(migration_lint, "program", lambda: Path("/nowhere"))

    assert lint([], 15) == []
