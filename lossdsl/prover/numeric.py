"""Elements and their derivatives as balls: values on points and on boxes, from FLINT's arbitrary-precision balls.

A `Chart` is a way to look at the axis: x = t as it stands, or x = 1 - t, which is how the neighbourhood of pred = 1 is
looked at, so that no digits are lost there.
"""

from __future__ import annotations

from typing import Any

from flint import arb, arb_series, ctx, fmpq, fmpq_poly

from lossdsl.prover.field import Element, Field
from lossdsl.prover.polynomials import GENERATORS, UNIT, Poly, Powers, X, mirrored_terms, sparse_terms, terms_of

_MIRROR = (1 - X, *GENERATORS[1:])
Row = tuple[list[Any], list[Any], int, Powers]
"""Coefficients as balls, the same as series once these are asked for, the lowest power of t, powers of kernels."""
Plan = tuple[list[Row], tuple[int, ...], tuple[int, ...]]
LONGEST = 16
"""Series of constants are as long as any that they meet: the shortest one decides how long a result is known."""
NUMBER_BITS = 2200
"""Precision of numbers such as log 2 that are worked into coefficients: above any at which they are used."""


class precision:
    """FLINT's working precision and length of series, which are global, set back at the end."""

    __slots__ = ("bits", "cap", "old")

    def __init__(self, bits: int, cap: int = 2) -> None:
        self.bits = bits
        self.cap = cap

    def __enter__(self) -> None:
        self.old = ctx.prec, ctx.cap
        ctx.prec, ctx.cap = self.bits, self.cap

    def __exit__(self, *error: object) -> None:
        ctx.prec, ctx.cap = self.old


def mirror(f: Poly) -> Poly:
    """f with x replaced by 1 - x, kernels left as they are."""
    return f.compose(*_MIRROR)


