"""Names, addresses and certificates, read from servers on loopback."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.model.runbook import runbook
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import Outcome
from fixtures.site.addresses import Addresses, Certificate, addresses_of, certificate_of
from fixtures.target.target import load
from tests.selftest.conftest import ROOT, Stub, Suite

DAY = 86_400
_CONFIGURATION = """
[req]
distinguished_name = name
x509_extensions = own
prompt = no
[name]
CN = 127.0.0.1
[own]
subjectAltName = IP:127.0.0.1
basicConstraints = CA:true
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1 that is valid for ten days; key and certificate in one file."""
    openssl = shutil.which("openssl")
    assert openssl, "this test makes a certificate with the openssl command; install it"
    folder = tmp_path_factory.mktemp("tls")
    (folder / "req.cnf").write_text(_CONFIGURATION)
    make = f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 10 -config req.cnf"
    command = [*make.split(), "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "certificate.pem").read_text())
    return both


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    """Accept TLS connections on loopback; return the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_greet, args=(server, context), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _greet(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            connection.close()


def _trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_a_certificate_says_until_when_it_is_valid(port: int, certificate: Path) -> None:
    """Read off a real handshake."""
    shown = certificate_of("127.0.0.1", port, _trusting(certificate))

    assert shown.days_left(shown.begins) == pytest.approx(10)
    assert shown.used(shown.begins + 9 * DAY) == pytest.approx(90)
    assert "valid until 20" in str(shown)


def test_a_certificate_that_nobody_vouches_for_is_refused(port: int) -> None:
    """The dates of such a certificate prove nothing, and browsers do not open the page."""
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed certificate"):
        certificate_of("127.0.0.1", port)


def test_a_certificate_of_another_name_is_refused(port: int, certificate: Path) -> None:
    """A domain that was moved, and its certificate was not."""
    with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
        certificate_of("localhost", port, _trusting(certificate))


@pytest.mark.parametrize(("days", "severity"), [(80, "P2"), (84, "P1"), (91, "P0")])
def test_the_less_is_left_the_worse_it_is(days: int, severity: str) -> None:
    """Of ninety days: ten left, six left, none left."""
    limit, shown = runbook().budgets["certificate_used"], Certificate(0, 90 * DAY)

    assert limit.severity(shown.used(days * DAY)) == severity
    assert shown.used(60 * DAY) < limit.limit


def test_each_address_of_a_name_is_tried(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some users get the dead address and wait; the others notice nothing."""
    port = int(stub.url.rpartition(":")[2])
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = unused.getsockname()[1]
        four, tcp = socket.AF_INET, (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        found = [(four, *tcp, ("127.0.0.1", port)), (four, *tcp, ("127.0.0.1", dead))]
        monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)

        assert addresses_of("7p.test", 443) == Addresses(["127.0.0.1"], ["127.0.0.1"], [])


def test_a_name_that_nobody_knows_does_not_resolve() -> None:
    """`.invalid` never does (RFC 6761)."""
    with pytest.raises(socket.gaierror):
        addresses_of("7p-verify.invalid", 443)


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("https://7p.test", {"tls", "dns"}),
        ("http://7p.test:8080", {"dns"}),
        ("http://127.0.0.1:8080", set()),
        ("https://[::1]:8443", {"tls"}),
        ("http://localhost:3000", set()),
    ],
)
def test_the_address_of_a_target_says_what_applies(url: str, given: set[str]) -> None:
    """Loopback has no name to resolve, plain http no certificate."""
    assert load(url, environ={}).capabilities == given


def test_what_the_address_says_is_not_to_be_claimed(tmp_path: Path) -> None:
    """One line that says which file and what to do."""
    file = tmp_path / "targets.toml"
    file.write_text('[x]\nurl = "http://7p.test"\nmode = "off"\ncapabilities = ["tls"]\n')

    with pytest.raises(UsageError, match=r"x\.capabilities has tls, which its url already says; take it out"):
        load("x", environ={}, file=file)


CHECKS = (ROOT / "tests" / "smoke" / "test_addresses.py").read_text("utf-8").partition("import pytest\n")[2]
IMPORTS = "import time\nfrom urllib.parse import urlsplit\n"


def test_the_check_reads_the_certificate_of_its_target(suite: Suite, port: int, certificate: Path) -> None:
    """The check is green with the days that are left when the machine trusts it, red when no browser would."""
    suite.write(IMPORTS + CHECKS)
    ask = ("-m", "daily", "--target", f"https://127.0.0.1:{port}", "-k", "certificate")

    trusted = suite.run(*ask, environment={"SSL_CERT_FILE": str(certificate)}).check("certificate")
    assert trusted.outcome is Outcome.PASSED
    assert [round(told.value) for told in trusted.measurements] == [10, 0]
    refused = suite.run(*ask).check("certificate")
    assert (refused.outcome, refused.severity) == (Outcome.FAILED, "P0")
    assert "self-signed certificate" in refused.reason


def test_the_check_is_red_where_the_name_does_not_resolve(suite: Suite) -> None:
    """Users see "this site can't be reached"."""
    suite.write(IMPORTS + CHECKS)

    check = suite.run("-m", "daily", "--target", "http://7p-verify.invalid", "-k", "address").check("address")
    assert check.outcome is Outcome.FAILED


def test_on_loopback_neither_applies(suite: Suite, stub: Stub) -> None:
    """The outcome is "not applicable" and needs no action; "not measured" would make the gate hold."""
    suite.write(
        """
@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="function", runbook="application-not-loading", needs=("dns",))
def test_name(target):
    raise AssertionError
"""
    )

    assert suite.run("-m", "daily", "--target", stub.url).check("test_name").outcome is Outcome.NOT_APPLICABLE
