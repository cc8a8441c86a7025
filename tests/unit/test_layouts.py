"""Any layout that a county may write gives the true values, or the form comes back with the reason in words.

A value that is wrong and accepted is the worst fault there is, so each combination of traits is held against the truth
it was made from. ``WAREHOUSE_LONG=1`` tries many more combinations.
"""

from __future__ import annotations

import datetime as dt
import os
import random

import openpyxl
import pytest
import xlsxwriter

from ingestion.contracts import contracts
from ingestion.model import FormReading
from ingestion.reading import read_file
from ingestion.reference import codes
from tests.unit import house_styles, layout_files, layouts, true_rows
from tests.unit.reading_files import COP03, COP03_ROWS, RECEIVED, book, cop03, faults, head, read, read_rows

CHUNKS, SIZE = (40, 100) if os.environ.get("WAREHOUSE_LONG") else (6, 50)
SUMS = ("total", "complete", "sum_of_rows")


def errors(reading: FormReading) -> list[str]:
    return [f.rule_id for f in reading.findings if f.severity == "error" and f.rule_id.startswith("GEN-")]


def wrong(truth: true_rows.Truth, reading: FormReading) -> list:
    """Fields whose values are not the true ones; rates that the county worked out itself only to their printed digits."""
    found = []
    for name, true in truth.values.items():
        given = reading.values[name]
        if truth.form.by_name[name].kind == "declared":
            same = len(true) == len(given) and all(a == b or (b is None and not a) for a, b in zip(true, given, strict=True))
        else:
            same = true == given
        if not same:
            found.append((name, [(a, b) for a, b in zip(true, given, strict=False) if a != b][:3], len(true), len(given)))
    if (reading.week, reading.county_code) != (true_rows.WEEK, truth.county):
        found.append((reading.week, reading.county_code))
    return found


def false_sums(truth: true_rows.Truth, reading: FormReading) -> list[str]:
    """Findings on totals and completeness, of which a true form has none (fund lines are made up at random here)."""
    rules = {r.id for r in truth.form.rules_of(*SUMS) if r.check != "sum_of_rows"}
    return [f.message_zh for f in reading.findings if f.rule_id in rules]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_any_layout_gives_the_truth_or_a_reason(tmp_path, chunk):
    returned = []
    for seed in range(chunk * SIZE, (chunk + 1) * SIZE):
        rng = random.Random(seed)
        form = contracts().form(rng.choice(contracts().codes))
        truth = true_rows.made_up(form, rng.choice(codes().counties_on(true_rows.SUNDAY)), codes(), rng)
        style = house_styles.any_style(rng)
        sheet = layouts.Sheet()
        layouts.write_form(sheet, truth, style, codes())
        path = tmp_path / f"报表.{style.kind}"
        path.write_bytes(layout_files.as_bytes({"Sheet1": sheet}, style))
        result = read_file(path, received_at=RECEIVED)
        assert result.refusal_zh is None and [f.form for f in result.forms] == [form.code], (seed, result.refusal_zh, result.findings)
        (reading,) = result.forms
        if errors(reading):
            returned.append((seed, reading.findings[0].message_zh))
            continue
        assert not wrong(truth, reading), (seed, form.code, wrong(truth, reading))
        assert not false_sums(truth, reading), (seed, false_sums(truth, reading))
    assert len(returned) <= SIZE // 20, returned


@pytest.mark.parametrize("seed", range(12 if CHUNKS < 10 else 200))
def test_forms_below_each_other_and_in_other_columns(tmp_path, seed):
    rng = random.Random(10_000 + seed)
    county = rng.choice(codes().counties_on(true_rows.SUNDAY))
    forms = rng.sample([c for c in contracts().codes], rng.choice([2, 3]))
    sheet, truths, top = layouts.Sheet(), {}, 0
    style = house_styles.any_style(rng)
    style.date, style.kind = rng.choice(["text", "iso", "dots"]), rng.choice(["xlsx", "xls", "csv"])
    for code in forms:
        truths[code] = true_rows.made_up(contracts().form(code), county, codes(), rng)
        style.continued, style.left, style.words = rng.choice(["", "down"]), rng.choice([0, 0, 2]), {}
        top = layouts.write_form(sheet, truths[code], style, codes(), top) + rng.choice([0, 1, 3])
    path = tmp_path / f"报表.{style.kind}"
    path.write_bytes(layout_files.as_bytes({"Sheet1": sheet}, style))
    result = read_file(path, received_at=RECEIVED)
    assert [f.form for f in result.forms] == forms, (seed, [(f.form, f.rows) for f in result.forms], result.findings)
    for reading in result.forms:
        if not errors(reading):
            assert not wrong(truths[reading.form], reading), (seed, wrong(truths[reading.form], reading))


