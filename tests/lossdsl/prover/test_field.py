"""The differential field: SymPy as a second opinion on rational losses, and identities that one form has to see."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import sympy
from flint import fmpq
from hypothesis import given, settings

from lossdsl.checking import check
from lossdsl.formula import Formula
from lossdsl.prover import limits
from lossdsl.prover.analysis import AtLabel, analyse
from lossdsl.prover.field import Field, RetryWithRoot
from lossdsl.prover.limits import Budget, Undecided
from lossdsl.testing import formulas

P = sympy.Symbol("x")


def positive(g: object) -> int:
    return 1


@settings(max_examples=60, deadline=None)
@given(formulas(depth=3, operators=("add", "sub", "mul", "div", "neg", "square", "reciprocal")))
def test_rational_slopes_are_those_of_sympy(formula: Formula) -> None:
    try:
        analysis = analyse(formula.tree.root, (Fraction(1),), {}, False, Budget())
    except (AtLabel, Undecided):
        return
    side = analysis.sides[0]
    assert len(side.pieces) == 1
    value, slope = side.pieces[0].value, side.slopes[0]
    ours = sympy.sympify(str(value.n).replace("^", "**")) / sympy.sympify(
        str(value.d).replace("^", "**")
    )  # our own text
    theirs = formula.expr.subs({s: P if str(s) == "pred" else 1 for s in formula.expr.free_symbols})
    assert sympy.cancel(ours - theirs) == 0
    derived = sympy.sympify(str(slope.n).replace("^", "**")) / sympy.sympify(str(slope.d).replace("^", "**"))
    assert sympy.cancel(derived - sympy.diff(theirs, P)) == 0


def field_with_roots(n: int) -> Field:
    """A field in which x has n-th roots from the start."""
    field = Field()
    try:
        field.real_power(field.x, fmpq(1, n), positive)
        return field
    except RetryWithRoot as retry:
        return Field({retry.key: retry.n})


def test_powers_of_one_thing_meet() -> None:
    field = field_with_roots(10)
    x = field.x
    half, rest = field.real_power(x, fmpq(7, 10), positive), field.real_power(x, fmpq(3, 10), positive)
    assert field.mul(half, rest).same(x)
    assert field.power(field.real_power(x, fmpq(1, 2), positive), 2).same(x)


def test_another_root_asks_for_a_new_beginning() -> None:
    field = Field()
    field.real_power(field.x, fmpq(1, 2), positive)
    with pytest.raises(RetryWithRoot) as caught:
        field.real_power(field.x, fmpq(1, 3), positive)
    assert caught.value.n == 6


def test_logs_and_exponentials_undo_each_other() -> None:
    field = Field()
    x = field.x
    assert field.exp(field.log(x, positive)).same(x)
    assert field.log(field.exp(x), positive).same(x)
    twice = field.log(field.mul(x, x), positive)
    assert twice.same(field.add(field.log(x, positive), field.log(x, positive)))
    six, two, three = (field.log(field.constant(fmpq(n)), positive) for n in (6, 2, 3))
    assert six.same(field.add(two, three))


def test_the_derivative_of_a_kernel() -> None:
    field = Field()
    x = field.x
    assert field.derivative(field.log(x, positive)).same(field.inverse(x))
    e = field.exp(x)
    assert field.derivative(e).same(e)
    root = field.real_power(x, fmpq(1, 2), positive)
    assert field.mul(field.derivative(root), field.mul(field.constant(fmpq(2)), root)).same(field.one)


def test_a_power_is_refused_before_it_is_multiplied_out() -> None:
    # Fifteen terms to the sixteenth: 145 million products, which no clock is looked at between.
    field = Field()
    total = field.one
    for n in range(1, 8):
        total = field.add(total, field.exp(field.power(field.x, n)))
        total = field.add(total, field.log(field.add(field.x, field.constant(fmpq(n))), positive))
    with pytest.raises(Undecided, match="too many terms"):
        field.power(total, 16)
    assert len(field.power(total, 2).n) > len(total.n)


def test_the_clock_ends_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which each look takes a hundredth of a second, and an allowance of thirty looks."""
    ticks = itertools.count()
    monkeypatch.setattr(limits.time, "perf_counter", lambda: next(ticks) / 100)
    report = check("logmin", timeout=0.3, properties=("monotone", "convex_pred", "calibrated", "bounded_gradient"))
    open_ = [f for f in report.properties.values() if f.status == "undecided"]
    assert open_ and all("time limit" in f.detail for f in open_)
    # What comes after the end of the time does not go on looking for long.
    assert next(ticks) < 60
