"""Logs of the original program: what its two scripts made of them, and what is true of the formulas in them."""

from __future__ import annotations

import csv
import io
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.grammar.tree import Apply, Name, Node, Number
from lossdsl.search.charts import Point, bars, plane
from lossdsl.search.page import figure, page, table

_METRICS = r"([-+\d.,naife]+)"
_EPOCH = re.compile(rf"Epoch\s+(\d+)\b.*?train=\s*{_METRICS}\s+validation=\s*{_METRICS}\s+test=\s*{_METRICS}")
_PREFIX = re.compile(r"^(?:INFO|WARNING|ERROR|DEBUG):[^:]*:")
_EPSILON = 1e-6
_POINTS = 1000


@dataclass(frozen=True)
class Row:
    """One outer epoch: its metrics, the formula before it, and what the two checks say of the formula.

    `valid_check` is the count of the original's script, 0 to 2,000, None where the formula cannot be read; the verdicts
    are this project's, as the formula is printed and as it was trained (every operator clamped).
    """

    epoch: int
    train: float | None
    validation: float | None
    test: float | None
    formula: str
    valid_check: int | None
    printed: str
    trained: str


def read_log(path: Path | str) -> list[Row]:
    """The rows of a log, or of a file with one formula a line.

    Source: `reorg_log.py` and `loss_valid_check.py` of AutoLossGen.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise LossError(f"{path}: not a text file") from None
    found: list[tuple[int, tuple[float | None, ...], str]] = []
    for k, line in enumerate(lines):
        match = _EPOCH.search(line)
        if match:
            before = _PREFIX.sub("", lines[k - 1]).strip() if k and not _EPOCH.search(lines[k - 1]) else ""
            metrics = tuple(_number(match[n]) for n in (2, 3, 4))
            found.append((int(match[1]), metrics, before if "pred" in before or "label" in before else ""))
    if not found:
        formulas = [_PREFIX.sub("", line).strip() for line in lines if _holds_formula(line)]
        if not formulas:
            raise LossError(f"{path}: no line `Epoch … train= … validation= … test= …`, and no formula, stands in it")
        found = [(k, (None, None, None), text) for k, text in enumerate(formulas, 1)]
    known: dict[str, tuple[int | None, str, str]] = {}
    rows = []
    for epoch, (train, validation, test), text in found:
        if text not in known:
            known[text] = _judge(text)
        rows.append(Row(epoch, train, validation, test, text, *known[text]))
    return rows


def _holds_formula(line: str) -> bool:
    """Whether a line is a formula; of a log, whose settings speak of labels too, only one that can be read."""
    bare = _PREFIX.sub("", line).strip()
    if bare.startswith("#") or not ("pred" in bare or "label" in bare):
        return False
    if not _PREFIX.match(line):
        return True
    try:
        parse(bare, "autolossgen-plain")
    except LossError:
        return False
    return True


def _number(text: str) -> float | None:
    try:
        value = float(text.split(",")[0])
    except ValueError:
        return None
    return value if isfinite(value) else None


def _judge(text: str) -> tuple[int | None, str, str]:
    from lossdsl.checking import check

    if not text:
        return None, "", ""
    verdicts = []
    formula: Formula | None = None
    for dialect in ("autolossgen-plain", "autolossgen"):
        try:
            read = parse(text, dialect)
        except LossError:
            verdicts.append("unreadable")
            continue
        formula = formula or read
        verdicts.append(check(read, properties=("domain", "uses_pred", "uses_label", "gradient", "monotone")).verdict)
    return (None if formula is None else valid_check(formula, text)), verdicts[0], verdicts[1]


def valid_check(formula: Formula, text: str = "") -> int:
    """The number that `loss_valid_check.py` gives: of 1,000 points and both labels, how often a slope has the good
    sign.

    Its function is a third one, neither what is printed nor what is trained: no clamps, logarithms of x + 1e-6 or -x,
    and 1 / (|x| + 1e-6) with the sign of x. Here it is evaluated as it stands there, but without `eval`.

    >>> from lossdsl.formula import parse
    >>> from lossdsl.search.oldlog import valid_check
    >>> valid_check(parse("((label + - (pred))) ^ 2", "autolossgen-plain"))
    2000
    """
    if "label" not in (text or str(formula)):
        return 0
    source = random.Random(0)
    x = np.clip([source.random() for _ in range(_POINTS)], _EPSILON, 1 - _EPSILON)
    count = 0
    with np.errstate(all="ignore"):
        for label, sign in ((1.0, -1.0), (0.0, 1.0)):
            slope = (
                _theirs(formula.tree.root, x + _EPSILON, label) - _theirs(formula.tree.root, x - _EPSILON, label)
            ) / (2 * _EPSILON)
            count += int((sign * slope > _EPSILON).sum())
    return count


def _theirs(root: Node, x: NDArray[np.float64], label: float) -> NDArray[np.float64]:
    def value(node: Node) -> NDArray[np.float64]:
        if isinstance(node, Number):
            return np.full_like(x, float(node.value))
        if isinstance(node, Name):
            return x if node.name == "pred" else np.full_like(x, label)
        assert isinstance(node, Apply)
        a = [value(child) for child in node.args]
        match node.op:
            case "add":
                return a[0] + a[1]
            case "sub":
                return a[0] - a[1]
            case "mul":
                return a[0] * a[1]
            case "div":
                return a[0] * _inverse(a[1])
            case "reciprocal":
                return _inverse(a[0])
            case "neg":
                return -a[0]
            case "pow":
                return np.asarray(a[0] ** a[1])
            case "square":
                return a[0] * a[0]
            case "log":
                return np.log(np.where(a[0] >= 0, a[0] + _EPSILON, -a[0]))
            case "max":
                return np.maximum.reduce(a)
            case "min":
                return np.minimum.reduce(a)
            case "exp":
                return np.exp(a[0])
            case "abs":
                return np.abs(a[0])
            case "sqrt":
                return np.sqrt(a[0])
            case "sigmoid":
                return 1 / (1 + np.exp(-a[0]))
            case "tanh":
                return np.tanh(a[0])
            case "relu":
                return np.maximum(a[0], 0)
        return np.full_like(x, np.nan)

    return value(root)


def _inverse(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x < 0, -1.0, 1.0) / (np.abs(x) + _EPSILON)


HEAD = ("Epoch", "train", "validation", "test", "valid_check", "as_printed", "as_trained", "formula")


def as_csv(rows: Sequence[Row]) -> str:
    """The table that the two scripts gave, with the verdicts beside it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for r in rows:
        writer.writerow([r.epoch, r.train, r.validation, r.test, r.valid_check, r.printed, r.trained, r.formula])
    return out.getvalue()


