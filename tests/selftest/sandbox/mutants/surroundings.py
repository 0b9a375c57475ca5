"""The vendors and the edge around a stub of the application, for the rules that change them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from fixtures.sandbox.edge.edge import Edge
from fixtures.sandbox.edge.vercel_api import VercelApi
from fixtures.sandbox.mutants.mutant import Mutant
from fixtures.sandbox.sandbox import Sandbox
from tests.selftest.sandbox.running_app import TRUSTED
from tests.selftest.sandbox.running_edge import stub

COMMIT = "c" * 40
ADDRESS, PASSWORD = "ogrenci@7peducation.test", "the right one"
_ANSWERS_IN_S = 0.5


class Surroundings:
    """A sandbox without its application and database. troubles: what users or operators would meet in it."""

    def __init__(self) -> None:
        self.sandbox = Sandbox()
        self.client = httpx.AsyncClient(trust_env=False, timeout=_ANSWERS_IN_S, verify=TRUSTED)

    async def open(self) -> None:
        """Start the vendors and the edge, and deploy a control and a candidate."""
        sandbox = self.sandbox
        await sandbox.sinks.open(sandbox.listeners)
        sandbox.edge = Edge(stub, listeners=sandbox.listeners)
        await sandbox.edge.open()
        sinks = sandbox.sinks
        sinks.stripe.settings.listen(sandbox.edge.production_url)
        sinks.supabase_data.select = self._rows
        sinks.supabase_data.identity.find, sinks.supabase_data.identity.add = self._account, self._new_account
        self.keys = dict(sinks.supabase_data.keys)
        self.secret_key = sinks.stripe.secret_key
        for _ in range(2):
            await sandbox.publish(sandbox.healthy_build(), promote=True)
        sandbox.control = await sandbox.publish(sandbox.healthy_build(), promote=True)
        sandbox.candidate = await sandbox.publish(sandbox.healthy_build(), promote=True)
        self.api = await sandbox.listeners.open(VercelApi(sandbox.edge).app)

    async def close(self) -> None:
        """Close every address."""
        await self.client.aclose()
        await self.sandbox.listeners.close()

    async def troubles(self) -> set[str]:
        """Name what does not work."""
        found = {
            "events": self._events_stop,
            "stripe": self._stripe_stops,
            "mode": self._mode_differs,
            "supabase": self._supabase_stops,
            "identity": self._identity_errs,
            "backups": self._backups_lack,
            "commit": self._commit_lacks,
            "release": self._release_lacks,
            "domain": self._domain_leads_nowhere,
            "older": self._domain_leads_elsewhere,
        }
        return {name for name, question in found.items() if await question()}

    async def _json(self, url: str, **more: Any) -> Any:  # noqa: ANN401  (any JSON; None without a good answer)
        try:
            answer = await self.client.request(more.pop("method", "GET"), url, **more)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code < 400 else None

    async def _stripe(self, path: str, key: str, **more: Any) -> Any:  # noqa: ANN401
        url = f"{self.sandbox.sinks.stripe_listener.url}{path}"
        return await self._json(url, headers={"authorization": f"Bearer {key}"}, **more)

    async def _events_stop(self) -> bool:
        listed = await self._stripe("/v1/webhook_endpoints", self.sandbox.sinks.stripe.settings.key or "")
        wanted = f"{self.sandbox.edge.production_url}/api/webhooks/stripe"
        return not any(
            row["url"] == wanted
            and row["status"] == "enabled"
            and {"*", "checkout.session.completed"} & set(row["enabled_events"])
            for row in (listed or {"data": []})["data"]
        )

    async def _stripe_stops(self) -> bool:
        begun = {"mode": "payment", "success_url": "https://7peducation.test/done"}
        session = await self._stripe("/v1/checkout/sessions", self.secret_key, method="POST", data=begun)
        return session is None or not session["id"].startswith("cs_test_")

    async def _mode_differs(self) -> bool:
        balance = await self._stripe("/v1/balance", self.secret_key)
        return balance is not None and balance["livemode"]

    async def _supabase(self, path: str, **more: Any) -> Any:  # noqa: ANN401
        url = f"{self.sandbox.sinks.supabase_data_listener.url}{path}"
        return await self._json(url, headers={"apikey": self.keys["anon"]}, **more)

    async def _supabase_stops(self) -> bool:
        tables = ("users", "courses", "review_helpfulness")
        rows = [await self._supabase(f"/rest/v1/{table}") for table in tables]
        health = await self._supabase("/auth/v1/health")
        return None in rows or health is None or health["name"] != "GoTrue"

    async def _identity_errs(self) -> bool:
        sign_in = "/auth/v1/token?grant_type=password"
        asked = [{"email": ADDRESS, "password": password} for password in (PASSWORD, "another")]
        right, wrong = [await self._supabase(sign_in, method="POST", json=fields) for fields in asked]
        new = {"email": "yeni@7peducation.test", "password": PASSWORD, "data": {"full_name": "Yeni"}}
        registered = await self._supabase("/auth/v1/signup", method="POST", json=new)
        return right is None or wrong is not None or registered is None

    async def _backups_lack(self) -> bool:
        supabase = self.sandbox.sinks.supabase
        url = f"{self.sandbox.sinks.supabase_listener.url}/v1/projects/{supabase.ref}/database/backups"
        found = await self._json(url, headers={"authorization": f"Bearer {supabase.token}"})
        now = datetime.now(UTC)
        whole = [
            now - datetime.fromisoformat(row["inserted_at"]) for row in found["backups"] if row["status"] == "COMPLETED"
        ]
        failed = any(row["status"] == "FAILED" for row in found["backups"])
        latest = found["physical_backup_data"].get("latest_physical_backup_date_unix", now.timestamp())
        stopped = now.timestamp() - latest > timedelta(hours=2).total_seconds()
        return failed or stopped or len(whole) < 7 or min(whole) > timedelta(hours=26)

    async def _github(self, path: str) -> Any:  # noqa: ANN401
        github = self.sandbox.sinks.github
        url = f"{self.sandbox.sinks.github_listener.url}/repos/{github.repository}/commits/{COMMIT}/{path}"
        return await self._json(url, headers={"authorization": f"Bearer {github.token}"}, params={"per_page": "100"})

    async def _commit_lacks(self) -> bool:
        runs, status = await self._github("check-runs"), await self._github("status")
        if runs is None or status is None:
            return True
        done = {row["name"]: row["conclusion"] for row in runs["check_runs"]}
        done |= {row["context"]: row["state"] for row in status["statuses"]}
        return any(done.get(name) != "success" for name in ("test (22.x)", "typecheck", "sast", "dependencies"))

    async def _release_lacks(self) -> bool:
        sentry = self.sandbox.sinks.sentry
        url = f"{self.sandbox.sinks.sentry_listener.url}/api/0/organizations/{sentry.organization}/releases/{COMMIT}/"
        found = await self._json(url, headers={"authorization": f"Bearer {sentry.token}"})
        return found is None or found["version"] != COMMIT

    async def _domain_leads_nowhere(self) -> bool:
        return await self._json(self.sandbox.edge.production_url) is None

    async def _domain_leads_elsewhere(self) -> bool:
        found = await self._json(self.sandbox.edge.production_url)
        return found is not None and found["deployment"] != self.sandbox.candidate.id

    async def _rows(self, _role: str, table: str, _columns: Sequence[str], _most: int) -> list[dict[str, Any]] | None:
        return [] if table in {"users", "courses", "review_helpfulness"} else None

    async def _account(self, email: str, password: str) -> dict[str, str] | None:
        return _account(email) if (email, password) == (ADDRESS, PASSWORD) else None

    async def _new_account(self, email: str, _password: str, _name: str) -> dict[str, str] | None:
        return _account(email)


def _account(email: str) -> dict[str, str]:
    return {"id": "1", "email": email, "name": "Öğrenci", "role": "student"}


async def troubles_with(mutant: Mutant | None) -> set[str]:
    """Name the troubles of surroundings that a mutant has changed."""
    surroundings = Surroundings()
    await surroundings.open()
    try:
        if mutant is not None:
            assert mutant.sandbox is not None
            await mutant.sandbox(surroundings.sandbox)
        return await surroundings.troubles()
    finally:
        await surroundings.close()
