"""What the page is told, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lossdsl.grammar.losses import loss_names
from lossdsl.web.answer import BadRequest, answer


@pytest.mark.parametrize("name", loss_names())
def test_every_named_loss_has_everything(name: str) -> None:
    found = json.loads(json.dumps(answer({"formula": name, "beside": "mse"})))
    assert found["report"]["verdict"] in ("valid", "invalid")
    assert [p["quantity"] for p in found["pictures"]] == ["value", "slope"]
    assert all(p["svg"].startswith("<svg ") and p["alt"] for p in found["pictures"])
    assert found["latex"] and found["pytorch"]
    assert all(f["explanation"] for f in found["report"]["properties"].values())


def test_a_mistake_is_an_answer() -> None:
    found = answer({"formula": "-log(sigmod(score))"})
    assert found["report"]["error"]["span"] == [5, 11]
    assert found["pictures"] == [] and found["latex"] is None


def test_a_pair_is_judged_and_drawn_as_one() -> None:
    alone = answer({"formula": "-logsigmoid(score)"})
    pair = answer({"formula": "-logsigmoid(score)", "pairwise": True})
    assert (alone["report"]["verdict"], pair["report"]["verdict"]) == ("invalid", "valid")
    assert "score difference of the pair" in pair["pictures"][0]["svg"]


def test_the_picture_reaches_where_the_gradient_dies() -> None:
    found = answer({"formula": "-log(1e-10 + sigmoid(score))", "pairwise": True})
    assert found["report"]["properties"]["no_saturation"]["status"] == "refuted"
    assert "−40</text>" in found["pictures"][1]["svg"]
    assert "−40</text>" not in answer({"formula": "bpr"})["pictures"][1]["svg"]


def test_the_axis_can_be_chosen() -> None:
    assert ">score</text>" in answer({"formula": "bce", "axis": "score"})["pictures"][0]["svg"]
    assert ">pred</text>" in answer({"formula": "hinge", "axis": "pred"})["pictures"][0]["svg"]


def test_markup_in_a_formula_stays_text() -> None:
    found = answer({"formula": "<img src=x onerror=alert(1)>"})
    assert found["report"]["verdict"] == "error"
    picture = answer({"formula": "pred*zz where zz = 1"})["pictures"][0]["svg"]
    assert "<script" not in picture


@pytest.mark.parametrize(
    "request_",
    [
        None,
        [],
        "bce",
        {},
        {"formula": None},
        {"formula": ["bce"]},
        {"formula": "bce", "beside": "../../etc/passwd"},
        {"formula": "bce", "beside": "log(pred)"},
        {"formula": "bce", "dialect": "ruby"},
        {"formula": "bce", "label": "{2}"},
        {"formula": "bce", "pairwise": 1},
        {"formula": "bce", "pairwise": "yes"},
        {"formula": "bce", "axis": {"a": 1}},
        {"formula": "bce", "timeout": 1e9},
    ],
)
def test_what_the_page_never_sends_is_refused(request_: Any) -> None:
    with pytest.raises(BadRequest):
        answer(request_)
