"""A fresh machine is set up once, only from the locks, also after an interruption."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from ci import environment, steps
from ci.environment import ROOT
from ci.gate import EXIT_USAGE
from ci.steps import SetupError
from fixtures.target.targets_file import TARGETS_FILE

CANNOT_TELL = 3
# All that ci/verify needs before anything is installed.
OWN = [f"ci/{name}" for name in ("__init__.py", "verify", "environment.py", "process.py", "steps.py")]
OWN += [f"fixtures/{name}" for name in ("__init__.py", "model/__init__.py", "model/child_environment.py")]


def _pinned(lock: str) -> dict[str, str]:
    text = (ROOT / "ci" / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("lock", "extra"),
    [(environment.LOCK, None), (environment.DEV_LOCK, "dev"), (environment.POSTGRES_LOCK, "postgres")],
)
def test_locks_hold_what_pyproject_asks_for(lock: str, extra: str | None) -> None:
    """A version that was raised in one file only is not the one that runs; the lock's head says how to make it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = project["dependencies"] + (project["optional-dependencies"][extra] if extra else [])
    pins = _pinned(lock)
    wrong = []
    for requirement in asked:
        name, _, version = re.sub(r"\[.*?\]", "", requirement).partition("==")
        if name not in pins or (version and pins[name] != version):
            wrong.append(requirement)

    assert wrong == []
    assert _pinned(environment.LOCK).items() <= pins.items()


@pytest.mark.parametrize("lock", [environment.LOCK, environment.DEV_LOCK, environment.POSTGRES_LOCK])
def test_locks_name_hashes_and_no_registry(lock: str) -> None:
    """The machine chooses the package index; the project chooses the packages."""
    text = (ROOT / "ci" / lock).read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]

    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"https?://\S+|--(?:extra-)?index-url|--find-links", text) == []


def test_workflow_hands_over_every_secret_a_target_needs() -> None:
    """A variable that is named in targets.toml and not in the workflow is exit 2 on the first real deployment."""
    workflow = (ROOT / ".github/workflows/verify.yml").read_text(encoding="utf-8")
    targets = tomllib.loads(TARGETS_FILE.read_text(encoding="utf-8"))
    variables = {variable for entry in targets.values() for variable in entry.get("variables", {}).values()}

    assert variables
    assert [name for name in sorted(variables) if f"{name}: ${{{{ secrets.{name} }}}}" not in workflow] == []


def test_no_event_takes_the_place_of_another_in_the_queue() -> None:
    """GitHub keeps one waiting run of a group: the event of a preview would evict a promotion for good."""
    workflow = (ROOT / ".github/workflows/verify.yml").read_text(encoding="utf-8")
    (group,) = re.findall(r"^  group: (.+)$", workflow, re.MULTILINE)

    assert "github.event.action" in group
    assert "github.event.client_payload.id" in group
    assert "github.run_id" in group
    assert "cancel-in-progress: false" in workflow


def test_workflows_pin_every_action_by_commit() -> None:
    """A tag can be moved to other code, which would then hold the tokens."""
    used = [
        action
        for workflow in (ROOT / ".github/workflows").glob("*.yml")
        for action in re.findall(r"uses: (\S+)", workflow.read_text(encoding="utf-8"))
    ]

    assert used
    assert [action for action in used if not re.search(r"@[0-9a-f]{40}$", action)] == []


