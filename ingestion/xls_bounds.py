"""A look through an old .xls before it is opened: cells outside the format's own grid are the mark of a damaged file.

The library that reads .xls sets aside room for the whole rectangle its cells span; one flipped byte in a column
number would ask for tens of gigabytes and end the process. Formats: [MS-CFB], [MS-XLS].
"""

from __future__ import annotations

import struct

ROWS, COLUMNS = 65_536, 256
_END = 0xFFFFFFFA  # sector numbers from here on mean free, end of chain, …
_SHARED_STRINGS = 0x00FC
_DIMENSIONS = 0x0200
_CELLS = frozenset({0x0006, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E, 0x00FD, 0x00D6, 0x00BD, 0x00BE, 0x0406, 0x0206})
_SEVERAL = frozenset({0x00BD, 0x00BE})  # several cells of a row in one record: the last column stands at its end


def is_within_bounds(data: bytes) -> bool:
    """Whether every cell lies in the grid of the format and the shared strings can be there. False for what can't be followed."""
    try:
        stream = workbook_stream(data)
        return stream is not None and _cells_within(stream)
    except (struct.error, IndexError, ValueError, OverflowError):
        return False


def _cells_within(stream: bytes) -> bool:
    at, size = 0, len(stream)
    head = struct.Struct("<HHHH")  # record type and length; for a cell, row and column
    while at + 8 <= size:
        kind, length, _row, column = head.unpack_from(stream, at)
        if kind in _CELLS:
            if kind in _SEVERAL and length >= 6:
                column = max(column, struct.unpack_from("<H", stream, at + 4 + length - 2)[0])
            if length >= 4 and column >= COLUMNS:
                return False
        elif kind == _DIMENSIONS and length >= 14:
            first_row, last_row, first, last = struct.unpack_from("<IIHH", stream, at + 4)
            if not (first_row <= last_row <= ROWS and first <= last <= COLUMNS):
                return False
        elif kind == _SHARED_STRINGS and struct.unpack_from("<I", stream, at + 8)[0] * 3 > size:
            return False
        at += 4 + length
    return True


def workbook_stream(data: bytes) -> bytes | None:
    """The stream that holds the sheets; b'' for one too small to have a chain of its own, None where there is none."""
    sector = 1 << struct.unpack_from("<H", data, 30)[0]
    if sector not in (512, 4096):
        return None
    fat_count, directory_at = struct.unpack_from("<I", data, 44)[0], struct.unpack_from("<I", data, 48)[0]
    mini_cutoff, difat_at = struct.unpack_from("<I", data, 56)[0], struct.unpack_from("<I", data, 68)[0]
    most = len(data) // sector + 1

    def block(number: int) -> bytes:
        return data[(number + 1) * sector : (number + 2) * sector]

    tables = list(struct.unpack_from("<109I", data, 76))
    while difat_at < _END and len(tables) <= most + 109:
        words = struct.unpack(f"<{sector // 4}I", block(difat_at))
        tables += words[:-1]
        difat_at = words[-1]
    fat: list[int] = []
    for number in [t for t in tables if t < _END][: min(fat_count, most)]:
        fat += struct.unpack(f"<{sector // 4}I", block(number).ljust(sector, b"\xff"))

    def chain(start: int) -> bytes:
        parts, number = [], start
        while number < _END:
            if len(parts) > most:
                raise ValueError("the chain of sectors runs in a circle")
            parts.append(block(number))
            number = fat[number]
        return b"".join(parts)

    directory = chain(directory_at)
    for at in range(0, len(directory) - 127, 128):
        entry = directory[at : at + 128]
        name = entry[: max(struct.unpack_from("<H", entry, 64)[0] - 2, 0)].decode("utf-16-le", "replace")
        if name in ("Workbook", "Book") and entry[66] == 2:
            start, size = struct.unpack_from("<II", entry, 116)
            return b"" if size < mini_cutoff else chain(start)[:size]  # a stream that small holds no large figures
    return None
