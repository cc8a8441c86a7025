"""Tables in the style of statistical yearbooks, by contracts that somebody else wrote: right totals, or a reason in words."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import openpyxl
import pytest
import yaml

from ingestion.contracts import load_contracts
from ingestion.reading import read_file

RECEIVED = dt.datetime(2020, 6, 15, 9, 0, tzinfo=dt.timezone(dt.timedelta(hours=8)))


def column(name, zh, kind="number", unit=None, required=True, **about):
    more = [{"property": "unit", "value": unit}] if unit else []
    return {"name": name, "businessName": zh, "logicalType": kind, "required": required, "customProperties": more} | about


REGION = column("region", "地区", "string", primaryKey=True)
TABLES = {
    "人口": ("人口主要指标", [REGION, column("population", "年末总人口", unit="人"), column("rural", "乡村人口", unit="人")]),
    "农业": ("主要农产品产量", [REGION, column("grain", "粮食", unit="吨"), column("sugar", "甘蔗", unit="吨")]),
    "财政": ("财政收支情况", [REGION, column("income", "一般公共预算收入", unit="yuan"), column("expenditure", "一般公共预算支出", unit="yuan")]),
    "就业": ("城镇就业人员", [REGION, column("employed", "就业人员", unit="人"), column("female", "女性", unit="人", required=False)]),
}


def write_contract(folder, name, number, title, properties):
    document = {
        "apiVersion": "v3.0.0", "kind": "DataContract", "id": f"T{number}", "version": "1.0.0", "status": "active",
        "name": title, "schema": [{"name": f"table_{number}", "logicalType": "object", "properties": properties}],
    }  # fmt: skip
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")


def contracts_of(tmp_path, title, properties):
    """The contracts of one table."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    write_contract(folder, "table", 1, title, properties)
    return load_contracts(folder)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contracts")
    for number, (name, (title, properties)) in enumerate(TABLES.items(), 1):
        write_contract(folder, name, number, title, properties)
    return load_contracts(folder)


def only_form(tmp_path, known, title, unit, rows, merges=()):
    book = openpyxl.Workbook()
    for row in [[title], ["填报单位：右江区", "截至日期：2020年6月14日", f"单位：{unit}" if unit else ""], *rows]:
        book.active.append([None if c == "" else c for c in row])
    for merged in merges:
        book.active.merge_cells(merged)
    book.save(tmp_path / "表.xlsx")
    result = read_file(tmp_path / "表.xlsx", received_at=RECEIVED, contracts=known)
    assert result.refusal_zh is None and len(result.forms) == 1, (result.refusal_zh, result.findings)
    return result.forms[0]


def loaded_or_told(form, name, true):
    """The true figures, or the form comes back with a sentence; never other figures."""
    if form.acceptable:
        assert [None if v is None else Decimal(v) for v in form.values[name]] == true, (name, form.values[name])
    else:
        assert all(f.message_zh for f in form.findings)
    return form.acceptable


def test_regions_set_in_with_spaces_and_a_sum_line(tmp_path, known):
    rows = [["地　区", "年末总人口", "乡村人口"], ["总　计", 60, 40], ["　甲镇", 10, 10], ["　　乙镇", 20, 10], ["  丙乡", 30, 20]]
    form = only_form(tmp_path, known, "人口主要指标", "人", rows)
    assert loaded_or_told(form, "population", [10, 20, 30])


def test_unit_line_in_ten_thousands(tmp_path, known):
    rows = [["地区", "年末总人口", "乡村人口"], ["甲镇", 1.25, 1], ["乙镇", 2.5, 0.5], ["总计", 3.75, 1.5]]
    form = only_form(tmp_path, known, "人口主要指标", "万人", rows)
    assert loaded_or_told(form, "population", [12500, 25000])


