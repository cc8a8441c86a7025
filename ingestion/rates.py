"""Rates: whether a column's bare numbers are percent or fractions, by heading, sign, number format or the figures they come from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from ingestion.contract_model import Field, Form
from ingestion.convert import Converted, Problem
from ingestion.grid import plain
from ingestion.groups import Group
from ingestion.model import Finding
from ingestion.recognise import PERCENT
from ingestion.table_rows import Column
from ingestion.units import PER_MILLE, RATES


class Rates:
    """Of one form. What cannot be decided is added to ``faults``."""

    def __init__(self, form: Form, finding: Callable[..., Finding], faults: list[Finding]):
        self.form = form
        self._finding = finding
        self._faults = faults

    def scale(self, f: Field, converted: dict[str, Converted], column: Column, group: Group, line: str | None = None) -> str | None:
        """Decide whether bare numbers of a rate are percent, and scale them: '%', '‰' or None (fractions).

        ``line``: what the table's 单位 line says of rates; the heading goes before it.
        """
        result = converted[f.name]
        stated = column.unit if column.unit in RATES else line
        if f.kind != "declared" or not self.base_of(f):  # a declared rate is held against our own figure, which tells more
            self._shown_in_percent(result, column, group, group.fields[f.name][0])
        open_ = [i for i, v in enumerate(result.values) if v and i not in result.signed]
        if stated == PER_MILLE:
            for i in open_:
                result.values[i] *= RATES[PER_MILLE]
            return PER_MILLE
        heading = PERCENT if stated == PERCENT else None
        base = self.base_of(f)
        own: dict[int, str] = {}  # cell → what our own figure says that it is
        if base and all(n in converted for n in base):
            above, below = (converted[n].values for n in base)
            for i in open_:
                if above[i] and below[i]:
                    ratio = float(result.values[i]) / (float(above[i]) / float(below[i]))
                    for scale, against in (("fraction", ratio), (PERCENT, ratio / 100)):
                        if 1 / 3 < against < 3:
                            own[i] = scale
        votes = Counter(own.values())
        if votes[PERCENT] != votes["fraction"]:
            percent = votes[PERCENT] > votes["fraction"]
        elif heading or own.keys() >= set(open_):  # nothing bare, or each cell told by itself
            percent = heading is not None
        elif f.kind == "declared" and not (base and any(votes.values())) and not self._judgeable(base, converted, open_):
            percent = max(result.values[i] for i in open_) > 3  # never loaded as truth, and no figure of ours to hold it against
        else:
            self._faults.append(
                self._finding(
                    "GEN-RATE", f"“{f.zh}”一列既无百分号，列名也未注明（%），无法判定是百分数还是小数，请在列名或单元格里注明 %。",
                    field=f.name, expected="如 85.2% 或列名注明（%）", value=plain(group.tables[0].grid.cell(group.rows[open_[0]][0], column.col)),
                )
            )  # fmt: skip
            for i in open_:
                result.values[i] = None
            result.blank = True
            return None
        for i in open_:
            if (own[i] == PERCENT) if i in own else percent:  # 0.7563 and 81.63 in one column
                result.values[i] *= Decimal("0.01")
        return PERCENT if percent else None

    @staticmethod
    def _shown_in_percent(result: Converted, column: Column, group: Group, number: int) -> None:
        """A number format with a percent sign says what a cell is: 1.5 shown as 150% is 1.5; one shown as 8520% was meant to be 85.2."""
        grid = group.tables[number].grid
        rows = [r[number] for r in group.rows]
        bare = [i for i, v in enumerate(result.values) if v and v <= 3 and not isinstance(grid.cell(rows[i], column.col), str)]
        if bare and (shown := grid.percent()):
            result.signed |= {i for i in bare if (rows[i], column.col) in shown}

    @staticmethod
    def tell_percent_format(result: Converted, column: Column, group: Group, number: int) -> None:
        """0.9 shown as 90% where no rate belongs: as little taken for a number as the text 90%."""
        grid = group.tables[number].grid
        rows = [r[number] for r in group.rows]
        if not any(v and v <= 3 and v % 1 and not isinstance(grid.cell(rows[i], column.col), str) for i, v in enumerate(result.values)):
            return
        shown = grid.percent()
        for i, v in enumerate(result.values):
            if v is not None and (rows[i], column.col) in shown:
                result.values[i], result.blank = None, True
                result.problems[i] = Problem("GEN-TYPE", "单元格按百分数显示，无法判定是百分数还是数值", "请把单元格改为常规格式，填写数值")

    def base_of(self, f: Field) -> tuple[str, str] | None:
        """Numerator and denominator that a declared rate is judged by, from the contract."""
        for rule in self.form.rules_of("declared"):
            pairs = rule.definition.get("pairs") or {rule.definition.get("field"): rule.definition.get("expression", "")}
            if found := re.fullmatch(r"\s*(\w+)\s*/\s*(\w+)\s*", pairs.get(f.name, "")):
                return found.group(1), found.group(2)
        return None

    @staticmethod
    def _judgeable(base: tuple[str, str] | None, converted: dict[str, Converted], rows: list[int]) -> bool:
        return bool(base) and all(n in converted for n in base) and any(all(converted[n].values[i] for n in base) for i in rows)
