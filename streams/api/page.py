"""The live page as files: what the bundle holds, read once at the start, under a strict policy."""

import mimetypes
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from streams.api.answers import matches
from streams.api.problems import NotFoundError

DIST: Final = Path(__file__).parents[1] / "page" / "dist"
INDEX: Final = "index.html"
MAX_FILES: Final = 200
FOREVER: Final = "private, max-age=31536000, immutable"
_HASHED: Final = re.compile(r"[.-][0-9A-Za-z_-]{8,}\.\w+$")
_INLINE: Final = {
    "script-src": re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE),
    "style-src": re.compile(rb"<style[^>]*>(.*?)</style>", re.DOTALL | re.IGNORECASE),
}


class PageFile(NamedTuple):
    """One file as it is sent."""

    body: bytes
    media: str
    etag: str
    cache: str


class LivePage:
    """Files by their path below the bundle."""

    def __init__(self, folder: Path = DIST) -> None:
        self._files = dict(_read(folder))
        index = self._files.get(INDEX)
        self.policy = policy(index.body if index else b"")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """A file of the page; ``/`` is its index."""
        name = request.match_info.get("name") or INDEX
        found = self._files.get(name)
        if found is None:
            raise NotFoundError(
                f"The page has no {name!r}." if self._files else "The live page is not built.",
                fix="Begin at /." if self._files else "Install a release, or build it as docs/page.md says.",
            )
        headers = {
            "ETag": f'"{found.etag}"',
            "Cache-Control": found.cache,
            "Content-Security-Policy": self.policy,
        }
        if matches(request.headers.get("If-None-Match"), headers["ETag"]):
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.body, headers=headers | {"Content-Type": found.media})


def policy(index: bytes) -> str:
    """Only what comes from here, and what stands in the index itself, by its hash."""
    inline = {kind: "".join(_hashes(index, pattern)) for kind, pattern in _INLINE.items()}
    return (
        f"default-src 'none'; script-src 'self'{inline['script-src']}; style-src 'self'{inline['style-src']}; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(index: bytes, pattern: "re.Pattern[bytes]") -> Iterator[str]:
    for text in pattern.findall(index):
        yield f" 'sha256-{b64encode(sha256(text).digest()).decode()}'"


def _read(folder: Path) -> Iterator[tuple[str, PageFile]]:
    found = sorted(each for each in folder.rglob("*") if each.is_file())[:MAX_FILES]
    for each in found:
        body, name = each.read_bytes(), each.relative_to(folder).as_posix()
        media = mimetypes.guess_type(name)[0] or "application/octet-stream"
        text = "; charset=utf-8" if media.startswith("text/") or media.endswith("javascript") else ""
        cache = FOREVER if _HASHED.search(name) else "private, no-cache"
        yield name, PageFile(body, media + text, sha256(body).hexdigest()[:16], cache)
