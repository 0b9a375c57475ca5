"""A hostile target: answers without an end, pages that block a browser, and texts with active characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import psycopg
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ci.bench.attacks.arena import Arena, Seen
from ci.bench.attacks.attack import GENTLE, KEPT, Attack, Break, Right
from ci.bench.attacks.front import Wire, put_in_front
from ci.bench.attacks.wires import APIS, HEADERS, MANY_HEADERS, PAGES
from fixtures.sandbox.app.call import Build, Call, Handler
from fixtures.sandbox.sandbox import Sandbox

_DECIDED_WITHIN_S = 60.0
_ALL_SILENT_S = 30.0
_HARMED = Right(("rollback",))
# The answer exceeds a bound, but users may still get on: that is a finding, never an error of the suite.
_FOUND = Right((*GENTLE, "rollback", "incident"))
_WORD = "7P-ACTIVE"
ACTIVE = {
    "ansi": f"\x1b[2J\x1b]0;{_WORD}\x07\x1b[31m",
    "c1-control": f"\x9b31m{_WORD}\x85",
    "carriage-return": f"ok\r{_WORD}\x08\x08",
    "bidi": f"\u202e{_WORD}\u2066",
    "html": f"<img src=x onerror=alert('{_WORD}')><script>{_WORD}</script>",
    "markdown": f"[{_WORD}](http://evil.test) ![{_WORD}](http://evil.test/x.png) | a | b |\n# {_WORD}",
    "workflow-command": f"\n::error file=a::{_WORD}\n::set-output name=decision::keep",
    "workflow-output": f"x\ndecision=keep\nexit_code=0\n{_WORD}<<EOF",
    "slack": f"<!channel> <http://evil.test|{_WORD}>",
}
_SCRIPTS = {
    "loop": ("a script loops for ever", "for(;;){}", _HARMED),
    "dialogs": ("dialogs without an end", "for(;;){alert('7P')}", _HARMED),
    "debugger": ("a script stops in the debugger, again and again", "setInterval(()=>{debugger},1)", _FOUND),
    "reload": ("the page reloads for ever", "location.reload()", _HARMED),
    "memory": (
        "a script takes memory without an end",
        "const a=[];setInterval(()=>a.push(new Uint8Array(5e7).fill(1)),1)",
        _FOUND,
    ),
    "console-flood": (
        "console lines without an end",
        "setInterval(()=>{for(let i=0;i<5000;i++)console.log('7P '+i)},1)",
        _FOUND,
    ),
    "console-line": ("a console line of 50 MB", "console.error('a'.repeat(5e7))", _FOUND),
    "error-flood": ("errors without an end", "setInterval(()=>{throw new Error('7P')},0)", _FOUND),
    "pop-ups": ("pop-ups without an end", "setInterval(()=>window.open('/?'+Math.random()),20)", _FOUND),
    "downloads": (
        "downloads without an end",
        "setInterval(()=>{const a=document.createElement('a');a.href='data:text/plain,a';a.download='a';a.click()},20)",
        _FOUND,
    ),
    "requests": (
        "requests without an end",
        "setInterval(()=>{for(let i=0;i<20;i++)fetch('/robots.txt?'+Math.random())},10)",
        _FOUND,
    ),
    "frames": (
        "frames without an end",
        "setInterval(()=>document.body&&document.body.append(document.createElement('iframe')),1)",
        _FOUND,
    ),
    "history": (
        "history entries without an end",
        "let n=0;setInterval(()=>history.pushState(0,'','/?'+n++),1)",
        _FOUND,
    ),
    "elements": (
        "elements without an end",
        "setInterval(()=>{for(let i=0;i<2000;i++)document.body&&document.body.append(document.createElement('p'))},1)",
        _FOUND,
    ),
    "unload-dialog": (
        "a page that does not want to be left",
        "onbeforeunload=e=>{e.preventDefault();return '7P'}",
        _FOUND,
    ),
    "workers": ("workers without an end", "setInterval(()=>new Worker('data:text/javascript,for(;;){}'),50)", _FOUND),
    "prototype": (
        "a script that breaks what scripts stand on",
        "JSON.stringify=Array.prototype.map=()=>{throw 7}",
        _FOUND,
    ),
    "print": ("the printer's dialog", "print()", _FOUND),
}
_PATHS = ("/", "/courses", "/login")


def _bounded(within: float = _DECIDED_WITHIN_S) -> Callable[[Arena, Seen], list[str]]:
    """Find a late decision, and an error of the suite's own code."""

    def proof(_arena: Arena, seen: Seen) -> list[str]:
        problems = []
        decided = float(seen.decision.get("seconds", {}).get("causes", 0.0))
        if decided > within:
            problems.append(f"decided after {decided:.0f} s, the bound is {within:.0f} s")
        # A set-up that finds no course has the outcome suite-error too; this one is the suite's own.
        if "an error of the suite itself" in seen.out:
            problems.append("the target's answer became an error of the suite's own")
        return problems

    return proof


