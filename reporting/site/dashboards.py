"""The dashboards' charts as static pages: the same pages (`reporting/pages.yaml`), the same metrics, no server.

What a page can show without one is drawn: figures with their course, bars by county or by code, courses over the weeks.
Tables of rows and what only the BI server's own views know stay there.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import yaml
from markupsafe import Markup
from psycopg import sql

from ingestion.contracts import contracts
from reporting.brief.writing import in_table, table_unit
from reporting.metrics import Metric, as_of, catalogue, county_name, expected_counties, unit_word
from reporting.overviews import Overview, overviews
from reporting.site import plots
from warehouse.dbt_sources import forms_of_marts

PAGES = Path(__file__).parents[1] / "pages.yaml"
WEEKS_ACROSS = 26
MOST_BARS = 40
ONE_FIGURE, ACROSS, OVER_WEEKS = ("card", "total"), ("bars", "pie"), ("lines", "columns")
SCHEDULE, SCHEDULE_ZH = "spending_target", "序时支出要求"
COUNTY_NAMES = ("county_name", "county_label")
SQL_WORDS = {"and", "or", "not", "is", "in", "null", "true", "false", "between"}
_WORD, _QUOTED = re.compile(r"\b[a-z_][a-z0-9_]*\b"), re.compile(r"'[^']*'")
_NAMED = re.compile(r"\b([a-z_]+) = '([\w\-]+)'")


@dataclass(frozen=True)
class Chart:
    """One chart of a page as defined. ``by``: column of the overview, or None for counties; ``where``: SQL over one of its rows."""

    kind: str
    title: str
    metrics: tuple[Metric, ...]
    by: str | None = None
    series: str | None = None
    where: str | None = None
    stack: bool = False
    schedule: bool = False  # with what the time schedule demands beside it

    @property
    def of(self) -> dict[str, str]:
        """The codes that ``where`` asks for, such as {'fund_line': 'special'}."""
        return dict(_NAMED.findall(self.where or ""))

    @property
    def unit(self) -> str:
        return table_unit(self.metrics[0].unit, unit_word(self.metrics[0], self.of))


@dataclass
class Drawn:
    """A chart with its figures. ``rows``: label, and a figure or None for each of ``names``; ``marked``: labels carried forward."""

    chart: Chart
    names: list[str]
    rows: list[tuple[str, list[Decimal | None]]]
    picture: Markup
    carried: list[tuple[str, str]] = field(default_factory=list)  # (county name, week it is from)
    marked: frozenset[str] = frozenset()

    def text(self, value: Decimal | None, number: int = 0) -> str:
        """As tables have it, with separators; ``number`` of the column."""
        about = self.chart.metrics[min(number, len(self.chart.metrics) - 1)]
        return "—" if value is None else f"{Decimal(in_table(value, about.unit)):,}"


@functools.cache
def pages() -> list[dict[str, Any]]:
    """Slug, title and charts of every page that has any. Raises ValueError for a chart that would sum what may not be summed."""
    document, known = yaml.safe_load(PAGES.read_text(encoding="utf-8")), {o.mart: o for o in overviews()}
    found = []
    for page in document["pages"]:
        charts = [chart for row in page["rows"] for about in row if (chart := _chart(about, known)) is not None]
        if charts:
            found.append({"slug": page["slug"], "title": page["title"].partition(" ")[2] or page["title"], "charts": charts})
    return found


def _chart(about: Mapping[str, Any], known: Mapping[str, Overview]) -> Chart | None:
    """None for what is not drawn here: tables of rows, and columns or measures that only the BI server has."""
    kind = next(iter(about))
    if kind not in (*ONE_FIGURE, *ACROSS, *OVER_WEEKS):
        return None
    named = about[kind] if isinstance(about[kind], list) else [about[kind]]
    metrics = tuple(catalogue()[name] for name in named if name in catalogue())
    if not metrics or len({m.mart for m in metrics}) > 1:
        return None
    columns = {c.name for c in known[metrics[0].mart].columns}
    by, series = (None if about.get(key) in COUNTY_NAMES else about.get(key) for key in ("by", "series"))
    asked = set(_WORD.findall(_QUOTED.sub("", about.get("where") or ""))) - SQL_WORDS
    if kind in OVER_WEEKS and (by or metrics[0].time == "ledger"):
        return None
    if not {*asked, *filter(None, (by, series))} <= columns:
        return None
    chart = Chart(kind, about.get("title") or "、".join(m.zh for m in metrics), metrics, by, series, about.get("where"), bool(about.get("stack")), SCHEDULE in named)
    for m in metrics:
        apart = {*chart.of, *(name.removesuffix("_name") for name in (by, series) if name)}
        if m.never and not m.across and not apart & set(m.never):
            raise ValueError(f"{PAGES.name}: {chart.title} sums {m.name} over {', '.join(m.never)}")
    return chart


# ---------------------------------------------------------------- figures


class Figures:
    """The figures of one publication, asked for in one statement a chart. The session reads the publication that it is set to."""

    def __init__(self, connection: psycopg.Connection, week: str, weeks: Iterable[str]):
        self.connection, self.week, self.weeks = connection, week, list(weeks)[-WEEKS_ACROSS:]
        self.overviews = {o.mart: o for o in overviews()}
        self.standing = {name for (name,) in connection.execute("select viewname from pg_views where schemaname = 'marts'")}
        self._carried: dict[str, dict[str, str]] = {}

    def draw(self, chart: Chart) -> Drawn | None:
        """None where the mart is not published yet."""
        mart = chart.metrics[0].mart
        if self.overviews[mart].name not in self.standing:
            return None
        carried = self.carried(mart) if chart.metrics[0].time == "as_of" else {}
        late = [(county_name(code), week) for code, week in carried.items()]
        if chart.kind in OVER_WEEKS or (chart.kind == "card" and chart.metrics[0].time != "ledger"):
            names, rows = self._over_weeks(chart)
        else:
            names, rows = self._across(chart)
        if chart.schedule and not chart.series:
            names = [*names, SCHEDULE_ZH]
            rows = [(label, [*values, self.target(label if chart.kind in OVER_WEEKS else self.week)]) for label, values in rows]
        marked = frozenset(name for name, _ in late) if chart.kind in ACROSS and chart.by is None else frozenset()
        return Drawn(chart, names, rows, self._picture(chart, names, rows, marked), late, marked)

    def carried(self, mart: str) -> dict[str, str]:
        """County → week that its figures of this week are from."""
        if mart not in self._carried:
            query = sql.SQL("select county_code, max(carried_from_week) from marts.{} where week = %s and carried_from_week is not null group by 1 order by 1")
            self._carried[mart] = dict(self.connection.execute(query.format(sql.Identifier(mart)), [self.week]).fetchall())
        return self._carried[mart]

    def target(self, week: str) -> Decimal | None:
        """The share of the year's funds that has to be spent by a week's as-of date: that of the last month end before."""
        day = as_of(week)
        rates = [rate for end, rate in self._targets() if end <= day and end.year == day.year]
        return rates[-1] if rates else None

    @functools.cache  # noqa: B019  lives as long as one building of the pages
    def _targets(self) -> list[tuple[dt.date, Decimal]]:
        return self.connection.execute("select month_end, target_rate from reference.spending_targets order by 1").fetchall()

    def _across(self, chart: Chart) -> tuple[list[str], list[tuple[str, list]]]:
        """Rows by county (all that owe the form, None where nothing stands), or by the values of a column."""
        about = chart.metrics[0]
        names = [m.zh for m in chart.metrics]
        conditions = self._conditions(about, chart, [] if about.time == "ledger" else [f"week = '{self.week}'"])
        if chart.kind in ONE_FIGURE:
            return names, [("", list(self._ask(chart, conditions, [])[0]))]
        if chart.series:
            return self._by_series(chart, conditions)
        key = chart.by or "county_code"
        found = {row[0]: list(row[1:]) for row in self._ask(chart, conditions, [key])}
        if chart.by is None:
            order = list(dict.fromkeys([*expected_counties(about.form, self.week), *(c for c in found if c)]))
            return names, [(county_name(c), found.get(c, [None] * len(names))) for c in order]
        rows = sorted(((str(label or "未填"), values) for label, values in found.items()), key=lambda r: -(r[1][0] or 0))
        return names, rows[:MOST_BARS]

    def _by_series(self, chart: Chart, conditions: list[str]) -> tuple[list[str], list[tuple[str, list]]]:
        """One metric, a column of values for each value of ``series``."""
        key = chart.by or "county_code"
        found = self._ask(chart, conditions, [key, chart.series])
        names = sorted({str(s or "未填") for _, s, *_ in found})
        table: dict[str, dict[str, Decimal]] = {}
        for label, series, value, *_ in found:
            table.setdefault(label, {})[str(series or "未填")] = value
        order = expected_counties(chart.metrics[0].form, self.week) if chart.by is None else sorted(table, key=str)
        named = county_name if chart.by is None else str
        return names, [(named(label), [table.get(label, {}).get(n) for n in names]) for label in order]

    def _over_weeks(self, chart: Chart) -> tuple[list[str], list[tuple[str, list]]]:
        about = chart.metrics[0]
        conditions = self._conditions(about, chart, [f"week between '{self.weeks[0]}' and '{self.week}'"])
        if chart.series:
            found = self._ask(chart, conditions, ["week", chart.series])
            names = sorted({str(s or "未填") for _, s, *_ in found})
            table = {(week, str(s or "未填")): value for week, s, value, *_ in found}
            return names, [(week, [table.get((week, n)) for n in names]) for week in self.weeks]
        by_week = {week: list(values) for week, *values in self._ask(chart, conditions, ["week"])}
        return [m.zh for m in chart.metrics], [(week, by_week.get(week, [None] * len(chart.metrics))) for week in self.weeks]

    def _conditions(self, about: Metric, chart: Chart, frame: list[str]) -> list[str]:
        found = [*frame, *(["carried_from_week is null"] if about.time == "flow" else []), *([f"({chart.where})"] if chart.where else [])]
        return found

    def _ask(self, chart: Chart, conditions: list[str], keys: list[str]) -> list[tuple]:
        """Every metric of the chart over the groups of ``keys``. A metric's own filter goes into its aggregates alone."""
        values = [_filtered(m) for m in chart.metrics]
        mart = chart.metrics[0].mart
        view, columns = self._source(mart, [*values, *conditions], keys)
        where = f" where {' and '.join(conditions)}" if conditions else ""
        by = f" group by {', '.join(columns)}" if columns else ""
        query = f"select {', '.join([*columns, *values])} from marts.{view}{where}{by}"
        if columns != keys:  # the groups get their labels
            form, figures = forms_of_marts()[mart], [f"v{n}" for n in range(len(values))]
            told = [column if column == key else f"{key}.code_name" for key, column in zip(keys, columns, strict=True)]
            joins = [
                f"left join marts.dim_code as {key} on {key}.form = '{form}' and {key}.field = '{column}' and {key}.code = {column}"
                for key, column in zip(keys, columns, strict=True) if column != key
            ]  # fmt: skip
            query = f"select {', '.join([*told, *figures])} from ({query}) as asked ({', '.join([*columns, *figures])}) {' '.join(joins)}"
        return self.connection.execute(query).fetchall()

    def _source(self, mart: str, texts: list[str], keys: list[str]) -> tuple[str, list[str]]:
        """Where to ask, and by which columns: codes instead of their labels where the mart itself has all that is needed.

        The overview joins every name to every row, which tells where there are many.
        """
        overview = self.overviews[mart]
        own = {c.name for c in overview.columns if c.expression == f"f.{c.name}"}
        fields = (f for f in contracts().form(forms_of_marts()[mart]).fields if f.name in own and f.values)
        named = {f"{f.name}_name": f.name for f in fields if len({labels[0] for labels in f.values.values()}) == len(f.values)}
        asked = {c.name for c in overview.columns} & set(_WORD.findall(_QUOTED.sub("", " ".join(texts))))
        if asked <= own and set(keys) <= own | named.keys():
            return mart, [key if key in own else named[key] for key in keys]
        return overview.name, keys

    def _picture(self, chart: Chart, names: list[str], rows: list[tuple[str, list]], marked: frozenset[str]) -> Markup:
        def scale(values: list) -> list[float | None]:
            return [None if v is None else float(in_table(v, chart.metrics[0].unit)) for v in values]

        points = [(f"{label}※" if label in marked else label, scale(values)) for label, values in rows]
        label = f"{chart.title}（{chart.unit}）"
        if chart.kind == "card":
            return plots.course([values[0] for _, values in points])
        if chart.kind == "total":
            return Markup("")
        if chart.kind in ACROSS:
            return plots.bars(points, names, chart.unit, label, chart.stack)
        return plots.lines(points, names, label) if chart.kind == "lines" else plots.columns(points, names, label)


def _filtered(about: Metric) -> str:
    """The metric's expression with its filter inside of the aggregates, so that several stand in one query."""
    if not about.filter:
        return about.expression()
    numerator = _filter(about.numerator(), about.filter)
    if about.over is None:
        return numerator
    return f"({numerator})::numeric / nullif({_filter(about.denominator(), about.filter)}, 0)"


def _filter(aggregate: str, condition: str) -> str:
    if " filter (where " in aggregate:
        return aggregate.replace(" filter (where ", f" filter (where ({condition}) and ", 1)
    if aggregate.startswith("coalesce("):
        return aggregate.replace(", 0)", f" filter (where {condition}), 0)", 1)
    return f"{aggregate} filter (where {condition})"
