"""A small renderer of county workbooks: true rows of any form, written in one of very many layouts.

It knows the contracts and nothing of the reader, so that what is read can be held against what was meant.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import xlsxwriter
import xlwt

from ingestion.contracts import Field, Form
from ingestion.reference import Codes

SUNDAY = dt.date(2020, 6, 14)
WEEK = "2020-W24"
MONEY = {"元": Decimal(1), "千元": Decimal(1000), "万元": Decimal(10_000), "亿元": Decimal(100_000_000)}
ADDED_UP = ("stock", "cumulative", "constant", "flow")
FULL_WIDTH = str.maketrans("0123456789.,%", "０１２３４５６７８９．，％")


@dataclass
class Truth:
    """What a submission means: typed values by field, one list entry a row."""

    form: Form
    county: str
    values: dict[str, list[Any]]

    @property
    def rows(self) -> int:
        return len(self.values[self.form.key.name])


def made_up(form: Form, county: str, codes: Codes, rng: random.Random, rows: int | None = None) -> Truth:
    """Values that no row rule looks at closely; rates are what their base gives."""
    key = form.key
    keys = _keys(form, county, codes, rng)
    keys = keys if rows is None else keys[:rows]
    values: dict[str, list[Any]] = {key.name: keys}
    for f in form.fields:
        if f is not key and f.kind != "declared":
            values[f.name] = [None if not f.required and rng.random() < 0.2 else _value(f, county, codes, rng, i) for i in range(len(keys))]
    for f in form.fields:
        if f.kind == "declared":
            values[f.name] = _declared(form, f, values, len(keys))
    return Truth(form, county, {f.name: values[f.name] for f in form.fields})


def _keys(form: Form, county: str, codes: Codes, rng: random.Random) -> list[str]:
    match form.key.codes:
        case "township":
            return list(codes.townships_of(county))
        case "village":
            places = [v for v in codes.villages_of(county) if not codes.ambiguous("village", codes.place_name(v), county)]
            return rng.sample(places, 12)
        case "industry":
            return list(codes.industries_of(county))
        case "values":
            return list(form.key.values)
    if form.key.type == "text":
        return [f"{letter}{form.code}科技有限公司" for letter in "甲乙丙丁戊己庚"]
    return [f"{form.code}-2020-{n:03d}" for n in range(1, 10)]


def _value(f: Field, county: str, codes: Codes, rng: random.Random, row: int) -> Any:
    match f.type:
        case "integer":
            return rng.choice([0, rng.randint(1, 99), rng.randint(100, 9999)])
        case "decimal" if f.money:
            return rng.choice([Decimal(0), Decimal(rng.randint(1, 10**6)) * 100, Decimal(rng.randint(1, 9999)) * 10_000]).quantize(Decimal("0.01"))
        case "decimal":
            return Decimal(rng.randint(0, 5000)) / 10
        case "percent":
            return Decimal(rng.randint(1, 999)) / 10_000
        case "date":
            return dt.date(2020, rng.randint(1, 5), rng.randint(1, 28))
        case "boolean":
            return rng.random() < 0.5
        case "code" if f.codes == "values":
            return rng.choice(list(f.values))
        case "code" if f.codes == "township":
            return rng.choice(codes.townships_of(county))
        case "code" if f.codes == "village":
            return rng.choice([v for v in codes.villages_of(county)[:40] if not codes.ambiguous("village", codes.place_name(v), county)])
        case "code" if f.codes == "industry":
            return rng.choice(list(codes.industries_of(county)))
        case "code":
            return f"HB-{rng.randint(1000, 9999)}-{row}"
    if f.name.endswith(("_no", "_number", "_tail")):
        return f"{rng.randint(1000, 9999)}{row:03d}"
    return rng.choice(["文字", "某某项目（一期）", "含,逗号", "第二批"]) + str(row)


def _declared(form: Form, f: Field, values: dict[str, list[Any]], rows: int) -> list[Any]:
    for rule in form.rules_of("declared"):
        pairs = rule.definition.get("pairs") or {rule.definition["field"]: rule.definition["expression"]}
        if f.name in pairs:
            above, below = (values[n.strip()] for n in pairs[f.name].split("/"))
            return [(Decimal(a) / Decimal(b)).quantize(Decimal("0.0001")) if a is not None and b else None for a, b in zip(above, below, strict=True)]
    return [None] * rows


# Layout


@dataclass
class Style:
    """One house style; every trait is drawn from the seed."""

    rng: random.Random
    kind: str = "xlsx"  # xlsx | xls | csv
    encoding: str = "utf-8"
    delimiter: str = ","
    continued: str = ""  # '' | down | right | columns
    total: str = ""  # '' | first | last | middle
    levels: int = 1
    money: str = "万元"
    unit_in: str = "line"  # line | heading | both (heading beats a line that says otherwise) | cell
    left: int = 0  # empty columns before the table
    above: int = 0  # empty rows before the title
    block: str = "joined"  # joined | split | stacked
    date: str = "text"
    shuffled: bool = False
    serial: bool = False
    extras: tuple[str, ...] = ()
    aliases: bool = False
    spaced: bool = False
    numbers: str = "plain"  # plain | text | separators | full_width | formula | mixed
    percent: str = "signed"  # signed | heading | fraction_heading
    blank: str = ""
    notes: bool = True
    tail: int = 0  # empty formatted rows below
    column_numbers: bool = False  # a row 甲 1 2 3 below the headings
    words: dict[str, str] = field(default_factory=dict)  # field → alias in use


EXTRAS = ("备注", "上周已支出资金", "较上周增减", "排名", "去年同期数", "联系人", "责任单位", "同比增长（%）")


def any_style(rng: random.Random) -> Style:
    kind = rng.choice(["xlsx", "xlsx", "xlsx", "xls", "csv"])
    return Style(
        rng, kind,
        encoding=rng.choice(["utf-8", "utf-8-sig", "gb18030"]),
        delimiter=rng.choice([",", ",", ";", "\t"]),
        continued=rng.choice(["", "", "", "down", "right", "columns", "columns_right"]),
        total=rng.choice(["", "first", "last", "middle"]),
        levels=rng.choice([1, 1, 2, 3]),
        money=rng.choice(["元", "千元", "万元", "万元", "亿元"]),
        unit_in=rng.choice(["line", "heading", "both", "cell"]),
        left=rng.choice([0, 0, 1, 3]),
        above=rng.choice([0, 0, 1, 4]),
        block=rng.choice(["joined", "split", "stacked", "one_cell"]),
        date=rng.choice(["text", "iso", "dots", "packed", "cell", "serial", "title", "week"]),
        shuffled=rng.random() < 0.4,
        serial=rng.random() < 0.3,
        extras=tuple(rng.sample(EXTRAS, rng.choice([0, 0, 1, 2]))),
        aliases=rng.random() < 0.4,
        spaced=rng.random() < 0.4,
        numbers=rng.choice(["plain", "text", "separators", "full_width", "formula", "mixed"]),
        percent=rng.choice(["signed", "heading", "mixed"]),
        blank=rng.choice(["", "—", "/", "／", "无", "——", " ", "\u3000", "－"]),
        notes=rng.random() < 0.7,
        tail=rng.choice([0, 0, 3, 40]),
        column_numbers=rng.random() < 0.15,
    )  # fmt: skip


class Sheet:
    """A rectangle under construction: cells by (row, col), merges."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], Any] = {}
        self.merges: list[tuple[int, int, int, int]] = []

    @property
    def height(self) -> int:
        return max((r for r, _ in self.cells), default=-1) + 1

    @property
    def width(self) -> int:
        return max((c for _, c in self.cells), default=-1) + 1

    def put(self, row: int, col: int, value: Any) -> None:
        if value is not None and value != "":
            self.cells[row, col] = value

    def merge(self, top: int, left: int, bottom: int, right: int) -> None:
        if (top, left) != (bottom, right):
            self.merges.append((top, left, bottom, right))


