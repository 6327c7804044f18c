"""What a function does next to an end of a piece: the germs of a field's kernels, polynomials and elements there.

An end is one side of a place, or an infinite end of score. Exponentials of poles, which outgrow every power of t, are
kept aside as towers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import lcm
from typing import Any

from flint import arb, fmpq, fmpq_poly

from lossdsl.prover.borders import Border, as_powers
from lossdsl.prover.constants import vanishes_at
from lossdsl.prover.field import Element, Field
from lossdsl.prover.germs import ORDER, Germ, Germs, Hopeless, NoGerm
from lossdsl.prover.limits import Budget
from lossdsl.prover.numeric import precision, sign_of_ball
from lossdsl.prover.polynomials import Poly, terms_of

LADDER = (10, 24, 64, 200, 900)
"""The n of the d = 2^-n that are tried, from wide to narrow."""
FAR_LADDER = (*LADDER, 10**4, 10**6, 10**8)
"""The same for infinite scores, where -log d is a score and no float underflows."""
ORDERS = (2, ORDER)
"""How many powers beyond the leading one are kept for a sign: two as a rule, more where these cancel."""
BITS = 192
SHARP = 100
Leading = tuple[fmpq, int, Any]
"""The powers of t and of log t, and the coefficient."""

FAST = 12
"""A dying tower is bounded by this power of t."""


@dataclass(frozen=True, eq=False)
class End:
    """One side of a place: `kind` is `plain` (x = at + way*t) or `log` (x = way * log t, an infinite end of score)."""

    kind: str
    at: fmpq | None
    way: int

    @property
    def name(self) -> str:
        return f"{self.kind} {self.at} {self.way}"


PRED_0 = End("plain", fmpq(0), 1)
PRED_1 = End("plain", fmpq(1), -1)
SCORE_LOW = End("log", None, 1)
SCORE_HIGH = End("log", None, -1)


@dataclass(frozen=True)
class Tower:
    """A kernel exp u with |u| growing faster than log t: the sign of u, |u|, and c with exp(-|u|) <= c t^FAST."""

    sign: int
    size: Germ
    dying: Any


class Expansion(Germs):
    """Germs of the kernels of a field at one end, on (0, d]; made when first asked for."""

    def __init__(self, field: Field, end: End, n: int, budget: Budget, order: int = ORDER) -> None:
        # t = tau^m makes every root a whole power.
        roots = (k.n for k in field.kernels if k.kind == "root")
        super().__init__(n, lcm(1, *roots, *_exp_orders(field)), budget, order)
        self.field = field
        self.end = end
        self.kernel_count = len(field.kernels)
        self.towers: dict[int, Tower] = {}
        self._kernels: dict[int, Germ] = {}
        self._powers: dict[tuple[int, int], Germ] = {}
        self._failed: dict[int, type[NoGerm]] = {}
        self._plain: set[int] = set()

    # -- from the field --------------------------------------------------------------------------------------------

    def power_sum(self, row: dict[int, int]) -> Germ:
        """The germ of a polynomial in x alone; exact, so that nothing is lost where its low powers of t cancel."""
        if self.end.kind == "log":
            step = fmpq(self.end.way * self.m)
            return self.trim({(0, e): c * step**e for e, c in row.items()})
        dense = fmpq_poly([row.get(e, 0) for e in range(max(row) + 1)])
        moved = dense(fmpq_poly([self.end.at, self.end.way]))
        return self.trim({(i * self.m, 0): c for i, c in enumerate(moved.coeffs())})

    def kernel(self, i: int) -> Germ:
        """The germ of a kernel that is no tower."""
        if i in self._failed:
            raise self._failed[i]
        found = self._kernels.get(i)
        if found is None:
            kernel = self.field.kernels[i]
            try:
                if kernel.kind == "free":
                    if kernel.high is None:
                        raise Hopeless
                    found = {(0, 0): arb(kernel.low).union(arb(kernel.high))}
                elif kernel.kind == "exp":
                    assert kernel.inner is not None
                    found = self.exp(self.element(kernel.inner))
                elif kernel.kind == "log":
                    germ, order = self.layer(kernel.poly)
                    found = self.log(germ)
                    for j, e in order.items():
                        # log J = -|u|
                        size = self.towers[j].size
                        found = self.add(found, {ak: -e * c for ak, c in size.items()})
                else:
                    germ, order = self.layer(kernel.poly)
                    if order:
                        raise NoGerm
                    found = self.real_power(germ, fmpq(1, kernel.n))
            except (NoGerm, ZeroDivisionError) as why:
                self._failed[i] = Hopeless if isinstance(why, Hopeless) else NoGerm
                raise self._failed[i] from None
            self._kernels[i] = found
        return found

    def tower(self, i: int) -> Tower | None:
        """What is known of a kernel that grows or dies faster than every power of t; None for other kernels."""
        kernel = self.field.kernels[i]
        if kernel.kind != "exp" or i in self._plain:
            return None
        found = self.towers.get(i)
        if found is None:
            assert kernel.inner is not None
            try:
                u = self.element(kernel.inner)
                a, k = self.lead(u) if u else (0, 0)
            except (NoGerm, ZeroDivisionError):
                self._plain.add(i)
                return None
            if a > 0 or (a == 0 and k < 2):
                self._plain.add(i)
                return None
            sign = self.sign(u)
            if sign is None:
                raise NoGerm
            size = {ak: sign * c for ak, c in u.items()}
            found = self.towers[i] = Tower(sign, size, self._dying(size, a, k))
        return found

    def _dying(self, size: Germ, a: int, k: int) -> arb:
        """A c with exp(-|u|) <= c t^FAST on (0, d], for |u| that outgrows every multiple of the log."""
        c = size[a, k]
        ball = abs(arb(c) if isinstance(c, fmpq) else c)
        rest = arb(0)
        for (b, j), e in size.items():
            if (b, j) != (a, k):
                rest = rest + abs(arb(e) if isinstance(e, fmpq) else e) * abs(self.monomial_range(b - a, j - k))
        least = ball - arb(rest.upper())
        fast = FAST * self.m
        # |u| - fast |log t| has to grow as t falls, so that its least value is the one at t = d.
        if a < 0:
            grows = (self.tau * -a).exp() * fast < least * -a
            value = least * (self.tau * a).exp()
        else:
            grows = 2 * least * self.log_d > fast
            value = least * self.log_d**2
        if not (least > 0 and grows and (k >= 0 or a == 0) and self.log_d > 1):
            raise NoGerm
        return (fast * self.log_d - value).exp()

    def layer(self, f: Poly) -> tuple[Germ, dict[int, int]]:
        """The germ of a polynomial divided by the powers of dying towers that its leading part carries, and these."""
        groups: dict[tuple[tuple[int, int], ...], dict[tuple[int, ...], dict[int, int]]] = {}
        degrees = f.degrees()
        towers = [(i, self.tower(i)) for i in range(self.kernel_count) if degrees[i + 1]]
        known = [(i, t) for i, t in towers if t is not None]
        for monomial, c in terms_of(f):
            kernels = list(monomial[1:])
            order = []
            for i, tower in known:
                order.append((i, -tower.sign * int(kernels[i])))
                kernels[i] = 0
            groups.setdefault(tuple(order), {}).setdefault(tuple(kernels), {})[monomial[0]] = int(c)
        if len(groups) == 1:
            ((order_key, group),) = groups.items()
            germ = self._group(group)
            return (germ if known else self._settle(f, germ)), {i: e for i, e in order_key if e}
        # The leading group has to be the largest in every tower: each other one carries more of what dies.
        lead = min(groups, key=lambda o: [e for _, e in o])
        total = self._group(groups[lead])
        for other, group in groups.items():
            if other == lead:
                continue
            more = [(i, e - e0) for (i, e), (_, e0) in zip(other, lead)]
            if any(e < 0 for _, e in more):
                raise NoGerm
            bound = arb(1)
            times = 0
            for i, e in more:
                if e:
                    bound, times = bound * self.towers[i].dying ** e, times + e
            part = self._group(group)
            size = arb(0).union(bound)
            total = self.add(total, self.mul(part, {(FAST * self.m * times, 0): size}))
        if not total:
            raise NoGerm
        return total, {i: e for i, e in lead if e}

    def _settle(self, f: Poly, germ: Germ) -> Germ:
        """Takes out leading coefficients that are zero, which balls around numbers such as e cannot show."""
        if self.end.at is None:
            return germ
        g = f
        for order in range(4):
            place = (order * self.m, 0)
            if not germ or self.lead(germ)[0] < place[0]:
                break
            if self.lead(germ) == place:
                if isinstance(germ[place], fmpq) or sign_of_ball(germ[place]):
                    break
                # The coefficient of t^order is zero if the derivative of that order is.
                if not vanishes_at(self.field, g, self.end.at, self.budget):
                    break
                germ = {ak: c for ak, c in germ.items() if ak != place}
            slope = self.field.poly_slope(g)
            if not slope.d.is_constant():
                break
            g = slope.n
        return germ

    def _group(self, group: dict[tuple[int, ...], dict[int, int]]) -> Germ:
        total: Germ = {}
        for kernels, row in group.items():
            part = self.power_sum(row)
            for i, e in enumerate(kernels):
                if e:
                    part = self.mul(part, self._power(i, e))
            total = self.add(total, part)
        return total

    def _power(self, i: int, e: int) -> Germ:
        """A power of the germ of a kernel."""
        found = self._powers.get((i, e))
        if found is None:
            kernel = self.kernel(i)
            found = self._powers[i, e] = self.mul(self._power(i, e - 1), kernel) if e > 1 else self.trim(dict(kernel))
        return found

    def element_layer(self, a: Element) -> tuple[Germ, dict[int, int]]:
        """The germ of an element without the towers of its leading part, and their powers."""
        n, order = self.layer(a.n)
        if a.d.is_one() or not n:
            return n, order
        d, below = self.layer(a.d)
        for i, e in below.items():
            order[i] = order.get(i, 0) - e
        return self.mul(n, self.real_power(d, fmpq(-1))), {i: e for i, e in order.items() if e}

    def element(self, a: Element) -> Germ:
        """The germ of an element; a dying tower in front becomes a bound, a growing one has no germ."""
        germ, order = self.element_layer(a)
        if any(e < 0 for e in order.values()):
            raise NoGerm
        for i, e in order.items():
            germ = self.mul(germ, {(FAST * self.m * e, 0): arb(0).union(self.towers[i].dying ** e)})
        return germ


def _exp_orders(field: Field) -> list[int]:
    """The denominators n of kernels exp(x/n), which are roots of exp x at an infinite end."""
    inner = [k.inner for k in field.kernels if k.kind == "exp" and k.inner is not None and k.inner.d.is_constant()]
    return [int(u.d.leading_coefficient()) for u in inner if u.d.leading_coefficient() <= 12]


class Ends:
    """Expansions of one field, kept for reuse."""

    def __init__(self, field: Field, budget: Budget, borders: dict[End, Border] | None = None) -> None:
        self.field = field
        self.budget = budget
        self.borders = borders or {}
        self._leads: dict[tuple[int, End], tuple[Element, Leading | None]] = {}
        self._kept: dict[tuple[str, int, int], Expansion] = {}

    def expansion(self, end: End, n: int, order: int = ORDER) -> Expansion:
        """The expansions that hold on (0, 2^-n]."""
        key = (end.name, n, order)
        kept = self._kept.get(key)
        # New kernels may bring new roots, which change the meaning of t.
        if kept is None or kept.kernel_count != len(self.field.kernels):
            kept = self._kept[key] = Expansion(self.field, end, n, self.budget, order)
        return kept

    def sign_near(self, f: Poly, end: End) -> tuple[int, int] | None:
        """The sign of a polynomial on (0, 2^-n] and the n, or None."""
        with precision(BITS):
            vain: set[int] = set()
            for n, order in product(FAR_LADDER if end.kind == "log" else LADDER, ORDERS):
                if order in vain:
                    continue
                try:
                    expansion = self.expansion(end, n, order)
                    sign = expansion.sign(expansion.layer(f)[0])
                except Hopeless:
                    vain.add(order)
                    continue
                except (NoGerm, ZeroDivisionError):
                    continue
                if sign is not None:
                    return sign, n
        return None

    def leading(self, a: Element, end: End) -> Leading | None:
        """The leading term c * t^a * L^k of an element at an end: (a, k, c), a in powers of t; None if unknown."""
        kept = self._leads.get((id(a), end))
        if kept is None or kept[0] is not a:
            kept = self._leads[id(a), end] = a, self._find_leading(a, end)
        return kept[1]

    def _find_leading(self, a: Element, end: End) -> Leading | None:
        with precision(BITS):
            border = self.borders.get(end)
            seen = None if border is None else border.element(a)
            if seen is not None:
                return as_powers(seen)
            vain: set[int] = set()
            rough: Leading | None = None
            for n, order in product(LADDER, ORDERS):
                if order in vain:
                    continue
                try:
                    found = self._leading(self.expansion(end, n, order), a)
                except Hopeless:
                    vain.add(order)
                    continue
                except (NoGerm, ZeroDivisionError):
                    continue
                if found is not None:
                    c = found[2]
                    # Few powers kept apart cost little, but may leave the coefficient in a wide ball.
                    if order == ORDER or isinstance(c, fmpq) or c.rel_accuracy_bits() > SHARP:
                        return found
                    rough = rough or found
        return rough

    def _leading(self, expansion: Expansion, a: Element) -> Leading | None:
        germ, order = expansion.element_layer(a)
        if not germ:
            return fmpq(0), 0, fmpq(0)
        power, logs = expansion.lead(germ)
        c = germ[power, logs]
        sign = sign_of_ball(arb(c))
        if not sign:
            return None
        if order:
            if min(order.values()) < 0 < max(order.values()):
                raise Hopeless
            # Beyond all powers of t: as good as a very high one, or a very low one.
            sign = -sign if logs % 2 else sign
            return fmpq(FAST if min(order.values()) > 0 else -FAST), 0, fmpq(sign)
        # L = log tau = (log t) / m
        return fmpq(power, expansion.m), logs, c * fmpq(1, expansion.m**logs) if logs >= 0 else c
