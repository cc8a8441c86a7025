"""Parts of a blank workbook that don't depend on a county: cell styles, validations, the sheet 填表说明."""

from __future__ import annotations

import datetime as dt

from ingestion.contract_model import Field, Form
from ingestion.rule_words import how_to_mend

GUIDE = "填表说明"
LEVEL = {"error": "错误（退回）", "warning": "提醒"}


class Styles:
    """Formats of one workbook."""

    def __init__(self, book):
        self._book = book
        self._made: dict[tuple, object] = {}
        box = {"border": 1, "border_color": "#B8C0C8", "valign": "vcenter"}
        head = box | {"bold": True, "text_wrap": True, "align": "center", "bg_color": "#E8EDF2"}
        self._box = box
        self.title = self.make(bold=True, font_size=16, align="center", valign="vcenter")
        self.line = self.make(font_size=10)
        self.heading = self.make(**head)
        self.required = self.make(**head, font_color="#1D4F73")
        self.text = self.make(**box)
        self.note = self.make(font_size=9, font_color="#555555")
        self.wrapped = self.make(**box, text_wrap=True)
        self.error = self.make(bg_color="#F8C9C4")
        self.warning = self.make(bg_color="#FBE3AE")

    def make(self, **properties):
        key = tuple(sorted(properties.items()))
        if key not in self._made:
            self._made[key] = self._book.add_format(properties)
        return self._made[key]

    def of(self, field: Field, grid: bool = True):
        """A field's cell. Text and identifiers are text cells, so that long numbers keep all their digits."""
        style = dict(self._box) if grid else {}
        if field.type == "date":
            style["num_format"] = "yyyy-mm-dd"
        elif field.type == "integer":
            style["num_format"] = "0"
        elif field.numeric:
            style["num_format"] = "General"
        else:
            style["num_format"] = "@"
        return self.make(**style)

    def total(self, field: Field):
        return self.make(**self._box, bold=True, bg_color="#F4F6F8", num_format="General" if field.numeric else "@")


def validation(field: Field, unit: str, source: str | None, rules: list[str], as_of: dt.date) -> dict:
    """Options of xlsxwriter's data_validation for a field's column.

    Excel only warns: “—” (not reported) is a valid entry in any column, which no validation type allows for.
    """
    told = ["必填" if field.required else "选填"]
    options: dict = {"ignore_blank": True, "error_type": "warning", "error_title": "请核对"}
    if source:
        options |= {"validate": "list", "source": source, "error_message": "不在选项中。请从下拉列表中选择。"}
        told.append("从下拉列表中选择")
    elif field.type == "integer":
        options |= {"validate": "integer", "criteria": ">=", "value": 0, "error_message": "应为不小于 0 的整数；没有数据可填“—”。"}
        told.append("填整数")
    elif field.type == "percent":
        options |= {"validate": "decimal", "criteria": "between", "minimum": 0, "maximum": 1000, "error_message": "应为百分数，如 85.2。"}
        told.append("填百分数，如 85.2" + ("，自动计算" if field.kind == "declared" else ""))
    elif field.type == "decimal":
        options |= {"validate": "decimal", "criteria": ">=", "value": 0, "error_message": "应为不小于 0 的数；没有数据可填“—”。"}
    elif field.type == "date":
        last = dt.date(as_of.year + 6, 12, 31)
        options |= {"validate": "date", "criteria": "between", "minimum": dt.date(2000, 1, 1), "maximum": last, "error_message": "应为日期，如 2020-06-14。"}
        told.append("日期，如 2020-06-14")
    else:
        options |= {"validate": "any"}
    if unit:
        told.append(f"单位：{unit}")
    if field.kind == "cumulative":
        told.append("累计数，不得少于上周")
    if field.personal:
        told.append("以文本填写")
    text = "；".join(told) + "。" + "".join(f"\n{r}" for r in rules)
    return options | {"input_title": field.zh[:32], "input_message": text if len(text) <= 255 else text[:254] + "…"}


def instructions(book, styles: Styles, county: str, week: str, as_of: dt.date, forms: list[Form]) -> None:
    """The sheet 填表说明: how to fill in, and every rule with what to do about it."""
    sheet = book.add_worksheet(GUIDE)
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 11)
    sheet.set_column(2, 2, 13)
    sheet.set_column(3, 3, 40)
    sheet.set_column(4, 4, 80)
    sheet.write_string(0, 0, "填表说明", styles.make(bold=True, font_size=16))
    lines = (
        f"{county}　{week}（截至 {as_of:%Y-%m-%d}，星期日）",
        "每张报表一个工作表；不报的表可以删除，栏目名和填报单位、截至日期不要改动。",
        "零填 0；没有数据填“—”或留空；两者含义不同。蓝色栏目名为必填。",
        "金额单位见栏目名；合计和比率自动计算。名册类报表的合计在首行，数据往下续填，行数不限。",
        "累计数（右上角批注为上次数字）不得减少；确需调减的，在“变化原因”栏写明原因。",
        "底色变红：与审核规则不符，报送后会整表退回；变黄：提醒核实。",
    )
    for row, text in enumerate(lines, 2):
        sheet.write_string(row, 0, text)
    row = len(lines) + 3
    for column, text in enumerate(("适用报表", "编号", "级别", "审核内容", "改正方法")):
        sheet.write_string(row, column, text, styles.heading)
    for form in forms:
        for rule in form.rules:
            row += 1
            values = (form.zh, rule.id, LEVEL[rule.severity], rule.zh, how_to_mend(rule, form))
            for column, value in enumerate(values):
                sheet.write_string(row, column, value, styles.wrapped)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
