"""A mart of a publication as Parquet, CSV (UTF-8 with a byte order mark, for Excel) or a formatted .xlsx."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from reporting.metrics import reading
from warehouse.settings import WarehouseError

KINDS = ("parquet", "csv", "xlsx")
BATCH = 20_000
EXCEL_ROWS = 1_048_575  # below the heading
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one
INTEGERS, NUMBERS = ("integer", "bigint", "smallint"), ("numeric", "double precision", "real")

SHARES = ("rate_of_2019", "incidence")  # fractions whose names do not end with _rate


def write_export(connection: psycopg.Connection, mart: str, out: Path, *, kind: str | None = None, publication: int | None = None) -> dict[str, Any]:
    """Write all rows of ``marts.<mart>`` as of a publication; the file appears whole or not at all.

    Raises WarehouseError for an unknown mart, kind or publication, and for more rows than a sheet holds.
    """
    kind = kind or out.suffix.lstrip(".").lower()
    if kind not in KINDS:
        raise WarehouseError(f"The format is one of {', '.join(KINDS)}: give --format, or a file name that ends with it.")
    columns = _columns(connection, mart)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.part")
    try:
        with connection.transaction(), reading(connection, publication) as number:
            rows = {"parquet": _parquet, "csv": _csv, "xlsx": _xlsx}[kind](columns, _rows(connection, mart, columns), draft, f"{mart} 第{number}号发布")
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return {"file": str(out), "mart": mart, "publication": number, "rows": rows, "format": kind}


def _columns(connection: psycopg.Connection, mart: str) -> list[tuple[str, str, str]]:
    """(name, SQL type, comment) in order."""
    columns = connection.execute(
        """select a.attname::text, format_type(a.atttypid, null), coalesce(col_description(a.attrelid, a.attnum), a.attname)
           from pg_attribute a join pg_class c on c.oid = a.attrelid
           where c.relnamespace = 'marts'::regnamespace and c.relname = %s and a.attnum > 0 and not a.attisdropped order by a.attnum""",
        [mart],
    ).fetchall()
    if not columns:
        names = [n for (n,) in connection.execute("select viewname from pg_views where schemaname = 'marts' order by 1")]
        raise WarehouseError(f"There is no mart {mart!r}; there are {', '.join(names) or 'none before the first publication'}.")
    return columns


def _rows(connection: psycopg.Connection, mart: str, columns: list[tuple[str, str, str]]) -> Iterator[list[tuple]]:
    query = sql.SQL("select {} from marts.{}").format(sql.SQL(", ").join(sql.Identifier(n) for n, _, _ in columns), sql.Identifier(mart))
    order = [n for n, _, _ in columns if n in ("week", "county_code")] or [columns[0][0]]
    with connection.cursor("export") as cursor:
        cursor.execute(query + sql.SQL(" order by ") + sql.SQL(", ").join(map(sql.Identifier, order)))
        while batch := cursor.fetchmany(BATCH):
            yield batch


def _parquet(columns: list[tuple[str, str, str]], batches: Iterator[list[tuple]], path: Path, _title: str) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        "bigint": pa.int64(), "integer": pa.int64(), "smallint": pa.int64(), "numeric": pa.decimal128(38, 6), "double precision": pa.float64(), "real": pa.float64(),
        "boolean": pa.bool_(), "date": pa.date32(), "timestamp with time zone": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    schema = pa.schema([pa.field(n, types.get(t, pa.string()), metadata={"comment": comment}) for n, t, comment in columns])
    scale = Decimal("0.000001")
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            count += len(batch)
            arrays = []
            for kind, values in zip(schema.types, zip(*batch, strict=True), strict=True):
                if pa.types.is_decimal(kind):
                    values = [None if v is None else v.quantize(scale) for v in values]
                elif pa.types.is_string(kind):
                    values = [None if v is None else str(v) for v in values]
                arrays.append(pa.array(values, kind))
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    return count


def _csv(columns: list[tuple[str, str, str]], batches: Iterator[list[tuple]], path: Path, _title: str) -> int:
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow([n for n, _, _ in columns])
        for batch in batches:
            count += len(batch)
            writer.writerows([_plain(v) for v in row] for row in batch)
    return count


def _plain(value: Any) -> Any:
    """As CSV has it; an apostrophe keeps a spreadsheet from taking text for a formula."""
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, dt.date | dt.datetime) else value


def _xlsx(columns: list[tuple[str, str, str]], batches: Iterator[list[tuple]], path: Path, title: str) -> int:
    import xlsxwriter

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "remove_timezone": True}
    with xlsxwriter.Workbook(str(path), options) as book:
        sheet = book.add_worksheet("数据")

        def style(**more: Any) -> Any:
            return book.add_format({"font_name": "宋体", "font_size": 11, **more})

        head = style(bold=True, bg_color="#EFEDE8", border=1, text_wrap=True, valign="vcenter", align="center")
        text, whole, part, day = style(), style(num_format="#,##0"), style(num_format="#,##0.00"), style(num_format="yyyy-mm-dd")
        share, moment = style(num_format="0.00%"), style(num_format="yyyy-mm-dd hh:mm")
        formats = []
        for i, (name, kind, comment) in enumerate(columns):
            if kind in INTEGERS:
                chosen = text if name.endswith("_id") else whole
            elif kind in NUMBERS:
                chosen = share if name.endswith("_rate") or name in SHARES else part
            else:
                chosen = day if kind == "date" else moment if kind.startswith("timestamp") else text
            formats.append(chosen)
            label = comment.split(" | ")[0]
            sheet.set_column(i, i, min(max(len(label) * 1.9, len(name) * 0.9, 10), 34), chosen)
            sheet.write_string(0, i, f"{label}\n{name}", head)
        sheet.set_row(0, 34)
        sheet.freeze_panes(1, 2)
        count = 0
        for batch in batches:
            if count + len(batch) > EXCEL_ROWS:
                raise WarehouseError(f"{title} has more rows than a sheet holds ({EXCEL_ROWS:,}); export it as parquet or csv.")
            for row in batch:
                count += 1
                for i, value in enumerate(row):
                    _write(sheet, count, i, value, formats[i])
        sheet.autofilter(0, 0, max(count, 1), len(columns) - 1)
        book.set_properties({"title": title})
    return count


def _write(sheet, row: int, column: int, value: Any, style) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_string(row, column, "是" if value else "否", style)
    elif isinstance(value, int | float | Decimal):
        sheet.write_number(row, column, float(value), style)
    elif isinstance(value, dt.datetime | dt.date):
        sheet.write_datetime(row, column, value, style)
    else:
        sheet.write_string(row, column, str(value), style)
