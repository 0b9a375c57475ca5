"""A release that takes guards, room or rows away is found; one that gives is not."""

from __future__ import annotations

import msgspec
import pytest

from fixtures.database.schema_change import columns_narrowed, guards_gone, migrated, rows_gone
from fixtures.database.snapshot import Column, Identity, Snapshot

BEFORE = Snapshot(
    taken_at=0,
    identity=Identity("1", "2", None, "then", standby=False, allowed=97),
    counters={},
    sizes={},
    unusable_indexes=[],
    unguarded_tables=[],
    guards=[("public.courses", "UNIQUE (slug)"), ("public.courses", "DEFAULT of id")],
    columns=[Column("public.courses", "slug", "text", demanded=True)],
    migrations=["1"],
)


@pytest.mark.parametrize(
    ("was", "now", "narrower"),
    [
        ("bigint", "integer", True),
        ("integer", "bigint", False),
        ("text", "character varying(40)", True),
        ("text", "character varying(320)", False),
        ("character varying(100)", "character varying(60)", True),
        ("character varying(100)", "text", False),
        ("numeric(10,2)", "numeric(6,2)", True),
        ("numeric(10,2)", "numeric(10,0)", True),
        ("numeric(10,2)", "numeric(12,2)", False),
        ("numeric(10,2)", "integer", True),
        ("timestamp with time zone", "date", True),
        ("json", "jsonb", False),
    ],
)
def test_a_type_is_narrower_when_it_takes_fewer_values(was: str, now: str, *, narrower: bool) -> None:
    """Each row of today may fit, and the next does not."""
    before, after = (
        msgspec.structs.replace(BEFORE, columns=[Column("public.t", "c", kind, demanded=False)]) for kind in (was, now)
    )

    assert bool(columns_narrowed(before, after)) is narrower


def test_a_guard_that_is_gone_and_a_demand_that_is_new_are_named() -> None:
    """A dropped table is judged elsewhere; what is added to it guards more."""
    columns = [*BEFORE.columns, Column("public.courses", "owner", "uuid", demanded=True)]
    after = msgspec.structs.replace(BEFORE, guards=BEFORE.guards[1:], columns=columns)

    assert guards_gone(BEFORE, after) == [
        "public.courses: UNIQUE (slug)",
        "public.courses: every insert must name the new column owner",
    ]
    assert guards_gone(BEFORE, msgspec.structs.replace(BEFORE, guards=[], columns=[])) == []
    valid = ("public.courses", "CHECK (true)")
    unsure = msgspec.structs.replace(BEFORE, guards=[(valid[0], valid[1] + " NOT VALID")])
    assert guards_gone(unsure, msgspec.structs.replace(unsure, guards=[valid])) == []
    text, varying = (
        msgspec.structs.replace(BEFORE, guards=[("public.courses", f"UNIQUE btree (lower({of}))")])
        for of in ("email", "(email)::text")
    )
    assert guards_gone(text, varying) == []
    assert not migrated(BEFORE, after)
    assert migrated(BEFORE, msgspec.structs.replace(after, migrations=["1", "2"]))


def test_rows_that_are_gone_are_counted_where_there_were_some() -> None:
    """A fifth of the rows is more than anybody deletes by hand; a table that is gone is judged elsewhere."""
    assert rows_gone({"courses": 100, "users": 4}, {"courses": 79, "users": 0}) == ["courses: 100 rows, now 79"]
    assert rows_gone({"courses": 100, "users": 100}, {"courses": 80}) == []