# Columns that resemble a field


def columns(tmp_path, headings: list[list[str]], rows: list[list], merges=(), **about) -> FormReading:
    return read_rows(tmp_path, [*head(**about), *headings, *rows], merges=merges)


def test_last_weeks_figures_beside_this_weeks_are_not_taken_for_them(tmp_path):
    rows = [[name, 1, 2, money, persons] for name, money, persons in COP03_ROWS]
    upper, lower = ["销售渠道", "上周", "", "本周", ""], ["", *COP03[1:], *COP03[1:]]
    form = columns(tmp_path, [upper, lower], rows, ["A3:A4", "B3:C3", "D3:E3"])
    assert form.values["poor_persons_benefited"] == [100, 200, 300, 400] and not errors(form)


@pytest.mark.parametrize("above", ["上周", "去年", "2019年", "较上周"])
def test_a_figure_of_another_period_is_no_figure_of_this_week(tmp_path, above):
    rows = [[name, money, persons] for name, money, persons in COP03_ROWS]
    form = columns(tmp_path, [["销售渠道", above, "惠及贫困人口"], ["", "采购销售金额", ""]], rows, ["A3:A4", "C3:C4"])
    assert "GEN-COLMISS" in errors(form) and set(form.values["sales"]) == {None}


@pytest.mark.parametrize("parents", [("上半年", "至今"), ("", "")])
def test_the_same_heading_twice_is_not_decided_by_its_place(tmp_path, parents):
    rows = [[name, 1, money, persons] for name, money, persons in COP03_ROWS]
    form = columns(tmp_path, [["销售渠道", *parents, "惠及贫困人口"], ["", "采购销售金额", "采购销售金额", ""]], rows, ["A3:A4", "D3:D4"])
    assert errors(form) == ["GEN-COLMISS"] and set(form.values["sales"]) == {None}


def test_a_serial_number_beside_the_key_is_no_second_table(tmp_path):
    headings = ["序号", "班次编号", "发车日期", "方式", "目的地", "趟（车）次", "输送人数", "其中：贫困劳动力"]
    rows = [[n, f"GX-{n}", "2020-06-01", "专列", "广东", 1, 30, 10] for n in (1, 2)]
    form = columns(tmp_path, [headings], rows, title="劳务协作输送台账")
    assert form.values["trip_no"] == ["GX-1", "GX-2"] and not errors(form)


def test_a_row_of_column_numbers_below_a_merged_heading_is_no_record(tmp_path):
    headings = ["企业名称", "投资项目", "签约金额", "实际到位投资", "吸纳就业", "其中：贫困人口"]
    rows = [[""] * 6, ["甲", 1, 2, 3, 4, 5], ["某公司", "项目", 3, 2, 4, 1]]
    merges = [f"{c}3:{c}4" for c in "ABCDEF"]
    assert columns(tmp_path, [headings], rows, merges, title="东部企业引进台账").values["enterprise_name"] == ["某公司"]


@pytest.mark.parametrize("label", ["较上周增减", "全县", "平均", "占比", "上周", "其中：广东企业"])
def test_a_line_of_comparison_under_a_free_key_is_no_record(tmp_path, label):
    headings = ["企业名称", "投资项目", "签约金额", "实际到位投资", "吸纳就业", "其中：贫困人口"]
    form = columns(tmp_path, [headings], [["某公司", "项目", 3, 2, 4, 1], [label, "项目", 3, 2, 4, 1]], title="东部企业引进台账")
    assert not form.acceptable


# Numbers


