"""`best.json` read again: all that a report takes from it is there and of its kind, or a sentence says what is not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from lossdsl.errors import LossError
from lossdsl.formula import parse

NUMBER = (int, float)
FORMULA = "a formula"
FINITE = "a finite number"
# Fields by name: one with a question mark may be absent, one with a plus is a list that is not empty, `*` stands for
# every name. A list has one shape for all.
_ROW = {"mean": NUMBER, "values+": [NUMBER], "l2": NUMBER, "formula": FORMULA}
_FINDING = {"status": str, "detail?": str, "witness?": {"at": {"*": str}, "why?": str}}
_SHAPE: dict[str, Any] = {
    "formula": FORMULA, "verdict": str, "nodes": int, "number": int, "seeded": bool,
    "test?": {
        "metric": str, "baseline": str, "seeds": int, "best": _ROW, "bce": _ROW,
        "difference": {"mean": NUMBER, "low": NUMBER, "high": NUMBER},
    },
    "front?": [{"formula": FORMULA, "nodes": int, "final": FINITE, "number": int}],
    "report?": {"properties": {"*": _FINDING}},
}  # fmt: skip


def read_best(run_dir: Path) -> dict[str, Any] | None:
    """The content of a run's `best.json`; None where there is none."""
    path = run_dir / "best.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes().decode())
    except (ValueError, RecursionError) as error:
        raise LossError(f"{path}: not JSON: {error}") from None
    fault = _fault(content, _SHAPE, "")
    if fault:
        raise LossError(f"{path}: not the result of a search: {fault}")
    best: dict[str, Any] = content
    return best


def _fault(value: Any, shape: Any, place: str) -> str:
    """What is wrong with a value, in words; the empty text where nothing is."""
    if isinstance(shape, dict):
        return _fault_in_table(value, shape, place)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"`{place}` is no list"
        parts = (_fault(part, shape[0], f"{place}[{k}]") for k, part in enumerate(value))
        return next(filter(None, parts), "")
    if shape == FORMULA:
        if not isinstance(value, str):
            return f"`{place}` is no formula"
        try:
            parse(value)
        except LossError:
            return f"`{place}` is a formula that cannot be read"
        return ""
    kind = NUMBER if shape == FINITE else shape
    fits = isinstance(value, kind) and (shape is bool or not isinstance(value, bool))
    fits = fits and (shape != FINITE or math.isfinite(value))
    return "" if fits else f"`{place}` cannot be {value!r}"


def _fault_in_table(value: Any, shape: dict[str, Any], place: str) -> str:
    if not isinstance(value, dict):
        return f"`{place}` is no table" if place else "it is no table"
    for key, inner in shape.items():
        for name in value if key == "*" else (key.rstrip("?+"),):
            there = f"{place}.{name}" if place else name
            if value.get(name) is None and key.endswith("?"):
                continue
            if name not in value or key.endswith("+") and value[name] == []:
                return f"it has no `{there}`"
            fault = _fault(value[name], inner, there)
            if fault:
                return fault
    return ""
