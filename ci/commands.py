"""
The commands of ci/verify, inside the project's environment.

A wrong command line is refused before anything is set up or run. Any other error here ends with "cannot tell" (exit 3),
never with an exit code that says something about a deployment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ci import environment, machine
from ci.child import Child
from ci.gate import EXIT, EXIT_USAGE
from ci.options import Options, parse
from ci.steps import SetupError, say
from fixtures.browser.executable import BROWSER_VARIABLE
from fixtures.model import redaction
from fixtures.model.child_environment import child_environment
from fixtures.model.known_faults import known_faults
from fixtures.model.routes import routes
from fixtures.model.runbook import runbook
from fixtures.model.toml_tables import UsageError
from fixtures.model.verdict import Decision
from fixtures.postgres.binaries import CACHE_VARIABLE, POSTGRES_VARIABLE
from fixtures.run.directory import need_writable
from fixtures.run.network import proxy_for
from fixtures.run.own_error import own_error
from fixtures.target.candidate import need
from fixtures.target.sandbox_process import refuse_fault
from fixtures.target.target import load
from fixtures.target.variants import asked_deployment

EXIT_CANNOT_TELL = EXIT[Decision.HOLD]
_OF_THE_MACHINE = {BROWSER_VARIABLE, machine.VERCEL_CLI_VARIABLE, POSTGRES_VARIABLE, CACHE_VARIABLE}
_LINTERS = (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], ["lint-imports", "--no-cache", "--no-logo"])
_SELFTEST_SECONDS = 3600
_LISTING_SECONDS = 60


def main(argv: Sequence[str]) -> int:
    """Carry out one command line; returns the exit code."""
    try:
        options = parse(argv, root=environment.ROOT)
        os.chdir(environment.ROOT)
        return _carry_out(options)
    except UsageError as error:
        say(redaction.redact(str(error)))
        return EXIT_USAGE
    except SetupError as error:
        say(str(error))
        return EXIT_CANNOT_TELL
    except Exception as error:  # noqa: BLE001  (Python's own exit code 1 would read as "this deployment was rejected")
        say(own_error(error, None))
        return EXIT_CANNOT_TELL


def _carry_out(options: Options) -> int:
    match options.command:
        case "snapshot" | "doctor" | "accept":
            return _tool(options)
        case "selftest":
            return _selftest(options.pytest_args)
        case "list-faults":
            return _list_faults()
        case "list-checks":
            code = Child(["--list-checks", *options.pytest_args], child_environment()).wait(_LISTING_SECONDS)
            # pytest's other codes mean something about a deployment here.
            return code if code in {0, EXIT_USAGE} else EXIT_CANNOT_TELL
    return _stage(options)


def _tool(options: Options) -> int:
    """Run a command besides the stages; psycopg, which two of them need, is heavy."""
    if options.command == "snapshot":
        from ci.snapshot import run  # noqa: PLC0415

        return run(options)
    if options.command == "doctor":
        from ci.doctor import compare, examine  # noqa: PLC0415

        return compare(options.subject) if options.subject and options.contract else examine(options.subject)
    from ci.accept import accept  # noqa: PLC0415

    return accept(options)


def _stage(options: Options) -> int:
    target = load(options.target, environ=options.environ)
    target.redact_secrets()
    proxy_for("")
    # pytest would refuse a wrong table only after everything has been set up.
    runbook()
    routes()
    known_faults()
    if options.fault:
        refuse_fault(options.fault, target, _problem_of_breakage)
    if (options.mode or target.mode) != "off":
        need_writable("--reports", options.reports)
        if options.state:
            need_writable("--state", options.state)
        if options.command == "predeploy" and target.vercel and not target.is_sandbox:
            need(asked_deployment())
        machine.provide_browser()
        if target.is_sandbox:
            machine.provide_postgres()
    from ci.stage import run  # noqa: PLC0415  (the gate is loaded when there is something to judge)

    return run(options)


def _problem_of_breakage(name: str) -> str | None:
    """Return the mistake in the name of a fault or a mutant, None: there is none."""
    if "/" in name:
        from fixtures.sandbox import mutants  # noqa: PLC0415  (only where one is broken)

        try:
            mutants.find(name)
        except LookupError as problem:
            return str(problem)
        return None
    from fixtures.sandbox.faults import nearest  # noqa: PLC0415

    return nearest(name)


def _list_faults() -> int:
    from fixtures.sandbox.faults import CATALOGUE  # noqa: PLC0415  (the sandbox is loaded for nothing else)

    width = max(map(len, CATALOGUE))
    for name, fault in sorted(CATALOGUE.items()):
        where = f"{fault.belongs:<11}  {fault.stage:<10}  {fault.decision:<8}"
        missed = f" (not decided right today: {fault.missed})" if fault.missed else ""
        sys.stdout.write(f"{name:<{width}}  {where}  {fault.summary}{missed}\n")
    return 0


def _selftest(pytest_args: Sequence[str]) -> int:
    """Prove the suite itself; pytest runs last, so that its summary line is the last one."""
    machine.provide_browser()
    machine.provide_postgres()
    machine.provide_pgbouncer()
    cli = machine.provide_vercel_cli()
    of_a_run = {name for name in os.environ if name.startswith("SYNTHETIC_")} - _OF_THE_MACHINE
    environ = child_environment({machine.VERCEL_CLI_VARIABLE: str(cli)} if cli else {}, without=of_a_run)
    programs = Path(sys.executable).parent
    red = [
        [name, *options]
        for name, *options in _LINTERS
        if subprocess.run([programs / name, *options], env=environ, check=False).returncode  # noqa: S603
    ]
    for linter in red:
        say(f"RED: {' '.join(linter)}")
    # Most of the time a self-test waits; a module stays in one worker, which sets its fixtures up once.
    arguments = ["tests/selftest", "-m", "not proof", "-n", "4", "--dist", "loadscope", "--no-loadscope-reorder"]
    arguments += pytest_args
    tests = Child(arguments, environ).wait(_SELFTEST_SECONDS)
    return tests or int(bool(red))
