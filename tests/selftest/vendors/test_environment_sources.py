"""A deployment's variables are read from three places, and no value is shown."""

# ruff: noqa: S106  (nobody's secrets)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.checks.evidence import NotMeasured
from fixtures.model.toml_tables import UsageError
from fixtures.target.target import ENVIRONMENT_VARIABLE, load
from fixtures.target.targets_file import VercelAccess
from fixtures.vendors import api as vendor_api
from fixtures.vendors import environment_sources as sources
from tests.selftest.conftest import Stub
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge
from tests.selftest.vendors.environments import HEALTHY, URL, having, problems


def test_a_dotenv_file_is_read_as_the_platform_reads_it(tmp_path: Path) -> None:
    """Quotes, comments and `export` are not part of a value."""
    file = tmp_path / ".env"
    file.write_text("A=1\nexport B='two words' # why\nC=\"x#y\"\nD=plain # comment\n# E=no\n\nF= # none\nG='a\nb'\n")

    found = sources.of_file(file)

    assert found.values == {"A": "1", "B": "two words", "C": "x#y", "D": "plain", "F": "", "G": "a\nb"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('A="{\\"a\\": 1}"', '{\\"a\\": 1}'),
        ("A='C:\\'", "C:\\"),
        ('A="x"y', '"x"y'),
        ("A=`'\"`", "'\""),
        ("\ufeffA=1", "1"),
        ("  export A = 1  ", "1"),
        ('A="1', '"1'),
    ],
)
def test_quotes_end_where_they_end_for_the_platform(line: str, value: str, tmp_path: Path) -> None:
    """Next.js uses the package `dotenv`; these are its rules."""
    file = tmp_path / ".env"
    file.write_text(f'{line}\nB="2"\n', encoding="utf-8")

    assert sources.of_file(file).values == {"A": value, "B": "2"}


def test_a_line_that_says_nothing_is_named_and_not_shown(tmp_path: Path) -> None:
    """The line may be the second half of a secret, so only its number is shown."""
    file = tmp_path / "my.env"
    file.write_text("A=1\nNEXTAUTH_SECRET\n\nB='x\ny'\nhunter2 secret\n")

    with pytest.raises(NotMeasured) as caught:
        sources.of_file(file)
    assert str(caught.value) == f"{file}, lines 2, 6: not NAME=value; correct it, or make it a comment with #"


def test_a_name_that_stands_twice_is_remembered(tmp_path: Path) -> None:
    """The last value counts for the platform too, so a change of the first one has no effect."""
    file = tmp_path / "my.env"
    file.write_text("A=1\nB=2\nA=3\n")

    found = sources.of_file(file)

    assert (found.values, found.repeated) == ({"A": "3", "B": "2"}, {"A": [1, 3]})


def test_only_the_platforms_variables_are_taken_from_the_process() -> None:
    """The runner's tokens are not the platform's."""
    found = sources.of_process({"NEXTAUTH_URL": URL, "PATH": "/bin", "VERCEL_TOKEN": "x", "STRIPE_SECRET_KEY": "y"})

    assert found.values == {"NEXTAUTH_URL": URL, "STRIPE_SECRET_KEY": "y"}


def test_values_are_in_no_repr_and_in_no_line() -> None:
    """Reports may be public; they have names and fingerprints only."""
    environment = having(EMPTY="", HIDDEN=None)
    shown = repr(environment) + "\n".join(environment.lines())

    assert [value for value in HEALTHY.values() if value and len(value) > 6 and value in shown] == []
    assert "NEXTAUTH_SECRET  sha256:" in shown
    assert sources.fingerprint("one") != sources.fingerprint("two")
    assert {"EMPTY  (empty)", "HIDDEN  (set, not readable)"} <= set(environment.lines())


@pytest.fixture(scope="module")
def running() -> Iterator[RunningEdge]:
    """Start an edge with its API."""
    with run_edge() as running:
        yield running


