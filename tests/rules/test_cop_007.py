"""COP-007: the cooperation projects add up to the cooperation line of the fund report."""

import pytest
from judged import WEEK, findings, status, submit

pytestmark = pytest.mark.database
COUNTY = "451002"


def ledger(connection, *amounts):
    submit(connection, "COP01", COUNTY, WEEK, [{"project_no": f"P{n}", "arrived": a, "spent": s} for n, (a, s) in enumerate(amounts)])


def fund(connection, arrived, spent, line="cooperation", **options):
    row = {"fund_line": line, "budgeted": 10**6, "arrived": arrived, "spent": spent, "spending_rate": "0.5"}
    submit(connection, "FUN01", COUNTY, WEEK, [] if options else [row], **options)


def test_sums_that_agree(connection, settings):
    ledger(connection, ("100.10", 50), (200, "25.5"))
    fund(connection, "300.1", "75.50")
    assert findings(connection, settings, "COP-007") == []
    assert status(connection, "COP-007", COUNTY) == "pass"


def test_one_finding_a_field_about_the_form_as_a_whole(connection, settings):
    ledger(connection, (100, 50), (200, 25))
    fund(connection, 350, 70)
    assert findings(connection, settings, "COP-007") == [
        (WEEK, COUNTY, "", "arrived", "300", "350", "-50"),
        (WEEK, COUNTY, "", "spent", "75", "70", "5"),
    ]
    assert status(connection, "COP-007", COUNTY) == "pass_with_violations"


@pytest.mark.parametrize("partner", ["missing", "returned", "without the line"])
def test_not_evaluable_without_the_fund_report(connection, settings, partner):
    ledger(connection, (100, 50))
    if partner == "returned":
        fund(connection, 0, 0, state="returned")
    if partner == "without the line":
        fund(connection, 1, 1, line="consolidated")
    assert findings(connection, settings, "COP-007") == []
    assert status(connection, "COP-007", COUNTY) == "not_evaluable"


def test_a_corrected_fund_report_resolves_it(connection, settings):
    ledger(connection, (100, 50))
    fund(connection, 100, 60)
    assert [f[3] for f in findings(connection, settings, "COP-007")] == ["spent"]
    fund(connection, 100, 50)
    assert findings(connection, settings, "COP-007") == []
    assert status(connection, "COP-007", COUNTY) == "pass"
    assert len(findings(connection, settings, "COP-007", status="resolved")) == 1