def write_form(sheet: Sheet, truth: Truth, style: Style, codes: Codes, top: int = 0) -> int:
    """Write one form below row ``top``; gives the first free row."""
    rng, form = style.rng, truth.form
    others = [f for f in form.fields if f is not form.key]
    if style.shuffled:
        rng.shuffle(others)
    row = _title_block(sheet, truth, style, codes, top)
    rows = list(range(truth.rows))
    half = (len(rows) + 1) // 2
    if style.continued == "columns" and len(others) >= 4:
        middle = len(others) // 2
        row = _table(sheet, truth, style, codes, row, style.left, others[:middle], rows)
        sheet.put(row + 1, style.left, "续表")
        row = _table(sheet, truth, style, codes, row + 2, style.left, others[middle:], rows)
    elif style.continued == "columns_right" and len(others) >= 4:
        middle = len(others) // 2
        end = _table(sheet, truth, style, codes, row, style.left, others[:middle], rows)
        right = max(c for r, c in sheet.cells if r >= row) + 1
        row = max(end, _table(sheet, truth, style, codes, row, right, others[middle:], rows))
    elif style.continued == "down" and half > 1:
        row = _table(sheet, truth, style, codes, row, style.left, others, rows[:half], total=style.total == "first")
        if rng.random() < 0.5:
            sheet.put(row + 1, style.left, f"{form.zh}（续表）")
            row += 1
        row = _table(sheet, truth, style, codes, row + 1, style.left, others, rows[half:], total=style.total == "last")
    elif style.continued == "right" and half > 1:
        end = _table(sheet, truth, style, codes, row, style.left, others, rows[:half], total=False)
        right = max(c for r, c in sheet.cells if r >= row) + 1
        row = max(end, _table(sheet, truth, style, codes, row, right, others, rows[half:], total=False))
    else:
        row = _table(sheet, truth, style, codes, row, style.left, others, rows)
    if style.notes:
        sheet.put(row, style.left, "注：本表由各乡镇汇总，2020年数据为快报数。")
        sheet.put(row + 1, style.left, "单位负责人：甲某")
        sheet.put(row + 1, style.left + 2, "审核人：乙某")
        sheet.put(row + 1, style.left + 4, "填报人：丙某")
        sheet.put(row + 2, style.left, "填报日期：2020年6月15日")
        row += 3
    return row


