"""The report of a log of the original program, as one HTML file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from lossdsl.search.charts import Point, bars, plane
from lossdsl.search.oldcheck import POINTS
from lossdsl.search.oldlog import HEAD, Row, passed, summary
from lossdsl.search.page import figure, page, table


def log_page(path: Path | str, rows: Sequence[Row]) -> str:
    """The report of a log as HTML text."""
    points, steps, top = [], [], float("-inf")
    # A log to which several runs were written counts its epochs from 1 again for each.
    several = any(later.epoch <= r.epoch for r, later in zip(rows, rows[1:]))
    for k, r in enumerate(rows, 1):
        if r.validation is not None:
            place = k if several else r.epoch
            points.append(Point(place, r.validation, "dot", f"epoch {r.epoch}: {r.formula[:100]}"))
            if r.validation > top:
                top = r.validation
                steps.append((float(place), top))
    parts = ["".join(f"<p>{escape(line)}</p>" for line in summary(rows).splitlines())]
    if points:
        across = "epoch, one run after the other" if several else "epoch"
        caption = "validation metric after each epoch, and the best so far"
        parts.append(figure(caption, plane(points, steps, across, "validation")))
    distinct = list({r.formula: r for r in rows if r.formula}.values())
    both = [figure(f"distinct formulas, {name}", bars(Counter(getattr(r, key) for r in distinct).most_common()))
            for name, key in (("as printed", "printed"), ("as trained", "trained"))]  # fmt: skip
    parts.append(f'<div class="pair">{"".join(both)}</div>')
    good = [[str(r.epoch), str(r.valid_check), escape(r.printed), escape(r.trained),
             f"<code>{escape(r.formula)}</code>"] for r in passed(rows)]  # fmt: skip
    if good:
        words = f"<p class='quiet'>Of {2 * POINTS} slopes more than {1.2 * POINTS:.0f} have the good sign.</p>"
        head = ("first epoch", "valid_check", "as printed", "as trained", "formula")
        parts.append("<h2>What loss_valid_check.py lets pass</h2>" + words + table(head, good, (0, 1)))
    shown = [[*_cells(r), f"<code>{escape(r.formula)}</code>"] for r in rows]
    parts.append("<h2>Epochs</h2>" + table(HEAD, shown, (0, 1, 2, 3, 4)))
    return page(f"Log of AutoLossGen: {Path(path).name}", "".join(parts))


def _cells(r: Row) -> list[str]:
    values = (r.epoch, r.train, r.validation, r.test, r.valid_check, r.printed, r.trained)
    return ["" if v is None else escape(str(v)) for v in values]
