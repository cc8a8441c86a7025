"""The rules that traced cells were checked by, with the results and findings as of the publication."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import psycopg
from psycopg.rows import dict_row

from expectations.catalogue import entries
from ingestion.contracts import contracts
from warehouse.publication.ledger import Publication
from warehouse.trace.tree import Cell

RESULTS = """
select distinct on (r.week, r.county_code, r.form, r.rule_id)
       r.rule_id, r.form, r.week, r.county_code, r.status, r.severity, r.rows_checked, r.rows_violated, r.note_zh, r.check_run_id
from quality.check_result r
join unnest(%(forms)s::text[], %(weeks)s::text[], %(counties)s::text[]) w (form, week, county_code) using (form, week, county_code)
where r.rule_id = any(%(rules)s)
  and r.check_run_id <= coalesce(%(run)s, (select max(check_run_id) from quality.check_run where started_at <= %(at)s), 0)
order by r.week, r.county_code, r.form, r.rule_id, r.check_run_id desc"""

FINDINGS = """
select rule_id, severity, submission_id, member, sheet, cell, field, status, message_zh
from quality.finding where submission_id = any(%(submissions)s) and rule_id = any(%(rules)s) and field = any(%(fields)s) and found_at <= %(at)s
order by finding_id"""


def checks(connection: psycopg.Connection, publication: Publication, cells: list[Cell], fields: set[str]) -> list[dict[str, Any]]:
    """One entry a rule, form, week and county that looks at the fields; ``findings`` are those at the traced cells.

    A rule without a result was not evaluated by the time of the publication: its status is None.
    """
    slices = sorted({(c.form, c.week, c.county_code) for c in cells})
    if not slices:
        return []
    of = contracts()
    looked_at: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in entries(of, sorted({week for _, week, _ in slices})):
        if entry.applicable and (not entry.fields or fields & set(entry.fields)):
            looked_at[entry.form, entry.week].append(entry.rule_id)
    rules = sorted({rule for ids in looked_at.values() for rule in ids})
    about = {"run": publication.check_run_id, "at": publication.published_at, "rules": rules, "fields": sorted(fields)}
    about |= {name: [s[n] for s in slices] for n, name in enumerate(("forms", "weeks", "counties"))}
    about["submissions"] = sorted({c.submission_id for c in cells})
    places = {(c.submission_id, c.member, c.sheet, c.cell): c for c in cells}
    with connection.cursor(row_factory=dict_row) as cursor:
        results = {(r["rule_id"], r["form"], r["week"], r["county_code"]): r for r in cursor.execute(RESULTS, about)}
        findings: dict[tuple, list[dict[str, Any]]] = defaultdict(list)
        for found in cursor.execute(FINDINGS, about):
            cell = places.get((found["submission_id"], found["member"], found["sheet"], found["cell"]))
            if cell:
                findings[found["rule_id"], cell.form, cell.week, cell.county_code].append(found)
    told = []
    for form, week, county in slices:
        for rule_id in looked_at[form, week]:
            place = (rule_id, form, week, county)
            result, rule = results.get(place), of.rules[rule_id]
            told.append(
                {
                    "rule_id": rule_id, "text_zh": rule.zh, "form": form, "week": week, "county_code": county,
                    "severity": result["severity"] if result else rule.severity, "status": result["status"] if result else None,
                    "rows_checked": result and result["rows_checked"], "rows_violated": result and result["rows_violated"],
                    "note_zh": result and result["note_zh"], "check_run_id": result and result["check_run_id"], "findings": findings.get(place, []),
                }
            )  # fmt: skip
    return told
