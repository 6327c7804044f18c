"""Makes steps: equal operations on equal arguments are one step, constants fold, the table of rewrites applies."""

from __future__ import annotations

from fractions import Fraction

from lossdsl.errors import LossError
from lossdsl.folding import fold
from lossdsl.program import Step
from lossdsl.rewrites import BY_OPERATOR, Pattern

COMMUTES = frozenset({"add", "mul", "min", "max", "eq"})

# Powers up to this one are products. Beyond it a product of many factors loses more digits than `pow` does.
LONGEST_PRODUCT = 16
# A rewrite may call for the next one; this many in a row, never seen, would mean that two rows undo each other.
DEEPEST_REWRITE = 60


class Builder:
    """A growing list of steps.

    >>> b = Builder()
    >>> p = b.emit("sigmoid", b.input("score"))
    >>> str(b.steps[b.emit("log", p)])
    'logsigmoid %0'
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.powers: dict[int, tuple[int, int]] = {}
        self._answers: dict[tuple[str, tuple[int, ...]], int] = {}
        self._index: dict[tuple[str, tuple[int, ...], Fraction | None, str | None], int] = {}
        self._signs: dict[int, int | None] = {}
        self._depth = 0

    # -- leaves

    def input(self, name: str) -> int:
        return self._intern("input", (), None, name)

    def parameter(self, name: str) -> int:
        return self._intern("parameter", (), None, name)

    def constant(self, value: Fraction | int) -> int:
        return self._intern("constant", (), Fraction(value), None)

    def constant_of(self, step: int) -> Fraction | None:
        """The exact value of a constant step, else None."""
        return self.steps[step].constant

    # -- operations

    def emit(self, op: str, *args: int) -> int:
        """The number of the step that does `op` on `args`, made now or found."""
        asked = (op, args)
        result = self._answers.get(asked)
        if result is None:
            result = self._answers[asked] = self._emit(op, args)
        return result

    def _emit(self, op: str, args: tuple[int, ...]) -> int:
        known = self._fold(op, args)
        if known is not None:
            return known
        if self._depth < DEEPEST_REWRITE:
            given = {self.steps[a].op for a in args}
            for row, needed in BY_OPERATOR.get(op, ()):
                if not needed <= given:
                    continue
                found = self._match_args(row.match[1:], args, {}, op in COMMUTES)
                if found is not None:
                    self._depth += 1
                    try:
                        return self._make(row.make, found)
                    finally:
                        self._depth -= 1
        if op in COMMUTES and args[0] > args[1]:
            args = (args[1], args[0])
        return self._intern(op, args, None, None)

    def power(self, base: int, exponent: int) -> int:
        """`base` to an integer power, as products where that is precise."""
        if exponent == 0:
            return self.constant(1)
        if exponent < 0:
            return self.emit("div", self.constant(1), self.power(base, -exponent))
        if exponent > LONGEST_PRODUCT:
            return self.emit("pow", base, self.constant(exponent))
        if self.steps[base].op == "neg":
            inner = self.power(self.steps[base].args[0], exponent)
            return self.emit("neg", inner) if exponent % 2 else inner
        result: int | None = None
        square, left = base, exponent
        while True:
            if left & 1:
                result = square if result is None else self.emit("mul", result, square)
            left >>= 1
            if not left:
                break
            square = self.emit("mul", square, square)
        assert result is not None
        if exponent > 1 and self.steps[result].op == "mul":
            self.powers.setdefault(result, (base, exponent))
        return result

    # -- what is known of a step

    def sign(self, step: int) -> int | None:
        """1 where the step is positive for every finite input, -1 negative, 0 zero; None where it is not known."""
        if step not in self._signs:
            self._signs[step] = self._sign(step)
        return self._signs[step]

    def _sign(self, step: int) -> int | None:
        s = self.steps[step]
        if s.constant is not None:
            return (s.constant > 0) - (s.constant < 0)
        if s.op in ("exp", "sigmoid"):
            return 1
        if s.op == "logsigmoid":
            return -1
        if s.op == "input":
            return 1 if s.name == "pred" else None  # compiled losses see pred strictly inside (0, 1)
        of = [self.sign(a) for a in s.args]
        if s.op == "neg":
            return None if of[0] is None else -of[0]
        if s.op in ("mul", "div"):
            return None if None in of else (of[0] or 0) * (of[1] or 0)
        if s.op in ("add", "min", "max"):
            return of[0] if of[0] == of[1] else None
        if s.op == "sub":
            return of[0] if of[0] and of[1] == -of[0] else None
        if s.op in ("sqrt", "abs", "relu", "sign", "log1p") and of[0] is not None:
            return abs(of[0]) if s.op in ("sqrt", "abs") else of[0] if s.op != "relu" else max(of[0], 0)
        return None

    # -- inside

    def _intern(self, op: str, args: tuple[int, ...], constant: Fraction | None, name: str | None) -> int:
        key = (op, args, constant, name)
        number = self._index.get(key)
        if number is None:
            number = self._index[key] = len(self.steps)
            self.steps.append(Step(op, args, constant, name))
        return number

    def _fold(self, op: str, args: tuple[int, ...]) -> int | None:
        """Constants and neutral elements. `0*x` stays where x may be no number, so the domain stays too."""
        c = [self.steps[a].constant for a in args]
        if None not in c:
            return self.constant(fold(op, c))  # type: ignore[arg-type]
        if op == "mul":
            for at in (0, 1):
                if c[at] == 1:
                    return args[1 - at]
                if c[at] == -1:
                    return self.emit("neg", args[1 - at])
                if c[at] == 0 and self._finite(args[1 - at]):
                    return args[at]
        elif op == "add":
            for at in (0, 1):
                k = c[at]
                if k == 0:
                    return args[1 - at]
                if k is not None and k < 0:
                    return self.emit("sub", args[1 - at], self.constant(-k))
        elif op == "sub":
            if c[1] == 0:
                return args[0]
            if c[0] == 0:
                return self.emit("neg", args[1])
            if c[1] is not None and c[1] < 0:
                return self.emit("add", args[0], self.constant(-c[1]))
        elif op == "div":
            if c[1] == 1:
                return args[0]
            if c[1] == -1:
                return self.emit("neg", args[0])
            if c[1] == 0:
                raise LossError("division by zero")
        elif op == "select":
            if c[0] is not None:
                return args[1] if c[0] else args[2]
            if args[1] == args[2]:
                return args[1]
        elif op == "mix":
            if c[0] in (0, 1) and self._finite(args[1]) and self._finite(args[2]):
                return args[1] if c[0] else args[2]
            if args[1] == args[2]:
                return args[1]
        elif op in ("abs", "sign"):
            known = self.sign(args[0])
            if known is not None:
                if op == "sign":
                    return self.constant(known)
                return args[0] if known >= 0 else self.emit("neg", args[0])
        return None

    def _finite(self, step: int) -> bool:
        """Whether a step is a finite number for every finite input, so that a factor zero may drop it."""
        stack = [step]
        while stack:
            s = self.steps[stack.pop()]
            if s.op in ("log", "log1p", "sqrt", "div", "pow") and s.constant is None:
                return False
            stack.extend(s.args)
        return True

    def _match_args(
        self, patterns: tuple[Pattern, ...], args: tuple[int, ...], found: dict[str, int], commutes: bool
    ) -> dict[str, int] | None:
        result = self._match_in_order(patterns, args, found)
        if result is None and commutes and len(args) == 2:
            result = self._match_in_order(patterns, (args[1], args[0]), found)
        return result

    def _match_in_order(
        self, patterns: tuple[Pattern, ...], args: tuple[int, ...], found: dict[str, int]
    ) -> dict[str, int] | None:
        for pattern, arg in zip(patterns, args):
            step = self.steps[arg]
            if isinstance(pattern, tuple):
                if step.op != pattern[0]:
                    return None
                inner = self._match_args(pattern[1:], step.args, found, step.op in COMMUTES)
                if inner is None:
                    return None
                found = inner
            elif isinstance(pattern, int):
                if step.constant is None or step.constant != pattern:
                    return None
            elif pattern == "label":
                if not self._is_label(arg):
                    return None
                found = {**found, "label": arg}
            elif pattern == "other" and self._is_weight(arg):
                return None
            elif pattern in ("c", "d") and (step.constant is None or not 0 < step.constant < 1):
                return None
            elif pattern == "u" and not self._at_most_one(arg):
                return None
            elif pattern in found:
                if found[pattern] != arg:
                    return None
            else:
                found = {**found, pattern: arg}
        return found

    def _is_label(self, step: int) -> bool:
        return self.steps[step].op == "input" and self.steps[step].name == "label"

    def _is_weight(self, step: int) -> bool:
        s = self.steps[step]
        return self._is_label(step) or (
            s.op == "sub" and self.steps[s.args[0]].constant == 1 and self._is_label(s.args[1])
        )

    def _at_most_one(self, step: int) -> bool:
        s = self.steps[step]
        if s.op == "input":
            return s.name == "pred"
        return s.op == "sigmoid" or (s.op == "min" and any(map(self._at_most_one, s.args)))

    def _make(self, pattern: Pattern, found: dict[str, int]) -> int:
        if isinstance(pattern, tuple):
            return self.emit(str(pattern[0]), *(self._make(p, found) for p in pattern[1:]))
        if isinstance(pattern, int):
            return self.constant(pattern)
        return found[pattern]
