"""From a batch to one prediction: what is dropped or replaced never changes the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossSyntaxError
from lossdsl.grammar.dialects import read
from lossdsl.grammar.dialects.meaning import complement, is_pair_name
from lossdsl.grammar.parser import read as parse
from lossdsl.lowering import lower
from lossdsl.targets.numpy import evaluate

Written = tuple[str, Callable[[Any, Any], Any]]  # a text, and what it means for two arrays


def grow(inner: st.SearchStrategy[Written], reductions: bool) -> st.SearchStrategy[Written]:
    def two(sign: str, act: Callable[[Any, Any], Any]) -> st.SearchStrategy[Written]:
        return st.tuples(inner, inner).map(
            lambda t: (f"({t[0][0]} {sign} {t[1][0]})", lambda a, b: act(t[0][1](a, b), t[1][1](a, b)))
        )

    def one(name: str, act: Callable[[Any], Any]) -> st.SearchStrategy[Written]:
        return inner.map(lambda t: (f"{name}({t[0]})", lambda a, b: act(t[1](a, b))))

    made = [two("+", np.add), two("-", np.subtract), two("*", np.multiply), one("-", np.negative), one("tanh", np.tanh)]
    return st.one_of(*made, one("torch.mean", np.mean)) if reductions else st.one_of(*made)


def leaf(text: str, meaning: Callable[[Any, Any], Any]) -> st.SearchStrategy[Written]:
    return st.just((text, meaning))


PAIRS = st.recursive(
    st.one_of(leaf("pos", lambda a, b: a), leaf("neg", lambda a, b: b), leaf("2", lambda a, b: 2.0)),
    lambda inner: grow(inner, False),
    max_leaves=7,
)
BATCHES = st.recursive(
    st.one_of(leaf("score", lambda a, b: a), leaf("label", lambda a, b: b), leaf("2", lambda a, b: 2.0)),
    lambda inner: grow(inner, True),
    max_leaves=6,
)
quick = settings(max_examples=400, deadline=None)


def point(text: str, score: Any, label: Any) -> Any:
    value, _ = evaluate(lower(read(text, "python").tree), score, label)
    return np.broadcast_to(value, score.shape)


@quick
@given(PAIRS)
def test_a_pair_is_read_by_its_difference_or_not_at_all(written: Written) -> None:
    text, meaning = written
    random = np.random.default_rng(0)
    pos, neg = random.normal(size=8), random.normal(size=8)
    try:
        found = point(text, pos - neg, np.ones(8))
    except LossSyntaxError as error:
        assert error.code == "LD303"
        return
    np.testing.assert_allclose(found, np.broadcast_to(meaning(pos, neg), 8), atol=1e-9)


@quick
@given(BATCHES)
def test_a_mean_is_dropped_where_the_loss_stays_the_mean_of_its_points(written: Written) -> None:
    text, meaning = written
    random = np.random.default_rng(0)
    score, label = random.normal(size=6), random.integers(0, 2, 6).astype(float)
    try:
        found = point(text, score, label)
    except LossSyntaxError as error:
        assert error.code == "LD302"
        return
    np.testing.assert_allclose(np.mean(found), np.mean(meaning(score, label)), atol=1e-9)


def test_names_of_pairs() -> None:
    for high, low in [
        ("pos", "neg"), ("pos_score", "neg_score"), ("positive_predictions", "negative_predictions"), ("x1", "x2"),
        ("input1", "input2"), ("score_pos", "score_neg"), ("s_i", "s_j"), ("pos_item_scores", "neg_item_scores"),
    ]:  # fmt: skip
        above, below = is_pair_name(high), is_pair_name(low)
        assert above is not None and below is not None
        assert (above[0], above[1], below[1]) == (below[0], 1, -1)
    for other in ("pos_weight", "neg_weight", "gamma_pos", "position", "x", "x3", "s", "negate", "y_true", "alpha_i"):
        assert is_pair_name(other) is None


def test_complements() -> None:
    def condition(text: str) -> Any:
        return parse(f"if({text}, 1, 0)*pred").tree.root.args[0].args[0]  # type: ignore[attr-defined]

    assert complement(condition("s < 1"), condition("s >= 1"))
    assert complement(condition("y >= 1"), condition("y <= 0"))
    assert not complement(condition("s < 1"), condition("s > 1"))
    assert not complement(condition("p >= 1"), condition("p <= 0"))
