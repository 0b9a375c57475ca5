"""The prefetch sends each request once, and a live request gives the same answer."""

from __future__ import annotations

import gc
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fixtures.checks.declarations import FollowUp, parse
from fixtures.run.current_run import Run
from fixtures.site.prefetch import Prefetch
from fixtures.target.target import Target
from fixtures.target.targets_file import TARGETS_FILE_VARIABLE
from fixtures.target.variants import Variant
from tests.selftest.conftest import Stub, Suite

BOTH = pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["ahead", "live"])
THREE = """
@post
@P1
@asks("GET /later")
def test_later(answer):
    assert answer.status == HTTPStatus.OK

@post
@P0
@asks("GET /first")
@asks("POST /second", json={"a": 1})
def test_first(answers):
    first, second = answers
    assert first.url.endswith("/first")
    assert second.method == "POST"

@post
@P0
@asks("GET /first")
def test_shares(answer):
    assert answer.status == HTTPStatus.OK
"""


def _answer_all(stub: Stub) -> None:
    for route in ("GET /first", "POST /second", "GET /later"):
        stub.json(route, "{}")


def test_each_request_is_sent_once(suite: Suite, stub: Stub) -> None:
    """Three checks share three requests."""
    _answer_all(stub)
    suite.write(THREE)

    outcome = suite.run("-m", "postdeploy", "--target", stub.url)

    assert sorted(route for route, _ in stub.seen) == ["GET /first", "GET /later", "POST /second"]
    assert outcome.verdict.requests == len(stub.seen)
    assert outcome.code == pytest.ExitCode.OK


def test_p0_is_asked_first(suite: Suite, stub: Stub) -> None:
    """Forty other checks stand before it in the file; sixteen requests run at a time."""
    suite.write(
        """
for number in range(40):
    def check(answer):
        assert answer.code

    globals()[f"test_{number}"] = post(P2(asks(f"GET /{number}")(check)))

@post
@P0
@asks("GET /first")
def test_first(answer):
    assert answer.code
"""
    )

    suite.run("-m", "postdeploy", "--target", stub.url)

    asked = [route for route, _ in stub.seen]
    assert len(asked) == 41
    assert asked.index("GET /first") < 16


def test_one_test_alone_asks_its_own_only(suite: Suite, stub: Stub) -> None:
    """A person who repairs one check does not wait for the others."""
    _answer_all(stub)
    suite.write(THREE)

    suite.run("-m", "postdeploy", "-k", "test_later", "--target", stub.url)

    assert [route for route, _ in stub.seen] == ["GET /later"]


CHAIN = """
def its_parts(answers):
    return [f"GET /part/{name}" for name in answers[0].read(list[str])]

def their_end(answers):
    return ["GET /end"] if answers[-1].text == "{}" else []

@post
@P1
@asks("GET /whole")
@follow_up(its_parts, their_end)
def test_parts(answer, followed):
    assert [found.url.rpartition("/")[2] for found in followed] == ["a", "b", "end"]

@post
@P1
@asks("GET /whole")
@follow_up(its_parts)
def test_same_parts(followed):
    assert len(followed) == 2

@post
@P2
@asks("GET /end")
@follow_up(lambda answers: [answers[1].url])
def test_beyond(followed):
    raise AssertionError

@post
@P2
@asks("GET /torn")
@follow_up(its_parts)
def test_torn(answer, followed):
    assert followed == []
    answer.read(list[str])
"""


@BOTH
def test_what_an_answer_leads_to_is_asked_next(suite: Suite, stub: Stub, workers: list[str]) -> None:
    """Ahead or live, the same requests; where an answer leads nowhere the test says why, and no other is disturbed."""
    stub.json("GET /whole", '["a", "b"]')
    stub.json("GET /torn", "{")
    for path in ("/part/a", "/part/b", "/end"):
        stub.json(f"GET {path}", "{}")
    suite.write(CHAIN)

    outcome = suite.run("-m", "postdeploy", *workers, "--target", stub.url)

    red = {check.title: check.reason for check in outcome.verdict.checks if check.outcome != "passed"}
    assert sorted(red) == ["beyond", "torn"]
    assert "IndexError" in red["beyond"]
    assert "Expected `array`, got `object`" in red["torn"]
    # As a set: after the IndexError a bare probe asks the addresses of that check again.
    assert workers or sorted({route for route, _ in stub.seen}) == [
        "GET /end",
        "GET /part/a",
        "GET /part/b",
        "GET /torn",
        "GET /whole",
    ]


