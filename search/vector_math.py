"""exp and tanh in float32 that a compiler can turn into vector loops: it calls those of the C library one by one."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_F = np.float32


@intrinsic
def _power_of_two(typing: Any, exponent: Any) -> Any:
    """2 to a whole power (int32, -126 to 127): the exponent's bits of a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32 = ir.IntType(32)
        biased = builder.add(arguments[0], ir.Constant(i32, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(i32, 23)), ir.FloatType())

    return types.float32(types.int32), generate


@numba.njit(inline="always")
def exp(x: Any) -> Any:
    """e to the power of a float32, relative error below 3e-7; outside of ±87 that of ±87, NaN of NaN.

    >>> import numba, numpy as np
    >>> from lossdsl.search.vector_math import exp
    >>> compiled = numba.njit(lambda x: exp(x))
    >>> abs(compiled(np.float32(1.0)) / np.e - 1) < 1e-6
    True
    """
    # The usual way of Cephes: a whole number of halvings of the interval, and a polynomial for the rest.
    bounded = min(max(x, _F(-87.0)), _F(87.0))
    whole = np.rint(bounded * _F(1.44269504088896341))
    rest = (bounded - whole * _F(0.693359375)) + whole * _F(2.12194440e-4)
    p = _F(1.9875691500e-4)
    p = p * rest + _F(1.3981999507e-3)
    p = p * rest + _F(8.3334519073e-3)
    p = p * rest + _F(4.1665795894e-2)
    p = p * rest + _F(1.6666665459e-1)
    p = p * rest + _F(5.0000001201e-1)
    value = (p * rest * rest + rest + _F(1.0)) * _power_of_two(np.int32(whole))
    return value if x == x else x


@numba.njit(inline="always")
def sigmoid(x: Any) -> Any:
    """1/(1 + exp(-x))."""
    return _F(1.0) / (_F(1.0) + exp(-x))


@numba.njit(inline="always")
def tanh(x: Any) -> Any:
    """The hyperbolic tangent of a float32, relative error below 5e-7."""
    square = x * x
    p = _F(-5.70498872745e-3)
    p = p * square + _F(2.06390887954e-2)
    p = p * square + _F(-5.37397155531e-2)
    p = p * square + _F(1.33314422036e-1)
    p = p * square + _F(-3.33332819422e-1)
    near = p * square * x + x
    far = _F(1.0) - _F(2.0) / (exp(_F(2.0) * abs(x)) + _F(1.0))
    return near if square < _F(0.390625) else (far if x > _F(0.0) else -far)
