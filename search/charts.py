"""Pictures of a search as SVG text: points, steps and bars. Curves of losses are drawn by `lossdsl.web.picture`.

A picture shrinks with the page, so there is room for the larger letters that the page's style gives it on a telephone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lossdsl.scales import scale, ticks, write

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 88, 16, 16, 56
ROW = 44  # height of a bar with its words


@dataclass(frozen=True)
class Point:
    """A mark at (x, y); `kind` is a class of the page's style, `title` shows when the pointer rests on it.

    A `spot` is drawn over the line of steps, all others under it.
    """

    x: float
    y: float
    kind: str = "dot"
    title: str = ""


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.06 or abs(high) * 0.01 or 1.0
    return low - room, high + room


def plane(points: Sequence[Point], steps: Sequence[tuple[float, float]], x_name: str, y_name: str) -> str:
    """Points, and over them a line of steps (the best so far, or a front); across, something is counted.

    >>> from lossdsl.search.charts import Point, plane
    >>> plane([Point(1, 0.5)], [(1, 0.5), (2, 0.6)], "trial", "reward").count("<circle")
    1
    """
    xs = [p.x for p in points] + [x for x, _ in steps]
    ys = [p.y for p in points] + [y for _, y in steps]
    if not xs:
        return '<p class="quiet">nothing to draw</p>'
    (x_low, x_high), (y_low, y_high) = _widened(xs), _widened(ys)
    across, up = scale(x_low, x_high), scale(y_low, y_high)

    def x(value: float) -> float:
        return LEFT + across(value) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - up(value) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in ticks(y_low, y_high):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{write(tick)}</text>')
    for tick in ticks(x_low, x_high):
        if tick < 0 or tick != round(tick):
            continue
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 22}" text-anchor="middle">{write(tick)}</text>')

    def mark(p: Point) -> str:
        inside = f"<title>{escape(p.title)}</title>" if p.title else ""
        return f'<circle class="{p.kind}" cx="{x(p.x):.1f}" cy="{y(p.y):.1f}" r="4">{inside}</circle>'

    parts.extend(mark(p) for p in points if p.kind != "spot")
    if steps:
        path = f"M{x(steps[0][0]):.1f} {y(steps[0][1]):.1f}"
        for px, py in steps[1:]:
            path += f"H{x(px):.1f}V{y(py):.1f}"
        parts.append(f'<path class="best" d="{path}"/>')
    parts.extend(mark(p) for p in points if p.kind == "spot")
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_name)}</text>')
    half = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="up" transform="translate(14 {half}) rotate(-90)" text-anchor="middle">{escape(y_name)}</text>'
    )
    return _svg(HEIGHT, f"{y_name} against {x_name}", parts)


def bars(rows: Sequence[tuple[str, int]]) -> str:
    """Counts as horizontal bars, each under its name and its number.

    >>> from lossdsl.search.charts import bars
    >>> bars([("trained", 3), ("filtered", 9)]).count("<rect")
    2
    """
    if not rows:
        return '<p class="quiet">nothing to count</p>'
    most = max(count for _, count in rows) or 1
    parts = []
    for k, (name, count) in enumerate(rows):
        top = ROW * k
        parts.append(f'<text x="0" y="{top + 20}">{escape(name)}</text>')
        parts.append(f'<text x="{WIDTH}" y="{top + 20}" text-anchor="end">{count}</text>')
        width = max(WIDTH * count / most, 1 if count else 0)
        parts.append(f'<rect class="bar" x="0" y="{top + 27}" width="{width:.1f}" height="10"/>')
    return _svg(ROW * len(rows), "counts", parts)


def _svg(height: int, name: str, parts: Sequence[str]) -> str:
    label = escape(name, {'"': "&quot;"})
    head = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg">'
    return head + "".join(parts) + "</svg>"