@BOTH
def test_a_session_that_cannot_be_had_is_not_measured(suite: Suite, stub: Stub, workers: list[str]) -> None:
    """The request is not sent without a session, and the answers to the sign-in are shown."""
    suite.write(
        """
@post
@P1
@asks("GET /api/enrollments", account="student")
def test_one(answer):
    assert answer.status == HTTPStatus.OK

@post
@P1
@asks("GET /api/enrollments", account="student")
def test_two(answer):
    assert answer.status == HTTPStatus.OK
"""
    )

    outcome = suite.run("-m", "postdeploy", *workers, "--target", stub.url)

    assert {check.outcome for check in outcome.verdict.checks} == {"not-measured"}
    assert {check.reason for check in outcome.verdict.checks} == {f"the target {stub.url} has no account student"}
    assert "GET /api/enrollments" not in [route for route, _ in stub.seen]


@BOTH
def test_an_address_in_a_query_is_part_of_the_path(suite: Suite, stub: Stub, workers: list[str]) -> None:
    """A link is absolute by its beginning."""
    stub.json("GET /login", "{}")
    suite.write(
        """
@post
@P1
@asks("GET /login?callbackUrl=https://elsewhere.invalid/")
def test_one(answer):
    assert answer.status == HTTPStatus.OK

@post
@P1
@asks("GET /login")
def test_two(answer):
    assert answer.status == HTTPStatus.OK
"""
    )

    outcome = suite.run("-m", "postdeploy", *workers, "--target", stub.url)

    assert outcome.code == pytest.ExitCode.OK
    assert "GET /login?callbackUrl=https://elsewhere.invalid/" in [route for route, _ in stub.seen]


def test_a_cookie_never_travels_to_another_check(suite: Suite, stub: Stub) -> None:
    """An anonymous request stays anonymous after any other check."""
    stub.json("GET /sets", "{}", set_cookie="session=secret; Path=/")
    stub.json("GET /next", "{}")
    suite.write(
        """
@post
@P1
@depends_on("GET /sets")
def test_one(site):
    assert site.ask("GET /sets").status == HTTPStatus.OK
    assert site.ask("GET /next").status == HTTPStatus.OK
"""
    )

    outcome = suite.run("-m", "postdeploy", "--target", stub.url)

    assert outcome.code == pytest.ExitCode.OK
    assert [headers.get("cookie") for _, headers in stub.seen] == [None, None]


def test_the_bypass_secret_reaches_the_target_and_not_where_its_redirects_lead(
    suite: Suite, stub: Stub, tmp_path: Path
) -> None:
    """A third party that a page leads to never sees the secret that opens every deployment."""
    other_student = stub.url.replace("127.0.0.1", "localhost")
    stub.answers["GET /away"] = (302, {"location": f"{other_student}/landing"}, b"")
    file = tmp_path / "their-targets.toml"
    file.write_text(f'[staging]\nurl = "{stub.url}"\nmode = "shadow"\nvariables = {{ bypass_secret = "A_BYPASS" }}\n')
    suite.write(
        f"""
@post
@P0
@asks("GET /away", "GET /")
def test_ahead(answers, site):
    led = site.follow(site.ask("GET /away"))
    link = site.ask("GET {other_student}/link")
    assert [answer.code for answer in (*answers, led, link)] == [302, 404, 302, 404]

@post
@P1
@asks("GET /away")
def test_other(answer):
    assert answer.code == 302
"""
    )

    ran = suite.run(
        "--target=staging", environment={TARGETS_FILE_VARIABLE: str(file), "A_BYPASS": "secret-of-the-bypass"}
    )

    assert ran.code == 0, ran.out + ran.err
    learned = {headers["host"] for _, headers in stub.seen if "secret-of-the-bypass" in str(headers)}
    assert learned == {stub.url.removeprefix("http://")}
    assert [route for route, headers in stub.seen if headers["host"].startswith("localhost")] == ["GET /link"]


def test_an_early_end_leaves_no_unhandled_error(own_run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """An answer with a follow-up arrives after the run has ended: nothing more is sent, and no error is printed."""
    asked, ended, seen = threading.Event(), threading.Event(), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            asked.set()
            ended.wait(10)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its parent's name)
            """Keep the terminal quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        chain = ([parse("GET /first")], [FollowUp(lambda _: ["GET /second"])])
        prefetch = Prefetch(
            Target(name="t", url=url, mode="shadow"), Variant(name="target", url=url), own_run, {"check": chain}, 0
        )
        asked.wait(10)
        closing = threading.Thread(target=prefetch.close)
        closing.start()
        while not prefetch.is_closed:
            pass
        ended.set()
        closing.join(10)
        server.shutdown()

    del prefetch
    gc.collect()
    assert seen == ["/first"]
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
