"""The public strategy: knobs, reproducible texts."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import find, given, settings

from lossdsl.errors import MissingExtra
from lossdsl.formula import Formula
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import Apply, Name, Number, names, walk
from lossdsl.ranges import ranges
from lossdsl.testing import formulas, texts


@settings(max_examples=100, deadline=None)
@given(formulas(depth=3, operators=("add", "mul", "log"), variables=("score",)))
def test_only_the_named_operators_and_variables(formula: Formula) -> None:
    for node in walk(formula.tree.root):
        if isinstance(node, Apply):
            assert node.op in ("add", "mul", "log")
    assert names(formula.tree.root) <= {"score"}


@settings(max_examples=100, deadline=None)
@given(formulas(depth=2))
def test_depth(formula: Formula) -> None:
    depth: dict[object, int] = {}
    for node in walk(formula.tree.root):
        inner = node.args if isinstance(node, Apply) else ()
        skip = isinstance(node, Apply) and (OPERATORS[node.op].boolean or node.op == "neg")
        depth[node] = max((depth[a] for a in inner), default=0) + (0 if not inner or skip else 1)
    assert depth[formula.tree.root] <= 3  # a condition, and a sign, stand between


@settings(max_examples=150, deadline=None)
@given(formulas(depth=4, domain_safe=True, variables=("pred", "label", "score")))
def test_domain_safe_formulas_have_no_logarithm_of_what_may_be_negative(formula: Formula) -> None:
    known = ranges(formula.tree)
    for node in walk(formula.tree.root):
        if isinstance(node, Apply) and node.op in ("log", "sqrt", "reciprocal"):
            assert known[node.args[0]].not_negative
        if isinstance(node, Apply) and node.op == "div":
            assert known[node.args[1]].not_negative


def test_every_operator_is_drawn_and_parameters_get_values_and_ranges() -> None:
    seen: set[str] = set()
    ranged: set[bool] = set()

    @settings(max_examples=800, deadline=None, database=None, derandomize=True)
    @given(formulas(depth=3, parameters=True))
    def collect(formula: Formula) -> None:
        seen.update(node.op for node in walk(formula.tree.root) if isinstance(node, Apply))
        ranged.update(binding.value is None for binding in formula.tree.where)

    collect()
    assert seen == set(OPERATORS)
    assert ranged == {False, True}


def test_shrinking_ends_at_a_leaf() -> None:
    found = find(formulas(), lambda formula: True, settings=settings(database=None))
    assert isinstance(found.tree.root, (Name, Number))


@pytest.mark.parametrize("options", [{"operators": ["sine"]}, {"variables": ()}, {"variables": ("x",)}])
def test_wrong_knobs(options: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        formulas(**options)  # type: ignore[arg-type]


def test_without_hypothesis_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(MissingExtra, match=r"lossdsl\[testing\]"):
        formulas()


def test_texts_repeat_by_seed() -> None:
    assert list(islice(texts(5), 50)) == list(islice(texts(5), 50)) != list(islice(texts(6), 50))
