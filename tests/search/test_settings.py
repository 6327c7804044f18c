"""Settings: read, written, changed, and what is said about wrong ones."""

from __future__ import annotations

import pytest

from lossdsl.errors import LossError
from lossdsl.recsys.data import USUAL_READING
from lossdsl.search.settings import Settings, assign, for_model, for_test, preset, read, write


@pytest.mark.parametrize("settings", [Settings(), preset("autolossgen"), for_model(Settings(), "ranknet")])
def test_what_is_written_reads_back(settings: Settings) -> None:
    assert read(write(settings), Settings(), "text") == settings


def test_one_value_is_set() -> None:
    assert assign(Settings(), "training.l2=[1e-4, 2e-4]").training.l2 == (1e-4, 2e-4)
    assert assign(Settings(), "training.lr=1").training.lr == 1.0
    assert assign(Settings(), "strategy=random").strategy == "random"
    assert assign(Settings(), "space.clamped=false").space.clamped is False


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("ladder.bach=3", "no setting is called `ladder.bach`; did you mean `ladder.batch`?"),
        ("ladder=3", "`ladder` is a table of settings"),
        ("ladder.batch=many", "`ladder.batch` is a int, such as 48, not 'many'"),
        ("ladder.batch", "--set wants key=value"),
        ("space.clamped=1", "`space.clamped` is a bool"),
    ],
)
def test_wrong_settings_are_named(assignment: str, message: str) -> None:
    with pytest.raises(LossError) as error:
        assign(Settings(), assignment)
    assert message in str(error.value)


def test_what_is_no_toml_is_said() -> None:
    with pytest.raises(LossError, match="here.toml: not TOML"):
        read("a = = 1", Settings(), "here.toml")


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


def test_what_is_not_said_is_read_as_ever() -> None:
    assert Settings().reading.reading() == USUAL_READING
    assert assign(Settings(), "reading.user=who").reading.reading().user == "who"


def test_a_run_of_before_there_was_a_table_of_reading() -> None:
    text = write(Settings(seed=3))
    begin = text.index("[reading]")
    old = text[:begin] + text[text.index("[space]") :]
    assert "reading" not in old and read(old, Settings(), "text") == Settings(seed=3)


def test_the_fair_test_reads_the_same_data() -> None:
    settings = assign(for_model(preset("autolossgen"), "ranknet"), "reading.fold=2")
    assert for_test(settings) is not settings and for_test(settings).reading == settings.reading
