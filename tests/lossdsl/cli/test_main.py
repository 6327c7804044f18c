"""The outermost border of the command line: what is interrupted stops, and what fails is one sentence."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lossdsl.cli.main import cli, goes_on, heard, main


def test_a_ctrl_c_inside_a_callback_is_not_lost() -> None:
    @ctypes.CFUNCTYPE(None)
    def callback() -> None:
        raise KeyboardInterrupt

    before = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt), heard():
        callback()
        time.sleep(10)
    assert sys.unraisablehook is before


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "command",
    [
        ["report", "--from-log", "log.txt", "-o", str(FULL)],
        ["report", "--from-log", "log.txt", "--csv", str(FULL)],
        ["report", "run", "-o", str(FULL)],
        ["compile", "bce", "--to", "python", "-o", str(FULL)],
        ["check", "bce", "--certificate", str(FULL)],
    ],
)
def test_a_full_disk_is_one_sentence_that_names_the_file(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.txt").write_text("(label + - (pred)) ^ 2\n")
    Path("run").mkdir()
    line = {"number": 1, "formula": "1", "hash": None, "fate": "filtered", "reward": None, "rows": 0, "epochs": 0}
    Path("run/trials.jsonl").write_text(json.dumps({**line, "source": "random", "why": "x"}) + "\n")
    with pytest.raises(SystemExit) as left:
        main(command)
    assert left.value.code == 2
    assert capfd.readouterr().err == "lossdsl: /dev/full: no space left on device\n"


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_interrupted_or_out_of_room_says_how_it_goes_on(
    kept: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raised: list[BaseException] = [KeyboardInterrupt(), OSError(28, "No space left on device", "trials.jsonl")]

    def fail(**_: object) -> None:
        with goes_on("go on with: this", lambda: kept):
            raise raised.pop(0)

    monkeypatch.setattr(cli, "main", fail)
    hint = "; go on with: this" * kept
    for code, text in ((130, f"interrupted{hint}"), (2, f"lossdsl: trials.jsonl: no space left on device{hint}")):
        with pytest.raises(SystemExit) as left:
            main([])
        assert left.value.code == code and capsys.readouterr().err.strip() == text


def test_a_ctrl_c_during_the_first_imports_is_no_traceback() -> None:
    code = """
import sys
class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
import lossdsl.cli
lossdsl.cli.run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
