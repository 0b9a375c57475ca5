"""Encodings of a secret, and a search that finds a secret in any of them."""

from __future__ import annotations

import base64
import html
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

# A target echoes a secret in one of these encodings; the search knows all of them.
ENCODERS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: quote(text, safe=""),
    "percent-lower": lambda text: _lower_percent(quote(text, safe="")),
    "percent-some": lambda text: quote(text, safe="/+=:@"),
    "percent-all": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "percent-twice": lambda text: quote(quote(text, safe=""), safe=""),
    "form": quote_plus,
    "json": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json-in-json": lambda text: json.dumps(json.dumps(text))[2:-2],
    "html": html.escape,
    "html-decimal": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "html-hex": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
    "unicode": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "hex-escapes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "upper": str.upper,
    "lower": str.lower,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64-url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64-after-one": lambda text: base64.b64encode(b":" + text.encode()).decode(),
    "base64-after-two": lambda text: base64.b64encode(b"u:" + text.encode()).decode(),
    "reversed-case": str.swapcase,
}
# The ends of a base64 text depend on the bytes beside the secret, so the search leaves them out.
_BASE64_EDGE = 4
_SHORTEST = 6
_ARCHIVES = {".zip"}


def _lower_percent(text: str) -> str:
    parts = text.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


def spellings(secret: str) -> dict[bytes, str]:
    """Return every encoded form of the secret -> the name of the encoding."""
    found: dict[bytes, str] = {}
    for name, encode in ENCODERS.items():
        spelled = encode(secret)
        if name.startswith("base64"):
            spelled = spelled[_BASE64_EDGE : -_BASE64_EDGE or None].rstrip("=")
        if len(spelled) >= _SHORTEST:
            found.setdefault(spelled.encode(), name)
    return found


def artifacts(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file below a folder with its name, and the files in its archives."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        content = path.read_bytes()
        yield str(path.relative_to(folder)), content
        if path.suffix in _ARCHIVES:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for name in archive.namelist():
                    yield f"{path.relative_to(folder)}/{name}", archive.read(name)


def found_in(secrets: dict[str, str], texts: Iterator[tuple[str, bytes]]) -> list[str]:
    """Return one sentence for each place of a secret. secrets: value -> description."""
    known = {spelled: (what, name) for value, what in secrets.items() for spelled, name in spellings(value).items()}
    return sorted(
        {
            f"{what} ({name}) in {where}"
            for where, text in texts
            for spelled, (what, name) in known.items()
            if spelled in text
        }
    )
