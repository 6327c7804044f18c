"""Arithmetic of germs: sums of c * t^a * L^k, with L = log t, that hold on a whole interval (0, d].

The coefficients are exact rationals as long as they can be, so that leading terms that cancel are seen to cancel; the
last ones are balls that bound all the rest on (0, d]. If the leading term outweighs the sum of the others at t = d, it
does so on all of (0, d], and the sign there is proved.
"""

from __future__ import annotations

from math import factorial
from typing import Any

from flint import arb, fmpq

from lossdsl.prover.limits import Budget
from lossdsl.prover.numeric import sign_of_ball

ORDER = 5
"""How many powers of t beyond the leading one are kept apart."""
MAX_MONOMIALS = 80

Germ = dict[tuple[int, int], Any]


class NoGerm(Exception):
    """The function is not of the form that these expansions cover, or a coefficient cannot be told from zero."""


class Hopeless(NoGerm):
    """So it is whatever the interval: only another number of powers kept apart can help."""


class Germs:
    """The germs on (0, 2^-n], in powers of tau with tau^m = t; below, t always means tau."""

    def __init__(self, n: int, m: int, budget: Budget, order: int = ORDER) -> None:
        self.budget = budget
        self.order = order
        self.m = m
        self.tau = arb.const_log2() * -n / m
        self.span = arb(0).union(self.tau.exp()) if m > 1 else arb(0).union(arb(2) ** -n)
        self.log_d = -self.tau

    # -- arithmetic ------------------------------------------------------------------------------------------------

    def lead(self, g: Germ) -> tuple[int, int]:
        """The place of the leading term: the least power of t, then the highest of L."""
        if not g:
            raise NoGerm
        return min(g, key=lambda ak: (ak[0], -ak[1]))

    def trim(self, g: Germ) -> Germ:
        """Without exact zeros, and with what is of too high an order gathered in balls."""
        self.budget.spend(1 + len(g) // 8)
        out = {ak: c for ak, c in g.items() if (c if type(c) is fmpq else not c.is_zero())}
        if not out:
            return out
        # Sorted as pairs, the least and the greatest have the least and the greatest power of t.
        top = min(out)[0] + self.order * self.m
        if max(out)[0] > top:
            for a, k in [ak for ak in out if ak[0] > top]:
                c = out.pop((a, k)) * self.span ** (a - top)
                out[top, k] = out[top, k] + c if (top, k) in out else c
        if len(out) > MAX_MONOMIALS:
            raise Hopeless
        return out

    def add(self, f: Germ, g: Germ) -> Germ:
        out = dict(f)
        for ak, c in g.items():
            out[ak] = out[ak] + c if ak in out else c
        return self.trim(out)

    def mul(self, f: Germ, g: Germ) -> Germ:
        out: Germ = {}
        for (a, k), c in f.items():
            for (b, j), e in g.items():
                ak = (a + b, k + j)
                product = c * e
                out[ak] = out[ak] + product if ak in out else product
        return self.trim(out)

    def power(self, g: Germ, n: int) -> Germ:
        out: Germ = {(0, 0): fmpq(1)}
        for _ in range(n):
            out = self.mul(out, g)
        return out

    def bound(self, g: Germ) -> Any:
        """A ball around all values of a germ without poles or growing logs on (0, d]."""
        total = arb(0)
        for (a, k), c in g.items():
            total = total + c * self.monomial_range(a, k)
        return total

    def monomial_range(self, a: int, k: int) -> Any:
        """A ball around t^a L^k on (0, d]."""
        if a == 0 and k == 0:
            return arb(1)
        if a < 0 or (a == 0 and k > 0):
            raise NoGerm
        if a > 0 and k > 0 and not self.log_d * a >= k:
            raise NoGerm
        size = (self.tau * a).exp() * self.log_d**k
        size = arb(size.upper())
        return arb(0).union(size) if k % 2 == 0 else arb(0).union(-size)

    def split(self, g: Germ) -> tuple[int, int, Any, Germ]:
        """g = c t^a L^k (1 + u): a, k, c and the germ u, which goes to zero."""
        a, k = self.lead(g)
        c = g[a, k]
        if not isinstance(c, fmpq) and sign_of_ball(c) in (None, 0):
            raise NoGerm
        u = {(b - a, j - k): e / c for (b, j), e in g.items() if (b, j) != (a, k)}
        return a, k, c, u

    def series(self, u: Germ, coefficients: list[Any], last: Any) -> Germ:
        """sum c_j u^j + last * u^n, by Horner."""
        out: Germ = {(0, 0): last}
        for c in reversed(coefficients):
            out = self.mul(out, u)
            out = self.add(out, {(0, 0): c})
        return out

    # -- functions -------------------------------------------------------------------------------------------------

    def real_power(self, g: Germ, q: fmpq) -> Germ:
        """g^q for q a whole number or the reciprocal of one, g > 0 where q is not whole."""
        a, k, c, u = self.split(g)
        aq, kq = q * a, q * k
        if aq.q != 1 or kq.q != 1:
            raise Hopeless
        if q.q == 1:
            lead = c ** int(q.p) if int(q.p) >= 0 else (1 / c) ** int(-q.p)
        else:
            value = c if isinstance(c, fmpq) else None
            if value is not None and value == 1:
                lead = fmpq(1)
            else:
                ball = arb(c) if isinstance(c, fmpq) else c
                if k % 2:
                    raise NoGerm  # L < 0: the factor is positive only with its sign, which is not worth the trouble
                if not ball > 0:
                    raise NoGerm
                lead = (ball.log() * arb(q)).exp()
            # L^(k/n) with L < 0: the positive root is |L|^(k/n).
            if k and int(kq.p) % 2:
                lead = -lead
        if not u:
            return {(int(aq.p), int(kq.p)): lead}
        n = self.order + 1
        terms: list[Any] = [fmpq(1)]
        for j in range(1, n + 1):
            terms.append(terms[-1] * (q - (j - 1)) / j)
        one_plus = 1 + self.bound(u)
        if not one_plus > 0:
            raise NoGerm
        last = terms[n] * (one_plus.log() * arb(q - n)).exp()
        expanded = self.series(u, terms[:n], last)
        return self.mul({(int(aq.p), int(kq.p)): lead}, expanded)

    def log(self, g: Germ) -> Germ:
        a, k, c, u = self.split(g)
        if k:
            raise Hopeless
        out: Germ = {}
        if not (isinstance(c, fmpq) and c == 1):
            ball = arb(c) if isinstance(c, fmpq) else c
            if not ball > 0:
                raise NoGerm
            out[0, 0] = ball.log()
        if a:
            out[0, 1] = fmpq(a)
        if u:
            n = self.order + 1
            terms: list[Any] = [fmpq(0), *(fmpq((-1) ** (j + 1), j) for j in range(1, n))]
            one_plus = 1 + self.bound(u)
            if not one_plus > 0:
                raise NoGerm
            last = arb(fmpq((-1) ** (n + 1), n)) * (one_plus.log() * -n).exp()
            out = self.add(out, self.series(u, terms, last))
        return self.trim(out)

    def exp(self, g: Germ) -> Germ:
        shift, lead = 0, fmpq(1)
        u: Germ = {}
        for (a, k), c in g.items():
            if a < 0 or (a == 0 and k > 1):
                raise Hopeless
            if (a, k) == (0, 1):
                if not isinstance(c, fmpq) or c.q != 1:
                    raise Hopeless
                shift = int(c.p)
            elif (a, k) == (0, 0):
                lead = (arb(c) if isinstance(c, fmpq) else c).exp()
            else:
                u[a, k] = c
        out: Germ = {(0, 0): fmpq(1)}
        if u:
            n = self.order + 1
            last = self.bound(u).exp() / factorial(n)
            out = self.series(u, [fmpq(1, factorial(j)) for j in range(n)], last)
        return self.mul({(shift, 0): lead}, out)

    def sign(self, g: Germ) -> int | None:
        """The sign of a germ on all of (0, d], if the leading term outweighs the rest there."""
        if not g:
            return 0
        a0, k0 = self.lead(g)
        c0 = g[a0, k0]
        ball = arb(c0) if isinstance(c0, fmpq) else c0
        sign = sign_of_ball(ball)
        if sign is None or sign == 0:
            return None
        rest = arb(0)
        for (a, k), c in g.items():
            if (a, k) != (a0, k0):
                try:
                    rest = rest + abs(arb(c) if isinstance(c, fmpq) else c) * abs(self.monomial_range(a - a0, k - k0))
                except NoGerm:
                    return None
        return sign * (-1 if k0 % 2 else 1) if arb(rest.upper()) < abs(ball) else None
