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
