"""Tables in the style of statistical yearbooks: totals, parts, notes and signatures are told from rows."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.yearbook import ITEM, REGION, column, loaded_or_told, only_form, read_by

CROPS = [REGION, column("crop", "作物", "string", primaryKey=True), column("output", "产量", unit="吨")]


def test_regions_set_in_with_spaces_and_a_sum_line(tmp_path, known):
    rows = [["地　区", "年末总人口", "乡村人口"], ["总　计", 60, 40], ["　甲镇", 10, 10], ["　　乙镇", 20, 10], ["  丙乡", 30, 20]]
    form = only_form(tmp_path, known, "人口主要指标", "人", rows)
    assert loaded_or_told(form, "population", [10, 20, 30])



def test_parts_of_a_whole_with_a_hash(tmp_path, known):
    rows = [["地区", "就业人员", "#女性"], ["甲镇", 10, 4], ["乙镇", 20, "…"], ["合计", 30, 4]]
    loaded_or_told(only_form(tmp_path, known, "城镇就业人员", "人", rows), "female", [4, None])



@pytest.mark.parametrize("line", ["单位：右江区统计局（盖章）", "单位：张三", "单位：万吨"])
def test_below_the_rows_it_is_a_signature(tmp_path, known, line):
    form = only_form(tmp_path, known, "主要农产品产量", "吨", [["地区", "粮食", "甘蔗"], ["甲镇", 1, 2], ["乙镇", 3, 4], [line, "", ""]])
    assert form.acceptable and loaded_or_told(form, "grain", [1, 3])



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



def test_the_total_fertility_rate_is_no_total(tmp_path):
    form = read_by(tmp_path, [ITEM, column("value", "数值", unit="%")], None, [["指标", "数值（%）"], ["出生率", 1.2], ["合计生育率", 1.5]])
    assert form.acceptable and loaded_or_told(form, "value", [Decimal("0.012"), Decimal("0.015")])



@pytest.mark.parametrize("part", ["#城区", "其中城区", "（其中）城区", "其中：高新技术产业开发区城区"])
def test_a_part_of_the_row_above_is_no_row(tmp_path, known, part):
    rows = [["地区", "年末总人口", "乡村人口"], ["甲镇", 10, 10], [f"　{part}", 5, 5], ["乙镇", 20, 10]]
    assert not only_form(tmp_path, known, "人口主要指标", "人", rows).acceptable
