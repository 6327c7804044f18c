"""Random formulas as text, for fuzzing and timing: seeded, of every operator, most of them nonsense, some losses."""

from __future__ import annotations

import random

LEAVES = (
    "pred",
    "pred",
    "pred",
    "label",
    "label",
    "1",
    "2",
    "0.5",
    "1e-6",
    "3",
    "(1-pred)",
    "(1-label)",
    "(2*label-1)",
)
SCORES = ("score", "score", "score", "label", "label", "1", "2", "0.5", "3", "(2*label-1)")
UNARY = (
    *("log({})", "exp({})", "({})^2", "-({})", "abs({})", "sqrt({})", "1/({})", "sigmoid({})", "tanh({})", "relu({})"),
    *("({})^3", "1-({})", "square({})", "log1p({})", "expm1({})", "softplus({})", "logsigmoid({})", "plog({})"),
    *("pinv({})", "psqrt({})", "sign({})", "clamp({}, 0.1, 0.8)", "({})^0.5", "({})^1.5", "reciprocal({})"),
)
BINARY = (
    *("({}+{})", "({}-{})", "({}*{})", "({}/{})", "max({},{})", "min({},{})", "({}*{})", "({}+{})", "({}-{})"),
    "if({} < {}, pred, label)",
)
SHELLS = (
    *("{}", "{}", "label*({}) + (1-label)*({})", "(label-pred)^2*({})", "abs(label-pred)*({})"),
    "-label*log(pred)*({}) - (1-label)*log(1-pred)*({})",
    "label*(1-pred)*({}) + (1-label)*pred*({})",
    "-label*log(pred) - (1-label)*log(1-pred) + 0.1*({})",
)


def expression(dice: random.Random, size: int, leaves: tuple[str, ...] = LEAVES) -> str:
    """An expression of about `size` operators and leaves."""
    if size <= 1:
        return dice.choice(leaves)
    if size == 2 or dice.random() < 0.35:
        return dice.choice(UNARY).format(expression(dice, size - 1, leaves))
    left = dice.randint(1, size - 2)
    parts = expression(dice, left, leaves), expression(dice, size - 1 - left, leaves)
    text = dice.choice(BINARY)
    return text.format(*parts)


def formula(dice: random.Random, largest: int = 9) -> str:
    """A formula, on pred or now and then on score."""
    leaves = SCORES if dice.random() < 0.25 else LEAVES
    shell = dice.choice(SHELLS if leaves is LEAVES else SHELLS[:3])
    return shell.format(*(expression(dice, dice.randint(1, largest), leaves) for _ in range(shell.count("{}"))))


LOG_UNARY = ("Log ({})", "1 / ({})", "({}) ^ 2", "- ({})", "Sigmoid ({})")
LOG_BINARY = ("({} + {})", "({} * {})", "max({} , {})", "min({} , {})", "({} * 1 / ({}))")


def log_line(dice: random.Random, size: int) -> str:
    """A line in the syntax of AutoLossGen's search log, of `size` operators."""
    if size <= 0:
        return dice.choice(("pred", "pred", "label", "1"))
    if dice.random() < 0.5:
        return dice.choice(LOG_UNARY).format(log_line(dice, size - 1))
    left = dice.randint(0, size - 1)
    return dice.choice(LOG_BINARY).format(log_line(dice, left), log_line(dice, size - 1 - left))
