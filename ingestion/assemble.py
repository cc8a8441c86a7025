"""One submission from the tables it stands in: rows of all blocks joined, columns converted, faults told with their cell."""

from __future__ import annotations

import functools
import itertools
import re
from decimal import Decimal
from typing import Any

from ingestion.checks.subject import UNTOLD_ZH
from ingestion.columns import Columns
from ingestion.contract_model import Field, Form
from ingestion.convert import Converted, Converter, Problem, mask
from ingestion.grid import a1, columns_of, is_empty, plain, squeeze
from ingestion.groups import Group, groups_of
from ingestion.headings import STRETCH
from ingestion.layout import Segment
from ingestion.model import Block, ColumnSource, Finding, FormReading, Told, TotalRow, finding_in
from ingestion.rates import Rates
from ingestion.recognise import Recogniser, as_heading
from ingestion.row_texts import keep_reasons_and_extras, keep_texts
from ingestion.table_rows import Column, Table
from ingestion.units import RATES, Unit

_UNIT_BEHIND = re.compile(r"^[-+]?[\d.,]*")
MEASURED = ("stock", "cumulative", "flow", "constant", "declared")


class Assembly:
    """Fills one FormReading. ``totals`` are its 合计 and 小计 rows for the checks."""

    def __init__(self, reading: FormReading, form: Form, segments: list[Segment], recogniser: Recogniser, converter: Converter):
        self.reading = reading
        self.form = form
        self.segments = segments
        self.recogniser = recogniser
        self.converter = converter
        self.totals: list[TotalRow] = []
        self._faults: list[Finding] = []
        self._told = Told()
        self._finding = functools.partial(finding_in, reading, recogniser.contracts.rules)
        self._columns = Columns(reading, form, recogniser, converter, self._finding)
        self._rates = Rates(form, self._finding, self._faults)
        self.missing = self._columns.missing

    def fill(self) -> None:
        groups: list[Group] = []
        for _, parts in itertools.groupby(self.segments, key=lambda s: id(s.grid)):
            tables = []
            for segment in parts:  # further columns may come below a title block of their own
                for table in segment.tables:
                    table.unit = table.unit or segment.block.unit
                tables += segment.tables
            groups += groups_of(tables, self.form)
        self.reading.values = {f.name: [] for f in self.form.fields}
        self._columns.tell_missing(groups)
        for group in groups:
            self._group(group)
        self._columns.tell_unknown(groups)
        for group in groups:
            self._other_counties(group)
        self.reading.change_note = next((s.reason for s in self.segments if s.reason), None)
        if not self.missing and self._is_empty():
            self._drop_rows()
        elif not self.missing:
            self.reading.findings += sorted(self._faults, key=lambda f: (f.row_no or 0))
            self.reading.findings += [
                self._finding(rule, UNTOLD_ZH.format(zh=self.form.by_name[name].zh, number=number), field=name) for rule, name, number in self._told.untold()
            ]

    def _other_counties(self, group: Group) -> None:
        """Rows that a column of counties gives to another county than the sender: a summary of several, told once."""
        words, home = {squeeze(w) for w in self.recogniser.writing["county_columns"]}, self.reading.county_code
        find, standing = self.converter.codes.county, self.converter.codes.standing
        for number, table in enumerate(group.tables):
            for column in table.columns:
                if column.field is not None or squeeze(column.heading) not in words or home is None:
                    continue
                for i, r in enumerate(group.rows):
                    text = plain(table.grid.cell(r[number], column.col))
                    if (code := find(text) if text else None) and standing(code) != standing(home):
                        name = self.converter.codes.county_name(home)
                        self._faults.append(
                            self._finding(
                                "GEN-COUNTY", f"第{i + 1}行是{text}的数据，而填报单位是{name}。本表只能填报{name}的数据，请删去其他县的行后重报。",
                                sheet=table.grid.name, member=table.grid.member, cell=a1(r[number] + 1, column.col), row_no=i + 1, value=text, expected=name,
                            )
                        )  # fmt: skip
                        return

    # Rows

    def _group(self, group: Group) -> None:
        start = self.reading.rows
        blocks = self._blocks(group)
        count = len(group.rows)
        cells = self._cells(group)
        converted: dict[str, Converted] = {}
        lines = [t.unit for t in group.tables]
        units: dict[str, str | None] = {}
        system = self.recogniser.unit_system
        for f in sorted(self.form.fields, key=lambda f: f.type == "percent"):
            if f.name not in group.fields:
                continue
            number, column = group.fields[f.name]
            line = lines[number]
            line_unit = self.recogniser.unit_of_line(line) if line else None
            units[f.name] = column.unit
            if f.money:
                heading = column.unit if column.unit in self.recogniser.money else None
                units[f.name] = heading or line_unit or self.recogniser.unit_in(f.zh)
                wrong = system.misplaced(f, column.levels, self.recogniser.money)
                wrong = wrong or (system.money_in_line(line, self.recogniser.money) if line and not heading else None)
                self._unclear(f, group, wrong, cells)
            elif f.numeric and f.type != "percent":
                units[f.name], wrong = system.settle(f, column.levels, line, self.form)
                self._unclear(f, group, wrong, cells)
            converted[f.name] = self.converter.column(f, cells[f.name], None if f.type == "percent" else units[f.name])
            if f.type == "percent":
                units[f.name] = self._rates.scale(f, converted, column, group, system.rate_in_line(line) if line else None)
            elif f.type == "decimal" and not f.unit and count < 5_000:  # formats of a long list take as long to read as its cells
                self._rates.tell_percent_format(converted[f.name], column, group, number)
        self._undecided_units(cells, converted, units)
        for number, table in enumerate(group.tables):
            self._lines_within(table, lines[number])
            self._names_of_two_columns(table)
        self._units_of_rows(group, start, units, cells)
        for f in self.form.fields:
            values = converted[f.name].values if f.name in converted else [None] * count
            self.reading.values[f.name] = self.reading.values[f.name] + values if start else values
        self.reading.sheet_row += [r[0] + 1 for r in group.rows]
        self.reading.block_no += blocks
        self._factors(blocks, group, units)
        keep_texts(self.reading, converted, count)
        keep_reasons_and_extras(self.reading, group, self._columns.reasons, self.converter)
        self._problems(group, start, cells, converted)
        self._keys_of_parts(group, start, cells.get(self.form.key.name, []))
        self._total_rows(group, start, units)

    def _cells(self, group: Group) -> dict[str, list[Any]]:
        """The cells of each field's column."""
        found: dict[str, list[Any]] = {}
        for number, table in enumerate(group.tables):
            own = {name: column for name, (of_table, column) in group.fields.items() if of_table == number}
            rows = table.grid.rows
            taken = columns_of([rows[r[number]] for r in group.rows], [column.col for column in own.values()])
            for (name, column), cells in zip(own.items(), taken, strict=True):
                self._fill_merged(group, number, column, cells)
                found[name] = cells
        return found

    def _fill_merged(self, group: Group, number: int, column: Column, cells: list[Any]) -> None:
        """Give the cells of a column what is merged over them."""
        table, col = group.tables[number], column.col
        rows = table.grid.rows
        if column.field is None:
            return
        named = {t.row for t in table.totals if t.label == plain(table.grid.cell(t.row, col))}
        beside = {c.col for c in table.columns if c.field is not None and c.field.numeric} - {col}
        for (top, left), (bottom, right) in table.grid.merged:
            if column.field.numeric and left == col < right and top > table.bottom and beside.intersection(range(left, right + 1)) and not is_empty(rows[top][left]):
                if any(r[number] == top for r in group.rows):  # the sum of two columns, or both?
                    self._faults.append(self._merged_figure(table, top, left, column.field, "列", plain(rows[top][left])))
                continue
            if not (left <= col <= right and bottom > top > table.bottom) or is_empty(rows[top][left]):
                continue
            if column.field.kind == "key" and top in named:  # 合计 over several lines names none of the rows
                continue
            below = [i for i, r in enumerate(group.rows) if top < r[number] <= bottom and is_empty(cells[i])]
            if below and column.field.numeric:  # of all rows together, or of each? nobody can tell
                self._faults.append(self._merged_figure(table, top, left, column.field, "行", plain(rows[top][left])))
                continue
            for i in below:  # one text or date merged over several rows holds for each
                cells[i] = rows[top][left]

    def _merged_figure(self, table: Table, row: int, col: int, f: Field, what: str, value: str) -> Finding:
        text = f"“{f.zh}”有一格合并了几{what}，无法判定是各{what}之和还是各{what}都是此数。请取消合并，逐{what}填写。"
        return self._finding("GEN-TYPE", text, sheet=table.grid.name, member=table.grid.member, cell=a1(row + 1, col), field=f.name, value=value)

    def _blocks(self, group: Group) -> list[int]:
        """Block number of each row. Rows whose parts stand at other distances from each other are of other blocks."""
        reading, numbers = self.reading, {}
        result = []
        if len(group.tables) == 1 and group.rows:  # parts that stand apart are none
            self._new_block(group, (0,))
            return [len(reading.blocks)] * len(group.rows)
        for rows in group.rows or [tuple(t.bottom for t in group.tables)]:
            offsets = tuple(r - rows[0] for r in rows)
            if offsets not in numbers:
                self._new_block(group, offsets)
                numbers[offsets] = len(reading.blocks)
            result.append(numbers[offsets])
        return result if group.rows else []

    def _new_block(self, group: Group, offsets: tuple[int, ...]) -> None:
        reading, first = self.reading, group.tables[0]
        sources = {n: ColumnSource(c.col, c.heading, "1", offsets[t]) for n, (t, c) in group.fields.items()}
        reading.blocks.append(Block(len(reading.blocks) + 1, first.grid.member, first.grid.name, (first.top + 1, first.bottom + 1), sources))

    def _factors(self, blocks: list[int], group: Group, units: dict[str, str | None]) -> None:
        for number in set(blocks):
            for name, source in self.reading.blocks[number - 1].columns.items():
                f = self.form.by_name[name]
                if f.money:
                    source.factor = str(self.recogniser.money.get(units[name] or "", "1"))
                elif f.type == "percent":
                    source.factor = str(RATES.get(units[name] or "", 1))
                elif f.numeric:
                    source.factor = f"{self.recogniser.unit_system.factor(f, units[name]).normalize():f}"

    def _unclear(self, f: Field, group: Group, wrong: str | None, cells: dict[str, list[Any]]) -> None:
        """A unit that contradicts the contract's: told once for the column, if anything hangs on it."""
        if wrong and any(not self.converter.is_blank(c) and plain(c) not in ("0", "0.0") for c in cells[f.name]):
            number, column = group.fields[f.name]
            table = group.tables[number]
            self._faults.append(
                self._finding(
                    "GEN-TYPE", f"“{f.zh}”{wrong}，无法判定数值。请按规定的单位填报，并在列名或单位栏注明。", field=f.name,
                    sheet=table.grid.name, member=table.grid.member, cell=a1(table.bottom + 1, column.col), value=column.heading,
                )
            )  # fmt: skip

    def _lines_within(self, table: Table, line: str) -> None:
        """单位：亩、元 or 2019年 between the rows: those below it may be in other units than those above, or of another year."""
        for row in table.year_lines:
            text, col = next((plain(c), i) for i, c in enumerate(table.grid.rows[row]) if not is_empty(c))
            message = f"“{text}”写在各行中间，其下各行属于哪一时期，本表没有一列可以填报。请每个时期单独成表。"
            self._faults.append(self._finding("GEN-VALUE", message, sheet=table.grid.name, member=table.grid.member, cell=a1(row + 1, col), value=text))
        for row in (r for r in table.unit_lines if table.rows and r < table.rows[-1]):
            text, col = next((plain(c), i) for i, c in enumerate(table.grid.rows[row]) if not is_empty(c))
            if squeeze(text).strip("()").removeprefix("单位:") != squeeze(line).strip("()").removeprefix("单位:"):
                message = f"“{text}”写在各行中间，无法判定上下各行分别是什么单位。请把单位写在表的上方，各行用同一单位填报。"
                self._faults.append(self._finding("GEN-TYPE", message, sheet=table.grid.name, member=table.grid.member, cell=a1(row + 1, col), value=text))

    def _names_of_two_columns(self, table: Table) -> None:
        """地区 merged over two columns (华北 | 北京): nobody says which of them names the row."""
        key, known = table.column_of(self.form.key.name), {c.col for c in table.columns}
        for (top, left), (_, right) in table.grid.merged if key else ():
            if table.top <= top <= table.bottom and left <= key.col <= right:
                stray = [c for c in range(left, right + 1) if c not in known and any(not is_empty(table.grid.cell(r, c)) for r in table.rows)]
                if stray:
                    text = f"“{key.heading}”的列名合并了几列，而几列都有内容，无法判定以哪一列为准。请只保留一列，或给每列写明列名。"
                    self._faults.append(self._finding("GEN-VALUE", text, sheet=table.grid.name, member=table.grid.member, cell=a1(top + 1, left), field=key.field.name, value=key.heading))

    def _units_of_rows(self, group: Group, start: int, units: dict[str, str | None], cells: dict[str, list[Any]]) -> None:
        """生产总值（亿元）, or 亿元 in a column 计量单位, in a row whose figures are 万元 by contract: told once for the column.

        Not looked for in long lists, which are no tables of indicators.
        """
        system = self.recogniser.unit_system
        if len(group.rows) > STRETCH:
            return
        labels = {squeeze(w) for w in self.recogniser.writing["unit_labels"]}
        places = [(n, c.col, c.field is self.form.key) for n, t in enumerate(group.tables) for c in t.columns if c.field is self.form.key or squeeze(as_heading(c.heading)) in labels]
        by_row = any(f.unit_by_row for f in self.form.fields)
        for f in self.form.fields:
            own = system.of(f)
            if f.unit_by_row and f.name in group.fields:
                self._cells_against_rows(f, group, start, places, cells[f.name])
            if by_row or f.name not in group.fields or not f.numeric or f.type == "percent" or own is None or any(map(system.in_text, group.fields[f.name][1].levels)):
                continue
            power = system.parse(units[f.name] or "") or Unit("", own[0], "")
            for i, r in enumerate(group.rows):
                said = [(u, n, c, named) for n, c, named in places if (u := system.in_text(plain(group.tables[n].grid.cell(r[n], c)))) and not self.converter.is_blank(cells[f.name][i])]
                for unit, number, col, named in said:
                    if isinstance(unit, Unit) and (unit.power == power.power if unit.word in own[1] else named or not system.telling(unit)):
                        continue
                    text = f"第{start + i + 1}行写明的单位是“{unit.text if isinstance(unit, Unit) else unit}”，与“{f.zh}”一列的单位不同，无法判定数值。请各行用同一单位填报。"
                    grid = group.tables[number].grid
                    self._faults.append(self._finding("GEN-TYPE", text, sheet=grid.name, member=grid.member, cell=a1(r[number] + 1, col), row_no=start + i + 1, field=f.name))
                    break
                else:
                    continue
                break

    def _cells_against_rows(self, f: Field, group: Group, start: int, places: list[tuple[int, int, bool]], cells: list[Any]) -> None:
        """5万元 in a row of 亿元 or 万元: is a figure that carries a power of ten of its own still to be read by its row's?"""
        system, (number, column) = self.recogniser.unit_system, group.fields[f.name]
        for i, r in enumerate(group.rows):
            own = system.parse(_UNIT_BEHIND.sub("", squeeze(cells[i]))) if isinstance(cells[i], str) else None
            said = next((u for n, c, _ in places if isinstance(u := system.in_text(plain(group.tables[n].grid.cell(r[n], c))), Unit)), None)
            if own and said and said.power != 1:
                table, text = group.tables[number], f"第{start + i + 1}行“{f.zh}”填的是“{plain(cells[i])}”，而这一行的单位是“{said.text}”，无法判定数值。请只填数字。"
                self._faults.append(
                    self._finding("GEN-TYPE", text, sheet=table.grid.name, member=table.grid.member, cell=a1(r[number] + 1, column.col), row_no=start + i + 1, field=f.name, value=plain(cells[i]))
                )

    def _undecided_units(self, cells: dict[str, list[Any]], converted: dict[str, Converted], units: dict[str, str | None]) -> None:
        """Money of which neither cell nor heading nor 单位 line says what it is in: told once, never guessed."""
        bare = [
            f for f in self.form.fields
            if f.money and f.name in units and units[f.name] is None
            and any(v and not (isinstance(c, str) and squeeze(c).endswith(("元", "万", "亿", "千"))) for c, v in zip(cells[f.name], converted[f.name].values, strict=True))
        ]  # fmt: skip
        if bare:
            names = "、".join(f.zh for f in bare)
            self._faults.append(
                self._finding("GEN-TYPE", f"“{names}”没有注明金额单位，无法判定是元还是万元，请在单位栏或列名里注明。", field=bare[0].name, expected="元、万元或亿元")
            )

    # Faults

    def _problems(self, group: Group, start: int, cells: dict[str, list[Any]], converted: dict[str, Converted]) -> None:
        keys = self.reading.values[self.form.key.name]
        for f in self.form.fields:
            if f.name not in converted:
                continue
            result = converted[f.name]
            faults: dict[int, Problem] = dict(result.problems)
            if f.required and result.blank:
                mend = Problem("GEN-REQ", "必填项为空", "请填写；确实为零的填 0")
                for i, v in enumerate(result.values):
                    if v is None and i not in faults and self._is_unfilled(f, cells[f.name][i], converted, i):
                        faults[i] = mend
            number, column = group.fields[f.name]
            grid = group.tables[number].grid
            if grid.unresolved is not frozenset and f.kind != "declared" and result.blank:
                unresolved = grid.unresolved()
                for i, v in enumerate(result.values):
                    if v is None and (group.rows[i][number], column.col) in unresolved:
                        faults[i] = Problem("GEN-REQ" if f.required else "GEN-TYPE", "公式没有计算结果", "请用 Excel 打开并保存一次，使公式得出结果，或直接填数")
            for i, problem in faults.items():
                if self._told.enough(problem.rule, f.name):
                    continue
                written = plain(cells[f.name][i])
                shown = mask(written) if f.personal and written else written
                given = f"“{shown}”" if shown else "空白"
                self._faults.append(
                    self._finding(
                        problem.rule, f"第{start + i + 1}行“{f.zh}”填的是{given}，{problem.wrong}。{problem.mend}。",
                        sheet=grid.name, member=grid.member, cell=a1(group.rows[i][number] + 1, column.col), row_no=start + i + 1,
                        row_key=str(keys[start + i] or ""), field=f.name, value=shown, expected=problem.mend,
                    )
                )  # fmt: skip

    def _keys_of_parts(self, group: Group, start: int, first: list[Any]) -> None:
        """Parts of one table beside or below each other have to say the same key in each row, or figures would change places."""
        key = self.form.key
        for number, table in enumerate(group.tables):
            column = table.column_of(key.name)
            if column is None or number == group.fields[key.name][0]:
                continue
            for i, r in enumerate(group.rows):
                cell = table.grid.cell(r[number], column.col)
                if self.converter.is_blank(cell) or (plain(cell) == plain(first[i])):
                    continue
                result, own = self.converter.column(key, [cell]), self.reading.values[key.name][start + i]
                if result.values[0] is not None and result.values[0] == own:
                    continue
                problem = result.problems.get(0) or Problem("GEN-KEY", f"而同一行在表的另一部分是“{plain(first[i])}”", "请核对这一行，使各部分的名称一致")
                self._faults.append(
                    self._finding(
                        problem.rule, f"第{start + i + 1}行“{key.zh}”填的是“{plain(cell)}”，{problem.wrong}。{problem.mend}。", sheet=table.grid.name,
                        member=table.grid.member, cell=a1(r[number] + 1, column.col), row_no=start + i + 1, row_key=str(own or ""), field=key.name, value=plain(cell),
                    )
                )  # fmt: skip

    def _is_unfilled(self, f: Field, cell: Any, converted: dict[str, Converted], i: int) -> bool:
        if f.kind != "declared":
            return self.converter.is_blank(cell)
        base = self._rates.base_of(f)  # no rate can be given where its base is blank or zero
        return self.converter.is_blank(cell) and (not base or base[1] not in converted or bool(converted[base[1]].values[i]))

    def _total_rows(self, group: Group, start: int, units: dict[str, str | None]) -> None:
        """合计 and 小计 rows, those of tables side by side or in parts joined to one."""
        joined: dict[tuple, TotalRow] = {}
        for number, table in enumerate(group.tables):
            for order, total in enumerate(table.totals):
                place = (order, total.after) if len(group.tables) > 1 else (order, total.row)
                row = joined.get(place)
                if row is None:
                    row = joined[place] = TotalRow(
                        total.label, total.group, table.grid.member, table.grid.name, total.row + 1, start + total.after, {}, {}
                    )
                    self.totals.append(row)
                for name, (of_table, column) in group.fields.items():
                    f = self.form.by_name[name]
                    if of_table != number or not f.numeric:
                        continue
                    cell = table.grid.cell(total.row, column.col)
                    unit = units[name]
                    result = self.converter.column(f, [cell], unit)
                    row.values[name] = None if result.values[0] is None else Decimal(result.values[0])
                    row.cells[name] = a1(total.row + 1, column.col)
                    if result.problems:
                        row.unreadable.add(name)

    # 空报

    def _is_empty(self) -> bool:
        reading = self.reading
        if not reading.rows:
            return True
        measured = [f for f in self.form.fields if f.kind in MEASURED]
        judged = measured if any(f.required for f in measured) else [f for f in self.form.fields if f.kind != "key"]
        faulty = {f.field for f in self._faults if f.rule_id != "GEN-REQ"}
        return all(f.name not in faulty and not any(v is not None for v in reading.values[f.name]) for f in judged)

    def _drop_rows(self) -> None:
        reading = self.reading
        reading.empty = True
        reading.values = {name: [] for name in reading.values}
        reading.sheet_row, reading.block_no, reading.source_text, reading.change_reason, reading.extra = [], [], [], [], []
        self.totals.clear()
