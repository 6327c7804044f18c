"""The report of a run: one file, nothing fetched, everything from the user escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from lossdsl.cli.report import command
from lossdsl.errors import LossError
from lossdsl.search.charts import Point, bars, plane
from lossdsl.search.page import report, table
from lossdsl.search.session import search
from lossdsl.search.settings import Settings, assign


class Balanced(HTMLParser):
    """Fails where tags are not closed in order."""

    VOID = ("meta", "br", "img", "line", "circle", "path", "rect")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def balanced(text: str) -> bool:
    parser = Balanced()
    parser.feed(text)
    return parser.open == []


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings(data="demo", seed=3)
    for change in (
        "ladder.batch=16", "ladder.tune_every=4", "ladder.final=2", "ladder.final_seeds=1", "training.epochs=3",
        "training.final_l2=[1e-4]", "training.l2=[1e-4]", "training.test_seeds=2",
    ):  # fmt: skip
        settings = assign(settings, change)
    path = tmp_path_factory.mktemp("page") / "run"
    search(settings, run_dir=path, budget="90trials")
    return path


def test_the_report_stands_alone(run: Path) -> None:
    text = report(run)
    assert balanced(text)
    assert not re.search(r'(src|href)="(?!data:)', text) and "<script" not in text and "@import" not in text
    for heading in ("What is proved of it", "How the search went", "Its curves beside bce", "Fates", "Protocol"):
        assert heading in text
    assert text.count("<svg") >= 5 and text.count("data:image/svg+xml") == 2


def test_a_run_without_a_result_has_a_report(run: Path, tmp_path: Path) -> None:
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "trials.jsonl").write_text("".join(line for line in lines if '"filtered"' in line))
    text = report(tmp_path)
    assert "No loss was proved valid" in text and balanced(text)


def test_the_command_writes_the_file(run: Path) -> None:
    result = CliRunner().invoke(command, [str(run)])
    assert result.exit_code == 0, result.output
    assert (run / "report.html").read_text().startswith("<!doctype html>")


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(LossError, match="is no run directory"):
        report(tmp_path)
    assert CliRunner().invoke(command, []).exit_code == 2


def test_text_in_pictures_is_escaped() -> None:
    assert "<b>" not in bars([("<b>", 1)]) + plane([Point(1, 2, "dot", "<b>")], [(1, 2), (3, 4)], "<b>", "y")
    assert balanced(table(["a"], [["b"]], (0,)))


def test_nothing_is_drawn_of_nothing() -> None:
    assert "nothing" in plane([], [], "x", "y") and "nothing" in bars([])
