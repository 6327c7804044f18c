"""Logs of the original program: what its `reorg_log.py` made of them, and what is true of the formulas in them."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.search.oldcheck import POINTS, valid_check

_METRICS = r"([-+\d.,naife]+)"
_EPOCH = re.compile(rf"Epoch\s+(\d+)\b.*?train=\s*{_METRICS}\s+validation=\s*{_METRICS}\s+test=\s*{_METRICS}")
_DAMAGED = re.compile(r"Epoch\s+\d+\b.*\b(?:train|validation|test)=")
_PREFIX = re.compile(r"^(?:INFO|WARNING|ERROR|DEBUG):[^:]*:")


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


def read_log(path: Path | str, say: Callable[[str], None] = lambda text: None) -> list[Row]:
    """The rows of a log, or of a file with one formula a line; `say` is told of epochs whose lines are damaged.

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
    damaged = [k for k, line in enumerate(lines, 1) if _DAMAGED.search(line) and not _EPOCH.search(line)]
    if damaged:
        count = "an epoch" if len(damaged) == 1 else f"{len(damaged)} epochs, this is the first,"
        say(f"{path}:{damaged[0]}: {count} left out: no train=, validation= and test= with numbers")
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
    passing = [r for r in distinct.values() if r.valid_check is not None and r.valid_check > 1.2 * POINTS]
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
