"""Tables as statistical yearbooks print them, with contracts that somebody else wrote."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import openpyxl
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
OF_YEARS = [p | {"primaryKey": False} for p in [REGION]] + [column("grain", "粮食", unit="吨", required=False), column("oil", "油料", unit="吨", required=False)]
ITEM = column("item", "指标", "string", primaryKey=True)


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


def only_or_refusal(tmp_path, known, rows):
    book = openpyxl.Workbook()
    for row in [["人口主要指标 Main Indicators"], ["填报单位：右江区", "截至日期：2020年6月14日", "单位：人"], *rows]:
        book.active.append(row)
    book.save(tmp_path / "表.xlsx")
    return read_file(tmp_path / "表.xlsx", received_at=RECEIVED, contracts=known)


def read_by(tmp_path, properties, unit, rows, merges=(), title="分县主要指标"):
    return only_form(tmp_path, contracts_of(tmp_path, title, properties), title, unit, rows, merges)
