"""Curves as text: inside the width, in plain characters where asked, and at the right height."""

from __future__ import annotations

import re

import pytest

from lossdsl.textplot import terminal

LOSSES = ["bce", "maxr", "hinge", "bpr", "3", "log(-pred)", "1/(pred-0.5)", "-label*log(pred) - (1-label)*pred*1e9"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("width, height", [(72, 14), (30, 5), (200, 40), (1, 1)])
def test_it_fits(loss: str, width: int, height: int) -> None:
    lines = terminal(loss, width=width, height=height).split("\n")
    assert len(lines) == 2 * (max(height, 4) + 3) + 1
    curves = [line for line in lines if "│" in line or "└" in line]
    assert max(map(len, curves)) <= max(width, 24)


@pytest.mark.parametrize("loss", LOSSES)
def test_ascii_is_ascii(loss: str) -> None:
    assert terminal(loss, unicode=False).isascii()
    assert not terminal(loss).isascii()


def test_colour_adds_nothing_but_colour() -> None:
    painted = terminal("bce", colour=True)
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[\d+m", "", painted) == terminal("bce")


def test_the_line_of_label_1_falls() -> None:
    top = terminal("mse", height=9).split("\n\n")[0].split("\n")[1:10]
    columns = {row: line.index("1", line.index("│")) for row, line in enumerate(top) if "1" in line[line.index("│") :]}
    assert list(columns.values()) == sorted(columns.values()) and len(columns) > 5
