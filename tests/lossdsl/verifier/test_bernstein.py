"""Signs by Bernstein's form: what is shown is so at every place, and what is not so is not shown."""

from __future__ import annotations

from fractions import Fraction
from math import exp, log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.verifier.bernstein import coefficients, sign_on, spread
from lossdsl.verifier.facts import Facts
from lossdsl.verifier.kernels import Kernels
from lossdsl.verifier.limits import Malformed, Rejected
from lossdsl.verifier.points import END, START, Point
from lossdsl.verifier.polynomials import Poly, read

HALF = Point(Fraction(1, 2), Fraction(1, 2))
RANGES = {"a": (Fraction(0), Fraction(5)), "b": (Fraction(-1), Fraction(1, 2))}
TABLE = Kernels([{"range": "a"}, {"log": "x"}, {"log": "-x+1"}, {"exp": ["k0*k1", "1"]}, {"range": "b"}], RANGES)
SHARES = (Fraction(0), Fraction(1, 7), Fraction(1, 2), Fraction(4, 5), Fraction(1))


def value(f: Poly, x: float, a: float, b: float) -> float:
    """f at one place and one value of each parameter."""
    found = {0: x, 1: a, 2: log(x), 3: log(1 - x), 4: exp(a * log(x)), 5: b}
    total = 0.0
    for monomial, c in f.terms.items():
        product = float(c)
        for v in range(6):
            product *= found[v] ** ((monomial >> (20 * v)) & 0xFFFFF)
        total += product
    return total


@st.composite
def polynomials(draw: st.DrawFn) -> Poly:
    """In x, two parameters, two logs and an exponential that is not above 1."""
    terms: dict[int, int] = {}
    for _ in range(draw(st.integers(1, 4))):
        powers = [draw(st.integers(0, 2 if v in (0, 1) else 1)) for v in range(6)]
        terms[sum(e << (20 * v) for v, e in enumerate(powers))] = draw(st.sampled_from([-3, -2, -1, 1, 2, 3]))
    return Poly(terms, 2)


@given(polynomials(), st.sampled_from([(START, END), (START, HALF), (HALF, END)]))
def test_what_is_shown_is_so_everywhere(f: Poly, cell: tuple[Point, Point]) -> None:
    low, high = cell[0].low, cell[1].low
    variables = spread(TABLE, f, low, high, frozenset({4}))
    found = sign_on(variables, variables.whole)
    if found is None:
        return
    sign, strict = found
    for s in SHARES:
        x = float(low + (high - low) * (Fraction(1, 10**6) + s * (1 - Fraction(2, 10**6))))
        for t in SHARES:
            for u in SHARES:
                there = sign * value(f, x, 5 * float(t), -1 + 1.5 * float(u))
                assert there > 0 if strict and abs(there) > 1e-9 else there >= -1e-9


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=6), st.fractions(-2, 2, max_denominator=8), st.integers(1, 9))
def test_coefficients_are_those_of_the_polynomial(row: list[int], low: Fraction, width: int) -> None:
    """At both ends the value itself, and with the weights of a share s in between, the value there."""
    high = low + Fraction(width, 4)
    table = coefficients({(i,): Fraction(c) for i, c in enumerate(row)}, [(low, high)])
    n = len(table) - 1
    s = Fraction(2, 7)
    made, weight = Fraction(0), Fraction(1)
    for i in range(n + 1):
        made += table[i,] * weight * s**i * (1 - s) ** (n - i)
        weight = weight * (n - i) / (i + 1)
    x = low + s * (high - low)
    assert made == sum((c * x**i for i, c in enumerate(row)), Fraction(0))


def facts(*rows: Any, left: Point = START, right: Point = END) -> Facts:
    found = Facts(TABLE, left, right)
    found.read(list(rows))
    return found


WHOLE = {"x": ["0", "1"]}
A = {"k0": ["0", "5"]}
LOG = {"k1": ["0", "1"]}
BELOW_ONE = [["x-1", -1, "sturm"], ["x", 1, "sturm"], ["k1", -1, "log"]]
SMALL = [
    *BELOW_ONE,
    ["k0", 1, ["bernstein", [{**WHOLE, **A}]], "weak"],
    ["k0*k1", -1, ["sum", [[1, [[3, 1], [2, 1]]]]], "weak"],
    ["k3-1", -1, "exp", "weak"],
]


