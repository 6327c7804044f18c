"""The checklists under docs/extend hold: their files are there, and what they ask for is asked of what is there."""

from __future__ import annotations

import re
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import lossdsl
from lossdsl.grammar.dialects import read, write
from lossdsl.grammar.limits import PROTECTED
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree
from lossdsl.lowering import lower
from lossdsl.report import PROPERTIES
from lossdsl.targets.numpy import evaluate

ROOT = Path(__file__).resolve().parent.parent.parent
LISTS = sorted((ROOT / "docs" / "extend").glob("*.md"))
SCORE = np.linspace(-3, 3, 13)


def backends() -> tuple[str, ...]:
    """Every way to a module but `compile`, which takes a C compiler and minutes, and `auto`, which picks another."""
    if find_spec("torch") is None:
        return ("torchscript",)
    from lossdsl.engine import BACKENDS

    return tuple(name for name in BACKENDS if name not in ("compile", "auto"))


@pytest.mark.skipif(not (ROOT / "grammar").is_dir(), reason="an installed wheel is tested, away from its sources")
@pytest.mark.parametrize("path", LISTS, ids=lambda p: p.stem)
def test_every_file_on_the_list_exists(path: Path) -> None:
    items = re.findall(r"^- \[ \] (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(items) >= 5
    for name in re.findall(
        r"`((?:grammar|lossdsl|recsys|search|docs|tests)/[\w/.]*)`", path.read_text(encoding="utf-8")
    ):
        assert (ROOT / name).exists(), name


def sample(operator: str) -> Tree:
    """The operator on arguments where it is defined, with the label in it."""
    row = OPERATORS[operator]
    pred, label, one, two = Name("pred"), Name("label"), Number(Fraction(1)), Number(Fraction(2))
    if row.boolean or operator == "if":
        condition = Apply("lt" if operator == "if" else operator, (pred, Number(Fraction(1, 2))))
        return Tree(Apply("if", (condition, label, pred)))
    if operator == "pow":
        return Tree(Apply("pow", (Apply("add", (pred, label)), two)))
    if operator in PROTECTED:
        return Tree(Apply(operator, (Apply("sub", (pred, label)),)))
    arguments: tuple[Node, ...] = (Apply("add", (pred, one)), Apply("add", (label, one)), two)
    return Tree(Apply("mul", (Apply(operator, arguments[: row.low]), Apply("add", (label, one)))))


@pytest.mark.parametrize("operator", OPERATORS)
class TestOperator:
    def test_it_prints_and_reads_back(self, operator: str) -> None:
        text = show(sample(operator))
        assert show(lossdsl.parse(text, "lossdsl").tree) == text

    def test_it_has_value_and_slope(self, operator: str) -> None:
        program = lower(sample(operator))
        step = 1e-6
        for label in (0, 1):
            value, slope = evaluate(program, SCORE, label)
            above, _ = evaluate(program, SCORE + step, label)
            below, _ = evaluate(program, SCORE - step, label)
            smooth = np.abs(SCORE) > 1e-3  # the condition of `if` turns at pred = 1/2
            np.testing.assert_allclose(slope[smooth], ((above - below) / (2 * step))[smooth], rtol=1e-4, atol=1e-6)
            assert np.isfinite(value).all()

    def test_sympy_agrees(self, operator: str) -> None:
        formula = lossdsl.parse(show(sample(operator)), "lossdsl")
        pred = 0.3
        value, _ = evaluate(lower(formula, axis="pred"), [pred], 1)
        symbols = {s: {"pred": pred, "label": 1}[str(s)] for s in formula.expr.free_symbols}
        assert float(formula.expr.subs(symbols)) == pytest.approx(float(value[0]), rel=1e-9)

    def test_every_property_is_answered(self, operator: str) -> None:
        report = lossdsl.check(show(sample(operator)))
        assert set(report.properties) == set(PROPERTIES)
        assert report.properties["domain"].status == "proved"

    @pytest.mark.parametrize("dialect", ["python", "latex"])
    def test_other_languages_say_it_and_read_it(self, operator: str, dialect: str) -> None:
        tree = sample(operator)
        back = read(write(tree, dialect), dialect).tree
        for label in (0, 1):
            np.testing.assert_allclose(
                evaluate(lower(back), SCORE, label)[0], evaluate(lower(tree), SCORE, label)[0], rtol=1e-12, atol=1e-12
            )

    @pytest.mark.parametrize("backend", backends())
    def test_torch_computes_it(self, operator: str, backend: str) -> None:
        torch = pytest.importorskip("torch")
        text = show(sample(operator))
        loss = lossdsl.Loss(text, check="off", reduction="none", backend=backend)
        score = torch.tensor(SCORE, requires_grad=True)
        label = torch.ones_like(score)
        result = loss(score=score, label=label)
        result.sum().backward()
        value, slope = evaluate(lower(text), SCORE, 1)
        np.testing.assert_allclose(result.detach().numpy(), value, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(score.grad.numpy(), slope, rtol=1e-9, atol=1e-12)


def test_every_model_keeps_the_contract() -> None:
    from lossdsl.recsys.settings import MODELS

    tests = (ROOT / "tests" / "recsys" / "test_models.py").read_text(encoding="utf-8")
    contracts = re.findall(r"class \w+\(Contract\):\n\s+settings = Settings\((?:model=)?\"(\w+)\"", tests)
    assert set(MODELS) <= {*contracts, "biasedmf"} and tests.count("(Contract):") >= len(MODELS)


def strategies() -> tuple[str, ...]:
    from lossdsl.search.strategies import STRATEGIES

    return STRATEGIES


SLOW = [pytest.param(s, marks=pytest.mark.slow) if s in ("controller", "ppo") else s for s in strategies()]


@pytest.mark.parametrize("strategy", SLOW)
def test_every_strategy_keeps_the_contract(strategy: str) -> None:
    from lossdsl.grammar.limits import breach
    from lossdsl.search.settings import Settings
    from lossdsl.search.strategies import make
    from lossdsl.search.strategy import Outcome

    def told(proposals: list) -> list[Outcome]:  # type: ignore[type-arg]
        return [Outcome("trained", 0.5 + 0.01 * (n % 7), p.root) for n, p in enumerate(proposals)]

    settings = Settings(strategy=strategy, seed=5)
    first, second = make(settings), make(settings)
    for _ in range(2):
        proposals, same = first.propose(6), second.propose(6)
        assert proposals == same and len(proposals) == 6
        assert all(breach(Tree(p.root)) is None for p in proposals)
        first.observe(told(proposals))
        second.observe(told(same))
    arrays, meta = first.state()
    third = make(Settings(strategy=strategy, seed=99))
    third.restore(arrays, meta)
    assert third.propose(6) == first.propose(6)


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_target_writes_it(operator: str, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from lossdsl.cli.compile import TARGETS, command

    formula = show(sample(operator))
    for target in TARGETS:
        if target in ("torchscript", "export"):  # their own tests load what they write
            continue
        file = tmp_path / target
        done = CliRunner().invoke(command, [formula, "--to", target, "-o", str(file)], standalone_mode=False)
        assert done.exception is None and file.read_text(encoding="utf-8").strip(), target
