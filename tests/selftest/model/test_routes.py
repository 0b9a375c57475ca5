"""Compares the table of routes with the checks, the sandbox and the guards; names a route that no check judges."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase

import httpx
import pytest

from fixtures.model.routes import NOBODY, guarded, is_page, pattern, probe, routes
from fixtures.model.verdict import CheckResult, Severity, Verdict
from fixtures.sandbox.app.routes import healthy_routes
from tests.selftest.conftest import ROOT, environment_of_a_run
from tests.selftest.sandbox.running_app import RunningApp, run_app

# OPTIONS has no route, and a page that does not exist has none either.
ASKED_OUTSIDE = ("OPTIONS /*", "GET /7p-verify-boyle-bir-sayfa-yok")


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[CheckResult]]:
    """Return every check by the name of its function, as `--list-checks` prints it."""
    verdict = tmp_path_factory.mktemp("plan") / "verdict.json"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--list-checks", f"--verdict={verdict}"]
    subprocess.run(command, cwd=ROOT, env=environment_of_a_run(), capture_output=True, timeout=60, check=True)
    found: dict[str, list[CheckResult]] = {}
    for check in Verdict.read(verdict).checks:
        found.setdefault(check.node_id.rpartition("::")[2].partition("[")[0], []).append(check)
    return found


def _reaches(asked: str, route: str) -> bool:
    """Whether the declaration of a check, `*` allowed, can match this route of the table."""
    return fnmatchcase(probe(route), asked) or bool(pattern(route).fullmatch(asked))


def test_the_table_names_exactly_what_the_sandbox_serves() -> None:
    """No check judges a route that is missing in the table; a route that only the table has does not exist."""
    assert sorted(routes()) == sorted(healthy_routes())


def test_every_route_has_a_check_or_a_written_reason() -> None:
    """A route with neither is forgotten; a route with both contradicts itself."""
    silent = [name for name, route in routes().items() if bool(route.checks) is bool(route.waiver)]

    assert silent == []


def test_every_check_of_a_route_exists_and_depends_on_it(checks: dict[str, list[CheckResult]]) -> None:
    """A check that has a new name, or asks another route now, no longer judges this one."""
    wrong = [
        (name, check)
        for name, route in routes().items()
        for check in route.checks
        if not any(_reaches(asked, name) for known in checks.get(check, []) for asked in known.asks)
    ]

    assert wrong == []


def test_a_route_is_as_severe_as_the_worst_of_its_checks(checks: dict[str, list[CheckResult]]) -> None:
    """The severity in the table is the severity that a red check has."""
    wrong = {
        name: (route.severity, worst)
        for name, route in routes().items()
        if route.checks
        for worst in [min(checks[check][0].severity for check in route.checks)]
        if route.severity != worst
    }

    assert wrong == {}


def test_nothing_critical_is_waived() -> None:
    """A check judges each route that the runbook calls critical."""
    waived = {name: route.severity for name, route in routes().items() if route.waiver}

    assert {name: severity for name, severity in waived.items() if severity is not Severity.P2} == {}


def test_every_route_that_a_check_asks_is_in_the_table(checks: dict[str, list[CheckResult]]) -> None:
    """A misspelt address answers 404, and a check of a 404 page proves nothing about the platform."""
    asked = {route for known in checks.values() for check in known for route in check.asks}
    unknown = {
        route
        for route in asked
        if re.match(r"[A-Z*]+ [/*]", route)  # tables, variables and vendors are reached, too
        and not any(fnmatchcase(route, outside) for outside in ASKED_OUTSIDE)
        # Every route with GET has HEAD, too.
        and not any(_reaches(one, name) for name in routes() for one in {route, re.sub("^HEAD ", "GET ", route)})
    }

    assert unknown == set()


def test_every_guarded_route_is_probed_without_credentials(checks: dict[str, list[CheckResult]]) -> None:
    """A new guard is probed from its first day, because the probes come from the table."""
    asked = {route for known in checks.values() for check in known if not check.spends for route in check.asks}
    wanted = {probe(name) for name, route in routes().items() if route.guard} - {"POST /api/enroll/free"}

    assert wanted - asked == set()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Run a healthy build."""
    with run_app(tmp_path_factory.mktemp("app")) as running:
        running.deploy()
        yield running


def _ask(client: httpx.Client, route: str) -> httpx.Response:
    query = routes()[route].query if route in routes() else ""
    method, _, path = f"{probe(route)}?{query}".partition(" ")
    return client.request(method, path, json=None if method in {"GET", "HEAD"} else {})


def test_the_guard_of_the_table_is_the_guard_of_the_sandbox(app: RunningApp) -> None:
    """The sandbox refuses strangers on routes that the server guards, and admits them on the others."""
    with app.client() as other_student:
        guards = {name: _is_guarded(_ask(other_student, name)) for name in routes() if name.startswith("GET /")}

    wanted = {name: bool(route.guard) and route.guarded_by == "server" for name, route in routes().items()}
    assert {name for name, shut in guards.items() if shut is not wanted[name]} == set()


def _is_guarded(answer: httpx.Response) -> bool:
    return answer.status_code == 401 or answer.headers.get("location", "").startswith("/login?callbackUrl=")


def test_a_student_is_kept_from_what_asks_for_more(app: RunningApp) -> None:
    """Routes refuse a student by 403; a page comes without content, and its script gets none for a student."""
    above = [name for name, route in routes().items() if route.guard in {"instructor", "admin"}]
    with app.client("student") as student:
        got = {name: _ask(student, name).status_code for name in above if not is_page(name)}
        pages = {
            name: student.get(probe(name).removeprefix("GET "), headers={"rsc": "1"}) for name in above if is_page(name)
        }

    assert got == dict.fromkeys(got, 403)
    shown = {name for name, page in pages.items() if "data-leads" not in page.text and "Access Denied" not in page.text}
    assert (len(pages), shown) == (6, set())


def test_a_probe_names_what_does_not_exist() -> None:
    """No row has the id of a probe, so a destructive request that is not refused destroys nothing."""
    assert probe("DELETE /api/courses/{id}") == f"DELETE /api/courses/{NOBODY}"
    assert probe("GET /courses/{slug}/modules/{module}/lessons/{lesson}").count("7p-verify") == 3
    assert "GET /admin/users" in guarded("GET", pages=True, role="admin")
    assert "GET /admin/users" not in guarded("GET")
