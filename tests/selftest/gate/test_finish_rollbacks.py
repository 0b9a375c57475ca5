"""The rollback of a killed gate, and its record after the next run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from ci.rollback import refuse
from ci.unfinished import finish_rollbacks
from fixtures.state.state import RollbackRecord
from tests.selftest.gate.patient import Patient, access_of

ROOT = Path(__file__).resolve().parents[3]
CHILD = """
import json, sys
from pathlib import Path
from ci.rollback import Order, roll_back
from fixtures.target.vercel import Vercel
from fixtures.state.state import State
from fixtures.target.targets_file import VercelAccess
given = json.loads(sys.stdin.read())
roll_back(Order(**given["order"]), State(Path(given["state"])), Vercel(VercelAccess(**given["access"])))
"""


class TestKilled:
    """The gate is killed in the middle; the next run finds out how the rollback ended."""

    def kill_when(self, patient: Patient, step: str) -> None:
        """Roll back in a process of its own, and kill it when the state says `step`."""
        given = {"order": patient.order, "state": str(patient.state.path), "access": access_of(patient.running)}
        child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, cwd=ROOT)
        assert child.stdin is not None
        child.stdin.write(msgspec.json.encode(given))
        child.stdin.close()
        until = time.monotonic() + 20
        while [record.step for record in patient.state.rollbacks()] != [step] and time.monotonic() < until:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()

        assert [record.step for record in patient.state.rollbacks()] == [step]

    def settled(self, patient: Patient) -> tuple[str, str]:
        """Settle; return the line for the report and the step of the record."""
        told = finish_rollbacks(patient.state, patient.vercel, patient.order.host)
        assert len(told) == 1
        return told[0], patient.state.rollbacks()[0].step

    def test_before_the_request_was_accepted(self, patient: Patient) -> None:
        """The rollback never happened, so a later run may try it."""
        patient.edge.rollback_status = 500
        self.kill_when(patient, "intended")
        patient.edge.rollback_status = None

        told, step = self.settled(patient)

        assert "was never made" in told
        assert step == "abandoned"
        assert refuse(replace(patient.order, run_id="run-2"), patient.state, patient.vercel) is None

    def test_after_the_request_was_accepted(self, patient: Patient) -> None:
        """Vercel finishes the rollback without the gate, and the next run reports it."""
        patient.edge.job_outcome = "stuck"
        self.kill_when(patient, "requested")
        told, step = self.settled(patient)
        assert "its request arrived and its job is" in told
        assert step == "requested"

        async def finish() -> None:
            patient.edge.rollback(patient.good.id)

        patient.running.do(finish())
        told, step = self.settled(patient)

        assert patient.bad.id in told
        assert f"production serves {patient.good.id}" in told
        assert step == "proved"

    def test_nothing_to_settle(self, patient: Patient) -> None:
        """A finished one is not told again."""
        patient.roll_back()

        assert finish_rollbacks(patient.state, patient.vercel, patient.order.host) == []

    def test_the_request_got_out_and_production_serves_something_else(self, patient: Patient) -> None:
        """The report names the facts and does not guess a reason."""
        record = RollbackRecord(
            run_id="run-0",
            deployment_id=patient.bad.id,
            target_id="dpl_elsewhere",
            reason="",
            intended_at=0,
            step="requested",
        )
        patient.state.record_rollback(record)

        assert self.settled(patient)[1] == "unproved"
