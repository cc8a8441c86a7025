"""Great Expectations suites, made from the contracts: what must hold in every candidate mart before it is published.

Reading has returned every form that breaks an error rule, so a failure here is a fault of the pipeline, not of a
county. Warning rules are left out: their violations are published, with their findings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from expectations import dated
from expectations.marts import Mart
from expectations.row_sql import Untranslatable, row_sql
from ingestion.contract_model import Form, Rule

# Rows of a form that was accepted because its violation had been waived
NOT_WAIVED = (
    "not exists (select from quality.finding w where w.submission_id = b.submission_id and w.rule_id = '{rule}' "
    "and w.status = 'waived')"
)


@dataclass(frozen=True)
class Suite:
    """Plain descriptions of expectations: (class name, arguments). No Great Expectations needed to make them."""

    mart: Mart
    title_zh: str
    expectations: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # rule id → why the mart cannot be asked


def suite(form: Form, mart: Mart) -> Suite:
    """What must hold in a form's mart. Raises KeyError where the mart lacks the form's key."""
    made = Suite(mart, form.zh)
    key = mart.key(form)
    # in one pass: ExpectCompoundColumnsToBeUnique joins the rows with their own groups, which no planner foresees the size of
    once = f"with b as (select * from {{batch}}) select {', '.join(key)}, count(*) as copies from b group by {', '.join(key)} having count(*) > 1"
    _add(made, "UnexpectedRowsExpectation", "GEN-KEY", form, f"{'＋'.join(key)} 不得重复", unexpected_rows_query=once)
    # declared rates are worked out again, and are NULL without a base
    columns = {c: f for f in form.fields if f.kind != "declared" and (c := mart.column(f))}
    _add_columns(made, "GEN-REQ", form, "必填栏不得为空", {c: f"b.{c} is null" for c, f in columns.items() if f.required})
    _add_columns(made, "GEN-NEG", form, "数量和金额不得为负", {c: f"b.{c} < 0" for c, f in columns.items() if f.numeric})
    _add_columns(
        made, "GEN-VALUE", form, "须在选项之内",
        {c: f"b.{c} not in ({', '.join(map(_quoted, f.values))})" for c, f in columns.items() if f.codes == "values" and f.type == "code"},
    )  # fmt: skip
    terms = dated.terms_of_form(form)
    for rule in form.rules_of("row"):
        stretches = [t for t in terms if t.rule_id == rule.id and t.severity == "error"]
        if stretches:
            _add_rule(made, rule, form, stretches if dated.changes(rule) else [])
    return made


def _add_columns(made: Suite, rule: str, form: Form, text: str, faults: dict[str, str]) -> None:
    """One expectation for many columns (each costs more to set up than to answer); the rows say which column it was."""
    if faults:
        which = " ".join(f"when {fault} then '{column}'" for column, fault in faults.items())
        query = f"with b as (select * from {{batch}}) select case {which} end as at_fault, b.* from b where {' or '.join(faults.values())}"
        _add(made, "UnexpectedRowsExpectation", rule, form, text, unexpected_rows_query=query)
        made.expectations[-1][1]["meta"]["columns"] = list(faults)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _add(made: Suite, kind: str, rule: str, form: Form, text: str, **arguments: Any) -> None:
    arguments |= {"severity": "critical", "description": text, "meta": {"rule_id": rule, "form": form.code, "text_zh": text}}
    made.expectations.append((kind, arguments))


def _add_rule(made: Suite, rule: Rule, form: Form, stretches: list[dated.Term]) -> None:
    try:
        condition = row_sql(rule.definition["expression"], form, made.mart)
    except Untranslatable as reason:
        made.skipped[rule.id] = str(reason)
        return
    # named here, because what {batch} becomes brings an alias of its own or not
    query = f"with b as (select * from {{batch}}) select b.* from b where not {condition}"
    if "submission_id" in made.mart.columns:
        query += " and " + NOT_WAIVED.format(rule=rule.id)
    if stretches:  # a warning then was no reason to send the form back, so its rows may stand
        if not made.mart.weekly:
            made.skipped[rule.id] = "its severity has changed, and the mart's rows have no week"
            return
        week = "coalesce(b.carried_from_week, b.week)" if "carried_from_week" in made.mart.columns else "b.week"
        spans = " or ".join(
            f"to_date({week} || '-7', 'IYYY-\"W\"IW-ID') between '{t.valid_from}' and '{t.valid_to or 'infinity'}'" for t in stretches
        )
        query += f" and ({spans})"
    _add(made, "UnexpectedRowsExpectation", rule.id, form, f"{rule.id} {rule.zh}", unexpected_rows_query=query)
