"""Fetching: from a server of our own, broken in every way, and nothing half-written in the end."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lossdsl.recsys.dataset import DataError
from lossdsl.recsys.fetch import cache, fetch, movielens_100k

BODY = b"1\t2\t5\t100\n3\t4\t1\t200\n"
DIGEST = hashlib.sha256(BODY).hexdigest()


def archive(name: str = "ml-100k/u.data", body: bytes = BODY) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(name, body)
    return out.getvalue()


class Handler(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, bytes, int]] = {}
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body, promised = self.answers.get(self.path, (404, b"", 0))
        self.send_response(status)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("LOSSDSL_CACHE", str(tmp_path / "cache"))
    good = archive()
    Handler.asked = []
    Handler.answers = {
        "/good.zip": (200, good, len(good)),
        "/cut.zip": (200, good[:50], len(good)),
        "/short.zip": (200, good[:50], 50),
        "/other.zip": (200, archive(body=b"other"), len(archive(body=b"other"))),
        "/empty.zip": (200, archive("ml-100k/README"), len(archive("ml-100k/README"))),
        "/page.zip": (200, b"<html>log in first</html>", 25),
    }
    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{web.server_port}"
    web.shutdown()
    web.server_close()


def no_wheel() -> bytes:
    raise DataError("no wheel today")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_it_is_fetched_once_and_found_offline(server: str) -> None:
    with pytest.raises(DataError, match="lossdsl data get ml-100k"):
        movielens_100k()
    said: list[str] = []
    place = fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST, say=said.append)
    assert place.read_bytes() == BODY and movielens_100k() == place
    assert files(cache()) == ["ml-100k/u.data"]
    again = fetch(address="http://127.0.0.1:9/none", wheel=no_wheel, digest=DIGEST, say=said.append)
    assert again == place and Handler.asked == ["/good.zip"] and "already here" in said[-1]


BROKEN = {
    "cut": "broke off after 50 of",
    "short": "not a zip file",
    "other": "checksum is wrong",
    "empty": "no ml-100k/u.data",
    "page": "not a zip file",
    "missing": "404|Not Found",
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_download_leaves_nothing(server: str, name: str) -> None:
    with pytest.raises(DataError, match=f"(?s){BROKEN[name]}.*no wheel today"):
        fetch(address=f"{server}/{name}.zip", wheel=no_wheel, digest=DIGEST)
    assert not cache().exists() or files(cache()) == []


def test_the_wheel_steps_in(server: str) -> None:
    place = fetch(address=f"{server}/cut.zip", wheel=lambda: BODY, digest=DIGEST)
    assert place.read_bytes() == BODY


def test_a_damaged_file_in_the_cache_is_fetched_again(server: str) -> None:
    place = fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST)
    place.write_bytes(BODY[:10])
    assert fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST).read_bytes() == BODY


def test_a_cache_that_cannot_be_written(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("LOSSDSL_CACHE", str(tmp_path / "taken"))
    with pytest.raises(DataError, match="cannot be written"):
        fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST)
