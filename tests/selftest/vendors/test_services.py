"""The services around the candidate: their answers, wrong settings, and answers that cannot be judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fixtures.checks.answers import Answer
from fixtures.checks.evidence import Evidence, NotMeasured
from fixtures.model.toml_tables import UsageError
from fixtures.sandbox.vendors.github_api import GithubApi, run
from fixtures.target.target import load
from fixtures.target.targets_file import GithubAccess
from fixtures.target.variants import Variant
from fixtures.vendors import api as vendor_api
from fixtures.vendors import commit_status
from fixtures.vendors.stripe_settings import Balance, Endpoint, balance_of, endpoints_of, mixed_modes, wrong_endpoints
from tests.selftest.conftest import Stub
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge

CANARY = "secret-token"

SHA = "0123456789abcdef0123456789abcdef01234567"
REQUIRED = ("test*", "typecheck*", "sast*", "dependencies*")
URL = "https://7peducation.test"
NEEDED = ("checkout.session.completed", "charge.refunded")


@pytest.fixture(scope="module")
def running() -> Iterator[RunningEdge]:
    """Return an edge whose loop serves the stand-ins."""
    with run_edge() as running:
        yield running


@pytest.fixture
def github(running: RunningEdge) -> tuple[GithubApi, GithubAccess]:
    """Return GitHub's stand-in, and the access to it."""
    api = GithubApi()
    listener = running.do(running.edge.listeners.open(api.app))
    return api, GithubAccess(api=listener.url, repository=api.repository, required=REQUIRED, token=api.token)


Github = tuple[GithubApi, GithubAccess]


