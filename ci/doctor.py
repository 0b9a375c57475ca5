"""
`ci/verify doctor [TARGET]` lists what is missing or does not work, each with the command that repairs it.

It installs and changes nothing, and asks the database read-only which rights its roles have. Names of secret variables
are shown, never their values.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg

from ci import environment, machine
from ci.gate import EXIT_USAGE
from ci.web import new_client
from fixtures.browser.executable import BY_PLAYWRIGHT, BrowserError, browser_version, find_browser
from fixtures.database import errors, privileges
from fixtures.database.session import connect, overdue, time_limit
from fixtures.model import escaping, redaction
from fixtures.model.toml_tables import UsageError
from fixtures.postgres.binaries import PostgresMissing, locate
from fixtures.target.target import Target, load
from fixtures.target.targets_file import TARGETS_FILE, entries_of, required_variables

_SECONDS = 5.0
_RUN = "doctor"
_WAITS = "SELECT pid, query, wait_event FROM pg_stat_activity shows what the database waits for"
# A text, whether it is good, and the remedy.
_Seen = tuple[str, bool, str]
_CONNECTED = """
    SELECT current_user, current_setting('server_version'), pg_is_in_recovery(), pg_backend_pid(),
           (SELECT date_trunc('second', coalesce(stats_reset, pg_postmaster_start_time()))::text
              FROM pg_stat_database WHERE datname = current_database()),
           current_setting('track_counts')::bool,
           (SELECT format('%s in schema %I', extversion, nspname) FROM pg_extension e
              JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_stat_statements')
"""
_READABLE = """
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY relname) FROM pg_class c
     WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p')
       AND has_schema_privilege('public', 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
"""
_COPYABLE = """
    SELECT current_user, count(*) > 0 AND bool_and(has_table_privilege(oid, 'SELECT') AND NOT row_security_active(oid))
      FROM pg_class WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p')
"""


class Finding(NamedTuple):
    """
    One line of the doctor.

    good: None: information only.  remedy: what to do when it is not good.  absent: it is not there at all; anything
    that is there and does not work has failed.
    """

    about: str
    text: str
    good: bool | None = True
    remedy: str = ""
    absent: bool = False


def examine(subject: str | None, *, file: Path = TARGETS_FILE) -> int:
    """Print the findings on this machine, and on a target where one is named; 0 all well, 2 something is not."""
    findings = list(_machine())
    if subject is None:
        _show("This machine", findings)
    else:
        variables = _required(subject, file)
        # A blank stands in for each missing secret, so that the rest is examined too.
        blanks = {variable: " " for variable in variables.values() if not os.environ.get(variable)}
        target = load(subject, environ=os.environ | blanks, file=file)
        target.redact_secrets()
        _show("This machine", findings)
        with _running(target) as resolved:
            about = [*_target(resolved, variables, blanks)]
        _show(f"Target {subject}", about)
        findings += about
    return EXIT_USAGE if any(finding.good is False for finding in findings) else 0


def compare(subject: str, *, file: Path = TARGETS_FILE) -> int:
    """Print where a target departs from the contract; 0, also where it does. Raises UsageError, SetupError."""
    from ci.contract import survey  # noqa: PLC0415  (Playwright and pytest are heavy)

    target = load(subject, file=file, uses={"accounts"})
    target.redact_secrets()
    with _running(target) as resolved:
        survey(resolved)
    return 0


def _show(title: str, findings: list[Finding]) -> None:
    width = max(len(finding.about) for finding in findings)
    lines = [f"{title}:"]
    for finding in findings:
        bad = "MISSING" if finding.absent else "FAILED"
        sign = {True: "ok", False: bad, None: ""}[finding.good]
        lines.append(f"  {sign:<7}  {finding.about:<{width}}  {finding.text}")
        if finding.good is False and finding.remedy:
            lines.append(f"  {'':<7}  {'':<{width}}  fix: {finding.remedy}")
    sys.stdout.write(escaping.terminal(redaction.redact("\n".join(lines))) + "\n")


def _machine() -> Iterator[Finding]:
    yield Finding("python", f"{platform.python_version()}, {os.cpu_count()} cores (-n {os.cpu_count()} at most)")
    for lock, needed in ((environment.LOCK, True), (environment.DEV_LOCK, None)):
        there = environment.installed(lock)
        text = "installed" if there else "not installed" + ("" if needed else ", ci/verify selftest does it")
        yield Finding(f"ci/{lock}", text, there or (False if needed else None), "ci/verify --list-checks", absent=True)
    yield _browser()
    try:
        binaries = locate()
        yield Finding(
            "postgresql", f"{binaries.major}.{binaries.version % 10000} from {binaries.source} ({binaries.bindir})"
        )
    except PostgresMissing as error:
        yield Finding(
            "postgresql", "not found; ci/verify installs the locked wheel", good=False, remedy=str(error), absent=True
        )
    yield _vercel_cli()


def _browser() -> Finding:
    try:
        path = find_browser()
    except BrowserError as error:
        return Finding("browser", str(error), good=False)
    if path is None:
        text = "none starts; ci/verify STAGE tries to install one"
        return Finding("browser", text, good=False, remedy=BY_PLAYWRIGHT, absent=True)
    return Finding("browser", f"{browser_version(path)} ({path})")


def _vercel_cli() -> Finding:
    node = shutil.which("node")
    if node is None:
        return Finding("vercel CLI", "no node; only self-tests use it (apt-get install -y nodejs npm)", good=None)
    script = machine.find_vercel_cli()
    text = f"{machine.VERCEL_CLI_VERSION} ({script})" if script else "not installed, ci/verify selftest does it"
    return Finding("vercel CLI", text, good=True if script else None)


def _required(subject: str, file: Path) -> dict[str, str]:
    """Secret -> variable of everything the target cannot do without; raises UsageError for an unknown target."""
    if "://" in subject:
        return {}
    try:
        return required_variables(subject, file)
    except KeyError as error:
        msg = f"doctor {subject}: not in {file}; use a URL or one of {', '.join(entries_of(file))}"
        raise UsageError(msg) from error


@contextmanager
def _running(target: Target) -> Iterator[Target]:
    """Lend the target; start a sandbox for the time of the examination where none runs."""
    if target.url != "sandbox":
        yield target
        return
    from fixtures.target.sandbox_process import start_process  # noqa: PLC0415  (only where a sandbox is started)

    with tempfile.TemporaryDirectory(prefix="7p-doctor-") as directory:
        process = start_process(Path(directory), stage="postdeploy", fault=None)
        try:
            yield load(target.name, handle=process.handle)
        finally:
            process.stop()


def _target(target: Target, variables: Mapping[str, str], missing: Container[str]) -> Iterator[Finding]:
    yield Finding("mode", target.mode, good=None)
    yield Finding("capabilities", ", ".join(sorted(target.capabilities)) or "none", good=None)
    for secret, variable in variables.items():
        there = variable not in missing
        yield Finding(
            variable, f"{secret}, {'set' if there else 'not set'}", there, f"set the variable {variable}", absent=True
        )
    yield _reach("site", target.url)
    for address in target.control_addresses:
        yield _reach("control address", address)
    for secret, about, url, token, remedy in _services(target):
        if variables.get(secret) not in missing:
            yield _asked(about, url, token, remedy)
    if target.database_dsn and variables.get("database_dsn") not in missing:
        yield from look(target.database_dsn, variables.get("database_dsn", "DSN"))
    if target.pooler_dsn and variables.get("pooler_dsn") not in missing:
        # The role sees the same there; only the way in may differ.
        yield next(look(target.pooler_dsn, variables.get("pooler_dsn", "DSN"), about="pooler"))
    copies = {"restore-drill", "rehearsal"} & target.capabilities
    if copies and target.dump_dsn and variables.get("dump_dsn") not in missing:
        yield from look(target.dump_dsn, variables.get("dump_dsn", "DSN"), about="copying")


def _reach(about: str, url: str) -> Finding:
    try:
        with new_client(_SECONDS) as client:
            status = client.get(url).status_code
    except httpx.HTTPError as error:
        return Finding(
            about, f"{url}: no answer ({type(error).__name__})", good=False, remedy=f"curl -sv {url} shows why"
        )
    return Finding(about, f"{url}: answers {status}")


def _services(target: Target) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (secret, name, address that it is tried on, value, remedy) of each service that may be asked."""
    if target.vercel:
        remedy = "make a token in Vercel's account settings, with access to the team, and set its variable"
        yield "vercel_token", "vercel token", f"{target.vercel.api}/v2/user", target.vercel.token, remedy
    if target.github:
        url = f"{target.github.api}/repos/{target.github.repository}"
        remedy = "make a fine-grained token with read of Checks and Commit statuses for this repository"
        yield "github_token", "github token", url, target.github.token, remedy
    if target.stripe:
        remedy = "make a restricted key (rk_…) with read of Balance and Webhook Endpoints, and nothing else"
        yield "stripe_restricted_key", "stripe key", f"{target.stripe.api}/v1/balance", target.stripe.token, remedy
    if target.sentry:
        url = f"{target.sentry.api}/api/0/organizations/{target.sentry.organization}/"
        yield "sentry_token", "sentry token", url, target.sentry.token, "make a token with org:read"


def _asked(about: str, url: str, token: str, remedy: str) -> Finding:
    """Show a token to the service that it is for."""
    try:
        with new_client(_SECONDS) as client:
            answer = client.get(url, headers={"Authorization": f"Bearer {token}"})
    except httpx.HTTPError as error:
        text = f"{url}: no answer ({type(error).__name__})"
        return Finding(about, text, good=False, remedy=f"curl -sv {url}")
    return Finding(about, f"{url} answers {answer.status_code}", answer.is_success, remedy)


def look(dsn: str, variable: str = "DSN", *, about: str = "database") -> Iterator[Finding]:
    """
    Yield the connection of a role, then everything that it may or may not do; read-only.

    variable: the name of the variable that holds the DSN, for the remedy.  about: "database" or "pooler" for the role
    that monitors; "copying" for the one that copies, which must read every row of public.
    """
    looks, role_file = (_copying, "dump_role.sql") if about == "copying" else (_monitoring, "monitor_role.sql")
    try:
        with connect(dsn, _RUN) as connection, time_limit(connection) as expired:
            try:
                yield from (Finding(about, *seen) for seen in looks(connection))
            except psycopg.OperationalError:
                if not expired.is_set():
                    raise
                yield Finding(about, overdue(), good=False, remedy=_WAITS)
    except psycopg.Error as error:
        reason = errors.first_line(error)
        remedy = f'psql "${variable}" from this machine says the same until host, port and network are right'
        if reason.startswith("wrong DSN"):
            remedy = f"export {variable}=postgresql://…, the DSN of the role that ci/sql/{role_file} makes"
        yield Finding(about, f"no connection: {reason}", good=False, remedy=remedy)


def _copying(connection: psycopg.Connection) -> Iterator[_Seen]:
    role, everything = connection.execute(_COPYABLE).fetchone() or ("", False)
    text = f"{'can' if everything else 'cannot'} copy every row of public as {role}"
    yield text, bool(everything), "run ci/sql/dump_role.sql as the owner of the tables"


def _monitoring(connection: psycopg.Connection) -> Iterator[_Seen]:
    row = connection.execute(_CONNECTED).fetchone()
    role, version, standby, process, since, counting, statements = row or ("", "", False, 0, "", False, None)
    way = "direct" if connection.info.backend_pid == process else "through a pooler"
    yield f"PostgreSQL {version}, {'standby' if standby else 'primary'}, as {role}, {way}", True, ""
    counted = f"statistics {'counted since ' + since if counting else 'are not counted'}"
    yield counted, counting, "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf()"
    extension = "CREATE EXTENSION pg_stat_statements (and shared_preload_libraries, with a restart)"
    yield f"pg_stat_statements {statements or 'is not there'}", statements is not None, extension
    answers = connection.execute(privileges.question().encode()).fetchone() or ()
    for (what, view), seen in zip(privileges.views().items(), answers, strict=True):
        yield f"{'sees' if seen else 'does not see'} {view.what}", bool(seen), privileges.remedy(what, f'"{role}"')
    (readable,) = connection.execute(_READABLE).fetchone() or (None,)
    other = "give the checks the role of ci/sql/monitor_role.sql: no customer's row may leave through them"
    yield f"can read {readable or 'no table of the platform'}", not readable, other
