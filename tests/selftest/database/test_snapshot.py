"""The changes of a release: counters of a real server, and the judgement of made-up snapshots."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from fixtures.database.snapshot import Identity, Snapshot, SnapshotError, Statement, Statements, take_snapshot
from fixtures.database.snapshot_change import Comparison, compare, compare_migrations
from fixtures.model.verdict import Severity
from fixtures.sandbox.database.postgres import Postgres

CALLS = 25
MEGABYTE = 1024 * 1024
# An hour before the first made-up snapshot.
SINCE = -3600.0


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start a server that notices a deadlock at once."""
    settings = {"deadlock_timeout": "50ms"}
    with Postgres.start(tmp_path_factory.mktemp("postgres"), settings=settings) as started:
        yield started


def shoot(postgres: Postgres) -> Snapshot:
    """Take a snapshot as the monitor does."""
    return take_snapshot(postgres.dsn("synthetic_monitor"), "test")


def red(comparison: Comparison) -> dict[str, Severity]:
    """Return the findings over their limit."""
    return {finding.name: finding.severity for finding in comparison.findings if finding.severity}


def visit(postgres: Postgres, statement: str, calls: int = CALLS) -> None:
    """Act as the application; the server counts the statements of a closed connection at once."""
    with psycopg.connect(postgres.dsn("platform_app"), autocommit=True, prepare_threshold=None) as connection:
        for _ in range(calls):
            connection.execute(statement.encode())


def test_an_ordinary_release_changes_nothing_worth_telling(postgres: Postgres, tmp_path: Path) -> None:
    """Normal traffic between the two snapshots gives no finding; the first snapshot comes from its file."""
    shoot(postgres).write(tmp_path / "before.json")
    visit(postgres, "SELECT count(*) FROM public.courses WHERE published")
    comparison = compare(Snapshot.read(tmp_path / "before.json"), shoot(postgres))

    assert (red(comparison), comparison.severity) == ({}, None)
    assert set(comparison.unmeasured) <= {"rolled_back", "cache_misses", "statement_slowdown"}, "too few samples"
    assert {"deadlocks", "temporary_files", "connections_leaked"} <= {finding.name for finding in comparison.findings}


@pytest.mark.parametrize(("name", "counts"), [("Supavisor", False), ("PgBouncer", False), ("platform", True)])
def test_connections_of_a_pooler_are_its_own(postgres: Postgres, name: str, *, counts: bool) -> None:
    """Its pool has a fixed size; the application gives them back to it."""
    before = shoot(postgres).counters["numbackends"]
    with psycopg.connect(postgres.dsn("platform_app"), application_name=name):
        after = shoot(postgres).counters["numbackends"]

    assert after - before == counts


def test_a_statement_that_became_slower_is_found_by_its_mean_since_then(postgres: Postgres) -> None:
    """The mean since the reset includes the fast calls of before."""
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("CREATE FUNCTION public.price() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0.001)'")
        visit(postgres, "SELECT public.price()")
        before = shoot(postgres)
        connection.execute(
            "CREATE OR REPLACE FUNCTION public.price() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0.03)'"
        )
        visit(postgres, "SELECT public.price()")
        comparison = compare(before, shoot(postgres))
        connection.execute("DROP FUNCTION public.price()")

    (found,) = [finding for finding in comparison.findings if finding.name == "statement_slowdown"]
    assert found.severity is Severity.P1
    assert found.detail.endswith("SELECT public.price()")
    assert comparison.severity is Severity.P1


def test_new_objects_are_named(postgres: Postgres) -> None:
    """New objects are found without traffic."""
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        before = shoot(postgres)
        connection.execute("CREATE TABLE public.coupons (code text PRIMARY KEY)")
        connection.execute("CREATE POLICY preview ON public.review_helpfulness FOR SELECT TO anon USING (true)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY one_role ON public.users (role)")
        comparison = compare(before, shoot(postgres))
        connection.execute(
            "DROP TABLE public.coupons; DROP INDEX public.one_role; DROP POLICY preview ON public.review_helpfulness"
        )

    assert red(comparison) == {
        "new unusable indexes": Severity.P1,
        "new tables without row level security": Severity.P1,
        "changed access": Severity.P3,
    }
    lines = comparison.lines()
    assert "P1  new tables without row level security: 1 (limit 0, 1 samples): public.coupons" in lines
    assert lines[0].startswith("P1")


def test_a_deadlock_is_counted(postgres: Postgres) -> None:
    """Two requests lock the same rows in opposite order."""
    before = shoot(postgres)
    meet = threading.Barrier(2)

    def cross(first: str, second: str) -> None:
        with psycopg.connect(postgres.dsn("platform_app")) as connection:
            for slug in (first, second):
                connection.execute("UPDATE public.courses SET title = title WHERE slug = %s", (slug,))
                if slug == first:
                    meet.wait(10)
            connection.rollback()

    def lose() -> None:
        try:
            cross("fiyatlandirma-psikolojisi", "kurumsal-satis")
        except psycopg.errors.DeadlockDetected as error:
            victims.append(error)

    victims: list[Exception] = []
    other = threading.Thread(target=lose)
    other.start()
    try:
        cross("kurumsal-satis", "fiyatlandirma-psikolojisi")
    except psycopg.errors.DeadlockDetected as error:
        victims.append(error)
    other.join()

    assert len(victims) == 1
    assert red(compare(before, shoot(postgres))) == {"deadlocks": Severity.P2}


