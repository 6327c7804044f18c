"""The gate: what it lets through is proved, as short as it may be, and has the prover's key."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.checking import check
from lossdsl.equivalence import slope_key
from lossdsl.formula import parse
from lossdsl.grammar.tree import Tree, names, size
from lossdsl.lowering import lower
from lossdsl.search.gate import Gate, noise
from lossdsl.search.mutation import mutate, random_tree
from lossdsl.search.screen import curves_of

BCE = "-log(label*pred + (1-label)*(1-pred))"


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_loss_of_pairs_is_what_it_is_at_label_1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known = parse("softplus(-score)*(3*label-1)").tree.root
    root = mutate(mutate(known, rng, [known]), rng, [known])
    judged = Gate(pairwise=True).judge(root)
    assert "label" not in names(judged.root)
    if not judged.why:
        assert check(judged.text, pairwise=True).verdict == "valid"
        scores = np.linspace(-3, 3, 13)
        theirs, ours = (curves_of(lower(Tree(r), axis="score"), scores)[1][1] for r in (root, judged.root))
        assert np.abs(ours) == pytest.approx(np.abs(theirs), rel=1e-6, abs=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_what_passes_is_valid_and_what_is_refused_says_why(seed: int) -> None:
    rng = np.random.default_rng(seed)
    known = parse(BCE).tree.root
    root = mutate(mutate(known, rng, [known]), rng, [known]) if seed % 2 else random_tree(rng, 3)
    gate = Gate()
    judged = gate.judge(root)
    assert gate.judge(root) is judged
    if judged.why:
        assert judged.credit < 1 and not judged.key
        return
    assert check(judged.text).verdict == "valid"
    assert gate.hash_of(judged) == slope_key(judged.text)
    assert size(judged.root) <= size(root) + 1  # a minus, where it had to be turned round
    scores = np.linspace(-3, 3, 13)
    theirs, ours = (curves_of(lower(Tree(r)), scores)[1] for r in (root, judged.root))
    assert np.abs(ours) == pytest.approx(np.abs(theirs), rel=1e-6, abs=1e-9)


def test_a_spelling_that_loses_digits_is_not_taken() -> None:
    kept = Gate().judge(parse("1/(label*pred^2 + (1-label)*(1-pred^2))").tree.root)
    assert not kept.why and noise(kept.root) < 0.01
    shorter = Gate().judge(parse("(label-pred)^2*1 + 0*label").tree.root)
    assert str(shorter.text).endswith("(label-pred)^2") or "square(label-pred)" in shorter.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("log(pred)*label + (1-label)*(1-pred)*abs(pred-0.5)", "its slope changes sign"),
        ("label*(pred-1)^2 + (1-label)*max(pred-0.99999, 0)", ""),
    ],
)
def test_senseless_ones_and_those_that_a_sample_cannot_tell(text: str, why: str) -> None:
    judged = Gate().judge(parse(text).tree.root)
    assert judged.why and judged.why.startswith(why)


def test_a_sample_that_finds_nothing_wrong_is_not_believed() -> None:
    # A dent of the slope between two points of the screen's grid.
    text = f"({BCE}) + 2*relu(0.01 - abs(score-0.1))*label"
    judged = Gate().judge(parse(text).tree.root)
    assert judged.why == "the prover: monotone is refuted", judged
