"""What every request has to pass: a page of another site must not be able to use this server, nor to be shown by it."""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A rebound DNS name still arrives as itself in Host; the port may differ behind an SSH tunnel.
_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.ASCII)


def policy(page: str) -> str:
    """The Content-Security-Policy of a page: its own script and style by their hash, pictures as data, nothing else.

    >>> policy("<script>go()</script>").split("; ")[:2]
    ["default-src 'none'", "script-src 'sha256-5KYv+PUboo5h+0+YAtGRPbwv5d/QxzHslP4YGnUaxRw='"]
    """

    def hashes(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in found)

    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {hashes('script') or chr(39) + 'none' + chr(39)}",
            f"style-src {hashes('style') or chr(39) + 'none' + chr(39)}",
            "img-src data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


class Guard:
    """Refuses what no page of ours sends, and puts the safe headers on every answer."""

    def __init__(self, app: ASGIApp, content_policy: str) -> None:
        self.app = app
        self.headers = {
            "content-security-policy": content_policy,
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "camera=(), geolocation=(), microphone=()",
            "cache-control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
            await send(message)

        refusal = refuse(scope["method"], Headers(scope=scope))
        if refusal is not None:
            status, why = refusal
            await PlainTextResponse(f"{why}\n", status)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


def refuse(method: str, headers: Headers) -> tuple[int, str] | None:
    """Status and reason where a request is refused, else None.

    >>> refuse("GET", Headers({"host": "evil.example"}))
    (421, 'this server answers to 127.0.0.1 and localhost only')
    >>> refuse("GET", Headers({"host": "127.0.0.1:8765"})) is None
    True
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0].lower()):
        return 421, "this server answers to 127.0.0.1 and localhost only"
    if method not in ("GET", "HEAD", "POST"):
        return 405, "only GET and POST"
    site = headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        # a link from elsewhere may open the page; nothing else from elsewhere is answered
        if (
            method != "GET"
            or headers.get("sec-fetch-mode") != "navigate"
            or headers.get("sec-fetch-dest") != "document"
        ):
            return 403, "requests from other sites are refused"
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
        return 403, "requests from other origins are refused"
    if method == "POST" and headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return 415, "send application/json"
    return None
