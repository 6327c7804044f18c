"""`lossdsl compile`: what it writes where, and its exit codes."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from lossdsl.cli.main import main
from lossdsl.loss import compile


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["compile", *arguments])
    return int(left.value.code or 0)


def test_text_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    for target, part in (("python", "def mse_on_pred"), ("numpy", "np."), ("c", "static inline"), ("latex", "align")):
        assert run("mse", "--to", target) == 0
        assert part in capsys.readouterr().out


def test_a_minus_is_stdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("mse", "--to", "latex", "-o", "-") == 0
    assert "align" in capsys.readouterr().out
    assert run("mse", "--to", "torchscript", "-o", "-") == 2
    assert list(tmp_path.iterdir()) == []


def test_a_formula_may_begin_with_a_minus(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-log(pred)", "--to", "python") == 0
    assert "Loss: -log(pred)" in capsys.readouterr().out


def test_files_are_written_and_suffixes_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("loss.py", "loss.h", "loss.tex", "loss.pt"):
        assert run("bce", "-o", str(tmp_path / name)) == 0
        assert (tmp_path / name).stat().st_size > 0
    captured = capsys.readouterr()
    assert captured.out == "" and "written" in captured.err
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer releases of PyTorch warn of torch.jit
        loaded = torch.jit.load(str(tmp_path / "loss.pt"))
    score, label = torch.randn(8), (torch.rand(8) > 0.5).float()
    torch.testing.assert_close(loaded(score=score, label=label), compile("bce")(score=score, label=label))


def test_pairs_and_reduction(tmp_path: Path) -> None:
    assert run("bce", "--pairwise", "--reduction", "sum", "--to", "torchscript", "-o", str(tmp_path / "pair.pt")) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer releases of PyTorch warn of torch.jit
        loaded = torch.jit.load(str(tmp_path / "pair.pt"))
    torch.testing.assert_close(loaded(score=torch.zeros(4)), torch.tensor(4 * 0.6931472))


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("log(a", "--to", "c") == 1
    assert "LD" in capsys.readouterr().err
    assert run("", "--to", "c") == 1
    assert run("log(0)*pred", "--to", "c") == 1
    assert run("pred*c where c in [0, 1]", "--to", "python") == 1
    assert run("hinge", "--to", "export", "--axis", "pred", "-o", str(tmp_path / "x.pt2")) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert run("bce") == 2
    assert run("bce", "--to", "torchscript") == 2
    assert run("bce", "--to", "fortran") == 2
    assert run("bce", "--to", "c", "--axis", "pred") == 2
    assert run("bce", "--to", "numpy", "--reduction", "sum") == 2
    assert "--reduction belongs to --to torchscript and export" in capsys.readouterr().err
    assert run("bce", "--to", "torchscript", "-o", str(tmp_path / "no" / "such" / "folder.pt")) == 2
    assert "folder.pt: no such file or directory" in capsys.readouterr().err
    assert run("bce", "--to", "c", "-o", str(tmp_path / "no" / "such" / "folder.h")) == 2
