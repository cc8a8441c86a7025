"""Headline figures: what `metrics.yaml` defines, worked out over one publication, each with its address.

A figure is the result of exactly the query it carries. A missing one is None with its reason in Chinese, never zero.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import yaml

from ingestion.contracts import contracts
from ingestion.reference import codes
from warehouse import calendar
from warehouse.dbt_sources import forms_of_marts, key_columns
from warehouse.settings import WarehouseError

CATALOGUE = Path(__file__).with_name("metrics.yaml")
TIMES = ("as_of", "flow", "ledger")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_CODE = re.compile(r"[\w\-]+")


@dataclass(frozen=True)
class Metric:
    """A definition of the catalogue. SQL texts speak of one row of the mart; see the head of metrics.yaml."""

    name: str
    mart: str
    zh: str
    en: str
    unit: str
    time: str
    agg: str  # sum | count | distinct
    value: str | None
    over: str | None
    where: str | None
    filter: str | None
    sum_over: tuple[str, ...]
    never: tuple[str, ...]
    across: bool
    may_be_empty: bool

    @property
    def form(self) -> str:
        return forms_of_marts()[self.mart]

    @property
    def is_ratio(self) -> bool:
        return self.over is not None

    @property
    def key(self) -> str:
        """The column that names a row within its county and week."""
        return key_columns(contracts(), self.form)[-1]

    @property
    def columns(self) -> tuple[str, ...]:
        """Plain columns that the value is made of: numerator first."""
        return tuple(c for c in (self.value, self.over) if c and _PLAIN.fullmatch(c))

    def numerator(self) -> str:
        if self.agg == "count":
            text = "count(*)"
        elif self.agg == "distinct":
            text = f"count(distinct {self.value})"
        else:
            text = f"sum({self.value})"
        text += f" filter (where {self.where})" if self.where else ""
        return f"coalesce({text}, 0)" if self.agg == "sum" and self.may_be_empty and not self.is_ratio else text

    def denominator(self) -> str | None:
        return None if self.over is None else f"sum({self.over})"

    def expression(self) -> str:
        """The value in SQL over the rows of a group: a number, or a fraction (not rounded)."""
        if self.over is None:
            return self.numerator()
        return f"({self.numerator()})::numeric / nullif({self.denominator()}, 0)"


@dataclass(frozen=True)
class Figure:
    """A metric's value in one publication. Money in yuan, ratios as fractions.

    ``rows`` contribute to it, ``blanks`` of them do not state it; ``carried``: (county, week it is from);
    ``absent``: counties that owe the form and have no figures in it; ``gaps``: of a flow, county-weeks without the form.
    """

    metric: Metric
    value: Decimal | int | None
    reason: str | None
    publication: int
    week: str
    since: str | None
    county: str | None
    of: Mapping[str, str]
    query: str
    rows: int = 0
    blanks: int = 0
    carried: tuple[tuple[str, str], ...] = ()
    absent: tuple[str, ...] = ()
    gaps: tuple[tuple[str, str], ...] = ()
    where: str = ""
    by: str | None = None
    values: Mapping[str, Decimal | int | None] = field(default_factory=dict)  # of a breakdown

    @property
    def conditions(self) -> str:
        """What the query asks of a row; 'true' where it asks nothing."""
        return self.where or "true"


@functools.cache
def catalogue() -> dict[str, Metric]:
    """Every metric by name. Raises ValueError where the catalogue contradicts itself or the marts."""
    document, found = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8")), {}
    for mart, about in document["marts"].items():
        for name, given in about["metrics"].items():
            zh, _, en = given["text"].partition(" | ")
            time, agg = given.get("time", about["time"]), given.get("agg", "sum")
            over = given.get("over")
            adds = () if over is not None or agg == "distinct" else tuple(given.get("sum_over", about["sum_over"]))
            if name in found:
                raise ValueError(f"two metrics are called {name}")
            if time not in TIMES or given["unit"] not in document["units"] or not en or (agg != "count" and "value" not in given):
                raise ValueError(f"metric {name}: time, unit, value or text is not as the head of {CATALOGUE.name} says")
            if "week" in adds and time != "flow":
                raise ValueError(f"metric {name}: only what happened in a week may be summed over weeks")
            value = given.get("value")
            found[name] = Metric(
                name, mart, zh, en, given["unit"], time, agg, None if value is None else str(value), None if over is None else str(over),
                given.get("where"), given.get("filter"), adds, tuple(about.get("never", ())), bool(given.get("across")), bool(about.get("may_be_empty")),
            )  # fmt: skip
    return found


@functools.cache
def units() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))["units"]


def unit_word(metric: Metric, of: Mapping[str, str] | None = None) -> str:
    """The Chinese word of a value's unit; for `of_the_row` that in brackets behind the label of the row's code."""
    if metric.unit != "of_the_row":
        return units()[metric.unit]["zh"]
    for column, code in (of or {}).items():
        labels = next((f.values for f in contracts().form(metric.form).fields if f.name == column), {})
        if code in labels and (word := re.search(r"（(\w+)）$", labels[code][0])):
            return word[1]
    return ""


@contextlib.contextmanager
def reading(connection: psycopg.Connection, publication: int | None = None) -> Iterator[int]:
    """Read the marts as of a publication (default: the latest); gives its number. Raises WarehouseError if there is none."""
    known = connection.execute(
        "select publication_id from store.publication where publication_id = coalesce(%s, store.latest_publication())", [publication]
    ).fetchone()
    if known is None:
        raise WarehouseError(f"There is no publication {publication}." if publication is not None else "Nothing has been published yet.")
    (before,) = connection.execute("select coalesce(current_setting('warehouse.publication', true), '')").fetchone()
    connection.execute("select set_config('warehouse.publication', %s, false)", [str(known[0])])
    try:
        yield known[0]
    finally:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            connection.execute("select set_config('warehouse.publication', %s, false)", [before])


def metric(
    connection: psycopg.Connection, name: str, *, week: str, county: str | None = None, publication: int | None = None,
    since: str | None = None, of: Mapping[str, str] | None = None,
) -> Figure:  # fmt: skip
    """One figure of a week, of a county or of all of them.

    ``since``: first week of a flow (default: ``week``). ``of`` picks the row where values overlap, such as
    {'fund_line': 'special'}. Raises KeyError for an unknown metric, ValueError where something would be summed that
    may not be, WarehouseError where there is no such publication.
    """
    about = catalogue()[name]
    if about.never and not about.across and not set(about.never) & set(of or ()):
        raise ValueError(f"{name} may not be summed over {', '.join(about.never)}: name one of them")
    with reading(connection, publication) as number:
        return _figure(connection, about, number, week, since, county, dict(of or {}))


def metric_by(
    connection: psycopg.Connection, name: str, by: str, *, week: str, county: str | None = None, publication: int | None = None,
    since: str | None = None, of: Mapping[str, str] | None = None,
) -> Figure:  # fmt: skip
    """A metric for each value of a column (county_code, project_kind …), in ``values``, from one query.

    ``value`` is that of all of them where it may be summed over ``by``, or is a ratio; else None.
    """
    about = catalogue()[name]
    left = set(about.never) - {by} - set(of or ())
    if left and not about.across:
        raise ValueError(f"{name} may not be summed over {', '.join(sorted(left))}: name one of them")
    with reading(connection, publication) as number:
        return _figure(connection, about, number, week, since, county, dict(of or {}), by)


# ---------------------------------------------------------------- working it out


def _figure(
    connection: psycopg.Connection, about: Metric, number: int, week: str, since: str | None, county: str | None, of: dict[str, str], by: str | None = None
) -> Figure:
    first = (since or week) if about.time == "flow" else None
    conditions = _conditions(about, week, first, county, of)
    select = f"select {by}, {about.expression()}" if by else f"select {about.expression()}"
    where = f" where {' and '.join(conditions)}" if conditions else ""
    query = f"{select} from marts.{about.mart}{where}" + (f" group by {by} order by {by}" if by else "")
    frame = {"metric": about, "publication": number, "week": week, "since": first, "county": county, "of": of, "query": query, "where": " and ".join(conditions), "by": by}
    (last,) = connection.execute("select week from store.publication where publication_id = %s", [number]).fetchone()
    if week > last:
        return Figure(value=None, reason=f"第{number}号发布只到{last}", **frame)
    if about.time == "ledger" and week != last:
        return Figure(value=None, reason=f"台账只有发布当周（{last}）的状态", **frame)
    facts = _coverage(connection, about, conditions, week, first, county)
    nobody = facts.pop("nobody")
    if nobody:
        return Figure(value=None, reason=_reason(connection, about, week, county, facts), **frame, **facts)
    if by:
        values = dict(connection.execute(query).fetchall())
        total = None
        if by not in about.never or about.across:
            total = connection.execute(f"select {about.expression()} from marts.{about.mart}{where}").fetchone()[0]
        return Figure(value=total, reason=None, values=values, **frame, **facts)
    (value,) = connection.execute(query).fetchone()
    reason = None if value is not None else "分母为零或未报" if about.is_ratio else "未填报"
    return Figure(value=value, reason=reason, **frame, **facts)


def _conditions(about: Metric, week: str, since: str | None, county: str | None, of: Mapping[str, str]) -> list[str]:
    for text in (week, since, county, *of, *of.values()):
        if text is not None and not _CODE.fullmatch(text):
            raise ValueError(f"not a code: {text!r}")
    found = []
    if about.time == "as_of":
        found.append(f"week = '{week}'")
    elif about.time == "flow":
        found.append(f"week = '{week}'" if since == week else f"week between '{since}' and '{week}'")
        found.append("carried_from_week is null")
    found += [f"county_code = '{county}'"] if county else []
    found += [f"{column} = '{value}'" for column, value in of.items()]
    found += [f"({about.filter})" if " and " in about.filter or " or " in about.filter else about.filter] if about.filter else []
    return found


def _coverage(connection: psycopg.Connection, about: Metric, conditions: list[str], week: str, since: str | None, county: str | None) -> dict[str, Any]:
    """How many rows a figure rests on, what they carry forward, and who is not in it."""
    value = about.value if about.agg == "sum" and about.value else "1"
    carried = "max(carried_from_week)" if about.time == "as_of" else "null::text"
    rows = connection.execute(
        f"select county_code, count(*), count(*) filter (where ({value}) is null), {carried} from marts.{about.mart} where {' and '.join(conditions) or 'true'} group by 1 order by 1"
    ).fetchall()
    whole = {c: from_week for c, _, _, from_week in rows}
    if about.filter:  # a filter may leave nothing of what a county reported, or of what is carried
        left = [c for c in conditions if about.filter not in c]
        whole = dict(connection.execute(f"select county_code, {carried} from marts.{about.mart} where {' and '.join(left) or 'true'} group by 1 order by 1").fetchall())
    absent, gaps = _absent(connection, about, week, since, county, set(whole))
    everybody = {c for c in expected_counties(about.form, week) if county in (None, c)}
    return {
        "rows": sum(n for _, n, _, _ in rows), "blanks": sum(b for _, _, b, _ in rows),
        "carried": tuple((c, w) for c, w in whole.items() if w), "absent": absent, "gaps": gaps,
        "nobody": not whole and (not about.may_be_empty or set(absent) == everybody),
    }  # fmt: skip


def _absent(
    connection: psycopg.Connection, about: Metric, week: str, since: str | None, county: str | None, have: set[str]
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    expected = [c for c in expected_counties(about.form, week) if county in (None, c)]
    if about.time != "flow":
        listed = set()
        if about.may_be_empty:  # an accepted list without lines, or with none that the filter leaves, is a list
            listed = {c for (c,) in connection.execute("select distinct county_code from marts.dim_submission where form = %s and week <= %s", [about.form, week])}
        return tuple(c for c in expected if c not in have | listed), ()
    sent = set(connection.execute("select county_code, week from marts.dim_submission where form = %s and week between %s and %s", [about.form, since, week]))
    weeks = [w for (w,) in connection.execute("select week from marts.dim_week where week between %s and %s order by 1", [since, week])]
    gaps = tuple((c, w) for c in expected for w in weeks if (c, w) not in sent)
    return tuple(c for c in expected if weeks and all((c, w) in gaps for w in weeks)), gaps


@functools.cache
def expected_counties(form: str, week: str) -> tuple[str, ...]:
    """Codes of the counties that owe a form for a week."""
    on = calendar.as_of_date(week)
    known = [codes().counties[c] for c in codes().counties_on(on)]
    places = [calendar.County(c.code, c.valid_from, c.valid_to, c.exited_year) for c in known]
    return tuple(p.county_code for p in places if form in calendar.expected_forms(p, week))


def county_name(code: str) -> str:
    return codes().county_name(code)


STATES = {"missing": "缺报", "returned": "退回未更正", "expected": "尚未到期", "empty": "空报"}


def _reason(connection: psycopg.Connection, about: Metric, week: str, county: str | None, facts: dict[str, Any]) -> str:
    title = contracts().form(about.form).zh
    if not expected_counties(about.form, week) or (county and county not in expected_counties(about.form, week)):
        return f"{'该县' if county else '各县'}无须报送《{title}》"
    states = connection.execute(
        "select status, count(*) from quality.reporting_status where form = %s and week = %s and coalesce(county_code = %s, true) group by 1 order by 2 desc",
        [about.form, week, county],
    ).fetchall()
    told = "、".join(STATES[s] if county else f"{STATES[s]}{n}个县" for s, n in states if s in STATES)
    return f"{week}《{title}》没有已采用的数据" + (f"（{told}）" if told else "")


def as_of(week: str) -> dt.date:
    return calendar.as_of_date(week)
