"""What goes back to the county: its own workbook with the faults marked, and a sheet that lists them.

`write_returned` makes the file from the original and the findings; `write_outbox` does so for files that are
loaded, from what the database knows of them. Originals are only read. Whatever stands in a county's cells
stays text or number: nothing becomes a formula that was none before.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import psycopg

from ingestion.contracts import contracts
from ingestion.model import Block, ColumnSource, FileReading, Finding, FormReading
from ingestion.returned_book import Part, book, refusal_book
from warehouse import originals
from warehouse.settings import Settings, WarehouseError

SUFFIX = "（检查结果）"
MAX_MEMBER_BYTES = 64 * 2**20  # of one archive member, unpacked
MAX_UNPACKED_BYTES = 48 * 2**20  # of a workbook's XML; openpyxl needs some twenty times as much memory
FILE_MODE, FOLDER_MODE = 0o640, 0o750  # a county's own workbook may hold personal data
NOWHERE = "未识别"  # folder for files whose county or week could not be told


def write_returned(
    original: Path | bytes | None,
    reading: FileReading,
    findings: list[Finding],
    target: Path,
    *,
    received_at: dt.datetime | None = None,
) -> Path:
    """Write the marked copy of one file into the folder ``target`` and return its path.

    ``original`` is a file, or its bytes; None where it is gone. ``findings`` are those of all stages; what ``reading.findings`` holds besides is not looked at. The copy is
    an .xlsx with the same sheets, or a .zip of those for a .zip; beyond 20,000 rows it holds only the faulty
    rows. Raises OSError only if the folder cannot be written: an original that cannot be opened again still
    gives a workbook with the list of findings.
    """
    target.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    archive = any(f.member for f in (*reading.forms, *findings))
    path = _free_name(target, reading, ".zip" if archive else ".xlsx")
    about = Part(reading.name, reading.sha256, received_at, reading.forms, findings)
    if reading.refusal_zh:
        content = refusal_book(about, reading.refusal_zh)
    elif archive:
        content = _archive(original, about)
    else:
        content = book(_bytes(original), reading.name, about, MAX_UNPACKED_BYTES)
    draft = path.with_name(f".{path.name}.part")
    draft.touch(mode=FILE_MODE)
    draft.write_bytes(content)
    draft.replace(path)
    return path


def _bytes(original: Path | bytes | None) -> bytes | None:
    if not isinstance(original, Path):
        return original if original is None or len(original) <= MAX_MEMBER_BYTES else None
    try:
        return original.read_bytes() if original.stat().st_size <= MAX_MEMBER_BYTES else None
    except OSError:
        return None


def _archive(original: Path | bytes | None, about: Part) -> bytes:
    """One marked workbook a member that has anything to say, zipped together again."""
    members: dict[str, Part] = {}
    for name in {f.member for f in (*about.forms, *about.findings)}:
        forms = [f for f in about.forms if f.member == name]
        findings = [f for f in about.findings if f.member == name]
        title = name.replace("\\", "/").rsplit("/", 1)[-1] if name else about.name
        members[name] = Part(title, about.sha256, about.received_at, forms, findings)
    contents = _member_bytes(original, set(members))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = about.sha256.encode()
        taken: set[str] = set()
        for name, part in sorted(members.items()):
            title = _title(part.name)
            while title in taken:
                title += "_"
            taken.add(title)
            info = zipfile.ZipInfo(f"{title}{SUFFIX}.xlsx", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, book(contents.get(name), part.name, part, MAX_UNPACKED_BYTES))
    return out.getvalue()


def _member_bytes(original: Path | bytes | None, wanted: set[str]) -> dict[str, bytes]:
    """Members by the names that reading gave them; what is too large or damaged is left out."""
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(original if isinstance(original, Path) else io.BytesIO(original or b"")) as archive:
            for info in archive.infolist()[:2000]:
                name = next((n for n in _spellings(info) if n in wanted), None)
                if name is None or info.file_size > MAX_MEMBER_BYTES:
                    continue
                try:
                    with archive.open(info) as member:
                        data = member.read(MAX_MEMBER_BYTES + 1)
                except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, NotImplementedError, EOFError):
                    continue
                if len(data) <= MAX_MEMBER_BYTES:
                    found[name] = data
    except (OSError, ValueError, zipfile.BadZipFile):
        return found
    return found


def _spellings(info: zipfile.ZipInfo):
    """Names that a member may go by: Chinese names come as UTF-8 or GB18030 without a flag that says so."""
    yield info.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            yield info.filename.encode("cp437").decode(encoding)
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue


def _title(name: str) -> str:
    """A file's name without its ending, fit for any file system."""
    stem = re.sub(r"\.(xlsx|xlsm|xls|csv|zip|txt|et)$", "", name.replace("\\", "/").rsplit("/", 1)[-1], flags=re.I)
    stem = re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", stem).strip(". ")
    return stem[:60] or "报表"


def _free_name(folder: Path, reading: FileReading, suffix: str) -> Path:
    """The file's own name; another file of the same name gets a mark of its content, the same one its old place."""
    path = folder / f"{_title(reading.name)}{SUFFIX}{suffix}"
    if path.exists() and _made_from(path) != reading.sha256:
        path = folder / f"{_title(reading.name)}_{reading.sha256[:8]}{SUFFIX}{suffix}"
    return path


