"""What a search shows while it runs: best so far, rate and fates."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from lossdsl.cli.search_progress import line, shown
from lossdsl.search.run import Progress

FATES = {"trained": 30, "duplicate": 4, "filtered": 60, "failed": 2}
NOW = Progress(96, 30, FATES, 0.71234, 12.0)


def test_a_line_says_best_rate_and_fates() -> None:
    assert line(NOW) == "12 s  96 trials  30 trained (2.5/s)  60 filtered  4 duplicate  2 failed  best 0.7123"


def test_what_is_not_there_yet_is_not_said() -> None:
    first = Progress(1, 0, {"trained": 0, "duplicate": 0, "filtered": 1, "failed": 0}, None, 0.0)
    assert line(first) == "0 s  1 trials  0 trained (0.0/s)  1 filtered  0 duplicate"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_line_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with shown() as tell:
        tell(NOW)
    assert "30 trained (2.5/s)" in screen.getvalue() and "best 0.7123" in screen.getvalue()


def test_elsewhere_there_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = 0.0
    monkeypatch.setattr("lossdsl.cli.search_progress.time", SimpleNamespace(monotonic=lambda: clock))
    with shown() as tell:
        for _ in range(250):  # of a tenth of a second each
            clock += 0.1
            tell(NOW)
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == [line(NOW)] * 2
