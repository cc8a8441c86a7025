"""From a file's bytes to sheets: what the file is, told by its content, and refused in one sentence if it is no workbook.

Nothing is ever run or followed (macros, external links), and sizes are checked before anything is unpacked.
"""

from __future__ import annotations

import csv
import functools
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import python_calamine
from python_calamine import CalamineWorkbook

from ingestion import text_tables
from ingestion.aside import beside
from ingestion.cell_details import percent_cells, unresolved_cells, without_result
from ingestion.grid import Grid
from ingestion.xls_bounds import is_within_bounds

MAX_FILE = 200 * 1024**2  # bytes as received
MAX_UNPACKED = 600 * 1024**2  # bytes of an archive or workbook when unpacked
MAX_RATIO = 150  # unpacked to packed; sheets of a report seldom pass 40
RATIO_FROM = 20 * 1024**2  # smaller parts may be as dense as they like
MAX_MEMBERS = 1000
MAX_CELLS = 40_000_000  # of the rectangle that a sheet's cells span, filled or not
SHEET_ROWS, SHEET_COLUMNS = 1_048_576, 16_384  # of the format itself
MAX_COLUMNS = 512  # the widest form has 16
BESIDE_FROM, BESIDE_TO = 8 * 1024**2, 160 * 1024**2  # unpacked bytes of a workbook that is checked while it is read

DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, lzma.LZMAError, NotImplementedError, EOFError, OSError, RuntimeError, ValueError, KeyError)

_SHEET_PART = re.compile(r"xl/worksheets/[^/]+\.xml$", re.IGNORECASE)
# Cells that could span a large rectangle: columns from AA on, rows from 200,000 on
_FAR_REFERENCE = re.compile(rb' r="(?:[A-Za-z]{2}|[A-Za-z]?(?:[2-9]\d{5}|\d{7}))')
_FAR_CELL = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]{0,40})(\d+)["']""")
_COUNT = re.compile(rb"""\b(?:uniqueCount|count)\s*=\s*["'](\d+)["']""")
_UNIQUE_COUNT = re.compile(rb"""\buniqueCount\s*=\s*["'](\d+)["']""")


class Refusal(Exception):
    """The file cannot be read at all; the text says why and what to send instead, for the county, in Chinese."""


def sheets_of(data: bytes, rejected: list[tuple[str, str]] | None = None) -> Iterator[Grid]:
    """Every sheet of a file, hidden ones as grids without rows. Raises Refusal.

    Members of an archive that can't be read are put into ``rejected`` with the reason; if none can, the archive is refused.
    """
    yield from _sheets(data, "", [] if rejected is None else rejected)


def _sheets(data: bytes, member: str, rejected: list[tuple[str, str]]) -> Iterator[Grid]:
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf"):
        raise Refusal("文件是空的，没有任何内容，请重新导出后报送。")
    if len(data) > MAX_FILE:
        raise Refusal(f"文件超过 {MAX_FILE // 1024**2} MB，请分成几个文件报送。")
    if data.startswith(b"PK"):
        yield from _zipped(data, member, rejected)
    elif data.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        yield from _compound(data, member)
    else:
        yield from _text(data, member)


def _zipped(data: bytes, member: str, rejected: list[tuple[str, str]]) -> Iterator[Grid]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        infos = archive.infolist()
    except DAMAGED as error:
        raise Refusal("文件不完整或已损坏（可能传输中断），无法打开，请重新导出后报送。") from error
    names = {i.filename for i in infos}
    _bounds(infos, len(data))
    if any(n.lower() == "xl/workbook.xml" for n in names) or "xl/workbook.bin" in names:
        size = sum(i.file_size for i in infos)
        checked = beside(functools.partial(_check_parts, archive, infos), BESIDE_FROM < size < BESIDE_TO)
        try:
            yield from _workbook(data, member, checked)
        finally:
            checked()  # whatever came of reading it: what the check refuses is refused in the check's own words
    elif names & {"word/document.xml", "ppt/presentation.xml", "mimetype", "[Content_Types].xml"}:
        raise Refusal("文件不是 Excel 工作簿，请用 .xlsx、.xls 或 .csv 报送。")
    elif member:
        raise Refusal("压缩包里还有压缩包，请只压缩一层后报送。")
    else:
        yield from _archive(archive, infos, rejected)


