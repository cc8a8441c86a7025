"""Tables in the style of statistical yearbooks: headings of several levels, years, languages and pages name the right figures, or the form comes back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.yearbook import OF_YEARS, REGION, column, loaded_or_told, only_form, only_or_refusal, read_by

TWO = ["一般公共预算收入", "一般公共预算支出"]


def test_headings_in_three_levels(tmp_path, known):
    rows = [["地区", "收支", ""], ["", "合计数", ""], ["", "一般公共预算收入", "一般公共预算支出"], ["甲镇", 1.5, 2], ["乙镇", 2, 3]]
    form = only_form(tmp_path, known, "财政收支情况", "万元", rows, ["A3:A5", "B3:C3", "B4:C4"])
    assert loaded_or_told(form, "income", [15000, 20000])



def test_two_years_side_by_side(tmp_path, known):
    rows = [["地区", "2019年", "", "2020年", ""], ["", *TWO, *TWO], ["甲镇", 1, 2, 3, 4], ["乙镇", 5, 6, 7, 8]]
    form = only_form(tmp_path, known, "财政收支情况", "元", rows, ["A3:A4", "B3:C3", "D3:E3"])
    assert loaded_or_told(form, "income", [3, 7]) and loaded_or_told(form, "expenditure", [4, 8])



@pytest.mark.parametrize("mark", ["①", "¹"])
def test_footnotes_at_figures_and_headings(tmp_path, known, mark):
    rows = [["地区", f"就业人员{mark}", "女性"], ["甲镇", f"10{mark}", 4], ["乙镇", 20, 8], [f"注：{mark}不含私营单位。"]]
    loaded_or_told(only_form(tmp_path, known, "城镇就业人员", "人", rows), "employed", [10, 20])



def test_bilingual_headings_are_read_or_told(tmp_path, known):
    rows = [["地区 Region", "年末总人口 Population", "乡村人口 Rural"], ["甲镇 Jia", 10, 5], ["乙镇 Yi", 20, 8]]
    result = only_or_refusal(tmp_path, known, rows)
    assert result.refusal_zh or result.findings or not result.forms[0].acceptable or result.forms[0].values["population"] == [10, 20]



def test_a_continued_table(tmp_path, known):
    rows = [["地区", "粮食", "甘蔗"], ["甲镇", 1, 2], ["续表", "", ""], ["地区", "粮食", "甘蔗"], ["乙镇", 3, 4], ["总计", 4, 6]]
    assert loaded_or_told(only_form(tmp_path, known, "主要农产品产量", "吨", rows), "grain", [1, 3])



@pytest.mark.parametrize(("first", "second"), [("2018", "2019"), (2018, 2019), ("2018年", "2019年")])
@pytest.mark.parametrize(("one", "two"), [("2018年", "2019年"), ("2018", "2019")])
def test_years_alone_as_headings(tmp_path, first, second, one, two):
    form = read_by(tmp_path, [REGION, column("a", one, unit="吨"), column("b", two, unit="吨")], "万吨", [["地区", first, second], ["合计", 3, 7], ["甲县", 1, 3], ["乙县", 2, 4]])
    assert form.acceptable and loaded_or_told(form, "a", [10000, 20000]) and loaded_or_told(form, "b", [30000, 40000])



@pytest.mark.parametrize(("first", "second"), [("2018", "2019"), (2018, 2019), ("2018年", "2019年")])
@pytest.mark.parametrize("above", [True, False])
def test_years_and_products_in_two_levels(tmp_path, first, second, above):
    properties = [REGION] + [column(f"{p}_{y}", f"{y}年{zh}", unit="吨") for zh, p in (("粮食产量", "grain"), ("油料产量", "oil")) for y in (2018, 2019)]
    years, goods = [first, second], ["粮食产量", "油料产量"]
    upper, lower = (years, goods) if above else (goods, years)
    rows = [["地区", upper[0], "", upper[1], ""], ["", *lower, *lower], ["甲县", 1, 2, 3, 4], ["乙县", 2018, 2019, 7, 8]]
    form = read_by(tmp_path, properties, "吨", rows, ["A3:A4", "B3:C3", "D3:E3"])
    order = ["grain_2018", "oil_2018", "grain_2019", "oil_2019"] if above else ["grain_2018", "grain_2019", "oil_2018", "oil_2019"]
    assert form.acceptable and [form.values[n] for n in order] == [[1, 2018], [2, 2019], [3, 7], [4, 8]]



def test_foreign_names_below_the_headings(tmp_path, known):
    rows = [["地区", "粮食", "甘蔗"], ["Region", "Grain", "Sugar-cane (tons)"], ["总计", 4, 6], ["甲镇", 1, 2], ["乙镇", 3, 4]]
    form = only_form(tmp_path, known, "主要农产品产量", "吨", rows)
    assert form.acceptable and loaded_or_told(form, "grain", [1, 3])
    told = only_form(tmp_path, known, "主要农产品产量", "吨", [rows[0], ["Region", "Grain (kg)", "Sugar-cane"], *rows[2:]])
    assert not told.acceptable  # 公斤 into 吨
    assert not only_form(tmp_path, known, "主要农产品产量", "吨", [rows[0], ["Region", "Grain", "Sugar (1000 tons)"], *rows[2:]]).acceptable



def test_foreign_names_among_three_levels(tmp_path):
    properties = [REGION, column("total", "总人口", unit="人"), column("urban", "城镇人口数", unit="人"), column("share", "城镇比重", unit="%")]
    rows = [["地　区", "总人口", "按城乡分", ""], ["Region", "Total", "城镇 Urban", ""], ["", "", "人口数", "比重(%)"], ["合计", 300, 200, 66.67], ["甲县", 100, 80, 80], ["乙县", 200, 120, 60]]
    form = read_by(tmp_path, properties, "万人", rows, ["C3:D3", "C4:D4"])
    assert form.acceptable and loaded_or_told(form, "urban", [800000, 1200000]) and loaded_or_told(form, "share", [Decimal("0.8"), Decimal("0.6")])



def test_rows_in_a_foreign_language_are_no_headings(tmp_path):
    properties = [column("name", "姓名", "string", primaryKey=True), column("language", "语种", "string"), column("lessons", "课时", required=False)]
    form = read_by(tmp_path, properties, None, [["姓名", "语种", "课时"], ["Tom", "English", ""], ["Ann", "French", 5]])
    assert form.acceptable and form.values["name"] == ["Tom", "Ann"] and form.values["lessons"] == [None, 5]



def test_a_figure_merged_over_two_columns_is_told(tmp_path, known):
    rows = [["地区", "粮食", "甘蔗"], ["甲镇", 3, ""], ["乙镇", 5, 4]]
    form = only_form(tmp_path, known, "主要农产品产量", "吨", rows, ["B4:C4"])
    assert ("GEN-TYPE", "B4") in {(f.rule_id, f.cell) for f in form.findings}



def test_years_between_the_rows_are_told(tmp_path):
    rows = [["地区", "粮食", "油料"], ["2018年", "", ""], ["甲县", 1, 2], ["2019年", "", ""], ["甲县", 3, 4]]
    form = read_by(tmp_path, OF_YEARS, "吨", rows)
    assert [(f.rule_id, f.cell) for f in form.findings if f.severity == "error"] == [("GEN-VALUE", "A4"), ("GEN-VALUE", "A6")]



def test_a_year_without_figures_among_years_is_a_row(tmp_path):
    form = read_by(tmp_path, OF_YEARS, "吨", [["地区", "粮食", "油料"], ["2018年", 1, 2], ["2019年", "", ""], ["2020年", 3, 4]])
    assert form.acceptable and loaded_or_told(form, "grain", [1, None, 3])



def test_parts_of_different_years_on_a_sheet_are_told(tmp_path):
    rows = [["分县主要指标（2018年）"], ["地区", "粮食", "油料"], ["甲县", 1, 2], ["乙县", 3, 4], ["分县主要指标（2019年）"], ["地区", "粮食", "油料"], ["甲县", 5, 6], ["乙县", 7, 8]]
    assert "GEN-WEEK" in {f.rule_id for f in read_by(tmp_path, OF_YEARS, "吨", rows).findings}



@pytest.mark.parametrize("whole", ["全国 National Total", "全国 National", "合计 National Total"])
def test_totals_with_a_foreign_name(tmp_path, known, whole):
    rows = [["地区", "年末总人口", "乡村人口"], [whole, 60, 40], ["甲镇 Jia", 10, 10], ["乙镇 Yi", 20, 10], ["丙乡 Bing", 30, 20]]
    form = only_form(tmp_path, known, "人口主要指标", "人", rows)
    assert form.acceptable and loaded_or_told(form, "population", [10, 20, 30])



def test_a_key_whose_heading_is_merged_over_two_columns_is_told(tmp_path):
    rows = [["地区", "", "粮食", "油料"], ["华北", "北京", 1, 2], ["", "天津", 2, 3]]
    form = read_by(tmp_path, OF_YEARS, "吨", rows, ["A3:B3", "A4:A5"])
    assert [(f.rule_id, f.cell) for f in form.findings if f.severity == "error"] == [("GEN-VALUE", "A3")]



@pytest.mark.parametrize(("upper", "lower"), [("", "（亿元）"), ("（亿元）", "")])
def test_the_longer_name_goes_before_the_last_level(tmp_path, upper, lower):
    properties = [column("month", "月份", "string", primaryKey=True), column("note", "备注", "string", required=False), column("month_sales", "绝对量", unit="亿元"), column("sales", "累计绝对量", unit="亿元")]
    rows = [["月份", "备注", f"当月{upper}", f"累计{upper}"], ["", "", f"绝对量{lower}", f"绝对量{lower}"], ["2月", "", 10, 30], ["3月", "", 20, 50]]
    form = read_by(tmp_path, properties, None, rows, ["A3:A4"])
    assert form.acceptable and form.values["month_sales"] == [10, 20] and form.values["sales"] == [30, 50]
