"""Decimal literals: from text to an exact Fraction, and back to the shortest text."""

from __future__ import annotations

from fractions import Fraction

MAX_DIGITS = 40
MAX_POWER = 60


class BadNumber(ValueError):
    """A literal beyond the limits; `kind` is `digits` or `power`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def read_decimal(text: str) -> Fraction:
    """The exact value of an unsigned decimal literal.

    Limits are looked at on the text, so that `1e999999999` costs nothing.

    >>> from lossdsl.grammar.numerals import read_decimal
    >>> read_decimal("2.50"), read_decimal("1e-6")
    (Fraction(5, 2), Fraction(1, 1000000))
    """
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, part = mantissa.partition(".")
    written = whole + part
    digits = written.lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return Fraction(0)
    if len(significant) > MAX_DIGITS:
        raise BadNumber("digits")
    if len(exponent.lstrip("+-").lstrip("0")) > 5:
        raise BadNumber("power")
    power = int(exponent or "0") - len(part)
    if abs(power + len(digits) - 1) > MAX_POWER:
        raise BadNumber("power")
    power += len(digits) - len(significant)
    value = int(significant)
    return Fraction(value * 10**power) if power >= 0 else Fraction(value, 10**-power)


def write_decimal(value: Fraction) -> str | None:
    """The shortest literal that reads back as `value` exactly; None where there is none within the limits.

    Plain where that is hardly longer than scientific: people read `0.001` and `1000` faster than `1e-3` and `1e3`.

    >>> from fractions import Fraction
    >>> from lossdsl.grammar.numerals import write_decimal
    >>> [write_decimal(Fraction(x)) for x in ("2", "0.5", "0.001", "1e-6", "1e5", "1/3")]
    ['2', '0.5', '0.001', '1e-6', '1e5', None]
    """
    if value < 0:
        return None
    if value == 0:
        return "0"
    rest, twos, fives = value.denominator, 0, 0
    # 2^a * 5^b beyond these cannot be within MAX_DIGITS and MAX_POWER; the check keeps the loops short.
    if rest.bit_length() > 800 or value.numerator.bit_length() > 800:
        return None
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return None
    places = max(twos, fives)
    digits = str(value.numerator * 10**places // value.denominator)
    significant = digits.rstrip("0")
    power = len(digits) - len(significant) - places
    leading = power + len(significant) - 1
    if len(significant) > MAX_DIGITS or abs(leading) > MAX_POWER:
        return None
    if power >= 0:
        plain = significant + "0" * power
    elif leading >= 0:
        plain = significant[: leading + 1] + "." + significant[leading + 1 :]
    else:
        plain = "0." + "0" * (-leading - 1) + significant
    scientific = significant[0] + ("." + significant[1:] if len(significant) > 1 else "") + f"e{leading}"
    return scientific if len(plain) - len(scientific) > (2 if power >= 0 else 1) else plain


def write_constant(value: Fraction) -> str | None:
    """The text of a `where` constant: a signed decimal, or a ratio of two where no decimal is exact."""
    sign = "-" if value < 0 else ""
    value = abs(value)
    plain = write_decimal(value)
    if plain is not None:
        return sign + plain
    above, below = write_decimal(Fraction(value.numerator)), write_decimal(Fraction(value.denominator))
    return f"{sign}{above}/{below}" if above is not None and below is not None else None
