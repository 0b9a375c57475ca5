"""The recorded answers of a run are judged last, and findings of an earlier session are asked again."""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec
import pytest

from fixtures.checks.answers import Answer, Sent
from fixtures.inspection.inspected import Inspection, Looker, read
from fixtures.model.verdict import Outcome
from fixtures.target.sandbox_handle import Account
from fixtures.target.target import Target
from fixtures.target.variants import Variant, write_variants
from tests.selftest.conftest import Stub, Suite

LEAK = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
CHECKS = """
from fixtures.inspection.inspected import PERSONAL, SECRETS

@post
@pytest.mark.check(severity="P0", judges="function", runbook="application-health", last=True)
@depends_on("* /*")
def test_nothing_secret(inspected):
    assert inspected.offenders(SECRETS) == []

@post
@pytest.mark.check(severity="P2", judges="function", runbook="application-health", last=True)
@depends_on("* /*")
def test_nothing_personal(inspected):
    assert inspected.offenders(PERSONAL) == []

@post
@P1
@depends_on("POST /api/x")
def test_posts(site):
    assert site.ask("POST /api/x", json={"a": 1}, headers={"x-own": "1"}).status == HTTPStatus.BAD_REQUEST

@post
@P2
@depends_on("GET /api/y")
def test_reads(site):
    assert site.ask("GET /api/y", cookies={"session": "s"}).status == HTTPStatus.OK
"""


def _answer(stub: Stub, *, refused: str = "{}", read: str = "{}", status: int = 400) -> None:
    stub.json("POST /api/x", refused, status)
    stub.json("GET /api/y", read, cache_control="no-store")


def _variants(path: Path, *urls: str) -> str:
    write_variants(path, [Variant(name=f"side{number}", url=url) for number, url in enumerate(urls)])
    return f"--variants={path}"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_refused_post_is_judged_by_the_check_that_comes_last(suite: Suite, stub: Stub, workers: int) -> None:
    """It stands first in its module, and judges what the others got; with workers it waits for theirs."""
    _answer(stub, refused=f'{{"message": "{LEAK}"}}')
    suite.write(CHECKS)

    outcome = suite.run("-m", "postdeploy", "--target", stub.url, *([f"-n{workers}"] if workers else []))

    assert outcome.check("nothing_secret").outcome is Outcome.FAILED
    assert "POST /api/x: a Stripe secret key" in outcome.check("nothing_secret").reason
    assert outcome.check("nothing_personal").outcome is Outcome.PASSED
    assert LEAK not in outcome.out


JOURNEY = """
@post
@P1
@depends_on("GET /page", "GET /api/z", "POST /api/x")
def test_walks(page):
    page.goto("/page")
    page.wait_for_function("window.ended === 3")
"""
PAGE = b"""<!doctype html><meta charset="utf-8"><title>7P</title><script>
document.cookie = "session=s"; window.ended = 0
const end = answer => answer.text().then(() => window.ended++)
fetch("/api/z").then(end)
fetch("/_vercel/insights").then(end)
fetch("/api/x", {method: "POST", body: "{}"}).then(end)
</script>"""