def _title_block(sheet: Sheet, truth: Truth, style: Style, codes: Codes, top: int) -> int:
    rng, left = style.rng, style.left
    row = top + style.above
    title = truth.form.zh
    date: Any = {
        "text": "2020年6月14日", "iso": "2020-06-14", "dots": "2020.6.14", "packed": "20200614",
        "cell": SUNDAY, "serial": 43996, "title": None, "week": None,
    }[style.date]  # fmt: skip
    if style.date == "title":
        title += rng.choice(["（2020年6月8日—6月14日）", "（截至2020年6月14日）", "（2020年6月14日）"])
    elif style.date == "week":
        title = rng.choice(["2020年第24周" + title, title + "（2020年第24周）"])
    sheet.put(row, left + rng.choice([0, 0, 2]), title)
    if rng.random() < 0.3:
        sheet.put(row + 1, left, rng.choice(["附件3", "桂扶贫统02表", "表号：扶统03"]))
        row += 1
    county = codes.county_name(truth.county)
    label = rng.choice(["填报单位", "报送单位", "填报单位（盖章）"])
    dated = rng.choice(["截至日期", "截止日期", "统计截止时间", "截至时间", "统计时点"])
    written = {"元": "元、人", "千元": "千元", "万元": "万元、人", "亿元": "亿元、户"}[_line_unit(style)]
    unit = rng.choice(["单位", "计量单位", "金额单位"]) + "：" + written
    if rng.random() < 0.2:
        unit = f"（{unit}）"
    pairs = [(label, county), *([(dated, date)] if date is not None else [])]
    row += 1
    if style.block == "one_cell" and not isinstance(date, (dt.date, int)):
        sheet.put(row, left, "　　".join(f"{a}：{b}" for a, b in pairs) + "　　" + unit)
    elif style.block == "split" or isinstance(date, (dt.date, int)):
        col = left
        for a, b in pairs:
            sheet.put(row, col, a + "：")
            sheet.put(row, col + 1, b)
            col += 3
        sheet.put(row, col, unit)
    elif style.block == "stacked":
        for a, b in pairs:
            sheet.put(row, left, f"{a}：{b}")
            row += 1
        sheet.put(row, left + 3, unit)
    else:
        for n, (a, b) in enumerate(pairs):
            sheet.put(row, left + 2 * n, f"{a}：{b}")
        sheet.put(row, left + 5, unit)
    return row + 1 + rng.choice([0, 0, 1])


