"""`lossdsl serve` as a process: prints its address, answers there and nowhere else, goes when told."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

pytest.importorskip("uvicorn")

from lossdsl.cli.serve import listen
from lossdsl.errors import LossError


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "lossdsl", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def test_it_serves_and_stops(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None and process.stderr is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(url, timeout=60) as page:
        assert b"<title>lossdsl</title>" in page.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "Traceback" not in process.stderr.read()


def test_the_workers_go_with_a_server_that_was_killed(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    request = urllib.request.Request(f"{url}check", b'{"formula": "bce"}', {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).read()
    process.kill()
    process.wait(30)
    # The pipe's other end closes only when no process of the family holds it any more.
    begin = time.monotonic()
    assert process.stdout.read() == ""
    assert time.monotonic() - begin < 30


def test_a_port_that_is_taken_is_told() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "lossdsl", "serve", "--port", str(port)], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in done.stderr and "--port 0" in done.stderr


def test_only_this_machine() -> None:
    with listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        assert listener.family == socket.AF_INET
        with pytest.raises(LossError):
            listen(listener.getsockname()[1])


def test_without_the_extra_its_name_is_told() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from lossdsl.cli.main import main\n"
        "main(['serve'])"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "pip install 'lossdsl[web]'" in done.stderr
