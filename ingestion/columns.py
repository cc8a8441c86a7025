"""Columns of a form against those of its tables: what is missing, what stands twice or unclear, what no form knows."""

from __future__ import annotations

from collections.abc import Callable

from ingestion.contract_model import Field, Form
from ingestion.convert import Converter
from ingestion.grid import a1, filled, is_empty, plain, squeeze
from ingestion.groups import Group
from ingestion.model import Finding, FormReading
from ingestion.recognise import Recogniser
from ingestion.table_rows import Column, Table


class Columns:
    """Tells in ``reading.findings``. ``missing`` are the fields without which the form can't be judged."""

    def __init__(self, reading: FormReading, form: Form, recogniser: Recogniser, converter: Converter, finding: Callable[..., Finding]):
        self.reading = reading
        self.form = form
        self.recogniser = recogniser
        self.converter = converter
        self.missing: list[Field] = []
        self._finding = finding
        known = (*recogniser.writing["known_extra_columns"],)
        self._known_extras = {squeeze(w) for w in known}
        self.reasons = {squeeze(w) for w in recogniser.writing["reason_heading"]}

    def tell_missing(self, groups: list[Group]) -> None:
        having = [g for g in groups if g.rows] or groups
        doubled = {name for g in having for t in g.tables for name in t.doubles}
        for f in self.form.fields:
            if (f.required or f.column_required) and f.name not in doubled and any(f.name not in g.fields for g in having):
                self.missing.append(f)
                self.reading.findings.append(
                    self._finding("GEN-COLMISS", f"缺少必填列“{f.zh}”，本表无法审核，请按统一表式补上该列后重报。", field=f.name, expected=f.zh)
                )

        for f in self.form.fields:
            if f.numeric and f not in self.missing and f.name not in doubled and not any(f.name in g.fields for g in having):
                self._unclear_column(f, having)
        for table in (t for g in having for t in g.tables):
            for name, columns in table.doubles.items():
                f = self.form.by_name[name]
                if any(f.name in g.fields for g in having):
                    continue
                where = "、".join(f"第{a1(1, c.col)[:-1]}列" for c in columns)
                self.missing.append(f)
                self.reading.findings.append(
                    self._finding(
                        "GEN-COLMISS", f"{where}都是“{f.zh}”而内容不同，无法判定以哪一列为准。请只保留本周的一列，或在列名里写明各列的区别。",
                        field=name, expected=f.zh, cell=a1(table.bottom + 1, columns[1].col),
                    )
                )  # fmt: skip

    def _unclear_column(self, f: Field, groups: list[Group]) -> None:
        """A column that isn't there, while one with figures speaks of it (亩产（公斤/公顷）, 总人口 2018年): told, and never left out in silence."""
        names = {squeeze(n) for n in (f.zh, *f.aliases)}
        for table in (t for g in groups for t in g.tables):
            for column in table.columns:
                said = squeeze("".join(column.levels))
                if column.field is not None or not any(n in said for n in names) or any(w in said for w in self.recogniser.writing["other_period_words"]):
                    continue
                if any(isinstance(c, (int, float)) for c in (table.grid.cell(r, column.col) for r in table.rows)):
                    self.missing.append(f)
                    self.reading.findings.append(
                        self._finding(
                            "GEN-COLMISS", f"第{a1(1, column.col)[:-1]}列“{' '.join(column.levels)}”是否就是“{f.zh}”，从列名（年份、单位、口径）看不出来，没有读取。请按规定的列名填报。",
                            field=f.name, expected=f.zh, sheet=table.grid.name, member=table.grid.member, cell=a1(table.bottom + 1, column.col), value=column.heading,
                        )
                    )  # fmt: skip
                    return

    def tell_unknown(self, groups: list[Group]) -> None:
        told = set()
        tables = [t for g in groups for t in g.tables]
        after = 0
        for group in groups:
            start, after = after, after + len(group.rows)
            for number, table in enumerate(group.tables):
                mapped = {c.col for c in table.columns}
                rows = table.grid.rows
                stray = sorted({c for r in group.rows for c in filled(rows[r[number]]) if c not in mapped} if len(group.rows) < 5_000 else ())
                spans = [(t.columns[0].col, t.columns[-1].col) for t in tables if t.grid is table.grid and t.top == table.top and t is not table and t.columns]
                for c in stray:
                    if any(a <= c <= b for a, b in spans):
                        continue
                    heading = f"（第{a1(1, c)[:-1]}列，无列名）"
                    self._tell_once(told, heading, table, c)
                    for i, r in enumerate(group.rows):
                        cell = rows[r[number]][c] if c < len(rows[r[number]]) else ""
                        if not self.converter.is_blank(cell):
                            self.reading.extra[start + i] = {**(self.reading.extra[start + i] or {}), heading: plain(cell)}
                for column in table.columns:
                    if column.field is None and squeeze(column.heading) not in self._known_extras | self.reasons and not self._is_group_only(column, table):
                        self._tell_once(told, column.heading, table, column.col)

    def _is_group_only(self, column: Column, table: Table) -> bool:
        """A column without any values whose heading is only that of a group (an empty margin, a spacer)."""
        return len(column.levels) == 1 and table.bottom > table.top and all(is_empty(table.grid.cell(r, column.col)) for r in table.rows)

    def _tell_once(self, told: set[str], heading: str, table: Table, col: int) -> None:
        if heading in told:
            return
        told.add(heading)
        found = self._finding(
            "GEN-COLUNK", f"“{heading}”不是本表的列，内容已随报表保存但不入库；如不需要请删去该列。",
            value=heading, sheet=table.grid.name, member=table.grid.member, cell=a1(table.bottom + 1, col),
        )  # fmt: skip
        self.reading.findings.append(found)
