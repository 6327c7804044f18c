"""The end of a formula: `where gamma = 2, alpha in [0, 1]`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.naming import FUNCTIONS, bad_number, number, short
from lossdsl.grammar.numerals import write_constant
from lossdsl.grammar.tree import VARIABLES, Binding

if TYPE_CHECKING:
    import lark

Where = dict[str, tuple[Binding, Span]]


def split_where(source: str) -> int:
    """Where the body of a formula ends: the place of its last word `where`, or the end.

    >>> from lossdsl.grammar.where import split_where
    >>> split_where("x^g where g = 2"), split_where("np.where(c, a, b)")
    (4, 17)
    """
    found = [m.start() for m in re.finditer(r"(?<![\w.\\{])where(?!\s*[(\w]*\()(?!\s*=)\b", source)]
    return found[-1] if found else len(source)


def read_where_at(source: str, position: int) -> tuple[Binding, ...]:
    """The bindings of the `where` that begins at `position` and reaches to the end."""
    from lark.exceptions import UnexpectedInput

    from lossdsl.grammar.messages import explain
    from lossdsl.grammar.parser import grammar

    if not source[position:].strip():
        return ()
    blanked = " " * position + source[position:]  # the places stay those of the source
    try:
        part = grammar().parse(blanked, start="where")
    except UnexpectedInput as error:
        raise explain(source, error) from None
    return tuple(binding for binding, _ in read_where(source, part).values())


def read_where(source: str, part: Any) -> Where:
    """What Lark's tree of a `where` says: name → binding and the place of the name."""
    where: Where = {}
    for item in part.children:
        if not hasattr(item, "children"):
            continue
        token = item.children[0]
        name, span = str(token), token_span(token)
        if name in VARIABLES or name in FUNCTIONS:
            kind = "a variable" if name in VARIABLES else "the name of a function"
            message = f"`{name}` is {kind} and cannot be given a value"
            raise LossSyntaxError("LD019", message, source, span, "choose another name for the parameter")
        if name in where:
            message = f"`{short(name)}` is given a value twice"
            raise LossSyntaxError("LD022", message, source, span, "leave one of the two out")
        constants = [c.children for c in item.children if hasattr(c, "children")]
        low, high = _constant(source, constants[0]), _constant(source, constants[-1])
        if low > high:
            place = Span(token_span(constants[0][0]).start, token_span(constants[1][-1]).end)
            message = f"the range of `{short(name)}` is empty"
            raise LossSyntaxError("LD024", message, source, place, "write the smaller bound first")
        where[name] = (Binding(name, low, high), span)
    return where


def _constant(source: str, tokens: list[lark.Token]) -> Fraction:
    numbers = [t for t in tokens if t.type == "NUMBER"]
    values = [number(str(t), source, token_span(t)) for t in numbers]
    value = values[0]
    if len(values) == 2:
        if values[1] == 0:
            message = "a constant is divided by zero"
            raise LossSyntaxError("LD025", message, source, token_span(numbers[1]), "write another number")
        value /= values[1]
    if write_constant(value) is None:
        raise bad_number(source, Span(token_span(tokens[0]).start, token_span(tokens[-1]).end), "power")
    return -value if tokens[0].type == "MINUS" else value


def token_span(token: lark.Token) -> Span:
    """Where a token stands."""
    return Span(token.start_pos or 0, token.end_pos or 0)