def _bounds(infos: list[zipfile.ZipInfo], packed: int) -> None:
    unpacked = sum(i.file_size for i in infos)
    dense = any(i.file_size > RATIO_FROM and i.file_size > MAX_RATIO * max(i.compress_size, 1) for i in infos)
    if unpacked > MAX_UNPACKED or len(infos) > 100 * MAX_MEMBERS or dense or (unpacked > RATIO_FROM and unpacked > MAX_RATIO * packed):
        raise Refusal("文件解压后大得反常（疑似压缩炸弹），没有打开，请另存为新工作簿后报送。")
    if any(i.flag_bits & 1 for i in infos):
        raise Refusal("压缩包设有密码，无法打开，请去掉密码后报送。")


def _archive(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo], rejected: list[tuple[str, str]]) -> Iterator[Grid]:
    members = [(i, member_name(i)) for i in infos if not i.is_dir()]
    for _, name in members:
        if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
            raise Refusal("压缩包里有指向包外路径的文件名（如 ../），不安全，没有打开，请重新压缩后报送。")
    members = [(i, n) for i, n in members if not n.startswith("__MACOSX/") and not n.rsplit("/", 1)[-1].startswith((".", "~$"))]
    if not members:
        raise Refusal("压缩包里没有文件，请重新压缩后报送。")
    if len(members) > MAX_MEMBERS:
        raise Refusal(f"压缩包里的文件超过 {MAX_MEMBERS} 个，请分开报送。")
    for info, name in members:
        try:
            inner = archive.read(info)
        except DAMAGED as error:
            raise Refusal("压缩包不完整或已损坏，无法解开，请重新压缩后报送。") from error
        try:
            yield from _sheets(inner, name, rejected)
        except Refusal as refusal:
            rejected.append((name, str(refusal)))
    if len(rejected) == len(members):
        raise Refusal(rejected[0][1] if len(rejected) == 1 else "压缩包里没有能读取的工作簿，请用 .xlsx、.xls 或 .csv 报送。")


def member_name(info: zipfile.ZipInfo) -> str:
    """Names that Windows wrote in GBK come out as cp437; put them right."""
    if not info.flag_bits & 0x800:
        try:
            return info.filename.encode("cp437").decode("gb18030")
        except UnicodeError:
            pass
    return info.filename


def _check_parts(archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]) -> bool:
    """Unpack each sheet once within its declared size, and see that its cells don't span a rectangle beyond bounds.

    Gives whether any sheet has formulas without a value.
    """
    unresolved = False
    for info in infos:
        try:
            content = archive.read(info) if info.filename.lower().endswith((".xml", ".bin", ".rels")) else b""
        except DAMAGED as error:
            raise Refusal("文件不完整或已损坏，无法打开，请重新导出后报送。") from error
        if not _SHEET_PART.match(info.filename):
            # the count of shared strings is how often they are used, a few of them as often as there are cells
            claims = _UNIQUE_COUNT if b"<sst" in content[:4000] else _COUNT
            if any(int(n[:18]) > len(content) for n in claims.findall(content[:4000])):
                raise Refusal("文件不完整或已损坏，无法打开，请重新导出后报送。")  # room is set aside for as many strings as it claims
            if b"<!DOCTYPE" in content[:2000]:
                raise Refusal("文件含有不允许的内容定义，没有打开，请另存为新工作簿后报送。")
            continue
        unresolved = unresolved or without_result(content)
        # one byte is looked for at once, four take longer than unpacking did
        odd = b"'" in content or b"\t" in content or content.count(b"\n") > 1
        unusual = b" r =" in content or (odd and (b" r='" in content or b'\nr="' in content or b'\tr="' in content))
        if unusual or _FAR_REFERENCE.search(content):
            rows = columns = 1
            for letters, digits in _FAR_CELL.findall(content):
                rows = max(rows, int(digits[:8]))
                columns = max(columns, _column_number(letters.upper()))
            if rows * columns > MAX_CELLS or columns > SHEET_COLUMNS or rows > SHEET_ROWS:
                raise Refusal("工作表在极远的单元格里有内容，范围大得反常，没有打开，请删去表外的内容后报送。")
    return unresolved


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _compound(data: bytes, member: str) -> Iterator[Grid]:
    def wide(text: str) -> bytes:
        return text.encode("utf-16-le")

    if wide("EncryptedPackage") in data or wide("EncryptionInfo") in data:
        raise Refusal("文件设有打开密码，无法读取，请去掉密码后报送。")
    if wide("Workbook") not in data and wide("Book") not in data:
        raise Refusal("文件不是 Excel 工作簿，请用 .xlsx、.xls 或 .csv 报送。")
    if not is_within_bounds(data):
        raise Refusal("文件不完整或已损坏，Excel 工作簿无法打开，请重新导出后报送。")
    yield from _workbook(data, member)


