"""A Program's last signs are moved into the factor that its mean is scaled by anyway, and saved there."""

from __future__ import annotations

from dataclasses import replace

from lossdsl.program import Program, Step


def without_signs(program: Program) -> tuple[Program, bool, bool]:
    """A Program without its last signs, and whether its value and its slope are those of the given one negated.

    The value and the slope are exact negations; what they cost less are passes over all elements. `x*c/c` becomes x.

    >>> from lossdsl.lowering import lower
    >>> program, value, slope = without_signs(lower("-log(pred)"))
    >>> str(program.steps[program.value]), value, slope
    ('logsigmoid %0', True, True)
    """
    work = _Signs(program)
    value, slope = work.negated(program.value), work.negated(program.slope)
    if value is not None and not program.steps[program.value].args:
        value = None
    if slope is not None and not program.steps[program.slope].args:
        slope = None
    new_value = work.plain(program.value) if value is None else value
    new_slope = work.plain(program.slope) if slope is None else slope
    changed = replace(program, steps=tuple(work.steps), value=new_value, slope=new_slope)
    return changed, value is not None, slope is not None


class _Signs:
    def __init__(self, program: Program) -> None:
        self.steps = list(program.steps)
        self._same: dict[int, int] = {}
        for number, step in enumerate(program.steps):
            args = tuple(self._same.get(a, a) for a in step.args)
            if args != step.args:
                self.steps[number] = step = replace(step, args=args)
            same = self._undone(step)
            if same is not None:
                self._same[number] = same

    def plain(self, number: int) -> int:
        return self._same.get(number, number)

    def _undone(self, step: Step) -> int | None:
        """x where a step is `x*c/c`."""
        if step.op != "div" or self.steps[step.args[0]].op != "mul":
            return None
        divisor, factors = self.steps[step.args[1]].constant, self.steps[step.args[0]].args
        for own, other in (factors, factors[::-1]):
            if divisor and self.steps[own].constant == divisor:
                return other
        return None

    def negated(self, number: int) -> int | None:
        """A step with the value of `number`, negated, where that takes fewer operations."""
        found = self._without(self.plain(number))
        return None if found is None or found[1] < 1 else self._add(found[0])

    def _without(self, number: int) -> tuple[Step | int, int] | None:
        """The negation of a step, and how many operations it saves; None where it would cost one."""
        step = self.steps[number]
        if step.op == "neg":
            return step.args[0], 1
        if step.constant is not None:
            return replace(step, constant=-step.constant), 0
        if step.op == "mul":
            for own, other in (step.args, step.args[::-1]):
                constant = self.steps[own].constant
                if constant is not None:
                    return replace(step, args=(self._add(replace(self.steps[own], constant=-constant)), other)), 0
        if step.op in ("select", "mix"):
            head, *both = step.args
            found = [self._without(n) for n in both]
            if None not in found:
                kept = [one for one in found if one is not None]
                return replace(step, args=(head, *(self._add(one) for one, _ in kept))), sum(s for _, s in kept)
        return None

    def _add(self, step: Step | int) -> int:
        if isinstance(step, int):
            return step
        self.steps.append(step)
        return len(self.steps) - 1
