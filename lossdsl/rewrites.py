"""Rewrites that keep the meaning and save digits: `log(sigmoid(x))` is `logsigmoid(x)`, on every real x.

One table. Each row is an identity of real numbers which holds wherever its left side has a value. The rows are tried
when a step is made, and what a row makes is looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

# A pattern is a small tree: a letter stands for any step, `label` for the input, a number for that constant, `other`
# for any step but label and 1-label (without that, two weights would change places for ever), `c` and `d` for
# constants from 0 to 1, `u` for a step that is never above 1.
Pattern: TypeAlias = "str | int | tuple[Pattern, ...]"


@dataclass(frozen=True)
class Rewrite:
    """`before` and `after` in the language itself, for people and for the test; then the same as patterns."""

    before: str
    after: str
    match: tuple[Pattern, ...]
    make: Pattern


_P, _Q = ("sigmoid", "x"), ("sigmoid", ("neg", "x"))

REWRITES: tuple[Rewrite, ...] = (
    # log and sigmoid belong together: apart they overflow or lose everything beyond |x| = 17
    Rewrite("log(sigmoid(x))", "logsigmoid(x)", ("log", _P), ("logsigmoid", "x")),
    Rewrite("log1p(-sigmoid(x))", "logsigmoid(-x)", ("log1p", ("neg", _P)), ("logsigmoid", ("neg", "x"))),
    Rewrite("log1p(exp(x))", "-logsigmoid(-x)", ("log1p", ("exp", "x")), ("neg", ("logsigmoid", ("neg", "x")))),
    Rewrite("exp(logsigmoid(x))", "sigmoid(x)", ("exp", ("logsigmoid", "x")), _P),
    Rewrite("log(sigmoid(x)/sigmoid(-x))", "x", ("log", ("div", _P, _Q)), "x"),
    Rewrite("log(sigmoid(-x)/sigmoid(x))", "-x", ("log", ("div", _Q, _P)), ("neg", "x")),
    # p and its complement are carried as a pair, so that nothing is ever computed as 1-p
    Rewrite("1-sigmoid(x)", "sigmoid(-x)", ("sub", 1, _P), _Q),
    Rewrite("sigmoid(x)-1", "-sigmoid(-x)", ("sub", _P, 1), ("neg", _Q)),
    Rewrite("1/(1+exp(x))", "sigmoid(-x)", ("div", 1, ("add", 1, ("exp", "x"))), _Q),
    Rewrite("exp(x)/(1+exp(x))", "sigmoid(x)", ("div", ("exp", "x"), ("add", 1, ("exp", "x"))), _P),
    Rewrite("1/sigmoid(x)", "1+exp(-x)", ("div", 1, _P), ("add", 1, ("exp", ("neg", "x")))),
    Rewrite("sigmoid(-x)/sigmoid(x)", "exp(-x)", ("div", _Q, _P), ("exp", ("neg", "x"))),
    Rewrite("sigmoid(x)/sigmoid(-x)", "exp(x)", ("div", _P, _Q), ("exp", "x")),
    # the residual: at label 1 it is -q, at label 0 it is p, both to the last digit
    Rewrite("sigmoid(x)-label", "(1-label)*sigmoid(x)-label*sigmoid(-x)",
            ("sub", _P, "label"), ("mix", "label", ("neg", _Q), _P)),
    Rewrite("label-sigmoid(x)", "label*sigmoid(-x)-(1-label)*sigmoid(x)",
            ("sub", "label", _P), ("mix", "label", _Q, ("neg", _P))),
    Rewrite("(1-label)-sigmoid(x)", "(1-label)*sigmoid(-x)-label*sigmoid(x)",
            ("sub", ("sub", 1, "label"), _P), ("mix", "label", ("neg", _P), _Q)),
    # a weighted sum of the two labels' branches is one step
    Rewrite("label*x+(1-label)*z", "label*x+(1-label)*z",
            ("add", ("mul", "label", "x"), ("mul", ("sub", 1, "label"), "z")), ("mix", "label", "x", "z")),
    Rewrite("label*x-(1-label)*z", "label*x-(1-label)*z",
            ("sub", ("mul", "label", "x"), ("mul", ("sub", 1, "label"), "z")), ("mix", "label", "x", ("neg", "z"))),
    Rewrite("(1-label)*z-label*x", "(1-label)*z-label*x",
            ("sub", ("mul", ("sub", 1, "label"), "z"), ("mul", "label", "x")), ("mix", "label", ("neg", "x"), "z")),
    Rewrite("(label*x)*z", "label*(x*z)",
            ("mul", ("mul", "label", "x"), "other"), ("mul", "label", ("mul", "x", "other"))),
    Rewrite("((1-label)*x)*z", "(1-label)*(x*z)",
            ("mul", ("mul", ("sub", 1, "label"), "x"), "other"), ("mul", ("sub", 1, "label"), ("mul", "x", "other"))),
    # near 1 and near 0
    Rewrite("log(1+x)", "log1p(x)", ("log", ("add", 1, "x")), ("log1p", "x")),
    Rewrite("log(1-x)", "log1p(-x)", ("log", ("sub", 1, "x")), ("log1p", ("neg", "x"))),
    Rewrite("exp(x)-1", "expm1(x)", ("sub", ("exp", "x"), 1), ("expm1", "x")),
    Rewrite("1-exp(x)", "-expm1(x)", ("sub", 1, ("exp", "x")), ("neg", ("expm1", "x"))),
    # the logarithm of what lies within c of 1 where u is 1: 1-u is known to all its digits, and what is left of 1 is
    # worked out here, on exact constants
    Rewrite("log(1/(u+c)+d)", "log1p(((1-d)*(1-u)+(d-c+c*d))/(u+c))",
            ("log", ("add", ("div", 1, ("add", "u", "c")), "d")),
            ("log1p", ("div", ("add", ("mul", ("sub", 1, "d"), ("sub", 1, "u")),
                               ("add", ("sub", "d", "c"), ("mul", "c", "d"))), ("add", "u", "c")))),
    Rewrite("1-min(sigmoid(x),z)", "max(sigmoid(-x),1-z)",
            ("sub", 1, ("min", _P, "z")), ("max", _Q, ("sub", 1, "z"))),
    # without a detour that overflows
    Rewrite("log(exp(x))", "x", ("log", ("exp", "x")), "x"),
    Rewrite("log(1/x)", "-log(x)", ("log", ("div", 1, "x")), ("neg", ("log", "x"))),
    Rewrite("sqrt(x*x)", "abs(x)", ("sqrt", ("mul", "x", "x")), ("abs", "x")),
    Rewrite("abs(-x)", "abs(x)", ("abs", ("neg", "x")), ("abs", "x")),
    # signs move outwards, where they meet and vanish
    Rewrite("(-x)*z", "-(x*z)", ("mul", ("neg", "x"), "z"), ("neg", ("mul", "x", "z"))),
    Rewrite("(-x)/z", "-(x/z)", ("div", ("neg", "x"), "z"), ("neg", ("div", "x", "z"))),
    Rewrite("x/(-z)", "-(x/z)", ("div", "x", ("neg", "z")), ("neg", ("div", "x", "z"))),
    Rewrite("-x-z", "-(x+z)", ("sub", ("neg", "x"), "z"), ("neg", ("add", "x", "z"))),
    Rewrite("-(x-z)", "z-x", ("neg", ("sub", "x", "z")), ("sub", "z", "x")),
    Rewrite("label*(-x)+(1-label)*(-z)", "-(label*x+(1-label)*z)",
            ("mix", "label", ("neg", "x"), ("neg", "z")), ("neg", ("mix", "label", "x", "z"))),
    Rewrite("-(label*x+(1-label)*(-z))", "label*(-x)+(1-label)*z",
            ("neg", ("mix", "label", "x", ("neg", "z"))), ("mix", "label", ("neg", "x"), "z")),
    Rewrite("-(label*(-x)+(1-label)*z)", "label*x+(1-label)*(-z)",
            ("neg", ("mix", "label", ("neg", "x"), "z")), ("mix", "label", "x", ("neg", "z"))),
    Rewrite("-(-x)", "x", ("neg", ("neg", "x")), "x"),
    Rewrite("x+(-z)", "x-z", ("add", "x", ("neg", "z")), ("sub", "x", "z")),
    Rewrite("-x+z", "z-x", ("add", ("neg", "x"), "z"), ("sub", "z", "x")),
    Rewrite("x-(-z)", "x+z", ("sub", "x", ("neg", "z")), ("add", "x", "z")),
)  # fmt: skip


def _arguments(row: Rewrite) -> frozenset[str]:
    """Operations that have to be among the arguments; most rows fail this look, which costs nearly nothing."""
    return frozenset(str(p[0]) for p in row.match[1:] if isinstance(p, tuple))


BY_OPERATOR: dict[str, tuple[tuple[Rewrite, frozenset[str]], ...]] = {
    str(op): tuple((row, _arguments(row)) for row in REWRITES if row.match[0] == op)
    for op in dict.fromkeys(row.match[0] for row in REWRITES)
}
