"""How far each part of a formula reaches, and whether it is real and finite all over the domain.

Interval arithmetic on exact rationals, for pred in (0,1), label in [0,1], any score and every parameter in its range.
It is coarse on purpose: it only has to say what is safe to drop when a formula is simplified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree

_BITS = 256
_STEPS = Fraction(60)


@dataclass(frozen=True, slots=True)
class Range:
    """All values lie between `low` and `high` (None: no bound); an open end is not reached.

    `total`: every part below is real and finite everywhere on the domain.
    """

    low: Fraction | None = None
    high: Fraction | None = None
    low_open: bool = True
    high_open: bool = True
    total: bool = True

    @property
    def positive(self) -> bool:
        """Above zero everywhere."""
        return self.low is not None and (self.low > 0 or (self.low == 0 and self.low_open))

    @property
    def negative(self) -> bool:
        """Below zero everywhere."""
        return self.high is not None and (self.high < 0 or (self.high == 0 and self.high_open))

    @property
    def not_negative(self) -> bool:
        """At least zero everywhere."""
        return self.low is not None and self.low >= 0

    @property
    def not_positive(self) -> bool:
        """At most zero everywhere."""
        return self.high is not None and self.high <= 0

    @property
    def nonzero(self) -> bool:
        """Never zero."""
        return self.positive or self.negative

    def below(self, other: Range, strict: bool = False) -> bool:
        """Whether every value here is at most (or, `strict`, less than) every value of `other`."""
        if self.high is None or other.low is None:
            return False
        if self.high == other.low:
            return not strict or self.high_open or other.low_open
        return self.high < other.low


def ranges(tree: Tree) -> dict[Node, Range]:
    """The range of each part.

    >>> from lossdsl.grammar.parser import read
    >>> from lossdsl.ranges import ranges
    >>> tree = read("1 + log(pred)").tree
    >>> found = ranges(tree)[tree.root]
    >>> found.low, found.high, found.high_open, found.total
    (None, Fraction(1, 1), True, True)
    """
    known = Ranges(tree)
    known.of(tree.root)
    return known.known


class Ranges:
    """Ranges of nodes that share their leaves' domain, kept as they are asked for."""

    def __init__(self, tree: Tree) -> None:
        self.known: dict[Node, Range] = {
            Name("pred"): Range(Fraction(0), Fraction(1)),
            Name("label"): closed(Fraction(0), Fraction(1)),
            Name("score"): Range(),
        }
        for binding in tree.where:
            self.known[Name(binding.name)] = closed(binding.low, binding.high)

    def of(self, root: Node) -> Range:
        """The range of one node."""
        todo = [root]
        while todo:
            node = todo[-1]
            if node in self.known:
                todo.pop()
                continue
            unknown = [a for a in node.args if a not in self.known] if isinstance(node, Apply) else []
            if unknown:
                todo.extend(unknown)
                continue
            self.known[todo.pop()] = self._made(node)
        return self.known[root]

    def _made(self, node: Node) -> Range:
        if isinstance(node, Number):
            return closed(node.value, node.value)
        if not isinstance(node, Apply):
            return Range(total=False)
        args = [self.known[a] for a in node.args]
        made = _short(_RULES[node.op](*args))
        total = made.total and all(a.total for a in args)
        return Range(made.low, made.high, made.low_open, made.high_open, total)


def closed(low: Fraction, high: Fraction) -> Range:
    """From `low` to `high`, both reached."""
    return Range(low, high, False, False)


def _short(r: Range) -> Range:
    """Bounds with long numerators are given up for the next plain one outwards."""
    low, high, low_open, high_open = r.low, r.high, r.low_open, r.high_open
    if low is not None and max(low.numerator.bit_length(), low.denominator.bit_length()) > _BITS:
        low, low_open = (Fraction(0), True) if low > 0 else (None, True)
    if high is not None and max(high.numerator.bit_length(), high.denominator.bit_length()) > _BITS:
        high, high_open = (Fraction(0), True) if high < 0 else (None, True)
    return Range(low, high, low_open, high_open, r.total)


def _add(a: Range, b: Range) -> Range:
    low = None if a.low is None or b.low is None else a.low + b.low
    high = None if a.high is None or b.high is None else a.high + b.high
    return Range(low, high, a.low_open or b.low_open, a.high_open or b.high_open)


def _neg(a: Range) -> Range:
    return Range(
        None if a.high is None else -a.high, None if a.low is None else -a.low, a.high_open, a.low_open, a.total
    )


# An end of a range for products: value (None is infinite, its sign apart) and whether it is open.
_End = tuple[int, Fraction | None, bool]


def _ends(a: Range) -> tuple[_End, _End]:
    return (-1, a.low, a.low_open), (1, a.high, a.high_open)


