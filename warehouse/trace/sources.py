"""The cells behind rows of a fact: looked up in raw and intake, and read again in the archived originals."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from ingestion.contract_model import Contracts, Field
from ingestion.contracts import contracts
from ingestion.convert import Converter, mask
from ingestion.grid import is_empty, number_text, plain, squeeze
from ingestion.recognise import PERCENT, Recogniser
from ingestion.reference import codes
from ingestion.weeks import full_date_in
from warehouse.settings import Settings
from warehouse.trace import archive
from warehouse.trace.origins import Origin
from warehouse.trace.tree import Cell

SUBMISSION = """
select s.submission_id, s.form, s.contract_version, s.county_code, s.county_text, s.week, s.as_of_date, s.version, s.state, s.member, s.sheet,
       s.layout, f.file_id, f.sha256, f.original_name, f.original_path, f.sender, f.received_at
from intake.submission s join intake.file f using (file_id) where s.submission_id = any(%s)"""


class Sources:
    """Cells of one question; rows and submissions are looked up in bulk and once."""

    def __init__(self, connection: psycopg.Connection, settings: Settings):
        self.connection, self.settings = connection, settings
        self._submissions: dict[int, dict[str, Any]] = {}
        self._rows: dict[tuple[int, int], dict[str, Any]] = {}
        self._cells: dict[tuple[int, int, str], Cell] = {}

    def fetch(self, form: str, rows: list[tuple[int, int]]) -> None:
        """Look up rows of a form by (submission_id, row_no)."""
        rows = [r for r in dict.fromkeys(rows) if r not in self._rows]
        if not rows:
            return
        with self.connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(
                sql.SQL("select r.* from {} r join unnest(%s::bigint[], %s::integer[]) w (submission_id, row_no) using (submission_id, row_no)").format(
                    sql.Identifier("raw", form.lower())
                ),
                [[r[0] for r in rows], [r[1] for r in rows]],
            )
            self._rows |= {(r["submission_id"], r["row_no"]): r for r in found}
            wanted = list({r[0] for r in rows} - self._submissions.keys())
            self._submissions |= {s["submission_id"]: s for s in cursor.execute(SUBMISSION, [wanted])}

    def submission(self, number: int) -> dict[str, Any]:
        if number not in self._submissions:
            with self.connection.cursor(row_factory=dict_row) as cursor:
                self._submissions |= {s["submission_id"]: s for s in cursor.execute(SUBMISSION, [[number]])}
        return self._submissions[number]

    def cell(self, origin: Origin, submission_id: int, row_no: int) -> Cell:
        """The cell that a column of kind ``cell`` was read from; `fetch` must have looked its row up."""
        if (submission_id, row_no, origin.column) not in self._cells:
            self._cells[submission_id, row_no, origin.column] = self._cell(origin, submission_id, row_no)
        return self._cells[submission_id, row_no, origin.column]

    def _cell(self, origin: Origin, submission_id: int, row_no: int) -> Cell:
        row, about, field = self._rows[submission_id, row_no], self._submissions[submission_id], origin.field
        block = next((b for b in about["layout"] if b["block"] == row["block_no"]), {})
        column = block.get("columns", {}).get(field.name, {})
        address = f"{column['col']}{row['sheet_row'] + column.get('row_offset', 0)}" if column else ""
        member, name = block.get("member", about["member"]), block.get("sheet", about["sheet"])
        factor, text = column.get("factor", "1"), None
        value = row[origin.column] if origin.personal else row[field.name]
        grid = archive.sheet(self.settings, about["sha256"], member, name) if address else None
        if grid:
            address, content = archive.standing(grid, address, merged=field.kind != "key" and field.type in ("text", "code"))
            text = plain(content)
        elif address:
            text = _kept(field, row, factor)
        if field.personal and text:
            text = mask(text)
        return Cell(
            file=about["original_path"], member=member, sheet=name, cell=address, text=text, value=value, column=origin.column, field=field.name,
            heading=column.get("heading", ""), factor=_factor(field, text, factor), unit=field.unit, form=about["form"],
            county_code=about["county_code"], week=about["week"], row_no=row_no, submission_id=submission_id, version=about["version"],
            state=about["state"], file_id=about["file_id"], name=about["original_name"], sha256=about["sha256"], sender=about["sender"],
            received_at=about["received_at"], masked=field.personal,
        )  # fmt: skip

    def frame(self, origin: Origin, submission_id: int, value: Any) -> Cell:
        """The heading of the sheet that names county or as-of date; the cell is '' where none says it plainly."""
        about = self.submission(submission_id)
        block = about["layout"][0] if about["layout"] else {}
        member, name = block.get("member", about["member"]), block.get("sheet", about["sheet"])
        grid = archive.sheet(self.settings, about["sha256"], member, name)
        address, text = "", None
        above = (block.get("header_rows") or [1])[0] - 1
        for number, cells in enumerate(grid.rows[:above] if grid else (), 1):
            for column, content in enumerate(cells):
                if not address and not is_empty(content) and _says(origin, about, plain(content)):
                    address, text = archive.a1(number, column), plain(content)
        return Cell(
            file=about["original_path"], member=member, sheet=name, cell=address, text=text, value=value, column=origin.column, field=origin.column,
            heading="", factor="1", unit=None, form=about["form"], county_code=about["county_code"], week=about["week"], row_no=0,
            submission_id=submission_id, version=about["version"], state=about["state"], file_id=about["file_id"], name=about["original_name"],
            sha256=about["sha256"], sender=about["sender"], received_at=about["received_at"],
        )  # fmt: skip


def _says(origin: Origin, about: dict[str, Any], text: str) -> bool:
    if origin.column == "county_code":
        return bool(about["county_text"]) and about["county_text"] in text
    if origin.column not in ("week", "as_of_date"):
        return False
    return full_date_in(squeeze(text)) == about["as_of_date"]


def _kept(field: Field, row: dict[str, Any], factor: str) -> str | None:
    """What raw kept of a cell whose original is not at hand: its text, or the value back in the cell's own unit."""
    kept = (row["source_text"] or {}).get(field.name)
    value = row[field.name]
    if kept is not None or value is None:
        return kept if kept is not None else ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if field.numeric:
        bare = Decimal(value) / Decimal(factor)
        return number_text(int(bare)) if bare == bare.to_integral_value() else format(bare.normalize(), "f")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


