"""A panel of curves as SVG text, without matplotlib; safe to show as an image, since all text in it is escaped."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.sax.saxutils import escape

from lossdsl.curves import Curve, Curves
from lossdsl.scales import Scale, scale, ticks, write

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 34, 40

# A picture is asked about its own width: on a telephone it shrinks, and its words would shrink with it.
# Both pairs of colours keep 4.5 to 1 against their ground; blue and orange stay apart for the colour-blind.
STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#575d66}
.grid{stroke:#e4e1d8;stroke-width:1}.zero{stroke:#a9a79f;stroke-width:1}
.head{font-weight:600;fill:#23272e;font-size:13px}
path{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}
.one{stroke:#1f5fa8}.nil{stroke:#b4500f}.all{stroke:#6a3d9a}
.beside{stroke-width:1.5;stroke-dasharray:2 5;opacity:.85}
@media(prefers-color-scheme:dark){text{fill:#a8afb9}.head{fill:#e8e6e1}.grid{stroke:#2d323a}.zero{stroke:#626a75}
.one{stroke:#7db4f5}.nil{stroke:#f0a060}.all{stroke:#c3a1ea}}
@media(max-width:380px){text{font-size:15px}.head{font-size:16px}}
""".replace("\n", "")

CLASSES = {1: "one", 0: "nil", None: "all"}


def panel(curves: Curves, quantity: str) -> str:
    """One quantity, `value` or `slope`, of all curves: the first loss drawn solid, the others dotted.

    >>> from lossdsl.curves import trace
    >>> picture = panel(trace("bce", "mse"), "slope")
    >>> picture[:4], picture.count("<path"), picture.count("beside")
    ('<svg', 7, 4)
    """
    leading = curves.leading()
    unit = leading.unit(quantity)
    low, high = _frame(curves, quantity)
    to_unit = scale(low, high, unit)
    across = scale(*curves.ends)

    def x(value: float) -> float:
        return LEFT + across(value) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - to_unit(value) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in ticks(low, high, unit):
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{write(tick)}</text>')
    left, right = curves.ends
    for tick in (left + (right - left) * part / 4 for part in range(5)):
        kind = "zero" if tick == 0 and curves.axis == "score" else "grid"
        parts.append(f'<line class="{kind}" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{write(tick)}</text>')
    first = curves.names[0] if curves.curves else ""
    for curve in sorted(curves.curves, key=lambda c: c.name == first):
        style = CLASSES[curve.label] if curve.name == first else _beside(curve.label)
        parts.append(f'<path clip-path="url(#frame)" class="{style}" d="{_line(curve, quantity, x, y, (low, high))}"/>')
    axis = curves.across
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{axis}</text>')
    parts.append(f'<text class="head" x="{LEFT}" y="18">{quantity}</text>')
    parts.extend(_legend(curves))
    frame = f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img"><title>{escape(quantity)} along {escape(axis)}</title><style>{escape(STYLE)}</style>'
        f'<clipPath id="frame">{frame}</clipPath>{"".join(parts)}</svg>'
    )


def _frame(curves: Curves, quantity: str) -> tuple[float, float]:
    """The first loss fills at least a third; what stands beside it is shown as far as that leaves room."""
    leading = curves.leading()
    low, high = leading.frame(quantity)
    if leading.unit(quantity) is not None or len(curves.names) == 1:
        return low, high
    others = replace(curves, curves=tuple(c for c in curves.curves if c.name != curves.names[0]))
    under, over = others.frame(quantity)
    blank = 0.05 * (over - under)  # a frame ends a little outside of what it shows
    room = high - low
    return max(min(low, under + blank), low - room), min(max(high, over - blank), high + room)


def _line(curve: Curve, quantity: str, x: Scale, y: Scale, frame: tuple[float, float]) -> str:
    low, high = frame
    room = high - low
    steps = []
    pen = "M"
    for at, value in zip(curve.x.tolist(), getattr(curve, quantity).tolist()):
        if math.isnan(value):
            pen = "M"
            continue
        # far outside, the exact place does not show, and a renderer may overflow
        steps.append(f"{pen}{x(at):.1f} {y(min(max(value, low - room), high + room)):.1f}")
        pen = "L"
    return "".join(steps)


def _beside(label: int | None) -> str:
    """How the second loss is drawn: of pairs in a colour of its own, since no label needs it."""
    return f"{CLASSES[label] if label is not None else 'nil'} beside"


def _legend(curves: Curves) -> list[str]:
    words = {1: "label 1", 0: "label 0", None: "pair" if curves.pairwise else "any label"}
    parts = []
    right = WIDTH - RIGHT
    entries = [(CLASSES[label], words[label]) for label in curves.labels]
    if len(curves.names) > 1:
        entries.append((_beside(None) if curves.labels == (None,) else "beside zero", ", ".join(curves.names[1:])))
    for style, text in reversed(entries):
        shown = text if len(text) <= 24 else text[:23] + "…"
        parts.append(f'<text x="{right}" y="18" text-anchor="end">{escape(shown)}</text>')
        right -= 8 * len(shown) + 9  # wide enough for the larger letters, too
        parts.append(f'<path class="{style}" d="M{right - 18} 14H{right}"/>')
        right -= 32
    return parts
