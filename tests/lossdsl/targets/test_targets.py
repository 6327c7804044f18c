"""All targets say what the NumPy one says, and that one is held to 120 digits in its own test."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.loss import compile
from lossdsl.lowering import lower
from lossdsl.program import Program
from lossdsl.targets import c, export, latex, numpy_source, python_source
from lossdsl.targets.listing import function_name, programs
from lossdsl.targets.numpy import evaluate
from lossdsl.testing import formulas

SCORES = (-100.0, -50.0, -20.0, -3.0, -0.25, 0.125, 1.0, 5.0, 20.0, 50.0, 100.0)
PREDS = (1e-30, 1e-6, 0.03125, 0.3, 0.5, 0.7, 0.99, 1 - 1e-6)
NAMED = (
    *("bce", "mse", "focal", "maxr", "sumr", "logmin", "hinge", "squared_hinge", "huber", "exponential"),
    *("bpr", "ccl", "predpredlabel"),
)
EVERY_OPERATION = (
    "log(1+pred) + log1p(pred) + exp(pred)-1 + expm1(pred) + sqrt(pred) + pred^1.7 + pred^-2 + tanh(3*pred)"
    " + sigmoid(pred) + logsigmoid(2*pred) + softplus(pred) + sign(pred-label) + abs(pred-0.2) + relu(0.4-pred)"
    " + min(pred, label, 0.5) + max(pred, 0.3) + clamp(2*pred, 0.2, 0.9) + if(pred < label, pred, -pred)"
    " + if(pred >= 0.4, 1, pred) + if(pred <= 0.4, 1, pred) + if(pred > 0.6, exp(pred), 2)"
    " + plog(pred) + pinv(pred-2) + psqrt(pred-0.1) + 1/(2+pred) + pred/3 + 2/pred"
)


def run_source(text: str, formula: Formula, axis: str) -> Callable[..., Any]:
    """The function that generated source defines; tests may execute what our own printers wrote."""
    space: dict[str, Any] = {}
    exec(text, space)  # noqa: S102
    return space[function_name(formula, axis)]  # type: ignore[arg-type, no-any-return]


def python_target(formula: Formula, program: Program) -> Callable[[float, float], tuple[float, float]]:
    function = run_source(python_source.source(formula), formula, program.axis)
    return lambda x, y: function(x, y) if program.uses_label else function(x)


def numpy_target(formula: Formula, program: Program) -> Callable[[float, float], tuple[float, float]]:
    function = run_source(numpy_source.source(formula), formula, program.axis)

    def at(x: float, y: float) -> tuple[float, float]:
        value, slope = function([x], [y]) if program.uses_label else function([x])
        return float(value[0]), float(slope[0])

    return at


def torch_target(backend: str) -> Callable[[Formula, Program], Callable[[float, float], tuple[float, float]]]:
    def make(formula: Formula, program: Program) -> Callable[[float, float], tuple[float, float]]:
        loss = compile(formula, backend, reduction="sum")

        def at(x: float, y: float) -> tuple[float, float]:
            given = torch.tensor([x], dtype=torch.float64, requires_grad=True)
            label = {} if formula.pairwise else {"label": torch.tensor([y], dtype=torch.float64)}
            value = loss(**{program.axis: given}, **label)
            if value.requires_grad:
                value.backward()
            return value.item(), 0.0 if given.grad is None else given.grad.item()

        return at

    return make


TARGETS = {
    "python": python_target,
    "numpy": numpy_target,
    "torchscript": torch_target("torchscript"),
    "eager": torch_target("eager"),
}


def agree(precise: SimpleNamespace, target: str, formula: Formula, axis: str, label: float) -> int:
    """Compare with the truth at every point where rounding does not decide; gives how many those were."""
    program = lower(formula, axis)  # type: ignore[arg-type]
    at = TARGETS[target](formula, program)
    seen = 0
    for x in PREDS if axis == "pred" else SCORES:
        limits = precise.bound(program, x, label, np.float64)
        try:
            true = precise.truth(formula.tree, axis, x, label)
        except precise.Unclear:
            continue
        for got, right, limit in zip(at(x, label), true, limits):
            if limit < np.inf:
                seen += 1
                slack = 8 * limit + abs(right) * 1e-90
                # the eager target leaves slopes to autograd, whose steps are not those of the Program
                slack += (1e-9 * (abs(right) + 1)) if target == "eager" else 0
                assert abs(got - right) <= slack, (target, str(formula), axis, x, label, got, right)
    return seen


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", [*NAMED, EVERY_OPERATION])
def test_targets_on_the_named_losses_and_on_every_operation(precise: SimpleNamespace, target: str, name: str) -> None:
    formula = parse(name)
    for axis in programs(formula):
        for label in (0.0, 1.0):
            assert agree(precise, target, formula, axis, label) >= 6


@pytest.mark.parametrize("target", ["python", "numpy", "torchscript"])
@pytest.mark.parametrize("name", NAMED)
def test_named_losses_are_right_to_a_few_units_on_every_target(
    precise: SimpleNamespace, target: str, name: str
) -> None:
    formula = parse(name)
    program = lower(formula)
    at = TARGETS[target](formula, program)
    for score in SCORES:
        for label in (0.0, 1.0):
            limits = precise.bound(program, score, label, np.float64)
            try:
                true = precise.truth(formula.tree, "score", score, label)
            except precise.Unclear:  # score 1 is the kink of hinge
                continue
            for got, right, limit in zip(at(score, label), true, limits):
                # maxr: where label and pred are one number beside 1e-6, rounding meets the kink
                assert limit == np.inf or precise.ulps(got, right, np.float64) < 16, (score, label, got, right)


@settings(max_examples=80, deadline=None)
@given(
    formula=formulas(depth=4, domain_safe=True),
    target=st.sampled_from(("python", "numpy", "torchscript")),
    axis=st.sampled_from(("pred", "score")),
    label=st.sampled_from((0.0, 1.0)),
)
def test_targets_on_random_formulas(
    precise: SimpleNamespace, formula: Formula, target: str, axis: str, label: float
) -> None:
    try:
        agree(precise, target, formula, axis, label)
    except LossError as error:
        assert "no finite number" in str(error) or "division by zero" in str(error)


def test_sources_do_without_lossdsl(tmp_path: Path) -> None:
    for module, other in ((python_source, "numpy"), (numpy_source, "torch")):
        (tmp_path / "made.py").write_text(module.source(parse("focal")))
        code = (
            "import sys, made; v, s = made.focal_on_score(0.5, 1.0); print(float(v), float(s));"
            f" assert 'lossdsl' not in sys.modules and '{other}' not in sys.modules"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        value, slope = evaluate(lower("focal"), [0.5], 1.0)
        found = [float(t) for t in done.stdout.split()]
        assert found == pytest.approx([float(value[0]), float(slope[0])], rel=1e-14)


def test_sources_refuse_a_pred_outside() -> None:
    for module in (python_source, numpy_source):
        with pytest.raises(ValueError, match="outside"):
            run_source(module.source(parse("mse")), parse("mse"), "pred")(1.5, 1.0)
    with pytest.raises(LossError, match="range"):
        python_source.source(parse("pred*c where c in [0, 1]"))


def test_python_source_gives_infinity_where_python_would_raise() -> None:
    formula = parse("exp(score) + log(score) + 1/score + sqrt(score)")
    function = run_source(python_source.source(formula), formula, "score")
    assert function(1000.0)[0] == math.inf
    assert math.isnan(function(-1.0)[0])
    value, slope = function(0.0)
    assert math.isnan(value) or math.isinf(value)


@pytest.mark.parametrize("text", ["(label-pred)^2", "-log(pred)", "-logsigmoid(score)", "hinge"])
def test_latex_of_a_pair_is_in_the_difference_of_its_scores(text: str) -> None:
    loss = parse(text)
    written = latex.source(loss, pairwise=True)
    assert (
        r"\frac{\partial L}{\partial s}" in written
        and r"\hat{y}" not in written
        and "y" not in re.sub(r"\\\w+", "", written)
    )
    # What stands there is read back, and has the values of what is trained.
    back = parse(written.split("L &= ")[1].split(r" \\")[0], "latex")
    ours, trained = (
        evaluate(lower(one, "score", pairwise=True), np.array(SCORES), np.ones(len(SCORES)))[0] for one in (back, loss)
    )
    np.testing.assert_allclose(ours, trained, rtol=1e-9)


def test_c_headers_of_two_losses_of_one_name_are_no_twins() -> None:
    losses = ("focal where gamma = 1", "focal where gamma = 4", "pred", "pred^2")
    texts = [c.source(parse(text), pairwise) for text in losses for pairwise in (False, True)]
    guards = {text.split("#ifndef LOSSDSL_LOSS_")[1].split()[0] for text in texts}
    assert len(guards) == 8
    assert c.source(parse("mse")) == c.source(parse("mse"))


def test_latex_shows_formula_and_slope() -> None:
    text = latex.source(parse("bce"))
    assert r"\log" in text and r"\frac{\partial L}{\partial \hat{y}}" in text
    assert r"\partial s" in latex.source(parse("hinge"))


@pytest.mark.parametrize("name", ["maxr", pytest.param("hinge", marks=pytest.mark.slow)])
def test_export_runs_in_a_fresh_process_at_any_length(name: str, tmp_path: Path) -> None:
    loss = compile(name, reduction="none")
    axis = "score" if loss.formula.name == "hinge" else "pred"
    torch.export.save(loss.export(), str(tmp_path / "loss.pt2"))
    code = (
        "import sys, torch\n"
        f"loss = torch.export.load({str(tmp_path / 'loss.pt2')!r}).module()\n"
        "for n in (1, 2, 9):\n"
        "    x = torch.linspace(0.1, 0.9, n, requires_grad=True)\n"
        "    loss(x, torch.ones(n)).sum().backward()\n"
        "    print(loss(x, torch.ones(n)).tolist(), x.grad.tolist())\n"
        "assert 'lossdsl' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for n, line in zip((1, 2, 9), done.stdout.splitlines()):
        x = torch.linspace(0.1, 0.9, n, requires_grad=True)
        value = loss(**{axis: x}, label=torch.ones(n))
        value.sum().backward()
        expected = torch.tensor([value.tolist(), x.grad.tolist()])  # type: ignore[union-attr]
        torch.testing.assert_close(torch.tensor([json.loads(p) for p in _lists(line)]), expected, rtol=1e-5, atol=1e-7)


def _lists(line: str) -> list[str]:
    first, second = line[1:-1].split("] [")
    return [f"[{first}]", f"[{second}]"]


def test_export_with_parameters_keeps_them() -> None:
    loss = compile("focal", trainable=("gamma",))
    program = loss.export("score").module()
    assert [name for name, _ in program.named_parameters()] == ["gamma"]
    torch.testing.assert_close(program(torch.ones(5), torch.ones(5)), loss(score=torch.ones(5), label=torch.ones(5)))
    with pytest.raises(LossError, match="score"):
        compile("hinge").export("pred")
    assert export.exported(lower("bpr")).module()(torch.zeros(3)).item() == pytest.approx(math.log(2))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_c_header_compiles_without_a_warning_and_agrees(precise: SimpleNamespace, tmp_path: Path) -> None:
    labels = (0.0, 1.0)
    for number, name in enumerate((*NAMED, EVERY_OPERATION)):
        formula = parse(name)
        (tmp_path / f"loss{number}.h").write_text(c.source(formula))
        for axis, program in programs(formula).items():
            points = PREDS if axis == "pred" else SCORES
            labelled = any(step.name == "label" for step in program.steps)
            body = "".join(
                f"v = {function_name(formula, axis)}({x!r}, {f'{y!r}, ' if labelled else ''}&s); "
                'printf("%.17g %.17g\\n", v, s);\n'
                for x in points
                for y in labels
            )
            head = f'#include "loss{number}.h"\n#include <stdio.h>\n'
            (tmp_path / "main.c").write_text(f"{head}int main(void) {{ double v, s;\n{body}return 0; }}\n")
            command = ["cc", "-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "main.c", "-o", "main", "-lm"]
            built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
            assert built.returncode == 0, built.stderr
            lines = iter(subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True).stdout.splitlines())
            for x in points:
                for y in labels:
                    found = [float(t) for t in next(lines).split()]
                    limits = precise.bound(program, x, y, np.float64)
                    try:
                        true = precise.truth(formula.tree, axis, x, y)
                    except precise.Unclear:
                        continue
                    for got, right, limit in zip(found, true, limits):
                        assert np.isinf(limit) or abs(got - right) <= 8 * limit, (name, axis, x, y)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("name", ["bce", "focal", "maxr"])
def test_torch_compile_agrees_and_sees_one_graph(name: str) -> None:
    loss, plain = compile(name, "compile"), compile(name, "eager")
    for n in (8, 33):
        score = torch.randn(n, requires_grad=True)
        label = (torch.rand(n) > 0.5).float()
        torch.testing.assert_close(loss(score=score, label=label), plain(score=score, label=label))
        (a,) = torch.autograd.grad(loss(score=score, label=label), score)
        (b,) = torch.autograd.grad(plain(score=score, label=label), score)
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)
