"""Malformed text: from the place where reading stopped to a sentence that says what is wrong.

LALR reading stops at the first character that no formula could have there. What stands before and behind that place,
and which brackets are open, tells which mistake it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossdsl.errors import LossSyntaxError, Span

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput


def explain(text: str, error: UnexpectedInput) -> LossSyntaxError:
    """The error to raise in place of Lark's."""
    position = error.pos_in_stream
    token = getattr(error, "token", None)
    if token is not None and token.type == "$END":
        position = len(text.rstrip())
        return LossSyntaxError("LD004", "the formula ends too early", text, Span(position, position), None)
    if position is None:
        position = 0
    return LossSyntaxError("LD009", "this does not belong here", text, Span(position, position + 1), None)
