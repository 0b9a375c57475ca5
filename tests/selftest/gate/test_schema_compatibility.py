"""Migrations since the rollback target: whether its code survives them, and the decision of the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from ci.schema_compatibility import Migration, breaking, read, unseen
from fixtures.sandbox.database.postgres import Postgres
from fixtures.state.state import Good
from fixtures.target.sandbox_handle import Handle
from fixtures.target.target import Target, load
from tests.selftest.gate.verdicts import HEALTH
from tests.selftest.gate.world import World, a_world

MARCH = 1772366400000  # 2026-03-01 12:00 UTC, ms


def of(*statements: str) -> list[Migration]:
    """Return one migration with these statements."""
    return [Migration("20260301120000", "change", list(statements))]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE public.coupons (code text PRIMARY KEY, percent int NOT NULL)",
        "create table if not exists coupons (id bigint generated always as identity)",
        "ALTER TABLE public.users ADD COLUMN phone text",
        "ALTER TABLE users ADD phone text, ADD COLUMN IF NOT EXISTS score numeric(10, 2) NOT NULL DEFAULT 0",
        "ALTER TABLE ONLY users ADD COLUMN n bigserial NOT NULL",
        "ALTER TABLE users ALTER COLUMN full_name DROP NOT NULL, ALTER phone SET DEFAULT 'x, y'",
        "ALTER TABLE users DROP CONSTRAINT users_score_check",
        "ALTER TABLE users VALIDATE CONSTRAINT users_score_check",
        "CREATE INDEX CONCURRENTLY payment_transactions_by_user ON public.payment_transactions (user_id)",
        "DROP INDEX public.payment_transactions_by_user",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ DELETE FROM users; SELECT 1 $$",
        "CREATE POLICY own ON users FOR SELECT USING (id = auth.uid())",
        "GRANT SELECT ON users TO anon",
        "ALTER TYPE public.user_role ADD VALUE 'moderator'",
        "-- DROP TABLE users\n/* RENAME */ CREATE SCHEMA reports;",
        "COMMENT ON COLUMN users.phone IS 'drop table'",
    ],
)
def test_what_only_adds_leaves_older_code_alone(statement: str) -> None:
    """A rollback that is refused for an index leaves production broken for nothing."""
    assert breaking(of(statement)) == []


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE public.review_helpfulness",
        "ALTER TABLE users DROP COLUMN avatar_url",
        "ALTER TABLE users ADD COLUMN phone text, DROP COLUMN avatar_url",
        "ALTER TABLE users ADD COLUMN phone text NOT NULL",
        "ALTER TABLE users RENAME COLUMN full_name TO name",
        "ALTER TABLE users RENAME TO profiles",
        "ALTER TABLE users ALTER COLUMN full_name SET NOT NULL",
        "ALTER TABLE payments ALTER COLUMN amount TYPE numeric(10, 2)",
        "ALTER TABLE payments ADD CONSTRAINT sane CHECK (amount < 100)",
        "ALTER TABLE payments ADD CHECK (amount < 100)",
        "ALTER TABLE payments ADD UNIQUE (user_id, course_id)",
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
        "CREATE UNIQUE INDEX users_name ON users (full_name)",
        "CREATE POLICY tight ON users AS RESTRICTIVE USING (false)",
        "DROP POLICY own ON users",
        "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f()",
        "UPDATE payments SET amount = amount / 100",
        "DELETE FROM payments",
        "TRUNCATE payments",
        "REVOKE SELECT ON users FROM anon",
        "DROP FUNCTION f()",
        "DO $$ BEGIN EXECUTE 'drop table users'; END $$",
        "ALTER TYPE public.user_role RENAME VALUE 'student' TO 'learner'",
        "-- CREATE TABLE x\nDROP VIEW v",
    ],
)
def test_anything_else_needs_a_human(statement: str) -> None:
    """Older code fails at every request when its column is gone, which is worse than the fault."""
    (line,) = breaking(of(statement))

    assert line.startswith("20260301120000 change: ")


def test_a_table_of_the_same_migrations_is_nobodys_yet() -> None:
    """A new table is protected, indexed and filled by its migration; older code does not know it."""
    made = of(
        'CREATE TABLE IF NOT EXISTS "coupons" (id int)',
        "ALTER TABLE public.coupons ENABLE ROW LEVEL SECURITY",
        "CREATE UNIQUE INDEX once ON public.coupons (id)",
        "ALTER TABLE coupons ADD CONSTRAINT sane CHECK (id > 0), ALTER COLUMN id SET NOT NULL",
        "CREATE POLICY p ON coupons AS RESTRICTIVE USING (false)",
        "UPDATE coupons SET id = 1",
    )

    assert breaking(made) == []
    assert len(breaking([*made, *of("ALTER TABLE users ENABLE ROW LEVEL SECURITY")])) == 1


@pytest.mark.parametrize("statements", [None, []])
def test_what_is_not_recorded_is_not_known_to_be_harmless(statements: list[str] | None) -> None:
    """A migration that was recorded by hand says nothing about what it did."""
    assert breaking([Migration("20260301120000", "hotfix", statements)]) == [
        "20260301120000 hotfix: its statements are not recorded"
    ]


def test_unseen_is_what_came_after_a_deployment_was_let_stand() -> None:
    """The ledger knows; without it, code cannot know a migration that was written after it was built."""
    old, new, late = (Migration(version, "m") for version in ("20260228000000", "20260301130000", "20260101000000"))

    assert unseen([old, new], seen=["20260228000000"], built=0) == [new]
    assert unseen([late, old], seen=["20260228000000"], built=MARCH) == [late]
    assert unseen([old, new], seen=None, built=MARCH) == [new]
    assert unseen([old], seen=[], built=MARCH) == [old]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Lend one server to all tests here; each undoes what it writes."""
    with Postgres.start(tmp_path_factory.mktemp("postgres")) as started:
        yield started


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: Postgres) -> Iterator[World]:
    """Return a platform with a database, whose newest deployment fails a P0 that the one before passes."""
    with a_world(tmp_path, monkeypatch) as made:
        file = tmp_path / "handle.json"
        msgspec.structs.replace(Handle.read(file), database_dsn=postgres.dsn("synthetic_monitor")).write(file)
        made.suite.broken = {HEALTH: {made.bad.id}}
        yield made


