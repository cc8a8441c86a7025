"""Headline figures of the published marts, and what they carry forward from earlier weeks.

Each figure is a sum, or a sum over a sum, of columns that bear the contract's names; a mart or column that is not
published yet is passed over.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

import psycopg
from psycopg import sql

from ingestion.contracts import contracts
from warehouse.dbt_sources import forms_of_marts


@dataclass(frozen=True)
class Measure:
    """``over``: denominator of a rate. ``unit``: persons, yuan … as in the contracts; '%' for rates."""

    zh: str
    value: str
    unit: str
    over: str | None = None
    needs: tuple[str, ...] = ()


@dataclass
class Headline:
    form: str
    zh: str
    measures: list[Measure]
    where: str = "true"
    totals: dict[tuple[str, str], list[tuple[Decimal | None, Decimal | None]]] = field(default_factory=dict)  # (week, county)
    carried: dict[tuple[str, str], str] = field(default_factory=dict)  # (week, county) → week it is from
    weekly: bool = True

    @property
    def mart(self) -> str:
        return next(mart for mart, form in forms_of_marts().items() if form == self.form)

    def figure(self, week: str, county: str | None, number: int) -> Decimal | None:
        """One measure of a week; of one county, or of all that have figures."""
        keys = [(week, county)] if county else [k for k in self.totals if k[0] == week]
        pairs = [self.totals[k][number] for k in keys if k in self.totals]
        tops = [a for a, _ in pairs if a is not None]
        if not tops:
            return None
        if self.measures[number].over is None:
            return sum(tops)
        base = sum(b for a, b in pairs if a is not None and b is not None)
        return sum(a for a, b in pairs if a is not None and b is not None) / base if base else None


def _sum(form: str, *names: str) -> list[Measure]:
    fields = contracts().form(form).by_name
    return [Measure(fields[n].zh, f"sum({n})", fields[n].unit or "", needs=(n,)) for n in names]


def _rate(zh: str, top: str, base: str) -> Measure:
    return Measure(zh, f"sum({top})", "%", f"sum({base})", (top, base))


def headlines() -> list[Headline]:
    """What the first page shows of each star, in the order of the half-year report."""
    met = Measure("达标指标", "count(*) filter (where is_met)", "criteria", needs=("is_met",))
    met_rate = Measure("达标率", "count(*) filter (where is_met)", "%", "count(*)", ("is_met",))
    items = Measure("台账问题", "count(*)", "个")
    done = Measure("已完成整改", "count(*) filter (where status in ('done', 'verified'))", "个", needs=("status",))
    done_rate = Measure("整改率", "count(*) filter (where status in ('done', 'verified'))", "%", "count(*)", ("status",))
    return [
        Headline("EXI01", "摘帽进展", [met, met_rate]),
        Headline("EXI02", "未出列村", _sum("EXI02", "poor_persons", "criteria_unmet")),
        Headline("IND01", "产业奖补", [*_sum("IND01", "paid_subsidy", "paid_households"), _rate("资金兑现率", "paid_subsidy", "planned_subsidy")]),
        Headline("EMP01", "就业扶贫", [*_sum("EMP01", "employed_away"), _rate("占2019年比例", "employed_away", "employed_away_2019"), *_sum("EMP01", "public_post_holders")]),
        Headline("SOC01", "兜底保障", _sum("SOC01", "low_income_persons", "extreme_poverty_persons", "subsidy_paid")),
        Headline("CAM01", "四大战役", [_rate("开工率", "started", "planned"), _rate("竣工率", "completed", "planned"), *_sum("CAM01", "invested")]),
        Headline("FUN01", "财政扶贫资金", [*_sum("FUN01", "arrived", "spent"), _rate("支出率", "spent", "arrived")], "fund_line = 'all_fiscal'"),
        Headline("REL01", "易地搬迁", [*_sum("REL01", "households", "persons"), _rate("有意愿户就业率", "employed_households", "willing_households")]),
        Headline("COP01", "粤桂协作项目", [*_sum("COP01", "arrived", "spent"), _rate("支出率", "spent", "arrived")]),
        Headline("COP03", "消费扶贫", _sum("COP03", "sales", "poor_persons_benefited")),
        Headline("MON01", "防返贫监测", _sum("MON01", "unstable_households", "marginal_households", "red_households")),
        Headline("REC01", "问题整改", [items, done, done_rate]),
        Headline("EPI01", "疫情影响（滞留务工）", [*_sum("EPI01", "affected"), _rate("已解决", "resolved", "affected")], "impact = 'stranded_workers'"),
    ]


def load_figures(connection: psycopg.Connection, week: str | None, since: str = "") -> tuple[list[Headline], list[dict]]:
    """Headlines that are published, with their figures by week and county, and every slice that ``week`` carries.

    Weeks before ``since`` are left out. Reads the latest publication (or the one the session is set to). Figures without a week stand under ``week``.
    """
    columns: dict[str, set[str]] = defaultdict(set)
    for view, column in connection.execute("select table_name, column_name from information_schema.columns where table_schema = 'marts'"):
        columns[view].add(column)
    found = []
    for headline in headlines():
        have = columns.get(headline.mart, set())
        headline.measures = [m for m in headline.measures if have.issuperset(m.needs)]
        if "county_code" in have and headline.measures and week:
            headline.weekly = "week" in have
            _fill(connection, headline, week, "carried_from_week" in have, since)
            if headline.totals:
                found.append(headline)
    return found, _carried(connection, columns, week) if week else []


def _fill(connection: psycopg.Connection, headline: Headline, week: str, carries: bool, since: str) -> None:
    query = sql.SQL("select {week}, county_code, {carried}, {measures} from marts.{mart} where {where} and {in_time} group by 1, 2").format(
        week=sql.SQL("week") if headline.weekly else sql.Literal(week),
        carried=sql.SQL("max(carried_from_week)" if carries else "null"),
        measures=sql.SQL(", ").join(sql.SQL(f"{m.value}, {m.over or 'null'}") for m in headline.measures),
        mart=sql.Identifier(headline.mart),
        where=sql.SQL(headline.where),
        in_time=sql.SQL("week >= {}").format(sql.Literal(since)) if headline.weekly else sql.SQL("true"),
    )
    for own_week, county, carried, *values in connection.execute(query):
        headline.totals[own_week, county] = list(zip(values[::2], values[1::2], strict=True))
        if carried:
            headline.carried[own_week, county] = carried


def _carried(connection: psycopg.Connection, columns: dict[str, set[str]], week: str) -> list[dict]:
    marts = {mart: form for mart, form in forms_of_marts().items() if {"week", "county_code", "carried_from_week"} <= columns.get(mart, set())}
    if not marts:
        return []
    parts = [
        sql.SQL("select {form} as form, county_code, carried_from_week, count(*) from marts.{mart} where week = {week} and carried_from_week is not null group by 2, 3").format(
            form=sql.Literal(form), mart=sql.Identifier(mart), week=sql.Literal(week)
        )
        for mart, form in marts.items()
    ]
    rows = connection.execute(sql.SQL(" union all ").join(parts) + sql.SQL(" order by 3, 1, 2"))
    return [dict(zip(("form", "county", "from_week", "rows"), row, strict=True)) for row in rows]


def shown(value: Decimal | int | None, unit: str) -> tuple[str, str]:
    """A figure and its unit as printed: yuan become 万元 or 亿元, rates percent with one decimal, gaps a dash."""
    words = {"persons": "人", "households": "户", "workshops": "家", "posts": "个", "criteria": "项"}
    if value is None:
        return "—", ""
    if unit == "%":
        return f"{Decimal(value) * 100:.1f}", "%"
    if unit == "yuan":
        value = Decimal(value)
        return (f"{value / 100_000_000:,.2f}", "亿元") if abs(value) >= 100_000_000 else (f"{value / 10_000:,.2f}", "万元")
    number = Decimal(value)
    return (f"{number:,.0f}" if number == number.to_integral() else f"{number:,.1f}"), words.get(unit, unit)