def test_units_on_a_line_of_their_own_below_the_headings(tmp_path, known):
    rows = [["地区", "粮食", "甘蔗"], ["", "（万吨）", "（吨）"], ["甲镇", 1.5, 7], ["乙镇", 2, 8], ["合计", 3.5, 15]]
    form = only_form(tmp_path, known, "主要农产品产量", None, rows)
    loaded_or_told(form, "grain", [15000, 20000])
    loaded_or_told(form, "sugar", [7, 8])


def test_a_unit_that_cannot_be_converted_is_told(tmp_path, known):
    rows = [["地区", "粮食（公斤）", "甘蔗（斤）"], ["甲镇", 1500, 7], ["乙镇", 2000, 8]]
    form = only_form(tmp_path, known, "主要农产品产量", None, rows)
    assert not form.acceptable


def test_headings_in_three_levels(tmp_path, known):
    rows = [["地区", "收支", ""], ["", "合计数", ""], ["", "一般公共预算收入", "一般公共预算支出"], ["甲镇", 1.5, 2], ["乙镇", 2, 3]]
    form = only_form(tmp_path, known, "财政收支情况", "万元", rows, ["A3:A5", "B3:C3", "B4:C4"])
    assert loaded_or_told(form, "income", [15000, 20000])


def test_two_years_side_by_side(tmp_path, known):
    rows = [["地区", "2019年", "", "2020年", ""], ["", *TWO, *TWO], ["甲镇", 1, 2, 3, 4], ["乙镇", 5, 6, 7, 8]]
    form = only_form(tmp_path, known, "财政收支情况", "元", rows, ["A3:A4", "B3:C3", "D3:E3"])
    assert loaded_or_told(form, "income", [3, 7]) and loaded_or_told(form, "expenditure", [4, 8])


TWO = ["一般公共预算收入", "一般公共预算支出"]


def test_parts_of_a_whole_with_a_hash(tmp_path, known):
    rows = [["地区", "就业人员", "#女性"], ["甲镇", 10, 4], ["乙镇", 20, "…"], ["合计", 30, 4]]
    loaded_or_told(only_form(tmp_path, known, "城镇就业人员", "人", rows), "female", [4, None])


@pytest.mark.parametrize("mark", ["①", "¹"])
def test_footnotes_at_figures_and_headings(tmp_path, known, mark):
    rows = [["地区", f"就业人员{mark}", "女性"], ["甲镇", f"10{mark}", 4], ["乙镇", 20, 8], [f"注：{mark}不含私营单位。"]]
    loaded_or_told(only_form(tmp_path, known, "城镇就业人员", "人", rows), "employed", [10, 20])


def test_bilingual_headings_are_read_or_told(tmp_path, known):
    rows = [["地区 Region", "年末总人口 Population", "乡村人口 Rural"], ["甲镇 Jia", 10, 5], ["乙镇 Yi", 20, 8]]
    result = only_or_refusal(tmp_path, known, rows)
    assert result.refusal_zh or result.findings or not result.forms[0].acceptable or result.forms[0].values["population"] == [10, 20]


def only_or_refusal(tmp_path, known, rows):
    book = openpyxl.Workbook()
    for row in [["人口主要指标 Main Indicators"], ["填报单位：右江区", "截至日期：2020年6月14日", "单位：人"], *rows]:
        book.active.append(row)
    book.save(tmp_path / "表.xlsx")
    return read_file(tmp_path / "表.xlsx", received_at=RECEIVED, contracts=known)


def test_a_continued_table(tmp_path, known):
    rows = [["地区", "粮食", "甘蔗"], ["甲镇", 1, 2], ["续表", "", ""], ["地区", "粮食", "甘蔗"], ["乙镇", 3, 4], ["总计", 4, 6]]
    assert loaded_or_told(only_form(tmp_path, known, "主要农产品产量", "吨", rows), "grain", [1, 3])


# ---------------------------------------------------------------- what the 单位 line says


def read_by(tmp_path, properties, unit, rows, merges=(), title="分县主要指标"):
    return only_form(tmp_path, contracts_of(tmp_path, title, properties), title, unit, rows, merges)


TWO_COUNTIES = [["甲县", 1.25, 6], ["乙县", 1.5, 5]]


