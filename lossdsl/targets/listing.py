"""What the targets that write source code share: a Program as assignments, and the helper functions that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lossdsl.errors import LossError
from lossdsl.formula import Formula
from lossdsl.lowering import lower
from lossdsl.program import Axis, Program

NOTE = "Written by lossdsl. At kinks the slope follows PyTorch: ties half and half, abs and relu 0 at 0."


@dataclass(frozen=True)
class Listing:
    """Assignments, the names of value and slope, and which operations occur.

    >>> from lossdsl.lowering import lower
    >>> listing = listed(lower("(pred-label)^2", axis="pred"), {"sub": "{0} - {1}", "mul": "{0} * {1}"})
    >>> listing.lines, listing.value, listing.slope
    (('v0 = pred - label', 'v1 = v0 * v0', 'v2 = v0 * 2.0'), 'v1', 'v2')
    """

    lines: tuple[str, ...]
    value: str
    slope: str
    operations: frozenset[str]


def listed(program: Program, templates: Mapping[str, str]) -> Listing:
    """Write each step by the template of its operation; constants stand where they are used."""
    names: list[str] = []
    lines: list[str] = []
    for step, constant in zip(program.steps, program.floats):
        if step.op == "constant":
            names.append(repr(constant) if constant >= 0 else f"({constant!r})")
        elif step.op == "input":
            names.append(str(step.name))
        else:
            names.append(f"v{len(lines)}")
            lines.append(f"{names[-1]} = {templates[step.op].format(*(names[a] for a in step.args))}")
    used = frozenset(step.op for step in program.steps)
    return Listing(tuple(lines), names[program.value], names[program.slope], used)


def programs(formula: Formula, pairwise: bool = False) -> dict[Axis, Program]:
    """The Program along each axis that the formula can be computed on.

    >>> from lossdsl.formula import parse
    >>> list(programs(parse("bce"))), list(programs(parse("hinge")))
    (['pred', 'score'], ['score'])
    """
    from lossdsl.grammar.tree import names

    axes: tuple[Axis, ...] = ("score",) if pairwise or "score" in names(formula.tree.root) else ("pred", "score")
    found = {axis: lower(formula, axis, pairwise=pairwise) for axis in axes}
    for program in found.values():
        if program.parameters:
            raise LossError(f"the parameter `{program.parameters[0]}` needs one value, not a range (loss `{formula}`)")
    return found


def arguments(program: Program) -> list[str]:
    """The names that a function of this Program takes."""
    return [program.axis, *(["label"] if program.uses_label else [])]


def function_name(formula: Formula, axis: Axis) -> str:
    """`bce_on_score` for a named loss, `loss_on_pred` for any other."""
    return f"{formula.name or 'loss'}_on_{axis}"
