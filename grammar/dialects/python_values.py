"""The tokens of Python code, and the values that its expressions have before they become parts of a formula."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lossdsl.errors import Span
from lossdsl.grammar.characters import stray
from lossdsl.grammar.dialects.scan import CLOSES, Token
from lossdsl.grammar.tree import Node

# Aliases that only code uses; the language's own stand in `operators.ALIASES`.
ALIASES = {
    "logits": "score", "scores": "score", "y_logit": "score", "y_logits": "score",
    "labels": "label", "targets": "label", "y_trues": "label", "gt": "label", "ground_truth": "label",
    "preds": "pred", "probs": "pred", "predictions": "pred", "prediction": "pred", "y_prob": "pred", "y_preds": "pred",
}  # fmt: skip
MODULES = frozenset(
    "torch nn F functional np numpy tf tensorflow math K keras backend ops jnp jax lax optax scipy special mx paddle "
    "fn th chainer".split()
)
OWNERS = frozenset("self cls args config cfg conf hparams params opt ctx hps".split())
KEYWORDS = frozenset(
    "and or not in is for while with import from as try except raise assert del global nonlocal pass break continue "
    "class yield async await elif".split()
)
METHOD_COMPARISONS = {"eq": "==", "ne": "!=", "equal": "==", "not_equal": "!="}
ARITHMETIC = {"+": ("add", 1), "-": ("sub", 1), "*": ("mul", 2), "/": ("div", 2)}
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\f]+|\\\r?\n|\#[^\n]*|[rbfuRBFU]{0,2}(?:\"{3}(?:.|\n)*?\"{3}|'{3}(?:.|\n)*?'{3}))"
    r"|(?P<newline>\n|;)"
    r"|(?P<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)"
    r"|(?P<text>[rfbRFB]?(?:'[^'\n]*'|\"[^\"\n]*\"))"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>\*\*=|//=|\*\*|//|<=|>=|==|!=|->|:=|\+=|-=|\*=|/=|<<|>>|[-+*/<>=()\[\]{},.:%@&|^~])",
    re.ASCII,
)
HINTS = {
    "^": "`^` is exclusive or in Python; a power is `**`",
    "&": "one condition at a time: nest two `torch.where`",
    "|": "one condition at a time; the size of a number is `abs(x)`",
    "~": "turn the comparison around",
    "%": None, "//": None, "@": "a formula sees one prediction at a time; a product is `*`", "<<": None, ">>": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Path:
    """A dotted name that nobody has asked the value of yet."""

    parts: tuple[str, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Made:
    """A function that is ready to be called, such as `nn.Softplus(beta=2)`, with the arguments it brings along."""

    name: str
    given: Mapping[str, Value]
    span: Span


@dataclass(frozen=True, slots=True)
class Text:
    """A string, which is an option of a call and never a number."""

    text: str
    span: Span


Value = Node | Path | Made | Text


def scan(source: str, end: int) -> list[Token]:
    """The tokens of `source[:end]`; line ends inside brackets are none."""
    tokens: list[Token] = []
    place = depth = 0
    while place < end:
        match = _TOKEN.match(source, place, end)
        if match is None:
            raise stray(source, place)
        kind = str(match.lastgroup)
        if kind == "sign":
            depth += (match[0] in CLOSES) - (match[0] in ")]}")
        if kind not in ("space", "newline") or (kind == "newline" and depth <= 0):
            tokens.append(Token(kind, match[0], place, match.end()))
        place = match.end()
    tokens.append(Token("end", "", end, end))
    return tokens
