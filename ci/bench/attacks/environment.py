"""Variables of the machine: none of them may turn an outage into `keep`, or a healthy deployment into an outage."""

from __future__ import annotations

from collections.abc import Iterator

from ci.bench.attacks.arena import Arena
from ci.bench.attacks.attack import KEPT_OR_HELD, NOT_KEPT, Attack

_BROKEN = "courses-500"
_NO_SITE = "import httpx, pytest\nhttpx.Client.get = httpx.Client.post = None\n"
# variable -> values. `_lay_traps` makes the files below {folder}; not even root can make a directory /proc/nowhere.
_VARIABLES: dict[str, tuple[str, ...]] = {
    # pytest would run fewer checks, none, or others.
    "PYTEST_ADDOPTS": (
        "-k robots",
        "--collect-only",
        "-x --maxfail=1 -p no:logging",
        "--deselect tests/smoke",
        "--junk",
    ),
    "PYTEST_PLUGINS": ("no_such_plugin", "trap_plugin"),
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ("1",),
    "PYTEST_XDIST_WORKER": ("gw7",),
    "PYTEST_XDIST_AUTO_NUM_WORKERS": ("40",),
    "PYTEST_THEME": ("no-such-theme",),
    "PYTEST_DEBUG": ("1",),
    # Python would skip asserts, find other modules, or treat warnings as errors.
    "PYTHONOPTIMIZE": ("1", "2"),
    "PYTHONPATH": ("{folder}/shadow",),
    "PYTHONWARNINGS": ("error", "no-such-action"),
    "PYTHONUTF8": ("0",),
    "PYTHONIOENCODING": ("ascii", "utf-16"),
    "PYTHONDEVMODE": ("1",),
    "PYTHONSTARTUP": ("{folder}/shadow/sitecustomize.py",),
    "PYTHONUSERBASE": ("/nonexistent",),
    "PYTHONINSPECT": ("1",),
    "PYTHONSAFEPATH": ("1",),
    "PYTHONHASHSEED": ("0",),
    "PYTHONINTMAXSTRDIGITS": ("640",),
    "PYTHONBREAKPOINT": ("no.such",),
    "PYTHONPYCACHEPREFIX": ("/proc/nowhere",),
    # libpq would use another server, limit or role.
    "PGHOST": ("192.0.2.1",),
    "PGHOSTADDR": ("192.0.2.1",),
    "PGPORT": ("1",),
    "PGUSER": ("nobody",),
    "PGPASSWORD": ("wrong",),
    "PGOPTIONS": ("-c statement_timeout=1", "-c search_path=nowhere", "--no-such-option"),
    "PGSSLMODE": ("verify-full",),
    "PGSERVICE": ("no-such-service",),
    "PGPASSFILE": ("/dev/full",),
    "PGCLIENTENCODING": ("SQL_ASCII", "LATIN1"),
    "PGDATESTYLE": ("German",),
    "PGTZ": ("Pacific/Kiritimati",),
    "PGCONNECT_TIMEOUT": ("1",),
    "PGTARGETSESSIONATTRS": ("standby",),
    # Proxies and certificates.
    "HTTP_PROXY": ("http://127.0.0.1:9",),
    "HTTPS_PROXY": ("http://127.0.0.1:9",),
    "ALL_PROXY": ("socks5://127.0.0.1:9",),
    "http_proxy": ("not a url",),
    "NO_PROXY": ("*",),
    "SSL_CERT_FILE": ("/nonexistent",),
    "SSL_CERT_DIR": ("/dev/null",),
    "SSLKEYLOGFILE": ("/dev/full",),
    "OPENSSL_CONF": ("/nonexistent",),
    # The browser and its driver.
    "DEBUG": ("pw:*",),
    "PWDEBUG": ("1",),
    "PLAYWRIGHT_BROWSERS_PATH": ("/proc/nowhere",),
    "NODE_OPTIONS": ("--require /nonexistent.js", "--max-old-space-size=16"),
    "NODE_EXTRA_CA_CERTS": ("/nonexistent",),
    "CHROME_HEADLESS": ("0",),
    # The machine.
    "LC_ALL": ("C", "tr_TR.UTF-8", "no_SUCH.locale"),
    "LANG": ("tr_TR.ISO-8859-9",),
    "TZ": ("Pacific/Kiritimati", "no/such/zone"),
    "HOME": ("/proc/nowhere", "{folder}/closed"),
    "TMPDIR": ("{folder}/" + "long-" * 24 + "name", "/proc/nowhere"),
    "XDG_CACHE_HOME": ("/dev/null",),
    "COLUMNS": ("1", "many"),
    "TERM": ("no-such-terminal",),
    "FORCE_COLOR": ("3",),
    "LD_PRELOAD": ("/nonexistent.so",),
    "MALLOC_ARENA_MAX": ("1",),
    "VIRTUAL_ENV": ("/nonexistent",),
    "PATH": ("/nonexistent",),
    "COVERAGE_PROCESS_START": ("/nonexistent",),
    # GitHub's variables decide where a summary is written.
    "GITHUB_STEP_SUMMARY": ("/dev/full", "/nonexistent/summary"),
    "GITHUB_OUTPUT": ("/dev/full", "/nonexistent/output"),
    # Our own variables, left over from another run.
    "SYNTHETIC_RUN_ID": ("another-run",),
    "SYNTHETIC_RUN_DIR": ("/proc/nowhere",),
    "SYNTHETIC_DEPLOYMENT": ("dpl_nobody",),
    "SYNTHETIC_RERUN": ("1",),
    "SYNTHETIC_TARGET": ("no-such-target",),
}


def _lay_traps(arena: Arena) -> None:
    """Make the files that the values name: modules that break a run, and a home directory without rights."""
    shadow = arena.folder / "shadow"
    shadow.mkdir()
    for module in ("sitecustomize.py", "trap_plugin.py", "usercustomize.py"):
        (shadow / module).write_text(_NO_SITE, encoding="utf-8")
    (arena.folder / "closed").mkdir(mode=0o500)
    (arena.folder / ("long-" * 24 + "name")).mkdir(mode=0o711)


def _named() -> Iterator[tuple[str, Attack]]:
    for variable, values in _VARIABLES.items():
        for number, value in enumerate(values, 1):
            name = variable if len(values) == 1 else f"{variable}-{number}"
            shown = value if len(value) < 40 else f"{value[:37]}…"  # noqa: PLR2004  (the width of a table)
            healthy = Attack(
                summary=f"{variable}={shown}, and the deployment is healthy",
                right=KEPT_OR_HELD,
                environment={variable: value},
                prepare=_lay_traps,
            )
            broken = Attack(
                summary=f"{variable}={shown}, and the course list answers 500",
                right=NOT_KEPT,
                fault=_BROKEN,
                environment={variable: value},
                prepare=_lay_traps,
            )
            yield f"{name}/broken", broken
            # Further values of a variable are other ways to hide an outage.
            if number == 1:
                yield f"{name}/healthy", healthy


ATTACKS = dict(_named())
