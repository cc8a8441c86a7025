"""What judgement makes of submissions put straight into the database."""

from __future__ import annotations

import datetime as dt
import json
from zoneinfo import ZoneInfo

from integration.warehouse_rows import submit  # noqa: F401  (tests take it from here)

from expectations.judge import judge

NOW = dt.datetime(2020, 6, 20, 9, tzinfo=ZoneInfo("Asia/Shanghai"))
WEEK, BEFORE = "2020-W24", "2020-W23"


def findings(connection, settings, rule, status="open"):
    """(week, county, row_key, field, value, expected, difference) of a rule after judging, in order."""
    judge(connection, settings, now=NOW, great_expectations=False)
    return connection.execute(
        """select week, county_code, row_key, field, value, expected, difference from quality.finding
           where rule_id = %s and status = %s and stage = 'judgement' order by 1, 2, 3, 4""",
        [rule, status],
    ).fetchall()


def status(connection, rule, county, week=WEEK):
    """The rule's current result for a county and week."""
    return connection.execute(
        "select status from quality.check_result_current where rule_id = %s and county_code = %s and week = %s",
        [rule, county, week],
    ).fetchone()[0]


def lay_out(connection, submission, columns, sheet="表"):
    """Give a submission one block of columns: field → letter."""
    block = {"block": 1, "member": "", "sheet": sheet, "columns": {f: {"col": c} for f, c in columns.items()}}
    connection.execute("update intake.submission set layout = %s where submission_id = %s", [json.dumps([block]), submission])
