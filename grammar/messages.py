"""Malformed text: from the place where reading stopped to a sentence that says what is wrong.

LALR reading stops at the first character that no formula could have there. What stands before and behind that place,
and which brackets are open, tells which mistake it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lossdsl.errors import LossSyntaxError, Span
from lossdsl.grammar.characters import stray
from lossdsl.grammar.losses import loss_names
from lossdsl.grammar.naming import FUNCTIONS, short

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|[<>]=?|==|[-+*/^=])|(?P<bracket>[()\[\]|])|(?P<comma>,)|(?P<other>[^ \t\r\n])"
)
_WHERE_SHAPE = "write `where gamma = 2`, or `where gamma in [0, 5]` for a range to check"
_NUMBERS = "`where` takes numbers such as -0.5, 1e-6 and 1/3, nothing computed"
_PYTHON_WORDS = {
    "if": "write `if(pred > 0.5, a, b)`",
    "else": "write `if(pred > 0.5, a, b)`",
    "and": "for two conditions, put one `if` into another",
    "or": "for two conditions, put one `if` into another",
    "for": "a formula is about one prediction; the mean over a batch is taken by the training",
}


@dataclass(frozen=True)
class _Word:
    kind: str
    text: str
    start: int
    end: int

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    @property
    def shown(self) -> str:
        return f"`{short(self.text)}`"


@dataclass(frozen=True)
class _Open:
    """A bracket that is still open, and the function it belongs to, if any."""

    word: _Word
    function: str | None


def explain(text: str, error: UnexpectedInput) -> LossSyntaxError:
    """The error to raise in place of Lark's."""
    token = getattr(error, "token", None)
    ended = token is not None and token.type == "$END"
    stop = len(text.rstrip()) if ended else error.pos_in_stream or 0
    before = [_word(m) for m in _TOKEN.finditer(text, 0, stop)]
    opened, value_due = _state(before)
    found = None if ended else _TOKEN.match(text, stop)
    return _Place(text, before, _word(found) if found else None, stop, opened, value_due).explain()


def _word(match: re.Match[str]) -> _Word:
    return _Word(match.lastgroup or "other", match.group(), match.start(), match.end())


def _state(words: list[_Word]) -> tuple[list[_Open], bool]:
    """Which brackets are open behind a beginning that reads well, and whether a value is due there."""
    opened: list[_Open] = []
    value_due = True
    last: _Word | None = None
    for word in words:
        if word.kind == "bracket" and word.text != "]":
            if word.text in "([" or (word.text == "|" and value_due):
                opened.append(_Open(word, last.text if last and last.kind == "name" and word.text == "(" else None))
                value_due = True
            else:
                opened = opened[:-1]
                value_due = False
        elif word.text == "]":
            opened = opened[:-1]
            value_due = False
        else:
            value_due = word.kind in ("sign", "comma")
        last = word
    return opened, value_due


