"""Unusual terminals and limits: the exit code is the decision's, and a failure to print changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from ci.bench.attacks.arena import Arena, Seen
from ci.bench.attacks.attack import KEPT, KEPT_OR_HELD, NOT_KEPT, ROLLED_BACK, Attack

_ASCII = "LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 "
# These do not harm the run itself: the decision must be the ordinary one.
_PRINTING = {
    "stdout-closed": 'exec "$@" >&-',
    "stderr-closed": 'exec "$@" 2>&-',
    "both-closed": 'exec "$@" >&- 2>&-',
    "stdin-closed": 'exec "$@" <&-',
    "all-closed": 'exec "$@" <&- >&- 2>&-',
    "stdout-full": 'exec "$@" >/dev/full',
    "stderr-full": 'exec "$@" 2>/dev/full',
    "both-full": 'exec "$@" >/dev/full 2>&1',
    "read-by-head": '"$@" | head -n 1; exit ${{PIPESTATUS[0]}}',
    "read-by-nobody": '"$@" | true; exit ${{PIPESTATUS[0]}}',
    "read-by-nobody-at-all": '"$@" 2>&1 | true; exit ${{PIPESTATUS[0]}}',
    "ascii": f'exec env {_ASCII} "$@"',
    "ascii-and-head": f'env {_ASCII} "$@" | head -n 1; exit ${{{{PIPESTATUS[0]}}}}',
    "umask-000": 'umask 000; exec "$@"',
    "umask-077": 'umask 077; exec "$@"',
    "sigpipe-ignored": "trap '' PIPE; exec \"$@\"",
    "sigchld-ignored": "trap '' CHLD; exec \"$@\"",
    "hangup-ignored": 'exec nohup "$@"',
    "interrupt-ignored": "trap '' INT TERM; exec \"$@\"",
    "background": '"$@" & wait $!',
    "niced": 'exec nice -n 19 "$@"',
    "another-directory": 'cd /; exec "$@"',
    "descriptors-open": 'exec 5</dev/null 6</dev/zero 7>/dev/full; exec "$@"',
}
# These take something that the run needs: it may say so and hold.
_LIMITS = {
    "umask-777": 'umask 777; exec "$@"',
    "few-files": 'ulimit -n 64; exec "$@"',
    "very-few-files": 'ulimit -n 16; exec "$@"',
    "small-files": 'ulimit -f 8; exec "$@"',
    "no-core": 'ulimit -c 0; exec "$@"',
    "little-stack": 'ulimit -s 256; exec "$@"',
    "little-memory": 'ulimit -v 1500000; exec "$@"',
    "little-time": 'ulimit -t 3; exec "$@"',
    "directory-removed": 'mkdir {folder}/gone; cd {folder}/gone; rmdir {folder}/gone; exec "$@"',
    "full-disk-of-reports": "exec unshare -m /bin/sh -c 'mkdir -p {folder}/reports && mount -t tmpfs -o size=16k none "
    '{folder}/reports && exec "$@"\' attack "$@"',
    # Room for the start and not for all: a healthy run writes 370 small files.
    "filling-disk-of-reports": "exec unshare -m /bin/sh -c 'mkdir -p {folder}/reports && mount -t tmpfs -o size=1300k "
    'none {folder}/reports && exec "$@"\' attack "$@"',
    "full-disk-of-state": "exec unshare -m /bin/sh -c 'mkdir -p {folder}/state && mount -t tmpfs -o size=4k none "
    '{folder}/state && exec "$@"\' attack "$@"',
    "full-disk-of-tmp": "exec unshare -m /bin/sh -c 'mount -t tmpfs -o size=256k none {folder}/tmp && exec \"$@\"' "
    'attack "$@"',
    "reports-read-only": "exec unshare -m /bin/sh -c 'mkdir -p {folder}/reports && mount -t tmpfs -o ro none "
    '{folder}/reports && exec "$@"\' attack "$@"',
    "home-read-only": "exec unshare -m /bin/sh -c 'mkdir -p {folder}/home && mount -t tmpfs -o ro none {folder}/home "
    '&& HOME={folder}/home exec "$@"\' attack "$@"',
}


def _acted(arena: Arena, seen: Seen) -> list[str]:
    """Find an exit code 1 without a rollback: Python uses this code for its own errors."""
    return ["exit 1, and nothing was rolled back"] if seen.code == 1 and not arena.moves else []


def _undecided_is_no_rejection(_arena: Arena, seen: Seen) -> list[str]:
    """Find an exit code 1 of a healthy deployment."""
    return ["exit 1 of a healthy deployment"] if seen.code == 1 else []


def _named() -> Iterator[tuple[str, Attack]]:
    for name, shell in _PRINTING.items():
        about = name.replace("-", " ")
        yield f"{name}/healthy", Attack(summary=f"{about}, and the deployment is healthy", right=KEPT, shell=shell)
        yield (
            f"{name}/broken",
            Attack(
                summary=f"{about}, and every page answers 500",
                right=ROLLED_BACK,
                fault="pages-500",
                shell=shell,
                proof=_acted,
            ),
        )
    for name, shell in _LIMITS.items():
        about = name.replace("-", " ")
        yield (
            f"{name}/healthy",
            Attack(
                summary=f"{about}, and the deployment is healthy",
                right=KEPT_OR_HELD,
                shell=shell,
                proof=_undecided_is_no_rejection,
                leaves=True,
                unseen=True,
            ),
        )
        yield (
            f"{name}/broken",
            Attack(
                summary=f"{about}, and every page answers 500",
                right=NOT_KEPT,
                fault="pages-500",
                shell=shell,
                proof=_acted,
                leaves=True,
                unseen=True,
            ),
        )


ATTACKS = dict(_named())
