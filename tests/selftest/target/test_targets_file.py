"""The targets file: the habits of editors that it allows, and the mistakes that are one line each."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.model.redaction import redact
from fixtures.model.toml_tables import UsageError
from fixtures.target.target import Target, load

HEALTHY = """
[mine]
url = "https://7p.test"
mode = "shadow"
capabilities = ["accounts", "database", "vercel"]
third_parties = { stripe = "https://Status.test/api" }
vercel = { api = "https://api.test/", project = "p" }
variables = { vercel_token = "T", database_dsn = "D", student_email = "E", student_password = "P", slack_webhook = "S" }
"""
ENVIRON = {"T": "token", "D": "postgresql://m:p@db.test/x", "E": "a@b.test", "P": " p ä ", "S": "https://hooks.test/x"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a file of targets is written."""
    return tmp_path / "t.toml"


def read(file: Path, content: str | bytes, environ: dict[str, str] | None = None) -> Target:
    """Write the file and resolve its target."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load("mine", environ=ENVIRON | (environ or {}), file=file)


def test_a_byte_order_mark_and_crlf_are_no_mistake(file: Path) -> None:
    """Editors on Windows write both."""
    target = read(file, b"\xef\xbb\xbf" + HEALTHY.replace("\n", "\r\n").encode())

    assert target.url == "https://7p.test"
    assert target.third_parties == {"stripe": "https://status.test/api"}
    assert target.vercel is not None
    assert target.vercel.api == "https://api.test"


def test_the_path_of_the_webhook_is_a_secret(file: Path) -> None:
    """The path alone lets everybody post there; a target may echo it without the host."""
    read(file, HEALTHY, {"S": "https://hooks.test/services/T0/canary-of-a-path"}).redact_secrets()

    assert "canary" not in redact("POST /services/T0/canary-of-a-path")


def test_an_address_of_the_file_has_one_form(file: Path) -> None:
    """Two forms of one host would count as two hosts."""
    assert read(file, HEALTHY.replace("https://7p.test", "HTTPS://7P.Test.:443/")).url == "https://7p.test"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (HEALTHY.encode().replace(b"shadow", b"shad\xffow"), r"byte 44 \(0xff\) is not UTF-8; save the file as UTF-8"),
        (HEALTHY.encode("utf-16"), r"byte 0 \(0xff\) is not UTF-8"),
        (b"", "--target mine: not in "),
        (b"\x00", "t.toml: "),
        (b"a = " + b"[" * 5000, "t.toml: .*correct it"),
        (b"a = " + b"9" * 5000, "t.toml: .*correct it"),
        (HEALTHY + 'mode = "off"', "mode|overwrite"),
        (HEALTHY + '"a\\nb" = 1', r"unknown field `a b`"),
        (HEALTHY + "[other]\nurl = 1", r"\[other\]: Expected `str`, got `int` - at `\$\.url`"),
        ("mine = 1", r"\[mine\]: Expected `object`, got `int`"),
        (HEALTHY + "rollback_cooldown_minutes = nan", "rollback_cooldown_minutes"),
        (HEALTHY + "rollback_cooldown_minutes = inf", "rollback_cooldown_minutes"),
        (HEALTHY + "rollback_cooldown_minutes = -1", "rollback_cooldown_minutes"),
        (HEALTHY + 'control_addresses = ["x.test"]', "mine.control_addresses x.test: expected http"),
        (HEALTHY.replace("https://Status", "file://Status"), r"mine.third_parties.stripe file://Status.test: expected"),
        (HEALTHY.replace("https://api", "https://u:p@api"), r"mine.vercel.api https://…: expected"),
        (HEALTHY.replace("https://7p.test", "https://7p.test/?x=y"), r"mine.url https://7p.test: expected"),
        (HEALTHY.replace('"T"', '""'), "vercel but no mine.variables.vercel_token; name the environment variable"),
        (HEALTHY.replace("vercel_token =", "vercel_tokne ="), "mine.variables has unknown vercel_tokne; known: "),
    ],
)
def test_a_file_that_cannot_be_meant_is_one_line(file: Path, content: str | bytes, says: str) -> None:
    """The line names the file, and the byte, row or key."""
    with pytest.raises(UsageError, match=says) as refused:
        read(file, content)

    assert "t.toml" in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"T": "to ken"}, "T holds a space"),
        ({"T": "tökén"}, "T holds a space, a control character or a letter outside of ASCII"),
        ({"T": "token\r\nx: y"}, "T holds a space"),
        ({"S": "hooks.test/hunter2"}, "S hooks.test: expected http"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_by_its_variable(file: Path, environ: dict[str, str], says: str) -> None:
    """A header cannot carry it, and the error of the library would show it."""
    with pytest.raises(UsageError, match=says) as refused:
        read(file, HEALTHY, environ)

    assert "hunter2" not in str(refused.value)


def test_a_line_end_that_came_with_a_secret_is_dropped(file: Path) -> None:
    """`gh secret set` from a file keeps it; a password may begin or end with a space."""
    target = read(file, HEALTHY, {"T": "token\n", "D": f"{ENVIRON['D']}\r\n"})

    assert target.vercel is not None
    assert target.vercel.token == "token"  # noqa: S105  (not a secret)
    assert target.database_dsn == ENVIRON["D"]
    assert target.accounts["student"].password == " p ä "  # noqa: S105  (not a secret)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://m:p%40ss-word@db.test/x",
        "postgresql://m@db.test/x?password=p%40ss-word",
        "host=db.test user=m password=p@ss-word",
        r"host=db.test password = 'p\@ss-word' user=m",
    ],
)
def test_the_password_of_every_form_of_a_database_address_is_a_secret(file: Path, dsn: str) -> None:
    """PostgreSQL's errors name parts of the address, and the password is one."""
    assert {"p@ss-word", dsn} <= set(read(file, HEALTHY, {"D": dsn}).secrets())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.binary(max_size=200), st.integers(0, len(HEALTHY)), st.integers(0, 60))
