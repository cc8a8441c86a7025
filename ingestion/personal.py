"""What is about persons, sealed: the values of personal fields and of columns nobody knows, some thousand rows a block.

In the raw tables their columns stay empty; rules join on keyed pseudonyms. A block is JSON (a list a field, in the order
of rows), packed and sealed for the form, sheet and rows it belongs to. Sealing by block and not by value is what keeps a
payout list of 100,000 rows as fast as it was. Only the loader's role may read ``raw.personal``, and it needs the keys,
which are not in the database.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from ingestion.contract_model import Form
from ingestion.contracts import contracts
from ingestion.model import FormReading
from warehouse.keys import Keyring

BLOCK_ROWS = 5_000
EXTRA, SOURCE_TEXT = "extra", "source_text"
Values = dict[str, list[Any]]  # field → its values, a row each


@dataclass(frozen=True, slots=True)
class Block:
    """Rows ``first_row`` to ``first_row + rows - 1`` (1-based) of a submission, sealed."""

    first_row: int
    rows: int
    key_id: str
    sealed: bytes


def fields(form: Form) -> list[str]:
    return [f.name for f in form.fields if f.personal]


def _about(form: str, first_row: int, rows: int) -> str:
    return f"personal data of {form}, rows {first_row} to {first_row + rows - 1}"


def seal(form: str, first_row: int, rows: int, values: Values, keys: Keyring) -> Block:
    packed = zlib.compress(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace"), 1)
    return Block(first_row, rows, keys.current, keys.seal(packed, _about(form, first_row, rows)))


def unseal(form: str, block: Block, keys: Keyring) -> Values:
    """Raises WarehouseError for a block that was altered, belongs to other rows, or whose key is not here."""
    return json.loads(zlib.decompress(keys.open(block.sealed, _about(form, block.first_row, block.rows), block.key_id)))


def take(reading: FormReading, form: Form, begin: int, end: int, keys: Keyring) -> Iterable[Block]:
    """The blocks of rows ``begin`` to ``end`` (0-based, end left out) of a form as read; none where it has nothing of the kind."""
    names = fields(form)
    for first in range(begin, end, BLOCK_ROWS):
        last = min(first + BLOCK_ROWS, end)
        part = {name: values[first:last] for name in names if (values := reading.values.get(name))}
        for name, column in ((EXTRA, reading.extra), (SOURCE_TEXT, _only(reading.source_text[first:last], names))):
            values = column[first:last] if name == EXTRA else column
            if any(values):
                part[name] = values
        if any(any(v is not None for v in values) for values in part.values()):
            yield seal(form.code, first + 1, last - first, part, keys)


def _only(texts: list[dict | None], names: list[str]) -> list[dict | None]:
    if not names:
        return []
    return [({n: t[n] for n in names if n in t} or None) if t else None for t in texts]


def without(texts: list[dict | None], form: Form) -> list[dict | None]:
    """The texts of cells less those of personal fields."""
    names = set(fields(form))
    if not names or not any(texts):
        return texts
    return [({n: v for n, v in t.items() if n not in names} or None) if t else None for t in texts]


# ---------------------------------------------------------------- the table


def write(connection: psycopg.Connection, submission_id: int, blocks: Iterable[Block]) -> None:
    blocks = list(blocks)
    if not blocks:
        return
    with connection.cursor() as cursor, cursor.copy("copy raw.personal (submission_id, first_row, rows, key_id, sealed) from stdin") as copy:
        for b in blocks:
            copy.write_row((submission_id, b.first_row, b.rows, b.key_id, b.sealed))


def blocks_of(connection: psycopg.Connection, submission_id: int) -> list[Block]:
    return [
        Block(*row)
        for row in connection.execute("select first_row, rows, key_id, sealed from raw.personal where submission_id = %s order by first_row for update", [submission_id])
    ]


def values_of(connection: psycopg.Connection, submission_id: int, form: str, keys: Keyring) -> dict[int, dict[str, Any]]:
    """row_no → personal values of a submission, in clear. For the loader, who has the keys."""
    found: dict[int, dict[str, Any]] = {}
    for block in blocks_of(connection, submission_id):
        for name, values in unseal(form, block, keys).items():
            for row_no, value in enumerate(values, block.first_row):
                if value is not None and value != {}:
                    found.setdefault(row_no, {})[name] = value
    return found


def blank(connection: psycopg.Connection, submission_id: int, form: str, rows: set[int], name: str, keys: Keyring) -> int:
    """Take a field's values out of the sealed rows; returns how many of these rows are kept in blocks at all."""
    touched = 0
    for block in blocks_of(connection, submission_id):
        inside = [n - block.first_row for n in rows if 0 <= n - block.first_row < block.rows]
        if inside:
            values = unseal(form, block, keys)
            for at in inside:
                if name in values:
                    values[name][at] = None
                for texts in (values.get(SOURCE_TEXT), values.get(EXTRA)):
                    if texts and texts[at]:
                        texts[at] = {n: v for n, v in texts[at].items() if n != name} or None
            _put(connection, submission_id, seal(form, block.first_row, block.rows, values, keys))
            touched += len(inside)
    return touched


