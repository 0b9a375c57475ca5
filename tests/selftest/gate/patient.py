"""A production that serves a bad deployment, to be rolled back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ci.rollback import Order, Result, roll_back
from fixtures.sandbox.edge.deployments import Deployment
from fixtures.sandbox.edge.edge import Edge
from fixtures.state.state import State
from fixtures.target.targets_file import VercelAccess
from fixtures.target.vercel import Vercel
from tests.selftest.sandbox.running_edge import RunningEdge, run_edge


@dataclass
class Patient:
    """Production serves `bad`; `good` served it before."""

    running: RunningEdge
    good: Deployment
    bad: Deployment
    vercel: Vercel
    state: State

    @property
    def edge(self) -> Edge:
        """The edge to break."""
        return self.running.edge

    @property
    def order(self) -> Order:
        """Return the order to roll back from `bad` to `good`."""
        return Order(
            run_id="run-1",
            url=self.edge.production_url,
            host=self.edge.production_listener.address,
            deployment_id=self.bad.id,
            target_id=self.good.id,
            reason="7P Verify run-1: P0 health",
            cooldown=1800,
        )

    def roll_back(self, deadline: float = 10, sleep: Callable[[float], None] = time.sleep) -> Result:
        """Try the rollback."""
        return roll_back(self.order, self.state, self.vercel, deadline=deadline, sleep=sleep)


def access_of(running: RunningEdge) -> VercelAccess:
    """Return how the edge's API is asked."""
    return VercelAccess(api=running.api.url, project=running.edge.project.name, token=running.edge.token)


@contextmanager
def a_patient(directory: Path) -> Iterator[Patient]:
    """Make a patient whose state is in this directory."""
    with run_edge() as running, Vercel(access_of(running)) as vercel:
        good = running.publish(promote=True)
        bad = running.publish(promote=True)
        yield Patient(running, good, bad, vercel, State(directory))
