"""Fills the outline with figures: each becomes a run of text with the number of its source, or the reason why it is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ingestion.contracts import contracts
from ingestion.reference import codes
from reporting.addresses import Address, address
from reporting.brief.elements import MARK, Element, Paragraph, Run, Source, Table
from reporting.brief.period import Period, chinese_date
from reporting.brief.writing import in_table, table_unit, written
from reporting.metrics import (
    Figure,
    catalogue,
    county_name,
    expected_counties,
    metric,
    metric_by,
    reading,
    unit_word,
)
from warehouse.settings import WarehouseError

SLOT = re.compile(r"\{(\w+)(?:\[(\w+)\])?\}")
SHORT_LIST = 6  # counties named one by one in a note


def split_name(text: str) -> tuple[str, dict[str, str]]:
    """'fund_spent[special]' → its metric and {'fund_line': 'special'}. Raises WarehouseError for what the catalogue lacks."""
    found = SLOT.fullmatch("{" + text + "}")
    if not found or found[1] not in catalogue():
        raise WarehouseError(f"The outline names {text!r}, which is no metric of reporting/metrics.yaml.")
    about = catalogue()[found[1]]
    if found[2] and not about.never:
        raise WarehouseError(f"The outline names {text!r}, but {found[1]} has no parts.")
    return found[1], {about.never[0]: found[2]} if found[2] else {}


@dataclass
class Composer:
    """One report in the making. ``words``: what the slots that are no metrics say."""

    connection: psycopg.Connection
    publication: int
    period: Period
    county: str | None
    words: dict[str, str]
    sources: list[Source] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)  # name → value, for the record
    _numbers: dict[tuple, int] = field(default_factory=dict)

    # -- text

    def fill(self, text: str, bold: bool = False) -> list[Run]:
        """Text with {slots} as runs. Raises WarehouseError for an unknown slot."""
        runs, end = [], 0
        for slot in SLOT.finditer(text):
            runs += [Run(text[end : slot.start()], bold=bold)] if slot.start() > end else []
            runs.append(self._slot(slot[1], slot[2], bold))
            end = slot.end()
        return runs + ([Run(text[end:], bold=bold)] if end < len(text) else [])

    def _slot(self, name: str, part: str | None, bold: bool) -> Run:
        if part is None and name == "target":
            return self.target()
        if part is None and name in self.words:
            return Run(self.words[name], bold=bold)
        own, of = split_name(name + (f"[{part}]" if part else ""))
        return self.run(self.figure(own, of), bold)

    def figure(self, name: str, of: Mapping[str, str] | None = None) -> Figure:
        return metric(
            self.connection, name, week=self.period.week, since=self.period.since, county=self.county, publication=self.publication, of=of
        )

    def run(self, figure: Figure, bold: bool = False) -> Run:
        about, word = figure.metric, unit_word(figure.metric, figure.of)
        key = (about.name, figure.publication, figure.week, figure.since, figure.county, tuple(figure.of.items()))
        text = f"（缺：{figure.reason}）" if figure.value is None else written(figure.value, about.unit, word)
        part = "".join(f"[{code}]" for code in figure.of.values())
        self.figures[about.name + part] = figure.value
        if key not in self._numbers:
            label = "·".join([about.zh, *(code_name(about.form, column, code) for column, code in figure.of.items())])
            self._numbers[key] = self.source(label, text, address(self.connection, figure, notes(figure)))
        return Run(text, self._numbers[key], bool(notes(figure)) and figure.value is not None, bold, figure.value is None)

    def target(self) -> Run:
        """The spending rate that the schedule asks for on the as-of date."""
        query = f"select target_rate from reference.spending_targets where month_end <= date '{self.period.as_of}' and year = {self.period.as_of.year} order by month_end desc limit 1"
        found = self.connection.execute(query).fetchone()
        text = written(found[0], "fraction", "") if found else "（缺：本年度尚无序时要求）"
        if ("target",) not in self._numbers:
            where = Address(self.publication, "reference.spending_targets", len(found or ()), query, commands_of=("warehouse psql -c \"select * from reference.spending_targets\"",))
            self._numbers["target",] = self.source("序时支出进度要求", text, where)
        return Run(text, self._numbers["target",], missing=found is None)

    def source(self, label: str, value: str, where: Address) -> int:
        self.sources.append(Source(len(self.sources) + 1, label, value, where))
        return len(self.sources)

    # -- tables

    def table(self, title: str, by: str, names: Sequence[str], of: Mapping[str, str] | None = None) -> list[Element]:
        """Metrics by a column: a row for each of its values, and one for all where they may be summed."""
        found = [
            metric_by(
                self.connection, n, by, week=self.period.week, since=self.period.since, county=self.county, publication=self.publication,
                of={k: v for k, v in (of or {}).items() if k in catalogue()[n].never},
            )
            for n in names
        ]  # fmt: skip
        form = found[0].metric.form
        keys = self._keys(found, by, form)
        if all(f.value is None and not f.values for f in found):
            return [Paragraph((Run(f"{title}：", bold=True), Run(f"（缺：{found[0].reason}）", missing=True)), "note")]
        header = [Run({"county_code": "县（市、区）"}.get(by, "类别"))]
        for figure in found:
            unit = table_unit(figure.metric.unit, unit_word(figure.metric))
            number = self.source(f"{title}·{figure.metric.zh}", f"{len(figure.values)}行", address(self.connection, figure, notes(figure)))
            header.append(Run(figure.metric.zh + (f"（{unit}）" if unit else ""), number))
        carried = {c for f in found for c, _ in f.carried} if by == "county_code" else set()
        rows = []
        if by == "county_code" and len(keys) > 1:
            rows.append((Run("合计", bold=True), *(self._cell(f, f.value, bold=True) for f in found)))
        rows += [(Run(key_name(by, key, form), marked=key in carried), *(self._cell(f, f.values.get(key)) for f in found)) for key in keys]
        return [Table(title, tuple(header), tuple(rows), self._table_notes(found, by, keys))]

    def _keys(self, found: list[Figure], by: str, form: str) -> list[str]:
        have = {k for f in found for k in f.values}
        if by == "county_code":
            return sorted(have | {c for c in expected_counties(form, self.period.week) if self.county in (None, c)})
        labels = next((f.values for f in contracts().form(form).fields if f.name == by), {})
        return [*(k for k in labels if k in have), *sorted(have - set(labels))]

    @staticmethod
    def _cell(figure: Figure, value: Any, bold: bool = False) -> Run:
        if value is not None:
            return Run(in_table(value, figure.metric.unit), bold=bold)
        counted = figure.by and figure.metric.agg == "count" and not figure.metric.is_ratio and (figure.values or figure.rows == 0) and not figure.absent
        return Run("0", bold=bold) if counted else Run("（缺）", bold=bold, missing=True)

    def _table_notes(self, found: list[Figure], by: str, keys: list[str]) -> tuple[str, ...]:
        told = []
        carried = sorted({pair for f in found for pair in f.carried})
        if carried:
            told.append(f"{MARK}沿用往期数：" + "、".join(f"{county_name(c)}（{w}）" for c, w in carried))
        lacking = {key for f in found for key in keys if self._cell(f, f.values.get(key)).missing}
        if by == "county_code":
            for key in sorted(lacking):
                figure = next(f for f in found if f.values.get(key) is None)
                own = metric(self.connection, figure.metric.name, week=self.period.week, since=self.period.since, county=key, publication=self.publication, of=figure.of)
                told.append(f"{county_name(key)}缺：{own.reason or '未填报'}")
        return tuple(told)

    # -- lists that are no metrics

    def listing(self, label: str, query: str, source: str, trace: Sequence[str] = (), commands: Sequence[str] = ()) -> tuple[list[dict[str, Any]], int | None]:
        """Rows of a query over the publication and the number of their source. ``trace``: names of the query's columns
        mart, week, county, key, column, as `warehouse trace` takes them."""
        with reading(self.connection, self.publication), self.connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(query).fetchall()
        arguments = [{name: str(row[f"trace_{name}"]) for name in trace if row[f"trace_{name}"] is not None} for row in rows[:3]] if trace else []
        where = Address(self.publication, source, len(rows), query, tuple(arguments), len(rows) if trace else 0, commands_of=tuple(commands))
        return rows, self.source(label, f"{len(rows)}行", where)


def notes(figure: Figure) -> tuple[str, ...]:
    """What a reader must know of a figure: what it carries forward, who is not in it, what was left blank."""
    told = []
    if figure.carried:
        told.append(f"含{len(figure.carried)}个县沿用往期数：" + "、".join(f"{county_name(c)}（{w}）" for c, w in figure.carried))
    if figure.absent and figure.value is not None:
        told.append("不含：" + "、".join(county_name(c) for c in figure.absent))
    gaps = [g for g in figure.gaps if g[0] not in figure.absent]
    if gaps:
        named = "、".join(f"{county_name(c)}（{w}）" for c, w in gaps[:SHORT_LIST])
        told.append(f"缺{len(gaps)}个县周的报表：{named}{'等' if len(gaps) > SHORT_LIST else ''}")
    if figure.blanks:
        told.append(f"{figure.blanks}行未填报，未计入")
    return tuple(told)


def code_name(form: str, column: str, code: str) -> str:
    """The label of a code without the unit in brackets behind it."""
    labels = next((f.values for f in contracts().form(form).fields if f.name == column), {})
    return re.sub(r"（\w+）$", "", labels[code][0]) if code in labels else code


def key_name(by: str, key: str, form: str) -> str:
    if by == "county_code":
        return county_name(key)
    if by == "industry_code":
        return codes().industries.get(key, key)
    labels = next((f.values for f in contracts().form(form).fields if f.name == by), {})
    return labels[key][0] if key in labels else key


def base_words(city: Mapping[str, str], period: Period, county: str | None, publication: int) -> dict[str, str]:
    return {
        "place": county_name(county) if county else city["name"], "whole": "全县" if county else "全市", "office": city["office"],
        "period": period.label, "as_of": chinese_date(period.as_of), "week": period.week, "publication": str(publication),
    }  # fmt: skip
