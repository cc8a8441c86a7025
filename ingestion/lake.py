"""Accepted rows as partitioned Parquet, for an engine that is not PostgreSQL: ``home/lake``.

``raw/<form>/week=2020-W24/<number>.parquet`` holds the rows of some submissions; only the columns that staging reads,
so no personal data. A file appears whole under a name of its own and is never changed, and a submission's rows never
change either, so an export writes just what came since the last one. ``small/<number>/<schema>.<table>`` holds what
decides on them (which submission is accepted, the slices of the build, the reference data), all as of one moment.

Whoever exports or reads holds the build's lock: files that were merged into one are taken away afterwards.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from psycopg import sql

from ingestion.contracts import contracts
from ingestion.raw_tables import pseudonym_column
from ingestion.reference_files import BUILT_IN
from warehouse.dbt_sources import fields
from warehouse.settings import Settings, WarehouseError

MANY_FILES = 8  # of one form and week; beyond, they are merged into one
BLOCK = 16 << 20  # bytes of COPY text made into a batch at a time
MONEY = pa.decimal128(20, 2)  # fen; what is read is at most 10^15
NUMBER = pa.decimal128(37, 20)  # Spark adds a digit for a difference and holds 38
SMALL = {
    "intake.accepted_submission": "submission_id, file_id, form, county_code, week, version, state, received_at, rows_loaded, member, sheet, is_current",
    "intake.ever_accepted_submission": "submission_id, file_id, form, county_code, week, version, state, received_at, rows_loaded, member, sheet, is_current",
    "intake.submission": "submission_id, form, county_code, week, rows_loaded",
    "intake.file": "file_id, sha256, original_name",
    "ops.build_slice": "form, county_code, week",
    "ops.horizon": "week, as_of_date",
} | {f"reference.{path.stem}": "*" for path in sorted(BUILT_IN.glob("*.csv"))}
TYPES = {
    "text": pa.string(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "smallint": pa.int16(),
    "numeric": NUMBER,
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class Source:
    """A table as it lies in the lake. ``partitioned`` ones have folders ``week=…``, the week being in no file."""

    name: str  # schema.table, as dbt's sources have it
    path: Path
    schema: pa.Schema
    partitioned: bool


@dataclass(frozen=True)
class Export:
    """What one export wrote, and every table of the lake as it stands afterwards."""

    sources: list[Source]
    files: int
    rows: int  # of raw tables


def folder(settings: Settings) -> Path:
    return settings.home / "lake"


def raw_schema(form: str) -> pa.Schema:
    """Columns of a form's files: those that its staging model reads."""
    columns = [pa.field("submission_id", pa.int64()), pa.field("row_no", pa.int32())]
    for field in fields(contracts(), form).values():
        name = pseudonym_column(field.name) if field.pseudonymised else field.name
        columns.append(pa.field(name, MONEY if field.money and field.sql_type == "numeric" else TYPES[field.sql_type]))
    return pa.schema(columns)


def export(connection: psycopg.Connection, settings: Settings) -> Export:
    """Bring the lake up to what is accepted at this moment. Call it outside of a transaction, holding the build's lock.

    Safe to repeat and to cut off: what is on disk and not noted in ``ops.lake_submission`` goes, what is noted and not
    on disk is written again. Raises WarehouseError for a number with more decimals than the lake keeps.
    """
    root = folder(settings)
    written = rows = 0
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        connection.execute("set local timezone = 'UTC'")
        connection.execute("set local datestyle = 'ISO'")
        _forget_lost(connection, root)
        for form, week, submissions in _to_write(connection):
            path = root / "raw" / form.lower() / f"week={week}" / f"{_number(connection):09d}.parquet"
            schema = raw_schema(form)
            rows += _write(connection, path, schema, _raw_query(form, schema, submissions), f"{form} {week}")
            connection.execute(
                """insert into ops.lake_submission (submission_id, form, week, file, layout)
                   select unnest(%s::bigint[]), %s, %s, %s, %s
                   on conflict (submission_id) do update set (file, layout) = (excluded.file, excluded.layout)""",
                [submissions, form, week, path.name, _layout(schema)],
            )
            written += 1
        small = root / "small" / f"{_number(connection):09d}"
        sources = [_small(connection, name, columns, small) for name, columns in SMALL.items()]
        noted = _noted(connection)
    _remove_left_over(root, noted, small)
    sources += [Source(f"raw.{code.lower()}", root / "raw" / code.lower(), raw_schema(code), True) for code in contracts().codes]
    for source in sources:
        source.path.mkdir(parents=True, exist_ok=True)
    return Export(sources, written, rows)


# ---------------------------------------------------------------- raw rows


def _layout(schema: pa.Schema) -> str:
    return hashlib.md5(str(schema).encode(), usedforsecurity=False).hexdigest()