# ---------------------------------------------------------------- conversion


@functools.cache
def _recogniser() -> Recogniser:
    return Recogniser(contracts())


def _factor(field: Field, text: str | None, factor: str) -> str:
    """The factor that counted: a unit in the cell itself goes before those of heading and 单位 line."""
    if not text or not field.numeric:
        return factor
    if field.type == "percent":
        sign = squeeze(text)[-1:]
        return "0.01" if sign == PERCENT else "0.001" if sign == "‰" else factor
    parsed = Converter(_recogniser(), codes(), None, None)._parse(text, field)
    return str(parsed[1]) if parsed and parsed[1] is not None else factor


def convert(cell: Cell, of: Contracts | None = None) -> Any:
    """The typed value of a cell from its text and factor alone, by the rules that read it the first time.

    A masked cell can't be read again and keeps its value. Raises ValueError where the text has no such value.
    """
    if cell.masked or cell.text is None:
        return cell.value
    field = (of or contracts()).form(cell.form).by_name[cell.field]
    units = (of or contracts()).writing["money_units"]
    unit = None
    if field.money:
        unit = next((name for name, factor in units.items() if Decimal(factor) == Decimal(cell.factor)), None)
    elif field.type == "percent" and Decimal(cell.factor) == Decimal("0.01"):
        unit = PERCENT
    found = Converter(_recogniser(), codes(), cell.county_code, cell.week).column(field, [cell.text], unit)
    if found.problems:
        raise ValueError(f"{cell.file} {cell.sheet} {cell.cell}: {found.problems[0].wrong}")
    return found.values[0]
