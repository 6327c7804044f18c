"""A formula as a PyTorch module: `compile` makes one, `Loss` checks it first."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from lossdsl.errors import LossError, MissingExtra

try:
    import torch
except ImportError:
    raise MissingExtra("train", "compiling a loss") from None

from torch import Tensor, nn

from lossdsl.border import LABEL_SETS
from lossdsl.engine import BACKENDS, REDUCTIONS, Engine, engine
from lossdsl.paths import KernelPath, ScriptPath, compiling, traced
from lossdsl.program import Axis

if TYPE_CHECKING:
    from lossdsl.formula import Formula

_HALVES = (torch.bfloat16, torch.float16)


class Loss(nn.Module):
    """A loss module from one line of text: read, checked and compiled.

    Args:
        formula: text of any dialect, the name of a loss, or a `Formula`.
        params: values for parameters, instead of those that `where` gives.
        trainable: names of parameters that an optimiser may move (`nn.Parameter`).
        reduction: "mean" (over all elements, weights or not, as PyTorch does), "sum" or "none".
        pairwise: the loss of pairs: forward takes score, the difference s_i - s_j where i is the better one, and no
            label. By default what the named loss declares.
        check: "error" refuses a formula that is proved invalid and warns of one that is undecided, "warn" warns of
            both, "off" does not look.
        label: the set that labels come from, "{0,1}", "{1}" or "[0,1]"; forward refuses others. None: any number.
        backend: "torchscript", "llvm", "eager", "compile", or "auto", which takes the fastest that applies.
            "torchscript" runs on every device.
        validate: False skips the looks at the *values* of pred and label, which on a GPU cost a synchronisation.

    `forward(pred=None, label=None, *, score=None, weight=None)` takes float tensors of one shape. pred lies in [0, 1];
    0 and 1 themselves stand for the nearest floats strictly between, the slope passed through. bfloat16 and float16
    are computed in float32. An empty batch gives nan under "mean", as in PyTorch.

    Raises `LossError` (a `ValueError`) when made, for a formula that cannot be computed, and when called wrongly.

    >>> import torch, lossdsl
    >>> loss = lossdsl.Loss("focal", params={"gamma": 1.0})
    >>> score = torch.tensor([0.0, 2.0], requires_grad=True)
    >>> loss(score=score, label=torch.tensor([1.0, 0.0])).backward()
    >>> score.grad
    tensor([-0.2116,  0.4996])
    """

    def __init__(
        self,
        formula: str | Formula,
        *,
        params: Mapping[str, float] | None = None,
        trainable: Collection[str] = (),
        reduction: str = "mean",
        pairwise: bool | None = None,
        check: str = "error",
        label: str | None = "{0,1}",
        backend: str = "torchscript",
        validate: bool = True,
    ) -> None:
        super().__init__()
        _one_of("reduction", reduction, REDUCTIONS)
        _one_of("check", check, ("error", "warn", "off"))
        _one_of("label", label, (*LABEL_SETS, None))
        _one_of("backend", backend, BACKENDS)
        self._engine: Engine = engine(formula, params, tuple(trainable), pairwise, reduction, backend)
        self.label = label
        self.validate = validate
        self._on_pred: KernelPath | ScriptPath | None = None
        self._on_score: KernelPath | ScriptPath | None = None
        if check != "off":
            _check(self._engine, label, check)
        for name in self._engine.trainable:
            if hasattr(self, name):
                raise LossError(f"a trainable parameter cannot be called `{name}` (loss `{self.formula}`)")
            self.register_parameter(name, nn.Parameter(torch.tensor(self._engine.start[name])))

    @property
    def formula(self) -> Formula:
        """What is computed, parameters as given."""
        return self._engine.formula

    @property
    def reduction(self) -> str:
        """How the losses of the samples become one."""
        return self._engine.reduction

    def forward(
        self,
        pred: Tensor | None = None,
        label: Tensor | None = None,
        *,
        score: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch; pass pred (in [0, 1]) or score (any real), not both."""
        if weight is None and (pred is None or score is None) and not compiling():
            fast = self._on_pred if score is None else self._on_score
            if fast is not None:
                loss = fast(pred if score is None else score, label)
                if loss is not None:
                    return loss
        own = self._engine
        x, axis = self._axis(pred, score)
        self._look(x, axis, label, weight)
        watched = traced(x)
        if weight is None and not watched and not own.trainable and own.backend not in ("eager", "compile"):
            if (self._on_pred if axis == "pred" else self._on_score) is None:
                path = own.path_of(axis, self.label if self.validate else None)
                self.__dict__["_on_pred" if axis == "pred" else "_on_score"] = path
                return self.forward(pred, label, score=score)
        return self._long_way(x, axis, label, weight, watched)

    def _long_way(self, x: Tensor, axis: Axis, label: Tensor | None, weight: Tensor | None, watched: bool) -> Tensor:
        """Any dtype, weights, transforms, trainable parameters; and the exact words for what is wrong."""
        own = self._engine
        if label is None:
            label = x  # never read: the formula has no label
        elif label.dtype is not x.dtype:
            label = label.to(x.dtype)
        if self.validate and not watched:
            self._look_inside(label)
        if axis == "pred":
            x = self._project(x, watched)
        given = x.dtype
        if given in _HALVES:
            x, label = x.float(), label.float()
        how = own.reduction if weight is None else "none"
        label_flows = label.requires_grad and label is not x
        if own.backend == "compile" and not watched:
            loss = _reduce(own.compiled_of(axis)(x, label, dict(self.named_parameters())), how)
        elif watched or own.trainable or own.backend in ("eager", "compile") or label_flows:
            loss = _reduce(own.formula_of(axis)(x, label, dict(self.named_parameters())), how)
        else:
            loss = own.script_of(axis, how).through(x, x.detach(), label)
        if weight is not None:
            loss = _reduce(loss * weight, own.reduction)
        return loss if given not in _HALVES or _autocast(x.device.type) else loss.to(given)

    # -- the border

    def _axis(self, pred: Tensor | None, score: Tensor | None) -> tuple[Tensor, Axis]:
        border = self._engine.border
        if score is not None:
            if pred is not None:
                raise LossError(border.both)
            return score, "score"
        if pred is None:
            raise LossError(border.neither)
        if self._engine.needs_score:
            raise LossError(border.pairs_need_score if self._engine.pairwise else border.needs_score)
        return pred, "pred"

    def _look(self, x: Tensor, axis: Axis, label: Tensor | None, weight: Tensor | None) -> None:
        border = self._engine.border
        for name, tensor in ((axis, x), ("label", label), ("weight", weight)):
            if tensor is None:
                continue
            if not isinstance(tensor, Tensor):
                raise LossError(border.kind(name, type(tensor).__name__))
            if tensor.dtype.is_complex:  # the method breaks the graph of torch.compile in PyTorch 2.3
                raise LossError(border.kind(name, str(tensor.dtype)))
            if tensor.shape != x.shape:
                raise LossError(border.shapes(axis, tuple(x.shape), name, tuple(tensor.shape)))
        if not x.is_floating_point():
            raise LossError(border.not_floating)
        if self._engine.pairwise:
            if label is not None:
                raise LossError(border.pairs_have_no_label)
        elif label is None and self._engine.uses_label:
            raise LossError(border.label_missing)

    def _look_inside(self, label: Tensor) -> None:
        if self.label is None or not self._engine.uses_label or self._engine.pairwise:
            return
        y = label.detach()
        if self.label == "{0,1}":
            fine = torch.equal(y * y, y)
        elif self.label == "[0,1]":
            fine = torch.equal(torch.clamp(y, 0, 1), y)
        else:
            fine = torch.equal(torch.ones_like(y), y)
        if not fine:
            wrong = y != y.clamp(0, 1) if self.label == "[0,1]" else (y != 1) & ((y != 0) | (self.label == "{1}"))
            raise LossError(self._engine.border.label_outside(float(y[wrong].flatten()[0]), self.label))

    def _project(self, pred: Tensor, watched: bool) -> Tensor:
        limits = torch.finfo(pred.dtype)
        fixed = pred.detach()
        inside = fixed.clamp(limits.tiny, 1 - limits.eps / 2)
        if not watched and self.validate:
            if torch.equal(inside, fixed):
                return pred
            if bool(((fixed < 0) | (fixed > 1)).any()):
                raise LossError(self._engine.border.outside)
        # exact at both ends, and the slope at the projected point reaches pred unchanged
        return pred + (inside - fixed)

    # -- other forms

    def torchscript(self) -> torch.jit.ScriptModule:
        """The loss as a TorchScript module with the same forward; `.save(path)` writes a file that needs no lossdsl.

        >>> import torch, lossdsl
        >>> scripted = lossdsl.compile("bce").torchscript()
        >>> scripted(score=torch.zeros(2), label=torch.ones(2))
        tensor(0.6931)
        """
        from lossdsl.targets import torchscript

        own = self._engine
        axes: tuple[Axis, ...] = ("score",) if own.needs_score else ("pred", "score")
        programs = {axis: own.program(axis) for axis in axes}
        labels = self.label if self.validate else None
        parameters = dict(self.named_parameters())
        return torchscript.module(str(own.formula), programs, own.reduction, own.pairwise, labels, parameters)

    def export(self, axis: str | None = None) -> Any:
        """The loss as a `torch.export.ExportedProgram` of (pred, label) or (score, label), the batch length dynamic.

        `axis` is "pred" or "score"; by default "pred" where the formula can be computed from it.
        """
        from lossdsl.targets import export

        own = self._engine
        if axis == "pred" and own.needs_score:
            raise LossError(own.border.pairs_need_score if own.pairwise else own.border.needs_score)
        where: Axis = "score" if axis == "score" or own.needs_score else "pred"
        return export.exported(own.program(where), own.reduction, dict(self.named_parameters()))

    # -- the life of a module

    def extra_repr(self) -> str:
        """What `print(loss)` shows."""
        return f"{str(self.formula)!r}, reduction={self.reduction!r}, backend={self._engine.backend!r}"

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state |= {"_engine": self._engine.recipe, "_on_pred": None, "_on_score": None}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["_engine"] = engine(*state["_engine"])