def test_any_change_of_the_file_is_a_target_or_one_line(file: Path, put: str | bytes, at: int, cut: int) -> None:
    """No content of a file is a traceback."""
    middle = put.encode(errors="surrogatepass") if isinstance(put, str) else put
    line = ""
    try:
        read(file, HEALTHY.encode()[:at] + middle + HEALTHY.encode()[at + cut :])
    except UsageError as refused:
        line = str(refused)

    assert line.isprintable()


@given(st.dictionaries(st.sampled_from(["T", "D", "E", "P", "S"]), st.text()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_of_a_variable_is_a_target_or_one_line(file: Path, environ: dict[str, str]) -> None:
    """No value is a traceback, and none is repeated in the line."""
    line = ""
    try:
        read(file, HEALTHY, environ).secrets()
    except UsageError as refused:
        line = str(refused)

    assert line.isprintable()


@given(st.binary() | st.just(b"[" * 100_000) | st.recursive(st.none() | st.text(), st.lists).map(msgspec.json.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_no_handle_of_a_sandbox_is_one_line(file: Path, content: bytes) -> None:
    """A variable of an earlier shell may name a file that something else has written since."""
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"^SYNTHETIC_SANDBOX=.*: not the handle of a running sandbox") as refused:
        load("sandbox", environ={"SYNTHETIC_SANDBOX": str(file)})

    assert str(refused.value).isprintable()


def test_a_url_takes_the_platforms_repository_too(tmp_path: Path) -> None:
    """The option is not dropped without a word, and its checks run."""
    (tmp_path / "supabase" / "migrations").mkdir(parents=True)

    target = load("https://7p.test", environ={}, platform_repo=tmp_path)

    assert target.platform_repo == tmp_path
    assert "platform-repo" in target.capabilities
