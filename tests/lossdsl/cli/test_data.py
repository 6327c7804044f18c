"""`lossdsl data`: summaries for people and machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lossdsl.cli.main import main
from tests.recsys.conftest import shared  # noqa: F401


def whole(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["data", *args])
    out = capsys.readouterr()
    return int(left.value.code or 0), out.out, out.err


def test_show_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = whole(capsys, "show", "demo")
    assert code == 0 and not err
    assert "demo: 500 users, 400 items" in out and "15,670 rows" in out


def test_show_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(whole(capsys, "show", "demo", "--json")[1])
    assert (
        facts["splits"]["train"]["rows"] + facts["splits"]["validation"]["rows"] + facts["splits"]["test"]["rows"]
        == 20_000
    )


def test_a_bad_file_is_one_line_and_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.train.csv").write_text("uid\tiid\tlabel\n1\t2\tyes\n")
    (tmp_path / "x.validation.csv").write_text("")
    (tmp_path / "x.test.csv").write_text("")
    code, out, err = whole(capsys, "show", str(tmp_path))
    assert code == 2 and not out and err.count("\n") == 1 and "x.train.csv:2: the label `yes` is not a number" in err


def test_the_shared_movielens_folder(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    out = whole(capsys, "show", str(shared / "ml100k01-1-5"))[1]
    assert "943 users, 1,682 items" in out and "94,638 rows" in out