def test_evidence_that_holds() -> None:
    found = facts(*SMALL, ["k0*k3-6", -1, ["bernstein", [{**WHOLE, **A, "k3": ["0", "1"]}]]])
    assert found.sign(read("6-k0*k3")) == 1 and found.sign(read("k0")) is None
    assert found.lean(read("k0"), "it") == (1, False) and found.lean(read("-k0*k1"), "it") == (1, False)
    # x log x is above -1, and with a from 0 to 5 above -5: by two boxes.
    facts(*BELOW_ONE, ["x*k0*k1+5", 1, ["bernstein", [{**WHOLE, **A, **LOG}]]])
    facts(["x-2", -1, ["bernstein", [{"x": ["0", "1/4"]}, {"x": ["1/4", "1"]}]]])


REFUSED: dict[str, list[Any]] = {
    "weak passes for strict": [*BELOW_ONE, ["k0", 1, ["bernstein", [{**WHOLE, **A}]]]],
    "a weak factor makes a strict product": [*SMALL[:4], ["k0*k1", -1, ["sum", [[1, [[3, 1], [2, 1]]]]]]],
    "a weak exponent makes a strict exponential": [*SMALL[:5], ["k3-1", -1, "exp"]],
    "the other sign": [*BELOW_ONE, ["k0", -1, ["bernstein", [{**WHOLE, **A}]], "weak"]],
    "the other sign of an exponential": [*SMALL[:5], ["k3-1", 1, "exp", "weak"]],
    "a box of the parameter is left out": [["k0-3", -1, ["bernstein", [{**WHOLE, "k0": ["0", "2"]}]], "weak"]],
    "a box of x is left out": [["2*x-1", -1, ["bernstein", [{"x": ["0", "1/2"]}]], "weak"]],
    "boxes overlap": [["x-2", -1, ["bernstein", [{"x": ["0", "1/2"]}, {"x": ["1/4", "1"]}]], "weak"]],
    "boxes differ in sign": [["2*x-1", -1, ["bernstein", [{"x": ["0", "1/2"]}, {"x": ["1/2", "1"]}]], "weak"]],
    "a zero inside": [["4*x^2-4*x+1", 1, ["bernstein", [{"x": ["0", "1/2"]}, {"x": ["1/2", "1"]}]]]],
    "a parameter's end where it is zero": [["k0", 1, ["bernstein", [{**WHOLE, **A}]]]],
    "an end of the parameter with a zero, the other without": [["-k0+5", 1, ["bernstein", [{**WHOLE, **A}]]]],
    "an exponential that may be above 1": [["k3-2", -1, ["bernstein", [{**WHOLE, "k3": ["0", "1"]}]]]],
    "log x is not above -1": [*BELOW_ONE, ["k1+1", 1, ["bernstein", [{**WHOLE, **LOG}]], "weak"]],
    "log x is below 0": [*BELOW_ONE, ["k1", 1, ["bernstein", [{**WHOLE, **LOG}]], "weak"]],
    "not 1 less": [*SMALL[:5], ["k3-2", -1, "exp", "weak"]],
    "no exponential": [*BELOW_ONE, ["k1-1", -1, "exp", "weak"]],
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_evidence_that_does_not_hold(why: str) -> None:
    *base, last = REFUSED[why]
    facts(*base)
    with pytest.raises(Rejected):
        facts(*base, last)


@pytest.mark.parametrize("evidence", [["bernstein"], ["bernstein", {}], ["bernstein", []], ["bernstein", [{}]], "weak"])
def test_evidence_that_makes_no_sense(evidence: Any) -> None:
    with pytest.raises(Malformed):
        facts(["x-2", -1, evidence])
    with pytest.raises(Malformed):
        facts(["x-2", -1, ["bernstein", [WHOLE]], "strong"])


def test_only_ranges_of_the_formula_are_kernels() -> None:
    for row in ({"range": "c"}, {"range": ["a", "0", "1"]}, {"range": 1}):
        with pytest.raises(Malformed):
            Kernels([row], RANGES)
    with pytest.raises(Malformed):
        Kernels([{"range": "a"}])
    with pytest.raises(Malformed):
        Kernels([{"range": "a"}, {"range": "a"}], RANGES)