def passed(rows: Sequence[Row]) -> list[Row]:
    """One row for each formula that `loss_valid_check.py` would print, the highest count first."""
    distinct = {r.formula: r for r in reversed(rows) if r.formula}
    passing = [r for r in distinct.values() if r.valid_check is not None and r.valid_check > 1.2 * _POINTS]
    return sorted(passing, key=lambda r: (-(r.valid_check or 0), r.epoch))


def summary(rows: Sequence[Row]) -> str:
    """For people: how many formulas, which ones the script lets pass, and what is true of them."""
    distinct = {r.formula: r for r in rows if r.formula}
    good = passed(rows)

    def counts(which: str, among: Sequence[Row]) -> str:
        found = Counter(getattr(r, which) for r in among)
        return ", ".join(f"{found[v]} {v}" for v in ("valid", "invalid", "unknown", "unreadable") if found[v]) or "none"

    formulas = f"{len(distinct)} distinct formula{'s' * (len(distinct) != 1)}"
    measured = any(r.validation is not None for r in rows)
    lines = [f"{len(rows)} epoch{'s' * (len(rows) != 1)}, {formulas}" if measured else formulas]
    lines.append(f"as printed: {counts('printed', list(distinct.values()))}")
    lines.append(f"as trained: {counts('trained', list(distinct.values()))}")
    lines.append(f"loss_valid_check.py lets {len(good)} pass; of these as printed: {counts('printed', good)}; "
                 f"as trained: {counts('trained', good)}")  # fmt: skip
    return "\n".join(lines)


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
        words = f"<p class='quiet'>Of {2 * _POINTS} slopes more than {1.2 * _POINTS:.0f} have the good sign.</p>"
        head = ("first epoch", "valid_check", "as printed", "as trained", "formula")
        parts.append("<h2>What loss_valid_check.py lets pass</h2>" + words + table(head, good, (0, 1)))
    shown = [[*_cells(r), f"<code>{escape(r.formula)}</code>"] for r in rows]
    parts.append("<h2>Epochs</h2>" + table(HEAD, shown, (0, 1, 2, 3, 4)))
    return page(f"Log of AutoLossGen: {Path(path).name}", "".join(parts))


def _cells(r: Row) -> list[str]:
    values = (r.epoch, r.train, r.validation, r.test, r.valid_check, r.printed, r.trained)
    return ["" if v is None else escape(str(v)) for v in values]
