"""Formula: a loss that has been read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lossdsl.grammar.parser import Parsed, read
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Tree

if TYPE_CHECKING:
    import sympy


@dataclass(frozen=True, eq=False, repr=False)
class Formula:
    """A loss as a formula; make one with `parse`, or from a tree with `Formula.from_tree`.

    Prints as its canonical text, equals and hashes by its tree, and pickles as text.

    >>> import lossdsl
    >>> formula = lossdsl.parse("-y*log(p) - (1 - y)*log(1 - p)")
    >>> print(formula)
    -label*log(pred) - (1-label)*log(1-pred)
    >>> formula == lossdsl.parse("bce")
    True
    """

    tree: Tree
    source: str
    dialect: str = "lossdsl"
    notes: tuple[str, ...] = ()
    name: str | None = None
    pairwise: bool = False

    @classmethod
    def from_tree(cls, tree: Tree) -> Formula:
        """A formula from a tree made by a program; `LossError` where its text would not read back as that tree."""
        from lossdsl.grammar.limits import refuse

        refuse(tree)
        return cls(tree, show(tree))

    @cached_property
    def text(self) -> str:
        """The canonical text, the same as `str(formula)`."""
        return show(self.tree)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Formula({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return self.tree == other.tree if isinstance(other, Formula) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.tree)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.text, self.source, self.dialect, self.notes, self.name, self.pairwise)

    @cached_property
    def expr(self) -> sympy.Expr:
        """The formula as a SymPy tree, nothing simplified; see `lossdsl.expr.expression`."""
        from lossdsl.expr import expression

        return expression(self.tree)

    @cached_property
    def slope(self) -> sympy.Expr:
        """The slope as a SymPy tree: d loss / d pred, or d loss / d score where the formula contains score.

        >>> import lossdsl
        >>> lossdsl.parse("-log(pred)").slope
        -1/pred
        """
        from lossdsl.expr import expression

        return expression(self.slope_tree)

    @cached_property
    def slope_tree(self) -> Tree:
        """The slope as a tree of the language; `lossdsl.grammar.printer.show` writes it."""
        from lossdsl.differentiate import slope
        from lossdsl.simplify import simplify_slope

        return simplify_slope(slope(self.tree))

    @cached_property
    def simplest(self) -> Formula:
        """The same function on the same domain, never longer, as a formula.

        >>> import lossdsl
        >>> lossdsl.parse("clamp(0*label + pred*1, 0, 1)").simplest
        Formula('pred')
        """
        from lossdsl.simplify import simplify

        tree = simplify(self.tree)
        return self if tree == self.tree else Formula(tree, show(tree), pairwise=self.pairwise)

    @property
    def simplified(self) -> sympy.Expr:
        """`simplest` as a SymPy tree."""
        return self.simplest.expr

    @cached_property
    def latex(self) -> str:
        """The formula in LaTeX, as it was written: nothing reordered, nothing simplified.

        >>> import lossdsl
        >>> print(lossdsl.parse("-log(pred)/2").latex)
        \\frac{-\\log\\left(\\hat{y}\\right)}{2}
        """
        from lossdsl.grammar import dialects

        return dialects.write(self.tree, "latex")

    def _repr_latex_(self) -> str:
        return f"${self.latex}$"

    def plot(self, *others: str | Formula, **options: Any) -> Any:
        """Value and slope as a matplotlib figure (extra `plot`); keywords as of `lossdsl.plot.picture`."""
        from lossdsl.plot import picture

        return picture(self, *others, **options)


def _restore(text: str, source: str, dialect: str, notes: tuple[str, ...], name: str | None, pairwise: bool) -> Formula:
    return Formula(read(text).tree, source, dialect, notes, name, pairwise)


def parse(text: str, dialect: str = "auto") -> Formula:
    """Read a formula.

    `dialect` is `lossdsl`, `python`, `latex`, `autolossgen`, `autolossgen-plain`, or `auto`, which finds out and says
    which in `.dialect`. Raises `LossSyntaxError` with the place of the mistake.

    >>> import lossdsl
    >>> print(lossdsl.parse("focal where gamma = 1"))
    -label*(1-pred)^gamma*log(pred) - (1-label)*pred^gamma*log(1-pred) where gamma = 1
    """
    parsed = _read(text, dialect)
    return Formula(parsed.tree, text, parsed.dialect, parsed.notes, parsed.name, parsed.pairwise)


def _read(text: str, dialect: str) -> Parsed:
    if not isinstance(text, str):
        raise TypeError(f"a formula is text, not {type(text).__name__}")
    if dialect == "lossdsl":
        return read(text)
    from lossdsl.grammar import dialects

    return dialects.read(text, dialect)


def as_formula(loss: str | Formula) -> Formula:
    """A formula as it is, or read from its text.

    >>> from lossdsl.formula import as_formula
    >>> as_formula("mse")
    Formula('(label-pred)^2')
    """
    return loss if isinstance(loss, Formula) else parse(loss)
