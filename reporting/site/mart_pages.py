"""Pages of published figures: the charts of the dashboards, and each form's figures with where they come from."""

from __future__ import annotations

from typing import Any

from reporting.site import addresses, charts, dashboards, figures
from reporting.site.pages import WEEKS_ACROSS, Site


def write_charts(site: Site) -> None:
    """A page for each page of the dashboards, and one that lists them."""
    drawn, week = [], (site.facts.publication or {}).get("week")
    if week:
        known = dashboards.Figures(site.connection, week, [w for w in site.facts.weeks if w <= week])
        for page in dashboards.pages():
            found = [d for chart in page["charts"] if (d := known.draw(chart)) is not None]
            if found:
                drawn.append(page | {"charts": found, "carried": sorted({pair for d in found for pair in d.carried})})
    sources = {h.form for h in site.published}
    for page in drawn:
        site.page(f"charts/{page['slug']}.html", "chart_page.html", title=page["title"], page=page, pages=drawn, week=week, sources=sources)
    site.page("charts.html", "charts.html", title="图表", pages=drawn, week=week)


def write_figures(site: Site) -> None:
    publication = site.facts.publication
    found = addresses.load_addresses(site.connection, site.published, publication["week"]) if publication else {}
    for headline in site.published:
        weeks = sorted({w for w, _ in headline.totals})
        lines = [(m, _line(headline, weeks[-WEEKS_ACROSS:], n)) for n, m in enumerate(headline.measures)] if headline.weekly and len(weeks) > 1 else []
        site.page(f"figures/{headline.form}.html", "star.html", title=headline.zh, h=headline, week=publication["week"], weeks=weeks[-WEEKS_ACROSS:], lines=lines)
        sources = found.get(headline.form, {})
        site.page(f"figures/{headline.form}-sources.html", "sources.html", title=f"{headline.zh}：来处", h=headline, week=publication["week"], sources=sources, commands=addresses.commands)


def _line(headline: figures.Headline, weeks: list[str], number: int) -> Any:
    """The chart of one measure over weeks, in the unit of its newest value."""
    measure, values = headline.measures[number], [headline.figure(week, None, number) for week in weeks]
    unit = next((figures.shown(v, measure.unit)[1] for v in reversed(values) if v is not None), "")
    scale = {"%": 0.01, "万元": 10_000, "亿元": 100_000_000}.get(unit, 1)
    points = [(w, None if v is None else float(v) / scale, f"{w}：{''.join(figures.shown(v, measure.unit))}") for w, v in zip(weeks, values, strict=True)]
    return charts.value_line(points, f"各周{measure.zh}", unit)