def compile(
    formula: str | Formula,
    backend: str = "torchscript",
    *,
    params: Mapping[str, float] | None = None,
    trainable: Collection[str] = (),
    reduction: str = "mean",
    pairwise: bool | None = None,
    label: str | None = None,
    validate: bool = True,
) -> Loss:
    """Compile a formula without judging it; the arguments are those of `Loss`.

    >>> import torch, lossdsl
    >>> loss = lossdsl.compile("(pred-label)^2", reduction="none")
    >>> loss(torch.tensor([0.25, 1.0]), torch.tensor([0.0, 1.0]))
    tensor([6.2500e-02, 3.5527e-15])
    """
    return Loss(
        formula,
        params=params,
        trainable=trainable,
        reduction=reduction,
        pairwise=pairwise,
        check="off",
        label=label,
        backend=backend,
        validate=validate,
    )


def _autocast(device: str) -> bool:
    try:
        return torch.is_autocast_enabled(device)
    except TypeError:  # before PyTorch 2.4
        return torch.is_autocast_cpu_enabled() if device == "cpu" else torch.is_autocast_enabled()


# The properties that decide the verdict.
_JUDGED = ("domain", "uses_pred", "uses_label", "gradient", "monotone")


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise LossError(f"{name} is one of {', '.join(map(repr, allowed))}, not {value!r}")


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def _check(own: Engine, label: str | None, how: str) -> None:
    from lossdsl.checking import check

    report = check(own.formula, pairwise=own.pairwise, label=label or "[0,1]")
    if report.verdict == "valid":
        return
    invalid = report.verdict == "invalid"
    status = "refuted" if invalid else "undecided"
    found = [f"{name} ({report.properties[name].detail})" for name in _JUDGED if _status(report, name) == status]
    verdict = "invalid" if invalid else "not proved valid"
    sentence = f"the loss `{own.formula}` is {verdict}: {', '.join(found)} {status}"
    if invalid and how == "error":
        raise LossError(f'{sentence}; check="warn" or "off" lets it pass')
    warnings.warn(sentence, stacklevel=3)


def _status(report: Any, name: str) -> str | None:
    finding = report.properties.get(name)
    return None if finding is None else finding.status
