"""The canonical text of a tree. Reading it back gives the tree again, exactly.

Style: no blanks round `*`, `/` and `^`; a sum has them round `+` and `-`, but for a short one inside brackets, such as
`(1-pred)`, that holds no bracket itself. Brackets only where the grammar needs them, and round what would otherwise put
a minus right behind another operator.
"""

from __future__ import annotations

from lossdsl.grammar.numerals import write_constant, write_decimal
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, walk

_COMPARE, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(6)
_LEVEL = {"add": _SUM, "sub": _SUM, "mul": _PRODUCT, "div": _PRODUCT, "pow": _POWER, "neg": _UNARY}


class _Text:
    """A part as text: how tightly it binds, written without blanks round its signs, and with them."""

    __slots__ = ("level", "tight", "wide")

    def __init__(self, level: int, tight: str, wide: str | None = None) -> None:
        self.level = level
        self.tight = tight
        self.wide = tight if wide is None else wide

    @property
    def bracketed(self) -> str:
        """As it stands inside a bracket pair."""
        return self.wide if "(" in self.tight else self.tight

    def at(self, level: int) -> _Text:
        """In brackets unless it binds at least as tightly as `level`."""
        return self if self.level >= level else _Text(_ATOM, f"({self.bracketed})")

    def behind(self, level: int) -> _Text:
        """The same for an operand on the right, which must not begin with a minus."""
        return _Text(_ATOM, f"({self.bracketed})") if self.tight.startswith("-") else self.at(level)


def show(tree: Tree) -> str:
    """The whole formula as canonical text, `where` included.

    >>> from lossdsl.grammar.parser import read
    >>> from lossdsl.grammar.printer import show
    >>> show(read("y*( (1-p) **gamma)*log(p)+|y - p|/3   where gamma=2").tree)
    'label*(1-pred)^gamma*log(pred) + abs(label-pred)/3 where gamma = 2'
    """
    out = show_node(tree.root)
    if tree.where:
        out += " where " + ", ".join(
            f"{b.name} = {write_constant(b.low)}"
            if b.low == b.high
            else f"{b.name} in [{write_constant(b.low)}, {write_constant(b.high)}]"
            for b in tree.where
        )
    return out


def show_node(node: Node) -> str:
    """One part of a formula as text."""
    texts: dict[Node, _Text] = {}
    for part in walk(node):
        texts[part] = _write(part, [texts[a] for a in part.args] if isinstance(part, Apply) else [])
    return texts[node].wide


def _write(node: Node, args: list[_Text]) -> _Text:
    if isinstance(node, Name):
        return _Text(_ATOM, node.name)
    if isinstance(node, Number):
        text = write_decimal(node.value)
        # A tree made by hand may hold 1/3; the division keeps its text honest, though it reads back as a `div`.
        return _Text(_ATOM, text) if text is not None else _Text(_ATOM, f"({write_constant(node.value) or node.value})")
    assert isinstance(node, Apply)
    sign = OPERATORS[node.op].infix
    if sign is None:
        return _Text(_ATOM, f"{node.op}({', '.join(a.bracketed for a in args)})")
    if node.op == "neg":
        inner = args[0].behind(_UNARY)
        return _Text(_UNARY, "-" + inner.tight)
    if OPERATORS[node.op].boolean:
        return _Text(_COMPARE, f"{args[0].at(_SUM).bracketed} {sign} {args[1].at(_SUM).bracketed}")
    if node.op == "pow":
        base, exponent = args[0].at(_ATOM), args[1]
        short = exponent.tight.startswith("-") and isinstance(node.args[1], Apply) and node.args[1].op == "neg"
        leaf = short and not isinstance(node.args[1].args[0], Apply)  # type: ignore[attr-defined]
        right = exponent if leaf else exponent.behind(_POWER)
        return _Text(_POWER, f"{base.tight}^{right.tight}")
    level = _LEVEL[node.op]
    left, right = args[0].at(level), args[1].behind(level + 1)
    tight = f"{left.tight}{sign}{right.tight}"
    return _Text(level, tight, f"{left.wide} {sign} {right.wide}" if level == _SUM else tight)
