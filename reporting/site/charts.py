"""Small charts as inline SVG: made once on the server side, so that pages need no library and print as they look."""

from __future__ import annotations

import math

from markupsafe import Markup, escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 540, 220, 46, 28, 24


def rate_line(points: list[tuple[str, float | None, str]], label: str, mark: str | None = None) -> Markup:
    """A line of percentages. Points: week, value 0…1 or None (a gap), text of the tooltip."""
    step, low = _step(len(points)), _floor([v for _, v, _ in points if v is not None])

    def y(v: float) -> float:
        return TOP + (1 - (v - low) / (1 - low)) * (HEIGHT - TOP - BOTTOM)

    def x(n: int) -> float:
        return LEFT + step * (n + 0.5)

    parts = [_grid(y(low + (1 - low) * k / 4), f"{(low + (1 - low) * k / 4) * 100:.0f}%") for k in range(5)]
    for run in runs([v for _, v, _ in points]):
        path = " ".join(f"{x(n):.1f},{y(points[n][1]):.1f}" for n in run)
        parts.append(f'<polyline class="line" points="{path}"/>')
    for n, (week, value, text) in enumerate(points):
        if value is not None:
            size = 4.5 if week == mark else 3
            parts.append(f'<circle class="dot" cx="{x(n):.1f}" cy="{y(value):.1f}" r="{size}"><title>{escape(text)}</title></circle>')
    return _frame(parts, [w for w, _, _ in points], x, label, f"纵轴自 {low * 100:.0f}% 起" if low else "")


def value_line(points: list[tuple[str, float | None, str]], label: str, unit: str) -> Markup:
    """A line of amounts in ``unit``. Points: week, value or None (a gap), text of the tooltip."""
    have = [v for _, v, _ in points if v is not None]
    step, (low, high, tick) = _step(len(points)), _scale(have)

    def y(v: float) -> float:
        return TOP + (1 - (v - low) / (high - low)) * (HEIGHT - TOP - BOTTOM)

    def x(n: int) -> float:
        return LEFT + step * (n + 0.5)

    digits = max(0, -math.floor(math.log10(tick)))
    parts = [_grid(y(low + tick * k), f"{low + tick * k:,.{digits}f}") for k in range(round((high - low) / tick) + 1)]
    for run in runs([v for _, v, _ in points]):
        parts.append(f'<polyline class="line" points="{" ".join(f"{x(n):.1f},{y(points[n][1]):.1f}" for n in run)}"/>')
    for n, (_, value, text) in enumerate(points):
        if value is not None:
            parts.append(f'<circle class="dot" cx="{x(n):.1f}" cy="{y(value):.1f}" r="{4.5 if n == len(points) - 1 else 2.6}"><title>{escape(text)}</title></circle>')
    return _frame(parts, [w for w, _, _ in points], x, label, unit + (f"，纵轴自 {low:,.{digits}f} 起" if low else ""))


def stacked_bars(points: list[tuple[str, list[int], str]], classes: list[str], label: str, unit: str = "") -> Markup:
    """Bars of counts, one series on another. Points: week, a count a series, text of the tooltip."""
    step, top = _step(len(points)), _ceiling(max((sum(c) for _, c, _ in points), default=0))

    def y(v: float) -> float:
        return TOP + (1 - v / top) * (HEIGHT - TOP - BOTTOM)

    def x(n: int) -> float:
        return LEFT + step * (n + 0.5)

    parts = [_grid(y(top * k / 4), f"{top * k // 4:,}") for k in range(5)]
    width = min(26, step * 0.62)
    for n, (_, counts, text) in enumerate(points):
        base = 0
        parts.append(f"<g><title>{escape(text)}</title>")
        for count, name in zip(counts, classes, strict=True):
            if count:
                parts.append(f'<rect class="{name}" x="{x(n) - width / 2:.1f}" y="{y(base + count):.1f}" width="{width:.1f}" height="{y(base) - y(base + count):.1f}"/>')
            base += count
        parts.append("</g>")
    return _frame(parts, [w for w, _, _ in points], x, label, unit)


def sparkline(values: list[float | None]) -> Markup:
    """A word-sized line; '' for fewer than two values."""
    have = [v for v in values if v is not None]
    if len(have) < 2:
        return Markup("")
    low, high = min(have), max(have)
    span = (high - low) or 1

    def place(n: int, v: float) -> str:
        return f"{n * 76 / (len(values) - 1) + 2:.1f},{18 - (v - low) / span * 14:.1f}"

    lines = "".join(f'<polyline class="line" points="{" ".join(place(n, values[n]) for n in run)}"/>' for run in runs(values))
    last = max(n for n, v in enumerate(values) if v is not None)
    cx, cy = place(last, values[last]).split(",")
    return Markup(f'<svg class="spark" viewBox="0 0 80 22" aria-hidden="true">{lines}<circle class="dot" cx="{cx}" cy="{cy}" r="2.2"/></svg>')


def _step(count: int) -> float:
    return (WIDTH - LEFT - 8) / max(count, 1)


def _floor(values: list[float]) -> float:
    """Start of the axis: zero, or a round share above it where everything lies high."""
    lowest = min(values, default=0)
    return next((f for f in (0.8, 0.6, 0.4) if lowest >= f + 0.02), 0.0)


def _ceiling(value: int) -> int:
    """The next number from ``value`` that four grid lines divide evenly."""
    for power in (1, 10, 100, 1000, 10_000, 100_000, 1_000_000):
        for step in (4, 8, 12, 20, 24, 32, 40):
            if step * power >= value:
                return step * power
    return value + (-value) % 4


def _grid(y: float, text: str) -> str:
    return f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/><text class="axis" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{text}</text>'


def runs(values: list[float | None]) -> list[list[int]]:
    """Stretches of neighbouring values without a gap."""
    found: list[list[int]] = [[]]
    for n, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1].append(n)
    return [r for r in found if r]


def _scale(values: list[float]) -> tuple[float, float, float]:
    """Start, end and tick of an axis with three to six round steps; it begins at zero unless everything lies high above it."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    low = min(low, 0.0) if low < 0.6 * high or low < 0 else low
    span = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / 4))
    tick = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= 5)
    first, last = math.floor(low / tick) * tick, math.ceil(high / tick) * tick
    return first, last if last > first else first + tick, tick


def _frame(parts: list[str], weeks: list[str], x, label: str, unit: str = "") -> Markup:
    every = max(1, -(-len(weeks) // 13))
    ticks = [
        f'<text class="axis" x="{x(n):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{week[5:]}</text>'
        for n, week in enumerate(weeks)
        if (len(weeks) - 1 - n) % every == 0
    ]
    if unit:
        ticks.append(f'<text class="axis" x="0" y="{TOP - 16}">{escape(unit)}</text>')
    return Markup(f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(parts + ticks)}</svg>')
