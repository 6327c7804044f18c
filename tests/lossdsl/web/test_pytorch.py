"""The lines to paste run in PyTorch and compute the formula."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

import lossdsl
from lossdsl.lowering import lower
from lossdsl.targets.numpy import evaluate
from lossdsl.web.pytorch import source

torch = pytest.importorskip("torch")

TABLE = [
    "bce", "mse", "hinge", "squared_hinge", "focal", "maxr", "sumr", "logmin", "huber", "exponential", "bpr",
    "label*log1p(score^2)*pred", "max(log(gamma), 2)*pred where gamma = 3", "pred*psqrt(label-pred)", 
    "clamp(score, -1, 1/3)", "focal where gamma in [1, 2]", "if(pred > 0.5, softplus(score), pinv(label))",
    "pred*lambda where lambda = 2", "F*softplus(-score) + torch*log(pred)*F_ where F = 2, F_ = 5, torch = 3",
]  # fmt: skip


@pytest.mark.parametrize("text", TABLE)
def test_it_computes_the_formula(text: str, tmp_path: Path) -> None:
    formula = lossdsl.parse(text)
    file = tmp_path / "pasted.py"
    file.write_text(source(formula) + "\n")
    spec = importlib.util.spec_from_file_location("pasted", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    score = torch.linspace(-3, 3, 7, dtype=torch.float64)
    label = torch.tensor([0.0, 1.0], dtype=torch.float64)[:, None]
    given = {"score": score, "pred": torch.sigmoid(score), "label": label}
    arguments = [given[name] for name in inspect.signature(module.loss).parameters if name in given]
    middles = {b.name: (b.low + b.high) / 2 for b in formula.tree.where}
    value, _ = evaluate(lower(formula, values=middles), score.numpy(), label.numpy())
    np.testing.assert_allclose(np.broadcast_to(module.loss(*arguments).numpy(), value.shape), value, rtol=1e-12)
