"""House styles: how each county's office writes its forms, week after week.

The twelve styles differ in all that the city's instruction leaves open. Which county has which follows from the seed.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, replace
from decimal import Decimal

from demo import people
from demo.places import County, Place


@dataclass(frozen=True)
class HouseStyle:
    key: str
    medium: str  # xlsx | xls | csv
    packing: str  # book: one workbook and the line lists; files: a file a form; zip: those in an archive
    file_name: str  # with {county} {short} {title} {code} {week} {year} {mmdd} {no}
    sheet_name: str = "{title}"
    lists_apart: bool = True  # line lists as files of their own beside the workbook
    encoding: str = "utf-8-sig"  # of .csv
    office: str = "{county}"
    heading: int = 0  # 0: the official heading, 1 …: that alias where there is one
    units_in_heading: bool = False
    half_width: bool = False  # brackets in headings
    line_breaks: bool = False
    grouped: bool = False  # two heading rows, merged
    top_group: bool = False  # a third one above
    money: str = "万元"
    money_place: str = "line"  # line | heading | number (behind every number)
    numbers: str = "plain"  # plain | text | mixed (text, separators, units) | full_width
    percent: str = "text2"  # text2 85.23% | text1 85.2% | bare 85.23 under （%） | fraction 0.852
    date: str = "{y}年{m}月{d}日"  # or 'cell': a date of the workbook
    short_dates: str = ""  # another spelling for the dates of events and payouts, which are of this year
    split_line: bool = False  # 填报单位 | X | 截至日期 | Y, each in a cell of its own
    two_lines: bool = False
    attachment_line: bool = False  # 附件N above the title
    total: str = "last"  # last | first
    formulas: bool = False
    numbered_rows: bool = False  # 序号
    remarks: bool = False  # 备注
    reason_column: bool = False  # 变化原因
    extra: tuple[str, str] = ("", "")  # (form, heading) of a column that no contract knows
    blank: str = ""
    yes_no: tuple[str, str] = ("是", "否")
    short_places: bool = True
    indent: str = ""
    former_name: bool = False  # writes its old name over the employment form
    continued: str = ""  # '', right (employment form), down (long forms)
    empty_rows: bool = False
    reorder: bool = False  # the second half of the columns stands first
    note: bool = True
    code_list: bool = False
    instructions: bool = False
    leader: str = ""
    reviewer: str = ""
    clerk: str = ""
    telephone: str = ""

    def place(self, place: Place) -> str:
        return self.indent + (place.short if self.short_places else place.name)

    def date_text(self, day: dt.date, spelling: str | None = None) -> str:
        return (spelling or self.date).format(y=day.year, m=day.month, d=day.day, mm=f"{day.month:02d}", dd=f"{day.day:02d}")


STYLES = (
    HouseStyle("formulas", "xlsx", "book", "{county}报市扶贫办周报{mmdd}.xlsx", formulas=True, numbered_rows=True, remarks=True,
               attachment_line=True, instructions=True, blank="—"),
    HouseStyle("grouped", "xlsx", "book", "{county}{year}年第{week}周扶贫工作周报.xlsx", sheet_name="{no}.{title}", lists_apart=False,
               heading=1, units_in_heading=True, grouped=True, date="cell", percent="text1", total="first", blank="/"),
    HouseStyle("old_excel", "xls", "book", "{county}周报（{mmdd}）.xls", numbers="text", half_width=True, date="{y}.{m}.{d}",
               two_lines=True, indent=" ", blank="—", units_in_heading=True),
    HouseStyle("serials", "xls", "book", "{county}报表{mmdd}.xls", lists_apart=False, heading=2, units_in_heading=True, half_width=True,
               percent="bare", date="cell", split_line=True, note=False),
    HouseStyle("csv_zip", "csv", "zip", "{county}_周报_W{week}.zip", grouped=True, numbers="full_width", percent="bare", heading=1,
               units_in_heading=True, date="{y}{mm}{dd}", numbered_rows=True, blank="/"),
    HouseStyle("csv_yuan", "csv", "files", "{county}_{title}_{year}W{week}.csv", encoding="gb18030", money="元", date="{y}/{m}/{d}",
               percent="text1", office="{county}扶贫开发办公室", two_lines=True),
    HouseStyle("csv_gb_zip", "csv", "zip", "{county}第{week}周报送材料.zip", encoding="gb18030", date="{y}-{mm}-{dd}", blank="无",
               remarks=True, total="first", note=False),
    HouseStyle("xlsx_zip", "xlsx", "zip", "{county}第{week}周周报（{mmdd}）.zip", heading=1, date="{y}年{mm}月{dd}日", numbered_rows=True,
               yes_no=("√", "×"), split_line=True),
    HouseStyle("continued", "xlsx", "book", "{county}（{mmdd}）.xlsx", sheet_name="{code}", continued="right", code_list=True,
               instructions=True, numbered_rows=True, remarks=True, attachment_line=True, date="{y}.{m}.{d}"),
    HouseStyle("three_rows", "xlsx", "book", "附件 {county}第{week}期扶贫周报表.xlsx", lists_apart=False, grouped=True, top_group=True,
               line_breaks=True, heading=1, units_in_heading=True, percent="fraction", date="cell", split_line=True, reason_column=True,
               code_list=True, yes_no=("达标", "未达标")),
    HouseStyle("by_hand", "xlsx", "book", "周报表汇总-{short}.xlsx", lists_apart=False, numbers="mixed", money_place="number", percent="bare",
               office="{county}扶贫开发办公室", continued="down", empty_rows=True, reorder=True, reason_column=True, former_name=True),
    HouseStyle("unit_headings", "xlsx", "book", "{short}扶贫周报{mmdd}.xlsx", money="元", money_place="heading", short_dates="{m}月{d}日",
               units_in_heading=True, short_places=False, extra=("COP04", "包联单位"), remarks=True, numbers="text"),
)  # fmt: skip


def assign(counties: list[County], seed: int) -> dict[str, HouseStyle]:
    """County code → its style, with names of the people who sign. Some styles need a county with a former name."""
    chance = random.Random(f"{seed}|styles")
    order = list(STYLES)
    chance.shuffle(order)
    chosen = {county.code: order[i % len(order)] for i, county in enumerate(counties)}
    renamed = [c.code for c in counties if c.former_name]
    by_hand = next((code for code, style in chosen.items() if style.former_name), None)
    if renamed and by_hand and by_hand not in renamed:
        chosen[renamed[0]], chosen[by_hand] = chosen[by_hand], chosen[renamed[0]]
    return {
        code: replace(
            style, leader=people.name(chance), reviewer=people.name(chance), clerk=people.name(chance),
            telephone=f"0776-1{chance.randrange(10**6):06d}",  # no subscriber's number begins with 1
        )
        for code, style in chosen.items()
    }  # fmt: skip


def full_width(text: str) -> str:
    return text.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789.,"})


def plain(value: Decimal | int) -> str:
    """The shortest exact decimal notation, never with an exponent."""
    text = format(Decimal(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def separated(value: Decimal | int) -> str:
    whole, _, part = plain(value).partition(".")
    return f"{int(whole):,}" + (f".{part}" if part else "")
