"""Pictures of losses: for a paper through matplotlib (the `plot` extra), for a terminal without it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossdsl.curves import Axis, trace
from lossdsl.errors import LossError, MissingExtra
from lossdsl.formula import Formula
from lossdsl.scales import ticks, write
from lossdsl.textplot import terminal as terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png", ".pdf")
QUANTITIES = ("value", "slope")
# Blue and orange stay apart for the colour-blind and on grey paper; which loss it is, the dashes say.
COLOURS = {1: "#1f5fa8", 0: "#b4500f", None: "#6a3d9a"}
# Where no label needs a colour, as for pairs, the losses have one each.
LOSS_COLOURS = ("#6a3d9a", "#b4500f", "#1f5fa8", "#3f7a1f", "#8a6d00", "#444444")
DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.6)), (0, (6, 2, 1, 2)), (0, (8, 3)), (0, (3, 1, 1, 1, 1, 1)))


def picture(
    *losses: str | Formula,
    axis: Axis | None = None,
    pairwise: bool | None = None,
    names: Sequence[str] | None = None,
    reach: float | None = None,
) -> Figure:
    """Value and slope of one or several losses, a panel each, as a matplotlib Figure.

    A label has its colour, a loss its dashes; of pairs, a loss has its colour too. The figure belongs to nobody's
    pyplot state: `figure.savefig("a.pdf")` writes it, and a notebook shows it. Keywords as in
    `lossdsl.curves.trace`. Raises MissingExtra without matplotlib.

    >>> figure = picture("bce", "focal")
    >>> [panel.get_title() for panel in figure.axes]
    ['value', 'slope']
    """
    try:
        from matplotlib.lines import Line2D
    except ImportError:
        raise MissingExtra("plot", "a picture in a file") from None
    curves = trace(*losses, axis=axis, pairwise=pairwise, titles=names, reach=reach)
    figure = _blank()(figsize=(7.2, 3.0 + 0.2 * len(curves.names)), layout="constrained")
    dashes = {name: DASHES[i % len(DASHES)] for i, name in enumerate(curves.names)}
    own = dict.fromkeys(curves.names, "#444444")
    if curves.labels == (None,):
        own = {name: LOSS_COLOURS[i % len(LOSS_COLOURS)] for i, name in enumerate(curves.names)}
    for place, quantity in zip(figure.subplots(1, 2), QUANTITIES):
        for curve in curves.curves:
            place.plot(
                curve.x,
                getattr(curve, quantity),
                color=COLOURS[curve.label] if curve.label is not None else own[curve.name],
                linestyle=dashes[curve.name],
                linewidth=1.6,
            )
        low, high = curves.frame(quantity)
        unit = curves.unit(quantity)
        if unit is not None:
            place.set_yscale("asinh", linear_width=unit)
            shown = ticks(low, high, unit)
            place.set_yticks(shown, [write(y) for y in shown])
            place.minorticks_off()
        place.set_ylim(low, high)
        place.set_xlim(*curves.ends)
        place.axhline(0, color="#8a887f", linewidth=0.8, zorder=1)
        place.set_title(quantity, fontsize=10)
        place.set_xlabel(curves.across, fontsize=9)
        place.grid(color="#e4e1d8", linewidth=0.7)
        place.set_axisbelow(True)
        place.tick_params(labelsize=8, length=0)
        place.spines[:].set_visible(False)
    handles = [
        Line2D([], [], color=COLOURS[label], linewidth=1.6, label=f"label {label}")
        for label in curves.labels
        if label is not None
    ]
    handles += [Line2D([], [], color=own[n], linestyle=dashes[n], linewidth=1.6, label=n) for n in curves.names]
    columns = 5 if all(len(name) <= 16 for name in curves.names) else 2
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    return figure


@cache
def _blank() -> type[Figure]:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A Figure that a notebook shows, with or without pyplot."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=110)
            return buffer.getvalue()

    return Picture


def kind_of(path: str | Path) -> str:
    """What the name of a picture's file asks for, without the dot; raises LossError for what cannot be written.

    >>> from lossdsl.plot import kind_of
    >>> kind_of("Focal.SVG")
    'svg'
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise LossError(f"`{path.name}` does not end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    return path.suffix.lower()[1:]


def save(
    path: str | Path,
    *losses: str | Formula,
    axis: Axis | None = None,
    pairwise: bool | None = None,
    names: Sequence[str] | None = None,
    reach: float | None = None,
) -> None:
    """Write the picture of some losses to an SVG, PNG or PDF file; the same losses give the same bytes.

    Raises LossError for another suffix and MissingExtra without matplotlib.
    """
    path = Path(path)
    kind = kind_of(path)
    figure = picture(*losses, axis=axis, pairwise=pairwise, names=names, reach=reach)
    import matplotlib

    # Dates and random ids would make every file new to version control; text stays text, so that it can be searched.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}[kind]
    with matplotlib.rc_context({"svg.hashsalt": "lossdsl", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(path, format=kind, dpi=200, metadata=metadata)