def _put(connection: psycopg.Connection, submission_id: int, block: Block) -> None:
    connection.execute(
        "update raw.personal set key_id = %s, sealed = %s where submission_id = %s and first_row = %s", [block.key_id, block.sealed, submission_id, block.first_row]
    )


def reseal(connection: psycopg.Connection, keys: Keyring) -> int:
    """Seal every block with the current key that is not, a submission a transaction; returns how many. Safe to repeat."""
    done = 0
    old = "select distinct p.submission_id, s.form from raw.personal p join intake.submission s using (submission_id) where p.key_id <> %s order by 1"
    for submission_id, form in connection.execute(old, [keys.current]).fetchall():
        with connection.transaction():
            for block in blocks_of(connection, submission_id):
                if block.key_id != keys.current:
                    _put(connection, submission_id, seal(form, block.first_row, block.rows, unseal(form, block, keys), keys))
                    done += 1
    return done


# ---------------------------------------------------------------- rows of an earlier version


def seal_clear(connection: psycopg.Connection, keys: Keyring) -> int:
    """Seal what raw tables of an earlier version hold in clear; returns how many rows. In the caller's transaction; safe to repeat."""
    done = 0
    for form in {f.code: f for f in contracts().forms}.values():
        table = form.code.lower()
        have = {n for (n,) in connection.execute("select column_name from information_schema.columns where table_schema = 'raw' and table_name = %s", [table])}
        names = [n for n in fields(form) if n in have]
        clear = " or ".join(f'r."{n}" is not null' for n in [*names, EXTRA])
        texts = " || ".join(f"jsonb_strip_nulls(jsonb_build_object('{n}', r.source_text -> '{n}'))" for n in names) or "'{}'"
        columns = ", ".join([*(f'r."{n}"' for n in names), "r.extra", f"nullif({texts}, '{{}}')"])
        for (submission_id,) in connection.execute(f"select distinct submission_id from raw.{table} r where {clear}").fetchall():
            rows = connection.execute(f"select r.row_no, {columns} from raw.{table} r where submission_id = %s order by row_no", [submission_id]).fetchall()
            by_name = dict(zip(("row_no", *names, EXTRA, SOURCE_TEXT), map(list, zip(*rows, strict=True)), strict=True))
            count = max(by_name["row_no"])
            laid = {n: [None] * count for n in by_name if n != "row_no"}
            for at, row_no in enumerate(by_name["row_no"]):
                for name, values in laid.items():
                    values[row_no - 1] = by_name[name][at]
            blocks = [
                seal(form.code, first + 1, min(BLOCK_ROWS, count - first), {n: v[first : first + BLOCK_ROWS] for n, v in laid.items()}, keys)
                for first in range(0, count, BLOCK_ROWS)
            ]
            write(connection, submission_id, blocks)
            nothing = ", ".join([*(f'"{n}" = null' for n in names), "extra = null", *([f"source_text = nullif(source_text - array{names!r}, '{{}}')"] if names else [])])
            connection.execute(f"update raw.{table} set {nothing} where submission_id = %s", [submission_id])
            done += len(rows)
    return done
