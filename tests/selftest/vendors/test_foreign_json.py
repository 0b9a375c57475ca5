"""A vendor may send anything: its client returns a result or 'not measured', and raises nothing else."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.checks.answers import Answer
from fixtures.checks.evidence import NotMeasured
from fixtures.run.bounded_http import BoundedTransport
from fixtures.target import json_api
from fixtures.target.targets_file import GithubAccess, SupabaseAccess, VercelAccess
from fixtures.target.vercel import Vercel, VercelError
from fixtures.vendors import api as vendor_api
from fixtures.vendors import environment
from fixtures.vendors.commit_status import CommitStatus
from fixtures.vendors.commit_status import ask as ask_github
from fixtures.vendors.environment_sources import Environment, of_file, of_vercel
from fixtures.vendors.stripe_settings import balance_of, endpoints_of, mixed_modes, wrong_endpoints
from fixtures.vendors.supabase import backups_of

CANARY = "t"

BACKUPS = {
    "pitr_enabled": True,
    "backups": [
        {"id": 1, "status": "COMPLETED", "inserted_at": "2026-03-01T08:00:00.000Z", "is_physical_backup": True}
    ],
    "physical_backup_data": {
        "earliest_physical_backup_date_unix": 1772000000,
        "latest_physical_backup_date_unix": 1772300000,
    },
}
ROW = {
    "uid": "dpl_1",
    "url": "x.vercel.app",
    "state": "READY",
    "readyState": "READY",
    "readySubstate": "PROMOTED",
    "created": 1772000000000,
    "target": "production",
    "isRollbackCandidate": True,
    "meta": {"githubCommitSha": "0123456789", "githubCommitRef": "main"},
    "alias": ["7p.test"],
}
PROJECT = {
    "id": "prj_1",
    "name": "7p",
    "autoAssignCustomDomains": True,
    "lastAliasRequest": {
        "fromDeploymentId": "dpl_2",
        "toDeploymentId": "dpl_1",
        "jobStatus": "succeeded",
        "requestedAt": 1772000000000,
        "type": "rollback",
    },
}
STATUSES = {"statuses": [{"context": "test", "state": "success"}], "check_runs": [{"name": "sast", "status": "queued"}]}
VARIABLES = {
    "envs": [{"id": "1", "key": "NEXTAUTH_URL", "type": "plain", "value": "https://x", "target": ["production"]}],
    "value": "https://y",
}
ENDPOINTS = {
    "livemode": True,
    "data": [{"url": "https://x", "status": "enabled", "enabled_events": ["*"], "livemode": True}],
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.lists(st.integers() | st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
    st.sampled_from(
        ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "https://[", "canceled", "\x1b[31m", "\u202e"]
    ),
)


def mutated(value: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401  (JSON)
    """Return values of this shape in which any part may be missing or different."""
    shaped: st.SearchStrategy[Any]
    match value:
        case dict():
            shaped = st.fixed_dictionaries(
                {}, optional={name: mutated(part) for name, part in value.items()} | {"x": ODD}
            )
        case list():
            shaped = st.lists(mutated(value[0]), max_size=3)
        case _:
            shaped = st.just(value)
    return st.one_of(shaped, shaped, shaped, shaped, ODD)


def bodies(sample: object) -> st.SearchStrategy[bytes]:
    """Return bodies of that shape, torn ones, and bodies that are not JSON."""
    whole = st.one_of(st.just(sample), mutated(sample)).map(lambda value: json.dumps(value).encode())
    torn = st.tuples(whole, st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]])
    return (
        whole
        | whole
        | whole
        | torn
        | st.binary(max_size=30)
        | st.sampled_from(
            [
                b"<!doctype html><h1>502</h1>",
                b"[" * 50_000,
                b'{"a":' * 50_000,
                b"1" * 5000,
                b"1e999",
                b'"\\ud800"',
                b"NaN",
            ]
        )
    )


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "date": st.sampled_from(["Sun, 01 Mar 2026 12:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "x"])
        | st.text(max_size=9),
        "link": st.sampled_from(
            ['<https://evil.test/>; rel="next"', '<https://[>; rel="next"', '<?page=2>; rel="next"', "<", ";"]
        ),
        "retry-after": st.sampled_from(["9" * 500, "-1", "٣", "Wed, 21 Oct 2015 07:28:00 GMT", "0"]),
        "content-type": st.sampled_from(["text/html; charset=undefined", "text/html; charset=hex", "application/json"]),
        "content-encoding": st.sampled_from(["identity", "gzip", "x"]),
    },
)
STATUS = st.sampled_from([200, 200, 200, 200, 204, 301, 400, 401, 404, 429, 500, 599])


def backups() -> None:
    """Read the backups as the checks do."""
    found = backups_of(SupabaseAccess(api="https://api.test", project="ref", token=CANARY), sleep=lambda _: None)
    found.newest_within(24)
    found.widest_gap(24)
    found.failed()


def commit() -> None:
    """Read a commit's results."""
    status = ask_github(
        GithubAccess(api="https://api.test", repository="o/r", required=("test*",), token=CANARY), "abc"
    )
    assert isinstance(status, CommitStatus)
    assert isinstance([status.failed, status.unknown, status.lines()], list)


