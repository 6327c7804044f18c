"""Facts: what is shown is true, and what is false is not shown, whatever the evidence."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.verifier.facts import Facts, box_sign, vanishes
from lossdsl.verifier.intervals import Unbounded
from lossdsl.verifier.kernels import Kernels
from lossdsl.verifier.limits import Malformed, Rejected
from lossdsl.verifier.points import END, START, Point, read_points
from lossdsl.verifier.polynomials import BITS, MASK, Poly, read

PRECISE = mpmath.mp.clone()
PRECISE.dps = 60
TABLE = Kernels([{"log": "x"}, {"log": "-x+1"}, {"root": ["x", 2]}, {"exp": ["x", "1"]}])
BASE: list[Any] = [
    ["x", 1, "sturm"],
    ["x-1", -1, "sturm"],
    ["k0", -1, "log"],
    ["x", 1, "sturm"],
    ["k1", -1, "log"],
    ["k2", 1, "positive"],
    ["k3", 1, "positive"],
]
# What define() asks for: the arguments of the logs.
HALF = Point(Fraction(1, 2), Fraction(1, 2))
ROOT = Point(Fraction(7, 10), Fraction(71, 100), read("2*x^2-1"))


def facts(left: Point = START, right: Point = END, rows: list[Any] | None = None) -> Facts:
    found = Facts(TABLE, left, right)
    found.read(BASE if rows is None else [*BASE, *rows])
    return found


TRUE: list[tuple[str, int, Any, Point, Point]] = [
    ("2*x-1", -1, "sturm", START, HALF),
    ("2*x-1", 1, "sturm", HALF, END),
    ("2*x^2-1", 1, "sturm", ROOT, END),
    ("2*x^3-x", -1, "sturm", HALF, ROOT),
    ("x^2+1", 1, "sturm", START, END),
    ("x^2-x", -1, ["sum", [[1, [[0, 1], [1, 1]]]]], START, END),
    ("k0-x", -1, ["sum", [[1, [[2, 1]]], [-1, [[0, 1]]]]], START, END),
    ("2*k1+x", -1, ["pieces", ["1/8", "1/4", "1/2", "7/8"], ["root", "box", "box", "box", "end"]], START, END),
    ("k0-x+1", -1, ["monotone", "right"], START, END),
    ("x*k0-x+2", 1, ["pieces", ["1/8", "1/2"], ["end", "box", "box"]], START, END),
    ("k0+5", 1, ["pieces", [], ["box"]], HALF, END),
    ("k3-1", 1, ["monotone", "left"], START, END),
    ("x^2*k0+x", 1, ["pieces", ["1/8", "3/16", "1/4", "3/8", "1/2", "3/4"], ["end", *["box"] * 6]], START, END),
    ("100*k2-x", 1, ["pieces", ["1/16"], ["end", "box"]], START, END),
]


@pytest.mark.parametrize("text, sign, evidence, left, right", TRUE, ids=[t[0] for t in TRUE])
def test_what_is_true_is_shown(text: str, sign: int, evidence: Any, left: Point, right: Point) -> None:
    rows = [[text, sign, evidence]]
    if text == "k0-x+1":
        rows = [["x", 1, "sturm"], *rows]
    if text == "k3-1":
        rows = [["k3", 1, "positive"], *rows]
    found = facts(left, right, rows)
    assert found.sign(read(text)) == sign
    assert found.sign(-read(text)) == -sign
    assert found.sign(read(text).scale(6)) == 6 * sign // 6
    with pytest.raises((Rejected, Malformed)):
        facts(left, right, [*rows[:-1], [text, -sign, evidence]])


FALSE: list[tuple[str, Any, Point, Point]] = [
    ("2*x-1", "sturm", START, END),
    ("2*x^2-1", "sturm", HALF, END),
    ("4*x^2-4*x+1", "sturm", START, END),
    ("2*x^2-1", "sturm", Point(Fraction(7, 10), Fraction(7, 10)), END),
    ("x^2-x", ["sum", [[1, [[0, 2]]], [1, [[1, 1]]]]], START, END),
    ("x^2+x-1", ["sum", [[1, [[0, 2]]], [1, [[1, 1]]]]], START, END),
    ("k0+x", ["sum", [[1, [[2, 1]]], [1, [[0, 1]]]]], START, END),
    ("k0+x", ["monotone", "right"], START, END),
    ("k0+x", ["monotone", "left"], START, END),
    ("k1+2*x", ["pieces", ["1/8", "7/8"], ["root", "box", "end"]], START, END),
    ("k1+2*x", ["pieces", ["1/8", "7/8"], ["end", "box", "end"]], START, END),
    ("k1+2*x", ["pieces", [], ["box"]], START, END),
    ("k1+2*x", ["pieces", [], ["root"]], START, END),
    ("2*x-1", ["pieces", ["1/4"], ["end", "box"]], START, END),
    ("2*x-1", ["pieces", ["1/4", "1/8"], ["box", "box", "box"]], START, END),
    ("2*x-1", ["pieces", ["1/4", "2"], ["box", "box", "box"]], START, END),
    ("2*x-1", ["pieces", ["-1", "1/4"], ["box", "box", "box"]], START, END),
    ("2*x-1", ["pieces", ["3/4", "1/4"], ["box", "box", "box"]], START, END),
    ("2*x-1", ["pieces", ["3/4"], ["root", "box"]], START, END),
    ("k0+1", ["pieces", ["1/4"], ["end", "end"]], START, END),
    ("k0", "positive", START, END),
    ("k2-1", "positive", START, END),
    ("-k2", "positive", START, END),
    ("k2", "log", START, END),
    ("k0^2", "log", START, END),
    ("x*k0", "log", START, END),
]


@pytest.mark.parametrize("text, evidence, left, right", FALSE, ids=range(len(FALSE)))
def test_what_is_false_is_not_shown(text: str, evidence: Any, left: Point, right: Point) -> None:
    derivative = [["x+1", 1, "sturm"]]
    for sign in (1, -1):
        with pytest.raises((Rejected, Malformed)):
            facts(left, right, [*derivative, [text, sign, evidence]])


def test_a_kernel_is_defined_by_facts_first() -> None:
    table = Kernels([{"log": "2*x-1"}])
    with pytest.raises(Rejected, match="argument of kernel 0"):
        Facts(table, START, END).read([["k0+1", 1, ["pieces", [], ["box"]]]])
    with pytest.raises(Rejected, match="not positive"):
        Facts(table, START, HALF).read([["2*x-1", -1, "sturm"], ["k0-1", -1, ["pieces", [], ["box"]]]])


def test_the_sign_of_a_log_is_that_of_its_argument_less_one() -> None:
    table = Kernels([{"log": "x+1"}, {"log": "2*x"}])
    base: list[Any] = [["x+1", 1, "sturm"], ["x", 1, "sturm"]]
    Facts(table, START, END).read([*base, ["k0", 1, "log"]])
    with pytest.raises(Rejected):
        Facts(table, START, END).read([*base, ["k0", -1, "log"]])
    for sign in (1, -1):
        with pytest.raises(Rejected):
            Facts(table, START, END).read([*base, ["k1", sign, "log"]])


def test_a_power_of_the_log_that_peaks_inside_the_piece() -> None:
    # 2 x log(x)^2 is below 1 at 1/4 and above it at exp(-2), which is less.
    from lossdsl.verifier.ends import sign_towards_end

    assert sign_towards_end(TABLE, read("2*x*k0^2-1"), Fraction(1, 64), False) == -1
    with pytest.raises(Rejected):
        sign_towards_end(TABLE, read("2*x*k0^2-1"), Fraction(1, 4), False)
    for wide in (Fraction(1, 2), Fraction(1), Fraction(2), Fraction(0), Fraction(-1)):
        with pytest.raises(Rejected):
            sign_towards_end(TABLE, read("x"), wide, False)


@pytest.mark.parametrize(("text", "log", "at_one"), [("10*x-1", "k0", False), ("-10*x+9", "k1", True)])
def test_a_leading_term_has_to_outweigh_the_others(text: str, log: str, at_one: bool) -> None:
    from lossdsl.verifier.ends import sign_towards_end

    # Negative next to the end, zero at a tenth from it.
    assert sign_towards_end(TABLE, read(text), Fraction(1, 16), at_one) == -1
    with pytest.raises(Rejected, match="outweigh"):
        sign_towards_end(TABLE, read(text), Fraction(1, 8), at_one)
    # Odd powers of the log are negative.
    for power, sign in ((1, -1), (2, 1), (3, -1)):
        assert sign_towards_end(TABLE, read(f"{log}^{power}"), Fraction(1, 8), at_one) == sign


def test_a_sum_looks_back_only() -> None:
    for i in (0, 1, -1, True):
        with pytest.raises((Rejected, Malformed)):
            Facts(TABLE, START, END).read([["x", 1, ["sum", [[1, [[i, 1]]]]]]])


def value(f: Poly, q: Fraction) -> Any:
    x = PRECISE.mpf(q.numerator) / q.denominator
    kernels = [x, PRECISE.log(x), PRECISE.log(1 - x), PRECISE.sqrt(x), PRECISE.exp(x)]
    total = PRECISE.mpf(0)
    for monomial, c in f.terms.items():
        product = PRECISE.mpf(c)
        for v, number in enumerate(kernels):
            product *= number ** ((monomial >> (BITS * v)) & MASK)
        total += product
    return total


monomials = st.lists(st.integers(0, 4), max_size=4).map(lambda vs: sum(1 << BITS * v for v in vs))
polys = st.dictionaries(monomials, st.integers(-9, 9).filter(bool), min_size=1, max_size=4).map(
    lambda terms: Poly(terms, 4)
)
SAMPLES = [Fraction(k, 64) for k in range(1, 64)] + [Fraction(1, 10**k) for k in (3, 6, 12, 30)]
SAMPLES += [1 - q for q in SAMPLES]


@settings(max_examples=150, deadline=None)
@given(polys, st.sampled_from(["end", "box", "root"]), st.sampled_from(["end", "box", "root"]), st.integers(2, 12))
def test_shown_pieces_are_true(f: Poly, first: str, last: str, k: int) -> None:
    f = TABLE.fold(f)
    if f.constant is not None:
        return
    cut = Fraction(1, 2**k)
    for left, right, rules in ((cut, 1 - cut, [first, "box", last]), (cut, Fraction(1, 2), [first, "box", "box"])):
        evidence = ["pieces", [str(left), str(right)], rules]
        for sign in (1, -1):
            try:
                facts(rows=[[str(f), sign, evidence]])
            except (Rejected, Unbounded):
                continue
            assert all(value(f, q) * sign > 0 for q in SAMPLES)


@settings(max_examples=100, deadline=None)
@given(polys, st.integers(2, 40), st.booleans())
def test_the_ends_are_true(f: Poly, k: int, at_one: bool) -> None:
    from lossdsl.verifier.ends import sign_towards_end

    d = Fraction(1, 2**k)
    try:
        sign = sign_towards_end(TABLE, f, d, at_one)
    except (Rejected, Unbounded):
        return
    for j in (0, 1, 2, 5, 10, 40, 90):
        q = d / 2**j
        assert value(f, 1 - q if at_one else q) * sign > 0


@settings(max_examples=100, deadline=None)
@given(polys, st.fractions(Fraction(1, 100), Fraction(9, 10)), st.fractions(Fraction(1, 1000), Fraction(1, 12)))
def test_boxes_are_true(f: Poly, low: Fraction, width: Fraction) -> None:
    sign = box_sign(TABLE, f, low, low + width)
    if sign:
        assert all(value(f, low + width * Fraction(j, 8)) * sign > 0 for j in range(9))


def test_what_vanishes_at_a_point() -> None:
    (_, point, _) = read_points([{"root of": "k0+x", "in": ["1/2", "3/5"]}], TABLE)
    assert vanishes(TABLE, read("2*k0+2*x"), point) and not vanishes(TABLE, read("k0+x+1"), point)
    assert vanishes(TABLE, read("2*x^3-x"), ROOT) and not vanishes(TABLE, read("x-1"), ROOT)
    assert vanishes(TABLE, read("k0-k1"), HALF) and not vanishes(TABLE, read("k0"), HALF)


@pytest.mark.parametrize(
    "rows",
    [
        ["1/2", "1/2"],
        ["1/2", "1/3"],
        ["1"],
        ["-1/2"],
        [{"root of": "2*x-1", "in": ["1/2", "3/4"]}],
        [{"root of": "16*x^2-16*x+3", "in": ["1/8", "7/8"]}],
        [{"root of": "4*x^2-4*x+1", "in": ["1/3", "3/4"]}, "5/8"],
        [{"root of": "k0+x", "in": ["1/10", "1/5"]}],
        [{"root of": "k0-k1", "in": ["1/1000", "1/3"]}],
        [{"root of": "k0*k0-k0", "in": ["1/1000", "999/1000"]}],
        [{"root of": "x*k0-k0*k1", "in": ["1/4", "3/4"]}],
        # Three roots, and a change of sign from end to end.
        [{"root of": "32*x^3*k0-48*x^2*k0+22*x*k0-3*k0", "in": ["1/1000", "999/1000"]}],
    ],
)
def test_points_that_are_not_what_they_claim(rows: list[Any]) -> None:
    with pytest.raises((Rejected, Malformed)):
        read_points(rows, TABLE)
