"""The largest size of a parameter, which is found among the bits of the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.recsys.steps import largest, largest_or_nan

WIDTHS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@WIDTHS
@settings(deadline=None)  # the first call compiles
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_it_is_the_largest_absolute_value(dtype: type, values: list[float]) -> None:
    w = np.array(values, dtype)
    found = largest(w)
    assert type(found) is type(largest(np.ones(1, dtype))) and found == np.abs(w).max()


@WIDTHS
def test_what_is_no_number_does_not_count(dtype: type) -> None:
    w = np.array([1.0, np.nan, -3.0, -np.nan, 2.0], dtype)
    assert largest(w) == 3.0
    assert largest(np.empty(0, dtype)) == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(values=st.lists(st.floats(width=32), min_size=1, max_size=40))
@settings(deadline=None)  # the first call compiles
def test_one_that_is_no_number_shows(dtype: type, values: list[float]) -> None:
    array = np.array(values, dtype)
    assert largest_or_nan(array) == pytest.approx(float(np.abs(array).max()), nan_ok=True, rel=0, abs=0)
