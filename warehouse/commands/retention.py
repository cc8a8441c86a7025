"""`warehouse erase`, `warehouse retention`: personal data out of originals on request, and what is past its time."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

from ingestion import retention
from ingestion.retention import Erased, Place
from ingestion.returned import write_outbox
from warehouse.settings import Settings, WarehouseError


def file_number(connection: psycopg.Connection, said: str) -> int:
    """The file of `--file`: its number, the beginning of its SHA-256, or its name if only one has it. Raises WarehouseError."""
    found = connection.execute(
        """select file_id from intake.file where duplicate_of is null
           and (file_id::text = %(said)s or length(%(said)s) >= 8 and sha256 like %(said)s || '%%' or original_name = %(said)s) order by 1""",
        {"said": said},
    ).fetchall()
    if len(found) != 1:
        raise WarehouseError(f"{len(found) or 'No'} files are called {said}; give the number or the SHA-256 of one.")
    return found[0][0]


def place(said: str) -> Place:
    """`--cell`: 'C5' (a .csv), '明细表!C5', or 'inner.xlsx::明细表!C5' inside a .zip. Raises WarehouseError."""
    found = re.fullmatch(r"(?:(?P<member>.+?)::)?(?:(?P<sheet>.*)!)?(?P<cell>[A-Z]{1,3}[1-9]\d*)", said)
    if not found:
        raise WarehouseError(f"{said!r} is no cell; write it like 明细表!C5.")
    return Place(found["member"] or "", found["sheet"] or "", found["cell"])


def erase(
    connection: psycopg.Connection, settings: Settings, *, file: str | None, cells: list[str], numbers: Path | None, by: str, reason: str
) -> list[Erased]:
    """Blank the named cells of one original, or everything about some ID numbers (a text file, one a line) in one or all.

    Raises WarehouseError. Each original is erased from in a transaction of its own.
    """
    chosen = file_number(connection, file) if file else None
    if numbers is None:
        if chosen is None or not cells:
            raise WarehouseError("Say what to erase: --file with --cell, or --id-number-file.")
        return [_erase(connection, settings, chosen, map(place, cells), by, reason)]
    wanted = set(numbers.read_text(encoding="utf-8-sig").split())
    if not wanted:
        raise WarehouseError(f"{numbers} holds no number.")
    found = retention.find_in_archive(connection, settings, wanted, chosen)
    return [_erase(connection, settings, f, places, by, reason) for f, places in found.items()]


def _erase(connection: psycopg.Connection, settings: Settings, file_id: int, places: Iterable[Place], by: str, reason: str) -> Erased:
    """Erase from the original, then make the county's marked workbook from it anew and drop copies that were opened."""
    done = retention.erase(connection, settings, file_id=file_id, cells=places, by=by, reason=reason)
    for copy in (settings.home / "opened").glob(f"{done.sha256[:8]}-*"):
        copy.unlink()
    write_outbox(connection, settings, [file_id])
    return done


def as_json(done: list[Erased]) -> dict[str, Any]:
    return {
        "erased": [
            {"erasure_id": e.erasure_id, "file_id": e.file_id, "sha256": e.sha256, "sha256_after": e.sha256_after, "cells": len(e.cells), "rows_blanked": e.rows_blanked}
            for e in done
        ]
    }


def describe(result: dict[str, Any]) -> str:
    if not result["erased"]:
        return "Nothing was found to erase."
    return "\n".join(f"File {e['file_id']}: {e['cells']} cells blanked, {e['rows_blanked']} rows; on record as erasure {e['erasure_id']}." for e in result["erased"])


def policy(connection: psycopg.Connection, today: dt.date) -> dict[str, Any]:
    """The policy, and the originals that are past it."""
    said = retention.policy()
    return said | {"past": [{"file_id": f, "name": n, "received_at": r} for f, n, r in retention.past(connection, today, said["originals_years"])]}
