"""Constants of a Program: exact where the operation is exact, else right beyond the last digit of a double."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from fractions import Fraction

from lossdsl.errors import LossError

ZERO = Fraction(0)
# Constants are exact fractions up to this many bits, and rounded to `_DIGITS` beyond.
LONGEST_CONSTANT = 1200
# Constants nearer to 0 than this are taken as this: 0 in every target, but of a sign, and written in a line.
SMALLEST_CONSTANT = Fraction(1, 10**1300)

_EXACT: dict[str, Callable[..., Fraction]] = {
    "neg": lambda a: -a, "abs": abs, "sign": lambda a: Fraction((a > 0) - (a < 0)), "relu": lambda a: max(a, ZERO),
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "min": min, "max": max, "clamp": lambda a, low, high: min(max(a, low), high),
    "mix": lambda w, a, b: w * a + (1 - w) * b,
    "lt": lambda a, b: Fraction(a < b), "le": lambda a, b: Fraction(a <= b), "gt": lambda a, b: Fraction(a > b),
    "ge": lambda a, b: Fraction(a >= b), "eq": lambda a, b: Fraction(a == b),
}  # fmt: skip


# Constants that are no fractions are taken to this many digits, so that a chain of them is still right to the last
# digit of a double.
_DIGITS = Context(prec=80, traps=[InvalidOperation, DivisionByZero, Overflow])


def _log(x: Decimal) -> Decimal:
    if x <= 0:
        raise InvalidOperation
    return x.ln(_DIGITS)


def _exp(x: Decimal) -> Decimal:
    if x > 1000:
        raise Overflow  # beyond the doubles, and e^1000000 as a fraction would take seconds
    return max(x, Decimal(-10000)).exp(_DIGITS)


def _add(a: Decimal | int, c: Decimal) -> Decimal:
    return _DIGITS.add(Decimal(a), c)


def _log1p(x: Decimal) -> Decimal:
    return x - x * x / 2 if abs(x) < Decimal("1e-40") else _log(_add(1, x))


def _expm1(x: Decimal) -> Decimal:
    return x + x * x / 2 if abs(x) < Decimal("1e-40") else _add(-1, _exp(x))


def _sigmoid(x: Decimal) -> Decimal:
    small = _exp(-abs(x))
    return _DIGITS.divide(small if x < 0 else Decimal(1), _add(1, small))


_ROUNDED: dict[str, Callable[..., Decimal]] = {
    "exp": _exp, "expm1": _expm1, "log": _log, "log1p": _log1p,
    "sqrt": lambda x: x.sqrt(_DIGITS), "sigmoid": _sigmoid,
    "logsigmoid": lambda x: min(x, Decimal(0)) - _log1p(_exp(-abs(x))),
    "tanh": lambda x: _DIGITS.divide(_expm1(-2 * abs(x)), _add(1, _exp(-2 * abs(x)))) * (-1 if x > 0 else 1),
    "pow": lambda x, y: _exp(_DIGITS.multiply(y, _log(x))) if x else Decimal(0),
}  # fmt: skip


def _decimal(x: Fraction) -> Decimal:
    return _DIGITS.divide(Decimal(x.numerator), Decimal(x.denominator))


def _root(x: Fraction) -> Fraction | None:
    if x < 0:
        return None
    root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator))
    return root if root * root == x else None


def _short(x: Fraction) -> str:
    # Python refuses to write out an integer of thousands of digits.
    small = max(x.numerator.bit_length(), x.denominator.bit_length()) < 64
    return str(x) if small and len(str(x)) < 20 else f"{_decimal(x):.6g}"


def fold(op: str, values: Sequence[Fraction]) -> Fraction:
    """What an operation gives for constants; LossError where that is no finite number, or beyond the doubles.

    >>> fold("div", (Fraction(1), Fraction(3))), fold("sqrt", (Fraction(4, 9),))
    (Fraction(1, 3), Fraction(2, 3))
    """
    if op == "select":
        return values[1] if values[0] else values[2]
    try:
        if op in _EXACT:
            result = _EXACT[op](*values)
        elif op == "pow" and values[1].denominator == 1 and abs(values[1]) <= 64:
            result = values[0] ** int(values[1])
        elif op == "sqrt" and (root := _root(values[0])) is not None:
            result = root
        else:
            result = Fraction(_ROUNDED[op](*map(_decimal, values)))
        if result.numerator.bit_length() + result.denominator.bit_length() > LONGEST_CONSTANT:
            result = Fraction(_decimal(result))
        if result and abs(result) < SMALLEST_CONSTANT:
            result = SMALLEST_CONSTANT if result > 0 else -SMALLEST_CONSTANT
        result.numerator / result.denominator  # beyond the range of a double it raises
        return result
    except (ArithmeticError, ValueError) as error:
        raise LossError(f"{op} of {', '.join(map(_short, values))} is no finite number") from error
