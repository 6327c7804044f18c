"""Programs without their last signs: the same numbers, negated where it says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.lowering import lower
from lossdsl.program import Program, Step
from lossdsl.targets.numpy import evaluate
from lossdsl.targets.scripted import OnePass
from lossdsl.targets.signs import without_signs
from lossdsl.testing import formulas

X = np.array([0.02, 0.3, 0.5, 0.75, 0.97])
Y = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
HUBER = "if(abs(label-pred) <= 0.5, (label-pred)^2/2, 0.5*(abs(label-pred)-0.25))"


def agree(program: Program) -> None:
    work, *negated = without_signs(program)
    with np.errstate(all="ignore"):
        for got, want, sign in zip(evaluate(work, X, Y), evaluate(program, X, Y), negated):
            np.testing.assert_allclose(-got if sign else got, want, rtol=1e-15)


@settings(max_examples=150, deadline=None)
@given(formulas(depth=4), st.sampled_from(["pred", "score"]))
def test_the_numbers_stay(formula: object, axis: str) -> None:
    try:
        program = lower(formula, axis)
    except LossError:
        return
    agree(program)


def count(program: Program) -> int:
    from lossdsl.program import reachable

    return sum(bool(program.steps[n].args) for n in reachable(program.steps, (program.value, program.slope)))


@pytest.mark.parametrize(
    "text, axis, saved, signs",
    [
        ("-log(pred)", "score", 2, (True, True)),
        ("bce", "score", 1, (True, False)),
        (HUBER, "pred", 4, (False, True)),
        ("mse", "pred", 1, (False, True)),
        ("exp(score)", "score", 0, (False, False)),
        ("if(pred > 0.5, -log(pred), 3)", "pred", 2, (True, True)),
    ],
)
def test_what_is_saved(text: str, axis: str, saved: int, signs: tuple[bool, bool]) -> None:
    program = lower(text, axis)
    agree(program)
    work, *negated = without_signs(program)
    assert (count(program) - count(work), tuple(negated)) == (saved, signs)


def test_only_a_product_with_the_divisor_itself_is_undone() -> None:
    def program(op: str, factor: int, divisor: int) -> Program:
        x = Step("input", name="pred")
        constants = (Step("constant", constant=lower("1").steps[0].constant * n) for n in (factor, divisor))
        steps = (x, *constants, Step(op, (0, 1)), Step("div", (3, 2)), Step("div", (2, 3)), Step("add", (4, 5)))
        return Program("pred", steps, 6, 4)

    assert without_signs(program("mul", 3, 3))[0].slope == 0
    for op, factor, divisor in (("mul", 3, 4), ("add", 3, 3)):
        made = program(op, factor, divisor)
        assert without_signs(made)[0].slope == 4
        agree(made)
    agree(program("mul", 3, 3))


# A sum or a difference with a product: each way in which the three may be written over, and with constants.
SUMS = [
    "pred + pred*label", "1/4 - label*pred", "label - 3*pred", "exp(pred) - 3*exp(label)",
    "log(pred) + exp(pred)*label",
    "(pred*label + 1)*(pred*label + 2)", "pred*label - exp(pred)*exp(pred)", "exp(pred)*label + label*log(pred)",
    "(exp(pred) - label*(pred - exp(pred)))^2", "2*exp(pred) + exp(pred)*exp(pred)", "exp(pred)*2 - exp(pred)",
    "(label + exp(pred)*sqrt(pred))/(3 - exp(pred)*sqrt(pred)*label)",
]  # fmt: skip


@pytest.mark.parametrize("text", SUMS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_products_join_their_sums(text: str, reduction: str, sign: str) -> None:
    program = lower(f"{sign}({text})", "pred")
    value, slope = evaluate(program, X, Y)
    got, grad = OnePass(program, reduction)(torch.from_numpy(X.copy()), torch.from_numpy(Y.copy()))
    want = {"mean": value.mean(), "sum": value.sum(), "none": value}[reduction]
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(grad.numpy(), slope / len(X) if reduction == "mean" else slope, rtol=1e-13, atol=1e-15)


def test_the_inputs_are_left_alone() -> None:
    for text in SUMS:
        x, y = torch.from_numpy(X.copy()), torch.from_numpy(Y.copy())
        run = OnePass(lower(text, "pred"), "mean")
        first = run(x, y)
        again = run(x, y)
        assert x.tolist() == X.tolist() and y.tolist() == Y.tolist()
        assert [t.tolist() for t in first] == [t.tolist() for t in again]
