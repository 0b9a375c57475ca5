"""A student of the sandbox, for the self-tests of the web application."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.selftest.sandbox.running_app import RunningApp


@pytest.fixture
def student(app: RunningApp) -> Iterator[httpx.Client]:
    """Lend a client of a student without enrolments, and remove the test's enrolments."""
    with app.client("other_student") as client:
        yield client
    of_student = "(SELECT id FROM public.users WHERE email = %s)"
    for table in ("lesson_progress", "enrollments", "payment_transactions"):
        app.rows(f"DELETE FROM public.{table} WHERE user_id = {of_student}", app.accounts["other_student"].email)  # noqa: S608
