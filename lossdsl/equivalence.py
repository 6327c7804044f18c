"""Whether two losses train the same: their slopes are equal up to one positive factor, the same for every label."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.grammar.tree import Node, Tree, names

if TYPE_CHECKING:
    from lossdsl.formula import Formula
    from lossdsl.prover.analysis import Analysis

BOTH = (Fraction(0), Fraction(1))
ONE = (Fraction(1),)


def equivalent(a: str | Formula, b: str | Formula, *, pairwise: bool | None = None) -> bool | None:
    """True or False where it is proved that two losses train the same, or do not; None where it is undecided.

    With `pairwise=True` the losses of pairs are compared: a formula without label counts at label 1 alone, one with a
    label is the mean of the pair and its mirror.

    >>> import lossdsl
    >>> lossdsl.equivalent("log(1/pred)", "-log(pred)"), lossdsl.equivalent("mse", "bce")
    (True, False)
    >>> lossdsl.equivalent("(label-pred)^2", "2*(pred-label)^2 + label")
    True
    """
    from lossdsl.formula import as_formula
    from lossdsl.pair import paired

    first, second = as_formula(a), as_formula(b)
    # A loss that declares itself one of pairs makes the comparison one of pairs.
    as_pairs = (first.pairwise or second.pairwise) if pairwise is None else pairwise
    if not as_pairs:
        return _compared(first.tree, second.tree, BOTH)
    # What is the same at both labels is so for pairs; the other way round it need not be.
    if all("label" in names(one.tree.root) for one in (first, second)) and _compared(first.tree, second.tree, BOTH):
        return True
    return _compared(paired(first.tree), paired(second.tree), ONE)


def _compared(first: Tree, second: Tree, labels: tuple[Fraction, ...]) -> bool | None:
    """Whether the slopes of two trees are equal up to one positive factor at all of the labels."""
    from lossdsl.prover.keys import differ, fingerprint, places_between_kinks, slope_text
    from lossdsl.prover.limits import Undecided

    left, right = _analysis(first, labels), _analysis(second, labels)
    if left is None or right is None:
        return True if first == second else None
    try:
        if slope_text(left) == slope_text(right):
            return True
    except (Undecided, ZeroDivisionError):
        pass
    places = places_between_kinks(left, right)
    return False if differ(fingerprint(left, places), fingerprint(right, places)) else None


def slope_key(formula: str | Formula, *, pairwise: bool | None = None) -> str | None:
    """A short text that is equal for losses that train the same; None where it cannot be made.

    Of pairs, too, a loss with a label has the key of both labels: `equivalent` knows more of them to be the same.

    >>> from lossdsl.equivalence import slope_key
    >>> slope_key("pred*label") == slope_key("label*pred + 7")
    True
    """
    from lossdsl.formula import as_formula

    loss = as_formula(formula)
    analysis = _analysis(loss.tree, labels_of(loss, pairwise))
    return None if analysis is None else hash_of(analysis)


def sides_key(sides: tuple[Node, Node]) -> str | None:
    """The slope key of a loss whose formulas at label 0 and at label 1 are given, without label and parameters.

    >>> from lossdsl.equivalence import sides_key, slope_key
    >>> from lossdsl.formula import parse
    >>> sides_key((parse("pred").tree.root, parse("-log(pred)").tree.root)) == slope_key(
    ...     "(1-label)*pred - label*log(pred)")
    True
    """
    analysis = _sides_analysis(dict(zip(BOTH, sides)), {})
    return None if analysis is None else hash_of(analysis)


def hash_of(analysis: Analysis) -> str | None:
    """The key of an analysis at hand."""
    from lossdsl.prover.keys import slope_hash
    from lossdsl.prover.limits import Undecided

    try:
        return slope_hash(analysis)
    except (Undecided, ZeroDivisionError):
        return None


def labels_of(formula: Formula, pairwise: bool | None) -> tuple[Fraction, ...]:
    """The labels at which a formula is judged: label 1 alone if it is a loss of pairs without label."""
    as_pairs = formula.pairwise if pairwise is None else pairwise
    return ONE if as_pairs and "label" not in names(formula.tree.root) else BOTH


def _analysis(tree: Tree, labels: tuple[Fraction, ...]) -> Analysis | None:
    parameters = {b.name: b.value for b in tree.where if b.value is not None}
    if len(parameters) < len(tree.where):
        return None
    return _sides_analysis(dict.fromkeys(labels, tree.root), parameters)


def _sides_analysis(sides: Mapping[Fraction, Node], parameters: Mapping[str, Fraction]) -> Analysis | None:
    """The analysis of a loss whose formula at each label is given."""
    from lossdsl.prover.analysis import AtLabel, analyse_sides
    from lossdsl.prover.limits import Budget, Undecided

    score = any("score" in names(root) for root in sides.values())
    try:
        analysis = analyse_sides(sides, parameters, score, Budget())
        for side in analysis.sides:
            _ = side.slopes
    except (AtLabel, Undecided, ZeroDivisionError):
        return None
    return analysis