@pytest.mark.parametrize(
    ("own", "line", "true"),
    [
        ("公斤/公顷", "公斤/公顷、吨", ["1.25", "1.5"]),
        ("公斤/公顷", "公斤/亩、吨", None),
        ("万美元", "亿美元、吨", ["12500", "15000"]),
        ("万元", "万美元、吨", None),
        ("张", "万张、吨", ["12500", "15000"]),
        ("万吨标准煤", "吨标准煤、吨", ["0.000125", "0.00015"]),
        ("公顷", "万担、吨", None),
        ("公顷", "10000 mu, tons", None),
        ("万元", "10000 yuan, tons", None),
        ("公顷", "千公顷　吨", ["1250", "1500"]),
        ("公顷", "千 公 顷、吨", ["1250", "1500"]),
        ("万元", "人民币亿元、吨", ["12500", "15000"]),
        ("‰", "‰、吨", ["1.25", "1.5"]),
        ("‰", "%、吨", None),
        ("%", "%、吨", ["0.0125", "0.015"]),
        ("%", "‰、吨", ["0.00125", "0.0015"]),
        ("CNY", "万美元、吨", None),
        ("公顷", "右江区统计局", ["1.25", "1.5"]),
    ],
)
def test_a_unit_line_is_understood_or_told(tmp_path, own, line, true):
    form = read_by(tmp_path, [REGION, column("value", "某指标", unit=own), column("weight", "重量", unit="吨")], line, [["地区", "某指标", "重量"], *TWO_COUNTIES])
    assert form.acceptable is (true is not None)
    assert loaded_or_told(form, "value", [Decimal(t) for t in true or ()]) is form.acceptable


@pytest.mark.parametrize(
    ("own", "heading", "true"),
    [
        ("‰", "出生率（‰）", ["1.25", "1.5"]), ("‰", "出生率（%）", None), ("%", "出生率（‰）", ["0.00125", "0.0015"]),
        ("万美元", "出生率（亿美元）", ["12500", "15000"]), ("万千瓦", "出生率（千瓦）", ["0.000125", "0.00015"]), ("张", "出生率（万张）", ["12500", "15000"]),
    ],
)  # fmt: skip
def test_a_unit_of_the_contract_is_known_in_headings(tmp_path, own, heading, true):
    form = read_by(tmp_path, [REGION, column("rate", "出生率", unit=own), column("weight", "重量", unit="吨")], "吨", [["地区", heading, "重量"], *TWO_COUNTIES])
    assert form.acceptable is (true is not None)
    loaded_or_told(form, "rate", [Decimal(t) for t in true or ()])


def test_per_mille_in_the_contracts_heading(tmp_path):
    form = read_by(tmp_path, [REGION, column("rate", "自然增长率（‰）"), column("people", "人口", unit="人")], "人", [["地区", "自然增长率（‰）", "人口"], ["甲县", -1.5, 6], ["乙县", 2, 5]])
    assert form.acceptable and loaded_or_told(form, "rate", [Decimal("-1.5"), 2])


@pytest.mark.parametrize(("title", "head"), [("分县主要指标", "（千公顷、吨）"), ("分县主要指标", "千公顷、吨"), ("分县主要指标（千公顷）", "")])
def test_units_above_the_table_without_the_word(tmp_path, title, head):
    known = contracts_of(tmp_path, "分县主要指标", [REGION, column("area", "面积", unit="公顷"), column("weight", "重量（吨）", unit="吨")])
    book = openpyxl.Workbook()
    for row in [[title], ["填报单位：右江区", "截至日期：2020年6月14日", head], ["地区", "面积", "重量（吨）"], *TWO_COUNTIES]:
        book.active.append(row)
    book.save(tmp_path / "表.xlsx")
    (form,) = read_file(tmp_path / "表.xlsx", received_at=RECEIVED, contracts=known).forms
    assert form.acceptable and form.values["area"] == [1250, 1500] and form.values["weight"] == [6, 5]


