"""The figures as small SVG pictures, written by hand: a plotting library would weigh more than all of them."""

from __future__ import annotations

from html import escape

from tests.benchmarks.figure import Figure

WIDTH, LABEL, ROW, BAR = 860, 400, 22, 14
COLOURS = ("#4472a8", "#7fa650", "#c58b3a", "#8d6fb0", "#5ba3a3", "#b05c5c", "#777777")


def ratios(figures: list[Figure], titles: dict[str, str]) -> str:
    """One bar a figure: its ratio as a share of its goal; the line is the goal. Bars end at twice the goal, the number does not."""
    unit = (WIDTH - LABEL - 70) / 2
    rows = []
    for n, f in enumerate(figures):
        y, share = n * ROW + 24, f.ratio / f.goal
        low, high = (max(0.0, min(2.0, s / f.goal)) * unit + LABEL for s in (min(f.samples), max(f.samples)))
        length = max(1.0, min(2.0, share) * unit)
        rows.append(
            f'<text x="{LABEL - 8}" y="{y + 11}" text-anchor="end">{escape(titles.get(f.name, f.name))}</text>'
            f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[1] if f.reached else COLOURS[5]}"/>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + BAR / 2}" y2="{y + BAR / 2}" stroke="#222"/>'
            f'<text x="{LABEL + length + 6:.1f}" y="{y + 11}">{f.ratio:g} of {f.goal:g}</text>'
        )
    height = len(figures) * ROW + 34
    line = f'<line x1="{LABEL + unit}" x2="{LABEL + unit}" y1="14" y2="{height - 8}" stroke="#222" stroke-dasharray="3 3"/><text x="{LABEL + unit}" y="11" text-anchor="middle">goal</text>'
    return _svg(height, line + "".join(rows))


def steps(by_depth: dict[str, dict[str, float]]) -> str:
    """One bar a depth of history, stacked by step of the cycle, in seconds."""
    names = list(dict.fromkeys(step for took in by_depth.values() for step in took))
    unit = (WIDTH - 240) / max(1e-9, *(sum(took.values()) for took in by_depth.values()))
    rows = []
    for n, (depth, took) in enumerate(by_depth.items()):
        x, y = 160.0, n * ROW + 34
        rows.append(f'<text x="152" y="{y + 11}" text-anchor="end">{int(depth):,} weeks</text>')
        for name in names:
            width = took.get(name, 0) * unit
            rows.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[names.index(name) % len(COLOURS)]}"><title>{escape(name)} {took.get(name, 0)} s</title></rect>')
            x += width
        rows.append(f'<text x="{x + 6:.1f}" y="{y + 11}">{sum(took.values()):.1f} s</text>')
    legend = "".join(
        f'<rect x="{160 + k * 90}" y="8" width="10" height="10" fill="{COLOURS[k % len(COLOURS)]}"/><text x="{174 + k * 90}" y="17">{escape(name)}</text>' for k, name in enumerate(names)
    )
    return _svg(len(by_depth) * ROW + 44, legend + "".join(rows))


def _svg(height: float, content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{content}</svg>\n'
    )
