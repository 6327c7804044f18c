"""Compiled losses against PyTorch's own, and against the same formula by hand: forward and backward, one thread.

Every ratio is the median over pairs that were run one after the other, in alternating order, in this process.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from run import Figure
from torch import Tensor

import lossdsl
from lossdsl import engine
from lossdsl.loss import Loss

SIZES = ((128, 300, 25), (4096, 100, 25), (1_000_000, 2, 15))  # elements, calls in a row, pairs
Call = Callable[[Tensor, Tensor], Tensor]
F = torch.nn.functional
C = 1e-6


def _by_hand_focal(s: Tensor, y: Tensor) -> Tensor:
    p = torch.sigmoid(s)
    return -(y * (1 - p) ** 2 * F.logsigmoid(s) + (1 - y) * p**2 * F.logsigmoid(-s)).mean()


def _by_hand_maxr(p: Tensor, y: Tensor) -> Tensor:
    return torch.maximum((y + C) / (p + C), (p + C) / (y + C)).mean()


def _by_hand_sumr(p: Tensor, y: Tensor) -> Tensor:
    return ((y + p + C) / (C + p * y)).mean()


def _by_hand_logmin(p: Tensor, y: Tensor) -> Tensor:
    least = torch.minimum(y, p)
    return (torch.log(1 / (least + C) + C) * (least + y + p)).mean()


# name, formula, the same formula with another constant (or None), axis, PyTorch's own
NATIVE: tuple[tuple[str, str, str | None, str, Call], ...] = (
    ("bce", "bce", "-1.25*label*log(pred) - (1-label)*log(1-pred)", "score", F.binary_cross_entropy_with_logits),
    ("soft_margin", "log(1+exp(-label*score))", "log(1+exp(-label*score/1.25))", "score", F.soft_margin_loss),
    ("mse_on_sigmoid", "mse", "1.25*(pred-label)^2", "score", lambda s, y: F.mse_loss(torch.sigmoid(s), y)),
    ("mse", "mse", "1.25*(pred-label)^2", "pred", F.mse_loss),
    ("huber", "huber", "1.25*if(abs(label-pred) <= 0.5, (label-pred)^2/2, 0.5*(abs(label-pred)-0.25))", "pred",
     partial(F.huber_loss, delta=0.5)),
)  # fmt: skip
BY_HAND: tuple[tuple[str, str, Call], ...] = (
    ("focal", "score", _by_hand_focal),
    ("maxr", "pred", _by_hand_maxr),
    ("sumr", "pred", _by_hand_sumr),
    ("logmin", "pred", _by_hand_logmin),
)


def _data(axis: str, n: int, signed: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    label = (torch.rand(n, generator=generator) > 0.5).float()
    score = torch.randn(n, generator=generator) * 2
    x = score if axis == "score" else torch.sigmoid(score)
    return x.requires_grad_(), 2 * label - 1 if signed else label


def _step(call: Call, x: Tensor, y: Tensor) -> Callable[[], None]:
    def step() -> None:
        x.grad = None
        call(x, y).backward()

    return step


def _ours(loss: Loss, axis: str) -> Call:
    if axis == "pred":
        return loss
    return lambda s, y: loss(score=s, label=y)


class _Nothing(torch.autograd.Function):
    """The least that a loss of one's own can be in PyTorch: it computes nothing."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, loss: Tensor, slope: Tensor) -> Tensor:
        ctx.slope = slope
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return ctx.slope, None, None


def _nothing(n: int) -> Call:
    loss, slope = torch.tensor(0.5), torch.zeros(n)
    return lambda x, y: _Nothing.apply(x, loss.detach(), slope)  # type: ignore[no-any-return, no-untyped-call]


