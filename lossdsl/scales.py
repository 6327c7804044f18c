"""Where a number stands in a picture, and which numbers to write beside the axis."""

from __future__ import annotations

import math
from collections.abc import Callable

Scale = Callable[[float], float]


def scale(low: float, high: float, unit: float | None = None) -> Scale:
    """A function from [low, high] to [0, 1]; linear, or beyond `unit` in size logarithmic.

    >>> scale(0, 10)(5)
    0.5
    >>> round(scale(-1000, 1000, unit=1)(0), 3)
    0.5
    """
    bend: Scale = (lambda y: y) if unit is None else (lambda y: math.asinh(y / unit))
    bottom = bend(low)
    span = (bend(high) - bottom) or 1.0  # a frame too narrow for a float
    return lambda y: (bend(y) - bottom) / span


def ticks(low: float, high: float, unit: float | None = None, count: int = 5) -> list[float]:
    """Round numbers inside [low, high], about `count` of them; powers of ten where the scale is logarithmic.

    >>> ticks(-0.1, 2.4), ticks(-11.2, 11.2)
    ([0.0, 0.5, 1.0, 1.5, 2.0], [-10.0, -5.0, 0.0, 5.0, 10.0])
    >>> ticks(-20, 1e6, unit=1)
    [-10.0, 0.0, 10.0, 1000.0, 100000.0]
    """
    if unit is not None:
        first = max(math.floor(math.log10(unit)), -300) + 1
        last = math.floor(math.log10(max(high, -low)))
        powers = [10.0**k for k in range(first, last + 1, max(1, math.ceil((last - first + 1) / 4)))]
        return [y for y in (*(-p for p in reversed(powers)), 0.0, *powers) if low <= y <= high]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next((m for m in (1, 2, 2.5, 5) if m * power >= rough * (1 - 1e-9)), 10)
    return [k * step + 0.0 for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def write(y: float) -> str:
    """A tick's number as short as it is clear.

    >>> write(0.5), write(-10.0), write(1e5), write(0.0)
    ('0.5', '−10', '10⁵', '0')
    """
    size = abs(y)
    if size and not 1e-3 <= size < 1e4:
        mantissa, power = f"{size:.0e}".split("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"10{raised}" if mantissa == "1" else f"{mantissa}·10{raised}"
    else:
        text = f"{size:.10g}"
    return f"−{text}" if y < 0 else text
