"""A group's heading above some columns: its unit goes before the 单位 line, and never over what cannot be in it."""

from decimal import Decimal

import pytest

from tests.unit.reading_files import COP03_ROWS, csv_bytes, faults, head, read, read_rows

ENTERPRISES = ["企业名称", "投资项目", "签约金额", "实际到位投资", "吸纳就业", "其中：贫困人口"]
ROW = ["深桂电子（广西）有限公司", "电子配件厂", 6057, 2428.3632, 100, 40]
FUNDS = [["财政扶贫资金", 12000, 11900, 9000, "75.63%"], ["财政专项扶贫资金", 10000, 9900, 7400, "74.75%"]]


def enterprises(tmp_path, group, merges, unit="人、元", row=ROW):
    reading = read_rows(tmp_path, [*head("东部企业引进台账", unit=unit), group, ENTERPRISES, row], merges=merges)
    return {name: values[0] for name, values in reading.values.items()}, reading


@pytest.mark.parametrize("unit", ["人、元", "人", "人、亿元"])
@pytest.mark.parametrize(
    ("group", "merges"),
    [
        (["", "", "资金情况（万元）", "", "", ""], ["C3:D3"]),
        (["", "", "资金情况（万元）", "", "", ""], []),
        (["", "", "资金情况（万元）", "", "就业情况", ""], ["C3:D3", "E3:F3"]),
    ],
)
def test_its_unit_goes_before_the_line(tmp_path, group, merges, unit):
    values, reading = enterprises(tmp_path, group, merges, unit)
    assert not faults(reading)
    assert (values["contract_amount"], values["invested"]) == (Decimal("60570000.00"), Decimal("24283632.00"))
    assert (values["jobs"], values["poor_jobs"]) == (100, 40)


def test_above_the_first_column_of_several(tmp_path):
    rows = [*head("扶贫资金支出进度周报表", unit="元"), ["", "资金情况（万元）", "", "", ""], ["资金类别", "下达资金", "到位资金", "支出资金", "支出率（%）"]]
    reading = read_rows(tmp_path, [*rows, *FUNDS], merges=["B3:D3"])
    assert reading.values["spent"] == [Decimal("90000000.00"), Decimal("74000000.00")]


@pytest.mark.parametrize("merges", [[], ["D3:E3"]])
@pytest.mark.parametrize("line", ["（单位：万元）", "资金单位：万元", "金额单位：万元", "（万元）"])
def test_a_unit_line_above_some_columns_is_said_of_all(tmp_path, line, merges):
    values, reading = enterprises(tmp_path, ["", "", "", line, "", ""], merges, unit="")
    assert not faults(reading) and (values["contract_amount"], values["invested"]) == (Decimal("60570000.00"), Decimal("24283632.00"))


@pytest.mark.parametrize("line", ["（万元）", "附件2", "德保县报送"])
def test_a_lone_cell_that_is_no_group_stays_above_the_table(tmp_path, line):
    """A unit line without its word counts as one; anything else changes nothing."""
    values, reading = enterprises(tmp_path, ["", "", "", "", line, ""], ["E3:F3"] if line != "附件2" else [], unit="人、万元")
    assert not faults(reading) and values["contract_amount"] == Decimal("60570000.00") and values["jobs"] == 100


def test_years_as_numbers_beside_a_word_that_is_no_heading(tmp_path):
    """Nothing is made of such a row; the form is read or told, never an error of ours."""
    _, reading = enterprises(tmp_path, ["主要指标", "", 2020, "", "", ""], ["C3:D3"], unit="人、万元")
    assert reading.form == "COP04" and all(f.message_zh for f in reading.findings)


def test_without_merged_cells_it_ends_before_what_cannot_be_in_it(tmp_path):
    rows = [
        *head("四大战役项目进度周报表", unit=""), ["", "项目实施情况", "", "", "", "", "资金情况（万元）", "", ""],
        ["项目类别", "计划数", "已开工", "已竣工", "开工率", "竣工率", "项目总投资", "已投入资金", "受益人口"],
        ["义务教育—新建改扩建学校（所）", 20, 18, 9, "90%", "45%", 100, 50, 300],
    ]  # fmt: skip
    path = tmp_path / "a.csv"
    path.write_bytes(csv_bytes(rows))
    (reading,) = read(path).forms
    assert not faults(reading, "GEN-TYPE")
    assert (reading.values["investment"], reading.values["invested"], reading.values["beneficiaries"]) == ([Decimal("1000000.00")], [Decimal("500000.00")], [300])


