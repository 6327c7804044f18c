"""Rational expressions, multiplied out and factored exactly by FLINT, for the shortest way to write them.

Whatever is no arithmetic (log, max, a name) counts as one unknown.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import TYPE_CHECKING, Any

from lossdsl.grammar.numerals import write_decimal
from lossdsl.grammar.printer import show_node
from lossdsl.grammar.tree import Apply, Node, Number, size, walk
from lossdsl.ranges import Ranges

if TYPE_CHECKING:
    from flint import fmpq_mpoly

RATIONAL = frozenset({"add", "sub", "mul", "div", "neg", "pow", "square", "reciprocal"})
_MAX_UNKNOWNS = 10
_MAX_TERMS = 60
_MAX_NODES = 2000
_MAX_POWER = 16


class _TooMuch(Exception):
    """The expression is larger than is worth multiplying out."""


def shortest(root: Node, ranges: Ranges) -> Node | None:
    """The shortest of the expanded and factored forms, where it is shorter than `root` and means the same."""
    whole = size(root)
    if whole > _MAX_NODES:  # a slope shares its parts, and written out it may be of any size
        return None
    inner = _arithmetic(root)
    unknowns = [n for n in walk(root) if n not in inner and not isinstance(n, Number) and _below(n, root, inner)]
    if not 1 <= len(unknowns) <= _MAX_UNKNOWNS or not inner:
        return None
    try:
        top, bottom = _quotient(root, inner, unknowns, ranges)
    except _TooMuch:
        return None
    common = bottom if bottom.is_constant() else top.gcd(bottom)
    top, bottom = top / common, bottom / common
    if bottom.is_constant():
        top, bottom = top / bottom, bottom / bottom
    best, least = None, (whole, len(show_node(root)))
    for sign in (1, -1) if not bottom.is_constant() else (1,):
        for above in (_expanded(sign * top, unknowns), _factored(sign * top, unknowns)):
            for below in (_expanded(sign * bottom, unknowns), _factored(sign * bottom, unknowns)):
                form = _divided(above, below)
                if form is not None and size(form) <= least[0]:
                    key = size(form), len(show_node(form))
                    best, least = (form, key) if key < least else (best, least)
    if best is None:
        return None
    # What drops out of the expression takes its domain along, unless it is defined everywhere.
    left = set(walk(best))
    return best if all(u in left or ranges.of(u).total for u in unknowns) else None


def _arithmetic(root: Node) -> set[Node]:
    """The arithmetic that hangs together below `root`."""
    inner: set[Node] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if node in inner or not isinstance(node, Apply) or node.op not in RATIONAL:
            continue
        if node.op == "pow" and _exponent(node) is None:
            continue
        inner.add(node)
        todo.extend(node.args[:1] if node.op == "pow" else node.args)
    return inner


def _below(node: Node, root: Node, inner: set[Node]) -> bool:
    return any(node in (n.args[:1] if n.op == "pow" else n.args) for n in inner if isinstance(n, Apply))


def _exponent(node: Apply) -> int | None:
    exponent = node.args[1]
    sign = 1
    if isinstance(exponent, Apply) and exponent.op == "neg":
        exponent, sign = exponent.args[0], -1
    if isinstance(exponent, Number) and exponent.value.denominator == 1 and 1 <= exponent.value <= _MAX_POWER:
        return sign * int(exponent.value)
    return None


def _quotient(root: Node, inner: set[Node], unknowns: list[Node], ranges: Ranges) -> tuple[fmpq_mpoly, fmpq_mpoly]:
    """Numerator and denominator as polynomials; `_TooMuch` too where a denominator may be zero."""
    from flint import Ordering, fmpq, fmpq_mpoly_ctx

    ring = fmpq_mpoly_ctx.get([f"x{i}" for i in range(len(unknowns))], Ordering.lex)
    one = ring.constant(1)
    known: dict[Node, tuple[Any, Any]] = {u: (g, one) for u, g in zip(unknowns, ring.gens())}
    for node in walk(root):
        if isinstance(node, Number):
            known[node] = (ring.constant(fmpq(node.value.numerator, node.value.denominator)), one)
        if node not in inner or not isinstance(node, Apply):
            continue
        (a, b), (c, d) = known[node.args[0]], known.get(node.args[-1], (one, one))
        if node.op in ("div", "reciprocal") or (node.op == "pow" and (_exponent(node) or 0) < 0):
            if not ranges.of(node.args[0 if node.op != "div" else 1]).nonzero:
                raise _TooMuch
        if node.op == "neg":
            made = (-a, b)
        elif node.op in ("add", "sub"):
            _guard((a, d), (c, b), (b, d))
            made = (a * d + c * b if node.op == "add" else a * d - c * b, b * d) if b != d else (
                a + c if node.op == "add" else a - c, b)  # fmt: skip
        elif node.op == "mul":
            _guard((a, c), (b, d))
            made = (a * c, b * d)
        elif node.op == "div":
            _guard((a, d), (b, c))
            made = (a * d, b * c)
        elif node.op == "reciprocal":
            made = (b, a)
        else:
            power = 2 if node.op == "square" else _exponent(node)
            assert power is not None
            if max(comb(len(part) + abs(power) - 1, abs(power)) for part in (a, b)) > _MAX_TERMS:
                raise _TooMuch
            made = (a**power, b**power) if power > 0 else (b**-power, a**-power)
        if len(made[0]) > _MAX_TERMS or len(made[1]) > _MAX_TERMS or made[1] == 0:
            raise _TooMuch
        if max(made[0].total_degree(), made[1].total_degree()) > 2 * _MAX_POWER:
            raise _TooMuch
        known[node] = made
    return known[root]


def _guard(*products: tuple[Any, Any]) -> None:
    if any(len(a) * len(b) > _MAX_TERMS**2 // 4 for a, b in products):
        raise _TooMuch


def _number(value: Fraction) -> Node | None:
    """A positive constant as a node: a decimal, else a quotient of two."""
    if write_decimal(value) is not None:
        return Number(value)
    above, below = Fraction(value.numerator), Fraction(value.denominator)
    if write_decimal(above) is None or write_decimal(below) is None:
        return None
    return Apply("div", (Number(above), Number(below)))


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _expanded(poly: fmpq_mpoly, unknowns: list[Node]) -> Node | None:
    """The sum of its terms, a positive one first where there is one."""
    terms: list[tuple[bool, Node]] = []
    for powers, value in poly.to_dict().items():
        coefficient = _fraction(value)
        factors = [_power(u, int(p)) for u, p in zip(unknowns, powers) if p]
        term = _product(abs(coefficient), factors)
        if term is None:
            return None
        terms.append((coefficient > 0, term))
    if not terms:
        return Number(Fraction(0))
    terms.sort(key=lambda t: not t[0])
    positive, total = terms[0]
    if not positive:
        total = Apply("neg", (total,))
    for positive, term in terms[1:]:
        total = Apply("add" if positive else "sub", (total, term))
    return total


def _factored(poly: fmpq_mpoly, unknowns: list[Node]) -> Node | None:
    if poly.is_constant():
        return _expanded(poly, unknowns)
    value, factors = poly.factor()
    constant = _fraction(value)
    nodes: list[Node] = []
    for factor, power in factors:
        power = int(power)
        if constant < 0 and power % 2 and len(factor) > 1:
            factor, constant = -factor, -constant
        node = _expanded(factor, unknowns)
        if node is None or power > _MAX_POWER:
            return None
        nodes.append(_power(node, power))
    made = _product(abs(constant), nodes)
    return made if made is None or constant > 0 else Apply("neg", (made,))


def _power(base: Node, power: int) -> Node:
    return base if power == 1 else Apply("pow", (base, Number(Fraction(power))))


def _product(coefficient: Fraction, factors: list[Node]) -> Node | None:
    below: Fraction | None = None
    if write_decimal(coefficient) is None:
        below, coefficient = Fraction(coefficient.denominator), Fraction(coefficient.numerator)
        if write_decimal(below) is None:
            return None
    if coefficient != 1 or not factors:
        number = _number(coefficient)
        if number is None:
            return None
        factors = [number, *factors]
    result = factors[0]
    for factor in factors[1:]:
        result = Apply("mul", (result, factor))
    return result if below is None else Apply("div", (result, Number(below)))


def _divided(above: Node | None, below: Node | None) -> Node | None:
    if above is None or below is None:
        return None
    if below == Number(Fraction(1)):
        return above
    if isinstance(above, Apply) and above.op == "neg":
        return Apply("neg", (Apply("div", (above.args[0], below)),))
    return Apply("div", (above, below))
