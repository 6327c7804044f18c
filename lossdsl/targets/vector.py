"""Elementary functions on vectors of float32 as LLVM IR, each right to about one unit in the last place.

No vector library is assumed: polynomials after argument reduction, the coefficients of Cephes (expf, logf) and a
Chebyshev fit where Cephes has none. NaN goes in and comes out.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import factorial, log

LANES = 16
FLOATS = f"<{LANES} x float>"
INTS = f"<{LANES} x i32>"
BOOLS = f"<{LANES} x i1>"
DOUBLES = f"<{LANES} x double>"
LONGS = f"<{LANES} x i64>"
# Contraction to fma is wanted; reassociation is not, since it would undo the error terms.
FLAGS = "nsz contract"

_EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
# (2*atanh(z) - 2z) / z^3 as a polynomial in z^2 on [0, 1/9], for log1p on (0, 1] with z = t/(2+t)
_ATANH = (0.232243292241, 0.217065758009, 0.285923579943, 0.399997063319, 0.666666673205)
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_MAGIC = 12582912.0  # 1.5 * 2^23: adding it rounds to an integer and leaves that in the low bits
INFINITY, NAN = float("inf"), float("nan")


def literal(value: float) -> str:
    """A float32 constant as LLVM wants it: the bits of the double that equals it."""
    try:
        single = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        single = INFINITY if value > 0 else -INFINITY
    return f"0x{struct.unpack('Q', struct.pack('d', single))[0]:016X}"


class Emitter:
    """Lines of IR; the same line twice is one value.

    >>> e = Emitter()
    >>> e.add("%x", e.constant(1.0)) == e.add("%x", e.constant(1.0))
    True
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.needs: dict[str, None] = {}
        self._known: dict[str, str] = {}

    def emit(self, right: str) -> str:
        name = self._known.get(right)
        if name is None:
            name = self._known[right] = f"%v{len(self.lines)}"
            self.lines.append(f"  {name} = {right}")
        return name

    def call(self, function: str, *args: str, of: str = FLOATS) -> str:
        kinds = ", ".join([of] * len(args))
        self.needs[f"declare {of} @{function}({kinds})"] = None
        return self.emit(f"call {of} @{function}({', '.join(f'{of} {a}' for a in args)})")

    # -- constants and plain operations

    def constant(self, value: float) -> str:
        return "<" + ", ".join([f"float {literal(value)}"] * LANES) + ">"

    def integer(self, value: int) -> str:
        return "<" + ", ".join([f"i32 {value}"] * LANES) + ">"

    def _binary(self, op: str, a: str, b: str) -> str:
        return self.emit(f"{op} {FLAGS} {FLOATS} {a}, {b}")

    def add(self, a: str, b: str) -> str:
        return self._binary("fadd", a, b)

    def sub(self, a: str, b: str) -> str:
        return self._binary("fsub", a, b)

    def mul(self, a: str, b: str) -> str:
        return self._binary("fmul", a, b)

    def div(self, a: str, b: str) -> str:
        return self._binary("fdiv", a, b)

    def neg(self, a: str) -> str:
        return self.emit(f"fneg {FLOATS} {a}")

    def fma(self, a: str, b: str, c: str) -> str:
        return self.call(f"llvm.fma.v{LANES}f32", a, b, c)

    def abs(self, a: str) -> str:
        return self.call(f"llvm.fabs.v{LANES}f32", a)

    def sqrt(self, a: str) -> str:
        return self.call(f"llvm.sqrt.v{LANES}f32", a)

    def compare(self, how: str, a: str, b: str) -> str:
        return self.emit(f"fcmp {how} {FLOATS} {a}, {b}")

    def select(self, condition: str, a: str, b: str) -> str:
        return self.emit(f"select {BOOLS} {condition}, {FLOATS} {a}, {FLOATS} {b}")

    def either(self, a: str, b: str) -> str:
        return self.emit(f"or {BOOLS} {a}, {b}")

    def polynomial(self, x: str, coefficients: Sequence[float]) -> str:
        result = self.constant(coefficients[0])
        for c in coefficients[1:]:
            result = self.fma(result, x, self.constant(c))
        return result

    def floor_at(self, a: str, limit: float) -> str:
        return self.select(self.compare("olt", a, self.constant(limit)), self.constant(limit), a)

    def cap_at(self, a: str, limit: float) -> str:
        return self.select(self.compare("ogt", a, self.constant(limit)), self.constant(limit), a)

    def _ints(self, op: str, a: str, b: str) -> str:
        return self.emit(f"{op} {INTS} {a}, {b}")

    def _bits(self, a: str) -> str:
        return self.emit(f"bitcast {FLOATS} {a} to {INTS}")

    def _floats(self, a: str) -> str:
        return self.emit(f"bitcast {INTS} {a} to {FLOATS}")

    def _power_of_two(self, n: str) -> str:
        return self._floats(self._ints("shl", self._ints("add", n, self.integer(127)), self.integer(23)))

    # -- exponentials

    def _reduced(self, x: str) -> tuple[str, str]:
        """x = n*ln2 + r; gives n as an integer and r."""
        shifted = self.fma(x, self.constant(1 / log(2)), self.constant(_MAGIC))
        n = self._ints("sub", self._bits(shifted), self._bits(self.constant(_MAGIC)))
        whole = self.sub(shifted, self.constant(_MAGIC))
        r = self.fma(whole, self.constant(-_LN2_HIGH), x)
        return n, self.fma(whole, self.constant(-_LN2_LOW), r)

    def _exp_reduced(self, r: str) -> str:
        return self.fma(self.mul(r, r), self.polynomial(r, _EXP), self.add(r, self.constant(1)))

    def exp(self, x: str) -> str:
        """Over the whole range: infinity and subnormal numbers come out right, by scaling in two steps."""
        n, r = self._reduced(self.floor_at(self.cap_at(x, 89.0), -104.0))
        half = self._ints("ashr", n, self.integer(1))
        rest = self._ints("sub", n, half)
        scaled = self.mul(self._exp_reduced(r), self._power_of_two(half))
        return self.mul(scaled, self._power_of_two(rest))

    def exp_falling(self, x: str) -> str:
        """exp for x <= 0; below -86.6 it rests at the smallest normal numbers."""
        n, r = self._reduced(self.floor_at(x, -86.6))
        return self.mul(self._exp_reduced(r), self._power_of_two(n))

    def expm1(self, x: str) -> str:
        n, r = self._reduced(self.floor_at(self.cap_at(x, 89.0), -20.0))
        small = self.fma(self.mul(r, r), self.polynomial(r, _EXP), r)
        half = self._power_of_two(self._ints("sub", n, self.integer(1)))  # 2^128 would be infinite too soon
        result = self.fma(half, small, self.sub(half, self.constant(0.5)))
        result = self.add(result, result)
        return self.select(self.compare("oeq", x, self.constant(0)), x, result)

    def tanh(self, x: str) -> str:
        low = self.expm1(self.mul(self.abs(x), self.constant(-2)))
        size = self.div(self.neg(low), self.add(low, self.constant(2)))
        return self.call(f"llvm.copysign.v{LANES}f32", size, x)

    # -- logarithms

    def log(self, x: str) -> str:
        small = self.compare("olt", x, self.constant(1.17549435e-38))
        scaled = self.select(small, self.mul(x, self.constant(8388608.0)), x)
        bits = self._bits(scaled)
        exponent = self._ints("ashr", self._ints("sub", bits, self.integer(0x3F3504F3)), self.integer(23))
        mantissa = self._floats(self._ints("sub", bits, self._ints("shl", exponent, self.integer(23))))
        f = self.sub(mantissa, self.constant(1))
        e = self.emit(f"sitofp {INTS} {exponent} to {FLOATS}")
        e = self.sub(e, self.select(small, self.constant(23), self.constant(0)))
        square = self.mul(f, f)
        tail = self.mul(self.mul(f, square), self.polynomial(f, _LOG))
        tail = self.fma(e, self.constant(_LN2_LOW), tail)
        tail = self.fma(square, self.constant(-0.5), tail)
        result = self.fma(e, self.constant(_LN2_HIGH), self.add(f, tail))
        result = self.select(self.compare("oeq", x, self.constant(0)), self.constant(-INFINITY), result)
        result = self.select(self.compare("olt", x, self.constant(0)), self.constant(NAN), result)
        # infinity and NaN are their own logarithms
        return self.select(self.compare("olt", x, self.constant(INFINITY)), result, x)

    def _unless_nan(self, x: str, result: str) -> str:
        return self.select(self.compare("uno", x, x), x, result)

    def log1p(self, x: str) -> str:
        u = self.add(x, self.constant(1))
        lost = self.sub(self.sub(u, self.constant(1)), x)
        correction = self.select(self.compare("oeq", u, self.constant(0)), self.constant(0), self.div(lost, u))
        result = self.sub(self.log(u), correction)
        result = self.select(self.compare("oeq", u, self.constant(INFINITY)), u, result)
        return self.select(self.compare("oeq", u, self.constant(1)), x, result)

    def log1p_unit(self, t: str) -> str:
        """log1p for 0 <= t <= 1, without a case: t - (t^2/2 - z*(t^2/2 + z^2*P(z^2))), z = t/(2+t)."""
        z = self.div(t, self.add(t, self.constant(2)))
        w = self.mul(z, z)
        r = self.mul(w, self.polynomial(w, _ATANH))
        half = self.mul(self.mul(t, t), self.constant(0.5))
        return self.sub(t, self.sub(half, self.mul(z, self.add(half, r))))

    # -- what scores are made of

    def sigmoid_pair(self, x: str) -> tuple[str, str, str]:
        """exp(-|x|), sigmoid(x) and sigmoid(-x)."""
        t = self.exp_falling(self.neg(self.abs(x)))
        larger = self.div(self.constant(1), self.add(t, self.constant(1)))
        smaller = self.mul(t, larger)
        right = self.compare("oge", x, self.constant(0))
        return t, self.select(right, larger, smaller), self.select(right, smaller, larger)

    def power(self, x: str, exponent: float) -> str:
        """x to a constant power, through doubles, since an exponent of 10 would multiply the error of a float by 10."""
        size = self.abs(x)
        small = self.compare("olt", size, self.constant(1.17549435e-38))
        scaled = self.select(small, self.mul(size, self.constant(8388608.0)), size)
        bits = self._bits(scaled)
        e = self._ints("ashr", self._ints("sub", bits, self.integer(0x3F3504F3)), self.integer(23))
        m = self._floats(self._ints("sub", bits, self._ints("shl", e, self.integer(23))))
        shift = self.emit(f"select {BOOLS} {small}, {INTS} {self.integer(23)}, {INTS} {self.integer(0)}")
        wide = _Doubles(self)
        m_wide = self.emit(f"fpext {FLOATS} {m} to {DOUBLES}")
        e_wide = self.emit(f"sitofp {INTS} {self._ints('sub', e, shift)} to {DOUBLES}")
        result = wide.exp2(wide.mul(wide.log2(m_wide, e_wide), wide.constant(exponent)))
        if exponent != int(exponent):
            result = self.select(self.compare("olt", x, self.constant(0)), self.constant(NAN), result)
        at_zero = self.constant(0 if exponent > 0 else INFINITY)
        at_infinity = self.constant(INFINITY if exponent > 0 else 0)
        result = self.select(self.compare("oeq", size, self.constant(0)), at_zero, result)
        result = self.select(self.compare("oeq", size, self.constant(INFINITY)), at_infinity, result)
        if exponent == int(exponent) and int(exponent) % 2:
            result = self.call(f"llvm.copysign.v{LANES}f32", result, x)
        return self._unless_nan(x, result)