@pytest.mark.parametrize("line", [["单位：亩、元", "", ""], ["", "", "（万吨）"], ["", "单位：万担", ""]])
def test_another_unit_half_way_down_is_no_row(tmp_path, known, line):
    rows = [["地区", "粮食", "甘蔗"], ["甲镇", 1, 2], line, ["乙镇", 3, 4]]
    form = only_form(tmp_path, known, "主要农产品产量", "吨", rows)
    assert not form.acceptable and [(f.rule_id, f.cell) for f in form.findings] == [("GEN-TYPE", f"{'ABC'[[bool(c) for c in line].index(True)]}5")]
    assert only_form(tmp_path, known, "主要农产品产量", "吨", [*rows[:2], ["", "", "单位：吨"], rows[3]]).acceptable


@pytest.mark.parametrize("line", ["单位：右江区统计局（盖章）", "单位：张三", "单位：万吨"])
def test_below_the_rows_it_is_a_signature(tmp_path, known, line):
    form = only_form(tmp_path, known, "主要农产品产量", "吨", [["地区", "粮食", "甘蔗"], ["甲镇", 1, 2], ["乙镇", 3, 4], [line, "", ""]])
    assert form.acceptable and loaded_or_told(form, "grain", [1, 3])


# ---------------------------------------------------------------- rows that are none, and rows of several keys

CROPS = [REGION, column("crop", "作物", "string", primaryKey=True), column("output", "产量", unit="吨")]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("keys", [True, False])
def test_a_subtotal_in_the_second_column_of_the_key(tmp_path, first, keys):
    properties = CROPS if keys else [p | {"primaryKey": False} for p in CROPS]
    rows = []
    for county, one, two in (("甲县", 1, 2), ("乙县", 3, 4)):
        part, whole = [[county, "稻谷", one], [county, "玉米", two]], [county, "小 计", one + two]
        rows += [whole, *part] if first else [*part, whole]
    form = read_by(tmp_path, properties, "吨", [["地区", "作物", "产量"], *rows, ["合计", "", 10]])
    assert form.acceptable and loaded_or_told(form, "output", [1, 2, 3, 4])
    wrong = [[*r[:2], 9 if r[1] == "小 计" else r[2]] for r in rows]
    (tmp_path / "2").mkdir()
    form = read_by(tmp_path / "2", properties, "吨", [["地区", "作物", "产量"], *wrong])
    assert {f.rule_id for f in form.findings} == {"T1-TOTAL"}


def test_a_county_merged_over_its_crops(tmp_path):
    rows = [["地区", "作物", "产量"], ["甲县", "小计", 3], ["", "稻谷", 1], ["", "玉米", 2], ["乙县", "稻谷", 3], ["", "玉米", 4]]
    form = read_by(tmp_path, CROPS, "吨", rows, ["A4:A6", "A7:A8"])
    assert form.acceptable and loaded_or_told(form, "output", [1, 2, 3, 4]) and form.values["region"] == ["甲县", "甲县", "乙县", "乙县"]


def test_a_total_merged_over_several_lines_names_none_of_the_rows(tmp_path):
    rows = [["地区", "作物", "产量"], ["合计", "稻谷", 4], ["", "玉米", 6], ["甲县", "稻谷", 4], ["", "玉米", 6]]
    assert not read_by(tmp_path, CROPS, "吨", rows, ["A4:A5", "A6:A7"]).acceptable


def test_notes_by_letters_below_the_rows(tmp_path, known):
    rows = [["地区", "年末总人口", "乡村人口"], ["甲镇 a）", 10, 10], ["本表数据由统计局提供。"], ["a）含流动人口"]]
    form = only_form(tmp_path, known, "人口主要指标", "人", rows)
    assert form.acceptable and loaded_or_told(form, "population", [10])


def test_what_goes_up_and_down_may_be_negative(tmp_path):
    form = read_by(tmp_path, [REGION, column("change", "价格涨跌幅", unit="%")], None, [["地区", "价格涨跌幅（%）"], ["甲县", -1.5], ["乙县", 2]])
    assert form.acceptable and loaded_or_told(form, "change", [Decimal("-0.015"), Decimal("0.02")])


