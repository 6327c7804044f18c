"""exp, sigmoid and tanh of the controller against NumPy's in double precision."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from lossdsl.search.vector_math import exp, sigmoid, tanh


@numba.njit(error_model="numpy")
def _all(x: Any, out: Any) -> None:
    for k in range(x.shape[0]):
        out[0, k] = exp(x[k])
        out[1, k] = sigmoid(x[k])
        out[2, k] = tanh(x[k])


def of(x: np.ndarray) -> np.ndarray:
    out = np.empty((3, len(x)), np.float32)
    _all(x, out)
    return out


def test_they_are_as_close_as_float32_allows() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, scale, 3000) for scale in (1e-6, 1e-2, 0.5, 3.0, 25.0)]).astype(np.float32)
    wide = x.astype(np.float64)
    got = of(x)
    for row, expected in zip(got, (np.exp(wide), 1 / (1 + np.exp(-wide)), np.tanh(wide))):
        assert row == pytest.approx(expected, rel=5e-7)


def test_the_ends() -> None:
    x = np.array([0.0, -0.0, 1e30, -1e30, np.inf, -np.inf], np.float32)
    assert of(x)[2].tolist() == [0.0, 0.0, 1.0, -1.0, 1.0, -1.0]
    assert of(x)[1] == pytest.approx([0.5, 0.5, 1, 0, 1, 0], abs=1e-30)
    assert np.isfinite(of(x)).all()
    # A controller that explodes has to show it.
    assert np.isnan(of(np.array([np.nan], np.float32))).all()
