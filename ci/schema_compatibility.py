"""
Decides whether the code that a rollback brings back can work on the database as it is now.

A rollback does not undo migrations. A migration that only adds (a table, a column that may be empty, an index) does not
disturb older code. Any other one, known or not, needs a person. Pure, except for `read`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from fixtures.database.session import ask, connect
from fixtures.target.target import Target

_MIGRATIONS = """
SELECT version, coalesce(to_jsonb(m) ->> 'name', ''), to_jsonb(m) -> 'statements'
  FROM supabase_migrations.schema_migrations m ORDER BY version
"""
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_LITERAL = re.compile(r"'[^']*'")
_NAME = r'((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)'
_CREATES_TABLE = re.compile(rf"create (?:unlogged )?table (?:if not exists )?{_NAME}", re.IGNORECASE)
_CONCERNS_TABLE = re.compile(
    r"(?:alter table (?:if exists )?(?:only )?"  # noqa: S608  (a pattern, not a query)
    r"|(?:create (?:unique )?index|create policy|drop policy|create (?:or replace )?trigger)\b.*? on (?:only )?"
    r"|insert into |update (?:only )?|delete from (?:only )?)" + _NAME,
    re.IGNORECASE,
)
_ALTERS_TABLE = re.compile(rf"alter table (?:if exists )?(?:only )?{_NAME} (.*)", re.IGNORECASE)
# A replaced function or view keeps its signature: PostgreSQL refuses anything else.
_ADDS = re.compile(
    r"create (?:unlogged )?table\b|create index\b|drop index\b"
    r"|create (?:schema|sequence|type|domain|extension|view|materialized view|function|procedure|role)\b"
    r"|create or replace (?:view|function|procedure)\b"
    r"|create policy\b(?!.*\bas restrictive\b)"
    r"|grant\b|comment on\b|insert into\b|alter type \S+ add value\b"
    r"|(?:set|reset|select|begin|commit|notify|analyze)\b",
    re.IGNORECASE,
)
_ADDS_COLUMN = re.compile(r"add (?:column\b|(?!constraint|primary|unique|check|foreign|exclude))", re.IGNORECASE)
_MUST_BE_FILLED = re.compile(r"\b(?:not null|primary key)\b", re.IGNORECASE)
_FILLS_ITSELF = re.compile(r"\b(?:default|generated|(?:big|small)?serial)\b", re.IGNORECASE)
_LOOSENS = re.compile(
    r"alter (?:column )?\S+ (?:drop not null|set default|set statistics)\b|(?:drop|validate) constraint\b|owner to\b",
    re.IGNORECASE,
)


class Migration(msgspec.Struct, frozen=True):
    """One applied migration. version: when it was written, YYYYMMDDHHMMSS.  statements: None when not recorded."""

    version: str
    name: str
    statements: list[str] | None = None


def read(target: Target, run_id: str) -> list[Migration] | None:
    """Return the migrations of the target's database, oldest first; None when they cannot be read."""
    import psycopg  # noqa: PLC0415  (0.3 s that only a run with a database pays)

    if target.database_dsn is None:
        return None
    try:
        with connect(target.database_dsn, run_id) as connection:
            answer = ask(connection, [_MIGRATIONS])[_MIGRATIONS]
    except psycopg.Error:
        return None
    return None if answer.trouble else [Migration(*row) for row in answer.rows]


def unseen(migrations: Iterable[Migration], *, seen: Sequence[str] | None, built: int) -> list[Migration]:
    """
    Return the migrations that were not in the database when the deployment was kept.

    seen: the versions that were applied when it was, None: not known.  built: ms since the epoch; stands in for it, for
    code cannot know a migration that was written after it.
    """
    if seen is not None:
        return [migration for migration in migrations if migration.version not in seen]
    moment = datetime.fromtimestamp(built / 1000, UTC).strftime("%Y%m%d%H%M%S")
    return [migration for migration in migrations if migration.version > moment]


def breaking(migrations: Iterable[Migration]) -> list[str]:
    """Return the statements that older code may not survive, one line each: "VERSION NAME: STATEMENT"."""
    found: list[str] = []
    new_tables: set[str] = set()
    for migration in migrations:
        named = f"{migration.version} {migration.name}".strip()
        if not migration.statements:
            found.append(f"{named}: its statements are not recorded")
        for statement in map(_plain, migration.statements or []):
            if created := _CREATES_TABLE.match(statement):
                new_tables.add(_table(created[1]))
            concerned = _CONCERNS_TABLE.match(statement)
            if statement and not (concerned and _table(concerned[1]) in new_tables) and not _only_adds(statement):
                found.append(f"{named}: {statement[:100]}")
    return found


def _plain(statement: str) -> str:
    """Return it in one line without comments, and without its texts: they may hold anything."""
    return " ".join(_LITERAL.sub("''", _COMMENT.sub(" ", statement)).split()).rstrip("; ")


def _table(name: str) -> str:
    return name.replace('"', "").removeprefix("public.").lower()


def _only_adds(statement: str) -> bool:
    altered = _ALTERS_TABLE.match(statement)
    if altered is None:
        return bool(_ADDS.match(statement))
    return all(_adds_to_table(action) for action in _actions(altered[2]))


def _actions(text: str) -> Iterator[str]:
    """Split at the commas that stand in no parentheses."""
    depth, action = 0, ""
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            yield action.strip()
            action = ""
        else:
            action += letter
    yield action.strip()


def _adds_to_table(action: str) -> bool:
    if _ADDS_COLUMN.match(action):
        return not _MUST_BE_FILLED.search(action) or bool(_FILLS_ITSELF.search(action))
    return bool(_LOOSENS.match(action))
