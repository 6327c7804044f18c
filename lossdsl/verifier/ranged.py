"""Claims about labels 0 and 1, or 1 alone, for all values of ranges of parameters, and the ways to show them.

* `boxes`: boxes of parameters and predictions;
* `algebra`: cells, as for a loss without ranges, with kernels that are only known to lie in a range;
* `symmetry`: the loss at label 0 is that at label 1 with 1 - pred for pred.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Tree
from lossdsl.verifier.cells import read_proof
from lossdsl.verifier.jets import smooth
from lossdsl.verifier.limits import Malformed, Rejected
from lossdsl.verifier.outcome import why
from lossdsl.verifier.properties import PROPERTIES, Proof
from lossdsl.verifier.terms import Terms
from lossdsl.verifier.wide import CHECKS, Wide

FIELDS = {"strict", "by", "at", "boxes", "bound", "floors", "below", "above", "places"}
ALGEBRA = {"kernels", "breakpoints", "cells"}
Check = Callable[[str, dict[str, Any]], "bool | None"]


class Ranged:
    """What an entry says of all values of ranges."""

    def __init__(self, wide: Wide, algebra: object, tree: Tree) -> None:
        self.wide = wide
        self.proof: Proof | None = None
        if algebra is not None:
            if not isinstance(algebra, dict) or set(algebra) != ALGEBRA:
                raise Malformed("algebra is kernels, breakpoints and cells")
            labels = tuple(int(side) for side in wide.terms)
            self.proof = read_proof(algebra, show(tree), labels, wide.ranges)

    def check(self, name: str, claim: dict[str, Any]) -> bool | None:
        """Looks at one claim; what is shown of `strict`."""
        by = claim.get("by")
        if by == "boxes" and name in CHECKS:
            return CHECKS[name](self.wide, claim)
        if by == "algebra" and self.proof is not None:
            return PROPERTIES[name](self.proof, claim)
        if by == "symmetry" and name == "calibrated":
            return calibrated(self.wide)
        raise Rejected(f"{name} is not shown that way")


def settle(wide: Wide, check: Check, claims: list[str], proved: dict[str, Any]) -> dict[str, str]:
    """Looks at claims in order; `wide` keeps what is shown, the answer is why others are not."""
    failed: dict[str, str] = {}
    for name in claims:
        try:
            claim = proved[name]
            if not set(claim) <= FIELDS:
                raise Malformed("a claim has other fields than it should")
            strict = check(name, claim)
            if claim.get("strict") is not strict:
                raise Rejected(f"it is claimed with strict {claim.get('strict')}, but what is shown is {strict}")
            wide.proved[name] = strict
        except Exception as error:
            failed[name] = why(error)
    return failed


def calibrated(wide: Wide) -> bool | None:
    """Where D1(p) = -D0(1-p) and both slopes rise, D0 + D1 rises through zero at 1/2, and D1 < 0 < D0 there."""
    wide.need("gradient", "monotone", "convex_pred")
    if wide.proved["monotone"] is not True:
        raise Rejected("a slope rests")
    if set(wide.terms) != {"0", "1"} or not all(smooth(terms) for terms in wide.terms.values()):
        raise Rejected("the certificate is not about both labels, or the loss has a kink")
    if not symmetric(wide.terms["0"], wide.terms["1"]):
        raise Rejected("the loss at label 0 is not seen to be that at label 1 with 1 - pred for pred")
    return None


def symmetric(zero: Terms, one: Terms) -> bool:
    """Whether, with 1 - pred for pred, the loss at label 0 is spelled as that at label 1 is.

    >>> from lossdsl.grammar.parser import read
    >>> from lossdsl.verifier.terms import spell
    >>> [symmetric(*(spell(read(text).tree, y) for y in (0, 1))) for text in ("mse", "bce", "sumr")]
    [True, True, False]
    """
    ring = _Forms()
    return ring.form(zero, mirrored=True) == ring.form(one, mirrored=False)


class _Forms:
    """Terms up to the order of sums and products, 1 - (1-x) being x; equal forms are equal functions."""

    def form(self, terms: Terms, mirrored: bool) -> object:
        made: list[Any] = []
        for term in terms.items:
            args = [made[i] for i in term.args]
            if term.op == "x":
                made.append(_total([(("const", 1), 1), (("x",), -1)]) if mirrored else _total([(("x",), 1)]))
            elif term.op == "const":
                made.append(_total([(("const", 1), term.value)]))
            elif term.op == "neg":
                made.append(_total([(key, -c) for key, c in args[0]]))
            elif term.op == "add":
                made.append(_total([*args[0], *args[1]]))
            elif term.op == "mul":
                made.append(_product(*args))
            elif term.op == "abs":
                either = frozenset((args[0], _total([(key, -c) for key, c in args[0]])))
                made.append(_total([(("abs", either), 1)]))
            elif term.op == "whole" and term.value == 2:
                made.append(_product(args[0], args[0]))
            else:
                made.append(_total([((term.op, term.value, term.name, *args), 1)]))
        return made[terms.root]


def _total(parts: Any) -> Any:
    """A sum of distinct parts with their factors, in one order."""
    out: dict[Any, Any] = {}
    for key, c in parts:
        out[key] = out.get(key, 0) + c
    return frozenset((key, c) for key, c in out.items() if c)


def _product(a: Any, b: Any) -> Any:
    if len(a) * len(b) > 400:
        raise Rejected("a product has too many parts")
    return _total([(_join(p, q), c * d) for p, c in a for q, d in b])


def _join(p: Any, q: Any) -> Any:
    factors: dict[Any, int] = {}
    for key in (p, q):
        for part, e in key[1] if key[0] == "times" else ((key, 1),):
            if part != ("const", 1):
                factors[part] = factors.get(part, 0) + e
    if not factors:
        return ("const", 1)
    if len(factors) == 1 and set(factors.values()) == {1}:
        return next(iter(factors))
    return ("times", frozenset(factors.items()))