@pytest.fixture
def record(postgres: Postgres) -> Iterator[Callable[[str], None]]:
    """Return a function that records a migration of one statement; they are forgotten afterwards."""

    def apply(statement: str) -> None:
        with psycopg.connect(postgres.superuser_dsn) as connection:
            connection.execute(
                "INSERT INTO supabase_migrations.schema_migrations (version, name, statements)"
                " VALUES ('20990101000000', 'change', ARRAY[%s])",
                (statement,),
            )

    yield apply
    with psycopg.connect(postgres.superuser_dsn) as connection:
        connection.execute("DELETE FROM supabase_migrations.schema_migrations WHERE version > '2099'")


def test_the_gate_does_not_bring_code_back_to_a_schema_it_does_not_know(
    world: World, record: Callable[[str], None]
) -> None:
    """Its column is gone, so every request would fail on both deployments."""
    record("ALTER TABLE public.users DROP COLUMN avatar_url")

    assert world.run() == 5

    assert world.decision["decision"] == "escalate"
    assert world.decision["rollback"]["step"] == "refused"
    assert "20990101000000 change: ALTER TABLE public.users DROP COLUMN avatar_url" in world.decision["reasons"][0]
    assert world.posts == 0


def test_the_gate_rolls_back_past_a_migration_that_only_adds(world: World, record: Callable[[str], None]) -> None:
    """A new table is no reason to leave production broken."""
    record("CREATE TABLE public.coupons (code text PRIMARY KEY)")

    assert world.run() == 1
    assert world.posts == 1


def test_what_the_last_good_was_let_stand_with_does_not_count(world: World, record: Callable[[str], None]) -> None:
    """The last good deployment already worked on that schema."""
    record("ALTER TABLE public.users DROP COLUMN avatar_url")
    seen = [migration.version for migration in read(load("sandbox"), "test") or []]
    good = Good(deployment_id=world.good.id, run_id="0", recorded_at=1, migrations=seen)
    world.state.record_good(good)

    assert seen[-1] == "20990101000000"
    assert world.run() == 1


def test_the_ledger_keeps_what_was_applied(world: World) -> None:
    """Versions alone do not show which migrations a deployment has met: a branch may be merged months later."""
    world.suite.broken = {}

    assert world.run() == 0

    good = world.state.last_good()
    assert good is not None
    assert good.migrations is not None
    assert len(good.migrations) == 8


def test_a_database_that_does_not_tell_stops_no_rollback(world: World, tmp_path: Path) -> None:
    """The target has passed P0 on this schema, so the unread migrations are only a note."""
    file = tmp_path / "handle.json"
    silent = "postgresql://monitor:canary-dsn-password@127.0.0.1:1/platform"
    msgspec.structs.replace(Handle.read(file), database_dsn=silent).write(file)

    assert world.run() == 1
    assert [note for note in world.decision["notes"] if "the migrations could not be read" in note]
    assert read(Target(name="x", url="http://x", mode="shadow"), "test") is None
