"""Pictures of a search as SVG text: points, steps and bars. Curves of losses are drawn by `lossdsl.web.picture`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lossdsl.scales import scale, ticks, write

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 44


@dataclass(frozen=True)
class Point:
    """A mark at (x, y); `kind` is a class of the page's style, `title` shows when the pointer rests on it."""

    x: float
    y: float
    kind: str = "dot"
    title: str = ""


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.06 or abs(high) * 0.01 or 1.0
    return low - room, high + room


def plane(points: Sequence[Point], steps: Sequence[tuple[float, float]], x_name: str, y_name: str) -> str:
    """Points, and over them a line of steps (the best so far, or a front).

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
        if tick < 0:
            continue
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{write(tick)}</text>')
    for p in points:
        inside = f"<title>{escape(p.title)}</title>" if p.title else ""
        parts.append(f'<circle class="{p.kind}" cx="{x(p.x):.1f}" cy="{y(p.y):.1f}" r="3">{inside}</circle>')
    if steps:
        path = f"M{x(steps[0][0]):.1f} {y(steps[0][1]):.1f}"
        for px, py in steps[1:]:
            path += f"H{x(px):.1f}V{y(py):.1f}"
        parts.append(f'<path class="best" d="{path}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_name)}</text>')
    half = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text transform="translate(14 {half}) rotate(-90)" text-anchor="middle">{escape(y_name)}</text>')
    return _svg(HEIGHT, f"{y_name} against {x_name}", parts)


def bars(rows: Sequence[tuple[str, int]]) -> str:
    """Counts as horizontal bars, each with its name before and its number behind.

    >>> from lossdsl.search.charts import bars
    >>> bars([("trained", 3), ("filtered", 9)]).count("<rect")
    2
    """
    if not rows:
        return '<p class="quiet">nothing to count</p>'
    most = max(count for _, count in rows) or 1
    height, left = 28 * len(rows) + 8, 250
    parts = []
    for k, (name, count) in enumerate(rows):
        top = 28 * k + 6
        width = (WIDTH - left - 80) * count / most
        parts.append(f'<text x="{left - 10}" y="{top + 14}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="bar" x="{left}" y="{top}" width="{max(width, 1):.1f}" height="18"/>')
        parts.append(f'<text x="{left + width + 8:.1f}" y="{top + 14}">{count}</text>')
    return _svg(height, "counts", parts)


def _svg(height: int, name: str, parts: Sequence[str]) -> str:
    label = escape(name, {'"': "&quot;"})
    head = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" xmlns="http://www.w3.org/2000/svg">'
    return head + "".join(parts) + "</svg>"