class Chart:
    """Evaluates polynomials and kernels of a field at x = t, or at x = 1 - t."""

    def __init__(self, field: Field, mirrored: bool = False) -> None:
        self.field = field
        self.mirrored = mirrored
        self._plans: dict[tuple[int, tuple[int, ...]], tuple[Poly, Plan]] = {}
        self._plain: dict[int, tuple[Poly, Plan]] = {}
        self._numbers: dict[int, Any] = {}
        self._raised: dict[tuple[int, int], Any] = {}

    def plan(self, f: Poly, flips: tuple[int, ...] = ()) -> Plan:
        """For each monomial in the kernels, the coefficients in t from the highest down and the lowest power of t.

        The second thing is which kernels the value needs, in order,
        the third the exponentials. For those in `flips` powers are counted from the highest one down.
        """
        kept = self._plans.get((id(f), flips)) if flips else self._plain.get(id(f))
        if kept is not None and kept[0] is f:
            return kept[1]
        degrees = f.degrees() if flips else ()
        groups: dict[Powers, dict[int, Any]] = {}
        for e, powers, c in mirrored_terms(f) if self.mirrored else sparse_terms(f):
            if flips:
                have = dict(powers)
                have.update((i, int(degrees[i + 1]) - have.get(i, 0)) for i in flips)
                powers = tuple(sorted((i, k) for i, k in have.items() if k))
            if powers:
                powers, c = self._fold(powers, c)
            row = groups.setdefault(powers, {})
            row[e] = row[e] + c if e in row else c
        rows: list[Row] = []
        needed: set[int] = set(flips)
        for powers, row in groups.items():
            low, high = min(row), max(row)
            coefficients = [_ball(row[e]) if e in row else None for e in range(high, low - 1, -1)]
            needed.update(i for i, _ in powers)
            rows.append((coefficients, [], low, powers))
        kinds = self.field.kernels
        used = {i for _, _, _, powers in rows for i, _ in powers if kinds[i].kind == "exp"}
        for i in tuple(needed):
            needed.update(self._inside(i))
        plan = rows, tuple(sorted(needed)), tuple(sorted(used))
        if flips:
            self._plans[id(f), flips] = f, plan
        else:
            self._plain[id(f)] = f, plan
        return plan

    def _inside(self, i: int) -> tuple[int, ...]:
        """The kernels that a kernel is made of, at any depth."""
        kernel = self.field.kernels[i]
        if self._number(i) is not None:
            return ()
        if kernel.kind == "exp":
            assert kernel.inner is not None
            return self.needs(kernel.inner)
        return self.plan(kernel.poly)[1]

    def needs(self, a: Element) -> tuple[int, ...]:
        """The kernels that an element needs, in order."""
        above, below = self.plan(a.n)[1], self.plan(a.d)[1]
        return above if above == below or not below else tuple(sorted({*above, *below}))

    def varies(self, i: int) -> bool:
        """Whether a kernel is none of those that are numbers, such as log 2."""
        return self._number(i) is None

    def _fold(self, powers: Powers, c: Any) -> tuple[Powers, Any]:
        """A coefficient with the kernels multiplied in that are numbers, such as log 2."""
        left, numbers = powers, self._numbers
        for factor in powers:
            i, e = factor
            number = numbers[i] if i in numbers else self._number(i)
            if number is not None:
                with precision(NUMBER_BITS):
                    c = arb(c) * (number if e == 1 else _raised(number, factor, self._raised))
                left = tuple([p for p in left if p[0] != i])
        return left, c

    def _number(self, i: int) -> Any:
        """The value of a kernel that is a number, or None."""
        if i not in self._numbers:
            kernel = self.field.kernels[i]
            value = None
            with precision(NUMBER_BITS):
                if kernel.kind == "exp":
                    assert kernel.inner is not None
                    q = self.field.value(kernel.inner)
                    value = None if q is None else arb(q).exp()
                elif kernel.kind == "free":
                    value = arb("nan") if kernel.high is None else arb(kernel.low).union(arb(kernel.high))
                elif kernel.poly.is_constant():
                    c = arb(int(kernel.poly.leading_coefficient()))
                    value = c.log() if kernel.kind == "log" else c.root(kernel.n)
            self._numbers[i] = value
        return self._numbers[i]

    def poly(self, f: Poly, t: Any, kernels: list[Any], flips: tuple[int, ...] = ()) -> Any:
        """The value of a polynomial, given that of the kernels; t is a ball or a series."""
        total: Any = None
        series = isinstance(t, arb_series)
        known: dict[tuple[int, int], Any] = {}
        for balls, lines, low, powers in self.plan(f, flips)[0]:
            coefficients = balls
            if series:
                if not lines:
                    with precision(NUMBER_BITS, LONGEST):
                        lines += [None if c is None else arb_series([c]) for c in balls]
                coefficients = lines
            acc = coefficients[0]
            for c in coefficients[1:]:
                acc = acc * t
                if c is not None:
                    acc = acc + c
            if low:
                acc = acc * (t if low == 1 else _raised(t, (-1, low), known))
            for factor in powers:
                i, e = factor
                acc = acc * (kernels[i] if e == 1 else _raised(kernels[i], factor, known))
            total = acc if total is None else total + acc
        if total is None:
            total = arb(0)
        if series and not isinstance(total, arb_series):
            total = arb_series([total])
        return total

    def exactly(self, f: Poly, q: fmpq) -> Any:
        """A positive multiple of a polynomial at x = q (not t), its coefficients in x worked out exactly first.

        A coefficient that vanishes is gone then, however large the exponential that it stands at.
        """
        groups: dict[tuple[int, ...], dict[int, int]] = {}
        for monomial, c in terms_of(f):
            groups.setdefault(monomial[1:], {})[monomial[0]] = int(c)
        left = {}
        for powers, row in groups.items():
            c = fmpq_poly([row.get(e, 0) for e in range(max(row) + 1)])(q)
            if c != 0:
                left[powers] = c
        if not left:
            return arb(0)
        t = arb(1 - q) if self.mirrored else arb(q)
        kernels = self.kernels(t)
        tops = [max(p[i] for p in left) for i in range(len(kernels))]
        lows = [min(p[i] for p in left) for i in range(len(kernels))]
        total = arb(0)
        for powers, c in left.items():
            part = arb(c)
            for i, value in enumerate(kernels):
                kernel = self.field.kernels[i]
                if kernel.kind == "exp" and tops[i] > lows[i]:
                    assert kernel.inner is not None
                    # The largest power counts as one: of exp u - u the ball is all of it otherwise.
                    inner = self.element(kernel.inner, t, kernels)
                    e = powers[i] - tops[i] if inner > 0 else powers[i] - lows[i]
                    part = part * (inner * int(e)).exp()
                elif kernel.kind != "exp" and powers[i]:
                    part = part * power(value, int(powers[i]))
            total = total + part
        return total

    def element(self, a: Element, t: Any, kernels: list[Any]) -> Any:
        n = self.poly(a.n, t, kernels)
        if a.d is UNIT or a.d.is_one():
            return n
        return n / self.poly(a.d, t, kernels)

    def kernels(
        self, t: Any, needed: tuple[int, ...] | None = None, exponents: dict[int, Any] | None = None
    ) -> list[Any]:
        """The values of the field's kernels at t, by place: of those in `needed`, or of all.

        What stands in exponentials goes into `exponents`, where that is wanted.
        """
        kinds = self.field.kernels
        values: list[Any] = [None] * len(kinds)
        numbers = self._numbers
        for i in range(len(kinds)) if needed is None else needed:
            kernel = kinds[i]
            number = numbers[i] if i in numbers else self._number(i)
            if number is not None:
                values[i] = number  # folded into coefficients already
            elif kernel.kind == "exp":
                assert kernel.inner is not None
                inner = self.element(kernel.inner, t, values)
                values[i] = inner.exp()
                if exponents is not None:
                    exponents[i] = inner
            else:
                u = self.poly(kernel.poly, t, values)
                if kernel.kind == "log":
                    values[i] = u.log()
                elif kernel.n == 2:
                    values[i] = u.sqrt()
                else:
                    values[i] = (u.log() / kernel.n).exp()
        return values

    def value(self, a: Element, t: Any) -> Any:
        """An element at t."""
        return self.element(a, t, self.kernels(t, self.needs(a)))

    def poly_value(self, f: Poly, t: Any) -> Any:
        """A polynomial at t."""
        return self.poly(f, t, self.kernels(t, self.plan(f)[1]))

    def flips(self, f: Poly, t: Any) -> tuple[int, ...]:
        """The exponentials exp u in f that are large at t: a ball keeps the sign of exp(-u), not that of exp u."""
        exponentials = self.plan(f)[2]
        if not exponentials:
            return ()
        inner: dict[int, Any] = {}
        self.kernels(t, self.plan(f)[1], inner)
        return tuple(i for i in exponentials if _first(inner[i]) > 1)

    def scaled(self, f: Poly, t: Any, flips: tuple[int, ...]) -> Any:
        """A positive multiple of a polynomial at t: divided by the highest powers of the exponentials in `flips`."""
        if not flips:
            return self.poly_value(f, t)
        inner: dict[int, Any] = {}
        kernels = self.kernels(t, self.plan(f, flips)[1], inner)
        for i in flips:
            kernels[i] = (-inner[i]).exp()
        return self.poly(f, t, kernels, flips)

    def sized(self, a: Element, t: Any) -> Any:
        """An element at t, by way of quotients that do not overflow where exponentials are large."""
        exponents: dict[int, Any] = {}
        whole = self.kernels(t, self.needs(a), exponents)
        exponentials = {*self.plan(a.n)[2], *self.plan(a.d)[2]} if exponents else ()
        flips = tuple(sorted(i for i in exponentials if _first(exponents[i]) > 1))
        if not flips:
            return self.element(a, t, whole)
        value = self.scaled(a.n, t, flips) / self.scaled(a.d, t, flips)
        kernels = self.kernels(t, tuple(sorted({*self.needs(a), *(j for i in flips for j in self._inside(i))})))
        above, below = a.n.degrees(), a.d.degrees()
        for i in flips:
            inner = self.field.kernels[i].inner
            assert inner is not None
            more = int(above[i + 1]) - int(below[i + 1])
            if more:
                value = value * (self.element(inner, t, kernels) * more).exp()
        return value


