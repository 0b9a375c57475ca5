"""Fixtures that several tests of the gate share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.selftest.gate.patient import Patient


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    """Return a production that serves a bad deployment."""
    from tests.selftest.gate.patient import a_patient  # noqa: PLC0415  (half a second that few modules need)

    with a_patient(tmp_path) as patient:
        yield patient
