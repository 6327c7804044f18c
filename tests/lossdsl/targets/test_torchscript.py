"""The TorchScript file: made without a warning, loaded without lossdsl, the same forward."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from lossdsl.loss import compile
from lossdsl.lowering import lower
from lossdsl.targets.scripted import LARGE, OnePass


def batch(n: int = 16, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    score = torch.randn(n, generator=generator, dtype=dtype) * 2
    return score.requires_grad_(), (torch.rand(n, generator=generator) > 0.5).to(dtype)


def test_a_saved_file_loads_without_lossdsl_and_keeps_the_forward(tmp_path: Path) -> None:
    loss = compile("focal", reduction="none", label="{0,1}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loss.torchscript().save(str(tmp_path / "focal.pt"))
    code = (
        "import sys, torch\n"
        "loss = torch.jit.load('focal.pt')\n"
        "s = torch.tensor([20.0, -20.0, 0.5], requires_grad=True)\n"
        "y = torch.tensor([1.0, 0.0, 1.0])\n"
        "v = loss(score=s, label=y, weight=torch.ones(3))\n"
        "v.sum().backward()\n"
        "print(v.tolist()); print(s.grad.tolist()); print(loss(torch.sigmoid(s), y).tolist())\n"
        "for call in (dict(score=s), dict(pred=s, label=y), dict(score=s, label=y / 2), dict(label=y),\n"
        "             dict(score=s, label=y[:1]), dict(score=s.long(), label=y), dict(pred=s, score=s, label=y)):\n"
        "    try:\n"
        "        loss(**call)\n"
        "        print('accepted')\n"
        "    except Exception as error:\n"
        "        print(str(error).splitlines()[-1])\n"
        "assert 'lossdsl' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    score = torch.tensor([20.0, -20.0, 0.5], requires_grad=True)
    value = loss(score=score, label=torch.tensor([1.0, 0.0, 1.0]))
    value.sum().backward()
    # at score 20 the loss is 1e-26, and its slope too: neither may be lost
    torch.testing.assert_close(_numbers(lines[0]), value, rtol=1e-5, atol=0)
    torch.testing.assert_close(_numbers(lines[1]), score.grad, rtol=1e-5, atol=0)
    torch.testing.assert_close(_numbers(lines[2])[2], value[2])
    said = ("label is missing", "lies outside", "not in {0,1}", "give pred=", "equal shapes", "floating", "not both")
    for sentence, line in zip(said, lines[3:], strict=True):
        assert sentence in line and str(loss.formula) in line


def _numbers(line: str) -> torch.Tensor:
    import json

    return torch.tensor(json.loads(line))


@pytest.mark.parametrize("name", ["bce", "maxr", "logmin", "hinge", "huber"])
def test_agrees_with_the_module_in_every_dtype(name: str) -> None:
    loss = compile(name)
    scripted = loss.torchscript()
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        score, label = batch(dtype=dtype)
        for call in ({"score": score}, {"pred": torch.sigmoid(score)}):
            if name == "hinge" and "pred" in call:
                continue
            torch.testing.assert_close(scripted(**call, label=label), loss(**call, label=label))


def test_second_derivatives_of_the_scripted_module() -> None:
    scripted = compile("focal").torchscript()
    score, label = batch(5)
    assert torch.autograd.gradgradcheck(lambda s: scripted(score=s, label=label), (score,))


def test_two_modules_do_not_share_their_methods() -> None:
    score, label = batch()
    first, second = compile("bce").torchscript(), compile("mse").torchscript()
    assert first(score=score, label=label) != second(score=score, label=label)
    assert first(score=score, label=label) == compile("bce").torchscript()(score=score, label=label)


def test_trainable_parameters_are_in_the_file(tmp_path: Path) -> None:
    loss = compile("focal", params={"gamma": 1.5}, trainable=("gamma",))
    scripted = loss.torchscript()
    score, label = batch()
    torch.testing.assert_close(scripted(score=score, label=label), loss(score=score, label=label))
    scripted(score=score, label=label).backward()
    loss(score=score, label=label).backward()
    torch.testing.assert_close(dict(scripted.named_parameters())["gamma"].grad, loss.gamma.grad)


def test_pairs_in_a_file() -> None:
    scripted = compile("bce", pairwise=True).torchscript()
    difference, _ = batch()
    torch.testing.assert_close(scripted(score=difference), -torch.nn.functional.logsigmoid(difference).mean())
    for call in ({"pred": torch.sigmoid(difference)}, {"score": difference, "label": torch.ones_like(difference)}):
        with pytest.raises(Exception, match="a pairwise loss takes"):
            scripted(**call)


def test_building_warns_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score, label = batch()
        compile("sumr", reduction="sum")(score=score, label=label).backward()
        compile("sumr").torchscript()(score=score, label=label)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("how", ["script", "large"])
def test_value_and_slope_in_one_pass(how: str, reduction: str) -> None:
    """By TorchScript, which reuses buffers: the numbers that autograd gives, the inputs untouched."""
    texts = ("focal", "logmin", "(2*label-1)*log(pred/(1-pred)) + exp(score)*exp(score) - score", "bce", "huber")
    edges = ("exp(score)", "score", "label", "2", "3*score + label", "2^score + abs(score)^1.5*1.5")
    more = ("clamp(score, 1e-3, 0.5)*label", "1e45*min(score, 0.5)", "label*score + (1-label)*0.25", "min(score,label)")
    for text in (*texts, *edges, *more):
        program = lower(text)
        score, label = batch(LARGE if how == "large" else 20)
        one_pass = OnePass(program, reduction)
        kept = score.detach().clone(), label.clone()
        value, slope = one_pass(score.detach(), label)
        assert torch.equal(score, kept[0]) and torch.equal(label, kept[1])
        eager = compile(text, "eager", reduction=reduction)(score=score, label=label)
        torch.testing.assert_close(value, eager)
        torch.testing.assert_close(slope, torch.autograd.grad(eager.sum(), score)[0])
        value.add_(1), slope.add_(1)
        again = one_pass(score.detach(), label)
        torch.testing.assert_close(again[0], eager)  # nothing that was given away is used again
        torch.testing.assert_close(again[1] + 1, slope)
