"""Writes a loss and its slope in LaTeX, for a paper."""

from __future__ import annotations

from lossdsl.formula import Formula


def source(formula: Formula, pairwise: bool = False) -> str:
    """The formula and its slope as two aligned equations.

    >>> from lossdsl.formula import parse
    >>> print(source(parse("mse")), end="")
    \\begin{align*}
    L &= \\left(y - \\hat{y}\\right)^{2} \\\\
    \\frac{\\partial L}{\\partial \\hat{y}} &= 2 \\left(\\hat{y} - y\\right)
    \\end{align*}
    """
    from lossdsl.grammar.dialects import write
    from lossdsl.grammar.tree import Name, Tree, names
    from lossdsl.pair import paired

    if pairwise:
        # The loss of the pair itself, in the difference of the scores.
        formula = Formula.from_tree(paired(formula.tree, in_score=True))
    axis = "score" if "score" in names(formula.tree.root) else "pred"
    variable = write(Tree(Name(axis)), "latex")
    slope = write(formula.slope_tree, "latex")
    return (
        "\\begin{align*}\n"
        f"L &= {formula.latex} \\\\\n"
        f"\\frac{{\\partial L}}{{\\partial {variable}}} &= {slope}\n"
        "\\end{align*}\n"
    )
