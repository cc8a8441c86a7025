"""The address of each headline figure: which files, sheets and cells it comes from, and the command that tells all of it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from ingestion.contracts import contracts
from reporting.site.figures import Headline


@dataclass
class Source:
    """One submission behind a county's figure. ``cells``: field → ranges such as 'C6:C15', sheet by sheet."""

    submission_id: int
    week: str
    version: int
    file: str
    sha256: str
    sender: str | None
    received_at: Any
    rows: int
    cells: dict[str, list[str]] = field(default_factory=dict)


def load_addresses(connection: psycopg.Connection, headlines: list[Headline], week: str | None) -> dict[str, dict[str, list[Source]]]:
    """Form → county → the submissions that its published figures of ``week`` come from."""
    columns: dict[str, set[str]] = {}
    for view, column in connection.execute("select table_name, column_name from information_schema.columns where table_schema = 'marts'"):
        columns.setdefault(view, set()).add(column)
    known = {name for (name,) in connection.execute("select table_name from information_schema.tables where table_schema = 'raw'")}
    found: dict[str, dict[str, list[Source]]] = {}
    for headline in headlines:
        if {"submission_id", "source_row_no"} <= columns.get(headline.mart, set()) and headline.form.lower() in known and week:
            found[headline.form] = _of(connection, headline, week)
    return found


def _of(connection: psycopg.Connection, headline: Headline, week: str) -> dict[str, list[Source]]:
    query = sql.SQL(
        """select m.county_code, m.submission_id, r.block_no, min(r.sheet_row), max(r.sheet_row), count(*), s.week, s.version, s.sheet, s.layout,
                  f.original_name, f.sha256, f.sender, f.received_at
           from (select * from marts.{mart} where {where} and {of_week}) m
           join intake.submission s on s.submission_id = m.submission_id
           join intake.file f on f.file_id = s.file_id
           left join raw.{raw} r on r.submission_id = m.submission_id and r.row_no = m.source_row_no
           group by m.county_code, m.submission_id, r.block_no, s.submission_id, f.file_id
           order by m.county_code, s.week desc, m.submission_id, r.block_no"""
    ).format(
        mart=sql.Identifier(headline.mart),
        raw=sql.Identifier(headline.form.lower()),
        where=sql.SQL(headline.where),
        of_week=sql.SQL("week = {}").format(sql.Literal(week)) if headline.weekly else sql.SQL("true"),
    )
    names = list(dict.fromkeys(n for m in headline.measures for n in m.needs)) or [contracts().form(headline.form).key.name]
    found: dict[str, list[Source]] = {}
    for county, submission, block_no, first, last, rows, of_week, version, sheet, layout, file, sha256, sender, received in connection.execute(query):
        mine = found.setdefault(county, [])
        if not mine or mine[-1].submission_id != submission:
            mine.append(Source(submission, of_week, version, file, sha256, sender, received, 0))
        source = mine[-1]
        source.rows += rows
        block = next((b for b in layout or () if b.get("block") == block_no), None)
        for name in names if block else ():
            column = block["columns"].get(name)
            if column:
                top, bottom = (row + (column.get("row_offset") or 0) for row in (first, last))
                cells = f"{column['col']}{top}" + (f":{column['col']}{bottom}" if bottom > top else "")
                place = "／".join(filter(None, [block.get("member"), block.get("sheet") or sheet]))
                source.cells.setdefault(name, []).append(f"{place}!{cells}" if place else cells)
    return found


def commands(headline: Headline, week: str, county: str | None) -> dict[str, str]:
    """Field → `warehouse trace …` for every column that figures are made of; none for what is counted, not added up."""
    row = re.search(r"'(\w+)'", headline.where)
    if row and not county:
        return {}
    parts = ["warehouse", "trace", "--mart", headline.mart]
    parts += ["--week", week] if headline.weekly else []
    parts += ["--county", county] if county else []
    parts += ["--key", row[1] if row else "*"]
    names = dict.fromkeys(n for m in headline.measures if m.value.startswith("sum(") for n in m.needs)
    return {name: shlex.join([*parts, "--column", name]) for name in names}
