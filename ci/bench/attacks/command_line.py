"""Wrong arguments: they end with exit 2 and one line, and the line contains no secret."""

from __future__ import annotations

from collections.abc import Iterator

from ci.bench.attacks.arena import Arena, Seen
from ci.bench.attacks.attack import KEPT, KEPT_OR_HELD, PLACES, REFUSED, Attack, Right
from ci.gate import EXIT_USAGE

_SECRET = "canary-of-an-address"  # noqa: S105  (a word to look for)
_REFUSED = {
    "url-with-fragment": ("--target={url}/#courses",),
    "url-with-spaces": ("--target=http://127.0.0.1:1/a b",),
    "url-without-host": ("--target=http://",),
    "url-with-bad-port": ("--target=http://127.0.0.1:99999",),
    "url-with-word-port": ("--target=http://127.0.0.1:http",),
    "url-of-another-scheme": ("--target=ftp://127.0.0.1/",),
    "url-of-a-file": ("--target=file:///etc/passwd",),
    "url-with-control-characters": ("--target=http://127.0.0.1\x1b[31m/",),
    "url-with-brackets": ("--target=http://[::1",),
    "url-with-query": (f"--target=http://127.0.0.1:1/?token={_SECRET}",),
    "url-with-password": (f"--target=http://user:{_SECRET}@127.0.0.1:1/",),
    "url-with-user": (f"--target=http://{_SECRET}@127.0.0.1:1/",),
    "target-empty": ("--target=",),
    "target-unknown": ("--target=produktion",),
    "state-empty": ("--state=",),
    "state-is-a-file": ("--state=/etc/hostname",),
    "state-nowhere": ("--state=/proc/nowhere",),
    "reports-empty": ("--reports=",),
    "reports-is-a-file": ("--reports=/etc/hostname",),
    "reports-nowhere": ("--reports=/proc/nowhere",),
    "reports-too-long": ("--reports=/tmp/" + "x" * 300,),
    "reports-in-a-loop": ("--reports={folder}/loop/reports",),
    "platform-repo-nowhere": ("--platform-repo=/nonexistent",),
    "workers-negative": ("-n", "-1"),
    "workers-word": ("-n", "many"),
    "workers-too-many": ("-n", "99999999999999999999"),
    "mode-unknown": ("--mode=acting",),
    "flag-unknown": ("--no-such-flag",),
    "fault-unknown": ("--fault=no-such-fault",),
    "fault-of-a-running-platform": ("--fault=courses-500", "--target={url}"),
    "pytest-flag-unknown": ("--", "--no-such-flag"),
    "pytest-expression-torn": ("--", "-k", "(robots"),
    "pytest-path-unknown": ("--", "tests/smoke/no_such_file.py"),
}
# A legal URL may be accepted without its query or credentials; then nobody answers at its address. Wrong arguments of
# pytest may also be refused by pytest itself.
_HELD = Right(("usage", "hold"), seconds=60)
_ACCEPTABLE = {
    "url-with-fragment": KEPT_OR_HELD,
    **dict.fromkeys((name for name in _REFUSED if name.startswith("pytest-")), _HELD),
    **dict.fromkeys(("url-with-query", "url-with-password", "url-with-user"), _HELD),
}
_KEPT = {
    "reports-with-spaces": ("--reports={folder}/raporlar ve şeyler", "--state={folder}/state"),
    "reports-through-a-link": ("--reports={folder}/link", "--state={folder}/state"),
    "state-with-spaces": ("--reports={folder}/reports", "--state={folder}/durum ö"),
}


def _lay_links(arena: Arena) -> None:
    (arena.folder / "loop").symlink_to(arena.folder / "loop")
    (arena.folder / "behind").mkdir()
    (arena.folder / "link").symlink_to(arena.folder / "behind")


def _one_line(_arena: Arena, seen: Seen) -> list[str]:
    """Find more than one line, and the secret of the address."""
    said = (seen.out + seen.err).strip()
    lines = len(said.splitlines()) if seen.code == EXIT_USAGE else 1
    problems = [] if lines <= 2 else [f"{lines} lines instead of one"]  # noqa: PLR2004  (pytest may add one)
    return problems + (["the secret of the address was printed"] if _SECRET in said else [])


def _by_pytest(_arena: Arena, _seen: Seen) -> list[str]:
    """Find no further problem: pytest prints its own lines about its arguments."""
    return []


def _named() -> Iterator[tuple[str, Attack]]:
    for name, arguments in _REFUSED.items():
        kept = tuple(flag for flag in PLACES if flag.split("=")[0] not in " ".join(arguments))
        yield (
            name,
            Attack(
                summary=f"ci/verify postdeploy {' '.join(arguments)[:60]!r}",
                right=_ACCEPTABLE.get(name, REFUSED),
                arguments=(*kept, *arguments),
                prepare=_lay_links,
                proof=_by_pytest if name.startswith("pytest-") else _one_line,
            ),
        )
    for name, arguments in _KEPT.items():
        yield (
            name,
            Attack(summary=f"ci/verify postdeploy {arguments}", right=KEPT, arguments=arguments, prepare=_lay_links),
        )


ATTACKS = dict(_named())
