"""The loss as it reaches training: an argument, in whichever of its forms an engine needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lossdsl.errors import LossError
from lossdsl.program import Program
from lossdsl.recsys.curves import Curves, curves

if TYPE_CHECKING:
    from torch import Tensor


class Objective:
    """A loss given as formula (text or `Formula`), as `lossdsl.Loss`, as a Program in score, or as a callable.

    A callable takes `score=` and `label=` and returns the mean; it runs on the torch engine only, since nothing else
    can look inside it. One with parameters to be trained is refused: what trains here is the recommender. With
    `uses_label=False` it is, for pairs, taken at label 1 alone, as a formula without label is.

    >>> from lossdsl.recsys.objective import Objective
    >>> Objective("-logsigmoid(score)").uses_label
    False
    """

    def __init__(self, loss: Any, *, uses_label: bool | None = None) -> None:
        from lossdsl.formula import Formula, parse

        self.formula: Formula | None = None
        self._program: Program | None = None
        self._module: Callable[..., Any] | None = None
        if isinstance(loss, str):
            loss = parse(loss)
        if isinstance(loss, Formula):
            self.formula = loss
        elif isinstance(loss, Program):
            self._program = loss
        elif callable(loss):
            formula = getattr(loss, "formula", None)
            named = loss.named_parameters() if hasattr(loss, "named_parameters") else ()
            if trainable := [name for name, value in named if value.requires_grad]:
                raise LossError(f"only the recommender is trained here, not `{trainable[0]}` of the loss: "
                                "give it a value, or train both in a loop of your own")  # fmt: skip
            if isinstance(formula, Formula):
                self.formula = formula
            else:
                self._module = loss
        else:
            raise LossError(f"a loss is a formula, a Program or a callable, not {type(loss).__name__}")
        if uses_label is None:
            uses_label = self.program.uses_label if self.program is not None else True
        self.uses_label = uses_label

    @property
    def text(self) -> str:
        """What to call it in a report: the canonical text where there is a formula."""
        if self.formula is not None:
            return str(self.formula)
        return type(self._module).__name__ if self._module is not None else "program"

    @property
    def name(self) -> str:
        """Short, for a table: the text as it was given where that is shorter than the canonical one."""
        if self.formula is None:
            return self.text
        source = " ".join(self.formula.source.split())
        return source if len(source) <= len(self.text) else self.text

    @cached_property
    def program(self) -> Program | None:
        """Value and slope in score, where the loss can be looked into."""
        if self._program is None and self.formula is not None:
            from lossdsl.lowering import lower

            return lower(self.formula, axis="score")
        return self._program

    @cached_property
    def pair_program(self) -> Program | None:
        """Value and slope in the difference of two scores: the mean of (d, label 1) and (-d, label 0)."""
        if self.formula is None:
            return None
        from lossdsl.lowering import lower

        return lower(self.formula, axis="score", pairwise=True)

    def curves(self, *, pairs: bool, dtype: str) -> Curves | None:
        """The slopes as the fused engine takes them; None for a loss that cannot be looked into."""
        program = self.pair_program if pairs else self.program
        return None if program is None else curves(program, dtype=dtype)

    @cached_property
    def module(self) -> Callable[..., Tensor]:
        """The callable of `score=` and `label=` that torch differentiates."""
        if self._module is not None:
            return self._module
        if self.formula is None:
            raise LossError("a bare Program trains on the fused engine only; give the formula for torch")
        from lossdsl.loss import compile

        return compile(self.formula, pairwise=False, validate=False)

    @cached_property
    def _pair_module(self) -> Callable[..., Tensor] | None:
        if self.formula is None:
            return None
        from lossdsl.loss import compile

        return compile(self.formula, pairwise=True, validate=False)

    def pair(self, difference: Tensor) -> Tensor:
        """The mean loss of pairs whose better item is ahead by `difference`."""
        import torch

        if self._pair_module is not None:
            return self._pair_module(score=difference)
        ahead = self.module(score=difference, label=torch.ones_like(difference))
        if not self.uses_label:
            return ahead
        behind = self.module(score=-difference, label=torch.zeros_like(difference))
        return (ahead + behind) / 2


def as_objective(loss: Any) -> Objective:
    """An `Objective` as it is, or made of what was given."""
    return loss if isinstance(loss, Objective) else Objective(loss)
