"""The machine code: its elementary functions in ulps, its Programs within rounding, its cache, its speed."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.lowering import lower
from lossdsl.program import Program, Step
from lossdsl.targets import kernel_cache, llvm
from lossdsl.targets.numpy import evaluate
from lossdsl.testing import formulas

SCORES = np.array([-100, -80, -20, -3, -0.25, 0.125, 1, 5, 20, 80, 100, 0.5, -1, 2, -2, 7, -7], np.float32)
PREDS = np.array([0, 1e-30, 1e-6, 0.03125, 0.3, 0.5, 0.7, 0.99, 0.9999, 1, *np.linspace(0.1, 0.95, 7)], np.float32)
NAMED = (
    *("bce", "mse", "focal", "maxr", "sumr", "logmin", "hinge", "squared_hinge", "huber", "exponential"),
    *("bpr", "ccl", "predpredlabel"),
)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LOSSDSL_CACHE", str(tmp_path))
    return tmp_path / "kernels"


def run(
    program: Program, x: Any, label: Any, output: str = "each", labels: str | None = None
) -> tuple[Any, Any, float]:
    """Values (or None), slopes, and what the kernel returns."""
    k = llvm.kernel(program, output, labels)  # type: ignore[arg-type]
    x, label = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(label, np.float32)
    slope, value = np.full_like(x, 7), np.full_like(x, 7)
    pointers = [a.ctypes.data for a in (x, label, slope)]
    last = [value.ctypes.data] if output == "each" else []
    total = k.function(*pointers, x.size, 1.0, *last)
    return (value if output == "each" else None), slope, total


def one_operation(op: str, constant: float | None = None) -> Program:
    extra = () if constant is None else (Step("constant", constant=parse(str(constant)).tree.root.value),)  # type: ignore[attr-defined]
    steps = (Step("input", name="score"), *extra, Step(op, tuple(range(1 + len(extra)))))
    return Program("score", steps, len(steps) - 1, 0)


RANGES: dict[str, tuple[Any, float]] = {
    "exp": (lambda r: r.uniform(-87, 88, 200_000), 1.5),
    "expm1": (lambda r: np.concatenate([r.uniform(-20, 88, 100_000), r.normal(0, 0.3, 100_000)]), 3.0),
    "log": (lambda r: np.exp(r.uniform(-87, 88, 200_000)), 1.0),
    "log1p": (lambda r: np.concatenate([r.uniform(-0.9999, 3, 100_000), np.exp(r.uniform(-80, 80, 100_000))]), 2.0),
    "tanh": (lambda r: np.concatenate([r.uniform(-10, 10, 100_000), r.normal(0, 0.01, 100_000)]), 5.0),
    "sigmoid": (lambda r: r.uniform(-86, 86, 200_000), 3.0),
    "logsigmoid": (lambda r: r.uniform(-86, 86, 200_000), 3.0),
    "sqrt": (lambda r: r.uniform(0, 1e6, 200_000), 0.51),
}


@pytest.mark.parametrize("op", RANGES)
def test_elementary_functions_in_units_of_the_last_place(op: str) -> None:
    draw, allowed = RANGES[op]
    x = draw(np.random.default_rng(1)).astype(np.float32)
    value, _, _ = run(one_operation(op), x, x)
    with np.errstate(all="ignore"):
        true = evaluate(one_operation(op), x.astype(np.float64))[0]
    ulp = np.spacing(np.abs(true.astype(np.float32))).astype(np.float64)
    assert np.max(np.abs(value - true) / np.maximum(ulp, 2e-38)) <= allowed


@pytest.mark.parametrize("exponent", [0.5, 1.7, 2.5, 20.0, 33.0])
def test_powers_in_units_of_the_last_place(exponent: float) -> None:
    x = np.exp(np.random.default_rng(2).uniform(-2, 2, 100_000)).astype(np.float32)
    value, _, _ = run(one_operation("pow", exponent), x, x)
    true = x.astype(np.float64) ** exponent
    assert np.max(np.abs(value - true) / np.spacing(true.astype(np.float32))) <= 0.51


@pytest.mark.parametrize("divisor", [3.0, 1.25, 0.5, 1e-6, 1e29, 1e35, 1e-35, 1e60])
def test_division_by_a_constant_in_units_of_the_last_place(divisor: float) -> None:
    x = np.random.default_rng(3).normal(0, 2, 100_000).astype(np.float32)
    value, _, _ = run(one_operation("div", divisor), x, x)
    with np.errstate(all="ignore"):
        true = x.astype(np.float64) / np.float32(divisor)
        ulp = np.spacing(np.abs(true.astype(np.float32))).astype(np.float64)
    fine = np.isfinite(ulp)
    assert np.array_equal(value[~fine], true[~fine].astype(np.float32))
    assert np.max(np.abs(value - true)[fine] / ulp[fine], initial=0) <= 1.5


def test_special_values() -> None:
    inf, nan = np.inf, np.nan
    special = np.array([0, -0.0, inf, -inf, nan, 1e-45, 3e38, -1, 1, 100, -110], np.float32)
    for op in ("exp", "expm1", "log", "log1p", "tanh", "sqrt", "sigmoid", "abs", "sign", "relu"):
        value, _, _ = run(one_operation(op), special, special)
        with np.errstate(over="ignore"):
            true = evaluate(one_operation(op), special.astype(np.float64))[0].astype(np.float32)
        assert np.allclose(value, true, rtol=1e-5, atol=3e-38, equal_nan=True), (op, value, true)
    powers, _, _ = run(one_operation("pow", 1.5), special, special)
    with np.errstate(all="ignore"):
        assert np.allclose(powers, special ** np.float32(1.5), rtol=1e-5, atol=1e-44, equal_nan=True)
    cubes, _, _ = run(one_operation("pow", 17.0), np.array([-1.5, -0.0, -inf], np.float32), np.zeros(3))
    assert np.allclose(cubes, [-(1.5**17), 0, -inf])


@pytest.mark.parametrize("axis", ["pred", "score"])
@pytest.mark.parametrize("name", NAMED)
def test_named_losses_within_rounding(precise: SimpleNamespace, name: str, axis: str) -> None:
    if axis == "pred" and name in ("hinge", "squared_hinge", "exponential", "bpr", "ccl"):
        return
    assert within_rounding(precise, parse(name), axis, 0.0) + within_rounding(precise, parse(name), axis, 1.0) > 20


@pytest.mark.parametrize("name", NAMED)
def test_named_losses_are_right_to_a_few_units_at_far_scores(precise: SimpleNamespace, name: str) -> None:
    program = lower(name)
    scores = np.array([0.375, -0.375, 3, -3, 20, -20, 50, -50, 80, -80], np.float32)
    for label in (0.0, 1.0):
        value, slope, _ = run(program, scores, np.full_like(scores, label))
        for at, score in enumerate(scores):
            limits = precise.bound(program, float(score), label, np.float32)
            true = precise.truth(parse(name).tree, "score", float(score), label)
            for got, right, limit in zip((value[at], slope[at]), true, limits):
                assert limit == np.inf or precise.ulps(float(got), right, np.float32) < 20, (score, label, got, right)


@settings(max_examples=60, deadline=None)
@given(
    formula=formulas(depth=4, domain_safe=True),
    axis=st.sampled_from(("pred", "score")),
    label=st.sampled_from((0.0, 1.0)),
)
def test_random_formulas_within_rounding(precise: SimpleNamespace, formula: Formula, axis: str, label: float) -> None:
    try:
        within_rounding(precise, formula, axis, label)
    except LossError as error:
        assert any(w in str(error) for w in ("no finite number", "division by zero", "exponents that vary"))


def within_rounding(precise: SimpleNamespace, formula: Formula, axis: str, label: float) -> int:
    program = lower(formula, axis)  # type: ignore[arg-type]
    x = SCORES if axis == "score" else PREDS
    value, slope, _ = run(program, x, np.full_like(x, label))
    seen = 0
    inside = np.clip(x, np.finfo(np.float32).tiny, np.float32(1 - 2**-24)) if axis == "pred" else x
    for at, point in enumerate(inside):
        limits = precise.bound(program, float(point), label, np.float32)
        try:
            true = precise.truth(formula.tree, axis, float(point), label)
        except precise.Unclear:
            continue
        for got, right, limit in zip((value[at], slope[at]), true, limits):
            if limit < np.inf:
                seen += 1
                assert abs(float(got) - right) <= 8 * limit, (str(formula), axis, point, label, got, right)
    return seen


def test_sum_each_and_slope_say_the_same() -> None:
    program = lower("focal")
    rng = np.random.default_rng(0)
    for n in (1, 15, 16, 17, 100, 1024, 1040, 5000):
        x, y = rng.normal(0, 3, n).astype(np.float32), (rng.random(n) > 0.5).astype(np.float32)
        value, slope, total = run(program, x, y)
        _, slope2, total2 = run(program, x, y, "sum")
        _, slope3, total3 = run(program, x, y, "slope")
        assert np.array_equal(slope, slope2) and np.array_equal(slope, slope3)
        assert total == total2 and total3 == 0.0
        assert abs(total - value.astype(float).sum()) <= 1e-6 * total
        right = evaluate(program, x.astype(float), y)
        for found, expected in zip((value, slope), right):
            assert np.allclose(found, expected, rtol=1e-5, atol=1e-30)


def test_nothing_is_written_beyond_the_end() -> None:
    program = lower("bce")
    for n in (1, 5, 16, 19):
        x, y, slope, value = (np.full(n + 40, 0.25, np.float32) for _ in range(4))
        k = llvm.kernel(program, "each")
        k.function(x.ctypes.data, y.ctypes.data, slope.ctypes.data, n, 1.0, value.ctypes.data)
        assert (slope[n:] == 0.25).all() and (value[n:] == 0.25).all() and (slope[:n] != 0.25).all()


@pytest.mark.parametrize("n", [1, 16, 21, 40])
def test_what_lies_outside_turns_the_sum_into_nan(n: int) -> None:
    pred, label = np.full(n, 0.5, np.float32), np.ones(n, np.float32)
    program = lower("mse", "pred")
    for labels, good, bad in (("{0,1}", 0.0, 0.5), ("[0,1]", 0.5, 1.5), ("{1}", 1.0, 0.0), ("[0,1]", 0.0, -0.1)):
        for at in {0, n // 2, n - 1}:
            for wrong, fine in ((bad, False), (good, True)):
                y = label.copy()
                y[at] = wrong
                assert np.isfinite(run(program, pred, y, "sum", labels)[2]) == fine
    for at in {0, n - 1}:
        for wrong in (-0.01, 1.01):
            x = pred.copy()
            x[at] = wrong
            assert np.isnan(run(program, x, label, "sum")[2])
    assert np.isfinite(run(lower("mse"), pred * 50, label, "sum")[2])


def test_the_slope_kernel_can_be_called_by_address() -> None:
    k = llvm.kernel(lower("bce"), "slope")
    signature = ctypes.CFUNCTYPE(ctypes.c_double, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_float)
    x, y, slope = np.zeros(3, np.float32), np.ones(3, np.float32), np.empty(3, np.float32)
    signature(k.address)(x.ctypes.data, y.ctypes.data, slope.ctypes.data, 3, 2.0)
    assert slope.tolist() == [-1.0, -1.0, -1.0]


def test_what_it_does_not_take() -> None:
    assert not llvm.applies(lower("focal", free=("gamma",)))
    assert not llvm.applies(lower("pred^label"))
    with pytest.raises(LossError, match="open parameters"):
        llvm.kernel(lower("pred^label"))


# -- the cache


def compiled_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    original = llvm.compile_ir

    def counting(source: str) -> bytes:
        made.append(source)
        return original(source)

    monkeypatch.setattr(llvm, "compile_ir", counting)
    return made


def test_cache_keeps_kernels_by_program_and_output(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled_once(monkeypatch)
    for _ in range(2):
        llvm.kernel(lower("mse"))
        llvm.kernel(lower("mse"), "slope")
        llvm.kernel(lower("mse"), labels="{0,1}")
        llvm.kernel(lower("mse", "pred"))
    assert len(made) == 4 and len(list(cache.iterdir())) == 4
    monkeypatch.setattr(llvm, "machine_key", lambda: "another machine")
    llvm.kernel(lower("mse"))
    assert len(made) == 5


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 4000])
def test_a_damaged_file_is_compiled_again(cache: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes) -> None:
    made = compiled_once(monkeypatch)
    llvm.kernel(lower("mse"))
    (file,) = cache.iterdir()
    good = file.read_bytes()
    for content in (damage, good[:-1], good[:40] + bytes([good[40] ^ 1]) + good[41:]):
        file.write_bytes(content)
        assert run(lower("mse"), np.zeros(1), np.ones(1), "sum")[2] == 0.25
    assert len(made) == 4


def test_a_cache_that_others_may_write_is_not_trusted(cache: Path) -> None:
    llvm.kernel(lower("mse"))
    os.chmod(cache, 0o777)
    assert kernel_cache.folder() is None
    os.chmod(cache, 0o700)
    assert kernel_cache.folder() == cache


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("LOSSDSL_CACHE", str(blocked))
    assert run(lower("mse"), np.zeros(1), np.ones(1))[0].tolist() == [0.25]


def _race(number: int) -> float:
    from lossdsl.lowering import lower
    from lossdsl.targets import llvm

    k = llvm.kernel(lower("focal"), "sum")
    x, y, slope = np.zeros(2, np.float32), np.ones(2, np.float32), np.empty(2, np.float32)
    return k.function(x.ctypes.data, y.ctypes.data, slope.ctypes.data, 2, 1.0)


def test_several_processes_share_one_cache(cache: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.map(_race, range(8))
    assert found == [found[0]] * 8
    assert [f.suffix for f in cache.iterdir()] == [".o"]
