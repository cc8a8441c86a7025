"""Waivers: a rule set aside for one form of one county and a span of weeks, by name, with reason and expiry."""

from __future__ import annotations

import datetime as dt

import psycopg

from ingestion.waived import HOLDS, NO_VALUE
from warehouse.settings import WarehouseError


def grant_waiver(
    connection: psycopg.Connection,
    *,
    rule_id: str,
    county_code: str,
    form: str,
    from_week: str,
    to_week: str,
    granted_by: str,
    reason_zh: str,
    expires_on: dt.date,
) -> int:
    """Record a waiver and return its number; it takes effect at the next judgement, or the next load of the form.

    Weeks are ISO weeks, both included; ``county_code`` '*' is every county. The form of a rule that holds for all forms
    has to be named too. Raises WarehouseError where something is missing, unknown, or cannot be.
    """
    if not granted_by.strip() or not reason_zh.strip():
        raise WarehouseError("A waiver needs the name of whoever grants it and a reason.")
    try:
        weeks = [dt.date.fromisocalendar(int(w[:4]), int(w[6:]), 1) for w in (from_week, to_week)]
    except ValueError as error:
        raise WarehouseError(f"A waiver runs from one ISO week to another, like 2020-W24; given: {from_week}, {to_week}.") from error
    if weeks[0] > weeks[1]:
        raise WarehouseError(f"The waiver ends ({to_week}) before it begins ({from_week}).")
    known = connection.execute("select form, severity from quality.rule where rule_id = %s", [rule_id]).fetchone()
    if not known or known[0] not in ("*", form):
        raise WarehouseError(f"{form} has no rule {rule_id}.")
    if rule_id.startswith(NO_VALUE) and known[1] == "error":
        raise WarehouseError(f"{rule_id} cannot be waived: where it finds an error there is no value that could be loaded. The county has to correct the cell.")
    if county_code != "*" and not connection.execute("select 1 from reference.counties where county_code = %s", [county_code]).fetchone():
        raise WarehouseError(f"No county has the code {county_code}.")
    return connection.execute(
        """insert into quality.waiver (rule_id, county_code, form, from_week, to_week, granted_by, reason_zh, expires_on)
           values (%s, %s, %s, %s, %s, %s, %s, %s) returning waiver_id""",
        [rule_id, county_code, form, from_week, to_week, granted_by.strip(), reason_zh.strip(), expires_on],
    ).fetchone()[0]


# The waiver that holds for a finding f, the oldest if there are several
HOLDING = f"(select min(w.waiver_id) from quality.waiver w where {HOLDS.format(day='%(today)s')})"


def apply(connection: psycopg.Connection, today: dt.date) -> None:
    """Mark what is waived among the findings of accepted forms, and take the mark off where a waiver has run out.

    An error that was waived when its form came in stays waived: the form is accepted. A returned form is looked at
    again when the county sends it again, or by `ingestion.rejudge`.
    """
    # from the waivers to the findings: there are few of those and, with the years, many of these
    held = f"f.finding_id in (select f.finding_id from quality.waiver w join quality.finding f on {HOLDS.format(day='%(today)s')} where f.status = 'open')"
    for before, after, condition in (("open", "waived", held), ("waived", "open", f"f.severity = 'warning' and {HOLDING} is null")):
        connection.execute(
            f"""update quality.finding f set status = '{after}', waiver_id = {HOLDING}
                from intake.accepted_submission s
                where f.status = '{before}' and s.submission_id = f.submission_id and {condition}""",
            {"today": today},
        )
