"""Errors that a user can cause: a fact, a place, one hint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Half-open range of characters in the source, `source[start:end]`."""

    start: int
    end: int


class LossError(ValueError):
    """Base of every error that lossdsl raises about what a user handed over."""


class LossSyntaxError(LossError):
    """A formula that cannot be read.

    `str(error)` is the whole message with the place, the line, a caret and a hint:

    >>> from lossdsl.errors import LossSyntaxError, Span
    >>> print(LossSyntaxError("LD002", "unknown function `sigmod`", "-log(sigmod(score))", Span(5, 11),
    ...                       "did you mean `sigmoid`?"))
    1:6: LD002 unknown function `sigmod`
      -log(sigmod(score))
           ^^^^^^
      hint: did you mean `sigmoid`?
    """

    def __init__(self, code: str, message: str, source: str, span: Span, hint: str | None = None) -> None:
        self.code = code
        self.message = message
        self.source = source
        self.span = span
        self.hint = hint
        super().__init__(code, message, source, span, hint)

    @property
    def line(self) -> int:
        """Line of the mistake, counted from 1."""
        return self.source.count("\n", 0, self.span.start) + 1

    @property
    def column(self) -> int:
        """Column of the mistake, counted from 1."""
        return self.span.start - (self.source.rfind("\n", 0, self.span.start) + 1) + 1

    def __str__(self) -> str:
        begin = self.source.rfind("\n", 0, self.span.start) + 1
        end = self.source.find("\n", begin)
        line = self.source[begin : end if end >= 0 else len(self.source)]
        offset = self.span.start - begin
        width = max(1, min(self.span.end, begin + len(line)) - self.span.start)
        # A window of the line around the caret: a pasted novel must not scroll the mistake away.
        if len(line) > 100:
            left = max(0, offset - 40)
            line, offset = line[left : left + 100], offset - left
            width = min(width, 100 - offset)
        before, marked = _columns(line[:offset]), max(1, _columns(line[offset : offset + width]))
        line = "".join(" " if c == "\t" else c if c.isprintable() else "�" for c in line)
        out = f"{self.line}:{self.column}: {self.code} {self.message}\n  {line}\n  {' ' * before}{'^' * marked}"
        return out + (f"\n  hint: {self.hint}" if self.hint else "")


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


class MissingExtra(LossError, ImportError):
    """A command that needs packages which a plain `pip install lossdsl` does not bring."""

    def __init__(self, extra: str, what: str) -> None:
        self.extra = extra
        self.what = what
        super().__init__(f"{what} needs the `{extra}` extra: pip install 'lossdsl[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return MissingExtra, (self.extra, self.what)  # a pool that cannot unpickle a worker's error hangs


@contextmanager
def naming(path: object) -> Iterator[None]:
    """Puts the file's name into the failure of a write, where the operating system leaves it out.

    >>> from lossdsl.errors import naming
    >>> try:
    ...     with naming("trials.jsonl"):
    ...         raise OSError(28, "No space left on device")
    ... except OSError as error:
    ...     print(error.filename)
    trials.jsonl
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
