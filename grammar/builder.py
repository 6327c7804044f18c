"""From Lark's tree to ours: names resolved, arguments counted, numbers exact.

The tree is walked with an explicit stack. A `Transformer` would recurse, and how deep a text nests is up to whoever
wrote it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.limits import MAX_NODES, PROTECTED
from lossdsl.grammar.naming import FUNCTIONS, number, resolve, unknown_function, wrong_count
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import VARIABLES, Apply, Name, Node, Number, names
from lossdsl.grammar.where import token_span

if TYPE_CHECKING:
    import lark

_SIGNS = {row.infix: row.name for row in OPERATORS.values() if row.infix and row.low == 2} | {"**": "pow"}


def lone_name(part: Any) -> str | None:
    """The name, where the whole expression is one name, brackets aside."""
    while getattr(part, "data", None) == "group":
        part = part.children[1]
    return str(part) if getattr(part, "type", None) == "NAME" else None


def build(source: str, part: Any, defined: Collection[str]) -> Node:
    """Our tree for an expression that Lark has read; `defined` are the parameters that `where` gives values."""
    builder = _Builder(source, part, defined)
    done: list[Any] = []
    todo: list[tuple[Any, bool]] = [(part, False)]
    while todo:
        item, ready = todo.pop()
        if not hasattr(item, "children"):
            done.append(builder.leaf(item))
        elif not ready:
            todo.append((item, True))
            todo.extend((child, False) for child in reversed(item.children))
        else:
            first = len(done) - len(item.children)
            made = builder.inner(item.data, done[first:])
            del done[first:]
            done.append(made)
    root = done[0]
    assert isinstance(root, Node)
    builder.refuse_comparison(root)
    return root


class _Builder:
    def __init__(self, source: str, part: Any, defined: Collection[str]) -> None:
        self.source = source
        self.part = part
        self.defined = defined
        self.count = 0

    def error(self, code: str, message: str, span: Span, hint: str) -> LossSyntaxError:
        return LossSyntaxError(code, message, self.source, span, hint)

    def tally(self, span: Span) -> None:
        # Counted while building, so that a long text costs no more than a short one.
        self.count += 1
        if self.count > MAX_NODES:
            message = f"the formula has more than {MAX_NODES:,} parts"
            raise self.error("LD032", message, span, "shorten it, or split it")

    def leaf(self, token: lark.Token) -> Node | lark.Token:
        span = token_span(token)
        if token.type == "NUMBER":
            self.tally(span)
            return Number(number(str(token), self.source, span), span=span)
        if token.type != "NAME":
            return token
        # A name in front of `(` is a function's; it stays a token until its call is complete.
        if self.is_called(token):
            return token
        self.tally(span)
        return Name(resolve(str(token), span, self.source, self.defined, others=self.names), span=span)

    def is_called(self, token: lark.Token) -> bool:
        behind = token_span(token).end
        while behind < len(self.source) and self.source[behind] in " \t\r\n":
            behind += 1
        return self.source.startswith("(", behind)

    def names(self) -> list[str]:
        """All names of the formula that stand for a value, in their order."""
        found: list[str] = []
        todo = [self.part]
        while todo:
            item = todo.pop()
            if hasattr(item, "children"):
                todo.extend(reversed(item.children))
            elif item.type == "NAME" and not self.is_called(item):
                found.append(str(item))
        return list(dict.fromkeys(found))

    def inner(self, rule: str, parts: list[Any]) -> Node:
        span = Span(_place(parts[0]).start, _place(parts[-1]).end)
        if rule == "group":
            inside: Node = parts[1]
            return replace(inside, span=span)
        self.tally(span)
        if rule == "call":
            return self.call(parts[0], tuple(parts[2:-1:2]), span)
        for part in parts:
            if isinstance(part, Node):
                self.refuse_comparison(part)
        if rule == "binary":
            return Apply(_SIGNS[str(parts[1])], (parts[0], parts[2]), span=span)
        return Apply("neg" if rule == "negative" else "abs", (parts[1],), span=span)

    def call(self, token: lark.Token, args: tuple[Node, ...], span: Span) -> Node:
        name = str(token)
        if name not in FUNCTIONS:
            raise unknown_function(name, token_span(token), self.source, self.defined)
        wrong = wrong_count(name, len(args), span, self.source)
        if wrong is not None:
            raise wrong
        for position, arg in enumerate(args):
            if name == "if" and position == 0:
                if not (isinstance(arg, Apply) and OPERATORS[arg.op].boolean):
                    message = "the first argument of `if` is not a comparison"
                    hint = "write `if(pred > 0.5, a, b)`, with one of < <= > >="
                    raise self.error("LD014", message, _place(arg), hint)
            else:
                self.refuse_comparison(arg)
        if name in PROTECTED and len(args) == 2 and any(v in names(args[1]) for v in VARIABLES):
            message = f"the epsilon of `{name}` is not constant"
            hint = "write a number such as 1e-6, or a parameter of `where`"
            raise self.error("LD023", message, _place(args[1]), hint)
        return Apply(name, args, span=span)

    def refuse_comparison(self, node: Node) -> None:
        if isinstance(node, Apply) and OPERATORS[node.op].boolean:
            message = "a comparison stands outside the condition of an `if`"
            raise self.error("LD013", message, _place(node), "write `if(a > b, 1, 0)` where a number is meant")


def _place(part: Any) -> Span:
    if isinstance(part, Node):
        assert part.span is not None
        return part.span
    return token_span(part)
