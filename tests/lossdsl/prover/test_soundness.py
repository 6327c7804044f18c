"""No proof is contradicted, every witness shows what it says, by values in 120 digits that the engine did not make."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lossdsl.checking import check
from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def load(name: str) -> ModuleType:
    """A file of benchmarks/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


oracle, randoms = load("oracle"), load("randoms")


def judge(formula: Formula, seed: int) -> list[str]:
    report = check(formula, timeout=None)
    return [f"{formula}: {text}" for text in oracle.objections(formula, report, random.Random(seed))]


def batch(first: int, count: int, largest: int) -> list[str]:
    out: list[str] = []
    for number in range(first, first + count):
        try:
            formula = parse(randoms.formula(random.Random(number), largest), "lossdsl")
        except LossError:
            continue
        out += judge(formula, number)
    return out


@pytest.mark.parametrize("block", range(8))
def test_random_formulas(block: int) -> None:
    assert batch(1000 * block, 40, 5) == []


@pytest.mark.parametrize("dialect", ["autolossgen", "autolossgen-plain"])
@pytest.mark.parametrize("block", range(3))
def test_random_lines_of_the_search_log(dialect: str, block: int) -> None:
    objections: list[str] = []
    for number in range(25):
        dice = random.Random(1000 * block + number)
        objections += judge(parse(randoms.log_line(dice, dice.randint(2, 6)), dialect), number)
    assert objections == []


@pytest.mark.slow
@pytest.mark.parametrize("block", range(30))
def test_many_random_formulas(block: int) -> None:
    assert batch(100_000 + 1000 * block, 100, 9) == []


def test_the_oracle_objects_to_a_false_proof() -> None:
    formula = parse("(pred-0.5)^2", "lossdsl")
    report = check("mse", timeout=None)
    assert any("monotone" in text for text in oracle.objections(formula, report, random.Random(1)))


@pytest.mark.parametrize(
    "text",
    [
        # The second piece begins at score 16, beyond 1-1e-6: zero slopes before it say nothing of the whole interval.
        "(1-label)*max(psqrt(score)*0.5, 2) + label*(1-pred)",
        "label*plog(pinv(1) - (1/1+label)) + (1-label)*max(psqrt(score)*0.5, 1+1)",
    ],
)
def test_a_slope_that_wakes_up_next_to_an_end_is_not_called_zero(text: str) -> None:
    assert check(text).properties["uses_pred"].status != "refuted"
