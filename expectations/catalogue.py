"""The rule catalogue of a week: which rules there are for which form, and what each needs to be judged at all.

Nothing is written down here that the contracts do not say; this only unfolds them, one row a rule and form.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from ingestion.contracts import Contracts, Form, Rule

WHOLE_COUNTY = "*"  # the form of a rule that is about a county's files, not about one of its forms
OF_FILES = ("GEN-FORM", "GEN-NAME")
REFERENCE = ("spending_target", "subsidy_cap")  # dated reference data that an expression may ask for


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule for one form of one week, as `results` needs it."""

    week: str
    rule_id: str
    form: str
    severity: str
    applicable: bool  # False: the form has nothing that the rule could be about
    across: str | None  # what must stand before: 'any' earlier week, one of the 'same_year', the 'week_before'
    cross_form: bool
    fields: list[str]  # without these columns there is nothing to judge
    reference: str | None


def entries(of: Contracts, weeks: list[str]) -> list[Entry]:
    """The catalogue of each week, by the contracts in force on its Sunday."""
    return [entry for week in weeks for entry in _of_week(of, week)]


def _of_week(of: Contracts, week: str) -> list[Entry]:
    on = dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7)
    found = []
    for code in of.codes:
        form = of.form(code, on)
        found += [_entry(week, rule, form) for rule in form.rules]
        found += [_general(week, rule, form) for rule in of.general_rules if rule.id not in OF_FILES]
    found += [
        Entry(week, rule.id, WHOLE_COUNTY, rule.severity, True, None, False, [], None)
        for rule in of.general_rules
        if rule.id in OF_FILES
    ]
    return found


def _entry(week: str, rule: Rule, form: Form) -> Entry:
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
    return Entry(week, rule.id, form.code, rule.severity, True, across, rule.check == "sql", fields, reference)


def _general(week: str, rule: Rule, form: Form) -> Entry:
    fields = form.fields
    applicable = {
        "GEN-NEG": any(f.numeric for f in fields),
        "GEN-VALUE": any(f.codes for f in fields),
        "GEN-PLACE": any(f.codes in ("township", "village") for f in fields),
        "GEN-RATE": any(f.type == "percent" for f in fields),
        "GEN-KEY": not any(r.check == "unique_in_year" and r.definition.get("field") == form.key.name for r in form.rules),
    }.get(rule.id, True)
    return Entry(week, rule.id, form.code, rule.severity, applicable, None, False, [], None)
