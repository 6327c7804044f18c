"""A loss as a flat list of steps that gives value and slope together, each shared sub-expression computed once.

A `Program` is plain data. Every target is a loop over its steps, so that none of them can mean something else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

Axis = Literal["pred", "score"]

# What a step may do, and how many arguments it takes. `mix(w, a, b)` is w*a + (1-w)*b, `select(c, a, b)` is a where c
# holds; `relu` and `clamp` are steps of their own, because their kinks differ from those of min and max.
ARITY: dict[str, int] = {
    "input": 0, "constant": 0, "parameter": 0,
    "neg": 1, "abs": 1, "sign": 1, "relu": 1, "sqrt": 1,
    "exp": 1, "expm1": 1, "log": 1, "log1p": 1, "sigmoid": 1, "logsigmoid": 1, "tanh": 1,
    "add": 2, "sub": 2, "mul": 2, "div": 2, "pow": 2, "min": 2, "max": 2,
    "lt": 2, "le": 2, "gt": 2, "ge": 2, "eq": 2,
    "clamp": 3, "select": 3, "mix": 3,
}  # fmt: skip
COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq"})


@dataclass(frozen=True, slots=True)
class Step:
    """One operation; `args` are numbers of earlier steps."""

    op: str
    args: tuple[int, ...] = ()
    constant: Fraction | None = None
    name: str | None = None

    def __str__(self) -> str:
        inside = [f"%{a}" for a in self.args]
        if self.constant is not None:
            inside.append(str(self.constant))
        if self.name is not None:
            inside.append(self.name)
        return f"{self.op} {' '.join(inside)}"


@dataclass(frozen=True)
class Program:
    """Value and slope (d loss / d axis) of a loss.

    `value` and `slope` are numbers of steps. Inputs are steps `input` named pred or score (the axis) and label;
    `parameters` are the names of those that stay open, each a step `parameter`.

    >>> from lossdsl.lowering import lower
    >>> from lossdsl.grammar.tree import Apply, Name, Tree
    >>> print(lower(Tree(Apply("neg", (Apply("log", (Name("pred"),)),))), axis="score"))
    %0 = input score
    %1 = logsigmoid %0
    %2 = neg %1                 value
    %3 = neg %0
    %4 = sigmoid %3
    %5 = neg %4                 slope
    """

    axis: Axis
    steps: tuple[Step, ...]
    value: int
    slope: int
    parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = []
        for number, step in enumerate(self.steps):
            mark = " ".join(w for w, at in (("value", self.value), ("slope", self.slope)) if at == number)
            lines.append(f"{f'%{number} = {step}':<28}{mark}".rstrip())
        return "\n".join(lines)

    @cached_property
    def floats(self) -> tuple[float, ...]:
        """The constant of each step as the nearest double; 0.0 where a step has none."""
        return tuple(0.0 if (c := s.constant) is None else c.numerator / c.denominator for s in self.steps)

    @cached_property
    def uses_label(self) -> bool:
        """Whether a label has to be given."""
        return any(s.op == "input" and s.name == "label" for s in self.steps)

    @cached_property
    def value_steps(self) -> tuple[int, ...]:
        """The steps that the value alone needs, in order."""
        return reachable(self.steps, (self.value,))

    @cached_property
    def slope_steps(self) -> tuple[int, ...]:
        """The steps that the slope alone needs, in order."""
        return reachable(self.steps, (self.slope,))


def reachable(steps: tuple[Step, ...] | list[Step], roots: Iterable[int]) -> tuple[int, ...]:
    """Numbers of the steps that `roots` depend on, themselves included, in order.

    >>> reachable((Step("input", name="pred"), Step("exp", (0,)), Step("neg", (0,))), (2,))
    (0, 2)
    """
    needed = bytearray(len(steps))
    for root in roots:
        needed[root] = 1
    for number in range(len(steps) - 1, -1, -1):
        if needed[number]:
            for argument in steps[number].args:
                needed[argument] = 1
    return tuple(number for number in range(len(steps)) if needed[number])