def variables() -> None:
    """Read and judge the variables of the project."""
    judged(of_vercel(VercelAccess(api="https://api.test", project="prj", token=CANARY)))


def judged(found: Environment) -> None:
    """Judge variables with every function."""
    for judge in (environment.malformed, environment.missing, environment.wrong_flags):
        assert isinstance(judge(found), list)
    assert isinstance(environment.elsewhere(found, "https://x"), list)
    assert isinstance(environment.mistaken_keys(found, live=True), list)
    assert isinstance(found.lines(), list)


@pytest.mark.parametrize(
    ("sample", "read"),
    [(BACKUPS, backups), (STATUSES, commit), (VARIABLES, variables)],
    ids=["supabase", "github", "env"],
)
def test_a_service_is_read_or_not_measured(
    sample: object, read: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate goes on without the service and says why."""
    monkeypatch.setattr(vendor_api, "_DEADLINE", 0)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bodies(sample), HEADERS, STATUS)
    def fuzz(body: bytes, headers: dict[str, str], status: int) -> None:
        def respond(_: httpx.Request) -> httpx.Response:
            named = [(name.encode(), value.encode()) for name, value in headers.items()]
            return httpx.Response(status, headers=named, stream=httpx.ByteStream(body))

        monkeypatch.setattr(vendor_api, "_OnlyGet", lambda: httpx.MockTransport(respond))
        with suppress(NotMeasured):
            read()

    fuzz()


@settings(max_examples=300, deadline=None)
@given(bodies(PROJECT), bodies({"deployments": [ROW]}), bodies(ROW), HEADERS, STATUS)
def test_vercel_is_read_or_refused_in_one_way(
    project: bytes, rows: bytes, row: bytes, headers: dict[str, str], status: int
) -> None:
    """The gate catches this error where it decides about a rollback."""
    answers = {"/v9/projects/7p": project, "/v6/deployments": rows}

    def respond(request: httpx.Request) -> httpx.Response:
        body = answers.get(request.url.path, row)
        named = [(name.encode(), value.encode()) for name, value in headers.items()]
        return httpx.Response(status, headers=named, stream=httpx.ByteStream(body))

    access = VercelAccess(api="https://api.test", project="7p", token=CANARY)
    with Vercel(access, deadline=0, transport=httpx.MockTransport(respond), sleep=lambda _: None) as vercel:
        for read in (
            vercel.project,
            vercel.deployments,
            lambda: vercel.deployment("dpl_1"),
            lambda: vercel.production_id("x"),
        ):
            with suppress(VercelError):
                read()
        with suppress(VercelError):
            found = vercel.deployment("dpl_1")
            assert httpx.URL(f"https://{found.url}/").host
            assert time.gmtime(found.created / 1000)


@settings(max_examples=150, deadline=None)
@given(bodies(ENDPOINTS))
def test_stripe_is_read_or_not_measured(body: bytes) -> None:
    """An odd answer of Stripe is no failure of the platform."""
    answer = Answer("GET", "https://api.stripe.test/v1", 200, content=body)
    with suppress(NotMeasured):
        assert isinstance(mixed_modes("rk_live_x", balance_of(answer), "pk_live_x", live=True), list)
    with suppress(NotMeasured):
        assert isinstance(wrong_endpoints(endpoints_of(answer), "https://7p.test", ("a",), live=True), list)


KEYS = st.sampled_from(
    ["NEXTAUTH_URL", "NEXT_PUBLIC_SUPABASE_URL", "SUPABASE_SERVICE_KEY", "NEXTAUTH_SECRET", "DEBUG_MODE"]
)
VALUES = st.text(max_size=30) | st.sampled_from(
    ["https://[", "a.\u00e9.b", "a." + "W1" * 9 + ".b", "\ud800", "http://x:y/", "//\u2100"]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, VALUES | st.none()))
def test_variables_of_any_value_are_judged(values: dict[str, str | None]) -> None:
    """A value that is no address or no key is named as wrong."""
    judged(Environment("fuzz", values))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text("A=\"'`#\\ \n\r\x00é", max_size=60).map(str.encode))
def test_a_dotenv_file_is_read_or_named(content: bytes, tmp_path: Path) -> None:
    """A binary file is named too."""
    file = tmp_path / "x.env"
    file.write_bytes(content)

    with suppress(NotMeasured):
        judged(of_file(file))


@pytest.mark.parametrize(
    "line", ["A=" + " " * 400_000 + "x", "x" + " " * 400_000 + "y", 'A="\n' * 100_000, "A=1\n" * 200_000]
)
def test_a_dotenv_file_costs_time_in_proportion(line: str, tmp_path: Path) -> None:
    """A regular expression that backtracks would need hours for one long line."""
    file = tmp_path / "x.env"
    file.write_text(line)
    began = time.process_time()
    with suppress(NotMeasured):
        of_file(file)

    assert time.process_time() - began < 5


def test_a_dotenv_file_has_a_size(tmp_path: Path) -> None:
    """Somebody may name an image by mistake."""
    file = tmp_path / "x.env"
    file.write_bytes(b"A=1\n" * 300_000)

    with pytest.raises(NotMeasured, match="more than 1 MB"):
        of_file(file)


@pytest.fixture
def endless() -> Iterator[tuple[str, list[bytes]]]:
    """Serve one client: send the first part once, then the second part again and again."""
    parts: list[bytes] = []
    stop = threading.Event()

    def serve() -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            client.recv(65536)
            client.sendall(parts[0])
            while not stop.wait(0.05 if len(parts[1]) < 9 else 0):
                client.sendall(parts[1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", parts
        stop.set()
        thread.join(5)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nx: ", b"x", "too long altogether|timed out"),
        (HEAD + b"content-length: 9999999\r\n\r\n", b" ", "too long altogether|timed out"),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n", "more than 5 MB, cut"),
    ],
    ids=["headers drip", "a body drips", "a body without end"],
)
def test_an_answer_without_end_is_left(endless: tuple[str, list[bytes]], first: bytes, then: bytes, said: str) -> None:
    """The timeouts of httpx never end an answer of one byte per second."""
    url, parts = endless
    parts += [first, then]
    deadline = 0.5 if "too long" in said else 20
    with httpx.Client(transport=BoundedTransport(strict=True)) as client, pytest.raises(httpx.HTTPError, match=said):
        json_api.ask(client, "GET", url, deadline=deadline, repeat=lambda _: False, sleep=lambda _: None)
