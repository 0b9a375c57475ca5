"""A copy of the platform's database that one mutant has changed, and the questions that its users would ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import psycopg
from psycopg import sql

from fixtures.sandbox.app.call import Platform
from fixtures.sandbox.app.database import Database
from fixtures.sandbox.database.pooler import Pooler
from fixtures.sandbox.database.postgres import Postgres
from fixtures.sandbox.mutants.mutant import Mutant
from fixtures.sandbox.sandbox import _AS_IN_PRODUCTION, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPERUSER = "postgres"
Verdict = TypeVar("Verdict")
# Tables of the catalogue that every database shares.
_OF_THE_SERVER = ("pg_authid", "pg_auth_members", "pg_db_role_setting")
_HEAL = """
    UPDATE pg_authid a SET rolsuper = k.rolsuper, rolbypassrls = k.rolbypassrls, rolcanlogin = k.rolcanlogin,
           rolconnlimit = k.rolconnlimit, rolpassword = k.rolpassword, rolvaliduntil = k.rolvaliduntil
      FROM kept_pg_authid k WHERE k.oid = a.oid AND k IS DISTINCT FROM a;
    DELETE FROM pg_auth_members m WHERE NOT EXISTS (SELECT FROM kept_pg_auth_members k WHERE k = m);
    INSERT INTO pg_auth_members TABLE kept_pg_auth_members EXCEPT TABLE pg_auth_members;
    DELETE FROM pg_db_role_setting;
    INSERT INTO pg_db_role_setting TABLE kept_pg_db_role_setting;
    SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active
"""


@dataclass
class Mutated:
    """
    One copy. server: the one that holds it.  database: its name there.

    student: an id with rows in every personal table.  stranger: another student's id.
    """

    server: Postgres
    database: str
    sandbox: Sandbox
    student: str = ""
    stranger: str = ""

    @property
    def superuser_dsn(self) -> str:
        """DSN of the superuser, as the rules ask for it."""
        return self.dsn(SUPERUSER)

    def dsn(self, role: str) -> str:
        """DSN of a role, as the rules ask for it."""
        return self.server.dsn(role, database=self.database)

    def rows(self, statement: str, role: str = SUPERUSER, *, settings: str = "") -> list[tuple[Any, ...]]:
        """Run statements on a connection of their own; return the rows of the last one."""
        with psycopg.connect(self.dsn(role), autocommit=True, options=settings) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def holds(self, question: str, role: str = SUPERUSER) -> bool:
        """Whether the answer to a question is true."""
        return bool(self.rows(f"SELECT {question}", role)[0][0])

    def refuses(self, statement: str, role: str, *, settings: str = "-c lock_timeout=150ms") -> bool:
        """Whether a role is not let in, or its statement fails."""
        try:
            self.rows(statement, role, settings=settings)
        except psycopg.Error:
            return True
        return False

    @contextmanager
    def asking(self, role: str) -> Iterator[Callable[[str], tuple[int, list[Any]]]]:
        """Ask as the browser's role would, for the student; each statement is undone; its errors are raised."""
        who = {"role": role} | ({"sub": self.student} if role == "authenticated" else {})
        claims = json.dumps(who | {"user_metadata": {"id": self.stranger}})
        with psycopg.connect(self.superuser_dsn, autocommit=True) as connection:
            connection.execute("SELECT set_config('request.jwt.claims', %s, false)", [claims])
            connection.execute("SELECT set_config('request.headers', '{}', false)")
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))

            def ask(statement: str) -> tuple[int, list[Any]]:
                with connection.transaction(force_rollback=True):
                    cursor = connection.execute(statement.encode())
                    return cursor.rowcount, cursor.fetchall() if cursor.description else []

            yield ask


class Laboratory:
    """
    One server, and a copy of its database for each mutant.

    Roles, memberships and settings belong to the whole server: what a mutant changed there is put back.
    """

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.keeper = psycopg.connect(postgres.superuser_dsn, autocommit=True)
        for table in _OF_THE_SERVER:
            self.keeper.execute(f"CREATE TEMPORARY TABLE kept_{table} AS TABLE {table}")
        self.number = 0
        self.people = ("", "")

    async def judge(self, mutant: Mutant | None, question: Callable[[Mutated], Verdict]) -> Verdict:
        """Change a copy of the database by the mutant, and return what `question` finds in it."""
        self.number += 1
        name = f"copy_{self.number}"
        # Without a write-ahead log for every page of the copy; before 15 there is no other way.
        how = "STRATEGY file_copy" if self.keeper.info.server_version >= 150_000 else ""
        self.keeper.execute(f"CREATE DATABASE {name} TEMPLATE platform {how}")
        sandbox = Sandbox()
        copy = Mutated(self.postgres, name, sandbox)
        self.people = copy.student, copy.stranger = self.people if all(self.people) else _people(copy)
        sandbox.postgres = cast("Postgres", _Copy(copy, self.postgres))
        sandbox.platform = Platform(Database(copy.dsn("platform_app"), wait_seconds=0.4), "")
        sandbox.pooler = Pooler("127.0.0.1", self.postgres.port)
        await sandbox.pooler.open()
        sandbox.ends.push_async_callback(sandbox.pooler.close)
        sandbox.ends.push_async_callback(sandbox.platform.database.close)
        try:
            if mutant is not None:
                assert mutant.sandbox is not None
                await mutant.sandbox(sandbox)
            return await asyncio.to_thread(question, copy)
        finally:
            await sandbox.stop()
            self._heal(name)

    def _heal(self, name: str) -> None:
        if self.keeper.execute("SELECT FROM pg_prepared_xacts").rowcount:
            with psycopg.connect(self.postgres.dsn(SUPERUSER, database=name), autocommit=True) as connection:
                connection.execute("ROLLBACK PREPARED 'forgotten'")
        self.keeper.execute(f"DROP DATABASE {name} WITH (FORCE)")
        self.keeper.execute("ALTER SYSTEM RESET ALL")
        self.keeper.execute("SELECT pg_reload_conf()")
        self.keeper.execute(_HEAL)

    def close(self) -> None:
        """Let the keeper's connection go."""
        self.keeper.close()


@dataclass
class _Copy:
    """Has of one database what the rules ask of a server."""

    copy: Mutated
    postgres: Postgres

    @property
    def superuser_dsn(self) -> str:
        return self.copy.superuser_dsn

    @property
    def server(self) -> object:
        return self.postgres.server

    def dsn(self, role: str) -> str:
        return self.copy.dsn(role)


def _people(copy: Mutated) -> tuple[str, str]:
    """Return two students with rows in every personal table."""
    student, stranger = copy.rows(
        """
        SELECT u.id::text FROM public.users u
         WHERE EXISTS (SELECT FROM public.payment_transactions WHERE user_id = u.id AND status = 'completed')
           AND EXISTS (SELECT FROM public.lesson_progress WHERE user_id = u.id)
           AND EXISTS (SELECT FROM public.review_helpfulness WHERE user_id = u.id) ORDER BY email LIMIT 2
        """
    )
    return str(student[0]), str(stranger[0])


def start_server(directory: Path, archive: str = "off") -> Postgres:
    """Start a server with the sandbox's settings, but without what takes time: its disk, and its archive."""
    return Postgres.start(directory, settings={**_AS_IN_PRODUCTION, "fsync": "off", "archive_mode": archive})