def test_what_a_browser_got_is_judged_as_well(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """Pages ask for more than any check does; it is asked again as the page did, with its session."""
    stub.answers["GET /page"] = (200, {"content-type": "text/html; charset=utf-8"}, PAGE)
    stub.json("GET /api/z", f'{{"key": "{LEAK}"}}', cache_control="no-store")
    stub.json("GET /_vercel/insights", f'{{"key": "{LEAK}"}}')
    stub.json("POST /api/x", f'{{"message": "{LEAK}"}}', 400)
    suite.write(CHECKS.partition("@post\n@P1")[0])
    suite.write(JOURNEY, "tests/journeys/test_walk.py")
    run = {"SYNTHETIC_RUN_DIR": str(tmp_path / "run")}

    outcome = suite.run("-m", "postdeploy", "--target", stub.url, environment=run)

    assert outcome.check("walks").outcome is Outcome.PASSED
    assert outcome.check("nothing_secret").outcome is Outcome.FAILED
    for route in ("GET /api/z", "POST /api/x"):
        assert f"{route}: a Stripe secret key" in outcome.check("nothing_secret").reason
    assert "insights" not in outcome.check("nothing_secret").reason

    stub.seen.clear()
    again = ("-m", "postdeploy", "--target", stub.url, "-k", "nothing_secret", _variants(tmp_path / "s", stub.url))
    assert suite.run(*again, environment=run).check("nothing_secret").outcome is Outcome.FAILED
    assert sorted((route, sent.get("cookie")) for route, sent in stub.seen) == [
        ("GET /api/z", "session=s"),
        ("POST /api/x", "session=s"),
    ]


def test_nobody_waits_for_a_worker_that_died(suite: Suite, stub: Stub) -> None:
    """Its answers are missing, and a process that waits for it may block its replacement."""
    suite.write(
        f"""{CHECKS}
import os, signal

@post
@P1
def test_dies():
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    _answer(stub)

    outcome = suite.run("-m", "postdeploy", "--target", stub.url, "-n2")

    assert outcome.check("nothing_secret").outcome is Outcome.NOT_MEASURED
    assert "a worker of this run died" in outcome.check("nothing_secret").reason


def test_where_nothing_was_asked_nothing_was_judged(suite: Suite, stub: Stub) -> None:
    """Alone it has seen nothing, and nothing is not green."""
    suite.write(CHECKS)

    outcome = suite.run("-k", "nothing_secret", "--target", stub.url)

    assert outcome.check("nothing_secret").outcome is Outcome.NOT_MEASURED
    assert "has sent a request yet" in outcome.check("nothing_secret").reason


def _again(suite: Suite, stub: Stub, directory: Path, variant: str) -> Outcome:
    """Run everything on the stub, then only the check on this variant, as the gate does."""
    run = {"SYNTHETIC_RUN_DIR": str(directory)}
    suite.run("-m", "postdeploy", "--target", stub.url, environment=run)
    arguments = ("-m", "postdeploy", "--target", stub.url, "-k", "nothing_secret", _variants(directory / "s", variant))
    return suite.run(*arguments, environment=run).check("nothing_secret").outcome


def test_a_rerun_asks_again_what_was_found(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """The same request with its body and session goes to the variant under judgement, which is red too."""
    _answer(stub, refused=f'{{"message": "{LEAK}"}}', read=f'{{"key": "{LEAK}"}}')
    suite.write(CHECKS)

    outcome = _again(suite, stub, tmp_path / "run", stub.url)

    assert outcome is Outcome.FAILED
    asked = [(route, sent.get("cookie"), sent.get("x-own")) for route, sent in stub.seen]
    assert asked[-2:] == asked[:2]
    assert sorted(asked[:2]) == [("GET /api/y", "session=s", None), ("POST /api/x", None, "1")]


def test_a_rerun_is_green_on_a_variant_without_it(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """Only then a deployment can be told from the one before it."""
    _answer(stub, refused=f'{{"message": "{LEAK}"}}')
    suite.write(CHECKS)

    assert _again(suite, stub, tmp_path / "run", stub.url) is Outcome.FAILED
    _answer(stub)
    run = {"SYNTHETIC_RUN_DIR": str(tmp_path / "run")}
    again = ("-m", "postdeploy", "--target", stub.url, "-k", "nothing_secret", _variants(tmp_path / "s", stub.url))
    assert suite.run(*again, environment=run).check("nothing_secret").outcome is Outcome.PASSED


@pytest.mark.parametrize("status", [401, 429])
def test_a_variant_that_refuses_us_is_not_measured(suite: Suite, stub: Stub, tmp_path: Path, status: int) -> None:
    """An invalid session or a rate limit: no answer was inspected, and the deployment is not to blame."""
    _answer(stub, read=f'{{"key": "{LEAK}"}}')
    suite.write(CHECKS)
    run = {"SYNTHETIC_RUN_DIR": str(tmp_path / "run")}
    suite.run("-m", "postdeploy", "--target", stub.url, environment=run)
    stub.json("GET /api/y", "{}", status)

    again = ("-m", "postdeploy", "--target", stub.url, "-k", "nothing_secret", _variants(tmp_path / "s", stub.url))
    check = suite.run(*again, environment=run).check("nothing_secret")
    assert check.outcome is Outcome.NOT_MEASURED
    assert "could not be repeated" in check.reason


def test_what_changed_something_is_not_asked_again(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """A POST that succeeded would be repeated, so the outcome is "not measured"."""
    _answer(stub, refused=f'{{"message": "{LEAK}"}}', status=201)
    suite.write(CHECKS)

    assert _again(suite, stub, tmp_path / "run", stub.url) is Outcome.NOT_MEASURED
    assert [route for route, _ in stub.seen].count("POST /api/x") == 1


@pytest.mark.parametrize(
    ("request_", "code", "again"),
    [
        ("GET /api/courses?page=2", 200, True),
        ("POST /api/webhooks/stripe", 400, True),
        ("POST /api/student/progress/lesson", 201, False),
        ("POST /api/auth/callback/credentials", 401, False),
        ("POST /api/enroll/free", 401, False),
        ("DELETE /api/x", None, False),
    ],
)
def test_what_can_be_asked_again(request_: str, code: int | None, again: bool) -> None:  # noqa: FBT001
    """A request that only reads, or that was refused and has no rate limit."""
    assert Inspection(request=request_, code=code, seconds=0.1).can_be_asked_again is again


def _looker() -> Looker:
    accounts = {"student": Account("eda@7p.test", "a-Password-1", "student")}
    target = Target(name="t", url="https://7p.test", mode="shadow", accounts=accounts)
    return Looker(target, frozenset({"7p.test"}))


def _page(text: str, *, url: str = "https://7p.test/settings", signed_in: bool = False, mitigated: str = "") -> Answer:
    sent = Sent(cookies={"session": "s"} if signed_in else {})
    kind = {"content-type": "text/html; charset=utf-8", "x-vercel-mitigated": mitigated}
    return Answer("GET", url, 200, httpx.Headers(kind), text.encode(), 0.1, sent=sent)


def test_ones_own_address_is_no_finding() -> None:
    """A signed-in user sees the own address on every page; an anonymous visitor must not."""
    mine, theirs = "<p>eda@7p.test</p>", "<p>eda@7p.test, ayse@gmail.com</p>"

    assert _looker().findings_of(_page(mine, signed_in=True)) == {}
    assert _looker().findings_of(_page(theirs, signed_in=True)) == {"addresses": ["address a…@gmail.com"]}
    assert _looker().findings_of(_page(mine)) == {"addresses": ["address e…@7p.test"]}


def test_the_data_of_a_page_are_held_to_secrets_only() -> None:
    """Page data of Next.js repeat the text of the page, where a mail link is plain text."""
    kind, url = httpx.Headers({"content-type": "text/x-component"}), "https://7p.test/courses?_rsc=1a2b3"
    link = '3:["$","a",null,{"href":"mailto:eda@7p.test","children":"eda@7p.test: This page could not be found."}]'
    data, leaking = (Answer("GET", url, 200, kind, text.encode(), 0.1) for text in (link, f"{link}{LEAK}"))

    assert _looker().findings_of(data) == {}
    assert _looker().findings_of(leaking) == {"secrets": ["a Stripe secret key"]}


def test_other_sites_blockers_and_declared_answers_are_judged_elsewhere() -> None:
    """Stripe's page is not ours; a blocker is no answer of the platform; declared answers have their own checks."""
    leak = f"<p>{LEAK}</p>"
    blocker = _page(leak, mitigated="challenge")

    assert _looker().findings_of(_page(leak)) == {"secrets": ["a Stripe secret key"]}
    assert _looker().findings_of(_page(leak, url="https://stripe.test/")) == {}
    assert _looker().findings_of(_page(leak, url="https://7p.test/login")) == {}
    assert _looker().findings_of(blocker) == {}


def test_no_body_is_kept(suite: Suite, stub: Stub, tmp_path: Path) -> None:
    """Findings are kept as words, and requests only when they may be sent again."""
    _answer(stub, refused=f'{{"message": "{LEAK}"}}')
    suite.write(CHECKS)

    suite.run("-m", "postdeploy", "--target", stub.url, environment={"SYNTHETIC_RUN_DIR": str(tmp_path / "run")})

    (file,) = (tmp_path / "run").glob("inspected-*.jsonl")
    assert LEAK not in file.read_text()
    kept = {entry.request: (entry.headers, entry.cookies) for entry in read(file)}
    assert kept["GET /api/y"] == ({}, {})
    assert msgspec.json.decode(next(entry.content for entry in read(file) if entry.found)) == {"a": 1}