def _number(connection: psycopg.Connection) -> int:
    return connection.execute("select nextval('ops.lake_file_no')").fetchone()[0]


def _noted(connection: psycopg.Connection) -> set[tuple[str, str, str]]:
    return set(connection.execute("select distinct form, week, file from ops.lake_submission").fetchall())


def _forget_lost(connection: psycopg.Connection, root: Path) -> None:
    """Lines whose file is gone, is of another layout, or is one of too many: their rows are written (again)."""
    layouts = {code: _layout(raw_schema(code)) for code in contracts().codes}
    lost = [(f, w, n) for f, w, n in _noted(connection) if not (root / "raw" / f.lower() / f"week={w}" / n).exists()]
    connection.execute(
        """delete from ops.lake_submission l using unnest(%s::text[], %s::text[], %s::text[]) as g (form, week, file)
           where (l.form, l.week, l.file) = (g.form, g.week, g.file)""",
        [[f for f, _, _ in lost], [w for _, w, _ in lost], [n for _, _, n in lost]],
    )
    connection.execute(
        """delete from ops.lake_submission l where layout is distinct from
           (select c.layout from unnest(%s::text[], %s::text[]) as c (form, layout) where c.form = l.form)""",
        [list(layouts), list(layouts.values())],
    )
    connection.execute(
        """delete from ops.lake_submission where (form, week) in
           (select form, week from ops.lake_submission group by form, week having count(distinct file) >= %s)""",
        [MANY_FILES],
    )


def _to_write(connection: psycopg.Connection) -> list[tuple[str, str, list[int]]]:
    """(form, week, submissions) that are not in the lake. Held ones too: they may be released."""
    return connection.execute(
        """select s.form, s.week, array_agg(s.submission_id order by s.submission_id)
           from intake.submission s
           where s.state <> 'returned' and s.rows_loaded > 0 and s.county_code is not null and s.week is not null and s.form = any(%s)
             and not exists (select from ops.lake_submission l where l.submission_id = s.submission_id)
           group by s.form, s.week order by s.form, s.week""",
        [contracts().codes],
    ).fetchall()


def _raw_query(form: str, schema: pa.Schema, submissions: list[int]) -> sql.Composable:
    return sql.SQL("select {} from {} where submission_id = any({}) order by submission_id, row_no").format(
        sql.SQL(", ").join(map(sql.Identifier, schema.names)), sql.Identifier("raw", form.lower()), sql.Literal(submissions)
    )


def _remove_left_over(root: Path, noted: set[tuple[str, str, str]], small: Path) -> None:
    keep = {root / "raw" / form.lower() / f"week={week}" / file for form, week, file in noted}
    for path in (root / "raw").rglob("*.parquet*"):
        if path not in keep:
            path.unlink()
    for path in (root / "small").iterdir():
        if path != small:
            shutil.rmtree(path)


# ---------------------------------------------------------------- what decides on them


def _small(connection: psycopg.Connection, name: str, columns: str, root: Path) -> Source:
    query = f"select {columns} from {name}"
    kinds = connection.execute(f"{query} limit 0").description
    schema = pa.schema([pa.field(c.name, TYPES[connection.adapters.types[c.type_code].regtype]) for c in kinds])
    _write(connection, root / name / "0.parquet", schema, sql.SQL(query), name)
    return Source(name, root / name, schema, False)


# ---------------------------------------------------------------- COPY to Parquet


class _Copied(io.RawIOBase):
    """What COPY sends, as a file to read."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self._blocks = iter(copy)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = memoryview(block)
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def _batches(connection: psycopg.Connection, schema: pa.Schema, query: sql.Composable) -> Iterator[pa.RecordBatch]:
    statement = sql.SQL("copy ({}) to stdout (format csv, header true)").format(query)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        yield from pyarrow.csv.open_csv(
            io.BufferedReader(_Copied(copy), 1 << 20),
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={f.name: f.type for f in schema}, include_columns=schema.names, null_values=[""],
                strings_can_be_null=True, quoted_strings_can_be_null=False, true_values=["t"], false_values=["f"],
            ),
        )  # fmt: skip


def _write(connection: psycopg.Connection, path: Path, schema: pa.Schema, query: sql.Composable, what: str) -> int:
    """The rows of a query as one file, which appears whole or not at all; returns their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    rows = 0
    try:
        with pyarrow.parquet.ParquetWriter(draft, schema, compression="zstd") as writer:
            for batch in _batches(connection, schema, query):
                writer.write_batch(batch)
                rows += batch.num_rows
    except pa.ArrowInvalid as error:
        draft.unlink(missing_ok=True)
        raise WarehouseError(
            f"{what} cannot be written to Parquet without loss ({error}). Numbers have at most {NUMBER.scale} decimals there; "
            "correct the figure, or build on PostgreSQL."
        ) from error
    draft.replace(path)
    return rows
