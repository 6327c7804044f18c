"""Settings that no search can be made with are refused by name, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossdsl.errors import LossError
from lossdsl.search.limits import LEAST, _flat, check
from lossdsl.search.session import search
from lossdsl.search.settings import MODELS, PRESETS, Settings, assign, for_model, for_task, preset


def test_every_limit_is_one_of_a_setting_and_holds_for_what_is_shipped() -> None:
    assert LEAST.keys() <= dict(_flat(Settings())).keys()
    for name in PRESETS:
        check(preset(name))
    for model in MODELS:
        check(for_model(Settings(), model))
        check(for_task(for_model(Settings(), model), "implicit"))


@pytest.mark.parametrize("name", LEAST)
def test_below_the_least_and_above_the_most(name: str) -> None:
    least, most = LEAST[name]
    whole = isinstance(dict(_flat(Settings()))[name], int)
    for value in (least - 1, most + 1):
        if value not in (float("inf"), float("-inf")):
            with pytest.raises(LossError, match=f"`{name}` has to be"):
                check(assign(Settings(), f"{name}={int(value) if whole else float(value)}"))
    check(assign(Settings(), f"{name}={int(least) if whole else float(least)}"))


@pytest.mark.parametrize("change", ["training.layers=[]", "training.lr=inf", "training.l2=[nan]", "space.operators=[]"])
def test_what_is_empty_or_no_number(change: str) -> None:
    with pytest.raises(LossError, match=f"`{change.split('=')[0]}`"):
        check(assign(Settings(), change))


def test_the_l2_is_open_but_not_in_the_published_method() -> None:
    check(assign(Settings(), "training.l2=[]"))
    with pytest.raises(LossError, match="`training.l2` is empty"):
        check(assign(preset("autolossgen"), "training.l2=[]"))


def test_a_search_is_refused_before_it_is_written(tmp_path: Path) -> None:
    said: list[str] = []
    for settings, budget in ((assign(Settings(), "ladder.batch=0"), "9trials"), (Settings(), "9"),
                             (assign(Settings(), "data=nowhere"), "9trials"),
                             (assign(preset("autolossgen"), "strategy=ppo"), "9trials")):  # fmt: skip
        with pytest.raises(LossError):
            search(settings, run_dir=tmp_path / "run", budget=budget, say=said.append)
    assert not (tmp_path / "run").exists() and not said
