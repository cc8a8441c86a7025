"""How long originals are kept, and how personal data is erased from one of them without losing the trail.

An erasure blanks cells in the archived copy and nothing else: the archive goes on calling it by the SHA-256 it came
with, ``intake.file`` keeps that hash, and ``intake.erasure`` says which cells went, when, by whom and why, and what
the copy hashes to since. Fields that contracts call personal are blanked in the raw rows too; keyed pseudonyms stay.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import html
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import yaml
from psycopg import sql
from psycopg.types.json import Jsonb

from ingestion import personal as personal_rows
from ingestion.containers import Refusal, member_name, sheets_of
from ingestion.contracts import contracts
from ingestion.grid import Grid, a1, is_empty, plain
from ingestion.prepared import Prepared
from ingestion.text_tables import decoded
from warehouse import originals
from warehouse.keys import Keyring, keyring
from warehouse.roles import LOADER, as_role
from warehouse.settings import Settings, WarehouseError

POLICY = Path(__file__).with_name("retention.yaml")
ADDRESS = re.compile(r"([A-Z]{1,3})([1-9]\d*)")


@dataclass(frozen=True, order=True)
class Place:
    """A cell: ``member`` is the path inside a .zip, ``sheet`` is '' for a .csv."""

    member: str
    sheet: str
    cell: str


@dataclass(frozen=True)
class Erased:
    erasure_id: int
    file_id: int
    sha256: str
    sha256_after: str
    cells: list[Place]
    rows_blanked: int


def policy(path: Path = POLICY) -> dict:
    """The retention policy. Raises WarehouseError naming what is wrong with it."""
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = {name: int(said[name]) for name in ("originals_years", "publications_years")}
        found["erasure_by"] = [str(name) for name in said.get("erasure_by") or ()]
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise WarehouseError(f"{path.name} cannot be used: {type(error).__name__}: {error}") from error
    if min(found["originals_years"], found["publications_years"]) < 1:
        raise WarehouseError(f"{path.name}: years are whole numbers from 1.")
    return found


def past(connection: psycopg.Connection, today: dt.date, years: int | None = None) -> list[tuple[int, str, dt.datetime]]:
    """(file_id, name, received_at) of originals older than the policy asks to keep; nothing deletes them by itself."""
    years = years or policy()["originals_years"]
    return connection.execute(
        "select file_id, original_name, received_at from intake.file where received_at < %s::date - make_interval(years => %s) order by received_at",
        [today, years],
    ).fetchall()


def expected_hashes(connection: psycopg.Connection) -> dict[str, str]:
    """Received SHA-256 → SHA-256 that the archived copy must have now, for originals that something was erased from."""
    return dict(
        connection.execute("select distinct on (sha256) sha256, sha256_after from intake.erasure order by sha256, erasure_id desc").fetchall()
    )


# ---------------------------------------------------------------- erasing


@as_role(LOADER)
def erase(connection: psycopg.Connection, settings: Settings, *, file_id: int, cells: Iterable[Place], by: str, reason: str) -> Erased:
    """Blank cells in an archived original, and the personal fields of the rows they are in, and record it.

    Raises WarehouseError where the file, sheet or cell is not there, or the cells cannot be blanked without touching
    others; nothing has changed then.
    """
    allowed = policy()["erasure_by"]
    if not by.strip() or not reason.strip():
        raise WarehouseError("An erasure needs the name of whoever does it, and a reason.")
    if allowed and by.strip() not in allowed:
        raise WarehouseError(f"{by.strip()} is not among those who may erase ({POLICY.name}: erasure_by).")
    places = sorted(set(cells))
    if not places:
        raise WarehouseError("No cells are named.")
    with connection.transaction():
        row = connection.execute("select sha256 from intake.file where file_id = %s for update", [file_id]).fetchone()
        if row is None:
            raise WarehouseError(f"There is no file {file_id}.")
        try:
            before = originals.read(settings, row[0])
        except OSError as error:
            raise WarehouseError(f"The original of file {file_id} cannot be read: {error.strerror}.") from error
        after = blanked(before, places)
        rows = _blank_rows(connection, row[0], places, keyring(settings))
        digests = [hashlib.sha256(data).hexdigest() for data in (before, after)]
        (erasure_id,) = connection.execute(
            """insert into intake.erasure (file_id, sha256, sha256_before, sha256_after, cells, rows_blanked, erased_by, reason)
               values (%s, %s, %s, %s, %s, %s, %s, %s) returning erasure_id""",
            [file_id, row[0], *digests, Jsonb([{"member": p.member, "sheet": p.sheet, "cell": p.cell} for p in places]), rows, by.strip(), reason.strip()],
        ).fetchone()
        originals.replace(settings, row[0], after)  # last, so that a fault above leaves the archive as it was
        Prepared(settings).remove([row[0]])
    return Erased(erasure_id, file_id, row[0], digests[1], places, rows)


def _blank_rows(connection: psycopg.Connection, sha256: str, places: list[Place], keys: Keyring) -> int:
    """Personal fields of the rows that the cells belong to go out of what is sealed of them; returns the number of rows."""
    rows = 0
    submissions = connection.execute(
        "select s.submission_id, s.form, s.layout from intake.submission s join intake.file f using (file_id) where f.sha256 = %s and s.state <> 'returned'", [sha256]
    ).fetchall()
    for submission, code, layout in submissions:
        personal = [f.name for f in contracts().form(code).fields if f.personal] if code in contracts().codes else []
        for block in layout if personal else ():
            mine = {int(ADDRESS.fullmatch(p.cell)[2]) for p in places if (p.member, p.sheet) == (block.get("member", ""), block.get("sheet", ""))}
            for name in personal:
                column = block["columns"].get(name)
                named = {int(ADDRESS.fullmatch(p.cell)[2]) for p in places if column and ADDRESS.fullmatch(p.cell)[1] == column["col"]} & mine
                if named:
                    numbers = connection.execute(
                        sql.SQL("select row_no from {} where submission_id = %s and block_no = %s and sheet_row = any(%s)").format(sql.Identifier("raw", code.lower())),
                        [submission, block["block"], [n - (column.get("row_offset") or 0) for n in named]],
                    ).fetchall()
                    rows += personal_rows.blank(connection, submission, code, {n for (n,) in numbers}, name, keys)
    return rows


def find_numbers(data: bytes, numbers: set[str]) -> list[Place]:
    """Cells of a file that hold one of some ID numbers. A file that cannot be read has none."""
    found = []
    try:
        for grid in sheets_of(data):
            for r, row in enumerate(grid.rows):
                for c, value in enumerate(row):
                    if plain(value).upper() in numbers:
                        found.append(Place(grid.member, grid.name, a1(r + 1, c)))
    except Refusal:
        pass
    return found


@as_role(LOADER)
def find_in_archive(connection: psycopg.Connection, settings: Settings, numbers: set[str], file_id: int | None = None) -> dict[int, list[Place]]:
    """file_id → cells with one of the numbers, over every original or just one; personal cells beside them included."""
    wanted = {n.strip().upper() for n in numbers if n.strip()}
    found: dict[int, list[Place]] = {}
    for number, sha256 in connection.execute(
        "select file_id, sha256 from intake.file where duplicate_of is null and (%(id)s::bigint is null or file_id = %(id)s) order by file_id", {"id": file_id}
    ).fetchall():
        hits = find_numbers(originals.read(settings, sha256), wanted) if originals.exists(settings, sha256) else []
        if hits:
            found[number] = sorted({*hits, *_beside(connection, number, hits)})
    return found


def _beside(connection: psycopg.Connection, file_id: int, hits: list[Place]) -> Iterable[Place]:
    """The other personal cells of the same rows, by the layout in which the file was read."""
    for code, layout in connection.execute("select form, layout from intake.submission where file_id = %s", [file_id]).fetchall():
        personal = [f.name for f in contracts().form(code).fields if f.personal] if code in contracts().codes else []
        for block in layout or ():
            for hit in hits:
                if (hit.member, hit.sheet) == (block.get("member", ""), block.get("sheet", "")):
                    row = ADDRESS.fullmatch(hit.cell)[2]
                    yield from (Place(hit.member, hit.sheet, block["columns"][name]["col"] + row) for name in personal if name in block["columns"])


# ---------------------------------------------------------------- bytes


def blanked(data: bytes, places: list[Place]) -> bytes:
    """The same file with some cells empty and every other cell as it was. Raises WarehouseError where that cannot be."""
    for place in places:
        if not ADDRESS.fullmatch(place.cell):
            raise WarehouseError(f"{place.cell!r} is no cell.")
    before = _grids(data)
    for place in places:
        if (place.member, place.sheet) not in before:
            raise WarehouseError(f"There is no sheet “{place.sheet}”{' in ' + place.member if place.member else ''} in this file.")
    by_member: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_member[place.member].append(place)
    after = data
    for member, mine in by_member.items():
        after = _in_archive(after, member, mine, before) if member else _in_file(after, mine, before)
    _compare(before, _grids(after), places)
    return after


def _grids(data: bytes) -> dict[tuple[str, str], Grid]:
    try:
        return {(g.member, g.name): g for g in sheets_of(data)}
    except Refusal as refusal:
        raise WarehouseError(f"This original cannot be opened, so nothing in it can be blanked: {refusal}") from refusal


def _compare(before: dict[tuple[str, str], Grid], after: dict[tuple[str, str], Grid], places: list[Place]) -> None:
    """Raises WarehouseError unless just the places are empty now."""
    gone = {(p.member, p.sheet, p.cell) for p in places}
    for key, grid in before.items():
        now = after.get(key)
        for r, row in enumerate(grid.rows):
            for c, value in enumerate(row):
                new, address = now.cell(r, c) if now else None, a1(r + 1, c)
                if (*key, address) in gone:
                    if not is_empty(new):
                        raise WarehouseError(f"{key[1]}!{address} cannot be blanked in a file of this kind.")
                elif new != value and not (is_empty(new) and is_empty(value)):
                    raise WarehouseError(f"{key[1]}!{address} holds the same text and would be blanked too: name it as well, or leave it.")


def _in_archive(data: bytes, member: str, places: list[Place], before: dict[tuple[str, str], Grid]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(i.filename for i in archive.infolist() if member_name(i) == member)
        return _rezip(archive, {name: _in_file(archive.read(name), places, before)})


def _rezip(archive: zipfile.ZipFile, changed: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as copy:
        for info in archive.infolist():
            kept = zipfile.ZipInfo(member_name(info), info.date_time)  # a name in GBK is written as the same name in UTF-8
            kept.compress_type, kept.external_attr, kept.comment = info.compress_type, info.external_attr, info.comment
            copy.writestr(kept, changed[info.filename] if info.filename in changed else archive.read(info))
    return out.getvalue()


def _in_file(data: bytes, places: list[Place], before: dict[tuple[str, str], Grid]) -> bytes:
    if data.startswith(b"PK"):
        return _in_workbook(data, places)
    if all(p.sheet == "" for p in places):
        return _in_text(data, places)
    # .xls: the text is written over with blanks of the same length, wherever it stands
    for place in places:
        row, column = _position(place.cell)
        text = plain(before[place.member, place.sheet].cell(row, column))
        for encoded in {text.encode(e, "ignore") for e in ("utf-16-le", "latin-1", "utf-8", "gb18030")}:
            if len(encoded) >= 4:
                blank = " ".encode("utf-16-le") * (len(encoded) // 2) if encoded == text.encode("utf-16-le") else b" " * len(encoded)
                data = data.replace(encoded, blank)
    return data


def _position(cell: str) -> tuple[int, int]:
    letters, row = ADDRESS.fullmatch(cell).groups()
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    return int(row) - 1, column - 1


def _in_text(data: bytes, places: list[Place]) -> bytes:
    text = decoded(data)
    if text is None:
        raise WarehouseError("The encoding of this text file is unknown.")
    encoding = next((e for e in ("utf-8-sig", "utf-16", "utf-8", "gb18030") if _same(data, text, e)), None)
    if encoding is None:
        raise WarehouseError("This text file cannot be written again as it was.")
    delimiter = max(",\t;", key=text[:20_000].count)  # as it was read
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    for place in places:
        row, column = _position(place.cell)
        if row < len(rows) and column < len(rows[row]):
            rows[row][column] = ""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n" if "\r\n" in text else "\n").writerows(rows)
    return out.getvalue().encode(encoding)


def _same(data: bytes, text: str, encoding: str) -> bool:
    try:
        return data.decode(encoding).lstrip("\ufeff") == text.lstrip("\ufeff") and (encoding != "utf-8-sig" or data.startswith(b"\xef\xbb\xbf"))
    except UnicodeDecodeError:
        return False


def _in_workbook(data: bytes, places: list[Place]) -> bytes:
    """Cells of an .xlsx, in its XML: everything else, formulas and their values included, stays byte for byte."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = _sheet_parts(archive)
        xml = {name: archive.read(name) for name in {*parts.values()} if name in archive.namelist()}
        changed, dropped = {}, set()
        for place in places:
            part = parts[place.sheet]
            pattern = re.compile(rb"<((?:\w+:)?)c\b([^>]*?\br=\"%s\"[^>]*?)(?:/>|>(.*?)</\1c>)" % place.cell.encode(), re.DOTALL)
            found = pattern.search(xml[part])
            if found is None:
                continue  # empty already; what is not is found by the comparison afterwards
            attributes, content = found[2].rstrip(b"/"), found[3] or b""
            index = re.search(rb"<(?:\w+:)?v>(\d+)</", content)
            if re.search(rb"\bt=\"s\"", attributes) and index:
                dropped.add(int(index[1]))
            kept = re.sub(rb"\s+t=\"\w+\"", b"", attributes)
            xml[part] = changed[part] = xml[part][: found.start()] + b"<" + found[1] + b"c" + kept + b"/>" + xml[part][found.end() :]
        strings = next((n for n in archive.namelist() if n.lower() == "xl/sharedstrings.xml"), None)
        if strings and dropped:
            used = {int(n) for text in xml.values() for n in re.findall(rb"<(?:\w+:)?c\b[^>]*\bt=\"s\"[^>]*>\s*(?:<(?:\w+:)?f.*?)?<(?:\w+:)?v>(\d+)</", text)}
            changed[strings] = _without(archive.read(strings), dropped - used)
        return _rezip(archive, changed)


