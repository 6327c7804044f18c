"""Fetching: from a server of our own, broken in every way, and nothing half-written in the end."""

from __future__ import annotations

import hashlib
import io
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lossdsl.recsys.dataset import DataError
from lossdsl.recsys.fetch import NOTICE, cache, fetch, movielens_100k

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
    strange = {"/gone.zip": b"", "/babble.zip": b"SSH-2.0-babble\r\n\r\n"}  # no answer, and none of HTTP

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path in self.strange:
            self.wfile.write(self.strange[self.path])
            self.close_connection = True
            return
        status, body, promised = self.answers.get(self.path, (404, b"", 0))
        self.send_response(status)
        self.send_header("Content-Length", str(promised))
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
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
    assert said[-1] == NOTICE
    again = fetch(address="http://127.0.0.1:9/none", wheel=no_wheel, digest=DIGEST, say=said.append)
    assert again == place and Handler.asked == ["/good.zip"] and "already here" in said[-1]
    assert said.count(NOTICE) == 1  # the licence is said once


BROKEN = {
    "cut": "broke off after 50 of",
    "short": "not a zip file",
    "other": "checksum is wrong",
    "empty": "no ml-100k/u.data",
    "page": "not a zip file",
    "missing": "404|Not Found",
    "gone": "closed connection",
    "babble": "SSH-2.0-babble",
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_download_leaves_nothing(server: str, name: str) -> None:
    with pytest.raises(DataError, match=f"(?s){BROKEN[name]}.*no wheel today"):
        fetch(address=f"{server}/{name}.zip", wheel=no_wheel, digest=DIGEST)
    assert not cache().exists() or files(cache()) == []


@pytest.mark.parametrize(
    "address, why", [("http://127.0.0.1:9/none.zip", "refused"), ("nonsense", "unknown url type"), ("http://[", "URL")]
)
def test_an_address_where_nothing_is(server: str, address: str, why: str) -> None:
    with pytest.raises(DataError, match=f"could not be fetched; .*{why}.*; the wheel of .*no wheel today") as caught:
        fetch(address=address, wheel=no_wheel, digest=DIGEST)
    assert "urlopen" not in str(caught.value)


def test_of_a_long_complaint_the_end_is_told(server: str) -> None:
    def complains() -> bytes:
        raise OSError("first of all\n" + "what counts " + "x" * 300)

    with pytest.raises(DataError, match=f"; the wheel of [^;]*: what counts {'x' * 188}$"):
        fetch(address=f"{server}/missing.zip", wheel=complains, digest=DIGEST)


def test_a_connection_that_breaks_is_told(server: str) -> None:
    def breaks() -> bytes:
        raise TimeoutError("the read timed out")

    with pytest.raises(DataError, match="the wheel of .*: the read timed out"):
        fetch(address=f"{server}/missing.zip", wheel=breaks, digest=DIGEST)


def test_an_answer_without_end_is_not_read_to_its_end(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossdsl.recsys.fetch.LARGEST", 40)
    with pytest.raises(DataError, match="the answer is far larger than the data set"):
        fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST)


def test_an_archive_that_swells_is_not_unpacked(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand bytes that unpack to far more than the archive itself."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ml-100k/u.data", b"0" * 100_000)
    packed = out.getvalue()
    monkeypatch.setattr("lossdsl.recsys.fetch.LARGEST", 99_999)
    Handler.answers["/bomb.zip"] = (200, packed, len(packed))
    with pytest.raises(DataError, match="u.data in the archive is far larger than the data set"):
        fetch(address=f"{server}/bomb.zip", wheel=no_wheel, digest=DIGEST)


def test_data_of_the_real_size_and_of_the_largest_are_taken(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = BODY * 200_000  # the real archive has 4.9 MB
    real = archive(body=body)
    Handler.answers["/real.zip"] = (200, real, len(real))
    digest = hashlib.sha256(body).hexdigest()
    assert fetch(address=f"{server}/real.zip", wheel=no_wheel, digest=digest).read_bytes() == body
    good = Handler.answers["/good.zip"][1]
    monkeypatch.setattr("lossdsl.recsys.fetch.LARGEST", len(good))
    assert fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST).read_bytes() == BODY


def test_an_address_that_is_given_goes_before_the_environment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSDSL_ML100K_URL", f"{server}/missing.zip")
    fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST)
    assert Handler.asked == ["/good.zip"]


def test_a_folder_in_the_place_of_the_file_is_no_data(server: str) -> None:
    (cache() / "ml-100k" / "u.data").mkdir(parents=True)
    with pytest.raises(DataError, match="lossdsl data get ml-100k"):
        movielens_100k()


