"""Parameters in one array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.recsys.flat import aligned, joined, like, named
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Trainer

shapes = st.lists(st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=5)


@given(shapes, st.sampled_from(["float32", "float64"]))
def test_what_is_joined_is_found_again_by_name(given_shapes: list[tuple[int, ...]], dtype: str) -> None:
    parts = {f"p{k}": np.random.default_rng(k).standard_normal(shape) for k, shape in enumerate(given_shapes)}
    flat = joined(list(parts.values()), np.dtype(dtype))
    assert flat.dtype == dtype and flat.size == sum(part.size for part in parts.values())
    views = named(flat, {name: part.shape for name, part in parts.items()}, "x:")
    for name, part in parts.items():
        np.testing.assert_array_equal(views[f"x:{name}"], part.astype(dtype))
        views[f"x:{name}"][...] = 7
    assert (flat == 7).all()  # views, not copies, and nothing between them


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_array_begins_at_a_cache_line(dtype: str) -> None:
    for size in (1, 3, 1000, 100_003):
        array = aligned(size, np.dtype(dtype))
        assert array.size == size and array.dtype == dtype and array.ctypes.data % 64 == 0
        assert not array.any()
        other = like(array)
        assert other.ctypes.data % 64 == 0 and other.size == size and other is not array


@pytest.mark.parametrize("model", ["biasedmf", "ranknet"])
def test_the_engines_keep_their_parameters_so(model: str, small) -> None:
    engine = Trainer("bce", small, Settings(model, dim=2, layers=(3,), optimizer="adam")).engine
    for array in (engine.weights, engine.gradient, *engine.moments.values()):
        assert array.ctypes.data % 64 == 0
