"""A model, a preset and a task mean the same wherever they are named; what is said besides goes over their numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.search.layers import layered
from lossdsl.search.presets import MODELS, PRESETS, TASKS, for_model, for_task, preset
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assigned, merge

NAMED = st.fixed_dictionaries({}, optional={"model": st.sampled_from([*MODELS]), "task": st.sampled_from(TASKS)})
OWN = st.fixed_dictionaries({}, optional={
    "seed": st.integers(0, 9), "training": st.fixed_dictionaries({"epochs": st.integers(1, 9)}),
    "ladder": st.fixed_dictionaries({"folds": st.integers(0, 2)}),
})  # fmt: skip


@given(named=NAMED, own=OWN, others=OWN, place=st.integers(0, 2))
def test_it_does_not_matter_where_a_model_is_named(
    named: dict[str, Any], own: dict[str, Any], others: dict[str, Any], place: int
) -> None:
    layers: list[dict[str, Any]] = [own, {}, others]
    layers[place] = {**layers[place], **named}
    expected = for_task(for_model(Settings(), named.get("model", "biasedmf")), named.get("task", "explicit"))
    expected = merge(merge(expected, own, ""), others, "")
    assert layered([("", layer) for layer in layers]) == expected


@given(first=NAMED, last=NAMED)
def test_the_last_one_wins(first: dict[str, Any], last: dict[str, Any]) -> None:
    assert layered([("", first), ("", last)]) == layered([("", {**first, **last})])


@pytest.mark.parametrize("named", ["preset=autolossgen", 'preset="autolossgen"'])
def test_a_preset_that_is_a_setting_is_the_published_method(named: str) -> None:
    settings = layered([("--set", assigned("training.dim=8")), ("--set", assigned(named))])
    published = preset("autolossgen")
    assert settings.controller == published.controller and settings.preset == "autolossgen"
    assert settings.training == merge(published.training, {"dim": 8}, "")


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"preset": "foo"}, "no preset is called `foo`; known: `autolossgen`"),
        ({"model": "foo"}, "no model is called `foo`; known: `biasedmf`, `deepmodel`, `ranknet`"),
        ({"task": "foo"}, "no task is called `foo`; known: `explicit`, `implicit`"),
        ({"preset": "autolossgen", "task": "implicit"}, "the published method searches in the explicit task only"),
        ({"model": 3}, "a file: `model` is a str, such as 'biasedmf', not 3"),
    ],
)
def test_what_is_not_there_is_refused(layer: dict[str, Any], said: str) -> None:
    for layers in ([layer], [{name: value} for name, value in layer.items()]):
        with pytest.raises(LossError) as error:
            layered([("a file", part) for part in layers])
        assert str(error.value) == said


def test_every_preset_and_model_has_a_name() -> None:
    assert {"", "autolossgen"} == set(PRESETS)
    assert layered([]) == Settings()
