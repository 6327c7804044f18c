"""The report of a run: one file, nothing fetched, everything from the user escaped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lossdsl.cli.report import command
from lossdsl.errors import LossError
from lossdsl.search.charts import WIDTH, Point, bars, plane
from lossdsl.search.ledger import read_trials
from lossdsl.search.page import report, table
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign


class Balanced(HTMLParser):
    """Fails where tags are not closed in order."""

    VOID = ("meta", "br", "wbr", "img", "line", "circle", "path", "rect")

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
    settings = Settings(data="demo", seed=4)
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


def section(text: str, heading: str) -> str:
    """What stands under a heading."""
    found = re.search(rf"<h2>{heading}[^<]*</h2>(.*?)(?=<h2>|</main>)", text, re.DOTALL)
    assert found, heading
    return found[1]


def best(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "best.json").read_text())
    return content


def test_the_course_has_every_reward_but_the_lowest_tenth(run: Path) -> None:
    trained = [trial for trial in read_trials(run) if trial.reward is not None and trial.fate == "trained"]
    course = section(report(run), "How the search went")
    assert course.count("<circle") == len(trained) - len(trained) // 10
    rises = 0
    top = float("-inf")
    for trial in trained:
        assert trial.reward is not None
        rises, top = (rises + 1, trial.reward) if trial.reward > top else (rises, top)
    path = re.search(r'<path class="best" d="([^"]+)"', course)
    assert path and 2 <= path[1].count("H") + 1 <= rises + 1  # a step for each rise, and one to the end


def test_the_front_is_the_front_of_the_result(run: Path) -> None:
    front = section(report(run), "Reward against size")
    rows = best(run)["front"]
    assert rows and front.count('class="spot"') == len(rows)
    for row in rows:
        assert f"<code>{escape(row['formula'])}</code>" in front and f"{row['final']:.4f}" in front


def test_the_table_compares_with_the_baseline(run: Path) -> None:
    text, test = report(run).split("<h2>")[0], best(run)["test"]
    for name, row in (("found", test["best"]), (test["baseline"], test["bce"])):
        cells = f"<td>{name}</td>"
        assert cells in text and f"{row['mean']:.4f}" in text.split(cells)[1].split("</tr>")[0]
    gain = test["difference"]
    assert f"{gain['mean']:+.4f}, 95 % interval {gain['low']:+.4f} to {gain['high']:+.4f}" in text


def test_every_property_of_the_proof_is_said(run: Path) -> None:
    proof = section(report(run), "What is proved of it").replace("<wbr>", "")
    for name, finding in best(run)["report"]["properties"].items():
        row = proof.split(f">{name}</code>")[1].split("</tr>")[0]
        assert f"<td>{finding['status']}</td>" in row


def test_the_best_are_drawn_beside_bce_at_each_label(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    found = best(run)
    losses = ["(label-pred)^2", "abs(label-pred)", "-log(label*pred + (1-label)*(1-pred))", "3*(label-pred)^2"]
    found["front"] = [{"formula": text, "nodes": k, "final": k / 9, "number": k} for k, text in enumerate(losses)]
    (tmp_path / "run" / "best.json").write_text(json.dumps(found))
    text = report(tmp_path / "run")
    curves = section(text, "Curves of the best beside bce")
    shown = re.findall(r'<p class="formula">(.*?)</p>', curves)
    assert shown == [escape(found["formula"]), escape(losses[3]), escape(losses[2])]
    pictures = [b64decode(code).decode() for code in re.findall(r"base64,([^\"]+)", curves)]
    assert [re.search("<title>(value|slope)", p)[1] for p in pictures] == ["value", "slope"] * 3  # type: ignore[index]
    for picture in pictures:
        drawn = re.findall(r'<path clip-path="[^"]+" class="([^"]+)"', picture)
        assert sorted(drawn) == ["nil", "nil beside", "one", "one beside"]
        assert all(word in picture for word in ("label 1", "label 0", "bce"))


def test_fates_are_counted(run: Path) -> None:
    fates = section(report(run), "Fates")
    counts = Counter(trial.fate for trial in read_trials(run))
    for fate in ("trained", "duplicate", "filtered", "failed"):
        assert re.search(rf">{fate}</text><text [^>]*>{counts[fate]}</text>", fates), fate


def test_letters_are_larger_where_pictures_shrink(run: Path) -> None:
    """A picture of 640 units on a telephone's 330: letters of 23 units come out at twelve pixels."""
    text = report(run)
    narrow = re.search(r"@media\(max-width:600px\)\{svg text,\.pair svg text\{font-size:(\d+)px\}", text)
    assert narrow and int(narrow[1]) * 330 / WIDTH >= 11


def test_a_run_without_a_result_has_a_report(run: Path, tmp_path: Path) -> None:
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "trials.jsonl").write_text("".join(line for line in lines if '"filtered"' in line))
    text = report(tmp_path)
    assert "No loss was proved valid" in text and balanced(text)


