"""The free test: what it throws away, what it turns round, and which losses it takes for the same."""

from __future__ import annotations

import numpy as np
import pytest

from lossdsl.formula import parse
from lossdsl.grammar.losses import loss_names
from lossdsl.grammar.tree import Tree
from lossdsl.lowering import lower
from lossdsl.search.screen import curves_of, screen


def judged(text: str, **options: bool) -> str:
    return screen(parse(text).tree.root, **options).why


KNOWN = [name for name in loss_names() if name not in ("predpredlabel", "bpr") and not parse(name).tree.where]


@pytest.mark.parametrize("name", KNOWN)
def test_known_losses_pass(name: str) -> None:
    assert screen(parse(name).tree.root).why == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("label", "it does not use pred"),
        ("-log(pred)", "it does not use label"),
        ("label*(1-pred)", "its slope is zero at label 0"),
        ("label*pred + (1-label)*(1-pred)*pred", "its slope changes sign"),
        ("log(label - pred)", "it has no finite value or slope at label 0, score -5"),
    ],
)
def test_senseless_ones_do_not(text: str, why: str) -> None:
    assert judged(text) == why


def test_one_that_pulls_the_wrong_way_is_turned_round() -> None:
    wrong = screen(parse("label*pred + (1-label)*(1-pred)").tree.root)
    assert wrong.why == ""
    assert wrong.root == parse("-(label*pred + (1-label)*(1-pred))").tree.root


def test_what_trains_has_mean_slope_one() -> None:
    for text in ("(label-pred)^2", "100*(label-pred)^2", "-log(label*pred + (1-label)*(1-pred))"):
        found = screen(parse(text).tree.root)
        scores = np.linspace(-2, 2, 101)
        _, slope = curves_of(lower(Tree(found.trained)), scores)
        assert np.abs(slope).mean() == pytest.approx(1.0, abs=0.1)


def test_losses_that_train_alike_have_one_key() -> None:
    same = ["bce", "2*(bce)", "-log(label*pred + (1-label)*(1-pred))", "-log(label*pred + (1-label)*(1-pred)) + label"]
    texts = ["-label*log(pred) - (1-label)*log(1-pred)" if t == "bce" else t for t in same]
    texts = [t.replace("(bce)", "(-label*log(pred) - (1-label)*log(1-pred))") for t in texts]
    keys = {screen(parse(t).tree.root).key for t in texts}
    assert len(keys) == 1
    assert screen(parse("(label-pred)^2").tree.root).key not in keys


def test_a_pairwise_loss_may_leave_out_the_label() -> None:
    assert judged("-logsigmoid(score)", pairwise=True) == ""
    turned = screen(parse("logsigmoid(score)").tree.root, pairwise=True)
    assert turned.root == parse("-logsigmoid(score)").tree.root


def test_credit_rises_with_how_far_a_proposal_comes() -> None:
    texts = ["label", "pred", "label*(1-pred)", "label*pred + (1-label)*(1-pred)*pred", "(label-pred)^2"]
    credits = [screen(parse(t).tree.root).credit for t in texts]
    assert credits == sorted(credits) and credits[0] == 0.0 and credits[-1] == 1.0