@pytest.mark.parametrize(("lower", "merges"), [([["", "惠及贫困人口（人）", ""]], ["A3:A4"]), ([["", "惠及贫困人口", ""], ["", "", ""]], ["A3:A5", "B4:B5"])])
def test_a_form_of_two_columns_that_lacks_one_comes_back_for_that(tmp_path, lower, merges):
    rows = [*head(unit="人"), ["销售渠道", "主要指标", ""], *lower, *([c, p] for c, _, p in COP03_ROWS)]
    reading = read_rows(tmp_path, rows, merges=merges)
    assert [(f.rule_id, f.field) for f in reading.findings if f.severity == "error"] == [("GEN-COLMISS", "sales")] and reading.form == "COP03"


@pytest.mark.parametrize("order", [[2, 3, 0, 1, 4], [4, 0, 1, 2, 3], [1, 2, 3, 4, 0], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("gap", [0, 1])
def test_continued_to_the_right_in_any_order_of_columns(tmp_path, order, gap):
    headings = ["资金类别", "下达资金（万元）", "到位资金（万元）", "支出资金（万元）", "支出率"]
    more = [["市级", 500, 450, 300, "66.67%"], ["县级", 600, 550, 400, "72.73%"]]
    rows = [[*(left[i] for i in order), *[""] * gap, *(right[i] for i in order)] for left, right in zip([headings, *FUNDS], [headings, *more], strict=True)]
    reading = read_rows(tmp_path, [*head("扶贫资金支出进度周报表", unit="万元"), *rows])
    assert not faults(reading)
    assert sorted(zip(reading.values["fund_line"], reading.values["budgeted"], reading.values["spent"], strict=True), key=lambda r: r[1]) == [
        ("special_city", 5_000_000, 3_000_000), ("special_county", 6_000_000, 4_000_000), ("special", 100_000_000, 74_000_000), ("all_fiscal", 120_000_000, 90_000_000),
    ]  # fmt: skip


def test_a_name_is_kept_as_it_is_written(tmp_path):
    values, reading = enterprises(tmp_path, ["", "", "资金（万元）", "", "", ""], ["C3:D3"])
    assert values["enterprise_name"] == "深桂电子（广西）有限公司" and not faults(reading)


@pytest.mark.parametrize("heading", ["支出率", "支出率（%）"])
def test_rates_of_both_scales_in_a_column_are_held_against_our_own_figures(tmp_path, heading):
    rows = [["财政扶贫资金", 12000, 11900, 9000, 0.7563], ["财政专项扶贫资金", 10000, 9900, 7400, 74.75], ["市级", 500, 450, 300, 66.67]]
    reading = read_rows(tmp_path, [*head("扶贫资金支出进度周报表", unit="万元"), ["资金类别", "下达资金", "到位资金", "支出资金", heading], *rows])
    assert [float(v) for v in reading.values["spending_rate"]] == [0.7563, 0.7475, 0.6667] and not [f for f in reading.findings if f.rule_id == "FUN-002"]


def test_as_many_of_one_scale_as_of_the_other_are_no_riddle(tmp_path):
    rows = [["财政扶贫资金", 12000, 11900, 9000, 0.7563], ["财政专项扶贫资金", 10000, 9900, 7400, 74.75]]
    reading = read_rows(tmp_path, [*head("扶贫资金支出进度周报表", unit="万元"), ["资金类别", "下达资金", "到位资金", "支出资金", "支出率"], *rows])
    assert [float(v) for v in reading.values["spending_rate"]] == [0.7563, 0.7475] and not faults(reading)


def test_a_wrong_rate_is_still_told(tmp_path):
    rows = [["财政扶贫资金", 12000, 11900, 9000, 75.63], ["财政专项扶贫资金", 10000, 9900, 7400, 47.75]]
    reading = read_rows(tmp_path, [*head("扶贫资金支出进度周报表", unit="万元"), ["资金类别", "下达资金", "到位资金", "支出资金", "支出率（%）"], *rows])
    assert [f.cell for f in reading.findings if f.rule_id == "FUN-002"] == ["E5"]


@pytest.mark.parametrize("line", ["右江区扶贫办（盖章）", "审批意见：同意上报", "（此页无正文）", "以上数据截至6月14日"])
def test_a_line_below_the_rows_is_no_row(tmp_path, line):
    reading = read_rows(tmp_path, [*head(), ["销售渠道", "采购销售金额", "惠及贫困人口"], *COP03_ROWS, ["合计", 100.5, 1000], [line]])
    assert reading.acceptable and reading.values["poor_persons_benefited"] == [100, 200, 300, 400]


def test_a_stamp_behind_the_label_of_a_title_block_is_none_of_these(tmp_path):
    rows = [["消费扶贫周报表"], ["填报单位（盖章）", "右江区", "截至日期：2020年6月14日"], ["单位：人、万元"], ["销售渠道", "采购销售金额", "惠及贫困人口"], *COP03_ROWS]
    reading = read_rows(tmp_path, rows)
    assert reading.county_code == "451002" and not faults(reading)
