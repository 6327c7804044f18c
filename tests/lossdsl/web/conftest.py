"""A real server on 127.0.0.1, and the plainest client there is."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends exactly what it is told, over a new connection each time."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def send(self, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            chunked = "Transfer-Encoding" in (headers or {})
            connection.request(method, path, body=body, headers=headers or {}, encode_chunked=chunked)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def check(self, formula: str, **options: Any) -> Reply:
        body = json.dumps({"formula": formula, **options})
        return self.send("POST", "/check", {"Content-Type": "application/json"}, body)


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    uvicorn = pytest.importorskip("uvicorn")
    from lossdsl.cli.serve import listen
    from lossdsl.web.app import make_app

    with listen(0) as listener:
        # As `lossdsl serve` has it: whoever keeps a connection open does not keep the server.
        config = uvicorn.Config(make_app(), log_level="warning", ws="none", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Client(listener.getsockname()[1])
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()