def test_counters_that_were_reset_are_not_compared(postgres: Postgres) -> None:
    """A difference across a reset of the counters is negative or wrong."""
    before = shoot(postgres)
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("SELECT extensions.pg_stat_statements_reset()")
        statements = compare(before, shoot(postgres))
        connection.execute("SELECT pg_stat_reset()")
        both = compare(before, shoot(postgres))

    assert statements.unmeasured["statements"] == "pg_stat_statements was reset in between"
    assert both.unmeasured == {
        "counters": "the counters were reset in between",
        "statements": "pg_stat_statements was reset in between",
    }
    assert "deadlocks" not in {finding.name for finding in both.findings}


def test_no_secret_gets_into_a_snapshot(postgres: Postgres) -> None:
    """pg_stat_statements keeps the text of utility statements."""
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE someone PASSWORD 'hunter2-hunter2'")
        connection.execute("DROP ROLE someone")
        connection.execute("SELECT 'hunter2-hunter2'")

    assert "hunter2" not in str(shoot(postgres))


def test_a_blind_role_says_so(postgres: Postgres) -> None:
    """Without pg_stat_statements the rest is still compared; without a connection nothing is."""
    with psycopg.connect(postgres.superuser_dsn, autocommit=True) as connection:
        before = shoot(postgres)
        connection.execute("ALTER EXTENSION pg_stat_statements SET SCHEMA auth")
        connection.execute("REVOKE USAGE ON SCHEMA auth, supabase_migrations FROM synthetic_monitor")
        after = shoot(postgres)
        connection.execute("ALTER EXTENSION pg_stat_statements SET SCHEMA extensions")
        connection.execute("GRANT USAGE ON SCHEMA supabase_migrations TO synthetic_monitor")

    assert after.statements is None
    assert after.migrations is None
    assert "statements" in compare(before, after).unmeasured
    with pytest.raises(SnapshotError, match="cannot connect: wrong DSN"):
        take_snapshot(postgres.dsn("synthetic_monitor", "wrong"), "test")


def made_up(at: float = 0.0, **counters: float) -> Snapshot:
    """Return a snapshot of a busy server."""
    idle = dict.fromkeys(
        ("numbackends", "xact_commit", "xact_rollback", "blks_read", "blks_hit", "temp_bytes", "deadlocks"), 0.0
    )
    return Snapshot(
        taken_at=at,
        identity=Identity(
            system="1", database="1", counted_since=None, server_started="then", standby=False, allowed=57
        ),
        counters=idle | counters,
        sizes={},
        unusable_indexes=[],
        unguarded_tables=[],
        access=[],
        guards=[],
        columns=[],
        statements=Statements(counted_since=SINCE, evictions=0, by_text={}),
    )


@pytest.mark.parametrize(
    ("counters", "found"),
    [
        ({"xact_commit": 899, "xact_rollback": 101}, {"rolled_back": Severity.P2}),
        ({"xact_commit": 900, "xact_rollback": 100}, {}),
        ({"xact_commit": 8, "xact_rollback": 90}, {}),
        ({"blks_hit": 94000, "blks_read": 6001}, {"cache_misses": Severity.P2}),
        ({"blks_hit": 9400, "blks_read": 6001}, {}),
        ({"temp_bytes": 257.0 * MEGABYTE, "xact_commit": 1}, {"temporary_files": Severity.P2}),
        ({"numbackends": 12}, {"connections_leaked": Severity.P2}),
        ({"numbackends": 11}, {}),
        ({"sessions_killed": 6, "sessions_fatal": 5, "xact_commit": 1}, {"sessions_lost": Severity.P2}),
    ],
)
def test_counters_are_held_against_the_runbook(counters: dict[str, float], found: dict[str, Severity]) -> None:
    """Values on both sides of each limit, and too few samples."""
    assert red(compare(made_up(), made_up(60.0, **counters))) == found


