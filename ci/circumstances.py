"""The surroundings of a run: production, addresses outside the platform, and the status pages of the vendors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import msgspec

from ci.web import new_client
from fixtures.target.target import Target

_TIMEOUT = 3.0
# A server that sends a byte a second has not answered either.
_WHOLE = {"seconds": _TIMEOUT}


@dataclass(frozen=True)
class Circumstances:
    """
    The answers of the surroundings.

    target: whether production answers at all, with any status.  controls: whether an address outside the platform
    does; None: the target names none.  vendors: vendor -> the trouble that its status page names.
    """

    target: bool = True
    controls: bool | None = None
    vendors: Mapping[str, str] = field(default_factory=dict)


def look_around(target: Target, vendors: Iterable[str]) -> Circumstances:
    """Ask production, the control addresses and the vendors' status pages, all at once; takes 3 s at most each."""
    asked = {vendor: target.third_parties[vendor] for vendor in set(vendors) if vendor in target.third_parties}
    with new_client(_TIMEOUT) as client, ThreadPoolExecutor(max_workers=8) as pool:
        production = pool.submit(_answers, client, target.url)
        controls = [pool.submit(_answers, client, address) for address in target.control_addresses]
        pages = {vendor: pool.submit(_trouble, client, page) for vendor, page in asked.items()}
        troubles = {vendor: page.result() for vendor, page in pages.items()}
        return Circumstances(
            target=production.result(),
            controls=any(control.result() for control in controls) if controls else None,
            vendors={vendor: trouble for vendor, trouble in troubles.items() if trouble},
        )


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        client.get(url, extensions=_WHOLE)
    except httpx.HTTPError:
        return False
    return True


class _Status(msgspec.Struct):
    indicator: str
    description: str = ""


class _Page(msgspec.Struct):
    status: _Status


def _trouble(client: httpx.Client, page: str) -> str:
    """Return the trouble that a Statuspage names; "": none, or the page cannot be read."""
    try:
        status = msgspec.json.decode(client.get(page, extensions=_WHOLE).content, type=_Page).status
    except (httpx.HTTPError, msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return "" if status.indicator == "none" else f"{status.indicator} ({status.description})".removesuffix(" ()")
