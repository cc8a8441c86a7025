"""Contracts that somebody else wrote, in plain Open Data Contract Standard: tables load with the right totals, or are refused in words."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import openpyxl
import pytest
import yaml

from ingestion.checks import ELSEWHERE, KINDS
from ingestion.contract_model import CHECKS, ContractError
from ingestion.contracts import load_contracts
from ingestion.reading import read_file

RECEIVED = dt.datetime(2020, 6, 15, 9, 0, tzinfo=dt.timezone(dt.timedelta(hours=8)))
PROPERTIES = [
    {"name": "region", "businessName": "地区", "logicalType": "string", "primaryKey": True},
    {"name": "sownArea", "businessName": "播种面积", "logicalType": "number", "customProperties": [{"property": "unit", "value": "mu"}]},
    {"name": "output", "businessName": "产量（吨）", "logicalType": "number"},
    {"name": "growth", "businessName": "产量比上年增长（%）", "logicalType": "number"},
]
HEADINGS = ["地区", "播种面积（亩）", "产量（吨）", "产量比上年增长（%）"]
ROWS = [["甲镇", 100.5, 20, 3.1], ["乙镇", 50.25, 10, -1.2], ["合计", 150.75, 30, 1.9]]


def contract(properties=PROPERTIES, table=None, **about):
    document = {"apiVersion": "v3.0.0", "kind": "DataContract", "id": "0f0e-crop-table", "version": "1.0.0", "status": "active", "name": "粮食生产情况统计表"}
    return document | {"schema": [{"name": "grain", "logicalType": "object", "properties": properties} | (table or {})]} | about


def known(folder, *documents):
    folder.mkdir(exist_ok=True)
    for number, document in enumerate(documents):
        (folder / f"c{number}.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return load_contracts(folder)


def read(tmp_path, of, rows=ROWS, headings=HEADINGS, unit=None, title="粮食生产情况统计表"):
    book = openpyxl.Workbook()
    for row in [[title], ["填报单位：右江区", "截至日期：2020年6月14日", *([f"单位：{unit}"] if unit else [])], headings, *rows]:
        book.active.append(row)
    book.save(tmp_path / "表.xlsx")
    return read_file(tmp_path / "表.xlsx", received_at=RECEIVED, contracts=of)


def only(reading):
    assert reading.refusal_zh is None and len(reading.forms) == 1, (reading.refusal_zh, reading.findings)
    return reading.forms[0]


def errors(form):
    return {(f.rule_id, f.field) for f in form.findings if f.severity == "error"}


def changed(index, **change):
    return [p | (change if i == index else {}) for i, p in enumerate(PROPERTIES)]


# ---------------------------------------------------------------- what is inferred


def test_a_bare_contract_is_enough(tmp_path):
    of = known(tmp_path / "c", contract())
    form = of.form("GRAIN")  # the id cannot name a table, so the table's own name does
    assert [(f.name, f.type, f.kind, f.unit) for f in form.fields] == [
        ("region", "text", "key", None), ("sown_area", "decimal", "stock", "亩"), ("output", "decimal", "stock", "吨"), ("growth", "percent", "attribute", None),
    ]  # fmt: skip
    assert (form.valid_from, form.valid_to, form.listing, form.titles) == (dt.date(1900, 1, 1), None, "level", ("粮食生产情况统计表",))
    reading = only(read(tmp_path, of))
    assert errors(reading) == set()
    assert sum(reading.values["sown_area"]) == Decimal("150.75") and sum(reading.values["output"]) == 30
    assert reading.values["growth"] == [Decimal("0.031"), Decimal("-0.012")]


def test_a_short_id_is_the_forms_code(tmp_path):
    assert known(tmp_path / "c", contract(id="grain-weekly")).codes == ["GRAIN_WEEKLY"]


def test_the_checks_a_contract_may_name_are_those_there_are():
    assert set(CHECKS) == set(KINDS) | set(ELSEWHERE)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"logicalType": "integer"}, ("integer", "stock", "numeric")),
        ({"physicalType": "DECIMAL(18,2)"}, ("decimal", "stock", "numeric")),
        ({"physicalType": "varchar(20)"}, ("text", "attribute", "text")),
        ({"logicalType": "date"}, ("date", "attribute", "date")),
        ({"logicalType": "number", "businessName": "平均单价"}, ("decimal", "attribute", "numeric")),
        ({"logicalType": "string", "customProperties": [{"property": "values", "value": ["早稻", "晚稻"]}]}, ("code", "attribute", "text")),
    ],
    ids=lambda x: str(x)[:40],
)
def test_types_and_kinds(tmp_path, node, expected):
    extra = {"name": "x", "businessName": "某栏"} | node
    field = known(tmp_path / "c", contract([*PROPERTIES, extra])).form("GRAIN").by_name["x"]
    assert (field.type, field.kind, field.sql_type) == expected


def test_columns_get_names_that_a_table_can_have(tmp_path):
    names = ["播种面积", "order", "rowNo", "A B"]
    nodes = [PROPERTIES[0]] + [{"name": n, "businessName": f"栏{i}", "logicalType": "integer"} for i, n in enumerate(names)]
    assert [f.name for f in known(tmp_path / "c", contract(nodes)).form("GRAIN").fields] == ["region", "field_2", "order_value", "row_no_value", "a_b"]


# ---------------------------------------------------------------- units: right, or refused


@pytest.mark.parametrize(
    ("heading", "unit", "expected"),
    [
        ("播种面积（亩）", None, Decimal("150.75")),
        ("播种面积（万亩）", None, Decimal("1507500")),
        ("播种面积", "亩、吨", Decimal("150.75")),
        ("播种面积", "万亩、吨", Decimal("1507500")),
        ("播种面积", "（万亩）", Decimal("1507500")),
        ("播种面积", "万亩/吨", Decimal("1507500")),
        ("播种面积（亩）", "万亩", Decimal("150.75")),  # the heading goes before the line
        ("播种面积", None, Decimal("150.75")),
    ],
)
def test_powers_of_ten_are_converted(tmp_path, heading, unit, expected):
    form = only(read(tmp_path, known(tmp_path / "c", contract()), headings=["地区", heading, *HEADINGS[2:]], unit=unit))
    assert errors(form) == set() and sum(form.values["sown_area"]) == expected


@pytest.mark.parametrize(("heading", "unit"), [("播种面积（公顷）", None), ("播种面积", "公顷、吨"), ("播种面积（万元）", None), ("播种面积（%）", None), ("播种面积", "亩、万亩")])
def test_another_unit_is_refused_in_words(tmp_path, heading, unit):
    form = only(read(tmp_path, known(tmp_path / "c", contract()), headings=["地区", heading, *HEADINGS[2:]], unit=unit))
    assert errors(form) == {("GEN-TYPE", "sown_area")}
    (finding,) = [f for f in form.findings if f.severity == "error"]
    assert "播种面积" in finding.message_zh and "无法判定数值" in finding.message_zh and finding.cell == "B3"


def test_a_unit_that_the_contract_says_nothing_of_is_refused(tmp_path):
    nodes = [PROPERTIES[0], {"name": "value", "businessName": "投入", "logicalType": "number"}]
    of = known(tmp_path / "c", contract(nodes))
    rows = [["甲镇", 5], ["乙镇", 7]]
    assert errors(only(read(tmp_path, of, rows, ["地区", "投入"], unit="万元"))) == {("GEN-TYPE", "value")}
    assert errors(only(read(tmp_path, of, [["甲镇", "5万元"], ["乙镇", 7]], ["地区", "投入"]))) == {("GEN-TYPE", "value")}
    plain = only(read(tmp_path, of, rows, ["地区", "投入"]))
    assert errors(plain) == set() and plain.values["value"] == [5, 7]


def test_money_in_yuan_and_in_the_unit_that_the_contract_wants(tmp_path):
    rows, headings = [["甲镇", 5.5], ["乙镇", 7]], ["地区", "投入（万元）"]
    for unit, expected in (("CNY", Decimal(125000)), ("元", Decimal(125000)), ("万元", Decimal("12.5"))):
        nodes = [PROPERTIES[0], {"name": "value", "businessName": "投入", "logicalType": "number", "customProperties": [{"property": "unit", "value": unit}]}]
        form = only(read(tmp_path, known(tmp_path / "c", contract(nodes)), rows, headings))
        assert errors(form) == set() and sum(form.values["value"]) == expected
    undecided = only(read(tmp_path, known(tmp_path / "c", contract([*nodes[:1], nodes[1] | {"customProperties": [{"property": "unit", "value": "元"}]}])), rows, ["地区", "投入"]))
    assert errors(undecided) == {("GEN-TYPE", "value")}  # yuan or ten thousand yuan: nobody says


def test_a_unit_in_brackets_above_the_table(tmp_path):
    book = openpyxl.Workbook()
    for row in [["粮食生产情况统计表"], ["填报单位：右江区", "截至日期：2020年6月14日", "（单位：万亩、吨）"], ["地区", "播种面积", *HEADINGS[2:]], *ROWS]:
        book.active.append(row)
    book.save(tmp_path / "表.xlsx")
    form = only(read_file(tmp_path / "表.xlsx", received_at=RECEIVED, contracts=known(tmp_path / "c", contract())))
    assert errors(form) == set() and sum(form.values["sown_area"]) == Decimal("1507500")


def test_persons_under_a_heading_in_ten_thousands(tmp_path):
    nodes = [PROPERTIES[0], {"name": "people", "businessName": "人口", "logicalType": "integer", "customProperties": [{"property": "unit", "value": "人"}]}]
    form = only(read(tmp_path, known(tmp_path / "c", contract(nodes)), [["甲镇", 1.25], ["乙镇", 0.5]], ["地区", "人口（万人）"]))
    assert errors(form) == set() and form.values["people"] == [12500, 5000]


# ---------------------------------------------------------------- totals and keys


def test_a_total_that_does_not_fit_is_refused_even_if_the_contract_has_no_rules(tmp_path):
    form = only(read(tmp_path, known(tmp_path / "c", contract()), [*ROWS[:2], ["合计", 160, 30, 1.9]]))
    assert [(f.rule_id, f.cell, f.expected) for f in form.findings if f.severity == "error"] == [("GRAIN-TOTAL", "B6", "150.75")]


def test_rounded_figures_may_be_off_by_their_rounding_and_counts_may_not(tmp_path):
    of = known(tmp_path / "c", contract())
    assert errors(only(read(tmp_path, of, [*ROWS[:2], ["合计", 150.8, 30, 1.9]]))) == set()
    assert errors(only(read(tmp_path, of, [*ROWS[:2], ["合计", 150.75, 31, 1.9]]))) == {("GRAIN-TOTAL", "output")}


def test_a_key_of_several_columns(tmp_path):
    nodes = [PROPERTIES[0], {"name": "crop", "businessName": "作物", "logicalType": "string", "primaryKey": True}, *PROPERTIES[1:3]]
    of = known(tmp_path / "c", contract(nodes))
    headings = ["地区", "作物", "播种面积（亩）", "产量（吨）"]
    rows = [["甲镇", "水稻", 10, 1], ["甲镇", "玉米", 20, 2], ["合计", "", 30, 3]]
    form = only(read(tmp_path, of, rows, headings))
    assert errors(form) == set() and sum(form.values["sown_area"]) == 30
    assert errors(only(read(tmp_path, of, [rows[0], rows[0], rows[1]], headings))) == {("GEN-KEY", "region")}


def test_a_column_that_is_called_otherwise_is_refused(tmp_path):
    """Loading NULL for it would be a wrong total."""
    form = only(read(tmp_path, known(tmp_path / "c", contract()), headings=["地区", "种植面积（亩）", *HEADINGS[2:]]))
    assert ("GEN-COLMISS", "sown_area") in errors(form)


# ---------------------------------------------------------------- rules of the standard


def test_limits_and_library_rules_are_checked_and_the_others_are_told(tmp_path):
    nodes = [*changed(1, logicalTypeOptions={"maximum": 100, "multipleOf": 0.5}), {"name": "grade", "businessName": "等级", "logicalType": "string", "quality": [{"type": "library", "rule": "invalidValues", "mustBe": 0, "arguments": {"validValues": ["一", "二"]}}]}]
    table = {"quality": [{"type": "sql", "name": "no gaps", "query": "select 1", "mustBe": 0}, {"type": "text", "description": "按月核对"}]}
    of = known(tmp_path / "c", contract(nodes, table))
    rows = [[*ROWS[0], "一"], [*ROWS[1], "三"]]
    form = only(read(tmp_path, of, rows, [*HEADINGS, "等级"]))
    assert {(f.rule_id, f.cell) for f in form.findings if f.severity == "error"} == {("GRAIN-SOWN_AREA-MAXIMUM", "B4"), ("GRAIN-GRADE-VALUES", "E5")}
    assert len(of.form("GRAIN").notes) == 3 and "no gaps" in of.form("GRAIN").notes[0]


# ---------------------------------------------------------------- what cannot be used


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (contract() | {"kind": "Dataset"}, "no data contract"),
        (contract() | {"apiVersion": "v2.2.2"}, "version 3"),
        (contract() | {"schema": []}, "schema"),
        (contract(changed(1, businessName="产量(吨)")), "means two fields"),
        (contract(changed(1, logicalType="array")), "no cell of a table"),
        (contract(changed(1, logicalType=None)), "neither logicalType nor physicalType"),
        (contract([PROPERTIES[1]]), "no field can name a row"),
        (contract(changed(1, customProperties=[{"property": "kind", "value": "level"}])), "kind level"),
        (contract(customProperties=[{"property": "validFrom", "value": "June"}]), "validFrom"),
        (contract(table={"quality": [{"type": "custom", "engine": "warehouse", "name": "X-1", "severity": "error", "implementation": {"check": "magic"}}]}), "no check magic"),
        (contract(table={"quality": [{"type": "custom", "engine": "warehouse", "name": "X-1", "severity": "error", "implementation": {"check": "row", "expression": "area < 1"}}]}), "no field area"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_cannot_be_used_is_refused_with_the_files_name(tmp_path, document, words):
    with pytest.raises(ContractError, match=rf"c0\.yaml: .*{words}"):
        known(tmp_path / "c", document)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({}, "both are version"),
        ({"version": "2.0.0"}, "both are valid from"),
        ({"id": "another-table", "schema": [{"name": "another", "properties": PROPERTIES}]}, "title"),
        ({"version": "2.0.0", "customProperties": [{"property": "validFrom", "value": "2020-06-01"}],
          "schema": [{"name": "grain", "properties": changed(1, customProperties=[{"property": "unit", "value": "hectares"}])}]}, "another name"),
    ],
    ids=["version", "dates", "title", "unit"],
)  # fmt: skip
def test_contracts_that_contradict_each_other_are_refused(tmp_path, other, words):
    with pytest.raises(ContractError, match=words):
        known(tmp_path / "c", contract(), contract() | other)


def test_a_folder_without_contracts_is_refused(tmp_path):
    with pytest.raises(ContractError, match="no contract"):
        load_contracts(tmp_path)