def test_a_run_that_was_interrupted_is_not_said_to_have_found_nothing(run: Path, tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").write_text((run / "trials.jsonl").read_text())
    text = report(tmp_path)
    assert "--resume" in text and "No loss was proved valid" not in text and balanced(text)
    (tmp_path / "config.toml").write_text('preset = "autolossgen"\n')  # where what is trained need not be proved
    assert "No loss was proved valid" in report(tmp_path)


def test_the_command_writes_the_file(run: Path) -> None:
    result = CliRunner().invoke(command, [str(run)])
    assert result.exit_code == 0, result.output
    assert (run / "report.html").read_text().startswith("<!doctype html>")


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(LossError, match="is no run directory"):
        report(tmp_path)
    assert CliRunner().invoke(command, []).exit_code == 2


def refused(run: Path, name: str, content: bytes, folder: Path) -> str:
    """What the command says of a run with one file replaced: one sentence, after which it exits by 2."""
    shutil.copytree(run, folder)
    (folder / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "lossdsl", "report", str(folder)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2 and done.stdout == "", done.stderr
    assert len(done.stderr.splitlines()) == 1 and "internal" not in done.stderr, done.stderr
    assert not (folder / "report.html").exists()
    return done.stderr


def test_a_run_that_cannot_be_read_is_one_sentence(run: Path, tmp_path: Path) -> None:
    (run / "report.html").unlink(missing_ok=True)
    lines = (run / "trials.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = "{'formula': 'ä'}\n".encode("latin-1")
    for k, (name, content, words) in enumerate(
        [
            ("best.json", b"{}", "best.json: not the result of a search: it has no `formula`"),
            ("best.json", b'{"formula": "\xe4"}', "best.json: not JSON"),
            ("trials.jsonl", b"".join(lines), "trials.jsonl:3: not a trial"),
        ]
    ):
        assert words in refused(run, name, content, tmp_path / str(k))
    for content in (b"[]", b"null", b"3", b'"bce"', b"{", b"", b"[" * 100_000):
        (tmp_path / "0" / "best.json").write_bytes(content)
        with pytest.raises(LossError, match=r"best\.json: not "):
            report(tmp_path / "0")
    (tmp_path / "0" / "config.toml").write_bytes(b'data = "\xe4"')
    with pytest.raises(LossError, match=r"config\.toml: not text in UTF-8, from byte 8 on"):
        report(tmp_path / "0")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a document."""
    if path:
        yield path
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(part, (*path, key))


@pytest.mark.parametrize("other", [None, True, "-log(", -1.5, float("nan"), [], {}, [[]], {"a": {}}], ids=str)
def test_any_part_of_a_result_may_be_of_another_kind(other: Any, run: Path, tmp_path: Path) -> None:
    """The report comes out, or a sentence that names the file and the place; never anything else."""
    (tmp_path / "trials.jsonl").write_bytes((run / "trials.jsonl").read_bytes())
    found = best(run)
    found["front"] = found["front"][:1]
    found["report"] = {"properties": dict(list(found["report"]["properties"].items())[-3:])}
    # Curves cost most of the time and need nothing that is not needed elsewhere.
    refusals = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lossdsl.search.page._curves", lambda best, settings: "")
        for path in places(found):
            if path[0] not in ("formula", "verdict", "nodes", "number", "seeded", "test", "front", "report"):
                continue
            changed = json.loads(json.dumps(found))
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = other
            (tmp_path / "best.json").write_text(json.dumps(changed))
            try:
                assert balanced(report(tmp_path))
            except LossError as error:
                assert str(error).startswith(f"{tmp_path / 'best.json'}: not the result of a search: ")
                assert f"`{path[0]}" in str(error)
                refusals += 1
    assert refusals > 10


def test_no_text_of_a_result_becomes_markup(run: Path, tmp_path: Path) -> None:
    """A run directory may come from somebody else."""
    evil = "<script>alert(1)</script>"

    def spoilt(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoilt(part) for key, part in value.items()}
        if isinstance(value, list):
            return [spoilt(part) for part in value]
        return value + evil if isinstance(value, str) else value

    def formulas(value: Any, sound: Any) -> None:  # these have to be read
        for key in value:
            if key == "formula":
                value[key] = sound[key]
            for part, whole in (
                zip(value[key], sound[key]) if isinstance(value[key], list) else [(value[key], sound[key])]
            ):
                if isinstance(part, dict):
                    formulas(part, whole)

    (tmp_path / "trials.jsonl").write_bytes((run / "trials.jsonl").read_bytes())
    found = spoilt(best(run))
    formulas(found, best(run))
    (tmp_path / "best.json").write_text(json.dumps(found))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lossdsl.search.page._curves", lambda best, settings: "")
        text = report(tmp_path)
    assert evil not in text and "&lt;script&gt;" in text
    assert "Content-Security-Policy" in text.split("</head>")[0] and "default-src 'none'" in text


def test_no_use_of_the_test_rows_is_called_the_first(run: Path) -> None:
    """A search that is resumed is tested again."""
    text = report(run)
    assert "first time" not in text and "the test rows had no part in that choice, nor in the search" in text


def test_text_in_pictures_is_escaped() -> None:
    assert "<b>" not in bars([("<b>", 1)]) + plane([Point(1, 2, "dot", "<b>")], [(1, 2), (3, 4)], "<b>", "y")
    assert balanced(table(["a"], [["b"]], (0,)))


def test_nothing_is_drawn_of_nothing() -> None:
    assert re.findall(r'middle">([\d.]+)<', plane([Point(16, 0.7)], [], "nodes", "y")) == ["16"]  # no tenths of a node
    assert "nothing" in plane([], [], "x", "y") and "nothing" in bars([])
