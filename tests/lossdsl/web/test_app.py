"""The server over real sockets: what it answers, what it refuses, and that no formula takes it down."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("uvicorn")

if TYPE_CHECKING:
    from tests.lossdsl.web.conftest import Client
else:
    Client = Any

JSON = {"Content-Type": "application/json"}
SAFE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

HOSTILE = {
    "tower": "9^9^9^9^9",
    "power of powers": "((((pred^16)^16)^16)^16)^16",
    "huge number": "1e999999999*pred",
    "many digits": "pred*" + "9" * 5000,
    "deep brackets": "(" * 4000 + "pred" + ")" * 4000,
    "deep functions": "exp(" * 60 + "pred" + ")" * 60,
    "long sum": "+".join(["pred"] * 1500),
    "wide max": "max(" + ",".join(f"pred^{n % 16}" for n in range(200)) + ")",
    "many kinks": "+".join(f"abs(pred-{n}/97)" for n in range(1, 60)),
    "nested logs": "log(1+" * 30 + "pred" + ")" * 30,
    "mixed kernels": "*".join(f"(log(pred+{n})+exp({n}*pred)+sqrt(pred+{n}))" for n in range(1, 12)),
    "minus signs": "-" * 5000 + "pred",
    "control characters": "pred\x00\x1b[31m\u202e",
    "half a surrogate": "pred + \ud800",
    "astral": "𝑝𝑟𝑒𝑑 + 🙂",
    "code": "__import__('os').system('touch /tmp/never')",
    "markup": "</script><img src=x onerror=alert(1)>",
    "latex bomb": "\\frac{" * 500 + "1}{pred}" + "}" * 500,
    "python bomb": "torch.log(" * 500 + "pred" + ")" * 500,
    "where bomb": "pred where " + ", ".join(f"a{n} = {n}" for n in range(500)),
    "just over": "p" * 8193,
}


def test_the_page(client: Client) -> None:
    reply = client.send("GET", "/")
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/html")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert SAFE.items() <= reply.headers.items()
    assert b"<option selected>bce</option>" in reply.body and b"<!--" not in reply.body


def test_a_verdict(client: Client) -> None:
    reply = client.check("-log(1e-10 + sigmoid(score))", pairwise=True, beside="bpr")
    assert reply.status == 200 and reply.headers["content-type"] == "application/json"
    assert SAFE.items() <= reply.headers.items()
    found = reply.json()
    assert found["report"]["verdict"] == "valid"
    assert found["report"]["properties"]["no_saturation"]["status"] == "refuted"


def test_the_same_verdict_as_on_the_command_line(client: Client) -> None:
    import lossdsl

    for text in ("pred*(pred+label)", "focal", "max(pred, label)", "x + 1"):
        report = client.check(text).json()["report"]
        if report["error"] is None:
            assert report["verdict"] == lossdsl.check(text).verdict
        else:
            with pytest.raises(lossdsl.LossSyntaxError):
                lossdsl.parse(text)


@pytest.mark.parametrize("formula", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_formula_is_answered(client: Client, formula: str) -> None:
    begin = time.monotonic()
    reply = client.check(formula)
    assert reply.status in (200, 503)
    assert time.monotonic() - begin < 30
    assert client.check("bce").json()["report"]["verdict"] == "valid"


def test_many_at_once(client: Client) -> None:
    formulas = [*HOSTILE.values()] * 3
    with ThreadPoolExecutor(24) as pool:
        statuses = {reply.status for reply in pool.map(client.check, formulas)}
    assert statuses <= {200, 503}
    assert client.check("bce").json()["report"]["verdict"] == "valid"


@pytest.mark.parametrize(
    "method, path, headers, status",
    [
        ("GET", "/", {"Host": "evil.example"}, 421),
        ("POST", "/check", {**JSON, "Origin": "http://evil.example"}, 403),
        ("POST", "/check", {"Content-Type": "text/plain"}, 415),
        ("PUT", "/check", JSON, 405),
        ("OPTIONS", "/check", {}, 405),
        ("GET", "/check", {}, 405),
        ("POST", "/", JSON, 405),
        ("GET", "/../../etc/passwd", {}, 404),
        ("GET", "/%2e%2e/pyproject.toml", {}, 404),
    ],
)
def test_refused(client: Client, method: str, path: str, headers: dict[str, str], status: int) -> None:
    reply = client.send(method, path, headers, json.dumps({"formula": "bce"}) if method != "GET" else None)
    assert reply.status == status
    assert SAFE.items() <= reply.headers.items()
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    "body, status",
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 60000, 400),
        (b'{"formula": ' + b"1" * 60000 + b"}", 400),
        (b'"bce"', 422),
        (b'{"formula": 7}', 422),
        (b'{"formula": "bce", "beside": "nothing"}', 422),
        (b"x" * 70000, 413),
    ],
    ids=range(9),
)
def test_bodies_that_are_no_question(client: Client, body: bytes, status: int) -> None:
    reply = client.send("POST", "/check", JSON, body)
    assert reply.status == status and reply.json()["problem"]


def test_a_body_without_a_length_is_limited_too(client: Client) -> None:
    parts = (b"x" * 1000 for _ in range(100))  # http.client sends an iterable in chunks
    reply = client.send("POST", "/check", {**JSON, "Transfer-Encoding": "chunked"}, parts)
    assert reply.status == 413


def test_a_client_that_leaves_is_forgotten(client: Client) -> None:
    body = json.dumps({"formula": HOSTILE["mixed kernels"]}).encode()
    lines = ["POST /check HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", client.port)) as connection:
            connection.sendall(head.encode() + body)
    assert client.check("bce").json()["report"]["verdict"] == "valid"


def test_no_websocket(client: Client) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "eA==",
    }
    assert client.send("GET", "/check", upgrade).status == 405
