"""The archived original where a person can open it, at the cell."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from ingestion.containers import DAMAGED, member_name
from warehouse import originals
from warehouse.settings import Settings, WarehouseError
from warehouse.trace.tree import Cell


def export(settings: Settings, cell: Cell, target: Path | None = None) -> Path:
    """Copy the file (or the archive's member) that a cell stands in; returns where.

    ``target`` defaults to ``home/opened``, which only its owner can read: originals hold personal data. An .xlsx opens
    at the cell: that copy is written anew, its figures unchanged; every other file is copied as it is. Raises
    WarehouseError where the original is gone or the place cannot be written.
    """
    try:
        data = originals.read(settings, cell.sha256)
        if cell.member:
            data = _member(data, cell.member)
    except FileNotFoundError as error:
        raise WarehouseError(f"The original of {cell.file} is not in the archive of {settings.home} any more.") from error
    except DAMAGED as error:
        raise WarehouseError(f"{cell.member} cannot be taken out of {cell.file}: {error}") from error
    name = Path(cell.member or cell.name).name
    try:
        if target is None:
            folder = settings.home / "opened"
            folder.mkdir(mode=0o700, exist_ok=True)
            target = folder / f"{cell.sha256[:8]}-{name}"
        elif target.is_dir():
            target = target / name
        if name.lower().endswith((".xlsx", ".xlsm")) and cell.cell:
            data = _at_cell(data, cell)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(data)
    except OSError as error:
        raise WarehouseError(f"{target} cannot be written: {error.strerror}") from error
    return target


def _member(data: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if member_name(info) == name:
                return archive.read(info)
    raise KeyError(name)


def _at_cell(data: bytes, cell: Cell) -> bytes:
    """The same workbook with the cell selected; the bytes as they are where it cannot be written anew."""
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), keep_vba=cell.name.lower().endswith(".xlsm"))
        for page in book.worksheets:
            page.sheet_view.tabSelected = page.title == cell.sheet
        page = book[cell.sheet]
        book.active = page
        page.sheet_view.selection[-1].activeCell = page.sheet_view.selection[-1].sqref = cell.cell
        written = io.BytesIO()
        book.save(written)
        return written.getvalue()
    except Exception:  # an oddity of the county's workbook: the person still gets it, only not at the cell
        return data
