"""A secret is masked in every way in which it is written down on its way."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest

from fixtures.model import redaction

SECRET = 'kanarya şifre~*"0123'  # noqa: S105  (made up)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(SECRET, id="plain"),
        pytest.param(quote(SECRET, safe=""), id="in an address"),
        pytest.param(urlencode({"": SECRET})[1:], id="in a form"),
        pytest.param("kanarya+%C5%9Fifre%7E*%220123", id="in the form of a browser"),
        pytest.param(json.dumps(SECRET)[1:-1], id="in JSON of ASCII"),
        pytest.param(json.dumps(SECRET, ensure_ascii=False)[1:-1], id="in JSON"),
    ],
)
def test_a_secret_is_masked_however_it_is_written(written: str) -> None:
    """A password with a space, a quote or a letter of Turkish is as secret as another."""
    redaction.register([SECRET])

    assert redaction.redact(f"<{written}>") == f"<{redaction.SHOWN}>"
