"""The report as a .docx in the layout of official documents (GB/T 9704): A4, 方正小标宋 title, 仿宋 body, 28 pt lines, — 1 —.

The list of sources stands in a landscape section of its own; every figure's number links to its entry.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from docx import Document
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from reporting.brief.elements import MARK, Element, Heading, Paragraph, Report, Run, Table

FONTS = {"title": "方正小标宋简体", "body": "仿宋_GB2312", 1: "黑体", 2: "楷体_GB2312", 3: "仿宋_GB2312", "table": "宋体"}
SUBSTITUTES = {"方正小标宋简体": "宋体", "仿宋_GB2312": "仿宋", "楷体_GB2312": "楷体"}  # where a machine lacks the official fonts
TITLE, BODY, NUMBER, SMALL, TINY = Pt(22), Pt(16), Pt(14), Pt(10.5), Pt(8)  # 二号, 三号, 四号, 五号
LINE = Pt(28)
TITLE_LINE = 38  # half-width characters of 二号 that a line holds
WIDTH, HEIGHT = Mm(210), Mm(297)
TOP, BOTTOM, LEFT, RIGHT = Mm(37), Mm(35), Mm(28), Mm(26)
RED, GREY, BLUE = RGBColor(0xB3, 0x26, 0x1E), RGBColor(0x59, 0x59, 0x59), RGBColor(0x1F, 0x4E, 0x79)


def write(report: Report, path: Path) -> None:
    """Write the document. The same report gives the same text as `html_page.page`."""
    document = Document()
    _defaults(document, report)
    section = document.sections[0]
    _page(section)
    _page_numbers(document)
    for line in report.headline.split("/") if _length(report.title) > TITLE_LINE else [report.title]:
        _line(document, line, FONTS["title"], TITLE, WD_ALIGN_PARAGRAPH.CENTER, spacing=Pt(36))
    if report.subtitle:
        _line(document, report.subtitle, FONTS[2], BODY, WD_ALIGN_PARAGRAPH.CENTER)
    about = _line(document, report.about, FONTS["table"], SMALL, spacing=Pt(16))
    about.paragraph_format.space_before, about.paragraph_format.space_after = Pt(8), Pt(14)
    _border(about)
    for element in report.elements:
        _element(document, element)
    for paragraph in document.paragraphs[-2:]:  # no page with nothing but the signature
        paragraph.paragraph_format.keep_with_next = True
    for n, text in enumerate(report.signature):
        line = _line(document, text, FONTS["body"], BODY, WD_ALIGN_PARAGRAPH.RIGHT)
        line.paragraph_format.space_before, line.paragraph_format.right_indent = (LINE if n == 0 else Pt(0)), Pt(32 if n == 0 else 48)
        line.paragraph_format.keep_with_next = n == 0
    section = document.add_section(WD_SECTION.NEW_PAGE)
    _page(section, landscape=True)
    _line(document, "附一：与上期报告对比", FONTS[1], BODY).paragraph_format.keep_with_next = True
    for element in report.comparison:
        _element(document, element, width=HEIGHT - Mm(46))
    _line(document, "附二：数据来源", FONTS[1], BODY).paragraph_format.keep_with_next = True
    _sources(document, report)
    document.save(path)


# ---------------------------------------------------------------- frame


def _defaults(document, report: Report) -> None:
    properties = document.core_properties
    properties.title, properties.author, properties.subject = report.title, report.signature[0], report.about
    style = document.styles["Normal"]
    style.font.name, style.font.size = "Times New Roman", BODY
    style.element.rPr.rFonts.set(qn("w:eastAsia"), FONTS["body"])
    style.element.rPr.append(_tag("w:lang", {"w:val": "en-US", "w:eastAsia": "zh-CN"}))  # else punctuation may be set the Japanese way
    style.paragraph_format.space_before = style.paragraph_format.space_after = Pt(0)
    for number in (1, 2, 3):
        heading = document.styles[f"Heading {number}"]
        heading.font.name, heading.font.size, heading.font.bold, heading.font.italic = "Times New Roman", BODY, number == 3, False
        heading.font.color.rgb = RGBColor(0, 0, 0)
        fonts = heading.element.rPr.rFonts
        for theme in [k for k in fonts.attrib if k.endswith("Theme")]:
            del fonts.attrib[theme]
        fonts.set(qn("w:eastAsia"), FONTS[number])


def _page(section, landscape: bool = False) -> None:
    if landscape:
        section.orientation, section.page_width, section.page_height = WD_ORIENT.LANDSCAPE, HEIGHT, WIDTH
        section.top_margin = section.bottom_margin = Mm(25)
        section.left_margin = section.right_margin = Mm(23)
    else:
        section.page_width, section.page_height = WIDTH, HEIGHT
        section.top_margin, section.bottom_margin, section.left_margin, section.right_margin = TOP, BOTTOM, LEFT, RIGHT
    section.footer_distance = Mm(20 if not landscape else 14)


def _page_numbers(document) -> None:
    """— 1 — in 四号: on the right of odd pages, on the left of even ones."""
    document.settings.odd_and_even_pages_header_footer = True
    section = document.sections[0]
    for footer, side in ((section.footer, WD_ALIGN_PARAGRAPH.RIGHT), (section.even_page_footer, WD_ALIGN_PARAGRAPH.LEFT)):
        line = footer.paragraphs[0]
        line.alignment = side
        for part in ("— ", "PAGE", " —"):
            run = line.add_run() if part == "PAGE" else line.add_run(part)
            _font(run, FONTS["table"], NUMBER)
            if part == "PAGE":
                for kind in ("begin", None, "end"):
                    run._r.append(_tag("w:fldChar", {"w:fldCharType": kind}) if kind else _tag("w:instrText", {"xml:space": "preserve"}, "PAGE"))


def _tag(name: str, attributes: dict[str, str] | None = None, text: str | None = None):
    element = OxmlElement(name)
    for key, value in (attributes or {}).items():
        element.set(qn(key), value)
    if text is not None:
        element.text = text
    return element


def _border(paragraph) -> None:
    borders = _tag("w:pBdr")
    borders.append(_tag("w:bottom", {"w:val": "single", "w:sz": "8", "w:space": "6", "w:color": "B3261E"}))
    paragraph._p.get_or_add_pPr().append(borders)


def _font(run, name: str, size, color=None, bold: bool = False) -> None:
    run.font.name, run.font.size, run.font.bold = "Times New Roman", size, bold or None
    run._r.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), name)
    if color is not None:
        run.font.color.rgb = color


def _line(document, text: str, font: str, size, align=None, spacing=LINE):
    paragraph = document.add_paragraph()
    paragraph.alignment = align
    _spacing(paragraph, spacing)
    _font(paragraph.add_run(text), font, size)
    return paragraph


def _spacing(paragraph, spacing) -> None:
    paragraph.paragraph_format.line_spacing_rule, paragraph.paragraph_format.line_spacing = WD_LINE_SPACING.EXACTLY, spacing


# ---------------------------------------------------------------- content


def _element(document, element: Element, width=None) -> None:
    if isinstance(element, Heading):
        paragraph = document.add_heading(level=element.level)
        paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(0)
        paragraph.paragraph_format.first_line_indent = 2 * BODY
        _spacing(paragraph, LINE)
        _font(paragraph.add_run(element.text), FONTS[element.level], BODY, RGBColor(0, 0, 0), element.level == 3)
    elif isinstance(element, Paragraph):
        _paragraph(document, element)
    else:
        _table(document, element, width or WIDTH - LEFT - RIGHT)


def _paragraph(document, element: Paragraph) -> None:
    paragraph = document.add_paragraph()
    note = element.kind == "note"
    _spacing(paragraph, Pt(18) if note else LINE)
    paragraph.alignment = None if element.kind == "fill" else WD_ALIGN_PARAGRAPH.JUSTIFY  # a long Latin path would tear the line apart
    if not note:
        paragraph.paragraph_format.first_line_indent = 2 * BODY
    _runs(paragraph, element.runs, FONTS["table" if note else "body"], SMALL if note else BODY, RED if element.kind == "fill" else None)


def _runs(paragraph, runs: tuple[Run, ...], font: str, size, color=None) -> None:
    for run in runs:
        bare = run.marked and not run.ref
        _font(paragraph.add_run(run.text + (MARK if bare else "")), font, size, RED if run.missing else color, run.bold)
        if run.ref:
            _link(paragraph, f"{run.ref}{MARK if run.marked else ''}", f"s{run.ref}", size)


def _link(paragraph, text: str, anchor: str, size) -> None:
    link = _tag("w:hyperlink", {"w:anchor": anchor, "w:history": "1"})
    run = paragraph.add_run(text)
    _font(run, FONTS["table"], size, BLUE)
    run.font.superscript = True
    link.append(run._r)
    paragraph._p.append(link)


def _table(document, table: Table, width) -> None:
    caption = _line(document, table.title, FONTS[1], SMALL, WD_ALIGN_PARAGRAPH.CENTER, Pt(22))
    caption.paragraph_format.keep_with_next, caption.paragraph_format.space_before = True, Pt(6)
    widths = _widths(table, int(width))
    made = _grid(document, len(table.rows) + 1, widths)
    for i, run in enumerate(table.header):
        if run.ref and run.text.endswith("）"):  # the unit on a line of its own, rather than torn apart
            run = replace(run, text="\n（".join(run.text.rsplit("（", 1)))
        _cell(made.rows[0].cells[i], (run,), WD_ALIGN_PARAGRAPH.CENTER, SMALL, shade="EFEDE8", bold=True)
    for n, row in enumerate(table.rows, start=1):
        cells = made.rows[n].cells
        for i, run in enumerate(row):
            left = i == 0 or i in table.wide
            _cell(cells[i], (run,), WD_ALIGN_PARAGRAPH.LEFT if left else WD_ALIGN_PARAGRAPH.RIGHT, SMALL)
    for note in table.notes:
        _runs(_note(document), (Run("注：" + note),), FONTS["table"], Pt(9), GREY)
    _spacing(document.add_paragraph(), Pt(10))


def _note(document):
    paragraph = document.add_paragraph()
    _spacing(paragraph, Pt(14))
    return paragraph


def _length(text: str) -> int:
    return sum(2 if ord(c) > 255 else 1 for c in text)


def _widths(table: Table, width: int) -> list[int]:
    """Shares of the width by what the columns hold: the longest cell, or a fair part of running text."""
    weights = []
    for i, head in enumerate(table.header):
        longest = max((_length(row[i].text) for row in table.rows), default=0)
        heading = _length(head.text) // 2 + (4 if head.ref else 1)
        if i in table.wide:
            weights.append(min(max(longest + 1, heading), 44))
        else:
            weights.append(min(max(longest + 2, min(heading, 11), 10), 18))
    return [width * w // sum(weights) for w in weights]


def _grid(document, rows: int, widths: list[int]):
    made = document.add_table(rows=rows, cols=len(widths))
    made.style, made.alignment, made.autofit = "Table Grid", WD_TABLE_ALIGNMENT.CENTER, False
    for row in made.rows:
        properties = row._tr.get_or_add_trPr()
        properties.append(_tag("w:cantSplit"))
        for cell, width in zip(row.cells, widths, strict=True):
            cell.width = width
    for column, width in zip(made.columns, widths, strict=True):
        column.width = width
    made.rows[0]._tr.get_or_add_trPr().append(_tag("w:tblHeader"))
    return made


def _cell(cell, runs: tuple[Run, ...], align, size, shade: str | None = None, bold: bool = False, tight: bool = False) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.alignment = align
    rule = WD_LINE_SPACING.EXACTLY if tight else WD_LINE_SPACING.AT_LEAST
    paragraph.paragraph_format.line_spacing_rule, paragraph.paragraph_format.line_spacing = rule, Pt(10 if tight else size.pt + 5)
    _runs(paragraph, tuple(Run(r.text, r.ref, r.marked, r.bold or bold, r.missing) for r in runs), FONTS["table"], size)
    cell.vertical_alignment = 1
    if shade:
        cell._tc.get_or_add_tcPr().append(_tag("w:shd", {"w:val": "clear", "w:color": "auto", "w:fill": shade}))


# ---------------------------------------------------------------- sources


def _sources(document, report: Report) -> None:
    """Notes that many figures share stand once, under a letter."""
    total = int(HEIGHT - Mm(46))
    usual = report.sources[0].address.publication if report.sources else 0
    letters = {note: chr(0x2460 + n) if n < 20 else f"注{n + 1}" for n, note in enumerate(dict.fromkeys(n for s in report.sources for n in s.address.notes))}
    intro = f"除注明外均取自第{usual}号发布；先执行 SET warehouse.publication = '{usual}'; 再执行查询，即得同一数。溯源命令逐条列出文件、工作表和单元格。"
    _runs(_note(document), (Run(intro),), FONTS["table"], Pt(9))
    for note, letter in letters.items():
        _runs(_note(document), (Run(f"{letter}{note}"),), FONTS["table"], Pt(9), GREY)
    made = _grid(document, len(report.sources) + 1, [int(total * share) for share in (0.045, 0.2, 0.175, 0.58)])
    for cell, text in zip(made.rows[0].cells, ("编号", "数据", "来源", "查询和溯源命令"), strict=True):
        _cell(cell, (Run(text),), WD_ALIGN_PARAGRAPH.CENTER, Pt(9), shade="EFEDE8", bold=True)
    rows = list(made.rows)
    for source, row in zip(report.sources, rows[1:], strict=True):
        where, cells = source.address, row.cells
        commands = where.commands()
        rest = f"（按行溯源，共{where.trace_of}条，其余换参数即可）" if len(where.trace) < where.trace_of else ""
        shown = commands if len(commands) <= 2 and not rest else [commands[0] + rest]
        place = [where.source.replace("marts.", ""), f"{where.rows}行", *([f"第{where.publication}号发布"] if where.publication != usual else []), "".join(letters[n] for n in where.notes)]
        texts = (str(source.number), f"{source.label}：{source.value}", " ".join(filter(None, place)), "\n".join([where.query, *(shown if commands else [])]))
        for n, (cell, text) in enumerate(zip(cells, texts, strict=True)):
            _cell(cell, (Run(text),), WD_ALIGN_PARAGRAPH.LEFT if n else WD_ALIGN_PARAGRAPH.CENTER, Pt(7) if n == 3 else TINY, tight=True)
        _bookmark(cells[0].paragraphs[0], source.number)


def _bookmark(paragraph, number: int) -> None:
    start = _tag("w:bookmarkStart", {"w:id": str(number), "w:name": f"s{number}"})
    paragraph._p.insert(1 if paragraph._p.pPr is not None else 0, start)
    paragraph._p.append(_tag("w:bookmarkEnd", {"w:id": str(number)}))
