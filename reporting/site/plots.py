"""Charts of the dashboards as inline SVG, in the manner of `charts.py`: no library, and they print as they look.

Values are in the unit that is printed; None is a gap and never drawn as zero.
"""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from reporting.site.charts import runs

WIDTH, LABEL, VALUE, ROW = 540, 118, 74, 22
HEIGHT, LEFT, TOP, BOTTOM = 230, 64, 30, 26
COLOURS = 6  # classes c0 … of style.css

Points = list[tuple[str, list[float | None]]]


def course(values: list[float | None]) -> Markup:
    """A wide, low line of a figure's weeks; '' for fewer than two."""
    have = [v for v in values if v is not None]
    if len(have) < 2:
        return Markup("")
    low, span = min(have), (max(have) - min(have)) or 1

    def place(n: int) -> tuple[float, float]:
        return (n * 216 / (len(values) - 1) + 2, 34 - (values[n] - low) / span * 28)

    parts = [f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, run))}"/>' for run in runs(values)]
    x, y = place(max(n for n, v in enumerate(values) if v is not None))
    return Markup(f'<svg class="course" viewBox="0 0 222 40" preserveAspectRatio="xMinYMid" aria-hidden="true">{"".join(parts)}<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/></svg>')


def bars(points: Points, names: list[str], unit: str, label: str, stack: bool = False) -> Markup:
    """Horizontal bars, a row a label; several series side by side, or on one another (``stack``)."""
    several = len(names)
    thick = 12 if stack or several == 1 else max(5, 14 // several)
    row = ROW if stack or several == 1 else max(ROW, several * (thick + 1) + 9)
    top = 24 if several > 1 else 4
    sums = [sum(v for v in values if v is not None) for _, values in points] if stack else [v for _, values in points for v in values if v is not None]
    most = max((v for v in sums if v > 0), default=1)

    def x(v: float) -> float:
        return max(v, 0) / most * (WIDTH - LABEL - VALUE)

    parts = _legend(names) if several > 1 else []
    for n, (name, values) in enumerate(points):
        y = top + n * row
        parts.append(f'<text class="axis name" x="{LABEL - 8}" y="{y + row / 2 + 3.5:.1f}" text-anchor="end">{escape(_short(name))}<title>{escape(name)}</title></text>')
        if all(v is None for v in values):
            parts.append(f'<text class="axis" x="{LABEL}" y="{y + row / 2 + 3.5:.1f}">— 缺</text>')
            continue
        if stack:
            parts.append(_stacked(values, names, name, unit, x, y + (row - thick) / 2, thick))
            parts.append(_number(LABEL + x(sum(v or 0 for v in values)) + 5, y + row / 2 + 3.5, sum(v for v in values if v is not None)))
            continue
        inner = y + (row - several * (thick + 1)) / 2
        for k, value in enumerate(values):
            if value is None:
                continue
            place = inner + k * (thick + 1)
            parts.append(f'<rect class="c{k % COLOURS}" x="{LABEL}" y="{place:.1f}" width="{x(value):.1f}" height="{thick}"><title>{escape(f"{name} {names[k]}：{_text(value)}{unit}")}</title></rect>')
            parts.append(_number(LABEL + x(value) + 5, place + thick / 2 + 3.5, value))
    return _svg(parts, top + len(points) * row + 4, label)


def _stacked(values, names, name, unit, x, y, thick) -> str:
    parts, base = [], 0.0
    for k, value in enumerate(values):
        if value:
            parts.append(f'<rect class="c{k % COLOURS}" x="{LABEL + x(base):.1f}" y="{y:.1f}" width="{x(value):.1f}" height="{thick}"><title>{escape(f"{name} {names[k]}：{_text(value)}{unit}")}</title></rect>')
            base += value
    return "".join(parts)


def lines(points: Points, names: list[str], label: str) -> Markup:
    """A line a series over the weeks. The axis begins at zero unless all values lie far above it."""
    have = [v for _, values in points for v in values if v is not None]
    low, high = _axis(have)

    def y(v: float) -> float:
        return TOP + (1 - (v - low) / (high - low)) * (HEIGHT - TOP - BOTTOM)

    parts, x = _frame(points, low, high, y, names)
    for k, name in enumerate(names):
        values = [v[k] for _, v in points]
        for run in runs(values):
            parts.append(f'<polyline class="line l{k % COLOURS}" points="{" ".join(f"{x(n):.1f},{y(values[n]):.1f}" for n in run)}"/>')
        parts += [
            f'<circle class="c{k % COLOURS}" cx="{x(n):.1f}" cy="{y(v):.1f}" r="2.4"><title>{escape(f"{points[n][0]} {name}：{_text(v)}")}</title></circle>'
            for n, v in enumerate(values)
            if v is not None
        ]
    return _svg(parts, HEIGHT, label)


def columns(points: Points, names: list[str], label: str) -> Markup:
    """Upright bars over the weeks, series side by side."""
    have = [v for _, values in points for v in values if v is not None]
    low, high = 0.0, _axis([0.0, *have])[1]

    def y(v: float) -> float:
        return TOP + (1 - v / high) * (HEIGHT - TOP - BOTTOM)

    parts, x = _frame(points, low, high, y, names)
    step = (WIDTH - LEFT) / max(len(points), 1)
    width = min(14.0, step * 0.76 / max(len(names), 1))
    for n, (week, values) in enumerate(points):
        for k, v in enumerate(values):
            if v:
                left = x(n) - width * len(names) / 2 + k * width
                parts.append(f'<rect class="c{k % COLOURS}" x="{left:.1f}" y="{y(v):.1f}" width="{width * 0.9:.1f}" height="{y(0) - y(v):.1f}"><title>{escape(f"{week} {names[k]}：{_text(v)}")}</title></rect>')
    return _svg(parts, HEIGHT, label)


# ---------------------------------------------------------------- parts


def _frame(points: Points, low: float, high: float, y, names: list[str]):
    step = (WIDTH - LEFT) / max(len(points), 1)

    def x(n: int) -> float:
        return LEFT + step * (n + 0.5)

    parts = _legend(names) if len(names) > 1 else []
    for k in range(5):
        value = low + (high - low) * k / 4
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y(value):.1f}" y2="{y(value):.1f}"/><text class="axis" x="{LEFT - 6}" y="{y(value) + 3.5:.1f}" text-anchor="end">{_text(value)}</text>')
    every = max(1, -(-len(points) // 13))
    parts += [
        f'<text class="axis" x="{x(n):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(week[5:])}</text>'
        for n, (week, _) in enumerate(points)
        if (len(points) - 1 - n) % every == 0
    ]
    return parts, x


def _legend(names: list[str]) -> list[str]:
    """A square and a name a series, wrapped by their widths."""
    parts, x, y = [], 2.0, 8
    for k, name in enumerate(names):
        wide = 22 + sum(12 if ord(c) > 255 else 7 for c in name)
        if x + wide > WIDTH and k:
            break  # the table below names them all
        parts.append(f'<rect class="c{k % COLOURS}" x="{x:.1f}" y="{y - 8}" width="10" height="10" rx="1.5"/><text class="axis name" x="{x + 14:.1f}" y="{y + 1}">{escape(name)}</text>')
        x += wide
    return parts


def _axis(values: list[float]) -> tuple[float, float]:
    """Round ends of an axis with four steps between them."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if high <= 0:
        return (low, 1.0) if low < 0 else (0.0, 1.0)
    low = 0.0 if low >= 0 and low < high * 0.6 else low
    step = _nice((high - low) / 4 or high / 4 or 1)
    floor = math.floor(low / step) * step
    while floor + 4 * step < high:
        step = _nice(step * 1.01)
        floor = math.floor(low / step) * step
    return floor, floor + 4 * step


def _nice(value: float) -> float:
    """The next of 1, 2, 2.5, 5 × 10ⁿ from ``value``."""
    power = 10 ** math.floor(math.log10(value))
    return next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= value * 0.9999)


def _number(x: float, y: float, value: float) -> str:
    return f'<text class="axis value" x="{x:.1f}" y="{y:.1f}">{_text(value)}</text>'


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-9 else f"{value:,.2f}".rstrip("0").rstrip(".")


def _short(name: str) -> str:
    return name if len(name) <= 9 else name[:8] + "…"


def _svg(parts: list[str], height: float, label: str) -> Markup:
    return Markup(f'<svg class="chart" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>')