@pytest.mark.parametrize(
    "platform, given, place",
    [
        ("linux", {"LOSSDSL_CACHE": "/a/own", "XDG_CACHE_HOME": "/x"}, "/a/own"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/lossdsl"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/home/me/.cache/lossdsl"),
        ("darwin", {"XDG_CACHE_HOME": "/x"}, "/home/me/Library/Caches/lossdsl"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/lossdsl"),
        ("win32", {}, "/home/me/.cache/lossdsl"),
    ],
)
def test_the_cache_lies_where_the_system_keeps_caches(
    platform: str, given: dict[str, str], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOSSDSL_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("lossdsl.recsys.fetch.sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    found = cache()
    monkeypatch.undo()
    assert found.as_posix() == place


def test_the_wheel_steps_in(server: str) -> None:
    place = fetch(address=f"{server}/cut.zip", wheel=lambda: BODY, digest=DIGEST)
    assert place.read_bytes() == BODY


def wheel(inter: bytes | None) -> bytes:
    """A wheel of the name and version that carries the ratings, as an index would give it."""
    out = io.BytesIO()
    info = "recbole-1.2.1.dist-info"
    with zipfile.ZipFile(out, "w") as file:
        if inter is not None:
            file.writestr("recbole/dataset_example/ml-100k/ml-100k.inter", inter)
        # It asks for something that is nowhere: nobody wants all that it needs.
        file.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\nRequires-Dist: torch\n"
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return out.getvalue()


HEAD = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
NAME = "recbole-1.2.1-py3-none-any.whl"


@pytest.fixture
def index(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package index of our own, and pip that knows no other."""
    page = f'<!DOCTYPE html><html><body><a href="/files/{NAME}">{NAME}</a></body></html>'.encode()
    Handler.answers["/simple/recbole/"] = (200, page, len(page))
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server}/simple/")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    yield server


def serve_wheel(inter: bytes | None) -> None:
    body = wheel(inter)
    Handler.answers[f"/files/{NAME}"] = (200, body, len(body))


def test_where_the_address_fails_pip_brings_the_wheel_and_one_file_is_read(
    index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_wheel(HEAD + BODY)
    monkeypatch.setenv("LOSSDSL_ML100K_URL", f"{index}/cut.zip")
    said: list[str] = []
    place = fetch(digest=DIGEST, say=said.append)
    assert place.read_bytes() == BODY and files(cache()) == ["ml-100k/u.data"]
    assert said == [f"fetching {index}/cut.zip", "fetching the wheel of recbole==1.2.1", NOTICE]
    assert Handler.asked == ["/cut.zip", "/simple/recbole/", f"/files/{NAME}"]  # and nothing that it needs
    import importlib.util

    assert importlib.util.find_spec("recbole") is None  # read in place, not installed


@pytest.mark.parametrize(
    "inter, text",
    [(HEAD + b"other", "the checksum is wrong"), (None, "the archive has no recbole/dataset_example")],
)
def test_a_wheel_that_holds_something_else(index: str, inter: bytes | None, text: str) -> None:
    serve_wheel(inter)
    with pytest.raises(DataError, match=f"could not be fetched; .*Not Found; the wheel of recbole==1.2.1: {text}"):
        fetch(address=f"{index}/missing.zip", digest=DIGEST)
    assert not cache().exists() or files(cache()) == []


def test_neither_address_nor_wheel(index: str) -> None:
    with pytest.raises(DataError, match="the wheel of recbole==1.2.1: pip could not download it") as caught:
        fetch(address=f"{index}/missing.zip", digest=DIGEST)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_in_the_cache_is_fetched_again(server: str) -> None:
    place = fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST)
    place.write_bytes(BODY[:10])
    assert fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST).read_bytes() == BODY


def test_a_cache_that_cannot_be_written(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("LOSSDSL_CACHE", str(tmp_path / "taken"))
    with pytest.raises(DataError, match="cannot be written"):
        fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST)


def test_a_disk_that_fills_up_is_told_and_leaves_nothing(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device", source)

    monkeypatch.setattr("lossdsl.recsys.fetch.os.replace", full)
    with pytest.raises(DataError, match=r"u\.data: cannot be written \(No space left on device\)$"):
        fetch(address=f"{server}/good.zip", wheel=no_wheel, digest=DIGEST)
    assert files(cache()) == []


def pip(status: int, name: str | None) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if name is not None:
            (Path(command[command.index("--dest") + 1]) / name).write_bytes(wheel(HEAD + BODY))
        return subprocess.CompletedProcess(command, status, "", "")

    return run


@pytest.mark.parametrize("status, name", [(1, NAME), (0, None), (0, "recbole-1.2.1.tar.gz")])
def test_pip_has_to_succeed_and_to_leave_a_wheel(
    server: str, monkeypatch: pytest.MonkeyPatch, status: int, name: str | None
) -> None:
    monkeypatch.setattr("lossdsl.recsys.fetch.subprocess.run", pip(status, name))
    with pytest.raises(DataError, match="the wheel of recbole==1.2.1: pip could not download it"):
        fetch(address=f"{server}/missing.zip", digest=DIGEST)
    monkeypatch.setattr("lossdsl.recsys.fetch.subprocess.run", pip(0, NAME))
    assert fetch(address=f"{server}/missing.zip", digest=DIGEST).read_bytes() == BODY


def test_pip_that_takes_too_long_is_told(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(command: list[str], timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired("pip", timeout)

    monkeypatch.setattr("lossdsl.recsys.fetch.subprocess.run", hangs)
    with pytest.raises(DataError, match="the wheel of .*timed out after 300 seconds"):
        fetch(address=f"{server}/missing.zip", digest=DIGEST)