def _seconds(step: Callable[[], None], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        step()
    return (time.perf_counter() - begin) / calls


def ratio(first: Callable[[], None], second: Callable[[], None], calls: int, pairs: int) -> tuple[float, float]:
    """Median of first/second over interleaved pairs, and the least time of the first in microseconds."""
    for step in (first, second) * 8:
        step()
    found, least = [], float("inf")
    for number in range(pairs):
        if number % 2:
            b, a = _seconds(second, calls), _seconds(first, calls)
        else:
            a, b = _seconds(first, calls), _seconds(second, calls)
        found.append(a / b)
        least = min(least, a)
    return statistics.median(found), least * 1e6


def _race(figures: list[Figure], name: str, first: Any, second: Call, to: str, axis: str, signed: bool) -> None:
    row = []
    for n, calls, pairs in SIZES:
        x, y = _data(axis, n, signed)
        call = _nothing(n) if first is _nothing else first
        r, least = ratio(_step(call, x, y), _step(second, x, y), calls, pairs)
        figures.append(Figure(f"loss.{name}.{n}", round(r, 3), "ratio", to))
        row.append(f"{r:5.2f} ({least:7.1f} us)")
    print(f"{name:<36}{to:<24}{'   '.join(row)}", flush=True)


def _milliseconds(make: Callable[[int], object], times: int) -> float:
    found = []
    for number in range(times):
        begin = time.perf_counter()
        make(number)
        found.append(time.perf_counter() - begin)
    return statistics.median(found) * 1e3


def _build_times(figures: list[Figure]) -> None:
    """Parse, lower and compile, with formulas that nothing has seen before."""

    def build(backend: str, number: int) -> None:
        weight = 1 + number / 997
        text = f"-label*(1-pred)^2*log(pred) - {weight!r}*(1-label)*pred^2*log(1-pred)"
        own = lossdsl.compile(text, backend)._engine
        # what the first batch would compile, without the batch
        if backend == "llvm":
            own.kernel_of("score", None)
        else:
            own.script_of("score", "mean").run.script(False)

    def figure(name: str, value: float, unit: str) -> None:
        print(f"build: {name:<29}{value:.3f} {unit}")
        figures.append(Figure(f"loss.build.{name}", round(value, 4), unit))

    build("torchscript", -1)
    build("llvm", -1)
    figure("torchscript", _milliseconds(partial(build, "torchscript"), 30), "ms")
    figure("llvm_cold", _milliseconds(partial(build, "llvm"), 30), "ms")
    engine._engine.cache_clear()
    figure("llvm_from_disk", _milliseconds(partial(build, "llvm"), 30), "ms")
    figure("second_call", _milliseconds(lambda _: lossdsl.compile("bce"), 300) * 1e3, "us")


def run() -> list[Figure]:
    """Print the table; give the figures."""
    torch.set_num_threads(1)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOSSDSL_CACHE"] = folder
        _build_times(figures)
        print(f"\n{'loss':<36}{'ratio to':<24}" + "   ".join(f"{n:>19,}" for n, _, _ in SIZES))
        for name, formula, changed, axis, native in NATIVE:
            signed = name == "soft_margin"
            for backend in ("llvm", "torchscript"):
                ours = _ours(lossdsl.compile(formula, backend), axis)
                _race(figures, f"{backend}.{name}", ours, native, "torch", axis, signed)
            if changed is not None:
                # against the unchanged one itself: two ratios to PyTorch, taken one after the other, differ by what
                # the allocator happens to do with PyTorch's temporaries
                given, ours = (_ours(lossdsl.compile(text, "llvm"), axis) for text in (formula, changed))
                _race(figures, f"llvm.{name}_changed", ours, native, "torch", axis, signed)
                _race(figures, f"llvm.{name}_changed", ours, given, f"llvm.{name}", axis, signed)
        for name, axis, eager in BY_HAND:
            for backend in ("llvm", "torchscript"):
                ours = _ours(lossdsl.compile(name, backend), axis)
                _race(figures, f"{backend}.{name}", ours, eager, "eager", axis, False)
            _race(figures, f"empty_function.{name}", _nothing, eager, "eager", axis, False)
    return figures
