"""The whole sandbox as a process: what it offers, how it is broken, and that it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from fixtures.database.snapshot import Snapshot, take_snapshot
from fixtures.database.snapshot_change import readings
from fixtures.model.runbook import runbook
from fixtures.target.sandbox_handle import Handle
from fixtures.target.sandbox_process import SandboxError, SandboxProcess, start_process

JUDGED_EACH_RUN = ("deadlocks", "temporary_files", "rolled_back", "sessions_lost", "connections_leaked")
LAUNCHER = """
import sys, pathlib, signal
from fixtures.target.sandbox_process import start_process
# A shell that starts its jobs in the background lets them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
start_process(pathlib.Path(sys.argv[1]), stage="postdeploy", fault=None)
print("up", flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """Return a healthy sandbox; a test that breaks it repairs it."""
    with start_process(tmp_path_factory.mktemp("run") / "sandbox", stage="postdeploy", fault=None) as process:
        yield process


@pytest.fixture(scope="module")
def handle(process: SandboxProcess) -> Handle:
    """Return its addresses and secrets."""
    return process.handle


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """Return a new client."""
    with httpx.Client(trust_env=False, timeout=10) as client:
        yield client


def control(handle: Handle, method: str, path: str, body: object = None) -> httpx.Response:
    """Call the control plane."""
    headers = {"authorization": f"Bearer {handle.control_token}"}
    return httpx.request(method, f"{handle.control_url}{path}", headers=headers, json=body, trust_env=False, timeout=20)


def vercel(handle: Handle, method: str, path: str, **query: str) -> httpx.Response:
    """Call Vercel's API."""
    headers = {"authorization": f"Bearer {handle.vercel_token}"}
    return httpx.request(method, f"{handle.api_url}{path}", headers=headers, params=query, trust_env=False, timeout=10)


def who(client: httpx.Client, url: str) -> str:
    """Return the deployment that answers."""
    return str(client.get(f"{url}/api/ping").headers["x-deployment-id"])


def listens(port: int) -> bool:
    """Tell whether a server accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def database_port(handle: Handle) -> int:
    """Return PostgreSQL's port."""
    return int(psycopg.conninfo.conninfo_to_dict(handle.database_dsn)["port"] or 0)


def wait_until_gone(directory: Path, port: int) -> None:
    """Wait until PostgreSQL and the directory are gone; fails after 20 seconds."""
    until = time.monotonic() + 20
    while directory.exists() or listens(port):
        assert time.monotonic() < until, f"left over: {list(directory.rglob('*'))[:5]}, port open: {listens(port)}"
        time.sleep(0.05)


def test_production_serves_the_candidate_and_the_previous_one_stands_by(handle: Handle, client: httpx.Client) -> None:
    """There are two good builds, each at its own address, and production is the newer one."""
    rows = [
        vercel(handle, "GET", f"/v13/deployments/{known}").json() for known in (handle.candidate_id, handle.previous_id)
    ]

    assert who(client, handle.production_url) == handle.candidate_id
    assert who(client, handle.candidate_url) == handle.candidate_id
    assert who(client, handle.previous_url) == handle.previous_id
    assert rows[0]["meta"]["githubCommitSha"] != rows[1]["meta"]["githubCommitSha"]
    assert [row["readySubstate"] for row in rows] == ["PROMOTED", "PROMOTED"]


def test_the_deployment_before_by_date_is_not_the_way_back(handle: Handle) -> None:
    """A staged deployment is in between; the rollback target is the newest that served production before."""
    listed = vercel(handle, "GET", "/v6/deployments", projectId=handle.project_id, target="production").json()
    rows = listed["deployments"]
    candidates = [row["uid"] for row in rows if row["isRollbackCandidate"]]

    assert [row["readySubstate"] for row in rows] == ["PROMOTED", "STAGED", "PROMOTED", "PROMOTED"]
    assert rows[0]["uid"] == handle.candidate_id
    assert candidates[0] == handle.previous_id
    assert len(candidates) == 2


def test_the_handle_is_for_its_owner_only(process: SandboxProcess) -> None:
    """It holds every password of the sandbox."""
    path = Path(process.handle.run_dir).parent / "handle.json"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Handle.read(path) == process.handle
    assert process.handle.pid == process.pid


def test_a_session_outlives_a_rollback(handle: Handle, client: httpx.Client) -> None:
    """Both builds have the same NEXTAUTH_SECRET, as deployments of one project do; the sign-in is counted."""
    before = control(handle, "GET", "/state").json()["sign_ins"]
    token = client.get(f"{handle.production_url}/api/auth/csrf").json()["csrfToken"]
    account = handle.accounts["student"]
    form = {"csrfToken": token, "email": account.email, "password": account.password, "json": "true"}
    signed_in = client.post(f"{handle.production_url}/api/auth/callback/credentials", data=form)

    sessions = [
        client.get(f"{handle.production_url}/api/auth/session", headers={"x-deployment-id": deployment}).json()
        for deployment in (handle.candidate_id, handle.previous_id)
    ]

    assert signed_in.status_code == 200
    assert [session["user"]["email"] for session in sessions] == [account.email, account.email]
    assert control(handle, "GET", "/state").json()["sign_ins"] == before + 1


def test_stripe_answers_through_the_platform(handle: Handle, client: httpx.Client) -> None:
    """The deployments hold the stand-in's keys."""
    answer = client.post(f"{handle.production_url}/api/payments/test")

    assert (answer.status_code, answer.json()["livemode"]) == (200, False)


def test_the_monitor_can_read_and_cannot_write(handle: Handle) -> None:
    """The database checks connect like this."""
    with psycopg.connect(handle.database_dsn, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) > 0 FROM pg_stat_activity").fetchone()
        assert row == (True,)
        with pytest.raises(psycopg.errors.Error):
            connection.execute("DELETE FROM public.courses")


def test_the_control_plane_asks_for_its_token(handle: Handle, client: httpx.Client) -> None:
    """The control plane can break things."""
    assert client.get(f"{handle.control_url}/state").status_code == 403


def test_the_state_counts_what_each_deployment_answered(handle: Handle, client: httpx.Client) -> None:
    """Another process sees its requests and its messages."""

    def answered() -> int:
        deployments = control(handle, "GET", "/state").json()["deployments"]
        return int(next(row["requests"] for row in deployments if row["id"] == handle.previous_id))

    before = answered()
    who(client, handle.previous_url)
    client.post(handle.sinks["slack"], json={"text": "P1: kurs listesi"})
    state = control(handle, "GET", "/state").json()

    assert answered() == before + 1
    assert state["production"] == state["served"] == handle.candidate_id
    assert {"text": "P1: kurs listesi"} in state["slack"]
    assert [row["type"] for row in state["alias_requests"]] == ["promote"] * 3
    assert state["crashes"] == []


def test_a_cut_network_is_silent_everywhere_but_at_vercel(handle: Handle, client: httpx.Client) -> None:
    """The runner is offline, and the control addresses show it."""
    addresses = [handle.production_url, handle.candidate_url, handle.previous_url, *handle.control_addresses]
    addresses += handle.third_parties.values()
    control(handle, "POST", "/network", {"up": False})
    try:
        refused = []
        for address in addresses:
            try:
                client.get(address)
            except httpx.ConnectError:
                refused.append(address)
        project = vercel(handle, "GET", f"/v9/projects/{handle.project_id}")
    finally:
        control(handle, "POST", "/network", {"up": True})

    assert refused == addresses
    assert project.status_code == 200
    assert who(client, handle.production_url) == handle.candidate_id
    assert client.get(handle.control_addresses[0]).status_code == 204


def test_a_knob_of_the_edge_is_turned_from_outside(handle: Handle) -> None:
    """Self-tests of the gate let Vercel refuse in this way."""
    path = f"/v9/projects/{handle.project_id}/rollback/{handle.previous_id}"
    control(handle, "POST", "/edge", {"rollback_status": 409})
    refused = vercel(handle, "POST", path)
    control(handle, "POST", "/edge", {"rollback_status": None})

    assert refused.status_code == 409
    assert control(handle, "GET", "/state").json()["production"] == handle.candidate_id


@pytest.mark.parametrize(
    ("path", "body", "hint"),
    [
        ("/edge", {"rolback_status": 409}, "rolback_status"),
        ("/edge", {"job_outcome": "perhaps"}, "job_outcome"),
        ("/edge", {"production": "dpl_unknown"}, "dpl_unknown"),
        ("/network", {"up": "yes"}, "up"),
        ("/break", {"fault": "helth-down"}, "health-down"),
    ],
)
def test_a_mistake_is_one_sentence(handle: Handle, path: str, body: object, hint: str) -> None:
    """A mistake changes nothing."""
    answer = control(handle, "POST", path, body)

    assert answer.status_code == 400
    assert hint in answer.json()["error"]


def test_a_broken_build_is_served_beside_the_good_ones(handle: Handle, client: httpx.Client) -> None:
    """One sandbox is enough to prove many faults."""
    broken = control(handle, "POST", "/break", {"fault": "health-down", "promote": False}).json()

    assert client.get(f"{broken['url']}/api/health").status_code == 503
    assert client.get(f"{handle.production_url}/api/health").status_code == 200
    assert who(client, broken["url"]) == broken["deployment"]
    assert who(client, handle.production_url) == handle.candidate_id


def test_in_predeploy_the_candidate_is_not_promoted(tmp_path: Path, client: httpx.Client) -> None:
    """The candidate is judged before users meet it, and contains the fault already."""
    with start_process(tmp_path / "sandbox", stage="predeploy", fault="health-down") as process:
        handle = process.handle
        candidate = vercel(handle, "GET", f"/v13/deployments/{handle.candidate_id}").json()

        assert who(client, handle.production_url) == handle.previous_id
        assert candidate["readySubstate"] == "STAGED"
        assert client.get(f"{handle.candidate_url}/api/health").status_code == 401
        admitted = {"x-vercel-protection-bypass": handle.bypass_secret}
        assert client.get(f"{handle.candidate_url}/api/health", headers=admitted).status_code == 503
        assert client.get(f"{handle.production_url}/api/health").status_code == 200


def test_a_fault_outside_the_build_breaks_the_sandbox(tmp_path: Path, client: httpx.Client) -> None:
    """Stripe is down for every deployment, and its status page says so."""
    with start_process(tmp_path / "sandbox", stage="postdeploy", fault="stripe-down") as process:
        page = client.get(process.handle.third_parties["stripe"]).json()
        answers = [
            client.post(f"{url}/api/payments/test")
            for url in (process.handle.candidate_url, process.handle.previous_url)
        ]

    assert page["status"]["indicator"] == "major"
    assert [answer.status_code for answer in answers] == [502, 502]


def test_stop_leaves_nothing(tmp_path: Path) -> None:
    """No server and no directory are left; a second stop does no harm."""
    process = start_process(tmp_path / "sandbox", stage="postdeploy", fault=None)
    port = database_port(process.handle)
    assert listens(port)

    process.stop()
    process.stop()

    assert (list(tmp_path.iterdir()), listens(port)) == ([], False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_it(tmp_path: Path, number: signal.Signals) -> None:
    """The signal goes to the sandbox itself."""
    with start_process(tmp_path / "sandbox", stage="postdeploy", fault=None) as process:
        os.kill(process.pid, number)
        wait_until_gone(tmp_path / "sandbox", database_port(process.handle))


def test_what_a_killed_sandbox_leaves_goes_with_stop(tmp_path: Path) -> None:
    """None of its processes runs any more; the launcher removes the files."""
    with start_process(tmp_path / "sandbox", stage="postdeploy", fault=None) as process:
        os.kill(process.pid, signal.SIGKILL)

    wait_until_gone(tmp_path / "sandbox", database_port(process.handle))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_launcher(tmp_path: Path, number: signal.Signals) -> None:
    """Nothing is orphaned when the launcher ends in any way, kill -9 included."""
    directory = tmp_path / "sandbox"
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(directory)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == b"up\n"
        handle = Handle.read(directory / "handle.json")
        launcher.send_signal(number)

    wait_until_gone(directory, database_port(handle))


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Return a temporary directory that PostgreSQL's own user may enter, as it may the system's."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_a_person_reads_addresses_accounts_and_faults(tmp_path: Path, open_directory: Path) -> None:
    """A person starts `python -m fixtures.sandbox` and ends it with Ctrl-C."""
    environment = {**os.environ, "TMPDIR": str(open_directory)}
    command = [sys.executable, "-m", "fixtures.sandbox", "--handle", str(tmp_path / "handle.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        assert child.stdout is not None
        head = [child.stdout.readline() for _ in range(4)]
        handle = Handle.read(tmp_path / "handle.json")
        child.send_signal(signal.SIGINT)
        text = "".join(head) + child.stdout.read()

    wanted = [handle.production_url, handle.enrolment_code, "health-down", handle.accounts["student"].password]
    assert [word for word in wanted if word not in text] == []
    assert child.returncode == 0
    assert [*open_directory.iterdir(), *tmp_path.iterdir()] == []


def test_an_unknown_fault_is_wrong_usage() -> None:
    """It prints one line, ends with exit 2 and starts nothing."""
    command = [sys.executable, "-m", "fixtures.sandbox", "--fault", "helth-down"]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 2
    assert "did you mean health-down?" in ended.stderr


def test_a_sandbox_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the missing part, and nothing is left behind."""
    monkeypatch.setenv("SYNTHETIC_POSTGRES", str(tmp_path / "nowhere"))

    with pytest.raises(SandboxError, match="nowhere"):
        start_process(tmp_path / "sandbox", stage="postdeploy", fault=None)

    assert list(tmp_path.iterdir()) == []


def test_enough_happened_since_its_snapshot_to_tell_what_a_release_does(handle: Handle) -> None:
    """The effect of a release must be measurable, however fast its verification is."""
    after = take_snapshot(handle.database_dsn, "test")

    counted = readings(Snapshot.read(Path(handle.before_snapshot)), after)

    terms = runbook().budgets
    assert [name for name in JUDGED_EACH_RUN if counted[name].samples < terms[name].samples] == []
