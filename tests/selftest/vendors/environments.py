"""A healthy environment for the self-tests, and functions that change it."""

from __future__ import annotations

from fixtures.vendors import environment as variables
from fixtures.vendors.environment_sources import Environment

URL = "https://7peducation.vercel.app"
HEALTHY: dict[str, str | None] = {
    "NODE_ENV": "production",
    "NEXTAUTH_URL": URL,
    "NEXTAUTH_SECRET": "0123456789abcdef0123456789abcdef",
    "NEXT_PUBLIC_SUPABASE_URL": "https://abcdefgh.supabase.co",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY": "anonymous-key-of-the-selftest",
    "SUPABASE_SERVICE_ROLE_KEY": "service-key-of-the-selftest",
    "SUPABASE_SERVICE_KEY": "service-key-of-the-selftest",
    "PAYMENTS_MODE": "stripe",
    "STRIPE_SECRET_KEY": "sk_live_0123456789abcdef",
    "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY": "pk_live_0123456789abcdef",
    "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef",
    "FEATURE_ENROLL_FREE": "true",
    "FREE_ENROLLMENT_CODE": "7P-2025",
}


def having(**changed: str | None) -> Environment:
    """Return the healthy environment with some values changed."""
    return Environment("selftest", HEALTHY | changed)


def without(*names: str) -> Environment:
    """Return the healthy environment without some variables."""
    return Environment("selftest", {name: value for name, value in HEALTHY.items() if name not in names})


def problems(environment: Environment, *, live: bool = True) -> list[str]:
    """Return all problems of an environment."""
    return [
        *variables.missing(environment),
        *variables.malformed(environment),
        *variables.elsewhere(environment, URL),
        *variables.mistaken_keys(environment, live=live),
        *variables.wrong_flags(environment),
    ]
