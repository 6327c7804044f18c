"""Lowering: what is shared, what is stable, what it refuses; and that it always ends."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree
from lossdsl.lowering import LoweringError, lower
from lossdsl.program import ARITY, Axis, Program, reachable
from lossdsl.targets.numpy import evaluate
from lossdsl.testing import formulas


def operations(program: Program) -> list[str]:
    return [step.op for step in program.steps]


@settings(max_examples=150, deadline=None)
@given(formula=formulas(depth=5), axis=st.sampled_from(("pred", "score")))
def test_programs_are_well_formed_and_nothing_but_loss_errors_comes_out(formula: Formula, axis: str) -> None:
    try:
        program = lower(formula, axis)  # type: ignore[arg-type]
    except LossError:
        return
    for number, step in enumerate(program.steps):
        assert len(step.args) == ARITY[step.op]
        assert all(a < number for a in step.args)
        assert (step.op == "constant") == (step.constant is not None)
    assert reachable(program.steps, (program.value, program.slope)) == tuple(range(len(program.steps)))
    assert len(set(program.steps)) == len(program.steps), "a step is there twice"
    assert program == lower(formula, axis)  # type: ignore[arg-type]


NODES = st.recursive(
    st.sampled_from((Name("label"), Name("pred"), Name("score"), Number(Fraction(1)), Number(Fraction(1, 3))))
    | st.just(Apply("sub", (Number(Fraction(1)), Name("label")))),
    lambda inner: st.builds(
        lambda op, a, b: Apply(op, (a, b) if op in ("mul", "add", "sub", "div") else (a,)),
        st.sampled_from(("mul", "mul", "add", "sub", "neg", "neg", "div", "square", "log", "sigmoid", "exp", "abs")),
        inner,
        inner,
    ),
    max_leaves=25,
)


@settings(max_examples=200, deadline=None)
@given(root=NODES)
def test_rewrites_come_to_an_end(root: Node) -> None:
    """Products of labels and signs are where two rows could undo each other for ever."""
    try:
        program = lower(Tree(root))
    except LossError:
        return
    assert len(program.steps) < 2000


def test_shared_parts_are_computed_once() -> None:
    program = lower("exp(sqrt(pred+1))*label + log(sqrt(pred+1))", "pred")
    assert operations(program).count("sqrt") == 1
    assert operations(program).count("exp") == 1
    assert operations(lower("focal")).count("sigmoid") == 2


def test_bce_on_the_score_is_the_stable_form_by_itself(precise: SimpleNamespace) -> None:
    stable = lower("bce")
    for text in (
        "bce",
        "-(label*log(pred) + (1-label)*log(1-pred))",
        "label*log(1/pred) + (1-label)*log(1/(1-pred))",
        "-label*log(1/(1+exp(-score))) - (1-label)*log(1-1/(1+exp(-score)))",
        "label*softplus(-score) + (1-label)*softplus(score)",
        "label*log(1+exp(-score)) + (1-label)*log(1+exp(score))",
        "-label*log(sigmoid(score)) - (1-label)*log1p(-sigmoid(score))",
    ):
        program = lower(text)
        assert precise.written(program) == precise.written(stable), text
        assert precise.written(program, program.slope) == precise.written(stable, stable.slope), text
    assert set(operations(lower("bce"))) == {"input", "neg", "sigmoid", "logsigmoid", "mix"}


@pytest.mark.parametrize("text", ["(pred-label)^2", "(label-pred)^2", "square(pred-label)", "abs(pred-label)^2"])
def test_residuals_keep_their_digits(text: str) -> None:
    value, slope = evaluate(lower(text), np.array([40.0, -40.0]), np.array([1.0, 0.0]))
    q = np.exp(-40.0)
    assert np.allclose(value, q**2, rtol=1e-12) and np.allclose(slope, [-2 * q**2, 2 * q**2], rtol=1e-12)


@pytest.mark.parametrize("axis", ["pred", "score"])
def test_a_base_of_nought_has_no_slope_whatever_its_exponent(axis: Axis) -> None:
    for text, slopes in (("label^pred", [0.0, 0.0]), ("0^pred", [0.0, 0.0]), ("(2*label)^pred", [0.0, None])):
        value, slope = evaluate(lower(text, axis), np.array([0.25, 0.75]), np.array([0.0, 1.0]))
        assert np.isfinite(value).all() and np.isfinite(slope).all()
        assert all(wanted is None or found == wanted for found, wanted in zip(slope, slopes))


def test_integer_powers_are_products_and_others_are_not() -> None:
    assert "pow" not in operations(lower("pred^5 + pred^-3", "pred"))
    assert "pow" not in operations(lower("pred^0.5", "pred"))
    assert "pow" in operations(lower("pred^1.5", "pred"))
    value, slope = evaluate(lower("score^7"), [1.5], 0)
    assert value[0] == pytest.approx(1.5**7) and slope[0] == pytest.approx(7 * 1.5**6)
    assert evaluate(lower("(score-label)^3"), [-2.0], 0.0)[1][0] == 12.0


@pytest.mark.parametrize(
    ("text", "at", "slope"),
    [
        ("max(score, 2*score)", 0, 1.5),
        ("min(score, 2*score)", 0, 1.5),
        ("max(score, 0)", 0, 0.5),
        ("relu(score)", 0, 0),
        ("abs(score)", 0, 0),
        ("sign(score)", 0, 0),
        ("sqrt(score^2)", 0, 0),
        ("clamp(score, 0, 1)", 0, 1),
        ("clamp(score, 0, 1)", 1, 1),
        ("clamp(score, 0, 1)", 2, 0),
        ("clamp(score, score/2, 1)", -2, 0.5),
        ("if(score < 0, -score, 2*score)", 0, 2),
        ("plog(score)", 0, 0),
        ("psqrt(score)", 0, 0),
        ("pinv(score)", 0, 0),
        ("max(score, score)", 3, 1),
    ],
)
def test_kinks(text: str, at: float, slope: float) -> None:
    assert evaluate(lower(text), [float(at)], 0.0)[1].tolist() == [slope]


def test_labels_can_be_fixed() -> None:
    for label in (0, 1):
        program = lower("focal", label=label)
        assert not program.uses_label
        expected = evaluate(lower("focal"), [0.7], float(label))
        assert evaluate(program, [0.7]) == tuple(pytest.approx(v, rel=1e-14) for v in expected)


def test_pairs_are_both_sides_of_the_difference() -> None:
    d = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    for name in ("bce", "focal", "mse", "hinge"):
        value, slope = evaluate(lower(name, pairwise=True), d)
        (v1, s1), (v0, s0) = evaluate(lower(name), d, 1.0), evaluate(lower(name), -d, 0.0)
        assert np.allclose(value, (v1 + v0) / 2) and np.allclose(slope, (s1 - s0) / 2)
    assert lower("bce", pairwise=True) == lower("bpr", pairwise=True) == lower("bpr")
    with pytest.raises(LoweringError, match="difference"):
        lower("bce", "pred", pairwise=True)


def test_parameters() -> None:
    assert lower("focal where gamma = 2") == lower("focal")
    assert lower("focal", values={"gamma": 3}) == lower("focal where gamma = 3")
    assert lower("focal", free=("gamma",)).parameters == ("gamma",)
    assert lower("pred*c where c in [0, 1]").parameters == ("c",)
    with pytest.raises(LoweringError, match="no parameter `beta`"):
        lower("focal", values={"beta": 1})


def test_what_cannot_be_computed_names_the_part_and_its_place() -> None:
    with pytest.raises(LoweringError) as caught:
        lower("label + log(1-1)*pred", "pred")
    assert "`log(1-1)`" in str(caught.value)
    assert caught.value.span is not None
    assert "label + log(1-1)*pred"[caught.value.span.start : caught.value.span.end] == "log(1-1)"
    with pytest.raises(LoweringError, match="contains score"):
        lower("hinge", "pred")


def test_constants_fold_to_the_last_digit() -> None:
    (constant,) = [s.constant for s in lower("exp(log(3))*pred - 0*label", "pred").steps if s.op == "constant"][:1]
    assert constant is not None and float(constant) == 3.0
    assert float(lower("expm1(log(1.000001))", "pred").floats[0]) == pytest.approx(1e-6, rel=1e-15)


@pytest.mark.parametrize("text", ["exp(-100000)", "logsigmoid(1e5)", "sigmoid(-30000)*expm1(-1e-60)", "1e-60^16"])
def test_constants_beyond_all_floats_are_zero_with_a_sign_and_can_be_written(text: str) -> None:
    program = lower(f"pred + {text}", "pred")
    assert len(str(program)) < 4000 and len(repr(program)) < 8000
    assert [abs(f) for f in program.floats if f != 1.0] == [0.0] * (len(program.floats) - 1)
    sign = lower(f"pred*sign({text})", "pred")
    expected = 1.0 if text in ("exp(-100000)", "1e-60^16") else -1.0
    assert sign.floats[sign.slope] == expected


def test_a_factor_zero_keeps_the_domain() -> None:
    """0*log(score) has no value at -1, and must not get one by folding; 0*pred has one everywhere."""
    assert np.isnan(evaluate(lower("0*log(score)"), [-1.0])[0][0])
    assert operations(lower("0*pred", "pred")) == ["constant"]


def test_a_program_prints_and_knows_what_it_needs() -> None:
    program = lower(parse("bce"))
    assert str(program).splitlines()[0] == "%0 = input label"
    assert "value" in str(program) and "slope" in str(program)
    assert set(program.value_steps) | set(program.slope_steps) == set(range(len(program.steps)))
