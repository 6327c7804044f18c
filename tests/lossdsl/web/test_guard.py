"""Who is let in: this machine, by its own name, from the page itself."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette")
from starlette.datastructures import Headers

from lossdsl.web.guard import policy, refuse

HOME = {"host": "127.0.0.1:8765"}
POST = {**HOME, "content-type": "application/json"}

LET_IN = {
    "a page load": (
        "GET",
        {**HOME, "sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ),
    "a link from elsewhere": (
        "GET",
        {**HOME, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ),
    "curl": ("POST", POST),
    "the page": ("POST", {**POST, "origin": "http://127.0.0.1:8765", "sec-fetch-site": "same-origin"}),
    "localhost": ("POST", {**POST, "host": "localhost:1", "origin": "http://localhost:1"}),
    "IPv6 tunnel": ("GET", {"host": "[::1]:9000"}),
    "a charset": ("POST", {**POST, "content-type": "application/json; charset=utf-8"}),
}
KEPT_OUT = {
    "a rebound name": ("GET", {"host": "evil.example:8765"}, 421),
    "a look-alike": ("GET", {"host": "127.0.0.1.evil.example"}, 421),
    "user part": ("GET", {"host": "127.0.0.1@evil.example"}, 421),
    "a line break": ("GET", {"host": "127.0.0.1\n"}, 421),
    "another digit": ("GET", {"host": "127.0.0.1:８７６５"}, 421),
    "no host": ("GET", {}, 421),
    "another method": ("DELETE", HOME, 405),
    "a preflight": ("OPTIONS", HOME, 405),
    "another origin": ("POST", {**POST, "origin": "https://evil.example"}, 403),
    "a sandboxed frame": ("POST", {**POST, "origin": "null"}, 403),
    "another local server": ("POST", {**POST, "origin": "http://127.0.0.1:3000"}, 403),
    "the same port, secure": ("POST", {**POST, "origin": "https://127.0.0.1:8765"}, 403),
    "a picture on another site": ("GET", {**HOME, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
    "a frame on another site": (
        "GET",
        {**HOME, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        403,
    ),
    "a form on another site": (
        "POST",
        {**POST, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        403,
    ),
    "another local page": ("POST", {**POST, "sec-fetch-site": "same-site"}, 403),
    "a plain form": ("POST", {**HOME, "content-type": "text/plain"}, 415),
    "no type": ("POST", HOME, 415),
}


@pytest.mark.parametrize("method, headers", LET_IN.values(), ids=LET_IN)
def test_let_in(method: str, headers: dict[str, str]) -> None:
    assert refuse(method, Headers(headers)) is None


@pytest.mark.parametrize("method, headers, status", KEPT_OUT.values(), ids=KEPT_OUT)
def test_kept_out(method: str, headers: dict[str, str], status: int) -> None:
    raw = [(k.encode(), v.encode("utf-8")) for k, v in headers.items()]
    refusal = refuse(method, Headers(raw=raw))
    assert refusal is not None and refusal[0] == status


def test_two_hosts_are_none() -> None:
    refusal = refuse("GET", Headers(raw=[(b"host", b"127.0.0.1"), (b"host", b"evil.example")]))
    assert refusal is not None and refusal[0] == 421


def test_a_page_without_script_may_run_none() -> None:
    assert "script-src 'none'" in policy("<p>hello")