def active_text(arena: Arena, seen: Seen) -> list[str]:
    """Return the places where a planted text is active: terminal, summary, workflow output, pages."""
    problems = []
    for name, text in (("the terminal", seen.out), ("its errors", seen.err)):
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text):
            problems.append(f"a control character in {name}")
        # GitHub reads a command only at the start of a line, after spaces as well.
        if re.search(r"^\s*::(?:error|set-output)\b", text, re.MULTILINE):
            problems.append(f"a workflow command in {name}")
    for path in sorted(arena.folder.rglob("*")):
        if not path.is_file() or path.suffix not in {".md", ".html", ""} or path.parent == arena.folder:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if f"<script>{_WORD}" in text or "<img src=x onerror" in text:
            problems.append(f"live HTML in {path.name}")
        if path.suffix != ".html" and f"[{_WORD}](http://evil.test" in text:
            problems.append(f"a live link in {path.name}")
    output = arena.folder / "github" / "output"
    if output.exists() and _WORD in output.read_text(encoding="utf-8"):
        problems.append("a planted line in GITHUB_OUTPUT")
    return problems


def wired(
    wires: dict[str, Wire], headers: bytes = b"", *, turns: Sequence[bool] = (True,), control_too: bool = False
) -> Break:
    """Break a sandbox by a proxy in front of its candidate. turns, control_too: as of `put_in_front`."""

    async def sandbox(sandbox: Sandbox) -> None:
        await put_in_front(sandbox, wires, headers, turns=turns, control_too=control_too)

    return Break(sandbox=sandbox)


def _scripted(script: str) -> Break:
    def build(build: Build) -> None:
        # The page's policy allows its own files.
        build.assets["app.js"] = script.encode() + b"\n" + build.assets["app.js"]

    return Break(build=build)


def _large(page: str) -> Break:
    def build(build: Build) -> None:
        build.pages["home.html"] = build.pages["home.html"].replace("</h1>", f"</h1>{page}", 1)

    return Break(build=build)


def _by_wire() -> Iterator[tuple[str, Attack]]:
    for name, (summary, wire) in PAGES.items():
        breaks = wired(dict.fromkeys(_PATHS, wire))
        yield name, Attack(summary=f"pages: {summary}", right=_HARMED, breaks=breaks, proof=_bounded())
    for name, (summary, wire) in APIS.items():
        breaks = wired({"/api/courses": wire})
        yield name, Attack(summary=f"the course list: {summary}", right=_HARMED, breaks=breaks, proof=_bounded())
    for table, right in ((HEADERS, KEPT), (MANY_HEADERS, _FOUND)):
        for name, (summary, lines) in table.items():
            breaks = wired({}, lines)
            yield name, Attack(summary=f"every answer: {summary}", right=right, breaks=breaks, proof=_bounded())
    everywhere = ("nothing", "hang", "hang-in-the-body", "dripping-body")
    for name in everywhere:
        summary, wire = PAGES[name]
        within = _ALL_SILENT_S if name == "hang" else _DECIDED_WITHIN_S
        breaks = wired({"*": wire})
        yield (
            f"{name}-anywhere",
            Attack(summary=f"every path: {summary}", right=_HARMED, breaks=breaks, proof=_bounded(within)),
        )