def _made_from(path: Path) -> str | None:
    """SHA-256 of the original that a returned file was made from, as written into it."""
    try:
        with zipfile.ZipFile(path) as archive:
            if path.suffix == ".zip":
                return archive.comment.decode("ascii", "replace")
            core = archive.read("docProps/core.xml").decode("utf-8", "replace")
    except (OSError, KeyError, zipfile.BadZipFile):
        return None
    found = re.search(r"identifier[^>]*>([0-9a-f]{64})<", core)
    return found[1] if found else None


# -- from the database ------------------------------------------------------------------------------


def write_outbox(connection: psycopg.Connection, settings: Settings, file_ids: list[int]) -> list[Path]:
    """Write the returned workbook of each of these files that is not wholly clean; returns the paths.

    Uses `intake` and `quality.finding` (stages reading and acceptance) and the archived original. Can be called
    again: the same file overwrites its own workbook.
    """
    files = connection.execute(
        """select file_id, sha256, original_name, size_bytes, received_at, outcome, message_zh
           from intake.file where file_id = any(%s) and outcome is distinct from 'duplicate' order by file_id""",
        [list(file_ids)],
    ).fetchall()
    forms, findings = _forms(connection, file_ids), _findings(connection, file_ids)
    written = []
    for file_id, sha256, name, size, received_at, outcome, message in files:
        refusal = (message or "该文件无法读取。") if outcome == "refused" else None
        if refusal is None and not findings[file_id]:
            continue
        reading = FileReading(name, sha256, size, forms=forms[file_id], refusal_zh=refusal)
        local = received_at.astimezone(settings.timezone)
        folder = settings.outbox.joinpath(*_place(forms[file_id], findings[file_id], local))
        original = _original(settings, sha256)
        written.append(write_returned(original, reading, findings[file_id], folder, received_at=local))
    return written


def _original(settings: Settings, sha256: str) -> bytes | None:
    try:
        return originals.read(settings, sha256)
    except (OSError, WarehouseError):  # gone, or altered: the county still gets the list of findings
        return None


def _place(forms: list[FormReading], findings: list[Finding], received: dt.datetime) -> tuple[str, str]:
    """County and week that most of a file speaks of; for what nobody can tell, the week it came in."""
    told: list[FormReading | Finding] = [*forms, *findings]
    county = Counter(f.county_code for f in told if f.county_code).most_common(1)
    week = Counter(f.week for f in told if f.week).most_common(1)
    year, number, _ = received.isocalendar()
    return county[0][0] if county else NOWHERE, week[0][0] if week else f"{year}-W{number:02d}"


def _forms(connection: psycopg.Connection, file_ids: list[int]) -> dict[int, list[FormReading]]:
    forms: dict[int, list[FormReading]] = defaultdict(list)
    rows = connection.execute(
        """select file_id, form, contract_version, county_code, county_text, week, as_of_date, member, sheet, rows_read, layout, state
           from intake.submission where file_id = any(%s) order by submission_id""",
        [list(file_ids)],
    )
    for file_id, form, version, county, text, week, as_of, member, sheet, count, layout, state in rows:
        blocks = [_block(b, member, sheet) for b in layout or []]
        one = FormReading(form, version, county, text, week, as_of, member, sheet, blocks, sheet_row=[0] * count)
        one.empty = state == "empty"
        forms[file_id].append(one)
    return forms


def _block(layout: dict, member: str, sheet: str) -> Block:
    columns = {
        field: ColumnSource(_column_number(c["col"]), c.get("heading", ""), c.get("factor", "1"))
        for field, c in layout.get("columns", {}).items()
    }
    header = tuple(layout.get("header_rows") or (0, 0))
    return Block(layout.get("block", 1), layout.get("member", member), layout.get("sheet", sheet), header, columns)


def _column_number(col: str | int) -> int:
    """'C' → 2; numbers stay."""
    if isinstance(col, int):
        return col
    number = 0
    for letter in col:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _findings(connection: psycopg.Connection, file_ids: list[int]) -> dict[int, list[Finding]]:
    findings: dict[int, list[Finding]] = defaultdict(list)
    rows = connection.execute(
        """select coalesce(f.file_id, s.file_id), f.rule_id, f.severity, f.message_zh, f.form, f.county_code, f.week, f.member,
                  f.sheet, f.cell, f.row_key, f.field, f.value, f.expected, f.difference, f.stage
           from quality.finding f left join intake.submission s using (submission_id)
           where coalesce(f.file_id, s.file_id) = any(%s) and f.stage in ('reading', 'acceptance') and f.status <> 'waived'
           order by f.finding_id""",
        [list(file_ids)],
    )
    names = ("rule_id", "severity", "message_zh", "form", "county_code", "week", "member", "sheet", "cell", "row_key", "field", "value", "expected", "difference", "stage")
    for file_id, *values in rows:
        findings[file_id].append(Finding(**dict(zip(names, values, strict=True))))
    known = contracts().rules
    for some in findings.values():
        some.sort(key=lambda f: (f.severity != "error", f.member, f.sheet, f.rule_id not in known))
    return findings
