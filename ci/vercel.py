"""
Typed client of the part of Vercel's REST API that the gate needs.

REST, not the CLI: the request leaves in 0.1 s instead of 2, and exit code 0 of `vercel rollback` proves nothing. The
token is in no repr and in no exception.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from fixtures.certificates import certificates
from fixtures.targets import VercelAccess

T = TypeVar("T")
_PER_REQUEST = 5.0
_MESSAGE_LENGTH = 300


class VercelError(Exception):
    """Vercel refused, or did not answer.  status: HTTP status, None when there was no answer."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"Vercel{f' {status}' if status else ''} {code}: {message}")
        self.code = code
        self.message = message
        self.status = status

    @property
    def ambiguous(self) -> bool:
        """Whether the request may have been accepted all the same."""
        return self.status is None or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """
    One deployment.  url: host of its immutable address.  created: ms since the epoch.

    substate: STAGED has never served production, PROMOTED has.  aliases: hosts that it serves besides its own.
    """

    id: str
    url: str
    state: str
    created: int
    target: str | None = None
    substate: str | None = None
    rollback_candidate: bool = False
    commit: str | None = None
    branch: str | None = None
    project_id: str | None = None
    aliases: tuple[str, ...] = ()


class AliasRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The newest request to move production.  requested_at: ms, Vercel's clock."""

    to_deployment_id: str
    job_status: Literal["pending", "in-progress", "succeeded", "failed", "skipped"]
    requested_at: int
    type: Literal["rollback", "promote"]
    from_deployment_id: str | None = None


class Project(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The project.  auto_assign_custom_domains: false while a rollback pins production; None: not told."""

    id: str
    name: str = ""
    last_alias_request: AliasRequest | None = None
    auto_assign_custom_domains: bool | None = None


class _Row(msgspec.Struct, rename="camel"):
    url: str
    id: str | None = None
    uid: str | None = None
    state: str | None = None
    ready_state: str | None = None
    created: int | None = None
    created_at: int | None = None
    target: str | None = None
    ready_substate: str | None = None
    is_rollback_candidate: bool | None = None
    meta: dict[str, Any] | None = None
    project_id: str | None = None
    alias: list[str] | None = None

    def deployment(self) -> Deployment:
        return Deployment(
            id=self.id or self.uid or "",
            url=self.url.removeprefix("https://").removeprefix("http://").rstrip("/"),
            state=self.ready_state or self.state or "",
            created=self.created or self.created_at or 0,
            target=self.target,
            substate=self.ready_substate,
            rollback_candidate=bool(self.is_rollback_candidate),
            commit=(self.meta or {}).get("githubCommitSha"),
            branch=(self.meta or {}).get("githubCommitRef"),
            project_id=self.project_id,
            aliases=tuple(self.alias or ()),
        )


class _Alias(msgspec.Struct, rename="camel"):
    deployment_id: str | None = None


class _Rows(msgspec.Struct):
    deployments: list[_Row]


class Vercel:
    """
    One project of one team (or person).

    deadline: seconds that one call may take, its retries and Retry-After included.
    """

    def __init__(
        self,
        access: VercelAccess,
        *,
        deadline: float = 10.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.project_name = access.project
        self._deadline = deadline
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=access.api,
            headers={"Authorization": f"Bearer {access.token}"},
            params={"teamId": access.team} if access.team else None,
            transport=transport,
            trust_env=False,
            verify=certificates(),
        )

    def __repr__(self) -> str:
        return f"Vercel(project={self.project_name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def deployment(self, id_or_host: str) -> Deployment:
        """Return a deployment; asked by a production host, the one that it serves now (the alias look-up)."""
        answer = self._get(f"/v13/deployments/{quote(id_or_host, safe=':')}")
        return _read(answer, _Row).deployment()

    def production_id(self, host: str) -> str | None:
        """Return the id that the alias of a production host names, deleted or not; None when it names nothing."""
        try:
            answer = self._get(f"/v4/aliases/{quote(host, safe=':')}")
        except VercelError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return _read(answer, _Alias).deployment_id

    def deployments(self, *, limit: int = 20) -> list[Deployment]:
        """Return the newest ready production deployments, newest first."""
        parameters = {"projectId": self.project().id, "target": "production", "state": "READY", "limit": str(limit)}
        rows = _read(self._get("/v6/deployments", parameters), _Rows).deployments
        return sorted((row.deployment() for row in rows), key=lambda row: row.created, reverse=True)

    def project(self) -> Project:
        """Return the project with its newest alias request."""
        return _read(self._get(f"/v9/projects/{quote(self.project_name)}", {"rollbackInfo": "true"}), Project)

    def rollback(self, project_id: str, deployment_id: str, description: str) -> None:
        """
        Ask, once, that production move to this deployment; accepted is not done.

        Only what certainly was not accepted (no connection, 429) is asked again, within the deadline.
        """
        path = f"/v9/projects/{quote(project_id)}/rollback/{quote(deployment_id)}"
        self._ask("POST", path, {"description": description}, repeat=_not_accepted)

    def _get(self, path: str, parameters: dict[str, str] | None = None) -> httpx.Response:
        return self._ask("GET", path, parameters, repeat=_transient)

    def _ask(
        self, method: str, path: str, parameters: dict[str, str] | None, *, repeat: Callable[[VercelError], bool]
    ) -> httpx.Response:
        until = time.monotonic() + self._deadline
        pause = 0.1
        while True:
            wait = pause
            left = max(until - time.monotonic(), 0.1)
            try:
                response = self._client.request(
                    method,
                    path,
                    params=parameters,
                    json={} if method == "POST" else None,
                    timeout=min(_PER_REQUEST, left),
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = VercelError("not-connected", type(error).__name__)
            except httpx.HTTPError as error:
                failure = VercelError("no-answer", type(error).__name__)
            else:
                if response.is_success:
                    return response
                failure = _error(response)
                wait = _retry_after(response) or pause
            if not repeat(failure) or time.monotonic() + wait >= until:
                raise failure from None
            self._sleep(wait)
            pause = min(2 * pause, 2.0)


def _transient(error: VercelError) -> bool:
    return error.ambiguous or error.status == HTTPStatus.TOO_MANY_REQUESTS


def _not_accepted(error: VercelError) -> bool:
    return error.code == "not-connected" or error.status == HTTPStatus.TOO_MANY_REQUESTS


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else 0.0


def _error(response: httpx.Response) -> VercelError:
    code, message = "", ""
    try:
        body = response.json()
        detail = body.get("error") or body.get("err") or {}
        code, message = str(detail.get("code", "")), str(detail.get("message", ""))
    except (ValueError, AttributeError):
        message = response.text
    return VercelError(code or "error", message[:_MESSAGE_LENGTH] or response.reason_phrase, response.status_code)


def _read(response: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = str(error)[:_MESSAGE_LENGTH]
        raise VercelError(code="unreadable", message=message, status=response.status_code) from None