@dataclass(frozen=True)
class _Place:
    text: str
    before: list[_Word]
    found: _Word | None
    stop: int
    opened: list[_Open]
    value_due: bool

    @property
    def last(self) -> _Word | None:
        return self.before[-1] if self.before else None

    def error(self, code: str, message: str, hint: str, span: Span | None = None) -> LossSyntaxError:
        place = span or (self.found.span if self.found else Span(self.stop, self.stop))
        return LossSyntaxError(code, message, self.text, place, hint)

    def explain(self) -> LossSyntaxError:
        found, last = self.found, self.last
        if found and found.text == "." and last and last.kind == "name" and last.end == found.start:
            return self.attribute(last, found)
        if found and found.kind == "other":
            return stray(self.text, found.start)
        if any(w.text == "where" for w in self.before):
            return self.in_where()
        if found is None:
            return self.end()
        if found.text in ("=", "=="):
            return self.assignment(found)
        if found.text in ("[", "]"):
            return stray(self.text, found.start)
        if self.value_due:
            return self.no_value(found)
        if found.text == ")" or found.text == "where":
            return self.unclosed(found) if self.opened else self.closes_nothing(found)
        if found.text == ",":
            return self.comma(found)
        if found.kind == "sign":
            hint = "put one `if` into the other, as in `if(a < b, if(b < c, 1, 0), 0)`"
            return self.error("LD013", "comparisons cannot be chained", hint)
        if found.text == "|" and self.opened and any(o.word.text == "|" for o in self.opened):
            return self.unclosed(found)
        return self.no_operator(found)

    def end(self) -> LossSyntaxError:
        last = self.last
        assert last is not None
        if self.value_due:
            hint = f"write a value behind {last.shown}, or leave it out"
            return self.error("LD004", f"the formula ends behind {last.shown}, where a value is due", hint)
        return self.unclosed(None)

    def unclosed(self, found: _Word | None) -> LossSyntaxError:
        word = self.opened[-1].word
        begin = self.text.rfind("\n", 0, word.start) + 1
        line = self.text.count("\n", 0, word.start)
        where = f"column {word.start - begin + 1}" + (f" of line {line + 1}" if line else "")
        message = f"the `{word.text}` of {where} is not closed"
        closing = "|" if word.text == "|" else ")"
        return self.error("LD006", message, f"add `{closing}` {'here' if found is None else 'before this'}")

    def closes_nothing(self, found: _Word) -> LossSyntaxError:
        return self.error("LD007", f"{found.shown} closes no bracket", "leave it out, or add `(` before it")

    def no_value(self, found: _Word) -> LossSyntaxError:
        last = self.last
        if last is None:
            message = f"there is no value in front of {found.shown}"
        elif last.text + found.text == "()":
            message = "there is nothing between `(` and `)`"
        else:
            message = f"there is no value between {last.shown} and {found.shown}"
        if last and last.text == "/" and found.text == "/":
            hint = "a quotient is written with one `/`"
        elif found.text == "+":
            hint = "leave the plus out" if last is None or last.kind != "sign" else f"leave {found.shown} out"
        elif found.text == ")" and last and last.text != "(":
            hint = f"write a value behind {last.shown}, or leave it out"
        elif found.text in ("<", ">", "<=", ">=") or found.kind in ("name", "comma", "bracket"):
            hint = f"write a value in front of {found.shown}"
        else:
            hint = f"write a value in front of {found.shown}, or leave it out"
        return self.error("LD004", message, hint)

    def no_operator(self, found: _Word) -> LossSyntaxError:
        last = self.last
        assert last is not None
        if last.kind == found.kind == "number" and last.end == found.start:
            hint = "write it as 0.5, 12 or 1e-6"
            return self.error("LD020", "the number is malformed", hint, Span(last.start, found.end))
        for word in (found.text, last.text):
            if word in _PYTHON_WORDS:
                return self.error("LD005", f"there is no operator before {found.shown}", _PYTHON_WORDS[word])
        if last.text in FUNCTIONS and found.text != "|":
            message = f"the function `{last.text}` has no brackets"
            return self.error("LD015", message, f"write `{last.text}({short(found.text)})`", last.span)
        left = "(…)" if last.text == ")" else "|…|" if last.text == "|" else short(last.text)
        right = "(…)" if found.text == "(" else "|…|" if found.text == "|" else short(found.text)
        if found.kind == "name" and self.text[found.end :].lstrip().startswith("("):
            right += "(…)"
        message = f"there is no operator between {last.shown} and {found.shown}"
        return self.error("LD005", message, f"to multiply, write `{left}*{right}`")

    def comma(self, found: _Word) -> LossSyntaxError:
        last = self.last
        if last and last.kind == "number" and self.text[found.end : found.end + 1].isdigit():
            hint = f"decimals have a point: write `{last.text}.{self.text[found.end]}…`"
        elif self.opened and self.opened[-1].word.text == "|":
            return self.unclosed(found)
        else:
            hint = "commas stand between the arguments of a function, such as `max(a, b)`, and behind `where`"
        return self.error("LD009", "a comma does not belong here", hint)

    def assignment(self, found: _Word) -> LossSyntaxError:
        if found.text == "==":
            hint = "conditions take < <= > >=; whether the label is 1 is asked by `label > 0.5`"
            return self.error("LD011", "there is no `==`", hint)
        message = "a formula assigns nothing: `=` stands behind `where` only"
        last = self.last
        function = self.opened[-1].function if self.opened else None
        if len(self.before) == 1 and last and last.kind == "name":
            hint = f"leave `{short(last.text)} =` out"
        elif function in loss_names() and last and last.kind == "name":
            hint = f"write `{function} where {short(last.text)} = …`"
        elif last and last.text in ("<", ">"):
            hint = "write <= or >="
        elif function in FUNCTIONS:
            hint = f"give the arguments of `{function}` by position"
        else:
            hint = "write one formula, and values of parameters as in `where gamma = 2`"
        return self.error("LD011", message, hint)

    def attribute(self, last: _Word, found: _Word) -> LossSyntaxError:
        start, end = last.start, found.end
        for word in reversed(self.before[:-1]):
            if word.end != start or not (word.kind == "name" or word.text == "."):
                break
            start = word.start
        while end < len(self.text) and (self.text[end].isalnum() or self.text[end] in "_."):
            end += 1
        whole = self.text[start:end]
        name = whole.rsplit(".", 1)[1]
        hint = f"write `{name}(…)`, or use --dialect python" if name in FUNCTIONS else "use --dialect python"
        message = f"`{short(whole)}` reaches into an object, which a formula cannot"
        return self.error("LD012", message, hint, Span(start, end))

    def in_where(self) -> LossSyntaxError:
        found, last = self.found, self.last
        assert last is not None
        behind, hint = last.shown, _WHERE_SHAPE
        if last.text == "where" or (last.text == "," and not self.opened):
            due = "a name is"
        elif last.text == "in":
            due = "`[` is"
        elif last.text in ("=", "[", "-", "+", "/", ","):
            due, hint = "a number is", _NUMBERS
        elif last.kind == "name":
            behind, due = f"the parameter {last.shown}", "`=` or `in` is"
        elif self.opened:
            behind, due = f"the bound {last.shown}", f"`{']' if self.ranged else ','}` is"
        else:
            behind, due, hint = f"the value {last.shown}", "a comma or the end is", _NUMBERS
        return self.error("LD017", f"behind {behind} {due} due, not {found.shown if found else 'the end'}", hint)

    @property
    def ranged(self) -> bool:
        """Whether the range that is open already has its comma."""
        return any(w.text == "," and w.start > self.opened[-1].word.start for w in self.before)
