"""What the printers of the dialects write reads back as an equal function."""

from __future__ import annotations

from fractions import Fraction
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lossdsl
from lossdsl.errors import LossError
from lossdsl.formula import Formula
from lossdsl.grammar.dialects import read, write
from lossdsl.grammar.tree import Apply, Binding, Name, Number, Tree
from lossdsl.lowering import lower
from lossdsl.targets.numpy import evaluate
from lossdsl.testing import formulas

quick = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
ANY = formulas(variables=("pred", "label", "score"), parameters=True)


def values(tree: Tree) -> tuple[np.ndarray, np.ndarray]:
    """Value and slope at a few points; no number anywhere where a constant in it, such as log(0), has none."""
    fixed = {b.name: float((b.low + b.high) / 2) for b in tree.where}
    try:
        program = lower(tree, axis="score")
    except LossError:
        return np.full(20, np.nan), np.full(20, np.nan)
    score = np.random.default_rng(1).uniform(-3, 3, 20)
    with np.errstate(all="ignore"):
        value, slope = evaluate(program, score, np.tile([0.0, 1.0], 10), {n: fixed[n] for n in program.parameters})
    return np.broadcast_to(value, 20), np.broadcast_to(slope, 20)


def same(one: Tree, other: Tree) -> None:
    assert one.where == other.where
    a, b = values(one), values(other)
    inside = np.isfinite(a[0]) & np.isfinite(b[0]) & (np.abs(a[0]) < 1e100)
    for left, right in zip(a, b):
        fine = inside & np.isfinite(left) & np.isfinite(right) & (np.abs(left) < 1e100)
        np.testing.assert_allclose(left[fine], right[fine], rtol=1e-6, atol=1e-9)
    # where one overflows or leaves the domain, so does the other, but for the last digits
    assert np.mean(np.isfinite(a[0]) != np.isfinite(b[0])) < 0.5


@quick
@given(ANY)
def test_python_reads_back(formula: Formula) -> None:
    same(read(write(formula.tree, "python"), "python").tree, formula.tree)


@quick
@given(ANY)
def test_latex_reads_back(formula: Formula) -> None:
    same(read(write(formula.tree, "latex"), "latex").tree, formula.tree)


SHARED = tuple("add sub mul div pow neg log exp sqrt abs tanh sigmoid if lt ge".split())


@quick
@given(formulas(operators=SHARED, variables=("pred", "label", "score"), parameters=True))
def test_what_both_can_say_reads_back_as_the_same_tree(formula: Formula) -> None:
    for dialect in ("python", "latex"):
        tree = read(write(formula.tree, dialect), dialect).tree
        if "10^{" not in write(formula.tree, "latex"):  # 1e-6 comes back as a power of ten
            assert tree == formula.tree, dialect


LOG = (
    "add",
    "sub",
    "mul",
    "div",
    "neg",
    "log",
    "exp",
    "sqrt",
    "abs",
    "tanh",
    "sigmoid",
    "relu",
    "min",
    "max",
    "square",
)


@quick
@given(formulas(operators=LOG))
def test_the_log_as_printed_reads_back(formula: Formula) -> None:
    same(read(write(formula.tree, "autolossgen-plain"), "autolossgen-plain").tree, formula.tree)


LEAVES = st.sampled_from([Name("pred"), Name("label"), Number(Fraction(1))])
BOUNDS = (Number(Fraction(1, 10**5)), Number(Fraction(10**5)))


def clamped(inner: st.SearchStrategy[Apply]) -> st.SearchStrategy[Apply]:
    one = st.sampled_from(["plog", "pinv", "psqrt", "neg", "sigmoid", "tanh", "relu", "exp", "abs"])
    two = st.sampled_from(["add", "mul", "max", "min"])
    made = st.one_of(
        st.tuples(one, inner).map(lambda t: Apply(t[0], (t[1],))),
        st.tuples(two, inner, inner).map(lambda t: Apply(t[0], t[1:])),
        inner.map(lambda a: Apply("pow", (a, Number(Fraction(2))))),
    )
    return made.map(lambda a: Apply("clamp", (a, *BOUNDS)))


@quick
@given(st.recursive(LEAVES, clamped, max_leaves=8))
def test_the_log_as_trained_reads_back_as_the_same_tree(root: Apply) -> None:
    text = write(Tree(root), "autolossgen")
    assert read(text, "autolossgen").tree == Tree(root)


@pytest.mark.parametrize(
    ("text", "dialect", "culprit"),
    [
        ("-log(pred)", "autolossgen", "-log(pred)"),
        ("clamp(log(pred), 1e-5, 1e5)", "autolossgen", "clamp(log(pred), 1e-5, 1e5)"),
        ("clamp(pred+label, 0, 1)", "autolossgen-plain", "clamp(pred+label, 0, 1)"),
        ("pred*softplus(score)", "autolossgen-plain", "softplus(score)"),
    ],
)
def test_what_the_log_cannot_say_is_refused(text: str, dialect: str, culprit: str) -> None:
    with pytest.raises(LossError, match="cannot say") as caught:
        write(lossdsl.parse(text).tree, dialect)
    assert f"`{culprit}`" in str(caught.value)


NAMES = st.sampled_from(
    "gamma sigma y s p f x e N t eps gamma_pos alpha_1 y_hat s_i pos_score K F torch for otherwise and l pi mean _a "
    "a__b i where_ ell varepsilon labels true logits u_ui".split()
)


@quick
@given(st.lists(NAMES, min_size=1, max_size=3, unique=True), st.integers(-3, 3))
def test_any_name_of_a_parameter_survives(names: list[str], low: int) -> None:
    root: Apply = Apply("mul", (Name("label"), Apply("sigmoid", (Name("score"),))))
    for name in names:
        root = Apply("add", (root, Apply("mul", (Name(name), Apply("exp", (Name("pred"),))))))
        root = Apply("mul", (Name("score"), Apply("sub", (root, Name(name)))))
    tree = Tree(root, tuple(Binding(n, Fraction(low), Fraction(low + i)) for i, n in enumerate(names)))
    assert read(write(tree, "latex"), "latex").tree == tree
    if {"for", "and"} & set(names):
        with pytest.raises(LossError, match="keyword"):
            write(tree, "python")
    else:
        assert read(write(tree, "python"), "python").tree == tree


RUNNABLE = [
    "-label*log(pred) - (1-label)*log(1-pred)",
    "max(0, score, label)",
    "max(log(2), 3) - min(1, 2, score)",
    "clamp(score, -1, pred) + clamp(score, -1, 1) + clamp(2, 0, score)",
    "if(1 < 2, score, pred)",
    "if(score > 0, 1, 0)*softplus(-score)",
    "plog(score) + psqrt(score)^2 + pinv(score, 1e-3)",
]


@pytest.mark.parametrize("text", RUNNABLE)
def test_python_runs_in_torch(text: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    tree = lossdsl.parse(text).tree
    file = tmp_path / "written.py"
    file.write_text(
        "import math\nimport torch\nimport torch.nn.functional as F\n\n"
        f"def loss(pred, label, score):\n    return {write(tree, 'python')}\n"
    )
    spec = spec_from_file_location("written", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    score = torch.linspace(-2, 2, 9, dtype=torch.float64)
    found = module.loss(torch.sigmoid(score), torch.ones_like(score), score)
    wanted, _ = evaluate(lower(tree), score.numpy(), np.ones(9))
    np.testing.assert_allclose(np.broadcast_to(np.asarray(found), 9), np.broadcast_to(wanted, 9), rtol=1e-12)
