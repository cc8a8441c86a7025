"""Templates are made from the contracts, and what they ask for is what reading expects."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import openpyxl
import pytest

from ingestion.contracts import contracts
from ingestion.identity import check_character
from ingestion.reading import read_file
from ingestion.reference import codes
from ingestion.returned import write_returned
from ingestion.rule_words import how_to_mend, in_excel, rule_in_words
from ingestion.template import write_template

COUNTY, WEEK = "451026", "2020-W24"  # one of those that still report exit progress
RECEIVED = dt.datetime(2020, 6, 15, 4, tzinfo=dt.UTC)
DAY = dt.datetime(2020, 6, 10)
ID = "45102619900101001"

# One consistent row a form, in the units of the template (万元, %); keys only where the template leaves them open
ROWS = {
    "CAM01": {"planned": 10, "started": 8, "completed": 5, "start_rate": 80, "completion_rate": 50, "investment": 100, "invested": 60, "beneficiaries": 50},
    "COP01": {"project_no": "XM2020001", "project_name": "甲项目", "fund_source": "广东省财政", "project_type": "产业", "allocated": 100, "arrived": 90, "spent": 45.5, "status": "在建", "start_date": DAY, "poor_persons_benefited": 20},
    "COP02": {"trip_no": "BC2020001", "trip_date": DAY, "mode": "包车", "destination": "广东省深圳市", "vehicles": 1, "persons": 40, "poor_persons": 30},
    "COP03": {"sales": 12.5, "poor_persons_benefited": 80},
    "COP04": {"enterprise_name": "甲公司", "project_name": "电子厂", "contract_amount": 1000, "invested": 400, "jobs": 50, "poor_jobs": 20},
    "DIS01": {"event_no": "DD2020001", "event_date": DAY, "event_type": "调度会", "topic": "就业扶贫", "level": "县级", "townships_visited": 1},
    "EMP01": {"labour_force": 1000, "employed_away": 600, "away_other_province": 300, "away_guangdong": 200, "away_in_province": 100, "employed_in_county": 200, "returned_unemployed": 50, "employed_away_2019": 500, "rate_of_2019": 120, "workshops_recognised": 3, "workshops_resumed": 2, "workshop_poor_workers": 20, "public_posts": 40, "public_post_holders": 38, "wage_income_households": 100},
    "EPI01": {"affected": 10, "resolved": 4, "measure": "点对点输送"},
    "EXI01": {"standard_value": 100, "current_value": 100, "is_met": "是"},
    "EXI02": {"village": None, "criteria_met": 12, "criteria_unmet": 0, "poor_persons": 30, "incidence": 1.5, "is_listed": "否"},
    "FUN01": {"budgeted": 100, "arrived": 80, "spent": 60, "spending_rate": 75},
    "IND01": {"planned_households": 100, "planned_subsidy": 30, "accepted_households": 80, "paid_households": 60, "paid_subsidy": 20, "payout_rate": 66.7, "capable_households": 120, "covered_households": 100, "parks_built": 1, "poor_villages_with_entity": 2, "entity_led_households": 30},
    "IND02": {"payment_no": "FF2020000001", "batch_no": "PC01", "village": None, "household_no": "H0000001", "head_name": "某某", "id_number": ID + check_character(ID), "industry": None, "quantity": 10, "quantity_unit": None, "rate": 100, "amount": 1000, "paid_date": DAY, "bank_account_tail": "0012"},
    "MON01": {"unstable_households": 3, "unstable_persons": 10, "marginal_households": 2, "marginal_persons": 6, "red_households": 1, "yellow_households": 2, "blue_households": 2, "new_households": 0, "cleared_households": 0, "assisted_households": 5},
    "MON02": {"household_no": "H0000002", "village": None, "head_name": "某某", "id_number": ID + check_character(ID), "persons": 4, "household_type": "脱贫不稳定户", "alert_level": "红色", "review_stage": "县级审定", "risk_cause": "因病", "intervention": "产业帮扶", "entered_date": DAY},
    "REC01": {"finding_no": "WT2020001", "source": "暗访", "aspect": "产业", "description": "资料不全", "found_date": DAY, "due_date": dt.datetime(2020, 9, 30), "status": "正在整改"},
    "REL01": {"site_code": "AZ1026001", "site_name": "甲安置点", "township": None, "resettlement_type": "城镇安置", "households": 100, "persons": 400, "willing_households": 90, "willing_persons": 180, "employed_households": 90, "employed_persons": 170, "industry_projects_planned": 3, "industry_projects_implemented": 2, "facility_projects_planned": 5, "facility_projects_started": 4, "facility_projects_completed": 3},
    "SOC01": {"low_income_persons": 500, "low_income_poor_persons": 100, "extreme_poverty_persons": 20, "orphans": 3, "disability_subsidy_persons": 60, "medical_insured_poor": 900, "subsidy_paid": 88.88},
}  # fmt: skip


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    return write_template(tmp_path_factory.mktemp("template") / "那坡.xlsx", COUNTY, WEEK, contracts(), codes())


@pytest.fixture(scope="module")
def filled(blank):
    """The template filled in by program, as a county would by hand; formulas keep no value, as nobody calculated them."""
    book, known = openpyxl.load_workbook(blank), contracts()
    places = {"village": codes().place_name(codes().villages_of(COUNTY)[0]), "township": codes().place_name(codes().townships_of(COUNTY)[0])}
    industry = next(iter(codes().industries_of(COUNTY)))
    unit = known.form("IND02").by_name["quantity_unit"].values[codes().quantity_units[industry]][0]
    places |= {"industry": codes().industries[industry], "quantity_unit": unit}
    for code, row in ROWS.items():
        form, sheet = known.form(code), book[known.form(code).zh[:31]]
        first = next(r for r in range(4, 7) if sheet.cell(r, 1).value != "合计")
        number = first
        while number == first or (sheet.cell(number, 1).value not in (None, "合计") and not str(sheet.cell(number, 1).value).startswith("注")):
            label = sheet.cell(number, 1).value
            for column, field in enumerate(form.fields, 1):
                value = row.get(field.name, "")
                if value != "":
                    sheet.cell(number, column).value = places[field.name] if value is None else value
            if code == "EXI01" and "3%" in str(label):
                sheet.cell(number, 3).value, sheet.cell(number, 2).value = 2.1, 3
            if code == "FUN01" and label == "财政专项扶贫资金":
                for column, value in ((2, 400), (3, 320), (4, 240)):
                    sheet.cell(number, column).value = value
            number += 1
    path = blank.with_name("填好.xlsx")
    book.save(path)
    return path


def test_a_blank_template_is_an_empty_report_of_every_form_without_a_finding(blank):
    reading = read_file(blank, "周报.xlsx", received_at=RECEIVED)
    assert reading.refusal_zh is None and reading.findings == []
    assert sorted(f.form for f in reading.forms) == contracts().codes
    assert all(f.empty and not f.findings and f.county_code == COUNTY and f.week == WEEK for f in reading.forms)
    assert set(reading.ignored_sheets) == {"填表说明", "下拉选项"}


def test_a_filled_template_reads_without_a_finding(filled):
    reading = read_file(filled, "周报.xlsx", received_at=RECEIVED)
    found = [(f.rule_id, f.form, f.cell, f.message_zh) for f in (*reading.findings, *(x for form in reading.forms for x in form.findings))]
    assert found == [] and reading.refusal_zh is None
    forms = {f.form: f for f in reading.forms}
    assert sorted(forms) == contracts().codes and not any(f.empty for f in forms.values())
    assert forms["EMP01"].rows == len(codes().townships_of(COUNTY))
    assert set(forms["SOC01"].values["subsidy_paid"]) == {Decimal("888800")}  # 88.88 万元 in yuan
    assert set(forms["EMP01"].values["rate_of_2019"]) == {Decimal("1.2")}
    assert forms["IND02"].values["amount"] == [Decimal(1000)]  # that form is in 元
    assert forms["IND02"].values["bank_account_tail"] == ["0012"]
    assert forms["IND01"].values["industry_tier"] == list(codes().industries_of(COUNTY).values())


def test_a_returned_workbook_reads_like_the_original_and_clean_once_mended(filled, tmp_path):
    book = openpyxl.load_workbook(filled)
    book["就业扶贫周报表"]["C5"].value = "六百"
    path = tmp_path / "有错.xlsx"
    book.save(path)
    first = read_file(path, received_at=RECEIVED)
    found = [f for form in first.forms for f in form.findings]
    assert [(f.rule_id, f.cell) for f in found] == [("GEN-TYPE", "C5")]
    back = write_returned(path, first, found, tmp_path / "out")
    again = read_file(back, received_at=RECEIVED)
    assert [(f.rule_id, f.cell) for form in again.forms for f in form.findings] == [("GEN-TYPE", "C5")] and again.findings == []
    book = openpyxl.load_workbook(back)
    book["就业扶贫周报表"]["C5"].value = 600
    book.save(back)
    mended = read_file(back, received_at=RECEIVED)
    assert [f for form in mended.forms for f in form.findings] == [] and len(mended.forms) == 18


def test_a_county_that_has_exited_gets_no_exit_forms(tmp_path):
    book = openpyxl.load_workbook(write_template(tmp_path / "t.xlsx", "451002", WEEK, contracts(), codes()))
    absent = {contracts().form(c).zh[:31] for c in ("EXI01", "EXI02")}
    assert not absent & set(book.sheetnames) and len(book.sheetnames) == 2 + 16


def test_every_field_of_every_contract_has_a_column(blank):
    book = openpyxl.load_workbook(blank)
    for code in contracts().codes:
        form = contracts().form(code)
        headings = [c.value for c in book[form.zh[:31]][3]]
        assert [h.startswith(f.zh) for h, f in zip(headings, form.fields, strict=False)] == [True] * len(form.fields)


def test_last_week_fills_keys_and_attributes_and_stands_in_comments_only(tmp_path):
    before = {
        "REL01": [{"site_code": "AZ1", "site_name": "甲点", "township": codes().townships_of(COUNTY)[1], "resettlement_type": "park", "households": 120}],
        "EMP01": [{"township": codes().townships_of(COUNTY)[0], "labour_force": 321, "employed_away_2019": 222}],
        "FUN01": [{"fund_line": "special", "spent": Decimal(1234500)}],
    }
    book = openpyxl.load_workbook(write_template(tmp_path / "t.xlsx", COUNTY, WEEK, contracts(), codes(), before))
    sites = book[contracts().form("REL01").zh]
    assert [sites.cell(5, c).value for c in range(1, 6)] == ["AZ1", "甲点", codes().place_name(codes().townships_of(COUNTY)[1]), "产业园区安置", None]
    assert sites["E5"].comment.text == "上次填报：120户"
    employment = book[contracts().form("EMP01").zh]
    assert employment["B4"].value is None and "321人" in employment["B4"].comment.text
    assert employment["I4"].value == 222  # the base of 2019 never changes
    assert "123.45万元" in book[contracts().form("FUN01").zh]["D5"].comment.text


def test_choices_and_bounds_are_offered(blank):
    sheet = openpyxl.load_workbook(blank)["监测对象台账"]
    kinds = {str(v.sqref).split(":")[0]: v for v in sheet.data_validations.dataValidation}
    assert kinds["B4"].type == "list" and "下拉选项" in kinds["B4"].formula1
    assert kinds["E4"].type == "whole" and kinds["E4"].operator == "greaterThanOrEqual"
    assert kinds["K4"].type == "date"
    assert all(len(v.prompt or "") <= 255 for v in kinds.values())


def test_row_rules_become_conditional_formats(blank):
    sheet = openpyxl.load_workbook(blank)["四大战役项目进度周报表"]
    formulas = [r.formula[0] for area in sheet.conditional_formatting for r in area.rules]
    assert "AND(ISNUMBER($D4),ISNUMBER($B4),ISNUMBER($C4),NOT(AND(($D4<=$C4),($C4<=$B4))))" in formulas


def test_expressions_in_excel_and_in_words():
    form = contracts().form("EXI02")
    assert in_excel("incidence <= 0.05 or is_listed", form, lambda n: f"<{n}>", "") == 'OR(((<incidence>/100)<=0.05),(<is_listed>="是"))'
    rules = contracts().rules
    assert rule_in_words(rules["EMP-001"], contracts().form("EMP01")) == "外出务工人数 ＝ 省外务工 ＋ 省内县外务工 ＋ 县内务工"
    assert rule_in_words(rules["MOL-003"], contracts().form("MON02")) == "预警级别不是“红色” 或 帮扶措施不为空"


def test_every_rule_says_how_to_mend():
    known = contracts()
    silent = [r.id for r in known.rules.values() if not how_to_mend(r, known.form(r.form) if r.form in known.codes else None)]
    assert silent == []