@pytest.mark.parametrize(
    ("earlier", "now", "found"),
    [
        ((100, 1000.0), (120, 1360.0), {"statement_slowdown": Severity.P2}),
        ((100, 1000.0), (120, 1370.0), {"statement_slowdown": Severity.P1}),
        ((100, 1000.0), (120, 1302.0), {"statement_slowdown": Severity.P2}),
        ((100, 1000.0), (119, 9999.0), {}),
        ((19, 190.0), (119, 9999.0), {}),
        ((100, 100.0), (120, 218.0), {}),
        (None, (20, 10001.0), {"statement_time": Severity.P2}),
        (None, (19, 99999.0), {}),
    ],
)
def test_statements_are_held_against_their_own_mean(
    earlier: tuple[int, float] | None, now: tuple[int, float], found: dict[str, Severity]
) -> None:
    """The limits are 20 and 80 %, at least 5 ms, and 20 calls on both sides; new statements have a limit in ms."""
    old = {} if earlier is None else {"SELECT $1": Statement(calls=earlier[0], total=earlier[1])}
    new = {"SELECT $1": Statement(calls=now[0], total=now[1])}
    before = replace(made_up(), statements=Statements(counted_since=SINCE, evictions=0, by_text=old))
    after = replace(made_up(60.0), statements=Statements(counted_since=SINCE, evictions=0, by_text=new))

    assert red(compare(before, after)) == found


@pytest.mark.parametrize(("calls", "found"), [(1001, {"statement_calls": Severity.P2}), (1000, {}), (100, {})])
def test_a_statement_that_is_suddenly_called_ten_times_as_often_is_found(
    calls: int, found: dict[str, Severity]
) -> None:
    """A hundred calls a minute for an hour, then more than a thousand in a minute."""
    old, new = Statement(calls=6000, total=60.0), Statement(calls=6000 + calls, total=60.0 + calls / 100)
    before = replace(made_up(), statements=Statements(counted_since=SINCE, evictions=0, by_text={"SELECT $1": old}))
    after = replace(made_up(60.0), statements=Statements(counted_since=SINCE, evictions=0, by_text={"SELECT $1": new}))

    assert red(compare(before, after)) == found


def test_a_large_table_that_grows_by_a_quarter_is_told() -> None:
    """A small table may double."""
    before, after = made_up(), made_up(60.0)
    before.sizes = {"events": 300 * MEGABYTE, "coupons": MEGABYTE}
    after.sizes = {"events": 376 * MEGABYTE, "coupons": 60 * MEGABYTE, "new": 900 * MEGABYTE}

    (found,) = [finding for finding in compare(before, after).findings if finding.severity]
    assert (found.name, found.detail, found.severity) == ("table_growth", "events", Severity.P2)


def test_a_name_of_the_database_begins_no_line_of_the_report() -> None:
    """A table may be called like a line of this report, or like a command of GitHub's runner."""
    after = made_up(60.0)
    after.unusable_indexes = ['"x\n::error::y\nok  deadlocks: 0"']

    assert [line for line in compare(made_up(), after).lines() if "\n" in line] == []


@pytest.mark.parametrize(
    ("change", "void", "reason"),
    [
        ({"server_started": "now"}, {"counters", "statements"}, "the server was restarted in between"),
        ({"standby": True}, {"counters", "statements"}, "one snapshot is of a standby"),
        ({"database": "2"}, {"objects", "counters", "statements"}, "the snapshots are of two databases"),
        ({"system": "2"}, {"objects", "counters", "statements"}, "the snapshots are of two databases"),
    ],
)
def test_another_server_is_not_compared(change: dict[str, object], void: set[str], reason: str) -> None:
    """After a failover another machine counts, and databases of two projects often have the same number."""
    after = made_up(60.0, deadlocks=9)
    after.identity = replace(after.identity, **change)
    comparison = compare(made_up(), after)

    assert comparison.unmeasured == dict.fromkeys(void, reason)
    assert red(comparison) == {}


def test_evicted_statements_and_swapped_snapshots_are_not_compared() -> None:
    """An entry that was dropped and added again starts at zero."""
    after = replace(made_up(60.0), statements=Statements(counted_since=SINCE, evictions=3, by_text={}))

    assert compare(made_up(), after).unmeasured["statements"] == (
        "pg_stat_statements dropped entries in between; raise pg_stat_statements.max"
    )
    assert "not the later one" in compare(made_up(60.0), made_up()).unmeasured["counters"]


def test_without_traffic_nothing_is_said_of_statements() -> None:
    """Without traffic the speed of queries cannot be judged."""
    assert compare(made_up(), made_up(60.0)).unmeasured["statement_slowdown"] == (
        "no statement was called 20 times both before and since"
    )


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        (["20240911081500", "20250120090000"], ""),
        (["20240911081500"], "not applied: 20250120090000"),
        (["20240911081500", "20250120090000", "hotfix"], "not in the repository: hotfix"),
    ],
)
def test_migrations_are_the_repositorys(recorded: list[str], said: str) -> None:
    """After a release both are equal."""
    found = compare_migrations(recorded, ["20240911081500", "20250120090000"])

    assert (found.detail, found.severity) == (said, Severity.P1 if said else None)


def test_a_torn_snapshot_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "before.json").write_text('{"schema": "7p-verify/snapshot/1", "taken_at"')
    with pytest.raises(SnapshotError, match=r"snapshot before\.json: "):
        Snapshot.read(tmp_path / "before.json")
