"""The bar is for people at a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from lossdsl.cli.progress import bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_counts_on_a_terminal_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with bar("training", None) as step:
        step.total(3)
        for _ in range(3):
            step()
    text = screen.getvalue()
    assert "training" in text and "3/3" in text and text.rstrip("\n").endswith("\x1b[2K")


def test_elsewhere_it_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("training", 2) as step:
        step.total(5)
        step()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["train", "compare"])
def test_the_commands_count_to_the_end(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Every training of a comparison, every epoch of a training."""
    from lossdsl.cli.main import main

    steps: list[int] = []
    totals: list[int | None] = []

    class Counter:
        def __init__(self, what: str, total: int | None) -> None:
            totals.append(total)

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *reason: object) -> None:
            pass

        def __call__(self) -> None:
            steps.append(1)

        def total(self, count: int) -> None:
            totals.append(count)

    monkeypatch.setattr("lossdsl.cli.progress.bar", Counter)
    args = [command, "--loss", "bce", "--data", "demo", "--dim", "2", "--batch-size", "4096", "--seeds", "2"]
    with pytest.raises(SystemExit) as left:
        main([*args, "--epochs", "1", "--workers", "1"])
    assert not left.value.code
    assert len(steps) == totals[-1] == {"train": 2, "compare": 26 + 2}[command]
