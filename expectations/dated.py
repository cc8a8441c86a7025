"""What of a rule depends on the date: whether it is in force, as error or warning, and who must mend what it finds.

A rule in a contract may carry, besides its ``severity``,

    validFrom, validTo   dates, both included, outside of which it is not a rule
    severities           [{from: 2020-01-01, severity: warning}, {from: 2020-06-01, severity: error}]: promotion by date
    owner                county (default) | data_team | rule_owner

The date is always the as-of date of the week that is judged, never today's: a rule that was a warning in March stays
one for March, whatever it has become since.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from ingestion.acceptance import OUTLIER
from ingestion.contract_model import ContractError, Contracts, Form, Rule

OWNERS = ("county", "data_team", "rule_owner")
SEVERITIES = ("error", "warning")
WHOLE_COUNTY = "*"  # the form of a rule that is about a county's files, not about one of its forms
OF_FILES = ("GEN-FORM", "GEN-NAME")


@dataclass(frozen=True, slots=True)
class Term:
    """A stretch of time in which a rule of a form has one severity."""

    rule_id: str
    form: str
    valid_from: dt.date
    valid_to: dt.date | None
    severity: str
    owner: str
    threshold: str


def in_force(rule: Rule, on: dt.date) -> bool:
    """Whether a rule is a rule on a date."""
    first, last = _date(rule, "validFrom"), _date(rule, "validTo")
    return (first is None or first <= on) and (last is None or on <= last)


def severity_on(rule: Rule, on: dt.date) -> str:
    """``error`` or ``warning`` on a date: that of the last promotion by then, else the rule's own."""
    past = [severity for since, severity in _promotions(rule) if since <= on]
    return past[-1] if past else rule.severity


def changes(rule: Rule) -> bool:
    """Whether a rule is not the same on every date."""
    return not rule.definition.keys().isdisjoint({"validFrom", "validTo", "severities"})


def owner(rule: Rule) -> str:
    """Who must mend what the rule finds. Raises ContractError for a word that is none of `OWNERS`."""
    found = rule.definition.get("owner", "county")
    if found not in OWNERS:
        raise ContractError(f"{rule.id}: owner is one of {', '.join(OWNERS)}, not {found!r}")
    return found


def threshold(rule: Rule) -> str:
    """What the rule compares with, and how far a figure may be off; in the contract's own words."""
    match rule.check:
        case "row":
            return rule.definition["expression"]
        case "declared" if "expression" in rule.definition:
            return f"{rule.definition['field']} == {rule.definition['expression']}, in the digits written"
        case "declared":
            return "; ".join(f"{name} == {expression}" for name, expression in rule.definition["pairs"].items()) + ", in the digits written"
        case "total" | "sum_of_rows":
            return "difference < 0.005"
        case "no_fall":
            return "change >= 0, or a stated reason"
        case "unchanged" | "balance":
            return "difference == 0"
        case "outlier":
            return (
                f"|change| <= {OUTLIER['jump_rate']:.0%} or {OUTLIER['jump_persons']}, "
                f"and within {OUTLIER['scores']} robust standard deviations of own history and peers"
            )
    return "0 rows"


def terms(of: Contracts) -> list[Term]:
    """Every rule of every version of every form, cut where its severity changes; the general ones for each form."""
    found: dict[tuple[str, str, dt.date], Term] = {}
    first = min(f.valid_from for f in of.forms)
    for form in of.forms:
        general = [r for r in of.general_rules if r.id not in OF_FILES]
        for rule in (*form.rules, *general):
            for term in _cut(rule, form.code, form.valid_from, form.valid_to):
                found[term.rule_id, term.form, term.valid_from] = term
    for rule in of.general_rules:
        if rule.id in OF_FILES:
            for term in _cut(rule, WHOLE_COUNTY, first, None):
                found[term.rule_id, term.form, term.valid_from] = term
    return [found[key] for key in sorted(found)]


def terms_of_form(form: Form) -> list[Term]:
    """The terms of a form's own rules, by its dates."""
    return [term for rule in form.rules for term in _cut(rule, form.code, form.valid_from, form.valid_to)]


def _cut(rule: Rule, form: str, first: dt.date, last: dt.date | None) -> Iterable[Term]:
    first = max(first, _date(rule, "validFrom") or first)
    last = min((d for d in (last, _date(rule, "validTo")) if d), default=None)
    starts = sorted({first, *(since for since, _ in _promotions(rule) if since > first and (last is None or since <= last))})
    for number, start in enumerate(starts):
        end = starts[number + 1] - dt.timedelta(days=1) if number + 1 < len(starts) else last
        if end is None or start <= end:
            yield Term(rule.id, form, start, end, severity_on(rule, start), owner(rule), threshold(rule))


def write(connection: psycopg.Connection, of: Contracts) -> None:
    """Bring ``quality.rule_term`` to what the contracts say. Inside a transaction of the caller's."""
    connection.execute("create temporary table said (like quality.rule_term) on commit drop")
    with connection.cursor().copy("copy pg_temp.said from stdin") as copy:
        for t in terms(of):
            copy.write_row((t.rule_id, t.form, t.valid_from, t.valid_to, t.severity, t.owner, t.threshold))
    connection.execute("delete from quality.rule_term t where not exists (select from pg_temp.said s where s.* is not distinct from t.*)")
    connection.execute("insert into quality.rule_term select * from pg_temp.said on conflict do nothing")
    connection.execute("drop table pg_temp.said")


def _promotions(rule: Rule) -> list[tuple[dt.date, str]]:
    found = []
    for step in rule.definition.get("severities", ()):
        try:
            since, severity = _as_date(step["from"]), step["severity"]
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"{rule.id}: a severity by date is {{from: 2020-06-01, severity: error}}, not {step!r}") from error
        if severity not in SEVERITIES:
            raise ContractError(f"{rule.id}: severity is error or warning, not {severity!r}")
        found.append((since, severity))
    return sorted(found)


def _date(rule: Rule, name: str) -> dt.date | None:
    value = rule.definition.get(name)
    try:
        return _as_date(value) if value is not None else None
    except (TypeError, ValueError) as error:
        raise ContractError(f"{rule.id}: {name} is no date: {value!r}") from error


def _as_date(value: dt.date | str) -> dt.date:
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
