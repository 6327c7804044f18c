"""Elements and their derivatives as balls: values on points and on boxes, from FLINT's arbitrary-precision balls.

A `Chart` is a way to look at the axis: x = t as it stands, or x = 1 - t, which is how the neighbourhood of pred = 1 is
looked at, so that no digits are lost there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flint import arb, arb_series, ctx

from lossdsl.prover.field import GENERATORS, UNIT, Element, Field, Poly, X

_MIRROR = (1 - X, *GENERATORS[1:])
Plan = list[tuple[list[Any], int, tuple[tuple[int, int], ...]]]


@contextmanager
def precision(bits: int, cap: int = 10) -> Iterator[None]:
    """FLINT's working precision and length of series, which are global, set back at the end."""
    old = ctx.prec, ctx.cap
    ctx.prec, ctx.cap = bits, cap
    try:
        yield
    finally:
        ctx.prec, ctx.cap = old


def mirror(f: Poly) -> Poly:
    """f with x replaced by 1 - x, kernels left as they are."""
    return f.compose(*_MIRROR)


class Chart:
    """Evaluates polynomials and kernels of a field at x = t, or at x = 1 - t."""

    def __init__(self, field: Field, mirrored: bool = False) -> None:
        self.field = field
        self.mirrored = mirrored
        self._plans: dict[int, tuple[Poly, Plan]] = {}

    def _plan(self, f: Poly) -> Plan:
        """For each monomial in the kernels, the coefficients in t from the highest down, and the lowest power of t."""
        kept = self._plans.get(id(f))
        if kept is not None and kept[0] is f:
            return kept[1]
        groups: dict[tuple[int, ...], dict[int, int]] = {}
        for monomial, c in (mirror(f) if self.mirrored else f).to_dict().items():
            groups.setdefault(monomial[1:], {})[monomial[0]] = c
        plan: Plan = []
        for kernels, row in groups.items():
            low, high = min(row), max(row)
            coefficients = [arb(row[e]) if e in row else None for e in range(high, low - 1, -1)]
            plan.append((coefficients, low, tuple((i, e) for i, e in enumerate(kernels) if e)))
        self._plans[id(f)] = (f, plan)
        return plan

    def poly(self, f: Poly, t: Any, kernels: list[Any]) -> Any:
        """The value of a polynomial, given that of the kernels; t is a ball or a series."""
        total: Any = None
        for coefficients, low, powers in self._plan(f):
            acc = coefficients[0]
            for c in coefficients[1:]:
                acc = acc * t
                if c is not None:
                    acc = acc + c
            if low:
                acc = acc * power(t, low)
            for i, e in powers:
                acc = acc * (kernels[i] if e == 1 else power(kernels[i], e))
            total = acc if total is None else total + acc
        if total is None:
            total = arb(0)
        if isinstance(t, arb_series) and not isinstance(total, arb_series):
            total = arb_series([total])
        return total

    def element(self, a: Element, t: Any, kernels: list[Any]) -> Any:
        n = self.poly(a.n, t, kernels)
        if a.d is UNIT or a.d.is_one():
            return n
        return n / self.poly(a.d, t, kernels)

    def kernels(self, t: Any, upto: int | None = None) -> list[Any]:
        """The values of the field's kernels at t, the first `upto` of them."""
        values: list[Any] = []
        for kernel in self.field.kernels[:upto]:
            if kernel.kind == "exp":
                assert kernel.inner is not None
                values.append(self.element(kernel.inner, t, values).exp())
            else:
                u = self.poly(kernel.poly, t, values)
                if kernel.kind == "log":
                    values.append(u.log())
                elif kernel.n == 2:
                    values.append(u.sqrt())
                else:
                    values.append((u.log() / kernel.n).exp())
        return values

    def value(self, a: Element, t: Any) -> Any:
        """An element at t."""
        return self.element(a, t, self.kernels(t, kernel_count(a)))


def kernel_count(a: Element) -> int:
    """One more than the place of the last kernel that occurs in an element."""
    return max(poly_kernels(a.n), poly_kernels(a.d))


def poly_kernels(f: Poly) -> int:
    """One more than the place of the last kernel that occurs in a polynomial."""
    degrees = f.degrees()
    for i in range(len(degrees) - 1, 0, -1):
        if degrees[i]:
            return i
    return 0


def power(v: Any, e: int) -> Any:
    """v^e; an even power of a ball around zero loses its negative half, which plain multiplication would keep."""
    if e == 1:
        return v
    if e % 2 == 0:
        half = power(v, e // 2)
        squared = half * half
        if isinstance(squared, arb):
            return squared.nonnegative_part() if squared.contains(0) else squared
        if squared[0].contains(0) and not squared[0].is_zero():
            coefficients = [squared[i] for i in range(ctx.cap)]
            coefficients[0] = coefficients[0].nonnegative_part()
            return arb_series(coefficients)
        return squared
    return v * power(v, e - 1)


def sign_of_ball(v: arb) -> int | None:
    """The certain sign of a ball, or None."""
    if v > 0:
        return 1
    if v < 0:
        return -1
    return 0 if v.is_zero() else None
