"""The loss of a pair as one formula: what is compiled and trained for pairs, written out."""

from __future__ import annotations

from fractions import Fraction

from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, names, renamed

ONE = Number(Fraction(1))
SCORE, PRED = Name("score"), Name("pred")


def paired(tree: Tree, *, in_score: bool = False) -> Tree:
    """The mean of a loss at label 1 and, of the mirrored pair, at label 0; without label, the first alone.

    The formula is one in score, the difference of two scores, where the loss has score or `in_score` says so; else one
    in pred, the sigmoid of the difference.

    >>> from lossdsl.grammar.parser import read
    >>> from lossdsl.grammar.printer import show
    >>> show(paired(read("(label-pred)^2").tree))
    '((1-pred)^2 + (0 - (1-pred))^2)/2'
    >>> show(paired(read("pred*score").tree))
    'sigmoid(score)*score'
    """
    used = names(tree.root)
    in_score = in_score or "score" in used
    pred: Node = Apply("sigmoid", (SCORE,)) if in_score else PRED
    first = renamed(tree.root, {"label": ONE, "score": SCORE, "pred": pred})
    if "label" not in used:
        return Tree(first, tree.where)
    behind = Apply("neg", (SCORE,))
    mirrored = Apply("sigmoid", (behind,)) if in_score else Apply("sub", (ONE, PRED))
    second = renamed(tree.root, {"label": Number(Fraction(0)), "score": behind, "pred": mirrored})
    if first == second:
        return Tree(first, tree.where)
    return Tree(Apply("div", (Apply("add", (first, second)), Number(Fraction(2)))), tree.where)
