"""What belongs together: the published method's constants, and the settings of the fair test."""

from __future__ import annotations

import pytest

from lossdsl.errors import LossError
from lossdsl.search.presets import for_model, for_test, preset
from lossdsl.search.toml import assign


def test_an_unknown_preset_is_said() -> None:
    with pytest.raises(LossError, match="known: `autolossgen`"):
        preset("original")


def test_the_preset_has_the_published_constants() -> None:
    # Li et al., AutoLossGen, SIGIR 2022, and the command of their README.
    p = preset("autolossgen")
    c, o, t = p.controller, p.original, p.training
    assert (c.size, c.init, c.tanh_constant, c.lr, c.beta1, c.beta2, c.eps, c.clip_norm, c.entropy) == (
        64, 0.1, 1.5, 1e-3, 0.0, 0.999, 1e-3, 5.0, 1e-4)  # fmt: skip
    assert (c.baseline_step, c.sample_operator, c.sample_operand) == (0.01, True, True)
    assert (o.aggregate, o.train_steps, o.reject_divisor) == (10, 10, 10)
    assert (o.points, o.point_low, o.point_high) == (20, 0.1, 0.9)
    assert (o.zero_slope, o.same_slope, o.skip_limit, o.reject_limit) == (1e-4, 1e-4, 1e-5, 1e-5)
    assert (t.dim, t.batch_size, t.optimizer, t.lr, t.init_std) == (64, 128, "gd", 0.01, 1.0)
    assert p.space.nodes == 10 and len(p.space.operators) == 9


def test_the_fair_test_reads_the_same_data() -> None:
    settings = assign(for_model(preset("autolossgen"), "ranknet"), "reading.fold=2")
    assert for_test(settings) is not settings and for_test(settings).reading == settings.reading
