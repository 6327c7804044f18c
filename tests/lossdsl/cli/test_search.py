"""`lossdsl search` as a user meets it before anything trains: what is refused leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossdsl.cli.main import main


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(["search", *args])
    assert left.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("exists", [False, True])
def test_resuming_what_is_no_run_begins_none(exists: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "typo"
    if exists:
        place.mkdir()
    said = refused(capsys, "--resume", "--run-dir", str(place), "--budget", "1trials")
    assert said == f"lossdsl: {place} holds no run to resume; leave out --resume to begin one there\n"
    assert not exists and not place.exists() or list(place.iterdir()) == []
