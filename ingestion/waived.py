"""Waivers while a form is taken in: a violation that has been waived is recorded as such and returns nothing.

Only a violation by values that can be read can be waived. Where a general rule found an error there is no value to
load, and a key that stands twice cannot become two rows of a mart.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import psycopg

from ingestion.contracts import contracts
from ingestion.model import Finding

NO_VALUE = "GEN-"  # errors of these rules leave no value behind
OF_KEYS = ("complete", "unique_in_year")

# A waiver w holds for a finding f; %(day)s is the day on which it must not have expired
HOLDS = """w.rule_id = f.rule_id and w.form = f.form and w.county_code in (f.county_code, '*')
           and f.week between w.from_week and w.to_week and {day} <= w.expires_on"""


def can_be_waived(finding: Finding) -> bool:
    """Whether the form could be loaded with this violation in it."""
    if finding.severity == "warning":
        return True
    if finding.rule_id.startswith(NO_VALUE):
        return False
    rule = contracts().rules.get(finding.rule_id)
    return not (rule and rule.check in OF_KEYS and finding.stage == "reading" and finding.row_no is not None)


def mark(connection: psycopg.Connection, findings: Iterable[tuple[Finding, dt.datetime]], timezone: ZoneInfo) -> int:
    """Set status and waiver_id of findings that are waived on the day their file was received; returns how many."""
    found = [(f, at.astimezone(timezone).date()) for f, at in findings if f.form and f.county_code and f.week and can_be_waived(f)]
    if not found:
        return 0
    waivers: dict[tuple[str, str], list[tuple]] = {}
    for waiver_id, rule_id, form, county, first, last, expires in connection.execute(
        """select waiver_id, rule_id, form, county_code, from_week, to_week, expires_on from quality.waiver
           where rule_id = any(%s) order by waiver_id""",
        [sorted({f.rule_id for f, _ in found})],
    ):
        waivers.setdefault((rule_id, form), []).append((waiver_id, county, first, last, expires))
    number = 0
    for finding, day in found:
        for waiver_id, county, first, last, expires in waivers.get((finding.rule_id, finding.form), ()):
            if county in (finding.county_code, "*") and first <= finding.week <= last and day <= expires:
                finding.status, finding.waiver_id = "waived", waiver_id
                number += 1
                break
    return number
