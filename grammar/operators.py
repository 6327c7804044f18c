"""The operators of the language: name, how many arguments, how they are written.

What is *true* of each (domain, sign, slope) stands in `lossdsl.operators`; this table knows spelling only, so that the
grammar needs nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operator:
    """One row: `low` to `high` arguments (`high` None: any number); `infix` is its sign where it has one."""

    name: str
    low: int
    high: int | None
    infix: str | None = None
    boolean: bool = False

    @property
    def is_function(self) -> bool:
        """Whether it is written as `name(arguments)`."""
        return self.infix is None


_FUNCTIONS = (
    *((n, 1, 1) for n in ("log", "log1p", "exp", "expm1", "sqrt", "square", "reciprocal", "abs", "sign")),
    *((n, 1, 1) for n in ("sigmoid", "logsigmoid", "tanh", "relu", "softplus")),
    ("min", 2, None),
    ("max", 2, None),
    ("clamp", 3, 3),
    ("if", 3, 3),
    ("plog", 1, 2),
    ("pinv", 1, 2),
    ("psqrt", 1, 2),
)

OPERATORS: dict[str, Operator] = {
    row.name: row
    for row in (
        Operator("add", 2, 2, "+"),
        Operator("sub", 2, 2, "-"),
        Operator("mul", 2, 2, "*"),
        Operator("div", 2, 2, "/"),
        Operator("pow", 2, 2, "^"),
        Operator("neg", 1, 1, "-"),
        Operator("lt", 2, 2, "<", boolean=True),
        Operator("le", 2, 2, "<=", boolean=True),
        Operator("gt", 2, 2, ">", boolean=True),
        Operator("ge", 2, 2, ">=", boolean=True),
        *(Operator(name, low, high) for name, low, high in _FUNCTIONS),
    )
}

ALIASES = {
    "p": "pred", "y_hat": "pred", "y_pred": "pred", "prob": "pred",
    "y": "label", "y_true": "label", "target": "label",
    "logit": "score", "s": "score",
}  # fmt: skip
