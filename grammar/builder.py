"""From Lark's tree to ours: names resolved, arguments counted, numbers exact.

The tree is walked with an explicit stack. A `Transformer` would recurse, and how deep a text nests is up to whoever
wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lossdsl.grammar.losses import loss_names
from lossdsl.grammar.numerals import MAX_DIGITS, MAX_POWER, BadNumber, read_decimal, write_constant
from lossdsl.grammar.operators import ALIASES, OPERATORS
from lossdsl.grammar.suggest import nearest
from lossdsl.grammar.tree import VARIABLES, Apply, Binding, Name, Node, Number

from lossdsl.errors import LossSyntaxError, Span

if TYPE_CHECKING:
    from fractions import Fraction

    import lark

    Part = lark.Token | lark.Tree[lark.Token]

Where = Mapping[str, tuple[Binding, Span]]

FUNCTIONS = {row.name: row for row in OPERATORS.values() if row.is_function}
_SIGNS = {row.infix: row.name for row in OPERATORS.values() if row.infix and row.low == 2} | {"**": "pow"}
_PYTHON = {
    "ln": "log", "maximum": "max", "minimum": "min", "clip": "clamp", "fabs": "abs", "pow": None, "sigma": "sigmoid",
    "log_sigmoid": "logsigmoid", "logistic": "sigmoid", "inv": "reciprocal", "step": None, "iif": "if",
}  # fmt: skip


def lone_name(part: Any) -> str | None:
    """The name, where the whole expression is one name, brackets aside."""
    while getattr(part, "data", None) == "group":
        part = part.children[1]
    return str(part) if getattr(part, "type", None) == "NAME" else None


def build(source: str, part: Part, where: Where) -> Node:
    """Our tree for an expression that Lark has read."""
    builder = _Builder(source, where)
    done: list[Node | lark.Token] = []
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
    def __init__(self, source: str, where: Where) -> None:
        self.source = source
        self.where = where

    def error(self, code: str, message: str, span: Span, hint: str | None) -> LossSyntaxError:
        return LossSyntaxError(code, message, self.source, span, hint)

    def leaf(self, token: lark.Token) -> Node | lark.Token:
        span = token_span(token)
        if token.type == "NUMBER":
            return Number(read_number(self.source, token), span=span)
        if token.type != "NAME":
            return token
        # A name in front of `(` is a function; it stays a token until its call is complete.
        rest = self.source[span.end :].lstrip()
        if rest.startswith("("):
            return token
        return Name(self.resolve(str(token), span), span=span)

    def resolve(self, name: str, span: Span) -> str:
        if name in self.where or name in VARIABLES:
            return name
        if name in ALIASES:
            return ALIASES[name]
        if name in FUNCTIONS:
            raise self.error(
                "LD015", f"the function `{name}` has no arguments here", span, f"write `{_pattern(name)}`"
            )
        if name in loss_names():
            raise self.error(
                "LD016",
                f"the named loss `{name}` stands inside an expression",
                span,
                f"use `{name}` alone, or write its formula out: `lossdsl show {name}`",
            )
        close = nearest(name, [*self.where, *VARIABLES, *ALIASES])
        if close:
            hint = f"did you mean `{close}`?"
        elif name in ("e", "pi"):
            instead = "write `exp(x)` for e^x, or" if name == "e" else "there are no built-in constants:"
            hint = f"{instead} add `where {name} = {'2.718281828459045' if name == 'e' else '3.141592653589793'}`"
        else:
            hint = f"a parameter needs a value: add `where {name} = 1`"
        raise self.error("LD003", f"`{_short(name)}` has no value", span, hint)

    def inner(self, rule: str, parts: list[Any]) -> Node:
        span = Span(_start(parts[0]), _end(parts[-1]))
        if rule == "group":
            inside: Node = parts[1]
            return replace(inside, span=span)
        if rule == "negative":
            self.refuse_comparison(parts[1])
            return Apply("neg", (parts[1],), span=span)
        if rule == "absolute":
            self.refuse_comparison(parts[1])
            return Apply("abs", (parts[1],), span=span)
        if rule == "binary":
            self.refuse_comparison(parts[0])
            self.refuse_comparison(parts[2])
            return Apply(_SIGNS[str(parts[1])], (parts[0], parts[2]), span=span)
        return self.call(parts[0], tuple(parts[2:-1:2]), span)

    def call(self, token: lark.Token, args: tuple[Node, ...], span: Span) -> Node:
        name, place = str(token), token_span(token)
        row = FUNCTIONS.get(name)
        if row is None:
            raise self.unknown_function(name, place)
        if len(args) < row.low or (row.high is not None and len(args) > row.high):
            message = f"`{name}` takes {_arity(name)}, not {len(args)}"
            raise self.error("LD008", message, span, f"write `{_pattern(name)}`")
        for position, arg in enumerate(args):
            if name == "if" and position == 0:
                if not (isinstance(arg, Apply) and OPERATORS[arg.op].boolean):
                    raise self.error(
                        "LD014", "the first argument of `if` is not a comparison", _span(arg),
                        "write `if(pred > 0.5, a, b)`, with one of < <= > >=",
                    )  # fmt: skip
            else:
                self.refuse_comparison(arg)
        if name in ("plog", "pinv", "psqrt") and len(args) == 2 and not _is_constant(args[1]):
            raise self.error(
                "LD023", f"the epsilon of `{name}` is not constant", _span(args[1]),
                "write a number such as 1e-6, or a parameter of `where`",
            )  # fmt: skip
        return Apply(name, args, span=span)

    def unknown_function(self, name: str, span: Span) -> LossSyntaxError:
        if name in self.where or name in VARIABLES or name in ALIASES:
            return self.error(
                "LD002", f"`{_short(name)}` is no function", span, f"to multiply, write `{_short(name)}*(…)`"
            )
        if name in loss_names():
            return self.error(
                "LD016", f"the named loss `{name}` takes no arguments", span,
                f"use `{name}` alone, with its parameters behind `where`",
            )  # fmt: skip
        close = _PYTHON.get(name.lower()) or nearest(name, FUNCTIONS)
        hint = f"did you mean `{close}`?" if close else "`lossdsl explain LD002` lists the functions"
        if name.lower() == "pow":
            hint = "write `x^n`"
        return self.error("LD002", f"unknown function `{_short(name)}`", span, hint)

    def refuse_comparison(self, node: Node) -> None:
        if isinstance(node, Apply) and OPERATORS[node.op].boolean:
            raise self.error(
                "LD013", "a comparison stands outside the condition of an `if`", _span(node),
                "write `if(a > b, 1, 0)` where a number is meant",
            )  # fmt: skip


def read_where(source: str, part: Any) -> dict[str, tuple[Binding, Span]]:
    """What the `where` of a formula says: name → binding and the place of the name."""
    where: dict[str, tuple[Binding, Span]] = {}
    for item in part.children:
        if not hasattr(item, "children"):
            continue
        token = item.children[0]
        name, span = str(token), token_span(token)
        reserved = (
            "a variable" if name in VARIABLES else "the name of a function" if name in FUNCTIONS else None
        )
        if reserved:
            raise LossSyntaxError(
                "LD019", f"`{name}` is {reserved} and cannot be given a value", source, span,
                "choose another name for the parameter",
            )  # fmt: skip
        if name in where:
            raise LossSyntaxError(
                "LD022", f"`{_short(name)}` is given a value twice", source, span, "leave one of the two out"
            )
        constants = [(_constant(source, c), c) for c in item.children if hasattr(c, "children")]
        low, high = constants[0][0], constants[-1][0]
        if low > high:
            place = Span(_start(constants[0][1]), _end(constants[-1][1]))
            raise LossSyntaxError(
                "LD024", f"the range of `{_short(name)}` is empty", source, place, "write the smaller bound first"
            )
        where[name] = (Binding(name, low, high), span)
    return where


def _constant(source: str, part: Any) -> Fraction:
    tokens = part.children
    numbers = [(read_number(source, t), t) for t in tokens if t.type == "NUMBER"]
    value = numbers[0][0]
    if len(numbers) == 2:
        if numbers[1][0] == 0:
            raise LossSyntaxError(
                "LD025", "a constant is divided by zero", source, token_span(numbers[1][1]), "write another number"
            )
        value /= numbers[1][0]
    if write_constant(value) is None:
        raise _bad_number(source, Span(_start(tokens[0]), _end(tokens[-1])), "power")
    return -value if tokens[0].type == "MINUS" else value


def read_number(source: str, token: lark.Token) -> Fraction:
    """The value of a number token, within the limits."""
    try:
        return read_decimal(str(token))
    except BadNumber as error:
        raise _bad_number(source, token_span(token), error.kind) from None


def _bad_number(source: str, span: Span, kind: str) -> LossSyntaxError:
    if kind == "digits":
        return LossSyntaxError(
            "LD034", f"the number has more than {MAX_DIGITS} digits", source, span, "round it: a float holds 17"
        )
    return LossSyntaxError(
        "LD035", f"the number is beyond 1e{MAX_POWER} or under 1e-{MAX_POWER} in size", source, span,
        "write a number nearer to 1",
    )  # fmt: skip


def token_span(token: lark.Token) -> Span:
    """Where a token stands."""
    return Span(token.start_pos or 0, token.end_pos or 0)


def _span(node: Node) -> Span:
    assert node.span is not None
    return node.span


def _start(part: Any) -> int:
    if isinstance(part, Node):
        return _span(part).start
    return _start(part.children[0]) if hasattr(part, "children") else token_span(part).start


def _end(part: Any) -> int:
    if isinstance(part, Node):
        return _span(part).end
    return _end(part.children[-1]) if hasattr(part, "children") else token_span(part).end


def _is_constant(node: Node) -> bool:
    from lossdsl.grammar.tree import names

    return not any(v in names(node) for v in VARIABLES)


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:37] + "…"


def _arity(name: str) -> str:
    row = FUNCTIONS[name]
    if row.high is None:
        return f"{row.low} or more arguments"
    if row.low != row.high:
        return f"{row.low} or {row.high} arguments"
    return f"{row.low} argument{'s' if row.low > 1 else ''}"


def _pattern(name: str) -> str:
    row = FUNCTIONS[name]
    if name == "if":
        return "if(pred > 0.5, a, b)"
    return {1: f"{name}(x)", 2: f"{name}(a, b)", 3: f"{name}(x, low, high)"}[row.low]