def _mul(a: Range, b: Range) -> Range:
    lows: list[tuple[float | Fraction, bool]] = []
    for side_a, x, open_a in _ends(a):
        for side_b, y, open_b in _ends(b):
            if x is None or y is None:
                finite, side = (y, side_a) if x is None else (x, side_b)
                if x is None and y is None:
                    lows.append((float("inf") * side_a * side_b, True))
                elif finite == 0:
                    # Next to an end at zero the other factor is unbounded, but for a fixed value the product is near 0.
                    lows.append((Fraction(0), open_b if x is None else open_a))
                else:
                    assert finite is not None
                    lows.append((float("inf") * side * (1 if finite > 0 else -1), True))
            else:
                reached_zero = (x == 0 and not open_a) or (y == 0 and not open_b)
                lows.append((x * y, (open_a or open_b) and not reached_zero))
    low = min(lows, key=lambda e: (e[0], e[1]))
    high = max(lows, key=lambda e: (e[0], not e[1]))
    return Range(
        low[0] if isinstance(low[0], Fraction) else None,
        high[0] if isinstance(high[0], Fraction) else None,
        low[1],
        high[1],
    )


def _reciprocal(a: Range) -> Range:
    if not a.nonzero:
        return Range(total=False)
    if a.negative:
        return _neg(_reciprocal(_neg(a)))
    assert a.low is not None
    high = None if a.low == 0 else 1 / a.low
    low = Fraction(0) if a.high is None else 1 / a.high
    return Range(low, high, a.high is None or a.high_open, high is None or a.low_open)


def _square(a: Range) -> Range:
    size = _abs(a)
    assert size.low is not None
    high = None if size.high is None else size.high * size.high
    return Range(size.low * size.low, high, size.low_open, size.high_open)


def _abs(a: Range) -> Range:
    if a.not_negative:
        return a
    if a.not_positive:
        return _neg(a)
    if a.low is None or a.high is None:
        return Range(Fraction(0), None, False, True)
    if -a.low == a.high:
        return Range(Fraction(0), a.high, False, a.low_open and a.high_open)
    end = max((-a.low, a.low_open), (a.high, a.high_open), key=lambda e: e[0])
    return Range(Fraction(0), end[0], False, end[1])