def _ball(c: Any) -> Any:
    return c if isinstance(c, arb) else arb(c)


def power(v: Any, e: int) -> Any:
    """v^e; an even power of a ball around zero loses its negative half, which plain multiplication would keep."""
    return v if e == 1 else _raised(v, (0, e), {})


def _raised(v: Any, factor: tuple[int, int], known: dict[tuple[int, int], Any]) -> Any:
    """v^e for a factor (i, e), e > 1, with the powers of the i-th thing that are known already."""
    found = known.get(factor)
    if found is None:
        i, e = factor
        if e % 2:
            found = v * _raised(v, (i, e - 1), known)
        else:
            half = v if e == 2 else _raised(v, (i, e // 2), known)
            found = _square(half)
        known[factor] = found
    return found


def _square(half: Any) -> Any:
    squared = half * half
    if isinstance(squared, arb):
        return squared.nonnegative_part() if squared.contains(0) else squared
    if squared[0].contains(0) and not squared[0].is_zero():
        coefficients = [squared[i] for i in range(ctx.cap)]
        coefficients[0] = coefficients[0].nonnegative_part()
        return arb_series(coefficients)
    return squared


def sign_of_ball(v: arb) -> int | None:
    """The certain sign of a ball, or None."""
    if v > 0:
        return 1
    if v < 0:
        return -1
    return 0 if v.is_zero() else None


def _first(v: Any) -> arb:
    """The value of a series, or a ball itself."""
    return v[0] if isinstance(v, arb_series) else v
