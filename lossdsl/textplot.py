"""The curves of a loss as text, each drawn with the figure of its label: readable without colour, in any font."""

from __future__ import annotations

from lossdsl.curves import Axis, Curves, trace
from lossdsl.formula import Formula
from lossdsl.scales import scale, ticks, write

MARKS = {1: "1", 0: "0", None: "●"}
PAINT = {1: "\x1b[36m", 0: "\x1b[33m", None: "\x1b[35m"}


def terminal(
    loss: str | Formula,
    *,
    axis: Axis | None = None,
    pairwise: bool | None = None,
    width: int = 72,
    height: int = 14,
    colour: bool = False,
    unicode: bool = True,
    reach: float | None = None,
) -> str:
    """The curves of one loss as text, each drawn with the figure of its label.

    `height` is in lines a panel. `unicode=False` keeps to ASCII, `colour` adds ANSI colours.

    >>> print(terminal("mse", width=40, height=5, unicode=False))
    value of mse
           |  1111                    0000
       0.5 |      111              000
           |         11111    00000
           |            00000011
         0 |000000000000        111111111111
           +--------------------------------
            0             pred             1
    <BLANKLINE>
    slope of mse
           |                   0000000000000
           |      0000000000000
         0 |000000                    111111
           |             1111111111111
           |1111111111111
           +--------------------------------
            0             pred             1
    """
    curves = trace(loss, axis=axis, pairwise=pairwise, reach=reach)
    panels = [
        _panel(curves, quantity, max(width, 24), max(height, 4), colour, unicode) for quantity in ("value", "slope")
    ]
    return "\n\n".join(panels)


def _panel(curves: Curves, quantity: str, width: int, height: int, colour: bool, unicode: bool) -> str:
    import numpy as np

    low, high = curves.frame(quantity)
    unit = curves.unit(quantity)
    up = scale(low, high, unit)
    marks = {
        row: y for y in reversed(ticks(low, high, unit, count=max(2, height // 3))) if (row := _row(up(y), height)) >= 0
    }
    gutter = max(len(write(y)) for y in marks.values()) + 1 if marks else 1
    gutter = max(gutter, 6)
    across = width - gutter - 2
    cells: list[list[int | None | str]] = [[" "] * across for _ in range(height)]
    left, right = curves.ends
    at = left + (np.arange(across) + 0.5) / across * (right - left)
    for curve in curves.curves:
        y = getattr(curve, quantity)
        finite = np.isfinite(y)
        if not finite.any():
            continue
        heights = np.interp(at, curve.x[finite], y[finite])
        nearest = finite[np.abs(curve.x[:, None] - at[None, :]).argmin(axis=0)]
        previous: int | None = None
        for column in range(across):
            row = _row(up(float(heights[column])), height) if nearest[column] else -1
            if row < 0:
                previous = None
                continue
            # join the rows of a steep piece, so that the eye can follow it
            start = row if previous is None else previous
            for place in range(min(start, row), max(start, row) + 1) if abs(row - start) > 1 else (row,):
                cells[place][column] = curve.label
            previous = row
    lines = [f"{quantity} of {curves.names[0]}" if unicode else f"{quantity} of {_ascii(curves.names[0])}"]
    bar, corner, rule = ("│", "└", "─") if unicode else ("|", "+", "-")
    for row in reversed(range(height)):
        number = "" if row not in marks else write(marks[row]) if unicode else f"{marks[row]:g}"
        lines.append(f"{number:>{gutter}} {bar}" + "".join(_cell(c, colour, unicode) for c in cells[row]).rstrip())
    lines.append(f"{'':>{gutter}} {corner}{rule * across}")
    ends = f"{left:g}", f"{right:g}"
    word = curves.across if len(curves.across) < across - 8 else curves.axis
    lines.append(f"{'':>{gutter}}  {ends[0]}{word.center(across - len(ends[0]) - len(ends[1]))}{ends[1]}")
    return "\n".join(lines)


def _row(part: float, height: int) -> int:
    return -1 if part < 0 or part > 1 else min(int(part * height), height - 1)


def _cell(cell: int | None | str, colour: bool, unicode: bool) -> str:
    if isinstance(cell, str):
        return cell
    mark = MARKS[cell] if unicode or cell is not None else "*"
    return f"{PAINT[cell]}{mark}\x1b[0m" if colour else mark


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
