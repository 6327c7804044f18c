"""The chain rule on steps: one rule for each operation, in the form that loses no digits.

At kinks every rule follows PyTorch: a tie of min or max takes half of each, abs, sign and relu give 0 at 0, clamp
gives 1 at its bounds.
"""

from __future__ import annotations

from fractions import Fraction

from lossdsl.builder import Builder
from lossdsl.program import COMPARISONS, reachable

HALF = Fraction(1, 2)


class Slopes:
    """Slopes of a builder's steps along one input; None stands for a slope that is zero everywhere.

    >>> b = Builder()
    >>> s = b.input("score")
    >>> str(b.steps[Slopes(b, s).of(b.emit("exp", s))])
    'exp %0'
    """

    def __init__(self, builder: Builder, axis: int) -> None:
        self.b = builder
        self.axis = axis
        self._known: dict[int, int | None] = {axis: builder.constant(1)}

    def of(self, step: int) -> int | None:
        """The step that holds the slope of `step`."""
        # Arguments come before what uses them, so one pass upwards does it without recursion.
        for number in reachable(self.b.steps[: step + 1], (step,)):
            if number not in self._known:
                self._known[number] = self._rule(number)
        return self._known[step]

    # -- sums and products in which None is zero

    def _add(self, a: int | None, c: int | None) -> int | None:
        if a is None or c is None:
            return c if a is None else a
        return self.b.emit("add", a, c)

    def _neg(self, a: int | None) -> int | None:
        return None if a is None else self.b.emit("neg", a)

    def _mul(self, a: int, t: int | None) -> int | None:
        return None if t is None or self.b.constant_of(a) == 0 else self.b.emit("mul", a, t)

    def _or_zero(self, a: int | None) -> int:
        return self.b.constant(0) if a is None else a

    # -- rules

    def _rule(self, number: int) -> int | None:
        b = self.b
        step = b.steps[number]
        args = step.args
        if step.op in COMPARISONS:
            return None
        t = [self._known[a] for a in args]
        if all(x is None for x in (t[1:] if step.op == "select" else t)):
            return None
        if number in b.powers:
            base, n = b.powers[number]
            return self._mul(b.emit("mul", b.constant(n), b.power(base, n - 1)), self.of(base))
        return getattr(self, f"_{step.op}_rule")(number, args, t)

    def _neg_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self._neg(t[0])

    def _abs_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self._mul(self.b.emit("sign", a[0]), t[0])

    def _sign_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return None

    def _relu_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        zero = self.b.constant(0)
        return self.b.emit("select", self.b.emit("gt", a[0], zero), self._or_zero(t[0]), zero)

    def _sqrt_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        b = self.b
        return b.emit("div", b.emit("mul", b.constant(HALF), self._or_zero(t[0])), number)

    def _exp_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self._mul(number, t[0])

    def _expm1_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self._mul(self.b.emit("exp", a[0]), t[0])

    def _log_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self.b.emit("div", self._or_zero(t[0]), a[0])

    def _log1p_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        b = self.b
        return b.emit("div", self._or_zero(t[0]), b.emit("add", b.constant(1), a[0]))

    def _sigmoid_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        b = self.b
        return self._mul(b.emit("mul", number, b.emit("sigmoid", b.emit("neg", a[0]))), t[0])

    def _logsigmoid_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self._mul(self.b.emit("sigmoid", self.b.emit("neg", a[0])), t[0])

    def _tanh_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        # 1 - tanh(x)^2 cancels; 4*sigmoid(2x)*sigmoid(-2x) is the same number and does not.
        b = self.b
        twice = b.emit("mul", b.constant(2), a[0])
        pair = b.emit("mul", b.emit("sigmoid", twice), b.emit("sigmoid", b.emit("neg", twice)))
        return self._mul(b.emit("mul", b.constant(4), pair), t[0])

    def _add_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self._add(t[0], t[1])

    def _sub_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        if t[0] is not None and t[1] is not None:
            return self.b.emit("sub", t[0], t[1])
        return self._add(t[0], self._neg(t[1]))

    def _mul_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self._add(self._mul(a[1], t[0]), self._mul(a[0], t[1]))

    def _div_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        # (a/b)' = (a' - (a/b) b') / b: no square of b, which would leave the range sooner.
        rest = self._mul(number, t[1])
        top = self._sub_rule(number, a, [t[0], rest])
        return None if top is None else self.b.emit("div", top, a[1])

    def _pow_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        b = self.b
        n = b.constant_of(a[1])
        result: int | None = None
        if t[0] is not None:
            less = b.constant(n - 1) if n is not None else b.emit("sub", a[1], b.constant(1))
            result = self._mul(b.emit("mul", a[1], b.emit("pow", a[0], less)), t[0])
        base = b.constant_of(a[0])
        if t[1] is not None and base != 0:
            by_exponent = b.emit("mul", number, b.emit("log", a[0]))
            if base is None:
                # A base of 0 stays 0 whatever the exponent, such as label^pred at label 0, where 0*log(0) would be NaN.
                zero = b.constant(0)
                by_exponent = b.emit("select", b.emit("eq", a[0], zero), zero, by_exponent)
            result = self._add(result, self._mul(by_exponent, t[1]))
        return result

    def _extreme(self, order: str, a: tuple[int, ...], t: list[int | None]) -> int | None:
        b = self.b
        first, second = self._or_zero(t[0]), self._or_zero(t[1])
        if first == second:
            return first
        tie = b.emit("mul", b.constant(HALF), b.emit("add", first, second))
        otherwise = b.emit("select", b.emit("eq", *a), tie, second)
        return b.emit("select", b.emit(order, *a), first, otherwise)

    def _max_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self._extreme("gt", a, t)

    def _min_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self._extreme("lt", a, t)

    def _clamp_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        b = self.b
        x, low, high = (self._or_zero(s) for s in t)
        below = b.emit("select", b.emit("lt", a[0], a[1]), low, x)
        return b.emit("select", b.emit("gt", a[0], a[2]), high, below)

    def _select_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        return self.b.emit("select", a[0], self._or_zero(t[1]), self._or_zero(t[2]))

    def _mix_rule(self, number: int, a: tuple[int, ...], t: list[int | None]) -> int | None:
        b = self.b
        if t[1] is None:
            return self._mul(b.emit("sub", b.constant(1), a[0]), t[2])
        if t[2] is None:
            return self._mul(a[0], t[1])
        return b.emit("mix", a[0], t[1], t[2])
