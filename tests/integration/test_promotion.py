"""A rule that starts as a warning and is promoted: in the contract, when a form is read, and when it is accepted."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
import yaml

from ingestion.checks import check_form
from ingestion.contracts import FOLDER, contracts, load_contracts
from ingestion.reference import codes
from tests.rules.builder import read

PROMOTED = [{"from": dt.date(2020, 1, 1), "severity": "warning"}, {"from": dt.date(2020, 6, 8), "severity": "error"}]


@pytest.fixture
def promoted(tmp_path):
    """The project's contracts, EMP-001 being a warning until 7 June and no rule at all before February."""
    for path in FOLDER.glob("*.yaml"):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        if document.get("id") == "EMP01":
            for rule in document["schema"][0]["quality"]:
                if rule["name"] == "EMP-001":
                    rule["customProperties"] += [{"property": "severities", "value": PROMOTED}, {"property": "validFrom", "value": "2020-02-01"}]
        (tmp_path / path.name).write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return load_contracts(tmp_path)


def severities(of, week):
    reading = read("EMP01", {"employed_away": 61, "away_other_province": 30, "away_in_province": 20, "employed_in_county": 10}, week=week)
    check_form(reading, [], of.form("EMP01", reading.as_of_date), codes())
    return [f.severity for f in reading.findings if f.rule_id == "EMP-001"]


def test_as_read_before_and_after(promoted):
    assert [severities(promoted, week) for week in ("2020-W02", "2020-W23", "2020-W24")] == [[], ["warning"], ["error"]]
    assert severities(contracts(), "2020-W23") == ["error"]


def test_one_form_for_one_set_of_rules(promoted):
    """Acceptance keeps its statements by the form's identity."""
    def on(month, day):
        return promoted.form("EMP01", dt.date(2020, month, day))

    assert on(3, 1) is on(4, 1) and on(6, 8) is on(7, 1) and on(3, 1) is not on(7, 1)
    assert contracts().form("SOC01", dt.date(2020, 3, 1)) is contracts().form("SOC01")
    assert dataclasses.replace(on(7, 1), rules=()) == dataclasses.replace(on(3, 1), rules=())
