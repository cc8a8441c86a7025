"""Damaged, absurd and hostile files: an answer in words every time, within bounds of time and memory, and no row lost.

About 60 mutations in the quick suite, some 2,000 with ``WAREHOUSE_LONG=1``. Files that could take a process down are
read in one of their own, with a limit on its memory.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from ingestion.contracts import contracts
from ingestion.model import FileReading
from ingestion.reader_process import PATIENCE
from ingestion.reading import read_file
from ingestion.reference import codes
from tests.unit import house_styles, layout_files, layouts, true_rows
from tests.unit.reading_files import COP03, RECEIVED, cop03, csv_bytes, head

LONG = bool(os.environ.get("WAREHOUSE_LONG"))
ROUNDS = 170 if LONG else 5  # of each of the mutations below
SECONDS = 20  # of processor time
MEGABYTES = 512


def sound(result: FileReading) -> None:
    """An answer in words, and every row of every form accounted for."""
    assert result.refusal_zh or result.forms or result.findings or result.ignored_sheets
    assert not (result.refusal_zh and result.forms)
    for form in result.forms:
        lists = [*form.values.values(), form.block_no, form.source_text, form.change_reason, form.extra]
        assert {len(v) for v in lists} <= {form.rows}
        assert all(f.message_zh and f.severity in ("error", "warning") for f in form.findings)
        assert all(1 <= f.row_no <= form.rows for f in form.findings if f.row_no is not None)
        assert all("\x00" not in v for values in form.values.values() for v in values if isinstance(v, str))
        assert (form.county_code and form.week) or not form.acceptable


def original(rng: random.Random, kind: str | None = None) -> tuple[layouts.Sheet, house_styles.Style]:
    form = contracts().form(rng.choice(contracts().codes))
    truth = true_rows.made_up(form, rng.choice(codes().counties_on(true_rows.SUNDAY)), codes(), rng)
    style = house_styles.any_style(rng)
    style.kind = kind or style.kind
    sheet = layouts.Sheet()
    layouts.write_form(sheet, truth, style, codes())
    return sheet, style


# What happens to a table


def swapped(sheet: layouts.Sheet, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 9)):
        a, b = rng.sample(list(sheet.cells), 2)
        sheet.cells[a], sheet.cells[b] = sheet.cells[b], sheet.cells[a]


def deleted(sheet: layouts.Sheet, rng: random.Random) -> None:
    for place in rng.sample(list(sheet.cells), rng.randint(1, len(sheet.cells) // 2)):
        del sheet.cells[place]


ODD = ["", " ", "合计", "小计", "续表", "乡镇", "填报单位：", "截至日期：", "注：", "变化原因：", -1, 1e308, "１２", "=1+1", "#REF!", "x" * 32_000, True, "\U0001f600", "2020年13月45日", "附件1", "填报人："]


def typed_over(sheet: layouts.Sheet, rng: random.Random) -> None:
    for place in rng.sample(list(sheet.cells), min(len(sheet.cells), rng.randint(1, 12))):
        sheet.cells[place] = rng.choice(ODD)


def rows_repeated(sheet: layouts.Sheet, rng: random.Random) -> None:
    below = sheet.height
    for n in range(rng.randint(1, 5)):
        row = rng.randrange(below)
        for (r, c), value in list(sheet.cells.items()):
            if r == row:
                sheet.cells[below + n, c] = value


def columns_dropped(sheet: layouts.Sheet, rng: random.Random) -> None:
    gone = set(rng.sample(range(sheet.width), min(sheet.width, rng.randint(1, 4))))
    sheet.cells = {(r, c): v for (r, c), v in sheet.cells.items() if c not in gone} or {(0, 0): "表"}


def merged_anywhere(sheet: layouts.Sheet, rng: random.Random) -> None:
    top, left = rng.randrange(sheet.height), rng.randrange(sheet.width)
    sheet.merges = [(top, left, top + rng.randint(0, 6), left + rng.randint(1, 6))]


@pytest.mark.parametrize("change", [swapped, deleted, typed_over, rows_repeated, columns_dropped, merged_anywhere])
def test_tables_out_of_order(tmp_path, change):
    for seed in range(ROUNDS):
        rng = random.Random(f"{change.__name__}{seed}")
        sheet, style = original(rng, "xlsx" if change is merged_anywhere else None)
        change(sheet, rng)
        path = tmp_path / f"报表.{style.kind}"
        path.write_bytes(layout_files.as_bytes({"Sheet1": sheet}, style))
        began = time.process_time()
        sound(read_file(path, received_at=RECEIVED))
        assert time.process_time() - began < SECONDS, seed


# What happens to bytes


def flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 3, 20])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncated(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def inside_damaged(data: bytes, rng: random.Random) -> bytes:
    """One part of a workbook with its XML cut, repeated, or its numbers changed; the archive itself is whole."""
    if not data.startswith(b"PK"):
        return flipped(data, rng)
    source, out = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    names = [n for n in source.namelist() if n.startswith("xl/")]
    victim = rng.choice([n for n in names if "sheet1" in n or "sharedStrings" in n or "workbook" in n or "styles" in n])
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            content = source.read(name)
            if name == victim:
                match rng.randrange(5):
                    case 0:
                        content = content[: rng.randrange(len(content))]
                    case 1:
                        content = re.sub(rb"<v>\d+</v>", lambda m: rng.choice([m.group(), b"<v>999999999</v>", b"<v>-1</v>", b"<v>x</v>"]), content)
                    case 2:
                        content = re.sub(rb'r="([A-Z]+)(\d+)"', lambda m: rng.choice([m.group()] * 30 + [b'r="ZZZ%s"' % m.group(2), b'r="A0"', b'r=""']), content)
                    case 3:
                        content = flipped(content, rng)
                    case 4:
                        continue
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("change", [flipped, truncated, inside_damaged])
@pytest.mark.parametrize("kind", ["xlsx", "xls", "csv"])
def test_damaged_files(tmp_path, change, kind):
    files = []
    for seed in range(ROUNDS if LONG else 3):
        rng = random.Random(f"{change.__name__}{kind}{seed}")
        sheet, style = original(rng, kind)
        files.append(tmp_path / f"{seed}.{kind}")
        files[-1].write_bytes(change(layout_files.as_bytes({"Sheet1": sheet}, style), rng))
    for answer in apart(files):
        assert answer["sound"], answer


# Hostile files, each in a process of its own


def sheet_xml(rows: str, before: str = "", dimension: str = "A1:C9") -> bytes:
    return (
        f'<?xml version="1.0"?>{before}<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f'<dimension ref="{dimension}"/><sheetData>{rows}</sheetData></worksheet>'
    ).encode()


def workbook(sheet: bytes, more: dict[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    office, package = "http://schemas.openxmlformats.org/officeDocument/2006/relationships", "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="{office}"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
        **(more or {}),
    }
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def packed(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9)) + "]>"
CELL = '<row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c></row>'
NESTED = packed({"a.zip": packed({"b.zip": packed({"c.csv": csv_bytes(cop03())})})})
SHORT = csv_bytes(cop03())
HOSTILE = {
    "billion laughs in a sheet": lambda: workbook(sheet_xml(CELL.format("&j;"), LAUGHS)),
    "billion laughs in shared strings": lambda: workbook(sheet_xml('<row r="1"><c r="A1" t="s"><v>0</v></c></row>'), {"xl/sharedStrings.xml": f"<?xml version='1.0'?>{LAUGHS}<sst><si><t>&j;</t></si></sst>".encode()}),
    "entity late in the part": lambda: workbook(sheet_xml(CELL.format("&j;"), "<!--" + "x" * 5000 + "-->" + LAUGHS)),
    "external entity": lambda: workbook(sheet_xml(CELL.format("&x;"), '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>')),
    "cells at the far corner": lambda: workbook(sheet_xml('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')),
    "absurd dimension": lambda: workbook(sheet_xml(CELL.format("x"), dimension="A1:XFD1048576")),
    "absurd count of shared strings": lambda: workbook(sheet_xml(CELL.format("x")), {"xl/sharedStrings.xml": b'<sst count="4000000000" uniqueCount="4000000000"></sst>'}),
    "shared string that is not there": lambda: workbook(sheet_xml('<row r="1"><c r="A1" t="s"><v>99999999</v></c></row>')),
    "column beyond the last": lambda: workbook(sheet_xml('<row r="1"><c r="ZZZZZZ1"><v>1</v></c></row>')),
    "a hundred thousand merges": lambda: workbook(sheet_xml(CELL.format("乡镇")).replace(b"</sheetData>", b"</sheetData><mergeCells>" + b"".join(b'<mergeCell ref="A%d:B%d"/>' % (n, n) for n in range(1, 100_001)) + b"</mergeCells>")),
    "a merge over everything": lambda: workbook(sheet_xml(CELL.format("乡镇")).replace(b"</sheetData>", b'</sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>')),
    "deeply nested elements": lambda: workbook(sheet_xml("<row>" * 200_000)),
    "zip bomb": lambda: packed({"a.csv": b"0" * 300_000_000}),
    "bomb inside a workbook": lambda: workbook(sheet_xml(" " * 200_000_000)),
    "archive in archive": lambda: NESTED,
    "path out of the archive": lambda: packed({"../../../../etc/cron.d/x": SHORT}),
    "absolute path": lambda: packed({"/etc/x.csv": SHORT}),
    "drive letter": lambda: packed({"C:\\x.csv": SHORT}),
    "twenty thousand members": lambda: packed({f"{n}.csv": b"" for n in range(20_000)}),
    "ten million commas": lambda: b"," * 10_000_000,
    "a hundred thousand columns": lambda: csv_bytes([["乡镇"] * 100_000] * 20),
    "commas over many lines": lambda: (b"," * 1000 + b"\n") * 10_000,
    "an open quote": lambda: SHORT + b'"' + b"x,\n" * 500_000,
    "huge cell": lambda: csv_bytes([*head(), COP03, ["单位采购", "9" * 1_000_000, "x" * 20_000_000]]),
    "NUL bytes": lambda: SHORT.replace("单位采购".encode(), "单位\x00采购".encode()),
    "NUL bytes far below": lambda: SHORT + b"a,b,c\n" * 2000 + b"x\x00,1,2\n",
    "nothing but NUL": lambda: bytes(1_000_000),
    "headings without end": lambda: csv_bytes([*head(), *[COP03] * 30_000]),
    "spaces in a date": lambda: csv_bytes(cop03(date="2020" + " " * 200_000 + "年")),
    "digits in a heading": lambda: csv_bytes(cop03(heading=["销售渠道", "(" * 50_000, "惠及贫困人口"])),
    "encrypted": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(4000),
    "an old workbook of garbage": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + random.Random(1).randbytes(100_000) + "Workbook".encode("utf-16-le"),
    "web page": lambda: "<html><table><tr><td>乡镇</td></tr></table></html>".encode(),
}  # fmt: skip


def test_hostile_files_are_answered_within_bounds(tmp_path):
    files = []
    for number, make in enumerate(HOSTILE.values()):
        files.append(tmp_path / f"{number}.xlsx")
        files[-1].write_bytes(make())
    answers = apart(files)
    told = dict(zip(HOSTILE, answers, strict=True))
    assert {name: a for name, a in told.items() if not a["sound"] or a["seconds"] > SECONDS} == {}
    for name in ("zip bomb", "path out of the archive", "cells at the far corner", "encrypted", "web page", "billion laughs in a sheet", "external entity", "nothing but NUL"):
        assert told[name]["refusal"], name


@pytest.mark.skipif(not LONG, reason="a file of 50 MB takes a minute")
def test_a_file_of_fifty_megabytes(tmp_path):
    line = csv_bytes([["单位采购", "12,345.67", "100", "备注文字"]])
    path = tmp_path / "大.csv"
    path.write_bytes(csv_bytes([*head(), [*COP03, "备注"]]) + line * (50 * 1024**2 // len(line)))
    (answer,) = apart([path])  # 1.2 million rows, each of them with a fault
    assert answer["sound"] and not answer["refusal"], answer


def apart(files: list[Path], megabytes: int = MEGABYTES) -> list[dict]:
    """Read files in one process with a limit on its memory; one that dies on a file is started again after it."""
    answers: list[dict] = []
    while len(answers) < len(files):
        rest = files[len(answers) :]
        limit = SECONDS * 6 + 5 * len(rest)  # of processor time; what hangs uses none, and is stopped by the clock
        run = subprocess.run(
            [sys.executable, "-c", "from tests.fuzz.test_mutations import _child; _child()", str(megabytes), str(limit), *map(str, rest)],
            capture_output=True, text=True, timeout=PATIENCE * limit, cwd=Path(__file__).parents[2], check=False,
        )  # fmt: skip
        answers += [json.loads(line) for line in run.stdout.splitlines()]
        if len(answers) < len(files):
            answers.append({"file": str(files[len(answers)]), "sound": False, "seconds": 0, "refusal": None, "died": run.stderr[-600:]})
    return answers


def _child() -> None:
    contracts(), codes()
    used = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text()).group(1)) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]) * 1024**2,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
    for name in sys.argv[3:]:
        began, answer = time.process_time(), {"file": name, "refusal": None}
        try:
            result = read_file(Path(name), received_at=RECEIVED)
            sound(result)
            answer |= {"sound": True, "refusal": result.refusal_zh}
        except BaseException as error:
            answer |= {"sound": False, "error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer | {"seconds": round(time.process_time() - began, 2)}), flush=True)
