"""How NextAuth's cookies have to be written, on https as well, where no sandbox is."""

from __future__ import annotations

import pytest

from tests.smoke.test_foreign_sites import faults_of_cookies

NO_LAX = "access_token without samesite=lax"
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
        ("session-token=a; Path=/; SameSite=Lax", False, ["session-token without httponly"]),
        ("__Host-next-auth.session-token=a; HttpOnly; path = /; SameSite=strict; SECURE; Priority=High", True, []),
        ("__Secure-authjs.session-token=a; Path=/; HttpOnly; SameSite=Lax; Secure; Expires=Thu, 1 Jan 2099", True, []),
        ("next-auth.session-token=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", True, []),
        ("__Secure-next-auth.session-token=a; Max-Age=0", True, []),
        ("__Secure-next-auth.callback-url=https%3A%2F%2F7p.test; Path=/; Secure", True, []),
        ("refresh_token=a; Path=/; HttpOnly; Secure; SameSite=Strict", True, []),
        ("access_token=a; Path=/; Secure; SameSite=None", True, ["access_token without httponly", NO_LAX]),
        ("NEXT_LOCALE=tr; Path=/", True, []),
        ("__cf_bm=a.b-1; Path=/; Expires=x; Domain=.7p.test; HttpOnly; Secure; SameSite=None; Partitioned", True, []),
        ("csrf-token=a; Path=/", True, []),
        ("ab_session-token_test=b; Path=/", True, []),
        ('consent={"next-auth.session-token": "kabul"}; Path=/', True, []),
        (f"_ga={'9' * 4000}; Domain=7p.test; Path=/", True, []),
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