class Project:
    """A checkout with ci/verify's own files, one locked package, and a command that prints what it was given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "index"
        self.index.mkdir(parents=True)
        for name in OWN:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
        printed = "tiny.VERSION, os.getcwd(), sys.path[0], *argv"
        command = f"import os, sys, tiny\ndef main(argv):\n    print({printed})\n    return 0\n"
        (root / "ci" / "commands.py").write_text(command, encoding="utf-8")
        self.lock(self.wheel("1"))

    def wheel(self, version: str) -> str:
        """Put tiny-VERSION into the index and return its requirement with hash."""
        path = self.index / f"tiny-{version}-py3-none-any.whl"
        about = f"tiny-{version}.dist-info"
        files = {
            "tiny.py": f"VERSION = {version!r}\n",
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        lines = []
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
                digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
                lines.append(f"{name},sha256={digest},{len(text)}\n")
            archive.writestr(f"{about}/RECORD", "".join([*lines, f"{about}/RECORD,,\n"]))
        return f"tiny=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"

    def lock(self, text: str) -> None:
        """Write the lock."""
        (self.root / "ci" / environment.LOCK).write_text(text, encoding="utf-8")

    def start(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Start ci/verify as its own process; its packages come from the index beside it only."""
        ours = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), "PIP_CONFIG_FILE": os.devnull}
        return subprocess.Popen(
            [sys.executable, self.root / "ci" / "verify", *arguments],
            cwd=cwd or self.root,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root), **ours},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def verify(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        process = self.start(*arguments, cwd=cwd)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make a project that has never been set up."""
    return Project(tmp_path / "checkout")


def test_set_up_is_done_once_and_follows_the_lock(project: Project, tmp_path: Path) -> None:
    """The second run needs no index at all; a changed lock is installed; the user's directory shadows nothing."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "tiny.py").write_text("VERSION = 'shadow'", encoding="utf-8")
    first = project.verify("postdeploy", "--", "-k", "x", cwd=elsewhere)
    shutil.move(project.index, tmp_path / "gone")
    offline = project.verify("daily")
    shutil.move(tmp_path / "gone", project.index)
    project.lock(project.wheel("2"))
    newer = project.verify("daily")

    assert first.stdout == f"1 {elsewhere} {project.root} postdeploy -- -k x\n"
    assert (offline.stdout, offline.stderr) == (f"1 {project.root} {project.root} daily\n", "")
    assert newer.stdout.startswith("2 ")


def test_package_that_is_not_the_locked_one_is_refused_and_the_next_run_repairs(project: Project) -> None:
    """A package that nobody reviewed must not run: one line, "cannot tell", and nothing half installed stays."""
    good = project.wheel("1")
    project.lock("tiny==1 --hash=sha256:" + "0" * 64 + "\n")
    refused = project.verify("postdeploy")
    project.lock(good)
    repaired = project.verify("postdeploy")

    assert refused.returncode == CANNOT_TELL
    assert refused.stdout == ""
    assert refused.stderr.splitlines()[-1].startswith("ci/verify: installing ci/requirements.lock into .venv failed")
    assert refused.stderr.splitlines()[-1].endswith("pip install --require-hashes -r ci/requirements.lock")
    assert repaired.stdout.startswith("1 ")


def test_interrupted_set_up_is_made_anew(project: Project) -> None:
    """A set-up that was killed may leave half a package that pip takes for a whole one."""
    project.verify("postdeploy")
    (project.root / ".venv" / f"{environment.LOCK}.stamp").unlink()
    (project.root / ".venv" / "unfinished-setup").touch()
    (half,) = (project.root / ".venv").glob("lib/python3*/site-packages/tiny.py")
    half.write_text("half a pack", encoding="utf-8")
    again = project.verify("postdeploy")

    assert again.stdout.startswith("1 ")


def test_two_at_once_set_up_one_after_the_other(project: Project) -> None:
    """A push and a promotion may start it in the same minute on one runner."""
    both = [project.start("postdeploy"), project.start("daily")]
    ended = [(process.communicate(timeout=120), process.returncode) for process in both]

    assert [code for _, code in ended] == [0, 0]
    assert [out.split()[0] for (out, _), _ in ended] == ["1", "1"]
    assert sum("waiting for the set-up" in err for (_, err), _ in ended) == 1


def test_python_without_ensurepip_is_installed_by_apt_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian packs it separately, and the message of venv about that is a paragraph."""
    asked: list[str] = []
    package = f"python3.{sys.version_info.minor}-venv"
    monkeypatch.setattr(steps, "find_spec", lambda _name: None)
    monkeypatch.setattr(steps, "apt_install", lambda name, **_: asked.append(name))
    monkeypatch.setattr(steps, "may_use_apt", lambda: True)
    steps.need_ensurepip()
    monkeypatch.setattr(steps, "may_use_apt", lambda: False)

    with pytest.raises(SetupError, match=rf"\(no ensurepip\); fix, as root: apt-get install -y {package}$"):
        steps.need_ensurepip()
    assert asked == [package]


@pytest.mark.parametrize("newer", [False, True])
def test_old_python_hands_over_to_a_newer_one_or_says_so(tmp_path: Path, newer: bool) -> None:  # noqa: FBT001
    """`python3` is what the system has; a newer one is often beside it. A version manager's shim may not start."""
    shims = {"python3.13": "echo 'command not found' >&2; exit 127"}
    if newer:
        shims["python3.12"] = '[ "$1" = -c ] || echo "newer: $2 $3"'
    for name, script in shims.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    old = (
        "import runpy, sys; sys.version_info = (3, 9, 2); sys.argv = ['ci/verify', 'postdeploy', '--dry-run']; "
        f"runpy.run_path({str(ROOT / 'ci' / 'verify')!r}, run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", old], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )

    if newer:
        assert (ended.returncode, ended.stdout) == (0, "newer: postdeploy --dry-run\n")
    else:
        assert (ended.returncode, ended.stdout) == (EXIT_USAGE, "")
        assert ended.stderr == "ci/verify: Python 3.11 or newer is needed, this is 3.9; fix: install one\n"
