"""The numbers behind every picture of a loss: value and slope along pred or score, a curve for each label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from lossdsl.errors import LossError
from lossdsl.formula import Formula, as_formula
from lossdsl.grammar.tree import names

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

Axis = Literal["pred", "score"]

REACH = 8.0  # how far along score a picture goes
FAR = 40.0  # and how far where something happens out there
# Where the frame of a picture looks: most losses have a pole at the ends of (0, 1), which would flatten all the rest.
INNER = {"pred": (0.1, 0.9), "score": (-0.75, 0.75)}


@dataclass(frozen=True)
class Curve:
    """One loss at one label; `label` is None where the formula has none, or for the loss of a pair.

    `value` and `slope` (d value / d axis) are NaN where the formula has no finite value.
    """

    name: str
    label: int | None
    x: Array
    value: Array
    slope: Array


@dataclass(frozen=True)
class Curves:
    """Several losses on one axis."""

    axis: Axis
    pairwise: bool
    curves: tuple[Curve, ...]
    reach: float = REACH

    @property
    def names(self) -> tuple[str, ...]:
        """The losses, in order, each once."""
        return tuple(dict.fromkeys(c.name for c in self.curves))

    @property
    def labels(self) -> tuple[int | None, ...]:
        """The labels, in order, each once."""
        return tuple(dict.fromkeys(c.label for c in self.curves))

    @property
    def ends(self) -> tuple[float, float]:
        """Where the axis begins and ends."""
        return (0.0, 1.0) if self.axis == "pred" else (-self.reach, self.reach)

    @property
    def across(self) -> str:
        """What the axis is called in a picture."""
        return "score difference of the pair" if self.pairwise and self.axis == "score" else self.axis

    def leading(self) -> Curves:
        """The first loss alone: what a picture that shows others beside it is framed by."""
        return replace(self, curves=tuple(c for c in self.curves if c.name == self.names[0]))

    def frame(self, quantity: str) -> tuple[float, float]:
        """Lowest and highest `value` or `slope` that a picture should show; poles are cut off."""
        import numpy as np

        inner = np.concatenate([*self._inner(quantity), np.zeros(1)])
        # A pole inside the frame would hide everything else: cut where the outer hundredths begin to run away.
        near, far = (float(v) for v in np.quantile(inner, [0.05, 0.95]))
        spread = far - near
        bottom = min(0.0, max(float(inner.min()), near - 3 * spread))
        top = max(0.0, min(float(inner.max()), far + 3 * spread))
        if self.unit(quantity) is not None:
            room = 0.3 * max(top, -bottom)
            return (bottom - room if bottom < 0 else -0.2), top + room if top > 0 else 0.2
        room = 0.06 * (top - bottom) or 1.0
        return bottom - room, top + room

    def unit(self, quantity: str) -> float | None:
        """Where the curves differ a hundredfold in size: the size up to which the axis is linear, logarithmic beyond.

        AutoLossGen's maxr is a million times steeper at label 0 than at label 1, and both are worth a look.

        >>> from lossdsl.curves import trace
        >>> trace("bce").unit("value") is None, trace("maxr").unit("value") is None
        (True, False)
        """
        import numpy as np

        sizes = [float(np.quantile(np.abs(y), 0.75)) for y in self._inner(quantity)]
        sizes = [size for size in sizes if size > 0]
        return min(sizes) if sizes and max(sizes) > 100 * min(sizes) else None

    def _inner(self, quantity: str) -> list[Array]:
        end = 1.0 if self.axis == "pred" else self.reach
        low, high = (end * part for part in INNER[self.axis])
        inner = [getattr(c, quantity)[(c.x >= low) & (c.x <= high)] for c in self.curves]
        return [y for y in (y[y == y] for y in inner) if len(y)]

    def describe(self) -> str:
        """The picture in words, for those who cannot see it.

        >>> from lossdsl.curves import trace
        >>> trace("mse").describe()
        'Value and slope of mse along pred. Label 1: value from 1 to 0, slope from -2 to 0. Label 0: value from 0 to 1,
        slope from 0 to 2.'
        """
        sentences = [f"Value and slope of {' and '.join(self.names)} along {self.axis}."]
        for curve in self.curves:
            if curve.name != self.names[0]:
                continue
            who = f"Label {curve.label}" if curve.label is not None else "A pair" if self.pairwise else "Any label"
            sentences.append(f"{who}: value {_range(curve.value)}, slope {_range(curve.slope)}.")
        return " ".join(sentences)


def _range(y: Array) -> str:
    import numpy as np

    finite = y[np.isfinite(y)]
    if not len(finite):
        return "nowhere finite"
    first, last = (0.0 if abs(v) < 5e-3 else float(v) for v in (finite[0], finite[-1]))
    return f"from {first:.2g} to {last:.2g}"


def trace(
    *losses: str | Formula,
    axis: Axis | None = None,
    pairwise: bool | None = None,
    titles: Sequence[str] | None = None,
    reach: float | None = None,
) -> Curves:
    """Value and slope of each loss at label 1 and 0.

    `axis` is `score` where the first loss is written in score alone or is of pairs, else `pred`. `pairwise` gives the
    loss of a pair as a function of the difference of its two scores; by default it is what a named loss declares.
    A parameter with a range is drawn at the middle of it. `titles` are the names in the picture, by default the named
    loss or the formula's text. The axis score goes from -`reach` to `reach`; by default to 8, or to 40 where the first
    loss is still steep at 8 and its slope dies farther out. Raises LossError where there is nothing to draw.

    >>> from lossdsl.curves import trace
    >>> [(c.name, c.label, c.value.shape) for c in trace("bce").curves]
    [('bce', 1, (407,)), ('bce', 0, (407,))]
    """
    if not losses:
        raise LossError("there is no loss to draw")
    formulas = [as_formula(loss) for loss in losses]
    pairs = formulas[0].pairwise if pairwise is None else pairwise
    if axis is None:
        used = names(formulas[0].tree.root)
        axis = "score" if pairs or ("score" in used and "pred" not in used) else "pred"
    if axis not in INNER:
        raise LossError(f"`{axis}` is no axis: take pred or score")
    if titles is not None and len(titles) != len(formulas):
        raise LossError(f"{len(formulas)} losses, but {len(titles)} titles")
    shown = list(titles) if titles is not None else [title(f) for f in formulas]
    if reach is None:
        reach = FAR if axis == "score" and _dies_far_out(formulas[0], pairs) else REACH
    curves: list[Curve] = []
    for formula, name in zip(formulas, shown):
        curves.extend(_curves(formula, name, axis, pairs, reach))
    return Curves(axis, pairs, tuple(curves), reach)


def _dies_far_out(formula: Formula, pairs: bool) -> bool:
    import numpy as np

    for curve in _curves(formula, "", "score", pairs, FAR):
        near = np.abs(np.interp([-REACH, REACH], curve.x, curve.slope))
        far = np.abs(curve.slope[[0, -1]])
        steep = near >= 0.1 * np.nanmax(np.abs(curve.slope[np.abs(curve.x) <= REACH]), initial=0.0)
        if (steep & (near > 0) & (far < 0.01 * near)).any():
            return True
    return False


def title(formula: Formula) -> str:
    """What a formula is called in a picture: the named loss, or its text, cut where it is long.

    >>> title(as_formula("focal")), title(as_formula("focal where gamma = 1"))[:12]
    ('focal', '-label*(1-pr')
    """
    if formula.name and formula.source.strip() == formula.name:
        return formula.name
    text = str(formula)
    return text if len(text) <= 60 else text[:59] + "…"


def grid(axis: Axis, reach: float = REACH) -> Array:
    """The points of a curve; 1/2, 1/4, 0 and other round numbers are among them, 0 and 1 are not."""
    import numpy as np

    if axis == "score":
        return np.linspace(-reach, reach, 401)
    ends = np.array([1e-6, 1e-4, 1e-3, 2e-3])
    return np.concatenate([ends, np.linspace(0, 1, 401)[1:-1], 1 - ends[::-1]])


def _curves(formula: Formula, name: str, axis: Axis, pairs: bool, reach: float) -> list[Curve]:
    import numpy as np

    from lossdsl.lowering import lower
    from lossdsl.targets.numpy import evaluate

    used = names(formula.tree.root)
    values: dict[str, Fraction | float] = {b.name: (b.low + b.high) / 2 for b in formula.tree.where if b.value is None}
    x = grid(axis, reach)
    # pred alone cannot be put into a formula that has score; the logit can, and the chain rule turns the slope.
    through_score = axis == "pred" and (pairs or "score" in used)
    at = np.log(x) - np.log1p(-x) if through_score else x
    program = lower(formula, axis="score" if through_score else axis, pairwise=pairs, values=values)
    labels: tuple[int | None, ...] = (1, 0) if program.uses_label else (None,)
    curves = []
    for label in labels:
        value, slope = evaluate(program, at, label)
        if through_score:
            with np.errstate(all="ignore"):
                slope = slope / (x * (1 - x))
        value = np.where(np.isfinite(value), value, np.nan)
        curves.append(Curve(name, label, x, value, np.where(np.isfinite(value + slope), slope, np.nan)))
    return curves
