"""The host's name and certificate, which users need before any deployment can answer."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest

from fixtures.checks.budgets import Budgets
from fixtures.checks.evidence import Evidence
from fixtures.site.addresses import addresses_of, certificate_of
from fixtures.target.target import Target

HTTPS = 443


@pytest.mark.daily
@pytest.mark.check(severity="P1", judges="upkeep", runbook="application-not-loading", needs=("dns",))
def test_every_address_of_the_host_answers(target: Target, evidence: Evidence) -> None:
    """When one of three addresses is dead, every third visitor waits for a page that never comes."""
    host = urlsplit(target.url).hostname or ""
    found = addresses_of(host, urlsplit(target.url).port or HTTPS)

    evidence.measure("addresses", len(found.answering), "")
    assert found.silent == []
    assert found.answering != []


@pytest.mark.daily
@pytest.mark.check(severity="P0", judges="upkeep", runbook="application-not-loading", needs=("tls",))
def test_the_certificate_is_renewed_in_time(target: Target, budgets: Budgets, evidence: Evidence) -> None:
    """Once the renewal fails and the certificate expires, every browser warns users away from the platform."""
    host = urlsplit(target.url).hostname or ""
    shown, now = certificate_of(host, urlsplit(target.url).port or HTTPS), time.time()

    evidence.measure("certificate, days left", shown.days_left(now), "d")
    assert shown.used(now) <= budgets.certificate_used
