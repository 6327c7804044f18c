"""What the dialects' readers share: tokens with places, a cursor over them, brackets checked first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.limits import MAX_BRACKETS
from lossdsl.grammar.naming import number as read_number
from lossdsl.grammar.tree import Apply, Name, Node, Number

# A reader calls itself a few times per level; Python's own stack allows about a thousand calls, some already taken.
MAX_LEVELS = MAX_BRACKETS + 16
CLOSES = {"(": ")", "[": "]", "{": "}", "|(": ")|"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the source: `kind` is what the scanner calls it, `text` what stands at `start:end`."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Where in a source something stands, able to say that it is wrong."""

    source: str

    def error(self, code: str, message: str, start: int, end: int, hint: str | None = None) -> LossSyntaxError:
        """The error, to be raised by whoever asked."""
        return LossSyntaxError(code, message, self.source, Span(start, end), hint)

    def spelled(self, token: Token) -> str:
        """A token as it stands in the source."""
        return self.source[token.start : token.end]

    def shown(self, name: Name) -> str:
        """A name as it stands in the source."""
        return self.source[name.span.start : name.span.end] if name.span else name.name

    def at(self, code: str, message: str, thing: Token | Node, hint: str | None = None) -> LossSyntaxError:
        """The same, under a token or a node."""
        if isinstance(thing, Token):
            return self.error(code, message, thing.start, thing.end, hint)
        span = thing.span or Span(0, len(self.source))
        return self.error(code, message, span.start, span.end, hint)


class Cursor:
    """A list of tokens, read from left to right; the last one has kind `end`."""

    def __init__(self, source: str, tokens: list[Token]) -> None:
        self.mark = Mark(source)
        self.source = source
        self.tokens = tokens
        self.place = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        """The token that comes, not taken yet."""
        return self.tokens[self.place]

    @property
    def last(self) -> Token | None:
        """The token taken last, None at the beginning."""
        return self.tokens[self.place - 1] if self.place else None

    def peek(self, ahead: int = 1) -> Token:
        """A token further on."""
        return self.tokens[min(self.place + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The next token, taken."""
        token = self.tokens[self.place]
        if token.kind != "end":
            self.place += 1
        return token

    def sees(self, *texts: str) -> bool:
        """Whether the next token is spelled as one of these."""
        return self.next.kind not in ("end", "text") and self.next.text in texts

    def eat(self, *texts: str) -> Token | None:
        """Take the next token if it is spelled so."""
        return self.take() if self.sees(*texts) else None

    def need(self, text: str, after: str) -> Token:
        """Take a token that has to be there."""
        if self.sees(text):
            return self.take()
        token = self.next
        if token.kind == "end":
            raise self.mark.at("LD006", f"`{text}` is missing after {after}", token)
        raise self.mark.at("LD006", f"expected `{text}` after {after}, found `{token.text}`", token)

    def deeper(self) -> None:
        """Count a level of nesting; the reader that calls it gives the level back with `depth -= 1`."""
        self.depth += 1
        if self.depth > MAX_LEVELS:
            raise self.mark.at("LD037", f"nested deeper than {MAX_LEVELS} levels", self.next, "shorten the formula")

    def no_operand(self) -> LossSyntaxError:
        """Something has to stand here and does not."""
        token, last = self.next, self.last
        if last is None and token.kind == "end":
            return self.mark.error("LD001", "the formula is empty", 0, max(1, len(self.source)), "try `-log(pred)`")
        if last is None:
            return self.mark.at("LD004", f"a formula cannot begin with `{self.mark.spelled(token)}`", token)
        before = self.mark.spelled(last)
        if last.text in CLOSES and token.kind != "end":
            message = f"nothing stands between `{before}` and `{self.mark.spelled(token)}`"
            return self.mark.at("LD004", message, token, "write a formula there, or take the brackets away")
        place = f"before `{self.mark.spelled(token)}`" if token.kind != "end" else "at the end"
        return self.mark.at("LD004", f"an operand is missing {place}", last, f"`{before}` needs something on its right")

    def no_operator(self) -> LossSyntaxError:
        """Two operands in a row."""
        token = self.next
        return self.mark.at("LD005", f"an operator is missing before `{token.text}`", token, "write `*` to multiply")


def check_brackets(source: str, tokens: Iterable[Token]) -> None:
    """Every bracket has its partner, none is nested too deep. Strings and the like are no tokens of kind `sign`."""
    mark = Mark(source)
    stack: list[Token] = []
    for token in tokens:
        if token.kind != "sign":
            continue
        spelled = mark.spelled(token)
        if token.text in CLOSES:
            stack.append(token)
            if len(stack) > MAX_BRACKETS:
                message = f"brackets are nested more than {MAX_BRACKETS} deep"
                raise mark.at("LD031", message, token, "leave out brackets that change nothing, or split the formula")
        elif token.text in CLOSES.values():
            if not stack:
                raise mark.at("LD007", f"`{spelled}` closes nothing", token, "take it away, or open a bracket before")
            opened = stack.pop()
            if CLOSES[opened.text] != token.text:
                message = f"`{mark.spelled(opened)}` is closed by `{spelled}`"
                raise mark.at("LD007", message, token, f"close it with `{_partner(mark.spelled(opened))}`")
    if stack:
        opened = stack[-1]
        spelled = mark.spelled(opened)
        raise mark.at("LD006", f"`{spelled}` is never closed", opened, f"add `{_partner(spelled)}`")


def _partner(spelled: str) -> str:
    if spelled.startswith("\\left"):
        return "\\right" + _partner(spelled[5:].strip())
    return {"|": "|", "\\{": "\\}", "\\lvert": "\\rvert", "\\lVert": "\\rVert"}.get(spelled) or CLOSES.get(spelled, ")")


def number(mark: Mark, token: Token) -> Number:
    """The exact value of a literal: `0.1` is 1/10, never a rounded one."""
    span = Span(token.start, token.end)
    return Number(read_number(token.text.replace("_", ""), mark.source, span), span=span)


def around(*nodes: Node) -> Span | None:
    """The span from the first to the last of some nodes."""
    spans = [n.span for n in nodes if n.span is not None]
    return Span(min(s.start for s in spans), max(s.end for s in spans)) if spans else None


def apply(op: str, *args: Node, span: Span | None = None) -> Apply:
    """An operator applied, spanning its arguments unless told otherwise."""
    return Apply(op, args, span=span or around(*args))
