"""How NextAuth's cookies have to be written, on https as well, where no sandbox is."""

from __future__ import annotations

import pytest

from tests.smoke.test_foreign_sites import faults_of_cookies

FLAGS = "Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    ("line", "secure", "faults"),
    [
        (f"next-auth.csrf-token=a; {FLAGS}", False, []),
        (f"__Host-next-auth.csrf-token=a; {FLAGS}; Secure", True, []),
        (f"__Secure-next-auth.session-token.0=a; {FLAGS}; Secure; Domain=7p.test", True, []),
        ("next-auth.csrf-token=a; Path=/; SameSite=Lax", False, ["next-auth.csrf-token without httponly"]),
        ('a b="c,d"; Path=/', True, []),
        ("tercih=açık; Domain=7p.test", False, []),
        ("session-token=a; Path=/; SameSite=Lax; HttpOnly", False, ["session-token is not named …"]),
        (
            f"next-auth.session-token=a; {FLAGS}",
            True,
            ["next-auth.session-token without secure", "next-auth.session-token is not named __Secure-…"],
        ),
        (
            f"__Secure-next-auth.csrf-token=a; {FLAGS}; Secure",
            True,
            ["__Secure-next-auth.csrf-token is not named __Host-…"],
        ),
        (
            f"__Host-next-auth.csrf-token=a; {FLAGS}; Secure; Domain=7p.test",
            True,
            ["__Host-next-auth.csrf-token for a whole domain"],
        ),
    ],
)
def test_cookies_are_held_against_the_scheme_of_the_site(line: str, secure: bool, faults: list[str]) -> None:  # noqa: FBT001  (a parameter of the table)
    """Over https a name without its prefix can be set by plain http, and by another host of the domain."""
    assert faults_of_cookies([line], secure=secure) == faults