# ---------------------------------------------------------------- headings: years, foreign names, the whole country first


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


@pytest.mark.parametrize("whole", ["全 国", "全省", "全区", "全　市", "全县"])
def test_the_whole_before_its_parts_is_a_total(tmp_path, known, whole):
    rows = [["地区", "年末总人口", "乡村人口"], [whole, 60, 40], ["甲镇", 10, 10], ["乙镇", 20, 10], ["丙乡", 30, 20]]
    form = only_form(tmp_path, known, "人口主要指标", "人", rows)
    assert form.acceptable and loaded_or_told(form, "population", [10, 20, 30])
    rows[1][1] = 61
    assert {f.rule_id for f in only_form(tmp_path, known, "人口主要指标", "人", rows).findings} == {"T1-TOTAL"}


def test_the_whole_of_what_does_not_add_up_is_a_row(tmp_path):
    form = read_by(tmp_path, [REGION, column("rate", "城镇化率", unit="%")], None, [["地区", "城镇化率（%）"], ["全国", 60], ["甲省", 50], ["乙省", 70]])
    assert form.acceptable and loaded_or_told(form, "rate", [Decimal("0.6"), Decimal("0.5"), Decimal("0.7")])


# ---------------------------------------------------------------- further figures that could be others


@pytest.mark.parametrize("brackets", ["[]", "【】", "〔〕", "（）", "()"])
@pytest.mark.parametrize(("unit", "true"), [("万吨", [10000, 20000]), ("公斤", None), ("%", None)])
def test_units_in_brackets_of_any_kind(tmp_path, known, brackets, unit, true):
    rows = [["地区", f"粮食{brackets[0]}{unit}{brackets[1]}", "甘蔗"], ["甲镇", 1, 2], ["乙镇", 2, 4]]
    form = only_form(tmp_path, known, "主要农产品产量", None, rows)
    assert form.acceptable is (true is not None) and loaded_or_told(form, "grain", true) is form.acceptable


@pytest.mark.parametrize(("kind", "unit"), [("number", "万元"), ("number", "CNY"), ("number", None), ("integer", None)])
@pytest.mark.parametrize("heading", ["收入%", "收入％", "收入‰", "收入（%）"])
def test_a_percent_sign_over_what_is_no_rate_is_told(tmp_path, kind, unit, heading):
    form = read_by(tmp_path, [REGION, column("income", "收入", kind, unit=unit), column("people", "人数", unit="人")], "万元、人", [["地区", heading, "人数"], ["甲县", 1, 2], ["乙县", 3, 4]])
    assert not form.acceptable and {f.field for f in form.findings if f.severity == "error"} >= {"income"}


@pytest.mark.parametrize("line", ["百万元", "元、万元", "美元"])
def test_a_line_that_does_not_tell_the_unit_of_money_is_told(tmp_path, line):
    form = read_by(tmp_path, [REGION, column("income", "收入（元）", unit="CNY")], line, [["地区", "收入"], ["甲县", 1], ["乙县", 3]])
    assert not form.acceptable and "income" in {f.field for f in form.findings}


def test_a_figure_merged_over_two_columns_is_told(tmp_path, known):
    rows = [["地区", "粮食", "甘蔗"], ["甲镇", 3, ""], ["乙镇", 5, 4]]
    form = only_form(tmp_path, known, "主要农产品产量", "吨", rows, ["B4:C4"])
    assert ("GEN-TYPE", "B4") in {(f.rule_id, f.cell) for f in form.findings}


def test_rates_in_brackets_are_negative(tmp_path):
    form = read_by(tmp_path, [REGION, column("growth", "收入增长", unit="%")], None, [["地区", "收入增长（%）"], ["甲县", "(3.2)"], ["乙县", "−1.5"], ["丙县", "2.5%"]])
    assert form.acceptable and loaded_or_told(form, "growth", [Decimal("-0.032"), Decimal("-0.015"), Decimal("0.025")])


