"""Exact constants: sums of rationals times logs of whole numbers, powers of e and roots of whole numbers.

They serve to see that a number *is* zero, which no interval can. A sum that cancels to nothing is zero; a sum that does
not is left to intervals, so nothing depends on this form being unique.
"""

from __future__ import annotations

from fractions import Fraction

from lossdsl.verifier.limits import spend

Atom = tuple[str, int]
"""`("log", n)`: log n; `("e", 0)`: e; `("power", n)`: n, under a fractional exponent; `("symbol", n)`: any number."""
Product = tuple[tuple[Atom, Fraction], ...]
Constant = dict[Product, Fraction]
"""Products of powers of atoms, each with its rational factor; the zero is empty."""
MAX_PARTS = 200
_TRIAL = 1000


def rational(q: Fraction | int) -> Constant:
    return {(): Fraction(q)} if q else {}


def known(a: Constant | None) -> Fraction | None:
    """The rational that a constant is, if it is one."""
    if a is None or len(a) > 1:
        return None
    return a[()] if () in a else (None if a else Fraction(0))


def symbol(n: int) -> Constant:
    """A number of which nothing is known: what cancels is zero whatever it is."""
    return {((("symbol", n), Fraction(1)),): Fraction(1)}


def add(a: Constant, b: Constant) -> Constant:
    out = dict(a)
    for product, c in b.items():
        total = out.get(product, Fraction(0)) + c
        if total:
            out[product] = total
        else:
            del out[product]
    return out


def mul(a: Constant, b: Constant) -> Constant | None:
    out: Constant = {}
    spend(20 * len(a) * len(b))
    if len(a) * len(b) > MAX_PARTS**2:
        return None
    for p, c in a.items():
        for q, d in b.items():
            whole, product = _join(p, q)
            out = add(out, {product: c * d * whole})
    return out if len(out) <= MAX_PARTS else None


def _join(p: Product, q: Product) -> tuple[Fraction, Product]:
    powers = dict(p)
    for atom, e in q:
        powers[atom] = powers.get(atom, Fraction(0)) + e
    factor = Fraction(1)
    for (kind, n), e in list(powers.items()):
        if kind == "power" and e >= 1:
            factor *= Fraction(n) ** int(e)
            powers[kind, n] = e - int(e)
    return factor, tuple(sorted((atom, e) for atom, e in powers.items() if e))


def power(a: Constant, n: int) -> Constant | None:
    result: Constant | None = rational(1)
    for _ in range(n):
        result = mul(result, a) if result is not None else None
    return result


def inverse(a: Constant) -> Constant | None:
    """1/a for a product of powers of e and rationals."""
    if len(a) != 1:
        return None
    ((product, c),) = a.items()
    if any(kind != "e" for (kind, _), _ in product):
        return None
    return {tuple((atom, -e) for atom, e in product): 1 / c}


def _split(n: int) -> list[tuple[int, int]]:
    """A whole number as a product of small primes and one rest."""
    out = []
    for p in range(2, _TRIAL):
        if p * p > n:
            break
        e = 0
        while n % p == 0:
            n //= p
            e += 1
        if e:
            out.append((p, e))
    if n > 1:
        out.append((n, 1))
    return out


def log(a: Constant) -> Constant | None:
    """log a for a positive product of powers of e, whole roots and a rational."""
    if len(a) != 1:
        return None
    ((product, c),) = a.items()
    if c <= 0 or any(kind in ("log", "symbol") for (kind, _), _ in product):
        return None
    out: Constant = {}
    for n, way in ((c.numerator, 1), (c.denominator, -1)):
        for p, e in _split(n):
            out = add(out, {((("log", p), Fraction(1)),): Fraction(way * e)})
    for (kind, n), power_of in product:
        out = add(out, rational(power_of) if kind == "e" else {((("log", n), Fraction(1)),): power_of})
    return out


def exp(a: Constant) -> Constant | None:
    """exp a for a sum of a rational and rational multiples of logs of whole numbers."""
    result: Constant | None = rational(1)
    for product, c in a.items():
        if product == ():
            factor: Constant | None = {((("e", 0), c),): Fraction(1)}
        elif len(product) == 1 and product[0][0][0] == "log" and product[0][1] == 1:
            factor = _whole_power(product[0][0][1], c)
        else:
            return None
        result = mul(result, factor) if result is not None and factor is not None else None
    return result


def _whole_power(n: int, q: Fraction) -> Constant | None:
    floor = q.numerator // q.denominator
    rest = q - floor
    if abs(floor) > 200:
        return None
    value = Fraction(n) ** floor
    return {((("power", n), rest),): value} if rest else {(): value}


def root(a: Constant, n: int) -> Constant | None:
    """The n-th root of a non-negative rational."""
    q = known(a)
    if q is None or q < 0:
        return None
    if q == 0:
        return {}
    result: Constant | None = rational(1)
    for m, way in ((q.numerator, 1), (q.denominator, -1)):
        for p, e in _split(m):
            factor = _whole_power(p, Fraction(way * e, n))
            result = mul(result, factor) if result is not None and factor is not None else None
    return result