def _by_silence() -> Iterator[tuple[str, Attack]]:
    """Yield deployments that hang, and another thing is odd as well."""
    _, hang = PAGES["hang"]
    incident = Right(("incident",))

    def without_control(arena: Arena) -> None:
        for name, deployment in arena.sandbox.edge.deployments.items():
            deployment.deleted = deployment.deleted or name != arena.candidate

    yield (
        "hang-for-every-second",
        Attack(
            summary="every path: one visitor in two waits for ever",
            right=_HARMED,
            breaks=wired({"*": hang}, turns=(True, False)),
            proof=_bounded(),
        ),
    )
    yield (
        "hang-with-control",
        Attack(
            summary="every path: the control hangs as well",
            right=incident,
            breaks=wired({"*": hang}, control_too=True),
            proof=_bounded(_ALL_SILENT_S),
        ),
    )
    yield (
        "hang-without-control",
        Attack(
            summary="every path hangs, and there is no earlier deployment",
            right=incident,
            breaks=wired({"*": hang}),
            prepare=without_control,
            proof=_bounded(_ALL_SILENT_S),
        ),
    )


def _by_page() -> Iterator[tuple[str, Attack]]:
    for name, (summary, script, right) in _SCRIPTS.items():
        yield f"script-{name}", Attack(summary=summary, right=right, breaks=_scripted(script), proof=_bounded())
    pages = {
        "page-wide": ("300,000 elements", "<p>7P</p>" * 300_000),
        "page-deep": ("50,000 elements in each other", "<div>" * 50_000),
        "page-text": ("a word of 20 MB", "a" * 20_000_000),
        "page-attributes": ("an element with 100,000 attributes", f"<p {' '.join(f'a{n}=b' for n in range(100_000))}>"),
        "page-links": ("20,000 links", "".join(f'<a href="/courses?{n}">7P</a>' for n in range(20_000))),
    }
    for name, (summary, page) in pages.items():
        yield name, Attack(summary=f"the home page has {summary}", right=_FOUND, breaks=_large(page), proof=_bounded())


def _course_title(text: str) -> Break:
    async def sandbox(sandbox: Sandbox) -> None:
        async with await psycopg.AsyncConnection.connect(sandbox.postgres.superuser_dsn, autocommit=True) as connection:
            await connection.execute("UPDATE public.courses SET title = left(title, 20) || %s", (text,))

    return Break(sandbox=sandbox)


def _refusing(text: str) -> Break:
    def build(build: Build) -> None:
        async def around(call: Call, handler: Handler) -> Response:
            path = call.request.url.path
            if path == "/api/courses":
                return JSONResponse({"success": False, "error": text, text: text}, 500)
            if path in {"/", "/courses"}:
                return PlainTextResponse(f"<title>{text}</title><h1>{text}</h1>", 500, media_type="text/html")
            return await handler(call)

        build.around.append(around)
        script = f"console.error({text!r}); setTimeout(() => {{ throw new Error({text!r}) }}, 0);"
        build.assets["login.js"] = script.encode("utf-8", "replace") + b"\n" + build.assets["login.js"]

    return Break(build=build)


def _by_text() -> Iterator[tuple[str, Attack]]:
    github = {"GITHUB_STEP_SUMMARY": "{folder}/github/summary.md", "GITHUB_OUTPUT": "{folder}/github/output"}

    def prepare(arena: Arena) -> None:
        (arena.folder / "github").mkdir()

    for name, text in ACTIVE.items():
        yield (
            f"text-{name}/title",
            Attack(
                summary=f"every course's title holds {name}",
                right=KEPT,
                breaks=_course_title(text),
                environment=github,
                prepare=prepare,
                proof=active_text,
            ),
        )
        yield (
            f"text-{name}/refusal",
            Attack(
                summary=f"errors of pages, of the API and of scripts hold {name}",
                right=_HARMED,
                breaks=_refusing(text),
                environment=github,
                prepare=prepare,
                proof=active_text,
            ),
        )


ATTACKS = dict(_by_wire()) | dict(_by_silence()) | dict(_by_page()) | dict(_by_text())