OF_YEARS = [p | {"primaryKey": False} for p in [REGION]] + [column("grain", "粮食", unit="吨", required=False), column("oil", "油料", unit="吨", required=False)]


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


# ---------------------------------------------------------------- rows that say what they are in, and rows that are none

ITEM = column("item", "指标", "string", primaryKey=True)


@pytest.mark.parametrize(
    ("rows", "fine"),
    [
        ([["生产总值", "亿元", 100], ["财政收入", "万元", 5]], False),
        ([["生产总值（亿元）", "", 100], ["财政收入（万元）", "", 5]], False),
        ([["生产总值", "", 100], ["比重（%）", "", 5]], False),
        ([["粮食", "吨", 100], ["财政收入", "万元", 5]], False),
        ([["生产总值", "万元", 100], ["财政收入（万元）", "", 5]], True),
        ([["生产总值（亿元）", "", "—"], ["财政收入（万元）", "", 5]], True),
    ],
)
@pytest.mark.parametrize("known_column", [True, False])
def test_a_unit_in_the_row_against_that_of_the_column(tmp_path, rows, fine, known_column):
    properties = [ITEM, *([column("unit", "计量单位", "string", required=False)] if known_column else []), column("value", "数值", unit="万元", required=False)]
    form = read_by(tmp_path, properties, None, [["指标", "计量单位", "数值"], *rows])
    assert form.acceptable is fine
    assert not fine or form.values["value"] == [None if r[2] == "—" else r[2] for r in rows]


def test_a_unit_in_the_row_where_the_heading_has_its_own(tmp_path):
    form = read_by(tmp_path, [ITEM, column("value", "金额", unit="万元")], None, [["指标", "计量单位", "金额（万元）"], ["稻谷", "吨", 100], ["机床（台）", "台", 5]])
    assert form.acceptable and loaded_or_told(form, "value", [100, 5])


@pytest.mark.parametrize("line", ["构成（%）", "指数（上年=100）"])
def test_a_line_that_changes_what_the_rows_below_it_are(tmp_path, line):
    rows = [["地区", "粮食", "油料"], ["2018", 1, 2], ["2019", 3, 4], [line, "", ""], ["2018", 50, 50], ["2019", 50, 50]]
    form = read_by(tmp_path, OF_YEARS, "吨", rows)
    assert [(f.rule_id, f.cell) for f in form.findings if f.severity == "error"] == [("GEN-TYPE", "A6")]


def test_the_total_fertility_rate_is_no_total(tmp_path):
    form = read_by(tmp_path, [ITEM, column("value", "数值", unit="%")], None, [["指标", "数值（%）"], ["出生率", 1.2], ["合计生育率", 1.5]])
    assert form.acceptable and loaded_or_told(form, "value", [Decimal("0.012"), Decimal("0.015")])


@pytest.mark.parametrize("whole", ["全国 National Total", "全国 National", "合计 National Total"])
def test_totals_with_a_foreign_name(tmp_path, known, whole):
    rows = [["地区", "年末总人口", "乡村人口"], [whole, 60, 40], ["甲镇 Jia", 10, 10], ["乙镇 Yi", 20, 10], ["丙乡 Bing", 30, 20]]
    form = only_form(tmp_path, known, "人口主要指标", "人", rows)
    assert form.acceptable and loaded_or_told(form, "population", [10, 20, 30])


@pytest.mark.parametrize("part", ["#城区", "其中城区", "（其中）城区", "其中：高新技术产业开发区城区"])
def test_a_part_of_the_row_above_is_no_row(tmp_path, known, part):
    rows = [["地区", "年末总人口", "乡村人口"], ["甲镇", 10, 10], [f"　{part}", 5, 5], ["乙镇", 20, 10]]
    assert not only_form(tmp_path, known, "人口主要指标", "人", rows).acceptable


