"""The named losses say what their papers say: each against a function written from the paper."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from lossdsl.grammar import losses
from lossdsl.grammar.parser import named
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Apply, Name, Number, Tree, walk

Loss = Callable[[float, float, float], float]


def _sign(y: float) -> float:
    return 1.0 if y == 1 else -1.0


def _maxr(p: float, y: float, s: float) -> float:
    c = 1e-6
    return max((y + c) / (p + c), (p + c) / (y + c))


def _huber(p: float, y: float, s: float) -> float:
    r = abs(y - p)
    return 0.5 * r * r if r <= 0.5 else 0.5 * (r - 0.25)


def _logmin(p: float, y: float, s: float) -> float:
    c, m = 1e-6, min(y, p)
    return math.log(1 / (m + c) + c) * (m + y + p)


PAPERS: dict[str, Loss] = {
    "bce": lambda p, y, s: -math.log(p) if y == 1 else -math.log(1 - p),
    "mse": lambda p, y, s: (y - p) ** 2,
    "hinge": lambda p, y, s: max(0.0, 1 - _sign(y) * s),
    "squared_hinge": lambda p, y, s: max(0.0, 1 - _sign(y) * s) ** 2,
    "focal": lambda p, y, s: -((1 - p) ** 2) * math.log(p) if y == 1 else -(p**2) * math.log(1 - p),
    "maxr": _maxr,
    "sumr": lambda p, y, s: (y + p + 1e-6) / (1e-6 + p * y),
    "logmin": _logmin,
    "huber": _huber,
    "exponential": lambda p, y, s: math.exp(-_sign(y) * s),
    "bpr": lambda p, y, s: math.log(1 + math.exp(-s)),
    "ccl": lambda p, y, s: 1 - s if y == 1 else max(0.0, s - 0.5),
    "predpredlabel": lambda p, y, s: p * (p + y),
}


def test_there_is_a_paper_for_each() -> None:
    assert set(PAPERS) == set(losses.loss_names())


@pytest.mark.parametrize("name", losses.loss_names())
def test_values(name: str) -> None:
    tree = named(name).tree
    for y in (0.0, 1.0):
        for s in (-3.0, -0.7, 0.2, 1.0, 2.5):
            p = 1 / (1 + math.exp(-s))
            expected = PAPERS[name](p, y, s)
            assert evaluate(tree, {"pred": p, "label": y, "score": s}) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", losses.loss_names())
def test_files_name_their_source_and_hold_canonical_text_but_for_blanks(name: str) -> None:
    file = losses.loss_file(name)
    assert len(file.source.splitlines()) >= 2
    assert show(named(name).tree).replace(" ", "") == file.formula.replace(" ", "")


def test_a_file_may_declare_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.loss").write_text("# title\npairwise\n-logsigmoid(\n  score)\n")
    monkeypatch.setattr(losses, "_FOLDER", tmp_path)
    found = losses.loss_file.__wrapped__
    monkeypatch.setattr(losses, "loss_names", lambda: ("mine",))
    file = found("mine")
    assert (file.pairwise, file.formula, file.source) == (True, "-logsigmoid( score)", "title")


def test_no_such_loss() -> None:
    with pytest.raises(KeyError):
        losses.loss_file("../secret")


def evaluate(tree: Tree, at: dict[str, float]) -> float:
    values: dict[object, float] = {}
    rules: dict[str, Callable[..., float]] = {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
        "pow": lambda a, b: a**b, "neg": lambda a: -a, "log": math.log, "exp": math.exp, "abs": abs, "min": min,
        "max": max, "if": lambda c, a, b: a if c else b, "le": lambda a, b: a <= b,
        "logsigmoid": lambda a: -math.log(1 + math.exp(-a)),
    }  # fmt: skip
    at = at | {b.name: float(b.low) for b in tree.where}
    for node in walk(tree.root):
        if isinstance(node, Number):
            values[node] = float(node.value)
        elif isinstance(node, Name):
            values[node] = at[node.name]
        elif isinstance(node, Apply):
            values[node] = rules[node.op](*(values[a] for a in node.args))
    return values[tree.root]
