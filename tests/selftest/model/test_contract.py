"""The table contract.toml: what it accepts, and how a JSON body is compared with its keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.model.contract import contract, problems_of
from fixtures.model.routes import routes
from fixtures.model.toml_tables import UsageError

BODY = {
    "data": {"courses": [{"id": "1cb0d0b6-fc3d-4a45-85c2-fcf46d70ed88", "price": 10, "category": None}], "on": True}
}


def test_every_route_is_asked() -> None:
    """A route that the doctor does not ask may drift for a year; assets and pages of one name have no default."""
    asked = {name for name, _ in contract().answers} | {name for name, _ in contract().shows}

    assert sorted(routes().keys() - asked) == ["GET /_next/static/{build}/{name}", "GET /images/{name}"]


def test_every_page_is_opened() -> None:
    """The server's HTML of most pages says nothing: a browser renders them."""
    pages = {name for name in routes() if name.startswith("GET /") and "/api/" not in name and "." not in name}
    opened = {name for name, _ in contract().shows}

    assert sorted(pages - opened) == ["GET /_next/static/{build}/{name}", "GET /images/{name}"]


def test_a_route_is_asked_with_the_query_without_which_it_refuses_everybody() -> None:
    """Such a refusal says nothing about its guard."""
    asked = [one.ask for name, one in contract().answers if name == "GET /api/progress/update"]

    assert asked == [f"/api/progress/update?{routes()['GET /api/progress/update'].query}"]


def test_nothing_is_asked_that_may_change_something() -> None:
    """Owners run the doctor on production."""
    methods = {one.ask.split()[0] for _, one in contract().answers if " " in one.ask}
    plain = {name.split()[0] for name, one in contract().answers if not one.ask}

    assert methods | plain <= {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("data.courses[].id:uuid", []),
        ("data.courses[].price:number", []),
        ("data.courses[].category?.name:text", []),
        ("data.courses[].tutor?.name:text", []),
        ("total|data:object", []),
        ("data.on:bool", []),
        ("data.on:number", ["data.on is a bool, not number"]),
        ("data.courses[].price:text", ["data.courses[].price is a number, not text"]),
        ("data.courses[].category.name:text", ["data.courses[].category.name is missing"]),
        ("data.courses[].title", ["data.courses[].title is missing"]),
        ("data.courses:object", ["data.courses is a list, not object"]),
        ("data[].id", ["data[].id is missing"]),
        ("message|error:text", ["message|error is missing"]),
    ],
)
def test_a_key_of_the_contract(key: str, problem: list[str]) -> None:
    """Owners read the problem as it is; a key that may be null has none."""
    assert problems_of(BODY, (key,), ()) == problem


@pytest.mark.parametrize("body", [None, [], "text", 5, {}])
def test_any_other_body_lacks_the_keys(body: object) -> None:
    """A target may answer anything."""
    assert problems_of(body, ("data.id:uuid",), ("data",)) == ["data is missing"]


def test_a_key_that_must_not_be_there() -> None:
    """It may be anywhere: the private record of a user was inside a course once."""
    assert problems_of(BODY, (), ("price", "password_hash")) == ["price is shown"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('["GET /nowhere"]\n', 'contract.toml: ["GET /nowhere"]: no such route in routes.toml'),
        ('["GET /login"]\nanswers = [{ ask = "POST /login" }]\n', "ask = 'POST /login' may change something"),
        ('["GET /login"]\nanswers = [{ state = 200 }]\n', "`state`"),
        (
            '["GET /api/diag"]\nanswers = [{ keys = ["ok:boolean"] }]\n',
            "keys: 'ok:boolean': no such type; use one of text",
        ),
        ('["GET /login"]\nshows = [{ visitor = "nobody" }]\n', "nobody"),
    ],
)
def test_a_mistake_in_the_table_is_one_line(tmp_path: Path, table: str, says: str) -> None:
    """It names the file and the entry."""
    file = tmp_path / "contract.toml"
    file.write_text(table)
    with pytest.raises(UsageError) as refused:
        contract(file)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