def test_a_key_whose_heading_is_merged_over_two_columns_is_told(tmp_path):
    rows = [["地区", "", "粮食", "油料"], ["华北", "北京", 1, 2], ["", "天津", 2, 3]]
    form = read_by(tmp_path, OF_YEARS, "吨", rows, ["A3:B3", "A4:A5"])
    assert [(f.rule_id, f.cell) for f in form.findings if f.severity == "error"] == [("GEN-VALUE", "A3")]


# ---------------------------------------------------------------- several units over several columns


@pytest.mark.parametrize(
    ("units", "area", "output"),
    [("千公顷、万吨", [1000, 2000], [600000, 550000]), ("公顷、吨", [1, 2], [60, 55]), ("公顷、万公顷、吨", None, None), ("%、吨", None, None)],
)
def test_units_listed_over_a_group(tmp_path, units, area, output):
    properties = [REGION, column("area", "播种面积", unit="公顷"), column("output", "产量", unit="吨")]
    form = read_by(tmp_path, properties, None, [["地区", f"粮食（{units}）", ""], ["", "播种面积", "产量"], ["甲县", 1, 60], ["乙县", 2, 55]], ["A3:A4", "B3:C3"])
    assert form.acceptable is (area is not None)
    assert not form.acceptable or (loaded_or_told(form, "area", area) and loaded_or_told(form, "output", output))


@pytest.mark.parametrize(("units", "fine"), [("万元、亿元", False), ("公顷、万元", True), ("%、万元", False)])
def test_units_listed_over_a_group_of_money(tmp_path, units, fine):
    properties = [REGION, column("income", "收入", unit="CNY"), column("expenditure", "支出", unit="CNY")]
    form = read_by(tmp_path, properties, "元", [["地区", f"决算数（{units}）", ""], ["", "收入", "支出"], ["甲县", 1, 60], ["乙县", 2, 55]], ["A3:A4", "B3:C3"])
    assert form.acceptable is fine and (not fine or form.values["income"] == [10000, 20000])


def test_a_cell_with_another_power_of_ten_than_its_row(tmp_path):
    properties = [ITEM, column("unit", "计量单位", "string"), column("value", "数值", unit="by_row")]
    rows = [["指标", "计量单位", "数值"], ["生产总值", "亿元", "100万元"], ["财政收入", "万元", "5万元"], ["粮食", "吨", "1.5万吨"]]
    form = read_by(tmp_path, properties, None, rows)
    assert [(f.rule_id, f.cell) for f in form.findings if f.severity == "error"] == [("GEN-TYPE", "C4"), ("GEN-TYPE", "C5")]
    assert form.values["value"][2] == 15000


@pytest.mark.parametrize(("upper", "lower"), [("", "（亿元）"), ("（亿元）", "")])
def test_the_longer_name_goes_before_the_last_level(tmp_path, upper, lower):
    properties = [column("month", "月份", "string", primaryKey=True), column("note", "备注", "string", required=False), column("month_sales", "绝对量", unit="亿元"), column("sales", "累计绝对量", unit="亿元")]
    rows = [["月份", "备注", f"当月{upper}", f"累计{upper}"], ["", "", f"绝对量{lower}", f"绝对量{lower}"], ["2月", "", 10, 30], ["3月", "", 20, 50]]
    form = read_by(tmp_path, properties, None, rows, ["A3:A4"])
    assert form.acceptable and form.values["month_sales"] == [10, 20] and form.values["sales"] == [30, 50]


def test_a_ratio_to_a_hundred_does_not_add_up(tmp_path):
    properties = [REGION, column("people", "人口数", unit="人"), column("ratio", "性别比（女=100）"), column("index", "指数（上年＝100）")]
    rows = [["地区", "人口数", "性别比\n(女=100)", "指数（上年＝100）"], ["全国", 30, 104.08, 101], ["甲省", 10, 110.53, 102], ["乙省", 20, 100, 100]]
    form = read_by(tmp_path, properties, "人", rows)
    assert form.acceptable and loaded_or_told(form, "ratio", [Decimal("110.53"), 100])