def _workbook(data: bytes, member: str, checked: Callable[[], bool] = lambda: False) -> Iterator[Grid]:
    """``checked`` says whether formulas have no value, once the file has been checked; no cell leaves before."""
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for about in workbook.sheets_metadata:
            visible = about.visible == python_calamine.SheetVisibleEnum.Visible
            if not visible or about.typ != python_calamine.SheetTypeEnum.WorkSheet:
                checked()
                yield Grid(member, about.name, [], visible=False)
                continue
            sheet = workbook.get_sheet_by_name(about.name)
            if sheet.total_height * sheet.total_width > MAX_CELLS:
                raise Refusal("工作表的范围大得反常，没有打开，请删去表外的内容后报送。")
            rows = sheet.to_python(skip_empty_area=False)
            if sheet.total_width > MAX_COLUMNS:
                rows = [row[:MAX_COLUMNS] for row in rows]
            unresolved = functools.partial(unresolved_cells, data, about.name) if checked() else frozenset
            yield Grid(
                member, about.name, rows, list(sheet.merged_cell_ranges or []), percent=functools.partial(percent_cells, data, about.name),
                unresolved=unresolved,
            )  # fmt: skip
    except python_calamine.PasswordError as error:
        raise Refusal("文件设有打开密码，无法读取，请去掉密码后报送。") from error
    except (python_calamine.CalamineError, ValueError, OSError) as error:
        if "assword" in str(error) or "ncrypt" in str(error):
            raise Refusal("文件设有打开密码，无法读取，请去掉密码后报送。") from error
        raise Refusal("文件不完整或已损坏，Excel 工作簿无法打开，请重新导出后报送。") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how the library's own breakdown on a damaged file arrives
            raise
        raise Refusal("文件不完整或已损坏，Excel 工作簿无法打开，请重新导出后报送。") from error


def _text(data: bytes, member: str) -> Iterator[Grid]:
    start = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<") or b"<html" in start or b"<table" in start:
        raise Refusal("文件实际是网页（HTML 或 XML）改了扩展名，不是 Excel 工作簿，请用 Excel 另存为 .xlsx 后报送。")
    encoding, head = text_tables.encoding_of(data)
    if encoding is None:
        raise Refusal("文件不是 Excel 工作簿，也不是文本表格，请用 .xlsx、.xls 或 .csv 报送。")
    delimiter = max(",\t;", key=head.count)
    if not head.count(delimiter):
        raise Refusal("文件里没有表格，请用 .xlsx、.xls 或 .csv 报送。")
    try:
        rows = text_tables.rows_of(data, encoding, delimiter, MAX_COLUMNS)
    except text_tables.LongCell as error:
        raise Refusal(
            f"第{error.row}行有一格超过 {text_tables.MOST_CHARACTERS:,} 个字符，Excel 的一格放不下，多半是缺了半个引号，后面的行都并进了这一格。请用 Excel 打开核对，改正后重新导出报送。"
        ) from error
    except text_tables.OpenQuote as error:
        raise Refusal(f"第{error.row}行有引号只有一半，后面的行可能都并进了这一格，无法分辨。请用 Excel 打开核对，改正后重新导出报送。") from error
    except csv.Error as error:
        raise Refusal("CSV 文件的格式有误，无法分列，请用 Excel 重新导出后报送。") from error
    yield Grid(member, "", rows)