def _without(shared: bytes, numbers: set[int]) -> bytes:
    """Shared strings that no cell uses any more keep their place and lose their text."""
    out, end = [], 0
    for number, found in enumerate(re.finditer(rb"<((?:\w+:)?)si\b[^>]*?(?:/>|>.*?</\1si>)", shared, re.DOTALL)):
        if number in numbers:
            out += [shared[end : found.start()], b"<%ssi><%st></%st></%ssi>" % ((found[1],) * 4)]
            end = found.end()
    return b"".join([*out, shared[end:]])


def _sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """Sheet name → path of its XML part."""
    names = {n.lower(): n for n in archive.namelist()}
    book = archive.read(names["xl/workbook.xml"]).decode("utf-8")
    links = archive.read(names["xl/_rels/workbook.xml.rels"]).decode("utf-8")
    target = {}
    for link in re.findall(r"<(?:\w+:)?Relationship\b[^>]*>", links):
        address = re.search(r'\bTarget="([^"]+)"', link)[1]
        target[re.search(r'\bId="([^"]+)"', link)[1]] = address.lstrip("/") if address.startswith("/") else f"xl/{address}"
    found = {}
    for sheet in re.findall(r"<(?:\w+:)?sheet\b[^>]*>", book):
        name, link = re.search(r'\bname="([^"]*)"', sheet), re.search(r'\b\w+:id="([^"]+)"', sheet)
        if name and link:
            found[html.unescape(name[1])] = names.get(target[link[1]].lower(), target[link[1]])
    return found
