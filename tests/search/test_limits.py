"""Settings that no search can be made with are refused by name, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossdsl.errors import LossError
from lossdsl.search.limits import BOUNDS, _flat, check
from lossdsl.search.presets import MODELS, PRESETS, for_model, for_task, preset
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign


def test_every_limit_is_one_of_a_setting_and_holds_for_what_is_shipped() -> None:
    assert BOUNDS.keys() <= dict(_flat(Settings())).keys()
    for name in PRESETS:
        check(preset(name))
    for model in MODELS:
        check(for_model(Settings(), model))
        check(for_task(for_model(Settings(), model), "implicit"))


@pytest.mark.parametrize("name", BOUNDS)
def test_below_the_least_and_above_the_most(name: str) -> None:
    least, most = BOUNDS[name]
    usual = dict(_flat(Settings()))[name]
    whole = isinstance(usual[0] if isinstance(usual, tuple) and usual else usual, int)

    def be(value: float) -> None:
        check(assign(Settings(), f"{name}={int(value) if whole else float(value)}"))

    for value in (least - 1, most + 1):
        if value not in (float("inf"), float("-inf")):
            with pytest.raises(LossError, match=f"`{name}` has to be"):
                be(value)
    for value in (least, most):
        # A low end above the high one is another matter.
        if value != float("inf") and (name, value) not in (("original.point_low", 1), ("original.point_high", 0)):
            be(value)


@pytest.mark.parametrize("change", ["training.layers=[]", "training.lr=inf", "training.l2=[nan]", "space.operators=[]"])
def test_what_is_empty_or_no_number(change: str) -> None:
    with pytest.raises(LossError, match=f"`{change.split('=')[0]}`"):
        check(assign(Settings(), change))


def test_the_l2_is_open_but_not_in_the_published_method() -> None:
    check(assign(Settings(), "training.l2=[]"))
    with pytest.raises(LossError, match="`training.l2` is empty"):
        check(assign(preset("autolossgen"), "training.l2=[]"))


BAD = {
    "strategy=foo": "no strategy is called `foo`; there are controller, ppo, evolution, random",
    "preset=foo": "no preset is called `foo`; known: `autolossgen`",
    "model=foo": "no model is called `foo`; known: `biasedmf`, `deepmodel`, `ranknet`",
    "task=foo": "no task is called `foo`; known: `explicit`, `implicit`",
    "controller.init=-1.0": "`controller.init` has to be from 0 to 100, not -1.0",
    "controller.beta1=1.0": "`controller.beta1` has to be from 0 to 0.999999, not 1.0",
    "controller.beta2=-0.5": "`controller.beta2` has to be from 0 to 0.999999, not -0.5",
    "ladder.slots=300000": "`ladder.slots` has to be from 1 to 1000, not 300000",
    "space.operators=['foo']": "unknown operator `foo` in the search space; known: ",
    "space.clamp_low=1e6": "`space.clamp_low` has to be below `space.clamp_high`, not 1000000.0 and 100000.0",
}


@pytest.mark.parametrize("change", BAD)
def test_what_no_search_can_be_made_with(change: str) -> None:
    with pytest.raises(LossError) as error:
        check(assign(Settings(), change))
    assert str(error.value).startswith(BAD[change])


def test_the_published_method_has_one_task() -> None:
    with pytest.raises(LossError, match="explicit task only"):
        check(assign(preset("autolossgen"), "task=implicit"))


def test_a_search_is_refused_before_it_is_written(tmp_path: Path) -> None:
    said: list[str] = []
    for settings, budget in ((assign(Settings(), "ladder.batch=0"), "9trials"), (Settings(), "9"),
                             (assign(Settings(), "data=nowhere"), "9trials"),
                             (assign(preset("autolossgen"), "strategy=ppo"), "9trials"),
                             *((assign(Settings(), change), "9trials") for change in BAD),
                             (assign(preset("autolossgen"), "space.operators=['foo']"), "9trials")):  # fmt: skip
        with pytest.raises(LossError):
            search(settings, run_dir=tmp_path / "run", budget=budget, say=said.append)
    assert not (tmp_path / "run").exists() and not said
