"""What a module refuses: wrong calls, what cannot be computed, what is not valid; each in one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import lossdsl
from lossdsl.errors import LossError
from lossdsl.loss import Loss, compile

BACKENDS = ("torchscript", "llvm", "eager")
pytestmark = pytest.mark.usefixtures("own_kernels")


def wrong_calls() -> list[tuple[str, dict[str, Any], dict[str, Any], str]]:
    half = torch.full((4,), 0.5)
    return [
        ("mse", {}, {"pred": half * 4, "label": half}, "pred lies outside [0, 1]; raw scores are passed as score=..."),
        ("mse", {}, {"pred": -half, "label": half}, "pred lies outside [0, 1]"),
        ("mse", {}, {"pred": half, "label": half[:3]}, "pred has shape (4,) and label has shape (3,)"),
        ("mse", {}, {"pred": half, "label": half.view(4, 1)}, "they have to be equal"),
        ("mse", {}, {"pred": half, "label": half, "weight": half[:1]}, "weight has shape (1,)"),
        ("mse", {}, {"pred": half}, "label is missing"),
        ("mse", {}, {"label": half}, "give pred=... or score=..."),
        ("mse", {}, {"pred": half, "score": half, "label": half}, "give pred or score, not both"),
        ("mse", {}, {"pred": half.long(), "label": half}, "have to be floating-point tensors"),
        ("mse", {}, {"pred": half.to(torch.complex64), "label": half}, "has to be a tensor of real numbers"),
        ("mse", {}, {"pred": half, "label": half.to(torch.complex64)}, "label has to be a tensor of real numbers"),
        ("mse", {}, {"pred": half, "label": [1, 0, 1, 0]}, "label has to be a tensor of real numbers, not list"),
        ("hinge", {}, {"pred": half, "label": half}, "contains score, so pass score=..., not pred"),
        ("mse", {"label": "{0,1}"}, {"pred": half, "label": half}, "label 0.5 is not in {0,1}; for soft labels"),
        ("mse", {"label": "[0,1]"}, {"pred": half, "label": half * 3}, "label 1.5 is not in [0,1]"),
        ("mse", {"label": "{1}"}, {"pred": half, "label": half * 0}, "label 0 is not in {1}"),
    ]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", range(len(wrong_calls())))
def test_wrong_calls_are_answered_in_one_sentence(backend: str, case: int) -> None:
    name, options, call, sentence = wrong_calls()[case]
    loss = compile(name, backend, **options)
    half = torch.full((4,), 0.5)
    for _ in range(2):  # the first call, and the short way after it
        with pytest.raises(LossError) as caught:
            loss(**call)
        assert sentence in str(caught.value)
        assert str(loss.formula) in str(caught.value) and "\n" not in str(caught.value)
        good = {"score": half} if name == "hinge" else {"pred": half}
        loss(**good, label=half * 0 if options.get("label") == "{0,1}" else half * 2)


def test_looks_at_values_can_be_left_out() -> None:
    loss = compile("mse", label="{0,1}", validate=False)
    assert torch.isfinite(loss(torch.tensor([2.0]), torch.tensor([0.5])))


def test_what_cannot_be_computed_fails_when_it_is_made() -> None:
    cases = (("pred + 1/(1-1)", "1/(1-1)"), ("label*log(0-1)*pred", "log(0-1)"), ("exp(1e5)*pred", "exp(1e5)"))
    for text, part in cases:
        with pytest.raises(LossError) as caught:
            compile(text)
        assert f"`{part}`" in str(caught.value)
    for options in ({"reduction": "median"}, {"backend": "cuda"}, {"label": "{0,2}"}):
        with pytest.raises(LossError, match="is one of"):
            compile("bce", **options)  # type: ignore[arg-type]
    with pytest.raises(LossError, match="constant exponents"):
        compile("focal", "llvm", trainable=("gamma",))


def test_invalid_losses_are_refused_and_undecided_ones_warned_of() -> None:
    with pytest.raises(LossError, match="invalid.*monotone"):
        Loss("pred*label")
    with pytest.warns(UserWarning, match="monotone"):
        Loss("pred*label", check="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Loss("pred*label", check="off")
        for name in ("bce", "focal", "maxr", "bpr", "hinge"):
            Loss(name)
        lossdsl.Loss("-logsigmoid(score)", pairwise=True)
    with pytest.raises(LossError):
        Loss("-logsigmoid(score)")


_FOCAL = "-label*(1-pred)^gamma*log(pred) - (1-label)*pred^gamma*log(1-pred) where gamma"
_BCE = "-label*log(pred) - (1-label)*log(1-pred)"
HALF = torch.full((4,), 0.5)
WHOLE: tuple[tuple[Callable[[], Any], str], ...] = (
    (lambda: compile("pred + 1/(1-1)"),
     "cannot compute `1/(1-1)`: div of 1, 0 is no finite number (loss `pred + 1/(1-1)`)"),
    (lambda: compile("label*log(0-1)*pred"),
     "cannot compute `log(0-1)`: log of -1 is no finite number (loss `label*log(0-1)*pred`)"),
    (lambda: compile("focal where gamma in [0,2]"),
     f"the parameter `gamma` needs one value, not a range (loss `{_FOCAL} in [0, 2]`)"),
    (lambda: compile("focal", params={"beta": 1}), f"there is no parameter `beta`; it has gamma (loss `{_FOCAL} = 2`)"),
    (lambda: compile("focal", params={"gamma": float("nan")}),
     f"the parameter `gamma` cannot be nan (loss `{_FOCAL} = 2`)"),
    (lambda: compile("focal", params={"gamma": -float("inf")}),
     f"the parameter `gamma` cannot be -inf (loss `{_FOCAL} = 2`)"),
    (lambda: compile("focal", trainable=("beta",)),
     f"there is no parameter `beta`; it has gamma (loss `{_FOCAL} = 2`)"),
    (lambda: compile("focal", "llvm", trainable=("gamma",)),
     f"the llvm backend takes constant exponents and no trainable parameters (loss `{_FOCAL} = 2`)"),
    (lambda: Loss("pred*label"),
     "the loss `pred*label` is invalid: uses_pred (at label 0 the loss does not change with pred: nothing to learn), "
     "monotone (at label 1 the loss rises with pred everywhere, away from the label) refuted; "
     'check="warn" or "off" lets it pass'),
    (lambda: compile("mse")(HALF, HALF[:3]),
     "pred has shape (4,) and label has shape (3,); they have to be equal (loss `(label-pred)^2`)"),
    (lambda: compile("mse")(score=HALF, label=HALF, weight=HALF[:1]),
     "score has shape (4,) and weight has shape (1,); they have to be equal (loss `(label-pred)^2`)"),
    (lambda: compile("mse")(HALF.long(), HALF),
     "pred and score have to be floating-point tensors (loss `(label-pred)^2`)"),
    (lambda: compile("mse")(HALF.to(torch.complex64), HALF),
     "pred has to be a tensor of real numbers, not torch.complex64 (loss `(label-pred)^2`)"),
    (lambda: compile("mse")(HALF * 4, HALF),
     "pred lies outside [0, 1]; raw scores are passed as score=... (loss `(label-pred)^2`)"),
    (lambda: compile("mse", label="{0,1}")(HALF, HALF),
     'label 0.5 is not in {0,1}; for soft labels pass label="[0,1]" when the loss is made (loss `(label-pred)^2`)'),
    (lambda: compile("mse", label="[0,1]")(HALF, HALF * 3), "label 1.5 is not in [0,1] (loss `(label-pred)^2`)"),
    (lambda: compile("mse")(HALF), "label is missing (loss `(label-pred)^2`)"),
    (lambda: compile("mse")(label=HALF), "give pred=... or score=... (loss `(label-pred)^2`)"),
    (lambda: compile("mse")(HALF, HALF, score=HALF), "give pred or score, not both (loss `(label-pred)^2`)"),
    (lambda: compile("bpr")(HALF),
     "a pairwise loss takes score=..., the difference of two scores, not pred (loss `-logsigmoid(score)`)"),
    (lambda: compile("relu(1-score*label)")(HALF, HALF),
     "the formula contains score, so pass score=..., not pred (loss `relu(1-score*label)`)"),
    (lambda: compile("bce", pairwise=True)(score=HALF, label=HALF),
     f"a pairwise loss takes no label; score is that of the better item less that of the other (loss `{_BCE}`)"),
)  # fmt: skip


@pytest.mark.parametrize("case", range(len(WHOLE)))
def test_the_whole_message(case: int) -> None:
    call, message = WHOLE[case]
    with pytest.raises(LossError) as caught:
        call()
    assert str(caught.value) == message


def test_an_undecided_loss_warns_and_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "domain": SimpleNamespace(status="proved", detail=""),
        "monotone": SimpleNamespace(status="undecided", detail="the time was up"),
    }
    report = SimpleNamespace(verdict="unknown", properties=found)
    monkeypatch.setattr("lossdsl.checking.check", lambda *_, **__: report)
    for how in ("error", "warn"):
        with pytest.warns(UserWarning) as seen:
            made = Loss("bce", check=how)
        message = f"the loss `{_BCE}` is not proved valid: monotone (the time was up) undecided"
        assert [str(w.message) for w in seen] == [message]
        assert seen[0].filename == __file__
        assert torch.isfinite(made(score=HALF, label=HALF.round()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Loss("bce", check="off")


@pytest.mark.parametrize(("formula", "params"), [("focal", {"gamma": 20.0}), ("w*mse where w = 1", {"w": 1e-70})])
def test_a_parameter_whose_text_could_not_be_read_again_is_refused(formula: str, params: dict[str, float]) -> None:
    """A checkpoint holds the text: a module like that could be trained and saved, and never loaded."""
    text = formula.replace("mse", "(label-pred)^2")
    with pytest.raises(LossError, match="LD03|cannot be written within the limits"):
        compile(text, params=params)