class TestCommit:
    """Tests of the results of the candidate's commit."""

    def test_everything_has_passed_on_any_page(self, github: Github) -> None:
        """A large project has several pages of runs; a failure on the last one counts."""
        api, access = github
        api.runs += [run(f"lint {number}") for number in range(7)]
        api.page = 2
        passed = commit_status.ask(access, SHA)
        api.runs.append(run("test (24.x)", "failure"))
        failed = commit_status.ask(access, SHA)

        assert (len(passed.results), passed.failed, passed.unknown) == (11, [], [])
        assert (failed.failed, failed.unknown) == (["test (24.x): failure"], [])

    @pytest.mark.parametrize("said", ["failure", "timed_out", "startup_failure"])
    def test_what_failed_is_named(self, github: Github, said: str) -> None:
        """A pass under the same name does not hide it."""
        api, access = github
        api.runs.append(run("TypeCheck", said))

        assert commit_status.ask(access, SHA).failed == [f"TypeCheck: {said}"]

    @pytest.mark.parametrize(
        ("status", "conclusion"),
        [
            ("queued", None),
            ("in_progress", None),
            *(("completed", said) for said in ("skipped", "cancelled", "stale", "action_required")),
        ],
    )
    def test_what_did_not_run_did_not_pass(self, github: Github, status: str, conclusion: str | None) -> None:
        """GitHub itself accepts a skipped check as a required one."""
        api, access = github
        api.runs[2] = run("sast", conclusion, status)
        found = commit_status.ask(access, SHA)

        assert (found.failed, found.unknown) == ([], [f"sast: {conclusion or status}"])
        # Of a commit that users have already, only what may still fail is told.
        assert found.unfinished == ([] if conclusion == "skipped" else found.unknown)

    def test_nothing_reported_is_everything_missing(self, github: Github) -> None:
        """A commit without any check has no red check either."""
        api, access = github
        api.runs.clear()
        api.statuses.clear()

        assert commit_status.ask(access, SHA).unknown == [f"{name}: missing" for name in REQUIRED]

    def test_a_failure_that_nobody_requires_blocks_nothing(self, github: Github) -> None:
        """The evidence shows it."""
        api, access = github
        api.statuses.append({"context": "preview comments", "state": "error"})
        found = commit_status.ask(access, SHA)

        assert (found.failed, found.unknown) == ([], [])
        assert "          preview comments: error" in found.lines()

    @pytest.mark.parametrize(
        ("status", "body", "said"),
        [
            (401, "{}", "the token is refused"),
            (403, "{}", "may not read checks"),
            (404, "{}", "no such repository"),
            (422, "{}", "no such commit"),
            (503, "down", "503, down"),
            (200, "<html>", "cannot be read"),
            (200, '{"statuses":1}', "cannot be read"),
        ],
    )
    def test_what_github_does_not_tell_is_not_measured(
        self, stub: Stub, status: int, body: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The message says what to do, and does not show the token."""
        monkeypatch.setattr(vendor_api, "_DEADLINE", 0.3)
        stub.json(f"GET /repos/o/r/commits/{SHA}/status", body, status)

        with pytest.raises(NotMeasured, match=said) as caught:
            commit_status.ask(GithubAccess(api=stub.url, repository="o/r", required=REQUIRED, token=CANARY), SHA)

        assert CANARY not in str(caught.value)

    def test_the_token_is_not_carried_to_another_host(self, stub: Stub) -> None:
        """The answer names the address of the next page."""
        away = stub.url.replace("127.0.0.1", "localhost")
        link = f'<{away}/more>; rel="next"'
        stub.json(f"GET /repos/o/r/commits/{SHA}/status", '{"statuses":[]}', link=link)

        with pytest.raises(NotMeasured, match="the next page is on localhost"):
            commit_status.ask(GithubAccess(api=stub.url, repository="o/r", required=REQUIRED, token=CANARY), SHA)

        assert len(stub.seen) == 1


def an_endpoint(
    url: str = f"{URL}/api/webhooks/stripe", *events: str, status: str = "enabled", live: bool | None = True
) -> Endpoint:
    """Return an endpoint; without events it listens to what is needed."""
    return Endpoint(url=url, status=status, enabled_events=list(events or NEEDED), livemode=live)


class TestStripe:
    """Tests of the webhook endpoint and the keys."""

    @pytest.mark.parametrize(
        "known",
        [
            [an_endpoint()],
            [an_endpoint(f"{URL}/api/webhooks/stripe/")],
            [an_endpoint(f"{URL}/api/webhooks/stripe", "*")],
            [an_endpoint(status="disabled"), an_endpoint("https://else.test/hook"), an_endpoint()],
        ],
        ids=["exactly", "slash", "all events", "one of three"],
    )
    def test_one_good_endpoint_is_enough(self, known: list[Endpoint]) -> None:
        """An account also has old endpoints, and those of other programs."""
        assert wrong_endpoints(known, URL, NEEDED, live=True) == []

    @pytest.mark.parametrize(
        ("known", "wrong"),
        [
            ([], f"no endpoint is on {URL}/api/webhooks/stripe; Stripe knows none at all"),
            ([an_endpoint(f"{URL}/api/webhook")], f"Stripe knows {URL}/api/webhook"),
            ([an_endpoint("https://7peducation.test.evil.test/api/webhooks/stripe")], "no endpoint is on"),
            ([an_endpoint(status="disabled")], "is disabled"),
            ([an_endpoint(f"{URL}/api/webhooks/stripe", NEEDED[0])], "charge.refunded is not sent to"),
            ([an_endpoint(live=False)], "is in test mode, live is expected"),
        ],
        ids=["none", "path", "host", "disabled", "event", "mode"],
    )
    def test_each_way_to_lose_events_is_named(self, known: list[Endpoint], wrong: str) -> None:
        """The message names the endpoint and the mistake."""
        (found,) = wrong_endpoints(known, URL, NEEDED, live=True)

        assert wrong in found

    @pytest.mark.parametrize(
        "odd",
        [
            {"url": f"{URL}/api/webhooks/stripe", "status": "paused", "livemode": True, "enabled_events": ["*"]},
            {"url": f"{URL}/api/webhooks/stripe", "status": "enabled", "livemode": None, "enabled_events": ["*"]},
            {"url": f"{URL}/api/webhooks/stripe", "status": "enabled", "livemode": True, "enabled_events": "*"},
            {"status": "enabled", "livemode": True, "enabled_events": ["*"]},
            ["enabled"],
        ],
        ids=["status", "no mode", "events of another type", "no address", "no object"],
    )
    def test_an_endpoint_that_cannot_be_judged_matters_only_where_no_other_is_good(self, odd: object) -> None:
        """A new word of Stripe is neither a fault of the platform nor an exception."""
        rows = [odd, {"url": "https://else.test", "status": "disabled", "livemode": True, "enabled_events": []}]
        answer = Answer("GET", "https://api.stripe.test/v1", 200, content=msgspec.json.encode({"data": rows}))
        known = endpoints_of(answer)

        assert wrong_endpoints([*known, an_endpoint()], URL, NEEDED, live=True) == []
        with pytest.raises(NotMeasured, match="something new about an endpoint"):
            wrong_endpoints([*known, an_endpoint(status="disabled")], URL, NEEDED, live=True)

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data": null}', b"\xff"])
    def test_an_answer_that_is_none_is_not_measured(self, body: bytes) -> None:
        """The platform is not to blame for it."""
        for read in (balance_of, endpoints_of):
            with pytest.raises(NotMeasured, match=r"Stripe: GET https://api\.stripe\.test"):
                read(Answer("GET", "https://api.stripe.test/v1", 200, content=body))

    def test_modes_that_do_not_agree_are_named(self) -> None:
        """The name of a key shows its mode, and Stripe's answer shows the account's."""
        live, test = Balance(livemode=True), Balance(livemode=False)

        assert mixed_modes("rk_live_x", live, "pk_live_x", live=True) == []
        assert mixed_modes("rk_test_x", test, None, live=False) == []
        assert mixed_modes("rk_test_x", test, "pk_live_x", live=True) == [
            "the restricted key is of test mode, live is expected",
            "Stripe's answer to it is of test mode, live is expected",
        ]


TARGET = """
[staging]
url = "https://7peducation.test"
mode = "shadow"
capabilities = ["commit-status", "stripe-config"]
github = { repository = "o/r" }
stripe = { events = ["charge.refunded"] }
variables = { github_token = "A_TOKEN", stripe_restricted_key = "A_KEY" }
"""
SET = {"A_TOKEN": CANARY, "A_KEY": "rk_live_key"}


class TestTarget:
    """Tests of the tables of targets.toml."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """Write a target."""
        path = tmp_path / "targets.toml"
        path.write_text(TARGET, encoding="utf-8")
        return path

    def test_services_are_read_with_their_secrets_hidden(self, file: Path) -> None:
        """A service without its capability is not asked."""
        target = load("staging", environ=SET, file=file)

        assert target.github == GithubAccess(
            api="https://api.github.com", repository="o/r", required=REQUIRED, token=CANARY
        )
        assert target.stripe is not None
        assert target.stripe.events == ("charge.refunded",)
        assert target.sentry is None
        assert [secret for secret in SET.values() if secret in repr(target)] == []
        assert set(SET.values()) <= set(target.secrets())

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('"stripe-config"]', '"sentry"]', "staging has the capability sentry but no staging.sentry table"),
            (', stripe_restricted_key = "A_KEY"', "", "stripe-config but no staging.variables.stripe_restricted_key"),
            ('"o/r"', '"7p"', "staging: github.repository is '7p'; write OWNER/NAME"),
            ('"o/r"', '"o/r", required = []', "staging: github.required is empty"),
            ('"o/r"', '"o/r", requires = ["x"]', "unknown field `requires`"),
            ('"A_KEY"', '"A_TOKEN"', "stripe_restricted_key is no restricted key"),
            ('"A_KEY"', '"UNSET"', "not set: UNSET (for stripe-config); set it, or drop"),
        ],
    )
    def test_what_cannot_be_meant_is_one_line(self, file: Path, old: str, new: str, said: str) -> None:
        """A secret key could pay out money, and an empty list of required names would always pass."""
        file.write_text(TARGET.replace(old, new), encoding="utf-8")

        with pytest.raises(UsageError) as caught:
            load("staging", environ=SET, file=file)

        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_vendors_answer_proves_nothing_of_the_candidate(tmp_path: Path) -> None:
    """A 503 of Supabase must not be blamed on the deployment; what it answers well is the same for both."""
    variant = Variant(name="candidate", url=URL, deployment_id="dpl_1", own_address=True)
    evidence = Evidence(directory=tmp_path, reports=tmp_path, variant=variant)
    evidence.see(Answer("GET", f"{URL}/api/health", 200))
    evidence.see(Answer("GET", "https://abcdefgh.supabase.co/rest/v1/courses", 200))
    before = evidence.identified
    evidence.see(Answer("GET", "https://abcdefgh.supabase.co/auth/v1/health", 503))

    assert (before, evidence.identified, evidence.answered) == (True, False, ["dpl_1"])


def test_silence_counts_where_the_deployment_answers_something_else(tmp_path: Path) -> None:
    """One route hangs; who hangs is known by a witness, and only where every answer named the deployment."""
    variant = Variant(name="candidate", url=URL, deployment_id="dpl_1")
    evidence = Evidence(directory=tmp_path, reports=tmp_path, variant=variant)
    evidence.see(Answer("GET", f"{URL}/api/courses", trouble="timeout"))
    alone = evidence.identified
    evidence.witnessed = True
    witnessed = (evidence.identified, evidence.answered)
    evidence.see(Answer("GET", f"{URL}/api/health", 200))

    assert (alone, witnessed, evidence.identified) == (False, (True, ["dpl_1"]), False)
