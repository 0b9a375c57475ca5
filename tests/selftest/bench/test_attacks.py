"""The tools of the attacks work: a suite survives every attack that does nothing."""

from __future__ import annotations

import zlib
from pathlib import Path

import httpx
import pytest

from ci.bench.attacks.arena import Arena, NotReachedError, Seen
from ci.bench.attacks.attack import KEPT, Attack
from ci.bench.attacks.hostile import ACTIVE, active_text, wired
from ci.bench.attacks.sandboxes import Sandboxes
from ci.bench.attacks.wires import bomb, raw

MB = 1 << 20


@pytest.fixture
def arena(tmp_path: Path) -> Arena:
    """Return an arena without a sandbox: its folder only."""
    arena = object.__new__(Arena)
    arena.folder = tmp_path
    return arena


def test_the_proxy_is_hostile_only_while_production_serves_the_candidate(tmp_path: Path) -> None:
    """A rollback must be able to heal: the control behind the same address is healthy."""
    breaks = wired({"/courses": raw(b"HTTP/1.1 599 Odd\r\ncontent-length: 0\r\n\r\n")}, "x-motto: ışık\r\n".encode())
    attack = Attack(summary="a proxy", right=KEPT, breaks=breaks)
    # The proxy closes a connection after it has broken an answer, and does not say so before.
    client = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
    with Sandboxes() as sandboxes, sandboxes.arena(tmp_path, attack) as arena, client:
        edge = arena.sandbox.edge

        def ask(path: str) -> httpx.Response:
            return client.get(f"{edge.production_url}{path}")

        assert ask("/courses").status_code == 599
        assert dict(ask("/robots.txt").headers.raw)[b"x-motto"] == "ışık".encode()
        assert ask("/robots.txt").headers["x-deployment-id"] == arena.candidate
        pinned = client.get(f"{edge.production_url}/courses", headers={"cookie": f"__vdpl={arena.control}"})
        assert pinned.status_code != 599
        edge.rollback(arena.control)
        assert ask("/courses").status_code != 599
        assert "x-motto" not in ask("/robots.txt").headers


def test_a_compressed_bomb_grows_a_thousandfold() -> None:
    """Each chunk of a kilobyte becomes a megabyte when it is unpacked."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    chunks = [chunk.partition(b"\r\n")[2][:-2] for chunk, _ in zip(bomb(zlib.MAX_WBITS | 16), range(4), strict=False)]

    assert sum(map(len, chunks)) < 10_000
    assert sum(len(unpack.decompress(chunk)) for chunk in chunks) == 4 * MB


@pytest.mark.parametrize("name", ["ansi", "c1-control", "carriage-return", "bidi", "workflow-command"])
def test_an_active_text_in_the_terminal_is_found(arena: Arena, name: str) -> None:
    """Nothing that a target sends may act in a terminal or in a workflow."""
    assert active_text(arena, Seen(0, f"first line{ACTIVE[name]}", "", {}, 1.0, 1, [])) != []


@pytest.mark.parametrize("name", ["html", "markdown"])
def test_an_active_text_in_a_file_is_found(arena: Arena, name: str) -> None:
    """A summary is rendered as Markdown, and a report as HTML."""
    (arena.folder / "reports").mkdir()
    (arena.folder / "reports" / "summary.md").write_text(ACTIVE[name], encoding="utf-8")

    assert active_text(arena, Seen(0, "", "", {}, 1.0, 1, [])) != []


def test_escaped_text_is_no_active_text(arena: Arena) -> None:
    """An escaped text is what the suite should print."""
    (arena.folder / "summary.md").write_text(r"\[7P-ACTIVE\](http://evil.test) &lt;script&gt;", encoding="utf-8")

    assert active_text(arena, Seen(0, r"title \x1b[31m7P-ACTIVE: ::error::", "", {}, 1.0, 1, [])) == []


def test_a_moment_that_never_comes_ends_the_wait_with_the_run(arena: Arena) -> None:
    """The bench says that an attack was never carried out, and does not wait for ever."""
    with pytest.raises(NotReachedError, match="the moon is full"):
        arena.wait_for(2**22 + 1, lambda: False, "the moon is full")
