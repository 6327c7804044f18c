"""Pictures in files: what is drawn is what was computed, the bytes repeat, a missing extra is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lossdsl
from lossdsl.curves import trace
from lossdsl.errors import LossError, MissingExtra
from lossdsl.plot import picture, save

pytest.importorskip("matplotlib")
STARTS = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}


def test_lines_are_the_curves() -> None:
    figure = picture("bce", "focal", axis="score")
    curves = trace("bce", "focal", axis="score").curves
    for axes, quantity in zip(figure.axes, ("value", "slope")):
        lines = axes.lines[: len(curves)]
        for line, curve in zip(lines, curves):
            np.testing.assert_array_equal(line.get_ydata(), getattr(curve, quantity))


def test_every_loss_and_label_is_in_the_legend() -> None:
    figure = picture("bce", "mse", names=["mine", "squared"])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["label 1", "label 0", "mine", "squared"]
    styles = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines[:4]}
    assert len(styles) == 4


def test_losses_of_pairs_differ_by_colour_and_dashes() -> None:
    figure = picture("-log(1e-3 + sigmoid(score))", "bpr", pairwise=True)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["-log(0.001 + sigmoid(score))", "bpr"]
    one, other = figure.axes[0].lines[:2]
    assert one.get_color() != other.get_color() and one.get_linestyle() != other.get_linestyle()
    assert [h.get_color() for h in figure.legends[0].get_lines()] == [one.get_color(), other.get_color()]


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_files_are_what_they_are_called_and_repeat(tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    save(first, "bce", "mse")
    save(second, "bce", "mse")
    assert first.read_bytes().startswith(STARTS[suffix])
    assert first.read_bytes() == second.read_bytes()


def test_text_in_svg_can_be_searched(tmp_path: Path) -> None:
    save(tmp_path / "a.svg", "logmin")
    assert ">logmin</text>" in (tmp_path / "a.svg").read_text()


def test_a_formula_plots_itself() -> None:
    assert lossdsl.parse("bce").plot("mse").axes[1].get_title() == "slope"


def test_a_notebook_shows_it() -> None:
    assert picture("bce")._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_no_global_state() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    picture("bce")
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LossError, match=r"`a.gif` does not end in .svg, .png or .pdf"):
        save(tmp_path / "a.gif", "bce")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.lines", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lossdsl\[plot\]'"):
        save(tmp_path / "a.svg", "bce")


def test_the_terminal_needs_no_matplotlib() -> None:
    code = "import sys; sys.modules['matplotlib'] = None\nfrom lossdsl.plot import terminal; print(terminal('bce'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0 and "slope of bce" in done.stdout