def _pow(a: Range, b: Range) -> Range:
    exponent = b.low if b.low == b.high else None
    if exponent is not None and exponent.denominator == 1 and 1 <= exponent <= 16:
        result = a
        if exponent % 2 == 0:
            result = size = _square(a)
            for _ in range(int(exponent) // 2 - 1):
                result = _short(_mul(result, size))
        else:
            for _ in range(int(exponent) - 1):
                # An odd power is monotone, so the ends of the product of ends are its ends.
                result = _short(_odd(result, a))
        return Range(result.low, result.high, result.low_open, result.high_open)
    if exponent is not None and exponent.denominator == 1 and -16 <= exponent <= -1 and a.nonzero:
        return _reciprocal(_pow(a, closed(-exponent, -exponent)))
    one = Fraction(1)
    if a.positive:
        high = one if a.high is not None and a.high <= 1 and b.not_negative else None
        return Range(Fraction(0), high, True, high is None)
    if a.not_negative and b.positive:
        high = one if a.high is not None and a.high <= 1 else None
        return Range(Fraction(0), high, False, high is None)
    return Range(total=False)


def _odd(power: Range, a: Range) -> Range:
    def end(x: Fraction | None, y: Fraction | None) -> Fraction | None:
        return None if x is None or y is None else abs(x) * y

    return Range(end(power.low, a.low), end(power.high, a.high), a.low_open, a.high_open)


def _exp(a: Range) -> Range:
    """Rough powers of 2 and 3, which enclose those of e; exact where the argument is 0."""
    low = Fraction(0) if a.low is None or a.low < -_STEPS else _e_power(min(a.low, _STEPS), below=True)
    high = None if a.high is None or a.high > _STEPS else _e_power(max(a.high, -_STEPS), below=False)
    return Range(low, high, a.low_open or a.low != 0, a.high_open or a.high != 0)


def _e_power(x: Fraction, below: bool) -> Fraction:
    if below:
        return Fraction(2) ** floor(x) if x >= 0 else Fraction(3) ** floor(x)
    return Fraction(3) ** ceil(x) if x >= 0 else Fraction(2) ** ceil(x)


def _log(a: Range) -> Range:
    """Rough multiples of 0.7 > log 2; exact where the argument is 1."""
    low = None if a.low is None or a.low <= 0 else -_log_below(1 / a.low) if a.low < 1 else Fraction(0)
    high = None if a.high is None or a.high <= 0 else Fraction(0) if a.high <= 1 else _log_below(a.high)
    low_open, high_open = a.low_open or a.low != 1, a.high_open or a.high != 1
    return Range(low, high, low is None or low_open, high is None or high_open, a.positive)


def _log_below(x: Fraction) -> Fraction:
    """A number above log x, for x > 1."""
    return Fraction(7, 10) * (ceil(x) - 1).bit_length()


def _sqrt(a: Range) -> Range:
    one = Fraction(1)
    low = Fraction(0) if a.low is None or a.low < 0 else min(one, a.low)
    high = None if a.high is None else max(one, a.high)
    low_open = a.positive if low == 0 else a.low_open or a.low != 1
    return Range(low, high, low_open, high is None or a.high_open or a.high != 1, a.not_negative)


def _sigmoid(a: Range) -> Range:
    return _reciprocal(_shift(_exp(_neg(a)), 1))


def _softplus(a: Range) -> Range:
    """At most 0.7 above relu."""
    high = None if a.high is None else max(a.high, Fraction(0)) + Fraction(7, 10)
    return Range(Fraction(0) if a.low is None else max(a.low, Fraction(0)), high)


def _shift(a: Range, by: int) -> Range:
    return _add(a, closed(Fraction(by), Fraction(by)))


def _sign(a: Range) -> Range:
    one, zero = Fraction(1), Fraction(0)
    low = one if a.positive else zero if a.not_negative else -one
    high = -one if a.negative else zero if a.not_positive else one
    return closed(low, high)


def _min(*args: Range) -> Range:
    result = args[0]
    for other in args[1:]:
        low, low_open = _lower((result.low, result.low_open), (other.low, other.low_open))
        if result.high is None or other.high is None:
            high, high_open = (other.high, other.high_open) if result.high is None else (result.high, result.high_open)
        elif result.high == other.high:
            high, high_open = result.high, result.high_open or other.high_open
        else:
            high, high_open = min((result.high, result.high_open), (other.high, other.high_open))
        result = Range(low, high, low_open, high_open)
    return Range(result.low, result.high, result.low_open, result.high_open)


def _lower(a: tuple[Fraction | None, bool], b: tuple[Fraction | None, bool]) -> tuple[Fraction | None, bool]:
    if a[0] is None or b[0] is None:
        return None, True
    if a[0] == b[0]:
        return a[0], a[1] and b[1]
    return a if a[0] < b[0] else b


def _max(*args: Range) -> Range:
    return _neg(_min(*map(_neg, args)))


def _hull(a: Range, b: Range) -> Range:
    low, low_open = _lower((a.low, a.low_open), (b.low, b.low_open))
    high, high_open = _lower(
        (None if a.high is None else -a.high, a.high_open), (None if b.high is None else -b.high, b.high_open)
    )
    return Range(low, None if high is None else -high, low_open, high_open)


def _size(a: Range, epsilon: tuple[Range, ...]) -> Range:
    return _add(_abs(a), epsilon[0] if epsilon else closed(Fraction(1, 10**6), Fraction(1, 10**6)))


def _protected(inner: Callable[[Range], Range]) -> Callable[..., Range]:
    def rule(a: Range, *epsilon: Range) -> Range:
        part = inner(_size(a, epsilon))
        made = _mul(_sign(a), part)
        return Range(made.low, made.high, made.low_open, made.high_open, part.total)

    return rule


def _boolean(a: Range, b: Range) -> Range:
    return closed(Fraction(0), Fraction(1))


_RULES: dict[str, Callable[..., Range]] = {
    "add": _add,
    "sub": lambda a, b: _add(a, _neg(b)),
    "mul": _mul,
    "div": lambda a, b: _mul(a, _reciprocal(b)) if b.nonzero else Range(total=False),
    "pow": _pow,
    "neg": lambda a: _neg(Range(a.low, a.high, a.low_open, a.high_open)),
    "lt": _boolean,
    "le": _boolean,
    "gt": _boolean,
    "ge": _boolean,
    "log": _log,
    "log1p": lambda a: _log(_shift(a, 1)),
    "exp": _exp,
    "expm1": lambda a: _shift(_exp(a), -1),
    "sqrt": _sqrt,
    "square": _square,
    "reciprocal": _reciprocal,
    "abs": lambda a: _abs(Range(a.low, a.high, a.low_open, a.high_open)),
    "sign": _sign,
    "sigmoid": _sigmoid,
    "logsigmoid": lambda a: _neg(_softplus(_neg(a))),
    "tanh": lambda a: Range(
        Fraction(0) if a.not_negative else Fraction(-1), Fraction(0) if a.not_positive else Fraction(1),
        not (a.not_negative and not a.positive), not (a.not_positive and not a.negative),
    ),
    "relu": lambda a: _max(a, closed(Fraction(0), Fraction(0))),
    "softplus": _softplus,
    "min": _min,
    "max": _max,
    "clamp": lambda a, low, high: _min(_max(a, low), high),
    "if": lambda condition, a, b: _hull(a, b),
    "plog": _protected(_log),
    "pinv": _protected(_reciprocal),
    "psqrt": _protected(_sqrt),
}  # fmt: skip