@pytest.mark.parametrize("written", ["100①", "5²", "12 34", "12\n34", "1,23", "100+20", "50%", "1/2", "约100", "9999999999", 1e300, "123-"])
def test_what_could_be_another_number_is_not_guessed(tmp_path, written):
    form = read_rows(tmp_path, cop03([["单位采购", 1, written], *COP03_ROWS[1:]]))
    assert form.values["poor_persons_benefited"][0] is None and faults(form)[0][0] == "GEN-TYPE"


@pytest.mark.parametrize(("written", "value"), [("1 234 567", 1234567), ("\u200b12", 12), ("'7", 7), ("1.2E+03", 1200), (" 5\u00a0", 5)])
def test_numbers_written_oddly(tmp_path, written, value):
    form = read_rows(tmp_path, cop03([["单位采购", 1, written], *COP03_ROWS[1:]]))
    assert form.values["poor_persons_benefited"][0] == value


@pytest.mark.parametrize("mark", ["－", "﹣", "　", "\u200b", "――", " — ", "／"])
def test_marks_of_any_width_mean_not_reported(tmp_path, mark):
    form = read_rows(tmp_path, cop03([["单位采购", 1, mark], *COP03_ROWS[1:]]))
    assert faults(form, "GEN-REQ") and form.values["poor_persons_benefited"][0] is None


def test_yuan_by_its_sign_is_not_multiplied(tmp_path):
    form = read_rows(tmp_path, cop03([["单位采购", "¥1,200", 1], *COP03_ROWS[1:]]))
    assert form.values["sales"][0] is None and not form.acceptable


def test_each_part_of_a_table_has_its_own_unit_line(tmp_path):
    rows = [*cop03(COP03_ROWS[:2]), ["续表", "", "单位：元"], COP03, ["电商平台", 300000, 300], ["展销活动", 400000, 400]]
    assert [int(v) for v in read_rows(tmp_path, rows).values["sales"]] == [105_000, 200_000, 300_000, 400_000]


@pytest.mark.parametrize("heading", ["采购销售金额【万元】", "采购销售金额/万元", "采购销售金额\n万元", "采购销售金额[万元]"])
def test_units_behind_a_heading(tmp_path, heading):
    form = read_rows(tmp_path, cop03(heading=["销售渠道", heading, "惠及贫困人口"], unit="元"))
    assert int(form.values["sales"][0]) == 105_000


def test_one_figure_merged_over_several_rows_is_told(tmp_path):
    rows = [["单位采购", 10, 1], ["商超专柜", "", 2], ["电商平台", "", 3], ["展销活动", "", 4]]
    form = read_rows(tmp_path, cop03(rows), merges=["B4:B7"])
    assert ("GEN-TYPE", "B4") in [(f.rule_id, f.cell) for f in form.findings]


def test_a_formula_without_a_value_is_unknown_and_not_blank(tmp_path):
    heading = ["项目类别", "计划数", "已开工", "已竣工", "项目总投资", "已投入资金", "受益人口"]
    form = read_rows(tmp_path, [*head(title="四大战役项目进度周报表"), heading, ["义务教育—土建项目（个）", 5, 4, 3, 10, 5, "=B4*2"]])
    assert ("GEN-TYPE", "G4") in [(f.rule_id, f.cell) for f in form.findings]


@pytest.mark.parametrize("heading", ["贫困发生率", "贫困发生率（%）"])
def test_a_cell_shown_in_percent_holds_a_fraction(tmp_path, heading):
    path = tmp_path / "出列.xlsx"
    village = codes().place_name(codes().villages_of("451026")[0])
    with xlsxwriter.Workbook(path) as workbook:
        sheet, percent = workbook.add_worksheet(), workbook.add_format({"num_format": "0.0%"})
        for r, row in enumerate([*head(title="未出列贫困村“十一有一低于”进展表", county="那坡县"), ["贫困村", "达标项数", "未达标项数", "剩余贫困人口", heading, "是否挂牌督战"]]):
            sheet.write_row(r, 0, row)
        sheet.write_row(3, 0, [village, 10, 2, 5])
        sheet.write_number(3, 4, 0.032, percent)
        sheet.write(3, 5, "是")
    assert [str(v) for v in read(path).forms[0].values["incidence"]] == ["0.032"]


# County and week


