"""The rule catalogue of a week: which rules there are for which form, and what each needs to be judged at all.

Nothing is written down here that the contracts do not say; this only unfolds them, one row a rule and form.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from expectations.dated import OF_FILES, WHOLE_COUNTY, in_force, severity_on, threshold
from ingestion.contract_model import Contracts, Form, Rule

REFERENCE = ("spending_target", "subsidy_cap")  # dated reference data that an expression may ask for


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule for one form of one week, as `results` needs it."""

    week: str
    rule_id: str
    form: str
    severity: str  # as of the week
    applicable: bool  # False: the form has nothing that the rule could be about
    across: str | None  # what must stand before: 'any' earlier week, one of the 'same_year', the 'week_before'
    cross_form: bool
    fields: list[str]  # without these columns there is nothing to judge
    reference: str | None
    threshold: str


def entries(of: Contracts, weeks: list[str], rules_on: dt.date | None = None) -> list[Entry]:
    """The catalogue of each week: the contracts in force on its Sunday, rules and severities of that date too.

    With ``rules_on`` the past is held against the rules and severities of that one date instead.
    """
    return [entry for week in weeks for entry in _of_week(of, week, rules_on)]


def _of_week(of: Contracts, week: str, rules_on: dt.date | None) -> list[Entry]:
    sunday = dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7)
    on = rules_on or sunday
    found = []
    for code in of.codes:
        form = of.form(code, sunday)
        found += [_entry(week, rule, form, on) for rule in form.rules if in_force(rule, on)]
        found += [_general(week, rule, form, on) for rule in of.general_rules if rule.id not in OF_FILES and in_force(rule, on)]
    found += [
        Entry(week, rule.id, WHOLE_COUNTY, severity_on(rule, on), True, None, False, [], None, threshold(rule))
        for rule in of.general_rules
        if rule.id in OF_FILES and in_force(rule, on)
    ]
    return found


def _entry(week: str, rule: Rule, form: Form, on: dt.date) -> Entry:
    words = set(re.findall(r"[a-z_0-9]+", repr(rule.definition)))
    fields = sorted(words & form.by_name.keys())
    across = None
    if rule.scope == "cross_week":
        yearly = {"cumulative", "constant"}
        if rule.check == "balance":
            across = "week_before"
        elif rule.definition.get("fields") and {form.by_name[f].kind for f in rule.definition["fields"]} <= yearly:
            across = "same_year"
        else:
            across = "any"
    reference = next((name for name in REFERENCE if name in words), None)
    return Entry(week, rule.id, form.code, severity_on(rule, on), True, across, rule.check == "sql", fields, reference, threshold(rule))


def _general(week: str, rule: Rule, form: Form, on: dt.date) -> Entry:
    fields = form.fields
    applicable = {
        "GEN-NEG": any(f.numeric for f in fields),
        "GEN-VALUE": any(f.codes for f in fields),
        "GEN-PLACE": any(f.codes in ("township", "village") for f in fields),
        "GEN-RATE": any(f.type == "percent" for f in fields),
        "GEN-KEY": not any(r.check == "unique_in_year" and r.definition.get("field") == form.key.name for r in form.rules),
    }.get(rule.id, True)
    return Entry(week, rule.id, form.code, severity_on(rule, on), applicable, None, False, [], None, threshold(rule))