class _Doubles:
    """The few operations that `power` needs in double precision."""

    def __init__(self, e: Emitter) -> None:
        self.e = e

    def constant(self, value: float) -> str:
        bits = struct.unpack("Q", struct.pack("d", value))[0]
        return "<" + ", ".join([f"double 0x{bits:016X}"] * LANES) + ">"

    def _binary(self, op: str, a: str, b: str) -> str:
        return self.e.emit(f"{op} {FLAGS} {DOUBLES} {a}, {b}")

    def mul(self, a: str, b: str) -> str:
        return self._binary("fmul", a, b)

    def fma(self, a: str, b: str, c: str) -> str:
        return self.e.call(f"llvm.fma.v{LANES}f64", a, b, c, of=DOUBLES)

    def _polynomial(self, x: str, coefficients: Sequence[float]) -> str:
        result = self.constant(coefficients[0])
        for c in coefficients[1:]:
            result = self.fma(result, x, self.constant(c))
        return result

    def log2(self, mantissa: str, exponent: str) -> str:
        """log2 of mantissa * 2^exponent by the series of atanh; the mantissa lies within a factor sqrt(2) of 1."""
        one = self.constant(1)
        z = self._binary("fdiv", self._binary("fsub", mantissa, one), self._binary("fadd", mantissa, one))
        series = self._polynomial(self.mul(z, z), [2 / log(2) / (2 * k + 1) for k in range(9, -1, -1)])
        return self.fma(z, series, exponent)

    def exp2(self, x: str) -> str:
        """2^x, rounded to float32, with its infinities and subnormal numbers."""
        e = self.e
        for how, limit in (("ogt", 200.0), ("olt", -200.0)):
            beyond = e.emit(f"fcmp {how} {DOUBLES} {x}, {self.constant(limit)}")
            x = e.emit(f"select {BOOLS} {beyond}, {DOUBLES} {self.constant(limit)}, {DOUBLES} {x}")
        whole = e.call(f"llvm.rint.v{LANES}f64", x, of=DOUBLES)
        rest = self._binary("fsub", x, whole)
        series = self._polynomial(rest, [log(2) ** k / factorial(k) for k in range(11, -1, -1)])
        n = e.emit(f"fptosi {DOUBLES} {whole} to {LONGS}")
        bias = "<" + ", ".join(["i64 1023"] * LANES) + ">"
        place = "<" + ", ".join(["i64 52"] * LANES) + ">"
        scale = e.emit(f"shl {LONGS} {e.emit(f'add {LONGS} {n}, {bias}')}, {place}")
        power = e.emit(f"bitcast {LONGS} {scale} to {DOUBLES}")
        return e.emit(f"fptrunc {DOUBLES} {self.mul(series, power)} to {FLOATS}")