@pytest.mark.parametrize("date", ["2020年1月1日至6月14日", "2020年6月8日-14日", "2020.6.8-6.14", "6月8日至14日", "2020-6-14 18:00"])
def test_a_span_of_days_ends_with_the_as_of_date(tmp_path, date):
    assert read_rows(tmp_path, cop03(date=date)).week == "2020-W24"


@pytest.mark.parametrize(
    "block",
    [
        [["消费扶贫周报表"], ["百办发〔2020〕12号 2020年3月1日"], ["填报单位：右江区", "2020年6月14日", "单位：万元"]],
        [["消费扶贫周报表（2020年第23周）"], ["填报单位：右江区", "截至日期：2020年6月14日", "单位：万元"]],
        head(date="2020年6月"),
        head(date="6/14/2020"),
    ],
)
def test_a_week_that_cannot_be_told_is_not_guessed(tmp_path, block):
    assert "GEN-WEEK" in errors(read_rows(tmp_path, [*block, COP03, *COP03_ROWS]))


@pytest.mark.parametrize(
    "rows",
    [
        [*head(title="田阳区消费扶贫周报表"), COP03, *COP03_ROWS],
        [*head(), ["县（市、区）", *COP03], *[["田阳区", *r] for r in COP03_ROWS]],
        [*head(county="百色市扶贫办"), ["县（市、区）", *COP03], *[[c, *r] for c in ("右江区", "田阳区") for r in COP03_ROWS]],
    ],
)
def test_figures_of_another_county_are_returned(tmp_path, rows):
    assert "GEN-COUNTY" in errors(read_rows(tmp_path, rows))


# Several forms


def test_forms_beside_each_other_are_both_read(tmp_path):
    other = ["企业名称", "投资项目", "签约金额", "实际到位投资", "吸纳就业", "其中：贫困人口"]
    rows = [["消费扶贫周报表", "", "", "", "东部企业引进台账"], [*head()[1], "", *head()[1]], [*COP03, "", *other]]
    rows += [[*COP03_ROWS[0], "", "某公司", "项目", 3, 2, 4, 1], *COP03_ROWS[1:]]
    result = read(book(tmp_path / "并排.xlsx", {"Sheet1": rows}))
    assert [(f.form, f.rows) for f in result.forms] == [("COP03", 4), ("COP04", 1)]
    assert result.forms[1].blocks[0].columns["jobs"].col == 8


def test_forms_beside_each_other_without_a_gap_are_told(tmp_path):
    other = ["企业名称", "投资项目", "签约金额", "实际到位投资", "吸纳就业", "其中：贫困人口"]
    rows = [*head(), [*COP03, *other], *[[*r, f"公司{i}", "项目", 3, 2, 4, 1] for i, r in enumerate(COP03_ROWS)]]
    assert "GEN-FORM" in [f.rule_id for f in read(book(tmp_path / "并排.xlsx", {"Sheet1": rows})).findings]


def test_a_sample_among_the_instructions_is_no_submission(tmp_path):
    sheets = {"消费": cop03(), "填表说明": [["填表说明"], COP03, ["单位采购", "填累计数", "填人数"]]}
    result = read(book(tmp_path / "周报.xlsx", sheets))
    assert [f.form for f in result.forms] == ["COP03"] and result.ignored_sheets == ["填表说明"]


def test_booleans_dates_and_texts_in_number_cells_are_told(tmp_path):
    path = tmp_path / "报表.xlsx"
    workbook = openpyxl.Workbook()
    for row in cop03([["单位采购", True, dt.date(2020, 6, 1)], *COP03_ROWS[1:]]):
        workbook.active.append(row)
    workbook.save(path)
    assert [f[:2] for f in faults(read(path).forms[0], "GEN-TYPE")] == [("GEN-TYPE", "B4"), ("GEN-TYPE", "C4")]


def test_unknown_columns_of_one_name_are_all_kept(tmp_path):
    rows = [[*r, "甲", "乙", "丙"] for r in COP03_ROWS]
    form = read_rows(tmp_path, [*head(), [*COP03, "情况", "情况", ""], *rows])
    assert sorted(form.extra[0].values()) == ["丙", "乙", "甲"]