def test_vercels_list_is_read_with_everything_but_what_it_keeps_to_itself(running: RunningEdge) -> None:
    """Encrypted values are read one by one; sensitive ones count as set."""
    deployment = running.publish(promote=True)
    deployment.build.environment.update({name: value or "" for name, value in HEALTHY.items()})
    access = VercelAccess(api=running.api.url, project=running.edge.project.id, token=running.edge.token)

    found = sources.of_vercel(access)

    assert found.values == HEALTHY | {"STRIPE_WEBHOOK_SECRET": None}
    assert problems(found) == []


def test_the_list_itself_shows_no_value(running: RunningEdge) -> None:
    """On Vercel only the call for one variable decrypts it."""
    deployment = running.publish(promote=True)
    deployment.build.environment.update({name: value or "" for name, value in HEALTHY.items()})

    shown = running.call("GET", f"/v9/projects/{running.edge.project.id}/env").text

    assert [value for value in HEALTHY.values() if value and len(value) > 10 and value in shown] == []
    assert running.call("GET", f"/v1/projects/{running.edge.project.id}/env/unknown").status_code == 404


def test_variables_of_other_environments_are_left_out(stub: Stub) -> None:
    """NEXTAUTH_URL of a preview is not production's."""
    row = '{"id":"%s","key":"%s","type":"plain","value":"%s","target":%s}'
    rows = [
        row % ("1", "A", "x", '["production"]'),
        row % ("2", "B", "y", '["preview"]'),
        row % ("3", "C", "z", '"production"'),
    ]
    stub.json("GET /v9/projects/prj/env", f'{{"envs":[{",".join(rows)}]}}')

    found = sources.of_vercel(VercelAccess(api=stub.url, project="prj", token="t", team="team_1"))

    assert found.values == {"A": "x", "C": "z"}
    assert stub.seen[0][0] == "GET /v9/projects/prj/env?teamId=team_1"


def test_a_branchs_own_variable_wins_over_the_one_for_all_previews(stub: Stub) -> None:
    """A preview of one branch must not be judged by the database of another."""
    row = '{"id":"%s","key":"%s","type":"plain","value":"%s","target":["preview"],"gitBranch":%s}'
    rows = [
        row % ("1", "A", "own", '"dev"'),
        row % ("2", "A", "all", "null"),
        row % ("3", "B", "other", '"feature"'),
        row % ("4", "C", "all", "null"),
    ]
    stub.json("GET /v9/projects/prj/env", f'{{"envs":[{",".join(rows)}]}}')

    found = sources.of_vercel(VercelAccess(api=stub.url, project="prj", token="t"), "preview", "dev")

    assert found.values == {"A": "own", "C": "all"}
    assert found.source == "Vercel (preview)"


@pytest.mark.parametrize(("status", "body"), [(403, "{}"), (500, "oops"), (200, "<html>"), (200, '{"envs":1}')])
def test_what_cannot_be_read_is_said_and_not_guessed(
    stub: Stub, status: int, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token without the right to read must not look like missing variables."""
    monkeypatch.setattr(vendor_api, "_DEADLINE", 0.3)
    stub.json("GET /v9/projects/prj/env", body, status)

    with pytest.raises(NotMeasured, match="GET /v9/projects/prj/env") as caught:
        sources.of_vercel(VercelAccess(api=stub.url, project="prj", token="secret-token"))

    assert "secret-token" not in str(caught.value)


def test_variables_are_known_where_something_tells_them(tmp_path: Path) -> None:
    """A target that is not on Vercel may name a file; a file that is missing is an error."""
    file = tmp_path / ".env"
    file.write_text("A=1")
    told = [{}, {ENVIRONMENT_VARIABLE: "process"}, {ENVIRONMENT_VARIABLE: str(file)}]

    known = ["environment" in load(URL, environ=environ).capabilities for environ in told]

    assert known == [False, True, True]
    with pytest.raises(UsageError, match=r"^SYNTHETIC_ENVIRONMENT=nowhere: no such file; give a dotenv file"):
        load(URL, environ={ENVIRONMENT_VARIABLE: "nowhere"})
