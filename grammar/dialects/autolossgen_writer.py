"""A tree in the syntax of AutoLossGen's log, where its operators can say it."""

from __future__ import annotations

from fractions import Fraction

from lossdsl.errors import LossError
from lossdsl.grammar.dialects.autolossgen import CLAMP
from lossdsl.grammar.dialects.python_writer import where_text
from lossdsl.grammar.numerals import write_decimal
from lossdsl.grammar.printer import show_node
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, walk

_ONE = {
    "log": "Log", "sqrt": "Sqrt", "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU", "neg": "-", "exp": "e ^",
    "reciprocal": "1 /",
}  # fmt: skip
_TRAINED = {"plog": "Log", "psqrt": "Sqrt", "pinv": "1 /"} | {
    k: v for k, v in _ONE.items() if k not in ("log", "sqrt", "reciprocal")
}
_BOUNDS = (Number(CLAMP[0]), Number(CLAMP[1]))
Texts = dict[Node, str]  # nothing: cannot be said; a blank: an operator still without its clamp


def write_log(tree: Tree, trained: bool) -> str:
    """One line of the log; `LossError` where the log's operators cannot say it."""
    texts: Texts = {}
    for node in walk(tree.root):
        if isinstance(node, Name):
            texts[node] = node.name
        elif isinstance(node, Number):
            texts[node] = write_decimal(node.value) or ""
        elif isinstance(node, Apply):
            text = _trained(node, texts) if trained else _plain(node, texts)
            texts[node] = text if text is not None else ""
    text = texts[tree.root].strip()
    if not text:
        culprit = next((n for n in walk(tree.root) if not texts[n]), tree.root)
        reading = "as it trains" if trained else "as it prints"
        raise LossError(f"AutoLossGen's log, {reading}, cannot say `{show_node(culprit)}`")
    return text + where_text(tree)


def _plain(node: Apply, texts: Texts) -> str | None:
    args = [texts[a] for a in node.args]
    if not all(args):
        return None
    if node.op == "sub":
        return f"({args[0]} + - ({args[1]}))"
    if node.op == "div":
        if node.args[0] == Number(Fraction(1)):
            return f"1 / ({args[1]})"
        return f"({args[0]} * 1 / ({args[1]}))"
    if node.op == "square":
        return f"({args[0]}) ^ 2"
    if node.op == "reciprocal":
        return f"1 / ({args[0]})"
    return _shared(node, args, _ONE)


def _shared(node: Apply, args: list[str], one: dict[str, str]) -> str | None:
    if node.op in one:
        return f"{one[node.op]} ({args[0]})"
    if node.op == "add":
        return f"({args[0]} + {args[1]})"
    if node.op == "mul":
        return f"({args[0]} * {args[1]})"
    if node.op in ("max", "min"):
        return f"{node.op}({' , '.join(args)})"
    if node.op == "abs":
        return f"|{args[0]}|"
    if node.op == "pow" and isinstance(node.args[1], Number):
        return f"({args[0]}) ^ {args[1]}"
    return None


def _trained(node: Apply, texts: Texts) -> str | None:
    """A clamp around an operator is that operator; one without it is an inner part of a longer sum, or nothing."""
    if node.op != "clamp":
        return " "  # looked at again when its clamp comes
    inner = node.args[0]
    if node.args[1:] != _BOUNDS or not isinstance(inner, Apply) or inner.op == "clamp":
        return None
    if inner.op in ("add", "mul"):
        parts = _chain(inner)
        args = [texts[p] for p in parts]
        sign = " + " if inner.op == "add" else " * "
        return f"({sign.join(args)})" if all(a.strip() for a in args) else None
    args = [texts[a] for a in inner.args]
    if not all(a.strip() for a in args) or (inner.op in ("plog", "pinv", "psqrt") and len(args) != 1):
        return None
    return _shared(inner, args, _TRAINED)


def _chain(node: Apply) -> list[Node]:
    """The inputs of `a + b + c`, which is one operator."""
    right: list[Node] = []
    left: Node = node
    while isinstance(left, Apply) and left.op == node.op:
        right.append(left.args[1])
        left = left.args[0]
    return [left, *reversed(right)]
