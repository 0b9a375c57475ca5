"""The files that other programs read: GitHub and Dependabot ignore a wrong one in silence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from ci.commands import _LINTERS

ROOT = Path(__file__).parents[3]
GITHUB = ROOT / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


class Attributes(msgspec.Struct, forbid_unknown_fields=True):
    """The words of one field of a form. value: Markdown.  options: of a dropdown."""

    label: str = ""
    description: str = ""
    placeholder: str = ""
    value: str = ""
    render: str = ""
    options: list[str] = []


class Field(msgspec.Struct, forbid_unknown_fields=True):
    """One field of a form."""

    type: Literal["markdown", "input", "textarea", "dropdown"]
    attributes: Attributes
    id: str = ""
    validations: dict[Literal["required"], bool] = {}


class Form(msgspec.Struct, forbid_unknown_fields=True):
    """GitHub's form of an issue."""

    name: str
    description: str
    body: list[Field]
    labels: list[str] = []


class Hook(msgspec.Struct):
    """One hook of pre-commit."""

    id: str
    entry: str
    pass_filenames: bool = True


class Hooks(msgspec.Struct):
    """A source of hooks."""

    repo: str
    hooks: list[Hook]


class PreCommit(msgspec.Struct, forbid_unknown_fields=True):
    """The file .pre-commit-config.yaml."""

    repos: list[Hooks]


class Update(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    """One ecosystem that Dependabot keeps up to date."""

    package_ecosystem: str
    directory: str
    schedule: dict[Literal["interval"], Literal["weekly"]]
    groups: dict[str, dict[Literal["patterns"], list[str]]]
    cooldown: dict[Literal["default-days"], int]


class Dependabot(msgspec.Struct, forbid_unknown_fields=True):
    """The file dependabot.yml."""

    version: Literal[2]
    updates: list[Update]


@pytest.mark.parametrize("file", FORMS, ids=lambda path: path.name)
def test_every_issue_form_can_be_filled_in(file: Path) -> None:
    """GitHub hides a form with a mistake, and the report arrives without the facts that somebody needs to act."""
    form = msgspec.yaml.decode(file.read_bytes(), type=Form)
    asked = [field for field in form.body if field.type != "markdown"]
    ids = [field.id for field in asked]

    assert asked
    assert sorted(set(ids)) == sorted(ids)
    assert [field.id for field in asked if not field.id or not field.attributes.label] == []
    assert [field.id for field in asked if (field.type == "dropdown") != bool(field.attributes.options)] == []
    # GitHub's own word for "nothing chosen".
    assert [field.id for field in asked if "none" in map(str.lower, field.attributes.options)] == []
    assert [field for field in form.body if field.type == "markdown" and not field.attributes.value] == []


def test_the_chooser_and_the_workflows_are_yaml() -> None:
    """GitHub offers the three forms and no blank page, and runs no workflow that it cannot read."""
    chooser = msgspec.yaml.decode((GITHUB / "ISSUE_TEMPLATE" / "config.yml").read_bytes(), type=dict[str, object])
    workflows = [msgspec.yaml.decode(file.read_bytes(), type=dict) for file in (GITHUB / "workflows").glob("*.yml")]

    assert chooser == {"blank_issues_enabled": False}
    assert [flow for flow in workflows if "jobs" not in flow] == []


def test_dependabot_looks_after_the_packages_and_the_actions() -> None:
    """Packages and actions both run beside production's tokens, so none of them may grow old unseen."""
    updates = msgspec.yaml.decode((GITHUB / "dependabot.yml").read_bytes(), type=Dependabot).updates

    assert [update.package_ecosystem for update in updates] == ["pip", "github-actions"]


def test_pre_commit_runs_the_linters_of_the_self_tests() -> None:
    """A linter that only the CI runs reports half an hour later than it could."""
    config = msgspec.yaml.decode((ROOT / ".pre-commit-config.yaml").read_bytes(), type=PreCommit)
    hooks = [hook for source in config.repos for hook in source.hooks]
    run = [hook.entry.removeprefix(".venv/bin/") for hook in hooks]

    assert {source.repo for source in config.repos} == {"local"}
    assert [" ".join(linter) for linter in _LINTERS if not any(_same(linter, entry.split()) for entry in run)] == []
    assert [hook.id for hook in hooks if not (ROOT / hook.entry.split()[0]).exists()] == []
    # ruff would rewrite ci/verify, a Python file by its first line, in words that an old Python cannot read.
    assert [hook.id for hook in hooks if hook.pass_filenames] == []


def _same(linter: list[str], entry: list[str]) -> bool:
    """Whether an entry runs this linter; it may correct where the self-tests only look."""
    words = [word for word in linter if not word.startswith("--")]
    return entry[: len(words)] == words


def test_the_owners_name_paths_that_are_there() -> None:
    """An owner of a path that is gone guards nothing."""
    lines = (GITHUB / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    paths = [found[1] for line in lines if (found := re.match(r"#? ?/(\S+)\s+\S", line))]

    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_security_lists_every_secret_that_the_workflow_hands_over() -> None:
    """After a leak nobody has the time to find out which rights a secret has."""
    workflow = (GITHUB / "workflows" / "verify.yml").read_text(encoding="utf-8")
    secrets = set(re.findall(r"secrets\.(\w+)", workflow))
    told = (GITHUB / "SECURITY.md").read_text(encoding="utf-8")

    assert secrets
    assert [secret for secret in sorted(secrets) if f"`{secret}`" not in told] == []
