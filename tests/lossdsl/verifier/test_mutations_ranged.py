"""Each rule for ranges carries weight: weakened, one at a time, it takes evidence that shows nothing.

The mutant accepts a fact, or a claim, that is wrong; the verifier as it stands refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest

from lossdsl.grammar.parser import read
from lossdsl.verifier import bernstein, ranged
from lossdsl.verifier.facts import Facts
from lossdsl.verifier.kernels import Kernels
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.points import END, START
from lossdsl.verifier.terms import spell
from lossdsl.verifier.wide import Wide

RANGES = {"a": (Fraction(0), Fraction(5)), "b": (Fraction(-1), Fraction(1))}
KERNELS: list[Any] = [{"range": "a"}, {"log": "x"}, {"log": "-x+1"}, {"exp": ["k0*k1", "1"]}, {"range": "b"}]
X, A, B, UNIT = {"x": ["0", "1"]}, {"k0": ["0", "5"]}, {"k4": ["-1", "1"]}, ["0", "1"]
EIGHTHS = [{"x": [f"{k}/8", f"{k + 1}/8"], "k1": UNIT} for k in range(8)]
BASE: list[Any] = [
    ["x-1", -1, "sturm"],
    ["x", 1, "sturm"],
    ["k1", -1, "log"],
    ["k2", -1, "log"],
    ["k0", 1, ["bernstein", [{**X, **A}]], "weak"],
    ["k0*k1", -1, ["sum", [[1, [[4, 1], [2, 1]]]]], "weak"],
]


@dataclass(frozen=True)
class Mutant:
    """As in `test_mutations`, with a fact that is wrong."""

    owner: Any
    function: str
    old: str
    new: str
    fact: list[Any]
    base: bool = True


MUTANTS = {
    "weak evidence shows a strict sign": Mutant(
        Facts, "_show", 'else self._bernstein)(f, evidence[1])\n        if not (strict or weak)',
        'else self._bernstein)(f, evidence[1])\n        if False',
        ["k0", 1, ["bernstein", [{**X, **A}]]],
    ),
    "a weak exponent shows a strict sign": Mutant(
        Facts, "_show", "found, strict = self._exp(f)\n        if not (strict or weak)",
        "found, strict = self._exp(f)\n        if False", ["k3-1", -1, "exp"],
    ),
    "products of weak facts are strict": Mutant(
        Facts, "_sum", "strict and i not in self._unsure", "strict", ["k0*k1", -1, ["sum", [[1, [[4, 1], [2, 1]]]]]],
    ),
    "sums of weak products are strict": Mutant(
        Facts, "_sum", "sure or strict", "True", ["k0*k1", -1, ["sum", [[1, [[4, 1], [2, 1]]]]]],
    ),
    "weak facts are strict ones": Mutant(
        Facts, "_keep", "if weak:", "if False:", ["k0*k1", -1, ["sum", [[1, [[4, 1], [2, 1]]]]]],
    ),
    "boxes may differ in sign": Mutant(
        Facts, "_bernstein", "len(signs) != 1", "False",
        ["2*x-1", 1, ["bernstein", [{"x": ["0", "1/2"]}, {"x": ["1/2", "1"]}]], "weak"],
    ),
    "exponentials are at most 1": Mutant(
        Facts, "_bernstein", "self._weakly(ONE - variable(v)) == 1", "True",
        ["k3-1", -1, ["bernstein", [{**X, "k3": UNIT}]], "weak"],
    ),
    "an exponential has the sign of its divisor": Mutant(
        Facts, "_exp", "return found * below", "return below", ["k3-1", 1, "exp", "weak"],
    ),
    "any exponential will do": Mutant(
        Facts, "_exp", "f.primitive()[1] == variable(v) - ONE", "True", ["2*k3-1", -1, "exp", "weak"],
    ),
    "coefficients may have both signs": Mutant(
        bernstein, "sign_on", "least < 0 < most or", "", ["k4", -1, ["bernstein", [{**X, **B}]], "weak"],
    ),
    "no zero where no coefficient says so": Mutant(
        bernstein, "_nowhere_zero", "any(c and all(", "any(all(", ["k0", 1, ["bernstein", [{**X, **A}]]],
    ),
    "ends of parameters are not reached": Mutant(
        bernstein, "spread", "kernel.ends, (True, True)", "kernel.ends, (False, False)",
        ["k0", 1, ["bernstein", [{**X, **A}]]],
    ),
    "no end is looked at": Mutant(
        bernstein, "_nowhere_zero", "ends.append(at)", "pass", ["k0", 1, ["bernstein", [{**X, **A}]]],
    ),
    "log x is not far below x - 1": Mutant(
        bernstein, "_without_log", "_times(other, {t: Fraction(1)})", "_times(other, {t: Fraction(1, 16)})",
        ["3*x*k1+1", 1, ["bernstein", EIGHTHS]],
    ),
    "log x is positive": Mutant(
        bernstein, "_without_log", "{unit: Fraction(-1)})", "{unit: Fraction(1)})",
        ["k1", 1, ["bernstein", [{**X, "k1": UNIT}]]],
    ),
    "log x is log(1-x)": Mutant(
        bernstein, "spread", "kernel.n == X))", "False))", ["k1+x", -1, ["bernstein", [{**X, "k1": UNIT}]], "weak"],
    ),
    "a range is as long as its high end": Mutant(
        bernstein, "coefficients", "low, high - low)", "low, high)", ["k4", -1, ["bernstein", [{**X, **B}]], "weak"],
    ),
    "the degree is left out": Mutant(
        bernstein, "_along", "comb(degree, j))", "1)", ["-5*x^2+3*x", 1, ["bernstein", [X]], "weak"],
    ),
    "a range is its low end": Mutant(
        Kernels, "add", "ends=self.ranges[body]", "ends=(self.ranges[body][0],) * 2",
        ["k0-1", -1, ["pieces", [], ["box"]]], False,
    ),
}  # fmt: skip


def take(mutant: Mutant) -> None:
    base = BASE if mutant.base else []
    Facts(Kernels(KERNELS, RANGES), START, END).read([*base, mutant.fact])


@pytest.mark.parametrize("what", MUTANTS)
def test_a_mutant_takes_evidence_that_the_verifier_refuses(
    what: str, monkeypatch: pytest.MonkeyPatch, weaken: Callable[..., None]
) -> None:
    mutant = MUTANTS[what]
    with monkeypatch.context() as patch:
        weaken(patch, mutant.owner, mutant.function, mutant.old, mutant.new)
        take(mutant)
    with pytest.raises(Rejected):
        take(mutant)


LEANING = "label*(1-pred)^3 + (1-label)*pred^2"
SYMMETRY = {
    "the slope may rest": ('wide.proved["monotone"] is not True', "False", "bce", {"monotone": False}),
    "it need not be monotone": ('"monotone", ', "", "bce", {"monotone": None}),
    "kinks are let through": ("not all(smooth(terms) for terms in wide.terms.values())", "False", "hinge", {}),
    "any two losses are symmetric": ('not symmetric(wide.terms["0"], wide.terms["1"])', "False", LEANING, {}),
}


@pytest.mark.parametrize("what", SYMMETRY)
def test_symmetry_that_is_not_there(what: str, monkeypatch: pytest.MonkeyPatch, weaken: Callable[..., None]) -> None:
    old, new, formula, changed = SYMMETRY[what]
    tree = read(formula).tree
    wide = Wide(tree, {str(y): spell(tree, y) for y in (0, 1)}, {})
    wide.proved = {"gradient": None, "monotone": True, "convex_pred": None, **changed}
    if changed.get("monotone", True) is None:
        del wide.proved["monotone"]
        old, new = (
            'wide.need("gradient", "monotone", "convex_pred")\n    if wide.proved["monotone"] is not True',
            "if False",
        )
    with monkeypatch.context() as patch:
        weaken(patch, ranged, "calibrated", old, new)
        ranged.calibrated(wide)
    with pytest.raises(Rejected):
        ranged.calibrated(wide)