def _line_unit(style: Style) -> str:
    if style.unit_in == "both":
        return "元" if style.money != "元" else "万元"
    return style.money


def _heading(f: Field, style: Style) -> str:
    rng = style.rng
    text = f.zh
    if style.aliases and own_unit(f) is None:  # a county uses the same word for the same field all through
        text = style.words.setdefault(f.name, rng.choice((f.zh, *f.aliases)))
    if f.money and style.unit_in in ("heading", "both") and own_unit(f) is None:
        text += rng.choice([f"（{style.money}）", f"({style.money})", f"\n（{style.money}）", f"（单位：{style.money}）"])
    if f.type == "percent" and style.percent == "heading" and "%" not in text:
        text += rng.choice(["（%）", "(%)", "（％）", "%"])
    if style.spaced and len(text) >= 4 and style.kind != "csv":
        cut = rng.randrange(1, len(text) - 1)
        text = text[:cut] + rng.choice([" ", "\n", "\u3000", "\r\n"]) + text[cut:]
    return text


def own_unit(f: Field) -> str | None:
    """The unit that the official heading itself names."""
    return next((u for u in ("万元", "千元", "亿元", "元") if f"（{u}" in f.zh), None)


def _table(
    sheet: Sheet, truth: Truth, style: Style, codes: Codes, row: int, left: int,
    fields: list[Field], rows: list[int], total: bool | None = None,
) -> int:  # fmt: skip
    """Headings and rows from (row, left); gives the row below the last."""
    rng, form = style.rng, truth.form
    columns: list[Field | str] = [form.key, *fields]
    known = {w for f in form.fields for w in (f.zh, *f.aliases)}
    for extra in (e for e in style.extras if e not in known):
        columns.insert(rng.randrange(1, len(columns) + 1), extra)
    if style.serial and "序号" not in form.key.aliases:
        columns.insert(0, "序号")
    levels = style.levels if len(columns) >= 4 else 1
    bottom = row + levels - 1
    for n, column in enumerate(columns):
        text = column if isinstance(column, str) else _heading(column, style)
        sheet.put(row if levels > 1 else bottom, left + n, text)
    if levels > 1:
        _group_headings(sheet, style, row, bottom, left, columns)
    row = bottom + 1
    if style.column_numbers and len(columns) >= 4:
        for n in range(len(columns)):
            sheet.put(row, left + n, "甲" if n == 0 else n)
        row += 1
    units = {f.name: own_unit(f) or style.money for f in fields if f.money}
    with_total = style.total if total is None else ("last" if total and style.total == "last" else "first" if total else "")
    if with_total and not any(f.type in ("integer", "decimal") and f.kind in ADDED_UP for f in fields):
        with_total = ""
    if not form.rules_of("total"):
        with_total = ""
    lines: list[int | None] = list(rows)
    if with_total:
        lines.insert({"first": 0, "middle": len(rows) // 2, "last": len(rows)}[with_total], None)
    for n, line in enumerate(lines):
        for m, column in enumerate(columns):
            at = (row + n, left + m)
            if isinstance(column, str):
                if line is not None and rng.random() < 0.8:
                    sheet.put(*at, (line + 1) if column == "序号" else rng.choice(["", 3, "说明", 12.5]))
            elif line is None:
                sheet.put(*at, _total_cell(column, truth, style, units, whole=list(range(truth.rows))))
            else:
                sheet.put(*at, cell_of(column, truth.values[column.name][line], style, codes, units.get(column.name)))
    return row + len(lines)


def _group_headings(sheet: Sheet, style: Style, top: int, bottom: int, left: int, columns: list) -> None:
    """Lift some neighbouring headings one or two levels down and put a group's heading above them."""
    rng = style.rng
    n = 1
    groups = iter(["基本情况", "进展情况", "其他情况", "工作成效", "有关指标"] * 9)
    key = next(i for i, c in enumerate(columns) if not isinstance(c, str) and c.kind == "key")
    covered: set[int] = set()
    while n < len(columns):
        size = rng.choice([2, 3, 4])
        if rng.random() < 0.6 and key < n and n + size <= len(columns):
            for c in range(n, n + size):
                sheet.put(bottom, left + c, sheet.cells.pop((top, left + c)))
                if bottom - top == 2:
                    covered.add(c)
            sheet.put(top, left + n, next(groups))
            sheet.merge(top, left + n, top, left + n + size - 1)
            if bottom - top == 2:
                sheet.put(top + 1, left + n, next(groups))
                sheet.merge(top + 1, left + n, top + 1, left + n + size - 1)
            covered |= set(range(n, n + size))
            n += size
        else:
            n += 1
    for c in range(len(columns)):
        if c not in covered:
            sheet.merge(top, left + c, bottom, left + c)


def _total_cell(f: Field, truth: Truth, style: Style, units: dict[str, str], whole: list[int]) -> Any:
    if f.kind == "key":
        return style.rng.choice(["合计", "合 计", "总计", "全县合计", "合　　计"])
    if f.type not in ("integer", "decimal") or f.kind not in ADDED_UP:
        return "—"
    present = [truth.values[f.name][i] for i in whole if truth.values[f.name][i] is not None]
    if not present:
        return ""
    value = sum(present)
    return _number_text(value / MONEY[units[f.name]] if f.money else value)


def _number_text(value: Any) -> Any:
    text = f"{Decimal(value).normalize():f}"
    return float(text) if "." in text else int(text)


def cell_of(f: Field, value: Any, style: Style, codes: Codes, unit: str | None) -> Any:
    """A true value as this county writes it."""
    rng = style.rng
    if value is None:
        return style.blank if f.type != "boolean" else ""
    match f.type:
        case "integer" | "decimal":
            return _number(f, value, style, unit)
        case "percent":
            return _percent(value, style)
        case "date":
            return _date(value, style)
        case "boolean":
            labels = f.values.get("true" if value else "false") or (("是", "√", "✓") if value else ("否", "×"))
            return rng.choice(labels)
        case "code" if f.codes == "values":
            return f.values[value][0]
        case "code" if f.codes in ("township", "village"):
            return rng.choice(["", "", "  ", "\u3000"]) + codes.place_name(value)
        case "code" if f.codes == "industry":
            return codes.industries[value]
    return value


def _number(f: Field, value: Any, style: Style, unit: str | None) -> Any:
    rng = style.rng
    own = ""
    if f.money and style.unit_in == "cell":
        unit = rng.choice(["元", "万元", "亿元"])
        own = unit
    bare = Decimal(value) / MONEY[unit] if f.money and unit else Decimal(value)
    text = f"{bare.normalize():f}"
    how = style.numbers if style.numbers != "mixed" else rng.choice(["plain", "text", "separators", "full_width", "formula", "spaced", "zero"])
    if own:
        return (f"{bare:,}" if how == "separators" else text) + rng.choice(["", " "]) + own
    number = float(text) if "." in text else int(text)
    match how:
        case "text":
            return text
        case "separators":
            whole, _, rest = text.partition(".")
            return f"{int(whole):,}" + (f".{rest}" if rest else "")
        case "full_width":
            return text.translate(FULL_WIDTH)
        case "spaced":
            return f" {text} \u00a0"
        case "zero":
            return f"{text}.0" if "." not in text else text + "0"
        case "formula":
            return ("=", number)
    return number


def _percent(value: Decimal, style: Style) -> Any:
    rng = style.rng
    hundred = f"{(value * 100).normalize():f}"
    if style.percent == "heading":
        return rng.choice([hundred, float(hundred), hundred.translate(FULL_WIDTH)])
    if style.percent == "mixed":
        return rng.choice([hundred + "%", hundred + " %", hundred.translate(FULL_WIDTH) + "％"])
    return hundred + "%"


def _date(day: dt.date, style: Style) -> Any:
    how = style.rng.choice(["iso", "dots", "slashes", "chinese", "packed", "cell"])
    return {
        "iso": day.isoformat(), "dots": f"{day.year}.{day.month}.{day.day}", "slashes": f"{day.year}/{day.month}/{day.day}",
        "chinese": f"{day.year}年{day.month}月{day.day}日", "packed": f"{day:%Y%m%d}", "cell": day,
    }[how]  # fmt: skip


# Files


def as_bytes(sheets: dict[str, Sheet], style: Style) -> bytes:
    return {"xlsx": _xlsx, "xls": _xls, "csv": _csv}[style.kind](sheets, style)


def _xlsx(sheets: dict[str, Sheet], style: Style) -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    empty = book.add_format({"border": 1})
    for name, content in sheets.items():
        sheet = book.add_worksheet(name)
        for top, left, bottom, right in content.merges:
            sheet.merge_range(top, left, bottom, right, "")
        for (r, c), value in content.cells.items():
            if isinstance(value, tuple):
                sheet.write_formula(r, c, f"={value[1]}+0", None, value[1])
            elif isinstance(value, bool):
                sheet.write_boolean(r, c, value)
            elif isinstance(value, dt.date):
                sheet.write_datetime(r, c, dt.datetime.combine(value, dt.time()), day)
            elif isinstance(value, str):
                sheet.write_string(r, c, value)
            else:
                sheet.write(r, c, value)
        for r in range(style.tail):
            for c in range(content.width):
                sheet.write_blank(content.height + 1 + r, c, None, empty)
    book.close()
    return out.getvalue()


def _xls(sheets: dict[str, Sheet], style: Style) -> bytes:
    book = xlwt.Workbook()
    day = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for name, content in sheets.items():
        sheet = book.add_sheet(name)
        merged = {(t, left): (t, b, left, r) for t, left, b, r in content.merges}
        for (r, c), value in content.cells.items():
            value = value[1] if isinstance(value, tuple) else value
            if (r, c) in merged:
                sheet.write_merge(*merged[r, c], value)
            elif isinstance(value, dt.date):
                sheet.write(r, c, value, day)
            else:
                sheet.write(r, c, value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _csv(sheets: dict[str, Sheet], style: Style) -> bytes:
    (content,) = sheets.values()
    out = io.StringIO()
    writer = csv.writer(out, delimiter=style.delimiter)
    for r in range(content.height):
        line = []
        for c in range(content.width):
            value = content.cells.get((r, c), "")
            value = value[1] if isinstance(value, tuple) else value
            line.append(value.strftime("%Y/%-m/%-d") if isinstance(value, dt.date) else value)
        writer.writerow(line)
    for _ in range(style.tail):
        writer.writerow([""] * content.width)
    return out.getvalue().encode(style.encoding)
